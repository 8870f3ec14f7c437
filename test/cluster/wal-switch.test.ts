/**
 * pg_switch_wal and archive_timeout: where they say that WAL is, and that PostgreSQL's pg_waldump and our own recovery
 * read on behind a switch.
 */
import { spawnSync } from 'node:child_process';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PG_BIN } from '@pgtroupe/testkit/oracle-address';
import { hasPostgres } from '@pgtroupe/testkit/postgres-judge';
import { isBuilt, sleep, TestCluster, until } from '@pgtroupe/testkit/test-cluster';

const SEGMENT = 16 * 1024 * 1024;
const offsetOf = (lsn: string): number => Number.parseInt(lsn.split('/')[1]!, 16);

describe.skipIf(!isBuilt)('switches of the WAL segment (skipped until `npm run build`)', () => {
  const cluster = new TestCluster();
  let client: pg.Client;

  async function connect(): Promise<void> {
    client = new pg.Client({ host: '127.0.0.1', port: cluster.port, user: 'postgres', database: 'postgres' });
    client.on('error', () => {});
    await client.connect();
  }

  async function ask(sql: string): Promise<string> {
    const { rows } = await client.query({ text: sql, rowMode: 'array' });
    return String(rows[0][0]);
  }

  beforeAll(async () => {
    await cluster.create();
    await cluster.start('-c', 'archive_timeout=1');
    await connect();
    await client.query('CREATE TABLE note (n int)');
  });

  afterAll(async () => {
    await client.end().catch(() => {});
    await cluster.destroy();
  });

  it('pg_switch_wal tells the end of its record, and does nothing at a segment’s start', async () => {
    await client.query('INSERT INTO note VALUES (1)');
    const before = offsetOf(await ask('SELECT pg_current_wal_insert_lsn()'));
    const told = offsetOf(await ask('SELECT pg_switch_wal()'));
    expect(told).toBeGreaterThan(before);
    expect(Math.floor(told / SEGMENT)).toBe(Math.floor(before / SEGMENT));
    const again = offsetOf(await ask('SELECT pg_switch_wal()'));
    expect(again).toBe((Math.floor(told / SEGMENT) + 1) * SEGMENT);
    expect(offsetOf(await ask('SELECT pg_current_wal_lsn()'))).toBe(again);
    expect(await ask(`SELECT pg_walfile_name('0/${told.toString(16)}')`)).toBe(
      `0000000100000000000000${Math.floor(told / SEGMENT)
        .toString(16)
        .toUpperCase()
        .padStart(2, '0')}`,
    );
    expect(
      await ask(
        `SELECT pg_walfile_name('0/${again.toString(16)}') < pg_walfile_name('0/${again.toString(16)}'::pg_lsn + 1)`,
      ),
    ).toBe('true');
  });

  it('archive_timeout ends a segment in which something happened, and no other', async () => {
    await client.query('INSERT INTO note VALUES (2)');
    const end = await until('the segment to end', async () => {
      const at = offsetOf(await ask('SELECT pg_current_wal_lsn()'));
      return at % SEGMENT === 0 && at;
    });
    await sleep(3000);
    expect(offsetOf(await ask('SELECT pg_current_wal_lsn()'))).toBe(end);
  });

  it('what comes behind is recovered', async () => {
    await client.query('INSERT INTO note VALUES (3)');
    await client.query('SELECT pg_switch_wal()');
    await client.query('INSERT INTO note VALUES (4)');
    process.kill((await cluster.role('buffer-manager')).osPid, 'SIGKILL');
    await until('its successor', () =>
      connect()
        .then(() => ask('SELECT array_agg(n ORDER BY n) FROM note'))
        .catch(() => undefined),
    );
    expect(await ask('SELECT array_agg(n ORDER BY n) FROM note')).toBe('1,2,3,4');
    await client.query('SELECT pg_switch_wal()');
    await client.query('INSERT INTO note VALUES (5)');
    process.kill((await cluster.role('walwriter')).osPid, 'SIGKILL');
    expect(await ask('SELECT pg_switch_wal() IS NOT NULL')).toBe('true');
    expect(await ask('SELECT count(*) FROM note')).toBe('5');
  });

  it.skipIf(!hasPostgres)('pg_waldump reads across', async () => {
    const from = await ask('SELECT pg_current_wal_lsn()');
    for (let n = 10; n < 13; n++) {
      await client.query(`INSERT INTO note VALUES (${n})`);
      await client.query('SELECT pg_switch_wal()');
    }
    const to = await ask('SELECT pg_current_wal_lsn()');
    const { stdout, stderr } = spawnSync(
      `${PG_BIN}/pg_waldump`,
      ['-p', `${cluster.data}/pg_wal`, '-s', from, '-e', to],
      {
        encoding: 'utf8',
      },
    );
    expect(stderr).toBe('');
    expect(stdout.match(/desc: SWITCH/g)).toHaveLength(3);
    expect(stdout.match(/desc: COMMIT/g)).toHaveLength(3);
  });
});
