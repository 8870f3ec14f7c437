import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Datum } from '@pgtroupe/common/datum';
import { BLCKSZ } from '@pgtroupe/common/ids';
import { pageGetItemId, pageSetItemId } from '@pgtroupe/storage/page/bufpage';
import { itemIdGetLength, itemIdGetOffset, LP_DEAD, makeItemId } from '@pgtroupe/storage/page/itemid';
import {
  compareDatum,
  expectSamePages,
  makeRows,
  random,
  sorted,
  tid,
  World,
} from '@pgtroupe/testkit/access/nbtree-world';
import { INDOPTION_DESC, INDOPTION_NULLS_FIRST } from './btindex.ts';
import { btreeRmgr } from './nbtredo.ts';
import { BT_EQUAL, BT_GREATER, BT_GREATER_EQUAL, BT_LESS, BT_LESS_EQUAL, BTScan, type BTScanKey } from './nbtscan.ts';

const SHAPES: readonly {
  readonly types: readonly string[];
  readonly options?: readonly number[];
  readonly spread: number;
  readonly include?: number;
}[] = [
  { types: ['int4'], spread: 1e6 },
  { types: ['int4'], spread: 20 },
  { types: ['int4'], options: [INDOPTION_DESC | INDOPTION_NULLS_FIRST], spread: 5000 },
  { types: ['int8', 'int2'], spread: 300 },
  { types: ['int4', 'int4'], options: [0, INDOPTION_DESC], spread: 60 },
  { types: ['text'], spread: 3000 },
  { types: ['oid', 'name'], spread: 400 },
  { types: ['text', 'int4', 'bool'], spread: 30 },
  { types: ['float8', 'text'], spread: 100, include: 1 },
];

describe('insertion', () => {
  test.for(SHAPES)(
    'of $types (spread $spread) keeps the tree sound and complete, and replays to the same pages',
    ({ types, options, spread, include }) => {
      const world = new World(types, options, { include: include ?? 0 });
      const image = world.solo.takeImage();
      const rows = makeRows(types, 6000, spread, 77 + spread);
      for (const row of rows) world.insert(row);
      expect(world.verify()).toBe(rows.length);
      const inOrder = sorted(world.index, rows).map(tid);
      expect(world.scan([], [], true)).toEqual(inOrder);
      expect(world.scan([], [], false)).toEqual(inOrder.toReversed());
      for (const record of world.solo.records) image.apply(record, btreeRmgr);
      expectSamePages(world, image);
    },
  );

  test('in ascending order leaves pages nine tenths full', () => {
    const world = new World(['int4']);
    for (let i = 0; i < 40_000; i++) world.insert({ values: [i], block: i >> 7, offset: 1 + (i & 127) });
    expect(world.verify()).toBe(40_000);
    expect(world.rel.forks[0]!.blocks).toBeLessThan(40_000 / (0.88 * 407) + 4);
  });

  test('of one value only fills pages to 96 percent', () => {
    const world = new World(['int4']);
    for (let i = 0; i < 20_000; i++) world.insert({ values: [7], block: i >> 7, offset: 1 + (i & 127) });
    expect(world.verify()).toBe(20_000);
    expect(world.rel.forks[0]!.blocks).toBeLessThan(20_000 / (0.94 * 407) + 4);
  });

  test('into posting lists splits them', () => {
    const all = makeRows(['int4'], 12_000, 12, 5);
    const world = new World(['int4'], [], { build: all.filter((_, i) => i % 2 === 0) });
    const image = world.solo.takeImage();
    for (const row of all.filter((_, i) => i % 2 === 1)) world.insert(row);
    expect(world.verify()).toBe(all.length);
    expect(world.scan([], [], true)).toEqual(sorted(world.index, all).map(tid));
    const names = new Set(world.solo.records.map(record => btreeRmgr.identify(record.info)));
    expect([...names]).toContain('INSERT_POST');
    for (const record of world.solo.records) image.apply(record, btreeRmgr);
    expectSamePages(world, image);
  });

  test('meets a dead posting list by removing it', () => {
    const built = Array.from({ length: 100 }, (_, i) => ({ values: [1], block: 2 * i, offset: 5 }));
    const world = new World(['int4'], [], { build: built });
    const leaf = world.rel.forks[0]!.slots[1]! * BLCKSZ;
    const id = pageGetItemId(world.solo.mem, leaf, 1);
    pageSetItemId(world.solo.mem, leaf, 1, makeItemId(itemIdGetOffset(id), LP_DEAD, itemIdGetLength(id)));
    world.insert({ values: [1], block: 51, offset: 9 });
    expect(world.solo.records.map(record => btreeRmgr.identify(record.info))).toContain('DELETE');
    expect(world.scan([], [], true)).toContain('51,9');
    world.verify();
  });

  test('works when every page must be fetched and is taken away again', () => {
    const world = new World(['text'], [], { misses: true });
    const rows = makeRows(['text'], 2500, 1e5, 3);
    rows.forEach((row, i) => {
      if (i % 3 === 0) world.solo.recallAll();
      world.insert(row);
    });
    expect(world.verify()).toBe(rows.length);
    expect(world.scan([], [], true)).toEqual(sorted(world.index, rows).map(tid));
  });

  test('a tree of four levels', () => {
    const world = new World(['text'], [], { pages: 3000 });
    const next = random(61);
    const rows = Array.from({ length: 3000 }, (_, i) => ({
      values: [Uint8Array.from({ length: 1500 }, () => next(256))],
      block: i,
      offset: 1,
    }));
    for (const row of rows) world.insert(row);
    expect(world.verify()).toBe(rows.length);
    expect(world.index.rootLevel).toBeGreaterThanOrEqual(3);
  });

  test('refuses what is larger than a third of a page, even compressed', () => {
    const world = new World(['text']);
    const next = random(67);
    world.insert({ values: [Buffer.alloc(100_000, 65)], block: 3, offset: 3 });
    const incompressible = Uint8Array.from({ length: 2800 }, () => next(256));
    expect(() => world.insert({ values: [incompressible], block: 3, offset: 4 })).toThrow(
      'index row size 2816 exceeds btree version 4 maximum 2704 for index "i"',
    );
  });
});

