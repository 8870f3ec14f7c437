/**
 * Checks a whole B-tree's invariants, as amcheck's bt_index_parent_check does: order on pages, high
 * keys, sibling links, levels, and that every downlink's key bounds what is below it.
 */
import { assert } from '@pgtroupe/common/assert';
import { MISS, type PageAccess } from '@pgtroupe/storage/buffer/pages';
import { pageGetItem, pageGetMaxOffsetNumber } from '@pgtroupe/storage/page/bufpage';
import { itemPointerGetBlock, itemPointerGetOffset } from '@pgtroupe/access/common/indextuple';
import { indexGetAttr } from '@pgtroupe/access/common/indextuple';
import { type BTIndex, btShare } from '@pgtroupe/access/nbtree/btindex';
import {
  BTP_HALF_DEAD,
  BTP_INCOMPLETE_SPLIT,
  BTP_ROOT,
  BTREE_METAPAGE,
  btMetaFastroot,
  btMetaRoot,
  btpoFlags,
  btpoLevel,
  btpoNext,
  btpoPrev,
  firstDataKey,
  getDownLink,
  getNPosting,
  heapTidAt,
  isLeaf,
  isPivot,
  isPosting,
  isRightmost,
  maxHeapTidAt,
  P_HIKEY,
  P_NONE,
  pivotNAtts,
} from '@pgtroupe/access/nbtree/nbtree';
import { btCompare, BTSearchKey } from '@pgtroupe/access/nbtree/nbtutils';

/** The page range's bounds: lower exclusive (unless -1), upper inclusive, as tuples in memory. */
function keyOf(index: BTIndex, pages: PageAccess, tup: number, tidAt: number): BTSearchKey {
  const { mem } = pages;
  const key = new BTSearchKey(index);
  const natts = isPivot(mem, tup) ? pivotNAtts(mem, tup) : index.nkeyatts;
  for (let i = 0; i < natts; i++) key.push(indexGetAttr(index.layout, mem, tup, i));
  if (tidAt >= 0) key.setTid(itemPointerGetBlock(mem, tidAt), itemPointerGetOffset(mem, tidAt));
  return key;
}

/** Returns how many TIDs the index has, or MISS; throws when something is wrong. */
export function btVerify(index: BTIndex, pages: PageAccess): number {
  const { mem } = pages;
  const meta = btShare(index, pages, BTREE_METAPAGE);
  if (meta === MISS) return MISS;
  if (btMetaRoot(mem, meta) === P_NONE) return 0;
  assert(btMetaFastroot(mem, meta) !== P_NONE, 'a tree with a root has a fast root');
  let leftmost = btMetaRoot(mem, meta);
  /** Blocks of the level below, in order, by the downlinks. */
  let expected = [leftmost];
  let tids = 0;
  for (let level = -1; leftmost !== P_NONE; ) {
    const children: number[] = [];
    const found: number[] = [];
    let prev = P_NONE;
    let below = P_NONE;
    let lastHigh: BTSearchKey | undefined;
    for (let blk = leftmost; blk !== P_NONE; ) {
      const page = btShare(index, pages, blk);
      if (page === MISS) return MISS;
      if (level === -1) {
        level = btpoLevel(mem, page);
        assert((btpoFlags(mem, page) & BTP_ROOT) !== 0, 'the root is marked');
      } else assert((btpoFlags(mem, page) & BTP_ROOT) === 0 || expected.length === 1, `block ${blk} is no root`);
      assert(
        btpoLevel(mem, page) === level && isLeaf(mem, page) === (level === 0),
        `block ${blk} is on level ${level}`,
      );
      assert(btpoPrev(mem, page) === prev, `block ${blk}'s left link`);
      assert((btpoFlags(mem, page) & (BTP_INCOMPLETE_SPLIT | BTP_HALF_DEAD)) === 0, `block ${blk} is whole`);
      found.push(blk);
      const first = firstDataKey(mem, page);
      const max = pageGetMaxOffsetNumber(mem, page);
      for (let off = first; off <= max; off++) {
        const tup = pageGetItem(mem, page, off);
        if (level === 0) {
          assert(!isPivot(mem, tup), 'leaves have no pivots');
          tids += isPosting(mem, tup) ? getNPosting(mem, tup) : 1;
        } else {
          assert(isPivot(mem, tup) && (off === first) === (pivotNAtts(mem, tup) === 0), `pivot at ${blk}/${off}`);
          children.push(getDownLink(mem, tup));
          if (off === first) continue;
        }
        if (off < max) checkBelow(index, pages, tup, pageGetItem(mem, page, off + 1), `order at ${blk}/${off}`, true);
        if (!isRightmost(mem, page)) {
          checkBelow(index, pages, tup, pageGetItem(mem, page, P_HIKEY), `high key at ${blk}/${off}`, level > 0);
        }
        if (lastHigh !== undefined && off === first) {
          assert(btCompare(lastHigh, mem, tup) <= 0, `block ${blk} begins above its left sibling's high key`);
        }
      }
      lastHigh = undefined;
      if (!isRightmost(mem, page)) {
        const high = pageGetItem(mem, page, P_HIKEY);
        lastHigh = keyOf(index, pages, high, heapTidAt(mem, high));
      }
      if (below === P_NONE && level > 0) below = getDownLink(mem, pageGetItem(mem, page, first));
      prev = blk;
      blk = btpoNext(mem, page);
    }
    assert(found.join() === expected.join(), `level ${level}: pages ${found.join()}, downlinks ${expected.join()}`);
    expected = children;
    leftmost = below;
    level--;
  }
  return tids;
}

/** Tuple a (with its highest TID) must be below b; not even equal if `strict`. */
function checkBelow(index: BTIndex, pages: PageAccess, a: number, b: number, what: string, strict: boolean): void {
  const { mem } = pages;
  const key = keyOf(index, pages, a, isPivot(mem, a) ? heapTidAt(mem, a) : maxHeapTidAt(mem, a));
  // A truncated column is minus infinity: fewer columns and all equal is below.
  const order = btCompare(key, mem, b);
  assert(
    strict ? order < 0 || (order === 0 && key.keysz < index.nkeyatts) || !key.hasTid : order <= 0,
    `${what}: ${order}`,
  );
}
