/**
 * Sessions and instances that end at the worst moment: each case makes two messages cross by pausing whoever
 * would have read one of them first.
 */
import { describe, expect, it } from 'vitest';
import { DiskError, methodsOf } from '@pgtroupe/actor/env';
import { ConnectionLost, type SimClient } from '@pgtroupe/testkit/sim/client';
import { SimCluster, type SimClusterOptions } from '@pgtroupe/testkit/sim/cluster';

const PATIENCE_MS = 5000;

class Stage {
  readonly cluster: SimCluster;
  constructor(cluster: SimCluster) {
    this.cluster = cluster;
  }

  static async of(instances: number, seed = 1, more: SimClusterOptions = {}): Promise<Stage> {
    const cluster = await SimCluster.create(seed, { instances, ...more });
    await cluster.untilReady();
    await cluster.runUntil(() => cluster.postmaster.names.includes(`backend-${instances}`), {
      ms: PATIENCE_MS,
      what: 'instances',
    });
    await cluster.world.pass(2000);
    return new Stage(cluster);
  }

  /** Clients go to the instance that has the fewest. */
  async clients(count: number): Promise<SimClient[]> {
    const clients = Array.from({ length: count }, () => this.cluster.client().client);
    for (const client of clients) await this.run(client, 'SELECT 1');
    return clients;
  }

  async run(client: SimClient, ...statements: string[]): Promise<(string | null)[][]> {
    let rows: (string | null)[][] = [];
    for (const sql of statements) {
      const answers = await this.cluster.wait(client.query(sql), sql, PATIENCE_MS);
      rows = (answers.at(-1)?.rows ?? []).map(row => [...row]);
    }
    return rows;
  }

  pass(ms: number): Promise<void> {
    return this.cluster.world.pass(ms);
  }
}

/** What becomes of a statement that is not awaited. */
function fate(work: Promise<unknown>): { outcome: unknown } {
  const seen: { outcome: unknown } = { outcome: undefined };
  work.then(
    () => (seen.outcome = 'done'),
    (error: unknown) => (seen.outcome = error),
  );
  return seen;
}

describe('a client that vanishes', () => {
  it.each([0.3, 3, 30])('%f ms into COMMIT: the transaction stands, whole', async ms => {
    const stage = await Stage.of(1);
    const [a, b] = (await stage.clients(2)) as [SimClient, SimClient];
    await stage.run(a, 'BEGIN', 'CREATE TABLE made (id int)', 'INSERT INTO made SELECT generate_series(1, 500)');
    await stage.run(b, 'CHECKPOINT');
    const walwriter = stage.cluster.process('walwriter');
    walwriter.pause();
    const commit = fate(a.query('COMMIT'));
    await stage.pass(10);
    a.vanish();
    await stage.pass(ms);
    walwriter.resume();
    await stage.pass(2000);
    expect(commit.outcome).toBeInstanceOf(ConnectionLost);
    expect(await stage.run(b, 'SELECT count(*) FROM made')).toEqual([['500']]);
    await stage.cluster.expectNoLeaks();
  });

  it.each(['vanish', 'cancel'])('or cancels (%s) while its lock is granted leaves no lock behind', async how => {
    const stage = await Stage.of(2);
    const [a, b] = (await stage.clients(2)) as [SimClient, SimClient];
    await stage.run(a, 'CREATE TABLE l (id int)');
    await stage.run(b, 'SELECT * FROM l');
    await stage.run(a, 'BEGIN', 'LOCK TABLE l IN ACCESS EXCLUSIVE MODE');
    const truncate = fate(b.query('TRUNCATE l'));
    await stage.pass(50);
    const backend = stage.cluster.process('backend-2');
    backend.pause();
    if (how === 'vanish') b.vanish();
    else stage.cluster.postmaster.cancel(b.key!);
    await stage.pass(5);
    await stage.run(a, 'COMMIT');
    await stage.pass(5);
    backend.resume();
    await stage.pass(200);
    expect(truncate.outcome).toBeInstanceOf(Error);
    await stage.run(a, 'SELECT * FROM l');
    await stage.cluster.expectNoLeaks();
  });
});

