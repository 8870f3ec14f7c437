/**
 * Who holds a tuple by its xmax, one transaction or the members of a multixact, and what goes into xmax when
 * another joins them (compute_new_xmax_infomask, MultiXactIdExpand, DoesMultiXactIdConflict).
 *
 * Lock modes conflict as FOR KEY SHARE, FOR SHARE, FOR NO KEY UPDATE and FOR UPDATE do; an update holds the
 * mode that it needs until its transaction ends, and if it committed it is there for good. Members of one's
 * own transaction, subtransactions included, never stand in the way and are never lost: the lock of a parent
 * outlives a subtransaction that is rolled back.
 */
import type { TransactionId } from '@pgtroupe/common/ids';
import { MISS } from '@pgtroupe/storage/buffer/pages';
import {
  isUpdateStatus,
  MULTI_XACT_STATUS_FOR_KEY_SHARE,
  MULTI_XACT_STATUS_FOR_NO_KEY_UPDATE,
  MULTI_XACT_STATUS_FOR_SHARE,
  MULTI_XACT_STATUS_FOR_UPDATE,
  MULTI_XACT_STATUS_NO_KEY_UPDATE,
  MULTI_XACT_STATUS_UPDATE,
  type MultiXactId,
  type MultiXactMember,
  type MultiXactStatus,
} from '@pgtroupe/transam/multixact';
import { XACT_COMMITTED, XACT_IN_PROGRESS, type XactView } from '@pgtroupe/transam/xactview';
import {
  getInfomask,
  getInfomask2,
  getRawXmax,
  HEAP_KEYS_UPDATED,
  HEAP_LOCK_MASK,
  HEAP_XMAX_COMMITTED,
  HEAP_XMAX_EXCL_LOCK,
  HEAP_XMAX_INVALID,
  HEAP_XMAX_IS_MULTI,
  HEAP_XMAX_KEYSHR_LOCK,
  HEAP_XMAX_LOCK_ONLY,
  HEAP_XMAX_SHR_LOCK,
  type TupleMemory,
  xmaxIsLockedOnly,
  xmaxIsLockedUpgraded,
} from '../common/htup.ts';
import {
  type HeapContext,
  LOCK_TUPLE_EXCLUSIVE,
  LOCK_TUPLE_KEY_SHARE,
  LOCK_TUPLE_NO_KEY_EXCLUSIVE,
  LOCK_TUPLE_SHARE,
  type LockTupleMode,
} from './heapam-context.ts';

/** By status: the mode a member holds (TUPLOCK_from_mxstatus). */
const MODE_OF_STATUS: readonly LockTupleMode[] = [
  LOCK_TUPLE_KEY_SHARE,
  LOCK_TUPLE_SHARE,
  LOCK_TUPLE_NO_KEY_EXCLUSIVE,
  LOCK_TUPLE_EXCLUSIVE,
  LOCK_TUPLE_NO_KEY_EXCLUSIVE,
  LOCK_TUPLE_EXCLUSIVE,
];

/** By mode: the modes it conflicts with, as bits. */
const CONFLICTS: readonly number[] = [
  1 << LOCK_TUPLE_EXCLUSIVE,
  (1 << LOCK_TUPLE_NO_KEY_EXCLUSIVE) | (1 << LOCK_TUPLE_EXCLUSIVE),
  (1 << LOCK_TUPLE_SHARE) | (1 << LOCK_TUPLE_NO_KEY_EXCLUSIVE) | (1 << LOCK_TUPLE_EXCLUSIVE),
  0b1111,
];

/** get_mxact_status_for_lock */
function statusForLock(mode: LockTupleMode, isUpdate: boolean): MultiXactStatus {
  switch (mode) {
    case LOCK_TUPLE_KEY_SHARE:
      return MULTI_XACT_STATUS_FOR_KEY_SHARE;
    case LOCK_TUPLE_SHARE:
      return MULTI_XACT_STATUS_FOR_SHARE;
    case LOCK_TUPLE_NO_KEY_EXCLUSIVE:
      return isUpdate ? MULTI_XACT_STATUS_NO_KEY_UPDATE : MULTI_XACT_STATUS_FOR_NO_KEY_UPDATE;
    case LOCK_TUPLE_EXCLUSIVE:
      return isUpdate ? MULTI_XACT_STATUS_UPDATE : MULTI_XACT_STATUS_FOR_UPDATE;
  }
}

