/**
 * Sublinks, CTEs and parameters between query levels (subselect.c).
 *
 * A value that a subquery needs from a level above it becomes a PARAM_EXEC parameter: the level that
 * owns the value notes it in `planParams` while the subquery is planned, and hands it over at run time.
 */
import { INVALID_OID, type Oid } from '@pgtroupe/common/ids';
import { RECORDOID, VOIDOID, BOOLOID } from '@pgtroupe/common/oids';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Slices } from '@pgtroupe/common/slices';
import { copyNode, equalNodes, exprCollation, exprType, exprTypmod, mutateChildren } from '@pgtroupe/nodes/nodefuncs';
import { makeConst, makeRangeTblEntry } from '@pgtroupe/nodes/makefuncs';
import * as N from '@pgtroupe/nodes/nodes';
import type { CommonTableExpr, Node, Query, RangeTblEntry } from '@pgtroupe/nodes/parsenodes';
import type { Aggref, Expr, GroupingFunc, Param, SubLink, SubPlan, Var } from '@pgtroupe/nodes/primnodes';
import { containSubplans, containVolatileFunctions, makeAndsImplicit } from './clauses.ts';
import { CPU_OPERATOR_COST } from './costsize.ts';
import { getOperator, getType, opHashjoinable, opStrict } from './lsyscache.ts';
import type { PlannerInfo } from './pathnodes.ts';
import type { PlanConstant } from './planconstants.ts';
import type { Material, Plan } from './plannodes.ts';
import { simplifyExistsQuery } from './prepjointree.ts';
import { incrementVarSublevelsUp, mutateExpr } from './var.ts';

export function newExecParam(root: PlannerInfo): number {
  return root.glob.paramExecCount++;
}

export function makeExecParam(paramid: number, type: Oid, typmod: number, collation: Oid): Param {
  return {
    type: 'Param',
    paramkind: N.PARAM_EXEC,
    paramid,
    paramtype: type,
    paramtypmod: typmod,
    paramcollid: collation,
    location: -1,
  };
}

/** The parameter for a value of an upper level. */
function replaceOuter(root: PlannerInfo, node: Var | Aggref | GroupingFunc, levelsup: number): Param {
  let owner = root;
  for (let up = levelsup; up > 0; up--) {
    if (owner.parent === null) throw ereport(ERRCODE.INTERNAL_ERROR, 'upper-level reference without an upper level');
    owner = owner.parent;
  }
  const item = incrementVarSublevelsUp(node as Node, -levelsup, levelsup) as Var | Aggref | GroupingFunc;
  let known = owner.planParams.find(p => equalNodes(p.item, item));
  if (known === undefined) {
    known = { item, paramId: newExecParam(root) };
    owner.planParams.push(known);
  }
  return makeExecParam(known.paramId, exprType(item), exprTypmod(item), exprCollation(item));
}

/** References to upper levels become parameters (SS_replace_correlation_vars). */
export function replaceCorrelationVars<E extends Expr>(root: PlannerInfo, expr: E): E {
  return mutateExpr(expr as Node, n => {
    if (n.type === 'Var' && n.varlevelsup > 0) return replaceOuter(root, n, n.varlevelsup);
    if ((n.type === 'Aggref' || n.type === 'GroupingFunc') && n.agglevelsup > 0)
      return replaceOuter(root, n, n.agglevelsup);
    return undefined;
  }) as E;
}

/**
 * SubLinks become SubPlans or parameters of InitPlans (SS_process_sublinks). `constants` collects what is to be computed of
 * each of their queries when an execution begins.
 */
export function* processSublinks(
  root: PlannerInfo,
  expr: Expr,
  isQual: boolean,
  constants: Map<Query, readonly PlanConstant[]>,
): Slices<Expr> {
  const found = sublinksOf(expr, isQual);
  if (found.length === 0) return expr;
  // Planned one after the other as they stand in the expression, those in a sublink's test before it.
  const replacements: Expr[] = [];
  for (const { sublink, isTopQual, inTest } of found) {
    const { testexpr } = sublink;
    const test = testexpr === null ? null : replaceSublinks(testexpr, replacements, replacements.length - inTest);
    replacements.push(yield* makeSubplan(root, sublink, test, isTopQual, constants));
  }
  return replaceSublinks(expr, replacements, 0);
}

interface FoundSublink {
  readonly sublink: SubLink;
  readonly isTopQual: boolean;
  /** How many of those found right before it are in its test. */
  readonly inTest: number;
}

function sublinksOf(expr: Expr, isQual: boolean): FoundSublink[] {
  const found: FoundSublink[] = [];
  visitSublinks(expr, isQual, (sublink, isTopQual, visitTest) => {
    const before = found.length;
    visitTest();
    found.push({ sublink, isTopQual, inTest: found.length - before });
    return sublink;
  });
  return found;
}

