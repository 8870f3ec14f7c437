/** A transaction that shared memory was lost under, and that has not noticed yet. */
import { expect, it } from 'vitest';
import type { Oid } from '@pgtroupe/common/ids';
import { LockOwner } from '@pgtroupe/instance/instance-locks';
import { ROW_EXCLUSIVE_LOCK, relationTag } from '@pgtroupe/storage/lmgr/locktag';
import { SimCluster, SimInstance } from '@pgtroupe/testkit/sim/shared-memory-cluster';

it('what it is granted by the next buffer-manager is given back with it', async () => {
  const cluster = await SimCluster.create(3);
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
