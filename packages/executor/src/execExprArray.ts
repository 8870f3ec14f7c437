/**
 * ARRAY[...], subscripts, op ANY/ALL (array), element-wise casts.
 */
import { BOOLOID, INT4OID, JSONBOID } from '@pgtroupe/common/oids';
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { exprType } from '@pgtroupe/nodes/nodefuncs';
import type {
  ArrayCoerceExpr,
  ArrayExpr,
  Const,
  Expr,
  ScalarArrayOpExpr,
  SubscriptingRef,
} from '@pgtroupe/nodes/primnodes';
import { getOperator } from '@pgtroupe/optimizer/lsyscache';
import {
  arrayGetElement,
  arrayGetSlice,
  arraySetElement,
  arraySetSlice,
  fixedArrayGetElement,
  fixedArraySetElement,
} from '@pgtroupe/adt/arraysubs';
import { jsonbGetElement, jsonbSetElement } from '@pgtroupe/adt/jsonbsubs';
import { arrayHeader, buildArray, constructArray, deconstructArray, emptyArray } from '@pgtroupe/adt/arrayutils';
import { latin1ToString, textToString } from '@pgtroupe/adt/mb/mbutils';
import { baseTypeFacts, typeFactsOf } from './arrays.ts';
import type { RowReader } from './batch.ts';
import { compileExpr, type ExprScope, innerScope, makeCall, procFunction, procRow } from './execExpr.ts';

export function compileArrayExpr(expr: ArrayExpr, scope: ExprScope): RowReader {
  const elem = typeFactsOf(scope.est, expr.element_typeid);
  const elements = expr.elements.map(e => compileExpr(e, scope));
  if (!expr.multidims)
    return row =>
      buildArray(
        elements.map(e => e(row)),
        elem,
      );
  return row => {
    // Nested arrays must all have the same shape; nulls and empties among them count for nothing.
    const values: Datum[] = [];
    let dims: readonly number[] | undefined;
    let lbounds: readonly number[] = [];
    let count = 0;
    let sawEmpty = false;
    for (const read of elements) {
      const part = read(row) as Uint8Array | null;
      const header = part === null ? undefined : arrayHeader(part);
      if (header === undefined || header.ndim === 0) {
        sawEmpty = true;
        continue;
      }
      if (dims === undefined) ({ dims, lbounds } = header);
      else if (
        dims.length !== header.dims.length ||
        dims.some((d, i) => d !== header.dims[i] || lbounds[i] !== header.lbounds[i])
      )
        throw mismatch();
      values.push(...deconstructArray(part!, elem, header));
      count++;
    }
    if (dims === undefined) return emptyArray(elem.oid);
    if (sawEmpty) throw mismatch();
    return constructArray(values, elem, [count, ...dims], [1, ...lbounds]);
  };
}

function mismatch(): Error {
  return ereport(
    ERRCODE.ARRAY_SUBSCRIPT_ERROR,
    'multidimensional arrays must have array expressions with matching dimensions',
  );
}

export function compileScalarArrayOp(expr: ScalarArrayOpExpr, scope: ExprScope): RowReader {
  const { est } = scope;
  const op = getOperator(est.env.rows, expr.opno);
  const proc = procRow(est, expr.opfuncid || op.oprcode);
  const fn = procFunction(proc, expr.inputcollid);
  const [leftExpr, rightExpr] = expr.args as [Expr, Expr];
  const arrayType = baseTypeFacts(est, exprType(rightExpr));
  const elem = typeFactsOf(est, arrayType.typelem);
  const fc = makeCall(est, [exprType(leftExpr), elem.oid], BOOLOID, expr.inputcollid);
  const left = compileExpr(leftExpr, scope);
  const elementsOf = compileElements(rightExpr, elem, scope);
  const strict = proc.proisstrict;
  const { useOr } = expr;
  const lookUp = SET_KEYS[proc.prosrc];
  const hashed = lookUp !== undefined && lookUp.equality === useOr ? lookUp.key : undefined;
  return row => {
    const value = left(row);
    const list = elementsOf(row);
    if (list === null) return null;
    const { elements } = list;
    // No elements: false for ANY, true for ALL, whatever the left side is.
    if (elements.length === 0) return !useOr;
    if (value === null && strict) return null;
    if (hashed !== undefined && elements.length >= MIN_ELEMENTS_FOR_SET) {
      list.set ??= new Set(elements.map(element => (element === null ? null : hashed(element))));
      if (list.set.has(hashed(value))) return useOr;
      return list.set.has(null) ? null : !useOr;
    }
    let unknown = false;
    for (let i = 0; i < elements.length; i++) {
      const element = elements[i]!;
      const result = element === null && strict ? null : fn(fc, value, element);
      if (result === null) unknown = true;
      else if (result === useOr) return useOr;
    }
    return unknown ? null : !useOr;
  };
}

