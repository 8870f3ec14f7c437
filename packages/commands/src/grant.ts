/**
 * GRANT and REVOKE: how the access lists of objects change (granttargets.ts finds them).
 */
import {
  ACL_CONNECT,
  ACL_CREATE,
  ACL_CREATE_TEMP,
  ACL_DELETE,
  ACL_EXECUTE,
  ACL_INSERT,
  ACL_REFERENCES,
  ACL_SELECT,
  ACL_TRIGGER,
  ACL_TRUNCATE,
  ACL_UPDATE,
  ACL_USAGE,
} from '@pgtroupe/catalog/acl';
import {
  ACL_ALL_RIGHTS_COLUMN,
  ACL_ID_PUBLIC,
  AclCheck,
  aclDefault,
  type AclObject,
  allRights,
} from '@pgtroupe/catalog/aclchk';
import type { AclItem } from '@pgtroupe/catalog/catalog';
import { AuthIdRelationId } from '@pgtroupe/catalog/catalogs/pg_authid';
import { pgShdepend, SharedDependDependerIndexId } from '@pgtroupe/catalog/catalogs/pg_shdepend';
import { SHARED_DEPENDENCY_ACL } from '@pgtroupe/catalog/pg_depend';
import { isPinnedObject } from '@pgtroupe/catalog/pinned';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported, type PgError } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { rawStrings } from '@pgtroupe/parser/parse_node';
import { type AclChange, changeAcl } from './aclupdate.ts';
import type { CommandContext } from './command-context.ts';
import { checkObjectsExist, grantTargets, type Target, type Wanted } from './granttargets.ts';
import { resolveRole } from './schemacmds.ts';

const PRIVILEGES: Readonly<Record<string, number>> = {
  insert: ACL_INSERT,
  select: ACL_SELECT,
  update: ACL_UPDATE,
  delete: ACL_DELETE,
  truncate: ACL_TRUNCATE,
  references: ACL_REFERENCES,
  trigger: ACL_TRIGGER,
  execute: ACL_EXECUTE,
  usage: ACL_USAGE,
  create: ACL_CREATE,
  temporary: ACL_CREATE_TEMP,
  temp: ACL_CREATE_TEMP,
  connect: ACL_CONNECT,
};

export async function grantObjects(context: CommandContext, stmt: RawNode): Promise<void> {
  if (stmt.targtype === 'ACL_TARGET_DEFAULTS') throw notSupported('ALTER DEFAULT PRIVILEGES');
  if (stmt.objtype === 'OBJECT_PARAMETER_ACL') throw notSupported('GRANT and REVOKE ON PARAMETER');
  await checkObjectsExist(context, stmt);
  const grantees: Oid[] = [];
  for (const spec of stmt.grantees as RawNode[]) {
    grantees.push(spec.roletype === 'ROLESPEC_PUBLIC' ? ACL_ID_PUBLIC : (await resolveRole(context, spec)).oid);
  }
  const wanted = wantedPrivileges(stmt);
  for await (const target of grantTargets(context, stmt, wanted))
    await changeTarget(context, stmt, target.target, target.privileges, grantees);
  context.w.commandCounterIncrement();
}

function wantedPrivileges({ privileges: list, objtype }: RawNode): Wanted {
  if (list === undefined) return { privileges: -1, columns: [] };
  // A table may turn out to be a sequence; its kind's own rights are asked for when it is known.
  const [all, word] =
    objtype === 'OBJECT_TABLE'
      ? [allRights('relation') | allRights('sequence'), 'relation']
      : [allRights(KIND_OF_OBJECT[objtype as string] ?? 'function'), objectWord(objtype)];
  let privileges = 0;
  const columns: { privileges: number; names: string[] }[] = [];
  for (const item of list as readonly RawNode[]) {
    if (item.cols) {
      if (objtype !== 'OBJECT_TABLE')
        throw ereport(ERRCODE.INVALID_GRANT_OPERATION, 'column privileges are only valid for relations');
      columns.push({ privileges: item.priv_name === undefined ? -1 : rightOf(item), names: rawStrings(item.cols) });
      continue;
    }
    const right = rightOf(item);
    if ((right & ~all) !== 0) throw invalidPrivilege(item.priv_name, word);
    privileges |= right;
  }
  return { privileges, columns };
}

const KIND_OF_OBJECT: Readonly<Record<string, AclObject>> = {
  OBJECT_SEQUENCE: 'sequence',
  OBJECT_DATABASE: 'database',
  OBJECT_DOMAIN: 'type',
  OBJECT_TYPE: 'type',
  OBJECT_LANGUAGE: 'language',
  OBJECT_SCHEMA: 'schema',
};

function rightOf({ priv_name: name }: RawNode): number {
  const right = PRIVILEGES[name];
  if (right === undefined) throw ereport(ERRCODE.SYNTAX_ERROR, `unrecognized privilege type "${name}"`);
  return right;
}

const objectWord = (objtype: string): string => objtype.replace('OBJECT_', '').toLowerCase();

const invalidPrivilege = (name: string, word: string): PgError =>
  ereport(ERRCODE.INVALID_GRANT_OPERATION, `invalid privilege type ${name.toUpperCase()} for ${word}`);

function wordOf(stmt: RawNode, { kind }: Target): string {
  if (kind === 'relation') return 'table';
  if (kind !== 'function') return kind;
  return objectWord(stmt.objtype);
}

