/**
 * Target lists: SELECT's output columns with * expanded and named, INSERT's and UPDATE's assignments.
 */
import type { Slices } from '@pgtroupe/common/slices';
import { type Oid, INVALID_OID } from '@pgtroupe/common/ids';
import { RECORDOID, TEXTOID, UNKNOWNOID } from '@pgtroupe/common/oids';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { makeConst, makeTargetEntry, makeVar } from '@pgtroupe/nodes/makefuncs';
import { copyNode, exprType } from '@pgtroupe/nodes/nodefuncs';
import {
  ACL_SELECT,
  CMD_SELECT,
  COERCE_IMPLICIT_CAST,
  COERCION_ASSIGNMENT,
  COERCION_IMPLICIT,
  RTE_CTE,
  RTE_RELATION,
  RTE_SUBQUERY,
  type CoercionContext,
} from '@pgtroupe/nodes/nodes';
import type { Expr, FieldSelect, SetToDefault, SubscriptingRef, TargetEntry, Var } from '@pgtroupe/nodes/primnodes';
import type { Query } from '@pgtroupe/nodes/parsenodes';
import { coerceToDomain, coerceToTargetType, coerceType } from './parse_coerce.ts';
import { coerceForColumn } from './coerce_column.ts';
import { transformExpr } from './grammar.ts';
import { figureColname } from './figurecolname.ts';
import {
  nameListToString,
  type ParseExprKind,
  type ParseNamespaceItem,
  type ParseState,
  type TargetRelation,
} from './parse_node.ts';
import {
  attnameAttNum,
  errorMissingRTE,
  expandNSItemAttrs,
  expandNSItemVars,
  getCTEForRTE,
  getNSItemByRangeTablePosn,
  getRTEByRangeTablePosn,
  markVarForSelectPriv,
  refnameNamespaceItem,
} from './parse_relation.ts';
import { exprResultColumns } from './rowtypes.ts';
import { transformContainerSubscripts, transformContainerType } from './subscripts.ts';
import { recordVariableColumns } from './record_variables.ts';

/** One target: the expression if already analyzed, else the raw node is. */
export function transformTargetEntry(
  pstate: ParseState,
  raw: RawNode,
  expr: Expr | null,
  kind: ParseExprKind,
  colname: string | null,
  resjunk: boolean,
): TargetEntry {
  let result = expr;
  if (result === null) {
    if (kind === 'UPDATE_SOURCE' && raw.type === 'SetToDefault') result = makeSetToDefault(raw);
    else result = transformExpr(pstate, raw, kind);
  }
  const name = colname === null && !resjunk ? figureColname(raw) : colname;
  return makeTargetEntry(result, pstate.next_resno++, name, resjunk);
}

function makeSetToDefault(raw: RawNode): SetToDefault {
  return { type: 'SetToDefault', typeId: INVALID_OID, typeMod: 0, collation: INVALID_OID, location: raw.location ?? 0 };
}

function lastIsStar(list: readonly RawNode[]): boolean {
  return list[list.length - 1]?.type === 'A_Star';
}

export function* transformTargetList(
  pstate: ParseState,
  targetlist: readonly RawNode[],
  kind: ParseExprKind,
): Slices<TargetEntry[]> {
  const expandStar = kind !== 'UPDATE_SOURCE';
  let result: TargetEntry[] = [];
  for (const target of targetlist) {
    yield;
    const raw: RawNode = target.val;
    if (expandStar && raw.type === 'ColumnRef' && lastIsStar(raw.fields)) {
      result.push(...(expandColumnRefStar(pstate, raw, true) as TargetEntry[]));
    } else if (expandStar && raw.type === 'A_Indirection' && lastIsStar(raw.indirection)) {
      result.push(...(expandIndirectionStar(pstate, raw, true, kind) as TargetEntry[]));
    } else result.push(transformTargetEntry(pstate, raw, null, kind, target.name ?? null, false));
  }
  if (pstate.multiassign_exprs.length > 0) {
    // Sub-SELECTs of multiple assignments run once per row, from junk entries at the end.
    result = result.concat(pstate.multiassign_exprs);
    pstate.multiassign_exprs = [];
  }
  return result;
}

