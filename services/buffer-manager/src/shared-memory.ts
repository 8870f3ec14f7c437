/**
 * The shared memory segment, put together: everything instances share, and what happens at the end of
 * every turn. Built when recovery is done; lives until the process ends.
 */
import { DEFAULTTABLESPACE_OID } from '@pgtroupe/common/oids';
import { type Clock, type Disk, DiskError, isMissing, type Log, type Timers } from '@pgtroupe/actor/env';
import type { Failpoint } from '@pgtroupe/actor/failpoint';
import { crc32c } from '@pgtroupe/common/crc32c';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import {
  BLCKSZ,
  type FullTransactionId,
  fullFromXid,
  type RelFileNode,
  type TransactionId,
  type XLogRecPtr,
} from '@pgtroupe/common/ids';
import { windowOf } from '@pgtroupe/rpc/attach/credit';
import { type DownOp, TOKEN_SHARED, type UpOp } from '@pgtroupe/rpc/attach/ops';
import type { ControlFile } from '@pgtroupe/transam/pg_control';
import { RM_XLOG_ID } from '@pgtroupe/transam/rmgr';
import type { XLogBuffers } from '@pgtroupe/transam/xlogbuffers';
import type { XLogStream } from '@pgtroupe/transam/xlogpage';
import { encodeNextOid, XLOG_NEXTOID } from '@pgtroupe/transam/xlogrmgr';
import type { BufferPool } from './buffer-pool.ts';
import { Checkpoints } from './checkpoint.ts';
import type { ClogBuffers } from './clog-buffers.ts';
import { FpiWindow } from './fpi-window.ts';
import { FreeSpaceMap } from './free-space-map.ts';
import { readFsmFork } from './fsm-fork.ts';
import type { Instance } from './instance.ts';
import { LockQuestions } from './lock-questions.ts';
import { SessionQuestions } from './session-questions.ts';
import { AuxiliaryProcesses } from './auxiliary-processes.ts';
import type { SessionQuestion } from '@pgtroupe/rpc/attach/ops';
import { type LockEffects, LockTable } from './lock-table.ts';
import { MultiXactServer } from './multixact-server.ts';
import type { MultiXacts } from './multixacts.ts';
import { OidAllocator } from './oid-allocator.ts';
import { type DirectoryEffects, PageDirectory, type PageEntry, type TokenHolder } from './page-directory.ts';
import { PageIO } from './page-io.ts';
import { ProcArray } from './proc-array.ts';
import { RedoApplier, type RmgrTable } from './redo-applier.ts';
import type { RelationDirectory } from './relation-directory.ts';
import { RelationFileService } from './relation-files.ts';
import { databasePath, type StorageManager } from './smgr.ts';
import { SharedCounts } from './shared-counts.ts';
import { Transactions } from './transactions.ts';
import type { WalClient } from './wal-client.ts';
import { WalSwitch } from './wal-switch.ts';
import { ProtocolViolation, WalInsert } from './wal-insert.ts';

type Up<K extends UpOp['op']> = Extract<UpOp, { op: K }>;

const NO_BLOCK = 0xffffffff;
/** Slots kept for pages that must be loaded or rebuilt in order to write others. */
const SPARE_SLOTS = 8;
const RELIEF_RETRY_MS = 100;
const RELMAP_BYTES = 512;
const RELMAP_CRC_AT = 504;
const EMPTY = new Uint8Array(0);
/** WAL space kept for what must always be possible: aborts, checkpoints, our own records. */
const WAL_RESERVE_BYTES = 4 * 1024 * 1024;
/** A batch larger than what is ever prepared must get through too; the walwriter waits for space. */
const MAX_BATCH_ROOM_BYTES = 16 * 1024 * 1024;

