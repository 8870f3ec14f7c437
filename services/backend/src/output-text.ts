/**
 * A value as text, through its type's output function: for error details.
 */
import { CSTRINGOID } from '@pgtroupe/common/oids';
import type { Datum } from '@pgtroupe/common/datum';
import type { Oid } from '@pgtroupe/common/ids';
import { outputFunction } from '@pgtroupe/adt/cache/typcache';
import type { Session } from './session.ts';

export function outputText(session: Session, type: Oid, value: Datum): string {
  const call = session.runner.functions.call([type], CSTRINGOID);
  return Buffer.from(outputFunction(call, type)(value)).toString();
}
