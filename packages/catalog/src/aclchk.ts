/**
 * Who may do what: access lists, role membership, and the checks made of them.
 *
 * A null list means the default for that kind of object. The owner can always grant; superusers are
 * never asked. Everything is synchronous over the caches and may throw CatalogMiss.
 */
import {
  BOOTSTRAP_SUPERUSERID,
  F_ARRAY_SUBSCRIPT_HANDLER,
  PG_CATALOG_NAMESPACE,
  PG_TOAST_NAMESPACE,
  ROLE_PG_DATABASE_OWNER,
  ROLE_PG_READ_ALL_DATA,
  ROLE_PG_WRITE_ALL_DATA,
} from '@pgtroupe/common/oids';
import type { Oid } from '@pgtroupe/common/ids';
import {
  ACL_ALTER_SYSTEM,
  ACL_CONNECT,
  ACL_CREATE,
  ACL_CREATE_TEMP,
  ACL_DELETE,
  ACL_EXECUTE,
  ACL_INSERT,
  ACL_REFERENCES,
  ACL_SELECT,
  ACL_SET,
  ACL_TRIGGER,
  ACL_TRUNCATE,
  ACL_UPDATE,
  ACL_USAGE,
} from './acl.ts';
import type { AclItem, CatalogRow } from './catalog.ts';
import type { Form_pg_class } from './catalogs/pg_class.ts';
import type { KeyPart } from './inval.ts';
import type { Form_pg_type } from './catalogs/pg_type.ts';
import { FIRST_UNPINNED_OBJECT_ID } from './pinned.ts';
import {
  ATTNUM,
  AUTHMEMMEMROLE,
  AUTHOID,
  DATABASEOID,
  FOREIGNDATAWRAPPEROID,
  FOREIGNSERVEROID,
  LANGOID,
  NAMESPACEOID,
  PARAMETERACLNAME,
  PROCOID,
  RELOID,
  TABLESPACEOID,
  TYPEOID,
} from './syscache.ts';
import type { SysCache } from './syscache.ts';

export const ACL_ALL_RIGHTS_RELATION =
  ACL_INSERT | ACL_SELECT | ACL_UPDATE | ACL_DELETE | ACL_TRUNCATE | ACL_REFERENCES | ACL_TRIGGER;
export const ACL_ALL_RIGHTS_COLUMN = ACL_INSERT | ACL_SELECT | ACL_UPDATE | ACL_REFERENCES;
export const ACL_ALL_RIGHTS_SEQUENCE = ACL_USAGE | ACL_SELECT | ACL_UPDATE;
export const ACL_ALL_RIGHTS_DATABASE = ACL_CREATE | ACL_CREATE_TEMP | ACL_CONNECT;
export const ACL_ALL_RIGHTS_FUNCTION = ACL_EXECUTE;
export const ACL_ALL_RIGHTS_LANGUAGE = ACL_USAGE;
export const ACL_ALL_RIGHTS_SCHEMA = ACL_USAGE | ACL_CREATE;
export const ACL_ALL_RIGHTS_TABLESPACE = ACL_CREATE;
export const ACL_ALL_RIGHTS_TYPE = ACL_USAGE;
const ACL_ALL_RIGHTS_PARAMETER_ACL = ACL_SET | ACL_ALTER_SYSTEM;
const ACL_ALL_RIGHTS_LARGEOBJECT = ACL_SELECT | ACL_UPDATE;
/** pg_proc OID of array_subscript_handler: marks true arrays. */

export const ACL_ID_PUBLIC = 0 as Oid;

export type AclObject =
  | 'relation'
  | 'sequence'
  | 'column'
  | 'database'
  | 'function'
  | 'language'
  | 'schema'
  | 'tablespace'
  | 'type'
  | 'foreign-data wrapper'
  | 'foreign server'
  | 'large object'
  | 'parameter';

/** Those of one row with an owner, found by its OID. */
export type OwnedObject = Exclude<AclObject, 'relation' | 'sequence' | 'column' | 'large object' | 'parameter'>;

interface Owned {
  readonly owner: Oid;
  readonly acl: readonly AclItem[] | null;
}

