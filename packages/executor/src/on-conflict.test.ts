/** ON CONFLICT DO UPDATE of a row that the same command changes elsewhere. */
import { expect, test } from 'vitest';
import { HeadlessDatabase } from '@pgtroupe/testkit/sql/headless';

const CHANGED_WHILE_SET_IS_COMPUTED = `
  with inner_row as (
    insert into t values (2, 'blue') on conflict (k) do update set v = 'green' returning k, v
  )
  insert into t values (2, 'red') on conflict (k)
    do update set v = (select v from inner_row where inner_row.k = t.k) returning k, v`;

test('what SET reads changes the row: it is left as it is by then', async () => {
  const db = await HeadlessDatabase.create();
  await db.run("create table t (k int primary key, v text); insert into t values (2, 'x')");
  expect((await db.run(CHANGED_WHILE_SET_IS_COMPUTED)).rows).toEqual([]);
  expect((await db.run('select k, v from t')).rows).toEqual([['2', 'green']]);
});

test('the same row twice among those proposed', async () => {
  const db = await HeadlessDatabase.create();
  await db.run('create table t (k int primary key, v text)');
  await expect(
    db.run("insert into t values (1, 'x'), (1, 'y') on conflict (k) do update set v = excluded.v"),
  ).rejects.toThrow('ON CONFLICT DO UPDATE command cannot affect row a second time');
});
