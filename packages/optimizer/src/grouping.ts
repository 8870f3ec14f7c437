/**
 * One query level from its join tree upwards (grouping_planner): scan and join, grouping, window
 * functions, DISTINCT, ORDER BY, row locks, LIMIT, and the change of a table.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import type { Slices } from '@pgtroupe/common/slices';
import { makeTargetEntry } from '@pgtroupe/nodes/makefuncs';
import { equalNodes, expressionReturnsSet, exprCollation } from '@pgtroupe/nodes/nodefuncs';
import * as N from '@pgtroupe/nodes/nodes';
import type { GroupingSet, Node, SortGroupClause, WindowClause } from '@pgtroupe/nodes/parsenodes';
import type { Aggref, Expr, TargetEntry, WindowFunc } from '@pgtroupe/nodes/primnodes';
import { setBaseRelInfo, setBaseRelPathlists } from './allpaths.ts';
import { containSubplans, containVolatileFunctions, makeAndsImplicit } from './clauses.ts';
import { costSort, CPU_OPERATOR_COST, CPU_TUPLE_COST, tlistWidth } from './costsize.ts';
import { estimateNumGroups, groupsLeft } from './selectivity/numgroups.ts';
import { orderQuals } from './qualcost.ts';
import { createPlan, makeSort, onTopOf, planFields } from './createplan.ts';
import { addBaseRels, addVarsToTargetlist, deconstructJointree } from './initsplan.ts';
import { makeRelFromJoinlist } from './joinrels.ts';
import { equalityOpForOrderingOp } from './lsyscache.ts';
import { inferArbiterIndexes } from './arbiter.ts';
import {
  cheapestFractional,
  cheapestPath,
  makePathkeysForSortclauses,
  pathkeysContainedIn,
  tleForSortGroupRef,
} from './pathkeys.ts';
import type { Path, PathKey, PlannerInfo, RelOptInfo } from './pathnodes.ts';
import type {
  Agg,
  AggStrategy,
  Limit,
  LockRows,
  ModifyTable,
  Plan,
  PlanRowMark,
  ProjectSet,
  Result,
  Sort,
  Unique,
  WindowAgg,
} from './plannodes.ts';
import { minMaxPlan } from './planagg.ts';
import { planSetOperations } from './prepunion.ts';
import { preprocessTargetlist } from './preptlist.ts';
import { pullVarClause, RECURSE_AGGREGATES, RECURSE_WINDOWFUNCS, walkExpr } from './var.ts';

/** A plan together with the order it delivers. */
interface Ordered {
  readonly plan: Plan;
  readonly pathkeys: readonly PathKey[];
}

export function* groupingPlanner(root: PlannerInfo): Slices<Plan> {
  const { parse } = root;
  setTupleFraction(root);
  let current: Ordered;
  let rowMarks: readonly PlanRowMark[] = [];
  let updateColnos: readonly number[] = [];
  if (parse.setOperations !== null) {
    const plan = yield* planSetOperations(root);
    root.processedTlist = plan.targetlist.map(tle => tle);
    root.sortPathkeys = [];
    current = { plan, pathkeys: [] };
    if (parse.rowMarks.length > 0)
      throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, 'FOR UPDATE is not allowed with UNION/INTERSECT/EXCEPT');
    if (parse.sortClause.length > 0)
      current = { plan: sortByClauses(root, current.plan, parse.sortClause), pathkeys: [] };
  } else {
    addBaseRels(root, parse.jointree!);
    const prepared = preprocessTargetlist(root);
    ({ rowMarks, updateColnos } = prepared);
    root.processedTlist = prepared.tlist;
    current = yield* planSelect(root, prepared.tlist);
  }
  let { plan } = current;
  if (parse.rowMarks.length > 0) plan = lockRows(root, plan, rowMarks);
  if (parse.limitCount !== null || parse.limitOffset !== null) plan = limit(root, plan);
  if (parse.commandType !== N.CMD_SELECT) plan = modifyTable(root, plan, updateColnos, rowMarks);
  return plan;
}

