/**
 * Selectivity of conditions: the share of rows, or of pairs of rows, for which they are true (optimizer/path/clausesel.c).
 * Operators are estimated as pg_operator.oprrest and oprjoin say.
 */
import type { Datum } from '@pgtroupe/common/datum';
import { equalNodes, exprType } from '@pgtroupe/nodes/nodefuncs';
import * as N from '@pgtroupe/nodes/nodes';
import type { Node } from '@pgtroupe/nodes/parsenodes';
import type { BooleanTest, Expr, NullTest, OpExpr } from '@pgtroupe/nodes/primnodes';
import { containVolatileFunctions } from '../clauses.ts';
import { commutatorOf, getOperator, getProc } from '../lsyscache.ts';
import type { PlannerInfo, Relids, RestrictInfo } from '../pathnodes.ts';
import { relidsOf } from '../var.ts';
import { arrayContSel, comparisonKind, scalarArraySel } from './arraysel.ts';
import { eqJoinSel, type JoinContext, joinVariables } from './eqjoinsel.ts';
import { histogramSelectivity, mcvSelectivity, varEqConst, varEqNonConst } from './eqsel.ts';
import { DEFAULT_INEQ_SEL, scalarIneqSel } from './ineqsel.ts';
import type { PatternType } from './patternprefix.ts';
import { patternSel } from './patternsel.ts';
import { noteValueEstimate } from './valueestimates.ts';
import { clampProbability, estimateExpressionValue, examineVariable, restrictionVariable } from './variable.ts';

const DEFAULT_EQ_SEL = 0.005;
const DEFAULT_RANGE_INEQ_SEL = 0.005;
const DEFAULT_MATCHING_SEL = 0.01;
const DEFAULT_UNK_SEL = 0.005;
const DEFAULT_FUNCTION_SEL = 0.3333333;
const BOOLEAN_EQUAL_OPERATOR = 91;
const BOOLEAN_NOT_EQUAL_OPERATOR = 85;

/** What the conditions are conditions of. */
export interface Estimated {
  /** Only this relation's columns vary; 0: those of all. */
  readonly varRelid: number;
  /** Undefined: they are asked of rows, not of pairs. */
  readonly join: JoinContext | undefined;
  /** What was estimated before, where that does not depend on which join it is. */
  readonly known?: Map<Expr, number>;
}

export const OF_ROWS: Estimated = { varRelid: 0, join: undefined };

interface RangeQuery {
  readonly expr: Expr;
  low: number | undefined;
  high: number | undefined;
}

/** Of all of them together. Two that bound the same expression on both sides are one range. */
export function clauselistSelectivity(root: PlannerInfo, clauses: readonly Expr[], of: Estimated = OF_ROWS): number {
  if (clauses.length === 1) return knownSelectivity(root, clauses[0]!, of);
  let selectivity = 1;
  const ranges: RangeQuery[] = [];
  for (const clause of clauses) {
    const one = knownSelectivity(root, clause, of);
    const bound = boundOf(root, clause);
    if (bound === undefined) {
      selectivity *= one;
      continue;
    }
    const { expr, side } = bound;
    let range = ranges.find(r => equalNodes(r.expr, expr));
    // The newest is reckoned with first, as PostgreSQL does.
    if (range === undefined) ranges.unshift((range = { expr, low: undefined, high: undefined }));
    range[side] = Math.min(range[side] ?? Infinity, one);
  }
  for (const { expr, low, high } of ranges) {
    if (low === undefined || high === undefined) selectivity *= (low ?? high)!;
    else selectivity *= rangeSelectivity(root, expr, low, high, of);
  }
  return selectivity;
}

function knownSelectivity(root: PlannerInfo, clause: Expr, of: Estimated): number {
  let selectivity = of.known?.get(clause);
  if (selectivity === undefined) {
    selectivity = clauseSelectivity(root, clause, of);
    of.known?.set(clause, selectivity);
  }
  return selectivity;
}

function rangeSelectivity(root: PlannerInfo, expr: Expr, low: number, high: number, of: Estimated): number {
  if (low === DEFAULT_INEQ_SEL || high === DEFAULT_INEQ_SEL) return DEFAULT_RANGE_INEQ_SEL;
  const both = high + low - 1 + nullTestSel(root, N.IS_NULL, expr, of);
  if (both > 0) return both;
  return both < -0.01 ? DEFAULT_RANGE_INEQ_SEL : 1e-10;
}

