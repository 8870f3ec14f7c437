/**
 * Posting list tuples: one key with an ascending array of heap TIDs (format in nbtree.ts).
 *
 * Built by deduplication (bulk build, replay of XLOG_BTREE_DEDUP), changed by vacuum (some TIDs go)
 * and split when a TID must go into the middle of one.
 */
import { assert } from '@pgtroupe/common/assert';
import { BLCKSZ, maxAlign } from '@pgtroupe/common/ids';
import { type TupleMemory, tupleMemory } from '../common/htup.ts';
import {
  indexTupleSize,
  itemPointerCompare,
  itemPointerGetBlock,
  itemPointerGetOffset,
  itemPointerSet,
} from '../common/indextuple.ts';
import {
  getNPosting,
  getPostingOffset,
  INDEX_ALT_TID_MASK,
  isPosting,
  maxHeapTidAt,
  setPosting,
  setTupleSize,
  SIZEOF_ITEM_POINTER,
} from './nbtree.ts';

/** Bytes of the key part of a leaf tuple, whichever form it has. */
function keySize(mem: TupleMemory, tup: number): number {
  return isPosting(mem, tup) ? getPostingOffset(mem, tup) : indexTupleSize(mem, tup);
}

function countTids(mem: TupleMemory, tup: number): number {
  return isPosting(mem, tup) ? getNPosting(mem, tup) : 1;
}

/** Where the first of a leaf tuple's TIDs is. */
function tidsAt(mem: TupleMemory, tup: number): number {
  return isPosting(mem, tup) ? tup + getPostingOffset(mem, tup) : tup;
}

/** Gives the key part at `tup` (already copied there) `count` TIDs from `source`. Returns the new size. */
function finishPosting(
  mem: TupleMemory,
  tup: number,
  keyBytes: number,
  source: Uint8Array,
  from: number,
  count: number,
): number {
  if (count === 1) {
    mem.u16[(tup + 6) >>> 1]! &= ~INDEX_ALT_TID_MASK;
    setTupleSize(mem, tup, keyBytes);
    mem.u8.set(source.subarray(from, from + SIZEOF_ITEM_POINTER), tup);
    return keyBytes;
  }
  const size = maxAlign(keyBytes + count * SIZEOF_ITEM_POINTER);
  setTupleSize(mem, tup, size);
  setPosting(mem, tup, count, keyBytes);
  mem.u8.set(source.subarray(from, from + count * SIZEOF_ITEM_POINTER), tup + keyBytes);
  mem.u8.fill(0, tup + keyBytes + count * SIZEOF_ITEM_POINTER, tup + size);
  return size;
}

/**
 * Neighbouring tuples with equal keys gathered into one. `base` is copied, so its page may change.
 */
export class BTDedupState {
  readonly mem: TupleMemory = tupleMemory(new Uint8Array(2 * BLCKSZ));
  readonly #tids = new Uint8Array(BLCKSZ);
  maxPostingSize: number;
  /** Posting lists that could not take one more. */
  full = 0;
  #keyBytes = 0;
  #ntids = 0;
  nitems = 0;

  constructor(maxPostingSize: number) {
    this.maxPostingSize = maxPostingSize;
  }

  start(mem: TupleMemory, tup: number): void {
    const size = indexTupleSize(mem, tup);
    this.mem.u8.set(mem.u8.subarray(tup, tup + size), 0);
    this.#keyBytes = keySize(mem, tup);
    this.#ntids = 0;
    this.nitems = 0;
    this.#append(mem, tup);
  }

