/**
 * Shared memory without SQL, all in one simulated machine: walwriter, buffer-manager, checkpointer
 * and instances that change raw pages through the real page cache, WAL builder and transactions.
 *
 * The workload: client c owns eight bytes in each page of a pair of pages and writes its sequence
 * number there, both in one record, one transaction per number. So after any crash: a number that was
 * acknowledged is there (durability), both pages of a pair agree (a record is one unit), and no
 * number is there that was never written. Records are PostgreSQL's Generic ones, so that PostgreSQL
 * itself can replay them.
 */
import { folderOf } from './folder-disk.ts';
import { noFailpoint, type Failpoint } from '@pgtroupe/actor/failpoint';
import type { RmgrRoutine } from '@pgtroupe/access/common/xlogutils';
import { BgWriter } from '@pgtroupe/bgwriter/bgwriter';
import { BufferManager } from '@pgtroupe/buffer-manager/buffer-manager';
import { Checkpointer } from '@pgtroupe/checkpointer/checkpointer';
import type { BlockNumber, ForkNumber, Oid, RelFileNode } from '@pgtroupe/common/ids';
import { MISS } from '@pgtroupe/storage/buffer/pages';
import type { RelationFiles } from '@pgtroupe/instance/relation-files';
import { LockOwner } from '@pgtroupe/instance/instance-locks';
import { createMemory } from '@pgtroupe/storage/memory';
import { MemoryDisk } from './memory-disk.ts';
import { Network } from './network.ts';
import { SimMachine, SimProcess } from './process.ts';
import { World } from './world.ts';
import { initdb } from '@pgtroupe/tools/initdb/initdb';
import { InstanceKernel } from '@pgtroupe/instance/instance-kernel';
import { RM_GENERIC_ID, RM_XLOG_ID } from '@pgtroupe/transam/rmgr';
import { Transaction } from '@pgtroupe/instance/xact';
import { REGBUF_FORCE_IMAGE } from '@pgtroupe/transam/xloginsert';
import { XLOG_FPI } from '@pgtroupe/transam/xlogrmgr';
import { WalWriter } from '@pgtroupe/walwriter/walwriter';

export const REL: RelFileNode = { spcNode: 1663 as Oid, dbNode: 5 as Oid, relNode: 30000 as Oid };
/** More than fit into the pool. */
export const PAGES = 60;
/** Pages that clients share; the others are visited for the sake of eviction. */
const HOT = 6;
/** More events than this without time going by are a busy loop. */
const MAX_EVENTS_AT_ONCE = 50_000;
const SLOT_AT = 1024;
const MAIN = 0 as ForkNumber;
const DATABASE = 5 as Oid;

/** generic_redo: fragments of (offset, length, bytes) per block. */
const generic: RmgrRoutine = {
  redo(record, ctx) {
    for (const block of record.blocks) {
      if (block === undefined) continue;
      const page = ctx.readBufferForRedo(record, block.id);
      if (page < 0) continue;
      for (let at = block.dataAt; at < block.dataAt + block.dataLength; ) {
        const offset = record.view.getUint16(at, true);
        const length = record.view.getUint16(at + 2, true);
        ctx.mem.u8.set(record.bytes.subarray(at + 4, at + 4 + length), page + offset);
        at += 4 + length;
      }
    }
  },
  desc: () => '',
  identify: () => 'Generic',
};

let template: Promise<MemoryDisk> | undefined;

/** A fresh data directory; initdb runs once for all tests of a file. */
async function dataDirectory(): Promise<MemoryDisk> {
  template ??= (async () => {
    const disk = new MemoryDisk();
    const world = new World(1);
    await initdb({
      disk,
      clock: { nowMs: () => 0, startedMs: 0, wallMicros: () => 1_700_000_000_000_000 },
      random: world.random,
    });
    return disk;
  })();
  return copyDisk(await template);
}

async function copyDisk(from: MemoryDisk): Promise<MemoryDisk> {
  const to = new MemoryDisk();
  for (const folder of from.folders()) if (folder !== '') await to.mkdir(folder);
  for await (const { path, data } of from.entries()) await to.writeFile(path, data);
  return to;
}

export interface Acknowledged {
  /** Last number whose commit was answered. */
  acked: number;
  /** Last number whose change was made, answered or not. */
  tried: number;
}

export class SimInstance {
  readonly process: SimProcess;
  readonly kernel: InstanceKernel;
  stopped = false;

  constructor(cluster: SimCluster, name: string) {
    this.process = new SimProcess(cluster.world, cluster.network, name, new MemoryDisk());
    const mem = createMemory(128 * 8192);
    this.kernel = new InstanceKernel(this.process.env, {
      endpoint: 'unix:/buffer-manager',
      name,
      osPid: 1,
      mem,
      cachePages: 80,
    });
    this.kernel.attachment.start();
  }

