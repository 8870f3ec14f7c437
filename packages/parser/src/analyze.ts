/**
 * Parse analysis: a raw statement becomes a Query. Names are looked up through CatalogLookup, which may
 * throw CatalogMiss; analysis changes nothing outside itself and is then simply run again.
 *
 * Entry point: analyze(). Optimizable statements are transformed here; utility statements are passed on as
 * CMD_UTILITY with their raw tree, except that the query inside EXPLAIN, DECLARE CURSOR and
 * CREATE TABLE AS is analyzed and put back in its place.
 */
import { finish, type Slices } from '@pgtroupe/common/slices';
import { type Oid, INVALID_OID } from '@pgtroupe/common/ids';
import { INT4OID, RECORDOID, UNKNOWNOID } from '@pgtroupe/common/oids';
import { assert } from '@pgtroupe/common/assert';
import { notSupported } from '@pgtroupe/common/ereport';
import { checkCursorOptions, checkCursorQuery } from './parse_cursor.ts';
import { transformWhereClause } from './parse_where.ts';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import type { RawNode, RawStmt } from '@pgtroupe/nodes/rawnodes';
import { makeConst, makeQuery, makeTargetEntry, makeVar } from '@pgtroupe/nodes/makefuncs';
import { exprCollation, exprLocation, exprType, exprTypmod, walkChildren } from '@pgtroupe/nodes/nodefuncs';
import {
  ACL_DELETE,
  ACL_INSERT,
  ACL_UPDATE,
  CMD_DELETE,
  CMD_INSERT,
  CMD_SELECT,
  CMD_UPDATE,
  CMD_UTILITY,
  FIRST_LOW_INVALID_HEAP_ATTRIBUTE_NUMBER,
  LIMIT_OPTION_WITH_TIES,
  ONCONFLICT_NOTHING,
  ONCONFLICT_UPDATE,
  OVERRIDING_NOT_SET,
  OVERRIDING_SYSTEM_VALUE,
  OVERRIDING_USER_VALUE,
  RTE_SUBQUERY,
  type OverridingKind,
} from '@pgtroupe/nodes/nodes';
import type { Const, Expr, OnConflictExpr, TargetEntry } from '@pgtroupe/nodes/primnodes';
import type { Node, Query } from '@pgtroupe/nodes/parsenodes';
import { containVarsOfLevel } from '@pgtroupe/nodes/vars';
import type { FunctionCall } from '@pgtroupe/adt/fmgr';
import { analyzeSetOperation } from './analyze_setop.ts';
import { bmsAddMember } from './bitmapset.ts';
import type { CatalogLookup } from './catalog-lookup.ts';
import { createTableAsOf } from './selectinto.ts';
import { lockStrengthName, transformLockingClause } from './locking.ts';
import { parseCheckAggregates } from './parse_agg.ts';
import {
  limitOption,
  transformDistinctClause,
  transformDistinctOnClause,
  transformLimitClause,
  transformOnConflictArbiter,
  transformSortClause,
  transformWindowDefinitions,
} from './parse_clause.ts';
import { coerceToCommonType, selectCommonType, selectCommonTypmod } from './parse_coerce.ts';
import { assignListCollations, assignQueryCollations, selectCommonCollation } from './parse_collate.ts';
import { stmtOf, transformExpr } from './grammar.ts';
import { transformGroupClause, transformPartitionClause } from './parse_groupby.ts';
import {
  type Grammar,
  type LiteralParam,
  type ParamMode,
  type ParseContext,
  type ParseNamespaceItem,
  type ParserNotice,
  ParseState,
} from './parse_node.ts';
import { checkVariableParameters } from './parse_param.ts';
import {
  addNSItemToQuery,
  addRangeTableEntryForRelation,
  addRangeTableEntryForSubquery,
  addRangeTableEntryForValues,
  attnameAttNum,
  expandNSItemAttrs,
  expandNSItemVars,
  getRTEByRangeTablePosn,
  ROW_EXCLUSIVE_LOCK,
} from './parse_relation.ts';
import {
  checkInsertTargets,
  markTargetListOrigins,
  resolveTargetListUnknowns,
  transformAssignedExpr,
  transformExpressionList,
  transformTargetList,
  updateTargetListEntry,
  type InsertColumn,
} from './parse_target.ts';
import { rawLocation } from './rawlocation.ts';
import { makeFromExpr, setTargetTable, transformFromClause } from './parse_from.ts';
import { transformExprRecurse } from './parse_expr.ts';
import { transformExprRecurseInSlices } from './parse_expr_slices.ts';
import { transformWith } from './parse_cte.ts';

