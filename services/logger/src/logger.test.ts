import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import type { Env } from '@pgtroupe/actor/env';
import { nodeTimers } from '@pgtroupe/actor/node/clock';
import { nodeDisk } from '@pgtroupe/actor/node/disk';
import { LOG_SUBJECT } from '@pgtroupe/actor/node/log';
import { Settings } from '@pgtroupe/common/settings';
import { Logger } from './logger.ts';
import { strftime } from './logfile.ts';

const folder = mkdtempSync(join(tmpdir(), 'pgt-log-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const AT = Date.UTC(2026, 10, 22, 18, 55, 47, 123) * 1000;

function world(settings: Record<string, string>) {
  let handler: (payload: Uint8Array) => void = () => {};
  let nowMicros = AT;
  const root = mkdtempSync(join(folder, 'x'));
  const console: string[] = [];
  const env = {
    clock: { nowMs: () => 0, startedMs: 0, wallMicros: () => nowMicros },
    timers: nodeTimers,
    disk: nodeDisk(root),
    bus: {
      subscribe: (subject: string, h: typeof handler) => {
        if (subject === LOG_SUBJECT) handler = h;
        return () => {};
      },
      publish: () => {},
    },
  } as unknown as Env;
  const logger = new Logger(env, new Settings(settings), text => console.push(text));
  logger.start();
  return {
    root,
    console,
    logger,
    later: (ms: number) => (nowMicros += ms * 1000),
    log: (level: string, message: string, fields?: object) =>
      handler(
        new TextEncoder().encode(JSON.stringify({ at: nowMicros, pid: 42, from: 'walwriter', level, message, fields })),
      ),
    garbage: () => handler(new Uint8Array([1, 2, 3])),
  };
}

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

  it('collects into files of every kind, and changes them by age and size', async () => {
    const w = world({
      logging_collector: 'on',
      log_destination: 'stderr,csvlog,jsonlog',
      log_filename: 'pg-%Y%m%d-%H%M.log',
      log_rotation_age: '1',
    });
    w.log('LOG', 'first "quoted"', { sqlstate: '57P03' });
    await new Promise(r => setTimeout(r, 50));
    w.later(61_000);
    w.log('LOG', 'second');
    await w.logger.stop();
    expect(w.console).toEqual([]);
    expect(readdirSync(join(w.root, 'log')).sort()).toEqual([
      'pg-20261122-1855.csv',
      'pg-20261122-1855.json',
      'pg-20261122-1855.log',
      'pg-20261122-1856.csv',
      'pg-20261122-1856.json',
      'pg-20261122-1856.log',
    ]);
    const read = (name: string) => readFileSync(join(w.root, 'log', name), 'utf8');
    expect(read('pg-20261122-1855.log')).toBe('2026-11-22 18:55:47.123 UTC [42] LOG:  first "quoted"\n');
    expect(read('pg-20261122-1855.csv')).toContain(',LOG,57P03,"first ""quoted""",');
    expect(read('pg-20261122-1855.csv').split(',')).toHaveLength(26);
    expect(JSON.parse(read('pg-20261122-1856.json'))).toMatchObject({
      message: 'second',
      pid: 42,
      line_num: 2,
      backend_type: 'walwriter',
    });
  });

  it('knows the escapes of file names', () => {
    expect(strftime('postgresql-%Y-%m-%d_%H%M%S.%a.%j.%%', AT / 1000)).toBe('postgresql-2026-11-22_185547.Sun.326.%');
  });
});
