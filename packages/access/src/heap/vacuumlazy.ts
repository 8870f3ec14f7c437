/**
 * VACUUM of one heap (vacuumlazy.c), as a step machine: each `step` finishes at most one page, so
 * that the session driver can await what is lacking, look for a cancel and make room for others.
 *
 *   scan     page by page: prune, collect dead line pointers, freeze, set visibility map bits
 *   indexes  remove the entries of the collected rows from each index
 *   reap     second visit of pages with dead line pointers: they become free
 *
 * When the list of dead rows is full, indexes and reap run in the middle and the scan goes on.
 * A table without indexes needs no second visit.
 *
 * Preconditions: ShareUpdateExclusiveLock on the relation; called from the driver's level, when no
 * operator of this session holds tuples (pruning moves them).
 */
import {
  BLCKSZ,
  type BlockNumber,
  MAIN_FORKNUM,
  type TransactionId,
  transactionIdPrecedes,
} from '@pgtroupe/common/ids';
import { MISS } from '@pgtroupe/storage/buffer/pages';
import {
  MAX_HEAP_TUPLES_PER_PAGE,
  pageGetHeapFreeSpace,
  pageGetItem,
  pageGetItemId,
  pageGetMaxOffsetNumber,
  pageIsNew,
  pageSetItemId,
  SIZE_OF_PAGE_HEADER,
} from '@pgtroupe/storage/page/bufpage';
import { pageTruncateLinePointerArray } from '@pgtroupe/storage/page/bufpage-compact';
import { itemIdIsDead, itemIdIsNormal, itemIdIsUsed } from '@pgtroupe/storage/page/itemid';
import type { MultiXactId } from '@pgtroupe/transam/multixact';
import { RM_HEAP2_ID } from '@pgtroupe/transam/rmgr';
import { REGBUF_STANDARD } from '@pgtroupe/transam/xloginsert';
import { getXmin, HEAP_XMIN_COMMITTED, getInfomask, type TupleMemory } from '../common/htup.ts';
import { type IndexVacuumScan, type VacuumableIndex, VACUUM_DONE, VACUUM_MORE } from '../common/indexvacuum.ts';
import { DeadTidList } from './dead-tids.ts';
import type { HeapContext, HeapRelation } from './heapam-context.ts';
import {
  type FreezeLimits,
  FreezePlan,
  heapFreezeExecute,
  heapPrepareFreezeTuple,
  heapTupleIsFrozen,
} from './heapam-freeze.ts';
import {
  HEAPTUPLE_DEAD,
  HEAPTUPLE_DELETE_IN_PROGRESS,
  HEAPTUPLE_INSERT_IN_PROGRESS,
  HEAPTUPLE_LIVE,
  HEAPTUPLE_RECENTLY_DEAD,
  heapTupleSatisfiesVacuum,
} from './heapam-visibility.ts';
import { put16, SIZE_OF_HEAP_VACUUM, XLOG_HEAP2_VACUUM, xlogScratch } from './heapam-xlog.ts';
import { heapPagePrune } from './pruneheap.ts';
import { visibilitymapGetStatus, VISIBILITYMAP_ALL_FROZEN, VISIBILITYMAP_ALL_VISIBLE } from './visibilitymap.ts';
import { mapPageToSet, setAllVisible } from './visibilitymap-set.ts';

/** Fewer skippable pages in a row than this are visited all the same: skipping them would not be worth the break. */
const SKIP_PAGES_THRESHOLD = 32;
/** Indexes are left alone when fewer pages than this part of the table have dead rows, and those are few enough
 *  (lazy_vacuum); the next VACUUM finds them again. */
const BYPASS_THRESHOLD_PAGES = 0.02;
const BYPASS_DEAD_TIDS = (32 * 1024 * 1024) / 6;
/** Whether the table is dangerously old is looked at once for so many pages. */
const FAILSAFE_EVERY_PAGES = (4 * 1024 * 1024 * 1024) / BLCKSZ;

