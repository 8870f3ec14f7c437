/**
 * Cutting off the empty end of a table after VACUUM (lazy_truncate_heap). It takes an exclusive lock, if that is to be had
 * without waiting for long, and gives it up when somebody waits for it: with the blocks looked at until then, and again
 * for the rest.
 *
 * Tables of TOAST values are read and written under the lock of their table only, so that one is taken too. System
 * catalogs stay as long as they are: who reads them for their contents' sake takes no lock.
 */
import type { HeapContext } from '@pgtroupe/access/heap/heapam-context';
import type { VacuumResult } from '@pgtroupe/access/heap/vacuumlazy';
import { visibilitymapPrepareTruncate } from '@pgtroupe/access/heap/visibilitymap-set';
import { heapOf } from '@pgtroupe/catalog/relaccess';
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import { type BlockNumber, FIRST_NORMAL_OBJECT_ID, MAIN_FORKNUM, type Oid } from '@pgtroupe/common/ids';
import { MISS } from '@pgtroupe/storage/buffer/pages';
import { ACCESS_EXCLUSIVE_LOCK, relationTag } from '@pgtroupe/storage/lmgr/locktag';
import { pageGetItemId, pageGetMaxOffsetNumber, pageIsNew } from '@pgtroupe/storage/page/bufpage';
import { itemIdIsUsed } from '@pgtroupe/storage/page/itemid';
import type { CommandRunner } from './command-runner.ts';
import { isLockRefusal } from './rangevar.ts';
import { attempt } from './vacuuminplace.ts';

/** It is worth a lock when so many pages can go, or this part of the table. */
const REL_TRUNCATE_MINIMUM = 1000;
const REL_TRUNCATE_FRACTION = 16;
const LOCK_CHECK_INTERVAL_MS = 20;
const LOCK_WAIT_INTERVAL_MS = 50;
const LOCK_TIMEOUT_MS = 5000;
const SLICE = 32;

export interface TruncationTarget {
  readonly rel: RelationDesc;
  /** Whose TOAST values it holds, if it does. */
  readonly owner: Oid | undefined;
  readonly context: HeapContext;
  /** Of the vacuum before; what is cut off here is taken off its pages. */
  readonly result: VacuumResult;
  readonly verbose: boolean;
}

/** should_attempt_truncation */
function worthIt({ rel, result }: TruncationTarget): boolean {
  if (rel.oid < FIRST_NORMAL_OBJECT_ID) return false;
  const freeable = result.relPages - result.nonEmptyPages;
  return (
    freeable > 0 &&
    (freeable >= REL_TRUNCATE_MINIMUM || freeable >= Math.floor(result.relPages / REL_TRUNCATE_FRACTION))
  );
}

export async function lazyTruncateHeap(runner: CommandRunner, target: TruncationTarget): Promise<void> {
  if (!worthIt(target)) return;
  const { rel, result } = target;
  const tell = (message: string): void => {
    if (target.verbose) runner.session.notice('INFO', '00000', message);
  };
  for (;;) {
    if (!(await lockSoon(runner, target))) {
      tell(`"${rel.name}": stopping truncate due to conflicting lock request`);
      return;
    }
    const before = result.relPages;
    let suspended = false;
    try {
      suspended = await truncateLocked(runner, target, tell);
    } finally {
      unlock(runner, target);
    }
    if (result.relPages === before) return;
    tell(`table "${rel.name}": truncated ${before} to ${result.relPages} pages`);
    if (!suspended || result.relPages <= result.nonEmptyPages) return;
  }
}

