/**
 * Batches whose values are large end early: what was collected and not yet delivered comes with the next one, whether or not
 * something suspends in between.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { HeadlessDatabase } from '@pgtroupe/testkit/sql/headless';

const N = 200;
const sum = (n: number): number => (n * (n + 1)) / 2;

describe.each([{ misses: false }, { misses: true }])('batches of large values, misses: $misses', ({ misses }) => {
  let db: HeadlessDatabase;

  beforeAll(async () => {
    db = await HeadlessDatabase.create({ misses });
    await db.run(`create table n (k int, j int); insert into n select g, ${N} + 1 - g from generate_series(1, ${N}) g`);
  }, 60_000);

  test.each([
    // A scan of a table, with and without a condition.
    [
      'select sum(k), count(x) from (select k, lpad(k::text, 300000) as x from n offset 0) s where x::int = k',
      sum(N),
      N,
    ],
    [
      'select sum(k), count(x) from (select k, lpad(k::text, 300000) as x from n where k % 2 = 0 offset 0) s where x::int = k',
      2 * sum(N / 2),
      N / 2,
    ],
    // Two large columns, the second of which ends the batch.
    [
      'select sum(k), count(x) from (select k, j, lpad(k::text, 70000) as x, lpad(j::text, 300000) as y from n offset 0) s where x::int + y::int = k + j',
      sum(N),
      N,
    ],
    // A volatile one: row by row.
    [
      'select sum(k), count(x) from (select k, lpad(k::text, 300000) || left(random()::text, 0) as x from n offset 0) s where x::int = k',
      sum(N),
      N,
    ],
    // Joins.
    [
      'select sum(k), count(x) from (select a.k, lpad(b.k::text, 300000) as x from n a join n b on a.k = b.j offset 0) s where x::int = 201 - k',
      sum(N),
      N,
    ],
    [
      'select sum(k), count(x) from (select a.k, lpad(b.k::text, 300000) as x from n a left join n b on a.k < b.k and b.k = a.j offset 0) s where x::int = 201 - k',
      sum(N / 2),
      N / 2,
    ],
    // A function, a set in the select list, a result above a sort.
    ['select count(*), count(x) from unnest(array(select lpad(k::text, 100000) from n)) x', N, N],
    [
      'select count(distinct x::int), count(x) from (select lpad(generate_series(1, 200)::text, 300000) as x offset 0) s',
      N,
      N,
    ],
    [
      'select sum(k), count(x) from (select k, lpad(k::text, 300000) as x from (select k from n order by j offset 0) o offset 0) s where x::int = k',
      sum(N),
      N,
    ],
    ['select count(distinct x::int), count(x) from (select lpad(k::text, 300000) as x from n limit 77) s', 77, 77],
  ])(
    '%s',
    async (sql, first, second) => {
      const { rows } = await db.run(sql);
      expect(rows.map(row => row.map(Number))).toEqual([[first, second]]);
    },
    60_000,
  );
});
