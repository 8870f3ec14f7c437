/**
 * Putting an item on a page, splitting pages up the tree as far as necessary: does what was planned
 * (nbtsplitplan.ts) and logs it, in one synchronous stretch, a record per page that is split and one
 * for where the ascent ends; so nobody in a running cluster ever sees an incomplete split. A crash
 * between two of the records leaves one, marked BTP_INCOMPLETE_SPLIT, which the next insertion that
 * meets it completes (planFinishSplit).
 */
import { assert } from '@pgtroupe/common/assert';
import { BLCKSZ, type BlockNumber, MAIN_FORKNUM } from '@pgtroupe/common/ids';
import { MISS, type PageAccess } from '@pgtroupe/storage/buffer/pages';
import {
  pageAddItem,
  pageGetItem,
  pageGetItemId,
  pageGetMaxOffsetNumber,
  pageGetUpper,
} from '@pgtroupe/storage/page/bufpage';
import { itemIdGetLength } from '@pgtroupe/storage/page/itemid';
import { RM_BTREE_ID } from '@pgtroupe/transam/rmgr';
import { REGBUF_STANDARD, REGBUF_WILL_INIT, type XLogInserter } from '@pgtroupe/transam/xloginsert';
import { type TupleMemory, tupleMemory } from '../common/htup.ts';
import { indexTupleSize } from '../common/indextuple.ts';
import { btExclusive, type BTIndex } from './btindex.ts';
import {
  BT_SPECIAL,
  BTP_HAS_GARBAGE,
  BTP_INCOMPLETE_SPLIT,
  BTP_ROOT,
  BTP_SPLIT_END,
  BTREE_METAPAGE,
  btGetMeta,
  btMetaRoot,
  btPageInit,
  btpoCycleid,
  btpoFlags,
  btpoLevel,
  btpoNext,
  btpoPrev,
  btpoSetFlags,
  btpoSetLevel,
  btpoSetNext,
  btpoSetPrev,
  btUpdateMeta,
  firstDataKey,
  formMinusInfinity,
  getDownLink,
  isLeaf,
  isRightmost,
  P_FIRSTKEY,
  P_HIKEY,
  P_NONE,
} from './nbtree.ts';
import { useNewPage } from './nbtnewpage.ts';
import { checkMeta } from './nbtsearch.ts';
import {
  chooseItem,
  chosenMem,
  finalNewItem,
  HIGH_KEY,
  NEW_ITEM,
  NO_PAGE,
  plan,
  READY,
  type Step,
  swapped,
} from './nbtsplitplan.ts';
import {
  bufDataMetadata,
  bufDataU16,
  dataNewRoot,
  dataSplit,
  dataU16,
  XLOG_BTREE_INSERT_LEAF,
  XLOG_BTREE_INSERT_META,
  XLOG_BTREE_INSERT_POST,
  XLOG_BTREE_INSERT_UPPER,
  XLOG_BTREE_NEWROOT,
  XLOG_BTREE_SPLIT_L,
  XLOG_BTREE_SPLIT_R,
} from './nbtxlog.ts';

/** The left half under construction. */
const tempPage = tupleMemory(new Uint8Array(BLCKSZ));

/** Does what was planned. Nothing here can fail or miss. */
export function applyPlan(index: BTIndex, pages: PageAccess, wal: XLogInserter): void {
  for (let i = 0; i < plan.stepCount; i++) {
    const step = plan.steps[i]!;
    if (step.split) applySplit(index, pages, wal, step);
    else if (step.page === plan.newRootPage && plan.newRootBlk !== P_NONE) applyNewRoot(index, pages, wal, step);
    else applyInsert(pages, wal, step);
  }
}

function add(mem: TupleMemory, page: number, source: TupleMemory, tup: number, size: number, off: number): void {
  const added = pageAddItem(mem, page, source.u8, tup, size, off);
  assert(added === off, 'failed to add item to a page with room for it');
}

function clearIncompleteSplit(mem: TupleMemory, page: number): void {
  btpoSetFlags(mem, page, btpoFlags(mem, page) & ~BTP_INCOMPLETE_SPLIT);
}

