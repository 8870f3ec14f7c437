/**
 * Data definition in the ledger. Every transaction enters its number in `deed` and in `hot`; between them,
 * `hot` is emptied and filled again, altered and locked in every mode, so that a lock that was given away too
 * early, or never given back, shows: both tables must have the same rows. Beside them tables come and go.
 */
import { type Book, entriesIn, inTransaction } from './ledger.ts';

const KINDS = 6;
/** Kinds of numbers that make a table, and how many numbers later it is dropped: long afterwards, and by the next but
 *  one (with its instance a client loses one), while what the dead did to it is still being put together. */
const LIVES: ReadonlyMap<number, number> = new Map([
  [3, 2 * KINDS],
  [4, 2],
]);
const ROWS = 40;

/** The number whose table this one drops. */
function dropOf(number: number): number | undefined {
  for (const [kind, life] of LIVES) if (number >= life && (number - life) % KINDS === kind) return number - life;
  return undefined;
}

const lists = (rows: readonly (readonly (string | null)[])[] | undefined): string =>
  (rows ?? []).map(row => row.join('/')).join();

export const ddlBook: Book = {
  tables: ['hot', 'deed'],
  setUp: async client => {
    await client.query('CREATE TABLE deed (client int, seq int, PRIMARY KEY (client, seq))');
    await client.query('CREATE TABLE hot (client int, seq int)');
  },
  write: async (client, c, number) => {
    const query = (sql: string): Promise<unknown> => client.query(sql);
    await inTransaction(client, number, async () => {
      switch (number % KINDS) {
        case 1: {
          // In place: nobody may see it empty, and no row may be written to the file that goes.
          const keep = `keep_${c}_${number}`;
          await query(`CREATE TABLE ${keep} (client int, seq int)`);
          await query('LOCK TABLE hot IN ACCESS EXCLUSIVE MODE');
          await query(`INSERT INTO ${keep} SELECT client, seq FROM hot`);
          await query('TRUNCATE hot');
          await query(`INSERT INTO hot SELECT client, seq FROM ${keep}`);
          await query(`DROP TABLE ${keep}`);
          break;
        }
        case 2:
          await query(`ALTER TABLE hot ADD COLUMN extra_${c} int`);
          await query(`ALTER TABLE hot DROP COLUMN extra_${c}`);
          break;
        case 4:
          await query('LOCK TABLE hot IN SHARE ROW EXCLUSIVE MODE');
          break;
      }
      if (LIVES.has(number % KINDS)) {
        await query(`CREATE TABLE l_${c}_${number} (id int PRIMARY KEY)`);
        await query(`INSERT INTO l_${c}_${number} SELECT generate_series(1, ${ROWS})`);
      }
      const old = dropOf(number);
      if (old !== undefined) await query(`DROP TABLE IF EXISTS l_${c}_${old}`);
      await query(`INSERT INTO hot VALUES (${c}, ${number})`);
      await query(`INSERT INTO deed VALUES (${c}, ${number})`);
    });
  },
  has: entriesIn('deed').has,
  read: async (client, c) => {
    const [found] = await client.query(`SELECT seq FROM deed WHERE client = ${c} ORDER BY seq`);
    const there = new Set(found!.rows.map(row => Number(row[0])));
    const made = [...there].filter(n => LIVES.has(n % KINDS));
    const [tables] = await client.query("SELECT relname FROM pg_class WHERE relkind = 'r'");
    const names = new Set(tables!.rows.map(row => row[0]!).filter(name => name.startsWith(`l_${c}_`)));
    for (const number of made) {
      const name = `l_${c}_${number}`;
      // The one that drops it is there, so it is not.
      const dropped = there.has(number + LIVES.get(number % KINDS)!);
      if (dropped === names.delete(name)) throw new Error(`${name} is in the wrong place`);
      if (dropped) continue;
      const [rows] = await client.query(`SELECT count(*) FROM ${name}`);
      if (rows!.rows[0]![0] !== String(ROWS)) throw new Error(`${rows!.rows[0]![0]} rows in ${name}`);
    }
    if (names.size > 0) throw new Error(`nobody made ${[...names].join()}`);
    return there;
  },
  balance: async client => {
    const [ledger] = await client.query('SELECT client, seq FROM deed ORDER BY client, seq');
    const [hot] = await client.query('SELECT client, seq FROM hot ORDER BY client, seq');
    if (lists(ledger?.rows) !== lists(hot?.rows))
      throw new Error(`hot has ${lists(hot?.rows)} and not ${lists(ledger?.rows)}`);
    const [kept] = await client.query("SELECT relname FROM pg_class WHERE relname LIKE 'keep%'");
    if (kept!.rows.length > 0) throw new Error(`${lists(kept?.rows)} should be gone`);
  },
};
