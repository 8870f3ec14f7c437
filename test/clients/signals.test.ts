/** pg_cancel_backend and pg_terminate_backend, with an instance for each session: what PostgreSQL 15 answers to the same. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isBuilt, sleep, TestCluster, until } from '@pgtroupe/testkit/test-cluster';
import { ours } from './clients.ts';
import { B, E, P, Q, S, Wire } from './wire.ts';

const CANCELED = 'E ERROR 57014 canceling statement due to user request';
const TERMINATED = 'E FATAL 57P01 terminating connection due to administrator command';

describe.skipIf(!isBuilt)('signals to sessions', () => {
  const cluster = new TestCluster();
  const wires: Wire[] = [];
  const open = async (user = 'postgres'): Promise<Wire> => {
    const wire = await Wire.open(ours(cluster), { user });
    wires.push(wire);
    return wire;
  };
  const said = async (wire: Wire, sql: string): Promise<string[]> =>
    (await wire.send(Q(sql))).filter(line => /^[DEN] /.test(line)).map(line => line.replace(/ [WDH]:.*/s, ''));
  const pidOf = async (wire: Wire): Promise<string> => (await said(wire, 'select pg_backend_pid()'))[0]!.slice(2);

  beforeAll(async () => {
    await cluster.create();
    await cluster.start('-c', 'sessions_per_instance=1');
    const wire = await open();
    await wire.send(Q('create role ann login; create role bob login; create role sam login superuser'));
    await wire.send(Q('create role guard login; grant pg_signal_backend to guard; create table t (a int)'));
  }, 90_000);

  afterAll(async () => {
    for (const wire of wires) wire.close();
    await cluster.destroy();
  }, 30_000);

  it('end a statement that sleeps, computes or waits, of another instance', async () => {
    const [a, b, holder] = [await open(), await open(), await open()];
    const pid = await pidOf(b);
    await said(holder, 'begin; lock table t');
    for (const sql of [
      'select pg_sleep(60)',
      'select count(*) from generate_series(1, 100000) x, generate_series(1, 100000) y',
      'select * from t',
    ]) {
      const ends = said(b, sql);
      await sleep(200);
      expect(await said(a, `select pg_cancel_backend(${pid})`)).toEqual(['D t']);
      expect(await ends).toEqual([CANCELED]);
    }
    await said(holder, 'rollback');
    expect(await said(b, 'select count(*) from t')).toEqual(['D 0']);
  }, 60_000);

  it('hit nothing when nothing is under way, and never what comes next', async () => {
    const [a, b] = [await open(), await open()];
    const pid = await pidOf(b);
    expect(await said(a, `select pg_cancel_backend(${pid})`)).toEqual(['D t']);
    expect(await said(b, 'select 1')).toEqual(['D 1']);
    for (let n = 0; n < 60; n++) {
      // Somewhere around the end of a short statement.
      const ends = said(b, `select pg_sleep(${0.002 + (n % 5) / 500})`);
      const cancel = said(a, `select pg_cancel_backend(${pid})`);
      expect(await cancel).toEqual(['D t']);
      expect(['D ', CANCELED]).toContain((await ends)[0]);
      // Both are answered: whatever came of it, it is over.
      expect(await said(b, 'select 2')).toEqual(['D 2']);
    }
    // The same by the extended protocol, where a transaction goes on behind Sync.
    for (let n = 0; n < 20; n++) {
      const ends = b.send([P('', 'select pg_sleep(0.004)'), B('', ''), E(), S]);
      await said(a, `select pg_cancel_backend(${pid})`);
      await ends;
      expect(await said(b, 'select 3')).toEqual(['D 3']);
    }
  }, 60_000);

  it('end a session, whatever it does', async () => {
    const a = await open();
    const idle = await open();
    expect(await said(a, `select pg_terminate_backend(${await pidOf(idle)}, 5000)`)).toEqual(['D t']);
    const busy = await open();
    const pid = await pidOf(busy);
    const ends = said(busy, 'select pg_sleep(60)');
    await sleep(200);
    expect(await said(a, `select pg_terminate_backend(${pid}, 5000)`)).toEqual(['D t']);
    expect(await ends).toEqual([TERMINATED]);
    const inBlock = await open();
    const blockPid = await pidOf(inBlock);
    await said(inBlock, 'begin; insert into t values (1)');
    expect(await said(a, `select pg_terminate_backend(${blockPid}, 5000)`)).toEqual(['D t']);
    expect(await said(a, 'begin; lock table t; select count(*) from t; commit')).toEqual(['D 0']);
  }, 60_000);

  it('during COMMIT leave it whole: the client heard of it, or it is not there', async () => {
    const a = await open();
    await said(a, 'create table committed (a int)');
    for (let n = 0; n < 15; n++) {
      const b = await open();
      const pid = await pidOf(b);
      await said(b, `begin; insert into committed values (${n})`);
      const [ends] = await Promise.all([b.send(Q('commit')), said(a, `select pg_terminate_backend(${pid}, 5000)`)]);
      const there = (await said(a, `select count(*) from committed where a = ${n}`))[0];
      const heard = ends.includes('C COMMIT');
      if (heard) expect(there).toBe('D 1');
      else expect(ends.join('\n')).toContain('57P01');
      b.close();
    }
  }, 90_000);

  it('number 9 costs the session whose process it hits, and no other', async () => {
    const [a, b, c] = [await open(), await open(), await open()];
    await said(a, 'create table each (who text)');
    const serving = async (): Promise<Map<string, number>> => {
      const roles = (await cluster.status()).roles.filter(({ name }) => name.startsWith('backend-'));
      expect(Math.max(...roles.map(({ sessions }) => sessions))).toBe(1);
      return new Map(roles.filter(({ sessions }) => sessions === 1).map(({ name, osPid }) => [name, osPid]));
    };
    const before = await serving();
    const victim = await open();
    const fresh = await until('its process', async () =>
      [...(await serving())].find(([name, osPid]) => before.get(name) !== osPid),
    );
    for (const [wire, who] of [
      [a, 'a'],
      [b, 'b'],
      [victim, 'victim'],
    ] as const)
      await said(wire, `begin; insert into each values ('${who}')`);
    process.kill(fresh[1], 'SIGKILL');
    expect(await victim.send(Q('select 1'))).toEqual(['closed']);
    // They go on in the transactions that they were in, and nothing of the other is left.
    for (const wire of [a, b]) expect(await said(wire, 'commit')).toEqual([]);
    await until('its end', async () => (await said(c, 'begin; lock table each nowait; commit')).length === 0);
    expect(await said(c, 'select who from each order by 1')).toEqual(['D a', 'D b']);
  }, 60_000);

  it('are for superusers, members and pg_signal_backend', async () => {
    const [root, ann, ann2, bob, guard] = [
      await open(),
      await open('ann'),
      await open('ann'),
      await open('bob'),
      await open('guard'),
    ];
    const [rootPid, annPid, bobPid] = [await pidOf(root), await pidOf(ann), await pidOf(bob)];
    const both = (pid: string): string => `select pg_cancel_backend(${pid}); select pg_terminate_backend(${pid})`;
    expect(await said(ann, both(rootPid))).toEqual(['E ERROR 42501 must be a superuser to cancel superuser query']);
    expect(await said(ann, `select pg_terminate_backend(${rootPid})`)).toEqual([
      'E ERROR 42501 must be a superuser to terminate superuser process',
    ]);
    expect(await said(ann, `select pg_cancel_backend(${bobPid})`)).toEqual([
      'E ERROR 42501 must be a member of the role whose query is being canceled or member of pg_signal_backend',
    ]);
    expect(await said(ann, `select pg_terminate_backend(${bobPid})`)).toEqual([
      'E ERROR 42501 must be a member of the role whose process is being terminated or member of pg_signal_backend',
    ]);
    expect(await said(ann2, `select pg_cancel_backend(${annPid})`)).toEqual(['D t']);
    expect(await said(guard, `select pg_cancel_backend(${bobPid})`)).toEqual(['D t']);
    expect(await said(guard, `select pg_cancel_backend(${rootPid})`)).toEqual([
      'E ERROR 42501 must be a superuser to cancel superuser query',
    ]);
    expect(await said(guard, `select pg_terminate_backend(${bobPid}, 5000)`)).toEqual(['D t']);
    // Who it is now does not count, only who logged in.
    await said(root, 'set session authorization ann');
    expect(await said(ann, `select pg_cancel_backend(${rootPid})`)).toEqual([
      'E ERROR 42501 must be a superuser to cancel superuser query',
    ]);
  }, 60_000);

  it('to nobody are warned of, and a bad timeout refused', async () => {
    const a = await open();
    for (const pid of ['0', '-1', '2147483647']) {
      const warning = `N WARNING 01000 PID ${pid} is not a PostgreSQL backend process`;
      expect((await said(a, `select pg_cancel_backend(${pid})`)).sort()).toEqual(['D f', warning]);
      expect((await said(a, `select pg_terminate_backend(${pid}, 10)`)).sort()).toEqual(['D f', warning]);
    }
    expect(await said(a, 'select pg_terminate_backend(1, -1)')).toEqual([
      'E ERROR 22003 "timeout" must not be negative',
    ]);
    expect(await said(a, 'select pg_cancel_backend(pg_backend_pid())')).toEqual([CANCELED]);
    expect(await said(a, 'select pg_terminate_backend(pg_backend_pid())')).toEqual([TERMINATED]);
  });

  it('reach no instance that is paused, and say so in time', async () => {
    const a = await open();
    const serving = async (): Promise<number[]> =>
      (await cluster.status()).roles
        .filter(({ name, sessions }) => /^backend/.test(name) && sessions > 0)
        .map(r => r.osPid);
    const before = await serving();
    const b = await open();
    const pid = await pidOf(b);
    const osPid = await until('the instance that serves it', async () =>
      (await serving()).find(each => !before.includes(each)),
    );
    process.kill(osPid, 'SIGSTOP');
    try {
      const began = Date.now();
      const answer = await said(a, `select pg_cancel_backend(${pid})`);
      expect(Date.now() - began).toBeLessThan(8000);
      // Or, on a slow machine, it was expelled meanwhile.
      expect(answer.some(line => /^N WARNING 01000 (could not send signal to process|PID) /.test(line))).toBe(true);
      expect(answer).toContain('D f');
    } finally {
      process.kill(osPid, 'SIGCONT');
    }
  }, 60_000);
});
