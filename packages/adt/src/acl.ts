/**
 * Access lists: type aclitem, aclexplode(), acldefault(), and the has_*_privilege functions, which ask the same
 * AclCheck that statements are judged by.
 *
 * aclitem payload (12 bytes, little-endian): 0 oid grantee (0 PUBLIC)   4 oid grantor
 * 8 uint32 privileges: low half what is granted, high half with grant option.
 */
import { ACL_ID_PUBLIC, AclCheck, aclDefault, type AclObject, type OwnedObject } from '@pgtroupe/catalog/aclchk';
import { encodeAcl } from '@pgtroupe/catalog/acl';
import type { AclItem, CatalogRow } from '@pgtroupe/catalog/catalog';
import {
  ATTNUM,
  AUTHNAME,
  AUTHOID,
  DATABASENAME,
  FOREIGNDATAWRAPPERNAME,
  FOREIGNSERVERNAME,
  LANGNAME,
  RELOID,
  type SysCache,
  TABLESPACEOID,
} from '@pgtroupe/catalog/syscache';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import { builtinTypes } from './cache/builtin_types.ts';
import type { FunctionCall, FunctionTable, SetFunctionTable } from './fmgr.ts';
import { equalBytes, stringToText, textToString } from './mb/mbutils.ts';
import { arrayHeader, deconstructArray } from './arrayutils.ts';
import { cachesOf, lookupNamespace } from './namespace.ts';
import { viewOf } from './pqwire.ts';
import { regclassOid, regprocedureOidOf, regtypeOid } from './regproc.ts';

type Bytes = Uint8Array;

/** Privileges in the order of their bits: letter and SQL name. */
const PRIVILEGES = [
  ['a', 'INSERT'],
  ['r', 'SELECT'],
  ['w', 'UPDATE'],
  ['d', 'DELETE'],
  ['D', 'TRUNCATE'],
  ['x', 'REFERENCES'],
  ['t', 'TRIGGER'],
  ['X', 'EXECUTE'],
  ['U', 'USAGE'],
  ['C', 'CREATE'],
  ['T', 'TEMPORARY'],
  ['c', 'CONNECT'],
  ['s', 'SET'],
  ['A', 'ALTER SYSTEM'],
] as const;
const LETTERS = PRIVILEGES.map(([letter]) => letter).join('');
const bit = (name: string): number => 1 << PRIVILEGES.findIndex(([, n]) => n === name);

function readAcl(item: Bytes): AclItem {
  const view = viewOf(item);
  return {
    grantee: view.getUint32(0, true) as Oid,
    grantor: view.getUint32(4, true) as Oid,
    privs: view.getUint32(8, true),
  };
}

function makeAcl(a: AclItem): Bytes {
  const out = new Uint8Array(12);
  const view = viewOf(out);
  view.setUint32(0, a.grantee, true);
  view.setUint32(4, a.grantor, true);
  view.setUint32(8, a.privs >>> 0, true);
  return out;
}

function aclItems(array: Bytes): AclItem[] {
  const { ndim, hasNulls } = arrayHeader(array);
  if (ndim !== 1) throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, 'ACL arrays must be one-dimensional');
  if (hasNulls) throw ereport(ERRCODE.NULL_VALUE_NOT_ALLOWED, 'ACL arrays must not contain null values');
  return deconstructArray(array, builtinTypes().get(1033)!).map(item => readAcl(item as Bytes));
}

function roleOid(fc: FunctionCall, name: string): Oid {
  const oid = cachesOf(fc).search(AUTHNAME, name)?.oid;
  if (oid === undefined) throw ereport(ERRCODE.UNDEFINED_OBJECT, `role "${name}" does not exist`);
  return oid;
}

const syntaxError = (message: string, fields = {}): PgError =>
  ereport(ERRCODE.INVALID_TEXT_REPRESENTATION, message, fields);

