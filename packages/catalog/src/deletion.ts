/**
 * Deleting one object's own entries. Its dependents are gone already, see dependency.ts.
 */
import { assert } from '@pgtroupe/common/assert';
import { notSupported } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import type { Catalog, CatalogRow } from './catalog.ts';
import { ALL_CATALOGS } from './catalogs/all.ts';
import { pgAggregate } from './catalogs/pg_aggregate.ts';
import { AttrDefaultRelationId, pgAttrdef } from './catalogs/pg_attrdef.ts';
import { AttributeRelidNumIndexId, pgAttribute } from './catalogs/pg_attribute.ts';
import { pgClass, RELKIND_INDEX, RELKIND_SEQUENCE, RelationRelationId } from './catalogs/pg_class.ts';
import { CONSTRAINT_CHECK, ConstraintRelationId, pgConstraint } from './catalogs/pg_constraint.ts';
import { DescriptionObjIndexId, pgDescription } from './catalogs/pg_description.ts';
import { EnumTypIdLabelIndexId, pgEnum } from './catalogs/pg_enum.ts';
import { pgIndex } from './catalogs/pg_index.ts';
import { InheritsRelidSeqnoIndexId, pgInherits } from './catalogs/pg_inherits.ts';
import { InitPrivsObjIndexId, pgInitPrivs } from './catalogs/pg_init_privs.ts';
import { pgProc, PROKIND_AGGREGATE, ProcedureRelationId } from './catalogs/pg_proc.ts';
import { pgRange } from './catalogs/pg_range.ts';
import { pgRewrite, RewriteRelationId } from './catalogs/pg_rewrite.ts';
import { pgSequence } from './catalogs/pg_sequence.ts';
import { pgStatistic, StatisticRelidAttnumInhIndexId } from './catalogs/pg_statistic.ts';
import { pgTrigger, TriggerRelationId } from './catalogs/pg_trigger.ts';
import { pgType, TypeRelationId, TYPTYPE_ENUM, TYPTYPE_RANGE } from './catalogs/pg_type.ts';
import type { CatalogWriter } from './catalogwriter.ts';
import type { ObjectAddress } from './objectaddress.ts';
import { deleteDependencyRecordsFor, deleteSharedDependencyRecordsFor } from './pg_depend.ts';
import { AGGFNOID, ATTNUM, INDEXRELID, PROCOID, RANGETYPE, RELOID, SEQRELID, TYPEOID } from './syscache.ts';

export async function deleteOneObject(w: CatalogWriter, object: ObjectAddress): Promise<void> {
  await deleteEntries(w, object);
  await deleteDependencyRecordsFor(w, object);
  await deleteSharedDependencyRecordsFor(w, object);
  await deleteComments(w, object);
  for (const row of await w.scan(pgInitPrivs, InitPrivsObjIndexId, object.objectId, object.classId))
    await w.delete(pgInitPrivs, row);
  w.commandCounterIncrement();
}

async function deleteComments(w: CatalogWriter, { classId, objectId, objectSubId }: ObjectAddress): Promise<void> {
  const key = objectSubId === 0 ? [objectId, classId] : [objectId, classId, objectSubId];
  for (const row of await w.scan(pgDescription, DescriptionObjIndexId, ...key)) await w.delete(pgDescription, row);
}

function deleteEntries(w: CatalogWriter, object: ObjectAddress): Promise<void> {
  const { objectId } = object;
  switch (object.classId) {
    case RelationRelationId:
      return object.objectSubId === 0 ? dropRelation(w, objectId) : dropColumn(w, objectId, object.objectSubId);
    case TypeRelationId:
      return dropType(w, objectId);
    case ConstraintRelationId:
      return dropConstraint(w, objectId);
    case AttrDefaultRelationId:
      return dropDefault(w, objectId);
    case ProcedureRelationId:
      return dropFunction(w, objectId);
    case RewriteRelationId:
      return dropOnRelation(w, pgRewrite, objectId, row => row.ev_class);
    case TriggerRelationId:
      return dropOnRelation(w, pgTrigger, objectId, row => row.tgrelid);
    default: {
      const catalog = ALL_CATALOGS.find(c => c.oid === object.classId);
      if (catalog === undefined || catalog.shared) throw notSupported(`dropping an object of class ${object.classId}`);
      return dropByOid(w, catalog, objectId);
    }
  }
}

