import { describe, expect, test } from 'vitest';
import { BLCKSZ } from '@pgtroupe/common/ids';
import { expectSamePages, makeRows, random, type Row, sorted, tid, World } from '@pgtroupe/testkit/access/nbtree-world';
import { btreeRmgr } from './nbtredo.ts';
import { BTScan } from './nbtscan.ts';
import { BTREE_METAPAGE, btMetaFastlevel } from './nbtree.ts';

const wide = (n: number): Row => ({
  values: [Buffer.from(`${String(n).padStart(7, '0')}${'x'.repeat(480)}`)],
  block: n >> 6,
  offset: 1 + (n & 63),
});

/** Sixteen rows a page, so that the tree is high. */
function highTree(count: number, misses = false): { world: World; rows: Row[] } {
  const world = new World(['text'], [], { pages: 900, misses });
  const next = random(21);
  const rows = Array.from({ length: count }, (_, n) => wide(n));
  const shuffled = [...rows].sort(() => next(3) - 1);
  for (const row of shuffled) world.insert(row);
  return { world, rows };
}

function names(world: World): Set<string> {
  return new Set(world.solo.records.map(record => btreeRmgr.identify(record.info)!));
}

/** Everything that was deleted may be used again. */
function letAllGo(world: World): void {
  world.ctx.xact = { ...world.ctx.xact, oldestXmin: world.nextXid + 1 } as never;
}

function expectRows(world: World, rows: readonly Row[]): void {
  expect(world.verify()).toBe(rows.length);
  const inOrder = sorted(world.index, rows).map(tid);
  expect(world.scan([], [], true)).toEqual(inOrder);
  expect(world.scan([], [], false)).toEqual(inOrder.toReversed());
}

