/**
 * Removing items from a page and closing the gaps: pruning's defragmentation of heap pages,
 * deletion and replacement of index tuples.
 *
 * All of them validate the page before changing a byte: a damaged line pointer raises XX001 and
 * leaves the page as it was. Items keep the order of their line pointers, the first one highest,
 * which is how PostgreSQL's pages come out of the same operations.
 */
import { BLCKSZ, maxAlign } from '@pgtroupe/common/ids';
import { assert } from '@pgtroupe/common/assert';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import {
  checkPagePointers,
  copyItem,
  pageClearHasFreeLinePointers,
  pageGetItemId,
  pageGetLower,
  pageGetMaxOffsetNumber,
  pageGetSpecial,
  pageGetUpper,
  pageSetHasFreeLinePointers,
  pageSetItemId,
  pageSetLower,
  pageSetUpper,
  SIZE_OF_PAGE_HEADER,
} from './bufpage.ts';
import type { PageMemory } from './bufpage.ts';
import {
  itemIdGetFlags,
  itemIdGetLength,
  itemIdGetOffset,
  itemIdHasStorage,
  itemIdIsUsed,
  makeItemId,
  SIZEOF_ITEM_ID,
} from './itemid.ts';

/** Copy of the page's items while they move. The functions here are synchronous, so one will do. */
const scratch = new Uint8Array(BLCKSZ);

/** Packs all items with storage against the special space, in line pointer order. */
function compactify(mem: PageMemory, page: number): void {
  const lines = pageGetMaxOffsetNumber(mem, page);
  const oldUpper = pageGetUpper(mem, page);
  let upper = pageGetSpecial(mem, page);
  let copied = false;
  for (let off = 1; off <= lines; off++) {
    const id = pageGetItemId(mem, page, off);
    if (!itemIdHasStorage(id)) continue;
    const length = maxAlign(itemIdGetLength(id));
    const from = itemIdGetOffset(id);
    upper -= length;
    if (from === upper) continue;
    if (!copied) {
      // Items before the first that moves stay; everything below it is read from the copy.
      scratch.set(mem.u8.subarray(page + oldUpper, page + upper + length), oldUpper);
      copied = true;
    }
    copyItem(mem, page + upper, scratch, from, length);
    pageSetItemId(mem, page, off, makeItemId(upper, itemIdGetFlags(id), itemIdGetLength(id)));
  }
  pageSetUpper(mem, page, upper);
}

function checkItem(mem: PageMemory, page: number, id: number): void {
  const offset = itemIdGetOffset(id);
  const size = itemIdGetLength(id);
  if (offset < pageGetUpper(mem, page) || offset + size > pageGetSpecial(mem, page) || offset !== maxAlign(offset)) {
    throw ereport(ERRCODE.DATA_CORRUPTED, `corrupted line pointer: offset = ${offset}, size = ${size}`);
  }
}

function checkTotal(mem: PageMemory, page: number, total: number): void {
  const available = pageGetSpecial(mem, page) - pageGetLower(mem, page);
  if (total > available)
    throw ereport(ERRCODE.DATA_CORRUPTED, `corrupted item lengths: total ${total}, available space ${available}`);
}

/**
 * After pruning set line pointers of a heap page to unused, dead or redirect: closes the gaps, drops
 * unused line pointers from the array's end and sets the hint about free ones.
 */
export function pageRepairFragmentation(mem: PageMemory, page: number): void {
  checkPagePointers(mem, page);
  const lines = pageGetMaxOffsetNumber(mem, page);
  let unused = 0;
  let lastUsed = 0;
  let total = 0;
  for (let off = 1; off <= lines; off++) {
    const id = pageGetItemId(mem, page, off);
    if (!itemIdIsUsed(id)) {
      unused++;
      continue;
    }
    lastUsed = off;
    if (!itemIdHasStorage(id)) continue;
    checkItem(mem, page, id);
    total += maxAlign(itemIdGetLength(id));
  }
  checkTotal(mem, page, total);
  for (let off = 1; off <= lines; off++) {
    if (!itemIdIsUsed(pageGetItemId(mem, page, off))) pageSetItemId(mem, page, off, 0);
  }
  compactify(mem, page);
  if (lastUsed !== lines) {
    unused -= lines - lastUsed;
    pageSetLower(mem, page, pageGetLower(mem, page) - (lines - lastUsed) * SIZEOF_ITEM_ID);
  }
  if (unused > 0) pageSetHasFreeLinePointers(mem, page);
  else pageClearHasFreeLinePointers(mem, page);
}

/**
 * Drops unused line pointers from the end of a heap page's array (vacuum's second pass). Keeps one
 * so that an empty page is not mistaken for a new one, as PostgreSQL does.
 */