  /** Adds the tuple's TIDs unless the posting list would become too large. */
  save(mem: TupleMemory, tup: number): boolean {
    if (maxAlign(this.#keyBytes + (this.#ntids + countTids(mem, tup)) * SIZEOF_ITEM_POINTER) > this.maxPostingSize) {
      // A short list that is full only tells of a long key.
      if (this.#ntids > 50) this.full++;
      return false;
    }
    this.#append(mem, tup);
    return true;
  }

  #append(mem: TupleMemory, tup: number): void {
    const from = tidsAt(mem, tup);
    const count = countTids(mem, tup);
    this.#tids.set(mem.u8.subarray(from, from + count * SIZEOF_ITEM_POINTER), this.#ntids * SIZEOF_ITEM_POINTER);
    this.#ntids += count;
    this.nitems++;
  }

  /** The gathered tuple is at offset 0 of `mem`; returns its size. A single tuple stays what it was. */
  finish(): number {
    if (this.nitems === 1) return indexTupleSize(this.mem, 0);
    return finishPosting(this.mem, 0, this.#keyBytes, this.#tids, 0, this.#ntids);
  }

  /** Bytes of the TID array of the tuple `finish` left, 0 when it is a plain tuple of one item. */
  get postingBytes(): number {
    return this.nitems === 1 ? 0 : indexTupleSize(this.mem, 0) - this.#keyBytes;
  }

  get base(): number {
    return 0;
  }
}

/**
 * The tuple at `newItem` has a TID inside the posting list's range: its TID takes place number
 * `postingOff` in the list, and it gets the list's last TID instead. The changed posting list (same
 * size) is written at `out`; `newItem` is changed in place and belongs right behind it.
 */
export function btSwapPosting(
  mem: TupleMemory,
  newItem: number,
  pageMem: TupleMemory,
  posting: number,
  postingOff: number,
  out: TupleMemory,
  outAt: number,
): number {
  const count = getNPosting(pageMem, posting);
  assert(postingOff > 0 && postingOff < count, `posting list of ${count} cannot be split at ${postingOff}`);
  const size = indexTupleSize(pageMem, posting);
  out.u8.set(pageMem.u8.subarray(posting, posting + size), outAt);
  const list = outAt + getPostingOffset(pageMem, posting);
  const place = list + postingOff * SIZEOF_ITEM_POINTER;
  out.u8.copyWithin(place + SIZEOF_ITEM_POINTER, place, list + (count - 1) * SIZEOF_ITEM_POINTER);
  itemPointerSet(out, place, itemPointerGetBlock(mem, newItem), itemPointerGetOffset(mem, newItem));
  const last = maxHeapTidAt(pageMem, posting);
  itemPointerSet(mem, newItem, itemPointerGetBlock(pageMem, last), itemPointerGetOffset(pageMem, last));
  return size;
}

/** First place in the posting list whose TID is not below the given one. */
export function btBinsrchPosting(mem: TupleMemory, posting: number, block: number, offset: number): number {
  const list = posting + getPostingOffset(mem, posting);
  let low = 0;
  let high = getNPosting(mem, posting);
  while (low < high) {
    const mid = (low + high) >>> 1;
    if (itemPointerCompare(block, offset, mem, list + mid * SIZEOF_ITEM_POINTER) > 0) low = mid + 1;
    else high = mid;
  }
  return low;
}

/** Writes at `out` the posting tuple without the TIDs numbered in `deleted` (ascending, not all of them).
 *  Returns its size. */
export function btUpdatePosting(
  mem: TupleMemory,
  posting: number,
  deleted: ArrayLike<number>,
  ndeleted: number,
  out: TupleMemory,
  outAt: number,
): number {
  const count = getNPosting(mem, posting);
  const keyBytes = getPostingOffset(mem, posting);
  const list = posting + keyBytes;
  const left = new Uint8Array((count - ndeleted) * SIZEOF_ITEM_POINTER);
  let kept = 0;
  let next = 0;
  for (let i = 0; i < count; i++) {
    if (next < ndeleted && deleted[next] === i) {
      next++;
      continue;
    }
    const from = list + i * SIZEOF_ITEM_POINTER;
    left.set(mem.u8.subarray(from, from + SIZEOF_ITEM_POINTER), kept++ * SIZEOF_ITEM_POINTER);
  }
  assert(next === ndeleted && kept > 0, 'not all TIDs of a posting list go');
  out.u8.set(mem.u8.subarray(posting, posting + keyBytes), outAt);
  return finishPosting(out, outAt, keyBytes, left, 0, kept);
}
