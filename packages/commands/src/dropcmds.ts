/**
 * DROP TABLE, INDEX, VIEW, SEQUENCE, SCHEMA, TYPE, DOMAIN, EXTENSION.
 */
import { NamespaceRelationId } from '@pgtroupe/catalog/catalogs/pg_namespace';
import { RelationRelationId } from '@pgtroupe/catalog/catalogs/pg_class';
import { TypeRelationId, TYPTYPE_DOMAIN } from '@pgtroupe/catalog/catalogs/pg_type';
import type { LockableObject } from '@pgtroupe/catalog/catalogwriter';
import { performDeletions } from '@pgtroupe/catalog/dependency';
import { objectAddress, type ObjectAddress } from '@pgtroupe/catalog/objectaddress';
import { isPinnedObject } from '@pgtroupe/catalog/pinned';
import { INDEXRELID, NAMESPACENAME, NAMESPACEOID, TYPEOID } from '@pgtroupe/catalog/syscache';
import { ERRCODE, type Sqlstate } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import { ACCESS_EXCLUSIVE_LOCK } from '@pgtroupe/storage/lmgr/locktag';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { rawStrings } from '@pgtroupe/parser/parse_node';
import { deconstructQualifiedName, lookupTypeName } from '@pgtroupe/parser/parse_type';
import { extensionsToDrop } from './extension.ts';
import { lockWhatIsMeant } from './lockedlookup.ts';
import { missingObject } from './missingobject.ts';
import { type CommandContext, rangeVarOfNames, relkindWords } from './command-context.ts';

interface DropKind {
  readonly relkinds: string;
  readonly word: string;
  readonly article: string;
}

const RELATION_KINDS: Readonly<Record<string, DropKind>> = {
  OBJECT_TABLE: { relkinds: 'rp', word: 'table', article: 'a table' },
  OBJECT_INDEX: { relkinds: 'iI', word: 'index', article: 'an index' },
  OBJECT_SEQUENCE: { relkinds: 'S', word: 'sequence', article: 'a sequence' },
  OBJECT_VIEW: { relkinds: 'v', word: 'view', article: 'a view' },
  OBJECT_MATVIEW: { relkinds: 'm', word: 'materialized view', article: 'a materialized view' },
  OBJECT_FOREIGN_TABLE: { relkinds: 'f', word: 'foreign table', article: 'a foreign table' },
};

/** What to drop instead, by the relation's actual kind. */
const HINT_WORDS: Readonly<Record<string, string>> = {
  r: 'TABLE',
  p: 'TABLE',
  i: 'INDEX',
  I: 'INDEX',
  S: 'SEQUENCE',
  v: 'VIEW',
  m: 'MATERIALIZED VIEW',
  f: 'FOREIGN TABLE',
  c: 'TYPE',
};

export async function executeDrop(context: CommandContext, stmt: RawNode): Promise<void> {
  const behavior = stmt.behavior === 'DROP_CASCADE' ? 'cascade' : 'restrict';
  const kind = RELATION_KINDS[stmt.removeType];
  if (stmt.concurrent) throw notSupported('DROP INDEX CONCURRENTLY');
  let objects: ObjectAddress[];
  if (kind !== undefined) objects = await relationsToDrop(context, stmt, kind);
  else if (stmt.removeType === 'OBJECT_SCHEMA') objects = await schemasToDrop(context, stmt);
  else if (stmt.removeType === 'OBJECT_TYPE' || stmt.removeType === 'OBJECT_DOMAIN')
    objects = await typesToDrop(context, stmt);
  else if (stmt.removeType === 'OBJECT_EXTENSION') objects = await extensionsToDrop(context, stmt);
  else objects = await othersToDrop(context, stmt);
  await performDeletions(context.w, objects, behavior);
}

async function relationsToDrop(context: CommandContext, stmt: RawNode, kind: DropKind): Promise<ObjectAddress[]> {
  const objects: ObjectAddress[] = [];
  for (const list of stmt.objects as RawNode[]) {
    const names = rawStrings(list.items);
    const rangeVar = rangeVarOfNames(names);
    const relid = await lockForDrop(context, rangeVar, kind);
    if (relid === 0) {
      if (!(await schemaExists(context, rangeVar.schemaname, stmt.missing_ok ?? false))) continue;
      missing(
        context,
        kind.word === 'index' ? ERRCODE.UNDEFINED_OBJECT : ERRCODE.UNDEFINED_TABLE,
        `${kind.word} "${names.at(-1)!}" does not exist`,
        stmt.missing_ok ?? false,
      );
      continue;
    }
    objects.push(objectAddress(RelationRelationId, relid));
  }
  return objects;
}

/** OID of the relation, 0 when there is none. An index is locked after its table, as queries lock them. */
async function lockForDrop(context: CommandContext, rangeVar: RawNode, kind: DropKind): Promise<Oid> {
  const { store } = context.w;
  const relation = (objectId: Oid): LockableObject => ({ classId: RelationRelationId, objectId });
  let table = 0 as Oid;
  let tableMine = false;
  return lockWhatIsMeant({
    find: () => context.relid(rangeVar),
    mayLock: oid => mayDrop(context, oid, kind),
    lock: async oid => {
      table = (await context.w.search(INDEXRELID, oid))?.indrelid ?? (0 as Oid);
      tableMine = table !== 0 && (await store.lockObject(relation(table), ACCESS_EXCLUSIVE_LOCK));
      return store.lockObject(relation(oid), ACCESS_EXCLUSIVE_LOCK);
    },
    unlock: oid => {
      store.unlockObject(relation(oid), ACCESS_EXCLUSIVE_LOCK);
      if (tableMine) store.unlockObject(relation(table), ACCESS_EXCLUSIVE_LOCK);
    },
  });
}

