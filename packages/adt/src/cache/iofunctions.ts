/**
 * Values from text and as text, through their types' functions.
 */
import { CSTRINGOID, INT4OID, INTERNALOID, OIDOID } from '@pgtroupe/common/oids';
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import { lookupBuiltin, type FunctionCall, type PGFunction } from '../fmgr.ts';
import type { FunctionCatalog } from './functioncatalog.ts';
import { outputFunction } from './typcache.ts';

/** Who makes calls of functions: a session. */
export interface Caller {
  readonly lookup: FunctionCatalog;
  call(argTypes: readonly Oid[], resultType: Oid): FunctionCall;
}

export interface InputFunction {
  readonly prosrc: string;
  readonly fn: PGFunction;
  readonly call: FunctionCall;
  /** Second argument: element type of an array type, else the type itself. */
  readonly ioparam: Oid;
}

/** Synchronous; may throw CatalogMiss. */
export function inputFunction(functions: Caller, typid: Oid, binary = false): InputFunction {
  const type = functions.lookup.type(typid);
  if (type === undefined) throw ereport(ERRCODE.UNDEFINED_OBJECT, `type with OID ${typid} does not exist`);
  const prosrc = binary ? type.typreceive : type.typinput;
  const fn = lookupBuiltin(prosrc);
  if (fn === undefined) throw notSupported(`${binary ? 'binary ' : ''}input of type ${type.typname}`);
  const call = functions.call([binary ? INTERNALOID : CSTRINGOID, OIDOID, INT4OID], typid);
  return { prosrc, fn, call, ioparam: type.typelem !== 0 ? type.typelem : typid };
}

/** For error details. */
export function outputText(functions: Caller, type: Oid, value: Datum): string {
  return Buffer.from(outputFunction(functions.call([type], CSTRINGOID), type)(value)).toString();
}
