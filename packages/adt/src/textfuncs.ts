/**
 * The string functions of varlena.c beyond the basics: splitting and joining, replace, left/right,
 * concat, format(), string_agg.
 */
import { INT2OID, INT4OID } from '@pgtroupe/common/oids';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import { type Datum, Internal } from '@pgtroupe/common/datum';
import type { Oid } from '@pgtroupe/common/ids';
import type { Slices } from '@pgtroupe/common/slices';
import { outputFunction, typeFacts } from './cache/typcache.ts';
import type { FunctionCall, FunctionTable, SetFunctionTable, SlicedFunctionTable } from './fmgr.ts';
import { ByteBuilder } from './mb/bytebuilder.ts';
import {
  allocBytes,
  EMPTY_BYTES,
  equalBytes,
  isAscii,
  mbCharOffset,
  mblen,
  mbStrlen,
  stringToText,
  textToString,
} from './mb/mbutils.ts';
import { arrayElemType, buildTextArray, deconstructArray } from './arrayutils.ts';
import { parseInteger, outOfRange } from './numutils.ts';
import { quoteIdentifier, quoteLiteral } from './quote.ts';
import { indexOfBytes } from './varlena.ts';

export function joinBytes(parts: readonly Uint8Array[]): Uint8Array {
  let n = 0;
  for (const part of parts) n += part.length;
  const out = allocBytes(n);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function replace(text: Uint8Array, from: Uint8Array, to: Uint8Array): Uint8Array {
  if (text.length === 0 || from.length === 0) return text;
  let hit = indexOfBytes(text, from);
  if (hit < 0) return text;
  const out = new ByteBuilder(text.length);
  let at = 0;
  for (; hit >= 0; hit = indexOfBytes(text, from, at)) {
    out.append(text.subarray(at, hit));
    out.append(to);
    at = hit + from.length;
  }
  out.append(text.subarray(at));
  return out.toBytes();
}

/** The pieces between separators; an empty separator separates nothing. */
function* pieces(text: Uint8Array, separator: Uint8Array): Generator<Uint8Array> {
  let at = 0;
  if (separator.length > 0) {
    for (let hit = indexOfBytes(text, separator); hit >= 0; hit = indexOfBytes(text, separator, at)) {
      yield text.subarray(at, hit);
      at = hit + separator.length;
    }
  }
  yield text.subarray(at);
}

function splitPart(text: Uint8Array, separator: Uint8Array, n: number): Uint8Array {
  if (n === 0) throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, 'field position must not be zero');
  if (text.length === 0) return EMPTY_BYTES;
  const fields = [...pieces(text, separator)];
  return fields[n > 0 ? n - 1 : fields.length + n] ?? EMPTY_BYTES;
}

/** string_to_array and string_to_table: no separator splits into characters. */
function* splitText(text: Uint8Array, separator: Uint8Array | null, nullString: Uint8Array | null): Generator<Datum> {
  if (text.length === 0) return;
  for (const field of separator === null ? characters(text) : pieces(text, separator))
    yield nullString !== null && equalBytes(field, nullString) ? null : field;
}

function* characters(text: Uint8Array): Generator<Uint8Array> {
  for (let i = 0; i < text.length; i += mblen(text[i])) yield text.subarray(i, i + mblen(text[i]));
}

function left(text: Uint8Array, n: number): Uint8Array {
  const count = n >= 0 ? n : mbStrlen(text) + n;
  return count <= 0 ? EMPTY_BYTES : text.subarray(0, mbCharOffset(text, count));
}

function right(text: Uint8Array, n: number): Uint8Array {
  return text.subarray(mbCharOffset(text, n < 0 ? -n : Math.max(0, mbStrlen(text) - n)));
}

function reverse(text: Uint8Array): Uint8Array {
  const out = allocBytes(text.length);
  if (isAscii(text)) {
    out.set(text);
    return out.reverse();
  }
  let to = text.length;
  for (let i = 0; i < text.length; ) {
    const len = mblen(text[i]);
    to -= len;
    for (let j = 0; j < len; j++) out[to + j] = text[i + j];
    i += len;
  }
  return out;
}

function toHex(value: number | bigint, bits: 32 | 64): Uint8Array {
  return stringToText(BigInt.asUintN(bits, BigInt(value)).toString(16));
}

