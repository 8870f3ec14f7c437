/**
 * COMMENT ON.
 */
import { RelationRelationId } from '@pgtroupe/catalog/catalogs/pg_class';
import { ConstraintRelationId } from '@pgtroupe/catalog/catalogs/pg_constraint';
import { DatabaseRelationId } from '@pgtroupe/catalog/catalogs/pg_database';
import { DescriptionObjIndexId, pgDescription } from '@pgtroupe/catalog/catalogs/pg_description';
import { NamespaceRelationId } from '@pgtroupe/catalog/catalogs/pg_namespace';
import { AuthIdRelationId, type Form_pg_authid } from '@pgtroupe/catalog/catalogs/pg_authid';
import { pgShdescription, SharedDescriptionObjIndexId } from '@pgtroupe/catalog/catalogs/pg_shdescription';
import { TypeRelationId } from '@pgtroupe/catalog/catalogs/pg_type';
import { objectAddress, type ObjectAddress } from '@pgtroupe/catalog/objectaddress';
import { AUTHNAME, AUTHOID, CONRELID, DATABASENAME, NAMESPACENAME } from '@pgtroupe/catalog/syscache';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { SHARE_UPDATE_EXCLUSIVE_LOCK } from '@pgtroupe/storage/lmgr/locktag';
import { refuseObject } from './missingobject.ts';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { rawStrings } from '@pgtroupe/parser/parse_node';
import { typenameType } from '@pgtroupe/parser/parse_type';
import { type CommandContext, rangeVarOfNames, relkindWords } from './command-context.ts';

/** Relation kinds each object type may name. */
const RELKINDS: Readonly<Record<string, string>> = {
  OBJECT_TABLE: 'rp',
  OBJECT_INDEX: 'iI',
  OBJECT_SEQUENCE: 'S',
  OBJECT_VIEW: 'v',
  OBJECT_MATVIEW: 'm',
  OBJECT_FOREIGN_TABLE: 'f',
};
const ARTICLES: Readonly<Record<string, string>> = {
  OBJECT_TABLE: 'a table',
  OBJECT_INDEX: 'an index',
  OBJECT_SEQUENCE: 'a sequence',
  OBJECT_VIEW: 'a view',
  OBJECT_MATVIEW: 'a materialized view',
  OBJECT_FOREIGN_TABLE: 'a foreign table',
};

export async function commentObject(context: CommandContext, stmt: RawNode): Promise<void> {
  const object = await resolve(context, stmt);
  if (object === undefined) return;
  const { w } = context;
  const text: string | undefined = stmt.comment || undefined;
  const { classId, objectId, objectSubId } = object;
  if (classId === DatabaseRelationId || classId === AuthIdRelationId) {
    const [old] = await w.scan(pgShdescription, SharedDescriptionObjIndexId, objectId, classId);
    if (text === undefined) {
      if (old !== undefined) await w.delete(pgShdescription, old);
    } else if (old !== undefined) await w.update(pgShdescription, old, { description: text });
    else await w.insert(pgShdescription, { objoid: objectId, classoid: classId, description: text });
    return;
  }
  const [old] = await w.scan(pgDescription, DescriptionObjIndexId, objectId, classId, objectSubId);
  if (text === undefined) {
    if (old !== undefined) await w.delete(pgDescription, old);
  } else if (old !== undefined) await w.update(pgDescription, old, { description: text });
  else
    await w.insert(pgDescription, {
      objoid: objectId,
      classoid: classId,
      objsubid: objectSubId,
      description: text,
    });
}

