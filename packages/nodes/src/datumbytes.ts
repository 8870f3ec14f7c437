/**
 * Constants in stored node trees are written as the bytes of a 64-bit PostgreSQL Datum: by-value
 * types as eight bytes little-endian, sign-extended from their own width; others as their storage,
 * varlenas with a four-byte header (length << 2). This converts both ways between those bytes and our
 * Datum representation, which depends on the type's width and, for by-value types, its kind.
 */
import {
  BOOLOID,
  CIDOID,
  CSTRINGOID,
  FLOAT4OID,
  FLOAT8OID,
  NAMEOID,
  OIDOID,
  REGPROCOID,
  XIDOID,
} from '@pgtroupe/common/oids';
import { assert } from '@pgtroupe/common/assert';
import type { Datum } from '@pgtroupe/common/datum';

const VARHDRSZ = 4;
const NAMEDATALEN = 64;
/** By-value four-byte types that hold unsigned numbers: oid, regproc, xid, cid, reg* (2202..2206, 3734, 3769, 4089, 4096, 4191). */
const UNSIGNED: ReadonlySet<number> = new Set([
  OIDOID,
  REGPROCOID,
  XIDOID,
  CIDOID,
  2202,
  2203,
  2204,
  2205,
  2206,
  3734,
  3769,
  4089,
  4096,
  4191,
]);

const scratch = new DataView(new ArrayBuffer(8));

/** The bytes of a constant, and the length PostgreSQL prints before them. */
export function datumToBytes(
  value: Datum,
  type: number,
  typlen: number,
  byval: boolean,
): { length: number; bytes: Uint8Array } {
  if (byval) {
    if (type === FLOAT8OID) scratch.setFloat64(0, value as number, true);
    else if (type === FLOAT4OID) {
      scratch.setFloat32(0, value as number, true);
      scratch.setInt32(4, scratch.getInt32(0, true) < 0 ? -1 : 0, true);
    } else if (type === BOOLOID) scratch.setBigInt64(0, value === true ? 1n : 0n, true);
    else scratch.setBigInt64(0, BigInt.asIntN(64, BigInt(value as number | bigint)), true);
    return { length: typlen, bytes: new Uint8Array(scratch.buffer.slice(0)) };
  }
  assert(value instanceof Uint8Array, 'a by-reference constant is bytes');
  if (typlen === -1) {
    const bytes = new Uint8Array(value.length + VARHDRSZ);
    new DataView(bytes.buffer).setUint32(0, bytes.length << 2, true);
    bytes.set(value, VARHDRSZ);
    return { length: bytes.length, bytes };
  }
  if (typlen === -2 || type === CSTRINGOID) {
    const bytes = new Uint8Array(value.length + 1);
    bytes.set(value);
    return { length: bytes.length, bytes };
  }
  const bytes = new Uint8Array(typlen);
  bytes.set(value.subarray(0, typlen));
  return { length: typlen, bytes };
}

/** Inverse of datumToBytes. */
export function datumFromBytes(bytes: Uint8Array, type: number, typlen: number, byval: boolean): Datum {
  if (byval) {
    assert(bytes.length === 8, 'a by-value constant has eight bytes');
    const view = new DataView(bytes.buffer, bytes.byteOffset, 8);
    if (type === FLOAT8OID) return view.getFloat64(0, true);
    if (type === FLOAT4OID) return view.getFloat32(0, true);
    if (type === BOOLOID) return bytes[0] !== 0;
    switch (typlen) {
      case 1:
        return view.getInt8(0);
      case 2:
        return view.getInt16(0, true);
      case 4:
        return UNSIGNED.has(type) ? view.getUint32(0, true) : view.getInt32(0, true);
      default: {
        const wide = view.getBigInt64(0, true);
        const narrow = Number(wide);
        return Number.isSafeInteger(narrow) ? narrow : wide;
      }
    }
  }
  if (typlen === -1) {
    const first = bytes[0] as number;
    return first & 1 ? bytes.subarray(1) : bytes.subarray(VARHDRSZ);
  }
  if (typlen === -2) return bytes.subarray(0, bytes.length - 1);
  if (type === NAMEOID && typlen === NAMEDATALEN) {
    const end = bytes.indexOf(0);
    return end < 0 ? bytes : bytes.subarray(0, end);
  }
  return bytes;
}
