/**
 * What redo routines program against (heap's, nbtree's, sequence's … in packages/access, called
 * through the dispatch table of packages/redo). They serve two purposes with the same code: replay at
 * start, and rebuilding single pages that a dead instance held.
 *
 * RULES for a redo routine `(record, pages) => void`
 * 1. Synchronous. For each block reference ask `readBufferForRedo(record, blockId)` and look at the
 *    answer; only BLK_NEEDS_REDO pages are to be changed, then `changed(record, page)` stamps pd_lsn.
 *    BLK_RESTORED: the full-page image was laid down and stamped. BLK_DONE: leave it alone (already
 *    newer, or not the page being rebuilt). BLK_NOTFOUND: the relation or block is gone (dropped or
 *    truncated later in the WAL).
 * 2. `initBufferForRedo` gives a zeroed page for BKPBLOCK_WILL_INIT; it may answer -1 = leave it alone.
 * 3. Pages the record does not reference (visibility map) come from `extraBuffer`; -1 = leave it
 *    alone. If it is not in memory it throws RedoMiss, the driver loads it and calls the routine again
 *    from the start: thanks to pd_lsn what was done already is then BLK_DONE.
 * 4. Page offsets are byte offsets into `mem`, valid during the call.
 */
import type { BlockNumber, ForkNumber, RelFileNode } from '@pgtroupe/common/ids';
import type { PageMemory } from '@pgtroupe/storage/page/bufpage';
import type { XLogRecord } from './xlogrecord.ts';

export const BLK_NEEDS_REDO = 0;
export const BLK_DONE = 1;
export const BLK_RESTORED = 2;
export const BLK_NOTFOUND = 3;
export type XLogRedoAction = typeof BLK_NEEDS_REDO | typeof BLK_DONE | typeof BLK_RESTORED | typeof BLK_NOTFOUND;

export interface RedoPages {
  readonly mem: PageMemory;
  /** Offset of the page that the last readBufferForRedo answered NEEDS_REDO or RESTORED for. */
  readonly page: number;
  readBufferForRedo(record: XLogRecord, blockId: number): XLogRedoAction;
  /** Offset of the block's page, all zeros, or -1. */
  initBufferForRedo(record: XLogRecord, blockId: number): number;
  /** Offset of a page outside the record's block references, or -1. Missing pages are created when
   *  `create`. Changes to it are marked with `changedExtra`. */
  extraBuffer(rnode: RelFileNode, fork: ForkNumber, blk: BlockNumber, create: boolean): number;
  /** The page at this offset carries the record now: sets pd_lsn, marks dirty. */
  changed(record: XLogRecord, page: number): void;
  /** Marks dirty without moving pd_lsn, as PostgreSQL does for visibility map bits it clears. */
  changedExtra(record: XLogRecord, page: number): void;
  /** Free space of a heap page as replay left it (advisory). */
  recordFreeSpace(rnode: RelFileNode, blk: BlockNumber, availBytes: number): void;
}

export type RmgrRedo = (record: XLogRecord, pages: RedoPages) => void;

/** Thrown by RedoPages, never by redo routines: this page must be loaded first. */
export class RedoMiss extends Error {
  override readonly name = 'RedoMiss';
  readonly rnode: RelFileNode;
  readonly fork: ForkNumber;
  readonly blk: BlockNumber;
  readonly create: boolean;
  constructor(rnode: RelFileNode, fork: ForkNumber, blk: BlockNumber, create: boolean) {
    super('page is not in memory');
    this.rnode = rnode;
    this.fork = fork;
    this.blk = blk;
    this.create = create;
  }
}
