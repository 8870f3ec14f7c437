/**
 * The B-tree's formats on disk.
 *
 * Block 0 is the metapage; each level above the leaves holds separator keys (pivot tuples) with
 * downlinks, and the pages of one level are doubly linked:
 *
 *          meta ──► [ -inf │ k2 │ k5 ]            level 1 (root)
 *                     │      │    └─────────────────┐
 *                     ▼      ▼                      ▼
 *        [ hk k2 │ t0 t1 ] ⇄ [ hk k5 │ t2 t3 t4 ] ⇄ [ t5 t6 ]     level 0
 *
 * Item 1 of every page but the rightmost of its level is the high key: no key on the page is greater,
 * and every key on the right sibling is. The first data item of an internal page has no key at all
 * (minus infinity). Heap TID is the last key column, so that all keys differ.
 *
 * Special space, last 16 bytes of the page      Metapage, behind the page header (pd_lower 72)
 *    0  btpo_prev     u32   0: leftmost           24  btm_magic         u32   0x053162
 *    4  btpo_next     u32   0: rightmost          28  btm_version       u32   4
 *    8  btpo_level    u32   0: leaf               32  btm_root          u32   0: empty index
 *   12  btpo_flags    u16                         36  btm_level         u32
 *   14  btpo_cycleid  u16   of VACUUM             40  btm_fastroot      u32   lowest page that is alone on its level
 *                                                 44  btm_fastlevel     u32
 *                                                 48  last_cleanup_num_delpages     u32 (+ 4 padding)
 *                                                 56  last_cleanup_num_heap_tuples  f64, -1
 *                                                 64  btm_allequalimage u8    (+ 7 padding)
 *
 * Tuples (common/indextuple.ts). When INDEX_ALT_TID_MASK is set, t_tid is no TID:
 *   pivot     block = downlink; offset = number of key columns, | BT_PIVOT_HEAP_TID_ATTR when the last
 *             6 bytes are a heap TID (keys that differ in it only)
 *   posting   block = byte offset of the TID array in the tuple; offset = count | BT_IS_POSTING
 */
import { BLCKSZ } from '@pgtroupe/common/ids';
import {
  pageGetItemId,
  pageInit,
  pageSetItemId,
  pageSetLower,
  SIZE_OF_PAGE_HEADER,
} from '@pgtroupe/storage/page/bufpage';
import { itemIdGetLength, itemIdGetOffset, LP_DEAD, makeItemId } from '@pgtroupe/storage/page/itemid';
import type { TupleMemory } from '../common/htup.ts';
import {
  INDEX_AM_RESERVED_BIT,
  INDEX_SIZE_MASK,
  indexTupleSize,
  itemPointerGetBlock,
  itemPointerGetOffset,
  itemPointerSet,
} from '../common/indextuple.ts';

export const BTREE_METAPAGE = 0;
export const BTREE_MAGIC = 0x053162;
export const BTREE_VERSION = 4;
export const P_NONE = 0;
export const P_HIKEY = 1;
export const P_FIRSTKEY = 2;

export const BTREE_DEFAULT_FILLFACTOR = 90;
export const BTREE_NONLEAF_FILLFACTOR = 70;
/** Of pages split among duplicates of one single value. */
export const BTREE_SINGLEVAL_FILLFACTOR = 96;

/** Largest leaf tuple: a third of a page, with room for the heap TID its pivot may need. */
export const BT_MAX_ITEM_SIZE = 2704;
export const SIZEOF_BT_PAGE_OPAQUE = 16;
/** Where the special space of every B-tree page begins. */
export const BT_SPECIAL = BLCKSZ - SIZEOF_BT_PAGE_OPAQUE;
/** Most TIDs a leaf page can hold: (8192 - 24 - 16) / 6. */
export const MAX_TIDS_PER_BTREE_PAGE = 1358;

// ---- special space -----------------------------------------------------------------------------------
export const BTP_LEAF = 1 << 0;
export const BTP_ROOT = 1 << 1;
export const BTP_DELETED = 1 << 2;
export const BTP_META = 1 << 3;
/** Empty, still in the tree, its parent's downlink gone. */
export const BTP_HALF_DEAD = 1 << 4;
export const BTP_SPLIT_END = 1 << 5;
/** Has items marked dead (hint). */
export const BTP_HAS_GARBAGE = 1 << 6;
/** The right sibling has no downlink yet. */
export const BTP_INCOMPLETE_SPLIT = 1 << 7;
/** A deleted page keeps a full transaction id. */
export const BTP_HAS_FULLXID = 1 << 8;

export function btpoPrev(mem: TupleMemory, page: number): number {
  return mem.u32[(page + BT_SPECIAL) >>> 2]!;
}

export function btpoSetPrev(mem: TupleMemory, page: number, blk: number): void {
  mem.u32[(page + BT_SPECIAL) >>> 2] = blk;
}

export function btpoNext(mem: TupleMemory, page: number): number {
  return mem.u32[(page + BT_SPECIAL + 4) >>> 2]!;
}

