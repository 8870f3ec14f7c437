/**
 * Parses PostgreSQL's advanced regular expressions (ARE) into a syntax tree; also the basic (BRE)
 * option 'b' as 0A000, the literal option 'q', and embedded options. What needs backtracking to
 * match, back references, is refused.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported, type PgError } from '@pgtroupe/common/ereport';
import { CharSet, CLASSES, isWordChar, type Preference, type RegexNode } from './regguts.ts';

export interface RegexFlags {
  icase: boolean;
  /** `.` and negated brackets leave newlines out. */
  stopAtNewline: boolean;
  /** `^` and `$` match at lines. */
  lineAnchors: boolean;
  expanded: boolean;
  literal: boolean;
}

export const defaultFlags = (): RegexFlags => ({
  icase: false,
  stopAtNewline: false,
  lineAnchors: false,
  expanded: false,
  literal: false,
});

const DUP_MAX = 255;
const INFINITE = Number.POSITIVE_INFINITY;

const invalid = (what: string): PgError =>
  ereport(ERRCODE.INVALID_REGULAR_EXPRESSION, `invalid regular expression: ${what}`);

const EMPTY: RegexNode = { type: 'empty', prefer: undefined, captures: false };
const NEWLINE = 10;

/** Both cases of a character. */
function caseVariants(c: number): number[] {
  const s = String.fromCodePoint(c);
  const out = [c];
  for (const v of [s.toLowerCase(), s.toUpperCase()]) if ([...v].length === 1) out.push(v.codePointAt(0) ?? c);
  return out;
}

function concat(left: RegexNode, right: RegexNode): RegexNode {
  if (left.type === 'empty') return right;
  return {
    type: 'concat',
    left,
    right,
    prefer: left.prefer ?? right.prefer,
    captures: left.captures || right.captures,
  };
}

export interface ParsedRegex {
  readonly tree: RegexNode;
  readonly groups: number;
  readonly flags: RegexFlags;
}

/** One letter of a flags argument or of (?…); false when it is none. */
export function applyOption(flags: RegexFlags, letter: string): boolean {
  switch (letter) {
    case 'i':
      flags.icase = true;
      return true;
    case 'c':
      flags.icase = false;
      return true;
    case 'm':
    case 'n':
      flags.stopAtNewline = flags.lineAnchors = true;
      return true;
    case 'p':
      flags.stopAtNewline = true;
      flags.lineAnchors = false;
      return true;
    case 's':
      flags.stopAtNewline = flags.lineAnchors = false;
      return true;
    case 'w':
      flags.stopAtNewline = false;
      flags.lineAnchors = true;
      return true;
    case 'x':
      flags.expanded = true;
      return true;
    case 't':
      flags.expanded = false;
      return true;
    case 'q':
      flags.literal = true;
      return true;
    case 'e':
      return true;
    case 'b':
      throw notSupported('the basic regular expression syntax (option b)');
    default:
      return false;
  }
}

class Parser {
  readonly chars: readonly string[];
  at = 0;
  groups = 0;
  readonly flags: RegexFlags;

  constructor(pattern: string, flags: RegexFlags) {
    this.chars = [...pattern];
    this.flags = flags;
  }

  peek(offset = 0): string | undefined {
    return this.chars[this.at + offset];
  }

  looking(text: string): boolean {
    return this.chars.slice(this.at, this.at + text.length).join('') === text;
  }

  /** Director *** and embedded options at the very beginning. */
  prefixes(): void {
    if (this.looking('***')) {
      if (this.peek(3) === '=') {
        this.at += 4;
        this.flags.literal = true;
        return;
      }
      if (this.peek(3) !== ':') throw invalid('quantifier operand invalid');
      this.at += 4;
    }
    if (this.looking('(?') && /^[a-z]$/.test(this.peek(2) ?? '')) {
      this.at += 2;
      for (; this.peek() !== ')'; this.at++) {
        const c = this.peek();
        if (c === undefined) throw invalid('parentheses () not balanced');
        if (!applyOption(this.flags, c)) throw invalid('invalid embedded option');
      }
      this.at++;
    }
  }

  parse(): RegexNode {
    this.prefixes();
    if (this.flags.literal) {
      let node: RegexNode = EMPTY;
      for (let i = this.chars.length - 1; i >= this.at; i--)
        node = concatRight(this.char(this.chars[i].codePointAt(0)!), node);
      return node;
    }
    const node = this.alternatives(0);
    if (this.peek() !== undefined) throw invalid('parentheses () not balanced');
    return node;
  }

