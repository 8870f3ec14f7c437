/**
 * Aggregates and window functions: which query level an aggregate belongs to, where they may stand,
 * and that a grouped query uses ungrouped columns only inside aggregates.
 */
import { type Oid, INVALID_OID } from '@pgtroupe/common/ids';
import { assert } from '@pgtroupe/common/assert';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { makeTargetEntry } from '@pgtroupe/nodes/makefuncs';
import { equalNodes, exprLocation, exprType, walkChildren, walkQuery } from '@pgtroupe/nodes/nodefuncs';
import {
  GROUPING_SET_CUBE,
  GROUPING_SET_EMPTY,
  GROUPING_SET_ROLLUP,
  GROUPING_SET_SIMPLE,
  RTE_CTE,
  RTE_JOIN,
  RTE_RELATION,
} from '@pgtroupe/nodes/nodes';
import type { Aggref, Expr, GroupingFunc, TargetEntry, Var, WindowFunc } from '@pgtroupe/nodes/primnodes';
import type { GroupingSet, Node, Query, RangeTblEntry, SortGroupClause } from '@pgtroupe/nodes/parsenodes';
import {
  containWindowFuncs,
  flattenJoinAliasVars,
  locateAggOfLevel,
  locateVarOfLevel,
  locateWindowFunc,
} from '@pgtroupe/nodes/vars';
import { aggregateForbiddenPlace, windowFunctionForbiddenPlace } from './exprkinds.ts';
import { addTargetToSortList, transformDistinctClause, transformSortClause } from './parse_clause.ts';
import { transformExpr } from './grammar.ts';
import type { ParseState } from './parse_node.ts';
import { getRteAttributeName } from './parse_relation.ts';
import { rawEqual } from './rawlocation.ts';

/** Finishes an Aggref: its arguments as target entries, ORDER BY, DISTINCT, its query level. */
export function transformAggregateCall(
  pstate: ParseState,
  agg: Aggref,
  args: readonly Expr[],
  aggorder: readonly RawNode[],
  distinct: boolean,
): void {
  const tlist: TargetEntry[] = [];
  let torder: SortGroupClause[] = [];
  let tdistinct: SortGroupClause[] = [];
  if (agg.aggkind !== 'n') {
    const ndirect = args.length - aggorder.length;
    agg.aggdirectargs = args.slice(0, ndirect);
    args.slice(ndirect).forEach((arg, i) => {
      const tle = makeTargetEntry(arg, i + 1, null, false);
      tlist.push(tle);
      torder = addTargetToSortList(pstate, tle, torder, tlist, aggorder[i] as RawNode);
    });
  } else {
    for (const arg of args) tlist.push(makeTargetEntry(arg, tlist.length + 1, null, false));
    const savedResno = pstate.next_resno;
    pstate.next_resno = tlist.length + 1;
    torder = transformSortClause(pstate, aggorder, tlist, 'ORDER_BY', true);
    if (distinct) {
      tdistinct = transformDistinctClause(pstate, tlist, torder, true);
      for (const clause of tdistinct) {
        if (clause.sortop !== 0) continue;
        const { expr } = tlist.find(tle => tle.ressortgroupref === clause.tleSortGroupRef) as TargetEntry;
        throw pstate.error(
          ERRCODE.UNDEFINED_FUNCTION,
          `could not identify an ordering operator for type ${pstate.typeName(exprType(expr))}`,
          exprLocation(expr),
          { detail: 'Aggregates with DISTINCT must be able to sort their inputs.' },
        );
      }
    }
    pstate.next_resno = savedResno;
  }
  agg.args = tlist;
  agg.aggorder = torder;
  agg.aggdistinct = tdistinct;
  agg.aggargtypes = [
    ...agg.aggdirectargs.map(arg => exprType(arg)),
    ...tlist.filter(tle => !tle.resjunk).map(tle => exprType(tle.expr)),
  ];
  checkAgglevelsAndConstraints(pstate, agg);
}