/** How much of the result will be fetched: by LIMIT, as far as it is known. */
function setTupleFraction(root: PlannerInfo): void {
  const { limitCount, limitOffset } = root.parse;
  const known = (e: Expr | null): number | undefined =>
    e === null ? 0 : e.type === 'Const' ? (e.constisnull ? 0 : Math.max(0, Number(e.constvalue))) : undefined;
  if (limitCount === null) return;
  const count = limitCount.type === 'Const' && limitCount.constisnull ? undefined : known(limitCount);
  const offset = known(limitOffset);
  if (limitCount.type === 'Const' && limitCount.constisnull) return;
  if (count !== undefined && offset !== undefined) {
    root.limitTuples = Math.max(1, count + offset);
    root.tupleFraction = root.tupleFraction > 0 && root.tupleFraction < 1 ? root.tupleFraction : root.limitTuples;
  } else root.tupleFraction = 0.1;
}

// ---- the join tree ------------------------------------------------------------------------------------

function* planSelect(root: PlannerInfo, tlist: TargetEntry[]): Slices<Ordered> {
  const { parse } = root;
  const grouped = parse.hasAggs || parse.groupClause.length > 0 || parse.groupingSets.length > 0 || root.hasHavingQual;
  const quick = grouped ? yield* minMaxPlan(root, tlist) : undefined;
  if (quick !== undefined) return { plan: quick, pathkeys: [] };
  const windows = parse.hasWindowFuncs ? activeWindows(root, tlist) : [];
  const joinTree = yield* planJoinTree(root, tlist, grouped, windows);
  let current: Ordered = joinTree;
  const finalTlist = tlist;
  if (grouped) current = planGrouping(root, joinTree, aboveGroupTlist(root, tlist, windows));
  if (windows.length > 0) current = planWindows(root, current, finalTlist, windows);
  if (parse.hasTargetSRFs) return planTargetSrfs(root, current, finalTlist, grouped || windows.length > 0);
  const postponed = postponedTlist(root, finalTlist, grouped, windows);
  if (!grouped && windows.length === 0)
    current = { ...current, plan: project(root, current.plan, postponed ?? finalTlist) };
  current = distinctAndSort(root, current);
  if (postponed !== undefined) current = { ...current, plan: resultOn(root, current.plan, finalTlist) };
  return current;
}

function distinctAndSort(root: PlannerInfo, input: Ordered): Ordered {
  const { parse } = root;
  let current = input;
  if (parse.distinctClause.length > 0) current = planDistinct(root, current);
  if (parse.sortClause.length > 0 && !pathkeysContainedIn(root.sortPathkeys, current.pathkeys)) {
    current = { plan: sortByClauses(root, current.plan, parse.sortClause), pathkeys: root.sortPathkeys };
  }
  return current;
}

/** The scan and join of the level, with all columns that anything above needs. */
function* planJoinTree(
  root: PlannerInfo,
  tlist: readonly TargetEntry[],
  grouped: boolean,
  windows: readonly WindowClause[],
): Slices<Ordered> {
  const { parse } = root;
  root.neededByTop.push(...tlist.map(tle => tle.expr));
  if (parse.havingQual !== null) root.neededByTop.push(parse.havingQual);
  for (const base of root.rels) if (base !== undefined) addLateralVars(root, base);
  addVarsToTargetlist(root, root.neededByTop);
  if (root.allRelids === 0n) {
    const quals = orderQuals(root, makeAndsImplicit(parse.jointree!.quals));
    const volatile = containVolatileFunctions(root.env, quals);
    const fields = planFields(root, [], { startup: 0, total: CPU_TUPLE_COST, rows: 1, width: 0 });
    const result: Result = {
      ...fields,
      type: 'Result',
      qual: volatile ? quals : [],
      resconstantqual: volatile ? [] : quals,
    };
    computePathkeys(root, tlist, grouped, windows);
    return { plan: result, pathkeys: [] };
  }
  yield* setBaseRelInfo(root);
  const joinlist = yield* deconstructJointree(root, parse.jointree!);
  computePathkeys(root, tlist, grouped, windows);
  yield* setBaseRelPathlists(root);
  const rel = yield* makeRelFromJoinlist(root, joinlist);
  const path = choosePath(root, rel, grouped);
  yield;
  return { plan: yield* createPlan(root, path), pathkeys: path.pathkeys };
}

/** Columns of this level that lateral entries read. */
function addLateralVars(root: PlannerInfo, base: RelOptInfo): void {
  const rte = base.rte!;
  const visit = (node: Node, depth: number): void => {
    walkExpr(node, n => {
      if (n.type === 'Var') {
        if (n.varlevelsup === depth && n.varno !== base.rtindex)
          root.rels[n.varno]?.needed.set(`${n.varattno}`, { ...n, varlevelsup: 0 });
        return false;
      }
      if (n.type === 'Query' && n !== node) {
        visit(n, depth + 1);
        return false;
      }
      return undefined;
    });
  };
  if (rte.rtekind === N.RTE_FUNCTION) for (const f of rte.functions) visit(f.funcexpr, 0);
  if (rte.rtekind === N.RTE_VALUES) for (const row of rte.values_lists) for (const e of row) visit(e, 0);
  if (rte.rtekind === N.RTE_SUBQUERY && rte.lateral) visit(rte.subquery!, 1);
}

