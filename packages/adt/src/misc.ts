/**
 * Functions about the session, the server and types: version(), current_database(), pg_typeof(),
 * sizes in words, encodings, settings.
 */
import { COLLOID, AUTHOID } from '@pgtroupe/catalog/syscache';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import type { Datum } from '@pgtroupe/common/datum';
import type { Oid } from '@pgtroupe/common/ids';
import { UNKNOWNOID } from '@pgtroupe/common/oids';
import { builtinTypes } from './cache/builtin_types.ts';
import type { FunctionCall, FunctionTable, SetFunctionTable } from './fmgr.ts';
import { formatType } from './format_type.ts';
import { invalidUtf8At, mbStrlen, stringToText, textToString } from './mb/mbutils.ts';
import { invalidByteSequence } from './varlena.ts';
import { arrayElemType, deconstructArray } from './arrayutils.ts';
import { quoteIdentifier } from './quote.ts';
import { typeFacts } from './cache/typcache.ts';
import type { Int8 } from './int8.ts';
import { finite, formatNumericVar, type NumericVar, packNumeric, pow10, rescale, unpackNumeric } from './numericvar.ts';
import { int8FromBigInt } from './numutils.ts';

const UTF8 = 6;
/** pg_enc, in order. */
const ENCODINGS = [
  'SQL_ASCII',
  'EUC_JP',
  'EUC_CN',
  'EUC_KR',
  'EUC_TW',
  'EUC_JIS_2004',
  'UTF8',
  'MULE_INTERNAL',
  'LATIN1',
  'LATIN2',
  'LATIN3',
  'LATIN4',
  'LATIN5',
  'LATIN6',
  'LATIN7',
  'LATIN8',
  'LATIN9',
  'LATIN10',
  'WIN1256',
  'WIN1258',
  'WIN866',
  'WIN874',
  'KOI8R',
  'WIN1251',
  'WIN1252',
  'ISO_8859_5',
  'ISO_8859_6',
  'ISO_8859_7',
  'ISO_8859_8',
  'WIN1250',
  'WIN1253',
  'WIN1254',
  'WIN1255',
  'WIN1257',
  'KOI8U',
  'SJIS',
  'BIG5',
  'GBK',
  'UHC',
  'GB18030',
  'JOHAB',
  'SHIFT_JIS_2004',
];
const ALIASES: Readonly<Record<string, string>> = {
  unicode: 'UTF8',
  iso88591: 'LATIN1',
  alt: 'WIN866',
  win: 'WIN1251',
  koi8: 'KOI8R',
  iso88592: 'LATIN2',
  iso885915: 'LATIN9',
  sjis: 'SJIS',
};

const plain = (name: string): string => name.toLowerCase().replace(/[^a-z0-9]/g, '');

export function encodingToChar(encoding: number): string {
  return ENCODINGS[encoding] ?? '';
}

export function charToEncoding(name: string): number {
  const wanted = plain(ALIASES[plain(name)] ?? name);
  return ENCODINGS.findIndex(e => plain(e) === wanted);
}

/** Characters of text in an encoding, which is checked. */
function encodedLength(encoding: string, bytes: Uint8Array): number {
  if (/^(?:LATIN|ISO_|WIN|KOI8)/.test(encoding) || encoding === 'SQL_ASCII') {
    if (bytes.includes(0))
      throw ereport(ERRCODE.CHARACTER_NOT_IN_REPERTOIRE, `invalid byte sequence for encoding "${encoding}": 0x00`);
    return bytes.length;
  }
  if (encoding !== 'UTF8') throw notSupported(`encoding ${encoding}`);
  const at = invalidUtf8At(bytes);
  if (at >= 0) throw invalidByteSequence(bytes, at);
  return mbStrlen(bytes);
}

const SIZE_UNITS: readonly (readonly [string, number, boolean, number])[] = [
  ['bytes', 10 * 1024, false, 0],
  ['kB', 20 * 1024 - 1, true, 10],
  ['MB', 20 * 1024 - 1, true, 20],
  ['GB', 20 * 1024 - 1, true, 30],
  ['TB', 20 * 1024 - 1, true, 40],
  ['PB', 20 * 1024 - 1, true, 50],
];