/** `expression < constant` and its kin: what it bounds, and on which side. */
function boundOf(root: PlannerInfo, clause: Expr): { readonly expr: Expr; readonly side: 'low' | 'high' } | undefined {
  if (clause.type !== 'OpExpr' || clause.args.length !== 2) return undefined;
  const kind = estimatorOf(root, clause.opno);
  const isLess = kind === 'scalarltsel' || kind === 'scalarlesel';
  if (!isLess && kind !== 'scalargtsel' && kind !== 'scalargesel') return undefined;
  const [left, right] = clause.args as [Expr, Expr];
  if (!isSingle(relidsOf(root, clause))) return undefined;
  const constant = (side: Expr): boolean =>
    relidsOf(root, side) === 0n && !containVolatileFunctions(root.env, side as Node);
  if (constant(right)) return { expr: left, side: isLess ? 'high' : 'low' };
  return constant(left) ? { expr: right, side: isLess ? 'low' : 'high' } : undefined;
}

function isSingle(relids: Relids): boolean {
  return relids !== 0n && (relids & (relids - 1n)) === 0n;
}

/** pg_operator.oprrest by name; '': none. */
function estimatorOf(root: PlannerInfo, opno: number): string {
  const { oprrest } = getOperator(root.env.rows, opno);
  return (oprrest as number) === 0 ? '' : getProc(root.env.rows, oprrest).proname;
}

function clauseSelectivity(root: PlannerInfo, clause: Expr, of: Estimated): number {
  switch (clause.type) {
    case 'Const':
      return clause.constvalue === true ? 1 : 0;
    case 'Param': {
      const value = estimateExpressionValue(root, clause);
      return value.type === 'Const' ? (value.constvalue === true ? 1 : 0) : 0.5;
    }
    case 'OpExpr':
      return booleanComparisonSel(root, clause, of) ?? operatorSel(root, clause, of);
    case 'DistinctExpr':
      return 1 - operatorSel(root, { ...clause, type: 'OpExpr' } as unknown as OpExpr, of);
    case 'BoolExpr':
      if (clause.boolop === 'not') return 1 - clauseSelectivity(root, clause.args[0]!, of);
      if (clause.boolop === 'and') return clauselistSelectivity(root, clause.args, of);
      return clause.args.reduce((s, arg) => {
        const one = clauseSelectivity(root, arg, of);
        return s + one - s * one;
      }, 0);
    case 'NullTest':
      return nullTestSel(root, (clause as NullTest).nulltesttype, clause.arg, of);
    case 'BooleanTest':
      return boolTestSel(root, clause, of);
    case 'FuncExpr':
      return DEFAULT_FUNCTION_SEL;
    case 'ScalarArrayOpExpr': {
      const { opno, inputcollid } = clause;
      const kind = comparisonKind(root, opno, estimatorOf(root, opno));
      // Once, not for each of what may be tens of thousands of elements.
      const joins = isJoinClause(root, clause, of);
      return scalarArraySel(root, clause, of.varRelid, kind, args =>
        joins ? joinSel(root, opno, args, of.join!) : restrictionSel(root, opno, args, inputcollid, of.varRelid),
      );
    }
    case 'RowCompareExpr': {
      const args = [clause.largs[0]!, clause.rargs[0]!] as readonly Expr[];
      return restrictionSel(root, clause.opnos[0]!, args, clause.inputcollids[0]!, of.varRelid);
    }
    case 'RelabelType':
    case 'CoerceToDomain':
      return clauseSelectivity(root, clause.arg, of);
    default:
      return boolVarSel(root, clause, of.varRelid);
  }
}

/** `b = false`, which PostgreSQL has simplified by now to NOT b. */
function booleanComparisonSel(root: PlannerInfo, { opno, args }: OpExpr, of: Estimated): number | undefined {
  if (opno !== BOOLEAN_EQUAL_OPERATOR && opno !== BOOLEAN_NOT_EQUAL_OPERATOR) return undefined;
  const [left, right] = args as [Expr, Expr];
  const constant = [left, right].find(arg => arg.type === 'Const');
  if (constant?.type !== 'Const' || constant.constvalue === null) return undefined;
  const isTrue = clauseSelectivity(root, constant === left ? right : left, of);
  return (constant.constvalue === true) === (opno === BOOLEAN_EQUAL_OPERATOR) ? isTrue : 1 - isTrue;
}

function isJoinClause(root: PlannerInfo, clause: Expr, { varRelid, join }: Estimated): boolean {
  if (varRelid !== 0 || join === undefined) return false;
  const relids = relidsOf(root, clause);
  return relids !== 0n && !isSingle(relids);
}

function operatorSel(root: PlannerInfo, clause: OpExpr, of: Estimated): number {
  if (isJoinClause(root, clause, of)) return joinSel(root, clause.opno, clause.args, of.join!);
  return restrictionSel(root, clause.opno, clause.args, clause.inputcollid, of.varRelid);
}