function computePathkeys(
  root: PlannerInfo,
  tlist: readonly TargetEntry[],
  grouped: boolean,
  windows: readonly WindowClause[],
): void {
  const { parse } = root;
  const sortable = (clauses: readonly SortGroupClause[]): boolean => clauses.every(c => c.sortop !== 0);
  if (parse.groupClause.length > 0 && parse.groupingSets.length === 0 && sortable(parse.groupClause)) {
    root.groupPathkeys = makePathkeysForSortclauses(root, parse.groupClause, tlist);
  }
  const window = windows[0];
  if (window !== undefined) root.windowPathkeys = makePathkeysForSortclauses(root, windowSortClauses(window), tlist);
  if (parse.distinctClause.length > 0 && sortable(parse.distinctClause))
    root.distinctPathkeys = makePathkeysForSortclauses(root, parse.distinctClause, tlist);
  root.sortPathkeys = makePathkeysForSortclauses(root, parse.sortClause, tlist);
  if (grouped) root.queryPathkeys = root.groupPathkeys;
  else if (window !== undefined) root.queryPathkeys = root.windowPathkeys;
  else if (root.distinctPathkeys.length > root.sortPathkeys.length) root.queryPathkeys = root.distinctPathkeys;
  else root.queryPathkeys = root.sortPathkeys;
}

/** The cheapest path, counting the sort that an unordered one needs. */
function choosePath(root: PlannerInfo, rel: RelOptInfo, grouped: boolean): Path {
  const cheapest = cheapestPath(rel.paths);
  if (cheapest === undefined)
    throw ereport(ERRCODE.INTERNAL_ERROR, 'could not devise a query plan for the given query');
  const { parse } = root;
  const consumesAll = grouped || parse.hasWindowFuncs || parse.distinctClause.length > 0;
  let fraction = 1;
  if (!consumesAll && root.tupleFraction > 0)
    fraction = root.tupleFraction >= 1 ? root.tupleFraction / Math.max(1, rel.rows) : root.tupleFraction;
  if (root.queryPathkeys.length === 0) return cheapestFractional(rel.paths, [], fraction) ?? cheapest;
  const ordered = cheapestFractional(rel.paths, root.queryPathkeys, fraction);
  if (ordered === undefined) return cheapest;
  const sorted = costSort(cheapest.startup, cheapest.total, cheapest.rows, consumesAll ? -1 : root.limitTuples);
  // Grouping can hash instead of sorting.
  const sortedCost =
    grouped && root.parse.groupClause.every(g => g.hashable)
      ? cheapest.total + cheapest.rows * CPU_OPERATOR_COST * 2
      : sorted.startup + (sorted.total - sorted.startup) * Math.min(1, fraction);
  const orderedCost = ordered.startup + (ordered.total - ordered.startup) * Math.min(1, fraction);
  return orderedCost <= sortedCost ? ordered : cheapest;
}

/** Lets a node compute the target list itself if it can, else puts a Result on top. */
function project(root: PlannerInfo, plan: Plan, tlist: readonly TargetEntry[]): Plan {
  switch (plan.type) {
    case 'Material':
    case 'Sort':
    case 'Limit':
    case 'Unique':
    case 'Append':
    case 'RecursiveUnion':
    case 'SetOp':
    case 'LockRows':
      return resultOn(root, plan, tlist);
    default:
      plan.targetlist = tlist;
      if (plan.type === 'Result' && plan.lefttree === null) plan.plan_width = tlistWidth(root, tlist);
      return plan;
  }
}

function resultOn(root: PlannerInfo, plan: Plan, tlist: readonly TargetEntry[]): Plan {
  const result: Result = {
    ...planFields(root, tlist, onTopOf(plan, plan.plan_rows * CPU_OPERATOR_COST)),
    type: 'Result',
    lefttree: plan,
    resconstantqual: [],
  };
  return result;
}

/**
 * With LIMIT above a sort, columns that are costly or differ from call to call are computed for the rows
 * that come out only: then what the sort works on is another list.
 */