/** What the only transaction in xmax does with the tuple, by its bits. */
function statusOfXmax(mask: number, mask2: number): MultiXactStatus {
  const keys = (mask2 & HEAP_KEYS_UPDATED) !== 0;
  if (!xmaxIsLockedOnly(mask)) return keys ? MULTI_XACT_STATUS_UPDATE : MULTI_XACT_STATUS_NO_KEY_UPDATE;
  switch (mask & HEAP_LOCK_MASK) {
    case HEAP_XMAX_KEYSHR_LOCK:
      return MULTI_XACT_STATUS_FOR_KEY_SHARE;
    case HEAP_XMAX_SHR_LOCK:
      return MULTI_XACT_STATUS_FOR_SHARE;
    default:
      return keys ? MULTI_XACT_STATUS_FOR_UPDATE : MULTI_XACT_STATUS_FOR_NO_KEY_UPDATE;
  }
}

const NOBODY: readonly MultiXactMember[] = [];

/** Everybody in xmax, whatever became of them; MISS. */
function holders(x: XactView, mem: TupleMemory, tup: number): readonly MultiXactMember[] | -1 {
  const mask = getInfomask(mem, tup);
  const xmax = getRawXmax(mem, tup);
  if ((mask & HEAP_XMAX_INVALID) !== 0 || xmax === 0 || xmaxIsLockedUpgraded(mask)) return NOBODY;
  if ((mask & HEAP_XMAX_IS_MULTI) !== 0) return x.multiXactMembers(xmax);
  return [{ xid: xmax, status: statusOfXmax(mask, getInfomask2(mem, tup)) }];
}

/** Running, in this session or another: 1, 0, or MISS. */
function runs(x: XactView, xid: TransactionId): number {
  if (x.isCurrent(xid)) return 1;
  const status = x.status(xid);
  return status === MISS ? MISS : status === XACT_IN_PROGRESS ? 1 : 0;
}

/** Has the multixact a member that runs? 1, 0, or MISS. */
export function multiXactIsRunning(x: XactView, multi: MultiXactId): number {
  const members = x.multiXactMembers(multi);
  if (members === MISS) return MISS;
  for (const { xid } of members) {
    const running = runs(x, xid);
    if (running !== 0) return running;
  }
  return 0;
}

/** The member that updates or deletes; 0 none, or MISS. */
export function multiXactGetUpdateXid(x: XactView, multi: MultiXactId): TransactionId | -1 {
  const members = x.multiXactMembers(multi);
  if (members === MISS) return MISS;
  for (const { xid, status } of members) if (isUpdateStatus(status)) return xid;
  return 0 as TransactionId;
}

/** Does a transaction hold the tuple in this mode or a stronger one, for this session? 1, 0, or MISS. */
export function ownsTupleLock(x: XactView, mem: TupleMemory, tup: number, mode: LockTupleMode): number {
  const members = holders(x, mem, tup);
  if (members === MISS) return MISS;
  for (const { xid, status } of members) if (MODE_OF_STATUS[status]! >= mode && x.isCurrent(xid)) return 1;
  return 0;
}

/** Is this session among the holders? 1, 0, or MISS. */
export function ownsAnyTupleLock(x: XactView, mem: TupleMemory, tup: number): number {
  return ownsTupleLock(x, mem, tup, LOCK_TUPLE_KEY_SHARE);
}

/** Answers of tupleLockConflict. */
export const LOCK_FREE = 0;
/** Somebody who runs is in the way: ctx.waitFxid, and no tuple to wait for. */
export const LOCK_WAIT = 1;
/** An update that has committed is. */
export const LOCK_LOST = 2;

/** May the tuple be had in this mode, as far as others are concerned? Or MISS. */
export function tupleLockConflict(ctx: HeapContext, tup: number, mode: LockTupleMode): number {
  const x = ctx.xact;
  const members = holders(x, ctx.pages.mem, tup);
  if (members === MISS) return MISS;
  let answer = LOCK_FREE;
  for (const { xid, status } of members) {
    if ((CONFLICTS[mode]! & (1 << MODE_OF_STATUS[status]!)) === 0 || x.isCurrent(xid)) continue;
    const outcome = x.status(xid);
    if (outcome === MISS) return MISS;
    if (outcome === XACT_IN_PROGRESS) {
      ctx.waitFxid = ctx.full(xid);
      ctx.waitTuple = undefined;
      return LOCK_WAIT;
    }
    if (outcome === XACT_COMMITTED && isUpdateStatus(status)) answer = LOCK_LOST;
  }
  return answer;
}

/** What is to be put into a tuple's xmax. */
export interface NewXmax {
  xmax: number;
  infomask: number;
  infomask2: number;
}

/** The answer of computeNewXmax; synchronous, so one will do. */
export const newXmax: NewXmax = { xmax: 0, infomask: 0, infomask2: 0 };

/**
 * Fills `newXmax` for `xid`, the current (sub)transaction, locking or changing the tuple in this mode; nobody
 * is in the way. Returns 0, or MISS.
 */
