/**
 * Hash functions of hash opclasses: equal values of a type hash equal, also across the integer and
 * the float types.
 */
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import { baseType, builtin } from './cache/typcache.ts';
import { type FunctionCall, type FunctionTable, nestedCall } from './fmgr.ts';
import { foldInt8, hashBytes, hashBytesExtended, hashUint32, hashUint32Extended } from './hash/hashfn.ts';
import { arrayElemType, deconstructArray } from './arrayutils.ts';
import { readTimeTz } from './date.ts';
import { formatType } from './format_type.ts';
import { indeterminate } from './pg_locale.ts';
import { intervalLength } from './interval.ts';
import { int8Datum } from './numutils.ts';
import { digitsAt, isSpecial, weightOf } from './numericvar.ts';
import { vectorValues } from './oid.ts';
import { viewOf } from './pqwire.ts';
import { trimBlanks } from './varchar.ts';

type Bytes = Uint8Array;
type Int8 = number | bigint;

const extended = (value: bigint): Int8 => int8Datum(value);

const uint32 = (_fc: FunctionCall, v: number): number => hashUint32(v);
const uint32Extended = (_fc: FunctionCall, v: number, seed: Int8): Int8 =>
  extended(hashUint32Extended(v, BigInt(seed)));
const int64 = (_fc: FunctionCall, v: Int8): number => hashUint32(foldInt8(v));
const int64Extended = (_fc: FunctionCall, v: Int8, seed: Int8): Int8 =>
  extended(hashUint32Extended(foldInt8(v), BigInt(seed)));
const bytes = (_fc: FunctionCall, v: Bytes): number => hashBytes(v);
const bytesExtended = (_fc: FunctionCall, v: Bytes, seed: Int8): Int8 => extended(hashBytesExtended(v, BigInt(seed)));

/** The eight bytes of a double; every NaN alike, both zeros as 0. */
function floatBytes(v: number): Bytes {
  const out = new Uint8Array(8);
  viewOf(out).setFloat64(0, Number.isNaN(v) ? Number.NaN : v, true);
  return out;
}

const float = (_fc: FunctionCall, v: number): number => (v === 0 ? 0 : hashBytes(floatBytes(v)));
const floatExtended = (_fc: FunctionCall, v: number, seed: Int8): Int8 =>
  v === 0 ? seed : extended(hashBytesExtended(floatBytes(v), BigInt(seed)));

/** Digits without leading or trailing zeros, and the weight; scale and zeros' sign do not count. */
function numericDigits(p: Bytes): { digits: Bytes; weight: number } | null {
  if (isSpecial(p)) return null;
  let from = digitsAt(p);
  let to = p.length;
  let weight = weightOf(p);
  const isZero = (at: number): boolean => p[at] === 0 && p[at + 1] === 0;
  for (; from < to && isZero(from); from += 2) weight--;
  while (to > from && isZero(to - 2)) to -= 2;
  return { digits: p.subarray(from, to), weight: from === to ? 0 : weight };
}

function vectorBytes(v: Bytes): Bytes {
  const values = vectorValues(v);
  const out = new Uint8Array(values.length * 4);
  values.forEach((value, i) => viewOf(out).setUint32(i * 4, value, true));
  return out;
}

function hashArray(fc: FunctionCall, array: Bytes): number {
  const elem = arrayElemType(array);
  const type = baseType(fc, elem);
  if (type.hash === '')
    throw ereport(ERRCODE.UNDEFINED_FUNCTION, `could not identify a hash function for type ${formatType(fc, elem)}`);
  const fn = builtin(type.hash);
  const call = nestedCall(fc, [elem], 23 as Oid);
  let result = 1;
  for (const value of deconstructArray(array, type))
    result = (Math.imul(result, 31) + (value === null ? 0 : (fn(call, value) as number))) | 0;
  return result;
}

const ACL_SUM = (v: Bytes): number =>
  (viewOf(v).getUint32(8, true) + viewOf(v).getUint32(0, true) + viewOf(v).getUint32(4, true)) | 0;
