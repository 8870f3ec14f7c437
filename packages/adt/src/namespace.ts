/**
 * Search-path rules for names: what an unqualified name finds, and whether an object is the one
 * its unqualified name finds (visible).
 */
import { PG_CATALOG_NAMESPACE } from '@pgtroupe/common/oids';
import { ACL_USAGE } from '@pgtroupe/catalog/acl';
import { AclCheck } from '@pgtroupe/catalog/aclchk';
import { schemaDenied } from '@pgtroupe/catalog/namespace';
import {
  CLAOID,
  COLLOID,
  CONVOID,
  NAMESPACENAME,
  OPERNAMENSP,
  OPFAMILYOID,
  PROCNAMEARGSNSP,
  RELNAMENSP,
  STATEXTOID,
  type SysCache,
  type SysCacheReader,
  TSCONFIGOID,
  TSDICTOID,
  TSPARSEROID,
  TSTEMPLATEOID,
  TYPENAMENSP,
} from '@pgtroupe/catalog/syscache';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported, type PgError } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import { builtinTypes } from './cache/builtin_types.ts';
import type { FunctionCatalog } from './cache/functioncatalog.ts';
import type { FunctionCall } from './fmgr.ts';
import type { CatalogRow } from '@pgtroupe/catalog/catalog';
import type { Form_pg_proc } from '@pgtroupe/catalog/catalogs/pg_proc';
import type { Form_pg_operator } from '@pgtroupe/catalog/catalogs/pg_operator';

export function catalogOf(fc: FunctionCall): FunctionCatalog {
  if (!fc.catalog) throw notSupported('a catalog lookup in this context');
  return fc.catalog;
}

/** The system caches themselves. */
export function cachesOf(fc: FunctionCall): SysCacheReader {
  return catalogOf(fc).caches();
}

type NamedKind = 'type' | 'relation' | { readonly catalog: string };

function oidIn(fc: FunctionCall, kind: NamedKind, name: string, namespace: Oid): Oid | undefined {
  if (kind === 'type') return cachesOf(fc).search(TYPENAMENSP, name, namespace)?.oid;
  if (kind === 'relation') return cachesOf(fc).search(RELNAMENSP, name, namespace)?.oid;
  return namedOidIn(fc, kind.catalog, name, namespace);
}

/** Catalogs of named objects in schemas that have no more to ask: their cache and how their name columns begin. */
const NAMED: Readonly<Record<string, { readonly cache: SysCache; readonly prefix: string }>> = {
  pg_collation: { cache: COLLOID, prefix: 'coll' },
  pg_ts_config: { cache: TSCONFIGOID, prefix: 'cfg' },
  pg_ts_dict: { cache: TSDICTOID, prefix: 'dict' },
  pg_ts_parser: { cache: TSPARSEROID, prefix: 'prs' },
  pg_ts_template: { cache: TSTEMPLATEOID, prefix: 'tmpl' },
  pg_opclass: { cache: CLAOID, prefix: 'opc' },
  pg_opfamily: { cache: OPFAMILYOID, prefix: 'opf' },
  pg_conversion: { cache: CONVOID, prefix: 'con' },
  pg_statistic_ext: { cache: STATEXTOID, prefix: 'stx' },
};

interface NamedObject {
  readonly oid: Oid;
  readonly name: string;
  readonly namespace: Oid;
}

function namesOf(row: CatalogRow, prefix: string): NamedObject {
  const fields = row as unknown as Readonly<Record<string, unknown>>;
  return {
    oid: fields['oid'] as Oid,
    name: fields[`${prefix}name`] as string,
    namespace: fields[`${prefix}namespace`] as Oid,
  };
}

/** A collation, text search object, operator class …; `catalog`: where it is kept. */
export function namedObject(fc: FunctionCall, catalog: string, oid: Oid): NamedObject | undefined {
  const { cache, prefix } = NAMED[catalog]!;
  const row = cachesOf(fc).search(cache, oid);
  return row === null ? undefined : namesOf(row, prefix);
}

export function namedOidIn(fc: FunctionCall, catalog: string, name: string, namespace: Oid): Oid | undefined {
  const { cache, prefix } = NAMED[catalog]!;
  const all = cachesOf(fc).searchList(cache);
  return all.map(row => namesOf(row, prefix)).find(found => found.name === name && found.namespace === namespace)?.oid;
}

/** First object of that name along the search path. */
export function findInPath(fc: FunctionCall, kind: NamedKind, name: string): Oid | undefined {
  for (const namespace of catalogOf(fc).searchPath()) {
    const oid = oidIn(fc, kind, name, namespace);
    if (oid !== undefined) return oid;
  }
  return undefined;
}

export function isVisible(fc: FunctionCall, kind: NamedKind, name: string, namespace: Oid, oid: Oid): boolean {
  if (kind === 'type' && namespace === PG_CATALOG_NAMESPACE && builtinTypes().has(oid) && !fc.catalog) return true;
  return findInPath(fc, kind, name) === oid;
}

/** Functions a qualified or unqualified name may mean; earlier schemas hide same-argument ones. */
export function visibleProcs(fc: FunctionCall, schema: string | undefined, name: string): Form_pg_proc[] {
  const catalog = catalogOf(fc);
  const all = catalog.caches().searchList(PROCNAMEARGSNSP, name);
  if (schema !== undefined) {
    const namespace = lookupExplicitNamespace(fc, schema);
    return all.filter(p => p.pronamespace === namespace);
  }
  return firstInPath(
    catalog,
    all,
    p => p.pronamespace,
    p => p.proargtypes.join(' '),
  );
}

export function visibleOperators(fc: FunctionCall, schema: string | undefined, name: string): Form_pg_operator[] {
  const catalog = catalogOf(fc);
  const all = catalog.caches().searchList(OPERNAMENSP, name);
  if (schema !== undefined) {
    const namespace = lookupExplicitNamespace(fc, schema);
    return all.filter(o => o.oprnamespace === namespace);
  }
  return firstInPath(
    catalog,
    all,
    o => o.oprnamespace,
    o => `${o.oprleft} ${o.oprright}`,
  );
}

function firstInPath<T>(
  catalog: FunctionCatalog,
  all: readonly T[],
  namespaceOf: (t: T) => Oid,
  signature: (t: T) => string,
): T[] {
  const found = new Map<string, T>();
  for (const namespace of catalog.searchPath()) {
    for (const t of all) {
      const key = signature(t);
      if (namespaceOf(t) === namespace && !found.has(key)) found.set(key, t);
    }
  }
  return [...found.values()];
}

const schemaMissing = (name: string): PgError => ereport(ERRCODE.UNDEFINED_SCHEMA, `schema "${name}" does not exist`);

/** LookupExplicitNamespace: of a name's schema, which the user must be allowed to look into. */
export function lookupExplicitNamespace(fc: FunctionCall, name: string): Oid {
  const oid = lookupNamespace(fc, name);
  const { databaseId, currentUserId } = fc.settings;
  if (!new AclCheck(cachesOf(fc), databaseId).objectCheck('schema', oid, currentUserId, ACL_USAGE))
    throw schemaDenied(name);
  return oid;
}

export function lookupNamespace(fc: FunctionCall, name: string): Oid {
  const oid = cachesOf(fc).search(NAMESPACENAME, name)?.oid;
  if (oid === undefined) throw schemaMissing(name);
  return oid;
}
