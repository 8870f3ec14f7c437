/**
 * Creating an index: its entries in pg_class, pg_attribute, pg_index, the constraint it belongs to,
 * its dependencies, its file and content.
 */
import { BTREE_AM_OID, DEFAULT_COLLATION_OID } from '@pgtroupe/common/oids';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { assert } from '@pgtroupe/common/assert';
import type { Oid } from '@pgtroupe/common/ids';
import { pgAttribute } from './catalogs/pg_attribute.ts';
import { pgClass, RELKIND_INDEX, RelationRelationId } from './catalogs/pg_class.ts';
import { CollationRelationId } from './catalogs/pg_collation.ts';
import { ConstraintRelationId } from './catalogs/pg_constraint.ts';
import { pgIndex } from './catalogs/pg_index.ts';
import type { Form_pg_index } from './catalogs/pg_index.ts';
import { OperatorClassRelationId } from './catalogs/pg_opclass.ts';
import type { CatalogWriter } from './catalogwriter.ts';
import { attributeRow, insertClassRow } from './heap.ts';
import type { NewColumn } from './heap.ts';
import { objectAddress } from './objectaddress.ts';
import type { ObjectAddress } from './objectaddress.ts';
import { createConstraintEntry } from './pg_constraint.ts';
import {
  DEPENDENCY_AUTO,
  DEPENDENCY_INTERNAL,
  DEPENDENCY_NORMAL,
  recordDependencyOn,
  recordDependenciesOn,
} from './pg_depend.ts';
import type { RelationDesc } from './relcache.ts';
import { CLAOID, RELNAMENSP, RELOID, TYPEOID } from './syscache.ts';

const ACCESS_EXCLUSIVE_LOCK = 8;
const INDEX_MAX_KEYS = 32;

export interface NewIndexColumn {
  /** Column of the table; 0 is an expression, described by `type`. */
  readonly attnum: number;
  /** Name of the index's column. */
  readonly name: string;
  /** 0 for INCLUDE columns. */
  readonly opclass: Oid;
  readonly collation: Oid;
  readonly option: number;
  /** Of an expression. */
  readonly type?: { readonly typid: Oid; readonly typmod: number };
}

export interface NewIndex {
  readonly name: string;
  readonly columns: readonly NewIndexColumn[];
  /** How many of the columns are keys, the rest being INCLUDE. */
  readonly keyCount: number;
  readonly unique: boolean;
  readonly primary: boolean;
  readonly nullsNotDistinct: boolean;
  readonly tablespace: Oid;
  readonly reloptions: readonly string[] | null;
  /** Expressions of columns with attnum 0, and predicate, as pg_node_tree. */
  readonly indexprs: string | null;
  readonly indpred: string | null;
  /** What these use besides the table's columns in `columns`. */
  readonly references: readonly ObjectAddress[];
  /** CONSTRAINT_PRIMARY or CONSTRAINT_UNIQUE when the index implements a constraint. */
  readonly constraint?: {
    readonly contype: string;
    readonly deferrable: boolean;
    readonly initiallyDeferred: boolean;
  };
}

/** Creates the index and fills it. Returns its oid. */
export async function indexCreate(
  w: CatalogWriter,
  table: RelationDesc,
  index: NewIndex,
  options: { readonly skipBuild?: boolean } = {},
): Promise<Oid> {
  if (index.columns.length > INDEX_MAX_KEYS) {
    throw ereport(ERRCODE.TOO_MANY_COLUMNS, `cannot use more than ${INDEX_MAX_KEYS} columns in an index`);
  }
  const { relnamespace, relowner, relpersistence } = table.rel;
  if ((await w.search(RELNAMENSP, index.name, relnamespace)) !== null) {
    throw ereport(ERRCODE.DUPLICATE_TABLE, `relation "${index.name}" already exists`);
  }
  const indexOid = await w.newOid(RELOID);
  await w.lockRelation(indexOid, ACCESS_EXCLUSIVE_LOCK);
  const columns: NewColumn[] = [];
  for (const column of index.columns) columns.push(await indexColumn(w, table, column));
  await insertClassRow(w, {
    relid: indexOid,
    name: index.name,
    namespace: relnamespace,
    owner: relowner,
    relkind: RELKIND_INDEX,
    persistence: relpersistence,
    columns,
    reloptions: index.reloptions,
    tablespace: index.tablespace,
    reltype: 0 as Oid,
    relam: BTREE_AM_OID,
  });
  for (const [n, column] of columns.entries()) {
    const type = (await w.search(TYPEOID, column.typid))!;
    await w.insert(pgAttribute, attributeRow(indexOid, n + 1, column, type));
  }
  await insertIndexRow(w, table, indexOid, index);
  await recordIndexDependencies(w, table, indexOid, index);
  w.commandCounterIncrement();
  if (!options.skipBuild) await buildIndex(w, table.oid, indexOid);
  return indexOid;
}