describe('CHECKPOINT', () => {
  it('is asked for again when the checkpointer dies with the question', async () => {
    const stage = await Stage.of(1);
    const [a] = (await stage.clients(1)) as [SimClient];
    const checkpointer = stage.cluster.process('checkpointer');
    checkpointer.pause();
    const checkpoint = fate(a.query('CHECKPOINT'));
    await stage.pass(100);
    checkpointer.kill('the test');
    await stage.pass(10_000);
    expect(checkpoint.outcome).toBe('done');
  });

  it('fails at once when it fails, and is tried again all the same', async () => {
    let full = false;
    const roleDisk: SimClusterOptions['roleDisk'] = (role, disk) =>
      role !== 'buffer-manager'
        ? disk
        : {
            ...methodsOf(disk),
            open: async (path, mode) => {
              const file = await disk.open(path, mode);
              const write: typeof file.write = async (data, position) => {
                if (full && path.startsWith('base/')) throw new DiskError('ENOSPC', path, 'no space left on device');
                await file.write(data, position);
              };
              return { ...file, write };
            },
          };
    const stage = await Stage.of(1, 1, { roleDisk });
    const [a, b] = (await stage.clients(2)) as [SimClient, SimClient];
    await stage.run(a, 'CREATE TABLE t (id int)', 'INSERT INTO t VALUES (1)');
    full = true;
    const [first, second] = [fate(a.query('CHECKPOINT')), fate(b.query('CHECKPOINT'))];
    // The second may have come while the first was under way, and is asked for with the next try.
    await stage.pass(1500);
    for (const { outcome } of [first, second]) expect(outcome).toMatchObject({ message: 'checkpoint request failed' });
    full = false;
    await stage.run(a, 'CHECKPOINT');
    await stage.cluster.expectNoLeaks();
  });

  it.each(['vanish', 'cancel'])('ends with its client (%s)', async how => {
    const stage = await Stage.of(1);
    const [a] = (await stage.clients(1)) as [SimClient];
    stage.cluster.process('checkpointer').pause();
    const checkpoint = fate(a.query('CHECKPOINT'));
    await stage.pass(100);
    if (how === 'vanish') a.vanish();
    else stage.cluster.postmaster.cancel(a.key!);
    await stage.pass(100);
    expect(checkpoint.outcome).toBeInstanceOf(Error);
    await stage.cluster.expectNoLeaks();
  });
});

describe('a recall of a relation token', () => {
  it('that crosses COMMIT leaves no lock behind', async () => {
    const stage = await Stage.of(2);
    const [a, b] = (await stage.clients(2)) as [SimClient, SimClient];
    await stage.run(a, 'CREATE TABLE l (id int)');
    for (let n = 0; n < 3; n++) await stage.run(b, `INSERT INTO l VALUES (${n})`);
    await stage.pass(100);
    await stage.run(b, 'BEGIN', 'INSERT INTO l VALUES (100)');
    const walwriter = stage.cluster.process('walwriter');
    const backend = stage.cluster.process('backend-2');
    walwriter.pause();
    const commit = fate(b.query('COMMIT'));
    await stage.pass(10);
    backend.pause();
    await stage.run(a, 'BEGIN');
    const lock = fate(a.query('LOCK TABLE l IN ACCESS EXCLUSIVE MODE'));
    await stage.pass(10);
    walwriter.resume();
    await stage.pass(50);
    backend.resume();
    await stage.pass(500);
    expect([commit.outcome, lock.outcome]).toEqual(['done', 'done']);
    await stage.run(a, 'COMMIT');
    await stage.cluster.expectNoLeaks();
  });
});

describe('an instance that dies', () => {
  it('keeps its locks until its commits are visible', async () => {
    const stage = await Stage.of(2);
    const [a, b] = (await stage.clients(2)) as [SimClient, SimClient];
    await stage.run(a, 'CREATE TABLE t (id int)', 'INSERT INTO t VALUES (1)', 'BEGIN', 'TRUNCATE t');
    const walwriter = stage.cluster.process('walwriter');
    walwriter.pause();
    fate(a.query('COMMIT'));
    await stage.pass(10);
    const insert = fate(b.query('INSERT INTO t VALUES (2)'));
    await stage.pass(10);
    stage.cluster.process('backend-1').kill('the test');
    await stage.pass(50);
    walwriter.resume();
    await stage.pass(1000);
    expect(insert.outcome).toBe('done');
    expect(await stage.run(b, 'SELECT id FROM t')).toEqual([['2']]);
    await stage.cluster.expectNoLeaks();
  });
});

describe('a row that another instance gave back', () => {
  it('may be changed: a catalog row, by who waited for the table', async () => {
    const stage = await Stage.of(2);
    const [a, b] = (await stage.clients(2)) as [SimClient, SimClient];
    await stage.run(a, 'CREATE TABLE t (id int)');
    await stage.run(b, 'SELECT * FROM t');
    for (const statement of ['ALTER TABLE t ADD COLUMN x int', 'DROP TABLE t']) {
      await stage.run(a, 'BEGIN', 'ALTER TABLE t ADD COLUMN y int');
      const waits = fate(b.query(statement));
      await stage.pass(50);
      await stage.run(a, 'ROLLBACK');
      await stage.pass(200);
      expect(waits.outcome).toBe('done');
    }
    await stage.cluster.expectNoLeaks();
  });

  it('is neither skipped nor refused', async () => {
    const stage = await Stage.of(2);
    const [a, b] = (await stage.clients(2)) as [SimClient, SimClient];
    await stage.run(a, 'CREATE TABLE job (id int PRIMARY KEY)', 'INSERT INTO job VALUES (1)');
    for (const end of ['ROLLBACK', 'COMMIT']) {
      await stage.run(a, 'BEGIN', 'SELECT id FROM job FOR UPDATE');
      expect(await stage.run(b, 'SELECT id FROM job FOR UPDATE SKIP LOCKED')).toEqual([]);
      await expect(stage.run(b, 'SELECT id FROM job FOR UPDATE NOWAIT')).rejects.toThrow(
        'could not obtain lock on row',
      );
      await stage.run(a, end);
      await stage.pass(10);
      expect(await stage.run(b, 'SELECT id FROM job FOR UPDATE SKIP LOCKED')).toEqual([['1']]);
      expect(await stage.run(b, 'SELECT id FROM job FOR UPDATE NOWAIT')).toEqual([['1']]);
    }
    await stage.cluster.expectNoLeaks();
  });
});
