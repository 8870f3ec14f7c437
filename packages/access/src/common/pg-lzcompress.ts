/**
 * PGLZ, PostgreSQL's own LZ compression of column values. A control byte governs the next eight
 * items, lowest bit first: 0 is a literal byte, 1 a reference back:
 *
 *      OOOO LLLL  OOOO OOOO  [XXXX XXXX]     length L + 3, offset O (12 bits, 1-based);
 *                                            L = 15: the third byte adds to the length
 */

/** Decompresses [from, to) into `out`; returns the bytes produced, -1 when the input is damaged. */
export function pglzDecompress(source: Uint8Array, from: number, to: number, out: Uint8Array): number {
  let at = from;
  let done = 0;
  while (at < to && done < out.length) {
    let control = source[at++]!;
    for (let item = 0; item < 8 && at < to && done < out.length; item++, control >>>= 1) {
      if ((control & 1) === 0) {
        out[done++] = source[at++]!;
        continue;
      }
      let length = (source[at]! & 0x0f) + 3;
      const offset = ((source[at]! & 0xf0) << 4) | source[at + 1]!;
      at += 2;
      if (length === 18) length += source[at++]!;
      if (at > to || offset === 0 || offset > done) return -1;
      if (length > out.length - done) length = out.length - done;
      // Source and target may overlap: that is how runs are expressed.
      for (let i = 0; i < length; i++, done++) out[done] = out[done - offset]!;
    }
  }
  return at === to && done === out.length ? done : -1;
}