/** pg_size_pretty(bigint). */
function sizePretty(size: bigint): string {
  let v = size;
  for (let i = 0; i < SIZE_UNITS.length; i++) {
    const [name, limit, round, bits] = SIZE_UNITS[i];
    const next = SIZE_UNITS[i + 1];
    const magnitude = v < 0n ? -v : v;
    if (!next || magnitude < BigInt(limit)) {
      // One bit more than shown is kept until here, to round half away from zero.
      if (round) v = (v + (v < 0n ? -1n : 1n)) / 2n;
      return `${v} ${name}`;
    }
    const shift = next[3] - bits - (next[2] ? 1 : 0) + (round ? 1 : 0);
    v /= 1n << BigInt(shift);
  }
  return `${v} bytes`;
}

function numericSizePretty(size: NumericVar): string {
  if (size.kind !== 'finite') return `${formatNumericVar(size)} PB`;
  let v = size;
  for (let i = 0; i < SIZE_UNITS.length; i++) {
    const [name, limit, round, bits] = SIZE_UNITS[i];
    const next = SIZE_UNITS[i + 1];
    const magnitude = v.n < 0n ? -v.n : v.n;
    if (!next || magnitude < BigInt(limit) * pow10(v.scale)) {
      if (round) {
        const whole = v.n / pow10(v.scale);
        v = finite((whole + (v.n < 0n ? -1n : 1n)) / 2n, 0);
      }
      return `${formatNumericVar(v)} ${name}`;
    }
    const shift = next[3] - bits - (next[2] ? 1 : 0) + (round ? 1 : 0);
    v = finite(v.n / pow10(v.scale) / (1n << BigInt(shift)), 0);
  }
  return '';
}

const SIZE_NAMES: Readonly<Record<string, bigint>> = {
  bytes: 1n,
  kb: 1n << 10n,
  mb: 1n << 20n,
  gb: 1n << 30n,
  tb: 1n << 40n,
  pb: 1n << 50n,
};

function sizeBytes(text: Uint8Array): number | bigint {
  const s = textToString(text);
  const invalid = (fields = {}) => ereport(ERRCODE.INVALID_PARAMETER_VALUE, `invalid size: "${s}"`, fields);
  const m = /^[\t-\r ]*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)[\t-\r ]*(.*?)[\t-\r ]*$/.exec(s);
  if (!m) throw invalid();
  const [mantissa, exponent = '0'] = m[1].toLowerCase().split('e');
  const [whole, fraction = ''] = mantissa.split('.');
  const digits = BigInt(`${whole.replace('+', '')}${fraction}`.replace(/^-?$/, '0'));
  const scale = fraction.length - Number(exponent);
  const unit = m[2] === '' ? 1n : SIZE_NAMES[m[2].toLowerCase()];
  if (unit === undefined) {
    throw invalid({
      detail: `Invalid size unit: "${m[2]}".`,
      hint: 'Valid units are "bytes", "kB", "MB", "GB", "TB", and "PB".',
    });
  }
  const n = digits * unit;
  return int8FromBigInt(scale >= 0 ? rescale(n, scale, 0) : n * pow10(-scale));
}

function unknownSetting(name: string): Error {
  return ereport(ERRCODE.UNDEFINED_OBJECT, `unrecognized configuration parameter "${name}"`);
}

/** Counts nulls among VARIADIC "any" arguments, or in the one array given as VARIADIC. */
function countNulls(fc: FunctionCall, args: readonly Datum[], wantNull: boolean): number | null {
  let values = args;
  if (fc.variadic) {
    if (args[0] === null) return null;
    const array = args[0] as Uint8Array;
    values = deconstructArray(array, typeFacts(fc, arrayElemType(array)));
  }
  return values.filter(v => (v === null) === wantNull).length;
}

export const miscSetFunctions: SetFunctionTable = {
  pg_options_to_table: (_fc: FunctionCall, options: Uint8Array) =>
    deconstructArray(options, builtinTypes().get(25)!).flatMap(option => {
      if (option === null)
        throw ereport(ERRCODE.NULL_VALUE_NOT_ALLOWED, 'null array element not allowed in this context');
      const text = textToString(option as Uint8Array);
      const at = text.indexOf('=');
      return [[stringToText(at < 0 ? text : text.slice(0, at)), at < 0 ? null : stringToText(text.slice(at + 1))]];
    }),
};

const DEFAULT_COLLATION = 100;
const C_COLLATION = 950;

