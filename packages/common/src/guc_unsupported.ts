/**
 * Values that PostgreSQL keeps its word for and this server cannot yet: refused wherever they come
 * from (SET, set_config, start-up packet, postgresql.conf), because taken silently they would change
 * what statements answer or what transactions promise.
 */
import { notSupported, type PgError } from './ereport.ts';
import { type GucFacts, type GucValue, gucSetting } from './guc.ts';

/** By parameter: the settings that are refused. */
const REFUSED: ReadonlyMap<string, RegExp> = new Map([
  ['archive_library', /^(?!$)/],
  ['array_nulls', /^off$/],
  ['backslash_quote', /^off$/],
  ['default_transaction_isolation', /^serializable$/],
  ['exit_on_error', /^on$/],
  ['shared_preload_libraries', /^(?!\s*(?:"?pg_stat_statements"?\s*,?\s*)*$)/],
  ['standard_conforming_strings', /^off$/],
  // Other sets of abbreviations make other times of the same text.
  ['timezone_abbreviations', /^(?!default$)[^]/i],
  ['transaction_isolation', /^serializable$/],
  ['transform_null_equals', /^on$/],
]);

/** The error for a value that would not be honoured, if it is one. */
export function unsupportedValue(facts: GucFacts, value: GucValue): PgError | undefined {
  const setting = gucSetting(facts, value);
  if (REFUSED.get(facts.name)?.test(setting) !== true) return undefined;
  return notSupported(setting === 'serializable' ? 'isolation level SERIALIZABLE' : `${facts.name} = ${setting}`);
}
