/**
 * Whose rights a session has (miscinit.c): who authenticated, who the session belongs to (SET SESSION AUTHORIZATION)
 * and as whom its statements run (SET ROLE).
 *
 * The names are configuration parameters, `session_authorization` and `role`, so they follow transactions as all
 * others do; what a name meant when it was accepted is remembered here.
 */
import type { AclCheck } from '@pgtroupe/catalog/aclchk';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';

export interface RoleIdentity {
  readonly oid: Oid;
  readonly name: string;
  readonly superuser: boolean;
}

/** The catalogs, as far as roles are concerned. May throw CatalogMiss. */
export interface RoleCatalog {
  roleByName(name: string): RoleIdentity | undefined;
  acl(): AclCheck;
}

/** `role` when no role is set. */
export const NO_ROLE = 'none';

export class SessionUser {
  readonly authenticated: RoleIdentity;
  /** undefined until the session can look at catalogs. */
  catalog: RoleCatalog | undefined;
  #session: RoleIdentity;
  #current: RoleIdentity;
  readonly #accepted = new Map<string, RoleIdentity>();

  constructor(authenticated: RoleIdentity) {
    this.authenticated = authenticated;
    this.#session = authenticated;
    this.#current = authenticated;
    this.#accepted.set(authenticated.name, authenticated);
  }

  /** session_user. */
  get session(): RoleIdentity {
    return this.#session;
  }

  /** current_user: whose rights count. */
  get current(): RoleIdentity {
    return this.#current;
  }

  checkSessionAuthorization(name: string): void {
    const role = this.#find(name);
    if (role.oid !== this.authenticated.oid && !this.authenticated.superuser) {
      throw ereport(ERRCODE.INSUFFICIENT_PRIVILEGE, 'permission denied to set session authorization');
    }
    this.#accepted.set(name, role);
  }

  checkRole(name: string): void {
    if (name === NO_ROLE) return;
    const role = this.#find(name);
    if (!this.#session.superuser && this.catalog?.acl().isMemberOfRole(this.#session.oid, role.oid) !== true) {
      throw ereport(ERRCODE.INSUFFICIENT_PRIVILEGE, `permission denied to set role "${name}"`);
    }
    this.#accepted.set(name, role);
  }

  #find(name: string): RoleIdentity {
    const role = this.catalog?.roleByName(name);
    if (role === undefined) throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `role "${name}" does not exist`);
    return role;
  }

  /** The parameters have these values now. */
  follow(sessionName: string, roleName: string): void {
    this.#session = this.#accepted.get(sessionName) ?? this.authenticated;
    this.#current = roleName === NO_ROLE ? this.#session : (this.#accepted.get(roleName) ?? this.#session);
  }
}
