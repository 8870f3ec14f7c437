/**
 * Subscripting: reading and assigning elements and slices, for the executor's SubscriptingRef.
 * Reading outside an array, or with the wrong number of subscripts, gives null; assigning past its
 * end grows a one-dimensional array and fills the gap with nulls.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import type { Datum } from '@pgtroupe/common/datum';
import type { TypeFacts } from './cache/functioncatalog.ts';
import {
  arrayElementAt,
  type ArrayHeader,
  arrayHeader,
  arrayItemCount,
  checkDimensions,
  constructArray,
  deconstructArray,
  emptyArray,
  storedElement,
  storeElement,
} from './arrayutils.ts';

const outOfRange = (): PgError => ereport(ERRCODE.ARRAY_SUBSCRIPT_ERROR, 'array subscript out of range');
const wrongCount = (): PgError => ereport(ERRCODE.ARRAY_SUBSCRIPT_ERROR, 'wrong number of array subscripts');

/** Position in storage order, -1 when outside. */
function offsetOf(header: ArrayHeader, subscripts: readonly number[]): number {
  let offset = 0;
  for (let i = 0; i < header.ndim; i++) {
    const at = subscripts[i] - header.lbounds[i];
    if (at < 0 || at >= header.dims[i]) return -1;
    offset = offset * header.dims[i] + at;
  }
  return offset;
}

/** array_get_element: `a[i][j]`. Null subscripts are the caller's null result. */
export function arrayGetElement(array: Uint8Array, elem: TypeFacts, subscripts: readonly number[]): Datum {
  const header = arrayHeader(array);
  if (header.ndim !== subscripts.length || header.ndim === 0) return null;
  const offset = offsetOf(header, subscripts);
  return offset < 0 ? null : arrayElementAt(array, elem, header, offset);
}

/**
 * Types like name and point are arrays of fixed length to a subscript: one dimension, counted from 0, nothing of it
 * null. `length` is the container's typlen.
 */
export function fixedArrayGetElement(
  value: Uint8Array,
  length: number,
  elem: TypeFacts,
  subscripts: readonly number[],
): Datum {
  const at = subscripts[0]! * elem.typlen;
  if (subscripts.length !== 1 || at < 0 || at >= length) return null;
  return storedElement(fixedArrayImage(value, length), elem, at);
}

/** The value with one element replaced. */
export function fixedArraySetElement(
  value: Uint8Array,
  length: number,
  elem: TypeFacts,
  subscripts: readonly number[],
  element: Datum,
): Uint8Array {
  if (subscripts.length !== 1) throw wrongCount();
  const at = subscripts[0]! * elem.typlen;
  if (at < 0 || at >= length) throw outOfRange();
  const image = fixedArrayImage(value, length);
  storeElement(image, elem, at, element);
  return image;
}

/** All `length` bytes: a name leaves its padding out. */
function fixedArrayImage(value: Uint8Array, length: number): Uint8Array {
  const image = new Uint8Array(length);
  image.set(value.subarray(0, length));
  return image;
}

/** Bounds of a slice; undefined where the query left one out: `a[2:]`. */
export interface SliceBounds {
  readonly lower: readonly (number | undefined)[];
  readonly upper: readonly (number | undefined)[];
}

/** Every storage offset of a box, in order. */
function* boxOffsets(
  header: ArrayHeader,
  lower: readonly number[],
  upper: readonly number[],
  dim = 0,
  base = 0,
): Generator<number> {
  for (let s = lower[dim]; s <= upper[dim]; s++) {
    const offset = base * header.dims[dim] + (s - header.lbounds[dim]);
    if (dim + 1 === header.ndim) yield offset;
    else yield* boxOffsets(header, lower, upper, dim + 1, offset);
  }
}

/** array_get_slice: an array counted from 1; empty when nothing lies within. */
export function arrayGetSlice(array: Uint8Array, elem: TypeFacts, bounds: SliceBounds): Uint8Array {
  const header = arrayHeader(array);
  const n = bounds.lower.length;
  if (header.ndim < n || header.ndim === 0) return emptyArray(header.elemType);
  const lower: number[] = [];
  const upper: number[] = [];
  for (let i = 0; i < header.ndim; i++) {
    const first = header.lbounds[i];
    const last = first + header.dims[i] - 1;
    lower.push(i < n ? Math.max(bounds.lower[i] ?? first, first) : first);
    upper.push(i < n ? Math.min(bounds.upper[i] ?? last, last) : last);
    if (lower[i] > upper[i]) return emptyArray(header.elemType);
  }
  const values = deconstructArray(array, elem, header);
  const dims = lower.map((l, i) => upper[i] - l + 1);
  return constructArray(
    [...boxOffsets(header, lower, upper)].map(offset => values[offset]),
    elem,
    dims,
    dims.map(() => 1),
  );
}