async function resolve(context: CommandContext, stmt: RawNode): Promise<ObjectAddress | undefined> {
  const { w } = context;
  const names = rawStrings(stmt.object.items);
  const single: string = stmt.object.sval ?? names.at(-1);
  const relkinds = RELKINDS[stmt.objtype];
  if (relkinds !== undefined) {
    const rel = await context.openRelation(rangeVarOfNames(names), SHARE_UPDATE_EXCLUSIVE_LOCK);
    if (!relkinds.includes(rel.rel.relkind))
      throw ereport(ERRCODE.WRONG_OBJECT_TYPE, `"${rel.name}" is not ${ARTICLES[stmt.objtype]!}`);
    await context.checkOwner(rel);
    return objectAddress(RelationRelationId, rel.oid);
  }
  switch (stmt.objtype) {
    case 'OBJECT_COLUMN': {
      if (names.length < 2) throw ereport(ERRCODE.SYNTAX_ERROR, 'column name must be qualified');
      const rel = await context.openRelation(rangeVarOfNames(names.slice(0, -1)), SHARE_UPDATE_EXCLUSIVE_LOCK);
      const column = rel.attributes.find(a => a.attname === single && !a.attisdropped);
      if (column === undefined)
        throw ereport(ERRCODE.UNDEFINED_COLUMN, `column "${single}" of relation "${rel.name}" does not exist`);
      await context.checkOwner(rel, 'relation');
      if (!'rvmcfp'.includes(rel.rel.relkind)) {
        throw ereport(ERRCODE.WRONG_OBJECT_TYPE, `cannot set comment on relation "${rel.name}"`, {
          detail: `This operation is not supported for ${relkindWords(rel.rel.relkind).replace(/^an? /, '').replace(/x$/, 'xe')}s.`,
        });
      }
      return objectAddress(RelationRelationId, rel.oid, column.attnum);
    }
    case 'OBJECT_TABCONSTRAINT': {
      const rel = await context.openRelation(rangeVarOfNames(names.slice(0, -1)), SHARE_UPDATE_EXCLUSIVE_LOCK);
      const constraint = (await w.searchList(CONRELID, rel.oid)).find(c => c.conname === single);
      if (constraint === undefined)
        throw ereport(ERRCODE.UNDEFINED_OBJECT, `constraint "${single}" for table "${rel.name}" does not exist`);
      await context.checkOwner(rel, 'relation');
      return objectAddress(ConstraintRelationId, constraint.oid);
    }
    case 'OBJECT_SCHEMA': {
      const row = await w.search(NAMESPACENAME, single);
      if (row === null) throw ereport(ERRCODE.UNDEFINED_SCHEMA, `schema "${single}" does not exist`);
      await context.checkOwnership(row.nspowner, `schema ${single}`);
      return objectAddress(NamespaceRelationId, row.oid);
    }
    case 'OBJECT_TYPE':
    case 'OBJECT_DOMAIN': {
      const { type } = await w.read(() => typenameType(context.parseState(), stmt.object));
      await context.checkTypeOwner(type);
      return objectAddress(TypeRelationId, type.oid);
    }
    case 'OBJECT_DATABASE': {
      const row = await w.search(DATABASENAME, single);
      // Only a warning, so that a dump can be restored into a database of another name.
      if (row === null) {
        w.store.notice(`database "${single}" does not exist`, {
          severity: 'WARNING',
          sqlstate: ERRCODE.UNDEFINED_DATABASE,
        });
        return undefined;
      }
      await context.checkOwnership(row.datdba, `database ${single}`);
      return objectAddress(DatabaseRelationId, row.oid);
    }
    case 'OBJECT_ROLE': {
      const row = await w.search(AUTHNAME, single);
      if (row === null) throw ereport(ERRCODE.UNDEFINED_OBJECT, `role "${single}" does not exist`);
      await checkMayCommentOnRole(context, row);
      return objectAddress(AuthIdRelationId, row.oid);
    }
    default:
      return refuseObject(
        context,
        stmt.objtype,
        stmt.object,
        `COMMENT ON ${String(stmt.objtype).replace('OBJECT_', '').replaceAll('_', ' ')}`,
      );
  }
}

async function checkMayCommentOnRole(context: CommandContext, role: Form_pg_authid): Promise<void> {
  const me = await context.w.search(AUTHOID, context.session.userId);
  if (me?.rolsuper === true) return;
  if (role.rolsuper) throw ereport(ERRCODE.INSUFFICIENT_PRIVILEGE, 'must be superuser');
  if (me?.rolcreaterole !== true) throw ereport(ERRCODE.INSUFFICIENT_PRIVILEGE, 'must have CREATEROLE privilege');
}
