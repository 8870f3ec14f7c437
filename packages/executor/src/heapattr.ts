/**
 * Reading one attribute of a tuple that is an offset into the instance's memory (a tuple on a page or
 * a copy in the arena), compiled once to a closure per column: where the place is the same in all
 * tuples without nulls it is read directly, anything else by heapGetAttr.
 */
import { ATT_MISSING, attOffset, heapGetAttr, tupleLayout } from '@pgtroupe/access/common/heaptuple';
import { HEAP_HASNULL, HEAP_NATTS_MASK } from '@pgtroupe/access/common/htup';
import type { TupleDesc } from '@pgtroupe/access/common/tupdesc';
import { ATT_INT4, ATT_VARLENA, fetchAtt } from '@pgtroupe/access/common/tupmacs';
import type { Datum } from '@pgtroupe/common/datum';
import type { Memory } from '@pgtroupe/storage/buffer/pages';

export type AttrReader = (tuple: number) => Datum;

/** The reader of attribute `attnum` (from 1). */
export function attrReader(mem: Memory, desc: TupleDesc, attnum: number): AttrReader {
  const layout = tupleLayout(desc);
  const index = attnum - 1;
  const fixed = layout.cacheOffset[index]!;
  if (fixed < 0) return tuple => heapGetAttr(layout, mem, tuple, index);
  const kind = layout.kind[index]!;
  const len = layout.len[index]!;
  const { u8, u16, i32 } = mem;
  if (kind === ATT_INT4) {
    return tuple =>
      (u16[(tuple + 20) >> 1]! & HEAP_HASNULL) === 0 && (u16[(tuple + 18) >> 1]! & HEAP_NATTS_MASK) > index
        ? i32[(tuple + u8[tuple + 22]! + fixed) >> 2]!
        : heapGetAttr(layout, mem, tuple, index);
  }
  return tuple =>
    (u16[(tuple + 20) >> 1]! & HEAP_HASNULL) === 0 && (u16[(tuple + 18) >> 1]! & HEAP_NATTS_MASK) > index
      ? fetchAtt(mem, tuple + u8[tuple + 22]! + fixed, kind, len)
      : heapGetAttr(layout, mem, tuple, index);
}

/** For comparing and hashing bytes in place: offset and length of plain varlena contents. */
export class ByteRange {
  at = 0;
  length = 0;
}

/**
 * Finds the contents of a varlena attribute without making a view. Answers false when the value is null;
 * compressed, external and missing values come as a copy in `copy`.
 */
export function byteLocator(
  mem: Memory,
  desc: TupleDesc,
  attnum: number,
): ((tuple: number, range: ByteRange) => boolean) | undefined {
  const layout = tupleLayout(desc);
  const index = attnum - 1;
  if (layout.kind[index] !== ATT_VARLENA) return undefined;
  const { u8, u32 } = mem;
  return (tuple, range) => {
    const at = attOffset(layout, mem, tuple, index);
    if (at < 0) {
      range.at = at === ATT_MISSING ? -1 : 0;
      return at === ATT_MISSING && layout.missing[index] !== null;
    }
    const head = u8[at]!;
    if ((head & 3) === 0) {
      range.at = at + 4;
      range.length = (u32[at >> 2]! >>> 2) - 4;
    } else if ((head & 1) === 1 && head !== 1) {
      range.at = at + 1;
      range.length = (head >> 1) - 1;
    } else range.at = -1;
    return true;
  };
}
