/**
 * LIKE and ILIKE. Patterns are matched on bytes (UTF-8 never matches mid-character): `%` any run,
 * `_` one character, a backslash takes the next character as it is. Matching backs up to the last
 * `%` only, so the time is bounded by text times pattern.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { FunctionCall, FunctionTable } from './fmgr.ts';
import { mblen, stringToText, textToString } from './mb/mbutils.ts';
import { lowerText } from './oracle_compat.ts';

const PERCENT = 37;
const UNDERSCORE = 95;
const BACKSLASH = 92;

const badEscape = (): Error =>
  ereport(ERRCODE.INVALID_ESCAPE_SEQUENCE, 'LIKE pattern must not end with escape character');

/** `wide`: `_` is a whole UTF-8 character; for bytea it is one byte. */
function likeMatch(text: Uint8Array, pattern: Uint8Array, wide: boolean): boolean {
  let t = 0;
  let p = 0;
  let starP = -1;
  let starT = 0;
  while (t < text.length) {
    const c = pattern[p];
    if (p < pattern.length) {
      if (c === PERCENT) {
        starP = ++p;
        starT = t;
        continue;
      }
      if (c === UNDERSCORE) {
        t += wide ? mblen(text[t]) : 1;
        p++;
        continue;
      }
      if (c === BACKSLASH) {
        if (p + 1 >= pattern.length) throw badEscape();
        if (pattern[p + 1] === text[t]) {
          t++;
          p += 2;
          continue;
        }
      } else if (c === text[t]) {
        t++;
        p++;
        continue;
      }
    }
    if (starP < 0) return false;
    starT += wide ? mblen(text[starT]) : 1;
    t = starT;
    p = starP;
  }
  while (p < pattern.length && pattern[p] === PERCENT) p++;
  return p >= pattern.length;
}

interface Characters {
  decode(bytes: Uint8Array): string;
  encode(characters: string): Uint8Array;
}

const OF_TEXT: Characters = { decode: textToString, encode: stringToText };
/** A byte is a character. */
const OF_BYTEA: Characters = {
  decode: bytes => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('latin1'),
  encode: characters => Buffer.from(characters, 'latin1'),
};

/** like_escape(): rewrites a pattern with another escape character to one with backslashes. */
function likeEscape(pattern: Uint8Array, escape: Uint8Array, { decode, encode }: Characters): Uint8Array {
  const chars = [...decode(pattern)];
  const escapes = [...decode(escape)];
  if (escapes.length > 1) {
    throw ereport(ERRCODE.INVALID_ESCAPE_SEQUENCE, 'invalid escape string', {
      hint: 'Escape string must be empty or one character.',
    });
  }
  const [e] = escapes;
  if (e === '\\') return pattern;
  let out = '';
  let escaped = false;
  for (const ch of chars) {
    if (ch === e && !escaped) {
      out += '\\';
      escaped = true;
      continue;
    }
    // A literal backslash is doubled, unless the escape character already stands before it.
    out += ch === '\\' && !escaped ? '\\\\' : ch;
    escaped = false;
  }
  return encode(out);
}

type Bytes = Uint8Array;

const like = (_fc: FunctionCall, text: Bytes, pattern: Bytes): boolean => likeMatch(text, pattern, true);
const notLike = (_fc: FunctionCall, text: Bytes, pattern: Bytes): boolean => !likeMatch(text, pattern, true);
const byteLike = (_fc: FunctionCall, text: Bytes, pattern: Bytes): boolean => likeMatch(text, pattern, false);
const iLike = (fc: FunctionCall, text: Bytes, pattern: Bytes): boolean =>
  likeMatch(lowerText(text, fc.collation), lowerText(pattern, fc.collation), true);

export const likeFunctions: FunctionTable = {
  textlike: like,
  textnlike: notLike,
  namelike: like,
  namenlike: notLike,
  bytealike: byteLike,
  byteanlike: (_fc: FunctionCall, text: Bytes, pattern: Bytes) => !likeMatch(text, pattern, false),
  texticlike: iLike,
  texticnlike: (fc: FunctionCall, text: Bytes, pattern: Bytes) => !iLike(fc, text, pattern),
  nameiclike: iLike,
  nameicnlike: (fc: FunctionCall, text: Bytes, pattern: Bytes) => !iLike(fc, text, pattern),
  like_escape: (_fc: FunctionCall, pattern: Bytes, escape: Bytes) => likeEscape(pattern, escape, OF_TEXT),
  like_escape_bytea: (_fc: FunctionCall, pattern: Bytes, escape: Bytes) => likeEscape(pattern, escape, OF_BYTEA),
};
