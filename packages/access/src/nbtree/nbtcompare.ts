/**
 * Order of values, by the operator class's support function 1 (its pg_proc.prosrc). Collations are
 * C or C.UTF-8, whose order of code points is the order of the bytes.
 *
 * `order` tells which comparisons may be made on the bytes of a page instead of on Datums.
 * `equalImage`: equal values always have equal bytes (pg_amproc's support function 4), what
 * deduplication needs of every column. Types that are not here bring their own function in the
 * index's description.
 */
import type { Datum } from '@pgtroupe/common/datum';

export type Compare = (a: Datum, b: Datum) => number;

export interface SupportProc {
  readonly compare: Compare;
  /** scalar: as numbers; bytes: as memcmp, then length. */
  readonly order: 'scalar' | 'bytes' | 'other';
  readonly equalImage: boolean;
}

type Scalar = number | bigint | boolean;

function scalarCompare(a: Datum, b: Datum): number {
  return (a as Scalar) < (b as Scalar) ? -1 : (a as Scalar) > (b as Scalar) ? 1 : 0;
}

/** NaN is equal to itself and above everything else. */
function floatCompare(a: Datum, b: Datum): number {
  const x = a as number;
  const y = b as number;
  if (x < y) return -1;
  if (x > y) return 1;
  if (x === y) return 0;
  return x !== x ? (y !== y ? 0 : 1) : -1;
}

function bytesCompare(a: Datum, b: Datum): number {
  const x = a as Uint8Array;
  const y = b as Uint8Array;
  return memcmp(x, y, Math.min(x.length, y.length)) || x.length - y.length;
}

function memcmp(x: Uint8Array, y: Uint8Array, length: number): number {
  for (let i = 0; i < length; i++) if (x[i] !== y[i]) return x[i]! - y[i]!;
  return 0;
}

/** Trailing blanks do not count. */
function bpcharCompare(a: Datum, b: Datum): number {
  const x = a as Uint8Array;
  const y = b as Uint8Array;
  const lx = lengthWithoutBlanks(x);
  const ly = lengthWithoutBlanks(y);
  return memcmp(x, y, Math.min(lx, ly)) || lx - ly;
}

function lengthWithoutBlanks(x: Uint8Array): number {
  let length = x.length;
  while (length > 0 && x[length - 1] === 0x20) length--;
  return length;
}

const u16 = (x: Uint8Array, at: number): number => x[at]! | (x[at + 1]! << 8);
const i16 = (x: Uint8Array, at: number): number => (u16(x, at) << 16) >> 16;
const i32 = (x: Uint8Array, at: number): number => u16(x, at) | (u16(x, at + 2) << 16);
const i64 = (x: Uint8Array, at: number): bigint => (BigInt(i32(x, at + 4)) << 32n) | BigInt(i32(x, at) >>> 0);

function tidCompare(a: Datum, b: Datum): number {
  const x = a as Uint8Array;
  const y = b as Uint8Array;
  return u16(x, 0) - u16(y, 0) || u16(x, 2) - u16(y, 2) || u16(x, 4) - u16(y, 4);
}

/** Shorter first, then element by element. The first element is 20 bytes into the array. */
function oidvectorCompare(a: Datum, b: Datum): number {
  const x = a as Uint8Array;
  const y = b as Uint8Array;
  const count = i32(x, 12);
  if (count !== i32(y, 12)) return count - i32(y, 12);
  for (let i = 0; i < count; i++) {
    const diff = (i32(x, 20 + 4 * i) >>> 0) - (i32(y, 20 + 4 * i) >>> 0);
    if (diff !== 0) return diff;
  }
  return 0;
}

/** bit and bit varying: u32 number of bits, then the bits. */
function bitCompare(a: Datum, b: Datum): number {
  const x = (a as Uint8Array).subarray(4);
  const y = (b as Uint8Array).subarray(4);
  return memcmp(x, y, Math.min(x.length, y.length)) || i32(a as Uint8Array, 0) - i32(b as Uint8Array, 0);
}

const US_PER_DAY = 86_400_000_000n;

/** i64 microseconds, i32 days, i32 months of 30 days. */
function intervalCompare(a: Datum, b: Datum): number {
  return scalarCompare(intervalSpan(a as Uint8Array), intervalSpan(b as Uint8Array));
}

function intervalSpan(x: Uint8Array): bigint {
  return i64(x, 0) + (BigInt(i32(x, 12)) * 30n + BigInt(i32(x, 8))) * US_PER_DAY;
}

/** i64 microseconds of the day, i32 seconds west of Greenwich; the instant decides, then the zone. */
function timetzCompare(a: Datum, b: Datum): number {
  const x = a as Uint8Array;
  const y = b as Uint8Array;
  const zone = i32(x, 8) - i32(y, 8);
  return scalarCompare(i64(x, 0) + BigInt(i32(x, 8)) * 1_000_000n, i64(y, 0) + BigInt(i32(y, 8)) * 1_000_000n) || zone;
}

/** inet and cidr: u8 family, u8 bits of the mask, address. Common prefix, then mask, then address. */
function networkCompare(a: Datum, b: Datum): number {
  const x = a as Uint8Array;
  const y = b as Uint8Array;
  if (x[0] !== y[0]) return x[0]! - y[0]!;
  return addressCompare(x, y, Math.min(x[1]!, y[1]!)) || x[1]! - y[1]! || addressCompare(x, y, 8 * (x.length - 2));
}

