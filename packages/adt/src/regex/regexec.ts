/**
 * A compiled regular expression and its matches in a text (regexec.c). What has no back references is matched without
 * backtracking (rege_dfa.ts), what has by attempts (regdissect.ts).
 */
import { parseRegex, type RegexFlags } from './regcomp.ts';
import { matchByAttempts } from './regdissect.ts';
import { type Chars, Matcher, type NodePrograms } from './rege_dfa.ts';
import type { RegexNode } from './regguts.ts';

/** A compiled expression. */
export class Regex {
  readonly tree: RegexNode;
  readonly groups: number;
  private readonly programs = new Map<RegexNode, NodePrograms>();

  constructor(pattern: string, flags: RegexFlags) {
    const parsed = parseRegex(pattern, flags);
    this.tree = parsed.tree;
    this.groups = parsed.groups;
  }

  /** Whether it matches anywhere. */
  test(text: Chars): boolean {
    if (this.tree.backrefs) return this.exec(text, 0) !== undefined;
    return new Matcher(text, this.programs).search(this.tree, 0, true) !== undefined;
  }

  /**
   * First match at or after `from`, as pairs of positions: the whole, then each parenthesis, -1
   * where it took no part.
   */
  exec(text: Chars, from: number): Int32Array | undefined {
    const matcher = new Matcher(text, this.programs);
    const out = new Int32Array((this.groups + 1) * 2).fill(-1);
    if (this.tree.backrefs) return matchByAttempts(matcher, this.tree, from, out) ? out : undefined;
    const found = matcher.search(this.tree, from, this.tree.prefer === 'shortest');
    if (!found) return undefined;
    out[0] = found.start;
    out[1] = found.end;
    matcher.dissect(this.tree, found.start, found.end, out);
    return out;
  }
}
