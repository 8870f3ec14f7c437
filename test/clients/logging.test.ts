/**
 * The server's log of one session's work, beside PostgreSQL 15's: errors with their statements, log_statement, durations,
 * connections; as stderr, csvlog and jsonlog. PostgreSQL writes its log on a copy of the same data directory.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { PG_BIN } from '@pgtroupe/testkit/oracle-address';
import { hasPostgres } from '@pgtroupe/testkit/postgres-judge';
import { freePort, isBuilt, sleep, TestCluster, until } from '@pgtroupe/testkit/test-cluster';
import { ours, type Server } from './clients.ts';
import { B, D, E, P, Q, S, Wire } from './wire.ts';

const RECORDED = new URL('expected/logging.out', import.meta.url);
const PREFIX = '%q%u@%d|%a|%e|%i|%x|%l|%b|%r: ';
const OPTIONS = {
  logging_collector: 'on',
  log_destination: 'stderr,csvlog,jsonlog',
  log_filename: 'server.log',
  log_line_prefix: PREFIX,
  log_connections: 'on',
  log_disconnections: 'on',
  log_checkpoints: 'off',
  autovacuum: 'off',
};
const asArguments = Object.entries(OPTIONS).flatMap(([name, value]) => ['-c', `${name}=${value}`]);

/** What a client does; each line of the log that comes of it is compared. */
async function work(server: Server): Promise<void> {
  const wire = await Wire.open(server, { application_name: 'the client' });
  const run = (sql: string): Promise<readonly string[]> => wire.send(Q(sql));
  await run('select 1/0');
  await run('select 1; select nonsense from\n  nowhere; select 3');
  await run("select 'unfinished");
  await run('begin');
  await run("create table logged(a int primary key, b text); insert into logged values (1, 'its')");
  await run('insert into logged values (1)');
  await run('select 1');
  await run('rollback');
  await run('rollback');
  await run("set log_min_messages = 'error'");
  await run('rollback');
  await run("set log_min_messages = 'warning'; set log_min_error_statement = 'panic'");
  await run('select 2/0');
  await run("reset log_min_error_statement; set log_error_verbosity = 'terse'");
  await run("select 'x'::int");
  await run('reset log_error_verbosity');
  await run("set log_statement = 'ddl'");
  await run('create table logged(a int primary key, b text)');
  await run('insert into logged values (1, null)');
  await run("set log_statement = 'mod'");
  await run('insert into logged values (2, null)');
  await run('select 1');
  await run('prepare p(int) as delete from logged where a = $1');
  await run('execute p(2)');
  await run('explain delete from logged');
  await run('truncate logged; select 1');
  await run("set log_statement = 'all'");
  await run('select 1; select 2');
  await run(';');
  await run('selec 1');
  await wire.send(P('named', 'select $1::int + 1, $2::text'), B('', 'named', ['1', "it's"]), D('P'), E(), S);
  await wire.send(P('', 'select generate_series(1, $1::int)'), B('c', '', ['3']), E('c', 2), E('c', 2), S);
  await wire.send(P('', 'select 1/n from generate_series(0, $1::int) n'), B('', '', ['0']), E(), S);
  await wire.send(B('', 'named', ['x', null]), E(), S);
  await run('set log_parameter_max_length = 3');
  await wire.send(P('', 'select $1::text'), B('', '', ['héllo']), E(), S);
  await run("set log_statement = 'none'; set log_min_duration_statement = 0");
  await run('select 7');
  await wire.send(P('', 'select $1::text'), B('', '', [null]), E(), S);
  await run('set log_min_duration_statement = 10000; set log_duration = on');
  await run('select 8');
  await run('reset log_duration; reset log_min_duration_statement');
  await run("set client_min_messages = 'log'; set log_statement = 'all'");
  await run('select 9');
  await run("reset client_min_messages; set log_statement = 'none'");
  await run('drop table logged');
  await run("set idle_in_transaction_session_timeout = '50ms'");
  await run('begin');
  await wire.read(1);
  const lost = await Wire.open(server);
  await lost.send(Q('begin'));
  lost.close();
  await sleep(300);
  const nobody = await Wire.open({ ...server, database: 'no_such' });
  nobody.close();
  await sleep(300);
}

