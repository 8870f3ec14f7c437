/**
 * Type numeric in memory and on disk.
 *
 * Payload (PostgreSQL's struct NumericData, after the varlena length word), little-endian:
 *   short  uint16: 1 0 sign(1) dscale(6) weight-sign(1) weight(6)       when both fit
 *   long   uint16: 0 sign(1) dscale(14), then int16 weight
 *   special uint16: 0xC000 NaN, 0xD000 Infinity, 0xF000 -Infinity
 *   then digits, int16 each, base 10000, the first counting 10000^weight; none lead or trail as 0
 *
 * For calculation a value is an integer and the count of its decimal places (`NumericVar`). Where
 * the integer is safe, arithmetic takes a path without bigints (`smallNumeric`, `packSmall`).
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import { latin1ToString, stringToText } from './mb/mbutils.ts';

export const NUMERIC_MAX_PRECISION = 1000;
export const NUMERIC_MAX_DISPLAY_SCALE = 1000;
export const NUMERIC_MIN_SIG_DIGITS = 16;
export const NUMERIC_WEIGHT_MAX = 32767;
export const NUMERIC_DSCALE_MAX = 0x3fff;
/** Typmods of numeric(p,s) begin here. */
export const NUMERIC_VARHDRSZ = 4;

export type NumericKind = 'finite' | 'nan' | 'pinf' | 'ninf';

export interface NumericVar {
  readonly kind: NumericKind;
  /** The value times 10^scale. */
  readonly n: bigint;
  /** PostgreSQL's dscale: decimal places shown. */
  readonly scale: number;
}

export const NAN_VAR: NumericVar = { kind: 'nan', n: 0n, scale: 0 };
export const PINF_VAR: NumericVar = { kind: 'pinf', n: 0n, scale: 0 };
export const NINF_VAR: NumericVar = { kind: 'ninf', n: 0n, scale: 0 };
export const NUMERIC_NAN = Uint8Array.of(0x00, 0xc0);
export const NUMERIC_PINF = Uint8Array.of(0x00, 0xd0);
export const NUMERIC_NINF = Uint8Array.of(0x00, 0xf0);

export const finite = (n: bigint, scale: number): NumericVar => ({ kind: 'finite', n, scale });

const POW10: number[] = Array.from({ length: 16 }, (_, i) => 10 ** i);
const BIG_POW10: bigint[] = [1n];

export function pow10(k: number): bigint {
  if (k > 2000) return 10n ** BigInt(k);
  for (let i = BIG_POW10.length; i <= k; i++) BIG_POW10.push(BIG_POW10[i - 1] * 10n);
  return BIG_POW10[k];
}

export const numericOverflow = (): PgError =>
  ereport(ERRCODE.NUMERIC_VALUE_OUT_OF_RANGE, 'value overflows numeric format');

/** NaN and the infinities: the two highest header bits. */
export function isSpecial(p: Uint8Array): boolean {
  return (p[1] & 0xc0) === 0xc0;
}

export function kindOf(p: Uint8Array): NumericKind {
  if ((p[1] & 0xc0) !== 0xc0) return 'finite';
  return p[1] === 0xf0 ? 'ninf' : p[1] === 0xd0 ? 'pinf' : 'nan';
}

const isShort = (p: Uint8Array): boolean => (p[1] & 0x80) !== 0;

/** Where a finite payload's digits begin. */
export const digitsAt = (p: Uint8Array): number => (isShort(p) ? 2 : 4);

export function dscaleOf(p: Uint8Array): number {
  const h = p[0] | (p[1] << 8);
  return isShort(p) ? (h >> 7) & 0x3f : h & 0x3fff;
}

/** The power of 10000 that the first digit counts. */
export function weightOf(p: Uint8Array): number {
  if (isShort(p)) return ((p[0] & 0x7f) << 25) >> 25;
  return ((p[2] | (p[3] << 8)) << 16) >> 16;
}

export function isNegative(p: Uint8Array): boolean {
  return isShort(p) ? (p[1] & 0x20) !== 0 : (p[1] & 0x40) !== 0;
}

/** -1, 0 or 1; infinities have their sign, NaN counts as 0. */
export function signOf(p: Uint8Array): number {
  if (isSpecial(p)) return p[1] === 0xf0 ? -1 : p[1] === 0xd0 ? 1 : 0;
  if (p.length <= digitsAt(p)) return 0;
  return isNegative(p) ? -1 : 1;
}

