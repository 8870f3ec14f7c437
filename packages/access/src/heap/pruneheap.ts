/**
 * Pruning: removes tuples that are dead to everyone from one page, shortens HOT chains, closes the
 * gaps. What was a row's line pointer becomes a redirect to the oldest surviving version, or dead
 * until vacuum has removed the index entries; heap-only tuples' line pointers become free at once.
 *
 * Pruning moves tuples, so it must never run while somebody in this instance may still use offsets
 * into the page. Functions that meet a candidate only queue it; the session driver calls
 * `heapPruneQueued` when no operator holds tuples, which is before a statement's first attempt and
 * after its last. Pages not held exclusively at that time are left for later.
 */
import {
  BLCKSZ,
  type BlockNumber,
  MAIN_FORKNUM,
  type TransactionId,
  transactionIdPrecedes,
  xidFromFull,
} from '@pgtroupe/common/ids';
import { MISS } from '@pgtroupe/storage/buffer/pages';
import {
  MAX_HEAP_TUPLES_PER_PAGE,
  pageClearFull,
  pageGetHeapFreeSpace,
  pageGetItem,
  pageGetItemId,
  pageGetMaxOffsetNumber,
  pageGetPruneXid,
  pageIsFull,
  pageSetItemId,
  pageSetPruneXid,
} from '@pgtroupe/storage/page/bufpage';
import { pageRepairFragmentation } from '@pgtroupe/storage/page/bufpage-compact';
import {
  itemIdGetRedirect,
  itemIdIsDead,
  itemIdIsNormal,
  itemIdIsRedirected,
  itemIdIsUsed,
  LP_DEAD,
  LP_REDIRECT,
  LP_UNUSED,
  makeItemId,
} from '@pgtroupe/storage/page/itemid';
import { RM_HEAP2_ID } from '@pgtroupe/transam/rmgr';
import type { XactView } from '@pgtroupe/transam/xactview';
import { REGBUF_STANDARD } from '@pgtroupe/transam/xloginsert';
import {
  getCtidOffset,
  getInfomask,
  getRawXmax,
  getXmin,
  HEAP_XMAX_INVALID,
  HEAP_XMAX_IS_MULTI,
  HEAP_XMIN_FROZEN,
  HEAP_XMIN_INVALID,
  isHeapOnly,
  isHotUpdated,
  type TupleMemory,
  xmaxIsLockedUpgraded,
} from '../common/htup.ts';
import type { HeapContext, HeapRelation } from './heapam-context.ts';
import {
  getUpdateXid,
  HEAPTUPLE_DEAD,
  HEAPTUPLE_DELETE_IN_PROGRESS,
  HEAPTUPLE_RECENTLY_DEAD,
  heapTupleSatisfiesVacuum,
  knownUpdateXid,
} from './heapam-visibility.ts';
import { put16, put32, SIZE_OF_HEAP_PRUNE, XLOG_HEAP2_PRUNE, xlogScratch } from './heapam-xlog.ts';

/** Bytes that an insert leaves free for updates. */
export function targetPageFreeSpace(rel: HeapRelation): number {
  return Math.floor((BLCKSZ * (100 - rel.fillfactor)) / 100);
}

function isPrunable(ctx: HeapContext, rel: HeapRelation, page: number): boolean {
  const { mem } = ctx.pages;
  const pruneXid = pageGetPruneXid(mem, page);
  if (pruneXid === 0 || !transactionIdPrecedes(pruneXid, xidFromFull(ctx.xact.oldestXmin))) return false;
  return pageIsFull(mem, page) || pageGetHeapFreeSpace(mem, page) < Math.max(targetPageFreeSpace(rel), BLCKSZ / 10);
}

/** Cheap for nearly every page: pd_prune_xid is 0 or too new. */
export function queueIfPrunable(ctx: HeapContext, rel: HeapRelation, blk: number, page: number): void {
  if (ctx.pages.mem.u32[(page + 20) >>> 2] !== 0 && isPrunable(ctx, rel, page)) ctx.queuePrune(rel, blk);
}

