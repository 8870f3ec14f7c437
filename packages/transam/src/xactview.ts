/**
 * What access methods know of transactions: who I am, what I may see, what became of others.
 * Synchronous; MISS (-1) leaves the reason in PageAccess.want.
 */
import type { CommandId, FullTransactionId, TransactionId } from '@pgtroupe/common/ids';
import type { RelationCounts } from './pgstat_count.ts';
import type { MultiXactId, MultiXactMember } from './multixact.ts';

export const XACT_IN_PROGRESS = 0;
export const XACT_COMMITTED = 1;
export const XACT_ABORTED = 2;
export type XactStatus = typeof XACT_IN_PROGRESS | typeof XACT_COMMITTED | typeof XACT_ABORTED;

/** An MVCC snapshot. Transactions < xmin are over; >= xmax had not begun; xip were running. */
export interface Snapshot {
  readonly csn: number;
  readonly xmin: FullTransactionId;
  readonly xmax: FullTransactionId;
  /** Sorted ascending, all within [xmin, xmax). Includes subtransactions and reserved ids. */
  readonly xip: readonly number[];
  /** Own commands before this one are visible. */
  readonly curcid: CommandId;
}

export interface XactView {
  /** Absent where nobody counts (track_counts). */
  readonly counts?: RelationCounts | undefined;
  /** The current (sub)transaction's id, assigned on first use; MISS when the reserve is empty.
   *  Call it before the change stretch. */
  currentXid(): FullTransactionId | -1;
  readonly curcid: CommandId;
  /** Is `xid` this session's transaction or one of its live or committed subtransactions? */
  isCurrent(xid: TransactionId): boolean;
  /** Running anywhere, other than in this session (which counts as in progress too)? Outcome of `xid`, a 32-bit
   *  id from a tuple; MISS when it must be asked for. Own and other running ids are IN_PROGRESS. */
  status(xid: TransactionId): XactStatus | -1;
  /** `status` said that it is in progress, and the caller will not wait for it: true if that holds at this
   *  moment; MISS: ask first, then look at the tuple again. */
  confirmRunning(fxid: FullTransactionId): true | -1;
  /** Gives back the tuple lock that the session waited for a row with, if it has one. */
  unlockTuple(): void;
  /** Is `xid` running or not yet begun according to the snapshot? (XidInMVCCSnapshot) */
  inSnapshot(xid: TransactionId, snapshot: Snapshot): boolean;
  /** Below this every transaction is over for everyone: dead tuples older than it may be pruned. */
  readonly oldestXmin: FullTransactionId;
  /** Who holds the tuple; MISS when it must be asked for. */
  multiXactMembers(multi: MultiXactId): readonly MultiXactMember[] | -1;
  /** The multixact of exactly these members, the current transaction among them; MISS when it must be made.
   *  Call it before the change stretch. */
  multiXactOf(members: readonly MultiXactMember[]): number;
  /** cmin and cmax of this transaction's combo command ids. */
  comboCid(cmin: CommandId, cmax: CommandId): CommandId;
  cminOf(combo: CommandId): CommandId;
  cmaxOf(combo: CommandId): CommandId;
}