/** `replacements` from `first` on stand for its sublinks. */
function replaceSublinks(expr: Expr, replacements: readonly Expr[], first: number): Expr {
  let next = first;
  return visitSublinks(expr, false, (_sublink, _isTopQual, visitTest) => {
    visitTest();
    return replacements[next++]!;
  });
}

function visitSublinks(
  expr: Expr,
  isQual: boolean,
  replace: (sublink: SubLink, isTopQual: boolean, visitTest: () => void) => Expr,
): Expr {
  const visit = (n: Node, topQual: boolean): Node => {
    if (n.type === 'SubLink')
      return replace(n, topQual, () => void (n.testexpr === null ? undefined : visit(n.testexpr, false)));
    if (n.type === 'Aggref' && n.agglevelsup > 0) return n;
    if (n.type === 'BoolExpr' && n.boolop !== 'not') return mutateChildren(n, child => visit(child, topQual));
    return mutateChildren(n, child => visit(child, false));
  };
  return visit(expr, isQual) as Expr;
}

function* makeSubplan(
  root: PlannerInfo,
  sublink: SubLink,
  testexpr: Expr | null,
  isTopQual: boolean,
  constants: Map<Query, readonly PlanConstant[]>,
): Slices<Expr> {
  let query: Query = sublink.subselect;
  const kind = sublink.subLinkType;
  if (kind === N.EXISTS_SUBLINK) query = simplifyExistsQuery(query) ?? query;
  const fraction = kind === N.EXISTS_SUBLINK ? 1 : kind === N.ANY_SUBLINK || kind === N.ALL_SUBLINK ? 0.5 : 0;
  const saved = root.planParams;
  root.planParams = [];
  const outside = root.glob.constants;
  root.glob.constants = [];
  const { plan, root: subroot } = yield* root.glob.planSubquery(root, query, false, fraction);
  if (root.glob.constants.length > 0) constants.set(sublink.subselect, root.glob.constants);
  root.glob.constants = outside;
  const params = root.planParams;
  root.planParams = saved;
  const args: Expr[] = [];
  for (const { item } of params) args.push(yield* processSublinks(root, item, false, constants));
  return buildSubplan(root, plan, subroot, params, args, kind, testexpr, isTopQual, sublink.subLinkId);
}

/** References to columns of a SET (...) = (SELECT ...) become the parameters its SubPlan sets. */
export function replaceMultiexprParams(root: PlannerInfo, expr: Expr): Expr {
  if (root.multiexprParams.size === 0) return expr;
  return mutateExpr(expr as Node, n => {
    if (n.type !== 'Param' || n.paramkind !== N.PARAM_MULTIEXPR) return undefined;
    const ids = root.multiexprParams.get(n.paramid >> 16);
    if (ids === undefined) throw ereport(ERRCODE.INTERNAL_ERROR, `unexpected PARAM_MULTIEXPR ID: ${n.paramid}`);
    return makeExecParam(ids[(n.paramid & 0xffff) - 1]!, n.paramtype, n.paramtypmod, n.paramcollid);
  }) as Expr;
}

