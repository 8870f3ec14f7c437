/**
 * Who sees a tuple: PostgreSQL's heapam_visibility.c.
 *
 * Outcomes of transactions found on the way are kept in the tuple as hint bits, whatever token the
 * page is held under: they are never logged and travel only with pages that real records changed.
 * "In progress" may be stale and is never hinted.
 *
 * Answers: 1 visible, 0 not, MISS when the outcome of a transaction must be asked for first.
 *
 * Where xmax is a multixact, the member that updates or deletes decides; its outcome is never hinted, because
 * lockers beside it may outlive it.
 */
import { assert } from '@pgtroupe/common/assert';
import { notSupported } from '@pgtroupe/common/ereport';
import { type CommandId, type TransactionId, transactionIdPrecedes } from '@pgtroupe/common/ids';
import { MISS } from '@pgtroupe/storage/buffer/pages';
import {
  type Snapshot,
  XACT_ABORTED,
  XACT_COMMITTED,
  XACT_IN_PROGRESS,
  type XactStatus,
  type XactView,
} from '@pgtroupe/transam/xactview';
import {
  getCtidBlock,
  getCtidOffset,
  getInfomask,
  getRawCommandId,
  getRawXmax,
  getRawXmin,
  HEAP_COMBOCID,
  HEAP_MOVED,
  HEAP_XMAX_COMMITTED,
  HEAP_XMAX_INVALID,
  HEAP_XMAX_IS_MULTI,
  HEAP_XMIN_COMMITTED,
  HEAP_XMIN_FROZEN,
  HEAP_XMIN_INVALID,
  INVALID_COMMAND_ID,
  type TupleMemory,
  xmaxIsLockedOnly,
  xmaxIsLockedUpgraded,
} from '../common/htup.ts';
import {
  type HeapContext,
  TM_BEING_MODIFIED,
  TM_DELETED,
  TM_INVISIBLE,
  TM_OK,
  TM_SELF_MODIFIED,
  TM_UPDATED,
  type TmResult,
} from './heapam-context.ts';
import { multiXactGetUpdateXid, multiXactIsRunning } from './heapam-multixact.ts';

/** Snapshots that are a rule rather than a moment. */
export interface SpecialSnapshot {
  readonly special: 'self' | 'any' | 'dirty';
}
/** What is committed now, or my own, up to this very command. */
export const SNAPSHOT_SELF: SpecialSnapshot = { special: 'self' };
/** Everything that has storage. */
export const SNAPSHOT_ANY: SpecialSnapshot = { special: 'any' };
/** As SELF, and what others are doing: HeapContext.dirtyXmin and dirtyXmax name them. */
export const SNAPSHOT_DIRTY: SpecialSnapshot = { special: 'dirty' };
export type HeapSnapshot = Snapshot | SpecialSnapshot;

/** Answers of heapTupleSatisfiesVacuum. */
export const HEAPTUPLE_DEAD = 0;
export const HEAPTUPLE_LIVE = 1;
export const HEAPTUPLE_RECENTLY_DEAD = 2;
export const HEAPTUPLE_INSERT_IN_PROGRESS = 3;
export const HEAPTUPLE_DELETE_IN_PROGRESS = 4;

function setHint(mem: TupleMemory, tup: number, bit: number): void {
  mem.u16[(tup + 20) >>> 1]! |= bit;
}

/** The inserting command, if the inserting transaction is mine. */
export function getCmin(x: XactView, mem: TupleMemory, tup: number): CommandId {
  const cid = getRawCommandId(mem, tup) as CommandId;
  return (getInfomask(mem, tup) & HEAP_COMBOCID) !== 0 ? x.cminOf(cid) : cid;
}

/** The deleting command, if the deleting transaction is mine. */
function getCmax(x: XactView, mem: TupleMemory, tup: number): CommandId {
  const cid = getRawCommandId(mem, tup) as CommandId;
  return (getInfomask(mem, tup) & HEAP_COMBOCID) !== 0 ? x.cmaxOf(cid) : cid;
}

/** The transaction that updated or deleted the tuple; 0 when it was only locked. MISS: the multixact is not known. */
export function getUpdateXid(x: XactView, mem: TupleMemory, tup: number): TransactionId | -1 {
  const mask = getInfomask(mem, tup);
  if ((mask & HEAP_XMAX_INVALID) !== 0 || xmaxIsLockedOnly(mask)) return 0 as TransactionId;
  return updaterOf(x, mem, tup, mask);
}

