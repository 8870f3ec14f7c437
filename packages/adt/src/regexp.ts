/**
 * The SQL face of regular expressions: ~ and its kin, substring, regexp_replace, regexp_match(es),
 * regexp_split, regexp_count/instr/like/substr, and SIMILAR TO's translation. Positions are in
 * characters; results are views into the text.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import type { FunctionCall, FunctionTable, SetFunctionTable } from './fmgr.ts';
import { mblen, stringToText, textToString } from './mb/mbutils.ts';
import { applyOption, defaultFlags, type RegexFlags } from './regex/regcomp.ts';
import { Regex } from './regex/regexec.ts';
import type { Chars } from './regex/rege_dfa.ts';
import { buildTextArray } from './arrayutils.ts';
import { joinBytes } from './textfuncs.ts';

type Bytes = Uint8Array;

/** A text as the matcher wants it, and the way back to bytes. */
class Subject {
  readonly bytes: Bytes;
  readonly chars: Chars;
  private readonly offsets: Int32Array | undefined;

  constructor(bytes: Bytes) {
    this.bytes = bytes;
    let ascii = true;
    for (let i = 0; i < bytes.length && ascii; i++) ascii = bytes[i] < 128;
    if (ascii) {
      this.chars = bytes;
      return;
    }
    const chars = new Int32Array(bytes.length);
    const offsets = new Int32Array(bytes.length + 1);
    let n = 0;
    for (let i = 0; i < bytes.length; ) {
      const len = mblen(bytes[i]);
      let c = len === 1 ? bytes[i] : bytes[i] & (0xff >> (len + 1));
      for (let k = 1; k < len; k++) c = (c << 6) | (bytes[i + k] & 0x3f);
      offsets[n] = i;
      chars[n++] = c;
      i += len;
    }
    offsets[n] = bytes.length;
    this.chars = chars.subarray(0, n);
    this.offsets = offsets;
  }

  slice(from: number, to: number): Bytes {
    return this.offsets ? this.bytes.subarray(this.offsets[from], this.offsets[to]) : this.bytes.subarray(from, to);
  }
}

const MAX_CACHED = 200;
const cache = new Map<string, Regex>();

/** Compiled expressions, least recently used out first. */
function compile(pattern: Bytes, flags: RegexFlags): Regex {
  const text = textToString(pattern);
  const key = `${flags.icase ? 'i' : ''}${flags.stopAtNewline ? 's' : ''}${flags.lineAnchors ? 'l' : ''}${flags.expanded ? 'x' : ''}${flags.literal ? 'q' : ''}:${text}`;
  let regex = cache.get(key);
  if (regex) cache.delete(key);
  else regex = new Regex(text, flags);
  cache.set(key, regex);
  if (cache.size > MAX_CACHED) cache.delete(cache.keys().next().value!);
  return regex;
}

const PLAIN = defaultFlags();
const ICASE = { ...defaultFlags(), icase: true };

const matches = (text: Bytes, pattern: Bytes, flags: RegexFlags): boolean =>
  compile(pattern, flags).test(new Subject(text).chars);

interface Options {
  readonly flags: RegexFlags;
  readonly global: boolean;
}

function parseOptions(text: Bytes | undefined): Options {
  const flags = defaultFlags();
  let global = false;
  for (const letter of text ? textToString(text) : '') {
    if (letter === 'g') global = true;
    else if (!applyOption(flags, letter))
      throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `invalid regular expression option: "${letter}"`);
  }
  return { flags, global };
}

function refuseGlobal(options: Options, name: string, hint?: string): void {
  if (options.global)
    throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `${name}() does not support the "global" option`, { hint });
}

/** Successive matches; after an empty one the search goes on one character later. */
function* allMatches(regex: Regex, subject: Subject, from: number, global: boolean): Generator<Int32Array> {
  for (let at = from; at <= subject.chars.length; ) {
    const m = regex.exec(subject.chars, at);
    if (!m) return;
    yield m;
    if (!global) return;
    at = m[1] + (m[0] === m[1] ? 1 : 0);
  }
}

