/**
 * CREATE, ALTER and DROP ROLE; GRANT and REVOKE of membership.
 */
import { ROLE_PG_DATABASE_OWNER, TIMESTAMPTZOID } from '@pgtroupe/common/oids';
import { AclCheck } from '@pgtroupe/catalog/aclchk';
import { AuthIdRelationId, type Form_pg_authid, pgAuthid } from '@pgtroupe/catalog/catalogs/pg_authid';
import {
  AuthMemMemRoleIndexId,
  AuthMemRoleMemIndexId,
  pgAuthMembers,
} from '@pgtroupe/catalog/catalogs/pg_auth_members';
import { pgShdepend, SharedDependReferenceIndexId } from '@pgtroupe/catalog/catalogs/pg_shdepend';
import { pgShdescription, SharedDescriptionObjIndexId } from '@pgtroupe/catalog/catalogs/pg_shdescription';
import { objectAddress } from '@pgtroupe/catalog/objectaddress';
import { isPinnedObject } from '@pgtroupe/catalog/pinned';
import { AUTHMEMROLEMEM, AUTHNAME, AUTHOID, DATABASEOID } from '@pgtroupe/catalog/syscache';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import {
  formatScramSecret,
  parseScramSecret,
  SCRAM_DEFAULT_SALT_LEN,
  scramSecret,
} from '@pgtroupe/common/scram-common';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { stringTypeDatum } from '@pgtroupe/parser/parse_type';
import type { CommandContext } from './command-context.ts';
import { dropRoleSettings } from './dbrolesetting.ts';
import { checkNotReserved, denied, resolveRole, type Role } from './rolespec.ts';

/** Option names of the grammar, and the columns they set. */
const FLAGS: Readonly<Record<string, keyof Form_pg_authid>> = {
  superuser: 'rolsuper',
  inherit: 'rolinherit',
  createrole: 'rolcreaterole',
  createdb: 'rolcreatedb',
  canlogin: 'rolcanlogin',
  isreplication: 'rolreplication',
  bypassrls: 'rolbypassrls',
};
const LISTS = new Set(['addroleto', 'rolemembers', 'adminmembers']);

type Settings = { -readonly [K in keyof Form_pg_authid]?: Form_pg_authid[K] };

async function currentRole(context: CommandContext): Promise<Form_pg_authid> {
  return (await context.w.search(AUTHOID, context.session.userId))!;
}

/** What the options say about the role's own row. */
async function roleSettings(context: CommandContext, options: readonly RawNode[]): Promise<Settings> {
  const settings: Settings = {};
  const seen = new Set<string>();
  for (const option of options) {
    const name: string = option.defname;
    if (seen.has(name)) throw context.error(ERRCODE.SYNTAX_ERROR, 'conflicting or redundant options', option);
    seen.add(name);
    const flag = FLAGS[name];
    if (flag !== undefined) (settings as Record<string, unknown>)[flag] = option.arg?.boolval ?? false;
    else if (name === 'password') settings.rolpassword = storedPassword(context, option.arg?.sval);
    else if (name === 'connectionlimit') {
      const limit: number = option.arg.ival ?? 0;
      if (limit < -1) throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `invalid connection limit: ${limit}`);
      settings.rolconnlimit = limit;
    } else if (name === 'validUntil') {
      const text: string = option.arg.sval ?? '';
      settings.rolvaliduntil = await context.w.read(
        () => stringTypeDatum(context.parseState(), context.lookup.type(TIMESTAMPTZOID), text, -1) as number,
      );
    } else if (name === 'sysid') context.notice('SYSID can no longer be specified');
    else if (!LISTS.has(name)) throw ereport(ERRCODE.INTERNAL_ERROR, `option "${name}" not recognized`);
  }
  return settings;
}

/** A password as it is stored: a SCRAM secret, unless it is one already. PASSWORD NULL clears it. */
function storedPassword(context: CommandContext, password: string | undefined): string | null {
  if (password === undefined) return null;
  if (password === '') {
    context.notice('empty string is not a valid password, clearing password');
    return null;
  }
  if (parseScramSecret(password) !== undefined) return password;
  const { saltBytes } = context.session;
  if (saltBytes === undefined) throw notSupported('a password here');
  return formatScramSecret(scramSecret(password, saltBytes(SCRAM_DEFAULT_SALT_LEN)));
}

