import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Datum } from '@pgtroupe/common/datum';
import { MISS } from '@pgtroupe/storage/buffer/pages';
import {
  PD_ALL_VISIBLE,
  pageGetFlags,
  pageGetItemId,
  pageGetMaxOffsetNumber,
  pageSetAllVisible,
} from '@pgtroupe/storage/page/bufpage';
import { itemIdIsDead, itemIdIsRedirected, itemIdIsUsed } from '@pgtroupe/storage/page/itemid';
import { RM_HEAP2_ID } from '@pgtroupe/transam/rmgr';
import { BLCKSZ } from '@pgtroupe/common/ids';
import { heapFormTuple, heapGetAttr, tupleLayout } from '../common/heaptuple.ts';
import { describeRow } from '@pgtroupe/testkit/access/attributes';
import { maskedHeapPage } from '@pgtroupe/testkit/access/heap-mask';
import { retry, SoloPages, type SoloRedo } from '@pgtroupe/testkit/access/solo-pages';
import { SoloTransactions, type SoloXact } from '@pgtroupe/testkit/access/solo-xact';
import {
  HeapContext,
  type HeapRelation,
  heapRelation,
  LOCK_TUPLE_EXCLUSIVE,
  LOCK_TUPLE_SHARE,
  TM_BEING_MODIFIED,
  TM_DELETED,
  TM_OK,
  TM_SELF_MODIFIED,
  TM_UPDATED,
} from './heapam-context.ts';
import { heapDelete } from './heapam-delete.ts';
import { heap2Rmgr, heapRmgr } from './heapam-desc.ts';
import { heapInsert, heapMultiInsert } from './heapam-insert.ts';
import { heapLockLatest, heapLockTuple } from './heapam-lock.ts';
import { heapGetPage, heapHotSearch, HeapPageBatch, NOT_FOUND } from './heapam-scan.ts';
import { heapUpdate } from './heapam-update.ts';
import { SNAPSHOT_ANY } from './heapam-visibility.ts';
import { heapPagePrune, heapPruneQueued } from './pruneheap.ts';
import { vmGetBits, vmSetBits } from './visibilitymap.ts';
import { pageInit } from '@pgtroupe/storage/page/bufpage';

const layout = tupleLayout(describeRow('int4', 'int4', 'text'));
const HOT = { layout, indexed: [0], key: [0] };

/** A table (id int4, balance int4, filler text) alone in the world. */
class Table {
  readonly solo: SoloPages;
  readonly xacts: SoloTransactions;
  readonly rel: HeapRelation;
  readonly ctx: HeapContext;
  readonly base: SoloRedo;

  constructor(options: { pages?: number; misses?: boolean; images?: boolean; fillfactor?: number } = {}) {
    this.solo = new SoloPages({
      pages: options.pages ?? 24,
      misses: options.misses === true,
      images: options.images === true,
    });
    this.xacts = new SoloTransactions(this.solo);
    this.rel = heapRelation(this.solo.relation(16384), 16384 as never, options.fillfactor ?? 100);
    this.ctx = new HeapContext(this.solo, this.solo.wal, this.xacts.begin());
    this.base = this.solo.takeImage();
  }

  form(values: Datum[]): number {
    return heapFormTuple(layout, values, this.solo.mem, this.solo.arenaStart);
  }

  as<T>(xact: SoloXact, run: () => T): T {
    this.ctx.xact = xact;
    this.solo.wal.xid = xact.xid;
    return run();
  }

  insert(xact: SoloXact, id: number, filler = 'f'): [number, number] {
    const len = this.form([id, 0, Buffer.from(filler)]);
    this.as(xact, () => retry(this.solo, () => heapInsert(this.ctx, this.rel, this.solo.arenaStart, len, xact.curcid)));
    return [this.ctx.blk, this.ctx.offnum];
  }

  update(xact: SoloXact, tid: [number, number], values: Datum[]): number {
    const len = this.form(values);
    return this.as(xact, () =>
      retry(this.solo, () =>
        heapUpdate(this.ctx, this.rel, tid[0], tid[1], this.solo.arenaStart, len, xact.curcid, HOT),
      ),
    );
  }

  delete(xact: SoloXact, tid: [number, number]): number {
    return this.as(xact, () => retry(this.solo, () => heapDelete(this.ctx, this.rel, tid[0], tid[1], xact.curcid)));
  }

