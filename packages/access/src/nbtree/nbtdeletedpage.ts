/**
 * What pages look like that VACUUM deletes from a B-tree.
 *
 *   half-dead leaf   nothing but a high key without a key, whose downlink is the next page of its subtree to be unlinked
 *   deleted page     header | u64 safexid | ... | special space, BTP_DELETED | BTP_HAS_FULLXID
 *
 * A deleted page keeps its links for those who are on their way to it, and the id after which nobody can be any more.
 */
import { assert } from '@pgtroupe/common/assert';
import type { FullTransactionId } from '@pgtroupe/common/ids';
import { pageAddItem, pageSetLower, SIZE_OF_PAGE_HEADER } from '@pgtroupe/storage/page/bufpage';
import { type TupleMemory, tupleMemory } from '../common/htup.ts';
import {
  BTP_DELETED,
  BTP_HALF_DEAD,
  BTP_HAS_FULLXID,
  BTP_LEAF,
  btPageInit,
  btpoFlags,
  btpoSetFlags,
  btpoSetLevel,
  btpoSetNext,
  btpoSetPrev,
  formMinusInfinity,
  P_HIKEY,
} from './nbtree.ts';

const minusInfinity = tupleMemory(new Uint8Array(8));

/** Everything anew but pd_lsn. */
function initPage(mem: TupleMemory, page: number, prev: number, next: number, level: number, flags: number): void {
  const high = mem.u32[page >>> 2]!;
  const low = mem.u32[(page + 4) >>> 2]!;
  btPageInit(mem, page);
  mem.u32[page >>> 2] = high;
  mem.u32[(page + 4) >>> 2] = low;
  btpoSetPrev(mem, page, prev);
  btpoSetNext(mem, page, next);
  btpoSetLevel(mem, page, level);
  btpoSetFlags(mem, page, flags);
}

export function initHalfDeadPage(mem: TupleMemory, page: number, prev: number, next: number, topParent: number): void {
  initPage(mem, page, prev, next, 0, BTP_HALF_DEAD | BTP_LEAF);
  formMinusInfinity(minusInfinity, 0, topParent);
  const added = pageAddItem(mem, page, minusInfinity.u8, 0, 8, P_HIKEY);
  assert(added === P_HIKEY, 'an empty page has room for a high key');
}

export function initDeletedPage(
  mem: TupleMemory,
  page: number,
  links: { readonly prev: number; readonly next: number; readonly level: number },
  safexid: number,
): void {
  const { prev, next, level } = links;
  initPage(mem, page, prev, next, level, BTP_DELETED | BTP_HAS_FULLXID | (level === 0 ? BTP_LEAF : 0));
  const contents = (page + SIZE_OF_PAGE_HEADER) >>> 2;
  mem.u32[contents] = safexid >>> 0;
  mem.u32[contents + 1] = Math.floor(safexid / 0x100000000);
  pageSetLower(mem, page, SIZE_OF_PAGE_HEADER + 8);
}

/** A deleted page's; 0 for one of a PostgreSQL before 14, whose ids have come round since. */
export function deletedSafexid(mem: TupleMemory, page: number): number {
  if ((btpoFlags(mem, page) & BTP_HAS_FULLXID) === 0) return 0;
  const contents = (page + SIZE_OF_PAGE_HEADER) >>> 2;
  return mem.u32[contents + 1]! * 0x100000000 + mem.u32[contents]!;
}

/** Can nobody be on his way to the page any more (BTPageIsRecyclable)? */
export function isRecyclable(mem: TupleMemory, page: number, oldestXmin: FullTransactionId): boolean {
  return (btpoFlags(mem, page) & BTP_DELETED) !== 0 && deletedSafexid(mem, page) < oldestXmin;
}
