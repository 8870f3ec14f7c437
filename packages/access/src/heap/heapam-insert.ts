/**
 * Inserting rows: one at a time, and many onto one page with one record (COPY, INSERT … SELECT).
 */
import {
  BLCKSZ,
  type CommandId,
  type FullTransactionId,
  maxAlign,
  type TransactionId,
  xidFromFull,
} from '@pgtroupe/common/ids';
import { MISS } from '@pgtroupe/storage/buffer/pages';
import {
  MAX_HEAP_TUPLES_PER_PAGE,
  pageGetHeapFreeSpace,
  pageGetMaxOffsetNumber,
  pageSetAllVisible,
} from '@pgtroupe/storage/page/bufpage';
import { RM_HEAP2_ID, RM_HEAP_ID } from '@pgtroupe/transam/rmgr';
import { REGBUF_STANDARD, REGBUF_WILL_INIT } from '@pgtroupe/transam/xloginsert';
import {
  HEAP2_XACT_MASK,
  HEAP_XACT_MASK,
  HEAP_XMAX_INVALID,
  HEAP_XMIN_FROZEN,
  setCmin,
  setXmax,
  setXmin,
  SIZEOF_HEAP_TUPLE_HEADER,
  type TupleMemory,
} from '../common/htup.ts';
import type { HeapContext, HeapRelation } from './heapam-context.ts';
import {
  put16,
  putHeapHeader,
  SIZE_OF_HEAP_HEADER,
  SIZE_OF_HEAP_INSERT,
  SIZE_OF_HEAP_MULTI_INSERT,
  SIZE_OF_MULTI_INSERT_TUPLE,
  VM_BLOCK_ID,
  XLH_INSERT_ALL_FROZEN_SET,
  XLH_INSERT_ALL_VISIBLE_CLEARED,
  XLH_INSERT_LAST_IN_MULTI,
  XLOG_HEAP2_MULTI_INSERT,
  XLOG_HEAP_INIT_PAGE,
  XLOG_HEAP_INSERT,
  xlogScratch,
} from './heapam-xlog.ts';
import { clearAllVisible, getPageForTuple, prepareTarget, putHeapTuple, stampSelf, targetPage } from './hio.ts';
import { targetPageFreeSpace } from './pruneheap.ts';
import { NO_MAP_PAGE } from './visibilitymap.ts';
import { mapPageToSet, setAllVisible } from './visibilitymap-set.ts';

const target = targetPage();

/** Stamps a formed tuple as inserted by this command. Harmless to repeat. */
function prepareInsert(mem: TupleMemory, tup: number, xid: TransactionId, cid: CommandId): void {
  mem.u16[(tup + 20) >>> 1] = (mem.u16[(tup + 20) >>> 1]! & ~HEAP_XACT_MASK) | HEAP_XMAX_INVALID;
  mem.u16[(tup + 18) >>> 1]! &= ~HEAP2_XACT_MASK;
  setXmin(mem, tup, xid);
  setCmin(mem, tup, cid);
  setXmax(mem, tup, 0 as TransactionId);
}

/**
 * Inserts the tuple formed at `tup`. Returns 0 with the place in ctx.blk and ctx.offnum and the stored
 * tuple in ctx.tuple; or MISS.
 */
export function heapInsert(ctx: HeapContext, rel: HeapRelation, tup: number, len: number, cid: CommandId): number {
  const fxid = ctx.xact.currentXid();
  if (fxid === MISS) return MISS;
  if (getPageForTuple(ctx, rel, len, -1, target) === MISS) return MISS;
  const { mem } = ctx.pages;
  const { wal } = ctx;
  const { page, blk, vm } = target;

  prepareInsert(mem, tup, xidFromFull(fxid as FullTransactionId), cid);
  prepareTarget(ctx, rel, target);
  const offnum = putHeapTuple(ctx, target, tup, len);
  const stored = stampSelf(ctx, page, blk, offnum);
  const cleared = clearAllVisible(ctx, page, blk, vm);

  const init = offnum === 1 && pageGetMaxOffsetNumber(mem, page) === 1;
  put16(0, offnum);
  xlogScratch[2] = cleared ? XLH_INSERT_ALL_VISIBLE_CLEARED : 0;
  putHeapHeader(SIZE_OF_HEAP_INSERT, mem, stored);
  wal.begin();
  wal.data(xlogScratch, 0, SIZE_OF_HEAP_INSERT);
  wal.registerBuffer(0, page, REGBUF_STANDARD | (init ? REGBUF_WILL_INIT : 0));
  wal.bufData(0, xlogScratch, SIZE_OF_HEAP_INSERT, SIZE_OF_HEAP_HEADER);
  wal.bufData(0, mem.u8, stored + SIZEOF_HEAP_TUPLE_HEADER, len - SIZEOF_HEAP_TUPLE_HEADER);
  if (cleared && vm >= 0) wal.registerBuffer(VM_BLOCK_ID, vm, 0);
  wal.insert(RM_HEAP_ID, XLOG_HEAP_INSERT | (init ? XLOG_HEAP_INIT_PAGE : 0));

  ctx.xact.counts?.heapInsert(rel, 1);
  ctx.blk = blk;
  ctx.offnum = offnum;
  ctx.tuple = stored;
  return 0;
}

