/**
 * The SQL functions of type numeric: I/O, arithmetic, rounding, comparison, casts. Layout and
 * scale rules are in numericvar.ts, roots and logarithms in numericmath.ts, aggregates in
 * numericagg.ts.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import type { Datum } from '@pgtroupe/common/datum';
import type { FunctionCall, FunctionTable, SetFunctionTable } from './fmgr.ts';
import { stringToText } from './mb/mbutils.ts';
import { type Int8 } from './int8.ts';
import { addDigits } from './numericadd.ts';
import { formatNumeric, numericToText, parseNumeric } from './numericio.ts';
import { numericExp, numericLn, numericLog, numericPower, numericSqrt } from './numericmath.ts';
import {
  applyTypmod,
  compareNumeric,
  digitsAt,
  divide,
  dscaleOf,
  finite,
  isSpecial,
  kindOf,
  makeNumericTypmod,
  multiply,
  NAN_VAR,
  NINF_VAR,
  NUMERIC_DSCALE_MAX,
  NUMERIC_MAX_PRECISION,
  NUMERIC_NAN,
  NUMERIC_NINF,
  NUMERIC_PINF,
  NUMERIC_WEIGHT_MAX,
  numericOverflow,
  type NumericVar,
  packNumeric,
  packSmall,
  PINF_VAR,
  pow10,
  rescale,
  selectDivScale,
  signOf,
  smallNumeric,
  truncate,
  typmodPrecision,
  typmodScale,
  unpackNumeric,
  weightOf,
} from './numericvar.ts';
import { int8Datum } from './numutils.ts';
import { viewOf } from './pqwire.ts';
import { parseTypmods } from './typmod.ts';

const MAX_SAFE = Number.MAX_SAFE_INTEGER;
const divisionByZero = (): PgError => ereport(ERRCODE.DIVISION_BY_ZERO, 'division by zero');

const POW10 = Array.from({ length: 16 }, (_, i) => 10 ** i);

/** Both values as safe integers at the higher of the two scales, or NaN when one is too big. */
function aligned(p: Uint8Array, from: number, to: number): number {
  const v = smallNumeric(p);
  return to - from > 15 ? NaN : v * POW10[to - from];
}

export function addOrSub(a: Uint8Array, b: Uint8Array, subtract: boolean): Uint8Array {
  if (!isSpecial(a) && !isSpecial(b)) {
    const sa = dscaleOf(a);
    const sb = dscaleOf(b);
    const scale = sa > sb ? sa : sb;
    const x = aligned(a, sa, scale);
    const y = aligned(b, sb, scale);
    const r = subtract ? x - y : x + y;
    // Summands beyond the safe range may have been rounded, whatever the sum.
    if (r <= MAX_SAFE && r >= -MAX_SAFE && x <= MAX_SAFE && x >= -MAX_SAFE && y <= MAX_SAFE && y >= -MAX_SAFE)
      return packSmall(r, scale);
    return addDigits(a, b, subtract);
  }
  return packNumeric(addVars(unpackNumeric(a), unpackNumeric(b), subtract));
}

/** The same digits with another sign. */
function withSign(p: Uint8Array, negative: boolean): Uint8Array {
  if (signOf(p) === 0) return p;
  if (isSpecial(p)) return negative ? NUMERIC_NINF : NUMERIC_PINF;
  const out = p.slice();
  const bit = digitsAt(p) === 2 ? 0x20 : 0x40;
  out[1] = negative ? out[1] | bit : out[1] & ~bit;
  return out;
}

function negate(v: NumericVar): NumericVar {
  if (v.kind === 'finite') return finite(-v.n, v.scale);
  return v.kind === 'pinf' ? NINF_VAR : v.kind === 'ninf' ? PINF_VAR : v;
}

export function addVars(a: NumericVar, right: NumericVar, subtract: boolean): NumericVar {
  const b = subtract ? negate(right) : right;
  if (a.kind === 'finite' && b.kind === 'finite') {
    const scale = Math.max(a.scale, b.scale);
    return finite(a.n * pow10(scale - a.scale) + b.n * pow10(scale - b.scale), scale);
  }
  if (a.kind === 'nan' || b.kind === 'nan') return NAN_VAR;
  if (a.kind === 'finite') return b;
  return b.kind === 'finite' || a.kind === b.kind ? a : NAN_VAR;
}