export function btpoSetNext(mem: TupleMemory, page: number, blk: number): void {
  mem.u32[(page + BT_SPECIAL + 4) >>> 2] = blk;
}

export function btpoLevel(mem: TupleMemory, page: number): number {
  return mem.u32[(page + BT_SPECIAL + 8) >>> 2]!;
}

export function btpoSetLevel(mem: TupleMemory, page: number, level: number): void {
  mem.u32[(page + BT_SPECIAL + 8) >>> 2] = level;
}

export function btpoFlags(mem: TupleMemory, page: number): number {
  return mem.u16[(page + BT_SPECIAL + 12) >>> 1]!;
}

export function btpoSetFlags(mem: TupleMemory, page: number, flags: number): void {
  mem.u16[(page + BT_SPECIAL + 12) >>> 1] = flags;
}

export function btpoCycleid(mem: TupleMemory, page: number): number {
  return mem.u16[(page + BT_SPECIAL + 14) >>> 1]!;
}

export function btpoSetCycleid(mem: TupleMemory, page: number, cycleid: number): void {
  mem.u16[(page + BT_SPECIAL + 14) >>> 1] = cycleid;
}

export function isLeftmost(mem: TupleMemory, page: number): boolean {
  return btpoPrev(mem, page) === P_NONE;
}

export function isRightmost(mem: TupleMemory, page: number): boolean {
  return btpoNext(mem, page) === P_NONE;
}

export function isLeaf(mem: TupleMemory, page: number): boolean {
  return (btpoFlags(mem, page) & BTP_LEAF) !== 0;
}

/** Deleted or about to be: searches pass over it. */
export function isIgnored(mem: TupleMemory, page: number): boolean {
  return (btpoFlags(mem, page) & (BTP_DELETED | BTP_HALF_DEAD)) !== 0;
}

export function firstDataKey(mem: TupleMemory, page: number): number {
  return isRightmost(mem, page) ? P_HIKEY : P_FIRSTKEY;
}

export function btPageInit(mem: TupleMemory, page: number): void {
  pageInit(mem, page, SIZEOF_BT_PAGE_OPAQUE);
}

/** Marks a leaf item dead, a hint: searches pass over it, and an insertion that needs its room removes it. */
export function markItemDead(mem: TupleMemory, page: number, off: number): void {
  const id = pageGetItemId(mem, page, off);
  pageSetItemId(mem, page, off, makeItemId(itemIdGetOffset(id), LP_DEAD, itemIdGetLength(id)));
  btpoSetFlags(mem, page, btpoFlags(mem, page) | BTP_HAS_GARBAGE);
}

// ---- metapage ----------------------------------------------------------------------------------------

export interface BTMetaPageData {
  readonly version: number;
  readonly root: number;
  readonly level: number;
  readonly fastroot: number;
  readonly fastlevel: number;
  readonly lastCleanupNumDelpages: number;
  readonly allequalimage: boolean;
}

export function btMetaMagic(mem: TupleMemory, page: number): number {
  return mem.u32[(page + 24) >>> 2]!;
}

export function btMetaVersion(mem: TupleMemory, page: number): number {
  return mem.u32[(page + 28) >>> 2]!;
}

export function btMetaRoot(mem: TupleMemory, page: number): number {
  return mem.u32[(page + 32) >>> 2]!;
}

export function btMetaFastroot(mem: TupleMemory, page: number): number {
  return mem.u32[(page + 40) >>> 2]!;
}

export function btMetaFastlevel(mem: TupleMemory, page: number): number {
  return mem.u32[(page + 44) >>> 2]!;
}

export function btMetaAllequalimage(mem: TupleMemory, page: number): boolean {
  return mem.u8[page + 64] !== 0;
}

export function btGetMeta(mem: TupleMemory, page: number): BTMetaPageData {
  const at = (page + SIZE_OF_PAGE_HEADER) >>> 2;
  return {
    version: mem.u32[at + 1]!,
    root: mem.u32[at + 2]!,
    level: mem.u32[at + 3]!,
    fastroot: mem.u32[at + 4]!,
    fastlevel: mem.u32[at + 5]!,
    lastCleanupNumDelpages: mem.u32[at + 6]!,
    allequalimage: btMetaAllequalimage(mem, page),
  };
}

/** Writes the whole metapage anew. */
export function btInitMetaPage(mem: TupleMemory, page: number, meta: BTMetaPageData): void {
  btPageInit(mem, page);
  const at = (page + SIZE_OF_PAGE_HEADER) >>> 2;
  mem.u32[at] = BTREE_MAGIC;
  btUpdateMeta(mem, page, meta);
  mem.view.setFloat64(page + 56, -1, true);
  mem.u8[page + 64] = meta.allequalimage ? 1 : 0;
  pageSetLower(mem, page, 72);
  btpoSetFlags(mem, page, BTP_META);
}

