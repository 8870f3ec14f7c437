/**
 * Index scans: one leaf page's matching TIDs at a time.
 *
 *   const scan = new BTScan(index, pages, keys);     // once per plan
 *   scan.rescan(values, true);                       // values of the keys; forward
 *   for (;;) {
 *     const n = scan.nextBatch();                    // MISS: obtain pages.want, call again
 *     if (n === 0) break;
 *     ... scan.tids[2 * i], scan.tids[2 * i + 1]     // block, offset; valid until the next call
 *   }
 *
 * A batch was read in one synchronous stretch; afterwards nothing of the page is held. Between batches
 * the scan knows only block numbers: splits move items to the right, so a forward scan goes on at the
 * right link it saw, and a backward scan looks for the page whose right link leads to where it was.
 * VACUUM may have removed TIDs of a batch by the time it is used: MVCC snapshots do not mind; whoever
 * does must use the batch before awaiting anything.
 *
 * `=ANY` is a rescan per element, in index order.
 */
import { assert } from '@pgtroupe/common/assert';
import type { Datum } from '@pgtroupe/common/datum';
import { BLCKSZ, type BlockNumber } from '@pgtroupe/common/ids';
import { MISS, type PageAccess } from '@pgtroupe/storage/buffer/pages';
import { pageGetItem, pageGetItemId, pageGetMaxOffsetNumber } from '@pgtroupe/storage/page/bufpage';
import { itemIdIsDead } from '@pgtroupe/storage/page/itemid';
import { ATT_NULL } from '../common/heaptuple.ts';
import { type TupleMemory, tupleMemory } from '../common/htup.ts';
import { indexAttOffset, indexTupleSize, itemPointerGetBlock, itemPointerGetOffset } from '../common/indextuple.ts';
import { type BTIndex, btShare, INDOPTION_DESC, INDOPTION_NULLS_FIRST } from './btindex.ts';
import type { Compare } from './nbtcompare.ts';
import {
  btpoNext,
  btpoPrev,
  firstDataKey,
  getNPosting,
  getPostingOffset,
  isIgnored,
  isLeaf,
  isPivot,
  isPosting,
  isRightmost,
  markItemDead,
  MAX_TIDS_PER_BTREE_PAGE,
  P_HIKEY,
  P_NONE,
  pivotNAtts,
  SIZEOF_ITEM_POINTER,
} from './nbtree.ts';
import { BTPath, btGetEndpoint, btSearch, NO_ROOT } from './nbtsearch.ts';
import { BTSearchKey, compareKeyColumn, KeyValues } from './nbtutils.ts';
import { LEFT_END, walkLeft } from './nbtwalkleft.ts';

/** pg_amop strategies. */
export const BT_LESS = 1;
export const BT_LESS_EQUAL = 2;
export const BT_EQUAL = 3;
export const BT_GREATER_EQUAL = 4;
export const BT_GREATER = 5;

export type BTScanKey =
  | {
      /** 1-based key column. */
      readonly attno: number;
      readonly test: 'compare';
      /** BT_LESS ... BT_GREATER as the operator says it; a DESC column is dealt with here. */
      readonly strategy: number;
      /** For an operator across types: (column's value, key's value). Numbers of different widths do not need it. */
      readonly compare?: Compare;
    }
  | { readonly attno: number; readonly test: 'isNull' | 'isNotNull' };

/** What failing a key says about the tuples that follow in a direction: none of them can match. */
const STOPS_FORWARD = 1;
const STOPS_BACKWARD = 2;

const KIND_COMPARE = 0;
const KIND_IS_NULL = 1;
const KIND_IS_NOT_NULL = 2;

/** Room to begin with. A page's worth is 13 kB to clear and to collect, and most scans find one row. */
const FEW_TIDS = 16;

const DONE = -1;
const BEFORE_FIRST = -2;

