/**
 * Deleting a row: xmax, nothing else moves.
 */
import {
  type BlockNumber,
  type CommandId,
  type FullTransactionId,
  MAIN_FORKNUM,
  type TransactionId,
  xidFromFull,
} from '@pgtroupe/common/ids';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { MISS } from '@pgtroupe/storage/buffer/pages';
import { pageGetItem, pageGetItemId, pageGetMaxOffsetNumber, pageSetPrunable } from '@pgtroupe/storage/page/bufpage';
import { itemIdIsNormal } from '@pgtroupe/storage/page/itemid';
import { RM_HEAP_ID } from '@pgtroupe/transam/rmgr';
import { REGBUF_STANDARD } from '@pgtroupe/transam/xloginsert';
import {
  getInfomask,
  getInfomask2,
  HEAP_HOT_UPDATED,
  HEAP_KEYS_UPDATED,
  HEAP_MOVED,
  HEAP_XMAX_BITS,
  setCmax,
  setCtid,
  setInfomask,
  setInfomask2,
  setXmax,
} from '../common/htup.ts';
import {
  type HeapContext,
  type HeapRelation,
  LOCK_TUPLE_EXCLUSIVE,
  type LockTupleMode,
  TM_BEING_MODIFIED,
  TM_DELETED,
  TM_INVISIBLE,
  TM_OK,
  TM_UPDATED,
  type TmResult,
} from './heapam-context.ts';
import { adjustCmax, needsComboCid } from './heapam-combocid.ts';
import {
  computeNewXmax,
  LOCK_FREE,
  LOCK_WAIT,
  newXmax,
  ownsAnyTupleLock,
  tupleLockConflict,
} from './heapam-multixact.ts';
import { hasNewerVersion } from './heapam-scan.ts';
import { getUpdateXid, heapTupleSatisfiesUpdate, reportFailure } from './heapam-visibility.ts';
import {
  computeInfobits,
  put16,
  put32,
  SIZE_OF_HEAP_DELETE,
  VM_BLOCK_ID,
  XLH_DELETE_ALL_VISIBLE_CLEARED,
  XLOG_HEAP_DELETE,
  xlogScratch,
} from './heapam-xlog.ts';
import { clearAllVisible, vmPageToClear } from './hio.ts';

/** The line pointer leads nowhere any more: the row was pruned since its TID was read. */
export function pruned(ctx: HeapContext, blk: number, offnum: number): typeof TM_DELETED {
  ctx.ctidBlk = blk;
  ctx.ctidOffnum = offnum;
  return ctx.settled(TM_DELETED);
}

/** What a conflict comes to for whoever wanted the tuple. */
export function conflictResult(ctx: HeapContext, conflict: number, tup: number, blk: number, offnum: number): TmResult {
  if (conflict === LOCK_WAIT) return TM_BEING_MODIFIED;
  return hasNewerVersion(ctx, tup, blk, offnum) ? TM_UPDATED : TM_DELETED;
}

/** After LOCK_WAIT: in turn with the others who want the tuple, unless this session holds it too. 0, or MISS. */
export function waitsInTurn(
  ctx: HeapContext,
  rel: HeapRelation,
  tup: number,
  blk: number,
  offnum: number,
  mode: LockTupleMode,
): number {
  const owned = ownsAnyTupleLock(ctx.xact, ctx.pages.mem, tup);
  if (owned === 0) ctx.waitsForTuple(rel, blk, offnum, mode);
  return owned === MISS ? MISS : 0;
}

/**
 * May the tuple be changed by this command, which needs it in this mode? TM_OK also when those who hold it do
 * not mind. Fills the failure fields otherwise.
 */