export interface AnalyzeInput {
  readonly catalog: CatalogLookup;
  /** Settings and catalog access for the input functions that literals go through. */
  readonly fc: FunctionCall;
  /** The whole query string; error positions count in it. */
  readonly sourceText: string;
  readonly stmt: RawStmt;
  /**
   * `none`: $n is an error. `fixed`: types of $1… are given. `variable`: given types may be 0 (unknown), and
   * more parameters may appear; the result tells what they turned out to be.
   */
  readonly params?:
    | { readonly kind: 'none' }
    | { readonly kind: 'fixed'; readonly types: readonly Oid[] }
    | { readonly kind: 'variable'; readonly types: readonly Oid[] };
  /** First paramid that may stand for a literal; only matters if the raw tree marks any (statement.ts). */
  readonly literalBase?: number;
}

export interface AnalyzeResult {
  readonly query: Query;
  /** Types of $1…; 'variable' ones resolved (705 unknown if nothing decided). */
  readonly paramTypes: readonly Oid[];
  /** Literals of the text that became parameters. */
  readonly literals: readonly LiteralParam[];
  /** Literals that had to stay constants although the raw tree offered them. */
  readonly pinnedLiterals: readonly number[];
  /** NOTICEs for the client. */
  readonly notices: readonly ParserNotice[];
}

const GRAMMAR: Grammar = {
  expr: transformExprRecurse,
  exprInSlices: transformExprRecurseInSlices,
  stmt: transformStmt,
};

/** Analyzes one statement. */
export function analyze(input: AnalyzeInput): AnalyzeResult {
  return finish(analyzeInSlices(input));
}

/** Bit by bit; what catalogs answer must stay the same. */
export function* analyzeInSlices(input: AnalyzeInput): Slices<AnalyzeResult> {
  const given = input.params ?? { kind: 'none' };
  const params: ParamMode = given.kind === 'variable' ? { kind: 'variable', types: given.types.slice() } : given;
  const context: ParseContext = {
    catalog: input.catalog,
    fc: input.fc,
    sourceText: input.sourceText,
    params,
    literals: [],
    literalBase: input.literalBase ?? 1 << 16,
    notices: [],
    grammar: GRAMMAR,
  };
  const pstate = new ParseState(null, context);
  const query = yield* transformOptionalSelectInto(pstate, input.stmt.stmt);
  yield;
  query.stmt_location = input.stmt.stmt_location;
  query.stmt_len = input.stmt.stmt_len;
  checkVariableParameters(pstate, query);
  return {
    query,
    paramTypes: params.kind === 'none' ? [] : params.types,
    literals: context.literals,
    pinnedLiterals: input.literalBase === undefined ? [] : literalsLeft(query),
    notices: context.notices,
  };
}

/** A pstate for analyzing a lone expression (a default, a check); the caller adds what it may refer to. */
export function makeParseState(input: Omit<AnalyzeInput, 'stmt' | 'params' | 'literalBase'>): ParseState {
  return new ParseState(null, {
    ...input,
    params: { kind: 'none' },
    literals: [],
    literalBase: 1 << 16,
    notices: [],
    grammar: GRAMMAR,
  });
}

function literalsLeft(query: Query): number[] {
  const left = new Set<number>();
  const visit = (node: Node): boolean => {
    if (node.type === 'Const' && (node as Const).literal) left.add((node as Const).literal!.index);
    return walkChildren(node, visit);
  };
  visit(query);
  return [...left];
}

/** SELECT ... INTO is CREATE TABLE AS. */
function* transformOptionalSelectInto(pstate: ParseState, raw: RawNode): Slices<Query> {
  return yield* stmtOf(pstate, createTableAsOf(raw) ?? raw);
}

