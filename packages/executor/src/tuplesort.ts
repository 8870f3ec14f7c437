/**
 * Sorting stored tuples: offsets with the first four bytes of their order cached beside them.
 *
 * Bottom-up merge sort over runs; it works in steps, so that a sort of any size can be interrupted between
 * them. With a bound only the smallest rows are kept, in a heap.
 */
import type { TupleDesc } from '@pgtroupe/access/common/tupdesc';
import type { Datum } from '@pgtroupe/common/datum';
import type { Memory } from '@pgtroupe/storage/buffer/pages';
import { attrReader, type AttrReader, byteLocator, ByteRange } from './heapattr.ts';
import { compareUnder, type SortKey, unpaddedLength } from './keys.ts';

const left = new ByteRange();
const right = new ByteRange();

const RUN = 16;
/** An offset and a word, twice, and room to grow. */
const BYTES_PER_ROW = 24;
/** Elements moved between two looks at the clock. */
const STEP = 8192;
/** Native code compares from here on. */
const MANY_BYTES = 256;
/** Of long values, compared between two looks at the clock: some hundred microseconds. */
const STEP_BYTES = 1 << 21;

export class TupleSort {
  readonly #keys: readonly SortKey[];
  readonly #readers: readonly AttrReader[];
  /** For byte strings: compared where they lie, without a view of each. */
  readonly #locators: readonly (((tuple: number, range: ByteRange) => boolean) | undefined)[];
  readonly #u8: Uint8Array;
  readonly #bytes: Buffer;
  /** Bytes of long values compared since somebody looked at the clock. */
  #compared = 0;
  /** Equal words mean equal first keys. */
  readonly #wordIsKey: boolean;
  #ptrs = new Int32Array(256);
  #words = new Uint32Array(256);
  count = 0;
  // State of the merge.
  #otherPtrs = new Int32Array(0);
  #otherWords = new Uint32Array(0);
  #width = 0;
  #at = 0;

