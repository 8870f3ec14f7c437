/**
 * Finding a page for a new tuple (RelationGetBufferForTuple): the block that got the last one, else
 * what the free space map names, else a new block at the end.
 *
 * Each step may MISS; what was learned so far is kept as hints in the HeapRelation, so that the
 * retried attempt goes on where this one stopped instead of asking again.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { BLCKSZ, type BlockNumber, MAIN_FORKNUM, maxAlign } from '@pgtroupe/common/ids';
import { MISS, NO_BLOCK } from '@pgtroupe/storage/buffer/pages';
import {
  PAI_IS_HEAP,
  pageAddItem,
  pageClearAllVisible,
  pageGetHeapFreeSpace,
  pageGetItem,
  pageInit,
  pageIsAllVisible,
  pageIsNew,
  SIZE_OF_PAGE_HEADER,
} from '@pgtroupe/storage/page/bufpage';
import { assert } from '@pgtroupe/common/assert';
import { MAX_HEAP_TUPLE_SIZE, setCtid } from '../common/htup.ts';
import type { HeapContext, HeapRelation } from './heapam-context.ts';
import { targetPageFreeSpace } from './pruneheap.ts';
import { NO_MAP_PAGE, vmClearBits, vmPage, VISIBILITYMAP_VALID_BITS } from './visibilitymap.ts';

/** A page about to get a tuple. */
export interface TargetPage {
  blk: number;
  page: number;
  /** Not in use yet: comes from `newBlock`. */
  fresh: boolean;
  /** Map page whose bits for `blk` must be cleared, or NO_MAP_PAGE. */
  vm: number;
}

export function targetPage(): TargetPage {
  return { blk: 0, page: 0, fresh: false, vm: NO_MAP_PAGE };
}

/** New blocks taken in a row after the free space map knew none: bulk loads would ask for every page,
 *  and wait for every answer. */
const EXTEND_RUN_FIRST = 16;
const EXTEND_RUN_MAX = 4096;

const EMPTY_PAGE_SPACE = BLCKSZ - SIZE_OF_PAGE_HEADER - 4;

/**
 * Fills `target` with a page held exclusively that has room for a tuple of `len` bytes and is not
 * block `otherBlk`; MISS, or 0.
 */
export function getPageForTuple(
  ctx: HeapContext,
  rel: HeapRelation,
  len: number,
  otherBlk: number,
  target: TargetPage,
): number {
  const { pages } = ctx;
  const size = maxAlign(len);
  if (size > MAX_HEAP_TUPLE_SIZE) {
    throw ereport(ERRCODE.PROGRAM_LIMIT_EXCEEDED, `row is too big: size ${size}, maximum size ${MAX_HEAP_TUPLE_SIZE}`);
  }
  // A large tuple may use the room that fillfactor reserves.
  const need = size + targetPageFreeSpace(rel) > EMPTY_PAGE_SPACE ? size : size + targetPageFreeSpace(rel);
  target.fresh = false;
  let known = rel.smgr.targetBlock;
  if (known < 0 && rel.extend === 0) {
    const asked = askFreeSpaceMap(ctx, rel, need);
    if (asked === MISS) return MISS;
    if (asked !== NO_BLOCK) known = rel.smgr.targetBlock = asked;
    else {
      const blocks = pages.nblocks(rel.smgr, MAIN_FORKNUM);
      if (blocks === MISS) return MISS;
      // Rows that fit on the last page should not start a new one.
      if (blocks > 0) known = rel.smgr.targetBlock = blocks - 1;
      else beginExtending(rel);
    }
  }
  while (known >= 0) {
    if (known !== otherBlk) {
      const page = pages.exclusive(rel.smgr, MAIN_FORKNUM, known as BlockNumber);
      if (page === MISS) return MISS;
      const free = pageIsNew(pages.mem, page) ? EMPTY_PAGE_SPACE : pageGetHeapFreeSpace(pages.mem, page);
      if (free >= need) return useTarget(ctx, rel, known, page, target);
      if (rel.extend === 0) pages.recordFreeSpace(rel.smgr, known as BlockNumber, free);
    }
    if (rel.extend > 0) break;
    const asked = askFreeSpaceMap(ctx, rel, need);
    if (asked === MISS) return MISS;
    // The map may name a block it has not yet heard about: twice the same is as good as none.
    if (asked === NO_BLOCK || asked === known) beginExtending(rel);
    else {
      known = rel.smgr.targetBlock = asked;
      rel.extendRun = 0;
    }
  }
  for (;;) {
    const blk = pages.newBlock(rel.smgr, MAIN_FORKNUM);
    if (blk === MISS) return MISS;
    const page = pages.exclusive(rel.smgr, MAIN_FORKNUM, blk as BlockNumber);
    if (page === MISS) return MISS;
    if (pageIsNew(pages.mem, page)) {
      target.fresh = true;
      return useTarget(ctx, rel, blk, page, target);
    }
    // Somebody came upon it as the last page of the file, before we did as its maker.
    pages.useNewBlock(rel.smgr, MAIN_FORKNUM, blk as BlockNumber);
  }
}

