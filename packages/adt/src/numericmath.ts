/**
 * Roots, exponentials and logarithms of numeric. How many decimal places a result shows follows
 * PostgreSQL's rules to the letter; the digits are computed in fixed point with guard digits and
 * rounded once.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import {
  decimalHead,
  divide,
  finite,
  leadingDigits,
  multiply,
  NAN_VAR,
  NINF_VAR,
  NUMERIC_MAX_DISPLAY_SCALE,
  NUMERIC_MIN_SIG_DIGITS,
  NUMERIC_WEIGHT_MAX,
  numericOverflow,
  type NumericVar,
  PINF_VAR,
  pow10,
  roundVar,
} from './numericvar.ts';

const NUMERIC_MAX_RESULT_SCALE = NUMERIC_MAX_DISPLAY_SCALE * 2;
const LOG10_E = 0.434294481903252;
const GUARD = 12;

const clampScale = (...scales: number[]): number => Math.min(NUMERIC_MAX_DISPLAY_SCALE, Math.max(0, ...scales));
const one = finite(1n, 0);
const trunc = Math.trunc;

/** As a double, for estimates. */
function toDouble(v: NumericVar): number {
  const { length, text } = decimalHead(v.n < 0n ? -v.n : v.n);
  if (length <= 300 && v.scale <= 300) return Number(v.n) / 10 ** v.scale;
  const lead = text.slice(0, 18);
  return Number(`${v.n < 0n ? '-' : ''}${lead}e${length - lead.length - v.scale}`);
}

/** The root's bits double with each step, so that all divisions together cost little more than the last. */
function isqrt(n: bigint): bigint {
  if (n < 2n) return n;
  const hex = n.toString(16);
  const half = ((hex.length - 1) * 4 + 31 - Math.clz32(Number.parseInt(hex[0], 16))) >> 1;
  let root = 1n;
  let known = 0;
  for (let step = 31 - Math.clz32(half); step >= 0; step--) {
    const wanted = half >> step;
    root = (root << BigInt(wanted - known - 1)) + (n >> BigInt(2 * half - known - wanted + 1)) / root;
    known = wanted;
  }
  return root * root > n ? root - 1n : root;
}

/** Square root of a non-negative value, rounded to `scale` places. */
export function sqrtVar(v: NumericVar, scale: number): NumericVar {
  if (v.n < 0n)
    throw ereport(ERRCODE.INVALID_ARGUMENT_FOR_POWER_FUNCTION, 'cannot take square root of a negative number');
  const shift = 2 * (scale + 1) - v.scale;
  const scaled = shift >= 0 ? v.n * pow10(shift) : v.n / pow10(-shift);
  return roundVar(finite(isqrt(scaled), scale + 1), scale);
}

export function numericSqrt(v: NumericVar): NumericVar {
  if (v.kind === 'ninf')
    throw ereport(ERRCODE.INVALID_ARGUMENT_FOR_POWER_FUNCTION, 'cannot take square root of a negative number');
  if (v.kind !== 'finite') return v;
  const sweight = trunc(((leadingDigits(v, 1).weight + 1) * 4) / 2) - 1;
  return sqrtVar(v, clampScale(NUMERIC_MIN_SIG_DIGITS - sweight, v.scale));
}

/** e^(x/10^w) in units of 10^-w. */
function expFixed(x: bigint, w: number): bigint {
  if (x < 0n) return (pow10(w) * pow10(w)) / expFixed(-x, w);
  const unit = pow10(w);
  let halvings = 0;
  let small = x;
  while (small * 100n > unit) {
    small >>= 1n;
    halvings++;
  }
  const extra = Math.ceil(halvings * 0.31) + 6;
  const scale = pow10(extra);
  const wide = unit * scale;
  small = (x * scale) >> BigInt(halvings);
  let sum = wide;
  let term = wide;
  for (let i = 1n; term !== 0n; i++) {
    term = (term * small) / wide / i;
    sum += term;
  }
  for (let i = 0; i < halvings; i++) sum = (sum * sum) / wide;
  return sum / scale;
}

