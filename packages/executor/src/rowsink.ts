/** Where a query's result rows go (DestReceiver). */
import type { Datum } from '@pgtroupe/common/datum';

export interface RowSink {
  /** Rows of the present batch that were taken: when `rows` throws, the next one is the culprit. */
  readonly taken: number;
  /** Takes rows [0, n) of the batch the readers look at. */
  rows(readers: readonly ((row: number) => Datum)[], n: number): void;
  /** May more be produced now? Otherwise wait. */
  ready(): boolean;
  wait(): Promise<void>;
}
