/** Unique indexes over a real heap, with transactions that run, commit and abort. */
import { describe, expect, test } from 'vitest';
import type { Datum } from '@pgtroupe/common/datum';
import { MISS } from '@pgtroupe/storage/buffer/pages';
import { heapFormTuple, tupleLayout } from '../common/heaptuple.ts';
import { HeapContext, heapRelation, TM_OK } from '../heap/heapam-context.ts';
import { heapDelete } from '../heap/heapam-delete.ts';
import { heapInsert } from '../heap/heapam-insert.ts';
import { describeRow } from '@pgtroupe/testkit/access/attributes';
import { retry, SoloPages } from '@pgtroupe/testkit/access/solo-pages';
import { SoloTransactions, type SoloXact } from '@pgtroupe/testkit/access/solo-xact';
import { BTIndex } from './btindex.ts';
import {
  BT_DUPLICATE,
  BT_INSERTED,
  BT_NOT_UNIQUE,
  btFindConflict,
  btInsert,
  type UniqueCheck,
  uniqueViolation,
} from './nbtinsert.ts';
import { BTScan } from './nbtscan.ts';
import { btInitMetaPage, emptyMeta } from './nbtree.ts';
import { btreeRmgr } from './nbtredo.ts';

const layout = tupleLayout(describeRow('int4', 'int4'));

class World {
  readonly solo: SoloPages;
  readonly xacts: SoloTransactions;
  readonly heap;
  readonly index: BTIndex;
  readonly ctx: HeapContext;
  /** Where each transaction put its last row. */
  readonly rows = new Map<SoloXact, { blk: number; offnum: number }>();

  constructor(nullsNotDistinct = false, misses = false) {
    this.solo = new SoloPages({ pages: 200, misses });
    this.xacts = new SoloTransactions(this.solo);
    this.heap = heapRelation(this.solo.relation(16384), 16384 as never);
    const rel = this.solo.relation(16385);
    this.index = new BTIndex({
      rel,
      name: 't_pkey',
      tableName: 't',
      att: describeRow('int4'),
      unique: true,
      nullsNotDistinct,
      keys: [{ orderProc: 'btint4cmp', option: 0 }],
    });
    btInitMetaPage(this.solo.mem, this.solo.addPage(rel, 0), emptyMeta(true));
    this.ctx = new HeapContext(this.solo, this.solo.wal, this.xacts.begin());
  }

  begin(): SoloXact {
    return this.xacts.begin();
  }

  /** Stores the row and tries to enter it; answers btInsert's answer (MISS: would have to wait). */
  insert(x: SoloXact, key: Datum, check: UniqueCheck = 'yes'): number {
    this.ctx.xact = x;
    const at = this.solo.arenaStart;
    const len = heapFormTuple(layout, [key, 0], this.solo.mem, at);
    retry(this.solo, () => heapInsert(this.ctx, this.heap, at, len, x.curcid));
    const { blk, offnum } = this.ctx;
    this.rows.set(x, { blk, offnum });
    return this.enter(x, key, blk, offnum, check);
  }

  enter(x: SoloXact, key: Datum, blk: number, offnum: number, check: UniqueCheck): number {
    this.ctx.xact = x;
    for (;;) {
      const result = btInsert(this.index, this.ctx, this.heap, [key], blk, offnum, check);
      if (result !== MISS || this.solo.want.kind === 'xactWait') return result;
      this.solo.satisfy(this.solo.want);
    }
  }

  remove(x: SoloXact, row: { blk: number; offnum: number }): void {
    this.ctx.xact = x;
    expect(retry(this.solo, () => heapDelete(this.ctx, this.heap, row.blk, row.offnum, x.curcid))).toBe(TM_OK);
  }

  get entries(): number {
    const scan = new BTScan(this.index, this.solo, []);
    scan.rescan([], true);
    let entries = 0;
    for (;;) {
      const count = retry(this.solo, () => scan.nextBatch());
      if (count === 0) return entries;
      entries += count;
    }
  }
}

