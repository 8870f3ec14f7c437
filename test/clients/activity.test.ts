/**
 * pg_stat_activity and pg_locks about sessions of other instances: what PostgreSQL 15 says after the same work (activity.out).
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isBuilt, sleep, TestCluster, until } from '@pgtroupe/testkit/test-cluster';
import { dropOracleDatabase, oracleDatabase, ours, type Server } from './clients.ts';
import { type Answers, expected } from './expected.ts';
import { B, E, H, type Message, P, Q, S, Wire } from './wire.ts';

/** Long enough that who must wait waits. */
const WAIT_MS = 400;

const ACTIVITY = `select state, query, wait_event_type, wait_event, xact_start is not null as xact, backend_xid is not null as xid,
  backend_xmin is not null as xmin, query_start is not null as began, backend_type from pg_stat_activity where application_name = `;
const LOCKS = `select application_name, locktype, case when locktype = 'relation' then relation::regclass::text end as rel,
  page, tuple, classid, objid, objsubid, mode, granted, fastpath, waitstart is not null as waits
  from pg_locks join pg_stat_activity using (pid) where application_name in ('b', 'c', 'd') and locktype <> 'object'
  and (locktype <> 'relation' or relation = 'held'::regclass) order by 1, 2, 9, 10`;

const PROGRESS = ['vacuum', 'analyze', 'create_index', 'copy', 'cluster', 'basebackup'];
/** Without what differs from run to run: pid, datid, how far it is, and sizes: a load may leave pages unused. */
const progressOf = (
  view: string,
): string => `select to_jsonb(p) - '{pid,datid,datname,heap_blks_total,heap_blks_scanned,sample_blks_total,
  sample_blks_scanned,max_dead_tuples}'::text[] ||
  jsonb_build_object('relid', relid::regclass) from pg_stat_progress_${view} p`;

/** Rows and errors, without what differs from run to run. */
const told = (lines: readonly string[]): string =>
  lines
    .filter(line => /^[DEN] /.test(line))
    .map(line => line.replace(/ [WDHP]:.*/s, ''))
    .join('; ');

