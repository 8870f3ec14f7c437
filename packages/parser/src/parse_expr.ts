/**
 * Expressions: from raw parse nodes to typed ones. Raw trees are never changed: they are analyzed again
 * when a catalog entry was missing or has changed.
 */
import { type Oid, INVALID_OID } from '@pgtroupe/common/ids';
import {
  BITOID,
  BOOLOID,
  INT2VECTOROID,
  INT4OID,
  INT8OID,
  NUMERICOID,
  OIDVECTOROID,
  RECORDOID,
  TEXTOID,
  UNKNOWNOID,
} from '@pgtroupe/common/oids';
import { assert } from '@pgtroupe/common/assert';
import { notSupported } from '@pgtroupe/common/ereport';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { finish } from '@pgtroupe/common/slices';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { makeBoolConst, makeBoolExpr, makeConst, makeTargetEntry, makeVar } from '@pgtroupe/nodes/makefuncs';
import { exprCollation, exprLocation, exprType, exprTypmod } from '@pgtroupe/nodes/nodefuncs';
import {
  ALL_SUBLINK,
  ANY_SUBLINK,
  ARRAY_SUBLINK,
  CMD_SELECT,
  COERCE_EXPLICIT_CAST,
  COERCE_IMPLICIT_CAST,
  COERCION_EXPLICIT,
  EXISTS_SUBLINK,
  EXPR_SUBLINK,
  IS_GREATEST,
  IS_LEAST,
  IS_NOT_NULL,
  IS_NULL,
  MULTIEXPR_SUBLINK,
  PARAM_MULTIEXPR,
  PARAM_SUBLINK,
  ROWCOMPARE_SUBLINK,
  type BoolTestType,
  type SubLinkType,
} from '@pgtroupe/nodes/nodes';
import type {
  CaseTestExpr,
  CaseWhen,
  Const,
  Expr,
  NullIfExpr,
  Param,
  RowExpr,
  SubLink,
  TargetEntry,
} from '@pgtroupe/nodes/primnodes';
import { MAX_TUPLE_ATTRIBUTE_NUMBER, parseSubAnalyze, transformExpr } from './grammar.ts';
import { columnRefForbiddenPlace, subqueryForbiddenPlace } from './exprkinds.ts';
import { transformGroupingFunc } from './parse_agg.ts';
import {
  coerceToBoolean,
  coerceToCommonType,
  coerceToTargetType,
  makeLiteralParam,
  selectCommonType,
} from './parse_coerce.ts';
import { assignExprCollations } from './parse_collate.ts';
import { parseFuncOrColumn } from './parse_func.ts';
import { nameListToString, rawStrings, type ParseNamespaceItem, type ParseState } from './parse_node.ts';
import { makeIn } from './parse_in.ts';
import { makeOp, makeScalarArrayOp } from './parse_oper.ts';
import { transformParamRef } from './parse_param.ts';
import {
  colNameToVar,
  errorMissingColumn,
  errorMissingRTE,
  expandRTE,
  getRTEByRangeTablePosn,
  markVarForSelectPriv,
  refnameNamespaceItem,
  scanNSItemForColumn,
} from './parse_relation.ts';
import { transformExpressionList } from './parse_target.ts';
import { cstringDatum, lookupCollation, stringTypeDatum, typenameType } from './parse_type.ts';
import { makeDistinctOp, makeRowComparisonOp, makeRowDistinctOp } from './parse_rowcompare.ts';
import { transformSQLValueFunction } from './parse_sqlvalue.ts';
import { rawLocation } from './rawlocation.ts';
import { transformContainerSubscripts } from './subscripts.ts';
import { wholeRowType } from './wholerow.ts';

/** An analyzed node placed into a raw tree passes through unchanged. */
function asRaw(expr: Expr): RawNode {
  return expr as unknown as RawNode;
}

function simpleAExpr(name: string, lexpr: RawNode, rexpr: RawNode, location: number): RawNode {
  return { type: 'A_Expr', kind: 'AEXPR_OP', name: [{ type: 'String', sval: name }], lexpr, rexpr, location };
}

