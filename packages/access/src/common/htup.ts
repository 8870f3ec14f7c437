/**
 * Header of a heap tuple (HeapTupleHeaderData), before its data:
 *
 *      0  t_xmin       u32   inserting transaction
 *      4  t_xmax       u32   deleting or locking transaction, 0 none (or a multixact id)
 *      8  t_cid        u32   inserting and/or deleting command, maybe a combo id; own transaction only
 *     12  t_ctid       u16 block high, u16 block low, u16 offset: itself, or the newer version
 *     18  t_infomask2  u16   number of attributes (11 bits) and flags
 *     20  t_infomask   u16   flags
 *     22  t_hoff       u8    where the data begins, MAXALIGNed
 *     23  t_bits             null bitmap when HEAP_HASNULL: bit set = value present
 *
 * Accessors take (mem, tup): `tup` is the byte offset of the header in `mem`, MAXALIGNed, so that
 * aligned views can be used. They allocate nothing.
 */
import type { OffsetNumber, TransactionId } from '@pgtroupe/common/ids';
import { FROZEN_TRANSACTION_ID, maxAlign } from '@pgtroupe/common/ids';

/** Views of one buffer, as Memory has them. */
export interface TupleMemory {
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly i32: Int32Array;
  readonly u32: Uint32Array;
  readonly view: DataView;
}

/** Views over a buffer of its own; `bytes` must start at an offset divisible by 4. */
export function tupleMemory(bytes: Uint8Array): TupleMemory {
  const { buffer, byteOffset, byteLength } = bytes;
  return {
    u8: bytes,
    u16: new Uint16Array(buffer, byteOffset, byteLength >>> 1),
    i32: new Int32Array(buffer, byteOffset, byteLength >>> 2),
    u32: new Uint32Array(buffer, byteOffset, byteLength >>> 2),
    view: new DataView(buffer, byteOffset, byteLength),
  };
}

export const SIZEOF_HEAP_TUPLE_HEADER = 23;
export const MAX_TUPLE_ATTRIBUTE_NUMBER = 1664;
/** Largest tuple that fits on a page: 8192 - MAXALIGN(page header + one line pointer). */
export const MAX_HEAP_TUPLE_SIZE = 8192 - maxAlign(24 + 4);
export const INVALID_COMMAND_ID = 0xffffffff;

// ---- t_infomask --------------------------------------------------------------------------------
export const HEAP_HASNULL = 0x0001;
export const HEAP_HASVARWIDTH = 0x0002;
export const HEAP_HASEXTERNAL = 0x0004;
/** xmax is a key-shared locker. */
export const HEAP_XMAX_KEYSHR_LOCK = 0x0010;
/** t_cid is a combo command id. */
export const HEAP_COMBOCID = 0x0020;
/** xmax is an exclusive locker (or an updater). */
export const HEAP_XMAX_EXCL_LOCK = 0x0040;
/** xmax, if valid, only locks. */
export const HEAP_XMAX_LOCK_ONLY = 0x0080;
export const HEAP_XMAX_SHR_LOCK = HEAP_XMAX_EXCL_LOCK | HEAP_XMAX_KEYSHR_LOCK;
export const HEAP_LOCK_MASK = HEAP_XMAX_SHR_LOCK;
export const HEAP_XMIN_COMMITTED = 0x0100;
export const HEAP_XMIN_INVALID = 0x0200;
export const HEAP_XMIN_FROZEN = HEAP_XMIN_COMMITTED | HEAP_XMIN_INVALID;
export const HEAP_XMAX_COMMITTED = 0x0400;
export const HEAP_XMAX_INVALID = 0x0800;
export const HEAP_XMAX_IS_MULTI = 0x1000;
/** This is the newer version of an UPDATE. */
export const HEAP_UPDATED = 0x2000;
/** Moved by a VACUUM FULL of before 9.0; upgraded directories may still have them. */
export const HEAP_MOVED_OFF = 0x4000;
export const HEAP_MOVED_IN = 0x8000;
export const HEAP_MOVED = HEAP_MOVED_OFF | HEAP_MOVED_IN;
/** What says who sees the tuple. */
export const HEAP_XACT_MASK = 0xfff0;
export const HEAP_XMAX_BITS =
  HEAP_XMAX_COMMITTED | HEAP_XMAX_INVALID | HEAP_XMAX_IS_MULTI | HEAP_LOCK_MASK | HEAP_XMAX_LOCK_ONLY;

// ---- t_infomask2 -------------------------------------------------------------------------------
export const HEAP_NATTS_MASK = 0x07ff;
/** Deleted, or updated with a changed key; what FOR KEY SHARE conflicts with. */
export const HEAP_KEYS_UPDATED = 0x2000;
/** The newer version is a heap-only tuple on the same page. */
export const HEAP_HOT_UPDATED = 0x4000;
/** No index entry of its own. */
export const HEAP_ONLY_TUPLE = 0x8000;
export const HEAP2_XACT_MASK = 0xe000;

/** In t_ctid's offset of a row that moved to another partition (block is invalid too). */
export const MOVED_PARTITIONS_OFFSET_NUMBER = 0xfffd;

