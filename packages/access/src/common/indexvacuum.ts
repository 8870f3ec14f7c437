/**
 * What vacuum asks of an index. Scans are step machines: `step` does a page's worth and may MISS.
 */

/** Answers of `step`, besides MISS. */
export const VACUUM_DONE = 0;
export const VACUUM_MORE = 1;

/** TIDs of rows that are gone; index entries for them must go. */
export interface DeadTids {
  readonly count: number;
  has(blk: number, offnum: number): boolean;
}

export interface IndexVacuumScan {
  /** MISS (obtain what is lacking, call again), VACUUM_MORE or VACUUM_DONE. */
  step(): number;
  /** So far: entries removed and entries left. */
  readonly tuplesRemoved: number;
  readonly tuplesLeft: number;
}

export interface VacuumableIndex {
  /** Removes every entry whose TID is dead. */
  bulkDelete(dead: DeadTids): IndexVacuumScan;
}
