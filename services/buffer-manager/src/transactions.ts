/**
 * Transactions: ids, snapshots, commit, abort. Everything here is one synchronous step per message.
 *
 * Commit: (a) the record is sequenced and the instances' snapshots are recalled; (b) when it is durable and
 * they have answered, in one step: pg_xact, ProcArray, csn, invalidations, file drops, locks, then the
 * answers: the new snapshot first, then `committed`.
 */
import { type Clock, type Disk, DiskError, type Log } from '@pgtroupe/actor/env';
import type { Failpoint } from '@pgtroupe/actor/failpoint';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import {
  type FullTransactionId,
  fullFromXid,
  type Oid,
  type RelFileNode,
  type TransactionId,
  xidFromFull,
} from '@pgtroupe/common/ids';
import type { DownOp, UpOp } from '@pgtroupe/rpc/attach/ops';
import {
  CLOG_XACTS_PER_PAGE,
  TRANSACTION_STATUS_ABORTED,
  TRANSACTION_STATUS_COMMITTED,
  transactionIdToPage,
  SLRU_PAGES_PER_SEGMENT,
} from '@pgtroupe/transam/clog';
import { RM_CLOG_ID, RM_XACT_ID, RM_XLOG_ID } from '@pgtroupe/transam/rmgr';
import {
  XID_STOP_DISTANCE,
  XID_STOP_HINT,
  XID_WARN_DISTANCE,
  XID_WARN_HINT,
  XID_WRAP_DISTANCE,
} from '@pgtroupe/transam/varsup';
import { xactEndBody, xactEndInfo, XLOG_XACT_ABORT } from '@pgtroupe/transam/xactrecord';
import {
  CLOG_TRUNCATE,
  CLOG_ZEROPAGE,
  encodeClogTruncate,
  encodeClogZeroPage,
  XLOG_NOOP,
} from '@pgtroupe/transam/xlogrmgr';
import type { ClogBuffers } from './clog-buffers.ts';
import { CommitQueue, JoiningInstances, type PendingCommit } from './commit-queue.ts';
import { InvalLog } from './inval-log.ts';
import type { Instance } from './instance.ts';
import { type LockOwner, LockTable } from './lock-table.ts';
import type { ProcArray } from './proc-array.ts';
import type { WalClient } from './wal-client.ts';
import { ProtocolViolation, type WalInsert } from './wal-insert.ts';
import { XidReservation } from './xid-reservation.ts';

type Up<K extends UpOp['op']> = Extract<UpOp, { op: K }>;

interface Commit extends PendingCommit<Instance> {
  /** Who sent it, dead or alive. */
  readonly home: Instance;
  /** It had a snapshot to use, and gets the next one with the answer. */
  readonly hadSnapshot: boolean;
  readonly drop: readonly RelFileNode[];
  readonly invals: Uint8Array;
}

/** A running transaction that was assigned to a session. */
interface Assigned {
  readonly instance: Instance;
  readonly pid: number;
}

/** Files of a transaction that goes away or stays. */
export interface FileFate {
  /** Committed: unlink these. */
  drop(rels: readonly RelFileNode[]): void;
  /** The transaction committed: what it created stays. */
  keepCreated(fxid: number): void;
  /** It aborted: what it created goes. */
  dropCreated(fxid: number): void;
}

const MAX_RESERVE = 256;
/** With a full disk, new writers are turned away while the others can still finish. */
const LOW_ROOM_BYTES = 24 * 1024 * 1024;
const XID_WARN_EVERY = 1_000_000;

function clogSegment(xid: TransactionId): number {
  return Math.floor(transactionIdToPage(xid) / SLRU_PAGES_PER_SEGMENT);
}

/** Invalidations beyond this are not kept for instances that do not ask. */
const MAX_UNTOLD_BYTES = 256 * 1024;