  char(c: number): RegexNode {
    const variants = this.flags.icase ? caseVariants(c) : [c];
    return { type: 'set', set: new CharSet(x => variants.includes(x)), prefer: undefined, captures: false };
  }

  alternatives(depth: number): RegexNode {
    if (depth > 500) throw invalid('regular expression is too complex');
    const branches = [this.branch(depth)];
    while (this.peek() === '|') {
      this.at++;
      branches.push(this.branch(depth));
    }
    if (branches.length === 1) return branches[0];
    return { type: 'alternate', branches, prefer: 'longest', captures: branches.some(b => b.captures) };
  }

  branch(depth: number): RegexNode {
    const parts: RegexNode[] = [];
    for (;;) {
      this.skipExpanded();
      const c = this.peek();
      if (c === undefined || c === '|' || c === ')') break;
      parts.push(this.quantified(depth));
    }
    return parts.reduceRight<RegexNode>((right, left) => concatRight(left, right), EMPTY);
  }

  skipExpanded(): void {
    for (;;) {
      const c = this.peek();
      if (this.flags.expanded && c !== undefined && /\s/.test(c)) this.at++;
      else if (this.flags.expanded && c === '#') while (this.peek() !== undefined && this.peek() !== '\n') this.at++;
      else if (this.looking('(?#')) {
        while (this.peek() !== undefined && this.peek() !== ')') this.at++;
        this.at++;
      } else return;
    }
  }

  quantified(depth: number): RegexNode {
    const c = this.peek();
    if (c === '*' || c === '+' || c === '?' || (c === '{' && /\d/.test(this.peek(1) ?? '')))
      throw invalid('quantifier operand invalid');
    const { node, constraint } = this.atom(depth);
    this.skipExpanded();
    const q = this.quantifier();
    if (!q) return node;
    if (constraint) throw invalid('quantifier operand invalid');
    this.skipExpanded();
    const next = this.peek();
    if (next === '*' || next === '+' || next === '?' || (next === '{' && /\d/.test(this.peek(1) ?? '')))
      throw invalid('quantifier operand invalid');
    const { min, max, greedy, fixed } = q;
    const prefer: Preference = fixed ? node.prefer : greedy ? 'longest' : 'shortest';
    if (max === 0) return EMPTY;
    if (min === 1 && max === 1) {
      // {1,1} changes nothing but which match is preferred.
      if (prefer === node.prefer || node.prefer === undefined) return node;
      return { type: 'concat', left: EMPTY, right: node, prefer, captures: node.captures };
    }
    // Only the last round's parentheses count: x{m,n} is x{m-1,n-1}x, the first part capturing
    // nothing. x{0,n} is divided round by round.
    if (!node.captures || min === 0) return { type: 'repeat', body: node, min, max, prefer, captures: node.captures };
    const before: RegexNode = {
      type: 'repeat',
      body: withoutCaptures(node),
      min: min - 1,
      max: max - 1,
      prefer,
      captures: false,
    };
    return { type: 'concat', left: before, right: node, prefer, captures: true };
  }

  quantifier(): { min: number; max: number; greedy: boolean; fixed: boolean } | undefined {
    let min: number;
    let max: number;
    let fixed = false;
    switch (this.peek()) {
      case '*':
        [min, max] = [0, INFINITE];
        break;
      case '+':
        [min, max] = [1, INFINITE];
        break;
      case '?':
        [min, max] = [0, 1];
        break;
      case '{': {
        if (!/\d/.test(this.peek(1) ?? '')) return undefined;
        const m = /^\{(\d+)(,(\d*))?\}/.exec(this.chars.slice(this.at, this.at + 20).join(''));
        if (!m)
          throw this.chars.includes('}') ? invalid('invalid repetition count(s)') : invalid('braces {} not balanced');
        min = Number(m[1]);
        max = m[2] === undefined ? min : m[3] === '' ? INFINITE : Number(m[3]);
        fixed = m[2] === undefined;
        if (min > DUP_MAX || (max !== INFINITE && (max > DUP_MAX || max < min)))
          throw invalid('invalid repetition count(s)');
        this.at += m[0].length - 1;
        break;
      }
      default:
        return undefined;
    }
    this.at++;
    let greedy = true;
    if (this.peek() === '?') {
      greedy = false;
      this.at++;
    }
    return { min, max, greedy, fixed };
  }