/** Does the statement need analysis (and a snapshot), or is it passed on as it is? */
export function stmtRequiresParseAnalysis(stmt: RawNode): boolean {
  return ANALYZED.has(stmt.type);
}

const ANALYZED: ReadonlySet<string> = new Set([
  'InsertStmt',
  'DeleteStmt',
  'UpdateStmt',
  'MergeStmt',
  'SelectStmt',
  'ReturnStmt',
  'DeclareCursorStmt',
  'ExplainStmt',
  'CreateTableAsStmt',
  'CallStmt',
]);

function* transformStmt(pstate: ParseState, raw: RawNode): Slices<Query> {
  switch (raw.type) {
    case 'InsertStmt':
      return yield* transformInsertStmt(pstate, raw);
    case 'DeleteStmt':
      return yield* transformDeleteStmt(pstate, raw);
    case 'UpdateStmt':
      return yield* transformUpdateStmt(pstate, raw);
    case 'SelectStmt':
      if (raw.valuesLists) return yield* transformValuesClause(pstate, raw);
      return yield* raw.op === 'SETOP_NONE' ? transformSelectStmt(pstate, raw) : analyzeSetOperation(pstate, raw);
    case 'ReturnStmt':
      return transformReturnStmt(pstate, raw);
    case 'DeclareCursorStmt':
      return yield* transformDeclareCursorStmt(pstate, raw);
    case 'ExplainStmt':
      return utility({ ...raw, query: yield* transformOptionalSelectInto(pstate, raw.query) });
    case 'CreateTableAsStmt':
      return utility({ ...raw, query: yield* transformStmt(pstate, raw.query) });
    case 'MergeStmt':
      throw notSupported('MERGE');
    case 'CallStmt':
      throw notSupported('CALL');
    default:
      return utility(raw);
  }
}

function utility(raw: RawNode): Query {
  const query = makeQuery(CMD_UTILITY);
  query.utilityStmt = raw;
  return query;
}

// ---- pieces shared by the statements -------------------------------------------------------------

function* where(pstate: ParseState, raw: RawNode | undefined): Slices<Expr | null> {
  return raw ? yield* transformWhereClause(pstate, raw, 'WHERE', 'WHERE') : null;
}

function finishFlags(pstate: ParseState, query: Query): void {
  query.rtable = pstate.rtable;
  query.hasSubLinks = pstate.hasSubLinks;
  query.hasWindowFuncs = pstate.hasWindowFuncs;
  query.hasTargetSRFs = pstate.hasTargetSRFs;
  query.hasAggs = pstate.hasAggs;
}

// ---- SELECT --------------------------------------------------------------------------------------

