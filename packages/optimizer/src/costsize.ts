/**
 * Sizes and costs, with PostgreSQL's cost parameters (costsize.c).
 */
import { exprType, exprTypmod } from '@pgtroupe/nodes/nodefuncs';
import type { Expr, TargetEntry } from '@pgtroupe/nodes/primnodes';
import { RTE_RELATION } from '@pgtroupe/nodes/nodes';
import { columnStatistics } from './selectivity/statistics.ts';
import { typeAvgWidth } from './lsyscache.ts';
import type { PlannerInfo, PlannerMethod, RelOptInfo } from './pathnodes.ts';

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

export function estimateArrayLength(expr: Expr): number {
  if (expr.type === 'ArrayExpr' && !expr.multidims) return expr.elements.length;
  if (expr.type === 'Const' && expr.constvalue instanceof Uint8Array && expr.constvalue.length >= 16) {
    const { constvalue: v } = expr;
    return v[12]! | (v[13]! << 8) | (v[14]! << 16);
  }
  return 10;
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

export function tlistWidth(root: PlannerInfo, tlist: readonly TargetEntry[]): number {
  return targetWidth(
    root,
    tlist.map(({ expr }) => ({ typid: exprType(expr), typmod: exprTypmod(expr) })),
  );
}

/** Bytes of the columns that are needed of a base relation: what ANALYZE has seen, else what their types suggest. */
export function relationWidth(root: PlannerInfo, rel: RelOptInfo): number {
  const { env } = root;
  let width = 0;
  for (const { varattno, vartype, vartypmod } of rel.needed.values()) {
    const known =
      rel.rte?.rtekind === RTE_RELATION && varattno > 0
        ? columnStatistics(env, rel.rte.relid, varattno)?.width
        : undefined;
    width += known || typeAvgWidth(env.rows, vartype, vartypmod);
  }
  return width;
}