function postponedTlist(
  root: PlannerInfo,
  tlist: readonly TargetEntry[],
  grouped: boolean,
  windows: readonly WindowClause[],
): TargetEntry[] | undefined {
  const { parse } = root;
  if (parse.sortClause.length === 0 || grouped || windows.length > 0 || parse.distinctClause.length > 0)
    return undefined;
  const late = (tle: TargetEntry): boolean =>
    tle.ressortgroupref === 0 &&
    (containVolatileFunctions(root.env, tle.expr) || (parse.limitCount !== null && containSubplans(tle.expr)));
  if (!tlist.some(late)) return undefined;
  return inputTlist(
    tlist.filter(tle => !late(tle)),
    tlist.filter(late).map(tle => tle.expr),
    0,
  );
}

/** The given entries and whatever Vars (aggregates, window functions) the expressions need besides. */
function inputTlist(keep: readonly TargetEntry[], exprs: readonly Expr[], flags: number): TargetEntry[] {
  const result = keep.map((tle, i) => ({ ...tle, resno: i + 1 }));
  for (const expr of exprs) {
    for (const needed of pullVarClause(expr, flags)) {
      if (!result.some(tle => equalNodes(tle.expr as Node, needed)))
        result.push(makeTargetEntry(needed, result.length + 1, null, false));
    }
  }
  return result;
}

// ---- grouping -----------------------------------------------------------------------------------------

function isGroupColumn(root: PlannerInfo, tle: TargetEntry): boolean {
  return tle.ressortgroupref !== 0 && root.parse.groupClause.some(g => g.tleSortGroupRef === tle.ressortgroupref);
}

/** What grouping delivers: the final list, or what the window functions above need. */
function aboveGroupTlist(
  root: PlannerInfo,
  tlist: readonly TargetEntry[],
  windows: readonly WindowClause[],
): TargetEntry[] {
  if (root.parse.hasTargetSRFs) return srfInput(root, windows.length > 0 ? windowInput(root, tlist, windows) : tlist);
  return windows.length > 0 ? windowInput(root, tlist, windows) : [...tlist];
}

function planGrouping(root: PlannerInfo, input: Ordered, output: readonly TargetEntry[]): Ordered {
  const { parse } = root;
  const tlist = root.processedTlist;
  const keys = tlist.filter(tle => isGroupColumn(root, tle));
  const rest = tlist.filter(tle => !isGroupColumn(root, tle)).map(tle => tle.expr);
  const having = orderQuals(root, makeAndsImplicit(parse.havingQual));
  if (!parse.hasAggs && parse.groupClause.length === 0 && parse.groupingSets.length === 0) {
    // HAVING and nothing else: one row, or none, whatever the tables hold.
    const result: Result = {
      ...planFields(root, output, { startup: 0, total: CPU_TUPLE_COST, rows: 1, width: tlistWidth(root, output) }),
      type: 'Result',
      resconstantqual: having,
    };
    return { plan: result, pathkeys: [] };
  }
  const wanted = inputTlist(keys, [...rest, ...having], RECURSE_AGGREGATES | RECURSE_WINDOWFUNCS);
  const child = keys.some(k => expressionReturnsSet(k.expr as Node))
    ? projectSets(
        root,
        project(
          root,
          input.plan,
          inputTlist(
            [],
            wanted.map(tle => tle.expr),
            RECURSE_AGGREGATES,
          ),
        ),
        wanted,
      )
    : project(root, input.plan, wanted);
  const aggs = collectAggs([...output.map(tle => tle.expr), ...having]);
  const clauses = parse.groupClause;
  const exprs = keys.map(k => k.expr);
  const groups = clauses.length === 0 ? 1 : estimateNumGroups(root, exprs, child.plan_rows);
  const hashable = clauses.every(g => g.hashable);
  const sortable = clauses.every(g => g.sortop !== 0);
  let strategy: AggStrategy = 'plain';
  let plan = child;
  let pathkeys: readonly PathKey[] = [];
  const sets =
    parse.groupingSets.length > 0
      ? parse.groupingSets[0]!.content.map(s => (s as GroupingSet).content as number[])
      : null;
  if (sets !== null) {
    // All sets at once, each with its own hash table.
    if (!hashable) throw notSupported('GROUPING SETS over a type that cannot be hashed');
    strategy = 'hashed';
  } else if (clauses.length > 0) {
    const presorted = root.groupPathkeys.length > 0 && pathkeysContainedIn(root.groupPathkeys, input.pathkeys);
    // What is gathered in order is gathered for one group at a time.
    const inOrder = aggs.some(agg => agg.aggorder.length > 0 || agg.aggdistinct.length > 0);
    const hashed = hashable && !inOrder && (!sortable || (!presorted && root.env.enabled('hashagg')));
    strategy = hashed ? 'hashed' : 'sorted';
    if (strategy === 'sorted' && !sortable)
      throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, 'could not implement GROUP BY', {
        detail: 'Some of the datatypes only support hashing, while others only support sorting.',
      });
    if (strategy === 'sorted') {
      if (!presorted) plan = sortByClauses(root, plan, clauses);
      pathkeys = root.groupPathkeys;
    }
  }
  const positions = clauses.map(c => tleForSortGroupRef(plan.targetlist, c.tleSortGroupRef).resno);
  const work = CPU_OPERATOR_COST * (aggs.length + clauses.length) * plan.plan_rows;
  const agg: Agg = {
    ...planFields(root, output, {
      startup: strategy === 'sorted' ? plan.startup_cost : plan.total_cost + work,
      total: plan.total_cost + work + groups * CPU_TUPLE_COST,
      rows: groupsLeft(root, groups, having),
      width: plan.plan_width,
    }),
    type: 'Agg',
    lefttree: plan,
    qual: having,
    aggstrategy: strategy,
    grpColIdx: positions,
    grpOperators: clauses.map(c => c.eqop),
    grpCollations: positions.map(p => exprCollation(plan.targetlist[p - 1]!.expr)),
    numGroups: groups,
    grpRefs: clauses.map(c => c.tleSortGroupRef),
    groupingSets:
      sets === null ? null : sets.map(refs => refs.map(ref => clauses.findIndex(c => c.tleSortGroupRef === ref))),
  };
  return { plan: agg, pathkeys };
}

