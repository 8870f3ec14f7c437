/**
 * Freezing: a tuple older than every transaction that could ever ask again is marked so that its xids
 * need not be looked up any more (heap_prepare_freeze_tuple). xmin keeps its number and gets both hint
 * bits; a finished locker or failed updater leaves xmax.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { FIRST_NORMAL_TRANSACTION_ID, type TransactionId, transactionIdPrecedes } from '@pgtroupe/common/ids';
import { MAX_HEAP_TUPLES_PER_PAGE, pageGetItem } from '@pgtroupe/storage/page/bufpage';
import { RM_HEAP2_ID } from '@pgtroupe/transam/rmgr';
import { REGBUF_STANDARD } from '@pgtroupe/transam/xloginsert';
import {
  getInfomask,
  getInfomask2,
  getRawXmax,
  getXmin,
  HEAP_HOT_UPDATED,
  HEAP_KEYS_UPDATED,
  HEAP_XMAX_BITS,
  HEAP_XMAX_INVALID,
  HEAP_XMAX_IS_MULTI,
  HEAP_XMIN_COMMITTED,
  HEAP_XMIN_FROZEN,
  setInfomask,
  setInfomask2,
  setXmax,
  type TupleMemory,
  xmaxIsLockedOnly,
} from '../common/htup.ts';
import type { HeapContext } from './heapam-context.ts';
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
  /** Oldest xid that tuples will still have; starts at the cutoff of what could be left. */
  oldestXidLeft = 0 as TransactionId;
  readonly bytes = new Uint8Array(SIZE_OF_FREEZE_TUPLE * MAX_HEAP_TUPLES_PER_PAGE);
}

/**
 * Adds a tuple to the plan when it has an xid older than `limit`. Returns whether it will be frozen
 * completely. The tuple is not dead, and its hint bits tell what its old transactions came to.
 */
export function heapPrepareFreezeTuple(
  plan: FreezePlan,
  mem: TupleMemory,
  tup: number,
  offnum: number,
  limit: TransactionId,
): boolean {
  let infomask = getInfomask(mem, tup);
  let infomask2 = getInfomask2(mem, tup);
  let xmax = getRawXmax(mem, tup);
  let changed = false;
  let totally = true;
  const xmin = getXmin(mem, tup);
  if (xmin >= FIRST_NORMAL_TRANSACTION_ID) {
    if (transactionIdPrecedes(xmin, limit)) {
      if ((infomask & HEAP_XMIN_COMMITTED) === 0) {
        throw ereport(
          ERRCODE.DATA_CORRUPTED,
          `uncommitted xmin ${xmin} from before xid cutoff ${limit} needs to be frozen`,
        );
      }
      infomask |= HEAP_XMIN_FROZEN;
      changed = true;
    } else {
      noteLeft(plan, xmin);
      totally = false;
    }
  }
  const multi = (infomask & HEAP_XMAX_IS_MULTI) !== 0;
  if (multi || xmax >= FIRST_NORMAL_TRANSACTION_ID) {
    // Multixacts here are lockers of long ago: see heapam-visibility.ts.
    if (!multi && !transactionIdPrecedes(xmax, limit)) {
      noteLeft(plan, xmax);
      totally = false;
    } else {
      if (!xmaxIsLockedOnly(infomask) && (infomask & HEAP_XMAX_INVALID) === 0) {
        throw ereport(ERRCODE.DATA_CORRUPTED, `cannot freeze committed xmax ${xmax}`);
      }
      xmax = 0 as TransactionId;
      infomask = (infomask & ~HEAP_XMAX_BITS) | HEAP_XMAX_INVALID;
      infomask2 &= ~(HEAP_HOT_UPDATED | HEAP_KEYS_UPDATED);
      changed = true;
    }
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

/** Will no vacuum ever have to touch the tuple again? */
export function heapTupleIsFrozen(mem: TupleMemory, tup: number): boolean {
  const multi = (getInfomask(mem, tup) & HEAP_XMAX_IS_MULTI) !== 0;
  return (
    getXmin(mem, tup) < FIRST_NORMAL_TRANSACTION_ID && !multi && getRawXmax(mem, tup) < FIRST_NORMAL_TRANSACTION_ID
  );
}

function noteLeft(plan: FreezePlan, xid: TransactionId): void {
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
