/**
 * The grammar library speaks PostgreSQL 18; we answer as 15 does. Its lexer's later words are hidden before it reads a text
 * (one letter of each becomes an underscore, so nothing moves), which makes them the plain identifiers they were: what
 * needs them as keywords is then a syntax error at the right place. Numbers such as 1_000 and 0x1F get junk in them.
 * What later versions allow with old words is found in the tree afterwards (pg15check.ts).
 */
import { scanSync } from 'libpg-query';
import { clipName, NAMEDATALEN } from '@pgtroupe/adt/name';

/** Words that became keywords after version 15. */
const LATER_KEYWORDS = (
  'absent conditional empty enforced error format indent json json_array json_arrayagg json_exists json_object ' +
  'json_objectagg json_query json_scalar json_serialize json_table json_value keep keys merge_action nested objects omit ' +
  'path period plan quotes scalar source string system_user target unconditional virtual'
).split(' ');

const hide = (word: string): string => `${word.slice(0, -1)}_`;
const HIDDEN = new Map(LATER_KEYWORDS.map(word => [word, hide(word)]));
const SHOWN = new Map(LATER_KEYWORDS.map(word => [hide(word), word]));

const WORDS = new RegExp(`\\b(?:${LATER_KEYWORDS.join('|')})\\b`, 'i');
const LATER_NUMBER = /\d_|0[xob]/i;
/** Where a text may hold one. The lexer is slow, and not asked about an ORM's `t0_.id AS c0_1_`. */
const LATER_NUMBER_IN_TEXT = /(?<![A-Za-z0-9_\u0080-\uffff])(?:\d(?:[\w.]*\d)?_|0[xob])/i;
/** A text that holds a hidden form of its own is left alone. */
const CLASH = new RegExp(`\\b(?:${LATER_KEYWORDS.map(hide).join('|')})(?![A-Za-z0-9_$])`, 'i');

export interface Token {
  /** Byte offsets. */
  readonly start: number;
  readonly end: number;
  /** As written, keywords and identifiers in lower case. */
  readonly text: string;
}

/** The tokens of a text; none for one that the lexer refuses. */
export function tokensOf(text: string): readonly Token[] {
  try {
    return scanSync(text)
      .tokens.filter(token => token.tokenName !== 'SQL_COMMENT' && token.tokenName !== 'C_COMMENT')
      .map(({ start, end, text: word }) => ({ start, end, text: /^[A-Za-z_]/.test(word) ? word.toLowerCase() : word }));
  } catch {
    return [];
  }
}

/** What may hold a name of 64 bytes, in a text of ASCII and in another: a character is three bytes at most for one of JavaScript's. */
const LONG_NAME = /[\w$]{64}|"(?:[^"]|""){64}/;
const LONG_WIDE_NAME = /[\w$\u0080-\uffff]{22}|"(?:[^"]|""){22}/;
const WIDE = /[\u0080-\uffff]/;

/** What the lexer says of identifiers that are too long for a name: one message for each. */
export function truncationNotices(text: string): string[] {
  if (!(WIDE.test(text) ? LONG_WIDE_NAME : LONG_NAME).test(text)) return [];
  const out: string[] = [];
  for (const { text: token } of tokensOf(text)) {
    let name = token;
    if (token.startsWith('"')) name = token.slice(1, -1).replace(/""/g, '"');
    else if (!/^[A-Za-z_\u0080-\uffff]/.test(token)) continue;
    const bytes = Buffer.from(name, 'utf8');
    if (bytes.length < NAMEDATALEN) continue;
    out.push(`identifier "${name}" will be truncated to "${Buffer.from(clipName(bytes)).toString('utf8')}"`);
  }
  return out;
}

/** The text to parse instead, of the same length; the text itself if nothing in it is new. */
export function hideLaterSyntax(text: string): string {
  const words = WORDS.test(text);
  if ((!words && !LATER_NUMBER_IN_TEXT.test(text)) || CLASH.test(text)) return text;
  const bytes = Buffer.from(text, 'utf8');
  let changed = false;
  for (const token of tokensOf(text)) {
    let replacement: string | undefined;
    if (/^[.\d]/.test(token.text)) {
      if (LATER_NUMBER.test(token.text)) replacement = token.text.replace(/_/g, 'z').replace(/^0[xob]/i, '0z');
    } else replacement = HIDDEN.get(token.text);
    if (replacement === undefined) continue;
    bytes.write(replacement, token.start, 'latin1');
    changed = true;
  }
  return changed ? bytes.toString('utf8') : text;
}

/** An identifier of the tree as it was written. */
export const shownIdentifier = (identifier: string): string => SHOWN.get(identifier) ?? identifier;

const NUMBER_WITH_JUNK = /^(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?[A-Za-z_\u0080-\uffff][A-Za-z0-9_$\u0080-\uffff]*/;

const PARAMETER_JUNK = /\$\d+[A-Za-z_\u0080-\uffff]/;

/** `$1a` is an error to PostgreSQL, to the library `$1 a`: what is wrong and at which character, undefined if nothing is. */
export function parameterJunk(text: string): { message: string; at: number } | undefined {
  if (!PARAMETER_JUNK.test(text)) return undefined;
  const tokens = tokensOf(text);
  const found = tokens.find(
    (token, i) =>
      /^\$\d+$/.test(token.text) &&
      tokens[i + 1]?.start === token.end &&
      /^[A-Za-z_\u0080-\uffff]/.test(tokens[i + 1]!.text),
  );
  if (found === undefined) return undefined;
  const at = Buffer.from(text, 'utf8').subarray(0, found.start).toString('utf8').length;
  const junk = /^\$\d+[\w$\u0080-\uffff]*/.exec(text.slice(at))![0];
  return { message: `trailing junk after parameter at or near "${junk}"`, at };
}

/** A message of the parser about a changed text, as it would be about the real one. `at` is a character's index. */
export function shownMessage(message: string, at: number, text: string): { message: string; at: number } {
  const rest = text.slice(at);
  if (/^trailing junk after numeric literal|^invalid (?:hexadecimal|octal|binary) integer/.test(message)) {
    const junk = NUMBER_WITH_JUNK.exec(rest)?.[0];
    return junk === undefined
      ? { message, at }
      : { message: `trailing junk after numeric literal at or near "${junk}"`, at };
  }
  const near = / at or near "([^]*)"$/.exec(message);
  if (near === null) return { message, at };
  // WHEN NOT MATCHED BY SOURCE: the word before was the first that was not expected.
  const by = /\bmatched\s+(by)\s+$/i.exec(text.slice(0, at));
  if (by !== null && /^(?:source|target)\b/i.test(rest)) {
    const place = at - by[0].length + by[0].lastIndexOf(by[1]!);
    return { message: `${message.slice(0, near.index)} at or near "${by[1]!}"`, at: place };
  }
  return { message: `${message.slice(0, near.index)} at or near "${rest.slice(0, near[1]!.length)}"`, at };
}

/** Where 15 points, if anywhere: 18 points at clauses of which 15 shows what is in them, or nothing. */
export function shownPosition(message: string, at: number, text: string): number | undefined {
  if (message.includes('WITH TIES') || message === 'multiple limit options not allowed') return undefined;
  if (!/^multiple (?:LIMIT|OFFSET) clauses/.test(message)) return at;
  const clause =
    /^(?:limit|offset|fetch\s+(?:first|next))(?:\s|\(|--.*|\/\*[^]*?\*\/)*/i.exec(text.slice(at))?.[0] ?? '';
  const value = at + clause.length;
  return /^rows?\b/i.test(text.slice(value)) ? undefined : value;
}
