/** When checkpoints begin, how they hurry, and what is logged: word for word what PostgreSQL 15 logs. */
import { handle, type RpcStream } from '@pgtroupe/actor/rpc';
import {
  BufferManagerDefinition,
  type CheckpointOrder,
  type CheckpointReport,
} from '@pgtroupe/rpc/generated/buffer-manager';
import { streamMethod } from '@pgtroupe/rpc/method';
import { MemoryDisk } from '@pgtroupe/testkit/sim/memory-disk';
import { Network } from '@pgtroupe/testkit/sim/network';
import { SimProcess } from '@pgtroupe/testkit/sim/process';
import { World } from '@pgtroupe/testkit/sim/world';
import { describe, expect, it } from 'vitest';
import { Checkpointer } from './checkpointer.ts';

const CHECKPOINT = streamMethod(BufferManagerDefinition, 'checkpoint');
const MB = 2 ** 20;
const PAGES = 640;
const SETTINGS = {
  timeoutMs: 300_000,
  maxWalBytes: 1024 * MB,
  minWalBytes: 80 * MB,
  completionTarget: 0.9,
  logCheckpoints: true,
  warningSeconds: 30,
  poolPages: 16_384,
  archiveTimeoutMs: 0,
};

/** A checkpointer, and a buffer-manager that always has as many pages to write. */
async function setUp() {
  const world = new World(5);
  const network = new Network(world, { minLatencyMs: 0.1, maxLatencyMs: 0.3, busLoss: 0 });
  const log: string[] = [];
  const begun: boolean[] = [];
  let stream: RpcStream<CheckpointReport, CheckpointOrder> | undefined;
  let remaining = 0;
  let redo = 16 * MB;
  const report = (value: NonNullable<CheckpointReport['report']>): void => stream!.send({ report: value });
  const bufferManager = new SimProcess(world, network, 'buffer-manager', new MemoryDisk());
  await bufferManager.env.rpc.serve('unix:/b', [
    handle(CHECKPOINT, accepted => {
      stream = accepted;
      accepted.onMessage = ({ order }) => {
        if (order?.$case === 'begin') {
          begun.push(order.value.shutdown);
          remaining = PAGES;
          redo += MB;
          report({ $case: 'begun', value: { number: begun.length, redo, pages: PAGES } });
        } else if (order?.$case === 'write') {
          remaining -= order.value.pages;
          report({ $case: 'written', value: { pages: order.value.pages, remaining } });
        } else if (order?.$case === 'finish') {
          const done = { lsn: redo, redo, segmentsRemoved: 1, segmentsRecycled: 2 };
          const syncs = { filesSynced: 4, syncMs: 21, longestSyncMs: 11.4, sumOfSyncsMs: 30 };
          report({ $case: 'done', value: { ...done, ...syncs } });
        }
      };
      report({ $case: 'progress', value: { insert: redo, redo } });
    }),
  ]);
  const process = new SimProcess(world, network, 'checkpointer', new MemoryDisk());
  const env = {
    ...process.env,
    log: { write: (level: string, message: string) => void log.push(`${level}:  ${message}`) },
  };
  const checkpointer = new Checkpointer(env as typeof process.env, {
    bufferManager: 'unix:/b',
    settings: () => SETTINGS,
  });
  checkpointer.start();
  await world.pass(500);
  const logged = (text: string): boolean => log.some(line => line.includes(text));
  return { world, checkpointer, log, begun, report, logged, redo: () => redo };
}

describe('checkpointer', () => {
  it('spreads one that is due by time; CHECKPOINT makes it hurry, and has another one behind it at once', async () => {
    const { world, log, begun, report, logged } = await setUp();
    await world.runUntil(() => logged('starting: time'), { ms: 310_000, what: 'the timed one' });
    await world.pass(60_000);
    expect(log).toEqual(['LOG:  checkpoint starting: time']);
    report({ $case: 'wanted', value: {} });
    await world.pass(500);
    expect(begun).toEqual([false, false]);
    expect(log[1]).toMatch(
      /^LOG: {2}checkpoint complete: wrote 640 buffers \(3\.9%\); 0 WAL file\(s\) added, 1 removed, 2 recycled; write=6\d\.\d{3} s, sync=0\.021 s, total=6\d\.\d{3} s; sync files=4, longest=0\.012 s, average=0\.008 s; distance=1024 kB, estimate=1024 kB$/,
    );
    expect(log[2]).toBe('LOG:  checkpoint starting: immediate force wait');
    expect(log[3]).toContain('checkpoint complete');
    expect(log.length).toBe(4);
  });

  it('warns of checkpoints that WAL causes too often', async () => {
    const { world, log, report, redo, logged } = await setUp();
    const much = (): void => report({ $case: 'progress', value: { insert: redo() + 1024 * MB, redo: redo() } });
    await world.pass(60_000);
    much();
    await world.runUntil(() => logged('complete'), { ms: 300_000, what: 'one' });
    expect(log[0]).toBe('LOG:  checkpoint starting: wal');
    await world.pass(7_000);
    much();
    await world.pass(100);
    expect(log[2]).toMatch(/^LOG: {2}checkpoints are occurring too frequently \(\d+ seconds apart\)$/);
    expect(log[3]).toBe('LOG:  checkpoint starting: wal');
  });

  it('ends a spread one quickly when it is to stop, and takes the last one', async () => {
    const { world, checkpointer, log, begun, logged } = await setUp();
    await world.runUntil(() => logged('starting: time'), { ms: 310_000, what: 'the timed one' });
    let stopped = false;
    void checkpointer.stop().then(() => (stopped = true));
    await world.runUntil(() => stopped, { ms: 2_000, what: 'the end' });
    expect(begun).toEqual([false, true]);
    expect(log.filter(line => line.includes('starting'))).toEqual([
      'LOG:  checkpoint starting: time',
      'LOG:  checkpoint starting: shutdown immediate',
    ]);
  });
});
