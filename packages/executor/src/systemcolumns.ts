/**
 * System columns (ctid, xmin, cmin, xmax, cmax, tableoid) and whole-row references of tuple lanes.
 */
import { getRawXmax, getXmin } from '@pgtroupe/access/common/htup';
import { heapDeformTuple, tupleLayout } from '@pgtroupe/access/common/heaptuple';
import type { Datum } from '@pgtroupe/common/datum';
import { notSupported } from '@pgtroupe/common/ereport';
import { type AttrColumn, type RowReader, TID_BLOCK } from './batch.ts';
import type { EState } from './estate.ts';
import { formRecord } from './records.ts';
import { makeTid, tidBlock, tidOffset } from '@pgtroupe/adt/oid';

export const SELF_ITEM_POINTER = -1;
export const MIN_TRANSACTION_ID = -2;
export const MIN_COMMAND_ID = -3;
export const MAX_TRANSACTION_ID = -4;
export const MAX_COMMAND_ID = -5;
export const TABLE_OID = -6;

/** A row's place as a value. */
function tidDatum(tid: number): Uint8Array {
  return makeTid(Math.floor(tid / TID_BLOCK), tid % TID_BLOCK);
}

/** A tid value as one number. */
export function tidNumber(tid: Uint8Array): number {
  return tidBlock(tid) * TID_BLOCK + tidOffset(tid);
}

export function systemColumnReader(est: EState, column: AttrColumn): RowReader {
  const { lane, attnum } = column;
  const { ptrs, tids } = lane;
  const { mem } = est.env;
  switch (attnum) {
    case 0:
      return wholeRow(est, column);
    case SELF_ITEM_POINTER:
      lane.wantTids = true;
      return row => (ptrs[row] === 0 ? null : tidDatum(tids[row]!));
    case MIN_TRANSACTION_ID:
      return row => (ptrs[row] === 0 ? null : getXmin(mem, ptrs[row]!));
    case MAX_TRANSACTION_ID:
      return row => (ptrs[row] === 0 ? null : getRawXmax(mem, ptrs[row]!));
    case TABLE_OID:
      return row => (ptrs[row] === 0 ? null : lane.tableOid);
    case MIN_COMMAND_ID:
    case MAX_COMMAND_ID:
      return row => (ptrs[row] === 0 ? null : mem.u32[(ptrs[row]! + 8) >> 2]!);
    default:
      throw notSupported(`system column ${attnum}`);
  }
}

function wholeRow(est: EState, column: AttrColumn): RowReader {
  const { mem } = est.env;
  const { desc, ptrs } = column.lane;
  const layout = tupleLayout(desc);
  const values = new Array<Datum>(desc.attrs.length).fill(null);
  return row => {
    const ptr = ptrs[row]!;
    if (ptr === 0) return null;
    heapDeformTuple(layout, mem, ptr, values.length, values);
    for (let i = 0; i < values.length; i++) if (desc.attrs[i]!.dropped) values[i] = null;
    return formRecord(desc, values, column.type.typid, -1);
  };
}
