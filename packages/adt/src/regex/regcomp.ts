/**
 * Parses PostgreSQL's advanced regular expressions (ARE) into a syntax tree; also the basic (BRE)
 * option 'b' as 0A000, the literal option 'q', and embedded options.
 *
 * The tree's shape says how a match is divided among parentheses, so it is PostgreSQL's (regcomp.c, parseqatom): what needs
 * no dividing is one part, as long as it goes; what does stands between that and the rest of its branch.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported, type PgError } from '@pgtroupe/common/ereport';
import { CharSet, CLASSES, combined, isMessy, isWordChar, PLAIN, type RegexNode } from './regguts.ts';
import { concat, EMPTY, ONCE, type Quantifier, times, traitsOf, unconstrained } from './regtree.ts';

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

const NEWLINE = 10;

/** Both cases of a character. */
function caseVariants(c: number): number[] {
  const s = String.fromCodePoint(c);
  const out = [c];
  for (const v of [s.toLowerCase(), s.toUpperCase()]) if ([...v].length === 1) out.push(v.codePointAt(0) ?? c);
  return out;
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
  /** What the parentheses hold that are closed, for references to them. */
  readonly closed = new Map<number, RegexNode>();
  /** How many lookaround constraints are open: in them parentheses capture nothing. */
  looks = 0;
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
      const literal = this.chars.slice(this.at).map(c => this.char(c.codePointAt(0)!));
      return literal.reduce<RegexNode>((left, right) => concat(left, right), EMPTY);
    }
    const node = this.alternatives(0);
    if (this.peek() !== undefined) throw invalid('parentheses () not balanced');
    return node;
  }

  char(c: number): RegexNode {
    const variants = this.flags.icase ? caseVariants(c) : [c];
    return { ...PLAIN, type: 'set', set: new CharSet(x => variants.includes(x)) };
  }

  alternatives(depth: number): RegexNode {
    if (depth > 500) throw invalid('regular expression is too complex');
    const branches = [this.branch(depth)];
    while (this.peek() === '|') {
      this.at++;
      branches.push(this.branch(depth));
    }
    if (branches.length === 1) return branches[0];
    return {
      type: 'alternate',
      branches,
      prefer: 'longest',
      mixed: branches.some(b => b.mixed || b.prefer === 'shortest'),
      captures: branches.some(b => b.captures),
      backrefs: branches.some(b => b.backrefs),
    };
  }

  /** A branch, or what is left of it. */
  branch(depth: number): RegexNode {
    let prefix: RegexNode = EMPTY;
    while (!this.atEndOfBranch()) {
      const { node: atom, constraint } = this.atom(depth);
      if (constraint) {
        if (this.quantifier() !== undefined) throw invalid('quantifier operand invalid');
        prefix = concat(prefix, atom);
        continue;
      }
      const quantifier = this.quantifiers();
      if (quantifier.max === 0) continue;
      const repeated = { ...PLAIN, prefer: quantifier.prefer };
      const together = combined(combined(prefix, repeated), atom);
      if (!isMessy(together)) {
        prefix = { ...concat(prefix, times(atom, quantifier)), ...together };
        continue;
      }
      const part = times(atom, quantifier);
      if (this.atEndOfBranch()) return concat(prefix, part);
      const rest = this.branch(depth);
      const whole: RegexNode = {
        ...combined(combined(repeated, part), rest),
        type: 'concat',
        left: part,
        right: rest,
      };
      return concat(prefix, whole);
    }
    return prefix;
  }

  atEndOfBranch(): boolean {
    this.skipExpanded();
    const c = this.peek();
    return c === undefined || c === '|' || c === ')';
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

  /** What follows an atom; there can be but one. */
  quantifiers(): Quantifier {
    const found = this.quantifier();
    if (found === undefined) return ONCE;
    this.skipExpanded();
    if (this.looksQuantified()) throw invalid('quantifier operand invalid');
    return found;
  }

  looksQuantified(): boolean {
    const c = this.peek();
    return c === '*' || c === '+' || c === '?' || (c === '{' && /\d/.test(this.peek(1) ?? ''));
  }

  quantifier(): Quantifier | undefined {
    this.skipExpanded();
    let min: number;
    let max: number;
    let passedOn = false;
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
        passedOn = m[2] === undefined;
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
    return { min, max, prefer: passedOn ? undefined : greedy ? 'longest' : 'shortest' };
  }

  atom(depth: number): { node: RegexNode; constraint: boolean } {
    if (depth > 500) throw invalid('regular expression is too complex');
    if (this.looksQuantified()) throw invalid('quantifier operand invalid');
    const c = this.chars[this.at++];
    const plain = (node: RegexNode): { node: RegexNode; constraint: boolean } => ({ node, constraint: false });
    const assertion = (what: 'bol' | 'eol' | 'begin' | 'end'): { node: RegexNode; constraint: boolean } => ({
      node: { ...PLAIN, type: 'assert', what },
      constraint: true,
    });
    switch (c) {
      case '^':
        return assertion(this.flags.lineAnchors ? 'bol' : 'begin');
      case '$':
        return assertion(this.flags.lineAnchors ? 'eol' : 'end');
      case '.': {
        const stop = this.flags.stopAtNewline;
        return plain({ ...PLAIN, type: 'set', set: new CharSet(x => !(stop && x === NEWLINE)) });
      }
      case '[':
        if (this.looking('[:<:]]') || this.looking('[:>:]]')) {
          const what = this.looking('[:<:]]') ? 'wordStart' : 'wordEnd';
          this.at += 6;
          return { node: { ...PLAIN, type: 'assert', what }, constraint: true };
        }
        return plain({ ...PLAIN, type: 'set', set: this.bracket() });
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
      this.looks++;
      const body = this.alternatives(depth + 1);
      this.looks--;
      close();
      return {
        node: { ...PLAIN, type: 'look', ahead: look[1] === '', negated: look[2] === '!', body },
        constraint: true,
      };
    }
    if (this.peek() === '?') throw invalid('quantifier operand invalid');
    const index = this.looks > 0 ? undefined : ++this.groups;
    const body = this.alternatives(depth + 1);
    close();
    if (index === undefined) return { node: body, constraint: false };
    this.closed.set(index, body);
    return { node: { ...traitsOf(body), captures: true, type: 'group', body, index }, constraint: false };
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
        node: { ...PLAIN, type: 'assert', what: constraints[c as 'A'] },
        constraint: true,
      };
    }
    const cls = this.classEscape();
    if (cls) return { node: { ...PLAIN, type: 'set', set: new CharSet(cls) }, constraint: false };
    if (c >= '1' && c <= '9') {
      const number = Number(/^\d+/.exec(this.chars.slice(this.at).join(''))![0]);
      if (number <= this.groups || number < 10) {
        const referenced = this.looks > 0 ? undefined : this.closed.get(number);
        if (referenced === undefined) throw invalid('invalid backreference number');
        this.at += String(number).length;
        const node: RegexNode = {
          ...PLAIN,
          backrefs: true,
          type: 'backref',
          index: number,
          body: unconstrained(referenced),
          min: 1,
          max: 1,
          icase: this.flags.icase,
        };
        return { node, constraint: false };
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

export function parseRegex(pattern: string, flags: RegexFlags): ParsedRegex {
  const parser = new Parser(pattern, { ...flags });
  const tree = parser.parse();
  return { tree, groups: parser.groups, flags: parser.flags };
}
