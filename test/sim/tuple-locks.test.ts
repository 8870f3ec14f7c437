/**
 * Those who wait for a row, in turn: whoever gives up, dies or comes at the worst moment, the next one has it, and no
 * tuple lock is left behind.
 */
import { describe, expect, it, vi } from 'vitest';
import { InstanceLocks } from '@pgtroupe/instance/instance-locks';
import type { SimClient } from '@pgtroupe/testkit/sim/client';
import { SimCluster } from '@pgtroupe/testkit/sim/cluster';

const PATIENCE_MS = 10_000;
const ROW = 'SELECT id FROM job WHERE id = 1 FOR UPDATE';

/** A session that has asked for the row, and what it was told. */
interface Wait {
  readonly client: SimClient;
  outcome: unknown;
}

class Queue {
  readonly cluster: SimCluster;
  readonly holder: SimClient;
  readonly waits: Wait[] = [];

  private constructor(cluster: SimCluster, holder: SimClient) {
    this.cluster = cluster;
    this.holder = holder;
  }

  /** One holds the row. */
  static async of(instances: number, seed = 1): Promise<Queue> {
    const cluster = await SimCluster.create(seed, { instances });
    await cluster.untilReady();
    await cluster.runUntil(() => cluster.postmaster.names.includes(`backend-${instances}`), {
      ms: PATIENCE_MS,
      what: 'instances',
    });
    await cluster.world.pass(2000);
    const queue = new Queue(cluster, cluster.client().client);
    await queue.run(queue.holder, 'CREATE TABLE job (id int PRIMARY KEY)', 'INSERT INTO job VALUES (1)');
    await queue.run(queue.holder, 'BEGIN', ROW);
    return queue;
  }

  async run(client: SimClient, ...statements: string[]): Promise<void> {
    for (const sql of statements) await this.cluster.wait(client.query(sql), sql, PATIENCE_MS);
  }

  /** Others ask for it, one after the other. */
  async join(count: number, first = ''): Promise<void> {
    for (let n = 0; n < count; n++) {
      const { client } = this.cluster.client();
      await this.run(client, 'BEGIN', ...(n === 0 && first !== '' ? [first] : []));
      const wait: Wait = { client, outcome: undefined };
      this.waits.push(wait);
      client.query(ROW).then(
        () => (wait.outcome = 'has it'),
        (error: unknown) => (wait.outcome = error),
      );
      await this.pass(20);
    }
  }

  giveUp(n: number, how: string): void {
    const { client } = this.waits[n]!;
    if (how === 'vanish') client.vanish();
    else this.cluster.postmaster.cancel(client.key!);
  }

  pass(ms: number): Promise<void> {
    return this.cluster.world.pass(ms);
  }

  /** The row goes through the hands of those who are left, in this order; then nobody has anything. */
  async expectTurns(...order: number[]): Promise<void> {
    await this.run(this.holder, 'COMMIT');
    for (const n of order) {
      const wait = this.waits[n]!;
      await this.cluster.runUntil(() => wait.outcome !== undefined, { ms: PATIENCE_MS, what: `the turn of ${n}` });
      expect(wait.outcome).toBe('has it');
      const later = order.slice(order.indexOf(n) + 1);
      expect(later.map(each => this.waits[each]!.outcome)).toEqual(later.map(() => undefined));
      await this.run(wait.client, 'COMMIT');
    }
    for (const { client } of this.waits) if (client.connected) await this.run(client, 'ROLLBACK');
    await this.cluster.expectNoLeaks();
  }
}