/** The same where xmax is known to hold an update. */
function updaterOf(x: XactView, mem: TupleMemory, tup: number, mask: number): TransactionId | -1 {
  const xmax = getRawXmax(mem, tup);
  return (mask & HEAP_XMAX_IS_MULTI) !== 0 ? multiXactGetUpdateXid(x, xmax) : xmax;
}

/** `getUpdateXid` of a tuple whose multixact was asked for before, in the same attempt. */
export function knownUpdateXid(x: XactView, mem: TupleMemory, tup: number): TransactionId {
  const xid = getUpdateXid(x, mem, tup);
  assert(xid !== MISS, 'the members are known');
  return xid;
}

/** Nobody deletes or updates it now: xmax is absent or (was) only a locker. */
function xmaxIsHarmless(mask: number): boolean {
  return (mask & HEAP_XMAX_INVALID) !== 0 || xmaxIsLockedOnly(mask);
}

function refuseOldForms(mask: number): void {
  if ((mask & HEAP_MOVED) !== 0) throw notSupported('a row moved by VACUUM FULL of a PostgreSQL before 9.0');
}

/**
 * Outcome of xmin where its hint bits are not set and it is not mine; sets them.
 * In-progress is its own answer: callers decide what it means.
 */
function resolveXmin(x: XactView, mem: TupleMemory, tup: number): XactStatus | -1 {
  const status = x.status(getRawXmin(mem, tup));
  if (status === XACT_COMMITTED) setHint(mem, tup, HEAP_XMIN_COMMITTED);
  else if (status === XACT_ABORTED) setHint(mem, tup, HEAP_XMIN_INVALID);
  return status;
}

/** The same for an updating or deleting xmax, or member of it. */
function resolveXmax(x: XactView, mem: TupleMemory, tup: number, mask: number, xmax: TransactionId): XactStatus | -1 {
  const status = x.status(xmax);
  if ((mask & HEAP_XMAX_IS_MULTI) !== 0) return status;
  if (status === XACT_COMMITTED) setHint(mem, tup, HEAP_XMAX_COMMITTED);
  else if (status === XACT_ABORTED) setHint(mem, tup, HEAP_XMAX_INVALID);
  return status;
}

// ---- MVCC ------------------------------------------------------------------------------------------

export function heapTupleSatisfiesMVCC(x: XactView, snapshot: Snapshot, mem: TupleMemory, tup: number): number {
  const mask = mem.u16[(tup + 20) >>> 1]!;
  if ((mask & HEAP_XMIN_COMMITTED) === 0) {
    const seen = unhintedXminVisible(x, snapshot, mem, tup, mask);
    if (seen !== DECIDE_BY_XMAX) return seen;
  } else if (
    (mask & HEAP_XMIN_FROZEN) !== HEAP_XMIN_FROZEN &&
    x.inSnapshot(mem.u32[tup >>> 2] as TransactionId, snapshot)
  ) {
    return 0;
  }
  if ((mask & HEAP_XMAX_INVALID) !== 0) return 1;
  return committedXminVisible(x, snapshot, mem, tup, mask);
}

/** Internal: xmin is visible, look at xmax. */
const DECIDE_BY_XMAX = 2;

function unhintedXminVisible(x: XactView, snapshot: Snapshot, mem: TupleMemory, tup: number, mask: number): number {
  if ((mask & HEAP_XMIN_INVALID) !== 0) return 0;
  refuseOldForms(mask);
  const xmin = getRawXmin(mem, tup);
  if (x.isCurrent(xmin)) {
    if (getCmin(x, mem, tup) >= snapshot.curcid) return 0;
    if (xmaxIsHarmless(mask)) return 1;
    const xmax = updaterOf(x, mem, tup, mask);
    if (xmax === MISS) return MISS;
    if (!x.isCurrent(xmax)) {
      undoneByMe(mem, tup, mask);
      return 1;
    }
    return getCmax(x, mem, tup) >= snapshot.curcid ? 1 : 0;
  }
  if (x.inSnapshot(xmin, snapshot)) return 0;
  const status = resolveXmin(x, mem, tup);
  if (status === XACT_COMMITTED) return DECIDE_BY_XMAX;
  return status === MISS ? MISS : 0;
}

/** Deleted by a subtransaction of mine that was rolled back. */
function undoneByMe(mem: TupleMemory, tup: number, mask: number): void {
  if ((mask & HEAP_XMAX_IS_MULTI) === 0) setHint(mem, tup, HEAP_XMAX_INVALID);
}