  rows(xact: SoloXact, snapshot = xact.snapshot()): string[] {
    const batch = new HeapPageBatch();
    const rows: string[] = [];
    for (let blk = 0; blk < this.solo.relation(16384).forks[0]!.blocks; blk++) {
      this.as(xact, () => retry(this.solo, () => heapGetPage(this.ctx, this.rel, blk, snapshot, batch)));
      for (let i = 0; i < batch.count; i++) {
        const [id, balance] = [0, 1].map(att => heapGetAttr(layout, this.solo.mem, batch.tuples[i]!, att));
        rows.push(`${Number(id)}=${Number(balance)}`);
      }
    }
    return rows.sort();
  }

  /** Everything logged so far, replayed onto the image of the beginning, gives the pages of now. */
  checkReplay(): void {
    const redo = this.base;
    for (const record of this.solo.records.splice(0))
      redo.apply(record, record.rmid === RM_HEAP2_ID ? heap2Rmgr : heapRmgr);
    const { forks, rnode } = this.solo.relation(16384);
    for (const fork of [0, 2] as const) {
      for (let blk = 0; blk < forks[fork]!.blocks; blk++) {
        const replayed = redo.page(rnode, fork, blk);
        const live = forks[fork]!.slotOf(blk as never) * BLCKSZ;
        if (fork === 0) expect(maskedHeapPage(redo.mem, replayed)).toBe(maskedHeapPage(this.solo.mem, live));
        else
          expect(
            Buffer.from(redo.mem.u8.subarray(replayed, replayed + BLCKSZ)).equals(
              this.solo.mem.u8.subarray(live, live + BLCKSZ),
            ),
          ).toBe(true);
      }
    }
  }

  page(blk: number): number {
    return this.solo.relation(16384).forks[0]!.slotOf(blk as never) * BLCKSZ;
  }
}