/** Appends the replacement with \1…\9, \& and \\ filled in. */
function appendReplacement(parts: Bytes[], replacement: Bytes, subject: Subject, m: Int32Array): void {
  for (let i = 0; i < replacement.length; ) {
    const slash = replacement.indexOf(92, i);
    if (slash < 0) {
      parts.push(replacement.subarray(i));
      return;
    }
    if (slash > i) parts.push(replacement.subarray(i, slash));
    const c = replacement[slash + 1];
    i = slash + 2;
    if (c === 38 || (c >= 49 && c <= 57)) {
      const group = c === 38 ? 0 : c - 48;
      if (group * 2 < m.length && m[group * 2] >= 0) parts.push(subject.slice(m[group * 2], m[group * 2 + 1]));
    } else {
      parts.push(replacement.subarray(slash, slash + 1));
      if (c !== 92) i = slash + 1;
    }
  }
}

/** Replaces match number `n`, or all for 0. */
function replaceMatches(
  text: Bytes,
  pattern: Bytes,
  replacement: Bytes,
  flags: RegexFlags,
  start: number,
  n: number,
): Bytes {
  const regex = compile(pattern, flags);
  const subject = new Subject(text);
  const parts: Bytes[] = [];
  let copied = 0;
  let count = 0;
  for (const m of allMatches(regex, subject, start, true)) {
    count++;
    if (n > 0 && count < n) continue;
    parts.push(subject.slice(copied, m[0]));
    appendReplacement(parts, replacement, subject, m);
    copied = m[1];
    if (n > 0) break;
  }
  if (parts.length === 0) return text;
  parts.push(subject.slice(copied, subject.chars.length));
  return joinBytes(parts);
}

function replaceWithFlags(text: Bytes, pattern: Bytes, replacement: Bytes, options: Bytes): Bytes {
  if (options[0] >= 48 && options[0] <= 57) {
    throw ereport(
      ERRCODE.INVALID_PARAMETER_VALUE,
      `invalid regular expression option: "${String.fromCharCode(options[0])}"`,
      {
        hint: 'If you meant to use regexp_replace() with a start parameter, cast the fourth argument to integer explicitly.',
      },
    );
  }
  const { flags, global } = parseOptions(options);
  return replaceMatches(text, pattern, replacement, flags, 0, global ? 0 : 1);
}

const badParameter = (name: string, value: number): PgError =>
  ereport(ERRCODE.INVALID_PARAMETER_VALUE, `invalid value for parameter "${name}": ${value}`);

function checkStart(start: number): void {
  if (start <= 0) throw badParameter('start', start);
}

function replaceExtended(
  text: Bytes,
  pattern: Bytes,
  replacement: Bytes,
  start: number,
  n: number | undefined,
  options: Bytes | undefined,
): Bytes {
  checkStart(start);
  if (n !== undefined && n < 0) throw badParameter('n', n);
  const { flags, global } = parseOptions(options);
  return replaceMatches(text, pattern, replacement, flags, start - 1, n ?? (global ? 0 : 1));
}

/** A match's groups as an array, or the whole when there are no groups. */
function groupsOf(regex: Regex, subject: Subject, m: Int32Array): Bytes {
  if (regex.groups === 0) return buildTextArray([subject.slice(m[0], m[1])]);
  const values: (Bytes | null)[] = [];
  for (let i = 1; i <= regex.groups; i++) values.push(m[i * 2] < 0 ? null : subject.slice(m[i * 2], m[i * 2 + 1]));
  return buildTextArray(values);
}

function match(text: Bytes, pattern: Bytes, options?: Bytes): Bytes | null {
  const parsed = parseOptions(options);
  refuseGlobal(parsed, 'regexp_match', 'Use the regexp_matches function instead.');
  const regex = compile(pattern, parsed.flags);
  const subject = new Subject(text);
  const m = regex.exec(subject.chars, 0);
  return m ? groupsOf(regex, subject, m) : null;
}

function* matchSet(text: Bytes, pattern: Bytes, options?: Bytes): Generator<Bytes> {
  const { flags, global } = parseOptions(options);
  const regex = compile(pattern, flags);
  const subject = new Subject(text);
  for (const m of allMatches(regex, subject, 0, global)) yield groupsOf(regex, subject, m);
}

