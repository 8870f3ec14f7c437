/**
 * The whole SQL path over memory: results of statements, each checked twice, on an easy page store and on
 * one where everything misses.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { HeadlessDatabase } from '@pgtroupe/testkit/sql/headless';

describe.each([{ misses: false }, { misses: true }])('statements, misses: $misses', ({ misses }) => {
  let db: HeadlessDatabase;

  beforeAll(async () => {
    db = await HeadlessDatabase.create({ misses });
    await db.run(`create table t (id int primary key, name text, score int);
      insert into t select g, 'name ' || g, g % 7 from generate_series(1, 300) g`);
  });

  const rows = async (sql: string): Promise<string[]> =>
    (await db.run(sql)).rows.map(row => row.map(v => v ?? 'NULL').join('|'));

  test('select', async () => {
    expect(await rows('select 1 + 2, $$a$$')).toEqual(['3|a']);
    expect(await rows('select id, name from t where id = 42')).toEqual(['42|name 42']);
    expect(await rows('select count(*), sum(id), min(score), max(score) from t')).toEqual(['300|45150|0|6']);
  });

  test('what an UPDATE leaves alone is what it was, while large values move out of the row', async () => {
    await db.run(`create table large (id int primary key, n int, big text, last text);
      insert into large select g, 0, (select string_agg(md5(g || '/' || h), '') from generate_series(1, 200) h), 'l' || g
        from generate_series(1, 40) g`);
    await db.run('update large set n = n + 1; update large set n = n + 1, big = big || id');
    expect(
      await rows(`select id from large where n <> 2 or last <> 'l' || id
        or big <> (select string_agg(md5(id || '/' || h), '') from generate_series(1, 200) h) || id`),
    ).toEqual([]);
    expect(await rows('select count(*) from large')).toEqual(['40']);
  });

  test('greatest and least of types whose operator class is another type’s', async () => {
    expect(
      await rows(`select greatest('{1,2}'::int[], '{1,3}'), least(array['b'], '{a}'), greatest('a'::varchar, 'b')`),
    ).toEqual(['{1,3}|{a}|b']);
    expect(await rows('select greatest(row(1, 2), row(1, 3))')).toEqual(['(1,3)']);
    expect(await rows('select row(), array[row()], row_to_json(row())')).toEqual(['()|{()}|{}']);
  });
});
