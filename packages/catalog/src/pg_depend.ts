/**
 * Recording what needs what, in pg_depend and (for owners) pg_shdepend.
 *
 * Nothing is recorded about built-in referenced objects: they can never be dropped.
 */
import type { Oid } from '@pgtroupe/common/ids';
import { AuthIdRelationId } from './catalogs/pg_authid.ts';
import { DependDependerIndexId, pgDepend } from './catalogs/pg_depend.ts';
import { pgShdepend, SharedDependDependerIndexId } from './catalogs/pg_shdepend.ts';
import type { CatalogWriter } from './catalogwriter.ts';
import type { ObjectAddress } from './objectaddress.ts';
import { isPinnedObject } from './pinned.ts';

/** Dropping the referenced object needs CASCADE. */
export const DEPENDENCY_NORMAL = 'n';
/** The depender goes with the referenced object without asking. */
export const DEPENDENCY_AUTO = 'a';
/** The depender is part of the referenced object and can only be dropped through it. */
export const DEPENDENCY_INTERNAL = 'i';
export const DEPENDENCY_PARTITION_PRI = 'P';
export const DEPENDENCY_PARTITION_SEC = 'S';
/** Member of an extension. */
export const DEPENDENCY_EXTENSION = 'e';
export const DEPENDENCY_AUTO_EXTENSION = 'x';
export type DependencyType = 'n' | 'a' | 'i' | 'P' | 'S' | 'e' | 'x';
export const SHARED_DEPENDENCY_ACL = 'a';
const SHARED_DEPENDENCY_OWNER = 'o';

export async function recordDependencyOn(
  w: CatalogWriter,
  depender: ObjectAddress,
  referenced: ObjectAddress,
  deptype: DependencyType,
): Promise<void> {
  if (isPinnedObject(referenced.classId, referenced.objectId)) return;
  await w.insert(pgDepend, {
    classid: depender.classId,
    objid: depender.objectId,
    objsubid: depender.objectSubId,
    refclassid: referenced.classId,
    refobjid: referenced.objectId,
    refobjsubid: referenced.objectSubId,
    deptype,
  });
}

export async function recordDependenciesOn(
  w: CatalogWriter,
  depender: ObjectAddress,
  referenced: Iterable<ObjectAddress>,
  deptype: DependencyType,
): Promise<void> {
  const seen = new Set<string>();
  for (const object of referenced) {
    const key = `${object.classId} ${object.objectId} ${object.objectSubId}`;
    if (seen.has(key)) continue;
    seen.add(key);
    await recordDependencyOn(w, depender, object, deptype);
  }
}

export async function recordDependencyOnOwner(
  w: CatalogWriter,
  classId: Oid,
  objectId: Oid,
  owner: Oid,
): Promise<void> {
  if (isPinnedObject(AuthIdRelationId, owner)) return;
  await w.insert(pgShdepend, {
    dbid: w.databaseOid,
    classid: classId,
    objid: objectId,
    objsubid: 0,
    refclassid: AuthIdRelationId,
    refobjid: owner,
    deptype: SHARED_DEPENDENCY_OWNER,
  });
}

/** Another role owns the object. Rights that the role was granted before are the owner's now, and no matter of pg_shdepend. */
export async function changeDependencyOnOwner(
  w: CatalogWriter,
  classId: Oid,
  objectId: Oid,
  owner: Oid,
): Promise<void> {
  for (const row of await w.scan(pgShdepend, SharedDependDependerIndexId, w.databaseOid, classId, objectId)) {
    if (row.refclassid !== AuthIdRelationId) continue;
    const granted = row.deptype === SHARED_DEPENDENCY_ACL && row.refobjid === owner;
    if (granted || row.deptype === SHARED_DEPENDENCY_OWNER) await w.delete(pgShdepend, row);
  }
  await recordDependencyOnOwner(w, classId, objectId, owner);
}

/** Forgets what an object depends on. A whole object's columns are included. */
export async function deleteDependencyRecordsFor(w: CatalogWriter, object: ObjectAddress): Promise<void> {
  const { classId, objectId, objectSubId } = object;
  const key = objectSubId === 0 ? [classId, objectId] : [classId, objectId, objectSubId];
  for (const row of await w.scan(pgDepend, DependDependerIndexId, ...key)) await w.delete(pgDepend, row);
}

export async function deleteSharedDependencyRecordsFor(w: CatalogWriter, object: ObjectAddress): Promise<void> {
  const { classId, objectId } = object;
  for (const row of await w.scan(pgShdepend, SharedDependDependerIndexId, w.databaseOid, classId, objectId))
    await w.delete(pgShdepend, row);
}