export interface SharedMemoryParts {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly disk: Disk;
  readonly log: Log;
  readonly failpoint: Failpoint;
  /** Ends the process: only replaying WAL can help. */
  readonly panic: (message: string) => never;
  readonly stream: XLogStream;
  readonly wal: WalClient;
  readonly buffers: XLogBuffers;
  readonly pool: BufferPool;
  /** Pages that are in the pool already. */
  readonly relations: RelationDirectory;
  readonly smgr: StorageManager;
  readonly clog: ClogBuffers;
  readonly multixacts: MultiXacts;
  readonly rmgrs: RmgrTable;
  readonly control: ControlFile;
  readonly nextXid: FullTransactionId;
  readonly nextOid: number;
  /** wal_buffers: what all instances may have sent that is not settled (rpc/attach/credit.ts). */
  readonly walBuffersBytes: number;
  /** How many locks may be held at a time (LockTable). */
  readonly maxLocks: number;
  /** archive_mode is on. */
  readonly archiving: boolean;
}

export class SharedMemory {
  readonly instances = new Set<Instance>();
  readonly relations: RelationDirectory;
  readonly directory: PageDirectory;
  readonly pool: BufferPool;
  readonly io: PageIO;
  readonly smgr: StorageManager;
  readonly wal: WalClient;
  readonly insert: WalInsert;
  readonly clog: ClogBuffers;
  readonly multixacts: MultiXactServer;
  readonly locks: LockTable<Instance>;
  readonly lockQuestions: LockQuestions<Instance>;
  readonly sessionQuestions: SessionQuestions<Instance>;
  readonly auxiliaries: AuxiliaryProcesses;
  readonly transactions: Transactions;
  readonly files: RelationFileService;
  readonly fsm = new FreeSpaceMap();
  readonly counts = new SharedCounts();
  readonly fpi: FpiWindow<Instance>;
  readonly oids: OidAllocator;
  readonly checkpoints: Checkpoints;
  readonly walSwitch: WalSwitch;
  readonly systemIdentifier: bigint;
  readonly timeline: number;
  /** Redo point of the current checkpoint. */
  redo: XLogRecPtr;
  /** Somebody asks for a checkpoint. */
  onCheckpointWanted: () => void = () => {};
  /** WAL was inserted. */
  onWalGrown: () => void = () => {};
  readonly #clock: Clock;
  readonly #disk: Disk;
  readonly #timers: Timers;
  readonly #walBuffersBytes: number;
  #relieving = false;
  #turnPlanned = false;

