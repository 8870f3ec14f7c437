/**
 * A statement's text with $n in place of its constants (pg_stat_statements.c, generate_normalized_query).
 */
import type { Jumble } from './queryjumble.ts';

const QUOTE = 39;
const BACKSLASH = 92;
const DOLLAR = 36;
const MINUS = 45;
const SEMICOLON = 59;

/** The statement that begins at byte `from` of the text and is `length` bytes long (0: up to its end), as a user would tell
 *  it: without blanks around it. */
export function cleanQueryText(
  text: Buffer,
  from: number,
  length: number,
): { readonly at: number; readonly end: number } {
  let at = Math.max(0, from);
  let end = length > 0 ? at + length : text.length;
  while (at < end && isSpace(text[at]!)) at++;
  // Where the length is not known, it is a text's only statement.
  while (end > at && (isSpace(text[end - 1]!) || (length === 0 && text[end - 1] === SEMICOLON))) end--;
  return { at, end };
}

/** `text[at … end]` with the constants of the jumble, whose places are those of the whole text, numbered behind $n. */
export function normalizedText(
  text: Buffer,
  { at, end }: { readonly at: number; readonly end: number },
  { constants, highestParam }: Pick<Jumble, 'constants' | 'highestParam'>,
): string {
  const parts: Buffer[] = [];
  let done = at;
  const places = constants.toSorted((a, b) => a - b);
  for (const [n, place] of places.entries()) {
    // One that the same text made twice has one number, and the other is left out.
    if (place < done || place >= end) continue;
    parts.push(text.subarray(done, place), Buffer.from(`$${n + 1 + highestParam}`));
    done = Math.min(end, constantEnd(text, place));
  }
  parts.push(text.subarray(done, end));
  return Buffer.concat(parts).toString();
}

const isSpace = (byte: number): boolean => byte === 32 || (byte >= 9 && byte <= 13);
const isDigit = (byte: number | undefined): boolean => byte !== undefined && byte >= 48 && byte <= 57;
const isWord = (byte: number | undefined): boolean =>
  byte !== undefined &&
  (isDigit(byte) || byte === 95 || byte === DOLLAR || byte >= 128 || ((byte | 32) >= 97 && (byte | 32) <= 122));

/** Behind the token that begins here, a sign in front of a number included. */
function constantEnd(text: Buffer, place: number): number {
  let at = place;
  if (text[at] === MINUS) {
    at++;
    while (at < text.length && isSpace(text[at]!)) at++;
  }
  const byte = text[at];
  if (byte === QUOTE) return stringEnd(text, at, false);
  if (byte === DOLLAR) return dollarEnd(text, at);
  const prefix = /^(?:[eEbBxXnN]|[uU]&)'/.exec(text.toString('latin1', at, at + 3));
  if (prefix !== null) return stringEnd(text, at + prefix[0].length - 1, /e/i.test(prefix[0]));
  if (isDigit(byte) || byte === 46) return numberEnd(text, at);
  let end = at;
  while (isWord(text[end])) end++;
  return Math.max(end, at + 1);
}

function numberEnd(text: Buffer, at: number): number {
  const found = /^(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/.exec(text.toString('latin1', at, at + 1024));
  return at + Math.max(1, found?.[0].length ?? 1);
}

/** `at` is the opening quote. Parts with a line break between them are one string. */
function stringEnd(text: Buffer, at: number, escapes: boolean): number {
  let end = at + 1;
  for (; end < text.length; end++) {
    if (escapes && text[end] === BACKSLASH) end++;
    else if (text[end] === QUOTE) {
      if (text[end + 1] !== QUOTE) break;
      end++;
    }
  }
  end = Math.min(text.length, end + 1);
  let next = end;
  let broken = false;
  while (next < text.length && isSpace(text[next]!)) broken = text[next++] === 10 || broken;
  return broken && text[next] === QUOTE ? stringEnd(text, next, escapes) : end;
}

function dollarEnd(text: Buffer, at: number): number {
  const tag = /^\$(?:[^\d\s$'"(),;][^\s$'"(),;]*)?\$/.exec(text.toString('latin1', at, at + 128))?.[0];
  if (tag === undefined) return at + 1;
  const close = text.indexOf(tag, at + tag.length, 'latin1');
  return close < 0 ? text.length : close + tag.length;
}
