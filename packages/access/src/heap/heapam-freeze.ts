/**
 * Freezing: a tuple older than every transaction that could ever ask again is marked so that its xids
 * need not be looked up any more (heap_prepare_freeze_tuple). xmin keeps its number and gets both hint
 * bits; a finished locker or failed updater leaves xmax; a multixact gives way to who is left of its members.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { FIRST_NORMAL_TRANSACTION_ID, type TransactionId, transactionIdPrecedes } from '@pgtroupe/common/ids';
import { MAX_HEAP_TUPLES_PER_PAGE, pageGetItem } from '@pgtroupe/storage/page/bufpage';
import { MISS } from '@pgtroupe/storage/buffer/pages';
import {
  isUpdateStatus,
  type MultiXactId,
  multiXactIdPrecedes,
  type MultiXactMember,
} from '@pgtroupe/transam/multixact';
import { RM_HEAP2_ID } from '@pgtroupe/transam/rmgr';
import { XACT_COMMITTED, XACT_IN_PROGRESS, type XactView } from '@pgtroupe/transam/xactview';
import { REGBUF_STANDARD } from '@pgtroupe/transam/xloginsert';
import {
  getInfomask,
  getInfomask2,
  getRawXmax,
  getXmin,
  HEAP_HOT_UPDATED,
  HEAP_KEYS_UPDATED,
  HEAP_XMAX_BITS,
  HEAP_XMAX_COMMITTED,
  HEAP_XMAX_INVALID,
  HEAP_XMAX_IS_MULTI,
  HEAP_XMIN_COMMITTED,
  HEAP_XMIN_FROZEN,
  setInfomask,
  setInfomask2,
  setXmax,
  type TupleMemory,
  xmaxIsLockedOnly,
  xmaxIsLockedUpgraded,
} from '../common/htup.ts';
import type { HeapContext } from './heapam-context.ts';
import { multiXactHintBits } from './heapam-multixact.ts';
import {
  put16,
  put32,
  SIZE_OF_FREEZE_TUPLE,
  SIZE_OF_HEAP_FREEZE_PAGE,
  XLOG_HEAP2_FREEZE_PAGE,
  xlogScratch,
} from './heapam-xlog.ts';

/** What is to be done with the tuples of one page. */
export class FreezePlan {
  count = 0;
  readonly offnums = new Uint16Array(MAX_HEAP_TUPLES_PER_PAGE);
  readonly infomask = new Uint16Array(MAX_HEAP_TUPLES_PER_PAGE);
  readonly infomask2 = new Uint16Array(MAX_HEAP_TUPLES_PER_PAGE);
  readonly xmax = new Uint32Array(MAX_HEAP_TUPLES_PER_PAGE);
  /** Oldest xid and multixact that tuples will still have; start at the cutoff of what could be left. */
  oldestXidLeft = 0 as TransactionId;
  oldestMultiLeft: MultiXactId = 0;
  readonly bytes = new Uint8Array(SIZE_OF_FREEZE_TUPLE * MAX_HEAP_TUPLES_PER_PAGE);
}

/** What is old enough to go: xids, and multixacts, before these. */
export interface FreezeLimits {
  readonly xid: TransactionId;
  readonly multi: MultiXactId;
}

/**
 * Adds a tuple to the plan when it has an xid or multixact older than `limits`. Returns 1 when it will be
 * frozen completely, 0, or MISS. The tuple is not dead, its hint bits tell what its old transactions came to,
 * and the members of its multixact are known.
 */
