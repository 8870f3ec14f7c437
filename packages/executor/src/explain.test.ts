/**
 * Plans as EXPLAIN shows them: which way a query takes, in PostgreSQL's words.
 */
import { beforeAll, describe, expect, test } from 'vitest';
import { HeadlessDatabase } from '@pgtroupe/testkit/sql/headless';

describe('EXPLAIN', () => {
  let db: HeadlessDatabase;

  beforeAll(async () => {
    db = await HeadlessDatabase.create();
    await db.run(`create table t (id int primary key, name text, score int);
      create table e (id int, t_id int, amount int8);
      create index e_t_id on e (t_id);
      insert into t select g, 'n', g % 7 from generate_series(1, 5000) g;
      insert into e select g, g, g from generate_series(1, 5000) g`);
  });

  test('a key is looked up in its index', async () => {
    expect(await db.explain('select * from t where id = 5')).toEqual([
      'Index Scan using t_pkey on t',
      '  Index Cond: (id = 5)',
    ]);
  });

  test('an index gives the order, forwards and backwards', async () => {
    expect(await db.explain('select id from t order by id desc limit 3')).toEqual([
      'Limit',
      '  ->  Index Scan Backward using t_pkey on t',
    ]);
  });

  test('max is the end of an index', async () => {
    expect(await db.explain('select max(id) from t')).toEqual([
      'Result',
      '  InitPlan 1 (returns $0)',
      '    ->  Limit',
      '          ->  Index Scan Backward using t_pkey on t',
      '                Index Cond: (id IS NOT NULL)',
    ]);
  });

  test('a nested loop hands values to an inner index scan', async () => {
    expect(await db.explain('select * from t left join e on e.t_id = t.id where t.id = 3')).toEqual([
      'Nested Loop Left Join',
      '  ->  Index Scan using t_pkey on t',
      '        Index Cond: (id = 3)',
      '  ->  Index Scan using e_t_id on e',
      '        Index Cond: (t_id = t.id)',
    ]);
  });

  test('EXISTS is a semijoin, a correlated subquery a subplan', async () => {
    expect(
      await db.explain(
        'select id, (select max(amount) from e where e.t_id = t.id) from t where exists (select 1 from e where e.t_id = t.id)',
      ),
    ).toEqual([
      'Hash Semi Join',
      '  Hash Cond: (t.id = e.t_id)',
      '  ->  Seq Scan on t',
      '  ->  Hash',
      '        ->  Seq Scan on e',
      '  SubPlan 1',
      '    ->  Aggregate',
      '          ->  Index Scan using e_t_id on e e_1',
      '                Index Cond: (t_id = t.id)',
    ]);
  });

  test('rows that an outer join would add are not wanted: it is an inner join', async () => {
    const lines = await db.explain('select 1 from t left join e on e.t_id = t.id where e.amount > 5');
    expect(lines[0]).toBe('Hash Join');
  });
});
