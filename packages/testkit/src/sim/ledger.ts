/**
 * What clients know about their transactions, for an audit: each transaction of a client carries the next
 * number. A number that was acknowledged must be there after any fault; one that was refused with
 * an error, or never sent, must not; of one whose answer was lost nothing is known. Who commits asynchronously may lose
 * the last of what was acknowledged (losses.ts).
 */
import { ConnectionLost, ServerError, type SimClient } from './client.ts';
import type { SimCluster } from './cluster.ts';
import type { Losses } from './losses.ts';
import type { SimProcess } from './process.ts';

export type Fate = 'acknowledged' | 'refused' | 'unknown';

/** The client changed its mind: as good as refused. */
export class RolledBack extends Error {
  override readonly name = 'RolledBack';
}

/** Errors that a fault may cause: serialization, deadlock, operator intervention, connection. */
const EXCUSED = /^(40001|40P01|57P0\d|08\d\d\d)$/;

/** PostgreSQL has no SQLSTATE for it. */
const CHECKPOINT_FAILED = 'checkpoint request failed';

/** Is this what a fault may do to a client? `more`: SQLSTATEs that this seed's faults cause, those of a disk. */
export function excused(error: unknown, more?: RegExp): boolean {
  if (error instanceof ConnectionLost) return true;
  if (!(error instanceof ServerError)) return false;
  if (EXCUSED.test(error.sqlstate)) return true;
  return more !== undefined && (more.test(error.sqlstate) || error.message === CHECKPOINT_FAILED);
}

/** What is written and how the audit finds it again. */
export interface Book {
  /** Those that every client writes. */
  readonly tables: readonly string[];
  setUp(client: SimClient): Promise<void>;
  /** One transaction. */
  write(client: SimClient, c: number, number: number): Promise<void>;
  /** Is this number there? */
  has(client: SimClient, c: number, number: number): Promise<boolean>;
  /** The numbers of client `c` that are there. Throws on what can never be. */
  read(client: SimClient, c: number): Promise<ReadonlySet<number>>;
  /** Says of the whole: sums and the like. */
  balance(client: SimClient): Promise<void>;
}

/** Of a book whose clients enter each of their numbers in this table. */
export function entriesIn(table: string): Pick<Book, 'has' | 'read'> {
  return {
    has: async (client, c, number) => {
      const [found] = await client.query(`SELECT seq FROM ${table} WHERE client = ${c} AND seq = ${number}`);
      return found!.rows.length === 1;
    },
    read: async (client, c) => {
      const [found] = await client.query(`SELECT seq FROM ${table} WHERE client = ${c}`);
      return new Set(found!.rows.map(row => Number(row[0])));
    },
  };
}

/** What a client may do in the middle of a statement. */
export type Whim = 'vanish' | 'cancel';
/** Share of numbers at which it does. */
const WHIMSICAL = 0.3;
const QUERY_CANCELED = '57014';

/** Transactions in a row; where nothing has happened for longer, more of them find nothing. */
const BURST = 6;
/** Then there is as much time as this between them. */
const LEISURE_MS = [5, 100] as const;

export class Account {
  readonly c: number;
  readonly client: SimClient;
  readonly process: SimProcess;
  readonly fates: Fate[] = [];
  acknowledged = 0;
  unexpected: Error | undefined;
  stopped = false;
  /** Begins nothing. */
  resting = false;
  /** Is in no transaction, and begins none. */
  atRest = false;
  /** Transactions since something last happened to the cluster. */
  #sinceRoused = 0;
  idle = true;
  readonly #cluster: SimCluster;
  readonly #whims: readonly Whim[];
  /** SQLSTATEs that this seed's faults cause. */
  readonly #excused: RegExp | undefined;
  readonly #losses: Losses | undefined;
  /** Its synchronous_commit is off. */
  readonly asynchronous: boolean;
  /** By number, when it was acknowledged. */
  readonly #acknowledgedMs: number[] = [];
  /** Called with a number as soon as it is acknowledged. */
  onAcknowledged: (number: number) => void = () => {};

