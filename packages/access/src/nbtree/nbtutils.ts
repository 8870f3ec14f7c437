/**
 * Comparing tuples with search keys and with each other, and making pivot tuples of them.
 *
 * A search key (BTSearchKey, PostgreSQL's BTScanInsert) is the values of the leading key columns and
 * possibly a heap TID. Results are the key's position relative to the tuple: > 0 is "key is greater".
 * A column that a pivot tuple lacks counts as minus infinity.
 */
import type { Datum } from '@pgtroupe/common/datum';
import { maxAlign } from '@pgtroupe/common/ids';
import { ATT_NULL } from '../common/heaptuple.ts';
import type { TupleMemory } from '../common/htup.ts';
import {
  INDEX_NULL_MASK,
  INDEX_VAR_MASK,
  indexAttOffset,
  indexInfoFindDataOffset,
  indexTupleSize,
  itemPointerCompare,
  itemPointerGetBlock,
  itemPointerGetOffset,
  itemPointerSet,
  SIZEOF_INDEX_TUPLE,
} from '../common/indextuple.ts';
import { ATT_VARLENA, attAddLength, fetchAtt, fetchVarlena } from '../common/tupmacs.ts';
import {
  type BTIndex,
  CMP_BYTE,
  CMP_CSTRING,
  CMP_FIXED,
  CMP_FUNCTION,
  CMP_INT2,
  CMP_INT4,
  CMP_INT8,
  CMP_OID,
  CMP_VARLENA,
  INDOPTION_DESC,
  INDOPTION_NULLS_FIRST,
} from './btindex.ts';
import type { Compare } from './nbtcompare.ts';
import {
  getPostingOffset,
  heapTidAt,
  isPivot,
  isPosting,
  maxHeapTidAt,
  pivotNAtts,
  setPivotNAtts,
  setTupleSize,
  SIZEOF_ITEM_POINTER,
} from './nbtree.ts';

/** Mode of a null, beside those of the columns (btindex.ts). */
const KEY_NULL = 255;

/** Values to compare columns with, each prepared so that comparing allocates nothing. */
export class KeyValues {
  readonly values: Datum[];
  /** How each value is compared: as its column is, unless the value does not fit that. */
  readonly mode: Uint8Array;
  readonly num: Float64Array;
  readonly compare: (Compare | undefined)[];

  constructor(count: number) {
    this.values = Array.from<Datum>({ length: count }).fill(null);
    this.mode = new Uint8Array(count);
    this.num = new Float64Array(count);
    this.compare = Array.from({ length: count });
  }

  /** `compare` is for values of another type than the column's; it gets the column's value first. */
  setValue(slot: number, index: BTIndex, column: number, value: Datum, compare?: Compare): void {
    this.values[slot] = value;
    if (value === null) {
      this.mode[slot] = KEY_NULL;
      return;
    }
    const columnMode = index.mode[column]!;
    this.compare[slot] = compare ?? index.compare[column]!;
    this.mode[slot] = compare === undefined ? columnMode : CMP_FUNCTION;
    if (compare !== undefined || columnMode >= CMP_VARLENA || columnMode === CMP_FUNCTION) return;
    if (typeof value === 'bigint') this.mode[slot] = CMP_FUNCTION;
    else this.num[slot] = Number(value);
  }
}

export class BTSearchKey extends KeyValues {
  readonly index: BTIndex;
  /** Leading columns that count. */
  keysz = 0;
  /** Search for the first item > key instead of >= key. */
  nextkey = false;
  /** The key is a page's high key, and the leftmost page with it is wanted. */
  pivotSearch = false;
  /** Is the heap TID part of the key? */
  hasTid = false;
  tidBlock = 0;
  tidOffset = 0;
  anyNull = false;

  constructor(index: BTIndex) {
    super(index.nkeyatts);
    this.index = index;
  }

  reset(): void {
    this.keysz = 0;
    this.nextkey = false;
    this.hasTid = false;
    this.anyNull = false;
  }

  /** Appends the next column's value. */
  push(value: Datum, compare?: Compare): void {
    if (value === null) this.anyNull = true;
    this.setValue(this.keysz, this.index, this.keysz, value, compare);
    this.keysz++;
  }

  setTid(block: number, offset: number): void {
    this.hasTid = true;
    this.tidBlock = block;
    this.tidOffset = offset;
  }
}

/** memcmp of `key` with the bytes [at, at + length), then by length. */
function compareBytes(key: Uint8Array, u8: Uint8Array, at: number, length: number): number {
  const common = key.length < length ? key.length : length;
  for (let i = 0; i < common; i++) {
    const diff = key[i]! - u8[at + i]!;
    if (diff !== 0) return diff;
  }
  return key.length - length;
}

function cstringLength(u8: Uint8Array, at: number, len: number): number {
  const limit = len > 0 ? len : u8.length;
  let length = 0;
  while (length < limit && u8[at + length] !== 0) length++;
  return length;
}

