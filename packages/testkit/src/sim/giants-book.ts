/**
 * Values that do not fit on a page, in the ledger: compressed, cut into chunks in a TOAST table, or both; made by the
 * server or sent by the client; kept by an UPDATE of another column, replaced, rolled back. What a value must be
 * follows from its row's seed and kind, so that a chunk which is lost or another's shows.
 */
import { createHash } from 'node:crypto';
import type { SimClient } from './client.ts';
import { type Book, entriesIn, inTransaction } from './ledger.ts';

const KINDS = 4;
const MEGABYTE = 1024 * 1024;
/** Every so many numbers one is as big as this. */
const RARE = 16;
/** Of md5 in hexadecimal. */
const DIGEST_CHARS = 32;

const md5 = (text: string): string => createHash('md5').update(text).digest('hex');

/** Digests one after the other: what no compression makes smaller. */
function noise(seed: number, digests: number): string {
  let text = '';
  for (let n = 1; n <= digests; n++) text += md5(`${seed}.${n}`);
  return text;
}

/** How the server is told to make the value, and the value. */
function giant(c: number, number: number): { readonly sql: string; readonly text: string } {
  const seed = number * 10 + c;
  const rare = number % RARE === RARE - 1;
  switch (number % KINDS) {
    case 0: {
      const digests = 80 + ((number * 131) % 400);
      return {
        sql: `(SELECT string_agg(md5('${seed}.' || n), '' ORDER BY n) FROM generate_series(1, ${digests}) n)`,
        text: noise(seed, digests),
      };
    }
    case 1: {
      const text = noise(seed, 100 + ((number * 67) % 300));
      return { sql: `'${text}'`, text };
    }
    case 2:
      return { sql: `repeat('${seed}', 3000)`, text: String(seed).repeat(3000) };
    default: {
      const digest = md5(String(seed));
      const times = Math.floor((rare ? MEGABYTE : 40_000) / DIGEST_CHARS);
      return { sql: `repeat('${digest}', ${times})`, text: digest.repeat(times) };
    }
  }
}

async function insert(client: SimClient, c: number, number: number, of: number): Promise<void> {
  await client.query(`INSERT INTO giant VALUES (${c}, ${number}, ${of}, 0, ${giant(c, of).sql}, 'x')`);
}

export const giantsBook: Book = {
  tables: ['giant'],
  setUp: async client => {
    await client.query(
      'CREATE TABLE giant (client int, seq int, made int, changes int, big text, small text, PRIMARY KEY (client, seq))',
    );
    // Some megabytes that no compression touches.
    await client.query('ALTER TABLE giant ALTER COLUMN small SET STORAGE EXTERNAL');
  },
  write: async (client, c, number) => {
    await inTransaction(client, number, async () => {
      await insert(client, c, number, number);
      if (number % 3 === 0) {
        await client.query('SAVEPOINT s');
        await insert(client, c, -1, number + 1);
        await client.query(
          `UPDATE giant SET big = ${giant(c, number + 2).sql} WHERE client = ${c} AND seq >= ${number - 3}`,
        );
        await client.query('ROLLBACK TO SAVEPOINT s');
      }
      await client.query(`UPDATE giant SET changes = changes + 1 WHERE client = ${c} AND seq = ${number - 1}`);
      await client.query(
        `UPDATE giant SET big = ${giant(c, number).sql}, made = ${number}, small = repeat('y', 5000) WHERE client = ${c} AND seq = ${number - 2}`,
      );
      await client.query(
        `UPDATE giant SET big = '', made = -1, small = '' WHERE client = ${c} AND seq = ${number - 4}`,
      );
    });
  },
  has: entriesIn('giant').has,
  read: async (client, c) => {
    const [found] = await client.query(
      `SELECT seq, made, md5(big), md5(small) FROM giant WHERE client = ${c} ORDER BY seq`,
    );
    const there = new Set<number>();
    for (const [seq, made, big, small] of found!.rows) {
      const number = Number(seq);
      there.add(number);
      const expected = made === '-1' ? '' : giant(c, Number(made)).text;
      if (big !== md5(expected)) throw new Error(`client ${c}: the big value of ${number} is not that of ${made}`);
      const little = made === '-1' ? '' : made === seq ? 'x' : 'y'.repeat(5000);
      if (small !== md5(little))
        throw new Error(`client ${c}: the small value of ${number}, made by ${made}, is that of ${small}`);
    }
    return there;
  },
  balance: async client => {
    const [rows] = await client.query('SELECT client, seq, length(big) FROM giant WHERE changes > 1');
    if (rows!.rows.length > 0) throw new Error(`changed twice: ${rows!.rows.map(row => row.join('/')).join()}`);
  },
};
