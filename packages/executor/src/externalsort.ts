/**
 * Sorting more than fits into memory (tuplesort.c): what does is sorted and goes onto a tape as a run, and runs are merged.
 *
 * As soon as there are as many runs of one size as can be merged at a time they become one of the next size, so that there are
 * never many. Merges are of neighbours in the order of the input, and of equal rows the one that came first goes first: the
 * order is that of a sort in memory.
 */
import { type ExecEnv } from './estate.ts';
import { Tape, tapeBlockBytes, TapeReader, TapeSet } from './logtape.ts';
import { MISS, YIELD } from './status.ts';
import type { TupleSort } from './tuplesort.ts';

/** Steps of work that say what they wait for: MISS or YIELD. */
export type Waits = Generator<number, void>;

/** As PostgreSQL has it (MINORDER, MAXORDER). */
const LEAST_ORDER = 6;
const LARGEST_ORDER = 500;
/** Rows written between two looks at the clock and at what is on its way. */
const ROWS_AT_ONCE = 64;

export class ExternalSort {
  readonly #env: ExecEnv;
  readonly #sort: TupleSort;
  readonly #set: TapeSet;
  readonly #order: number;
  /** By level, each in the order of the input. */
  readonly #runs: Tape[][] = [];
  #merge: Merge | undefined;
  /** Runs that were written. */
  runs = 0;

  constructor(env: ExecEnv, sort: TupleSort, memoryBytes: number) {
    this.#env = env;
    this.#sort = sort;
    const block = tapeBlockBytes(memoryBytes);
    this.#set = new TapeSet(env, block);
    this.#order = Math.min(LARGEST_ORDER, Math.max(LEAST_ORDER, Math.floor(memoryBytes / (2 * block))));
  }

  /** Of the file. */
  get bytes(): number {
    return this.#set.bytes;
  }

  /** What the sort has becomes a run; it is empty afterwards, its rows are the caller's to forget. */
  *addRun(): Waits {
    const shouldYield = (): boolean => this.#env.shouldYield();
    while (!this.#sort.step(shouldYield)) yield YIELD;
    const tape = new Tape(this.#set);
    const { i32 } = this.#env.mem;
    for (let i = 0; i < this.#sort.count; i++) {
      const ptr = this.#sort.at(i);
      tape.write(ptr, i32[(ptr - 4) >> 2]!, 0);
      if (i % ROWS_AT_ONCE === 0) yield* this.#pause();
    }
    tape.flush();
    this.#sort.clear();
    this.runs++;
    this.#level(0).push(tape);
    for (let level = 0; this.#level(level).length === this.#order; level++) {
      const merged = yield* this.#mergeRuns(this.#level(level).splice(0));
      this.#level(level + 1).push(merged);
    }
  }

  #level(n: number): Tape[] {
    return (this.#runs[n] ??= []);
  }

  *#pause(): Waits {
    while (this.#set.full) yield this.#set.wait();
    if (this.#env.shouldYield()) yield YIELD;
  }

  /** All runs are there: as few are left as can be merged while they are read. */
  *finish(): Waits {
    const runs = this.#runs.splice(0).reverse().flat();
    while (runs.length > this.#order) {
      const some = runs.splice(-Math.min(this.#order, runs.length - this.#order + 1));
      runs.push(yield* this.#mergeRuns(some));
    }
    this.#merge = new Merge(this.#sort, runs);
  }

  *#mergeRuns(runs: readonly Tape[]): Generator<number, Tape> {
    const merge = new Merge(this.#sort, runs);
    this.#merge = merge;
    const tape = new Tape(this.#set);
    const { i32 } = this.#env.mem;
    for (let n = 0; ; n++) {
      const ptr = merge.next();
      if (ptr === 0) break;
      if (ptr === MISS) {
        yield MISS;
        continue;
      }
      tape.write(ptr, i32[(ptr - 4) >> 2]!, 0);
      if (n % ROWS_AT_ONCE === 0) {
        merge.forget();
        yield* this.#pause();
      }
    }
    merge.close();
    tape.flush();
    this.#merge = undefined;
    return tape;
  }

  /** The next row, 0, or MISS. Rows are good until `forget`. */
  next(): number {
    return this.#merge!.next();
  }

  forget(): void {
    this.#merge!.forget();
  }

  close(): void {
    this.#merge?.close();
    this.#set.close();
  }
}

/** Some runs as one: a heap of their next rows. */
class Merge {
  readonly #sort: TupleSort;
  readonly #readers: readonly TapeReader[];
  readonly #ptrs: Int32Array;
  readonly #words: Uint32Array;
  /** Numbers of readers. */
  readonly #heap: Int32Array;
  #n = 0;
  /** Readers that have been asked for their first row. */
  #begun = 0;
  /** The first one's row was handed out: its next is needed. */
  #taken = false;

  constructor(sort: TupleSort, runs: readonly Tape[]) {
    this.#sort = sort;
    this.#readers = runs.map(run => new TapeReader(run, true));
    this.#ptrs = new Int32Array(runs.length);
    this.#words = new Uint32Array(runs.length);
    this.#heap = new Int32Array(runs.length);
  }

  next(): number {
    while (this.#begun < this.#readers.length) {
      const ptr = this.#readers[this.#begun]!.next();
      if (ptr === MISS) return MISS;
      if (ptr !== 0) this.#insert(this.#begun, ptr);
      this.#begun++;
    }
    if (this.#taken) {
      const first = this.#heap[0]!;
      const ptr = this.#readers[first]!.next();
      if (ptr === MISS) return MISS;
      this.#taken = false;
      if (ptr !== 0) {
        this.#put(first, ptr);
        this.#sink(first);
      } else if (--this.#n > 0) this.#sink(this.#heap[this.#n]!);
    }
    if (this.#n === 0) return 0;
    this.#taken = true;
    return this.#ptrs[this.#heap[0]!]!;
  }

  #put(reader: number, ptr: number): void {
    this.#ptrs[reader] = ptr;
    this.#words[reader] = this.#sort.word(ptr);
  }

  #after(a: number, b: number): boolean {
    const c = this.#sort.order(this.#words[a]!, this.#ptrs[a]!, this.#words[b]!, this.#ptrs[b]!);
    return c === 0 ? a > b : c > 0;
  }

  #insert(reader: number, ptr: number): void {
    this.#put(reader, ptr);
    const heap = this.#heap;
    let i = this.#n++;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!this.#after(heap[parent]!, reader)) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = reader;
  }

  /** The reader takes the place of the first, and sinks to its own. */
  #sink(reader: number): void {
    const heap = this.#heap;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= this.#n) break;
      if (child + 1 < this.#n && this.#after(heap[child]!, heap[child + 1]!)) child++;
      if (!this.#after(reader, heap[child]!)) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = reader;
  }

  forget(): void {
    for (const reader of this.#readers) reader.forget();
  }

  close(): void {
    for (const reader of this.#readers) reader.close();
  }
}