export function heapPrepareFreezeTuple(
  plan: FreezePlan,
  x: XactView,
  mem: TupleMemory,
  tup: number,
  offnum: number,
  limits: FreezeLimits,
): number {
  let infomask = getInfomask(mem, tup);
  let infomask2 = getInfomask2(mem, tup);
  let xmax = getRawXmax(mem, tup);
  let changed = false;
  let totally = 1;
  const xmin = getXmin(mem, tup);
  if (xmin >= FIRST_NORMAL_TRANSACTION_ID) {
    if (transactionIdPrecedes(xmin, limits.xid)) {
      if ((infomask & HEAP_XMIN_COMMITTED) === 0) {
        throw ereport(
          ERRCODE.DATA_CORRUPTED,
          `uncommitted xmin ${xmin} from before xid cutoff ${limits.xid} needs to be frozen`,
        );
      }
      infomask |= HEAP_XMIN_FROZEN;
      changed = true;
    } else {
      noteXidLeft(plan, xmin);
      totally = 0;
    }
  }
  const fate = freezeXmax(plan, x, infomask, xmax, limits);
  if (fate === MISS) return MISS;
  switch (fate.kind) {
    case 'absent':
      break;
    case 'stays':
      totally = 0;
      break;
    case 'goes':
      xmax = 0 as TransactionId;
      infomask = (infomask & ~HEAP_XMAX_BITS) | HEAP_XMAX_INVALID;
      infomask2 &= ~(HEAP_HOT_UPDATED | HEAP_KEYS_UPDATED);
      changed = true;
      break;
    case 'becomesXid':
      xmax = fate.xid;
      infomask = (infomask & ~HEAP_XMAX_BITS) | (fate.committed ? HEAP_XMAX_COMMITTED : 0);
      changed = true;
      totally = 0;
      break;
    case 'becomesMulti':
      xmax = fate.multi as TransactionId;
      infomask = (infomask & ~HEAP_XMAX_BITS) | fate.infomask;
      infomask2 = (infomask2 & ~HEAP_KEYS_UPDATED) | fate.infomask2;
      changed = true;
      totally = 0;
      break;
  }
  if (changed) {
    const n = plan.count++;
    plan.offnums[n] = offnum;
    plan.infomask[n] = infomask;
    plan.infomask2[n] = infomask2;
    plan.xmax[n] = xmax;
  }
  return totally;
}

type XmaxFate =
  | { readonly kind: 'absent' | 'stays' | 'goes' }
  | { readonly kind: 'becomesXid'; readonly xid: TransactionId; readonly committed: boolean }
  | {
      readonly kind: 'becomesMulti';
      readonly multi: MultiXactId;
      readonly infomask: number;
      readonly infomask2: number;
    };

const ABSENT: XmaxFate = { kind: 'absent' };
const STAYS: XmaxFate = { kind: 'stays' };
const GOES: XmaxFate = { kind: 'goes' };

function freezeXmax(
  plan: FreezePlan,
  x: XactView,
  mask: number,
  xmax: TransactionId,
  limits: FreezeLimits,
): XmaxFate | -1 {
  if ((mask & HEAP_XMAX_IS_MULTI) !== 0) return freezeMultiXact(plan, x, mask, xmax, limits);
  if (xmax < FIRST_NORMAL_TRANSACTION_ID) return ABSENT;
  if (!transactionIdPrecedes(xmax, limits.xid)) {
    noteXidLeft(plan, xmax);
    return STAYS;
  }
  if (!xmaxIsLockedOnly(mask) && (mask & HEAP_XMAX_INVALID) === 0)
    throw ereport(ERRCODE.DATA_CORRUPTED, `cannot freeze committed xmax ${xmax}`);
  return GOES;
}

