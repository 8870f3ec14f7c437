import { describe, expect, test } from 'vitest';
import type { Datum } from '@pgtroupe/common/datum';
import { BLCKSZ, type CommandId, type TransactionId } from '@pgtroupe/common/ids';
import { MISS } from '@pgtroupe/storage/buffer/pages';
import { pageGetItem, pageGetItemId, pageGetMaxOffsetNumber, pageIsAllVisible } from '@pgtroupe/storage/page/bufpage';
import { itemIdIsDead, itemIdIsNormal, itemIdIsUsed } from '@pgtroupe/storage/page/itemid';
import { RM_HEAP2_ID } from '@pgtroupe/transam/rmgr';
import { heapFormTuple, tupleLayout } from '../common/heaptuple.ts';
import { getRawXmin, getXmin } from '../common/htup.ts';
import { type DeadTids, VACUUM_DONE, VACUUM_MORE } from '../common/indexvacuum.ts';
import { describeRow } from '@pgtroupe/testkit/access/attributes';
import { maskedHeapPage } from '@pgtroupe/testkit/access/heap-mask';
import { retry, SoloPages } from '@pgtroupe/testkit/access/solo-pages';
import { SoloTransactions } from '@pgtroupe/testkit/access/solo-xact';
import { HeapContext, type HeapRelation, heapRelation, TM_DELETED, TM_OK } from './heapam-context.ts';
import { heapDelete } from './heapam-delete.ts';
import { heap2Rmgr, heapRmgr } from './heapam-desc.ts';
import { heapInsert } from './heapam-insert.ts';
import { heapInplaceUpdate } from './heapam-inplace.ts';
import { heapGetPage, HeapPageBatch } from './heapam-scan.ts';
import { type IndexCleanup, LazyVacuum, type VacuumResult } from './vacuumlazy.ts';
import { vmGetBits, visibilitymapGetStatus } from './visibilitymap.ts';

const layout = tupleLayout(describeRow('int4', 'text'));

/** A table of `count` rows, every third deleted, in a world where everything is over. */
function tableWithGaps(count: number, misses = false) {
  const solo = new SoloPages({ pages: 40, misses });
  const xacts = new SoloTransactions(solo);
  const rel = heapRelation(solo.relation(16384), 16384 as never);
  const ctx = new HeapContext(solo, solo.wal, xacts.begin());
  const base = solo.takeImage();
  const tids: [number, number][] = [];
  const writer = xacts.begin();
  ctx.xact = writer;
  const form = (values: Datum[]): number => heapFormTuple(layout, values, solo.mem, solo.arenaStart);
  for (let i = 0; i < count; i++) {
    const len = form([i, Buffer.from('x'.repeat(200))]);
    retry(solo, () => heapInsert(ctx, rel, solo.arenaStart, len, 0 as never));
    tids.push([ctx.blk, ctx.offnum]);
  }
  writer.commit();
  const remover = xacts.begin();
  ctx.xact = remover;
  for (let i = 0; i < count; i += 3)
    expect(retry(solo, () => heapDelete(ctx, rel, tids[i]![0], tids[i]![1], 0 as never))).toBe(TM_OK);
  remover.commit();
  ctx.xact = xacts.begin();
  return { solo, xacts, rel, ctx, base, tids, form };
}
type World = ReturnType<typeof tableWithGaps>;

/** An index that is a list of TIDs, two per step. */
class ListIndex {
  readonly stats = undefined;
  tids: [number, number][];
  constructor(tids: [number, number][]) {
    this.tids = [...tids];
  }
  bulkDelete(dead: DeadTids) {
    const kept: [number, number][] = [];
    return {
      step: (): number => {
        for (const tid of this.tids.splice(0, 2)) if (!dead.has(tid[0], tid[1])) kept.push(tid);
        if (this.tids.length > 0) return VACUUM_MORE;
        this.tids = kept;
        return VACUUM_DONE;
      },
    };
  }

  cleanup() {
    return { step: () => VACUUM_DONE };
  }
}

