/**
 * Removing items from leaf pages, and their WAL records: for VACUUM, which knows TIDs, and for
 * insertions, which know items marked dead.
 */
import { assert } from '@pgtroupe/common/assert';
import { BLCKSZ, xidFromFull } from '@pgtroupe/common/ids';
import type { PageAccess } from '@pgtroupe/storage/buffer/pages';
import { pageGetItem, pageGetItemId, pageGetMaxOffsetNumber } from '@pgtroupe/storage/page/bufpage';
import { pageIndexMultiDelete, pageIndexTupleOverwrite } from '@pgtroupe/storage/page/bufpage-compact';
import { itemIdIsDead } from '@pgtroupe/storage/page/itemid';
import { RM_BTREE_ID } from '@pgtroupe/transam/rmgr';
import { REGBUF_STANDARD, type XLogInserter } from '@pgtroupe/transam/xloginsert';
import { type TupleMemory, tupleMemory } from '../common/htup.ts';
import type { HeapContext } from '../heap/heapam-context.ts';
import { btUpdatePosting } from './nbtdedup.ts';
import { BTP_HAS_GARBAGE, btpoFlags, btpoSetCycleid, btpoSetFlags, firstDataKey } from './nbtree.ts';
import { dataU16Pair, dataU32, XLOG_BTREE_DELETE, XLOG_BTREE_VACUUM } from './nbtxlog.ts';

/** Items of one leaf page to remove, and posting lists to shorten. Offsets ascending. */
export class LeafDeletion {
  readonly deleted: number[] = [];
  readonly updated: number[] = [];
  /** For each updated item, the places in its posting list that go, ascending. */
  readonly places: number[][] = [];

  clear(): void {
    this.deleted.length = 0;
    this.updated.length = 0;
    this.places.length = 0;
  }

  get isEmpty(): boolean {
    return this.deleted.length === 0 && this.updated.length === 0;
  }
}

const shortened = tupleMemory(new Uint8Array(BLCKSZ));

/** Shared with redo. */
export function applyLeafDeletion(mem: TupleMemory, page: number, what: LeafDeletion): void {
  what.updated.forEach((off, i) => {
    const places = what.places[i]!;
    const size = btUpdatePosting(mem, pageGetItem(mem, page, off), places, places.length, shortened, 0);
    const done = pageIndexTupleOverwrite(mem, page, off, shortened.u8, 0, size);
    assert(done, 'failed to update partially dead item');
  });
  if (what.deleted.length > 0) pageIndexMultiDelete(mem, page, what.deleted);
  btpoSetFlags(mem, page, btpoFlags(mem, page) & ~BTP_HAS_GARBAGE);
}

function u16s(values: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(2 * values.length);
  values.forEach((value, i) => {
    bytes[2 * i] = value;
    bytes[2 * i + 1] = value >>> 8;
  });
  return bytes;
}

function logLeafDeletion(wal: XLogInserter, page: number, what: LeafDeletion): void {
  wal.registerBuffer(0, page, REGBUF_STANDARD);
  const data = u16s([...what.deleted, ...what.updated, ...what.places.flatMap(places => [places.length, ...places])]);
  wal.bufData(0, data, 0, data.length);
}

/** VACUUM's removal from a page held exclusively. */
export function btDelitemsVacuum(pages: PageAccess, wal: XLogInserter, page: number, what: LeafDeletion): void {
  applyLeafDeletion(pages.mem, page, what);
  btpoSetCycleid(pages.mem, page, 0);
  wal.begin();
  logLeafDeletion(wal, page, what);
  dataU16Pair(wal, what.deleted.length, what.updated.length);
  wal.insert(RM_BTREE_ID, XLOG_BTREE_VACUUM);
}

const dead = new LeafDeletion();

/** Removes the items marked dead from a leaf page held exclusively. */
export function btDeleteDeadItems(ctx: HeapContext, page: number): void {
  const { mem } = ctx.pages;
  dead.clear();
  const max = pageGetMaxOffsetNumber(mem, page);
  for (let off = firstDataKey(mem, page); off <= max; off++)
    if (itemIdIsDead(pageGetItemId(mem, page, off))) dead.deleted.push(off);
  if (dead.isEmpty) return;
  applyLeafDeletion(mem, page, dead);
  ctx.wal.begin();
  logLeafDeletion(ctx.wal, page, dead);
  // Which rows died when is not looked up; all of them did before the horizon. Standbys only.
  dataU32(ctx.wal, xidFromFull(ctx.xact.oldestXmin) - 1);
  dataU16Pair(ctx.wal, dead.deleted.length, 0);
  ctx.wal.insert(RM_BTREE_ID, XLOG_BTREE_DELETE);
}
