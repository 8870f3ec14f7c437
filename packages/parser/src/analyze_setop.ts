/**
 * UNION, INTERSECT, EXCEPT: each branch is a subquery of its own; the columns of both sides are brought
 * to common types, which is what the operation's output columns have.
 */
import type { Slices } from '@pgtroupe/common/slices';
import type { Oid } from '@pgtroupe/common/ids';
import { RECORDARRAYOID, RECORDOID, UNKNOWNOID } from '@pgtroupe/common/oids';
import { assert } from '@pgtroupe/common/assert';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { makeQuery, makeTargetEntry, makeVar } from '@pgtroupe/nodes/makefuncs';
import { exprLocation, exprType } from '@pgtroupe/nodes/nodefuncs';
import {
  CMD_SELECT,
  JOIN_INNER,
  LIMIT_OPTION_WITH_TIES,
  SETOP_EXCEPT,
  SETOP_INTERSECT,
  SETOP_UNION,
  type SetOperation,
} from '@pgtroupe/nodes/nodes';
import type { Expr, TargetEntry } from '@pgtroupe/nodes/primnodes';
import type {
  Query,
  RangeTblEntry,
  SetOperationNode,
  SetOperationStmt,
  SortGroupClause,
} from '@pgtroupe/nodes/parsenodes';
import { containVarsOfLevel, locateVarOfLevel } from '@pgtroupe/nodes/vars';
import { parseCheckAggregates } from './parse_agg.ts';
import { limitOption, transformLimitClause, transformSortClause } from './parse_clause.ts';
import { coerceToCommonType, selectCommonType, selectCommonTypmod } from './parse_coerce.ts';
import { assignQueryCollations, selectCommonCollation } from './parse_collate.ts';
import { analyzeCTETargetList, transformWith } from './parse_cte.ts';
import type { ParseNamespaceColumn, ParseState } from './parse_node.ts';
import { getSortGroupOperators } from './parse_oper.ts';
import { addNSItemToQuery, addRangeTableEntryForJoin, addRangeTableEntryForSubquery } from './parse_relation.ts';
import { lockStrengthName } from './locking.ts';
import { makeFromExpr } from './parse_from.ts';
import { parseSubAnalyze } from './grammar.ts';

const OPERATIONS: Readonly<Record<string, readonly [op: SetOperation, name: string]>> = {
  SETOP_UNION: [SETOP_UNION, 'UNION'],
  SETOP_INTERSECT: [SETOP_INTERSECT, 'INTERSECT'],
  SETOP_EXCEPT: [SETOP_EXCEPT, 'EXCEPT'],
};

export function* analyzeSetOperation(pstate: ParseState, raw: RawNode): Slices<Query> {
  const query = makeQuery(CMD_SELECT);
  let leftmostRaw = raw;
  while (leftmostRaw.larg) leftmostRaw = leftmostRaw.larg;
  if (leftmostRaw.intoClause) {
    throw pstate.error(
      ERRCODE.SYNTAX_ERROR,
      'SELECT ... INTO is not allowed here',
      leftmostRaw.intoClause.rel?.location ?? -1,
    );
  }
  if (raw.lockingClause) throw lockingNotAllowed(pstate, raw.lockingClause[0]);
  yield* transformWith(pstate, query, raw);
  // The clauses behind the last branch belong to the whole operation.
  const { sortClause: _s, limitOffset: _o, limitCount: _c, withClause: _w, ...bare } = raw;
  const tree = (yield* transformTree(pstate, bare as RawNode, true)).node as SetOperationStmt;
  query.setOperations = tree;

  let leftmost: SetOperationNode = tree;
  while (leftmost.type === 'SetOperationStmt') leftmost = leftmost.larg;
  const leftmostIndex = leftmost.rtindex;
  const leftmostQuery = (pstate.rtable[leftmostIndex - 1] as RangeTblEntry).subquery as Query;
  const nscolumns: ParseNamespaceColumn[] = [];
  const vars: Expr[] = [];
  const tlist = tree.colTypes.map((type, i) => {
    const source = leftmostQuery.targetList[i] as TargetEntry;
    const typmod = tree.colTypmods[i] as number;
    const collation = tree.colCollations[i] as Oid;
    const variable = makeVar(leftmostIndex, source.resno, type, typmod, collation, 0, exprLocation(source.expr));
    vars.push(variable);
    nscolumns.push({
      varno: leftmostIndex,
      varattno: source.resno,
      vartype: type,
      vartypmod: typmod,
      varcollid: collation,
      varnosyn: leftmostIndex,
      varattnosyn: source.resno,
      dontexpand: false,
    });
    return makeTargetEntry(variable, pstate.next_resno++, source.resname, false);
  });
  query.targetList = tlist;
  query.sortClause = sortByOutput(pstate, raw, tlist, vars, nscolumns);
  query.limitOption = limitOption(raw);
  const withTies = query.limitOption === LIMIT_OPTION_WITH_TIES;
  query.limitOffset = transformLimitClause(pstate, raw.limitOffset, 'OFFSET', withTies);
  query.limitCount = transformLimitClause(pstate, raw.limitCount, 'LIMIT', withTies);
  query.rtable = pstate.rtable;
  query.jointree = makeFromExpr(pstate, null);
  query.hasSubLinks = pstate.hasSubLinks;
  query.hasWindowFuncs = pstate.hasWindowFuncs;
  query.hasTargetSRFs = pstate.hasTargetSRFs;
  query.hasAggs = pstate.hasAggs;
  assignQueryCollations(pstate, query);
  if (pstate.hasAggs) parseCheckAggregates(pstate, query);
  return query;
}