function mul(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (!isSpecial(a) && !isSpecial(b)) {
    const scale = dscaleOf(a) + dscaleOf(b);
    const r = smallNumeric(a) * smallNumeric(b);
    if (r <= MAX_SAFE && r >= -MAX_SAFE) return packSmall(r, scale);
    return packNumeric(multiply(unpackNumeric(a), unpackNumeric(b), Math.min(scale, NUMERIC_DSCALE_MAX)));
  }
  if (kindOf(a) === 'nan' || kindOf(b) === 'nan') return NUMERIC_NAN;
  const sign = signOf(a) * signOf(b);
  return sign === 0 ? NUMERIC_NAN : sign > 0 ? NUMERIC_PINF : NUMERIC_NINF;
}

/** Quotient rules for NaN and infinities, which division, truncated division and modulo share. */
function divideSpecial(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (kindOf(a) === 'nan' || kindOf(b) === 'nan') return NUMERIC_NAN;
  if (!isSpecial(a)) return packSmall(0, 0);
  if (isSpecial(b)) return NUMERIC_NAN;
  const s = signOf(b);
  if (s === 0) throw divisionByZero();
  return s * signOf(a) > 0 ? NUMERIC_PINF : NUMERIC_NINF;
}

export function numericDiv(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (isSpecial(a) || isSpecial(b)) return divideSpecial(a, b);
  if (signOf(b) === 0) throw divisionByZero();
  const x = unpackNumeric(a);
  const y = unpackNumeric(b);
  return packNumeric(divide(x, y, selectDivScale(x, y), true));
}

function mod(a: Uint8Array, b: Uint8Array): Uint8Array {
  if (isSpecial(a) || isSpecial(b)) {
    if (kindOf(a) === 'nan' || kindOf(b) === 'nan') return NUMERIC_NAN;
    if (isSpecial(a)) {
      if (signOf(b) === 0) throw divisionByZero();
      return NUMERIC_NAN;
    }
    return a;
  }
  const x = unpackNumeric(a);
  const y = unpackNumeric(b);
  if (y.n === 0n) throw divisionByZero();
  const scale = Math.max(x.scale, y.scale);
  return packNumeric(finite((x.n * pow10(scale - x.scale)) % (y.n * pow10(scale - y.scale)), scale));
}

function roundTo(p: Uint8Array, places: number, how: typeof rescale): Uint8Array {
  if (isSpecial(p)) return p;
  const scale = Math.min(Math.max(places, -(NUMERIC_WEIGHT_MAX + 1) * 4 - 1), NUMERIC_DSCALE_MAX);
  const v = unpackNumeric(p);
  // Nothing is left of a number rounded far above its first digit.
  if (scale < 0 && v.n.toString().length - v.scale + 1 < -scale) return packSmall(0, 0);
  return packNumeric(finite(how(v.n, v.scale, scale), Math.max(scale, 0)));
}

function wholeUp(p: Uint8Array, up: boolean): Uint8Array {
  if (isSpecial(p)) return p;
  const v = unpackNumeric(p);
  const unit = pow10(v.scale);
  let q = v.n / unit;
  if (q * unit !== v.n && v.n > 0n === up) q += up ? 1n : -1n;
  return packNumeric(finite(q, 0));
}

/** Rounded to an integer for a cast; `name` is the target type. */
function toInteger(p: Uint8Array, name: string, min: bigint, max: bigint): number | bigint {
  if (isSpecial(p)) {
    throw ereport(
      ERRCODE.FEATURE_NOT_SUPPORTED,
      kindOf(p) === 'nan' ? `cannot convert NaN to ${name}` : `cannot convert infinity to ${name}`,
    );
  }
  if (dscaleOf(p) === 0) {
    const small = smallNumeric(p);
    if (small === small && small <= Number(max) && small >= Number(min)) return small;
  }
  const v = unpackNumeric(p);
  const n = rescale(v.n, v.scale, 0);
  if (n < min || n > max) throw ereport(ERRCODE.NUMERIC_VALUE_OUT_OF_RANGE, `${name} out of range`);
  return int8Datum(n);
}