/** As PostgreSQL: fewer are looked through (MIN_ARRAY_SIZE_FOR_HASHED_SAOP). */
const MIN_ELEMENTS_FOR_SET = 9;

interface Elements {
  readonly elements: readonly Datum[];
  set?: Set<unknown>;
}

/** The elements of an array, those of an array that is the same again as they were. */
function compileElements(
  expr: Expr,
  elem: ReturnType<typeof typeFactsOf>,
  scope: ExprScope,
): (row: number) => Elements | null {
  // Of constants, the array itself is not needed.
  if (expr.type === 'ArrayExpr' && !expr.multidims && expr.elements.every(e => e.type === 'Const')) {
    const list: Elements = { elements: expr.elements.map(e => (e as Const).constvalue) };
    return () => list;
  }
  const read = compileExpr(expr, scope);
  let last: Datum = null;
  let list: Elements | undefined;
  scope.est.releases.push(() => {
    list = undefined;
    last = null;
  });
  return row => {
    const array = read(row) as Uint8Array | null;
    if (array === null) return null;
    if (list !== undefined && array === last) return list;
    list = { elements: deconstructArray(array, elem) };
    last = array;
    return list;
  };
}

const sameNumber = (value: Datum): unknown => value;
const sameText = (value: Datum): unknown => latin1ToString(value as Uint8Array);

/** Equality (and inequality) that a Set knows too, by the operator's function. */
const SET_KEYS: Readonly<Record<string, { readonly equality: boolean; readonly key: (value: Datum) => unknown }>> =
  Object.fromEntries(
    [
      ...['int2', 'int4', 'int8', 'int24', 'int42', 'int28', 'int82', 'int48', 'int84', 'oid', 'date_'].map(
        type => [type, sameNumber] as const,
      ),
      ['text', sameText] as const,
    ].flatMap(([type, key]) => [
      [`${type}eq`, { equality: true, key }],
      [`${type}ne`, { equality: false, key }],
    ]),
  );

export function compileArrayCoerce(expr: ArrayCoerceExpr, scope: ExprScope): RowReader {
  const { est } = scope;
  const arg = compileExpr(expr.arg, scope);
  const from = typeFactsOf(est, baseTypeFacts(est, exprType(expr.arg)).typelem);
  const to = typeFactsOf(est, baseTypeFacts(est, expr.resulttype).typelem);
  const cell: { value: Datum } = { value: null };
  const convert = compileExpr(expr.elemexpr, innerScope(scope, { caseTest: cell }));
  return row => {
    const array = arg(row) as Uint8Array | null;
    if (array === null) return null;
    const header = arrayHeader(array);
    if (header.ndim === 0) return emptyArray(to.oid);
    const values = deconstructArray(array, from, header).map(value => {
      cell.value = value;
      return convert(row);
    });
    return constructArray(values, to, header.dims, header.lbounds);
  };
}