/** The row with this oid in a catalog whose primary key is the oid. */
async function rowByOid<Row extends CatalogRow>(w: CatalogWriter, catalog: Catalog<Row>, oid: Oid): Promise<Row> {
  const index = catalog.indexes.find(
    i => i.primary && i.keys.length === 1 && catalog.columns[i.keys[0]! - 1]!.name === 'oid',
  );
  assert(index !== undefined, `${catalog.name} is indexed by oid`);
  const [row] = await w.scan(catalog, index.oid, oid);
  assert(row !== undefined, `${catalog.name} has a row with oid ${oid}`);
  return row;
}

async function dropByOid(w: CatalogWriter, catalog: Catalog, oid: Oid): Promise<void> {
  await w.delete(catalog, await rowByOid(w, catalog, oid));
}

async function dropOnRelation<Row extends CatalogRow>(
  w: CatalogWriter,
  catalog: Catalog<Row>,
  oid: Oid,
  relid: (row: Row) => Oid,
): Promise<void> {
  const row = await rowByOid(w, catalog, oid);
  await w.delete(catalog, row);
  w.invalidateRelation(relid(row));
}

async function dropRelation(w: CatalogWriter, oid: Oid): Promise<void> {
  const rel = await w.relation(oid);
  if (rel.rnode.relNode !== 0) w.store.dropStorage(rel.rnode);
  w.store.counts?.dropped(oid);
  const { relkind } = rel.rel;
  if (relkind === RELKIND_INDEX) {
    const index = (await w.search(INDEXRELID, oid))!;
    await w.delete(pgIndex, index);
    w.invalidateRelation(index.indrelid);
  } else {
    for (const row of await w.scan(pgInherits, InheritsRelidSeqnoIndexId, oid)) await w.delete(pgInherits, row);
  }
  if (relkind === RELKIND_SEQUENCE) await w.delete(pgSequence, (await w.search(SEQRELID, oid))!);
  await removeStatistics(w, oid);
  for (const row of await w.scan(pgAttribute, AttributeRelidNumIndexId, oid)) await w.delete(pgAttribute, row);
  await w.delete(pgClass, (await w.search(RELOID, oid))!);
}

/** `attnum` undefined: of all columns. */
async function removeStatistics(w: CatalogWriter, relid: Oid, attnum?: number): Promise<void> {
  const key = attnum === undefined ? [relid] : [relid, attnum];
  for (const row of await w.scan(pgStatistic, StatisticRelidAttnumInhIndexId, ...key)) await w.delete(pgStatistic, row);
}

/** A dropped column stays as a gap, so that stored rows can still be read. */
async function dropColumn(w: CatalogWriter, relid: Oid, attnum: number): Promise<void> {
  const attribute = (await w.search(ATTNUM, relid, attnum))!;
  await w.update(pgAttribute, attribute, {
    attname: `........pg.dropped.${attnum}........`,
    atttypid: 0 as Oid,
    attisdropped: true,
    attnotnull: false,
    attstattarget: 0,
    attgenerated: '',
    atthasmissing: false,
    attmissingval: null,
    attacl: null,
    attoptions: null,
    attfdwoptions: null,
  });
  await removeStatistics(w, relid, attnum);
}

async function dropType(w: CatalogWriter, oid: Oid): Promise<void> {
  const type = (await w.search(TYPEOID, oid))!;
  if (type.typtype === TYPTYPE_ENUM) {
    for (const label of await w.scan(pgEnum, EnumTypIdLabelIndexId, oid)) await w.delete(pgEnum, label);
  }
  if (type.typtype === TYPTYPE_RANGE) await w.delete(pgRange, (await w.search(RANGETYPE, oid))!);
  await w.delete(pgType, type);
}

async function dropConstraint(w: CatalogWriter, oid: Oid): Promise<void> {
  const constraint = await rowByOid(w, pgConstraint, oid);
  if (constraint.conrelid !== 0) {
    if (constraint.contype === CONSTRAINT_CHECK) {
      const rel = (await w.search(RELOID, constraint.conrelid))!;
      await w.update(pgClass, rel, { relchecks: rel.relchecks - 1 });
    }
    w.invalidateRelation(constraint.conrelid);
  }
  await w.delete(pgConstraint, constraint);
}

async function dropDefault(w: CatalogWriter, oid: Oid): Promise<void> {
  const row = await rowByOid(w, pgAttrdef, oid);
  await w.delete(pgAttrdef, row);
  const attribute = await w.search(ATTNUM, row.adrelid, row.adnum);
  if (attribute !== null) await w.update(pgAttribute, attribute, { atthasdef: false });
}

async function dropFunction(w: CatalogWriter, oid: Oid): Promise<void> {
  const proc = (await w.search(PROCOID, oid))!;
  if (proc.prokind === PROKIND_AGGREGATE) await w.delete(pgAggregate, (await w.search(AGGFNOID, oid))!);
  await w.delete(pgProc, proc);
}
