/**
 * bit(n) and bit varying(n). Payload: int32 length in bits, little-endian, then the bits, high
 * first, the last byte padded with zeros. A typmod is the length.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import type { Datum } from '@pgtroupe/common/datum';
import type { FunctionCall, FunctionTable } from './fmgr.ts';
import { compareBytes, latin1ToString, stringToText } from './mb/mbutils.ts';
import { int8Datum } from './numutils.ts';
import { viewOf, WireReader } from './pqwire.ts';
import { parseTypmods } from './typmod.ts';

type Bytes = Uint8Array;

const HEADER = 4;
const MAX_BITS = 10 * 1024 * 1024 * 8;
/** What a value can have, whatever its type's modifier. */
const LONGEST = 0x7fffffff - 7;
const bitLength = (v: Bytes): number => viewOf(v).getInt32(0, true);

function make(bits: number): Bytes {
  if (bits > LONGEST)
    throw ereport(ERRCODE.PROGRAM_LIMIT_EXCEEDED, `bit string length exceeds the maximum allowed (${LONGEST})`);
  const out = new Uint8Array(HEADER + ((bits + 7) >> 3));
  viewOf(out).setInt32(0, bits, true);
  return out;
}

const getBit = (v: Bytes, i: number): number => (v[HEADER + (i >> 3)] >> (7 - (i & 7))) & 1;

function setBit(v: Bytes, i: number, on: number): void {
  const mask = 0x80 >> (i & 7);
  if (on) v[HEADER + (i >> 3)] |= mask;
  else v[HEADER + (i >> 3)] &= ~mask;
}

/** Clears what lies beyond the length in the last byte. */
function pad(v: Bytes): Bytes {
  const rest = bitLength(v) & 7;
  if (rest !== 0) v[v.length - 1] &= 0xff << (8 - rest);
  return v;
}

function resize(v: Bytes, bits: number): Bytes {
  const out = make(bits);
  out.set(v.subarray(HEADER, Math.min(v.length, out.length)), HEADER);
  return pad(out);
}

const wrongLength = (have: number, want: number): PgError =>
  ereport(ERRCODE.STRING_DATA_LENGTH_MISMATCH, `bit string length ${have} does not match type bit(${want})`);
const tooLong = (max: number): PgError =>
  ereport(ERRCODE.STRING_DATA_RIGHT_TRUNCATION, `bit string too long for type bit varying(${max})`);

/** B'0101' digits, or X'1F' for hexadecimal; either may stand without its letter as binary. */
function parse(text: Bytes, typmod: number, varying: boolean): Bytes {
  let s = latin1ToString(text);
  const hex = s[0] === 'x' || s[0] === 'X';
  if (hex || s[0] === 'b' || s[0] === 'B') s = s.slice(1);
  // Lengths come first: what does not fit is not read.
  const bits = hex ? s.length * 4 : s.length;
  if (typmod > 0 && (varying ? bits > typmod : bits !== typmod))
    throw varying ? tooLong(typmod) : wrongLength(bits, typmod);
  const bad = s.split('').find(c => !(hex ? /[0-9a-fA-F]/ : /[01]/).test(c));
  if (bad !== undefined)
    throw ereport(
      ERRCODE.INVALID_TEXT_REPRESENTATION,
      `"${bad}" is not a valid ${hex ? 'hexadecimal' : 'binary'} digit`,
    );
  const out = make(bits);
  for (let i = 0; i < s.length; i++) {
    const digit = Number.parseInt(s[i], 16);
    if (hex) for (let k = 0; k < 4; k++) setBit(out, i * 4 + k, (digit >> (3 - k)) & 1);
    else setBit(out, i, digit);
  }
  return out;
}

function format(v: Bytes): string {
  let s = '';
  for (let i = 0, n = bitLength(v); i < n; i++) s += getBit(v, i);
  return s;
}

function coerce(v: Bytes, typmod: number, explicit: boolean, varying: boolean): Bytes {
  const n = bitLength(v);
  if (typmod <= 0 || n === typmod || (varying && n < typmod)) return v;
  if (!explicit) throw varying ? tooLong(typmod) : wrongLength(n, typmod);
  return resize(v, typmod);
}

function compare(a: Bytes, b: Bytes): number {
  return compareBytes(a.subarray(HEADER), b.subarray(HEADER)) || bitLength(a) - bitLength(b);
}

function combine(a: Bytes, b: Bytes, name: string, op: (x: number, y: number) => number): Bytes {
  if (bitLength(a) !== bitLength(b))
    throw ereport(ERRCODE.STRING_DATA_LENGTH_MISMATCH, `cannot ${name} bit strings of different sizes`);
  const out = make(bitLength(a));
  for (let i = HEADER; i < out.length; i++) out[i] = op(a[i], b[i]);
  return out;
}