async function work(server: Server): Promise<Answers> {
  const answers = new Map<string, string>();
  const wires: Wire[] = [];
  const open = async (name: string, user = 'postgres'): Promise<Wire> => {
    const wire = await Wire.open(server, { user, application_name: name });
    wires.push(wire);
    return wire;
  };
  const [a, b, c, d] = [await open('a'), await open('b'), await open('c'), await open('d')];
  const say = (sql: string): Promise<string> => a.send(Q(sql)).then(told);
  const ask = async (what: string, sql: string): Promise<void> => void answers.set(what, await say(sql));
  /** `xmin`: PostgreSQL has a snapshot where COPY reads and locks are waited for before one is needed; here there is none. */
  const asOf = async (what: string, xmin = true): Promise<void> => {
    const sql = xmin ? ACTIVITY : ACTIVITY.replace('backend_xmin is not null', 'null');
    await ask(what, `${sql}'b'`);
  };
  try {
    await say('drop table if exists held; create table held (a int primary key); insert into held values (1), (2)');
    for (const view of ['pg_stat_activity', 'pg_locks', ...PROGRESS.map(name => `pg_stat_progress_${name}`)]) {
      await ask(
        `columns of ${view}`,
        `select string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' order by attnum) from pg_attribute
          where attrelid = '${view}'::regclass and attnum > 0`,
      );
    }
    await asOf('began');
    await b.send(Q('select 1'));
    await asOf('idle');
    await b.send(Q('select 1; select 2'));
    await asOf('two statements');
    await b.send(Q('selec 1'));
    await asOf('a syntax error');
    await b.send([P('', 'select $1::int'), B('', '', ['7']), E(), S]);
    await asOf('extended');
    b.send([P('', 'select 3 as three'), H]).catch(() => {});
    await sleep(WAIT_MS);
    await asOf('in a pipeline');
    await b.send(S);
    await b.send(Q('begin'));
    await asOf('in a block');
    await b.send(Q('select count(*) from held'));
    await asOf('has read');
    await b.send(Q('insert into held values (3)'));
    await asOf('has written');
    await b.send(Q('nonsense'));
    await asOf('has failed');
    await b.send(Q('rollback'));
    await b.send(Q('begin isolation level repeatable read; select 1 from held'));
    await asOf('has a snapshot');
    await b.send(Q('rollback'));
    const sleeps = b.send(Q('select pg_sleep(1.5)'));
    await sleep(WAIT_MS);
    await asOf('sleeps');
    await sleeps;
    const copies = b.send(Q('copy held from stdin'));
    await copies;
    await sleep(WAIT_MS);
    await asOf('copies', false);
    await ask('progress of COPY', progressOf('copy'));
    await b.send({ bytes: Buffer.from('c\0\0\0\x04', 'latin1'), ready: true });

    await b.send(Q(`create table paced (a int primary key, t text) with (autovacuum_enabled = off)`));
    await b.send(Q(`insert into paced select g, repeat('x', 400) from generate_series(1, 2000) g`));
    await b.send(Q('set vacuum_cost_delay = 100; set vacuum_cost_limit = 1'));
    for (const command of ['vacuum', 'analyze']) {
      const ends = b.send(Q(`${command} paced`));
      await sleep(WAIT_MS);
      await ask(`progress of ${command}`, progressOf(command));
      await ask(
        `end of ${command}`,
        `select wait_event, pg_cancel_backend(pid) from pg_stat_activity where application_name = 'b'`,
      );
      await ends;
      await ask(`no progress of ${command}`, progressOf(command));
    }
    await b.send(Q('drop table paced'));
    await ask('no such command', `select pg_stat_get_progress_info('nonsense')`);

    await c.send(
      Q(
        'begin; update held set a = a + 10 where a = 1; select pg_advisory_lock(5), pg_advisory_xact_lock_shared(-1, 7)',
      ),
    );
    const waitsFor = async (what: string, wire: Wire, message: Message): Promise<readonly string[]> => {
      const answer = wire.send(message);
      await sleep(WAIT_MS);
      await asOf(`waits for ${what}`, what !== 'a table');
      await ask(`locks, ${what}`, LOCKS);
      await say(`select pg_cancel_backend(pid) from pg_stat_activity where application_name = 'b'`);
      return answer;
    };
    await waitsFor('a row', b, Q('delete from held where a = 1'));
    await waitsFor('an advisory lock', b, Q('select pg_advisory_lock(5)'));
    await d.send(Q('delete from held where a = 99'));
    const inFront = d.send(Q('delete from held where a = 1'));
    await sleep(WAIT_MS);
    await waitsFor('who waits for a row', b, Q('delete from held where a = 1'));
    await c.send(Q('rollback; select pg_advisory_unlock(5)'));
    await inFront;
    await c.send(Q('begin; lock table held in share mode'));
    await waitsFor('a table', b, Q('insert into held values (9)'));
    await c.send(Q('rollback'));
    await ask('locks, nobody waits', LOCKS);
    await c.send(Q('select pg_advisory_lock(6)'));
    await ask(
      'a lock without a transaction',
      `select virtualtransaction ~ '/0$', objid, granted, fastpath from pg_locks
      join pg_stat_activity using (pid) where application_name = 'c' and locktype = 'advisory'`,
    );
    await c.send(Q('select pg_advisory_unlock_all()'));

    await say(`do $$ begin null; end $$; select 1`);
    await say(`create role act_ann login; create role act_stats login; grant pg_read_all_stats to act_stats`);
    for (const user of ['act_ann', 'act_stats']) {
      const other = await open('e', user);
      await b.send(Q('select 4'));
      const see = async (sql: string): Promise<string> => told(await other.send(Q(sql)));
      answers.set(`${user} sees`, await see(`${ACTIVITY}'b'`));
      answers.set(
        `${user} sees more`,
        await see(`select datname, usename, application_name, client_addr, client_port is null, backend_start is null,
          state_change is null, leader_pid, query_id from pg_stat_activity where application_name = 'b'`),
      );
      answers.set(
        `${user} sees itself`,
        await see(`select query, state from pg_stat_activity where application_name = 'e'`),
      );
      other.close();
    }
    await sleep(WAIT_MS);
    await say('drop role act_ann; drop role act_stats');
    await b.send(Q('set track_activities = off'));
    await b.send(Q('begin; select 5'));
    await asOf('not tracked');
    await b.send(Q('rollback; set track_activities = on'));
    await b.send(Q('select 6'));
    await asOf('tracked again');
    await b.send(Q(`select '${'é'.repeat(700)}'`));
    await ask(
      'a long text',
      `select octet_length(query), length(query) from pg_stat_activity where application_name = 'b'`,
    );
    await ask(
      'one moment in a transaction',
      `begin; select count(*) from pg_stat_activity where application_name = 'd'`,
    );
    d.close();
    await sleep(WAIT_MS);
    await ask('the same moment', `select count(*) from pg_stat_activity where application_name = 'd'`);
    await ask(
      'another',
      `select pg_stat_clear_snapshot(); select count(*) from pg_stat_activity where application_name = 'd'`,
    );
    await say('rollback');
    await ask(
      'by number',
      `select count(*) from pg_stat_get_backend_idset() id where pg_stat_get_backend_activity(id) = 'select ''' || repeat('é', 507)
        and pg_stat_get_backend_pid(id) > 0 and pg_stat_get_backend_start(id) < now()`,
    );
    await ask(
      'no such number',
      `select pg_stat_get_backend_pid(9999), pg_stat_get_backend_activity(9999),
      pg_stat_get_backend_wait_event_type(9999), pg_stat_get_backend_client_port(9999)`,
    );
    await ask('no such pid', 'select count(*) from pg_stat_get_activity(2147483647)');
    await ask(
      'auxiliary processes',
      `select string_agg(backend_type || coalesce(state, '-') || query || coalesce(usename, '-'), ', '
      order by backend_type) from pg_stat_activity where backend_type in ('checkpointer', 'background writer', 'walwriter')`,
    );
    await ask('safe snapshots', 'select pg_safe_snapshot_blocking_pids(pg_backend_pid())');
  } finally {
    for (const wire of wires) wire.close();
  }
  return answers;
}