describe('a crash', () => {
  test('after any record leaves a tree that the next insertions complete', () => {
    const rows = makeRows(['int4', 'text'], 1500, 500, 11);
    const world = new World(['int4', 'text']);
    const start = world.solo.takeImage();
    for (const row of rows) world.insert(row);
    const { records } = world.solo;
    const interesting = records.flatMap((record, i) =>
      /SPLIT|NEWROOT/.test(btreeRmgr.identify(record.info)!) ? [i] : [],
    );
    expect(interesting.length).toBeGreaterThan(10);
    for (const stop of interesting) {
      const crashed = new World(['int4', 'text']);
      start.mem.u8.set(crashed.solo.mem.u8);
      const redo = crashed.solo.takeImage();
      for (let i = 0; i <= stop; i++) redo.apply(records[i]!, btreeRmgr);
      const blocks =
        Math.max(...records.slice(0, stop + 1).flatMap(record => record.blocks.map(block => block!.blkno as number))) +
        1;
      while (crashed.rel.forks[0]!.blocks < blocks) crashed.solo.addPage(crashed.rel, 0);
      for (let blk = 0; blk < blocks; blk++) {
        const from = redo.page(crashed.rel.rnode, 0, blk);
        crashed.solo.mem.u8.set(redo.mem.u8.subarray(from, from + BLCKSZ), crashed.rel.forks[0]!.slots[blk]! * BLCKSZ);
      }
      const before = crashed.scan([], [], true);
      const missing = rows.filter(row => !before.includes(tid(row)));
      for (const row of missing) crashed.insert(row);
      expect(crashed.scan([], [], true)).toEqual(sorted(crashed.index, rows).map(tid));
      expect(crashed.verify()).toBe(rows.length);
    }
  }, 60_000);

  test('of one instance: each page is rebuilt by itself', () => {
    const rows = makeRows(['int4'], 4000, 1e6, 19);
    const world = new World(['int4'], [], { images: false });
    const image = world.solo.takeImage();
    for (const row of rows) world.insert(row);
    for (let blk = 0; blk < world.rel.forks[0]!.blocks; blk++) {
      image.only = { rnode: world.rel.rnode, fork: 0, blkno: blk as never };
      for (const record of world.solo.records) image.apply(record, btreeRmgr);
    }
    expectSamePages(world, image);
  });

  test('full-page images replay, too', () => {
    const world = new World(['int4', 'text'], [], { images: true });
    const image = world.solo.takeImage();
    for (const row of makeRows(['int4', 'text'], 1500, 200, 23)) world.insert(row);
    for (const record of world.solo.records) image.apply(record, btreeRmgr);
    expectSamePages(world, image);
  });
});