/** Value number `slot` against the column's stored value at `at` (ATT_NULL when null), in the column's direction. */
export function compareKeyColumn(
  key: KeyValues,
  slot: number,
  index: BTIndex,
  column: number,
  mem: TupleMemory,
  at: number,
): number {
  const mode = key.mode[slot]!;
  const option = index.option[column]!;
  if (mode === KEY_NULL) {
    if (at === ATT_NULL) return 0;
    return (option & INDOPTION_NULLS_FIRST) !== 0 ? -1 : 1;
  }
  if (at === ATT_NULL) return (option & INDOPTION_NULLS_FIRST) !== 0 ? 1 : -1;
  let result: number;
  switch (mode) {
    case CMP_INT4:
      result = key.num[slot]! - mem.i32[at >>> 2]!;
      break;
    case CMP_OID:
      result = key.num[slot]! - mem.u32[at >>> 2]!;
      break;
    case CMP_INT8:
      // Beyond 2^53 the sum is rounded, which cannot carry it across a key that is a safe integer.
      result = key.num[slot]! - (mem.i32[(at + 4) >>> 2]! * 0x100000000 + mem.u32[at >>> 2]!);
      break;
    case CMP_INT2:
      result = key.num[slot]! - ((mem.u16[at >>> 1]! << 16) >> 16);
      break;
    case CMP_BYTE:
      result = key.num[slot]! - mem.u8[at]!;
      break;
    case CMP_VARLENA:
      result = compareVarlena(key.values[slot] as Uint8Array, mem, at);
      break;
    case CMP_CSTRING:
      result = compareBytes(
        key.values[slot] as Uint8Array,
        mem.u8,
        at,
        cstringLength(mem.u8, at, index.layout.len[column]!),
      );
      break;
    case CMP_FIXED:
      result = compareBytes(key.values[slot] as Uint8Array, mem.u8, at, index.layout.len[column]!);
      break;
    default:
      result = -key.compare[slot]!(
        fetchAtt(mem, at, index.layout.kind[column]!, index.layout.len[column]!),
        key.values[slot]!,
      );
  }
  return (option & INDOPTION_DESC) !== 0 ? -result : result;
}

function compareVarlena(key: Uint8Array, mem: TupleMemory, at: number): number {
  const first = mem.u8[at]!;
  if ((first & 1) !== 0 && first !== 1) return compareBytes(key, mem.u8, at + 1, (first >>> 1) - 1);
  if ((first & 3) === 0) return compareBytes(key, mem.u8, at + 4, (mem.u32[at >>> 2]! >>> 2) - 4);
  const bytes = fetchVarlena(mem, at);
  return compareBytes(key, bytes, 0, bytes.length);
}

/** The key against a tuple: PostgreSQL's _bt_compare, but for the first item of internal pages. */
export function btCompare(key: BTSearchKey, mem: TupleMemory, tup: number): number {
  const { index } = key;
  const pivot = isPivot(mem, tup);
  const natts = pivot ? pivotNAtts(mem, tup) : index.natts;
  const count = key.keysz < natts ? key.keysz : natts;
  for (let i = 0; i < count; i++) {
    const result = compareKeyColumn(key, i, index, i, mem, indexAttOffset(index.layout, mem, tup, i));
    if (result !== 0) return result;
  }
  if (key.keysz > natts) return 1;
  const tid = heapTidAt(mem, tup);
  if (!key.hasTid) {
    // All columns equal, and the separator's TID is minus infinity: no equal item can be left of it.
    return tid < 0 && key.keysz === natts && !key.pivotSearch ? 1 : 0;
  }
  if (tid < 0) return 1;
  const result = itemPointerCompare(key.tidBlock, key.tidOffset, mem, tid);
  if (result <= 0 || !isPosting(mem, tup)) return result;
  return itemPointerCompare(key.tidBlock, key.tidOffset, mem, maxHeapTidAt(mem, tup)) > 0 ? 1 : 0;
}

/** Key column `i` of tuple a against that of tuple b, direction included. */
function compareAttribute(
  index: BTIndex,
  i: number,
  memA: TupleMemory,
  a: number,
  memB: TupleMemory,
  b: number,
): number {
  const { layout } = index;
  const atA = indexAttOffset(layout, memA, a, i);
  const atB = indexAttOffset(layout, memB, b, i);
  const option = index.option[i]!;
  if (atA === ATT_NULL || atB === ATT_NULL) {
    if (atA === atB) return 0;
    return (atA === ATT_NULL) === ((option & INDOPTION_NULLS_FIRST) !== 0) ? -1 : 1;
  }
  let result: number;
  switch (index.mode[i]!) {
    case CMP_INT4:
      result = memA.i32[atA >>> 2]! - memB.i32[atB >>> 2]!;
      break;
    case CMP_OID:
      result = memA.u32[atA >>> 2]! - memB.u32[atB >>> 2]!;
      break;
    case CMP_INT8:
      result = memA.i32[(atA + 4) >>> 2]! - memB.i32[(atB + 4) >>> 2]! || memA.u32[atA >>> 2]! - memB.u32[atB >>> 2]!;
      break;
    case CMP_VARLENA:
      result = compareVarlena(fetchVarlena(memA, atA), memB, atB);
      break;
    default: {
      const { kind, len } = layout;
      result = index.compare[i]!(fetchAtt(memA, atA, kind[i]!, len[i]!), fetchAtt(memB, atB, kind[i]!, len[i]!));
    }
  }
  return (option & INDOPTION_DESC) !== 0 ? -result : result;
}

