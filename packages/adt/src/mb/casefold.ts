/**
 * Case of characters as the C.UTF-8 locale has it: one character maps to one character. What
 * JavaScript maps to several (ß to SS) stays, save where Unicode has a simple mapping as well.
 */
const SIMPLE_LOWER: Readonly<Record<string, string>> = { İ: 'i' };

/** Greek with iota subscript: upper case is the title case letter, one code point. */
function simpleUpper(ch: string): string {
  const c = ch.codePointAt(0) ?? 0;
  if (c >= 0x1f80 && c <= 0x1faf) return String.fromCodePoint(c | 8);
  if (c === 0x1fb3 || c === 0x1fc3 || c === 0x1ff3) return String.fromCodePoint(c + 9);
  return ch;
}

const ONE = /^.$/su;

export function upperChar(ch: string): string {
  const up = ch.toUpperCase();
  return up.length === 1 || ONE.test(up) ? up : simpleUpper(ch);
}

export function lowerChar(ch: string): string {
  const low = ch.toLowerCase();
  return low.length === 1 || ONE.test(low) ? low : (SIMPLE_LOWER[ch] ?? ch);
}

export function upperString(s: string): string {
  let out = '';
  for (const ch of s) out += upperChar(ch);
  return out;
}

export function lowerString(s: string): string {
  let out = '';
  for (const ch of s) out += lowerChar(ch);
  return out;
}

const ALNUM = /[\p{Alphabetic}\p{N}]/u;

export function isAlnumChar(ch: string): boolean {
  return ALNUM.test(ch);
}
