/**
 * numeric from text and to text, digit by digit: the time is that of the text's length, whatever
 * the value's size, and no bigint is made. Layout is in numericvar.ts.
 */
import { latin1ToString, stringToText } from './mb/mbutils.ts';
import {
  applyTypmod,
  digitsAt,
  dscaleOf,
  finite,
  isNegative,
  isSpecial,
  kindOf,
  NAN_VAR,
  NINF_VAR,
  NUMERIC_VARHDRSZ,
  numericFieldOverflow,
  numericOverflow,
  type NumericVar,
  packDecimal,
  packNumeric,
  packSmall,
  PINF_VAR,
  pow10,
  putDecimal,
  typmodPrecision,
  typmodScale,
  weightOf,
} from './numericvar.ts';
import { invalidSyntax, isDigit, isSpace } from './numutils.ts';

const MINUS = 45;
const PLUS = 43;
const POINT = 46;
const ZERO = 48;

/** The digits of a text without sign, point and exponent; neither its first nor its last is a zero. */
interface Decimal {
  readonly negative: boolean;
  /** ASCII. */
  readonly digits: Uint8Array;
  /** The power of ten that the first digit counts. */
  readonly dweight: number;
  readonly dscale: number;
}

const SPECIAL: readonly (readonly [string, NumericVar])[] = [
  ['nan', NAN_VAR],
  ['infinity', PINF_VAR],
  ['+infinity', PINF_VAR],
  ['-infinity', NINF_VAR],
  ['inf', PINF_VAR],
  ['+inf', PINF_VAR],
  ['-inf', NINF_VAR],
];
const MAX_EXPONENT = 1073741823;

/** The exponent behind an e at `at` and where it ends; undefined without digits. As strtol() reads. */
function readExponent(bytes: Uint8Array, at: number, end: number): { value: number; at: number } | undefined {
  while (at < end && isSpace(bytes[at])) at++;
  const negative = bytes[at] === MINUS;
  if (negative || bytes[at] === PLUS) at++;
  const first = at;
  let value = 0;
  for (; at < end && isDigit(bytes[at]); at++) value = Math.min(value * 10 + bytes[at] - ZERO, MAX_EXPONENT);
  if (at === first) return undefined;
  if (value >= MAX_EXPONENT) throw numericOverflow();
  return { value: negative ? -value : value, at };
}

/** What bytes[start, end) says, blanks around it cut off before; undefined if it is no number. */
function readDecimal(bytes: Uint8Array, start: number, end: number): Decimal | undefined {
  let at = start;
  const negative = bytes[at] === MINUS;
  if (negative || bytes[at] === PLUS) at++;
  const first = at;
  while (at < end && isDigit(bytes[at])) at++;
  const point = at;
  if (at < end && bytes[at] === POINT) at++;
  const fraction = at;
  while (at < end && isDigit(bytes[at])) at++;
  if (point === first && at === fraction) return undefined;
  const last = at;
  let exponent = 0;
  if (at < end && (bytes[at] | 0x20) === 0x65) {
    const read = readExponent(bytes, at + 1, end);
    if (read === undefined) return undefined;
    exponent = read.value;
    ({ at } = read);
  }
  if (at < end) return undefined;
  let from = 0;
  let to = point - first + last - fraction;
  let digits = bytes.subarray(first, last);
  if (fraction !== point) {
    digits = new Uint8Array(to);
    digits.set(bytes.subarray(first, point));
    digits.set(bytes.subarray(fraction, last), point - first);
  }
  while (from < to && digits[from] === ZERO) from++;
  while (to > from && digits[to - 1] === ZERO) to--;
  return {
    negative,
    digits: digits.subarray(from, to),
    dweight: point - first - 1 - from + exponent,
    dscale: Math.max(0, last - fraction - exponent),
  };
}

