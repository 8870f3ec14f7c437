/**
 * Matching what has back references (regexec.c, cfindloop, cdissect and what it calls). The automaton admits more than matches,
 * so what it finds is an attempt, and so is each way to divide that among parentheses: PostgreSQL's attempts in PostgreSQL's
 * order, until one holds. Their number can grow exponentially and is bounded. Each function that divides says whether its node matches the part of the text
 * from `from` to `to`, which the node's automaton has already admitted; if it does, `out` says what its parentheses matched, if
 * not, nothing of them is left there.
 */
import { forget, type Matcher } from './rege_dfa.ts';
import type { RegexNode } from './regguts.ts';

/** The first match at or after `from` that holds; `out` are pairs of positions, all -1 before. */
export function matchByAttempts(m: Matcher, tree: RegexNode, from: number, out: Int32Array): boolean {
  const n = m.text.length;
  const shortest = tree.prefer === 'shortest';
  const ends = new Uint8Array(n + 1);
  for (let found = m.search(tree, from, true); found; found = m.search(tree, found.start + 1, true)) {
    const begin = found.start;
    m.reachInAttempt(tree, false, begin, n, ends);
    const furthest = m.reached - begin;
    for (let k = 0; k <= furthest; k++) {
      const length = shortest ? k : furthest - k;
      const end = begin + length;
      if (ends[length] === 0 || !dissectAttempts(m, tree, begin, end, out)) continue;
      out[0] = begin;
      out[1] = end;
      return true;
    }
    if (begin === n) return false;
    ends.fill(0, 0, furthest + 1);
  }
  return false;
}

function dissectAttempts(m: Matcher, node: RegexNode, from: number, to: number, out: Int32Array): boolean {
  if (!node.backrefs) {
    m.dissect(node, from, to, out);
    return true;
  }
  switch (node.type) {
    case 'backref':
      return repeatsWhatMatched(m, node, from, to, out);
    case 'group':
      if (!dissectAttempts(m, node.body, from, to, out)) return false;
      out[node.index * 2] = from;
      out[node.index * 2 + 1] = to;
      return true;
    case 'concat':
      return dissectConcat(m, node, from, to, out);
    case 'alternate':
      return node.branches.some(
        branch =>
          m.reachInAttempt(branch, false, from, to)[to - from] !== 0 && dissectAttempts(m, branch, from, to, out),
      );
    case 'repeat':
      return node.body.prefer === 'shortest'
        ? dissectRoundsShortest(m, node, from, to, out)
        : dissectRoundsLongest(m, node, from, to, out);
    default:
      return true;
  }
}

function repeatsWhatMatched(
  m: Matcher,
  node: RegexNode & { type: 'backref' },
  from: number,
  to: number,
  out: Int32Array,
): boolean {
  const begin = out[node.index * 2];
  if (begin < 0) return false;
  const length = out[node.index * 2 + 1] - begin;
  if (length === 0) return from === to;
  if (from === to) return node.min === 0;
  const rounds = (to - from) / length;
  if (!Number.isInteger(rounds) || rounds < node.min || rounds > node.max) return false;
  for (let i = from; i < to; i++) {
    const [a, b] = [m.text[begin + ((i - from) % length)], m.text[i]];
    if (a !== b && !(node.icase && lower(a) === lower(b))) return false;
  }
  return true;
}

const lower = (c: number): string => String.fromCodePoint(c).toLowerCase();

function dissectConcat(
  m: Matcher,
  node: RegexNode & { type: 'concat' },
  from: number,
  to: number,
  out: Int32Array,
): boolean {
  const ends = m.reachInAttempt(node.left, false, from, to);
  const starts = m.reachInAttempt(node.right, true, from, to);
  const shortest = node.left.prefer === 'shortest';
  for (let k = 0; k <= to - from; k++) {
    const length = shortest ? k : to - from - k;
    const mid = from + length;
    if (ends[length] === 0 || starts[length] === 0 || !dissectAttempts(m, node.left, from, mid, out)) continue;
    if (dissectAttempts(m, node.right, mid, to, out)) return true;
    forget(node.left, out);
  }
  return false;
}

/** Rounds under trial: where each ends, where it can, and how many of them hold. */
class Rounds {
  readonly m: Matcher;
  readonly body: RegexNode;
  readonly to: number;
  readonly least: number;
  readonly most: number;
  readonly ends: number[];
  readonly #reached: Uint8Array[] = [];
  readonly #reachedFrom: number[] = [];
  #verified = 0;

