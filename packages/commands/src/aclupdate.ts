/**
 * Changing an access list: what GRANT adds and REVOKE takes away. Pure.
 *
 * Low half of `privs`: the rights; high half: which of them may be granted on. Who lost a grant option
 * takes along what was granted by virtue of it.
 */
import type { AclItem } from '@pgtroupe/catalog/catalog';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';

export interface AclChange {
  readonly grant: boolean;
  readonly grantees: readonly Oid[];
  readonly grantor: Oid;
  readonly owner: Oid;
  readonly privileges: number;
  /** WITH GRANT OPTION; GRANT OPTION FOR. */
  readonly grantOption: boolean;
  readonly cascade: boolean;
}

const options = (privileges: number): number => (privileges << 16) >>> 0;
const grantable = (privs: number): number => privs >>> 16;

export function changeAcl(acl: readonly AclItem[], change: AclChange): AclItem[] {
  let result = acl.slice();
  for (const grantee of change.grantees) {
    if (change.grant && change.grantOption && grantee === 0) {
      throw ereport(ERRCODE.INVALID_GRANT_OPERATION, 'grant options can only be granted to roles');
    }
    result = change.grant ? add(result, grantee, change) : remove(result, grantee, change);
  }
  return result;
}

function add(acl: AclItem[], grantee: Oid, { grantor, privileges, grantOption }: AclChange): AclItem[] {
  const privs = (privileges | (grantOption ? options(privileges) : 0)) >>> 0;
  const at = acl.findIndex(item => item.grantee === grantee && item.grantor === grantor);
  // Who may grant nothing leaves nothing behind.
  if (at < 0) return privs === 0 ? acl : [...acl, { grantee, grantor, privs }];
  return acl.with(at, { ...acl[at]!, privs: (acl[at]!.privs | privs) >>> 0 });
}

function remove(acl: AclItem[], grantee: Oid, change: AclChange): AclItem[] {
  const { grantor, privileges, grantOption, owner, cascade } = change;
  const at = acl.findIndex(item => item.grantee === grantee && item.grantor === grantor);
  if (at < 0) return acl;
  const lost = (options(privileges) | (grantOption ? 0 : privileges)) >>> 0;
  const privs = (acl[at]!.privs & ~lost) >>> 0;
  const rest = privs === 0 ? acl.toSpliced(at, 1) : acl.with(at, { ...acl[at]!, privs });
  return revokeDependents(rest, grantee, privileges, owner, cascade);
}

/** What `grantee` granted on without still being able to. The owner always can. */
function revokeDependents(acl: AclItem[], grantee: Oid, privileges: number, owner: Oid, cascade: boolean): AclItem[] {
  if (grantee === owner) return acl;
  const still = acl.filter(item => item.grantee === grantee).reduce((sum, item) => sum | grantable(item.privs), 0);
  const lost = privileges & ~still;
  let result = acl;
  for (;;) {
    const dependent = result.find(item => item.grantor === grantee && (item.privs & lost) !== 0);
    if (dependent === undefined) return result;
    if (!cascade) {
      throw ereport(ERRCODE.DEPENDENT_OBJECTS_STILL_EXIST, 'dependent privileges exist', {
        hint: 'Use CASCADE to revoke them too.',
      });
    }
    result = remove(result, dependent.grantee, {
      grant: false,
      grantees: [],
      grantor: grantee,
      owner,
      privileges: lost,
      grantOption: false,
      cascade,
    });
  }
}