function beginExtending(rel: HeapRelation): void {
  rel.extendRun = Math.min(Math.max(4 * rel.extendRun, EXTEND_RUN_FIRST), EXTEND_RUN_MAX);
  rel.extend = rel.extendRun;
}

function askFreeSpaceMap(ctx: HeapContext, rel: HeapRelation, need: number): number {
  const blk = ctx.pages.freePage(rel.smgr, need);
  if (blk === MISS || blk === NO_BLOCK) return blk;
  // The map may be older than a truncation.
  const blocks = ctx.pages.nblocks(rel.smgr, MAIN_FORKNUM);
  if (blocks === MISS) return MISS;
  return blk < blocks ? blk : NO_BLOCK;
}

function useTarget(ctx: HeapContext, rel: HeapRelation, blk: number, page: number, target: TargetPage): number {
  const vm = vmPageToClear(ctx, rel, blk, page);
  if (vm === MISS) return MISS;
  target.blk = blk;
  target.page = page;
  target.vm = vm;
  return 0;
}

/** The map page that must change together with this heap page; NO_MAP_PAGE when none, or MISS. */
export function vmPageToClear(ctx: HeapContext, rel: HeapRelation, blk: number, page: number): number {
  if (!pageIsAllVisible(ctx.pages.mem, page)) return NO_MAP_PAGE;
  return vmPage(ctx.pages, rel.smgr, blk, true);
}

// ---- in the change stretch -------------------------------------------------------------------------

/** First touch of the page: takes it into use and initialises it. */
export function prepareTarget(ctx: HeapContext, rel: HeapRelation, target: TargetPage): void {
  const { pages } = ctx;
  if (target.fresh) {
    pages.useNewBlock(rel.smgr, MAIN_FORKNUM, target.blk as BlockNumber);
    if (rel.extend > 0) rel.extend--;
  }
  if (pageIsNew(pages.mem, target.page)) pageInit(pages.mem, target.page, 0);
  rel.smgr.targetBlock = target.blk;
}

/** Puts the tuple there and stamps its own TID; returns its offset number. */
export function putHeapTuple(ctx: HeapContext, target: TargetPage, tup: number, len: number): number {
  const { mem } = ctx.pages;
  const offnum = pageAddItem(mem, target.page, mem.u8, tup, len, 0, PAI_IS_HEAP);
  assert(offnum !== 0, 'no room for a tuple that was found to fit');
  return offnum;
}

/** Byte offset of a tuple just put, with t_ctid pointing to itself. */
export function stampSelf(ctx: HeapContext, page: number, blk: number, offnum: number): number {
  const { mem } = ctx.pages;
  const at = pageGetItem(mem, page, offnum);
  setCtid(mem, at, blk, offnum);
  return at;
}

/** Clears PD_ALL_VISIBLE and the map's bits. Returns true when the page had been all-visible. */
export function clearAllVisible(ctx: HeapContext, page: number, blk: number, vm: number): boolean {
  const { mem } = ctx.pages;
  if (!pageIsAllVisible(mem, page)) return false;
  pageClearAllVisible(mem, page);
  if (vm >= 0) vmClearBits(mem, vm, blk, VISIBILITYMAP_VALID_BITS);
  return true;
}
