/**
 * VACUUM of an index (btbulkdelete, btvacuumcleanup): every page in block order; entries of rows that are gone go, leaf
 * pages without any are deleted (nbtpagedel.ts), and those that were deleted long enough ago go into the free space map.
 *
 * Splits move entries while the scan is under way. To a block further on: it is met there; the length is asked for again
 * at the end. To one that the scan has passed, where nothing was then (deleted, or not in use yet): its left neighbour is
 * met later, and the scan goes back to it from there. So no vacuum cycle ids are needed.
 */
import type { BlockNumber, FullTransactionId } from '@pgtroupe/common/ids';
import { BLCKSZ, MAIN_FORKNUM } from '@pgtroupe/common/ids';
import { MISS, type PageAccess } from '@pgtroupe/storage/buffer/pages';
import { pageGetItem, pageGetMaxOffsetNumber, pageIsNew } from '@pgtroupe/storage/page/bufpage';
import { RM_BTREE_ID } from '@pgtroupe/transam/rmgr';
import { REGBUF_STANDARD, REGBUF_WILL_INIT } from '@pgtroupe/transam/xloginsert';
import { itemPointerGetBlock, itemPointerGetOffset } from '../common/indextuple.ts';
import {
  type DeadTids,
  type HeldXid,
  type IndexVacuumScan,
  type IndexVacuumStats,
  VACUUM_DONE,
  VACUUM_MORE,
  type VacuumableIndex,
} from '../common/indexvacuum.ts';
import type { HeapContext } from '../heap/heapam-context.ts';
import { btCheckPage, type BTIndex, btExclusive, btShare } from './btindex.ts';
import { btDelitemsVacuum, LeafDeletion } from './nbtpage.ts';
import { isRecyclable } from './nbtdeletedpage.ts';
import { btMarkPageHalfDead, btUnlinkHalfDeadPage, HALF_DEAD, unlinked } from './nbtpagedel.ts';
import {
  BTP_DELETED,
  BTP_HALF_DEAD,
  BTREE_METAPAGE,
  btGetMeta,
  btpoFlags,
  btpoNext,
  btUpdateMeta,
  firstDataKey,
  getNPosting,
  getPostingOffset,
  isLeaf,
  isPosting,
  P_NONE,
  SIZEOF_ITEM_POINTER,
} from './nbtree.ts';
import { checkMeta } from './nbtsearch.ts';
import { bufDataMetadata, XLOG_BTREE_META_CLEANUP } from './nbtxlog.ts';

/** The id that deletions go by is renewed after so many pages: it holds the horizon. */
const PAGES_PER_XID = 512;
/** Pages deleted in this scan that are remembered, to be used again at once if that is possible when it ends. */
const MAX_PENDING = 100_000;
/** With this part of an index deleted and not yet free, cleaning up takes a scan of its own. */
const CLEANUP_FRACTION = 20;

/** The index as one vacuum asks for it. */
export function vacuumableBTree(index: BTIndex, ctx: HeapContext, held: HeldXid): VacuumableIndex {
  return new BTVacuum(index, ctx, held);
}

class BTVacuum implements VacuumableIndex {
  readonly #index: BTIndex;
  readonly #ctx: HeapContext;
  readonly #held: HeldXid;
  stats: IndexVacuumStats | undefined;

  constructor(index: BTIndex, ctx: HeapContext, held: HeldXid) {
    this.#index = index;
    this.#ctx = ctx;
    this.#held = held;
  }

  #scan(dead: DeadTids | undefined): BTVacuumScan {
    this.stats ??= {
      numPages: 0,
      estimatedCount: dead === undefined,
      numIndexTuples: 0,
      tuplesRemoved: 0,
      pagesNewlyDeleted: 0,
      pagesDeleted: 0,
      pagesFree: 0,
    };
    // The map has news for whoever splits pages here.
    this.#index.extend = 0;
    return new BTVacuumScan(this.#index, this.#ctx, this.#held, dead, this.stats);
  }

