/**
 * A subquery or volatile call remembers its value while its row is repeated, and not a row longer. Asked where
 * everything is at hand, and where every page misses and every third step ends the turn.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { HeadlessDatabase } from '@pgtroupe/testkit/sql/headless';

describe.each([{ misses: false }, { misses: true }])('remembered values, misses: $misses', ({ misses }) => {
  let db: HeadlessDatabase;

  beforeAll(async () => {
    db = await HeadlessDatabase.create({ misses });
    await db.run(`create table i (k int, v int); insert into i select g, g * 10 from generate_series(1, 30) g;
      create table t (k int primary key, x int);
      create table p (k int primary key); insert into p values (1), (2), (3);
      create view u as select 1 as k union all select 2 union all select 3`);
  }, 60_000);

  const rows = async (sql: string): Promise<string> =>
    (await db.run(sql)).rows.map(row => row.map(v => v ?? 'NULL').join('|')).join(' ');

  test.each([
    ['select array_agg((select i.v from i where i.k = u.k)) from u', '{10,20,30}'],
    ['select count(*) filter (where (select v from i where i.k = u.k) > 15) from u', '2'],
    ['select k % 2 g, sum((select v from i where i.k = u.k)) from u group by 1 order by 1', '0|20 1|40'],
    ['select count(distinct random()) from u', '3'],
    ['select sum(random()) <> sum(random()) from u', 't'],
    ['select k, sum((select v from i where i.k = p.k)) over (order by k) from p', '1|10 2|30 3|60'],
    ['select k, lag((select v from i where i.k = p.k)) over (order by k) from p', '1|NULL 2|10 3|20'],
    [
      'select k, dense_rank() over (order by k), lag((select v from i where i.k = p.k)) over (order by k) from p',
      '1|1|NULL 2|2|10 3|3|20',
    ],
    [
      'select k, sum((select v from i where i.k = p.k)) over (order by k rows between 1 preceding and current row) from p',
      '1|10 2|30 3|50',
    ],
    [
      'select k, sum(k) over (order by k rows between (select min(k) from i) preceding and current row) from p',
      '1|1 2|3 3|5',
    ],
    ['select count(distinct r) from (select first_value(random()) over (partition by k) r from u) q', '3'],
    [
      'select x.a, z.k from (values (1), (2)) x(a), lateral (select (select i.k from i where i.k = x.a) as k offset 0) z',
      '1|1 2|2',
    ],
    [
      'select u.k, g from u, lateral generate_series(1, (select v / 10 from i where i.k = u.k)) g',
      '1|1 2|1 2|2 3|1 3|2 3|3',
    ],
    ['select u.k, g from u, lateral generate_series(3, (select v / 10 from i where i.k = u.k)) g', '3|3'],
    ['select k from u where (select v from i where i.k = u.k) > 25', '3'],
    ['select a.k, b.k from u a join i b on (select v from i where i.k = a.k) = b.v order by 1', '1|1 2|2 3|3'],
    [
      'select k, q.c from u, lateral (select count(*) c from (select 1 from i limit (select v / 10 from i where i.k = u.k)) l) q',
      '1|1 2|2 3|3',
    ],
  ])('%s', async (sql, expected) => {
    expect(await rows(sql)).toBe(expected);
  });

  test('rows that are changed', async () => {
    expect(await rows('insert into t select k from u returning k, (select v from i where i.k = t.k)')).toBe(
      '1|10 2|20 3|30',
    );
    expect(
      await rows(`insert into t select k from u on conflict (k) do update
        set x = (select v from i where i.k = excluded.k) + 1 returning k, x`),
    ).toBe('1|11 2|21 3|31');
    expect(
      await rows(`insert into t select k from u on conflict (k) do update
        set x = t.x + 1 where (select v from i where i.k = t.k) > 15 returning k, x`),
    ).toBe('2|22 3|32');
    expect(
      await rows(`insert into t values (2, 9), (3, 9) on conflict (k) do update
        set (k, x) = (select excluded.k, excluded.x + max(v) from i where i.k = t.k) returning k, x`),
    ).toBe('2|29 3|39');
    expect(await rows('delete from t returning k, (select v from i where i.k = t.k)')).toMatch(/^(?:\d\|\d0 ?){3}$/);
  });
});
