/**
 * Permission checks of statements, with PostgreSQL's messages.
 */
import { ACL_EXECUTE } from '@pgtroupe/catalog/acl';
import { AclCheck, type RoleReader } from '@pgtroupe/catalog/aclchk';
import type { Form_pg_class } from '@pgtroupe/catalog/catalogs/pg_class';
import { NAMESPACEOID, PROCOID, RELOID } from '@pgtroupe/catalog/syscache';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import { FIRST_LOW_INVALID_HEAP_ATTRIBUTE_NUMBER, RTE_RELATION } from '@pgtroupe/nodes/nodes';
import type { RangeTblEntry } from '@pgtroupe/nodes/parsenodes';

const WORDS: Readonly<Record<string, string>> = {
  r: 'table',
  p: 'table',
  v: 'view',
  S: 'sequence',
  m: 'materialized view',
  f: 'foreign table',
  i: 'index',
  c: 'type',
};

export function permissionDenied(relkind: string, name: string): Error {
  return ereport(ERRCODE.INSUFFICIENT_PRIVILEGE, `permission denied for ${WORDS[relkind] ?? 'table'} ${name}`);
}

/** ExecCheckRTPerms: fails at the first relation that the user may not use as the query does. */
export function checkRangeTablePermissions(
  acl: AclCheck,
  catalog: RoleReader,
  userId: Oid,
  rtable: readonly RangeTblEntry[],
): void {
  const attnums = (columns: readonly number[]): number[] =>
    columns.map(n => n + FIRST_LOW_INVALID_HEAP_ATTRIBUTE_NUMBER);
  for (const rte of rtable) {
    if (rte.rtekind !== RTE_RELATION || rte.requiredPerms === 0) continue;
    const rel = catalog.search(RELOID, rte.relid);
    if (rel === null) continue;
    const role = (rte.checkAsUser || userId) as Oid;
    const use = {
      requiredPerms: rte.requiredPerms,
      selected: attnums(rte.selectedCols),
      inserted: attnums(rte.insertedCols),
      updated: attnums(rte.updatedCols),
    };
    if (!acl.relationUse(rel, role, use)) throw permissionDenied(rel.relkind, rel.relname);
  }
}

/** Fails at the first function that the user may not call. */
export function checkFunctionPermissions(
  acl: AclCheck,
  catalog: RoleReader,
  userId: Oid,
  functions: readonly Oid[],
): void {
  for (const oid of functions) {
    if (acl.objectCheck('function', oid, userId, ACL_EXECUTE)) continue;
    const name = catalog.search(PROCOID, oid)?.proname ?? oid;
    throw ereport(ERRCODE.INSUFFICIENT_PRIVILEGE, `permission denied for function ${name}`);
  }
}

/** Fails unless the role has the right on the relation. */
export function checkRelation(acl: AclCheck, rel: Form_pg_class, userId: Oid, right: number): void {
  if (acl.classMask(rel, userId, right) === 0) throw permissionDenied(rel.relkind, rel.relname);
}

/** Fails unless the role may use, or create in, the schema. */
export function checkSchema(catalog: RoleReader, databaseOid: Oid, userId: Oid, namespace: Oid, right: number): void {
  const row = catalog.search(NAMESPACEOID, namespace);
  if (row === null) return;
  if (new AclCheck(catalog, databaseOid).objectCheck('schema', namespace, userId, right)) return;
  throw ereport(ERRCODE.INSUFFICIENT_PRIVILEGE, `permission denied for schema ${row.nspname}`);
}
