/**
 * No transaction id is given out twice, not even by a later life: an instance that lost the answer to its COMMIT asks
 * whoever comes next what became of the id, and must not be told about another transaction's. Pure.
 *
 * So an id is given out only when a record that names a later one is durable. The record is an XLOG_NOOP: recovery,
 * ours and PostgreSQL's, goes on behind every id that WAL names. It is written ahead of need, a batch at
 * a time, so that a crash skips some ids and nobody waits for its flush but the first who writes.
 */
import { CLOG_XACTS_PER_PAGE } from '@pgtroupe/transam/clog';

/** Ids named at a time; a batch ends with its page of pg_xact. */
const XID_PREFETCH = 1024;

export class XidReservation {
  /** Ids before this one are named by a durable record; those before `until` by one that may not be. */
  #durable: number;
  until: number;
  /** End of the latest record. */
  #lsn = 0;
  readonly #log: (first: number, last: number) => number;

  /** `log` writes the record that names `last`, of a batch that begins with `first`; returns its end. */
  constructor(next: number, log: (first: number, last: number) => number) {
    this.#durable = next;
    this.until = next;
    this.#log = log;
  }

  /** The first id that may not be given out yet, when WAL is durable up to `flushed`. */
  limit(flushed: number): number {
    if (this.#lsn <= flushed) this.#durable = this.until;
    return this.#durable;
  }

  /** Sees to it that there will be ids behind `next`. */
  prepare(next: number, flushed: number): void {
    if (this.limit(flushed) < this.until || this.until - next > XID_PREFETCH / 2) return;
    const first = this.until;
    this.until = Math.min(first + XID_PREFETCH, (Math.floor(first / CLOG_XACTS_PER_PAGE) + 1) * CLOG_XACTS_PER_PAGE);
    this.#lsn = this.#log(first, this.until - 1);
  }

  /** What must be durable for more ids. */
  get flushWanted(): number {
    return this.#lsn;
  }
}
