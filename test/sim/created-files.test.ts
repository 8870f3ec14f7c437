/** A file that is being created when its transaction ends goes with it. */
import { expect, it } from 'vitest';
import type { ForkNumber, Oid, RelFileNode } from '@pgtroupe/common/ids';
import { Transaction } from '@pgtroupe/instance/xact';
import { LockOwner } from '@pgtroupe/instance/instance-locks';
import { SimCluster, SimInstance } from '@pgtroupe/testkit/sim/shared-memory-cluster';

const MADE: RelFileNode = { spcNode: 1663 as Oid, dbNode: 5 as Oid, relNode: 31000 as Oid };

it('a file whose transaction is aborted while it is made is removed, and its transaction has no files left', async () => {
  const cluster = await SimCluster.create(4);
  await cluster.start();
  const { kernel } = new SimInstance(cluster, 'backend-1');
  await cluster.runUntil(() => kernel.attachment.attached, { ms: 5000, what: 'the instance' });
  const owner = new LockOwner(1);
  const xact = new Transaction(kernel, owner, 5 as Oid);
  await cluster.wait(
    kernel.attempt(() => xact.currentXid(), owner),
    'an id',
  );
  const made = kernel.smgrCreate(xact.topXid as never, MADE, 0 as ForkNumber, true).then(
    () => 'made',
    () => 'refused',
  );
  xact.abort();
  expect(await cluster.wait(made, 'the answer')).toBe('refused');
  await cluster.world.pass(500);
  const { shared } = cluster.bufferManager!;
  expect(shared.files.createdCount).toBe(0);
  expect(await cluster.wait(cluster.machine.disk.stat('base/5/31000'), 'the disk')).toBe(undefined);
});
