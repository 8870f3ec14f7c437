/**
 * float4 and float8: I/O in PostgreSQL's formats, arithmetic with overflow and underflow errors,
 * comparison with NaN above everything and equal to itself, casts. A float4 Datum is a number
 * that float4 can hold exactly.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import type { FunctionCall, FunctionTable } from './fmgr.ts';
import { latin1ToString, stringToText, textToString } from './mb/mbutils.ts';
import { int8FromBigInt, invalidSyntax } from './numutils.ts';
import { viewOf, wireView } from './pqwire.ts';

export const overflow = (): PgError => ereport(ERRCODE.NUMERIC_VALUE_OUT_OF_RANGE, 'value out of range: overflow');
export const underflow = (): PgError => ereport(ERRCODE.NUMERIC_VALUE_OUT_OF_RANGE, 'value out of range: underflow');
const divisionByZero = (): PgError => ereport(ERRCODE.DIVISION_BY_ZERO, 'division by zero');

const DECIMAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const HEX = /^([+-]?)0[xX]([0-9a-fA-F]*)\.?([0-9a-fA-F]*)(?:[pP]([+-]?\d+))?$/;

function hexFloat(word: string): number | undefined {
  const m = HEX.exec(word);
  if (!m || m[2].length + m[3].length === 0) return undefined;
  const value = Number(BigInt(`0x${m[2]}${m[3]}`)) * 2 ** (Number(m[4] ?? 0) - 4 * m[3].length);
  return m[1] === '-' ? -value : value;
}

/** Rounds a decimal string to float4 once: by way of float8 it could be rounded twice. */
function decimalToFloat4(word: string): number {
  const wide = Number(word);
  const narrow = Math.fround(wide);
  if (!Number.isFinite(wide) || !Number.isFinite(narrow) || narrow === wide) return narrow;
  const step = float4Neighbour(narrow, wide > narrow);
  if (Math.abs(wide - narrow) !== Math.abs(step - wide)) return narrow;
  const side = compareDecimal(word, wide);
  if (side === 0) return narrow;
  return side > 0 ? Math.max(narrow, step) : Math.min(narrow, step);
}

function float4Neighbour(value: number, up: boolean): number {
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, value);
  const bits = view.getInt32(0);
  view.setInt32(0, value > 0 === up ? bits + 1 : bits - 1);
  return view.getFloat32(0);
}

/** Sign of (exact decimal - double). */
function compareDecimal(word: string, value: number): number {
  const [mantissa, exponent = '0'] = word.toLowerCase().split('e');
  const [whole, fraction = ''] = mantissa.split('.');
  const shift = Number(exponent) - fraction.length;
  const digits = BigInt(`${whole}${fraction}`.replace(/^[+]/, '').replace(/^-?$/, '0'));
  let scale = 0;
  let scaled = value;
  while (!Number.isInteger(scaled)) {
    scaled *= 2;
    scale++;
  }
  const left = shift >= 0 ? digits * 10n ** BigInt(shift) * 2n ** BigInt(scale) : digits * 2n ** BigInt(scale);
  const right = shift >= 0 ? BigInt(scaled) : BigInt(scaled) * 10n ** BigInt(-shift);
  return left > right ? 1 : left < right ? -1 : 0;
}

const SPECIAL: Readonly<Record<string, number>> = {
  nan: NaN,
  '+nan': NaN,
  '-nan': NaN,
  infinity: Infinity,
  '+infinity': Infinity,
  '-infinity': -Infinity,
  inf: Infinity,
  '+inf': Infinity,
  '-inf': -Infinity,
};

function parseFloatText(text: Uint8Array, typeName: string, single: boolean): number {
  const word = latin1ToString(text).replace(/^[ \t-\r]+|[ \t-\r]+$/g, '');
  let value: number;
  if (DECIMAL.test(word)) value = single ? decimalToFloat4(word) : Number(word);
  else {
    const special = SPECIAL[word.toLowerCase()];
    if (special !== undefined) return special;
    const hex = hexFloat(word);
    if (hex === undefined) throw invalidSyntax(typeName, text);
    value = single ? Math.fround(hex) : hex;
  }
  if (
    !Number.isFinite(value) ||
    (value === 0 && /^[^eEpP]*[1-9a-fA-F]/.test(word.replace(/^[+-]?0[xX]/, '')) && nonzero(word))
  ) {
    throw ereport(
      ERRCODE.NUMERIC_VALUE_OUT_OF_RANGE,
      `"${textToString(stringToText(word))}" is out of range for type ${typeName}`,
    );
  }
  return value;
}

