/**
 * Arrays as values: text and binary I/O, comparison, containment, dimensions. The layout is in
 * arrayutils.ts, building functions in array_userfuncs.ts, subscripting in arraysubs.ts.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import type { Datum } from '@pgtroupe/common/datum';
import type { Oid } from '@pgtroupe/common/ids';
import type { TypeFacts } from './cache/functioncatalog.ts';
import {
  type Comparator,
  comparator,
  type Equality,
  equality,
  inputFunction,
  outputFunction,
  receiveFunction,
  sendFunction,
  typeFacts,
} from './cache/typcache.ts';
import type { FunctionCall, FunctionTable, SetFunctionTable } from './fmgr.ts';
import { ByteBuilder } from './mb/bytebuilder.ts';
import { stringToText, textToString } from './mb/mbutils.ts';
import { parseArrayText } from './array_in.ts';
import {
  type ArrayHeader,
  arrayElemType,
  arrayHeader,
  arrayItemCount,
  checkDimensions,
  constructArray,
  deconstructArray,
  emptyArray,
} from './arrayutils.ts';
import { formatType } from './format_type.ts';
import { isSpace } from './numutils.ts';
import { mayBeType, receivePart, viewOf, WireReader } from './pqwire.ts';
import { joinBytes } from './textfuncs.ts';

const QUOTE = 34;
const NULL_TEXT = stringToText('NULL');
const BACKSLASH = 92;
const OPEN = 123;
const CLOSE = 125;

/** Element type and its functions, kept per call site. */
interface ArrayMeta {
  readonly elemType: Oid;
  readonly elem: TypeFacts;
  compare: Comparator | undefined;
  equal: Equality | undefined;
}

export function arrayMeta(fc: FunctionCall, elemType: Oid): ArrayMeta {
  const kept = fc.extra as ArrayMeta | undefined;
  if (kept && kept.elemType === elemType) return kept;
  const meta: ArrayMeta = { elemType, elem: typeFacts(fc, elemType), compare: undefined, equal: undefined };
  fc.extra = meta;
  return meta;
}

export function elementEquality(fc: FunctionCall, meta: ArrayMeta): Equality {
  meta.equal ??= equality(fc, meta.elemType);
  if (!meta.equal)
    throw ereport(
      ERRCODE.UNDEFINED_FUNCTION,
      `could not identify an equality operator for type ${formatType(fc, meta.elemType)}`,
    );
  return meta.equal;
}

function elementOrder(fc: FunctionCall, meta: ArrayMeta): Comparator {
  meta.compare ??= comparator(fc, meta.elemType);
  if (!meta.compare)
    throw ereport(
      ERRCODE.UNDEFINED_FUNCTION,
      `could not identify a comparison function for type ${formatType(fc, meta.elemType)}`,
    );
  return meta.compare;
}

/** array_in: `typelem` is the element type, `typmod` goes to its input function. */
export function parseArray(fc: FunctionCall, text: Uint8Array, elemType: Oid, typmod: number): Uint8Array {
  const elem = typeFacts(fc, elemType);
  const { dims, lbounds, elements } = parseArrayText(text, elem.typdelim.charCodeAt(0));
  if (arrayItemCount(dims) === 0) return emptyArray(elemType);
  const input = inputFunction(fc, elemType);
  const values = elements.map(element => (element === null ? null : input(element, typmod)));
  return constructArray(values, elem, dims, lbounds);
}

function needsQuotes(text: Uint8Array, delimiter: number): boolean {
  if (text.length === 0) return true;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (c === QUOTE || c === BACKSLASH || c === OPEN || c === CLOSE || c === delimiter || isSpace(c)) return true;
  }
  return text.length === 4 && textToString(text).toLowerCase() === 'null';
}