/** Values and types of a VARIADIC "any" tail, or of the one array given as VARIADIC. */
function variadicTail(
  fc: FunctionCall,
  args: readonly Datum[],
  from: number,
): { values: readonly Datum[]; typeOf: (i: number) => Oid } | null {
  if (!fc.variadic) return { values: args.slice(from), typeOf: i => fc.argTypes[from + i] };
  const array = args[from];
  if (array === null) return null;
  const elem = arrayElemType(array as Uint8Array);
  return { values: deconstructArray(array as Uint8Array, typeFacts(fc, elem)), typeOf: () => elem };
}

function concatWith(fc: FunctionCall, separator: Uint8Array, args: readonly Datum[], from: number): Uint8Array | null {
  const tail = variadicTail(fc, args, from);
  if (tail === null) return null;
  const parts: Uint8Array[] = [];
  tail.values.forEach((value, i) => {
    if (value === null) return;
    if (parts.length > 0 && separator.length > 0) parts.push(separator);
    parts.push(outputFunction(fc, tail.typeOf(i))(value));
  });
  return joinBytes(parts);
}

const badFormat = (message: string, hint?: string): PgError =>
  ereport(ERRCODE.INVALID_PARAMETER_VALUE, message, { hint });
const PERCENT_HINT = 'For a single "%" use "%%".';

/** One conversion: %[n$][-][width]type with width a number, * or *n$. */
interface Conversion {
  readonly argument: number;
  readonly widthArgument: number;
  readonly width: number;
  readonly left: boolean;
  readonly end: number;
}

function parseConversion(format: string, start: number): Conversion {
  let at = start;
  const more = (): void => {
    if (++at >= format.length) throw badFormat('unterminated format() type specifier', PERCENT_HINT);
  };
  const digits = (): number => {
    let value = -1;
    while (format[at] >= '0' && format[at] <= '9') {
      value = Math.max(value, 0) * 10 + Number(format[at]);
      if (value > 0x7fffffff) throw ereport(ERRCODE.NUMERIC_VALUE_OUT_OF_RANGE, 'number is out of range');
      more();
    }
    return value;
  };
  const zeroArgument = (): PgError => badFormat('format specifies argument 0, but arguments are numbered from 1');
  let argument = -1;
  let widthArgument = -1;
  let width = digits();
  if (width >= 0) {
    if (format[at] !== '$') return { argument, widthArgument, width, left: false, end: at };
    argument = width;
    if (argument === 0) throw zeroArgument();
    more();
  }
  width = 0;
  let isLeft = false;
  while (format[at] === '-') {
    isLeft = true;
    more();
  }
  if (format[at] === '*') {
    more();
    widthArgument = digits();
    if (widthArgument >= 0) {
      if (format[at] !== '$') throw badFormat('width argument position must be ended by "$"');
      if (widthArgument === 0) throw zeroArgument();
      more();
    } else widthArgument = 0;
  } else width = Math.max(digits(), 0);
  return { argument, widthArgument, width, left: isLeft, end: at };
}

function textFormat(fc: FunctionCall, ...args: Datum[]): Uint8Array | null {
  if (args[0] === null) return null;
  const format = textToString(args[0] as Uint8Array);
  const tail = args.length > 1 ? variadicTail(fc, args, 1) : null;
  const values = tail?.values ?? [];
  let next = 1;
  let out = '';
  const take = (position: number): number => {
    if (position > 0) next = position;
    if (next > values.length) throw badFormat('too few arguments for format()');
    return next++ - 1;
  };
  const text = (i: number): string => textToString(outputFunction(fc, tail!.typeOf(i))(values[i]));
  for (let at = 0; at < format.length; at++) {
    if (format[at] !== '%') {
      out += format[at];
      continue;
    }
    if (++at >= format.length) throw badFormat('unterminated format() type specifier', PERCENT_HINT);
    if (format[at] === '%') {
      out += '%';
      continue;
    }
    const spec = parseConversion(format, at);
    at = spec.end;
    const type = String.fromCodePoint(format.codePointAt(at) ?? 0);
    if (type !== 's' && type !== 'I' && type !== 'L')
      throw badFormat(`unrecognized format() type specifier "${type}"`, PERCENT_HINT);
    let { width, left: toLeft } = spec;
    if (spec.widthArgument >= 0) {
      const i = take(spec.widthArgument);
      width = values[i] === null ? 0 : formatWidth(tail!.typeOf(i), values[i], () => text(i));
      if (width < 0) {
        toLeft = true;
        width = -width;
      }
    }
    const i = take(spec.argument);
    let shown: string;
    if (values[i] === null) {
      if (type === 'I')
        throw ereport(ERRCODE.NULL_VALUE_NOT_ALLOWED, 'null values cannot be formatted as an SQL identifier');
      shown = type === 'L' ? 'NULL' : '';
    } else {
      const raw = text(i);
      shown =
        type === 's' ? raw : type === 'I' ? quoteIdentifier(raw, fc.settings.quoteAllIdentifiers) : quoteLiteral(raw);
    }
    const blanks = width === 0 ? '' : ' '.repeat(Math.max(0, width - [...shown].length));
    out += toLeft ? shown + blanks : blanks + shown;
  }
  return stringToText(out);
}

