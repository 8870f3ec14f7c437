/** Advisory locks, with an instance for each session: what PostgreSQL 15 answers to the same statements. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isBuilt, sleep, TestCluster } from '@pgtroupe/testkit/test-cluster';
import { ours } from './clients.ts';
import { Q, Wire } from './wire.ts';

describe.skipIf(!isBuilt)('advisory locks', () => {
  const cluster = new TestCluster();
  const wires: Wire[] = [];
  const open = async (): Promise<Wire> => {
    const wire = await Wire.open(ours(cluster));
    wires.push(wire);
    return wire;
  };
  const said = async (wire: Wire, sql: string): Promise<string[]> =>
    (await wire.send(Q(sql))).filter(line => /^[DEN] /.test(line)).map(line => line.replace(/ [WDH]:.*/s, ''));

  beforeAll(async () => {
    await cluster.create();
    await cluster.start('-c', 'sessions_per_instance=1', '-c', 'max_locks_per_transaction=10');
  }, 90_000);

  afterAll(async () => {
    for (const wire of wires) wire.close();
    await cluster.destroy();
  }, 30_000);

  it('are counted, of two kinds of keys, and given back by whom they belong to', async () => {
    const a = await open();
    const b = await open();
    await said(a, 'select pg_advisory_lock(1), pg_advisory_lock(1), pg_advisory_lock_shared(-1, 7)');
    expect(await said(b, 'select pg_try_advisory_lock(1), pg_try_advisory_lock(0, 1)')).toEqual(['D f|t']);
    expect(await said(b, 'select pg_try_advisory_lock(-1, 7), pg_try_advisory_lock_shared(-1, 7)')).toEqual(['D f|t']);
    await said(a, 'select pg_advisory_unlock(1)');
    expect(await said(b, 'select pg_try_advisory_lock(1)')).toEqual(['D f']);
    await said(a, 'begin; select pg_advisory_unlock(1); rollback');
    expect(await said(b, 'select pg_try_advisory_lock(1)')).toEqual(['D t']);
    const notMine = "N WARNING 01000 you don't own a lock of type ExclusiveLock";
    expect((await said(a, 'select pg_advisory_unlock(1)')).sort()).toEqual(['D f', notMine]);
    await said(b, 'discard all');
    expect(await said(a, 'select pg_try_advisory_lock(1), pg_try_advisory_lock(-1, 7)')).toEqual(['D t|t']);
    await said(a, 'select pg_advisory_unlock_all()');
  });

  it('have so much room together; who finds none hears 53200', async () => {
    const [a, b] = [await open(), await open()];
    const many = 'select count(pg_try_advisory_lock(8, g)) from generate_series(1, 100000) g';
    const full = 'E ERROR 53200 out of shared memory';
    expect(await said(a, many)).toEqual([full]);
    expect(await said(a, 'select pg_try_advisory_lock(8, 1), pg_advisory_unlock(8, 1)')).toEqual(['D t|t']);
    expect(await said(b, 'select pg_try_advisory_xact_lock(9)')).toEqual([full]);
    expect(await said(b, 'create table roomless (a int)')).toEqual([full]);
    expect(await said(b, 'select count(*) > 0 from pg_class')).toEqual(['D t']);
    await said(a, 'select pg_advisory_unlock_all()');
    expect(await said(b, 'select pg_try_advisory_xact_lock(9)')).toEqual(['D t']);
    expect(await said(b, 'begin; create table roomless (a int); rollback')).toEqual([]);
  });

  it('of sessions of several instances are seen to wait for each other for ever', async () => {
    const [a, b] = [await open(), await open()];
    await said(a, 'select pg_advisory_lock(21)');
    await said(b, 'begin; select pg_advisory_xact_lock(22)');
    const first = said(a, 'select pg_advisory_lock(22)');
    await sleep(300);
    const second = said(b, 'select pg_advisory_xact_lock_shared(21)');
    // What a session has taken outlives its error, what a transaction has does not.
    const said1 = await first;
    await said(a, 'select pg_advisory_unlock_all()');
    const both = [...said1, ...(await second)];
    expect(both.filter(line => line === 'E ERROR 40P01 deadlock detected')).toHaveLength(1);
    await said(b, 'rollback');
    const left = 'select count(*) from pg_locks where locktype = $$advisory$$ and objid in (21, 22)';
    expect(await said(b, left)).toEqual(['D 0']);
  }, 30_000);

  it('of a transaction end with it, or with its savepoint', async () => {
    const [a, b] = [await open(), await open()];
    await said(a, 'begin; select pg_advisory_xact_lock(2); savepoint s; select pg_advisory_xact_lock(3)');
    expect(await said(b, 'select pg_try_advisory_lock(2), pg_try_advisory_lock(3)')).toEqual(['D f|f']);
    await said(a, 'rollback to s');
    expect(await said(b, 'select pg_try_advisory_lock(2), pg_try_advisory_lock(3)')).toEqual(['D f|t']);
    await said(a, 'commit');
    expect(await said(b, 'select pg_try_advisory_lock(2)')).toEqual(['D t']);
  });

  it('are waited for, and end with their session', async () => {
    const [a, b] = [await open(), await open()];
    await said(a, 'select pg_advisory_lock(4)');
    expect(await said(b, "set lock_timeout = '100ms'; select pg_advisory_lock(4)")).toEqual([
      'E ERROR 55P03 canceling statement due to lock timeout',
    ]);
    const waits = said(b, 'reset lock_timeout; select pg_advisory_lock(4)');
    await sleep(100);
    a.close();
    expect((await waits).at(-1)).toBe('D ');
  });

  it('are lost with shared memory, and with them the sessions that held some', async () => {
    const [holder, other] = [await open(), await open()];
    await said(holder, 'select pg_advisory_lock(5)');
    const told = holder.read(1);
    process.kill((await cluster.role('buffer-manager')).osPid, 'SIGKILL');
    expect((await told).filter(line => line.startsWith('E '))[0]).toMatch(/^E FATAL 57P02 /);
    await expect.poll(() => said(other, 'select pg_try_advisory_lock(5)'), { timeout: 20_000 }).toEqual(['D t']);
  }, 60_000);

  it('warn between rows, not inside of one', async () => {
    const wire = await open();
    const rows = await said(wire, 'select g, pg_advisory_unlock(g), g from generate_series(1, 2) g');
    expect(rows.filter(line => line.startsWith('D '))).toEqual(['D 1|f|1', 'D 2|f|2']);
    expect(rows.filter(line => line.startsWith('N '))).toHaveLength(2);
  });
});
