/**
 * Where the caches get rows from: scans of catalog tables, done by the instance over heap and
 * nbtree, or by tests over the facts.
 *
 * Every scan uses a catalog snapshot taken when it begins: the newest committed state, plus, for a
 * source that belongs to a transaction, that transaction's own earlier commands.
 */
import type { Datum } from '@pgtroupe/common/datum';
import type { TransactionId } from '@pgtroupe/common/ids';
import type { Catalog, CatalogIndex, ItemPointer } from './catalog.ts';

export interface ScannedRow {
  /** One per column, detoasted; they stay what they are. Of a whole catalog's rows they are taken apart when asked for. */
  readonly values: readonly Datum[];
  readonly ctid: ItemPointer;
  /** Who made this version of it; undefined: nobody did, it is one of the facts. */
  readonly xmin?: TransactionId;
}

export interface CatalogSource {
  /**
   * Rows whose leading key columns of `index` equal `keys`, in index order; with `index` undefined
   * and no keys, all rows.
   */
  scan(catalog: Catalog, index: CatalogIndex | undefined, keys: readonly Datum[]): Promise<readonly ScannedRow[]>;
}
