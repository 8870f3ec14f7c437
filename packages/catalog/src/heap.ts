/**
 * Creating a relation's catalog entries: pg_class, pg_attribute, its row type, its file, and what it
 * depends on. Commands decide what to create; this makes it so.
 */
import { DEFAULT_COLLATION_OID, HEAP_TABLE_AM_OID } from '@pgtroupe/common/oids';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, PgError } from '@pgtroupe/common/ereport';
import type { Oid, RelFileNode, TransactionId } from '@pgtroupe/common/ids';
import { AttrDefaultRelationId, pgAttrdef } from './catalogs/pg_attrdef.ts';
import { pgAttribute } from './catalogs/pg_attribute.ts';
import type { Form_pg_attribute } from './catalogs/pg_attribute.ts';
import {
  pgClass,
  RELKIND_COMPOSITE_TYPE,
  RELKIND_INDEX,
  RELKIND_MATVIEW,
  RELKIND_RELATION,
  RELKIND_SEQUENCE,
  RELKIND_TOASTVALUE,
  RELKIND_VIEW,
  RelationRelationId,
  REPLICA_IDENTITY_DEFAULT,
  REPLICA_IDENTITY_NOTHING,
} from './catalogs/pg_class.ts';
import type { Form_pg_class } from './catalogs/pg_class.ts';
import { CollationRelationId } from './catalogs/pg_collation.ts';
import { NamespaceRelationId } from './catalogs/pg_namespace.ts';
import { TypeRelationId, TYPTYPE_PSEUDO } from './catalogs/pg_type.ts';
import type { Form_pg_type } from './catalogs/pg_type.ts';
import type { CatalogWriter } from './catalogwriter.ts';
import { objectAddress } from './objectaddress.ts';
import type { ObjectAddress } from './objectaddress.ts';
import {
  DEPENDENCY_AUTO,
  DEPENDENCY_INTERNAL,
  DEPENDENCY_NORMAL,
  recordDependencyOn,
  recordDependenciesOn,
  recordDependencyOnOwner,
} from './pg_depend.ts';
import { createRowType } from './pg_type.ts';
import { ATTNUM, ATTRDEFOID, DATABASEOID, RELNAMENSP, RELOID, TYPEOID } from './syscache.ts';

export const MAX_HEAP_ATTRIBUTES = 1600;
const ACCESS_EXCLUSIVE_LOCK = 8;
const NONE = 0 as Oid;

/** A column to be made. What is left out comes from its type. */
export interface NewColumn {
  readonly name: string;
  readonly typid: Oid;
  readonly typmod: number;
  readonly collation: Oid;
  readonly notNull: boolean;
  readonly ndims: number;
  /** ATTRIBUTE_IDENTITY_*, '' for none. */
  readonly identity?: string;
  readonly generated?: string;
  readonly storage?: string;
  readonly compression?: string;
  readonly options?: readonly string[];
  readonly isLocal?: boolean;
  readonly inheritedFrom?: number;
}

export interface NewRelation {
  readonly name: string;
  readonly namespace: Oid;
  readonly owner: Oid;
  readonly relkind: string;
  readonly persistence: string;
  readonly columns: readonly NewColumn[];
  readonly reloptions: readonly string[] | null;
  readonly tablespace: Oid;
  /** For a TOAST table: chosen by the caller. */
  readonly shared?: boolean;
}

/** The columns every table has besides its own: name, type, length, alignment, number. */
const SYSTEM_COLUMNS: readonly (readonly [string, number, number, string, number])[] = [
  ['ctid', 27, 6, 's', -1],
  ['xmin', 28, 4, 'i', -2],
  ['cmin', 29, 4, 'i', -3],
  ['xmax', 28, 4, 'i', -4],
  ['cmax', 29, 4, 'i', -5],
  ['tableoid', 26, 4, 'i', -6],
];

export function isSystemColumnName(name: string): boolean {
  return SYSTEM_COLUMNS.some(([column]) => column === name);
}

/** Which relations have a file. */
function relkindHasStorage(relkind: string): boolean {
  return (
    relkind === RELKIND_RELATION ||
    relkind === RELKIND_INDEX ||
    relkind === RELKIND_SEQUENCE ||
    relkind === RELKIND_TOASTVALUE ||
    relkind === RELKIND_MATVIEW
  );
}

function hasTableAm(relkind: string): boolean {
  return relkind === RELKIND_RELATION || relkind === RELKIND_TOASTVALUE || relkind === RELKIND_MATVIEW;
}

/** Where a new relation's file goes. */
function newRelFileNode(w: CatalogWriter, tablespace: Oid, filenode: Oid): RelFileNode {
  const { storage } = w.catalog;
  return {
    spcNode: tablespace || storage.defaultTablespace,
    dbNode: storage.databaseOid,
    relNode: filenode,
  };
}

