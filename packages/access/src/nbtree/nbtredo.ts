/**
 * Replaying the B-tree's records (btree_redo). See common/xlogutils.ts for the rules; each block is
 * treated by itself. Records are in nbtxlog.ts.
 *
 * Not in the WAL, and so different after replay: items marked dead, BTP_HAS_GARBAGE, BTP_SPLIT_END and
 * vacuum cycle ids.
 */
import { assert, AssertionFailure } from '@pgtroupe/common/assert';
import { BLCKSZ, maxAlign } from '@pgtroupe/common/ids';
import {
  pageAddItem,
  pageGetItem,
  pageGetItemId,
  pageGetMaxOffsetNumber,
  pageGetSpecial,
} from '@pgtroupe/storage/page/bufpage';
import { itemIdGetLength } from '@pgtroupe/storage/page/itemid';
import { type DecodedBkpBlock, type XLogRecord, XLR_RMGR_INFO_MASK } from '@pgtroupe/transam/xlogrecord';
import { type TupleMemory, tupleMemory } from '../common/htup.ts';
import { indexTupleSize } from '../common/indextuple.ts';
import { BLK_SKIP, type RedoContext, type RmgrRoutine } from '../common/xlogutils.ts';
import { BTDedupState, btSwapPosting } from './nbtdedup.ts';
import { appendGathered, beginRewrite } from './nbtdeduppass.ts';
import { applyLeafDeletion, LeafDeletion } from './nbtpage.ts';
import { initDeletedPage, initHalfDeadPage } from './nbtdeletedpage.ts';
import { removeDownlink } from './nbtpagedel.ts';
import {
  BT_MAX_ITEM_SIZE,
  BTP_INCOMPLETE_SPLIT,
  BTP_LEAF,
  BTP_ROOT,
  btInitMetaPage,
  btPageInit,
  btpoFlags,
  btpoSetCycleid,
  btpoSetFlags,
  btpoSetLevel,
  btpoSetNext,
  btpoSetPrev,
  firstDataKey,
  P_FIRSTKEY,
  P_HIKEY,
  P_NONE,
} from './nbtree.ts';
import {
  readMetadata,
  XLOG_BTREE_DEDUP,
  XLOG_BTREE_DELETE,
  XLOG_BTREE_INSERT_LEAF,
  XLOG_BTREE_INSERT_META,
  XLOG_BTREE_INSERT_POST,
  XLOG_BTREE_INSERT_UPPER,
  XLOG_BTREE_MARK_PAGE_HALFDEAD,
  XLOG_BTREE_META_CLEANUP,
  XLOG_BTREE_NEWROOT,
  XLOG_BTREE_REUSE_PAGE,
  XLOG_BTREE_SPLIT_L,
  XLOG_BTREE_SPLIT_R,
  XLOG_BTREE_UNLINK_PAGE,
  XLOG_BTREE_UNLINK_PAGE_META,
  XLOG_BTREE_VACUUM,
} from './nbtxlog.ts';

/** Block data copied here, so that tuples in it are aligned. */
const data = tupleMemory(new Uint8Array(2 * BLCKSZ));
const work = tupleMemory(new Uint8Array(2 * BLCKSZ));
const deletion = new LeafDeletion();

function main16(record: XLogRecord, at: number): number {
  return record.view.getUint16(record.mainAt + at, true);
}

function main32(record: XLogRecord, at: number): number {
  return record.view.getUint32(record.mainAt + at, true);
}

function blockOf(record: XLogRecord, id: number): DecodedBkpBlock {
  const block = record.blocks[id];
  assert(block !== undefined, `record without block ${id}`);
  return block;
}

/** Copies [from, end) of a block's data to the start of `data`. Returns its length. */
function loadBlockData(record: XLogRecord, id: number, from = 0): number {
  const { dataAt, dataLength } = blockOf(record, id);
  data.u8.set(record.bytes.subarray(dataAt + from, dataAt + dataLength));
  return dataLength - from;
}

function add(mem: TupleMemory, page: number, source: TupleMemory, tup: number, size: number, off: number): void {
  const added = pageAddItem(mem, page, source.u8, tup, size, off);
  assert(added === off, 'replay failed to add an item');
}

