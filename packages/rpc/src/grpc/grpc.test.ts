import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterEach, describe, expect, it } from 'vitest';
import { handle, type RpcListener, type RpcStream, type StreamEnd, type StreamMethod } from '@pgtroupe/actor/rpc';
import { Traffic } from '@pgtroupe/actor/traffic';
import { grpcRpc } from './index.ts';

const text = {
  encode: (s: string) => new TextEncoder().encode(s),
  decode: (b: Uint8Array) => new TextDecoder().decode(b),
};
const METHOD: StreamMethod<string, string> = { path: '/pgtroupe.Test/Talk', up: text, down: text };

const folder = mkdtempSync(join(tmpdir(), 'pgt-grpc-'));
const listeners: RpcListener[] = [];
afterEach(async () => {
  for (const listener of listeners.splice(0)) await listener.close();
});
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

const identity = { cluster: '1', name: 'server', epoch: 1 };
let nth = 0;
async function talk(accept: (s: RpcStream<string, string>) => void): Promise<string> {
  const listener = await grpcRpc(identity).serve(`unix:${folder}/${nth++}.sock`, [handle(METHOD, accept)]);
  listeners.push(listener);
  return listener.endpoint;
}
const ended = (stream: RpcStream<string, string>): Promise<StreamEnd> =>
  new Promise(resolve => {
    stream.onEnd = resolve;
  });
const caller = (name: string, epoch: number, cluster = '1') => grpcRpc({ cluster, name, epoch });

describe('rpc over gRPC', () => {
  it('carries messages in order in both directions, over unix sockets and TCP', async () => {
    const accept = (s: RpcStream<string, string>) => {
      s.onMessage = m => s.send(`<${m}>`);
    };
    const unix = await talk(accept);
    const tcp = await grpcRpc(identity).serve('127.0.0.1:0', [handle(METHOD, accept)]);
    listeners.push(tcp);
    for (const endpoint of [unix, tcp.endpoint]) {
      const stream = caller('c', 1).open(endpoint, METHOD);
      const seen: string[] = [];
      const done = ended(stream);
      stream.onMessage = m => {
        seen.push(m);
        if (seen.length === 1000) stream.end();
      };
      for (let i = 0; i < 1000; i++) stream.send(String(i));
      expect(await done).toEqual({ kind: 'finished' });
      expect(seen).toEqual(Array.from({ length: 1000 }, (_, i) => `<${i}>`));
    }
  });

  it('counts the messages of both ends by method, and none of those sent after the end', async () => {
    const theirs = new Traffic();
    const listener = await grpcRpc(identity, theirs).serve(`unix:${folder}/${nth++}.sock`, [
      handle(METHOD, s => {
        s.onMessage = m => {
          s.send(m);
          s.send(m);
        };
      }),
    ]);
    listeners.push(listener);
    const ours = new Traffic();
    const stream = grpcRpc({ cluster: '1', name: 'counted', epoch: 1 }, ours).open(listener.endpoint, METHOD);
    const done = ended(stream);
    let seen = 0;
    stream.onMessage = () => {
      if (++seen === 6) stream.end();
    };
    for (let i = 0; i < 3; i++) stream.send('x');
    await done;
    stream.send('into the void');
    expect([...ours.rpc]).toEqual([[METHOD.path, { sent: 3, received: 6 }]]);
    expect([...theirs.rpc]).toEqual([[METHOD.path, { sent: 6, received: 3 }]]);
  });

  it('delivers everything the server queued before its end', async () => {
    const endpoint = await talk(s => {
      for (let i = 0; i < 500; i++) s.send('x'.repeat(10_000));
      s.end();
    });
    const stream = caller('c', 1).open(endpoint, METHOD);
    let count = 0;
    stream.onMessage = () => count++;
    expect(await ended(stream)).toEqual({ kind: 'finished' });
    expect(count).toBe(500);
  });

  it('passes messages far above the default limit of gRPC', async () => {
    const endpoint = await talk(s => {
      s.onMessage = m => s.send(String(m.length));
    });
    const stream = caller('c', 1).open(endpoint, METHOD);
    const answer = new Promise(resolve => {
      stream.onMessage = resolve;
    });
    stream.send('y'.repeat(30_000_000));
    expect(await answer).toBe('30000000');
    stream.abort('done');
  });

  it('reports an abort to both sides as broken, once', async () => {
    let server: Promise<StreamEnd> | undefined;
    const endpoint = await talk(s => {
      server = ended(s);
      s.send('hello');
    });
    const stream = caller('c', 1).open(endpoint, METHOD);
    await new Promise(resolve => {
      stream.onMessage = resolve;
    });
    const client = ended(stream);
    stream.abort('enough');
    expect(await client).toEqual({ kind: 'broken', why: 'enough' });
    expect((await server!).kind).toBe('broken');
  });

  it('reports a server that is not there', async () => {
    expect((await ended(caller('c', 1).open(`unix:${folder}/nobody.sock`, METHOD))).kind).toBe('broken');
  });

  it('sees the peer killed with -9', async () => {
    const endpoint = await talk(s => {
      serverEnd = ended(s);
    });
    let serverEnd: Promise<StreamEnd> | undefined;
    const script = `
      const grpc = await import('@grpc/grpc-js');
      const { Metadata, Client, credentials } = grpc.default;
      const m = new Metadata();
      m.set('pgtroupe-cluster', '1'); m.set('pgtroupe-name', 'victim'); m.set('pgtroupe-epoch', '1');
      const c = new Client(${JSON.stringify(endpoint)}, credentials.createInsecure());
      c.makeBidiStreamRequest('/pgtroupe.Test/Talk', x => x, x => x, m).on('error', () => {});
      setInterval(() => {}, 1000);`;
    const victim = spawn(process.execPath, ['--input-type=module', '-e', script], { stdio: 'inherit' });
    while (serverEnd === undefined) await new Promise(r => setTimeout(r, 10));
    victim.kill('SIGKILL');
    await once(victim, 'exit');
    expect((await serverEnd).kind).toBe('broken');
  });

  it('refuses another cluster and an older launch, and breaks what the older one holds', async () => {
    const endpoint = await talk(s => {
      s.send('welcome');
    });
    const foreign = await ended(caller('w', 1, '2').open(endpoint, METHOD));
    expect(foreign).toEqual({ kind: 'broken', why: 'caller belongs to cluster 2, this is cluster 1' });
    const old = caller('w', 1).open(endpoint, METHOD);
    await new Promise(resolve => {
      old.onMessage = resolve;
    });
    const oldEnd = ended(old);
    const fresh = caller('w', 2).open(endpoint, METHOD);
    await new Promise(resolve => {
      fresh.onMessage = resolve;
    });
    expect(await oldEnd).toEqual({ kind: 'broken', why: 'fenced by epoch 2' });
    const zombie = await ended(caller('w', 1).open(endpoint, METHOD));
    expect(zombie).toEqual({ kind: 'broken', why: 'w of epoch 1 is fenced, epoch 2 was here' });
    fresh.abort('done');
  });
});
