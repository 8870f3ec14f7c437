/** Pages of a dead instance are put together again while their relation goes away. */
import { expect, it } from 'vitest';
import { LockOwner } from '@pgtroupe/instance/instance-locks';
import { REL, SimCluster, SimInstance } from '@pgtroupe/testkit/sim/shared-memory-cluster';

it.each([
  ['at once', 0],
  ['while its image is read', 0.05],
  ['while its records are read', 0.4],
  ['while its records are read, later', 1],
])('a page that is dropped %s of its rebuild is let go', async (_when, ms) => {
  const cluster = await SimCluster.create(3);
  await cluster.start();
  const instance = new SimInstance(cluster, 'backend-1');
  await cluster.runUntil(() => instance.kernel.attachment.attached, { ms: 5000, what: 'the instance' });
  await cluster.wait(instance.setUp(), 'set-up');
  const owner = new LockOwner(100);
  const acknowledged = { acked: 0, tried: 0 };
  for (let number = 1; number <= 20; number++)
    await cluster.wait(instance.write(0, number, owner, acknowledged), 'a write');
  instance.process.kill('the test');
  const { shared } = cluster.bufferManager!;
  await cluster.runUntil(() => shared.instances.size === 0, { ms: 5000, what: 'the fence' });
  const pages = [...shared.relations.forkOf(REL, 0).pages.values()].filter(page => page.rebuild);
  expect(pages.length).toBeGreaterThan(1);
  const checkpoint = Promise.all(pages.slice(1).map(page => shared.io.settle(page)));
  // As for somebody who asked for it.
  pages[0]!.loading = true;
  shared.io.load(pages[0]!);
  if (ms > 0) await cluster.world.pass(ms);
  shared.files.drop([REL]);
  await cluster.wait(checkpoint, 'the checkpoint', 5000);
  await cluster.world.pass(500);
  expect(cluster.bufferManagerProcess!.alive).toBe(true);
  expect(shared.pool.pinned).toBe(0);
  expect(pages.every(page => page.slot < 0)).toBe(true);
  await cluster.wait(shared.checkpoints.run(true, 0), 'another checkpoint');
});
