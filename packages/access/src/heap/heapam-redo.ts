/**
 * Replaying the heap's records (heap_redo, heap2_redo). See common/xlogutils.ts for the rules; each
 * block is treated by itself. Records are in heapam-xlog.ts.
 *
 * Two things are not in the WAL: hint bits, and command ids. A replayed tuple has t_cid 0.
 */
import { assert } from '@pgtroupe/common/assert';
import { type BlockNumber, VISIBILITYMAP_FORKNUM } from '@pgtroupe/common/ids';
import { notSupported } from '@pgtroupe/common/ereport';
import {
  PAI_IS_HEAP,
  PAI_OVERWRITE,
  pageAddItem,
  pageClearAllVisible,
  pageGetItem,
  pageGetItemId,
  pageGetMaxOffsetNumber,
  pageInit,
  pageIsNew,
  pageSetAllVisible,
  pageSetItemId,
  pageSetPrunable,
} from '@pgtroupe/storage/page/bufpage';
import { pageTruncateLinePointerArray } from '@pgtroupe/storage/page/bufpage-compact';
import { itemIdGetLength, itemIdIsNormal } from '@pgtroupe/storage/page/itemid';
import { RM_HEAP2_ID } from '@pgtroupe/transam/rmgr';
import type { XLogRecord } from '@pgtroupe/transam/xlogrecord';
import {
  getHoff,
  getInfomask,
  getInfomask2,
  HEAP_HOT_UPDATED,
  HEAP_KEYS_UPDATED,
  HEAP_MOVED,
  HEAP_XMAX_BITS,
  MAX_HEAP_TUPLE_SIZE,
  MOVED_PARTITIONS_OFFSET_NUMBER,
  setCmax,
  setCtid,
  setInfomask,
  setInfomask2,
  setXmax,
  setXmin,
  SIZEOF_HEAP_TUPLE_HEADER,
  tupleMemory,
  type TupleMemory,
  xmaxIsLockedOnly,
} from '../common/htup.ts';
import { BLK_SKIP, type BlockRef, type RedoContext } from '../common/xlogutils.ts';
import {
  fixInfomaskFromInfobits,
  SIZE_OF_FREEZE_TUPLE,
  SIZE_OF_HEAP_HEADER,
  SIZE_OF_HEAP_MULTI_INSERT,
  SIZE_OF_MULTI_INSERT_TUPLE,
  VM_BLOCK_ID,
  VM_OLD_BLOCK_ID,
  XLH_DELETE_ALL_VISIBLE_CLEARED,
  XLH_DELETE_IS_PARTITION_MOVE,
  XLH_DELETE_IS_SUPER,
  XLH_INSERT_ALL_FROZEN_SET,
  XLH_INSERT_ALL_VISIBLE_CLEARED,
  XLH_LOCK_ALL_FROZEN_CLEARED,
  XLH_UPDATE_NEW_ALL_VISIBLE_CLEARED,
  XLH_UPDATE_OLD_ALL_VISIBLE_CLEARED,
  XLH_UPDATE_PREFIX_FROM_OLD,
  XLH_UPDATE_SUFFIX_FROM_OLD,
  XLOG_HEAP2_FREEZE_PAGE,
  XLOG_HEAP2_LOCK_UPDATED,
  XLOG_HEAP2_MULTI_INSERT,
  XLOG_HEAP2_NEW_CID,
  XLOG_HEAP2_PRUNE,
  XLOG_HEAP2_REWRITE,
  XLOG_HEAP2_VACUUM,
  XLOG_HEAP2_VISIBLE,
  XLOG_HEAP_CONFIRM,
  XLOG_HEAP_DELETE,
  XLOG_HEAP_HOT_UPDATE,
  XLOG_HEAP_INIT_PAGE,
  XLOG_HEAP_INPLACE,
  XLOG_HEAP_INSERT,
  XLOG_HEAP_LOCK,
  XLOG_HEAP_OPMASK,
  XLOG_HEAP_TRUNCATE,
  XLOG_HEAP_UPDATE,
} from './heapam-xlog.ts';
import { heapPagePruneExecute } from './pruneheap.ts';
import {
  vmBlock,
  vmClearBits,
  VISIBILITYMAP_ALL_FROZEN,
  VISIBILITYMAP_VALID_BITS,
  vmSetBits,
} from './visibilitymap.ts';

