/**
 * Any row of a complete TupleStore by its number: those in memory stand where they are, those on the tape come in whole
 * extents, of which the last ones that were asked for stay in the arena.
 */
import { Arena } from '@pgtroupe/storage/arena';
import type { ExecEnv } from './estate.ts';
import { behindRowOnTape, type Extent, ExtentRead, rowOnTape } from './logtape.ts';
import { MISS } from './status.ts';
import type { TupleStore } from './tuplestore.ts';

/** Extents that stay: together they are about as large as work_mem. */
const MOST_LOADED = 32;

interface Loaded {
  readonly firstRow: number;
  readonly at: number;
  readonly size: number;
  /** Where its rows stand. */
  readonly ptrs: Int32Array;
}

export class TupleSeeker {
  readonly #env: ExecEnv;
  readonly #store: TupleStore;
  #ptrs = new Int32Array(256);
  #inMemory = 0;
  /** By their place on the tape, that asked for last at the end. */
  readonly #loaded = new Map<number, Loaded>();
  #last: Loaded | undefined;
  #read: ExtentRead | undefined;

  constructor(env: ExecEnv, store: TupleStore) {
    this.#env = env;
    this.#store = store;
  }

  /** What the store answered to each row it was given. */
  wrote(ptr: number): void {
    if (ptr === 0) return;
    if (this.#inMemory === this.#ptrs.length) {
      const larger = new Int32Array(this.#ptrs.length * 2);
      larger.set(this.#ptrs);
      this.#ptrs = larger;
    }
    this.#ptrs[this.#inMemory++] = ptr;
  }

  /** Where a row stands until another is asked for; MISS. */
  at(row: number): number {
    if (row < this.#inMemory) return this.#ptrs[row]!;
    const onTape = row - this.#inMemory;
    let loaded = this.#last;
    if (loaded === undefined || onTape < loaded.firstRow || onTape >= loaded.firstRow + loaded.ptrs.length) {
      loaded = this.#find(onTape);
      if (loaded === undefined) return MISS;
      this.#last = loaded;
    }
    return loaded.ptrs[onTape - loaded.firstRow]!;
  }

  #find(row: number): Loaded | undefined {
    const { extents } = this.#store.tape!;
    let low = 0;
    let high = extents.length - 1;
    while (low < high) {
      const mid = (low + high + 1) >> 1;
      if (extents[mid]!.firstRow <= row) low = mid;
      else high = mid - 1;
    }
    const known = this.#loaded.get(low);
    if (known === undefined) return this.#load(low, extents[low]!);
    this.#loaded.delete(low);
    this.#loaded.set(low, known);
    return known;
  }

  #load(number: number, extent: Extent): Loaded | undefined {
    const { tape } = this.#store;
    let bytes = tape!.inMemory(number);
    if (bytes === undefined) {
      if (this.#read?.extent !== extent) this.#read = new ExtentRead(tape!.set, extent);
      bytes = this.#read.bytes();
      if (bytes === undefined) return undefined;
      this.#read = undefined;
    }
    if (this.#loaded.size >= MOST_LOADED) {
      const [oldest] = this.#loaded.keys();
      this.#drop(oldest!);
    }
    const { arena, mem } = this.#env;
    const size = Arena.chunkSize(bytes.length);
    const at = arena.alloc(size);
    mem.u8.set(bytes, at);
    const ptrs: number[] = [];
    for (let from = at; from < at + bytes.length; ) {
      const ptr = rowOnTape(from);
      ptrs.push(ptr);
      from = behindRowOnTape(mem, ptr);
    }
    const loaded = { firstRow: extent.firstRow, at, size, ptrs: Int32Array.from(ptrs) };
    this.#loaded.set(number, loaded);
    return loaded;
  }

  #drop(number: number): void {
    const { at, size } = this.#loaded.get(number)!;
    this.#loaded.delete(number);
    this.#env.arena.free(at, size);
  }

  /** Before the store is cleared. */
  clear(): void {
    for (const number of [...this.#loaded.keys()]) this.#drop(number);
    this.#last = undefined;
    this.#read = undefined;
    this.#inMemory = 0;
  }
}
