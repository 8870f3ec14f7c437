/**
 * What PostgreSQL does not evaluate is not evaluated: cheap conditions come before dear ones, columns of a subquery that
 * nobody reads are not computed. It is seen where the evaluation would fail.
 */
import { beforeAll, expect, test } from 'vitest';
import { HeadlessDatabase } from '@pgtroupe/testkit/sql/headless';

let db: HeadlessDatabase;

beforeAll(async () => {
  db = await HeadlessDatabase.create();
  await db.run(`create table a (id int primary key, x int, n numeric);
    insert into a values (1, 0, 'NaN'), (2, 5, 2), (3, null, 3);
    create table b (id int, y int); insert into b values (1, 1), (2, 5), (3, 9)`);
});

const rows = async (sql: string): Promise<string> =>
  (await db.run(sql)).rows.map(row => row.map(v => v ?? 'NULL').join('|')).join(' ');

test.each([
  // The condition with fewer calls is asked first, wherever it stands.
  ['select id from a where 10 / x = 2 and x <> 0', '2'],
  ['select id from a where 10 / abs(x) = 2 and x > 0', '2'],
  ['select id from a where n::int = 2 and id > 1', '2'],
  ['select id from a where (1, id) in ((sign(n)::int, x - 3))', '2'],
  ['select a.id, b.id from a left join b on 10 / (a.x * b.y) = 2 and null::bool order by 1', '1|NULL 2|NULL 3|NULL'],
  ['select x from a group by x having 10 / sum(x) = 2 and max(x) > 0', '5'],
  ['select 1 where 10 / (select x from a where id = 1) = 2 and (select false)', ''],
  // No group is wanted: no row is read.
  ['select count(*) from a where 10 / x = 2 having null::bool', ''],
  ['select 1 from a where 10 / x = 2 having 1 = 2 and sum(1) > 0', ''],
  ['select count(*) from a where id > 1 having 1 = 1', '2'],
  // No row is wanted: none is skipped.
  ['select 10 / x from a limit 0', ''],
  ['select 10 / x from a order by n offset 2 limit 0', ''],
])('%s', async (sql, expected) => {
  expect(await rows(sql)).toBe(expected);
});

test.each([
  ['select 1 from (select 10 / min(x) as d from a) s', '1'],
  ['select d.id from (select id, array_agg(2147483647 + 1) as l from a group by id) d order by 1', '1 2 3'],
  ['select s.i from (select distinct on (id) id as i, 1 / 0 as z from a order by id) s', '1 2 3'],
  ['select s.i from (select id as i, 10 / x as z from a order by id offset 0) s', '1 2 3'],
])('%s', async (sql, expected) => {
  expect(await rows(sql)).toBe(expected);
});

test.each([
  'select s.i from (select distinct id as i, 10 / x as z from a) s',
  'select s.i from (select id as i, 10 / x as z from a order by z offset 0) s',
  'select s from (select id as i, 10 / x as z from a offset 0) s',
  'select s.i from (select id as i, 10 / x as z from a offset 0) s where s.z > 0',
  'select b.id from b join (select id as i, 10 / x as z from a offset 0) s on s.i = b.id and s.z < b.y',
  'select s.i, (select s.z) from (select id as i, 10 / x as z from a offset 0) s',
  // Of a strict call every argument, though one before it is null.
  'select x + 10 / (id - 3) from a where id = 3',
  'select substr(x::text, 1, 10 / (id - 3)) from a where id = 3',
  'select make_time(x, 1, 10 / (id - 3)) from a where id = 3',
  "select overlay(x::text placing 'a' from 1 for 10 / (id - 3)) from a where id = 3",
  'select x = any (array[10 / (id - 3)]) from a where id = 3',
  "select 10 / (id - 3) = any ('{}'::int[]) from a where id = 3",
  'select generate_series(x, 10 / (id - 3)) from a where id = 3',
  'select l.* from (select id as i, 10 / x as z from a offset 0) s, lateral (select s.z offset 0) l',
])('%s computes it', async sql => {
  await expect(rows(sql)).rejects.toThrow('division by zero');
});

test('a constant costs no row anything, though its parameters come later', async () => {
  const sql = 'select id from a where 10 / x = 2 and x <> length(lower(upper(reverse($1::text))))';
  expect((await db.run(sql, [new Uint8Array(0)])).rows).toEqual([['2']]);
});
