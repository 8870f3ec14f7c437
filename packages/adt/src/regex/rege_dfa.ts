/**
 * Matching without backtracking, but for back references. A tree becomes a nondeterministic automaton whose states are run
 * side by side; the time is the text's length times the automaton's size, whatever the pattern.
 *
 * - The match: of all matches the one that begins first; of those the longest, or the shortest
 *   when the expression prefers so. Each state carries the earliest beginning that leads to it.
 * - Parentheses: once the match is known it is divided along the tree. Where a left part may end
 *   is the set of its possible ends cut with the set of places the right part may begin; both
 *   come from one run each, so no division is ever taken back.
 * - Constraints (lookahead, lookbehind) are sets of positions, computed once per text.
 * - Back references: to the automaton they are whatever their parenthesis can match (regdissect.ts).
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import { type Assertion, type CharSet, isWordChar, type RegexNode } from './regguts.ts';

/** Text as code points: bytes when all are ASCII. */
export type Chars = Uint8Array | Int32Array;

type Instruction =
  | { readonly op: 'set'; readonly set: CharSet; readonly next: number }
  | { readonly op: 'split'; readonly next: readonly number[] }
  | { readonly op: 'assert'; readonly what: Assertion; readonly next: number }
  | { readonly op: 'look'; readonly node: RegexNode & { type: 'look' }; readonly next: number }
  | { readonly op: 'match' };

interface Program {
  readonly code: readonly Instruction[];
  readonly start: number;
}

const MAX_STATES = 200000;
/** A second or two. */
const MAX_EFFORT = 20_000_000;

/** Thompson's construction, from the end backwards. `reverse`: the automaton of the reversed text. */
function compileProgram(node: RegexNode, reverse: boolean): Program {
  const code: Instruction[] = [{ op: 'match' }];
  const emit = (i: Instruction): number => {
    if (code.length >= MAX_STATES)
      throw ereport(
        ERRCODE.INVALID_REGULAR_EXPRESSION,
        'invalid regular expression: regular expression is too complex',
      );
    return code.push(i) - 1;
  };
  const build = (n: RegexNode, next: number): number => {
    switch (n.type) {
      case 'empty':
        return next;
      case 'set':
        return emit({ op: 'set', set: n.set, next });
      case 'assert':
        return emit({ op: 'assert', what: n.what, next });
      case 'look':
        return emit({ op: 'look', node: n, next });
      case 'group':
        return build(n.body, next);
      case 'concat':
        return reverse ? build(n.right, build(n.left, next)) : build(n.left, build(n.right, next));
      case 'alternate':
        return emit({ op: 'split', next: n.branches.map(b => build(b, next)) });
      case 'backref':
      case 'repeat': {
        let at = next;
        if (n.max === Number.POSITIVE_INFINITY) {
          const targets: number[] = [];
          const loop = emit({ op: 'split', next: targets });
          targets.push(build(n.body, loop), at);
          at = loop;
        } else for (let i = n.min; i < n.max; i++) at = emit({ op: 'split', next: [build(n.body, at), next] });
        for (let i = 0; i < n.min; i++) at = build(n.body, at);
        return at;
      }
    }
  };
  const start = build(node, 0);
  return { code, start };
}

/** Programs of a node, made when first needed. */
export interface NodePrograms {
  forward?: Program;
  backward?: Program;
}

/** One text being matched: remembers what constraints hold where. */
export class Matcher {
  readonly text: Chars;
  readonly programs: Map<RegexNode, NodePrograms>;
  private readonly looks = new Map<RegexNode, Uint8Array>();
  /** States that runs for attempts have been in. */
  private effort = 0;
  /** The last position at which the run of `reach` matched, -1 for none. */
  reached = -1;

  constructor(text: Chars, programs: Map<RegexNode, NodePrograms>) {
    this.text = text;
    this.programs = programs;
  }

  program(node: RegexNode, reverse: boolean): Program {
    let p = this.programs.get(node);
    if (!p) this.programs.set(node, (p = {}));
    return reverse ? (p.backward ??= compileProgram(node, true)) : (p.forward ??= compileProgram(node, false));
  }