  constructor(parts: SharedMemoryParts) {
    this.#clock = parts.clock;
    this.#disk = parts.disk;
    this.#timers = parts.timers;
    this.#walBuffersBytes = parts.walBuffersBytes;
    this.pool = parts.pool;
    this.relations = parts.relations;
    this.smgr = parts.smgr;
    this.wal = parts.wal;
    this.clog = parts.clog;
    this.systemIdentifier = parts.stream.systemIdentifier;
    this.timeline = parts.stream.tli;
    this.redo = parts.control.checkPointCopy.redo;
    this.directory = new PageDirectory(this.#directoryEffects());
    this.insert = new WalInsert(parts.buffers, this.relations, this.directory, this.counts);
    this.io = new PageIO({ ...parts, directory: this.directory });
    this.io.applier = new RedoApplier(
      parts.pool,
      parts.rmgrs,
      () => undefined,
      () => {},
    );
    this.io.onReadFailed = (holder, page, error) => {
      (holder as Instance).put({
        op: 'readFailed',
        rel: page.fork.rnode,
        fork: page.fork.fork,
        blk: page.blk,
        sqlstate: error.sqlstate,
        message: error.message,
      });
    };
    const onProgress = (): void => this.planTurn();
    this.io.onProgress = onProgress;
    this.files = new RelationFileService({
      ...parts,
      directory: this.directory,
      io: this.io,
      insert: this.insert,
      fsm: this.fsm,
      instances: this.instances,
      onProgress,
    });
    this.locks = new LockTable<Instance>(
      this.#lockEffects(),
      {
        runs: fxid => this.transactions.procs.isRunning(fxid),
        owner: fxid => this.transactions.ownerOf(fxid),
      },
      parts.maxLocks,
    );
    this.lockQuestions = new LockQuestions(this.locks, this.instances);
    this.sessionQuestions = new SessionQuestions(
      this.instances,
      parts.timers,
      what => this.#ownAnswer(what),
      () => this.endOfTurn(),
    );
    this.auxiliaries = new AuxiliaryProcesses(parts.clock);
    this.auxiliaries.came('walwriter', () =>
      this.wal.flushed < this.insert.buffers.end ? 'IO/WALSync' : 'Activity/WalWriterMain',
    );
    this.transactions = new Transactions({
      ...parts,
      procs: new ProcArray(parts.nextXid),
      insert: this.insert,
      files: this.files,
      instances: this.instances,
      locks: this.locks,
      oldestXid: fullFromXid(parts.control.checkPointCopy.oldestXid, parts.nextXid),
      oldestXidDB: parts.control.checkPointCopy.oldestXidDB,
      onAsyncCommit: lsn => {
        this.io.asyncCommitLSN = lsn;
      },
    });
    this.multixacts = new MultiXactServer(parts.multixacts, this);
    this.oids = new OidAllocator(parts.nextOid, nextOid => {
      this.insert.own(RM_XLOG_ID, XLOG_NEXTOID, 0 as TransactionId, encodeNextOid(nextOid));
    });
    this.checkpoints = new Checkpoints(this, parts);
    this.walSwitch = new WalSwitch(this, parts.timers, WAL_RESERVE_BYTES);
    this.fpi = new FpiWindow<Instance>(
      {
        forceFpi: (instance, n) => instance.put({ op: 'forceFpi', n }),
        close: n => {
          this.redo = this.checkpoints.windowClosed(n);
          for (const instance of this.instances) instance.put({ op: 'redoRecPtr', n, lsn: this.redo });
        },
      },
      1,
    );
    this.wal.onFlushed = () => {
      this.transactions.settleCommits();
      this.endOfTurn();
    };
  }

  #directoryEffects(): DirectoryEffects {
    return {
      grant: (holder, page, mode, gen, withImage) => {
        const { rnode, fork } = page.fork;
        if (withImage) this.pool.touch(page.slot);
        (holder as Instance).put({
          op: 'grantBuffer',
          rel: rnode,
          fork,
          blk: page.blk,
          mode,
          gen,
          image: withImage ? this.pool.image(page.slot) : EMPTY,
        });
      },
      recall: (holder, page, gen, to) =>
        (holder as Instance).put({
          op: 'recallBuffer',
          rel: page.fork.rnode,
          fork: page.fork.fork,
          blk: page.blk,
          gen,
          to,
        }),
      writeback: (holder, page, gen) =>
        (holder as Instance).put({ op: 'writeback', rel: page.fork.rnode, fork: page.fork.fork, blk: page.blk, gen }),
      load: page => this.io.load(page),
    };
  }

