/**
 * Rows kept to be read again, by as many readers as like (tuplestore.c): the first in memory, those beyond work_mem on a tape.
 * Rows in memory stay until `clear`, rows of the tape until their reader forgets them.
 */
import type { ExecEnv } from './estate.ts';
import { Tape, TapeReader } from './logtape.ts';
import { RowStore, type RowWriter, StorePosition } from './rowstore.ts';
import { MISS } from './status.ts';
import { SpillFile } from './partitions.ts';

export class TupleStore {
  readonly #env: ExecEnv;
  readonly #memory: RowStore;
  #memoryBytes = 0;
  #file: SpillFile | undefined;
  tape: Tape | undefined;

  constructor(env: ExecEnv) {
    this.#env = env;
    this.#memory = new RowStore(env.arena);
  }

  get spilled(): boolean {
    return this.tape !== undefined;
  }

  /** A row of a writer's batch: where it stands in memory, 0 on the tape. */
  write(writer: RowWriter, row: number): number {
    if (this.#file === undefined && !this.#isFull()) return writer.write(this.#memory, row);
    this.#onTape().write(this.tape!, writer, row, 0);
    return 0;
  }

  /** A stored row. */
  copy(ptr: number): void {
    if (this.#file === undefined && !this.#isFull()) this.#memory.copy(ptr);
    else this.#onTape().copy(this.tape!, ptr, 0);
  }

  #onTape(): SpillFile {
    if (this.#file !== undefined) return this.#file;
    this.#file = new SpillFile(this.#env, this.#memoryBytes);
    this.tape = new Tape(this.#file.set);
    return this.#file;
  }

  #isFull(): boolean {
    if (this.#memoryBytes === 0) this.#memoryBytes = this.#env.temp === undefined ? Infinity : this.#env.workMemBytes;
    if (this.#memoryBytes === Infinity || this.#memory.count === 0) return false;
    return this.#memory.bytes > this.#memoryBytes || this.#memory.cramped;
  }

  /** So much is on its way that who goes on writing waits first. */
  get full(): boolean {
    return this.#file?.set.full === true;
  }

  wait(): typeof MISS {
    return this.#file!.set.wait();
  }

  /** There will be no more rows soon. */
  flush(): void {
    this.tape?.flush();
  }

  nextInMemory(where: StorePosition): number {
    return this.#memory.next(where);
  }

  clear(): void {
    this.#close();
    this.#memory.clear();
  }

  free(): void {
    this.#close();
    this.#memory.free();
  }

  #close(): void {
    this.#file?.close();
    this.#file = undefined;
    this.tape = undefined;
    this.#memoryBytes = 0;
  }
}

/** One who reads the store from its beginning. */
export class TupleStoreReader {
  readonly #store: TupleStore;
  #where = new StorePosition();
  #reader: TapeReader | undefined;

  constructor(store: TupleStore) {
    this.#store = store;
  }

  /** Up to `max` rows into `ptrs`: how many; 0 at the end, for now; MISS. The rows of the tape that came before go. */
  read(ptrs: Int32Array, max: number): number {
    this.#reader?.forget();
    let n = 0;
    while (n < max) {
      const ptr = this.#next();
      if (ptr <= 0) return n > 0 ? n : ptr;
      ptrs[n++] = ptr;
    }
    return n;
  }

  #next(): number {
    if (this.#reader === undefined) {
      const ptr = this.#store.nextInMemory(this.#where);
      if (ptr !== 0 || this.#store.tape === undefined) return ptr;
      this.#reader = new TapeReader(this.#store.tape, false);
    }
    return this.#reader.next();
  }

  /** Begins anew; also before the store is cleared. */
  rewind(): void {
    this.#reader?.close();
    this.#reader = undefined;
    this.#where = new StorePosition();
  }
}