/** Whether a number's digits, not its exponent, hold anything but zeros. */
function nonzero(word: string): boolean {
  const hex = /^[+-]?0[xX]/.test(word);
  const mantissa = hex ? word.replace(/^[+-]?0[xX]/, '').split(/[pP]/)[0] : word.split(/[eE]/)[0];
  return /[1-9a-fA-F]/.test(mantissa);
}

const parseFloat8 = (text: Uint8Array): number => parseFloatText(text, 'double precision', false);

/** Digits and decimal exponent as C's %g lays them out: exponent form below -4 and from `limit` on. */
function layout(negative: boolean, digits: string, exponent: number, limit: number): string {
  const sign = negative ? '-' : '';
  if (exponent < -4 || exponent >= limit) {
    const e = Math.abs(exponent);
    return `${sign}${digits[0]}${digits.length > 1 ? `.${digits.slice(1)}` : ''}e${exponent < 0 ? '-' : '+'}${e < 10 ? '0' : ''}${e}`;
  }
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
  if (digits.length <= exponent + 1) return `${sign}${digits}${'0'.repeat(exponent + 1 - digits.length)}`;
  return `${sign}${digits.slice(0, exponent + 1)}.${digits.slice(exponent + 1)}`;
}

/**
 * toExponential with halves rounded to even, as printf and Ryu do; JavaScript rounds them up. A double's
 * expansion that is a tie to thirty digits more is one: none comes that near without being it.
 */
export function exponentialEven(value: number, digits: number): string {
  const text = value.toExponential(digits);
  const longer = value.toExponential(Math.min(100, digits + 30));
  const point = longer.indexOf('.');
  const tail = longer.slice(point + 1 + digits, longer.indexOf('e'));
  if (!/^50*$/.test(tail)) return text;
  const kept = longer.slice(0, digits === 0 ? point : point + 1 + digits);
  return (kept.charCodeAt(kept.length - 1) - 48) % 2 === 0 ? kept + longer.slice(longer.indexOf('e')) : text;
}

function special(value: number): string | undefined {
  if (Number.isNaN(value)) return 'NaN';
  if (value === Infinity) return 'Infinity';
  if (value === -Infinity) return '-Infinity';
  if (value === 0) return Object.is(value, -0) ? '-0' : '0';
  return undefined;
}

/** From JavaScript's d.ddde±x form. */
function fromExponential(text: string, limit: number): string {
  const negative = text[0] === '-';
  const [mantissa, exponent] = (negative ? text.slice(1) : text).split('e');
  let digits = mantissa.replace('.', '');
  let end = digits.length;
  while (end > 1 && digits[end - 1] === '0') end--;
  digits = digits.slice(0, end);
  return layout(negative, digits, Number(exponent), limit);
}

/**
 * Shortest digits that read back as the value whatever a reader does with ties. JavaScript also
 * takes a decimal exactly halfway to the next double; those exist above 2^53 only.
 */
function shortest(value: number): string {
  const text = value.toExponential();
  const size = Math.abs(value);
  if (size < 2 ** 53) return text;
  const exact = BigInt(size);
  const above = nextUp(size);
  const up = Number.isFinite(above) ? BigInt(above) - exact : exact - BigInt(nextDown(size));
  const down = exact - BigInt(nextDown(size));
  const inside = (candidate: string): boolean => {
    const distance = 2n * (decimalInteger(candidate) - exact);
    return distance > 0n ? distance < up : -distance < down;
  };
  if (inside(text)) return text;
  for (let digits = 1; ; digits++) {
    const candidate = exponentialEven(value, digits);
    if (inside(candidate)) return candidate;
  }
}