/** Expressions without names (ROW, VALUES); DEFAULT may stay where allowed. */
export function transformExpressionList(
  pstate: ParseState,
  list: readonly RawNode[],
  kind: ParseExprKind,
  allowDefault: boolean,
): Expr[] {
  const result: Expr[] = [];
  for (const raw of list) {
    if (raw.type === 'ColumnRef' && lastIsStar(raw.fields))
      result.push(...(expandColumnRefStar(pstate, raw, false) as Expr[]));
    else if (raw.type === 'A_Indirection' && lastIsStar(raw.indirection)) {
      result.push(...(expandIndirectionStar(pstate, raw, false, kind) as Expr[]));
    } else if (allowDefault && raw.type === 'SetToDefault') result.push(makeSetToDefault(raw));
    else result.push(transformExpr(pstate, raw, kind));
  }
  return result;
}

/** Literals whose type nothing decided are text. */
export function resolveTargetListUnknowns(pstate: ParseState, targetlist: readonly TargetEntry[]): void {
  for (const tle of targetlist) {
    const type = exprType(tle.expr);
    if (type !== UNKNOWNOID) continue;
    tle.expr = coerceType(pstate, tle.expr, type, TEXTOID, -1, COERCION_IMPLICIT, COERCE_IMPLICIT_CAST, -1);
  }
}

/** Notes which table column each plain output column comes from. */
export function markTargetListOrigins(pstate: ParseState, targetlist: readonly TargetEntry[]): void {
  for (const tle of targetlist) if (tle.expr.type === 'Var') markTargetListOrigin(pstate, tle, tle.expr);
}

function cteTargetList(query: Query): readonly TargetEntry[] {
  return query.commandType === CMD_SELECT ? query.targetList : query.returningList;
}

function markTargetListOrigin(pstate: ParseState, tle: TargetEntry, variable: Var): void {
  const rte = getRTEByRangeTablePosn(pstate, variable.varno, variable.varlevelsup);
  const attnum = variable.varattno;
  let source: TargetEntry | undefined;
  if (rte.rtekind === RTE_RELATION) {
    tle.resorigtbl = rte.relid;
    tle.resorigcol = attnum;
    return;
  }
  if (attnum === 0) return;
  if (rte.rtekind === RTE_SUBQUERY) source = rte.subquery?.targetList.find(t => t.resno === attnum);
  else if (rte.rtekind === RTE_CTE && !rte.self_reference) {
    source = cteTargetList(getCTEForRTE(pstate, rte, variable.varlevelsup).ctequery).find(t => t.resno === attnum);
  }
  if (source && !source.resjunk) {
    tle.resorigtbl = source.resorigtbl;
    tle.resorigcol = source.resorigcol;
  }
}

/** The value for a column of the target table, converted to its type. */
export function transformAssignedExpr(
  pstate: ParseState,
  expr: Expr,
  kind: ParseExprKind,
  colname: string,
  attrno: number,
  indirection: readonly RawNode[],
  location: number,
): Expr {
  const saved = pstate.expr_kind;
  pstate.expr_kind = kind;
  if (attrno <= 0) {
    throw pstate.error(ERRCODE.FEATURE_NOT_SUPPORTED, `cannot assign to system column "${colname}"`, location);
  }
  const attr = (pstate.target_relation as TargetRelation).attrs[attrno - 1]!;
  let result: Expr = expr;
  if (result.type === 'SetToDefault') {
    result = { ...result, typeId: attr.atttypid, typeMod: attr.atttypmod, collation: attr.attcollation };
    if (indirection.length > 0) {
      const what = (indirection[0] as RawNode).type === 'A_Indices' ? 'an array element' : 'a subfield';
      throw pstate.error(ERRCODE.FEATURE_NOT_SUPPORTED, `cannot set ${what} to DEFAULT`, location);
    }
  }
  if (indirection.length > 0) {
    let base: Expr;
    if (pstate.is_insert) {
      const row = pstate.catalog.type(attr.atttypid);
      base = makeConst(attr.atttypid, attr.atttypmod, attr.attcollation, row.typlen, row.typbyval, null);
    } else {
      base = makeVar(
        pstate.target_nsitem!.rtindex,
        attrno,
        attr.atttypid,
        attr.atttypmod,
        attr.attcollation,
        0,
        location,
      );
    }
    result = transformAssignmentIndirection(
      pstate,
      base,
      { name: colname, subscripting: false, type: attr.atttypid, typmod: attr.atttypmod, collation: attr.attcollation },
      indirection,
      result,
      COERCION_ASSIGNMENT,
      location,
    );
  } else {
    const column = { name: colname, typid: attr.atttypid, typmod: attr.atttypmod };
    result = coerceForColumn(pstate, result, column, 'expression');
  }
  pstate.expr_kind = saved;
  return result;
}

