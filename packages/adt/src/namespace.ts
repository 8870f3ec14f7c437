/**
 * Search-path rules for names: what an unqualified name finds, and whether an object is the one
 * its unqualified name finds (visible).
 */
import { PG_CATALOG_NAMESPACE } from '@pgtroupe/common/oids';
import { ACL_USAGE } from '@pgtroupe/catalog/acl';
import { AclCheck } from '@pgtroupe/catalog/aclchk';
import { schemaDenied } from '@pgtroupe/catalog/namespace';
import type { SysCacheReader } from '@pgtroupe/catalog/syscache';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported, type PgError } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import { builtinTypes } from './cache/builtin_types.ts';
import type { CatalogLookup, OperatorFacts, ProcFacts } from './cache/lookup.ts';
import type { FunctionCall } from './fmgr.ts';

export function catalogOf(fc: FunctionCall): CatalogLookup {
  if (!fc.catalog) throw notSupported('a catalog lookup in this context');
  return fc.catalog;
}

/** The system caches themselves. */
export function cachesOf(fc: FunctionCall): SysCacheReader {
  const caches = fc.catalog?.caches?.();
  if (caches === undefined) throw notSupported('a catalog lookup in this context');
  return caches;
}

type NamedKind = 'type' | 'relation' | { readonly catalog: string };

function oidIn(catalog: CatalogLookup, kind: NamedKind, name: string, namespace: Oid): Oid | undefined {
  if (kind === 'type') return catalog.typeByName(name, namespace);
  if (kind === 'relation') return catalog.relationByName(name, namespace);
  return catalog.namedByName(kind.catalog, name, namespace);
}

/** First object of that name along the search path. */
export function findInPath(fc: FunctionCall, kind: NamedKind, name: string): Oid | undefined {
  const catalog = catalogOf(fc);
  for (const namespace of catalog.searchPath()) {
    const oid = oidIn(catalog, kind, name, namespace);
    if (oid !== undefined) return oid;
  }
  return undefined;
}

export function isVisible(fc: FunctionCall, kind: NamedKind, name: string, namespace: Oid, oid: Oid): boolean {
  if (kind === 'type' && namespace === PG_CATALOG_NAMESPACE && builtinTypes().has(oid) && !fc.catalog) return true;
  return findInPath(fc, kind, name) === oid;
}

/** Functions a qualified or unqualified name may mean; earlier schemas hide same-argument ones. */
export function visibleProcs(fc: FunctionCall, schema: string | undefined, name: string): ProcFacts[] {
  const catalog = catalogOf(fc);
  const all = catalog.procsByName(name);
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

export function visibleOperators(fc: FunctionCall, schema: string | undefined, name: string): OperatorFacts[] {
  const catalog = catalogOf(fc);
  const all = catalog.operatorsByName(name);
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
  catalog: CatalogLookup,
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

export const schemaMissing = (name: string): PgError =>
  ereport(ERRCODE.UNDEFINED_SCHEMA, `schema "${name}" does not exist`);

/** LookupExplicitNamespace: of a name's schema, which the user must be allowed to look into. */
export function lookupExplicitNamespace(fc: FunctionCall, name: string): Oid {
  const oid = lookupNamespace(fc, name);
  const caches = catalogOf(fc).caches?.();
  if (caches === undefined) return oid;
  const { databaseId, currentUserId } = fc.settings;
  if (!new AclCheck(caches, databaseId).objectCheck('schema', oid, currentUserId, ACL_USAGE)) throw schemaDenied(name);
  return oid;
}

export function lookupNamespace(fc: FunctionCall, name: string): Oid {
  const oid = catalogOf(fc).namespaceByName(name);
  if (oid === undefined) throw schemaMissing(name);
  return oid;
}
