/**
 * Functions that build arrays: append, concatenate, fill, remove, replace, search, array_agg.
 */
import { INT4OID } from '@pgtroupe/common/oids';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import { type Datum, Internal } from '@pgtroupe/common/datum';
import type { Oid } from '@pgtroupe/common/ids';
import { baseType, typeFacts } from './cache/typcache.ts';
import { finish, type Slices } from '@pgtroupe/common/slices';
import type { FunctionCall, FunctionTable, SlicedFunctionTable } from './fmgr.ts';
import { builtinTypes } from './cache/builtin_types.ts';
import { arrayMeta, elementEquality } from './arrayfuncs.ts';
import {
  arrayElemType,
  arrayHeader,
  buildArray,
  checkDimensions,
  constructArray,
  constructLargeArray,
  deconstructArray,
  emptyArray,
  isLargeArray,
} from './arrayutils.ts';
import { formatType } from './format_type.ts';

type Bytes = Uint8Array;

const subscriptError = (message: string, detail?: string): PgError =>
  ereport(ERRCODE.ARRAY_SUBSCRIPT_ERROR, message, { detail });

/** Element type of the array a function returns, for when no array argument tells. */
function resultElement(fc: FunctionCall): Oid {
  return baseType(fc, fc.resultType).typelem;
}

/** append and prepend share all but the end they work at. */
function extend(fc: FunctionCall, array: Bytes | null, value: Datum, atEnd: boolean): Bytes {
  const elem = typeFacts(fc, array === null ? resultElement(fc) : arrayElemType(array));
  if (array === null) return buildArray([value], elem);
  const header = arrayHeader(array);
  if (header.ndim === 0) return buildArray([value], elem);
  if (header.ndim > 1) throw ereport(ERRCODE.DATA_EXCEPTION, 'argument must be empty or one-dimensional array');
  const bound = header.lbounds[0];
  if (atEnd ? bound + header.dims[0] > 0x7fffffff : bound - 1 < -0x80000000)
    throw ereport(ERRCODE.NUMERIC_VALUE_OUT_OF_RANGE, 'integer out of range');
  const values = deconstructArray(array, elem, header);
  if (atEnd) values.push(value);
  else values.unshift(value);
  return constructArray(values, elem, [values.length], [bound]);
}

function concatenate(fc: FunctionCall, a: Bytes | null, b: Bytes | null): Bytes | null {
  if (a === null) return b;
  if (b === null) return a;
  const x = arrayHeader(a);
  const y = arrayHeader(b);
  if (x.elemType !== y.elemType) {
    throw ereport(ERRCODE.DATATYPE_MISMATCH, 'cannot concatenate incompatible arrays', {
      detail: `Arrays with element types ${formatType(fc, x.elemType)} and ${formatType(fc, y.elemType)} are not compatible for concatenation.`,
    });
  }
  if (x.ndim === 0 && y.ndim > 0) return b;
  if (y.ndim === 0) return a;
  const incompatible = (detail: string): PgError => subscriptError('cannot concatenate incompatible arrays', detail);
  if (Math.abs(x.ndim - y.ndim) > 1) {
    throw incompatible(`Arrays of ${x.ndim} and ${y.ndim} dimensions are not compatible for concatenation.`);
  }
  const elem = typeFacts(fc, x.elemType);
  let { dims, lbounds } = x.ndim >= y.ndim ? x : y;
  if (x.ndim === y.ndim) {
    for (let i = 1; i < x.ndim; i++) {
      if (x.dims[i] !== y.dims[i] || x.lbounds[i] !== y.lbounds[i])
        throw incompatible('Arrays with differing element dimensions are not compatible for concatenation.');
    }
    dims = [x.dims[0] + y.dims[0], ...x.dims.slice(1)];
  } else {
    const small = x.ndim < y.ndim ? x : y;
    for (let i = 0; i < small.ndim; i++) {
      if (small.dims[i] !== dims[i + 1] || small.lbounds[i] !== lbounds[i + 1])
        throw incompatible('Arrays with differing dimensions are not compatible for concatenation.');
    }
    dims = [dims[0] + 1, ...dims.slice(1)];
  }
  return constructArray([...deconstructArray(a, elem, x), ...deconstructArray(b, elem, y)], elem, dims, lbounds);
}

function int4Values(array: Bytes, what: string): number[] {
  const header = arrayHeader(array);
  if (header.ndim > 1)
    throw subscriptError('wrong number of array subscripts', `${what} array must be one dimensional.`);
  if (header.hasNulls) throw ereport(ERRCODE.NULL_VALUE_NOT_ALLOWED, 'dimension values cannot be null');
  return deconstructArray(array, builtinTypes().get(INT4OID)!, header) as number[];
}