function* transformSelectStmt(pstate: ParseState, raw: RawNode): Slices<Query> {
  const query = makeQuery(CMD_SELECT);
  yield* transformWith(pstate, query, raw);
  if (raw.intoClause) {
    throw pstate.error(ERRCODE.SYNTAX_ERROR, 'SELECT ... INTO is not allowed here', raw.intoClause.rel?.location ?? -1);
  }
  pstate.locking_clause = raw.lockingClause ?? [];
  pstate.windowdefs = [...((raw.windowClause as RawNode[] | undefined) ?? [])];
  yield* transformFromClause(pstate, raw.fromClause ?? []);
  const tlist = yield* transformTargetList(pstate, raw.targetList ?? [], 'SELECT_TARGET');
  query.targetList = tlist;
  markTargetListOrigins(pstate, tlist);
  const qual = yield* where(pstate, raw.whereClause);
  if (raw.havingClause) query.havingQual = yield* transformWhereClause(pstate, raw.havingClause, 'HAVING', 'HAVING');
  // ORDER BY before GROUP BY and DISTINCT, which take over its operators.
  query.sortClause = transformSortClause(pstate, raw.sortClause ?? [], tlist, 'ORDER_BY', false);
  const group = transformGroupClause(pstate, raw.groupClause ?? [], tlist, query.sortClause, 'GROUP_BY', false);
  query.groupClause = group.groupClause;
  query.groupingSets = group.groupingSets;
  query.groupDistinct = raw.groupDistinct ?? false;
  const distinct: readonly (RawNode | null)[] | undefined = raw.distinctClause;
  if (distinct) {
    // SELECT DISTINCT without ON arrives as a list of one absent node.
    query.hasDistinctOn = distinct[0] !== null;
    query.distinctClause = query.hasDistinctOn
      ? transformDistinctOnClause(pstate, distinct as RawNode[], tlist, query.sortClause)
      : transformDistinctClause(pstate, tlist, query.sortClause, false);
  }
  query.limitOption = limitOption(raw);
  const withTies = query.limitOption === LIMIT_OPTION_WITH_TIES;
  query.limitOffset = transformLimitClause(pstate, raw.limitOffset, 'OFFSET', withTies);
  query.limitCount = transformLimitClause(pstate, raw.limitCount, 'LIMIT', withTies);
  query.windowClause = transformWindowDefinitions(pstate, pstate.windowdefs, tlist, transformPartitionClause);
  if (pstate.resolve_unknowns) resolveTargetListUnknowns(pstate, tlist);
  query.jointree = makeFromExpr(pstate, qual);
  finishFlags(pstate, query);
  for (const locking of pstate.locking_clause) transformLockingClause(pstate, query, locking, false);
  yield;
  assignQueryCollations(pstate, query);
  yield;
  if (pstate.hasAggs || query.groupClause.length > 0 || query.groupingSets.length > 0 || query.havingQual) {
    parseCheckAggregates(pstate, query);
  }
  return query;
}

/** VALUES (...), (...) as a statement or subquery. */
function* transformValuesClause(pstate: ParseState, raw: RawNode): Slices<Query> {
  const query = makeQuery(CMD_SELECT);
  yield* transformWith(pstate, query, raw);
  const rows = yield* valuesRows(pstate, raw.valuesLists);
  const ncolumns = (rows[0] as Expr[]).length;
  const types: Oid[] = [];
  const typmods: number[] = [];
  const collations: Oid[] = [];
  for (let c = 0; c < ncolumns; c++) {
    const type = selectCommonType(
      pstate,
      rows.map(row => row[c] as Expr),
      'VALUES',
    ).type;
    yield;
    for (const row of rows) {
      row[c] = coerceToCommonType(pstate, row[c] as Expr, type, 'VALUES');
      yield;
    }
    const column = rows.map(row => row[c] as Expr);
    types.push(type);
    typmods.push(selectCommonTypmod(column, type));
    yield;
    collations.push(selectCommonCollation(pstate, column, true));
  }
  const lateral = pstate.rtable.length > 0 && containVarsOfLevel(rows.flat(), 0);
  const nsitem = addRangeTableEntryForValues(pstate, rows, types, typmods, collations, null, lateral, true);
  addNSItemToQuery(pstate, nsitem, true, true, true);
  const tlist = expandNSItemAttrs(pstate, nsitem, 0, true, -1);
  query.targetList = tlist;
  query.sortClause = transformSortClause(pstate, raw.sortClause ?? [], tlist, 'ORDER_BY', false);
  query.limitOption = limitOption(raw);
  const withTies = query.limitOption === LIMIT_OPTION_WITH_TIES;
  query.limitOffset = transformLimitClause(pstate, raw.limitOffset, 'OFFSET', withTies);
  query.limitCount = transformLimitClause(pstate, raw.limitCount, 'LIMIT', withTies);
  if (raw.lockingClause) {
    throw pstate.error(
      ERRCODE.FEATURE_NOT_SUPPORTED,
      `${lockStrengthName(raw.lockingClause[0])} cannot be applied to VALUES`,
    );
  }
  query.rtable = pstate.rtable;
  query.jointree = makeFromExpr(pstate, null);
  query.hasSubLinks = pstate.hasSubLinks;
  assignQueryCollations(pstate, query);
  return query;
}

