/**
 * Starting from what is on disk (the startup process; xlogrecovery.c): reads pg_control, replays WAL
 * from the last checkpoint's redo point if the cluster was not shut down, writes what changed.
 *
 * What comes out: where WAL goes on, the counters, pg_xact in memory, and a pool whose pages are all
 * clean (written, not yet synced: the checkpoint that follows does that before it counts).
 */
import { type Disk, DiskError, type Log } from '@pgtroupe/actor/env';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import {
  BLCKSZ,
  type BlockNumber,
  type ForkNumber,
  formatLsn,
  FSM_FORKNUM,
  type FullTransactionId,
  fullFromXid,
  type Oid,
  type RelFileNode,
  type TransactionId,
  transactionIdPrecedes,
  VISIBILITYMAP_FORKNUM,
  type XLogRecPtr,
  xidFromFull,
} from '@pgtroupe/common/ids';
import { pgChecksumPage } from '@pgtroupe/storage/page/checksum';
import { pageGetChecksum } from '@pgtroupe/storage/page/bufpage';
import { type CheckPoint, decodeCheckPoint } from '@pgtroupe/transam/checkpoint';
import { transactionIdToPage, TRANSACTION_STATUS_ABORTED, TRANSACTION_STATUS_COMMITTED } from '@pgtroupe/transam/clog';
import { type ControlFile, ControlFileError, decodeControlFile, PG_CONTROL_FILE } from '@pgtroupe/transam/pg_control';
import {
  RM_CLOG_ID,
  RM_MULTIXACT_ID,
  RM_SMGR_ID,
  RM_STANDBY_ID,
  RM_XACT_ID,
  RM_XLOG_ID,
  rmgrName,
} from '@pgtroupe/transam/rmgr';
import {
  decodeXactEnd,
  XLOG_XACT_ABORT,
  XLOG_XACT_ASSIGNMENT,
  XLOG_XACT_COMMIT,
  XLOG_XACT_INVALIDATIONS,
  XLOG_XACT_OPMASK,
} from '@pgtroupe/transam/xactrecord';
import { XLogBuffers } from '@pgtroupe/transam/xlogbuffers';
import type { XLogStream } from '@pgtroupe/transam/xlogpage';
import { XLogReader } from '@pgtroupe/transam/xlogreader';
import {
  BKPBLOCK_WILL_INIT,
  type DecodedBkpBlock,
  type XLogRecord,
  XLR_RMGR_INFO_MASK,
} from '@pgtroupe/transam/xlogrecord';
import {
  CLOG_TRUNCATE,
  CLOG_ZEROPAGE,
  decodeClogTruncate,
  decodeSmgrCreate,
  decodeSmgrTruncate,
  SMGR_TRUNCATE_FSM,
  SMGR_TRUNCATE_HEAP,
  SMGR_TRUNCATE_VM,
  XLOG_CHECKPOINT_ONLINE,
  XLOG_CHECKPOINT_SHUTDOWN,
  XLOG_NEXTOID,
  XLOG_SMGR_CREATE,
} from '@pgtroupe/transam/xlogrmgr';
import { BufferPool } from './buffer-pool.ts';
import { ClogBuffers } from './clog-buffers.ts';
import { MultiXacts } from './multixacts.ts';
import type { ForkEntry, PageEntry } from './page-directory.ts';
import { RedoApplier, type RmgrTable } from './redo-applier.ts';
import { RelationDirectory } from './relation-directory.ts';
import { mapPagesBefore } from './relation-files.ts';
import { relationPath, type StorageManager } from './smgr.ts';
import type { WalClient } from './wal-client.ts';

const PROGRESS_EVERY = 5000;
const RELIEF_PAGES = 64;
const FORKS = 4;

export interface Recovered {
  readonly control: ControlFile;
  readonly stream: XLogStream;
  readonly buffers: XLogBuffers;
  readonly nextXid: FullTransactionId;
  readonly nextOid: number;
  readonly clog: ClogBuffers;
  readonly multixacts: MultiXacts;
  readonly pool: BufferPool;
  readonly relations: RelationDirectory;
  /** WAL was replayed. */
  readonly replayed: boolean;
}

export interface RecoveryParts {
  readonly disk: Disk;
  readonly log: Log;
  readonly wal: WalClient;
  readonly smgr: StorageManager;
  readonly rmgrs: RmgrTable;
  readonly sharedBuffers: number;
  /** Tells the operator how far redo is. */
  readonly progress: (message: string) => void;
  /** pg_control is about to say that recovery is under way. */
  readonly beforeRedo: (control: ControlFile) => Promise<void>;
}

