/**
 * Deleting empty leaf pages (_bt_pagedel), in two stages, each of which is one synchronous stretch and one record:
 *
 *   live leaf -> half-dead   its downlink goes (or that of the top of the subtree that has nothing but it), so that its
 *                            part of the key space is its right neighbour's; searches pass over it
 *   half-dead -> deleted     unlinked from its siblings; if it is the bottom of a subtree, pages above it first, one by one
 *
 * Who dies in between leaves a half-dead leaf, which searches know how to pass and the next VACUUM deletes. A deleted page
 * may be used again when nobody can be on his way to it any more (nbtnewpage.ts).
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { MISS, type PageAccess } from '@pgtroupe/storage/buffer/pages';
import { pageGetItem, pageGetMaxOffsetNumber } from '@pgtroupe/storage/page/bufpage';
import { pageIndexTupleDelete } from '@pgtroupe/storage/page/bufpage-compact';
import { RM_BTREE_ID } from '@pgtroupe/transam/rmgr';
import { REGBUF_STANDARD, REGBUF_WILL_INIT, type XLogInserter } from '@pgtroupe/transam/xloginsert';
import type { TupleMemory } from '../common/htup.ts';
import { indexGetAttr, itemPointerGetBlock, itemPointerGetOffset } from '../common/indextuple.ts';
import { btExclusive, type BTIndex, btShare } from './btindex.ts';
import {
  BTP_DELETED,
  BTP_HALF_DEAD,
  BTP_INCOMPLETE_SPLIT,
  BTP_ROOT,
  BTREE_METAPAGE,
  btGetMeta,
  btpoFlags,
  btpoLevel,
  btpoNext,
  btpoPrev,
  btpoSetNext,
  btpoSetPrev,
  btUpdateMeta,
  firstDataKey,
  getDownLink,
  heapTidAt,
  isIgnored,
  isLeaf,
  isRightmost,
  P_HIKEY,
  P_NONE,
  pivotNAtts,
  setDownLink,
} from './nbtree.ts';
import { initDeletedPage, initHalfDeadPage } from './nbtdeletedpage.ts';
import { BTPath, btSearchLevelOne } from './nbtsearch.ts';
import { findParent } from './nbtsplitplan.ts';
import { BTSearchKey } from './nbtutils.ts';
import {
  bufDataMetadata,
  dataMarkPageHalfDead,
  dataUnlinkPage,
  XLOG_BTREE_MARK_PAGE_HALFDEAD,
  XLOG_BTREE_UNLINK_PAGE,
  XLOG_BTREE_UNLINK_PAGE_META,
} from './nbtxlog.ts';

/** The leaf is half-dead now, or was. */
export const HALF_DEAD = 1;
/** The leaf is to stay. */
export const STAYS = 2;

/** A half-dead leaf's downlink where the leaf itself is next to be unlinked. */
const NO_TOP_PARENT = 0xffffffff;

const path = new BTPath();

// ---- first stage ----------------------------------------------------------------------------------------------------

function isEmpty(mem: TupleMemory, page: number): boolean {
  return firstDataKey(mem, page) > pageGetMaxOffsetNumber(mem, page);
}

/** Is `blk` the right half of a split that is not complete? MISS. */
function isSplitOff(index: BTIndex, pages: PageAccess, left: number, blk: number): boolean | typeof MISS {
  if (left === P_NONE) return false;
  const page = btShare(index, pages, left);
  if (page === MISS) return MISS;
  return btpoNext(pages.mem, page) === blk && (btpoFlags(pages.mem, page) & BTP_INCOMPLETE_SPLIT) !== 0;
}

/** Marks the empty leaf half-dead: HALF_DEAD, STAYS (it may not go, or not now), or MISS. */
export function btMarkPageHalfDead(index: BTIndex, pages: PageAccess, wal: XLogInserter, blk: number): number {
  const { mem } = pages;
  const leaf = btExclusive(index, pages, blk);
  if (leaf === MISS) return MISS;
  const flags = btpoFlags(mem, leaf);
  if (!isLeaf(mem, leaf) || (flags & BTP_DELETED) !== 0) return STAYS;
  if ((flags & BTP_HALF_DEAD) !== 0) return HALF_DEAD;
  if (isRightmost(mem, leaf) || (flags & (BTP_ROOT | BTP_INCOMPLETE_SPLIT)) !== 0 || !isEmpty(mem, leaf)) return STAYS;
  const splitOff = isSplitOff(index, pages, btpoPrev(mem, leaf), blk);
  if (splitOff === MISS) return MISS;
  if (splitOff) return STAYS;
  // A half-dead right neighbour has no downlink that could take this one's place.
  const right = btShare(index, pages, btpoNext(mem, leaf));
  if (right === MISS) return MISS;
  if (isIgnored(mem, right)) return STAYS;
  const found = btSearchLevelOne(highKey(index, mem, leaf), pages, path);
  if (found < 0) return found === MISS ? MISS : STAYS;
  const parent = subtreeParent(index, pages, blk, btpoNext(mem, leaf));
  if (parent === MISS || parent === STAYS) return parent;
  markHalfDead(pages, wal, leaf, blk);
  return HALF_DEAD;
}

