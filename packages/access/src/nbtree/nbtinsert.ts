/**
 * Inserting an index entry, with the check for uniqueness.
 *
 * `btInsert` is retried from its beginning after every MISS; what it changes before it is through
 * (finishing somebody's split, removing items known dead) is complete in itself. The uniqueness check
 * and the insertion happen in the same synchronous stretch, with the leaf where an equal key would
 * have to go held exclusively: no other instance can put one there in between.
 *
 * A conflict with a running transaction becomes a Want of kind xactWait. A conflict with a live row is
 * answered BT_DUPLICATE; the caller raises `uniqueViolation`.
 */
import { assert } from '@pgtroupe/common/assert';
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import { BLCKSZ } from '@pgtroupe/common/ids';
import { MISS } from '@pgtroupe/storage/buffer/pages';
import { pageGetFreeSpace, pageGetItem, pageGetItemId, pageGetMaxOffsetNumber } from '@pgtroupe/storage/page/bufpage';
import { itemIdIsDead } from '@pgtroupe/storage/page/itemid';
import { type TupleMemory, tupleMemory } from '../common/htup.ts';
import {
  indexCompressValues,
  indexFormTuple,
  itemPointerGetBlock,
  itemPointerGetOffset,
} from '../common/indextuple.ts';
import type { HeapContext, HeapRelation } from '../heap/heapam-context.ts';
import { heapHotSearch, NOT_FOUND } from '../heap/heapam-scan.ts';
import { SNAPSHOT_DIRTY, SNAPSHOT_SELF } from '../heap/heapam-visibility.ts';
import { btExclusive, type BTIndex, btShare } from './btindex.ts';
import { btBinsrchPosting } from './nbtdedup.ts';
import { btDedupPass } from './nbtdeduppass.ts';
import { btDeleteDeadItems } from './nbtpage.ts';
import {
  BT_MAX_ITEM_SIZE,
  BTP_INCOMPLETE_SPLIT,
  BTP_LEAF,
  BTP_ROOT,
  btpoFlags,
  btpoNext,
  firstDataKey,
  getNPosting,
  getPostingOffset,
  isIgnored,
  isLeaf,
  isPosting,
  isRightmost,
  markItemDead,
  P_HIKEY,
  SIZEOF_ITEM_POINTER,
} from './nbtree.ts';
import { BTPath, btBinsrch, btSearchForInsert, isBeyondPage, NO_ROOT, UNFINISHED_SPLIT } from './nbtsearch.ts';
import { indexRowTooLarge } from './nbtsort.ts';
import { applyPlan, btCreateRoot } from './nbtsplit.ts';
import { planFinishSplit, planLeafInsert, READY } from './nbtsplitplan.ts';
import { btCompare, BTSearchKey } from './nbtutils.ts';

/** What to do about equal keys (IndexUniqueCheck). */
export type UniqueCheck =
  /** Not a unique index, or somebody else sees to it. */
  | 'no'
  /** Conflicts are an error. */
  | 'yes'
  /** Insert anyway and tell (deferrable constraints). */
  | 'partial'
  /** The entry is there already: only check (a deferred constraint at its time). */
  | 'existing';

export const BT_INSERTED = 1;
/** Inserted ('partial'), but there may be an equal key. */
export const BT_NOT_UNIQUE = 2;
/** Not inserted: ctx.blk, ctx.offnum, ctx.tuple are the row in the way. */
export const BT_DUPLICATE = 3;

/** Levels of a tree on which the last rightmost leaf is worth remembering. */
const FASTPATH_MIN_LEVEL = 2;

const UNIQUE = 1;
const DEAD_POSTING = -1;

const tuple = tupleMemory(new Uint8Array(BLCKSZ));
const path = new BTPath();
const keys = new WeakMap<BTIndex, BTSearchKey>();

/**
 * Inserts an entry of `values` for the heap TID. `heap` is needed for unique checks. With `prepareOnly`
 * everything is obtained and checked and nothing inserted (answer BT_INSERTED): the real call in the same
 * synchronous stretch cannot miss, whichever TID it has, unless the index has many equal keys.
 */