/** A subscript that is null makes what is read null, and is an error in an assignment. */
function compileJsonbSubscripts(expr: SubscriptingRef, scope: ExprScope): RowReader {
  const json = compileExpr(expr.refexpr, scope);
  const subscripts = expr.refupperindexpr.map(e => ({ read: compileExpr(e!, scope), number: exprType(e) === INT4OID }));
  const assignment = expr.refassgnexpr === null ? undefined : compileExpr(expr.refassgnexpr, scope);
  const pathAt = (row: number): string[] | null => {
    const path: string[] = [];
    for (const { read, number } of subscripts) {
      const value = read(row);
      if (value === null) return null;
      path.push(number ? String(value) : textToString(value as Uint8Array));
    }
    return path;
  };
  return row => {
    const value = json(row) as Uint8Array | null;
    if (value === null && assignment === undefined) return null;
    const path = pathAt(row);
    if (assignment === undefined) return path === null ? null : jsonbGetElement(value!, path);
    if (path === null) throw ereport(ERRCODE.NULL_VALUE_NOT_ALLOWED, 'jsonb subscript in assignment must not be null');
    return jsonbSetElement(value, path, subscripts[0]!.number, assignment(row) as Uint8Array | null);
  };
}

export function compileSubscriptingRef(expr: SubscriptingRef, scope: ExprScope): RowReader {
  const { est } = scope;
  const container = baseTypeFacts(est, expr.refcontainertype);
  if (container.oid === JSONBOID) return compileJsonbSubscripts(expr, scope);
  if (!container.isArray && container.typelem === 0) {
    throw ereport(
      ERRCODE.FEATURE_NOT_SUPPORTED,
      `subscripting of type ${container.typname} is not supported by pgtroupe yet`,
    );
  }
  const elem = typeFactsOf(est, expr.refelemtype || container.typelem);
  const fixed = container.typlen > 0;
  if (fixed && expr.reflowerindexpr.length > 0)
    throw ereport(
      ERRCODE.FEATURE_NOT_SUPPORTED,
      expr.refassgnexpr === null
        ? 'slices of fixed-length arrays not implemented'
        : 'updates on slices of fixed-length arrays not implemented',
    );
  const getElement = fixed
    ? (value: Uint8Array, subscripts: number[]) => fixedArrayGetElement(value, container.typlen, elem, subscripts)
    : (value: Uint8Array, subscripts: number[]) => arrayGetElement(value, elem, subscripts);
  const array = compileExpr(expr.refexpr, scope);
  const upper = expr.refupperindexpr.map(e => (e === null ? undefined : compileExpr(e, scope)));
  const slice = expr.reflowerindexpr.length > 0;
  const lower = expr.reflowerindexpr.map(e => (e === null ? undefined : compileExpr(e, scope)));
  // Assigning to a part of an element: the expression takes the old element as a CaseTestExpr.
  const old: { value: Datum } = { value: null };
  const assignment =
    expr.refassgnexpr === null ? undefined : compileExpr(expr.refassgnexpr, innerScope(scope, { caseTest: old }));
  /** Subscripts, or null when one of them is. */
  const evaluate = (readers: readonly (RowReader | undefined)[], row: number): (number | undefined)[] | null => {
    const result: (number | undefined)[] = [];
    for (const read of readers) {
      const value = read === undefined ? undefined : read(row);
      if (value === null) return null;
      result.push(value as number | undefined);
    }
    return result;
  };
  return row => {
    const value = array(row) as Uint8Array | null;
    if (value === null && assignment === undefined) return null;
    const ups = evaluate(upper, row);
    const lows = slice ? evaluate(lower, row) : [];
    if (ups === null || lows === null) {
      if (assignment === undefined) return null;
      throw ereport(ERRCODE.NULL_VALUE_NOT_ALLOWED, 'array subscript in assignment must not be null');
    }
    if (assignment === undefined) {
      return slice ? arrayGetSlice(value!, elem, { lower: lows, upper: ups }) : getElement(value!, ups as number[]);
    }
    if (value === null) old.value = null;
    else
      old.value = slice ? arrayGetSlice(value, elem, { lower: lows, upper: ups }) : getElement(value, ups as number[]);
    const assigned = assignment(row);
    // Nothing can be put into a fixed-length array that is not there, and no null into one.
    if (fixed && (value === null || assigned === null)) return value;
    if (fixed) return fixedArraySetElement(value!, container.typlen, elem, ups as number[], assigned);
    if (!slice) return arraySetElement(value, elem, ups as number[], assigned);
    if (assigned === null) return value;
    return arraySetSlice(value, elem, { lower: lows, upper: ups }, assigned as Uint8Array);
  };
}