/** A tuple under reconstruction. */
const buffer = tupleMemory(new Uint8Array(MAX_HEAP_TUPLE_SIZE + 8));

function main16(record: XLogRecord, at: number): number {
  return record.view.getUint16(record.mainAt + at, true);
}

function main32(record: XLogRecord, at: number): number {
  return record.view.getUint32(record.mainAt + at, true);
}

function main8(record: XLogRecord, at: number): number {
  return record.bytes[record.mainAt + at]!;
}

function blockOf(record: XLogRecord, id: number): NonNullable<XLogRecord['blocks'][number]> {
  const block = record.blocks[id];
  assert(block !== undefined, `record without block ${id}`);
  return block;
}

function isInit(record: XLogRecord): boolean {
  return (record.info & XLOG_HEAP_INIT_PAGE) !== 0;
}

/** The page to put tuples on, initialised when the record says so. */
function pageToFill(record: XLogRecord, ctx: RedoContext): number {
  if (!isInit(record)) return ctx.readBufferForRedo(record, 0);
  const page = ctx.initBufferForRedo(record, 0);
  if (page !== BLK_SKIP) pageInit(ctx.mem, page, 0);
  return page;
}

function tupleAt(mem: TupleMemory, page: number, offnum: number): number {
  assert(offnum <= pageGetMaxOffsetNumber(mem, page) && itemIdIsNormal(pageGetItemId(mem, page, offnum)), 'invalid lp');
  return pageGetItem(mem, page, offnum);
}

// ---- visibility map ----------------------------------------------------------------------------------

/** Clears the block's bits: in the referenced map page, or found by number in PostgreSQL's own records. */
function clearMapBits(record: XLogRecord, ctx: RedoContext, heapBlk: BlockNumber, bits: number): void {
  const ref = mapRef(record, heapBlk);
  for (const id of [VM_BLOCK_ID, VM_OLD_BLOCK_ID]) {
    const block = record.blocks[id];
    if (block?.fork !== VISIBILITYMAP_FORKNUM || block.blkno !== ref.blkno) continue;
    const page = ctx.readBufferForRedo(record, id);
    if (page !== BLK_SKIP) vmClearBits(ctx.mem, page, heapBlk, bits);
    return;
  }
  const page = ctx.extraBuffer(ref);
  if (page !== BLK_SKIP && !pageIsNew(ctx.mem, page)) vmClearBits(ctx.mem, page, heapBlk, bits);
}

function mapRef(record: XLogRecord, heapBlk: BlockNumber): BlockRef {
  return { rnode: blockOf(record, 0).rnode, fork: VISIBILITYMAP_FORKNUM, blkno: vmBlock(heapBlk) };
}

/** Which flag byte says that map bits are cleared, and for which heap blocks. */
function clearedMapBlocks(record: XLogRecord): BlockNumber[] {
  const first = record.blocks[0]?.blkno;
  if (first === undefined) return [];
  const op = record.info & XLOG_HEAP_OPMASK;
  if (record.rmid === RM_HEAP2_ID) {
    if (op === XLOG_HEAP2_MULTI_INSERT) return (main8(record, 0) & XLH_INSERT_ALL_VISIBLE_CLEARED) !== 0 ? [first] : [];
    if (op === XLOG_HEAP2_LOCK_UPDATED) return (main8(record, 7) & XLH_LOCK_ALL_FROZEN_CLEARED) !== 0 ? [first] : [];
    return [];
  }
  switch (op) {
    case XLOG_HEAP_INSERT:
      return (main8(record, 2) & XLH_INSERT_ALL_VISIBLE_CLEARED) !== 0 ? [first] : [];
    case XLOG_HEAP_DELETE:
      return (main8(record, 7) & XLH_DELETE_ALL_VISIBLE_CLEARED) !== 0 ? [first] : [];
    case XLOG_HEAP_LOCK:
      return (main8(record, 7) & XLH_LOCK_ALL_FROZEN_CLEARED) !== 0 ? [first] : [];
    case XLOG_HEAP_UPDATE:
    case XLOG_HEAP_HOT_UPDATE: {
      const flags = main8(record, 7);
      const blocks: BlockNumber[] = [];
      if ((flags & XLH_UPDATE_OLD_ALL_VISIBLE_CLEARED) !== 0) blocks.push(record.blocks[1]?.blkno ?? first);
      if ((flags & XLH_UPDATE_NEW_ALL_VISIBLE_CLEARED) !== 0) blocks.push(first);
      return blocks;
    }
    default:
      return [];
  }
}

