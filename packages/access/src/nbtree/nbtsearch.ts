/**
 * Descending the tree to the leaf where a key belongs.
 *
 * Pages are looked at one after another without holding any: a page may have been split since its
 * parent was read, which shows by the key being greater than its high key; then the search moves
 * right. Everything returns MISS when a page is lacking and is simply called again.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import { MISS, type PageAccess } from '@pgtroupe/storage/buffer/pages';
import { pageGetItem, pageGetMaxOffsetNumber, SIZE_OF_PAGE_HEADER } from '@pgtroupe/storage/page/bufpage';
import type { TupleMemory } from '../common/htup.ts';
import { INDEX_NULL_MASK, SIZEOF_INDEX_TUPLE } from '../common/indextuple.ts';
import { btExclusive, type BTIndex, btShare, CMP_INT4, CMP_INT8, CMP_OID } from './btindex.ts';
import {
  BTP_INCOMPLETE_SPLIT,
  BTREE_MAGIC,
  BTREE_METAPAGE,
  BTREE_VERSION,
  btMetaAllequalimage,
  btMetaFastlevel,
  btMetaFastroot,
  btMetaMagic,
  btMetaVersion,
  btpoFlags,
  btpoLevel,
  btpoNext,
  firstDataKey,
  getDownLink,
  isIgnored,
  isLeaf,
  isLeftmost,
  isRightmost,
  P_HIKEY,
  P_NONE,
} from './nbtree.ts';
import { btCompare, type BTSearchKey } from './nbtutils.ts';

/** Answer of searches in an index that has no root page yet. */
export const NO_ROOT = -2;
/** Answer of `btSearchForInsert`: `where.blk` was split and its parent does not know yet. */
export const UNFINISHED_SPLIT = -3;

const MAX_LEVELS = 32;

/** Where a search has come to, and the way it took: block and offset of the downlink on each level,
 *  from the root down. The offsets are hints. */
export class BTPath {
  blk = 0;
  /** On a leaf that btSearch found: what btBinsrch says. On a parent that findParent found: the downlink. */
  off = 0;
  depth = 0;
  readonly stackBlk = new Uint32Array(MAX_LEVELS);
  readonly stackOff = new Uint16Array(MAX_LEVELS);

  push(blk: number, off: number): void {
    this.stackBlk[this.depth] = blk;
    this.stackOff[this.depth++] = off;
  }
}

export function checkMeta(index: BTIndex, mem: TupleMemory, page: number): void {
  if (btMetaMagic(mem, page) !== BTREE_MAGIC)
    throw ereport(ERRCODE.INDEX_CORRUPTED, `index "${index.name}" is not a btree`);
  const version = btMetaVersion(mem, page);
  if (version !== BTREE_VERSION)
    throw notSupported(`btree version ${version} (index "${index.name}"; REINDEX in PostgreSQL makes it version 4)`);
}

function fellOff(index: BTIndex): Error {
  return ereport(ERRCODE.INDEX_CORRUPTED, `fell off the end of index "${index.name}"`);
}

/** The (fast) root: its page offset and `where.blk`; MISS or NO_ROOT. */
function btGetRoot(index: BTIndex, pages: PageAccess, where: BTPath): number {
  const { mem } = pages;
  if (index.rootBlock !== P_NONE) {
    const page = btShare(index, pages, index.rootBlock);
    if (page === MISS) return MISS;
    if (
      !isIgnored(mem, page) &&
      btpoLevel(mem, page) === index.rootLevel &&
      isLeftmost(mem, page) &&
      isRightmost(mem, page)
    ) {
      where.blk = index.rootBlock;
      return page;
    }
    index.rootBlock = P_NONE;
  }
  const meta = btShare(index, pages, BTREE_METAPAGE);
  if (meta === MISS) return MISS;
  checkMeta(index, mem, meta);
  index.postingLists = index.deduplicate && btMetaAllequalimage(mem, meta);
  let blk = btMetaFastroot(mem, meta);
  const level = btMetaFastlevel(mem, meta);
  if (blk === P_NONE) return NO_ROOT;
  for (;;) {
    const page = btShare(index, pages, blk);
    if (page === MISS) return MISS;
    if (isIgnored(mem, page)) {
      if (isRightmost(mem, page))
        throw ereport(ERRCODE.INDEX_CORRUPTED, `no live root page found in index "${index.name}"`);
      blk = btpoNext(mem, page);
      continue;
    }
    if (btpoLevel(mem, page) !== level) {
      throw ereport(
        ERRCODE.INDEX_CORRUPTED,
        `root page ${blk} of index "${index.name}" has level ${btpoLevel(mem, page)}, expected ${level}`,
      );
    }
    index.rootBlock = blk;
    index.rootLevel = level;
    where.blk = blk;
    return page;
  }
}