/** A name, in double quotes when it has other characters than letters, digits and underscores. */
function takeName(text: string): { name: string; rest: string } {
  let rest = text.replace(/^\s+/, '');
  let name = '';
  let quoted = false;
  while (rest !== '') {
    const c = rest[0];
    if (c === '"') {
      if (quoted && rest[1] === '"') {
        name += '"';
        rest = rest.slice(2);
        continue;
      }
      quoted = !quoted;
    } else if (!quoted && !/[\p{L}\p{N}_]/u.test(c)) break;
    else name += c;
    rest = rest.slice(1);
  }
  return { name, rest: rest.replace(/^\s+/, '') };
}

function parseAclItem(fc: FunctionCall, text: Bytes): Bytes {
  const s = textToString(text);
  let { name, rest } = takeName(s);
  if (rest[0] !== '=') {
    if (name !== 'group' && name !== 'user') {
      throw syntaxError(`unrecognized key word: "${name}"`, { hint: 'ACL key word must be "group" or "user".' });
    }
    ({ name, rest } = takeName(rest));
    if (name === '') throw syntaxError('missing name', { hint: 'A name must follow the "group" or "user" key word.' });
  }
  if (rest[0] !== '=') throw syntaxError('missing "=" sign');
  let privs = 0;
  let goption = 0;
  let last = 0;
  let i = 1;
  for (; i < rest.length && /[A-Za-z*]/.test(rest[i]); i++) {
    if (rest[i] === '*') {
      goption |= last;
      continue;
    }
    const at = LETTERS.indexOf(rest[i]);
    if (at < 0) throw syntaxError(`invalid mode character: must be one of "${LETTERS}"`);
    last = 1 << at;
    privs |= last;
  }
  rest = rest.slice(i);
  const grantee = name === '' ? ACL_ID_PUBLIC : roleOid(fc, name);
  let grantor = 10 as Oid;
  if (rest[0] === '/') {
    const by = takeName(rest.slice(1));
    if (by.name === '') throw syntaxError('a name must follow the "/" sign');
    grantor = roleOid(fc, by.name);
    rest = by.rest;
  }
  if (rest.trim() !== '') throw syntaxError('extra garbage at the end of the ACL specification');
  return makeAcl({ grantee, grantor, privs: privs | (goption << 16) });
}

function shownRole(fc: FunctionCall, oid: number): string {
  const name = cachesOf(fc).search(AUTHOID, oid)?.rolname;
  if (name === undefined) return String(oid);
  return /^[\p{L}\p{N}_]*$/u.test(name) ? name : `"${name.replaceAll('"', '""')}"`;
}

function formatAclItem(fc: FunctionCall, item: Bytes): string {
  const a = readAcl(item);
  let out = `${a.grantee === 0 ? '' : shownRole(fc, a.grantee)}=`;
  PRIVILEGES.forEach(([letter], i) => {
    if ((a.privs & (1 << i)) !== 0) out += letter;
    if ((a.privs & (1 << (i + 16))) !== 0) out += '*';
  });
  return `${out}/${shownRole(fc, a.grantor)}`;
}

/** acldefault()'s letters. */
const OBJECT_KINDS: Readonly<Record<string, AclObject>> = {
  c: 'column',
  r: 'relation',
  s: 'sequence',
  d: 'database',
  f: 'function',
  l: 'language',
  L: 'large object',
  n: 'schema',
  p: 'parameter',
  t: 'tablespace',
  F: 'foreign-data wrapper',
  S: 'foreign server',
  T: 'type',
};

function defaultAcl(letter: string, owner: Oid): readonly AclItem[] {
  const kind = OBJECT_KINDS[letter];
  if (kind === undefined) throw ereport(ERRCODE.INTERNAL_ERROR, `unrecognized objtype abbreviation: ${letter}`);
  return aclDefault(kind, owner);
}

/** The one judge of rights, over what this call sees of the catalogs. */
export const judge = (fc: FunctionCall): AclCheck => new AclCheck(cachesOf(fc), fc.settings.databaseId);

