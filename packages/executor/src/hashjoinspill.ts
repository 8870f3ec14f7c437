/**
 * A hash join whose table takes more than work_mem times hash_mem_multiplier (nodeHash.c's batches): both inputs go to tapes
 * by their keys' hashes, and each pair of tapes is joined by itself.
 *
 * A part whose inner rows are too many still is divided again. When that cannot help, as of one key that nearly all rows have,
 * its table is filled as far as there is room, the outer rows are joined with that, and both go on: which outer rows have found
 * a partner is kept then, a bit for each.
 */
import type { Datum } from '@pgtroupe/common/datum';
import { type Column, tupleLength } from './batch.ts';
import type { EState } from './estate.ts';
import { readColumn } from './execExpr.ts';
import { attrReader, type AttrReader } from './heapattr.ts';
import type { LaneCopy } from './joinlanes.ts';
import { type Tape, TAPE_WORD, TapeReader } from './logtape.ts';
import { LAST_LEVEL, partOf, SpillFile } from './partitions.ts';
import { RowWriter } from './rowstore.ts';
import { makeScope, type SubPlanFactory } from './scope.ts';
import { END, MISS, YIELD } from './status.ts';

const ROWS_AT_ONCE = 64;

interface Part {
  readonly inner: Tape;
  readonly outer: Tape;
  readonly level: number;
}

export class JoinSpill {
  readonly #est: EState;
  readonly file: SpillFile;
  readonly #lanes: LaneCopy;
  readonly #rest: RowWriter;
  readonly #readers: readonly AttrReader[];
  #inner: Tape[];
  #outer: Tape[];
  /** Of the tapes that are being filled. */
  #level = 0;
  readonly #parts: Part[] = [];
  #part: Part | undefined;
  #innerReader: TapeReader | undefined;
  #outerReader: TapeReader | undefined;
  /** The outer row: its tuples, all else, its key's hash. */
  readonly tuples: Int32Array;
  readonly values: Datum[] = [];
  hash = 0;
  /** Pieces of the row that were read. */
  #pieces = 0;
  /** The row's number, and which rows have found partners in earlier rounds. */
  #number = -1;
  #matched: Uint8Array | undefined;
  /** The inner row that there was no room for, 0 none. */
  #waiting = 0;
  /** Parts that were joined or are about to be. */
  parts = 0;

  constructor(est: EState, factory: SubPlanFactory, lanes: LaneCopy, memoryBytes: number) {
    this.#est = est;
    this.file = new SpillFile(est.env, memoryBytes);
    this.#lanes = lanes;
    const { types } = lanes;
    const scope = makeScope(est, factory, {});
    const columns = types.map((type): Column => ({ kind: 'const', type, value: () => null }));
    this.#rest = new RowWriter(est, columns, column => readColumn(scope, column));
    this.#readers = types.map((_, i) => attrReader(est.env.mem, this.#rest.desc, i + 1));
    this.tuples = new Int32Array(lanes.tupleCount);
    this.#inner = this.file.tapes();
    this.#outer = this.file.tapes();
  }

  get bytes(): number {
    return this.file.bytes;
  }

  /** Where an inner row with this key belongs. */
  innerTape(hash: number): Tape {
    return this.#inner[partOf(hash, this.#level)]!;
  }

  /** Would an outer row with this key meet anybody? */
  meets(hash: number): boolean {
    return this.#inner[partOf(hash, this.#level)]!.rows > 0;
  }