// ---- operators ----------------------------------------------------------------------------------------

const PATTERNS: Readonly<Record<string, readonly [pattern: PatternType, negated: boolean]>> = {
  likesel: ['like', false],
  nlikesel: ['like', true],
  iclikesel: ['like ignoring case', false],
  icnlikesel: ['like ignoring case', true],
  regexeqsel: ['regex', false],
  regexnesel: ['regex', true],
  icregexeqsel: ['regex ignoring case', false],
  icregexnesel: ['regex ignoring case', true],
  prefixsel: ['prefix', false],
};

function restrictionSel(
  root: PlannerInfo,
  opno: number,
  args: readonly Expr[],
  collation: number,
  varRelid: number,
): number {
  const kind = estimatorOf(root, opno);
  const estimate = (of: PlannerInfo): number => estimateOf(of, kind, opno, args, collation, varRelid);
  if (root.env.estimatedParams !== undefined) noteValueEstimate(root, args, varRelid, kind, estimate);
  return estimate(root);
}

function estimateOf(
  root: PlannerInfo,
  kind: string,
  opno: number,
  args: readonly Expr[],
  collation: number,
  varRelid: number,
): number {
  const pattern = PATTERNS[kind];
  if (pattern !== undefined) {
    const [type, negated] = pattern;
    const matching = negated ? (getOperator(root.env.rows, opno).oprnegate as number) : opno;
    return patternSel(root, matching, args, varRelid, collation, type, negated);
  }
  switch (kind) {
    case 'eqsel':
      return eqSel(root, opno, args, varRelid, false);
    case 'neqsel':
      return eqSel(root, getOperator(root.env.rows, opno).oprnegate as number, args, varRelid, true);
    case 'scalarltsel':
    case 'scalarlesel':
    case 'scalargtsel':
    case 'scalargesel':
      return ineqSel(root, opno, args, collation, varRelid, kind);
    case 'arraycontsel':
      return arrayContSel(root, opno, args, varRelid);
    case 'matchingsel':
      return genericSel(root, opno, args, varRelid);
    default:
      return args.length === 2 ? 0.5 : DEFAULT_FUNCTION_SEL;
  }
}

function eqSel(root: PlannerInfo, equality: number, args: readonly Expr[], varRelid: number, negate: boolean): number {
  const unknown = negate ? 1 - DEFAULT_EQ_SEL : DEFAULT_EQ_SEL;
  if (equality === 0) return unknown;
  const restricted = restrictionVariable(root, args, varRelid);
  if (restricted === undefined) return unknown;
  const { variable, other, onLeft } = restricted;
  if (other.type !== 'Const') return varEqNonConst(variable, negate);
  return varEqConst(root.env, variable, equality, other.constvalue as Datum, onLeft, negate);
}

function ineqSel(
  root: PlannerInfo,
  opno: number,
  args: readonly Expr[],
  collation: number,
  varRelid: number,
  kind: string,
): number {
  const restricted = restrictionVariable(root, args, varRelid);
  if (restricted === undefined || restricted.other.type !== 'Const') return DEFAULT_INEQ_SEL;
  const { variable, other, onLeft } = restricted;
  if (other.constvalue === null) return 0;
  const operator = onLeft ? opno : commutatorOf(root.env.rows, opno);
  if (operator === 0) return DEFAULT_INEQ_SEL;
  const isGreater = (kind === 'scalargtsel' || kind === 'scalargesel') === onLeft;
  const orEqual = kind === 'scalarlesel' || kind === 'scalargesel';
  const inequality = { operator, isGreater, orEqual, collation };
  return scalarIneqSel(root.env, variable, inequality, other.constvalue as Datum, exprType(other) as number);
}

/** By the lists alone (generic_restriction_selectivity). */
function genericSel(root: PlannerInfo, opno: number, args: readonly Expr[], varRelid: number): number {
  const restricted = restrictionVariable(root, args, varRelid);
  if (restricted === undefined || restricted.other.type !== 'Const') return DEFAULT_MATCHING_SEL;
  const { variable, other, onLeft } = restricted;
  const value = other.constvalue as Datum;
  if (value === null) return 0;
  const call = root.env.statisticValues.operator(opno);
  const holds = (candidate: Datum): boolean => (onLeft ? call?.(candidate, value) : call?.(value, candidate)) === true;
  const common = mcvSelectivity(variable, holds);
  const { selectivity: found, size } = histogramSelectivity(variable, holds, 10, 1);
  let selectivity = found;
  if (found < 0) selectivity = DEFAULT_MATCHING_SEL;
  else if (size < 100) selectivity = found * (size / 100) + DEFAULT_MATCHING_SEL * (1 - size / 100);
  selectivity = Math.min(Math.max(selectivity, 0.0001), 0.9999);
  const nullFraction = variable.statistics?.nullFraction ?? 0;
  return clampProbability(selectivity * (1 - nullFraction - common.all) + common.selectivity);
}

