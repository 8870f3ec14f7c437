/**
 * Integers and text: the parsing and printing every integer type shares. Works on bytes.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import { stringToText, textToString } from './mb/mbutils.ts';

/** C's isspace() in the C locale. */
export function isSpace(c: number): boolean {
  return c === 32 || (c >= 9 && c <= 13);
}

export function isDigit(c: number): boolean {
  return c >= 48 && c <= 57;
}

export function invalidSyntax(typeName: string, text: Uint8Array): PgError {
  return ereport(
    ERRCODE.INVALID_TEXT_REPRESENTATION,
    `invalid input syntax for type ${typeName}: "${textToString(text)}"`,
  );
}

export function outOfRange(typeName: string, text: Uint8Array): PgError {
  return ereport(
    ERRCODE.NUMERIC_VALUE_OUT_OF_RANGE,
    `value "${textToString(text)}" is out of range for type ${typeName}`,
  );
}

/**
 * Decimal integer with optional sign and surrounding white space. Answers a number, or a bigint
 * when the value is beyond the safe integers; what fits the type is up to the caller.
 */
export function parseInteger(text: Uint8Array, typeName: string): number | bigint {
  const n = text.length;
  let i = 0;
  while (i < n && isSpace(text[i])) i++;
  let negative = false;
  if (i < n && (text[i] === 45 || text[i] === 43)) {
    negative = text[i] === 45;
    i++;
  }
  const first = i;
  let value = 0;
  while (i < n && isDigit(text[i])) {
    value = value * 10 + (text[i] - 48);
    i++;
  }
  const end = i;
  if (end === first) throw invalidSyntax(typeName, text);
  while (i < n && isSpace(text[i])) i++;
  if (i < n) throw invalidSyntax(typeName, text);
  if (value <= Number.MAX_SAFE_INTEGER) return negative ? 0 - value : value;
  if (value > 1e30) return negative ? -(2n ** 70n) : 2n ** 70n;
  const big = BigInt(String.fromCharCode(...text.subarray(first, end)));
  return negative ? -big : big;
}

const scratch = new Uint8Array(24);

/** Decimal digits of a safe integer or bigint. */
export function formatInteger(value: number | bigint): Uint8Array {
  if (typeof value === 'bigint') return stringToText(value.toString());
  let v = value < 0 ? -value : value;
  let at = 24;
  if (v > 0x7fffffff) {
    do {
      const q = Math.floor(v / 10);
      scratch[--at] = 48 + (v - q * 10);
      v = q;
    } while (v > 0x7fffffff);
  }
  v |= 0;
  do {
    const q = (v / 10) | 0;
    scratch[--at] = 48 + (v - q * 10);
    v = q;
  } while (v !== 0);
  if (value < 0) scratch[--at] = 45;
  return scratch.slice(at, 24);
}

const MAX_INT8 = 9223372036854775807n;
const MIN_INT8 = -9223372036854775808n;

/** The Datum of an int8: a number while safe. Throws when it does not fit 64 bits. */
export function int8FromBigInt(value: bigint): number | bigint {
  if (value >= -9007199254740991n && value <= 9007199254740991n) return Number(value);
  if (value > MAX_INT8 || value < MIN_INT8) throw ereport(ERRCODE.NUMERIC_VALUE_OUT_OF_RANGE, 'bigint out of range');
  return value;
}

/** As `int8FromBigInt` for values already known to fit. */
export function int8Datum(value: bigint): number | bigint {
  return value >= -9007199254740991n && value <= 9007199254740991n ? Number(value) : value;
}

/** strtoul(text, base 10 or C prefixes) without error checks, as xidin uses it; modulo 2^64. */
export function strtou64(text: Uint8Array): bigint {
  const s = /^[\t-\r ]*([+-]?)(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)/.exec(textToString(text));
  if (!s) return 0n;
  const digits = s[2];
  const octal = digits.length > 1 && digits[0] === '0' && digits[1] !== 'x' && digits[1] !== 'X';
  const value = BigInt(octal ? `0o${digits.slice(1)}` : digits);
  if (value > 0xffffffffffffffffn) return 0xffffffffffffffffn;
  return BigInt.asUintN(64, s[1] === '-' ? -value : value);
}