export interface VacuumOptions {
  /** Horizon: what was deleted before it is dead to everyone. */
  readonly oldestXmin: TransactionId;
  /** No multixact before this one has running members. */
  readonly oldestMulti: MultiXactId;
  /** Freeze what is older than these (the horizons less vacuum_freeze_min_age and
   *  vacuum_multixact_freeze_min_age; VACUUM FREEZE: the horizons). */
  readonly freezeLimits: FreezeLimits;
  /** Visit all-visible pages too, so that relfrozenxid can advance. */
  readonly aggressive: boolean;
  /** Visit every page, whatever the visibility map says (DISABLE_PAGE_SKIPPING). */
  readonly everyPage?: boolean;
  /** INDEX_CLEANUP */
  readonly indexCleanup: IndexCleanup;
  /** Is the table so old by now that nothing counts but freezing it (vacuum_xid_failsafe_check)? */
  readonly failsafe?: () => boolean;
  /** How many dead rows are remembered at a time (maintenance_work_mem). */
  readonly maxDeadTids: number;
}

export type IndexCleanup = 'auto' | 'on' | 'off';

/** What became of the dead rows' index entries: removed, left for another time, left for lack of time. */
export type IndexesVacuumed = 'yes' | 'bypassed' | 'failsafe';

export interface VacuumResult {
  relPages: number;
  /** Cut off at the end (by whoever does that afterwards). */
  removedPages: number;
  scannedPages: number;
  /** Rows removed, rows left, rows dead but still wanted by somebody. */
  tuplesDeleted: number;
  liveTuples: number;
  recentlyDeadTuples: number;
  /** relfrozenxid may become this; 0 when pages were skipped and it must stay. */
  newRelFrozenXid: TransactionId;
  /** The same of relminmxid. */
  newRelMinMxid: MultiXactId;
  /** Blocks from here on hold no rows: the file could end here. */
  nonEmptyPages: number;
  indexScans: number;
  /** Dead line pointers that were met, and on how many pages. */
  deadItems: number;
  deadItemPages: number;
  indexes: IndexesVacuumed;
}

type Phase =
  | { readonly kind: 'scan' }
  | { readonly kind: 'indexes'; index: number; scan: IndexVacuumScan | undefined }
  | { readonly kind: 'reap'; next: number }
  | { readonly kind: 'cleanup'; index: number; scan: IndexVacuumScan | undefined }
  | { readonly kind: 'done' };

/** PROGRESS_VACUUM_PHASE_* */
const PHASES: Readonly<Record<Phase['kind'], number>> = { scan: 1, indexes: 2, reap: 3, cleanup: 4, done: 6 };

export class LazyVacuum {
  readonly #ctx: HeapContext;
  readonly #rel: HeapRelation;
  readonly #indexes: readonly VacuumableIndex[];
  readonly #options: VacuumOptions;
  readonly #dead = new DeadTidList();
  readonly #plan = new FreezePlan();
  readonly result: VacuumResult = {
    relPages: 0,
    removedPages: 0,
    scannedPages: 0,
    tuplesDeleted: 0,
    liveTuples: 0,
    recentlyDeadTuples: 0,
    newRelFrozenXid: 0 as TransactionId,
    newRelMinMxid: 0,
    nonEmptyPages: 0,
    indexScans: 0,
    deadItems: 0,
    deadItemPages: 0,
    indexes: 'yes',
  };
  #phase: Phase = { kind: 'scan' };
  #blk = 0;
  #blocks = -1;
  #skippedAllVisible = false;
  /** Blocks before this one were visited twice. */
  #reaped = 0;
  /** The next page that must be visited; those before it, from #blk on, are skipped if they are many. */
  #unskippable = -1;

  constructor(ctx: HeapContext, rel: HeapRelation, indexes: readonly VacuumableIndex[], options: VacuumOptions) {
    this.#ctx = ctx;
    this.#rel = rel;
    this.#indexes = indexes;
    this.#options = options;
    this.#plan.oldestXidLeft = options.oldestXmin;
    this.#plan.oldestMultiLeft = options.oldestMulti;
    if (options.indexCleanup === 'off') this.result.indexes = 'bypassed';
  }

