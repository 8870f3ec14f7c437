/**
 * Archiving under deaths: archiver, walwriter, buffer-manager and everybody are killed while sessions write. Whatever
 * happens, the archive has every segment once, none twice with other content; pg_waldump reads it from end to end; and
 * PostgreSQL 15, given a copy of the directory from before and the archive, recovers exactly the rows that were committed.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { appendFileSync, chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PG_BIN } from '@pgtroupe/testkit/oracle-address';
import { hasPostgres } from '@pgtroupe/testkit/postgres-judge';
import { isBuilt, sleep, TestCluster, until } from '@pgtroupe/testkit/test-cluster';

const VICTIMS = ['archiver', 'walwriter', 'buffer-manager', 'archiver', 'walwriter', 'everybody', 'archiver'] as const;
const WRITERS = 3;
const COMMITTED =
  'SELECT writer, count(*), sum(n), max(n), (SELECT count(*) FROM filler) FROM ledger GROUP BY writer ORDER BY writer';

describe.skipIf(!isBuilt)('the archive (skipped until `npm run build`)', () => {
  const cluster = new TestCluster();
  const archive = join(cluster.folder, 'archive');
  const base = join(cluster.folder, 'base');
  const script = join(cluster.folder, 'archive.sh');
  const runs = join(cluster.folder, 'runs');
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
      ...['archive_mode=on', `archive_command=${script} %p %f`, 'max_wal_size=48MB', 'min_wal_size=32MB'].flatMap(s => [
        '-c',
        s,
      ]),
    );
  }

  beforeAll(async () => {
    await cluster.create();
    cpSync(cluster.data, base, { recursive: true });
    mkdirSync(archive);
    writeFileSync(runs, '');
    // As PostgreSQL's documentation wants it: the same content under the same name is no error, other content is. Copied
    // aside first, so that a command whose archiver is killed leaves no half of a file.
    writeFileSync(
      script,
      `#!/bin/sh
if test -f ${archive}/$2; then
  if cmp -s $1 ${archive}/$2; then echo "again $2" >> ${runs}; exit 0; fi
  echo "other $2" >> ${runs}; exit 1
fi
cp $1 ${archive}/.$2.$$ && mv ${archive}/.$2.$$ ${archive}/$2 && echo "first $2" >> ${runs}
`,
    );
    chmodSync(script, 0o755);
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
      for (const pid of all) if (pid > 0) spawnSync('kill', ['-9', String(pid)]);
      await cluster.ended();
      appendFileSync(runs, 'everybody died\n');
      await start();
    }
    await sleep(2000);
    stopped = true;
    await Promise.all(writers);
    expect(Math.min(...acknowledged)).toBeGreaterThan(3);
    await ask('SELECT pg_switch_wal()');
    const [last] = await ask('SELECT pg_walfile_name(pg_current_wal_lsn())');
    await until('the last segment in the archive', () => readdirSync(archive).includes(last!), 60_000);
    const [first, ...others] = readdirSync(archive)
      .filter(name => /^[0-9A-F]{24}$/.test(name))
      .sort();
    expect(first).toBe('000000010000000000000001');
    const number = (name: string): number => Number.parseInt(name.slice(16), 16);
    expect(others.map(number)).toEqual(others.map((_, n) => n + 2));
    expect(others.length).toBeGreaterThanOrEqual(VICTIMS.length - 1);
    const told = readFileSync(runs, 'utf8').split('\n');
    expect(told.filter(line => line.startsWith('other'))).toEqual([]);
    // A command whose archiver was killed goes on, and the next archiver may have begun the same file.
    const archived = told.filter(line => line.startsWith('first')).map(line => line.slice(6));
    expect([...new Set(archived)]).toEqual([first, ...others]);
  }, 180_000);

  it.skipIf(!hasPostgres)(
    'is read by PostgreSQL, whose recovery finds exactly what was committed',
    async () => {
      const committed = await ask(COMMITTED);
      for (const [writer, n] of acknowledged.entries())
        expect(Number(committed[writer]!.split('|')[3])).toBeGreaterThanOrEqual(n);
      const segments = readdirSync(archive)
        .filter(name => /^[0-9A-F]{24}$/.test(name))
        .sort();
      const dump = spawnSync(`${PG_BIN}/pg_waldump`, ['-p', archive, segments[0]!, segments.at(-1)!], {
        encoding: 'utf8',
        maxBuffer: 2 ** 29,
      });
      expect(dump.stdout.trimEnd().split('\n').at(-1)).toMatch(/desc: SWITCH/);
      expect(dump.stdout).not.toMatch(/UNKNOWN/);

      writeFileSync(join(base, 'recovery.signal'), '');
      appendFileSync(join(base, 'postgresql.auto.conf'), `restore_command = 'cp ${archive}/%f %p'\n`);
      const as = process.getuid?.() === 0 ? ['runuser', '-u', 'postgres', '--'] : [];
      if (as.length > 0) {
        execFileSync('chown', ['-R', 'postgres', base, archive]);
        chmodSync(cluster.folder, 0o711);
      }
      const run = (...command: string[]): string => {
        const [program, ...args] = [...as, ...command];
        const { status, stdout, stderr } = spawnSync(program!, args, { encoding: 'utf8' });
        expect(status, stdout + stderr).toBe(0);
        return stdout;
      };
      const options = `-c listen_addresses= -c unix_socket_directories=${base} -c port=5999 -c logging_collector=off`;
      run(`${PG_BIN}/pg_ctl`, 'start', '-w', '-t', '60', '-D', base, '-l', join(base, 'log'), '-o', options);
      try {
        const psql = (sql: string): string =>
          run(`${PG_BIN}/psql`, '-h', base, '-p', '5999', '-U', 'postgres', '-d', 'postgres', '-AXtc', sql);
        await until('the end of recovery', () => psql('SELECT pg_is_in_recovery()') === 'f\n', 60_000);
        expect(psql(COMMITTED).trimEnd().split('\n')).toEqual(committed);
        expect(readFileSync(join(base, 'log'), 'utf8')).toMatch(
          /restored log file "000000010000000000000001" from archive/,
        );
      } finally {
        run(`${PG_BIN}/pg_ctl`, 'stop', '-m', 'fast', '-D', base);
      }
    },
    120_000,
  );
});