export async function readControlFile(disk: Disk): Promise<ControlFile> {
  try {
    return decodeControlFile(await disk.readFile(PG_CONTROL_FILE));
  } catch (error) {
    if (error instanceof DiskError)
      throw ereport(ERRCODE.UNDEFINED_FILE, `could not open file "${PG_CONTROL_FILE}": ${error.message}`, {
        severity: 'FATAL',
      });
    if (error instanceof ControlFileError) throw ereport(ERRCODE.DATA_CORRUPTED, error.message, { severity: 'FATAL' });
    throw error;
  }
}

export class Recovery {
  readonly #parts: RecoveryParts;
  readonly #pool: BufferPool;
  readonly #relations = new RelationDirectory();
  readonly #clog = new ClogBuffers();
  readonly #multixacts: MultiXacts;
  /** Of the checkpoint, or what WAL behind it says. */
  #oldest: { readonly oldestXid: TransactionId; readonly oldestXidDB: Oid } | undefined;
  readonly #applier: RedoApplier;
  readonly #dirty = new Set<PageEntry>();
  /** Blocks that WAL changed but that do not exist: they must turn out to be dropped later. */
  readonly #invalid = new Set<string>();
  /** Slots of the record under replay. */
  readonly #pinned: number[] = [];
  #nextXid = 0;
  #nextOid = 0;

