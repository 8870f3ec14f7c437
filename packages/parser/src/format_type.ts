/**
 * Type names as PostgreSQL prints them: SQL-standard spelling for the types that have one, otherwise
 * the name, qualified when the search path does not find it.
 */
import {
  BITOID,
  BOOLOID,
  BPCHAROID,
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
import type { CatalogLookup } from './catalog-lookup.ts';
import { quoteIdentifier, quoteQualifiedIdentifier } from './keywords.ts';

const SQL_NAMES: ReadonlyMap<number, string> = new Map([
  [BITOID, 'bit'],
  [BOOLOID, 'boolean'],
  [BPCHAROID, 'character'],
  [FLOAT4OID, 'real'],
  [FLOAT8OID, 'double precision'],
  [INT2OID, 'smallint'],
  [INT4OID, 'integer'],
  [INT8OID, 'bigint'],
  [NUMERICOID, 'numeric'],
  [INTERVALOID, 'interval'],
  [TIMEOID, 'time without time zone'],
  [TIMETZOID, 'time with time zone'],
  [TIMESTAMPOID, 'timestamp without time zone'],
  [TIMESTAMPTZOID, 'timestamp with time zone'],
  [VARBITOID, 'bit varying'],
  [VARCHAROID, 'character varying'],
]);

export interface FormatTypeOptions {
  /** Present: print as format_type(oid, typmod) does; -1 still marks that it was given. */
  readonly typmod?: number | undefined;
  readonly forceQualify?: boolean | undefined;
  /** Print `-` for 0 and `???` for a type that does not exist, instead of failing. */
  readonly allowInvalid?: boolean | undefined;
}

export function formatType(catalog: CatalogLookup, oid: number, options: FormatTypeOptions = {}): string {
  if (options.allowInvalid) {
    if (oid === 0) return '-';
    if (catalog.typeOrNull(oid) === null) return '???';
  }
  let row = catalog.type(oid);
  const isArray = catalog.isTrueArray(row) && row.typstorage !== 'p';
  if (isArray) row = catalog.type(row.typelem);
  const typmod = options.typmod ?? -1;
  const typmodGiven = options.typmod !== undefined;
  let name = SQL_NAMES.get(row.oid);
  // CHARACTER and BIT without a length mean length one: with an unknown typmod they must be quoted.
  if ((row.oid === BITOID || row.oid === BPCHAROID) && typmodGiven && typmod < 0) name = undefined;
  if (name !== undefined) {
    if (typmod >= 0) name = withTypmod(name, row.oid, typmod);
  } else {
    const visible = !options.forceQualify && catalog.typeIsVisible(row);
    name = visible
      ? quoteIdentifier(row.typname)
      : quoteQualifiedIdentifier(catalog.namespaceName(row.typnamespace), row.typname);
    if (typmod >= 0) name = withTypmod(name, row.oid, typmod);
  }
  return isArray ? `${name}[]` : name;
}

const INTERVAL_FIELDS: ReadonlyMap<number, string> = new Map([
  [1 << 2, ' year'],
  [1 << 1, ' month'],
  [1 << 3, ' day'],
  [1 << 10, ' hour'],
  [1 << 11, ' minute'],
  [1 << 12, ' second'],
  [(1 << 2) | (1 << 1), ' year to month'],
  [(1 << 3) | (1 << 10), ' day to hour'],
  [(1 << 3) | (1 << 10) | (1 << 11), ' day to minute'],
  [(1 << 3) | (1 << 10) | (1 << 11) | (1 << 12), ' day to second'],
  [(1 << 10) | (1 << 11), ' hour to minute'],
  [(1 << 10) | (1 << 11) | (1 << 12), ' hour to second'],
  [(1 << 11) | (1 << 12), ' minute to second'],
  [0x7fff, ''],
]);

/** The built-in types' typmodout; types of extensions print the bare number. */
function withTypmod(name: string, oid: number, typmod: number): string {
  switch (oid) {
    case BPCHAROID:
    case VARCHAROID:
      return `${name}(${typmod - 4})`;
    case BITOID:
    case VARBITOID:
      return `${name}(${typmod})`;
    case NUMERICOID: {
      const bits = typmod - 4;
      const scale = ((bits & 0x7ff) ^ 1024) - 1024;
      return `${name}(${(bits >> 16) & 0xffff},${scale})`;
    }
    case TIMEOID:
    case TIMESTAMPOID:
      return name.replace(' without', `(${typmod}) without`);
    case TIMETZOID:
    case TIMESTAMPTZOID:
      return name.replace(' with', `(${typmod}) with`);
    case INTERVALOID: {
      const precision = typmod & 0xffff;
      const fields = INTERVAL_FIELDS.get((typmod >> 16) & 0x7fff) ?? '';
      return precision === 0xffff ? `${name}${fields}` : `${name}${fields}(${precision})`;
    }
    default:
      return `${name}(${typmod})`;
  }
}

/** format_type_be: the name alone. */
export function formatTypeBe(catalog: CatalogLookup, oid: number): string {
  return formatType(catalog, oid);
}