  assert(what: Assertion, at: number): boolean {
    const { text } = this;
    switch (what) {
      case 'begin':
        return at === 0;
      case 'end':
        return at === text.length;
      case 'bol':
        return at === 0 || text[at - 1] === 10;
      case 'eol':
        return at === text.length || text[at] === 10;
      default: {
        const before = at > 0 && isWordChar(text[at - 1]);
        const after = at < text.length && isWordChar(text[at]);
        if (what === 'wordStart') return !before && after;
        if (what === 'wordEnd') return before && !after;
        return (before !== after) === (what === 'wordBoundary');
      }
    }
  }

  look(node: RegexNode & { type: 'look' }, at: number): boolean {
    let holds = this.looks.get(node);
    if (!holds) {
      // Lookahead: where the body may begin, found by running it backwards from every end.
      holds = this.reach(node.body, node.ahead, 0, this.text.length, true);
      this.looks.set(node, holds);
    }
    return (holds[at] !== 0) !== node.negated;
  }

  /**
   * Positions that a run reaches with a match: forwards from `from` (or from everywhere), or, for
   * `reverse`, backwards from `to`. The result is indexed by the distance from `base`.
   */
  reach(
    node: RegexNode,
    reverse: boolean,
    from: number,
    to: number,
    anywhere: boolean,
    out = new Uint8Array(this.text.length + 1),
    base = 0,
  ): Uint8Array {
    const { code, start } = this.program(node, reverse);
    this.reached = -1;
    const seen = new Int32Array(code.length).fill(-1);
    let current: number[] = [];
    let next: number[] = [];
    const stack: number[] = [];
    const add = (list: number[], pc: number, at: number): void => {
      stack.push(pc);
      for (let s = stack.pop(); s !== undefined; s = stack.pop()) {
        if (seen[s] === at) continue;
        seen[s] = at;
        const i = code[s];
        if (i.op === 'split') for (const t of i.next) stack.push(t);
        else if (i.op === 'assert') {
          if (this.assert(i.what, at)) stack.push(i.next);
        } else if (i.op === 'look') {
          if (this.look(i.node, at)) stack.push(i.next);
        } else if (i.op === 'match') {
          out[at - base] = 1;
          this.reached = at;
        } else list.push(s);
      }
    };
    const step = reverse ? -1 : 1;
    const end = reverse ? from : to;
    for (let at = reverse ? to : from; ; at += step) {
      if (anywhere || at === (reverse ? to : from)) add(current, start, at);
      if (at === end || (current.length === 0 && !anywhere)) break;
      const c = this.text[reverse ? at - 1 : at];
      this.effort += current.length;
      for (const s of current) {
        const i = code[s];
        if (i.op === 'set' && i.set.has(c)) add(next, i.next, at + step);
      }
      [current, next] = [next, current];
      next.length = 0;
    }
    return out;
  }

  /** First match at or after `from`: where it begins and ends. */
  search(node: RegexNode, from: number, shortest: boolean): { start: number; end: number } | undefined {
    const { code, start } = this.program(node, false);
    const n = this.text.length;
    // Earliest beginning by which a state was reached at the position `seenAt`.
    const seenAt = new Int32Array(code.length).fill(-1);
    let begun = new Int32Array(code.length);
    let begunNext = new Int32Array(code.length);
    let current: number[] = [];
    let next: number[] = [];
    let bestStart = -1;
    let bestEnd = -1;
    const stack: number[] = [];
    const add = (list: number[], origins: Int32Array, pc: number, at: number, origin: number): void => {
      stack.push(pc);
      for (let s = stack.pop(); s !== undefined; s = stack.pop()) {
        const again = seenAt[s] === at;
        if (again && origins[s] <= origin) continue;
        seenAt[s] = at;
        origins[s] = origin;
        const i = code[s];
        if (i.op === 'split') for (let k = i.next.length - 1; k >= 0; k--) stack.push(i.next[k]);
        else if (i.op === 'assert') {
          if (this.assert(i.what, at)) stack.push(i.next);
        } else if (i.op === 'look') {
          if (this.look(i.node, at)) stack.push(i.next);
        } else if (i.op === 'match') {
          if (bestStart < 0 || origin < bestStart || (origin === bestStart && !shortest)) {
            bestStart = origin;
            bestEnd = at;
          }
        } else if (!again) list.push(s);
      }
    };
    for (let at = from; at <= n; at++) {
      if (bestStart < 0) add(current, begun, start, at, at);
      if (at === n || (current.length === 0 && bestStart >= 0)) break;
      const c = this.text[at];
      for (const s of current) {
        const origin = begun[s];
        if (bestStart >= 0 && (origin > bestStart || (shortest && origin === bestStart))) continue;
        const i = code[s];
        if (i.op === 'set' && i.set.has(c)) add(next, begunNext, i.next, at + 1, origin);
      }
      [current, next] = [next, current];
      [begun, begunNext] = [begunNext, begun];
      next.length = 0;
    }
    return bestStart < 0 ? undefined : { start: bestStart, end: bestEnd };
  }