function applyInsert(pages: PageAccess, wal: XLogInserter, step: Step): void {
  const { mem } = pages;
  const { page } = step;
  const size = indexTupleSize(step.mem, NEW_ITEM);
  const newItem = finalNewItem(pages, step);
  if (step.postingOff !== 0) {
    const posting = pageGetItem(mem, page, step.newItemOff - 1);
    mem.u8.set(swapped.u8.subarray(0, indexTupleSize(swapped, 0)), posting);
  }
  add(mem, page, newItem === NEW_ITEM ? step.mem : swapped, newItem, size, step.newItemOff);
  wal.begin();
  wal.registerBuffer(0, page, REGBUF_STANDARD);
  dataU16(wal, step.newItemOff);
  if (step.childPage === NO_PAGE) {
    if (step.postingOff !== 0) bufDataU16(wal, 0, step.postingOff);
    wal.bufData(0, step.mem.u8, NEW_ITEM, size);
    wal.insert(RM_BTREE_ID, step.postingOff === 0 ? XLOG_BTREE_INSERT_LEAF : XLOG_BTREE_INSERT_POST);
    return;
  }
  clearIncompleteSplit(mem, step.childPage);
  wal.bufData(0, step.mem.u8, NEW_ITEM, size);
  wal.registerBuffer(1, step.childPage, REGBUF_STANDARD);
  if (plan.metaPage === NO_PAGE) {
    wal.insert(RM_BTREE_ID, XLOG_BTREE_INSERT_UPPER);
    return;
  }
  const meta = { ...btGetMeta(mem, plan.metaPage), fastroot: step.blk, fastlevel: btpoLevel(mem, page) };
  btUpdateMeta(mem, plan.metaPage, meta);
  wal.registerBuffer(2, plan.metaPage, REGBUF_WILL_INIT | REGBUF_STANDARD);
  bufDataMetadata(wal, 2, meta);
  wal.insert(RM_BTREE_ID, XLOG_BTREE_INSERT_META);
}

function applySplit(index: BTIndex, pages: PageAccess, wal: XLogInserter, step: Step): void {
  const { mem } = pages;
  const { page, rightPage, newItemOnLeft, firstRightOff } = step;
  const leaf = isLeaf(mem, page);
  const newItem = finalNewItem(pages, step);
  useNewPage(index, pages, wal, step.rightBlk, rightPage);
  buildHalves(mem, step, newItem);
  mem.u8.set(tempPage.u8, page);
  if (step.siblingPage !== NO_PAGE) btpoSetPrev(mem, step.siblingPage, step.rightBlk);
  if (step.childPage !== NO_PAGE) clearIncompleteSplit(mem, step.childPage);

  // A posting list that changed on the left page is made again from the item as it came.
  const postingOff = step.postingOff !== 0 && step.newItemOff - 1 < firstRightOff ? step.postingOff : 0;
  wal.begin();
  dataSplit(wal, btpoLevel(mem, page), firstRightOff, step.newItemOff, postingOff);
  wal.registerBuffer(0, page, REGBUF_STANDARD);
  if (newItemOnLeft && postingOff === 0) {
    const itemMem = newItem === NEW_ITEM ? step.mem : swapped;
    wal.bufData(0, itemMem.u8, newItem, indexTupleSize(itemMem, newItem));
  } else if (postingOff !== 0) {
    wal.bufData(0, step.mem.u8, NEW_ITEM, indexTupleSize(step.mem, NEW_ITEM));
  }
  wal.bufData(0, step.mem.u8, HIGH_KEY, step.highKeySize);
  wal.registerBuffer(1, rightPage, REGBUF_WILL_INIT);
  const upper = pageGetUpper(mem, rightPage);
  wal.bufData(1, mem.u8, rightPage + upper, BT_SPECIAL - upper);
  if (step.siblingPage !== NO_PAGE) wal.registerBuffer(2, step.siblingPage, REGBUF_STANDARD);
  if (!leaf) wal.registerBuffer(3, step.childPage, REGBUF_STANDARD);
  wal.insert(RM_BTREE_ID, newItemOnLeft ? XLOG_BTREE_SPLIT_L : XLOG_BTREE_SPLIT_R);
}

/** Makes the left page in `tempPage` and the right one in its new block. */
function buildHalves(mem: TupleMemory, step: Step, newItem: number): void {
  const { page, rightPage, firstRightOff, newItemOff } = step;
  const leaf = isLeaf(mem, page);
  const flags = btpoFlags(mem, page) & ~(BTP_ROOT | BTP_SPLIT_END | BTP_HAS_GARBAGE);
  btPageInit(tempPage, 0);
  btpoSetPrev(tempPage, 0, btpoPrev(mem, page));
  btpoSetNext(tempPage, 0, step.rightBlk);
  btpoSetLevel(tempPage, 0, btpoLevel(mem, page));
  btpoSetFlags(tempPage, 0, flags | BTP_INCOMPLETE_SPLIT);
  tempPage.u8.set(mem.u8.subarray(page, page + 8), 0);
  add(tempPage, 0, step.mem, HIGH_KEY, step.highKeySize, P_HIKEY);

  btPageInit(mem, rightPage);
  btpoSetPrev(mem, rightPage, step.blk);
  btpoSetNext(mem, rightPage, btpoNext(mem, page));
  btpoSetLevel(mem, rightPage, btpoLevel(mem, page));
  const splitEnd = step.siblingPage !== NO_PAGE && btpoCycleid(mem, step.siblingPage) !== 0;
  btpoSetFlags(mem, rightPage, splitEnd ? flags | BTP_SPLIT_END : flags);
  let rightOff = P_HIKEY;
  if (!isRightmost(mem, page)) {
    add(mem, rightPage, mem, pageGetItem(mem, page, P_HIKEY), itemLength(mem, page, P_HIKEY), rightOff++);
  }
  const minusInfinityOff = leaf ? 0 : rightOff;
  let leftOff = P_FIRSTKEY;
  const itemMem = newItem === NEW_ITEM ? step.mem : swapped;
  const itemSize = indexTupleSize(itemMem, newItem);
  const max = pageGetMaxOffsetNumber(mem, page);
  for (let off = firstDataKey(mem, page); off <= max + 1; off++) {
    if (off === newItemOff) {
      if (step.newItemOnLeft) add(tempPage, 0, itemMem, newItem, itemSize, leftOff++);
      else addRight(mem, rightPage, itemMem, newItem, itemSize, rightOff++, minusInfinityOff);
    }
    if (off > max) break;
    const size = itemLength(mem, page, off);
    const item = chooseItem(mem, step, off);
    if (off < firstRightOff) add(tempPage, 0, chosenMem, item, size, leftOff++);
    else addRight(mem, rightPage, chosenMem, item, size, rightOff++, minusInfinityOff);
  }
}