function expVar(v: NumericVar, scale: number): NumericVar {
  const val = toDouble(v);
  if (Math.abs(val) >= NUMERIC_MAX_RESULT_SCALE * 3) {
    if (val > 0) throw numericOverflow();
    return finite(0n, scale);
  }
  // Large results lose absolute precision in the squarings, by about their own weight.
  const w = scale + GUARD + Math.ceil(Math.abs(val) * LOG10_E);
  const x = v.scale <= w ? v.n * pow10(w - v.scale) : v.n / pow10(v.scale - w);
  return roundVar(finite(expFixed(x, w), w), scale);
}

export function numericExp(v: NumericVar): NumericVar {
  if (v.kind === 'ninf') return finite(0n, 0);
  if (v.kind !== 'finite') return v;
  const val = Math.min(Math.max(toDouble(v) * LOG10_E, -NUMERIC_MAX_RESULT_SCALE), NUMERIC_MAX_RESULT_SCALE);
  return expVar(v, clampScale(NUMERIC_MIN_SIG_DIGITS - trunc(val), v.scale));
}

/** 2 * atanh(z/10^w). */
function atanh2(z: bigint, w: number): bigint {
  const unit = pow10(w);
  const zz = (z * z) / unit;
  let power = z;
  let sum = z;
  for (let i = 3n; ; i += 2n) {
    power = (power * zz) / unit;
    const term = power / i;
    if (term === 0n) return 2n * sum;
    sum += term;
  }
}

/** ln of x/10^w, x near 1 in size: square roots bring it close, a series does the rest. */
function lnFixed(x: bigint, w: number): bigint {
  const unit = pow10(w);
  let y = x;
  let roots = 0n;
  while (y * 10n > unit * 11n || y * 10n < unit * 9n) {
    y = isqrt(y * unit);
    roots++;
  }
  return atanh2(((y - unit) * unit) / (y + unit), w) << roots;
}

let ln10At = -1;
let ln10Value = 0n;

function ln10(w: number): bigint {
  if (ln10At !== w) {
    ln10Value = lnFixed(10n * pow10(w), w);
    ln10At = w;
  }
  return ln10Value;
}

/** Natural logarithm rounded to `scale` places. */
function lnVar(v: NumericVar, scale: number): NumericVar {
  if (v.n === 0n) throw ereport(ERRCODE.INVALID_ARGUMENT_FOR_LOG, 'cannot take logarithm of zero');
  if (v.n < 0n) throw ereport(ERRCODE.INVALID_ARGUMENT_FOR_LOG, 'cannot take logarithm of a negative number');
  const digits = decimalHead(v.n).length;
  // Brought to 0.1 … 9.99 by a power of ten, unless it is there already.
  const exponent = digits - v.scale === 0 || digits - v.scale === 1 ? 0 : digits - v.scale - 1;
  const w = Math.max(scale, 0) + GUARD + 8;
  const shift = w - v.scale - exponent;
  const x = shift >= 0 ? v.n * pow10(shift) : v.n / pow10(-shift);
  const sum = lnFixed(x, w) + (exponent === 0 ? 0n : BigInt(exponent) * ln10(w));
  return roundVar(finite(sum, w), scale);
}

/** PostgreSQL's estimate of the decimal weight of ln(v). */
function estimateLnDweight(v: NumericVar): number {
  if (v.n <= 0n) return 0;
  const scaled = (tenths: bigint): bigint => tenths * pow10(v.scale);
  if (v.n * 10n >= scaled(9n) && v.n * 10n <= scaled(11n)) {
    const x = leadingDigits(finite(v.n - pow10(v.scale), v.scale), 1);
    return x.digits.length === 0 ? 0 : x.weight * 4 + trunc(Math.log10(x.digits[0]));
  }
  const lead = leadingDigits(v, 2);
  let digits = lead.digits[0];
  let dweight = lead.weight * 4;
  if (lead.digits.length > 1) {
    digits = digits * 10000 + lead.digits[1];
    dweight -= 4;
  }
  return trunc(Math.log10(Math.abs(Math.log(digits) + dweight * Math.LN10)));
}

