/**
 * What an aggregate makes of much that it gathered is made in slices: the statement gives way in the middle and goes on there, for each of its
 * aggregates, each group and each row of a window.
 */
import { beforeAll, expect, test, vi } from 'vitest';
import { HeadlessDatabase } from '@pgtroupe/testkit/sql/headless';

const N = 30_000;
const series = `generate_series(1, ${N}) g`;
let db: HeadlessDatabase;

beforeAll(async () => {
  db = await HeadlessDatabase.create({ misses: true });
}, 60_000);

test.each<[string, (string | null)[][]]>([
  [`select cardinality(array_agg(g)), cardinality(array_agg(nullif(-g, -5))) from ${series}`, [['30000', '30000']]],
  [
    `select g % 2, cardinality(array_agg(g)), (array_agg(g))[1] from ${series} group by 1 order by 1`,
    [
      ['0', '15000', '2'],
      ['1', '15000', '1'],
    ],
  ],
  [`select array_length(array_agg(array[g, -g]), 1) from ${series}`, [['30000']]],
  [
    `select cardinality(array_agg(distinct g % 7)), (array_agg(g order by g % 9 desc, g))[3334] from ${series}`,
    [['7', '7']],
  ],
  [`select jsonb_agg(g) -> -1, jsonb_object_agg(g % 5000, g) -> '7' from ${series}`, [['30000', '25007']]],
  [
    "select length(string_agg(repeat('x', 1000), '-' order by g)), length(json_agg(repeat('x', 1000))::text) from generate_series(1, 6000) g",
    [['6005999', '6024000']],
  ],
  [
    'select max(cardinality(a)) from (select array_agg(g) over (order by g rows between 10100 preceding and current row) a from generate_series(1, 10104) g) s',
    [['10101']],
  ],
])(
  '%s',
  async (sql, expected) => {
    expect((await db.run(sql)).rows).toEqual(expected);
  },
  60_000,
);

test.each([
  'select array_agg(a) is null from (select array_fill(g, array[500000]) a from generate_series(1, 3) g) s',
  "select string_agg(a, '') is null from (select repeat('x', 20000000) a) s",
  "select json_agg(a) is null from (select repeat('x', 20000000) a) s",
])(
  '%s gives way, though its rows are few',
  async sql => {
    const asked = vi.spyOn(db.env, 'shouldYield');
    await db.run(sql);
    expect(asked.mock.calls.length).toBeGreaterThan(15);
    asked.mockRestore();
  },
  60_000,
);
