/**
 * One transaction of one session: its ids (with subtransactions), command counter, combo command
 * ids, what it will drop or invalidate, and its end.
 *
 * COMMIT is one message: the record, the children, the files to drop and the
 * invalidations travel together; the answer means durable and visible (visible, if asynchronous). A COMMIT whose answer was
 * lost with the buffer-manager is looked up in pg_xact of the next life, so the client is told
 * exactly what happened.
 */
import type { Env } from '@pgtroupe/actor/env';
import { assert } from '@pgtroupe/common/assert';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import {
  type CommandId,
  FIRST_NORMAL_TRANSACTION_ID,
  type FullTransactionId,
  type Oid,
  type RelFileNode,
  type TransactionId,
  xidFromFull,
} from '@pgtroupe/common/ids';
import type { Attachment } from './attachment.ts';
import type { InstanceLocks, LockOwner } from './instance-locks.ts';
import { MISS } from '@pgtroupe/storage/buffer/pages';
import { sharedMemoryLost } from './instance-kernel.ts';
import type { InstanceMultiXacts } from './instance-multixacts.ts';
import { inSnapshot, type InstanceTransactions } from './instance-transactions.ts';
import type { MultiXactId, MultiXactMember } from '@pgtroupe/transam/multixact';
import { encodeXactAbort, encodeXactCommit } from '@pgtroupe/transam/xactrecord';
import type { RelationCounts } from '@pgtroupe/transam/pgstat_count';
import { RM_XACT_ID } from '@pgtroupe/transam/rmgr';
import type { SessionStat } from './pgstat.ts';
import type { XLogRecordBuilder } from './xlogrecord-builder.ts';
import {
  type Snapshot,
  XACT_ABORTED,
  XACT_COMMITTED,
  type XactStatus,
  type XactView,
} from '@pgtroupe/transam/xactview';

/** What a transaction needs of its instance. */
export interface XactContext {
  readonly env: Env;
  readonly attachment: Attachment;
  readonly shared: InstanceTransactions;
  readonly multixacts: InstanceMultiXacts;
  readonly locks: InstanceLocks;
  readonly wal: XLogRecordBuilder;
  /** Grows when shared memory was lost: whatever began before has failed. */
  readonly life: number;
}

/** The transaction proper is level 0; each savepoint opens one more. */
interface Level {
  readonly name: string;
  fxid: FullTransactionId | 0;
  /** Committed subtransactions below this level. */
  readonly children: FullTransactionId[];
  /** How much of `drops` existed when the level began. */
  readonly dropsBefore: number;
  /** The same of `created`, and of its owner's `taken`. */
  readonly createdBefore: number;
  readonly takenBefore: number;
}

const EMPTY = new Uint8Array(0);

export class Transaction implements XactView {
  readonly #context: XactContext;
  readonly #owner: LockOwner;
  readonly #database: Oid;
  readonly #life: number;
  readonly #levels: Level[];
  #curcid = 0 as CommandId;
  #curcidUsed = false;
  /** Combo command id to its pair, and back. */
  readonly #combos: { readonly cmin: CommandId; readonly cmax: CommandId }[] = [];
  readonly #comboOf = new Map<number, CommandId>();
  /** Files to unlink if this transaction commits. */
  readonly drops: RelFileNode[] = [];
  /** Files this transaction made. */
  readonly created: RelFileNode[] = [];
  /** COMMIT was sent: what becomes of the transaction is the sequencer's to say. */
  #committing = false;
  /** Messages for other instances' catalog caches, sent with the commit. */
  invals: Uint8Array = EMPTY;

  /** Of its session; absent where nobody counts. */
  readonly stat: SessionStat | undefined;
  readonly counts: RelationCounts | undefined;