/** Items of a page made anew, stored lowest address first: the last one is item 1. */
function restorePage(mem: TupleMemory, page: number, length: number): void {
  const at: number[] = [];
  for (let from = 0; from < length; from += maxAlign(indexTupleSize(data, from))) at.push(from);
  at.reverse().forEach((from, i) => add(mem, page, data, from, maxAlign(indexTupleSize(data, from)), i + 1));
}

function restoreMeta(record: XLogRecord, ctx: RedoContext, id: number): void {
  const page = ctx.initBufferForRedo(record, id);
  if (page !== BLK_SKIP) btInitMetaPage(ctx.mem, page, readMetadata(record.view, blockOf(record, id).dataAt));
}

function clearIncompleteSplit(record: XLogRecord, ctx: RedoContext, id: number): void {
  const page = ctx.readBufferForRedo(record, id);
  if (page !== BLK_SKIP) btpoSetFlags(ctx.mem, page, btpoFlags(ctx.mem, page) & ~BTP_INCOMPLETE_SPLIT);
}

/** A page with nothing on it yet. */
function initPage(mem: TupleMemory, page: number, prev: number, next: number, level: number, flags: number): void {
  btPageInit(mem, page);
  btpoSetPrev(mem, page, prev);
  btpoSetNext(mem, page, next);
  btpoSetLevel(mem, page, level);
  btpoSetFlags(mem, page, flags);
}

/** Starts `work` at offset 0 as an empty page with the original's special space. */
function beginTempPage(mem: TupleMemory, page: number): void {
  btPageInit(work, 0);
  work.u8.set(mem.u8.subarray(page, page + 8));
  work.u8.set(mem.u8.subarray(page + pageGetSpecial(mem, page), page + BLCKSZ), pageGetSpecial(work, 0));
}

function itemLength(mem: TupleMemory, page: number, off: number): number {
  return itemIdGetLength(pageGetItemId(mem, page, off));
}

// ---- insertions and splits -------------------------------------------------------------------------------

function redoInsert(record: XLogRecord, ctx: RedoContext, info: number): void {
  const upper = info === XLOG_BTREE_INSERT_UPPER || info === XLOG_BTREE_INSERT_META;
  if (upper) clearIncompleteSplit(record, ctx, 1);
  const page = ctx.readBufferForRedo(record, 0);
  if (page !== BLK_SKIP) {
    const off = main16(record, 0);
    if (info === XLOG_BTREE_INSERT_POST) insertIntoPosting(record, ctx.mem, page, off);
    else add(ctx.mem, page, data, 0, loadBlockData(record, 0), off);
  }
  if (info === XLOG_BTREE_INSERT_META) restoreMeta(record, ctx, 2);
}

/** Where the changed posting list of a split is put: behind the page under construction. */
const SWAPPED = BLCKSZ;

function insertIntoPosting(record: XLogRecord, mem: TupleMemory, page: number, off: number): void {
  const size = loadBlockData(record, 0, 2);
  const postingOff = record.view.getUint16(blockOf(record, 0).dataAt, true);
  const posting = pageGetItem(mem, page, off - 1);
  const postingSize = btSwapPosting(data, 0, mem, posting, postingOff, work, SWAPPED);
  mem.u8.set(work.u8.subarray(SWAPPED, SWAPPED + postingSize), posting);
  add(mem, page, data, 0, size, off);
}

