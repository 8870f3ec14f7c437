/**
 * WAL records of the B-tree. Blocks by id, then main data; block data in [].
 *
 *   INSERT_LEAF     0 leaf [tuple]                                       u16 offnum
 *   INSERT_UPPER    0 page [tuple], 1 left child (its split is complete) u16 offnum
 *   INSERT_META     as INSERT_UPPER, 2 metapage [metadata]               u16 offnum
 *   INSERT_POST     0 leaf [u16 postingoff, tuple as it was meant]       u16 offnum
 *   SPLIT_L, _R     0 left page [new tuple if on the left or splitting a posting list; high key],
 *                   1 right page (made anew) [its items, lowest address first],
 *                   2 old right sibling if any, 3 left child if internal
 *                                                u32 level, u16 firstrightoff, u16 newitemoff, u16 postingoff
 *   NEWROOT         0 root (made anew) [items], 1 left child unless the root is a leaf, 2 metapage [metadata]
 *                                                                        u32 rootblk, u32 level
 *   DEDUP           0 leaf [(u16 baseoff, u16 nitems)...]                u16 nintervals
 *   VACUUM          0 leaf [u16 deleted..., u16 updated..., updates]     u16 ndeleted, u16 nupdated
 *   DELETE          as VACUUM                   u32 latestRemovedXid, u16 ndeleted, u16 nupdated
 *                   an update is u16 count and the places in the posting list that go, u16 each
 *   MARK_PAGE_HALFDEAD  0 leaf (made anew), 1 top parent
 *                       u16 poffset (+ 2), u32 leafblk, u32 leftblk, u32 rightblk, u32 topparent
 *   UNLINK_PAGE     0 target (made anew), 1 left sibling if any, 2 right sibling, 3 leaf if not the target,
 *                   4 metapage [metadata] (UNLINK_PAGE_META)
 *                       u32 leftsib, u32 rightsib, u32 level (+ 4), u64 safexid, u32 leafleftsib, u32 leafrightsib,
 *                       u32 leaftopparent
 *   REUSE_PAGE      none                     RelFileNode, u32 blkno, u64 latestRemovedXid: for standbys only
 *   META_CLEANUP    0 metapage [metadata]
 *
 * metadata: u32 version, root, level, fastroot, fastlevel, last_cleanup_num_delpages, u8 allequalimage (+ 3).
 */
import type { RelFileNode } from '@pgtroupe/common/ids';
import type { XLogInserter } from '@pgtroupe/transam/xloginsert';
import type { BTMetaPageData } from './nbtree.ts';

export const XLOG_BTREE_INSERT_LEAF = 0x00;
export const XLOG_BTREE_INSERT_UPPER = 0x10;
export const XLOG_BTREE_INSERT_META = 0x20;
export const XLOG_BTREE_SPLIT_L = 0x30;
export const XLOG_BTREE_SPLIT_R = 0x40;
export const XLOG_BTREE_INSERT_POST = 0x50;
export const XLOG_BTREE_DEDUP = 0x60;
export const XLOG_BTREE_DELETE = 0x70;
export const XLOG_BTREE_UNLINK_PAGE = 0x80;
export const XLOG_BTREE_UNLINK_PAGE_META = 0x90;
export const XLOG_BTREE_NEWROOT = 0xa0;
export const XLOG_BTREE_MARK_PAGE_HALFDEAD = 0xb0;
export const XLOG_BTREE_VACUUM = 0xc0;
export const XLOG_BTREE_REUSE_PAGE = 0xd0;
export const XLOG_BTREE_META_CLEANUP = 0xe0;

export const SIZE_OF_BTREE_METADATA = 28;

/** Fixed parts are assembled here; the inserter copies them at once. */
const scratch = new Uint8Array(64);
const view = new DataView(scratch.buffer);

/** Main data of one u16. */
export function dataU16(wal: XLogInserter, value: number): void {
  view.setUint16(0, value, true);
  wal.data(scratch, 0, 2);
}

export function dataU16Pair(wal: XLogInserter, first: number, second: number): void {
  view.setUint16(0, first, true);
  view.setUint16(2, second, true);
  wal.data(scratch, 0, 4);
}