/** Block data of a multi_insert record: at most what fits on a page, with a larger header each. */
const multiData = new Uint8Array(2 * BLCKSZ);

/** Appends a tuple as the record carries it (xl_multi_insert_tuple and data); returns its end. */
function putMultiTuple(at: number, u8: Uint8Array, tup: number, length: number): number {
  let to = at;
  if ((to & 1) !== 0) multiData[to++] = 0;
  const dataLength = length - SIZEOF_HEAP_TUPLE_HEADER;
  multiData[to] = dataLength;
  multiData[to + 1] = dataLength >>> 8;
  // t_infomask2, t_infomask, t_hoff.
  for (let i = 0; i < SIZE_OF_HEAP_HEADER; i++) multiData[to + 2 + i] = u8[tup + 18 + i]!;
  to += SIZE_OF_MULTI_INSERT_TUPLE;
  const from = tup + SIZEOF_HEAP_TUPLE_HEADER;
  if (dataLength > LONG_DATA_BYTES) multiData.set(u8.subarray(from, from + dataLength), to);
  else for (let i = 0; i < dataLength; i++) multiData[to + i] = u8[from + i]!;
  return to + dataLength;
}

/** From here on a call is faster than a loop. */
const LONG_DATA_BYTES = 128;

const multiMain = new Uint8Array(SIZE_OF_HEAP_MULTI_INSERT + 2 * MAX_HEAP_TUPLES_PER_PAGE);

/**
 * Inserts tuples `from`, `from` + 1, … of a list of `count` onto one page, as many as fit. Returns how
 * many (at least one), with their block in ctx.blk and their offset numbers in offnums[from…]; or MISS.
 *
 * `frozen` (HEAP_INSERT_FROZEN): the rows are visible to everybody at once, so nobody else may be able to
 * read the table before this transaction commits: it made its file.
 */
export function heapMultiInsert(
  ctx: HeapContext,
  rel: HeapRelation,
  tups: Int32Array,
  lens: Int32Array,
  from: number,
  count: number,
  cid: CommandId,
  offnums: Uint16Array,
  frozen = false,
): number {
  const fxid = ctx.xact.currentXid();
  if (fxid === MISS) return MISS;
  if (getPageForTuple(ctx, rel, lens[from]!, -1, target) === MISS) return MISS;
  const { mem } = ctx.pages;
  const { wal } = ctx;
  const { page, blk, vm } = target;
  const xid = xidFromFull(fxid as FullTransactionId);
  const reserve = targetPageFreeSpace(rel);
  const init = pageGetMaxOffsetNumber(mem, page) === 0;
  const map = frozen && init ? mapPageToSet(ctx, rel, blk) : NO_MAP_PAGE;
  if (map === MISS) return MISS;

  prepareTarget(ctx, rel, target);
  let done = 0;
  do {
    const i = from + done;
    prepareInsert(mem, tups[i]!, xid, cid);
    if (frozen) mem.u16[(tups[i]! + 20) >>> 1]! |= HEAP_XMIN_FROZEN;
    const offnum = putHeapTuple(ctx, target, tups[i]!, lens[i]!);
    stampSelf(ctx, page, blk, offnum);
    offnums[i] = offnum;
    done++;
  } while (from + done < count && pageGetHeapFreeSpace(mem, page) >= maxAlign(lens[from + done]!) + reserve);
  const cleared = !frozen && clearAllVisible(ctx, page, blk, vm);
  const allFrozen = frozen && init;
  if (allFrozen) pageSetAllVisible(mem, page);

  multiMain[0] =
    (cleared ? XLH_INSERT_ALL_VISIBLE_CLEARED : 0) |
    (from + done === count ? XLH_INSERT_LAST_IN_MULTI : 0) |
    (allFrozen ? XLH_INSERT_ALL_FROZEN_SET : 0);
  multiMain[1] = 0;
  multiMain[2] = done;
  multiMain[3] = done >>> 8;
  let mainLength = SIZE_OF_HEAP_MULTI_INSERT;
  for (let i = from; !init && i < from + done; i++) {
    multiMain[mainLength++] = offnums[i]!;
    multiMain[mainLength++] = offnums[i]! >>> 8;
  }
  wal.begin();
  wal.data(multiMain, 0, mainLength);
  wal.registerBuffer(0, page, REGBUF_STANDARD | (init ? REGBUF_WILL_INIT : 0));
  let at = 0;
  for (let i = from; i < from + done; i++) at = putMultiTuple(at, mem.u8, tups[i]!, lens[i]!);
  wal.bufData(0, multiData, 0, at);
  if (cleared && vm >= 0) wal.registerBuffer(VM_BLOCK_ID, vm, 0);
  wal.insert(RM_HEAP2_ID, XLOG_HEAP2_MULTI_INSERT | (init ? XLOG_HEAP_INIT_PAGE : 0));
  if (allFrozen) setAllVisible(ctx, blk, page, map, true, 0 as TransactionId);
  ctx.xact.counts?.heapInsert(rel, done);
  ctx.blk = blk;
  return done;
}
