/**
 * A table's rows in a file of its own, without what nobody can see any more (copy_table_data, rewriteheap.c). The table is
 * locked exclusively. Versions that some snapshot may still see go along, with their ids; a version that was updated leads
 * to the next one's new place. All others are frozen. No HOT chains come out of it: every version gets its index entries.
 *
 * Values stored aside stay where they are: the table of TOAST values is rewritten by itself.
 */
import {
  getCtidBlock,
  getCtidOffset,
  getInfomask,
  getInfomask2,
  getXmin,
  HEAP_HOT_UPDATED,
  HEAP_ONLY_TUPLE,
  HEAP_UPDATED,
  setCtid,
  setInfomask,
  setInfomask2,
  setXmax,
  type TupleMemory,
  tupleMemory,
} from '@pgtroupe/access/common/htup';
import type { HeapContext } from '@pgtroupe/access/heap/heapam-context';
import { type FreezeLimits, FreezePlan, heapPrepareFreezeTuple } from '@pgtroupe/access/heap/heapam-freeze';
import {
  HEAPTUPLE_DEAD,
  HEAPTUPLE_RECENTLY_DEAD,
  heapTupleSatisfiesVacuum,
} from '@pgtroupe/access/heap/heapam-visibility';
import { assert } from '@pgtroupe/common/assert';
import {
  BLCKSZ,
  type BlockNumber,
  MAIN_FORKNUM,
  type TransactionId,
  transactionIdPrecedes,
} from '@pgtroupe/common/ids';
import { MISS, type SmgrRelation } from '@pgtroupe/storage/buffer/pages';
import {
  PAI_IS_HEAP,
  pageAddItem,
  pageGetHeapFreeSpace,
  pageGetItem,
  pageGetItemId,
  pageGetMaxOffsetNumber,
  pageInit,
} from '@pgtroupe/storage/page/bufpage';
import { itemIdGetLength, itemIdIsNormal } from '@pgtroupe/storage/page/itemid';
import type { MultiXactId } from '@pgtroupe/transam/multixact';
import type { BackendSession } from './command-runner.ts';
import { logNewPage, logPage } from './newpage.ts';
import { attempt } from './vacuuminplace.ts';

const SLICE = 32;
const OFFSETS = 65536;
const NO_PLACE = -1;
/** Answer of `#copy`: the page has no room for the row. */
const FULL = 1;

export interface RewriteResult {
  readonly oldBlocks: number;
  readonly blocks: number;
  readonly rows: number;
  readonly removed: number;
  readonly recentlyDead: number;
  readonly relfrozenxid: TransactionId;
  readonly relminmxid: MultiXactId;
}

export interface RewriteOptions {
  readonly from: SmgrRelation;
  readonly to: SmgrRelation;
  readonly fillfactor: number;
  readonly oldestXmin: TransactionId;
  readonly oldestMulti: MultiXactId;
}

export async function rewriteHeap(
  session: BackendSession,
  context: HeapContext,
  options: RewriteOptions,
): Promise<RewriteResult> {
  const rewrite = new HeapRewrite(session, context, options);
  return rewrite.run();
}

class HeapRewrite {
  readonly #session: BackendSession;
  readonly #ctx: HeapContext;
  readonly #options: RewriteOptions;
  /** The page that is being filled. */
  readonly #page: TupleMemory = tupleMemory(new Uint8Array(BLCKSZ));
  #blk = 0;
  readonly #limits: FreezeLimits;
  readonly #plan = new FreezePlan();
  /** New places of versions that came of recent updates, by their old ones. */
  readonly #places = new Map<number, number>();
  /** Updated versions some snapshot may see: their own new place, and the old one of the next version. */
  readonly #updated: { readonly at: number; readonly next: number }[] = [];
  #rows = 0;
  #removed = 0;
  #recentlyDead = 0;

