/**
 * One attribute's bytes: how a Datum (common/datum.ts) lies on disk. Heap and index tuples share it.
 *
 * Alignment is relative to the tuple, which lies MAXALIGNed, so aligned views serve. A varlena value
 * comes in five forms, told apart by its first byte (little endian):
 *
 *     xxxxxx00  4-byte header, length << 2 (header included), aligned
 *     xxxxxx10  4-byte header, compressed: then u32 raw length (30 bits) and method (2 bits)
 *     00000001  external: then a tag byte and a pointer to the TOAST table, unaligned
 *     xxxxxxx1  1-byte header, length << 1 (header included), up to 127 bytes, unaligned
 *     00000000  where a short header would be: alignment padding
 */
import { BOOLOID, FLOAT4OID, FLOAT8OID, NAMEOID } from '@pgtroupe/common/oids';
import { assert } from '@pgtroupe/common/assert';
import type { Datum } from '@pgtroupe/common/datum';
import { Internal } from '@pgtroupe/common/datum';
import { detoastCompressed, detoastExternal, VARTAG_SIZE } from './detoast.ts';
import type { TupleMemory } from './htup.ts';
import type { Attribute } from './tupdesc.ts';

/** Representation of a value; see datum.ts. */
export const ATT_BOOL = 0;
export const ATT_CHAR = 1;
export const ATT_INT2 = 2;
export const ATT_INT4 = 3;
export const ATT_UINT4 = 4;
export const ATT_FLOAT4 = 5;
export const ATT_INT8 = 6;
export const ATT_UINT8 = 7;
export const ATT_FLOAT8 = 8;
export const ATT_NAME = 9;
export const ATT_FIXED = 10;
export const ATT_VARLENA = 11;
export const ATT_CSTRING = 12;
export type AttKind = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10 | 11 | 12;

/** pg_lsn, xid8. */
const UNSIGNED8 = new Set([3220, 5069]);
/** oid, xid, cid, regproc, regprocedure, regoper, regoperator, regclass, regtype, regconfig,
 *  regdictionary, regnamespace, regrole, regcollation. */
const UNSIGNED4 = new Set([26, 28, 29, 24, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191]);

/** A varlena value with its header, to be stored as it is: compressed, or a pointer into TOAST. */
export class VarlenaImage extends Internal {
  readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    super();
    this.bytes = bytes;
  }
}

export function attKind(att: Pick<Attribute, 'typid' | 'baseTypid' | 'len' | 'byval'>): AttKind {
  const typid: number = att.baseTypid ?? att.typid;
  if (att.len === -1) return ATT_VARLENA;
  if (att.len === -2) return ATT_CSTRING;
  if (!att.byval) return typid === NAMEOID ? ATT_NAME : ATT_FIXED;
  switch (att.len) {
    case 1:
      return typid === BOOLOID ? ATT_BOOL : ATT_CHAR;
    case 2:
      return ATT_INT2;
    case 4:
      if (typid === FLOAT4OID) return ATT_FLOAT4;
      return UNSIGNED4.has(typid) ? ATT_UINT4 : ATT_INT4;
    default:
      assert(att.len === 8, `by-value type ${typid} of ${att.len} bytes`);
      if (typid === FLOAT8OID) return ATT_FLOAT8;
      return UNSIGNED8.has(typid) ? ATT_UINT8 : ATT_INT8;
  }
}

/** Alignment as a mask: `(off + mask) & ~mask`. */
export function alignMask(align: Attribute['align']): number {
  return align === 'i' ? 3 : align === 'd' ? 7 : align === 's' ? 1 : 0;
}

// ---- reading -------------------------------------------------------------------------------------

/** The value at `at`. `len` matters for fixed-length kinds only. Byte values are views. */
export function fetchAtt(mem: TupleMemory, at: number, kind: number, len: number): Datum {
  switch (kind) {
    case ATT_INT4:
      return mem.i32[at >>> 2]!;
    case ATT_VARLENA:
      return fetchVarlena(mem, at);
    case ATT_UINT4:
      return mem.u32[at >>> 2]!;
    case ATT_INT8:
      return fetchInt8(mem, at);
    case ATT_BOOL:
      return mem.u8[at] !== 0;
    case ATT_CHAR:
      return mem.u8[at]!;
    case ATT_INT2:
      return (mem.u16[at >>> 1]! << 16) >> 16;
    case ATT_FLOAT8:
      return mem.view.getFloat64(at, true);
    case ATT_FLOAT4:
      return mem.view.getFloat32(at, true);
    case ATT_UINT8:
      return fetchUint8(mem, at);
    case ATT_NAME: {
      let end = at;
      while (end < at + len && mem.u8[end] !== 0) end++;
      return mem.u8.subarray(at, end);
    }
    case ATT_CSTRING:
      return mem.u8.subarray(at, mem.u8.indexOf(0, at));
    default:
      return mem.u8.subarray(at, at + len);
  }
}

function fetchInt8(mem: TupleMemory, at: number): number | bigint {
  const value = mem.i32[(at + 4) >>> 2]! * 0x100000000 + mem.u32[at >>> 2]!;
  return Number.isSafeInteger(value) ? value : mem.view.getBigInt64(at, true);
}

function fetchUint8(mem: TupleMemory, at: number): number | bigint {
  const value = mem.u32[(at + 4) >>> 2]! * 0x100000000 + mem.u32[at >>> 2]!;
  return Number.isSafeInteger(value) ? value : mem.view.getBigUint64(at, true);
}