function substr(v: Bytes, start: number, length?: number): Bytes {
  if (length !== undefined && length < 0)
    throw ereport(ERRCODE.SUBSTRING_ERROR, 'negative substring length not allowed');
  const n = bitLength(v);
  const from = Math.max(start, 1);
  const end = length === undefined ? n + 1 : Math.min(start + length, n + 1);
  const out = make(Math.max(0, end - from));
  for (let i = from; i < end; i++) setBit(out, i - from, getBit(v, i - 1));
  return out;
}

function concat(a: Bytes, b: Bytes): Bytes {
  const n = bitLength(a);
  const out = resize(a, n + bitLength(b));
  for (let i = 0; i < bitLength(b); i++) setBit(out, n + i, getBit(b, i));
  return out;
}

function shift(v: Bytes, by: number): Bytes {
  const n = bitLength(v);
  const out = make(n);
  for (let i = 0; i < n; i++) if (i - by >= 0 && i - by < n) setBit(out, i, getBit(v, i - by));
  return out;
}

/** An integer's bits, sign-extended or cut to the length. */
function fromInteger(value: number | bigint, typmod: number): Bytes {
  const n = typmod <= 0 ? 1 : typmod;
  const out = make(n);
  const v = BigInt(value);
  if (v < 0n) pad(out.fill(0xff, HEADER));
  for (let i = 0; i < Math.min(n, 64); i++) setBit(out, n - 1 - i, Number((v >> BigInt(i)) & 1n));
  return out;
}

function toInteger(v: Bytes, bits: 32 | 64): number | bigint {
  if (bitLength(v) > bits)
    throw ereport(ERRCODE.NUMERIC_VALUE_OUT_OF_RANGE, bits === 32 ? 'integer out of range' : 'bigint out of range');
  return int8Datum(BigInt.asIntN(bits, BigInt(`0b0${format(v)}`)));
}

function position(v: Bytes, needle: Bytes): number {
  const text = format(v);
  const wanted = format(needle);
  if (text === '' || wanted.length > text.length) return 0;
  return wanted === '' ? 1 : text.indexOf(wanted) + 1;
}

function index(v: Bytes, n: number): number {
  const bits = bitLength(v);
  if (n < 0 || n >= bits)
    throw ereport(ERRCODE.ARRAY_SUBSCRIPT_ERROR, `bit index ${n} out of valid range (0..${bits - 1})`);
  return n;
}

function overlay(v: Bytes, replacement: Bytes, start: number, length: number): Bytes {
  if (start <= 0) throw ereport(ERRCODE.SUBSTRING_ERROR, 'negative substring length not allowed');
  if (start + length > 0x7fffffff || start + length < -0x80000000)
    throw ereport(ERRCODE.NUMERIC_VALUE_OUT_OF_RANGE, 'integer out of range');
  return concat(concat(substr(v, 1, start - 1), replacement), substr(v, start + length));
}

function typmodIn(array: Bytes, name: string): number {
  const mods = parseTypmods(array);
  if (mods.length !== 1) throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, 'invalid type modifier');
  if (mods[0] < 1) throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `length for type ${name} must be at least 1`);
  if (mods[0] > MAX_BITS)
    throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `length for type ${name} cannot exceed ${MAX_BITS}`);
  return mods[0];
}

function receive(bytes: Bytes, typmod: number, varying: boolean): Bytes {
  const reader = new WireReader(bytes);
  const bits = reader.int32();
  if (bits < 0 || bits > MAX_BITS)
    throw ereport(ERRCODE.INVALID_BINARY_REPRESENTATION, 'invalid length in external bit string');
  const out = make(bits);
  out.set(reader.bytes((bits + 7) >> 3), HEADER);
  reader.done();
  return coerce(pad(out), typmod, false, varying);
}

function send(v: Bytes): Bytes {
  const out = v.slice();
  viewOf(out).setInt32(0, bitLength(v));
  return out;
}

const typmodOut = (_fc: FunctionCall, typmod: number): Bytes => stringToText(typmod >= 0 ? `(${typmod})` : '');