/** A list of privilege names, each perhaps WITH GRANT OPTION. */
function parsePrivileges(text: string, known: Readonly<Record<string, number>>): number {
  let mask = 0;
  for (const part of text.split(',')) {
    const name = part.trim().replace(/\s+/g, ' ').toUpperCase();
    const grant = name.endsWith(' WITH GRANT OPTION');
    const b = known[grant ? name.slice(0, -' WITH GRANT OPTION'.length) : name];
    if (b === undefined)
      throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `unrecognized privilege type: "${part.trim()}"`);
    mask |= grant ? b << 16 : b;
  }
  return mask >>> 0;
}

const rights = (...names: string[]): Readonly<Record<string, number>> =>
  Object.fromEntries(names.map(n => [n, bit(n)]));

interface PrivilegeFamily {
  /** Middle of the prosrc: has_<name>_privilege_… */
  readonly name: string;
  readonly privileges: Readonly<Record<string, number>>;
  readonly byName: (fc: FunctionCall, name: string) => Oid;
  /** Is the privilege's word read before the object is looked for? */
  readonly privilegeFirst?: boolean;
  /** Which of the wanted rights are held; undefined: there is no such object, and the answer is null. */
  readonly mask: (fc: FunctionCall, oid: Oid, role: Oid, wanted: number) => number | undefined;
}

const owned =
  (kind: OwnedObject): PrivilegeFamily['mask'] =>
  (fc, oid, role, wanted) =>
    judge(fc).objectMask(kind, oid, role, wanted);

const relationMask: PrivilegeFamily['mask'] = (fc, oid, role, wanted) => judge(fc).relationMask(oid, role, wanted);

function tablespaceOid(fc: FunctionCall, name: string): Oid {
  const row = cachesOf(fc)
    .searchList(TABLESPACEOID)
    .find(({ spcname }) => spcname === name);
  if (row === undefined) throw ereport(ERRCODE.UNDEFINED_OBJECT, `tablespace "${name}" does not exist`);
  return row.oid;
}

function databaseOid(fc: FunctionCall, name: string): Oid {
  const oid = cachesOf(fc).search(DATABASENAME, name)?.oid;
  if (oid === undefined) throw ereport(ERRCODE.UNDEFINED_DATABASE, `database "${name}" does not exist`);
  return oid;
}

/** Finds an object by a name that is no part of a schema. */
const named =
  <Row extends CatalogRow & { readonly oid: Oid }>(cache: SysCache<Row>, word: string) =>
  (fc: FunctionCall, name: string): Oid => {
    const row = cachesOf(fc).search(cache, name);
    if (row === null) throw ereport(ERRCODE.UNDEFINED_OBJECT, `${word} "${name}" does not exist`);
    return row.oid;
  };

const TABLE_PRIVILEGES = {
  ...rights('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'),
  RULE: 0,
};

const notASequence = (name: string): PgError => ereport(ERRCODE.WRONG_OBJECT_TYPE, `"${name}" is not a sequence`);

const FAMILIES: readonly PrivilegeFamily[] = [
  { name: 'table', privileges: TABLE_PRIVILEGES, byName: regclassOid, mask: relationMask },
  {
    name: 'sequence',
    privileges: rights('USAGE', 'SELECT', 'UPDATE'),
    privilegeFirst: true,
    byName: (fc, name) => {
      const oid = regclassOid(fc, name);
      if (cachesOf(fc).search(RELOID, oid)?.relkind !== 'S') throw notASequence(name);
      return oid;
    },
    mask: (fc, oid, role, wanted) => {
      const rel = cachesOf(fc).search(RELOID, oid);
      if (rel && rel.relkind !== 'S') throw notASequence(rel.relname);
      return relationMask(fc, oid, role, wanted);
    },
  },
  {
    name: 'database',
    privileges: { ...rights('CREATE', 'TEMPORARY', 'CONNECT'), TEMP: bit('TEMPORARY') },
    byName: databaseOid,
    mask: owned('database'),
  },
  { name: 'function', privileges: rights('EXECUTE'), byName: regprocedureOidOf, mask: owned('function') },
  { name: 'schema', privileges: rights('CREATE', 'USAGE'), byName: lookupNamespace, mask: owned('schema') },
  { name: 'type', privileges: rights('USAGE'), byName: regtypeOid, mask: owned('type') },
  { name: 'language', privileges: rights('USAGE'), byName: named(LANGNAME, 'language'), mask: owned('language') },
  { name: 'tablespace', privileges: rights('CREATE'), byName: tablespaceOid, mask: owned('tablespace') },
  {
    name: 'foreign_data_wrapper',
    privileges: rights('USAGE'),
    byName: named(FOREIGNDATAWRAPPERNAME, 'foreign-data wrapper'),
    mask: owned('foreign-data wrapper'),
  },
  {
    name: 'server',
    privileges: rights('USAGE'),
    byName: named(FOREIGNSERVERNAME, 'server'),
    mask: owned('foreign server'),
  },
];