  constructor(parts: RecoveryParts) {
    this.#parts = parts;
    this.#multixacts = new MultiXacts(parts.disk);
    this.#pool = new BufferPool(parts.sharedBuffers);
    this.#applier = new RedoApplier(
      this.#pool,
      parts.rmgrs,
      (rnode, fork, blk) => this.#resident(rnode, fork, blk),
      (page, record) => {
        page.lastLSN = record.endLsn;
        page.imageDirty = true;
        if (page.recLSN === 0) page.recLSN = record.lsn;
        this.#dirty.add(page);
      },
    );
  }

  async run(control: ControlFile): Promise<Recovered> {
    const { log, wal } = this.#parts;
    const stream: XLogStream = {
      systemIdentifier: control.systemIdentifier,
      tli: control.checkPointCopy.thisTimeLineID,
    };
    const oldest = await wal.open();
    const checkpoint = await this.#checkpointRecord(stream, control, oldest);
    const record = decodeCheckPoint(checkpoint.bytes, checkpoint.mainAt);
    this.#nextXid = record.nextXid;
    this.#nextOid = record.nextOid;
    this.#oldest = { oldestXid: record.oldestXid, oldestXidDB: record.oldestXidDB };
    await this.#loadClog(record);
    this.#multixacts.begin(record);
    const clean = control.state === 'shut down' && (checkpoint.info & XLR_RMGR_INFO_MASK) === XLOG_CHECKPOINT_SHUTDOWN;
    let end = checkpoint.endLsn;
    let prev = checkpoint.lsn;
    if (!clean) {
      log.write('LOG', 'database system was not properly shut down; automatic recovery in progress');
      await this.#parts.beforeRedo(control);
      const reader = new XLogReader(stream, record.redo);
      await this.#replay(reader, record.redo);
      end = reader.end;
      prev = reader.prev as XLogRecPtr;
      if (end < checkpoint.endLsn) throw this.#panic('WAL ends before the checkpoint it should recover');
    }
    await this.#multixacts.trim();
    await wal.endOfLog(end);
    const buffers = new XLogBuffers(stream, end, prev);
    wal.use(buffers);
    return {
      control: { ...control, checkPointCopy: { ...control.checkPointCopy, ...this.#oldest } },
      stream,
      buffers,
      nextXid: this.#nextXid as FullTransactionId,
      nextOid: this.#nextOid,
      clog: this.#clog,
      multixacts: this.#multixacts,
      pool: this.#pool,
      relations: this.#relations,
      replayed: !clean,
    };
  }

  async #checkpointRecord(stream: XLogStream, control: ControlFile, oldest: number): Promise<XLogRecord> {
    if (control.checkPoint < oldest) throw this.#panic('could not locate a valid checkpoint record');
    let record: XLogRecord;
    try {
      record = await this.#parts.wal.readRecord(stream, control.checkPoint);
    } catch (error) {
      throw this.#panic(`could not locate a valid checkpoint record: ${(error as Error).message}`);
    }
    const info = record.info & XLR_RMGR_INFO_MASK;
    if (record.rmid !== RM_XLOG_ID || (info !== XLOG_CHECKPOINT_ONLINE && info !== XLOG_CHECKPOINT_SHUTDOWN)) {
      throw this.#panic('invalid resource manager ID in checkpoint record');
    }
    return record;
  }

  #panic(message: string): PgError {
    return ereport(ERRCODE.DATA_CORRUPTED, message, { severity: 'PANIC' });
  }

  async #loadClog(checkpoint: CheckPoint): Promise<void> {
    const next = xidFromFull(checkpoint.nextXid);
    const last = transactionIdToPage(next);
    const first = transactionIdToPage(checkpoint.oldestXid);
    // After a wraparound the range goes over the end of the numbers.
    if (first <= last) await this.#clog.load(this.#parts.disk, first, last);
    else {
      await this.#clog.load(this.#parts.disk, first, transactionIdToPage(0xffffffff as TransactionId));
      await this.#clog.load(this.#parts.disk, 0, last);
    }
  }

  // ---- replay ------------------------------------------------------------------------------------

  async #replay(reader: XLogReader, redo: XLogRecPtr): Promise<void> {
    const { log, progress, wal } = this.#parts;
    log.write('LOG', `redo starts at ${formatLsn(redo)}`);
    let count = 0;
    for await (const record of wal.records(reader)) {
      this.#noteXid(record.xid);
      if (!this.#allResident(record)) await this.#bringBlocks(record);
      const asynchronous = this.#dispatch(record);
      if (asynchronous !== undefined) await asynchronous;
      for (const slot of this.#pinned) this.#pool.unpin(slot);
      this.#pinned.length = 0;
      if (this.#pool.overfull) await this.#relieve();
      if (++count % PROGRESS_EVERY === 0) progress(`redo in progress, at ${formatLsn(record.lsn)}`);
    }
    for (const what of this.#invalid) throw this.#panic(`WAL contains references to invalid pages: ${what}`);
    await this.#writeAll();
    log.write(
      'LOG',
      count === 0 ? 'redo is not required' : `redo done at ${formatLsn(reader.prev as XLogRecPtr)}: ${count} records`,
    );
  }

  #noteXid(xid: TransactionId): void {
    if (xid < 3) return;
    const full = fullFromXid(xid, this.#nextXid as FullTransactionId);
    if (full >= this.#nextXid) this.#nextXid = full + 1;
  }

  /** What changes no page of a relation, or files as such, is done here; pages go to redo. */
  #dispatch(record: XLogRecord): Promise<void> | undefined {
    const info = record.info & XLR_RMGR_INFO_MASK;
    switch (record.rmid) {
      case RM_XLOG_ID:
        this.#xlog(record, info);
        return undefined;
      case RM_XACT_ID:
        return this.#xact(record);
      case RM_SMGR_ID:
        return this.#smgr(record, info);
      case RM_CLOG_ID:
        if (info === CLOG_ZEROPAGE) this.#clog.zero(record.view.getUint32(record.mainAt, true));
        return info === CLOG_TRUNCATE ? this.#truncateClog(record) : undefined;
      case RM_MULTIXACT_ID:
        return this.#multixacts.redo(record);
      case RM_STANDBY_ID:
        return undefined;
      default:
        if (this.#parts.rmgrs(record.rmid) === undefined) {
          throw this.#panic(
            `redo of resource manager ${rmgrName(record.rmid)} is not supported by pgtroupe yet (at ${formatLsn(record.lsn)})`,
          );
        }
        this.#applier.apply(record);
        return undefined;
    }
  }

  #xlog(record: XLogRecord, info: number): void {
    if (info === XLOG_NEXTOID) this.#nextOid = record.view.getUint32(record.mainAt, true);
    else if (info === XLOG_CHECKPOINT_ONLINE || info === XLOG_CHECKPOINT_SHUTDOWN) {
      const checkpoint = decodeCheckPoint(record.bytes, record.mainAt);
      this.#nextXid = Math.max(this.#nextXid, checkpoint.nextXid);
      this.#multixacts.advanceTo(checkpoint);
      this.#advanceOldest(checkpoint.oldestXid, checkpoint.oldestXidDB);
      if (info === XLOG_CHECKPOINT_SHUTDOWN) this.#nextOid = checkpoint.nextOid;
    } else if (record.blocks.length > 0) this.#applier.apply(record);
  }

  async #truncateClog(record: XLogRecord): Promise<void> {
    const { oldestXact, oldestXactDb } = decodeClogTruncate(record.view, record.mainAt);
    this.#advanceOldest(oldestXact, oldestXactDb);
    const last = transactionIdToPage(xidFromFull(this.#nextXid as FullTransactionId));
    await this.#clog.truncate(this.#parts.disk, transactionIdToPage(oldestXact), last);
  }

  #advanceOldest(oldestXid: TransactionId, oldestXidDB: Oid): void {
    if (this.#oldest !== undefined && !transactionIdPrecedes(this.#oldest.oldestXid, oldestXid)) return;
    this.#oldest = { oldestXid, oldestXidDB };
  }

  #xact(record: XLogRecord): Promise<void> | undefined {
    const operation = record.info & XLOG_XACT_OPMASK;
    if (operation === XLOG_XACT_ASSIGNMENT || operation === XLOG_XACT_INVALIDATIONS) return undefined;
    if (operation !== XLOG_XACT_COMMIT && operation !== XLOG_XACT_ABORT) {
      throw this.#panic('redo of prepared transactions is not supported by pgtroupe yet');
    }
    const { xid, children, drops } = decodeXactEnd(record);
    const status = operation === XLOG_XACT_COMMIT ? TRANSACTION_STATUS_COMMITTED : TRANSACTION_STATUS_ABORTED;
    for (const each of [...children, xid]) {
      this.#noteXid(each);
      // Ids before the oldest one were truncated away together with who could ask.
      if (this.#clog.has(transactionIdToPage(each))) this.#clog.setStatus(each, status, 0);
    }
    return drops.length === 0 ? undefined : this.#drop(drops);
  }

  async #smgr(record: XLogRecord, info: number): Promise<void> {
    const { smgr } = this.#parts;
    if (info === XLOG_SMGR_CREATE) {
      const { rnode, fork } = decodeSmgrCreate(record.view, record.mainAt);
      await smgr.create(rnode, fork);
      return;
    }
    const { rnode, blocks, flags } = decodeSmgrTruncate(record.view, record.mainAt);
    // Pages may come back later in the WAL, so the file is made if it is not there.
    await smgr.create(rnode, 0);
    if ((flags & SMGR_TRUNCATE_HEAP) !== 0) await this.#truncate(rnode, 0, blocks);
    if ((flags & SMGR_TRUNCATE_VM) !== 0) await this.#truncate(rnode, VISIBILITYMAP_FORKNUM, mapPagesBefore(blocks));
    if ((flags & SMGR_TRUNCATE_FSM) !== 0) await smgr.unlink(rnode, FSM_FORKNUM, false);
  }

  async #truncate(rnode: RelFileNode, forkNumber: ForkNumber, blocks: number): Promise<void> {
    const fork = this.#relations.forkOf(rnode, forkNumber);
    this.#forgetPages(fork, blocks);
    await this.#length(fork);
    if (fork.blocks <= blocks) return;
    await this.#parts.smgr.truncate(rnode, forkNumber, blocks);
    fork.blocks = blocks;
  }

  async #drop(rels: readonly RelFileNode[]): Promise<void> {
    for (const rel of rels) {
      for (let n = 0; n < FORKS; n++) {
        this.#forgetPages(this.#relations.forkOf(rel, n), 0);
        await this.#parts.smgr.unlink(rel, n as ForkNumber, false);
      }
      this.#relations.forget(rel);
    }
  }

  #forgetPages(fork: ForkEntry, from: number): void {
    for (const page of [...fork.pages.values()]) {
      if (page.blk < from) continue;
      this.#pool.release(page);
      this.#dirty.delete(page);
      page.recLSN = 0;
      page.dropped = true;
      fork.pages.delete(page.blk);
    }
    const prefix = `${relationPath(fork.rnode, fork.fork)} block `;
    for (const what of [...this.#invalid]) {
      if (what.startsWith(prefix) && Number(what.slice(prefix.length)) >= from) this.#invalid.delete(what);
    }
  }

  // ---- pages -------------------------------------------------------------------------------------

  #resident(rnode: RelFileNode, fork: ForkNumber, blk: BlockNumber): PageEntry | undefined {
    const page = this.#relations.forkOf(rnode, fork).pages.get(blk);
    return page === undefined || page.slot < 0 ? undefined : page;
  }

  #allResident(record: XLogRecord): boolean {
    for (const block of record.blocks) {
      if (block !== undefined && this.#resident(block.rnode, block.fork, block.blkno) === undefined) return false;
    }
    return this.#parts.rmgrs(record.rmid)?.extraBlocks === undefined;
  }

  /** Brings the record's pages in. They stay until it is applied: bringing one must not evict another. */
  async #bringBlocks(record: XLogRecord): Promise<void> {
    for (const block of record.blocks) {
      if (block === undefined) continue;
      await this.#bring(block);
      this.#pin(this.#resident(block.rnode, block.fork, block.blkno));
    }
    for (const extra of this.#parts.rmgrs(record.rmid)?.extraBlocks?.(record) ?? []) {
      const fork = this.#relations.forkOf(extra.rnode, extra.fork);
      if (extra.blkno >= (await this.#length(fork))) continue;
      await this.#load(fork, extra.blkno);
      this.#pin(this.#resident(extra.rnode, extra.fork, extra.blkno));
    }
  }

  #pin(page: PageEntry | undefined): void {
    if (page === undefined) return;
    this.#pool.pin(page.slot);
    this.#pinned.push(page.slot);
  }

  async #length(fork: ForkEntry): Promise<number> {
    if (fork.blocks < 0) fork.blocks = (await this.#parts.smgr.nblocks(fork.rnode, fork.fork)) ?? 0;
    return fork.blocks;
  }

  /** XLogReadBufferExtended */
  async #bring(block: DecodedBkpBlock): Promise<void> {
    const fork = this.#relations.forkOf(block.rnode, block.fork);
    const fresh = block.applyImage || (block.flags & BKPBLOCK_WILL_INIT) !== 0;
    if (this.#resident(block.rnode, block.fork, block.blkno) !== undefined) return;
    const blocks = await this.#length(fork);
    if (block.blkno >= blocks) {
      if (!fresh) {
        this.#invalid.add(`${relationPath(block.rnode, block.fork)} block ${block.blkno}`);
        return;
      }
      await this.#parts.smgr.create(block.rnode, block.fork);
      await this.#parts.smgr.extend(block.rnode, block.fork, blocks, block.blkno + 1);
      fork.blocks = block.blkno + 1;
    }
    if (fresh) {
      const page = this.#relations.page(fork, block.blkno);
      this.#pool.image(this.#slotFor(page)).fill(0);
      this.#parts.smgr.suspect(block.rnode, block.fork, block.blkno);
    } else await this.#load(fork, block.blkno);
  }

  async #load(fork: ForkEntry, blk: BlockNumber): Promise<void> {
    const page = this.#relations.page(fork, blk);
    if (page.slot >= 0) return;
    const image = new Uint8Array(BLCKSZ);
    await this.#parts.smgr.read(fork.rnode, fork.fork, blk, image);
    // Whatever the kernel gave us may not be on disk: the one who wrote it is dead.
    this.#parts.smgr.suspect(fork.rnode, fork.fork, blk);
    const at = this.#pool.offset(this.#slotFor(page));
    const { mem } = this.#pool;
    mem.u8.set(image, at);
    const isNew = mem.u16[(at + 14) >>> 1] === 0;
    if (!isNew && pgChecksumPage(mem.u32, at, blk) !== pageGetChecksum(mem, at)) {
      if (fork.fork !== VISIBILITYMAP_FORKNUM && fork.fork !== FSM_FORKNUM) {
        throw this.#panic(`invalid page in block ${blk} of relation ${relationPath(fork.rnode, fork.fork)}`);
      }
      // Maps are advisory here: their changes carry no images. All bits clear is always true.
      mem.u8.fill(0, at, at + BLCKSZ);
    }
  }

  #slotFor(page: PageEntry): number {
    return page.slot >= 0 ? page.slot : this.#pool.allocate(page, evicted => this.#relations.tidy(evicted));
  }

  // ---- writing -----------------------------------------------------------------------------------

  async #relieve(): Promise<void> {
    const forget = (page: PageEntry): void => this.#relations.tidy(page);
    this.#pool.shrink(forget);
    if (!this.#pool.overfull) return;
    for (const page of this.#pool.dirtyPages(RELIEF_PAGES)) await this.#write(page);
    this.#pool.shrink(forget);
  }

  async #writeAll(): Promise<void> {
    for (const page of [...this.#dirty]) await this.#write(page);
  }

  async #write(page: PageEntry): Promise<void> {
    this.#dirty.delete(page);
    page.recLSN = 0;
    page.imageDirty = false;
    const at = this.#pool.offset(page.slot);
    const { mem } = this.#pool;
    if (mem.u16[(at + 14) >>> 1] !== 0) mem.u16[(at + 8) >>> 1] = pgChecksumPage(mem.u32, at, page.blk);
    await this.#parts.smgr.write(page.fork.rnode, page.fork.fork, page.blk, this.#pool.image(page.slot));
    page.lastLSN = 0;
  }
}