export class BTScan {
  readonly index: BTIndex;
  readonly #pages: PageAccess;
  readonly #keys: readonly BTScanKey[];
  // By scan key: column (0-based), kind, strategy in index order, STOPS_* bits.
  readonly #column: Uint8Array;
  readonly #kind: Uint8Array;
  readonly #strategy: Uint8Array;
  readonly #stops: Uint8Array;
  readonly #values: KeyValues;
  readonly #startKey: BTSearchKey;
  readonly #path = new BTPath();
  #forward = true;
  /** Block to read next, DONE or BEFORE_FIRST. Backward scans: the block read last. */
  #at = DONE;
  /** Left link of the block read last (backward scans). */
  #left = P_NONE;
  #continues = true;

  /** Block and offset, pair by pair. */
  tids = new Int32Array(2 * FEW_TIDS);
  /** With `wantTuples`: offset in `tuples` of the index tuple of each TID. */
  tupleAt: Uint16Array;
  readonly tuples: TupleMemory;
  readonly #wantTuples: boolean;
  #tuplesEnd = 0;
  /** Where the batch was read, and from which items. */
  #batchBlk = P_NONE;
  #itemOff = new Uint16Array(FEW_TIDS);

  constructor(index: BTIndex, pages: PageAccess, keys: readonly BTScanKey[], wantTuples = false) {
    this.index = index;
    this.#pages = pages;
    this.#keys = keys;
    this.#wantTuples = wantTuples;
    this.tuples = tupleMemory(new Uint8Array(wantTuples ? BLCKSZ : 0));
    this.tupleAt = new Uint16Array(wantTuples ? FEW_TIDS : 0);
    this.#column = Uint8Array.from(keys, key => key.attno - 1);
    this.#kind = Uint8Array.from(keys, key =>
      key.test === 'compare' ? KIND_COMPARE : key.test === 'isNull' ? KIND_IS_NULL : KIND_IS_NOT_NULL,
    );
    this.#strategy = Uint8Array.from(keys, key => strategyInIndexOrder(index, key));
    this.#stops = requiredDirections(index, this.#column, this.#strategy);
    this.#values = new KeyValues(keys.length);
    this.#startKey = new BTSearchKey(index);
  }

  /** Begins anew. `values` by scan key; ignored for null tests. */
  rescan(values: readonly Datum[], forward: boolean): void {
    this.#forward = forward;
    this.#at = BEFORE_FIRST;
    for (let k = 0; k < this.#keys.length; k++) {
      const key = this.#keys[k]!;
      if (key.test !== 'compare') continue;
      const value = values[k]!;
      if (value === null) this.#at = DONE;
      else this.#values.setValue(k, this.index, this.#column[k]!, value, key.compare);
    }
  }

  /** Number of TIDs found on the next page that has any; 0 at the end; MISS. */
  nextBatch(): number {
    while (this.#at !== DONE) {
      const count = this.#at === BEFORE_FIRST ? this.#first() : this.#next();
      if (count !== 0) return count;
    }
    return 0;
  }

  /**
   * The row of entry `i` of the batch is dead to everyone, as was found in this very synchronous stretch
   * (heapHotSearch's ctx.allDead): marks the entry so that searches pass over it. A hint: nothing happens
   * if the page is not at hand or the entry has moved. Posting lists are left to VACUUM.
   */
  kill(i: number): void {
    const page = this.#pages.share(this.index.rel, 0, this.#batchBlk as BlockNumber);
    if (page === MISS) return;
    const { mem } = this.#pages;
    const off = this.#itemOff[i]!;
    if (
      !isLeaf(mem, page) ||
      isIgnored(mem, page) ||
      off < firstDataKey(mem, page) ||
      off > pageGetMaxOffsetNumber(mem, page)
    )
      return;
    const tup = pageGetItem(mem, page, off);
    if (isPivot(mem, tup) || isPosting(mem, tup)) return;
    if (itemPointerGetBlock(mem, tup) === this.tids[2 * i] && itemPointerGetOffset(mem, tup) === this.tids[2 * i + 1])
      markItemDead(mem, page, off);
  }

  // ---- where to begin ------------------------------------------------------------------------------

  #first(): number {
    const strategy = this.#makeStartKey();
    const key = this.#startKey;
    const { mem } = this.#pages;
    const path = this.#path;
    let page: number;
    let off: number;
    if (key.keysz === 0) {
      page = btGetEndpoint(this.index, this.#pages, 0, !this.#forward, path);
      if (page < 0) return this.#none(page);
      off = this.#forward ? firstDataKey(mem, page) : pageGetMaxOffsetNumber(mem, page);
    } else {
      const goBack = strategy < BT_EQUAL || (strategy === BT_EQUAL && !this.#forward);
      key.nextkey = strategy === BT_LESS_EQUAL || strategy === BT_GREATER || (strategy === BT_EQUAL && !this.#forward);
      page = btSearch(key, this.#pages, path);
      if (page < 0) return this.#none(page);
      off = path.off - (goBack ? 1 : 0);
    }
    return this.#readPage(page, path.blk, off);
  }

  /** MISS stays; an index without a root has nothing. */
  #none(answer: number): number {
    if (answer !== NO_ROOT) return answer;
    this.#at = DONE;
    return 0;
  }

  /**
   * Fills the start key from the scan keys: equalities of the leading columns, then one bound at the end
   * where the scan begins (or the border between nulls and the rest). Answers the strategy of the whole.
   */
  #makeStartKey(): number {
    const key = this.#startKey;
    const { index } = this;
    key.reset();
    for (let column = 0; column < index.nkeyatts; column++) {
      const chosen = this.#chooseBound(column);
      if (chosen === NO_BOUND) break;
      if (chosen === NULL_BOUND) {
        key.push(null);
        return this.#forward ? BT_GREATER : BT_LESS;
      }
      const strategy = this.#strategy[chosen]!;
      if (this.#kind[chosen] === KIND_COMPARE) {
        const scanKey = this.#keys[chosen]!;
        assert(scanKey.test === 'compare', 'kinds follow keys');
        key.push(this.#values.values[chosen]!, scanKey.compare);
      } else {
        key.push(null);
      }
      if (strategy !== BT_EQUAL) return strategy;
    }
    return BT_EQUAL;
  }

  /** The scan key that bounds the column at the scan's beginning, NULL_BOUND or NO_BOUND. */
  #chooseBound(column: number): number {
    let bound = NO_BOUND;
    let excludesNulls = false;
    for (let k = 0; k < this.#keys.length; k++) {
      if (this.#column[k] !== column) continue;
      const strategy = this.#strategy[k]!;
      if (strategy === BT_EQUAL) return k;
      if (this.#forward ? strategy > BT_EQUAL : strategy < BT_EQUAL) {
        if (bound === NO_BOUND) bound = k;
      } else {
        excludesNulls = true;
      }
    }
    if (bound !== NO_BOUND || !excludesNulls) return bound;
    // Bounded at the other end only: yet nulls, if this is where they are, can be passed over.
    const nullsFirst = (this.index.option[column]! & INDOPTION_NULLS_FIRST) !== 0;
    return nullsFirst === this.#forward ? NULL_BOUND : NO_BOUND;
  }

  // ---- from page to page -----------------------------------------------------------------------------

  #next(): number {
    const { mem } = this.#pages;
    if (!this.#forward) return this.#nextLeft();
    const blk = this.#at;
    const page = btShare(this.index, this.#pages, blk);
    if (page === MISS) return MISS;
    if (isIgnored(mem, page)) {
      const next = btpoNext(mem, page);
      this.#at = next === P_NONE ? DONE : next;
      return 0;
    }
    return this.#readPage(page, blk, firstDataKey(mem, page));
  }

  #nextLeft(): number {
    const path = this.#path;
    const page = walkLeft(this.index, this.#pages, this.#at, this.#left, path);
    if (page === MISS) return MISS;
    if (page === LEFT_END) {
      this.#at = DONE;
      return 0;
    }
    return this.#readPage(page, path.blk, pageGetMaxOffsetNumber(this.#pages.mem, page));
  }

  /** Gathers the matching TIDs from item `off` on and decides where the scan goes next. */
  #readPage(page: number, blk: number, off: number): number {
    this.#continues = true;
    this.#tuplesEnd = 0;
    this.#batchBlk = blk;
    const { mem } = this.#pages;
    if (this.#forward) {
      const count = this.#readForward(mem, page, off);
      const next = btpoNext(mem, page);
      this.#at = this.#continues && next !== P_NONE ? next : DONE;
      return count;
    }
    const count = this.#readBackward(mem, page, off);
    this.#left = btpoPrev(mem, page);
    this.#at = this.#continues && this.#left !== P_NONE ? blk : DONE;
    return count;
  }

  #readForward(mem: TupleMemory, page: number, from: number): number {
    const max = pageGetMaxOffsetNumber(mem, page);
    const natts = this.index.nkeyatts;
    let count = 0;
    for (let off = Math.max(from, firstDataKey(mem, page)); off <= max; off++) {
      if (itemIdIsDead(pageGetItemId(mem, page, off))) continue;
      const tup = pageGetItem(mem, page, off);
      if (this.#matches(mem, tup, natts)) count = this.#take(mem, tup, off, count);
      else if (!this.#continues) return count;
    }
    // The high key may tell that the next page need not be read.
    if (!isRightmost(mem, page)) {
      const highKey = pageGetItem(mem, page, P_HIKEY);
      this.#matches(mem, highKey, pivotNAtts(mem, highKey));
    }
    return count;
  }

  #readBackward(mem: TupleMemory, page: number, from: number): number {
    const first = firstDataKey(mem, page);
    const natts = this.index.nkeyatts;
    let count = 0;
    for (let off = Math.min(from, pageGetMaxOffsetNumber(mem, page)); off >= first; off--) {
      if (itemIdIsDead(pageGetItemId(mem, page, off))) continue;
      const tup = pageGetItem(mem, page, off);
      if (this.#matches(mem, tup, natts)) count = this.#take(mem, tup, off, count);
      else if (!this.#continues) return count;
    }
    return count;
  }

  #take(mem: TupleMemory, tup: number, off: number, count: number): number {
    const at = this.#wantTuples ? this.#copyTuple(mem, tup) : 0;
    const posting = isPosting(mem, tup);
    const n = posting ? getNPosting(mem, tup) : 1;
    if (count + n > this.#itemOff.length) this.#makeRoom();
    const { tids } = this;
    if (!posting) {
      tids[2 * count] = itemPointerGetBlock(mem, tup);
      tids[2 * count + 1] = itemPointerGetOffset(mem, tup);
      this.#itemOff[count] = off;
      if (this.#wantTuples) this.tupleAt[count] = at;
      return count + 1;
    }
    const list = tup + getPostingOffset(mem, tup);
    for (let i = 0; i < n; i++) {
      const tid = list + (this.#forward ? i : n - 1 - i) * SIZEOF_ITEM_POINTER;
      tids[2 * count] = itemPointerGetBlock(mem, tid);
      tids[2 * count + 1] = itemPointerGetOffset(mem, tid);
      this.#itemOff[count] = off;
      if (this.#wantTuples) this.tupleAt[count] = at;
      count++;
    }
    return count;
  }

  /** For whatever a page can hold. */
  #makeRoom(): void {
    const { tids, tupleAt } = this;
    const itemOff = this.#itemOff;
    this.tids = new Int32Array(2 * MAX_TIDS_PER_BTREE_PAGE);
    this.tids.set(tids);
    this.#itemOff = new Uint16Array(MAX_TIDS_PER_BTREE_PAGE);
    this.#itemOff.set(itemOff);
    if (!this.#wantTuples) return;
    this.tupleAt = new Uint16Array(MAX_TIDS_PER_BTREE_PAGE);
    this.tupleAt.set(tupleAt);
  }

  #copyTuple(mem: TupleMemory, tup: number): number {
    const at = this.#tuplesEnd;
    const size = isPosting(mem, tup) ? getPostingOffset(mem, tup) : indexTupleSize(mem, tup);
    this.tuples.u8.set(mem.u8.subarray(tup, tup + size), at);
    this.#tuplesEnd = at + size;
    return at;
  }

  /** Does the tuple pass all keys? Clears #continues when none further on can. Columns from `natts` on,
   *  truncated away from a high key, are not judged. */
  #matches(mem: TupleMemory, tup: number, natts: number): boolean {
    const { index } = this;
    const stopBit = this.#forward ? STOPS_FORWARD : STOPS_BACKWARD;
    for (let k = 0; k < this.#keys.length; k++) {
      const column = this.#column[k]!;
      if (column >= natts) continue;
      const at = indexAttOffset(index.layout, mem, tup, column);
      const kind = this.#kind[k]!;
      if (kind === KIND_COMPARE && at !== ATT_NULL) {
        if (strategyHolds(this.#strategy[k]!, compareKeyColumn(this.#values, k, index, column, mem, at))) continue;
        if ((this.#stops[k]! & stopBit) !== 0) this.#continues = false;
        return false;
      }
      if (kind === KIND_IS_NULL ? at === ATT_NULL : kind === KIND_IS_NOT_NULL && at !== ATT_NULL) continue;
      if (kind === KIND_COMPARE) {
        // A null: past all values in one direction, whatever the operator.
        const nullsFirst = (index.option[column]! & INDOPTION_NULLS_FIRST) !== 0;
        if (this.#stops[k] !== 0 && nullsFirst !== this.#forward) this.#continues = false;
      } else if ((this.#stops[k]! & stopBit) !== 0) {
        this.#continues = false;
      }
      return false;
    }
    return true;
  }
}

const NO_BOUND = -1;
const NULL_BOUND = -2;

/** `compared` is the key relative to the tuple. */
function strategyHolds(strategy: number, compared: number): boolean {
  switch (strategy) {
    case BT_LESS:
      return compared > 0;
    case BT_LESS_EQUAL:
      return compared >= 0;
    case BT_EQUAL:
      return compared === 0;
    case BT_GREATER_EQUAL:
      return compared <= 0;
    default:
      return compared < 0;
  }
}

/** IS NULL is an equality with null; IS NOT NULL a bound on the side where the nulls are. */
function strategyInIndexOrder(index: BTIndex, key: BTScanKey): number {
  const option = index.option[key.attno - 1]!;
  if (key.test !== 'compare') {
    if (key.test === 'isNull') return BT_EQUAL;
    return (option & INDOPTION_NULLS_FIRST) !== 0 ? BT_GREATER : BT_LESS;
  }
  return (option & INDOPTION_DESC) !== 0 ? BT_GREATER + BT_LESS - key.strategy : key.strategy;
}

/** A key ends the scan when it fails if all columns before its own are fixed by equalities. */
function requiredDirections(index: BTIndex, columns: Uint8Array, strategies: Uint8Array): Uint8Array {
  let fixed = 0;
  while (fixed < index.nkeyatts && columns.some((column, k) => column === fixed && strategies[k] === BT_EQUAL)) fixed++;
  return columns.map((column, k) => {
    if (column > fixed) return 0;
    const strategy = strategies[k]!;
    return strategy === BT_EQUAL
      ? STOPS_FORWARD | STOPS_BACKWARD
      : strategy < BT_EQUAL
        ? STOPS_FORWARD
        : STOPS_BACKWARD;
  });
}