/** The leaf's high key, as what to search for: the leftmost page with it. */
function highKey(index: BTIndex, mem: TupleMemory, leaf: number): BTSearchKey {
  const key = new BTSearchKey(index);
  const tup = pageGetItem(mem, leaf, P_HIKEY);
  for (let i = 0; i < pivotNAtts(mem, tup); i++) key.push(indexGetAttr(index.layout, mem, tup, i));
  const tid = heapTidAt(mem, tup);
  if (tid >= 0) key.setTid(itemPointerGetBlock(mem, tid), itemPointerGetOffset(mem, tid));
  key.pivotSearch = true;
  return key;
}

// What subtreeParent found: the page with the downlink that goes, which one it is, and whose it is.
let parentPage = 0;
let parentOff = 0;
let topParent = 0;
let topParentRight = 0;

/** How high does the subtree reach that has nothing but this leaf (_bt_lock_subtree_parent)? `path` leads to its parent.
 *  0, STAYS or MISS. */
function subtreeParent(index: BTIndex, pages: PageAccess, leafBlk: number, leafRight: number): number {
  const { mem } = pages;
  topParent = leafBlk;
  topParentRight = leafRight;
  for (let level = 1; ; level++) {
    const page = findParent(index, pages, path, level, topParent);
    if (page === MISS) return MISS;
    if (page < 0) return STAYS;
    const { blk, off } = path;
    const max = pageGetMaxOffsetNumber(mem, page);
    if (off < max) {
      parentPage = page;
      parentOff = off;
      return getDownLink(mem, pageGetItem(mem, page, off + 1)) === topParentRight ? 0 : STAYS;
    }
    // The last child goes only together with its parent, which must be without others and not the last on its level.
    if (off !== firstDataKey(mem, page) || isRightmost(mem, page)) return STAYS;
    const splitOff = isSplitOff(index, pages, btpoPrev(mem, page), blk);
    if (splitOff === MISS) return MISS;
    if (splitOff) return STAYS;
    topParent = blk;
    topParentRight = btpoNext(mem, page);
  }
}

function markHalfDead(pages: PageAccess, wal: XLogInserter, leaf: number, blk: number): void {
  const { mem } = pages;
  const top = topParent === blk ? NO_TOP_PARENT : topParent;
  const prev = btpoPrev(mem, leaf);
  const next = btpoNext(mem, leaf);
  removeDownlink(mem, parentPage, parentOff);
  initHalfDeadPage(mem, leaf, prev, next, top);
  wal.begin();
  dataMarkPageHalfDead(wal, { poffset: parentOff, leafBlk: blk, leftBlk: prev, rightBlk: next, topParent: top });
  wal.registerBuffer(0, leaf, REGBUF_WILL_INIT);
  wal.registerBuffer(1, parentPage, REGBUF_STANDARD);
  wal.insert(RM_BTREE_ID, XLOG_BTREE_MARK_PAGE_HALFDEAD);
}

/** The downlink at `off` gives way to its right neighbour's. Shared with redo. */
export function removeDownlink(mem: TupleMemory, parent: number, off: number): void {
  setDownLink(mem, pageGetItem(mem, parent, off), getDownLink(mem, pageGetItem(mem, parent, off + 1)));
  pageIndexTupleDelete(mem, parent, off + 1);
}

// ---- second stage ---------------------------------------------------------------------------------------------------

/** What btUnlinkHalfDeadPage did. */
export const unlinked = {
  blk: 0,
  /** Its right neighbour has no items either. */
  rightEmpty: false,
  rightBlk: 0,
};

/** Unlinks the half-dead leaf `leafBlk`, or what is above it in its subtree; again until it is deleted itself. 0 (see
 *  `unlinked`) or MISS. */
