/**
 * Polymorphic types: anyelement and its kin must agree among a call's arguments (family 1), or be
 * convertible to one common type (family 2, anycompatible); then the result type follows.
 */
import { type Oid, INVALID_OID } from '@pgtroupe/common/ids';
import {
  ANYARRAYOID,
  ANYCOMPATIBLEARRAYOID,
  ANYCOMPATIBLEMULTIRANGEOID,
  ANYCOMPATIBLENONARRAYOID,
  ANYCOMPATIBLEOID,
  ANYCOMPATIBLERANGEOID,
  ANYELEMENTOID,
  ANYENUMOID,
  ANYMULTIRANGEOID,
  ANYNONARRAYOID,
  ANYOID,
  ANYRANGEOID,
  INTERNALOID,
  RECORDARRAYOID,
  RECORDOID,
  TEXTARRAYOID,
  TEXTOID,
  UNKNOWNOID,
} from '@pgtroupe/common/oids';
import { ereport } from '@pgtroupe/common/ereport';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { COERCION_IMPLICIT, type CoercionContext } from '@pgtroupe/nodes/nodes';
import { type CatalogLookup, isPolymorphicType, isPolymorphicTypeFamily1 } from './catalog-lookup.ts';
import { formatType } from './format_type.ts';
import type { ParseState } from './parse_node.ts';
import { findCoercionPathway, typeInheritsFrom, typeIsOfTypedTable } from './coercion_path.ts';

/** Mismatches are reported by throwing one of these; the checking caller just answers false. */
class Mismatch extends Error {
  readonly sqlstate: typeof ERRCODE.DATATYPE_MISMATCH | typeof ERRCODE.UNDEFINED_OBJECT;
  readonly detail: string | undefined;

  constructor(message: string, detail?: string, sqlstate: Mismatch['sqlstate'] = ERRCODE.DATATYPE_MISMATCH) {
    super(message);
    this.detail = detail;
    this.sqlstate = sqlstate;
  }
}

interface Resolved {
  elem: Oid;
  array: Oid;
  range: Oid;
  multirange: Oid;
  compatible: Oid;
  compatibleArray: Oid;
  compatibleRange: Oid;
  compatibleMultirange: Oid;
}

const isElementLike = (type: Oid) => type === ANYELEMENTOID || type === ANYNONARRAYOID || type === ANYENUMOID;
const isCompatibleLike = (type: Oid) => type === ANYCOMPATIBLEOID || type === ANYCOMPATIBLENONARRAYOID;

/** Could these arguments be passed for these declared types, as far as polymorphism goes? */
function checkGenericTypeConsistency(
  catalog: CatalogLookup,
  actual: readonly Oid[],
  declared: readonly Oid[],
): boolean {
  try {
    unify(catalog, actual, declared, INVALID_OID, 'check');
    return true;
  } catch (error) {
    if (error instanceof Mismatch) return false;
    throw error;
  }
}

/**
 * Replaces polymorphic types in `declared` by what the arguments make them (in place) and returns the
 * result type. With allowPoly, arguments may themselves be polymorphic (inside CREATE AGGREGATE).
 */
export function enforceGenericTypeConsistency(
  pstate: ParseState,
  actual: readonly Oid[],
  declared: Oid[],
  rettype: Oid,
  allowPoly: boolean,
): Oid {
  try {
    return enforce(pstate.catalog, actual, declared, rettype, allowPoly);
  } catch (error) {
    if (error instanceof Mismatch) throw ereport(error.sqlstate, error.message, { detail: error.detail });
    throw error;
  }
}