/** Pieces between matches. Empty matches at the ends and right after another match do not split. */
function* split(text: Bytes, pattern: Bytes, options: Bytes | undefined, name: string): Generator<Bytes> {
  const parsed = parseOptions(options);
  refuseGlobal(parsed, name);
  const regex = compile(pattern, parsed.flags);
  const subject = new Subject(text);
  let last = 0;
  let previousEnd = 0;
  for (const m of allMatches(regex, subject, 0, true)) {
    if (m[0] < subject.chars.length && m[1] > previousEnd) {
      yield subject.slice(last, m[0]);
      last = m[1];
    }
    previousEnd = m[1];
  }
  yield subject.slice(last, subject.chars.length);
}

function substring(text: Bytes, pattern: Bytes): Bytes | null {
  const regex = compile(pattern, PLAIN);
  const subject = new Subject(text);
  const m = regex.exec(subject.chars, 0);
  if (!m) return null;
  const group = regex.groups > 0 ? 1 : 0;
  return m[group * 2] < 0 ? null : subject.slice(m[group * 2], m[group * 2 + 1]);
}

function count(text: Bytes, pattern: Bytes, start = 1, options?: Bytes): number {
  checkStart(start);
  const parsed = parseOptions(options);
  refuseGlobal(parsed, 'regexp_count');
  let n = 0;
  for (const _ of allMatches(compile(pattern, parsed.flags), new Subject(text), start - 1, true)) n++;
  return n;
}

function nth(regex: Regex, subject: Subject, start: number, n: number): Int32Array | undefined {
  let i = 0;
  for (const m of allMatches(regex, subject, start - 1, true)) if (++i === n) return m;
  return undefined;
}

function instr(text: Bytes, pattern: Bytes, start = 1, n = 1, endOption = 0, options?: Bytes, subexpr = 0): number {
  checkStart(start);
  if (n <= 0) throw badParameter('n', n);
  if (endOption !== 0 && endOption !== 1) throw badParameter('endoption', endOption);
  if (subexpr < 0) throw badParameter('subexpr', subexpr);
  const parsed = parseOptions(options);
  refuseGlobal(parsed, 'regexp_instr');
  const regex = compile(pattern, parsed.flags);
  if (subexpr > regex.groups) return 0;
  const m = nth(regex, new Subject(text), start, n);
  if (!m || m[subexpr * 2] < 0) return 0;
  return m[subexpr * 2 + endOption] + 1;
}

function substr(text: Bytes, pattern: Bytes, start = 1, n = 1, options?: Bytes, subexpr = 0): Bytes | null {
  checkStart(start);
  if (n <= 0) throw badParameter('n', n);
  if (subexpr < 0) throw badParameter('subexpr', subexpr);
  const parsed = parseOptions(options);
  refuseGlobal(parsed, 'regexp_substr');
  const regex = compile(pattern, parsed.flags);
  if (subexpr > regex.groups) return null;
  const subject = new Subject(text);
  const m = nth(regex, subject, start, n);
  return m && m[subexpr * 2] >= 0 ? subject.slice(m[subexpr * 2], m[subexpr * 2 + 1]) : null;
}

function like(text: Bytes, pattern: Bytes, options?: Bytes): boolean {
  const parsed = parseOptions(options);
  refuseGlobal(parsed, 'regexp_like');
  return matches(text, pattern, parsed.flags);
}