export function numericLn(v: NumericVar): NumericVar {
  if (v.kind === 'ninf') throw ereport(ERRCODE.INVALID_ARGUMENT_FOR_LOG, 'cannot take logarithm of a negative number');
  if (v.kind !== 'finite') return v;
  return lnVar(v, clampScale(NUMERIC_MIN_SIG_DIGITS - estimateLnDweight(v), v.scale));
}

export function numericLog(base: NumericVar, v: NumericVar): NumericVar {
  if (base.kind !== 'finite' || v.kind !== 'finite') {
    if (base.kind === 'nan' || v.kind === 'nan') return NAN_VAR;
    const sign = (x: NumericVar): number =>
      x.kind === 'ninf' ? -1 : x.kind === 'pinf' ? 1 : x.n < 0n ? -1 : x.n > 0n ? 1 : 0;
    if (sign(base) < 0 || sign(v) < 0)
      throw ereport(ERRCODE.INVALID_ARGUMENT_FOR_LOG, 'cannot take logarithm of a negative number');
    if (sign(base) === 0 || sign(v) === 0)
      throw ereport(ERRCODE.INVALID_ARGUMENT_FOR_LOG, 'cannot take logarithm of zero');
    if (base.kind === 'pinf') return v.kind === 'pinf' ? NAN_VAR : finite(0n, 0);
    return PINF_VAR;
  }
  const baseWeight = estimateLnDweight(base);
  const weight = estimateLnDweight(v);
  const resultWeight = weight - baseWeight;
  const scale = clampScale(NUMERIC_MIN_SIG_DIGITS - resultWeight, base.scale, v.scale);
  const lnBase = lnVar(base, Math.max(0, scale + resultWeight - baseWeight + 8));
  const ln = lnVar(v, Math.max(0, scale + resultWeight - weight + 8));
  return divide(ln, lnBase, scale, true);
}

const weightOf = (v: NumericVar): number => leadingDigits(v, 1).weight;

function powerInt(base: NumericVar, exp: number, scale: number): NumericVar {
  if (exp === 0) return finite(pow10(scale), scale);
  if (exp === 1) return roundVar(base, scale);
  if (exp === -1) return divide(one, base, scale, true);
  if (exp === 2) return multiply(base, base, scale);
  if (base.n === 0n) {
    if (exp < 0) throw ereport(ERRCODE.DIVISION_BY_ZERO, 'division by zero');
    return finite(0n, scale);
  }
  const lead = leadingDigits(base, 4);
  let f = lead.digits[0];
  let p = lead.weight * 4;
  for (let i = 1; i < lead.digits.length; i++) {
    f = f * 10000 + lead.digits[i];
    p -= 4;
  }
  f = exp * (Math.log10(f) + p);
  if (f > 3 * NUMERIC_WEIGHT_MAX * 4) throw numericOverflow();
  if (f + 1 < -scale || f + 1 < -NUMERIC_MAX_DISPLAY_SCALE) return finite(0n, scale);
  const sigDigits = 1 + scale + trunc(f) + trunc(Math.log(Math.abs(exp))) + 8;
  let mask = Math.abs(exp);
  let product = base;
  let result = (mask & 1) !== 0 ? base : one;
  for (mask = Math.floor(mask / 2); mask > 0; mask = Math.floor(mask / 2)) {
    product = multiply(
      product,
      product,
      Math.max(0, Math.min(sigDigits - 2 * weightOf(product) * 4, 2 * product.scale)),
    );
    if (mask % 2 === 1) {
      const places = Math.min(sigDigits - (weightOf(product) + weightOf(result)) * 4, product.scale + result.scale);
      result = multiply(product, result, Math.max(0, places));
    }
    if (weightOf(product) > NUMERIC_WEIGHT_MAX || weightOf(result) > NUMERIC_WEIGHT_MAX) {
      if (exp > 0) throw numericOverflow();
      return finite(0n, scale);
    }
  }
  return exp < 0 ? divide(one, result, scale, true) : roundVar(result, scale);
}

