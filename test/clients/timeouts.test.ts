/**
 * statement_timeout, lock_timeout, and the timeouts of idle clients, by the simple and the extended protocol; the
 * messages are PostgreSQL 15's.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isBuilt, sleep, TestCluster } from '@pgtroupe/testkit/test-cluster';
import { ours } from './clients.ts';
import { B, E, P, Q, S, Wire, X } from './wire.ts';

const STATEMENT = 'E ERROR 57014 canceling statement due to statement timeout';
const LOCK = 'E ERROR 55P03 canceling statement due to lock timeout';

describe.skipIf(!isBuilt)('timeouts', () => {
  const cluster = new TestCluster();
  let wire: Wire;
  let other: Wire;

  beforeAll(async () => {
    await cluster.create();
    await cluster.start();
    wire = await Wire.open(ours(cluster));
    other = await Wire.open(ours(cluster));
    await wire.send(Q('create table l(a int); insert into l values (1)'));
  }, 90_000);

  afterAll(async () => {
    wire.close();
    other.close();
    await cluster.destroy();
  }, 30_000);

  const error = (lines: readonly string[]): string | undefined =>
    lines.find(line => line.startsWith('E '))?.replace(/ W:.*/s, '');

  it('of a statement that sleeps, computes or waits', async () => {
    await wire.send(Q("set statement_timeout = '150ms'"));
    await other.send(Q('begin; lock table l'));
    const statements = [
      'select pg_sleep(5)',
      'select count(*) from generate_series(1, 20000) a, generate_series(1, 20000) b',
      'select * from l',
    ];
    for (const sql of statements) {
      expect(error(await wire.send(Q(sql)))).toBe(STATEMENT);
      expect(error(await wire.send(X(sql)))).toBe(STATEMENT);
      expect(error(await wire.send(Q(`select 1; ${sql}`)))).toBe(STATEMENT);
    }
    expect(await wire.send(Q('select 1'))).toContain('D 1');
    await other.send(Q('rollback'));
    await wire.send(Q('reset statement_timeout'));
    expect(error(await wire.send(Q('select pg_sleep(0.3)')))).toBeUndefined();
  }, 60_000);

  it('of a statement is each one’s own', async () => {
    await wire.send(Q("set statement_timeout = '1500ms'"));
    const said = await wire.send(Q('select pg_sleep(0.8); select pg_sleep(0.8); select 3'));
    expect(error(said)).toBeUndefined();
    const sleep = [P('', 'select pg_sleep(0.8)'), B('', ''), E()];
    expect(error(await wire.send(sleep, sleep, S))).toBeUndefined();
    await wire.send(Q('reset statement_timeout'));
  }, 60_000);

  it('of a wait for a lock, of a table and of a row', async () => {
    await wire.send(Q("set lock_timeout = '150ms'"));
    await other.send(Q('begin; lock table l'));
    expect(error(await wire.send(Q('select * from l')))).toBe(LOCK);
    expect(error(await wire.send(Q('drop table l')))).toBe(LOCK);
    await other.send(Q('rollback'));
    await other.send(Q('begin; update l set a = 2'));
    expect(error(await wire.send(Q('update l set a = 3')))).toBe(LOCK);
    // What does not wait is not limited.
    expect(error(await wire.send(Q('select pg_sleep(0.4)')))).toBeUndefined();
    await other.send(Q('rollback'));
    expect(await wire.send(Q('update l set a = 1'))).toContain('C UPDATE 1');
    await wire.send(Q('reset lock_timeout'));
  }, 60_000);

  it('of a client that says nothing', async () => {
    const told = async (setting: string, before: string): Promise<readonly string[]> => {
      const quiet = await Wire.open(ours(cluster));
      await quiet.send(Q(`set ${setting} = '200ms'`));
      await quiet.send(Q(before));
      return quiet.read(1);
    };
    const inTransaction = ['E FATAL 25P03 terminating connection due to idle-in-transaction timeout', 'closed'];
    expect(await told('idle_in_transaction_session_timeout', 'begin')).toEqual(inTransaction);
    expect(await told('idle_in_transaction_session_timeout', 'begin; select 1/0')).toEqual(inTransaction);
    expect(await told('idle_session_timeout', 'select 1')).toEqual([
      'E FATAL 57P05 terminating connection due to idle-session timeout',
      'closed',
    ]);
    const other = await Wire.open(ours(cluster));
    await other.send(Q("set idle_in_transaction_session_timeout = '200ms'; select 1"));
    await sleep(500);
    expect((await other.send(Q('select 1'))).at(-1)).toBe('Z I');
    other.close();
  }, 60_000);
});