/** Prunes the pages met since the last call that are held exclusively. No offsets may be in use. */
export function heapPruneQueued(ctx: HeapContext): void {
  const { pruneRelations, pruneBlocks, pages } = ctx;
  for (let i = 0; i < pruneBlocks.length; i++) {
    const rel = pruneRelations[i]!;
    const blk = pruneBlocks[i]!;
    const page = pages.exclusive(rel.smgr, MAIN_FORKNUM, blk as BlockNumber);
    if (page === MISS || !isPrunable(ctx, rel, page)) continue;
    const removed = heapPagePrune(ctx, page, xidFromFull(ctx.xact.oldestXmin));
    // Line pointers that stay, dead, are still to be vacuumed.
    if (removed > nDead) ctx.xact.counts?.deadTuplesRemoved(rel, removed - nDead);
  }
  pruneRelations.length = 0;
  pruneBlocks.length = 0;
}

// Working state of one prune; synchronous, so one set will do.
const htsv = new Int8Array(MAX_HEAP_TUPLES_PER_PAGE + 1);
const marked = new Uint8Array(MAX_HEAP_TUPLES_PER_PAGE + 1);
const chain = new Uint16Array(MAX_HEAP_TUPLES_PER_PAGE + 1);
const redirected = new Uint16Array(2 * MAX_HEAP_TUPLES_PER_PAGE);
const nowDead = new Uint16Array(MAX_HEAP_TUPLES_PER_PAGE);
const nowUnused = new Uint16Array(MAX_HEAP_TUPLES_PER_PAGE);
const offsetBytes = new Uint8Array(4 * MAX_HEAP_TUPLES_PER_PAGE);
const NO_TUPLE = -1;
let nRedirected = 0;
let nDead = 0;
let nUnused = 0;
let newPruneXid = 0 as TransactionId;
let latestRemovedXid = 0 as TransactionId;

/**
 * Prunes a page held exclusively. Returns how many tuples were removed, or MISS with nothing changed
 * (an outcome is not known).
 */
export function heapPagePrune(ctx: HeapContext, page: number, oldestXmin: TransactionId): number {
  const { mem } = ctx.pages;
  const lines = pageGetMaxOffsetNumber(mem, page);
  nRedirected = 0;
  nDead = 0;
  nUnused = 0;
  newPruneXid = 0 as TransactionId;
  latestRemovedXid = 0 as TransactionId;
  // Each tuple is judged once: a second answer could differ and break a chain apart.
  for (let off = 1; off <= lines; off++) {
    marked[off] = 0;
    htsv[off] = NO_TUPLE;
    if (!itemIdIsNormal(pageGetItemId(mem, page, off))) continue;
    const tup = pageGetItem(mem, page, off);
    const state = heapTupleSatisfiesVacuum(ctx.xact, oldestXmin, mem, tup);
    if (state === MISS || !membersKnown(ctx.xact, mem, tup)) return MISS;
    htsv[off] = state;
  }
  let removed = 0;
  for (let off = 1; off <= lines; off++) {
    if (marked[off] === 1) continue;
    const id = pageGetItemId(mem, page, off);
    if (itemIdIsUsed(id) && !itemIdIsDead(id)) removed += pruneChain(ctx.xact, mem, page, off, lines);
  }
  if (nRedirected + nDead + nUnused === 0) {
    // Only hints: unlogged, like hint bits.
    pageSetPruneXid(mem, page, newPruneXid);
    pageClearFull(mem, page);
    return removed;
  }
  const bytes = encodeOffsets();
  heapPagePruneExecute(mem, page, offsetBytes, 0, nRedirected, nDead, nUnused);
  pageSetPruneXid(mem, page, newPruneXid);
  pageClearFull(mem, page);

  const { wal } = ctx;
  put32(0, latestRemovedXid);
  put16(4, nRedirected);
  put16(6, nDead);
  wal.begin();
  wal.data(xlogScratch, 0, SIZE_OF_HEAP_PRUNE);
  wal.registerBuffer(0, page, REGBUF_STANDARD);
  wal.bufData(0, offsetBytes, 0, bytes);
  wal.insert(RM_HEAP2_ID, XLOG_HEAP2_PRUNE);
  return removed;
}

