/**
 * Type names as SQL spells them: format_type(), and the names of regtype and of messages.
 * Standard types by their SQL names with the modifier inside, others by catalog name, qualified
 * when the search path does not find them.
 */
import { NAMESPACEOID } from '@pgtroupe/catalog/syscache';
import { INVALID_OID, type Oid } from '@pgtroupe/common/ids';
import {
  BITOID,
  BOOLOID,
  BPCHAROID,
  CSTRINGOID,
  FLOAT4OID,
  FLOAT8OID,
  INT2OID,
  INT4OID,
  INT8OID,
  INTERVALOID,
  NUMERICOID,
  TIMEOID,
  TIMESTAMPOID,
  TIMESTAMPTZOID,
  TIMETZOID,
  VARBITOID,
  VARCHAROID,
} from '@pgtroupe/common/oids';
import { ereport } from '@pgtroupe/common/ereport';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { builtinTypes } from './cache/builtin_types.ts';
import type { TypeFacts } from './cache/functioncatalog.ts';
import { builtin } from './cache/typcache.ts';
import { DEFAULT_SETTINGS, type FunctionCall, type FunctionTable } from './fmgr.ts';
import { stringToText, textToString } from './mb/mbutils.ts';
import { isVisible } from './namespace.ts';
import { quoteIdentifier } from './quote.ts';
import { vectorValues } from './oid.ts';

export interface FormatTypeOptions {
  /** Present: print as format_type(oid, typmod) does; -1 still marks that it was given, which matters to char and bit. */
  readonly typmod?: number | null | undefined;
  readonly forceQualify?: boolean | undefined;
  /** Print `-` for 0 and `???` for a type that does not exist, instead of failing. */
  readonly allowInvalid?: boolean | undefined;
}

/** What a name is made of. */
export interface NamedType {
  readonly oid: number;
  readonly typname: string;
  /** prosrc of pg_type.typmodout, '' for none. */
  typmodout(): string;
  /** Its schema's name. */
  schema(): string;
  isVisible(): boolean;
}

/** Where the name comes from: the type, or of an array the element's. */
export type FindType = (oid: Oid) => { readonly type: NamedType; readonly isArray: boolean } | undefined;

const SIMPLE: Readonly<Record<number, string>> = {
  [BOOLOID]: 'boolean',
  [FLOAT4OID]: 'real',
  [FLOAT8OID]: 'double precision',
  [INT8OID]: 'bigint',
  [INT4OID]: 'integer',
  [INT2OID]: 'smallint',
};

const TYPMODOUT_CALL: FunctionCall = {
  settings: DEFAULT_SETTINGS,
  collation: INVALID_OID,
  argTypes: [INT4OID],
  resultType: CSTRINGOID,
};

function typmodText(type: NamedType, typmod: number): string {
  const typmodout = type.typmodout();
  if (typmodout === '') return `(${typmod})`;
  return textToString(builtin(typmodout)(TYPMODOUT_CALL, typmod) as Uint8Array);
}

function standardName(type: NamedType, typmod: number, asked: boolean): string | undefined {
  const simple = SIMPLE[type.oid];
  if (simple !== undefined) return simple;
  const mod = typmod >= 0;
  const modText = (): string => (mod ? typmodText(type, typmod) : '');
  switch (type.oid) {
    case BPCHAROID:
      // char(n) is what "character" means only with a length: bare bpchar has none.
      return mod ? `character${modText()}` : asked ? undefined : 'character';
    case VARCHAROID:
      return `character varying${modText()}`;
    case BITOID:
      return mod ? `bit${modText()}` : asked ? undefined : 'bit';
    case VARBITOID:
      return `bit varying${modText()}`;
    case NUMERICOID:
      return `numeric${modText()}`;
    case TIMEOID:
      return mod ? `time${modText()}` : 'time without time zone';
    case TIMETZOID:
      return mod ? `time${modText()}` : 'time with time zone';
    case TIMESTAMPOID:
      return mod ? `timestamp${modText()}` : 'timestamp without time zone';
    case TIMESTAMPTZOID:
      return mod ? `timestamp${modText()}` : 'timestamp with time zone';
    case INTERVALOID:
      return `interval${modText()}`;
    default:
      return undefined;
  }
}

/** format_type_extended(): the one place that spells a type. */
export function typeNameText(find: FindType, oid: Oid, options: FormatTypeOptions, quoteAll = false): string {
  if (oid === 0 && options.allowInvalid) return '-';
  const found = find(oid);
  if (found === undefined) {
    if (options.allowInvalid) return '???';
    throw ereport(ERRCODE.INTERNAL_ERROR, `cache lookup failed for type ${oid}`);
  }
  const { type, isArray } = found;
  const asked = options.typmod !== undefined && options.typmod !== null;
  const typmod = options.typmod ?? -1;
  let text = standardName(type, typmod, asked);
  if (text === undefined) {
    const name = quoteIdentifier(type.typname, quoteAll);
    const visible = !options.forceQualify && type.isVisible();
    text = visible ? name : `${quoteIdentifier(type.schema(), quoteAll)}.${name}`;
    if (asked && typmod >= 0) text += typmodText(type, typmod);
  }
  return isArray ? `${text}[]` : text;
}

/** The name as functions see it, types of the session's catalogs or the built-in ones. */
function formatTypeExtended(fc: FunctionCall, oid: Oid, options: FormatTypeOptions): string {
  const facts = (o: Oid): TypeFacts | undefined => builtinTypes().get(o) ?? fc.catalog?.type(o);
  const find: FindType = o => {
    const type = facts(o as Oid);
    if (type === undefined) return undefined;
    const element = type.isArray ? facts(type.typelem) : undefined;
    const isArray = element !== undefined && element.typarray === o;
    return { type: named(fc, isArray ? element : type), isArray };
  };
  return typeNameText(find, oid, options, fc.settings.quoteAllIdentifiers);
}

function named(fc: FunctionCall, type: TypeFacts): NamedType {
  return {
    oid: type.oid,
    typname: type.typname,
    typmodout: () => type.typmodout,
    schema: () => fc.catalog?.caches().search(NAMESPACEOID, type.typnamespace)?.nspname ?? 'pg_catalog',
    isVisible: () => isVisible(fc, 'type', type.typname, type.typnamespace, type.oid),
  };
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
