/**
 * Transactions of two sessions side by side, in one instance and in two. The answers are PostgreSQL 15's,
 * recorded: every step says who, what, and what came back.
 */
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isBuilt, sleep, TestCluster } from '@pgtroupe/testkit/test-cluster';
import { connect, ours } from './clients.ts';

/** `a sql`: session a runs it; `b? sql`: b starts it, and here is what it says at once; `b!`: what it says
 *  in the end. */
type Step = readonly [step: string, answer: string];

const START =
  'drop table if exists tx; create table tx(id int primary key, v int); insert into tx values (1,1),(2,2),(3,3)';
const AT_ONCE_MS = 250;
const IN_THE_END_MS = 5_000;
const WAITING = 'WAITING';

const SCENARIOS: Readonly<Record<string, readonly Step[]>> = {
  'READ COMMITTED checks what the index answered for the row that was': [
    ['a begin', 'BEGIN null []'],
    ['a update tx set id = id + 10 where id in (1, 2)', 'UPDATE 2 []'],
    ['b? update tx set v = 100 where id = 1 returning *', 'WAITING'],
    ['a commit', 'COMMIT null []'],
    ['b!', 'UPDATE 0 []'],
    ['a begin', 'BEGIN null []'],
    ['a update tx set id = id - 10 where id > 10', 'UPDATE 2 []'],
    ['b? delete from tx where id between 11 and 12 returning *', 'WAITING'],
    ['a commit', 'COMMIT null []'],
    ['b!', 'DELETE 0 []'],
    ['a begin', 'BEGIN null []'],
    ['a update tx set id = 13 where id = 3', 'UPDATE 1 []'],
    ['b? select x.id, y.id as other from tx x join tx y on y.id = x.v where x.id = 3 for update of x', 'WAITING'],
    ['a commit', 'COMMIT null []'],
    ['b!', 'SELECT 0 []'],
    ['a begin', 'BEGIN null []'],
    ['a update tx set id = 3 where id = 13', 'UPDATE 1 []'],
    [
      'b? update tx set v = (select max(v) from tx y where y.id < tx.id) where id = any (array[12, 13]) returning v',
      'WAITING',
    ],
    ['a commit', 'COMMIT null []'],
    ['b!', 'UPDATE 0 []'],
    ['a begin', 'BEGIN null []'],
    ['a update tx set v = 7 where id = 3', 'UPDATE 1 []'],
    ['b? update tx set v = v + 1 where id = 3 returning *', 'WAITING'],
    ['a commit', 'COMMIT null []'],
    ['b!', 'UPDATE 1 [{"id":3,"v":8}]'],
    ['a begin', 'BEGIN null []'],
    ['a update tx set v = 9 where id = 3', 'UPDATE 1 []'],
    ['b? update tx set v = 0 where ctid = (select ctid from tx where id = 3) returning *', 'WAITING'],
    ['a commit', 'COMMIT null []'],
    ['b!', 'UPDATE 0 []'],
  ],
  'savepoints undo what came after them': [
    ['a begin', 'BEGIN null []'],
    ['a insert into tx values (10,10)', 'INSERT 1 []'],
    ['a savepoint s1', 'SAVEPOINT null []'],
    [
      'a insert into tx values (10,11)',
      '23505 duplicate key value violates unique constraint "tx_pkey" D:Key (id)=(N) already exists.',
    ],
    ['a select 1', '25P02 current transaction is aborted, commands ignored until end of transaction block'],
    ['a rollback to s1', 'ROLLBACK null []'],
    ['a insert into tx values (11,11)', 'INSERT 1 []'],
    ['a release s1', 'RELEASE null []'],
    ['a savepoint x', 'SAVEPOINT null []'],
    ['a update tx set v=99 where id=11', 'UPDATE 1 []'],
    ['a rollback to savepoint x', 'ROLLBACK null []'],
    [
      'a select * from tx order by id',
      'SELECT 5 [{"id":1,"v":1},{"id":2,"v":2},{"id":3,"v":3},{"id":10,"v":10},{"id":11,"v":11}]',
    ],
    ['a commit', 'COMMIT null []'],
    [
      'a select * from tx order by id',
      'SELECT 5 [{"id":1,"v":1},{"id":2,"v":2},{"id":3,"v":3},{"id":10,"v":10},{"id":11,"v":11}]',
    ],
    ['a rollback', 'ROLLBACK null []'],
    ['a commit', 'COMMIT null []'],
    ['a savepoint q', '25P01 SAVEPOINT can only be used in transaction blocks'],
    ['a begin', 'BEGIN null []'],
    ['a begin', 'BEGIN null []'],
    ['a release nosuch', '3B001 savepoint "nosuch" does not exist'],
    ['a commit', 'ROLLBACK null []'],
  ],
  'READ COMMITTED waits for a row and looks at its new version': [
    ['a begin', 'BEGIN null []'],
    ['b begin', 'BEGIN null []'],
    ['a update tx set v=v+1 where id=1', 'UPDATE 1 []'],
    ['b? update tx set v=v+10 where v=1 returning *', 'WAITING'],
    ['a commit', 'COMMIT null []'],
    ['b!', 'UPDATE 0 []'],
    ['b commit', 'COMMIT null []'],
    ['a select * from tx order by id', 'SELECT 3 [{"id":1,"v":2},{"id":2,"v":2},{"id":3,"v":3}]'],
  ],
  'READ COMMITTED passes over a row deleted meanwhile': [
    ['a begin', 'BEGIN null []'],
    ['a delete from tx where id=1', 'DELETE 1 []'],
    ['b? update tx set v=5 where id=1', 'WAITING'],
    ['a commit', 'COMMIT null []'],
    ['b!', 'UPDATE 0 []'],
    ['b select * from tx order by 1', 'SELECT 2 [{"id":2,"v":2},{"id":3,"v":3}]'],
  ],
  'REPEATABLE READ sees one point in time and says 40001': [
    ['a begin isolation level repeatable read', 'BEGIN null []'],
    ['a select * from tx order by id', 'SELECT 3 [{"id":1,"v":1},{"id":2,"v":2},{"id":3,"v":3}]'],
    ['b update tx set v=100 where id=2', 'UPDATE 1 []'],
    ['a select * from tx order by id', 'SELECT 3 [{"id":1,"v":1},{"id":2,"v":2},{"id":3,"v":3}]'],
    ['a update tx set v=v+1 where id=2', '40001 could not serialize access due to concurrent update'],
    ['a select 1', '25P02 current transaction is aborted, commands ignored until end of transaction block'],
    ['a commit', 'ROLLBACK null []'],
    ['a begin isolation level repeatable read', 'BEGIN null []'],
    ['a select v from tx where id=1', 'SELECT 1 [{"v":1}]'],
    ['b? update tx set v=7 where id=1', 'UPDATE 1 []'],
    ['b!', 'UPDATE 1 []'],
    ['a update tx set v=8 where id=1', '40001 could not serialize access due to concurrent update'],
    ['a rollback', 'ROLLBACK null []'],
  ],
  'REPEATABLE READ that waited for a row says 40001 after a commit, goes on after a rollback': [
    ['a begin', 'BEGIN null []'],
    ['b begin isolation level repeatable read', 'BEGIN null []'],
    ['b select count(*) from tx', 'SELECT 1 [{"count":"3"}]'],
    ['a update tx set v=v+1 where id=1', 'UPDATE 1 []'],
    ['b? update tx set v=v+10 where id=1', 'WAITING'],
    ['a commit', 'COMMIT null []'],
    ['b!', '40001 could not serialize access due to concurrent update'],
    ['b rollback', 'ROLLBACK null []'],
    ['a begin', 'BEGIN null []'],
    ['a update tx set v=v+1 where id=1', 'UPDATE 1 []'],
    ['b begin isolation level repeatable read', 'BEGIN null []'],
    ['b? update tx set v=v+10 where id=1', 'WAITING'],
    ['a rollback', 'ROLLBACK null []'],
    ['b!', 'UPDATE 1 []'],
    ['b commit', 'COMMIT null []'],
    ['a select * from tx order by 1', 'SELECT 3 [{"id":1,"v":12},{"id":2,"v":2},{"id":3,"v":3}]'],
  ],
  'inserts of the same key wait for each other': [
    ['a begin', 'BEGIN null []'],
    ['a insert into tx values (5,5)', 'INSERT 1 []'],
    ['b? insert into tx values (5,6)', 'WAITING'],
    ['a commit', 'COMMIT null []'],
    ['b!', '23505 duplicate key value violates unique constraint "tx_pkey" D:Key (id)=(N) already exists.'],
    ['a begin', 'BEGIN null []'],
    ['a insert into tx values (6,5)', 'INSERT 1 []'],
    ['b? insert into tx values (6,6)', 'WAITING'],
    ['a rollback', 'ROLLBACK null []'],
    ['b!', 'INSERT 1 []'],
    [
      'a select * from tx order by 1',
      'SELECT 5 [{"id":1,"v":1},{"id":2,"v":2},{"id":3,"v":3},{"id":5,"v":5},{"id":6,"v":6}]',
    ],
    ['a begin', 'BEGIN null []'],
    ['a insert into tx values (7,1)', 'INSERT 1 []'],
    ['b? insert into tx values (7,2) on conflict (id) do update set v=excluded.v+tx.v', 'WAITING'],
    ['a commit', 'COMMIT null []'],
    ['b!', 'INSERT 1 []'],
    [
      'a select * from tx order by 1',
      'SELECT 6 [{"id":1,"v":1},{"id":2,"v":2},{"id":3,"v":3},{"id":5,"v":5},{"id":6,"v":6},{"id":7,"v":3}]',
    ],
  ],
  'row locks: NOWAIT, SKIP LOCKED, waiting': [
    ['a begin', 'BEGIN null []'],
    ['a select * from tx where id=1 for update', 'SELECT 1 [{"id":1,"v":1}]'],
    ['b? select * from tx where id=1 for update nowait', '55P03 could not obtain lock on row in relation "tx"'],
    ['b!', '55P03 could not obtain lock on row in relation "tx"'],
    ['b? select * from tx order by id for update skip locked', 'SELECT 2 [{"id":2,"v":2},{"id":3,"v":3}]'],
    ['b!', 'SELECT 2 [{"id":2,"v":2},{"id":3,"v":3}]'],
    ['b? select * from tx where id=1 for share', 'WAITING'],
    ['a commit', 'COMMIT null []'],
    ['b!', 'SELECT 1 [{"id":1,"v":1}]'],
    ['a begin', 'BEGIN null []'],
    ['a select * from tx where id=1 for share', 'SELECT 1 [{"id":1,"v":1}]'],
    ['b begin', 'BEGIN null []'],
    ['b? update tx set v=0 where id=1', 'WAITING'],
    ['a commit', 'COMMIT null []'],
    ['b!', 'UPDATE 1 []'],
    ['b commit', 'COMMIT null []'],
    ['a select * from tx order by 1', 'SELECT 3 [{"id":1,"v":0},{"id":2,"v":2},{"id":3,"v":3}]'],
  ],
  'table locks': [
    ['a begin', 'BEGIN null []'],
    ['a lock table tx in access exclusive mode', 'LOCK null []'],
    ['b? select count(*) from tx', 'WAITING'],
    ['a commit', 'COMMIT null []'],
    ['b!', 'SELECT 1 [{"count":"3"}]'],
    ['a begin', 'BEGIN null []'],
    ['a lock table tx', 'LOCK null []'],
    ['b? lock table tx in share mode nowait', '25P01 LOCK TABLE can only be used in transaction blocks'],
    ['b!', '25P01 LOCK TABLE can only be used in transaction blocks'],
    ['a rollback', 'ROLLBACK null []'],
  ],
  'definitions are transactional': [
    ['a begin', 'BEGIN null []'],
    ['a create table dd(a int)', 'CREATE null []'],
    ['a insert into dd values (1)', 'INSERT 1 []'],
    ['b? select * from dd', '42P01 relation "dd" does not exist'],
    ['b!', '42P01 relation "dd" does not exist'],
    ['a select * from dd', 'SELECT 1 [{"a":1}]'],
    ['a rollback', 'ROLLBACK null []'],
    ['a select * from dd', '42P01 relation "dd" does not exist'],
    ['a begin', 'BEGIN null []'],
    ['a alter table tx add column z int default 3', 'ALTER null []'],
    ['b? select * from tx order by 1', 'WAITING'],
    ['a commit', 'COMMIT null []'],
    ['b!', 'SELECT 3 [{"id":1,"v":1,"z":3},{"id":2,"v":2,"z":3},{"id":3,"v":3,"z":3}]'],
    ['a alter table tx drop column z', 'ALTER null []'],
    ['b select * from tx order by 1', 'SELECT 3 [{"id":1,"v":1},{"id":2,"v":2},{"id":3,"v":3}]'],
  ],
  'READ ONLY refuses': [
    ['a begin read only', 'BEGIN null []'],
    ['a insert into tx values (50,1)', '25006 cannot execute INSERT in a read-only transaction'],
    ['a rollback', 'ROLLBACK null []'],
    ['a begin read only', 'BEGIN null []'],
    ['a select * from tx for update', '25006 cannot execute SELECT FOR UPDATE in a read-only transaction'],
    ['a rollback', 'ROLLBACK null []'],
    [
      'a begin; select 1; set transaction isolation level repeatable read',
      '25001 SET TRANSACTION ISOLATION LEVEL must be called before any query',
    ],
    ['a rollback', 'ROLLBACK null []'],
    ['a begin isolation level repeatable read', 'BEGIN null []'],
    ['a show transaction_isolation', 'SHOW null [{"transaction_isolation":"repeatable read"}]'],
    ['a rollback', 'ROLLBACK null []'],
  ],
  'READ ONLY is refused by sequences and definitions too, and ends only where it may': [
    ['a create sequence txs', 'CREATE null []'],
    ['a begin read only', 'BEGIN null []'],
    ["a select nextval('txs')", '25006 cannot execute nextval() in a read-only transaction'],
    ['a rollback', 'ROLLBACK null []'],
    ['a begin read only', 'BEGIN null []'],
    ["a select setval('txs', 9)", '25006 cannot execute setval() in a read-only transaction'],
    ['a rollback', 'ROLLBACK null []'],
    ['a begin read only', 'BEGIN null []'],
    ['a truncate tx', '25006 cannot execute TRUNCATE TABLE in a read-only transaction'],
    ['a rollback', 'ROLLBACK null []'],
    ['a begin read only', 'BEGIN null []'],
    ['a select * from tx for key share', '25006 cannot execute SELECT FOR KEY SHARE in a read-only transaction'],
    ['a rollback', 'ROLLBACK null []'],
    ['a begin read only', 'BEGIN null []'],
    [
      'a explain (costs off) insert into tx values (4)',
      'EXPLAIN null [{"QUERY PLAN":"Insert on tx"},{"QUERY PLAN":"  ->  Result"}]',
    ],
    ['a explain analyze insert into tx values (4)', '25006 cannot execute INSERT in a read-only transaction'],
    ['a rollback', 'ROLLBACK null []'],
    ['a begin read only', 'BEGIN null []'],
    ['a analyze tx', 'ANALYZE null []'],
    ['a select 1 as one', 'SELECT 1 [{"one":1}]'],
    [
      "a select set_config('transaction_read_only', 'off', true)",
      '25001 transaction read-write mode must be set before any query',
    ],
    ['a rollback', 'ROLLBACK null []'],
    ['a begin read only', 'BEGIN null []'],
    ['a savepoint s', 'SAVEPOINT null []'],
    ['a set transaction read write', '25001 cannot set transaction read-write mode inside a read-only transaction'],
    ['a rollback to s', 'ROLLBACK null []'],
    ['a insert into tx values (4, 4)', '25006 cannot execute INSERT in a read-only transaction'],
    ['a rollback', 'ROLLBACK null []'],
    ['a begin', 'BEGIN null []'],
    ['a savepoint s', 'SAVEPOINT null []'],
    ['a set transaction read only', 'SET null []'],
    ['a insert into tx values (4, 4)', '25006 cannot execute INSERT in a read-only transaction'],
    ['a rollback to s', 'ROLLBACK null []'],
    ['a insert into tx values (4, 4)', 'INSERT 1 []'],
    ['a set transaction read only', 'SET null []'],
    ['a release s', 'RELEASE null []'],
    ['a insert into tx values (5, 5)', 'INSERT 1 []'],
    ['a savepoint s', 'SAVEPOINT null []'],
    [
      'a set transaction isolation level repeatable read',
      '25001 SET TRANSACTION ISOLATION LEVEL must be called before any query',
    ],
    ['a rollback to s', 'ROLLBACK null []'],
    [
      'a set transaction not deferrable',
      '25001 SET TRANSACTION [NOT] DEFERRABLE cannot be called within a subtransaction',
    ],
    ['a rollback', 'ROLLBACK null []'],
    ['a begin read only', 'BEGIN null []'],
    ['a set transaction read write', 'SET null []'],
    ['a insert into tx values (4, 4)', 'INSERT 1 []'],
    ['a set transaction read only', 'SET null []'],
    ['a set transaction read write', '25001 transaction read-write mode must be set before any query'],
    ['a rollback', 'ROLLBACK null []'],
    ['a select last_value, is_called from txs', 'SELECT 1 [{"last_value":"1","is_called":false}]'],
    ['a drop sequence txs', 'DROP null []'],
  ],
  'a failed block takes only its end; a failed text is undone as a whole': [
    ['a begin', 'BEGIN null []'],
    ['a select 1/0', '22012 division by zero'],
    ['a select 1', '25P02 current transaction is aborted, commands ignored until end of transaction block'],
    [
      'a insert into tx values (77,1)',
      '25P02 current transaction is aborted, commands ignored until end of transaction block',
    ],
    ['a commit', 'ROLLBACK null []'],
    ['a select count(*) from tx where id=77', 'SELECT 1 [{"count":"0"}]'],
    ['a begin; insert into tx values (78,1); select 1/0; commit', '22012 division by zero'],
    [
      'a select count(*) from tx where id=78',
      '25P02 current transaction is aborted, commands ignored until end of transaction block',
    ],
    [
      'a insert into tx values (79,1); select 1/0',
      '25P02 current transaction is aborted, commands ignored until end of transaction block',
    ],
    [
      'a select count(*) from tx where id=79',
      '25P02 current transaction is aborted, commands ignored until end of transaction block',
    ],
    ['a rollback', 'ROLLBACK null []'],
  ],
};