/** The integer that a text like -1.25e+20 stands for, without its sign. */
function decimalInteger(text: string): bigint {
  const [mantissa, exponent] = text.replace('-', '').split('e');
  const [whole, fraction = ''] = mantissa.split('.');
  const shift = Number(exponent) - fraction.length;
  return shift >= 0
    ? BigInt(whole + fraction) * 10n ** BigInt(shift)
    : BigInt(whole + fraction) / 10n ** BigInt(-shift);
}

const BITS = new DataView(new ArrayBuffer(8));

function nextUp(value: number): number {
  BITS.setFloat64(0, value);
  BITS.setBigInt64(0, BITS.getBigInt64(0) + 1n);
  return BITS.getFloat64(0);
}

function nextDown(value: number): number {
  BITS.setFloat64(0, value);
  BITS.setBigInt64(0, BITS.getBigInt64(0) - 1n);
  return BITS.getFloat64(0);
}

export function formatFloat8(value: number, extraFloatDigits: number): string {
  const s = special(value);
  if (s !== undefined) return s;
  if (extraFloatDigits > 0) return fromExponential(shortest(value), 15);
  const precision = Math.max(1, 15 + extraFloatDigits);
  return fromExponential(exponentialEven(value, precision - 1), precision);
}

/** d.ddde±x with its last digit one larger. */
function digitAbove(text: string): string {
  const [mantissa, exponent] = text.replace('-', '').split('e');
  const digits = mantissa.length - 2;
  const next = (BigInt(mantissa.replace('.', '')) + 1n).toString();
  const carried = next.length > digits + 1 ? 1 : 0;
  return `${text[0] === '-' ? '-' : ''}${next[0]}.${next.slice(1)}e${Number(exponent) + carried}`;
}

export function formatFloat4(value: number, extraFloatDigits: number): string {
  const s = special(value);
  if (s !== undefined) return s;
  if (extraFloatDigits <= 0) {
    const precision = Math.max(1, 6 + extraFloatDigits);
    return fromExponential(exponentialEven(value, precision - 1), precision);
  }
  const size = Math.abs(value);
  const below = float4Neighbour(size, false);
  const low = (size + below) / 2;
  const above = float4Neighbour(size, true);
  // Above the largest float4 the next step would be as wide as the one below.
  const high = Number.isFinite(above) ? (size + above) / 2 : size + (size - below) / 2;
  for (let digits = 0; ; digits++) {
    const candidate = exponentialEven(value, digits);
    const read = Math.abs(Number(candidate));
    if (digits >= 9 || (read > low && read < high)) return fromExponential(candidate, 6);
    // At a power of two the lower half is the narrower one: the nearest digits may miss it where the next above fit.
    if (read <= low && digits > 0) {
      const next = digitAbove(candidate);
      if (Math.abs(Number(next)) < high) return fromExponential(next, 6);
    }
  }
}

/** -1, 0, 1 with NaN equal to NaN and above all else. */
function compareFloats(a: number, b: number): number {
  if (a < b) return -1;
  if (a > b) return 1;
  if (a === b) return 0;
  return Number.isNaN(a) ? (Number.isNaN(b) ? 0 : 1) : -1;
}

const eq = (_fc: FunctionCall, a: number, b: number): boolean => a === b || (a !== a && b !== b);
const ne = (_fc: FunctionCall, a: number, b: number): boolean => a !== b && (a === a || b === b);
const lt = (_fc: FunctionCall, a: number, b: number): boolean => a < b || (b !== b && a === a);
const le = (_fc: FunctionCall, a: number, b: number): boolean => a <= b || b !== b;
const gt = (_fc: FunctionCall, a: number, b: number): boolean => a > b || (a !== a && b === b);
const ge = (_fc: FunctionCall, a: number, b: number): boolean => a >= b || a !== a;
const cmp = (_fc: FunctionCall, a: number, b: number): number => compareFloats(a, b);
const larger = (_fc: FunctionCall, a: number, b: number): number => (compareFloats(a, b) > 0 ? a : b);
const smaller = (_fc: FunctionCall, a: number, b: number): number => (compareFloats(a, b) < 0 ? a : b);

