/**
 * int8, held as a number while safe and as a bigint beyond (datum.ts). Arithmetic runs on doubles
 * first: a safe result is exact, anything else is computed again with bigints and range-checked.
 * Adding 0 turns JavaScript's -0 into 0.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import type { FunctionCall, FunctionTable, SetFunctionTable } from './fmgr.ts';
import { inRange } from './int.ts';
import { formatInteger, int8Datum, int8FromBigInt, outOfRange, parseInteger } from './numutils.ts';
import { recvInt64, sendInt64 } from './pqwire.ts';
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

export type Int8 = number | bigint;

const MAX_SAFE = Number.MAX_SAFE_INTEGER;
const divisionByZero = (): PgError => ereport(ERRCODE.DIVISION_BY_ZERO, 'division by zero');

function int8Add(a: Int8, b: Int8): Int8 {
  if (typeof a === 'number' && typeof b === 'number') {
    const r = a + b;
    if (r <= MAX_SAFE && r >= -MAX_SAFE) return r;
  }
  return int8FromBigInt(BigInt(a) + BigInt(b));
}

function int8Sub(a: Int8, b: Int8): Int8 {
  if (typeof a === 'number' && typeof b === 'number') {
    const r = a - b;
    if (r <= MAX_SAFE && r >= -MAX_SAFE) return r;
  }
  return int8FromBigInt(BigInt(a) - BigInt(b));
}

function int8Mul(a: Int8, b: Int8): Int8 {
  if (typeof a === 'number' && typeof b === 'number') {
    const r = a * b;
    if (r <= MAX_SAFE && r >= -MAX_SAFE) return r + 0;
  }
  return int8FromBigInt(BigInt(a) * BigInt(b));
}

function int8Div(a: Int8, b: Int8): Int8 {
  if (b === 0) throw divisionByZero();
  // A remainder first: a rounded quotient of two large safe integers could be one too high.
  if (typeof a === 'number' && typeof b === 'number') return (a - (a % b)) / b + 0;
  return int8FromBigInt(BigInt(a) / BigInt(b));
}

function int8Mod(_fc: FunctionCall, a: Int8, b: Int8): Int8 {
  if (b === 0) throw divisionByZero();
  if (typeof a === 'number' && typeof b === 'number') return (a % b) + 0;
  return int8Datum(BigInt(a) % BigInt(b));
}

const add = (_fc: FunctionCall, a: Int8, b: Int8): Int8 => int8Add(a, b);
const sub = (_fc: FunctionCall, a: Int8, b: Int8): Int8 => int8Sub(a, b);
const mul = (_fc: FunctionCall, a: Int8, b: Int8): Int8 => int8Mul(a, b);
const div = (_fc: FunctionCall, a: Int8, b: Int8): Int8 => int8Div(a, b);

function bits(op: (a: bigint, b: bigint) => bigint): (fc: FunctionCall, a: Int8, b: Int8) => Int8 {
  return (_fc, a, b) => int8Datum(BigInt.asIntN(64, op(BigInt(a), BigInt(b))));
}

function gcd(a: Int8, b: Int8): bigint {
  let x = BigInt(a);
  let y = BigInt(b);
  if (x < 0n) x = -x;
  if (y < 0n) y = -y;
  while (y !== 0n) [x, y] = [y, x % y];
  return x;
}

function lcm(a: Int8, b: Int8): Int8 {
  if (a === 0 || b === 0) return 0;
  const r = (BigInt(a) / gcd(a, b)) * BigInt(b);
  return int8FromBigInt(r < 0n ? -r : r);
}

function narrow(value: Int8, bits_: 16 | 32): number {
  const n = Number(value);
  const i = bits_ === 16 ? (n << 16) >> 16 : n | 0;
  if (i !== value)
    throw ereport(ERRCODE.NUMERIC_VALUE_OUT_OF_RANGE, bits_ === 16 ? 'smallint out of range' : 'integer out of range');
  return i;
}

function int8Text(text: Uint8Array): Int8 {
  const value = parseInteger(text, 'bigint');
  if (typeof value === 'number') return value;
  if (BigInt.asIntN(64, value) !== value) throw outOfRange('bigint', text);
  return value;
}

const inRangeInt8 = (_fc: FunctionCall, val: Int8, base: Int8, offset: Int8, s: boolean, less: boolean): boolean =>
  inRange(val, base, offset, s, less);

export const int8Functions: FunctionTable = {
  int8in: (_fc: FunctionCall, text: Uint8Array) => int8Text(text),
  int8out: (_fc: FunctionCall, value: Int8) => formatInteger(value),
  int8recv: (_fc: FunctionCall, bytes: Uint8Array) => recvInt64(bytes),
  int8send: (_fc: FunctionCall, value: Int8) => sendInt64(value),

  int8eq: scalarEq,
  int8ne: scalarNe,
  int8lt: scalarLt,
  int8le: scalarLe,
  int8gt: scalarGt,
  int8ge: scalarGe,
  int84eq: scalarEq,
  int84ne: scalarNe,
  int84lt: scalarLt,
  int84le: scalarLe,
  int84gt: scalarGt,
  int84ge: scalarGe,
  int48eq: scalarEq,
  int48ne: scalarNe,
  int48lt: scalarLt,
  int48le: scalarLe,
  int48gt: scalarGt,
  int48ge: scalarGe,
  int82eq: scalarEq,
  int82ne: scalarNe,
  int82lt: scalarLt,
  int82le: scalarLe,
  int82gt: scalarGt,
  int82ge: scalarGe,
  int28eq: scalarEq,
  int28ne: scalarNe,
  int28lt: scalarLt,
  int28le: scalarLe,
  int28gt: scalarGt,
  int28ge: scalarGe,
  btint8cmp: scalarCmp,
  btint84cmp: scalarCmp,
  btint48cmp: scalarCmp,
  btint82cmp: scalarCmp,
  btint28cmp: scalarCmp,
  int8larger: scalarLarger,
  int8smaller: scalarSmaller,

  int8pl: add,
  int8mi: sub,
  int8mul: mul,
  int8div: div,
  int8mod: int8Mod,
  int84pl: add,
  int84mi: sub,
  int84mul: mul,
  int84div: div,
  int48pl: add,
  int48mi: sub,
  int48mul: mul,
  int48div: div,
  int82pl: add,
  int82mi: sub,
  int82mul: mul,
  int82div: div,
  int28pl: add,
  int28mi: sub,
  int28mul: mul,
  int28div: div,
  int8um: (_fc: FunctionCall, a: Int8) => int8Sub(0, a),
  int8up: (_fc: FunctionCall, a: Int8) => a,
  int8abs: (_fc: FunctionCall, a: Int8) => (a < 0 ? int8Sub(0, a) : a),
  int8gcd: (_fc: FunctionCall, a: Int8, b: Int8) => int8FromBigInt(gcd(a, b)),
  int8lcm: (_fc: FunctionCall, a: Int8, b: Int8) => lcm(a, b),
  int8and: bits((a, b) => a & b),
  int8or: bits((a, b) => a | b),
  int8xor: bits((a, b) => a ^ b),
  int8not: (_fc: FunctionCall, a: Int8) => int8Datum(~BigInt(a)),
  int8shl: bits((a, b) => a << (b & 63n)),
  int8shr: bits((a, b) => a >> (b & 63n)),

  // count(*), count(x) and their moving forms
  int8inc: (_fc: FunctionCall, a: Int8) => int8Add(a, 1),
  int8dec: (_fc: FunctionCall, a: Int8) => int8Sub(a, 1),
  int8inc_any: (_fc: FunctionCall, a: Int8) => int8Add(a, 1),
  int8dec_any: (_fc: FunctionCall, a: Int8) => int8Sub(a, 1),
  int8inc_float8_float8: (_fc: FunctionCall, a: Int8) => int8Add(a, 1),

  int48: (_fc: FunctionCall, a: number) => a,
  int28: (_fc: FunctionCall, a: number) => a,
  int84: (_fc: FunctionCall, a: Int8) => narrow(a, 32),
  int82: (_fc: FunctionCall, a: Int8) => narrow(a, 16),
  oidtoi8: (_fc: FunctionCall, a: number) => a,
  i8tooid: (_fc: FunctionCall, a: Int8) => {
    if (a < 0 || a > 0xffffffff) throw ereport(ERRCODE.NUMERIC_VALUE_OUT_OF_RANGE, 'OID out of range');
    return a;
  },
  in_range_int8_int8: inRangeInt8,
};

function* series(start: Int8, stop: Int8, step: Int8): Generator<Int8> {
  if (step === 0) throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, 'step size cannot equal zero');
  const up = step > 0;
  let v = start;
  while (up ? v <= stop : v >= stop) {
    yield v;
    // The end of the type's range ends the series without an error.
    const next = BigInt(v) + BigInt(step);
    if (BigInt.asIntN(64, next) !== next) return;
    v = int8Datum(next);
  }
}

function* smallSeries(start: number, stop: number, step: number): Generator<number> {
  for (let v = start; step > 0 ? v <= stop : v >= stop; v += step) yield v;
}

function anySeries(_fc: FunctionCall, start: Int8, stop: Int8, step: Int8 = 1): Iterable<Int8> {
  const small = (v: Int8): v is number => typeof v === 'number' && Math.abs(v) < 2 ** 51;
  if (small(start) && small(stop) && small(step) && step !== 0) return smallSeries(start, stop, step);
  return series(start, stop, step);
}

export const int8SetFunctions: SetFunctionTable = {
  generate_series_int8: anySeries,
  generate_series_step_int8: anySeries,
};