  /** `reach` from one end of a part of the text, indexed by the distance from `from`; there is a limit to how often. */
  reachInAttempt(
    node: RegexNode,
    reverse: boolean,
    from: number,
    to: number,
    out = new Uint8Array(to - from + 1),
  ): Uint8Array {
    if (++this.effort > MAX_EFFORT)
      throw notSupported('a regular expression with a back reference that takes that many attempts');
    return this.reach(node, reverse, from, to, false, out, from);
  }

  /** Divides a match of `node` over [from, to] among its parentheses. `out` holds pairs by group. */
  dissect(node: RegexNode, from: number, to: number, out: Int32Array): void {
    if (!node.captures) return;
    switch (node.type) {
      case 'group':
        out[node.index * 2] = from;
        out[node.index * 2 + 1] = to;
        this.dissect(node.body, from, to, out);
        return;
      case 'concat': {
        const ends = this.reach(node.left, false, from, to, false);
        const starts = this.reach(node.right, true, from, to, false);
        const shortest = node.left.prefer === 'shortest';
        for (let k = 0; k <= to - from; k++) {
          const mid = shortest ? from + k : to - k;
          if (ends[mid] !== 0 && starts[mid] !== 0) {
            this.dissect(node.left, from, mid, out);
            this.dissect(node.right, mid, to, out);
            return;
          }
        }
        return;
      }
      case 'alternate':
        for (const branch of node.branches) {
          if (this.reach(branch, false, from, to, false)[to] !== 0) {
            this.dissect(branch, from, to, out);
            return;
          }
        }
        return;
      case 'repeat':
        this.dissectRounds(node, from, to, out);
        return;
      default:
    }
  }

  /** x{0,n}: each round as long (or short) as the rest allows; the last one's parentheses stay. */
  private dissectRounds(node: RegexNode & { type: 'repeat' }, from: number, to: number, out: Int32Array): void {
    const shortest = node.body.prefer === 'shortest';
    if (from === to) {
      // No round is needed, but one that matches nothing sets its parentheses; a short-minded one stays away.
      if (!shortest && this.reach(node.body, false, from, to, false)[to] !== 0) this.dissect(node.body, from, to, out);
      return;
    }
    for (let at = from, round = 1; at < to; round++) {
      const rest: RegexNode = { ...node, min: 0, max: node.max - round };
      const tail = this.reach(rest, true, at, to, false);
      this.programs.delete(rest);
      const ends = this.reach(node.body, false, at, to, false);
      let end = -1;
      for (let k = 0; k < to - at && end < 0; k++) {
        const mid = shortest ? at + 1 + k : to - k;
        if (ends[mid] !== 0 && tail[mid] !== 0) end = mid;
      }
      if (end < 0) return;
      forget(node.body, out);
      this.dissect(node.body, at, end, out);
      at = end;
    }
  }
}

/** Clears what the parentheses within a node had matched. */
export function forget(node: RegexNode, out: Int32Array): void {
  if (!node.captures) return;
  if (node.type === 'group') {
    out[node.index * 2] = out[node.index * 2 + 1] = -1;
    forget(node.body, out);
  } else if (node.type === 'concat') {
    forget(node.left, out);
    forget(node.right, out);
  } else if (node.type === 'alternate') for (const branch of node.branches) forget(branch, out);
  else if (node.type === 'repeat') forget(node.body, out);
}