function collationFor(fc: FunctionCall): Datum {
  const type = fc.argTypes[0];
  if (type !== UNKNOWNOID && typeFacts(fc, type).typcollation === 0)
    throw ereport(ERRCODE.DATATYPE_MISMATCH, `collations are not supported by type ${formatType(fc, type)}`);
  if (fc.collation === 0) return null;
  if (fc.collation === DEFAULT_COLLATION) return stringToText('"default"');
  if (fc.collation === C_COLLATION) return stringToText('"C"');
  return stringToText(quoteIdentifier(fc.catalog?.caches().search(COLLOID, fc.collation)?.collname ?? ''));
}

export const miscFunctions: FunctionTable = {
  pgsql_version: (fc: FunctionCall) => stringToText(fc.settings.versionString),
  current_database: (fc: FunctionCall) => stringToText(fc.settings.databaseName),
  current_query: (fc: FunctionCall) =>
    fc.settings.queryString === undefined ? null : stringToText(fc.settings.queryString),
  pg_backend_pid: (fc: FunctionCall) => fc.settings.backendPid,
  pg_typeof: (fc: FunctionCall) => fc.argTypes[0],
  pg_collation_for: (fc: FunctionCall) => collationFor(fc),
  pg_num_nulls: (fc: FunctionCall, ...args: Datum[]) => countNulls(fc, args, true),
  pg_num_nonnulls: (fc: FunctionCall, ...args: Datum[]) => countNulls(fc, args, false),
  pg_size_pretty: (_fc: FunctionCall, size: Int8) => stringToText(sizePretty(BigInt(size))),
  pg_size_pretty_numeric: (_fc: FunctionCall, size: Uint8Array) => stringToText(numericSizePretty(unpackNumeric(size))),
  pg_size_bytes: (_fc: FunctionCall, text: Uint8Array) => sizeBytes(text),
  PG_encoding_to_char: (_fc: FunctionCall, encoding: number) => stringToText(encodingToChar(encoding)),
  PG_char_to_encoding: (_fc: FunctionCall, name: Uint8Array) => charToEncoding(textToString(name)),
  pg_client_encoding: (fc: FunctionCall) => stringToText(fc.settings.getConfigOption('client_encoding') ?? 'UTF8'),
  getdatabaseencoding: () => stringToText(encodingToChar(UTF8)),
  pg_encoding_max_length_sql: (_fc: FunctionCall, encoding: number) =>
    encoding === UTF8 ? 4 : (ENCODINGS[encoding] ?? '').startsWith('EUC') ? 3 : ENCODINGS[encoding] ? 1 : null,
  length_in_encoding: (_fc: FunctionCall, bytes: Uint8Array, name: Uint8Array) => {
    const encoding = textToString(name);
    const code = charToEncoding(encoding);
    if (code < 0) throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `invalid encoding name "${encoding}"`);
    return encodedLength(encodingToChar(code), bytes);
  },
  pg_get_userbyid: (fc: FunctionCall, oid: Oid) =>
    stringToText(fc.catalog?.caches().search(AUTHOID, oid)?.rolname ?? `unknown (OID=${oid})`),
  show_config_by_name: (fc: FunctionCall, name: Uint8Array) => {
    const value = fc.settings.getConfigOption(textToString(name));
    if (value === undefined) throw unknownSetting(textToString(name));
    return stringToText(value);
  },
  show_config_by_name_missing_ok: (fc: FunctionCall, name: Uint8Array, missingOk: boolean) => {
    const value = fc.settings.getConfigOption(textToString(name));
    if (value !== undefined) return stringToText(value);
    if (!missingOk) throw unknownSetting(textToString(name));
    return null;
  },
  set_config_by_name: (
    fc: FunctionCall,
    name: Uint8Array | null,
    value: Uint8Array | null,
    isLocal: boolean | null,
  ) => {
    if (name === null) throw ereport(ERRCODE.NULL_VALUE_NOT_ALLOWED, 'SET requires parameter name');
    return stringToText(
      fc.settings.setConfigOption(textToString(name), value === null ? null : textToString(value), isLocal ?? false),
    );
  },
  pg_jit_available: () => false,
  pg_is_in_recovery: (fc: FunctionCall) => fc.settings.getConfigOption('in_hot_standby') === 'on',
  pg_wal_lsn_diff: (_fc: FunctionCall, a: Int8, b: Int8) =>
    packNumeric(finite(BigInt.asUintN(64, BigInt(a)) - BigInt.asUintN(64, BigInt(b)), 0)),
};
