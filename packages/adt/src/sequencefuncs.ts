/**
 * nextval, currval, lastval, setval.
 */
import type { Datum } from '@pgtroupe/common/datum';
import { notSupported } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import type { FunctionCall, FunctionTable } from './fmgr.ts';

/** What functions see of a session's sequences (SessionSettings.sequences). */
export interface SequenceFunctions {
  nextval(oid: Oid): number | bigint;
  currval(oid: Oid): number | bigint;
  lastval(): number | bigint;
  setval(oid: Oid, value: bigint, isCalled: boolean): void;
}

function sequences(fc: FunctionCall): SequenceFunctions {
  const found = fc.settings.sequences;
  if (found === undefined) throw notSupported('a sequence function here');
  return found;
}

export const sequenceFunctions = {
  nextval_oid: (fc: FunctionCall, oid: number): Datum => sequences(fc).nextval(oid as Oid),
  currval_oid: (fc: FunctionCall, oid: number): Datum => sequences(fc).currval(oid as Oid),
  lastval: (fc: FunctionCall): Datum => sequences(fc).lastval(),
  setval_oid: (fc: FunctionCall, oid: number, value: number | bigint): Datum => {
    sequences(fc).setval(oid as Oid, BigInt(value), true);
    return value;
  },
  setval3_oid: (fc: FunctionCall, oid: number, value: number | bigint, isCalled: boolean): Datum => {
    sequences(fc).setval(oid as Oid, BigInt(value), isCalled);
    return value;
  },
} satisfies FunctionTable;
