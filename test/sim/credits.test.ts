/**
 * Credits of the Attach stream in the simulated cast: what waits between processes stays bounded while one
 * of them does not go on, and everybody else does.
 */
import { describe, expect, it } from 'vitest';
import { MAX_UNREAD_BYTES, MIN_WINDOW_BYTES } from '@pgtroupe/rpc/attach/credit';
import { downReader, upWriter } from '@pgtroupe/rpc/attach/codec';
import { ATTACH } from '@pgtroupe/rpc/attach/method';
import type { UpOp } from '@pgtroupe/rpc/attach/ops';
import { SimCluster } from '@pgtroupe/testkit/sim/cluster';
import { MemoryDisk } from '@pgtroupe/testkit/sim/memory-disk';
import { SimProcess } from '@pgtroupe/testkit/sim/process';

const KB = 1024;
/** Besides the window: what each session has free, a statement's step of 256 rows with their images. */
const OVERDRAFT_BYTES = 1024 * KB;
/** Far more than may be under way. */
const BULK = "INSERT INTO bulk SELECT n, repeat('x', 500) FROM generate_series(1, 12000) n";
const BULK_BYTES = 12_000 * 500;

async function loaded(seed: number, instances: number, settings: Readonly<Record<string, string>> = {}) {
  const cluster = await SimCluster.create(seed, { instances, settings: { role_timeout: '0', ...settings } });
  await cluster.untilReady();
  const { client } = cluster.client();
  await cluster.wait(
    client.query('CREATE TABLE bulk (a int, b text); CREATE TABLE small (a int PRIMARY KEY, b int)'),
    'tables',
  );
  await cluster.wait(client.query('INSERT INTO small SELECT n, 0 FROM generate_series(1, 100) n'), 'rows');
  return { cluster, client };
}