  /** `counting`: what it does to relations is counted, not only that it ended. */
  constructor(context: XactContext, owner: LockOwner, database: Oid, stat?: SessionStat, counting = true) {
    if (stat !== undefined) stat.inTransaction = true;
    this.stat = stat;
    this.counts = counting ? stat?.tables : undefined;
    this.#context = context;
    this.#owner = owner;
    this.#database = database;
    this.#life = context.life;
    this.#levels = [
      { name: '', fxid: 0 as FullTransactionId, children: [], dropsBefore: 0, createdBefore: 0, takenBefore: 0 },
    ];
  }

  /** Shared memory was lost since this transaction began: it can only be rolled back. */
  get lost(): boolean {
    return this.#life !== this.#context.life;
  }

  /** Before each synchronous stretch of this transaction: its records carry its id. Throws when shared
   *  memory was lost since it began: whatever woke the session up, its id may be another's by now. */
  enter(): void {
    if (this.lost) throw sharedMemoryLost();
    this.#context.wal.xid = this.#top().fxid === 0 ? 0 : xidFromFull(this.#top().fxid as FullTransactionId);
  }

  // ---- XactView --------------------------------------------------------------------------------

  get curcid(): CommandId {
    this.#curcidUsed = true;
    return this.#curcid;
  }

  get oldestXmin(): FullTransactionId {
    return this.#context.shared.oldestXmin;
  }

  get hasXid(): boolean {
    return this.#levels[0]!.fxid !== 0;
  }

  /** The top transaction's id, 0 when none was assigned. */
  get topXid(): FullTransactionId | 0 {
    return this.#levels[0]!.fxid;
  }

  /** Its ids that run: its own and those of its subtransactions. */
  *runningXids(): IterableIterator<FullTransactionId> {
    for (const { fxid, children } of this.#levels) {
      if (fxid === 0) continue;
      yield fxid;
      yield* children;
    }
  }

  /** The innermost subtransaction's id, which was assigned before. */
  get innermostXid(): FullTransactionId {
    const { fxid } = this.#top();
    assert(fxid !== 0, 'the transaction has an id');
    return fxid;
  }

  currentXid(): FullTransactionId | -1 {
    const top = this.#top();
    if (top.fxid !== 0) return top.fxid;
    for (const level of this.#levels) if (level.fxid === 0 && this.#assign(level) === MISS) return MISS;
    this.enter();
    return top.fxid as number as FullTransactionId;
  }

  /** The top transaction's id; one is assigned if there is none yet. */
  assignTopXid(): FullTransactionId | -1 {
    const level = this.#levels[0]!;
    if (level.fxid === 0 && this.#assign(level) === MISS) return MISS;
    this.enter();
    return level.fxid as FullTransactionId;
  }

  /** Those around it have one. */
  #assign(level: Level): FullTransactionId | -1 {
    const fxid = this.#context.shared.takeXid();
    if (fxid === MISS) return MISS;
    level.fxid = fxid as FullTransactionId;
    if (this.#context.shared.xidWarning !== undefined) this.#owner.onXidWarning?.(this.#context.shared.xidWarning);
    this.#context.attachment.putLazily({
      op: 'xidAssigned',
      fxid: level.fxid,
      top: this.#levels[0]!.fxid as FullTransactionId,
      owner: this.#owner.pid,
    });
    return level.fxid;
  }

  isCurrent(xid: TransactionId): boolean {
    if (xid < FIRST_NORMAL_TRANSACTION_ID) return false;
    for (const level of this.#levels) {
      if (level.fxid === 0) continue;
      if (xidFromFull(level.fxid) === xid) return true;
      for (const child of level.children) if (xidFromFull(child) === xid) return true;
    }
    return false;
  }

  status(xid: TransactionId): XactStatus | -1 {
    return this.#context.shared.status(xid);
  }

  confirmRunning(fxid: FullTransactionId): true | -1 {
    return this.#context.shared.confirmRunning(fxid);
  }

  unlockTuple(): void {
    if (this.#owner.tuple !== undefined) this.#context.locks.tuples.release(this.#owner, false);
  }

  inSnapshot(xid: TransactionId, snapshot: Snapshot): boolean {
    if (xid < FIRST_NORMAL_TRANSACTION_ID) return false;
    return inSnapshot(this.#context.shared.full(xid), snapshot);
  }

  multiXactMembers(multi: MultiXactId): readonly MultiXactMember[] | -1 {
    return this.#context.multixacts.membersOf(multi);
  }

  multiXactOf(members: readonly MultiXactMember[]): number {
    return this.#context.multixacts.idOf(members);
  }

  comboCid(cmin: CommandId, cmax: CommandId): CommandId {
    const key = cmin * 0x100000000 + cmax;
    let combo = this.#comboOf.get(key);
    if (combo === undefined) {
      combo = this.#combos.length as CommandId;
      this.#combos.push({ cmin, cmax });
      this.#comboOf.set(key, combo);
    }
    return combo;
  }

  cminOf(combo: CommandId): CommandId {
    return this.#combos[combo]!.cmin;
  }

  cmaxOf(combo: CommandId): CommandId {
    return this.#combos[combo]!.cmax;
  }

  // ---- commands and savepoints -------------------------------------------------------------------

  /** What the finished command wrote becomes visible to the next one. */
  commandCounterIncrement(): void {
    if (!this.#curcidUsed) return;
    this.#curcid = (this.#curcid + 1) as CommandId;
    this.#curcidUsed = false;
  }

  get depth(): number {
    return this.#levels.length;
  }

  defineSavepoint(name: string): void {
    this.#levels.push({
      name,
      fxid: 0 as FullTransactionId,
      children: [],
      dropsBefore: this.drops.length,
      createdBefore: this.created.length,
      takenBefore: this.#owner.taken.length,
    });
    this.#owner.insideSavepoint = true;
    if (this.stat !== undefined) this.stat.tables.nestLevel = this.#levels.length;
  }

  /** Did the innermost subtransaction, or one that became part of it, make this file? */
  createdHere(rnode: RelFileNode): boolean {
    for (let n = this.#top().createdBefore; n < this.created.length; n++) {
      const { spcNode, dbNode, relNode } = this.created[n]!;
      if (spcNode === rnode.spcNode && dbNode === rnode.dbNode && relNode === rnode.relNode) return true;
    }
    return false;
  }

  /** Is there a savepoint of this name? The innermost counts. */
  hasSavepoint(name: string): boolean {
    return this.#levels.some((level, depth) => depth > 0 && level.name === name);
  }

  /** RELEASE: the savepoint and those inside it become part of the level around it. */
  releaseSavepoint(name: string): void {
    let released: Level;
    do {
      released = this.#pop();
      this.#counted(true);
      const parent = this.#top();
      if (released.fxid !== 0) parent.children.push(released.fxid, ...released.children);
    } while (released.name !== name);
    if (this.#levels.length === 1) {
      this.#owner.insideSavepoint = false;
      this.#owner.taken.length = 0;
    }
    this.enter();
  }

  /** ROLLBACK TO: what happened since is undone; the savepoint itself stays. */
  rollbackToSavepoint(name: string): void {
    let undone: Level;
    do {
      undone = this.#pop();
      this.#counted(false);
      this.drops.length = undone.dropsBefore;
      this.created.length = undone.createdBefore;
      if (undone.fxid !== 0 && !this.lost) this.#endAborted(undone, false);
    } while (undone.name !== name);
    if (!this.lost) this.#context.locks.releaseSince(this.#owner, undone.takenBefore);
    this.defineSavepoint(name);
    this.enter();
  }

  // ---- end -----------------------------------------------------------------------------------------

  /** Resolves when the transaction is visible, and its locks are free; when it is durable, too, if `synchronous`, or if
   *  files go with it (RecordTransactionCommit): they must not be gone where the commit is lost. The caller has made
   *  sure that it is not `lost`. */
  async commit(synchronous = true): Promise<void> {
    assert(!this.lost, 'commit of a transaction that was lost with shared memory');
    while (this.#levels.length > 1) this.releaseSavepoint(this.#top().name);
    const { fxid, children } = this.#levels[0]!;
    const { attachment, env, locks, shared, wal } = this.#context;
    locks.tuples.release(this.#owner);
    if (fxid === 0) {
      // Of rows that were overwritten in place.
      if (this.invals.length > 0) attachment.put({ op: 'invalidate', invals: this.invals });
      locks.releaseAll(this.#owner, false);
      this.stat?.transactionEnded(true);
      return;
    }
    wal.xid = xidFromFull(fxid);
    const info = encodeXactCommit(wal, {
      wallMicros: env.clock.wallMicros(),
      database: this.#database,
      children: children.map(xidFromFull),
      drops: this.drops,
    });
    const { seq, record } = wal.form(RM_XACT_ID, info);
    const { epoch } = shared;
    this.#committing = true;
    try {
      const answer = attachment.request(reqId => ({
        op: 'commit',
        reqId,
        owner: this.#owner.pid,
        fxid,
        children,
        sync: synchronous || this.drops.length > 0 ? 1 : 0,
        seq,
        record,
        drop: this.drops,
        invals: this.invals,
      }));
      locks.endSent(this.#owner);
      this.#owner.waitEvent = 'IO/WALSync';
      await answer;
    } catch (lost) {
      if (!(await this.#committedAfterAll(fxid, epoch))) throw lost;
    } finally {
      this.#owner.waitEvent = undefined;
    }
    shared.ended([fxid, ...children], XACT_COMMITTED);
    locks.releaseAll(this.#owner, true);
    this.stat?.transactionEnded(true);
  }

  /** The stream broke between COMMIT and its answer: the next life of the buffer-manager knows. */
  async #committedAfterAll(fxid: FullTransactionId, epoch: number): Promise<boolean> {
    const { attachment, env, shared } = this.#context;
    for (let tries = 0; tries < 600; tries++) {
      if (attachment.attached) {
        try {
          return await shared.lookUpOutcome(fxid, epoch);
        } catch {
          // Lost again; ask the life after that.
        }
      }
      await new Promise<void>(resolve => env.timers.after(50, resolve));
    }
    throw ereport(ERRCODE.TRANSACTION_RESOLUTION_UNKNOWN, 'could not find out whether the transaction was committed', {
      severity: 'FATAL',
    });
  }

  /** An error inside a savepoint: its level is undone at once, so that nobody waits for it, while
   *  the block waits for ROLLBACK [TO]. Returns false at the outermost level. */
  abortInnermost(): boolean {
    if (this.#levels.length === 1) return false;
    const level = this.#top();
    this.stat?.tables.subtransactionEnded(this.#levels.length, false);
    this.drops.length = level.dropsBefore;
    this.created.length = level.createdBefore;
    if (level.fxid !== 0 && !this.lost) this.#endAborted(level, false);
    if (!this.lost) this.#context.locks.releaseSince(this.#owner, level.takenBefore);
    level.fxid = 0 as FullTransactionId;
    level.children.length = 0;
    return true;
  }

  /** Undoes everything. Synchronous; `LockOwner.releasing` tells when others know. */
  abort(): void {
    // Locks of before are gone. What it waited for when its loss was not noticed yet may be of now.
    if (this.lost) {
      while (this.#levels.length > 1) {
        this.#pop();
        this.#counted(false);
      }
      this.#context.locks.releaseAll(this.#owner, false);
      this.stat?.transactionEnded(false);
      return;
    }
    assert(!this.#committing, 'an abort does not overtake a commit');
    this.#context.locks.tuples.release(this.#owner);
    while (this.#levels.length > 1) {
      const level = this.#pop();
      this.#counted(false);
      if (level.fxid !== 0) this.#endAborted(level, false);
    }
    const top = this.#levels[0]!;
    if (top.fxid === 0) this.#context.locks.releaseAll(this.#owner, false);
    else {
      this.#endAborted(top, true);
      this.#context.locks.endSent(this.#owner);
      this.#context.locks.releaseAll(this.#owner, true);
    }
    this.stat?.transactionEnded(false);
  }

  /** The level that was just left has come to its end. */
  #counted(committed: boolean): void {
    if (this.stat === undefined) return;
    const { tables } = this.stat;
    const left = this.#levels.length;
    tables.subtransactionEnded(left + 1, committed);
    tables.nestLevel = left;
  }

  #endAborted(level: Level, top: boolean): void {
    const { attachment, env, locks, shared, wal } = this.#context;
    const fxid = level.fxid as FullTransactionId;
    wal.xid = xidFromFull(fxid);
    const info = encodeXactAbort(wal, {
      wallMicros: env.clock.wallMicros(),
      children: level.children.map(xidFromFull),
    });
    const { seq, record } = wal.form(RM_XACT_ID, info);
    attachment.put({ op: 'abort', owner: this.#owner.pid, fxid, children: level.children, top, seq, record });
    shared.ended([fxid, ...level.children], XACT_ABORTED);
    locks.released(this.#owner);
  }

  #top(): Level {
    return this.#levels[this.#levels.length - 1]!;
  }

  #pop(): Level {
    assert(this.#levels.length > 1, 'no savepoint to leave');
    return this.#levels.pop()!;
  }
}