export function transformExprRecurse(pstate: ParseState, raw: RawNode): Expr {
  switch (raw.type) {
    case 'ColumnRef':
      return transformColumnRef(pstate, raw);
    case 'ParamRef':
      return transformParamRef(pstate, raw);
    case 'A_Const':
      return makeConstFrom(pstate, raw);
    case 'A_Indirection':
      return transformIndirection(pstate, raw);
    case 'A_ArrayExpr':
      return transformArrayExpr(pstate, raw, INVALID_OID, INVALID_OID, -1);
    case 'TypeCast':
      return transformTypeCast(pstate, raw);
    case 'CollateClause':
      return transformCollateClause(pstate, raw);
    case 'A_Expr':
      return transformAExpr(pstate, raw);
    case 'BoolExpr':
      return transformBoolExpr(pstate, raw);
    case 'FuncCall':
      return transformFuncCall(pstate, raw);
    case 'MultiAssignRef':
      return transformMultiAssignRef(pstate, raw);
    case 'GroupingFunc':
      return transformGroupingFunc(pstate, raw);
    case 'NamedArgExpr':
      return {
        type: 'NamedArgExpr',
        arg: transformExprRecurse(pstate, raw.arg),
        name: raw.name,
        argnumber: -1,
        location: raw.location ?? 0,
      };
    case 'SubLink':
      return transformSubLink(pstate, raw);
    case 'CaseExpr':
      return transformCaseExpr(pstate, raw);
    case 'RowExpr':
      return transformRowExpr(pstate, raw, false);
    case 'CoalesceExpr':
      return transformCoalesceExpr(pstate, raw);
    case 'MinMaxExpr':
      return transformMinMaxExpr(pstate, raw);
    case 'SQLValueFunction':
      return transformSQLValueFunction(pstate, raw);
    case 'NullTest': {
      const arg = transformExprRecurse(pstate, raw.arg);
      return {
        type: 'NullTest',
        arg,
        nulltesttype: raw.nulltesttype === 'IS_NOT_NULL' ? IS_NOT_NULL : IS_NULL,
        argisrow: pstate.catalog.typeIsRowtype(exprType(arg)),
        location: raw.location ?? 0,
      };
    }
    case 'BooleanTest':
      return transformBooleanTest(pstate, raw);
    case 'CurrentOfExpr':
      assert(pstate.target_nsitem !== null, 'WHERE CURRENT OF has a target table');
      return {
        type: 'CurrentOfExpr',
        cvarno: pstate.target_nsitem.rtindex,
        cursor_name: raw.cursor_name ?? null,
        cursor_param: 0,
      };
    case 'SetToDefault':
      throw pstate.error(ERRCODE.SYNTAX_ERROR, 'DEFAULT is not allowed in this context', raw.location ?? 0);
    case 'CaseTestExpr':
    case 'Var':
    case 'CoerceToDomainValue':
      return raw as unknown as Expr;
    case 'AnalyzedExpr':
      // A command runs an expression it analyzed before, as part of a query.
      return raw.expr as Expr;
    case 'XmlExpr':
    case 'XmlSerialize':
      throw notSupported('XML');
    default:
      // Node types newer than PostgreSQL 15 (JSON constructors and the like).
      if (raw.type.startsWith('Json')) throw notSupported('this SQL/JSON construct');
      throw notSupported(`expression ${raw.type}`);
  }
}

const INT32_MAX = 2147483647;
const INT64_MIN = -(2n ** 63n);
const INT64_MAX = 2n ** 63n - 1n;

/** A literal; numbers get the smallest of int4, int8, numeric that holds them. */
function makeConstFrom(pstate: ParseState, raw: RawNode): Expr {
  const location: number = raw.location ?? 0;
  const literal = raw.literal as Const['literal'];
  const number = (type: Oid, len: number, value: number | bigint): Expr => {
    if (literal) return makeLiteralParam(pstate, literal, type, -1, INVALID_OID, location);
    return makeConst(type, -1, INVALID_OID, len, true, value, location);
  };
  if (raw.isnull) return makeConst(UNKNOWNOID, -1, INVALID_OID, -2, false, null, location);
  if (raw.ival) return number(INT4OID, 4, raw.ival.ival ?? 0);
  if (raw.fval) {
    const text: string = raw.fval.fval;
    if (/^-?\d+$/.test(text)) {
      const wide = BigInt(text);
      if (wide >= -INT32_MAX - 1 && wide <= INT32_MAX) return number(INT4OID, 4, Number(wide));
      if (wide >= INT64_MIN && wide <= INT64_MAX) {
        const narrow = Number(wide);
        return number(INT8OID, 8, Number.isSafeInteger(narrow) ? narrow : wide);
      }
    }
    if (literal) return makeLiteralParam(pstate, literal, NUMERICOID, -1, INVALID_OID, location);
    const value = pstate.withPosition(location, () =>
      stringTypeDatum(pstate, pstate.catalog.type(NUMERICOID), text, -1),
    );
    return makeConst(NUMERICOID, -1, INVALID_OID, -1, false, value, location);
  }
  if (raw.boolval) return makeBoolConst(raw.boolval.boolval ?? false, location);
  if (raw.bsval) {
    const value = pstate.withPosition(location, () =>
      stringTypeDatum(pstate, pstate.catalog.type(BITOID), raw.bsval.bsval, -1),
    );
    return makeConst(BITOID, -1, INVALID_OID, -1, false, value, location);
  }
  assert(raw.sval !== undefined, 'a literal has a value');
  const con = makeConst(
    UNKNOWNOID,
    -1,
    INVALID_OID,
    -2,
    false,
    raw.sval.bytes ?? cstringDatum(raw.sval.sval ?? ''),
    location,
  );
  return literal ? { ...con, literal } : con;
}