function collectAggs(exprs: readonly Expr[]): Aggref[] {
  const found: Aggref[] = [];
  for (const e of exprs) {
    walkExpr(e as Node, n => {
      if (n.type !== 'Aggref') return undefined;
      found.push(n);
      return false;
    });
  }
  return found;
}

// ---- window functions -----------------------------------------------------------------------------------

function windowSortClauses(w: WindowClause): SortGroupClause[] {
  const clauses = [...w.partitionClause];
  for (const c of w.orderClause) if (!clauses.some(p => p.tleSortGroupRef === c.tleSortGroupRef)) clauses.push(c);
  return clauses;
}

/** Windows that are used, those with most in common next to each other. */
function activeWindows(root: PlannerInfo, tlist: readonly TargetEntry[]): WindowClause[] {
  const used = new Set<number>();
  for (const tle of tlist) {
    walkExpr(tle.expr as Node, n => {
      if (n.type === 'WindowFunc') used.add(n.winref);
      return undefined;
    });
  }
  const key = (w: WindowClause): string =>
    windowSortClauses(w)
      .map(c => `${c.tleSortGroupRef}/${c.sortop}/${c.nulls_first}`)
      .join(' ');
  return root.parse.windowClause
    .filter(w => used.has(w.winref))
    .sort((a, b) => (key(a) < key(b) ? 1 : key(a) > key(b) ? -1 : 0));
}

function windowInput(
  root: PlannerInfo,
  tlist: readonly TargetEntry[],
  windows: readonly WindowClause[],
): TargetEntry[] {
  const refs = new Set<number>();
  for (const w of windows) for (const c of [...w.partitionClause, ...w.orderClause]) refs.add(c.tleSortGroupRef);
  const keep = tlist.filter(
    tle => tle.ressortgroupref !== 0 && (refs.has(tle.ressortgroupref) || isGroupColumn(root, tle)),
  );
  const rest = tlist.filter(tle => !keep.includes(tle)).map(tle => tle.expr);
  const offsets = windows.flatMap(w => [w.startOffset, w.endOffset]).filter(e => e !== null);
  return inputTlist(keep, [...rest, ...offsets], RECURSE_WINDOWFUNCS);
}

