import { DiskError, type Disk } from '@pgtroupe/actor/env';
import { FaultDisk } from '@pgtroupe/actor/fault-disk';
import { FailpointError } from '@pgtroupe/actor/failpoint';
import type { RpcStream } from '@pgtroupe/actor/rpc';
import type { WalOrder, WalReport } from '@pgtroupe/rpc/generated/walwriter';
import { WAL_WRITE } from '@pgtroupe/rpc/wal-write';
import { MemoryDisk } from '@pgtroupe/testkit/sim/memory-disk';
import { Network } from '@pgtroupe/testkit/sim/network';
import { SimProcess } from '@pgtroupe/testkit/sim/process';
import { World } from '@pgtroupe/testkit/sim/world';
import { XLOG_SEG_SIZE, xlogFileName } from '@pgtroupe/transam/xlogpage';
import { describe, expect, it } from 'vitest';
import { WalWriter, type WalWriterOptions } from './walwriter.ts';

/** Behind the header that a prepared segment has. */
const START = XLOG_SEG_SIZE + 64;

class Peer {
  readonly reports: NonNullable<WalReport['report']>[] = [];
  ended = false;
  readonly #stream: RpcStream<WalOrder, WalReport>;

  constructor(process: SimProcess, epoch: number) {
    this.#stream = process.env.rpc.open('unix:/w', WAL_WRITE);
    this.#stream.onMessage = ({ report }) => this.reports.push(report!);
    this.#stream.onEnd = () => {
      this.ended = true;
    };
    this.order({ $case: 'hello', value: { epoch, timeline: 1, systemIdentifier: '7', complete: 0 } });
  }

  order(order: NonNullable<WalOrder['order']>): void {
    this.#stream.send({ order });
  }

  append(pos: number, text: string, sync: boolean): void {
    this.order({ $case: 'append', value: { pos, data: Buffer.from(text), sync } });
  }

  get flushed(): number {
    return Math.max(0, ...this.reports.map(r => (r.$case === 'flushed' ? r.value.lsn : 0)));
  }

  has(kind: NonNullable<WalReport['report']>['$case']): boolean {
    return this.reports.some(r => r.$case === kind);
  }
}

/** Its segments get their names while messages arrive. */
function slowRenames(platter: MemoryDisk, world: World): Disk {
  const disk = new FaultDisk(platter);
  const rename = disk.rename.bind(disk);
  disk.rename = async (from, to) => {
    await new Promise<void>(resolve => world.schedule(5, resolve));
    await rename(from, to);
  };
  return disk;
}

async function setUp(
  options: {
    readonly disk?: (platter: MemoryDisk, world: World) => Disk;
    readonly failpoint?: WalWriterOptions['failpoint'];
    readonly flushAfterBytes?: number;
  } = {},
) {
  const world = new World(3);
  const network = new Network(world, { minLatencyMs: 0.1, maxLatencyMs: 0.3, busLoss: 0 });
  const platter = new MemoryDisk();
  const disk = options.disk?.(platter, world) ?? new FaultDisk(platter);
  const client = new SimProcess(world, network, 'buffer-manager', new MemoryDisk());
  const start = (): SimProcess => {
    const process = new SimProcess(world, network, 'walwriter', disk);
    const walwriter = new WalWriter(process.env, {
      flushDelayMs: () => 200,
      flushAfterBytes: () => options.flushAfterBytes ?? 2 ** 20,
      ...(options.failpoint ? { failpoint: options.failpoint } : {}),
    });
    void walwriter.open().then(() => process.env.rpc.serve('unix:/w', walwriter.handlers()));
    return process;
  };
  const process = start();
  await world.pass(20);
  const connect = (epoch: number): Peer => new Peer(client, epoch);
  const begun = async (epoch = 1): Promise<Peer> => {
    const peer = connect(epoch);
    peer.order({ $case: 'endOfLog', value: { pos: START } });
    await world.runUntil(() => peer.has('roomLeft'), { ms: 5000, what: 'room' });
    return peer;
  };
  const onPlatter = async (pos: number, length: number): Promise<string> =>
    Buffer.from(
      (await platter.readFile(xlogFileName(1, Math.floor(pos / XLOG_SEG_SIZE)))).subarray(
        pos % XLOG_SEG_SIZE,
        (pos % XLOG_SEG_SIZE) + length,
      ),
    ).toString();
  return { world, process, start, connect, begun, onPlatter, platter };
}

