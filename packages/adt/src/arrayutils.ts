/**
 * PostgreSQL's array payload: reading and building. Offsets count from the start of the varlena,
 * four bytes (the length word) before the payload this code sees; alignment too.
 *
 *   varlena  payload
 *      0       -     length word
 *      4       0     ndim        int32; 0 = empty array
 *      8       4     dataoffset  int32; 0 = no null bitmap, else where the elements begin
 *     12       8     elemtype    oid
 *     16      12     dims[ndim]  int32 each
 *      …       …     lbounds[ndim]
 *      …       …     null bitmap: bit set = not null; only when dataoffset != 0
 *   MAXALIGN         elements, row-major, each aligned as its type asks
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import { assert } from '@pgtroupe/common/assert';
import type { Datum } from '@pgtroupe/common/datum';
import { maxAlign, type Oid } from '@pgtroupe/common/ids';
import type { Slices } from '@pgtroupe/common/slices';
import { builtinTypes } from './cache/builtin_types.ts';
import type { TypeFacts } from './cache/functioncatalog.ts';
import { MAX_ALLOC_SIZE } from './mb/mbutils.ts';
import { int8Datum } from './numutils.ts';
import { viewOf } from './pqwire.ts';

export const MAXDIM = 6;
const MAX_ARRAY_SIZE = 0x7ffffff;
const VARHDRSZ = 4;

/** How values of a type lie in memory. */
export type StorageForm =
  | 'bool'
  | 'char'
  | 'int2'
  | 'int4'
  | 'uint4'
  | 'float4'
  | 'int8'
  | 'float8'
  | 'fixed'
  | 'name'
  | 'varlena'
  | 'cstring';

/** What decides how a value is stored. */
export type TypeLayout = Pick<TypeFacts, 'typlen' | 'typbyval' | 'typalign' | 'typoutput'>;

export function storageForm(type: TypeLayout): StorageForm {
  if (type.typlen === -1) return 'varlena';
  if (type.typlen === -2) return 'cstring';
  if (!type.typbyval) return type.typlen === 64 && type.typoutput === 'nameout' ? 'name' : 'fixed';
  switch (type.typlen) {
    case 1:
      return type.typoutput === 'boolout' ? 'bool' : 'char';
    case 2:
      return 'int2';
    case 4:
      return type.typoutput === 'int4out' || type.typoutput === 'date_out'
        ? 'int4'
        : type.typoutput === 'float4out'
          ? 'float4'
          : 'uint4';
    default:
      return type.typoutput === 'float8out' ? 'float8' : 'int8';
  }
}

export interface ArrayHeader {
  readonly ndim: number;
  readonly elemType: Oid;
  readonly dims: readonly number[];
  readonly lbounds: readonly number[];
  readonly nitems: number;
  readonly hasNulls: boolean;
  /** Where bitmap and elements begin in the payload; bitmap -1 when there is none. */
  readonly bitmapAt: number;
  readonly dataAt: number;
}

export function arrayElemType(array: Uint8Array): Oid {
  return viewOf(array).getUint32(8, true) as Oid;
}

export function arrayHeader(array: Uint8Array): ArrayHeader {
  const view = viewOf(array);
  const ndim = view.getInt32(0, true);
  const dataoffset = view.getInt32(4, true);
  const dims: number[] = [];
  const lbounds: number[] = [];
  let nitems = ndim === 0 ? 0 : 1;
  for (let i = 0; i < ndim; i++) {
    dims.push(view.getInt32(12 + i * 4, true));
    lbounds.push(view.getInt32(12 + (ndim + i) * 4, true));
    nitems *= dims[i];
  }
  const headerEnd = 12 + ndim * 8;
  return {
    ndim,
    elemType: view.getUint32(8, true) as Oid,
    dims,
    lbounds,
    nitems,
    hasNulls: dataoffset !== 0,
    bitmapAt: dataoffset === 0 ? -1 : headerEnd,
    dataAt: (dataoffset === 0 ? maxAlign(headerEnd + VARHDRSZ) : dataoffset) - VARHDRSZ,
  };
}

const ALIGNMENT = { c: 1, s: 2, i: 4, d: 8 } as const;

/** Payload offset rounded up to the type's alignment, which counts from the varlena's start. */
function alignAt(offset: number, align: number): number {
  return ((offset + VARHDRSZ + align - 1) & ~(align - 1)) - VARHDRSZ;
}

