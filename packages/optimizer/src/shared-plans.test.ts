/** Plans are shared by sessions: nothing in them means something in one session alone. */
import { beforeAll, expect, test } from 'vitest';
import { RECORDARRAYOID, RECORDOID } from '@pgtroupe/common/oids';
import { HeadlessDatabase } from '@pgtroupe/testkit/sql/headless';

let db: HeadlessDatabase;
beforeAll(async () => {
  db = await HeadlessDatabase.create();
});

test.each([
  ['select row(null::int, null::text)', '(,)'],
  ['select array[row(null::int)]', '{()}'],
  ['select coalesce(row(null::int), row(null::int)) from generate_series(1, 1)', '()'],
])('%s: the number of its row type is not in the plan', async (sql, expected) => {
  const constants: unknown[] = [];
  JSON.stringify(await db.plan(sql), (key, value: unknown) => {
    if (key === 'consttype' && (value === RECORDOID || value === RECORDARRAYOID)) constants.push(value);
    return typeof value === 'bigint' ? String(value) : value;
  });
  expect(constants).toEqual([]);
  expect((await db.run(sql)).rows).toEqual([[expected]]);
});
