/**
 * Sizes and paths of base relations (allpaths.c).
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import * as N from '@pgtroupe/nodes/nodes';
import type { Slices } from '@pgtroupe/common/slices';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import { clauselistSelectivity } from './selectivity/clausesel.ts';
import { clampRows } from './selectivity/variable.ts';
import {
  CPU_OPERATOR_COST,
  CPU_TUPLE_COST,
  RANDOM_PAGE_COST,
  SEQ_PAGE_COST,
  relationWidth,
  methodCost,
} from './costsize.ts';
import { costQuals } from './qualcost.ts';
import { createIndexPaths } from './indxpath.ts';
import { getProc } from './lsyscache.ts';
import { addPath } from './pathkeys.ts';
import type { PlannerInfo, Relids, RelOptInfo } from './pathnodes.ts';
import { getRelationInfo } from './plancat.ts';
import { planSubqueryRte } from './subqueryrel.ts';
import { relidOf, relidsOf, walkExpr } from './var.ts';
import type { Node } from '@pgtroupe/nodes/parsenodes';

/** Which relations of this level an entry refers to laterally. */
function lateralRelids(root: PlannerInfo, rtindex: number): Relids {
  const rte = root.rtable[rtindex - 1]!;
  if (!rte.lateral && rte.rtekind !== N.RTE_FUNCTION && rte.rtekind !== N.RTE_VALUES) return 0n;
  switch (rte.rtekind) {
    case N.RTE_FUNCTION:
      return (
        relidsOf(
          root,
          rte.functions.map(f => f.funcexpr),
        ) & ~relidOf(root, rtindex)
      );
    case N.RTE_VALUES:
      return relidsOf(root, rte.values_lists.flat()) & ~relidOf(root, rtindex);
    case N.RTE_SUBQUERY: {
      let relids = 0n;
      const visit = (n: Node, depth: number): void => {
        walkExpr(n, m => {
          if (m.type === 'Var') {
            if (m.varlevelsup === depth) relids |= relidOf(root, m.varno);
            return false;
          }
          if (m.type === 'Query' && m !== n) {
            visit(m, depth + 1);
            return false;
          }
          return undefined;
        });
      };
      visit(rte.subquery!, 1);
      return relids;
    }
    default:
      return 0n;
  }
}

/** Facts that conditions are estimated with: before conditions are distributed. */
export function* setBaseRelInfo(root: PlannerInfo): Slices<void> {
  for (const rel of root.rels) {
    if (rel === undefined) continue;
    yield;
    rel.lateralRelids = lateralRelids(root, rel.rtindex);
    if (rel.rte!.rtekind === N.RTE_RELATION) {
      root.glob.relationOids.add(rel.rte!.relid);
      getRelationInfo(root, rel);
    }
  }
}

export function* setBaseRelPathlists(root: PlannerInfo): Slices<void> {
  for (const rel of root.rels) {
    if (rel === undefined) continue;
    yield;
    yield* setRelPathlist(root, rel);
  }
}