/** Is the key beyond the page's high key? */
export function isBeyondPage(key: BTSearchKey, mem: TupleMemory, page: number): boolean {
  if (isRightmost(mem, page)) return false;
  return isIgnored(mem, page) || btCompare(key, mem, pageGetItem(mem, page, P_HIKEY)) >= (key.nextkey ? 0 : 1);
}

/** The leaf page where the key's first item is or would be, and `where.off`; MISS or NO_ROOT. */
export function btSearch(key: BTSearchKey, pages: PageAccess, where: BTPath): number {
  const { index } = key;
  const { mem } = pages;
  let page = btGetRoot(index, pages, where);
  while (page >= 0) {
    // A deleted page has no items.
    const ignored = isIgnored(mem, page);
    if (ignored && isRightmost(mem, page)) throw fellOff(index);
    const leaf = isLeaf(mem, page);
    const off = ignored ? 0 : btBinsrch(key, mem, page);
    // An item above the key says as well as the high key that the key belongs here.
    if (ignored || (off + (leaf ? 0 : 1) > pageGetMaxOffsetNumber(mem, page) && isBeyondPage(key, mem, page))) {
      where.blk = btpoNext(mem, page);
      page = btShare(index, pages, where.blk);
      continue;
    }
    if (leaf) {
      where.off = off;
      return page;
    }
    where.blk = getDownLink(mem, pageGetItem(mem, page, off));
    page = btShare(index, pages, where.blk);
  }
  return page;
}

/**
 * As btSearch, but the leaf is held exclusively and `where` remembers the way. UNFINISHED_SPLIT when
 * a page on the way waits for its right half's downlink: the caller completes it and searches again.
 */
export function btSearchForInsert(key: BTSearchKey, pages: PageAccess, where: BTPath): number {
  const { index } = key;
  const { mem } = pages;
  where.depth = 0;
  let page = btGetRoot(index, pages, where);
  if (page < 0) return page;
  // A root that is a leaf was only looked at.
  if (isLeaf(mem, page)) page = btExclusive(index, pages, where.blk);
  while (page >= 0) {
    const leaf = isLeaf(mem, page);
    for (;;) {
      if ((btpoFlags(mem, page) & BTP_INCOMPLETE_SPLIT) !== 0 && !isRightmost(mem, page)) return UNFINISHED_SPLIT;
      if (!isBeyondPage(key, mem, page)) break;
      where.blk = btpoNext(mem, page);
      page = leaf ? btExclusive(index, pages, where.blk) : btShare(index, pages, where.blk);
      if (page === MISS) return MISS;
    }
    if (isIgnored(mem, page)) throw fellOff(index);
    if (leaf) return page;
    const off = btBinsrch(key, mem, page);
    where.push(where.blk, off);
    const aboveLeaf = btpoLevel(mem, page) === 1;
    where.blk = getDownLink(mem, pageGetItem(mem, page, off));
    page = aboveLeaf ? btExclusive(index, pages, where.blk) : btShare(index, pages, where.blk);
  }
  return page;
}

/** The page above the leaf where the key belongs, and the way there, that page included (`where`); MISS, NO_ROOT when
 *  the root is a leaf. */
