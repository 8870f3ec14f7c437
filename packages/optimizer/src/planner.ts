/**
 * The planner's entry points: `planner` for a statement, `subqueryPlanner` for each query level
 * (optimizer/plan/planner.c). Pure: the same query and catalogs give the same plan; a catalog entry that
 * is not loaded throws CatalogMiss and the whole planning is done again.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { finish, type Slices } from '@pgtroupe/common/slices';
import * as N from '@pgtroupe/nodes/nodes';
import { queryColumns } from '@pgtroupe/nodes/nodefuncs';
import type {
  Node,
  Query,
  RangeTblEntry,
  RangeTblFunction,
  WindowClause,
  WithCheckOption,
} from '@pgtroupe/nodes/parsenodes';
import type { Expr, FromExpr, JoinTreeNode, TargetEntry } from '@pgtroupe/nodes/primnodes';
import {
  canonicalizeQual,
  containAggs,
  containSubplans,
  containVolatileFunctions,
  makeAndsExplicit,
  makeAndsImplicit,
} from './clauses.ts';
import { evalConstExpressions } from './constfold.ts';
import { finalizeParams } from './finalize.ts';
import { groupingPlanner } from './grouping.ts';
import type { PlannedLevel, PlannerEnv, PlannerGlobal, PlannerInfo } from './pathnodes.ts';
import type { PlannedStmt } from './plannodes.ts';
import { JoinTreePreparation, pullUpSubqueries, reduceOuterJoins } from './prepjointree.ts';
import { planConstants, type PlanConstant } from './planconstants.ts';
import { setPlanReferences } from './setrefs.ts';
import { processCtes, processSublinks, replaceCorrelationVars, replaceMultiexprParams } from './subselect.ts';
import { expandGroupingSets } from './groupingsets.ts';
import { flattenJoinAliasVars } from './var.ts';

/** All at once. */
export function planner(env: PlannerEnv, query: Query): PlannedStmt {
  return finish(planInSlices(env, query));
}

/** Bit by bit; what `env` answers must stay the same. */
export function* planInSlices(env: PlannerEnv, query: Query): Slices<PlannedStmt> {
  const glob: PlannerGlobal = {
    env,
    subplans: [],
    paramExecCount: 0,
    relationOids: new Set(),
    finalrtable: [],
    nextNodeId: 0,
    qualCosts: new Map(),
    constants: [],
    joinSelectivities: new Map(),
    valueEstimates: [],
    transientPlan: false,
    planSubquery: (parent, subquery, hasRecursion, tupleFraction) =>
      subqueryPlanner(glob, subquery, parent, hasRecursion, tupleFraction),
  };
  const { plan } = yield* subqueryPlanner(glob, query, null, false, 0);
  yield;
  finalizeParams(plan, glob.subplans);
  for (const rte of glob.finalrtable) if (rte.rtekind === N.RTE_RELATION) glob.relationOids.add(rte.relid);
  return {
    type: 'PlannedStmt',
    commandType: query.commandType,
    hasReturning: query.returningList.length > 0,
    hasModifyingCTE: query.hasModifyingCTE,
    transientPlan: glob.transientPlan,
    canSetTag: query.canSetTag,
    planTree: plan,
    rtable: glob.finalrtable,
    subplans: glob.subplans,
    paramExecCount: glob.paramExecCount,
    relationOids: [...glob.relationOids],
    constants: glob.constants,
    valueEstimates: hasChoice(glob) ? glob.valueEstimates : [],
    resultColumns: query.commandType === N.CMD_SELECT || query.returningList.length > 0 ? queryColumns(query) : [],
  };
}

/** A table without indexes can be read in one way only, whatever is asked of it. */
function hasChoice({ finalrtable, env }: PlannerGlobal): boolean {
  const tables = finalrtable.filter(rte => rte.rtekind === N.RTE_RELATION);
  return tables.length > 1 || tables.some(rte => env.relation(rte.relid).indexes.length > 0);
}

function makeRoot(glob: PlannerGlobal, parse: Query, parent: PlannerInfo | null): PlannerInfo {
  return {
    glob,
    env: glob.env,
    parse,
    queryLevel: parent === null ? 1 : parent.queryLevel + 1,
    parent,
    rtable: [...parse.rtable],
    bitOf: [],
    rels: [],
    baseRels: 0,
    allRelids: 0n,
    nullableRelids: 0n,
    joinInfoList: [],
    eqClasses: [],
    joinScope: { joinInfos: [], eqClasses: [], reach: new Map() },
    joinRels: new Map(),
    planParams: [],
    curOuterParams: [],
    initPlans: [],
    multiexprParams: new Map(),
    ctePlanIds: [],
    cteInitPlans: [],
    wtParamId: -1,
    nonRecursiveRows: 0,
    queryPathkeys: [],
    groupPathkeys: [],
    windowPathkeys: [],
    distinctPathkeys: [],
    sortPathkeys: [],
    processedTlist: [],
    tupleFraction: 0,
    limitTuples: -1,
    hasHavingQual: false,
    neededByTop: [],
  };
}

