/**
 * Groups in a hash table are made anew for each outer row that a correlated subquery is asked for: an aggregate whose first
 * input is its first state forgets that it had one. A join's hash table is too, where its keys know the outer row.
 */
import { beforeAll, expect, test } from 'vitest';
import { HeadlessDatabase } from '@pgtroupe/testkit/sql/headless';

let db: HeadlessDatabase;

beforeAll(async () => {
  db = await HeadlessDatabase.create();
  await db.run(`create table t (a int, c text); insert into t select g % 7, chr(97 + g % 5) from generate_series(1, 24) g;
    create table o (id int primary key); insert into o select generate_series(1, 5)`);
});

test.each([
  'select id, (select max(c) from t where t.a = o.id group by a) from o order by id',
  'select id, (select c from (select a, max(c) as c from t group by a) v where v.a = o.id) from o order by id',
  'select id, (select sum(1) from (select distinct a, c from t) v where v.a = o.id) from o order by id',
])('%s', async sql => {
  const { rows } = await db.run(sql);
  expect(rows.filter(row => row[1] !== null).length).toBe(5);
});

test('a hash table whose keys know the outer row', async () => {
  const counts = async (sql: string): Promise<string> => (await db.run(sql)).rows.map(row => row[1]).join(' ');
  expect(
    await counts('select id, (select count(*) from t, o p where o.id + t.a = o.id + p.id) from o order by id'),
  ).toBe('18 18 18 18 18');
  // t.a is 0, 1 and 2 in 3, 4 and 4 rows; ids are 1 to 5.
  const sql = 'select id, (select count(*) from t, o p where t.a = p.id + o.id and p.id < 2) from o order by id';
  expect(await counts(sql)).toBe('4 4 3 3 3');
});
