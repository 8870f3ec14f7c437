/**
 * OIDs that are fixed, and which objects are part of the system for good.
 */
import type { Oid } from '@pgtroupe/common/ids';
import { DatabaseRelationId } from './catalogs/pg_database.ts';
import { LargeObjectRelationId } from './catalogs/pg_largeobject.ts';
import { NamespaceRelationId } from './catalogs/pg_namespace.ts';

export const PG_CATALOG_NAMESPACE = 11 as Oid;
export const PG_TOAST_NAMESPACE = 99 as Oid;
export const PG_PUBLIC_NAMESPACE = 2200 as Oid;
export const BOOTSTRAP_SUPERUSERID = 10 as Oid;
export const HEAP_TABLE_AM_OID = 2 as Oid;
export const BTREE_AM_OID = 403 as Oid;
export const DEFAULT_COLLATION_OID = 100 as Oid;
export const DEFAULTTABLESPACE_OID = 1663 as Oid;
export const GLOBALTABLESPACE_OID = 1664 as Oid;
/** Objects with lower oids are built in. */
export const FIRST_UNPINNED_OBJECT_ID = 12000;

/** Can the object never be dropped, so that dependencies on it need not be recorded? */
export function isPinnedObject(classId: Oid, objectId: Oid): boolean {
  if (objectId >= FIRST_UNPINNED_OBJECT_ID) return false;
  if (classId === LargeObjectRelationId || classId === DatabaseRelationId) return false;
  return !(classId === NamespaceRelationId && objectId === PG_PUBLIC_NAMESPACE);
}
