/**
 * How many rows are worth computing before somebody looks at a clock. Rows may take nanoseconds or, where values are large,
 * milliseconds each: a plan begins with few, takes more as long as a batch is over soon, and fewer when one was not.
 */
import { BATCH_ROWS } from './status.ts';

/** What a plan's first batch holds. */
const FIRST_ROWS = 8;
const SOON_MS = 1;
const LATE_MS = 4;

export interface PaceClock {
  /** Of a clock that only goes forward. */
  nowMs(): number;
  /** When the session began to compute, after it waited for something. */
  readonly sliceBeganMs: number;
}

export class Pace {
  readonly #clock: PaceClock;
  #rows = FIRST_ROWS;
  #at = 0;

  constructor(clock: PaceClock) {
    this.#clock = clock;
  }

  /** Rows to be computed in one go. */
  get rows(): number {
    return this.#rows;
  }

  /** Rows to be asked for next; to be called once for each batch. */
  take(): number {
    const now = this.#clock.nowMs();
    const took = now - Math.max(this.#at, this.#clock.sliceBeganMs);
    if (took < SOON_MS) this.#rows = Math.min(BATCH_ROWS, this.#rows * 2);
    else if (took > LATE_MS) this.#rows = Math.max(1, this.#rows >> 2);
    this.#at = now;
    return this.#rows;
  }
}