export function computeNewXmax(
  x: XactView,
  mem: TupleMemory,
  tup: number,
  xid: TransactionId,
  mode: LockTupleMode,
  isUpdate: boolean,
): number {
  const mask = getInfomask(mem, tup);
  const xmax = getRawXmax(mem, tup);
  if ((mask & HEAP_XMAX_INVALID) !== 0 || xmax === 0) return onlyHolder(xid, mode, isUpdate);
  const members = holders(x, mem, tup);
  if (members === MISS) return MISS;
  // The stronger one of two locks of the same subtransaction says it all.
  if ((mask & HEAP_XMAX_IS_MULTI) === 0 && xmax === xid)
    return onlyHolder(xid, Math.max(mode, MODE_OF_STATUS[members[0]!.status]!) as LockTupleMode, isUpdate);
  const kept: MultiXactMember[] = [];
  for (const member of members) {
    const { xid: other, status } = member;
    const running = runs(x, other);
    if (running === MISS) return MISS;
    // Locks end with their transaction; an update stays.
    if (running === 1 || (isUpdateStatus(status) && updateStands(x, mask, other))) kept.push(member);
  }
  if (kept.length === 0) return onlyHolder(xid, mode, isUpdate);
  const status = statusForLock(mode, isUpdate);
  if (!kept.some(member => member.xid === xid && member.status === status)) kept.push({ xid, status });
  else if ((mask & HEAP_XMAX_IS_MULTI) !== 0 && kept.length === members.length) {
    newXmax.xmax = xmax;
    multiXactHintBits(members, newXmax);
    return 0;
  }
  const multi = x.multiXactOf(kept);
  if (multi === MISS) return MISS;
  newXmax.xmax = multi;
  multiXactHintBits(kept, newXmax);
  return 0;
}

/** Its outcome is known: `runs` has asked. */
function updateStands(x: XactView, mask: number, xid: TransactionId): boolean {
  return (mask & HEAP_XMAX_COMMITTED) !== 0 || x.status(xid) === XACT_COMMITTED;
}

function onlyHolder(xid: TransactionId, mode: LockTupleMode, isUpdate: boolean): number {
  newXmax.xmax = xid;
  newXmax.infomask = isUpdate ? 0 : lockInfomask(mode);
  newXmax.infomask2 = mode === LOCK_TUPLE_EXCLUSIVE ? HEAP_KEYS_UPDATED : 0;
  return 0;
}

/** t_infomask bits of a single lock. */
function lockInfomask(mode: LockTupleMode): number {
  switch (mode) {
    case LOCK_TUPLE_KEY_SHARE:
      return HEAP_XMAX_LOCK_ONLY | HEAP_XMAX_KEYSHR_LOCK;
    case LOCK_TUPLE_SHARE:
      return HEAP_XMAX_LOCK_ONLY | HEAP_XMAX_SHR_LOCK;
    default:
      return HEAP_XMAX_LOCK_ONLY | HEAP_XMAX_EXCL_LOCK;
  }
}

/** The bits that go with a multixact (GetMultiXactIdHintBits). */
export function multiXactHintBits(members: readonly MultiXactMember[], into: NewXmax): void {
  let bits = HEAP_XMAX_IS_MULTI;
  let bits2 = 0;
  let hasUpdate = false;
  let strongest: LockTupleMode = LOCK_TUPLE_KEY_SHARE;
  for (const { status } of members) {
    const mode = MODE_OF_STATUS[status]!;
    if (mode > strongest) strongest = mode;
    if (isUpdateStatus(status)) hasUpdate = true;
    if (mode === LOCK_TUPLE_EXCLUSIVE) bits2 = HEAP_KEYS_UPDATED;
  }
  if (strongest >= LOCK_TUPLE_NO_KEY_EXCLUSIVE) bits |= HEAP_XMAX_EXCL_LOCK;
  else if (strongest === LOCK_TUPLE_SHARE) bits |= HEAP_XMAX_SHR_LOCK;
  else bits |= HEAP_XMAX_KEYSHR_LOCK;
  if (!hasUpdate) bits |= HEAP_XMAX_LOCK_ONLY;
  into.infomask = bits;
  into.infomask2 = bits2;
}

/** Fills `into` with the lockers of an old version as its successor carries them on; or MISS. */
export function computeSuccessorXmax(x: XactView, mem: TupleMemory, tup: number, into: NewXmax): number {
  const mask = getInfomask(mem, tup);
  const members = holders(x, mem, tup);
  if (members === MISS) return MISS;
  into.xmax = members.length === 0 ? 0 : getRawXmax(mem, tup);
  into.infomask2 = 0;
  if (members.length === 0) into.infomask = HEAP_XMAX_INVALID;
  else if ((mask & HEAP_XMAX_IS_MULTI) !== 0) multiXactHintBits(members, into);
  // Only FOR KEY SHARE lets others update; a stronger lock is one's own and goes on as the weakest.
  else into.infomask = HEAP_XMAX_LOCK_ONLY | HEAP_XMAX_KEYSHR_LOCK;
  return 0;
}
