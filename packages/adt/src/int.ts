/**
 * int2 and int4: I/O, arithmetic with overflow checks, casts, comparison across widths, bit
 * operations, gcd/lcm and generate_series. Division truncates towards zero.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import type { FunctionCall, FunctionTable, SetFunctionTable } from './fmgr.ts';
import { formatInteger, outOfRange, parseInteger } from './numutils.ts';
import { recvInt32, sendInt16, sendInt32, wireView } from './pqwire.ts';
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

const int2Range = (): PgError => ereport(ERRCODE.NUMERIC_VALUE_OUT_OF_RANGE, 'smallint out of range');
const int4Range = (): PgError => ereport(ERRCODE.NUMERIC_VALUE_OUT_OF_RANGE, 'integer out of range');
const divisionByZero = (): PgError => ereport(ERRCODE.DIVISION_BY_ZERO, 'division by zero');

export function toInt4(value: number): number {
  const i = value | 0;
  if (i !== value) throw int4Range();
  return i;
}

function toInt2(value: number): number {
  const i = (value << 16) >> 16;
  if (i !== value) throw int2Range();
  return i;
}

function int4Text(text: Uint8Array): number {
  const value = parseInteger(text, 'integer');
  const i = Number(value) | 0;
  if (i !== value && !(value === 0)) throw outOfRange('integer', text);
  return i;
}

function int2Text(text: Uint8Array): number {
  const value = parseInteger(text, 'smallint');
  if (value > 32767 || value < -32768) throw outOfRange('smallint', text);
  return Number(value);
}

const add4 = (_fc: FunctionCall, a: number, b: number): number => toInt4(a + b);
const sub4 = (_fc: FunctionCall, a: number, b: number): number => toInt4(a - b);
const mul4 = (_fc: FunctionCall, a: number, b: number): number => toInt4(a * b);
const add2 = (_fc: FunctionCall, a: number, b: number): number => toInt2(a + b);
const sub2 = (_fc: FunctionCall, a: number, b: number): number => toInt2(a - b);
const mul2 = (_fc: FunctionCall, a: number, b: number): number => toInt2(a * b);

function div4(_fc: FunctionCall, a: number, b: number): number {
  if (b === 0) throw divisionByZero();
  return toInt4(Math.trunc(a / b));
}

function div2(_fc: FunctionCall, a: number, b: number): number {
  if (b === 0) throw divisionByZero();
  return toInt2(Math.trunc(a / b));
}

function mod(_fc: FunctionCall, a: number, b: number): number {
  if (b === 0) throw divisionByZero();
  return (a % b) | 0;
}

function gcd4(a: number, b: number): number {
  let x = Math.abs(a);
  let y = Math.abs(b);
  while (y !== 0) {
    const r = x % y;
    x = y;
    y = r;
  }
  return x;
}

/** in_range for RANGE frames: is val within offset of base, in the wanted direction? Overflow answers by sign. */
export function inRange(
  val: number | bigint,
  base: number | bigint,
  offset: number | bigint,
  sub: boolean,
  less: boolean,
): boolean {
  if (offset < 0)
    throw ereport(
      ERRCODE.INVALID_PRECEDING_OR_FOLLOWING_SIZE,
      'invalid preceding or following size in window function',
    );
  const sum = BigInt(base) + (sub ? -BigInt(offset) : BigInt(offset));
  return less ? BigInt(val) <= sum : BigInt(val) >= sum;
}

const inRangeInt = (
  _fc: FunctionCall,
  val: number | bigint,
  base: number | bigint,
  offset: number | bigint,
  sub: boolean,
  less: boolean,
): boolean => inRange(val, base, offset, sub, less);