export function updateTargetListEntry(
  pstate: ParseState,
  tle: TargetEntry,
  colname: string,
  attrno: number,
  indirection: readonly RawNode[],
  location: number,
): void {
  tle.expr = transformAssignedExpr(pstate, tle.expr, 'UPDATE_TARGET', colname, attrno, indirection, location);
  tle.resno = attrno;
  tle.resname = colname;
}

interface AssignmentTarget {
  readonly name: string;
  /** The last step was a subscript (for the error's wording). */
  readonly subscripting: boolean;
  readonly type: Oid;
  readonly typmod: number;
  readonly collation: Oid;
}

/** column[...].field[...] := rhs, as nested FieldStores and SubscriptingRefs. */
function transformAssignmentIndirection(
  pstate: ParseState,
  basenode: Expr | null,
  target: AssignmentTarget,
  indirection: readonly RawNode[],
  rhs: Expr,
  context: CoercionContext,
  location: number,
): Expr {
  const { catalog } = pstate;
  const base: Expr | null =
    basenode ??
    (indirection.length > 0
      ? { type: 'CaseTestExpr', typeId: target.type, typeMod: target.typmod, collation: target.collation }
      : null);
  const subscripts: RawNode[] = [];
  for (let i = 0; i < indirection.length; i++) {
    const step = indirection[i] as RawNode;
    if (step.type === 'A_Indices') {
      subscripts.push(step);
      continue;
    }
    if (step.type === 'A_Star') {
      throw pstate.error(ERRCODE.FEATURE_NOT_SUPPORTED, 'row expansion via "*" is not supported here', location);
    }
    if (subscripts.length > 0) {
      return transformAssignmentSubscripts(
        pstate,
        base as Expr,
        target,
        subscripts,
        indirection.slice(i),
        rhs,
        context,
        location,
      );
    }
    const field = step.sval as string;
    const { type: baseType, typmod: baseTypmod } = catalog.baseTypeAndTypmod(target.type, target.typmod);
    const { typrelid } = catalog.type(baseType);
    const cannot = `cannot assign to field "${field}" of column "${target.name}" because`;
    if (typrelid === 0) {
      throw pstate.error(
        ERRCODE.DATATYPE_MISMATCH,
        `${cannot} its type ${pstate.typeName(target.type)} is not a composite type`,
        location,
      );
    }
    const attr = catalog.attributes(typrelid).find(a => a.attname === field && !a.attisdropped);
    if (!attr) {
      throw pstate.error(
        ERRCODE.UNDEFINED_COLUMN,
        `${cannot} there is no such column in data type ${pstate.typeName(target.type)}`,
        location,
      );
    }
    const value = transformAssignmentIndirection(
      pstate,
      null,
      { name: field, subscripting: false, type: attr.atttypid, typmod: attr.atttypmod, collation: attr.attcollation },
      indirection.slice(i + 1),
      rhs,
      context,
      location,
    );
    const store: Expr = {
      type: 'FieldStore',
      arg: base as Expr,
      newvals: [value],
      fieldnums: [attr.attnum],
      resulttype: baseType,
    };
    if (baseType === target.type) return store;
    return coerceToDomain(
      pstate,
      store,
      baseType,
      baseTypmod,
      target.type,
      COERCION_IMPLICIT,
      COERCE_IMPLICIT_CAST,
      location,
      false,
    );
  }
  if (subscripts.length > 0)
    return transformAssignmentSubscripts(pstate, base as Expr, target, subscripts, [], rhs, context, location);
  const result = coerceToTargetType(
    pstate,
    rhs,
    exprType(rhs),
    target.type,
    target.typmod,
    context,
    COERCE_IMPLICIT_CAST,
    -1,
  );
  if (result === null) {
    const types = `type ${pstate.typeName(target.type)} but expression is of type ${pstate.typeName(exprType(rhs))}`;
    throw pstate.error(
      ERRCODE.DATATYPE_MISMATCH,
      target.subscripting
        ? `subscripted assignment to "${target.name}" requires ${types}`
        : `subfield "${target.name}" is of ${types}`,
      location,
      { hint: 'You will need to rewrite or cast the expression.' },
    );
  }
  return result;
}

