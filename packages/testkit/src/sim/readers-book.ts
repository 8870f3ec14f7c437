/**
 * Readers that look for a while: what a REPEATABLE READ transaction saw first it sees until its end, while others
 * update the same rows, roll back, and clean up. The rows are always as many.
 */
import type { SimClient } from './client.ts';
import { type Book, entriesIn, inTransaction, rollBack } from './ledger.ts';

const ROWS = 40;
const SHARES = 4;
/** How often a reader looks. */
const LOOKS = 4;
const PAUSE_SECONDS = 0.008;

async function picture(client: SimClient): Promise<string> {
  const [found] = await client.query('SELECT id, value FROM still');
  return found!.rows
    .map(row => row.join())
    .sort()
    .join(' ');
}

/** Looks, and looks again. */
async function look(client: SimClient, long: boolean): Promise<void> {
  const first = await picture(client);
  for (let n = 1; n < LOOKS; n++) {
    if (long) await client.query(`SELECT pg_sleep(${PAUSE_SECONDS})`);
    const again = await picture(client);
    if (again !== first) throw new Error(`a REPEATABLE READ transaction saw ${first}\nand then ${again}`);
  }
  const rows = first.split(' ').length;
  if (rows !== ROWS) throw new Error(`a REPEATABLE READ transaction saw ${rows} of ${ROWS} rows`);
}

export const readersBook: Book = {
  tables: ['still', 'looked'],
  setUp: async client => {
    await client.query('CREATE TABLE looked (client int, seq int, PRIMARY KEY (client, seq))');
    await client.query('CREATE TABLE still (id int, value int)');
    await client.query(`INSERT INTO still SELECT n, 0 FROM generate_series(1, ${ROWS}) n`);
  },
  write: async (client, c, number) => {
    const enter = `INSERT INTO looked VALUES (${c}, ${number})`;
    const update = `UPDATE still SET value = value + 1 WHERE id % ${SHARES} = ${(number + c) % SHARES}`;
    switch ((number + c) % 5) {
      case 0:
      case 1:
        return inTransaction(
          client,
          number,
          async () => {
            await look(client, number % 3 === 0);
            await client.query(enter);
          },
          'BEGIN ISOLATION LEVEL REPEATABLE READ',
        );
      case 2:
        return inTransaction(client, number, async () => {
          await client.query(update);
          await client.query(enter);
        });
      case 3:
        await client.query('BEGIN');
        try {
          await client.query(update);
        } finally {
          await rollBack(client);
        }
        await client.query(enter);
        return;
      default:
        await client.query('VACUUM still');
        await client.query(enter);
    }
  },
  ...entriesIn('looked'),
  balance: async client => {
    const rows = (await picture(client)).split(' ').length;
    if (rows !== ROWS) throw new Error(`there are ${rows} of ${ROWS} rows`);
  },
};
