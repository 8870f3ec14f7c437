/**
 * Applies WAL records to pages in the pool: RedoContext of packages/access over our buffers. Used by
 * recovery (every block of the record) and to rebuild one page of a dead instance (that block only).
 */
import { BLCKSZ, type BlockNumber, type ForkNumber, type RelFileNode } from '@pgtroupe/common/ids';
import { assert } from '@pgtroupe/common/assert';
import { BLK_SKIP, type BlockRef, type RedoContext, type RmgrRoutine } from '@pgtroupe/access/common/xlogutils';
import type { TupleMemory } from '@pgtroupe/access/common/htup';
import { pageGetLSN, pageSetLSN } from '@pgtroupe/storage/page/bufpage';
import { rmgrName } from '@pgtroupe/transam/rmgr';
import { type DecodedBkpBlock, restoreBlockImage, type XLogRecord } from '@pgtroupe/transam/xlogrecord';
import type { BufferPool } from './buffer-pool.ts';
import type { PageEntry } from './page-directory.ts';

/** Finds the routine of a resource manager; undefined: it changes no pages of relations. */
export type RmgrTable = (rmid: number) => RmgrRoutine | undefined;

export class RedoApplier implements RedoContext {
  readonly mem: TupleMemory;
  readonly #pool: BufferPool;
  readonly #table: RmgrTable;
  /** The page of a block that is in the pool and wanted. */
  readonly #find: (rnode: RelFileNode, fork: ForkNumber, blk: BlockNumber) => PageEntry | undefined;
  /** The record now contained in the page. */
  readonly #changed: (page: PageEntry, record: XLogRecord) => void;
  /** When set, no other page is wanted. */
  #only: PageEntry | undefined;
  readonly #handedOut: PageEntry[] = [];

  constructor(
    pool: BufferPool,
    table: RmgrTable,
    find: (rnode: RelFileNode, fork: ForkNumber, blk: BlockNumber) => PageEntry | undefined,
    changed: (page: PageEntry, record: XLogRecord) => void,
  ) {
    this.mem = pool.mem;
    this.#pool = pool;
    this.#table = table;
    this.#find = find;
    this.#changed = changed;
  }

  /** Replays the record on every block it names. All of them are in the pool, or not there at all. */
  apply(record: XLogRecord): void {
    this.#handedOut.length = 0;
    const routine = this.#table(record.rmid);
    if (routine !== undefined) routine.redo(record, this);
    // XLOG_FPI and the like: all there is to do is the images.
    else for (const block of record.blocks) if (block !== undefined) this.readBufferForRedo(record, block.id);
    for (const page of this.#handedOut) this.#stamp(page, record);
  }

  /** Replays the record on one page. */
  applyTo(page: PageEntry, record: XLogRecord): void {
    this.#only = page;
    try {
      this.apply(record);
    } finally {
      this.#only = undefined;
    }
  }

  readBufferForRedo(record: XLogRecord, blockId: number): number {
    const block = record.blocks[blockId];
    assert(block !== undefined, `${rmgrName(record.rmid)} record has no block ${blockId}`);
    const page = this.#wanted(block);
    if (page === undefined) return BLK_SKIP;
    assert(page.slot >= 0, 'redo on a page that is not in the pool');
    const at = this.#pool.offset(page.slot);
    if (block.hasImage && block.applyImage) {
      // An image is laid down whatever is there: the page on disk may be torn.
      if (this.#only !== undefined || pageGetLSN(this.mem, at) < record.endLsn) {
        restoreBlockImage(record, block, this.mem.u8, at);
        this.#stamp(page, record);
      }
      return BLK_SKIP;
    }
    if (pageGetLSN(this.mem, at) >= record.endLsn) return BLK_SKIP;
    this.#handedOut.push(page);
    return at;
  }

  initBufferForRedo(record: XLogRecord, blockId: number): number {
    const block = record.blocks[blockId];
    assert(block !== undefined, `${rmgrName(record.rmid)} record has no block ${blockId}`);
    if (block.hasImage && block.applyImage) return this.readBufferForRedo(record, blockId);
    const page = this.#wanted(block);
    if (page === undefined) return BLK_SKIP;
    const at = this.#pool.offset(page.slot);
    if (pageGetLSN(this.mem, at) >= record.endLsn) return BLK_SKIP;
    this.mem.u8.fill(0, at, at + BLCKSZ);
    this.#handedOut.push(page);
    return at;
  }

  extraBuffer({ rnode, fork, blkno }: BlockRef): number {
    const page = this.#find(rnode, fork, blkno);
    if (page === undefined || (this.#only !== undefined && page !== this.#only)) return BLK_SKIP;
    return this.#pool.offset(page.slot);
  }

  #wanted(block: DecodedBkpBlock): PageEntry | undefined {
    const only = this.#only;
    if (only === undefined) return this.#find(block.rnode, block.fork, block.blkno);
    const { rnode, fork } = only.fork;
    const same =
      only.blk === block.blkno &&
      fork === block.fork &&
      rnode.relNode === block.rnode.relNode &&
      rnode.dbNode === block.rnode.dbNode &&
      rnode.spcNode === block.rnode.spcNode;
    return same ? only : undefined;
  }

  #stamp(page: PageEntry, record: XLogRecord): void {
    pageSetLSN(this.mem, this.#pool.offset(page.slot), record.endLsn);
    this.#changed(page, record);
  }
}