  constructor(
    cluster: SimCluster,
    c: number,
    options: {
      readonly whims?: readonly Whim[];
      readonly excused?: RegExp | undefined;
      readonly losses?: Losses | undefined;
      readonly asynchronous?: boolean;
    } = {},
  ) {
    this.c = c;
    this.#cluster = cluster;
    this.#whims = options.whims ?? [];
    this.#excused = options.excused;
    this.#losses = options.losses;
    this.asynchronous = options.asynchronous === true;
    const { client, process } = cluster.client(this.asynchronous ? { synchronous_commit: 'off' } : {});
    this.client = client;
    this.process = process;
  }

  /** Writes number after number until stopped. */
  async run(cluster: SimCluster, book: Book, all: readonly Account[]): Promise<void> {
    this.idle = false;
    while (!this.stopped) {
      if (this.resting) {
        this.atRest = true;
        await this.#pause(5);
        continue;
      }
      this.atRest = false;
      if (this.#sinceRoused++ >= BURST) await this.#pause(cluster.world.between(...LEISURE_MS));
      const number = this.fates.length;
      this.fates.push('unknown');
      try {
        if (number % 4 === 3) for (const other of all) await this.#look(book, other);
        this.#haveWhim();
        const begunMs = cluster.world.nowMs;
        await book.write(this.client, this.c, number);
        this.fates[number] = 'acknowledged';
        this.#acknowledgedMs[number] = cluster.world.nowMs;
        if (!this.asynchronous) this.#losses?.sure(begunMs, cluster.world.nowMs);
        this.acknowledged++;
        cluster.world.note(`client ${this.c}: ${number} acknowledged`);
        this.onAcknowledged(number);
      } catch (error) {
        this.#failed(cluster, number, error);
        await this.#pause(20);
      }
    }
    this.idle = true;
  }

  /** It was acknowledged and may be missing all the same. */
  mayBeLost(number: number): boolean {
    return this.asynchronous && this.#losses!.excuse(this.#acknowledgedMs[number]!);
  }

  /** Makes haste for a while. */
  rouse(): void {
    this.#sinceRoused = 0;
  }

  #pause(ms: number): Promise<void> {
    return new Promise(resolve => this.process.env.timers.after(ms, resolve));
  }

  /** At one of the many waits of what it does next, chosen by the seed. */
  #haveWhim(): void {
    const { world, postmaster } = this.#cluster;
    if (this.#whims.length === 0 || world.random.uniform() >= WHIMSICAL) return;
    const whim = this.#whims[Math.floor(world.random.uniform() * this.#whims.length)]!;
    // Most waits are short, some are long.
    this.process.env.timers.after(0.05 * 1000 ** world.random.uniform(), () => {
      world.note(`client ${this.c}: ${whim}`);
      if (whim === 'vanish') this.client.vanish();
      else if (this.client.key !== undefined) postmaster.cancel(this.client.key);
    });
  }

  /** What somebody else was told is committed must be seen from here, in whatever instance this is. */
  async #look(book: Book, other: Account): Promise<void> {
    const last = other.fates.lastIndexOf('acknowledged');
    if (last < 0 || (await book.has(this.client, other.c, last)) || other.mayBeLost(last)) return;
    throw new Error(`client ${this.c} does not see ${last} of client ${other.c}, which was acknowledged before`);
  }

  #failed(cluster: SimCluster, number: number, error: unknown): void {
    if (error instanceof ServerError) {
      if (!error.fatal) this.fates[number] = 'refused';
      const cancelled = error.sqlstate === QUERY_CANCELED && this.#whims.includes('cancel');
      if (!excused(error, this.#excused) && !cancelled)
        this.unexpected ??= new Error(`client ${this.c}: ${error.sqlstate} ${error.message}`);
      cluster.world.note(`client ${this.c}: ${number} ${error.sqlstate} ${error.message}`);
    } else if (error instanceof RolledBack) this.fates[number] = 'refused';
    else if (error instanceof ConnectionLost) cluster.world.note(`client ${this.c}: ${number} lost`);
    else this.unexpected ??= error as Error;
  }
}

/** Compares the book with what the clients know. */
export async function audit(book: Book, client: SimClient, accounts: readonly Account[]): Promise<void> {
  for (const account of accounts) {
    const there = await book.read(client, account.c);
    for (const [number, fate] of account.fates.entries()) {
      if (fate === 'acknowledged' && !there.has(number) && !account.mayBeLost(number))
        throw new Error(`client ${account.c}: ${number} was acknowledged and is lost`);
      if (fate === 'refused' && there.has(number))
        throw new Error(`client ${account.c}: ${number} was refused and is there`);
    }
    for (const number of there) {
      if (number >= account.fates.length) throw new Error(`client ${account.c}: ${number} was never sent`);
    }
  }
  await book.balance(client);
}

