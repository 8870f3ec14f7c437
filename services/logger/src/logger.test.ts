import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Env } from '@pgtroupe/actor/env';
import { nodeTimers } from '@pgtroupe/actor/node/clock';
import { nodeDisk } from '@pgtroupe/actor/node/disk';
import { LOG_SUBJECT, LogCounter, LOGGER_HEARD_SUBJECT, LOGGER_ROTATE_SUBJECT } from '@pgtroupe/actor/log-record';
import { LogWindow } from '@pgtroupe/actor/log-window';
import { Settings } from '@pgtroupe/common/settings';
import { Logger } from './logger.ts';
import { strftime } from './strftime.ts';

const folder = mkdtempSync(join(tmpdir(), 'pgt-log-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const AT = Date.UTC(2026, 10, 22, 18, 55, 47, 123) * 1000;

const text = (payload: Uint8Array): string => new TextDecoder().decode(payload);
const bytes = (line: unknown): Uint8Array => new TextEncoder().encode(JSON.stringify(line));

type Handler = (payload: Uint8Array, subject: string, reply: string | undefined) => void;

function world(settings: Record<string, string>, root = mkdtempSync(join(folder, 'x'))) {
  const handlers = new Map<string, Handler>();
  let nowMicros = AT;
  const console: string[] = [];
  const heard: unknown[] = [];
  const answers: string[] = [];
  const env = {
    clock: { nowMs: () => 0, startedMs: 0, wallMicros: () => nowMicros },
    timers: nodeTimers,
    disk: nodeDisk(root),
    bus: {
      subscribe: (subject: string, handler: Handler) => {
        handlers.set(subject, handler);
        return () => {};
      },
      publish: (subject: string, payload: Uint8Array) => {
        if (subject === LOGGER_HEARD_SUBJECT) heard.push(JSON.parse(text(payload)));
      },
      respond: (_reply: string, payload: Uint8Array) => answers.push(text(payload)),
    },
  } as unknown as Env;
  const current = new Settings(settings);
  const logger = new Logger(env, current, line => console.push(line));
  logger.start();
  const window = new LogWindow(100, 100_000);
  const counter = new LogCounter();
  const receive = (payload: Uint8Array): void => handlers.get(LOG_SUBJECT)!(payload, '', undefined);
  const record = (level: string, message: string, fields?: object): Uint8Array =>
    bytes({
      at: nowMicros,
      pid: 42,
      from: 'walwriter',
      since: AT - 5_000_000,
      count: counter.next(fields),
      level,
      message,
      fields,
    });
  return {
    root,
    console,
    logger,
    heard,
    answers,
    window,
    receive,
    settings: current,
    later: (ms: number) => (nowMicros += ms * 1000),
    /** As it would be sent. */
    sent: (level: string, message: string, fields?: object) => window.add(record(level, message, fields)),
    log: (level: string, message: string, fields?: object) => receive(window.add(record(level, message, fields))),
    rotate: () => handlers.get(LOGGER_ROTATE_SUBJECT)!(new Uint8Array(0), '', 'r'),
    garbage: () => receive(new Uint8Array([1, 2, 3])),
    read: (name: string) => readFileSync(join(root, name), 'utf8'),
  };
}

const settle = (): Promise<void> => new Promise(resolve => setTimeout(resolve, 150));

describe('logger', () => {
  it('writes to the console in PostgreSQL form, what log_min_messages lets through', async () => {
    const w = world({});
    w.log('LOG', 'hello', { detail: 'More.', hint: 'Less.' });
    w.log('DEBUG', 'noise');
    w.garbage();
    expect(w.console.join('')).toBe(
      '2026-11-22 18:55:47.123 UTC [42] LOG:  hello\n2026-11-22 18:55:47.123 UTC [42] DETAIL:  More.\n2026-11-22 18:55:47.123 UTC [42] HINT:  Less.\n',
    );
    await w.logger.stop();
  });

  it('puts log_line_prefix before every line, and a session in it', async () => {
    const w = world({ log_line_prefix: '%t|%q%u@%d|%a|%h|%r|%-8p|%8l|%e|%i|%c|%s|%v|%x|%% ' });
    w.log('LOG', 'of a role');
    w.log('ERROR', 'two\nlines', {
      sqlstate: '22012',
      statement: 'SELECT\n1/0',
      position: 3,
      session: {
        pid: 77,
        startedAt: AT - 1_000_000,
        count: { record: 4, line: 9 },
        user: 'ann',
        database: 'shop',
        application: 'psql',
        host: '10.0.0.7',
        port: 5000,
        activity: 'SELECT',
        xid: 745,
      },
    });
    const head = '2026-11-22 18:55:47 UTC|';
    const start = Math.floor((AT - 1_000_000) / 1_000_000).toString(16);
    const prefix = (line: number) =>
      `${head}ann@shop|psql|10.0.0.7|10.0.0.7(5000)|77      |${String(line).padStart(8)}|22012|SELECT|${start}.4d|2026-11-22 18:55:46 UTC||745|% `;
    expect(w.console.join('')).toBe(
      `${head}LOG:  of a role\n` +
        `${prefix(9)}ERROR:  two\n\tlines at character 3\n${prefix(10)}STATEMENT:  SELECT\n\t1/0\n`,
    );
    await w.logger.stop();
  });

  it('collects into files of every kind, and changes them by age and by order', async () => {
    const w = world({
      logging_collector: 'on',
      log_destination: 'stderr,csvlog,jsonlog',
      log_filename: 'pg-%Y%m%d-%H%M.log',
      log_rotation_age: '1',
    });
    w.log('LOG', 'first "quoted"', { sqlstate: '57P03' });
    await settle();
    expect(w.read('current_logfiles').trim().split('\n').sort()).toEqual([
      'csvlog log/pg-20261122-1855.csv',
      'jsonlog log/pg-20261122-1855.json',
      'stderr log/pg-20261122-1855.log',
    ]);
    w.later(61_000);
    w.log('LOG', 'second');
    await settle();
    w.later(10_000);
    w.rotate();
    await settle();
    w.log('LOG', 'third');
    await w.logger.stop();
    expect(w.answers).toEqual(['true']);
    expect(w.console.join('')).toContain('redirecting log output to logging collector process');
    expect(readdirSync(join(w.root, 'log')).sort()).toEqual([
      'pg-20261122-1855.csv',
      'pg-20261122-1855.json',
      'pg-20261122-1855.log',
      'pg-20261122-1856.csv',
      'pg-20261122-1856.json',
      'pg-20261122-1856.log',
    ]);
    const start = Math.floor((AT - 5_000_000) / 1_000_000).toString(16);
    expect(w.read('log/pg-20261122-1855.log')).toBe('2026-11-22 18:55:47.123 UTC [42] LOG:  first "quoted"\n');
    expect(w.read('log/pg-20261122-1855.csv')).toBe(
      `2026-11-22 18:55:47.123 UTC,,,42,,${start}.2a,1,,2026-11-22 18:55:42 UTC,,0,LOG,57P03,` +
        '"first ""quoted""",,,,,,,,,"","walwriter",,0\n',
    );
    expect(w.read('log/pg-20261122-1856.log')).toContain('third');
    expect(
      w
        .read('log/pg-20261122-1856.json')
        .trim()
        .split('\n')
        .map(line => JSON.parse(line).line_num),
    ).toEqual([2, 3]);
  });

  it('never empties the file it writes to, though its name returns', async () => {
    const w = world({
      logging_collector: 'on',
      log_filename: 'server.log',
      log_rotation_age: '1',
      log_truncate_on_rotation: 'on',
    });
    w.log('LOG', 'first');
    await settle();
    w.later(61_000);
    w.log('LOG', 'second');
    await w.logger.stop();
    expect(w.read('log/server.log').match(/first|second/g)).toEqual(['first', 'second']);
  });

  it('empties the file of an earlier round', async () => {
    const w = world({
      logging_collector: 'on',
      log_filename: 'at-%M.log',
      log_rotation_age: '1',
      log_truncate_on_rotation: 'on',
    });
    w.log('LOG', 'first');
    await settle();
    w.later(60_000);
    w.log('LOG', 'second');
    await settle();
    w.later(3_540_000);
    w.log('LOG', 'third');
    await w.logger.stop();
    expect(w.read('log/at-55.log').match(/first|second|third/g)).toEqual(['third']);
    expect(w.read('log/at-56.log').match(/first|second|third/g)).toEqual(['second']);
  });

  it('goes on where it was when files are configured anew, and loses nothing', async () => {
    const w = world({ logging_collector: 'on', log_filename: 'a.log' });
    for (let n = 0; n < 50; n++) {
      w.log('LOG', `line ${n}`);
      if (n % 10 === 5) w.settings.replace({ logging_collector: 'on', log_filename: n % 20 === 5 ? 'b.log' : 'a.log' });
      if (n % 7 === 0) await new Promise(resolve => setTimeout(resolve, 2));
    }
    await w.logger.stop();
    const all = (w.read('log/a.log') + w.read('log/b.log')).match(/line \d+/g)!;
    expect(all.sort()).toEqual(Array.from({ length: 50 }, (_, n) => `line ${n}`).sort());
  });

  it('says what it has written, and takes what it missed when it is sent again', async () => {
    const w = world({ logging_collector: 'on', log_filename: 'a.log' });
    w.log('LOG', 'one');
    w.sent('LOG', 'two, which the bus loses');
    w.log('LOG', 'three');
    await settle();
    const sender = `${AT - 5_000_000}-42`;
    expect(w.heard).toEqual([
      { logger: String(AT), heard: {} },
      { logger: String(AT), heard: { [sender]: 1 } },
    ]);
    w.window.heard(1);
    for (const message of w.window.messages()) w.receive(message);
    await settle();
    expect(w.heard.at(-1)).toEqual({ logger: String(AT), heard: { [sender]: 3 } });
    await w.logger.stop();
    expect(w.read('log/a.log').match(/one|two|three/g)).toEqual(['one', 'two', 'three']);
  });

  it('counts what its senders gave up', async () => {
    const w = world({});
    w.log('LOG', 'one');
    for (let n = 0; n < 3; n++) w.sent('LOG', 'lost');
    for (let n = 0; n < 4; n++) w.window.giveUpOldest();
    w.log('LOG', 'five');
    await w.logger.stop();
    expect(w.console.join('')).toMatch(
      /LOG: {2}one\n.*WARNING: {2}3 log lines of walwriter were lost \(3 in all\)\n.*LOG: {2}five\n/,
    );
  });

  it('knows the escapes of file names', () => {
    expect(strftime('postgresql-%Y-%m-%d_%H%M%S.%a.%j.%%', AT / 1000)).toBe('postgresql-2026-11-22_185547.Sun.326.%');
  });
});
