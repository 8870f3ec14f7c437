/**
 * Types text and bytea (comparison, concatenation, substrings, positions), the text half of
 * PostgreSQL's varlena.c. Lengths and positions in text count characters.
 */
import { bytesCmp, bytesEq, bytesGe, bytesGt, bytesLe, bytesLt, bytesNe } from './bytescompare.ts';
import { Buffer } from 'node:buffer';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import type { FunctionCall, FunctionTable } from './fmgr.ts';
import {
  compareBytes,
  concatBytes,
  EMPTY_BYTES,
  equalBytes,
  invalidUtf8At,
  mbCharOffset,
  mblen,
  mbStrlen,
} from './mb/mbutils.ts';
import { toInt4 } from './int.ts';

export function invalidByteSequence(bytes: Uint8Array, at = invalidUtf8At(bytes)): PgError {
  const want = bytes[at] < 0xc0 || bytes[at] >= 0xf8 ? 1 : mblen(bytes[at]);
  const bad = Array.from(bytes.subarray(at, at + want), b => `0x${b.toString(16).padStart(2, '0')}`).join(' ');
  return ereport(ERRCODE.CHARACTER_NOT_IN_REPERTOIRE, `invalid byte sequence for encoding "UTF8": ${bad}`);
}

/** Checks text that arrives in binary; answers it. */
export function recvText(bytes: Uint8Array): Uint8Array {
  const at = invalidUtf8At(bytes);
  if (at >= 0) throw invalidByteSequence(bytes, at);
  return bytes;
}

const identity = (_fc: FunctionCall, value: Uint8Array): Uint8Array => value;
const larger = (_fc: FunctionCall, a: Uint8Array, b: Uint8Array): Uint8Array => (compareBytes(a, b) > 0 ? a : b);
const smaller = (_fc: FunctionCall, a: Uint8Array, b: Uint8Array): Uint8Array => (compareBytes(a, b) < 0 ? a : b);
const concat = (_fc: FunctionCall, a: Uint8Array, b: Uint8Array): Uint8Array => concatBytes(a, b);

const negativeLength = (): PgError => ereport(ERRCODE.SUBSTRING_ERROR, 'negative substring length not allowed');

/** SQL's substring: positions before 1 count, and are cut away. `length` undefined: to the end. */
function textSubstr(text: Uint8Array, start: number, length?: number): Uint8Array {
  let from = start;
  let count = length;
  if (count !== undefined) {
    if (count < 0) throw negativeLength();
    const end = from + count;
    if (end < 1) return EMPTY_BYTES;
    if (from < 1) {
      count = end - 1;
      from = 1;
    }
  } else if (from < 1) from = 1;
  const begin = mbCharOffset(text, from - 1);
  return text.subarray(begin, count === undefined ? text.length : mbCharOffset(text, count, begin));
}

function byteaSubstr(bytes: Uint8Array, start: number, length?: number): Uint8Array {
  if (length === undefined) return bytes.subarray(Math.max(start, 1) - 1);
  if (length < 0) throw negativeLength();
  const end = start + length;
  if (end < 1) return EMPTY_BYTES;
  const from = Math.max(start, 1);
  return bytes.subarray(from - 1, end - 1);
}

const indexOfNative = Buffer.prototype.indexOf as (this: Uint8Array, needle: Uint8Array, from: number) => number;

/** First occurrence of `needle` at or after `from`, -1 when absent. Valid UTF-8 never matches mid-character. */
export function indexOfBytes(haystack: Uint8Array, needle: Uint8Array, from = 0): number {
  if (needle.length === 0) return from;
  if (haystack.length - from > 64) return indexOfNative.call(haystack, needle, from);
  const last = haystack.length - needle.length;
  for (let i = from; i <= last; i++) {
    let j = 0;
    while (j < needle.length && haystack[i + j] === needle[j]) j++;
    if (j === needle.length) return i;
  }
  return -1;
}

