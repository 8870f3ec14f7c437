/**
 * UTF-8 as text values hold it. A text Datum is always valid UTF-8 (checked where it enters), so
 * lengths come from lead bytes alone.
 */
import { Buffer, isAscii as isAsciiNative, isUtf8 } from 'node:buffer';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';

interface SliceMethods {
  utf8Slice(this: Uint8Array, start: number, end: number): string;
  latin1Slice(this: Uint8Array, start: number, end: number): string;
}
const { utf8Slice, latin1Slice } = Buffer.prototype as unknown as SliceMethods;
const encoder = new TextEncoder();

export const EMPTY_BYTES = new Uint8Array(0);

/** Longer values are worked on by the engine's native code or by words, shorter ones faster by a loop of ours. */
const MANY_BYTES = 64;
/** What one allocation may be (memutils.h). */
export const MAX_ALLOC_SIZE = 0x3fffffff;
const VARHDRSZ = 4;

/** A value of `length` bytes to be filled by the caller, every one of them. */
export function allocBytes(length: number): Uint8Array {
  if (length < 4096) return new Uint8Array(length);
  if (length + VARHDRSZ > MAX_ALLOC_SIZE) {
    throw ereport(ERRCODE.PROGRAM_LIMIT_EXCEEDED, `invalid memory alloc request size ${length + VARHDRSZ}`);
  }
  return new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
}

/** Fills [from, to) with copies of the bytes [from, from + length) that are there. */
export function fillByDoubling(bytes: Uint8Array, from: number, length: number, to: number): void {
  for (let have = length; from + have < to; have *= 2) {
    bytes.copyWithin(from + have, from, Math.min(from + have, to - have));
  }
}

export function textToString(bytes: Uint8Array): string {
  return utf8Slice.call(bytes, 0, bytes.length);
}

export function stringToText(s: string): Uint8Array {
  const n = s.length;
  if (n < 24) {
    const out = new Uint8Array(n);
    let i = 0;
    for (; i < n; i++) {
      const c = s.charCodeAt(i);
      if (c > 127) break;
      out[i] = c;
    }
    if (i === n) return out;
  }
  return encoder.encode(s);
}

/** For bytes known to be ASCII, or when bytes above 127 only need to survive. */
export function latin1ToString(bytes: Uint8Array, start = 0, end = bytes.length): string {
  return latin1Slice.call(bytes, start, end);
}

export function isAscii(bytes: Uint8Array): boolean {
  if (bytes.length >= MANY_BYTES) return isAsciiNative(bytes);
  for (let i = 0; i < bytes.length; i++) if (bytes[i] > 127) return false;
  return true;
}

/** Bytes of the character that `lead` begins. */
export function mblen(lead: number): number {
  return lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
}

/** The character of `bytes` bytes at `at`. */
export function codePointAt(text: Uint8Array, at: number, bytes: number): number {
  const lead = text[at];
  if (bytes === 1) return lead;
  if (bytes === 2) return ((lead & 0x1f) << 6) | (text[at + 1] & 0x3f);
  if (bytes === 3) return ((lead & 0x0f) << 12) | ((text[at + 1] & 0x3f) << 6) | (text[at + 2] & 0x3f);
  return ((lead & 0x07) << 18) | ((text[at + 1] & 0x3f) << 12) | ((text[at + 2] & 0x3f) << 6) | (text[at + 3] & 0x3f);
}

/** Number of characters. */
export function mbStrlen(bytes: Uint8Array): number {
  const { length } = bytes;
  let n = 0;
  let i = 0;
  if (length >= MANY_BYTES) {
    if (isAscii(bytes)) return length;
    while (((bytes.byteOffset + i) & 3) !== 0) if ((bytes[i++] & 0xc0) !== 0x80) n++;
    const words = new Int32Array(bytes.buffer, bytes.byteOffset + i, (length - i) >> 2);
    n += 4 * words.length - continuationBytes(words);
    i += 4 * words.length;
  }
  for (; i < length; i++) if ((bytes[i] & 0xc0) !== 0x80) n++;
  return n;
}

/** Bytes of the form 10xxxxxx. */
function continuationBytes(words: Int32Array): number {
  const { length } = words;
  let total = 0;
  for (let from = 0; from < length; ) {
    // One counter a byte; 255 words cannot overflow any.
    const to = Math.min(from + 255, length);
    let sums = 0;
    for (; from < to; from++) {
      const word = words[from];
      sums += (word >>> 7) & ~(word >>> 6) & 0x01010101;
    }
    total += (sums & 0xff) + ((sums >>> 8) & 0xff) + ((sums >>> 16) & 0xff) + (sums >>> 24);
  }
  return total;
}

/** Byte position of character number `chars` (0-based); the length when the text ends before. */
export function mbCharOffset(bytes: Uint8Array, chars: number, from = 0): number {
  let pos = from;
  if (chars >= MANY_BYTES && isAscii(bytes.subarray(from, from + chars))) return Math.min(from + chars, bytes.length);
  while (chars > 0 && pos < bytes.length) {
    pos += mblen(bytes[pos]);
    chars--;
  }
  return pos < bytes.length ? pos : bytes.length;
}

/** Longest prefix of whole characters within `limit` bytes. */
export function mbCliplen(bytes: Uint8Array, limit: number): number {
  if (bytes.length <= limit) return bytes.length;
  let end = limit;
  while (end > 0 && (bytes[end] & 0xc0) === 0x80) end--;
  return end;
}

/** Position of the first byte that is not well-formed UTF-8 (or is zero), -1 when all is well. */
export function invalidUtf8At(b: Uint8Array): number {
  const n = b.length;
  let i = 0;
  if (n >= MANY_BYTES && isUtf8(b) && b.indexOf(0) < 0) return -1;
  while (i < n) {
    const c = b[i];
    if (c < 0x80) {
      if (c === 0) return i;
      i++;
    } else if (c < 0xc2) {
      return i;
    } else if (c < 0xe0) {
      if (i + 1 >= n || (b[i + 1] & 0xc0) !== 0x80) return i;
      i += 2;
    } else if (c < 0xf0) {
      if (i + 2 >= n || (b[i + 1] & 0xc0) !== 0x80 || (b[i + 2] & 0xc0) !== 0x80) return i;
      if ((c === 0xe0 && b[i + 1] < 0xa0) || (c === 0xed && b[i + 1] > 0x9f)) return i;
      i += 3;
    } else if (c < 0xf5) {
      if (i + 3 >= n || (b[i + 1] & 0xc0) !== 0x80 || (b[i + 2] & 0xc0) !== 0x80 || (b[i + 3] & 0xc0) !== 0x80)
        return i;
      if ((c === 0xf0 && b[i + 1] < 0x90) || (c === 0xf4 && b[i + 1] > 0x8f)) return i;
      i += 4;
    } else {
      return i;
    }
  }
  return -1;
}

/** memcmp, shorter first: the order of text under C collations, of bytea, of uuid. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const n = a.length < b.length ? a.length : b.length;
  const few = n < MANY_BYTES ? n : MANY_BYTES;
  for (let i = 0; i < few; i++) {
    const d = a[i] - b[i];
    if (d !== 0) return d;
  }
  if (few < n) return Buffer.compare(a, b);
  return a.length - b.length;
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  const n = a.length;
  if (n !== b.length) return false;
  if (n >= MANY_BYTES) return Buffer.compare(a, b) === 0;
  for (let i = 0; i < n; i++) if (a[i] !== b[i]) return false;
  return true;
}

export function concatBytes(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = allocBytes(a.length + b.length);
  out.set(a, 0);
  out.set(b, a.length);
  return out;
}