function enforce(
  catalog: CatalogLookup,
  actual: readonly Oid[],
  declared: Oid[],
  rettype: Oid,
  allowPoly: boolean,
): Oid {
  const used = unify(catalog, actual, declared, rettype, allowPoly ? 'allow-poly' : 'enforce');
  if (used === null) return rettype;
  const { resolved, unknowns } = used;
  for (let j = 0; j < declared.length; j++) {
    const type = declared[j] as Oid;
    if (isCompatibleLike(type)) declared[j] = resolved.compatible;
    else if (type === ANYCOMPATIBLEARRAYOID) declared[j] = resolved.compatibleArray;
    else if (type === ANYCOMPATIBLERANGEOID) declared[j] = resolved.compatibleRange;
    else if (type === ANYCOMPATIBLEMULTIRANGEOID) declared[j] = resolved.compatibleMultirange;
    else if (unknowns && actual[j] === UNKNOWNOID) {
      if (isElementLike(type)) declared[j] = resolved.elem;
      else if (type === ANYARRAYOID) declared[j] = arrayFor(catalog, resolved);
      else if (type === ANYRANGEOID) declared[j] = need(resolved.range, 'anyrange');
      else if (type === ANYMULTIRANGEOID) declared[j] = need(resolved.multirange, 'anymultirange');
    }
  }
  if (isElementLike(rettype)) return resolved.elem;
  if (rettype === ANYARRAYOID) return arrayFor(catalog, resolved);
  if (rettype === ANYRANGEOID) return need(resolved.range, 'anyrange');
  if (rettype === ANYMULTIRANGEOID) return need(resolved.multirange, 'anymultirange');
  if (isCompatibleLike(rettype)) {
    if (resolved.compatible === 0) throw new Mismatch('could not identify anycompatible type');
    return resolved.compatible;
  }
  if (rettype === ANYCOMPATIBLEARRAYOID) {
    if (resolved.compatibleArray === 0) throw new Mismatch('could not identify anycompatiblearray type');
    return resolved.compatibleArray;
  }
  if (rettype === ANYCOMPATIBLERANGEOID) {
    if (resolved.compatibleRange === 0) throw new Mismatch('could not identify anycompatiblerange type');
    return resolved.compatibleRange;
  }
  if (rettype === ANYCOMPATIBLEMULTIRANGEOID) {
    if (resolved.compatibleMultirange === 0) throw new Mismatch('could not identify anycompatiblemultirange type');
    return resolved.compatibleMultirange;
  }
  return rettype;
}

function need(type: Oid, name: string): Oid {
  if (type === 0) throw new Mismatch(`could not determine polymorphic type ${name} because input has type unknown`);
  return type;
}

function arrayFor(catalog: CatalogLookup, resolved: Resolved): Oid {
  if (resolved.array === 0) resolved.array = arrayTypeOf(catalog, resolved.elem);
  return resolved.array;
}

function arrayTypeOf(catalog: CatalogLookup, elem: Oid): Oid {
  const array = catalog.arrayType(elem);
  if (array === 0) {
    throw new Mismatch(
      `could not find array type for data type ${formatType(catalog, elem)}`,
      undefined,
      ERRCODE.UNDEFINED_OBJECT,
    );
  }
  return array;
}

type Mode = 'check' | 'enforce' | 'allow-poly';

