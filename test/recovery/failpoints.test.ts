/**
 * Death at every step that makes something durable: the role itself, the one that drives it, the walwriter, or the
 * whole machine goes at a failpoint, while clients write. What was acknowledged is there afterwards, clients go on,
 * and the next checkpoint completes.
 */
import type { Failpoint } from '@pgtroupe/actor/failpoint';
import type { ForkNumber } from '@pgtroupe/common/ids';
import type { SimProcess } from '@pgtroupe/testkit/sim/process';
import { describe, expect, it } from 'vitest';
import { type Acknowledged, PAGES, REL, SimCluster, SimInstance } from '@pgtroupe/testkit/sim/shared-memory-cluster';

const CLIENTS = 3;
const MAIN = 0 as ForkNumber;
type Victim = 'checkpointer' | 'buffer-manager' | 'walwriter' | 'power';

/** Kills once, at one failpoint. */
class Trap {
  sprung = false;
  #point: string | undefined;
  #victim: Victim = 'power';
  readonly #cluster: SimCluster;

  constructor(cluster: SimCluster) {
    this.#cluster = cluster;
    cluster.failpoint = process => this.#failpoint(process);
  }

  set(point: string, victim: Victim): void {
    this.#point = point;
    this.#victim = victim;
  }

  #failpoint(process: SimProcess): Failpoint {
    return name => {
      if (name !== this.#point) return undefined;
      this.#point = undefined;
      this.sprung = true;
      for (const victim of this.#victims()) victim.kill(`killed at ${name}`);
      return process.alive ? undefined : new Promise(() => {});
    };
  }

  #victims(): SimProcess[] {
    const { bufferManagerProcess, checkpointerProcess, walwriterProcess } = this.#cluster;
    const all = {
      'buffer-manager': bufferManagerProcess,
      checkpointer: checkpointerProcess,
      walwriter: walwriterProcess,
    };
    const chosen = this.#victim === 'power' ? Object.values(all) : [all[this.#victim]];
    return chosen.filter(process => process !== undefined);
  }
}

interface Stage {
  readonly cluster: SimCluster;
  readonly trap: Trap;
  readonly written: readonly Acknowledged[];
  instance: SimInstance;
}

async function stage(): Promise<Stage> {
  const cluster = await SimCluster.create(11);
  const trap = new Trap(cluster);
  cluster.checkpointTimeoutMs = 2000;
  await cluster.start();
  const written = Array.from({ length: CLIENTS }, () => ({ acked: 0, tried: 0 }));
  const it: Stage = { cluster, trap, written, instance: new SimInstance(cluster, 'backend-1') };
  await cluster.runUntil(() => it.instance.kernel.attachment.attached, { ms: 5000, what: 'attaching' });
  await cluster.wait(it.instance.setUp(), 'set-up');
  begin(it);
  return it;
}

function begin({ instance, written }: Stage): void {
  for (const [c, acknowledged] of written.entries()) instance.client(c, acknowledged);
}

/** Whoever died comes back. */
async function revive(it: Stage, victim: Victim): Promise<void> {
  const { cluster } = it;
  switch (victim) {
    case 'checkpointer':
      return cluster.startCheckpointer();
    case 'walwriter':
      return cluster.startWalwriter();
    case 'buffer-manager':
      return cluster.wait(cluster.startBufferManager(), 'the buffer-manager');
    case 'power':
      return restart(it);
  }
}

/** Power fails, which loses what was not synced, and comes back. */
async function restart(it: Stage): Promise<void> {
  it.instance.process.kill('power failure');
  it.cluster.powerFailure();
  await it.cluster.start();
  it.instance = new SimInstance(it.cluster, 'backend-1');
  begin(it);
}

async function everybodyGoesOn({ cluster, written }: Stage): Promise<void> {
  const before = written.map(w => w.acked);
  await cluster.runUntil(() => written.every((w, c) => w.acked > before[c]! + 2), {
    ms: 30_000,
    what: 'everybody to go on',
  });
}

/** Power fails once more; then the platter is asked. */
async function audit(it: Stage): Promise<void> {
  const { cluster, written } = it;
  await everybodyGoesOn(it);
  await restart(it);
  await everybodyGoesOn(it);
  it.instance.stopped = true;
  await cluster.world.pass(300);
  it.instance.process.kill('stop');
  await cluster.stop();
  cluster.powerFailure();
  for (const [c, [a, b]] of (await cluster.numbers(CLIENTS)).entries()) {
    const { acked, tried } = written[c]!;
    expect(a, `client ${c}: both pages of a record`).toBe(b);
    expect(a, `client ${c}: acknowledged ${acked}`).toBeGreaterThanOrEqual(acked);
    expect(a, `client ${c}: tried ${tried}`).toBeLessThanOrEqual(tried);
  }
}

