/** What transactions and sessions have from shared memory that was lost. */
import { expect, it } from 'vitest';
import type { Oid } from '@pgtroupe/common/ids';
import { LockOwner } from '@pgtroupe/instance/instance-locks';
import { ROW_EXCLUSIVE_LOCK, relationTag } from '@pgtroupe/storage/lmgr/locktag';
import { SimCluster } from '@pgtroupe/testkit/sim/cluster';
import { SimCluster as SharedMemoryCluster, SimInstance } from '@pgtroupe/testkit/sim/shared-memory-cluster';

it('what a transaction that has not noticed is granted by the next buffer-manager is given back with it', async () => {
  const cluster = await SharedMemoryCluster.create(3);
  await cluster.start();
  const instance = new SimInstance(cluster, 'backend-1');
  const { attachment, locks } = instance.kernel;
  const attached = (what: string): Promise<void> => cluster.runUntil(() => attachment.attached, { ms: 10_000, what });
  await attached('the instance');
  const owner = new LockOwner(100);
  const transaction = instance.transaction(owner);
  cluster.bufferManagerProcess!.kill('the test');
  await cluster.runUntil(() => !attachment.attached, { ms: 5000, what: 'the loss' });
  await cluster.wait(cluster.startBufferManager(), 'the next buffer-manager');
  await attached('the instance again');
  expect(transaction.lost).toBe(true);
  await cluster.wait(locks.acquire(owner, relationTag(5 as Oid, 99 as Oid), ROW_EXCLUSIVE_LOCK), 'a lock');
  const { shared } = cluster.bufferManager!;
  expect(shared.held()).toMatchObject({ locks: 1 });
  transaction.abort();
  await cluster.world.pass(100);
  expect(shared.held()).toMatchObject({ locks: 0 });
});

it('object identifiers that were given out ahead are not used when others may get them', async () => {
  const cluster = await SharedMemoryCluster.create(4);
  await cluster.start();
  const [one, two] = [new SimInstance(cluster, 'backend-1'), new SimInstance(cluster, 'backend-2')];
  const attached = (is: boolean): Promise<void> =>
    cluster.runUntil(() => [one, two].every(({ kernel }) => kernel.attachment.attached === is), {
      ms: 10_000,
      what: 'the instances',
    });
  await attached(true);
  await cluster.wait(one.kernel.newOid(), 'an OID');
  cluster.bufferManagerProcess!.kill('the test');
  await attached(false);
  await cluster.wait(cluster.startBufferManager(), 'the next buffer-manager');
  await attached(true);
  const oids: Oid[] = [];
  for (let n = 0; n < 4; n++)
    for (const { kernel } of [two, one]) oids.push(await cluster.wait(kernel.newOid(), 'an OID'));
  expect(new Set(oids).size).toBe(oids.length);
});

it('values of a sequence that were drawn ahead are not given when others may get them', async () => {
  const cluster = await SimCluster.create(5);
  await cluster.untilReady();
  const [one, two] = [cluster.client().client, cluster.client().client];
  const ask = async (client: typeof one, sql: string): Promise<(string | null)[]> =>
    (await cluster.wait(client.query(sql), sql)).flatMap(answer => answer.rows.map(row => row[0]!));
  await ask(one, 'CREATE SEQUENCE s CACHE 20');
  await ask(two, 'SELECT 1');
  await ask(one, "BEGIN; SELECT nextval('s')");
  cluster.process('buffer-manager').kill('the test');
  await cluster.world.pass(20);
  await cluster.untilReady();
  await ask(one, 'ROLLBACK');
  const values = [];
  for (let n = 0; n < 4; n++)
    for (const client of [two, one]) values.push(...(await ask(client, "SELECT nextval('s')")));
  expect(new Set(values).size).toBe(8);
  await cluster.stop();
});