/** Bytes one stored element takes, headers and terminators included. */
function storedSize(array: Uint8Array, view: DataView, at: number, form: StorageForm, typlen: number): number {
  if (form === 'varlena') {
    const first = array[at];
    return (first & 1) !== 0 ? first >> 1 : view.getUint32(at, true) >>> 2;
  }
  if (form === 'cstring') return array.indexOf(0, at) - at + 1;
  return typlen;
}

function readStored(
  array: Uint8Array,
  view: DataView,
  at: number,
  form: StorageForm,
  typlen: number,
  size: number,
): Datum {
  switch (form) {
    case 'bool':
      return array[at] !== 0;
    case 'char':
      return array[at];
    case 'int2':
      return view.getInt16(at, true);
    case 'int4':
      return view.getInt32(at, true);
    case 'uint4':
      return view.getUint32(at, true);
    case 'float4':
      return view.getFloat32(at, true);
    case 'float8':
      return view.getFloat64(at, true);
    case 'int8': {
      const hi = view.getInt32(at + 4, true);
      if (hi >= -0x200000 + 1 && hi < 0x200000) return hi * 0x100000000 + view.getUint32(at, true);
      return int8Datum(view.getBigInt64(at, true));
    }
    case 'varlena':
      return array.subarray(at + ((array[at] & 1) !== 0 ? 1 : VARHDRSZ), at + size);
    case 'cstring':
      return array.subarray(at, at + size - 1);
    case 'name': {
      const end = array.indexOf(0, at);
      return array.subarray(at, end < 0 || end > at + 64 ? at + 64 : end);
    }
    case 'fixed':
      return array.subarray(at, at + typlen);
  }
}

function isNullAt(array: Uint8Array, bitmapAt: number, i: number): boolean {
  return bitmapAt >= 0 && (array[bitmapAt + (i >> 3)] & (1 << (i & 7))) === 0;
}

/** All elements in storage order. Byte values are views into the array. */
export function deconstructArray(array: Uint8Array, elem: TypeFacts, header = arrayHeader(array)): Datum[] {
  const out: Datum[] = new Array(header.nitems);
  const view = viewOf(array);
  const form = storageForm(elem);
  const align = ALIGNMENT[elem.typalign];
  let at = header.dataAt;
  for (let i = 0; i < header.nitems; i++) {
    if (isNullAt(array, header.bitmapAt, i)) {
      out[i] = null;
      continue;
    }
    if (form !== 'varlena' || array[at] === 0) at = alignAt(at, align);
    const size = storedSize(array, view, at, form, elem.typlen);
    out[i] = readStored(array, view, at, form, elem.typlen, size);
    at += size;
  }
  return out;
}

/** Element number `index` in storage order, without building the others. */
export function arrayElementAt(array: Uint8Array, elem: TypeFacts, header: ArrayHeader, index: number): Datum {
  if (isNullAt(array, header.bitmapAt, index)) return null;
  const view = viewOf(array);
  const form = storageForm(elem);
  const align = ALIGNMENT[elem.typalign];
  if (elem.typlen > 0 && !header.hasNulls) {
    const stride = (elem.typlen + align - 1) & ~(align - 1);
    return readStored(array, view, header.dataAt + index * stride, form, elem.typlen, elem.typlen);
  }
  let at = header.dataAt;
  for (let i = 0; ; i++) {
    if (isNullAt(array, header.bitmapAt, i)) continue;
    if (form !== 'varlena' || array[at] === 0) at = alignAt(at, align);
    const size = storedSize(array, view, at, form, elem.typlen);
    if (i === index) return readStored(array, view, at, form, elem.typlen, size);
    at += size;
  }
}

function sizeToStore(value: Datum, form: StorageForm, typlen: number): number {
  if (form === 'varlena') return (value as Uint8Array).length + VARHDRSZ;
  if (form === 'cstring') return (value as Uint8Array).length + 1;
  return typlen;
}