/** GROUPING(...) */
export function transformGroupingFunc(pstate: ParseState, raw: RawNode): GroupingFunc {
  const rawArgs: readonly RawNode[] = raw.args ?? [];
  const location: number = raw.location ?? 0;
  if (rawArgs.length > 31) {
    throw pstate.error(ERRCODE.TOO_MANY_ARGUMENTS, 'GROUPING must have fewer than 32 arguments', location);
  }
  const result: GroupingFunc = {
    type: 'GroupingFunc',
    args: rawArgs.map(arg => transformExpr(pstate, arg, pstate.expr_kind)),
    refs: [],
    cols: [],
    agglevelsup: 0,
    location,
  };
  checkAgglevelsAndConstraints(pstate, result);
  return result;
}

function checkAgglevelsAndConstraints(pstate: ParseState, expr: Aggref | GroupingFunc): void {
  const isAgg = expr.type === 'Aggref';
  const level = checkAggArguments(
    pstate,
    isAgg ? expr.aggdirectargs : [],
    expr.args,
    isAgg ? expr.aggfilter : null,
    expr.location,
  );
  expr.agglevelsup = level;
  let state = pstate;
  for (let i = 0; i < level; i++) state = state.parent as ParseState;
  state.hasAggs = true;
  const place = aggregateForbiddenPlace(state.expr_kind);
  if (place !== null) {
    const what = isAgg ? 'aggregate functions are' : 'grouping operations are';
    throw pstate.error(ERRCODE.GROUPING_ERROR, `${what} not allowed in ${place}`, expr.location);
  }
}

interface Levels {
  varlevel: number;
  agglevel: number;
  ctelevel: number;
  cte: RangeTblEntry | null;
}

/** The query level an aggregate over these arguments belongs to: the nearest of its variables. */
function checkAggArguments(
  pstate: ParseState,
  directargs: readonly Expr[],
  args: readonly Node[],
  filter: Expr | null,
  location: number,
): number {
  const found: Levels = { varlevel: -1, agglevel: -1, ctelevel: -1, cte: null };
  for (const arg of args) scanAggArguments(pstate, arg, 0, found);
  if (filter) scanAggArguments(pstate, filter, 0, found);
  let level: number;
  if (found.varlevel < 0) level = found.agglevel < 0 ? 0 : found.agglevel;
  else if (found.agglevel < 0) level = found.varlevel;
  else level = Math.min(found.varlevel, found.agglevel);
  const nested = 'aggregate function calls cannot be nested';
  if (level === found.agglevel) {
    let where = locateAggOfLevel(args, level);
    if (where < 0) where = locateAggOfLevel(filter, level);
    throw pstate.error(ERRCODE.GROUPING_ERROR, nested, where);
  }
  const checkCte = (levels: Levels) => {
    if (levels.ctelevel < 0 || levels.ctelevel >= level) return;
    throw pstate.error(ERRCODE.FEATURE_NOT_SUPPORTED, 'outer-level aggregate cannot use a nested CTE', location, {
      detail: `CTE "${levels.cte?.eref.aliasname}" is below the aggregate's semantic level.`,
    });
  };
  checkCte(found);
  if (directargs.length > 0) {
    const direct: Levels = { varlevel: -1, agglevel: -1, ctelevel: -1, cte: null };
    for (const arg of directargs) scanAggArguments(pstate, arg, 0, direct);
    if (direct.varlevel >= 0 && direct.varlevel < level) {
      throw pstate.error(
        ERRCODE.GROUPING_ERROR,
        'outer-level aggregate cannot contain a lower-level variable in its direct arguments',
        locateVarOfLevel(directargs, direct.varlevel),
      );
    }
    if (direct.agglevel >= 0 && direct.agglevel <= level) {
      throw pstate.error(ERRCODE.GROUPING_ERROR, nested, locateAggOfLevel(directargs, direct.agglevel));
    }
    checkCte(direct);
  }
  return level;
}

function lower(current: number, level: number): number {
  return level >= 0 && (current < 0 || current > level) ? level : current;
}