export function btInsert(
  index: BTIndex,
  ctx: HeapContext,
  heap: HeapRelation | undefined,
  values: readonly Datum[],
  block: number,
  offset: number,
  uniqueCheck: UniqueCheck,
  prepareOnly = false,
): number {
  const { pages } = ctx;
  const size = indexFormTuple(index.layout, indexCompressValues(index.att, values), block, offset, tuple, 0);
  const key = searchKey(index, values);
  const checking = uniqueCheck !== 'no' && (!key.anyNull || index.nullsNotDistinct);
  for (;;) {
    key.hasTid = false;
    if (!checking) key.setTid(block, offset);
    let page = rightmostLeaf(index, ctx, key, size);
    if (page < 0) page = btSearchForInsert(key, pages, path);
    if (page < 0) {
      const again = prepareTree(index, ctx, page);
      if (again !== READY) return again;
      continue;
    }
    let unique = UNIQUE;
    if (checking) {
      assert(heap !== undefined, 'a unique check needs the table');
      unique = checkUnique(index, ctx, heap, key, page, block, offset, uniqueCheck);
      if (unique === MISS || unique === BT_DUPLICATE) return unique;
      key.setTid(block, offset);
    }
    if (uniqueCheck === 'existing') return BT_INSERTED;
    // Sizes are checked only now: a duplicate is reported first, as PostgreSQL does.
    if (size > BT_MAX_ITEM_SIZE) throw indexRowTooLarge(index, tuple, 0, size);
    const done = insertOnLeaf(index, ctx, key, page, size, prepareOnly);
    if (done === MISS) return MISS;
    if (done === READY) return unique === BT_NOT_UNIQUE ? BT_NOT_UNIQUE : BT_INSERTED;
    const again = prepareTree(index, ctx, done);
    if (again !== READY) return again;
  }
}

/**
 * Is there a row with these key values that is live or may become so? BT_DUPLICATE (ctx tells which row),
 * BT_INSERTED for no, MISS (which may mean waiting for its transaction). For ON CONFLICT: as long as
 * nothing is awaited, what is said of an index here stays true.
 */
export function btFindConflict(index: BTIndex, ctx: HeapContext, heap: HeapRelation, values: readonly Datum[]): number {
  const key = searchKey(index, values);
  if (key.anyNull && !index.nullsNotDistinct) return BT_INSERTED;
  for (;;) {
    const page = btSearchForInsert(key, ctx.pages, path);
    if (page >= 0) {
      const unique = checkUnique(index, ctx, heap, key, page, -1, 0, 'yes');
      return unique === UNIQUE ? BT_INSERTED : unique;
    }
    const again = prepareTree(index, ctx, page);
    if (again !== READY) return again;
  }
}

/** 23505. `values` are the key columns as their output functions print them, null for NULL; `names`, if an
 *  expression is among the keys, what pg_get_indexdef calls them. */
export function uniqueViolation(
  index: BTIndex,
  schema: string,
  values: readonly (string | null)[],
  names = index.att.attrs
    .slice(0, index.nkeyatts)
    .map(att => att.name)
    .join(', '),
): PgError {
  return ereport(ERRCODE.UNIQUE_VIOLATION, `duplicate key value violates unique constraint "${index.name}"`, {
    detail: `Key (${names})=(${values.map(value => value ?? 'null').join(', ')}) already exists.`,
    schema,
    table: index.tableName,
    constraint: index.name,
  });
}

function searchKey(index: BTIndex, values: readonly Datum[]): BTSearchKey {
  let key = keys.get(index);
  if (key === undefined) keys.set(index, (key = new BTSearchKey(index)));
  key.reset();
  for (let i = 0; i < index.nkeyatts; i++) key.push(values[i]!);
  return key;
}