export function mayModify(
  ctx: HeapContext,
  rel: HeapRelation,
  tup: number,
  blk: number,
  offnum: number,
  cid: CommandId,
  mode: LockTupleMode,
  verb: string,
): TmResult | -1 {
  const { mem } = ctx.pages;
  let result = heapTupleSatisfiesUpdate(ctx.xact, cid, mem, tup, blk, offnum);
  if (result === MISS || result === TM_OK) return result;
  if (result === TM_INVISIBLE)
    throw ereport(ERRCODE.OBJECT_NOT_IN_PREREQUISITE_STATE, `attempted to ${verb} invisible tuple`);
  if (result === TM_BEING_MODIFIED) {
    const conflict = tupleLockConflict(ctx, tup, mode);
    if (conflict === MISS) return MISS;
    if (conflict === LOCK_FREE) return TM_OK;
    if (conflict === LOCK_WAIT && waitsInTurn(ctx, rel, tup, blk, offnum, mode) === MISS) return MISS;
    result = conflictResult(ctx, conflict, tup, blk, offnum);
  }
  if (getUpdateXid(ctx.xact, mem, tup) === MISS) return MISS;
  reportFailure(ctx, result, tup);
  return ctx.settled(result);
}

/** Deletes the tuple at (blk, offnum). TmResult, or MISS. */
export function heapDelete(
  ctx: HeapContext,
  rel: HeapRelation,
  blk: number,
  offnum: number,
  cid: CommandId,
): TmResult | -1 {
  const fxid = ctx.xact.currentXid();
  if (fxid === MISS) return MISS;
  const { pages, wal } = ctx;
  const { mem } = pages;
  const page = pages.exclusive(rel.smgr, MAIN_FORKNUM, blk as BlockNumber);
  if (page === MISS) return MISS;
  if (offnum > pageGetMaxOffsetNumber(mem, page) || !itemIdIsNormal(pageGetItemId(mem, page, offnum)))
    return pruned(ctx, blk, offnum);
  const tup = pageGetItem(mem, page, offnum);
  const result = mayModify(ctx, rel, tup, blk, offnum, cid, LOCK_TUPLE_EXCLUSIVE, 'delete');
  if (result !== TM_OK) return result;
  const xid = xidFromFull(fxid as FullTransactionId);
  const vm = vmPageToClear(ctx, rel, blk, page);
  if (vm === MISS || computeNewXmax(ctx.xact, mem, tup, xid, LOCK_TUPLE_EXCLUSIVE, true) === MISS) return MISS;

  const { xmax, infomask, infomask2 } = newXmax;
  const combo = needsComboCid(ctx.xact, mem, tup);
  const cmax = adjustCmax(ctx.xact, mem, tup, cid, combo);
  pageSetPrunable(mem, page, xid);
  const cleared = clearAllVisible(ctx, page, blk, vm);
  setInfomask(mem, tup, (getInfomask(mem, tup) & ~(HEAP_XMAX_BITS | HEAP_MOVED)) | infomask);
  setInfomask2(mem, tup, (getInfomask2(mem, tup) & ~(HEAP_KEYS_UPDATED | HEAP_HOT_UPDATED)) | infomask2);
  setXmax(mem, tup, xmax as TransactionId);
  setCmax(mem, tup, cmax, combo);
  setCtid(mem, tup, blk, offnum);

  put32(0, xmax);
  put16(4, offnum);
  xlogScratch[6] = computeInfobits(getInfomask(mem, tup), getInfomask2(mem, tup));
  xlogScratch[7] = cleared ? XLH_DELETE_ALL_VISIBLE_CLEARED : 0;
  wal.begin();
  wal.data(xlogScratch, 0, SIZE_OF_HEAP_DELETE);
  wal.registerBuffer(0, page, REGBUF_STANDARD);
  if (cleared && vm >= 0) wal.registerBuffer(VM_BLOCK_ID, vm, 0);
  wal.insert(RM_HEAP_ID, XLOG_HEAP_DELETE);
  ctx.xact.counts?.heapDelete(rel);
  ctx.blk = blk;
  ctx.offnum = offnum;
  ctx.tuple = tup;
  return ctx.settled(TM_OK);
}
