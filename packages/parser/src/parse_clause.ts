/**
 * The clauses of a query: FROM with its joins, WHERE, LIMIT, GROUP BY, ORDER BY, DISTINCT, WINDOW,
 * ON CONFLICT's arbiter.
 */
import { FIRST_NORMAL_OBJECT_ID } from '@pgtroupe/common/ids';
import {
  BTREE_AM_OID,
  FLOAT4OID,
  FLOAT8OID,
  INT8OID,
  INTERNALOID,
  TEXTOID,
  TSM_HANDLEROID,
  UNKNOWNOID,
} from '@pgtroupe/common/oids';
import { notSupported } from '@pgtroupe/common/ereport';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { equalNodes, exprCollation, exprLocation, exprType } from '@pgtroupe/nodes/nodefuncs';
import {
  ACL_SELECT,
  BTREE_STRATEGY_EQUAL,
  BTREE_STRATEGY_GREATER,
  BTREE_STRATEGY_LESS,
  CMD_SELECT,
  COERCE_IMPLICIT_CAST,
  COERCION_IMPLICIT,
  FIRST_LOW_INVALID_HEAP_ATTRIBUTE_NUMBER,
  FRAMEOPTION_DEFAULTS,
  FRAMEOPTION_END_OFFSET_FOLLOWING,
  FRAMEOPTION_END_OFFSET_PRECEDING,
  FRAMEOPTION_GROUPS,
  FRAMEOPTION_RANGE,
  FRAMEOPTION_ROWS,
  FRAMEOPTION_START_OFFSET_FOLLOWING,
  FRAMEOPTION_START_OFFSET_PRECEDING,
  RTE_RELATION,
} from '@pgtroupe/nodes/nodes';
import type { Expr, InferenceElem, JoinTreeNode, TargetEntry } from '@pgtroupe/nodes/primnodes';
import type { SortGroupClause, TableSampleClause, WindowClause } from '@pgtroupe/nodes/parsenodes';
import {
  containAggsOfLevel,
  containVarsOfLevel,
  containWindowFuncs,
  locateAggOfLevel,
  locateVarOfLevel,
  locateWindowFunc,
  stripImplicitCoercions,
} from '@pgtroupe/nodes/vars';
import { parseSubAnalyze } from './analyze.ts';
import { bmsAddMember } from './bitmapset.ts';
import { parseExprKindName } from './exprkinds.ts';
import { figureColname } from './figurecolname.ts';
import { assignExprCollations, assignListCollations } from './parse_collate.ts';
import { canCoerce, coerceToBoolean, coerceToSpecificType, coerceType } from './parse_coerce.ts';
import { transformExpr } from './parse_expr.ts';
import { funcnameGetCandidates } from './parse_func.ts';
import { transformJoin } from './parse_join.ts';
import {
  nameListToString,
  rawStrings,
  type ParseExprKind,
  type ParseNamespaceItem,
  type ParseState,
} from './parse_node.ts';
import { compatibleOper, getSortGroupOperators } from './parse_oper.ts';
import {
  addNSItemToQuery,
  addRangeTableEntry,
  addRangeTableEntryForCTE,
  addRangeTableEntryForFunction,
  addRangeTableEntryForRelation,
  addRangeTableEntryForSubquery,
  checkNameSpaceConflicts,
  colNameToVar,
  isLockedRefname,
  makeAlias,
  parserOpenTable,
  ROW_EXCLUSIVE_LOCK,
  scanNameSpaceForCTE,
  type FromFunction,
} from './parse_relation.ts';
import { transformTargetEntry } from './parse_target.ts';
import { deconstructQualifiedName, lookupCollation } from './parse_type.ts';
import { rawLocation } from './rawlocation.ts';

/** A FROM item analyzed: its place in the join tree and the names it offers. */
export interface FromItem {
  readonly node: JoinTreeNode;
  readonly top: ParseNamespaceItem;
  readonly namespace: ParseNamespaceItem[];
}

export function transformFromClause(pstate: ParseState, fromList: readonly RawNode[]): void {
  for (const raw of fromList) {
    const item = transformFromClauseItem(pstate, raw);
    checkNameSpaceConflicts(pstate, pstate.namespace, item.namespace);
    // Later items see this one only through LATERAL, until the whole FROM is done.
    setNamespaceLateralState(item.namespace, true, true);
    pstate.joinlist.push(item.node);
    pstate.namespace = [...pstate.namespace, ...item.namespace];
  }
  setNamespaceLateralState(pstate.namespace, false, true);
}

export function setNamespaceLateralState(
  namespace: readonly ParseNamespaceItem[],
  lateralOnly: boolean,
  lateralOk: boolean,
): void {
  for (const nsitem of namespace) {
    nsitem.lateral_only = lateralOnly;
    nsitem.lateral_ok = lateralOk;
  }
}

