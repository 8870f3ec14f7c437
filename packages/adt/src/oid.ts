/**
 * oid, oidvector, and the identifiers of the storage layer: xid, xid8, cid, tid.
 * An oidvector is an array payload whose lower bound is 0 and that holds no nulls.
 */
import { INT2OID, OIDOID } from '@pgtroupe/common/oids';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { FunctionCall, FunctionTable } from './fmgr.ts';
import { concatBytes, equalBytes, stringToText, textToString } from './mb/mbutils.ts';
import { formatInteger, int8Datum, invalidSyntax, isDigit, isSpace, outOfRange, strtou64 } from './numutils.ts';
import { recvUint32, sendInt32, sendInt64, viewOf, wireView } from './pqwire.ts';
import {
  scalarCmp,
  scalarEq,
  scalarGe,
  scalarGt,
  scalarLarger,
  scalarLe,
  scalarLt,
  scalarNe,
  scalarSmaller,
} from './scalarcompare.ts';

/** ndim, flags, elemtype, dim1, lbound1. */
const VECTOR_HEADER = 20;

/** Reads one number at `from`, as strtoul does; answers the value and where it ended. */
function scanOid(text: Uint8Array, from: number): { value: number; end: number } {
  let i = from;
  while (i < text.length && isSpace(text[i])) i++;
  const negative = text[i] === 45;
  if (negative || text[i] === 43) i++;
  const first = i;
  let magnitude = 0;
  while (i < text.length && isDigit(text[i])) magnitude = magnitude * 10 + (text[i++] - 48);
  if (i === first) throw invalidSyntax('oid', text);
  if (negative ? magnitude > 0x80000000 : magnitude > 0xffffffff) throw outOfRange('oid', text);
  return { value: (negative ? -magnitude : magnitude) >>> 0, end: i };
}

export function parseOid(text: Uint8Array): number {
  const { value, end } = scanOid(text, 0);
  for (let i = end; i < text.length; i++) if (!isSpace(text[i])) throw invalidSyntax('oid', text);
  return value;
}

/** Payload of an oidvector (elemtype 26, four bytes each) or int2vector (21, two bytes). */
function buildVector(values: readonly number[], elemType: number): Uint8Array {
  const width = elemType === INT2OID ? 2 : 4;
  const out = new Uint8Array(VECTOR_HEADER + values.length * width);
  const view = viewOf(out);
  view.setInt32(0, 1, true);
  view.setUint32(8, elemType, true);
  view.setInt32(12, values.length, true);
  for (let i = 0; i < values.length; i++) {
    if (width === 2) view.setInt16(VECTOR_HEADER + i * 2, values[i], true);
    else view.setUint32(VECTOR_HEADER + i * 4, values[i], true);
  }
  return out;
}

/** A cast makes any array of oid or int2 one without looking at its shape. */
export function vectorValues(vector: Uint8Array): number[] {
  const view = viewOf(vector);
  const short = view.getUint32(8, true) === INT2OID;
  if (view.getInt32(0, true) !== 1 || view.getInt32(4, true) !== 0)
    throw ereport(ERRCODE.DATATYPE_MISMATCH, `array is not a valid ${short ? 'int2vector' : 'oidvector'}`);
  const n = view.getInt32(12, true);
  const values: number[] = [];
  for (let i = 0; i < n; i++) {
    values.push(short ? view.getInt16(VECTOR_HEADER + i * 2, true) : view.getUint32(VECTOR_HEADER + i * 4, true));
  }
  return values;
}

function oidvectorIn(_fc: FunctionCall, text: Uint8Array): Uint8Array {
  const values: number[] = [];
  let at = 0;
  for (;;) {
    while (at < text.length && isSpace(text[at])) at++;
    if (at >= text.length) return buildVector(values, OIDOID);
    const { value, end } = scanOid(text.subarray(at), 0);
    values.push(value);
    at += end;
  }
}

/** First the lengths decide, then the elements as unsigned numbers. */
function oidvectorCompare(a: Uint8Array, b: Uint8Array): number {
  const x = vectorValues(a);
  const y = vectorValues(b);
  if (x.length !== y.length) return x.length - y.length;
  for (let i = 0; i < x.length; i++) if (x[i] !== y[i]) return x[i] < y[i] ? -1 : 1;
  return 0;
}

