/** Clients that mean no good, or no longer know what they mean, hurt nobody else. */
import { readFileSync } from 'node:fs';
import { connect as connectSocket, type Socket } from 'node:net';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isBuilt, sleep, TestCluster } from '@pgtroupe/testkit/test-cluster';
import { connect, hasProgram, ours, runClient, type Server } from './clients.ts';

const int32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
};
const framed = (...parts: readonly Buffer[]): Buffer => {
  const body = Buffer.concat(parts);
  return Buffer.concat([int32(body.length + 4), body]);
};
const VERSION_3 = int32(196_608);
const startUp = (parameters: string): Buffer => framed(VERSION_3, Buffer.from(parameters));
const START = startUp('user\0postgres\0database\0postgres\0\0');
/** A message whose length word may lie. */
const message = (type: string, length: number, body = ''): Buffer =>
  Buffer.concat([Buffer.from(type), int32(length), Buffer.from(body)]);
const query = (sql: string): Buffer => message('Q', sql.length + 5, `${sql}\0`);

/** First bytes, and what PostgreSQL does: closes without a word, answers an error and closes, or waits. */
const FIRST_BYTES: Readonly<Record<string, readonly [bytes: Buffer, answer: RegExp, closes: boolean]>> = {
  'length 0': [int32(0), /^$/, true],
  'length 3': [int32(3), /^$/, true],
  'negative length': [int32(-5), /^$/, true],
  'huge length': [int32(0x7fffffff), /^$/, true],
  garbage: [Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n'), /^$/, true],
  SSLRequest: [framed(int32(80_877_103)), /^N$/, false],
  GSSENCRequest: [framed(int32(80_877_104)), /^N$/, false],
  'protocol 2': [framed(int32(2 << 16), Buffer.from('\0')), /0A000.*unsupported frontend protocol 2\.0/s, true],
  'no user': [startUp('\0'), /28000.*no PostgreSQL user name specified/s, true],
  'unknown database': [startUp('user\0postgres\0database\0nope\0\0'), /3D000.*database "nope" does not exist/s, true],
  'unknown role': [startUp('user\0nobody\0database\0postgres\0\0'), /28000.*role "nobody" does not exist/s, true],
  'no terminator': [framed(VERSION_3, Buffer.from('user\0abcdefg')), /08P01.*invalid startup packet layout/s, true],
  'never finished': [Buffer.concat([int32(100), VERSION_3]), /^$/, false],
};

const LATER_BYTES: Readonly<Record<string, readonly [bytes: Buffer, answer: RegExp, closes: boolean]>> = {
  'message of length 3': [message('Q', 3), /08P01/, true],
  'message of negative length': [message('Q', -1), /08P01/, true],
  'message of 2 GB': [message('Q', 0x7fffffff, 'abc'), /08P01/, true],
  'unknown message': [message('z', 4), /08P01.*invalid frontend message type 122/s, true],
  'a Bind of more parameters than it carries': [
    Buffer.concat([message('P', 16, '\0select 1\0\0\0'), message('B', 12, '\0\0\0\0\0\x7f\x7f\x7f')]),
    /08P01/,
    false,
  ],
  'a Query without an end': [
    Buffer.concat([message('Q', 12, 'select 1'), query('select 42')]),
    /ERROR.*08P01.*invalid string in message.*Z.*42/s,
    false,
  ],
  'an empty Query': [
    Buffer.concat([message('Q', 4), query('select 42')]),
    /ERROR.*08P01.*invalid string in message.*Z.*42/s,
    false,
  ],
  'a Query that goes on behind its end': [
    Buffer.concat([message('Q', 15, 'select 7\0xy'), query('select 42')]),
    /ERROR.*08P01.*invalid message format.*Z.*42/s,
    false,
  ],
  'a Query without an end in a transaction block': [
    Buffer.concat([
      query('begin'),
      message('Q', 12, 'select 1'),
      query('select 42'),
      query('rollback'),
      query('select 43'),
    ]),
    /ERROR.*08P01.*Z\0\0\0\x05E.*25P02.*43/s,
    false,
  ],
  'an Execute that ends early': [
    Buffer.concat([message('E', 5, '\0'), message('S', 4), query('select 42')]),
    /08P01.*insufficient data left.*42/s,
    false,
  ],
  'a Sync with something in it': [
    Buffer.concat([message('S', 5, 'x'), query('select 42')]),
    /ERROR.*08P01.*invalid message format.*Z.*42/s,
    false,
  ],
  'a Flush with something in it': [
    Buffer.concat([message('H', 5, 'x'), query('select 41'), message('S', 4), query('select 42')]),
    /08P01.*invalid message format.*Z.*42/s,
    false,
  ],
  'COPY data without COPY': [
    Buffer.concat([message('d', 8, 'abcd'), message('c', 4), query('select 42')]),
    /42/,
    false,
  ],
  'COPY data before they are asked for': [
    Buffer.concat([
      query('create table early (a int)'),
      query('copy early from stdin'),
      message('d', 6, '7\n'),
      message('d', 6, '8\n'),
      message('c', 4),
      query('select sum(a) + 27 from early'),
      query('drop table early'),
      message('X', 4),
    ]),
    /COPY 2.*42/s,
    true,
  ],
  'text that is not UTF-8': [
    Buffer.concat([message('Q', 15, "select '"), Buffer.from([0xff, 0x27, 0])]),
    /22021/,
    false,
  ],
  '20000 Syncs': [Buffer.concat([...Array<Buffer>(20_000).fill(message('S', 4)), query('select 42')]), /42/, false],
};

const WIDE = Array.from({ length: 500 }, (_, n) => `1 as a_column_with_quite_a_long_name_${n}`).join(',');
const parseWide = message('P', WIDE.length + 16, `w\0select ${WIDE}\0\0\0`);
const describeWide = message('D', 7, 'Sw\0');
const SHOW_ALL = Array<string>(2_000).fill('show all').join(';');
const NEVER_READ: Readonly<Record<string, Buffer>> = {
  'a result of 10 million rows': query("select g, repeat('x', 100) from generate_series(1, 10000000) g"),
  '5,000 descriptions of 500 columns': Buffer.concat([parseWide, ...Array<Buffer>(5_000).fill(describeWide)]),
  '5,000 descriptions, each with a Sync': Buffer.concat([
    parseWide,
    ...Array<Buffer>(5_000).fill(Buffer.concat([describeWide, message('S', 4)])),
  ]),
  'what 2,000 statements of one text answer': query(SHOW_ALL),
};

describe.skipIf(!isBuilt)('hostile clients (skipped until `npm run build`)', () => {
  const cluster = new TestCluster();
  let server: Server;
  let witness: pg.Client;

  /** Sends bytes; what came back within a while, and whether the server hung up. */
  const provoke = (bytes: Buffer, patienceMs: number): Promise<{ readonly answer: string; readonly closed: boolean }> =>
    new Promise(resolve => {
      const socket = connectSocket(server.port, server.host);
      const chunks: Buffer[] = [];
      const done = (closed: boolean): void => {
        socket.destroy();
        resolve({ answer: Buffer.concat(chunks).toString('latin1'), closed });
      };
      socket.on('error', () => {});
      socket.on('data', chunk => chunks.push(chunk));
      socket.on('close', () => done(true));
      setTimeout(() => done(false), patienceMs);
      socket.write(bytes);
    });
  const othersUnhurt = async (): Promise<void> => {
    const started = performance.now();
    expect((await witness.query('select 1 as x')).rows).toEqual([{ x: 1 }]);
    expect(performance.now() - started).toBeLessThan(1_000);
  };

  beforeAll(async () => {
    await cluster.create();
    await cluster.start('-c', 'max_connections=20');
    server = ours(cluster);
    witness = await connect(server);
  });
  afterAll(async () => {
    await witness.end();
    await cluster.destroy();
  });

  it.each(Object.entries(FIRST_BYTES))('first bytes: %s', async (_, [bytes, expected, closes]) => {
    const { answer, closed } = await provoke(bytes, closes ? 5_000 : 300);
    expect(answer).toMatch(expected);
    expect(closed).toBe(closes);
    await othersUnhurt();
  });

  it.each(Object.entries(LATER_BYTES))('in a session: %s', async (_, [bytes, expected, closes]) => {
    const { answer, closed } = await provoke(Buffer.concat([START, bytes]), closes ? 5_000 : 600);
    expect(answer).toMatch(expected);
    expect(closed).toBe(closes);
    await othersUnhurt();
  });

  it.each(Object.entries(NEVER_READ))('clients that never read %s cost little memory', async (_, request) => {
    const instance = await cluster.role('backend-1');
    const residentMb = (): number =>
      Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${instance.osPid}/status`, 'utf8'))![1]) / 1024;
    const before = residentMb();
    const stalled: Socket[] = [];
    for (let n = 0; n < 5; n++) {
      const socket = connectSocket(server.port, server.host);
      socket.on('error', () => {});
      socket.pause();
      socket.write(Buffer.concat([START, request]));
      stalled.push(socket);
    }
    await sleep(3_000);
    expect(residentMb() - before).toBeLessThan(150);
    await othersUnhurt();
    for (const socket of stalled) socket.destroy();
  });

  it('notices come while their statement runs', async () => {
    const { answer } = await provoke(
      Buffer.concat([START, query('select count(pg_advisory_unlock(g)) from generate_series(1, 10000000) g')]),
      1_500,
    );
    expect(answer).toMatch(/WARNING.*don't own a lock/s);
    await othersUnhurt();
  });

  it('when all places are taken the next one hears 53300; places become free again', async () => {
    const sessions: pg.Client[] = [];
    let refused: unknown;
    while (refused === undefined && sessions.length < 30) {
      try {
        sessions.push(await connect(server));
      } catch (error) {
        refused = error;
      }
    }
    expect(refused).toMatchObject({ code: '53300' });
    await othersUnhurt();
    for (const session of sessions) await session.end();
    await sleep(200);
    await (await connect(server)).end();
  });

  it.skipIf(!hasProgram('pgbench'))('beside an endless scan 16 clients keep a third of their throughput', async () => {
    expect(await runClient('pgbench', ['-i', '-q', '-s', '1'], server)).toContain('done in');
    const tps = async (): Promise<number> =>
      Number(
        /tps = ([\d.]+)/.exec(
          await runClient('pgbench', ['-n', '-S', '-M', 'prepared', '-c', '16', '-T', '3'], server),
        )![1],
      );
    const alone = await tps();
    const scanner = connectSocket(server.port, server.host);
    scanner.write(Buffer.concat([START, query('select count(*) from pgbench_accounts a, pgbench_accounts b')]));
    const beside = await tps();
    scanner.destroy();
    expect(beside).toBeGreaterThan(alone / 3);
  });
});