describe.each([1, 4])('%d instance(s)', instances => {
  it('each has it in turn, by order of asking', async () => {
    const queue = await Queue.of(instances);
    await queue.join(5);
    await queue.expectTurns(0, 1, 2, 3, 4);
  });

  it('also when all of them wait longer than deadlock_timeout', async () => {
    const queue = await Queue.of(instances);
    await queue.join(3);
    await queue.pass(3000);
    await queue.join(2);
    await queue.expectTurns(0, 1, 2, 3, 4);
  });

  describe.each(['vanish', 'cancel'])('%s', how => {
    it.each([0, 1, 2, 3])('of number %d', async n => {
      const queue = await Queue.of(instances);
      await queue.join(4);
      queue.giveUp(n, how);
      await queue.pass(100);
      expect(queue.waits[n]!.outcome).toBeInstanceOf(Error);
      await queue.expectTurns(...[0, 1, 2, 3].filter(each => each !== n));
    });

    it.each([0, 1])('of number %d, whose wait grew long', async n => {
      const queue = await Queue.of(instances);
      await queue.join(3);
      await queue.pass(3000);
      queue.giveUp(n, how);
      await queue.pass(100);
      await queue.expectTurns(...[0, 1, 2].filter(each => each !== n));
    });

    // At each of the messages that hand the row on.
    it.each(Array.from({ length: 16 }, (_, n) => 0.05 * 1.5 ** n))('of the first, %f ms into COMMIT', async ms => {
      const queue = await Queue.of(instances, Math.round(ms * 100));
      await queue.join(3);
      const commit = queue.holder.query('COMMIT');
      await queue.pass(ms);
      queue.giveUp(0, how);
      await queue.cluster.wait(commit, 'COMMIT');
      await queue.pass(100);
      const [first] = queue.waits as [Wait];
      // It may have had the row by then, and keeps it while it is there.
      if (first.outcome === 'has it' && first.client.connected) await queue.run(first.client, 'ROLLBACK');
      await queue.run(queue.holder, 'BEGIN');
      await queue.expectTurns(1, 2);
    });
  });

  it('lock_timeout ends the wait of the first, of no other', async () => {
    const queue = await Queue.of(instances);
    await queue.join(3, "SET lock_timeout = '300ms'");
    await queue.pass(500);
    expect(String(queue.waits[0]!.outcome)).toContain('lock timeout');
    await queue.expectTurns(1, 2);
  });

  it('nothing is left of them when shared memory is lost', async () => {
    const queue = await Queue.of(instances);
    await queue.join(3);
    queue.cluster.process('buffer-manager').kill('the test');
    await queue.cluster.runUntil(() => queue.waits.every(({ outcome }) => outcome instanceof Error), {
      ms: PATIENCE_MS,
      what: 'the end of all waits',
    });
    await queue.run(queue.holder, 'ROLLBACK');
    for (const { client } of queue.waits.splice(0)) await queue.run(client, 'ROLLBACK');
    await queue.run(queue.holder, 'BEGIN', ROW);
    await queue.join(2);
    await queue.expectTurns(0, 1);
  });
});

it('an instance that dies leaves its place in the queue', async () => {
  const queue = await Queue.of(4);
  await queue.join(3);
  queue.cluster.process('backend-2').kill('the test');
  await queue.cluster.runUntil(() => queue.waits.some(({ outcome }) => outcome instanceof Error), {
    ms: PATIENCE_MS,
    what: 'an instance less',
  });
  await queue.pass(100);
  const left = [0, 1, 2].filter(n => queue.waits[n]!.outcome === undefined);
  expect(left).toHaveLength(2);
  await queue.expectTurns(...left);
});

it('an instance that comes queues behind those who were there', async () => {
  const queue = await Queue.of(2);
  queue.cluster.process('backend-2').kill('the test');
  await queue.cluster.runUntil(() => !queue.cluster.postmaster.names.includes('backend-2'), {
    ms: PATIENCE_MS,
    what: 'one instance',
  });
  await queue.pass(20);
  await queue.join(2);
  await queue.cluster.runUntil(() => queue.cluster.postmaster.names.includes('backend-2'), {
    ms: PATIENCE_MS,
    what: 'two instances',
  });
  await queue.pass(2000);
  await queue.join(3);
  await queue.expectTurns(0, 1, 2, 3, 4);
});

it('those who wait in the only instance there is keep it to themselves', async () => {
  const queue = await Queue.of(1);
  const asked = vi.spyOn(InstanceLocks.prototype, 'acquire');
  await queue.join(3);
  expect(asked).not.toHaveBeenCalled();
  asked.mockRestore();
  await queue.expectTurns(0, 1, 2);
});