export function int8ToNumeric(value: Int8): Uint8Array {
  return typeof value === 'number' ? packSmall(value, 0) : packNumeric(finite(value, 0));
}

/** A float by its `digits` significant decimal digits, as %.*g prints them. */
function fromFloat(value: number, digits: number): Uint8Array {
  if (Number.isNaN(value)) return NUMERIC_NAN;
  if (!Number.isFinite(value)) return value > 0 ? NUMERIC_PINF : NUMERIC_NINF;
  const [mantissa, exponent] = value.toExponential(digits - 1).split('e');
  return parseNumeric(stringToText(`${mantissa.replace(/\.?0+$/, '')}e${exponent}`), -1);
}

function numericToFloat8(p: Uint8Array): number {
  if (isSpecial(p)) return kindOf(p) === 'nan' ? NaN : signOf(p) * Infinity;
  const text = formatNumeric(p);
  const value = Number(text);
  if (!Number.isFinite(value) || (value === 0 && signOf(p) !== 0)) {
    throw ereport(ERRCODE.NUMERIC_VALUE_OUT_OF_RANGE, `"${text}" is out of range for type double precision`);
  }
  return value;
}

function numericToFloat4(p: Uint8Array): number {
  if (isSpecial(p)) return kindOf(p) === 'nan' ? NaN : signOf(p) * Infinity;
  const text = formatNumeric(p);
  const value = Math.fround(Number(text));
  if (!Number.isFinite(value) || (value === 0 && signOf(p) !== 0)) {
    throw ereport(ERRCODE.NUMERIC_VALUE_OUT_OF_RANGE, `"${text}" is out of range for type real`);
  }
  return value;
}

function gcd(x: bigint, y: bigint): bigint {
  let a = x < 0n ? -x : x;
  let b = y < 0n ? -y : y;
  while (b !== 0n) [a, b] = [b, a % b];
  return a;
}

function gcdOrLcm(a: Uint8Array, b: Uint8Array, wantLcm: boolean): Uint8Array {
  if (isSpecial(a) || isSpecial(b)) return NUMERIC_NAN;
  const x = unpackNumeric(a);
  const y = unpackNumeric(b);
  const scale = Math.max(x.scale, y.scale);
  const m = x.n * pow10(scale - x.scale);
  const n = y.n * pow10(scale - y.scale);
  const g = gcd(m, n);
  if (!wantLcm) return packNumeric(finite(g, scale));
  if (m === 0n || n === 0n) return packNumeric(finite(0n, scale));
  const l = (m / g) * n;
  return packNumeric(finite(l < 0n ? -l : l, scale));
}

/** Fewest decimal places that show the value exactly. */
function minScale(v: NumericVar): number {
  let { n, scale } = v;
  while (scale > 0 && n % 10n === 0n) {
    n /= 10n;
    scale--;
  }
  return scale;
}

/** The integers from `from` to `to` multiplied: halves of like size, which are multiplied faster than one by one. */
function product(from: number, to: number): bigint {
  if (to - from > 8) {
    const middle = (from + to) >> 1;
    return product(from, middle) * product(middle + 1, to);
  }
  let r = 1n;
  for (let i = from; i <= to; i++) r *= BigInt(i);
  return r;
}

function factorial(num: Int8): Uint8Array {
  if (num < 0) throw ereport(ERRCODE.NUMERIC_VALUE_OUT_OF_RANGE, 'factorial of a negative number is undefined');
  if (num > 32177) throw numericOverflow();
  return packNumeric(finite(product(2, Number(num)), 0));
}