  /** Outer row `row` of the input. */
  writeOuter(row: number, hash: number): void {
    const tape = this.#outer[partOf(hash, this.#level)]!;
    const { arena } = this.#est.env;
    for (let i = 0; i < this.tuples.length; i++) {
      const ptr = this.#lanes.tuple(i, row);
      tape.write(ptr, ptr === 0 ? 0 : tupleLength(arena, ptr), hash);
    }
    if (this.#readers.length === 0 && this.tuples.length > 0) return;
    this.#lanes.values(row, this.values);
    this.file.writeValues(tape, this.#rest, this.values, hash);
  }

  /** All rows of both sides are on tapes. */
  written(): void {
    for (const [n, inner] of this.#inner.entries()) {
      const outer = this.#outer[n]!;
      inner.flush();
      outer.flush();
      if (inner.rows > 0 || outer.rows > 0) this.#parts.push({ inner, outer, level: this.#level });
    }
  }

  /** The next part; false: there is none. */
  begin(): boolean {
    this.#closeReaders();
    this.#part = this.#parts.pop();
    if (this.#part === undefined) return false;
    this.parts++;
    this.#matched = undefined;
    this.#waiting = 0;
    this.#innerReader = new TapeReader(this.#part.inner, true);
    return true;
  }

  /** The next inner row; 0 at the end, or MISS. It is good until the next one is asked for. */
  nextInner(): number {
    if (this.#waiting !== 0) {
      const ptr = this.#waiting;
      this.#waiting = 0;
      return ptr;
    }
    this.#innerReader!.forget();
    return this.#innerReader!.next();
  }

  hashOf(ptr: number): number {
    return this.#est.env.mem.i32[(ptr + TAPE_WORD) >> 2]!;
  }

  /** There was no room for the inner row that came last. */
  giveBack(ptr: number): void {
    this.#waiting = ptr;
  }

  get innerIsLeft(): boolean {
    return this.#waiting !== 0;
  }

  /** Could the part be divided? */
  get divisible(): boolean {
    return this.#part!.level < LAST_LEVEL && this.#matched === undefined;
  }

  /** The part's rows go to tapes of the next level: inner ones by `innerTape`, then `divideOuter`. */
  divide(): void {
    this.#level = this.#part!.level + 1;
    this.#inner = this.file.tapes();
    this.#outer = this.file.tapes();
    this.parts--;
  }

  /** Divides outer rows: END when that were all. */
  divideOuter(): number {
    this.#outerReader ??= new TapeReader(this.#part!.outer, true);
    for (let n = 1; ; n++) {
      this.#outerReader.forget();
      const ptr = this.#outerReader.next();
      if (ptr === MISS) return MISS;
      if (ptr === 0) break;
      const hash = this.hashOf(ptr);
      this.file.copy(this.#outer[partOf(hash, this.#level)]!, ptr, hash);
      const status = n % ROWS_AT_ONCE === 0 ? this.pause() : END;
      if (status !== END) return status;
    }
    this.written();
    return END;
  }

  /** Between rows: is it time to wait for the disk, or for others? */
  pause(): number {
    if (this.file.set.full) return this.file.set.wait();
    return this.#est.env.shouldYield() ? YIELD : END;
  }

  /** A round of the outer rows begins; in the last one their tape goes as it is read. */
  beginOuter(last: boolean): void {
    this.#outerReader?.close();
    this.#outerReader = new TapeReader(this.#part!.outer, last);
    if (!last && this.#matched === undefined) this.#matched = new Uint8Array((this.#part!.outer.rows >> 3) + 1);
    this.#number = -1;
    this.#pieces = 0;
  }

  /** The next outer row: 1, 0 at the end, or MISS. */
  nextOuter(): number {
    const reader = this.#outerReader!;
    const { length } = this.tuples;
    const all = this.#readers.length > 0 || length === 0 ? length + 1 : length;
    while (this.#pieces < all) {
      const ptr = reader.next();
      if (ptr <= 0) return ptr;
      if (this.#pieces === 0) this.hash = this.hashOf(ptr);
      if (this.#pieces === length)
        for (let i = 0; i < this.#readers.length; i++) this.values[i] = this.#readers[i]!(ptr);
      else this.tuples[this.#pieces] = this.#est.env.mem.i32[(ptr - 4) >> 2] === 0 ? 0 : ptr;
      this.#pieces++;
    }
    this.#pieces = 0;
    this.#number++;
    return 1;
  }

  /** Outer rows read so far are not needed any more. */
  forgetOuter(): void {
    this.#outerReader?.forget();
  }

  /** The outer row found a partner in an earlier round. */
  get matched(): boolean {
    return this.#matched !== undefined && (this.#matched[this.#number >> 3]! & (1 << (this.#number & 7))) !== 0;
  }

  noteMatch(): void {
    if (this.#matched !== undefined) this.#matched[this.#number >> 3]! |= 1 << (this.#number & 7);
  }

  #closeReaders(): void {
    this.#innerReader?.close();
    this.#outerReader?.close();
    this.#innerReader = undefined;
    this.#outerReader = undefined;
  }

  close(): void {
    this.#closeReaders();
    this.file.close();
  }
}
