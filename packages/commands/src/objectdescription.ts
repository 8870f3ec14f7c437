/**
 * Objects in words, as messages name them: `table t`, `column c of table t`, `default value for
 * column c of table t`. Names are qualified when the search path would not find them.
 */
import type { Oid } from '@pgtroupe/common/ids';
import { ALL_CATALOGS } from '@pgtroupe/catalog/catalogs/all';
import { AttrDefaultOidIndexId, AttrDefaultRelationId, pgAttrdef } from '@pgtroupe/catalog/catalogs/pg_attrdef';
import { RelationRelationId } from '@pgtroupe/catalog/catalogs/pg_class';
import { ConstraintOidIndexId, ConstraintRelationId, pgConstraint } from '@pgtroupe/catalog/catalogs/pg_constraint';
import { ExtensionRelationId } from '@pgtroupe/catalog/catalogs/pg_extension';
import { NamespaceRelationId } from '@pgtroupe/catalog/catalogs/pg_namespace';
import { ProcedureRelationId } from '@pgtroupe/catalog/catalogs/pg_proc';
import { pgRewrite, RewriteOidIndexId, RewriteRelationId } from '@pgtroupe/catalog/catalogs/pg_rewrite';
import { pgTrigger, TriggerOidIndexId, TriggerRelationId } from '@pgtroupe/catalog/catalogs/pg_trigger';
import { TypeRelationId } from '@pgtroupe/catalog/catalogs/pg_type';
import type { CatalogWriter } from '@pgtroupe/catalog/catalogwriter';
import type { ObjectAddress } from '@pgtroupe/catalog/objectaddress';
import { ATTNUM, EXTENSIONOID, NAMESPACEOID } from '@pgtroupe/catalog/syscache';
import type { CatalogLookup } from '@pgtroupe/parser/catalog-lookup';
import { formatType } from '@pgtroupe/parser/format_type';
import { quoteQualifiedIdentifier } from '@pgtroupe/adt/quote';

const RELATION_WORDS: Readonly<Record<string, string>> = {
  r: 'table',
  p: 'table',
  i: 'index',
  I: 'index',
  S: 'sequence',
  t: 'toast table',
  v: 'view',
  m: 'materialized view',
  c: 'composite type',
  f: 'foreign table',
};

export async function getObjectDescription(
  w: CatalogWriter,
  lookup: CatalogLookup,
  object: ObjectAddress,
): Promise<string> {
  const { classId, objectId, objectSubId } = object;
  switch (classId) {
    case RelationRelationId: {
      const relation = await describeRelation(w, lookup, objectId);
      if (objectSubId === 0) return relation;
      const column = await w.search(ATTNUM, objectId, objectSubId);
      return `column ${column?.attname ?? objectSubId} of ${relation}`;
    }
    case TypeRelationId:
      return `type ${await w.read(() => formatType(lookup, objectId))}`;
    case ExtensionRelationId:
      return `extension ${(await w.search(EXTENSIONOID, objectId))?.extname ?? objectId}`;
    case NamespaceRelationId:
      return `schema ${(await w.search(NAMESPACEOID, objectId))?.nspname ?? objectId}`;
    case ProcedureRelationId:
      return `function ${await w.read(() => functionSignature(lookup, objectId))}`;
    case ConstraintRelationId: {
      const [row] = await w.scan(pgConstraint, ConstraintOidIndexId, objectId);
      if (row === undefined) return `constraint ${objectId}`;
      return row.conrelid === 0
        ? `constraint ${row.conname}`
        : `constraint ${row.conname} on ${await describeRelation(w, lookup, row.conrelid)}`;
    }
    case AttrDefaultRelationId: {
      const [row] = await w.scan(pgAttrdef, AttrDefaultOidIndexId, objectId);
      if (row === undefined) return `default value ${objectId}`;
      const column = await getObjectDescription(w, lookup, {
        classId: RelationRelationId,
        objectId: row.adrelid,
        objectSubId: row.adnum,
      });
      return `default value for ${column}`;
    }
    case RewriteRelationId: {
      const [row] = await w.scan(pgRewrite, RewriteOidIndexId, objectId);
      return row === undefined
        ? `rule ${objectId}`
        : `rule ${row.rulename} on ${await describeRelation(w, lookup, row.ev_class)}`;
    }
    case TriggerRelationId: {
      const [row] = await w.scan(pgTrigger, TriggerOidIndexId, objectId);
      return row === undefined
        ? `trigger ${objectId}`
        : `trigger ${row.tgname} on ${await describeRelation(w, lookup, row.tgrelid)}`;
    }
    default:
      return `${ALL_CATALOGS.find(c => c.oid === classId)?.name ?? 'object'} ${objectId}`;
  }
}

async function describeRelation(w: CatalogWriter, lookup: CatalogLookup, oid: Oid): Promise<string> {
  return w.read(() => {
    const rel = lookup.relationOrNull(oid);
    if (rel === null) return `relation ${oid}`;
    const schema = lookup.relationIsVisible(rel) ? null : lookup.namespaceName(rel.relnamespace);
    return `${RELATION_WORDS[rel.relkind] ?? 'relation'} ${quoteQualifiedIdentifier(schema, rel.relname)}`;
  });
}

function functionSignature(lookup: CatalogLookup, oid: Oid): string {
  const proc = lookup.procOrNull(oid);
  if (proc === null) return String(oid);
  const args = proc.proargtypes.map(type => formatType(lookup, type));
  const schema = lookup.searchPath.includes(proc.pronamespace) ? null : lookup.namespaceName(proc.pronamespace);
  return `${quoteQualifiedIdentifier(schema, proc.proname)}(${args.join(',')})`;
}
