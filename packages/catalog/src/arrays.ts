/**
 * The arrays that catalog columns hold: one-dimensional, without nulls.
 *
 *   ndim i4 | dataoffset i4 = 0 | elemtype oid | length i4 | lower bound i4 | elements
 *
 * (after the varlena header, which a Datum does not include; so offsets here are 4 less than in
 * PostgreSQL's ArrayType, which keeps int alignment.) An empty array has ndim 0 and ends after
 * elemtype. int2vector and oidvector are always one-dimensional and count from 0.
 */
import { assert } from '@pgtroupe/common/assert';

const HEADER = 20;

interface ElementType<T> {
  readonly typid: number;
  /** Bytes of one element, or 0 when each tells its own. */
  readonly size: number;
  write(bytes: Uint8Array, view: DataView, at: number, value: T): number;
  read(bytes: Uint8Array, view: DataView, at: number): T;
}

function fixed(
  typid: number,
  size: number,
  get: (v: DataView, at: number) => number,
  set: (v: DataView, at: number, n: number) => void,
): ElementType<number> {
  return {
    typid,
    size,
    write: (_bytes, view, at, value) => (set(view, at, value), at + size),
    read: (_bytes, view, at) => get(view, at),
  };
}

export const INT2_ELEMENT = fixed(
  21,
  2,
  (v, at) => v.getInt16(at, true),
  (v, at, n) => v.setInt16(at, n, true),
);
export const INT4_ELEMENT = fixed(
  23,
  4,
  (v, at) => v.getInt32(at, true),
  (v, at, n) => v.setInt32(at, n, true),
);
export const OID_ELEMENT = fixed(
  26,
  4,
  (v, at) => v.getUint32(at, true),
  (v, at, n) => v.setUint32(at, n, true),
);
export const FLOAT4_ELEMENT = fixed(
  700,
  4,
  (v, at) => v.getFloat32(at, true),
  (v, at, n) => v.setFloat32(at, n, true),
);
export const CHAR_ELEMENT: ElementType<string> = {
  typid: 18,
  size: 1,
  write: (bytes, _view, at, value) => ((bytes[at] = value === '' ? 0 : value.charCodeAt(0)), at + 1),
  read: (bytes, _view, at) => (bytes[at] === 0 ? '' : String.fromCharCode(bytes[at]!)),
};

export function encodeArray<T>(element: ElementType<T>, values: readonly T[], lowerBound: 0 | 1): Uint8Array {
  const bytes = new Uint8Array(values.length === 0 && lowerBound === 1 ? 12 : HEADER + element.size * values.length);
  const view = writeHeader(bytes, element.typid, values.length, lowerBound);
  let at = HEADER;
  for (const value of values) at = element.write(bytes, view, at, value);
  return bytes;
}

function writeHeader(bytes: Uint8Array, typid: number, length: number, lowerBound: 0 | 1): DataView {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  view.setUint32(8, typid, true);
  if (bytes.length < HEADER) return view;
  view.setInt32(0, 1, true);
  view.setInt32(12, length, true);
  view.setInt32(16, lowerBound, true);
  return view;
}

export function decodeArray<T>(element: ElementType<T>, bytes: Uint8Array): T[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const length = arrayLength(view);
  const values: T[] = new Array<T>(length);
  for (let i = 0, at = HEADER; i < length; i++, at += element.size) values[i] = element.read(bytes, view, at);
  return values;
}

function arrayLength(view: DataView): number {
  const ndim = view.getInt32(0, true);
  if (ndim === 0) return 0;
  assert(ndim === 1 && view.getInt32(4, true) === 0, 'array in a catalog is one-dimensional without nulls');
  return view.getInt32(12, true);
}

/** text[]: elements always have 4-byte headers, and start int-aligned. */
export function encodeTextArray(values: readonly string[]): Uint8Array {
  const texts = values.map(v => Buffer.from(v, 'utf8'));
  const size = texts.reduce((sum, t) => sum + ((4 + t.length + 3) & ~3), 0);
  const bytes = new Uint8Array(values.length === 0 ? 12 : HEADER + size);
  const view = writeHeader(bytes, 25, values.length, 1);
  let at = HEADER;
  for (const text of texts) {
    view.setUint32(at, (4 + text.length) << 2, true);
    bytes.set(text, at + 4);
    at += (4 + text.length + 3) & ~3;
  }
  return bytes;
}

export function decodeTextArray(bytes: Uint8Array): string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const length = arrayLength(view);
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const values: string[] = [];
  for (let i = 0, at = HEADER; i < length; i++) {
    const short = bytes[at]! & 1;
    const size = short ? bytes[at]! >>> 1 : view.getUint32(at, true) >>> 2;
    values.push(buffer.toString('utf8', at + (short ? 1 : 4), at + size));
    at = (at + size + 3) & ~3;
  }
  return values;
}
