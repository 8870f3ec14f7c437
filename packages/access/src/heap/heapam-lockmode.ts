/**
 * What goes into xmax when a transaction updates, deletes or locks a tuple that others, or itself,
 * may have locked before (compute_new_xmax_infomask), without multixacts:
 *
 *   whoever holds any lock on a row excludes everybody else from it, even where PostgreSQL would let
 *   several lockers coexist in a multixact. Callers wait instead. Waiting is always allowed; it costs
 *   concurrency of foreign-key checks on the same parent row.
 *
 *   A lock of one's own is superseded by the stronger of both. If the later one was taken in a
 *   savepoint that is rolled back, the earlier lock is gone too (as in PostgreSQL before 9.3).
 */
import type { CommandId } from '@pgtroupe/common/ids';
import type { XactView } from '@pgtroupe/transam/xactview';
import {
  getInfomask,
  getInfomask2,
  getRawXmax,
  getRawXmin,
  HEAP_KEYS_UPDATED,
  HEAP_LOCK_MASK,
  HEAP_XMAX_EXCL_LOCK,
  HEAP_XMAX_INVALID,
  HEAP_XMAX_IS_MULTI,
  HEAP_XMAX_KEYSHR_LOCK,
  HEAP_XMAX_LOCK_ONLY,
  HEAP_XMAX_SHR_LOCK,
  HEAP_XMIN_COMMITTED,
  type TupleMemory,
  xmaxIsLockedOnly,
} from '../common/htup.ts';
import {
  LOCK_TUPLE_EXCLUSIVE,
  LOCK_TUPLE_KEY_SHARE,
  LOCK_TUPLE_NO_KEY_EXCLUSIVE,
  LOCK_TUPLE_SHARE,
  type LockTupleMode,
} from './heapam-context.ts';
import { getCmin } from './heapam-visibility.ts';

/** The mode in which a tuple is locked by its xmax, -1 when it is not (or by nobody any more). */
export function heldLockMode(mem: TupleMemory, tup: number): LockTupleMode | -1 {
  const mask = getInfomask(mem, tup);
  if ((mask & (HEAP_XMAX_INVALID | HEAP_XMAX_IS_MULTI)) !== 0 || !xmaxIsLockedOnly(mask)) return -1;
  switch (mask & HEAP_LOCK_MASK) {
    case HEAP_XMAX_KEYSHR_LOCK:
      return LOCK_TUPLE_KEY_SHARE;
    case HEAP_XMAX_SHR_LOCK:
      return LOCK_TUPLE_SHARE;
    default:
      return (getInfomask2(mem, tup) & HEAP_KEYS_UPDATED) !== 0 ? LOCK_TUPLE_EXCLUSIVE : LOCK_TUPLE_NO_KEY_EXCLUSIVE;
  }
}

/** The mode to lock in so that a weaker lock does not replace a stronger one of one's own. */
export function strongestOwnMode(x: XactView, mem: TupleMemory, tup: number, mode: LockTupleMode): LockTupleMode {
  const held = heldLockMode(mem, tup);
  return held > mode && x.isCurrent(getRawXmax(mem, tup)) ? (held as LockTupleMode) : mode;
}

/** t_infomask bits of a lock. */
export function lockInfomask(mode: LockTupleMode): number {
  switch (mode) {
    case LOCK_TUPLE_KEY_SHARE:
      return HEAP_XMAX_LOCK_ONLY | HEAP_XMAX_KEYSHR_LOCK;
    case LOCK_TUPLE_SHARE:
      return HEAP_XMAX_LOCK_ONLY | HEAP_XMAX_SHR_LOCK;
    default:
      return HEAP_XMAX_LOCK_ONLY | HEAP_XMAX_EXCL_LOCK;
  }
}

/** t_infomask2 bits of a lock, or of an update or delete, in this mode. */
export function lockInfomask2(mode: LockTupleMode): number {
  return mode === LOCK_TUPLE_EXCLUSIVE ? HEAP_KEYS_UPDATED : 0;
}

/** Was the tuple inserted by this transaction too? Then t_cid must tell both commands. */
export function needsComboCid(x: XactView, mem: TupleMemory, tup: number): boolean {
  return (getInfomask(mem, tup) & HEAP_XMIN_COMMITTED) === 0 && x.isCurrent(getRawXmin(mem, tup));
}

/** The command id to store for a deletion by `cid`: plain, or combined with the inserting one. */
export function adjustCmax(x: XactView, mem: TupleMemory, tup: number, cid: CommandId, combo: boolean): CommandId {
  return combo ? x.comboCid(getCmin(x, mem, tup), cid) : cid;
}