export function formatArray(fc: FunctionCall, array: Uint8Array): Uint8Array {
  const header = arrayHeader(array);
  if (header.nitems === 0) return stringToText('{}');
  const elem = typeFacts(fc, header.elemType);
  const delimiter = elem.typdelim.charCodeAt(0);
  const output = outputFunction(fc, header.elemType);
  const values = deconstructArray(array, elem, header);
  const out = new ByteBuilder();
  if (header.lbounds.some(b => b !== 1)) {
    header.lbounds.forEach((b, i) => out.append(stringToText(`[${b}:${b + header.dims[i] - 1}]`)));
    out.byte(61);
  }
  let next = 0;
  const element = (value: Datum): void => {
    if (value === null) {
      out.append(NULL_TEXT);
      return;
    }
    const text = output(value);
    if (!needsQuotes(text, delimiter)) {
      out.append(text);
      return;
    }
    out.byte(QUOTE);
    for (let i = 0; i < text.length; i++) {
      const c = text[i];
      if (c === QUOTE || c === BACKSLASH) out.byte(BACKSLASH);
      out.byte(c);
    }
    out.byte(QUOTE);
  };
  const level = (depth: number): void => {
    out.byte(OPEN);
    for (let i = 0; i < header.dims[depth]; i++) {
      if (i > 0) out.byte(delimiter);
      if (depth + 1 < header.ndim) level(depth + 1);
      else element(values[next++]);
    }
    out.byte(CLOSE);
  };
  level(0);
  return out.toBytes();
}

function sendArray(fc: FunctionCall, array: Uint8Array): Uint8Array {
  const header = arrayHeader(array);
  const head = new Uint8Array(12 + header.ndim * 8);
  const view = viewOf(head);
  view.setInt32(0, header.ndim);
  view.setInt32(4, header.hasNulls ? 1 : 0);
  view.setUint32(8, header.elemType);
  for (let i = 0; i < header.ndim; i++) {
    view.setInt32(12 + i * 8, header.dims[i]);
    view.setInt32(16 + i * 8, header.lbounds[i]);
  }
  if (header.nitems === 0) return head;
  const send = sendFunction(fc, header.elemType);
  const parts: Uint8Array[] = [head];
  for (const value of deconstructArray(array, typeFacts(fc, header.elemType), header)) {
    const length = new Uint8Array(4);
    const bytes = value === null ? null : send(value);
    viewOf(length).setInt32(0, bytes === null ? -1 : bytes.length);
    parts.push(length);
    if (bytes !== null) parts.push(bytes);
  }
  return joinBytes(parts);
}

function receiveArray(fc: FunctionCall, bytes: Uint8Array, wanted: Oid, typmod: number): Uint8Array {
  const reader = new WireReader(bytes);
  const bad = (message: string): PgError => ereport(ERRCODE.INVALID_BINARY_REPRESENTATION, message);
  const ndim = reader.int32();
  if (ndim < 0) throw bad(`invalid number of dimensions: ${ndim}`);
  checkDimensions(ndim);
  const flags = reader.int32();
  if (flags !== 0 && flags !== 1) throw bad('invalid array flags');
  const elemType = reader.uint32() as Oid;
  if (!mayBeType(elemType, wanted)) {
    throw ereport(
      ERRCODE.DATATYPE_MISMATCH,
      `binary data has array element type ${elemType} (${formatType(fc, elemType)}) instead of expected ${wanted} (${formatType(fc, wanted)})`,
    );
  }
  const dims: number[] = [];
  const lbounds: number[] = [];
  for (let i = 0; i < ndim; i++) {
    dims.push(reader.int32());
    lbounds.push(reader.int32());
  }
  const nitems = arrayItemCount(dims);
  if (nitems === 0) {
    reader.done();
    return emptyArray(wanted);
  }
  const receive = receiveFunction(fc, wanted);
  const values: Datum[] = [];
  for (let i = 0; i < nitems; i++) {
    const length = reader.int32();
    if (length < -1 || length > reader.remaining) throw bad('insufficient data left in message');
    const value = length < 0 ? undefined : reader.bytes(length);
    values.push(value === undefined ? null : receivePart(() => receive(value, typmod), `array element ${i + 1}`));
  }
  reader.done();
  return constructArray(values, typeFacts(fc, wanted), dims, lbounds);
}

function sameShape(a: ArrayHeader, b: ArrayHeader): boolean {
  return a.ndim === b.ndim && a.dims.every((d, i) => d === b.dims[i]) && a.lbounds.every((l, i) => l === b.lbounds[i]);
}

function checkSameElement(a: Uint8Array, b: Uint8Array): Oid {
  const elemType = arrayElemType(a);
  if (elemType !== arrayElemType(b))
    throw ereport(ERRCODE.DATATYPE_MISMATCH, 'cannot compare arrays of different element types');
  return elemType;
}