/** Opens the table an INSERT, UPDATE or DELETE writes; returns its range table index. */
export function setTargetTable(
  pstate: ParseState,
  relation: RawNode,
  inh: boolean,
  alsoSource: boolean,
  requiredPerms: number,
): number {
  pstate.target_relation = parserOpenTable(pstate, relation);
  const nsitem = addRangeTableEntryForRelation(
    pstate,
    pstate.target_relation,
    ROW_EXCLUSIVE_LOCK,
    makeAlias(relation.alias),
    inh,
    false,
  );
  pstate.target_nsitem = nsitem;
  nsitem.rte.requiredPerms = requiredPerms;
  if (alsoSource) addNSItemToQuery(pstate, nsitem, true, true, true);
  return nsitem.rtindex;
}

export function transformFromClauseItem(pstate: ParseState, raw: RawNode): FromItem {
  const leaf = (nsitem: ParseNamespaceItem): FromItem => ({
    node: { type: 'RangeTblRef', rtindex: nsitem.rtindex },
    top: nsitem,
    namespace: [nsitem],
  });
  switch (raw.type) {
    case 'RangeVar': {
      const found = raw.schemaname ? null : scanNameSpaceForCTE(pstate, raw.relname);
      if (found) return leaf(addRangeTableEntryForCTE(pstate, found.cte, found.levelsup, raw, true));
      return leaf(addRangeTableEntry(pstate, raw, makeAlias(raw.alias), raw.inh ?? false, true));
    }
    case 'RangeSubselect':
      return leaf(transformRangeSubselect(pstate, raw));
    case 'RangeFunction':
      return leaf(transformRangeFunction(pstate, raw));
    case 'RangeTableSample': {
      const item = transformFromClauseItem(pstate, raw.relation);
      const { rte } = item.top;
      if (rte.rtekind !== RTE_RELATION || !['r', 'm', 'p'].includes(rte.relkind)) {
        throw pstate.error(
          ERRCODE.FEATURE_NOT_SUPPORTED,
          'TABLESAMPLE clause can only be applied to tables and materialized views',
          rawLocation(raw.relation),
        );
      }
      rte.tablesample = transformRangeTableSample(pstate, raw);
      return item;
    }
    case 'JoinExpr':
      return transformJoin(pstate, raw);
    case 'RangeTableFunc':
      throw notSupported('XMLTABLE');
    default:
      throw notSupported(`FROM item ${raw.type}`);
  }
}

function transformRangeSubselect(pstate: ParseState, raw: RawNode): ParseNamespaceItem {
  if (!raw.alias) {
    // PostgreSQL 15's grammar insists on an alias; ours is newer and does not.
    const isValues = raw.subquery.valuesLists !== undefined;
    const what = isValues ? 'VALUES' : 'subquery';
    throw pstate.error(
      ERRCODE.SYNTAX_ERROR,
      `${what} in FROM must have an alias`,
      subqueryParenthesis(pstate, raw.subquery),
      {
        hint: `For example, FROM (${isValues ? 'VALUES ...' : 'SELECT ...'}) [AS] foo.`,
      },
    );
  }
  pstate.expr_kind = 'FROM_SUBSELECT';
  pstate.lateral_active = raw.lateral ?? false;
  const query = parseSubAnalyze(pstate, raw.subquery, null, isLockedRefname(pstate, raw.alias.aliasname), true);
  pstate.lateral_active = false;
  pstate.expr_kind = 'NONE';
  if (query.commandType !== CMD_SELECT)
    throw pstate.error(ERRCODE.INTERNAL_ERROR, 'unexpected non-SELECT command in subquery in FROM');
  return addRangeTableEntryForSubquery(pstate, query, makeAlias(raw.alias), raw.lateral ?? false, true);
}