function widthBucket(operand: Uint8Array, low: Uint8Array, high: Uint8Array, count: number): number {
  const bad = (message: string): PgError => ereport(ERRCODE.INVALID_ARGUMENT_FOR_WIDTH_BUCKET_FUNCTION, message);
  if (count <= 0) throw bad('count must be greater than zero');
  const kinds = [kindOf(operand), kindOf(low), kindOf(high)];
  if (kinds.includes('nan')) throw bad('operand, lower bound, and upper bound cannot be NaN');
  if (isSpecial(low) || isSpecial(high)) throw bad('lower and upper bounds must be finite');
  const order = compareNumeric(low, high);
  if (order === 0) throw bad('lower bound cannot equal upper bound');
  if (compareNumeric(operand, low) * order > 0) return 0;
  if (compareNumeric(operand, high) * order <= 0) {
    if (count === 0x7fffffff) throw ereport(ERRCODE.NUMERIC_VALUE_OUT_OF_RANGE, 'integer out of range');
    return count + 1;
  }
  const up = order < 0;
  const lo = unpackNumeric(low);
  const part = up ? addVars(unpackNumeric(operand), lo, true) : addVars(lo, unpackNumeric(operand), true);
  const span = up ? addVars(unpackNumeric(high), lo, true) : addVars(lo, unpackNumeric(high), true);
  const scaled = finite(part.n * BigInt(count), part.scale);
  const quotient = divide(scaled, span, selectDivScale(scaled, span), true);
  return Number(quotient.n / pow10(quotient.scale)) + 1;
}

function typmodIn(array: Uint8Array): number {
  const mods = parseTypmods(array);
  if (mods.length < 1 || mods.length > 2)
    throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, 'invalid NUMERIC type modifier');
  const [precision, scale = 0] = mods;
  if (precision < 1 || precision > NUMERIC_MAX_PRECISION) {
    throw ereport(
      ERRCODE.INVALID_PARAMETER_VALUE,
      `NUMERIC precision ${precision} must be between 1 and ${NUMERIC_MAX_PRECISION}`,
    );
  }
  if (scale < -1000 || scale > 1000)
    throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `NUMERIC scale ${scale} must be between -1000 and 1000`);
  return makeNumericTypmod(precision, scale);
}

const SEND_SIGN = { nan: 0xc000, pinf: 0xd000, ninf: 0xf000 } as const;

/** Wire form: count, weight, sign, dscale and the digits, 16 bits each. */
function send(p: Uint8Array): Uint8Array {
  const kind = kindOf(p);
  const special = kind === 'finite' ? 0 : SEND_SIGN[kind];
  const from = digitsAt(p);
  const count = special ? 0 : (p.length - from) >> 1;
  const out = new Uint8Array(8 + count * 2);
  const view = viewOf(out);
  view.setInt16(0, count);
  view.setInt16(2, special || count === 0 ? 0 : weightOf(p));
  view.setUint16(4, special || (signOf(p) < 0 ? 0x4000 : 0));
  // Of an infinity PostgreSQL sends what its header's bits would mean as a scale.
  view.setUint16(6, dscaleOf(p));
  for (let i = 0; i < count; i++) view.setUint16(8 + i * 2, p[from + i * 2] | (p[from + i * 2 + 1] << 8));
  return out;
}

function receive(bytes: Uint8Array, typmod: number): Uint8Array {
  const bad = (what: string): PgError =>
    ereport(ERRCODE.INVALID_BINARY_REPRESENTATION, `invalid ${what} in external "numeric" value`);
  const view = viewOf(bytes);
  if (bytes.length < 8 || bytes.length < 8 + view.getUint16(0) * 2)
    throw ereport(ERRCODE.PROTOCOL_VIOLATION, 'insufficient data left in message');
  const count = view.getUint16(0);
  const weight = view.getInt16(2);
  const sign = view.getUint16(4);
  const scale = view.getUint16(6);
  if (sign !== 0 && sign !== 0x4000 && sign !== 0xc000 && sign !== 0xd000 && sign !== 0xf000) throw bad('sign');
  if (scale > NUMERIC_DSCALE_MAX) throw bad('scale');
  let text = '0';
  for (let i = 0; i < count; i++) {
    const digit = view.getInt16(8 + i * 2);
    if (digit < 0 || digit >= 10000) throw bad('digit');
    text += String(digit).padStart(4, '0');
  }
  if (bytes.length !== 8 + count * 2)
    throw ereport(ERRCODE.INVALID_BINARY_REPRESENTATION, 'incorrect binary data format');
  if (sign >= 0xc000)
    return packNumeric(applyTypmod(sign === 0xc000 ? NAN_VAR : sign === 0xd000 ? PINF_VAR : NINF_VAR, typmod));
  const n = truncate(BigInt(text), (count - 1 - weight) * 4, scale);
  return packNumeric(applyTypmod(finite(sign === 0 ? n : -n, scale), typmod));
}

