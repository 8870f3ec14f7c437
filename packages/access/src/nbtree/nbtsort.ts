/**
 * Building an index bottom-up from tuples that arrive in order.
 *
 * Each level has one page under construction, whose last item waits to become either an ordinary item
 * or, when the page is full, the first of the next page and (truncated) this page's high key. Block
 * numbers are given when pages are begun, so a finished page may come before one with a lower number;
 * the metapage comes last. The pages are those PostgreSQL's CREATE INDEX would write.
 */
import { assert } from '@pgtroupe/common/assert';
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { BLCKSZ, maxAlign } from '@pgtroupe/common/ids';
import {
  pageAddItem,
  pageGetFreeSpace,
  pageGetItem,
  pageGetItemId,
  pageGetLower,
  pageGetMaxOffsetNumber,
  pageSetItemId,
  pageSetLower,
} from '@pgtroupe/storage/page/bufpage';
import { pageIndexTupleOverwrite } from '@pgtroupe/storage/page/bufpage-compact';
import { itemIdGetLength, SIZEOF_ITEM_ID } from '@pgtroupe/storage/page/itemid';
import { type TupleMemory, tupleMemory } from '../common/htup.ts';
import {
  indexCompressValues,
  indexFormInt4Tuple,
  indexFormTuple,
  indexTupleSize,
  itemPointerGetBlock,
  itemPointerGetOffset,
  SIZEOF_INDEX_TUPLE,
} from '../common/indextuple.ts';
import type { BTIndex } from './btindex.ts';
import { BTDedupState } from './nbtdedup.ts';
import {
  BT_MAX_ITEM_SIZE,
  BTP_LEAF,
  BTP_ROOT,
  BTREE_NONLEAF_FILLFACTOR,
  BTREE_VERSION,
  btInitMetaPage,
  btPageInit,
  btpoFlags,
  btpoSetFlags,
  btpoSetLevel,
  btpoSetNext,
  btpoSetPrev,
  emptyMeta,
  formMinusInfinity,
  getDownLink,
  P_FIRSTKEY,
  P_HIKEY,
  P_NONE,
  setDownLink,
  SIZEOF_ITEM_POINTER,
} from './nbtree.ts';
import { btTruncate, compareTupleKeys } from './nbtutils.ts';

/** Receives finished pages; `page` is valid during the call only. */
export type WritePage = (page: Uint8Array, blkno: number) => void;

/** The page under construction on one level. */
class Level {
  readonly level: number;
  /** Free bytes that a page keeps. */
  readonly full: number;
  blkno: number;
  lastOff = P_HIKEY;
  /** Bytes of the last item's posting list, which truncation will take away. */
  lastExtra = 0;
  hasLowKey = false;
  /** The page at offset 0, the next one at BLCKSZ while they change places, and the low key behind. */
  readonly mem: TupleMemory = tupleMemory(new Uint8Array(4 * BLCKSZ));

  constructor(level: number, full: number, blkno: number) {
    this.level = level;
    this.full = full;
    this.blkno = blkno;
    this.begin(0);
  }

  /** An empty page with room for the high key's line pointer. */
  begin(at: number): void {
    btPageInit(this.mem, at);
    btpoSetLevel(this.mem, at, this.level);
    btpoSetFlags(this.mem, at, this.level === 0 ? BTP_LEAF : 0);
    pageSetLower(this.mem, at, pageGetLower(this.mem, at) + SIZEOF_ITEM_ID);
    pageSetItemId(this.mem, at, P_HIKEY, 0);
  }
}

const NEXT_PAGE = BLCKSZ;
const LOW_KEY = 2 * BLCKSZ;
const TRUNCATED = 3 * BLCKSZ;

export class BTBuild {
  readonly #index: BTIndex;
  readonly #write: WritePage;
  readonly #levels: Level[] = [];
  readonly #scratch = tupleMemory(new Uint8Array(BLCKSZ));
  readonly #dedup: BTDedupState | undefined;
  #dedupPending = false;
  #blocks = 1;

