/**
 * Putting an item on a page, splitting pages up the tree as far as necessary.
 *
 * Two halves. `plan...` walks from the page upwards, decides where each full page is split, and obtains
 * everything that will be changed (pages exclusively, new blocks, right siblings, the metapage);
 * it may return MISS and has then changed nothing. `applyPlan` changes and logs, in one synchronous
 * stretch, a record per page that is split and one for where the ascent ends; so nobody in a running
 * cluster ever sees an incomplete split. A crash between two of the records leaves one, marked
 * BTP_INCOMPLETE_SPLIT, which the next insertion that meets it completes (planFinishSplit).
 *
 * New blocks are always at the index's end. One plan exists at a time: it lives between two awaits.
 */
import { assert } from '@pgtroupe/common/assert';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { BLCKSZ, type BlockNumber, MAIN_FORKNUM } from '@pgtroupe/common/ids';
import { MISS, type PageAccess } from '@pgtroupe/storage/buffer/pages';
import {
  pageAddItem, pageGetFreeSpace, pageGetItem, pageGetItemId, pageGetMaxOffsetNumber, pageGetUpper,
} from '@pgtroupe/storage/page/bufpage';
import { itemIdGetLength } from '@pgtroupe/storage/page/itemid';
import { RM_BTREE_ID } from '@pgtroupe/transam/rmgr';
import { REGBUF_STANDARD, REGBUF_WILL_INIT, type XLogInserter } from '@pgtroupe/transam/xloginsert';
import { type TupleMemory, tupleMemory } from '../common/htup.ts';
import { indexTupleSize } from '../common/indextuple.ts';
import { btExclusive, type BTIndex } from './btindex.ts';
import { btSwapPosting } from './nbtdedup.ts';
import {
  BT_SPECIAL, BTP_HAS_GARBAGE, BTP_INCOMPLETE_SPLIT, BTP_ROOT, BTP_SPLIT_END, BTREE_METAPAGE, btGetMeta, btMetaFastlevel, btMetaRoot,
  btPageInit, btpoCycleid, btpoFlags, btpoLevel, btpoNext, btpoPrev, btpoSetFlags, btpoSetLevel, btpoSetNext, btpoSetPrev, btUpdateMeta,
  firstDataKey, formMinusInfinity, getDownLink, isIgnored, isLeaf, isLeftmost, isRightmost, P_FIRSTKEY, P_HIKEY, P_NONE, setDownLink,
} from './nbtree.ts';
import { BTPath, btGetEndpoint, checkMeta, UNFINISHED_SPLIT } from './nbtsearch.ts';
import { btFindSplitLoc } from './nbtsplitloc.ts';
import { btTruncate } from './nbtutils.ts';
import {
  bufDataMetadata, bufDataU16, dataNewRoot, dataSplit, dataU16, XLOG_BTREE_INSERT_LEAF, XLOG_BTREE_INSERT_META, XLOG_BTREE_INSERT_POST,
  XLOG_BTREE_INSERT_UPPER, XLOG_BTREE_NEWROOT, XLOG_BTREE_SPLIT_L, XLOG_BTREE_SPLIT_R,
} from './nbtxlog.ts';

/** The plan is complete. */
export const READY = 1;

const NO_PAGE = -1;
const NEW_ITEM = 0;
const HIGH_KEY = BLCKSZ;

/** One level of the ascent: an item for a page, which is split if `split`. */
class Step {
  /** The new item at NEW_ITEM, the left page's high key at HIGH_KEY. */
  readonly mem: TupleMemory = tupleMemory(new Uint8Array(2 * BLCKSZ));
  page = 0;
  blk = 0;
  newItemOff = 0;
  /** Page below whose split becomes complete by this. NO_PAGE on the leaf level. */
  childPage = NO_PAGE;
  postingOff = 0;
  split = false;
  firstRightOff = 0;
  newItemOnLeft = false;
  highKeySize = 0;
  rightBlk = 0;
  rightPage = 0;
  /** Old right sibling, or NO_PAGE. */
  siblingPage = NO_PAGE;
}