function scanAggArguments(pstate: ParseState, node: Node, sublevels: number, found: Levels): void {
  if (node.type === 'Var') {
    found.varlevel = lower(found.varlevel, node.varlevelsup - sublevels);
    return;
  }
  if (node.type === 'Aggref' || node.type === 'GroupingFunc')
    found.agglevel = lower(found.agglevel, node.agglevelsup - sublevels);
  if (sublevels === 0) {
    if ((node.type === 'FuncExpr' && node.funcretset) || (node.type === 'OpExpr' && node.opretset)) {
      throw pstate.error(
        ERRCODE.FEATURE_NOT_SUPPORTED,
        'aggregate function calls cannot contain set-returning function calls',
        exprLocation(node),
        { hint: 'You might be able to move the set-returning function into a LATERAL FROM item.' },
      );
    }
    if (node.type === 'WindowFunc') {
      throw pstate.error(
        ERRCODE.GROUPING_ERROR,
        'aggregate function calls cannot contain window function calls',
        node.location,
      );
    }
  }
  if (node.type === 'RangeTblEntry' && node.rtekind === RTE_CTE) {
    const level = node.ctelevelsup - sublevels;
    const lowest = lower(found.ctelevel, level);
    if (lowest !== found.ctelevel) {
      found.ctelevel = lowest;
      found.cte = node;
    }
  }
  const inner = node.type === 'Query' ? sublevels + 1 : sublevels;
  walkChildren(node, child => {
    scanAggArguments(pstate, child, inner, found);
    return false;
  });
}

/** Resolves OVER: a named window, or an inline definition shared with an equal one. */
export function transformWindowFuncCall(pstate: ParseState, wfunc: WindowFunc, windef: RawNode): void {
  if (pstate.hasWindowFuncs && containWindowFuncs(wfunc.args)) {
    throw pstate.error(ERRCODE.WINDOWING_ERROR, 'window function calls cannot be nested', locateWindowFunc(wfunc.args));
  }
  const place = windowFunctionForbiddenPlace(pstate.expr_kind);
  if (place !== null) {
    throw pstate.error(ERRCODE.WINDOWING_ERROR, `window functions are not allowed in ${place}`, wfunc.location);
  }
  let index: number;
  if (windef.name) {
    index = pstate.windowdefs.findIndex(def => def.name === windef.name);
    if (index < 0) {
      throw pstate.error(ERRCODE.UNDEFINED_OBJECT, `window "${windef.name}" does not exist`, windef.location ?? 0);
    }
  } else {
    const same = (field: string, def: RawNode) =>
      rawEqual(def[field], windef[field]) || (!def[field] && !windef[field]);
    index = pstate.windowdefs.findIndex(
      def =>
        (def.refname ?? null) === (windef.refname ?? null) &&
        ['partitionClause', 'orderClause', 'frameOptions', 'startOffset', 'endOffset'].every(field => same(field, def)),
    );
    if (index < 0) {
      pstate.windowdefs.push(windef);
      index = pstate.windowdefs.length - 1;
    }
  }
  wfunc.winref = index + 1;
  pstate.hasWindowFuncs = true;
}

/** Checks a query with aggregates, GROUP BY or HAVING for ungrouped columns. */
export function parseCheckAggregates(pstate: ParseState, query: Query): void {
  let common: readonly number[] = [];
  if (query.groupingSets.length > 0) {
    const sets = expandGroupingSets(query.groupingSets, query.groupDistinct, 4096);
    if (sets === null) {
      throw pstate.error(
        ERRCODE.STATEMENT_TOO_COMPLEX,
        'too many grouping sets present (maximum 4096)',
        (query.groupingSets[0] as GroupingSet).location,
      );
    }
    common = (sets[0] as readonly number[]).filter(ref => sets.every(set => set.includes(ref)));
    if (sets.length === 1 && query.groupClause.length > 0) query.groupingSets = [];
  }
  const hasJoinRTEs = pstate.rtable.some(rte => rte.rtekind === RTE_JOIN);
  const hasSelfRef = pstate.rtable.some(rte => rte.rtekind === RTE_CTE && rte.self_reference);
  let groupClauses = query.groupClause.flatMap(clause => {
    const tle = query.targetList.find(t => t.ressortgroupref === clause.tleSortGroupRef);
    return tle ? [tle] : [];
  });
  if (hasJoinRTEs) groupClauses = groupClauses.map(tle => flattenJoinAliasVars(query, tle));
  const commonVars: Var[] = [];
  let haveNonVar = false;
  for (const tle of groupClauses) {
    if (tle.expr.type !== 'Var') haveNonVar = true;
    else if (query.groupingSets.length === 0 || common.includes(tle.ressortgroupref)) commonVars.push(tle.expr);
  }
  const check: UngroupedCheck = {
    pstate,
    query,
    groupClauses,
    commonVars,
    haveNonVar,
    hasJoinRTEs,
    funcGroupedRels: [],
    inDirectArgs: false,
  };
  for (const clause of [...query.targetList, query.havingQual]) {
    if (clause === null) continue;
    finalizeGroupingExprs(check, clause, 0);
    checkUngroupedColumns(check, hasJoinRTEs ? flattenJoinAliasVars(query, clause as Node) : clause, 0);
  }
  if (pstate.hasAggs && hasSelfRef) {
    throw pstate.error(
      ERRCODE.INVALID_RECURSION,
      "aggregate functions are not allowed in a recursive query's recursive term",
      locateAggOfLevel(query, 0),
    );
  }
}