function unknownAttribute(pstate: ParseState, relref: Expr, attname: string, location: number): Error {
  if (relref.type === 'Var' && relref.varattno === 0) {
    const rte = getRTEByRangeTablePosn(pstate, relref.varno, relref.varlevelsup);
    return pstate.error(ERRCODE.UNDEFINED_COLUMN, `column ${rte.eref.aliasname}.${attname} does not exist`, location);
  }
  const type = exprType(relref);
  if (pstate.catalog.isComplex(type)) {
    return pstate.error(
      ERRCODE.UNDEFINED_COLUMN,
      `column "${attname}" not found in data type ${pstate.typeName(type)}`,
      location,
    );
  }
  if (type === RECORDOID) {
    return pstate.error(
      ERRCODE.UNDEFINED_COLUMN,
      `could not identify column "${attname}" in record data type`,
      location,
    );
  }
  return pstate.error(
    ERRCODE.WRONG_OBJECT_TYPE,
    `column notation .${attname} applied to type ${pstate.typeName(type)}, which is not a composite type`,
    location,
  );
}

function transformIndirection(pstate: ParseState, raw: RawNode): Expr {
  const lastSrf = pstate.last_srf;
  let result = transformExprRecurse(pstate, raw.arg);
  const location = exprLocation(result);
  let subscripts: RawNode[] = [];
  const applySubscripts = () => {
    if (subscripts.length === 0) return;
    result = transformContainerSubscripts(pstate, result, exprType(result), exprTypmod(result), subscripts, false);
    subscripts = [];
  };
  for (const step of raw.indirection as RawNode[]) {
    if (step.type === 'A_Indices') subscripts.push(step);
    else if (step.type === 'A_Star') {
      throw pstate.error(ERRCODE.FEATURE_NOT_SUPPORTED, 'row expansion via "*" is not supported here', location);
    } else {
      applySubscripts();
      const field: Expr | null = parseFuncOrColumn(
        pstate,
        [step.sval as string],
        [result],
        lastSrf,
        null,
        false,
        location,
      );
      if (field === null) throw unknownAttribute(pstate, result, step.sval as string, location);
      result = field;
    }
  }
  applySubscripts();
  return result;
}

function transformColumnRef(pstate: ParseState, cref: RawNode): Expr {
  const location: number = cref.location ?? 0;
  const place = columnRefForbiddenPlace(pstate.expr_kind);
  if (place !== null) {
    throw pstate.error(ERRCODE.FEATURE_NOT_SUPPORTED, `cannot use column reference in ${place}`, location);
  }
  const hooked = pstate.columnRefHook?.(pstate, cref);
  if (hooked) return hooked;
  const fields = cref.fields as RawNode[];
  const names = fields.map(field => (field.type === 'A_Star' ? '*' : (field.sval as string)));
  if (fields.length === 1) {
    const name = names[0] as string;
    const variable = colNameToVar(pstate, name, false, location);
    if (variable) return variable;
    const found = refnameNamespaceItem(pstate, null, name, location);
    if (found) return transformWholeRowRef(pstate, found.nsitem, found.levelsup, location);
    throw errorMissingColumn(pstate, null, name, location);
  }
  if (fields.length > 4) {
    throw pstate.error(
      ERRCODE.SYNTAX_ERROR,
      `improper qualified name (too many dotted names): ${nameListToString(names)}`,
      location,
    );
  }
  const last = fields[fields.length - 1] as RawNode;
  const relname = names[names.length - 2] as string;
  const schema = names.length > 2 ? (names[names.length - 3] as string) : null;
  if (fields.length === 4 && names[0] !== pstate.catalog.session.databaseName) {
    throw pstate.error(
      ERRCODE.FEATURE_NOT_SUPPORTED,
      `cross-database references are not implemented: ${nameListToString(names)}`,
      location,
    );
  }
  const found = refnameNamespaceItem(pstate, schema, relname, location);
  if (!found) throw errorMissingRTE(pstate, schema, relname, location);
  const { nsitem, levelsup } = found;
  if (last.type === 'A_Star') return transformWholeRowRef(pstate, nsitem, levelsup, location);
  const colname = last.sval as string;
  const column = scanNSItemForColumn(pstate, nsitem, levelsup, colname, location);
  if (column) return column;
  // Perhaps a function of the row.
  const row = transformWholeRowRef(pstate, nsitem, levelsup, location);
  const called = parseFuncOrColumn(pstate, [colname], [row], pstate.last_srf, null, false, location);
  if (called) return called;
  throw errorMissingColumn(pstate, relname, colname, location);
}