export const intFunctions: FunctionTable = {
  int2in: (_fc: FunctionCall, text: Uint8Array) => int2Text(text),
  int2out: (_fc: FunctionCall, value: number) => formatInteger(value),
  int2recv: (_fc: FunctionCall, bytes: Uint8Array) => wireView(bytes, 2).getInt16(0),
  int2send: (_fc: FunctionCall, value: number) => sendInt16(value),
  int4in: (_fc: FunctionCall, text: Uint8Array) => int4Text(text),
  int4out: (_fc: FunctionCall, value: number) => formatInteger(value),
  int4recv: (_fc: FunctionCall, bytes: Uint8Array) => recvInt32(bytes),
  int4send: (_fc: FunctionCall, value: number) => sendInt32(value),
  i2toi4: (_fc: FunctionCall, value: number) => value,
  i4toi2: (_fc: FunctionCall, value: number) => toInt2(value),

  int2eq: scalarEq,
  int2ne: scalarNe,
  int2lt: scalarLt,
  int2le: scalarLe,
  int2gt: scalarGt,
  int2ge: scalarGe,
  int4eq: scalarEq,
  int4ne: scalarNe,
  int4lt: scalarLt,
  int4le: scalarLe,
  int4gt: scalarGt,
  int4ge: scalarGe,
  int24eq: scalarEq,
  int24ne: scalarNe,
  int24lt: scalarLt,
  int24le: scalarLe,
  int24gt: scalarGt,
  int24ge: scalarGe,
  int42eq: scalarEq,
  int42ne: scalarNe,
  int42lt: scalarLt,
  int42le: scalarLe,
  int42gt: scalarGt,
  int42ge: scalarGe,
  btint2cmp: (_fc: FunctionCall, a: number, b: number) => a - b,
  btint4cmp: scalarCmp,
  btint24cmp: scalarCmp,
  btint42cmp: scalarCmp,
  int2larger: scalarLarger,
  int2smaller: scalarSmaller,
  int4larger: scalarLarger,
  int4smaller: scalarSmaller,

  int2pl: add2,
  int2mi: sub2,
  int2mul: mul2,
  int2div: div2,
  int2mod: mod,
  int4pl: add4,
  int4mi: sub4,
  int4mul: mul4,
  int4div: div4,
  int4mod: mod,
  int24pl: add4,
  int24mi: sub4,
  int24mul: mul4,
  int24div: div4,
  int42pl: add4,
  int42mi: sub4,
  int42mul: mul4,
  int42div: div4,
  int2um: (_fc: FunctionCall, a: number) => toInt2(-a),
  int2up: (_fc: FunctionCall, a: number) => a,
  int2abs: (_fc: FunctionCall, a: number) => toInt2(Math.abs(a)),
  int4um: (_fc: FunctionCall, a: number) => toInt4(-a),
  int4up: (_fc: FunctionCall, a: number) => a,
  int4abs: (_fc: FunctionCall, a: number) => toInt4(Math.abs(a)),
  int4inc: (_fc: FunctionCall, a: number) => toInt4(a + 1),
  int4gcd: (_fc: FunctionCall, a: number, b: number) => toInt4(gcd4(a, b)),
  int4lcm: (_fc: FunctionCall, a: number, b: number) =>
    a === 0 || b === 0 ? 0 : toInt4(Math.abs((a / gcd4(a, b)) * b)),

  int2and: (_fc: FunctionCall, a: number, b: number) => a & b,
  int2or: (_fc: FunctionCall, a: number, b: number) => a | b,
  int2xor: (_fc: FunctionCall, a: number, b: number) => a ^ b,
  int2not: (_fc: FunctionCall, a: number) => ~a,
  int2shl: (_fc: FunctionCall, a: number, b: number) => ((a << b) << 16) >> 16,
  int2shr: (_fc: FunctionCall, a: number, b: number) => a >> b,
  int4and: (_fc: FunctionCall, a: number, b: number) => a & b,
  int4or: (_fc: FunctionCall, a: number, b: number) => a | b,
  int4xor: (_fc: FunctionCall, a: number, b: number) => a ^ b,
  int4not: (_fc: FunctionCall, a: number) => ~a,
  int4shl: (_fc: FunctionCall, a: number, b: number) => a << b,
  int4shr: (_fc: FunctionCall, a: number, b: number) => a >> b,

  in_range_int2_int2: inRangeInt,
  in_range_int2_int4: inRangeInt,
  in_range_int2_int8: inRangeInt,
  in_range_int4_int2: inRangeInt,
  in_range_int4_int4: inRangeInt,
  in_range_int4_int8: inRangeInt,
};

function* series(start: number, stop: number, step: number): Generator<number> {
  if (step === 0) throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, 'step size cannot equal zero');
  for (let v = start; step > 0 ? v <= stop : v >= stop; v += step) yield v;
}

export const intSetFunctions: SetFunctionTable = {
  generate_series_int4: (_fc: FunctionCall, start: number, stop: number) => series(start, stop, 1),
  generate_series_step_int4: (_fc: FunctionCall, start: number, stop: number, step: number) =>
    series(start, stop, step),
};
