import type { WalOrder, WalReport } from '@pgtroupe/rpc/generated/walwriter';
import { WAL_WRITE } from '@pgtroupe/rpc/wal-write';
import { handle, type RpcStream } from '@pgtroupe/actor/rpc';
import type { TimeLineID, XLogRecPtr } from '@pgtroupe/common/ids';
import { MemoryDisk } from '@pgtroupe/testkit/sim/memory-disk';
import { Network } from '@pgtroupe/testkit/sim/network';
import { SimProcess } from '@pgtroupe/testkit/sim/process';
import { World } from '@pgtroupe/testkit/sim/world';
import { RM_XLOG_ID } from '@pgtroupe/transam/rmgr';
import { XLogBuffers } from '@pgtroupe/transam/xlogbuffers';
import { formRecord } from '@pgtroupe/transam/xlogform';
import { XLOG_SEG_SIZE } from '@pgtroupe/transam/xlogpage';
import { XLOG_NOOP } from '@pgtroupe/transam/xlogrmgr';
import { describe, expect, it } from 'vitest';
import { WalClient } from './wal-client.ts';

/** Long, so that whatever happens at once was asked for. */
const FLUSH_DELAY_MS = 10_000;
const LOG = { systemIdentifier: 7n, tli: 1 as TimeLineID };

/** A walwriter that takes note of orders, and says that all is durable when it was asked for. */
class Walwriter {
  readonly process: SimProcess;
  readonly appends: { readonly end: number; readonly sync: boolean }[] = [];
  readonly reads: { readonly from: number; readonly to: number }[] = [];
  /** What it was told that can be archived; in its hello, too. */
  readonly complete: number[] = [];
  /** It says so of no more. */
  durableUntil = Infinity;
  readonly #from: number;
  /** From #from on. */
  readonly #log = Buffer.alloc(1024 * 1024);

