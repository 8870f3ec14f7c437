/**
 * Heap tuples: forming one from values, reading values out of one.
 *
 * A relation's TupleDesc is compiled once into a TupleLayout of typed arrays. An attribute whose
 * offset never varies (only fixed-length ones before it) has it in `cacheOffset`: in a tuple without
 * nulls it is read directly, all others by walking from the last such place.
 */
import { assert } from '@pgtroupe/common/assert';
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import {
  getHoff,
  getInfomask,
  getNatts,
  HEAP_HASEXTERNAL,
  HEAP_HASNULL,
  HEAP_HASVARWIDTH,
  heapTupleHeaderSize,
  INVALID_COMMAND_ID,
  MAX_TUPLE_ATTRIBUTE_NUMBER,
  setCtid,
  SIZEOF_HEAP_TUPLE_HEADER,
  type TupleMemory,
} from './htup.ts';
import type { TupleDesc } from './tupdesc.ts';
import {
  alignMask,
  ATT_VARLENA,
  attAddLength,
  attAlignPointer,
  attEnd,
  attKind,
  fetchAtt,
  storeAtt,
  VarlenaImage,
} from './tupmacs.ts';

export interface TupleLayout {
  readonly natts: number;
  /** AttKind of each attribute. */
  readonly kind: Uint8Array;
  readonly len: Int16Array;
  readonly alignMask: Uint8Array;
  /** 1: a varlena that may take a short header. */
  readonly packable: Uint8Array;
  /** Offset from the data's beginning in tuples without nulls, -1 when it varies. */
  readonly cacheOffset: Int32Array;
  /** Values of attributes that the tuple is too old to have. */
  readonly missing: readonly Datum[];
}

const layouts = new WeakMap<TupleDesc, TupleLayout>();

/** The compiled form of a descriptor; the same object for the same descriptor. */
export function tupleLayout(desc: TupleDesc): TupleLayout {
  let layout = layouts.get(desc);
  if (layout === undefined) layouts.set(desc, (layout = compileLayout(desc)));
  return layout;
}

function compileLayout({ attrs }: TupleDesc): TupleLayout {
  const natts = attrs.length;
  if (natts > MAX_TUPLE_ATTRIBUTE_NUMBER) {
    throw ereport(
      ERRCODE.TOO_MANY_COLUMNS,
      `number of columns (${natts}) exceeds limit (${MAX_TUPLE_ATTRIBUTE_NUMBER})`,
    );
  }
  const layout = {
    natts,
    kind: new Uint8Array(natts),
    len: new Int16Array(natts),
    alignMask: new Uint8Array(natts),
    packable: new Uint8Array(natts),
    cacheOffset: new Int32Array(natts).fill(-1),
    missing: attrs.map(att => att.missing ?? null),
  };
  let offset = 0;
  attrs.forEach((att, i) => {
    layout.kind[i] = attKind(att);
    layout.len[i] = att.len;
    const mask = (layout.alignMask[i] = alignMask(att.align));
    layout.packable[i] = att.len === -1 && att.storage !== 'p' ? 1 : 0;
    if (offset < 0) return;
    if (att.len === -1) {
      // Its place is certain only where a long header needs no padding either.
      if ((offset & mask) === 0) layout.cacheOffset[i] = offset;
      offset = -1;
      return;
    }
    offset = (offset + mask) & ~mask;
    layout.cacheOffset[i] = offset;
    offset = att.len === -2 ? -1 : offset + att.len;
  });
  return layout;
}

// ---- forming ---------------------------------------------------------------------------------------

/** Bytes of the data part. */
export function heapComputeDataSize(layout: TupleLayout, values: readonly Datum[]): number {
  let end = 0;
  for (let i = 0; i < layout.natts; i++) {
    const value = values[i]!;
    if (value === null) continue;
    end = attEnd(end, value, layout.kind[i]!, layout.len[i]!, layout.alignMask[i]!, layout.packable[i] === 1);
  }
  return end;
}

/** Bytes of the whole tuple that `heapFormTuple` will write (not MAXALIGNed, as lp_len stores it). */
export function heapComputeTupleSize(layout: TupleLayout, values: readonly Datum[]): number {
  return heapTupleHeaderSize(layout.natts, hasNull(layout.natts, values)) + heapComputeDataSize(layout, values);
}

function hasNull(natts: number, values: readonly Datum[]): boolean {
  for (let i = 0; i < natts; i++) if (values[i] === null) return true;
  return false;
}

/**
 * Writes the tuple at `at` (MAXALIGNed; there must be room for heapComputeTupleSize) and returns its
 * length. Transaction fields are left for the heap to stamp: xmin, xmax, t_cid zero, ctid invalid.
 */
export function heapFormTuple(layout: TupleLayout, values: readonly Datum[], mem: TupleMemory, at: number): number {
  const { natts } = layout;
  const nulls = hasNull(natts, values);
  const hoff = initHeapTuple(natts, nulls, mem, at);
  const bits = nulls ? at + SIZEOF_HEAP_TUPLE_HEADER : -1;
  const start = at + hoff;
  const end = heapFillTuple(layout, values, mem, start, bits);
  mem.u16[(at + 20) >>> 1] = (nulls ? HEAP_HASNULL : 0) | filledMask;
  return end - at;
}

