/**
 * Command ids of a row that its inserting transaction deletes or updates again: t_cid must tell both.
 */
import type { CommandId } from '@pgtroupe/common/ids';
import type { XactView } from '@pgtroupe/transam/xactview';
import { getInfomask, getRawXmin, HEAP_XMIN_COMMITTED, type TupleMemory } from '../common/htup.ts';
import { getCmin } from './heapam-visibility.ts';

/** Was the tuple inserted by this transaction too? */
export function needsComboCid(x: XactView, mem: TupleMemory, tup: number): boolean {
  return (getInfomask(mem, tup) & HEAP_XMIN_COMMITTED) === 0 && x.isCurrent(getRawXmin(mem, tup));
}

/** The command id to store for a deletion by `cid`: plain, or combined with the inserting one. */
export function adjustCmax(x: XactView, mem: TupleMemory, tup: number, cid: CommandId, combo: boolean): CommandId {
  return combo ? x.comboCid(getCmin(x, mem, tup), cid) : cid;
}