/** [all rights, what PUBLIC has by default] */
const RIGHTS: Readonly<Record<AclObject, readonly [number, number]>> = {
  relation: [ACL_ALL_RIGHTS_RELATION, 0],
  sequence: [ACL_ALL_RIGHTS_SEQUENCE, 0],
  column: [ACL_ALL_RIGHTS_COLUMN, 0],
  database: [ACL_ALL_RIGHTS_DATABASE, ACL_CREATE_TEMP | ACL_CONNECT],
  function: [ACL_ALL_RIGHTS_FUNCTION, ACL_EXECUTE],
  language: [ACL_ALL_RIGHTS_LANGUAGE, ACL_USAGE],
  schema: [ACL_ALL_RIGHTS_SCHEMA, 0],
  tablespace: [ACL_ALL_RIGHTS_TABLESPACE, 0],
  type: [ACL_ALL_RIGHTS_TYPE, ACL_USAGE],
  'foreign-data wrapper': [ACL_USAGE, 0],
  'foreign server': [ACL_USAGE, 0],
  'large object': [ACL_ALL_RIGHTS_LARGEOBJECT, 0],
  parameter: [ACL_ALL_RIGHTS_PARAMETER_ACL, 0],
};

export function allRights(kind: AclObject): number {
  return RIGHTS[kind][0];
}

/** The list that null stands for. */
export function aclDefault(kind: AclObject, owner: Oid): AclItem[] {
  const [all, world] = RIGHTS[kind];
  const items: AclItem[] = [];
  if (world !== 0) items.push({ grantee: ACL_ID_PUBLIC, grantor: owner, privs: world });
  // A column's rights all come from its table.
  if (kind !== 'column' && owner !== 0) items.push({ grantee: owner, grantor: owner, privs: all });
  return items;
}

/** The lookups used here; SystemCatalog has them. */
export interface RoleReader {
  search<Row extends CatalogRow>(cache: SysCache<Row>, ...key: KeyPart[]): Row | null;
  searchList<Row extends CatalogRow>(cache: SysCache<Row>, ...prefix: KeyPart[]): readonly Row[];
}

export class AclCheck {
  readonly #catalog: RoleReader;
  readonly #databaseOid: Oid;

  constructor(catalog: RoleReader, databaseOid: Oid) {
    this.#catalog = catalog;
    this.#databaseOid = databaseOid;
  }

  isSuperuser(role: Oid): boolean {
    return this.#catalog.search(AUTHOID, role)?.rolsuper ?? false;
  }

