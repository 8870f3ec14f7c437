/**
 * The simulated world: one clock, one queue of events, one generator of chance, many processes.
 *
 * Events run one at a time in the order of (time, number); after each, everything the event set
 * off inside the process (promises) settles before the next one. So a seed fixes the whole run:
 * same seed, same trace.
 */
import type { Random } from '@pgtroupe/actor/env';
import { seededRandom } from './prng.ts';

interface Event {
  readonly atMs: number;
  readonly number: number;
  readonly run: () => void;
}

export class World {
  nowMs = 0;
  readonly random: Random;
  /** What happened, for comparison and for the reader of a failure. */
  readonly trace: string[] = [];
  /** Whose event runs or ran last: a promise that nobody handles is the fault of its process. */
  running: { crash(error: unknown): void } | undefined;
  /** The trace tells of every message too. */
  verbose = false;
  readonly #heap: Event[] = [];
  #events = 0;

  constructor(seed: number) {
    this.random = seededRandom(seed);
  }

  note(what: string): void {
    this.trace.push(`${this.nowMs.toFixed(3)} ${what}`);
  }

  /** Runs `run` after `delayMs`. Returns the way to call it off. */
  schedule(delayMs: number, run: () => void): () => void {
    let live = true;
    this.#push({ atMs: this.nowMs + Math.max(0, delayMs), number: this.#events++, run: () => live && run() });
    return () => {
      live = false;
    };
  }

  /** A latency between `low` and `high`. */
  between(lowMs: number, highMs: number): number {
    return lowMs + (highMs - lowMs) * this.random.uniform();
  }

  /** Runs events until `done` says so. Throws when time or events run out first. */
  async runUntil(done: () => boolean, limits: { readonly ms: number; readonly what: string }): Promise<void> {
    const deadline = this.nowMs + limits.ms;
    const crash = (error: unknown): void => {
      if (this.running === undefined) throw error;
      this.running.crash(error);
    };
    // As in a process of its own (role/src/runrole.ts), and not as the test runner would have it.
    const others = process.listeners('unhandledRejection');
    process.removeAllListeners('unhandledRejection');
    process.on('unhandledRejection', crash);
    try {
      await this.#runUntil(done, deadline, limits);
    } finally {
      process.off('unhandledRejection', crash);
      for (const other of others) process.on('unhandledRejection', other);
    }
  }

  async #runUntil(
    done: () => boolean,
    deadline: number,
    limits: { readonly ms: number; readonly what: string },
  ): Promise<void> {
    await settle();
    while (!done()) {
      const event = this.#pop();
      if (event === undefined) throw new Error(`nothing left to happen while waiting for ${limits.what}`);
      if (event.atMs > deadline) throw new Error(`${limits.what} took more than ${limits.ms} simulated ms`);
      this.nowMs = event.atMs;
      event.run();
      await settle();
    }
  }

  /** Lets `ms` of simulated time go by. */
  async pass(ms: number): Promise<void> {
    let over = false;
    this.schedule(ms, () => {
      over = true;
    });
    await this.runUntil(() => over, { ms: ms + 1, what: 'time' });
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(event, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): Event | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, last)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

function before(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.number < b.number);
}

/** Lets every promise that can settle do so. */
function settle(): Promise<void> {
  return new Promise(resolve => setImmediate(resolve));
}