const signedByte = (v: number): number => (v << 24) >> 24;
const lengthOf = (v: Bytes): bigint => BigInt.asIntN(64, intervalLength(v));

export const hashFunctions: FunctionTable = {
  hashchar: (_fc: FunctionCall, v: number | boolean) => hashUint32(signedByte(Number(v))),
  hashcharextended: (fc: FunctionCall, v: number | boolean, seed: Int8) =>
    uint32Extended(fc, signedByte(Number(v)), seed),
  hashint2: uint32,
  hashint2extended: uint32Extended,
  hashint4: uint32,
  hashint4extended: uint32Extended,
  hashint8: int64,
  hashint8extended: int64Extended,
  hashoid: uint32,
  hashoidextended: uint32Extended,
  hashenum: uint32,
  hashenumextended: uint32Extended,
  hashfloat4: float,
  hashfloat4extended: floatExtended,
  hashfloat8: float,
  hashfloat8extended: floatExtended,
  hashoidvector: (_fc: FunctionCall, v: Bytes) => hashBytes(vectorBytes(v)),
  hashoidvectorextended: (_fc: FunctionCall, v: Bytes, seed: Int8) =>
    extended(hashBytesExtended(vectorBytes(v), BigInt(seed))),
  hashname: bytes,
  hashnameextended: bytesExtended,
  hashtext: bytes,
  hashtextextended: bytesExtended,
  hashvarlena: bytes,
  hashvarlenaextended: bytesExtended,
  hashbpchar: (_fc: FunctionCall, v: Bytes) => hashBytes(trimBlanks(v)),
  hashbpcharextended: (_fc: FunctionCall, v: Bytes, seed: Int8) =>
    extended(hashBytesExtended(trimBlanks(v), BigInt(seed))),
  hash_numeric: (_fc: FunctionCall, p: Bytes) => {
    const n = numericDigits(p);
    if (n === null) return 0;
    return n.digits.length === 0 ? -1 : hashBytes(n.digits) ^ n.weight;
  },
  hash_numeric_extended: (_fc: FunctionCall, p: Bytes, seed: Int8) => {
    const n = numericDigits(p);
    if (n === null) return seed;
    if (n.digits.length === 0) return int8Datum(BigInt.asIntN(64, BigInt(seed) - 1n));
    return extended(BigInt.asIntN(64, hashBytesExtended(n.digits, BigInt(seed)) ^ BigInt(n.weight)));
  },
  hashtid: bytes,
  hashtidextended: bytesExtended,
  uuid_hash: bytes,
  uuid_hash_extended: bytesExtended,
  time_hash: int64,
  time_hash_extended: int64Extended,
  timestamp_hash: int64,
  timestamp_hash_extended: int64Extended,
  pg_lsn_hash: int64,
  pg_lsn_hash_extended: int64Extended,
  timetz_hash: (_fc: FunctionCall, v: Bytes) => {
    const t = readTimeTz(v);
    return hashUint32(foldInt8(t.time)) ^ hashUint32(t.zone);
  },
  timetz_hash_extended: (_fc: FunctionCall, v: Bytes, seed: Int8) => {
    const t = readTimeTz(v);
    return extended(
      BigInt.asIntN(64, hashUint32Extended(foldInt8(t.time), BigInt(seed)) ^ hashUint32Extended(t.zone, BigInt(seed))),
    );
  },
  interval_hash: (_fc: FunctionCall, v: Bytes) => hashUint32(foldInt8(lengthOf(v))),
  interval_hash_extended: (_fc: FunctionCall, v: Bytes, seed: Int8) =>
    extended(hashUint32Extended(foldInt8(lengthOf(v)), BigInt(seed))),
  hash_aclitem: (_fc: FunctionCall, v: Bytes) => ACL_SUM(v),
  hash_array: (fc: FunctionCall, array: Bytes) => hashArray(fc, array),
  btequalimage: (_fc: FunctionCall, _oid: Datum) => true,
  btvarstrequalimage: (fc: FunctionCall, _oid: Datum) => {
    if (fc.collation === 0) throw indeterminate('string comparison');
    return true;
  },
};