/** Role of a has_* function's first argument; "public" is everyone. */
function roleOrPublic(fc: FunctionCall, name: Bytes): Oid {
  const text = textToString(name);
  return text === 'public' ? (0 as Oid) : roleOid(fc, text);
}

function familyFunctions(family: PrivilegeFamily): FunctionTable {
  const check = (fc: FunctionCall, role: Oid, oid: Oid, privilege: Bytes): boolean | null => {
    const wanted = parsePrivileges(textToString(privilege), family.privileges);
    const held = family.mask(fc, oid, role, wanted);
    return held === undefined ? null : held !== 0;
  };
  const me = (fc: FunctionCall): Oid => fc.settings.currentUserId;
  const oidOf = (fc: FunctionCall, name: Bytes, priv: Bytes): Oid => {
    if (family.privilegeFirst === true) parsePrivileges(textToString(priv), family.privileges);
    return family.byName(fc, textToString(name));
  };
  const p = `has_${family.name}_privilege_`;
  return {
    [`${p}name_name`]: (fc: FunctionCall, role: Bytes, name: Bytes, priv: Bytes) =>
      check(fc, roleOrPublic(fc, role), oidOf(fc, name, priv), priv),
    [`${p}name_id`]: (fc: FunctionCall, role: Bytes, oid: Oid, priv: Bytes) =>
      check(fc, roleOrPublic(fc, role), oid, priv),
    [`${p}id_name`]: (fc: FunctionCall, role: Oid, name: Bytes, priv: Bytes) =>
      check(fc, role, oidOf(fc, name, priv), priv),
    [`${p}id_id`]: (fc: FunctionCall, role: Oid, oid: Oid, priv: Bytes) => check(fc, role, oid, priv),
    [`${p}name`]: (fc: FunctionCall, name: Bytes, priv: Bytes) => check(fc, me(fc), oidOf(fc, name, priv), priv),
    [`${p}id`]: (fc: FunctionCall, oid: Oid, priv: Bytes) => check(fc, me(fc), oid, priv),
  };
}

const COLUMN_PRIVILEGES = rights('SELECT', 'INSERT', 'UPDATE', 'REFERENCES');

/** A column's privilege: the table's, or the column's own. Column by name or number. */
function columnPrivilege(
  fc: FunctionCall,
  role: Oid,
  table: Oid,
  column: Bytes | number,
  privilege: Bytes,
): boolean | null {
  const catalog = cachesOf(fc);
  const rel = catalog.search(RELOID, table);
  const attnum = typeof column === 'number' ? column : attributeNumber(fc, table, column);
  const wanted = parsePrivileges(textToString(privilege), COLUMN_PRIVILEGES);
  if (rel === null) return null;
  const attribute = attnum === undefined ? null : catalog.search(ATTNUM, table, attnum);
  if (attribute === null || attribute.attisdropped) return null;
  const acl = judge(fc);
  return acl.classMask(rel, role, wanted) !== 0 || acl.columnMask(rel, attribute.attnum, role, wanted) !== 0;
}