function vacuum(
  { solo, ctx, rel, xacts }: World,
  indexes: ListIndex[],
  options: { freeze?: boolean; maxDeadTids?: number; indexCleanup?: IndexCleanup } = {},
): VacuumResult {
  const horizon = xacts.oldestXmin as number as TransactionId;
  const run = new LazyVacuum(ctx, rel, indexes, {
    oldestXmin: horizon,
    oldestMulti: xacts.multixacts.length + 1,
    freezeLimits: {
      xid: options.freeze === true ? horizon : (3 as TransactionId),
      multi: options.freeze === true ? xacts.multixacts.length + 1 : 1,
    },
    aggressive: options.freeze === true,
    indexCleanup: options.indexCleanup ?? 'on',
    maxDeadTids: options.maxDeadTids ?? 1e6,
  });
  for (let steps = 0; steps < 10_000; steps++) {
    const answer = run.step();
    if (answer === VACUUM_DONE) return run.result;
    if (answer === MISS) solo.satisfy(solo.want);
  }
  throw new Error('vacuum does not end');
}

function checkReplay({ solo, base, rel }: World): void {
  for (const record of solo.records.splice(0)) base.apply(record, record.rmid === RM_HEAP2_ID ? heap2Rmgr : heapRmgr);
  const { forks, rnode } = solo.relation(16384);
  for (let blk = 0; blk < forks[0]!.blocks; blk++) {
    expect(maskedHeapPage(base.mem, base.page(rnode, 0, blk))).toBe(
      maskedHeapPage(solo.mem, forks[0]!.slotOf(blk as never) * BLCKSZ),
    );
  }
  const map = forks[2]!.slotOf(0 as never) * BLCKSZ;
  const replayed = base.page(rel.smgr.rnode, 2, 0);
  for (let blk = 0; blk < forks[0]!.blocks; blk++)
    expect(vmGetBits(base.mem, replayed, blk)).toBe(vmGetBits(solo.mem, map, blk));
}

function everyLinePointer(world: World, visit: (id: number, page: number, off: number) => void): void {
  const { solo } = world;
  const fork = solo.relation(16384).forks[0]!;
  for (let blk = 0; blk < fork.blocks; blk++) {
    const page = fork.slotOf(blk as never) * BLCKSZ;
    for (let off = 1; off <= pageGetMaxOffsetNumber(solo.mem, page); off++)
      visit(pageGetItemId(solo.mem, page, off), page, off);
  }
}

describe.each([[false], [true]])('vacuum, tokens lacking at first: %s', misses => {
  test.each([[[]], [[1]], [[1, 2]]])('removes what is dead, with %j indexes, and keeps the rest', which => {
    const world = tableWithGaps(300, misses);
    const indexes = which.map(() => new ListIndex(world.tids));
    const result = vacuum(world, indexes);
    expect(result).toMatchObject({
      tuplesDeleted: 100,
      liveTuples: 200,
      recentlyDeadTuples: 0,
      indexScans: which.length > 0 ? 1 : 0,
    });

    for (const index of indexes) expect(index.tids).toEqual(world.tids.filter((_, i) => i % 3 !== 0));
    everyLinePointer(world, id => expect(itemIdIsDead(id)).toBe(false));
    const batch = new HeapPageBatch();
    let rows = 0;
    const fork = world.solo.relation(16384).forks[0]!;
    for (let blk = 0; blk < fork.blocks; blk++) {
      rows += retry(world.solo, () => heapGetPage(world.ctx, world.rel, blk, world.xacts.snapshot(0), batch));
      expect(pageIsAllVisible(world.solo.mem, fork.slotOf(blk as never) * BLCKSZ)).toBe(true);
      expect(retry(world.solo, () => visibilitymapGetStatus(world.solo, world.rel.smgr, blk))).toBe(1);
    }
    expect(rows).toBe(200);
    checkReplay(world);
  });
});

test('a short list of dead rows means several rounds through the indexes', () => {
  const world = tableWithGaps(300);
  const index = new ListIndex(world.tids);
  const result = vacuum(world, [index], { maxDeadTids: 20 });
  expect(result.indexScans).toBeGreaterThan(2);
  expect(index.tids.length).toBe(200);
  everyLinePointer(world, id => expect(itemIdIsDead(id)).toBe(false));
  checkReplay(world);
});