/** FreezeMultiXactId */
function freezeMultiXact(
  plan: FreezePlan,
  x: XactView,
  mask: number,
  multi: MultiXactId,
  limits: FreezeLimits,
): XmaxFate | -1 {
  if (multi === 0 || (mask & HEAP_XMAX_INVALID) !== 0 || xmaxIsLockedUpgraded(mask)) return GOES;
  const old = multiXactIdPrecedes(multi, limits.multi);
  if (old && xmaxIsLockedOnly(mask)) return GOES;
  const members = x.multiXactMembers(multi);
  if (members === MISS) return MISS;
  if (!old && !members.some(({ xid }) => transactionIdPrecedes(xid, limits.xid))) {
    for (const { xid } of members) noteXidLeft(plan, xid);
    if (multiXactIdPrecedes(multi, plan.oldestMultiLeft)) plan.oldestMultiLeft = multi;
    return STAYS;
  }
  const kept: MultiXactMember[] = [];
  let updater: TransactionId | 0 = 0;
  let committed = false;
  for (const member of members) {
    const { xid, status } = member;
    const outcome = x.isCurrent(xid) ? XACT_IN_PROGRESS : x.status(xid);
    if (outcome === MISS) return MISS;
    // Lockers that are over hold nothing; an update that failed never was.
    if (outcome !== XACT_IN_PROGRESS && !(isUpdateStatus(status) && outcome === XACT_COMMITTED)) continue;
    if (isUpdateStatus(status)) {
      if (transactionIdPrecedes(xid, limits.xid))
        throw ereport(ERRCODE.DATA_CORRUPTED, `cannot freeze committed update xid ${xid}`);
      updater = xid;
      committed = outcome === XACT_COMMITTED;
    }
    kept.push(member);
  }
  for (const { xid } of kept) noteXidLeft(plan, xid);
  if (kept.length === 0) return GOES;
  if (kept.length === 1 && updater !== 0) return { kind: 'becomesXid', xid: updater, committed };
  const next = x.multiXactOf(kept);
  if (next === MISS) return MISS;
  const bits = { xmax: next, infomask: 0, infomask2: 0 };
  multiXactHintBits(kept, bits);
  return { kind: 'becomesMulti', multi: next, infomask: bits.infomask, infomask2: bits.infomask2 };
}

/** Will no vacuum ever have to touch the tuple again? */
export function heapTupleIsFrozen(mem: TupleMemory, tup: number): boolean {
  const multi = (getInfomask(mem, tup) & HEAP_XMAX_IS_MULTI) !== 0;
  return (
    getXmin(mem, tup) < FIRST_NORMAL_TRANSACTION_ID && !multi && getRawXmax(mem, tup) < FIRST_NORMAL_TRANSACTION_ID
  );
}

function noteXidLeft(plan: FreezePlan, xid: TransactionId): void {
  if (transactionIdPrecedes(xid, plan.oldestXidLeft)) plan.oldestXidLeft = xid;
}

/** Carries out the plan on a page held exclusively, and logs it. */
export function heapFreezeExecute(ctx: HeapContext, page: number, plan: FreezePlan, limit: TransactionId): void {
  const { mem } = ctx.pages;
  const { wal } = ctx;
  const { bytes } = plan;
  const pairs = [plan.offnums, plan.infomask2, plan.infomask] as const;
  bytes.fill(0, 0, plan.count * SIZE_OF_FREEZE_TUPLE);
  for (let i = 0; i < plan.count; i++) {
    const tup = pageGetItem(mem, page, plan.offnums[i]!);
    setXmax(mem, tup, plan.xmax[i] as TransactionId);
    setInfomask(mem, tup, plan.infomask[i]!);
    setInfomask2(mem, tup, plan.infomask2[i]!);
    let at = i * SIZE_OF_FREEZE_TUPLE;
    for (let b = 0; b < 4; b++) bytes[at++] = plan.xmax[i]! >>> (8 * b);
    for (const list of pairs) {
      bytes[at++] = list[i]!;
      bytes[at++] = list[i]! >>> 8;
    }
  }
  put32(0, limit);
  put16(4, plan.count);
  wal.begin();
  wal.data(xlogScratch, 0, SIZE_OF_HEAP_FREEZE_PAGE);
  wal.registerBuffer(0, page, REGBUF_STANDARD);
  wal.bufData(0, bytes, 0, plan.count * SIZE_OF_FREEZE_TUPLE);
  wal.insert(RM_HEAP2_ID, XLOG_HEAP2_FREEZE_PAGE);
}
