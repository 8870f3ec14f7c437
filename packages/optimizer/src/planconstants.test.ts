/**
 * Constant expressions fail before the first row, where PostgreSQL's planner would compute them: whether rows need them or
 * not, and not where AND, OR, CASE or COALESCE pass over them. Twice each: with literals, and with parameters, whose values
 * come when the plan is made.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { HeadlessDatabase } from '@pgtroupe/testkit/sql/headless';

let db: HeadlessDatabase;

beforeAll(async () => {
  db = await HeadlessDatabase.create();
  await db.run(`create table empty (x int, v varchar(3));
    create table one (x int, v varchar(3)); insert into one values (1, 'a')`);
});

/** Z stands for a zero, 1 and 2 for themselves. */
const LITERALS = (sql: string): string => sql.replace(/\bZ\b/g, '0');
const PARAMETERS = (sql: string): string => sql.replace(/\b[12Z]\b/g, number => `$${number === 'Z' ? 3 : number}::int`);

const FAILS = [
  'select 1 / Z from empty',
  'select x + 1 / Z from empty',
  'select x from empty where x = 1 / Z',
  'select x from empty where x = 1 / Z and 1 = 2',
  'select x from empty where 1 / Z = 1 or 1 = 1',
  'select case when x = 2 then 1 / Z else 1 end from empty',
  'select case when 1 = 2 then 1 / Z when x = 1 then 2 else 1 / Z end from one',
  'select coalesce(x, 1 / Z) from empty',
  'select nullif(x, 1 / Z) from empty',
  'select x in (1, 2, 1 / Z) from empty',
  'select x from empty where not (x = 2 and 1 / Z = 1)',
  'select (x = 1 and null) or 1 / Z = 1 from empty',
  'select (select 1 / Z from empty)',
  'select x from one where case when x = 2 then (select 1 / Z) = 1 else true end',
  'select x from one where x = 2 and exists (select 1 from empty where x = 2 / Z)',
  'with c as materialized (select 1 / Z from empty) select count(*) from c',
  'select sum(x) filter (where 1 / Z = 1) from empty',
  'select row_number() over (order by 1 / Z) from empty',
  'select x from empty group by x having 1 / Z > 1',
  'select 1 from empty join one on empty.x = 1 / Z',
  'insert into empty select 1 / Z where false',
  'update one set x = 1 / Z where x = 5',
  'delete from one where x = 7 and 1 / Z = 1',
  'select x from one union all select 1 / Z from empty',
  'select g from generate_series(1, 1 / Z) g where false',
];

const PASSES: [sql: string, rows: string][] = [
  ['select x from one where 1 = 2 and x = 1 / Z', ''],
  ['select x from one where 1 = 1 or 1 / Z = 1', '1'],
  ['select x from one where x = 1 and (1 = 1 or 1 / Z = 1)', '1'],
  ['select case when 1 = 1 then x else 1 / Z end from one', '1'],
  ['select case when 1 = 2 then 1 / Z when x = 1 then 2 else x end from one', '2'],
  ['select case 1 when 1 then 2 else 1 / Z end from one', '2'],
  ['select case 1 when 2 then 1 / Z else x end from one', '1'],
  ['select coalesce(1, 1 / Z) from one', '1'],
  ['select coalesce(null, 2, 1 / Z) from one', '2'],
  ['select x from one where case when 1 = 2 then (select 1 / Z) = 1 else true end', '1'],
  ['select x from one where 1 = 1 or (select 1 / Z) = 1', '1'],
  ['with c as (select 1 / Z) select x from one', '1'],
];

describe.each([LITERALS, PARAMETERS])('%o', written => {
  const run = async (sql: string): Promise<string> => {
    const { rows } = await db.run(written(sql), written === PARAMETERS ? [1, 2, 0] : []);
    return rows.map(row => row.map(v => v ?? 'NULL').join('|')).join(' ');
  };

  test.each(FAILS)('%s', async sql => {
    await expect(run(sql)).rejects.toThrow('division by zero');
  });

  test.each(PASSES)('%s', async (sql, rows) => {
    expect(await run(sql)).toBe(rows);
  });
});

test('a plan without such constants has none', async () => {
  for (const sql of [
    'select * from one where x = $1',
    'update one set x = x + $1::int where x = $2',
    'select v || $1::text from one where v like $2::text and x in ($3, 4) or x is null',
    'insert into one (x) values ($1)',
  ])
    expect((await db.plan(sql)).constants, sql).toEqual([]);
});

test('a value that is too long for a column that no row gets', async () => {
  await expect(db.run('update one set v = $1::text where x = 5', [Buffer.from('long')])).rejects.toThrow(
    'value too long for type character varying(3)',
  );
});

test('one NULL makes a condition false, whatever is known of the rest', async () => {
  const { rows } = await db.run('select x from one where x / (x - 1) = 1 and x <> null');
  expect(rows).toEqual([]);
  await expect(db.run('select (x / (x - 1) = 1 and x <> null) from one')).rejects.toThrow('division by zero');
});