/** Plans one level; the plan's references are final, its parameters not yet. */
function* subqueryPlanner(
  glob: PlannerGlobal,
  query: Query,
  parent: PlannerInfo | null,
  hasRecursion: boolean,
  tupleFraction: number,
): Slices<PlannedLevel> {
  const root = makeRoot(glob, query, parent);
  root.tupleFraction = tupleFraction;
  if (hasRecursion) root.wtParamId = glob.paramExecCount++;
  if (query.commandType === N.CMD_MERGE)
    throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, 'MERGE is not supported by pgtroupe yet');
  if (root.parse.cteList.length > 0) yield* processCtes(root);
  prepareJointree(root);
  yield;
  yield* preprocessExpressions(root);
  moveHavingToWhere(root);
  yield;
  const plan = yield* groupingPlanner(root);
  yield;
  plan.initPlan = [...plan.initPlan, ...root.initPlans];
  yield* setPlanReferences(root, plan);
  return { plan, root };
}

function prepareJointree(root: PlannerInfo): void {
  let { parse } = root;
  if (parse.jointree === null) parse = { ...parse, jointree: { type: 'FromExpr', fromlist: [], quals: null } };
  if (parse.hasSubLinks) {
    const prep = new JoinTreePreparation(root.env, parse.rtable, true);
    const jointree = prep.pullUpSublinks(parse.jointree!);
    parse = { ...parse, jointree, rtable: prep.rtable };
  }
  parse = pullUpSubqueries(root.env, parse);
  root.parse = parse;
  root.rtable = [...parse.rtable];
}

/** Everything that is computed gets its final form: join aliases resolved, constants folded, subqueries planned. */
function* preprocessExpressions(root: PlannerInfo): Slices<void> {
  const { env, glob } = root;
  const hasJoins = root.parse.rtable.some(rte => rte.rtekind === N.RTE_JOIN);
  const original = root.parse;
  /** A column as it stands, which most outputs are; undefined: there is more to it. */
  const column = (expr: Expr): Expr | undefined => {
    if (expr.type !== 'Var' || expr.varlevelsup > 0) return undefined;
    const own: Expr = hasJoins ? flattenJoinAliasVars(original, expr) : expr;
    return own.type === 'Var' ? own : undefined;
  };
  function* prepare(expr: Expr, isQual: boolean): Slices<Expr> {
    const whole: Expr = hasJoins ? (flattenJoinAliasVars(original, expr as Node) as Expr) : expr;
    let e = evalConstExpressions(env, whole);
    yield;
    if (isQual) e = canonicalizeQual(env, e);
    const sublinks = new Map<Query, readonly PlanConstant[]>();
    if (original.hasSubLinks || containSubplans(e)) e = yield* processSublinks(root, e, isQual, sublinks);
    glob.constants.push(...planConstants(env, whole, sublinks));
    yield;
    return root.parent === null ? e : replaceCorrelationVars(root, e);
  }
  function* optional(expr: Expr | null, isQual = false): Slices<Expr | null> {
    return expr === null ? null : yield* prepare(expr, isQual);
  }
  function* tlist(list: readonly TargetEntry[]): Slices<TargetEntry[]> {
    const prepared: TargetEntry[] = [];
    for (const tle of list) prepared.push({ ...tle, expr: column(tle.expr) ?? (yield* prepare(tle.expr, false)) });
    if (root.multiexprParams.size === 0) return prepared;
    return prepared.map(tle => ({ ...tle, expr: replaceMultiexprParams(root, tle.expr) }));
  }
  function* tree(node: JoinTreeNode): Slices<JoinTreeNode> {
    if (node.type === 'RangeTblRef') return node;
    if (node.type === 'FromExpr') {
      const fromlist: JoinTreeNode[] = [];
      for (const item of node.fromlist) fromlist.push(yield* tree(item));
      return { ...node, fromlist, quals: yield* optional(node.quals, true) };
    }
    const larg = yield* tree(node.larg);
    const rarg = yield* tree(node.rarg);
    return { ...node, larg, rarg, quals: yield* optional(node.quals, true) };
  }
  // In PostgreSQL's order: of several errors the first is told.
  const targetList = yield* tlist(original.targetList);
  const withCheckOptions: WithCheckOption[] = [];
  for (const w of original.withCheckOptions) withCheckOptions.push({ ...w, qual: yield* optional(w.qual, true) });
  const returningList = yield* tlist(original.returningList);
  const jointree = (yield* tree(original.jointree!)) as FromExpr;
  const havingQual = yield* optional(original.havingQual, true);
  const windowClause: WindowClause[] = [];
  for (const w of original.windowClause) {
    const startOffset = yield* optional(w.startOffset);
    windowClause.push({ ...w, startOffset, endOffset: yield* optional(w.endOffset) });
  }
  const limitOffset = yield* optional(original.limitOffset);
  const limitCount = yield* optional(original.limitCount);
  const onConflict =
    original.onConflict === null
      ? null
      : {
          ...original.onConflict,
          arbiterElems: original.onConflict.arbiterElems.map(e => ({ ...e, expr: evalConstExpressions(env, e.expr) })),
          arbiterWhere:
            original.onConflict.arbiterWhere === null
              ? null
              : evalConstExpressions(env, original.onConflict.arbiterWhere),
          onConflictSet: yield* tlist(original.onConflict.onConflictSet),
          onConflictWhere: yield* optional(original.onConflict.onConflictWhere, true),
          exclRelTlist: original.onConflict.exclRelTlist,
        };
  const used = usedRtes(jointree);
  const rtable: RangeTblEntry[] = [];
  for (const [i, rte] of original.rtable.entries())
    rtable.push(used.has(i + 1) ? yield* preprocessRte(rte, prepare, hasJoins ? original : null) : rte);
  root.rtable = rtable;
  root.parse = {
    ...original,
    rtable,
    jointree: reduceOuterJoins(env, jointree),
    targetList,
    returningList,
    havingQual,
    limitCount,
    limitOffset,
    windowClause,
    withCheckOptions,
    onConflict,
  };
  if (root.parse.groupingSets.length > 0) root.parse = expandGroupingSets(root.parse);
}

