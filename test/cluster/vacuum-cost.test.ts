/** Pauses of VACUUM and autovacuum: they end at once, hold nobody up for longer than deadlock_timeout, and are told of. */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isBuilt, TestCluster, until } from '@pgtroupe/testkit/test-cluster';

const OPTIONS = [
  ...['autovacuum=on', 'autovacuum_naptime=1', 'log_autovacuum_min_duration=0', 'deadlock_timeout=200ms'],
  'log_min_duration_statement=-1',
].flatMap(option => ['-c', option]);

describe.runIf(isBuilt)('vacuum cost delay', () => {
  const cluster = new TestCluster();
  let client: pg.Client;
  let other: pg.Client;

  async function connect(): Promise<pg.Client> {
    const found = new pg.Client({ host: '127.0.0.1', port: cluster.port, user: 'postgres', database: 'postgres' });
    found.on('error', () => {});
    await found.connect();
    return found;
  }

  async function value(sql: string): Promise<unknown> {
    return Object.values((await other.query<Record<string, unknown>>(sql)).rows[0] ?? {})[0];
  }

  const progress: Readonly<Record<string, string>> = {
    VACUUM: `SELECT concat_ws(' ', relid::regclass, phase, heap_blks_total, heap_blks_scanned, heap_blks_vacuumed,
      index_vacuum_count, max_dead_tuples, num_dead_tuples) FROM pg_stat_progress_vacuum`,
    ANALYZ: `SELECT concat_ws(' ', relid::regclass, phase, sample_blks_total, sample_blks_scanned, ext_stats_total,
      ext_stats_computed, child_tables_total, child_tables_done) FROM pg_stat_progress_analyze`,
  };
  const sleeping = `SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Timeout' AND wait_event = 'VacuumDelay'`;

  beforeAll(async () => {
    await cluster.create();
    await cluster.start(...OPTIONS);
    client = await connect();
    other = await connect();
    await client.query(`CREATE TABLE t (id int, filler text) WITH (autovacuum_enabled = off);
      INSERT INTO t SELECT g, repeat('x', 400) FROM generate_series(1, 4000) g`);
  }, 60_000);

  afterAll(async () => {
    await client?.end().catch(() => {});
    await other?.end().catch(() => {});
    await cluster.destroy();
  });

  it('takes as long as its pages cost', { timeout: 30_000 }, async () => {
    const took = async (sql: string): Promise<number> => {
      const from = performance.now();
      await client.query(sql);
      return performance.now() - from;
    };
    await client.query('VACUUM t');
    // 223 pages at hand cost 10 each: 11 pauses of 40 ms (each page passes the limit four times over at most).
    await client.query('SET vacuum_cost_delay = 40; SET vacuum_cost_limit = 200; SET vacuum_cost_page_hit = 10');
    expect(await took('VACUUM (DISABLE_PAGE_SKIPPING) t')).toBeGreaterThan(400);
    expect(await took('ANALYZE t')).toBeGreaterThan(400);
    await client.query('SET vacuum_cost_delay = 0');
    expect(await took('VACUUM (DISABLE_PAGE_SKIPPING) t')).toBeLessThan(400);
  });

  it('ends its pause when it is cancelled or terminated, and gives its lock back', { timeout: 30_000 }, async () => {
    for (const [sql, end, sqlstate] of [
      ['VACUUM (DISABLE_PAGE_SKIPPING) t', 'pg_cancel_backend', '57014'],
      ['ANALYZE t', 'pg_cancel_backend', '57014'],
      ['VACUUM (DISABLE_PAGE_SKIPPING) t', 'pg_terminate_backend', '57P01'],
    ] as const) {
      await client.query('SET vacuum_cost_delay = 100; SET vacuum_cost_limit = 1');
      const failed = client.query(sql).then(
        () => undefined,
        (error: pg.DatabaseError) => ({ code: error.code, ms: performance.now() }),
      );
      const pid = await until('a pause', async () => (await value(sleeping)) as number | undefined);
      expect(await value(progress[sql.slice(0, 6).trim()]!)).toMatch(
        /^t (scanning heap 223 \d+ 0 0 291 0|acquiring sample rows 223 \d+ 0 0 0 0)$/,
      );
      const from = performance.now();
      await other.query(`SELECT ${end}(${pid})`);
      const ended = await failed;
      expect(ended?.code).toBe(sqlstate);
      expect(ended!.ms - from).toBeLessThan(100);
      await other.query('BEGIN; LOCK TABLE t NOWAIT; COMMIT');
    }
    client = await connect();
  });

  it('lets autovacuum pause by the parameters of a table, gives way to who waits, and tells of it', {
    timeout: 60_000,
  }, async () => {
    await client.query(`CREATE TABLE slow (id int, filler text)
        WITH (autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1);
      INSERT INTO slow SELECT g, repeat('x', 400) FROM generate_series(1, 2000) g`);
    await client.query('DELETE FROM slow');
    const pid = await until('a worker', async () => (await value(sleeping)) as number | undefined, 30_000);
    expect(await value(`SELECT concat_ws('|', backend_type, query) FROM pg_stat_activity WHERE pid = ${pid}`)).toBe(
      'autovacuum worker|autovacuum: VACUUM ANALYZE public.slow',
    );
    const from = performance.now();
    await client.query('BEGIN; LOCK TABLE slow');
    expect(performance.now() - from).toBeLessThan(1500);
    await client.query('ALTER TABLE slow RESET (autovacuum_vacuum_cost_delay, autovacuum_vacuum_cost_limit); COMMIT');
    expect(cluster.log).toMatch(
      /ERROR: {2}canceling autovacuum task\n.*CONTEXT: {2}(.*\n)?.*automatic vacuum of table "postgres\.public\.slow"/,
    );
    const told = await until(
      'a report',
      () => /LOG: {2}automatic vacuum of table "postgres\.public\.slow".*(\n\t.*)*/.exec(cluster.log)?.[0],
      30_000,
    );
    const lines = told
      .replaceAll(/\d+\.\d+/g, '#.#')
      .replaceAll(/\d+/g, '#')
      .split('\n\t');
    expect(lines.filter(line => !line.startsWith('new relfrozenxid: '))).toEqual([
      'LOG:  automatic vacuum of table "postgres.public.slow": index scans: #',
      'pages: # removed, # remain, # scanned (#.#% of total)',
      'tuples: # removed, # remain, # are dead but not yet removable',
      'removable cutoff: #, which was # XIDs old when operation ended',
      'index scan not needed: # pages from table (#.#% of total) had # dead item identifiers removed',
      'avg read rate: #.# MB/s, avg write rate: #.# MB/s',
      'buffer usage: # hits, # misses, # dirtied',
      'WAL usage: # records, # full page images, # bytes',
      'system usage: CPU: user: #.# s, system: #.# s, elapsed: #.# s',
    ]);
    await until('the other report', () =>
      /LOG: {2}automatic analyze of table "postgres\.public\.slow"\n\tavg read rate: .*\n\tbuffer usage: .*\n\tsystem usage: /.test(
        cluster.log,
      ),
    );
  });
});