/** Does what a search asked for before it can be repeated: READY then, else MISS. */
function prepareTree(index: BTIndex, ctx: HeapContext, answer: number): number {
  if (answer === NO_ROOT) return btCreateRoot(index, ctx.pages, ctx.wal, BTP_LEAF | BTP_ROOT);
  if (answer !== UNFINISHED_SPLIT) return answer;
  for (;;) {
    const planned = planFinishSplit(index, ctx.pages, path, ctx.xact.oldestXmin);
    if (planned === MISS) return MISS;
    if (planned === READY) break;
    // The parent was split and not completed either: that first. `path` leads there.
  }
  applyPlan(index, ctx.pages, ctx.wal);
  return READY;
}

/** The rightmost leaf, if that is where the last entry went and this one clearly belongs and fits; else MISS
 *  (which asks for nothing). */
function rightmostLeaf(index: BTIndex, ctx: HeapContext, key: BTSearchKey, size: number): number {
  const { targetBlock } = index;
  if (targetBlock === 0) return MISS;
  const { pages } = ctx;
  const { mem } = pages;
  const page = btExclusive(index, pages, targetBlock);
  if (page >= 0) {
    const fits =
      isRightmost(mem, page) &&
      isLeaf(mem, page) &&
      !isIgnored(mem, page) &&
      pageGetFreeSpace(mem, page) > size &&
      pageGetMaxOffsetNumber(mem, page) >= P_HIKEY &&
      btCompare(key, mem, pageGetItem(mem, page, P_HIKEY)) > 0;
    if (fits) {
      path.blk = targetBlock;
      path.depth = 0;
      return page;
    }
  }
  index.targetBlock = 0;
  return MISS;
}

/** READY, MISS, or UNFINISHED_SPLIT. */
function insertOnLeaf(
  index: BTIndex,
  ctx: HeapContext,
  key: BTSearchKey,
  first: number,
  size: number,
  prepareOnly: boolean,
): number {
  const { pages } = ctx;
  const { mem } = pages;
  let page = first;
  // Among equal keys, the TID may belong further right than where the uniqueness check began.
  while (isBeyondPage(key, mem, page)) {
    path.blk = btpoNext(mem, page);
    page = btExclusive(index, pages, path.blk);
    if (page === MISS) return MISS;
    if ((btpoFlags(mem, page) & BTP_INCOMPLETE_SPLIT) !== 0) return UNFINISHED_SPLIT;
  }
  if (pageGetFreeSpace(mem, page) < size) btDeleteDeadItems(ctx, page);
  if (pageGetFreeSpace(mem, page) < size && index.postingLists) btDedupPass(index, pages, ctx.wal, page, tuple, 0);
  let off = btBinsrch(key, mem, page);
  // The TID of a rehearsal is not the real one and may well be in the index.
  let postingOff = prepareOnly ? 0 : placeInPosting(index, key, mem, page, off);
  if (postingOff === DEAD_POSTING) {
    btDeleteDeadItems(ctx, page);
    off = btBinsrch(key, mem, page);
    postingOff = placeInPosting(index, key, mem, page, off);
  }
  const { blk } = path;
  const rightmost = isRightmost(mem, page) && pageGetFreeSpace(mem, page) >= size;
  const planned = planLeafInsert(index, pages, path, page, off, postingOff, tuple, 0, ctx.xact.oldestXmin);
  if (planned !== READY || prepareOnly) return planned;
  applyPlan(index, pages, ctx.wal);
  if (rightmost && index.rootLevel >= FASTPATH_MIN_LEVEL) index.targetBlock = blk;
  return READY;
}

/** Where in the posting list standing at `off` the key's TID belongs; 0 when none stands there that it falls into. */
function placeInPosting(index: BTIndex, key: BTSearchKey, mem: TupleMemory, page: number, off: number): number {
  if (off > pageGetMaxOffsetNumber(mem, page)) return 0;
  const tup = pageGetItem(mem, page, off);
  if (btCompare(key, mem, tup) !== 0) return 0;
  if (itemIdIsDead(pageGetItemId(mem, page, off))) return DEAD_POSTING;
  const place = isPosting(mem, tup) ? btBinsrchPosting(mem, tup, key.tidBlock, key.tidOffset) : 0;
  if (place === 0) {
    throw ereport(
      ERRCODE.INDEX_CORRUPTED,
      `table tid from new index tuple (${key.tidBlock},${key.tidOffset}) overlaps with invalid duplicate tuple at offset ${off} of block ${path.blk} in index "${index.name}"`,
    );
  }
  return place;
}