function planWindows(
  root: PlannerInfo,
  input: Ordered,
  finalTlist: readonly TargetEntry[],
  windows: readonly WindowClause[],
): Ordered {
  let current: Ordered = input;
  const below = windowInput(root, finalTlist, windows);
  if (
    below.some(
      tle =>
        expressionReturnsSet(tle.expr as Node) &&
        !current.plan.targetlist.some(t => equalNodes(t.expr as Node, tle.expr as Node)),
    )
  ) {
    const base =
      current.plan.type === 'Agg'
        ? current.plan
        : project(
            root,
            current.plan,
            inputTlist(
              [],
              below.map(tle => tle.expr),
              RECURSE_WINDOWFUNCS,
            ),
          );
    current = { plan: projectSets(root, base, below), pathkeys: [] };
  } else if (current.plan.type !== 'Agg') current = { ...current, plan: project(root, current.plan, below) };
  const done: TargetEntry[] = [...below];
  windows.forEach((w, i) => {
    const clauses = windowSortClauses(w);
    const keys = makePathkeysForSortclauses(root, clauses, finalTlist);
    if (clauses.length > 0 && !pathkeysContainedIn(keys, current.pathkeys))
      current = { plan: sortByClauses(root, current.plan, clauses), pathkeys: keys };
    const last = i === windows.length - 1;
    if (!last) {
      for (const f of windowFuncsOf(finalTlist, w.winref)) {
        if (!done.some(tle => equalNodes(tle.expr as Node, f)))
          done.push(makeTargetEntry(f, done.length + 1, null, false));
      }
    }
    const output = last
      ? root.parse.hasTargetSRFs
        ? srfInput(root, finalTlist)
        : finalTlist
      : done.map((tle, n) => ({ ...tle, resno: n + 1 }));
    const child = current.plan;
    const column = (c: SortGroupClause): TargetEntry => tleForSortGroupRef(child.targetlist, c.tleSortGroupRef);
    const node: WindowAgg = {
      ...planFields(root, output, onTopOf(child, child.plan_rows * (CPU_TUPLE_COST + CPU_OPERATOR_COST))),
      type: 'WindowAgg',
      lefttree: child,
      winref: w.winref,
      partColIdx: w.partitionClause.map(c => column(c).resno),
      partOperators: w.partitionClause.map(c => c.eqop),
      partCollations: w.partitionClause.map(c => exprCollation(column(c).expr)),
      ordColIdx: w.orderClause.map(c => column(c).resno),
      ordOperators: w.orderClause.map(c => c.eqop),
      ordCollations: w.orderClause.map(c => exprCollation(column(c).expr)),
      frameOptions: w.frameOptions,
      startOffset: w.startOffset,
      endOffset: w.endOffset,
      startInRangeFunc: w.startInRangeFunc,
      endInRangeFunc: w.endInRangeFunc,
      inRangeColl: w.inRangeColl,
      inRangeAsc: w.inRangeAsc,
      inRangeNullsFirst: w.inRangeNullsFirst,
    };
    current = { plan: node, pathkeys: current.pathkeys };
  });
  return current;
}

function windowFuncsOf(tlist: readonly TargetEntry[], winref: number): WindowFunc[] {
  const found: WindowFunc[] = [];
  for (const tle of tlist) {
    walkExpr(tle.expr as Node, n => {
      if (n.type === 'WindowFunc' && n.winref === winref) found.push(n);
      return undefined;
    });
  }
  return found;
}

// ---- set-returning functions in the target list -----------------------------------------------------------

/** What the expansion needs: entries without a set (or grouped by it), and the inputs of those with one. */
function srfInput(root: PlannerInfo, tlist: readonly TargetEntry[]): TargetEntry[] {
  const keep = tlist.filter(tle => !expressionReturnsSet(tle.expr as Node) || isGroupColumn(root, tle));
  return inputTlist(
    keep,
    tlist.filter(tle => !keep.includes(tle)).map(tle => tle.expr),
    0,
  );
}

/** The set-returning calls of an expression by how deep they nest; what `available` has already is left out. */
function collectSrfs(expr: Expr, available: readonly TargetEntry[], levels: Expr[][]): number {
  if (available.some(tle => equalNodes(tle.expr as Node, expr as Node))) return 0;
  let depth = 0;
  walkExpr(expr as Node, n => {
    if (n === expr) return undefined;
    if (n.type === 'Query') return false;
    depth = Math.max(depth, collectSrfs(n as Expr, available, levels));
    return false;
  });
  const isSet = (expr.type === 'FuncExpr' && expr.funcretset) || (expr.type === 'OpExpr' && expr.opretset);
  if (!isSet) return depth;
  const level = (levels[depth] ??= []);
  if (!level.some(e => equalNodes(e as Node, expr as Node))) level.push(expr);
  return depth + 1;
}

