/**
 * ALTER ROLE … SET and ALTER DATABASE … SET (catalog/pg_db_role_setting.c): parameters that sessions of a role, of a
 * database or of both begin with. A row keeps them as `name=value` texts, in the order in which they came.
 */
import {
  DbRoleSettingDatidRolidIndexId,
  type Form_pg_db_role_setting,
  pgDbRoleSetting,
} from '@pgtroupe/catalog/catalogs/pg_db_role_setting';
import type { Form_pg_database } from '@pgtroupe/catalog/catalogs/pg_database';
import { AUTHOID, DATABASENAME, DBROLESETTING } from '@pgtroupe/catalog/syscache';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import type { CommandContext } from './command-context.ts';
import { checkNotReserved, denied, resolveRole } from './rolespec.ts';

/** Stands for every role, or every database. */
const ALL = 0 as Oid;

/** The name of a `name=value` text. */
function settingName(item: string): string {
  return item.slice(0, item.indexOf('='));
}

export async function alterRoleSet(context: CommandContext, stmt: RawNode): Promise<void> {
  const { w, session } = context;
  let role = ALL;
  if (stmt.role !== undefined) {
    role = (await resolveRole(context, stmt.role)).oid;
    const row = (await w.search(AUTHOID, role))!;
    checkNotReserved(row);
    if (row.rolsuper && !session.superuser) throw denied('must be superuser to alter superusers');
    const mayAlter = session.superuser || (await w.search(AUTHOID, session.userId))!.rolcreaterole;
    if (!mayAlter && role !== session.userId) throw denied('permission denied');
  }
  let database = ALL;
  if (stmt.database) {
    const row = await databaseNamed(context, stmt.database);
    if (role === ALL) await context.checkOwnership(row.datdba, `database ${row.datname}`);
    database = row.oid;
  }
  if (role === ALL && database === ALL && !session.superuser)
    throw denied('must be superuser to alter settings globally');
  await alterSetting(context, database, role, stmt.setstmt);
}

export async function alterDatabaseSet(context: CommandContext, stmt: RawNode): Promise<void> {
  const row = await databaseNamed(context, stmt.dbname);
  await context.checkOwnership(row.datdba, `database ${row.datname}`);
  await alterSetting(context, row.oid, ALL, stmt.setstmt);
}

async function databaseNamed(context: CommandContext, name: string): Promise<Form_pg_database> {
  const row = await context.w.search(DATABASENAME, name);
  if (row === null) throw ereport(ERRCODE.UNDEFINED_DATABASE, `database "${name}" does not exist`);
  return row;
}

async function alterSetting(context: CommandContext, setdatabase: Oid, setrole: Oid, setstmt: RawNode): Promise<void> {
  const { w } = context;
  const row = await w.search(DBROLESETTING, setdatabase, setrole);
  const setconfig = await changed(context, row?.setconfig ?? [], setstmt);
  if (row === null) {
    if (setconfig.length > 0)
      await w.insert<Form_pg_db_role_setting>(pgDbRoleSetting, { setdatabase, setrole, setconfig });
  } else if (setconfig.length > 0) await w.update(pgDbRoleSetting, row, { setconfig });
  else await w.delete(pgDbRoleSetting, row);
  w.commandCounterIncrement();
}

/** The texts after the command. */
async function changed(context: CommandContext, before: readonly string[], setstmt: RawNode): Promise<string[]> {
  const { w } = context;
  const { stored } = context.session;
  if (stored === undefined) throw notSupported('a stored parameter here');
  if (setstmt.kind === 'VAR_RESET_ALL') {
    const kept: string[] = [];
    for (const item of before) if (!(await w.read(() => stored.mayReset(settingName(item))))) kept.push(item);
    return kept;
  }
  const value = stored.value(setstmt);
  const name = await w.read(() => stored.check(setstmt.name, value));
  const others = before.filter(item => settingName(item) !== name);
  if (value === undefined) return others;
  const at = before.findIndex(item => settingName(item) === name);
  const item = `${name}=${value}`;
  return at < 0 ? [...before, item] : before.with(at, item);
}

/** What was set for a role that is dropped, in any database. */
export async function dropRoleSettings(context: CommandContext, role: Oid): Promise<void> {
  const { w } = context;
  for (const row of await w.scan(pgDbRoleSetting, DbRoleSettingDatidRolidIndexId))
    if (row.setrole === role) await w.delete(pgDbRoleSetting, row);
}