async function mayDrop(context: CommandContext, oid: Oid, kind: DropKind): Promise<void> {
  const rel = await context.w.read(catalog => catalog.relation(oid));
  if (rel === null) return;
  const { relkind, relnamespace } = rel.rel;
  if (!kind.relkinds.includes(relkind)) {
    throw ereport(ERRCODE.WRONG_OBJECT_TYPE, `"${rel.name}" is not ${kind.article}`, {
      hint: `Use DROP ${HINT_WORDS[relkind] ?? 'TABLE'} to remove ${relkindWords(relkind)}.`,
    });
  }
  await checkMayDrop(context, relnamespace, () => context.checkOwner(rel));
  context.checkNotCatalog(rel);
}

async function schemaExists(context: CommandContext, name: string, missingOk: boolean): Promise<boolean> {
  if (name === '' || (await context.w.search(NAMESPACENAME, name)) !== null) return true;
  missing(context, ERRCODE.UNDEFINED_SCHEMA, `schema "${name}" does not exist`, missingOk);
  return false;
}

function missing(context: CommandContext, sqlstate: Sqlstate, message: string, missingOk: boolean): void {
  if (!missingOk) throw ereport(sqlstate, message);
  context.notice(`${message}, skipping`);
}

async function schemasToDrop(context: CommandContext, stmt: RawNode): Promise<ObjectAddress[]> {
  const objects: ObjectAddress[] = [];
  for (const item of stmt.objects as RawNode[]) {
    const name: string = item.sval ?? rawStrings(item.items).at(-1)!;
    const oid = await context.lockNamed(
      NamespaceRelationId,
      ACCESS_EXCLUSIVE_LOCK,
      async () => (await context.w.search(NAMESPACENAME, name))?.oid ?? (0 as Oid),
    );
    const row = oid === 0 ? null : await context.w.search(NAMESPACEOID, oid);
    if (row === null) {
      missing(context, ERRCODE.UNDEFINED_SCHEMA, `schema "${name}" does not exist`, stmt.missing_ok ?? false);
      continue;
    }
    await context.checkOwnership(row.nspowner, `schema ${name}`);
    if (isPinnedObject(NamespaceRelationId, row.oid)) {
      throw ereport(
        ERRCODE.DEPENDENT_OBJECTS_STILL_EXIST,
        `cannot drop schema ${name} because it is required by the database system`,
      );
    }
    objects.push(objectAddress(NamespaceRelationId, row.oid));
  }
  return objects;
}

async function typesToDrop(context: CommandContext, stmt: RawNode): Promise<ObjectAddress[]> {
  const objects: ObjectAddress[] = [];
  for (const typeName of stmt.objects as RawNode[]) {
    const { schema, name } = deconstructQualifiedName(context.parseState(), rawStrings(typeName.names));
    const find = async (): Promise<Oid> => {
      if (schema !== null && (await context.w.search(NAMESPACENAME, schema)) === null) return 0 as Oid;
      return (await context.w.read(() => lookupTypeName(context.parseState(), typeName)))?.type.oid ?? (0 as Oid);
    };
    const oid = await context.lockNamed(TypeRelationId, ACCESS_EXCLUSIVE_LOCK, find);
    const type = oid === 0 ? null : await context.w.search(TYPEOID, oid);
    if (type === null) {
      if (!(await schemaExists(context, schema ?? '', stmt.missing_ok ?? false))) continue;
      missing(
        context,
        ERRCODE.UNDEFINED_OBJECT,
        `type "${schema === null ? name : `${schema}.${name}`}" does not exist`,
        stmt.missing_ok ?? false,
      );
      continue;
    }
    if (stmt.removeType === 'OBJECT_DOMAIN' && type.typtype !== TYPTYPE_DOMAIN) {
      throw ereport(ERRCODE.WRONG_OBJECT_TYPE, `"${name}" is not a domain`);
    }
    await checkMayDrop(context, type.typnamespace, () => context.checkTypeOwner(type));
    objects.push(objectAddress(TypeRelationId, type.oid));
  }
  return objects;
}

/** Kinds that cannot be dropped yet: what is not there is told, or skipped. */
async function othersToDrop(context: CommandContext, stmt: RawNode): Promise<ObjectAddress[]> {
  const what = `DROP ${String(stmt.removeType).replace('OBJECT_', '').replaceAll('_', ' ')}`;
  for (const object of stmt.objects as RawNode[]) {
    const missing = await missingObject(context, stmt.removeType, object);
    if (missing === undefined) throw notSupported(what);
    if (!stmt.missing_ok) throw ereport(missing.sqlstate, missing.message);
    context.notice(missing.skipping ?? `${missing.message}, skipping`);
  }
  return [];
}

/** An object goes by the will of its owner, or of its schema's. */
async function checkMayDrop(context: CommandContext, namespace: Oid, checkOwner: () => Promise<void>): Promise<void> {
  const schema = await context.w.search(NAMESPACEOID, namespace);
  if (schema !== null && (await context.judge((acl, userId) => acl.hasPrivsOfRole(userId, schema.nspowner)))) return;
  await checkOwner();
}
