/**
 * Prepared statements and portals: what the extended protocol (and PREPARE, DECLARE) can name.
 */
import type { Datum } from '@pgtroupe/common/datum';
import type { RawNode } from '@pgtroupe/sql/nodes/rawnodes';
import type { Query } from '@pgtroupe/sql/nodes/parsenodes';
import type { CachedPlan, RunningPortal } from './query-execution.ts';

/** A result column as RowDescription tells it. */
export interface ColumnInfo {
  readonly name: string;
  readonly tableOid: number;
  readonly attnum: number;
  readonly typid: number;
  readonly typlen: number;
  readonly typmod: number;
}

/** What analysis made of one statement. */
export type Analyzed =
  | { readonly kind: 'empty' }
  | { readonly kind: 'utility'; readonly raw: RawNode; readonly columns: readonly ColumnInfo[] | undefined }
  | { readonly kind: 'query'; readonly query: Query; readonly columns: readonly ColumnInfo[] | undefined; plan: CachedPlan | undefined };

export interface PreparedStatement {
  readonly name: string;
  readonly text: string;
  /** undefined: an empty query string. */
  readonly raw: RawNode | undefined;
  /** Types the client gave; 0 = find out. */
  readonly givenTypes: readonly number[];
  paramTypes: readonly number[];
  analyzed: Analyzed;
  /** Catalog version, settings version and search path it was analyzed under. */
  validity: string;
}

export interface Portal {
  readonly name: string;
  readonly statement: PreparedStatement;
  readonly params: readonly Datum[];
  /** One per column, or one for all, or none (text). */
  readonly resultFormats: readonly number[];
  state:
    | { readonly kind: 'ready' }
    /** Row limit reached; goes on with the next Execute. */
    | { readonly kind: 'suspended'; readonly run: RunningPortal }
    | { readonly kind: 'done' };
}
