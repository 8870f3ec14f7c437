/**
 * A subquery in FROM that stays a subquery: planned by itself, read by a SubqueryScan. Conditions on its
 * output move inside where that changes nothing (set_subquery_pathlist).
 */
import type { Slices } from '@pgtroupe/common/slices';
import * as N from '@pgtroupe/nodes/nodes';
import { expressionReturnsSet, exprCollation, exprType, exprTypmod } from '@pgtroupe/nodes/nodefuncs';
import { makeVar } from '@pgtroupe/nodes/makefuncs';
import type { Node, Query } from '@pgtroupe/nodes/parsenodes';
import type { Expr, TargetEntry } from '@pgtroupe/nodes/primnodes';
import { containSubplans, containVolatileFunctions, makeAndsExplicit, makeAndsImplicit } from './clauses.ts';
import { nullOf } from './constfold.ts';
import { canonicalEc, getEclassForSortExpr } from './equivclass.ts';
import type { PathKey, PlannerInfo, RelOptInfo } from './pathnodes.ts';
import { mutateExpr, pullVars } from './var.ts';

export function* planSubqueryRte(root: PlannerInfo, rel: RelOptInfo): Slices<void> {
  let subquery = rel.rte!.subquery!;
  const kept = [];
  for (const rinfo of rel.baserestrictinfo) {
    const pushed = rinfo.pseudoconstant ? undefined : pushQual(root, subquery, rel, rinfo.clause);
    if (pushed === undefined) kept.push(rinfo);
    else subquery = pushed;
  }
  rel.baserestrictinfo = kept;
  subquery = withoutUnusedOutputs(root, subquery, rel);
  const saved = root.planParams;
  root.planParams = [];
  const { plan, root: subroot } = yield* root.glob.planSubquery(root, subquery, false, 0);
  rel.subplanParams = root.planParams;
  root.planParams = saved;
  rel.subplan = plan;
  rel.subroot = subroot;
  rel.subqueryPathkeys = outerPathkeys(root, rel, subroot, plan.targetlist);
}

/**
 * Columns that nobody reads are not computed (remove_unused_subquery_outputs): NULL stands for them. Those that the
 * subquery itself needs, or that must be evaluated, stay.
 */
function withoutUnusedOutputs(root: PlannerInfo, query: Query, rel: RelOptInfo): Query {
  if (query.setOperations !== null || query.commandType !== N.CMD_SELECT) return query;
  if (query.distinctClause.length > 0 && !query.hasDistinctOn) return query;
  const read = [...rel.needed.values(), ...rel.baserestrictinfo.flatMap(r => pullVars(r.clause))];
  const used = new Set(read.filter(v => v.varno === rel.rtindex).map(v => v.varattno));
  // The whole row.
  if (used.has(0)) return query;
  const { env } = root;
  const unused = ({ expr, resno, resjunk, ressortgroupref }: TargetEntry): boolean =>
    !resjunk &&
    ressortgroupref === 0 &&
    !used.has(resno) &&
    !expressionReturnsSet(expr as Node) &&
    !containVolatileFunctions(env, expr);
  if (!query.targetList.some(unused)) return query;
  const targetList = query.targetList.map(tle => (unused(tle) ? { ...tle, expr: nullOf(env, tle.expr) } : tle));
  return { ...query, targetList };
}

/** The subquery with the condition added to its WHERE, or undefined when it must stay outside. */
function pushQual(root: PlannerInfo, query: Query, rel: RelOptInfo, clause: Expr): Query | undefined {
  if (
    query.limitCount !== null ||
    query.limitOffset !== null ||
    query.hasTargetSRFs ||
    query.setOperations !== null ||
    query.jointree === null ||
    query.groupingSets.length > 0 ||
    query.hasDistinctOn ||
    query.rowMarks.length > 0 ||
    query.commandType !== 1 ||
    rel.rte!.security_barrier
  )
    return undefined;
  if (containSubplans(clause) || containVolatileFunctions(root.env, clause)) return undefined;
  const vars = pullVars(clause);
  if (vars.some(v => v.varno !== rel.rtindex || v.varattno <= 0)) return undefined;
  for (const v of vars) {
    const tle = query.targetList.find(t => t.resno === v.varattno)!;
    if (containVolatileFunctions(root.env, tle.expr) || containSubplans(tle.expr)) return undefined;
    // Under grouping or DISTINCT a condition may only look at what is grouped by.
    if (query.hasAggs || query.groupClause.length > 0) {
      if (tle.ressortgroupref === 0 || !query.groupClause.some(g => g.tleSortGroupRef === tle.ressortgroupref))
        return undefined;
    }
    if (query.hasWindowFuncs) {
      const partitioned = query.windowClause.every(w =>
        w.partitionClause.some(p => p.tleSortGroupRef === tle.ressortgroupref && tle.ressortgroupref !== 0),
      );
      if (!partitioned) return undefined;
    }
    if (query.distinctClause.length > 0 && tle.ressortgroupref === 0) return undefined;
  }
  // The condition comes from a prepared level: parameters it holds stay, its Vars become the subquery's columns.
  const moved = mutateExpr(clause as Node, n => {
    if (n.type !== 'Var' || n.varno !== rel.rtindex || n.varlevelsup !== 0) return undefined;
    return query.targetList.find(t => t.resno === n.varattno)!.expr;
  }) as Expr;
  const quals = makeAndsExplicit([...makeAndsImplicit(query.jointree.quals), moved]);
  return { ...query, jointree: { ...query.jointree, quals } };
}

/** The subquery's ORDER BY as seen from outside. */
function outerPathkeys(
  root: PlannerInfo,
  rel: RelOptInfo,
  subroot: PlannerInfo,
  tlist: readonly TargetEntry[],
): PathKey[] {
  const result: PathKey[] = [];
  if (subroot.parse.setOperations !== null) return result;
  for (const key of subroot.sortPathkeys) {
    const member = canonicalEc(key.ec).members.find(m =>
      subroot.processedTlist.some(t => !t.resjunk && sameExpr(t.expr, m.expr)),
    );
    const tle = member && subroot.processedTlist.find(t => !t.resjunk && sameExpr(t.expr, member.expr));
    if (tle === undefined || !tlist.some(t => t.resno === tle.resno)) break;
    const v = makeVar(rel.rtindex, tle.resno, exprType(tle.expr), exprTypmod(tle.expr), exprCollation(tle.expr));
    const ec = getEclassForSortExpr(root, v, key.ec.opfamilies, member!.type, key.ec.collation, 0);
    result.push({ ...key, ec });
  }
  return result;
}

function sameExpr(a: Expr, b: Expr): boolean {
  return a === b;
}