function fill(fc: FunctionCall, value: Datum, dimsArray: Bytes | null, lowerArray: Bytes | null): Bytes {
  if (dimsArray === null || lowerArray === null)
    throw ereport(ERRCODE.NULL_VALUE_NOT_ALLOWED, 'dimension array or low bound array cannot be null');
  const dims = int4Values(dimsArray, 'Dimension');
  const lower = int4Values(lowerArray, 'Low bound');
  if (dims.length !== lower.length)
    throw subscriptError(
      'wrong number of array subscripts',
      'Low bound array has different size than dimensions array.',
    );
  return filled(fc, value, dims, lower);
}

function filled(fc: FunctionCall, value: Datum, dims: number[], lower: number[]): Bytes {
  if (dims.length > 6)
    throw ereport(
      ERRCODE.PROGRAM_LIMIT_EXCEEDED,
      `number of array dimensions (${dims.length}) exceeds the maximum allowed (6)`,
    );
  let n = dims.length === 0 ? 0 : 1;
  for (const d of dims) {
    if (d < 0 || (n *= d) > 0x7ffffff)
      throw ereport(ERRCODE.PROGRAM_LIMIT_EXCEEDED, 'array size exceeds the maximum allowed (134217727)');
  }
  const elem = typeFacts(fc, resultElement(fc));
  return n === 0 ? emptyArray(elem.oid) : constructArray(new Array<Datum>(n).fill(value), elem, dims, lower);
}

/** Matching as IS NOT DISTINCT FROM. */
function matcher(fc: FunctionCall, array: Bytes, wanted: Datum): (value: Datum) => boolean {
  const equal = elementEquality(fc, arrayMeta(fc, arrayElemType(array)));
  return value => (value === null || wanted === null ? value === wanted : equal(value, wanted));
}

function remove(fc: FunctionCall, array: Bytes | null, wanted: Datum): Bytes | null {
  if (array === null) return null;
  const header = arrayHeader(array);
  if (header.ndim > 1)
    throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, 'removing elements from multidimensional arrays is not supported');
  const { elem } = arrayMeta(fc, header.elemType);
  const matches = matcher(fc, array, wanted);
  const values = deconstructArray(array, elem, header);
  const kept = values.filter(v => !matches(v));
  if (kept.length === values.length) return array;
  return kept.length === 0 ? emptyArray(header.elemType) : constructArray(kept, elem, [kept.length], header.lbounds);
}

function replace(fc: FunctionCall, array: Bytes | null, wanted: Datum, value: Datum): Bytes | null {
  if (array === null) return null;
  const header = arrayHeader(array);
  const { elem } = arrayMeta(fc, header.elemType);
  const matches = matcher(fc, array, wanted);
  const values = deconstructArray(array, elem, header);
  return constructArray(
    values.map(v => (matches(v) ? value : v)),
    elem,
    header.dims,
    header.lbounds,
  );
}

function positions(
  fc: FunctionCall,
  array: Bytes,
  wanted: Datum,
  start: number | null | undefined,
  all: boolean,
): number[] {
  const header = arrayHeader(array);
  if (header.ndim > 1)
    throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, 'searching for elements in multidimensional arrays is not supported');
  if (header.nitems === 0 || (wanted === null && !header.hasNulls)) return [];
  if (start === null) throw ereport(ERRCODE.NULL_VALUE_NOT_ALLOWED, 'initial position must not be null');
  const { elem } = arrayMeta(fc, header.elemType);
  const matches = matcher(fc, array, wanted);
  const found: number[] = [];
  deconstructArray(array, elem, header).some((value, i) => {
    const subscript = header.lbounds[0] + i;
    if ((start !== undefined && subscript < start) || !matches(value)) return false;
    found.push(subscript);
    return !all;
  });
  return found;
}

/** Values gathered by array_agg, copied: they may be views into a page. */
class ArrayBuildState extends Internal {
  readonly values: Datum[] = [];
  bytes = 0;
  readonly elemType: Oid;

  constructor(elemType: Oid) {
    super();
    this.elemType = elemType;
  }
}

function copyDatum(value: Datum): Datum {
  return value instanceof Uint8Array ? value.slice() : value;
}

/** State of array_agg(anyarray): the parts become one dimension more. */
class ArrayBuildStateArr extends Internal {
  readonly parts: Uint8Array[] = [];
  bytes = 0;
}

function accumulateArray(state: ArrayBuildStateArr, array: Bytes | null): ArrayBuildStateArr {
  if (array === null) throw ereport(ERRCODE.NULL_VALUE_NOT_ALLOWED, 'cannot accumulate null arrays');
  const header = arrayHeader(array);
  if (header.ndim === 0) throw subscriptError('cannot accumulate empty arrays');
  if (state.parts.length > 0) {
    const first = arrayHeader(state.parts[0]);
    if (
      first.ndim !== header.ndim ||
      first.dims.some((d, i) => d !== header.dims[i]) ||
      first.lbounds.some((l, i) => l !== header.lbounds[i])
    ) {
      throw subscriptError('cannot accumulate arrays of different dimensionality');
    }
  }
  state.parts.push(array.slice());
  state.bytes += array.length;
  return state;
}

