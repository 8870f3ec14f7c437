/**
 * WAL records of the heap (access/heapam_xlog.h). Two resource managers share the operations; the
 * third-highest bit of xl_info says that the page is initialised by the record. Little-endian:
 *
 *   insert         main  u16 offnum, u8 flags                        block 0: header, data
 *   delete         main  u32 xmax, u16 offnum, u8 infobits, u8 flags block 0
 *   update         main  u32 old xmax, u16 old offnum, u8 old infobits, u8 flags, u32 new xmax,
 *                        u16 new offnum                              block 0: new page: [u16 prefix]
 *                                                                    [u16 suffix] header, data
 *                                                                    block 1: old page, if another
 *   lock           main  u32 xid, u16 offnum, u8 infobits, u8 flags  block 0
 *   lock_updated   main  as lock                                     block 0
 *   inplace        main  u16 offnum                                  block 0: data behind t_hoff
 *   confirm        main  u16 offnum                                  block 0
 *   prune          main  u32 latestRemovedXid, u16 redirected, u16 dead
 *                                                                    block 0: u16 pairs, dead, unused
 *   vacuum         main  u16 unused                                  block 0: u16s
 *   freeze_page    main  u32 cutoff, u16 tuples                      block 0: 12 bytes each: u32 xmax,
 *                                                                    u16 offset, u16 infomask2,
 *                                                                    u16 infomask, u8 flags, pad
 *   visible        main  u32 cutoff, u8 flags                        block 0: map page, block 1: heap
 *   multi_insert   main  u8 flags, pad, u16 tuples, u16 offsets unless the page is initialised
 *                                                                    block 0: per tuple, at even
 *                                                                    offsets: u16 length, u16 infomask2,
 *                                                                    u16 infomask, u8 hoff, data
 *
 * `header` is u16 infomask2, u16 infomask, u8 hoff; `data` is everything from byte 23 of the tuple.
 *
 * Beyond PostgreSQL: where a record clears bits of the visibility map, the map's page is referenced
 * too, as block VM_BLOCK_ID (and VM_OLD_BLOCK_ID), so that whoever tracks pages by their records
 * (dirty-page table, rebuilding) sees the change. PostgreSQL's redo clears the bits because of the
 * flags and does not look at blocks it does not know.
 */
import {
  HEAP_KEYS_UPDATED,
  HEAP_XMAX_EXCL_LOCK,
  HEAP_XMAX_IS_MULTI,
  HEAP_XMAX_KEYSHR_LOCK,
  HEAP_XMAX_LOCK_ONLY,
  type TupleMemory,
} from '../common/htup.ts';

export const XLOG_HEAP_INSERT = 0x00;
export const XLOG_HEAP_DELETE = 0x10;
export const XLOG_HEAP_UPDATE = 0x20;
export const XLOG_HEAP_TRUNCATE = 0x30;
export const XLOG_HEAP_HOT_UPDATE = 0x40;
export const XLOG_HEAP_CONFIRM = 0x50;
export const XLOG_HEAP_LOCK = 0x60;
export const XLOG_HEAP_INPLACE = 0x70;
export const XLOG_HEAP_OPMASK = 0x70;
export const XLOG_HEAP_INIT_PAGE = 0x80;

export const XLOG_HEAP2_REWRITE = 0x00;
export const XLOG_HEAP2_PRUNE = 0x10;
export const XLOG_HEAP2_VACUUM = 0x20;
export const XLOG_HEAP2_FREEZE_PAGE = 0x30;
export const XLOG_HEAP2_VISIBLE = 0x40;
export const XLOG_HEAP2_MULTI_INSERT = 0x50;
export const XLOG_HEAP2_LOCK_UPDATED = 0x60;
export const XLOG_HEAP2_NEW_CID = 0x70;

export const XLH_INSERT_ALL_VISIBLE_CLEARED = 1 << 0;
export const XLH_INSERT_LAST_IN_MULTI = 1 << 1;
export const XLH_INSERT_IS_SPECULATIVE = 1 << 2;
export const XLH_INSERT_CONTAINS_NEW_TUPLE = 1 << 3;
export const XLH_INSERT_ON_TOAST_RELATION = 1 << 4;
export const XLH_INSERT_ALL_FROZEN_SET = 1 << 5;

export const XLH_UPDATE_OLD_ALL_VISIBLE_CLEARED = 1 << 0;
export const XLH_UPDATE_NEW_ALL_VISIBLE_CLEARED = 1 << 1;
export const XLH_UPDATE_CONTAINS_OLD_TUPLE = 1 << 2;
export const XLH_UPDATE_CONTAINS_OLD_KEY = 1 << 3;
export const XLH_UPDATE_CONTAINS_NEW_TUPLE = 1 << 4;
export const XLH_UPDATE_PREFIX_FROM_OLD = 1 << 5;
export const XLH_UPDATE_SUFFIX_FROM_OLD = 1 << 6;

