/** Temporary files of sessions: how they are limited, told of, and given back however a statement ends. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { prepareRunDirectory, runDirectoryOf } from '@pgtroupe/actor/node/rundir';
import { isBuilt, TestCluster, until } from '@pgtroupe/testkit/test-cluster';

/** Some 6 MB on disk. */
const SORT = 'SELECT g, md5(g::text) FROM generate_series(1, 60000) g ORDER BY 2';
const CANCEL_MS = 1000;

describe.skipIf(!isBuilt)('temporary files (skipped until `npm run build`)', () => {
  const cluster = new TestCluster();
  let client: pg.Client;
  let folder: string;

  const connect = async (): Promise<pg.Client> => {
    const made = new pg.Client({ host: '127.0.0.1', port: cluster.port, user: 'postgres', database: 'postgres' });
    made.on('error', () => {});
    await made.connect();
    return made;
  };
  const files = async (): Promise<number> =>
    (await cluster.status()).roles
      .flatMap(role => role.held)
      .reduce((sum, { what, count }) => sum + (what === 'temporary files' ? count : 0), 0);
  const plan = async (sql: string): Promise<string> =>
    (await client.query<{ 'QUERY PLAN': string }>(`EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ${sql}`)).rows
      .map(row => row['QUERY PLAN'])
      .join('\n');

  beforeAll(async () => {
    await cluster.create();
    const run = runDirectoryOf(cluster.data);
    prepareRunDirectory(run);
    folder = join(run, 'scratch', 'backend-1', 'pgsql_tmp');
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, 'pgsql_tmp7.0'), 'left by an instance that was killed');
    await cluster.start();
    client = await connect();
  });

  afterAll(async () => {
    await client.end().catch(() => {});
    await cluster.destroy();
  });

  it('what a killed instance left is gone', () => {
    expect(readdirSync(folder)).toEqual([]);
  });

  it('work_mem decides; EXPLAIN ANALYZE and the log tell', async () => {
    await client.query(`SET work_mem = '32MB'; SET log_temp_files = 0`);
    expect(await plan(SORT)).toMatch(/Sort Method: quicksort {2}Memory: \d+kB/);
    await client.query(`SET work_mem = '1MB'`);
    expect(await plan(SORT)).toMatch(/Sort Method: external merge {2}Disk: \d+kB/);
    await until('a line', () =>
      /LOG: {2}temporary file: path "pgsql_tmp\/pgsql_tmp\d+\.0", size \d+\n.*STATEMENT: {2}EXPLAIN/.test(cluster.log),
    );
    await client.query('RESET log_temp_files');
  });

  it('temp_file_limit ends the statement that needs more', async () => {
    await client.query(`SET temp_file_limit = '2MB'`);
    await expect(client.query(SORT)).rejects.toMatchObject({
      code: '53400',
      message: 'temporary file size exceeds temp_file_limit (2048kB)',
    });
    await client.query('RESET temp_file_limit');
    expect((await client.query(SORT)).rowCount).toBe(60000);
  });

  it('a cancel is heard in the middle of it', async () => {
    const { pid } = (await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')).rows[0]!;
    const other = await connect();
    const long = client.query(`${SORT}, 1 DESC`.replace('60000', '6000000')).then(
      () => 'done',
      (error: { code?: string }) => error.code,
    );
    await until('a file', async () => (await files()) === 1);
    const from = performance.now();
    await other.query('SELECT pg_cancel_backend($1)', [pid]);
    expect(await long).toBe('57014');
    expect(performance.now() - from).toBeLessThan(CANCEL_MS);
    await other.end();
  });

  it('who goes away in the middle of it leaves none', async () => {
    const gone = await connect();
    await gone.query(`SET work_mem = '64kB'; SET log_temp_files = 0`);
    gone.query(SORT.replace('60000', '6000000')).catch(() => {});
    await until('a file', async () => (await files()) === 1);
    (gone as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
    await until('none', async () => (await files()) === 0);
    expect(readdirSync(folder)).toEqual([]);
  });
});