function committedXminVisible(x: XactView, snapshot: Snapshot, mem: TupleMemory, tup: number, mask: number): number {
  if (xmaxIsLockedOnly(mask)) return 1;
  const xmax = updaterOf(x, mem, tup, mask);
  if (xmax === MISS) return MISS;
  if ((mask & HEAP_XMAX_COMMITTED) !== 0) return x.inSnapshot(xmax, snapshot) ? 1 : 0;
  if (x.isCurrent(xmax)) return getCmax(x, mem, tup) >= snapshot.curcid ? 1 : 0;
  if (x.inSnapshot(xmax, snapshot)) return 1;
  const status = resolveXmax(x, mem, tup, mask, xmax);
  if (status === XACT_COMMITTED) return 0;
  return status === MISS ? MISS : 1;
}

// ---- special snapshots -----------------------------------------------------------------------------

export function heapTupleSatisfiesVisibility(ctx: HeapContext, snapshot: HeapSnapshot, tup: number): number {
  if (!('special' in snapshot)) return heapTupleSatisfiesMVCC(ctx.xact, snapshot, ctx.pages.mem, tup);
  if (snapshot.special === 'any') return 1;
  return satisfiesNow(ctx, tup, snapshot.special === 'dirty');
}

/** SELF and DIRTY: what is so at this moment. */
function satisfiesNow(ctx: HeapContext, tup: number, dirty: boolean): number {
  const x = ctx.xact;
  const { mem } = ctx.pages;
  const mask = getInfomask(mem, tup);
  ctx.dirtyXmin = 0 as TransactionId;
  ctx.dirtyXmax = 0 as TransactionId;
  if ((mask & HEAP_XMIN_COMMITTED) === 0) {
    if ((mask & HEAP_XMIN_INVALID) !== 0) return 0;
    refuseOldForms(mask);
    if (x.isCurrent(getRawXmin(mem, tup))) {
      if (xmaxIsHarmless(mask)) return 1;
      const xmax = updaterOf(x, mem, tup, mask);
      if (xmax === MISS) return MISS;
      if (x.isCurrent(xmax)) return 0;
      undoneByMe(mem, tup, mask);
      return 1;
    }
    const status = resolveXmin(x, mem, tup);
    if (status === MISS) return MISS;
    if (status === XACT_ABORTED) return 0;
    if (status === XACT_IN_PROGRESS) {
      if (!dirty) return 0;
      ctx.dirtyXmin = getRawXmin(mem, tup);
      ctx.waitFxid = ctx.full(ctx.dirtyXmin);
      ctx.waitTuple = undefined;
      return 1;
    }
  }
  if ((mask & HEAP_XMAX_INVALID) !== 0) return 1;
  if ((mask & HEAP_XMAX_COMMITTED) !== 0) return xmaxIsLockedOnly(mask) ? 1 : 0;
  if (xmaxIsLockedOnly(mask)) return 1;
  const xmax = updaterOf(x, mem, tup, mask);
  if (xmax === MISS) return MISS;
  if (x.isCurrent(xmax)) return 0;
  const status = resolveXmax(x, mem, tup, mask, xmax);
  if (status === MISS) return MISS;
  if (status === XACT_IN_PROGRESS && dirty) {
    ctx.dirtyXmax = xmax;
    ctx.waitFxid = ctx.full(ctx.dirtyXmax);
    ctx.waitTuple = undefined;
  }
  return status === XACT_COMMITTED ? 0 : 1;
}

// ---- for changing the tuple ------------------------------------------------------------------------

