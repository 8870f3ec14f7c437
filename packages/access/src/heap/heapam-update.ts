/**
 * Updating a row: a new version next to the old one when it fits (a HOT update when no indexed column
 * changed: no index entries needed), else on another page. The record carries only the bytes between
 * what both versions begin and end with.
 *
 * PostgreSQL must lock the old version while it looks for another page; here every page is at hand
 * before the first change, so there is no such intermediate state and no record for it.
 */
import {
  type BlockNumber,
  type CommandId,
  type FullTransactionId,
  MAIN_FORKNUM,
  maxAlign,
  type TransactionId,
  xidFromFull,
} from '@pgtroupe/common/ids';
import { MISS } from '@pgtroupe/storage/buffer/pages';
import {
  pageGetHeapFreeSpace,
  pageGetItem,
  pageGetItemId,
  pageGetMaxOffsetNumber,
  pageSetFull,
  pageSetPrunable,
} from '@pgtroupe/storage/page/bufpage';
import { itemIdGetLength, itemIdIsNormal } from '@pgtroupe/storage/page/itemid';
import { RM_HEAP_ID } from '@pgtroupe/transam/rmgr';
import { REGBUF_STANDARD, REGBUF_WILL_INIT } from '@pgtroupe/transam/xloginsert';
import { attOffset, type TupleLayout } from '../common/heaptuple.ts';
import {
  getHoff,
  getInfomask,
  getInfomask2,
  HEAP2_XACT_MASK,
  HEAP_HOT_UPDATED,
  HEAP_KEYS_UPDATED,
  HEAP_MOVED,
  HEAP_ONLY_TUPLE,
  HEAP_UPDATED,
  HEAP_XACT_MASK,
  HEAP_XMAX_BITS,
  setCmax,
  setCmin,
  setCtid,
  setInfomask,
  setInfomask2,
  setXmax,
  setXmin,
  SIZEOF_HEAP_TUPLE_HEADER,
  type TupleMemory,
} from '../common/htup.ts';
import { attAddLength } from '../common/tupmacs.ts';
import {
  type HeapContext,
  type HeapRelation,
  LOCK_TUPLE_EXCLUSIVE,
  LOCK_TUPLE_NO_KEY_EXCLUSIVE,
  TM_OK,
  type TmResult,
} from './heapam-context.ts';
import { mayModify, pruned } from './heapam-delete.ts';
import { adjustCmax, needsComboCid } from './heapam-combocid.ts';
import { computeNewXmax, computeSuccessorXmax, type NewXmax, newXmax } from './heapam-multixact.ts';
import {
  computeInfobits,
  put16,
  put32,
  putHeapHeader,
  SIZE_OF_HEAP_HEADER,
  SIZE_OF_HEAP_UPDATE,
  VM_BLOCK_ID,
  VM_OLD_BLOCK_ID,
  XLH_UPDATE_NEW_ALL_VISIBLE_CLEARED,
  XLH_UPDATE_OLD_ALL_VISIBLE_CLEARED,
  XLH_UPDATE_PREFIX_FROM_OLD,
  XLH_UPDATE_SUFFIX_FROM_OLD,
  XLOG_HEAP_HOT_UPDATE,
  XLOG_HEAP_INIT_PAGE,
  XLOG_HEAP_UPDATE,
  xlogScratch,
} from './heapam-xlog.ts';
import {
  clearAllVisible,
  getPageForTuple,
  prepareTarget,
  putHeapTuple,
  stampSelf,
  targetPage,
  vmPageToClear,
} from './hio.ts';
import { queueIfPrunable } from './pruneheap.ts';

const target = targetPage();
const successorXmax: NewXmax = { xmax: 0, infomask: 0, infomask2: 0 };
/** Saving fewer bytes than this is not worth the two that say so. */
const MIN_SHARED = 3;

/** Did any of these attributes (0-based) change, judged by their bytes? */
function heapModified(
  layout: TupleLayout,
  mem: TupleMemory,
  oldTup: number,
  newTup: number,
  atts: ArrayLike<number>,
): boolean {
  for (let i = 0; i < atts.length; i++) {
    const att = atts[i]!;
    const a = attOffset(layout, mem, oldTup, att);
    const b = attOffset(layout, mem, newTup, att);
    if (a < 0 || b < 0) {
      // Both NULL is equal. An attribute the old version does not have counts as changed.
      if (a !== b) return true;
      continue;
    }
    const length = attAddLength(mem, a, layout.len[att]!) - a;
    if (attAddLength(mem, b, layout.len[att]!) - b !== length) return true;
    for (let k = 0; k < length; k++) if (mem.u8[a + k] !== mem.u8[b + k]) return true;
  }
  return false;
}