function transformWholeRowRef(
  pstate: ParseState,
  nsitem: ParseNamespaceItem,
  levelsup: number,
  location: number,
): Expr {
  if (nsitem.names === nsitem.rte.eref) {
    const variable = makeVar(nsitem.rtindex, 0, INVALID_OID, -1, INVALID_OID, levelsup, location);
    Object.assign(variable, wholeRowType(pstate, nsitem.rte, true));
    markVarForSelectPriv(pstate, variable);
    return variable;
  }
  // The alias of JOIN USING covers the merged columns only.
  const { vars } = expandRTE(pstate, nsitem.rte, nsitem.rtindex, levelsup, location, false);
  const count = nsitem.names.colnames.length;
  return {
    type: 'RowExpr',
    args: vars.slice(0, count),
    row_typeid: RECORDOID,
    row_format: COERCE_IMPLICIT_CAST,
    colnames: nsitem.names.colnames.slice(),
    location,
  };
}

function isNullConstant(raw: RawNode | undefined): boolean {
  return raw?.type === 'A_Const' && raw.isnull === true;
}

function transformAExpr(pstate: ParseState, raw: RawNode): Expr {
  switch (raw.kind as string) {
    case 'AEXPR_OP':
    case 'AEXPR_LIKE':
    case 'AEXPR_ILIKE':
    case 'AEXPR_SIMILAR':
      return transformAExprOp(pstate, raw);
    case 'AEXPR_OP_ANY':
    case 'AEXPR_OP_ALL': {
      const left = transformExprRecurse(pstate, raw.lexpr);
      const right = transformExprRecurse(pstate, raw.rexpr);
      return makeScalarArrayOp(
        pstate,
        rawStrings(raw.name),
        raw.kind === 'AEXPR_OP_ANY',
        left,
        right,
        raw.location ?? 0,
      );
    }
    case 'AEXPR_DISTINCT':
    case 'AEXPR_NOT_DISTINCT':
      return transformAExprDistinct(pstate, raw);
    case 'AEXPR_NULLIF':
      return transformAExprNullIf(pstate, raw);
    case 'AEXPR_IN':
      return transformAExprIn(pstate, raw);
    default:
      return transformAExprBetween(pstate, raw);
  }
}

function transformAExprOp(pstate: ParseState, raw: RawNode): Expr {
  const left: RawNode | undefined = raw.lexpr;
  const right: RawNode = raw.rexpr;
  const names = rawStrings(raw.name);
  const location: number = raw.location ?? 0;
  if (left?.type === 'RowExpr' && right.type === 'SubLink' && right.subLinkType === 'EXPR_SUBLINK') {
    return transformSubLink(pstate, {
      ...right,
      subLinkType: 'ROWCOMPARE_SUBLINK',
      testexpr: left,
      operName: raw.name,
      location,
    });
  }
  if (left?.type === 'RowExpr' && right.type === 'RowExpr') {
    const l = transformExprRecurse(pstate, left) as RowExpr;
    const r = transformExprRecurse(pstate, right) as RowExpr;
    return makeRowComparisonOp(pstate, names, l.args, r.args, location);
  }
  const lastSrf = pstate.last_srf;
  const l = left ? transformExprRecurse(pstate, left) : null;
  const r = transformExprRecurse(pstate, right);
  return makeOp(pstate, names, l, r, lastSrf, location);
}

function transformAExprDistinct(pstate: ParseState, raw: RawNode): Expr {
  const negated = raw.kind === 'AEXPR_NOT_DISTINCT';
  const location: number = raw.location ?? 0;
  const nullOther = isNullConstant(raw.rexpr) ? raw.lexpr : isNullConstant(raw.lexpr) ? raw.rexpr : null;
  if (nullOther) {
    return {
      type: 'NullTest',
      arg: transformExprRecurse(pstate, nullOther),
      nulltesttype: negated ? IS_NULL : IS_NOT_NULL,
      argisrow: false,
      location,
    };
  }
  const names = rawStrings(raw.name);
  const left = transformExprRecurse(pstate, raw.lexpr);
  const right = transformExprRecurse(pstate, raw.rexpr);
  let result: Expr;
  if (left.type === 'RowExpr' && right.type === 'RowExpr')
    result = makeRowDistinctOp(pstate, names, left, right, location);
  else result = makeDistinctOp(pstate, names, left, right, location);
  return negated ? makeBoolExpr('not', [result], location) : result;
}

