/**
 * Array literals, `[1:2]={{a,b},{c,d}}`: a first pass finds the dimensions and every fault of the braces, a
 * second one takes the elements to their places.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import { textToString } from './mb/mbutils.ts';
import { checkDimensions, MAXDIM } from './arrayutils.ts';
import { isSpace } from './numutils.ts';

const QUOTE = 34;
const BACKSLASH = 92;
const LBRACKET = 91;
const RBRACKET = 93;
const OPEN = 123;
const CLOSE = 125;

/** An element's text, or null for an unquoted NULL. */
export type ElementText = Uint8Array | null;

export interface ArrayText {
  readonly dims: readonly number[];
  readonly lbounds: readonly number[];
  /** In storage order; none for an empty array. */
  readonly elements: readonly ElementText[];
}

type State =
  | 'no level'
  | 'level started'
  | 'element started'
  | 'quoted started'
  | 'quoted completed'
  | 'element delimited'
  | 'level completed'
  | 'level delimited';

const malformed = (text: Uint8Array, detail: string): PgError =>
  ereport(ERRCODE.INVALID_TEXT_REPRESENTATION, `malformed array literal: "${textToString(text)}"`, { detail });

/** The dimensions that the braces from `from` on describe; none for an empty array. */
function countDimensions(text: Uint8Array, from: number, delimiter: number): number[] {
  const fail = (detail: string): PgError => malformed(text.subarray(from), detail);
  const unexpected = (c: number): PgError => fail(`Unexpected "${String.fromCharCode(c)}" character.`);
  const counts = new Array<number>(MAXDIM).fill(0);
  const members = new Array<number>(MAXDIM).fill(1);
  const membersBefore = new Array<number>(MAXDIM).fill(0);
  let depth = 0;
  let ndim = 1;
  let quoted = false;
  let empty = true;
  let state: State = 'no level';
  let at = from;
  for (;;) {
    if (state === 'element started' || state === 'quoted started') empty = false;
    if (at >= text.length) throw fail('Unexpected end of input.');
    const c = text[at]!;
    if (c === BACKSLASH) {
      if (
        state !== 'level started' &&
        state !== 'element started' &&
        state !== 'quoted started' &&
        state !== 'element delimited'
      )
        throw unexpected(c);
      if (state !== 'quoted started') state = 'element started';
      if (++at >= text.length) throw fail('Unexpected end of input.');
    } else if (c === QUOTE) {
      if (state !== 'level started' && state !== 'quoted started' && state !== 'element delimited')
        throw fail('Unexpected array element.');
      quoted = !quoted;
      state = quoted ? 'quoted started' : 'quoted completed';
    } else if (quoted) {
      // Anything may stand between quotes.
    } else if (c === OPEN) {
      if (state !== 'no level' && state !== 'level started' && state !== 'level delimited') throw unexpected(c);
      state = 'level started';
      if (depth >= MAXDIM) checkDimensions(depth + 1);
      counts[depth++] = 0;
      ndim = Math.max(ndim, depth);
    } else if (c === CLOSE) {
      const mayClose =
        state === 'element started' ||
        state === 'quoted completed' ||
        state === 'level completed' ||
        (depth === 1 && state === 'level started');
      if (!mayClose) throw unexpected(c);
      state = 'level completed';
      depth--;
      if (membersBefore[depth] !== 0 && members[depth] !== membersBefore[depth])
        throw fail('Multidimensional arrays must have sub-arrays with matching dimensions.');
      membersBefore[depth] = members[depth]!;
      members[depth] = 1;
      if (depth === 0) {
        counts[ndim - 1]!++;
        break;
      }
      counts[depth - 1]!++;
    } else if (c === delimiter) {
      if (state !== 'element started' && state !== 'quoted completed' && state !== 'level completed')
        throw unexpected(c);
      state = state === 'level completed' ? 'level delimited' : 'element delimited';
      members[depth - 1]!++;
      counts[ndim - 1]!++;
    } else if (!isSpace(c)) {
      if (state !== 'level started' && state !== 'element started' && state !== 'element delimited')
        throw fail('Unexpected array element.');
      state = 'element started';
    }
    at++;
  }
  for (at++; at < text.length; at++) if (!isSpace(text[at]!)) throw fail('Junk after closing right brace.');
  return empty ? [] : counts.slice(0, ndim);
}