  constructor(world: World, network: Network, from: number) {
    this.#from = from;
    this.process = new SimProcess(world, network, 'walwriter', new MemoryDisk());
    void this.process.env.rpc.serve('unix:/walwriter', [handle(WAL_WRITE, stream => this.#accept(stream))]);
  }

  #accept(stream: RpcStream<WalReport, WalOrder>): void {
    const report = (value: NonNullable<WalReport['report']>): void => stream.send({ report: value });
    stream.onMessage = ({ order }) => {
      if (order?.$case === 'hello') {
        this.complete.push(order.value.complete);
        report({ $case: 'welcome', value: { oldest: XLOG_SEG_SIZE } });
      }
      if (order?.$case === 'complete') this.complete.push(order.value.pos);
      if (order?.$case === 'read') {
        const { reqId, from, to } = order.value;
        this.reads.push({ from, to });
        report({
          $case: 'chunk',
          value: { reqId, pos: from, data: this.#log.subarray(from - this.#from, to - this.#from), last: true },
        });
      }
      if (order?.$case !== 'append') return;
      const { pos, data, sync } = order.value;
      this.#log.set(data, pos - this.#from);
      this.appends.push({ end: pos + data.length, sync });
      const lsn = Math.min(pos + data.length, this.durableUntil);
      if (sync) report({ $case: 'flushed', value: { lsn } });
    };
  }
}

/** `recovery`: before anything is inserted. */
async function setUp(
  recovery: (client: WalClient, world: World) => Promise<void> = async () => {},
  from = XLOG_SEG_SIZE,
) {
  const world = new World(1);
  const network = new Network(world, { minLatencyMs: 0.1, maxLatencyMs: 0.3, busLoss: 0 });
  const first = new Walwriter(world, network, from);
  const { env } = new SimProcess(world, network, 'buffer-manager', new MemoryDisk());
  const client = new WalClient(env, {
    endpoint: 'unix:/walwriter',
    epoch: 1,
    log: LOG,
    flushDelayMs: () => FLUSH_DELAY_MS,
  });
  let oldest = 0;
  void client.open().then(lsn => {
    oldest = lsn;
  });
  await world.runUntil(() => oldest > 0, { ms: 1000, what: 'welcome' });
  const buffers = new XLogBuffers(LOG, from as XLogRecPtr, 0 as XLogRecPtr);
  await recovery(client, world);
  client.use(buffers);
  const insert = (): number => {
    const record = formRecord(RM_XLOG_ID, XLOG_NOOP, 0 as never, new Uint8Array(8));
    return buffers.insert(record, 0, record.length);
  };
  return { world, first, client, insert, next: () => new Walwriter(world, network, from) };
}

describe('WalClient', () => {
  it('asks the next walwriter at once for a flush that was asked for while there was none', async () => {
    const { world, first, client, insert, next } = await setUp();
    first.process.kill('test');
    await world.pass(5);
    const lsn = insert();
    let durable = false;
    void client.flush(lsn).then(() => {
      durable = true;
    });
    await world.pass(200);
    const second = next();
    await world.runUntil(() => durable, { ms: 500, what: 'the flush' });
    expect(second.appends).toEqual([{ end: lsn, sync: true }]);
  });

  it('asks again for what its walwriter took with it', async () => {
    const { world, first, client, insert, next } = await setUp();
    const early = insert();
    let flushes = 0;
    void client.flush(early).then(() => flushes++);
    await world.runUntil(() => flushes === 1, { ms: 500, what: 'a flush' });
    first.process.pause();
    const late = insert();
    void client.flush(late).then(() => flushes++);
    await world.pass(5);
    first.process.kill('test');
    const second = next();
    await world.runUntil(() => flushes === 2, { ms: 500, what: 'the other flush' });
    expect([early, client.flushed]).toEqual([first.appends.at(-1)!.end, late]);
    expect(second.appends).toEqual([{ end: late, sync: true }]);
  });

  it('sends what nobody waits for within wal_writer_delay, to whoever is there then', async () => {
    const { world, first, client, insert, next } = await setUp();
    first.process.kill('test');
    await world.pass(5);
    const lsn = insert();
    client.push(0);
    const second = next();
    await world.pass(FLUSH_DELAY_MS / 2);
    expect(client.flushed).toBeLessThan(lsn);
    await world.pass(FLUSH_DELAY_MS);
    expect([client.flushed, second.appends.at(-1)]).toEqual([lsn, { end: lsn, sync: true }]);
  });

  it('says that a segment can be archived when its last record is whole and durable, also to the next walwriter', async () => {
    const boundary = 2 * XLOG_SEG_SIZE;
    const { world, first, client, insert, next } = await setUp(undefined, boundary - 16);
    first.durableUntil = boundary;
    const lsn = insert();
    expect(lsn).toBeGreaterThan(boundary);
    void client.flush(lsn);
    await world.pass(50);
    expect(client.flushed).toBe(boundary);
    expect(first.complete).toEqual([0]);
    first.process.kill('test');
    const second = next();
    await world.runUntil(() => second.complete.length > 1, { ms: 1000, what: 'the segment' });
    expect(second.complete).toEqual([boundary - 16, lsn]);
    second.process.kill('test');
    const third = next();
    await world.runUntil(() => third.complete.length > 0, { ms: 1000, what: 'a hello' });
    expect(third.complete).toEqual([lsn]);
  });

  it('reads what was written since where recovery found the end of the log', async () => {
    const { world, client, insert } = await setUp(async (recovering, before) => {
      let over = false;
      void recovering.readRecord(LOG, (XLOG_SEG_SIZE + 40) as XLogRecPtr).catch(() => {
        over = true;
      });
      await before.runUntil(() => over, { ms: 1000, what: 'the end of the log' });
    });
    const ends = [insert(), insert()];
    let found = 0;
    void client.flush(ends[1]!).then(async () => {
      found = (await client.readRecord(LOG, ends[0] as XLogRecPtr)).endLsn;
    });
    await world.runUntil(() => found > 0, { ms: 1000, what: 'the record' });
    expect(found).toBe(ends[1]);
  });

  it('reads records that lie side by side back at once, and again when there are more', async () => {
    const { world, first, client, insert } = await setUp();
    const ends = Array.from({ length: 50 }, insert);
    let done = 0;
    const readAll = async (): Promise<void> => {
      await client.flush(ends.at(-1)!);
      // A record may begin where the one before it ended.
      const records = await Promise.all(ends.slice(0, -1).map(end => client.readRecord(LOG, end as XLogRecPtr)));
      expect(records.map(record => record.endLsn)).toEqual(ends.slice(1));
      done++;
    };
    void readAll();
    await world.runUntil(() => done === 1, { ms: 1000, what: 'the records' });
    expect(first.reads).toEqual([{ from: XLOG_SEG_SIZE, to: ends.at(-1) }]);
    ends.push(insert(), insert());
    void readAll();
    await world.runUntil(() => done === 2, { ms: 1000, what: 'more records' });
    expect(first.reads.length).toBe(2);
  });
});