function* largeArrayOf(fc: FunctionCall, { values, elemType }: ArrayBuildState): Slices<Uint8Array> {
  return yield* constructLargeArray(values, typeFacts(fc, elemType), [values.length], [1]);
}

/** Arrays of arrays, bit by bit. */
function* arrayOfArrays(fc: FunctionCall, { parts }: ArrayBuildStateArr): Slices<Uint8Array> {
  const header = arrayHeader(parts[0]);
  checkDimensions(header.ndim + 1);
  const elem = typeFacts(fc, header.elemType);
  const values: Datum[] = [];
  for (const part of parts) {
    for (const value of deconstructArray(part, elem)) values.push(value);
    yield;
  }
  return yield* constructLargeArray(values, elem, [parts.length, ...header.dims], [1, ...header.lbounds]);
}

function trimArray(fc: FunctionCall, array: Bytes, n: number): Bytes {
  const header = arrayHeader(array);
  const length = header.ndim > 0 ? header.dims[0] : 0;
  if (n < 0 || n > length)
    throw ereport(ERRCODE.ARRAY_ELEMENT_ERROR, `number of elements to trim must be between 0 and ${length}`);
  if (header.ndim === 0 || n === length) return emptyArray(header.elemType);
  const elem = typeFacts(fc, header.elemType);
  const dims = [length - n, ...header.dims.slice(1)];
  const values = deconstructArray(array, elem, header).slice(0, (header.nitems / length) * (length - n));
  // A slice counts from 1 in every dimension.
  return constructArray(
    values,
    elem,
    dims,
    dims.map(() => 1),
  );
}

export const arrayUserFunctions: FunctionTable = {
  array_append: (fc: FunctionCall, array: Bytes | null, value: Datum) => extend(fc, array, value, true),
  array_prepend: (fc: FunctionCall, value: Datum, array: Bytes | null) => extend(fc, array, value, false),
  array_cat: concatenate,
  array_fill: (fc: FunctionCall, value: Datum, dims: Bytes | null) => {
    if (dims === null)
      throw ereport(ERRCODE.NULL_VALUE_NOT_ALLOWED, 'dimension array or low bound array cannot be null');
    const lengths = int4Values(dims, 'Dimension');
    return filled(
      fc,
      value,
      lengths,
      lengths.map(() => 1),
    );
  },
  array_fill_with_lower_bounds: fill,
  array_remove: remove,
  array_replace: replace,
  array_position: (fc: FunctionCall, array: Bytes | null, wanted: Datum) =>
    array === null ? null : (positions(fc, array, wanted, undefined, false)[0] ?? null),
  array_position_start: (fc: FunctionCall, array: Bytes | null, wanted: Datum, start: number | null) => {
    if (array === null) return null;
    return positions(fc, array, wanted, start, false)[0] ?? null;
  },
  array_positions: (fc: FunctionCall, array: Bytes | null, wanted: Datum) =>
    array === null ? null : buildArray(positions(fc, array, wanted, undefined, true), builtinTypes().get(INT4OID)!),
  trim_array: trimArray,
  array_agg_transfn: (fc: FunctionCall, state: ArrayBuildState | null, value: Datum) => {
    const elemType = fc.argTypes[1];
    if (!elemType) throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, 'could not determine input data type');
    state ??= new ArrayBuildState(elemType);
    state.values.push(copyDatum(value));
    if (value instanceof Uint8Array) state.bytes += value.length;
    return state;
  },
  array_agg_finalfn: (fc: FunctionCall, state: ArrayBuildState | null) =>
    state === null ? null : buildArray(state.values, typeFacts(fc, state.elemType)),
  array_agg_array_transfn: (_fc: FunctionCall, state: ArrayBuildStateArr | null, array: Bytes | null) =>
    accumulateArray(state ?? new ArrayBuildStateArr(), array),
  array_agg_array_finalfn: (fc: FunctionCall, state: ArrayBuildStateArr | null) =>
    state === null ? null : finish(arrayOfArrays(fc, state)),
};

export const arraySlicedFunctions: SlicedFunctionTable = {
  array_agg_finalfn: (fc: FunctionCall, state: ArrayBuildState | null) =>
    state !== null && isLargeArray(state.values.length, state.bytes) ? largeArrayOf(fc, state) : undefined,
  array_agg_array_finalfn: (fc: FunctionCall, state: ArrayBuildStateArr | null) =>
    state !== null && isLargeArray(state.parts.length, state.bytes) ? arrayOfArrays(fc, state) : undefined,
};