/** May the current command change the tuple? TmResult, or MISS. */
export function heapTupleSatisfiesUpdate(
  x: XactView,
  curcid: CommandId,
  mem: TupleMemory,
  tup: number,
  blk: number,
  offnum: number,
): TmResult | -1 {
  const mask = getInfomask(mem, tup);
  if ((mask & HEAP_XMIN_COMMITTED) === 0) {
    if ((mask & HEAP_XMIN_INVALID) !== 0) return TM_INVISIBLE;
    refuseOldForms(mask);
    if (x.isCurrent(getRawXmin(mem, tup))) return updateOfMine(x, curcid, mem, tup, mask);
    const status = resolveXmin(x, mem, tup);
    if (status === MISS) return MISS;
    if (status !== XACT_COMMITTED) return TM_INVISIBLE;
  }
  if ((mask & HEAP_XMAX_INVALID) !== 0) return TM_OK;
  const lockedOnly = xmaxIsLockedOnly(mask);
  if ((mask & HEAP_XMAX_COMMITTED) !== 0) {
    if (lockedOnly) return TM_OK;
    return hasSuccessor(mem, tup, blk, offnum) ? TM_UPDATED : TM_DELETED;
  }
  if ((mask & HEAP_XMAX_IS_MULTI) !== 0) return updateOfMulti(x, curcid, mem, tup, blk, offnum, lockedOnly);
  const xmax = getRawXmax(mem, tup);
  if (x.isCurrent(xmax)) {
    if (lockedOnly) return TM_BEING_MODIFIED;
    return getCmax(x, mem, tup) >= curcid ? TM_SELF_MODIFIED : TM_INVISIBLE;
  }
  const status = x.status(xmax);
  if (status === MISS) return MISS;
  if (status === XACT_IN_PROGRESS) return TM_BEING_MODIFIED;
  if (status === XACT_ABORTED || lockedOnly) {
    setHint(mem, tup, HEAP_XMAX_INVALID);
    return TM_OK;
  }
  setHint(mem, tup, HEAP_XMAX_COMMITTED);
  return hasSuccessor(mem, tup, blk, offnum) ? TM_UPDATED : TM_DELETED;
}

/** Its insertion is committed; xmax is a multixact. */
function updateOfMulti(
  x: XactView,
  curcid: CommandId,
  mem: TupleMemory,
  tup: number,
  blk: number,
  offnum: number,
  lockedOnly: boolean,
): TmResult | -1 {
  const multi = getRawXmax(mem, tup);
  const updater = lockedOnly ? 0 : multiXactGetUpdateXid(x, multi);
  if (updater === MISS) return MISS;
  if (updater !== 0 && x.isCurrent(updater as TransactionId))
    return getCmax(x, mem, tup) >= curcid ? TM_SELF_MODIFIED : TM_INVISIBLE;
  const running = xmaxIsLockedUpgraded(getInfomask(mem, tup)) ? 0 : multiXactIsRunning(x, multi);
  if (running !== 0) return running === MISS ? MISS : TM_BEING_MODIFIED;
  if (updater !== 0 && x.status(updater as TransactionId) === XACT_COMMITTED)
    return hasSuccessor(mem, tup, blk, offnum) ? TM_UPDATED : TM_DELETED;
  setHint(mem, tup, HEAP_XMAX_INVALID);
  return TM_OK;
}

function updateOfMine(x: XactView, curcid: CommandId, mem: TupleMemory, tup: number, mask: number): TmResult | -1 {
  if (getCmin(x, mem, tup) >= curcid) return TM_INVISIBLE;
  if ((mask & HEAP_XMAX_INVALID) !== 0) return TM_OK;
  const multi = (mask & HEAP_XMAX_IS_MULTI) !== 0;
  const raw = getRawXmax(mem, tup);
  if (xmaxIsLockedOnly(mask)) {
    // Others may have locked the version that this one replaced; or I do.
    if (multi) {
      const running = multiXactIsRunning(x, raw);
      return running === MISS ? MISS : running === 1 ? TM_BEING_MODIFIED : TM_OK;
    }
    if (x.isCurrent(raw)) return TM_BEING_MODIFIED;
    const status = x.status(raw);
    if (status === MISS) return MISS;
    return status === XACT_IN_PROGRESS ? TM_BEING_MODIFIED : TM_OK;
  }
  const xmax = updaterOf(x, mem, tup, mask);
  if (xmax === MISS) return MISS;
  if (!x.isCurrent(xmax)) {
    undoneByMe(mem, tup, mask);
    const running = multi ? multiXactIsRunning(x, raw) : 0;
    return running === MISS ? MISS : running === 1 ? TM_BEING_MODIFIED : TM_OK;
  }
  return getCmax(x, mem, tup) >= curcid ? TM_SELF_MODIFIED : TM_INVISIBLE;
}

function hasSuccessor(mem: TupleMemory, tup: number, blk: number, offnum: number): boolean {
  return getCtidBlock(mem, tup) !== blk || getCtidOffset(mem, tup) !== offnum;
}

// ---- for vacuum ------------------------------------------------------------------------------------

/**
 * Is the tuple of any use to anybody? DEAD: to no one, and may be removed; RECENTLY_DEAD: deleted, but
 * some snapshot may still want it.
 */