/** The index's column as an attribute: the table's column, or the type the operator class stores. */
async function indexColumn(w: CatalogWriter, table: RelationDesc, column: NewIndexColumn): Promise<NewColumn> {
  const attribute = column.attnum > 0 ? table.attributes[column.attnum - 1] : undefined;
  const source = attribute === undefined ? column.type : { typid: attribute.atttypid, typmod: attribute.atttypmod };
  assert(source !== undefined, 'an index column is a column or an expression');
  const opclass = column.opclass === 0 ? null : await w.search(CLAOID, column.opclass);
  const stored = opclass !== null && opclass.opckeytype !== 0 ? { typid: opclass.opckeytype, typmod: -1 } : source;
  return {
    name: column.name,
    ...stored,
    collation: column.collation,
    notNull: false,
    ndims: attribute?.attndims ?? 0,
    ...(stored === source && attribute !== undefined
      ? { storage: attribute.attstorage, compression: attribute.attcompression }
      : {}),
  };
}

async function insertIndexRow(w: CatalogWriter, table: RelationDesc, indexOid: Oid, index: NewIndex): Promise<void> {
  const keys = index.columns.slice(0, index.keyCount);
  await w.insert<Form_pg_index>(pgIndex, {
    indexrelid: indexOid,
    indrelid: table.oid,
    indnatts: index.columns.length,
    indnkeyatts: index.keyCount,
    indisunique: index.unique,
    indnullsnotdistinct: index.nullsNotDistinct,
    indisprimary: index.primary,
    indisexclusion: false,
    indimmediate: !(index.constraint?.deferrable ?? false),
    indisclustered: false,
    indisvalid: true,
    indcheckxmin: false,
    indisready: true,
    indislive: true,
    indisreplident: false,
    indkey: index.columns.map(c => c.attnum),
    indcollation: keys.map(c => c.collation),
    indclass: keys.map(c => c.opclass),
    indoption: keys.map(c => c.option),
    indexprs: index.indexprs,
    indpred: index.indpred,
  });
  // Even if the pg_class row will not change, the list of indexes does.
  w.invalidateRelation(table.oid);
}

async function recordIndexDependencies(
  w: CatalogWriter,
  table: RelationDesc,
  indexOid: Oid,
  index: NewIndex,
): Promise<void> {
  const self = objectAddress(RelationRelationId, indexOid);
  const attnums = index.columns.map(c => c.attnum).filter(attnum => attnum > 0);
  if (index.constraint !== undefined) {
    const constraint = await createConstraintEntry(w, {
      name: index.name,
      namespace: table.rel.relnamespace,
      contype: index.constraint.contype,
      relid: table.oid,
      keys: attnums.slice(0, index.keyCount),
      indexOid,
      deferrable: index.constraint.deferrable,
      initiallyDeferred: index.constraint.initiallyDeferred,
      noInherit: true,
    });
    await recordDependencyOn(w, self, objectAddress(ConstraintRelationId, constraint), DEPENDENCY_INTERNAL);
  } else {
    const columns =
      attnums.length > 0
        ? attnums.map(attnum => objectAddress(RelationRelationId, table.oid, attnum))
        : [objectAddress(RelationRelationId, table.oid)];
    await recordDependenciesOn(w, self, columns, DEPENDENCY_AUTO);
  }
  const collations = index.columns
    .filter(c => c.collation !== 0 && c.collation !== DEFAULT_COLLATION_OID)
    .map(c => objectAddress(CollationRelationId, c.collation));
  const opclasses = index.columns
    .filter(c => c.opclass !== 0)
    .map(c => objectAddress(OperatorClassRelationId, c.opclass));
  await recordDependenciesOn(w, self, [...collations, ...opclasses], DEPENDENCY_NORMAL);
  // Columns that only expressions and predicate use go with the table, the rest needs CASCADE.
  const own = index.references.filter(r => r.classId === RelationRelationId && r.objectId === table.oid);
  await recordDependenciesOn(w, self, own, DEPENDENCY_AUTO);
  await recordDependenciesOn(
    w,
    self,
    index.references.filter(r => !own.includes(r)),
    DEPENDENCY_NORMAL,
  );
}

/** Fills the index from its table and records what is known of both sizes. */
async function buildIndex(w: CatalogWriter, tableOid: Oid, indexOid: Oid): Promise<void> {
  const table = await w.relation(tableOid);
  const index = await w.read(catalog => catalog.index(indexOid));
  assert(index !== null, `index ${indexOid} was just created`);
  const built = await w.store.buildIndex(table, index);
  if (built.brokenHotChain) {
    await w.update(pgIndex, index.index, { indcheckxmin: true });
    w.invalidateRelation(tableOid);
  }
  await updateStats(w, tableOid, {
    relhasindex: true,
    relpages: built.tablePages,
    reltuples: built.tuples,
  });
  await updateStats(w, indexOid, { relpages: built.indexPages, reltuples: built.tuples });
  w.commandCounterIncrement();
}

async function updateStats(
  w: CatalogWriter,
  relid: Oid,
  stats: { readonly relhasindex?: boolean; readonly relpages: number; readonly reltuples: number },
): Promise<void> {
  const row = (await w.search(RELOID, relid))!;
  // An empty table that was never vacuumed stays "unknown".
  const reltuples = stats.reltuples === 0 && row.reltuples < 0 ? -1 : stats.reltuples;
  await w.update(pgClass, row, { ...stats, reltuples });
}
