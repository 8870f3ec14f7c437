/**
 * Values as numbers that are in the same order, to tell how far between two others one lies (convert_to_scalar,
 * utils/adt/selfuncs.c).
 */
import {
  BOOLOID,
  BPCHAROID,
  BYTEAOID,
  CHAROID,
  DATEOID,
  FLOAT4OID,
  FLOAT8OID,
  INT2OID,
  INT4OID,
  INT8OID,
  INTERVALOID,
  NAMEOID,
  NUMERICOID,
  OIDOID,
  TEXTOID,
  TIMEOID,
  TIMESTAMPOID,
  TIMESTAMPTZOID,
  TIMETZOID,
  VARCHAROID,
} from '@pgtroupe/common/oids';
import type { Datum } from '@pgtroupe/common/datum';
import type { PlannerEnv } from '../pathnodes.ts';

const USECS_PER_DAY = 86_400_000_000;
const DAYS_PER_MONTH = 365.25 / 12;
const REGROLE_AND_KIN = [24, 2202, 2203, 2204, 2205, 2206, 4191, 3734, 3769, 4096, 4089];
const NUMBERS = new Set<number>([
  ...[BOOLOID, INT2OID, INT4OID, INT8OID, FLOAT4OID, FLOAT8OID, NUMERICOID, OIDOID],
  ...REGROLE_AND_KIN,
]);
const STRINGS = new Set<number>([CHAROID, BPCHAROID, VARCHAROID, TEXTOID, NAMEOID]);
const TIMES = new Set<number>([TIMESTAMPOID, TIMESTAMPTZOID, DATEOID, INTERVALOID, TIMEOID, TIMETZOID]);

interface Scalars {
  readonly value: number;
  readonly low: number;
  readonly high: number;
}

/** Undefined: such values cannot be taken for numbers. */
export function convertToScalar(
  env: PlannerEnv,
  value: Datum,
  valueType: number,
  low: Datum,
  high: Datum,
  boundsType: number,
): Scalars | undefined {
  if (NUMBERS.has(valueType) && NUMBERS.has(boundsType)) {
    const number = (datum: Datum, type: number): number =>
      type === NUMERICOID ? env.statisticValues.numeric(datum as Uint8Array) : Number(datum);
    return { value: number(value, valueType), low: number(low, boundsType), high: number(high, boundsType) };
  }
  if (TIMES.has(valueType) && TIMES.has(boundsType))
    return { value: time(value, valueType), low: time(low, boundsType), high: time(high, boundsType) };
  if (STRINGS.has(valueType) && STRINGS.has(boundsType))
    return strings(text(value, valueType), text(low, boundsType), text(high, boundsType));
  if (valueType === BYTEAOID && boundsType === BYTEAOID)
    return withoutCommonPrefix(value as Uint8Array, low as Uint8Array, high as Uint8Array, bytes =>
      digits(bytes, 0, 255, 10),
    );
  return undefined;
}

function time(value: Datum, type: number): number {
  switch (type) {
    case DATEOID:
      return Number(value) * USECS_PER_DAY;
    case INTERVALOID: {
      const view = viewOf(value);
      const months = view.getInt32(12, true) * (DAYS_PER_MONTH * USECS_PER_DAY);
      return Number(view.getBigInt64(0, true)) + view.getInt32(8, true) * USECS_PER_DAY + months;
    }
    case TIMETZOID: {
      const view = viewOf(value);
      return Number(view.getBigInt64(0, true)) + view.getInt32(8, true) * 1_000_000;
    }
    default:
      return Number(value);
  }
}

function viewOf(value: Datum): DataView {
  const { buffer, byteOffset, length } = value as Uint8Array;
  return new DataView(buffer, byteOffset, length);
}

function text(value: Datum, type: number): Uint8Array {
  return type === CHAROID ? Uint8Array.of((value as number) & 0xff) : (value as Uint8Array);
}

/** As fractions in a number system whose digits are the characters in use. */
function strings(value: Uint8Array, low: Uint8Array, high: Uint8Array): Scalars {
  let least = high[0] ?? 0;
  let most = least;
  for (const byte of [...low, ...high]) {
    least = Math.min(least, byte);
    most = Math.max(most, byte);
  }
  // Where some letters or digits are in use, all may be.
  for (const [from, to] of [
    ['A', 'Z'],
    ['a', 'z'],
    ['0', '9'],
  ].map(pair => pair.map(c => c.charCodeAt(0)))) {
    if (least > to! || most < from!) continue;
    least = Math.min(least, from!);
    most = Math.max(most, to!);
  }
  if (most - least < 9) [least, most] = [0x20, 127];
  return withoutCommonPrefix(value, low, high, bytes => digits(bytes, least, most, 12));
}

function withoutCommonPrefix(
  value: Uint8Array,
  low: Uint8Array,
  high: Uint8Array,
  convert: (bytes: Uint8Array) => number,
): Scalars {
  let skip = 0;
  while (skip < low.length && low[skip] === high[skip] && low[skip] === value[skip]) skip++;
  return { value: convert(value.subarray(skip)), low: convert(low.subarray(skip)), high: convert(high.subarray(skip)) };
}

function digits(bytes: Uint8Array, least: number, most: number, places: number): number {
  const base = most - least + 1;
  let number = 0;
  let denominator = base;
  for (const byte of bytes.subarray(0, places)) {
    const digit = byte < least ? least - 1 : byte > most ? most + 1 : byte;
    number += (digit - least) / denominator;
    denominator *= base;
  }
  return number;
}