/** Contents of the varlena at `at`, decompressed and fetched from TOAST where need be. */
export function fetchVarlena(mem: TupleMemory, at: number): Uint8Array {
  const first = mem.u8[at]!;
  if ((first & 1) !== 0) {
    if (first === 1) return detoastExternal(mem, at);
    return mem.u8.subarray(at + 1, at + (first >>> 1));
  }
  if ((first & 2) !== 0) return detoastCompressed(mem.u8, at);
  return mem.u8.subarray(at + 4, at + (mem.u32[at >>> 2]! >>> 2));
}

/** Bytes that the varlena at `at` takes in the tuple, header included. */
function varsizeAny(mem: TupleMemory, at: number): number {
  const first = mem.u8[at]!;
  if ((first & 1) === 0) return mem.u32[at >>> 2]! >>> 2;
  return first === 1 ? 2 + VARTAG_SIZE(mem.u8[at + 1]!) : first >>> 1;
}

/** Where an attribute that would begin at `at` at the earliest does begin. */
export function attAlignPointer(mem: TupleMemory, at: number, len: number, mask: number): number {
  return len === -1 && mem.u8[at] !== 0 ? at : (at + mask) & ~mask;
}

/** End of the attribute at `at`. */
export function attAddLength(mem: TupleMemory, at: number, len: number): number {
  if (len > 0) return at + len;
  if (len === -1) return at + varsizeAny(mem, at);
  return mem.u8.indexOf(0, at) + 1;
}

// ---- writing -------------------------------------------------------------------------------------

/** Longest content that takes a 1-byte header. */
export const VARATT_SHORT_MAX_DATA = 0x7f - 1;

/** End of `value` when it is put at `at` or behind it, aligned. Only the remainder of `at` by 8 counts. */
export function attEnd(at: number, value: Datum, kind: number, len: number, mask: number, packable: boolean): number {
  if (kind === ATT_VARLENA) {
    if (value instanceof VarlenaImage) return attAlignImage(at, value.bytes, mask) + value.bytes.length;
    const { length } = value as Uint8Array;
    return packable && length <= VARATT_SHORT_MAX_DATA ? at + 1 + length : ((at + mask) & ~mask) + 4 + length;
  }
  if (kind === ATT_CSTRING) return at + (value as Uint8Array).length + 1;
  return ((at + mask) & ~mask) + len;
}

function attAlignImage(at: number, image: Uint8Array, mask: number): number {
  return (image[0]! & 1) !== 0 ? at : (at + mask) & ~mask;
}

/** Writes `value` at `at` or behind it, aligned, zeroing the padding; returns its end. `packable`:
 *  a varlena may take a short header (attstorage is not plain). `at` must be relative to a MAXALIGNed
 *  start. */
export function storeAtt(
  mem: TupleMemory,
  at: number,
  value: Datum,
  kind: number,
  len: number,
  mask: number,
  packable: boolean,
): number {
  const { u8 } = mem;
  if (kind === ATT_VARLENA) return storeVarlena(mem, at, value, mask, packable);
  while ((at & mask) !== 0) u8[at++] = 0;
  switch (kind) {
    case ATT_INT4:
    case ATT_UINT4:
      mem.i32[at >>> 2] = value as number;
      break;
    case ATT_INT8:
    case ATT_UINT8:
      storeInt8(mem, at, value as number | bigint);
      break;
    case ATT_BOOL:
      u8[at] = value === true ? 1 : 0;
      break;
    case ATT_CHAR:
      u8[at] = value as number;
      break;
    case ATT_INT2:
      mem.u16[at >>> 1] = value as number;
      break;
    case ATT_FLOAT8:
      mem.view.setFloat64(at, value as number, true);
      break;
    case ATT_FLOAT4:
      mem.view.setFloat32(at, value as number, true);
      break;
    case ATT_CSTRING: {
      const bytes = value as Uint8Array;
      storeBytes(u8, at, bytes);
      u8[at + bytes.length] = 0;
      return at + bytes.length + 1;
    }
    default: {
      // name (zero-padded) and other fixed-length bytes.
      const bytes = value as Uint8Array;
      assert(
        bytes.length === len || (kind === ATT_NAME && bytes.length < len),
        `value of ${bytes.length} bytes for a type of ${len}`,
      );
      storeBytes(u8, at, bytes);
      if (bytes.length < len) u8.fill(0, at + bytes.length, at + len);
    }
  }
  return at + len;
}

function storeInt8(mem: TupleMemory, at: number, value: number | bigint): void {
  if (typeof value === 'bigint') {
    mem.view.setBigInt64(at, value, true);
    return;
  }
  mem.u32[at >>> 2] = value;
  mem.i32[(at + 4) >>> 2] = Math.floor(value / 0x100000000);
}

function storeVarlena(mem: TupleMemory, at: number, value: Datum, mask: number, packable: boolean): number {
  const { u8 } = mem;
  if (value instanceof VarlenaImage) {
    const start = attAlignImage(at, value.bytes, mask);
    while (at < start) u8[at++] = 0;
    storeBytes(u8, at, value.bytes);
    return at + value.bytes.length;
  }
  const bytes = value as Uint8Array;
  const { length } = bytes;
  if (packable && length <= VARATT_SHORT_MAX_DATA) {
    u8[at++] = ((length + 1) << 1) | 1;
  } else {
    while ((at & mask) !== 0) u8[at++] = 0;
    mem.u32[at >>> 2] = (length + 4) << 2;
    at += 4;
  }
  storeBytes(u8, at, bytes);
  return at + length;
}

function storeBytes(u8: Uint8Array, at: number, bytes: Uint8Array): void {
  if (bytes.length > 40) u8.set(bytes, at);
  else for (let i = 0; i < bytes.length; i++) u8[at + i] = bytes[i]!;
}
