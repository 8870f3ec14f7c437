/**
 * Access lists: type aclitem, aclexplode(), acldefault(), and the has_*_privilege functions over
 * catalog facts.
 *
 * aclitem payload (12 bytes, little-endian): 0 oid grantee (0 PUBLIC)   4 oid grantor
 * 8 uint32 privileges: low half what is granted, high half with grant option.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported, type PgError } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import { builtinTypes } from '../cache/builtin_types.ts';
import type { FunctionCall, FunctionTable, SetFunctionTable } from '../fmgr.ts';
import { equalBytes, stringToText, textToString } from '../mb/mbutils.ts';
import { buildArray, deconstructArray } from './arrayutils.ts';
import { catalogOf, lookupNamespace } from './namespace.ts';
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
const bits = (...names: string[]): number => names.reduce((mask, name) => mask | bit(name), 0);

export interface Acl {
  readonly grantee: number;
  readonly grantor: number;
  readonly privs: number;
}

function readAcl(item: Bytes): Acl {
  const view = viewOf(item);
  return { grantee: view.getUint32(0, true), grantor: view.getUint32(4, true), privs: view.getUint32(8, true) };
}

function makeAcl(a: Acl): Bytes {
  const out = new Uint8Array(12);
  const view = viewOf(out);
  view.setUint32(0, a.grantee, true);
  view.setUint32(4, a.grantor, true);
  view.setUint32(8, a.privs >>> 0, true);
  return out;
}

export function aclItems(array: Bytes): Acl[] {
  return deconstructArray(array, builtinTypes().get(1033)!).map(item => readAcl(item as Bytes));
}

function roleOid(fc: FunctionCall, name: string): Oid {
  const oid = catalogOf(fc).roleByName(name);
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
  const grantee = name === '' ? 0 : roleOid(fc, name);
  let grantor = 10;
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
  const name = catalogOf(fc).role(oid as Oid)?.rolname;
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

/** Owner's and everyone's rights when nothing was granted, by kind of object. */
const DEFAULTS: Readonly<Record<string, readonly [owner: number, everyone: number]>> = {
  c: [0, 0],
  r: [bits('INSERT', 'SELECT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'), 0],
  s: [bits('SELECT', 'UPDATE', 'USAGE'), 0],
  d: [bits('CREATE', 'TEMPORARY', 'CONNECT'), bits('TEMPORARY', 'CONNECT')],
  f: [bit('EXECUTE'), bit('EXECUTE')],
  l: [bit('USAGE'), bit('USAGE')],
  L: [bits('SELECT', 'UPDATE'), 0],
  n: [bits('USAGE', 'CREATE'), 0],
  p: [bits('SET', 'ALTER SYSTEM'), 0],
  t: [bit('CREATE'), 0],
  F: [bit('USAGE'), 0],
  S: [bit('USAGE'), 0],
  T: [bit('USAGE'), bit('USAGE')],
};

function defaultAcl(kind: string, owner: number): Acl[] {
  const rights = DEFAULTS[kind];
  if (!rights) throw ereport(ERRCODE.INTERNAL_ERROR, `unrecognized objtype abbreviation: ${kind}`);
  const out: Acl[] = [];
  if (rights[1] !== 0) out.push({ grantee: 0, grantor: owner, privs: rights[1] });
  if (rights[0] !== 0 && owner !== 0) out.push({ grantee: owner, grantor: owner, privs: rights[0] });
  return out;
}

const aclArray = (items: readonly Acl[]): Bytes => buildArray(items.map(makeAcl), builtinTypes().get(1033)!);

/** An object whose privileges are asked: its list, its owner, and what kind of defaults it has. */
interface Securable {
  readonly kind: string;
  readonly owner: Oid;
  readonly acl: Bytes | null;
}

const isSuperuser = (fc: FunctionCall, role: Oid): boolean => catalogOf(fc).role(role)?.rolsuper ?? false;

/** Whether any of the wanted privileges is held, by the role, a role it inherits from, or everyone. */
function holdsAny(fc: FunctionCall, role: Oid, object: Securable, wanted: number): boolean {
  if (role !== 0 && isSuperuser(fc, role)) return true;
  const acl = object.acl === null ? defaultAcl(object.kind, object.owner) : aclItems(object.acl);
  const members: readonly number[] = role === 0 ? [] : catalogOf(fc).roleMemberships(role, true);
  // The owner can always grant.
  if ((wanted & 0xffff0000) !== 0 && members.includes(object.owner)) return true;
  return acl.some(a => (a.privs & wanted) !== 0 && (a.grantee === 0 || members.includes(a.grantee)));
}

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

