/**
 * Estimates: selectivities, sizes and costs, with PostgreSQL's cost parameters (costsize.c, selfuncs.c).
 * Without statistics the estimates are PostgreSQL's defaults.
 */
import { BOOLOID } from '@pgtroupe/common/oids';
import { INVALID_OID } from '@pgtroupe/common/ids';
import * as N from '@pgtroupe/nodes/nodes';
import type { Expr, OpExpr } from '@pgtroupe/nodes/primnodes';
import { equalNodes } from '@pgtroupe/nodes/nodefuncs';
import { getOperator, getProc, typeAvgWidth } from './lsyscache.ts';
import type { PlannerInfo, PlannerMethod, RelOptInfo, RestrictInfo } from './pathnodes.ts';

export const SEQ_PAGE_COST = 1;
export const RANDOM_PAGE_COST = 4;
export const CPU_TUPLE_COST = 0.01;
export const CPU_INDEX_TUPLE_COST = 0.005;
export const CPU_OPERATOR_COST = 0.0025;

/** A method that is switched off is used only where there is no other (disable_cost). */
const DISABLE_COST = 1e10;

export function methodCost(root: PlannerInfo, method: PlannerMethod): number {
  return root.env.enabled(method) ? 0 : DISABLE_COST;
}

const DEFAULT_EQ_SEL = 0.005;
const DEFAULT_INEQ_SEL = 1 / 3;
const DEFAULT_RANGE_INEQ_SEL = 0.005;
const DEFAULT_MATCH_SEL = 0.005;
const DEFAULT_MATCHING_SEL = 0.01;
const DEFAULT_UNK_SEL = 0.005;
const DEFAULT_NUM_DISTINCT = 200;

export function clampRows(rows: number): number {
  if (!(rows > 1)) return 1;
  return rows > 1e100 ? 1e100 : Math.round(rows);
}

/** The Var an expression is, seen through relabelling, and its base relation. */
function varOf(root: PlannerInfo, expr: Expr): { rel: RelOptInfo; attno: number } | undefined {
  let e = expr;
  while (e.type === 'RelabelType') e = e.arg;
  if (e.type !== 'Var' || e.varlevelsup !== 0) return undefined;
  const rel = root.rels[e.varno];
  return rel === undefined ? undefined : { rel, attno: e.varattno };
}

/** Is the column alone a unique key? */
function isUniqueColumn(rel: RelOptInfo, attno: number): boolean {
  return rel.indexes.some(
    i => i.unique && i.desc.keys.length === 1 && i.desc.keys[0]!.attnum === attno && i.predicate.length === 0,
  );
}

function estimateNumDistinct(root: PlannerInfo, expr: Expr, inputRows: number): number {
  const v = varOf(root, expr);
  if (v === undefined) return Math.min(inputRows, DEFAULT_NUM_DISTINCT);
  if (isUniqueColumn(v.rel, v.attno)) return Math.max(1, Math.min(inputRows, v.rel.tuples));
  return Math.max(1, Math.min(v.rel.tuples, inputRows, DEFAULT_NUM_DISTINCT));
}

export function estimateNumGroups(root: PlannerInfo, exprs: readonly Expr[], inputRows: number): number {
  let groups = 1;
  for (const expr of exprs) {
    if (expr.type === 'Const') continue;
    groups *= estimateNumDistinct(root, expr, inputRows);
  }
  return clampRows(Math.min(groups, inputRows));
}

function estimator(root: PlannerInfo, opno: number): string {
  const { oprrest } = getOperator(root.env.rows, opno);
  return (oprrest as number) === 0 ? '' : getProc(root.env.rows, oprrest).proname;
}

function opSelectivity(root: PlannerInfo, clause: OpExpr): number {
  const kind = estimator(root, clause.opno);
  const [left, right] = clause.args as [Expr, Expr | undefined];
  switch (kind) {
    case 'eqsel': {
      for (const side of [left, right]) {
        if (side === undefined) continue;
        const v = varOf(root, side);
        if (v !== undefined && isUniqueColumn(v.rel, v.attno) && v.rel.tuples >= 1) return 1 / v.rel.tuples;
      }
      const v = varOf(root, left) ?? (right === undefined ? undefined : varOf(root, right));
      if (v === undefined) return DEFAULT_EQ_SEL;
      return Math.max(DEFAULT_EQ_SEL, 1 / Math.max(1, Math.min(v.rel.tuples, DEFAULT_NUM_DISTINCT)));
    }
    case 'neqsel':
      return 1 - DEFAULT_EQ_SEL;
    case 'scalarltsel':
    case 'scalarlesel':
    case 'scalargtsel':
    case 'scalargesel':
      return DEFAULT_INEQ_SEL;
    case 'likesel':
    case 'iclikesel':
    case 'regexeqsel':
    case 'icregexeqsel':
    case 'prefixsel':
      return DEFAULT_MATCH_SEL;
    case 'nlikesel':
    case 'icnlikesel':
    case 'regexnesel':
    case 'icregexnesel':
      return 1 - DEFAULT_MATCH_SEL;
    case 'matchingsel':
    case 'arraycontsel':
      return DEFAULT_MATCHING_SEL;
    default:
      return clause.args.length === 2 ? 0.5 : DEFAULT_INEQ_SEL;
  }
}

