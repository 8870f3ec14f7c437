/**
 * Selectivity of `a.x = b.y` (eqjoinsel, utils/adt/selfuncs.c): by matching the lists of most common values of both sides,
 * else by the numbers of different values.
 */
import { commutatorOf } from '../lsyscache.ts';
import * as N from '@pgtroupe/nodes/nodes';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import { isSubset, type PlannerInfo, type RelOptInfo, type Relids } from '../pathnodes.ts';
import { clampProbability, examineVariable, numDistinct, type VariableStats } from './variable.ts';

/** The join that a clause is part of. */
export interface JoinContext {
  readonly jointype: N.JoinType;
  readonly lefthand: Relids;
  readonly righthand: Relids;
  /** Of a semijoin or antijoin: the side that is only looked into. */
  readonly inner: RelOptInfo;
}

/** Both variables, and whether the first is the join's right side (get_join_variables). */
export function joinVariables(
  root: PlannerInfo,
  [left, right]: readonly Expr[],
  { lefthand, righthand }: JoinContext,
): { readonly left: VariableStats; readonly right: VariableStats; readonly reversed: boolean } {
  const l = examineVariable(root, left!, 0);
  const r = examineVariable(root, right!, 0);
  const reversed =
    (l.rel !== undefined && isSubset(l.rel.relids, righthand)) ||
    (r.rel !== undefined && isSubset(r.rel.relids, lefthand));
  return { left: l, right: r, reversed };
}

export function eqJoinSel(root: PlannerInfo, operator: number, args: readonly Expr[], join: JoinContext): number {
  const { left, right, reversed } = joinVariables(root, args, join);
  const inner = innerSelectivity(root, operator, left, right);
  if (join.jointype !== N.JOIN_SEMI && join.jointype !== N.JOIN_ANTI) return clampProbability(inner);
  const semi = reversed
    ? semiSelectivity(root, commutatorOf(root.env.rows, operator), right, left, join.inner)
    : semiSelectivity(root, operator, left, right, join.inner);
  return clampProbability(Math.min(semi, join.inner.rows * inner));
}

interface Matches {
  readonly count: number;
  /** Of the first side: frequency of values that are in both lists, and of those that are not. */
  readonly left: readonly [matched: number, unmatched: number];
  readonly right: readonly [matched: number, unmatched: number];
  /** Sum of the products of frequencies. */
  readonly product: number;
}

/** Matches the lists of most common values, of the second only so many; undefined: one has none. */
function matchMcvs(
  root: PlannerInfo,
  operator: number,
  left: VariableStats,
  right: VariableStats,
  ofRight = Infinity,
): Matches | undefined {
  const a = left.statistics?.mcv;
  const b = right.statistics?.mcv;
  const equal = operator === 0 ? undefined : root.env.statisticValues.operator(operator);
  if (a === undefined || b === undefined || equal === undefined) return undefined;
  const matchedA = new Set<number>();
  const matchedB = new Set<number>();
  let product = 0;
  const end = Math.min(b.values.length, ofRight);
  for (let i = 0; i < a.values.length; i++) {
    for (let j = 0; j < end; j++) {
      if (matchedB.has(j) || equal(a.values[i]!, b.values[j]!) !== true) continue;
      matchedA.add(i);
      matchedB.add(j);
      product += a.numbers[i]! * b.numbers[j]!;
      break;
    }
  }
  const frequencies = (numbers: readonly number[], matched: ReadonlySet<number>): readonly [number, number] => {
    let [yes, no] = [0, 0];
    numbers.forEach((n, i) => (matched.has(i) ? (yes += n) : (no += n)));
    return [clampProbability(yes), clampProbability(no)];
  };
  return {
    count: matchedA.size,
    left: frequencies(a.numbers, matchedA),
    right: frequencies(b.numbers, matchedB),
    product: clampProbability(product),
  };
}

function nullFraction({ statistics }: VariableStats): number {
  return statistics?.nullFraction ?? 0;
}

function innerSelectivity(root: PlannerInfo, operator: number, left: VariableStats, right: VariableStats): number {
  const { distinct: nd1 } = numDistinct(left);
  const { distinct: nd2 } = numDistinct(right);
  const matches = matchMcvs(root, operator, left, right);
  if (matches === undefined) return ((1 - nullFraction(left)) * (1 - nullFraction(right))) / Math.max(nd1, nd2);
  const [matched1, unmatched1] = matches.left;
  const [matched2, unmatched2] = matches.right;
  const others1 = clampProbability(1 - nullFraction(left) - matched1 - unmatched1);
  const others2 = clampProbability(1 - nullFraction(right) - matched2 - unmatched2);
  const size1 = left.statistics!.mcv!.values.length;
  const size2 = right.statistics!.mcv!.values.length;
  // Values outside the lists match whatever values the other side may still have.
  let total1 = matches.product;
  if (nd2 > size2) total1 += (unmatched1 * others2) / (nd2 - size2);
  if (nd2 > matches.count) total1 += (others1 * (others2 + unmatched2)) / (nd2 - matches.count);
  let total2 = matches.product;
  if (nd1 > size1) total2 += (unmatched2 * others1) / (nd1 - size1);
  if (nd1 > matches.count) total2 += (others2 * (others1 + unmatched1)) / (nd1 - matches.count);
  return Math.min(total1, total2);
}

/** Share of the first side's rows that have a match. */
function semiSelectivity(
  root: PlannerInfo,
  operator: number,
  outer: VariableStats,
  inner: VariableStats,
  innerRel: RelOptInfo,
): number {
  const { distinct: nd1, isDefault: default1 } = numDistinct(outer);
  let { distinct: nd2, isDefault: default2 } = numDistinct(inner);
  for (const rel of [inner.rel, innerRel]) {
    if (rel === undefined || nd2 < rel.rows) continue;
    nd2 = rel.rows;
    default2 = false;
  }
  const nulls = nullFraction(outer);
  const share = (d1: number, d2: number): number => (d1 <= d2 || d2 < 0 ? 1 : d2 / d1);
  const matches = matchMcvs(root, operator, outer, inner, nd2);
  if (matches === undefined) return (default1 || default2 ? 0.5 : share(nd1, nd2)) * (1 - nulls);
  const [matched] = matches.left;
  const fraction = default1 || default2 ? 0.5 : share(nd1 - matches.count, nd2 - matches.count);
  return matched + fraction * clampProbability(1 - matched - nulls);
}
