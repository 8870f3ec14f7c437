/**
 * Options of COPY, checked as ProcessCopyOptions does.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported, type PgError } from '@pgtroupe/common/ereport';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';

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

const invalid = (message: string): PgError => ereport(ERRCODE.INVALID_PARAMETER_VALUE, message);

export function copyOptions(list: readonly RawNode[]): CopyOptions {
  const given = new Map<string, RawNode>();
  for (const option of list) {
    const name = option['defname'] as string;
    if (given.has(name)) throw ereport(ERRCODE.SYNTAX_ERROR, 'conflicting or redundant options');
    given.set(name, option);
  }
  const take = (name: string): RawNode | undefined => {
    const option = given.get(name);
    given.delete(name);
    return option;
  };
  const text = (name: string): string | undefined => {
    const option = take(name);
    if (option === undefined) return undefined;
    const value = stringArg(option);
    if (value === undefined) throw ereport(ERRCODE.SYNTAX_ERROR, `${name} requires a parameter`);
    return value;
  };
  const format = text('format') ?? 'text';
  if (format === 'binary') throw notSupported('COPY in binary format');
  if (format !== 'text' && format !== 'csv') throw invalid(`COPY format "${format}" not recognized`);
  const csv = format === 'csv';
  const delimiter = text('delimiter') ?? (csv ? ',' : '\t');
  const nullText = text('null') ?? (csv ? '' : '\\N');
  const quote = text('quote');
  const escape = text('escape');
  const header = headerOption(take('header'));
  const freeze = booleanOption(take('freeze'));
  const forceQuote = columnsOption(take('force_quote'));
  const forceNotNull = columnsOption(take('force_not_null'));
  const forceNull = columnsOption(take('force_null'));
  const encoding = text('encoding');
  if (encoding !== undefined && !/^(utf-?8|unicode|sql_ascii)$/i.test(encoding)) {
    throw notSupported(`COPY in encoding ${encoding}`);
  }
  const [unknown] = given.keys();
  if (unknown !== undefined) throw ereport(ERRCODE.SYNTAX_ERROR, `option "${unknown}" not recognized`);

  if (Buffer.byteLength(delimiter) !== 1) {
    throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, 'COPY delimiter must be a single one-byte character');
  }
  if (/[\r\n]/.test(delimiter)) throw invalid('COPY delimiter cannot be newline or carriage return');
  if (!csv && /[\\.a-z0-9]/.test(delimiter)) throw invalid(`COPY delimiter cannot be "${delimiter}"`);
  if (/[\r\n]/.test(nullText)) throw invalid('COPY null representation cannot use newline or carriage return');
  if (nullText.includes(delimiter)) throw invalid('COPY delimiter must not appear in the NULL specification');
  if (!csv && quote !== undefined) throw notCsv('COPY quote available only in CSV mode');
  if (!csv && escape !== undefined) throw notCsv('COPY escape available only in CSV mode');
  if (csv && Buffer.byteLength(quote ?? '"') !== 1) {
    throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, 'COPY quote must be a single one-byte character');
  }
  if (csv && delimiter === (quote ?? '"')) throw invalid('COPY delimiter and quote must be different');
  if (!csv && (forceQuote.length > 0 || forceNotNull.length > 0 || forceNull.length > 0)) {
    throw notCsv('COPY force options available only in CSV mode');
  }
  return {
    format,
    delimiter: delimiter.charCodeAt(0),
    nullText: Buffer.from(nullText),
    header,
    quote: (quote ?? '"').charCodeAt(0),
    escape: (escape ?? quote ?? '"').charCodeAt(0),
    forceQuote,
    forceNotNull: forceNotNull === 'all' ? [] : forceNotNull,
    forceNull: forceNull === 'all' ? [] : forceNull,
    freeze,
  };
}

function notCsv(message: string): PgError {
  return ereport(ERRCODE.FEATURE_NOT_SUPPORTED, message);
}

function stringArg(option: RawNode): string | undefined {
  const arg = option['arg'] as RawNode | undefined;
  if (arg === undefined) return undefined;
  if (arg['sval'] !== undefined) return typeof arg['sval'] === 'string' ? arg['sval'] : arg['sval'].sval;
  if (arg['boolval'] !== undefined) return arg['boolval'] ? 'true' : 'false';
  if (arg['ival'] !== undefined) return String(typeof arg['ival'] === 'number' ? arg['ival'] : (arg['ival'].ival ?? 0));
  return arg.type === 'String' ? '' : undefined;
}

function booleanOption(option: RawNode | undefined): boolean {
  if (option === undefined) return false;
  switch ((stringArg(option) ?? 'true').toLowerCase()) {
    case 'true':
    case 'on':
    case '1':
      return true;
    case 'false':
    case 'off':
    case '0':
      return false;
    default:
      throw ereport(ERRCODE.SYNTAX_ERROR, `${option['defname']} requires a Boolean value`);
  }
}

function headerOption(option: RawNode | undefined): boolean | 'match' {
  if (option !== undefined && stringArg(option)?.toLowerCase() === 'match') return 'match';
  return booleanOption(option);
}

function columnsOption(option: RawNode | undefined): readonly string[] | 'all' {
  if (option === undefined) return [];
  const arg = option['arg'] as RawNode;
  if (arg.type === 'A_Star') return 'all';
  return (arg['items'] as RawNode[]).map(item => item['sval'] as string);
}
