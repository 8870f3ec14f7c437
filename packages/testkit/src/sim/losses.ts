/**
 * Which asynchronous commits may be missing. With shared memory goes what was answered and not flushed: the last of
 * what was committed, in one piece. Who was answered after a flush is there, and so is everything that was answered
 * before his COMMIT was sent.
 */
interface Sure {
  readonly begunMs: number;
  readonly acknowledgedMs: number;
}

export class Losses {
  /** When shared memory was lost. */
  readonly #lostMs: number[] = [];
  /** Synchronous transactions, in the order of being acknowledged. */
  readonly #sure: Sure[] = [];
  /** A loss takes nothing that was answered longer before; where nobody is hindered from flushing. */
  readonly #windowMs: number;

  constructor(windowMs: number) {
    this.#windowMs = windowMs;
  }

  lost(nowMs: number): void {
    this.#lostMs.push(nowMs);
  }

  sure(begunMs: number, acknowledgedMs: number): void {
    this.#sure.push({ begunMs, acknowledgedMs });
  }

  since(ms: number): boolean {
    return this.#lostMs.some(lost => lost >= ms);
  }

  /** May an asynchronous commit that was answered then be missing? */
  excuse(answeredMs: number): boolean {
    const lost = this.#lostMs.find(ms => ms >= answeredMs);
    if (lost === undefined || lost - answeredMs > this.#windowMs) return false;
    return !this.#sure.some(({ begunMs, acknowledgedMs }) => begunMs >= answeredMs && acknowledgedMs <= lost);
  }
}