function buildSubplan(
  root: PlannerInfo,
  plan: Plan,
  subroot: PlannerInfo,
  params: PlannerInfo['planParams'],
  args: readonly Expr[],
  kind: N.SubLinkType,
  testexpr: Expr | null,
  isTopQual: boolean,
  subLinkId: number,
): Expr {
  const first = plan.targetlist.find(tle => !tle.resjunk);
  const node: SubPlan = {
    type: 'SubPlan',
    subLinkType: kind,
    testexpr: null,
    paramIds: [],
    plan_id: 0,
    plan_name: '',
    firstColType: first === undefined ? VOIDOID : exprType(first.expr),
    firstColTypmod: first === undefined ? -1 : exprTypmod(first.expr),
    firstColCollation: first === undefined ? INVALID_OID : exprCollation(first.expr),
    useHashTable: false,
    unknownEqFalse: isTopQual,
    setParam: [],
    parParam: params.map(p => p.paramId),
    args,
    startup_cost: 0,
    per_call_cost: 0,
  };
  const correlated = params.length > 0;
  const register = (finished: Plan, initplan: boolean): void => {
    root.glob.subplans.push({ plan: finished, rtable: subroot.rtable, cte: null });
    node.plan_id = root.glob.subplans.length;
    const label = initplan ? 'InitPlan' : 'SubPlan';
    node.plan_name = `${label} ${node.plan_id}${initplan ? ` (returns ${node.setParam.map(id => `$${id}`).join(',')})` : ''}`;
  };
  if (kind === N.MULTIEXPR_SUBLINK) {
    node.setParam = plan.targetlist.filter(tle => !tle.resjunk).map(() => newExecParam(root));
    root.multiexprParams.set(subLinkId, node.setParam);
    register(plan, !correlated);
    if (correlated) return node;
    root.initPlans.push(node);
    return makeConst(RECORDOID, -1, INVALID_OID, -1, false, null);
  }
  if (!correlated && (kind === N.EXISTS_SUBLINK || kind === N.EXPR_SUBLINK || kind === N.ARRAY_SUBLINK)) {
    const type =
      kind === N.EXISTS_SUBLINK
        ? BOOLOID
        : kind === N.ARRAY_SUBLINK
          ? arrayTypeOf(root, node.firstColType)
          : node.firstColType;
    const param = makeExecParam(
      newExecParam(root),
      type,
      kind === N.EXISTS_SUBLINK ? -1 : node.firstColTypmod,
      kind === N.EXISTS_SUBLINK ? INVALID_OID : node.firstColCollation,
    );
    node.setParam = [param.paramid];
    if (kind === N.ARRAY_SUBLINK) node.firstColType = type;
    register(plan, true);
    node.startup_cost = plan.total_cost;
    root.initPlans.push(node);
    return param;
  }
  if (kind === N.ARRAY_SUBLINK) node.firstColType = arrayTypeOf(root, node.firstColType);
  if (testexpr !== null) {
    const columns = plan.targetlist.filter(tle => !tle.resjunk);
    const ids = columns.map(() => newExecParam(root));
    node.paramIds = ids;
    node.testexpr = mutateExpr(testexpr as Node, n => {
      if (n.type !== 'Param' || n.paramkind !== N.PARAM_SUBLINK) return undefined;
      return makeExecParam(ids[n.paramid - 1]!, n.paramtype, n.paramtypmod, n.paramcollid);
    }) as Expr;
  }
  if (!correlated && kind === N.ROWCOMPARE_SUBLINK) {
    node.setParam = node.paramIds;
    register(plan, true);
    const { testexpr: test } = node;
    node.testexpr = null;
    root.initPlans.push(node);
    return test!;
  }
  let finished = plan;
  if (kind === N.ANY_SUBLINK && !correlated && subplanIsHashable(root, node)) node.useHashTable = true;
  else if (!correlated && plan.type !== 'Material' && plan.type !== 'Sort') finished = materialize(root, plan);
  register(finished, false);
  const rows = kind === N.EXISTS_SUBLINK ? 1 : kind === N.EXPR_SUBLINK ? 1 : plan.plan_rows / 2;
  if (node.useHashTable) {
    node.startup_cost = plan.total_cost + plan.plan_rows * CPU_OPERATOR_COST;
    node.per_call_cost = CPU_OPERATOR_COST;
  } else if (kind === N.EXISTS_SUBLINK)
    node.per_call_cost = plan.startup_cost + (plan.total_cost - plan.startup_cost) / Math.max(1, plan.plan_rows);
  else
    node.per_call_cost =
      kind === N.ANY_SUBLINK || kind === N.ALL_SUBLINK
        ? plan.total_cost / 2 + rows * CPU_OPERATOR_COST
        : plan.total_cost;
  return node;
}

function arrayTypeOf(root: PlannerInfo, element: Oid): Oid {
  const { typarray } = getType(root.env.rows, element);
  // ARRAY(SELECT array) concatenates: the type stays.
  return (typarray as number) === 0 ? element : typarray;
}

function materialize(root: PlannerInfo, plan: Plan): Material {
  return {
    type: 'Material',
    startup_cost: plan.startup_cost,
    total_cost: plan.total_cost + plan.plan_rows * CPU_OPERATOR_COST,
    plan_rows: plan.plan_rows,
    plan_width: plan.plan_width,
    plan_node_id: root.glob.nextNodeId++,
    lefttree: plan,
    righttree: null,
    qual: [],
    initPlan: [],
    allParam: plan.allParam,
    targetlist: plan.targetlist.map((tle, i) => ({ ...tle, expr: outerVar(i + 1, tle.expr) })),
  };
}

function outerVar(resno: number, expr: Expr): Var {
  return {
    type: 'Var',
    varno: -2,
    varattno: resno,
    vartype: exprType(expr),
    vartypmod: exprTypmod(expr),
    varcollid: exprCollation(expr),
    varlevelsup: 0,
    varnosyn: 0,
    varattnosyn: 0,
    location: -1,
  };
}

/** The testexpr is equality of hashable values, and the subquery's result is small enough to keep. */
function subplanIsHashable(root: PlannerInfo, node: SubPlan): boolean {
  return makeAndsImplicit(node.testexpr).every(clause => {
    if (clause.type !== 'OpExpr' || clause.args.length !== 2) return false;
    const right = clause.args[1]!;
    if (right.type !== 'Param' || right.paramkind !== N.PARAM_EXEC || !node.paramIds.includes(right.paramid))
      return false;
    if (!opHashjoinable(root.env.rows, clause.opno) || !opStrict(root.env.rows, clause.opno)) return false;
    if (containSubplans(clause.args[0]!)) return false;
    const op = getOperator(root.env.rows, clause.opno);
    return (op.oprleft as number) === (op.oprright as number);
  });
}