/** Order of two leaf tuples by their key columns only. */
export function compareTupleKeys(index: BTIndex, memA: TupleMemory, a: number, memB: TupleMemory, b: number): number {
  for (let i = 0; i < index.nkeyatts; i++) {
    const result = compareAttribute(index, i, memA, a, memB, b);
    if (result !== 0) return result;
  }
  return 0;
}

// ---- suffix truncation -----------------------------------------------------------------------------------

/** Leading key columns needed to tell two tuples apart; `natts` + 1 when all of these are equal. */
export function btKeepNAtts(
  index: BTIndex,
  memA: TupleMemory,
  a: number,
  memB: TupleMemory,
  b: number,
  natts = index.nkeyatts,
): number {
  let keep = 1;
  for (let i = 0; i < natts; i++, keep++) if (compareAttribute(index, i, memA, a, memB, b) !== 0) break;
  return keep;
}

/** Copies `firstRight` with its first `natts` columns only. Returns the size. The TID stays. */
function truncateTuple(
  index: BTIndex,
  mem: TupleMemory,
  tup: number,
  natts: number,
  out: TupleMemory,
  at: number,
): number {
  if (natts === index.natts) {
    const size = isPosting(mem, tup) ? getPostingOffset(mem, tup) : indexTupleSize(mem, tup);
    out.u8.set(mem.u8.subarray(tup, tup + size), at);
    setTupleSize(out, at, size);
    return size;
  }
  const { layout } = index;
  const dataFrom = tup + indexInfoFindDataOffset(mem.u16[(tup + 6) >>> 1]!);
  let nulls = 0;
  let varwidth = 0;
  let dataEnd = dataFrom;
  for (let i = 0; i < natts; i++) {
    const attribute = indexAttOffset(layout, mem, tup, i);
    if (attribute === ATT_NULL) {
      nulls = INDEX_NULL_MASK;
      continue;
    }
    if (layout.kind[i]! >= ATT_VARLENA) varwidth = INDEX_VAR_MASK;
    dataEnd = attAddLength(mem, attribute, layout.len[i]!);
  }
  const hoff = indexInfoFindDataOffset(nulls);
  const size = maxAlign(hoff + dataEnd - dataFrom);
  out.u8.fill(0, at, at + size);
  itemPointerSet(out, at, itemPointerGetBlock(mem, tup), itemPointerGetOffset(mem, tup));
  out.u16[(at + 6) >>> 1] = size | nulls | varwidth;
  if (nulls !== 0) {
    for (let i = 0; i < natts; i++) {
      out.u8[at + SIZEOF_INDEX_TUPLE + (i >>> 3)]! |= mem.u8[tup + SIZEOF_INDEX_TUPLE + (i >>> 3)]! & (1 << (i & 7));
    }
  }
  out.u8.set(mem.u8.subarray(dataFrom, dataEnd), at + hoff);
  return size;
}

/**
 * The high key between two neighbours of a leaf level, written at `at`: as few columns of the right one
 * as tell them apart, with the left one's highest heap TID if nothing else does. Returns the size.
 */
export function btTruncate(
  index: BTIndex,
  leftMem: TupleMemory,
  left: number,
  rightMem: TupleMemory,
  right: number,
  out: TupleMemory,
  at: number,
): number {
  const { nkeyatts } = index;
  const keep = btKeepNAtts(index, leftMem, left, rightMem, right);
  const size = truncateTuple(index, rightMem, right, Math.min(keep, nkeyatts), out, at);
  if (keep <= nkeyatts) {
    setPivotNAtts(out, at, keep, false);
    return size;
  }
  const withTid = size + maxAlign(SIZEOF_ITEM_POINTER);
  out.u8.fill(0, at + size, at + withTid);
  setTupleSize(out, at, withTid);
  setPivotNAtts(out, at, nkeyatts, true);
  const tid = maxHeapTidAt(leftMem, left);
  itemPointerSet(
    out,
    at + withTid - SIZEOF_ITEM_POINTER,
    itemPointerGetBlock(leftMem, tid),
    itemPointerGetOffset(leftMem, tid),
  );
  return withTid;
}