function textPosition(text: Uint8Array, needle: Uint8Array): number {
  if (needle.length === 0) return 1;
  const at = indexOfBytes(text, needle);
  return at < 0 ? 0 : mbStrlen(text.subarray(0, at)) + 1;
}

function overlay(
  text: Uint8Array,
  replacement: Uint8Array,
  start: number,
  length: number,
  substr: typeof textSubstr,
): Uint8Array {
  if (start <= 0) throw negativeLength();
  const tail = toInt4(start + length);
  return concatBytes(concatBytes(substr(text, 1, start - 1), replacement), substr(text, tail));
}

export const varlenaFunctions: FunctionTable = {
  textin: identity,
  textout: identity,
  textrecv: (_fc: FunctionCall, bytes: Uint8Array) => recvText(bytes),
  textsend: identity,
  unknownin: identity,
  unknownout: identity,
  unknownrecv: (_fc: FunctionCall, bytes: Uint8Array) => recvText(bytes),
  unknownsend: identity,
  cstring_in: identity,
  cstring_out: identity,
  cstring_recv: (_fc: FunctionCall, bytes: Uint8Array) => recvText(bytes),
  cstring_send: identity,

  texteq: bytesEq,
  textne: bytesNe,
  text_lt: bytesLt,
  text_le: bytesLe,
  text_gt: bytesGt,
  text_ge: bytesGe,
  bttextcmp: bytesCmp,
  text_larger: larger,
  text_smaller: smaller,
  text_pattern_lt: bytesLt,
  text_pattern_le: bytesLe,
  text_pattern_gt: bytesGt,
  text_pattern_ge: bytesGe,
  bttext_pattern_cmp: bytesCmp,
  text_starts_with: (_fc: FunctionCall, text: Uint8Array, prefix: Uint8Array) =>
    prefix.length <= text.length && equalBytes(text.subarray(0, prefix.length), prefix),
  textcat: concat,
  textlen: (_fc: FunctionCall, text: Uint8Array) => mbStrlen(text),
  textoctetlen: (_fc: FunctionCall, text: Uint8Array) => text.length,
  text_substr: (_fc: FunctionCall, text: Uint8Array, start: number, length: number) => textSubstr(text, start, length),
  text_substr_no_len: (_fc: FunctionCall, text: Uint8Array, start: number) => textSubstr(text, start),
  textpos: (_fc: FunctionCall, text: Uint8Array, needle: Uint8Array) => textPosition(text, needle),
  textoverlay: (_fc: FunctionCall, text: Uint8Array, replacement: Uint8Array, start: number, length: number) =>
    overlay(text, replacement, start, length, textSubstr),
  textoverlay_no_len: (_fc: FunctionCall, text: Uint8Array, replacement: Uint8Array, start: number) =>
    overlay(text, replacement, start, mbStrlen(replacement), textSubstr),

  byteaeq: bytesEq,
  byteane: bytesNe,
  bytealt: bytesLt,
  byteale: bytesLe,
  byteagt: bytesGt,
  byteage: bytesGe,
  byteacmp: bytesCmp,
  byteacat: concat,
  byteaoctetlen: (_fc: FunctionCall, bytes: Uint8Array) => bytes.length,
  bytea_substr: (_fc: FunctionCall, bytes: Uint8Array, start: number, length: number) =>
    byteaSubstr(bytes, start, length),
  bytea_substr_no_len: (_fc: FunctionCall, bytes: Uint8Array, start: number) => byteaSubstr(bytes, start),
  byteapos: (_fc: FunctionCall, bytes: Uint8Array, needle: Uint8Array) => indexOfBytes(bytes, needle) + 1,
  byteaoverlay: (_fc: FunctionCall, bytes: Uint8Array, replacement: Uint8Array, start: number, length: number) =>
    overlay(bytes, replacement, start, length, byteaSubstr),
  byteaoverlay_no_len: (_fc: FunctionCall, bytes: Uint8Array, replacement: Uint8Array, start: number) =>
    overlay(bytes, replacement, start, replacement.length, byteaSubstr),
};
