/**
 * String functions of Oracle's making: case, padding, trimming, translate, chr. Characters, not
 * bytes, are what they count; the ASCII case stays in bytes.
 */
import { C_COLLATION_OID, POSIX_COLLATION_OID } from '@pgtroupe/common/oids';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import type { FunctionCall, FunctionTable } from './fmgr.ts';
import { isAlnumCode, lowerCode, mapCharacters, upperCode } from './mb/casefold.ts';
import { ByteBuilder } from './mb/bytebuilder.ts';
import {
  allocBytes,
  codePointAt,
  EMPTY_BYTES,
  fillByDoubling,
  isAscii,
  mbCharOffset,
  mblen,
  mbStrlen,
  stringToText,
  textToString,
} from './mb/mbutils.ts';

const MAX_TEXT = 0x3fffffff;

const isCCollation = (collation: number): boolean => collation === C_COLLATION_OID || collation === POSIX_COLLATION_OID;

export function lowerText(text: Uint8Array, collation: number): Uint8Array {
  if (!isCCollation(collation) && !isAscii(text)) return mapCharacters(text, lowerCode);
  const out = allocBytes(text.length);
  for (let i = 0; i < text.length; i++) out[i] = text[i] >= 65 && text[i] <= 90 ? text[i] + 32 : text[i];
  return out;
}

function upperText(text: Uint8Array, collation: number): Uint8Array {
  if (!isCCollation(collation) && !isAscii(text)) return mapCharacters(text, upperCode);
  const out = allocBytes(text.length);
  for (let i = 0; i < text.length; i++) out[i] = text[i] >= 97 && text[i] <= 122 ? text[i] - 32 : text[i];
  return out;
}

function initcap(text: Uint8Array, collation: number): Uint8Array {
  const ascii = isCCollation(collation);
  let inWord = false;
  return mapCharacters(text, code => {
    const isHigh = ascii && code > 0x7f;
    const changed = isHigh ? code : inWord ? lowerCode(code) : upperCode(code);
    inWord = !isHigh && isAlnumCode(code);
    return changed;
  });
}

const tooLong = (): PgError => ereport(ERRCODE.PROGRAM_LIMIT_EXCEEDED, 'requested length too large');

/** `count` characters of `fill` repeated. */
function padding(fill: Uint8Array, fillChars: number, count: number): Uint8Array {
  const whole = Math.floor(count / fillChars);
  const rest = mbCharOffset(fill, count - whole * fillChars);
  const total = whole * fill.length + rest;
  if (total > MAX_TEXT) throw tooLong();
  const out = allocBytes(total);
  out.set(fill.subarray(0, Math.min(fill.length, total)));
  fillByDoubling(out, 0, fill.length, total);
  return out;
}

function pad(text: Uint8Array, length: number, fill: Uint8Array, left: boolean): Uint8Array {
  const want = Math.max(length, 0);
  const have = mbStrlen(text);
  const fillChars = mbStrlen(fill);
  if (have >= want || fillChars === 0) return have <= want ? text : text.subarray(0, mbCharOffset(text, want));
  if (want > MAX_TEXT) throw tooLong();
  const extra = padding(fill, fillChars, want - have);
  const out = allocBytes(text.length + extra.length);
  out.set(text, left ? extra.length : 0);
  out.set(extra, left ? 0 : text.length);
  return out;
}

const SPACE = Uint8Array.of(32);

/** Whether the character of `text` at `at` is one of `set`'s characters. */
function inSet(text: Uint8Array, at: number, set: Uint8Array): boolean {
  const len = mblen(text[at]);
  for (let i = 0; i < set.length; i += mblen(set[i])) {
    let j = 0;
    while (j < len && set[i + j] === text[at + j]) j++;
    if (j === len) return true;
  }
  return false;
}

function trim(text: Uint8Array, set: Uint8Array, left: boolean, right: boolean): Uint8Array {
  let start = 0;
  let end = text.length;
  while (left && start < end && inSet(text, start, set)) start += mblen(text[start]);
  while (right && end > start) {
    let at = end - 1;
    while (at > start && (text[at] & 0xc0) === 0x80) at--;
    if (!inSet(text, at, set)) break;
    end = at;
  }
  return start === 0 && end === text.length ? text : text.subarray(start, end);
}

