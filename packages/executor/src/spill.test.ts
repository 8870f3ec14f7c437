/**
 * What does not fit into work_mem goes to temporary files: the same rows come back, in the same order, and no file stays. Asked
 * twice, on an easy page store and on one where everything misses.
 */
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { HeadlessDatabase } from '@pgtroupe/testkit/sql/headless';

const LITTLE = 64 << 10;
const NEXT_TO_NOTHING = 2 << 10;
const PLENTY = 64 << 20;

describe.each([{ misses: false }, { misses: true }])('little work_mem, misses: $misses', ({ misses }) => {
  let db: HeadlessDatabase;

  beforeAll(async () => {
    db = await HeadlessDatabase.create({ misses });
    db.disabled = new Set(['nestloop']);
    await db.run(`create table t (id int primary key, a int, b text, c float8);
      insert into t select g, g * 7919 % 1000, case when g % 5 = 0 then null else md5((g % 300)::text) end, g / 3.0
        from generate_series(1, 3000) g;
      create table u (id int, k int, n text);
      insert into u select nullif(g % 2900, 7), g * 31 % 1200, md5((g % 300)::text) from generate_series(1, 3100) g;
      create table one (id int, x int);
      insert into one select g, case when g % 40 = 0 then null when g % 13 = 0 then g else 1 end from generate_series(1, 60) g;
      create table many (id int, x int);
      insert into many select g, case when g % 70 = 0 then null when g % 17 = 0 then g else 1 end from generate_series(1, 2500) g;
      create table wide (id int, w text);
      insert into wide select g, repeat(chr(97 + g % 26), 200000 + g) from generate_series(1, 12) g`);
  }, 60_000);

  const asked = async (sql: string, bytes: number): Promise<string[]> => {
    db.env.workMemBytes = bytes;
    return (await db.run(sql)).rows.map(row => row.map(v => v ?? 'NULL').join('|'));
  };

  /** Its files; the same rows as with plenty of memory. */
  const spills = async (sql: string, ordered = true, little = LITTLE): Promise<number> => {
    const whole = await asked(sql, PLENTY);
    const { made } = db.env.temp;
    const spilled = await asked(sql, little);
    if (ordered) expect(spilled).toEqual(whole);
    else expect(spilled.sort()).toEqual(whole.sort());
    return db.env.temp.made - made;
  };

  afterEach(() => {
    expect(db.env.temp.open).toBe(0);
    expect(db.env.arena.used).toBe(0);
  });

  test.each([
    'select * from t order by a, id',
    'select id, a from t order by a',
    'select id, b from t order by b desc',
    'select id, b from t order by b nulls first, c desc',
    'select id, b from t order by b desc nulls last, a desc, id',
    'select c, b, a from t order by c desc',
    'select a, b, c + 1 from t order by c + 1 desc, b',
    "select id from t where b > '3' order by b, a",
    'select id, left(w, 10), length(w) from wide order by w desc',
  ])('%s', async sql => {
    expect(await spills(sql)).toBeGreaterThan(0);
  });

  test.each([
    'select id, count(*), sum(a), min(b) from t group by id',
    'select b, c, count(*), sum(a), avg(a), string_agg(b, $$,$$) from t group by b, c',
    'select distinct c, b from t',
    'select id % 1500 as k, sum(a) filter (where a > 10), count(b), max(c) from t group by 1 having count(*) > 1',
    'select id % 1500 as k, array_agg(a), bool_or(a > 5), stddev(c) from t group by 1',
    'select a, id, count(*), grouping(a, id) from t group by grouping sets ((a), (id), (a, id), ())',
    'select left(v, 3), length(v), n from (select w || $$x$$ as v, count(*) as n from wide group by 1) x',
    'select id from t union select a from t',
    'select id, b from t intersect select id, n from u',
    'select id, b from t except select id, n from u where id % 3 = 0',
    'select a, b from t intersect all select k, n from u',
    'select id % 700 as i, null from t except all select id, null from u',
    'select c::numeric from t intersect select c::numeric(20, 1) from t where id % 3 = 0',
  ])('%s', async sql => {
    expect(await spills(sql, false)).toBeGreaterThan(0);
  });

  test.each([
    'select t.id, t.b, u.id, u.n from t join u on t.id = u.id',
    'select t.id, u.n, u.k from t join u on t.a = u.k where t.id < u.id',
    'select t.id, t.a + 1, u.n from t left join u on t.id = u.id',
    'select t.id, u.n from t right join u on t.id = u.id and t.a % 3 <> u.k % 3',
    'select t.id, u.n from t full join u on t.id = u.id',
    'select t.id from t where id in (select k from u)',
    'select t.id, b from t where exists (select from u where u.n = t.b and u.id > t.id)',
    'select t.id from t where not exists (select from u where u.id = t.id and u.k > 3)',
    'select t.id, u.id from t join u on t.b = u.n where t.id % 3 = 0 and u.id < 300',
    'select x.id, x.m, u.id from (select id, max(a) as m from t group by id) x join u using (id)',
    'select t.ctid, u.ctid, t.tableoid::regclass, u from t join u on t.id = u.id',
    'select t.id, u.n, (select count(*) from one where one.x = t.a) from t left join u on t.id = u.id',
  ])('%s', async sql => {
    expect(await spills(sql, false)).toBeGreaterThan(0);
  });

  // Most rows have one key.
  test.each([
    'select one.id, many.id from many join one on one.x = many.x and one.id > many.id',
    'select one.id, many.id from one left join many on one.x = many.x and one.id > many.id',
    'select one.id, many.id from one right join many on one.x = many.x and one.id > many.id',
    'select one.id, many.id from one full join many on one.x = many.x and one.id > many.id',
    'select one.id from one where exists (select from many where one.x = many.x and one.id > many.id)',
    'select one.id from one where not exists (select from many where one.x = many.x and one.id > many.id)',
  ])('%s', async sql => {
    expect(await spills(sql, false, NEXT_TO_NOTHING)).toBeGreaterThan(0);
  });

  test.each([
    'with c as materialized (select * from t) select x.id, y.b from c x join c y on x.id = y.id + 1',
    'with c as materialized (select id, b from t) select (select count(*) from c where c.b < u.n) from u where u.id < 5',
    'with c as materialized (select * from t) select * from c where id % 100 = 3 union all select * from c limit 2900',
  ])('%s', async sql => {
    expect(await spills(sql, false)).toBeGreaterThan(0);
  });

  const windows = [
    [
      'partition by a % 2',
      'row_number() over w, rank() over w, dense_rank() over w, ntile(7) over w, percent_rank() over w',
    ],
    [
      'partition by a % 2 order by b',
      'rank() over w, dense_rank() over w, cume_dist() over w, count(*) over w, max(c) over w',
    ],
    [
      'order by a',
      'lag(b, 1500, $$none$$) over w, lead(id, 2000) over w, first_value(b) over w, last_value(id) over w',
    ],
    [
      'partition by b is null order by id rows between 40 preceding and 30 following exclude current row',
      'sum(a) over w, nth_value(b, 3) over w',
    ],
    ['order by a range between 5 preceding and 40 following', 'count(*) over w, last_value(a) over w'],
    ['order by a groups between 2 preceding and 1 following exclude ties', 'array_agg(id) over w'],
    ['order by c::numeric desc range between 20.5 preceding and 2 following', 'count(b) over w, first_value(c) over w'],
    ['partition by id', 'sum(a) over w'],
  ];
  test.each(windows)('window: %s', async (window, calls) => {
    const sql = `select id, a, b, ${calls} from (select * from t where id % 3 > 0) t window w as (${window}) order by id`;
    const { made } = db.env.temp;
    expect(await spills(sql, false)).toBeGreaterThan(0);
    // Its own file beside that of the sorts.
    expect(db.env.temp.made - made).toBeGreaterThan(window === 'partition by id' ? 0 : 2);
  });

  test.each([
    'with recursive r as (select id, b, 0 as n from t union all select id, b, n + 1 from r where n < 2) select * from r',
    `with recursive r as (select id, a from t where id > 2000 union select u.id, u.k from r join u on u.id = r.a where u.id > 5)
      select * from r`,
    `with recursive r as (select id % 3000 as i, b from t union all select i * 2, b from r where i < 2999 and i > 0)
      select * from r where i < 9 union all select count(*), null from r`,
  ])('%s', async sql => {
    expect(await spills(sql, false)).toBeGreaterThan(0);
  });

  test.each([
    'select string_agg(b, $$,$$ order by b desc, id), count(*) from t',
    'select count(distinct id), sum(distinct a), count(distinct b) filter (where id > 30) from t',
    'select array_agg(distinct a order by a desc), array_agg(id order by c::numeric, id) from t',
    'select b, array_agg(id order by a, id), count(distinct a) from (select * from t, (values (1), (2)) x) t group by b',
    'select md5(string_agg(w, $$$$ order by id desc)), count(distinct left(w, 100000)) from wide',
    'select array_agg(t order by t.c desc) from t',
  ])('%s', async sql => {
    expect(await spills(sql, false, LITTLE / 2)).toBeGreaterThan(0);
  });

  test('a materialised input of a nested loop', async () => {
    db.disabled = new Set(['hashjoin']);
    const sql = 'select t.id, one.id from one left join t on t.id + 0 > one.id + 2900';
    expect(await spills(sql, false, NEXT_TO_NOTHING)).toBeGreaterThan(0);
    db.disabled = new Set(['nestloop']);
  });

  test('groups for each row of another table', async () => {
    const sql = `select y.id, (select max(s) from (select sum(t.a + y.id) as s from t group by t.id) x)
      from (values (1), (2), (3)) y (id)`;
    expect(await spills(sql)).toBe(3);
  });

  test('a sort that is cut short', async () => {
    expect(await spills('select * from (select * from t order by a, id offset 0) x limit 20')).toBe(1);
    expect(
      await spills('select (select x.id from t x where x.a >= y.a order by x.b, x.id limit 1) from t y limit 5'),
    ).toBe(0);
  });

  test('a sort that begins anew for each row', async () => {
    const sql = `select y.id, x.id from (values (1), (2), (3)) y (id),
      lateral (select t.id, t.a + y.id as s from t order by (t.a * y.id) % 17, t.b, t.id offset 2900) x order by 1, x.s, 2`;
    expect(await spills(sql)).toBe(3);
  });
});
