/**
 * UTF-8 as text values hold it. A text Datum is always valid UTF-8 (checked where it enters), so
 * lengths come from lead bytes alone.
 */
import { Buffer } from 'node:buffer';

interface SliceMethods {
  utf8Slice(this: Uint8Array, start: number, end: number): string;
  latin1Slice(this: Uint8Array, start: number, end: number): string;
}
const { utf8Slice, latin1Slice } = Buffer.prototype as unknown as SliceMethods;
const encoder = new TextEncoder();

export const EMPTY_BYTES = new Uint8Array(0);

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

/** Bytes of the character that `lead` begins. */
export function mblen(lead: number): number {
  return lead < 0x80 ? 1 : lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
}

/** Number of characters. */
export function mbStrlen(bytes: Uint8Array): number {
  let n = 0;
  for (let i = 0; i < bytes.length; i++) if ((bytes[i] & 0xc0) !== 0x80) n++;
  return n;
}

/** Byte position of character number `chars` (0-based); the length when the text ends before. */
export function mbCharOffset(bytes: Uint8Array, chars: number, from = 0): number {
  let pos = from;
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
  for (let i = 0; i < n; i++) {
    const d = a[i] - b[i];
    if (d !== 0) return d;
  }
  return a.length - b.length;
}

export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  const n = a.length;
  if (n !== b.length) return false;
  for (let i = 0; i < n; i++) if (a[i] !== b[i]) return false;
  return true;
}

export function concatBytes(a: Uint8Array, b: Uint8Array): Uint8Array {
  const out = new Uint8Array(a.length + b.length);
  out.set(a, 0);
  out.set(b, a.length);
  return out;
}
