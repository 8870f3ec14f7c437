/**
 * min() and max() of an indexed column read one end of the index (planagg.c).
 */
import type { Slices } from '@pgtroupe/common/slices';
import { INT8OID } from '@pgtroupe/common/oids';
import { type Oid, INVALID_OID } from '@pgtroupe/common/ids';
import { AGGFNOID } from '@pgtroupe/catalog/syscache';
import { makeConst, makeTargetEntry } from '@pgtroupe/nodes/makefuncs';
import { equalNodes } from '@pgtroupe/nodes/nodefuncs';
import * as N from '@pgtroupe/nodes/nodes';
import type { Node, Query } from '@pgtroupe/nodes/parsenodes';
import type { Aggref, Expr, NullTest, SubPlan, TargetEntry } from '@pgtroupe/nodes/primnodes';
import { makeAndsExplicit, makeAndsImplicit, containMutableFunctions, containSubplans } from './clauses.ts';
import { planFields } from './createplan.ts';
import { equalityOpForOrderingOp, orderingOpProperties } from './lsyscache.ts';
import type { PlannerInfo } from './pathnodes.ts';
import type { Plan, Result } from './plannodes.ts';
import { makeExecParam, newExecParam } from './subselect.ts';
import { mutateExpr, walkExpr } from './var.ts';

/** A plan for `SELECT min(a), max(b) ... FROM one_table`, when indexes make it cheap; else undefined. */
export function* minMaxPlan(root: PlannerInfo, tlist: readonly TargetEntry[]): Slices<Plan | undefined> {
  const { parse } = root;
  if (
    !parse.hasAggs ||
    parse.groupClause.length > 0 ||
    parse.groupingSets.length > 0 ||
    parse.hasWindowFuncs ||
    parse.cteList.length > 0 ||
    parse.rowMarks.length > 0
  )
    return undefined;
  if (parse.commandType !== N.CMD_SELECT || parse.hasTargetSRFs) return undefined;
  const from = parse.jointree!.fromlist;
  const only = from.length === 1 ? from[0]! : undefined;
  if (only?.type !== 'RangeTblRef') return undefined;
  const rte = root.rtable[only.rtindex - 1]!;
  if (rte.rtekind !== N.RTE_RELATION || rte.tablesample !== null) return undefined;
  const quals = makeAndsImplicit(parse.jointree!.quals);
  if (quals.some(q => containSubplans(q))) return undefined;
  const aggs: { agg: Aggref; sortop: Oid }[] = [];
  let possible = true;
  for (const expr of [...tlist.map(t => t.expr), ...makeAndsImplicit(parse.havingQual)]) {
    walkExpr(expr as Node, n => {
      if (n.type === 'GroupingFunc') possible = false;
      if (n.type !== 'Aggref') return undefined;
      const sortop =
        n.args.length === 1 && n.aggorder.length === 0 && n.aggfilter === null && n.agglevelsup === 0
          ? root.env.rows.search(AGGFNOID, n.aggfnoid)?.aggsortop
          : undefined;
      const arg = n.args[0]?.expr;
      if (!sortop || arg === undefined || containMutableFunctions(root.env, arg) || containSubplans(arg))
        possible = false;
      else if (!aggs.some(a => equalNodes(a.agg, n))) aggs.push({ agg: n, sortop });
      return false;
    });
  }
  if (!possible || aggs.length === 0) return undefined;
  // Worth it only if each argument leads a btree index.
  const relation = root.env.relation(rte.relid);
  const indexed = (arg: Expr): boolean =>
    arg.type === 'Var' &&
    arg.varattno > 0 &&
    relation.indexes.some(i => i.keys[0]?.attnum === arg.varattno && i.index.indpred === null && i.index.indisvalid);
  if (!aggs.every(a => indexed(a.agg.args[0]!.expr))) return undefined;
  const params: { agg: Aggref; param: Expr }[] = [];
  for (const { agg, sortop } of aggs) params.push({ agg, param: yield* minMaxSubquery(root, parse, agg, sortop) });
  const replace = (e: Expr): Expr =>
    mutateExpr(e as Node, n => params.find(p => n.type === 'Aggref' && equalNodes(p.agg, n))?.param) as Expr;
  const result: Result = {
    ...planFields(
      root,
      tlist.map(t => ({ ...t, expr: replace(t.expr) })),
      { startup: 0, total: 0.01, rows: 1, width: 8 },
    ),
    type: 'Result',
    resconstantqual: makeAndsImplicit(parse.havingQual).map(replace),
  };
  return result;
}

/** InitPlan: SELECT arg FROM t WHERE quals AND arg IS NOT NULL ORDER BY arg LIMIT 1. */
function* minMaxSubquery(root: PlannerInfo, parse: Query, agg: Aggref, sortop: Oid): Slices<Expr> {
  const arg = agg.args[0]!.expr;
  const notNull: NullTest = { type: 'NullTest', arg, nulltesttype: N.IS_NOT_NULL, argisrow: false, location: -1 };
  const query: Query = {
    ...parse,
    hasAggs: false,
    hasSubLinks: false,
    havingQual: null,
    distinctClause: [],
    hasDistinctOn: false,
    targetList: [{ ...makeTargetEntry(arg, 1, 'agg_target', false), ressortgroupref: 1 }],
    sortClause: [
      {
        type: 'SortGroupClause',
        tleSortGroupRef: 1,
        eqop: equalityOpForOrderingOp(root.env.rows, sortop),
        sortop,
        nulls_first: orderingOpProperties(root.env.rows, sortop)?.desc === true,
        hashable: false,
      },
    ],
    jointree: { ...parse.jointree!, quals: makeAndsExplicit([notNull, ...makeAndsImplicit(parse.jointree!.quals)]) },
    limitOffset: null,
    limitCount: makeConst(INT8OID, -1, INVALID_OID, 8, true, 1),
    limitOption: N.LIMIT_OPTION_COUNT,
  };
  const saved = root.planParams;
  root.planParams = [];
  // Its expressions were prepared with this level's.
  const { constants } = root.glob;
  root.glob.constants = [];
  const { plan, root: subroot } = yield* root.glob.planSubquery(root, query, false, 1);
  root.glob.constants = constants;
  root.planParams = saved;
  const param = makeExecParam(newExecParam(root), agg.aggtype, -1, agg.aggcollid);
  root.glob.subplans.push({ plan, rtable: subroot.rtable, cte: null });
  const id = root.glob.subplans.length;
  const init: SubPlan = {
    type: 'SubPlan',
    subLinkType: N.EXPR_SUBLINK,
    testexpr: null,
    paramIds: [],
    plan_id: id,
    plan_name: `InitPlan ${id} (returns $${param.paramid})`,
    firstColType: agg.aggtype,
    firstColTypmod: -1,
    firstColCollation: agg.aggcollid,
    useHashTable: false,
    unknownEqFalse: false,
    setParam: [param.paramid],
    parParam: [],
    args: [],
    startup_cost: plan.total_cost,
    per_call_cost: 0,
  };
  root.initPlans.push(init);
  return param;
}