describe('scans', () => {
  const holds = (strategy: number, order: number): boolean =>
    strategy === BT_LESS
      ? order < 0
      : strategy === BT_LESS_EQUAL
        ? order <= 0
        : strategy === BT_EQUAL
          ? order === 0
          : strategy === BT_GREATER_EQUAL
            ? order >= 0
            : order > 0;

  const types = ['int4', 'text'];
  const worlds = [
    [0, 0],
    [INDOPTION_DESC, INDOPTION_NULLS_FIRST],
    [INDOPTION_NULLS_FIRST, INDOPTION_DESC],
  ].map((options, i) => {
    const rows = makeRows(types, 4000, 40, 31 + i);
    const world = new World(types, options, i === 0 ? { build: rows } : {});
    if (i > 0) for (const row of rows) world.insert(row);
    return { world, rows: sorted(world.index, rows) };
  });
  const key = fc.record({
    attno: fc.constantFrom(1, 2),
    strategy: fc.constantFrom(BT_LESS, BT_LESS_EQUAL, BT_EQUAL, BT_GREATER_EQUAL, BT_GREATER),
    test: fc.constantFrom('compare', 'compare', 'compare', 'isNull', 'isNotNull'),
    value: fc.integer({ min: -1, max: 41 }),
  });

  test('find what a filter over all rows finds, in order, both ways', () => {
    fc.assert(
      fc.property(fc.nat(2), fc.array(key, { maxLength: 4 }), fc.boolean(), (which, keys, forward) => {
        const { world, rows } = worlds[which]!;
        const values = keys.map(
          ({ attno, value }): Datum =>
            attno === 1 ? value : Buffer.from(`${'x'.repeat(value % 7 === 0 ? 150 : Math.abs(value) % 5)}${value}`),
        );
        const wanted = rows
          .filter(row =>
            keys.every((k, i) => {
              const stored = row.values[k.attno - 1]!;
              if (k.test === 'isNull') return stored === null;
              if (k.test === 'isNotNull') return stored !== null;
              return stored !== null && holds(k.strategy, compareDatum(stored, values[i]!, 0));
            }),
          )
          .map(tid);
        const scanKeys = keys.map(
          ({ attno, test: kind, strategy }) =>
            (kind === 'compare' ? { attno, test: kind, strategy } : { attno, test: kind }) as BTScanKey,
        );
        expect(world.scan(scanKeys, values, forward)).toEqual(forward ? wanted : wanted.toReversed());
      }),
      { numRuns: 1500 },
    );
  }, 60_000);

  test('with null for a value find nothing', () => {
    expect(worlds[0]!.world.scan([{ attno: 1, test: 'compare', strategy: BT_EQUAL }], [null], true)).toEqual([]);
  });

  test('go on through splits that happen between batches', () => {
    for (const forward of [true, false]) {
      const next = random(99);
      const world = new World(['int4']);
      const first = makeRows(['int4'], 4000, 1e6, 41).filter(row => row.values[0] !== null);
      for (const row of first) world.insert(row);
      const scan = new BTScan(world.index, world.solo, []);
      scan.rescan([], forward);
      const seen: string[] = [];
      for (let batch = 0; ; batch++) {
        const count = scan.nextBatch();
        if (count === 0) break;
        for (let i = 0; i < count; i++) seen.push(`${scan.tids[2 * i]},${scan.tids[2 * i + 1]}`);
        for (let i = 0; i < 300; i++) world.insert({ values: [next(1e6)], block: 1e6 + batch, offset: 1 + i });
      }
      const old = new Set(first.map(tid));
      const seenOld = seen.filter(t => old.has(t));
      const wanted = sorted(world.index, first).map(tid);
      expect(seenOld).toEqual(forward ? wanted : wanted.toReversed());
      expect(new Set(seen).size).toBe(seen.length);
    }
  });

  test('mark entries that are known dead, unless they have moved', () => {
    const rows = makeRows(['int4'], 300, 1e6, 71).filter(row => row.values[0] !== null);
    const world = new World(['int4']);
    for (const row of rows) world.insert(row);
    const scan = new BTScan(world.index, world.solo, []);
    scan.rescan([], true);
    const count = scan.nextBatch();
    expect(count).toBe(rows.length);
    const killed = new Set<string>();
    for (let i = 0; i < count; i += 2) {
      scan.kill(i);
      killed.add(`${scan.tids[2 * i]},${scan.tids[2 * i + 1]}`);
    }
    expect(world.scan([], [], true)).toEqual(
      sorted(world.index, rows)
        .map(tid)
        .filter(t => !killed.has(t)),
    );
    // Inserting shifts what comes behind: those are not killed any more.
    world.insert({ values: [-1], block: 9e5, offset: 1 });
    for (let i = 1; i < count; i += 2) scan.kill(i);
    expect(world.scan([], [], true).length).toBe(rows.length - killed.size + 1);
  });

  test('bring the index tuples along', () => {
    const { world, rows } = worlds[0]!;
    const scan = new BTScan(world.index, world.solo, [{ attno: 1, test: 'compare', strategy: BT_EQUAL }], true);
    scan.rescan([17], true);
    const count = scan.nextBatch();
    expect(count).toBeGreaterThan(1);
    const row = rows.find(r => tid(r) === `${scan.tids[2]},${scan.tids[3]}`)!;
    expect(scan.tuples.i32[(scan.tupleAt[1]! + (row.values[1] === null ? 16 : 8)) >>> 2]).toBe(17);
  });
});