/** A table per number: catalogs, their indexes and files are the book. */
export const tablesBook: Book = {
  tables: [],
  setUp: async () => {},
  write: async (client, c, number) => {
    await client.query(`CREATE TABLE l_${c}_${number} (id int PRIMARY KEY)`);
  },
  has: async (client, c, number) => {
    const [found] = await client.query(`SELECT 1 FROM pg_class WHERE relname = 'l_${c}_${number}'`);
    return found!.rows.length === 1;
  },
  read: async (client, c) => {
    const [found] = await client.query("SELECT relname FROM pg_class WHERE relkind = 'r'");
    const names = found!.rows.map(row => row[0]!.split('_')).filter(([l, of]) => l === 'l' && of === String(c));
    for (const name of names) {
      const [rows] = await client.query(`SELECT id FROM ${name.join('_')}`);
      if (rows!.rows.length > 0) throw new Error(`${name.join('_')} has rows`);
    }
    return new Set(names.map(name => Number(name[2])));
  },
  balance: async () => {},
};

/** Even a ROLLBACK may be cancelled. */
export async function rollBack(client: SimClient): Promise<void> {
  while (client.connected) {
    try {
      await client.query('ROLLBACK');
      return;
    } catch (error) {
      if (!(error instanceof ServerError) || error.sqlstate !== QUERY_CANCELED) throw error;
    }
  }
}

/** A transaction around `work`; every tenth is rolled back in the end. */
export async function inTransaction(
  client: SimClient,
  number: number,
  work: () => Promise<void>,
  begin = 'BEGIN',
): Promise<void> {
  await client.query(begin);
  try {
    await work();
    if (number % 10 === 9) throw new RolledBack();
    const [commit] = await client.query('COMMIT');
    if (commit!.tag !== 'COMMIT') throw new RolledBack();
  } catch (error) {
    await rollBack(client);
    throw error;
  }
}

const ACCOUNTS = 8;
const OPENING = 1000;

/**
 * Rows: every transaction moves money between two accounts, notes the move, and enters its number. Odd
 * numbers lock in one order, even ones in the other, so that there are deadlocks.
 */
export const rowsBook: Book = {
  tables: ['account', 'move', 'ledger'],
  setUp: async client => {
    await client.query('CREATE TABLE ledger (client int, seq int, note text, PRIMARY KEY (client, seq))');
    await client.query('CREATE TABLE account (id int PRIMARY KEY, balance int NOT NULL)');
    await client.query('CREATE TABLE move (client int, seq int, debit int, credit int, amount int)');
    for (let id = 0; id < ACCOUNTS; id++) await client.query(`INSERT INTO account VALUES (${id}, ${OPENING})`);
  },
  write: async (client, c, number) => {
    const debit = (number * 7 + c) % ACCOUNTS;
    const credit = (debit + 1 + (number % 3)) % ACCOUNTS;
    const amount = 1 + (number % 5);
    const steps = [
      `UPDATE account SET balance = balance - ${amount} WHERE id = ${debit}`,
      `UPDATE account SET balance = balance + ${amount} WHERE id = ${credit}`,
    ];
    if (number % 2 === 0) steps.reverse();
    await inTransaction(client, number, async () => {
      for (const step of steps) await client.query(step);
      await client.query(`INSERT INTO move VALUES (${c}, ${number}, ${debit}, ${credit}, ${amount})`);
      await client.query(`INSERT INTO ledger VALUES (${c}, ${number}, '${'x'.repeat(number % 200)}')`);
    });
  },
  has: entriesIn('ledger').has,
  read: async (client, c) => {
    const [found] = await client.query(`SELECT seq, note FROM ledger WHERE client = ${c} ORDER BY seq`);
    const [moved] = await client.query(`SELECT seq FROM move WHERE client = ${c} ORDER BY seq`);
    const there = found!.rows.map(row => Number(row[0]));
    if (String(there) !== String(moved!.rows.map(row => Number(row[0]))))
      throw new Error(`client ${c}: half a transaction`);
    for (const [seq, note] of found!.rows)
      if (note!.length !== Number(seq) % 200) throw new Error(`client ${c}: row ${seq} says ${note}`);
    if (new Set(there).size !== there.length) throw new Error(`client ${c}: a number is there twice`);
    return new Set(there);
  },
  balance: async client => {
    const [accounts] = await client.query('SELECT id, balance FROM account ORDER BY id');
    const balances = accounts!.rows.map(row => Number(row[1]));
    if (balances.length !== ACCOUNTS) throw new Error(`${balances.length} accounts`);
    const [moves] = await client.query('SELECT debit, credit, amount FROM move');
    const expected = new Array<number>(ACCOUNTS).fill(OPENING);
    for (const row of moves!.rows) {
      const [debit, credit, amount] = row.map(Number) as [number, number, number];
      expected[debit]! -= amount;
      expected[credit]! += amount;
    }
    if (String(balances) !== String(expected))
      throw new Error(`balances ${balances.join()} and not ${expected.join()}`);
  },
};

