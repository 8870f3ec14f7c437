/**
 * Casts that change no bit. The same 32 bits are a signed number as integer and an unsigned one as oid or one of its kin, and a Datum
 * is the number.
 */
import type { Datum } from '@pgtroupe/common/datum';
import type { Oid } from '@pgtroupe/common/ids';
import {
  INT4OID,
  OIDOID,
  REGCLASSOID,
  REGCOLLATIONOID,
  REGCONFIGOID,
  REGDICTIONARYOID,
  REGNAMESPACEOID,
  REGOPERATOROID,
  REGOPEROID,
  REGPROCEDUREOID,
  REGPROCOID,
  REGROLEOID,
  REGTYPEOID,
} from '@pgtroupe/common/oids';

const UNSIGNED: ReadonlySet<Oid> = new Set([
  ...[
    OIDOID,
    REGCLASSOID,
    REGCOLLATIONOID,
    REGCONFIGOID,
    REGDICTIONARYOID,
    REGNAMESPACEOID,
    REGOPERATOROID,
    REGOPEROID,
  ],
  ...[REGPROCEDUREOID, REGPROCOID, REGROLEOID, REGTYPEOID],
]);

/** What makes a value of `from` the same bits of `to`; undefined if it is that already. */
export function changeOfSign(from: Oid, to: Oid): ((value: Datum) => Datum) | undefined {
  if (from === INT4OID && UNSIGNED.has(to)) return value => (value === null ? null : (value as number) >>> 0);
  if (to === INT4OID && UNSIGNED.has(from)) return value => (value === null ? null : (value as number) | 0);
  return undefined;
}