const named = (...names: string[]): Readonly<Record<string, number>> => Object.fromEntries(names.map(n => [n, bit(n)]));

interface PrivilegeFamily {
  /** Middle of the prosrc: has_<name>_privilege_… */
  readonly name: string;
  readonly privileges: Readonly<Record<string, number>>;
  readonly byName: (fc: FunctionCall, name: string) => Oid;
  /** undefined: there is no such object, and the answer is null. */
  readonly find: (fc: FunctionCall, oid: Oid) => Securable | undefined;
}

function unsupportedObject(what: string): (fc: FunctionCall) => never {
  return () => {
    throw notSupported(`privileges on ${what}`);
  };
}

const relation = (fc: FunctionCall, oid: Oid): Securable | undefined => {
  const rel = catalogOf(fc).relation(oid);
  return rel && { kind: rel.relkind === 'S' ? 's' : 'r', owner: rel.relowner, acl: rel.relacl };
};

function databaseOid(fc: FunctionCall, name: string): Oid {
  const oid = catalogOf(fc).databaseByName(name);
  if (oid === undefined) throw ereport(ERRCODE.UNDEFINED_DATABASE, `database "${name}" does not exist`);
  return oid;
}

const TABLE_PRIVILEGES = {
  ...named('SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'),
  RULE: 0,
};

const FAMILIES: readonly PrivilegeFamily[] = [
  { name: 'table', privileges: TABLE_PRIVILEGES, byName: regclassOid, find: relation },
  {
    name: 'sequence',
    privileges: named('USAGE', 'SELECT', 'UPDATE'),
    byName: regclassOid,
    find: (fc, oid) => {
      const rel = catalogOf(fc).relation(oid);
      if (rel && rel.relkind !== 'S') throw ereport(ERRCODE.WRONG_OBJECT_TYPE, `"${rel.relname}" is not a sequence`);
      return relation(fc, oid);
    },
  },
  {
    name: 'database',
    privileges: { ...named('CREATE', 'TEMPORARY', 'CONNECT'), TEMP: bit('TEMPORARY') },
    byName: databaseOid,
    find: (fc, oid) => {
      const db = catalogOf(fc).database(oid);
      return db && { kind: 'd', owner: db.datdba, acl: db.datacl };
    },
  },
  {
    name: 'function',
    privileges: named('EXECUTE'),
    byName: regprocedureOidOf,
    find: (fc, oid) => {
      const proc = catalogOf(fc).proc(oid);
      return proc && { kind: 'f', owner: proc.proowner, acl: proc.proacl };
    },
  },
  {
    name: 'schema',
    privileges: named('CREATE', 'USAGE'),
    byName: lookupNamespace,
    find: (fc, oid) => {
      const nsp = catalogOf(fc).namespace(oid);
      return nsp && { kind: 'n', owner: nsp.nspowner, acl: nsp.nspacl };
    },
  },
  {
    name: 'type',
    privileges: named('USAGE'),
    byName: regtypeOid,
    find: (fc, oid) => {
      const type = catalogOf(fc).type(oid);
      return type && { kind: 'T', owner: type.typowner, acl: type.typacl };
    },
  },
  {
    name: 'language',
    privileges: named('USAGE'),
    byName: unsupportedObject('languages'),
    find: unsupportedObject('languages'),
  },
  {
    name: 'tablespace',
    privileges: named('CREATE'),
    byName: unsupportedObject('tablespaces'),
    find: unsupportedObject('tablespaces'),
  },
  {
    name: 'foreign_data_wrapper',
    privileges: named('USAGE'),
    byName: unsupportedObject('foreign-data wrappers'),
    find: unsupportedObject('foreign-data wrappers'),
  },
  {
    name: 'server',
    privileges: named('USAGE'),
    byName: unsupportedObject('foreign servers'),
    find: unsupportedObject('foreign servers'),
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
    const object = family.find(fc, oid);
    return object ? holdsAny(fc, role, object, wanted) : null;
  };
  const me = (fc: FunctionCall): Oid => fc.settings.currentUserId;
  const oidOf = (fc: FunctionCall, name: Bytes): Oid => family.byName(fc, textToString(name));
  const p = `has_${family.name}_privilege_`;
  return {
    [`${p}name_name`]: (fc: FunctionCall, role: Bytes, name: Bytes, priv: Bytes) =>
      check(fc, roleOrPublic(fc, role), oidOf(fc, name), priv),
    [`${p}name_id`]: (fc: FunctionCall, role: Bytes, oid: Oid, priv: Bytes) =>
      check(fc, roleOrPublic(fc, role), oid, priv),
    [`${p}id_name`]: (fc: FunctionCall, role: Oid, name: Bytes, priv: Bytes) => check(fc, role, oidOf(fc, name), priv),
    [`${p}id_id`]: (fc: FunctionCall, role: Oid, oid: Oid, priv: Bytes) => check(fc, role, oid, priv),
    [`${p}name`]: (fc: FunctionCall, name: Bytes, priv: Bytes) => check(fc, me(fc), oidOf(fc, name), priv),
    [`${p}id`]: (fc: FunctionCall, oid: Oid, priv: Bytes) => check(fc, me(fc), oid, priv),
  };
}

