/**
 * pg_stat_statements and query identifiers. What PostgreSQL 15 counted for the same statements is noted here; with one
 * session per instance what is shown is put together out of several.
 */
import { appendFileSync, cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasPostgres, postgresAnswers } from '@pgtroupe/testkit/postgres-judge';
import { isBuilt, TestCluster, until } from '@pgtroupe/testkit/test-cluster';

const STATEMENTS = `
insert into ss select g, 'x' || g, g * 1.5 from generate_series(1, 10) g
select 1
select 2
select  3 as three
SELECT 'a'
select a from ss where a = 1
select a from ss t where t.a=-5
select a, b from ss where b = 'x1' and c > 1.5e0 limit 1
select a, b from ss where b = E'x\\'1' and c > .5 limit 2
select $$x$$, null, true, false
select -1, -  2, +3, 1e10, 99999999999, 0.5::float8, 'a'::text || E'b'
select b'01', x'ff', U&'a', n'x', E'1'
select interval '1 day', '2020-01-01'::date, date '2020-01-02', 5::text
select a from ss where a in (1,2,3)
select a from ss where a in (1,2)
select case a when 1 then 'one' else 'more' end from ss where a between 1 and 2 order by 1
with w as (select 1 as x union all select 2) select * from w where x > 0
values (1,'x'),(2,'y')
update ss set b = 'y' where a = 1
update ss set b = 'z' where a in (1,2) returning a
delete from ss where a > 8
begin
commit
set work_mem = '8MB'
set work_mem = '9MB'
copy (select 1) to stdout
prepare p as select a from ss where a = $1 and b <> 'q'
execute p(1)
execute p(2)
deallocate p
explain (costs off) select 1 from ss where a = 1
select 1/0
select x from (values (1),(2)) v(x) where x = 1
select a from ss where a = 1; select b from ss where a = 2`;

/** query, calls, rows. */
const POSTGRESQL = `
SELECT $1|1|1
begin|1|0
commit|1|0
copy (select 1) to stdout|1|1
delete from ss where a > $1|1|2
explain (costs off) select 1 from ss where a = 1|1|0
insert into ss select g, $1 || g, g * $2 from generate_series($3, $4) g|1|10
prepare p as select a from ss where a = $1 and b <> $2|2|2
select $1|3|3
select $1, $2, $3, $4|1|1
select $1, $2, $3, n$4, $5|1|1
select $1, $2, +$3, $4, $5, $6::float8, $7::text || $8|1|1
select a from ss where a = $1|3|2
select a from ss where a in ($1,$2)|1|2
select a from ss where a in ($1,$2,$3)|1|3
select a, b from ss where b = $1 and c > $2 limit $3|2|0
select b from ss where a = $1|1|1
select case a when $1 then $2 else $3 end from ss where a between $4 and $5 order by 1|1|2
select interval $1, $2::date, date $3, $4::text|1|1
select pg_stat_statements_reset()|1|1
select x from (values ($1),($2)) v(x) where x = $3|1|1
set work_mem = '8MB'|1|0
set work_mem = '9MB'|1|0
update ss set b = $1 where a = $2|1|1
update ss set b = $1 where a in ($2,$3) returning a|1|2
values ($1,$2),($3,$4)|1|2
with w as (select $1 as x union all select $2) select * from w where x > $3|1|2`;