/** Numeric(p,s) coercion. A value already within is passed on as it is. */
function coerce(p: Uint8Array, typmod: number): Uint8Array {
  if (typmod < 4) return p;
  return packNumeric(applyTypmod(unpackNumeric(p), typmod));
}

function inRange(val: Uint8Array, base: Uint8Array, offset: Uint8Array, sub: boolean, less: boolean): boolean {
  if (kindOf(offset) === 'nan' || signOf(offset) < 0) {
    throw ereport(
      ERRCODE.INVALID_PRECEDING_OR_FOLLOWING_SIZE,
      'invalid preceding or following size in window function',
    );
  }
  if (kindOf(val) === 'nan') return kindOf(base) === 'nan' || !less;
  if (kindOf(base) === 'nan') return less;
  const sum = addVars(unpackNumeric(base), unpackNumeric(offset), sub);
  if (sum.kind === 'nan') return true;
  const order = compareNumeric(val, packNumeric(sum));
  return less ? order <= 0 : order >= 0;
}

const map = (f: (v: NumericVar) => NumericVar) => (_fc: FunctionCall, p: Uint8Array) =>
  packNumeric(f(unpackNumeric(p)));

export const numericFunctions: FunctionTable = {
  numeric_in: (_fc: FunctionCall, text: Uint8Array, _elem: Datum, typmod: number) => parseNumeric(text, typmod),
  numeric_out: (_fc: FunctionCall, p: Uint8Array) => numericToText(p),
  numeric_recv: (_fc: FunctionCall, bytes: Uint8Array, _elem: Datum, typmod: number) => receive(bytes, typmod),
  numeric_send: (_fc: FunctionCall, p: Uint8Array) => send(p),
  numeric: (_fc: FunctionCall, p: Uint8Array, typmod: number) => coerce(p, typmod),
  numerictypmodin: (_fc: FunctionCall, array: Uint8Array) => typmodIn(array),
  numerictypmodout: (_fc: FunctionCall, typmod: number) =>
    stringToText(typmod >= 4 ? `(${typmodPrecision(typmod)},${typmodScale(typmod)})` : ''),

  numeric_eq: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => compareNumeric(a, b) === 0,
  numeric_ne: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => compareNumeric(a, b) !== 0,
  numeric_lt: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => compareNumeric(a, b) < 0,
  numeric_le: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => compareNumeric(a, b) <= 0,
  numeric_gt: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => compareNumeric(a, b) > 0,
  numeric_ge: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => compareNumeric(a, b) >= 0,
  numeric_cmp: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => compareNumeric(a, b),
  numeric_larger: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => (compareNumeric(a, b) > 0 ? a : b),
  numeric_smaller: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => (compareNumeric(a, b) < 0 ? a : b),

  numeric_add: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => addOrSub(a, b, false),
  numeric_sub: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => addOrSub(a, b, true),
  numeric_mul: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => mul(a, b),
  numeric_div: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => numericDiv(a, b),
  numeric_div_trunc: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) =>
    isSpecial(a) || isSpecial(b)
      ? divideSpecial(a, b)
      : packNumeric(divide(unpackNumeric(a), unpackNumeric(b), 0, false)),
  numeric_mod: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => mod(a, b),
  numeric_inc: (_fc: FunctionCall, a: Uint8Array) => addOrSub(a, packSmall(1, 0), false),
  numeric_abs: (_fc: FunctionCall, a: Uint8Array) => withSign(a, false),
  numeric_uminus: (_fc: FunctionCall, a: Uint8Array) => withSign(a, signOf(a) > 0),
  numeric_uplus: (_fc: FunctionCall, a: Uint8Array) => a,
  numeric_sign: (_fc: FunctionCall, a: Uint8Array) => (kindOf(a) === 'nan' ? NUMERIC_NAN : packSmall(signOf(a), 0)),
  numeric_round: (_fc: FunctionCall, a: Uint8Array, places: number) => roundTo(a, places, rescale),
  numeric_trunc: (_fc: FunctionCall, a: Uint8Array, places: number) => roundTo(a, places, truncate),
  numeric_ceil: (_fc: FunctionCall, a: Uint8Array) => wholeUp(a, true),
  numeric_floor: (_fc: FunctionCall, a: Uint8Array) => wholeUp(a, false),
  numeric_scale: (_fc: FunctionCall, a: Uint8Array) => (isSpecial(a) ? null : dscaleOf(a)),
  numeric_min_scale: (_fc: FunctionCall, a: Uint8Array) => (isSpecial(a) ? null : minScale(unpackNumeric(a))),
  numeric_trim_scale: map(v => (v.kind === 'finite' ? finite(truncate(v.n, v.scale, minScale(v)), minScale(v)) : v)),
  numeric_gcd: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => gcdOrLcm(a, b, false),
  numeric_lcm: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => gcdOrLcm(a, b, true),
  numeric_fac: (_fc: FunctionCall, num: Int8) => factorial(num),
  numeric_sqrt: map(numericSqrt),
  numeric_exp: map(numericExp),
  numeric_ln: map(numericLn),
  numeric_log: (_fc: FunctionCall, base: Uint8Array, v: Uint8Array) =>
    packNumeric(numericLog(unpackNumeric(base), unpackNumeric(v))),
  numeric_power: (_fc: FunctionCall, base: Uint8Array, exp: Uint8Array) =>
    packNumeric(numericPower(unpackNumeric(base), unpackNumeric(exp))),
  width_bucket_numeric: (_fc: FunctionCall, operand: Uint8Array, low: Uint8Array, high: Uint8Array, count: number) =>
    widthBucket(operand, low, high, count),
  in_range_numeric_numeric: (
    _fc: FunctionCall,
    val: Uint8Array,
    base: Uint8Array,
    offset: Uint8Array,
    sub: boolean,
    less: boolean,
  ) => inRange(val, base, offset, sub, less),

  int2_numeric: (_fc: FunctionCall, value: number) => packSmall(value, 0),
  int4_numeric: (_fc: FunctionCall, value: number) => packSmall(value, 0),
  int8_numeric: (_fc: FunctionCall, value: Int8) => int8ToNumeric(value),
  numeric_int2: (_fc: FunctionCall, p: Uint8Array) => toInteger(p, 'smallint', -32768n, 32767n),
  numeric_int4: (_fc: FunctionCall, p: Uint8Array) => toInteger(p, 'integer', -2147483648n, 2147483647n),
  numeric_int8: (_fc: FunctionCall, p: Uint8Array) =>
    toInteger(p, 'bigint', -9223372036854775808n, 9223372036854775807n),
  float8_numeric: (_fc: FunctionCall, value: number) => fromFloat(value, 15),
  float4_numeric: (_fc: FunctionCall, value: number) => fromFloat(value, 6),
  numeric_float8: (_fc: FunctionCall, p: Uint8Array) => numericToFloat8(p),
  numeric_float4: (_fc: FunctionCall, p: Uint8Array) => numericToFloat4(p),
};

function* series(
  _fc: FunctionCall,
  start: Uint8Array,
  stop: Uint8Array,
  step = packSmall(1, 0),
): Generator<Uint8Array> {
  const check = (p: Uint8Array, what: string): NumericVar => {
    if (isSpecial(p)) {
      throw ereport(
        ERRCODE.INVALID_PARAMETER_VALUE,
        kindOf(p) === 'nan' ? `${what} cannot be NaN` : `${what} cannot be infinity`,
      );
    }
    return unpackNumeric(p);
  };
  const first = check(start, 'start value');
  const last = check(stop, 'stop value');
  const by = check(step, 'step size');
  if (by.n === 0n) throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, 'step size cannot equal zero');
  for (let v = first; ; v = addVars(v, by, false)) {
    // What lies beyond the end may be too large to be a value.
    const { n } = addVars(v, last, true);
    if (by.n > 0n ? n > 0n : n < 0n) return;
    yield packNumeric(v);
  }
}

export const numericSetFunctions: SetFunctionTable = {
  generate_series_numeric: series,
  generate_series_step_numeric: series,
};