/** Analyzes the rows of VALUES; all must be of one length. */
function* valuesRows(pstate: ParseState, lists: readonly RawNode[]): Slices<Expr[][]> {
  const rows: Expr[][] = [];
  for (const list of lists) {
    yield;
    const row = transformExpressionList(pstate, list.items ?? [], 'VALUES', false);
    if (rows.length > 0 && row.length !== (rows[0] as Expr[]).length) {
      throw pstate.error(ERRCODE.SYNTAX_ERROR, 'VALUES lists must all be the same length', exprLocation(row));
    }
    rows.push(row);
  }
  return rows;
}

function transformReturnStmt(pstate: ParseState, raw: RawNode): Query {
  const query = makeQuery(CMD_SELECT);
  query.isReturn = true;
  query.targetList = [makeTargetEntry(transformExpr(pstate, raw.returnval, 'SELECT_TARGET'), 1, null, false)];
  if (pstate.resolve_unknowns) resolveTargetListUnknowns(pstate, query.targetList);
  query.jointree = makeFromExpr(pstate, null);
  finishFlags(pstate, query);
  assignQueryCollations(pstate, query);
  return query;
}

// ---- DELETE, UPDATE ------------------------------------------------------------------------------

function* transformReturningList(pstate: ParseState, raw: RawNode): Slices<TargetEntry[]> {
  const clause: RawNode | undefined = raw.returningClause;
  const list: readonly RawNode[] = clause?.exprs ?? raw.returningList ?? [];
  if (clause?.options) throw notSupported('RETURNING WITH');
  if (list.length === 0) return [];
  const saved = pstate.next_resno;
  pstate.next_resno = 1;
  const result = yield* transformTargetList(pstate, list, 'RETURNING');
  if (result.length === 0) {
    throw pstate.error(
      ERRCODE.SYNTAX_ERROR,
      'RETURNING must have at least one column',
      rawLocation(list[0] as RawNode),
    );
  }
  markTargetListOrigins(pstate, result);
  if (pstate.resolve_unknowns) resolveTargetListUnknowns(pstate, result);
  pstate.next_resno = saved;
  return result;
}

/** The target table is visible in FROM/USING only to say that LATERAL may not refer to it. */
function* transformFromBesideTarget(pstate: ParseState, fromClause: readonly RawNode[]): Slices<void> {
  const nsitem = pstate.target_nsitem as ParseNamespaceItem;
  nsitem.lateral_only = true;
  nsitem.lateral_ok = false;
  yield* transformFromClause(pstate, fromClause);
  nsitem.lateral_only = false;
  nsitem.lateral_ok = true;
}

function* transformDeleteStmt(pstate: ParseState, raw: RawNode): Slices<Query> {
  const query = makeQuery(CMD_DELETE);
  yield* transformWith(pstate, query, raw);
  query.resultRelation = setTargetTable(pstate, raw.relation, raw.relation.inh ?? false, true, ACL_DELETE);
  yield* transformFromBesideTarget(pstate, raw.usingClause ?? []);
  const qual = yield* where(pstate, raw.whereClause);
  query.returningList = yield* transformReturningList(pstate, raw);
  query.jointree = makeFromExpr(pstate, qual);
  finishFlags(pstate, query);
  assignQueryCollations(pstate, query);
  if (pstate.hasAggs) parseCheckAggregates(pstate, query);
  return query;
}

function* transformUpdateStmt(pstate: ParseState, raw: RawNode): Slices<Query> {
  const query = makeQuery(CMD_UPDATE);
  yield* transformWith(pstate, query, raw);
  query.resultRelation = setTargetTable(pstate, raw.relation, raw.relation.inh ?? false, true, ACL_UPDATE);
  yield* transformFromBesideTarget(pstate, raw.fromClause ?? []);
  const qual = yield* where(pstate, raw.whereClause);
  query.returningList = yield* transformReturningList(pstate, raw);
  query.targetList = yield* transformUpdateTargetList(pstate, raw.targetList);
  query.rtable = pstate.rtable;
  query.jointree = makeFromExpr(pstate, qual);
  query.hasTargetSRFs = pstate.hasTargetSRFs;
  query.hasSubLinks = pstate.hasSubLinks;
  assignQueryCollations(pstate, query);
  return query;
}