  constructor(session: BackendSession, context: HeapContext, options: RewriteOptions) {
    this.#session = session;
    this.#ctx = context;
    this.#options = options;
    this.#limits = { xid: options.oldestXmin, multi: options.oldestMulti };
    this.#plan.oldestXidLeft = options.oldestXmin;
    this.#plan.oldestMultiLeft = options.oldestMulti;
    pageInit(this.#page, 0, 0);
  }

  async run(): Promise<RewriteResult> {
    const { pages } = this.#ctx;
    const oldBlocks = await attempt(this.#session, () => pages.nblocks(this.#options.from, MAIN_FORKNUM));
    for (let blk = 0; blk < oldBlocks; blk++) {
      if (blk % SLICE === SLICE - 1) await this.#session.breathe();
      for (let off = 1; off !== 0; ) off = await this.#copyFrom(blk, off);
    }
    if (pageGetMaxOffsetNumber(this.#page, 0) > 0) await this.#flush();
    for (const [n, each] of this.#updated.entries()) {
      if (n % SLICE === SLICE - 1) await this.#session.breathe();
      await this.#link(each.at, each.next);
    }
    return {
      oldBlocks,
      blocks: this.#blk,
      rows: this.#rows,
      removed: this.#removed,
      recentlyDead: this.#recentlyDead,
      relfrozenxid: this.#plan.oldestXidLeft,
      relminmxid: this.#plan.oldestMultiLeft,
    };
  }

  /** Copies the page's rows from line pointer `from` on until the new page is full. Where to go on; 0: it is through. */
  async #copyFrom(blk: number, from: number): Promise<number> {
    const { pages } = this.#ctx;
    const { mem } = pages;
    let off = from;
    let full = false;
    await attempt(this.#session, () => {
      const page = pages.share(this.#options.from, MAIN_FORKNUM, blk as BlockNumber);
      if (page === MISS) return MISS;
      const max = pageGetMaxOffsetNumber(mem, page);
      for (; off <= max; off++) {
        const id = pageGetItemId(mem, page, off);
        if (!itemIdIsNormal(id)) continue;
        const copied = this.#copy(mem, pageGetItem(mem, page, off), itemIdGetLength(id), blk * OFFSETS + off);
        if (copied === MISS) return MISS;
        if (copied === FULL) {
          full = true;
          return 0;
        }
      }
      off = 0;
      return 0;
    });
    if (full) await this.#flush();
    return off;
  }

  /** 0, FULL or MISS. */
  #copy(mem: TupleMemory, tup: number, length: number, place: number): number {
    const { xact } = this.#ctx;
    const { oldestXmin, fillfactor } = this.#options;
    const state = heapTupleSatisfiesVacuum(xact, oldestXmin, mem, tup);
    if (state === MISS) return MISS;
    if (state === HEAPTUPLE_DEAD) {
      this.#removed++;
      return 0;
    }
    const target = this.#page;
    const reserve = pageGetMaxOffsetNumber(target, 0) === 0 ? 0 : Math.floor((BLCKSZ * (100 - fillfactor)) / 100);
    if (pageGetHeapFreeSpace(target, 0) < length + reserve) return FULL;
    const kept = state === HEAPTUPLE_RECENTLY_DEAD;
    this.#plan.count = 0;
    if (heapPrepareFreezeTuple(this.#plan, xact, mem, tup, 1, this.#limits) === MISS) return MISS;

    const off = pageAddItem(target, 0, mem.u8, tup, length, 0, PAI_IS_HEAP);
    assert(off !== 0, 'a tuple that fits is added');
    const copy = pageGetItem(target, 0, off);
    const next = getCtidBlock(mem, tup) * OFFSETS + getCtidOffset(mem, tup);
    const isNew = (getInfomask(mem, tup) & HEAP_UPDATED) !== 0 && !transactionIdPrecedes(getXmin(mem, tup), oldestXmin);
    if (isNew) this.#places.set(place, this.#blk * OFFSETS + off);
    if (kept) {
      this.#recentlyDead++;
      if (next !== place) this.#updated.push({ at: this.#blk * OFFSETS + off, next });
    } else this.#rows++;
    if (this.#plan.count > 0) {
      setXmax(target, copy, this.#plan.xmax[0] as TransactionId);
      setInfomask(target, copy, this.#plan.infomask[0]!);
      setInfomask2(target, copy, this.#plan.infomask2[0]!);
    }
    setInfomask2(target, copy, getInfomask2(target, copy) & ~(HEAP_HOT_UPDATED | HEAP_ONLY_TUPLE));
    setCtid(target, copy, this.#blk, off);
    return 0;
  }

  async #flush(): Promise<void> {
    const { kernel } = this.#session.instance;
    await attempt(this.#session, () => logNewPage(kernel, this.#options.to, this.#blk, this.#page.u8));
    this.#blk++;
    pageInit(this.#page, 0, 0);
  }

  /** The version at its new place leads to where the next one is now, if that is there. */
  async #link(at: number, next: number): Promise<void> {
    const place = this.#places.get(next) ?? NO_PLACE;
    if (place === NO_PLACE) return;
    const { kernel } = this.#session.instance;
    const { mem } = kernel.pages;
    await attempt(this.#session, () => {
      const blk = Math.floor(at / OFFSETS) as BlockNumber;
      const page = kernel.pages.exclusive(this.#options.to, MAIN_FORKNUM, blk);
      if (page === MISS) return MISS;
      setCtid(mem, pageGetItem(mem, page, at % OFFSETS), Math.floor(place / OFFSETS), place % OFFSETS);
      logPage(kernel, page);
      return 0;
    });
  }
}