/** Without what differs from run to run. */
function comparable(name: string, text: string): string[] {
  const lines = text.split('\n').filter(line => line !== '');
  const steady = (line: string): string =>
    line
      .replace(/\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? UTC/g, 'TIME')
      .replace(/\b\d+\.\d{3} ms/g, 'N ms')
      .replace(/session time: [\d:.]+/, 'session time: T')
      .replace(/127\.0\.0\.1([:(]| port=)\d+/g, '127.0.0.1$1PORT');
  if (name === 'json') {
    return lines
      .map(line => JSON.parse(line) as Record<string, unknown>)
      .filter(entry => entry['backend_type'] === 'client backend')
      .map(entry => {
        for (const key of ['pid', 'session_id', 'remote_port', 'txid', 'session_start']) {
          if (key in entry) entry[key] = typeof entry[key];
        }
        // Virtual transaction ids are not there yet.
        delete entry['vxid'];
        return steady(JSON.stringify(entry));
      });
  }
  if (name === 'csv') {
    return lines
      .filter(line => !/^[^,]*,,,/.test(line))
      .map(line => steady(line).replace(/"postgres",("\w+"),\d+,("[^"]*"),[\da-f.]+,/, '"postgres",$1,PID,$2,ID,'))
      .map(line => line.replace(/(TIME),[^,]*,\d+,([A-Z]+),/, '$1,VXID,XID,$2,'));
  }
  // Lines of sessions, with those that continue them.
  const kept: string[] = [];
  for (const line of lines) {
    if (/^\S*@|^\t/.test(line)) kept.push(steady(line).replace(/^((?:[^|]*\|){4})[1-9]\d*\|/, '$1XID|'));
  }
  return kept;
}

async function logOf(data: string, server: Server): Promise<string> {
  await work(server);
  const read = (name: string): string => readFileSync(join(data, 'log', name), 'utf8');
  await until('the last line', () => /database "no_such" does not exist/.test(read('server.log')));
  await sleep(200);
  return ['log', 'csv', 'json']
    .flatMap(name => [`---- ${name}`, ...comparable(name, read(`server.${name}`))])
    .join('\n');
}

describe.skipIf(!isBuilt)('the log', () => {
  const cluster = new TestCluster();
  let said = '';

  beforeAll(async () => {
    await cluster.create();
    await cluster.start(...asArguments);
    said = await logOf(cluster.data, ours(cluster));
    const wire = await Wire.open(ours(cluster));
    const ask = async (sql: string): Promise<readonly string[]> =>
      (await wire.send(Q(sql))).filter(line => /^[DEN] /.test(line));
    expect(await ask("select pg_current_logfile(), pg_current_logfile('jsonlog')")).toEqual([
      'D log/server.log|log/server.json',
    ]);
    expect((await ask("select pg_current_logfile('x')")).join()).toContain('log format "x" is not supported');
    expect(await ask('select pg_rotate_logfile()')).toEqual(['D t']);
    wire.close();
    expect(readdirSync(join(cluster.data, 'log')).sort()).toEqual(['server.csv', 'server.json', 'server.log']);
  }, 120_000);

  afterAll(async () => {
    await cluster.destroy();
  }, 30_000);

  it.skipIf(!hasPostgres)(
    'of PostgreSQL 15 is what is recorded',
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'pgt-log-'));
      const data = join(folder, 'data');
      const root = process.getuid?.() === 0;
      const control = (...args: string[]): void => {
        const [program, ...rest] = [
          ...(root ? ['runuser', '-u', 'postgres', '--'] : []),
          join(PG_BIN, 'pg_ctl'),
          ...args,
        ];
        execFileSync(program!, rest, { stdio: 'ignore' });
      };
      await cluster.run('stop', '-D', cluster.data);
      cpSync(cluster.data, data, { recursive: true });
      rmSync(join(data, 'log'), { recursive: true });
      if (root) spawnSync('chown', ['-R', 'postgres', folder]);
      const port = await freePort();
      const options = `-p ${port} -k ${folder} -c listen_addresses=127.0.0.1 ${Object.entries(OPTIONS)
        .map(([name, value]) => `-c ${name}='${value}'`)
        .join(' ')}`;
      control('-D', data, '-w', '-l', join(folder, 'console'), '-o', options, 'start');
      try {
        const theirs = await logOf(data, { host: '127.0.0.1', port, database: 'postgres' });
        if (process.env['UPDATE_EXPECTED'] === '1') writeFileSync(RECORDED, `${theirs}\n`);
        expect(`${theirs}\n`).toBe(readFileSync(RECORDED, 'utf8'));
      } finally {
        control('-D', data, '-m', 'fast', '-w', 'stop');
        rmSync(folder, { recursive: true, force: true });
      }
    },
    120_000,
  );

  it('is written as PostgreSQL 15 writes it', () => {
    expect(`${said}\n`).toBe(readFileSync(RECORDED, 'utf8'));
  });
});

describe.skipIf(!isBuilt)('a logger that is killed or stopped', () => {
  const cluster = new TestCluster();

  beforeAll(async () => {
    await cluster.create();
    await cluster.start('-c', 'logging_collector=on', '-c', 'log_filename=server.log', '-c', 'log_statement=all');
  }, 90_000);

  afterAll(async () => {
    await cluster.destroy();
  }, 30_000);

  const pidOfLogger = async (): Promise<number> => (await cluster.role('logger')).osPid;

  it('keeps no query waiting, and its lines are written by the next one', async () => {
    const wire = await Wire.open(ours(cluster));
    let longestMs = 0;
    let said = 0;
    const say = async (count: number): Promise<void> => {
      for (let n = 0; n < count; n++) {
        const began = performance.now();
        await wire.send(Q(`select ${++said} as n`));
        longestMs = Math.max(longestMs, performance.now() - began);
        await sleep(5);
      }
    };
    await say(50);
    const first = await pidOfLogger();
    process.kill(first, 'SIGKILL');
    await say(200);
    const second = await until('another logger', async () => {
      const { osPid: pid, state } = await cluster.role('logger');
      return state === 'ready' && pid !== first ? pid : undefined;
    });
    await say(20);
    process.kill(second!, 'SIGSTOP');
    await say(200);
    process.kill(second!, 'SIGCONT');
    await say(20);
    wire.close();
    const written = (): Set<string> =>
      new Set(readFileSync(join(cluster.data, 'log/server.log'), 'utf8').match(/select \d+ as n/g));
    const all = Array.from({ length: said }, (_, n) => `select ${n + 1} as n`);
    await until('every line', () => written().size === said, 20_000);
    expect([...written()].sort()).toEqual(all.sort());
    // As long as a busy machine may take; waiting for the logger would take seconds.
    expect(longestMs).toBeLessThan(1_000);
  }, 90_000);
});