/** Where the subquery's opening parenthesis is: before the first thing in it that has a place. */
function subqueryParenthesis(pstate: ParseState, select: RawNode): number {
  let leftmost = select;
  while (leftmost.larg) leftmost = leftmost.larg;
  const inside = rawLocation(leftmost.targetList ?? leftmost.valuesLists?.[0]);
  if (inside < 0) return -1;
  const before = Buffer.from(pstate.context.sourceText).subarray(0, inside).toString();
  return Buffer.byteLength(
    before.slice(0, before.lastIndexOf('(', before.toLowerCase().search(/(select|values)[^()]*\(?$/))),
  );
}

const TOP_OF_FROM = 'set-returning functions must appear at top level of FROM';

function transformRangeFunction(pstate: ParseState, raw: RawNode): ParseNamespaceItem {
  const funcs: FromFunction[] = [];
  pstate.lateral_active = true;
  const add = (call: RawNode, coldeflist: readonly RawNode[]) => {
    const lastSrf = pstate.last_srf;
    const expr = transformExpr(pstate, call, 'FROM_FUNCTION');
    if (pstate.last_srf !== lastSrf && pstate.last_srf !== expr) {
      throw pstate.error(ERRCODE.FEATURE_NOT_SUPPORTED, TOP_OF_FROM, exprLocation(pstate.last_srf));
    }
    funcs.push({ expr, name: figureColname(call), coldeflist });
  };
  const outerList: readonly RawNode[] = raw.coldeflist ?? [];
  for (const pair of raw.functions as RawNode[]) {
    const [call, columns] = pair.items as [RawNode, RawNode | null];
    const coldeflist: readonly RawNode[] = columns?.items ?? [];
    if (isMultiArgUnnest(call) && coldeflist.length === 0) {
      // unnest(a, b) is ROWS FROM (unnest(a), unnest(b)).
      for (const arg of call.args as RawNode[]) {
        add(
          {
            type: 'FuncCall',
            funcname: [
              { type: 'String', sval: 'pg_catalog' },
              { type: 'String', sval: 'unnest' },
            ],
            args: [arg],
            funcformat: 'COERCE_EXPLICIT_CALL',
            location: call.location ?? 0,
          },
          [],
        );
      }
      continue;
    }
    add(call, coldeflist);
    if (coldeflist.length > 0 && outerList.length > 0) {
      throw pstate.error(
        ERRCODE.SYNTAX_ERROR,
        'multiple column definition lists are not allowed for the same function',
        rawLocation(outerList),
      );
    }
  }
  pstate.lateral_active = false;
  assignListCollations(
    pstate,
    funcs.map(f => f.expr),
  );
  let described = funcs;
  if (outerList.length > 0) {
    const where = rawLocation(outerList);
    if (funcs.length !== 1) {
      throw raw.is_rowsfrom
        ? pstate.error(
            ERRCODE.SYNTAX_ERROR,
            'ROWS FROM() with multiple functions cannot have a column definition list',
            where,
            {
              hint: 'Put a separate column definition list for each function inside ROWS FROM().',
            },
          )
        : pstate.error(
            ERRCODE.SYNTAX_ERROR,
            'UNNEST() with multiple arguments cannot have a column definition list',
            where,
            {
              hint: 'Use separate UNNEST() calls inside ROWS FROM(), and attach a column definition list to each one.',
            },
          );
    }
    if (raw.ordinality) {
      throw pstate.error(ERRCODE.SYNTAX_ERROR, 'WITH ORDINALITY cannot be used with a column definition list', where, {
        hint: 'Put the column definition list inside ROWS FROM().',
      });
    }
    described = [{ ...(funcs[0] as FromFunction), coldeflist: outerList }];
  }
  const lateral =
    (raw.lateral ?? false) ||
    containVarsOfLevel(
      funcs.map(f => f.expr),
      0,
    );
  return addRangeTableEntryForFunction(pstate, described, makeAlias(raw.alias), raw.ordinality ?? false, lateral, true);
}

function isMultiArgUnnest(call: RawNode): boolean {
  return (
    call.type === 'FuncCall' &&
    call.funcname.length === 1 &&
    call.funcname[0].sval === 'unnest' &&
    (call.args?.length ?? 0) > 1 &&
    !call.agg_order &&
    !call.agg_filter &&
    !call.over &&
    !call.agg_star &&
    !call.agg_distinct &&
    !call.func_variadic
  );
}

/** The built-in sampling methods take one float4 percentage. */
const BUILTIN_METHODS: ReadonlySet<string> = new Set(['system', 'bernoulli']);

function transformRangeTableSample(pstate: ParseState, raw: RawNode): TableSampleClause {
  const names = rawStrings(raw.method);
  const method = nameListToString(names);
  const location: number = raw.location ?? 0;
  const handler = funcnameGetCandidates(pstate, names, 1, {
    argnames: [],
    expandVariadic: false,
    expandDefaults: false,
    includeOut: false,
  }).find(c => c.args[0] === INTERNALOID);
  if (!handler) throw pstate.error(ERRCODE.UNDEFINED_OBJECT, `tablesample method ${method} does not exist`, location);
  const proc = pstate.catalog.proc(handler.oid);
  if (proc.prorettype !== TSM_HANDLEROID) {
    throw pstate.error(ERRCODE.WRONG_OBJECT_TYPE, `function ${method} must return type tsm_handler`, location);
  }
  if (!BUILTIN_METHODS.has(proc.proname)) throw notSupported(`tablesample method ${method}`);
  const rawArgs: readonly RawNode[] = raw.args ?? [];
  if (rawArgs.length !== 1) {
    throw pstate.error(
      ERRCODE.INVALID_TABLESAMPLE_ARGUMENT,
      `tablesample method ${method} requires 1 argument, not ${rawArgs.length}`,
      location,
    );
  }
  const argument = (arg: RawNode, type: number, construct: string): Expr => {
    const expr = coerceToSpecificType(pstate, transformExpr(pstate, arg, 'FROM_FUNCTION'), type, construct);
    assignExprCollations(pstate, expr);
    return expr;
  };
  return {
    type: 'TableSampleClause',
    tsmhandler: handler.oid,
    args: rawArgs.map(arg => argument(arg, FLOAT4OID, 'TABLESAMPLE')),
    repeatable: raw.repeatable ? argument(raw.repeatable, FLOAT8OID, 'REPEATABLE') : null,
  };
}

export function transformWhereClause(pstate: ParseState, raw: RawNode, kind: ParseExprKind, construct: string): Expr {
  return coerceToBoolean(pstate, transformExpr(pstate, raw, kind), construct);
}

export function transformLimitClause(
  pstate: ParseState,
  raw: RawNode | undefined,
  kind: 'LIMIT' | 'OFFSET',
  withTies: boolean,
): Expr | null {
  if (!raw) return null;
  const expr = coerceToSpecificType(pstate, transformExpr(pstate, raw, kind), INT8OID, kind);
  checkExprIsVarFree(pstate, expr, kind);
  if (kind === 'LIMIT' && withTies && raw.type === 'A_Const' && raw.isnull) {
    throw pstate.error(
      ERRCODE.INVALID_ROW_COUNT_IN_LIMIT_CLAUSE,
      'row count cannot be null in FETCH FIRST ... WITH TIES clause',
    );
  }
  return expr;
}

function checkExprIsVarFree(pstate: ParseState, expr: Expr, construct: string): void {
  if (!containVarsOfLevel(expr, 0)) return;
  throw pstate.error(
    ERRCODE.INVALID_COLUMN_REFERENCE,
    `argument of ${construct} must not contain variables`,
    locateVarOfLevel(expr, 0),
  );
}

// ---- target list entries by name, position or expression -----------------------------------------

function checkTargetlistEntrySQL92(pstate: ParseState, tle: TargetEntry, kind: ParseExprKind): void {
  if (kind !== 'GROUP_BY') return;
  if (pstate.hasAggs && containAggsOfLevel(tle.expr, 0)) {
    throw pstate.error(
      ERRCODE.GROUPING_ERROR,
      'aggregate functions are not allowed in GROUP BY',
      locateAggOfLevel(tle.expr, 0),
    );
  }
  if (pstate.hasWindowFuncs && containWindowFuncs(tle.expr)) {
    throw pstate.error(
      ERRCODE.WINDOWING_ERROR,
      'window functions are not allowed in GROUP BY',
      locateWindowFunc(tle.expr),
    );
  }
}

/** An item of ORDER BY, GROUP BY or DISTINCT ON: an output name, an output position, or an expression. */
export function findTargetlistEntrySQL92(
  pstate: ParseState,
  raw: RawNode,
  tlist: TargetEntry[],
  kind: ParseExprKind,
): TargetEntry {
  const place = parseExprKindName(kind);
  if (raw.type === 'ColumnRef' && raw.fields.length === 1 && raw.fields[0].type === 'String') {
    const name = raw.fields[0].sval as string;
    const location: number = raw.location ?? 0;
    // In GROUP BY an input column wins over an output column of that name.
    const isInput = kind === 'GROUP_BY' && colNameToVar(pstate, name, true, location) !== null;
    if (!isInput) {
      let found: TargetEntry | null = null;
      for (const tle of tlist) {
        if (tle.resjunk || tle.resname !== name) continue;
        if (found !== null && !equalNodes(found.expr, tle.expr)) {
          throw pstate.error(ERRCODE.AMBIGUOUS_COLUMN, `${place} "${name}" is ambiguous`, location);
        }
        found ??= tle;
      }
      if (found !== null) {
        checkTargetlistEntrySQL92(pstate, found, kind);
        return found;
      }
    }
  }
  if (raw.type === 'A_Const') {
    const location: number = raw.location ?? 0;
    if (!raw.ival) throw pstate.error(ERRCODE.SYNTAX_ERROR, `non-integer constant in ${place}`, location);
    const position: number = raw.ival.ival ?? 0;
    const tle = tlist.filter(t => !t.resjunk)[position - 1];
    if (!tle)
      throw pstate.error(
        ERRCODE.INVALID_COLUMN_REFERENCE,
        `${place} position ${position} is not in select list`,
        location,
      );
    checkTargetlistEntrySQL92(pstate, tle, kind);
    return tle;
  }
  return findTargetlistEntrySQL99(pstate, raw, tlist, kind);
}

/** An expression; added to the target list as junk if it is not there. */
function findTargetlistEntrySQL99(
  pstate: ParseState,
  raw: RawNode,
  tlist: TargetEntry[],
  kind: ParseExprKind,
): TargetEntry {
  const expr = transformExpr(pstate, raw, kind);
  const found = tlist.find(tle => equalNodes(expr, stripImplicitCoercions(tle.expr)));
  if (found) return found;
  const added = transformTargetEntry(pstate, raw, expr, kind, null, true);
  tlist.push(added);
  return added;
}

export function findTargetlistEntry(
  pstate: ParseState,
  raw: RawNode,
  tlist: TargetEntry[],
  kind: ParseExprKind,
  sql99: boolean,
): TargetEntry {
  return sql99
    ? findTargetlistEntrySQL99(pstate, raw, tlist, kind)
    : findTargetlistEntrySQL92(pstate, raw, tlist, kind);
}

// ---- sorting -------------------------------------------------------------------------------------

export function transformSortClause(
  pstate: ParseState,
  orderlist: readonly RawNode[],
  tlist: TargetEntry[],
  kind: ParseExprKind,
  sql99: boolean,
): SortGroupClause[] {
  let result: SortGroupClause[] = [];
  for (const sortby of orderlist) {
    const tle = findTargetlistEntry(pstate, sortby.node, tlist, kind, sql99);
    result = addTargetToSortList(pstate, tle, result, tlist, sortby);
  }
  return result;
}

/** Nothing said what an unknown literal is: sorting and grouping treat it as text. */
function resolveUnknown(pstate: ParseState, tle: TargetEntry): number {
  const type = exprType(tle.expr);
  if (type !== UNKNOWNOID) return type;
  tle.expr = coerceType(pstate, tle.expr, type, TEXTOID, -1, COERCION_IMPLICIT, COERCE_IMPLICIT_CAST, -1);
  return TEXTOID;
}

export function addTargetToSortList(
  pstate: ParseState,
  tle: TargetEntry,
  sortlist: readonly SortGroupClause[],
  tlist: readonly TargetEntry[],
  sortby: RawNode,
): SortGroupClause[] {
  const type = resolveUnknown(pstate, tle);
  const own: number = sortby.location ?? 0;
  const location = own < 0 ? rawLocation(sortby.node) : own;
  const direction = sortby.sortby_dir as string;
  const { sortop, eqop, hashable, reverse } = pstate.withPosition(location, () => {
    if (direction === 'SORTBY_USING') return usingOperator(pstate, rawStrings(sortby.useOp), type);
    const descending = direction === 'SORTBY_DESC';
    const ops = getSortGroupOperators(pstate, type, !descending, true, descending);
    return { sortop: descending ? ops.gt : ops.lt, eqop: ops.eq, hashable: ops.hashable, reverse: descending };
  });
  if (targetIsInSortList(pstate, tle, sortop, sortlist)) return [...sortlist];
  const nulls = sortby.sortby_nulls as string;
  return [
    ...sortlist,
    {
      type: 'SortGroupClause',
      tleSortGroupRef: assignSortGroupRef(tle, tlist),
      eqop,
      sortop,
      nulls_first: nulls === 'SORTBY_NULLS_DEFAULT' ? reverse : nulls === 'SORTBY_NULLS_FIRST',
      hashable,
    },
  ];
}

/** The btree family and strategy (< or >) an ordering operator belongs to. */
export function orderingOpProperties(
  pstate: ParseState,
  opno: number,
): { family: number; opcintype: number; strategy: number } | null {
  for (const amop of pstate.catalog.amopsOfOperator(opno)) {
    if (amop.amopmethod !== BTREE_AM_OID) continue;
    if (amop.amopstrategy !== BTREE_STRATEGY_LESS && amop.amopstrategy !== BTREE_STRATEGY_GREATER) continue;
    if (amop.amoplefttype !== amop.amoprighttype) continue;
    return { family: amop.amopfamily, opcintype: amop.amoplefttype, strategy: amop.amopstrategy };
  }
  return null;
}

function usingOperator(
  pstate: ParseState,
  names: readonly string[],
  type: number,
): { sortop: number; eqop: number; hashable: boolean; reverse: boolean } {
  const op = compatibleOper(pstate, names, type, type, -1);
  const properties = orderingOpProperties(pstate, op.oid);
  const eqop = properties
    ? pstate.catalog.opfamilyMember(properties.family, properties.opcintype, properties.opcintype, BTREE_STRATEGY_EQUAL)
    : 0;
  if (!properties || eqop === 0) {
    throw pstate.error(
      ERRCODE.WRONG_OBJECT_TYPE,
      `operator ${names[names.length - 1]} is not a valid ordering operator`,
      -1,
      {
        hint: 'Ordering operators must be "<" or ">" members of btree operator families.',
      },
    );
  }
  return {
    sortop: op.oid,
    eqop,
    hashable: pstate.catalog.oper(eqop).oprcanhash,
    reverse: properties.strategy === BTREE_STRATEGY_GREATER,
  };
}

export function addTargetToGroupList(
  pstate: ParseState,
  tle: TargetEntry,
  grouplist: SortGroupClause[],
  tlist: readonly TargetEntry[],
  location: number,
): void {
  const type = resolveUnknown(pstate, tle);
  if (targetIsInSortList(pstate, tle, 0, grouplist)) return;
  const ops = pstate.withPosition(location, () => getSortGroupOperators(pstate, type, false, true, false));
  grouplist.push({
    type: 'SortGroupClause',
    tleSortGroupRef: assignSortGroupRef(tle, tlist),
    eqop: ops.eq,
    sortop: ops.lt,
    nulls_first: false,
    hashable: ops.hashable,
  });
}

export function assignSortGroupRef(tle: TargetEntry, tlist: readonly TargetEntry[]): number {
  if (tle.ressortgroupref === 0) {
    tle.ressortgroupref = tlist.reduce((max, t) => Math.max(max, t.ressortgroupref), 0) + 1;
  }
  return tle.ressortgroupref;
}

/** Is the entry already sorted by, by this operator or its commutator (0: any)? */
export function targetIsInSortList(
  pstate: ParseState,
  tle: TargetEntry,
  sortop: number,
  list: readonly SortGroupClause[],
): boolean {
  if (tle.ressortgroupref === 0) return false;
  return list.some(
    clause =>
      clause.tleSortGroupRef === tle.ressortgroupref &&
      (sortop === 0 || sortop === clause.sortop || sortop === (pstate.catalog.operOrNull(clause.sortop)?.oprcom ?? 0)),
  );
}

// ---- DISTINCT ------------------------------------------------------------------------------------

export function transformDistinctClause(
  pstate: ParseState,
  tlist: TargetEntry[],
  sortClause: readonly SortGroupClause[],
  isAgg: boolean,
): SortGroupClause[] {
  const result: SortGroupClause[] = [];
  for (const clause of sortClause) {
    const tle = tlist.find(t => t.ressortgroupref === clause.tleSortGroupRef) as TargetEntry;
    if (tle.resjunk) {
      throw pstate.error(
        ERRCODE.INVALID_COLUMN_REFERENCE,
        isAgg
          ? 'in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list'
          : 'for SELECT DISTINCT, ORDER BY expressions must appear in select list',
        exprLocation(tle.expr),
      );
    }
    result.push({ ...clause });
  }
  for (const tle of tlist) {
    if (!tle.resjunk) addTargetToGroupList(pstate, tle, result, tlist, exprLocation(tle.expr));
  }
  if (result.length === 0) {
    throw pstate.error(
      ERRCODE.SYNTAX_ERROR,
      isAgg
        ? 'an aggregate with DISTINCT must have at least one argument'
        : 'SELECT DISTINCT must have at least one column',
    );
  }
  return result;
}

export function transformDistinctOnClause(
  pstate: ParseState,
  distinctlist: readonly RawNode[],
  tlist: TargetEntry[],
  sortClause: readonly SortGroupClause[],
): SortGroupClause[] {
  const mismatch = (location: number) =>
    pstate.error(
      ERRCODE.INVALID_COLUMN_REFERENCE,
      'SELECT DISTINCT ON expressions must match initial ORDER BY expressions',
      location,
    );
  const refs = distinctlist.map(raw =>
    assignSortGroupRef(findTargetlistEntrySQL92(pstate, raw, tlist, 'DISTINCT_ON'), tlist),
  );
  const result: SortGroupClause[] = [];
  let skipped = false;
  for (const clause of sortClause) {
    const index = refs.indexOf(clause.tleSortGroupRef);
    if (index < 0) skipped = true;
    else if (skipped) throw mismatch(rawLocation(distinctlist[index] as RawNode));
    else result.push({ ...clause });
  }
  distinctlist.forEach((raw, i) => {
    const tle = tlist.find(t => t.ressortgroupref === refs[i]) as TargetEntry;
    if (targetIsInSortList(pstate, tle, 0, result)) return;
    if (skipped) throw mismatch(rawLocation(raw));
    addTargetToGroupList(pstate, tle, result, tlist, rawLocation(raw));
  });
  return result;
}

// ---- WINDOW --------------------------------------------------------------------------------------

const START_OFFSET = FRAMEOPTION_START_OFFSET_PRECEDING | FRAMEOPTION_START_OFFSET_FOLLOWING;
const END_OFFSET = FRAMEOPTION_END_OFFSET_PRECEDING | FRAMEOPTION_END_OFFSET_FOLLOWING;

export function transformWindowDefinitions(
  pstate: ParseState,
  windowdefs: readonly RawNode[],
  tlist: TargetEntry[],
  groupBy: (
    pstate: ParseState,
    list: readonly RawNode[],
    tlist: TargetEntry[],
    sortClause: readonly SortGroupClause[],
  ) => SortGroupClause[],
): WindowClause[] {
  const result: WindowClause[] = [];
  for (const def of windowdefs) {
    const location: number = def.location ?? 0;
    const windowing = (message: string, hint?: string) =>
      pstate.error(ERRCODE.WINDOWING_ERROR, message, location, { hint });
    if (def.name && result.some(wc => wc.name === def.name)) throw windowing(`window "${def.name}" is already defined`);
    const refwc = def.refname ? result.find(wc => wc.name === def.refname) : undefined;
    if (def.refname && !refwc) {
      throw pstate.error(ERRCODE.UNDEFINED_OBJECT, `window "${def.refname}" does not exist`, location);
    }
    const orderClause = transformSortClause(pstate, def.orderClause ?? [], tlist, 'WINDOW_ORDER', true);
    const partitionClause = groupBy(pstate, def.partitionClause ?? [], tlist, orderClause);
    const frameOptions: number = def.frameOptions;
    const wc: WindowClause = {
      type: 'WindowClause',
      name: def.name ?? null,
      refname: def.refname ?? null,
      partitionClause,
      orderClause,
      frameOptions,
      startOffset: null,
      endOffset: null,
      runCondition: [],
      startInRangeFunc: 0,
      endInRangeFunc: 0,
      inRangeColl: 0,
      inRangeAsc: false,
      inRangeNullsFirst: false,
      winref: result.length + 1,
      copiedOrder: false,
    };
    if (refwc) {
      if (partitionClause.length > 0) throw windowing(`cannot override PARTITION BY clause of window "${def.refname}"`);
      wc.partitionClause = refwc.partitionClause.map(c => ({ ...c }));
      if (orderClause.length > 0 && refwc.orderClause.length > 0) {
        throw windowing(`cannot override ORDER BY clause of window "${def.refname}"`);
      }
      if (orderClause.length === 0) {
        wc.orderClause = refwc.orderClause.map(c => ({ ...c }));
        wc.copiedOrder = true;
      }
      if (refwc.frameOptions !== FRAMEOPTION_DEFAULTS) {
        const plain = !def.name && orderClause.length === 0 && frameOptions === FRAMEOPTION_DEFAULTS;
        throw windowing(
          `cannot copy window "${def.refname}" because it has a frame clause`,
          plain ? 'Omit the parentheses in this OVER clause.' : undefined,
        );
      }
    }
    let range: { family: number; opcintype: number; strategy: number } | null = null;
    if (frameOptions & FRAMEOPTION_RANGE && frameOptions & (START_OFFSET | END_OFFSET)) {
      if (wc.orderClause.length !== 1) {
        throw windowing('RANGE with offset PRECEDING/FOLLOWING requires exactly one ORDER BY column');
      }
      const sort = wc.orderClause[0] as SortGroupClause;
      const key = (tlist.find(t => t.ressortgroupref === sort.tleSortGroupRef) as TargetEntry).expr;
      range = orderingOpProperties(pstate, sort.sortop);
      if (!range)
        throw pstate.error(ERRCODE.INTERNAL_ERROR, `operator ${sort.sortop} is not a valid ordering operator`);
      wc.inRangeColl = exprCollation(key);
      wc.inRangeAsc = range.strategy === BTREE_STRATEGY_LESS;
      wc.inRangeNullsFirst = sort.nulls_first;
    }
    if (frameOptions & FRAMEOPTION_GROUPS && wc.orderClause.length === 0) {
      throw windowing('GROUPS mode requires an ORDER BY clause');
    }
    const start = transformFrameOffset(pstate, frameOptions, range, def.startOffset);
    const end = transformFrameOffset(pstate, frameOptions, range, def.endOffset);
    wc.startOffset = start.expr;
    wc.startInRangeFunc = start.inRangeFunc;
    wc.endOffset = end.expr;
    wc.endInRangeFunc = end.inRangeFunc;
    result.push(wc);
  }
  return result;
}

const BTINRANGE_PROC = 3;

function transformFrameOffset(
  pstate: ParseState,
  frameOptions: number,
  range: { readonly family: number; readonly opcintype: number } | null,
  raw: RawNode | undefined,
): { readonly expr: Expr | null; readonly inRangeFunc: number } {
  if (!raw) return { expr: null, inRangeFunc: 0 };
  let expr: Expr;
  let construct: string;
  let inRangeFunc = 0;
  if (frameOptions & FRAMEOPTION_ROWS || frameOptions & FRAMEOPTION_GROUPS) {
    construct = frameOptions & FRAMEOPTION_ROWS ? 'ROWS' : 'GROUPS';
    const node = transformExpr(pstate, raw, `WINDOW_FRAME_${construct}` as ParseExprKind);
    expr = coerceToSpecificType(pstate, node, INT8OID, construct);
  } else {
    construct = 'RANGE';
    const { family, opcintype } = range as { family: number; opcintype: number };
    const node = transformExpr(pstate, raw, 'WINDOW_FRAME_RANGE');
    const nodeType = exprType(node);
    const preferred = nodeType === UNKNOWNOID ? opcintype : nodeType;
    const procs = pstate.catalog.opfamilyProcs(family, opcintype).filter(p => p.amprocnum === BTINRANGE_PROC);
    const matches = procs.filter(p => canCoerce(pstate.catalog, nodeType, p.amprocrighttype, COERCION_IMPLICIT));
    const chosen = matches.find(p => p.amprocrighttype === preferred) ?? matches[matches.length - 1];
    const where = exprLocation(node);
    const prefix = `RANGE with offset PRECEDING/FOLLOWING`;
    const column = `column type ${pstate.typeName(opcintype)}`;
    if (procs.length === 0)
      throw pstate.error(ERRCODE.FEATURE_NOT_SUPPORTED, `${prefix} is not supported for ${column}`, where);
    if (!chosen) {
      throw pstate.error(
        ERRCODE.FEATURE_NOT_SUPPORTED,
        `${prefix} is not supported for ${column} and offset type ${pstate.typeName(nodeType)}`,
        where,
        { hint: 'Cast the offset value to an appropriate type.' },
      );
    }
    if (matches.length !== 1 && chosen.amprocrighttype !== preferred) {
      throw pstate.error(
        ERRCODE.FEATURE_NOT_SUPPORTED,
        `${prefix} has multiple interpretations for ${column} and offset type ${pstate.typeName(nodeType)}`,
        where,
        { hint: 'Cast the offset value to the exact intended type.' },
      );
    }
    expr = coerceToSpecificType(pstate, node, chosen.amprocrighttype, construct);
    inRangeFunc = chosen.amproc;
  }
  checkExprIsVarFree(pstate, expr, construct);
  return { expr, inRangeFunc };
}

// ---- ON CONFLICT ---------------------------------------------------------------------------------

export interface OnConflictArbiter {
  readonly elems: readonly InferenceElem[];
  readonly where: Expr | null;
  readonly constraint: number;
}

export function transformOnConflictArbiter(pstate: ParseState, clause: RawNode): OnConflictArbiter {
  const infer: RawNode | undefined = clause.infer;
  const location: number = clause.location ?? 0;
  const { rel } = pstate.target_relation!;
  if (clause.action === 'ONCONFLICT_UPDATE' && !infer) {
    throw pstate.error(
      ERRCODE.SYNTAX_ERROR,
      'ON CONFLICT DO UPDATE requires inference specification or constraint name',
      location,
      { hint: 'For example, ON CONFLICT (column_name).' },
    );
  }
  if (rel.oid < FIRST_NORMAL_OBJECT_ID && pstate.catalog.isInPgCatalog(rel.relnamespace)) {
    throw pstate.error(
      ERRCODE.FEATURE_NOT_SUPPORTED,
      'ON CONFLICT is not supported with system catalog tables',
      location,
    );
  }
  if (!infer) return { elems: [], where: null, constraint: 0 };
  const elems = ((infer.indexElems as RawNode[] | undefined) ?? []).map(elem => inferenceElem(pstate, infer, elem));
  const where = infer.whereClause ? transformExpr(pstate, infer.whereClause, 'INDEX_PREDICATE') : null;
  let constraint = 0;
  if (infer.conname) {
    const row = pstate.catalog.constraints(rel.oid).find(c => c.conname === infer.conname);
    if (!row) {
      throw pstate.error(
        ERRCODE.UNDEFINED_OBJECT,
        `constraint "${infer.conname}" for table "${rel.relname}" does not exist`,
      );
    }
    constraint = row.oid;
    const { rte } = pstate.target_nsitem!;
    rte.requiredPerms |= ACL_SELECT;
    for (const attnum of row.conkey ?? []) {
      rte.selectedCols = bmsAddMember(rte.selectedCols, attnum - FIRST_LOW_INVALID_HEAP_ATTRIBUTE_NUMBER);
    }
  }
  return { elems, where, constraint };
}

function inferenceElem(pstate: ParseState, infer: RawNode, elem: RawNode): InferenceElem {
  const location: number = infer.location ?? 0;
  if (elem.ordering !== 'SORTBY_DEFAULT') {
    throw pstate.error(ERRCODE.INVALID_COLUMN_REFERENCE, 'ASC/DESC is not allowed in ON CONFLICT clause', location);
  }
  if (elem.nulls_ordering !== 'SORTBY_NULLS_DEFAULT') {
    throw pstate.error(
      ERRCODE.INVALID_COLUMN_REFERENCE,
      'NULLS FIRST/LAST is not allowed in ON CONFLICT clause',
      location,
    );
  }
  const raw: RawNode = elem.expr ?? { type: 'ColumnRef', fields: [{ type: 'String', sval: elem.name }], location };
  const expr = transformExpr(pstate, raw, 'INDEX_EXPRESSION');
  return {
    type: 'InferenceElem',
    expr,
    infercollid: elem.collation ? lookupCollation(pstate, elem.collation, exprLocation(expr)) : 0,
    inferopclass: elem.opclass ? btreeOpclass(pstate, rawStrings(elem.opclass)) : 0,
  };
}

function btreeOpclass(pstate: ParseState, names: readonly string[]): number {
  const { schema, name } = deconstructQualifiedName(pstate, names);
  const oid =
    schema === null
      ? pstate.catalog.opclassOnPath(BTREE_AM_OID, name)
      : pstate.catalog.opclassInNamespace(BTREE_AM_OID, name, pstate.catalog.lookupExplicitNamespace(schema));
  if (oid === 0) {
    throw pstate.error(
      ERRCODE.UNDEFINED_OBJECT,
      `operator class "${nameListToString(names)}" does not exist for access method "btree"`,
    );
  }
  return oid;
}
