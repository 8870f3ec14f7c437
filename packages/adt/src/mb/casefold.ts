/**
 * Case of characters as the C.UTF-8 locale has it: one character maps to one character. What
 * JavaScript maps to several (ß to SS) stays, save where Unicode has a simple mapping as well.
 */
import { allocBytes, codePointAt, mblen } from './mbutils.ts';

const SIMPLE_LOWER: Readonly<Record<string, string>> = { İ: 'i' };

/** Greek with iota subscript: upper case is the title case letter, one code point. */
function simpleUpper(ch: string): string {
  const c = ch.codePointAt(0) ?? 0;
  if (c >= 0x1f80 && c <= 0x1faf) return String.fromCodePoint(c | 8);
  if (c === 0x1fb3 || c === 0x1fc3 || c === 0x1ff3) return String.fromCodePoint(c + 9);
  return ch;
}

const ONE = /^.$/su;

function upperChar(ch: string): string {
  const up = ch.toUpperCase();
  return up.length === 1 || ONE.test(up) ? up : simpleUpper(ch);
}

function lowerChar(ch: string): string {
  const low = ch.toLowerCase();
  return low.length === 1 || ONE.test(low) ? low : (SIMPLE_LOWER[ch] ?? ch);
}

const ALNUM = /[\p{Alphabetic}\p{N}]/u;

function isAlnumChar(ch: string): boolean {
  return ALNUM.test(ch);
}

/** Cases of the characters of the basic plane as they are met; 0: not looked up yet. */
const upperOf = new Uint16Array(0x10000);
const lowerOf = new Uint16Array(0x10000);

function mapped(table: Uint16Array, map: (ch: string) => string, code: number): number {
  if (code > 0xffff) return map(String.fromCodePoint(code)).codePointAt(0)!;
  const known = table[code];
  if (known !== 0) return known;
  const found = map(String.fromCodePoint(code)).codePointAt(0)!;
  if (found <= 0xffff) table[code] = found;
  return found;
}

/** 1: no, 2: yes. */
const alnum = new Uint8Array(0x10000);

export function isAlnumCode(code: number): boolean {
  if (code > 0xffff) return isAlnumChar(String.fromCodePoint(code));
  if (alnum[code] === 0) alnum[code] = isAlnumChar(String.fromCodePoint(code)) ? 2 : 1;
  return alnum[code] === 2;
}

export const upperCode = (code: number): number => mapped(upperOf, upperChar, code);
export const lowerCode = (code: number): number => mapped(lowerOf, lowerChar, code);

/** The text with each character replaced by `change` of its code point. */
export function mapCharacters(text: Uint8Array, change: (code: number) => number): Uint8Array {
  const { length } = text;
  let out = allocBytes(length);
  let at = 0;
  for (let i = 0; i < length; ) {
    const lead = text[i];
    const bytes = mblen(lead);
    const code = change(bytes === 1 ? lead : codePointAt(text, i, bytes));
    i += bytes;
    if (at + 4 > out.length) {
      // Some are longer than what they come from; what is left is as long as before at least.
      const needed = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
      if (at + needed > out.length) {
        const grown = allocBytes(at + 4 + Math.ceil((length - i) * 1.5));
        grown.set(out.subarray(0, at));
        out = grown;
      }
    }
    if (code < 0x80) out[at++] = code;
    else if (code < 0x800) {
      out[at++] = 0xc0 | (code >> 6);
      out[at++] = 0x80 | (code & 0x3f);
    } else if (code < 0x10000) {
      out[at++] = 0xe0 | (code >> 12);
      out[at++] = 0x80 | ((code >> 6) & 0x3f);
      out[at++] = 0x80 | (code & 0x3f);
    } else {
      out[at++] = 0xf0 | (code >> 18);
      out[at++] = 0x80 | ((code >> 12) & 0x3f);
      out[at++] = 0x80 | ((code >> 6) & 0x3f);
      out[at++] = 0x80 | (code & 0x3f);
    }
  }
  return out.subarray(0, at);
}