function lockingNotAllowed(pstate: ParseState, locking: RawNode): Error {
  return pstate.error(
    ERRCODE.FEATURE_NOT_SUPPORTED,
    `${lockStrengthName(locking)} is not allowed with UNION/INTERSECT/EXCEPT`,
  );
}

/** ORDER BY sees only the output columns: through a throw-away join entry that offers them as columns. */
function sortByOutput(
  pstate: ParseState,
  raw: RawNode,
  tlist: TargetEntry[],
  vars: readonly Expr[],
  nscolumns: ParseNamespaceColumn[],
): SortGroupClause[] {
  const rtableLength = pstate.rtable.length;
  const nsitem = addRangeTableEntryForJoin(pstate, {
    colnames: tlist.map(tle => tle.resname as string),
    nscolumns,
    jointype: JOIN_INNER,
    nummergedcols: 0,
    aliasvars: vars,
    leftcols: [],
    rightcols: [],
    join_using_alias: null,
    alias: null,
  });
  nsitem.rte.inFromCl = false;
  const saved = pstate.namespace;
  pstate.namespace = [];
  addNSItemToQuery(pstate, nsitem, false, false, true);
  const length = tlist.length;
  const result = transformSortClause(pstate, raw.sortClause ?? [], tlist, 'ORDER_BY', false);
  pstate.namespace = saved;
  pstate.rtable.length = rtableLength;
  if (tlist.length !== length) {
    throw pstate.error(
      ERRCODE.FEATURE_NOT_SUPPORTED,
      'invalid UNION/INTERSECT/EXCEPT ORDER BY clause',
      exprLocation((tlist[length] as TargetEntry).expr),
      {
        detail: 'Only result column names can be used, not expressions or functions.',
        hint: 'Add the expression/function to every SELECT, or move the UNION into a FROM clause.',
      },
    );
  }
  return result;
}

interface Branch {
  readonly node: SetOperationNode;
  /** Output columns; of an inner operation, placeholders with their types. */
  readonly columns: TargetEntry[];
}

/** Along the left side in a loop: that is where thousands of branches are. */
function* transformTree(pstate: ParseState, raw: RawNode, isTop: boolean): Slices<Branch> {
  const recursive = pstate.parent_cte?.cterecursive ?? false;
  const operations: RawNode[] = [];
  let bottom = raw;
  for (; isOperation(pstate, bottom); bottom = bottom.larg) operations.push(bottom);
  let branch = yield* leaf(pstate, bottom);
  for (let n = operations.length - 1; n >= 0; n--) {
    const operation = operations[n]!;
    if (n === 0 && isTop && recursive) determineRecursiveColTypes(pstate, branch);
    const right = yield* transformTree(pstate, operation.rarg, false);
    branch = combine(pstate, operation, branch, right, recursive);
    yield;
  }
  return branch;
}

function isOperation(pstate: ParseState, raw: RawNode): boolean {
  if (raw.intoClause) {
    throw pstate.error(
      ERRCODE.SYNTAX_ERROR,
      'INTO is only allowed on first SELECT of UNION/INTERSECT/EXCEPT',
      raw.intoClause.rel?.location ?? -1,
    );
  }
  if (raw.lockingClause) throw lockingNotAllowed(pstate, raw.lockingClause[0]);
  const ofItsOwn = raw.sortClause || raw.limitOffset || raw.limitCount || raw.withClause;
  return OPERATIONS[raw.op as string] !== undefined && !ofItsOwn;
}

