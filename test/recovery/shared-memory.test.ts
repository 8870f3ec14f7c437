/** Durability of shared memory under crashes, in the simulator; PostgreSQL judges the directories. */
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { MemoryDisk } from '@pgtroupe/testkit/sim/memory-disk';
import { PG_BIN } from '@pgtroupe/testkit/oracle-address';
import { hasPostgres, judgeFiles } from '@pgtroupe/testkit/postgres-judge';
import { type Acknowledged, SimCluster, SimInstance } from '@pgtroupe/testkit/sim/shared-memory-cluster';

function ledger(clients: number): Acknowledged[] {
  return Array.from({ length: clients }, () => ({ acked: 0, tried: 0 }));
}

function check(numbers: readonly [number, number][], written: readonly Acknowledged[]): void {
  for (const [c, [a, b]] of numbers.entries()) {
    const { acked, tried } = written[c]!;
    expect(a, `client ${c}: both pages of a record`).toBe(b);
    expect(a, `client ${c}: acknowledged ${acked}`).toBeGreaterThanOrEqual(acked);
    expect(a, `client ${c}: tried ${tried}`).toBeLessThanOrEqual(tried);
  }
}

async function dump(disk: MemoryDisk): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'pgtroupe-recovery-'));
  for (const path of disk.folders()) mkdirSync(join(folder, path), { recursive: true });
  for await (const { path, data } of disk.entries()) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), data);
  }
  chmodSync(folder, 0o700);
  return folder;
}

const asPostgres = hasPostgres && spawnSync('runuser', ['-u', 'postgres', '--', 'true']).status === 0;

