/**
 * The layout every page of heap, index, FSM and VM shares, and adding items to it.
 *
 *      0  pd_lsn               u32 high, u32 low   end of the last WAL record that touched the page
 *      8  pd_checksum          u16                 set when the page leaves memory
 *     10  pd_flags             u16
 *     12  pd_lower             u16                 end of the line pointers = start of free space
 *     14  pd_upper             u16                 end of free space = lowest item
 *     16  pd_special           u16                 start of the access method's own area
 *     18  pd_pagesize_version  u16                 0x2004: size 8192, layout version 4
 *     20  pd_prune_xid         u32                 oldest xid whose deletion may be prunable, 0 unknown
 *     24  pd_linp[]            u32 each            line pointers, see itemid.ts
 *    ...  free space ...       items, downward ... special space
 *
 * Everything works on (mem, page): views of one buffer and the byte offset of the page in it, which
 * is MAXALIGNed. Offset numbers are 1-based. Nothing here allocates, awaits, logs or marks dirty.
 */
import { BLCKSZ, maxAlign } from '@pgtroupe/common/ids';
import type { OffsetNumber, TransactionId, XLogRecPtr } from '@pgtroupe/common/ids';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { assert } from '@pgtroupe/common/assert';
import { pgChecksumPage } from './checksum.ts';
import { itemIdHasStorage, itemIdIsUsed, LP_NORMAL, makeItemId, SIZEOF_ITEM_ID } from './itemid.ts';

/** The part of Memory that pages need; a lone page can be wrapped with `pageMemory`. */
export interface PageMemory {
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
}

export const SIZE_OF_PAGE_HEADER = 24;
export const PG_PAGE_LAYOUT_VERSION = 4;
export const FIRST_OFFSET_NUMBER = 1 as OffsetNumber;
export const INVALID_OFFSET_NUMBER = 0 as OffsetNumber;

/** A line pointer may be free (hint). */
export const PD_HAS_FREE_LINES = 0x0001;
/** An UPDATE found no room here (hint for pruning). */
export const PD_PAGE_FULL = 0x0002;
/** Every tuple is visible to everyone. */
export const PD_ALL_VISIBLE = 0x0004;
export const PD_VALID_FLAG_BITS = 0x0007;

/** (8192 - 24) / (MAXALIGN(23) + 4). */
export const MAX_HEAP_TUPLES_PER_PAGE = 291;
/** (8192 - 24) / (MAXALIGN(8 + 1) + 4). */
export const MAX_INDEX_TUPLES_PER_PAGE = 408;

/** Flags of pageAddItem. */
export const PAI_OVERWRITE = 1;
export const PAI_IS_HEAP = 2;

/** Views over one whole buffer whose start is at least 4-byte aligned. */
export function pageMemory(bytes: Uint8Array): PageMemory {
  const { buffer, byteOffset, byteLength } = bytes;
  return {
    u8: bytes,
    u16: new Uint16Array(buffer, byteOffset, byteLength >>> 1),
    u32: new Uint32Array(buffer, byteOffset, byteLength >>> 2),
  };
}

// ---- header ------------------------------------------------------------------------------------

export function pageGetLSN(mem: PageMemory, page: number): XLogRecPtr {
  return (mem.u32[page >>> 2]! * 0x100000000 + mem.u32[(page >>> 2) + 1]!) as XLogRecPtr;
}

export function pageSetLSN(mem: PageMemory, page: number, lsn: XLogRecPtr): void {
  mem.u32[page >>> 2] = Math.floor(lsn / 0x100000000);
  mem.u32[(page >>> 2) + 1] = lsn >>> 0;
}

export function pageGetChecksum(mem: PageMemory, page: number): number {
  return mem.u16[(page + 8) >>> 1]!;
}

export function pageGetFlags(mem: PageMemory, page: number): number {
  return mem.u16[(page + 10) >>> 1]!;
}

export function pageSetFlags(mem: PageMemory, page: number, flags: number): void {
  mem.u16[(page + 10) >>> 1] = flags;
}

export function pageGetLower(mem: PageMemory, page: number): number {
  return mem.u16[(page + 12) >>> 1]!;
}

export function pageSetLower(mem: PageMemory, page: number, lower: number): void {
  mem.u16[(page + 12) >>> 1] = lower;
}

export function pageGetUpper(mem: PageMemory, page: number): number {
  return mem.u16[(page + 14) >>> 1]!;
}

export function pageSetUpper(mem: PageMemory, page: number, upper: number): void {
  mem.u16[(page + 14) >>> 1] = upper;
}

export function pageGetSpecial(mem: PageMemory, page: number): number {
  return mem.u16[(page + 16) >>> 1]!;
}

function pageSetSpecial(mem: PageMemory, page: number, special: number): void {
  mem.u16[(page + 16) >>> 1] = special;
}

export function pageGetPruneXid(mem: PageMemory, page: number): TransactionId {
  return mem.u32[(page + 20) >>> 2] as TransactionId;
}