interface UngroupedCheck {
  readonly pstate: ParseState;
  readonly query: Query;
  readonly groupClauses: readonly TargetEntry[];
  readonly commonVars: readonly Var[];
  readonly haveNonVar: boolean;
  readonly hasJoinRTEs: boolean;
  /** Range table entries whose primary key is grouped by: all their columns are. */
  readonly funcGroupedRels: number[];
  inDirectArgs: boolean;
}

function sameVar(a: Var, b: Expr): boolean {
  return b.type === 'Var' && b.varno === a.varno && b.varattno === a.varattno && b.varlevelsup === 0;
}

function checkUngroupedColumns(check: UngroupedCheck, node: Node, sublevels: number): void {
  const { pstate, query, groupClauses } = check;
  if (node.type === 'Const' || node.type === 'Param') return;
  if (node.type === 'Aggref') {
    if (node.agglevelsup === sublevels) {
      check.inDirectArgs = true;
      for (const arg of node.aggdirectargs) checkUngroupedColumns(check, arg, sublevels);
      check.inDirectArgs = false;
      return;
    }
    if (node.agglevelsup > sublevels) return;
  }
  if (node.type === 'GroupingFunc' && node.agglevelsup >= sublevels) return;
  if (check.haveNonVar && sublevels === 0 && groupClauses.some(tle => equalNodes(node, tle.expr))) return;
  if (node.type === 'Var') {
    if (node.varlevelsup !== sublevels) return;
    if ((!check.haveNonVar || sublevels !== 0) && groupClauses.some(tle => sameVar(node, tle.expr))) return;
    if (check.funcGroupedRels.includes(node.varno)) return;
    const rte = pstate.rtable[node.varno - 1] as RangeTblEntry;
    if (rte.rtekind === RTE_RELATION) {
      const constraint = functionalGroupingConstraint(check, rte.relid, node.varno);
      if (constraint !== 0) {
        query.constraintDeps = [...query.constraintDeps, constraint];
        check.funcGroupedRels.push(node.varno);
        return;
      }
    }
    const name = `${rte.eref.aliasname}.${getRteAttributeName(pstate, rte, node.varattno)}`;
    if (sublevels === 0) {
      throw pstate.error(
        ERRCODE.GROUPING_ERROR,
        `column "${name}" must appear in the GROUP BY clause or be used in an aggregate function`,
        node.location,
        check.inDirectArgs
          ? { detail: 'Direct arguments of an ordered-set aggregate must use only grouped columns.' }
          : {},
      );
    }
    throw pstate.error(
      ERRCODE.GROUPING_ERROR,
      `subquery uses ungrouped column "${name}" from outer query`,
      node.location,
    );
  }
  const inner = node.type === 'Query' ? sublevels + 1 : sublevels;
  const visit = (child: Node) => {
    checkUngroupedColumns(check, child, inner);
    return false;
  };
  if (node.type === 'Query') walkQuery(node, visit);
  else walkChildren(node, visit);
}

