/** Which conversions the catalogs offer between two types in a given context. */
import type { Oid } from '@pgtroupe/common/ids';
import {
  COERCION_ASSIGNMENT,
  COERCION_EXPLICIT,
  COERCION_IMPLICIT,
  COERCION_PLPGSQL,
  type CoercionContext,
} from '@pgtroupe/nodes/nodes';
import { CatalogLookup } from './catalog-lookup.ts';
import { INT2VECTOROID, INTERNALOID, OIDVECTOROID } from '@pgtroupe/common/oids';

export type CoercionPath =
  | { readonly kind: 'none' | 'relabel' | 'arraycoerce' | 'viaio' }
  | { readonly kind: 'func'; readonly funcid: Oid };

export const NO_PATH: CoercionPath = { kind: 'none' };

const CONTEXT_OF_CODE: Readonly<Record<string, CoercionContext>> = {
  i: COERCION_IMPLICIT,
  a: COERCION_ASSIGNMENT,
  e: COERCION_EXPLICIT,
};

/** How to get from one type to another in a context. */
export function findCoercionPathway(
  catalog: CatalogLookup,
  target: Oid,
  source: Oid,
  context: CoercionContext,
): CoercionPath {
  if (source !== 0) source = catalog.baseType(source);
  if (target !== 0) target = catalog.baseType(target);
  if (source === target) return { kind: 'relabel' };
  // No text becomes an internal value.
  if (target === INTERNALOID) return NO_PATH;
  let path = NO_PATH;
  const cast = catalog.cast(source, target);
  if (cast !== null) {
    if (context >= (CONTEXT_OF_CODE[cast.castcontext] as CoercionContext)) {
      if (cast.castmethod === 'f') path = { kind: 'func', funcid: cast.castfunc };
      else path = { kind: cast.castmethod === 'i' ? 'viaio' : 'relabel' };
    }
  } else {
    // The vectors must stay one-dimensional and 0-based: no automatic array casts to them.
    if (target !== OIDVECTOROID && target !== INT2VECTOROID) {
      const targetElem = catalog.elementType(target);
      const sourceElem = targetElem === 0 ? 0 : catalog.elementType(source);
      if (sourceElem !== 0 && findCoercionPathway(catalog, targetElem, sourceElem, context).kind !== 'none') {
        path = { kind: 'arraycoerce' };
      }
    }
    if (path.kind === 'none') {
      if (context >= COERCION_ASSIGNMENT && typeCategory(catalog, target) === 'S') path = { kind: 'viaio' };
      else if (context >= COERCION_EXPLICIT && typeCategory(catalog, source) === 'S') path = { kind: 'viaio' };
    }
  }
  if (path.kind === 'none' && context === COERCION_PLPGSQL) path = { kind: 'viaio' };
  return path;
}

export function typeCategory(catalog: CatalogLookup, type: Oid): string {
  return catalog.type(type).typcategory;
}

export function typeInheritsFrom(catalog: CatalogLookup, sub: Oid, base: Oid): boolean {
  const subRel = catalog.typeOrDomainRelid(sub);
  if (subRel === 0) return false;
  const baseRel = catalog.type(base).typrelid;
  if (baseRel === 0) return false;
  const seen = new Set<number>([subRel]);
  const queue = [subRel];
  for (let rel = queue.shift(); rel !== undefined; rel = queue.shift()) {
    for (const parent of catalog.inheritsFrom(rel)) {
      if (parent === baseRel) return true;
      if (!seen.has(parent)) {
        seen.add(parent);
        queue.push(parent);
      }
    }
  }
  return false;
}

export function typeIsOfTypedTable(catalog: CatalogLookup, type: Oid, ofType: number): boolean {
  const relid = catalog.typeOrDomainRelid(type);
  return relid !== 0 && catalog.relation(relid).reloftype === ofType;
}