function redoSplit(record: XLogRecord, ctx: RedoContext, newItemOnLeft: boolean): void {
  const level = main32(record, 0);
  const origBlk = blockOf(record, 0).blkno;
  const rightBlk = blockOf(record, 1).blkno;
  const sibling = record.blocks[2]?.blkno ?? P_NONE;
  if (level > 0) clearIncompleteSplit(record, ctx, 3);
  const right = ctx.initBufferForRedo(record, 1);
  if (right !== BLK_SKIP) {
    initPage(ctx.mem, right, origBlk, sibling, level, level === 0 ? BTP_LEAF : 0);
    restorePage(ctx.mem, right, loadBlockData(record, 1));
  }
  const page = ctx.readBufferForRedo(record, 0);
  if (page !== BLK_SKIP) {
    rebuildLeft(record, ctx.mem, page, newItemOnLeft);
    btpoSetFlags(ctx.mem, page, BTP_INCOMPLETE_SPLIT | (level === 0 ? BTP_LEAF : 0));
    btpoSetNext(ctx.mem, page, rightBlk);
    btpoSetCycleid(ctx.mem, page, 0);
  }
  if (sibling !== P_NONE) {
    const siblingPage = ctx.readBufferForRedo(record, 2);
    if (siblingPage !== BLK_SKIP) btpoSetPrev(ctx.mem, siblingPage, rightBlk);
  }
}

/** The left half: its new high key, the old items up to the split point, the new item if it belongs there. */
function rebuildLeft(record: XLogRecord, mem: TupleMemory, page: number, newItemOnLeft: boolean): void {
  const firstRightOff = main16(record, 4);
  const newItemOff = main16(record, 6);
  const postingOff = main16(record, 8);
  loadBlockData(record, 0);
  let highKey = 0;
  let newItemSize = 0;
  let replacedOff = 0;
  if (newItemOnLeft || postingOff !== 0) {
    newItemSize = maxAlign(indexTupleSize(data, 0));
    highKey = newItemSize;
    if (postingOff !== 0) {
      replacedOff = newItemOff - 1;
      btSwapPosting(data, 0, mem, pageGetItem(mem, page, replacedOff), postingOff, work, SWAPPED);
    }
  }
  beginTempPage(mem, page);
  add(work, 0, data, highKey, maxAlign(indexTupleSize(data, highKey)), P_HIKEY);
  let leftOff = P_FIRSTKEY;
  for (let off = firstDataKey(mem, page); off < firstRightOff; off++) {
    if (newItemOnLeft && off === newItemOff) add(work, 0, data, 0, newItemSize, leftOff++);
    if (off === replacedOff) add(work, 0, work, SWAPPED, indexTupleSize(work, SWAPPED), leftOff++);
    else add(work, 0, mem, pageGetItem(mem, page, off), itemLength(mem, page, off), leftOff++);
  }
  if (newItemOnLeft && newItemOff === firstRightOff) add(work, 0, data, 0, newItemSize, leftOff);
  mem.u8.set(work.u8.subarray(0, BLCKSZ), page);
}

function redoNewRoot(record: XLogRecord, ctx: RedoContext): void {
  const level = main32(record, 4);
  const page = ctx.initBufferForRedo(record, 0);
  if (page !== BLK_SKIP) {
    initPage(ctx.mem, page, P_NONE, P_NONE, level, BTP_ROOT | (level === 0 ? BTP_LEAF : 0));
    if (level > 0) restorePage(ctx.mem, page, loadBlockData(record, 0));
  }
  if (level > 0) clearIncompleteSplit(record, ctx, 1);
  restoreMeta(record, ctx, 2);
}

// ---- deduplication and deletion ----------------------------------------------------------------------------

function redoDedup(record: XLogRecord, ctx: RedoContext): void {
  const page = ctx.readBufferForRedo(record, 0);
  if (page === BLK_SKIP) return;
  const { mem } = ctx;
  const intervals = main16(record, 0);
  const { dataAt } = blockOf(record, 0);
  beginRewrite(mem, page, work);
  const gathered = new BTDedupState(BT_MAX_ITEM_SIZE);
  let next = 0;
  const max = pageGetMaxOffsetNumber(mem, page);
  for (let off = firstDataKey(mem, page); off <= max; ) {
    gathered.start(mem, pageGetItem(mem, page, off));
    const inInterval = next < intervals && record.view.getUint16(dataAt + 4 * next, true) === off;
    const count = inInterval ? record.view.getUint16(dataAt + 4 * next++ + 2, true) : 1;
    for (let i = 1; i < count; i++) {
      const saved = gathered.save(mem, pageGetItem(mem, page, off + i));
      assert(saved, 'deduplication failed to add heap tid to pending posting list');
    }
    appendGathered(work, gathered);
    off += count;
  }
  assert(next === intervals, 'every interval of deduplication was met');
  mem.u8.set(work.u8.subarray(0, BLCKSZ), page);
}