/** SIMILAR TO's pattern as a regular expression anchored at both ends. */
function similarEscape(pattern: Bytes, escape: Bytes | undefined): Bytes {
  const e = escape === undefined ? '\\' : textToString(escape);
  if ([...e].length > 1) {
    throw ereport(ERRCODE.INVALID_ESCAPE_SEQUENCE, 'invalid escape string', {
      hint: 'Escape string must be empty or one character.',
    });
  }
  let out = '^(?:';
  let afterEscape = false;
  let quotes = 0;
  let depth = 0;
  let classPosition = 0;
  for (const c of textToString(pattern)) {
    if (afterEscape) {
      if (c === '"' && depth < 1) {
        if (quotes > 1) {
          throw ereport(
            ERRCODE.INVALID_USE_OF_ESCAPE_CHARACTER,
            'SQL regular expression may not contain more than two escape-double-quote separators',
          );
        }
        out += quotes === 0 ? '){1,1}?(' : '){1,1}(?:';
        quotes++;
      } else {
        out += `\\${c}`;
        classPosition = 3;
      }
      afterEscape = false;
    } else if (e !== '' && c === e) afterEscape = true;
    else if (depth > 0) {
      out += c === '\\' ? '\\\\' : c;
      if (c === ']' && classPosition > 2) depth--;
      else if (c === '[') {
        depth++;
        classPosition = 3;
      } else if (c === '^') classPosition++;
      else classPosition = 3;
    } else if (c === '[') {
      out += c;
      depth = 1;
      classPosition = 1;
    } else if (c === '%') out += '.*';
    else if (c === '_') out += '.';
    else if (c === '(') out += '(?:';
    else out += '\\.^$'.includes(c) ? `\\${c}` : c;
  }
  return stringToText(`${out})$`);
}

