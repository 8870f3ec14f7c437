/**
 * CREATE, ALTER and DROP EXTENSION (extension.c), of those that are known (packages/catalog/src/extensions.ts).
 */
import { ExtensionRelationId, pgExtension } from '@pgtroupe/catalog/catalogs/pg_extension';
import { RelationRelationId } from '@pgtroupe/catalog/catalogs/pg_class';
import { pgDescription } from '@pgtroupe/catalog/catalogs/pg_description';
import { pgInitPrivs } from '@pgtroupe/catalog/catalogs/pg_init_privs';
import { NamespaceRelationId } from '@pgtroupe/catalog/catalogs/pg_namespace';
import { ProcedureRelationId } from '@pgtroupe/catalog/catalogs/pg_proc';
import { EXTENSIONS, type ExtensionControl } from '@pgtroupe/catalog/extensions';
import { objectAddress, type ObjectAddress } from '@pgtroupe/catalog/objectaddress';
import {
  DEPENDENCY_EXTENSION,
  DEPENDENCY_NORMAL,
  recordDependencyOn,
  recordDependencyOnOwner,
} from '@pgtroupe/catalog/pg_depend';
import { EXTENSIONNAME, EXTENSIONOID, NAMESPACENAME, PROCOID, RELOID } from '@pgtroupe/catalog/syscache';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import { PG_CATALOG_NAMESPACE } from '@pgtroupe/common/oids';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { rawParse } from '@pgtroupe/parser/parser';
import { ACCESS_EXCLUSIVE_LOCK } from '@pgtroupe/storage/lmgr/locktag';
import type { CommandContext } from './command-context.ts';
import { defineFunction } from './functioncmds.ts';
import { grantObjects } from './grant.ts';
import { defineView } from './view.ts';

const INIT_PRIVS_OF_EXTENSION = 'e';

function optionOf(stmt: RawNode, name: string): string | undefined {
  return ((stmt.options ?? []) as RawNode[]).find(option => option.defname === name)?.arg?.sval;
}

/** Returns its oid; 0 when IF NOT EXISTS found one. */
export async function createExtension(context: CommandContext, stmt: RawNode): Promise<Oid> {
  const { w, session } = context;
  const name: string = stmt.extname;
  if ((await w.search(EXTENSIONNAME, name)) !== null) {
    if (!stmt.if_not_exists) throw ereport(ERRCODE.DUPLICATE_OBJECT, `extension "${name}" already exists`);
    context.notice(`extension "${name}" already exists, skipping`, ERRCODE.DUPLICATE_OBJECT);
    return 0 as Oid;
  }
  const control = controlOf(name);
  const version = optionOf(stmt, 'new_version') ?? control.version;
  if (version !== control.version) {
    const message = `extension "${name}" has no installation script nor update path for version "${version}"`;
    throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, message);
  }
  if (!(await context.judge((acl, userId) => acl.isSuperuser(userId)))) {
    throw ereport(ERRCODE.INSUFFICIENT_PRIVILEGE, `permission denied to create extension "${name}"`, {
      hint: 'Must be superuser to create this extension.',
    });
  }
  if (control.script === undefined) throw notSupported(`CREATE EXTENSION ${name}`);
  const namespace = await namespaceFor(context, stmt);
  const oid = await w.newOid(EXTENSIONOID);
  await w.insert(pgExtension, {
    oid,
    extname: name,
    extowner: session.userId,
    extnamespace: namespace,
    extrelocatable: control.relocatable,
    extversion: version,
    extconfig: null,
    extcondition: null,
  });
  const extension = objectAddress(ExtensionRelationId, oid);
  await recordDependencyOnOwner(w, ExtensionRelationId, oid, session.userId);
  await recordDependencyOn(w, extension, objectAddress(NamespaceRelationId, namespace), DEPENDENCY_NORMAL);
  await w.insert(pgDescription, {
    objoid: oid,
    classoid: ExtensionRelationId,
    objsubid: 0,
    description: control.comment,
  });
  w.commandCounterIncrement();
  await runScript(scriptContext(context, control.script, namespace), control, extension);
  return oid;
}

function controlOf(name: string): ExtensionControl {
  const control = EXTENSIONS.find(each => each.name === name);
  if (control !== undefined) return control;
  throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, `extension "${name}" is not available`, {
    detail: `pgtroupe has ${EXTENSIONS.map(each => each.name).join(', ')}.`,
    hint: 'The extension must first be installed on the system where PostgreSQL is running.',
  });
}

