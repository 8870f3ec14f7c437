/**
 * The syntax tree of a regular expression, and sets of characters. Characters are code points.
 */

/** A set of characters: a table for ASCII, a test for the rest. */
export class CharSet {
  readonly ascii = new Uint8Array(128);
  readonly wide: (c: number) => boolean;

  constructor(test: (c: number) => boolean) {
    for (let c = 0; c < 128; c++) this.ascii[c] = test(c) ? 1 : 0;
    this.wide = test;
  }

  has(c: number): boolean {
    return c < 128 ? this.ascii[c] !== 0 : this.wide(c);
  }
}

/** Tests of a position: line and text boundaries, word boundaries. */
export type Assertion = 'bol' | 'eol' | 'begin' | 'end' | 'wordStart' | 'wordEnd' | 'wordBoundary' | 'notWordBoundary';

/** Which match is preferred when several begin at one place; undefined: no preference of its own. */
export type Preference = 'longest' | 'shortest' | undefined;

/** What a node's parts mean for how a match is divided among parentheses. */
export interface Traits {
  readonly prefer: Preference;
  /** Parts of it prefer otherwise. */
  readonly mixed: boolean;
  /** There are capturing parentheses in it. */
  readonly captures: boolean;
  /** There are back references in it: the automaton admits more than matches. */
  readonly backrefs: boolean;
}

/** A part that has no say in it. */
export const PLAIN: Traits = { prefer: undefined, mixed: false, captures: false, backrefs: false };

/** Such a node is divided; others are matched as a whole (MESSY). */
export const isMessy = (of: Traits): boolean => of.mixed || of.captures || of.backrefs;

/** Of two parts side by side the first that has a preference has it for both (COMBINE). */
export function combined(left: Traits, right: Traits): Traits {
  const clash = left.prefer !== undefined && right.prefer !== undefined && left.prefer !== right.prefer;
  return {
    prefer: left.prefer ?? right.prefer,
    mixed: left.mixed || right.mixed || clash,
    captures: left.captures || right.captures,
    backrefs: left.backrefs || right.backrefs,
  };
}

export type RegexNode = Traits &
  (
    | { readonly type: 'empty' }
    | { readonly type: 'set'; readonly set: CharSet }
    | { readonly type: 'assert'; readonly what: Assertion }
    | { readonly type: 'look'; readonly ahead: boolean; readonly negated: boolean; readonly body: RegexNode }
    | { readonly type: 'concat'; readonly left: RegexNode; readonly right: RegexNode }
    | { readonly type: 'alternate'; readonly branches: readonly RegexNode[] }
    | { readonly type: 'repeat'; readonly body: RegexNode; readonly min: number; readonly max: number }
    | { readonly type: 'group'; readonly body: RegexNode; readonly index: number }
    | {
        /** Between `min` and `max` times what parenthesis `index` matched; `body` is all that can be. */
        readonly type: 'backref';
        readonly index: number;
        readonly body: RegexNode;
        readonly min: number;
        readonly max: number;
        readonly icase: boolean;
      }
  );

const WORD = /[\p{L}\p{N}_\p{Nd}\p{Nl}]/u;
const SPACE = /\s/u;
const test =
  (re: RegExp) =>
  (c: number): boolean =>
    re.test(String.fromCodePoint(c));

/** Letters, digits and underscore. */
export const isWordChar = (c: number): boolean =>
  c < 128 ? (c >= 48 && c <= 57) || (c >= 65 && c <= 90) || (c >= 97 && c <= 122) || c === 95 : test(WORD)(c);

const ascii =
  (low: number, high: number) =>
  (c: number): boolean =>
    c >= low && c <= high;

/** POSIX classes as the C.UTF-8 locale fills them. */
export const CLASSES: Readonly<Record<string, (c: number) => boolean>> = {
  alpha: c => (c < 128 ? (c >= 65 && c <= 90) || (c >= 97 && c <= 122) : test(/[\p{L}\p{Nl}\p{Nd}]/u)(c)),
  alnum: test(/[\p{L}\p{Nl}\p{Nd}]/u),
  digit: ascii(48, 57),
  xdigit: test(/[0-9A-Fa-f]/),
  lower: c => {
    const s = String.fromCodePoint(c);
    return s.toUpperCase() !== s && s.toLowerCase() === s;
  },
  upper: c => {
    const s = String.fromCodePoint(c);
    return s.toLowerCase() !== s && s.toUpperCase() === s;
  },
  space: c =>
    c < 128
      ? c === 32 || (c >= 9 && c <= 13)
      : test(SPACE)(c) && c !== 0xa0 && c !== 0x2007 && c !== 0x202f && c !== 0xfeff,
  blank: c => c === 32 || c === 9,
  cntrl: c => c < 32 || (c >= 127 && c < 160) || c === 0x2028 || c === 0x2029,
  print: c => c >= 32 && !(c >= 127 && c < 160) && c !== 0x2028 && c !== 0x2029,
  graph: c => c > 32 && !(c >= 127 && c < 160) && !test(SPACE)(c),
  punct: c =>
    c < 128 ? /[!-/:-@[-`{-~]/.test(String.fromCodePoint(c)) : !/[\p{L}\p{N}\s\p{C}]/u.test(String.fromCodePoint(c)),
  word: isWordChar,
  ascii: ascii(0, 127),
};
