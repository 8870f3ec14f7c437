/**
 * Reading heap pages: all visible tuples of a page at once (heapgetpage), the visible version behind
 * an index entry (heap_hot_search_buffer), one tuple by its TID (heap_fetch).
 */
import { type BlockNumber, MAIN_FORKNUM, xidFromFull } from '@pgtroupe/common/ids';
import { MISS } from '@pgtroupe/storage/buffer/pages';
import {
  MAX_HEAP_TUPLES_PER_PAGE,
  PD_ALL_VISIBLE,
  pageGetItem,
  pageGetItemId,
  pageGetMaxOffsetNumber,
  SIZE_OF_PAGE_HEADER,
} from '@pgtroupe/storage/page/bufpage';
import { itemIdGetRedirect, itemIdIsNormal, itemIdIsRedirected, LP_NORMAL } from '@pgtroupe/storage/page/itemid';
import type { Snapshot } from '@pgtroupe/transam/xactview';
import {
  getCtidBlock,
  getCtidOffset,
  getXmin,
  HEAP_XMAX_INVALID,
  HEAP_XMIN_COMMITTED,
  HEAP_XMIN_INVALID,
  isHeapOnly,
  isHotUpdated,
  type TupleMemory,
} from '../common/htup.ts';
import type { HeapContext, HeapRelation } from './heapam-context.ts';
import {
  getUpdateXid,
  type HeapSnapshot,
  heapTupleIsSurelyDead,
  heapTupleSatisfiesMVCC,
  heapTupleSatisfiesVisibility,
} from './heapam-visibility.ts';
import { queueIfPrunable } from './pruneheap.ts';

/** The visible tuples of one page. Offsets are valid until the driver gets control (pages.ts rule 3). */
export class HeapPageBatch {
  count = 0;
  blk = 0;
  /** Byte offsets of the tuples, in line pointer order. */
  readonly tuples = new Int32Array(MAX_HEAP_TUPLES_PER_PAGE);
  /** Their line pointer numbers. */
  readonly offnums = new Uint16Array(MAX_HEAP_TUPLES_PER_PAGE);
}

/** Fills `batch` with what `snapshot` sees of block `blk`; returns how many, or MISS. */
export function heapGetPage(
  ctx: HeapContext,
  rel: HeapRelation,
  blk: number,
  snapshot: HeapSnapshot,
  batch: HeapPageBatch,
): number {
  const { pages } = ctx;
  const page = pages.share(rel.smgr, MAIN_FORKNUM, blk as BlockNumber);
  if (page === MISS) return MISS;
  const { mem } = pages;
  batch.blk = blk;
  batch.count = 0;
  queueIfPrunable(ctx, rel, blk, page);
  if ('special' in snapshot) return getPageSpecial(ctx, page, snapshot, batch);
  const allVisible = (mem.u16[(page + 10) >>> 1]! & PD_ALL_VISIBLE) !== 0;
  return allVisible ? getPageAllVisible(mem, page, batch) : getPageMVCC(ctx, page, snapshot, batch);
}

function getPageAllVisible(mem: TupleMemory, page: number, batch: HeapPageBatch): number {
  const { tuples, offnums } = batch;
  const { u32 } = mem;
  const lines = pageGetMaxOffsetNumber(mem, page);
  const first = (page + SIZE_OF_PAGE_HEADER) >>> 2;
  let n = 0;
  for (let i = 0; i < lines; i++) {
    const id = u32[first + i]!;
    if ((id & 0x18000) !== LP_NORMAL << 15) continue;
    tuples[n] = page + (id & 0x7fff);
    offnums[n++] = i + 1;
  }
  batch.count = n;
  return n;
}

function getPageMVCC(ctx: HeapContext, page: number, snapshot: Snapshot, batch: HeapPageBatch): number {
  const { mem } = ctx.pages;
  const x = ctx.xact;
  const { tuples, offnums } = batch;
  const { u16, u32 } = mem;
  const lines = pageGetMaxOffsetNumber(mem, page);
  const first = (page + SIZE_OF_PAGE_HEADER) >>> 2;
  let n = 0;
  // Rows of one transaction lie together: its answer is remembered.
  let seenXmin = -1;
  for (let i = 0; i < lines; i++) {
    const id = u32[first + i]!;
    if ((id & 0x18000) !== LP_NORMAL << 15) continue;
    const tup = page + (id & 0x7fff);
    const mask = u16[(tup + 20) >>> 1]!;
    const simple = (mask & (HEAP_XMIN_COMMITTED | HEAP_XMAX_INVALID)) === (HEAP_XMIN_COMMITTED | HEAP_XMAX_INVALID);
    if (simple && ((mask & HEAP_XMIN_INVALID) !== 0 || u32[tup >>> 2] === seenXmin)) {
      // Frozen, or of the transaction just found visible; and nobody deleted it.
    } else {
      const visible = heapTupleSatisfiesMVCC(x, snapshot, mem, tup);
      if (visible !== 1) {
        if (visible === MISS) return MISS;
        continue;
      }
      if (simple) seenXmin = u32[tup >>> 2]!;
    }
    tuples[n] = tup;
    offnums[n++] = i + 1;
  }
  batch.count = n;
  return n;
}