/** SET column = value, ...: entries numbered by the columns they fill. */
function* transformUpdateTargetList(pstate: ParseState, targets: readonly RawNode[]): Slices<TargetEntry[]> {
  const tlist = yield* transformTargetList(pstate, targets, 'UPDATE_SOURCE');
  const relation = pstate.target_relation!;
  // Junk entries get numbers behind all columns.
  pstate.next_resno = Math.max(pstate.next_resno, relation.attrs.length + 1);
  const { rte } = pstate.target_nsitem!;
  let next = 0;
  for (const tle of tlist) {
    if (tle.resjunk) {
      tle.resno = pstate.next_resno++;
      tle.resname = null;
      continue;
    }
    const target = targets[next++] as RawNode;
    const attrno = attnameAttNum(relation, target.name, true);
    const location: number = target.location ?? 0;
    if (attrno === 0) {
      throw pstate.error(
        ERRCODE.UNDEFINED_COLUMN,
        `column "${target.name}" of relation "${relation.rel.relname}" does not exist`,
        location,
      );
    }
    updateTargetListEntry(pstate, tle, target.name, attrno, target.indirection ?? [], location);
    rte.updatedCols = bmsAddMember(rte.updatedCols, attrno - FIRST_LOW_INVALID_HEAP_ATTRIBUTE_NUMBER);
  }
  return tlist;
}

// ---- INSERT --------------------------------------------------------------------------------------

const OVERRIDES: Readonly<Record<string, OverridingKind>> = {
  OVERRIDING_NOT_SET,
  OVERRIDING_USER_VALUE,
  OVERRIDING_SYSTEM_VALUE,
};

function* transformInsertStmt(pstate: ParseState, raw: RawNode): Slices<Query> {
  const query = makeQuery(CMD_INSERT);
  pstate.is_insert = true;
  yield* transformWith(pstate, query, raw);
  query.override = OVERRIDES[raw.override as string] ?? OVERRIDING_NOT_SET;
  const select: RawNode | undefined = raw.selectStmt;
  const isUpdate = raw.onConflictClause?.action === 'ONCONFLICT_UPDATE';
  const isGeneralSelect =
    select !== undefined &&
    (!select.valuesLists ||
      select.sortClause ||
      select.limitOffset ||
      select.limitCount ||
      select.lockingClause ||
      select.withClause);
  // A sub-SELECT cannot see the target table: its state is set up before that is opened.
  const outer = isGeneralSelect ? { rtable: pstate.rtable, namespace: pstate.namespace } : null;
  if (outer) {
    pstate.rtable = [];
    pstate.namespace = [];
  }
  query.resultRelation = setTargetTable(pstate, raw.relation, false, false, ACL_INSERT | (isUpdate ? ACL_UPDATE : 0));
  const listed: readonly RawNode[] = raw.cols ?? [];
  const columns = checkInsertTargets(pstate, listed);
  const row = (exprs: readonly Expr[], strip: boolean) =>
    transformInsertRow(pstate, exprs, listed.length > 0, columns, strip);
  let exprs: Expr[];
  if (select === undefined) exprs = [];
  else if (outer) exprs = row(yield* insertSelect(pstate, select, outer), false);
  else if (select.valuesLists.length > 1) exprs = row(yield* insertValuesLists(pstate, select, row), false);
  else exprs = row(transformExpressionList(pstate, select.valuesLists[0].items ?? [], 'VALUES_SINGLE', true), false);

  const { rte } = pstate.target_nsitem!;
  query.targetList = exprs.map((expr, i) => {
    const column = columns[i] as InsertColumn;
    rte.insertedCols = bmsAddMember(rte.insertedCols, column.attrno - FIRST_LOW_INVALID_HEAP_ATTRIBUTE_NUMBER);
    return makeTargetEntry(expr, column.attrno, column.name, false);
  });
  if (raw.onConflictClause || raw.returningClause || raw.returningList) {
    pstate.namespace = [];
    addNSItemToQuery(pstate, pstate.target_nsitem!, false, true, true);
  }
  if (raw.onConflictClause) query.onConflict = yield* transformOnConflictClause(pstate, raw.onConflictClause);
  query.returningList = yield* transformReturningList(pstate, raw);
  query.rtable = pstate.rtable;
  query.jointree = makeFromExpr(pstate, null);
  query.hasTargetSRFs = pstate.hasTargetSRFs;
  query.hasSubLinks = pstate.hasSubLinks;
  assignQueryCollations(pstate, query);
  return query;
}

