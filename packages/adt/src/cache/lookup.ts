/**
 * What functions ask the catalogs. Each method answers undefined when the object does not exist
 * and may throw CatalogMiss when it is not loaded yet. Names are schema-exact: search-path rules
 * are applied by `namespace.ts` beside the functions that need them.
 */
import type { Oid } from '@pgtroupe/common/ids';
import type { SysCacheReader } from '@pgtroupe/catalog/syscache';

/** pg_type, with I/O functions by prosrc. */
export interface TypeFacts {
  readonly oid: Oid;
  readonly typname: string;
  readonly typnamespace: Oid;
  readonly typlen: number;
  readonly typbyval: boolean;
  readonly typalign: 'c' | 's' | 'i' | 'd';
  readonly typtype: string;
  readonly typcategory: string;
  readonly typdelim: string;
  readonly typrelid: Oid;
  readonly typelem: Oid;
  readonly typarray: Oid;
  readonly typinput: string;
  readonly typoutput: string;
  readonly typreceive: string;
  readonly typsend: string;
  readonly typmodout: string;
  readonly typbasetype: Oid;
  readonly typtypmod: number;
  readonly typcollation: Oid;
  readonly typowner: Oid;
  readonly typacl: Uint8Array | null;
  /** True for arrays proper: typsubscript is array_subscript_handler. */
  readonly isArray: boolean;
  /** prosrc of the default btree comparison and equality, hash function; '' when it has none. */
  readonly cmp: string;
  readonly eq: string;
  readonly hash: string;
}

export interface RelationFacts {
  readonly oid: Oid;
  readonly relname: string;
  readonly relnamespace: Oid;
  readonly relowner: Oid;
  readonly relkind: string;
  /** aclitem[] payload, null for the default. */
  readonly relacl: Uint8Array | null;
}

export interface AttributeFacts {
  readonly attname: string;
  readonly attnum: number;
  readonly atttypid: Oid;
  readonly atttypmod: number;
  readonly attisdropped: boolean;
  /** How a value is stored; of a dropped column it is all that is still known. */
  readonly attlen: number;
  readonly attbyval: boolean;
  readonly attalign: TypeFacts['typalign'];
  readonly attacl: Uint8Array | null;
}

export interface NamespaceFacts {
  readonly oid: Oid;
  readonly nspname: string;
  readonly nspowner: Oid;
  readonly nspacl: Uint8Array | null;
}

export interface ProcFacts {
  readonly oid: Oid;
  readonly proname: string;
  readonly pronamespace: Oid;
  readonly proargtypes: readonly Oid[];
  readonly proowner: Oid;
  readonly proacl: Uint8Array | null;
}

export interface OperatorFacts {
  readonly oid: Oid;
  readonly oprname: string;
  readonly oprnamespace: Oid;
  /** 0 for a prefix operator. */
  readonly oprleft: Oid;
  readonly oprright: Oid;
}

export interface RoleFacts {
  readonly oid: Oid;
  readonly rolname: string;
  readonly rolsuper: boolean;
  readonly rolinherit: boolean;
}

export interface DatabaseFacts {
  readonly oid: Oid;
  readonly datname: string;
  readonly datdba: Oid;
  readonly encoding: number;
  readonly datacl: Uint8Array | null;
}

/** Anything else that has a name in a schema: collations, text search objects, operator classes. */
export interface NamedFacts {
  readonly oid: Oid;
  readonly name: string;
  readonly namespace: Oid;
}

export interface EnumLabel {
  readonly oid: Oid;
  readonly label: string;
  readonly sortOrder: number;
}

export interface CatalogLookup {
  /** Schemas searched for unqualified names, in order, implicit ones (pg_temp, pg_catalog) included. */
  searchPath(): readonly Oid[];
  type(oid: Oid): TypeFacts | undefined;
  typeByName(name: string, namespace: Oid): Oid | undefined;
  relation(oid: Oid): RelationFacts | undefined;
  relationByName(name: string, namespace: Oid): Oid | undefined;
  attributes(relation: Oid): readonly AttributeFacts[] | undefined;
  namespace(oid: Oid): NamespaceFacts | undefined;
  namespaceByName(name: string): Oid | undefined;
  proc(oid: Oid): ProcFacts | undefined;
  /** All functions of that name, in any schema. */
  procsByName(name: string): readonly ProcFacts[];
  operator(oid: Oid): OperatorFacts | undefined;
  operatorsByName(name: string): readonly OperatorFacts[];
  role(oid: Oid): RoleFacts | undefined;
  roleByName(name: string): Oid | undefined;
  database(oid: Oid): DatabaseFacts | undefined;
  databaseByName(name: string): Oid | undefined;
  /** catalog: 'pg_collation', 'pg_ts_config', 'pg_ts_dict', 'pg_opclass', 'pg_opfamily', 'pg_conversion', 'pg_statistic_ext'… */
  named(catalog: string, oid: Oid): NamedFacts | undefined;
  namedByName(catalog: string, name: string, namespace: Oid): Oid | undefined;
  /** Columns of an anonymous record type, by the typmod it was registered under. */
  recordColumns?(typmod: number): readonly AttributeFacts[] | undefined;
  enumLabels(type: Oid): readonly EnumLabel[];
  /** Rows as they are, for functions that print whole objects. */
  caches?(): SysCacheReader;
}
