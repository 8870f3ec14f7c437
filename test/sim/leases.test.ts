/**
 * An instance that the buffer-manager has given up and that does not know it yet, because what it is sent is late,
 * serves statements from the snapshot it has. Nobody is shown what that snapshot lacks before its lease is over.
 */
import { ATTACH_PROTOCOL } from '@pgtroupe/instance/attachment';
import { upWriter } from '@pgtroupe/rpc/attach/codec';
import { ATTACH } from '@pgtroupe/rpc/attach/method';
import { MemoryDisk } from '@pgtroupe/testkit/sim/memory-disk';
import { SimProcess } from '@pgtroupe/testkit/sim/process';
import { ConnectionLost, ServerError, type SimClient } from '@pgtroupe/testkit/sim/client';
import { SimCluster } from '@pgtroupe/testkit/sim/cluster';
import { describe, expect, it } from 'vitest';

const PATIENCE_MS = 10_000;
/** One whose answer was lost may be there twice. */
const COUNT = 'SELECT count(DISTINCT id) FROM kept';
/** Up to so much later comes what the buffer-manager sends, for so long. */
const LATE_MS = 3_000;

async function setUp(): Promise<{ cluster: SimCluster; near: SimClient; far: SimClient }> {
  const cluster = await SimCluster.create(1, { instances: 2 });
  await cluster.untilReady();
  await cluster.runUntil(() => cluster.postmaster.names.includes('backend-2'), { ms: PATIENCE_MS, what: 'instances' });
  await cluster.world.pass(2000);
  // Clients go to the instance that has the fewest.
  const { client: near } = cluster.client();
  const ask = (client: SimClient, sql: string): Promise<unknown> => cluster.wait(client.query(sql), sql, PATIENCE_MS);
  await ask(near, 'CREATE TABLE kept (id int)');
  const { client: far } = cluster.client();
  await ask(far, COUNT);
  await ask(near, 'INSERT INTO kept VALUES (0)');
  await ask(far, COUNT);
  return { cluster, near, far };
}

/** Both clients work on, through errors: what was acknowledged to one is not missed by the other. */
async function expectNothingOld(cluster: SimCluster, near: SimClient, far: SimClient): Promise<void> {
  const insist = async (client: SimClient, sql: string): Promise<string | null | undefined> => {
    for (;;) {
      try {
        return (await cluster.wait(client.query(sql), sql, PATIENCE_MS)).at(-1)?.rows[0]?.[0];
      } catch (error) {
        if (!(error instanceof ServerError || error instanceof ConnectionLost)) throw error;
        await cluster.world.pass(10);
      }
    }
  };
  for (let id = 1; id <= 20; id++) {
    await insist(near, `INSERT INTO kept VALUES (${id})`);
    expect(Number(await insist(far, COUNT))).toBe(id + 1);
  }
}

describe('an instance that has not heard of it', () => {
  it('that the buffer-manager died', async () => {
    const { cluster, near, far } = await setUp();
    cluster.network.clogLink('buffer-manager', 'backend-2', LATE_MS, LATE_MS);
    cluster.process('buffer-manager').kill('test');
    await expectNothingOld(cluster, near, far);
  });

  it('that somebody has taken its place', async () => {
    const { cluster, near, far } = await setUp();
    cluster.network.clogLink('buffer-manager', 'backend-2', LATE_MS, LATE_MS);
    const other = new SimProcess(cluster.world, cluster.network, 'other', new MemoryDisk());
    const stream = other.env.rpc.open('unix:/run/buffer-manager.sock', ATTACH);
    const hello = upWriter(other.env.traffic);
    hello.put({ op: 'hello', protocol: ATTACH_PROTOCOL, name: 'backend-2', uuid: '00'.repeat(16), osPid: 1 });
    stream.send(hello.take());
    await cluster.world.pass(5);
    await expectNothingOld(cluster, near, far);
  });
});