function store(out: Uint8Array, view: DataView, at: number, form: StorageForm, value: Datum): void {
  switch (form) {
    case 'bool':
      out[at] = value ? 1 : 0;
      return;
    case 'char':
      out[at] = value as number;
      return;
    case 'int2':
      view.setInt16(at, value as number, true);
      return;
    case 'int4':
    case 'uint4':
      view.setInt32(at, value as number, true);
      return;
    case 'float4':
      view.setFloat32(at, value as number, true);
      return;
    case 'float8':
      view.setFloat64(at, value as number, true);
      return;
    case 'int8':
      view.setBigInt64(at, BigInt(value as number | bigint), true);
      return;
    case 'varlena':
      view.setUint32(at, ((value as Uint8Array).length + VARHDRSZ) << 2, true);
      out.set(value as Uint8Array, at + VARHDRSZ);
      return;
    case 'cstring':
    case 'name':
    case 'fixed':
      out.set(value as Uint8Array, at);
  }
}

/** Reads the value that begins at or after `at`, as rows and arrays hold it; says where it ends. */
export function readAligned(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  type: TypeLayout,
  form: StorageForm,
): { value: Datum; end: number } {
  // A short varlena is not aligned; a padding byte is never its header.
  const from = form !== 'varlena' || bytes[at] === 0 ? alignAt(at, ALIGNMENT[type.typalign]) : at;
  const size = storedSize(bytes, view, from, form, type.typlen);
  return { value: readStored(bytes, view, from, form, type.typlen, size), end: from + size };
}

/** Writes a value at or after `at` (or, without `out`, only measures); answers where it ends. */
export function writeAligned(
  out: Uint8Array | undefined,
  at: number,
  type: TypeLayout,
  form: StorageForm,
  value: Datum,
): number {
  const from = alignAt(at, ALIGNMENT[type.typalign]);
  if (out) store(out, viewOf(out), from, form, value);
  return from + sizeToStore(value, form, type.typlen);
}

/** ArrayGetNItems: the product of the dimensions, refused when absurd. */
export function arrayItemCount(dims: readonly number[]): number {
  if (dims.length === 0) return 0;
  let n = 1;
  for (const dim of dims) {
    if (dim < 0 || (n *= dim) > MAX_ARRAY_SIZE) {
      throw arrayTooLarge(MAX_ARRAY_SIZE);
    }
  }
  return n;
}

/** A value of a fixed-length type as it stands at `at`. */
export function storedElement(bytes: Uint8Array, type: TypeFacts, at: number): Datum {
  return readStored(bytes, viewOf(bytes), at, storageForm(type), type.typlen, type.typlen);
}

export function storeElement(bytes: Uint8Array, type: TypeFacts, at: number, value: Datum): void {
  store(bytes, viewOf(bytes), at, storageForm(type), value);
}

export function checkDimensions(ndim: number): void {
  if (ndim > MAXDIM) {
    throw ereport(
      ERRCODE.PROGRAM_LIMIT_EXCEEDED,
      `number of array dimensions (${ndim}) exceeds the maximum allowed (${MAXDIM})`,
    );
  }
}

/** What one slice of building does: so many elements, or so many bytes. */
const ELEMENTS_A_SLICE = 2048;
const BYTES_A_SLICE = 1 << 20;
/** Arrays of fewer elements and bytes are built in one go. */
const SMALL_ARRAY_ELEMENTS = 10_000;
const SMALL_ARRAY_BYTES = 1 << 22;

/** Builds a payload, in two passes over its elements: how large it is, then its bytes. */
class ArrayWriter {
  readonly #values: readonly Datum[];
  readonly #elem: TypeFacts;
  readonly #form: StorageForm;
  readonly #align: number;
  #hasNulls = false;
  /** Bytes of the elements, which begin where any type may. */
  #dataSize = 0;
  #bitmapAt = 0;
  #at = 0;

  constructor(values: readonly Datum[], elem: TypeFacts) {
    this.#values = values;
    this.#elem = elem;
    this.#form = storageForm(elem);
    this.#align = ALIGNMENT[elem.typalign];
  }