export function btUnlinkHalfDeadPage(
  index: BTIndex,
  pages: PageAccess,
  wal: XLogInserter,
  leafBlk: number,
  safexid: number,
): number {
  const { mem } = pages;
  const leaf = btExclusive(index, pages, leafBlk);
  if (leaf === MISS) return MISS;
  const top = getDownLink(mem, pageGetItem(mem, leaf, P_HIKEY));
  const blk = top === NO_TOP_PARENT ? leafBlk : top;
  const target = btExclusive(index, pages, blk);
  if (target === MISS) return MISS;
  checkTarget(index, mem, target, blk, leafBlk);
  const level = btpoLevel(mem, target);
  const left = btpoPrev(mem, target);
  const right = btpoNext(mem, target);
  const leftPage = left === P_NONE ? P_NONE : btExclusive(index, pages, left);
  if (leftPage === MISS) return MISS;
  if (left !== P_NONE && btpoNext(mem, leftPage) !== blk) throw wrongLink(index, 'left', left, blk);
  const rightPage = btExclusive(index, pages, right);
  if (rightPage === MISS) return MISS;
  if (btpoPrev(mem, rightPage) !== blk) throw wrongLink(index, 'right', right, blk);
  // If there is only one page left on the level, searches may begin there.
  let meta = P_NONE;
  let fast = false;
  if (left === P_NONE && isRightmost(mem, rightPage)) {
    meta = btExclusive(index, pages, BTREE_METAPAGE);
    if (meta === MISS) return MISS;
    fast = btGetMeta(mem, meta).fastlevel <= level + 1;
  }
  let nextTop = NO_TOP_PARENT;
  if (blk !== leafBlk) {
    const child = getDownLink(mem, pageGetItem(mem, target, firstDataKey(mem, target)));
    if (child !== leafBlk) nextTop = child;
  }

  if (left !== P_NONE) btpoSetNext(mem, leftPage, right);
  btpoSetPrev(mem, rightPage, left);
  const leafLeft = btpoPrev(mem, leaf);
  const leafRight = btpoNext(mem, leaf);
  if (blk !== leafBlk) setDownLink(mem, pageGetItem(mem, leaf, P_HIKEY), nextTop);
  initDeletedPage(mem, target, { prev: left, next: right, level }, safexid);
  wal.begin();
  wal.registerBuffer(0, target, REGBUF_WILL_INIT);
  if (left !== P_NONE) wal.registerBuffer(1, leftPage, REGBUF_STANDARD);
  wal.registerBuffer(2, rightPage, REGBUF_STANDARD);
  if (blk !== leafBlk) wal.registerBuffer(3, leaf, REGBUF_WILL_INIT);
  dataUnlinkPage(wal, { left, right, level, safexid, leafLeft, leafRight, leafTopParent: nextTop });
  if (fast) {
    const data = { ...btGetMeta(mem, meta), fastroot: right, fastlevel: level };
    btUpdateMeta(mem, meta, data);
    wal.registerBuffer(4, meta, REGBUF_WILL_INIT | REGBUF_STANDARD);
    bufDataMetadata(wal, 4, data);
  }
  wal.insert(RM_BTREE_ID, fast ? XLOG_BTREE_UNLINK_PAGE_META : XLOG_BTREE_UNLINK_PAGE);
  unlinked.blk = blk;
  unlinked.rightEmpty = isEmpty(mem, rightPage);
  unlinked.rightBlk = right;
  return 0;
}

/** Nobody but VACUUM changes what is half-dead. */
function checkTarget(index: BTIndex, mem: TupleMemory, target: number, blk: number, leafBlk: number): void {
  const flags = btpoFlags(mem, target);
  const sound =
    !isRightmost(mem, target) &&
    (flags & (BTP_ROOT | BTP_DELETED)) === 0 &&
    (blk === leafBlk
      ? (flags & BTP_HALF_DEAD) !== 0 && isEmpty(mem, target)
      : !isLeaf(mem, target) && firstDataKey(mem, target) === pageGetMaxOffsetNumber(mem, target));
  if (sound) return;
  const message = `target page changed status unexpectedly in block ${blk} of index "${index.name}"`;
  throw ereport(ERRCODE.INDEX_CORRUPTED, message);
}

function wrongLink(index: BTIndex, side: 'left' | 'right', blk: number, target: number): Error {
  const message = `${side} sibling ${blk} of block ${target} does not link back to it in index "${index.name}"`;
  return ereport(ERRCODE.INDEX_CORRUPTED, message);
}
