/**
 * Names and schemas: which schemas an unqualified name is looked up in, and what it finds.
 */
import { PG_CATALOG_NAMESPACE } from '@pgtroupe/common/oids';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import { NAMESPACENAME, RELNAMENSP } from './syscache.ts';
import type { SysCache } from './syscache.ts';
import type { CatalogRow } from './catalog.ts';
import type { KeyPart } from './inval.ts';

/** The lookups used here; SystemCatalog has them. Synchronous: may throw CatalogMiss. */
export interface CatalogReader {
  search<Row extends CatalogRow>(cache: SysCache<Row>, ...key: KeyPart[]): Row | null;
}

export interface SearchPath {
  /** Schemas in the order they are searched, pg_temp and pg_catalog included. */
  readonly path: readonly Oid[];
  /** Where new objects go; 0 when the setting names no schema that exists. */
  readonly creation: Oid;
  /** May the user look into this schema? */
  readonly mayUse?: ((namespace: Oid) => boolean) | undefined;
}

export interface SearchPathInput {
  /** The setting `search_path`. */
  readonly setting: string;
  /** Current user, what "$user" stands for. */
  readonly userName: string;
  /** The session's pg_temp schema, 0 before it has one. */
  readonly tempNamespace: Oid;
  /** Schemas that the user may not use are passed over. */
  readonly mayUse?: (namespace: Oid) => boolean;
}

/**
 * Splits a list of identifiers: unquoted ones are folded to lower case, quoted ones taken literally.
 * undefined when the text is no such list.
 */
function splitIdentifierString(text: string): string[] | undefined {
  const names: string[] = [];
  if (text.trim() === '') return names;
  const item = /\s*(?:"((?:[^"]|"")*)"|([^",\s]+))\s*(,|$)/gy;
  for (;;) {
    const match = item.exec(text);
    if (match === null) return undefined;
    names.push(match[1] === undefined ? match[2]!.toLowerCase() : match[1].replaceAll('""', '"'));
    if (match[3] === '') return names;
  }
}

export function computeSearchPath(catalog: CatalogReader, input: SearchPathInput): SearchPath {
  const path: Oid[] = [];
  let creation = 0 as Oid;
  for (const name of splitIdentifierString(input.setting) ?? []) {
    let oid: Oid;
    if (name === 'pg_temp') oid = input.tempNamespace;
    else oid = catalog.search(NAMESPACENAME, name === '$user' ? input.userName : name)?.oid ?? (0 as Oid);
    if (oid === 0 || path.includes(oid) || input.mayUse?.(oid) === false) continue;
    path.push(oid);
    if (creation === 0) creation = oid;
  }
  // What is not named is searched first: pg_temp, then pg_catalog.
  if (!path.includes(PG_CATALOG_NAMESPACE)) path.unshift(PG_CATALOG_NAMESPACE);
  if (input.tempNamespace !== 0 && !path.includes(input.tempNamespace)) path.unshift(input.tempNamespace);
  return { path, creation, mayUse: input.mayUse };
}

export function schemaDenied(name: string): Error {
  return ereport(ERRCODE.INSUFFICIENT_PRIVILEGE, `permission denied for schema ${name}`);
}

function getNamespaceOid(catalog: CatalogReader, name: string): Oid {
  const row = catalog.search(NAMESPACENAME, name);
  if (row === null) throw ereport(ERRCODE.UNDEFINED_SCHEMA, `schema "${name}" does not exist`);
  return row.oid;
}

/** A relation's name as a statement wrote it. */
export interface RangeVarName {
  readonly catalogname?: string;
  readonly schemaname?: string;
  readonly relname: string;
}

export function rangeVarText(name: RangeVarName): string {
  return [name.catalogname, name.schemaname, name.relname].filter(part => part !== undefined && part !== '').join('.');
}

/** OID of the relation, or 0. */
export function rangeVarGetRelid(
  catalog: CatalogReader,
  search: SearchPath,
  name: RangeVarName,
  database: string,
): Oid {
  if (name.catalogname && name.catalogname !== database) {
    throw ereport(
      ERRCODE.FEATURE_NOT_SUPPORTED,
      `cross-database references are not implemented: "${rangeVarText(name)}"`,
    );
  }
  if (name.schemaname) {
    const namespace = catalog.search(NAMESPACENAME, name.schemaname);
    if (namespace === null) return 0 as Oid;
    if (search.mayUse?.(namespace.oid) === false) throw schemaDenied(name.schemaname);
    return catalog.search(RELNAMENSP, name.relname, namespace.oid)?.oid ?? (0 as Oid);
  }
  return relnameGetRelid(catalog, search, name.relname);
}

function relnameGetRelid(catalog: CatalogReader, search: SearchPath, relname: string): Oid {
  for (const namespace of search.path) {
    const rel = catalog.search(RELNAMENSP, relname, namespace);
    if (rel !== null) return rel.oid;
  }
  return 0 as Oid;
}

/** Schema that a new object goes to. */
export function creationNamespace(catalog: CatalogReader, search: SearchPath, name: RangeVarName): Oid {
  if (name.schemaname) return getNamespaceOid(catalog, name.schemaname);
  if (search.creation === 0) throw ereport(ERRCODE.UNDEFINED_SCHEMA, 'no schema has been selected to create in');
  return search.creation;
}