  rel(): RelationFiles {
    return this.kernel.pages.relations.smgropen(REL);
  }

  transaction(owner: LockOwner): Transaction {
    return new Transaction(this.kernel, owner, DATABASE);
  }

  /** Creates the relation with its pages. */
  async setUp(): Promise<void> {
    const { kernel } = this;
    const owner = new LockOwner(1);
    const xact = this.transaction(owner);
    await kernel.attempt(() => xact.currentXid(), owner);
    await kernel.smgrCreate(xact.topXid as never, REL, MAIN, true);
    const rel = this.rel();
    for (let n = 0; n < PAGES; n++) {
      await kernel.attempt(() => {
        const blk = kernel.pages.newBlock(rel, MAIN);
        if (blk === MISS) return MISS;
        const page = kernel.pages.exclusive(rel, MAIN, blk as BlockNumber);
        if (page === MISS) return MISS;
        xact.enter();
        const { u16 } = kernel.pages.mem;
        // An initialised page without free space: pd_lower = pd_upper = pd_special = 8192.
        for (const at of [12, 14, 16]) u16[(page + at) >>> 1] = 8192;
        u16[(page + 18) >>> 1] = 0x2004;
        kernel.wal.begin();
        kernel.wal.registerBuffer(0, page, REGBUF_FORCE_IMAGE);
        kernel.wal.insert(RM_XLOG_ID, XLOG_FPI);
        kernel.pages.useNewBlock(rel, MAIN, blk as BlockNumber);
        return 0;
      }, owner);
    }
    await xact.commit();
  }

  /** Client `c` writes `number` into its pair and commits. */
  async write(c: number, number: number, owner: LockOwner, acknowledged: Acknowledged): Promise<void> {
    const { kernel } = this;
    const rel = this.rel();
    const xact = this.transaction(owner);
    try {
      await kernel.attempt(() => {
        if (xact.lost) throw new Error('lost');
        if (xact.currentXid() === MISS) return MISS;
        const a = kernel.pages.exclusive(rel, MAIN, pairOf(c)[0]);
        if (a === MISS) return MISS;
        const b = kernel.pages.exclusive(rel, MAIN, pairOf(c)[1]);
        if (b === MISS) return MISS;
        const other = (HOT + ((7 * number + c) % (PAGES - HOT))) as BlockNumber;
        const extra = kernel.pages.exclusive(rel, MAIN, other);
        if (extra === MISS) return MISS;
        xact.enter();
        const delta = Buffer.alloc(12);
        delta.writeUInt16LE(SLOT_AT + 8 * c, 0);
        delta.writeUInt16LE(8, 2);
        delta.writeDoubleLE(number, 4);
        kernel.wal.begin();
        for (const [id, page] of [a, b, extra].entries()) {
          kernel.pages.mem.u8.set(delta.subarray(4), page + SLOT_AT + 8 * c);
          kernel.wal.registerBuffer(id, page, 0);
          kernel.wal.bufData(id, delta, 0, 12);
        }
        kernel.wal.insert(RM_GENERIC_ID, 0);
        acknowledged.tried = number;
        return 0;
      }, owner);
      await xact.commit();
      acknowledged.acked = number;
    } catch (error) {
      if (!xact.lost) xact.abort();
      throw error;
    }
  }

  /** Writes numbers one after the other until stopped, going on through failures. */
  client(c: number, acknowledged: Acknowledged): void {
    const owner = new LockOwner(100 + c);
    const next = (): void => {
      if (this.stopped) return;
      this.write(c, acknowledged.tried + 1, owner, acknowledged).then(next, () =>
        this.process.env.timers.after(20, next),
      );
    };
    next();
  }
}

function pairOf(c: number): [BlockNumber, BlockNumber] {
  return [(c % HOT) as BlockNumber, ((c + 1) % HOT) as BlockNumber];
}

export class SimCluster {
  readonly world: World;
  readonly network: Network;
  machine!: SimMachine;
  platter!: MemoryDisk;
  walwriter: WalWriter | undefined;
  walwriterProcess: SimProcess | undefined;
  bufferManager: BufferManager | undefined;
  bufferManagerProcess: SimProcess | undefined;
  checkpointer: Checkpointer | undefined;
  checkpointerProcess: SimProcess | undefined;
  #epoch = 1;
  checkpointTimeoutMs = 1000;
  /** What happens at a failpoint of a role that is started from here on. */
  failpoint: (process: SimProcess) => Failpoint = () => noFailpoint;

  constructor(seed: number) {
    this.world = new World(seed);
    this.network = new Network(this.world, { minLatencyMs: 0.02, maxLatencyMs: 0.4, busLoss: 0 });
  }