async function dieAt(point: string, victim: Victim): Promise<Stage> {
  const it = await stage();
  it.trap.set(point, victim);
  await it.cluster.runUntil(() => it.trap.sprung, { ms: 30_000, what: point });
  await revive(it, victim);
  return it;
}

const cases = (points: readonly string[], victims: readonly Victim[]): [string, Victim][] =>
  points.flatMap(p => victims.map(v => [p, v] as [string, Victim]));

describe('a checkpoint: begin, paced writes, fsync, record, pg_control, recycle', () => {
  const POINTS = [
    'checkpoint-after-begin',
    'checkpoint-before-write',
    'checkpoint-before-sync',
    'checkpoint-before-record',
    'checkpoint-before-control',
    'checkpoint-after-control',
    'checkpoint-before-recycle',
    'checkpoint-after-recycle',
  ];
  it.each([
    ...cases(POINTS, ['checkpointer', 'buffer-manager', 'power']),
    ...cases(['checkpoint-before-record', 'checkpoint-before-recycle'], ['walwriter']),
  ])('%s: death of %s', async (point, victim) => {
    const stage = await dieAt(point, victim);
    await everybodyGoesOn(stage);
    const { checkpoints } = stage.cluster.bufferManager!.shared;
    const { ended } = checkpoints;
    const { redo } = checkpoints.control.checkPointCopy;
    await stage.cluster.runUntil(() => checkpoints.ended > ended + 1, {
      ms: 30_000,
      what: 'other checkpoints',
    });
    expect(checkpoints.control.checkPointCopy.redo).toBeGreaterThan(redo);
    await audit(stage);
  });
});

describe('a commit', () => {
  it.each([
    ...cases(
      ['walwriter-before-write', 'walwriter-after-write', 'walwriter-before-fsync', 'walwriter-after-fsync'],
      ['walwriter', 'power'],
    ),
    ...cases(['commit-before-visible', 'commit-before-answer'], ['buffer-manager', 'power']),
  ])('%s: death of %s', async (point, victim) => {
    await audit(await dieAt(point, victim));
  });
});

describe('recovery', () => {
  it.each([
    ...cases(['recovery-after-redo', 'recovery-after-checkpoint'], ['buffer-manager', 'power']),
    ...cases(['walwriter-after-wipe', 'walwriter-before-segment-rename'], ['walwriter', 'power']),
  ])('%s: death of %s', async (point, victim) => {
    const it = await stage();
    const { cluster } = it;
    await everybodyGoesOn(it);
    it.instance.process.kill('power failure');
    cluster.powerFailure();
    it.trap.set(point, victim);
    cluster.startWalwriter();
    const opened = cluster.startBufferManager();
    await cluster.runUntil(() => it.trap.sprung, { ms: 30_000, what: point });
    if (victim === 'power') await restart(it);
    else {
      // The two know each other again by themselves; who was killed is started.
      if (victim === 'walwriter') cluster.startWalwriter();
      await cluster.wait(victim === 'walwriter' ? opened : cluster.startBufferManager(), 'the buffer-manager');
      cluster.startCheckpointer();
      it.instance = new SimInstance(cluster, 'backend-1');
      begin(it);
    }
    await audit(it);
  });
});

describe('truncating a relation', () => {
  const KEEP = 20;
  /** The record is durable: the truncation happens, whoever dies. */
  const DECIDED = ['truncate-before-file', 'truncate-after-file'];
  it.each(cases(['truncate-before-record', ...DECIDED], ['buffer-manager', 'power']))(
    '%s: death of %s',
    async (point, victim) => {
      const it = await stage();
      const { cluster } = it;
      await everybodyGoesOn(it);
      it.instance.stopped = true;
      await cluster.world.pass(300);
      it.trap.set(point, victim);
      const answer = it.instance.kernel.smgrTruncate(REL, MAIN, KEEP).then(
        () => 'truncated',
        (error: Error) => error.message,
      );
      await cluster.runUntil(() => it.trap.sprung, { ms: 5000, what: point });
      it.instance.process.kill('stop');
      if (victim === 'power') cluster.powerFailure();
      else cluster.walwriterProcess!.kill('test');
      await cluster.start();
      await cluster.stop();
      cluster.powerFailure();
      const { length } = await cluster.platter.readFile('base/5/30000');
      if (DECIDED.includes(point)) expect(length / 8192).toBe(KEEP);
      else expect(length / 8192).toBeGreaterThanOrEqual(PAGES);
      // Nobody was told anything.
      expect(await Promise.race([answer, Promise.resolve('no answer')])).toBe('no answer');
    },
  );
});