/** Lets PostgreSQL 15 open (and, if need be, recover) a copy of the directory. Returns its log. */
function openWithPostgres(folder: string): string {
  execFileSync('chown', ['-R', 'postgres', folder]);
  const run = spawnSync(
    'runuser',
    ['-u', 'postgres', '--', `${PG_BIN}/postgres`, '--single', '-D', folder, '-c', 'log_checkpoints=on', 'postgres'],
    {
      input: 'select count(*) from pg_class;\n',
      encoding: 'utf8',
    },
  );
  const log = run.stdout + run.stderr;
  expect(run.status, log).toBe(0);
  expect(log).toMatch(/count = "/);
  return log;
}

describe('shared memory', () => {
  it('commits, checkpoints, stops cleanly', async () => {
    const cluster = await SimCluster.create(1);
    await cluster.start();
    const instance = new SimInstance(cluster, 'backend-1');
    await cluster.runUntil(() => instance.kernel.attachment.attached, { ms: 1000, what: 'attaching' });
    await cluster.wait(instance.setUp(), 'set-up');
    const written = ledger(4);
    written.forEach((acknowledged, c) => instance.client(c, acknowledged));
    await cluster.runUntil(() => written.every(w => w.acked >= 60), { ms: 60_000, what: 'commits' });
    instance.stopped = true;
    await cluster.world.pass(100);
    instance.process.kill('stop');
    await cluster.stop();
    // Not one page was left to replay: the files themselves say it all.
    cluster.powerFailure();
    check(await cluster.numbers(4), written);
    if (!hasPostgres) return;
    const folder = await dump(cluster.platter);
    try {
      judgeFiles(folder);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it.skipIf(!asPostgres)(
    'PostgreSQL opens a stopped directory and recovers a crashed one to the same pages',
    async () => {
      const cluster = await SimCluster.create(2);
      await cluster.start();
      const instance = new SimInstance(cluster, 'backend-1');
      await cluster.runUntil(() => instance.kernel.attachment.attached, { ms: 1000, what: 'attaching' });
      await cluster.wait(instance.setUp(), 'set-up');
      const written = ledger(4);
      written.forEach((acknowledged, c) => instance.client(c, acknowledged));
      const { checkpoints } = cluster.bufferManager!.shared;
      await cluster.runUntil(() => checkpoints.ended > 1, { ms: 60_000, what: 'two checkpoints' });
      const before = written.map(w => w.acked);
      await cluster.runUntil(() => written.every((w, c) => w.acked >= before[c]! + 40), {
        ms: 60_000,
        what: 'commits',
      });
      instance.process.kill('power failure');
      cluster.powerFailure();
      const crashed = await dump(cluster.platter);
      const stopped: string[] = [];
      try {
        // Theirs.
        const waldump = spawnSync(`${PG_BIN}/pg_waldump`, ['-p', join(crashed, 'pg_wal'), '-s', '0/1000028'], {
          encoding: 'utf8',
          maxBuffer: 2 ** 28,
        });
        for (const name of ['Generic', 'COMMIT', 'CHECKPOINT_ONLINE', 'RUNNING_XACTS', 'FPI'])
          expect(waldump.stdout, waldump.stderr).toContain(name);
        expect(waldump.stdout).not.toMatch(/UNKNOWN/);
        expect(openWithPostgres(crashed)).toMatch(/redo starts at/);
        const theirs = readFileSync(join(crashed, 'base/5/30000'));
        // Ours.
        cluster.checkpointTimeoutMs = 100_000;
        await cluster.start();
        await cluster.stop();
        cluster.powerFailure();
        const numbers = await cluster.numbers(4);
        check(numbers, written);
        const ours = await cluster.platter.readFile('base/5/30000');
        for (let at = 0; at < ours.length; at++) {
          // The LSNs of pages and so their checksums are the same too: it is the same WAL.
          if (ours[at] !== theirs[at]) throw new Error(`byte ${at % 8192} of block ${Math.floor(at / 8192)} differs`);
        }
        stopped.push(await dump(cluster.platter));
        expect(openWithPostgres(stopped[0]!)).not.toMatch(/redo|recovery/);
      } finally {
        for (const folder of [crashed, ...stopped]) rmSync(folder, { recursive: true });
      }
    },
    60_000,
  );

  const seeds = Number(process.env['SIM_SEEDS'] ?? 6);
  it.each(Array.from({ length: seeds }, (_, n) => n + Number(process.env['SIM_FIRST_SEED'] ?? 1)))(
    'loses nothing acknowledged: seed %i',
    async seed => {
      const cluster = await SimCluster.create(seed);
      const { world } = cluster;
      await cluster.start();
      const instances = [1, 2, 3].map(n => new SimInstance(cluster, `backend-${n}`));
      await cluster.runUntil(() => instances.every(i => i.kernel.attachment.attached), { ms: 1000, what: 'attaching' });
      await cluster.wait(instances[0]!.setUp(), 'set-up');
      const clients = 6;
      const written = ledger(clients);
      const begin = (): void =>
        written.forEach((acknowledged, c) => instances[c % instances.length]!.client(c, acknowledged));
      begin();
      const uniform = (n: number): number => Math.floor(world.random.uniform() * n);
      for (let round = 0; round < 12; round++) {
        await world.pass(20 + uniform(400));
        const before = written.map(w => w.acked);
        switch (uniform(5)) {
          case 0:
            cluster.walwriterProcess!.kill('nemesis');
            await world.pass(uniform(50));
            cluster.startWalwriter();
            break;
          case 1:
            cluster.bufferManagerProcess!.kill('nemesis');
            await world.pass(uniform(50));
            await cluster.wait(cluster.startBufferManager(), 'the buffer-manager');
            break;
          case 2:
            cluster.checkpointerProcess!.kill('nemesis');
            cluster.startCheckpointer();
            break;
          case 3: {
            const n = uniform(instances.length);
            instances[n]!.process.kill('nemesis');
            instances[n] = new SimInstance(cluster, `backend-${n + 1}`);
            written.forEach((acknowledged, c) => {
              if (c % instances.length === n) instances[n]!.client(c, acknowledged);
            });
            break;
          }
          default:
            for (const instance of instances) instance.process.kill('power failure');
            cluster.powerFailure();
            await cluster.start();
            for (let n = 0; n < instances.length; n++) instances[n] = new SimInstance(cluster, `backend-${n + 1}`);
            begin();
        }
        await cluster.runUntil(() => written.every((w, c) => w.acked > before[c]!), {
          ms: 30_000,
          what: 'everybody to go on',
        });
      }
      for (const instance of instances) instance.stopped = true;
      await world.pass(500);
      for (const instance of instances) instance.process.kill('stop');
      await cluster.stop();
      cluster.powerFailure();
      check(await cluster.numbers(clients), written);
    },
    120_000,
  );
});