describe('visibility', () => {
  test('own rows from the next command on; others after commit; never when rolled back', () => {
    const t = new Table();
    const a = t.xacts.begin();
    const b = t.xacts.begin();
    t.insert(a, 1);
    expect(t.rows(a)).toEqual([]);
    a.nextCommand();
    expect(t.rows(a)).toEqual(['1=0']);
    expect(t.rows(b)).toEqual([]);
    const before = b.snapshot();
    a.commit();
    expect(t.rows(b)).toEqual(['1=0']);
    expect(t.rows(b, before)).toEqual([]);
    const c = t.xacts.begin();
    t.insert(c, 2);
    c.abort();
    expect(t.rows(b)).toEqual(['1=0']);
  });

  test('insert, update and delete in one transaction, seen through combo command ids', () => {
    const t = new Table();
    const a = t.xacts.begin();
    const tid = t.insert(a, 1);
    a.nextCommand();
    const old = a.snapshot();
    expect(t.update(a, tid, [1, 5, Buffer.from('x')])).toBe(TM_OK);
    const newTid: [number, number] = [t.ctx.blk, t.ctx.offnum];
    expect(t.rows(a)).toEqual(['1=0']);
    a.nextCommand();
    expect(t.rows(a)).toEqual(['1=5']);
    expect(t.rows(a, old)).toEqual(['1=0']);
    expect(t.delete(a, newTid)).toBe(TM_OK);
    a.nextCommand();
    expect(t.rows(a)).toEqual([]);
    expect(t.rows(a, old)).toEqual(['1=0']);
    expect(() => t.delete(a, tid)).toThrow('attempted to delete invisible tuple');
  });

  test('conflicts between transactions', () => {
    const t = new Table();
    const setup = t.xacts.begin();
    const tid = t.insert(setup, 1);
    setup.commit();
    const a = t.xacts.begin();
    const b = t.xacts.begin();
    expect(t.update(a, tid, [1, 1, Buffer.from('f')])).toBe(TM_OK);
    const newest: [number, number] = [t.ctx.blk, t.ctx.offnum];
    expect(t.update(b, tid, [1, 2, Buffer.from('f')])).toBe(TM_BEING_MODIFIED);
    expect(t.ctx.waitFxid).toBe(a.xid);
    expect(t.ctx.wantXactWait()).toBe(MISS);
    expect(t.solo.want).toMatchObject({
      kind: 'xactWait',
      fxid: a.xid,
      tuple: { rel: 16384, blk: tid[0], off: tid[1], mode: 7 },
    });
    a.commit();
    expect(t.update(b, tid, [1, 2, Buffer.from('f')])).toBe(TM_UPDATED);
    expect([t.ctx.ctidBlk, t.ctx.ctidOffnum]).toEqual(newest);
    const { ctidBlk, ctidOffnum, xmax } = t.ctx;
    expect(t.as(b, () => heapLockLatest(t.ctx, t.rel, ctidBlk, ctidOffnum, xmax, b.curcid, LOCK_TUPLE_EXCLUSIVE))).toBe(
      TM_OK,
    );
    expect([t.ctx.blk, t.ctx.offnum]).toEqual(newest);
    expect(t.update(b, newest, [1, 2, Buffer.from('f')])).toBe(TM_OK);
    expect(t.update(b, newest, [1, 3, Buffer.from('f')])).toBe(TM_SELF_MODIFIED);
    b.commit();
    expect(t.rows(t.xacts.begin())).toEqual(['1=2']);
    const c = t.xacts.begin();
    const last: [number, number] = [0, newest[1] + 1];
    expect(t.delete(c, last)).toBe(TM_OK);
    c.commit();
    const d = t.xacts.begin();
    expect(t.delete(d, last)).toBe(TM_DELETED);
    t.checkReplay();
  });

  test('a rolled-back update leaves the old version, and leaves room for another', () => {
    const t = new Table();
    const setup = t.xacts.begin();
    const tid = t.insert(setup, 1);
    setup.commit();
    const a = t.xacts.begin();
    t.update(a, tid, [1, 1, Buffer.from('f')]);
    a.abort();
    const b = t.xacts.begin();
    expect(t.rows(b)).toEqual(['1=0']);
    expect(t.update(b, tid, [1, 2, Buffer.from('f')])).toBe(TM_OK);
    b.commit();
    expect(t.rows(t.xacts.begin())).toEqual(['1=2']);
    t.checkReplay();
  });

  test('row locks: one holder, an own lock is strengthened, an update follows', () => {
    const t = new Table();
    const setup = t.xacts.begin();
    const tid = t.insert(setup, 1);
    setup.commit();
    const a = t.xacts.begin();
    const b = t.xacts.begin();
    const lock = (x: SoloXact, mode: 1 | 3): number =>
      t.as(x, () => heapLockTuple(t.ctx, t.rel, tid[0], tid[1], x.curcid, mode));
    expect(lock(a, LOCK_TUPLE_SHARE)).toBe(TM_OK);
    expect(lock(b, LOCK_TUPLE_EXCLUSIVE)).toBe(TM_BEING_MODIFIED);
    expect(t.delete(b, tid)).toBe(TM_BEING_MODIFIED);
    const logged = t.solo.records.length;
    expect(lock(a, LOCK_TUPLE_SHARE)).toBe(TM_OK);
    expect(t.solo.records.length).toBe(logged);
    expect(lock(a, LOCK_TUPLE_EXCLUSIVE)).toBe(TM_OK);
    expect(t.rows(b)).toEqual(['1=0']);
    expect(t.update(a, tid, [1, 9, Buffer.from('f')])).toBe(TM_OK);
    a.commit();
    expect(t.rows(b)).toEqual(['1=9']);
    t.checkReplay();
  });
});