describe('vacuum', () => {
  test.for([{ build: false }, { build: true }])(
    'removes exactly the given TIDs and replays (posting lists: $build)',
    ({ build }) => {
      const rows = makeRows(['int4'], 9000, build ? 40 : 1e6, 55);
      const world = new World(['int4'], [], build ? { build: rows } : {});
      if (!build) for (const row of rows) world.insert(row);
      const image = world.solo.takeImage();
      world.solo.records.length = 0;
      const next = random(8);
      const dead = new Set(rows.filter(() => next(3) === 0).map(tid));
      expect(world.vacuum(dead)).toBe(dead.size);
      const left = rows.filter(row => !dead.has(tid(row)));
      expect(world.scan([], [], true)).toEqual(sorted(world.index, left).map(tid));
      expect(world.verify()).toBe(left.length);
      for (const record of world.solo.records) image.apply(record, btreeRmgr);
      expectSamePages(world, image);
      for (const row of rows) if (dead.has(tid(row))) world.insert(row);
      expect(world.verify()).toBe(rows.length);
    },
  );

  test('goes on after a miss where it stopped', () => {
    const rows = makeRows(['int4'], 3000, 1e6, 57);
    const world = new World(['int4'], [], { misses: true });
    for (const row of rows) world.insert(row);
    world.solo.recallAll();
    const dead = new Set(rows.filter(row => row.block % 2 === 0).map(tid));
    expect(world.vacuum(dead)).toBe(dead.size);
  });
});
