/**
 * No condition gets lost on its way to a plan: conditions without columns, equalities whose sides need several
 * relations, equalities that follow from others. Each answer is right by arithmetic, so nobody need be asked.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { HeadlessDatabase } from '@pgtroupe/testkit/sql/headless';

let db: HeadlessDatabase;

beforeAll(async () => {
  db = await HeadlessDatabase.create();
  await db.run(`create table a (id int primary key, x int); create table b (id int, y int);
    insert into a values (1, 1), (2, 2), (3, 3); insert into b values (1, 1), (2, 5), (3, 9)`);
});

const rows = async (sql: string): Promise<string> =>
  (await db.run(sql)).rows.map(row => row.map(v => v ?? 'NULL').join('|')).join(' ');

describe('conditions without columns', () => {
  test.each([
    ['select id from a where 1 = 0', ''],
    ['select id from a where 1 = 0 and x = 1', ''],
    ["select count(*) from a where 'ab' = 'x1'", '0'],
    ['select id from a where (select 1) = 2', ''],
    ["select id from a where current_user = 'nobody'", ''],
    ['select id from a where exists (select 1 from b where 1 = 2)', ''],
    ['select id from a where not exists (select 1 from b where 1 = 2) order by id', '1 2 3'],
    ['select id from a where id in (select id from b where 1 = 2)', ''],
    ['select g from generate_series(1, 3) g where 1 = 2', ''],
    ['select a.id, b.id from a left join b on 1 = 2 order by 1', '1|NULL 2|NULL 3|NULL'],
    ['select id, (select count(*) from b where a.id = a.x) from a order by 1', '1|3 2|3 3|3'],
    ['select id, (select count(*) from b where a.id = 2) from a order by 1', '1|0 2|3 3|0'],
    [
      'select a.id, l.id from a left join lateral (select b.id from b where a.id = 2 order by 1 limit 1) l on true order by 1',
      '1|NULL 2|1 3|NULL',
    ],
    ['select x, count(*) from a group by x having 1 = 2', ''],
    ['select id from a where not (row(x, null) is null) order by id', '1 2 3'],
    ['select id from a where not (row(x, null) is not null) order by id', '1 2 3'],
    ['select id from a where not (not (row(x, null) is null) or x = 1) order by id', ''],
    ['update a set x = 9 where 1 = 0 returning id', ''],
    ['delete from a where 1 = 0 returning id', ''],
    ['insert into b select id, x from a where 1 = 2 returning id', ''],
  ])('%s', async (sql, expected) => {
    expect(await rows(sql)).toBe(expected);
  });
});

describe('equalities of two relations', () => {
  test.each([
    // A full join of what knows the row outside, for each anew.
    [
      'select a.id, l.v, b.id from a, lateral (select a.x + 1 as v offset 0) l full join b on l.v = b.id order by 1, 2, 3',
      '1|2|2 1|NULL|1 1|NULL|3 2|3|3 2|NULL|1 2|NULL|2 3|4|NULL 3|NULL|1 3|NULL|2 3|NULL|3',
    ],
    ['select a.id from a join b on a.id = b.id where a.x + b.y = a.id + b.id', '1'],
    ['select a.id from a join b on a.id = b.id where a.x + b.y = b.y + a.id order by 1', '1 2 3'],
    ['select a.id, b.id from a, b where a.x * b.y = b.id * a.id order by 1, 2', '1|1 2|1 3|1'],
    ['select a.id, b.id from a left join b on a.id + b.id = a.x * b.y order by 1, 2', '1|NULL 2|NULL 3|NULL'],
    ['select a.id, b.id from a, b where a.id + b.id = 4 order by 1, 2', '1|3 2|2 3|1'],
    ['select a.id, b.id, c.id from a, b, a c where a.id + b.id = c.id order by 1, 2', '1|1|2 1|2|3 2|1|3'],
    ['select count(*) from a, b, a c where a.id + b.id + c.id = a.x * b.y * c.x', '2'],
    // An index condition of the same class is not all that the class says.
    ['select a.id, b.id from b, a where a.id = b.id and a.id = a.x * b.y order by 1', '1|1'],
    ['select a.id, b.id from b, a where a.id = b.id and b.id = a.x * b.y and a.x + b.y = b.id + 1', '1|1'],
    ['delete from a using b where a.id = b.id and a.x + b.y = a.id + b.id + 100 returning a.id', ''],
    ['update a set x = 0 from b where a.id + b.id = a.x * b.y + 50 returning a.id', ''],
  ])('%s', async (sql, expected) => {
    expect(await rows(sql)).toBe(expected);
  });
});

test('the condition of an outer join over the inner side of another stays at its join', async () => {
  const from = `from a left join (select 2 as k from b) l on true left join (select 2 as k from b where id > 5) r on l.k = r.k`;
  expect(await rows(`select count(*) ${from}`)).toBe('9');
  const grouped = `from a left join lateral (select 2 as k from b) l on true
    left join (select 2 as k from b group by y having false) r on l.k = r.k`;
  expect(await rows(`select count(*) ${grouped}`)).toBe('9');
});

test('methods that are switched off are not used where there is another, and answers stay', async () => {
  const sql = 'select a.id, b.y from a join b on a.id = b.id order by 1';
  const answer = await rows(sql);
  expect((await db.explain(sql)).join()).toContain('Hash Join');
  db.disabled = new Set(['hashjoin']);
  expect((await db.explain(sql)).join()).toContain('Nested Loop');
  expect(await rows(sql)).toBe(answer);
  db.disabled = new Set(['nestloop', 'seqscan']);
  const plan = (await db.explain(sql)).join();
  expect(plan).toContain('Hash Join');
  expect(plan).toContain('Index Scan');
  expect(await rows(sql)).toBe(answer);
  db.disabled = new Set();
});
