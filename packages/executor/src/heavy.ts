/**
 * Which calls are worth a thread of their own: those of functions that need nothing but their arguments and
 * that take long on large ones. The limits are where copying the arguments costs less than what neighbours would wait.
 */
import type { Datum } from '@pgtroupe/common/datum';
import { cryptohashFunctions } from '@pgtroupe/adt/cryptohashfuncs';
import { encodeFunctions } from '@pgtroupe/adt/encode';
import { likeFunctions } from '@pgtroupe/adt/like';
import { regexpFunctions } from '@pgtroupe/adt/regexp';

export type IsHeavy = (args: readonly Datum[]) => boolean;

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
const linear = bytesOver(MANY_BYTES);
const dear = bytesOver(SOME_BYTES);

/** A power with an exponent of 10^4 and more: the weight of its first digit (numeric.c, short form) says so. */
const largePower: IsHeavy = args => {
  const exponent = args[1];
  if (dear(args)) return true;
  return exponent instanceof Uint8Array && (exponent[1]! & 0xc0) === 0x80 && (exponent[0]! & 0x7f) - 1 < 0x3f;
};

const JSON_FUNCTIONS =
  /^(json|jsonb)_(in|out|recv|send|typeof|array_length|strip_nulls|pretty)$|^jsonb_(eq|ne|lt|le|gt|ge|cmp|contains|contained|concat|hash)$|^(json|jsonb)_(object_field|array_element|extract_path)(_text)?$/;
const TEXT_FUNCTIONS = [
  'lower',
  'upper',
  'initcap',
  'translate',
  'replace_text',
  'text_reverse',
  'split_part',
  'text_to_array',
  'text_to_array_null',
];
const NUMERIC_FUNCTIONS =
  /^numeric_(in|out|recv|send|mul|div|div_trunc|mod|round|trunc|gcd|lcm|sqrt|exp|ln|log|trim_scale|min_scale)$/;

const byName = new Map<string, IsHeavy>([
  ...TEXT_FUNCTIONS.map((name): [string, IsHeavy] => [name, linear]),
  ...[...Object.keys(encodeFunctions), ...Object.keys(cryptohashFunctions)].map((n): [string, IsHeavy] => [n, linear]),
  ...[...Object.keys(regexpFunctions), ...Object.keys(likeFunctions)].map((n): [string, IsHeavy] => [n, dear]),
  ['numeric_power', largePower],
  ['numeric_fac', args => Number(args[0]) > FACTORIAL],
]);

/** undefined: never. */
export function heavinessOf(prosrc: string): IsHeavy | undefined {
  return (
    byName.get(prosrc) ?? (JSON_FUNCTIONS.test(prosrc) ? linear : NUMERIC_FUNCTIONS.test(prosrc) ? dear : undefined)
  );
}