export class Transactions {
  readonly procs: ProcArray;
  readonly reservation: XidReservation;
  readonly commits = new CommitQueue<Instance, Commit>();
  readonly locks: LockTable<Instance>;
  readonly #wal: WalClient;
  readonly #insert: WalInsert;
  readonly #clog: ClogBuffers;
  readonly #clock: Clock;
  readonly #files: FileFate;
  readonly #failpoint: Failpoint;
  readonly #instances: ReadonlySet<Instance>;
  readonly #invals = new InvalLog();
  readonly #assigned = new Map<number, Assigned>();
  /** Wait until ids may be given out. */
  #starving: { readonly instance: Instance; readonly count: number }[] = [];
  readonly #onAsyncCommit: (lsn: number) => void;
  readonly #disk: Disk;
  readonly #log: Log;
  /** No table holds an id before this one (full), and the database that holds it. */
  oldestXid: number;
  oldestXidDB: Oid;
  /** Ids from here on are worth a line in the log. */
  #warnAt: number;

  constructor(parts: {
    readonly procs: ProcArray;
    readonly wal: WalClient;
    readonly insert: WalInsert;
    readonly clog: ClogBuffers;
    readonly clock: Clock;
    readonly files: FileFate;
    readonly failpoint: Failpoint;
    readonly instances: ReadonlySet<Instance>;
    readonly onAsyncCommit: (lsn: number) => void;
    /** Oldest id that any table may hold, and the database of that table. */
    readonly oldestXid: number;
    readonly oldestXidDB: Oid;
    readonly disk: Disk;
    readonly log: Log;
    readonly locks: LockTable<Instance>;
  }) {
    this.procs = parts.procs;
    this.reservation = new XidReservation(parts.procs.nextXid, (first, last) => this.#logReservation(first, last));
    this.locks = parts.locks;
    this.#wal = parts.wal;
    this.#insert = parts.insert;
    this.#clog = parts.clog;
    this.#clock = parts.clock;
    this.#files = parts.files;
    this.#failpoint = parts.failpoint;
    this.#instances = parts.instances;
    this.#onAsyncCommit = parts.onAsyncCommit;
    this.#disk = parts.disk;
    this.#log = parts.log;
    this.oldestXid = parts.oldestXid;
    this.oldestXidDB = parts.oldestXidDB;
    this.#warnAt = parts.oldestXid + XID_WARN_DISTANCE;
  }

  // ---- ids -----------------------------------------------------------------------------------------

  /** Hands out `count` ids in a row (fewer where the reservation ends; later when nothing of it is durable). */
  reserve(instance: Instance, count: number): void {
    const refused = this.#refusal();
    if (refused !== undefined) return instance.put({ op: 'reserveFailed', ...refused });
    this.reservation.prepare(this.procs.nextXid, this.#wal.flushed);
    const limit = this.reservation.limit(this.#wal.flushed);
    const wanted = Math.max(1, Math.min(count, MAX_RESERVE));
    let first = 0;
    let given = 0;
    while (given < wanted && this.procs.nextXid < limit) {
      const next = this.procs.nextXid;
      if (given > 0 && next !== first + given) break;
      const xid = this.procs.allocate();
      if (given === 0) first = xid;
      instance.addXid(xid);
      given++;
    }
    if (given === 0) this.#starving.push({ instance, count });
    else {
      const warned = first >= this.oldestXid + XID_WARN_DISTANCE;
      const left = warned ? this.oldestXid + XID_WRAP_DISTANCE - first : 0;
      instance.put({ op: 'xidsReserved', first, count: given, left, db: warned ? this.oldestXidDB : 0 });
    }
  }

  /** WAL that somebody waits for. */
  get flushWanted(): number {
    return Math.max(this.commits.flushWanted, this.#starving.length > 0 ? this.reservation.flushWanted : 0);
  }

  #feed(): void {
    const starving = this.#starving;
    this.#starving = [];
    for (const { instance, count } of starving) if (!instance.dead) this.reserve(instance, count);
  }

  /** Why no transaction may begin to write now. */
  #refusal(): Omit<Extract<DownOp, { op: 'reserveFailed' }>, 'op'> | undefined {
    if (this.#wal.diskFull && this.#wal.room < LOW_ROOM_BYTES) {
      return {
        sqlstate: ERRCODE.DISK_FULL,
        message: 'could not extend WAL: No space left on device',
        hint: 'Check free disk space.',
        db: 0,
      };
    }
    const { nextXid } = this.procs;
    if (nextXid >= this.oldestXid + XID_STOP_DISTANCE) {
      return {
        sqlstate: ERRCODE.PROGRAM_LIMIT_EXCEEDED,
        message: 'database is not accepting commands to avoid wraparound data loss in database',
        hint: XID_STOP_HINT,
        db: this.oldestXidDB,
      };
    }
    if (nextXid >= this.#warnAt) {
      this.#warnAt = nextXid + XID_WARN_EVERY;
      const left = this.oldestXid + XID_WRAP_DISTANCE - nextXid;
      this.#log.write('WARNING', `database with OID ${this.oldestXidDB} must be vacuumed within ${left} transactions`, {
        hint: XID_WARN_HINT,
      });
    }
    return undefined;
  }