export function btSearchLevelOne(key: BTSearchKey, pages: PageAccess, where: BTPath): number {
  const { index } = key;
  const { mem } = pages;
  where.depth = 0;
  let page = btGetRoot(index, pages, where);
  while (page >= 0) {
    if (isLeaf(mem, page)) return NO_ROOT;
    while (isBeyondPage(key, mem, page)) {
      where.blk = btpoNext(mem, page);
      page = btShare(index, pages, where.blk);
      if (page === MISS) return MISS;
    }
    if (isIgnored(mem, page)) throw fellOff(index);
    const off = btBinsrch(key, mem, page);
    where.push(where.blk, off);
    if (btpoLevel(mem, page) === 1) return page;
    where.blk = getDownLink(mem, pageGetItem(mem, page, off));
    page = btShare(index, pages, where.blk);
  }
  return page;
}

/** The leftmost or rightmost page of a level; MISS or NO_ROOT. */
export function btGetEndpoint(
  index: BTIndex,
  pages: PageAccess,
  level: number,
  rightmost: boolean,
  where: BTPath,
): number {
  const { mem } = pages;
  let page = btGetRoot(index, pages, where);
  while (page >= 0) {
    while (isIgnored(mem, page) || (rightmost && !isRightmost(mem, page))) {
      where.blk = btpoNext(mem, page);
      if (where.blk === P_NONE) throw fellOff(index);
      page = btShare(index, pages, where.blk);
      if (page === MISS) return MISS;
    }
    const here = btpoLevel(mem, page);
    if (here === level) return page;
    if (here < level) {
      throw ereport(ERRCODE.INDEX_CORRUPTED, `btree level ${level} not found in index "${index.name}"`);
    }
    const off = rightmost ? pageGetMaxOffsetNumber(mem, page) : firstDataKey(mem, page);
    where.blk = getDownLink(mem, pageGetItem(mem, page, off));
    page = btShare(index, pages, where.blk);
  }
  return page;
}

/**
 * On a leaf: the first item >= key (> key if nextkey), possibly one past the last. On an internal
 * page: the last item < key (<= key if nextkey), whose child the key is in; the first item, having no
 * key, is below everything.
 */
export function btBinsrch(key: BTSearchKey, mem: TupleMemory, page: number): number {
  const leaf = isLeaf(mem, page);
  const high = pageGetMaxOffsetNumber(mem, page) + 1;
  const first = firstDataKey(mem, page) + (leaf ? 0 : 1);
  const off = first >= high ? first : search(key, mem, page, first, high);
  return leaf ? off : off - 1;
}

function search(key: BTSearchKey, mem: TupleMemory, page: number, low: number, high: number): number {
  const mode = key.keysz > 0 && key.index.option[0] === 0 ? key.mode[0]! : 0;
  if (mode === CMP_INT4 || mode === CMP_OID || mode === CMP_INT8) return searchInteger(key, mode, mem, page, low, high);
  const threshold = key.nextkey ? 0 : 1;
  while (low < high) {
    const mid = (low + high) >>> 1;
    if (btCompare(key, mem, pageGetItem(mem, page, mid)) >= threshold) low = mid + 1;
    else high = mid;
  }
  return low;
}

/** The first column decides nearly always, and then nothing but one word of each tuple is looked at. */
function searchInteger(
  key: BTSearchKey,
  mode: number,
  mem: TupleMemory,
  page: number,
  low: number,
  high: number,
): number {
  const { u16, u32, i32 } = mem;
  const threshold = key.nextkey ? 0 : 1;
  const value = key.num[0]!;
  const linp = ((page + SIZE_OF_PAGE_HEADER) >>> 2) - 1;
  while (low < high) {
    const mid = (low + high) >>> 1;
    const tup = page + (u32[linp + mid]! & 0x7fff);
    const at = (tup + SIZEOF_INDEX_TUPLE) >>> 2;
    let result = 0;
    // A null may be another column's: then the general comparison looks closer.
    if ((u16[(tup + 6) >>> 1]! & INDEX_NULL_MASK) === 0) {
      if (mode === CMP_INT4) result = value - i32[at]!;
      else if (mode === CMP_OID) result = value - u32[at]!;
      else result = value - (i32[at + 1]! * 0x100000000 + u32[at]!);
    }
    if (result === 0) result = btCompare(key, mem, tup);
    if (result >= threshold) low = mid + 1;
    else high = mid;
  }
  return low;
}