  /** PROGRESS_VACUUM_*: phase, blocks there are, scanned and vacuumed, passes over the indexes, dead rows that there is room
   *  for and that are remembered. */
  get progress(): readonly number[] {
    const { kind } = this.#phase;
    const blocks = Math.max(0, this.#blocks);
    const most = Math.min(this.#options.maxDeadTids, blocks * MAX_HEAP_TUPLES_PER_PAGE);
    const room = this.#indexes.length === 0 ? MAX_HEAP_TUPLES_PER_PAGE : Math.max(MAX_HEAP_TUPLES_PER_PAGE, most);
    const vacuumed = kind === 'cleanup' || kind === 'done' ? blocks : this.#reaped;
    return [PHASES[kind], blocks, this.#blk, vacuumed, this.result.indexScans, room, this.#dead.count];
  }

  /** MISS, VACUUM_MORE or VACUUM_DONE. */
  step(): number {
    switch (this.#phase.kind) {
      case 'scan':
        return this.#scanStep();
      case 'indexes':
        return this.#indexStep(this.#phase);
      case 'reap':
        return this.#reapStep(this.#phase);
      case 'cleanup':
        return this.#cleanupStep(this.#phase);
      case 'done':
        return VACUUM_DONE;
    }
  }

  #scanStep(): number {
    const { pages } = this.#ctx;
    if (this.#blocks < 0) {
      const blocks = pages.nblocks(this.#rel.smgr, MAIN_FORKNUM);
      if (blocks === MISS) return MISS;
      this.#blocks = blocks;
      this.#checkFailsafe();
    }
    if (this.#options.maxDeadTids - this.#dead.count < MAX_HEAP_TUPLES_PER_PAGE && this.#dead.count > 0)
      return this.#enterIndexes(false);
    if (this.#blk >= this.#blocks) return this.#dead.count > 0 ? this.#enterIndexes(true) : this.#enterCleanup();
    if (this.#blk > 0 && this.#blk % FAILSAFE_EVERY_PAGES === 0) this.#checkFailsafe();
    if (this.#blk > this.#unskippable && this.#skip(this.#blk) === MISS) return MISS;
    if (this.#scanPage(this.#blk) === MISS) return MISS;
    this.#blk++;
    return VACUUM_MORE;
  }

  /** Looks for the next page that must be visited, from block `from` on, and goes there if that is worth it
   *  (lazy_scan_skip). The last page is always visited: it tells whether there is something to cut off. */
  #skip(from: number): number {
    const { pages } = this.#ctx;
    const { aggressive, everyPage } = this.#options;
    let passesVisible = false;
    let blk = from;
    for (; blk < this.#blocks - 1 && everyPage !== true; blk++) {
      const bits = visibilitymapGetStatus(pages, this.#rel.smgr, blk);
      if (bits === MISS) return MISS;
      if ((bits & VISIBILITYMAP_ALL_VISIBLE) === 0) break;
      if ((bits & VISIBILITYMAP_ALL_FROZEN) !== 0) continue;
      if (aggressive) break;
      passesVisible = true;
    }
    this.#unskippable = blk;
    if (blk - from < SKIP_PAGES_THRESHOLD) return 0;
    this.#blk = blk;
    if (passesVisible) this.#skippedAllVisible = true;
    return 0;
  }

  /** lazy_vacuum. `last`: all dead rows of the table are known. */
  #enterIndexes(last: boolean): number {
    const { result } = this;
    if (last && result.indexScans === 0 && this.#options.indexCleanup === 'auto' && result.indexes === 'yes') {
      const few = result.deadItemPages < this.#blocks * BYPASS_THRESHOLD_PAGES && result.deadItems < BYPASS_DEAD_TIDS;
      if (few) result.indexes = 'bypassed';
    }
    this.#checkFailsafe();
    if (result.indexes !== 'yes') {
      this.#dead.clear();
      return VACUUM_MORE;
    }
    this.#phase = { kind: 'indexes', index: 0, scan: undefined };
    return VACUUM_MORE;
  }

  /** lazy_check_wraparound_failsafe */
  #checkFailsafe(): void {
    if (this.result.indexes !== 'failsafe' && this.#options.failsafe?.() === true) this.result.indexes = 'failsafe';
  }

  #finish(): number {
    const { result } = this;
    result.relPages = this.#blocks;
    // The free space map has news for whoever inserts here.
    this.#rel.extend = 0;
    this.#rel.extendRun = 0;
    if (!this.#skippedAllVisible) {
      result.newRelFrozenXid = this.#plan.oldestXidLeft;
      result.newRelMinMxid = this.#plan.oldestMultiLeft;
    }
    this.#phase = { kind: 'done' };
    return VACUUM_DONE;
  }

  // ---- first visit -------------------------------------------------------------------------------

  #scanPage(blk: number): number {
    const { pages } = this.#ctx;
    const { mem } = pages;
    const { result } = this;
    const { smgr } = this.#rel;
    // Everything the page may need comes first: nothing below can miss but outcomes of transactions,
    // and those before the first change.
    const page = pages.exclusive(smgr, MAIN_FORKNUM, blk as BlockNumber);
    if (page === MISS) return MISS;
    if (pageIsNew(mem, page)) {
      pages.recordFreeSpace(smgr, blk as BlockNumber, BLCKSZ - SIZE_OF_PAGE_HEADER - 4);
      result.scannedPages++;
      return 0;
    }
    const map = mapPageToSet(this.#ctx, this.#rel, blk);
    if (map === MISS) return MISS;
    const removed = heapPagePrune(this.#ctx, page, this.#options.oldestXmin);
    if (removed === MISS) return MISS;
    result.tuplesDeleted += removed;
    return this.#judgePage(blk, page, map);
  }

  /** After pruning: counts, freezes, collects what is dead, marks the page all-visible. MISS: a multixact must
   *  be replaced; what was pruned stays so. */
  #judgePage(blk: number, page: number, map: number): number {
    const { mem } = this.#ctx.pages;
    const { result } = this;
    const { oldestXmin, freezeLimits } = this.#options;
    const { xact } = this.#ctx;
    const plan = this.#plan;
    plan.count = 0;
    const state = judgeTuples(this.#ctx, page, oldestXmin, (tup, offnum) =>
      heapPrepareFreezeTuple(plan, xact, mem, tup, offnum, freezeLimits),
    );
    if (state === MISS) return MISS;
    result.scannedPages++;
    result.liveTuples += state.live;
    result.recentlyDeadTuples += state.recentlyDead;
    if (state.used > 0) result.nonEmptyPages = blk + 1;
    if (plan.count > 0) heapFreezeExecute(this.#ctx, page, plan, freezeLimits.xid);
    if (state.dead > 0) {
      result.deadItems += state.dead;
      result.deadItemPages++;
      if (this.#indexes.length > 0 && result.indexes !== 'yes') {
        this.#ctx.pages.recordFreeSpace(this.#rel.smgr, blk as BlockNumber, pageGetHeapFreeSpace(mem, page));
        return 0;
      }
      for (let off = 1; off <= pageGetMaxOffsetNumber(mem, page); off++) {
        if (itemIdIsDead(pageGetItemId(mem, page, off))) this.#dead.add(blk, off);
      }
      if (this.#indexes.length > 0) return 0;
      this.#reapPage(blk, page, map, this.#dead.count - state.dead);
      this.#dead.clear();
      return 0;
    }
    this.#afterVisit(blk, page, map, state);
    return 0;
  }

  #afterVisit(blk: number, page: number, map: number, state: PageState): void {
    const { pages } = this.#ctx;
    if (state.allVisible) setAllVisible(this.#ctx, blk, page, map, state.allFrozen, state.cutoff);
    pages.recordFreeSpace(this.#rel.smgr, blk as BlockNumber, pageGetHeapFreeSpace(pages.mem, page));
  }

  // ---- indexes ---------------------------------------------------------------------------------------

  #indexStep(phase: Extract<Phase, { kind: 'indexes' }>): number {
    const index = this.#indexes[phase.index];
    if (index === undefined) {
      this.result.indexScans++;
      this.#phase = { kind: 'reap', next: 0 };
      return VACUUM_MORE;
    }
    phase.scan ??= index.bulkDelete(this.#dead);
    const answer = phase.scan.step();
    if (answer === VACUUM_DONE) {
      phase.index++;
      phase.scan = undefined;
      return VACUUM_MORE;
    }
    return answer;
  }

  #enterCleanup(): number {
    const { indexCleanup } = this.#options;
    const none = indexCleanup === 'off' || this.result.indexes === 'failsafe';
    this.#phase = { kind: 'cleanup', index: none ? this.#indexes.length : 0, scan: undefined };
    return VACUUM_MORE;
  }

  #cleanupStep(phase: Extract<Phase, { kind: 'cleanup' }>): number {
    const index = this.#indexes[phase.index];
    if (index === undefined) return this.#finish();
    phase.scan ??= index.cleanup();
    const answer = phase.scan.step();
    if (answer !== VACUUM_DONE) return answer;
    phase.index++;
    phase.scan = undefined;
    return VACUUM_MORE;
  }

  // ---- second visit ------------------------------------------------------------------------------------

  #reapStep(phase: Extract<Phase, { kind: 'reap' }>): number {
    if (phase.next === this.#dead.count) {
      this.#dead.clear();
      this.#phase = { kind: 'scan' };
      return VACUUM_MORE;
    }
    const blk = this.#dead.blockAt(phase.next);
    const page = this.#ctx.pages.exclusive(this.#rel.smgr, MAIN_FORKNUM, blk as BlockNumber);
    if (page === MISS) return MISS;
    const map = mapPageToSet(this.#ctx, this.#rel, blk);
    if (map === MISS) return MISS;
    phase.next = this.#reapPage(blk, page, map, phase.next);
    this.#reaped = blk + 1;
    return VACUUM_MORE;
  }

  /** Frees the dead line pointers of a page, entries `from`… of the list; returns the entry after. */
  #reapPage(blk: number, page: number, map: number, from: number): number {
    const { mem } = this.#ctx.pages;
    const { wal } = this.#ctx;
    let i = from;
    let bytes = 0;
    for (; i < this.#dead.count && this.#dead.blockAt(i) === blk; i++) {
      const offnum = this.#dead.offnumAt(i);
      pageSetItemId(mem, page, offnum, 0);
      reaped[bytes++] = offnum;
      reaped[bytes++] = offnum >>> 8;
    }
    pageTruncateLinePointerArray(mem, page);
    put16(0, bytes / 2);
    wal.begin();
    wal.data(xlogScratch, 0, SIZE_OF_HEAP_VACUUM);
    wal.registerBuffer(0, page, REGBUF_STANDARD);
    wal.bufData(0, reaped, 0, bytes);
    wal.insert(RM_HEAP2_ID, XLOG_HEAP2_VACUUM);
    // An unknown outcome only means that the page is not marked all-visible this time.
    const state = judgeTuples(this.#ctx, page, this.#options.oldestXmin, tup => (heapTupleIsFrozen(mem, tup) ? 1 : 0));
    if (state !== MISS) this.#afterVisit(blk, page, map, state);
    return i;
  }
}

const reaped = new Uint8Array(2 * 2048);

/** What the line pointers of a page came to. */
interface PageState {
  live: number;
  recentlyDead: number;
  /** Dead line pointers. */
  dead: number;
  /** Line pointers that keep the page from being cut off. */
  used: number;
  allVisible: boolean;
  allFrozen: boolean;
  /** Newest xmin: snapshots older than it do not see the page as all-visible (hot standbys). */
  cutoff: TransactionId;
}

function judgeTuples(
  ctx: HeapContext,
  page: number,
  oldestXmin: TransactionId,
  freeze: (tup: number, offnum: number) => number,
): PageState | -1 {
  const { mem } = ctx.pages;
  const state: PageState = {
    live: 0,
    recentlyDead: 0,
    dead: 0,
    used: 0,
    allVisible: true,
    allFrozen: true,
    cutoff: 0 as TransactionId,
  };
  for (let off = 1; off <= pageGetMaxOffsetNumber(mem, page); off++) {
    const id = pageGetItemId(mem, page, off);
    if (!itemIdIsUsed(id)) continue;
    if (itemIdIsDead(id)) {
      state.dead++;
      state.allVisible = false;
      continue;
    }
    state.used++;
    if (!itemIdIsNormal(id)) continue;
    const tup = pageGetItem(mem, page, off);
    countTuple(state, heapTupleSatisfiesVacuum(ctx.xact, oldestXmin, mem, tup), mem, tup, oldestXmin);
    const frozen = freeze(tup, off);
    if (frozen === MISS) return MISS;
    if (frozen === 0) state.allFrozen = false;
  }
  if (!state.allVisible) state.allFrozen = false;
  return state;
}

function countTuple(state: PageState, verdict: number, mem: TupleMemory, tup: number, oldestXmin: TransactionId): void {
  switch (verdict) {
    case HEAPTUPLE_LIVE: {
      state.live++;
      const xmin = getXmin(mem, tup);
      if ((getInfomask(mem, tup) & HEAP_XMIN_COMMITTED) === 0 || !transactionIdPrecedes(xmin, oldestXmin))
        state.allVisible = false;
      else if (transactionIdPrecedes(state.cutoff, xmin)) state.cutoff = xmin;
      return;
    }
    case HEAPTUPLE_RECENTLY_DEAD:
      state.recentlyDead++;
      break;
    case HEAPTUPLE_DELETE_IN_PROGRESS:
      state.live++;
      break;
    case HEAPTUPLE_DEAD:
    case HEAPTUPLE_INSERT_IN_PROGRESS:
    case MISS:
      break;
  }
  state.allVisible = false;
}