const steps: Step[] = [];
let stepCount = 0;
/** How the ascent ends. */
let metaPage = NO_PAGE;
let newRootBlk = P_NONE;
let newRootPage = NO_PAGE;
/** Child of the new root. */
let oldRootPage = NO_PAGE;
let oldRootBlk = P_NONE;
let newBlocks = 0;

const tempPage = tupleMemory(new Uint8Array(BLCKSZ));
const swapped = tupleMemory(new Uint8Array(2 * BLCKSZ));
const SWAPPED_ITEM = BLCKSZ;
const endpoint = new BTPath();

function begin(): void {
  stepCount = 0;
  metaPage = NO_PAGE;
  newRootBlk = P_NONE;
  oldRootPage = NO_PAGE;
  newBlocks = 0;
}

function addStep(page: number, blk: number, newItemOff: number, childPage: number): Step {
  if (stepCount === steps.length) steps.push(new Step());
  const step = steps[stepCount++]!;
  step.page = page;
  step.blk = blk;
  step.newItemOff = newItemOff;
  step.childPage = childPage;
  step.postingOff = 0;
  step.split = false;
  step.siblingPage = NO_PAGE;
  return step;
}

/**
 * Plans to put the tuple on the leaf `path.blk` (held exclusively at `page`) at `newItemOff`; with
 * `postingOff` > 0 it goes into the posting list standing there. READY, MISS, or UNFINISHED_SPLIT with
 * `path` leading to the page concerned.
 */
export function planLeafInsert(
  index: BTIndex, pages: PageAccess, path: BTPath, page: number, newItemOff: number, postingOff: number, source: TupleMemory, tup: number,
): number {
  begin();
  const step = addStep(page, path.blk, postingOff === 0 ? newItemOff : newItemOff + 1, NO_PAGE);
  step.postingOff = postingOff;
  step.mem.u8.set(source.u8.subarray(tup, tup + indexTupleSize(source, tup)), NEW_ITEM);
  return planSteps(index, pages, path, step);
}

/** Plans to give the right half of a split page its downlink. */
export function planFinishSplit(index: BTIndex, pages: PageAccess, path: BTPath): number {
  const { mem } = pages;
  begin();
  const { blk } = path;
  const page = btExclusive(index, pages, blk);
  if (page === MISS) return MISS;
  if ((btpoFlags(mem, page) & BTP_INCOMPLETE_SPLIT) === 0) return READY;
  const right = btExclusive(index, pages, btpoNext(mem, page));
  if (right === MISS) return MISS;
  let wasRoot = false;
  if (path.depth === 0) {
    const meta = btExclusive(index, pages, BTREE_METAPAGE);
    if (meta === MISS) return MISS;
    wasRoot = btMetaRoot(mem, meta) === blk;
  }
  const wasOnly = isLeftmost(mem, page) && isRightmost(mem, right);
  const highKey = pageGetItem(mem, page, P_HIKEY);
  const step = planParent(index, pages, path, page, blk, btpoNext(mem, page), mem, highKey, wasRoot, wasOnly);
  return typeof step === 'number' ? step : planSteps(index, pages, path, step);
}

/** Plans this step and all above it. */
function planSteps(index: BTIndex, pages: PageAccess, path: BTPath, first: Step): number {
  const { mem } = pages;
  for (let step = first; ; ) {
    const { page } = step;
    if (pageGetFreeSpace(mem, page) >= indexTupleSize(step.mem, NEW_ITEM)) return READY;
    const planned = planSplit(index, pages, step);
    if (planned !== READY) return planned;
    const isRoot = (btpoFlags(mem, page) & BTP_ROOT) !== 0;
    const isOnly = isLeftmost(mem, page) && isRightmost(mem, page);
    const next = planParent(index, pages, path, page, step.blk, step.rightBlk, step.mem, HIGH_KEY, isRoot, isOnly);
    if (typeof next === 'number') return next;
    step = next;
  }
}