/** A plan for the target list: sets are expanded level by level, innermost first. */
function projectSets(root: PlannerInfo, plan: Plan, tlist: readonly TargetEntry[]): Plan {
  const levels: Expr[][] = [];
  for (const tle of tlist) collectSrfs(tle.expr, plan.targetlist, levels);
  if (levels.length === 0) return resultOn(root, plan, tlist);
  let current = plan;
  const expand = (entries: readonly TargetEntry[]): void => {
    const node: ProjectSet = {
      ...planFields(root, entries, onTopOf(current, 0, current.plan_rows * 10)),
      type: 'ProjectSet',
      lefttree: current,
    };
    current = node;
  };
  const topLevel =
    levels.length === 1 && tlist.every(tle => !expressionReturnsSet(tle.expr as Node) || levels[0]!.includes(tle.expr));
  if (topLevel) {
    expand(tlist);
    return current;
  }
  for (const level of levels) {
    const passed = current.targetlist.map((tle, i) => ({ ...tle, resno: i + 1 }));
    expand([...passed, ...level.map((expr, i) => makeTargetEntry(expr, passed.length + i + 1, null, false))]);
  }
  return resultOn(root, current, tlist);
}

function planTargetSrfs(root: PlannerInfo, input: Ordered, tlist: readonly TargetEntry[], projected: boolean): Ordered {
  const { parse } = root;
  const bySet = (c: SortGroupClause): boolean =>
    expressionReturnsSet(tleForSortGroupRef(tlist, c.tleSortGroupRef).expr as Node);
  let current = projected ? input : { ...input, plan: project(root, input.plan, srfInput(root, tlist)) };
  const expand = (): void => {
    current = { plan: projectSets(root, current.plan, tlist), pathkeys: current.pathkeys };
  };
  // First what has an order, unless that or what is distinct is what the expansion yields.
  const { sortClause, distinctClause } = parse;
  if (sortClause.length === 0 ? distinctClause.length > 0 : [...sortClause, ...distinctClause].some(bySet)) {
    expand();
    return distinctAndSort(root, { ...current, pathkeys: [] });
  }
  current = distinctAndSort(root, current);
  expand();
  return current;
}

// ---- distinct, sort, lock, limit ----------------------------------------------------------------------------

function sortByClauses(root: PlannerInfo, plan: Plan, clauses: readonly SortGroupClause[]): Sort {
  const columns: number[] = [];
  const operators: number[] = [];
  const nullsFirst: boolean[] = [];
  for (const c of clauses) {
    const { resno } = tleForSortGroupRef(plan.targetlist, c.tleSortGroupRef);
    if (columns.includes(resno)) continue;
    columns.push(resno);
    operators.push(c.sortop);
    nullsFirst.push(c.nulls_first);
  }
  return makeSort(root, plan, columns, operators, nullsFirst);
}

function planDistinct(root: PlannerInfo, input: Ordered): Ordered {
  const { parse } = root;
  const clauses = parse.distinctClause;
  const sortable = clauses.every(c => c.sortop !== 0);
  const hashable = clauses.every(c => c.hashable);
  const column = (plan: Plan, c: SortGroupClause): TargetEntry =>
    tleForSortGroupRef(plan.targetlist, c.tleSortGroupRef);
  const groups = estimateNumGroups(
    root,
    clauses.map(c => column(input.plan, c).expr),
    input.plan.plan_rows,
  );
  const presorted =
    sortable && root.distinctPathkeys.length > 0 && pathkeysContainedIn(root.distinctPathkeys, input.pathkeys);
  const ordered = sortable && (parse.sortClause.length > 0 || !root.env.enabled('hashagg'));
  if (!presorted && hashable && !parse.hasDistinctOn && !ordered) {
    const { plan } = input;
    const agg: Agg = {
      ...planFields(root, plan.targetlist, {
        startup: plan.total_cost,
        total: plan.total_cost + groups * CPU_TUPLE_COST + plan.plan_rows * CPU_OPERATOR_COST,
        rows: groups,
        width: plan.plan_width,
      }),
      type: 'Agg',
      lefttree: plan,
      aggstrategy: 'hashed',
      grpColIdx: clauses.map(c => column(plan, c).resno),
      grpOperators: clauses.map(c => c.eqop),
      grpCollations: clauses.map(c => exprCollation(column(plan, c).expr)),
      numGroups: groups,
      grpRefs: [],
      groupingSets: null,
    };
    return { plan: agg, pathkeys: [] };
  }
  if (!sortable)
    throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, 'could not implement DISTINCT', {
      detail: 'Some of the datatypes only support hashing, while others only support sorting.',
    });
  let { plan } = input;
  let { pathkeys } = input;
  // ORDER BY begins with the DISTINCT ON columns: one sort serves both.
  const needed = root.sortPathkeys.length > root.distinctPathkeys.length ? root.sortPathkeys : root.distinctPathkeys;
  const exact =
    parse.sortClause.length > 0 &&
    clauses.every(c => parse.sortClause.some(s => s.tleSortGroupRef === c.tleSortGroupRef)) &&
    parse.sortClause.length >= clauses.length;
  if (!pathkeysContainedIn(needed, pathkeys) || (needed.length === 0 && clauses.length > 0 && pathkeys.length === 0)) {
    const by = exact
      ? parse.sortClause
      : [
          ...parse.sortClause,
          ...clauses.filter(c => !parse.sortClause.some(s => s.tleSortGroupRef === c.tleSortGroupRef)),
        ];
    plan = sortByClauses(root, plan, by);
    pathkeys = needed;
  }
  const unique: Unique = {
    ...planFields(root, plan.targetlist, { ...onTopOf(plan, plan.plan_rows * CPU_OPERATOR_COST), rows: groups }),
    type: 'Unique',
    lefttree: plan,
    uniqColIdx: clauses.map(c => column(plan, c).resno),
    uniqOperators: clauses.map(c => c.eqop),
    uniqCollations: clauses.map(c => exprCollation(column(plan, c).expr)),
  };
  return { plan: unique, pathkeys };
}