function trimBytes(bytes: Uint8Array, set: Uint8Array, left: boolean, right: boolean): Uint8Array {
  let start = 0;
  let end = bytes.length;
  while (left && start < end && set.includes(bytes[start])) start++;
  while (right && end > start && set.includes(bytes[end - 1])) end--;
  return bytes.subarray(start, end);
}

function translate(text: Uint8Array, from: Uint8Array, to: Uint8Array): Uint8Array {
  const source = [...textToString(from)];
  const target = [...textToString(to)].map(stringToText);
  // By character; the first of several counts.
  const changes = new Map<number, Uint8Array>();
  source.forEach((ch, i) => {
    const code = ch.codePointAt(0)!;
    if (!changes.has(code)) changes.set(code, target[i] ?? EMPTY_BYTES);
  });
  const out = new ByteBuilder(text.length);
  let kept = 0;
  for (let at = 0; at < text.length; ) {
    const length = mblen(text[at]);
    const change = changes.get(codePointAt(text, at, length));
    if (change !== undefined) {
      out.append(text.subarray(kept, at));
      out.append(change);
      kept = at + length;
    }
    at += length;
  }
  if (kept === 0) return text;
  out.append(text.subarray(kept));
  return out.toBytes();
}

function chr(code: number): Uint8Array {
  if (code < 0) throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, 'character number must be positive');
  if (code === 0) throw ereport(ERRCODE.PROGRAM_LIMIT_EXCEEDED, 'null character not permitted');
  if (code > 0x10ffff)
    throw ereport(ERRCODE.PROGRAM_LIMIT_EXCEEDED, `requested character too large for encoding: ${code}`);
  if (code >= 0xd800 && code <= 0xdfff) {
    throw ereport(ERRCODE.PROGRAM_LIMIT_EXCEEDED, `requested character not valid for encoding: ${code}`);
  }
  return stringToText(String.fromCodePoint(code));
}

function repeat(text: Uint8Array, count: number): Uint8Array {
  if (count <= 0 || text.length === 0) return EMPTY_BYTES;
  const total = text.length * count;
  if (total > MAX_TEXT) throw tooLong();
  const out = allocBytes(total);
  out.set(text);
  fillByDoubling(out, 0, text.length, total);
  return out;
}

type Bytes = Uint8Array;

export const oracleCompatFunctions: FunctionTable = {
  lower: (fc: FunctionCall, text: Bytes) => lowerText(text, fc.collation),
  upper: (fc: FunctionCall, text: Bytes) => upperText(text, fc.collation),
  initcap: (fc: FunctionCall, text: Bytes) => initcap(text, fc.collation),
  lpad: (_fc: FunctionCall, text: Bytes, length: number, fill: Bytes) => pad(text, length, fill, true),
  rpad: (_fc: FunctionCall, text: Bytes, length: number, fill: Bytes) => pad(text, length, fill, false),
  btrim: (_fc: FunctionCall, text: Bytes, set: Bytes) => trim(text, set, true, true),
  ltrim: (_fc: FunctionCall, text: Bytes, set: Bytes) => trim(text, set, true, false),
  rtrim: (_fc: FunctionCall, text: Bytes, set: Bytes) => trim(text, set, false, true),
  btrim1: (_fc: FunctionCall, text: Bytes) => trim(text, SPACE, true, true),
  ltrim1: (_fc: FunctionCall, text: Bytes) => trim(text, SPACE, true, false),
  rtrim1: (_fc: FunctionCall, text: Bytes) => trim(text, SPACE, false, true),
  byteatrim: (_fc: FunctionCall, bytes: Bytes, set: Bytes) => trimBytes(bytes, set, true, true),
  bytealtrim: (_fc: FunctionCall, bytes: Bytes, set: Bytes) => trimBytes(bytes, set, true, false),
  byteartrim: (_fc: FunctionCall, bytes: Bytes, set: Bytes) => trimBytes(bytes, set, false, true),
  translate: (_fc: FunctionCall, text: Bytes, from: Bytes, to: Bytes) => translate(text, from, to),
  ascii: (_fc: FunctionCall, text: Bytes) =>
    text.length === 0 ? 0 : (textToString(text.subarray(0, mblen(text[0]))).codePointAt(0) ?? 0),
  chr: (_fc: FunctionCall, code: number) => chr(code),
  repeat: (_fc: FunctionCall, text: Bytes, count: number) => repeat(text, count),
};