function transformAExprNullIf(pstate: ParseState, raw: RawNode): Expr {
  const location: number = raw.location ?? 0;
  const left = transformExprRecurse(pstate, raw.lexpr);
  const right = transformExprRecurse(pstate, raw.rexpr);
  const op = makeOp(pstate, rawStrings(raw.name), left, right, pstate.last_srf, location);
  if (op.opresulttype !== BOOLOID) {
    throw pstate.error(ERRCODE.DATATYPE_MISMATCH, 'NULLIF requires = operator to yield boolean', location);
  }
  if (op.opretset) throw pstate.error(ERRCODE.DATATYPE_MISMATCH, 'NULLIF must not return a set', location);
  const result: NullIfExpr = { ...op, type: 'NullIfExpr', opresulttype: exprType(op.args[0] as Expr) };
  return result;
}

/** x IN (list): one = ANY(array) for the items without variables if they have a common type, else ORs. */
function transformAExprIn(pstate: ParseState, raw: RawNode): Expr {
  const left = transformExprRecurse(pstate, raw.lexpr);
  const items: RawNode[] = raw.rexpr.items ?? [];
  return makeIn(
    pstate,
    raw,
    left,
    items.map(item => transformExprRecurse(pstate, item)),
  );
}

function transformAExprBetween(pstate: ParseState, raw: RawNode): Expr {
  const location: number = raw.location ?? 0;
  const value: RawNode = raw.lexpr;
  const [low, high] = raw.rexpr.items as [RawNode, RawNode];
  const bool = (boolop: string, args: RawNode[]): RawNode => ({ type: 'BoolExpr', boolop, args, location });
  const compare = (name: string, bound: RawNode) => simpleAExpr(name, value, bound, location);
  const inside = (lo: RawNode, hi: RawNode) => bool('AND_EXPR', [compare('>=', lo), compare('<=', hi)]);
  const outside = (lo: RawNode, hi: RawNode) => bool('OR_EXPR', [compare('<', lo), compare('>', hi)]);
  switch (raw.kind as string) {
    case 'AEXPR_BETWEEN':
      return transformExprRecurse(pstate, inside(low, high));
    case 'AEXPR_NOT_BETWEEN':
      return transformExprRecurse(pstate, outside(low, high));
    case 'AEXPR_BETWEEN_SYM':
      return transformExprRecurse(pstate, bool('OR_EXPR', [inside(low, high), inside(high, low)]));
    case 'AEXPR_NOT_BETWEEN_SYM':
      return transformExprRecurse(pstate, bool('AND_EXPR', [outside(low, high), outside(high, low)]));
    default:
      throw notSupported(`operator expression ${raw.kind}`);
  }
}

export const BOOL_OPS = { AND_EXPR: 'and', OR_EXPR: 'or', NOT_EXPR: 'not' } as const;

function transformBoolExpr(pstate: ParseState, raw: RawNode): Expr {
  const op = BOOL_OPS[raw.boolop as keyof typeof BOOL_OPS];
  const args = (raw.args as RawNode[]).map(arg =>
    coerceToBoolean(pstate, transformExprRecurse(pstate, arg), op.toUpperCase()),
  );
  return makeBoolExpr(op, args, raw.location ?? 0);
}

function transformFuncCall(pstate: ParseState, raw: RawNode): Expr {
  const lastSrf = pstate.last_srf;
  const args = ((raw.args as RawNode[] | undefined) ?? []).map(arg => transformExprRecurse(pstate, arg));
  if (raw.agg_within_group) {
    // The ordering columns are arguments too.
    for (const sortby of raw.agg_order as RawNode[]) args.push(transformExpr(pstate, sortby.node, 'ORDER_BY'));
  }
  const result = parseFuncOrColumn(pstate, rawStrings(raw.funcname), args, lastSrf, raw, false, raw.location ?? 0);
  assert(result !== null, 'a call that means nothing is an error');
  return result;
}