/** True: somebody waits, there may be more to cut off. */
async function truncateLocked(
  runner: CommandRunner,
  target: TruncationTarget,
  tell: (message: string) => void,
): Promise<boolean> {
  const { session } = runner;
  const { kernel } = session.instance;
  const { rel, result, context } = target;
  const blocks = await attempt(session, () => kernel.pages.nblocks(rel.smgr, MAIN_FORKNUM));
  // What was added since has rows, it must be supposed.
  if (blocks !== result.relPages) return false;
  const found = await countNondeletablePages(runner, target);
  if (found.suspended) tell(`table "${rel.name}": suspending truncate due to conflicting lock request`);
  if (found.blocks >= blocks) return false;
  const heap = heapOf(rel);
  await attempt(session, () => visibilitymapPrepareTruncate(context, heap, found.blocks));
  await kernel.smgrTruncate(rel.smgr.rnode, MAIN_FORKNUM, found.blocks);
  result.removedPages += blocks - found.blocks;
  result.relPages = found.blocks;
  return found.suspended;
}

/** From the end on backwards: where does the last page end that holds something? */
async function countNondeletablePages(
  { session }: CommandRunner,
  { rel, owner, result }: TruncationTarget,
): Promise<{ readonly blocks: number; readonly suspended: boolean }> {
  const { kernel } = session.instance;
  const { clock } = kernel.env;
  let checkedMs = clock.nowMs();
  for (let blk = result.relPages; blk > result.nonEmptyPages; blk--) {
    if (blk % SLICE === 0) {
      await session.breathe();
      if (clock.nowMs() - checkedMs >= LOCK_CHECK_INTERVAL_MS) {
        for (const tag of lockTags(session.database.oid as Oid, rel, owner))
          if (await kernel.locks.hasWaiters(tag, ACCESS_EXCLUSIVE_LOCK)) return { blocks: blk, suspended: true };
        checkedMs = clock.nowMs();
      }
    }
    const used = await attempt(session, () => {
      const page = kernel.pages.share(rel.smgr, MAIN_FORKNUM, (blk - 1) as BlockNumber);
      return page === MISS ? MISS : Number(holdsItems(kernel.pages.mem, page));
    });
    if (used !== 0) return { blocks: blk, suspended: false };
  }
  return { blocks: result.nonEmptyPages, suspended: false };
}

function holdsItems(mem: HeapContext['pages']['mem'], page: number): boolean {
  if (pageIsNew(mem, page)) return false;
  const max = pageGetMaxOffsetNumber(mem, page);
  for (let off = 1; off <= max; off++) if (itemIdIsUsed(pageGetItemId(mem, page, off))) return true;
  return false;
}

function lockTags(database: Oid, rel: RelationDesc, owner: Oid | undefined): ReturnType<typeof relationTag>[] {
  const oids = owner === undefined ? [rel.oid] : [owner, rel.oid];
  return oids.map(oid => relationTag(database, oid));
}

/** Tries for some seconds. */
async function lockSoon(runner: CommandRunner, target: TruncationTarget): Promise<boolean> {
  const { session } = runner;
  const { env } = session.instance.kernel;
  for (let tries = 0; ; tries++) {
    if (await tryLock(runner, target)) return true;
    if (tries >= LOCK_TIMEOUT_MS / LOCK_WAIT_INTERVAL_MS) return false;
    await new Promise<void>(resolve => env.timers.after(LOCK_WAIT_INTERVAL_MS, resolve));
    session.checkForInterrupts();
  }
}

async function tryLock(runner: CommandRunner, { rel, owner }: TruncationTarget): Promise<boolean> {
  const { session } = runner;
  const { locks } = session.instance.kernel;
  const taken: ReturnType<typeof relationTag>[] = [];
  try {
    for (const tag of lockTags(session.database.oid as Oid, rel, owner)) {
      await locks.acquire(session.owner, tag, ACCESS_EXCLUSIVE_LOCK, { nowait: true });
      taken.push(tag);
    }
    return true;
  } catch (error) {
    if (!isLockRefusal(runner, error)) throw error;
    for (const tag of taken) locks.giveBack(session.owner, tag, ACCESS_EXCLUSIVE_LOCK);
    return false;
  }
}

function unlock({ session }: CommandRunner, { rel, owner }: TruncationTarget): void {
  for (const tag of lockTags(session.database.oid as Oid, rel, owner))
    session.instance.kernel.locks.giveBack(session.owner, tag, ACCESS_EXCLUSIVE_LOCK);
}