/** Whoever goes on with the page, following chains or freezing, does not miss. */
function membersKnown(x: XactView, mem: TupleMemory, tup: number): boolean {
  const mask = getInfomask(mem, tup);
  if ((mask & (HEAP_XMAX_IS_MULTI | HEAP_XMAX_INVALID)) !== HEAP_XMAX_IS_MULTI || xmaxIsLockedUpgraded(mask))
    return true;
  return x.multiXactMembers(getRawXmax(mem, tup)) !== MISS;
}

/** Plans what becomes of one HOT chain (or single tuple, or redirect). Returns the tuples removed. */
function pruneChain(x: XactView, mem: TupleMemory, page: number, root: number, lines: number): number {
  const rootId = pageGetItemId(mem, page, root);
  if (itemIdIsNormal(rootId)) {
    const tup = pageGetItem(mem, page, root);
    if (isHeapOnly(mem, tup)) {
      // A member of some chain, unless its update failed: then no root leads here.
      if (htsv[root] === HEAPTUPLE_DEAD && !isHotUpdated(mem, tup)) {
        recordUnused(root);
        advanceLatestRemovedXid(x, mem, tup);
        return 1;
      }
      return 0;
    }
  }
  let length = 0;
  let latestDead = 0;
  let priorXmax = 0;
  let at = root;
  for (;;) {
    if (at < 1 || at > lines || marked[at] === 1) break;
    const id = pageGetItemId(mem, page, at);
    if (!itemIdIsUsed(id)) break;
    if (itemIdIsRedirected(id)) {
      if (length > 0) break;
      chain[length++] = at;
      at = itemIdGetRedirect(id);
      continue;
    }
    if (itemIdIsDead(id)) break;
    const tup = pageGetItem(mem, page, at);
    if (priorXmax !== 0 && getXmin(mem, tup) !== priorXmax) break;
    chain[length++] = at;
    const state = htsv[at];
    if (state === HEAPTUPLE_DEAD) {
      latestDead = at;
      advanceLatestRemovedXid(x, mem, tup);
    } else if (state === HEAPTUPLE_RECENTLY_DEAD || state === HEAPTUPLE_DELETE_IN_PROGRESS) {
      recordPrunable(knownUpdateXid(x, mem, tup));
      // A dead tuple may stand behind a recently dead one, but not behind anything else.
      if (state === HEAPTUPLE_DELETE_IN_PROGRESS) break;
    } else break;
    if (!isHotUpdated(mem, tup)) break;
    at = getCtidOffset(mem, tup);
    priorXmax = knownUpdateXid(x, mem, tup);
  }
  let removed = 0;
  if (latestDead !== 0) {
    let i = 1;
    for (; i < length && chain[i - 1] !== latestDead; i++) {
      recordUnused(chain[i]!);
      removed++;
    }
    if (itemIdIsNormal(rootId)) removed++;
    if (i >= length) recordDead(root);
    else recordRedirect(root, chain[i]!);
  } else if (length < 2 && itemIdIsRedirected(rootId)) {
    // Leads nowhere.
    recordDead(root);
  }
  return removed;
}

function recordPrunable(xid: TransactionId): void {
  if (newPruneXid === 0 || transactionIdPrecedes(xid, newPruneXid)) newPruneXid = xid;
}

function recordRedirect(from: number, to: number): void {
  redirected[2 * nRedirected] = from;
  redirected[2 * nRedirected + 1] = to;
  nRedirected++;
  marked[from] = 1;
  marked[to] = 1;
}