  bulkDelete(dead: DeadTids): IndexVacuumScan {
    return this.#scan(dead);
  }

  cleanup(): IndexVacuumScan {
    let scan: BTVacuumScan | undefined;
    let decided = this.stats !== undefined;
    return {
      step: () => {
        if (!decided) {
          const needed = needsCleanup(this.#index, this.#ctx.pages);
          if (needed === MISS) return MISS;
          if (needed) scan = this.#scan(undefined);
          decided = true;
        }
        const { stats } = this;
        if (stats === undefined) return VACUUM_DONE;
        const answer = scan?.step() ?? VACUUM_DONE;
        if (answer !== VACUUM_DONE) return answer;
        return setCleanupInfo(this.#index, this.#ctx, stats.pagesDeleted - stats.pagesFree);
      },
    };
  }
}

/** _bt_vacuum_needs_cleanup */
function needsCleanup(index: BTIndex, pages: PageAccess): boolean | typeof MISS {
  const meta = btShare(index, pages, BTREE_METAPAGE);
  if (meta === MISS) return MISS;
  checkMeta(index, pages.mem, meta);
  const { lastCleanupNumDelpages } = btGetMeta(pages.mem, meta);
  if (lastCleanupNumDelpages === 0) return false;
  const blocks = pages.nblocks(index.rel, MAIN_FORKNUM);
  return blocks === MISS ? MISS : lastCleanupNumDelpages > Math.floor(blocks / CLEANUP_FRACTION);
}

/** _bt_set_cleanup_info */
function setCleanupInfo(index: BTIndex, { pages, wal }: HeapContext, numDelpages: number): number {
  const { mem } = pages;
  const seen = btShare(index, pages, BTREE_METAPAGE);
  if (seen === MISS) return MISS;
  if (btGetMeta(mem, seen).lastCleanupNumDelpages === numDelpages) return VACUUM_DONE;
  const meta = btExclusive(index, pages, BTREE_METAPAGE);
  if (meta === MISS) return MISS;
  const data = { ...btGetMeta(mem, meta), lastCleanupNumDelpages: numDelpages };
  btUpdateMeta(mem, meta, data);
  wal.begin();
  wal.registerBuffer(0, meta, REGBUF_WILL_INIT | REGBUF_STANDARD);
  bufDataMetadata(wal, 0, data);
  wal.insert(RM_BTREE_ID, XLOG_BTREE_META_CLEANUP);
  return VACUUM_DONE;
}

/** A page deleted in this scan. */
interface Pending {
  readonly blk: number;
  readonly safexid: FullTransactionId;
}

class BTVacuumScan implements IndexVacuumScan {
  readonly #index: BTIndex;
  readonly #ctx: HeapContext;
  readonly #held: HeldXid;
  readonly #dead: DeadTids | undefined;
  readonly #stats: IndexVacuumStats;
  readonly #deletion = new LeafDeletion();
  /** Blocks passed where there was no leaf in use. */
  readonly #empty = new Set<number>();
  readonly #pending: Pending[] = [];
  #blk = BTREE_METAPAGE + 1;
  #blocks = 0;
  /** Where to go before the next block: P_NONE, or one that was passed. */
  #backTo = P_NONE;
  /** The leaf to delete before going on, P_NONE none, and how far that is. */
  #goes = P_NONE;
  #halfDead = false;
  #heldFor = 0;
  #horizonKnown = false;
  // Of the page under inspection.
  #pageRemoved = 0;
  #pageLeft = 0;
  #pageEmpty = false;
  #next = P_NONE;

  constructor(index: BTIndex, ctx: HeapContext, held: HeldXid, dead: DeadTids | undefined, stats: IndexVacuumStats) {
    this.#index = index;
    this.#ctx = ctx;
    this.#held = held;
    this.#dead = dead;
    this.#stats = stats;
    // About the index as it is now.
    stats.numIndexTuples = 0;
    stats.pagesDeleted = 0;
    stats.pagesFree = 0;
  }

  step(): number {
    if (this.#goes !== P_NONE) return this.#deletePage();
    if (this.#backTo !== P_NONE) return this.#visit(this.#backTo);
    if (this.#blk >= this.#blocks) {
      const blocks = this.#ctx.pages.nblocks(this.#index.rel, MAIN_FORKNUM);
      if (blocks === MISS) return MISS;
      this.#blocks = blocks;
      if (this.#blk >= blocks) return this.#finish();
    }
    if (this.#heldFor > 0 && ++this.#heldFor > PAGES_PER_XID) this.#giveBack();
    return this.#visit(this.#blk);
  }

  #giveBack(): void {
    this.#held.giveBack();
    this.#heldFor = 0;
  }

  /** What was deleted meanwhile is free if nobody is left who may be on his way there (_bt_pendingfsm_finalize). */
  #finish(): number {
    this.#stats.numPages = this.#blocks;
    if (this.#pending.length === 0) return VACUUM_DONE;
    if (!this.#horizonKnown) {
      this.#giveBack();
      if (this.#held.renewHorizon() === MISS) return MISS;
      this.#horizonKnown = true;
    }
    for (const { blk, safexid } of this.#pending) {
      if (safexid >= this.#ctx.xact.oldestXmin) break;
      this.#recordFree(blk);
    }
    this.#pending.length = 0;
    return VACUUM_DONE;
  }

  #recordFree(blk: number): void {
    this.#ctx.pages.recordFreeSpace(this.#index.rel, blk as BlockNumber, BLCKSZ - 1);
    this.#stats.pagesFree++;
  }

  // ---- one page --------------------------------------------------------------------------------------------------

  #visit(blk: number): number {
    const { pages, xact } = this.#ctx;
    const { mem } = pages;
    const stats = this.#stats;
    const page = pages.share(this.#index.rel, MAIN_FORKNUM, blk as BlockNumber);
    if (page === MISS) return MISS;
    const back = blk !== this.#blk;
    // Nobody uses it yet; who extended the index may do so behind us.
    if (pageIsNew(mem, page)) return this.#passed(blk, back);
    btCheckPage(this.#index, pages, page, blk);
    const flags = btpoFlags(mem, page);
    if ((flags & BTP_DELETED) !== 0) {
      if (!back) {
        stats.pagesDeleted++;
        if (isRecyclable(mem, page, xact.oldestXmin)) this.#recordFree(blk);
      }
      return this.#passed(blk, back);
    }
    if ((flags & BTP_HALF_DEAD) !== 0) {
      // Of a vacuum that was interrupted.
      this.#visited(blk, back);
      if (!back) this.#begin(blk, true);
      return VACUUM_MORE;
    }
    if (isLeaf(mem, page)) {
      if (this.#inspect(page) && this.#remove(blk) === MISS) return MISS;
      stats.tuplesRemoved += this.#pageRemoved;
      if (!this.#pageEmpty) stats.numIndexTuples += this.#pageLeft;
      this.#empty.delete(blk);
      this.#visited(blk, back);
      // Entries may have moved behind us.
      if (this.#next < this.#blk && this.#empty.has(this.#next)) this.#backTo = this.#next;
      if (this.#pageEmpty && !back) this.#begin(blk, false);
      return VACUUM_MORE;
    }
    this.#visited(blk, back);
    return VACUUM_MORE;
  }

  #passed(blk: number, back: boolean): number {
    if (!back) this.#empty.add(blk);
    this.#visited(blk, back);
    return VACUUM_MORE;
  }

  #visited(blk: number, back: boolean): void {
    if (back) this.#backTo = P_NONE;
    else this.#blk = blk + 1;
  }

  #remove(blk: number): number {
    const { pages, wal } = this.#ctx;
    const page = btExclusive(this.#index, pages, blk);
    if (page !== MISS) btDelitemsVacuum(pages, wal, page, this.#deletion);
    return page;
  }

  /** Fills #deletion and the page's counts. Is there anything to remove? */
  #inspect(page: number): boolean {
    const { mem } = this.#ctx.pages;
    const deletion = this.#deletion;
    deletion.clear();
    this.#pageRemoved = 0;
    this.#pageLeft = 0;
    this.#next = btpoNext(mem, page);
    const first = firstDataKey(mem, page);
    const max = pageGetMaxOffsetNumber(mem, page);
    if (this.#dead === undefined) this.#pageLeft = max + 1 - first;
    else {
      for (let off = first; off <= max; off++) {
        const tup = pageGetItem(mem, page, off);
        if (isPosting(mem, tup)) {
          this.#inspectPosting(this.#dead, tup, off);
        } else if (this.#isDead(this.#dead, tup)) {
          deletion.deleted.push(off);
          this.#pageRemoved++;
        } else {
          this.#pageLeft++;
        }
      }
    }
    this.#pageEmpty = this.#pageLeft === 0;
    return !deletion.isEmpty;
  }

  #isDead(dead: DeadTids, tid: number): boolean {
    const { mem } = this.#ctx.pages;
    return dead.has(itemPointerGetBlock(mem, tid), itemPointerGetOffset(mem, tid));
  }

  #inspectPosting(dead: DeadTids, tup: number, off: number): void {
    const { mem } = this.#ctx.pages;
    const count = getNPosting(mem, tup);
    const list = tup + getPostingOffset(mem, tup);
    const gone: number[] = [];
    for (let i = 0; i < count; i++) if (this.#isDead(dead, list + i * SIZEOF_ITEM_POINTER)) gone.push(i);
    this.#pageRemoved += gone.length;
    this.#pageLeft += count - gone.length;
    if (gone.length === count) {
      this.#deletion.deleted.push(off);
    } else if (gone.length > 0) {
      this.#deletion.updated.push(off);
      this.#deletion.places.push(gone);
    }
  }

  // ---- deleting pages --------------------------------------------------------------------------------------------

  #begin(blk: number, halfDead: boolean): void {
    this.#goes = blk;
    this.#halfDead = halfDead;
  }

  /** One stage of _bt_pagedel, or one page of it. */
  #deletePage(): number {
    const { pages, wal } = this.#ctx;
    const leaf = this.#goes;
    const safexid = this.#held.take();
    if (safexid === MISS) return MISS;
    // Without ids nothing is deleted; that VACUUM comes to its end may be what gives new ones.
    if (safexid === undefined) {
      this.#goes = P_NONE;
      return VACUUM_MORE;
    }
    if (this.#heldFor === 0) this.#heldFor = 1;
    if (!this.#halfDead) {
      const marked = btMarkPageHalfDead(this.#index, pages, wal, leaf);
      if (marked === MISS) return MISS;
      if (marked === HALF_DEAD) this.#halfDead = true;
      else this.#goes = P_NONE;
      return VACUUM_MORE;
    }
    if (btUnlinkHalfDeadPage(this.#index, pages, wal, leaf, safexid) === MISS) return MISS;
    const { blk } = unlinked;
    this.#stats.pagesNewlyDeleted++;
    // Blocks further on are counted when the scan comes there.
    if (blk < this.#blk) this.#stats.pagesDeleted++;
    this.#empty.add(blk);
    if (this.#pending.length < MAX_PENDING) this.#pending.push({ blk, safexid });
    if (blk !== leaf) return VACUUM_MORE;
    this.#goes = P_NONE;
    // That it was its parent's last child may have been what kept the right neighbour.
    if (unlinked.rightEmpty) this.#begin(unlinked.rightBlk, false);
    return VACUUM_MORE;
  }
}
