/**
 * The row versions of a page that an index under construction needs entries for (heapam_index_build_range_scan). The table
 * is locked against writers; catalogs are not always, so that versions of running transactions may be met.
 */
import { type BlockNumber, MAIN_FORKNUM, xidFromFull } from '@pgtroupe/common/ids';
import { MISS, type SmgrRelation } from '@pgtroupe/storage/buffer/pages';
import {
  MAX_HEAP_TUPLES_PER_PAGE,
  pageGetItem,
  pageGetItemId,
  pageGetMaxOffsetNumber,
} from '@pgtroupe/storage/page/bufpage';
import { itemIdIsNormal } from '@pgtroupe/storage/page/itemid';
import { getXmin, isHotUpdated } from '../common/htup.ts';
import type { HeapContext } from './heapam-context.ts';
import {
  getUpdateXid,
  HEAPTUPLE_DEAD,
  HEAPTUPLE_DELETE_IN_PROGRESS,
  HEAPTUPLE_INSERT_IN_PROGRESS,
  HEAPTUPLE_LIVE,
  HEAPTUPLE_RECENTLY_DEAD,
  heapTupleSatisfiesVacuum,
} from './heapam-visibility.ts';
import { heapGetRootTuples } from './pruneheap.ts';

/** Offsets are valid until the driver gets control (pages.ts rule 3). */
export class IndexablePage {
  count = 0;
  /** Byte offsets of the tuples, in line pointer order. */
  readonly tuples = new Int32Array(MAX_HEAP_TUPLES_PER_PAGE);
  /** Their line pointer numbers. */
  readonly offnums = new Uint16Array(MAX_HEAP_TUPLES_PER_PAGE);
  /** 1: deleted, so that it does not count for uniqueness. */
  readonly dead = new Uint8Array(MAX_HEAP_TUPLES_PER_PAGE);
  /** By line pointer number: that of the root of its HOT chain, where the entry leads. */
  readonly roots = new Uint16Array(MAX_HEAP_TUPLES_PER_PAGE + 1);
  /** Rows that are there for the transaction that builds. */
  live = 0;
  /** A version that some snapshot may see has no entry of its own. */
  brokenHotChain = false;

  /** 0, or MISS. */
  read(ctx: HeapContext, smgr: SmgrRelation, blk: number): 0 | typeof MISS {
    const { mem } = ctx.pages;
    const page = ctx.pages.share(smgr, MAIN_FORKNUM, blk as BlockNumber);
    if (page === MISS) return MISS;
    if (heapGetRootTuples(ctx, page, this.roots) === MISS) return MISS;
    this.count = 0;
    this.live = 0;
    this.brokenHotChain = false;
    const oldestXmin = xidFromFull(ctx.xact.oldestXmin);
    const lines = pageGetMaxOffsetNumber(mem, page);
    for (let off = 1; off <= lines; off++) {
      if (!itemIdIsNormal(pageGetItemId(mem, page, off))) continue;
      const tup = pageGetItem(mem, page, off);
      switch (heapTupleSatisfiesVacuum(ctx.xact, oldestXmin, mem, tup)) {
        case MISS:
          return MISS;
        case HEAPTUPLE_DEAD:
          break;
        case HEAPTUPLE_LIVE:
          this.live++;
          this.#add(tup, off, 0);
          break;
        case HEAPTUPLE_INSERT_IN_PROGRESS:
          if (ctx.xact.isCurrent(getXmin(mem, tup))) this.live++;
          this.#add(tup, off, 0);
          break;
        case HEAPTUPLE_RECENTLY_DEAD:
          this.#addDead(ctx, tup, off);
          break;
        case HEAPTUPLE_DELETE_IN_PROGRESS: {
          const updater = getUpdateXid(ctx.xact, mem, tup);
          if (updater === MISS) return MISS;
          if (ctx.xact.isCurrent(updater)) this.#addDead(ctx, tup, off);
          else {
            // Whether it goes is not decided.
            this.live++;
            this.#add(tup, off, 0);
          }
        }
      }
    }
    return 0;
  }

  #addDead({ pages }: HeapContext, tup: number, off: number): void {
    if (isHotUpdated(pages.mem, tup)) this.brokenHotChain = true;
    else this.#add(tup, off, 1);
  }

  #add(tup: number, off: number, dead: 0 | 1): void {
    this.tuples[this.count] = tup;
    this.offnums[this.count] = off;
    this.dead[this.count++] = dead;
  }
}
