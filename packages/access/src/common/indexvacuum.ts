/**
 * What vacuum asks of an index. Scans are step machines: `step` does a page's worth and may MISS.
 */
import type { FullTransactionId } from '@pgtroupe/common/ids';

/** Answers of `step`, besides MISS. */
export const VACUUM_DONE = 0;
export const VACUUM_MORE = 1;

/** TIDs of rows that are gone; index entries for them must go. */
export interface DeadTids {
  readonly count: number;
  has(blk: number, offnum: number): boolean;
}

/** IndexBulkDeleteResult */
export interface IndexVacuumStats {
  numPages: number;
  /** Only the entries that are left were counted, not the rows they stand for. */
  estimatedCount: boolean;
  numIndexTuples: number;
  tuplesRemoved: number;
  pagesNewlyDeleted: number;
  pagesDeleted: number;
  pagesFree: number;
}

export interface IndexVacuumScan {
  /** MISS (obtain what is lacking, call again), VACUUM_MORE or VACUUM_DONE. */
  step(): number;
}

/** An index during one VACUUM. */
export interface VacuumableIndex {
  /** Removes every entry whose TID is dead. */
  bulkDelete(dead: DeadTids): IndexVacuumScan;
  /** After the last bulkDelete, if there was one. */
  cleanup(): IndexVacuumScan;
  /** Undefined: the index was not scanned. */
  readonly stats: IndexVacuumStats | undefined;
}

/**
 * A transaction id that counts as running for a while: whoever took his snapshot before it is given back holds the horizon
 * at it or below. So it tells when nobody can remember any more what was there while it was held.
 */
export interface HeldXid {
  /** The id that is held; undefined when there are none to be had; MISS. */
  take(): FullTransactionId | undefined | -1;
  giveBack(): void;
  /** Learns the horizon of now; MISS until it is known. */
  renewHorizon(): 0 | -1;
}