  #lockEffects(): LockEffects<Instance> {
    return {
      granted: ({ owner, reqId }) => owner.instance.put({ op: 'lockGranted', reqId }),
      notAvailable: ({ owner, reqId }) => owner.instance.put(lockNotAvailable(reqId)),
      tokenGranted: (instance, lock) => instance.put({ op: 'relLockToken', db: lock.tag.f1, rel: lock.tag.f2 }),
      recallToken: (instance, lock) => instance.put({ op: 'recallRelLock', db: lock.tag.f1, rel: lock.tag.f2 }),
    };
  }

  /** For the status: what transactions hold here. */
  held(): Record<string, number> {
    const { commits, procs } = this.transactions;
    return {
      ...this.locks.held(instance => instance.dead),
      'running transactions': procs.runningCount,
      'pending commits': commits.length,
      'horizon pins of the dead': procs.pinCount - this.instances.size,
      'buffer pins': this.pool.pinned,
      'files of running transactions': this.files.createdCount,
    };
  }

  // ---- turns ---------------------------------------------------------------------------------------

  /** What one message set off leaves: WAL to the walwriter, one message to each instance. */
  endOfTurn(): void {
    const { transactions } = this;
    if (transactions.commits.length > 0) transactions.settleCommits();
    const window = windowOf(this.#walBuffersBytes, this.instances.size);
    let { flushWanted } = transactions;
    for (const { up } of this.instances) {
      up.durable(this.wal.flushed);
      flushWanted = Math.max(flushWanted, up.flushWanted(window));
    }
    this.wal.push(flushWanted);
    this.onWalGrown();
    for (const instance of this.instances) {
      this.#giveCredit(instance, window);
      instance.flush();
    }
    if (this.pool.overfull && !this.#relieving) void this.#relieve();
  }

  /** Not while there is no room for it. With a full disk there may never be any: who extends a file must
   *  come to hear that it is full. */
  #giveCredit(instance: Instance, window: number): void {
    if (!instance.up.due(window) || !(this.wal.diskFull || this.hasRoomFor(window))) return;
    instance.put({ op: 'credit', until: instance.up.grant(window) });
  }

  /** For what happens outside of an instance's message: one end of turn for all of it. */
  planTurn(): void {
    if (this.#turnPlanned) return;
    this.#turnPlanned = true;
    this.#timers.soon(() => {
      this.#turnPlanned = false;
      this.endOfTurn();
    });
  }

  async #relieve(): Promise<void> {
    this.#relieving = true;
    const ok = await this.io.relieve();
    this.counts.add({ bufWrittenBackend: this.io.madeRoom });
    this.io.madeRoom = 0;
    if (!ok) await new Promise<void>(resolve => this.#timers.after(RELIEF_RETRY_MS, resolve));
    this.#relieving = false;
    if (this.pool.overfull) void this.#relieve();
  }

  /** May a batch of this size be taken without meeting WAL space that is not ready, and images for
   *  which there is no slot? What it waits for depends on no instance. */
  hasRoomFor(batchBytes: number): boolean {
    if (this.pool.spare < SPARE_SLOTS + batchBytes / BLCKSZ && this.pool.overfull) return false;
    return this.wal.room > WAL_RESERVE_BYTES + Math.min(2 * batchBytes, MAX_BATCH_ROOM_BYTES);
  }

  /** No commit becomes visible in the next `ms`. */
  holdCommits(ms: number): void {
    if (ms <= 0) return;
    this.transactions.holdCommits(this.#clock.nowMs() + ms);
    this.#timers.after(ms, () => this.planTurn());
  }

  /** What is known here of what sessions ask about each other. */
  #ownAnswer(what: SessionQuestion | undefined): string {
    if (what === 'activity') return JSON.stringify({ backends: this.auxiliaries.status() });
    if (what === 'locks') return JSON.stringify({ locks: [...this.locks.status()] });
    return '';
  }

  instanceDied(instance: Instance): void {
    this.directory.fence(instance);
    this.transactions.instanceDied(instance);
    this.files.instanceDied(instance);
    this.fpi.died(instance);
    this.lockQuestions.died(instance);
    this.sessionQuestions.died(instance);
    this.io.wakeAll();
    this.transactions.settleCommits();
  }

  // ---- pages ---------------------------------------------------------------------------------------

  #pageOf(op: { readonly rel: RelFileNode; readonly fork: number; readonly blk: number }): PageEntry | undefined {
    return this.relations.knownFork(op.rel, op.fork)?.pages.get(op.blk as never);
  }

  releaseBuffer(instance: TokenHolder, op: Up<'releaseBuffer'>): void {
    const page = this.#pageOf(op);
    const holding = page?.holdingOf(instance);
    // A token that was dropped meanwhile (truncation): its holder could not know.
    if (page === undefined || holding === undefined || holding.gen !== op.gen) return;
    const hasImage = op.image.length > 0;
    if (hasImage) this.#store(instance, page, op.gen, op.image);
    this.directory.release(instance, page, op.gen, op.to === TOKEN_SHARED ? TOKEN_SHARED : 0, hasImage);
    this.io.imageSettled(page);
    this.relations.tidy(page);
  }

  bufferImage(instance: TokenHolder, op: Up<'bufferImage'>): void {
    const page = this.#pageOf(op);
    if (page === undefined || !this.directory.ownsExclusively(instance, page, op.gen)) return;
    this.#store(instance, page, op.gen, op.image);
    this.directory.imageReceived(page);
    this.io.imageSettled(page);
  }

  #store(instance: TokenHolder, page: PageEntry, gen: number, image: Uint8Array): void {
    if (image.length !== BLCKSZ) throw new ProtocolViolation(`image of ${image.length} bytes`);
    if (!this.directory.ownsExclusively(instance, page, gen))
      throw new ProtocolViolation('image of a page held shared');
    this.io.store(page, image);
  }

  // ---- small services --------------------------------------------------------------------------------

  flushFor(instance: Instance, reqId: number): void {
    void this.wal.flush(this.insert.buffers.end).then(() => {
      instance.reply(reqId);
      this.planTurn();
    });
  }

  allocOids(instance: Instance, op: Up<'allocOids'>): void {
    const count = Math.max(1, Math.min(op.count, 4096));
    instance.put({ op: 'oids', reqId: op.reqId, first: this.oids.allocate(count), count });
  }

  getFreePage(instance: Instance, op: Up<'getFreePage'>): void {
    const space = this.fsm.of(op.rel);
    const answer = (): void => {
      const blk = this.fsm.find(op.rel, op.need);
      instance.put({
        op: 'freePage',
        reqId: op.reqId,
        blk: blk < this.relations.forkOf(op.rel, 0).blocks ? blk : NO_BLOCK,
      });
    };
    if (space.loaded === undefined) {
      space.loaded = this.#loadFreeSpace(space.rel);
      void space.loaded.then(() => {
        answer();
        this.planTurn();
      });
    } else void space.loaded.then(answer).then(() => this.planTurn());
  }

  /** The map is advisory: what cannot be read is asked for again the next time. */
  async #loadFreeSpace(rel: RelFileNode): Promise<void> {
    const main = this.relations.forkOf(rel, 0);
    const space = this.fsm.of(rel);
    try {
      const blocks = main.blocks < 0 ? await this.smgr.nblocks(rel, 0) : main.blocks;
      // Whoever learned it meanwhile may have changed it since.
      if (main.blocks < 0 && blocks !== undefined) main.blocks = blocks;
      await readFsmFork(this.smgr, space, Math.max(0, main.blocks));
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      space.loaded = undefined;
    }
  }

  async writeFreeSpaceMaps(): Promise<void> {
    for (const space of this.fsm.changedRelations()) await this.files.writeFreeSpaceMap(space);
  }

  relmap(instance: Instance, op: Up<'relmap'>): void {
    void this.#readRelmap(instance, op).then(() => this.planTurn());
  }

  async #readRelmap(instance: Instance, op: Up<'relmap'>): Promise<void> {
    const path = `${op.db === 0 ? 'global' : databasePath(DEFAULTTABLESPACE_OID, op.db)}/pg_filenode.map`;
    try {
      const image = await this.#disk.readFile(path);
      const valid =
        image.length === RELMAP_BYTES &&
        crc32c(image, 0, RELMAP_CRC_AT) === new DataView(image.buffer, image.byteOffset).getUint32(RELMAP_CRC_AT, true);
      if (valid) instance.put({ op: 'relmap', reqId: op.reqId, image });
      else
        instance.reply(op.reqId, ERRCODE.DATA_CORRUPTED, `relation mapping file "${path}" contains incorrect checksum`);
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      const sqlstate = isMissing(error) ? ERRCODE.UNDEFINED_FILE : ERRCODE.IO_ERROR;
      instance.reply(op.reqId, sqlstate, `could not open file "${path}": ${error.message}`);
    }
  }

  requestCheckpoint(instance: Instance, op: Up<'checkpoint'>): void {
    void this.checkpoints.awaitNext().then(failure => {
      if (failure === undefined) instance.reply(op.reqId);
      else instance.reply(op.reqId, failure.sqlstate, 'checkpoint request failed');
      this.planTurn();
    });
    this.onCheckpointWanted();
  }
}

/** Who asked with NOWAIT knows what for. */
export function lockNotAvailable(reqId: number): Extract<DownOp, { op: 'lockFailed' }> {
  const sqlstate = ERRCODE.LOCK_NOT_AVAILABLE;
  return { op: 'lockFailed', reqId, sqlstate, message: 'could not obtain lock', detail: '', hint: '' };
}