/** array_set_element; `array` null counts as empty. */
export function arraySetElement(
  array: Uint8Array | null,
  elem: TypeFacts,
  subscripts: readonly number[],
  value: Datum,
): Uint8Array {
  const header = arrayHeader(array ?? emptyArray(elem.oid));
  checkDimensions(subscripts.length);
  if (header.ndim === 0)
    return constructArray(
      new Array<Datum>(1).fill(value),
      elem,
      subscripts.map(() => 1),
      subscripts,
    );
  if (header.ndim !== subscripts.length) throw wrongCount();
  const values = deconstructArray(array!, elem, header);
  if (header.ndim === 1) {
    const [s] = subscripts;
    let first = header.lbounds[0];
    if (s < first) {
      arrayItemCount([values.length + first - s]);
      values.unshift(...new Array<Datum>(first - s).fill(null));
      first = s;
    } else if (s >= first + values.length) {
      arrayItemCount([s - first + 1]);
      while (values.length < s - first + 1) values.push(null);
    }
    values[s - first] = value;
    return constructArray(values, elem, [values.length], [first]);
  }
  const offset = offsetOf(header, subscripts);
  if (offset < 0) throw outOfRange();
  values[offset] = value;
  return constructArray(values, elem, header.dims, header.lbounds);
}

/** array_set_slice: the source gives as many elements as the slice has, in order. */
export function arraySetSlice(
  array: Uint8Array | null,
  elem: TypeFacts,
  bounds: SliceBounds,
  source: Uint8Array,
): Uint8Array {
  const header = arrayHeader(array ?? emptyArray(elem.oid));
  const given = deconstructArray(source, elem);
  const tooSmall = (): PgError => ereport(ERRCODE.ARRAY_SUBSCRIPT_ERROR, 'source array too small');
  const n = bounds.lower.length;
  checkDimensions(n);
  if (header.ndim === 0) {
    const lower = bounds.lower.map(l => l ?? 1);
    const dims = lower.map((l, i) => {
      const u = bounds.upper[i];
      if (u === undefined || bounds.lower[i] === undefined) {
        throw ereport(ERRCODE.ARRAY_SUBSCRIPT_ERROR, 'array slice subscript must provide both boundaries', {
          detail: 'When assigning to a slice of an empty array value, slice boundaries must be fully specified.',
        });
      }
      if (u < l) throw ereport(ERRCODE.ARRAY_SUBSCRIPT_ERROR, 'upper bound cannot be less than lower bound');
      return u - l + 1;
    });
    const count = arrayItemCount(dims);
    if (given.length < count) throw tooSmall();
    return constructArray(given.slice(0, count), elem, dims, lower);
  }
  if (header.ndim < n) throw wrongCount();
  let values = deconstructArray(array!, elem, header);
  let { lbounds } = header;
  const lower = header.lbounds.map((l, i) => (i < n ? (bounds.lower[i] ?? l) : l));
  const upper = header.lbounds.map((l, i) =>
    i < n ? (bounds.upper[i] ?? l + header.dims[i] - 1) : l + header.dims[i] - 1,
  );
  if (lower.some((l, i) => l > upper[i])) {
    if (bounds.lower.some((l, i) => l !== undefined && bounds.upper[i] !== undefined))
      throw ereport(ERRCODE.ARRAY_SUBSCRIPT_ERROR, 'upper bound cannot be less than lower bound');
    return array!;
  }
  let { dims } = header;
  if (header.ndim === 1) {
    const first = Math.min(lower[0], lbounds[0]);
    const last = Math.max(upper[0], lbounds[0] + dims[0] - 1);
    arrayItemCount([last - first + 1]);
    const grown = new Array<Datum>(last - first + 1).fill(null);
    values.forEach((v, i) => {
      grown[lbounds[0] - first + i] = v;
    });
    values = grown;
    lbounds = [first];
    dims = [grown.length];
  } else if (lower.some((l, i) => l < lbounds[i] || upper[i] >= lbounds[i] + dims[i])) throw outOfRange();
  const offsets = [...boxOffsets({ ...header, dims, lbounds }, lower, upper)];
  if (given.length < offsets.length) throw tooSmall();
  offsets.forEach((offset, i) => {
    values[offset] = given[i];
  });
  return constructArray(values, elem, dims, lbounds);
}