/** Command, count and rows; or the error. Numbers that differ from run to run are N. */
async function answer(client: pg.Client, sql: string): Promise<string> {
  try {
    const result = await client.query(sql);
    const last = Array.isArray(result) ? (result as pg.QueryResult[]).at(-1)! : result;
    return `${last.command} ${last.rowCount} ${JSON.stringify(last.rows)}`;
  } catch (error) {
    const { code, message, detail, hint } = error as { code: string; message: string; detail?: string; hint?: string };
    const more =
      (detail === undefined ? '' : ` D:${detail.replace(/\d+/g, 'N')}`) + (hint === undefined ? '' : ` H:${hint}`);
    return `${code} ${message.replace(/\d{3,}/g, 'N')}${more}`;
  }
}

const within = (work: Promise<string>, ms: number): Promise<string> =>
  Promise.race([work, sleep(ms).then(() => WAITING)]);

describe.skipIf(!isBuilt)('transactions (skipped until `npm run build`)', () => {
  const cluster = new TestCluster();
  const clients: pg.Client[] = [];
  let instances: Readonly<Record<string, readonly [pg.Client, pg.Client]>>;

  beforeAll(async () => {
    await cluster.create();
    await cluster.start('-c', 'sessions_per_instance=2');
    for (let n = 0; n < 4; n++) clients.push(await connect(ours(cluster)));
    const [a, b, c] = clients as [pg.Client, pg.Client, pg.Client];
    instances = { 'neighbouring connections': [a, b], 'other connections': [a, c] };
  });
  afterAll(async () => {
    for (const client of clients) await client.end();
    await cluster.destroy();
  });

  it('four sessions are spread over instances', async () => {
    const { roles } = await cluster.status();
    expect(roles.filter(role => role.name.startsWith('backend-') && role.sessions > 0).length).toBeGreaterThan(1);
  });

  describe.each(['neighbouring connections', 'other connections'])('%s', pair => {
    it.each(Object.entries(SCENARIOS))('%s', async (_, steps) => {
      const [a, b] = instances[pair]!;
      const by: Record<string, pg.Client> = { a, b };
      const pending: Record<string, Promise<string>> = {};
      await a.query(START);
      const seen: Step[] = [];
      for (const [step] of steps) {
        const who = step[0]!;
        if (step[1] === '!') seen.push([step, await within(pending[who]!, IN_THE_END_MS)]);
        else if (step[1] === '?') {
          pending[who] = answer(by[who]!, step.slice(3));
          seen.push([step, await within(pending[who], AT_ONCE_MS)]);
        } else seen.push([step, await within(answer(by[who]!, step.slice(2)), IN_THE_END_MS)]);
      }
      await a.query('rollback');
      await b.query('rollback');
      expect(seen).toEqual(steps);
    });

    it('a deadlock ends with 40P01 for one of the two', async () => {
      const [a, b] = instances[pair]!;
      await a.query(START);
      await a.query('begin; update tx set v = 1 where id = 1');
      await b.query('begin; update tx set v = 2 where id = 2');
      const first = answer(a, 'update tx set v = 1 where id = 2');
      await sleep(100);
      const second = answer(b, 'update tx set v = 2 where id = 1');
      const answers = (await Promise.all([within(first, IN_THE_END_MS), within(second, IN_THE_END_MS)])).sort();
      expect(answers[0]).toMatch(
        /^40P01 deadlock detected D:Process N waits for ShareLock on transaction N; blocked by process N\./,
      );
      expect(answers[1]).toBe('UPDATE 1 []');
      await a.query('rollback');
      await b.query('rollback');
    });
  });
});