describe('credits', () => {
  it.each([1, 2, 3])(
    'a bulk load waits for a stalled walwriter and goes on with it: %i',
    async seed => {
      const { cluster, client } = await loaded(seed, 2);
      const others = [cluster.client().client, cluster.client().client];
      for (const other of others) await cluster.wait(other.query('SELECT 1'), 'a session');
      const walwriter = cluster.process('walwriter');
      walwriter.pause();
      let over = false;
      const load = client.query(BULK).finally(() => {
        over = true;
      });
      load.catch(() => {});
      let most = 0;
      await cluster.world.runUntil(
        () => {
          most = Math.max(most, cluster.network.backlogBytes('buffer-manager', 'walwriter'));
          return cluster.world.nowMs > 20_000 || over;
        },
        { ms: 60_000, what: '20 seconds' },
      );
      expect(over).toBe(false);
      // Both instances may have their window used up, not more. And the load did fill its own.
      expect(most).toBeLessThan(2 * MIN_WINDOW_BYTES + OVERDRAFT_BYTES);
      expect(most).toBeGreaterThan(MIN_WINDOW_BYTES / 4);
      expect(most).toBeLessThan(BULK_BYTES / 3);
      // Reads go on, and so do writes up to their COMMIT.
      for (const [n, other] of others.entries()) {
        const answers = await cluster.wait(other.query(`SELECT b FROM small WHERE a = ${n + 1}`), 'a read', 3000);
        expect(answers[0]?.rows).toEqual([['0']]);
        await cluster.wait(other.query(`BEGIN; UPDATE small SET b = 1 WHERE a = ${n + 1}`), 'a write', 3000);
      }
      let committed = 0;
      const commits = others.map(other => other.query('COMMIT').then(() => committed++));
      await cluster.world.pass(2000);
      expect(committed).toBe(0);
      walwriter.resume();
      await cluster.wait(Promise.all(commits), 'the commits');
      await cluster.wait(load, 'the load');
      const [count] = await cluster.wait(others[0]!.query('SELECT count(*) FROM bulk'), 'count');
      expect(count?.rows).toEqual([['12000']]);
      expect(cluster.violations).toEqual([]);
    },
    60_000,
  );

  it('a load does not wait for wal_writer_delay', async () => {
    const { cluster, client } = await loaded(8, 2, { wal_writer_delay: '10000' });
    const from = cluster.world.nowMs;
    await cluster.wait(client.query(BULK), 'the load');
    expect(cluster.world.nowMs - from).toBeLessThan(10_000);
  }, 60_000);

  it('goes on when the walwriter does not come back but another does', async () => {
    const { cluster, client } = await loaded(4, 1);
    const walwriter = cluster.process('walwriter');
    walwriter.pause();
    const load = client.query(BULK);
    await cluster.world.pass(10_000);
    walwriter.kill('kill -9');
    const [answer] = await cluster.wait(load, 'the load');
    expect(answer?.tag).toBe('INSERT 0 12000');
  }, 60_000);

  it('an instance that stands still is expelled, with nothing piled up for it', async () => {
    const { cluster, client } = await loaded(5, 2);
    const name = 'backend-1';
    const others = [cluster.client().client, cluster.client().client, cluster.client().client];
    for (const other of others) await cluster.wait(other.query('SELECT count(*) FROM small'), 'a session');
    const stopped = cluster.process(name);
    stopped.pause();
    let most = 0;
    let answered = 0;
    const all = [client, ...others];
    const go = (c: (typeof all)[number], n: number): void => {
      c.query(`UPDATE small SET b = b + 1 WHERE a = ${1 + (n % 100)}`).then(
        () => {
          answered++;
          go(c, n + 7);
        },
        () => {},
      );
    };
    all.forEach((c, n) => go(c, n));
    await cluster.world.runUntil(
      () => {
        most = Math.max(most, cluster.network.backlogBytes('buffer-manager', name));
        return answered > 200;
      },
      { ms: 60_000, what: 'the others to commit' },
    );
    expect(most).toBeLessThan(256 * KB);
    expect(cluster.world.trace.join('\n')).toContain(`${name} is expelled: nothing heard for 3000 ms`);
  }, 60_000);

  it('an instance that asks and does not read is expelled, and the log says why', async () => {
    const { cluster } = await loaded(6, 1);
    const process = new SimProcess(cluster.world, cluster.network, 'deaf', new MemoryDisk());
    const stream = process.env.rpc.open('unix:/run/buffer-manager.sock', ATTACH);
    let ended = false;
    let welcome = false;
    stream.onEnd = () => {
      ended = true;
    };
    stream.onMessage = batch => downReader().read(batch, op => (welcome ||= op.op === 'welcome'));
    const send = (...ops: UpOp[]): void => {
      const writer = upWriter();
      for (const op of ops) writer.put(op);
      stream.send(writer.take());
    };
    send({ op: 'hello', protocol: 1, name: 'backend-9', uuid: '00', osPid: 9 });
    await cluster.runUntil(() => welcome, { ms: 1000, what: 'welcome' });
    let asked = 0;
    const ask = (): void => {
      if (ended) return;
      send(
        { op: 'heartbeat', counter: asked },
        ...Array.from({ length: 100 }, (): UpOp => ({ op: 'clogPage', reqId: ++asked, page: 0 })),
      );
      process.env.timers.after(1, ask);
    };
    ask();
    await cluster.runUntil(() => ended, { ms: 10_000, what: 'the end of its stream' });
    // 8 kB each, and the last requests were not answered any more.
    expect(asked * 8192).toBeGreaterThan(MAX_UNREAD_BYTES);
    expect(asked * 8192).toBeLessThan(MAX_UNREAD_BYTES + 4096 * KB);
    expect(cluster.world.trace.join('\n')).toMatch(/backend-9 is expelled: it has not read \d+ bytes/);
  }, 60_000);

  it('termination ends the wait', async () => {
    const { cluster, client } = await loaded(7, 1);
    cluster.process('walwriter').pause();
    const load = client.query(BULK);
    load.catch(() => {});
    await cluster.world.pass(5000);
    cluster.postmaster.shutdown('fast');
    await expect(cluster.wait(load, 'the load to end', 3000)).rejects.toThrow(
      'terminating connection due to administrator command',
    );
  }, 60_000);
});