/** Map pages that a record written by PostgreSQL changes without naming them. */
export function heapExtraBlocks(record: XLogRecord): readonly BlockRef[] {
  return clearedMapBlocks(record)
    .map(heapBlk => mapRef(record, heapBlk))
    .filter(
      ref => !record.blocks.some(block => block !== undefined && block.fork === ref.fork && block.blkno === ref.blkno),
    );
}

// ---- heap --------------------------------------------------------------------------------------------

export function heapRedo(record: XLogRecord, ctx: RedoContext): void {
  switch (record.info & XLOG_HEAP_OPMASK) {
    case XLOG_HEAP_INSERT:
      return redoInsert(record, ctx);
    case XLOG_HEAP_DELETE:
      return redoDelete(record, ctx);
    case XLOG_HEAP_UPDATE:
      return redoUpdate(record, ctx, false);
    case XLOG_HEAP_HOT_UPDATE:
      return redoUpdate(record, ctx, true);
    case XLOG_HEAP_TRUNCATE:
      // For logical decoding only.
      return;
    case XLOG_HEAP_CONFIRM:
      return redoConfirm(record, ctx);
    case XLOG_HEAP_LOCK:
      return redoLock(record, ctx, true);
    case XLOG_HEAP_INPLACE:
      return redoInplace(record, ctx);
  }
}

/** Rebuilds a tuple from xl_heap_header at `header` and `length` bytes of data at `data`, and adds it. */
function addTuple(
  record: XLogRecord,
  mem: TupleMemory,
  page: number,
  blk: number,
  offnum: number,
  header: number,
  length: number,
  xmax: number,
): void {
  const { view } = record;
  buffer.u8.fill(0, 0, SIZEOF_HEAP_TUPLE_HEADER);
  setXmin(buffer, 0, record.xid);
  setXmax(buffer, 0, xmax as never);
  setCtid(buffer, 0, blk, offnum);
  setInfomask2(buffer, 0, view.getUint16(header, true));
  setInfomask(buffer, 0, view.getUint16(header + 2, true));
  buffer.u8[22] = record.bytes[header + 4]!;
  // The record has the combo flag of the live tuple, which means nothing without its command ids.
  setCmax(buffer, 0, 0, false);
  assert(offnum <= pageGetMaxOffsetNumber(mem, page) + 1, 'invalid max offset number');
  const put = pageAddItem(
    mem,
    page,
    buffer.u8,
    0,
    SIZEOF_HEAP_TUPLE_HEADER + length,
    offnum,
    PAI_OVERWRITE | PAI_IS_HEAP,
  );
  assert(put === offnum, 'failed to add tuple');
}

function redoInsert(record: XLogRecord, ctx: RedoContext): void {
  const block = blockOf(record, 0);
  const flags = main8(record, 2);
  const cleared = (flags & XLH_INSERT_ALL_VISIBLE_CLEARED) !== 0;
  if (cleared) clearMapBits(record, ctx, block.blkno, VISIBILITYMAP_VALID_BITS);
  const page = pageToFill(record, ctx);
  if (page === BLK_SKIP) return;
  const data = block.dataAt + SIZE_OF_HEAP_HEADER;
  const length = block.dataLength - SIZE_OF_HEAP_HEADER;
  buffer.u8.set(record.bytes.subarray(data, data + length), SIZEOF_HEAP_TUPLE_HEADER);
  addTuple(record, ctx.mem, page, block.blkno, main16(record, 0), block.dataAt, length, 0);
  if (cleared) pageClearAllVisible(ctx.mem, page);
}