describe('a unique index', () => {
  test('refuses the key of a committed row and says where it is', () => {
    const world = new World();
    const a = world.begin();
    expect(world.insert(a, 5)).toBe(BT_INSERTED);
    const first = world.rows.get(a)!;
    a.commit();
    const b = world.begin();
    expect(world.insert(b, 6)).toBe(BT_INSERTED);
    expect(world.insert(b, 5)).toBe(BT_DUPLICATE);
    expect([world.ctx.blk, world.ctx.offnum]).toEqual([first.blk, first.offnum]);
    const error = uniqueViolation(world.index, 'public', ['5']);
    expect(error.sqlstate).toBe('23505');
    expect(error.message).toBe('duplicate key value violates unique constraint "t_pkey"');
    expect(error.fields.detail).toBe('Key (c0)=(5) already exists.');
    expect(world.entries).toBe(2);
  });

  test('refuses a key of the same transaction', () => {
    const world = new World();
    const a = world.begin();
    world.insert(a, 5);
    expect(world.insert(a, 5)).toBe(BT_DUPLICATE);
  });

  test('waits for a running inserter; what it does decides', () => {
    for (const commits of [true, false]) {
      const world = new World();
      const a = world.begin();
      world.insert(a, 5);
      const b = world.begin();
      expect(world.insert(b, 5)).toBe(MISS);
      expect(world.solo.want).toEqual({ kind: 'xactWait', fxid: a.xid });
      if (commits) a.commit();
      else a.abort();
      expect(world.enter(b, 5, world.rows.get(b)!.blk, world.rows.get(b)!.offnum, 'yes')).toBe(
        commits ? BT_DUPLICATE : BT_INSERTED,
      );
    }
  });

  test('waits for a running deleter; what it does decides', () => {
    for (const commits of [true, false]) {
      const world = new World();
      const a = world.begin();
      world.insert(a, 5);
      const row = world.rows.get(a)!;
      a.commit();
      const d = world.begin();
      world.remove(d, row);
      const b = world.begin();
      expect(world.insert(b, 5)).toBe(MISS);
      expect(world.solo.want).toEqual({ kind: 'xactWait', fxid: d.xid });
      if (commits) d.commit();
      else d.abort();
      expect(world.enter(b, 5, world.rows.get(b)!.blk, world.rows.get(b)!.offnum, 'yes')).toBe(
        commits ? BT_INSERTED : BT_DUPLICATE,
      );
    }
  });

  test('has room for nulls without end, unless they are not distinct', () => {
    const world = new World();
    const a = world.begin();
    for (let i = 0; i < 1000; i++) expect(world.insert(a, null)).toBe(BT_INSERTED);
    const strict = new World(true);
    const b = strict.begin();
    expect(strict.insert(b, null)).toBe(BT_INSERTED);
    expect(strict.insert(b, null)).toBe(BT_DUPLICATE);
  });

  test('partial and existing checks: a deferred constraint', () => {
    const world = new World();
    const a = world.begin();
    world.insert(a, 5);
    const old = world.rows.get(a)!;
    a.commit();
    const b = world.begin();
    expect(world.insert(b, 6, 'partial')).toBe(BT_INSERTED);
    expect(world.insert(b, 5, 'partial')).toBe(BT_NOT_UNIQUE);
    const row = world.rows.get(b)!;
    expect(world.entries).toBe(3);
    expect(world.enter(b, 5, row.blk, row.offnum, 'existing')).toBe(BT_DUPLICATE);
    world.remove(b, old);
    expect(world.enter(b, 5, row.blk, row.offnum, 'existing')).toBe(BT_INSERTED);
    expect(world.entries).toBe(3);
    expect(() => world.enter(b, 7, row.blk, row.offnum, 'existing')).toThrow(
      'failed to re-find tuple within index "t_pkey"',
    );
  });

  test('is asked for conflicts beforehand, and then inserted into without a miss', () => {
    const world = new World(false, true);
    const a = world.begin();
    for (let i = 0; i < 800; i++) world.insert(a, 2 * i);
    a.commit();
    const b = world.begin();
    world.ctx.xact = b;
    expect(retry(world.solo, () => btFindConflict(world.index, world.ctx, world.heap, [7]))).toBe(BT_INSERTED);
    expect(retry(world.solo, () => btFindConflict(world.index, world.ctx, world.heap, [8]))).toBe(BT_DUPLICATE);
    for (let i = 0; i < 800; i++) {
      world.solo.recallAll();
      const key = 2 * i + 1;
      const entries = world.solo.records.length;
      expect(retry(world.solo, () => btInsert(world.index, world.ctx, world.heap, [key], 0, 1, 'yes', true))).toBe(
        BT_INSERTED,
      );
      expect(world.solo.records.length).toBe(entries);
      expect(btInsert(world.index, world.ctx, world.heap, [key], 9, 1 + (i % 200), 'yes')).toBe(BT_INSERTED);
    }
    expect(world.entries).toBe(1600);
  });

  test('forgets rows that are dead to everyone instead of growing', () => {
    const world = new World();
    for (let round = 0; round < 1200; round++) {
      const x = world.begin();
      expect(world.insert(x, 5)).toBe(BT_INSERTED);
      const row = world.rows.get(x)!;
      x.commit();
      const d = world.begin();
      world.remove(d, row);
      d.commit();
    }
    expect(world.solo.records.map(record => (record.rmid === 11 ? btreeRmgr.identify(record.info) : ''))).toContain(
      'DELETE',
    );
    expect(world.solo.relation(16385).forks[0]!.blocks).toBe(2);
  });
});
