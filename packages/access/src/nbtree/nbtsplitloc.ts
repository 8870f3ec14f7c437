/**
 * Where to split a full page.
 *
 * All legal split points are ordered by how evenly they share the space (or, on the rightmost page of
 * a level, by how near the left half comes to the fill factor: ascending insertions then leave full
 * pages behind). Among the best few the one wins whose high key needs the fewest columns, so that
 * pivots stay short and groups of duplicates together. A page full of duplicates is split between
 * groups, or, if there is one value only, almost at its end.
 *
 * A split point is (firstRightOff, newItemOnLeft): items from firstRightOff on go to the right page,
 * counting as if the new item stood in front of newItemOff.
 */
import { assert } from '@pgtroupe/common/assert';
import { BLCKSZ, maxAlign } from '@pgtroupe/common/ids';
import {
  pageGetExactFreeSpace,
  pageGetItem,
  pageGetItemId,
  pageGetMaxOffsetNumber,
  SIZE_OF_PAGE_HEADER,
} from '@pgtroupe/storage/page/bufpage';
import { itemIdGetLength, SIZEOF_ITEM_ID } from '@pgtroupe/storage/page/itemid';
import type { TupleMemory } from '../common/htup.ts';
import { indexTupleSize, itemPointerGetBlock, itemPointerGetOffset, SIZEOF_INDEX_TUPLE } from '../common/indextuple.ts';
import type { BTIndex } from './btindex.ts';
import {
  BTREE_NONLEAF_FILLFACTOR,
  BTREE_SINGLEVAL_FILLFACTOR,
  firstDataKey,
  getPostingOffset,
  isLeaf,
  isPosting,
  isRightmost,
  P_FIRSTKEY,
  P_HIKEY,
  pivotNAtts,
  SIZEOF_BT_PAGE_OPAQUE,
  SIZEOF_ITEM_POINTER,
} from './nbtree.ts';
import { btKeepNAtts } from './nbtutils.ts';
import { pgQsort } from './pg-qsort.ts';

/** How far from the best balance a split point may be, as a share of the page's items. */
const LEAF_SPLIT_DISTANCE = 0.05;
const INTERNAL_SPLIT_DISTANCE = 0.075;
/** Two int8 columns: beyond this, localised monotonic insertion is not looked for. */
const MAX_SMALL_ITEM = SIZEOF_INDEX_TUPLE + 16 + SIZEOF_ITEM_ID;

interface SplitPoint {
  readonly firstRightOff: number;
  readonly newItemOnLeft: boolean;
  readonly leftFree: number;
  readonly rightFree: number;
  delta: number;
}

export interface SplitLocation {
  readonly firstRightOff: number;
  readonly newItemOnLeft: boolean;
}

/** Decides how to split the page so that the new item (at `newItem` in `itemMem`) fits at `newItemOff`. */
export function btFindSplitLoc(
  index: BTIndex,
  mem: TupleMemory,
  page: number,
  newItemOff: number,
  itemMem: TupleMemory,
  newItem: number,
): SplitLocation {
  return new SplitFinder(index, mem, page, newItemOff, itemMem, newItem).find();
}

class SplitFinder {
  readonly #index: BTIndex;
  readonly #mem: TupleMemory;
  readonly #page: number;
  readonly #newItemOff: number;
  readonly #itemMem: TupleMemory;
  readonly #newItem: number;
  readonly #newItemSize: number;
  readonly #leaf: boolean;
  readonly #rightmost: boolean;
  readonly #maxOff: number;
  readonly #leftSpace: number;
  readonly #rightSpace: number;
  readonly #oldItemsTotal: number;
  #minFirstRightSize = Number.MAX_SAFE_INTEGER;
  readonly #splits: SplitPoint[] = [];
  #interval = 0;

  constructor(
    index: BTIndex,
    mem: TupleMemory,
    page: number,
    newItemOff: number,
    itemMem: TupleMemory,
    newItem: number,
  ) {
    this.#index = index;
    this.#mem = mem;
    this.#page = page;
    this.#newItemOff = newItemOff;
    this.#itemMem = itemMem;
    this.#newItem = newItem;
    this.#newItemSize = maxAlign(indexTupleSize(itemMem, newItem)) + SIZEOF_ITEM_ID;
    this.#leaf = isLeaf(mem, page);
    this.#rightmost = isRightmost(mem, page);
    this.#maxOff = pageGetMaxOffsetNumber(mem, page);
    this.#leftSpace = BLCKSZ - SIZE_OF_PAGE_HEADER - SIZEOF_BT_PAGE_OPAQUE;
    this.#rightSpace = this.#leftSpace - (this.#rightmost ? 0 : this.#itemSize(P_HIKEY));
    this.#oldItemsTotal = this.#rightSpace - pageGetExactFreeSpace(mem, page);
  }

