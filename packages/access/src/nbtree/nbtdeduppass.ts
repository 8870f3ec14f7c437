/**
 * Deduplication of a leaf page, the last try before it is split: neighbouring items with equal keys
 * are merged into posting lists, the whole page at once.
 *
 * A page full of one single value is about to be split near its end: there, the merged lists leave
 * room on purpose, or everything would be merged again with each insertion to come.
 */
import { assert } from '@pgtroupe/common/assert';
import { BLCKSZ, maxAlign } from '@pgtroupe/common/ids';
import type { PageAccess } from '@pgtroupe/storage/buffer/pages';
import {
  pageAddItem,
  pageGetItem,
  pageGetItemId,
  pageGetMaxOffsetNumber,
  SIZE_OF_PAGE_HEADER,
} from '@pgtroupe/storage/page/bufpage';
import { itemIdGetLength, SIZEOF_ITEM_ID } from '@pgtroupe/storage/page/itemid';
import { RM_BTREE_ID } from '@pgtroupe/transam/rmgr';
import { REGBUF_STANDARD, type XLogInserter } from '@pgtroupe/transam/xloginsert';
import { type TupleMemory, tupleMemory } from '../common/htup.ts';
import { indexTupleSize } from '../common/indextuple.ts';
import type { BTIndex } from './btindex.ts';
import { BTDedupState } from './nbtdedup.ts';
import {
  BT_MAX_ITEM_SIZE,
  BT_SPECIAL,
  BTP_HAS_GARBAGE,
  BTREE_SINGLEVAL_FILLFACTOR,
  btPageInit,
  btpoFlags,
  btpoSetFlags,
  firstDataKey,
  isRightmost,
  P_HIKEY,
  SIZEOF_BT_PAGE_OPAQUE,
  SIZEOF_ITEM_POINTER,
} from './nbtree.ts';
import { compareTupleKeys } from './nbtutils.ts';
import { dataU16, XLOG_BTREE_DEDUP } from './nbtxlog.ts';

/** Half of the largest item: a list can be split in the middle and still be moved whole. */
const MAX_POSTING_SIZE = BT_MAX_ITEM_SIZE / 2;
/** Of a page with one value: this many full lists, then one shorter, then no more merging. */
const FULL_LISTS = 5;

const work = tupleMemory(new Uint8Array(BLCKSZ));

/** An empty page at offset 0 of `work`, with the original's LSN, special space and high key. */
export function beginRewrite(mem: TupleMemory, page: number, work: TupleMemory): void {
  btPageInit(work, 0);
  work.u8.set(mem.u8.subarray(page, page + 8));
  work.u8.set(mem.u8.subarray(page + BT_SPECIAL, page + BLCKSZ), BT_SPECIAL);
  btpoSetFlags(work, 0, btpoFlags(work, 0) & ~BTP_HAS_GARBAGE);
  if (isRightmost(mem, page)) return;
  append(work, mem, pageGetItem(mem, page, P_HIKEY), itemIdGetLength(pageGetItemId(mem, page, P_HIKEY)));
}

function append(to: TupleMemory, source: TupleMemory, tup: number, size: number): void {
  const off = pageGetMaxOffsetNumber(to, 0) + 1;
  const added = pageAddItem(to, 0, source.u8, tup, size, off);
  assert(added === off, 'deduplication failed to add tuple to page');
}

/** Adds what was gathered to the page under construction. */
export function appendGathered(to: TupleMemory, gathered: BTDedupState): void {
  append(to, gathered.mem, gathered.base, gathered.finish());
}

/** Merges what can be merged on a leaf held exclusively; nothing happens and nothing is logged if that is nothing. */
export function btDedupPass(
  index: BTIndex,
  pages: PageAccess,
  wal: XLogInserter,
  page: number,
  itemMem: TupleMemory,
  newItem: number,
): void {
  const { mem } = pages;
  const gathered = new BTDedupState(MAX_POSTING_SIZE);
  /** Pairs of offset and number of items merged. */
  const intervals: number[] = [];
  const first = firstDataKey(mem, page);
  const max = pageGetMaxOffsetNumber(mem, page);
  let merging = true;
  let singleValue = isSingleValue(index, mem, page, itemMem, newItem);
  let base = first;
  beginRewrite(mem, page, work);
  const finish = (): void => {
    appendGathered(work, gathered);
    if (gathered.nitems > 1) intervals.push(base, gathered.nitems);
  };
  for (let off = first; off <= max; off++) {
    const tup = pageGetItem(mem, page, off);
    if (off > first) {
      if (merging && compareTupleKeys(index, gathered.mem, gathered.base, mem, tup) === 0 && gathered.save(mem, tup))
        continue;
      finish();
      if (singleValue && gathered.full === FULL_LISTS) {
        gathered.maxPostingSize = Math.max(0, gathered.maxPostingSize - reservedSpace(itemMem, newItem));
      } else if (singleValue && gathered.full > FULL_LISTS) {
        merging = false;
        singleValue = false;
      }
    }
    gathered.start(mem, tup);
    base = off;
  }
  finish();
  if (intervals.length === 0) return;
  mem.u8.set(work.u8, page);
  wal.begin();
  wal.registerBuffer(0, page, REGBUF_STANDARD);
  dataU16(wal, intervals.length / 2);
  const data = new Uint8Array(Uint16Array.from(intervals).buffer);
  wal.bufData(0, data, 0, data.length);
  wal.insert(RM_BTREE_ID, XLOG_BTREE_DEDUP);
}

/** Do the new item, the first and the last one on the page have the same key? */
function isSingleValue(index: BTIndex, mem: TupleMemory, page: number, itemMem: TupleMemory, newItem: number): boolean {
  return [firstDataKey(mem, page), pageGetMaxOffsetNumber(mem, page)].every(
    off => compareTupleKeys(index, itemMem, newItem, mem, pageGetItem(mem, page, off)) === 0,
  );
}

/** What the split by BTREE_SINGLEVAL_FILLFACTOR will leave free. */
function reservedSpace(itemMem: TupleMemory, newItem: number): number {
  const newItemSize = maxAlign(indexTupleSize(itemMem, newItem)) + SIZEOF_ITEM_ID;
  const free = BLCKSZ - SIZE_OF_PAGE_HEADER - SIZEOF_BT_PAGE_OPAQUE - newItemSize - maxAlign(SIZEOF_ITEM_POINTER);
  return Math.trunc(free * ((100 - BTREE_SINGLEVAL_FILLFACTOR) / 100));
}
