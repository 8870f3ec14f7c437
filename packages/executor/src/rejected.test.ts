/** Rows that a condition refused are not held over a suspension: their pages may be gone since the one before. */
import { expect, it } from 'vitest';
import { initPlan } from './execMain.ts';
import { HeadlessDatabase } from '@pgtroupe/testkit/sql/headless';

it('a scan that is suspended again and again between rows that pass', async () => {
  const db = await HeadlessDatabase.create({ misses: true });
  await db.run(`create table i (k int, v int, t text);
    insert into i select g, g * 10, repeat('x', g % 7 * 30) from generate_series(1, 400) g;
    create table j (k int, v int); insert into j select g, g * 10 from generate_series(1, 400) g`);
  const { rows } = await db.run('select a.k from i a where (select v from j b where b.k = a.k) % 130 = 0');
  expect(rows.map(([k]) => Number(k))).toEqual(Array.from({ length: 30 }, (_, n) => 13 * (n + 1)));
}, 60_000);

it('a scan whose projection is suspended and that is asked for more rows then', async () => {
  const db = await HeadlessDatabase.create({ misses: true });
  await db.run(`create table i (k int); insert into i select generate_series(1, 200);
    create table j (k int, v int); insert into j select g, g * 10 from generate_series(1, 200) g`);
  const plan = await db.plan('select k, (select v from j where j.k = i.k) from i');
  for (let few = 1; few < 12; few++) {
    const state = initPlan(db.env, plan);
    const { root } = state;
    const { next } = root;
    let asked = 0;
    root.next = () => next.call(root, asked++ < few ? 16 : 64);
    const { rows } = await db.execute(state, []);
    expect(rows).toEqual(Array.from({ length: 200 }, (_, n) => [String(n + 1), String(10 * (n + 1))]));
  }
}, 60_000);