/** One column of SET (a, b) = ...; the source is analyzed with the first. */
function transformMultiAssignRef(pstate: ParseState, raw: RawNode): Expr {
  const colno: number = raw.colno;
  const ncolumns: number = raw.ncolumns;
  const source: RawNode = raw.source;
  const mismatch = (location: number) =>
    pstate.error(ERRCODE.SYNTAX_ERROR, 'number of columns does not match number of values', location);
  if (colno === 1) {
    if (source.type === 'SubLink' && source.subLinkType === 'EXPR_SUBLINK') {
      const sublink = transformSubLink(pstate, { ...source, subLinkType: 'MULTIEXPR_SUBLINK' });
      if (sublink.subselect.targetList.filter(tle => !tle.resjunk).length !== ncolumns)
        throw mismatch(sublink.location);
      pstate.multiassign_exprs.push(makeTargetEntry(sublink, 0, null, true));
      sublink.subLinkId = pstate.multiassign_exprs.length;
    } else if (source.type === 'RowExpr') {
      const row = transformRowExpr(pstate, source, true);
      if (row.args.length !== ncolumns) throw mismatch(row.location);
      pstate.multiassign_exprs.push(makeTargetEntry(row, 0, null, true));
    } else {
      throw pstate.error(
        ERRCODE.FEATURE_NOT_SUPPORTED,
        'source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression',
        rawLocation(source),
      );
    }
  }
  const { expr } = pstate.multiassign_exprs[pstate.multiassign_exprs.length - 1] as TargetEntry;
  if (expr.type === 'SubLink') {
    const column = expr.subselect.targetList[colno - 1] as TargetEntry;
    return {
      type: 'Param',
      paramkind: PARAM_MULTIEXPR,
      paramid: (expr.subLinkId << 16) | colno,
      paramtype: exprType(column.expr),
      paramtypmod: exprTypmod(column.expr),
      paramcollid: exprCollation(column.expr),
      location: exprLocation(column.expr),
    };
  }
  assert(expr.type === 'RowExpr', 'a multiple assignment comes from a sub-SELECT or a row');
  if (colno === ncolumns) pstate.multiassign_exprs.pop();
  return expr.args[colno - 1] as Expr;
}

function transformCaseExpr(pstate: ParseState, raw: RawNode): Expr {
  const lastSrf = pstate.last_srf;
  let arg: Expr | null = null;
  let placeholder: CaseTestExpr | null = null;
  if (raw.arg) {
    arg = transformExprRecurse(pstate, raw.arg);
    if (exprType(arg) === UNKNOWNOID) arg = coerceToCommonType(pstate, arg, TEXTOID, 'CASE');
    assignExprCollations(pstate, arg);
    placeholder = {
      type: 'CaseTestExpr',
      typeId: exprType(arg),
      typeMod: exprTypmod(arg),
      collation: exprCollation(arg),
    };
  }
  const whens = (raw.args as RawNode[]).map((when): CaseWhen => {
    const location: number = when.location ?? 0;
    const condition = placeholder ? simpleAExpr('=', asRaw(placeholder), when.expr, location) : when.expr;
    const expr = coerceToBoolean(pstate, transformExprRecurse(pstate, condition), 'CASE/WHEN');
    return { type: 'CaseWhen', expr, result: transformExprRecurse(pstate, when.result), location };
  });
  const otherwise = transformExprRecurse(pstate, raw.defresult ?? { type: 'A_Const', isnull: true, location: -1 });
  const type = selectCommonType(pstate, [otherwise, ...whens.map(w => w.result)], 'CASE').type;
  const defresult = coerceToCommonType(pstate, otherwise, type, 'CASE/ELSE');
  for (const when of whens) when.result = coerceToCommonType(pstate, when.result, type, 'CASE/WHEN');
  requireNoSrf(pstate, lastSrf, 'CASE');
  return {
    type: 'CaseExpr',
    casetype: type,
    casecollid: INVALID_OID,
    arg,
    args: whens,
    defresult,
    location: raw.location ?? 0,
  };
}

function requireNoSrf(pstate: ParseState, lastSrf: Expr | null, construct: string): void {
  if (pstate.last_srf === lastSrf) return;
  throw pstate.error(
    ERRCODE.FEATURE_NOT_SUPPORTED,
    `set-returning functions are not allowed in ${construct}`,
    exprLocation(pstate.last_srf),
    { hint: 'You might be able to move the set-returning function into a LATERAL FROM item.' },
  );
}

const SUBLINK_TYPES: Readonly<Record<string, SubLinkType>> = {
  EXISTS_SUBLINK,
  ALL_SUBLINK,
  ANY_SUBLINK,
  ROWCOMPARE_SUBLINK,
  EXPR_SUBLINK,
  MULTIEXPR_SUBLINK,
  ARRAY_SUBLINK,
};

