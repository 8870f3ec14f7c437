/**
 * From the chosen path to a plan tree (createplan.c). Target lists and conditions still hold the
 * level's own Vars; setrefs.ts turns them into references to child nodes.
 */
import { makeTargetEntry } from '@pgtroupe/nodes/makefuncs';
import * as N from '@pgtroupe/nodes/nodes';
import type { Expr, OpExpr, TargetEntry } from '@pgtroupe/nodes/primnodes';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Slices } from '@pgtroupe/common/slices';
import { equalNodes, exprCollation } from '@pgtroupe/nodes/nodefuncs';
import { commuted } from './clauses.ts';
import {
  isSubset,
  type HashPath,
  type IndexPath,
  type NestPath,
  type Path,
  type PlannerInfo,
  type Relids,
  type RelOptInfo,
  type RestrictInfo,
} from './pathnodes.ts';
import type { NestLoopParam, Plan, Result, Sort } from './plannodes.ts';
import { orderQuals } from './qualcost.ts';
import { makeExecParam, newExecParam } from './subselect.ts';
import { mutateExpr, relidOf } from './var.ts';
import type { Node } from '@pgtroupe/nodes/parsenodes';
import type { Var } from '@pgtroupe/nodes/primnodes';
import { costSort } from './costsize.ts';

const NO_PARAMS: ReadonlySet<number> = new Set();

/** What every plan node has, costs from a path. */
export function planFields(
  root: PlannerInfo,
  targetlist: readonly TargetEntry[],
  cost: { startup: number; total: number; rows: number; width: number },
): {
  startup_cost: number;
  total_cost: number;
  plan_rows: number;
  plan_width: number;
  plan_node_id: number;
  targetlist: readonly TargetEntry[];
  qual: readonly Expr[];
  lefttree: Plan | null;
  righttree: Plan | null;
  initPlan: readonly [];
  allParam: ReadonlySet<number>;
} {
  return {
    startup_cost: cost.startup,
    total_cost: cost.total,
    plan_rows: cost.rows,
    plan_width: cost.width,
    plan_node_id: root.glob.nextNodeId++,
    targetlist,
    qual: [],
    lefttree: null,
    righttree: null,
    initPlan: [],
    allParam: NO_PARAMS,
  };
}

/** Costs of a node that adds something to its child's. */
export function onTopOf(
  child: Plan,
  more = 0,
  rows = child.plan_rows,
): { startup: number; total: number; rows: number; width: number } {
  return { startup: child.startup_cost, total: child.total_cost + more, rows, width: child.plan_width };
}

export function* createPlan(root: PlannerInfo, path: Path): Slices<Plan> {
  root.curOuterParams = [];
  const plan = yield* createNode(root, path);
  return gate(root, path, plan);
}

/** Conditions without Vars are asked once, above everything they concern. */
function gate(root: PlannerInfo, path: Path, plan: Plan): Plan {
  const constant = new Set<RestrictInfo>();
  for (const rel of root.rels) {
    if (rel === undefined || (rel.relids & path.rel.relids) === 0n) continue;
    for (const r of [...rel.baserestrictinfo, ...rel.joininfo]) if (r.pseudoconstant) constant.add(r);
  }
  if (constant.size === 0) return plan;
  const result: Result = {
    ...planFields(root, plan.targetlist, onTopOf(plan)),
    type: 'Result',
    lefttree: plan,
    resconstantqual: orderQuals(
      root,
      [...constant].map(r => r.clause),
    ),
  };
  return result;
}

function neededTlist(root: PlannerInfo, rel: RelOptInfo): TargetEntry[] {
  const tlist: TargetEntry[] = [];
  for (const base of root.rels) {
    if (base === undefined || (base.relids & rel.relids) === 0n) continue;
    for (const v of base.needed.values()) tlist.push(makeTargetEntry(v, tlist.length + 1, null, false));
  }
  return tlist;
}

/** In the order in which they are asked. */
function clausesOf(root: PlannerInfo, rinfos: readonly RestrictInfo[]): Expr[] {
  return orderQuals(
    root,
    rinfos.filter(r => !r.pseudoconstant).map(r => r.clause),
  );
}

function* createNode(root: PlannerInfo, path: Path): Slices<Plan> {
  yield;
  switch (path.kind) {
    case 'scan':
      return createScan(root, path);
    case 'result': {
      const fields = planFields(root, neededTlist(root, path.rel), pathCost(path));
      return { ...fields, type: 'Result', qual: clausesOf(root, path.rel.baserestrictinfo), resconstantqual: [] };
    }
    case 'index':
      return createIndexScan(root, path);
    case 'tid': {
      const fields = planFields(root, neededTlist(root, path.rel), pathCost(path));
      const qual = clausesOf(root, path.rel.baserestrictinfo).filter(q => !path.tidquals.includes(q));
      return { ...fields, type: 'TidScan', scanrelid: path.rel.rtindex, qual, tidquals: path.tidquals };
    }
    case 'material': {
      const child = yield* createNode(root, path.subpath);
      return { ...planFields(root, child.targetlist, pathCost(path)), type: 'Material', lefttree: child };
    }
    case 'nestloop':
      return yield* createNestLoop(root, path);
    case 'hashjoin':
      return yield* createHashJoin(root, path);
  }
}

