/**
 * What a system catalog is: its columns, its indexes and the type of its decoded rows. The catalogs
 * themselves are in `catalogs/`, one generated file each, with PostgreSQL's names.
 *
 * A decoded row is a plain object with a property per column:
 *
 *   oid regproc xid int2 int4 int8 float4      number          bool    boolean
 *   name text pg_node_tree                     string          "char"  string, '' for the zero byte
 *   oidvector int2vector _oid _int2 _float4    number[]        _text   string[]    _char  string[]
 *   _aclitem                                   AclItem[]       timestamptz pg_lsn   number
 *   bytea anyarray and statistics types        bytes (what a Datum holds)
 */
import { C_COLLATION_OID } from '@pgtroupe/common/oids';
import type { Oid, TransactionId } from '@pgtroupe/common/ids';
import type { Attribute, TupleDesc } from '@pgtroupe/access/common/tupdesc';

/** Where a row version is; what an update or delete of a catalog row needs. */
export interface ItemPointer {
  readonly blk: number;
  readonly off: number;
}

/** Base of all decoded rows. `ctid` is absent in rows that were never stored, and so is `xmin`, which made the version
 *  that was read. */
export interface CatalogRow {
  readonly ctid?: ItemPointer;
  readonly xmin?: TransactionId;
}

/** One element of an access list: `grantee` 0 is PUBLIC; high half of `privs` = grant options. */
export interface AclItem {
  readonly grantee: Oid;
  readonly grantor: Oid;
  readonly privs: number;
}

/** Properties of the types that catalog columns have (pg_type's typlen, typbyval, typalign, typstorage). */
const COLUMN_TYPES = {
  bool: [16, 1, true, 'c', 'p'],
  bytea: [17, -1, false, 'i', 'x'],
  char: [18, 1, true, 'c', 'p'],
  name: [19, 64, false, 'c', 'p'],
  int8: [20, 8, true, 'd', 'p'],
  int2: [21, 2, true, 's', 'p'],
  int2vector: [22, -1, false, 'i', 'p'],
  int4: [23, 4, true, 'i', 'p'],
  regproc: [24, 4, true, 'i', 'p'],
  text: [25, -1, false, 'i', 'x'],
  oid: [26, 4, true, 'i', 'p'],
  xid: [28, 4, true, 'i', 'p'],
  oidvector: [30, -1, false, 'i', 'p'],
  pg_node_tree: [194, -1, false, 'i', 'x'],
  float4: [700, 4, true, 'i', 'p'],
  _char: [1002, -1, false, 'i', 'x'],
  _int2: [1005, -1, false, 'i', 'x'],
  _text: [1009, -1, false, 'i', 'x'],
  _float4: [1021, -1, false, 'i', 'x'],
  _oid: [1028, -1, false, 'i', 'x'],
  _aclitem: [1034, -1, false, 'i', 'x'],
  timestamptz: [1184, 8, true, 'd', 'p'],
  anyarray: [2277, -1, false, 'd', 'x'],
  pg_lsn: [3220, 8, true, 'd', 'p'],
  pg_ndistinct: [3361, -1, false, 'i', 'x'],
  pg_dependencies: [3402, -1, false, 'i', 'x'],
  pg_mcv_list: [5017, -1, false, 'i', 'x'],
  _pg_statistic: [10028, -1, false, 'd', 'x'],
} as const;
export type ColumnType = keyof typeof COLUMN_TYPES;

const COLLATABLE: ReadonlySet<ColumnType> = new Set<ColumnType>([
  'name',
  'text',
  'pg_node_tree',
  '_text',
  'pg_ndistinct',
  'pg_dependencies',
  'pg_mcv_list',
]);

export interface CatalogColumn extends Attribute {
  readonly type: ColumnType;
  readonly attnum: number;
}

/** Key column of an index: attribute number and opclass name, as in PostgreSQL's index declarations. */
export interface CatalogIndex {
  readonly oid: Oid;
  readonly name: string;
  readonly unique: boolean;
  readonly primary: boolean;
  /** Attribute numbers of the key columns. */
  readonly keys: readonly number[];
}

export interface Catalog<Row extends CatalogRow = CatalogRow> {
  readonly oid: Oid;
  readonly name: string;
  /** One copy for the whole cluster, in `global/`. */
  readonly shared: boolean;
  readonly toastOid: Oid;
  readonly toastIndexOid: Oid;
  readonly columns: readonly CatalogColumn[];
  readonly tupdesc: TupleDesc;
  readonly indexes: readonly CatalogIndex[];
  /** Attribute numbers by column name. */
  readonly anum: { readonly [K in Exclude<keyof Row, keyof CatalogRow>]-?: number };
  /** Carries the row type; never has a value. */
  readonly row?: Row;
}

interface CatalogFacts {
  readonly oid: Oid;
  readonly name: string;
  readonly shared?: boolean;
  readonly toast?: readonly [oid: number, indexOid: number];
  /** `'type'` not null, `'type?'` nullable. */
  readonly columns: Readonly<Record<string, ColumnType | `${ColumnType}?`>>;
  readonly indexes: readonly CatalogIndex[];
}

export function defineCatalog<Row extends CatalogRow>(facts: CatalogFacts): Catalog<Row> {
  const columns = Object.entries(facts.columns).map(([name, declared], n): CatalogColumn => {
    const nullable = declared.endsWith('?');
    const type = (nullable ? declared.slice(0, -1) : declared) as ColumnType;
    const [typid, len, byval, align, storage] = COLUMN_TYPES[type];
    return {
      name,
      type,
      attnum: n + 1,
      typid: typid as Oid,
      typmod: -1,
      len,
      byval,
      align,
      storage,
      notNull: !nullable,
      dropped: false,
      hasDefault: false,
      collation: COLLATABLE.has(type) ? C_COLLATION_OID : (0 as Oid),
    };
  });
  return {
    oid: facts.oid,
    name: facts.name,
    shared: facts.shared ?? false,
    toastOid: (facts.toast?.[0] ?? 0) as Oid,
    toastIndexOid: (facts.toast?.[1] ?? 0) as Oid,
    columns,
    tupdesc: { attrs: columns },
    indexes: facts.indexes,
    anum: Object.fromEntries(columns.map(c => [c.name, c.attnum])) as Catalog<Row>['anum'],
  };
}

export type { Oid, TransactionId };