describe('HOT', () => {
  test('a chain is found through its root, pruned to a redirect, and its line pointers are used again', () => {
    const t = new Table();
    const setup = t.xacts.begin();
    const tid = t.insert(setup, 1);
    setup.commit();
    for (let i = 1; i <= 5; i++) {
      const x = t.xacts.begin();
      t.as(x, () => heapHotSearch(t.ctx, t.rel, tid[0], tid[1], x.snapshot()));
      expect(t.update(x, [t.ctx.blk, t.ctx.offnum], [1, i, Buffer.from('f')])).toBe(TM_OK);
      expect(t.ctx.hot).toBe(true);
      x.commit();
    }
    const reader = t.xacts.begin();
    const removed = t.as(reader, () => heapPagePrune(t.ctx, t.page(0), t.xacts.next as never));
    expect(removed).toBe(5);
    expect(itemIdIsRedirected(pageGetItemId(t.solo.mem, t.page(0), tid[1]))).toBe(true);
    const tup = t.as(reader, () => heapHotSearch(t.ctx, t.rel, tid[0], tid[1], reader.snapshot()));
    expect(heapGetAttr(layout, t.solo.mem, tup, 1)).toBe(5);
    t.checkReplay();
    const other = t.insert(t.xacts.begin(), 2);
    expect(other[1]).toBeLessThan(7);
    t.checkReplay();
  });

  test('a deleted row becomes a dead line pointer, and the index entry may go', () => {
    const t = new Table();
    const a = t.xacts.begin();
    const tid = t.insert(a, 1);
    t.insert(a, 2);
    a.commit();
    const b = t.xacts.begin();
    t.delete(b, tid);
    b.commit();
    const reader = t.xacts.begin();
    expect(t.as(reader, () => heapHotSearch(t.ctx, t.rel, tid[0], tid[1], reader.snapshot()))).toBe(NOT_FOUND);
    expect(t.ctx.allDead).toBe(true);
    expect(t.as(reader, () => heapPagePrune(t.ctx, t.page(0), t.xacts.next as never))).toBe(1);
    expect(itemIdIsDead(pageGetItemId(t.solo.mem, t.page(0), tid[1]))).toBe(true);
    expect(t.as(reader, () => heapHotSearch(t.ctx, t.rel, tid[0], tid[1], reader.snapshot()))).toBe(NOT_FOUND);
    t.checkReplay();
  });

  test('a changed indexed column needs a new index entry', () => {
    const t = new Table();
    const a = t.xacts.begin();
    const tid = t.insert(a, 1);
    a.commit();
    const b = t.xacts.begin();
    expect(t.update(b, tid, [2, 0, Buffer.from('f')])).toBe(TM_OK);
    expect(t.ctx.hot).toBe(false);
    t.checkReplay();
  });

  test('a full page is queued, pruned when nobody looks, and takes updates again', () => {
    const t = new Table();
    const a = t.xacts.begin();
    const tids = Array.from({ length: 60 }, (_, i) => t.insert(a, i, 'f'.repeat(80)));
    a.commit();
    let blocks = 0;
    const where = new Map(tids.map((tid, i) => [i, tid]));
    for (let round = 0; round < 40; round++) {
      for (const id of [0, 1, 2]) {
        const x = t.xacts.begin();
        const root = where.get(id)!;
        t.as(x, () => heapHotSearch(t.ctx, t.rel, root[0], root[1], x.snapshot()));
        expect(t.update(x, [t.ctx.blk, t.ctx.offnum], [id, round, Buffer.from('f'.repeat(80))])).toBe(TM_OK);
        if (!t.ctx.hot) where.set(id, [t.ctx.blk, t.ctx.offnum]);
        x.commit();
        t.as(t.xacts.begin(), () => heapPruneQueued(t.ctx));
      }
      blocks = t.solo.relation(16384).forks[0]!.blocks;
    }
    expect(blocks).toBeLessThanOrEqual(2);
    expect(t.rows(t.xacts.begin()).filter(row => row.endsWith('=39'))).toEqual(['0=39', '1=39', '2=39']);
    t.checkReplay();
  });
});

describe('visibility map', () => {
  function allVisibleTable(): { t: Table; tid: [number, number] } {
    const t = new Table();
    const a = t.xacts.begin();
    const tid = t.insert(a, 1);
    a.commit();
    const map = t.solo.addPage(t.solo.relation(16384), 2);
    pageInit(t.solo.mem, map, 0);
    vmSetBits(t.solo.mem, map, 0, 3);
    pageSetAllVisible(t.solo.mem, t.page(0));
    (t as { base: SoloRedo }).base = t.solo.takeImage();
    t.solo.records.length = 0;
    return { t, tid };
  }
  const bits = (t: Table): number =>
    vmGetBits(t.solo.mem, t.solo.relation(16384).forks[2]!.slotOf(0 as never) * BLCKSZ, 0);

  test.each(['insert', 'update', 'delete'] as const)('%s clears both bits and PD_ALL_VISIBLE', action => {
    const { t, tid } = allVisibleTable();
    const x = t.xacts.begin();
    if (action === 'insert') t.insert(x, 2);
    else if (action === 'update') t.update(x, tid, [1, 1, Buffer.from('f')]);
    else t.delete(x, tid);
    expect(bits(t)).toBe(0);
    expect(pageGetFlags(t.solo.mem, t.page(0)) & PD_ALL_VISIBLE).toBe(0);
    const vmRefs = t.solo.records.flatMap(record => record.blocks.filter(block => block?.fork === 2));
    expect(vmRefs.length).toBe(1);
    t.checkReplay();
  });

  test('a lock clears all-frozen only', () => {
    const { t, tid } = allVisibleTable();
    const x = t.xacts.begin();
    expect(t.as(x, () => heapLockTuple(t.ctx, t.rel, tid[0], tid[1], x.curcid, LOCK_TUPLE_EXCLUSIVE))).toBe(TM_OK);
    expect(bits(t)).toBe(1);
    expect(pageGetFlags(t.solo.mem, t.page(0)) & PD_ALL_VISIBLE).not.toBe(0);
    t.checkReplay();
  });

  test("PostgreSQL's own records do not name the map's page: it is found all the same", () => {
    const { t, tid } = allVisibleTable();
    t.delete(t.xacts.begin(), tid);
    const [record] = t.solo.records.splice(0);
    const foreign = { ...record!, blocks: [record!.blocks[0]] };
    expect(heapRmgr.extraBlocks!(record!)).toEqual([]);
    expect(heapRmgr.extraBlocks!(foreign)).toEqual([{ rnode: t.rel.smgr.rnode, fork: 2, blkno: 0 }]);
    t.base.apply(foreign, heapRmgr);
    expect(vmGetBits(t.base.mem, t.base.page(t.rel.smgr.rnode, 2, 0), 0)).toBe(0);
  });
});

