/**
 * One row that everybody wants, in every mode: those who wait for it queue for its tuple lock, some of them while they
 * share the row. It counts what was done to it, under locks that must not get lost; who shares it and wants more meets
 * others who do, so that there are deadlocks.
 */
import { ServerError, type SimClient } from './client.ts';
import { type Book, entriesIn, inTransaction, RolledBack } from './ledger.ts';

const LOCK_NOT_AVAILABLE = '55P03';

/** The row's count, with its lock. It may be gone when it was waited for: another has put one in its place. */
async function counted(client: SimClient, how: string): Promise<number> {
  const [found] = await client.query(`SELECT count FROM queue WHERE id = 0 FOR ${how}`);
  if (found!.rows.length === 0) throw new RolledBack();
  return Number(found!.rows[0]![0]);
}

async function count(client: SimClient, value: string): Promise<void> {
  const [changed] = await client.query(`UPDATE queue SET count = ${value} WHERE id = 0`);
  if (changed!.tag === 'UPDATE 0') throw new RolledBack();
}

/** What transactions do with the row, in turn; who did not count answers false. */
const DEEDS: readonly ((client: SimClient) => Promise<boolean>)[] = [
  async client => {
    const before = await counted(client, 'UPDATE');
    await count(client, String(before + 1));
    return true;
  },
  async client => {
    await count(client, 'count + 1');
    return true;
  },
  // Shared first: whoever does not share it waits behind who does, also when that one wants more.
  async client => {
    const before = await counted(client, 'SHARE');
    await client.query('SAVEPOINT more');
    await count(client, String(before + 1));
    return true;
  },
  async client => {
    await counted(client, 'KEY SHARE');
    const before = await counted(client, 'NO KEY UPDATE');
    await count(client, String(before + 1));
    return true;
  },
  // Had and given back.
  async client => {
    await client.query('SAVEPOINT more');
    await counted(client, 'UPDATE');
    await client.query('ROLLBACK TO SAVEPOINT more');
    return false;
  },
  // Waits no longer than this, in a savepoint: the transaction goes on without it.
  async client => {
    await client.query("SAVEPOINT brief; SET LOCAL lock_timeout = '4ms'");
    try {
      await counted(client, 'UPDATE');
      await client.query('SET LOCAL lock_timeout = 0');
    } catch (error) {
      if (!(error instanceof ServerError) || error.sqlstate !== LOCK_NOT_AVAILABLE) throw error;
      await client.query('ROLLBACK TO SAVEPOINT brief');
    }
    return false;
  },
  // Gone and put back, under another's eyes.
  async client => {
    const [gone] = await client.query('DELETE FROM queue WHERE id = 0 RETURNING count');
    if (gone!.rows.length === 0) throw new RolledBack();
    await client.query(`INSERT INTO queue VALUES (0, ${Number(gone!.rows[0]![0]) + 1})`);
    return true;
  },
];

export const queueBook: Book = {
  tables: ['queue', 'queued'],
  setUp: async client => {
    await client.query('CREATE TABLE queue (id int, count int NOT NULL)');
    await client.query('CREATE TABLE queued (client int, seq int, counts bool, PRIMARY KEY (client, seq))');
    await client.query('INSERT INTO queue VALUES (0, 0)');
  },
  write: async (client, c, number) => {
    const deed = DEEDS[(number + c) % DEEDS.length]!;
    await inTransaction(client, number, async () => {
      const counts = await deed(client);
      await client.query(`INSERT INTO queued VALUES (${c}, ${number}, ${counts})`);
    });
  },
  ...entriesIn('queued'),
  balance: async client => {
    const [all] = await client.query('SELECT count(*) FROM queued WHERE counts');
    const [rows] = await client.query('SELECT count FROM queue FOR UPDATE NOWAIT');
    const counts = rows!.rows.map(row => row[0]).join();
    if (counts !== all!.rows[0]![0]) throw new Error(`the row counts ${counts}, and it was ${all!.rows[0]![0]} times`);
  },
};
