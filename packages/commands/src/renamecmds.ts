/**
 * ALTER ... RENAME: relations with their columns and constraints, types and domains, schemas. Of what cannot be renamed yet
 * it says at least when it is not there.
 */
import { ACL_CREATE } from '@pgtroupe/catalog/acl';
import { pgAttribute } from '@pgtroupe/catalog/catalogs/pg_attribute';
import { pgClass } from '@pgtroupe/catalog/catalogs/pg_class';
import { pgConstraint } from '@pgtroupe/catalog/catalogs/pg_constraint';
import { ConstraintTypidIndexId } from '@pgtroupe/catalog/catalogs/pg_constraint';
import { pgNamespace } from '@pgtroupe/catalog/catalogs/pg_namespace';
import { type Form_pg_type, pgType } from '@pgtroupe/catalog/catalogs/pg_type';
import { isSystemColumnName } from '@pgtroupe/catalog/heap';
import { makeArrayTypeName, makeRoomForTypeName } from '@pgtroupe/catalog/pg_type';
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import {
  AUTHNAME,
  CONRELID,
  DATABASENAME,
  NAMESPACENAME,
  NAMESPACEOID,
  RELNAMENSP,
  RELOID,
  TYPEOID,
} from '@pgtroupe/catalog/syscache';
import { F_ARRAY_SUBSCRIPT_HANDLER } from '@pgtroupe/common/oids';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { typenameType } from '@pgtroupe/parser/parse_type';
import { openForAlter } from './altertable.ts';
import type { CommandContext } from './command-context.ts';
import { refuseObject } from './missingobject.ts';

export async function renameObject(context: CommandContext, stmt: RawNode): Promise<void> {
  const kind: string = stmt.renameType;
  switch (kind) {
    case 'OBJECT_SCHEMA':
      return renameSchema(context, stmt.subname, stmt.newname);
    case 'OBJECT_TYPE':
    case 'OBJECT_DOMAIN':
      return renameType(context, stmt);
    case 'OBJECT_DOMCONSTRAINT':
      return renameDomainConstraint(context, stmt);
    case 'OBJECT_ROLE':
      if ((await context.w.search(AUTHNAME, stmt.subname)) === null)
        throw ereport(ERRCODE.UNDEFINED_OBJECT, `role "${stmt.subname}" does not exist`);
      throw notSupported('ALTER ROLE RENAME');
    case 'OBJECT_DATABASE':
      if ((await context.w.search(DATABASENAME, stmt.subname)) === null)
        throw ereport(ERRCODE.UNDEFINED_DATABASE, `database "${stmt.subname}" does not exist`);
      if (stmt.subname === context.session.databaseName)
        throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, 'current database cannot be renamed');
      throw notSupported('ALTER DATABASE RENAME');
    case 'OBJECT_TRIGGER':
    case 'OBJECT_RULE':
    case 'OBJECT_POLICY': {
      const rel = await openForAlter(context, stmt);
      if (rel === null) return;
      const { schemaname, relname } = stmt.relation as { schemaname?: string; relname: string };
      const names = [...(schemaname ? [schemaname] : []), relname, stmt.subname as string];
      const items = names.map(sval => ({ type: 'String', sval }));
      return refuseObject(context, kind, { type: 'List', items }, renaming(kind));
    }
    case 'OBJECT_COLUMN':
    case 'OBJECT_ATTRIBUTE':
    case 'OBJECT_TABCONSTRAINT':
    case 'OBJECT_TABLE':
    case 'OBJECT_INDEX':
    case 'OBJECT_VIEW':
    case 'OBJECT_SEQUENCE':
    case 'OBJECT_MATVIEW':
    case 'OBJECT_FOREIGN_TABLE':
      return renameInRelation(context, stmt);
    default:
      return refuseObject(context, kind, stmt.object ?? { type: 'String', sval: stmt.subname }, renaming(kind));
  }
}

function renaming(kind: string): string {
  return `ALTER ... RENAME of ${kind.replace('OBJECT_', '').toLowerCase()}`;
}

async function renameInRelation(context: CommandContext, stmt: RawNode): Promise<void> {
  const rel = await openForAlter(context, stmt);
  if (rel === null) return;
  if (stmt.renameType === 'OBJECT_COLUMN' || stmt.renameType === 'OBJECT_ATTRIBUTE')
    return renameColumn(context, rel, stmt.subname, stmt.newname);
  if (stmt.renameType === 'OBJECT_TABCONSTRAINT') return renameConstraint(context, rel, stmt.subname, stmt.newname);
  return renameRelation(context, rel, stmt.newname);
}

async function renameColumn(context: CommandContext, rel: RelationDesc, from: string, to: string): Promise<void> {
  const { w } = context;
  const attribute = rel.attributes.find(a => a.attname === from && !a.attisdropped);
  if (attribute === undefined) throw ereport(ERRCODE.UNDEFINED_COLUMN, `column "${from}" does not exist`);
  if (isSystemColumnName(to))
    throw ereport(ERRCODE.DUPLICATE_COLUMN, `column name "${to}" conflicts with a system column name`);
  if (rel.attributes.some(a => a.attname === to && !a.attisdropped)) {
    throw ereport(ERRCODE.DUPLICATE_COLUMN, `column "${to}" of relation "${rel.name}" already exists`);
  }
  await w.update(pgAttribute, attribute, { attname: to });
  w.commandCounterIncrement();
}

