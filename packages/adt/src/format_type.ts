/**
 * Type names as SQL spells them: format_type(), and the names of regtype and of messages.
 * Standard types by their SQL names with the modifier inside, others by catalog name, qualified
 * when the search path does not find them.
 */
import type { Oid } from '@pgtroupe/common/ids';
import { ereport } from '@pgtroupe/common/ereport';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { builtinTypes } from './cache/builtin_types.ts';
import type { TypeFacts } from './cache/lookup.ts';
import { builtin } from './cache/typcache.ts';
import { type FunctionCall, type FunctionTable, nestedCall } from './fmgr.ts';
import { stringToText, textToString } from './mb/mbutils.ts';
import { isVisible } from './namespace.ts';
import { quoteIdentifier } from './quote.ts';
import { vectorValues } from './oid.ts';

interface FormatOptions {
  /** undefined or null typmod: none was asked for, which matters to char and bit. */
  readonly typmod?: number | null;
  readonly forceQualify?: boolean;
  /** For unknown types: '???' instead of an error. */
  readonly allowInvalid?: boolean;
}

const SIMPLE: Readonly<Record<number, string>> = {
  16: 'boolean',
  700: 'real',
  701: 'double precision',
  20: 'bigint',
  23: 'integer',
  21: 'smallint',
};

function withTypmod(fc: FunctionCall, name: string, typmod: number, typmodout: string): string {
  if (typmodout === '') return `${name}(${typmod})`;
  return name + typmodText(fc, typmod, typmodout);
}

function typmodText(fc: FunctionCall, typmod: number, typmodout: string): string {
  return textToString(builtin(typmodout)(nestedCall(fc, [23 as Oid], 2275 as Oid), typmod) as Uint8Array);
}

function standardName(fc: FunctionCall, type: TypeFacts, typmod: number, asked: boolean): string | undefined {
  const simple = SIMPLE[type.oid];
  if (simple !== undefined) return simple;
  const mod = typmod >= 0;
  const modText = (): string => (mod ? typmodText(fc, typmod, type.typmodout) : '');
  switch (type.oid as number) {
    case 1042:
      // char(n) is what "character" means only with a length: bare bpchar has none.
      return mod ? `character${modText()}` : asked ? undefined : 'character';
    case 1043:
      return `character varying${modText()}`;
    case 1560:
      return mod ? `bit${modText()}` : asked ? undefined : 'bit';
    case 1562:
      return `bit varying${modText()}`;
    case 1700:
      return `numeric${modText()}`;
    case 1083:
      return mod ? `time${modText()}` : 'time without time zone';
    case 1266:
      return mod ? `time${modText()}` : 'time with time zone';
    case 1114:
      return mod ? `timestamp${modText()}` : 'timestamp without time zone';
    case 1184:
      return mod ? `timestamp${modText()}` : 'timestamp with time zone';
    case 1186:
      return `interval${modText()}`;
    default:
      return undefined;
  }
}

/** format_type_extended(). */
export function formatTypeExtended(fc: FunctionCall, oid: Oid, options: FormatOptions): string {
  if (oid === 0) return '-';
  const find = (o: Oid): TypeFacts | undefined => builtinTypes().get(o) ?? fc.catalog?.type(o);
  let type = find(oid);
  if (!type) {
    if (options.allowInvalid) return '???';
    throw ereport(ERRCODE.INTERNAL_ERROR, `cache lookup failed for type ${oid}`);
  }
  let array = false;
  if (type.isArray) {
    const elem = find(type.typelem);
    if (elem && elem.typarray === oid) {
      type = elem;
      array = true;
    }
  }
  const asked = options.typmod !== undefined && options.typmod !== null;
  const typmod = options.typmod ?? -1;
  let text = standardName(fc, type, typmod, asked);
  if (text === undefined) {
    const name = quoteIdentifier(type.typname, fc.settings.quoteAllIdentifiers);
    const visible = !options.forceQualify && isVisible(fc, 'type', type.typname, type.typnamespace, type.oid);
    const schema = visible ? undefined : (fc.catalog?.namespace(type.typnamespace)?.nspname ?? 'pg_catalog');
    text = schema === undefined ? name : `${quoteIdentifier(schema, fc.settings.quoteAllIdentifiers)}.${name}`;
    if (asked && typmod >= 0) text = withTypmod(fc, text, typmod, type.typmodout);
  }
  return array ? `${text}[]` : text;
}

/** format_type_be(): the name in messages. */
export function formatType(fc: FunctionCall, oid: Oid): string {
  return formatTypeExtended(fc, oid, { allowInvalid: true });
}

export const formatTypeFunctions: FunctionTable = {
  format_type: (fc: FunctionCall, oid: Oid | null, typmod: number | null) =>
    oid === null ? null : stringToText(formatTypeExtended(fc, oid, { typmod, allowInvalid: true })),
  oidvectortypes: (fc: FunctionCall, vector: Uint8Array) =>
    stringToText(
      vectorValues(vector)
        .map(oid => formatTypeExtended(fc, oid as Oid, { allowInvalid: true }))
        .join(', '),
    ),
};
