/**
 * Index tuples (IndexTupleData), MAXALIGNed on the page and in size:
 *
 *      0  t_tid     u16 block high, u16 block low, u16 offset: heap TID (nbtree also keeps other things here)
 *      6  t_info    u16   size (13 bits) and flags
 *      8  bitmap    4 bytes for 32 columns and 4 bytes of padding, only when INDEX_NULL_MASK: bit set = value present
 *   8|16  data      attributes as in heap tuples
 *
 * Accessors take (mem, tup) like htup.ts. They allocate nothing; byte values are views.
 */
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { maxAlign } from '@pgtroupe/common/ids';
import { ATT_NULL, attIsNull, attWalk, heapComputeDataSize, heapFillTuple, type TupleLayout } from './heaptuple.ts';
import type { TupleMemory } from './htup.ts';
import { toastCompressDatum } from './toast-compression.ts';
import type { TupleDesc } from './tupdesc.ts';
import { ATT_VARLENA, fetchAtt } from './tupmacs.ts';

export const SIZEOF_INDEX_TUPLE = 8;
const SIZEOF_INT4_TUPLE = 16;
export const INDEX_MAX_KEYS = 32;
export const INDEX_SIZE_MASK = 0x1fff;
/** For the access method: nbtree marks pivot and posting list tuples. */
export const INDEX_AM_RESERVED_BIT = 0x2000;
/** Has variable-width attributes. */
export const INDEX_VAR_MASK = 0x4000;
export const INDEX_NULL_MASK = 0x8000;
/** Where data begins when there is a bitmap: MAXALIGN(8 + 32 / 8). */
const DATA_AFTER_BITMAP = 16;

export function indexTupleSize(mem: TupleMemory, tup: number): number {
  return mem.u16[(tup + 6) >>> 1]! & INDEX_SIZE_MASK;
}

/** Offset of the data from the tuple's beginning. */
export function indexInfoFindDataOffset(info: number): number {
  return (info & INDEX_NULL_MASK) !== 0 ? DATA_AFTER_BITMAP : SIZEOF_INDEX_TUPLE;
}

// ---- item pointers: 6 bytes anywhere at an even offset -------------------------------------------

export function itemPointerGetBlock(mem: TupleMemory, at: number): number {
  return mem.u16[at >>> 1]! * 0x10000 + mem.u16[(at + 2) >>> 1]!;
}

export function itemPointerGetOffset(mem: TupleMemory, at: number): number {
  return mem.u16[(at + 4) >>> 1]!;
}

export function itemPointerSet(mem: TupleMemory, at: number, block: number, offset: number): void {
  mem.u16[at >>> 1] = block >>> 16;
  mem.u16[(at + 2) >>> 1] = block;
  mem.u16[(at + 4) >>> 1] = offset;
}

/** Order of a TID and the one at `at`: < 0, 0, > 0. */
export function itemPointerCompare(block: number, offset: number, mem: TupleMemory, at: number): number {
  return block - itemPointerGetBlock(mem, at) || offset - itemPointerGetOffset(mem, at);
}

// ---- forming and reading -----------------------------------------------------------------------------

/** Bytes that `indexFormTuple` will write. */
function indexComputeTupleSize(layout: TupleLayout, values: readonly Datum[]): number {
  return maxAlign(dataOffset(layout, values) + heapComputeDataSize(layout, values));
}

function dataOffset(layout: TupleLayout, values: readonly Datum[]): number {
  for (let i = 0; i < layout.natts; i++) if (values[i] === null) return DATA_AFTER_BITMAP;
  return SIZEOF_INDEX_TUPLE;
}

/** Writes the tuple at `at` (MAXALIGNed) and returns its size. Values must not be toasted pointers. */
export function indexFormTuple(
  layout: TupleLayout,
  values: readonly Datum[],
  block: number,
  offset: number,
  mem: TupleMemory,
  at: number,
): number {
  const hoff = dataOffset(layout, values);
  const size = indexComputeTupleSize(layout, values);
  if (size > INDEX_SIZE_MASK) {
    throw ereport(
      ERRCODE.PROGRAM_LIMIT_EXCEEDED,
      `index row requires ${size} bytes, maximum size is ${INDEX_SIZE_MASK}`,
    );
  }
  mem.u8.fill(0, at, at + hoff);
  const end = heapFillTuple(layout, values, mem, at + hoff, hoff === SIZEOF_INDEX_TUPLE ? -1 : at + SIZEOF_INDEX_TUPLE);
  mem.u8.fill(0, end, at + size);
  let info = size | (hoff === SIZEOF_INDEX_TUPLE ? 0 : INDEX_NULL_MASK);
  for (let i = 0; i < layout.natts; i++)
    if (values[i] !== null && layout.kind[i]! >= ATT_VARLENA) info |= INDEX_VAR_MASK;
  itemPointerSet(mem, at, block, offset);
  mem.u16[(at + 6) >>> 1] = info;
  return size;
}

/** indexFormTuple for a single int4 that is not null: the usual primary key. */
export function indexFormInt4Tuple(value: number, block: number, offset: number, mem: TupleMemory, at: number): number {
  itemPointerSet(mem, at, block, offset);
  mem.u16[(at + 6) >>> 1] = SIZEOF_INT4_TUPLE;
  mem.i32[(at + SIZEOF_INDEX_TUPLE) >>> 2] = value;
  mem.i32[(at + SIZEOF_INDEX_TUPLE + 4) >>> 2] = 0;
  return SIZEOF_INT4_TUPLE;
}

/** Varlena values longer than this, header included, are compressed (a sixteenth of the largest heap tuple). */
const TOAST_INDEX_TARGET = 510;

/** The values as an index stores them: long ones compressed, if their column allows it. */
export function indexCompressValues(desc: TupleDesc, values: readonly Datum[]): readonly Datum[] {
  let stored: Datum[] | undefined;
  for (let i = 0; i < desc.attrs.length; i++) {
    const value = values[i]!;
    const { len, storage } = desc.attrs[i]!;
    if (
      len !== -1 ||
      !(value instanceof Uint8Array) ||
      value.length + 4 <= TOAST_INDEX_TARGET ||
      (storage !== 'x' && storage !== 'm')
    )
      continue;
    const image = toastCompressDatum(value);
    if (image !== undefined) (stored ??= [...values])[i] = image;
  }
  return stored ?? values;
}

/** Byte offset of attribute `att` (0-based) in `mem`, or ATT_NULL. */
export function indexAttOffset(layout: TupleLayout, mem: TupleMemory, tup: number, att: number): number {
  if ((mem.u16[(tup + 6) >>> 1]! & INDEX_NULL_MASK) === 0) {
    const cached = layout.cacheOffset[att]!;
    return cached >= 0 ? tup + SIZEOF_INDEX_TUPLE + cached : attWalk(layout, mem, tup + SIZEOF_INDEX_TUPLE, -1, att);
  }
  const bits = tup + SIZEOF_INDEX_TUPLE;
  return attIsNull(mem.u8, bits, att) ? ATT_NULL : attWalk(layout, mem, tup + DATA_AFTER_BITMAP, bits, att);
}

/** One attribute (0-based). */
export function indexGetAttr(layout: TupleLayout, mem: TupleMemory, tup: number, att: number): Datum {
  const at = indexAttOffset(layout, mem, tup, att);
  return at === ATT_NULL ? null : fetchAtt(mem, at, layout.kind[att]!, layout.len[att]!);
}