function redoDelete(record: XLogRecord, ctx: RedoContext): void {
  const block = blockOf(record, 0);
  const { mem } = ctx;
  const offnum = main16(record, 4);
  const flags = main8(record, 7);
  const cleared = (flags & XLH_DELETE_ALL_VISIBLE_CLEARED) !== 0;
  if (cleared) clearMapBits(record, ctx, block.blkno, VISIBILITYMAP_VALID_BITS);
  const page = ctx.readBufferForRedo(record, 0);
  if (page === BLK_SKIP) return;
  const tup = tupleAt(mem, page, offnum);
  clearXmaxBits(mem, tup);
  setInfomask2(mem, tup, getInfomask2(mem, tup) & ~HEAP_HOT_UPDATED);
  fixInfomaskFromInfobits(mem, tup, main8(record, 6));
  if ((flags & XLH_DELETE_IS_SUPER) !== 0) setXmin(mem, tup, 0 as never);
  else setXmax(mem, tup, main32(record, 0) as never);
  setCmax(mem, tup, 0, false);
  pageSetPrunable(mem, page, record.xid);
  if (cleared) pageClearAllVisible(mem, page);
  if ((flags & XLH_DELETE_IS_PARTITION_MOVE) !== 0) setCtid(mem, tup, 0xffffffff, MOVED_PARTITIONS_OFFSET_NUMBER);
  else setCtid(mem, tup, block.blkno, offnum);
}

function clearXmaxBits(mem: TupleMemory, tup: number): void {
  setInfomask(mem, tup, getInfomask(mem, tup) & ~(HEAP_XMAX_BITS | HEAP_MOVED));
  setInfomask2(mem, tup, getInfomask2(mem, tup) & ~HEAP_KEYS_UPDATED);
}

function redoUpdate(record: XLogRecord, ctx: RedoContext, hot: boolean): void {
  const { mem } = ctx;
  const block = blockOf(record, 0);
  const newBlk = block.blkno;
  const oldBlk = record.blocks[1]?.blkno ?? newBlk;
  const flags = main8(record, 7);
  const oldOffnum = main16(record, 4);
  const newOffnum = main16(record, 12);
  const oldCleared = (flags & XLH_UPDATE_OLD_ALL_VISIBLE_CLEARED) !== 0;
  const newCleared = (flags & XLH_UPDATE_NEW_ALL_VISIBLE_CLEARED) !== 0;
  if (oldCleared) clearMapBits(record, ctx, oldBlk, VISIBILITYMAP_VALID_BITS);
  if (newCleared) clearMapBits(record, ctx, newBlk, VISIBILITYMAP_VALID_BITS);

  const samePage = oldBlk === newBlk;
  const oldPage = ctx.readBufferForRedo(record, samePage ? 0 : 1);
  let oldTup = 0;
  if (oldPage !== BLK_SKIP) {
    oldTup = tupleAt(mem, oldPage, oldOffnum);
    clearXmaxBits(mem, oldTup);
    setInfomask2(mem, oldTup, (getInfomask2(mem, oldTup) & ~HEAP_HOT_UPDATED) | (hot ? HEAP_HOT_UPDATED : 0));
    fixInfomaskFromInfobits(mem, oldTup, main8(record, 6));
    setXmax(mem, oldTup, main32(record, 0) as never);
    setCmax(mem, oldTup, 0, false);
    setCtid(mem, oldTup, newBlk, newOffnum);
    pageSetPrunable(mem, oldPage, record.xid);
    if (oldCleared) pageClearAllVisible(mem, oldPage);
  }
  const newPage = samePage ? oldPage : pageToFill(record, ctx);
  if (newPage === BLK_SKIP) return;

  let at = block.dataAt;
  let prefix = 0;
  let suffix = 0;
  if ((flags & XLH_UPDATE_PREFIX_FROM_OLD) !== 0) {
    prefix = record.view.getUint16(at, true);
    at += 2;
  }
  if ((flags & XLH_UPDATE_SUFFIX_FROM_OLD) !== 0) {
    suffix = record.view.getUint16(at, true);
    at += 2;
  }
  const header = at;
  at += SIZE_OF_HEAP_HEADER;
  const end = block.dataAt + block.dataLength;
  let to = SIZEOF_HEAP_TUPLE_HEADER;
  const copyRecord = (from: number, until: number): void => {
    buffer.u8.set(record.bytes.subarray(from, until), to);
    to += until - from;
  };
  const copyOld = (from: number, until: number): void => {
    buffer.u8.set(mem.u8.subarray(from, until), to);
    to += until - from;
  };
  if (prefix > 0) {
    const bitmapEnd = at + record.bytes[header + 4]! - SIZEOF_HEAP_TUPLE_HEADER;
    copyRecord(at, bitmapEnd);
    copyOld(oldTup + getHoff(mem, oldTup), oldTup + getHoff(mem, oldTup) + prefix);
    copyRecord(bitmapEnd, end);
  } else copyRecord(at, end);
  if (suffix > 0) {
    const oldEnd = oldTup + itemIdGetLength(pageGetItemId(mem, oldPage, oldOffnum));
    copyOld(oldEnd - suffix, oldEnd);
  }
  addTuple(record, mem, newPage, newBlk, newOffnum, header, to - SIZEOF_HEAP_TUPLE_HEADER, main32(record, 8));
  if (newCleared) pageClearAllVisible(mem, newPage);
}

