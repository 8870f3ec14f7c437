/**
 * Rows of a statement that changes rows, where a client wants a few at a time: all changes belong to the first Execute, so
 * what they return is kept for those that follow (FillPortalStore of pquery.c).
 */
import type { Datum } from '@pgtroupe/common/datum';
import { detach } from '@pgtroupe/executor/batch';
import type { RowSink } from '@pgtroupe/executor/rowsink';

/** Rows [from, n) of a batch, to be kept longer than it. */
export function copyRows(readers: readonly ((row: number) => Datum)[], from: number, n: number): Datum[][] {
  const rows: Datum[][] = [];
  for (let row = from; row < n; row++) rows.push(readers.map(read => detach(read(row))));
  return rows;
}

export class HeldRows implements RowSink {
  readonly taken = 0;
  #rows: Datum[][] = [];
  #next = 0;

  get empty(): boolean {
    return this.#next >= this.#rows.length;
  }

  rows(readers: readonly ((row: number) => Datum)[], n: number): void {
    for (const row of copyRows(readers, 0, n)) this.#rows.push(row);
  }

  /** The next rows, at most `max`. */
  take(max: number): readonly (readonly Datum[])[] {
    const taken = this.#rows.slice(this.#next, this.#next + max);
    this.#next += taken.length;
    if (this.empty) this.#rows = [];
    return taken;
  }

  ready(): boolean {
    return true;
  }

  async wait(): Promise<void> {}
}
