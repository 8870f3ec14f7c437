/**
 * Rows that a function returns where the query says their columns (tupledesc_match and its caller in execSRF.c). What they are is
 * not known before they come: they must be what the query expects, or their bytes would be read as something else.
 */
import type { TupleDesc } from '@pgtroupe/access/common/tupdesc';
import { formatType } from '@pgtroupe/adt/format_type';
import { CASTSOURCETARGET } from '@pgtroupe/catalog/syscache';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import { RECORDOID, TEXTOID } from '@pgtroupe/common/oids';
import { baseTypeFacts } from './arrays.ts';
import type { EState } from './estate.ts';
import { makeCall } from './execExpr.ts';
import { recordDesc } from './records.ts';

export class ExpectedRow {
  readonly #est: EState;
  readonly #types: readonly number[];
  #desc: TupleDesc | undefined;
  #typmod = 0;
  #typid = 0;

  constructor(est: EState, types: readonly number[]) {
    this.#est = est;
    this.#types = types;
  }

  /** The row type of `record`, if it is as it should be. May throw CatalogMiss. */
  desc(record: Uint8Array): TupleDesc {
    const view = new DataView(record.buffer, record.byteOffset, 8);
    const typmod = view.getInt32(0, true);
    const typid = view.getUint32(4, true);
    if (this.#desc !== undefined) {
      if (typmod === this.#typmod && typid === this.#typid) return this.#desc;
      throw ereport(ERRCODE.DATATYPE_MISMATCH, 'rows returned by function are not all of the same row type');
    }
    const desc = recordDesc(this.#est, record);
    this.#match(desc);
    [this.#desc, this.#typmod, this.#typid] = [desc, typmod, typid];
    return desc;
  }

  #match({ attrs }: TupleDesc): void {
    const expected = this.#types.length;
    if (attrs.length !== expected) {
      const attributes = attrs.length === 1 ? 'attribute' : 'attributes';
      throw mismatch(`Returned row contains ${attrs.length} ${attributes}, but query expects ${expected}.`);
    }
    for (const [i, { typid }] of attrs.entries()) {
      if (this.#isCoercible(typid, this.#types[i]!)) continue;
      const [returned, wanted] = [typid, this.#types[i]!].map(oid =>
        formatType(makeCall(this.#est, [], TEXTOID, 0), oid as Oid),
      );
      throw mismatch(`Returned type ${returned} at ordinal position ${i + 1}, but query expects ${wanted}.`);
    }
  }

  /** Can a value of the one type be read as one of the other? */
  #isCoercible(source: number, target: number): boolean {
    if (source === target) return true;
    const base = baseTypeFacts(this.#est, source);
    if (base.oid === target || (target === RECORDOID && base.typrelid !== 0)) return true;
    const cast = this.#est.env.rows.search(CASTSOURCETARGET, base.oid, target);
    return cast !== null && cast.castmethod === 'b' && cast.castcontext === 'i';
  }
}

const mismatch = (detail: string): PgError =>
  ereport(ERRCODE.DATATYPE_MISMATCH, 'function return row and query-specified return row do not match', { detail });