function redoDeletion(record: XLogRecord, ctx: RedoContext, countsAt: number): void {
  const page = ctx.readBufferForRedo(record, 0);
  if (page === BLK_SKIP) return;
  const ndeleted = main16(record, countsAt);
  const nupdated = main16(record, countsAt + 2);
  let at = blockOf(record, 0).dataAt;
  const next16 = (): number => {
    const value = record.view.getUint16(at, true);
    at += 2;
    return value;
  };
  deletion.clear();
  for (let i = 0; i < ndeleted; i++) deletion.deleted.push(next16());
  for (let i = 0; i < nupdated; i++) deletion.updated.push(next16());
  for (let i = 0; i < nupdated; i++) deletion.places.push(Array.from({ length: next16() }, next16));
  applyLeafDeletion(ctx.mem, page, deletion);
}

function redoMarkPageHalfDead(record: XLogRecord, ctx: RedoContext): void {
  const { mem } = ctx;
  const parent = ctx.readBufferForRedo(record, 1);
  if (parent !== BLK_SKIP) {
    removeDownlink(mem, parent, main16(record, 0));
  }
  const leaf = ctx.initBufferForRedo(record, 0);
  if (leaf !== BLK_SKIP) initHalfDeadPage(mem, leaf, main32(record, 8), main32(record, 12), main32(record, 16));
}

function redoUnlinkPage(record: XLogRecord, ctx: RedoContext, withMeta: boolean): void {
  const { mem } = ctx;
  const left = main32(record, 0);
  const right = main32(record, 4);
  const level = main32(record, 8);
  if (left !== P_NONE) {
    const page = ctx.readBufferForRedo(record, 1);
    if (page !== BLK_SKIP) btpoSetNext(mem, page, right);
  }
  const target = ctx.initBufferForRedo(record, 0);
  if (target !== BLK_SKIP) {
    initDeletedPage(
      mem,
      target,
      { prev: left, next: right, level },
      main32(record, 20) * 0x100000000 + main32(record, 16),
    );
  }
  const page = ctx.readBufferForRedo(record, 2);
  if (page !== BLK_SKIP) btpoSetPrev(mem, page, left);
  if (record.blocks[3] !== undefined) {
    const leaf = ctx.initBufferForRedo(record, 3);
    if (leaf !== BLK_SKIP) initHalfDeadPage(mem, leaf, main32(record, 24), main32(record, 28), main32(record, 32));
  }
  if (withMeta) restoreMeta(record, ctx, 4);
}

function redo(record: XLogRecord, ctx: RedoContext): void {
  const info = record.info & XLR_RMGR_INFO_MASK;
  switch (info) {
    case XLOG_BTREE_INSERT_LEAF:
    case XLOG_BTREE_INSERT_UPPER:
    case XLOG_BTREE_INSERT_META:
    case XLOG_BTREE_INSERT_POST:
      return redoInsert(record, ctx, info);
    case XLOG_BTREE_SPLIT_L:
      return redoSplit(record, ctx, true);
    case XLOG_BTREE_SPLIT_R:
      return redoSplit(record, ctx, false);
    case XLOG_BTREE_NEWROOT:
      return redoNewRoot(record, ctx);
    case XLOG_BTREE_DEDUP:
      return redoDedup(record, ctx);
    case XLOG_BTREE_VACUUM:
      return redoDeletion(record, ctx, 0);
    case XLOG_BTREE_DELETE:
      return redoDeletion(record, ctx, 4);
    case XLOG_BTREE_MARK_PAGE_HALFDEAD:
      return redoMarkPageHalfDead(record, ctx);
    case XLOG_BTREE_UNLINK_PAGE:
      return redoUnlinkPage(record, ctx, false);
    case XLOG_BTREE_UNLINK_PAGE_META:
      return redoUnlinkPage(record, ctx, true);
    case XLOG_BTREE_REUSE_PAGE:
      return;
    case XLOG_BTREE_META_CLEANUP:
      return restoreMeta(record, ctx, 0);
    default:
      throw new AssertionFailure(`btree_redo: unknown op code ${info}`);
  }
}

