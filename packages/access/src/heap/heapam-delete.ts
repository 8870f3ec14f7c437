/**
 * Deleting a row: xmax, nothing else moves.
 */
import {
  type BlockNumber,
  type CommandId,
  type FullTransactionId,
  MAIN_FORKNUM,
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
  TM_BEING_MODIFIED,
  TM_DELETED,
  TM_INVISIBLE,
  TM_OK,
  type TmResult,
} from './heapam-context.ts';
import { adjustCmax, lockInfomask2, needsComboCid } from './heapam-lockmode.ts';
import { heapTupleSatisfiesUpdate, reportFailure } from './heapam-visibility.ts';
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
  return TM_DELETED;
}

/**
 * May the tuple be changed by this command? TM_OK also when all that stands in xmax is a lock of
 * one's own. Fills the failure fields otherwise.
 */
export function mayModify(
  ctx: HeapContext,
  tup: number,
  blk: number,
  offnum: number,
  cid: CommandId,
  verb: string,
): TmResult | -1 {
  const { mem } = ctx.pages;
  let result = heapTupleSatisfiesUpdate(ctx.xact, cid, mem, tup, blk, offnum);
  if (result === MISS || result === TM_OK) return result;
  if (result === TM_INVISIBLE)
    throw ereport(ERRCODE.OBJECT_NOT_IN_PREREQUISITE_STATE, `attempted to ${verb} invisible tuple`);
  reportFailure(ctx, result, tup);
  if (result === TM_BEING_MODIFIED && ctx.xact.isCurrent(ctx.xmax)) result = TM_OK;
  return result;
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
  const result = mayModify(ctx, tup, blk, offnum, cid, 'delete');
  if (result !== TM_OK) return result;
  const vm = vmPageToClear(ctx, rel, blk, page);
  if (vm === MISS) return MISS;

  const xid = xidFromFull(fxid as FullTransactionId);
  const combo = needsComboCid(ctx.xact, mem, tup);
  const cmax = adjustCmax(ctx.xact, mem, tup, cid, combo);
  pageSetPrunable(mem, page, xid);
  const cleared = clearAllVisible(ctx, page, blk, vm);
  setInfomask(mem, tup, getInfomask(mem, tup) & ~(HEAP_XMAX_BITS | HEAP_MOVED));
  setInfomask2(
    mem,
    tup,
    (getInfomask2(mem, tup) & ~(HEAP_KEYS_UPDATED | HEAP_HOT_UPDATED)) | lockInfomask2(LOCK_TUPLE_EXCLUSIVE),
  );
  setXmax(mem, tup, xid);
  setCmax(mem, tup, cmax, combo);
  setCtid(mem, tup, blk, offnum);

  put32(0, xid);
  put16(4, offnum);
  xlogScratch[6] = computeInfobits(getInfomask(mem, tup), getInfomask2(mem, tup));
  xlogScratch[7] = cleared ? XLH_DELETE_ALL_VISIBLE_CLEARED : 0;
  wal.begin();
  wal.data(xlogScratch, 0, SIZE_OF_HEAP_DELETE);
  wal.registerBuffer(0, page, REGBUF_STANDARD);
  if (cleared && vm >= 0) wal.registerBuffer(VM_BLOCK_ID, vm, 0);
  wal.insert(RM_HEAP_ID, XLOG_HEAP_DELETE);
  ctx.blk = blk;
  ctx.offnum = offnum;
  ctx.tuple = tup;
  return TM_OK;
}