function transformAssignmentSubscripts(
  pstate: ParseState,
  basenode: Expr,
  target: AssignmentTarget,
  subscripts: readonly RawNode[],
  rest: readonly RawNode[],
  rhs: Expr,
  context: CoercionContext,
  location: number,
): Expr {
  const container = transformContainerType(pstate, target.type, target.typmod);
  const ref: SubscriptingRef = transformContainerSubscripts(
    pstate,
    basenode,
    container.type,
    container.typmod,
    subscripts,
    true,
  );
  const collation = container.type === target.type ? target.collation : pstate.catalog.typeCollation(container.type);
  ref.refassgnexpr = transformAssignmentIndirection(
    pstate,
    null,
    { name: target.name, subscripting: true, type: ref.refrestype, typmod: ref.reftypmod, collation },
    rest,
    rhs,
    context,
    location,
  );
  ref.refrestype = container.type;
  ref.reftypmod = container.typmod;
  if (container.type === target.type) return ref;
  const type = exprType(ref);
  const result = coerceToTargetType(pstate, ref, type, target.type, target.typmod, context, COERCE_IMPLICIT_CAST, -1);
  if (result === null) {
    throw pstate.error(
      ERRCODE.CANNOT_COERCE,
      `cannot cast type ${pstate.typeName(type)} to ${pstate.typeName(target.type)}`,
      location,
    );
  }
  return result;
}

export interface InsertColumn {
  readonly name: string;
  readonly attrno: number;
  readonly indirection: readonly RawNode[];
  readonly location: number;
}

/** The columns an INSERT fills: those listed, or all. */
export function checkInsertTargets(pstate: ParseState, cols: readonly RawNode[]): InsertColumn[] {
  const target = pstate.target_relation as TargetRelation;
  if (cols.length === 0) {
    return target.attrs
      .filter(attr => !attr.attisdropped)
      .map(attr => ({ name: attr.attname, attrno: attr.attnum, indirection: [], location: -1 }));
  }
  const whole = new Set<number>();
  const partial = new Set<number>();
  return cols.map(col => {
    const location: number = col.location ?? 0;
    const name = col.name as string;
    const attrno = attnameAttNum(target, name, false);
    if (attrno === 0) {
      throw pstate.error(
        ERRCODE.UNDEFINED_COLUMN,
        `column "${name}" of relation "${target.rel.relname}" does not exist`,
        location,
      );
    }
    const indirection: readonly RawNode[] = col.indirection ?? [];
    if (whole.has(attrno) || (indirection.length === 0 && partial.has(attrno))) {
      throw pstate.error(ERRCODE.DUPLICATE_COLUMN, `column "${name}" specified more than once`, location);
    }
    (indirection.length === 0 ? whole : partial).add(attrno);
    return { name, attrno, indirection, location };
  });
}

// ---- expansion of * ------------------------------------------------------------------------------

