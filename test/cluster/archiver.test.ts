/** The archiver in the cast: what it says when the command fails, pg_stat_archiver, its death, shutdown. */
import { appendFileSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isBuilt, TestCluster, until } from '@pgtroupe/testkit/test-cluster';

const SEGMENT_BYTES = 16 * 1024 * 1024;

describe.skipIf(!isBuilt)('the archiver (skipped until `npm run build`)', () => {
  const cluster = new TestCluster();
  const archive = join(cluster.folder, 'archive');
  let client: pg.Client;

  async function start(): Promise<void> {
    await cluster.start();
    client = new pg.Client({ host: '127.0.0.1', port: cluster.port, user: 'postgres', database: 'postgres' });
    client.on('error', () => {});
    await client.connect();
  }

  async function row(sql: string): Promise<Record<string, unknown>> {
    return (await client.query<Record<string, unknown>>(sql)).rows[0]!;
  }

  async function fillSegment(): Promise<void> {
    await client.query('INSERT INTO note VALUES (1)');
    await client.query('SELECT pg_switch_wal()');
  }

  const stat = (): Promise<Record<string, unknown>> => row('SELECT * FROM pg_stat_archiver');
  const set = (line: string): void => appendFileSync(join(cluster.data, 'postgresql.conf'), `${line}\n`);

  beforeAll(async () => {
    await cluster.create();
    mkdirSync(archive);
    set('archive_mode = on');
    set("archive_command = 'test -d /nowhere'");
    await start();
    await client.query('CREATE TABLE note (n int)');
  });

  afterAll(async () => {
    await client.end().catch(() => {});
    await cluster.destroy();
  });

  it('a command that fails is told with its text, tried three times and counted; WAL stays', async () => {
    await fillSegment();
    const { failed_count } = await until('three failures', async () => {
      const found = await stat();
      return found['failed_count'] === '3' && found;
    });
    expect(failed_count).toBe('3');
    await until('the log', () => cluster.log.includes('failed too many times'));
    expect(cluster.log.match(/LOG: {2}archive command failed with exit code 1\n/g)).toHaveLength(3);
    expect(cluster.log).toMatch(/DETAIL: {2}The failed archive command was: test -d \/nowhere\n/);
    expect(cluster.log).toMatch(
      /WARNING: {2}archiving write-ahead log file "000000010000000000000001" failed too many times, will try again later\n/,
    );
    await client.query('CHECKPOINT');
    expect(readdirSync(join(cluster.data, 'pg_wal'))).toContain('000000010000000000000001');
    expect(await stat()).toMatchObject({
      archived_count: '0',
      last_archived_wal: null,
      last_archived_time: null,
      last_failed_wal: '000000010000000000000001',
    });
  });

  it('with a command that works, told by a reload, it goes on at once', async () => {
    set(`archive_command = 'test ! -f ${archive}/%f && cp %p ${archive}/%f'`);
    await cluster.run('reload', '-D', cluster.data);
    await until('the segment', async () => (await stat())['archived_count'] === '1');
    const copy = readFileSync(join(archive, '000000010000000000000001'));
    expect(copy.length).toBe(SEGMENT_BYTES);
    expect(readdirSync(join(cluster.data, 'pg_wal/archive_status'))).toContain('000000010000000000000001.done');
  });

  it('its death concerns nobody, and nothing is forgotten', async () => {
    const before = await cluster.role('archiver');
    process.kill(before.osPid, 'SIGKILL');
    await fillSegment();
    await until('another', async () => {
      const now = await cluster.role('archiver');
      return now.state === 'ready' && now.osPid !== before.osPid;
    });
    await until('the segment', () => readdirSync(archive).length === 2);
    process.kill((await cluster.role('walwriter')).osPid, 'SIGKILL');
    await until('counters', async () => (await stat())['archived_count'] === '2');
    expect((await row('SELECT count(*)::int AS n FROM note'))['n']).toBe(2);
  });

  it('a fast shutdown archives all but the shutdown checkpoint; counters outlive it', async () => {
    await client.query('INSERT INTO note VALUES (3)');
    await client.end();
    expect((await cluster.run('stop', '-D', cluster.data, '-m', 'fast')).code).toBe(0);
    await cluster.ended();
    expect(readdirSync(archive).sort()).toEqual([1, 2, 3].map(n => `00000001000000000000000${n}`));
    await start();
    expect(await stat()).toMatchObject({
      archived_count: '3',
      last_archived_wal: '000000010000000000000003',
      failed_count: '3',
    });
    const { before } = await row('SELECT stats_reset AS before FROM pg_stat_archiver');
    await client.query("SELECT pg_stat_reset_shared('archiver')");
    const { archived_count, stats_reset } = await stat();
    expect(archived_count).toBe('0');
    expect(Number(stats_reset)).toBeGreaterThan(Number(before));
    await expect(client.query("SELECT pg_stat_reset_shared('nothing')")).rejects.toMatchObject({ code: '22023' });
  });

  it('archive_library is refused by its name', async () => {
    set("archive_library = 'basic_archive'");
    await cluster.run('reload', '-D', cluster.data);
    await until('a refusal', () => cluster.log.includes('archive_library = basic_archive is not supported'));
  });
});