export function pageSetPruneXid(mem: PageMemory, page: number, xid: TransactionId): void {
  mem.u32[(page + 20) >>> 2] = xid;
}

/** Never initialised (all zero header). */
export function pageIsNew(mem: PageMemory, page: number): boolean {
  return pageGetUpper(mem, page) === 0;
}

export function pageIsAllVisible(mem: PageMemory, page: number): boolean {
  return (pageGetFlags(mem, page) & PD_ALL_VISIBLE) !== 0;
}

export function pageSetAllVisible(mem: PageMemory, page: number): void {
  pageSetFlags(mem, page, pageGetFlags(mem, page) | PD_ALL_VISIBLE);
}

export function pageClearAllVisible(mem: PageMemory, page: number): void {
  pageSetFlags(mem, page, pageGetFlags(mem, page) & ~PD_ALL_VISIBLE);
}

export function pageIsFull(mem: PageMemory, page: number): boolean {
  return (pageGetFlags(mem, page) & PD_PAGE_FULL) !== 0;
}

export function pageSetFull(mem: PageMemory, page: number): void {
  pageSetFlags(mem, page, pageGetFlags(mem, page) | PD_PAGE_FULL);
}

export function pageClearFull(mem: PageMemory, page: number): void {
  pageSetFlags(mem, page, pageGetFlags(mem, page) & ~PD_PAGE_FULL);
}

export function pageHasFreeLinePointers(mem: PageMemory, page: number): boolean {
  return (pageGetFlags(mem, page) & PD_HAS_FREE_LINES) !== 0;
}

export function pageSetHasFreeLinePointers(mem: PageMemory, page: number): void {
  pageSetFlags(mem, page, pageGetFlags(mem, page) | PD_HAS_FREE_LINES);
}

export function pageClearHasFreeLinePointers(mem: PageMemory, page: number): void {
  pageSetFlags(mem, page, pageGetFlags(mem, page) & ~PD_HAS_FREE_LINES);
}

/** Remembers that tuples deleted by `xid` could be pruned once it is old enough. */
export function pageSetPrunable(mem: PageMemory, page: number, xid: TransactionId): void {
  const old = pageGetPruneXid(mem, page);
  if (old === 0 || ((xid - old) | 0) < 0) pageSetPruneXid(mem, page, xid);
}

/** An empty page with a special area of `specialSize` bytes; every other byte becomes zero. */
export function pageInit(mem: PageMemory, page: number, specialSize: number): void {
  const special = BLCKSZ - maxAlign(specialSize);
  mem.u8.fill(0, page, page + BLCKSZ);
  pageSetLower(mem, page, SIZE_OF_PAGE_HEADER);
  pageSetUpper(mem, page, special);
  pageSetSpecial(mem, page, special);
  mem.u16[(page + 18) >>> 1] = BLCKSZ | PG_PAGE_LAYOUT_VERSION;
}

/** Sets pd_checksum; a page that was never initialised stays all zeros. */
export function pageSetChecksum(mem: PageMemory, page: number, blkno: number): void {
  if (pageIsNew(mem, page)) return;
  mem.u16[(page + 8) >>> 1] = pgChecksumPage(mem.u32, page, blkno);
}

/** As read from disk: checksum right and header sane, or all zeros. */
export function pageIsVerified(mem: PageMemory, page: number, blkno: number): boolean {
  if (!pageIsNew(mem, page))
    return headerIsSane(mem, page) && pageGetChecksum(mem, page) === pgChecksumPage(mem.u32, page, blkno);
  for (let word = page >>> 2, end = (page + BLCKSZ) >>> 2; word < end; word++) {
    if (mem.u32[word] !== 0) return false;
  }
  return true;
}

function headerIsSane(mem: PageMemory, page: number): boolean {
  const lower = pageGetLower(mem, page);
  const upper = pageGetUpper(mem, page);
  const special = pageGetSpecial(mem, page);
  return (
    (pageGetFlags(mem, page) & ~PD_VALID_FLAG_BITS) === 0 &&
    lower <= upper &&
    upper <= special &&
    special <= BLCKSZ &&
    special === maxAlign(special)
  );
}

/** Before items are moved: damage must not spread. */
export function checkPagePointers(mem: PageMemory, page: number): void {
  const lower = pageGetLower(mem, page);
  const upper = pageGetUpper(mem, page);
  const special = pageGetSpecial(mem, page);
  if (
    lower < SIZE_OF_PAGE_HEADER ||
    lower > upper ||
    upper > special ||
    special > BLCKSZ ||
    special !== maxAlign(special)
  ) {
    throw ereport(
      ERRCODE.DATA_CORRUPTED,
      `corrupted page pointers: lower = ${lower}, upper = ${upper}, special = ${special}`,
    );
  }
}

// ---- line pointers -----------------------------------------------------------------------------

/** Number of line pointers = the highest offset number; 0 when empty or new. */
export function pageGetMaxOffsetNumber(mem: PageMemory, page: number): OffsetNumber {
  const lower = pageGetLower(mem, page);
  return (lower <= SIZE_OF_PAGE_HEADER ? 0 : (lower - SIZE_OF_PAGE_HEADER) >>> 2) as OffsetNumber;
}