function pathCost(path: Path): { startup: number; total: number; rows: number; width: number } {
  return { startup: path.startup, total: path.total, rows: path.rows, width: path.rel.width };
}

/** Outer relations' Vars in a parameterised path become parameters that the nested loop sets. */
function replaceNestloopParams(root: PlannerInfo, expr: Expr, own: Relids): Expr {
  return mutateExpr(expr as Node, n => {
    if (n.type !== 'Var' || n.varlevelsup !== 0 || (relidOf(root, n.varno) & own) !== 0n) return undefined;
    return nestloopParam(root, n);
  }) as Expr;
}

function nestloopParam(root: PlannerInfo, v: Var): Expr {
  let known = root.curOuterParams.find(p => equalNodes(p.item, v));
  if (known === undefined) {
    known = { item: v, paramId: newExecParam(root) };
    root.curOuterParams.push(known);
  }
  return makeExecParam(known.paramId, v.vartype, v.vartypmod, v.varcollid);
}

function createScan(root: PlannerInfo, path: Path): Plan {
  const { rel } = path;
  const rte = rel.rte!;
  const fields = planFields(root, neededTlist(root, rel), pathCost(path));
  const qual = clausesOf(root, rel.baserestrictinfo);
  const scanrelid = rel.rtindex;
  switch (rte.rtekind) {
    case N.RTE_RELATION:
      return { ...fields, type: 'SeqScan', scanrelid, qual };
    case N.RTE_SUBQUERY:
      // Values the subquery takes from this level are handed over by the nested loop around it.
      for (const p of rel.subplanParams) {
        if (!root.curOuterParams.some(known => known.paramId === p.paramId)) root.curOuterParams.push(p);
      }
      return { ...fields, type: 'SubqueryScan', scanrelid, qual, subplan: rel.subplan! };
    case N.RTE_FUNCTION: {
      const functions = rte.functions.map(f => ({
        ...f,
        funcexpr: replaceNestloopParams(root, f.funcexpr, rel.relids),
      }));
      return { ...fields, type: 'FunctionScan', scanrelid, qual, functions, funcordinality: rte.funcordinality };
    }
    case N.RTE_VALUES: {
      const values_lists = rte.values_lists.map(row => row.map(e => replaceNestloopParams(root, e, rel.relids)));
      return { ...fields, type: 'ValuesScan', scanrelid, qual, values_lists };
    }
    case N.RTE_CTE:
      return createCteScan(root, rel, fields, qual);
    default:
      throw ereport(ERRCODE.INTERNAL_ERROR, `unexpected RTE kind ${rte.rtekind}`);
  }
}

function createCteScan(
  root: PlannerInfo,
  rel: RelOptInfo,
  fields: ReturnType<typeof planFields>,
  qual: readonly Expr[],
): Plan {
  const rte = rel.rte!;
  let owner: PlannerInfo = root;
  for (let up = rte.ctelevelsup; up > 0; up--) owner = owner.parent!;
  const ctename = rte.ctename!;
  if (rte.self_reference) {
    // The level that computes the recursive union is between this one and the one that has the WITH.
    let union: PlannerInfo | null = root;
    while (union !== null && union.wtParamId < 0) union = union.parent;
    if (union === null) throw ereport(ERRCODE.INTERNAL_ERROR, `no recursive union for CTE ${ctename}`);
    return { ...fields, type: 'WorkTableScan', scanrelid: rel.rtindex, qual, wtParam: union.wtParamId, ctename };
  }
  const index = owner.parse.cteList.findIndex(c => c.ctename === ctename);
  const ctePlanId = owner.ctePlanIds[index]!;
  const init = owner.cteInitPlans.find(p => p.plan_id === ctePlanId)!;
  return { ...fields, type: 'CteScan', scanrelid: rel.rtindex, qual, ctePlanId, cteParam: init.setParam[0]!, ctename };
}

function createIndexScan(root: PlannerInfo, path: IndexPath): Plan {
  const { rel } = path;
  const fields = planFields(root, neededTlist(root, rel), pathCost(path));
  const param = (e: Expr): Expr => replaceNestloopParams(root, e, rel.relids);
  const used = new Set(path.clauses);
  const qual = clausesOf(
    root,
    rel.baserestrictinfo.filter(r => !used.has(r)),
  );
  return {
    ...fields,
    type: 'IndexScan',
    scanrelid: rel.rtindex,
    qual,
    indexid: path.index.oid,
    indexorderdir: path.direction,
    indexqual: path.quals.map(q => (q.value === null ? q : { ...q, value: param(q.value) })),
    indexqualorig: path.clauses.map(r => param(keyOnLeft(root, r.clause, rel))),
  };
}

