/**
 * TupleDesc: the shape of a row as storage needs it. Facts come from pg_attribute.
 */
import type { Datum } from '@pgtroupe/common/datum';
import type { Oid } from '@pgtroupe/common/ids';

export interface Attribute {
  readonly name: string;
  readonly typid: Oid;
  readonly typmod: number;
  /** Bytes; -1 varlena, -2 zero-terminated. */
  readonly len: number;
  readonly byval: boolean;
  readonly align: 'c' | 's' | 'i' | 'd';
  readonly storage: 'p' | 'e' | 'x' | 'm';
  readonly notNull: boolean;
  readonly dropped: boolean;
  readonly collation: Oid;
  readonly hasDefault: boolean;
  /** The type beneath when `typid` is a domain: it decides how the value is represented. */
  readonly baseTypid?: Oid;
  /** Value of rows written before the column was added (attmissingval); absent is NULL. */
  readonly missing?: Datum;
}

export interface TupleDesc {
  readonly attrs: readonly Attribute[];
}
