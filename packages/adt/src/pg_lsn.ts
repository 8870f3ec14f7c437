/**
 * Type pg_lsn: a position in the WAL, printed as two hexadecimal halves.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { FunctionCall, FunctionTable } from './fmgr.ts';
import { stringToText, textToString } from './mb/mbutils.ts';
import { finite, kindOf, packNumeric, rescale, unpackNumeric } from './numericvar.ts';
import { int8Datum, invalidSyntax } from './numutils.ts';
import { recvInt64, sendInt64 } from './pqwire.ts';

type Bytes = Uint8Array;
type Lsn = number | bigint;

/** Unsigned whatever way the 64 bits were read. */
const unsigned = (lsn: Lsn): bigint => BigInt.asUintN(64, BigInt(lsn));

function compare(a: Lsn, b: Lsn): number {
  const x = typeof a === 'number' && a >= 0 ? a : unsigned(a);
  const y = typeof b === 'number' && b >= 0 ? b : unsigned(b);
  return x < y ? -1 : x > y ? 1 : 0;
}

function parse(text: Bytes): Lsn {
  const m = /^([0-9a-fA-F]{1,8})\/([0-9a-fA-F]{1,8})$/.exec(textToString(text));
  if (!m) throw invalidSyntax('pg_lsn', text);
  return int8Datum((BigInt(`0x${m[1]}`) << 32n) | BigInt(`0x${m[2]}`));
}

function format(lsn: Lsn): string {
  const v = unsigned(lsn);
  return `${(v >> 32n).toString(16).toUpperCase()}/${(v & 0xffffffffn).toString(16).toUpperCase()}`;
}

function move(lsn: Lsn, bytes: Bytes, sign: 1n | -1n): Lsn {
  if (kindOf(bytes) === 'nan')
    throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, `cannot ${sign > 0n ? 'add NaN to' : 'subtract NaN from'} pg_lsn`);
  if (kindOf(bytes) !== 'finite') throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, 'cannot convert infinity to pg_lsn');
  const v = unpackNumeric(bytes);
  const n = unsigned(lsn) + sign * rescale(v.n, v.scale, 0);
  if (n < 0n || n > 0xffffffffffffffffn) throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, 'pg_lsn out of range');
  return int8Datum(n);
}

export const pgLsnFunctions: FunctionTable = {
  pg_lsn_in: (_fc: FunctionCall, text: Bytes) => parse(text),
  pg_lsn_out: (_fc: FunctionCall, lsn: Lsn) => stringToText(format(lsn)),
  pg_lsn_recv: (_fc: FunctionCall, bytes: Bytes) => recvInt64(bytes),
  pg_lsn_send: (_fc: FunctionCall, lsn: Lsn) => sendInt64(lsn),
  pg_lsn_eq: (_fc: FunctionCall, a: Lsn, b: Lsn) => compare(a, b) === 0,
  pg_lsn_ne: (_fc: FunctionCall, a: Lsn, b: Lsn) => compare(a, b) !== 0,
  pg_lsn_lt: (_fc: FunctionCall, a: Lsn, b: Lsn) => compare(a, b) < 0,
  pg_lsn_le: (_fc: FunctionCall, a: Lsn, b: Lsn) => compare(a, b) <= 0,
  pg_lsn_gt: (_fc: FunctionCall, a: Lsn, b: Lsn) => compare(a, b) > 0,
  pg_lsn_ge: (_fc: FunctionCall, a: Lsn, b: Lsn) => compare(a, b) >= 0,
  pg_lsn_cmp: (_fc: FunctionCall, a: Lsn, b: Lsn) => compare(a, b),
  pg_lsn_larger: (_fc: FunctionCall, a: Lsn, b: Lsn) => (compare(a, b) > 0 ? a : b),
  pg_lsn_smaller: (_fc: FunctionCall, a: Lsn, b: Lsn) => (compare(a, b) < 0 ? a : b),
  pg_lsn_mi: (_fc: FunctionCall, a: Lsn, b: Lsn) => packNumeric(finite(unsigned(a) - unsigned(b), 0)),
  pg_lsn_pli: (_fc: FunctionCall, lsn: Lsn, bytes: Bytes) => move(lsn, bytes, 1n),
  pg_lsn_mii: (_fc: FunctionCall, lsn: Lsn, bytes: Bytes) => move(lsn, bytes, -1n),
  numeric_pg_lsn: (_fc: FunctionCall, bytes: Bytes) => {
    const kind = kindOf(bytes);
    if (kind !== 'finite')
      throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, `cannot convert ${kind === 'nan' ? 'NaN' : 'infinity'} to pg_lsn`);
    const v = unpackNumeric(bytes);
    const n = rescale(v.n, v.scale, 0);
    if (n < 0n || n > 0xffffffffffffffffn) throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, 'pg_lsn out of range');
    return int8Datum(n);
  },
};
