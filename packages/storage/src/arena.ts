/**
 * Allocator for the arena region of an instance's memory: sorts, hash tables and materialised rows
 * of all its sessions take chunks here, so that a copied tuple is an offset like a tuple on a page.
 *
 * Chunks are powers of two from 8 KB. Freed chunks go to a list per size; a request that finds none
 * takes fresh memory, then splits a larger free chunk, and at last fails with 53200.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Memory } from './buffer/pages.ts';

const MIN_SHIFT = 13;
const MAX_SHIFT = 30;

export class Arena {
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

  /** What `alloc(bytes)` really hands out; pass it to `free`. */
  static chunkSize(bytes: number): number {
    return 2 ** shiftFor(bytes);
  }

  /** Offset of a chunk of at least `bytes`, 8192-aligned relative to the region's start. */
  alloc(bytes: number): number {
    const shift = shiftFor(bytes);
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
    return this.#split(shift, bytes);
  }

  free(at: number, bytes: number): void {
    const shift = shiftFor(bytes);
    this.used -= 2 ** shift;
    this.#free[shift - MIN_SHIFT]!.push(at);
  }

  #split(shift: number, bytes: number): number {
    for (let larger = shift + 1; larger <= MAX_SHIFT; larger++) {
      const at = this.#free[larger - MIN_SHIFT]!.pop();
      if (at === undefined) continue;
      for (let s = larger - 1; s >= shift; s--) this.#free[s - MIN_SHIFT]!.push(at + 2 ** s);
      this.used += 2 ** shift;
      return at;
    }
    throw ereport(ERRCODE.OUT_OF_MEMORY, 'out of memory', {
      detail: `Failed on request of size ${bytes} in the arena of this backend instance.`,
    });
  }
}

function shiftFor(bytes: number): number {
  let shift = MIN_SHIFT;
  while (2 ** shift < bytes) shift++;
  return shift;
}
