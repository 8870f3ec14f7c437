/**
 * Archiving under deaths: archiver, walwriter, buffer-manager and everybody are killed while sessions write. Whatever
 * happens, the archive has every segment once, none twice with other content; pg_waldump reads it from end to end; and
 * PostgreSQL 15, given a copy of the directory from before and the archive, recovers exactly the rows that were committed.
 */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasPostgres } from '@pgtroupe/testkit/postgres-judge';
import { isBuilt, sleep, TestCluster, until } from '@pgtroupe/testkit/test-cluster';
import { Archive } from './archive.mjs';

const VICTIMS = ['archiver', 'walwriter', 'buffer-manager', 'archiver', 'walwriter', 'everybody', 'archiver'] as const;
const WRITERS = 3;
const COMMITTED =
  'SELECT writer, count(*), sum(n), max(n), (SELECT count(*) FROM filler) FROM ledger GROUP BY writer ORDER BY writer';

describe.skipIf(!isBuilt)('the archive (skipped until `npm run build`)', () => {
  const cluster = new TestCluster();
  let archive: Archive;
  let stopped = false;
  /** What each writer knows to be committed. */
  const acknowledged = Array.from({ length: WRITERS }, () => 0);

  const connect = async (): Promise<pg.Client> => {
    const client = new pg.Client({ host: '127.0.0.1', port: cluster.port, user: 'postgres', database: 'postgres' });
    client.on('error', () => {});
    await client.connect();
    return client;
  };

  /** With a session that lasts, or another. */
  async function ask(sql: string): Promise<string[]> {
    return until(
      sql,
      async () => {
        const client = await connect().catch(() => undefined);
        if (client === undefined) return undefined;
        try {
          const { rows } = await client.query<string[]>({ text: sql, rowMode: 'array' });
          return rows.map(row => row.join('|'));
        } catch {
          return undefined;
        } finally {
          await client.end().catch(() => {});
        }
      },
      60_000,
    );
  }

  async function write(writer: number): Promise<void> {
    let client: pg.Client | undefined;
    for (let n = 1; !stopped; ) {
      try {
        client ??= await connect();
        // Most of a megabyte of WAL.
        await client.query(
          `WITH filler AS (INSERT INTO filler SELECT repeat(md5(i::text), 50) FROM generate_series(1, 500) i)
           INSERT INTO ledger VALUES (${writer}, ${n}) ON CONFLICT DO NOTHING`,
        );
        acknowledged[writer] = n++;
      } catch {
        // Lost with its session, or refused: whether it is there is looked up by writing it again.
        await client?.end().catch(() => {});
        client = undefined;
        await sleep(50);
      }
    }
    await client?.end().catch(() => {});
  }

  async function start(): Promise<void> {
    await cluster.start(
      ...[...archive.settings, 'max_wal_size=48MB', 'min_wal_size=32MB'].flatMap(setting => ['-c', setting]),
    );
  }

  beforeAll(async () => {
    await cluster.create();
    archive = new Archive(cluster.folder, cluster.data);
    await start();
    await ask('CREATE TABLE IF NOT EXISTS ledger (writer int, n int, PRIMARY KEY (writer, n))');
    await ask('CREATE TABLE IF NOT EXISTS filler (value text)');
  });

  afterAll(async () => {
    stopped = true;
    await cluster.destroy();
  });

  it('has no gap and no double after deaths of everybody', async () => {
    const writers = acknowledged.map((_, writer) => write(writer));
    for (const victim of VICTIMS) {
      await sleep(2500);
      // So that there is something to archive while he dies.
      void ask('SELECT pg_switch_wal()');
      const { roles, postmasterPid } = await cluster.status();
      if (victim !== 'everybody') {
        const found = roles.find(role => role.name === victim);
        // One that was killed comes back ten seconds after its last start.
        if (found !== undefined && found.osPid > 0) process.kill(found.osPid, 'SIGKILL');
        continue;
      }
      const all = [cluster.keeper!.pid!, postmasterPid, ...roles.map(role => role.osPid)];
      // All stand still first: a postmaster that sees its keeper dead has another one at once.
      for (const signal of ['SIGSTOP', 'SIGKILL']) for (const pid of all) if (pid > 0) process.kill(pid, signal);
      await cluster.ended();
      await start();
    }
    await sleep(2000);
    stopped = true;
    await Promise.all(writers);
    expect(Math.min(...acknowledged)).toBeGreaterThan(3);
    const [last] = await ask('SELECT pg_walfile_name(pg_switch_wal())');
    await until('the last segment in the archive', () => archive.names().includes(last!), 60_000);
    expect(archive.problems()).toEqual([]);
    expect(archive.names().length).toBeGreaterThanOrEqual(VICTIMS.length);
  }, 180_000);

  it.skipIf(!hasPostgres)(
    'is read by PostgreSQL, whose recovery finds exactly what was committed',
    async () => {
      const committed = await ask(COMMITTED);
      for (const [writer, n] of acknowledged.entries())
        expect(Number(committed[writer]!.split('|')[3])).toBeGreaterThanOrEqual(n);
      expect(archive.lastRecord()).toMatch(/desc: SWITCH/);
      await archive.recovered((_, psql) => expect(psql(COMMITTED).split('\n')).toEqual(committed));
    },
    120_000,
  );
});