async function changeTarget(
  context: CommandContext,
  stmt: RawNode,
  target: Target,
  privileges: number,
  grantees: readonly Oid[],
): Promise<void> {
  const { w, session } = context;
  const all = target.kind === 'column' ? ACL_ALL_RIGHTS_COLUMN : allRights(target.kind);
  const wanted = privileges === -1 ? all : supported(context, stmt, target, privileges, all);
  if ((wanted & ~all) !== 0) {
    const letter = Object.keys(PRIVILEGES).find(name => (PRIVILEGES[name]! & wanted & ~all) !== 0)!;
    throw invalidPrivilege(letter, wordOf(stmt, target));
  }
  const old = target.acl ?? aclDefault(target.kind, target.owner);
  const { grantor, options } = await w.read(catalog => {
    const acl = new AclCheck(catalog, w.databaseOid);
    if (acl.hasPrivsOfRole(session.userId, target.owner)) return { grantor: target.owner, options: wanted };
    const mask = (wanted << 16) >>> 0;
    return {
      grantor: session.userId,
      options: acl.aclMask(old, target.owner, session.userId, mask) >>> 16,
    };
  });
  if (options === 0) {
    const any = (all | (all << 16)) >>> 0;
    if (!(await context.judge((acl, userId) => heldMask(acl, target, userId, any) !== 0))) {
      throw ereport(ERRCODE.INSUFFICIENT_PRIVILEGE, `permission denied for ${target.word} ${target.name}`);
    }
  }
  warnUnlessAll(context, stmt, target, wanted, options, privileges === -1);
  const change: AclChange = {
    grant: stmt.is_grant ?? false,
    grantees,
    grantor,
    owner: target.owner,
    privileges: options,
    grantOption: stmt.grant_option ?? false,
    cascade: stmt.behavior === 'DROP_CASCADE',
  };
  const acl = changeAcl(old, change);
  await target.write(acl);
  await updateDependencies(context, target, acl);
  w.commandCounterIncrement();
}

/** GRANT ON TABLE of a sequence used to take any right. */
function supported({ w }: CommandContext, stmt: RawNode, target: Target, privileges: number, all: number): number {
  if (target.kind !== 'sequence' || stmt.objtype !== 'OBJECT_TABLE' || (privileges & ~all) === 0) return privileges;
  w.store.notice(`sequence "${target.name}" only supports USAGE, SELECT, and UPDATE privileges`, {
    severity: 'WARNING',
    sqlstate: ERRCODE.INVALID_GRANT_OPERATION,
  });
  return privileges & all;
}

/** Having any right on an object is enough to be warned only. */
function heldMask(acl: AclCheck, target: Target, role: Oid, mask: number): number {
  switch (target.kind) {
    case 'relation':
    case 'sequence':
      return acl.relationMask(target.oid, role, mask) ?? 0;
    case 'column':
      return (acl.relationMask(target.oid, role, mask) ?? 0) | acl.aclMask(target.acl ?? [], target.owner, role, mask);
    case 'large object':
    case 'parameter':
      return acl.aclMask(target.acl ?? [], target.owner, role, mask);
    default:
      return acl.objectMask(target.kind, target.oid, role, mask) ?? 0;
  }
}

function warnUnlessAll(
  context: CommandContext,
  stmt: RawNode,
  target: Target,
  wanted: number,
  options: number,
  isAll: boolean,
): void {
  if (options === wanted) return;
  const verb = stmt.is_grant ? 'granted' : 'could be revoked';
  if (options === 0) {
    const message = stmt.is_grant
      ? `no privileges were granted for ${target.quoted}`
      : `no privileges could be revoked for ${target.quoted}`;
    context.w.store.notice(message, {
      severity: 'WARNING',
      sqlstate: stmt.is_grant ? ERRCODE.WARNING_PRIVILEGE_NOT_GRANTED : ERRCODE.WARNING_PRIVILEGE_NOT_REVOKED,
    });
  } else if (!isAll) {
    const message = `not all privileges ${stmt.is_grant ? 'were ' : ''}${verb} for ${target.quoted}`;
    context.w.store.notice(message, {
      severity: 'WARNING',
      sqlstate: stmt.is_grant ? ERRCODE.WARNING_PRIVILEGE_NOT_GRANTED : ERRCODE.WARNING_PRIVILEGE_NOT_REVOKED,
    });
  }
}

/** pg_shdepend: roles named in the list, other than the owner and the built-in ones. */
async function updateDependencies(context: CommandContext, target: Target, acl: readonly AclItem[]): Promise<void> {
  const { w } = context;
  const dbid = target.kind === 'database' ? (0 as Oid) : w.databaseOid;
  const named = new Set(acl.flatMap(item => [item.grantee, item.grantor]));
  const wanted = [...named].filter(
    role => role !== 0 && role !== target.owner && !isPinnedObject(AuthIdRelationId, role),
  );
  const rows = await w.scan(pgShdepend, SharedDependDependerIndexId, dbid, target.classId, target.oid, target.subId);
  const known = rows.filter(row => row.deptype === SHARED_DEPENDENCY_ACL && row.refclassid === AuthIdRelationId);
  for (const row of known) if (!wanted.includes(row.refobjid)) await w.delete(pgShdepend, row);
  for (const role of wanted) {
    if (known.some(row => row.refobjid === role)) continue;
    await w.insert(pgShdepend, {
      dbid,
      classid: target.classId,
      objid: target.oid,
      objsubid: target.subId,
      refclassid: AuthIdRelationId,
      refobjid: role,
      deptype: SHARED_DEPENDENCY_ACL,
    });
  }
}