  find(): SplitLocation {
    this.#collect();
    const splits = this.#splits;
    assert(splits.length > 0, 'could not find a feasible split point');
    const { fillfactor } = this.#index;
    let share = 0.5;
    let useShare = false;
    if (!this.#leaf) {
      useShare = this.#rightmost;
      share = BTREE_NONLEAF_FILLFACTOR / 100;
    } else if (this.#rightmost) {
      useShare = true;
      share = fillfactor / 100;
    } else {
      const after = this.#afterNewItem(fillfactor);
      if (after === 'fill') {
        useShare = true;
        share = fillfactor / 100;
      } else if (after === 'here') {
        const exact = splits.find(s => s.newItemOnLeft && s.firstRightOff === this.#newItemOff);
        if (exact !== undefined) return exact;
      }
    }
    const leftEnd = splits[0]!;
    const rightEnd = splits[splits.length - 1]!;
    this.#sortByDelta(share, useShare);
    this.#interval = this.#defaultInterval();
    return this.#choose(leftEnd, rightEnd);
  }

  /** A line pointer counts too. */
  #itemSize(off: number): number {
    return maxAlign(itemIdGetLength(pageGetItemId(this.#mem, this.#page, off))) + SIZEOF_ITEM_ID;
  }

  // ---- the candidates --------------------------------------------------------------------------------

  #collect(): void {
    let toLeft = 0;
    for (let off = firstDataKey(this.#mem, this.#page); off <= this.#maxOff; off++) {
      const size = this.#itemSize(off);
      if (off <= this.#newItemOff) this.#consider(off, false, toLeft, size);
      if (off >= this.#newItemOff) this.#consider(off, true, toLeft, size);
      toLeft += size;
    }
    if (this.#newItemOff > this.#maxOff) this.#consider(this.#newItemOff, false, this.#oldItemsTotal, 0);
  }

  #consider(firstRightOff: number, newItemOnLeft: boolean, oldItemsToLeft: number, oldFirstRightSize: number): void {
    const newItemIsFirstRight = firstRightOff === this.#newItemOff && !newItemOnLeft;
    const firstRightSize = newItemIsFirstRight ? this.#newItemSize : oldFirstRightSize;
    let postingSize = 0;
    if (!newItemIsFirstRight && this.#leaf && firstRightSize > 64) {
      const tup = pageGetItem(this.#mem, this.#page, firstRightOff);
      if (isPosting(this.#mem, tup)) postingSize = indexTupleSize(this.#mem, tup) - getPostingOffset(this.#mem, tup);
    }
    let leftFree = this.#leftSpace - oldItemsToLeft;
    let rightFree = this.#rightSpace - (this.#oldItemsTotal - oldItemsToLeft);
    // The left page's high key is the first right item, without its posting list, at worst with a TID.
    leftFree -= this.#leaf ? firstRightSize + maxAlign(SIZEOF_ITEM_POINTER) - postingSize : firstRightSize;
    if (newItemOnLeft) leftFree -= this.#newItemSize;
    else rightFree -= this.#newItemSize;
    // The first item of an internal page loses its key.
    if (!this.#leaf) rightFree += firstRightSize - (SIZEOF_INDEX_TUPLE + SIZEOF_ITEM_ID);
    if (leftFree < 0 || rightFree < 0) return;
    this.#minFirstRightSize = Math.min(this.#minFirstRightSize, firstRightSize);
    this.#splits.push({ firstRightOff, newItemOnLeft, leftFree, rightFree, delta: 0 });
  }

  #sortByDelta(share: number, useShare: boolean): void {
    for (const split of this.#splits) {
      split.delta = Math.abs(
        Math.trunc(
          useShare ? share * split.leftFree - (1 - share) * split.rightFree : split.leftFree - split.rightFree,
        ),
      );
    }
    pgQsort(this.#splits, (a, b) => a.delta - b.delta);
  }

  #defaultInterval(): number {
    const tolerance = Math.trunc(this.#oldItemsTotal * (this.#leaf ? LEAF_SPLIT_DISTANCE : INTERNAL_SPLIT_DISTANCE));
    const best = this.#splits[0]!;
    const far = this.#splits.findIndex(
      s => Math.abs(s.leftFree - best.leftFree) > tolerance || Math.abs(s.rightFree - best.rightFree) > tolerance,
    );
    return far < 0 ? this.#splits.length : far;
  }

  /**
   * Ascending insertion within a group (of an index on several columns) in the middle of the tree:
   * split right behind the new item ('here'), or, near the page's end, by fill factor ('fill').
   */
  #afterNewItem(fillfactor: number): 'no' | 'here' | 'fill' {
    const { nkeyatts } = this.#index;
    if (nkeyatts === 1 || this.#newItemOff === P_FIRSTKEY) return 'no';
    // Only where all items have the same small size.
    if (this.#newItemSize !== this.#minFirstRightSize) return 'no';
    if (this.#newItemSize * (this.#maxOff - 1) !== this.#oldItemsTotal) return 'no';
    if (this.#newItemSize > MAX_SMALL_ITEM) return 'no';
    const before = pageGetItem(this.#mem, this.#page, this.#newItemOff - 1);
    const keep = btKeepNAtts(this.#index, this.#mem, before, this.#itemMem, this.#newItem);
    const sameGroup = keep > 1 && keep <= nkeyatts;
    if (this.#newItemOff > this.#maxOff) return sameGroup ? 'fill' : 'no';
    if (isPosting(this.#mem, before) || !this.#isAdjacentHeapTid(before)) return 'no';
    if (!sameGroup) return 'no';
    return this.#newItemOff / (this.#maxOff + 1) > fillfactor / 100 ? 'fill' : 'here';
  }

  /** Was the new row put right behind the other one, or on the same heap page? */
  #isAdjacentHeapTid(low: number): boolean {
    const lowBlock = itemPointerGetBlock(this.#mem, low);
    const highBlock = itemPointerGetBlock(this.#itemMem, this.#newItem);
    return (
      lowBlock === highBlock || (lowBlock + 1 === highBlock && itemPointerGetOffset(this.#itemMem, this.#newItem) === 1)
    );
  }

  // ---- the choice ----------------------------------------------------------------------------------------

  #choose(leftEnd: SplitPoint, rightEnd: SplitPoint): SplitPoint {
    if (!this.#leaf) return this.#cheapest(this.#minFirstRightSize);
    const { nkeyatts } = this.#index;
    const [left, right] = this.#intervalEdges();
    const perfect = this.#keepBetween(left, right);
    if (perfect <= nkeyatts) return this.#cheapest(perfect);
    // All candidates lie within one group of duplicates.
    if (this.#keepBetween(leftEnd, rightEnd) <= nkeyatts) return this.#betweenDuplicates();
    if (!this.#rightmost) {
      // One value on the whole page. If the next page continues it, split evenly.
      const highKey = pageGetItem(this.#mem, this.#page, P_HIKEY);
      if (this.#keepWithHighKey(highKey) > nkeyatts) return this.#cheapest(nkeyatts + 1);
    }
    this.#sortByDelta(BTREE_SINGLEVAL_FILLFACTOR / 100, true);
    this.#interval = 1;
    return this.#cheapest(nkeyatts + 1);
  }

  #cheapest(perfect: number): SplitPoint {
    let best = 0;
    let bestPenalty = Number.MAX_SAFE_INTEGER;
    const count = Math.min(this.#interval, this.#splits.length);
    for (let i = 0; i < count && bestPenalty > perfect; i++) {
      const penalty = this.#penalty(this.#splits[i]!);
      if (penalty >= bestPenalty) continue;
      bestPenalty = penalty;
      best = i;
    }
    return this.#splits[best]!;
  }

  #betweenDuplicates(): SplitPoint {
    this.#interval = this.#splits.length;
    const best = this.#cheapest(this.#index.nkeyatts);
    // A new group growing at its end would be split off again and again: balance instead.
    const justBehind = best.firstRightOff >= this.#newItemOff && best.firstRightOff < this.#newItemOff + 9;
    return !this.#rightmost && !best.newItemOnLeft && justBehind ? this.#splits[0]! : best;
  }

  /** The outermost candidates on either side of the best balance. */
  #intervalEdges(): [SplitPoint, SplitPoint] {
    const best = this.#splits[0]!;
    let left: SplitPoint | undefined;
    let right: SplitPoint | undefined;
    for (
      let i = Math.min(this.#interval, this.#splits.length) - 1;
      i >= 0 && (left === undefined || right === undefined);
      i--
    ) {
      const split = this.#splits[i]!;
      const side = split.firstRightOff - best.firstRightOff || Number(split.newItemOnLeft) - Number(best.newItemOnLeft);
      if (side <= 0) left ??= split;
      if (side >= 0) right ??= split;
    }
    assert(left !== undefined && right !== undefined, 'the best split point is within the interval');
    return [left, right];
  }

  #penalty(split: SplitPoint): number {
    if (this.#leaf) return this.#keepBetween(split, split);
    if (!split.newItemOnLeft && split.firstRightOff === this.#newItemOff) return this.#newItemSize;
    return this.#itemSize(split.firstRightOff);
  }

  /** Columns that tell the last left item of one split point from the first right item of another. */
  #keepBetween(left: SplitPoint, right: SplitPoint): number {
    const lastIsNew = left.newItemOnLeft && left.firstRightOff === this.#newItemOff;
    const firstIsNew = !right.newItemOnLeft && right.firstRightOff === this.#newItemOff;
    const last = lastIsNew ? this.#newItem : pageGetItem(this.#mem, this.#page, left.firstRightOff - 1);
    const first = firstIsNew ? this.#newItem : pageGetItem(this.#mem, this.#page, right.firstRightOff);
    return btKeepNAtts(
      this.#index,
      lastIsNew ? this.#itemMem : this.#mem,
      last,
      firstIsNew ? this.#itemMem : this.#mem,
      first,
    );
  }

  #keepWithHighKey(highKey: number): number {
    return btKeepNAtts(this.#index, this.#mem, highKey, this.#itemMem, this.#newItem, pivotNAtts(this.#mem, highKey));
  }
}