/** The not-deferrable primary key whose columns are all grouped by, 0 if there is none. */
function functionalGroupingConstraint(check: UngroupedCheck, relid: Oid, varno: number): Oid {
  const grouped = new Set(check.commonVars.filter(v => v.varno === varno && v.varlevelsup === 0).map(v => v.varattno));
  if (grouped.size === 0) return INVALID_OID;
  const primary = check.pstate.catalog.constraints(relid).find(c => c.contype === 'p');
  if (!primary || primary.condeferrable || primary.conkey === null) return INVALID_OID;
  return primary.conkey.every(attnum => grouped.has(attnum)) ? primary.oid : INVALID_OID;
}

/** Fills in which grouping columns GROUPING(...) means. */
function finalizeGroupingExprs(check: UngroupedCheck, node: Node, sublevels: number): void {
  if (node.type === 'Const' || node.type === 'Param') return;
  if (node.type === 'Aggref') {
    if (node.agglevelsup === sublevels) {
      for (const arg of node.aggdirectargs) finalizeGroupingExprs(check, arg, sublevels);
      return;
    }
    if (node.agglevelsup > sublevels) return;
  }
  if (node.type === 'GroupingFunc') {
    if (node.agglevelsup === sublevels) {
      node.refs = node.args.map(arg => {
        const expr = check.hasJoinRTEs ? flattenJoinAliasVars(check.query, arg) : arg;
        const tle =
          expr.type === 'Var'
            ? expr.varlevelsup === sublevels
              ? check.groupClauses.find(t => sameVar(expr, t.expr))
              : undefined
            : check.haveNonVar && sublevels === 0
              ? check.groupClauses.find(t => equalNodes(expr, t.expr))
              : undefined;
        if (!tle) {
          throw check.pstate.error(
            ERRCODE.GROUPING_ERROR,
            'arguments to GROUPING must be grouping expressions of the associated query level',
            exprLocation(expr),
          );
        }
        return tle.ressortgroupref;
      });
    }
    if (node.agglevelsup > sublevels) return;
  }
  const inner = node.type === 'Query' ? sublevels + 1 : sublevels;
  walkChildren(node, child => {
    finalizeGroupingExprs(check, child, inner);
    return false;
  });
}

function expandGroupingSetNode(set: GroupingSet): number[][] {
  const simple = (content: readonly (GroupingSet | number)[]) =>
    content.flatMap(c => (c as GroupingSet).content as number[]);
  switch (set.kind) {
    case GROUPING_SET_EMPTY:
      return [[]];
    case GROUPING_SET_SIMPLE:
      return [set.content as number[]];
    case GROUPING_SET_ROLLUP: {
      const result: number[][] = [];
      for (let size = set.content.length; size > 0; size--) result.push(simple(set.content.slice(0, size)));
      result.push([]);
      return result;
    }
    case GROUPING_SET_CUBE: {
      const result: number[][] = [];
      for (let bits = 0; bits < 1 << set.content.length; bits++) {
        result.push(simple(set.content.filter((_, i) => bits & (1 << i))));
      }
      return result;
    }
    default:
      return set.content.flatMap(c => expandGroupingSetNode(c as GroupingSet));
  }
}

/** The flat list of grouping sets (lists of tleSortGroupRefs) a GROUP BY means; null if over the limit. */
function expandGroupingSets(sets: readonly GroupingSet[], distinct: boolean, limit: number): number[][] | null {
  let product: number[][] = [[]];
  let count = 1;
  for (const set of sets) {
    const expanded = expandGroupingSetNode(set);
    assert(expanded.length > 0, 'a grouping set expands to something');
    count *= expanded.length;
    if (limit >= 0 && count > limit) return null;
    product = product.flatMap(left => expanded.map(right => [...new Set([...left, ...right])]));
  }
  if (!distinct || product.length < 2) return product.sort((a, b) => a.length - b.length);
  for (const set of product) set.sort((a, b) => a - b);
  const compare = (a: number[], b: number[]) => {
    if (a.length !== b.length) return a.length - b.length;
    for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return (a[i] as number) - (b[i] as number);
    return 0;
  };
  product.sort(compare);
  return product.filter((set, i) => i === 0 || compare(set, product[i - 1] as number[]) !== 0);
}