// ---- accessors -----------------------------------------------------------------------------------

export function getRawXmin(mem: TupleMemory, tup: number): TransactionId {
  return mem.u32[tup >>> 2] as TransactionId;
}

/** xmin as the world sees it: frozen ones are FrozenTransactionId though the number stays. */
export function getXmin(mem: TupleMemory, tup: number): TransactionId {
  return (getInfomask(mem, tup) & HEAP_XMIN_FROZEN) === HEAP_XMIN_FROZEN ? FROZEN_TRANSACTION_ID : getRawXmin(mem, tup);
}

export function setXmin(mem: TupleMemory, tup: number, xid: TransactionId): void {
  mem.u32[tup >>> 2] = xid;
}

export function getRawXmax(mem: TupleMemory, tup: number): TransactionId {
  return mem.u32[(tup + 4) >>> 2] as TransactionId;
}

export function setXmax(mem: TupleMemory, tup: number, xid: TransactionId): void {
  mem.u32[(tup + 4) >>> 2] = xid;
}

export function getRawCommandId(mem: TupleMemory, tup: number): number {
  return mem.u32[(tup + 8) >>> 2]!;
}

/** Stores cmin of a fresh tuple. */
export function setCmin(mem: TupleMemory, tup: number, cid: number): void {
  mem.u32[(tup + 8) >>> 2] = cid;
  mem.u16[(tup + 20) >>> 1]! &= ~HEAP_COMBOCID;
}

export function setCmax(mem: TupleMemory, tup: number, cid: number, isCombo: boolean): void {
  mem.u32[(tup + 8) >>> 2] = cid;
  if (isCombo) mem.u16[(tup + 20) >>> 1]! |= HEAP_COMBOCID;
  else mem.u16[(tup + 20) >>> 1]! &= ~HEAP_COMBOCID;
}

export function getInfomask2(mem: TupleMemory, tup: number): number {
  return mem.u16[(tup + 18) >>> 1]!;
}

export function setInfomask2(mem: TupleMemory, tup: number, mask: number): void {
  mem.u16[(tup + 18) >>> 1] = mask;
}

export function getInfomask(mem: TupleMemory, tup: number): number {
  return mem.u16[(tup + 20) >>> 1]!;
}

export function setInfomask(mem: TupleMemory, tup: number, mask: number): void {
  mem.u16[(tup + 20) >>> 1] = mask;
}

export function getHoff(mem: TupleMemory, tup: number): number {
  return mem.u8[tup + 22]!;
}

export function getNatts(mem: TupleMemory, tup: number): number {
  return mem.u16[(tup + 18) >>> 1]! & HEAP_NATTS_MASK;
}

export function getCtidBlock(mem: TupleMemory, tup: number): number {
  return ((mem.u16[(tup + 12) >>> 1]! << 16) | mem.u16[(tup + 14) >>> 1]!) >>> 0;
}

export function getCtidOffset(mem: TupleMemory, tup: number): OffsetNumber {
  return mem.u16[(tup + 16) >>> 1] as OffsetNumber;
}

export function setCtid(mem: TupleMemory, tup: number, block: number, offnum: number): void {
  mem.u16[(tup + 12) >>> 1] = block >>> 16;
  mem.u16[(tup + 14) >>> 1] = block;
  mem.u16[(tup + 16) >>> 1] = offnum;
}

export function isHeapOnly(mem: TupleMemory, tup: number): boolean {
  return (getInfomask2(mem, tup) & HEAP_ONLY_TUPLE) !== 0;
}

/** Has a newer version on the same page that only this one leads to, unless its insertion or the
 *  update failed. */
export function isHotUpdated(mem: TupleMemory, tup: number): boolean {
  const mask = getInfomask(mem, tup);
  return (
    (getInfomask2(mem, tup) & HEAP_HOT_UPDATED) !== 0 &&
    (mask & HEAP_XMAX_INVALID) === 0 &&
    (mask & HEAP_XMIN_FROZEN) !== HEAP_XMIN_INVALID
  );
}

/** Is xmax, if anything, only a locker? Also covers the form before 9.3, an exclusive lock alone. */
export function xmaxIsLockedOnly(infomask: number): boolean {
  return (
    (infomask & HEAP_XMAX_LOCK_ONLY) !== 0 || (infomask & (HEAP_XMAX_IS_MULTI | HEAP_LOCK_MASK)) === HEAP_XMAX_EXCL_LOCK
  );
}

/** A multixact of before 9.3, which pg_upgrade brought: lockers that are long gone. */
export function xmaxIsLockedUpgraded(infomask: number): boolean {
  return (
    (infomask & (HEAP_XMAX_IS_MULTI | HEAP_XMAX_LOCK_ONLY | HEAP_LOCK_MASK)) ===
    (HEAP_XMAX_IS_MULTI | HEAP_XMAX_LOCK_ONLY)
  );
}

/** Bytes of header and null bitmap for `natts` attributes, before aligning. */
export function heapTupleHeaderSize(natts: number, hasNulls: boolean): number {
  return maxAlign(SIZEOF_HEAP_TUPLE_HEADER + (hasNulls ? (natts + 7) >>> 3 : 0));
}