function checkAttributeNames(columns: readonly NewColumn[], relkind: string): void {
  if (columns.length > MAX_HEAP_ATTRIBUTES) {
    throw ereport(ERRCODE.TOO_MANY_COLUMNS, `tables can have at most ${MAX_HEAP_ATTRIBUTES} columns`);
  }
  const seen = new Set<string>();
  for (const { name } of columns) {
    if (relkind !== RELKIND_VIEW && relkind !== RELKIND_COMPOSITE_TYPE && isSystemColumnName(name)) {
      throw ereport(ERRCODE.DUPLICATE_COLUMN, `column name "${name}" conflicts with a system column name`);
    }
    if (seen.has(name)) throw ereport(ERRCODE.DUPLICATE_COLUMN, `column "${name}" specified more than once`);
    seen.add(name);
  }
}

export function checkAttributeType(column: NewColumn, type: Form_pg_type): void {
  if (type.typtype === TYPTYPE_PSEUDO) {
    throw ereport(ERRCODE.INVALID_TABLE_DEFINITION, `column "${column.name}" has pseudo-type ${type.typname}`);
  }
}

/** Makes the file of a relation, under the first number from `wanted` on that no file has: one that a crash left is
 *  not taken for it (GetNewRelFileNode). */
export async function createStorage(w: CatalogWriter, tablespace: Oid, wanted: Oid): Promise<Oid> {
  for (let filenode = wanted; ; filenode = await w.store.newOid()) {
    try {
      await w.store.createStorage(newRelFileNode(w, tablespace, filenode));
      return filenode;
    } catch (error) {
      if (!(error instanceof PgError) || error.sqlstate !== ERRCODE.DUPLICATE_FILE) throw error;
    }
  }
}

export async function heapCreateWithCatalog(w: CatalogWriter, rel: NewRelation): Promise<Oid> {
  const { relkind } = rel;
  checkAttributeNames(rel.columns, relkind);
  if ((await w.search(RELNAMENSP, rel.name, rel.namespace)) !== null) {
    throw ereport(ERRCODE.DUPLICATE_TABLE, `relation "${rel.name}" already exists`);
  }
  const types = await columnTypes(w, rel.columns);
  const relid = await w.newOid(RELOID);
  await w.lockRelation(relid, ACCESS_EXCLUSIVE_LOCK);
  const hasRowType = relkind !== RELKIND_SEQUENCE && relkind !== RELKIND_TOASTVALUE && relkind !== RELKIND_INDEX;
  const reltype = hasRowType
    ? await createRowType(w, {
        relid,
        name: rel.name,
        namespace: rel.namespace,
        owner: rel.owner,
        relkind,
      })
    : NONE;
  await insertClassRow(w, {
    ...rel,
    relid,
    reltype,
    relam: hasTableAm(relkind) ? HEAP_TABLE_AM_OID : NONE,
  });
  for (const [n, column] of rel.columns.entries()) await insertAttribute(w, relid, n + 1, column, types[n]!);
  if (relkind !== RELKIND_VIEW && relkind !== RELKIND_COMPOSITE_TYPE) await insertSystemAttributes(w, relid);
  if (relkind !== RELKIND_COMPOSITE_TYPE && relkind !== RELKIND_TOASTVALUE) {
    const self = objectAddress(RelationRelationId, relid);
    await recordDependencyOnOwner(w, RelationRelationId, relid, rel.owner);
    await recordDependencyOn(w, self, objectAddress(NamespaceRelationId, rel.namespace), DEPENDENCY_NORMAL);
  }
  w.commandCounterIncrement();
  return relid;
}

async function columnTypes(w: CatalogWriter, columns: readonly NewColumn[]): Promise<Form_pg_type[]> {
  const types: Form_pg_type[] = [];
  for (const column of columns) {
    const type = await w.search(TYPEOID, column.typid);
    if (type === null) throw ereport(ERRCODE.INTERNAL_ERROR, `cache lookup failed for type ${column.typid}`);
    checkAttributeType(column, type);
    types.push(type);
  }
  return types;
}

/** A new table holds no multixact older than its database does. */
export async function newRelMinMxid(w: CatalogWriter): Promise<TransactionId> {
  const database = await w.search(DATABASEOID, w.databaseOid);
  return database === null ? (1 as TransactionId) : database.datminmxid;
}