// ---- uniqueness ------------------------------------------------------------------------------------------

/**
 * Looks at every entry with an equal key, beginning on `page` (the first it can be on). UNIQUE, BT_DUPLICATE,
 * BT_NOT_UNIQUE ('partial'), or MISS. Entries whose rows are dead to everyone are marked so in passing.
 */
function checkUnique(
  index: BTIndex,
  ctx: HeapContext,
  heap: HeapRelation,
  key: BTSearchKey,
  first: number,
  ownBlock: number,
  ownOffset: number,
  uniqueCheck: UniqueCheck,
): number {
  const { pages } = ctx;
  const { mem } = pages;
  let page = first;
  let off = btBinsrch(key, mem, page);
  let found = false;
  for (;;) {
    const max = pageGetMaxOffsetNumber(mem, page);
    for (; off <= max; off++) {
      if (itemIdIsDead(pageGetItemId(mem, page, off))) continue;
      const tup = pageGetItem(mem, page, off);
      if (btCompare(key, mem, tup) !== 0) return finishCheck(index, uniqueCheck, found);
      const posting = isPosting(mem, tup);
      const count = posting ? getNPosting(mem, tup) : 1;
      const list = posting ? tup + getPostingOffset(mem, tup) : tup;
      let allDead = true;
      for (let i = 0; i < count; i++) {
        const tid = list + i * SIZEOF_ITEM_POINTER;
        const block = itemPointerGetBlock(mem, tid);
        const offset = itemPointerGetOffset(mem, tid);
        if (uniqueCheck === 'existing' && block === ownBlock && offset === ownOffset) {
          found = true;
          allDead = false;
          continue;
        }
        const row = heapHotSearch(ctx, heap, block, offset, SNAPSHOT_DIRTY);
        if (row === MISS) return MISS;
        if (row === NOT_FOUND) {
          allDead &&= ctx.allDead;
          continue;
        }
        if (uniqueCheck === 'partial') return BT_NOT_UNIQUE;
        if (ctx.dirtyXmin !== 0 || ctx.dirtyXmax !== 0) return ctx.wantXactWait();
        return ownRowIsLive(ctx, heap, block, offset, ownBlock, ownOffset);
      }
      if (allDead) markItemDead(mem, page, off);
    }
    // Equal keys go on to the right only if the high key is equal, too.
    if (isRightmost(mem, page) || btCompare(key, mem, pageGetItem(mem, page, P_HIKEY)) !== 0)
      return finishCheck(index, uniqueCheck, found);
    do {
      if (isRightmost(mem, page)) throw ereport(ERRCODE.INDEX_CORRUPTED, `fell off the end of index "${index.name}"`);
      page = btShare(index, pages, btpoNext(mem, page));
      if (page === MISS) return MISS;
    } while (isIgnored(mem, page));
    off = firstDataKey(mem, page);
  }
}

function finishCheck(index: BTIndex, uniqueCheck: UniqueCheck, found: boolean): number {
  if (uniqueCheck === 'existing' && !found) {
    throw ereport(ERRCODE.INTERNAL_ERROR, `failed to re-find tuple within index "${index.name}"`, {
      hint: 'This may be because of a non-immutable index expression.',
    });
  }
  return UNIQUE;
}

/** A conflict counts only while the row being inserted is itself live (it may have been deleted since, when
 *  an index is built or a constraint is checked late). */
function ownRowIsLive(
  ctx: HeapContext,
  heap: HeapRelation,
  block: number,
  offset: number,
  ownBlock: number,
  ownOffset: number,
): number {
  if (ownBlock >= 0) {
    const own = heapHotSearch(ctx, heap, ownBlock, ownOffset, SNAPSHOT_SELF);
    if (own === MISS) return MISS;
    if (own === NOT_FOUND) return UNIQUE;
  }
  const row = heapHotSearch(ctx, heap, block, offset, SNAPSHOT_DIRTY);
  return row === MISS ? MISS : BT_DUPLICATE;
}