/** INSERT ... SELECT: the subquery's columns; unknown literals are taken out so that the target decides. */
function* insertSelect(
  pstate: ParseState,
  select: RawNode,
  outer: { readonly rtable: ParseState['rtable']; readonly namespace: ParseNamespaceItem[] },
): Slices<Expr[]> {
  const sub = new ParseState(pstate, pstate.context);
  sub.rtable = outer.rtable;
  sub.namespace = outer.namespace;
  sub.resolve_unknowns = false;
  const query = yield* stmtOf(sub, select);
  assert(query.commandType === CMD_SELECT, 'INSERT ... SELECT selects');
  const nsitem = addRangeTableEntryForSubquery(
    pstate,
    query,
    { type: 'Alias', aliasname: '*SELECT*', colnames: [] },
    false,
    false,
  );
  addNSItemToQuery(pstate, nsitem, true, false, false);
  return query.targetList
    .filter(tle => !tle.resjunk)
    .map(tle => {
      const { expr } = tle;
      if ((expr.type === 'Const' || expr.type === 'Param') && exprType(expr) === UNKNOWNOID) return expr;
      return makeVar(
        nsitem.rtindex,
        tle.resno,
        exprType(expr),
        exprTypmod(expr),
        exprCollation(expr),
        0,
        exprLocation(expr),
      );
    });
}

/** INSERT with several VALUES rows: a VALUES range table entry, each row already of the columns' types. */
function* insertValuesLists(
  pstate: ParseState,
  select: RawNode,
  insertRow: (exprs: readonly Expr[], strip: boolean) => Expr[],
): Slices<Expr[]> {
  let width = -1;
  const rows: Expr[][] = [];
  for (const list of select.valuesLists as RawNode[]) {
    yield;
    const row = transformExpressionList(pstate, list.items ?? [], 'VALUES', true);
    if (width < 0) width = row.length;
    else if (width !== row.length) {
      throw pstate.error(ERRCODE.SYNTAX_ERROR, 'VALUES lists must all be the same length', exprLocation(row));
    }
    const converted = insertRow(row, true);
    assignListCollations(pstate, converted);
    rows.push(converted);
  }
  const first = rows[0] as Expr[];
  const lateral = pstate.rtable.length !== 1 && containVarsOfLevel(rows.flat(), 0);
  const nsitem = addRangeTableEntryForValues(
    pstate,
    rows,
    first.map(expr => exprType(expr)),
    first.map(expr => exprTypmod(expr)),
    first.map(() => INVALID_OID),
    null,
    lateral,
    true,
  );
  addNSItemToQuery(pstate, nsitem, true, false, false);
  return expandNSItemVars(pstate, nsitem, 0, -1).vars;
}

/** Converts one row of values to the target columns. */
function transformInsertRow(
  pstate: ParseState,
  exprs: readonly Expr[],
  columnsListed: boolean,
  columns: readonly InsertColumn[],
  stripIndirection: boolean,
): Expr[] {
  if (exprs.length > columns.length) {
    throw pstate.error(
      ERRCODE.SYNTAX_ERROR,
      'INSERT has more expressions than target columns',
      exprLocation(exprs[columns.length] as Expr),
    );
  }
  if (columnsListed && exprs.length < columns.length) {
    const isRow = exprs.length === 1 && countRowExprColumns(pstate, exprs[0] as Expr) === columns.length;
    throw pstate.error(
      ERRCODE.SYNTAX_ERROR,
      'INSERT has more target columns than expressions',
      (columns[exprs.length] as InsertColumn).location,
      isRow
        ? {
            hint: 'The insertion source is a row expression containing the same number of columns expected by the INSERT. Did you accidentally use extra parentheses?',
          }
        : {},
    );
  }
  return exprs.map((expr, i) => {
    const { name, attrno, indirection, location } = columns[i] as InsertColumn;
    const result = transformAssignedExpr(pstate, expr, 'INSERT_TARGET', name, attrno, indirection, location);
    return stripIndirection ? stripAssignments(result) : result;
  });
}

