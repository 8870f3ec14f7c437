/**
 * The buffer-manager: PostgreSQL's shared memory segment as a process, and its startup process.
 *
 * Purpose    page pool and token directory, WAL insert position and buffers, transaction ids, snapshots,
 *            pg_xact, locks, invalidations; the only one that opens data files; redo at start.
 * Promise    everything it answers holds: a granted page contains every sequenced change, a
 *            committed transaction is durable and visible to every later snapshot, a lock is exclusive.
 * Started by the postmaster, after the walwriter.
 * Stops      on `stop`: instances are let go, and unless the checkpointer did so already it takes the
 *            shutdown checkpoint itself, so that pg_control says "shut down"; by PANIC when an
 *            assertion fails or a data file cannot be synced; FATAL when the cluster cannot be opened.
 * Its death  ends transactions in flight (40001); sessions stay. Its successor fences the walwriter,
 *            replays WAL, and answers instances that ask what became of their commits.
 */
import type { Env } from '@pgtroupe/actor/env';
import { type Failpoint, noFailpoint } from '@pgtroupe/actor/failpoint';
import { EXIT_PANIC } from '@pgtroupe/actor/lifecycle';
import { handle, type Handler } from '@pgtroupe/actor/rpc';
import { ATTACH } from '@pgtroupe/rpc/attach/method';
import { reportCounts } from '@pgtroupe/rpc/report-counts';
import { SNAPSHOT_LEASE_MS } from '@pgtroupe/instance/attachment';
import { pulseHandler } from '@pgtroupe/role/pulse';
import { AttachServer } from './attach-server.ts';
import { syncOrEnd } from '@pgtroupe/actor/sync-or-end';
import { AUTOVACUUM, AutovacuumServer } from './autovacuum-server.ts';
import { BackgroundWriteServer, BACKGROUND_WRITE } from './background-write-server.ts';
import { writeControlFile } from './checkpoint.ts';
import { CHECKPOINT, CheckpointServer } from './checkpoint-server.ts';
import { readControlFile, Recovery } from './recovery.ts';
import type { RmgrTable } from './redo-applier.ts';
import { SharedMemory } from './shared-memory.ts';
import { StorageManager } from './smgr.ts';
import { KEEP_STATISTICS, StatisticsFile } from './statistics-file.ts';
import { WalClient } from './wal-client.ts';

export interface BufferManagerOptions {
  /** The walwriter's gRPC endpoint. */
  readonly walwriter: string;
  /** Cluster epoch: higher than that of every buffer-manager before. */
  readonly epoch: number;
  /** Pages in the pool. */
  readonly sharedBuffers: number;
  /** What all instances together may send ahead of the walwriter. */
  readonly walBuffersBytes: number;
  /** How many locks may be held at a time (LockTable). */
  readonly maxLocks: number;
  /** archive_mode is on. */
  readonly archiving?: boolean;
  /** How to replay records of the resource managers that change pages. */
  readonly rmgrs: RmgrTable;
  readonly walWriterDelayMs: () => number;
  /** WAL to keep allocated ahead after a checkpoint that nobody paced. */
  readonly minWalBytes: () => number;
  readonly progress?: (message: string) => void;
  readonly failpoint?: Failpoint;
}

export class BufferManager {
  readonly #env: Env;
  readonly #options: BufferManagerOptions;
  #shared: SharedMemory | undefined;
  #attach: AttachServer | undefined;
  #checkpoint: CheckpointServer | undefined;
  #background: BackgroundWriteServer | undefined;
  #statistics: StatisticsFile | undefined;
  #autovacuum: AutovacuumServer | undefined;
  #wal: WalClient | undefined;
  #smgr: StorageManager | undefined;