/** Decides where to split and obtains the new page and the right sibling. */
function planSplit(index: BTIndex, pages: PageAccess, step: Step): number {
  const { mem } = pages;
  const { page } = step;
  step.split = true;
  const right = newBlock(index, pages);
  if (right < 0) return MISS;
  step.rightBlk = right;
  step.rightPage = pages.exclusive(index.rel, MAIN_FORKNUM, right as BlockNumber);
  if (step.rightPage === MISS) return MISS;
  const sibling = btpoNext(mem, page);
  if (sibling !== P_NONE) {
    step.siblingPage = btExclusive(index, pages, sibling);
    if (step.siblingPage === MISS) return MISS;
    const back = btpoPrev(mem, step.siblingPage);
    if (back !== step.blk) {
      throw ereport(ERRCODE.INDEX_CORRUPTED,
        `right sibling's left-link doesn't match: block ${sibling} links to ${back} instead of expected ${step.blk} in index "${index.name}"`);
    }
  }
  const newItem = finalNewItem(pages, step);
  const where = btFindSplitLoc(index, mem, page, step.newItemOff, newItem === NEW_ITEM ? step.mem : swapped, newItem);
  step.firstRightOff = where.firstRightOff;
  step.newItemOnLeft = where.newItemOnLeft;
  makeHighKey(index, mem, step, newItem);
  return READY;
}

/** Where the item as it will stand on the page is: NEW_ITEM in the step, or SWAPPED_ITEM in `swapped`, the
 *  changed posting list then being at 0. */
function finalNewItem(pages: PageAccess, step: Step): number {
  if (step.postingOff === 0) return NEW_ITEM;
  const size = indexTupleSize(step.mem, NEW_ITEM);
  swapped.u8.set(step.mem.u8.subarray(NEW_ITEM, NEW_ITEM + size), SWAPPED_ITEM);
  const posting = pageGetItem(pages.mem, step.page, step.newItemOff - 1);
  btSwapPosting(swapped, SWAPPED_ITEM, pages.mem, posting, step.postingOff, swapped, 0);
  return SWAPPED_ITEM;
}

/** An item by its offset in the page, or what will replace it. */
let chosenMem: TupleMemory = tempPage;
function chooseItem(mem: TupleMemory, step: Step, off: number): number {
  if (step.postingOff !== 0 && off === step.newItemOff - 1) {
    chosenMem = swapped;
    return 0;
  }
  chosenMem = mem;
  return pageGetItem(mem, step.page, off);
}

/** Writes the left page's future high key at HIGH_KEY of the step. */
function makeHighKey(index: BTIndex, mem: TupleMemory, step: Step, newItem: number): void {
  const itemMem = newItem === NEW_ITEM ? step.mem : swapped;
  const atNew = step.firstRightOff === step.newItemOff;
  const right = atNew && !step.newItemOnLeft ? newItem : chooseItem(mem, step, step.firstRightOff);
  const rightMem = atNew && !step.newItemOnLeft ? itemMem : chosenMem;
  if (!isLeaf(mem, step.page)) {
    step.highKeySize = indexTupleSize(rightMem, right);
    step.mem.u8.set(rightMem.u8.subarray(right, right + step.highKeySize), HIGH_KEY);
    return;
  }
  const left = atNew && step.newItemOnLeft ? newItem : chooseItem(mem, step, step.firstRightOff - 1);
  const leftMem = atNew && step.newItemOnLeft ? itemMem : chosenMem;
  step.highKeySize = btTruncate(index, leftMem, left, rightMem, right, step.mem, HIGH_KEY);
}

function newBlock(index: BTIndex, pages: PageAccess): number {
  const blk = pages.newBlock(index.rel, MAIN_FORKNUM, newBlocks);
  if (blk !== MISS) newBlocks++;
  return blk;
}

