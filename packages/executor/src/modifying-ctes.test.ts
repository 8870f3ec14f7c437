/** CTEs that change rows and that nobody reads to their ends: the last is finished first. */
import { HeadlessDatabase } from '@pgtroupe/testkit/sql/headless';
import { beforeAll, expect, test } from 'vitest';

let db: HeadlessDatabase;

beforeAll(async () => {
  db = await HeadlessDatabase.create();
  await db.run('create table t (a text, n int); create table s (x int); insert into s values (0), (1)');
});

test('their rows are in the table in that order', async () => {
  await db.run(`with a as (insert into t select 'a', x from s returning a), b as (insert into t select 'b', x from s),
    c as (insert into t select 'c', x from s returning a) select (select a from a limit 1) from s`);
  const { rows } = await db.run('select a from t');
  expect(rows.map(row => row[0]).join('')).toBe('accbba');
});

test('the last one that fails is told', async () => {
  const failing = `with a as (insert into t select 'a', 1 / x from s), b as (insert into t select 'b', sqrt(-1 - x) from s) select 1`;
  await expect(db.run(failing)).rejects.toMatchObject({ sqlstate: '2201F' });
});
