/**
 * Type bytea's text forms and encode()/decode(): hex, base64, escape.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import type { FunctionCall, FunctionTable } from './fmgr.ts';
import { charToEncoding, encodingToChar } from './misc.ts';
import { invalidUtf8At, latin1ToString, mblen, stringToText, textToString } from './mb/mbutils.ts';
import { invalidByteSequence } from './varlena.ts';

const BACKSLASH = 92;
const HEX = stringToText('0123456789abcdef');
const BASE64 = stringToText('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/');
const BASE64_VALUE = new Int8Array(128).fill(-1);
BASE64.forEach((c, i) => {
  BASE64_VALUE[c] = i;
});

const invalidParameter = (message: string, hint?: string): PgError =>
  ereport(ERRCODE.INVALID_PARAMETER_VALUE, message, { hint });
const invalidBytea = (): PgError => ereport(ERRCODE.INVALID_TEXT_REPRESENTATION, 'invalid input syntax for type bytea');

function hexEncode(bytes: Uint8Array, prefix: string): Uint8Array {
  const out = new Uint8Array(prefix.length + bytes.length * 2);
  let at = 0;
  for (; at < prefix.length; at++) out[at] = prefix.charCodeAt(at);
  for (let i = 0; i < bytes.length; i++) {
    out[at++] = HEX[bytes[i] >> 4];
    out[at++] = HEX[bytes[i] & 15];
  }
  return out;
}

const isBlank = (c: number): boolean => c === 32 || c === 10 || c === 9 || c === 13;

function charAt(text: Uint8Array, at: number): string {
  return textToString(text.subarray(at, at + mblen(text[at])));
}

function hexDigit(text: Uint8Array, at: number): number {
  const c = text[at];
  if (c >= 48 && c <= 57) return c - 48;
  const lower = c | 32;
  if (lower >= 97 && lower <= 102) return lower - 87;
  throw invalidParameter(`invalid hexadecimal digit: "${charAt(text, at)}"`);
}

function hexDecode(text: Uint8Array, from: number): Uint8Array {
  const out = new Uint8Array((text.length - from) >> 1);
  let n = 0;
  for (let i = from; i < text.length; i++) {
    if (isBlank(text[i])) continue;
    const high = hexDigit(text, i++);
    if (i >= text.length) throw invalidParameter('invalid hexadecimal data: odd number of digits');
    out[n++] = (high << 4) | hexDigit(text, i);
  }
  return out.subarray(0, n);
}

function base64Encode(bytes: Uint8Array): Uint8Array {
  const chars = Math.ceil(bytes.length / 3) * 4;
  const out = new Uint8Array(chars + Math.floor(chars / 76));
  let at = 0;
  let column = 0;
  for (let i = 0; i < bytes.length; i += 3) {
    const b = (bytes[i] << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    out[at++] = BASE64[b >> 18];
    out[at++] = BASE64[(b >> 12) & 63];
    out[at++] = i + 1 < bytes.length ? BASE64[(b >> 6) & 63] : 61;
    out[at++] = i + 2 < bytes.length ? BASE64[b & 63] : 61;
    column += 4;
    // A line is broken when full, also the last one unless it was padded.
    if (column === 76 && i + 3 <= bytes.length) {
      out[at++] = 10;
      column = 0;
    }
  }
  return out.subarray(0, at);
}

function base64Decode(text: Uint8Array): Uint8Array {
  const out = new Uint8Array(Math.ceil((text.length * 3) / 4) + 3);
  let n = 0;
  let buffer = 0;
  let pos = 0;
  let end = 0;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (isBlank(c)) continue;
    let b = 0;
    if (c === 61) {
      if (end === 0) {
        if (pos === 2) end = 1;
        else if (pos === 3) end = 2;
        else throw invalidParameter('unexpected "=" while decoding base64 sequence');
      }
    } else {
      b = c < 127 ? BASE64_VALUE[c] : -1;
      if (b < 0) throw invalidParameter(`invalid symbol "${charAt(text, i)}" found while decoding base64 sequence`);
    }
    buffer = (buffer << 6) + b;
    if (++pos === 4) {
      out[n++] = (buffer >> 16) & 255;
      if (end === 0 || end > 1) out[n++] = (buffer >> 8) & 255;
      if (end === 0) out[n++] = buffer & 255;
      buffer = 0;
      pos = 0;
    }
  }
  if (pos !== 0) {
    throw invalidParameter(
      'invalid base64 end sequence',
      'Input data is missing padding, is truncated, or is otherwise corrupted.',
    );
  }
  return out.subarray(0, n);
}

/** Zero and bytes above 127 as \nnn; bytea's own escape form also so treats control characters. */
function escapeEncode(bytes: Uint8Array, controls: boolean): Uint8Array {
  const out: number[] = [];
  for (const b of bytes) {
    if (b === BACKSLASH) out.push(BACKSLASH, BACKSLASH);
    else if (b > 127 || b === 0 || (controls && (b < 32 || b > 126)))
      out.push(BACKSLASH, 48 + (b >> 6), 48 + ((b >> 3) & 7), 48 + (b & 7));
    else out.push(b);
  }
  return Uint8Array.from(out);
}