/** undefined for a column that was dropped. */
function attributeNumber(fc: FunctionCall, table: Oid, name: Bytes): number | undefined {
  const text = textToString(name);
  const attribute = cachesOf(fc)
    .searchList(ATTNUM, table)
    .find(({ attname }) => attname === text);
  if (attribute !== undefined) return attribute.attisdropped ? undefined : attribute.attnum;
  const rel = cachesOf(fc).search(RELOID, table);
  if (rel === null) return undefined;
  throw ereport(ERRCODE.UNDEFINED_COLUMN, `column "${text}" of relation "${rel.relname}" does not exist`);
}

function anyColumnPrivilege(fc: FunctionCall, role: Oid, table: Oid, privilege: Bytes): boolean | null {
  const wanted = parsePrivileges(textToString(privilege), COLUMN_PRIVILEGES);
  const rel = cachesOf(fc).search(RELOID, table);
  if (rel === null) return null;
  const acl = judge(fc);
  return acl.classMask(rel, role, wanted) !== 0 || acl.anyColumnMask(rel, role, wanted) !== 0;
}

/** All spellings of (role?, table, column?) arguments. */
function columnFunctions(): FunctionTable {
  const out: Record<string, (fc: FunctionCall, ...args: never[]) => boolean | null> = {};
  const role = {
    name: (fc: FunctionCall, v: Bytes) => roleOrPublic(fc, v),
    id: (_fc: FunctionCall, v: Oid) => v,
    '': (fc: FunctionCall) => fc.settings.currentUserId,
  } as const;
  const table = {
    name: (fc: FunctionCall, v: Bytes) => regclassOid(fc, textToString(v)),
    id: (_fc: FunctionCall, v: Oid) => v,
  } as const;
  for (const r of ['name', 'id', ''] as const) {
    for (const t of ['name', 'id'] as const) {
      const prefix = r === '' ? t : `${r}_${t}`;
      const roleOf = role[r] as (fc: FunctionCall, v: unknown) => Oid;
      const tableOf = table[t] as (fc: FunctionCall, v: unknown) => Oid;
      const any = (fc: FunctionCall, ...args: unknown[]): boolean | null => {
        const rest = r === '' ? args : args.slice(1);
        return anyColumnPrivilege(fc, roleOf(fc, args[0]), tableOf(fc, rest[0]), rest[1] as Bytes);
      };
      out[`has_any_column_privilege_${prefix}`] = any as never;
      for (const c of ['name', 'attnum'] as const) {
        const one = (fc: FunctionCall, ...args: unknown[]): boolean | null => {
          const rest = r === '' ? args : args.slice(1);
          return columnPrivilege(
            fc,
            roleOf(fc, args[0]),
            tableOf(fc, rest[0]),
            rest[1] as Bytes | number,
            rest[2] as Bytes,
          );
        };
        out[`has_column_privilege_${prefix}_${c}`] = one as never;
      }
    }
  }
  return out;
}

const ROLE_PRIVILEGES = {
  USAGE: bit('USAGE'),
  // Only its letter: being a member, whether or not what the role may do is inherited.
  MEMBER: bit('CREATE'),
};

/** pg_has_role: USAGE is membership with inheritance, MEMBER any; with either option, the right to grant it. */
function hasRole(fc: FunctionCall, member: Oid, role: Oid, privilege: Bytes): boolean {
  const text = textToString(privilege).replaceAll(/with admin option/gi, 'WITH GRANT OPTION');
  const wanted = parsePrivileges(text, ROLE_PRIVILEGES);
  const acl = judge(fc);
  return (
    ((wanted & 0xffff0000) !== 0 && acl.isAdminOfRole(member, role)) ||
    ((wanted & ROLE_PRIVILEGES.MEMBER) !== 0 && acl.isMemberOfRole(member, role)) ||
    ((wanted & ROLE_PRIVILEGES.USAGE) !== 0 && acl.hasPrivsOfRole(member, role))
  );
}

const nameOf = (fc: FunctionCall, name: Bytes): Oid => roleOid(fc, textToString(name));

