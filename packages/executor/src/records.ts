/**
 * Composite values as bytes.
 *
 * A composite Datum is a tuple without its varlena length word: the 4 bytes before t_choice's typmod and
 * type id belong to the header that Datums leave out (see HeapTupleHeaderData, DatumTupleFields):
 *
 *    0 typmod 4   4 typeid 4   8 ctid 6   14 infomask2 2   16 infomask 2   18 hoff 1   19 bits...
 *
 * Offsets in the tuple count from the missing word, so the value is read and formed in a scratch tuple.
 */
import type { TupleDesc } from '@pgtroupe/access/common/tupdesc';
import type { Datum } from '@pgtroupe/common/datum';
import { heapComputeTupleSize, heapDeformTuple, heapFormTuple, tupleLayout } from '@pgtroupe/access/common/heaptuple';
import { tupleMemory } from '@pgtroupe/access/common/htup';
import type { EState } from './estate.ts';
import { RECORDOID } from '@pgtroupe/common/oids';
import { ereport } from '@pgtroupe/common/ereport';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { baseTypeFacts } from './arrays.ts';

const WORD = 4;

/** Forms a composite value. */
export function formRecord(desc: TupleDesc, values: readonly Datum[], typid: number, typmod: number): Uint8Array {
  const layout = tupleLayout(desc);
  const size = heapComputeTupleSize(layout, values);
  const mem = tupleMemory(new Uint8Array((size + 7) & ~7));
  heapFormTuple(layout, values, mem, 0);
  mem.u32[1] = typmod;
  mem.u32[2] = typid;
  return mem.u8.subarray(WORD, size);
}

/** Fields of a composite value by its own row type. */
export function deformRecord(desc: TupleDesc, record: Uint8Array): Datum[] {
  const bytes = new Uint8Array((record.length + WORD + 7) & ~7);
  bytes.set(record, WORD);
  const values = new Array<Datum>(desc.attrs.length).fill(null);
  heapDeformTuple(tupleLayout(desc), tupleMemory(bytes), 0, values.length, values);
  return values;
}

/** The row type a composite value says it has. */
export function recordDesc(est: EState, record: Uint8Array): TupleDesc {
  const view = new DataView(record.buffer, record.byteOffset, 8);
  const typid = view.getUint32(4, true);
  if (typid === RECORDOID) {
    const desc = est.env.lookup.recordTypes.desc(view.getInt32(0, true));
    if (desc === undefined) throw ereport(ERRCODE.WRONG_OBJECT_TYPE, 'record type has not been registered');
    return desc;
  }
  return compositeDesc(est, typid);
}

export function compositeDesc(est: EState, typid: number): TupleDesc {
  const { typrelid, typname } = baseTypeFacts(est, typid);
  if (typrelid === 0) throw ereport(ERRCODE.WRONG_OBJECT_TYPE, `type ${typname} is not composite`);
  return est.env.relation(typrelid).att;
}
