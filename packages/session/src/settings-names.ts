/**
 * Parameters whose values are names that must be of something: locales, tablespaces, text search configurations, key words.
 */
import { stringToText, textToString } from '@pgtroupe/adt/mb/mbutils';
import { clipName } from '@pgtroupe/adt/name';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';

function invalid(name: string, value: string, detail?: string): Error {
  return ereport(ERRCODE.INVALID_PARAMETER_VALUE, `invalid value for parameter "${name}": "${value}"`, { detail });
}

/** As setlocale() takes them where no others are installed. */
const LOCALE = /^(?:C|POSIX|C\.utf-?8)$/;

/** lc_messages, lc_monetary, lc_numeric, lc_time. */
export function checkLocale(name: string, value: string): string {
  // Nothing stands for the environment's, except for messages.
  if (value === '' && name !== 'lc_messages') return value;
  const [, codeset] = value.split('.');
  if (!LOCALE.test(codeset === undefined ? value : `${value.slice(0, -codeset.length)}${codeset.toLowerCase()}`))
    throw invalid(name, value);
  return value;
}

/** Names between commas, quoted or folded to lower case; undefined: that is no list. */
function splitIdentifiers(value: string): string[] | undefined {
  const names: string[] = [];
  let rest = value.trim();
  if (rest === '') return names;
  for (;;) {
    const found = /^(?:"((?:[^"]|"")*)"|([^\s",][^\s,]*))\s*/.exec(rest);
    if (found === null) return undefined;
    const name =
      found[1] === undefined ? found[2]!.replace(/[A-Z]/g, c => c.toLowerCase()) : found[1].replaceAll('""', '"');
    names.push(textToString(clipName(stringToText(name))));
    rest = rest.slice(found[0].length);
    if (rest === '') return names;
    if (!rest.startsWith(',')) return undefined;
    rest = rest.slice(1).trimStart();
  }
}

/** There are the two that every cluster has; nothing stands for the database's own. */
export function checkTempTablespaces(value: string): string {
  const names = splitIdentifiers(value);
  if (names === undefined) throw invalid('temp_tablespaces', value, 'List syntax is invalid.');
  for (const name of names) {
    if (name !== '' && name !== 'pg_default' && name !== 'pg_global')
      throw ereport(ERRCODE.UNDEFINED_OBJECT, `tablespace "${name}" does not exist`);
  }
  return value;
}

/** Key words between commas, in any case. */
export function checkKeywords(name: string, value: string, words: ReadonlySet<string>): string {
  const given = splitIdentifiers(value);
  if (given === undefined) throw invalid(name, value, 'List syntax is invalid.');
  const wrong = given.find(word => !words.has(word.toLowerCase()));
  if (wrong !== undefined) throw invalid(name, value, `Unrecognized key word: "${wrong}".`);
  return value;
}

export const RELATION_KINDS: ReadonlySet<string> = new Set(['view', 'foreign-table']);
/** Resource managers whose pages can be compared. */
export const CHECKED_RMGRS: ReadonlySet<string> = new Set(
  'all heap2 heap btree hash gin gist sequence spgist brin generic'.split(' '),
);

/** Those of initdb: others cannot be made. */
const TEXT_SEARCH_CONFIGURATIONS: ReadonlySet<string> = new Set(
  `simple arabic armenian basque catalan danish dutch english finnish french german greek hindi hungarian indonesian irish italian
  lithuanian nepali norwegian portuguese romanian russian serbian spanish swedish tamil turkish yiddish`.split(/\s+/),
);

/** Kept with its schema. */
export function checkTextSearchConfiguration(value: string): string {
  const parts = value
    .split('.')
    .map(part => /^"(.*)"$/.exec(part)?.[1] ?? part.replace(/[A-Z]/g, c => c.toLowerCase()));
  const name = parts.at(-1)!;
  if (parts.length > 2 || (parts.length === 2 && parts[0] !== 'pg_catalog') || !TEXT_SEARCH_CONFIGURATIONS.has(name))
    throw invalid('default_text_search_config', value);
  return `pg_catalog.${name}`;
}