function isIntegral(v: NumericVar): boolean {
  return v.kind !== 'finite' ? v.kind !== 'nan' : v.n % pow10(v.scale) === 0n;
}

function powerSpecial(base: NumericVar, exp: NumericVar): NumericVar {
  const isOne = (v: NumericVar): boolean => v.kind === 'finite' && v.n === pow10(v.scale);
  if (base.kind === 'nan') return exp.kind === 'finite' && exp.n === 0n ? one : NAN_VAR;
  if (exp.kind === 'nan') return isOne(base) ? one : NAN_VAR;
  const sign = (x: NumericVar): number =>
    x.kind === 'ninf' ? -1 : x.kind === 'pinf' ? 1 : x.n < 0n ? -1 : x.n > 0n ? 1 : 0;
  const s1 = sign(base);
  const s2 = sign(exp);
  checkPower(s1, s2, exp);
  if (isOne(base)) return one;
  if (s2 === 0) return one;
  if (s1 === 0) return finite(0n, 0);
  if (exp.kind !== 'finite') {
    let big = true;
    if (base.kind === 'finite') {
      const magnitude = base.n < 0n ? -base.n : base.n;
      if (magnitude === pow10(base.scale)) return one;
      big = magnitude > pow10(base.scale);
    }
    return big === s2 > 0 ? PINF_VAR : finite(0n, 0);
  }
  if (s2 < 0) return finite(0n, 0);
  if (base.kind === 'pinf') return PINF_VAR;
  return isIntegral(exp) && (exp.n / pow10(exp.scale)) % 2n !== 0n ? NINF_VAR : PINF_VAR;
}

function checkPower(baseSign: number, expSign: number, exp: NumericVar): void {
  if (baseSign === 0 && expSign < 0) {
    throw ereport(ERRCODE.INVALID_ARGUMENT_FOR_POWER_FUNCTION, 'zero raised to a negative power is undefined');
  }
  if (baseSign < 0 && !isIntegral(exp)) {
    throw ereport(
      ERRCODE.INVALID_ARGUMENT_FOR_POWER_FUNCTION,
      'a negative number raised to a non-integer power yields a complex result',
    );
  }
}

export function numericPower(base: NumericVar, exp: NumericVar): NumericVar {
  if (base.kind !== 'finite' || exp.kind !== 'finite') return powerSpecial(base, exp);
  checkPower(base.n === 0n ? 0 : base.n < 0n ? -1 : 1, exp.n < 0n ? -1 : 1, exp);
  if (isIntegral(exp)) {
    const whole = exp.n / pow10(exp.scale);
    if (whole >= -2147483648n && whole <= 2147483647n)
      return powerInt(base, Number(whole), clampScale(NUMERIC_MIN_SIG_DIGITS, base.scale));
  }
  if (base.n === 0n) return finite(0n, NUMERIC_MIN_SIG_DIGITS);
  const negative = base.n < 0n && (exp.n / pow10(exp.scale)) % 2n !== 0n;
  const abs = base.n < 0n ? finite(-base.n, base.scale) : base;
  const lnWeight = estimateLnDweight(abs);
  const rough = Math.max(0, 8 - lnWeight);
  let val = toDouble(multiply(lnVar(abs, rough), exp, rough));
  if (Math.abs(val) > NUMERIC_MAX_RESULT_SCALE * 3.01) {
    if (val > 0) throw numericOverflow();
    return finite(0n, NUMERIC_MAX_DISPLAY_SCALE);
  }
  val *= LOG10_E;
  const scale = clampScale(NUMERIC_MIN_SIG_DIGITS - trunc(val), base.scale, exp.scale);
  const local = Math.max(0, Math.max(scale + trunc(val), 0) - lnWeight + 8);
  const result = expVar(multiply(lnVar(abs, local), exp, local), scale);
  return negative ? finite(-result.n, result.scale) : result;
}
