/**
 * Naming any object: the catalog it is in, its oid there, and a column number where it is a column.
 */
import type { Oid } from '@pgtroupe/common/ids';

export interface ObjectAddress {
  readonly classId: Oid;
  readonly objectId: Oid;
  /** Column of a relation, otherwise 0. */
  readonly objectSubId: number;
}

export function objectAddress(classId: Oid, objectId: Oid, objectSubId = 0): ObjectAddress {
  return { classId, objectId, objectSubId };
}

export function sameObject(a: ObjectAddress, b: ObjectAddress): boolean {
  return a.classId === b.classId && a.objectId === b.objectId && a.objectSubId === b.objectSubId;
}