function formatWidth(type: Oid, value: Datum, text: () => string): number {
  if (type === INT4OID || type === INT2OID) return value as number;
  const bytes = stringToText(text());
  const n = parseInteger(bytes, 'integer');
  if (n > 0x7fffffff || n < -0x80000000) throw outOfRange('integer', bytes);
  return Number(n);
}

/** string_agg: the first value's separator is never shown. */
class StringAggState extends Internal {
  readonly buffer = new ByteBuilder();
  started = false;
}

function stringAgg(
  _fc: FunctionCall,
  state: StringAggState | null,
  value: Uint8Array | null,
  separator: Uint8Array | null,
): StringAggState | null {
  if (value === null) return state;
  state ??= new StringAggState();
  if (state.started && separator !== null) state.buffer.append(separator);
  state.started = true;
  state.buffer.append(value);
  return state;
}

const stringAggFinal = (_fc: FunctionCall, state: StringAggState | null): Uint8Array | null =>
  state?.buffer.toBytes() ?? null;

const largeStringAgg = (_fc: FunctionCall, state: StringAggState | null): Slices<Uint8Array> | undefined =>
  state?.buffer.toLargeBytes();

export const textSlicedFunctions: SlicedFunctionTable = {
  string_agg_finalfn: largeStringAgg,
  bytea_string_agg_finalfn: largeStringAgg,
};

const invalidIdentifier = (text: string, detail?: string): PgError =>
  ereport(ERRCODE.INVALID_PARAMETER_VALUE, `string is not a valid identifier: "${text}"`, { detail });

/** Parts of a qualified name; unquoted ones in lower case (ASCII only). */
function parseIdent(bytes: Uint8Array, strict: boolean): Uint8Array {
  const text = textToString(bytes);
  const parts: string[] = [];
  let rest = text.replace(/^[ \t\n\r\f]+/, '');
  for (let afterDot = false; ; afterDot = true) {
    let m: RegExpExecArray | null;
    if (rest[0] === '"') {
      m = /^"((?:[^"]|"")*)"/.exec(rest);
      if (!m) throw invalidIdentifier(text, 'String has unclosed double quotes.');
      if (m[1] === '') throw invalidIdentifier(text, 'Quoted identifier must not be empty.');
      parts.push(m[1].replaceAll('""', '"'));
    } else {
      m = /^[A-Za-z_\u0080-\u{10ffff}][A-Za-z0-9_$\u0080-\u{10ffff}]*/u.exec(rest);
      if (!m) {
        throw invalidIdentifier(
          text,
          rest[0] === '.' ? 'No valid identifier before ".".' : afterDot ? 'No valid identifier after ".".' : undefined,
        );
      }
      parts.push(m[0].replace(/[A-Z]/g, c => c.toLowerCase()));
    }
    rest = rest.slice(m[0].length).replace(/^[ \t\n\r\f]+/, '');
    if (rest[0] === '.') {
      rest = rest.slice(1).replace(/^[ \t\n\r\f]+/, '');
      continue;
    }
    if (rest !== '' && strict) throw invalidIdentifier(text);
    return buildTextArray(parts.map(stringToText));
  }
}

const FORMS = ['NFC', 'NFD', 'NFKC', 'NFKD'] as const;

function normalForm(name: Uint8Array): (typeof FORMS)[number] {
  const wanted = textToString(name).toUpperCase();
  const form = FORMS.find(f => f === wanted);
  if (!form) throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `invalid normalization form: ${textToString(name)}`);
  return form;
}