  atom(depth: number): { node: RegexNode; constraint: boolean } {
    const c = this.chars[this.at++];
    const plain = (node: RegexNode): { node: RegexNode; constraint: boolean } => ({ node, constraint: false });
    const assertion = (what: 'bol' | 'eol' | 'begin' | 'end'): { node: RegexNode; constraint: boolean } => ({
      node: { type: 'assert', what, prefer: undefined, captures: false },
      constraint: true,
    });
    switch (c) {
      case '^':
        return assertion(this.flags.lineAnchors ? 'bol' : 'begin');
      case '$':
        return assertion(this.flags.lineAnchors ? 'eol' : 'end');
      case '.': {
        const stop = this.flags.stopAtNewline;
        return plain({
          type: 'set',
          set: new CharSet(x => !(stop && x === NEWLINE)),
          prefer: undefined,
          captures: false,
        });
      }
      case '[':
        if (this.looking('[:<:]]') || this.looking('[:>:]]')) {
          const what = this.looking('[:<:]]') ? 'wordStart' : 'wordEnd';
          this.at += 6;
          return { node: { type: 'assert', what, prefer: undefined, captures: false }, constraint: true };
        }
        return plain({ type: 'set', set: this.bracket(), prefer: undefined, captures: false });
      case '(':
        return this.parenthesis(depth);
      case '\\':
        return this.escape();
      default:
        return plain(this.char(c.codePointAt(0)!));
    }
  }

  parenthesis(depth: number): { node: RegexNode; constraint: boolean } {
    const close = (): void => {
      if (this.peek() !== ')') throw invalid('parentheses () not balanced');
      this.at++;
    };
    if (this.looking('?:')) {
      this.at += 2;
      const node = this.alternatives(depth + 1);
      close();
      return { node, constraint: false };
    }
    const look = /^\?(<?)([=!])/.exec(this.chars.slice(this.at, this.at + 3).join(''));
    if (look) {
      this.at += look[0].length;
      const before = this.groups;
      const body = this.alternatives(depth + 1);
      close();
      // Parentheses inside a constraint capture nothing.
      this.groups = before;
      return {
        node: {
          type: 'look',
          ahead: look[1] === '',
          negated: look[2] === '!',
          body: withoutCaptures(body),
          prefer: undefined,
          captures: false,
        },
        constraint: true,
      };
    }
    if (this.peek() === '?') throw invalid('quantifier operand invalid');
    const index = ++this.groups;
    const body = this.alternatives(depth + 1);
    close();
    return { node: { type: 'group', body, index, prefer: body.prefer, captures: true }, constraint: false };
  }

  escape(): { node: RegexNode; constraint: boolean } {
    const c = this.peek();
    if (c === undefined) throw invalid('invalid escape \\ sequence');
    const constraints = {
      A: 'begin',
      Z: 'end',
      m: 'wordStart',
      M: 'wordEnd',
      y: 'wordBoundary',
      Y: 'notWordBoundary',
    } as const;
    if (c in constraints) {
      this.at++;
      return {
        node: { type: 'assert', what: constraints[c as 'A'], prefer: undefined, captures: false },
        constraint: true,
      };
    }
    const cls = this.classEscape();
    if (cls)
      return { node: { type: 'set', set: new CharSet(cls), prefer: undefined, captures: false }, constraint: false };
    if (c >= '1' && c <= '9') {
      const number = Number(/^\d+/.exec(this.chars.slice(this.at).join(''))![0]);
      if (number <= this.groups || number < 10) {
        if (number > this.groups) throw invalid('invalid backreference number');
        throw notSupported('a back reference in a regular expression');
      }
    }
    return { node: this.char(this.charEscape()), constraint: false };
  }

  /** \d \s \w and their complements. */
  classEscape(): ((c: number) => boolean) | undefined {
    const c = this.peek();
    const of =
      (test: (c: number) => boolean, negated: boolean) =>
      (x: number): boolean =>
        test(x) !== negated;
    const classes: Readonly<Record<string, (c: number) => boolean>> = {
      d: CLASSES.digit,
      s: CLASSES.space,
      w: isWordChar,
    };
    const name = c?.toLowerCase() ?? '';
    if (!(name in classes)) return undefined;
    this.at++;
    const stop = this.flags.stopAtNewline;
    const test = of(classes[name], c !== name);
    return c !== name && stop ? x => x !== NEWLINE && test(x) : test;
  }