  measure(from: number, to: number): void {
    const align = this.#align;
    let size = this.#dataSize;
    for (let i = from; i < to; i++) {
      const value = this.#values[i];
      if (value === null) {
        this.#hasNulls = true;
        continue;
      }
      size += sizeToStore(value, this.#form, this.#elem.typlen);
      if (size > MAX_ALLOC_SIZE - align) throw arrayTooLarge(MAX_ALLOC_SIZE);
      size = (size + align - 1) & ~(align - 1);
    }
    this.#dataSize = size;
  }

  /** The payload without its elements. */
  header(dims: readonly number[], lbounds: readonly number[]): Uint8Array {
    const ndim = dims.length;
    this.#bitmapAt = 12 + ndim * 8;
    const bitmap = this.#hasNulls ? (this.#values.length + 7) >> 3 : 0;
    this.#at = maxAlign(this.#bitmapAt + VARHDRSZ + bitmap) - VARHDRSZ;
    const out = new Uint8Array(this.#at + this.#dataSize);
    const view = viewOf(out);
    view.setInt32(0, ndim, true);
    view.setInt32(4, this.#hasNulls ? this.#at + VARHDRSZ : 0, true);
    view.setUint32(8, this.#elem.oid, true);
    for (let i = 0; i < ndim; i++) {
      view.setInt32(12 + i * 4, dims[i], true);
      view.setInt32(12 + (ndim + i) * 4, lbounds[i], true);
    }
    return out;
  }

  /** Puts elements in their places, from number `from` on, until some bytes are written; answers the next one's number. */
  write(out: Uint8Array, from: number, to: number, bytes: number): number {
    const view = viewOf(out);
    let at = this.#at;
    const enough = at + bytes;
    let i = from;
    for (; i < to && at < enough; i++) {
      const value = this.#values[i];
      if (value === null) continue;
      if (this.#hasNulls) out[this.#bitmapAt + (i >> 3)] |= 1 << (i & 7);
      store(out, view, at, this.#form, value);
      at = alignAt(at + sizeToStore(value, this.#form, this.#elem.typlen), this.#align);
    }
    this.#at = at;
    return i;
  }
}

function arrayTooLarge(limit: number): PgError {
  return ereport(ERRCODE.PROGRAM_LIMIT_EXCEEDED, `array size exceeds the maximum allowed (${limit})`);
}

function checkItems(values: readonly Datum[], dims: readonly number[]): number {
  checkDimensions(dims.length);
  const nitems = arrayItemCount(dims);
  assert(nitems === 0 || values.length === nitems, 'array values do not fill its dimensions');
  return nitems;
}

/** Builds a payload; `dims` empty or with a zero gives the empty array. */
export function constructArray(
  values: readonly Datum[],
  elem: TypeFacts,
  dims: readonly number[],
  lbounds: readonly number[],
): Uint8Array {
  const nitems = checkItems(values, dims);
  if (nitems === 0) return emptyArray(elem.oid);
  const writer = new ArrayWriter(values, elem);
  writer.measure(0, nitems);
  const out = writer.header(dims, lbounds);
  writer.write(out, 0, nitems, Infinity);
  return out;
}

/** As `constructArray`, bit by bit. */
export function* constructLargeArray(
  values: readonly Datum[],
  elem: TypeFacts,
  dims: readonly number[],
  lbounds: readonly number[],
): Slices<Uint8Array> {
  const nitems = checkItems(values, dims);
  if (nitems === 0) return emptyArray(elem.oid);
  const writer = new ArrayWriter(values, elem);
  for (let i = 0; i < nitems; i += ELEMENTS_A_SLICE) {
    writer.measure(i, Math.min(nitems, i + ELEMENTS_A_SLICE));
    yield;
  }
  const out = writer.header(dims, lbounds);
  for (let i = 0; i < nitems; ) {
    i = writer.write(out, i, Math.min(nitems, i + ELEMENTS_A_SLICE), BYTES_A_SLICE);
    yield;
  }
  return out;
}

/** Does it take long to build an array of these? */
export function isLargeArray(elements: number, bytes: number): boolean {
  return elements > SMALL_ARRAY_ELEMENTS || bytes > SMALL_ARRAY_BYTES;
}

export function emptyArray(elemType: Oid): Uint8Array {
  const out = new Uint8Array(12);
  viewOf(out).setUint32(8, elemType, true);
  return out;
}

/** One-dimensional array with lower bound 1. */
export function buildArray(values: readonly Datum[], elem: TypeFacts): Uint8Array {
  return values.length === 0 ? emptyArray(elem.oid) : constructArray(values, elem, [values.length], [1]);
}

/** As `buildArray` for a type PostgreSQL is born with. */
export function buildTextArray(values: readonly Datum[], elemType = 25 as Oid): Uint8Array {
  const elem = builtinTypes().get(elemType);
  assert(elem !== undefined, 'not a built-in type');
  return buildArray(values, elem);
}