/** Works out what each polymorphic type stands for; null if none is declared. */
function unify(
  catalog: CatalogLookup,
  actualTypes: readonly Oid[],
  declaredTypes: readonly Oid[],
  rettype: Oid,
  mode: Mode,
): { readonly resolved: Resolved; readonly unknowns: boolean } | null {
  const name = (type: Oid) => formatType(catalog, type);
  const r: Resolved = {
    elem: INVALID_OID,
    array: INVALID_OID,
    range: INVALID_OID,
    multirange: INVALID_OID,
    compatible: INVALID_OID,
    compatibleArray: INVALID_OID,
    compatibleRange: INVALID_OID,
    compatibleMultirange: INVALID_OID,
  };
  let nonArray = rettype === ANYNONARRAYOID;
  let isEnum = rettype === ANYENUMOID;
  let wantMultirange = rettype === ANYMULTIRANGEOID;
  let compatibleNonArray = rettype === ANYCOMPATIBLENONARRAYOID;
  let compatibleArray = rettype === ANYCOMPATIBLEARRAYOID;
  let compatibleRange = rettype === ANYCOMPATIBLERANGEOID;
  let compatibleMultirange = rettype === ANYCOMPATIBLEMULTIRANGEOID;
  let compatibleRangeElem = INVALID_OID;
  let npoly = 0;
  let hasCompatible = false;
  let unknowns = false;
  const compatibleTypes: Oid[] = [];
  const same = (known: Oid, actual: Oid, what: string) => {
    if (known !== 0 && actual !== known) {
      throw new Mismatch(`arguments declared "${what}" are not all alike`, `${name(known)} versus ${name(actual)}`);
    }
    return actual;
  };

  for (let j = 0; j < actualTypes.length; j++) {
    const declared = declaredTypes[j] as Oid;
    let actual = actualTypes[j] as Oid;
    const family1 = isPolymorphicTypeFamily1(declared);
    const skip = actual === UNKNOWNOID || (mode === 'allow-poly' && declared === actual);
    if (family1) {
      npoly++;
      if (declared === ANYNONARRAYOID) nonArray = true;
      else if (declared === ANYENUMOID) isEnum = true;
      else if (declared === ANYMULTIRANGEOID) wantMultirange = true;
      if (actual === UNKNOWNOID) unknowns = true;
      if (skip) continue;
      if (isElementLike(declared)) {
        r.elem = same(r.elem, actual, 'anyelement');
        continue;
      }
      actual = catalog.baseType(actual);
      if (declared === ANYARRAYOID) r.array = same(r.array, actual, 'anyarray');
      else if (declared === ANYRANGEOID) r.range = same(r.range, actual, 'anyrange');
      else r.multirange = same(r.multirange, actual, 'anymultirange');
    } else if (isCompatibleLike(declared)) {
      hasCompatible = true;
      if (declared === ANYCOMPATIBLENONARRAYOID) compatibleNonArray = true;
      if (!skip) compatibleTypes.push(actual);
    } else if (declared === ANYCOMPATIBLEARRAYOID) {
      hasCompatible = true;
      compatibleArray = true;
      if (skip) continue;
      actual = catalog.baseType(actual);
      const elem = catalog.elementType(actual);
      if (elem === 0)
        throw new Mismatch(`argument declared anycompatiblearray is not an array but type ${name(actual)}`);
      compatibleTypes.push(elem);
    } else if (declared === ANYCOMPATIBLERANGEOID) {
      hasCompatible = true;
      compatibleRange = true;
      if (skip) continue;
      actual = catalog.baseType(actual);
      if (r.compatibleRange !== 0) same(r.compatibleRange, actual, 'anycompatiblerange');
      else {
        r.compatibleRange = actual;
        compatibleRangeElem = catalog.rangeSubtype(actual);
        if (compatibleRangeElem === 0)
          throw new Mismatch(`argument declared anycompatiblerange is not a range type but type ${name(actual)}`);
        compatibleTypes.push(compatibleRangeElem);
      }
    } else if (declared === ANYCOMPATIBLEMULTIRANGEOID) {
      hasCompatible = true;
      compatibleMultirange = true;
      if (skip) continue;
      actual = catalog.baseType(actual);
      if (r.compatibleMultirange !== 0) same(r.compatibleMultirange, actual, 'anycompatiblemultirange');
      else {
        r.compatibleMultirange = actual;
        if (catalog.multirangeRange(actual) === 0) {
          throw new Mismatch(
            `argument declared anycompatiblemultirange is not a multirange type but type ${name(actual)}`,
          );
        }
      }
    }
  }
  if (npoly === 0 && !hasCompatible) return null;

  if (npoly > 0) {
    const inconsistent = (a: string, b: string, x: Oid, y: Oid) =>
      new Mismatch(
        `argument declared ${a} is not consistent with argument declared ${b}`,
        `${name(x)} versus ${name(y)}`,
      );
    if (r.array !== 0) {
      let elem: Oid;
      if (r.array === ANYARRAYOID) {
        // The pg_statistic columns: an array whose element type is not known.
        if (mode !== 'check' && (npoly !== 1 || (rettype !== ANYARRAYOID && isPolymorphicTypeFamily1(rettype)))) {
          throw new Mismatch('cannot determine element type of "anyarray" argument');
        }
        elem = mode === 'check' ? r.elem : ANYELEMENTOID;
      } else {
        elem = catalog.elementType(r.array);
        if (elem === 0) throw new Mismatch(`argument declared anyarray is not an array but type ${name(r.array)}`);
      }
      if (r.elem === 0) r.elem = elem;
      else if (elem !== r.elem) throw inconsistent('anyarray', 'anyelement', r.array, r.elem);
    }
    if (r.multirange !== 0) {
      const range = catalog.multirangeRange(r.multirange);
      if (range === 0)
        throw new Mismatch(`argument declared anymultirange is not a multirange type but type ${name(r.multirange)}`);
      if (r.range === 0) r.range = range;
      else if (range !== r.range) throw inconsistent('anymultirange', 'anyrange', r.multirange, r.range);
    } else if (wantMultirange && r.range !== 0) r.multirange = catalog.rangeMultirange(r.range);
    if (r.range !== 0) {
      const elem = catalog.rangeSubtype(r.range);
      if (elem === 0) throw new Mismatch(`argument declared anyrange is not a range type but type ${name(r.range)}`);
      if (r.elem === 0) r.elem = elem;
      else if (elem !== r.elem) throw inconsistent('anyrange', 'anyelement', r.range, r.elem);
    }
    if (r.elem === 0) {
      if (mode === 'allow-poly') {
        r.elem = ANYELEMENTOID;
        r.array = ANYARRAYOID;
        r.range = ANYRANGEOID;
        r.multirange = ANYMULTIRANGEOID;
      } else if (mode === 'enforce') {
        throw new Mismatch('could not determine polymorphic type because input has type unknown');
      }
    }
    if (nonArray && r.elem !== ANYELEMENTOID && catalog.typeIsArrayDomain(r.elem)) {
      throw new Mismatch(`type matched to anynonarray is an array type: ${name(r.elem)}`);
    }
    if (isEnum && r.elem !== ANYELEMENTOID && !catalog.typeIsEnum(r.elem)) {
      throw new Mismatch(`type matched to anyenum is not an enum type: ${r.elem === 0 ? '-' : name(r.elem)}`);
    }
  }

  if (hasCompatible) {
    if (r.compatibleMultirange !== 0) {
      const range = catalog.multirangeRange(r.compatibleMultirange);
      if (r.compatibleRange !== 0) {
        if (range !== r.compatibleRange) {
          throw new Mismatch(
            'argument declared anycompatiblemultirange is not consistent with argument declared anycompatiblerange',
            `${name(r.compatibleMultirange)} versus ${name(r.compatibleRange)}`,
          );
        }
      } else {
        r.compatibleRange = range;
        compatibleRangeElem = catalog.rangeSubtype(range);
        compatibleRange = true;
        compatibleTypes.push(compatibleRangeElem);
      }
    } else if (compatibleMultirange && r.compatibleRange !== 0) {
      r.compatibleMultirange = catalog.rangeMultirange(r.compatibleRange);
    }
    if (compatibleTypes.length > 0) {
      r.compatible = selectCommonTypeFromOids(catalog, compatibleTypes);
      if (!compatibleTypes.every(type => canCoerce(catalog, type, r.compatible, COERCION_IMPLICIT))) {
        throw new Mismatch('arguments of anycompatible family cannot be cast to a common type');
      }
      if (compatibleArray) r.compatibleArray = arrayTypeOf(catalog, r.compatible);
      if (compatibleRange && mode !== 'check') {
        need(r.compatibleRange, 'anycompatiblerange');
      }
      if (r.compatibleRange !== 0 && compatibleRangeElem !== r.compatible) {
        throw new Mismatch(
          `anycompatiblerange type ${name(r.compatibleRange)} does not match anycompatible type ${name(r.compatible)}`,
        );
      }
      if (compatibleMultirange && mode !== 'check') need(r.compatibleMultirange, 'anycompatiblemultirange');
      if (compatibleNonArray && catalog.typeIsArrayDomain(r.compatible)) {
        throw new Mismatch(`type matched to anycompatiblenonarray is an array type: ${name(r.compatible)}`);
      }
    } else if (mode === 'allow-poly') {
      r.compatible = ANYCOMPATIBLEOID;
      r.compatibleArray = ANYCOMPATIBLEARRAYOID;
      r.compatibleRange = ANYCOMPATIBLERANGEOID;
      r.compatibleMultirange = ANYCOMPATIBLEMULTIRANGEOID;
    } else {
      // Only unknown literals: text, as everywhere.
      r.compatible = TEXTOID;
      r.compatibleArray = TEXTARRAYOID;
      if (mode === 'enforce') {
        if (compatibleRange) need(INVALID_OID, 'anycompatiblerange');
        if (compatibleMultirange) need(INVALID_OID, 'anycompatiblemultirange');
      }
    }
  }
  return { resolved: r, unknowns };
}

