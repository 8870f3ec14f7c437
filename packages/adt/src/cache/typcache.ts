/**
 * Type facts and element-level I/O for functions that work on types they learn at run time:
 * arrays, records, format(), concat(), to_json().
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import type { Datum } from '@pgtroupe/common/datum';
import type { Oid } from '@pgtroupe/common/ids';
import { type FunctionCall, lookupBuiltin, nestedCall, type PGFunction } from '../fmgr.ts';
import { builtinTypes } from './builtin_types.ts';
import type { TypeFacts } from './functioncatalog.ts';

export function typeFacts(fc: FunctionCall, oid: Oid): TypeFacts {
  const type = builtinTypes().get(oid) ?? fc.catalog?.type(oid);
  if (!type) throw ereport(ERRCODE.INTERNAL_ERROR, `cache lookup failed for type ${oid}`);
  return type;
}

/** A domain's base type, any other type itself. */
export function baseType(fc: FunctionCall, oid: Oid): TypeFacts {
  let type = typeFacts(fc, oid);
  while (type.typtype === 'd') type = typeFacts(fc, type.typbasetype);
  return type;
}

export function builtin(prosrc: string): PGFunction {
  const fn = lookupBuiltin(prosrc);
  if (!fn) throw notSupported(`function ${prosrc}`);
  return fn;
}

/** A value's text form through its type's output function. */
export type OutputFunction = (value: Datum) => Uint8Array;

export function outputFunction(fc: FunctionCall, oid: Oid): OutputFunction {
  const type = typeFacts(fc, oid);
  const fn = builtin(type.typoutput);
  const call = nestedCall(fc, [oid], 2275 as Oid);
  return value => fn(call, value) as Uint8Array;
}

export function sendFunction(fc: FunctionCall, oid: Oid): OutputFunction {
  const type = typeFacts(fc, oid);
  if (type.typsend === '') {
    throw ereport(ERRCODE.UNDEFINED_FUNCTION, `no binary output function available for type ${type.typname}`);
  }
  const fn = builtin(type.typsend);
  const call = nestedCall(fc, [oid], 17 as Oid);
  return value => fn(call, value) as Uint8Array;
}

/** The second argument of input functions: the element type of arrays, else the type itself. */
function typeIOParam(type: TypeFacts): Oid {
  return type.typelem !== 0 ? type.typelem : type.oid;
}

/** Reads text (a cstring) as a value of the type; `typmod` -1 for none. */
export type InputFunction = (text: Uint8Array, typmod: number) => Datum;

export function inputFunction(fc: FunctionCall, oid: Oid): InputFunction {
  const type = typeFacts(fc, oid);
  const fn = builtin(type.typinput);
  const param = typeIOParam(type);
  const call = nestedCall(fc, [2275 as Oid, 26 as Oid, 23 as Oid], oid);
  return (text, typmod) => fn(call, text, param, typmod);
}

export function receiveFunction(fc: FunctionCall, oid: Oid): InputFunction {
  const type = typeFacts(fc, oid);
  if (type.typreceive === '') {
    throw ereport(ERRCODE.UNDEFINED_FUNCTION, `no binary input function available for type ${type.typname}`);
  }
  const fn = builtin(type.typreceive);
  const param = typeIOParam(type);
  const call = nestedCall(fc, [2281 as Oid, 26 as Oid, 23 as Oid], oid);
  return (bytes, typmod) => fn(call, bytes, param, typmod);
}

export type Comparator = (a: Datum, b: Datum) => number;

/** Default btree order of a type; undefined when it has none. Enums, domains and arrays included. */
export function comparator(fc: FunctionCall, oid: Oid): Comparator | undefined {
  const type = baseType(fc, oid);
  if (type.cmp === '') return undefined;
  const fn = builtin(type.cmp);
  const call = nestedCall(fc, [type.oid, type.oid], 23 as Oid);
  return (a, b) => fn(call, a, b) as number;
}

export type Equality = (a: Datum, b: Datum) => boolean;

export function equality(fc: FunctionCall, oid: Oid): Equality | undefined {
  const type = baseType(fc, oid);
  if (type.eq === '') return undefined;
  const fn = builtin(type.eq);
  const call = nestedCall(fc, [type.oid, type.oid], 16 as Oid);
  return (a, b) => fn(call, a, b) as boolean;
}
