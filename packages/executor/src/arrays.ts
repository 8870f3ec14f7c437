/**
 * Array values as the executor needs them: their elements.
 */
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import { deconstructArray } from '@pgtroupe/adt/arrayutils';
import type { TypeFacts } from '@pgtroupe/adt/cache/functioncatalog';
import type { EState } from './estate.ts';

export function typeFactsOf(est: EState, typid: number): TypeFacts {
  const facts = est.env.lookup.type(typid as Oid);
  if (facts === undefined) throw ereport(ERRCODE.INTERNAL_ERROR, `cache lookup failed for type ${typid}`);
  return facts;
}

export function arrayElements(est: EState, array: Uint8Array, elementType: number): Datum[] {
  return deconstructArray(array, typeFactsOf(est, elementType));
}

/** A type with its domains taken off. */
export function baseTypeFacts(est: EState, typid: number): TypeFacts {
  let facts = typeFactsOf(est, typid);
  while (facts.typtype === 'd') facts = typeFactsOf(est, facts.typbasetype);
  return facts;
}
