/**
 * Sixty tables in one join: sets of relations have no largest member, and planning tries few enough pairs and
 * keeps few enough paths (a plan that would take minutes runs into the test's own deadline).
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { HeadlessDatabase } from '@pgtroupe/testkit/sql/headless';

const TABLES = Array.from({ length: 60 }, (_, n) => n);
let db: HeadlessDatabase;

beforeAll(async () => {
  db = await HeadlessDatabase.create();
  for (const n of TABLES) {
    await db.run(`create table t${n} (id int primary key, a int);
      insert into t${n} values (1, 2), (2, 3), (3, 1)`);
  }
});

const from = TABLES.map(n => `t${n}`).join(', ');
const later = TABLES.slice(1);
test.each([
  [
    'one class of equals in a list',
    `select count(*) from ${from} where ${later.map(n => `t${n}.id = t${n - 1}.id`).join(' and ')}`,
    '3',
  ],
  [
    'one class of equals in JOINs',
    `select count(*) from t0 ${later.map(n => `join t${n} on t${n}.id = t${n - 1}.id`).join(' ')}`,
    '3',
  ],
  [
    'a chain',
    `select t0.id, t59.id from ${from} where ${later.map(n => `t${n}.id = t${n - 1}.a`).join(' and ')} order by 1`,
    '1|3 2|1 3|2',
  ],
  ['a star', `select count(*) from ${from} where ${later.map(n => `t${n}.id = t0.a`).join(' and ')}`, '3'],
  [
    'outer joins',
    `select count(*), count(t59.id), sum(t59.a) from t0
      ${later.map(n => `left join t${n} on t${n}.id = t${n - 1}.a and t${n}.id < 3`).join(' ')}`,
    '3|0|NULL',
  ],
  [
    'conditions beyond the 32nd table',
    `select count(*) from ${from} where t40.id = 1 and t50.id = t59.id and ${later.map(n => `t${n}.a = t0.a`).join(' and ')}`,
    '1',
  ],
])('%s', async (_, sql, expected) => {
  const { rows } = await db.run(sql);
  expect(rows.map(row => row.map(v => v ?? 'NULL').join('|')).join(' ')).toBe(expected);
});

/** Each would take many times its deadline where planning looked at every condition again for every pair. */
describe('planned in seconds', () => {
  const many = Array.from({ length: 300 }, (_, n) => n);
  const tables = many.map(n => `t0 x${n}`);
  test.each([
    ['CROSS JOIN', `select 1 from ${tables.join(' cross join ')}`],
    [
      'a list',
      `select 1 from ${tables.join(', ')} where ${many
        .slice(1)
        .map(n => `x${n}.id = x${n - 1}.a`)
        .join(' and ')}`,
    ],
    [
      'LEFT JOIN',
      `select 1 from t0 x0 ${many
        .slice(1)
        .map(n => `left join t0 x${n} on x${n}.id = x${n - 1}.a`)
        .join(' ')}`,
    ],
  ])('300 tables: %s', { timeout: 20_000 }, async (_, sql) => {
    const plan = JSON.stringify((await db.plan(sql)).planTree);
    expect(plan.match(/"scanrelid":/g)).toHaveLength(many.length);
  });
});