/** Plans the downlink to `rightBlk`: READY when a new root takes it, or the next step; MISS, UNFINISHED_SPLIT. */
function planParent(
  index: BTIndex, pages: PageAccess, path: BTPath, page: number, blk: number, rightBlk: number, keyMem: TupleMemory, highKey: number,
  isRoot: boolean, isOnly: boolean,
): number | Step {
  const { mem } = pages;
  if (isRoot) {
    const root = newBlock(index, pages);
    if (root < 0) return MISS;
    newRootPage = pages.exclusive(index.rel, MAIN_FORKNUM, root as BlockNumber);
    metaPage = btExclusive(index, pages, BTREE_METAPAGE);
    if (newRootPage === MISS || metaPage === MISS) return MISS;
    checkMeta(index, mem, metaPage);
    newRootBlk = root;
    oldRootPage = page;
    oldRootBlk = blk;
    // The downlink's key is copied to where the apply half finds it.
    const step = addStep(newRootPage, root, P_FIRSTKEY, page);
    copyDownlink(step, keyMem, highKey, rightBlk);
    return READY;
  }
  const found = findParent(index, pages, path, btpoLevel(mem, page) + 1, blk);
  if (found < 0) return found;
  const step = addStep(found, path.blk, parentOff + 1, page);
  copyDownlink(step, keyMem, highKey, rightBlk);
  if (isOnly) {
    // The level below has two pages now: this one becomes the fast root, unless that is higher up already.
    metaPage = btExclusive(index, pages, BTREE_METAPAGE);
    if (metaPage === MISS) return MISS;
    if (btMetaFastlevel(mem, metaPage) >= btpoLevel(mem, found)) metaPage = NO_PAGE;
  }
  return step;
}

function copyDownlink(step: Step, keyMem: TupleMemory, highKey: number, rightBlk: number): void {
  step.mem.u8.set(keyMem.u8.subarray(highKey, highKey + indexTupleSize(keyMem, highKey)), NEW_ITEM);
  setDownLink(step.mem, NEW_ITEM, rightBlk);
}

/** Where findParent found the downlink. */
let parentOff = 0;

/** The page on `level` with the downlink to `child`, held exclusively: its offset, `path.blk` and `parentOff`. */
function findParent(index: BTIndex, pages: PageAccess, path: BTPath, level: number, child: number): number {
  const { mem } = pages;
  let start: number;
  if (path.depth > 0) {
    path.depth--;
    path.blk = path.stackBlk[path.depth]!;
    start = path.stackOff[path.depth]!;
  } else {
    // The search began below this level, at a fast root or at what was the root.
    const left = btGetEndpointAbove(index, pages, level);
    if (left < 0) return left;
    path.blk = endpoint.blk;
    start = 0;
  }
  for (;;) {
    const page = btExclusive(index, pages, path.blk);
    if (page === MISS) return MISS;
    if ((btpoFlags(mem, page) & BTP_INCOMPLETE_SPLIT) !== 0) return UNFINISHED_SPLIT;
    if (!isIgnored(mem, page)) {
      parentOff = findDownlink(mem, page, start, child);
      if (parentOff > 0) return page;
    }
    if (isRightmost(mem, page)) {
      throw ereport(ERRCODE.INDEX_CORRUPTED, `failed to re-find parent key in index "${index.name}" for split pages ${child}`);
    }
    path.blk = btpoNext(mem, page);
    start = 0;
  }
}

/** The leftmost page of a level above the fast root: starts at the true root. */
function btGetEndpointAbove(index: BTIndex, pages: PageAccess, level: number): number {
  const meta = btExclusive(index, pages, BTREE_METAPAGE);
  if (meta === MISS) return MISS;
  index.rootBlock = btMetaRoot(pages.mem, meta);
  index.rootLevel = btGetMeta(pages.mem, meta).level;
  return btGetEndpoint(index, pages, level, false, endpoint);
}