/** The line pointer's value; take it apart with itemid.ts. */
export function pageGetItemId(mem: PageMemory, page: number, offnum: number): number {
  return mem.u32[((page + SIZE_OF_PAGE_HEADER) >>> 2) + offnum - 1]!;
}

export function pageSetItemId(mem: PageMemory, page: number, offnum: number, itemId: number): void {
  mem.u32[((page + SIZE_OF_PAGE_HEADER) >>> 2) + offnum - 1] = itemId;
}

/** Byte offset in `mem` of the item that the line pointer `offnum` has storage for. */
export function pageGetItem(mem: PageMemory, page: number, offnum: number): number {
  return page + (pageGetItemId(mem, page, offnum) & 0x7fff);
}

// ---- adding items ------------------------------------------------------------------------------

/**
 * Puts an item on the page and returns its offset number; INVALID_OFFSET_NUMBER when there is no
 * room, with the page unchanged. `offnum` 0 takes the first free line pointer; otherwise the item
 * goes there, shifting later line pointers up, or with PAI_OVERWRITE into that unused one.
 */
export function pageAddItem(
  mem: PageMemory,
  page: number,
  source: Uint8Array,
  from: number,
  size: number,
  offnum: number,
  flags = 0,
): OffsetNumber {
  const lower = pageGetLower(mem, page);
  const upper = pageGetUpper(mem, page);
  checkPagePointers(mem, page);
  const limit = pageGetMaxOffsetNumber(mem, page) + 1;
  let target = offnum;
  let shuffle = false;
  if (target !== 0) {
    assert(target <= limit, 'specified item offset is too large');
    if ((flags & PAI_OVERWRITE) === 0) shuffle = target < limit;
    else if (target < limit) assert(isFree(pageGetItemId(mem, page, target)), 'will not overwrite a used ItemId');
  } else {
    target = limit;
    if (pageHasFreeLinePointers(mem, page)) {
      for (target = 1; target < limit; target++) if (isFree(pageGetItemId(mem, page, target))) break;
      if (target >= limit) pageClearHasFreeLinePointers(mem, page);
    }
  }
  if ((flags & PAI_IS_HEAP) !== 0 && target > MAX_HEAP_TUPLES_PER_PAGE) return INVALID_OFFSET_NUMBER;

  const newLower = target === limit || shuffle ? lower + SIZEOF_ITEM_ID : lower;
  const newUpper = upper - maxAlign(size);
  if (newLower > newUpper) return INVALID_OFFSET_NUMBER;

  if (shuffle) {
    const at = ((page + SIZE_OF_PAGE_HEADER) >>> 2) + target - 1;
    mem.u32.copyWithin(at + 1, at, at + limit - target);
  }
  pageSetItemId(mem, page, target, makeItemId(newUpper, LP_NORMAL, size));
  copyItem(mem, page + newUpper, source, from, size);
  pageSetLower(mem, page, newLower);
  pageSetUpper(mem, page, newUpper);
  return target as OffsetNumber;
}

function isFree(itemId: number): boolean {
  return !itemIdIsUsed(itemId) && !itemIdHasStorage(itemId);
}

/** Copies an item's bytes; small ones without creating a subarray. */
export function copyItem(mem: PageMemory, to: number, source: Uint8Array, from: number, size: number): void {
  const { u8 } = mem;
  if (source.buffer === u8.buffer && source.byteOffset === u8.byteOffset) u8.copyWithin(to, from, from + size);
  else if (size > 64) u8.set(source.subarray(from, from + size), to);
  else for (let i = 0; i < size; i++) u8[to + i] = source[from + i]!;
}

// ---- free space --------------------------------------------------------------------------------

/** Bytes free for one more item, its line pointer already deducted. */
export function pageGetFreeSpace(mem: PageMemory, page: number): number {
  const space = pageGetUpper(mem, page) - pageGetLower(mem, page);
  return space < SIZEOF_ITEM_ID ? 0 : space - SIZEOF_ITEM_ID;
}

/** As pageGetFreeSpace, without deducting a line pointer. */
export function pageGetExactFreeSpace(mem: PageMemory, page: number): number {
  const space = pageGetUpper(mem, page) - pageGetLower(mem, page);
  return space < 0 ? 0 : space;
}

/** As pageGetFreeSpace, but 0 when the page may have no more line pointers. */
export function pageGetHeapFreeSpace(mem: PageMemory, page: number): number {
  const space = pageGetFreeSpace(mem, page);
  if (space === 0) return 0;
  const lines = pageGetMaxOffsetNumber(mem, page);
  if (lines < MAX_HEAP_TUPLES_PER_PAGE) return space;
  if (!pageHasFreeLinePointers(mem, page)) return 0;
  for (let off = 1; off <= lines; off++) if (!itemIdIsUsed(pageGetItemId(mem, page, off))) return space;
  return 0;
}
