/**
 * VACUUM's scan of an index (btbulkdelete): every leaf page in block order, removing the entries of
 * rows that are gone.
 *
 * Splits put the right half into a block at the index's end, never into a lower one, so entries that
 * move while the scan is under way are met later; the length is asked for again at the end. Empty
 * pages stay in the tree (page deletion is not there yet): they are found by searches and filled again
 * when keys of their range come.
 */
import { type BlockNumber, MAIN_FORKNUM } from '@pgtroupe/common/ids';
import { MISS, type PageAccess } from '@pgtroupe/storage/buffer/pages';
import { pageGetItem, pageGetMaxOffsetNumber, pageIsNew } from '@pgtroupe/storage/page/bufpage';
import type { XLogInserter } from '@pgtroupe/transam/xloginsert';
import { itemPointerGetBlock, itemPointerGetOffset } from '../common/indextuple.ts';
import {
  type DeadTids,
  type IndexVacuumScan,
  VACUUM_DONE,
  VACUUM_MORE,
  type VacuumableIndex,
} from '../common/indexvacuum.ts';
import { btCheckPage, type BTIndex, btExclusive } from './btindex.ts';
import { btDelitemsVacuum, LeafDeletion } from './nbtpage.ts';
import {
  BTREE_METAPAGE,
  firstDataKey,
  getNPosting,
  getPostingOffset,
  isIgnored,
  isLeaf,
  isPosting,
  SIZEOF_ITEM_POINTER,
} from './nbtree.ts';

/** The index as vacuum asks for it. */
export function vacuumableBTree(index: BTIndex, pages: PageAccess, wal: XLogInserter): VacuumableIndex {
  return { bulkDelete: dead => new BTBulkDelete(index, pages, wal, dead) };
}

class BTBulkDelete implements IndexVacuumScan {
  readonly #index: BTIndex;
  readonly #pages: PageAccess;
  readonly #wal: XLogInserter;
  readonly #dead: DeadTids;
  readonly #deletion = new LeafDeletion();
  #blk = BTREE_METAPAGE + 1;
  #blocks = 0;
  // Of the page under inspection.
  #pageRemoved = 0;
  #pageLeft = 0;
  tuplesRemoved = 0;
  tuplesLeft = 0;

  constructor(index: BTIndex, pages: PageAccess, wal: XLogInserter, dead: DeadTids) {
    this.#index = index;
    this.#pages = pages;
    this.#wal = wal;
    this.#dead = dead;
  }

  step(): number {
    if (this.#blk >= this.#blocks) {
      const blocks = this.#pages.nblocks(this.#index.rel, MAIN_FORKNUM);
      if (blocks === MISS) return MISS;
      this.#blocks = blocks;
      if (this.#blk >= blocks) return VACUUM_DONE;
    }
    const page = this.#pages.share(this.#index.rel, MAIN_FORKNUM, this.#blk as BlockNumber);
    if (page === MISS) return MISS;
    if (this.#inspect(page) && this.#remove() === MISS) return MISS;
    this.tuplesRemoved += this.#pageRemoved;
    this.tuplesLeft += this.#pageLeft;
    this.#blk++;
    return VACUUM_MORE;
  }

  #remove(): number {
    const page = btExclusive(this.#index, this.#pages, this.#blk);
    if (page !== MISS) btDelitemsVacuum(this.#pages, this.#wal, page, this.#deletion);
    return page;
  }

  /** Fills #deletion and the page's counts. Is there anything to remove? */
  #inspect(page: number): boolean {
    const { mem } = this.#pages;
    const deletion = this.#deletion;
    deletion.clear();
    this.#pageRemoved = 0;
    this.#pageLeft = 0;
    if (pageIsNew(mem, page)) return false;
    btCheckPage(this.#index, this.#pages, page, this.#blk);
    if (!isLeaf(mem, page) || isIgnored(mem, page)) return false;
    const max = pageGetMaxOffsetNumber(mem, page);
    for (let off = firstDataKey(mem, page); off <= max; off++) {
      const tup = pageGetItem(mem, page, off);
      if (isPosting(mem, tup)) {
        this.#inspectPosting(tup, off);
      } else if (this.#isDead(tup)) {
        deletion.deleted.push(off);
        this.#pageRemoved++;
      } else {
        this.#pageLeft++;
      }
    }
    return !deletion.isEmpty;
  }

  #isDead(tid: number): boolean {
    const { mem } = this.#pages;
    return this.#dead.has(itemPointerGetBlock(mem, tid), itemPointerGetOffset(mem, tid));
  }

  #inspectPosting(tup: number, off: number): void {
    const { mem } = this.#pages;
    const count = getNPosting(mem, tup);
    const list = tup + getPostingOffset(mem, tup);
    const gone: number[] = [];
    for (let i = 0; i < count; i++) if (this.#isDead(list + i * SIZEOF_ITEM_POINTER)) gone.push(i);
    this.#pageRemoved += gone.length;
    this.#pageLeft += count - gone.length;
    if (gone.length === count) {
      this.#deletion.deleted.push(off);
    } else if (gone.length > 0) {
      this.#deletion.updated.push(off);
      this.#deletion.places.push(gone);
    }
  }
}