function selectCommonTypeFromOids(catalog: CatalogLookup, types: readonly Oid[]): Oid {
  let ptype = types[0] as Oid;
  let i = 1;
  if (ptype !== UNKNOWNOID) {
    while (i < types.length && types[i] === ptype) i++;
    if (i === types.length) return ptype;
  }
  ptype = catalog.baseType(ptype);
  let prow = catalog.type(ptype);
  for (; i < types.length; i++) {
    const ntype = catalog.baseType(types[i] as Oid);
    if (ntype === UNKNOWNOID || ntype === ptype) continue;
    const nrow = catalog.type(ntype);
    if (ptype !== UNKNOWNOID) {
      if (nrow.typcategory !== prow.typcategory) {
        throw new Mismatch(
          `argument types ${formatType(catalog, ptype)} and ${formatType(catalog, ntype)} cannot be matched`,
        );
      }
      if (
        prow.typispreferred ||
        !canCoerce(catalog, ptype, ntype, COERCION_IMPLICIT) ||
        canCoerce(catalog, ntype, ptype, COERCION_IMPLICIT)
      ) {
        continue;
      }
    }
    ptype = ntype;
    prow = nrow;
  }
  return ptype === UNKNOWNOID ? TEXTOID : ptype;
}

/** Can these inputs be converted to these targets? Unknown literals always can. */
export function canCoerceType(
  catalog: CatalogLookup,
  inputs: readonly Oid[],
  targets: readonly Oid[],
  context: CoercionContext,
): boolean {
  let generics = false;
  for (let i = 0; i < inputs.length; i++) {
    const input = inputs[i] as Oid;
    const target = targets[i] as Oid;
    if (input === target || target === ANYOID) continue;
    if (isPolymorphicType(target)) {
      generics = true;
      continue;
    }
    // Nothing that a user writes becomes an internal value, not even NULL.
    if (input === UNKNOWNOID && target !== INTERNALOID) continue;
    if (findCoercionPathway(catalog, target, input, context).kind !== 'none') continue;
    if (input === RECORDOID && catalog.isComplex(target)) continue;
    if (target === RECORDOID && catalog.isComplex(input)) continue;
    if (target === RECORDARRAYOID && catalog.isComplexArray(input)) continue;
    if (typeInheritsFrom(catalog, input, target) || typeIsOfTypedTable(catalog, input, target)) continue;
    return false;
  }
  return !generics || checkGenericTypeConsistency(catalog, inputs, targets);
}

export function canCoerce(catalog: CatalogLookup, input: Oid, target: Oid, context: CoercionContext): boolean {
  return canCoerceType(catalog, [input], [target], context);
}