function arrayEqual(fc: FunctionCall, a: Uint8Array, b: Uint8Array): boolean {
  const meta = arrayMeta(fc, checkSameElement(a, b));
  const x = arrayHeader(a);
  const y = arrayHeader(b);
  if (!sameShape(x, y)) return false;
  const equal = elementEquality(fc, meta);
  const left = deconstructArray(a, meta.elem, x);
  const right = deconstructArray(b, meta.elem, y);
  return left.every((value, i) => {
    const other = right[i];
    return value === null || other === null ? value === other : equal(value, other);
  });
}

/** Element by element, null last; then by length, then by shape. */
function arrayCompare(fc: FunctionCall, a: Uint8Array, b: Uint8Array): number {
  const meta = arrayMeta(fc, checkSameElement(a, b));
  const compare = elementOrder(fc, meta);
  const x = arrayHeader(a);
  const y = arrayHeader(b);
  const left = deconstructArray(a, meta.elem, x);
  const right = deconstructArray(b, meta.elem, y);
  const n = Math.min(left.length, right.length);
  for (let i = 0; i < n; i++) {
    const v = left[i];
    const w = right[i];
    if (v === null || w === null) {
      if (v === w) continue;
      return v === null ? 1 : -1;
    }
    const order = compare(v, w);
    if (order !== 0) return order < 0 ? -1 : 1;
  }
  if (left.length !== right.length) return left.length < right.length ? -1 : 1;
  if (x.ndim !== y.ndim) return x.ndim < y.ndim ? -1 : 1;
  for (let i = 0; i < x.ndim; i++) if (x.dims[i] !== y.dims[i]) return x.dims[i] < y.dims[i] ? -1 : 1;
  for (let i = 0; i < x.ndim; i++) if (x.lbounds[i] !== y.lbounds[i]) return x.lbounds[i] < y.lbounds[i] ? -1 : 1;
  return 0;
}

/** Whether b holds every (or any) element of a; a null element is contained in nothing. */
function containedIn(fc: FunctionCall, a: Uint8Array, b: Uint8Array, all: boolean): boolean {
  const meta = arrayMeta(fc, checkSameElement(a, b));
  const equal = elementEquality(fc, meta);
  const values = deconstructArray(b, meta.elem).filter(v => v !== null);
  for (const v of deconstructArray(a, meta.elem)) {
    const found = v !== null && values.some(w => equal(v, w));
    if (found !== all) return !all;
  }
  return all;
}

/** width_bucket(anycompatible, anycompatiblearray): how many thresholds are at or below the value. */
function widthBucketArray(fc: FunctionCall, operand: Datum, thresholds: Uint8Array): number {
  const header = arrayHeader(thresholds);
  if (header.ndim > 1) throw ereport(ERRCODE.ARRAY_SUBSCRIPT_ERROR, 'thresholds must be one-dimensional array');
  const meta = arrayMeta(fc, header.elemType);
  const values = deconstructArray(thresholds, meta.elem, header);
  if (values.includes(null)) throw ereport(ERRCODE.NULL_VALUE_NOT_ALLOWED, 'thresholds array must not contain NULLs');
  const compare = elementOrder(fc, meta);
  let low = 0;
  let high = values.length;
  while (low < high) {
    const mid = (low + high) >> 1;
    if (compare(operand, values[mid]) < 0) high = mid;
    else low = mid + 1;
  }
  return low;
}

/** Elements joined by a separator; nulls are left out unless there is a text for them. */
function arrayToText(
  fc: FunctionCall,
  array: Uint8Array,
  separator: Uint8Array,
  nullString: Uint8Array | null,
): Uint8Array {
  const meta = arrayMeta(fc, arrayElemType(array));
  const output = outputFunction(fc, meta.elemType);
  const parts: Uint8Array[] = [];
  for (const value of deconstructArray(array, meta.elem)) {
    if (value === null && nullString === null) continue;
    if (parts.length > 0) parts.push(separator);
    parts.push(value === null ? (nullString as Uint8Array) : output(value));
  }
  return joinBytes(parts);
}

function dimension(array: Uint8Array, dim: number): { length: number; lower: number } | null {
  const header = arrayHeader(array);
  if (dim < 1 || dim > header.ndim) return null;
  return { length: header.dims[dim - 1], lower: header.lbounds[dim - 1] };
}

type Bytes = Uint8Array;

