/**
 * Row locks and subtransactions in the ledger. Slots count what was done to them; whoever counts reads under a lock
 * and writes what it has reckoned, so that a lock which got lost shows as a number that is missing. Clients compare
 * what they were granted (LockRegister), and what the locks promise: nobody changes a row that is locked FOR SHARE.
 *
 * Rows that are entered in a subtransaction tell its fate: `kept` ones are there, `undone` ones never.
 */
import { type Answer, ServerError, type SimClient } from './client.ts';
import { type Book, entriesIn, inTransaction, RolledBack } from './ledger.ts';
import { LockRegister, type RowLockMode } from './lock-register.ts';

const SLOTS = 5;
const ALL = Array.from({ length: SLOTS }, (_, n) => n);
const LOCK_NOT_AVAILABLE = '55P03';

/** One transaction of a client. */
class Deed {
  readonly #client: SimClient;
  readonly #c: number;
  readonly #number: number;
  readonly #register: LockRegister;
  readonly #marks = new Map<string, number>();

  constructor(client: SimClient, c: number, number: number, register: LockRegister) {
    this.#client = client;
    this.#c = c;
    this.#number = number;
    this.#register = register;
  }

  async query(sql: string): Promise<Answer> {
    return (await this.#client.query(sql))[0]!;
  }

  /** Of these slots the first that can be had, its id and count; undefined: none is there (any more), or all are skipped. */
  async lock(
    slots: readonly number[],
    mode: RowLockMode,
    policy = '',
  ): Promise<{ readonly id: number; readonly count: number } | undefined> {
    for (const slot of slots) this.#register.asks(this.#c, slot);
    const { rows } = await this.query(
      `SELECT id, count FROM slot WHERE id IN (${slots.join()}) ORDER BY id LIMIT 1 FOR ${mode} ${policy}`,
    );
    if (rows.length === 0) return undefined;
    const [id, count] = rows[0]!.map(Number) as [number, number];
    this.#register.granted(this.#c, id, mode);
    return { id, count };
  }

  async savepoint(name: string): Promise<void> {
    await this.query(`SAVEPOINT ${name}`);
    this.#marks.set(name, this.#register.mark(this.#c));
  }

  async rollBackTo(name: string): Promise<void> {
    this.#register.backTo(this.#c, this.#marks.get(name)!);
    await this.query(`ROLLBACK TO SAVEPOINT ${name}`);
  }

  /** Writes the count; what is `undone` will be rolled back. */
  async count(id: number, expression: string, fate: 'kept' | 'undone'): Promise<void> {
    const { tag } = await this.query(`UPDATE slot SET count = ${expression} WHERE id = ${id}`);
    if (tag !== 'UPDATE 1') return;
    this.#register.granted(this.#c, id, 'NO KEY UPDATE');
    await this.query(`INSERT INTO bump VALUES (${this.#c}, ${this.#number}, ${id}, '${fate}')`);
  }

  async counted(id: number): Promise<number | undefined> {
    const { rows } = await this.query(`SELECT count FROM slot WHERE id = ${id}`);
    return rows.length === 0 ? undefined : Number(rows[0]![0]);
  }

  /** The slot, unless somebody else has it. */
  async lockNowait(slot: number): Promise<void> {
    await this.savepoint('nowait');
    const rivals = this.#register.asks(this.#c, slot);
    try {
      await this.lock([slot], 'UPDATE', 'NOWAIT');
      await this.query('RELEASE SAVEPOINT nowait');
    } catch (error) {
      if (!(error instanceof ServerError) || error.sqlstate !== LOCK_NOT_AVAILABLE) throw error;
      this.#register.refused(this.#c, slot, rivals);
      await this.rollBackTo('nowait');
    }
  }
}

/** What transactions do, in turn; `slot` and `other` are two slots, `undo` says whether a part is rolled back. */
const DEEDS: readonly ((deed: Deed, slot: number, other: number, undo: boolean) => Promise<void>)[] = [
  // A subtransaction's lock goes, the parent's stays.
  async (deed, slot) => {
    const held = await deed.lock([slot], 'UPDATE');
    if (held === undefined) return;
    await deed.savepoint('a');
    await deed.count(slot, 'count + 1000', 'undone');
    await deed.rollBackTo('a');
    await deed.count(slot, String(held.count + 1), 'kept');
  },
  // Nobody changes what is shared.
  async (deed, slot, other) => {
    const held = await deed.lock([slot], 'SHARE');
    await deed.lockNowait(other);
    if (held === undefined) return;
    const now = await deed.counted(slot);
    if (now !== held.count)
      throw new Error(`slot ${slot} is ${now}, and was ${held.count} when it was locked FOR SHARE`);
  },
  async deed => {
    const held = await deed.lock(ALL, 'UPDATE', 'SKIP LOCKED');
    if (held === undefined) return;
    await deed.savepoint('a');
    await deed.count(held.id, String(held.count + 1), 'kept');
    await deed.query('RELEASE SAVEPOINT a');
  },
  // Others may change what is locked FOR KEY SHARE, and not remove it.
  async (deed, slot) => {
    const held = await deed.lock([slot], 'KEY SHARE');
    if (held === undefined) return;
    await deed.savepoint('a');
    await deed.count(slot, 'count + 1', 'kept');
    await deed.query('RELEASE SAVEPOINT a');
    if ((await deed.counted(slot)) === undefined)
      throw new Error(`slot ${slot} went while it was locked FOR KEY SHARE`);
  },
  // A subtransaction of a subtransaction.
  async (deed, slot, _other, undo) => {
    await deed.savepoint('a');
    const held = await deed.lock([slot], 'NO KEY UPDATE');
    await deed.savepoint('b');
    if (held !== undefined) await deed.count(slot, String(held.count + 1), undo ? 'undone' : 'kept');
    await deed.query('RELEASE SAVEPOINT b');
    if (undo) await deed.rollBackTo('a');
    else await deed.query('RELEASE SAVEPOINT a');
  },
  // Given back by ROLLBACK: whoever asks next may have it.
  async (deed, slot, other, undo) => {
    await deed.lockNowait(slot);
    await deed.lockNowait(other);
    if (undo) throw new RolledBack();
  },
  // Removed, and put back by the one or the other means.
  async (deed, slot, _other, undo) => {
    await deed.savepoint('a');
    const held = await deed.lock([slot], 'UPDATE');
    if (held === undefined) return;
    await deed.query(`DELETE FROM slot WHERE id = ${slot}`);
    if (undo) await deed.rollBackTo('a');
    else await deed.query(`INSERT INTO slot VALUES (${slot}, ${held.count})`);
  },
];

export function newLocksBook(): Book {
  const register = new LockRegister();
  return {
    tables: ['turn', 'slot', 'bump'],
    setUp: async client => {
      await client.query('CREATE TABLE turn (client int, seq int, PRIMARY KEY (client, seq))');
      await client.query('CREATE TABLE slot (id int PRIMARY KEY, count int NOT NULL)');
      await client.query('CREATE TABLE bump (client int, seq int, slot int, fate text)');
      await client.query(`INSERT INTO slot SELECT n, 0 FROM generate_series(0, ${SLOTS - 1}) n`);
    },
    write: async (client, c, number) => {
      const slot = (number * 3 + c) % SLOTS;
      const other = (slot + 1 + (number % (SLOTS - 1))) % SLOTS;
      const deed = DEEDS[(number + c) % DEEDS.length]!;
      register.begin(c);
      const undo = Math.floor(number / DEEDS.length) % 2 === 1;
      try {
        await inTransaction(client, number, async () => {
          try {
            await deed(new Deed(client, c, number, register), slot, other, undo);
            await client.query(`INSERT INTO turn VALUES (${c}, ${number})`);
          } finally {
            register.ending(c);
          }
        });
      } finally {
        if (client.connected) register.ended(c);
      }
      register.committed(c);
    },
    has: entriesIn('turn').has,
    read: async (client, c) => {
      const [found] = await client.query(`SELECT seq FROM turn WHERE client = ${c}`);
      const there = new Set(found!.rows.map(row => Number(row[0])));
      const [bumps] = await client.query(`SELECT seq, fate FROM bump WHERE client = ${c}`);
      for (const [seq, fate] of bumps!.rows) {
        if (fate !== 'kept' || !there.has(Number(seq)))
          throw new Error(`client ${c}: a part of ${seq} that was ${fate}`);
      }
      return there;
    },
    balance: async client => {
      const [bumps] = await client.query('SELECT slot, count(*) FROM bump GROUP BY slot');
      const expected = new Array<number>(SLOTS).fill(0);
      for (const row of bumps!.rows) expected[Number(row[0])] = Number(row[1]);
      // Nobody is there any more: every row can be had.
      const [skipping] = await client.query('SELECT id, count FROM slot ORDER BY id FOR UPDATE SKIP LOCKED');
      const [slots] = await client.query('SELECT id, count FROM slot ORDER BY id FOR UPDATE NOWAIT');
      for (const { rows } of [skipping!, slots!]) {
        const counts = rows.map(row => Number(row[1]));
        if (String(counts) !== String(expected)) throw new Error(`slots ${counts.join()} and not ${expected.join()}`);
      }
    },
  };
}