function recordDead(off: number): void {
  nowDead[nDead++] = off;
  marked[off] = 1;
}

function recordUnused(off: number): void {
  nowUnused[nUnused++] = off;
  marked[off] = 1;
}

/** Keeps the newest xid whose tuples are removed: readers on standbys with older snapshots conflict. */
function advanceLatestRemovedXid(x: XactView, mem: TupleMemory, tup: number): void {
  // Never committed, or deleted by the transaction that inserted it: nobody else ever saw it.
  if ((getInfomask(mem, tup) & HEAP_XMIN_FROZEN) === HEAP_XMIN_INVALID) return;
  const xmax = knownUpdateXid(x, mem, tup);
  if (xmax === 0 || xmax === getXmin(mem, tup)) return;
  if (latestRemovedXid === 0 || transactionIdPrecedes(latestRemovedXid, xmax)) latestRemovedXid = xmax;
}

/** The planned offsets as a record's block data; returns its length. */
function encodeOffsets(): number {
  let at = 0;
  const append = (list: Uint16Array, count: number): void => {
    for (let i = 0; i < count; i++, at += 2) {
      offsetBytes[at] = list[i]!;
      offsetBytes[at + 1] = list[i]! >>> 8;
    }
  };
  append(redirected, 2 * nRedirected);
  append(nowDead, nDead);
  append(nowUnused, nUnused);
  return at;
}

/** Carries out a plan: u16 pairs (from, to), then dead, then unused ones, at `bytes[at]`. Redo uses it too. */
export function heapPagePruneExecute(
  mem: TupleMemory,
  page: number,
  bytes: Uint8Array,
  at: number,
  redirects: number,
  dead: number,
  unused: number,
): void {
  const u16 = (n: number): number => bytes[at + 2 * n]! | (bytes[at + 2 * n + 1]! << 8);
  let n = 0;
  for (; n < 2 * redirects; n += 2) pageSetItemId(mem, page, u16(n), makeItemId(u16(n + 1), LP_REDIRECT, 0));
  for (const end = n + dead; n < end; n++) pageSetItemId(mem, page, u16(n), makeItemId(0, LP_DEAD, 0));
  for (const end = n + unused; n < end; n++) pageSetItemId(mem, page, u16(n), makeItemId(0, LP_UNUSED, 0));
  pageRepairFragmentation(mem, page);
}

/**
 * For every heap-only tuple of a page, the line pointer its index entries use: roots[offnum] (0: none).
 * For building indexes. Returns 0, or MISS.
 */
export function heapGetRootTuples(ctx: HeapContext, page: number, roots: Uint16Array): number {
  const { mem } = ctx.pages;
  const lines = pageGetMaxOffsetNumber(mem, page);
  roots.fill(0);
  for (let off = 1; off <= lines; off++) {
    const id = pageGetItemId(mem, page, off);
    let next: number;
    let priorXmax = 0;
    if (itemIdIsNormal(id)) {
      const tup = pageGetItem(mem, page, off);
      if (isHeapOnly(mem, tup)) continue;
      roots[off] = off;
      if (!isHotUpdated(mem, tup)) continue;
      next = getCtidOffset(mem, tup);
      priorXmax = getUpdateXid(ctx.xact, mem, tup);
      if (priorXmax === MISS) return MISS;
    } else if (itemIdIsRedirected(id)) {
      next = itemIdGetRedirect(id);
    } else continue;
    while (next >= 1 && next <= lines) {
      if (!itemIdIsNormal(pageGetItemId(mem, page, next))) break;
      const tup = pageGetItem(mem, page, next);
      if (priorXmax !== 0 && getXmin(mem, tup) !== priorXmax) break;
      roots[next] = off;
      if (!isHotUpdated(mem, tup)) break;
      priorXmax = getUpdateXid(ctx.xact, mem, tup);
      if (priorXmax === MISS) return MISS;
      next = getCtidOffset(mem, tup);
    }
  }
  return 0;
}