export const arrayFunctions: FunctionTable = {
  array_in: (fc: FunctionCall, text: Bytes, elemType: Oid, typmod: number) => parseArray(fc, text, elemType, typmod),
  array_out: (fc: FunctionCall, array: Bytes) => formatArray(fc, array),
  array_recv: (fc: FunctionCall, bytes: Bytes, elemType: Oid, typmod: number) =>
    receiveArray(fc, bytes, elemType, typmod),
  array_send: (fc: FunctionCall, array: Bytes) => sendArray(fc, array),
  array_eq: arrayEqual,
  array_ne: (fc: FunctionCall, a: Bytes, b: Bytes) => !arrayEqual(fc, a, b),
  array_lt: (fc: FunctionCall, a: Bytes, b: Bytes) => arrayCompare(fc, a, b) < 0,
  array_le: (fc: FunctionCall, a: Bytes, b: Bytes) => arrayCompare(fc, a, b) <= 0,
  array_gt: (fc: FunctionCall, a: Bytes, b: Bytes) => arrayCompare(fc, a, b) > 0,
  array_ge: (fc: FunctionCall, a: Bytes, b: Bytes) => arrayCompare(fc, a, b) >= 0,
  btarraycmp: arrayCompare,
  array_larger: (fc: FunctionCall, a: Bytes, b: Bytes) => (arrayCompare(fc, a, b) > 0 ? a : b),
  array_smaller: (fc: FunctionCall, a: Bytes, b: Bytes) => (arrayCompare(fc, a, b) < 0 ? a : b),
  arrayoverlap: (fc: FunctionCall, a: Bytes, b: Bytes) => containedIn(fc, a, b, false),
  arraycontains: (fc: FunctionCall, a: Bytes, b: Bytes) => containedIn(fc, b, a, true),
  arraycontained: (fc: FunctionCall, a: Bytes, b: Bytes) => containedIn(fc, a, b, true),
  array_ndims: (_fc: FunctionCall, array: Bytes) => arrayHeader(array).ndim || null,
  array_dims: (_fc: FunctionCall, array: Bytes) => {
    const header = arrayHeader(array);
    if (header.ndim === 0) return null;
    return stringToText(header.dims.map((d, i) => `[${header.lbounds[i]}:${header.lbounds[i] + d - 1}]`).join(''));
  },
  array_lower: (_fc: FunctionCall, array: Bytes, dim: number) => dimension(array, dim)?.lower ?? null,
  array_upper: (_fc: FunctionCall, array: Bytes, dim: number) => {
    const d = dimension(array, dim);
    return d && d.lower + d.length - 1;
  },
  array_length: (_fc: FunctionCall, array: Bytes, dim: number) => dimension(array, dim)?.length ?? null,
  array_cardinality: (_fc: FunctionCall, array: Bytes) => arrayHeader(array).nitems,
  width_bucket_array: widthBucketArray,
  array_to_text: (fc: FunctionCall, array: Bytes, separator: Bytes) => arrayToText(fc, array, separator, null),
  array_to_text_null: (fc: FunctionCall, array: Bytes | null, separator: Bytes | null, nullString: Bytes | null) =>
    array === null || separator === null ? null : arrayToText(fc, array, separator, nullString),
};

function* subscripts(_fc: FunctionCall, array: Bytes, dim: number, reverse = false): Generator<number> {
  const d = dimension(array, dim);
  if (!d) return;
  for (let i = 0; i < d.length; i++) yield reverse ? d.lower + d.length - 1 - i : d.lower + i;
}

/** information_schema._pg_expandarray, which is an SQL function: its body is its prosrc. */
const EXPAND_ARRAY = `select $1[s],
        s operator(pg_catalog.-) pg_catalog.array_lower($1,1) operator(pg_catalog.+) 1
        from pg_catalog.generate_series(pg_catalog.array_lower($1,1),
                                        pg_catalog.array_upper($1,1),
                                        1) as g(s)`;

function* expandArray(fc: FunctionCall, array: Bytes): Generator<Datum[]> {
  const { ndim, dims } = arrayHeader(array);
  if (ndim === 0) return;
  const values = ndim === 1 ? deconstructArray(array, typeFacts(fc, arrayElemType(array))) : [];
  for (let i = 0; i < dims[0]!; i++) yield [values[i] ?? null, i + 1];
}

export const arraySetFunctions: SetFunctionTable = {
  [EXPAND_ARRAY]: expandArray,
  array_unnest: (fc: FunctionCall, array: Bytes) => deconstructArray(array, typeFacts(fc, arrayElemType(array))),
  generate_subscripts: subscripts,
  generate_subscripts_nodir: subscripts,
};
