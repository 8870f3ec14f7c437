/**
 * One step to the left on the leaf level, while others split and delete pages.
 *
 * The left link of the page we were on may be out of date: the page it names can have been split, and
 * then our true left neighbour is further to the right of it: the one whose right link is us. If it
 * is nowhere near, we were deleted ourselves, or our left link has changed since: look again.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { MISS, type PageAccess } from '@pgtroupe/storage/buffer/pages';
import { type BTIndex, btShare } from './btindex.ts';
import { BTP_DELETED, btpoFlags, btpoNext, btpoPrev, isIgnored, isRightmost, P_NONE } from './nbtree.ts';
import type { BTPath } from './nbtsearch.ts';

/** There is nothing further left. */
export const LEFT_END = -2;
/** Right links followed before looking at the starting page again. */
const MAX_STEPS = 4;

/** The live page left of `from`, whose left link was `left` when it was read: page offset and
 *  `where.blk`; LEFT_END or MISS. */
export function walkLeft(index: BTIndex, pages: PageAccess, from: number, left: number, where: BTPath): number {
  const { mem } = pages;
  let origin = from;
  let prev = left;
  for (;;) {
    if (prev === P_NONE) return LEFT_END;
    let blk = prev;
    let page = btShare(index, pages, blk);
    if (page === MISS) return MISS;
    let found = false;
    for (let steps = 0; ; steps++) {
      if ((btpoFlags(mem, page) & BTP_DELETED) === 0 && btpoNext(mem, page) === origin) {
        found = true;
        break;
      }
      if (isRightmost(mem, page) || steps === MAX_STEPS) break;
      blk = btpoNext(mem, page);
      page = btShare(index, pages, blk);
      if (page === MISS) return MISS;
    }
    if (found) {
      where.blk = blk;
      if (!isIgnored(mem, page)) return page;
      // Half dead: on to its left neighbour.
      origin = blk;
      prev = btpoPrev(mem, page);
      continue;
    }
    page = btShare(index, pages, origin);
    if (page === MISS) return MISS;
    if ((btpoFlags(mem, page) & BTP_DELETED) !== 0) {
      // Its key space went to the right neighbour.
      do {
        if (isRightmost(mem, page)) throw ereport(ERRCODE.INDEX_CORRUPTED, `fell off the end of index "${index.name}"`);
        origin = btpoNext(mem, page);
        page = btShare(index, pages, origin);
        if (page === MISS) return MISS;
      } while ((btpoFlags(mem, page) & BTP_DELETED) !== 0);
    } else if (btpoPrev(mem, page) === prev) {
      throw ereport(ERRCODE.INDEX_CORRUPTED, `could not find left sibling of block ${origin} in index "${index.name}"`);
    }
    prev = btpoPrev(mem, page);
  }
}
