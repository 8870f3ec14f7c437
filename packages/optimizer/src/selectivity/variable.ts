/**
 * What is known about the values of an expression (examine_variable and its kin, utils/adt/selfuncs.c).
 */
import { CatalogMiss } from '@pgtroupe/catalog/catalogmiss';
import { BOOLOID } from '@pgtroupe/common/oids';
import type { Datum } from '@pgtroupe/common/datum';
import { equalNodes, exprCollation, exprType, exprTypmod } from '@pgtroupe/nodes/nodefuncs';
import { makeConst } from '@pgtroupe/nodes/makefuncs';
import * as N from '@pgtroupe/nodes/nodes';
import type { Node } from '@pgtroupe/nodes/parsenodes';
import type { Const, Expr, Var } from '@pgtroupe/nodes/primnodes';
import { containVolatileFunctions } from '../clauses.ts';
import { evalConstExpressions, type KnownParam } from '../constfold.ts';
import { getType } from '../lsyscache.ts';
import { type PlannerInfo, type RelOptInfo, type Relids, relidsKey } from '../pathnodes.ts';
import { relidsOf, walkExpr } from '../var.ts';
import { type ColumnStatistics, columnStatistics } from './statistics.ts';

export const DEFAULT_NUM_DISTINCT = 200;
const SELF_ITEM_POINTER_ATTRIBUTE_NUMBER = -1;
const TABLE_OID_ATTRIBUTE_NUMBER = -6;

/** VariableStatData. */
export interface VariableStats {
  readonly expr: Expr;
  readonly type: number;
  /** Whose rows it belongs to; undefined: of none, or of several that are not joined yet. */
  readonly rel: RelOptInfo | undefined;
  readonly statistics: ColumnStatistics | undefined;
  /** No two rows have the same. */
  readonly unique: boolean;
}

/** The number rounded and kept within what can be rows (clamp_row_est). */
export function clampRows(rows: number): number {
  if (!(rows > 1)) return 1;
  return rows > 1e100 ? 1e100 : rint(rows);
}

/** To the nearest, of two as near to the even one. */
function rint(x: number): number {
  const floor = Math.floor(x);
  const rest = x - floor;
  if (rest !== 0.5) return Math.round(x);
  return floor % 2 === 0 ? floor : floor + 1;
}

export function clampProbability(p: number): number {
  return p < 0 ? 0 : p > 1 ? 1 : p;
}

/** `varRelid`: only this relation's columns vary, those of others are as good as constants; 0: all do. */
export function examineVariable(root: PlannerInfo, expr: Expr, varRelid: number): VariableStats {
  const type = exprType(expr);
  const base = expr.type === 'RelabelType' ? expr.arg : expr;
  if (base.type === 'Var' && base.varlevelsup === 0 && (varRelid === 0 || varRelid === base.varno)) {
    const rel = root.rels[base.varno];
    if (rel !== undefined) return { expr: base, type, rel, ...examineColumn(root, rel, base) };
  }
  const relids = relidsOf(root, base);
  const none = { expr, type, rel: undefined, statistics: undefined, unique: false };
  if (relids === 0n) return none;
  const varying = varRelid === 0 ? relids : relids & root.rels[varRelid]!.relids;
  if (varying === 0n) return none;
  const rel = root.rels.find(r => r?.relids === varying) ?? root.joinRels.get(relidsKey(varying));
  const unique =
    rel?.indexes.some(
      ({ unique: isUnique, keyExprs, predicate, predOk }) =>
        isUnique && keyExprs.length === 1 && (predicate.length === 0 || predOk) && equalNodes(keyExprs[0]!, base),
    ) ?? false;
  return { ...none, expr: base, rel, unique };
}

function examineColumn(root: PlannerInfo, rel: RelOptInfo, column: Var): Pick<VariableStats, 'statistics' | 'unique'> {
  const { varattno } = column;
  if (rel.rte?.rtekind === N.RTE_RELATION) {
    const unique = rel.indexes.some(
      ({ unique: isUnique, keyExprs, desc, predicate, predOk }) =>
        isUnique && keyExprs.length === 1 && desc.keys[0]!.attnum === varattno && (predicate.length === 0 || predOk),
    );
    return { unique, statistics: varattno > 0 ? columnStatistics(root.env, rel.rte.relid, varattno) : undefined };
  }
  const { subroot } = rel;
  if (rel.rte?.rtekind !== N.RTE_SUBQUERY || subroot === null) return { unique: false, statistics: undefined };
  const { parse } = subroot;
  const nothing = { unique: false, statistics: undefined };
  if (parse.setOperations !== null || parse.groupClause.length > 0 || parse.groupingSets.length > 0) return nothing;
  const target = parse.targetList.find(tle => tle.resno === varattno && !tle.resjunk);
  if (target === undefined) return nothing;
  if (parse.distinctClause.length > 0) {
    const [first] = parse.distinctClause;
    return {
      ...nothing,
      unique: parse.distinctClause.length === 1 && first!.tleSortGroupRef === target.ressortgroupref,
    };
  }
  const { expr } = target;
  if (rel.rte.security_barrier || expr.type !== 'Var' || expr.varlevelsup !== 0) return nothing;
  const inner = subroot.rels[expr.varno];
  return inner === undefined ? nothing : { unique: false, statistics: examineColumn(subroot, inner, expr).statistics };
}