/** The value times 10^dscale when that is a small integer, else NaN. Finite values only. */
export function smallNumeric(p: Uint8Array): number {
  const from = digitsAt(p);
  const nd = (p.length - from) >> 1;
  if (nd === 0) return 0;
  if (nd > 3) return NaN;
  let v = 0;
  for (let i = from; i < p.length; i += 2) v = v * 10000 + (p[i] | (p[i + 1] << 8));
  const exponent = (weightOf(p) - nd + 1) * 4 + dscaleOf(p);
  if (exponent > 12 || exponent < -15) return NaN;
  v = exponent >= 0 ? v * POW10[exponent] : v / POW10[-exponent];
  if (v > Number.MAX_SAFE_INTEGER) return NaN;
  return isNegative(p) ? -v : v;
}

const DIGIT_SCRATCH = new Int16Array(8);

/** `count` digits of `digits`, most significant first from `at`; neither leads nor trails with zeros. */
function pack(
  negative: boolean,
  weight: number,
  dscale: number,
  digits: ArrayLike<number>,
  at: number,
  count: number,
): Uint8Array {
  if (count === 0) {
    weight = 0;
    negative = false;
  }
  let out: Uint8Array;
  let to: number;
  if (dscale <= 0x3f && weight <= 63 && weight >= -64) {
    out = new Uint8Array(2 + count * 2);
    const h = 0x8000 | (negative ? 0x2000 : 0) | (dscale << 7) | (weight & 0x7f);
    out[0] = h;
    out[1] = h >> 8;
    to = 2;
  } else {
    if (weight > NUMERIC_WEIGHT_MAX || weight < -NUMERIC_WEIGHT_MAX - 1 || dscale > NUMERIC_DSCALE_MAX)
      throw numericOverflow();
    out = new Uint8Array(4 + count * 2);
    const h = (negative ? 0x4000 : 0) | dscale;
    out[0] = h;
    out[1] = h >> 8;
    out[2] = weight;
    out[3] = weight >> 8;
    to = 4;
  }
  for (let i = 0; i < count; i++) {
    const d = digits[at + i];
    out[to++] = d;
    out[to++] = d >> 8;
  }
  return out;
}

/** Payload of n / 10^scale for a safe integer n. */
export function packSmall(n: number, scale: number): Uint8Array {
  const padding = (4 - (scale & 3)) & 3;
  let m = (n < 0 ? -n : n) * POW10[padding];
  if (m > Number.MAX_SAFE_INTEGER) return packNumeric(finite(BigInt(n), scale));
  let weight = -((scale + padding) >> 2);
  let at = 8;
  let end = 8;
  while (m > 0) {
    const q = Math.floor(m / 10000);
    const digit = m - q * 10000;
    if (digit === 0 && at === end) weight++;
    else DIGIT_SCRATCH[--at] = digit;
    m = q;
  }
  end -= at;
  return pack(n < 0, weight + end - 1, scale, DIGIT_SCRATCH, at, end);
}

/** Payload of any value. */
export function packNumeric(v: NumericVar): Uint8Array {
  if (v.kind !== 'finite') return v.kind === 'nan' ? NUMERIC_NAN : v.kind === 'pinf' ? NUMERIC_PINF : NUMERIC_NINF;
  const digits = stringToText((v.n < 0n ? -v.n : v.n).toString());
  return packDecimal(v.n < 0n, v.n === 0n ? digits.subarray(1) : digits, digits.length - 1 - v.scale, v.scale);
}

/**
 * Payload of decimal digits (ASCII, the first counting 10^dweight, none leading with 0); 22003 if they have no room.
 */
export function packDecimal(negative: boolean, decimal: Uint8Array, dweight: number, dscale: number): Uint8Array {
  const weight = decimal.length === 0 ? 0 : Math.floor(dweight / 4);
  if (weight > NUMERIC_WEIGHT_MAX || dscale > NUMERIC_DSCALE_MAX) throw numericOverflow();
  // Zeros before the first digit make it the decimal digit of a base-10000 digit that it is.
  const offset = weight * 4 + 3 - dweight;
  const digits = new Int16Array((decimal.length + offset + 3) >> 2);
  for (let i = 0, place = offset; i < decimal.length; i++, place++)
    digits[place >> 2] += (decimal[i] - 48) * UNITS[place & 3];
  return packDigits(negative, weight, dscale, digits);
}

/** Payload of base-10000 digits, the first counting 10000^weight; they may lead and trail with zeros. */
export function packDigits(negative: boolean, weight: number, dscale: number, digits: Int16Array): Uint8Array {
  let from = 0;
  let to = digits.length;
  while (to > 0 && digits[to - 1] === 0) to--;
  while (from < to && digits[from] === 0) from++;
  return pack(negative, weight - from, dscale, digits, from, to - from);
}

