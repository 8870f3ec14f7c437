/** Background workers in the cast: registration, sessions, ends of all kinds, the scheduler that comes with them. */
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isBuilt, TestCluster, until } from '@pgtroupe/testkit/test-cluster';

/** Notes each of its starts, then holds a transaction open until it is ended. */
const STEADY = `export async function main(worker) {
  await worker.query('INSERT INTO start VALUES ($1)', [worker.argument]);
  await worker.query('BEGIN');
  await worker.query("INSERT INTO start VALUES ('never')");
  for (;;) await worker.sleep(60_000);
}`;
/** Hears nothing, as in an endless loop, but leaves the processor to others. */
const HANGS = 'export function main() { Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0); }';
const ONCE = `export default async function (worker) {
  const error = await worker.query('SELECT 1/0').catch(e => e);
  const { rows, command } = await worker.query('SELECT $1::int + 1 AS n, NULL AS nothing', [41]);
  worker.log('LOG', JSON.stringify([error.sqlstate, rows, command]));
}`;

describe.skipIf(!isBuilt)('background workers (skipped until `npm run build`)', () => {
  const cluster = new TestCluster();
  let client: pg.Client;

  const rows = async (sql: string): Promise<Record<string, unknown>[]> =>
    (await client.query<Record<string, unknown>>(sql)).rows;
  const starts = async (): Promise<number> =>
    Number((await rows("SELECT count(*) AS n FROM start WHERE who = 'steady'"))[0]!['n']);
  const write = (name: string, source: string): string => {
    const path = join(cluster.folder, name);
    writeFileSync(path, source);
    return path;
  };
  const worker = async (name: string) => (await cluster.status()).roles.find(role => role.name === name);

  beforeAll(async () => {
    const workers = [
      `${write('steady.mjs', STEADY)} name="steady one" type=steady database=postgres restart=1s argument=steady`,
      `${write('once.mjs', ONCE)} database=postgres`,
      `${write('throws.mjs', "throw new Error('at load')")} restart=never`,
      `${write('rejects.mjs', 'export function main() { void Promise.reject(new Error("nobody")); return new Promise(() => {}); }')} restart=never`,
      `${write('hangs.mjs', HANGS)}`,
      '/nowhere.mjs restart=never',
      `${join(cluster.folder, 'steady.mjs')} name=wrong database=nowhere restart=2min`,
      '$libdir/scheduler database=postgres argument=100',
    ];
    await cluster.create();
    appendFileSync(
      join(cluster.data, 'postgresql.conf'),
      `pgtroupe.background_workers = '${workers.join(', ')}'\nrole_timeout = 3s\n`,
    );
    await cluster.start();
    client = new pg.Client({ host: '127.0.0.1', port: cluster.port, user: 'postgres', database: 'postgres' });
    client.on('error', () => {});
    await client.connect();
    await client.query('CREATE TABLE start (who text)');
  });

  afterAll(async () => {
    await client.end().catch(() => {});
    await cluster.destroy();
  });

  it('those that fail say why in PostgreSQL’s words, and end by their rule', async () => {
    const lines = [
      /ERROR: {2}at load\n/,
      /ERROR: {2}nobody\n/,
      /ERROR: {2}could not access file "\/nowhere.mjs": No such file or directory\n/,
      /FATAL: {2}database "nowhere" does not exist\n[^]*background worker "wrong" \(PID \d+\) exited with exit code 1\n/,
      /LOG: {2}background worker "throws" \(PID \d+\) exited with exit code 1\n/,
      /LOG: {2}background worker "rejects" \(PID \d+\) exited with exit code 1\n/,
      /LOG: {2}background worker "nowhere" \(PID \d+\) exited with exit code 1\n/,
      /LOG: {2}\["22012",\[\{"n":"42","nothing":null\}\],"SELECT 1"\]\n/,
    ];
    for (const line of lines) await until(String(line), () => line.test(cluster.log), 30_000);
    expect(cluster.log.match(/ERROR: {2}at load\n/g)).toHaveLength(1);
    const { roles } = await cluster.status();
    const left = roles.filter(role => role.name.startsWith('bgworker')).map(role => role.name);
    expect(left).toEqual(['bgworker-1', 'bgworker-5', 'bgworker-7', 'bgworker-8']);
  });

  it('pg_stat_activity shows their type; pg_terminate_backend ends them, and they come again', async () => {
    await until('a start', async () => (await starts()) > 0, 30_000);
    const [shown] = await rows(
      `SELECT usename, datname, state, wait_event_type, wait_event, client_addr, client_port, query
       FROM pg_stat_activity WHERE backend_type = 'steady'`,
    );
    expect(shown).toMatchObject({
      usename: 'postgres',
      datname: 'postgres',
      state: 'idle in transaction',
      wait_event_type: 'Extension',
      client_port: null,
      query: "INSERT INTO start VALUES ('never')",
    });
    const before = await starts();
    await rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE backend_type = 'steady'");
    await until('another start', async () => (await starts()) === before + 1, 30_000);
    expect(cluster.log).toContain('FATAL:  terminating background worker "steady" due to administrator command\n');
    expect(cluster.log).toMatch(/background worker "steady one" \(PID \d+\) exited with exit code 1\n/);
  });

  it('kill -9 concerns nobody else: its transaction is rolled back, it comes again', async () => {
    await client.query('BEGIN');
    await client.query("INSERT INTO start VALUES ('client')");
    const before = await starts();
    process.kill((await worker('bgworker-1'))!.osPid, 'SIGKILL');
    await until('another start', async () => (await starts()) === before + 1, 30_000);
    await client.query('COMMIT');
    expect(cluster.log).toMatch(/background worker "steady one" \(PID \d+\) was terminated by signal 9: Killed\n/);
    expect(await rows("SELECT count(*)::int AS n FROM start WHERE who = 'never'")).toEqual([{ n: 0 }]);
  });

  it('the postmaster’s death leaves them at work, and its successor starts none twice', async () => {
    const before = (await worker('bgworker-1'))!.osPid;
    const { postmasterPid } = await cluster.status();
    process.kill(postmasterPid, 'SIGKILL');
    const status = await until(
      'the successor',
      async () => {
        const found = await cluster.status().catch(() => undefined);
        return found !== undefined && found.postmasterPid !== postmasterPid && found.pmState === 'PM_RUN' && found;
      },
      30_000,
    );
    const mine = status.roles.filter(role => role.name.startsWith('bgworker')).map(role => role.name);
    expect(mine).toContain('bgworker-1');
    expect(mine.length).toBeLessThanOrEqual(8);
    expect((await worker('bgworker-1'))!.osPid).toBe(before);
    expect(await rows("SELECT count(*)::int AS n FROM pg_stat_activity WHERE backend_type = 'steady'")).toEqual([
      { n: 1 },
    ]);
  });

  it('the scheduler runs what is due, once, and notes what failed', async () => {
    await until('its table', async () => (await rows("SELECT to_regclass('scheduled_job') AS t"))[0]!['t'] !== null);
    await client.query(`INSERT INTO scheduled_job (name, schedule, command) VALUES
      ('a', '* * * * *', 'INSERT INTO start VALUES (''job'')'), ('b', '* * * * *', 'SELECT 1/0'),
      ('c', '* * 31 2 *', 'INSERT INTO start VALUES (''job'')'), ('d', 'hourly', 'SELECT 1')`);
    const found = await until('both', async () => {
      const ran = await rows('SELECT name, last_error FROM scheduled_job WHERE last_run IS NOT NULL ORDER BY name');
      return ran.length === 2 && ran;
    });
    expect(found).toEqual([
      { name: 'a', last_error: null },
      { name: 'b', last_error: 'division by zero' },
    ]);
    await until('what is wrong', () => /WARNING: {2}job "d" is not run\n/.test(cluster.log));
    const [times] = await rows(`SELECT (SELECT count(*) FROM start WHERE who = 'job')::int AS jobs,
      (SELECT date_trunc('minute', now()) = date_trunc('minute', last_run) FROM scheduled_job WHERE name = 'a') AS same`);
    if (times!['same'] === true) expect(times!['jobs']).toBe(1);
  });

  it('a fast shutdown ends them, one that hears nothing by force', async () => {
    expect((await cluster.run('stop', '-D', cluster.data, '-m', 'fast')).code).toBe(0);
    const { log } = cluster;
    expect(log).toContain('LOG:  the scheduler ends\n');
    expect(log).toContain('WARNING:  bgworker-5 does not stop, killing it\n');
    expect(log).toMatch(/background worker "hangs"[^]*checkpoint starting: shutdown/);
  });
});