/** The pg_class row and, where there is one, the file. */
export async function insertClassRow(
  w: CatalogWriter,
  rel: NewRelation & { readonly relid: Oid; readonly reltype: Oid; readonly relam: Oid },
): Promise<void> {
  const stored = relkindHasStorage(rel.relkind);
  if (stored) w.store.counts?.created(rel.relid);
  const frozen = hasTableAm(rel.relkind);
  const relfilenode = stored ? await createStorage(w, rel.tablespace, rel.relid) : NONE;
  await w.insert<Form_pg_class>(pgClass, {
    oid: rel.relid,
    relname: rel.name,
    relnamespace: rel.namespace,
    reltype: rel.reltype,
    reloftype: NONE,
    relowner: rel.owner,
    relam: rel.relam,
    relfilenode,
    reltablespace: rel.tablespace === w.catalog.storage.defaultTablespace ? NONE : rel.tablespace,
    // A sequence and a fresh btree have their first page at once.
    relpages: rel.relkind === RELKIND_SEQUENCE ? 1 : 0,
    reltuples: rel.relkind === RELKIND_SEQUENCE ? 1 : rel.relkind === RELKIND_INDEX ? 0 : -1,
    relallvisible: 0,
    reltoastrelid: NONE,
    relhasindex: false,
    relisshared: false,
    relpersistence: rel.persistence,
    relkind: rel.relkind,
    relnatts: rel.columns.length,
    relchecks: 0,
    relhasrules: false,
    relhastriggers: false,
    relhassubclass: false,
    relrowsecurity: false,
    relforcerowsecurity: false,
    relispopulated: rel.relkind !== RELKIND_MATVIEW,
    relreplident:
      rel.relkind === RELKIND_RELATION || rel.relkind === RELKIND_MATVIEW
        ? REPLICA_IDENTITY_DEFAULT
        : REPLICA_IDENTITY_NOTHING,
    relispartition: false,
    relrewrite: NONE,
    relfrozenxid: (frozen ? w.store.frozenXid() : 0) as TransactionId,
    relminmxid: frozen ? await newRelMinMxid(w) : (0 as TransactionId),
    relacl: null,
    reloptions: rel.reloptions,
    relpartbound: null,
  });
}

export function attributeRow(relid: Oid, attnum: number, column: NewColumn, type: Form_pg_type): Form_pg_attribute {
  return {
    attrelid: relid,
    attname: column.name,
    atttypid: column.typid,
    attstattarget: -1,
    attlen: type.typlen,
    attnum,
    attndims: column.ndims,
    attcacheoff: -1,
    atttypmod: column.typmod,
    attbyval: type.typbyval,
    attalign: type.typalign,
    attstorage: column.storage ?? type.typstorage,
    attcompression: column.compression ?? '',
    attnotnull: column.notNull,
    atthasdef: false,
    atthasmissing: false,
    attidentity: column.identity ?? '',
    attgenerated: column.generated ?? '',
    attisdropped: false,
    attislocal: column.isLocal ?? true,
    attinhcount: column.inheritedFrom ?? 0,
    attcollation: column.collation,
    attacl: null,
    attoptions: column.options ?? null,
    attfdwoptions: null,
    attmissingval: null,
  };
}

/** Adds one column's row and its dependencies on type and collation. */
export async function insertAttribute(
  w: CatalogWriter,
  relid: Oid,
  attnum: number,
  column: NewColumn,
  type: Form_pg_type,
): Promise<void> {
  await w.insert(pgAttribute, attributeRow(relid, attnum, column, type));
  const self = objectAddress(RelationRelationId, relid, attnum);
  await recordDependencyOn(w, self, objectAddress(TypeRelationId, column.typid), DEPENDENCY_NORMAL);
  if (column.collation !== 0 && column.collation !== DEFAULT_COLLATION_OID) {
    await recordDependencyOn(w, self, objectAddress(CollationRelationId, column.collation), DEPENDENCY_NORMAL);
  }
}

async function insertSystemAttributes(w: CatalogWriter, relid: Oid): Promise<void> {
  for (const [attname, atttypid, attlen, attalign, attnum] of SYSTEM_COLUMNS) {
    await w.insert<Form_pg_attribute>(pgAttribute, {
      attrelid: relid,
      attname,
      atttypid: atttypid as Oid,
      attstattarget: 0,
      attlen,
      attnum,
      attndims: 0,
      attcacheoff: -1,
      atttypmod: -1,
      attbyval: attname !== 'ctid',
      attalign,
      attstorage: 'p',
      attcompression: '',
      attnotnull: true,
      atthasdef: false,
      atthasmissing: false,
      attidentity: '',
      attgenerated: '',
      attisdropped: false,
      attislocal: true,
      attinhcount: 0,
      attcollation: NONE,
      attacl: null,
      attoptions: null,
      attfdwoptions: null,
      attmissingval: null,
    });
  }
}

/**
 * A column's default (or generation expression), as pg_node_tree. `references`: what the expression
 * uses; dropping one of these takes CASCADE.
 */
export async function storeAttrDefault(
  w: CatalogWriter,
  relid: Oid,
  attnum: number,
  adbin: string,
  references: readonly ObjectAddress[],
  generated = false,
): Promise<Oid> {
  const oid = await w.newOid(ATTRDEFOID);
  await w.insert(pgAttrdef, { oid, adrelid: relid, adnum: attnum, adbin });
  const attribute = (await w.search(ATTNUM, relid, attnum))!;
  await w.update(pgAttribute, attribute, { atthasdef: true });
  const self = objectAddress(AttrDefaultRelationId, oid);
  const column = objectAddress(RelationRelationId, relid, attnum);
  // A generated column cannot lose its expression and stay.
  await recordDependencyOn(w, self, column, generated ? DEPENDENCY_INTERNAL : DEPENDENCY_AUTO);
  await recordDependenciesOn(w, self, references, DEPENDENCY_NORMAL);
  w.commandCounterIncrement();
  return oid;
}