export const XLH_DELETE_ALL_VISIBLE_CLEARED = 1 << 0;
export const XLH_DELETE_IS_SUPER = 1 << 3;
export const XLH_DELETE_IS_PARTITION_MOVE = 1 << 4;

export const XLH_LOCK_ALL_FROZEN_CLEARED = 1 << 0;

export const XLHL_XMAX_IS_MULTI = 0x01;
export const XLHL_XMAX_LOCK_ONLY = 0x02;
export const XLHL_XMAX_EXCL_LOCK = 0x04;
export const XLHL_XMAX_KEYSHR_LOCK = 0x08;
export const XLHL_KEYS_UPDATED = 0x10;

export const XLH_FREEZE_XVAC = 0x02;
export const XLH_INVALID_XVAC = 0x04;

export const SIZE_OF_HEAP_INSERT = 3;
export const SIZE_OF_HEAP_DELETE = 8;
export const SIZE_OF_HEAP_UPDATE = 14;
export const SIZE_OF_HEAP_LOCK = 8;
export const SIZE_OF_HEAP_HEADER = 5;
export const SIZE_OF_HEAP_PRUNE = 8;
export const SIZE_OF_HEAP_VACUUM = 2;
export const SIZE_OF_HEAP_FREEZE_PAGE = 6;
export const SIZE_OF_FREEZE_TUPLE = 12;
export const SIZE_OF_HEAP_VISIBLE = 5;
export const SIZE_OF_HEAP_MULTI_INSERT = 4;
export const SIZE_OF_MULTI_INSERT_TUPLE = 7;

/** References to visibility map pages; of the page that got a tuple, and of the old version's page. */
export const VM_BLOCK_ID = 2;
export const VM_OLD_BLOCK_ID = 3;

/** The bits about xmax that a record carries. */
export function computeInfobits(infomask: number, infomask2: number): number {
  return (
    ((infomask & HEAP_XMAX_IS_MULTI) !== 0 ? XLHL_XMAX_IS_MULTI : 0) |
    ((infomask & HEAP_XMAX_LOCK_ONLY) !== 0 ? XLHL_XMAX_LOCK_ONLY : 0) |
    ((infomask & HEAP_XMAX_EXCL_LOCK) !== 0 ? XLHL_XMAX_EXCL_LOCK : 0) |
    ((infomask & HEAP_XMAX_KEYSHR_LOCK) !== 0 ? XLHL_XMAX_KEYSHR_LOCK : 0) |
    ((infomask2 & HEAP_KEYS_UPDATED) !== 0 ? XLHL_KEYS_UPDATED : 0)
  );
}

/** The reverse: puts them into a tuple. */
export function fixInfomaskFromInfobits(mem: TupleMemory, tup: number, infobits: number): void {
  let infomask = mem.u16[(tup + 20) >>> 1]!;
  infomask &= ~(HEAP_XMAX_IS_MULTI | HEAP_XMAX_LOCK_ONLY | HEAP_XMAX_KEYSHR_LOCK | HEAP_XMAX_EXCL_LOCK);
  if ((infobits & XLHL_XMAX_IS_MULTI) !== 0) infomask |= HEAP_XMAX_IS_MULTI;
  if ((infobits & XLHL_XMAX_LOCK_ONLY) !== 0) infomask |= HEAP_XMAX_LOCK_ONLY;
  if ((infobits & XLHL_XMAX_EXCL_LOCK) !== 0) infomask |= HEAP_XMAX_EXCL_LOCK;
  if ((infobits & XLHL_XMAX_KEYSHR_LOCK) !== 0) infomask |= HEAP_XMAX_KEYSHR_LOCK;
  mem.u16[(tup + 20) >>> 1] = infomask;
  if ((infobits & XLHL_KEYS_UPDATED) !== 0) mem.u16[(tup + 18) >>> 1]! |= HEAP_KEYS_UPDATED;
  else mem.u16[(tup + 18) >>> 1]! &= ~HEAP_KEYS_UPDATED;
}

// ---- assembling ------------------------------------------------------------------------------------

/** The fixed parts of records are put together here and copied by the inserter at once. */
export const xlogScratch = new Uint8Array(64);

export function put16(at: number, value: number): void {
  xlogScratch[at] = value;
  xlogScratch[at + 1] = value >>> 8;
}

export function put32(at: number, value: number): void {
  xlogScratch[at] = value;
  xlogScratch[at + 1] = value >>> 8;
  xlogScratch[at + 2] = value >>> 16;
  xlogScratch[at + 3] = value >>> 24;
}

/** xl_heap_header of a tuple. */
export function putHeapHeader(at: number, mem: TupleMemory, tup: number): void {
  xlogScratch[at] = mem.u8[tup + 18]!;
  xlogScratch[at + 1] = mem.u8[tup + 19]!;
  xlogScratch[at + 2] = mem.u8[tup + 20]!;
  xlogScratch[at + 3] = mem.u8[tup + 21]!;
  xlogScratch[at + 4] = mem.u8[tup + 22]!;
}