function joinSel(root: PlannerInfo, opno: number, args: readonly Expr[], join: JoinContext): number {
  const { oprjoin, oprnegate } = getOperator(root.env.rows, opno);
  switch ((oprjoin as number) === 0 ? '' : getProc(root.env.rows, oprjoin).proname) {
    case 'eqjoinsel':
      return eqJoinSel(root, opno, args, join);
    case 'neqjoinsel': {
      if (join.jointype !== N.JOIN_SEMI && join.jointype !== N.JOIN_ANTI)
        return 1 - ((oprnegate as number) === 0 ? DEFAULT_EQ_SEL : eqJoinSel(root, oprnegate, args, join));
      const { left, right, reversed } = joinVariables(root, args, join);
      return 1 - ((reversed ? right : left).statistics?.nullFraction ?? 0);
    }
    case 'scalarltjoinsel':
    case 'scalarlejoinsel':
    case 'scalargtjoinsel':
    case 'scalargejoinsel':
      return DEFAULT_INEQ_SEL;
    case 'likejoinsel':
    case 'iclikejoinsel':
    case 'regexeqjoinsel':
    case 'icregexeqjoinsel':
    case 'prefixjoinsel':
      return 0.005;
    case 'nlikejoinsel':
    case 'icnlikejoinsel':
    case 'regexnejoinsel':
    case 'icregexnejoinsel':
      return 1 - 0.005;
    case 'matchingjoinsel':
      return DEFAULT_MATCHING_SEL;
    case 'arraycontjoinsel':
      return opno === 2750 ? DEFAULT_MATCHING_SEL : 0.005;
    default:
      return 0.5;
  }
}

// ---- booleans and nulls ---------------------------------------------------------------------------------

function boolVarSel(root: PlannerInfo, expr: Expr, varRelid: number): number {
  const variable = examineVariable(root, expr, varRelid);
  if (variable.statistics === undefined) return 0.5;
  return varEqConst(root.env, variable, BOOLEAN_EQUAL_OPERATOR, true, true, false);
}

function nullTestSel(root: PlannerInfo, test: number, arg: Expr, { varRelid }: Estimated): number {
  const { statistics, expr } = examineVariable(root, arg, varRelid);
  let nulls = DEFAULT_UNK_SEL;
  if (statistics !== undefined) nulls = statistics.nullFraction;
  else if (expr.type === 'Var' && expr.varattno < 0) nulls = 0;
  return clampProbability(test === N.IS_NULL ? nulls : 1 - nulls);
}

function boolTestSel(root: PlannerInfo, { arg, booltesttype }: BooleanTest, of: Estimated): number {
  const { statistics } = examineVariable(root, arg, of.varRelid);
  const nulls = statistics?.nullFraction ?? DEFAULT_UNK_SEL;
  if (booltesttype === N.IS_UNKNOWN) return nulls;
  if (booltesttype === N.IS_NOT_UNKNOWN) return 1 - nulls;
  const asksTrue = booltesttype === N.IS_TRUE || booltesttype === N.IS_NOT_TRUE;
  const negated = booltesttype === N.IS_NOT_TRUE || booltesttype === N.IS_NOT_FALSE;
  if (statistics === undefined) {
    const isTrue = clauseSelectivity(root, arg, of);
    return clampProbability(asksTrue === negated ? 1 - isTrue : isTrue);
  }
  const first = statistics.mcv?.numbers[0];
  let isTrue = (1 - nulls) / 2;
  if (first !== undefined) isTrue = statistics.mcv!.values[0] === true ? first : 1 - first - nulls;
  const asked = asksTrue ? isTrue : 1 - isTrue - nulls;
  return clampProbability(negated ? 1 - asked : asked);
}

/** Of a join's clauses: the share of the pairs that they keep; of semijoins and antijoins, of the outer rows. */
export function joinClausesSelectivity(root: PlannerInfo, clauses: readonly RestrictInfo[], join: JoinContext): number {
  // What has no columns is asked once, before there are rows.
  const asked = clauses.filter(r => !r.pseudoconstant || r.clause.type === 'Const').map(r => r.clause);
  const looksInto = join.jointype === N.JOIN_SEMI || join.jointype === N.JOIN_ANTI;
  if (looksInto) return clauselistSelectivity(root, asked, { varRelid: 0, join });
  return clauselistSelectivity(root, asked, { varRelid: 0, join, known: root.glob.joinSelectivities });
}