test('many rows at once share a record per page', () => {
  const t = new Table();
  const x = t.xacts.begin();
  const tups = new Int32Array(200);
  const lens = new Int32Array(200);
  let at = t.solo.arenaStart;
  for (let i = 0; i < 200; i++) {
    tups[i] = at;
    lens[i] = heapFormTuple(layout, [i, 0, Buffer.from('x'.repeat(i % 90))], t.solo.mem, at);
    at += (lens[i]! + 7) & ~7;
  }
  const offnums = new Uint16Array(200);
  let done = 0;
  t.as(x, () => {
    while (done < 200) done += heapMultiInsert(t.ctx, t.rel, tups, lens, done, 200, x.curcid, offnums);
  });
  x.commit();
  expect(t.solo.records.length).toBe(t.solo.relation(16384).forks[0]!.blocks);
  expect(t.rows(t.xacts.begin()).length).toBe(200);
  t.checkReplay();
});

test('a row that cannot fit is refused', () => {
  const t = new Table();
  const len = t.form([1, 2, new Uint8Array(8200)]);
  expect(() => t.as(t.xacts.begin(), () => heapInsert(t.ctx, t.rel, t.solo.arenaStart, len, 0 as never))).toThrow(
    /row is too big: size \d+, maximum size 8160/,
  );
});

// ---- whatever is done, in whatever order ---------------------------------------------------------------

const action = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('insert' as const), x: fc.nat(2), size: fc.nat(1500) }) },
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant('update' as const),
      x: fc.nat(2),
      row: fc.nat(),
      size: fc.nat(1500),
      key: fc.boolean(),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('delete' as const), x: fc.nat(2), row: fc.nat() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('lock' as const),
      x: fc.nat(2),
      row: fc.nat(),
      mode: fc.constantFrom(0 as const, 1 as const, 2 as const, 3 as const),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('end' as const), x: fc.nat(2), commit: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('prune' as const), blk: fc.nat(7) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('command' as const), x: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.constant({ kind: 'recall' as const }) },
);

/** Rows that a snapshot must see, kept beside the heap. */
interface Version {
  id: number;
  balance: number;
  tid: [number, number];
  by: SoloXact;
  endedBy: SoloXact | undefined;
}

