/**
 * Hash table over stored rows: buckets are chains through the rows' own prefix words, so the table itself
 * is one Int32Array and no object per row exists.
 */
import { STORED_PREFIX } from './batch.ts';
import type { RowStore } from './rowstore.ts';

const FIRST_BUCKETS = 64;

export class RowHash {
  readonly store: RowStore;
  #buckets = new Int32Array(FIRST_BUCKETS);
  #mask = FIRST_BUCKETS - 1;
  #count = 0;

  constructor(store: RowStore) {
    this.store = store;
  }

  get buckets(): number {
    return this.#buckets.length;
  }

  /** First row of the chain for a hash, 0 for none; go on with `next`. */
  first(hash: number): number {
    return this.#buckets[hash & this.#mask]!;
  }

  next(ptr: number): number {
    return this.store.arena.mem.i32[(ptr - STORED_PREFIX) >> 2]!;
  }

  hashAt(ptr: number): number {
    return this.store.arena.mem.i32[(ptr - 12) >> 2]!;
  }

  add(ptr: number, hash: number): void {
    if (this.#count > this.#buckets.length) this.#grow();
    const { i32 } = this.store.arena.mem;
    const bucket = hash & this.#mask;
    i32[(ptr - STORED_PREFIX) >> 2] = this.#buckets[bucket]!;
    i32[(ptr - 12) >> 2] = hash;
    this.#buckets[bucket] = ptr;
    this.#count++;
  }

  #grow(): void {
    const old = this.#buckets;
    const buckets = new Int32Array(old.length * 4);
    const mask = buckets.length - 1;
    const { i32 } = this.store.arena.mem;
    for (let b = 0; b < old.length; b++) {
      let ptr = old[b]!;
      while (ptr !== 0) {
        const next = i32[(ptr - STORED_PREFIX) >> 2]!;
        const to = i32[(ptr - 12) >> 2]! & mask;
        i32[(ptr - STORED_PREFIX) >> 2] = buckets[to]!;
        buckets[to] = ptr;
        ptr = next;
      }
    }
    this.#buckets = buckets;
    this.#mask = mask;
  }

  /** Forgets the rows (the store is the owner's to clear). */
  clear(): void {
    if (this.#buckets.length > 65536) {
      this.#buckets = new Int32Array(FIRST_BUCKETS);
      this.#mask = FIRST_BUCKETS - 1;
    } else this.#buckets.fill(0);
    this.#count = 0;
  }
}