function addressCompare(x: Uint8Array, y: Uint8Array, bits: number): number {
  const whole = bits >>> 3;
  for (let i = 0; i < whole; i++) if (x[2 + i] !== y[2 + i]) return x[2 + i]! - y[2 + i]!;
  const rest = bits & 7;
  return rest === 0 ? 0 : (x[2 + whole]! >>> (8 - rest)) - (y[2 + whole]! >>> (8 - rest));
}

// ---- numeric -------------------------------------------------------------------------------------------
const NUMERIC_SPECIAL = 0xc000;
const NUMERIC_NAN = 0xc000;
const NUMERIC_PINF = 0xd000;

/** -1 minus infinity, 0 finite, 1 infinity, 2 NaN: the order among them. */
function numericClass(header: number): number {
  if ((header & NUMERIC_SPECIAL) !== NUMERIC_SPECIAL) return 0;
  return (header & 0xf000) === NUMERIC_NAN ? 2 : (header & 0xf000) === NUMERIC_PINF ? 1 : -1;
}

/**
 * Header u16 (short form: 1 0 sign dscale(6) weight(7, signed); long form: 0 sign dscale(14), then i16
 * weight), then digits in base 10000, first one worth 10000^weight.
 */
function numericCompare(a: Datum, b: Datum): number {
  const x = a as Uint8Array;
  const y = b as Uint8Array;
  const hx = u16(x, 0);
  const hy = u16(y, 0);
  const cx = numericClass(hx);
  const cy = numericClass(hy);
  if (cx !== 0 || cy !== 0) return cx - cy;
  const sx = numericSign(x, hx);
  const sy = numericSign(y, hy);
  if (sx !== sy || sx === 0) return sx - sy;
  return sx * magnitudeCompare(x, hx, y, hy);
}

function digitsAt(header: number): number {
  return (header & 0x8000) !== 0 ? 2 : 4;
}

function numericSign(x: Uint8Array, header: number): number {
  if (x.length <= digitsAt(header)) return 0;
  const negative = (header & 0x8000) !== 0 ? (header & 0x2000) !== 0 : (header & 0xc000) === 0x4000;
  return negative ? -1 : 1;
}

function numericWeight(x: Uint8Array, header: number): number {
  return (header & 0x8000) !== 0 ? ((header & 0x7f) << 25) >> 25 : i16(x, 2);
}

function magnitudeCompare(x: Uint8Array, hx: number, y: Uint8Array, hy: number): number {
  const weight = numericWeight(x, hx) - numericWeight(y, hy);
  if (weight !== 0) return weight;
  const dx = digitsAt(hx);
  const dy = digitsAt(hy);
  const length = Math.min(x.length - dx, y.length - dy);
  for (let i = 0; i < length; i += 2) {
    const diff = i16(x, dx + i) - i16(y, dy + i);
    if (diff !== 0) return diff;
  }
  // What one has beyond the other may only be zeros.
  return tailSign(x, dx + length) - tailSign(y, dy + length);
}

function tailSign(x: Uint8Array, from: number): number {
  for (let i = from; i < x.length; i++) if (x[i] !== 0) return 1;
  return 0;
}

// ---- registry ------------------------------------------------------------------------------------------
const scalar: SupportProc = { compare: scalarCompare, order: 'scalar', equalImage: true };
const float: SupportProc = { compare: floatCompare, order: 'other', equalImage: false };
const bytes: SupportProc = { compare: bytesCompare, order: 'bytes', equalImage: true };
const other = (compare: Compare, equalImage: boolean): SupportProc => ({ compare, order: 'other', equalImage });

const PROCS: ReadonlyMap<string, SupportProc> = new Map([
  ...[
    'btint2cmp',
    'btint4cmp',
    'btint8cmp',
    'btint24cmp',
    'btint42cmp',
    'btint28cmp',
    'btint82cmp',
    'btint48cmp',
    'btint84cmp',
    'btoidcmp',
    'btboolcmp',
    'btcharcmp',
    'date_cmp',
    'time_cmp',
    'timestamp_cmp',
    'cash_cmp',
    'pg_lsn_cmp',
    'xid8cmp',
  ].map((name): [string, SupportProc] => [name, scalar]),
  ...['btfloat4cmp', 'btfloat8cmp', 'btfloat48cmp', 'btfloat84cmp'].map((name): [string, SupportProc] => [name, float]),
  ...[
    'bttextcmp',
    'btnamecmp',
    'btnametextcmp',
    'bttextnamecmp',
    'bttext_pattern_cmp',
    'byteacmp',
    'uuid_cmp',
    'macaddr8_cmp',
  ].map((name): [string, SupportProc] => [name, bytes]),
  ['macaddr_cmp', bytes],
  // 'a' = 'a ', so bpchar is not equal-image, whatever pg_amproc says (PostgreSQL corrects it in code).
  ['bpcharcmp', other(bpcharCompare, false)],
  ['btbpchar_pattern_cmp', other(bpcharCompare, false)],
  ['bttidcmp', other(tidCompare, true)],
  ['btoidvectorcmp', other(oidvectorCompare, true)],
  ['bitcmp', other(bitCompare, true)],
  ['timetz_cmp', other(timetzCompare, true)],
  ['network_cmp', other(networkCompare, true)],
  ['interval_cmp', other(intervalCompare, false)],
  ['numeric_cmp', other(numericCompare, false)],
]);

/** The support function with this prosrc, if its type is known here. */
export function btSupportProc(prosrc: string): SupportProc | undefined {
  return PROCS.get(prosrc);
}
