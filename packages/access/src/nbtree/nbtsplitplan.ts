/**
 * The first half of putting an item on a page: from the page upwards, decide where each full page is
 * split, and obtain everything that will be changed (pages exclusively, new blocks, right siblings,
 * the metapage). It may return MISS and has then changed nothing. The second half is nbtsplit.ts.
 *
 * One plan exists at a time: it lives between two awaits.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { BLCKSZ, type BlockNumber, type FullTransactionId, MAIN_FORKNUM } from '@pgtroupe/common/ids';
import { MISS, type PageAccess } from '@pgtroupe/storage/buffer/pages';
import { pageGetFreeSpace, pageGetItem, pageGetMaxOffsetNumber } from '@pgtroupe/storage/page/bufpage';
import { type TupleMemory, tupleMemory } from '../common/htup.ts';
import { indexTupleSize } from '../common/indextuple.ts';
import { btExclusive, type BTIndex } from './btindex.ts';
import { btSwapPosting } from './nbtdedup.ts';
import {
  BTP_INCOMPLETE_SPLIT,
  BTP_ROOT,
  BTREE_METAPAGE,
  btGetMeta,
  btMetaFastlevel,
  btMetaRoot,
  btpoFlags,
  btpoLevel,
  btpoNext,
  btpoPrev,
  firstDataKey,
  getDownLink,
  isIgnored,
  isLeaf,
  isLeftmost,
  isRightmost,
  P_FIRSTKEY,
  P_HIKEY,
  P_NONE,
  setDownLink,
} from './nbtree.ts';
import { NewPages } from './nbtnewpage.ts';
import { BTPath, btGetEndpoint, checkMeta, UNFINISHED_SPLIT } from './nbtsearch.ts';
import { btFindSplitLoc } from './nbtsplitloc.ts';
import { btTruncate } from './nbtutils.ts';
/** The plan is complete. */
export const READY = 1;

export const NO_PAGE = -1;
export const NEW_ITEM = 0;
export const HIGH_KEY = BLCKSZ;