/** The attributes an update must compare; those that its SET list cannot have changed may be left out. */
export interface UpdateAttributes {
  readonly layout: TupleLayout;
  /** 0-based, used by any index: columns, expressions, predicates. */
  readonly indexed: ArrayLike<number>;
  /** 0-based, of unique indexes that a foreign key could refer to. */
  readonly key: ArrayLike<number>;
}

/**
 * Replaces the tuple at (blk, offnum) by the one formed at `newTup`. TmResult, or MISS. On TM_OK
 * ctx.blk, ctx.offnum and ctx.tuple tell the new version, ctx.hot that index entries are not needed.
 */
export function heapUpdate(
  ctx: HeapContext,
  rel: HeapRelation,
  blk: number,
  offnum: number,
  newTup: number,
  newLen: number,
  cid: CommandId,
  atts: UpdateAttributes,
): TmResult | -1 {
  const fxid = ctx.xact.currentXid();
  if (fxid === MISS) return MISS;
  const { pages } = ctx;
  const { mem } = pages;
  const page = pages.exclusive(rel.smgr, MAIN_FORKNUM, blk as BlockNumber);
  if (page === MISS) return MISS;
  if (offnum > pageGetMaxOffsetNumber(mem, page) || !itemIdIsNormal(pageGetItemId(mem, page, offnum)))
    return pruned(ctx, blk, offnum);
  const oldTup = pageGetItem(mem, page, offnum);
  // Others may go on referring to a row whose key stays.
  const keyChanged = heapModified(atts.layout, mem, oldTup, newTup, atts.key);
  const mode = keyChanged ? LOCK_TUPLE_EXCLUSIVE : LOCK_TUPLE_NO_KEY_EXCLUSIVE;
  const result = mayModify(ctx, rel, oldTup, blk, offnum, cid, mode, 'update');
  if (result !== TM_OK) return result;

  const samePage = maxAlign(newLen) <= pageGetHeapFreeSpace(mem, page);
  if (!samePage && getPageForTuple(ctx, rel, newLen, blk, target) === MISS) return MISS;
  const vmOld = vmPageToClear(ctx, rel, blk, page);
  if (vmOld === MISS) return MISS;
  if (samePage) {
    target.blk = blk;
    target.page = page;
    target.vm = vmOld;
    target.fresh = false;
  }
  const xid = xidFromFull(fxid as FullTransactionId);
  if (computeNewXmax(ctx.xact, mem, oldTup, xid, mode, true) === MISS) return MISS;
  if (computeSuccessorXmax(ctx.xact, mem, oldTup, successorXmax) === MISS) return MISS;
  const hot = samePage && !heapModified(atts.layout, mem, oldTup, newTup, atts.indexed);
  changeAndLog(ctx, rel, blk, offnum, page, oldTup, newTup, newLen, xid, cid, hot, vmOld);
  if (!samePage) queueIfPrunable(ctx, rel, blk, page);
  ctx.xact.counts?.heapUpdate(rel, hot);
  return ctx.settled(TM_OK);
}

function changeAndLog(
  ctx: HeapContext,
  rel: HeapRelation,
  blk: number,
  offnum: number,
  page: number,
  oldTup: number,
  newTup: number,
  newLen: number,
  xid: TransactionId,
  cid: CommandId,
  hot: boolean,
  vmOld: number,
): void {
  const { mem } = ctx.pages;
  const samePage = target.page === page;
  const combo = needsComboCid(ctx.xact, mem, oldTup);
  const cmax = adjustCmax(ctx.xact, mem, oldTup, cid, combo);

  // The new version. Whoever holds the old one holds it too.
  const onBits = successorXmax.infomask;
  const onBits2 = successorXmax.infomask2 | (hot ? HEAP_ONLY_TUPLE : 0);
  setInfomask(mem, newTup, (getInfomask(mem, newTup) & ~HEAP_XACT_MASK) | HEAP_UPDATED | onBits);
  setInfomask2(mem, newTup, (getInfomask2(mem, newTup) & ~HEAP2_XACT_MASK) | onBits2);
  setXmin(mem, newTup, xid);
  setCmin(mem, newTup, cid);
  setXmax(mem, newTup, successorXmax.xmax as TransactionId);
  if (!samePage) pageSetFull(mem, page);
  pageSetPrunable(mem, page, xid);
  if (!samePage) prepareTarget(ctx, rel, target);
  const newOffnum = putHeapTuple(ctx, target, newTup, newLen);
  const stored = stampSelf(ctx, target.page, target.blk, newOffnum);

  // The old one.
  const hotBit = hot ? HEAP_HOT_UPDATED : 0;
  const { xmax, infomask, infomask2 } = newXmax;
  setInfomask(mem, oldTup, (getInfomask(mem, oldTup) & ~(HEAP_XMAX_BITS | HEAP_MOVED)) | infomask);
  setInfomask2(mem, oldTup, (getInfomask2(mem, oldTup) & ~(HEAP_KEYS_UPDATED | HEAP_HOT_UPDATED)) | infomask2 | hotBit);
  setXmax(mem, oldTup, xmax as TransactionId);
  setCmax(mem, oldTup, cmax, combo);
  setCtid(mem, oldTup, target.blk, newOffnum);

  const oldCleared = clearAllVisible(ctx, page, blk, vmOld);
  const newCleared = !samePage && clearAllVisible(ctx, target.page, target.blk, target.vm);
  logHeapUpdate(ctx, page, oldTup, offnum, stored, newLen, newOffnum, hot, oldCleared, newCleared, vmOld);
  ctx.blk = target.blk;
  ctx.offnum = newOffnum;
  ctx.tuple = stored;
  ctx.hot = hot;
}