  constructor(m: Matcher, node: RegexNode & { type: 'repeat' }, from: number, to: number) {
    this.m = m;
    this.body = node.body;
    this.to = to;
    this.least = Math.max(node.min, 1);
    this.most = Math.max(Math.min(to - from, node.max), this.least);
    this.ends = [from];
  }

  /** Where round `k` can end, given where the one before does, by its length. */
  endsOf(k: number): Uint8Array {
    const from = this.ends[k - 1];
    if (this.#reachedFrom[k] !== from) {
      this.#reached[k] = this.m.reachInAttempt(this.body, false, from, this.to);
      this.#reachedFrom[k] = from;
    }
    return this.#reached[k];
  }

  end(k: number, at: number): void {
    this.ends[k] = at;
    if (this.#verified >= k) this.#verified = k - 1;
  }

  /** More rounds are wanted than there are characters left: some of them must match nothing. */
  needsEmpty(k: number, at: number): boolean {
    return k < this.least && this.least - k >= this.to - at;
  }

  /** undefined if the first `count` rounds hold, else the first that does not. */
  verify(count: number, out: Int32Array): number | undefined {
    for (let i = this.#verified + 1; i <= count; i++) {
      forget(this.body, out);
      if (!dissectAttempts(this.m, this.body, this.ends[i - 1], this.ends[i], out)) return i;
      this.#verified = i;
    }
    return undefined;
  }
}

function dissectRoundsLongest(
  m: Matcher,
  node: RegexNode & { type: 'repeat' },
  from: number,
  to: number,
  out: Int32Array,
): boolean {
  const rounds = new Rounds(m, node, from, to);
  const { ends, least, most } = rounds;
  let k = 1;
  let limit = to;
  /** To the last round up to `at` that can be shorter; the limit of its length is set. */
  const shorten = (at: number): void => {
    for (k = at; k > 0; k--) {
      const before = ends[k - 1];
      if (ends[k] <= before) continue;
      limit = ends[k] - 1;
      if (limit > before || rounds.needsEmpty(k, before)) return;
    }
  };
  while (k > 0) {
    const possible = rounds.endsOf(k);
    let end = limit;
    while (end >= ends[k - 1] && possible[end - ends[k - 1]] === 0) end--;
    if (end < ends[k - 1]) {
      shorten(k - 1);
      continue;
    }
    rounds.end(k, end);
    if (end !== to) {
      if (k >= most) shorten(k - 1);
      else if (end === ends[k - 1] && !rounds.needsEmpty(k, end)) shorten(k);
      else {
        k++;
        limit = to;
      }
      continue;
    }
    if (k < least) {
      shorten(k);
      continue;
    }
    const failed = rounds.verify(k, out);
    if (failed === undefined) return true;
    shorten(failed);
  }
  // Without any round: the last resort, since one that matches nothing sets its parentheses.
  return node.min === 0 && from === to;
}

function dissectRoundsShortest(
  m: Matcher,
  node: RegexNode & { type: 'repeat' },
  from: number,
  to: number,
  out: Int32Array,
): boolean {
  if (node.min === 0 && from === to) return true;
  const rounds = new Rounds(m, node, from, to);
  const { ends, least, most } = rounds;
  let k = 1;
  let limit = from;
  /** To the last round up to `at` that can be longer. */
  const lengthen = (at: number): void => {
    for (k = at; k > 0 && ends[k] >= to; k--);
    if (k > 0) limit = ends[k] + 1;
  };
  while (k > 0) {
    if (limit === ends[k - 1] && limit !== to && !rounds.needsEmpty(k, limit)) limit++;
    // The last that is allowed must reach the end.
    if (k >= most) limit = to;
    const possible = rounds.endsOf(k);
    let end = limit;
    while (end <= to && possible[end - ends[k - 1]] === 0) end++;
    if (end > to) {
      lengthen(k - 1);
      continue;
    }
    rounds.end(k, end);
    if (end !== to) {
      if (k >= most) lengthen(k - 1);
      else {
        k++;
        limit = end;
      }
      continue;
    }
    if (k < least) {
      lengthen(k);
      continue;
    }
    const failed = rounds.verify(k, out);
    if (failed === undefined) return true;
    lengthen(failed);
  }
  return false;
}