function keyOnLeft(root: PlannerInfo, clause: Expr, rel: RelOptInfo): Expr {
  if (clause.type !== 'OpExpr' || clause.args.length !== 2) return clause;
  const [left] = clause.args as [Expr, Expr];
  const leftIsKey = mentions(root, left, rel);
  return leftIsKey ? clause : (commuted(root.env, clause) ?? clause);
}

function mentions(root: PlannerInfo, expr: Expr, rel: RelOptInfo): boolean {
  let found = false;
  mutateExpr(expr as Node, n => {
    if (n.type === 'Var' && (relidOf(root, n.varno) & rel.relids) !== 0n) found = true;
    return undefined;
  });
  return found;
}

/** ON conditions decide what matches, WHERE conditions filter the result. */
function splitJoinClauses(
  root: PlannerInfo,
  jointype: N.JoinType,
  clauses: readonly RestrictInfo[],
): { joinqual: Expr[]; otherqual: Expr[] } {
  const outer =
    jointype === N.JOIN_LEFT || jointype === N.JOIN_RIGHT || jointype === N.JOIN_FULL || jointype === N.JOIN_ANTI;
  if (!outer) return { joinqual: clausesOf(root, clauses), otherqual: [] };
  return {
    joinqual: clausesOf(
      root,
      clauses.filter(r => !r.isPushedDown),
    ),
    otherqual: clausesOf(
      root,
      clauses.filter(r => r.isPushedDown),
    ),
  };
}

function* createNestLoop(root: PlannerInfo, path: NestPath): Slices<Plan> {
  const lefttree = yield* createNode(root, path.outer);
  const righttree = yield* createNode(root, path.inner);
  // Parameters that the outer side supplies are set here; the rest by a loop further up.
  const nestParams: NestLoopParam[] = [];
  const rest: PlannerInfo['curOuterParams'] = [];
  for (const p of root.curOuterParams) {
    const item = p.item;
    if (
      item.type === 'Var' &&
      isSubset(relidOf(root, item.varno), path.outer.rel.relids) &&
      relidOf(root, item.varno) !== 0n
    )
      nestParams.push({ paramno: p.paramId, paramval: item });
    else rest.push(p);
  }
  root.curOuterParams = rest;
  const { joinqual, otherqual } = splitJoinClauses(root, path.jointype, path.clauses);
  return {
    ...planFields(root, neededTlist(root, path.rel), pathCost(path)),
    type: 'NestLoop',
    lefttree,
    righttree,
    jointype: path.jointype,
    inner_unique: path.innerUnique,
    nestParams,
    joinqual: joinqual.map(e => paramsOfOutside(root, e, path.rel)),
    qual: otherqual.map(e => paramsOfOutside(root, e, path.rel)),
  };
}

/** A condition moved down here may still mention relations outside the join. */
function paramsOfOutside(root: PlannerInfo, expr: Expr, rel: RelOptInfo): Expr {
  return replaceNestloopParams(root, expr, rel.relids);
}

function* createHashJoin(root: PlannerInfo, path: HashPath): Slices<Plan> {
  const lefttree = yield* createNode(root, path.outer);
  const righttree = yield* createNode(root, path.inner);
  const hashclauses = path.hashclauses.map(r => {
    const clause = r.clause as OpExpr;
    return isSubset(r.leftRelids, path.outer.rel.relids) ? clause : (commuted(root.env, clause) ?? clause);
  });
  const { joinqual, otherqual } = splitJoinClauses(root, path.jointype, path.clauses);
  return {
    ...planFields(root, neededTlist(root, path.rel), pathCost(path)),
    type: 'HashJoin',
    tableParam: NO_PARAMS,
    lefttree,
    righttree,
    jointype: path.jointype,
    inner_unique: path.innerUnique,
    joinqual,
    qual: otherqual,
    hashclauses,
    hashoperators: hashclauses.map(c => c.opno),
    hashcollations: hashclauses.map(c => c.inputcollid),
    hashkeys: hashclauses.map(c => c.args[0]!),
    innerhashkeys: hashclauses.map(c => c.args[1]!),
  };
}

export function makeSort(
  root: PlannerInfo,
  plan: Plan,
  columns: readonly number[],
  operators: readonly number[],
  nullsFirst: readonly boolean[],
): Sort {
  const cost = costSort(plan.startup_cost, plan.total_cost, plan.plan_rows, root.limitTuples);
  return {
    ...planFields(root, plan.targetlist, { ...cost, rows: plan.plan_rows, width: plan.plan_width }),
    type: 'Sort',
    lefttree: plan,
    sortColIdx: columns,
    sortOperators: operators,
    nullsFirst,
    collations: columns.map(c => exprCollation(plan.targetlist.find(t => t.resno === c)!.expr)),
  };
}