const COLUMN_PRIVILEGES = named('SELECT', 'INSERT', 'UPDATE', 'REFERENCES');

/** A column's privilege: the table's, or the column's own. Column by name or number. */
function columnPrivilege(
  fc: FunctionCall,
  role: Oid,
  table: Oid,
  column: Bytes | number,
  privilege: Bytes,
): boolean | null {
  const rel = catalogOf(fc).relation(table);
  if (!rel) return null;
  const attributes = catalogOf(fc).attributes(table) ?? [];
  const attribute = attributes.find(a =>
    typeof column === 'number' ? a.attnum === column : a.attname === textToString(column),
  );
  if (!attribute) {
    if (typeof column === 'number') return null;
    throw ereport(
      ERRCODE.UNDEFINED_COLUMN,
      `column "${textToString(column)}" of relation "${rel.relname}" does not exist`,
    );
  }
  const wanted = parsePrivileges(textToString(privilege), COLUMN_PRIVILEGES);
  if (attribute.attisdropped) return null;
  if (holdsAny(fc, role, { kind: 'r', owner: rel.relowner, acl: rel.relacl }, wanted)) return true;
  return (
    attribute.attacl !== null && holdsAny(fc, role, { kind: 'c', owner: rel.relowner, acl: attribute.attacl }, wanted)
  );
}

function anyColumnPrivilege(fc: FunctionCall, role: Oid, table: Oid, privilege: Bytes): boolean | null {
  const wanted = parsePrivileges(textToString(privilege), COLUMN_PRIVILEGES);
  const rel = catalogOf(fc).relation(table);
  if (!rel) return null;
  if (holdsAny(fc, role, { kind: 'r', owner: rel.relowner, acl: rel.relacl }, wanted)) return true;
  return (catalogOf(fc).attributes(table) ?? []).some(
    a =>
      a.attnum > 0 &&
      !a.attisdropped &&
      a.attacl !== null &&
      holdsAny(fc, role, { kind: 'c', owner: rel.relowner, acl: a.attacl }, wanted),
  );
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

/** pg_has_role: USAGE is membership with inheritance, MEMBER any. */
function hasRole(fc: FunctionCall, member: Oid, role: Oid, privilege: Bytes): boolean {
  const text = textToString(privilege).trim().toUpperCase().replace(/\s+/g, ' ');
  const kind = text.replace(/ WITH (ADMIN|GRANT) OPTION$/, '');
  if (kind !== 'USAGE' && kind !== 'MEMBER')
    throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `unrecognized privilege type: "${textToString(privilege)}"`);
  if (isSuperuser(fc, member)) return true;
  if (kind !== text) throw notSupported('admin options in pg_has_role');
  return catalogOf(fc)
    .roleMemberships(member, kind === 'USAGE')
    .includes(role);
}

const nameOf = (fc: FunctionCall, name: Bytes): Oid => roleOid(fc, textToString(name));

/** Parameters belong to the superuser unless something was granted, which no catalog method tells yet. */
function parameterPrivilege(fc: FunctionCall, role: Oid, privilege: Bytes): boolean {
  parsePrivileges(textToString(privilege), named('SET', 'ALTER SYSTEM'));
  if (role !== 0 && isSuperuser(fc, role)) return true;
  throw notSupported('privileges on configuration parameters');
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
    aclArray(defaultAcl(String.fromCharCode(kind & 255), owner)),
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
  has_parameter_privilege_name_name: (fc: FunctionCall, role: Bytes, _name: Bytes, priv: Bytes) =>
    parameterPrivilege(fc, roleOrPublic(fc, role), priv),
  has_parameter_privilege_name: (fc: FunctionCall, _name: Bytes, priv: Bytes) =>
    parameterPrivilege(fc, fc.settings.currentUserId, priv),
  has_parameter_privilege_id_name: (fc: FunctionCall, role: Oid, _name: Bytes, priv: Bytes) =>
    parameterPrivilege(fc, role, priv),
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