function redoConfirm(record: XLogRecord, ctx: RedoContext): void {
  const page = ctx.readBufferForRedo(record, 0);
  if (page === BLK_SKIP) return;
  const offnum = main16(record, 0);
  setCtid(ctx.mem, tupleAt(ctx.mem, page, offnum), blockOf(record, 0).blkno, offnum);
}

/** LOCK, and LOCK_UPDATED, which leaves the chain link and t_cid alone. */
function redoLock(record: XLogRecord, ctx: RedoContext, first: boolean): void {
  const { mem } = ctx;
  const { blkno } = blockOf(record, 0);
  const offnum = main16(record, 4);
  if ((main8(record, 7) & XLH_LOCK_ALL_FROZEN_CLEARED) !== 0)
    clearMapBits(record, ctx, blkno, VISIBILITYMAP_ALL_FROZEN);
  const page = ctx.readBufferForRedo(record, 0);
  if (page === BLK_SKIP) return;
  const tup = tupleAt(mem, page, offnum);
  clearXmaxBits(mem, tup);
  fixInfomaskFromInfobits(mem, tup, main8(record, 6));
  setXmax(mem, tup, main32(record, 0) as never);
  if (!first) return;
  if (xmaxIsLockedOnly(getInfomask(mem, tup))) {
    setInfomask2(mem, tup, getInfomask2(mem, tup) & ~HEAP_HOT_UPDATED);
    setCtid(mem, tup, blkno, offnum);
  }
  setCmax(mem, tup, 0, false);
}

function redoInplace(record: XLogRecord, ctx: RedoContext): void {
  const page = ctx.readBufferForRedo(record, 0);
  if (page === BLK_SKIP) return;
  const { mem } = ctx;
  const offnum = main16(record, 0);
  const tup = tupleAt(mem, page, offnum);
  const block = blockOf(record, 0);
  const length = itemIdGetLength(pageGetItemId(mem, page, offnum)) - getHoff(mem, tup);
  assert(length === block.dataLength, 'wrong tuple length');
  mem.u8.set(record.bytes.subarray(block.dataAt, block.dataAt + length), tup + getHoff(mem, tup));
}

// ---- heap2 -------------------------------------------------------------------------------------------

export function heap2Redo(record: XLogRecord, ctx: RedoContext): void {
  switch (record.info & XLOG_HEAP_OPMASK) {
    case XLOG_HEAP2_PRUNE:
      return redoPrune(record, ctx);
    case XLOG_HEAP2_VACUUM:
      return redoVacuum(record, ctx);
    case XLOG_HEAP2_FREEZE_PAGE:
      return redoFreezePage(record, ctx);
    case XLOG_HEAP2_VISIBLE:
      return redoVisible(record, ctx);
    case XLOG_HEAP2_MULTI_INSERT:
      return redoMultiInsert(record, ctx);
    case XLOG_HEAP2_LOCK_UPDATED:
      return redoLock(record, ctx, false);
    case XLOG_HEAP2_NEW_CID:
      // For logical decoding only.
      return;
    case XLOG_HEAP2_REWRITE:
      throw notSupported('replaying a logical rewrite mapping');
  }
}

