/**
 * Options of COPY, checked as ProcessCopyOptions does.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported, type PgError } from '@pgtroupe/common/ereport';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { charToEncoding } from '@pgtroupe/adt/misc';
import { errorPosition } from '@pgtroupe/parser/position';

export interface CopyOptions {
  readonly format: 'text' | 'csv';
  /** One byte. */
  readonly delimiter: number;
  /** How null is written. */
  readonly nullText: Buffer;
  readonly header: boolean | 'match';
  /** CSV: one byte each. */
  readonly quote: number;
  readonly escape: number;
  /** Column names, or all. */
  readonly forceQuote: readonly string[] | 'all';
  readonly forceNotNull: readonly string[];
  readonly forceNull: readonly string[];
  /** Rows are stored as VACUUM FREEZE would leave them. */
  readonly freeze: boolean;
}

const OPTIONS = new Set(
  'format freeze delimiter null header quote escape force_quote force_not_null force_null encoding'.split(' '),
);
const FORMATS = new Set(['text', 'csv', 'binary']);

const invalid = (message: string): PgError => ereport(ERRCODE.INVALID_PARAMETER_VALUE, message);
const unsupported = (message: string): PgError => ereport(ERRCODE.FEATURE_NOT_SUPPORTED, message);

/** `text`: the query, for the places of what is complained about. */
export function copyOptions(list: readonly RawNode[], isFrom = false, text = ''): CopyOptions {
  const at = (option: RawNode): number | undefined => errorPosition(text, Number(option['location'] ?? -1));
  const given = new Map<string, RawNode>();
  for (const option of list) {
    const name = option['defname'] as string;
    if (!OPTIONS.has(name))
      throw ereport(ERRCODE.SYNTAX_ERROR, `option "${name}" not recognized`, { position: at(option) });
    if (given.has(name))
      throw ereport(ERRCODE.SYNTAX_ERROR, 'conflicting or redundant options', { position: at(option) });
    given.set(name, option);
    checkOption(name, option, isFrom, at(option));
  }
  const string = (name: string): string | undefined => {
    const option = given.get(name);
    return option === undefined ? undefined : stringArg(option);
  };
  const format = string('format') ?? 'text';
  const binary = format === 'binary';
  if (binary && given.has('delimiter')) throw ereport(ERRCODE.SYNTAX_ERROR, 'cannot specify DELIMITER in BINARY mode');
  if (binary && given.has('null')) throw ereport(ERRCODE.SYNTAX_ERROR, 'cannot specify NULL in BINARY mode');
  const csv = format === 'csv';
  const delimiter = string('delimiter') ?? (csv ? ',' : '\t');
  const nullText = string('null') ?? (csv ? '' : '\\N');
  const quote = string('quote') ?? (csv ? '"' : undefined);
  const escape = string('escape') ?? quote;
  const header = headerOption(given.get('header'), isFrom);
  const freeze = booleanOption(given.get('freeze'));
  const forceQuote = columnsOption(given.get('force_quote'));
  const forceNotNull = columnsOption(given.get('force_not_null'));
  const forceNull = columnsOption(given.get('force_null'));

  if (Buffer.byteLength(delimiter) !== 1) throw unsupported('COPY delimiter must be a single one-byte character');
  if (/[\r\n]/.test(delimiter)) throw invalid('COPY delimiter cannot be newline or carriage return');
  if (/[\r\n]/.test(nullText)) throw invalid('COPY null representation cannot use newline or carriage return');
  if (!csv && /[\\.a-z0-9]/.test(delimiter)) throw invalid(`COPY delimiter cannot be "${delimiter}"`);
  if (binary && header !== false) throw unsupported('cannot specify HEADER in BINARY mode');
  if (!csv && quote !== undefined) throw unsupported('COPY quote available only in CSV mode');
  if (csv && Buffer.byteLength(quote!) !== 1) throw unsupported('COPY quote must be a single one-byte character');
  if (csv && delimiter === quote) throw invalid('COPY delimiter and quote must be different');
  if (!csv && escape !== undefined) throw unsupported('COPY escape available only in CSV mode');
  if (csv && Buffer.byteLength(escape!) !== 1) throw unsupported('COPY escape must be a single one-byte character');
  if (given.has('force_quote')) {
    if (!csv) throw unsupported('COPY force quote available only in CSV mode');
    if (isFrom) throw unsupported('COPY force quote only available using COPY TO');
  }
  for (const [name, words] of [
    ['force_not_null', 'COPY force not null'],
    ['force_null', 'COPY force null'],
  ] as const) {
    if (!given.has(name)) continue;
    if (!csv) throw unsupported(`${words} available only in CSV mode`);
    if (!isFrom) throw unsupported(`${words} only available using COPY FROM`);
  }
  if (nullText.includes(delimiter)) throw unsupported('COPY delimiter must not appear in the NULL specification');
  if (csv && nullText.includes(quote!))
    throw unsupported('CSV quote character must not appear in the NULL specification');
  if (binary) throw notSupported('COPY in binary format');
  const encoding = string('encoding');
  if (encoding !== undefined && !/^(utf-?8|unicode|sql_ascii)$/i.test(encoding))
    throw notSupported(`COPY in encoding ${encoding}`);
  return {
    format: csv ? 'csv' : 'text',
    delimiter: delimiter.charCodeAt(0),
    nullText: Buffer.from(nullText),
    header,
    quote: (quote ?? '"').charCodeAt(0),
    escape: (escape ?? quote ?? '"').charCodeAt(0),
    forceQuote,
    forceNotNull: forceNotNull as readonly string[],
    forceNull: forceNull as readonly string[],
    freeze,
  };
}

