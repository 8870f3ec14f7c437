/**
 * What we use of NATS, checked against every broker we may meet: the bundled one and a real
 * nats-server (skipped when none is on the PATH). The client library is the real one.
 */
import { spawn, execFileSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as dial, createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect, headers, type NatsConnection } from '@nats-io/transport-node';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { Broker } from '../broker/server.ts';
import { nodeRandom, nodeTimers } from '../node/clock.ts';
import { Traffic } from '../traffic.ts';
import { NatsBus } from './bus.ts';

const TOKEN = 'secret-token';
const MAX_PAYLOAD = 1024 * 1024;
const folder = mkdtempSync(join(tmpdir(), 'pgt-nats-'));
const tokenFile = join(folder, 'token');
writeFileSync(tokenFile, TOKEN, { mode: 0o600 });

interface Running {
  readonly port: number;
  stop(): Promise<void>;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

async function bundled(port = 0): Promise<Running> {
  const broker = new Broker({ host: '127.0.0.1', port, token: TOKEN, timers: nodeTimers, random: nodeRandom });
  return { port: await broker.listen(), stop: () => broker.close() };
}

async function realServer(port?: number): Promise<Running> {
  const chosen = port ?? (await freePort());
  const config = join(folder, `nats-${chosen}.conf`);
  writeFileSync(
    config,
    `listen: "127.0.0.1:${chosen}"\nmax_pending: 8MB\nwrite_deadline: "1s"\nauthorization { token: "${TOKEN}" }\n`,
  );
  const child: ChildProcess = spawn('nats-server', ['-c', config], { stdio: 'ignore' });
  for (;;) {
    const socket = dial(chosen, '127.0.0.1');
    const up = await new Promise(resolve => {
      socket.once('data', () => resolve(true));
      socket.once('error', () => resolve(false));
    });
    socket.destroy();
    if (up) break;
    await new Promise(r => setTimeout(r, 20));
  }
  return {
    port: chosen,
    stop: async () => {
      child.kill('SIGKILL');
      if (child.exitCode === null) await once(child, 'exit');
    },
  };
}

const hasServer = ((): boolean => {
  try {
    execFileSync('nats-server', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

afterAll(() => rmSync(folder, { recursive: true, force: true }));
const settle = (ms = 50) => new Promise(r => setTimeout(r, ms));
const until = async (condition: () => boolean): Promise<void> => {
  for (let i = 0; !condition(); i++) {
    if (i > 500) throw new Error('waited in vain');
    await settle(10);
  }
};
const text = (b: Uint8Array) => new TextDecoder().decode(b);
const bytes = (s: string) => new TextEncoder().encode(s);

describe.each([
  { name: 'bundled broker', start: bundled, there: true },
  { name: 'nats-server', start: realServer, there: hasServer },
])('$name', ({ start, there }) => {
  describe.skipIf(!there)('features of NATS we use', () => {
    let broker: Running;
    const open: NatsConnection[] = [];
    const client = async (options = {}): Promise<NatsConnection> => {
      const connection = await connect({
        servers: `127.0.0.1:${broker.port}`,
        token: TOKEN,
        reconnect: false,
        ...options,
      });
      open.push(connection);
      return connection;
    };
    beforeAll(async () => {
      broker = await start();
    });
    afterEach(async () => {
      for (const connection of open.splice(0)) if (!connection.isClosed()) await connection.close();
    });
    afterAll(() => broker.stop());

    it('refuses a wrong token and no token', async () => {
      await expect(connect({ servers: `127.0.0.1:${broker.port}`, token: 'wrong', reconnect: false })).rejects.toThrow(
        /authorization/i,
      );
      await expect(connect({ servers: `127.0.0.1:${broker.port}`, reconnect: false })).rejects.toThrow(
        /authorization/i,
      );
    });

    it('delivers by literal, * and >, in order, with reply subject and headers', async () => {
      const a = await client();
      const b = await client();
      const seen: string[] = [];
      for (const subject of ['p.1.logger.log', 'p.*.logger.log', 'p.>', 'p.1.*', '>']) {
        b.subscribe(subject, {
          callback: (_, m) =>
            void seen.push(`${subject} ${m.subject} ${text(m.data)} ${m.reply || '-'} ${m.headers?.get('K') ?? '-'}`),
        });
      }
      await b.flush();
      const h = headers();
      h.set('K', 'v');
      a.publish('p.1.logger.log', 'x', { headers: h, reply: 'here' });
      a.publish('p.1', 'y');
      await a.flush();
      await b.flush();
      expect(seen.sort()).toEqual([
        '> p.1 y - -',
        '> p.1.logger.log x here v',
        'p.*.logger.log p.1.logger.log x here v',
        'p.1.logger.log p.1.logger.log x here v',
        'p.> p.1 y - -',
        'p.> p.1.logger.log x here v',
      ]);
    });

    it('keeps the order of ten thousand messages of one publisher', async () => {
      const a = await client();
      const b = await client();
      const seen: number[] = [];
      b.subscribe('order', { callback: (_, m) => void seen.push(Number(text(m.data))) });
      await b.flush();
      for (let i = 0; i < 10_000; i++) a.publish('order', String(i));
      await a.flush();
      await until(() => seen.length === 10_000);
      expect(seen.every((n, i) => n === i)).toBe(true);
    });

    it('gives each message to one member of a queue group, and to every plain subscriber', async () => {
      const a = await client();
      const members = await Promise.all([client(), client(), client()]);
      let grouped = 0;
      let plain = 0;
      for (const m of members) {
        m.subscribe('work', { queue: 'q', callback: () => void grouped++ });
        m.subscribe('work', { callback: () => void plain++ });
        await m.flush();
      }
      for (let i = 0; i < 100; i++) a.publish('work', 'x');
      await a.flush();
      await until(() => plain === 300);
      expect(grouped).toBe(100);
    });

    it('ends a subscription at once or after a number of messages', async () => {
      const a = await client();
      let limited = 0;
      let stopped = 0;
      a.subscribe('max', { max: 3, callback: () => void limited++ });
      const subscription = a.subscribe('max', { callback: () => void stopped++ });
      a.publish('max', '1');
      await a.flush();
      subscription.unsubscribe();
      for (let i = 0; i < 5; i++) a.publish('max', 'x');
      await a.flush();
      await settle();
      expect([limited, stopped]).toEqual([3, 1]);
    });

    it('answers requests, and says at once when nobody listens', async () => {
      const a = await client();
      const b = await client();
      b.subscribe('ask', { callback: (_, m) => void m.respond(`<${text(m.data)}>`) });
      await b.flush();
      expect(text((await a.request('ask', 'hi', { timeout: 1000 })).data)).toBe('<hi>');
      await expect(a.request('nobody', 'hi', { timeout: 5000 })).rejects.toThrow(/no responders/i);
    });

    it('carries a payload up to its limit and refuses a larger one', async () => {
      const a = await client();
      expect(a.info!.max_payload).toBe(MAX_PAYLOAD);
      let got = 0;
      a.subscribe('big', { callback: (_, m) => void (got = m.data.length) });
      a.publish('big', new Uint8Array(MAX_PAYLOAD));
      await a.flush();
      await until(() => got > 0);
      expect(got).toBe(MAX_PAYLOAD);
      const answer = await raw(
        broker.port,
        `CONNECT {"auth_token":"${TOKEN}","verbose":false}\r\nPUB x ${MAX_PAYLOAD + 1}\r\n`,
      );
      expect(answer).toMatch(/-ERR 'Maximum Payload Violation'/);
    });

    it('ends a connection that talks nonsense or before authenticating', async () => {
      expect(await raw(broker.port, 'PUB a 1\r\nx\r\n')).toMatch(/-ERR '/);
      expect(await raw(broker.port, `CONNECT {"auth_token":"${TOKEN}"}\r\nFROB\r\n`)).toMatch(
        /-ERR 'Unknown Protocol Operation'/,
      );
    });

    it('drops a consumer that does not read, and nobody else notices', async () => {
      const a = await client();
      const b = await client();
      let good = 0;
      b.subscribe('flood', { callback: () => void good++ });
      await b.flush();
      const slow = dial(broker.port, '127.0.0.1');
      slow.on('error', () => {});
      const closed = new Promise(resolve => slow.once('close', resolve));
      slow.write(`CONNECT {"auth_token":"${TOKEN}","verbose":false}\r\nSUB flood 1\r\nPING\r\n`);
      await once(slow, 'data');
      slow.pause();
      await settle();
      const block = new Uint8Array(1_000_000);
      const count = 150;
      for (let i = 0; i < count; i++) {
        a.publish('flood', block);
        await a.flush();
      }
      await until(() => good === count);
      slow.resume();
      await closed;
    });

    it('our Bus: prefix, subscriptions before and after connecting, and a broker that goes away and returns', async () => {
      const own = await start();
      const options = { url: `127.0.0.1:${own.port}`, tokenFile, cluster: '77', epoch: 5 };
      const [ours, theirs] = [new Traffic(), new Traffic()];
      const bus = new NatsBus({ ...options, name: 'walwriter' }, ours.bus);
      const other = new NatsBus({ ...options, name: 'logger' }, theirs.bus);
      const seen: string[] = [];
      other.subscribe('role.*', (payload, subject) => seen.push(`${subject} ${text(payload)}`));
      other.subscribe('ask', (_payload, _subject, reply) => other.respond(reply!, bytes('answer')));
      await until(() => bus.connected && other.connected);
      await settle();
      bus.publish('role.hello', bytes('1'));
      await until(() => seen.length === 1);
      expect(text((await bus.request('ask', bytes('?'), 1000))!)).toBe('answer');
      // One published, one asked and its answer.
      expect(ours.bus).toEqual({ sent: 2, received: 1 });
      expect(theirs.bus).toEqual({ sent: 1, received: 2 });
      await own.stop();
      await until(() => !bus.connected && !other.connected);
      bus.publish('role.hello', bytes('2'));
      expect(await bus.request('ask', bytes('?'), 1000)).toBeUndefined();
      const again = await start(own.port);
      await until(() => bus.connected && other.connected);
      await settle();
      bus.publish('role.hello', bytes('3'));
      await until(() => seen.includes('role.hello 3'));
      await bus.close();
      await other.close();
      await again.stop();
    });
  });
});

/** Everything the broker says to these bytes until it hangs up. */
async function raw(port: number, send: string): Promise<string> {
  const socket = dial(port, '127.0.0.1');
  let said = '';
  socket.on('data', chunk => (said += chunk.toString()));
  socket.on('error', () => {});
  socket.write(send);
  await new Promise(resolve => socket.once('close', resolve));
  return said;
}