/** Changes what an existing metapage says of the tree. */
export function btUpdateMeta(mem: TupleMemory, page: number, meta: BTMetaPageData): void {
  const at = (page + SIZE_OF_PAGE_HEADER) >>> 2;
  mem.u32[at + 1] = meta.version;
  mem.u32[at + 2] = meta.root;
  mem.u32[at + 3] = meta.level;
  mem.u32[at + 4] = meta.fastroot;
  mem.u32[at + 5] = meta.fastlevel;
  mem.u32[at + 6] = meta.lastCleanupNumDelpages;
}

/** Of an index without a single tuple. */
export function emptyMeta(allequalimage: boolean): BTMetaPageData {
  return {
    version: BTREE_VERSION,
    root: P_NONE,
    level: 0,
    fastroot: P_NONE,
    fastlevel: 0,
    lastCleanupNumDelpages: 0,
    allequalimage,
  };
}

// ---- tuples ------------------------------------------------------------------------------------------
export const INDEX_ALT_TID_MASK = INDEX_AM_RESERVED_BIT;
const BT_OFFSET_MASK = 0x0fff;
const BT_PIVOT_HEAP_TID_ATTR = 0x1000;
const BT_IS_POSTING = 0x2000;
export const SIZEOF_ITEM_POINTER = 6;

export function isPivot(mem: TupleMemory, tup: number): boolean {
  return (mem.u16[(tup + 6) >>> 1]! & INDEX_ALT_TID_MASK) !== 0 && (mem.u16[(tup + 4) >>> 1]! & BT_IS_POSTING) === 0;
}

export function isPosting(mem: TupleMemory, tup: number): boolean {
  return (mem.u16[(tup + 6) >>> 1]! & INDEX_ALT_TID_MASK) !== 0 && (mem.u16[(tup + 4) >>> 1]! & BT_IS_POSTING) !== 0;
}

export function setPosting(mem: TupleMemory, tup: number, count: number, postingOffset: number): void {
  mem.u16[(tup + 6) >>> 1]! |= INDEX_ALT_TID_MASK;
  itemPointerSet(mem, tup, postingOffset, count | BT_IS_POSTING);
}

/** How many TIDs a posting list tuple has. */
export function getNPosting(mem: TupleMemory, tup: number): number {
  return mem.u16[(tup + 4) >>> 1]! & BT_OFFSET_MASK;
}

/** Where its TIDs begin, from the tuple's beginning. */
export function getPostingOffset(mem: TupleMemory, tup: number): number {
  return itemPointerGetBlock(mem, tup);
}

export function getDownLink(mem: TupleMemory, tup: number): number {
  return itemPointerGetBlock(mem, tup);
}

export function setDownLink(mem: TupleMemory, tup: number, blk: number): void {
  itemPointerSet(mem, tup, blk, itemPointerGetOffset(mem, tup));
}

/** Key columns of a pivot tuple. */
export function pivotNAtts(mem: TupleMemory, tup: number): number {
  return mem.u16[(tup + 4) >>> 1]! & BT_OFFSET_MASK;
}

/** Makes the tuple a pivot of `natts` key columns, with a heap TID in its last bytes or not. */
export function setPivotNAtts(mem: TupleMemory, tup: number, natts: number, heapTid: boolean): void {
  mem.u16[(tup + 6) >>> 1]! |= INDEX_ALT_TID_MASK;
  mem.u16[(tup + 4) >>> 1] = heapTid ? natts | BT_PIVOT_HEAP_TID_ATTR : natts;
}

export function setTupleSize(mem: TupleMemory, tup: number, size: number): void {
  mem.u16[(tup + 6) >>> 1] = (mem.u16[(tup + 6) >>> 1]! & ~INDEX_SIZE_MASK) | size;
}

/** Where the tuple's (lowest) heap TID is; -1 for a pivot whose heap TID was truncated away. */
export function heapTidAt(mem: TupleMemory, tup: number): number {
  if ((mem.u16[(tup + 6) >>> 1]! & INDEX_ALT_TID_MASK) === 0) return tup;
  const bits = mem.u16[(tup + 4) >>> 1]!;
  if ((bits & BT_IS_POSTING) !== 0) return tup + getPostingOffset(mem, tup);
  return (bits & BT_PIVOT_HEAP_TID_ATTR) !== 0 ? tup + indexTupleSize(mem, tup) - SIZEOF_ITEM_POINTER : -1;
}

/** Where the highest heap TID of a leaf tuple is. */
export function maxHeapTidAt(mem: TupleMemory, tup: number): number {
  return isPosting(mem, tup)
    ? tup + getPostingOffset(mem, tup) + (getNPosting(mem, tup) - 1) * SIZEOF_ITEM_POINTER
    : tup;
}

/** Writes the tuple of an internal page's first data item: a downlink and no key (8 bytes). */
export function formMinusInfinity(mem: TupleMemory, tup: number, downlink: number): void {
  mem.u16[(tup + 6) >>> 1] = 8;
  itemPointerSet(mem, tup, downlink, 0);
  setPivotNAtts(mem, tup, 0, false);
}
