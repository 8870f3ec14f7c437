/**
 * The clauses of a query but FROM (parse_from.ts): WHERE, LIMIT, GROUP BY, ORDER BY, DISTINCT, WINDOW,
 * ON CONFLICT's arbiter.
 */
import { type Oid, INVALID_OID } from '@pgtroupe/common/ids';
import { FIRST_NORMAL_OBJECT_ID } from '@pgtroupe/common/ids';
import { BTREE_AM_OID, INT8OID, TEXTOID, UNKNOWNOID } from '@pgtroupe/common/oids';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { equalNodes, exprCollation, exprLocation, exprType } from '@pgtroupe/nodes/nodefuncs';
import {
  ACL_SELECT,
  BTREE_STRATEGY_EQUAL,
  BTREE_STRATEGY_GREATER,
  BTREE_STRATEGY_LESS,
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
  LIMIT_OPTION_COUNT,
  LIMIT_OPTION_WITH_TIES,
} from '@pgtroupe/nodes/nodes';
import type { Expr, InferenceElem, TargetEntry } from '@pgtroupe/nodes/primnodes';
import type { SortGroupClause, WindowClause } from '@pgtroupe/nodes/parsenodes';
import {
  containAggsOfLevel,
  containVarsOfLevel,
  containWindowFuncs,
  locateAggOfLevel,
  locateVarOfLevel,
  locateWindowFunc,
  stripImplicitCoercions,
} from '@pgtroupe/nodes/vars';
import { bmsAddMember } from './bitmapset.ts';
import { parseExprKindName } from './exprkinds.ts';
import { coerceToSpecificType, coerceType } from './parse_coerce.ts';
import { transformExpr } from './grammar.ts';
import { nameListToString, rawStrings, type ParseExprKind, type ParseState } from './parse_node.ts';
import { compatibleOper, getSortGroupOperators } from './parse_oper.ts';
import { colNameToVar } from './parse_relation.ts';
import { transformTargetEntry } from './parse_target.ts';
import { deconstructQualifiedName, lookupCollation } from './parse_type.ts';
import { rawLocation } from './rawlocation.ts';
import { canCoerce } from './parse_coerce_generic.ts';

export function limitOption(raw: RawNode): 0 | 1 {
  return raw.limitOption === 'LIMIT_OPTION_WITH_TIES' ? LIMIT_OPTION_WITH_TIES : LIMIT_OPTION_COUNT;
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
function findTargetlistEntrySQL92(
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
function resolveUnknown(pstate: ParseState, tle: TargetEntry): Oid {
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
function orderingOpProperties(pstate: ParseState, opno: Oid): { family: Oid; opcintype: Oid; strategy: number } | null {
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
  type: Oid,
): { sortop: Oid; eqop: Oid; hashable: boolean; reverse: boolean } {
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
  if (targetIsInSortList(pstate, tle, INVALID_OID, grouplist)) return;
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

function assignSortGroupRef(tle: TargetEntry, tlist: readonly TargetEntry[]): number {
  if (tle.ressortgroupref === 0) {
    tle.ressortgroupref = tlist.reduce((max, t) => Math.max(max, t.ressortgroupref), 0) + 1;
  }
  return tle.ressortgroupref;
}

/** Is the entry already sorted by, by this operator or its commutator (0: any)? */
export function targetIsInSortList(
  pstate: ParseState,
  tle: TargetEntry,
  sortop: Oid,
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
    if (targetIsInSortList(pstate, tle, INVALID_OID, result)) return;
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
      startInRangeFunc: INVALID_OID,
      endInRangeFunc: INVALID_OID,
      inRangeColl: INVALID_OID,
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
    let range: { family: Oid; opcintype: Oid; strategy: number } | null = null;
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
  range: { readonly family: Oid; readonly opcintype: Oid } | null,
  raw: RawNode | undefined,
): { readonly expr: Expr | null; readonly inRangeFunc: Oid } {
  if (!raw) return { expr: null, inRangeFunc: INVALID_OID };
  let expr: Expr;
  let construct: string;
  let inRangeFunc = INVALID_OID;
  if (frameOptions & FRAMEOPTION_ROWS || frameOptions & FRAMEOPTION_GROUPS) {
    construct = frameOptions & FRAMEOPTION_ROWS ? 'ROWS' : 'GROUPS';
    const node = transformExpr(pstate, raw, `WINDOW_FRAME_${construct}` as ParseExprKind);
    expr = coerceToSpecificType(pstate, node, INT8OID, construct);
  } else {
    construct = 'RANGE';
    const { family, opcintype } = range as { family: Oid; opcintype: Oid };
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
  readonly constraint: Oid;
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
  if (!infer) return { elems: [], where: null, constraint: INVALID_OID };
  const elems = ((infer.indexElems as RawNode[] | undefined) ?? []).map(elem => inferenceElem(pstate, infer, elem));
  const where = infer.whereClause ? transformExpr(pstate, infer.whereClause, 'INDEX_PREDICATE') : null;
  let constraint = INVALID_OID;
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
    infercollid: elem.collation ? lookupCollation(pstate, elem.collation, exprLocation(expr)) : INVALID_OID,
    inferopclass: elem.opclass ? btreeOpclass(pstate, rawStrings(elem.opclass)) : INVALID_OID,
  };
}

function btreeOpclass(pstate: ParseState, names: readonly string[]): Oid {
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
