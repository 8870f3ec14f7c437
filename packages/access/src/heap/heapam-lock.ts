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
import { RM_HEAP_ID } from '@pgtroupe/transam/rmgr';
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
import { pruned } from './heapam-delete.ts';
import { heldLockMode, lockInfomask, lockInfomask2 } from './heapam-lockmode.ts';
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
  XLOG_HEAP_LOCK,
  xlogScratch,
} from './heapam-xlog.ts';
import { vmPageToClear } from './hio.ts';
import { vmClearBits, VISIBILITYMAP_ALL_FROZEN } from './visibilitymap.ts';

/**
 * Locks the tuple at (blk, offnum). TmResult, or MISS. TM_OK: ctx.tuple is the tuple. TM_INVISIBLE:
 * this command or a later one of this transaction made it. Any lock of another transaction is
 * TM_BEING_MODIFIED (see heapam-lockmode.ts): wait, skip (SKIP LOCKED) or fail (NOWAIT).
 */
export function heapLockTuple(
  ctx: HeapContext,
  rel: HeapRelation,
  blk: number,
  offnum: number,
  cid: CommandId,
  mode: LockTupleMode,
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
  if (result === TM_BEING_MODIFIED && ctx.xact.isCurrent(getRawXmax(mem, tup))) {
    // Mine. Strong enough already?
    if (heldLockMode(mem, tup) >= mode) return TM_OK;
  } else if (result !== TM_OK) {
    reportFailure(ctx, result, tup);
    return result;
  }
  const vm = vmPageToClear(ctx, rel, blk, page);
  if (vm === MISS) return MISS;

  const xid = xidFromFull(fxid as FullTransactionId);
  setInfomask(mem, tup, (getInfomask(mem, tup) & ~HEAP_XMAX_BITS) | lockInfomask(mode));
  setInfomask2(mem, tup, (getInfomask2(mem, tup) & ~(HEAP_KEYS_UPDATED | HEAP_HOT_UPDATED)) | lockInfomask2(mode));
  setXmax(mem, tup, xid);
  setCtid(mem, tup, blk, offnum);
  // The page stays all-visible: a lock changes nobody's view. But it is not frozen any more.
  const thawed = vm >= 0 && pageIsAllVisible(mem, page) && vmClearBits(mem, vm, blk, VISIBILITYMAP_ALL_FROZEN);

  const { wal } = ctx;
  put32(0, xid);
  put16(4, offnum);
  xlogScratch[6] = computeInfobits(getInfomask(mem, tup), getInfomask2(mem, tup));
  xlogScratch[7] = thawed ? XLH_LOCK_ALL_FROZEN_CLEARED : 0;
  wal.begin();
  wal.registerBuffer(0, page, REGBUF_STANDARD);
  wal.data(xlogScratch, 0, SIZE_OF_HEAP_LOCK);
  if (thawed) wal.registerBuffer(VM_BLOCK_ID, vm, 0);
  wal.insert(RM_HEAP_ID, XLOG_HEAP_LOCK);
  return TM_OK;
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
    const xmax = getUpdateXid(mem, tup);
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