/** What the decimal places of a base-10000 digit count. */
const UNITS = [1000, 100, 10, 1];

/** A base-10000 digit as four ASCII digits. */
export function putDecimal(digit: number, out: Uint8Array, at: number): void {
  out[at] = 48 + Math.trunc(digit / 1000);
  out[at + 1] = 48 + (Math.trunc(digit / 100) % 10);
  out[at + 2] = 48 + (Math.trunc(digit / 10) % 10);
  out[at + 3] = 48 + (digit % 10);
}

export function unpackNumeric(p: Uint8Array): NumericVar {
  if (isSpecial(p)) return p[1] === 0xf0 ? NINF_VAR : p[1] === 0xd0 ? PINF_VAR : NAN_VAR;
  const scale = dscaleOf(p);
  const small = smallNumeric(p);
  if (small === small) return { kind: 'finite', n: BigInt(small), scale };
  const from = digitsAt(p);
  const decimal = new Uint8Array((p.length - from) * 2);
  for (let i = from, to = 0; i < p.length; i += 2, to += 4) putDecimal(p[i] | (p[i + 1] << 8), decimal, to);
  const exponent = (weightOf(p) - ((p.length - from) >> 1) + 1) * 4 + scale;
  let n = BigInt(latin1ToString(decimal));
  n = exponent >= 0 ? n * pow10(exponent) : n / pow10(-exponent);
  return { kind: 'finite', n: isNegative(p) ? -n : n, scale };
}

const RANK = { ninf: -1, finite: 0, pinf: 1, nan: 2 } as const;

/** Order of two payloads without unpacking: -1, 0, 1; NaN above all, equal to itself. */
export function compareNumeric(a: Uint8Array, b: Uint8Array): number {
  if (isSpecial(a) || isSpecial(b)) return Math.sign(RANK[kindOf(a)] - RANK[kindOf(b)]);
  const sa = signOf(a);
  const sb = signOf(b);
  if (sa !== sb) return sa < sb ? -1 : 1;
  if (sa === 0) return 0;
  const wa = weightOf(a);
  const wb = weightOf(b);
  if (wa !== wb) return wa > wb ? sa : -sa;
  let i = digitsAt(a);
  let j = digitsAt(b);
  for (; i < a.length && j < b.length; i += 2, j += 2) {
    const da = a[i] | (a[i + 1] << 8);
    const db = b[j] | (b[j + 1] << 8);
    if (da !== db) return da > db ? sa : -sa;
  }
  if (i < a.length) return sa;
  return j < b.length ? -sa : 0;
}

/** Half away from zero, to `to` decimal places (negative: before the point; the scale is then 0). */
export function rescale(n: bigint, from: number, to: number): bigint {
  if (to >= from) return n * pow10(to - from);
  const unit = pow10(from - to);
  const half = unit / 2n;
  const rounded = n < 0n ? -((-n + half) / unit) : (n + half) / unit;
  return to < 0 ? rounded * pow10(-to) : rounded;
}

export function roundVar(v: NumericVar, scale: number): NumericVar {
  return finite(rescale(v.n, v.scale, scale), Math.max(scale, 0));
}

/** Like `rescale`, cutting digits off. */
export function truncate(n: bigint, from: number, to: number): bigint {
  if (to >= from) return n * pow10(to - from);
  const cut = n / pow10(from - to);
  return to < 0 ? cut * pow10(-to) : cut;
}

/** n1/10^s1 divided by n2/10^s2, to `scale` places: rounded half away from zero, or cut. */
export function divide(a: NumericVar, b: NumericVar, scale: number, round: boolean): NumericVar {
  if (b.n === 0n) throw ereport(ERRCODE.DIVISION_BY_ZERO, 'division by zero');
  const shift = scale + b.scale - a.scale;
  let num = a.n;
  let den = b.n;
  if (shift >= 0) num *= pow10(shift);
  else den *= pow10(-shift);
  if (!round) return finite(num / den, scale);
  const negative = num < 0n !== den < 0n;
  if (num < 0n) num = -num;
  if (den < 0n) den = -den;
  const q = (2n * num + den) / (2n * den);
  return finite(negative ? -q : q, scale);
}

export function multiply(a: NumericVar, b: NumericVar, scale: number): NumericVar {
  return roundVar(finite(a.n * b.n, a.scale + b.scale), scale);
}

/** Decimal digits that decimalHead() gives: more than the rules for scales look at. */
const HEAD = 24;

