/**
 * Values that PostgreSQL keeps its word for and this server cannot yet: refused wherever they come
 * from (SET, set_config, start-up packet, postgresql.conf), because taken silently they would change
 * what statements answer or what transactions promise.
 */
import { notSupported, type PgError } from './ereport.ts';
import type { GucFacts, GucValue } from './guc.ts';

const SERIALIZABLE = 'isolation level SERIALIZABLE';

/** By parameter: the value, and what has to be built for it. */
const UNSUPPORTED: ReadonlyMap<string, { readonly value: GucValue; readonly feature: string }> = new Map<
  string,
  { readonly value: GucValue; readonly feature: string }
>([
  ['array_nulls', { value: false, feature: 'array_nulls = off' }],
  ['backslash_quote', { value: 'off', feature: 'backslash_quote = off' }],
  ['default_transaction_isolation', { value: 'serializable', feature: SERIALIZABLE }],
  ['exit_on_error', { value: true, feature: 'exit_on_error = on' }],
  ['standard_conforming_strings', { value: false, feature: 'standard_conforming_strings = off' }],
  ['transaction_isolation', { value: 'serializable', feature: SERIALIZABLE }],
  ['transform_null_equals', { value: true, feature: 'transform_null_equals = on' }],
]);

/** The error for a value that would not be honoured, if it is one. */
export function unsupportedValue(facts: GucFacts, value: GucValue): PgError | undefined {
  // Other sets of abbreviations make other times of the same text.
  if (facts.name === 'timezone_abbreviations' && !/^(|default)$/i.test(String(value)))
    return notSupported(`timezone_abbreviations = ${value}`);
  const found = UNSUPPORTED.get(facts.name);
  return found?.value === value ? notSupported(found.feature) : undefined;
}
