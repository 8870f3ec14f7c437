/**
 * Parameters whose values need more than their type to be checked, as PostgreSQL's check hooks do.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import type { GucFacts, GucValue } from '@pgtroupe/common/guc';
import { unsupportedValue } from '@pgtroupe/common/guc_unsupported';
import {
  CHECKED_RMGRS,
  checkKeywords,
  checkLocale,
  checkTempTablespaces,
  checkTextSearchConfiguration,
  RELATION_KINDS,
} from './settings-names.ts';
import { checkTimeZone } from './settings-timezone.ts';

/** Throws PostgreSQL's error, or returns the value in its canonical form. */
export function checkHook(facts: GucFacts, value: GucValue, dateStyle: string): GucValue {
  const unsupported = unsupportedValue(facts, value);
  if (unsupported !== undefined) throw unsupported;
  switch (facts.name) {
    case 'application_name':
      // It is shown in logs and views of any encoding.
      return printable(String(value));
    case 'client_encoding':
      return checkClientEncoding(String(value));
    case 'DateStyle':
      return checkDateStyle(String(value), dateStyle);
    case 'TimeZone':
      return checkTimeZone(String(value));
    case 'lc_messages':
    case 'lc_monetary':
    case 'lc_numeric':
    case 'lc_time':
      return checkLocale(facts.name, String(value));
    case 'temp_tablespaces':
      return checkTempTablespaces(String(value));
    case 'default_text_search_config':
      return checkTextSearchConfiguration(String(value));
    case 'restrict_nonsystem_relation_kind':
      return checkKeywords(facts.name, String(value), RELATION_KINDS);
    case 'wal_consistency_checking':
      return checkKeywords(facts.name, String(value), CHECKED_RMGRS);
    case 'max_stack_depth':
      return checkStackDepth(Number(value));
    case 'default_table_access_method':
      if (value === 'heap') return value;
      throw invalid(
        facts.name,
        String(value),
        value === '' ? `${facts.name} cannot be empty.` : `Table access method "${value}" does not exist.`,
      );
    case 'default_tablespace':
      if (value === '' || value === 'pg_default' || value === 'pg_global') return value;
      throw invalid(facts.name, String(value), `Tablespace "${value}" does not exist.`);
    default:
      return value;
  }
}

/** A stack of 8 MB, of which PostgreSQL keeps half a megabyte back. */
const STACK_KB = 8192 - 512;

function checkStackDepth(kilobytes: number): number {
  if (kilobytes <= STACK_KB) return kilobytes;
  throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `invalid value for parameter "max_stack_depth": ${kilobytes}`, {
    detail: `"max_stack_depth" must not exceed ${STACK_KB}kB.`,
    hint: 'Increase the platform\'s stack depth limit via "ulimit -s" or local equivalent.',
  });
}

/** What is no printable ASCII is shown as a question mark, byte by byte. */
export const printable = (text: string): string =>
  Buffer.from(text)
    .toString('latin1')
    .replace(/[^ -~]/g, '?');

function invalid(name: string, value: string, detail?: string): Error {
  return ereport(ERRCODE.INVALID_PARAMETER_VALUE, `invalid value for parameter "${name}": "${value}"`, { detail });
}

/** The server speaks UTF-8; SQL_ASCII means "no conversion" and is the same bytes. */
function checkClientEncoding(value: string): string {
  const plain = value.toLowerCase().replace(/[^a-z0-9]/g, '');
  if (plain === 'utf8' || plain === 'unicode') return 'UTF8';
  if (plain === 'sqlascii') return 'SQL_ASCII';
  if (/^(latin\d+|iso8859.*|win\d+|euc.*|sjis|big5|gbk|gb18030|uhc|johab|koi8.*|mulein.*)$/.test(plain)) {
    throw notSupported(`conversion between UTF8 and ${value}`);
  }
  throw invalid('client_encoding', value);
}

const STYLES: Readonly<Record<string, string>> = { iso: 'ISO', sql: 'SQL', postgres: 'Postgres', german: 'German' };
const ORDERS: Readonly<Record<string, string>> = {
  ymd: 'YMD',
  dmy: 'DMY',
  euro: 'DMY',
  european: 'DMY',
  noneuro: 'MDY',
  noneuropean: 'MDY',
  mdy: 'MDY',
  us: 'MDY',
};

/** `style, order`: either part may be left out and keeps its present value. */
export function checkDateStyle(value: string, present: string): string {
  let [style, order] = present.split(', ') as [string, string];
  for (const part of value.split(',')) {
    const word = part
      .trim()
      .replace(/^"(.*)"$/, '$1')
      .toLowerCase();
    if (word === 'default') [style, order] = ['ISO', 'MDY'];
    else if (STYLES[word] !== undefined) {
      style = STYLES[word];
      if (word === 'german') order = 'DMY';
    } else if (ORDERS[word] !== undefined) order = ORDERS[word];
    else throw invalid('DateStyle', value, `Unrecognized key word: "${word}".`);
  }
  return `${style}, ${order}`;
}