function vectorSend(vector: Uint8Array): Uint8Array {
  const values = vectorValues(vector);
  const short = viewOf(vector).getUint32(8, true) === INT2OID;
  const width = short ? 2 : 4;
  const out = new Uint8Array(20 + values.length * (4 + width));
  const view = viewOf(out);
  view.setInt32(0, 1);
  view.setInt32(8, short ? INT2OID : OIDOID);
  view.setInt32(12, values.length);
  let at = 20;
  for (const value of values) {
    view.setInt32(at, width);
    if (short) view.setInt16(at + 4, value);
    else view.setUint32(at + 4, value);
    at += 4 + width;
  }
  return out;
}

function vectorRecv(bytes: Uint8Array, elemType: number): Uint8Array {
  const view = viewOf(bytes);
  const name = elemType === INT2OID ? 'int2vector' : 'oidvector';
  const bad = () => ereport(ERRCODE.INVALID_BINARY_REPRESENTATION, `invalid ${name} data`);
  if (
    bytes.length < 20 ||
    view.getInt32(0) !== 1 ||
    view.getInt32(4) !== 0 ||
    view.getInt32(8) !== elemType ||
    view.getInt32(16) !== 0
  )
    throw bad();
  const width = elemType === INT2OID ? 2 : 4;
  const n = view.getInt32(12);
  if (bytes.length !== 20 + n * (4 + width)) throw bad();
  const values: number[] = [];
  for (let i = 0; i < n; i++) {
    const at = 20 + i * (4 + width);
    if (view.getInt32(at) !== width) throw bad();
    values.push(width === 2 ? view.getInt16(at + 4) : view.getUint32(at + 4));
  }
  return buildVector(values, elemType);
}

/** tid payload: block number as two 16-bit halves, high first, then the offset; each little-endian. */
export function tidBlock(tid: Uint8Array): number {
  return (((tid[0] | (tid[1] << 8)) << 16) | tid[2] | (tid[3] << 8)) >>> 0;
}

export function tidOffset(tid: Uint8Array): number {
  return tid[4] | (tid[5] << 8);
}

export function makeTid(block: number, offset: number): Uint8Array {
  return Uint8Array.of(
    (block >>> 16) & 255,
    block >>> 24,
    block & 255,
    (block >>> 8) & 255,
    offset & 255,
    offset >>> 8,
  );
}

function tidIn(_fc: FunctionCall, text: Uint8Array): Uint8Array {
  const match = /^\s*\(\s*([+-]?\d+),\s*([+-]?\d+)\)/.exec(textToString(text));
  if (!match) throw invalidSyntax('tid', text);
  const block = Number(match[1]);
  const offset = Number(match[2]);
  if (block > 0xffffffff || block < -0x80000000 || offset > 65535 || offset < 0) throw invalidSyntax('tid', text);
  return makeTid(block >>> 0, offset);
}

function tidCompare(a: Uint8Array, b: Uint8Array): number {
  const x = tidBlock(a);
  const y = tidBlock(b);
  return x < y ? -1 : x > y ? 1 : Math.sign(tidOffset(a) - tidOffset(b));
}

function tidRecv(_fc: FunctionCall, bytes: Uint8Array): Uint8Array {
  const view = wireView(bytes, 6);
  return makeTid(view.getUint32(0), view.getUint16(4));
}

function tidSend(_fc: FunctionCall, tid: Uint8Array): Uint8Array {
  const offset = tidOffset(tid);
  return concatBytes(sendInt32(tidBlock(tid)), Uint8Array.of(offset >> 8, offset & 255));
}

/** xid8 as unsigned 64 bits; its Datum is the signed reading only when above 2^63, which never occurs. */
const xid8Datum = (value: bigint): number | bigint => int8Datum(value);

