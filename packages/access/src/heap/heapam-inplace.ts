/**
 * Overwriting a row in place, without a new version: not transactional, for the counters that commands
 * keep in pg_class and pg_database (heap_inplace_lock, heap_inplace_update_and_unlock).
 */
import { assert } from '@pgtroupe/common/assert';
import { type BlockNumber, type CommandId, MAIN_FORKNUM, type TransactionId } from '@pgtroupe/common/ids';
import { MISS } from '@pgtroupe/storage/buffer/pages';
import { pageGetItem, pageGetItemId, pageGetMaxOffsetNumber } from '@pgtroupe/storage/page/bufpage';
import { itemIdGetLength, itemIdIsNormal } from '@pgtroupe/storage/page/itemid';
import { RM_HEAP_ID } from '@pgtroupe/transam/rmgr';
import { REGBUF_STANDARD } from '@pgtroupe/transam/xloginsert';
import { getHoff, getRawXmin, getXmin } from '../common/htup.ts';
import {
  type HeapContext,
  type HeapRelation,
  LOCK_TUPLE_NO_KEY_EXCLUSIVE,
  TM_OK,
  type TmResult,
} from './heapam-context.ts';
import { mayModify, pruned } from './heapam-delete.ts';
import { put16, XLOG_HEAP_INPLACE, xlogScratch } from './heapam-xlog.ts';

/** The version that was read, and the command that did. */
export interface InplaceVersion {
  readonly blk: number;
  readonly off: number;
  readonly xmin: TransactionId;
  readonly cid: CommandId;
}

/**
 * Puts the data of the tuple formed at `newTup` over that of the version that was read. TM_OK; what an update of it
 * would be told, and nothing is changed: there is or may be another version, which is the one to overwrite; or MISS. The
 * first column is an OID and says whose row it is.
 */
export function heapInplaceUpdate(
  ctx: HeapContext,
  rel: HeapRelation,
  { blk, off, xmin, cid }: InplaceVersion,
  newTup: number,
  newLen: number,
): TmResult | -1 {
  const { mem } = ctx.pages;
  const page = ctx.pages.exclusive(rel.smgr, MAIN_FORKNUM, blk as BlockNumber);
  if (page === MISS) return MISS;
  if (off > pageGetMaxOffsetNumber(mem, page)) return pruned(ctx, blk, off);
  const id = pageGetItemId(mem, page, off);
  if (!itemIdIsNormal(id)) return pruned(ctx, blk, off);
  const tup = pageGetItem(mem, page, off);
  const hoff = getHoff(mem, tup);
  const same =
    (getRawXmin(mem, tup) === xmin || getXmin(mem, tup) === xmin) &&
    mem.u32[(tup + hoff) >>> 2] === mem.u32[(newTup + getHoff(mem, newTup)) >>> 2];
  if (!same) return pruned(ctx, blk, off);
  const may = mayModify(ctx, rel, tup, blk, off, cid, LOCK_TUPLE_NO_KEY_EXCLUSIVE, 'update');
  if (may !== TM_OK) return may;
  assert(itemIdGetLength(id) === newLen && getHoff(mem, newTup) === hoff, 'wrong tuple length');
  mem.u8.copyWithin(tup + hoff, newTup + hoff, newTup + newLen);
  const { wal } = ctx;
  put16(0, off);
  wal.begin();
  wal.data(xlogScratch, 0, 2);
  wal.registerBuffer(0, page, REGBUF_STANDARD);
  wal.bufData(0, mem.u8, tup + hoff, newLen - hoff);
  wal.insert(RM_HEAP_ID, XLOG_HEAP_INPLACE);
  return ctx.settled(TM_OK);
}
