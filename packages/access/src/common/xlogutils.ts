/**
 * What redo functions see (PostgreSQL's access/xlogutils). Redo is synchronous: whoever drives it
 * has read every page beforehand (`record.blocks`, and `extraBlocks` of the resource manager).
 *
 * The same functions serve crash recovery, where every block is wanted, and the rebuilding of one
 * page of a dead instance (invariant 5), where all others answer BLK_SKIP. So a redo function
 * treats each block by itself, never reads one to change another unless both belong to the record,
 * and calls:
 *
 *   const page = ctx.readBufferForRedo(record, 0);    // BLK_SKIP: done already, restored from its
 *   if (page >= 0) ...                                // image, not wanted, or gone
 *
 *   const page = ctx.initBufferForRedo(record, 0);    // BKPBLOCK_WILL_INIT: the page is written anew
 *
 * Pages handed out by these two get `record.endLsn` as pd_lsn once the redo function has returned.
 */
import type { BlockNumber, ForkNumber, RelFileNode } from '@pgtroupe/common/ids';
import type { XLogRecord } from '@pgtroupe/transam/xlogrecord';
import type { TupleMemory } from './htup.ts';

export const BLK_SKIP = -1;

export interface BlockRef {
  readonly rnode: RelFileNode;
  readonly fork: ForkNumber;
  readonly blkno: BlockNumber;
}

export interface RedoContext {
  readonly mem: TupleMemory;
  /** Offset of the block's page when the record must be applied to it: pd_lsn is older and no image
   *  was restored (the context lays images over pages itself). */
  readBufferForRedo(record: XLogRecord, blockId: number): number;
  /** Offset of the page to initialise, unless it is newer already. */
  initBufferForRedo(record: XLogRecord, blockId: number): number;
  /** A page that the record changes without referencing it, whatever its pd_lsn, which is left
   *  alone; BLK_SKIP when it is not wanted or does not exist. Changes must be idempotent. */
  extraBuffer(block: BlockRef): number;
}

/** What packages/redo dispatches to. */
export interface RmgrRoutine {
  readonly redo: (record: XLogRecord, ctx: RedoContext) => void;
  /** As pg_waldump prints it, without the block references. */
  readonly desc: (record: XLogRecord) => string;
  /** `HOT_UPDATE`, or undefined for an unknown operation. */
  readonly identify: (info: number) => string | undefined;
  /** Blocks for `extraBuffer`. */
  readonly extraBlocks?: (record: XLogRecord) => readonly BlockRef[];
}