export const varbitFunctions: FunctionTable = {
  bit_in: (_fc: FunctionCall, text: Bytes, _elem: Datum, typmod: number) => parse(text, typmod, false),
  bit_out: (_fc: FunctionCall, v: Bytes) => stringToText(format(v)),
  bit_recv: (_fc: FunctionCall, bytes: Bytes, _elem: Datum, typmod: number) => receive(bytes, typmod, false),
  bit_send: (_fc: FunctionCall, v: Bytes) => send(v),
  bit: (_fc: FunctionCall, v: Bytes, typmod: number, explicit: boolean) => coerce(v, typmod, explicit, false),
  bittypmodin: (_fc: FunctionCall, array: Bytes) => typmodIn(array, 'bit'),
  bittypmodout: typmodOut,
  varbit_in: (_fc: FunctionCall, text: Bytes, _elem: Datum, typmod: number) => parse(text, typmod, true),
  varbit_out: (_fc: FunctionCall, v: Bytes) => stringToText(format(v)),
  varbit_recv: (_fc: FunctionCall, bytes: Bytes, _elem: Datum, typmod: number) => receive(bytes, typmod, true),
  varbit_send: (_fc: FunctionCall, v: Bytes) => send(v),
  varbit: (_fc: FunctionCall, v: Bytes, typmod: number, explicit: boolean) => coerce(v, typmod, explicit, true),
  varbittypmodin: (_fc: FunctionCall, array: Bytes) => typmodIn(array, 'varbit'),
  varbittypmodout: typmodOut,
  biteq: (_fc: FunctionCall, a: Bytes, b: Bytes) => compare(a, b) === 0,
  bitne: (_fc: FunctionCall, a: Bytes, b: Bytes) => compare(a, b) !== 0,
  bitlt: (_fc: FunctionCall, a: Bytes, b: Bytes) => compare(a, b) < 0,
  bitle: (_fc: FunctionCall, a: Bytes, b: Bytes) => compare(a, b) <= 0,
  bitgt: (_fc: FunctionCall, a: Bytes, b: Bytes) => compare(a, b) > 0,
  bitge: (_fc: FunctionCall, a: Bytes, b: Bytes) => compare(a, b) >= 0,
  bitcmp: (_fc: FunctionCall, a: Bytes, b: Bytes) => compare(a, b),
  bit_and: (_fc: FunctionCall, a: Bytes, b: Bytes) => combine(a, b, 'AND', (x, y) => x & y),
  bit_or: (_fc: FunctionCall, a: Bytes, b: Bytes) => combine(a, b, 'OR', (x, y) => x | y),
  bitxor: (_fc: FunctionCall, a: Bytes, b: Bytes) => combine(a, b, 'XOR', (x, y) => x ^ y),
  bitnot: (_fc: FunctionCall, a: Bytes) => {
    const out = make(bitLength(a));
    for (let i = HEADER; i < out.length; i++) out[i] = ~a[i];
    return pad(out);
  },
  bitshiftleft: (_fc: FunctionCall, v: Bytes, by: number) => shift(v, -by),
  bitshiftright: (_fc: FunctionCall, v: Bytes, by: number) => shift(v, by),
  bitcat: (_fc: FunctionCall, a: Bytes, b: Bytes) => concat(a, b),
  bitsubstr: (_fc: FunctionCall, v: Bytes, start: number, length: number) => substr(v, start, length),
  bitsubstr_no_len: (_fc: FunctionCall, v: Bytes, start: number) => substr(v, start),
  bitoverlay: (_fc: FunctionCall, v: Bytes, r: Bytes, start: number, length: number) => overlay(v, r, start, length),
  bitoverlay_no_len: (_fc: FunctionCall, v: Bytes, r: Bytes, start: number) => overlay(v, r, start, bitLength(r)),
  bitlength: (_fc: FunctionCall, v: Bytes) => bitLength(v),
  bitoctetlength: (_fc: FunctionCall, v: Bytes) => v.length - HEADER,
  bitposition: (_fc: FunctionCall, v: Bytes, needle: Bytes) => position(v, needle),
  bitgetbit: (_fc: FunctionCall, v: Bytes, n: number) => getBit(v, index(v, n)),
  bitsetbit: (_fc: FunctionCall, v: Bytes, n: number, on: number) => {
    index(v, n);
    if (on !== 0 && on !== 1) throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, 'new bit must be 0 or 1');
    const out = v.slice();
    setBit(out, n, on);
    return out;
  },
  bit_bit_count: (_fc: FunctionCall, v: Bytes) => format(v).replaceAll('0', '').length,
  bitfromint4: (_fc: FunctionCall, value: number, typmod: number) => fromInteger(value, typmod),
  bittoint4: (_fc: FunctionCall, v: Bytes) => toInteger(v, 32),
  bitfromint8: (_fc: FunctionCall, value: number | bigint, typmod: number) => fromInteger(value, typmod),
  bittoint8: (_fc: FunctionCall, v: Bytes) => toInteger(v, 64),
};
