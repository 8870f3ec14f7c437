/**
 * Allocator for the arena region of an instance's memory: sorts, hash tables and materialised rows
 * of all its sessions take chunks here, so that a copied tuple is an offset like a tuple on a page.
 *
 * Chunks are powers of two from 8 KB. Freed chunks go to a list per size; a request that finds none
 * takes fresh memory, then splits a larger free chunk, then joins free neighbours, and at last fails with 53200.
 *
 * Each session has an account (`Arena`): whoever it is, it leaves a quarter of what the others do not use, so
 * that one statement's sort never takes the last chunk from another's.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Memory } from './buffer/pages.ts';

const MIN_SHIFT = 13;
const MAX_SHIFT = 30;
/** Of what the others leave, the part that one account may have. */
const SHARE = 3 / 4;
/** Of the region, what an account shall keep free of its share: for what has to be in memory at the same time. */
const RESERVE = 1 / 32;

interface Run {
  at: number;
  size: number;
}

/** The region and its free lists. */
export class ArenaSpace {
  readonly mem: Memory;
  /** Offsets from here on are arena, below it are pages. */
  readonly start: number;
  readonly #end: number;
  #fresh: number;
  readonly #free: number[][] = [];
  /** Bytes handed out now. */
  used = 0;

  constructor(mem: Memory, from: number, to: number) {
    this.mem = mem;
    this.start = from;
    this.#fresh = from;
    this.#end = to;
    for (let shift = MIN_SHIFT; shift <= MAX_SHIFT; shift++) this.#free.push([]);
  }

  get capacity(): number {
    return this.#end - this.start;
  }

  /** Offset of a chunk of 2^shift bytes, 8192-aligned relative to the region's start; -1: there is none. */
  take(shift: number): number {
    const size = 2 ** shift;
    const reused = this.#free[shift - MIN_SHIFT]!.pop();
    if (reused !== undefined) {
      this.used += size;
      return reused;
    }
    if (this.#fresh + size <= this.#end) {
      const at = this.#fresh;
      this.#fresh += size;
      this.used += size;
      return at;
    }
    return this.#split(shift) || this.#join(shift) || -1;
  }

  give(at: number, shift: number): void {
    this.used -= 2 ** shift;
    this.#free[shift - MIN_SHIFT]!.push(at);
  }

  /** From a larger chunk; 0: there is none. */
  #split(shift: number): number {
    for (let larger = shift + 1; larger <= MAX_SHIFT; larger++) {
      const at = this.#free[larger - MIN_SHIFT]!.pop();
      if (at === undefined) continue;
      for (let s = larger - 1; s >= shift; s--) this.#free[s - MIN_SHIFT]!.push(at + 2 ** s);
      this.used += 2 ** shift;
      return at;
    }
    return 0;
  }

  /** From free chunks that lie side by side; 0: none is long enough. */
  #join(shift: number): number {
    const size = 2 ** shift;
    const runs = this.#takeRuns();
    const run = runs.find(r => r.size >= size);
    const at = run?.at ?? 0;
    if (run !== undefined) {
      run.at += size;
      run.size -= size;
      this.used += size;
    }
    for (const rest of runs) this.#putRun(rest);
    return at;
  }

  /** All that is free, in the order of offsets; what lies before fresh memory is fresh again. */
  #takeRuns(): Run[] {
    const chunks: Run[] = [];
    for (const [i, list] of this.#free.entries()) {
      for (const at of list) chunks.push({ at, size: 2 ** (i + MIN_SHIFT) });
      list.length = 0;
    }
    if (this.#fresh < this.#end) chunks.push({ at: this.#fresh, size: this.#end - this.#fresh });
    this.#fresh = this.#end;
    chunks.sort((a, b) => a.at - b.at);
    const runs: Run[] = [];
    for (const chunk of chunks) {
      const last = runs[runs.length - 1];
      if (last !== undefined && last.at + last.size === chunk.at) last.size += chunk.size;
      else runs.push(chunk);
    }
    return runs;
  }

  #putRun({ at, size }: Run): void {
    if (at + size === this.#end) {
      this.#fresh = at;
      return;
    }
    while (size >= 2 ** MIN_SHIFT) {
      const shift = Math.min(MAX_SHIFT, Math.floor(Math.log2(size)));
      this.#free[shift - MIN_SHIFT]!.push(at);
      at += 2 ** shift;
      size -= 2 ** shift;
    }
  }
}

/** One session's chunks. */
export class Arena {
  readonly mem: Memory;
  /** Offsets from here on are arena, below it are pages. */
  readonly start: number;
  readonly #space: ArenaSpace;
  /** What is handed out, by offset. */
  readonly #chunks = new Map<number, number>();
  /** Bytes handed out now. */
  used = 0;

  constructor(space: ArenaSpace) {
    this.#space = space;
    this.mem = space.mem;
    this.start = space.start;
  }

  /** What `alloc(bytes)` really hands out; pass it to `free`. */
  static chunkSize(bytes: number): number {
    return 2 ** shiftFor(bytes);
  }

  /** What this account may have. */
  get #mine(): number {
    const { capacity, used } = this.#space;
    return SHARE * (capacity - (used - this.used));
  }

  /** Its share is nearly used up. */
  get cramped(): boolean {
    return this.used > this.#mine - RESERVE * this.#space.capacity;
  }

  /** Offset of a chunk of at least `bytes`; 53200 if it would be more than this account's share. */
  alloc(bytes: number): number {
    const shift = shiftFor(bytes);
    const space = this.#space;
    const size = 2 ** shift;
    const at = this.used + size > this.#mine ? -1 : space.take(shift);
    if (at < 0) {
      throw ereport(ERRCODE.OUT_OF_MEMORY, 'out of memory', {
        detail: `Failed on request of size ${bytes} in the arena of this backend instance.`,
      });
    }
    this.used += size;
    this.#chunks.set(at, shift);
    return at;
  }

  free(at: number, bytes: number): void {
    // What comes after `close` was given back by it.
    if (!this.#chunks.delete(at)) return;
    const shift = shiftFor(bytes);
    this.used -= 2 ** shift;
    this.#space.give(at, shift);
  }

  /** The session is over: whatever it still has goes back. */
  close(): void {
    for (const [at, shift] of this.#chunks) this.#space.give(at, shift);
    this.#chunks.clear();
    this.used = 0;
  }
}

function shiftFor(bytes: number): number {
  let shift = MIN_SHIFT;
  while (2 ** shift < bytes) shift++;
  return shift;
}