  charEscape(): number {
    const rest = this.chars.slice(this.at, this.at + 12).join('');
    const simple: Readonly<Record<string, number>> = { a: 7, b: 8, B: 92, e: 27, f: 12, n: 10, r: 13, t: 9, v: 11 };
    const c = rest[0];
    const take = (m: RegExpExecArray | null, radix: number): number => {
      if (!m) throw invalid('invalid escape \\ sequence');
      this.at += m[0].length;
      const code = Number.parseInt(m[1], radix);
      if (code > 0x10ffff) throw invalid('invalid escape \\ sequence');
      return code;
    };
    if (c in simple) {
      this.at++;
      return simple[c];
    }
    if (c === 'c') {
      if (rest.length < 2) throw invalid('invalid escape \\ sequence');
      this.at += 2;
      return rest.charCodeAt(1) & 31;
    }
    if (c === 'u') return take(/^u([0-9a-fA-F]{4})/.exec(rest), 16);
    if (c === 'U') return take(/^U([0-9a-fA-F]{8})/.exec(rest), 16);
    if (c === 'x') return take(/^x([0-9a-fA-F]{1,8})/.exec(rest), 16);
    if (c >= '0' && c <= '9') return take(/^([0-7]{1,3})/.exec(rest), 8);
    if (/[A-Za-z]/.test(c)) throw invalid('invalid escape \\ sequence');
    const code = this.chars[this.at].codePointAt(0)!;
    this.at++;
    return code;
  }

  /** A bracket expression, after its opening bracket. */
  bracket(): CharSet {
    const negated = this.peek() === '^';
    if (negated) this.at++;
    const tests: ((c: number) => boolean)[] = [];
    const singles = new Set<number>();
    const unbalanced = (): PgError => invalid('brackets [] not balanced');
    for (let first = true; ; first = false) {
      const c = this.peek();
      if (c === undefined) throw unbalanced();
      if (c === ']' && !first) {
        this.at++;
        break;
      }
      if (this.looking('[:')) {
        const name = this.named(':');
        const cls = CLASSES[name];
        if (!cls) throw invalid('invalid character class');
        // Without case both cases are meant.
        tests.push(this.flags.icase && (name === 'lower' || name === 'upper') ? CLASSES.alpha : cls);
        continue;
      }
      if (c === '\\') {
        this.at++;
        const cls = this.classEscape();
        if (cls) {
          tests.push(cls);
          continue;
        }
        this.at--;
      }
      const low = this.bracketChar();
      if (this.peek() === '-' && this.peek(1) !== ']' && this.peek(1) !== undefined) {
        this.at++;
        const high = this.bracketChar();
        if (high < low) throw invalid('invalid character range');
        tests.push(
          this.flags.icase ? x => caseVariants(x).some(v => v >= low && v <= high) : x => x >= low && x <= high,
        );
      } else for (const v of this.flags.icase ? caseVariants(low) : [low]) singles.add(v);
    }
    const stop = negated && this.flags.stopAtNewline;
    return new CharSet(x => {
      const inside = singles.has(x) || tests.some(t => t(x));
      return negated ? !inside && !(stop && x === NEWLINE) : inside;
    });
  }

  /** `[.x.]`, `[=x=]`, `[:class:]`: the text between; `at` is on the bracket. */
  named(mark: string): string {
    this.at += 2;
    const start = this.at;
    while (this.peek() !== undefined && !this.looking(`${mark}]`)) this.at++;
    if (this.peek() === undefined) throw invalid('brackets [] not balanced');
    const name = this.chars.slice(start, this.at).join('');
    this.at += 2;
    return name;
  }

  bracketChar(): number {
    for (const mark of ['.', '=']) {
      if (!this.looking(`[${mark}`)) continue;
      const name = this.named(mark);
      if ([...name].length !== 1) throw invalid('invalid collating element');
      return name.codePointAt(0)!;
    }
    const c = this.chars[this.at++];
    if (c === '\\') {
      if (this.peek() === undefined) throw invalid('invalid escape \\ sequence');
      return this.charEscape();
    }
    return c.codePointAt(0)!;
  }
}

/** Concatenation where an empty right side adds nothing. */
function concatRight(left: RegexNode, right: RegexNode): RegexNode {
  return right.type === 'empty' ? left : concat(left, right);
}

function withoutCaptures(node: RegexNode): RegexNode {
  switch (node.type) {
    case 'group':
      return withoutCaptures(node.body);
    case 'concat':
      return { ...node, left: withoutCaptures(node.left), right: withoutCaptures(node.right), captures: false };
    case 'alternate':
      return { ...node, branches: node.branches.map(withoutCaptures), captures: false };
    case 'repeat':
      return { ...node, body: withoutCaptures(node.body), captures: false };
    default:
      return node;
  }
}

export function parseRegex(pattern: string, flags: RegexFlags): ParsedRegex {
  const parser = new Parser(pattern, { ...flags });
  const tree = parser.parse();
  return { tree, groups: parser.groups, flags: parser.flags };
}