test.each([
  ['', {}],
  [' with tokens that must be asked for', { misses: true }],
  [' with full-page images', { images: true }],
  [' with room kept for updates', { fillfactor: 60 }],
])('any history: what is visible is what was committed, and every record replays to the same pages%s', (_, options) => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 60 }), actions => {
      const t = new Table({ pages: 70, ...options });
      const xs = [t.xacts.begin(), t.xacts.begin(), t.xacts.begin()];
      const versions: Version[] = [];
      const ended = new Map<SoloXact, boolean>();
      let nextId = 1;
      const alive = (v: Version): boolean =>
        ended.get(v.by) !== false && (v.endedBy === undefined || ended.get(v.endedBy) === false);
      for (const step of actions) {
        switch (step.kind) {
          case 'insert': {
            const tid = t.insert(xs[step.x]!, nextId, 'x'.repeat(step.size));
            versions.push({ id: nextId++, balance: 0, tid, by: xs[step.x]!, endedBy: undefined });
            break;
          }
          case 'update':
          case 'delete':
          case 'lock': {
            const x = xs[step.x]!;
            x.nextCommand();
            const candidates = versions.filter(v => alive(v) && (v.by === x || ended.get(v.by) === true));
            if (candidates.length === 0) break;
            const v = candidates[step.row % candidates.length]!;
            if (step.kind === 'lock') {
              t.as(x, () => retry(t.solo, () => heapLockTuple(t.ctx, t.rel, v.tid[0], v.tid[1], x.curcid, step.mode)));
              break;
            }
            const id = step.kind === 'update' && step.key ? nextId++ : v.id;
            const result =
              step.kind === 'delete'
                ? t.delete(x, v.tid)
                : t.update(x, v.tid, [id, v.balance + 1, Buffer.from('x'.repeat(step.size))]);
            if (result !== TM_OK) {
              expect(result).toBe(TM_BEING_MODIFIED);
              break;
            }
            v.endedBy = x;
            if (step.kind === 'update')
              versions.push({ id, balance: v.balance + 1, tid: [t.ctx.blk, t.ctx.offnum], by: x, endedBy: undefined });
            break;
          }
          case 'end':
            if (step.commit) xs[step.x]!.commit();
            else xs[step.x]!.abort();
            ended.set(xs[step.x]!, step.commit);
            xs[step.x] = t.xacts.begin();
            break;
          case 'prune':
            if (step.blk < t.solo.relation(16384).forks[0]!.blocks) {
              t.as(t.xacts.begin(), () => {
                retry(t.solo, () => t.solo.exclusive(t.rel.smgr, 0, step.blk as never));
                heapPagePrune(t.ctx, t.page(step.blk), t.xacts.oldestXmin as never);
              });
            }
            break;
          case 'command':
            xs[step.x]!.nextCommand();
            break;
          case 'recall':
            t.solo.recallAll();
            break;
        }
      }
      const committed = versions.filter(
        v => ended.get(v.by) === true && (v.endedBy === undefined || ended.get(v.endedBy) !== true),
      );
      expect(t.rows(t.xacts.begin())).toEqual(committed.map(v => `${v.id}=${v.balance}`).sort());
      for (const x of xs) {
        x.nextCommand();
        const mine = versions.filter(
          v =>
            (ended.get(v.by) === true || v.by === x) &&
            (v.endedBy === undefined || (v.endedBy !== x && ended.get(v.endedBy) !== true)),
        );
        expect(t.rows(x)).toEqual(mine.map(v => `${v.id}=${v.balance}`).sort());
      }
      t.checkReplay();
    }),
    { numRuns: 150 },
  );
});

test('one page of a dead instance is rebuilt from the same records, leaving others alone', () => {
  const t = new Table();
  const a = t.xacts.begin();
  const tids = Array.from({ length: 40 }, (_, i) => t.insert(a, i, 'f'.repeat(300)));
  a.commit();
  const b = t.xacts.begin();
  for (const tid of tids) expect(t.update(b, tid, [1000, 1, Buffer.from('g'.repeat(700))])).toBe(TM_OK);
  const { rnode } = t.rel.smgr;
  t.base.only = { rnode, fork: 0, blkno: 1 as never };
  for (const record of t.solo.records) t.base.apply(record, record.rmid === RM_HEAP2_ID ? heap2Rmgr : heapRmgr);
  expect(maskedHeapPage(t.base.mem, t.base.page(rnode, 0, 1))).toBe(maskedHeapPage(t.solo.mem, t.page(1)));
  expect(maskedHeapPage(t.base.mem, t.base.page(rnode, 0, 0))).toBe('new');
});

test('any-snapshot scans see every version with storage', () => {
  const t = new Table();
  const a = t.xacts.begin();
  const tid = t.insert(a, 1);
  a.abort();
  const batch = new HeapPageBatch();
  expect(t.as(t.xacts.begin(), () => heapGetPage(t.ctx, t.rel, 0, SNAPSHOT_ANY, batch))).toBe(1);
  expect(batch.offnums[0]).toBe(tid[1]);
  expect(itemIdIsUsed(pageGetItemId(t.solo.mem, t.page(0), 1))).toBe(true);
  expect(pageGetMaxOffsetNumber(t.solo.mem, t.page(0))).toBe(1);
});