function transformSubLink(pstate: ParseState, raw: RawNode): SubLink {
  const location: number = raw.location ?? 0;
  const place = subqueryForbiddenPlace(pstate.expr_kind);
  if (place !== null) throw pstate.error(ERRCODE.FEATURE_NOT_SUPPORTED, `cannot use subquery in ${place}`, location);
  pstate.hasSubLinks = true;
  const query = finish(parseSubAnalyze(pstate, raw.subselect, null, false, true));
  assert(query.commandType === CMD_SELECT, 'a subquery in an expression is a SELECT');
  const columns = query.targetList.filter(tle => !tle.resjunk);
  const kind = SUBLINK_TYPES[raw.subLinkType as string] as SubLinkType;
  const result: SubLink = {
    type: 'SubLink',
    subLinkType: kind,
    subLinkId: 0,
    testexpr: null,
    operName: [],
    subselect: query,
    arraytype: INVALID_OID,
    location,
  };
  if (kind === EXISTS_SUBLINK || kind === MULTIEXPR_SUBLINK) return result;
  if (kind === EXPR_SUBLINK || kind === ARRAY_SUBLINK) {
    if (columns.length !== 1)
      throw pstate.error(ERRCODE.SYNTAX_ERROR, 'subquery must return only one column', location);
    if (kind === ARRAY_SUBLINK) {
      const elem = exprType((columns[0] as TargetEntry).expr);
      result.arraytype = pstate.catalog.promotedArrayType(elem);
      if (result.arraytype === 0) {
        throw pstate.error(
          ERRCODE.UNDEFINED_OBJECT,
          `could not find array type for data type ${pstate.typeName(elem)}`,
        );
      }
    }
    return result;
  }
  const names = raw.operName ? rawStrings(raw.operName) : ['='];
  const lefthand = transformExprRecurse(pstate, raw.testexpr);
  const left = lefthand.type === 'RowExpr' ? lefthand.args : [lefthand];
  const right = columns.map(
    (tle): Param => ({
      type: 'Param',
      paramkind: PARAM_SUBLINK,
      paramid: tle.resno,
      paramtype: exprType(tle.expr),
      paramtypmod: exprTypmod(tle.expr),
      paramcollid: exprCollation(tle.expr),
      location: -1,
    }),
  );
  if (left.length < right.length) throw pstate.error(ERRCODE.SYNTAX_ERROR, 'subquery has too many columns', location);
  if (left.length > right.length) throw pstate.error(ERRCODE.SYNTAX_ERROR, 'subquery has too few columns', location);
  result.operName = names;
  result.testexpr = makeRowComparisonOp(pstate, names, left, right, location);
  return result;
}

/** ARRAY[...]; with a type given (by a cast around it) the elements are cast to it. */
function transformArrayExpr(pstate: ParseState, raw: RawNode, arrayType: Oid, elementType: Oid, typmod: number): Expr {
  const { catalog } = pstate;
  const location: number = raw.location ?? 0;
  let multidims = false;
  const elems = ((raw.elements as RawNode[] | undefined) ?? []).map(element => {
    if (element.type === 'A_ArrayExpr') {
      multidims = true;
      return transformArrayExpr(pstate, element, arrayType, elementType, typmod);
    }
    const expr = transformExprRecurse(pstate, element);
    const type = exprType(expr);
    if (!multidims && type !== INT2VECTOROID && type !== OIDVECTOROID && catalog.elementType(type) !== 0)
      multidims = true;
    return expr;
  });
  const hard = arrayType !== 0;
  let coerce: Oid;
  if (hard) coerce = multidims ? arrayType : elementType;
  else {
    if (elems.length === 0) {
      throw pstate.error(ERRCODE.INDETERMINATE_DATATYPE, 'cannot determine type of empty array', location, {
        hint: 'Explicitly cast to the desired type, for example ARRAY[]::integer[].',
      });
    }
    coerce = selectCommonType(pstate, elems, 'ARRAY').type;
    if (multidims) {
      arrayType = coerce;
      elementType = catalog.elementType(arrayType);
      if (elementType === 0) {
        throw pstate.error(
          ERRCODE.UNDEFINED_OBJECT,
          `could not find element type for data type ${pstate.typeName(arrayType)}`,
          location,
        );
      }
    } else {
      elementType = coerce;
      arrayType = catalog.arrayType(elementType);
      if (arrayType === 0) {
        throw pstate.error(
          ERRCODE.UNDEFINED_OBJECT,
          `could not find array type for data type ${pstate.typeName(elementType)}`,
          location,
        );
      }
    }
  }
  const elements = elems.map(elem => {
    if (!hard) return coerceToCommonType(pstate, elem, coerce, 'ARRAY');
    const cast = coerceToTargetType(
      pstate,
      elem,
      exprType(elem),
      coerce,
      typmod,
      COERCION_EXPLICIT,
      COERCE_EXPLICIT_CAST,
      -1,
    );
    if (cast === null) {
      throw pstate.error(
        ERRCODE.CANNOT_COERCE,
        `cannot cast type ${pstate.typeName(exprType(elem))} to ${pstate.typeName(coerce)}`,
        exprLocation(elem),
      );
    }
    return cast;
  });
  return {
    type: 'ArrayExpr',
    array_typeid: arrayType,
    array_collid: INVALID_OID,
    element_typeid: elementType,
    elements,
    multidims,
    location,
  };
}