  /** All databases were vacuumed so far (vac_truncate_clog): outcomes of older ids are asked for by nobody. */
  async advanceOldestXid(xid: TransactionId, db: Oid): Promise<void> {
    const oldest = fullFromXid(xid, this.procs.nextXid as FullTransactionId);
    // It is the database that may have changed, too: which one holds the others back.
    if (oldest === this.oldestXid) this.oldestXidDB = db;
    if (oldest <= this.oldestXid || oldest > this.procs.oldestRunning) return;
    const before = clogSegment(xidFromFull(this.oldestXid as FullTransactionId));
    this.oldestXid = oldest;
    this.oldestXidDB = db;
    this.#warnAt = Math.max(oldest + XID_WARN_DISTANCE, this.procs.nextXid);
    if (clogSegment(xid) === before) return;
    // Durable before a file goes: replay must not look for what is gone.
    const page = transactionIdToPage(xid);
    const truncated = encodeClogTruncate(page, xid, db);
    await this.#wal.flush(this.#insert.own(RM_CLOG_ID, CLOG_TRUNCATE, 0 as TransactionId, truncated));
    const last = transactionIdToPage(xidFromFull(this.reservation.until as FullTransactionId));
    try {
      await this.#clog.truncate(this.#disk, page, last);
    } catch (error) {
      if (!(error instanceof DiskError)) throw error;
      // The next time takes it along.
      this.#log.write('WARNING', `could not remove file "${error.path}": ${error.message}`);
    }
  }