// ---- WITH ------------------------------------------------------------------------------------------

/** Plans the CTEs of a level, or puts them where they are used (SS_process_ctes). */
export function* processCtes(root: PlannerInfo): Slices<void> {
  const inlined = new Map<string, CommonTableExpr>();
  for (const cte of root.parse.cteList) {
    if (cte.ctequery.commandType === N.CMD_SELECT && cte.cterefcount === 0) {
      root.ctePlanIds.push(-1);
      continue;
    }
    if (shouldInline(root, cte)) {
      inlined.set(cte.ctename, cte);
      root.ctePlanIds.push(-1);
      continue;
    }
    const query = inlineCtes(cte.ctequery, inlined, 1);
    const saved = root.planParams;
    root.planParams = [];
    const { plan, root: subroot } = yield* root.glob.planSubquery(root, query, cte.cterecursive, 0);
    if (root.planParams.length > 0) throw ereport(ERRCODE.INTERNAL_ERROR, 'unexpected outer reference in CTE query');
    root.planParams = saved;
    const paramId = newExecParam(root);
    root.glob.subplans.push({ plan, rtable: subroot.rtable, cte });
    const plan_id = root.glob.subplans.length;
    root.ctePlanIds.push(plan_id);
    const node: SubPlan = {
      type: 'SubPlan',
      subLinkType: N.CTE_SUBLINK,
      testexpr: null,
      paramIds: [],
      plan_id,
      plan_name: `CTE ${cte.ctename}`,
      firstColType: VOIDOID,
      firstColTypmod: -1,
      firstColCollation: INVALID_OID,
      useHashTable: false,
      unknownEqFalse: false,
      setParam: [paramId],
      parParam: [],
      args: [],
      startup_cost: plan.total_cost,
      per_call_cost: 0,
    };
    root.initPlans.push(node);
    root.cteInitPlans.push(node);
  }
  // The list stays as it is: planned CTEs are found in it by name.
  const { cteList } = root.parse;
  root.parse = { ...inlineCtes({ ...root.parse, cteList: [] }, inlined, 0), cteList };
  root.rtable = [...root.parse.rtable];
}

function shouldInline(root: PlannerInfo, cte: CommonTableExpr): boolean {
  const query = cte.ctequery;
  if (cte.ctematerialized === N.CTE_MATERIALIZE_ALWAYS || cte.cterecursive || query.commandType !== N.CMD_SELECT)
    return false;
  if (cte.ctematerialized === N.CTE_MATERIALIZE_DEFAULT && cte.cterefcount !== 1) return false;
  if (query.hasModifyingCTE || query.rowMarks.length > 0 || query.hasForUpdate) return false;
  return !queryContainsVolatile(root, query) && !queryHasOuterSelfReference(query);
}

function queryContainsVolatile(root: PlannerInfo, query: Query): boolean {
  return containVolatileFunctions(root.env, query as Node);
}

/** Part of a recursive query: a reference to its working table must stay where it is. */
function queryHasOuterSelfReference(query: Query): boolean {
  return query.rtable.some(rte => rte.rtekind === N.RTE_CTE && rte.self_reference);
}

/**
 * Puts CTEs in the place of references to them. `level`: how far `query` is below the one that has the WITH. What is
 * put in place may refer to earlier ones itself: each is visited where it ends up, once.
 */
function inlineCtes(query: Query, inlined: ReadonlyMap<string, CommonTableExpr>, level: number): Query {
  if (inlined.size === 0) return query;
  const change = (n: Node, at: number): Node => {
    if (n.type === 'RangeTblEntry') {
      const cte = n.rtekind === N.RTE_CTE && n.ctelevelsup === at ? inlined.get(n.ctename!) : undefined;
      if (cte !== undefined) {
        const subquery = copyNode(incrementVarSublevelsUp(cte.ctequery as Node, at, 1) as Query);
        return subqueryEntry(n, change(subquery, at) as Query);
      }
    }
    return mutateChildren(n, child => change(child, n.type === 'Query' && n !== query ? at + 1 : at));
  };
  return change(query, level) as Query;
}

function subqueryEntry(rte: RangeTblEntry, subquery: Query): RangeTblEntry {
  return makeRangeTblEntry({
    rtekind: N.RTE_SUBQUERY,
    subquery,
    alias: rte.alias,
    eref: rte.eref,
    lateral: rte.lateral,
    inFromCl: rte.inFromCl,
    requiredPerms: rte.requiredPerms,
    selectedCols: rte.selectedCols,
  });
}
