/**
 * Which calls are worth a thread of their own: those of functions that need nothing but their arguments and
 * that take long on large ones. The limits are where copying the arguments costs less than what neighbours would wait.
 */
import type { Datum } from '@pgtroupe/common/datum';
import type { Oid } from '@pgtroupe/common/ids';
import {
  BOOLOID,
  BPCHAROID,
  BYTEAOID,
  CSTRINGOID,
  DATEOID,
  FLOAT4OID,
  FLOAT8OID,
  INT2OID,
  INT4OID,
  INT8OID,
  JSONBOID,
  JSONOID,
  NAMEOID,
  NUMERICOID,
  OIDOID,
  TEXTOID,
  TIMESTAMPOID,
  TIMESTAMPTZOID,
  UNKNOWNOID,
  UUIDOID,
  VARCHAROID,
} from '@pgtroupe/common/oids';
import { builtinTypes } from '@pgtroupe/adt/cache/builtin_types';
import type { FunctionCall } from '@pgtroupe/adt/fmgr';
import { cryptohashFunctions } from '@pgtroupe/adt/cryptohashfuncs';
import { encodeFunctions } from '@pgtroupe/adt/encode';
import { likeFunctions } from '@pgtroupe/adt/like';
import { regexpFunctions } from '@pgtroupe/adt/regexp';

export type IsHeavy = (args: readonly Datum[], fc: FunctionCall) => boolean;

/** Hardly more to do than to read or write each byte once, by native code. */
const VERY_MANY_BYTES = 1 << 24;
/** A value of this size is made: its memory costs more than its bytes. */
const MADE_BYTES = 1 << 22;
/** Linear in their arguments, with little to do for a byte. */
const MANY_BYTES = 1 << 20;
/** Worse than linear, or much to do. */
const SOME_BYTES = 1 << 13;
const FACTORIAL = 2000;

const bytesOver =
  (limit: number): IsHeavy =>
  args => {
    let bytes = 0;
    for (const arg of args) if (arg instanceof Uint8Array) bytes += arg.length;
    return bytes >= limit;
  };
const large = bytesOver(VERY_MANY_BYTES);
const linear = bytesOver(MANY_BYTES);
const dear = bytesOver(SOME_BYTES);

/** A power with an exponent of 10^4 and more: the weight of its first digit (numeric.c, short form) says so. */
const largePower: IsHeavy = args => {
  const exponent = args[1];
  if (dear(args, NO_CALL)) return true;
  return exponent instanceof Uint8Array && (exponent[1]! & 0xc0) === 0x80 && (exponent[0]! & 0x7f) - 1 < 0x3f;
};
const NO_CALL = {} as FunctionCall;

const largeRepeat: IsHeavy = ([text, count]) => (text as Uint8Array).length * Number(count) >= MADE_BYTES;
const largePad: IsHeavy = ([text, length]) => Math.max((text as Uint8Array).length, Number(length)) >= MADE_BYTES;

/** Types whose input and output functions need to know nothing but the value and some settings. */
const PLAIN_TYPES: ReadonlySet<number> = new Set([
  BOOLOID,
  BYTEAOID,
  NAMEOID,
  INT8OID,
  INT2OID,
  INT4OID,
  TEXTOID,
  OIDOID,
  JSONOID,
  FLOAT4OID,
  FLOAT8OID,
  UNKNOWNOID,
  BPCHAROID,
  VARCHAROID,
  DATEOID,
  TIMESTAMPOID,
  TIMESTAMPTZOID,
  NUMERICOID,
  UUIDOID,
  CSTRINGOID,
  JSONBOID,
]);

function isPlain(oid: Oid): boolean {
  if (PLAIN_TYPES.has(oid)) return true;
  const type = builtinTypes().get(oid);
  return type !== undefined && type.isArray && PLAIN_TYPES.has(type.typelem);
}

/** What works on values of any type does so beside the main loop if it need not ask the catalogs about it. */
const ofPlainTypes =
  (isHeavy: IsHeavy): IsHeavy =>
  (args, fc) =>
    isHeavy(args, fc) && fc.argTypes.every(isPlain) && (isPlain(fc.resultType) || fc.resultType === CSTRINGOID);

/** array_in(text, element type, typmod). */
const arrayInput: IsHeavy = (args, fc) => linear(args, fc) && PLAIN_TYPES.has(Number(args[1]));

const JSON_FUNCTIONS =
  /^(json|jsonb)_(in|out|recv|send|typeof|array_length|strip_nulls|pretty)$|^jsonb_(eq|ne|lt|le|gt|ge|cmp|contains|contained|concat|hash|set|insert|delete|delete_array|delete_idx|delete_path|exists|exists_any|exists_all)$|^(json|jsonb)_(object_field|array_element|extract_path)(_text)?$/;
const NUMERIC_FUNCTIONS =
  /^numeric_(in|out|recv|send|add|sub|mul|div|div_trunc|mod|round|trunc|gcd|lcm|sqrt|exp|ln|log|trim_scale|min_scale)$/;
const ARRAY_FUNCTIONS =
  /^(array_(out|recv|send|eq|ne|lt|le|gt|ge|to_text|to_text_null|to_json|to_json_pretty|remove|replace|position|positions)|btarraycmp|array(overlap|contains|contained)|to_jsonb?)$/;

const named = (names: string, isHeavy: IsHeavy): [string, IsHeavy][] => names.split(' ').map(name => [name, isHeavy]);

const byName = new Map<string, IsHeavy>([
  ...named(
    'lower upper initcap translate replace_text text_reverse split_part text_to_array text_to_array_null',
    linear,
  ),
  ...named('btrim ltrim rtrim btrim1 ltrim1 rtrim1 text_substr text_substr_no_len textpos textoverlay', linear),
  ...named('textoverlay_no_len text_left text_right textlen bpcharlen unicode_normalize_func unistr', large),
  ...named('textcat byteacat bytea_substr byteapos bpchar varchar', large),
  ...named('text_concat text_concat_ws text_format text_format_nv', ofPlainTypes(large)),
  ...named('repeat', largeRepeat),
  ...named('lpad rpad', largePad),
  ...Object.keys(encodeFunctions).map((name): [string, IsHeavy] => [name, linear]),
  ...Object.keys(cryptohashFunctions).map((name): [string, IsHeavy] => [name, linear]),
  ...Object.keys(regexpFunctions).map((name): [string, IsHeavy] => [name, dear]),
  ...Object.keys(likeFunctions).map((name): [string, IsHeavy] => [name, dear]),
  ['array_in', arrayInput],
  ['numeric_power', largePower],
  ['numeric_fac', args => Number(args[0]) > FACTORIAL],
]);

/** undefined: never. */
export function heavinessOf(prosrc: string): IsHeavy | undefined {
  const known = byName.get(prosrc);
  if (known !== undefined) return known;
  if (JSON_FUNCTIONS.test(prosrc)) return linear;
  if (NUMERIC_FUNCTIONS.test(prosrc)) return dear;
  return ARRAY_FUNCTIONS.test(prosrc) ? ofPlainTypes(linear) : undefined;
}
