/**
 * The rows of the partition that a WindowAgg works on: handed out once from front to end, and any of them by its number; those
 * beyond work_mem on disk. Which of them are peers is a bit per row.
 */
import type { ExecEnv } from './estate.ts';
import type { RowWriter } from './rowstore.ts';
import type { MISS } from './status.ts';
import { TupleSeeker } from './tupleseek.ts';
import { TupleStore, TupleStoreReader } from './tuplestore.ts';

export class WindowRows {
  readonly #store: TupleStore;
  readonly #reader: TupleStoreReader;
  readonly #seeker: TupleSeeker;
  count = 0;
  /** A bit for each first row of a peer group. */
  #starts = new Int32Array(64);
  /** The group asked about last: [start, end). */
  #start = 0;
  #end = 0;

  constructor(env: ExecEnv) {
    this.#store = new TupleStore(env);
    this.#reader = new TupleStoreReader(this.#store);
    this.#seeker = new TupleSeeker(env, this.#store);
  }

  add(writer: RowWriter, row: number, startsGroup: boolean): void {
    this.#seeker.wrote(this.#store.write(writer, row));
    const n = this.count++;
    const word = n >> 5;
    if (word === this.#starts.length) {
      const larger = new Int32Array(this.#starts.length * 2);
      larger.set(this.#starts);
      this.#starts = larger;
    }
    if ((n & 31) === 0) this.#starts[word] = 0;
    if (startsGroup) this.#starts[word]! |= 1 << (n & 31);
  }

  /** So much is on its way to the disk that who adds more waits first. */
  get full(): boolean {
    return this.#store.full;
  }

  wait(): typeof MISS {
    return this.#store.wait();
  }

  /** All rows are there. */
  complete(): void {
    this.#store.flush();
  }

  /** The next rows of all, good until the next are read: how many; MISS. */
  read(ptrs: Int32Array, max: number): number {
    return this.#reader.read(ptrs, max);
  }

  /** Where a row stands until another is asked for; MISS. */
  at(row: number): number {
    return this.#seeker.at(row);
  }

  /** First row of a row's peer group. */
  peerStart(row: number): number {
    if (row < this.#start || row >= this.#end) this.#findGroup(row);
    return this.#start;
  }

  /** First row behind a row's peer group. */
  peerEnd(row: number): number {
    if (row < this.#start || row >= this.#end) this.#findGroup(row);
    return this.#end;
  }

  #findGroup(row: number): void {
    const starts = this.#starts;
    let word = row >> 5;
    let bits = starts[word]! & (-1 >>> (31 - (row & 31)));
    while (bits === 0) bits = starts[--word]!;
    this.#start = 32 * word + 31 - Math.clz32(bits);
    const last = (this.count - 1) >> 5;
    word = row >> 5;
    bits = (row & 31) === 31 ? 0 : starts[word]! & (-1 << ((row & 31) + 1));
    while (bits === 0 && word < last) bits = starts[++word]!;
    this.#end = bits === 0 ? this.count : 32 * word + 31 - Math.clz32(bits & -bits);
  }

  clear(): void {
    this.#forget();
    this.#store.clear();
  }

  free(): void {
    this.#forget();
    this.#store.free();
  }

  #forget(): void {
    this.#reader.rewind();
    this.#seeker.clear();
    this.count = 0;
    this.#start = 0;
    this.#end = 0;
  }
}
