/**
 * A value from text, through its type's input function.
 */
import { CSTRINGOID, INT4OID, INTERNALOID, OIDOID } from '@pgtroupe/common/oids';
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import { lookupBuiltin, type FunctionCall, type PGFunction } from '@pgtroupe/adt/fmgr';
import type { SessionFunctions } from './session-functions.ts';

export interface InputFunction {
  readonly fn: PGFunction;
  readonly call: FunctionCall;
  /** Second argument: element type of an array type, else the type itself. */
  readonly ioparam: Oid;
}

/** Synchronous; may throw CatalogMiss. */
export function inputFunction(functions: SessionFunctions, typid: Oid, binary = false): InputFunction {
  const type = functions.lookup.type(typid);
  if (type === undefined) throw ereport(ERRCODE.UNDEFINED_OBJECT, `type with OID ${typid} does not exist`);
  const fn = lookupBuiltin(binary ? type.typreceive : type.typinput);
  if (fn === undefined) throw notSupported(`${binary ? 'binary ' : ''}input of type ${type.typname}`);
  const call = functions.call([binary ? INTERNALOID : CSTRINGOID, OIDOID, INT4OID], typid);
  return { fn, call, ioparam: type.typelem !== 0 ? type.typelem : typid };
}

export function inputText(functions: SessionFunctions, typid: Oid, text: string): Datum {
  const { fn, call, ioparam } = inputFunction(functions, typid);
  return fn(call, Buffer.from(text), ioparam, -1);
}