/** One level of the ascent: an item for a page, which is split if `split`. */
export class Step {
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

/** The plan: the steps from the leaf up, and how the ascent ends. */
export const plan = {
  steps: [] as Step[],
  stepCount: 0,
  /** Changed in the last step, or NO_PAGE. */
  metaPage: NO_PAGE,
  /** The last step is a new root, or P_NONE. */
  newRootBlk: P_NONE,
  newRootPage: NO_PAGE,
  /** Child of the new root. */
  oldRootPage: NO_PAGE,
  oldRootBlk: P_NONE,
};
const newPages = new NewPages();
let oldestXmin = 0 as FullTransactionId;

export const swapped = tupleMemory(new Uint8Array(2 * BLCKSZ));
const SWAPPED_ITEM = BLCKSZ;
const endpoint = new BTPath();

function begin(horizon: FullTransactionId): void {
  oldestXmin = horizon;
  plan.stepCount = 0;
  plan.metaPage = NO_PAGE;
  plan.newRootBlk = P_NONE;
  plan.oldRootPage = NO_PAGE;
  newPages.begin();
}

function addStep(page: number, blk: number, newItemOff: number, childPage: number): Step {
  if (plan.stepCount === plan.steps.length) plan.steps.push(new Step());
  const step = plan.steps[plan.stepCount++]!;
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
  index: BTIndex,
  pages: PageAccess,
  path: BTPath,
  page: number,
  newItemOff: number,
  postingOff: number,
  source: TupleMemory,
  tup: number,
  horizon: FullTransactionId,
): number {
  begin(horizon);
  const step = addStep(page, path.blk, postingOff === 0 ? newItemOff : newItemOff + 1, NO_PAGE);
  step.postingOff = postingOff;
  step.mem.u8.set(source.u8.subarray(tup, tup + indexTupleSize(source, tup)), NEW_ITEM);
  return planSteps(index, pages, path, step);
}

/** Plans to give the right half of a split page its downlink. */
export function planFinishSplit(index: BTIndex, pages: PageAccess, path: BTPath, horizon: FullTransactionId): number {
  const { mem } = pages;
  begin(horizon);
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
  const right = newPages.next(index, pages, oldestXmin);
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
      throw ereport(
        ERRCODE.INDEX_CORRUPTED,
        `right sibling's left-link doesn't match: block ${sibling} links to ${back} instead of expected ${step.blk} in index "${index.name}"`,
      );
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
export function finalNewItem(pages: PageAccess, step: Step): number {
  if (step.postingOff === 0) return NEW_ITEM;
  const size = indexTupleSize(step.mem, NEW_ITEM);
  swapped.u8.set(step.mem.u8.subarray(NEW_ITEM, NEW_ITEM + size), SWAPPED_ITEM);
  const posting = pageGetItem(pages.mem, step.page, step.newItemOff - 1);
  btSwapPosting(swapped, SWAPPED_ITEM, pages.mem, posting, step.postingOff, swapped, 0);
  return SWAPPED_ITEM;
}

/** An item by its offset in the page, or what will replace it. */
export let chosenMem: TupleMemory = swapped;
export function chooseItem(mem: TupleMemory, step: Step, off: number): number {
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

/** Plans the downlink to `rightBlk`: READY when a new root takes it, or the next step; MISS, UNFINISHED_SPLIT. */
function planParent(
  index: BTIndex,
  pages: PageAccess,
  path: BTPath,
  page: number,
  blk: number,
  rightBlk: number,
  keyMem: TupleMemory,
  highKey: number,
  isRoot: boolean,
  isOnly: boolean,
): number | Step {
  const { mem } = pages;
  if (isRoot) {
    const root = newPages.next(index, pages, oldestXmin);
    if (root < 0) return MISS;
    plan.newRootPage = pages.exclusive(index.rel, MAIN_FORKNUM, root as BlockNumber);
    plan.metaPage = btExclusive(index, pages, BTREE_METAPAGE);
    if (plan.newRootPage === MISS || plan.metaPage === MISS) return MISS;
    checkMeta(index, mem, plan.metaPage);
    plan.newRootBlk = root;
    plan.oldRootPage = page;
    plan.oldRootBlk = blk;
    // The downlink's key is copied to where the apply half finds it.
    const step = addStep(plan.newRootPage, root, P_FIRSTKEY, page);
    copyDownlink(step, keyMem, highKey, rightBlk);
    return READY;
  }
  const found = findParent(index, pages, path, btpoLevel(mem, page) + 1, blk);
  if (found < 0) return found;
  const step = addStep(found, path.blk, path.off + 1, page);
  copyDownlink(step, keyMem, highKey, rightBlk);
  if (isOnly) {
    // The level below has two pages now: this one becomes the fast root, unless that is higher up already.
    plan.metaPage = btExclusive(index, pages, BTREE_METAPAGE);
    if (plan.metaPage === MISS) return MISS;
    if (btMetaFastlevel(mem, plan.metaPage) >= btpoLevel(mem, found)) plan.metaPage = NO_PAGE;
  }
  return step;
}

function copyDownlink(step: Step, keyMem: TupleMemory, highKey: number, rightBlk: number): void {
  step.mem.u8.set(keyMem.u8.subarray(highKey, highKey + indexTupleSize(keyMem, highKey)), NEW_ITEM);
  setDownLink(step.mem, NEW_ITEM, rightBlk);
}

/** The page on `level` with the downlink to `child`, held exclusively: its offset, `path.blk` and `path.off`; MISS,
 *  UNFINISHED_SPLIT. */
export function findParent(index: BTIndex, pages: PageAccess, path: BTPath, level: number, child: number): number {
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
      path.off = findDownlink(mem, page, start, child);
      if (path.off > 0) return page;
    }
    if (isRightmost(mem, page)) {
      throw ereport(
        ERRCODE.INDEX_CORRUPTED,
        `failed to re-find parent key in index "${index.name}" for split pages ${child}`,
      );
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
