/**
 * Access lists. An aclitem on disk is 12 bytes: grantee oid, grantor oid, privileges u4 (low half
 * the privileges, high half those with grant option). Its text form is `grantee=arw*d/grantor`.
 */
import type { Oid } from '@pgtroupe/common/ids';
import { assert } from '@pgtroupe/common/assert';
import type { AclItem } from './catalog.ts';

/** Letters in bit order: INSERT, SELECT, UPDATE, DELETE, TRUNCATE, REFERENCES, TRIGGER, EXECUTE, USAGE, CREATE, TEMP, CONNECT, SET, ALTER SYSTEM. */
const PRIVILEGE_LETTERS = 'arwdDxtXUCTcsA';

export const ACL_INSERT = 1 << 0;
export const ACL_SELECT = 1 << 1;
export const ACL_UPDATE = 1 << 2;
export const ACL_DELETE = 1 << 3;
export const ACL_TRUNCATE = 1 << 4;
export const ACL_REFERENCES = 1 << 5;
export const ACL_TRIGGER = 1 << 6;
export const ACL_EXECUTE = 1 << 7;
export const ACL_USAGE = 1 << 8;
export const ACL_CREATE = 1 << 9;
export const ACL_CREATE_TEMP = 1 << 10;
export const ACL_CONNECT = 1 << 11;
export const ACL_SET = 1 << 12;
export const ACL_ALTER_SYSTEM = 1 << 13;

const HEADER = 20;
const SIZE = 12;

/** Of one dimension even when it is empty: whoever reads an access list expects that. */
export function encodeAcl(items: readonly AclItem[]): Uint8Array {
  const bytes = new Uint8Array(HEADER + SIZE * items.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(8, 1033, true);
  view.setInt32(0, 1, true);
  view.setInt32(12, items.length, true);
  view.setInt32(16, 1, true);
  items.forEach((item, i) => {
    view.setUint32(HEADER + SIZE * i, item.grantee, true);
    view.setUint32(HEADER + SIZE * i + 4, item.grantor, true);
    view.setUint32(HEADER + SIZE * i + 8, item.privs, true);
  });
  return bytes;
}

export function decodeAcl(bytes: Uint8Array): AclItem[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getInt32(0, true) === 0) return [];
  return Array.from({ length: view.getInt32(12, true) }, (_, i) => ({
    grantee: view.getUint32(HEADER + SIZE * i, true) as Oid,
    grantor: view.getUint32(HEADER + SIZE * i + 4, true) as Oid,
    privs: view.getUint32(HEADER + SIZE * i + 8, true),
  }));
}

/** `roleOid` maps a role's name, unquoted, to its OID. */
export function parseAclItem(text: string, roleOid: (name: string) => Oid): AclItem {
  const match = /^("(?:[^"]|"")*"|[^=]*)=([a-zA-Z*]*)\/("(?:[^"]|"")*"|.+)$/.exec(text);
  assert(match !== null, `malformed aclitem ${text}`);
  const unquote = (name: string) => (name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name);
  let privs = 0;
  let last = 0;
  for (const letter of match[2]!) {
    if (letter === '*') privs |= last << 16;
    else privs |= last = 1 << PRIVILEGE_LETTERS.indexOf(letter);
  }
  const grantee = unquote(match[1]!);
  return {
    grantee: grantee === '' ? (0 as Oid) : roleOid(grantee),
    grantor: roleOid(unquote(match[3]!)),
    privs: privs >>> 0,
  };
}
