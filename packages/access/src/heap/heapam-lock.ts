/**
 * Locking rows: SELECT FOR UPDATE / NO KEY UPDATE / SHARE / KEY SHARE, and finding the latest version
 * of a row that somebody updated meanwhile (heapam_tuple_lock).
 */
import {
  type BlockNumber,
  type CommandId,
  type FullTransactionId,
  MAIN_FORKNUM,
  type TransactionId,
  xidFromFull,
} from '@pgtroupe/common/ids';
import { MISS } from '@pgtroupe/storage/buffer/pages';
import { pageGetItem, pageGetItemId, pageGetMaxOffsetNumber, pageIsAllVisible } from '@pgtroupe/storage/page/bufpage';
import { itemIdIsNormal } from '@pgtroupe/storage/page/itemid';
import { RM_HEAP2_ID, RM_HEAP_ID } from '@pgtroupe/transam/rmgr';
import { XACT_ABORTED, XACT_IN_PROGRESS } from '@pgtroupe/transam/xactview';
import { REGBUF_STANDARD } from '@pgtroupe/transam/xloginsert';
import {
  getInfomask,
  getInfomask2,
  getRawXmax,
  getXmin,
  HEAP_HOT_UPDATED,
  HEAP_KEYS_UPDATED,
  HEAP_XMAX_BITS,
  setCtid,
  setInfomask,
  setInfomask2,
  setXmax,
  xmaxIsLockedOnly,
} from '../common/htup.ts';
import {
  type HeapContext,
  type HeapRelation,
  type LockTupleMode,
  TM_BEING_MODIFIED,
  TM_DELETED,
  TM_INVISIBLE,
  TM_OK,
  TM_SELF_MODIFIED,
  TM_UPDATED,
  type TmResult,
} from './heapam-context.ts';
import { conflictResult, pruned, waitsInTurn } from './heapam-delete.ts';
import {
  computeNewXmax,
  LOCK_FREE,
  LOCK_WAIT,
  newXmax,
  ownsAnyTupleLock,
  ownsTupleLock,
  tupleLockConflict,
} from './heapam-multixact.ts';
import { hasNewerVersion, heapTupleAt, NOT_FOUND } from './heapam-scan.ts';
import {
  getCmin,
  getUpdateXid,
  heapTupleSatisfiesUpdate,
  heapTupleSatisfiesVisibility,
  reportFailure,
  SNAPSHOT_DIRTY,
} from './heapam-visibility.ts';
import {
  computeInfobits,
  put16,
  put32,
  SIZE_OF_HEAP_LOCK,
  VM_BLOCK_ID,
  XLH_LOCK_ALL_FROZEN_CLEARED,
  XLOG_HEAP2_LOCK_UPDATED,
  XLOG_HEAP_LOCK,
  xlogScratch,
} from './heapam-xlog.ts';
import { vmPageToClear } from './hio.ts';
import { vmClearBits, VISIBILITYMAP_ALL_FROZEN } from './visibilitymap.ts';

/**
 * Locks the tuple at (blk, offnum). TmResult, or MISS. TM_OK: ctx.tuple is the tuple. TM_INVISIBLE:
 * this command or a later one of this transaction made it. TM_BEING_MODIFIED: ctx.waitFxid holds it in a mode
 * that conflicts: wait, skip (SKIP LOCKED) or fail (NOWAIT).
 *
 * A version with an update that does not conflict (FOR KEY SHARE beside an update that leaves the key alone) can
 * be locked; with `followUpdates` its successors are locked first, so that none of them loses the key.
 */
export function heapLockTuple(
  ctx: HeapContext,
  rel: HeapRelation,
  blk: number,
  offnum: number,
  cid: CommandId,
  mode: LockTupleMode,
  followUpdates = false,
): TmResult | -1 {
  return ctx.settled(lockTuple(ctx, rel, blk, offnum, cid, mode, followUpdates));
}