/** How many different values there are (get_variable_numdistinct). */
export function numDistinct({ expr, type, rel, statistics, unique }: VariableStats): {
  readonly distinct: number;
  readonly isDefault: boolean;
} {
  const known = (distinct: number): { readonly distinct: number; readonly isDefault: boolean } => ({
    distinct,
    isDefault: false,
  });
  let distinct = 0;
  if (statistics !== undefined) ({ distinct } = statistics);
  else if (type === BOOLOID) distinct = 2;
  else if (rel?.rte?.rtekind === N.RTE_VALUES) distinct = -1;
  else if (expr.type === 'Var' && expr.varattno === SELF_ITEM_POINTER_ATTRIBUTE_NUMBER) distinct = -1;
  else if (expr.type === 'Var' && expr.varattno === TABLE_OID_ATTRIBUTE_NUMBER) distinct = 1;
  if (unique) distinct = -1 * (1 - (statistics?.nullFraction ?? 0));
  if (distinct > 0) return known(clampRows(distinct));
  const tuples = rel?.tuples ?? 0;
  if (tuples <= 0) return { distinct: DEFAULT_NUM_DISTINCT, isDefault: true };
  if (distinct < 0) return known(clampRows(-distinct * tuples));
  return tuples < DEFAULT_NUM_DISTINCT ? known(clampRows(tuples)) : { distinct: DEFAULT_NUM_DISTINCT, isDefault: true };
}

/** A condition on one column: what it is compared with is a Const if its value is known now. */
export interface RestrictedVariable {
  readonly variable: VariableStats;
  readonly other: Expr;
  readonly onLeft: boolean;
}

/** Undefined: neither side is a variable beside something constant (get_restriction_variable). */
export function restrictionVariable(
  root: PlannerInfo,
  [left, right]: readonly Expr[],
  varRelid: number,
): RestrictedVariable | undefined {
  if (left === undefined || right === undefined) return undefined;
  const l = examineVariable(root, left, varRelid);
  const r = examineVariable(root, right, varRelid);
  const onLeft = varies(root, left, varRelid) && !varies(root, right, varRelid);
  if (onLeft) return l.rel && { variable: l, other: estimateExpressionValue(root, right), onLeft };
  if (varies(root, left, varRelid) || !varies(root, right, varRelid)) return undefined;
  return r.rel && { variable: r, other: estimateExpressionValue(root, left), onLeft };
}

function varies(root: PlannerInfo, expr: Expr, varRelid: number): boolean {
  const relids: Relids = relidsOf(root, expr);
  return (varRelid === 0 ? relids : relids & root.rels[varRelid]!.relids) !== 0n;
}

/** The expression's value, as far as it can be told now: a Const, or the expression (estimate_expression_value). */
export function estimateExpressionValue(root: PlannerInfo, expr: Expr): Expr {
  if (expr.type === 'Const') return expr;
  const { env } = root;
  const known: KnownParam = ({ paramid }) => {
    const value = env.estimatedParams?.[paramid - 1];
    return value === undefined ? undefined : { value };
  };
  try {
    return estimated(root, evalConstExpressions(env, expr, known));
  } catch (error) {
    // What fails is told where it is computed.
    if (error instanceof CatalogMiss) throw error;
    return expr;
  }
}

function estimated(root: PlannerInfo, folded: Expr): Expr {
  const { env } = root;
  if (folded.type === 'Const') return folded;
  const unknown = walkExpr(folded as Node, n =>
    ['Var', 'Param', 'SubLink', 'SubPlan', 'Aggref', 'WindowFunc', 'GroupingFunc', 'CaseTestExpr'].includes(n.type)
      ? true
      : undefined,
  );
  if (unknown || containVolatileFunctions(env, folded as Node)) return folded;
  // Of a stable function the value of now will do.
  const found = env.evaluate(folded);
  return found === undefined ? folded : constLike(root, folded, found.value);
}

export function constLike(root: PlannerInfo, like: Expr, value: Datum): Const {
  const type = exprType(like);
  const { typlen, typbyval } = getType(root.env.rows, type);
  return makeConst(type, exprTypmod(like), exprCollation(like), typlen, typbyval, value);
}
