/**
 * Overwriting a row in place, without a new version: not transactional, for the counters that commands
 * keep in pg_class and pg_database (heap_inplace_update).
 */
import { assert } from '@pgtroupe/common/assert';
import { type BlockNumber, MAIN_FORKNUM } from '@pgtroupe/common/ids';
import { MISS } from '@pgtroupe/storage/buffer/pages';
import { pageGetItem, pageGetItemId } from '@pgtroupe/storage/page/bufpage';
import { itemIdGetLength, itemIdIsNormal } from '@pgtroupe/storage/page/itemid';
import { RM_HEAP_ID } from '@pgtroupe/transam/rmgr';
import { REGBUF_STANDARD } from '@pgtroupe/transam/xloginsert';
import { getHoff } from '../common/htup.ts';
import type { HeapContext, HeapRelation } from './heapam-context.ts';
import { put16, XLOG_HEAP_INPLACE, xlogScratch } from './heapam-xlog.ts';

/** Puts the data of the tuple formed at `newTup` over that of (blk, offnum), which must be as long. 0 or MISS. */
export function heapInplaceUpdate(
  ctx: HeapContext,
  rel: HeapRelation,
  blk: number,
  offnum: number,
  newTup: number,
  newLen: number,
): number {
  const { mem } = ctx.pages;
  const page = ctx.pages.exclusive(rel.smgr, MAIN_FORKNUM, blk as BlockNumber);
  if (page === MISS) return MISS;
  const id = pageGetItemId(mem, page, offnum);
  assert(itemIdIsNormal(id), 'invalid lp');
  const tup = pageGetItem(mem, page, offnum);
  const hoff = getHoff(mem, tup);
  assert(itemIdGetLength(id) === newLen && getHoff(mem, newTup) === hoff, 'wrong tuple length');
  mem.u8.copyWithin(tup + hoff, newTup + hoff, newTup + newLen);
  const { wal } = ctx;
  put16(0, offnum);
  wal.begin();
  wal.data(xlogScratch, 0, 2);
  wal.registerBuffer(0, page, REGBUF_STANDARD);
  wal.bufData(0, mem.u8, tup + hoff, newLen - hoff);
  wal.insert(RM_HEAP_ID, XLOG_HEAP_INPLACE);
  return 0;
}