function itemLength(mem: TupleMemory, page: number, off: number): number {
  return itemIdGetLength(pageGetItemId(mem, page, off));
}

const minusInfinity = tupleMemory(new Uint8Array(8));

/** The first data item of the right page loses its key on internal levels. */
function addRight(
  mem: TupleMemory,
  page: number,
  source: TupleMemory,
  tup: number,
  size: number,
  off: number,
  minusInfinityOff: number,
): void {
  if (off !== minusInfinityOff) {
    add(mem, page, source, tup, size, off);
    return;
  }
  formMinusInfinity(minusInfinity, 0, getDownLink(source, tup));
  add(mem, page, minusInfinity, 0, 8, off);
}

function applyNewRoot(index: BTIndex, pages: PageAccess, wal: XLogInserter, step: Step): void {
  const { mem } = pages;
  const level = btpoLevel(mem, plan.oldRootPage) + 1;
  useNewPage(index, pages, wal, plan.newRootBlk, plan.newRootPage);
  btPageInit(mem, plan.newRootPage);
  btpoSetFlags(mem, plan.newRootPage, BTP_ROOT);
  btpoSetLevel(mem, plan.newRootPage, level);
  formMinusInfinity(minusInfinity, 0, plan.oldRootBlk);
  add(mem, plan.newRootPage, minusInfinity, 0, 8, P_HIKEY);
  add(mem, plan.newRootPage, step.mem, NEW_ITEM, indexTupleSize(step.mem, NEW_ITEM), P_FIRSTKEY);
  const meta = {
    ...btGetMeta(mem, plan.metaPage),
    root: plan.newRootBlk,
    level,
    fastroot: plan.newRootBlk,
    fastlevel: level,
  };
  btUpdateMeta(mem, plan.metaPage, meta);
  clearIncompleteSplit(mem, plan.oldRootPage);
  wal.begin();
  dataNewRoot(wal, plan.newRootBlk, level);
  wal.registerBuffer(0, plan.newRootPage, REGBUF_WILL_INIT);
  const upper = pageGetUpper(mem, plan.newRootPage);
  wal.bufData(0, mem.u8, plan.newRootPage + upper, BT_SPECIAL - upper);
  wal.registerBuffer(1, plan.oldRootPage, REGBUF_STANDARD);
  wal.registerBuffer(2, plan.metaPage, REGBUF_WILL_INIT | REGBUF_STANDARD);
  bufDataMetadata(wal, 2, meta);
  wal.insert(RM_BTREE_ID, XLOG_BTREE_NEWROOT);
  index.rootBlock = plan.newRootBlk;
  index.rootLevel = level;
}

/** Gives an empty index its first page, a root that is a leaf. READY or MISS. */
export function btCreateRoot(index: BTIndex, pages: PageAccess, wal: XLogInserter, leafRootFlags: number): number {
  const { mem } = pages;
  const meta = btExclusive(index, pages, BTREE_METAPAGE);
  if (meta === MISS) return MISS;
  checkMeta(index, mem, meta);
  if (btMetaRoot(mem, meta) !== P_NONE) return READY;
  const blk = pages.newBlock(index.rel, MAIN_FORKNUM);
  if (blk === MISS) return MISS;
  const page = pages.exclusive(index.rel, MAIN_FORKNUM, blk as BlockNumber);
  if (page === MISS) return MISS;
  btPageInit(mem, page);
  btpoSetFlags(mem, page, leafRootFlags);
  const data = { ...btGetMeta(mem, meta), root: blk, level: 0, fastroot: blk, fastlevel: 0, lastCleanupNumDelpages: 0 };
  btUpdateMeta(mem, meta, data);
  mem.view.setFloat64(meta + 56, -1, true);
  wal.begin();
  dataNewRoot(wal, blk, 0);
  wal.registerBuffer(0, page, REGBUF_WILL_INIT);
  wal.registerBuffer(2, meta, REGBUF_WILL_INIT | REGBUF_STANDARD);
  bufDataMetadata(wal, 2, data);
  wal.insert(RM_BTREE_ID, XLOG_BTREE_NEWROOT);
  pages.useNewBlock(index.rel, MAIN_FORKNUM, blk as BlockNumber);
  return READY;
}