/** From the hint to the right, then to the left; 0 when it is not here. */
function findDownlink(mem: TupleMemory, page: number, hint: number, child: number): number {
  const min = firstDataKey(mem, page);
  const max = pageGetMaxOffsetNumber(mem, page);
  const start = Math.min(Math.max(hint, min), max + 1);
  for (let off = start; off <= max; off++) if (getDownLink(mem, pageGetItem(mem, page, off)) === child) return off;
  for (let off = start - 1; off >= min; off--) if (getDownLink(mem, pageGetItem(mem, page, off)) === child) return off;
  return 0;
}

// ---- changing and logging --------------------------------------------------------------------------------

/** Does what was planned. Nothing here can fail or miss. */
export function applyPlan(index: BTIndex, pages: PageAccess, wal: XLogInserter): void {
  for (let i = 0; i < stepCount; i++) {
    const step = steps[i]!;
    if (step.split) applySplit(index, pages, wal, step);
    else if (step.page === newRootPage && newRootBlk !== P_NONE) applyNewRoot(index, pages, wal, step);
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
  if (metaPage === NO_PAGE) {
    wal.insert(RM_BTREE_ID, XLOG_BTREE_INSERT_UPPER);
    return;
  }
  const meta = { ...btGetMeta(mem, metaPage), fastroot: step.blk, fastlevel: btpoLevel(mem, page) };
  btUpdateMeta(mem, metaPage, meta);
  wal.registerBuffer(2, metaPage, REGBUF_WILL_INIT | REGBUF_STANDARD);
  bufDataMetadata(wal, 2, meta);
  wal.insert(RM_BTREE_ID, XLOG_BTREE_INSERT_META);
}

function applySplit(index: BTIndex, pages: PageAccess, wal: XLogInserter, step: Step): void {
  const { mem } = pages;
  const { page, rightPage, newItemOnLeft, firstRightOff } = step;
  const leaf = isLeaf(mem, page);
  const newItem = finalNewItem(pages, step);
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
  pages.useNewBlock(index.rel, MAIN_FORKNUM, step.rightBlk as BlockNumber);
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
function addRight(mem: TupleMemory, page: number, source: TupleMemory, tup: number, size: number, off: number, minusInfinityOff: number): void {
  if (off !== minusInfinityOff) {
    add(mem, page, source, tup, size, off);
    return;
  }
  formMinusInfinity(minusInfinity, 0, getDownLink(source, tup));
  add(mem, page, minusInfinity, 0, 8, off);
}

function applyNewRoot(index: BTIndex, pages: PageAccess, wal: XLogInserter, step: Step): void {
  const { mem } = pages;
  const level = btpoLevel(mem, oldRootPage) + 1;
  btPageInit(mem, newRootPage);
  btpoSetFlags(mem, newRootPage, BTP_ROOT);
  btpoSetLevel(mem, newRootPage, level);
  formMinusInfinity(minusInfinity, 0, oldRootBlk);
  add(mem, newRootPage, minusInfinity, 0, 8, P_HIKEY);
  add(mem, newRootPage, step.mem, NEW_ITEM, indexTupleSize(step.mem, NEW_ITEM), P_FIRSTKEY);
  const meta = { ...btGetMeta(mem, metaPage), root: newRootBlk, level, fastroot: newRootBlk, fastlevel: level };
  btUpdateMeta(mem, metaPage, meta);
  clearIncompleteSplit(mem, oldRootPage);
  wal.begin();
  dataNewRoot(wal, newRootBlk, level);
  wal.registerBuffer(0, newRootPage, REGBUF_WILL_INIT);
  const upper = pageGetUpper(mem, newRootPage);
  wal.bufData(0, mem.u8, newRootPage + upper, BT_SPECIAL - upper);
  wal.registerBuffer(1, oldRootPage, REGBUF_STANDARD);
  wal.registerBuffer(2, metaPage, REGBUF_WILL_INIT | REGBUF_STANDARD);
  bufDataMetadata(wal, 2, meta);
  wal.insert(RM_BTREE_ID, XLOG_BTREE_NEWROOT);
  pages.useNewBlock(index.rel, MAIN_FORKNUM, newRootBlk as BlockNumber);
  index.rootBlock = newRootBlk;
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
