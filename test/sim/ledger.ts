/**
 * What clients know about their transactions, for an audit: each transaction of a client carries the next
 * number. A number that was acknowledged must be there after any fault; one that was refused with
 * an error, or never sent, must not; of one whose answer was lost nothing is known.
 */
import { ConnectionLost, ServerError, type SimClient } from '@pgtroupe/testkit/sim/client';
import type { SimCluster } from '@pgtroupe/testkit/sim/cluster';
import type { SimProcess } from '@pgtroupe/testkit/sim/process';

export type Fate = 'acknowledged' | 'refused' | 'unknown';

/** Errors that a fault may cause: serialization, deadlock, operator intervention, connection. */
const EXCUSED = /^(40001|40P01|57P0\d|08\d\d\d)$/;

/** What is written and how the audit finds it again. */
export interface Book {
  setUp(client: SimClient): Promise<void>;
  /** One transaction. */
  write(client: SimClient, c: number, number: number): Promise<void>;
  /** The numbers of client `c` that are there, of those up to `tried`. Throws on what can never be. */
  read(client: SimClient, c: number, tried: number): Promise<ReadonlySet<number>>;
  /** Says of the whole: sums and the like. */
  balance(client: SimClient): Promise<void>;
}

export class Account {
  readonly c: number;
  readonly client: SimClient;
  readonly process: SimProcess;
  readonly fates: Fate[] = [];
  acknowledged = 0;
  unexpected: Error | undefined;
  stopped = false;
  idle = true;

  constructor(cluster: SimCluster, c: number) {
    this.c = c;
    const { client, process } = cluster.client();
    this.client = client;
    this.process = process;
  }

  /** Writes number after number until stopped. */
  async run(cluster: SimCluster, book: Book): Promise<void> {
    this.idle = false;
    while (!this.stopped) {
      const number = this.fates.length;
      this.fates.push('unknown');
      try {
        await book.write(this.client, this.c, number);
        this.fates[number] = 'acknowledged';
        this.acknowledged++;
        cluster.world.note(`client ${this.c}: ${number} acknowledged`);
      } catch (error) {
        this.#failed(cluster, number, error);
        await new Promise<void>(resolve => this.process.env.timers.after(20, resolve));
      }
    }
    this.idle = true;
  }

  #failed(cluster: SimCluster, number: number, error: unknown): void {
    if (error instanceof ServerError) {
      if (!error.fatal) this.fates[number] = 'refused';
      if (!EXCUSED.test(error.sqlstate)) this.unexpected ??= error;
      cluster.world.note(`client ${this.c}: ${number} ${error.sqlstate} ${error.message}`);
    } else if (error instanceof ConnectionLost) cluster.world.note(`client ${this.c}: ${number} lost`);
    else throw error;
  }
}

/** Compares the book with what the clients know. */
export async function audit(book: Book, client: SimClient, accounts: readonly Account[]): Promise<void> {
  for (const account of accounts) {
    if (account.unexpected !== undefined) throw new Error(`client ${account.c}: ${(account.unexpected as ServerError).sqlstate} ${account.unexpected.message}`);
    const there = await book.read(client, account.c, account.fates.length);
    for (const [number, fate] of account.fates.entries()) {
      if (fate === 'acknowledged' && !there.has(number)) throw new Error(`client ${account.c}: ${number} was acknowledged and is lost`);
      if (fate === 'refused' && there.has(number)) throw new Error(`client ${account.c}: ${number} was refused and is there`);
    }
    for (const number of there) {
      if (number >= account.fates.length) throw new Error(`client ${account.c}: ${number} was never sent`);
    }
  }
  await book.balance(client);
}

/** A table per number: catalogs, their indexes and files are the book. */
export const tablesBook: Book = {
  setUp: async () => {},
  write: async (client, c, number) => {
    await client.query(`CREATE TABLE l_${c}_${number} (id int PRIMARY KEY)`);
  },
  read: async (client, c, tried) => {
    const there = new Set<number>();
    for (let number = 0; number < tried; number++) {
      try {
        await client.query(`CREATE TABLE l_${c}_${number} ()`);
        await client.query(`DROP TABLE l_${c}_${number}`);
      } catch (error) {
        if (!(error instanceof ServerError) || error.sqlstate !== '42P07') throw error;
        there.add(number);
      }
    }
    return there;
  },
  balance: async () => {},
};