function transformRowExpr(pstate: ParseState, raw: RawNode, allowDefault: boolean): RowExpr {
  const location: number = raw.location ?? 0;
  const args = transformExpressionList(pstate, raw.args ?? [], pstate.expr_kind, allowDefault);
  if (args.length > MAX_TUPLE_ATTRIBUTE_NUMBER) {
    throw pstate.error(
      ERRCODE.TOO_MANY_COLUMNS,
      `ROW expressions can have at most ${MAX_TUPLE_ATTRIBUTE_NUMBER} entries`,
      location,
    );
  }
  return {
    type: 'RowExpr',
    args,
    row_typeid: RECORDOID,
    row_format: COERCE_IMPLICIT_CAST,
    colnames: args.map((_, i) => `f${i + 1}`),
    location,
  };
}

function transformCoalesceExpr(pstate: ParseState, raw: RawNode): Expr {
  const lastSrf = pstate.last_srf;
  const args = (raw.args as RawNode[]).map(arg => transformExprRecurse(pstate, arg));
  const type = selectCommonType(pstate, args, 'COALESCE').type;
  const coerced = args.map(arg => coerceToCommonType(pstate, arg, type, 'COALESCE'));
  requireNoSrf(pstate, lastSrf, 'COALESCE');
  return {
    type: 'CoalesceExpr',
    coalescetype: type,
    coalescecollid: INVALID_OID,
    args: coerced,
    location: raw.location ?? 0,
  };
}

function transformMinMaxExpr(pstate: ParseState, raw: RawNode): Expr {
  const name = raw.op === 'IS_LEAST' ? 'LEAST' : 'GREATEST';
  const args = (raw.args as RawNode[]).map(arg => transformExprRecurse(pstate, arg));
  const type = selectCommonType(pstate, args, name).type;
  return {
    type: 'MinMaxExpr',
    minmaxtype: type,
    minmaxcollid: INVALID_OID,
    inputcollid: INVALID_OID,
    op: raw.op === 'IS_LEAST' ? IS_LEAST : IS_GREATEST,
    args: args.map(arg => coerceToCommonType(pstate, arg, type, name)),
    location: raw.location ?? 0,
  };
}

const BOOL_TESTS = ['IS_TRUE', 'IS_NOT_TRUE', 'IS_FALSE', 'IS_NOT_FALSE', 'IS_UNKNOWN', 'IS_NOT_UNKNOWN'];

function transformBooleanTest(pstate: ParseState, raw: RawNode): Expr {
  const test = raw.booltesttype as string;
  return {
    type: 'BooleanTest',
    arg: coerceToBoolean(pstate, transformExprRecurse(pstate, raw.arg), test.replaceAll('_', ' ')),
    booltesttype: BOOL_TESTS.indexOf(test) as BoolTestType,
    location: raw.location ?? 0,
  };
}

function transformTypeCast(pstate: ParseState, raw: RawNode): Expr {
  const { catalog } = pstate;
  const { type, typmod } = typenameType(pstate, raw.typeName);
  const target: Oid = type.oid;
  let expr: Expr;
  const base = raw.arg.type === 'A_ArrayExpr' ? catalog.baseTypeAndTypmod(target, typmod) : null;
  const element = base ? catalog.elementType(base.type) : 0;
  if (base && element !== 0) expr = transformArrayExpr(pstate, raw.arg, base.type, element, base.typmod);
  else expr = transformExprRecurse(pstate, raw.arg);
  const input = exprType(expr);
  let location: number = raw.location ?? 0;
  if (location < 0) location = raw.typeName.location ?? 0;
  const result = coerceToTargetType(
    pstate,
    expr,
    input,
    target,
    typmod,
    COERCION_EXPLICIT,
    COERCE_EXPLICIT_CAST,
    location,
  );
  if (result === null) {
    throw pstate.error(
      ERRCODE.CANNOT_COERCE,
      `cannot cast type ${pstate.typeName(input)} to ${pstate.typeName(target)}`,
      location >= 0 ? location : exprLocation(expr),
    );
  }
  return result;
}

function transformCollateClause(pstate: ParseState, raw: RawNode): Expr {
  const location: number = raw.location ?? 0;
  const arg = transformExprRecurse(pstate, raw.arg);
  const type = exprType(arg);
  if (!pstate.catalog.typeIsCollatable(type) && type !== UNKNOWNOID) {
    throw pstate.error(
      ERRCODE.DATATYPE_MISMATCH,
      `collations are not supported by type ${pstate.typeName(type)}`,
      location,
    );
  }
  return { type: 'CollateExpr', arg, collOid: lookupCollation(pstate, raw.collname, location), location };
}