function expandColumnRefStar(pstate: ParseState, cref: RawNode, makeTargets: boolean): (TargetEntry | Expr)[] {
  const fields = cref.fields as RawNode[];
  const location: number = cref.location ?? 0;
  if (fields.length === 1) return expandAllTables(pstate, location);
  const names = fields.map(field => (field.type === 'A_Star' ? '*' : (field.sval as string)));
  const hooked = pstate.columnRefHook?.(pstate, cref);
  if (hooked) return expandRowReference(pstate, hooked, makeTargets);
  if (fields.length > 4) {
    throw pstate.error(
      ERRCODE.SYNTAX_ERROR,
      `improper qualified name (too many dotted names): ${nameListToString(names)}`,
      location,
    );
  }
  if (fields.length === 4 && names[0] !== pstate.catalog.session.databaseName) {
    throw pstate.error(
      ERRCODE.FEATURE_NOT_SUPPORTED,
      `cross-database references are not implemented: ${nameListToString(names)}`,
      location,
    );
  }
  const relname = names[names.length - 2] as string;
  const schema = names.length > 2 ? (names[names.length - 3] as string) : null;
  const found = refnameNamespaceItem(pstate, schema, relname, location);
  if (!found) throw errorMissingRTE(pstate, schema, relname, location);
  return expandSingleTable(pstate, found.nsitem, found.levelsup, location, makeTargets);
}

function expandAllTables(pstate: ParseState, location: number): TargetEntry[] {
  const visible = pstate.namespace.filter(nsitem => nsitem.cols_visible);
  if (visible.length === 0)
    throw pstate.error(ERRCODE.SYNTAX_ERROR, 'SELECT * with no tables specified is not valid', location);
  return visible.flatMap(nsitem => expandNSItemAttrs(pstate, nsitem, 0, true, location));
}

function expandIndirectionStar(
  pstate: ParseState,
  raw: RawNode,
  makeTargets: boolean,
  kind: ParseExprKind,
): (TargetEntry | Expr)[] {
  const indirection = (raw.indirection as RawNode[]).slice(0, -1);
  const expr = transformExpr(pstate, { ...raw, indirection }, kind);
  return expandRowReference(pstate, expr, makeTargets);
}

function expandSingleTable(
  pstate: ParseState,
  nsitem: ParseNamespaceItem,
  levelsup: number,
  location: number,
  makeTargets: boolean,
): (TargetEntry | Expr)[] {
  if (makeTargets) return expandNSItemAttrs(pstate, nsitem, levelsup, true, location);
  const { vars } = expandNSItemVars(pstate, nsitem, levelsup, location);
  if (nsitem.rte.rtekind === RTE_RELATION) nsitem.rte.requiredPerms |= ACL_SELECT;
  for (const variable of vars) markVarForSelectPriv(pstate, variable);
  return vars;
}

function expandRowReference(pstate: ParseState, expr: Expr, makeTargets: boolean): (TargetEntry | Expr)[] {
  if (expr.type === 'Var' && expr.varattno === 0) {
    const nsitem = getNSItemByRangeTablePosn(pstate, expr.varno, expr.varlevelsup);
    return expandSingleTable(pstate, nsitem, expr.varlevelsup, expr.location, makeTargets);
  }
  const columns =
    expr.type === 'Var' && expr.vartype === RECORDOID
      ? recordVariableColumns(pstate, expr, 0)
      : exprResultColumns(pstate.catalog, expr);
  if (columns === null) {
    if (exprType(expr) === RECORDOID)
      throw pstate.error(ERRCODE.FEATURE_NOT_SUPPORTED, 'record type has not been registered');
    throw pstate.error(ERRCODE.WRONG_OBJECT_TYPE, `type ${pstate.typeName(exprType(expr))} is not composite`);
  }
  const result: (TargetEntry | Expr)[] = [];
  columns.forEach((column, i) => {
    if (column.dropped) return;
    const select: FieldSelect = {
      type: 'FieldSelect',
      arg: copyNode(expr),
      fieldnum: i + 1,
      resulttype: column.typid,
      resulttypmod: column.typmod,
      resultcollid: column.collation,
    };
    result.push(makeTargets ? makeTargetEntry(select, pstate.next_resno++, column.name, false) : select);
  });
  return result;
}