describe.skipIf(!isBuilt)('what sessions are doing', () => {
  const cluster = new TestCluster();
  const oracle = 'pgtroupe_activity';

  beforeAll(async () => {
    await cluster.create();
    await cluster.start('-c', 'sessions_per_instance=1');
  }, 90_000);

  afterAll(async () => {
    await cluster.destroy();
  }, 30_000);

  const known = expected(new URL('expected/activity.out', import.meta.url), async () => {
    try {
      return await work(oracleDatabase(oracle));
    } finally {
      await sleep(WAIT_MS);
      dropOracleDatabase(oracle);
    }
  });

  it('is what PostgreSQL says, whatever the instance', async () => {
    expect(Object.fromEntries(await work(ours(cluster)))).toEqual(
      Object.fromEntries(
        [...known()].map(([name, answer]) => [name, answer.replaceAll('pgtroupe_activity', 'postgres')]),
      ),
    );
  }, 120_000);

  it('is told without those of an instance that is paused, with a warning', async () => {
    const serving = async (): Promise<number[]> =>
      (await cluster.status()).roles
        .filter(({ name, sessions }) => /^backend/.test(name) && sessions > 0)
        .map(({ osPid }) => osPid);
    const a = await Wire.open(ours(cluster));
    const before = await serving();
    const b = await Wire.open(ours(cluster), { application_name: 'paused' });
    const osPid = await until('the instance that serves it', async () =>
      (await serving()).find(each => !before.includes(each)),
    );
    process.kill(osPid, 'SIGSTOP');
    try {
      for (const view of ['pg_stat_activity', 'pg_locks']) {
        const began = Date.now();
        const said = await a.send(Q(`select count(*) > 0 from ${view}`));
        expect(Date.now() - began).toBeLessThan(8000);
        expect(said).toContain('D t');
      }
      expect(told(await a.send(Q(`select 1 from pg_stat_activity where application_name = 'paused'`)))).not.toMatch(
        /^D /,
      );
    } finally {
      process.kill(osPid, 'SIGKILL');
    }
    a.close();
    b.close();
  }, 60_000);

  it('goes on while instances die', async () => {
    const a = await Wire.open(ours(cluster));
    for (let n = 0; n < 3; n++) {
      const { roles } = await cluster.status();
      const known = new Set(roles.filter(({ sessions }) => sessions > 0).map(({ osPid }) => osPid));
      const b = await Wire.open(ours(cluster));
      const osPid = await until('the instance that serves it', async () =>
        (await cluster.status()).roles.find(each => each.sessions > 0 && !known.has(each.osPid)),
      ).then(({ osPid }) => osPid);
      // It takes the question and dies before it can answer.
      process.kill(osPid, 'SIGSTOP');
      const asks = a.send(Q('select count(*) > 0 from pg_stat_activity, pg_locks'));
      await sleep(100);
      process.kill(osPid, 'SIGKILL');
      expect(told(await asks)).toBe('D t');
      b.close();
    }
    a.close();
  }, 60_000);
});
