/**
 * CREATE SCHEMA.
 */
import { ACL_CREATE } from '@pgtroupe/catalog/acl';
import { NamespaceRelationId, pgNamespace } from '@pgtroupe/catalog/catalogs/pg_namespace';
import { recordDependencyOnOwner } from '@pgtroupe/catalog/pg_depend';
import { AUTHNAME, NAMESPACENAME, NAMESPACEOID } from '@pgtroupe/catalog/syscache';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import type { CommandContext } from './command-context.ts';

/** The role a RoleSpec means. */
export async function resolveRole(
  context: CommandContext,
  role: RawNode,
): Promise<{ readonly oid: Oid; readonly name: string }> {
  if (role.roletype !== undefined && role.roletype !== 'ROLESPEC_CSTRING') {
    if (role.roletype === 'ROLESPEC_PUBLIC') throw ereport(ERRCODE.UNDEFINED_OBJECT, 'role "public" does not exist');
    return { oid: context.session.userId, name: context.session.userName };
  }
  const row = await context.w.search(AUTHNAME, role.rolename);
  if (row === null) throw ereport(ERRCODE.UNDEFINED_OBJECT, `role "${role.rolename}" does not exist`);
  return { oid: row.oid, name: row.rolname };
}

/** Returns its oid; 0 when IF NOT EXISTS found one. */
export async function createSchema(context: CommandContext, stmt: RawNode): Promise<Oid> {
  const { w, session } = context;
  if (stmt.schemaElts) throw notSupported('CREATE SCHEMA with elements');
  const owner = stmt.authrole
    ? await resolveRole(context, stmt.authrole)
    : { oid: session.userId, name: session.userName };
  const name: string = stmt.schemaname ?? owner.name;
  await context.checkRight('database', w.databaseOid, ACL_CREATE, session.databaseName);
  if (!(await context.judge((acl, userId) => acl.isMemberOfRole(userId, owner.oid)))) {
    throw ereport(ERRCODE.INSUFFICIENT_PRIVILEGE, `must be member of role "${owner.name}"`);
  }
  if (/^pg_/.test(name)) {
    throw ereport(ERRCODE.RESERVED_NAME, `unacceptable schema name "${name}"`, {
      detail: 'The prefix "pg_" is reserved for system schemas.',
    });
  }
  if ((await w.search(NAMESPACENAME, name)) !== null) {
    if (!stmt.if_not_exists) throw ereport(ERRCODE.DUPLICATE_SCHEMA, `schema "${name}" already exists`);
    context.notice(`schema "${name}" already exists, skipping`, ERRCODE.DUPLICATE_SCHEMA);
    return 0 as Oid;
  }
  const oid = await w.newOid(NAMESPACEOID);
  await w.insert(pgNamespace, { oid, nspname: name, nspowner: owner.oid, nspacl: null });
  await recordDependencyOnOwner(w, NamespaceRelationId, oid, owner.oid);
  w.commandCounterIncrement();
  return oid;
}