/** How many decimal digits a positive integer has and, if that is more than HEAD, the first of them; else all. */
export function decimalHead(n: bigint): { length: number; text: string } {
  const hex = n.toString(16);
  if (hex.length < 400) {
    const text = n.toString();
    return { length: text.length, text: text.slice(0, HEAD) };
  }
  // Printing in base 10 costs more than one power and a division with a short quotient.
  const bits = (hex.length - 1) * 4 + 32 - Math.clz32(Number.parseInt(hex[0], 16));
  let cut = Math.floor((bits - 1) * Math.LOG10E * Math.LN2) + 1 - HEAD;
  let text = (n / pow10(cut)).toString();
  cut += text.length - HEAD;
  text = text.slice(0, HEAD);
  return { length: cut + HEAD, text };
}

/** Weight and up to five leading digits in base 10000, as PostgreSQL's scale rules want them. */
export function leadingDigits(v: NumericVar, want: number): { weight: number; digits: number[] } {
  if (v.n === 0n) return { weight: 0, digits: [] };
  const { length, text } = decimalHead(v.n < 0n ? -v.n : v.n);
  const exponent = length - 1 - v.scale;
  const weight = Math.floor(exponent / 4);
  const first = exponent - weight * 4 + 1;
  const digits: number[] = [];
  for (let at = first; at < length + 4 && digits.length < want; at += 4) {
    if (at - 4 >= length) break;
    digits.push(Number(text.slice(Math.max(0, at - 4), at).padEnd(at < 4 ? at : 4, '0')));
  }
  while (digits.length > 1 && digits[digits.length - 1] === 0 && length <= first + (digits.length - 1) * 4)
    digits.pop();
  return { weight, digits };
}

/** Decimal places of a quotient: at least 16 significant digits, and no fewer than either input shows. */
export function selectDivScale(a: NumericVar, b: NumericVar): number {
  const x = leadingDigits(a, 1);
  const y = leadingDigits(b, 1);
  let qweight = x.weight - y.weight;
  if ((x.digits[0] ?? 0) <= (y.digits[0] ?? 0)) qweight--;
  return Math.min(NUMERIC_MAX_DISPLAY_SCALE, Math.max(NUMERIC_MIN_SIG_DIGITS - qweight * 4, a.scale, b.scale, 0));
}

export function formatNumericVar(v: NumericVar): string {
  if (v.kind !== 'finite') return v.kind === 'nan' ? 'NaN' : v.kind === 'pinf' ? 'Infinity' : '-Infinity';
  if (v.scale === 0) return v.n.toString();
  const text = (v.n < 0n ? -v.n : v.n).toString().padStart(v.scale + 1, '0');
  const point = text.length - v.scale;
  return `${v.n < 0n ? '-' : ''}${text.slice(0, point)}.${text.slice(point)}`;
}

export const typmodPrecision = (typmod: number): number => ((typmod - NUMERIC_VARHDRSZ) >> 16) & 0xffff;
export const typmodScale = (typmod: number): number => (((typmod - NUMERIC_VARHDRSZ) & 0x7ff) ^ 1024) - 1024;
export const makeNumericTypmod = (precision: number, scale: number): number =>
  ((precision << 16) | (scale & 0x7ff)) + NUMERIC_VARHDRSZ;

/** More digits before the point than numeric(p,s) has room for. */
export function numericFieldOverflow(typmod: number): PgError {
  const precision = typmodPrecision(typmod);
  const scale = typmodScale(typmod);
  const limit = precision === scale ? '1' : `10^${precision - scale}`;
  return ereport(ERRCODE.NUMERIC_VALUE_OUT_OF_RANGE, 'numeric field overflow', {
    detail: `A field with precision ${precision}, scale ${scale} must round to an absolute value less than ${limit}.`,
  });
}

/** numeric(p,s): rounds to s places, refuses what needs more than p - s digits before the point. */
export function applyTypmod(v: NumericVar, typmod: number): NumericVar {
  if (typmod < NUMERIC_VARHDRSZ || v.kind === 'nan') return v;
  const precision = typmodPrecision(typmod);
  const scale = typmodScale(typmod);
  if (v.kind !== 'finite') {
    throw ereport(ERRCODE.NUMERIC_VALUE_OUT_OF_RANGE, 'numeric field overflow', {
      detail: `A field with precision ${precision}, scale ${scale} cannot hold an infinite value.`,
    });
  }
  const r = roundVar(v, scale);
  const magnitude = r.n < 0n ? -r.n : r.n;
  // Digits before the point may be negative in number: numeric(2,5) holds 0.000xx.
  const digits = magnitude === 0n ? -Infinity : magnitude.toString().length - r.scale;
  if (digits > precision - scale) throw numericFieldOverflow(typmod);
  return r;
}
