import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { nodeDisk } from '@pgtroupe/actor/node/disk';
import type { Disk } from '@pgtroupe/actor/env';
import { PG_BIN } from '@pgtroupe/testkit/oracle-address';
import { initdb } from './initdb.ts';

const ENV = {
  clock: { nowMs: () => performance.now(), startedMs: 0, wallMicros: () => Date.now() * 1000 },
  random: { bytes: (n: number) => crypto.getRandomValues(new Uint8Array(n)), uniform: Math.random },
};

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pgtroupe-initdb-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test('a data directory is made in less than two seconds', async () => {
  const started = performance.now();
  const { systemIdentifier } = await initdb({ disk: nodeDisk(join(folder, 'speed')), ...ENV });
  expect(performance.now() - started).toBeLessThan(2000 * (process.env['CI'] ? 5 : 2));
  expect(systemIdentifier > 0n).toBe(true);
  expect(statSync(join(folder, 'speed')).mode & 0o777).toBe(0o700);
  expect(statSync(join(folder, 'speed/base/1/1259')).mode & 0o777).toBe(0o600);
});

test('a folder that is not empty is refused and left alone', async () => {
  const disk = nodeDisk(join(folder, 'taken'));
  await disk.mkdir('');
  await disk.writeFile('mine', new Uint8Array(1));
  await expect(initdb({ disk, ...ENV })).rejects.toThrow('exists but is not empty');
  expect(readdirSync(join(folder, 'taken'))).toEqual(['mine']);
});

test('reserved superuser names are refused', async () => {
  await expect(initdb({ disk: nodeDisk(join(folder, 'reserved')), ...ENV }, { username: 'pg_me' })).rejects.toThrow(
    'cannot begin with "pg_"',
  );
  expect(existsSync(join(folder, 'reserved'))).toBe(false);
});

test.each(['fresh', 'existing'])('a disk that fills up leaves nothing behind (%s root)', async kind => {
  const root = join(folder, `full-${kind}`);
  const real = nodeDisk(root);
  if (kind === 'existing') await real.mkdir('');
  let writes = 0;
  const full: Disk = {
    ...real,
    open: async (path, mode) => {
      if (++writes > 300) throw new Error('no space left on device');
      return real.open(path, mode);
    },
  };
  await expect(initdb({ disk: full, ...ENV }, { noSync: true })).rejects.toThrow('no space left');
  if (kind === 'existing') expect(readdirSync(root)).toEqual([]);
  else expect(existsSync(root)).toBe(false);
});

const hasPostgres = existsSync(join(PG_BIN, 'postgres'));

describe.skipIf(!hasPostgres)(`PostgreSQL 15 judges (skipped: no ${PG_BIN}/postgres)`, () => {
  const asRoot = userInfo().uid === 0;
  const run = promisify(execFile);
  let data: string;
  let port: number;

  const server = (program: string, ...args: string[]): Promise<{ stdout: string; stderr: string }> =>
    asRoot
      ? run('setpriv', ['--reuid=postgres', '--regid=postgres', '--clear-groups', join(PG_BIN, program), ...args], {
          cwd: '/',
        })
      : run(join(PG_BIN, program), args);
  const client = async (program: string, ...args: string[]): Promise<string> =>
    (
      await run(join(PG_BIN, program), ['-h', '127.0.0.1', '-p', String(port), '-U', 'troupe', ...args], {
        maxBuffer: 64 << 20,
        env: { ...process.env, PGDATABASE: 'postgres' },
      })
    ).stdout;
  const sql = (query: string, database = 'postgres'): Promise<string> =>
    client('psql', '-X', '-At', '-v', 'ON_ERROR_STOP=1', '-d', database, '-c', query);

  beforeAll(async () => {
    data = join(folder, 'judged');
    await initdb({ disk: nodeDisk(data), ...ENV }, { username: 'troupe' });
    port = await new Promise<number>(resolve => {
      const probe = createServer().listen(0, '127.0.0.1', () => {
        const { port: free } = probe.address() as { port: number };
        probe.close(() => resolve(free));
      });
    });
    if (asRoot) execFileSync('chown', ['-R', 'postgres', folder]);
    expect((await server('pg_checksums', '--check', '-D', data)).stdout).toMatch(/Bad checksums:\s+0/);
    expect((await server('pg_controldata', '-D', data)).stdout).toMatch(/Data page checksum version:\s+1/);
    await server(
      'pg_ctl',
      '-D',
      data,
      '-w',
      '-l',
      join(folder, 'log'),
      '-o',
      `-p ${port} -k ${folder} -c listen_addresses=127.0.0.1 -c autovacuum=off`,
      'start',
    );
  }, 60_000);

  afterAll(async () => {
    await server('pg_ctl', '-D', data, '-w', '-m', 'immediate', 'stop').catch(() => undefined);
  });

  test('databases and roles are there', async () => {
    expect(await sql('select datname from pg_database order by oid')).toBe('template1\ntemplate0\npostgres\n');
    expect(await sql('select current_user, rolsuper from pg_roles where oid = 10')).toBe('troupe|t\n');
    expect(
      await sql("select has_schema_privilege('public', 'usage'), count(*) > 700 from information_schema.sql_features"),
    ).toBe('t|t\n');
  });

  test('every index agrees with its heap before anything was changed', async () => {
    for (const database of ['postgres', 'template1']) await sql('create extension amcheck', database);
    expect(await client('pg_amcheck', '--heapallindexed', '--parent-check', '--rootdescend', '-a')).toBe('');
  }, 120_000);

  test('psql’s lists, DDL, DML, VACUUM and pg_dump work', async () => {
    for (const list of ['\\l', '\\dt *.*', '\\dn', '\\df pg_catalog.abs', '\\dT+ int4', '\\du', '\\dx']) {
      expect((await client('psql', '-X', '-d', 'postgres', '-c', list)).length).toBeGreaterThan(100);
    }
    await sql(`create table t (id serial primary key, name text unique, big text);
      insert into t (name, big) select 'n' || g, repeat(md5(g::text), 200) from generate_series(1, 500) g;
      create view v as select * from t where id > 10`);
    for (const command of ['vacuum full pg_class', 'vacuum freeze analyze', 'reindex system postgres'])
      await sql(command);
    expect(await sql('select count(*), sum(length(big)) from v')).toBe('490|3136000\n');
    const dump = await client('pg_dump', '-d', 'postgres');
    expect(dump).toContain('CREATE TABLE public.t');
    expect(dump).not.toContain('GRANT');
    await sql('create database other');
    expect(await sql('select count(*) > 400 from pg_class', 'other')).toBe('t\n');
    expect(await client('pg_amcheck', '--heapallindexed', '--parent-check', '--rootdescend', '-d', 'postgres')).toBe(
      '',
    );
  }, 120_000);

  test('catalog contents are those that PostgreSQL’s own initdb makes', async () => {
    expect(await sql("select count(*) from pg_views where definition is null or definition = ''")).toBe('0\n');
    expect(
      await sql(
        "select relname, relpages > 0, reltuples from pg_class where relname in ('pg_am', 'pg_trigger') order by 1",
        'template1',
      ),
    ).toBe('pg_am|t|7\npg_trigger|f|0\n');
  });
});
