/**
 * The statement's range table as executor nodes see it.
 */
import type { RangeTblEntry } from '../nodes/parsenodes.ts';

export interface ExecRange {
  readonly rtable: readonly RangeTblEntry[];
}
