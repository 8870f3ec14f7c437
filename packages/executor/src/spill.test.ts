/**
 * What does not fit into work_mem goes to temporary files: the same rows come back, in the same order, and no file stays. Asked
 * twice, on an easy page store and on one where everything misses.
 */
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { HeadlessDatabase } from '@pgtroupe/testkit/sql/headless';

const LITTLE = 64 << 10;
const PLENTY = 64 << 20;

describe.each([{ misses: false }, { misses: true }])('little work_mem, misses: $misses', ({ misses }) => {
  let db: HeadlessDatabase;

  beforeAll(async () => {
    db = await HeadlessDatabase.create({ misses });
    await db.run(`create table t (id int primary key, a int, b text, c float8);
      insert into t select g, g * 7919 % 1000, case when g % 5 = 0 then null else md5((g % 300)::text) end, g / 3.0
        from generate_series(1, 3000) g;
      create table wide (id int, w text);
      insert into wide select g, repeat(chr(97 + g % 26), 200000 + g) from generate_series(1, 12) g`);
  });

  const asked = async (sql: string, bytes: number): Promise<string[]> => {
    db.env.workMemBytes = bytes;
    return (await db.run(sql)).rows.map(row => row.map(v => v ?? 'NULL').join('|'));
  };

  /** Its files; the same rows as with plenty of memory. */
  const spills = async (sql: string, ordered = true): Promise<number> => {
    const whole = await asked(sql, PLENTY);
    const { made } = db.env.temp;
    const spilled = await asked(sql, LITTLE);
    expect(ordered ? spilled : spilled.sort()).toEqual(ordered ? whole : whole.sort());
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
