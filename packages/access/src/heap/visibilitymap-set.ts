/**
 * Setting bits of the visibility map, with the record of its own that this takes: by VACUUM and by
 * whoever fills a page with frozen rows.
 */
import { type BlockNumber, type TransactionId, VISIBILITYMAP_FORKNUM } from '@pgtroupe/common/ids';
import { MISS } from '@pgtroupe/storage/buffer/pages';
import { pageInit, pageIsAllVisible, pageIsNew, pageSetAllVisible } from '@pgtroupe/storage/page/bufpage';
import { RM_HEAP2_ID, RM_XLOG_ID } from '@pgtroupe/transam/rmgr';
import { REGBUF_FORCE_IMAGE, REGBUF_STANDARD } from '@pgtroupe/transam/xloginsert';
import { XLOG_FPI } from '@pgtroupe/transam/xlogrmgr';
import type { HeapContext, HeapRelation } from './heapam-context.ts';
import { put32, SIZE_OF_HEAP_VISIBLE, XLOG_HEAP2_VISIBLE, xlogScratch } from './heapam-xlog.ts';
import {
  HEAPBLOCKS_PER_PAGE,
  NO_MAP_PAGE,
  vmBlock,
  vmClearFrom,
  vmGetBits,
  vmPage,
  VISIBILITYMAP_ALL_FROZEN,
  VISIBILITYMAP_ALL_VISIBLE,
  vmSetBits,
} from './visibilitymap.ts';

/** The map page for the block, held exclusively; the map is extended when it ends before. MISS. */
export function mapPageToSet(ctx: HeapContext, rel: HeapRelation, blk: number): number {
  const { pages } = ctx;
  for (;;) {
    const map = vmPage(pages, rel.smgr, blk, true);
    if (map !== NO_MAP_PAGE) return map;
    const fresh = pages.newBlock(rel.smgr, VISIBILITYMAP_FORKNUM);
    if (fresh === MISS) return MISS;
    // A page of zeros is a valid map page without bits; it is initialised by the first that sets one.
    pages.useNewBlock(rel.smgr, VISIBILITYMAP_FORKNUM, fresh as BlockNumber);
    if (fresh >= vmBlock(blk)) return pages.exclusive(rel.smgr, VISIBILITYMAP_FORKNUM, fresh as BlockNumber);
  }
}

/** Clears the bits of blocks from `blocks` on in the page that has bits of remaining ones too
 *  (visibilitymap_prepare_truncate): a block that comes back later is not all-visible. MISS or 0. */
export function visibilitymapPrepareTruncate(ctx: HeapContext, rel: HeapRelation, blocks: number): number {
  if (blocks % HEAPBLOCKS_PER_PAGE === 0) return 0;
  const map = vmPage(ctx.pages, rel.smgr, blocks, true);
  if (map === MISS) return MISS;
  if (map === NO_MAP_PAGE || pageIsNew(ctx.pages.mem, map)) return 0;
  vmClearFrom(ctx.pages.mem, map, blocks);
  const { wal } = ctx;
  wal.begin();
  wal.registerBuffer(0, map, REGBUF_FORCE_IMAGE);
  wal.insert(RM_XLOG_ID, XLOG_FPI);
  return 0;
}

export function setAllVisible(
  ctx: HeapContext,
  blk: number,
  page: number,
  map: number,
  frozen: boolean,
  cutoff: TransactionId,
): void {
  const { mem } = ctx.pages;
  let flags = VISIBILITYMAP_ALL_VISIBLE | (frozen ? VISIBILITYMAP_ALL_FROZEN : 0);
  if (pageIsNew(mem, map)) pageInit(mem, map, 0);
  const bits = vmGetBits(mem, map, blk);
  if (pageIsAllVisible(mem, page) && (bits & VISIBILITYMAP_ALL_VISIBLE) !== 0) {
    if ((bits & flags) === flags) return;
    // Only frozen is news; which snapshots see the page was said when it became all-visible.
    flags = VISIBILITYMAP_ALL_FROZEN;
    cutoff = 0 as TransactionId;
  }
  pageSetAllVisible(mem, page);
  vmSetBits(mem, map, blk, flags);
  const { wal } = ctx;
  put32(0, cutoff);
  xlogScratch[4] = flags;
  wal.begin();
  wal.data(xlogScratch, 0, SIZE_OF_HEAP_VISIBLE);
  wal.registerBuffer(0, map, 0);
  wal.registerBuffer(1, page, REGBUF_STANDARD);
  wal.insert(RM_HEAP2_ID, XLOG_HEAP2_VISIBLE);
}