/** The privilege's word is read before the role is looked for. */
function parameterPrivilege(fc: FunctionCall, role: Oid | Bytes, name: Bytes, privilege: Bytes): boolean {
  const wanted = parsePrivileges(textToString(privilege), rights('SET', 'ALTER SYSTEM'));
  const who = typeof role === 'number' ? role : roleOrPublic(fc, role);
  return judge(fc).parameterMask(textToString(name), who, wanted) !== 0;
}

export const aclFunctions: FunctionTable = {
  aclitemin: parseAclItem,
  aclitemout: (fc: FunctionCall, item: Bytes) => stringToText(formatAclItem(fc, item)),
  aclitem_eq: (_fc: FunctionCall, a: Bytes, b: Bytes) => equalBytes(a, b),
  aclcontains: (_fc: FunctionCall, acl: Bytes, item: Bytes) => {
    const wanted = readAcl(item);
    return aclItems(acl).some(
      a =>
        a.grantee === wanted.grantee && a.grantor === wanted.grantor && (a.privs & wanted.privs) >>> 0 === wanted.privs,
    );
  },
  makeaclitem: (_fc: FunctionCall, grantee: Oid, grantor: Oid, privilege: Bytes, goption: boolean) => {
    const all = Object.fromEntries(PRIVILEGES.map(([, name]) => [name, bit(name)]));
    // One privilege only, unlike everywhere else.
    if (textToString(privilege).includes(','))
      throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `unrecognized privilege type: "${textToString(privilege)}"`);
    const mask = parsePrivileges(textToString(privilege), { ...all, TEMP: bit('TEMPORARY'), RULE: 0 });
    return makeAcl({ grantee, grantor, privs: goption ? mask | (mask << 16) : mask });
  },
  aclinsert: () => {
    throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, 'aclinsert is no longer supported');
  },
  aclremove: () => {
    throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, 'aclremove is no longer supported');
  },
  acldefault_sql: (_fc: FunctionCall, kind: number, owner: Oid) =>
    encodeAcl(defaultAcl(String.fromCharCode(kind & 255), owner)),
  ...Object.assign({}, ...FAMILIES.map(familyFunctions)),
  ...columnFunctions(),
  pg_has_role_name_name: (fc: FunctionCall, member: Bytes, role: Bytes, priv: Bytes) =>
    hasRole(fc, nameOf(fc, member), nameOf(fc, role), priv),
  pg_has_role_name_id: (fc: FunctionCall, member: Bytes, role: Oid, priv: Bytes) =>
    hasRole(fc, nameOf(fc, member), role, priv),
  pg_has_role_id_name: (fc: FunctionCall, member: Oid, role: Bytes, priv: Bytes) =>
    hasRole(fc, member, nameOf(fc, role), priv),
  pg_has_role_id_id: (fc: FunctionCall, member: Oid, role: Oid, priv: Bytes) => hasRole(fc, member, role, priv),
  pg_has_role_name: (fc: FunctionCall, role: Bytes, priv: Bytes) =>
    hasRole(fc, fc.settings.currentUserId, nameOf(fc, role), priv),
  pg_has_role_id: (fc: FunctionCall, role: Oid, priv: Bytes) => hasRole(fc, fc.settings.currentUserId, role, priv),
  has_parameter_privilege_name_name: (fc: FunctionCall, role: Bytes, name: Bytes, priv: Bytes) =>
    parameterPrivilege(fc, role, name, priv),
  has_parameter_privilege_name: (fc: FunctionCall, name: Bytes, priv: Bytes) =>
    parameterPrivilege(fc, fc.settings.currentUserId, name, priv),
  has_parameter_privilege_id_name: (fc: FunctionCall, role: Oid, name: Bytes, priv: Bytes) =>
    parameterPrivilege(fc, role, name, priv),
};

export const aclSetFunctions: SetFunctionTable = {
  aclexplode: (_fc: FunctionCall, acl: Bytes) =>
    aclItems(acl).flatMap(a =>
      PRIVILEGES.flatMap(([, name], i) =>
        (a.privs & (1 << i)) === 0
          ? []
          : [[a.grantor, a.grantee, stringToText(name), (a.privs & (1 << (i + 16))) !== 0]],
      ),
    ),
};