  /** The role itself and all it is a member of; with `inherit`, only whose privileges it has at once. */
  rolesIsMemberOf(role: Oid, inherit: boolean): ReadonlySet<Oid> {
    const found = new Set<Oid>([role]);
    const owner = this.#catalog.search(DATABASEOID, this.#databaseOid)?.datdba;
    for (const member of found) {
      if (member === owner) found.add(ROLE_PG_DATABASE_OWNER);
      if (inherit && this.#catalog.search(AUTHOID, member)?.rolinherit !== true) continue;
      for (const row of this.#catalog.searchList(AUTHMEMMEMROLE, member)) found.add(row.roleid);
    }
    return found;
  }

  /** Does `member` have the privileges of `role`? */
  hasPrivsOfRole(member: Oid, role: Oid): boolean {
    return member === role || this.isSuperuser(member) || this.rolesIsMemberOf(member, true).has(role);
  }

  isMemberOfRole(member: Oid, role: Oid): boolean {
    return member === role || this.isSuperuser(member) || this.rolesIsMemberOf(member, false).has(role);
  }

  /** May `member` grant `role` to others? By policy never its own. */
  isAdminOfRole(member: Oid, role: Oid): boolean {
    if (this.isSuperuser(member)) return true;
    if (member === role) return false;
    for (const through of this.rolesIsMemberOf(member, false)) {
      const rows = this.#catalog.searchList(AUTHMEMMEMROLE, through);
      if (rows.some(row => row.roleid === role && row.admin_option)) return true;
    }
    return false;
  }

  /** Which of the rights in `mask` the role has on an object; undefined when there is no such object. */
  objectMask(kind: OwnedObject, oid: Oid, role: Oid, mask: number): number | undefined {
    const object = this.#owned(kind, oid);
    if (object === undefined) return undefined;
    if (this.isSuperuser(role)) return mask;
    const { acl, owner } = object;
    const granted = this.aclMask(acl ?? aclDefault(kind, owner), owner, role, mask);
    if (kind !== 'schema' || (mask & ~granted & ACL_USAGE) === 0) return granted;
    const readsOrWrites =
      this.hasPrivsOfRole(role, ROLE_PG_READ_ALL_DATA) || this.hasPrivsOfRole(role, ROLE_PG_WRITE_ALL_DATA);
    return readsOrWrites ? granted | ACL_USAGE : granted;
  }

  /** Has the role this right? What is not there is not refused. */
  objectCheck(kind: OwnedObject, oid: Oid, role: Oid, right: number): boolean {
    return this.objectMask(kind, oid, role, right) !== 0;
  }

  #owned(kind: OwnedObject, oid: Oid): Owned | undefined {
    const catalog = this.#catalog;
    switch (kind) {
      case 'database': {
        const row = catalog.search(DATABASEOID, oid);
        return row === null ? undefined : { owner: row.datdba, acl: row.datacl };
      }
      case 'function': {
        const row = catalog.search(PROCOID, oid);
        return row === null ? undefined : { owner: row.proowner, acl: row.proacl };
      }
      case 'language': {
        const row = catalog.search(LANGOID, oid);
        return row === null ? undefined : { owner: row.lanowner, acl: row.lanacl };
      }
      case 'schema': {
        const row = catalog.search(NAMESPACEOID, oid);
        return row === null ? undefined : { owner: row.nspowner, acl: row.nspacl };
      }
      case 'tablespace': {
        const row = catalog.search(TABLESPACEOID, oid);
        return row === null ? undefined : { owner: row.spcowner, acl: row.spcacl };
      }
      case 'foreign-data wrapper': {
        const row = catalog.search(FOREIGNDATAWRAPPEROID, oid);
        return row === null ? undefined : { owner: row.fdwowner, acl: row.fdwacl };
      }
      case 'foreign server': {
        const row = catalog.search(FOREIGNSERVEROID, oid);
        return row === null ? undefined : { owner: row.srvowner, acl: row.srvacl };
      }
      case 'type': {
        const row = this.permissionType(oid);
        return row === null ? undefined : { owner: row.typowner, acl: row.typacl };
      }
    }
  }

  /** The type whose list counts: an array's is its element's. */
  permissionType(oid: Oid): Form_pg_type | null {
    const row = this.#catalog.search(TYPEOID, oid);
    if (row === null || row.typelem === 0 || row.typsubscript !== F_ARRAY_SUBSCRIPT_HANDLER) return row;
    return this.#catalog.search(TYPEOID, row.typelem);
  }

  /** Rights on a configuration parameter: nobody's but a superuser's until they are granted. */
  parameterMask(name: string, role: Oid, mask: number): number {
    if (this.isSuperuser(role)) return mask;
    const acl = this.#catalog.search(PARAMETERACLNAME, name.toLowerCase())?.paracl;
    const owner = BOOTSTRAP_SUPERUSERID;
    return this.aclMask(acl ?? aclDefault('parameter', owner), owner, role, mask);
  }

  /** As classMask; undefined when there is no such relation. */
  relationMask(oid: Oid, role: Oid, mask: number): number | undefined {
    const rel = this.#catalog.search(RELOID, oid);
    return rel === null ? undefined : this.classMask(rel, role, mask);
  }

  aclMask(acl: readonly AclItem[], owner: Oid, role: Oid, mask: number): number {
    let granted = 0;
    const roles = this.rolesIsMemberOf(role, true);
    // Owners may always grant again what they took from themselves.
    const grantOptions = (mask & 0xffff0000) >>> 0;
    if (grantOptions !== 0 && roles.has(owner)) granted = grantOptions;
    for (const item of acl) {
      if (item.grantee === ACL_ID_PUBLIC || roles.has(item.grantee)) granted |= item.privs & mask;
    }
    return granted >>> 0;
  }

  /** Rights on a table, view or sequence, by its own list. */
  classMask(rel: Form_pg_class, role: Oid, mask: number): number {
    if (this.isSuperuser(role)) return mask;
    let asked = mask;
    if (isSystemClass(rel) && rel.relkind !== 'v')
      asked &= ~(ACL_INSERT | ACL_UPDATE | ACL_DELETE | ACL_TRUNCATE | ACL_USAGE);
    const kind = rel.relkind === 'S' ? 'sequence' : 'relation';
    let granted = this.aclMask(rel.relacl ?? aclDefault(kind, rel.relowner), rel.relowner, role, asked);
    if ((asked & ~granted & ACL_SELECT) !== 0 && this.hasPrivsOfRole(role, ROLE_PG_READ_ALL_DATA))
      granted |= ACL_SELECT;
    const writes = asked & ~granted & (ACL_INSERT | ACL_UPDATE | ACL_DELETE);
    if (writes !== 0 && this.hasPrivsOfRole(role, ROLE_PG_WRITE_ALL_DATA)) granted |= writes;
    return granted >>> 0;
  }

  /** Has the role this right on the column, by the column's own list? */
  columnCheck(rel: Form_pg_class, attnum: number, role: Oid, right: number): boolean {
    return this.columnMask(rel, attnum, role, right) === right;
  }

  /** Which of the wanted rights the column's own list gives. */
  columnMask(rel: Form_pg_class, attnum: number, role: Oid, mask: number): number {
    const attribute = this.#catalog.search(ATTNUM, rel.oid, attnum);
    if (attribute === null || attribute.attisdropped || attribute.attacl === null) return 0;
    return this.aclMask(attribute.attacl, rel.relowner, role, mask);
  }

  /** ... or any column's. */
  anyColumnMask(rel: Form_pg_class, role: Oid, mask: number): number {
    let held = 0;
    for (let attnum = 1; attnum <= rel.relnatts; attnum++) held |= this.columnMask(rel, attnum, role, mask);
    return held;
  }

  /** ... on every column, or on any. */
  columnsCheck(rel: Form_pg_class, role: Oid, right: number, how: 'all' | 'any'): boolean {
    const attnums = Array.from({ length: rel.relnatts }, (_, n) => n + 1);
    const live = attnums.filter(attnum => this.#catalog.search(ATTNUM, rel.oid, attnum)?.attisdropped === false);
    const check = (attnum: number): boolean => this.columnCheck(rel, attnum, role, right);
    return how === 'all' ? live.every(check) : live.some(check);
  }

  /** What a query wants of one relation (RangeTblEntry). Attnums 0 stands for the whole row. */
  relationUse(rel: Form_pg_class, role: Oid, use: RelationUse): boolean {
    const missing = use.requiredPerms & ~this.classMask(rel, role, use.requiredPerms);
    if (missing === 0) return true;
    if ((missing & ~(ACL_SELECT | ACL_INSERT | ACL_UPDATE)) !== 0) return false;
    return (
      this.#columnsUse(rel, role, missing & ACL_SELECT, use.selected) &&
      this.#columnsUse(rel, role, missing & ACL_INSERT, use.inserted) &&
      this.#columnsUse(rel, role, missing & ACL_UPDATE, use.updated)
    );
  }

  #columnsUse(rel: Form_pg_class, role: Oid, right: number, attnums: readonly number[]): boolean {
    if (right === 0) return true;
    // SELECT count(*), INSERT DEFAULT VALUES: any column will do.
    if (attnums.length === 0) return this.columnsCheck(rel, role, right, 'any');
    return attnums.every(attnum =>
      attnum === 0 ? this.columnsCheck(rel, role, right, 'all') : this.columnCheck(rel, attnum, role, right),
    );
  }
}

export interface RelationUse {
  readonly requiredPerms: number;
  /** Attribute numbers. */
  readonly selected: readonly number[];
  readonly inserted: readonly number[];
  readonly updated: readonly number[];
}

function isSystemClass(rel: Form_pg_class): boolean {
  return (
    rel.relnamespace === PG_TOAST_NAMESPACE ||
    (rel.relnamespace === PG_CATALOG_NAMESPACE && rel.oid < FIRST_UNPINNED_OBJECT_ID)
  );
}