describe('walwriter', () => {
  it('reports flushed only what the platter holds, in one flush for many', async () => {
    const { world, begun, onPlatter } = await setUp();
    const peer = await begun();
    for (let n = 0; n < 20; n++) peer.append(START + 5 * n, `rec${String(n).padStart(2, '0')}`, true);
    await world.runUntil(() => peer.flushed > 0, { ms: 1000, what: 'a flush' });
    expect(await onPlatter(START, peer.flushed - START)).toMatch(/^(rec\d\d)+$/);
    await world.runUntil(() => peer.flushed === START + 100, { ms: 1000, what: 'all' });
    expect(await onPlatter(START + 95, 5)).toBe('rec19');
    expect(peer.reports.filter(r => r.$case === 'flushed').length).toBeLessThan(10);
  });

  it('flushes within wal_writer_delay what nobody waits for', async () => {
    const { world, begun } = await setUp();
    const peer = await begun();
    peer.append(START, 'lazy', false);
    await world.pass(100);
    expect(peer.flushed).toBe(0);
    await world.pass(150);
    expect(peer.flushed).toBe(START + 4);
  });

  it.each([0, 8])('flushes what nobody waits for once it is wal_writer_flush_after: %i', async flushAfterBytes => {
    const { world, begun } = await setUp({ flushAfterBytes });
    const peer = await begun();
    peer.append(START, 'four', false);
    await world.pass(50);
    expect(peer.flushed).toBe(flushAfterBytes === 0 ? START + 4 : 0);
    peer.append(START + 4, 'more', false);
    await world.pass(50);
    expect(peer.flushed).toBe(START + 8);
  });

  it('takes the same bytes again from the same buffer-manager after its own death', async () => {
    const { world, process, start, begun, connect, onPlatter } = await setUp();
    const peer = await begun();
    peer.append(START, 'one', true);
    await world.runUntil(() => peer.flushed > 0, { ms: 1000, what: 'a flush' });
    peer.append(START + 3, 'two', true);
    process.kill('test');
    await world.runUntil(() => peer.ended, { ms: 1000, what: 'the end' });
    start();
    await world.pass(20);
    const again = connect(1);
    again.append(START + 3, 'two', true);
    await world.runUntil(() => again.flushed === START + 6, { ms: 1000, what: 'a flush' });
    expect(await onPlatter(START, 6)).toBe('onetwo');
  });

  it('fences an older buffer-manager', async () => {
    const { world, begun, connect, onPlatter } = await setUp();
    const older = await begun(1);
    older.append(START, 'good', true);
    await world.runUntil(() => older.flushed > 0, { ms: 1000, what: 'a flush' });
    const newer = connect(2);
    await world.runUntil(() => newer.has('welcome'), { ms: 1000, what: 'welcome' });
    older.append(START + 4, 'evil', true);
    await world.pass(50);
    expect(older.ended).toBe(true);
    expect(await onPlatter(START, 8)).toBe('good\0\0\0\0');
    expect(newer.has('flushed')).toBe(false);
    const zombie = connect(1);
    await world.runUntil(() => zombie.ended, { ms: 1000, what: 'refusal' });
  });

  describe('tells of room where every segment is', () => {
    /** Up to where room was reported, and the segments before that which are missing. */
    async function gaps(
      peer: Peer,
      platter: MemoryDisk,
    ): Promise<{ readonly until: number; readonly missing: string[] }> {
      const until = Math.max(...peer.reports.map(r => (r.$case === 'roomLeft' ? r.value.until : 0)));
      const names = await platter.readdir('');
      const missing: string[] = [];
      for (let segno = 6; segno < until / XLOG_SEG_SIZE; segno++) {
        if (!names.includes(xlogFileName(1, segno))) missing.push(xlogFileName(1, segno));
      }
      return { until, missing };
    }

    it('though the insert position moves while it begins', async () => {
      const { world, connect, platter } = await setUp({ disk: slowRenames });
      const peer = connect(1);
      peer.order({ $case: 'endOfLog', value: { pos: 6 * XLOG_SEG_SIZE + 64 } });
      await world.runUntil(() => peer.has('roomLeft'), { ms: 5000, what: 'room' });
      peer.order({ $case: 'room', value: { pos: 7 * XLOG_SEG_SIZE } });
      await world.pass(1000);
      const { until, missing } = await gaps(peer, platter);
      expect(missing).toEqual([]);
      expect(until).toBe(11 * XLOG_SEG_SIZE);
    });

    it('though the insert position moves while old segments are recycled', async () => {
      const { world, begun, platter } = await setUp({ disk: slowRenames });
      const peer = await begun();
      peer.order({ $case: 'room', value: { pos: 6 * XLOG_SEG_SIZE } });
      await world.pass(1000);
      peer.order({ $case: 'recycle', value: { keepFrom: 6 * XLOG_SEG_SIZE, keepBytes: 8 * XLOG_SEG_SIZE } });
      peer.order({ $case: 'room', value: { pos: 7 * XLOG_SEG_SIZE } });
      await world.pass(1000);
      const { until, missing } = await gaps(peer, platter);
      expect(missing).toEqual([]);
      expect(until).toBeGreaterThanOrEqual(11 * XLOG_SEG_SIZE);
    });
  });

  describe('fenced in the middle of its work', () => {
    /** The older one's writes wait at a failpoint; the newer one comes; they go on. */
    async function overtaken(orders: (older: Peer) => void) {
      let release: (() => void) | undefined;
      let armed = false;
      const { world, begun, connect, onPlatter } = await setUp({
        failpoint: name => {
          if (!armed || name !== 'walwriter-before-write') return undefined;
          armed = false;
          return new Promise(resolve => {
            release = resolve;
          });
        },
      });
      const older = await begun(1);
      armed = true;
      orders(older);
      await world.runUntil(() => release !== undefined, { ms: 1000, what: 'a write' });
      await world.pass(5);
      const newer = connect(2);
      await world.runUntil(() => older.ended, { ms: 1000, what: 'the fence' });
      release!();
      await world.runUntil(() => newer.has('welcome'), { ms: 1000, what: 'welcome' });
      await world.pass(1000);
      return { newer, onPlatter };
    }

    it('writes nothing more of what the older one sent', async () => {
      const { onPlatter } = await overtaken(older => {
        // Segments are being made: these wait together, and become two writes.
        older.append(START, 'one', false);
        older.append(START + 3, 'two', false);
        older.append(START + 100, 'evil', true);
      });
      // The first was under way; the second was taken off the queue together with it.
      expect(await onPlatter(START, 6)).toBe('onetwo');
      expect(await onPlatter(START + 100, 4)).toBe('\0\0\0\0');
    });

    it('does not report to the newer one what the older one asked for', async () => {
      const { newer } = await overtaken(older => older.append(START, 'old', true));
      expect(newer.flushed).toBe(0);
    });
  });

  it('ends when a flush fails, and reports nothing', async () => {
    const { world, process, begun } = await setUp({
      failpoint: name => {
        if (name === 'walwriter-before-fsync') throw new FailpointError('EIO');
      },
    });
    const peer = await begun();
    peer.append(START, 'lost', true);
    await world.runUntil(() => peer.ended, { ms: 1000, what: 'the end' });
    expect(process.alive).toBe(false);
    expect(peer.flushed).toBe(0);
  });

  it('says so when the disk is full, and goes on by itself when there is space', async () => {
    let full = false;
    const { world, begun } = await setUp({
      disk: platter => {
        const disk = new FaultDisk(platter);
        return Object.assign(Object.create(disk) as Disk, {
          open: async (path: string, mode: 'create') => {
            if (full && mode === 'create') throw new DiskError('ENOSPC', path, 'no space left on device');
            return disk.open(path, mode);
          },
          readFile: (path: string) => disk.readFile(path),
          readdir: (path: string) => disk.readdir(path),
          rename: (from: string, to: string) => disk.rename(from, to),
          mkdir: (path: string) => disk.mkdir(path),
          unlink: (path: string) => disk.unlink(path),
          stat: (path: string) => disk.stat(path),
          syncDir: (path: string) => disk.syncDir(path),
        });
      },
    });
    const peer = await begun();
    await world.pass(2000);
    full = true;
    peer.order({ $case: 'room', value: { pos: START + 3 * XLOG_SEG_SIZE } });
    await world.runUntil(() => peer.reports.some(r => r.$case === 'roomLeft' && r.value.diskFull), {
      ms: 5000,
      what: 'disk full',
    });
    full = false;
    await world.runUntil(
      () => {
        const last = peer.reports.findLast(r => r.$case === 'roomLeft');
        return last?.$case === 'roomLeft' && !last.value.diskFull && last.value.until >= START + 6 * XLOG_SEG_SIZE;
      },
      { ms: 10_000, what: 'room' },
    );
  });
});
