/** Autovacuum in the real cast: it is seen, it prevents wraparound in every database, gives way, and may be killed. */
import { appendFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasPostgres, resetNextXid } from '@pgtroupe/testkit/postgres-judge';
import { isBuilt, sleep, TestCluster, until } from '@pgtroupe/testkit/test-cluster';

const AGE = 300_000_000;
const OPTIONS = ['autovacuum=on', 'autovacuum_naptime=1', 'deadlock_timeout=200ms'].flatMap(option => ['-c', option]);

describe.runIf(isBuilt && hasPostgres)('autovacuum', () => {
  const cluster = new TestCluster();
  let client: pg.Client | undefined;

  const seen = new Set<string>();
  /** Which processes of autovacuum there are, and what they do. */
  async function look(): Promise<void> {
    const { rows } = await client!.query<{ who: string }>(
      `SELECT concat_ws('|', backend_type, datname, usename, state, query) AS who FROM pg_stat_activity WHERE backend_type LIKE 'auto%'`,
    );
    for (const { who } of rows) seen.add(who);
  }

  async function connect(): Promise<pg.Client> {
    const found = new pg.Client({ host: '127.0.0.1', port: cluster.port, user: 'postgres', database: 'postgres' });
    found.on('error', () => {});
    await found.connect();
    return found;
  }

  async function value(sql: string): Promise<unknown> {
    return Object.values((await client!.query<Record<string, unknown>>(sql)).rows[0] ?? {})[0];
  }

  beforeAll(async () => {
    await cluster.create();
    await cluster.start();
    client = await connect();
    // Whoever prevents wraparound pauses there for minutes.
    await client.query(`CREATE TABLE slow (id int, filler text)
        WITH (autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1);
      INSERT INTO slow SELECT g, repeat('x', 1000) FROM generate_series(1, 8000) g`);
    await client.end();
    await cluster.run('stop', '-D', cluster.data);
    await cluster.ended();
    resetNextXid(cluster.data, AGE);
    // Autovacuum is off without it.
    appendFileSync(join(cluster.data, 'postgresql.conf'), 'track_counts = off\n');
    await cluster.start(...OPTIONS);
    client = await connect();
  }, 180_000);

  afterAll(async () => {
    await client?.end().catch(() => {});
    await cluster.destroy();
  });

  it('prevents wraparound though it is off, and gives way to nobody meanwhile', { timeout: 250_000 }, async () => {
    const pausing = `SELECT pid FROM pg_stat_activity
      WHERE wait_event = 'VacuumDelay' AND query = 'autovacuum: VACUUM public.slow (to prevent wraparound)'`;
    const find = async (): Promise<number | undefined> => {
      await look();
      return (await value(pausing)) as number | undefined;
    };
    const pid = await until('a pause', find, 240_000);
    const other = await connect();
    let locked = false;
    const lock = other.query('BEGIN; LOCK TABLE slow').then(() => (locked = true));
    const blockers = `SELECT pg_blocking_pids(pid) FROM pg_stat_activity WHERE query LIKE 'BEGIN; LOCK%'`;
    await until('somebody who waits', async () => String(await value(blockers)) === String(pid));
    await sleep(1000);
    expect(locked).toBe(false);
    expect(cluster.log).not.toContain('canceling autovacuum task');
    await client!.query(`SELECT pg_cancel_backend(${pid})`);
    await lock;
    await other.query('ALTER TABLE slow RESET (autovacuum_vacuum_cost_delay, autovacuum_vacuum_cost_limit); COMMIT');
    await other.end();
  });

  it('makes all databases younger, also those that take no connections, and cuts off pg_xact', {
    timeout: 250_000,
  }, async () => {
    await until(
      'young databases',
      async () => {
        await look();
        return ((await value('SELECT max(age(datfrozenxid)) FROM pg_database')) as number) < 1000;
      },
      240_000,
    );
    expect([...seen]).toContain('autovacuum launcher|');
    expect([...seen]).toContainEqual(
      expect.stringMatching(
        /^autovacuum worker\|template0\|active\|autovacuum: VACUUM pg_\w+\.\w+ \(to prevent wraparound\)$/,
      ),
    );
    // There is nothing left to prevent.
    const there = `SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'autovacuum launcher'`;
    await until('no launcher', async () => (await value(there)) === 0);
    await client!.query('ALTER SYSTEM SET track_counts = on');
    await client!.query('SELECT pg_reload_conf()');
    await until('pg_xact is short', () => readdirSync(join(cluster.data, 'pg_xact')).join() === '011E');
  });

  it('vacuums and analyzes what the statistics say is due, but not where it is disabled', {
    timeout: 120_000,
  }, async () => {
    await client!.query(`CREATE TABLE busy (id int PRIMARY KEY, v int);
      CREATE TABLE left_alone (id int) WITH (autovacuum_enabled = off)`);
    await client!.query('INSERT INTO busy SELECT g, 0 FROM generate_series(1, 3000) g');
    await client!.query('INSERT INTO left_alone SELECT generate_series(1, 3000)');
    await client!.query('UPDATE busy SET v = 1');
    await client!.query('DELETE FROM left_alone');
    const counts = (table: string): Promise<unknown> =>
      value(`SELECT concat_ws(' ', autovacuum_count > 0, autoanalyze_count > 0, n_dead_tup, vacuum_count)
        FROM pg_stat_user_tables WHERE relname = '${table}'`);
    await until('a vacuum', async () => (await counts('busy')) === 't t 0 0', 100_000);
    // Known to this instance, which did not do it.
    expect(await value(`SELECT reltuples FROM pg_class WHERE relname = 'busy'`)).toBe(3000);
    expect(await value(`SELECT count(*)::int FROM pg_stats WHERE tablename = 'busy'`)).toBe(2);
    expect(await counts('left_alone')).toBe('f f 3000 0');
  });

  it('launcher and worker are killed and nobody notices', { timeout: 60_000 }, async () => {
    const launcher = await cluster.role('autovacuum');
    process.kill(launcher.osPid, 'SIGKILL');
    await until('another launcher', async () => {
      const now = await cluster.role('autovacuum');
      return now.osPid !== launcher.osPid && now.state === 'ready';
    });
    expect(await value('SELECT 1')).toBe(1);
    const there = `SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'autovacuum launcher'`;
    await until('it is seen', async () => (await value(there)) === 1);
  });

  it('is off and on again by a reload', { timeout: 60_000 }, async () => {
    const there = `SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'autovacuum launcher'`;
    for (const [setting, launchers] of [
      ['off', 0],
      ['on', 1],
    ] as const) {
      await client!.query(`ALTER SYSTEM SET track_counts = ${setting}`);
      await client!.query('SELECT pg_reload_conf()');
      await until(`track_counts ${setting}`, async () => (await value(there)) === launchers);
    }
  });
});
