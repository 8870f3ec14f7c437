/**
 * Ordered-set and hypothetical-set aggregates: what PostgreSQL 15 answers.
 */
import { PgError } from '@pgtroupe/common/ereport';
import { HeadlessDatabase } from '@pgtroupe/testkit/sql/headless';
import { beforeAll, expect, test } from 'vitest';

let db: HeadlessDatabase;

beforeAll(async () => {
  db = await HeadlessDatabase.create();
  await db.run(`create table o (g int, x int, t text, i interval);
    insert into o select n % 3, nullif(n * 7 % 10, 3), chr(97 + n * 5 % 4), n % 5 * interval '1 day 3 hours' from generate_series(1, 20) n`);
});

async function answer(sql: string): Promise<string> {
  try {
    const { rows } = await db.run(sql);
    return rows.map(row => row.map(v => v ?? 'NULL').join('|')).join(' ');
  } catch (error) {
    if (error instanceof PgError) return `E ${error.sqlstate} ${error.message}`;
    throw error;
  }
}

test.each([
  [
    'select percentile_disc(0.5) within group (order by x), percentile_disc(0) within group (order by t desc), percentile_disc(1) within group (order by i) from o',
    '5|d|4 days 12:00:00',
  ],
  [
    'select percentile_cont(0.5) within group (order by x), percentile_cont(0.3) within group (order by i), percentile_cont(null) within group (order by x) from o',
    '5|1 day 03:00:00|NULL',
  ],
  [
    "select percentile_disc('{0.1,NULL,0.9}'::float8[]) within group (order by x), percentile_disc('{{0,1},{0.5,0.25}}'::float8[]) within group (order by t), percentile_cont('{0.25,0.75}'::float8[]) within group (order by x) from o",
    '{0,NULL,9}|{{a,d},{b,a}}|{2,7}',
  ],
  [
    "select percentile_cont('[0:1]={0.25,0.75}'::float8[]) within group (order by i), percentile_disc('{}'::float8[]) within group (order by x), percentile_disc(null::float8[]) within group (order by x) from o",
    '[0:1]={"1 day 03:00:00","3 days 09:00:00"}|{}|NULL',
  ],
  [
    'select mode() within group (order by x), mode() within group (order by t desc), mode() within group (order by x desc) filter (where x < 0) from o',
    '0|d|NULL',
  ],
  [
    'select rank(5) within group (order by x), dense_rank(5) within group (order by x), percent_rank(5) within group (order by x), cume_dist(5) within group (order by x) from o',
    '9|5|0.4|0.5238095238095238',
  ],
  [
    "select rank(5, 'b') within group (order by x desc, t), dense_rank(null, 'b') within group (order by x nulls first, t), cume_dist(null) within group (order by x), rank(99) within group (order by x) filter (where x > 100) from o",
    '11|1|1|1',
  ],
  [
    'select g, percentile_disc(0.5) within group (order by x), percentile_cont(g / 3.0) within group (order by x), mode() within group (order by t) from o group by g order by g',
    '0|4|1|c 1|2|1.6666666666666665|a 2|6|7|a',
  ],
  [
    'select percentile_disc(0.5) within group (order by x), percentile_cont(0.5) within group (order by x), mode() within group (order by x), rank(1) within group (order by x), percent_rank(1) within group (order by x), cume_dist(1) within group (order by x) from o where false',
    'NULL|NULL|NULL|1|0|1',
  ],
  [
    'select g, (select percentile_disc(0.5) within group (order by p.x + o.g) from o p) from o group by g order by g',
    '0|5 1|6 2|7',
  ],
  [
    'select percentile_disc(1.5) within group (order by x) from o',
    'E 22003 percentile value 1.5 is not between 0 and 1',
  ],
  [
    "select percentile_cont('{0.5,-1e-7}'::float8[]) within group (order by x) from o",
    'E 22003 percentile value -1e-07 is not between 0 and 1',
  ],
  [
    "select percentile_cont('nan') within group (order by x) from o where false",
    'E 22003 percentile value NaN is not between 0 and 1',
  ],
  ["select percentile_cont('{2}'::float8[]) within group (order by x) from o where false", 'NULL'],
  [
    'select percentile_disc(1000000) within group (order by x) from o',
    'E 22003 percentile value 1e+06 is not between 0 and 1',
  ],
  ["select rank('x') within group (order by x) from o", 'E 22P02 invalid input syntax for type integer: "x"'],
  [
    'select rank(1,2) within group (order by x) from o',
    'E 42883 function rank(integer, integer, integer) does not exist',
  ],
  [
    'select percentile_cont(0.5) within group (order by t) from o',
    'E 42883 function percentile_cont(numeric, text) does not exist',
  ],
  [
    'select g, percentile_cont(x) within group (order by x) from o group by g',
    'E 42803 column "o.x" must appear in the GROUP BY clause or be used in an aggregate function',
  ],
  ['select sum(percentile_disc(0.5) within group (order by x)) over () from o group by g', '12 12 12'],
  [
    'select percentile_disc(0.5) within group (order by x, t) from o',
    'E 42883 function percentile_disc(numeric, integer, text) does not exist',
  ],
  ['select percentile_disc(0.5) within group (order by row(x, t)) from o', '(5,d)'],
  [
    `select g, rank(g) within group (order by x) from (values (2, 5), (2, 1), (1, 3), (0, 4), (1, 0)) v (g, x)
      group by grouping sets ((g), ()) order by g`,
    '0|1 1|2 2|2 NULL|6',
  ],
])('%s', async (sql, expected) => {
  expect(await answer(sql)).toBe(expected);
});
