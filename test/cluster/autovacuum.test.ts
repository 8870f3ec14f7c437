/** Autovacuum in the real cast: it is seen, it prevents wraparound in every database, gives way, and may be killed. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasPostgres, resetNextXid } from '@pgtroupe/testkit/postgres-judge';
import { isBuilt, TestCluster, until } from '@pgtroupe/testkit/test-cluster';

const AGE = 300_000_000;
const OPTIONS = ['autovacuum=on', 'autovacuum_naptime=1', 'deadlock_timeout=200ms'].flatMap(option => ['-c', option]);

describe.runIf(isBuilt && hasPostgres)('autovacuum', () => {
  const cluster = new TestCluster();
  let client: pg.Client | undefined;

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
    resetNextXid(cluster.data, AGE);
    await cluster.start(...OPTIONS);
    client = await connect();
  }, 180_000);

  afterAll(async () => {
    await client?.end().catch(() => {});
    await cluster.destroy();
  });

  it('makes all databases younger, also those that take no connections, and cuts off pg_xact', {
    timeout: 250_000,
  }, async () => {
    const seen = new Set<string>();
    await until(
      'young databases',
      async () => {
        const { rows } = await client!.query<{ who: string }>(
          `SELECT concat_ws('|', backend_type, datname, usename, state, query) AS who FROM pg_stat_activity WHERE backend_type LIKE 'auto%'`,
        );
        for (const { who } of rows) seen.add(who);
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
