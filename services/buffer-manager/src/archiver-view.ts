/** pg_stat_archiver, as the walwriter told it last. It tells on every welcome and every change. */
import type { ArchiverCounts } from '@pgtroupe/rpc/generated/walwriter';

export class ArchiverView {
  readonly #orderReset: () => void;
  #counts: ArchiverCounts | undefined;
  /** `after`: reset since then is what it waits for; undefined: any. */
  #waiters: { readonly after: number | undefined; resolve(counts: ArchiverCounts): void }[] = [];

  constructor(orderReset: () => void) {
    this.#orderReset = orderReset;
  }

  /** `reset`: the counters as they are then. Resolves when there is a walwriter to tell. */
  read(reset: boolean): Promise<ArchiverCounts> {
    if (!reset && this.#counts !== undefined) return Promise.resolve(this.#counts);
    return new Promise(resolve => {
      this.#waiters.push({ after: reset ? (this.#counts?.statsReset ?? 0) : undefined, resolve });
      if (reset) this.#orderReset();
    });
  }

  /** A walwriter is there that was not asked yet. */
  attached(): void {
    if (this.#waiters.some(({ after }) => after !== undefined)) this.#orderReset();
  }

  told(counts: ArchiverCounts): void {
    this.#counts = counts;
    const waiters = this.#waiters;
    this.#waiters = waiters.filter(({ after }) => after !== undefined && counts.statsReset === after);
    for (const waiter of waiters) if (!this.#waiters.includes(waiter)) waiter.resolve(counts);
  }
}
