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

/** Inputs shorter than this are not worth it. */
const MIN_INPUT = 32;
/** Give up when this many bytes went by without a match. */
const FIRST_SUCCESS_BY = 1024;
const MAX_OFFSET = 0x0fff;
const MAX_MATCH = 273;
const MIN_MATCH = 3;
const HASH_BITS = 13;
/** Candidates looked at for each position. */
const CHAIN = 16;

const heads = new Int32Array(1 << HASH_BITS);
/** Position of the previous occurrence of the same three bytes, by position: of those only that can still be pointed to. */
const previous = new Int32Array(MAX_OFFSET + 1);

/**
 * Compresses all of `source`; undefined unless that saves at least a quarter, as PostgreSQL's default
 * strategy demands.
 */
export function pglzCompress(source: Uint8Array): Uint8Array | undefined {
  const { length } = source;
  if (length < MIN_INPUT) return undefined;
  const limit = Math.floor((length * 3) / 4);
  const out = new Uint8Array(limit + 24);
  heads.fill(-1);
  let at = 0;
  let done = 0;
  let control = 0;
  let bit = 8;
  let found = false;
  while (at < length) {
    if (done >= limit || (!found && at >= FIRST_SUCCESS_BY)) return undefined;
    if (bit === 8) {
      control = done++;
      bit = 0;
    }
    const match = longestMatch(source, at);
    if (match === 0) {
      remember(source, at);
      out[done++] = source[at++]!;
    } else {
      const offset = Math.floor(match / 512);
      const size = match % 512;
      out[control]! |= 1 << bit;
      out[done++] = ((offset & 0xf00) >> 4) | Math.min(size - MIN_MATCH, 15);
      out[done++] = offset & 0xff;
      if (size >= 18) out[done++] = size - 18;
      for (const end = at + size; at < end; at++) remember(source, at);
      found = true;
    }
    bit++;
  }
  return done < limit ? out.subarray(0, done) : undefined;
}

function hashAt(source: Uint8Array, at: number): number {
  return (
    (Math.imul(source[at]! | (source[at + 1]! << 8) | (source[at + 2]! << 16), 0x9e3779b1) >>> 0) >>> (32 - HASH_BITS)
  );
}

function remember(source: Uint8Array, at: number): void {
  if (at + MIN_MATCH > source.length) return;
  const hash = hashAt(source, at);
  previous[at & MAX_OFFSET] = heads[hash]!;
  heads[hash] = at;
}

/** offset * 512 + length of the longest earlier run like the one at `at`; 0 when there is none. */
function longestMatch(source: Uint8Array, at: number): number {
  const most = Math.min(MAX_MATCH, source.length - at);
  if (most < MIN_MATCH) return 0;
  let best = MIN_MATCH - 1;
  let bestAt = -1;
  let candidate = heads[hashAt(source, at)]!;
  for (let tries = 0; tries < CHAIN && candidate >= 0 && at - candidate <= MAX_OFFSET; tries++) {
    if (source[candidate + best] === source[at + best]) {
      let size = 0;
      while (size < most && source[candidate + size] === source[at + size]) size++;
      if (size > best) {
        best = size;
        bestAt = candidate;
        if (size === most) break;
      }
    }
    candidate = previous[candidate & MAX_OFFSET]!;
  }
  return bestAt < 0 ? 0 : (at - bestAt) * 512 + best;
}