function lockRows(root: PlannerInfo, plan: Plan, rowMarks: readonly PlanRowMark[]): LockRows {
  return {
    ...planFields(root, plan.targetlist, onTopOf(plan, plan.plan_rows * CPU_TUPLE_COST)),
    type: 'LockRows',
    lefttree: plan,
    rowMarks,
  };
}

function limit(root: PlannerInfo, plan: Plan): Limit {
  const { parse } = root;
  const withTies = parse.limitOption === N.LIMIT_OPTION_WITH_TIES;
  const ties = withTies ? parse.sortClause.map(c => tleForSortGroupRef(plan.targetlist, c.tleSortGroupRef)) : [];
  const rows = root.limitTuples > 0 ? Math.min(plan.plan_rows, root.limitTuples) : plan.plan_rows;
  const share = plan.plan_rows > 0 ? rows / plan.plan_rows : 1;
  const total = plan.startup_cost + (plan.total_cost - plan.startup_cost) * share;
  return {
    ...planFields(root, plan.targetlist, { startup: plan.startup_cost, total, rows, width: plan.plan_width }),
    type: 'Limit',
    lefttree: plan,
    limitOffset: parse.limitOffset,
    limitCount: parse.limitCount,
    uniqColIdx: ties.map(t => t.resno),
    uniqOperators: withTies ? parse.sortClause.map(c => equalityOpForOrderingOp(root.env.rows, c.sortop)) : [],
    uniqCollations: ties.map(t => exprCollation(t.expr)),
  };
}

function modifyTable(
  root: PlannerInfo,
  plan: Plan,
  updateColnos: readonly number[],
  rowMarks: readonly PlanRowMark[],
): ModifyTable {
  const { parse } = root;
  const onConflict = parse.onConflict;
  const cost = onTopOf(plan, 0);
  return {
    ...planFields(root, parse.returningList, parse.returningList.length === 0 ? { ...cost, rows: 0 } : cost),
    type: 'ModifyTable',
    lefttree: plan,
    operation: parse.commandType,
    canSetTag: parse.canSetTag,
    resultRelation: parse.resultRelation,
    updateColnos,
    returningList: parse.returningList,
    rowMarks,
    withCheckOptions: parse.withCheckOptions.map(w => ({
      relname: w.relname,
      polname: w.polname,
      kind: w.kind,
      qual: w.qual!,
    })),
    onConflictAction: onConflict?.action ?? N.ONCONFLICT_NONE,
    arbiterIndexes: onConflict === null ? [] : inferArbiterIndexes(root, onConflict),
    onConflictSet: onConflict?.onConflictSet ?? [],
    onConflictCols: onConflict?.onConflictSet.filter(t => !t.resjunk).map(t => t.resno) ?? [],
    onConflictWhere: onConflict?.onConflictWhere ?? null,
    exclRelRTI: onConflict?.exclRelIndex ?? 0,
  };
}