export const regexpFunctions: FunctionTable = {
  textregexeq: (_fc: FunctionCall, text: Bytes, pattern: Bytes) => matches(text, pattern, PLAIN),
  textregexne: (_fc: FunctionCall, text: Bytes, pattern: Bytes) => !matches(text, pattern, PLAIN),
  texticregexeq: (_fc: FunctionCall, text: Bytes, pattern: Bytes) => matches(text, pattern, ICASE),
  texticregexne: (_fc: FunctionCall, text: Bytes, pattern: Bytes) => !matches(text, pattern, ICASE),
  nameregexeq: (_fc: FunctionCall, text: Bytes, pattern: Bytes) => matches(text, pattern, PLAIN),
  nameregexne: (_fc: FunctionCall, text: Bytes, pattern: Bytes) => !matches(text, pattern, PLAIN),
  nameicregexeq: (_fc: FunctionCall, text: Bytes, pattern: Bytes) => matches(text, pattern, ICASE),
  nameicregexne: (_fc: FunctionCall, text: Bytes, pattern: Bytes) => !matches(text, pattern, ICASE),
  textregexsubstr: (_fc: FunctionCall, text: Bytes, pattern: Bytes) => substring(text, pattern),
  textregexreplace_noopt: (_fc: FunctionCall, text: Bytes, pattern: Bytes, replacement: Bytes) =>
    replaceMatches(text, pattern, replacement, PLAIN, 0, 1),
  textregexreplace: (_fc: FunctionCall, text: Bytes, pattern: Bytes, replacement: Bytes, options: Bytes) =>
    replaceWithFlags(text, pattern, replacement, options),
  textregexreplace_extended: (
    _fc: FunctionCall,
    text: Bytes,
    pattern: Bytes,
    replacement: Bytes,
    start: number,
    n: number,
    options: Bytes,
  ) => replaceExtended(text, pattern, replacement, start, n, options),
  textregexreplace_extended_no_flags: (
    _fc: FunctionCall,
    text: Bytes,
    pattern: Bytes,
    replacement: Bytes,
    start: number,
    n: number,
  ) => replaceExtended(text, pattern, replacement, start, n, undefined),
  textregexreplace_extended_no_n: (_fc: FunctionCall, text: Bytes, pattern: Bytes, replacement: Bytes, start: number) =>
    replaceExtended(text, pattern, replacement, start, undefined, undefined),
  regexp_match: (_fc: FunctionCall, text: Bytes, pattern: Bytes, options: Bytes) => match(text, pattern, options),
  regexp_match_no_flags: (_fc: FunctionCall, text: Bytes, pattern: Bytes) => match(text, pattern),
  regexp_split_to_array: (_fc: FunctionCall, text: Bytes, pattern: Bytes, options: Bytes) =>
    buildTextArray([...split(text, pattern, options, 'regexp_split_to_array')]),
  regexp_split_to_array_no_flags: (_fc: FunctionCall, text: Bytes, pattern: Bytes) =>
    buildTextArray([...split(text, pattern, undefined, 'regexp_split_to_array')]),
  regexp_count: (_fc: FunctionCall, text: Bytes, pattern: Bytes, start: number, options: Bytes) =>
    count(text, pattern, start, options),
  regexp_count_no_flags: (_fc: FunctionCall, text: Bytes, pattern: Bytes, start: number) => count(text, pattern, start),
  regexp_count_no_start: (_fc: FunctionCall, text: Bytes, pattern: Bytes) => count(text, pattern),
  regexp_instr: (
    _fc: FunctionCall,
    text: Bytes,
    pattern: Bytes,
    start: number,
    n: number,
    end: number,
    options: Bytes,
    subexpr: number,
  ) => instr(text, pattern, start, n, end, options, subexpr),
  regexp_instr_no_subexpr: (
    _fc: FunctionCall,
    text: Bytes,
    pattern: Bytes,
    start: number,
    n: number,
    end: number,
    options: Bytes,
  ) => instr(text, pattern, start, n, end, options),
  regexp_instr_no_flags: (_fc: FunctionCall, text: Bytes, pattern: Bytes, start: number, n: number, end: number) =>
    instr(text, pattern, start, n, end),
  regexp_instr_no_endoption: (_fc: FunctionCall, text: Bytes, pattern: Bytes, start: number, n: number) =>
    instr(text, pattern, start, n),
  regexp_instr_no_n: (_fc: FunctionCall, text: Bytes, pattern: Bytes, start: number) => instr(text, pattern, start),
  regexp_instr_no_start: (_fc: FunctionCall, text: Bytes, pattern: Bytes) => instr(text, pattern),
  regexp_like: (_fc: FunctionCall, text: Bytes, pattern: Bytes, options: Bytes) => like(text, pattern, options),
  regexp_like_no_flags: (_fc: FunctionCall, text: Bytes, pattern: Bytes) => like(text, pattern),
  regexp_substr: (
    _fc: FunctionCall,
    text: Bytes,
    pattern: Bytes,
    start: number,
    n: number,
    options: Bytes,
    subexpr: number,
  ) => substr(text, pattern, start, n, options, subexpr),
  regexp_substr_no_subexpr: (
    _fc: FunctionCall,
    text: Bytes,
    pattern: Bytes,
    start: number,
    n: number,
    options: Bytes,
  ) => substr(text, pattern, start, n, options),
  regexp_substr_no_flags: (_fc: FunctionCall, text: Bytes, pattern: Bytes, start: number, n: number) =>
    substr(text, pattern, start, n),
  regexp_substr_no_n: (_fc: FunctionCall, text: Bytes, pattern: Bytes, start: number) => substr(text, pattern, start),
  regexp_substr_no_start: (_fc: FunctionCall, text: Bytes, pattern: Bytes) => substr(text, pattern),
  similar_to_escape_1: (_fc: FunctionCall, pattern: Bytes) => similarEscape(pattern, undefined),
  similar_to_escape_2: (_fc: FunctionCall, pattern: Bytes, escape: Bytes) => similarEscape(pattern, escape),
  similar_escape: (_fc: FunctionCall, pattern: Bytes | null, escape: Bytes | null) =>
    pattern === null ? null : similarEscape(pattern, escape ?? undefined),
};

export const regexpSetFunctions: SetFunctionTable = {
  regexp_matches: (_fc: FunctionCall, text: Bytes, pattern: Bytes, options: Bytes) => matchSet(text, pattern, options),
  regexp_matches_no_flags: (_fc: FunctionCall, text: Bytes, pattern: Bytes) => matchSet(text, pattern),
  regexp_split_to_table: (_fc: FunctionCall, text: Bytes, pattern: Bytes, options: Bytes) =>
    split(text, pattern, options, 'regexp_split_to_table'),
  regexp_split_to_table_no_flags: (_fc: FunctionCall, text: Bytes, pattern: Bytes) =>
    split(text, pattern, undefined, 'regexp_split_to_table'),
};