export async function createRole(context: CommandContext, stmt: RawNode): Promise<Oid> {
  const { w } = context;
  const options: readonly RawNode[] = stmt.options ?? [];
  const settings = await roleSettings(context, options);
  const me = await currentRole(context);
  if (!me.rolsuper) {
    if (settings.rolsuper) throw denied('must be superuser to create superusers');
    if (settings.rolreplication) throw denied('must be superuser to create replication users');
    if (settings.rolbypassrls) throw denied('must be superuser to create bypassrls users');
    if (!me.rolcreaterole) throw denied('permission denied to create role');
  }
  const name: string = stmt.role;
  if (name.startsWith('pg_')) {
    throw ereport(ERRCODE.RESERVED_NAME, `role name "${name}" is reserved`, {
      detail: 'Role names starting with "pg_" are reserved.',
    });
  }
  if ((await w.search(AUTHNAME, name)) !== null)
    throw ereport(ERRCODE.DUPLICATE_OBJECT, `role "${name}" already exists`);
  const oid = await w.newOid(AUTHOID);
  await w.insert<Form_pg_authid>(pgAuthid, {
    oid,
    rolname: name,
    rolsuper: false,
    rolinherit: true,
    rolcreaterole: false,
    rolcreatedb: false,
    rolcanlogin: stmt.stmt_type === 'ROLESTMT_USER',
    rolreplication: false,
    rolbypassrls: false,
    rolconnlimit: -1,
    rolpassword: null,
    rolvaliduntil: null,
    ...settings,
  });
  w.commandCounterIncrement();
  const list = (option: string): readonly RawNode[] => options.find(o => o.defname === option)?.arg.items ?? [];
  const self = { oid, name };
  for (const spec of list('addroleto')) await addMember(context, await resolveRole(context, spec), self, false);
  for (const spec of list('adminmembers')) await addMember(context, self, await resolveRole(context, spec), true);
  for (const spec of list('rolemembers')) await addMember(context, self, await resolveRole(context, spec), false);
  return oid;
}

export async function alterRole(context: CommandContext, stmt: RawNode): Promise<void> {
  const { w } = context;
  const options: readonly RawNode[] = stmt.options ?? [];
  const role = await resolveRole(context, stmt.role);
  const row = (await w.search(AUTHOID, role.oid))!;
  checkNotReserved(row);
  const settings = await roleSettings(
    context,
    options.filter(o => o.defname !== 'rolemembers'),
  );
  const me = await currentRole(context);
  if (!me.rolsuper) {
    if (row.rolsuper || settings.rolsuper !== undefined)
      throw denied('must be superuser to alter superuser roles or change superuser attribute');
    if (row.rolreplication || settings.rolreplication !== undefined) {
      throw denied('must be superuser to alter replication roles or change replication attribute');
    }
    if (settings.rolbypassrls !== undefined) throw denied('must be superuser to change bypassrls attribute');
    const onlyPassword = Object.keys(settings).every(key => key === 'rolpassword') && role.oid === me.oid;
    if (!me.rolcreaterole && !onlyPassword) throw denied('permission denied');
  }
  await w.update(pgAuthid, row, settings);
  w.commandCounterIncrement();
  const members: readonly RawNode[] = options.find(o => o.defname === 'rolemembers')?.arg.items ?? [];
  for (const spec of members) {
    const member = await resolveRole(context, spec);
    if (stmt.action === 1) await addMember(context, role, member, false);
    else await removeMember(context, role, member, false);
  }
}

export async function dropRole(context: CommandContext, stmt: RawNode): Promise<void> {
  const { w, session } = context;
  const me = await currentRole(context);
  if (!me.rolsuper && !me.rolcreaterole) throw denied('permission denied to drop role');
  for (const spec of stmt.roles as RawNode[]) {
    if (spec.roletype !== undefined && spec.roletype !== 'ROLESPEC_CSTRING') {
      throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, 'cannot use special role specifier in DROP ROLE');
    }
    const row = await w.search(AUTHNAME, spec.rolename);
    if (row === null) {
      const message = `role "${spec.rolename}" does not exist`;
      if (!stmt.missing_ok) throw ereport(ERRCODE.UNDEFINED_OBJECT, message);
      context.notice(`${message}, skipping`);
      continue;
    }
    if (row.oid === session.userId) throw ereport(ERRCODE.OBJECT_IN_USE, 'current user cannot be dropped');
    if (row.rolsuper && !me.rolsuper) throw denied('must be superuser to drop superusers');
    if (isPinnedObject(AuthIdRelationId, row.oid)) {
      throw ereport(
        ERRCODE.DEPENDENT_OBJECTS_STILL_EXIST,
        `cannot drop role ${row.rolname} because it is required by the database system`,
      );
    }
    await refuseIfNeeded(context, row);
    for (const member of await w.scan(pgAuthMembers, AuthMemRoleMemIndexId, row.oid))
      await w.delete(pgAuthMembers, member);
    for (const member of await w.scan(pgAuthMembers, AuthMemMemRoleIndexId, row.oid))
      await w.delete(pgAuthMembers, member);
    for (const comment of await w.scan(pgShdescription, SharedDescriptionObjIndexId, row.oid, AuthIdRelationId))
      await w.delete(pgShdescription, comment);
    await dropRoleSettings(context, row.oid);
    await w.delete(pgAuthid, row);
    w.commandCounterIncrement();
  }
}