function logHeapUpdate(
  ctx: HeapContext,
  oldPage: number,
  oldTup: number,
  oldOffnum: number,
  newTup: number,
  newLen: number,
  newOffnum: number,
  hot: boolean,
  oldCleared: boolean,
  newCleared: boolean,
  vmOld: number,
): void {
  const { mem } = ctx.pages;
  const { wal } = ctx;
  const newPage = target.page;
  const samePage = newPage === oldPage;
  const hoff = getHoff(mem, newTup);
  let prefix = 0;
  let suffix = 0;
  if (samePage) {
    const { u8 } = mem;
    const oldData = oldTup + getHoff(mem, oldTup);
    const newData = newTup + hoff;
    const oldEnd = oldTup + itemIdGetLength(pageGetItemId(mem, oldPage, oldOffnum));
    const newEnd = newTup + newLen;
    const shorter = Math.min(oldEnd - oldData, newEnd - newData);
    while (prefix < shorter && u8[newData + prefix] === u8[oldData + prefix]) prefix++;
    if (prefix < MIN_SHARED) prefix = 0;
    while (suffix < shorter - prefix && u8[newEnd - suffix - 1] === u8[oldEnd - suffix - 1]) suffix++;
    if (suffix < MIN_SHARED) suffix = 0;
  }
  const init = newOffnum === 1 && pageGetMaxOffsetNumber(mem, newPage) === 1;

  put32(0, mem.u32[(oldTup + 4) >>> 2]!);
  put16(4, oldOffnum);
  xlogScratch[6] = computeInfobits(getInfomask(mem, oldTup), getInfomask2(mem, oldTup));
  xlogScratch[7] =
    (oldCleared ? XLH_UPDATE_OLD_ALL_VISIBLE_CLEARED : 0) |
    (newCleared ? XLH_UPDATE_NEW_ALL_VISIBLE_CLEARED : 0) |
    (prefix > 0 ? XLH_UPDATE_PREFIX_FROM_OLD : 0) |
    (suffix > 0 ? XLH_UPDATE_SUFFIX_FROM_OLD : 0);
  put32(8, mem.u32[(newTup + 4) >>> 2]!);
  put16(12, newOffnum);
  wal.begin();
  wal.data(xlogScratch, 0, SIZE_OF_HEAP_UPDATE);
  wal.registerBuffer(0, newPage, REGBUF_STANDARD | (init ? REGBUF_WILL_INIT : 0));
  if (!samePage) wal.registerBuffer(1, oldPage, REGBUF_STANDARD);

  let at = 0;
  if (prefix > 0) {
    put16(at, prefix);
    at += 2;
  }
  if (suffix > 0) {
    put16(at, suffix);
    at += 2;
  }
  putHeapHeader(at, mem, newTup);
  wal.bufData(0, xlogScratch, 0, at + SIZE_OF_HEAP_HEADER);
  const bitmap = newTup + SIZEOF_HEAP_TUPLE_HEADER;
  if (prefix === 0) wal.bufData(0, mem.u8, bitmap, newLen - SIZEOF_HEAP_TUPLE_HEADER - suffix);
  else {
    wal.bufData(0, mem.u8, bitmap, hoff - SIZEOF_HEAP_TUPLE_HEADER);
    wal.bufData(0, mem.u8, newTup + hoff + prefix, newLen - hoff - prefix - suffix);
  }
  const vmNew = newCleared ? target.vm : -1;
  if (vmNew >= 0) wal.registerBuffer(VM_BLOCK_ID, vmNew, 0);
  if (oldCleared && vmOld >= 0 && vmOld !== vmNew) wal.registerBuffer(VM_OLD_BLOCK_ID, vmOld, 0);
  wal.insert(RM_HEAP_ID, (hot ? XLOG_HEAP_HOT_UPDATE : XLOG_HEAP_UPDATE) | (init ? XLOG_HEAP_INIT_PAGE : 0));
}
