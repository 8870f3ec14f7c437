/**
 * What every text begins with that matches a pattern, and how much the rest of the pattern leaves open
 * (pattern_fixed_prefix, utils/adt/like_support.c).
 */
export type PatternType = 'like' | 'like ignoring case' | 'regex' | 'regex ignoring case' | 'prefix';

export interface FixedPrefix {
  /** Nothing else matches. */
  readonly exact: boolean;
  readonly bytes: Uint8Array;
  /** Share of the texts with the prefix that match. */
  readonly rest: number;
}

const FIXED_CHAR_SEL = 0.2;
const CHAR_RANGE_SEL = 0.25;
const ANY_CHAR_SEL = 0.9;
const FULL_WILDCARD_SEL = 5;
const PARTIAL_WILDCARD_SEL = 2;

const PERCENT = 0x25;
const UNDERSCORE = 0x5f;
const BACKSLASH = 0x5c;

export function likePrefix(pattern: Uint8Array, type: PatternType): FixedPrefix {
  if (type === 'prefix') return { exact: false, bytes: pattern, rest: 1 };
  const ignoreCase = type === 'like ignoring case';
  const match: number[] = [];
  let at = 0;
  for (; at < pattern.length; at++) {
    let byte = pattern[at]!;
    if (byte === PERCENT || byte === UNDERSCORE) break;
    if (byte === BACKSLASH) {
      if (++at >= pattern.length) break;
      byte = pattern[at]!;
    }
    if (ignoreCase && hasCase(byte)) break;
    match.push(byte);
  }
  const rest = likeSelectivity(pattern.subarray(at));
  return { exact: at >= pattern.length, bytes: Uint8Array.from(match), rest };
}

/** Bytes of longer characters may be of letters. */
function hasCase(byte: number): boolean {
  return byte >= 0x80 || (byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a);
}

function likeSelectivity(pattern: Uint8Array): number {
  let selectivity = 1;
  let at = 0;
  // The first wildcard is what makes it a prefix.
  while (at < pattern.length && (pattern[at] === PERCENT || pattern[at] === UNDERSCORE)) at++;
  for (; at < pattern.length; at++) {
    const byte = pattern[at];
    if (byte === PERCENT) selectivity *= FULL_WILDCARD_SEL;
    else if (byte === UNDERSCORE) selectivity *= ANY_CHAR_SEL;
    else {
      if (byte === BACKSLASH && ++at >= pattern.length) break;
      selectivity *= FIXED_CHAR_SEL;
    }
  }
  return Math.min(1, selectivity);
}

/** Plain characters behind a ^; the regular expression library knows more prefixes than this. */
export function regexPrefix(pattern: Uint8Array, ignoreCase: boolean): FixedPrefix {
  const text = Buffer.from(pattern).toString('latin1');
  let bytes = '';
  if (text.startsWith('^') && !text.includes('|')) {
    bytes = /^[^\\[\](){}.*+?$^]*/.exec(text.slice(1))![0];
    // A quantifier takes its character along.
    if (/^[*?{]/.test(text.slice(1 + bytes.length))) bytes = bytes.slice(0, -1);
    if (ignoreCase) bytes = /^[^A-Za-z\x80-\xff]*/.exec(bytes)![0];
    if (!ignoreCase && text === `^${bytes}$`) return { exact: true, bytes: Buffer.from(bytes, 'latin1'), rest: 1 };
  }
  let rest = regexSelectivity(text);
  if (bytes.length > 0) rest = Math.min(1, rest / FIXED_CHAR_SEL ** bytes.length);
  return { exact: false, bytes: Buffer.from(bytes, 'latin1'), rest: Math.min(1, rest) };
}

function regexSelectivity(text: string): number {
  const selectivity = regexPart(text);
  // Not bound to the end: more may follow.
  return /(?<!\\)\$$/.test(text) ? selectivity : Math.min(1, selectivity * FULL_WILDCARD_SEL);
}

function regexPart(text: string): number {
  let selectivity = 1;
  let depth = 0;
  let opened = 0;
  for (let at = 0; at < text.length; at++) {
    const c = text[at]!;
    if (c === '(') {
      if (depth++ === 0) opened = at;
    } else if (c === ')' && depth > 0) {
      if (--depth === 0) selectivity *= regexPart(text.slice(opened + 1, at));
    } else if (c === '|' && depth === 0) return selectivity + regexPart(text.slice(at + 1));
    else if (c === '[') {
      const negated = text[at + 1] === '^';
      at += negated ? 1 : 0;
      if (text[at + 1] === ']') at++;
      while (at + 1 < text.length && text[at + 1] !== ']') at++;
      at++;
      if (depth === 0) selectivity *= negated ? 1 - CHAR_RANGE_SEL : CHAR_RANGE_SEL;
    } else if (c === '.') selectivity *= depth === 0 ? ANY_CHAR_SEL : 1;
    else if (c === '*' || c === '?' || c === '+') selectivity *= depth === 0 ? PARTIAL_WILDCARD_SEL : 1;
    else if (c === '{') {
      while (at < text.length && text[at] !== '}') at++;
      selectivity *= depth === 0 ? PARTIAL_WILDCARD_SEL : 1;
    } else if (c === '\\') {
      at++;
      if (depth === 0) selectivity *= FIXED_CHAR_SEL;
    } else if (depth === 0 && c !== '^' && c !== '$') selectivity *= FIXED_CHAR_SEL;
  }
  return Math.min(1, selectivity);
}
