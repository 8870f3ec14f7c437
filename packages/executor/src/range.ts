/**
 * The statement's range table as executor nodes see it.
 */
import type { RangeTblEntry } from '@pgtroupe/nodes/parsenodes';

export interface ExecRange {
  readonly rtable: readonly RangeTblEntry[];
}
