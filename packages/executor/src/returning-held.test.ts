/** RETURNING's rows that wait for more of them outlive what the next row waits for: their pages may be gone by then. */
import { expect, it } from 'vitest';
import { HeadlessDatabase } from '@pgtroupe/testkit/sql/headless';

it('a subquery that suspends in the second row leaves the first one what it was', async () => {
  const db = await HeadlessDatabase.create({ misses: true });
  await db.run(`create table t (k int primary key, x int); insert into t values (2, 0), (3, 0);
    create table i (k int, v int); insert into i select g, g * 10 from generate_series(1, 30) g`);
  // The turn ends at another step each time.
  for (let n = 0; n < 12; n++) {
    const { rows } = await db.run(`insert into t values (2, 9), (3, 9) on conflict (k) do update
      set (k, x) = (select excluded.k, excluded.x + max(v) from i where i.k = t.k) returning k, x`);
    expect(rows).toEqual([
      ['2', '29'],
      ['3', '39'],
    ]);
  }
});