function combine(pstate: ParseState, raw: RawNode, left: Branch, right: Branch, recursive: boolean): Branch {
  const [op, context] = OPERATIONS[raw.op as string]!;
  const all: boolean = raw.all ?? false;
  if (left.columns.length !== right.columns.length) {
    throw pstate.error(
      ERRCODE.SYNTAX_ERROR,
      `each ${context} query must have the same number of columns`,
      exprLocation(right.columns),
    );
  }
  const colTypes: Oid[] = [];
  const colTypmods: number[] = [];
  const colCollations: Oid[] = [];
  const groupClauses: SortGroupClause[] = [];
  const columns: TargetEntry[] = [];
  left.columns.forEach((ltle, i) => {
    const rtle = right.columns[i] as TargetEntry;
    const best = selectCommonType(pstate, [ltle.expr, rtle.expr], context);
    const where = exprLocation(best.which);
    const l = coerceBranchColumn(pstate, ltle, best.type, context);
    const r = coerceBranchColumn(pstate, rtle, best.type, context);
    const typmod = selectCommonTypmod([l, r], best.type);
    const collation = selectCommonCollation(pstate, [l, r], op === SETOP_UNION && all);
    colTypes.push(best.type);
    colTypmods.push(typmod);
    colCollations.push(collation);
    if (op !== SETOP_UNION || !all) {
      groupClauses.push(pstate.withPosition(where, () => makeSortGroupClauseForSetOp(pstate, best.type, recursive)));
    }
    columns.push(
      makeTargetEntry(
        { type: 'SetToDefault', typeId: best.type, typeMod: typmod, collation, location: where },
        0,
        null,
        false,
      ),
    );
  });
  return {
    node: {
      type: 'SetOperationStmt',
      op,
      all,
      larg: left.node,
      rarg: right.node,
      colTypes,
      colTypmods,
      colCollations,
      groupClauses,
    },
    columns,
  };
}

/**
 * Checks that a branch's column can have the common type. Unknown literals are converted in their
 * branch; other conversions are left to the planner, this one only serves to find typmod and errors.
 */
function coerceBranchColumn(pstate: ParseState, tle: TargetEntry, type: Oid, context: string): Expr {
  const { expr } = tle;
  if (exprType(expr) !== UNKNOWNOID) return coerceToCommonType(pstate, expr, type, context);
  if (expr.type === 'Const' || expr.type === 'Param') tle.expr = coerceToCommonType(pstate, expr, type, context);
  return tle.expr;
}

function makeSortGroupClauseForSetOp(pstate: ParseState, type: Oid, requireHash: boolean): SortGroupClause {
  const ops = getSortGroupOperators(pstate, type, false, true, false);
  return {
    type: 'SortGroupClause',
    tleSortGroupRef: 0,
    eqop: ops.eq,
    sortop: ops.lt,
    nulls_first: false,
    hashable: ops.hashable || (requireHash && (type === RECORDOID || type === RECORDARRAYOID)),
  };
}

function* leaf(pstate: ParseState, raw: RawNode): Slices<Branch> {
  const query = yield* parseSubAnalyze(pstate, raw, null, false, false);
  if (pstate.namespace.length > 0 && containVarsOfLevel(query, 1)) {
    throw pstate.error(
      ERRCODE.INVALID_COLUMN_REFERENCE,
      'UNION/INTERSECT/EXCEPT member statement cannot refer to other relations of same query level',
      locateVarOfLevel(query, 1),
    );
  }
  const aliasname = `*SELECT* ${pstate.rtable.length + 1}`;
  const nsitem = addRangeTableEntryForSubquery(pstate, query, { type: 'Alias', aliasname, colnames: [] }, false, false);
  return {
    node: { type: 'RangeTblRef', rtindex: nsitem.rtindex },
    columns: query.targetList.filter(tle => !tle.resjunk),
  };
}

/** The non-recursive term decides the columns of a recursive CTE, before the recursive one is looked at. */
function determineRecursiveColTypes(pstate: ParseState, left: Branch): void {
  let leftmost = left.node;
  while (leftmost.type === 'SetOperationStmt') leftmost = leftmost.larg;
  const names = ((pstate.rtable[leftmost.rtindex - 1] as RangeTblEntry).subquery as Query).targetList;
  assert(pstate.parent_cte !== null, 'only a CTE is recursive');
  analyzeCTETargetList(
    pstate,
    pstate.parent_cte,
    left.columns.map((tle, i) => makeTargetEntry(tle.expr, i + 1, (names[i] as TargetEntry).resname, false)),
  );
}