async function namespaceFor(context: CommandContext, stmt: RawNode): Promise<Oid> {
  const schema = optionOf(stmt, 'schema');
  if (schema === undefined) return context.creationNamespace({ type: 'RangeVar', relname: '', location: -1 });
  const row = await context.w.search(NAMESPACENAME, schema);
  if (row === null) throw ereport(ERRCODE.UNDEFINED_SCHEMA, `schema "${schema}" does not exist`);
  return row.oid;
}

/** The command's catalogs, another text, and no schema but the extension's. */
function scriptContext(context: CommandContext, script: string, namespace: Oid): CommandContext {
  const searchPath = { path: [PG_CATALOG_NAMESPACE, namespace], creation: namespace };
  const session = { ...context.session, searchPath: () => searchPath };
  const inner = Object.create(context, {
    session: { value: session },
    sourceText: { value: script },
    lookup: { value: context.lookup, writable: true },
  }) as CommandContext;
  inner.lookAgain();
  return inner;
}

async function runScript(
  context: CommandContext,
  { script, library }: ExtensionControl,
  extension: ObjectAddress,
): Promise<void> {
  const { w } = context;
  const members: ObjectAddress[] = [];
  for (const { stmt } of rawParse(script!)) {
    if (stmt.type === 'GrantStmt') await grantObjects(context, stmt);
    else {
      const member =
        stmt.type === 'ViewStmt'
          ? objectAddress(RelationRelationId, await defineView(context, stmt))
          : objectAddress(ProcedureRelationId, await defineFunction(context, stmt, library));
      await recordDependencyOn(w, member, extension, DEPENDENCY_EXTENSION);
      members.push(member);
    }
    w.commandCounterIncrement();
  }
  for (const member of members) await recordInitPrivs(context, member);
}

/** So that pg_dump tells what users have granted since. */
async function recordInitPrivs({ w }: CommandContext, { classId, objectId }: ObjectAddress): Promise<void> {
  const acl =
    classId === RelationRelationId
      ? (await w.search(RELOID, objectId))?.relacl
      : (await w.search(PROCOID, objectId))?.proacl;
  if (acl === null || acl === undefined) return;
  await w.insert(pgInitPrivs, {
    objoid: objectId,
    classoid: classId,
    objsubid: 0,
    privtype: INIT_PRIVS_OF_EXTENSION,
    initprivs: acl,
  });
}

/** ALTER EXTENSION … UPDATE. */
export async function alterExtension(context: CommandContext, stmt: RawNode): Promise<void> {
  const name: string = stmt.extname;
  const row = await context.w.search(EXTENSIONNAME, name);
  if (row === null) throw ereport(ERRCODE.UNDEFINED_OBJECT, `extension "${name}" does not exist`);
  await context.checkOwnership(row.extowner, `extension ${name}`);
  const version = optionOf(stmt, 'new_version') ?? controlOf(name).version;
  if (version === row.extversion) {
    return context.notice(`version "${version}" of extension "${name}" is already installed`);
  }
  const message = `extension "${name}" has no update path from version "${row.extversion}" to version "${version}"`;
  throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, message);
}

export async function extensionsToDrop(context: CommandContext, stmt: RawNode): Promise<ObjectAddress[]> {
  const { w } = context;
  const objects: ObjectAddress[] = [];
  for (const { sval: name } of stmt.objects as { readonly sval: string }[]) {
    const find = async (): Promise<Oid> => (await w.search(EXTENSIONNAME, name))?.oid ?? (0 as Oid);
    const oid = await context.lockNamed(ExtensionRelationId, ACCESS_EXCLUSIVE_LOCK, find);
    const row = oid === 0 ? null : await w.search(EXTENSIONOID, oid);
    if (row === null) {
      const message = `extension "${name}" does not exist`;
      if (!stmt.missing_ok) throw ereport(ERRCODE.UNDEFINED_OBJECT, message);
      context.notice(`${message}, skipping`);
      continue;
    }
    await context.checkOwnership(row.extowner, `extension ${name}`);
    objects.push(objectAddress(ExtensionRelationId, oid));
  }
  return objects;
}