export function heapTupleSatisfiesVacuum(
  x: XactView,
  oldestXmin: TransactionId,
  mem: TupleMemory,
  tup: number,
): number {
  const mask = getInfomask(mem, tup);
  if ((mask & HEAP_XMIN_COMMITTED) === 0) {
    if ((mask & HEAP_XMIN_INVALID) !== 0) return HEAPTUPLE_DEAD;
    refuseOldForms(mask);
    if (x.isCurrent(getRawXmin(mem, tup))) return vacuumOfMine(x, mem, tup, mask);
    const status = resolveXmin(x, mem, tup);
    if (status === MISS) return MISS;
    if (status === XACT_IN_PROGRESS) return HEAPTUPLE_INSERT_IN_PROGRESS;
    if (status === XACT_ABORTED) return HEAPTUPLE_DEAD;
  }
  if ((mask & HEAP_XMAX_INVALID) !== 0) return HEAPTUPLE_LIVE;
  if (xmaxIsLockedOnly(mask)) return clearFinishedLocker(x, mem, tup, mask);
  const xmax = updaterOf(x, mem, tup, mask);
  if (xmax === MISS) return MISS;
  if ((mask & HEAP_XMAX_COMMITTED) === 0) {
    if (x.isCurrent(xmax)) return HEAPTUPLE_DELETE_IN_PROGRESS;
    const status = resolveXmax(x, mem, tup, mask, xmax);
    if (status === MISS) return MISS;
    if (status === XACT_IN_PROGRESS) return HEAPTUPLE_DELETE_IN_PROGRESS;
    if (status === XACT_ABORTED) {
      if ((mask & HEAP_XMAX_IS_MULTI) === 0) return HEAPTUPLE_LIVE;
      return clearFinishedLocker(x, mem, tup, mask);
    }
  }
  return transactionIdPrecedes(xmax, oldestXmin) ? HEAPTUPLE_DEAD : HEAPTUPLE_RECENTLY_DEAD;
}

function vacuumOfMine(x: XactView, mem: TupleMemory, tup: number, mask: number): number {
  if (xmaxIsHarmless(mask)) return HEAPTUPLE_INSERT_IN_PROGRESS;
  const xmax = updaterOf(x, mem, tup, mask);
  if (xmax === MISS) return MISS;
  return x.isCurrent(xmax) ? HEAPTUPLE_DELETE_IN_PROGRESS : HEAPTUPLE_INSERT_IN_PROGRESS;
}

/** Nobody updates it: is anybody left who locks it? */
function clearFinishedLocker(x: XactView, mem: TupleMemory, tup: number, mask: number): number {
  if ((mask & HEAP_XMAX_COMMITTED) !== 0) return HEAPTUPLE_LIVE;
  const xmax = getRawXmax(mem, tup);
  if ((mask & HEAP_XMAX_IS_MULTI) === 0) {
    const status = x.isCurrent(xmax) ? XACT_IN_PROGRESS : x.status(xmax);
    if (status === MISS) return MISS;
    if (status === XACT_IN_PROGRESS) return HEAPTUPLE_LIVE;
  } else if (!xmaxIsLockedUpgraded(mask)) {
    const running = multiXactIsRunning(x, xmax);
    if (running === MISS) return MISS;
    if (running === 1) return HEAPTUPLE_LIVE;
  }
  setHint(mem, tup, HEAP_XMAX_INVALID);
  return HEAPTUPLE_LIVE;
}

/** Dead to everyone, judged by hint bits alone: enough to mark an index entry dead. */
export function heapTupleIsSurelyDead(mem: TupleMemory, tup: number, oldestXmin: TransactionId): boolean {
  const mask = getInfomask(mem, tup);
  if ((mask & HEAP_XMIN_COMMITTED) === 0) return (mask & HEAP_XMIN_INVALID) !== 0;
  if ((mask & HEAP_XMAX_INVALID) !== 0 || xmaxIsLockedOnly(mask)) return false;
  if ((mask & (HEAP_XMAX_IS_MULTI | HEAP_XMAX_COMMITTED)) !== HEAP_XMAX_COMMITTED) return false;
  return transactionIdPrecedes(getRawXmax(mem, tup), oldestXmin);
}

/** Fills the failure fields of `ctx` from a tuple that could not be changed; its multixact was looked at. */
export function reportFailure(ctx: HeapContext, result: TmResult, tup: number): void {
  const { mem } = ctx.pages;
  ctx.ctidBlk = getCtidBlock(mem, tup);
  ctx.ctidOffnum = getCtidOffset(mem, tup);
  ctx.xmax = knownUpdateXid(ctx.xact, mem, tup);
  ctx.cmax = result === TM_SELF_MODIFIED ? getCmax(ctx.xact, mem, tup) : INVALID_COMMAND_ID;
}