function lockTuple(
  ctx: HeapContext,
  rel: HeapRelation,
  blk: number,
  offnum: number,
  cid: CommandId,
  mode: LockTupleMode,
  followUpdates: boolean,
): TmResult | -1 {
  const fxid = ctx.xact.currentXid();
  if (fxid === MISS) return MISS;
  const { pages } = ctx;
  const { mem } = pages;
  const page = pages.exclusive(rel.smgr, MAIN_FORKNUM, blk as BlockNumber);
  if (page === MISS) return MISS;
  if (offnum > pageGetMaxOffsetNumber(mem, page) || !itemIdIsNormal(pageGetItemId(mem, page, offnum)))
    return pruned(ctx, blk, offnum);
  const tup = pageGetItem(mem, page, offnum);
  const result = heapTupleSatisfiesUpdate(ctx.xact, cid, mem, tup, blk, offnum);
  if (result === MISS) return MISS;
  ctx.blk = blk;
  ctx.offnum = offnum;
  ctx.tuple = tup;
  if (result === TM_INVISIBLE || result === TM_SELF_MODIFIED) {
    if (getUpdateXid(ctx.xact, mem, tup) === MISS) return MISS;
    reportFailure(ctx, result, tup);
    return result;
  }
  const xid = xidFromFull(fxid as FullTransactionId);
  if (result !== TM_OK) {
    const owned = ownsTupleLock(ctx.xact, mem, tup, mode);
    if (owned !== 0) return owned === MISS ? MISS : TM_OK;
    const conflict = tupleLockConflict(ctx, tup, mode);
    if (conflict === MISS) return MISS;
    if (conflict !== LOCK_FREE) {
      if (conflict === LOCK_WAIT && waitsInTurn(ctx, rel, tup, blk, offnum, mode) === MISS) return MISS;
      const failure = conflictResult(ctx, conflict, tup, blk, offnum);
      reportFailure(ctx, failure, tup);
      return failure;
    }
    if (followUpdates) {
      const updater = getUpdateXid(ctx.xact, mem, tup);
      if (updater === MISS) return MISS;
      if (updater !== 0 && hasNewerVersion(ctx, tup, blk, offnum)) {
        const chain = heapLockUpdatedTuple(ctx, rel, ctx.ctidBlk, ctx.ctidOffnum, updater, xid, mode);
        if (chain === MISS) return MISS;
        if (chain !== TM_OK) {
          reportFailure(ctx, chain, tup);
          return chain;
        }
        ctx.blk = blk;
        ctx.offnum = offnum;
        ctx.tuple = tup;
      }
    }
  }
  const vm = vmPageToClear(ctx, rel, blk, page);
  if (vm === MISS || computeNewXmax(ctx.xact, mem, tup, xid, mode, false) === MISS) return MISS;

  const { xmax, infomask, infomask2 } = newXmax;
  const lockOnly = xmaxIsLockedOnly(infomask);
  setInfomask(mem, tup, (getInfomask(mem, tup) & ~HEAP_XMAX_BITS) | infomask);
  setInfomask2(
    mem,
    tup,
    (getInfomask2(mem, tup) & ~(HEAP_KEYS_UPDATED | (lockOnly ? HEAP_HOT_UPDATED : 0))) | infomask2,
  );
  setXmax(mem, tup, xmax as TransactionId);
  // With an update among the holders the way to its successor stays.
  if (lockOnly) setCtid(mem, tup, blk, offnum);
  const thawed = thaw(ctx, page, blk, vm);
  logLock(ctx, RM_HEAP_ID, XLOG_HEAP_LOCK, page, tup, offnum, thawed ? vm : -1);
  return TM_OK;
}

/** The page stays all-visible: a lock changes nobody's view. But it is not frozen any more. */
function thaw(ctx: HeapContext, page: number, blk: number, vm: number): boolean {
  const { mem } = ctx.pages;
  return vm >= 0 && pageIsAllVisible(mem, page) && vmClearBits(mem, vm, blk, VISIBILITYMAP_ALL_FROZEN);
}

/** XLOG_HEAP_LOCK and XLOG_HEAP2_LOCK_UPDATED look alike. */
function logLock(
  ctx: HeapContext,
  rmid: number,
  info: number,
  page: number,
  tup: number,
  offnum: number,
  thawedVm: number,
): void {
  const { wal } = ctx;
  const { mem } = ctx.pages;
  put32(0, getRawXmax(mem, tup));
  put16(4, offnum);
  xlogScratch[6] = computeInfobits(getInfomask(mem, tup), getInfomask2(mem, tup));
  xlogScratch[7] = thawedVm >= 0 ? XLH_LOCK_ALL_FROZEN_CLEARED : 0;
  wal.begin();
  wal.registerBuffer(0, page, REGBUF_STANDARD);
  wal.data(xlogScratch, 0, SIZE_OF_HEAP_LOCK);
  if (thawedVm >= 0) wal.registerBuffer(VM_BLOCK_ID, thawedVm, 0);
  wal.insert(rmid, info);
}

/**
 * Locks the versions from (firstBlk, firstOffnum) on, the first one inserted by `priorXmax`
 * (heap_lock_updated_tuple_rec). Each version is a step of its own: after a MISS those that have the lock are
 * passed over. TM_OK, a conflict, or MISS.
 */