export function pageTruncateLinePointerArray(mem: PageMemory, page: number): void {
  const lines = pageGetMaxOffsetNumber(mem, page);
  let keep = lines as number;
  while (keep > 1 && !itemIdIsUsed(pageGetItemId(mem, page, keep))) keep--;
  let free = false;
  for (let off = 1; off <= keep && !free; off++) free = !itemIdIsUsed(pageGetItemId(mem, page, off));
  pageSetLower(mem, page, pageGetLower(mem, page) - (lines - keep) * SIZEOF_ITEM_ID);
  if (free) pageSetHasFreeLinePointers(mem, page);
  else pageClearHasFreeLinePointers(mem, page);
}

/** Removes one index tuple together with its line pointer. */
export function pageIndexTupleDelete(mem: PageMemory, page: number, offnum: number): void {
  checkPagePointers(mem, page);
  const lines = pageGetMaxOffsetNumber(mem, page);
  assert(offnum > 0 && offnum <= lines, `invalid index offnum: ${offnum}`);
  const id = pageGetItemId(mem, page, offnum);
  checkItem(mem, page, id);
  const offset = itemIdGetOffset(id);
  const size = maxAlign(itemIdGetLength(id));
  const upper = pageGetUpper(mem, page);
  const linp = (page + SIZE_OF_PAGE_HEADER) >>> 2;
  mem.u32.copyWithin(linp + offnum - 1, linp + offnum, linp + lines);
  if (offset > upper) mem.u8.copyWithin(page + upper + size, page + upper, page + offset);
  pageSetUpper(mem, page, upper + size);
  pageSetLower(mem, page, pageGetLower(mem, page) - SIZEOF_ITEM_ID);
  shiftOffsets(mem, page, offset, size);
}

/** Adds `by` to the position of every item at or below `limit`. */
function shiftOffsets(mem: PageMemory, page: number, limit: number, by: number): void {
  const lines = pageGetMaxOffsetNumber(mem, page);
  for (let off = 1; off <= lines; off++) {
    const id = pageGetItemId(mem, page, off);
    if (itemIdHasStorage(id) && itemIdGetOffset(id) <= limit) pageSetItemId(mem, page, off, (id + by) >>> 0);
  }
}

/** Removes several index tuples; `offnums` ascending. */
export function pageIndexMultiDelete(
  mem: PageMemory,
  page: number,
  offnums: ArrayLike<number>,
  count = offnums.length,
): void {
  if (count <= 2) {
    for (let i = count - 1; i >= 0; i--) pageIndexTupleDelete(mem, page, offnums[i]!);
    return;
  }
  checkPagePointers(mem, page);
  const lines = pageGetMaxOffsetNumber(mem, page);
  let total = 0;
  let next = 0;
  for (let off = 1; off <= lines; off++) {
    const id = pageGetItemId(mem, page, off);
    checkItem(mem, page, id);
    if (next < count && offnums[next] === off) next++;
    else total += maxAlign(itemIdGetLength(id));
  }
  assert(next === count, 'incorrect index offsets supplied');
  checkTotal(mem, page, total);
  let kept = 0;
  next = 0;
  for (let off = 1; off <= lines; off++) {
    if (next < count && offnums[next] === off) next++;
    else pageSetItemId(mem, page, ++kept, pageGetItemId(mem, page, off));
  }
  pageSetLower(mem, page, SIZE_OF_PAGE_HEADER + kept * SIZEOF_ITEM_ID);
  compactify(mem, page);
}

/** Replaces an index tuple in place, keeping its line pointer's flags; false when it does not fit. */
export function pageIndexTupleOverwrite(
  mem: PageMemory,
  page: number,
  offnum: number,
  source: Uint8Array,
  from: number,
  size: number,
): boolean {
  checkPagePointers(mem, page);
  assert(offnum > 0 && offnum <= pageGetMaxOffsetNumber(mem, page), `invalid index offnum: ${offnum}`);
  const id = pageGetItemId(mem, page, offnum);
  checkItem(mem, page, id);
  const offset = itemIdGetOffset(id);
  const upper = pageGetUpper(mem, page);
  const shrink = maxAlign(itemIdGetLength(id)) - maxAlign(size);
  if (-shrink > upper - pageGetLower(mem, page)) return false;
  if (shrink !== 0) {
    mem.u8.copyWithin(page + upper + shrink, page + upper, page + offset);
    pageSetUpper(mem, page, upper + shrink);
    shiftOffsets(mem, page, offset, shrink);
  }
  pageSetItemId(mem, page, offnum, makeItemId(offset + shrink, itemIdGetFlags(id), size));
  copyItem(mem, page + offset + shrink, source, from, size);
  return true;
}
