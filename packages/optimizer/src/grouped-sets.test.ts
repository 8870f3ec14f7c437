/**
 * What is grouped by is null in the grouping sets without it, whatever it is: a constant, one of two equal expressions, a
 * constant of a subquery that was merged. And what DISTINCT ON keeps is expanded by set-returning functions afterwards.
 */
import { beforeAll, expect, test } from 'vitest';
import { HeadlessDatabase } from '@pgtroupe/testkit/sql/headless';

let db: HeadlessDatabase;

beforeAll(async () => {
  db = await HeadlessDatabase.create();
  await db.run('create table t (a int, b int); insert into t values (1, 1), (1, 2), (2, 3)');
});

test.each([
  ['select a as x, a as y from t group by x, rollup(y) order by 1, 2', '1|1 1|NULL 2|2 2|NULL'],
  ["select 'x' as k, a, count(*) from t group by grouping sets (1, 2) order by 1, 2", 'x|NULL|3 NULL|1|2 NULL|2|1'],
  [
    "select k || '' as k, l from (select 'x' as k, 'x' as l, a from t group by cube (1, 2), a) s where a = 2 order by 1, 2",
    'x|x x|NULL NULL|x NULL|NULL',
  ],
  [
    "select a, x || 'y' from (select a, 'x'::text as x from t) s group by grouping sets (a, x) order by 1",
    '1|NULL 2|NULL NULL|xy',
  ],
  ["select a, x from (select a, 'x'::text as x from t) s group by grouping sets (a, x) having x = 'x'", 'NULL|x'],
  [
    'select coalesce(a, 9), k from (select a, 5 as k from t) s group by rollup (a, k) order by 1, 2',
    '1|5 1|NULL 2|5 2|NULL 9|NULL',
  ],
  ['select * from (select 1 as x, a from t group by grouping sets (1, 2)) s where x = 1 and a = 1', ''],
  [
    'select a, a + 0 as c, sum(count(*)) over (partition by a + 0) from t group by grouping sets ((1), (2)) order by 1, 2',
    '1|NULL|3 2|NULL|3 NULL|1|2 NULL|2|1',
  ],
  ['select distinct on (a) a, b, generate_series(1, 2) from t order by a, b desc', '1|2|1 1|2|2 2|3|1 2|3|2'],
  ['select distinct on (a) a, b, generate_series(1, 2) as g from t order by a, b desc, g desc', '1|2|2 2|3|2'],
  ['select distinct a, generate_series(1, 2) as g from t order by a, g', '1|1 1|2 2|1 2|2'],
])('%s', async (sql, expected) => {
  const { rows } = await db.run(sql);
  expect(rows.map(row => row.map(v => v ?? 'NULL').join('|')).join(' ')).toBe(expected);
});