  constructor(index: BTIndex, write: WritePage) {
    this.#index = index;
    this.#write = write;
    // A posting list made here takes up to a tenth of a page.
    if (index.deduplicate) this.#dedup = new BTDedupState(Math.floor((BLCKSZ * 10) / 100 / 8) * 8 - SIZEOF_ITEM_ID);
  }

  /** The next tuple in index order. */
  add(values: readonly Datum[], block: number, offset: number): void {
    indexFormTuple(this.#index.layout, indexCompressValues(this.#index.att, values), block, offset, this.#scratch, 0);
    this.addTuple(this.#scratch, 0);
  }

  /** The same for an index on one int4 column. */
  addInt4(value: number, block: number, offset: number): void {
    indexFormInt4Tuple(value, block, offset, this.#scratch, 0);
    this.addTuple(this.#scratch, 0);
  }

  /** The next tuple, formed already. */
  addTuple(mem: TupleMemory, tup: number): void {
    const dedup = this.#dedup;
    if (dedup === undefined) {
      this.#addToLeaf(mem, tup, 0);
      return;
    }
    if (this.#dedupPending) {
      if (compareTupleKeys(this.#index, dedup.mem, dedup.base, mem, tup) === 0 && dedup.save(mem, tup)) return;
      this.#finishPending(dedup);
    }
    dedup.start(mem, tup);
    this.#dedupPending = true;
  }

  #finishPending(dedup: BTDedupState): void {
    dedup.finish();
    this.#addToLeaf(dedup.mem, dedup.base, dedup.postingBytes);
  }

  #addToLeaf(mem: TupleMemory, tup: number, truncextra: number): void {
    if (this.#levels.length === 0) {
      this.#levels.push(new Level(0, Math.floor((BLCKSZ * (100 - this.#index.fillfactor)) / 100), this.#blocks++));
    }
    this.#buildAdd(0, mem, tup, truncextra);
  }

  #buildAdd(n: number, source: TupleMemory, tup: number, truncextra: number): void {
    const level = this.#levels[n]!;
    const { mem } = level;
    const leaf = n === 0;
    const size = maxAlign(indexTupleSize(source, tup));
    if (size > BT_MAX_ITEM_SIZE) throw indexRowTooLarge(this.#index, source, tup, size);
    const lastExtra = level.lastExtra;
    level.lastExtra = truncextra;
    const free = pageGetFreeSpace(mem, 0);
    const tooSmall = free < size + (leaf ? maxAlign(SIZEOF_ITEM_POINTER) : 0);
    if (tooSmall || (free + lastExtra < level.full && level.lastOff > P_FIRSTKEY)) this.#finishPage(n);
    if (level.lastOff === P_HIKEY) {
      assert(!level.hasLowKey, 'only the first page of a level begins without a low key');
      formMinusInfinity(mem, LOW_KEY, P_NONE);
      level.hasLowKey = true;
    }
    level.lastOff++;
    if (!leaf && level.lastOff === P_FIRSTKEY) addMinusInfinity(mem, 0, source, tup);
    else addItem(mem, 0, source, tup, size, level.lastOff);
  }

  /** The page is full: its last item becomes its high key and the first item of the next page. */
  #finishPage(n: number): void {
    const level = this.#levels[n]!;
    const { mem } = level;
    const leaf = n === 0;
    const next = this.#blocks++;
    const { lastOff } = level;
    assert(lastOff > P_FIRSTKEY, 'a full page has two items');
    level.begin(NEXT_PAGE);
    const lastId = pageGetItemId(mem, 0, lastOff);
    const last = pageGetItem(mem, 0, lastOff);
    if (leaf) addItem(mem, NEXT_PAGE, mem, last, itemIdGetLength(lastId), P_FIRSTKEY);
    else addMinusInfinity(mem, NEXT_PAGE, mem, last);
    pageSetItemId(mem, 0, P_HIKEY, lastId);
    pageSetItemId(mem, 0, lastOff, 0);
    pageSetLower(mem, 0, pageGetLower(mem, 0) - SIZEOF_ITEM_ID);
    if (leaf) {
      const size = btTruncate(this.#index, mem, pageGetItem(mem, 0, lastOff - 1), mem, last, mem, TRUNCATED);
      const done = pageIndexTupleOverwrite(mem, 0, P_HIKEY, mem.u8, TRUNCATED, size);
      assert(done, 'the high key fits');
    }
    if (this.#levels.length === n + 1) this.#addLevel();
    setDownLink(mem, LOW_KEY, level.blkno);
    this.#buildAdd(n + 1, mem, LOW_KEY, 0);
    const highKey = pageGetItem(mem, 0, P_HIKEY);
    mem.u8.copyWithin(LOW_KEY, highKey, highKey + indexTupleSize(mem, highKey));
    btpoSetNext(mem, 0, next);
    btpoSetPrev(mem, NEXT_PAGE, level.blkno);
    this.#write(mem.u8.subarray(0, BLCKSZ), level.blkno);
    mem.u8.copyWithin(0, NEXT_PAGE, NEXT_PAGE + BLCKSZ);
    level.blkno = next;
    level.lastOff = P_FIRSTKEY;
  }

  #addLevel(): void {
    const full = Math.floor((BLCKSZ * (100 - BTREE_NONLEAF_FILLFACTOR)) / 100);
    this.#levels.push(new Level(this.#levels.length, full, this.#blocks++));
  }

  /** Writes what is left and the metapage. Returns the index's length in blocks. */
  finish(): number {
    if (this.#dedup !== undefined && this.#dedupPending) this.#finishPending(this.#dedup);
    let root = P_NONE;
    for (let n = 0; n < this.#levels.length; n++) {
      const level = this.#levels[n]!;
      const { mem } = level;
      if (n === this.#levels.length - 1) {
        btpoSetFlags(mem, 0, btpoFlags(mem, 0) | BTP_ROOT);
        root = level.blkno;
      } else {
        setDownLink(mem, LOW_KEY, level.blkno);
        this.#buildAdd(n + 1, mem, LOW_KEY, 0);
      }
      slideLeft(mem);
      this.#write(mem.u8.subarray(0, BLCKSZ), level.blkno);
    }
    const rootLevel = Math.max(0, this.#levels.length - 1);
    btInitMetaPage(this.#scratch, 0, {
      ...emptyMeta(this.#index.allequalimage),
      version: BTREE_VERSION,
      root,
      level: rootLevel,
      fastroot: root,
      fastlevel: rootLevel,
    });
    this.#write(this.#scratch.u8, 0);
    return this.#blocks;
  }
}

function addItem(mem: TupleMemory, page: number, source: TupleMemory, tup: number, size: number, offnum: number): void {
  const added = pageAddItem(mem, page, source.u8, tup, size, offnum);
  assert(added === offnum, 'failed to add item to the index page');
}

const minusInfinity = tupleMemory(new Uint8Array(SIZEOF_INDEX_TUPLE));

/** The first item of an internal page loses its key and keeps its downlink. */
function addMinusInfinity(mem: TupleMemory, page: number, source: TupleMemory, tup: number): void {
  formMinusInfinity(minusInfinity, 0, getDownLink(source, tup));
  addItem(mem, page, minusInfinity, 0, SIZEOF_INDEX_TUPLE, P_FIRSTKEY);
}

/** A rightmost page has no high key: its line pointers move down by one. */
function slideLeft(mem: TupleMemory): void {
  const last = pageGetMaxOffsetNumber(mem, 0);
  for (let off = P_FIRSTKEY; off <= last; off++) pageSetItemId(mem, 0, off - 1, pageGetItemId(mem, 0, off));
  pageSetLower(mem, 0, pageGetLower(mem, 0) - SIZEOF_ITEM_ID);
}

export function indexRowTooLarge(index: BTIndex, mem: TupleMemory, tup: number, size: number): Error {
  return ereport(
    ERRCODE.PROGRAM_LIMIT_EXCEEDED,
    `index row size ${size} exceeds btree version ${BTREE_VERSION} maximum ${BT_MAX_ITEM_SIZE} for index "${index.name}"`,
    {
      detail: `Index row references tuple (${itemPointerGetBlock(mem, tup)},${itemPointerGetOffset(mem, tup)}) in relation "${index.tableName}".`,
      hint:
        'Values larger than 1/3 of a buffer page cannot be indexed.\n' +
        'Consider a function index of an MD5 hash of the value, or use full text indexing.',
    },
  );
}