const NAMES: Readonly<Record<number, string>> = {
  [XLOG_BTREE_INSERT_LEAF]: 'INSERT_LEAF',
  [XLOG_BTREE_INSERT_UPPER]: 'INSERT_UPPER',
  [XLOG_BTREE_INSERT_META]: 'INSERT_META',
  [XLOG_BTREE_SPLIT_L]: 'SPLIT_L',
  [XLOG_BTREE_SPLIT_R]: 'SPLIT_R',
  [XLOG_BTREE_INSERT_POST]: 'INSERT_POST',
  [XLOG_BTREE_DEDUP]: 'DEDUP',
  [XLOG_BTREE_DELETE]: 'DELETE',
  [XLOG_BTREE_UNLINK_PAGE]: 'UNLINK_PAGE',
  [XLOG_BTREE_UNLINK_PAGE_META]: 'UNLINK_PAGE_META',
  [XLOG_BTREE_NEWROOT]: 'NEWROOT',
  [XLOG_BTREE_MARK_PAGE_HALFDEAD]: 'MARK_PAGE_HALFDEAD',
  [XLOG_BTREE_VACUUM]: 'VACUUM',
  [XLOG_BTREE_REUSE_PAGE]: 'REUSE_PAGE',
  [XLOG_BTREE_META_CLEANUP]: 'META_CLEANUP',
};

function desc(record: XLogRecord): string {
  switch (record.info & XLR_RMGR_INFO_MASK) {
    case XLOG_BTREE_INSERT_LEAF:
    case XLOG_BTREE_INSERT_UPPER:
    case XLOG_BTREE_INSERT_META:
    case XLOG_BTREE_INSERT_POST:
      return `off ${main16(record, 0)}`;
    case XLOG_BTREE_SPLIT_L:
    case XLOG_BTREE_SPLIT_R:
      return `level ${main32(record, 0)}, firstrightoff ${main16(record, 4)}, newitemoff ${main16(record, 6)}, postingoff ${main16(record, 8)}`;
    case XLOG_BTREE_DEDUP:
      return `nintervals ${main16(record, 0)}`;
    case XLOG_BTREE_VACUUM:
      return `ndeleted ${main16(record, 0)}; nupdated ${main16(record, 2)}`;
    case XLOG_BTREE_DELETE:
      return `latestRemovedXid ${main32(record, 0)}; ndeleted ${main16(record, 4)}; nupdated ${main16(record, 6)}`;
    case XLOG_BTREE_MARK_PAGE_HALFDEAD:
      return `topparent ${main32(record, 16)}; leaf ${main32(record, 4)}; left ${main32(record, 8)}; right ${main32(record, 12)}`;
    case XLOG_BTREE_UNLINK_PAGE:
    case XLOG_BTREE_UNLINK_PAGE_META:
      return (
        `left ${main32(record, 0)}; right ${main32(record, 4)}; level ${main32(record, 8)}; ` +
        `safexid ${main32(record, 20)}:${main32(record, 16)}; ` +
        `leafleft ${main32(record, 24)}; leafright ${main32(record, 28)}; leaftopparent ${main32(record, 32)}`
      );
    case XLOG_BTREE_NEWROOT:
      return `lev ${main32(record, 4)}`;
    case XLOG_BTREE_META_CLEANUP:
      return `last_cleanup_num_delpages ${record.view.getUint32(blockOf(record, 0).dataAt + 20, true)}`;
    case XLOG_BTREE_REUSE_PAGE:
      return `rel ${main32(record, 0)}/${main32(record, 4)}/${main32(record, 8)}; latestRemovedXid ${main32(record, 20)}:${main32(record, 16)}`;
    default:
      return '';
  }
}

export const btreeRmgr: RmgrRoutine = { redo, desc, identify: info => NAMES[info & XLR_RMGR_INFO_MASK] };
