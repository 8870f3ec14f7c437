/**
 * bpchar (char(n)) and varchar(n): length coercion and blank-insensitive comparison. A typmod is
 * the length plus four. Trailing blanks of bpchar do not count in comparison, length or casts.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Datum } from '@pgtroupe/common/datum';
import type { FunctionCall, FunctionTable } from './fmgr.ts';
import { compareBytes, equalBytes, mbCharOffset, mbStrlen, stringToText } from './mb/mbutils.ts';
import { formatChar } from './char.ts';
import { clipName } from './name.ts';
import { parseTypmods } from './typmod.ts';
import { recvText } from './varlena.ts';

const VARHDRSZ = 4;
/** No value is larger; PostgreSQL says so with an internal error. */
const MAX_ALLOC_SIZE = 0x3fffffff;
const BLANK = 32;
const MAX_ATTR_SIZE = 10 * 1024 * 1024;

/** Length without trailing blanks. */
function bpcharTrueLen(value: Uint8Array): number {
  let n = value.length;
  while (n > 0 && value[n - 1] === BLANK) n--;
  return n;
}

export function trimBlanks(value: Uint8Array): Uint8Array {
  const n = bpcharTrueLen(value);
  return n === value.length ? value : value.subarray(0, n);
}

function bpcharCompare(a: Uint8Array, b: Uint8Array): number {
  return compareBytes(trimBlanks(a), trimBlanks(b));
}

/** Only blanks may be cut off silently; `explicit` casts cut anything. */
function cutToLength(value: Uint8Array, chars: number, explicit: boolean, typeName: string): Uint8Array {
  const end = mbCharOffset(value, chars);
  if (!explicit) {
    for (let i = end; i < value.length; i++) {
      if (value[i] !== BLANK)
        throw ereport(ERRCODE.STRING_DATA_RIGHT_TRUNCATION, `value too long for type ${typeName}(${chars})`);
    }
  }
  return end === value.length ? value : value.subarray(0, end);
}

function bpcharCoerce(value: Uint8Array, typmod: number, explicit: boolean): Uint8Array {
  if (typmod < VARHDRSZ) return value;
  const max = typmod - VARHDRSZ;
  const len = mbStrlen(value);
  if (len === max) return value;
  if (len > max) return cutToLength(value, max, explicit, 'character');
  const bytes = value.length + max - len;
  if (bytes + VARHDRSZ > MAX_ALLOC_SIZE)
    throw ereport(ERRCODE.PROGRAM_LIMIT_EXCEEDED, `invalid memory alloc request size ${bytes + VARHDRSZ}`);
  // From Buffer's pool: a typed array of its own this size would live outside of the heap.
  const out = Buffer.allocUnsafe(bytes);
  out.set(value, 0);
  out.fill(BLANK, value.length);
  return out;
}

function varcharCoerce(value: Uint8Array, typmod: number, explicit: boolean): Uint8Array {
  if (typmod < VARHDRSZ || value.length <= typmod - VARHDRSZ) return value;
  return cutToLength(value, typmod - VARHDRSZ, explicit, 'character varying');
}

function typmodIn(array: Uint8Array, typeName: string): number {
  const mods = parseTypmods(array);
  if (mods.length !== 1) throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, 'invalid type modifier');
  if (mods[0] < 1) throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `length for type ${typeName} must be at least 1`);
  if (mods[0] > MAX_ATTR_SIZE)
    throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `length for type ${typeName} cannot exceed ${MAX_ATTR_SIZE}`);
  return mods[0] + VARHDRSZ;
}

const typmodOut = (_fc: FunctionCall, typmod: number): Uint8Array =>
  stringToText(typmod > VARHDRSZ ? `(${typmod - VARHDRSZ})` : '');
const identity = (_fc: FunctionCall, value: Uint8Array): Uint8Array => value;

export const varcharFunctions: FunctionTable = {
  bpcharin: (_fc: FunctionCall, text: Uint8Array, _elem: Datum, typmod: number) => bpcharCoerce(text, typmod, false),
  bpcharout: identity,
  bpcharrecv: (_fc: FunctionCall, bytes: Uint8Array, _elem: Datum, typmod: number) =>
    bpcharCoerce(recvText(bytes), typmod, false),
  bpcharsend: identity,
  bpchar: (_fc: FunctionCall, value: Uint8Array, typmod: number, explicit: boolean) =>
    bpcharCoerce(value, typmod, explicit),
  bpchartypmodin: (_fc: FunctionCall, array: Uint8Array) => typmodIn(array, 'char'),
  bpchartypmodout: typmodOut,
  varcharin: (_fc: FunctionCall, text: Uint8Array, _elem: Datum, typmod: number) => varcharCoerce(text, typmod, false),
  varcharout: identity,
  varcharrecv: (_fc: FunctionCall, bytes: Uint8Array, _elem: Datum, typmod: number) =>
    varcharCoerce(recvText(bytes), typmod, false),
  varcharsend: identity,
  varchar: (_fc: FunctionCall, value: Uint8Array, typmod: number, explicit: boolean) =>
    varcharCoerce(value, typmod, explicit),
  varchartypmodin: (_fc: FunctionCall, array: Uint8Array) => typmodIn(array, 'varchar'),
  varchartypmodout: typmodOut,

  bpchareq: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => equalBytes(trimBlanks(a), trimBlanks(b)),
  bpcharne: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => !equalBytes(trimBlanks(a), trimBlanks(b)),
  bpcharlt: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => bpcharCompare(a, b) < 0,
  bpcharle: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => bpcharCompare(a, b) <= 0,
  bpchargt: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => bpcharCompare(a, b) > 0,
  bpcharge: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => bpcharCompare(a, b) >= 0,
  bpcharcmp: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => bpcharCompare(a, b),
  bpchar_pattern_lt: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => bpcharCompare(a, b) < 0,
  bpchar_pattern_le: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => bpcharCompare(a, b) <= 0,
  bpchar_pattern_gt: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => bpcharCompare(a, b) > 0,
  bpchar_pattern_ge: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => bpcharCompare(a, b) >= 0,
  btbpchar_pattern_cmp: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => bpcharCompare(a, b),
  bpchar_larger: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => (bpcharCompare(a, b) >= 0 ? a : b),
  bpchar_smaller: (_fc: FunctionCall, a: Uint8Array, b: Uint8Array) => (bpcharCompare(a, b) <= 0 ? a : b),
  bpcharlen: (_fc: FunctionCall, value: Uint8Array) => mbStrlen(trimBlanks(value)),
  bpcharoctetlen: (_fc: FunctionCall, value: Uint8Array) => value.length,
  bpchar_name: (_fc: FunctionCall, value: Uint8Array) => trimBlanks(clipName(value)),
  // Zero is nothing: PostgreSQL keeps a NUL byte here, which no text may have, and shows nothing.
  char_bpchar: (_fc: FunctionCall, value: number) => {
    if ((value & 255) > 127) {
      throw ereport(
        ERRCODE.CHARACTER_NOT_IN_REPERTOIRE,
        `invalid byte sequence for encoding "UTF8": 0x${(value & 255).toString(16)}`,
      );
    }
    return formatChar(value);
  },
};