export const oidFunctions: FunctionTable = {
  oidin: (_fc: FunctionCall, text: Uint8Array) => parseOid(text),
  oidout: (_fc: FunctionCall, value: number) => formatInteger(value >>> 0),
  oidrecv: (_fc: FunctionCall, bytes: Uint8Array) => recvUint32(bytes),
  oidsend: (_fc: FunctionCall, value: number) => sendInt32(value),
  oideq: scalarEq,
  oidne: scalarNe,
  oidlt: scalarLt,
  oidle: scalarLe,
  oidgt: scalarGt,
  oidge: scalarGe,
  btoidcmp: scalarCmp,
  oidlarger: scalarLarger,
  oidsmaller: scalarSmaller,

  oidvectorin: oidvectorIn,
  oidvectorout: (_fc: FunctionCall, vector: Uint8Array) => stringToText(vectorValues(vector).join(' ')),
  oidvectorrecv: (_fc: FunctionCall, bytes: Uint8Array) => vectorRecv(bytes, OIDOID),
  oidvectorsend: (_fc: FunctionCall, vector: Uint8Array) => vectorSend(vector),
  oidvectoreq: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => oidvectorCompare(a, b) === 0,
  oidvectorne: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => oidvectorCompare(a, b) !== 0,
  oidvectorlt: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => oidvectorCompare(a, b) < 0,
  oidvectorle: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => oidvectorCompare(a, b) <= 0,
  oidvectorgt: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => oidvectorCompare(a, b) > 0,
  oidvectorge: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => oidvectorCompare(a, b) >= 0,
  btoidvectorcmp: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => oidvectorCompare(a, b),

  int2vectorin: (_fc: FunctionCall, text: Uint8Array) => {
    const values: number[] = [];
    for (const word of textToString(text).trim().split(/\s+/)) {
      if (word === '') continue;
      if (!/^[+-]?\d+$/.test(word)) throw invalidSyntax('smallint', stringToText(word));
      const value = Number(word);
      if (value > 32767 || value < -32768) throw outOfRange('smallint', stringToText(word));
      values.push(value);
    }
    return buildVector(values, INT2OID);
  },
  int2vectorout: (_fc: FunctionCall, vector: Uint8Array) => stringToText(vectorValues(vector).join(' ')),
  int2vectorrecv: (_fc: FunctionCall, bytes: Uint8Array) => vectorRecv(bytes, INT2OID),
  int2vectorsend: (_fc: FunctionCall, vector: Uint8Array) => vectorSend(vector),

  xidin: (_fc: FunctionCall, text: Uint8Array) => Number(strtou64(text) & 0xffffffffn),
  xidout: (_fc: FunctionCall, value: number) => formatInteger(value >>> 0),
  xidrecv: (_fc: FunctionCall, bytes: Uint8Array) => recvUint32(bytes),
  xidsend: (_fc: FunctionCall, value: number) => sendInt32(value),
  xideq: scalarEq,
  xidneq: scalarNe,
  cidin: (_fc: FunctionCall, text: Uint8Array) => Number(strtou64(text) & 0xffffffffn),
  cidout: (_fc: FunctionCall, value: number) => formatInteger(value >>> 0),
  cidrecv: (_fc: FunctionCall, bytes: Uint8Array) => recvUint32(bytes),
  cidsend: (_fc: FunctionCall, value: number) => sendInt32(value),
  cideq: scalarEq,
  xid8in: (_fc: FunctionCall, text: Uint8Array) => xid8Datum(strtou64(text)),
  xid8out: (_fc: FunctionCall, value: number | bigint) => formatInteger(value),
  xid8recv: (_fc: FunctionCall, bytes: Uint8Array) => xid8Datum(wireView(bytes, 8).getBigUint64(0)),
  xid8send: (_fc: FunctionCall, value: number | bigint) => sendInt64(value),
  xid8eq: scalarEq,
  xid8ne: scalarNe,
  xid8lt: scalarLt,
  xid8le: scalarLe,
  xid8gt: scalarGt,
  xid8ge: scalarGe,
  xid8cmp: scalarCmp,
  xid8_larger: scalarLarger,
  xid8_smaller: scalarSmaller,
  xid8toxid: (_fc: FunctionCall, value: number | bigint) => Number(BigInt(value) & 0xffffffffn),

  tidin: tidIn,
  tidout: (_fc: FunctionCall, tid: Uint8Array) => stringToText(`(${tidBlock(tid)},${tidOffset(tid)})`),
  tidrecv: tidRecv,
  tidsend: tidSend,
  tideq: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => equalBytes(a, b),
  tidne: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => !equalBytes(a, b),
  tidlt: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => tidCompare(a, b) < 0,
  tidle: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => tidCompare(a, b) <= 0,
  tidgt: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => tidCompare(a, b) > 0,
  tidge: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => tidCompare(a, b) >= 0,
  bttidcmp: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => tidCompare(a, b),
  tidlarger: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => (tidCompare(a, b) >= 0 ? a : b),
  tidsmaller: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => (tidCompare(a, b) <= 0 ? a : b),
};