export function dataU32(wal: XLogInserter, value: number): void {
  view.setUint32(0, value, true);
  wal.data(scratch, 0, 4);
}

export function dataSplit(
  wal: XLogInserter,
  level: number,
  firstRightOff: number,
  newItemOff: number,
  postingOff: number,
): void {
  view.setUint32(0, level, true);
  view.setUint16(4, firstRightOff, true);
  view.setUint16(6, newItemOff, true);
  view.setUint16(8, postingOff, true);
  wal.data(scratch, 0, 10);
}

export function dataNewRoot(wal: XLogInserter, rootBlk: number, level: number): void {
  view.setUint32(0, rootBlk, true);
  view.setUint32(4, level, true);
  wal.data(scratch, 0, 8);
}

export function dataMarkPageHalfDead(
  wal: XLogInserter,
  record: {
    readonly poffset: number;
    readonly leafBlk: number;
    readonly leftBlk: number;
    readonly rightBlk: number;
    readonly topParent: number;
  },
): void {
  view.setUint32(0, 0, true);
  view.setUint16(0, record.poffset, true);
  view.setUint32(4, record.leafBlk, true);
  view.setUint32(8, record.leftBlk, true);
  view.setUint32(12, record.rightBlk, true);
  view.setUint32(16, record.topParent, true);
  wal.data(scratch, 0, 20);
}

export function dataUnlinkPage(
  wal: XLogInserter,
  record: {
    readonly left: number;
    readonly right: number;
    readonly level: number;
    readonly safexid: number;
    readonly leafLeft: number;
    readonly leafRight: number;
    readonly leafTopParent: number;
  },
): void {
  view.setUint32(0, record.left, true);
  view.setUint32(4, record.right, true);
  view.setUint32(8, record.level, true);
  view.setUint32(12, 0, true);
  view.setUint32(16, record.safexid >>> 0, true);
  view.setUint32(20, Math.floor(record.safexid / 0x100000000), true);
  view.setUint32(24, record.leafLeft, true);
  view.setUint32(28, record.leafRight, true);
  view.setUint32(32, record.leafTopParent, true);
  wal.data(scratch, 0, 36);
}

export function dataReusePage(wal: XLogInserter, rel: RelFileNode, blk: number, latestRemovedXid: number): void {
  view.setUint32(0, rel.spcNode, true);
  view.setUint32(4, rel.dbNode, true);
  view.setUint32(8, rel.relNode, true);
  view.setUint32(12, blk, true);
  view.setUint32(16, latestRemovedXid >>> 0, true);
  view.setUint32(20, Math.floor(latestRemovedXid / 0x100000000), true);
  wal.data(scratch, 0, 24);
}

/** Block data of one u16. */
export function bufDataU16(wal: XLogInserter, blockId: number, value: number): void {
  view.setUint16(0, value, true);
  wal.bufData(blockId, scratch, 0, 2);
}

export function bufDataMetadata(wal: XLogInserter, blockId: number, meta: BTMetaPageData): void {
  scratch.fill(0, 0, SIZE_OF_BTREE_METADATA);
  view.setUint32(0, meta.version, true);
  view.setUint32(4, meta.root, true);
  view.setUint32(8, meta.level, true);
  view.setUint32(12, meta.fastroot, true);
  view.setUint32(16, meta.fastlevel, true);
  view.setUint32(20, meta.lastCleanupNumDelpages, true);
  scratch[24] = meta.allequalimage ? 1 : 0;
  wal.bufData(blockId, scratch, 0, SIZE_OF_BTREE_METADATA);
}

export function readMetadata(source: DataView, at: number): BTMetaPageData {
  return {
    version: source.getUint32(at, true),
    root: source.getUint32(at + 4, true),
    level: source.getUint32(at + 8, true),
    fastroot: source.getUint32(at + 12, true),
    fastlevel: source.getUint32(at + 16, true),
    lastCleanupNumDelpages: source.getUint32(at + 20, true),
    allequalimage: source.getUint8(at + 24) !== 0,
  };
}