  constructor(env: Env, options: BufferManagerOptions) {
    const disk = syncOrEnd(env.disk, (path, error) => this.#panic(`could not fsync file "${path}": ${error.message}`));
    this.#env = { ...env, disk };
    this.#options = options;
  }

  /** Recovers if need be, and is then ready to serve. */
  async open(): Promise<void> {
    const { clock, disk, log, timers } = this.#env;
    const failpoint = this.#options.failpoint ?? noFailpoint;
    const control = await readControlFile(disk);
    const smgr = new StorageManager(disk);
    const wal = new WalClient(this.#env, {
      endpoint: this.#options.walwriter,
      epoch: this.#options.epoch,
      log: { systemIdentifier: control.systemIdentifier, tli: control.checkPointCopy.thisTimeLineID },
      flushDelayMs: this.#options.walWriterDelayMs,
    });
    this.#smgr = smgr;
    this.#wal = wal;
    const recovered = await new Recovery({
      disk,
      log,
      wal,
      smgr,
      rmgrs: this.#options.rmgrs,
      sharedBuffers: this.#options.sharedBuffers,
      progress: this.#options.progress ?? (() => {}),
      beforeRedo: before => writeControlFile(disk, { ...before, state: 'in crash recovery' }),
    }).run(control);
    await failpoint('recovery-after-redo');
    const { rmgrs, walBuffersBytes, maxLocks, archiving = false } = this.#options;
    const shared = new SharedMemory({
      clock,
      timers,
      disk,
      log,
      failpoint,
      panic: message => this.#panic(message),
      wal,
      smgr,
      rmgrs,
      walBuffersBytes,
      maxLocks,
      archiving,
      ...recovered,
    });
    this.#shared = shared;
    reportCounts(this.#env, { from: 'buffer-manager', epoch: this.#options.epoch }, shared.counts);
    if (recovered.replayed) {
      await shared.checkpoints.run(true, this.#options.minWalBytes());
      await failpoint('recovery-after-checkpoint');
    }
    await shared.checkpoints.updateControl({ state: 'in production' });
    this.#attach = new AttachServer(this.#env, shared, {
      epoch: this.#options.epoch,
      welcomeFromMs: recovered.replayed ? clock.startedMs + SNAPSHOT_LEASE_MS : 0,
    });
    this.#checkpoint = new CheckpointServer(shared, log, clock);
    this.#background = new BackgroundWriteServer(shared);
    this.#statistics = new StatisticsFile(disk, log);
    this.#autovacuum = new AutovacuumServer(shared);
  }

  handlers(): Handler[] {
    const attach = this.#attach!;
    const checkpoint = this.#checkpoint!;
    const background = this.#background!;
    const statistics = this.#statistics!;
    const autovacuum = this.#autovacuum!;
    return [
      handle(ATTACH, stream => attach.accept(stream)),
      pulseHandler(({ name }) => attach.busy(name)),
      handle(CHECKPOINT, stream => checkpoint.accept(stream)),
      handle(BACKGROUND_WRITE, stream => background.accept(stream)),
      handle(KEEP_STATISTICS, stream => statistics.accept(stream)),
      handle(AUTOVACUUM, stream => autovacuum.accept(stream)),
    ];
  }

  /** Clean end. May be called again; the first call does the work. */
  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }
  #stopped: Promise<void> | undefined;

  async #stop(): Promise<void> {
    const shared = this.#shared;
    if (shared === undefined) return;
    const leasesOver = this.#attach!.close();
    this.#background!.close();
    this.#autovacuum!.close();
    this.#checkpoint!.close();
    await this.#statistics!.close();
    const { checkpoints } = shared;
    // The checkpointer's shutdown checkpoint only counts if nothing was logged after it.
    if (!checkpoints.shutDown) {
      await checkpoints.beforeShutdown();
      await checkpoints.run(true, this.#options.minWalBytes());
    }
    await leasesOver;
    this.#wal!.close();
    await this.#smgr!.close();
  }

  /** For tests and the console. */
  get shared(): SharedMemory {
    return this.#shared!;
  }

  #panic(message: string): never {
    this.#env.log.write('PANIC', message);
    return this.#env.exit(EXIT_PANIC);
  }
}