  constructor(mem: Memory, desc: TupleDesc, attnums: readonly number[], keys: readonly SortKey[]) {
    this.#keys = keys;
    this.#readers = attnums.map(attnum => attrReader(mem, desc, attnum));
    this.#locators = attnums.map((attnum, i) =>
      keys[i]!.kind === 'bytes' || keys[i]!.kind === 'bpchar' ? byteLocator(mem, desc, attnum) : undefined,
    );
    this.#u8 = mem.u8;
    this.#bytes = Buffer.from(mem.u8.buffer, mem.u8.byteOffset, mem.u8.length);
    this.#wordIsKey = keys[0]!.kind === 'int32';
  }

  clear(): void {
    this.count = 0;
    this.#width = 0;
    this.#at = 0;
    if (this.#ptrs.length > 65536) {
      this.#ptrs = new Int32Array(256);
      this.#words = new Uint32Array(256);
    }
  }

  /** Of what it keeps beside the tuples, while it sorts. */
  get bytes(): number {
    return this.count * BYTES_PER_ROW;
  }

  at(i: number): number {
    return this.#ptrs[i]!;
  }

  add(ptr: number): void {
    if (this.count === this.#ptrs.length) this.#grow();
    this.#ptrs[this.count] = ptr;
    this.#words[this.count++] = this.word(ptr);
  }

  #grow(): void {
    const ptrs = new Int32Array(this.#ptrs.length * 2);
    const words = new Uint32Array(ptrs.length);
    ptrs.set(this.#ptrs);
    words.set(this.#words);
    this.#ptrs = ptrs;
    this.#words = words;
  }

  /** Order-preserving first bytes; nulls take the end (or beginning) of the range. */
  word(ptr: number): number {
    const key = this.#keys[0]!;
    const value = this.#readers[0]!(ptr);
    if (value === null) return key.nullsFirst ? 0 : 0xffffffff;
    const word = leadingWord(key, value);
    return key.desc ? ~word >>> 0 : word;
  }

  /** Full comparison of two tuples. */
  compare(a: number, b: number): number {
    for (let k = 0; k < this.#keys.length; k++) {
      const key = this.#keys[k]!;
      const locate = this.#locators[k];
      let c: number;
      if (locate !== undefined && locate(a, left) && left.at >= 0 && locate(b, right) && right.at >= 0)
        c = this.#compareInPlace(key);
      else c = compareUnder(key, this.#readers[k]!(a), this.#readers[k]!(b));
      if (c !== 0) return c;
    }
    return 0;
  }

  /** Order of the byte strings at `left` and `right`. */
  #compareInPlace(key: SortKey): number {
    const u8 = this.#u8;
    let m = left.length;
    let n = right.length;
    if (key.kind === 'bpchar') {
      m = unpaddedLength(u8, left.at, m);
      n = unpaddedLength(u8, right.at, n);
    }
    const common = m < n ? m : n;
    const p = left.at;
    const q = right.at;
    const few = common < MANY_BYTES ? common : MANY_BYTES;
    for (let i = 0; i < few; i++) {
      const d = u8[p + i]! - u8[q + i]!;
      if (d !== 0) return key.desc ? -d : d;
    }
    if (few < common) {
      this.#compared += common;
      const d = this.#bytes.compare(this.#bytes, q, q + n, p, p + m);
      return key.desc ? -d : d;
    }
    return key.desc ? n - m : m - n;
  }

  /** Order of two tuples whose words are known. */
  order(wordA: number, a: number, wordB: number, b: number): number {
    if (wordA !== wordB) return wordA < wordB ? -1 : 1;
    if (this.#wordIsKey && this.#keys.length === 1 && wordA !== 0 && wordA !== 0xffffffff) return 0;
    return this.compare(a, b);
  }

  /** Is `a` after `b`? */
  #after(wordA: number, a: number, wordB: number, b: number): boolean {
    if (wordA !== wordB) return wordA > wordB;
    // Words at the ends of the range stand for nulls too.
    if (this.#wordIsKey && this.#keys.length === 1 && wordA !== 0 && wordA !== 0xffffffff) return false;
    return this.compare(a, b) > 0;
  }

  // ---- bounded ----------------------------------------------------------------------------------------

  /** With `bound` rows kept: would this tuple be among the smallest? */
  wanted(ptr: number): boolean {
    return this.#after(this.#words[0]!, this.#ptrs[0]!, this.word(ptr), ptr);
  }

  /** Puts the tuple into the heap of the `bound` smallest; answers the one that fell out, 0 none. */
  addBounded(ptr: number, bound: number): number {
    const word = this.word(ptr);
    if (this.count < bound) {
      if (this.count === this.#ptrs.length) this.#grow();
      let i = this.count++;
      while (i > 0) {
        const parent = (i - 1) >> 1;
        if (!this.#after(word, ptr, this.#words[parent]!, this.#ptrs[parent]!)) break;
        this.#ptrs[i] = this.#ptrs[parent]!;
        this.#words[i] = this.#words[parent]!;
        i = parent;
      }
      this.#ptrs[i] = ptr;
      this.#words[i] = word;
      return 0;
    }
    const out = this.#ptrs[0]!;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= this.count) break;
      if (
        child + 1 < this.count &&
        this.#after(this.#words[child + 1]!, this.#ptrs[child + 1]!, this.#words[child]!, this.#ptrs[child]!)
      )
        child++;
      if (!this.#after(this.#words[child]!, this.#ptrs[child]!, word, ptr)) break;
      this.#ptrs[i] = this.#ptrs[child]!;
      this.#words[i] = this.#words[child]!;
      i = child;
    }
    this.#ptrs[i] = ptr;
    this.#words[i] = word;
    return out;
  }

  /** Replaces every offset by where its tuple was moved to. */
  relocate(move: (ptr: number) => number): void {
    for (let i = 0; i < this.count; i++) this.#ptrs[i] = move(this.#ptrs[i]!);
  }

  // ---- sorting ----------------------------------------------------------------------------------------

  /** Sorts on; true when done, false when `shouldYield` wants the turn to end. */
  step(shouldYield: () => boolean): boolean {
    const n = this.count;
    let moved = 0;
    if (this.#width === 0) {
      while (this.#at < n) {
        const end = Math.min(n, this.#at + RUN);
        this.#insertionSort(this.#at, end);
        this.#at = end;
        moved += RUN;
        if (moved >= STEP || this.#compared >= STEP_BYTES) {
          this.#compared = 0;
          if (shouldYield()) return false;
          moved = 0;
        }
      }
      this.#width = RUN;
      this.#at = 0;
      if (n > RUN && this.#otherPtrs.length < this.#ptrs.length) {
        this.#otherPtrs = new Int32Array(this.#ptrs.length);
        this.#otherWords = new Uint32Array(this.#ptrs.length);
      }
    }
    while (this.#width < n) {
      while (this.#at < n) {
        const mid = Math.min(n, this.#at + this.#width);
        const end = Math.min(n, this.#at + 2 * this.#width);
        this.#merge(this.#at, mid, end);
        moved += end - this.#at;
        this.#at = end;
        if (moved >= STEP || this.#compared >= STEP_BYTES) {
          this.#compared = 0;
          if (this.#at < n && shouldYield()) return false;
          moved = 0;
        }
      }
      [this.#ptrs, this.#otherPtrs] = [this.#otherPtrs, this.#ptrs];
      [this.#words, this.#otherWords] = [this.#otherWords, this.#words];
      this.#width *= 2;
      this.#at = 0;
    }
    this.#otherPtrs = new Int32Array(0);
    this.#otherWords = new Uint32Array(0);
    return true;
  }

  #insertionSort(from: number, to: number): void {
    const ptrs = this.#ptrs;
    const words = this.#words;
    for (let i = from + 1; i < to; i++) {
      const ptr = ptrs[i]!;
      const word = words[i]!;
      let j = i - 1;
      while (j >= from && this.#after(words[j]!, ptrs[j]!, word, ptr)) {
        ptrs[j + 1] = ptrs[j]!;
        words[j + 1] = words[j]!;
        j--;
      }
      ptrs[j + 1] = ptr;
      words[j + 1] = word;
    }
  }

  #merge(from: number, mid: number, end: number): void {
    const a = this.#ptrs;
    const wa = this.#words;
    const b = this.#otherPtrs;
    const wb = this.#otherWords;
    let i = from;
    let j = mid;
    let k = from;
    while (i < mid && j < end) {
      if (this.#after(wa[i]!, a[i]!, wa[j]!, a[j]!)) {
        b[k] = a[j]!;
        wb[k++] = wa[j++]!;
      } else {
        b[k] = a[i]!;
        wb[k++] = wa[i++]!;
      }
    }
    while (i < mid) {
      b[k] = a[i]!;
      wb[k++] = wa[i++]!;
    }
    while (j < end) {
      b[k] = a[j]!;
      wb[k++] = wa[j++]!;
    }
  }
}

function leadingWord(key: SortKey, value: Datum): number {
  switch (key.kind) {
    case 'int32':
      return ((value as number) ^ 0x80000000) >>> 0;
    case 'int64': {
      const high = typeof value === 'number' ? Math.floor(value / 0x100000000) : Number((value as bigint) >> 32n);
      return (high ^ 0x80000000) >>> 0;
    }
    case 'bytes':
    case 'bpchar': {
      const bytes = value as Uint8Array;
      const n = key.kind === 'bytes' ? bytes.length : unpaddedLength(bytes, 0, bytes.length);
      return (
        (((n > 0 ? bytes[0]! : 0) << 24) |
          ((n > 1 ? bytes[1]! : 0) << 16) |
          ((n > 2 ? bytes[2]! : 0) << 8) |
          (n > 3 ? bytes[3]! : 0)) >>>
        0
      );
    }
    default:
      // Nothing is known about the order of the bytes: all words are equal, inside the range.
      return 1;
  }
}