async function renameConstraint(context: CommandContext, rel: RelationDesc, from: string, to: string): Promise<void> {
  const { w } = context;
  const all = await w.searchList(CONRELID, rel.oid);
  const constraint = all.find(c => c.conname === from);
  if (constraint === undefined)
    throw ereport(ERRCODE.UNDEFINED_OBJECT, `constraint "${from}" for table "${rel.name}" does not exist`);
  if (all.some(c => c.conname === to))
    throw ereport(ERRCODE.DUPLICATE_OBJECT, `constraint "${to}" for relation "${rel.name}" already exists`);
  // An index constraint and its index have one name.
  if (constraint.conindid !== 0 && 'pux'.includes(constraint.contype))
    return renameRelation(context, await w.relation(constraint.conindid), to);
  await w.update(pgConstraint, constraint, { conname: to });
  w.commandCounterIncrement();
}

async function renameRelation(context: CommandContext, rel: RelationDesc, to: string): Promise<void> {
  const { w } = context;
  const { relnamespace, reltype, relkind } = rel.rel;
  const schema = await w.search(NAMESPACEOID, relnamespace);
  await context.checkRight('schema', relnamespace, ACL_CREATE, schema?.nspname ?? '');
  if ((await w.search(RELNAMENSP, to, relnamespace)) !== null)
    throw ereport(ERRCODE.DUPLICATE_TABLE, `relation "${to}" already exists`);
  await w.update(pgClass, rel.rel, { relname: to });
  if (reltype !== 0) await renameTypeRows(context, (await w.search(TYPEOID, reltype))!, to);
  if (relkind === 'i') {
    const index = await w.read(catalog => catalog.index(rel.oid));
    const constraints = index === null ? [] : await w.searchList(CONRELID, index.index.indrelid);
    const own = constraints.find(c => c.conindid === rel.oid && 'pux'.includes(c.contype));
    if (own !== undefined) await w.update(pgConstraint, own, { conname: to });
  }
  w.commandCounterIncrement();
}

/** A type and its array type. */
async function renameTypeRows(context: CommandContext, type: Form_pg_type, to: string): Promise<void> {
  const { w } = context;
  const moved = await makeRoomForTypeName(w, to, type.typnamespace);
  await w.update(pgType, type, { typname: to });
  w.commandCounterIncrement();
  // From "a" to "_a" the array type has made room already.
  if (moved === type.typarray) return;
  const array = await w.search(TYPEOID, type.typarray);
  if (array !== null) await w.update(pgType, array, { typname: await makeArrayTypeName(w, to, type.typnamespace) });
}

async function renameType(context: CommandContext, stmt: RawNode): Promise<void> {
  const { w } = context;
  const typeName: RawNode = { type: 'TypeName', names: stmt.object.items, typemod: -1, location: -1 };
  const { type } = await w.read(() => typenameType(context.parseState(), typeName));
  const shown = await w.read(() => context.parseState().typeName(type.oid));
  await context.checkTypeOwner(type);
  if (stmt.renameType === 'OBJECT_DOMAIN' && type.typtype !== 'd')
    throw ereport(ERRCODE.WRONG_OBJECT_TYPE, `${shown} is not a domain`);
  if (type.typtype === 'c') {
    const relation = (await w.search(RELOID, type.typrelid))!;
    if (relation.relkind !== 'c')
      throw ereport(ERRCODE.WRONG_OBJECT_TYPE, `${shown} is a table's row type`, { hint: 'Use ALTER TABLE instead.' });
    return renameRelation(context, await w.relation(relation.oid), stmt.newname);
  }
  if (type.typelem !== 0 && type.typsubscript === F_ARRAY_SUBSCRIPT_HANDLER) {
    const element = await w.read(() => context.parseState().typeName(type.typelem));
    throw ereport(ERRCODE.WRONG_OBJECT_TYPE, `cannot alter array type ${shown}`, {
      hint: `You can alter type ${element}, which will alter the array type as well.`,
    });
  }
  await renameTypeRows(context, type, stmt.newname);
  w.commandCounterIncrement();
}

async function renameDomainConstraint(context: CommandContext, stmt: RawNode): Promise<void> {
  const { w } = context;
  const typeName: RawNode = { type: 'TypeName', names: stmt.object.items, typemod: -1, location: -1 };
  const { type } = await w.read(() => typenameType(context.parseState(), typeName));
  const shown = await w.read(() => context.parseState().typeName(type.oid));
  if (type.typtype !== 'd') throw ereport(ERRCODE.WRONG_OBJECT_TYPE, `${shown} is not a domain`);
  const all = await w.scan(pgConstraint, ConstraintTypidIndexId, type.oid);
  const constraint = all.find(c => c.conname === stmt.subname);
  if (constraint === undefined)
    throw ereport(ERRCODE.UNDEFINED_OBJECT, `constraint "${stmt.subname}" for domain ${shown} does not exist`);
  if (all.some(c => c.conname === stmt.newname))
    throw ereport(ERRCODE.DUPLICATE_OBJECT, `constraint "${stmt.newname}" for domain ${shown} already exists`);
  await w.update(pgConstraint, constraint, { conname: stmt.newname });
  w.commandCounterIncrement();
}

async function renameSchema(context: CommandContext, from: string, to: string): Promise<void> {
  const { w } = context;
  const row = await w.search(NAMESPACENAME, from);
  if (row === null) throw ereport(ERRCODE.UNDEFINED_SCHEMA, `schema "${from}" does not exist`);
  if ((await w.search(NAMESPACENAME, to)) !== null)
    throw ereport(ERRCODE.DUPLICATE_SCHEMA, `schema "${to}" already exists`);
  await context.checkOwnership(row.nspowner, `schema ${from}`);
  await context.checkRight('database', w.databaseOid, ACL_CREATE, context.session.databaseName);
  if (/^pg_/.test(to))
    throw ereport(ERRCODE.RESERVED_NAME, `unacceptable schema name "${to}"`, {
      detail: 'The prefix "pg_" is reserved for system schemas.',
    });
  await w.update(pgNamespace, row, { nspname: to });
  w.commandCounterIncrement();
}