  static async create(seed: number): Promise<SimCluster> {
    const cluster = new SimCluster(seed);
    cluster.platter = await dataDirectory();
    cluster.machine = new SimMachine(cluster.platter);
    return cluster;
  }

  startWalwriter(): void {
    const process = new SimProcess(this.world, this.network, 'walwriter', folderOf(this.machine.disk, 'pg_wal'));
    this.walwriterProcess = process;
    const walwriter = new WalWriter(process.env, {
      flushDelayMs: () => 200,
      flushAfterBytes: () => 2 ** 20,
      failpoint: this.failpoint(process),
    });
    this.walwriter = walwriter;
    void walwriter.open().then(() => process.env.rpc.serve('unix:/walwriter', walwriter.handlers()));
  }

  /** Resolves when it is ready. */
  startBufferManager(): Promise<void> {
    const process = new SimProcess(this.world, this.network, 'buffer-manager', this.machine.disk);
    this.bufferManagerProcess = process;
    const bufferManager = new BufferManager(process.env, {
      walwriter: 'unix:/walwriter',
      epoch: this.#epoch++,
      sharedBuffers: 16,
      walBuffersBytes: 64 * 1024,
      maxLocks: 1000,
      rmgrs: rmid => (rmid === RM_GENERIC_ID ? generic : undefined),
      walWriterDelayMs: () => 200,
      minWalBytes: () => 80 * 1024 * 1024,
      failpoint: this.failpoint(process),
    });
    this.bufferManager = bufferManager;
    return bufferManager.open().then(async () => {
      await process.env.rpc.serve('unix:/buffer-manager', bufferManager.handlers());
    });
  }

  startCheckpointer(): void {
    const process = new SimProcess(this.world, this.network, 'checkpointer', new MemoryDisk());
    this.checkpointerProcess = process;
    this.checkpointer = new Checkpointer(process.env, {
      bufferManager: 'unix:/buffer-manager',
      settings: () => ({
        timeoutMs: this.checkpointTimeoutMs,
        maxWalBytes: 1024 ** 3,
        minWalBytes: 80 * 1024 ** 2,
        completionTarget: 0.5,
        logCheckpoints: true,
        warningSeconds: 0,
        poolPages: 256,
        archiveTimeoutMs: 0,
      }),
    });
    this.checkpointer.start();
  }

  startBgwriter(): void {
    const process = new SimProcess(this.world, this.network, 'bgwriter', new MemoryDisk());
    new BgWriter(process.env, {
      bufferManager: 'unix:/buffer-manager',
      settings: () => ({ delayMs: 200, lruMaxPages: 100, lruMultiplier: 2 }),
    }).start();
  }

  async start(): Promise<void> {
    this.startWalwriter();
    await this.wait(this.startBufferManager(), 'the buffer-manager');
    this.startCheckpointer();
    this.startBgwriter();
  }

  /** As the postmaster stops: checkpointer, buffer-manager, walwriter. */
  async stop(): Promise<void> {
    await this.wait(this.checkpointer!.stop(), 'the checkpointer to stop');
    await this.wait(this.bufferManager!.stop(), 'the buffer-manager to stop');
    await this.wait(this.walwriter!.stop(), 'the walwriter to stop');
  }

  /** Runs the world; what happened last is part of the error. */
  async runUntil(done: () => boolean, limits: { readonly ms: number; readonly what: string }): Promise<void> {
    let at = -1;
    let events = 0;
    try {
      await this.world.runUntil(() => {
        events = this.world.nowMs === at ? events + 1 : 0;
        at = this.world.nowMs;
        if (events > MAX_EVENTS_AT_ONCE) throw new Error('time stands still');
        return done();
      }, limits);
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${this.world.trace.slice(-25).join('\n')}`);
    }
  }

  /** Runs the world until the promise settles. */
  async wait<T>(promise: Promise<T>, what: string, ms = 60_000): Promise<T> {
    let done = false;
    let failed: unknown;
    promise.then(
      () => {
        done = true;
      },
      (error: unknown) => {
        failed = error;
        done = true;
      },
    );
    await this.runUntil(() => done, { ms, what });
    if (failed !== undefined) throw failed as Error;
    return promise;
  }

  /** Power failure: every process is gone, and what was not synced may be. */
  powerFailure(): void {
    for (const process of [this.walwriterProcess, this.bufferManagerProcess, this.checkpointerProcess])
      process?.kill('power failure');
    this.machine = new SimMachine(this.platter);
  }

  /** What the pages on disk say: by client, the number on both pages of its pair. */
  async numbers(clients: number): Promise<[number, number][]> {
    const file = await this.platter.readFile('base/5/30000');
    const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
    return Array.from(
      { length: clients },
      (_, c) => pairOf(c).map(blk => view.getFloat64(blk * 8192 + SLOT_AT + 8 * c, true)) as [number, number],
    );
  }
}