function getPageSpecial(ctx: HeapContext, page: number, snapshot: HeapSnapshot, batch: HeapPageBatch): number {
  const { mem } = ctx.pages;
  const lines = pageGetMaxOffsetNumber(mem, page);
  let n = 0;
  for (let offnum = 1; offnum <= lines; offnum++) {
    if (!itemIdIsNormal(pageGetItemId(mem, page, offnum))) continue;
    const tup = pageGetItem(mem, page, offnum);
    const visible = heapTupleSatisfiesVisibility(ctx, snapshot, tup);
    if (visible === MISS) return MISS;
    if (visible !== 1) continue;
    batch.tuples[n] = tup;
    batch.offnums[n++] = offnum;
  }
  batch.count = n;
  return n;
}

/** Answer of heapHotSearch and heapFetch: no visible version. */
export const NOT_FOUND = 0;

/**
 * The version of the row at (blk, offnum), an index entry's TID, that the snapshot sees: its byte
 * offset, NOT_FOUND, or MISS. `ctx.offnum` is where it stands; `ctx.allDead` after NOT_FOUND tells that
 * no transaction can see any version any more.
 */
export function heapHotSearch(
  ctx: HeapContext,
  rel: HeapRelation,
  blk: number,
  offnum: number,
  snapshot: HeapSnapshot,
): number {
  const { pages } = ctx;
  const page = pages.share(rel.smgr, MAIN_FORKNUM, blk as BlockNumber);
  if (page === MISS) return MISS;
  const { mem } = pages;
  const mvcc = 'special' in snapshot ? undefined : snapshot;
  const lines = pageGetMaxOffsetNumber(mem, page);
  ctx.blk = blk;
  ctx.allDead = true;
  let at = offnum;
  let atStart = true;
  let priorXmax = 0;
  for (;;) {
    if (at < 1 || at > lines) break;
    const id = pageGetItemId(mem, page, at);
    if (!itemIdIsNormal(id)) {
      if (!itemIdIsRedirected(id) || !atStart) break;
      at = itemIdGetRedirect(id);
      atStart = false;
      continue;
    }
    const tup = pageGetItem(mem, page, at);
    // A heap-only tuple has no index entry: this one pointed to a row that is gone.
    if (atStart && isHeapOnly(mem, tup)) break;
    if (priorXmax !== 0 && getXmin(mem, tup) !== priorXmax) break;
    const visible =
      mvcc !== undefined
        ? heapTupleSatisfiesMVCC(ctx.xact, mvcc, mem, tup)
        : heapTupleSatisfiesVisibility(ctx, snapshot, tup);
    if (visible === MISS) return MISS;
    if (visible === 1) {
      ctx.offnum = at;
      ctx.tuple = tup;
      ctx.allDead = false;
      queueIfPrunable(ctx, rel, blk, page);
      return tup;
    }
    if (ctx.allDead && !heapTupleIsSurelyDead(mem, tup, xidFromFull(ctx.xact.oldestXmin))) ctx.allDead = false;
    if (!isHotUpdated(mem, tup)) break;
    at = getCtidOffset(mem, tup);
    atStart = false;
    priorXmax = getUpdateXid(ctx.xact, mem, tup);
    if (priorXmax === MISS) return MISS;
  }
  queueIfPrunable(ctx, rel, blk, page);
  return NOT_FOUND;
}

/** The tuple standing at a TID, if the snapshot sees it: byte offset, NOT_FOUND, or MISS. */
export function heapFetch(
  ctx: HeapContext,
  rel: HeapRelation,
  blk: number,
  offnum: number,
  snapshot: HeapSnapshot,
): number {
  const { pages } = ctx;
  const blocks = pages.nblocks(rel.smgr, MAIN_FORKNUM);
  if (blocks === MISS) return MISS;
  if (blk >= blocks) return NOT_FOUND;
  const page = pages.share(rel.smgr, MAIN_FORKNUM, blk as BlockNumber);
  if (page === MISS) return MISS;
  const { mem } = pages;
  if (offnum < 1 || offnum > pageGetMaxOffsetNumber(mem, page)) return NOT_FOUND;
  if (!itemIdIsNormal(pageGetItemId(mem, page, offnum))) return NOT_FOUND;
  const tup = pageGetItem(mem, page, offnum);
  const visible = heapTupleSatisfiesVisibility(ctx, snapshot, tup);
  if (visible === MISS) return MISS;
  if (visible !== 1) return NOT_FOUND;
  ctx.blk = blk;
  ctx.offnum = offnum;
  ctx.tuple = tup;
  return tup;
}

/** The tuple at a TID whatever its state, if its line pointer has storage; NOT_FOUND, or MISS. */
export function heapTupleAt(ctx: HeapContext, rel: HeapRelation, blk: number, offnum: number): number {
  const page = ctx.pages.share(rel.smgr, MAIN_FORKNUM, blk as BlockNumber);
  if (page === MISS) return MISS;
  const { mem } = ctx.pages;
  if (offnum < 1 || offnum > pageGetMaxOffsetNumber(mem, page)) return NOT_FOUND;
  return itemIdIsNormal(pageGetItemId(mem, page, offnum)) ? pageGetItem(mem, page, offnum) : NOT_FOUND;
}

/** Is there a newer version, and where? Fills ctx.ctidBlk and ctx.ctidOffnum. */
export function hasNewerVersion(ctx: HeapContext, tup: number, blk: number, offnum: number): boolean {
  ctx.ctidBlk = getCtidBlock(ctx.pages.mem, tup);
  ctx.ctidOffnum = getCtidOffset(ctx.pages.mem, tup);
  return ctx.ctidBlk !== blk || ctx.ctidOffnum !== offnum;
}