  /** Names the batch's last id in WAL, behind its page of pg_xact (ExtendCLOG). */
  #logReservation(first: number, last: number): number {
    const page = transactionIdToPage(xidFromFull(first as FullTransactionId));
    if (first % CLOG_XACTS_PER_PAGE === 0 || !this.#clog.has(page)) {
      this.#insert.own(RM_CLOG_ID, CLOG_ZEROPAGE, 0 as TransactionId, encodeClogZeroPage(page));
      this.#clog.zero(page);
    }
    return this.#insert.own(RM_XLOG_ID, XLOG_NOOP, xidFromFull(last as FullTransactionId), new Uint8Array(0));
  }

  /** Unused ids come back and are burned. */
  returned(instance: Instance, first: number, count: number): void {
    for (let xid = first; xid < first + count; xid++) {
      if (!instance.xids.has(xid) || this.#assigned.has(xid)) continue;
      this.#clog.setStatus(xidFromFull(xid as FullTransactionId), TRANSACTION_STATUS_ABORTED, 0);
      this.#over(instance, xid);
    }
  }

  assigned(instance: Instance, op: Up<'xidAssigned'>): void {
    if (instance.xids.has(op.fxid)) {
      this.#assigned.set(op.fxid, { instance, pid: op.owner });
    }
  }

  ownerOf(fxid: number): LockOwner<Instance> | undefined {
    const assigned = this.#assigned.get(fxid);
    return assigned === undefined ? undefined : this.locks.owner(assigned.pid, assigned.instance);
  }

  #over(instance: Instance | undefined, xid: number): void {
    this.procs.end(xid);
    instance?.removeXid(xid);
    this.#assigned.delete(xid);
    this.locks.transactionEnded(xid);
  }

  // ---- snapshots -----------------------------------------------------------------------------------

  readonly #joining = new JoiningInstances<Instance>();

  snapshotAsked(instance: Instance): void {
    if (this.#joining.asked(instance, this.#instances, other => this.#recall(other))) this.#sendSnapshot(instance);
  }

  /** Sends a snapshot that the instance may use until it is recalled. */
  #sendSnapshot(instance: Instance): void {
    const snapshot = this.procs.snapshot();
    instance.put({
      op: 'snapshot',
      csn: snapshot.csn,
      xmin: snapshot.xmin,
      xmax: snapshot.xmax,
      xip: snapshot.xip,
      oldestXmin: this.procs.oldestXmin,
      invals: this.#invals.since(instance.invalidatedCsn),
    });
    instance.invalidatedCsn = snapshot.csn;
    instance.pin.granted(snapshot);
    instance.snapshot.sent();
    instance.snapshotDue = false;
    if (this.commits.mustRecall(instance, this.#instances)) this.#recall(instance);
  }

  snapshotAcked(instance: Instance): void {
    if (instance.snapshot.acked()) this.settleCommits();
  }

  #recall(instance: Instance): void {
    instance.snapshot.recalled();
    instance.put({ op: 'recallSnapshot' });
  }

  // ---- commit --------------------------------------------------------------------------------------

  commit(instance: Instance, op: Up<'commit'>): void {
    const ids = [op.fxid, ...op.children];
    mustBeUndecided(instance, ids);
    const lsn = this.#insert.fromInstance(instance, op.seq, op.record);
    for (const id of ids) instance.sealXid(id);
    this.commits.add({
      instance,
      home: instance,
      hadSnapshot: instance.snapshot.granted,
      reqId: op.reqId,
      owner: op.owner,
      fxid: op.fxid,
      children: op.children,
      lsn,
      sync: op.sync !== 0,
      drop: op.drop,
      invals: op.invals.length === 0 ? op.invals : Uint8Array.from(op.invals),
    });
    for (const holder of this.#instances) if (this.commits.mustRecall(holder, this.#instances)) this.#recall(holder);
  }

  /** Rows of catalogs were overwritten in place, which no commit tells of: others hear of it with their next snapshot. */
  invalidated(sender: Instance, invals: Uint8Array): void {
    this.procs.committed();
    this.#invals.add(this.procs.csn, invals);
    for (const instance of this.#instances)
      if (instance !== sender && instance.snapshot.granted) this.#recall(instance);
  }

  readonly #settledWaiters: { readonly lsn: number; resolve(): void }[] = [];

  /** Resolves when every commit sequenced before `lsn` is visible. */
  settledBefore(lsn: number): Promise<void> {
    if (!this.commits.pendingBefore(lsn)) return Promise.resolve();
    return new Promise(resolve => this.#settledWaiters.push({ lsn, resolve }));
  }

  /** Until then no commit becomes visible: a fenced instance may still show what was visible before. */
  #heldUntilMs = 0;

  holdCommits(untilMs: number): void {
    this.#heldUntilMs = Math.max(this.#heldUntilMs, untilMs);
  }

  /** Makes visible whatever may be: after a flush, an answer to a recall, a death, an async commit. */
  settleCommits(): void {
    const held = this.#heldUntilMs > 0 && this.#clock.nowMs() < this.#heldUntilMs;
    while (!held) {
      const commit = this.commits.next(this.#wal.flushed, this.#instances);
      if (commit === undefined) break;
      this.#makeVisible(commit);
    }
    // Who gave its snapshot back gets one that it may keep, or asks when it needs one sooner.
    for (const instance of this.#instances)
      if (instance.snapshotDue && (instance.snapshot.granted || this.commits.length === 0))
        this.#sendSnapshot(instance);
    for (const instance of this.#joining.ready(this.#instances)) this.#sendSnapshot(instance);
    this.#answer();
    if (this.#starving.length > 0) this.#feed();
    for (let n = this.#settledWaiters.length - 1; n >= 0; n--) {
      if (!this.commits.pendingBefore(this.#settledWaiters[n]!.lsn)) this.#settledWaiters.splice(n, 1)[0]!.resolve();
    }
  }

  readonly #answers: { readonly instance: Instance; readonly reqId: number; readonly lsn: number }[] = [];

  #answer(): void {
    if (this.#answers.length > 0) void this.#failpoint('commit-before-answer');
    for (const { instance, reqId, lsn } of this.#answers) instance.put({ op: 'committed', reqId, lsn });
    this.#answers.length = 0;
  }

  #makeVisible(commit: Commit): void {
    const { instance, home, fxid, children, lsn } = commit;
    // One step: what happens here may end the process, not hold it up.
    void this.#failpoint('commit-before-visible');
    // Only what is not durable yet holds back writing the page of pg_xact.
    const flushBefore = lsn > this.#wal.flushed ? lsn : 0;
    if (flushBefore > 0) this.#onAsyncCommit(lsn);
    for (const child of children) {
      this.#clog.setStatus(xidFromFull(child as FullTransactionId), TRANSACTION_STATUS_COMMITTED, flushBefore);
    }
    this.#clog.setStatus(xidFromFull(fxid as FullTransactionId), TRANSACTION_STATUS_COMMITTED, flushBefore);
    for (const child of children) this.#finish(instance, child, true);
    this.#finish(instance, fxid, true);
    this.procs.committed();
    this.#invals.add(this.procs.csn, commit.invals);
    if (commit.drop.length > 0) this.#files.drop(commit.drop);
    this.locks.releaseAll(this.locks.owner(commit.owner, home), instance === undefined);
    if (instance === undefined) {
      if (!this.commits.some(other => other.home === home)) this.locks.instanceDied(home);
      return;
    }
    if (instance.snapshot.granted || commit.hadSnapshot) instance.snapshotDue = true;
    this.#answers.push({ instance, reqId: commit.reqId, lsn });
  }

  #finish(instance: Instance | undefined, fxid: number, committed: boolean): void {
    if (committed) this.#files.keepCreated(fxid);
    else this.#files.dropCreated(fxid);
    this.#over(instance, fxid);
  }

  /** Everybody was told about invalidations up to the oldest csn anybody was told. */
  forgetInvalidations(): void {
    this.#forgetTold();
    if (this.#invals.lengthBytes <= MAX_UNTOLD_BYTES) return;
    // Who takes no snapshots hears of them with one that it has not asked for.
    for (const instance of this.#instances)
      if (instance.invalidatedCsn < this.procs.csn && !instance.snapshot.held) this.snapshotAsked(instance);
    this.#forgetTold();
  }

  #forgetTold(): void {
    let told = this.procs.csn;
    for (const instance of this.#instances) told = Math.min(told, instance.invalidatedCsn);
    this.#invals.forget(told);
  }

  // ---- abort ---------------------------------------------------------------------------------------

  abort(instance: Instance, op: Up<'abort'>): void {
    mustBeUndecided(instance, [op.fxid, ...op.children]);
    if (op.record.length > 0) this.#insert.fromInstance(instance, op.seq, op.record);
    for (const child of op.children) this.#abortOne(instance, child);
    this.#abortOne(instance, op.fxid);
    if (op.top) this.locks.releaseAll(this.locks.owner(op.owner, instance), false);
  }

  #abortOne(instance: Instance, fxid: number): void {
    this.#clog.setStatus(xidFromFull(fxid as FullTransactionId), TRANSACTION_STATUS_ABORTED, 0);
    this.#finish(instance, fxid, false);
  }

  /** What the dead instance's sequenced commits decided stands; the rest is aborted (invariant 13). Whoever
   *  gets a lock must see what its last holder did, so those of commits that are not visible yet stay until
   *  they are; and so do the instance's relation tokens, of which only it knew who used them. */
  instanceDied(instance: Instance): void {
    const decided = new Set<number>();
    const committing = new Set<number>();
    this.commits.orphan(instance, commit => {
      committing.add(commit.owner);
      decided.add(commit.fxid);
      for (const child of commit.children) decided.add(child);
    });
    for (const fxid of [...instance.xids]) {
      if (decided.has(fxid)) continue;
      if (this.#assigned.has(fxid)) this.#logAbort(fxid);
      this.#clog.setStatus(xidFromFull(fxid as FullTransactionId), TRANSACTION_STATUS_ABORTED, 0);
      this.#finish(instance, fxid, false);
    }
    this.locks.instanceDied(instance, committing);
    this.procs.unpin(instance.pin);
  }

  #logAbort(fxid: number): void {
    const fields = { wallMicros: this.#clock.wallMicros(), children: [] };
    this.#insert.own(
      RM_XACT_ID,
      XLOG_XACT_ABORT | xactEndInfo(fields),
      xidFromFull(fxid as FullTransactionId),
      xactEndBody(fields),
    );
  }
}

/** The sequencer alone decides, and once: no end may follow a commit that was sequenced. */
function mustBeUndecided(instance: Instance, ids: readonly number[]): void {
  for (const id of ids)
    if (!instance.undecided(id)) throw new ProtocolViolation(`end of transaction ${id}, which it does not run`);
}