const octal = (c: number, max: number): boolean => c >= 48 && c <= max;

function escapeDecode(text: Uint8Array): Uint8Array {
  const out = new Uint8Array(text.length);
  let n = 0;
  for (let i = 0; i < text.length; ) {
    if (text[i] !== BACKSLASH) out[n++] = text[i++];
    else if (octal(text[i + 1], 51) && octal(text[i + 2], 55) && octal(text[i + 3], 55)) {
      out[n++] = ((text[i + 1] - 48) << 6) | ((text[i + 2] - 48) << 3) | (text[i + 3] - 48);
      i += 4;
    } else if (text[i + 1] === BACKSLASH) {
      out[n++] = BACKSLASH;
      i += 2;
    } else throw invalidBytea();
  }
  return out.subarray(0, n);
}

function encodingName(name: Uint8Array): 'hex' | 'base64' | 'escape' {
  const lower = latin1ToString(name).toLowerCase();
  if (lower === 'hex' || lower === 'base64' || lower === 'escape') return lower;
  throw invalidParameter(`unrecognized encoding: "${textToString(name)}"`);
}

function bitIndex(bytes: Uint8Array, n: number | bigint): number {
  const bits = bytes.length * 8;
  if (n < 0 || n >= bits) throw ereport(ERRCODE.ARRAY_SUBSCRIPT_ERROR, `index ${n} out of valid range, 0..${bits - 1}`);
  return Number(n);
}

function byteIndex(bytes: Uint8Array, n: number): number {
  if (n < 0 || n >= bytes.length)
    throw ereport(ERRCODE.ARRAY_SUBSCRIPT_ERROR, `index ${n} out of valid range, 0..${bytes.length - 1}`);
  return n;
}

function bitCount(bytes: Uint8Array): number {
  let n = 0;
  for (let b of bytes) for (; b !== 0; b &= b - 1) n++;
  return n;
}