test('what an old snapshot may still see stays', () => {
  const world = tableWithGaps(0);
  const { solo, xacts, rel, ctx } = world;
  const a = xacts.begin();
  ctx.xact = a;
  const len = world.form([1, Buffer.from('x')]);
  heapInsert(ctx, rel, solo.arenaStart, len, 0 as never);
  const tid = [ctx.blk, ctx.offnum] as const;
  a.commit();
  const old = xacts.snapshot(0);
  xacts.pinned.add(old);
  const b = xacts.begin();
  ctx.xact = b;
  heapDelete(ctx, rel, tid[0], tid[1], 0 as never);
  b.commit();
  ctx.xact = xacts.begin();
  expect(vacuum(world, [])).toMatchObject({ tuplesDeleted: 0, recentlyDeadTuples: 1 });
  const batch = new HeapPageBatch();
  expect(heapGetPage(ctx, rel, 0, old, batch)).toBe(1);
  xacts.pinned.delete(old);
  expect(vacuum(world, [])).toMatchObject({ tuplesDeleted: 1, recentlyDeadTuples: 0 });
  everyLinePointer(world, id => expect(itemIdIsUsed(id)).toBe(false));
});

test('freezing: no xid is left, the pages say so, and a second run finds nothing to do', () => {
  const world = tableWithGaps(100);
  const first = vacuum(world, [], { freeze: true });
  expect(first.newRelFrozenXid).toBe(world.xacts.oldestXmin);
  everyLinePointer(world, (id, page, off) => {
    if (itemIdIsNormal(id)) expect(getXmin(world.solo.mem, pageGetItem(world.solo.mem, page, off))).toBe(2);
  });
  expect(visibilitymapGetStatus(world.solo, world.rel.smgr, 0)).toBe(3);
  checkReplay(world);
  const second = vacuum(world, [], { freeze: true });
  // Few as they are, skipping them is not worth it.
  expect(second.scannedPages).toBe(second.relPages);
  expect(world.solo.records).toEqual([]);
});

test('space that vacuum found is used by the next rows', () => {
  const world = tableWithGaps(300);
  vacuum(world, []);
  const { solo, rel, ctx, xacts } = world;
  const before = solo.relation(16384).forks[0]!.blocks;
  (rel as HeapRelation).smgr.targetBlock = -1;
  ctx.xact = xacts.begin();
  for (let i = 0; i < 80; i++) {
    const len = world.form([i, Buffer.from('y'.repeat(200))]);
    heapInsert(ctx, rel, solo.arenaStart, len, 0 as never);
  }
  expect(solo.relation(16384).forks[0]!.blocks).toBe(before);
  checkReplay(world);
});

test('a row overwritten in place', () => {
  const world = tableWithGaps(2);
  const { solo, rel, ctx } = world;
  const len = world.form([77, Buffer.from('z'.repeat(200))]);
  const [blk, off] = world.tids[1]!;
  const before = solo.records.length;
  const tup = pageGetItem(solo.mem, 0, off);
  const read = { blk, off, xmin: getRawXmin(solo.mem, tup), cid: 0 as CommandId };
  // Another row has its place by now, or another version.
  expect(heapInplaceUpdate(ctx, rel, read, solo.arenaStart, len)).toBe(TM_DELETED);
  solo.mem.i32[(tup + 24) >> 2] = 77;
  expect(heapInplaceUpdate(ctx, rel, { ...read, xmin: 1 as never }, solo.arenaStart, len)).toBe(TM_DELETED);
  expect(solo.records).toHaveLength(before);
  expect(heapInplaceUpdate(ctx, rel, read, solo.arenaStart, len)).toBe(TM_OK);
  expect(solo.mem.i32[(pageGetItem(solo.mem, 0, world.tids[1]![1]) + 24) >> 2]).toBe(77);
  for (const record of solo.records.splice(0))
    world.base.apply(record, record.rmid === RM_HEAP2_ID ? heap2Rmgr : heapRmgr);
  expect(maskedHeapPage(world.base.mem, world.base.page(rel.smgr.rnode, 0, 0))).toBe(maskedHeapPage(solo.mem, 0));
});

test('few dead rows are left to another time, or all of them when that is wanted', () => {
  const world = tableWithGaps(100);
  const index = new ListIndex(world.tids);
  const off = vacuum(world, [index], { indexCleanup: 'off' });
  expect(off).toMatchObject({ indexes: 'bypassed', indexScans: 0, deadItems: 34, deadItemPages: off.relPages });
  expect(index.tids.length).toBe(100);
  // On every page of so small a table: it is not little.
  expect(vacuum(world, [index], { indexCleanup: 'auto' })).toMatchObject({
    indexes: 'yes',
    indexScans: 1,
    deadItems: 34,
  });
  expect(index.tids.length).toBe(66);
});
