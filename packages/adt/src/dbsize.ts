/** Sizes of databases and tablespaces (dbsize.c): how long all files in their folders are. */
import { ACL_CONNECT, ACL_CREATE } from '@pgtroupe/catalog/acl';
import { DATABASENAME, DATABASEOID, TABLESPACENAME, TABLESPACEOID } from '@pgtroupe/catalog/syscache';
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import { INVALID_OID, type Oid } from '@pgtroupe/common/ids';
import { DEFAULTTABLESPACE_OID, ROLE_PG_READ_ALL_STATS } from '@pgtroupe/common/oids';
import { judge } from './acl.ts';
import { ask } from './asking.ts';
import type { FunctionCall, FunctionTable } from './fmgr.ts';
import { textToString } from './mb/mbutils.ts';
import { cachesOf } from './namespace.ts';
import { server } from './serverfuncs.ts';

function undefinedObject(
  sqlstate: typeof ERRCODE.UNDEFINED_DATABASE | typeof ERRCODE.UNDEFINED_OBJECT,
  what: string,
): PgError {
  return ereport(sqlstate, `${what} does not exist`);
}

function mustHave(fc: FunctionCall, kind: 'database' | 'tablespace', oid: Oid, right: number): void {
  const me = fc.settings.currentUserId;
  const acl = judge(fc);
  if (acl.hasPrivsOfRole(me, ROLE_PG_READ_ALL_STATS)) return;
  const granted = acl.objectMask(kind, oid, me, right);
  if (granted === undefined)
    throw undefinedObject(
      kind === 'database' ? ERRCODE.UNDEFINED_DATABASE : ERRCODE.UNDEFINED_OBJECT,
      `${kind} with OID ${oid}`,
    );
  if (granted !== 0) return;
  const caches = cachesOf(fc);
  const name =
    kind === 'database' ? caches.search(DATABASEOID, oid)?.datname : caches.search(TABLESPACEOID, oid)?.spcname;
  throw ereport(ERRCODE.INSUFFICIENT_PRIVILEGE, `permission denied for ${kind} ${name}`);
}

function databaseSize(fc: FunctionCall, oid: Oid): Datum {
  mustHave(fc, 'database', oid, ACL_CONNECT);
  if (oid === INVALID_OID) return null;
  const found = server(fc);
  // There are no tablespaces but those of initdb; what all databases share is not counted.
  const bytes = ask(fc, () => found.folderSize(DEFAULTTABLESPACE_OID as Oid, oid));
  return bytes === undefined || bytes === 0 ? null : bytes;
}

function tablespaceSize(fc: FunctionCall, oid: Oid): Datum {
  const own = cachesOf(fc).search(DATABASEOID, fc.settings.databaseId)?.dattablespace;
  if (oid !== own) mustHave(fc, 'tablespace', oid, ACL_CREATE);
  const found = server(fc);
  return ask(fc, () => found.folderSize(oid, INVALID_OID)) ?? null;
}

function named(fc: FunctionCall, name: string): Oid {
  const oid = cachesOf(fc).search(DATABASENAME, name)?.oid;
  if (oid === undefined) throw undefinedObject(ERRCODE.UNDEFINED_DATABASE, `database "${name}"`);
  return oid;
}

function tablespaceNamed(fc: FunctionCall, name: string): Oid {
  const oid = cachesOf(fc).search(TABLESPACENAME, name)?.oid;
  if (oid === undefined) throw undefinedObject(ERRCODE.UNDEFINED_OBJECT, `tablespace "${name}"`);
  return oid;
}

export const sizeFunctions: FunctionTable = {
  pg_database_size_oid: databaseSize,
  pg_database_size_name: (fc: FunctionCall, name: Uint8Array) => databaseSize(fc, named(fc, textToString(name))),
  pg_tablespace_size_oid: tablespaceSize,
  pg_tablespace_size_name: (fc: FunctionCall, name: Uint8Array) =>
    tablespaceSize(fc, tablespaceNamed(fc, textToString(name))),
};