function heapLockUpdatedTuple(
  ctx: HeapContext,
  rel: HeapRelation,
  firstBlk: number,
  firstOffnum: number,
  priorXmax: TransactionId,
  xid: TransactionId,
  mode: LockTupleMode,
): TmResult | -1 {
  const { pages } = ctx;
  const { mem } = pages;
  const x = ctx.xact;
  let blk = firstBlk;
  let offnum = firstOffnum;
  let prior = priorXmax;
  for (;;) {
    const page = pages.exclusive(rel.smgr, MAIN_FORKNUM, blk as BlockNumber);
    if (page === MISS) return MISS;
    // Gone, or another row's place by now: its creator was rolled back, and the chain ends before it.
    if (offnum > pageGetMaxOffsetNumber(mem, page) || !itemIdIsNormal(pageGetItemId(mem, page, offnum))) return TM_OK;
    const tup = pageGetItem(mem, page, offnum);
    if (getXmin(mem, tup) !== prior) return TM_OK;
    const inserter = x.isCurrent(prior) ? XACT_IN_PROGRESS : x.status(prior);
    if (inserter === MISS) return MISS;
    if (inserter === XACT_ABORTED) return TM_OK;
    const owned = ownsAnyTupleLock(x, mem, tup);
    if (owned === MISS) return MISS;
    if (owned === 0) {
      const conflict = tupleLockConflict(ctx, tup, mode);
      if (conflict === MISS) return MISS;
      if (conflict !== LOCK_FREE) return conflictResult(ctx, conflict, tup, blk, offnum);
      const vm = vmPageToClear(ctx, rel, blk, page);
      if (vm === MISS || computeNewXmax(x, mem, tup, xid, mode, false) === MISS) return MISS;
      setXmax(mem, tup, newXmax.xmax as TransactionId);
      setInfomask(mem, tup, (getInfomask(mem, tup) & ~HEAP_XMAX_BITS) | newXmax.infomask);
      setInfomask2(mem, tup, (getInfomask2(mem, tup) & ~HEAP_KEYS_UPDATED) | newXmax.infomask2);
      const thawed = thaw(ctx, page, blk, vm);
      logLock(ctx, RM_HEAP2_ID, XLOG_HEAP2_LOCK_UPDATED, page, tup, offnum, thawed ? vm : -1);
    }
    const updater = getUpdateXid(x, mem, tup);
    if (updater === MISS) return MISS;
    if (updater === 0 || !hasNewerVersion(ctx, tup, blk, offnum)) return TM_OK;
    prior = updater;
    blk = ctx.ctidBlk;
    offnum = ctx.ctidOffnum;
  }
}

/**
 * After TM_UPDATED at READ COMMITTED: follows the chain that begins at ctx.ctidBlk, ctx.ctidOffnum,
 * whose first member `priorXmax` must have inserted, to its latest version, and locks that. TmResult,
 * or MISS. TM_OK: the version is ctx.blk, ctx.offnum, ctx.tuple, and the query's conditions must be
 * checked again on it. TM_DELETED: the row is gone. TM_SELF_MODIFIED: a later command of this
 * transaction has changed it.
 */
export function heapLockLatest(
  ctx: HeapContext,
  rel: HeapRelation,
  firstBlk: number,
  firstOffnum: number,
  priorXmax: TransactionId,
  cid: CommandId,
  mode: LockTupleMode,
): TmResult | -1 {
  return ctx.settled(lockLatest(ctx, rel, firstBlk, firstOffnum, priorXmax, cid, mode));
}

function lockLatest(
  ctx: HeapContext,
  rel: HeapRelation,
  firstBlk: number,
  firstOffnum: number,
  priorXmax: TransactionId,
  cid: CommandId,
  mode: LockTupleMode,
): TmResult | -1 {
  const { mem } = ctx.pages;
  let blk = firstBlk;
  let offnum = firstOffnum;
  let prior = priorXmax;
  for (;;) {
    const tup = heapTupleAt(ctx, rel, blk, offnum);
    if (tup === MISS) return MISS;
    // Removed, or the place taken by another row: the updater must have been rolled back, or the
    // newer version was deleted.
    if (tup === NOT_FOUND || (prior !== 0 && getXmin(mem, tup) !== prior)) return TM_DELETED;
    const visible = heapTupleSatisfiesVisibility(ctx, SNAPSHOT_DIRTY, tup);
    if (visible === MISS) return MISS;
    if (visible === 1) {
      if (ctx.dirtyXmin !== 0 || ctx.dirtyXmax !== 0) return TM_BEING_MODIFIED;
      if (ctx.xact.isCurrent(getXmin(mem, tup)) && getCmin(ctx.xact, mem, tup) >= cid) {
        reportFailure(ctx, TM_SELF_MODIFIED, tup);
        return TM_SELF_MODIFIED;
      }
      const result = heapLockTuple(ctx, rel, blk, offnum, cid, mode);
      if (result !== TM_UPDATED) return result === TM_INVISIBLE ? TM_SELF_MODIFIED : result;
    }
    // Updated or deleted, or its insertion failed.
    const xmax = getUpdateXid(ctx.xact, mem, tup);
    if (xmax === MISS) return MISS;
    if (xmax === 0 || !hasNewerVersion(ctx, tup, blk, offnum)) return TM_DELETED;
    if (ctx.xact.isCurrent(xmax)) {
      reportFailure(ctx, TM_SELF_MODIFIED, tup);
      return TM_SELF_MODIFIED;
    }
    blk = ctx.ctidBlk;
    offnum = ctx.ctidOffnum;
    prior = xmax;
  }
}