/** The value rounded to the typmod, from no more of its digits than that takes. */
function roundDecimal({ negative, digits, dweight, dscale }: Decimal, typmod: number): NumericVar {
  if (digits.length === 0) return applyTypmod(finite(0n, dscale), typmod);
  const scale = typmodScale(typmod);
  if (dweight + 1 > typmodPrecision(typmod) - scale) throw numericFieldOverflow(typmod);
  // One digit beyond the last place decides.
  const count = Math.min(digits.length, dweight + 2 + scale);
  if (count <= 0) return applyTypmod(finite(0n, 0), typmod);
  const n = BigInt(latin1ToString(digits, 0, count));
  const places = count - 1 - dweight;
  const v = places < 0 ? finite(n * pow10(-places), 0) : finite(n, places);
  return applyTypmod(negative ? finite(-v.n, v.scale) : v, typmod);
}

/** Payload of a text; 22P02 if it is no number, 22003 if the value has no room in the type or the typmod. */
export function parseNumeric(bytes: Uint8Array, typmod: number): Uint8Array {
  let start = 0;
  let end = bytes.length;
  while (start < end && isSpace(bytes[start])) start++;
  while (end > start && isSpace(bytes[end - 1])) end--;
  const small = parseSmall(bytes, start, end, typmod);
  if (small) return small;
  const lower = end - start <= 9 ? latin1ToString(bytes, start, end).toLowerCase() : '';
  for (const [name, value] of SPECIAL) if (name === lower) return packNumeric(applyTypmod(value, typmod));
  const decimal = readDecimal(bytes, start, end);
  if (decimal === undefined) throw invalidSyntax('numeric', bytes);
  if (typmod >= NUMERIC_VARHDRSZ) return packNumeric(roundDecimal(decimal, typmod));
  return packDecimal(decimal.negative, decimal.digits, decimal.dweight, decimal.dscale);
}

/** The common case: up to fifteen digits, a point perhaps, no exponent, no typmod. */
function parseSmall(bytes: Uint8Array, start: number, end: number, typmod: number): Uint8Array | undefined {
  if (typmod >= NUMERIC_VARHDRSZ || end - start > 16 || start === end) return undefined;
  let i = start;
  const negative = bytes[i] === MINUS;
  if (negative) i++;
  let v = 0;
  let scale = -1;
  let digits = 0;
  for (; i < end; i++) {
    const c = bytes[i];
    if (isDigit(c)) {
      v = v * 10 + (c - ZERO);
      digits++;
      if (scale >= 0) scale++;
    } else if (c === POINT && scale < 0) scale = 0;
    else return undefined;
  }
  if (digits === 0 || digits > 15) return undefined;
  return packSmall(negative ? -v : v, scale < 0 ? 0 : scale);
}

const SPECIAL_TEXT = { nan: 'NaN', pinf: 'Infinity', ninf: '-Infinity' } as const;

/** The four decimal digits of the base-10000 digit that counts 10000^power, written at `to`. */
function putDigit(p: Uint8Array, power: number, out: Uint8Array, to: number): void {
  const at = digitsAt(p) + (weightOf(p) - power) * 2;
  const digit = at < digitsAt(p) || at >= p.length ? 0 : p[at] | (p[at + 1] << 8);
  putDecimal(digit, out, to);
}

/** The text that numeric_out gives. */
export function numericToText(p: Uint8Array): Uint8Array {
  const kind = isSpecial(p) ? kindOf(p) : 'finite';
  if (kind !== 'finite') return stringToText(SPECIAL_TEXT[kind]);
  const scale = dscaleOf(p);
  const weight = Math.max(0, weightOf(p));
  const before = (weight + 1) * 4;
  // A sign, the whole digits, a point, the places rounded up to four.
  const out = new Uint8Array(1 + before + 1 + ((scale + 3) & ~3));
  for (let power = weight, to = 1; power >= 0; power--, to += 4) putDigit(p, power, out, to);
  let from = 1;
  while (from < before && out[from] === ZERO) from++;
  if (p.length > digitsAt(p) && isNegative(p)) out[--from] = MINUS;
  if (scale === 0) return out.subarray(from, 1 + before);
  out[1 + before] = POINT;
  for (let power = -1, to = before + 2; to < before + 2 + scale; power--, to += 4) putDigit(p, power, out, to);
  return out.subarray(from, before + 2 + scale);
}

export function formatNumeric(p: Uint8Array): string {
  return latin1ToString(numericToText(p));
}