/** Rows per number. */
const ITEMS = 3;

/**
 * Rows that come and go: secondary indexes, updates that move index entries, deletes, savepoints, wide rows,
 * so that pages split, are pruned and vacuumed. The audit compares what the indexes say with the heap.
 */
export const churnBook: Book = {
  tables: ['item', 'done'],
  setUp: async client => {
    await client.query('CREATE TABLE done (client int, seq int, PRIMARY KEY (client, seq))');
    await client.query('CREATE TABLE item (client int, seq int, k int, pad text)');
    await client.query('CREATE INDEX item_k ON item (k)');
    await client.query('CREATE INDEX item_pad ON item (pad, seq)');
    await client.query('CREATE UNIQUE INDEX item_id ON item (client, seq, k)');
  },
  write: async (client, c, number) => {
    const pad = (n: number): string => String.fromCharCode(97 + (n % 26)).repeat(20 + ((n * 37) % 400));
    const rows = (seq: number): string =>
      Array.from(
        { length: ITEMS },
        (_, n) => `(${c}, ${seq}, ${((number * 7919) % 1000) * 10 + n * 2}, '${pad(number)}')`,
      ).join(', ');
    await inTransaction(client, number, async () => {
      await client.query(`INSERT INTO item VALUES ${rows(number)}`);
      if (number % 3 === 0) {
        await client.query('SAVEPOINT s');
        await client.query(`INSERT INTO item VALUES ${rows(-1)}`);
        await client.query(`DELETE FROM item WHERE client = ${c} AND seq = ${number - 1}`);
        await client.query('ROLLBACK TO SAVEPOINT s');
      }
      await client.query(
        `UPDATE item SET k = k + 1, pad = '${pad(number + 1)}' WHERE client = ${c} AND seq = ${number - 2}`,
      );
      await client.query(`DELETE FROM item WHERE client = ${c} AND seq = ${number - 5}`);
      await client.query(`INSERT INTO done VALUES (${c}, ${number})`);
    });
  },
  ...entriesIn('done'),
  balance: async client => {
    const scan = async (how: string, where: string): Promise<string[]> => {
      for (const kind of ['seqscan', 'indexscan', 'bitmapscan', 'indexonlyscan'])
        await client.query(`SET enable_${kind} = ${kind === how ? 'on' : 'off'}`);
      const [answer] = await client.query(`SELECT client, seq, k, pad FROM item ${where}`);
      return answer!.rows.map(row => row.join()).sort();
    };
    const heap = await scan('seqscan', '');
    for (const where of ['WHERE k >= 0', "WHERE pad >= ''", 'WHERE client >= 0']) {
      const index = await scan('indexscan', where);
      if (String(index) !== String(heap))
        throw new Error(`${index.length} rows by ${where}, ${heap.length} by the heap`);
    }
    for (const kind of ['seqscan', 'indexscan', 'bitmapscan', 'indexonlyscan'])
      await client.query(`SET enable_${kind} = on`);
    const counts = new Map<string, number>();
    for (const row of heap) {
      const [c, seq] = row.split(',') as [string, string];
      if (seq === '-1') throw new Error('a row of a savepoint that was rolled back');
      counts.set(`${c}/${seq}`, (counts.get(`${c}/${seq}`) ?? 0) + 1);
    }
    for (const [key, count] of counts) if (count !== ITEMS) throw new Error(`${count} rows of ${key}`);
  },
};