function* setRelPathlist(root: PlannerInfo, rel: RelOptInfo): Slices<void> {
  const rte = rel.rte!;
  const quals = rel.baserestrictinfo.map(r => r.clause);
  rel.width = relationWidth(root, rel);
  let baseCost = 0;
  let perTuple = CPU_TUPLE_COST;
  switch (rte.rtekind) {
    case N.RTE_RELATION:
      if (rte.tablesample !== null)
        throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, 'TABLESAMPLE is not supported by pgtroupe yet');
      baseCost = rel.pages * SEQ_PAGE_COST;
      break;
    case N.RTE_SUBQUERY:
      yield* planSubqueryRte(root, rel);
      rel.tuples = rel.subplan!.plan_rows;
      baseCost = rel.subplan!.total_cost;
      break;
    case N.RTE_FUNCTION:
      rel.tuples = Math.max(1, ...rte.functions.map(f => functionRows(root, f.funcexpr)));
      break;
    case N.RTE_VALUES:
      rel.tuples = rte.values_lists.length;
      perTuple = CPU_OPERATOR_COST;
      break;
    case N.RTE_CTE:
      rel.tuples = cteRows(root, rel);
      break;
    case N.RTE_RESULT:
      rel.tuples = 1;
      break;
    default:
      throw ereport(
        ERRCODE.FEATURE_NOT_SUPPORTED,
        `range table entries of kind ${rte.rtekind} are not supported by pgtroupe yet`,
      );
  }
  // What has no columns is asked once, before there are rows.
  const asked = rel.baserestrictinfo.filter(r => !r.pseudoconstant || r.clause.type === 'Const').map(r => r.clause);
  rel.rows = clampRows(rel.tuples * clauselistSelectivity(root, asked));
  const qual = costQuals(root, quals);
  const disabled = rte.rtekind === N.RTE_RELATION ? methodCost(root, 'seqscan') : 0;
  const startup = disabled + qual.startup + (rte.rtekind === N.RTE_SUBQUERY ? rel.subplan!.startup_cost : 0);
  addPath(rel, {
    kind: rte.rtekind === N.RTE_RESULT ? 'result' : 'scan',
    rel,
    rows: rel.rows,
    startup,
    total: disabled + baseCost + qual.startup + rel.tuples * (perTuple + qual.perTuple),
    pathkeys: rel.subqueryPathkeys,
    requiredOuter: rel.lateralRelids,
  });
  if (rte.rtekind !== N.RTE_RELATION) return;
  createIndexPaths(root, rel);
  createTidPath(root, rel, quals, qual.perTuple);
}

/** ctid = value, or = ANY (values). */
function createTidPath(root: PlannerInfo, rel: RelOptInfo, quals: readonly Expr[], perTuple: number): void {
  const tidquals = quals.filter(q => {
    if (q.type !== 'OpExpr' && q.type !== 'ScalarArrayOpExpr') return false;
    const [a, b] = q.args as [Expr, Expr | undefined];
    if (b === undefined) return false;
    const isTid = (e: Expr): boolean =>
      e.type === 'Var' && e.varattno === -1 && e.varlevelsup === 0 && e.varno === rel.rtindex;
    if (q.opno !== TID_EQUAL_OPERATOR) return false;
    if (q.type === 'ScalarArrayOpExpr') return q.useOr && isTid(a) && relidsOf(root, b) === 0n;
    return (isTid(a) && relidsOf(root, b) === 0n) || (isTid(b) && relidsOf(root, a) === 0n);
  });
  if (tidquals.length === 0) return;
  addPath(rel, {
    kind: 'tid',
    rel,
    rows: 1,
    startup: methodCost(root, 'tidscan'),
    total: methodCost(root, 'tidscan') + RANDOM_PAGE_COST + CPU_TUPLE_COST + perTuple,
    pathkeys: [],
    requiredOuter: 0n,
    tidquals: [tidquals[0]!],
  });
}

const TID_EQUAL_OPERATOR = 387;

function functionRows(root: PlannerInfo, expr: Expr): number {
  if (expr.type !== 'FuncExpr' || !expr.funcretset) return 1;
  if (expr.args.length >= 2 && getProc(root.env.rows, expr.funcid).proname === 'generate_series') {
    const [from, to] = expr.args as [Expr, Expr];
    if (
      from.type === 'Const' &&
      to.type === 'Const' &&
      typeof from.constvalue === 'number' &&
      typeof to.constvalue === 'number' &&
      expr.args.length === 2
    ) {
      return Math.max(1, to.constvalue - from.constvalue + 1);
    }
  }
  return Math.max(1, getProc(root.env.rows, expr.funcid).prorows);
}

function cteRows(root: PlannerInfo, rel: RelOptInfo): number {
  const rte = rel.rte!;
  let owner: PlannerInfo = root;
  for (let up = rte.ctelevelsup; up > 0; up--) owner = owner.parent!;
  if (rte.self_reference)
    return Math.max(1, 10 * Math.max(owner.nonRecursiveRows, root.parent?.nonRecursiveRows ?? 0, 1));
  const i = owner.parse.cteList.findIndex(c => c.ctename === rte.ctename);
  const id = owner.ctePlanIds[i];
  return id === undefined || id < 0 ? 1000 : owner.glob.subplans[id - 1]!.plan.plan_rows;
}