export const encodeFunctions: FunctionTable = {
  byteain: (_fc: FunctionCall, text: Uint8Array) =>
    text[0] === BACKSLASH && text[1] === 120 ? hexDecode(text, 2) : escapeDecode(text),
  byteaout: (fc: FunctionCall, bytes: Uint8Array) =>
    fc.settings.byteaOutput === 'hex' ? hexEncode(bytes, '\\x') : escapeEncode(bytes, true),
  bytearecv: (_fc: FunctionCall, bytes: Uint8Array) => bytes,
  byteasend: (_fc: FunctionCall, bytes: Uint8Array) => bytes,
  binary_encode: (_fc: FunctionCall, bytes: Uint8Array, name: Uint8Array) => {
    const encoding = encodingName(name);
    return encoding === 'hex'
      ? hexEncode(bytes, '')
      : encoding === 'base64'
        ? base64Encode(bytes)
        : escapeEncode(bytes, false);
  },
  binary_decode: (_fc: FunctionCall, text: Uint8Array, name: Uint8Array) => {
    const encoding = encodingName(name);
    return encoding === 'hex' ? hexDecode(text, 0) : encoding === 'base64' ? base64Decode(text) : escapeDecode(text);
  },
  byteaGetByte: (_fc: FunctionCall, bytes: Uint8Array, n: number) => bytes[byteIndex(bytes, n)],
  byteaGetBit: (_fc: FunctionCall, bytes: Uint8Array, n: number | bigint) => {
    const i = bitIndex(bytes, n);
    return (bytes[i >> 3] >> (i & 7)) & 1;
  },
  byteaSetByte: (_fc: FunctionCall, bytes: Uint8Array, n: number, value: number) => {
    const out = bytes.slice();
    out[byteIndex(bytes, n)] = value;
    return out;
  },
  byteaSetBit: (_fc: FunctionCall, bytes: Uint8Array, n: number | bigint, value: number) => {
    const i = bitIndex(bytes, n);
    if (value !== 0 && value !== 1) throw invalidParameter('new bit must be 0 or 1');
    const out = bytes.slice();
    out[i >> 3] = value ? out[i >> 3] | (1 << (i & 7)) : out[i >> 3] & ~(1 << (i & 7));
    return out;
  },
  bytea_bit_count: (_fc: FunctionCall, bytes: Uint8Array) => bitCount(bytes),
  pg_convert_from: (_fc: FunctionCall, bytes: Uint8Array, name: Uint8Array) =>
    convert(bytes, encodingNamed(name, 'source'), 'UTF8'),
  pg_convert_to: (_fc: FunctionCall, text: Uint8Array, name: Uint8Array) =>
    convert(text, 'UTF8', encodingNamed(name, 'destination')),
  pg_convert: (_fc: FunctionCall, bytes: Uint8Array, from: Uint8Array, to: Uint8Array) =>
    convert(bytes, encodingNamed(from, 'source'), encodingNamed(to, 'destination')),
};

type Convertible = 'UTF8' | 'LATIN1' | 'SQL_ASCII';

function encodingNamed(name: Uint8Array, role: 'source' | 'destination'): Convertible {
  const text = textToString(name);
  const encoding = charToEncoding(text);
  if (encoding < 0) throw invalidParameter(`invalid ${role} encoding name "${text}"`);
  const known = encodingToChar(encoding);
  if (known === 'UTF8' || known === 'LATIN1' || known === 'SQL_ASCII') return known;
  throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, `${role} encoding "${text}" is not supported by pgtroupe yet`);
}

/** SQL_ASCII is whatever the other side is. */
function convert(bytes: Uint8Array, from: Convertible, to: Convertible): Uint8Array {
  const checked = from === 'SQL_ASCII' ? to : from;
  if (checked === 'UTF8') {
    const at = invalidUtf8At(bytes);
    if (at >= 0) throw invalidByteSequence(bytes, at);
  }
  if (from === to || from === 'SQL_ASCII' || to === 'SQL_ASCII') return bytes;
  if (from === 'LATIN1') {
    if (bytes.includes(0))
      throw ereport(ERRCODE.CHARACTER_NOT_IN_REPERTOIRE, 'invalid byte sequence for encoding "LATIN1": 0x00');
    return stringToText(latin1ToString(bytes));
  }
  const latin1 = Array.from(textToString(bytes), char => {
    const code = char.codePointAt(0)!;
    if (code < 256) return code;
    const sequence = Array.from(stringToText(char), byte => `0x${byte.toString(16)}`).join(' ');
    throw ereport(
      ERRCODE.UNTRANSLATABLE_CHARACTER,
      `character with byte sequence ${sequence} in encoding "UTF8" has no equivalent in encoding "LATIN1"`,
    );
  });
  return Uint8Array.from(latin1);
}
