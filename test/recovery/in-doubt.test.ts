/**
 * A COMMIT whose answer was lost with the buffer-manager: the instance asks a later life what became of it, and
 * must not take another transaction's outcome for its own, however many lives it missed.
 */
import { describe, expect, it } from 'vitest';
import { LockOwner } from '@pgtroupe/instance/instance-locks';
import { type Acknowledged, SimCluster, SimInstance } from '@pgtroupe/testkit/sim/shared-memory-cluster';

const FIRST = 0;
const SECOND = 1;
/** More transactions than ids are kept in reserve by the two. */
const OTHERS = 50;

interface Stage {
  readonly cluster: SimCluster;
  readonly instances: readonly [SimInstance, SimInstance];
  readonly written: readonly [Acknowledged, Acknowledged];
}

/** Two instances, each with one client, that have written. */
async function stage(seed: number): Promise<Stage> {
  const cluster = await SimCluster.create(seed);
  cluster.checkpointTimeoutMs = 100_000;
  await cluster.start();
  const instances = [new SimInstance(cluster, 'backend-1'), new SimInstance(cluster, 'backend-2')] as const;
  await attached(cluster, instances);
  await cluster.wait(instances[FIRST].setUp(), 'set-up');
  const written = [
    { acked: 0, tried: 0 },
    { acked: 0, tried: 0 },
  ] as const;
  for (const [c, instance] of instances.entries())
    await cluster.wait(instance.write(c, 1, new LockOwner(100 + c), written[c]!), 'a write');
  // Ids kept in reserve go back, so that whoever comes first gets the next.
  await cluster.world.pass(500);
  return { cluster, instances, written };
}

async function attached(cluster: SimCluster, instances: readonly SimInstance[]): Promise<void> {
  await cluster.runUntil(() => instances.every(i => i.kernel.attachment.attached), { ms: 5000, what: 'attaching' });
}

/** Kills the buffer-manager and starts the next. */
async function nextLife(cluster: SimCluster): Promise<void> {
  cluster.bufferManagerProcess!.kill('test');
  await cluster.wait(cluster.startBufferManager(), 'the next buffer-manager');
}

/** The first instance's next write, and the ids that writes took. */
function write(
  { instances, written }: Stage,
  c: 0 | 1,
  number: number,
): { readonly ended: Promise<string>; readonly xid: () => number } {
  const instance = instances[c];
  const { shared } = instance.kernel;
  const take = shared.takeXid.bind(shared);
  let xid = 0;
  shared.takeXid = () => {
    const taken = take();
    if (taken > 0) xid = taken;
    return taken;
  };
  const ended = instance.write(c, number, new LockOwner(100 + c), written[c]).then(
    () => 'committed',
    (error: Error) => error.message,
  );
  return { ended, xid: () => xid };
}

/** The platter's opinion, after a clean stop. */
async function numbers({ cluster, instances }: Stage): Promise<number[]> {
  for (const instance of instances) instance.process.kill('stop');
  await cluster.stop();
  cluster.powerFailure();
  return (await cluster.numbers(2)).map(([a, b]) => {
    expect(a).toBe(b);
    return a;
  });
}

describe('a COMMIT in doubt', () => {
  it.each([1, 2, 3])(
    'that was lost stays lost, though another instance commits in a life it missed: seed %i',
    async seed => {
      const it = await stage(seed);
      const { cluster, instances, written } = it;
      // The walwriter is away, so what is sequenced now is in the buffer-manager only.
      cluster.walwriterProcess!.kill('test');
      const lost = write(it, FIRST, 2);
      await cluster.runUntil(() => cluster.bufferManager!.shared.transactions.commits.length > 0, {
        ms: 5000,
        what: 'COMMIT to be sequenced',
      });
      instances[FIRST].process.pause();
      cluster.startWalwriter();
      await nextLife(cluster);
      await attached(cluster, [instances[SECOND]]);
      const others: number[] = [];
      for (let number = 2; number <= OTHERS; number++) {
        const other = write(it, SECOND, number);
        expect(await cluster.wait(other.ended, 'the other to commit')).toBe('committed');
        others.push(other.xid());
      }
      expect(lost.xid()).toBeGreaterThan(0);
      expect(others).not.toContain(lost.xid());
      await nextLife(cluster);
      instances[FIRST].process.resume();
      expect(await cluster.wait(lost.ended, 'the answer')).not.toBe('committed');
      expect(written[FIRST].acked).toBe(1);
      expect(await numbers(it)).toEqual([1, OTHERS]);
    },
  );

  it.each([1, 2, 3])('that was durable is acknowledged two lives later: seed %i', async seed => {
    let held = false;
    const it = await stage(seed);
    const { cluster, instances, written } = it;
    cluster.failpoint = () => name => (held && name === 'walwriter-after-fsync' ? new Promise(() => {}) : undefined);
    cluster.walwriterProcess!.kill('test');
    cluster.startWalwriter();
    await cluster.world.pass(200);
    held = true;
    const kept = write(it, FIRST, 2);
    await cluster.runUntil(() => cluster.bufferManager!.shared.transactions.commits.length > 0, {
      ms: 5000,
      what: 'COMMIT to be sequenced',
    });
    // Durable, but nobody was told.
    await cluster.world.pass(100);
    expect(cluster.bufferManager!.shared.transactions.commits.length).toBe(1);
    held = false;
    instances[FIRST].process.pause();
    cluster.walwriterProcess!.kill('test');
    cluster.startWalwriter();
    await nextLife(cluster);
    await attached(cluster, [instances[SECOND]]);
    expect(await cluster.wait(write(it, SECOND, 2).ended, 'the other to commit')).toBe('committed');
    await nextLife(cluster);
    instances[FIRST].process.resume();
    expect(await cluster.wait(kept.ended, 'the answer')).toBe('committed');
    expect(written[FIRST].acked).toBe(2);
    expect(await numbers(it)).toEqual([2, 2]);
  });

  it('crashes skip ids and repeat none, also behind a checkpoint', async () => {
    const it = await stage(7);
    const { cluster, instances } = it;
    const seen = new Set<number>();
    for (let life = 0; life < 4; life++) {
      for (let n = 0; n < 5; n++) {
        const one = write(it, FIRST, 2 + life * 5 + n);
        expect(await cluster.wait(one.ended, 'a commit')).toBe('committed');
        expect(seen.has(one.xid())).toBe(false);
        seen.add(one.xid());
      }
      if (life % 2 === 0) await cluster.wait(cluster.bufferManager!.shared.checkpoints.run(false, 0), 'a checkpoint');
      // Ids that no record of theirs names: whoever had them may still ask for them.
      const { shared } = instances[FIRST].kernel;
      for (let n = 0; n < OTHERS; n++) {
        await cluster.wait(shared.awaitXids(), 'ids');
        const xid = shared.takeXid();
        expect(seen.has(xid)).toBe(false);
        seen.add(xid);
      }
      await nextLife(cluster);
      await cluster.world.pass(500);
      await attached(cluster, instances);
    }
    expect(Math.max(...seen) - Math.min(...seen)).toBeLessThan(5 * 1024);
    expect((await numbers(it))[0]).toBe(21);
  });
});