/** Writes a new tuple's header but for t_infomask, with an empty null bitmap if there are `nulls`. Returns t_hoff. */
export function initHeapTuple(natts: number, nulls: boolean, mem: TupleMemory, at: number): number {
  const hoff = heapTupleHeaderSize(natts, nulls);
  const word = at >>> 2;
  mem.u32[word] = 0;
  mem.u32[word + 1] = 0;
  mem.u32[word + 2] = 0;
  setCtid(mem, at, INVALID_COMMAND_ID, 0);
  mem.u16[(at + 18) >>> 1] = natts;
  mem.u8[at + 22] = hoff;
  // Too few bytes for `fill` to be worth a call.
  for (let rest = at + SIZEOF_HEAP_TUPLE_HEADER; rest < at + hoff; rest++) mem.u8[rest] = 0;
  return hoff;
}

/** HEAP_HASVARWIDTH and HEAP_HASEXTERNAL of the last heapFillTuple. */
let filledMask = 0;

/**
 * Writes the values from `start` (MAXALIGNed) on, and the null bitmap at `bits` unless that is -1;
 * its bytes must be zero. Returns the end.
 */
export function heapFillTuple(
  layout: TupleLayout,
  values: readonly Datum[],
  mem: TupleMemory,
  start: number,
  bits: number,
): number {
  let mask = 0;
  let end = start;
  for (let i = 0; i < layout.natts; i++) {
    const value = values[i];
    assert(value !== undefined, `no value for attribute ${i + 1}`);
    if (value === null) continue;
    if (bits >= 0) mem.u8[bits + (i >>> 3)]! |= 1 << (i & 7);
    const kind = layout.kind[i]!;
    if (kind >= ATT_VARLENA) {
      mask |= HEAP_HASVARWIDTH;
      if (value instanceof VarlenaImage && value.bytes[0] === 1) mask |= HEAP_HASEXTERNAL;
    }
    end = storeAtt(mem, end, value, kind, layout.len[i]!, layout.alignMask[i]!, layout.packable[i] === 1);
  }
  filledMask = mask;
  return end;
}

// ---- reading -----------------------------------------------------------------------------------------

/** Answers of attOffset that are no offset. */
export const ATT_NULL = -1;
/** The tuple was written before the attribute existed. */
export const ATT_MISSING = -2;

export function attIsNull(u8: Uint8Array, bits: number, att: number): boolean {
  return ((u8[bits + (att >>> 3)]! >>> (att & 7)) & 1) === 0;
}

/** Byte offset of attribute `att` (0-based) in `mem`, or ATT_NULL or ATT_MISSING. */
export function attOffset(layout: TupleLayout, mem: TupleMemory, tup: number, att: number): number {
  const nulls = (getInfomask(mem, tup) & HEAP_HASNULL) !== 0;
  if (att >= getNatts(mem, tup)) return ATT_MISSING;
  const data = tup + getHoff(mem, tup);
  if (!nulls) {
    const cached = layout.cacheOffset[att]!;
    if (cached >= 0) return data + cached;
    return attWalk(layout, mem, data, -1, att);
  }
  const bits = tup + SIZEOF_HEAP_TUPLE_HEADER;
  return attIsNull(mem.u8, bits, att) ? ATT_NULL : attWalk(layout, mem, data, bits, att);
}

/** Where attribute `att`, which is not null, begins in the data at `data`; `bits` is the null bitmap or -1. */
export function attWalk(layout: TupleLayout, mem: TupleMemory, data: number, bits: number, att: number): number {
  let i = 0;
  let at = data;
  if (bits < 0) {
    // Begin at the last attribute before this one whose place is certain.
    for (let known = att - 1; known > 0; known--) {
      if (layout.cacheOffset[known]! < 0) continue;
      i = known;
      at = data + layout.cacheOffset[known]!;
      break;
    }
  }
  for (; ; i++) {
    if (bits >= 0 && attIsNull(mem.u8, bits, i)) continue;
    at = attAlignPointer(mem, at, layout.len[i]!, layout.alignMask[i]!);
    if (i === att) return at;
    at = attAddLength(mem, at, layout.len[i]!);
  }
}

/** One attribute (0-based). Byte values are views into `mem`. */
export function heapGetAttr(layout: TupleLayout, mem: TupleMemory, tup: number, att: number): Datum {
  const at = attOffset(layout, mem, tup, att);
  if (at >= 0) return fetchAtt(mem, at, layout.kind[att]!, layout.len[att]!);
  return at === ATT_NULL ? null : layout.missing[att]!;
}

export function heapAttIsNull(layout: TupleLayout, mem: TupleMemory, tup: number, att: number): boolean {
  if (att >= getNatts(mem, tup)) return layout.missing[att] === null;
  return (getInfomask(mem, tup) & HEAP_HASNULL) !== 0 && attIsNull(mem.u8, tup + SIZEOF_HEAP_TUPLE_HEADER, att);
}

/** The first `count` attributes into `values`. Byte values are views into `mem`. */
export function heapDeformTuple(
  layout: TupleLayout,
  mem: TupleMemory,
  tup: number,
  count: number,
  values: Datum[],
): void {
  const { kind, len, alignMask: masks, cacheOffset, missing } = layout;
  const bits = (getInfomask(mem, tup) & HEAP_HASNULL) !== 0 ? tup + SIZEOF_HEAP_TUPLE_HEADER : -1;
  const data = tup + getHoff(mem, tup);
  const stored = Math.min(count, getNatts(mem, tup));
  let at = data;
  let certain = true;
  for (let i = 0; i < stored; i++) {
    if (bits >= 0 && attIsNull(mem.u8, bits, i)) {
      values[i] = null;
      certain = false;
      continue;
    }
    const width = len[i]!;
    if (certain && cacheOffset[i]! >= 0) at = data + cacheOffset[i]!;
    else at = attAlignPointer(mem, at, width, masks[i]!);
    values[i] = fetchAtt(mem, at, kind[i]!, width);
    at = attAddLength(mem, at, width);
  }
  for (let i = stored; i < count; i++) values[i] = missing[i]!;
}