const isInf = (x: number): boolean => x === Infinity || x === -Infinity;

type Binary = (fc: FunctionCall, a: number, b: number) => number;

const add8: Binary = (_fc, a, b) => {
  const r = a + b;
  if (isInf(r) && !isInf(a) && !isInf(b)) throw overflow();
  return r;
};
const sub8: Binary = (_fc, a, b) => {
  const r = a - b;
  if (isInf(r) && !isInf(a) && !isInf(b)) throw overflow();
  return r;
};
const mul8: Binary = (_fc, a, b) => {
  const r = a * b;
  if (isInf(r) && !isInf(a) && !isInf(b)) throw overflow();
  if (r === 0 && a !== 0 && b !== 0) throw underflow();
  return r;
};
const div8: Binary = (_fc, a, b) => {
  if (b === 0 && a === a) throw divisionByZero();
  const r = a / b;
  if (isInf(r) && !isInf(a)) throw overflow();
  if (r === 0 && a !== 0 && !isInf(b)) throw underflow();
  return r;
};
const add4: Binary = (_fc, a, b) => {
  const r = Math.fround(a + b);
  if (isInf(r) && !isInf(a) && !isInf(b)) throw overflow();
  return r;
};
const sub4: Binary = (_fc, a, b) => {
  const r = Math.fround(a - b);
  if (isInf(r) && !isInf(a) && !isInf(b)) throw overflow();
  return r;
};
const mul4: Binary = (_fc, a, b) => {
  const r = Math.fround(a * b);
  if (isInf(r) && !isInf(a) && !isInf(b)) throw overflow();
  if (r === 0 && a !== 0 && b !== 0) throw underflow();
  return r;
};
const div4: Binary = (_fc, a, b) => {
  if (b === 0 && a === a) throw divisionByZero();
  const r = Math.fround(a / b);
  if (isInf(r) && !isInf(a)) throw overflow();
  if (r === 0 && a !== 0 && !isInf(b)) throw underflow();
  return r;
};

export const floatMul = mul8;
export const floatDiv = div8;

/** rint(): to the nearest integer, ties to even. */
export function rint(x: number): number {
  const floor = Math.floor(x);
  const diff = x - floor;
  if (diff < 0.5) return Object.is(floor, 0) && x < 0 ? -0 : floor;
  if (diff > 0.5) return x < 0 && floor === -1 ? -0 : floor + 1;
  const even = floor % 2 === 0 ? floor : floor + 1;
  return even === 0 && x < 0 ? -0 : even;
}

function toInteger(value: number, min: number, end: number, typeName: string): number {
  const r = rint(value);
  if (!(r >= min && r < end)) throw ereport(ERRCODE.NUMERIC_VALUE_OUT_OF_RANGE, `${typeName} out of range`);
  return r + 0;
}

const toInt2 = (_fc: FunctionCall, v: number): number => toInteger(v, -32768, 32768, 'smallint');
const toInt4 = (_fc: FunctionCall, v: number): number => toInteger(v, -2147483648, 2147483648, 'integer');
const toInt8 = (_fc: FunctionCall, v: number): number | bigint => {
  const r = toInteger(v, -(2 ** 63), 2 ** 63, 'bigint');
  return Number.isSafeInteger(r) ? r : int8FromBigInt(BigInt(r));
};

function toFloat4(value: number): number {
  const r = Math.fround(value);
  if (isInf(r) && !isInf(value)) throw overflow();
  if (r === 0 && value !== 0) throw underflow();
  return r;
}

function send(value: number, bytes: 4 | 8): Uint8Array {
  const out = new Uint8Array(bytes);
  if (bytes === 4) viewOf(out).setFloat32(0, value);
  else viewOf(out).setFloat64(0, value);
  return out;
}