/** unistr(): \XXXX, \+XXXXXX, \uXXXX, \UXXXXXXXX and \\. */
function unistr(bytes: Uint8Array): Uint8Array {
  const invalid = (message: string, hint?: string): PgError => ereport(ERRCODE.SYNTAX_ERROR, message, { hint });
  const text = textToString(bytes);
  let out = '';
  let high = 0;
  for (let i = 0; i < text.length; ) {
    if (text[i] !== '\\' || text[i + 1] === '\\') {
      if (high) throw invalid('invalid Unicode surrogate pair');
      out += text[i];
      i += text[i] === '\\' ? 2 : 1;
      continue;
    }
    const m = /^\\(?:([0-9a-fA-F]{4})|\+([0-9a-fA-F]{6})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/.exec(
      text.slice(i, i + 10),
    );
    if (!m)
      throw invalid('invalid Unicode escape', 'Unicode escapes must be \\XXXX, \\+XXXXXX, \\uXXXX, or \\UXXXXXXXX.');
    let code = Number.parseInt(m[1] ?? m[2] ?? m[3] ?? m[4], 16);
    if (code === 0 || code > 0x10ffff)
      throw ereport(
        ERRCODE.INVALID_PARAMETER_VALUE,
        `invalid Unicode code point: ${code.toString(16).toUpperCase().padStart(4, '0')}`,
      );
    i += m[0].length;
    const second = code >= 0xdc00 && code <= 0xdfff;
    if (high ? !second : second) throw invalid('invalid Unicode surrogate pair');
    if (high) {
      code = 0x10000 + ((high & 0x3ff) << 10) + (code & 0x3ff);
      high = 0;
    } else if (code >= 0xd800 && code <= 0xdbff) {
      high = code;
      continue;
    }
    out += String.fromCodePoint(code);
  }
  if (high) throw invalid('invalid Unicode surrogate pair');
  return stringToText(out);
}

type Bytes = Uint8Array;

export const textFunctions: FunctionTable = {
  replace_text: (_fc: FunctionCall, text: Bytes, from: Bytes, to: Bytes) => replace(text, from, to),
  split_part: (_fc: FunctionCall, text: Bytes, separator: Bytes, n: number) => splitPart(text, separator, n),
  text_to_array: (_fc: FunctionCall, text: Bytes | null, separator: Bytes | null) =>
    text === null ? null : buildTextArray([...splitText(text, separator, null)]),
  text_to_array_null: (_fc: FunctionCall, text: Bytes | null, separator: Bytes | null, nullString: Bytes | null) =>
    text === null ? null : buildTextArray([...splitText(text, separator, nullString)]),
  text_left: (_fc: FunctionCall, text: Bytes, n: number) => left(text, n),
  text_right: (_fc: FunctionCall, text: Bytes, n: number) => right(text, n),
  text_reverse: (_fc: FunctionCall, text: Bytes) => reverse(text),
  to_hex32: (_fc: FunctionCall, value: number) => toHex(value, 32),
  to_hex64: (_fc: FunctionCall, value: number | bigint) => toHex(value, 64),
  text_concat: (fc: FunctionCall, ...args: Datum[]) => concatWith(fc, EMPTY_BYTES, args, 0),
  text_concat_ws: (fc: FunctionCall, separator: Bytes | null, ...args: Datum[]) =>
    separator === null ? null : concatWith(fc, separator, [separator, ...args], 1),
  text_format: textFormat,
  text_format_nv: textFormat,
  string_agg_transfn: stringAgg,
  string_agg_finalfn: stringAggFinal,
  bytea_string_agg_transfn: stringAgg,
  bytea_string_agg_finalfn: stringAggFinal,
  parse_ident: (_fc: FunctionCall, text: Bytes, strict: boolean) => parseIdent(text, strict),
  unicode_normalize_func: (_fc: FunctionCall, text: Bytes, form: Bytes) =>
    stringToText(textToString(text).normalize(normalForm(form))),
  unicode_is_normalized: (_fc: FunctionCall, text: Bytes, form: Bytes) => {
    const s = textToString(text);
    return s.normalize(normalForm(form)) === s;
  },
  unistr: (_fc: FunctionCall, text: Bytes) => unistr(text),
};

export const textSetFunctions: SetFunctionTable = {
  text_to_table: (_fc: FunctionCall, text: Bytes | null, separator: Bytes | null) =>
    text === null ? [] : splitText(text, separator, null),
  text_to_table_null: (_fc: FunctionCall, text: Bytes | null, separator: Bytes | null, nullString: Bytes | null) =>
    text === null ? [] : splitText(text, separator, nullString),
};