/** Share of rows for which a condition on one relation is true. */
function clauseSelectivity(root: PlannerInfo, clause: Expr): number {
  switch (clause.type) {
    case 'Const':
      return clause.constvalue === true ? 1 : 0;
    case 'OpExpr':
      return opSelectivity(root, clause);
    case 'BoolExpr': {
      if (clause.boolop === 'not') return 1 - clauseSelectivity(root, clause.args[0]!);
      if (clause.boolop === 'and') return clauselistSelectivity(root, clause.args);
      let s = 0;
      for (const arg of clause.args) {
        const one = clauseSelectivity(root, arg);
        s = s + one - s * one;
      }
      return s;
    }
    case 'NullTest':
      return clause.nulltesttype === N.IS_NULL ? DEFAULT_UNK_SEL : 1 - DEFAULT_UNK_SEL;
    case 'BooleanTest':
      return clause.booltesttype === N.IS_UNKNOWN
        ? DEFAULT_UNK_SEL
        : clause.booltesttype === N.IS_NOT_UNKNOWN
          ? 1 - DEFAULT_UNK_SEL
          : 0.5;
    case 'ScalarArrayOpExpr': {
      const eq = opSelectivity(root, {
        type: 'OpExpr',
        opno: clause.opno,
        opfuncid: clause.opfuncid,
        opresulttype: BOOLOID,
        opretset: false,
        opcollid: INVALID_OID,
        inputcollid: clause.inputcollid,
        args: clause.args,
        location: -1,
      });
      const count = estimateArrayLength(clause.args[1]!);
      if (clause.useOr) return Math.min(1, 1 - (1 - eq) ** count);
      return eq ** count;
    }
    case 'DistinctExpr':
      return 1 - DEFAULT_EQ_SEL;
    case 'RelabelType':
      return clauseSelectivity(root, clause.arg);
    default:
      return 0.5;
  }
}

export function estimateArrayLength(expr: Expr): number {
  if (expr.type === 'ArrayExpr' && !expr.multidims) return expr.elements.length;
  if (expr.type === 'Const' && expr.constvalue instanceof Uint8Array && expr.constvalue.length >= 16) {
    const { constvalue: v } = expr;
    return v[12]! | (v[13]! << 8) | (v[14]! << 16);
  }
  return 10;
}

export function clauselistSelectivity(root: PlannerInfo, clauses: readonly Expr[]): number {
  let s = 1;
  const ranges: { expr: Expr; lo: boolean; hi: boolean; s: number }[] = [];
  for (const clause of clauses) {
    const one = clauseSelectivity(root, clause);
    const kind = clause.type === 'OpExpr' && clause.args.length === 2 ? estimator(root, clause.opno) : '';
    if (
      clause.type === 'OpExpr' &&
      (kind.startsWith('scalarl') || kind.startsWith('scalarg')) &&
      varOf(root, clause.args[0]!) !== undefined
    ) {
      const expr = clause.args[0]!;
      let range = ranges.find(r => equalNodes(r.expr, expr));
      if (range === undefined) ranges.push((range = { expr, lo: false, hi: false, s: 1 }));
      if (kind.startsWith('scalarl')) range.hi = true;
      else range.lo = true;
      range.s = one;
    } else s *= one;
  }
  for (const range of ranges) s *= range.lo && range.hi ? DEFAULT_RANGE_INEQ_SEL : range.s;
  return s;
}

/** Share of the cross product that a join clause keeps. */
export function joinClauseSelectivity(root: PlannerInfo, rinfo: RestrictInfo): number {
  const { clause } = rinfo;
  if (rinfo.selectivity >= 0) return rinfo.selectivity;
  let s: number;
  if (clause.type === 'OpExpr' && rinfo.mergeFamilies.length > 0) {
    const nd1 = distinctOf(root, clause.args[0]!);
    const nd2 = distinctOf(root, clause.args[1]!);
    s = 1 / Math.max(1, nd1, nd2);
  } else s = clauseSelectivity(root, clause);
  rinfo.selectivity = s;
  return s;
}

function distinctOf(root: PlannerInfo, expr: Expr): number {
  const v = varOf(root, expr);
  if (v === undefined) return DEFAULT_NUM_DISTINCT;
  return isUniqueColumn(v.rel, v.attno)
    ? Math.max(1, v.rel.tuples)
    : Math.max(1, Math.min(v.rel.tuples, DEFAULT_NUM_DISTINCT));
}

export function costSort(
  startup: number,
  total: number,
  rows: number,
  limitTuples: number,
): { startup: number; total: number } {
  const n = Math.max(2, rows);
  const comparison = 2 * CPU_OPERATOR_COST;
  const output = limitTuples > 0 && limitTuples < n ? limitTuples : n;
  const sorting = n > 2 * output ? comparison * n * Math.log2(2 * output) : comparison * n * Math.log2(n);
  const begin = total + sorting;
  return { startup: Math.max(begin, startup), total: begin + CPU_OPERATOR_COST * n };
}

export function targetWidth(root: PlannerInfo, types: readonly { typid: number; typmod: number }[]): number {
  let width = 0;
  for (const { typid, typmod } of types) width += typeAvgWidth(root.env.rows, typid, typmod);
  return width;
}