function redoPrune(record: XLogRecord, ctx: RedoContext): void {
  const page = ctx.readBufferForRedo(record, 0);
  if (page === BLK_SKIP) return;
  const block = blockOf(record, 0);
  const redirected = main16(record, 4);
  const dead = main16(record, 6);
  const unused = block.dataLength / 2 - 2 * redirected - dead;
  heapPagePruneExecute(ctx.mem, page, record.bytes, block.dataAt, redirected, dead, unused);
}

function redoVacuum(record: XLogRecord, ctx: RedoContext): void {
  const page = ctx.readBufferForRedo(record, 0);
  if (page === BLK_SKIP) return;
  const { dataAt } = blockOf(record, 0);
  for (let i = 0; i < main16(record, 0); i++)
    pageSetItemId(ctx.mem, page, record.view.getUint16(dataAt + 2 * i, true), 0);
  pageTruncateLinePointerArray(ctx.mem, page);
}

function redoFreezePage(record: XLogRecord, ctx: RedoContext): void {
  const page = ctx.readBufferForRedo(record, 0);
  if (page === BLK_SKIP) return;
  const { mem } = ctx;
  const { dataAt } = blockOf(record, 0);
  for (let i = 0; i < main16(record, 4); i++) {
    const plan = dataAt + i * SIZE_OF_FREEZE_TUPLE;
    const tup = tupleAt(mem, page, record.view.getUint16(plan + 4, true));
    setXmax(mem, tup, record.view.getUint32(plan, true) as never);
    setInfomask2(mem, tup, record.view.getUint16(plan + 6, true));
    setInfomask(mem, tup, record.view.getUint16(plan + 8, true));
  }
}

function redoVisible(record: XLogRecord, ctx: RedoContext): void {
  const { mem } = ctx;
  const page = ctx.readBufferForRedo(record, 1);
  if (page !== BLK_SKIP) pageSetAllVisible(mem, page);
  const map = ctx.readBufferForRedo(record, 0);
  if (map === BLK_SKIP) return;
  if (pageIsNew(mem, map)) pageInit(mem, map, 0);
  vmSetBits(mem, map, blockOf(record, 1).blkno, main8(record, 4) & VISIBILITYMAP_VALID_BITS);
}

function redoMultiInsert(record: XLogRecord, ctx: RedoContext): void {
  const { mem } = ctx;
  const block = blockOf(record, 0);
  const flags = main8(record, 0);
  const cleared = (flags & XLH_INSERT_ALL_VISIBLE_CLEARED) !== 0;
  if (cleared) clearMapBits(record, ctx, block.blkno, VISIBILITYMAP_VALID_BITS);
  const page = pageToFill(record, ctx);
  if (page === BLK_SKIP) return;
  const tuples = main16(record, 2);
  let at = 0;
  for (let i = 0; i < tuples; i++) {
    const offnum = isInit(record) ? i + 1 : main16(record, SIZE_OF_HEAP_MULTI_INSERT + 2 * i);
    at = (at + 1) & ~1;
    const header = block.dataAt + at;
    const length = record.view.getUint16(header, true);
    const data = header + SIZE_OF_MULTI_INSERT_TUPLE;
    buffer.u8.set(record.bytes.subarray(data, data + length), SIZEOF_HEAP_TUPLE_HEADER);
    addTuple(record, mem, page, block.blkno, offnum, header + 2, length, 0);
    at += SIZE_OF_MULTI_INSERT_TUPLE + length;
  }
  assert(at === block.dataLength, 'total tuple length mismatch');
  if (cleared) pageClearAllVisible(mem, page);
  if ((flags & XLH_INSERT_ALL_FROZEN_SET) !== 0) pageSetAllVisible(mem, page);
}
