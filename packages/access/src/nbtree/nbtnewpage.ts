/**
 * Pages for splits (_bt_getbuf with P_NEW): deleted ones that the free space map names and that nobody can be on his way
 * to any more, else new ones at the end. The map may be wrong, and two may have heard the same of it: a page is looked at
 * when it is held exclusively, and once more by nobody.
 *
 * Asking the map costs a round trip, so that a run of new pages is taken after it knew none.
 */
import { BLCKSZ, type BlockNumber, type FullTransactionId, MAIN_FORKNUM } from '@pgtroupe/common/ids';
import { MISS, NO_BLOCK, type PageAccess } from '@pgtroupe/storage/buffer/pages';
import { pageGetSpecial } from '@pgtroupe/storage/page/bufpage';
import { RM_BTREE_ID } from '@pgtroupe/transam/rmgr';
import type { XLogInserter } from '@pgtroupe/transam/xloginsert';
import type { BTIndex } from './btindex.ts';
import { BT_SPECIAL } from './nbtree.ts';
import { deletedSafexid, isRecyclable } from './nbtdeletedpage.ts';
import { dataReusePage, XLOG_BTREE_REUSE_PAGE } from './nbtxlog.ts';

const EXTEND_RUN_FIRST = 16;
const EXTEND_RUN_MAX = 256;

/** The next page of a plan that has taken so many already: its block, held exclusively; MISS. Nothing is changed yet, and
 *  a plan that is made again gets the same pages. */
export class NewPages {
  #recycled = 0;
  #fresh = 0;

  begin(): void {
    this.#recycled = 0;
    this.#fresh = 0;
  }

  next(index: BTIndex, pages: PageAccess, oldestXmin: FullTransactionId): number {
    const { rel, freeBlocks } = index;
    for (;;) {
      const known = freeBlocks[this.#recycled];
      if (known !== undefined) {
        const page = pages.exclusive(rel, MAIN_FORKNUM, known as BlockNumber);
        if (page === MISS) return MISS;
        if (pageGetSpecial(pages.mem, page) === BT_SPECIAL && isRecyclable(pages.mem, page, oldestXmin)) {
          this.#recycled++;
          return known;
        }
        freeBlocks.splice(this.#recycled, 1);
        continue;
      }
      if (index.extend > 0) break;
      const asked = pages.freePage(rel, BLCKSZ / 2);
      if (asked === MISS) return MISS;
      // The map may be older than the file.
      const blocks = asked === NO_BLOCK ? 0 : pages.nblocks(rel, MAIN_FORKNUM);
      if (blocks === MISS) return MISS;
      if (asked >= blocks || asked === NO_BLOCK || freeBlocks.includes(asked)) {
        index.extendRun = Math.min(Math.max(4 * index.extendRun, EXTEND_RUN_FIRST), EXTEND_RUN_MAX);
        index.extend = index.extendRun;
        break;
      }
      // RecordUsedIndexPage: nobody else is to be told of it.
      pages.recordFreeSpace(rel, asked as BlockNumber, 0);
      index.extendRun = 0;
      freeBlocks.push(asked);
    }
    const blk = pages.newBlock(rel, MAIN_FORKNUM, this.#fresh);
    if (blk !== MISS) this.#fresh++;
    return blk;
  }
}

/** The plan's page is about to be initialised: part of the change stretch. */
export function useNewPage(index: BTIndex, pages: PageAccess, wal: XLogInserter, blk: number, page: number): void {
  const { rel, freeBlocks } = index;
  const at = freeBlocks.indexOf(blk);
  if (at < 0) {
    if (index.extend > 0) index.extend--;
    pages.useNewBlock(rel, MAIN_FORKNUM, blk as BlockNumber);
    return;
  }
  freeBlocks.splice(at, 1);
  // For standbys: queries there may be on their way to it.
  wal.begin();
  dataReusePage(wal, rel.rnode, blk, deletedSafexid(pages.mem, page));
  wal.insert(RM_BTREE_ID, XLOG_BTREE_REUSE_PAGE);
}
