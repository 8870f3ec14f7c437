/**
 * What the heap's functions work with, and where they leave their answers.
 *
 * Every function follows the rules of storage/buffer/pages.ts: it does all of its work or returns
 * MISS having changed nothing. Answers that are more than a number are fields of the HeapContext,
 * valid until the next call with the same context; a session has one, so nothing is allocated per row.
 *
 * Tuples are byte offsets in `pages.mem`: on a page, or under construction in the arena. They are
 * MAXALIGNed and never 0.
 */
import {
  FIRST_NORMAL_TRANSACTION_ID,
  type FullTransactionId,
  fullFromXid,
  type Oid,
  type TransactionId,
} from '@pgtroupe/common/ids';
import { MISS, type PageAccess, type SmgrRelation, type TupleWait } from '@pgtroupe/storage/buffer/pages';
import {
  ACCESS_EXCLUSIVE_LOCK,
  ACCESS_SHARE_LOCK,
  EXCLUSIVE_LOCK,
  ROW_SHARE_LOCK,
} from '@pgtroupe/storage/lmgr/locktag';
import type { XactView } from '@pgtroupe/transam/xactview';
import type { XLogInserter } from '@pgtroupe/transam/xloginsert';

/** A heap as the access method sees it; one object per relation and instance. */
export interface HeapRelation {
  readonly smgr: SmgrRelation;
  readonly oid: Oid;
  /** Percent of a page that inserts fill (reloption fillfactor, 10..100). */
  readonly fillfactor: number;
  /** The free space map said no: take so many new blocks before asking again. A hint. */
  extend: number;
  /** Length of the last such run: it grows while the map goes on saying no. */
  extendRun: number;
}

export function heapRelation(smgr: SmgrRelation, oid: Oid, fillfactor = 100): HeapRelation {
  return { smgr, oid, fillfactor, extend: 0, extendRun: 0 };
}

/** What became of an attempt to change or lock a tuple (TM_Result). */
export const TM_OK = 0;
export const TM_INVISIBLE = 1;
export const TM_SELF_MODIFIED = 2;
export const TM_UPDATED = 3;
export const TM_DELETED = 4;
/** Somebody's running transaction is in the way; `waitFxid` says which. */
export const TM_BEING_MODIFIED = 5;
export type TmResult = 0 | 1 | 2 | 3 | 4 | 5;

/** LockTupleMode: FOR KEY SHARE, FOR SHARE, FOR NO KEY UPDATE, FOR UPDATE. */
export const LOCK_TUPLE_KEY_SHARE = 0;
export const LOCK_TUPLE_SHARE = 1;
export const LOCK_TUPLE_NO_KEY_EXCLUSIVE = 2;
export const LOCK_TUPLE_EXCLUSIVE = 3;
export type LockTupleMode = 0 | 1 | 2 | 3;

/** By LockTupleMode: the mode of the tuple lock that those wait with who want the row (tupleLockExtraInfo). */
const HEAVYWEIGHT_MODES: readonly number[] = [ACCESS_SHARE_LOCK, ROW_SHARE_LOCK, EXCLUSIVE_LOCK, ACCESS_EXCLUSIVE_LOCK];

/** More candidates than this are forgotten; they will be met again. */
const PRUNE_QUEUE_LIMIT = 16;

export class HeapContext {
  readonly pages: PageAccess;
  readonly wal: XLogInserter;
  /** The session's current transaction. */
  xact: XactView;

  /** Where the tuple was put, found or locked. */
  blk = 0;
  offnum = 0;
  /** The tuple itself, as a byte offset. */
  tuple = 0;
  /** The update needs no index entries. */
  hot = false;
  /** heapHotSearch found nothing, and nobody will ever: the index entry may be marked dead. */
  allDead = false;

  // Failure of heapDelete, heapUpdate, heapLockTuple (TM_FailureData).
  /** The newer version, or the tuple itself. */
  ctidBlk = 0;
  ctidOffnum = 0;
  xmax = 0 as TransactionId;
  /** Only for TM_SELF_MODIFIED: the command that got there first. */
  cmax = 0;
  /** For TM_BEING_MODIFIED, and of the dirty snapshot: whom to wait for. */
  waitFxid = 0 as FullTransactionId;
  /** In whose company: others who want the same row. Undefined: it is no matter of a row, or this session is among
   *  its holders already; then it waits in front of all who are not, some of whom wait for it. */
  waitTuple: TupleWait | undefined;

  // Answers of the dirty snapshot: transactions whose end would change the answer, 0 none.
  dirtyXmin = 0 as TransactionId;
  dirtyXmax = 0 as TransactionId;

  /** Pages seen that pruning may free space on: relation, block. See pruneheap.ts. */
  readonly pruneRelations: HeapRelation[] = [];
  readonly pruneBlocks: number[] = [];

  constructor(pages: PageAccess, wal: XLogInserter, xact: XactView) {
    this.pages = pages;
    this.wal = wal;
    this.xact = xact;
  }

  /** Remembers a page for heapPruneQueued. */
  queuePrune(rel: HeapRelation, blk: number): void {
    const { pruneRelations, pruneBlocks } = this;
    const n = pruneBlocks.length;
    if (n === PRUNE_QUEUE_LIMIT || (n > 0 && pruneBlocks[n - 1] === blk && pruneRelations[n - 1] === rel)) return;
    pruneRelations.push(rel);
    pruneBlocks.push(blk);
  }

  /** Its statement failed: what it saw may be another's by the time there is a next one. */
  forgetPrunes(): void {
    this.pruneRelations.length = 0;
    this.pruneBlocks.length = 0;
  }

  /** Widens a tuple's xid. */
  full(xid: TransactionId): FullTransactionId {
    if (xid < FIRST_NORMAL_TRANSACTION_ID) return xid as number as FullTransactionId;
    return fullFromXid(xid, this.xact.oldestXmin);
  }

  /** After TM_BEING_MODIFIED, when the caller wants to wait: returns MISS for the driver. */
  wantXactWait(): typeof MISS {
    this.pages.want = { kind: 'xactWait', fxid: this.waitFxid, tuple: this.waitTuple };
    return MISS;
  }

  /** Whoever waits for `waitFxid` does so as one of those who want this row in this mode (heap_acquire_tuplock). */
  waitsForTuple({ smgr, oid }: HeapRelation, blk: number, off: number, mode: LockTupleMode): void {
    this.waitTuple = { db: smgr.rnode.dbNode, rel: oid, blk, off, mode: HEAVYWEIGHT_MODES[mode]! };
  }

  /** What became of an attempt to have a row: when that is known, who waited for it lets the next one try. */
  settled<T extends TmResult | -1>(result: T): T {
    if (result !== MISS && result !== TM_BEING_MODIFIED) this.xact.unlockTuple();
    return result;
  }
}