describe('deleting pages', () => {
  test.for([{ misses: false }, { misses: true }])(
    'whole subtrees go, are replayed, and their pages are used again (misses: $misses)',
    ({ misses }) => {
      const { world, rows } = highTree(1500, misses);
      const image = world.solo.takeImage();
      world.solo.records.length = 0;
      const dead = new Set(rows.filter((_, n) => n >= 100 && n < 1400).map(tid));
      expect(world.vacuum(dead)).toBe(dead.size);
      expect([...names(world)]).toEqual(expect.arrayContaining(['MARK_PAGE_HALFDEAD', 'UNLINK_PAGE', 'META_CLEANUP']));
      expect(world.stats!.pagesNewlyDeleted).toBeGreaterThan(70);
      expect(world.stats!.pagesDeleted).toBe(world.stats!.pagesNewlyDeleted);
      const left = rows.filter(row => !dead.has(tid(row)));
      expectRows(world, left);
      for (const record of world.solo.records) image.apply(record, btreeRmgr);
      expectSamePages(world, image);

      // As long as somebody may be on his way to them, they are not used.
      const before = world.rel.forks[0]!.blocks;
      for (let n = 200; n < 260; n++) world.insert(wide(n));
      expect(world.rel.forks[0]!.blocks).toBeGreaterThan(before);
      expect([...names(world)]).not.toContain('REUSE_PAGE');
      letAllGo(world);
      world.vacuum(new Set());
      expect(world.stats!.pagesFree).toBe(world.stats!.pagesDeleted);
      const after = world.rel.forks[0]!.blocks;
      world.index.extend = 0;
      for (let n = 260; n < 1400; n++) world.insert(wide(n));
      expect([...names(world)]).toContain('REUSE_PAGE');
      expect(world.rel.forks[0]!.blocks).toBeLessThan(after + 40);
      for (let n = 100; n < 200; n++) world.insert(wide(n));
      expectRows(world, rows);
    },
  );

  test('an index that is emptied has one leaf left, which searches reach by the fast root', () => {
    const { world, rows } = highTree(1200);
    world.vacuum(new Set(rows.map(tid)));
    expectRows(world, []);
    expect([...names(world)]).toContain('UNLINK_PAGE_META');
    const meta = world.rel.forks[0]!.slots[BTREE_METAPAGE]! * BLCKSZ;
    expect(btMetaFastlevel(world.solo.mem, meta)).toBe(0);
    letAllGo(world);
    world.vacuum(new Set());
    for (const row of rows) world.insert(row);
    expectRows(world, rows);
  });

  test('a death after any record leaves a tree that searches, insertions and the next vacuum know how to go on with', () => {
    const { world, rows } = highTree(500);
    const start = world.solo.takeImage();
    const blocks = world.rel.forks[0]!.blocks;
    world.solo.records.length = 0;
    const dead = new Set(rows.filter((_, n) => n >= 60 && n < 440).map(tid));
    world.vacuum(dead);
    const records = world.solo.records.slice();
    const stops = records.flatMap((record, i) => (/HALFDEAD|UNLINK/.test(btreeRmgr.identify(record.info)!) ? [i] : []));
    expect(stops.length).toBeGreaterThan(40);
    const left = rows.filter(row => !dead.has(tid(row)));
    for (const [nth, stop] of stops.entries()) {
      if (nth % 2 !== 0 && !/UNLINK_PAGE_META/.test(btreeRmgr.identify(records[stop]!.info)!)) continue;
      const crashed = new World(['text'], [], { pages: 900 });
      while (crashed.rel.forks[0]!.blocks < blocks) crashed.solo.addPage(crashed.rel, 0);
      for (let blk = 0; blk < blocks; blk++) {
        const from = start.page(world.rel.rnode, 0, blk);
        const to = crashed.rel.forks[0]!.slots[blk]! * BLCKSZ;
        crashed.solo.mem.u8.set(start.mem.u8.subarray(from, from + BLCKSZ), to);
      }
      const redo = crashed.solo.takeImage();
      for (let i = 0; i <= stop; i++) redo.apply(records[i]!, btreeRmgr);
      for (let blk = 0; blk < blocks; blk++) {
        const from = redo.page(world.rel.rnode, 0, blk);
        const to = crashed.rel.forks[0]!.slots[blk]! * BLCKSZ;
        crashed.solo.mem.u8.set(redo.mem.u8.subarray(from, from + BLCKSZ), to);
      }
      crashed.nextXid = world.nextXid;
      const seen = crashed.scan([], [], true);
      expect(crashed.scan([], [], false)).toEqual(seen.toReversed());
      expect(left.every(row => seen.includes(tid(row)))).toBe(true);
      crashed.insert({ ...wide(250), block: 7000 });
      crashed.vacuum(dead);
      expectRows(crashed, [...left, { ...wide(250), block: 7000 }]);
    }
  }, 120_000);

  test('scans in both directions go on through it, and so do insertions', () => {
    for (const forward of [true, false]) {
      const { world, rows } = highTree(700);
      const scan = new BTScan(world.index, world.solo, []);
      scan.rescan([], forward);
      const next = random(5);
      const seen: string[] = [];
      const dead = new Set(rows.filter((_, n) => n % 100 > 7).map(tid));
      const added: Row[] = [];
      world.changes = true;
      let ended = false;
      world.between = () => {
        if (next(4) === 0) {
          const row = { ...wide(next(700)), block: 9000 + added.length };
          added.push(row);
          world.insert(row);
        }
        if (next(6) > 0 || ended) return;
        const count = scan.nextBatch();
        ended = count === 0;
        for (let i = 0; i < count; i++) seen.push(`${scan.tids[2 * i]},${scan.tids[2 * i + 1]}`);
      };
      world.vacuum(dead);
      while (!ended) world.between();
      const left = rows.filter(row => !dead.has(tid(row)));
      const wanted = sorted(world.index, left).map(tid);
      const old = new Set(wanted);
      const seenOld = seen.filter(t => old.has(t));
      expect(seenOld).toEqual(forward ? wanted : wanted.toReversed());
      expectRows(world, [...left, ...added]);
    }
  });

  test('entries that splits move to pages which the scan has passed are met all the same', () => {
    for (let seed = 1; seed <= 3; seed++) {
      const world = new World(['int4'], [], { pages: 600 });
      const first = makeRows(['int4'], 12_000, 1e6, seed).filter(row => row.values[0] !== null);
      for (const row of first) world.insert(row);
      // Room to move to, at low block numbers.
      const byKey = sorted(world.index, first);
      const third = Math.floor(byKey.length / 3);
      const gone = new Set(byKey.slice(third, 2 * third).map(tid));
      world.vacuum(gone);
      letAllGo(world);
      world.vacuum(new Set());
      expect(world.stats!.pagesFree).toBeGreaterThan(5);
      const rest = first.filter(row => !gone.has(tid(row)));
      const next = random(seed);
      const dead = new Set(rest.filter(() => next(2) === 0).map(tid));
      const added: Row[] = [];
      world.changes = true;
      world.index.extend = 0;
      world.between = () => {
        world.index.extend = 0;
        for (let i = 0; i < 40; i++) {
          const row = { values: [next(1e6)], block: 50_000 + added.length, offset: 1 };
          added.push(row);
          world.insert(row);
        }
      };
      world.vacuum(dead);
      expectRows(world, [...rest.filter(row => !dead.has(tid(row))), ...added]);
      expect([...names(world)]).toContain('REUSE_PAGE');
    }
  }, 60_000);
});