/** The bare value under FieldStores and subscript assignments: the outer row puts them on again. */
function stripAssignments(expr: Expr): Expr {
  let inner = expr;
  while (inner.type === 'CoerceToDomain') inner = inner.arg;
  if (inner.type === 'FieldStore') return stripAssignments(inner.newvals[0] as Expr);
  if (inner.type === 'SubscriptingRef' && inner.refassgnexpr) return stripAssignments(inner.refassgnexpr);
  return expr;
}

function countRowExprColumns(pstate: ParseState, expr: Expr): number {
  if (expr.type === 'RowExpr') return expr.args.length;
  if (expr.type === 'Var' && expr.varattno > 0 && expr.vartype === RECORDOID) {
    const rte = getRTEByRangeTablePosn(pstate, expr.varno, expr.varlevelsup);
    if (rte.rtekind === RTE_SUBQUERY) {
      const source = rte.subquery?.targetList.find(tle => tle.resno === expr.varattno)?.expr;
      if (source?.type === 'RowExpr') return source.args.length;
    }
  }
  return -1;
}

function* transformOnConflictClause(pstate: ParseState, clause: RawNode): Slices<OnConflictExpr> {
  const isUpdate = clause.action === 'ONCONFLICT_UPDATE';
  const target = pstate.target_relation!;
  let excluded: ParseNamespaceItem | null = null;
  let exclRelTlist: TargetEntry[] = [];
  if (isUpdate) {
    const alias = { type: 'Alias', aliasname: 'excluded', colnames: [] } as const;
    excluded = addRangeTableEntryForRelation(
      pstate,
      target,
      ROW_EXCLUSIVE_LOCK,
      { ...alias, colnames: [] },
      false,
      false,
    );
    // Not a table to scan: only a name for the row proposed for insertion.
    excluded.rte.relkind = 'c';
    excluded.rte.requiredPerms = 0;
    exclRelTlist = excludedTargetList(pstate, excluded.rtindex);
  }
  const arbiter = transformOnConflictArbiter(pstate, clause);
  let onConflictSet: TargetEntry[] = [];
  let onConflictWhere: Expr | null = null;
  if (excluded) {
    pstate.is_insert = false;
    addNSItemToQuery(pstate, excluded, false, true, true);
    onConflictSet = yield* transformUpdateTargetList(pstate, clause.targetList);
    onConflictWhere = yield* where(pstate, clause.whereClause);
    pstate.namespace.pop();
  }
  return {
    type: 'OnConflictExpr',
    action: isUpdate ? ONCONFLICT_UPDATE : ONCONFLICT_NOTHING,
    arbiterElems: arbiter.elems,
    arbiterWhere: arbiter.where,
    constraint: arbiter.constraint,
    onConflictSet,
    onConflictWhere,
    exclRelIndex: excluded?.rtindex ?? 0,
    exclRelTlist,
  };
}

function excludedTargetList(pstate: ParseState, rtindex: number): TargetEntry[] {
  const { rel, attrs } = pstate.target_relation!;
  const result = attrs.map(attr =>
    attr.attisdropped
      ? makeTargetEntry(makeConst(INT4OID, -1, INVALID_OID, 4, true, null), attr.attnum, null, false)
      : makeTargetEntry(
          makeVar(rtindex, attr.attnum, attr.atttypid, attr.atttypmod, attr.attcollation),
          attr.attnum,
          attr.attname,
          false,
        ),
  );
  result.push(makeTargetEntry(makeVar(rtindex, 0, rel.reltype, -1, INVALID_OID), 0, null, true));
  return result;
}

// ---- utility statements with a query inside ------------------------------------------------------

function* transformDeclareCursorStmt(pstate: ParseState, raw: RawNode): Slices<Query> {
  checkCursorOptions(pstate, raw);
  const query = yield* transformStmt(pstate, raw.query);
  checkCursorQuery(pstate, raw, query);
  return utility({ ...raw, query });
}