/** One element, `at` on its first character; `next` is the delimiter or brace that ends it. */
function readElement(text: Uint8Array, from: number, delimiter: number): { value: ElementText; next: number } {
  const out: number[] = [];
  let at = from;
  let solid = 0;
  let bare = true;
  let quoted = false;
  for (; ; at++) {
    const c = text[at]!;
    if (c === QUOTE) {
      quoted = !quoted;
      bare = false;
      solid = out.length;
    } else if (c === BACKSLASH) {
      out.push(text[++at]!);
      bare = false;
      solid = out.length;
    } else if (!quoted && (c === delimiter || c === CLOSE)) break;
    else {
      out.push(c);
      if (quoted || !isSpace(c)) solid = out.length;
    }
  }
  const value = Uint8Array.from(out.slice(0, solid));
  const isNull = bare && solid === 4 && textToString(value).toLowerCase() === 'null';
  return { value: isNull ? null : value, next: at };
}

/** Takes elements to their places in a box whose shape countDimensions has found. */
function readElements(text: Uint8Array, from: number, dims: readonly number[], delimiter: number): ElementText[] {
  const strides = dims.map((_, d) => dims.slice(d + 1).reduce((a, b) => a * b, 1));
  const elements = new Array<ElementText>(dims.reduce((a, b) => a * b, 1)).fill(null);
  const index = dims.map(() => 0);
  let depth = 0;
  for (let at = from; at < text.length; ) {
    const c = text[at]!;
    if (c === OPEN) {
      index[depth++] = 0;
      at++;
    } else if (c === CLOSE) {
      index[--depth] = 0;
      if (depth === 0) break;
      at++;
    } else if (c === delimiter) {
      index[depth - 1]!++;
      at++;
    } else if (isSpace(c)) at++;
    else {
      const { value, next } = readElement(text, at, delimiter);
      elements[index.reduce((sum, i, d) => sum + i * strides[d]!, 0)] = value;
      at = next;
    }
  }
  return elements;
}

const isBoundCharacter = (c: number | undefined): boolean =>
  c !== undefined && ((c >= 48 && c <= 57) || c === 45 || c === 43);

export function parseArrayText(text: Uint8Array, delimiter: number): ArrayText {
  const dims: number[] = [];
  const lbounds: number[] = [];
  let at = 0;
  const skipSpace = (): void => {
    while (at < text.length && isSpace(text[at]!)) at++;
  };
  const bound = (missing: string): number => {
    const from = at;
    while (isBoundCharacter(text[at])) at++;
    if (at === from) throw malformed(text, missing);
    const value = Number.parseInt(textToString(text.subarray(from, at)), 10);
    return Number.isNaN(value) ? 0 : value | 0;
  };
  for (skipSpace(); text[at] === LBRACKET; skipSpace()) {
    at++;
    if (dims.length >= MAXDIM) checkDimensions(dims.length + 1);
    let lower = 1;
    let upper = bound('"[" must introduce explicitly-specified array dimensions.');
    if (text[at] === 58) {
      at++;
      lower = upper;
      upper = bound('Missing array dimension value.');
    }
    if (text[at] !== RBRACKET) throw malformed(text, 'Missing "]" after array dimensions.');
    at++;
    if (upper < lower) throw ereport(ERRCODE.ARRAY_SUBSCRIPT_ERROR, 'upper bound cannot be less than lower bound');
    dims.push(upper - lower + 1);
    lbounds.push(lower);
  }
  if (dims.length === 0) {
    if (text[at] !== OPEN) throw malformed(text, 'Array value must start with "{" or dimension information.');
    const found = countDimensions(text, at, delimiter);
    const elements = found.length === 0 ? [] : readElements(text, at, found, delimiter);
    return { dims: found, lbounds: found.map(() => 1), elements };
  }
  if (text[at] !== 61) throw malformed(text, 'Missing "=" after array dimensions.');
  at++;
  skipSpace();
  if (text[at] !== OPEN) throw malformed(text, 'Array contents must start with "{".');
  const found = countDimensions(text, at, delimiter);
  if (found.length !== dims.length || found.some((d, i) => d !== dims[i]))
    throw malformed(text, 'Specified array dimensions do not match array contents.');
  return { dims, lbounds, elements: readElements(text, at, found, delimiter) };
}
