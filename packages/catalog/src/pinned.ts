/**
 * OIDs that are fixed, and which objects are part of the system for good.
 */
import { PG_PUBLIC_NAMESPACE } from '@pgtroupe/common/oids';
import type { Oid } from '@pgtroupe/common/ids';
import { DatabaseRelationId } from './catalogs/pg_database.ts';
import { LargeObjectRelationId } from './catalogs/pg_largeobject.ts';
import { NamespaceRelationId } from './catalogs/pg_namespace.ts';

/** Objects with lower oids are built in. */
export const FIRST_UNPINNED_OBJECT_ID = 12000;

/** Can the object never be dropped, so that dependencies on it need not be recorded? */
export function isPinnedObject(classId: Oid, objectId: Oid): boolean {
  if (objectId >= FIRST_UNPINNED_OBJECT_ID) return false;
  if (classId === LargeObjectRelationId || classId === DatabaseRelationId) return false;
  return !(classId === NamespaceRelationId && objectId === PG_PUBLIC_NAMESPACE);
}