describe.skipIf(!isBuilt)('pg_stat_statements (skipped until `npm run build`)', () => {
  const cluster = new TestCluster();
  const clients: pg.Client[] = [];

  async function connect(user = 'postgres'): Promise<pg.Client> {
    const client = new pg.Client({ host: '127.0.0.1', port: cluster.port, user, database: 'postgres' });
    client.on('error', () => {});
    await client.connect();
    clients.push(client);
    return client;
  }
  const counted = async (client: pg.Client): Promise<string[]> => {
    const { rows } = await client.query<{ line: string }>(
      `SELECT concat_ws('|', query, calls, rows) AS line FROM pg_stat_statements ORDER BY query COLLATE "C"`,
    );
    return rows.map(({ line }) => line);
  };

  beforeAll(async () => {
    await cluster.create();
    appendFileSync(
      join(cluster.data, 'postgresql.conf'),
      "shared_preload_libraries = 'pg_stat_statements'\npgtroupe.sessions_per_instance = 1\nlog_line_prefix = '<%Q> '\n",
    );
    await cluster.start();
  });

  afterAll(async () => {
    for (const client of clients) await client.end().catch(() => {});
    await cluster.destroy();
  });

  it('counts what PostgreSQL counts, under the same texts', async () => {
    const client = await connect();
    await client.query('CREATE EXTENSION pg_stat_statements');
    await client.query('CREATE TABLE ss (a int PRIMARY KEY, b text, c numeric)');
    await client.query('select pg_stat_statements_reset()');
    for (const statement of STATEMENTS.trim().split('\n')) await client.query(statement).catch(() => {});
    expect(await counted(client)).toEqual(POSTGRESQL.trim().split('\n'));
    const { rows } = await client.query<Record<string, unknown>>(
      `SELECT wal_records::int, wal_bytes > 500 AS bytes, total_exec_time > 0 AS time,
         min_exec_time <= mean_exec_time AND mean_exec_time <= max_exec_time AS mean, stddev_exec_time, toplevel
       FROM pg_stat_statements WHERE query LIKE 'insert into ss%'`,
    );
    expect(rows).toEqual([
      { wal_records: 21, bytes: true, time: true, mean: true, stddev_exec_time: 0, toplevel: true },
    ]);
  });

  it('gathers from all instances, and is reset in all', async () => {
    const [first] = clients;
    const others = [await connect(), await connect()];
    await first!.query('SELECT pg_stat_statements_reset()');
    for (const client of [first!, ...others]) await client.query('SELECT a FROM ss WHERE a = 7');
    const { rows } = await first!.query<Record<string, unknown>>(
      `SELECT userid, dbid, queryid, calls::int, rows::int FROM pg_stat_statements WHERE query = 'SELECT a FROM ss WHERE a = $1'`,
    );
    expect(rows).toMatchObject([{ calls: 3, rows: 3 }]);
    const { userid, dbid, queryid } = rows[0]!;
    await others[0]!.query(`SELECT pg_stat_statements_reset(${userid}, ${dbid}, ${queryid})`);
    expect((await counted(first!)).filter(line => line.startsWith('SELECT a FROM'))).toEqual([]);
    expect((await counted(first!)).length).toBeGreaterThan(0);
  });

  it('others’ texts are theirs, and only superusers reset', async () => {
    const [first] = clients;
    await first!.query('CREATE ROLE reader LOGIN');
    const reader = await connect('reader');
    await reader.query('SELECT 40 + 2');
    const { rows } = await reader.query<{ query: string; shown: boolean }>(
      `SELECT query, queryid IS NOT NULL AS shown FROM pg_stat_statements ORDER BY query COLLATE "C"`,
    );
    expect(rows.filter(({ query }) => query === 'SELECT $1 + $2')).toEqual([{ query: 'SELECT $1 + $2', shown: true }]);
    expect(rows[0]).toEqual({ query: '<insufficient privilege>', shown: false });
    await expect(reader.query('SELECT pg_stat_statements_reset()')).rejects.toMatchObject({ code: '42501' });
  });

  it('the identifier is in pg_stat_activity, in the log and in EXPLAIN VERBOSE, and nowhere when it is off', async () => {
    const [first, second] = clients;
    const ids = new Set<string>();
    for (const constant of [3, 44]) {
      await first!.query(`SELECT b FROM ss WHERE a = ${constant}`);
      const { rows } = await second!.query<{ query_id: string }>(
        "SELECT query_id FROM pg_stat_activity WHERE query LIKE 'SELECT b FROM ss%' AND pid <> pg_backend_pid()",
      );
      ids.add(rows[0]!.query_id);
      const plan = await first!.query(`EXPLAIN (VERBOSE) SELECT b FROM ss WHERE a = ${constant}`);
      const line = plan.rows.map(row => String(row['QUERY PLAN'])).find(text => text.startsWith('Query Identifier: '));
      ids.add(line!.slice('Query Identifier: '.length));
    }
    const { rows } = await second!.query<{ queryid: string }>(
      "SELECT queryid FROM pg_stat_statements WHERE query = 'SELECT b FROM ss WHERE a = $1'",
    );
    ids.add(rows[0]!.queryid);
    expect([...ids]).toEqual([rows[0]!.queryid]);
    await first!.query('SET log_min_duration_statement = 0');
    await first!.query('SELECT b FROM ss WHERE a = 3');
    await first!.query('SET compute_query_id = off');
    await until('the log', () => cluster.log.includes(`<${rows[0]!.queryid}> LOG:  duration`));
    const plan = await first!.query('EXPLAIN (VERBOSE) SELECT 1');
    expect(plan.rows.map(row => String(row['QUERY PLAN'])).filter(text => text.startsWith('Query'))).toEqual([]);
    const { rows: none } = await second!.query(
      "SELECT query_id FROM pg_stat_activity WHERE query LIKE 'EXPLAIN%' AND pid <> pg_backend_pid()",
    );
    expect(none).toEqual([{ query_id: null }]);
  });

  it('pgtroupe_launch_worker() is in an extension too', async () => {
    const [, second] = clients;
    const module = join(cluster.folder, 'note.mjs');
    writeFileSync(
      module,
      "export async function main(w) { await w.query('INSERT INTO ss VALUES ($1, current_user)', [w.argument]); }",
    );
    await second!.query('CREATE EXTENSION pgtroupe');
    const launch = (entry: string) => second!.query('SELECT pgtroupe_launch_worker($1)', [entry]);
    expect((await launch(`${module} argument=1000`)).rows).toEqual([{ pgtroupe_launch_worker: 'bgworker-1' }]);
    const row = async () => (await second!.query('SELECT b FROM ss WHERE a = 1000')).rows[0] as unknown;
    expect(await until('its row', row, 30_000)).toEqual({ b: 'postgres' });
    await until('its end', async () => !(await cluster.status()).roles.some(role => role.name === 'bgworker-1'));
    await expect(launch(`${module} start=never`)).rejects.toMatchObject({ code: '22023' });
    const reader = clients.at(-1)!;
    await expect(reader.query("SELECT pgtroupe_launch_worker('x')")).rejects.toMatchObject({ code: '42501' });
  });

  it('pgtroupe_* views tell superusers and pg_monitor of the cast', async () => {
    const [first] = clients;
    const reader = clients.at(-1)!;
    const one = async (sql: string, client = first!): Promise<unknown> =>
      Object.values((await client.query<Record<string, unknown>>(sql)).rows[0] ?? {})[0];
    const { roles, postmasterPid } = await cluster.status();
    expect(
      (
        await first!.query(
          'SELECT name, pid, state, epoch > 0 AS epoch, since <= now() AS since, deaths FROM pgtroupe_roles',
        )
      ).rows,
    ).toEqual(
      roles.map(({ name, osPid }) => ({ name, pid: osPid, state: 'ready', epoch: true, since: true, deaths: 0 })),
    );
    expect(await one('SELECT count(*)::int FROM pgtroupe_instances WHERE sessions > 0')).toBeGreaterThan(0);
    expect(await one(`SELECT bool_and(sent > 0) FROM pgtroupe_streams WHERE stream LIKE '%/Attach'`)).toBe(true);
    expect(await one(`SELECT count FROM pgtroupe_held WHERE name = 'buffer-manager' AND what = 'locks'`)).toBeDefined();
    for (const view of ['roles', 'instances', 'streams', 'held'])
      await expect(reader.query(`SELECT * FROM pgtroupe_${view}`)).rejects.toMatchObject({ code: '42501' });
    await expect(reader.query('SELECT * FROM pgtroupe_roles()')).rejects.toMatchObject({ code: '42501' });
    const { rows } = await reader.query<{ me: string }>('SELECT current_user AS me');
    await first!.query(`GRANT pg_monitor TO ${rows[0]!.me}`);
    expect(await one('SELECT count(*)::int FROM pgtroupe_roles', reader)).toBe(roles.length);
    await first!.query(`REVOKE pg_monitor FROM ${rows[0]!.me}`);

    const checkpointer = roles.find(({ name }) => name === 'checkpointer')!;
    process.kill(checkpointer.osPid, 'SIGKILL');
    const deaths = `SELECT deaths FROM pgtroupe_roles WHERE name = 'checkpointer' AND state = 'ready'`;
    await until('its death', async () => (await one(deaths)) === 1);

    const times =
      'SELECT pg_postmaster_start_time() < pg_conf_load_time() AND pg_conf_load_time() <= clock_timestamp()';
    expect(await one('SELECT pg_postmaster_start_time() = pg_conf_load_time()')).toBe(true);
    await first!.query('SELECT pg_reload_conf()');
    expect(await one(times)).toBe(true);
    // Who asks while there is no postmaster waits for the next.
    process.kill(postmasterPid, 'SIGKILL');
    expect(await one('SELECT pg_postmaster_start_time() = pg_conf_load_time()')).toBe(true);
  });

  it.skipIf(!hasPostgres)(
    'PostgreSQL 15 reads the extensions in a copy of the directory (needs postgres)',
    async () => {
      await cluster.run('stop', '-D', cluster.data, '-m', 'fast');
      const copy = mkdtempSync(join(tmpdir(), 'pgt-copy-'));
      cpSync(cluster.data, copy, { recursive: true });
      const { answers } = postgresAnswers(copy, [
        'SELECT extname, extversion FROM pg_extension ORDER BY 1',
        "SELECT pg_get_viewdef('pg_stat_statements_info'::regclass)",
        "SELECT pg_get_function_arguments('pg_stat_statements_reset'::regproc)",
      ]);
      rmSync(copy, { recursive: true, force: true });
      expect(answers.map(answer => answer.trim())).toEqual([
        'pg_stat_statements\t1.10\npgtroupe\t1.0\nplpgsql\t1.0',
        expect.stringContaining('pg_stat_statements_info.dealloc') as unknown,
        'userid oid DEFAULT 0, dbid oid DEFAULT 0, queryid bigint DEFAULT 0',
      ]);
    },
  );
});
