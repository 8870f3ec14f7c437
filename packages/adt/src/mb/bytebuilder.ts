/** Bytes that grow at their end (StringInfo). */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import { finish, type Slices } from '@pgtroupe/common/slices';
import { allocBytes, EMPTY_BYTES, MAX_ALLOC_SIZE } from './mbutils.ts';

/** Parts shorter than this are copied by a loop: a call costs more. */
const FEW_BYTES = 24;
/** What is longer grows by parts of at least this. */
const CHUNK_BYTES = 1 << 22;
const COPIED_A_SLICE = 1 << 20;

/** Of text that grows beyond what one value may be. */
export function stringBufferFull(length: number, more: number): PgError {
  return ereport(ERRCODE.PROGRAM_LIMIT_EXCEEDED, 'out of memory', {
    detail: `Cannot enlarge string buffer containing ${length} bytes by ${more} more bytes.`,
  });
}

export class ByteBuilder {
  /** What lies before `#bytes`, if it is much: it is not copied again to grow. */
  readonly #full: Uint8Array[] = [];
  #bytes: Uint8Array;
  /** Of `#bytes`. */
  #used = 0;
  length = 0;

  constructor(expectedBytes = 64) {
    this.#bytes = allocBytes(Math.max(64, Math.min(expectedBytes, 1 << 24)));
  }

  byte(value: number): void {
    if (this.#used === this.#bytes.length) return this.#appendToGrown(Uint8Array.of(value));
    this.#bytes[this.#used++] = value;
    this.length++;
  }

  append(part: Uint8Array): void {
    const { length } = part;
    const need = this.#used + length;
    if (need > this.#bytes.length) return this.#appendToGrown(part);
    if (length < FEW_BYTES) {
      const bytes = this.#bytes;
      let at = this.#used;
      for (let i = 0; i < length; i++) bytes[at++] = part[i]!;
    } else this.#bytes.set(part, this.#used);
    this.#used = need;
    this.length += length;
  }

  #appendToGrown(part: Uint8Array): void {
    if (this.length + part.length >= MAX_ALLOC_SIZE) throw stringBufferFull(this.length, part.length);
    const used = this.#bytes.subarray(0, this.#used);
    if (this.#used < CHUNK_BYTES) {
      const grown = allocBytes(Math.max(this.#used + part.length, 2 * this.#bytes.length));
      grown.set(used);
      this.#bytes = grown;
    } else {
      this.#full.push(used);
      this.#bytes = allocBytes(Math.max(part.length, CHUNK_BYTES));
      this.#used = 0;
    }
    this.append(part);
  }

  /** A copy, with an end; this builder may go on. */
  toBytes(end: Uint8Array = EMPTY_BYTES): Uint8Array {
    return finish(this.#copy(end));
  }

  /** As `toBytes`, bit by bit; undefined where that is soon done. */
  toLargeBytes(end: Uint8Array = EMPTY_BYTES): Slices<Uint8Array> | undefined {
    return this.length > CHUNK_BYTES ? this.#copy(end) : undefined;
  }

  *#copy(end: Uint8Array): Slices<Uint8Array> {
    if (this.length + end.length >= MAX_ALLOC_SIZE) throw stringBufferFull(this.length, end.length);
    const out = allocBytes(this.length + end.length);
    let to = 0;
    for (const part of [...this.#full, this.#bytes.subarray(0, this.#used), end]) {
      for (let at = 0; at < part.length; at += COPIED_A_SLICE) {
        if (at > 0) yield;
        out.set(part.subarray(at, at + COPIED_A_SLICE), to + at);
      }
      to += part.length;
    }
    return out;
  }
}
