/** Roles as commands name them: RoleSpec. */
import { BOOTSTRAP_SUPERUSERID } from '@pgtroupe/common/oids';
import { AuthIdRelationId, type Form_pg_authid } from '@pgtroupe/catalog/catalogs/pg_authid';
import { isPinnedObject } from '@pgtroupe/catalog/pinned';
import { AUTHNAME } from '@pgtroupe/catalog/syscache';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import type { CommandContext } from './command-context.ts';

export interface Role {
  readonly oid: Oid;
  readonly name: string;
}

export async function resolveRole(context: CommandContext, spec: RawNode): Promise<Role> {
  if (spec.roletype !== undefined && spec.roletype !== 'ROLESPEC_CSTRING') {
    if (spec.roletype === 'ROLESPEC_PUBLIC') throw ereport(ERRCODE.UNDEFINED_OBJECT, 'role "public" does not exist');
    return { oid: context.session.userId, name: context.session.userName };
  }
  const row = await context.w.search(AUTHNAME, spec.rolename ?? spec.priv_name);
  if (row === null) throw ereport(ERRCODE.UNDEFINED_OBJECT, `role "${spec.rolename ?? spec.priv_name}" does not exist`);
  return { oid: row.oid, name: row.rolname };
}

/** Predefined roles stay as they are. */
export function checkNotReserved(row: Form_pg_authid): void {
  if (row.rolname.startsWith('pg_') && isPinnedObject(AuthIdRelationId, row.oid) && row.oid !== BOOTSTRAP_SUPERUSERID) {
    throw ereport(ERRCODE.RESERVED_NAME, `role name "${row.rolname}" is reserved`, {
      detail: 'Cannot alter reserved roles.',
    });
  }
}

export function denied(message: string): Error {
  return ereport(ERRCODE.INSUFFICIENT_PRIVILEGE, message);
}