/** Objects the role owns or has rights on, here or in other databases. */
async function refuseIfNeeded(context: CommandContext, role: Form_pg_authid): Promise<void> {
  const { w } = context;
  const lines: string[] = [];
  const elsewhere = new Map<Oid, number>();
  for (const row of await w.scan(pgShdepend, SharedDependReferenceIndexId, AuthIdRelationId, role.oid)) {
    if (row.dbid !== 0 && row.dbid !== w.databaseOid) {
      elsewhere.set(row.dbid, (elsewhere.get(row.dbid) ?? 0) + 1);
      continue;
    }
    const what = await w.describe(objectAddress(row.classid, row.objid, row.objsubid));
    lines.push(row.deptype === 'o' ? `owner of ${what}` : `privileges for ${what}`);
  }
  for (const [dbid, count] of elsewhere) {
    const name = (await w.search(DATABASEOID, dbid))?.datname ?? dbid;
    lines.push(`${count} object${count === 1 ? '' : 's'} in database ${name}`);
  }
  if (lines.length === 0) return;
  throw ereport(
    ERRCODE.DEPENDENT_OBJECTS_STILL_EXIST,
    `role "${role.rolname}" cannot be dropped because some objects depend on it`,
    {
      detail: lines.join('\n'),
    },
  );
}

/** GRANT role TO member, REVOKE role FROM member. */
export async function grantRole(context: CommandContext, stmt: RawNode): Promise<void> {
  for (const spec of stmt.granted_roles as RawNode[]) {
    const role = await resolveRole(context, spec);
    for (const memberSpec of stmt.grantee_roles as RawNode[]) {
      const member = await resolveRole(context, memberSpec);
      const admin = (stmt.opt as RawNode[] | undefined)?.some(o => o.defname === 'admin') ?? stmt.admin_opt ?? false;
      if (stmt.is_grant) await addMember(context, role, member, admin);
      else await removeMember(context, role, member, admin);
    }
  }
}

async function checkMayGrant(context: CommandContext, role: Role): Promise<void> {
  const { w } = context;
  const me = await currentRole(context);
  if (me.rolsuper) return;
  if ((await w.search(AUTHOID, role.oid))!.rolsuper) throw denied('must be superuser to alter superusers');
  const admin = (await w.search(AUTHMEMROLEMEM, role.oid, me.oid))?.admin_option ?? false;
  if (!me.rolcreaterole && !admin) throw denied(`must have admin option on role "${role.name}"`);
}

async function addMember(context: CommandContext, role: Role, member: Role, admin: boolean): Promise<void> {
  const { w, session } = context;
  await checkMayGrant(context, role);
  if (role.oid === ROLE_PG_DATABASE_OWNER)
    throw ereport(ERRCODE.INTERNAL_ERROR, `role "${role.name}" cannot have explicit members`);
  if (member.oid === ROLE_PG_DATABASE_OWNER)
    throw ereport(ERRCODE.INTERNAL_ERROR, `role "${member.name}" cannot be a member of any role`);
  const circular = await w.read(catalog =>
    new AclCheck(catalog, w.databaseOid).rolesIsMemberOf(role.oid, false).has(member.oid),
  );
  if (circular)
    throw ereport(ERRCODE.INVALID_GRANT_OPERATION, `role "${role.name}" is a member of role "${member.name}"`);
  const old = await w.search(AUTHMEMROLEMEM, role.oid, member.oid);
  if (old !== null && (!admin || old.admin_option)) {
    context.notice(`role "${member.name}" is already a member of role "${role.name}"`);
    return;
  }
  if (old !== null) await w.update(pgAuthMembers, old, { grantor: session.userId, admin_option: admin });
  else
    await w.insert(pgAuthMembers, {
      roleid: role.oid,
      member: member.oid,
      grantor: session.userId,
      admin_option: admin,
    });
  w.commandCounterIncrement();
}

async function removeMember(context: CommandContext, role: Role, member: Role, onlyAdmin: boolean): Promise<void> {
  const { w } = context;
  await checkMayGrant(context, role);
  const old = await w.search(AUTHMEMROLEMEM, role.oid, member.oid);
  if (old === null) {
    w.store.notice(`role "${member.name}" is not a member of role "${role.name}"`, {
      severity: 'WARNING',
      sqlstate: ERRCODE.WARNING,
    });
    return;
  }
  if (onlyAdmin) await w.update(pgAuthMembers, old, { admin_option: false });
  else await w.delete(pgAuthMembers, old);
  w.commandCounterIncrement();
}
