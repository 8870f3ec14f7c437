/** Bytes that grow at their end (StringInfo). */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { allocBytes, MAX_ALLOC_SIZE } from './mbutils.ts';

/** Parts shorter than this are copied by a loop: a call costs more. */
const FEW_BYTES = 24;

export class ByteBuilder {
  #bytes: Uint8Array;
  length = 0;

  constructor(expectedBytes = 64) {
    this.#bytes = allocBytes(Math.max(64, Math.min(expectedBytes, 1 << 24)));
  }

  append(part: Uint8Array): void {
    const { length } = part;
    const need = this.length + length;
    if (need > this.#bytes.length) this.#grow(length);
    if (length < FEW_BYTES) {
      const bytes = this.#bytes;
      let at = this.length;
      for (let i = 0; i < length; i++) bytes[at++] = part[i]!;
    } else this.#bytes.set(part, this.length);
    this.length = need;
  }

  #grow(more: number): void {
    const need = this.length + more;
    if (need >= MAX_ALLOC_SIZE) {
      throw ereport(ERRCODE.PROGRAM_LIMIT_EXCEEDED, 'out of memory', {
        detail: `Cannot enlarge string buffer containing ${this.length} bytes by ${more} more bytes.`,
      });
    }
    const grown = allocBytes(Math.min(MAX_ALLOC_SIZE - 4, Math.max(need, 2 * this.#bytes.length)));
    grown.set(this.#bytes.subarray(0, this.length));
    this.#bytes = grown;
  }

  /** A copy; this builder may go on. */
  toBytes(): Uint8Array {
    const { length } = this;
    const out = allocBytes(length);
    out.set(this.#bytes.subarray(0, length));
    return out;
  }
}
