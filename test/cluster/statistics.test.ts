/** The stats-collector in the cast: what is kept over its death and restarts, and that nobody waits for it. */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isBuilt, sleep, TestCluster, until } from '@pgtroupe/testkit/test-cluster';

const KEPT_MS = 10_000;

describe.skipIf(!isBuilt)('the stats-collector (skipped until `npm run build`)', () => {
  const cluster = new TestCluster();
  let client: pg.Client;
  const notices: string[] = [];

  async function connect(): Promise<void> {
    client = new pg.Client({ host: '127.0.0.1', port: cluster.port, user: 'postgres', database: 'postgres' });
    client.on('error', () => {});
    client.on('notice', ({ message }) => notices.push(message ?? ''));
    await client.connect();
  }

  async function inserted(): Promise<number> {
    const sql = "SELECT n_tup_ins FROM pg_stat_user_tables WHERE relname = 'counted'";
    const { rows } = await client.query<{ n_tup_ins: string }>(sql);
    return Number(rows[0]!.n_tup_ins);
  }

  async function insert(rows: number): Promise<void> {
    await client.query(`INSERT INTO counted SELECT generate_series(1, ${rows})`);
    await client.query('SELECT pg_stat_force_next_flush()');
  }

  const pidOf = async (): Promise<number> => (await cluster.role('stats-collector'))!.osPid;

  beforeAll(async () => {
    await cluster.create();
    await cluster.start();
    await connect();
    await client.query('CREATE TABLE counted (i int)');
  });

  afterAll(async () => {
    await client.end().catch(() => {});
    await cluster.destroy();
  });

  it('counts reported more than ten seconds ago outlive its death, and no query waits for it', async () => {
    await insert(100);
    expect(await inserted()).toBe(100);
    await sleep(KEPT_MS);
    const pid = await pidOf();
    process.kill(pid, 'SIGKILL');
    const begun = performance.now();
    await insert(1);
    expect(performance.now() - begun).toBeLessThan(1000);
    await until('another stats-collector', async () => {
      const now = await cluster.role('stats-collector');
      return now !== undefined && now.osPid !== pid && now.state === 'ready';
    });
    expect(await until('its numbers', async () => (await inserted()) >= 100 && inserted())).toBeLessThanOrEqual(101);
  }, 40_000);

  it('stopped, it is told of, and the last numbers are shown', async () => {
    const before = await inserted();
    const pid = await pidOf();
    process.kill(pid, 'SIGSTOP');
    try {
      notices.length = 0;
      const begun = performance.now();
      await insert(10);
      expect(performance.now() - begun).toBeLessThan(1000);
      expect(await inserted()).toBe(before);
      expect(performance.now() - begun).toBeLessThan(4000);
      expect(notices.join()).toContain('using stale statistics');
    } finally {
      process.kill(pid, 'SIGCONT');
    }
    await until('the late counts', async () => (await inserted()) === before + 10);
  }, 30_000);

  it('a restart keeps everything', async () => {
    await insert(5);
    const before = await inserted();
    await client.end();
    await cluster.run('stop', '-D', cluster.data, '-m', 'fast');
    await cluster.start();
    await connect();
    expect(await inserted()).toBe(before);
    const { rows } = await client.query<{ sessions: string }>(
      "SELECT sessions FROM pg_stat_database WHERE datname = 'postgres'",
    );
    expect(Number(rows[0]!.sessions)).toBeGreaterThan(0);
  }, 30_000);
});