function inRangeFloat(val: number, base: number, offset: number, sub: boolean, less: boolean): boolean {
  if (Number.isNaN(offset) || offset < 0) {
    throw ereport(
      ERRCODE.INVALID_PRECEDING_OR_FOLLOWING_SIZE,
      'invalid preceding or following size in window function',
    );
  }
  if (Number.isNaN(val)) return Number.isNaN(base) ? true : !less;
  if (Number.isNaN(base)) return less;
  if (isInf(offset) && isInf(base) && (sub ? base > 0 : base < 0)) return true;
  const sum = sub ? base - offset : base + offset;
  return less ? val <= sum : val >= sum;
}

const inRange = (_fc: FunctionCall, val: number, base: number, offset: number, sub: boolean, less: boolean): boolean =>
  inRangeFloat(val, base, offset, sub, less);

export const floatFunctions: FunctionTable = {
  float4in: (_fc: FunctionCall, text: Uint8Array) => parseFloatText(text, 'real', true),
  float4out: (fc: FunctionCall, value: number) => stringToText(formatFloat4(value, fc.settings.extraFloatDigits)),
  float4recv: (_fc: FunctionCall, bytes: Uint8Array) => wireView(bytes, 4).getFloat32(0),
  float4send: (_fc: FunctionCall, value: number) => send(value, 4),
  float8in: (_fc: FunctionCall, text: Uint8Array) => parseFloat8(text),
  float8out: (fc: FunctionCall, value: number) => stringToText(formatFloat8(value, fc.settings.extraFloatDigits)),
  float8recv: (_fc: FunctionCall, bytes: Uint8Array) => wireView(bytes, 8).getFloat64(0),
  float8send: (_fc: FunctionCall, value: number) => send(value, 8),

  float4eq: eq,
  float4ne: ne,
  float4lt: lt,
  float4le: le,
  float4gt: gt,
  float4ge: ge,
  btfloat4cmp: cmp,
  float8eq: eq,
  float8ne: ne,
  float8lt: lt,
  float8le: le,
  float8gt: gt,
  float8ge: ge,
  btfloat8cmp: cmp,
  float48eq: eq,
  float48ne: ne,
  float48lt: lt,
  float48le: le,
  float48gt: gt,
  float48ge: ge,
  btfloat48cmp: cmp,
  float84eq: eq,
  float84ne: ne,
  float84lt: lt,
  float84le: le,
  float84gt: gt,
  float84ge: ge,
  btfloat84cmp: cmp,
  float4larger: larger,
  float4smaller: smaller,
  float8larger: larger,
  float8smaller: smaller,

  float4pl: add4,
  float4mi: sub4,
  float4mul: mul4,
  float4div: div4,
  float8pl: add8,
  float8mi: sub8,
  float8mul: mul8,
  float8div: div8,
  float48pl: add8,
  float48mi: sub8,
  float48mul: mul8,
  float48div: div8,
  float84pl: add8,
  float84mi: sub8,
  float84mul: mul8,
  float84div: div8,
  float4um: (_fc: FunctionCall, a: number) => -a,
  float4up: (_fc: FunctionCall, a: number) => a,
  float4abs: (_fc: FunctionCall, a: number) => Math.abs(a),
  float8um: (_fc: FunctionCall, a: number) => -a,
  float8up: (_fc: FunctionCall, a: number) => a,
  float8abs: (_fc: FunctionCall, a: number) => Math.abs(a),

  ftod: (_fc: FunctionCall, a: number) => a,
  dtof: (_fc: FunctionCall, a: number) => toFloat4(a),
  dtoi2: toInt2,
  dtoi4: toInt4,
  dtoi8: toInt8,
  ftoi2: toInt2,
  ftoi4: toInt4,
  ftoi8: toInt8,
  i2tod: (_fc: FunctionCall, a: number) => a,
  i4tod: (_fc: FunctionCall, a: number) => a,
  i8tod: (_fc: FunctionCall, a: number | bigint) => Number(a),
  i2tof: (_fc: FunctionCall, a: number) => a,
  i4tof: (_fc: FunctionCall, a: number) => Math.fround(a),
  i8tof: (_fc: FunctionCall, a: number | bigint) => Math.fround(Number(a)),

  in_range_float8_float8: inRange,
  in_range_float4_float8: inRange,
};