function usedRtes(jointree: FromExpr): Set<number> {
  const used = new Set<number>();
  const visit = (node: JoinTreeNode): void => {
    if (node.type === 'RangeTblRef') used.add(node.rtindex);
    else if (node.type === 'FromExpr') node.fromlist.forEach(visit);
    else {
      visit(node.larg);
      visit(node.rarg);
    }
  };
  visit(jointree);
  return used;
}

function* preprocessRte(
  rte: RangeTblEntry,
  prepare: (e: Expr, isQual: boolean) => Slices<Expr>,
  joins: Query | null,
): Slices<RangeTblEntry> {
  switch (rte.rtekind) {
    case N.RTE_FUNCTION: {
      const functions: RangeTblFunction[] = [];
      for (const f of rte.functions) functions.push({ ...f, funcexpr: yield* prepare(f.funcexpr, false) });
      return { ...rte, functions };
    }
    case N.RTE_VALUES: {
      const values_lists: Expr[][] = [];
      for (const row of rte.values_lists) {
        const prepared: Expr[] = [];
        for (const e of row) prepared.push(yield* prepare(e, false));
        values_lists.push(prepared);
      }
      return { ...rte, values_lists };
    }
    case N.RTE_SUBQUERY:
      // References to this level's joins inside a LATERAL subquery.
      if (joins === null || !rte.lateral || rte.subquery === null) return rte;
      return { ...rte, subquery: flattenJoinAliasVars(joins, rte.subquery) };
    default:
      return rte;
  }
}

/** Conditions of HAVING that mention no aggregate filter rows before grouping. */
function moveHavingToWhere(root: PlannerInfo): void {
  const { parse } = root;
  root.hasHavingQual = parse.havingQual !== null;
  if (parse.havingQual === null) return;
  const having: Expr[] = [];
  const where: Expr[] = [];
  for (const clause of makeAndsImplicit(parse.havingQual)) {
    const ofGroups =
      containAggs(clause) ||
      containVolatileFunctions(root.env, clause) ||
      containSubplans(clause) ||
      (parse.groupingSets.length > 0 && parse.groupClause.length > 0);
    if (!ofGroups) where.push(clause);
    // The one group there is without GROUP BY needs no rows: what says that it is not wanted spares reading them.
    if (ofGroups || parse.groupClause.length === 0) having.push(clause);
  }
  root.parse = {
    ...parse,
    havingQual: makeAndsExplicit(having),
    jointree: { ...parse.jointree!, quals: makeAndsExplicit([...makeAndsImplicit(parse.jointree!.quals), ...where]) },
  };
}
