/** What access methods and executors count about relations (pgstat_count_*): each is a few additions, and nothing waits. */
import type { Oid } from '@pgtroupe/common/ids';
import type { SmgrRelation } from '@pgtroupe/storage/buffer/pages';

export interface CountedRelation {
  readonly oid: Oid;
  readonly smgr: SmgrRelation;
}

export interface RelationCounts {
  heapInsert(rel: CountedRelation, tuples: number): void;
  heapUpdate(rel: CountedRelation, hot: boolean): void;
  heapDelete(rel: CountedRelation): void;
  truncate(rel: CountedRelation): void;
  /** Dead tuples were removed, by pruning: nobody needs to vacuum them away any more. */
  deadTuplesRemoved(rel: CountedRelation, tuples: number): void;
  /** A scan of a table or of an index began. */
  scan(rel: CountedRelation): void;
  /** A scan of a table gave so many rows, one of an index so many entries. */
  returned(rel: CountedRelation, tuples: number): void;
  /** So many rows of a table were found by an index; so many entries of an index led to a row. */
  fetched(rel: CountedRelation, tuples: number): void;
}