/** What is wrong with one option by itself. */
function checkOption(name: string, option: RawNode, isFrom: boolean, position: number | undefined): void {
  const arg = option['arg'] as RawNode | undefined;
  switch (name) {
    case 'freeze':
      booleanOption(option);
      return;
    case 'header':
      headerOption(option, isFrom);
      return;
    case 'force_quote':
    case 'force_not_null':
    case 'force_null':
      if (arg?.type === 'List' || (arg?.type === 'A_Star' && name === 'force_quote')) return;
      throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `argument to option "${name}" must be a list of column names`, {
        position,
      });
    default:
  }
  const value = stringArg(option);
  if (value === undefined) throw ereport(ERRCODE.SYNTAX_ERROR, `${name} requires a parameter`);
  if (name === 'format' && !FORMATS.has(value))
    throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `COPY format "${value}" not recognized`, { position });
  if (name === 'encoding' && charToEncoding(value) < 0)
    throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, 'argument to option "encoding" must be a valid encoding name', {
      position,
    });
}

function stringArg(option: RawNode): string | undefined {
  const arg = option['arg'] as RawNode | undefined;
  if (arg === undefined) return undefined;
  if (arg.type === 'A_Star') return '*';
  if (arg.type === 'List') return (arg['items'] as RawNode[]).map(item => item['sval'] as string).join('.');
  if (arg['fval'] !== undefined) return String(arg['fval'].fval ?? arg['fval']);
  if (arg['sval'] !== undefined) return typeof arg['sval'] === 'string' ? arg['sval'] : arg['sval'].sval;
  if (arg['boolval'] !== undefined) return arg['boolval'] ? 'true' : 'false';
  if (arg['ival'] !== undefined) return String(typeof arg['ival'] === 'number' ? arg['ival'] : (arg['ival'].ival ?? 0));
  if (arg.type === 'Integer') return '0';
  if (arg.type === 'Boolean') return 'false';
  return arg.type === 'String' ? '' : undefined;
}

/** undefined: it is none. */
function booleanWord(option: RawNode): boolean | undefined {
  const word = (stringArg(option) ?? 'true').toLowerCase();
  if (word === 'true' || word === 'on' || word === '1') return true;
  return word === 'false' || word === 'off' || word === '0' ? false : undefined;
}

function booleanOption(option: RawNode | undefined): boolean {
  if (option === undefined) return false;
  const value = booleanWord(option);
  if (value === undefined) throw ereport(ERRCODE.SYNTAX_ERROR, `${option['defname']} requires a Boolean value`);
  return value;
}

function headerOption(option: RawNode | undefined, isFrom: boolean): boolean | 'match' {
  if (option === undefined) return false;
  const value = booleanWord(option);
  if (value !== undefined) return value;
  const word = stringArg(option)!;
  if (word.toLowerCase() !== 'match')
    throw ereport(ERRCODE.SYNTAX_ERROR, `${option['defname']} requires a Boolean value or "match"`);
  if (!isFrom) throw unsupported(`cannot use "${word}" with HEADER in COPY TO`);
  return 'match';
}

function columnsOption(option: RawNode | undefined): readonly string[] | 'all' {
  if (option === undefined) return [];
  const arg = option['arg'] as RawNode;
  if (arg.type === 'A_Star') return 'all';
  return (arg['items'] as RawNode[]).map(item => item['sval'] as string);
}
