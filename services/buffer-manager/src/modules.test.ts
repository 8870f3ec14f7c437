import type { Oid, RelFileNode } from '@pgtroupe/common/ids';
import { MemoryDisk } from '@pgtroupe/testkit/sim/memory-disk';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FreeSpaceMap, RelationFreeSpace } from './free-space-map.ts';
import { readFsmFork, writeFsmFork } from './fsm-fork.ts';
import { OidAllocator } from './oid-allocator.ts';
import { ProcArray } from './proc-array.ts';
import { RelationDirectory } from './relation-directory.ts';
import { StorageManager } from './smgr.ts';
import { XidReservation } from './xid-reservation.ts';

const REL: RelFileNode = { spcNode: 1663 as Oid, dbNode: 5 as Oid, relNode: 20000 as Oid };

describe('ProcArray', () => {
  it('reserved ids run; the horizon is held by ids, reports and grants', () => {
    const procs = new ProcArray(100);
    const [a, b, c] = [procs.allocate(), procs.allocate(), procs.allocate()];
    expect(procs.snapshot()).toEqual({ csn: 0, xmin: 100, xmax: 103, xip: [100, 101, 102] });
    const pin = procs.pin();
    pin.granted(procs.snapshot());
    procs.end(a);
    procs.end(b);
    procs.committed();
    expect(procs.snapshot()).toEqual({ csn: 1, xmin: 102, xmax: 103, xip: [102] });
    expect(procs.oldestXmin).toBe(100);
    pin.granted(procs.snapshot());
    // A report as of the first says nothing of the grant behind it.
    pin.reported(1, Number.MAX_SAFE_INTEGER);
    expect(procs.oldestXmin).toBe(102);
    procs.end(c);
    expect(procs.oldestXmin).toBe(102);
    // Nor if only a rollback lies between the two.
    procs.allocate();
    pin.granted(procs.snapshot());
    pin.reported(2, Number.MAX_SAFE_INTEGER);
    expect(procs.snapshot().csn).toBe(1);
    procs.end(103);
    expect(procs.oldestXmin).toBe(103);
    pin.reported(3, Number.MAX_SAFE_INTEGER);
    expect(procs.oldestXmin).toBe(104);
    procs.unpin(pin);
  });

  it('never lets the horizon pass a snapshot that may be in use, however many are granted', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(4), { maxLength: 400 }), steps => {
        const procs = new ProcArray(1000);
        const pin = procs.pin();
        const granted: { xmin: number }[] = [];
        let count = 0;
        for (const step of steps) {
          if (step === 0) procs.allocate();
          else if (step === 1 && procs.running.length > 0) {
            procs.end(procs.running[0]!);
            procs.committed();
          } else if (step === 4 && procs.running.length > 0) procs.end(procs.running[0]!);
          else if (step === 2) {
            const snapshot = procs.snapshot();
            pin.granted(snapshot);
            granted.push(snapshot);
          } else if (granted.length > 1) {
            count += granted.splice(0, Math.ceil(granted.length / 2)).length;
            // Nothing that was seen is in use; what was granted since is on its way.
            pin.reported(count, Number.MAX_SAFE_INTEGER);
          }
          for (const snapshot of granted) expect(procs.oldestXmin).toBeLessThanOrEqual(snapshot.xmin);
        }
      }),
    );
  });

  it('skips the special ids of every epoch', () => {
    const procs = new ProcArray(2 ** 32 - 1);
    expect([procs.allocate(), procs.allocate()]).toEqual([2 ** 32 - 1, 2 ** 32 + 3]);
  });
});

describe('OidAllocator', () => {
  it('logs ahead and wraps to the first normal OID', () => {
    const logged: number[] = [];
    const oids = new OidAllocator(16384, next => logged.push(next));
    expect(oids.allocate(10)).toBe(16384);
    expect(oids.allocate(1)).toBe(16394);
    expect(logged).toEqual([16384 + 8192]);
    for (let n = 0; n < 900; n++) oids.allocate(10);
    expect(logged).toHaveLength(2);
    oids.next = 0xfffffff0;
    oids.loggedUntil = 0xffffffff;
    expect(oids.allocate(100)).toBe(16384);
  });
});

describe('RelationDirectory', () => {
  it('keeps the forks that were asked for, until the relation is forgotten', () => {
    const relations = new RelationDirectory();
    const other = { ...REL, dbNode: 6 as Oid };
    const main = relations.forkOf(REL, 0);
    relations.forkOf(other, 2);
    expect(relations.forkOf(REL, 0)).toBe(main);
    expect([...relations.forks()].map(({ rnode, fork }) => [rnode.dbNode, fork])).toEqual([
      [5, 0],
      [6, 2],
    ]);
    relations.forget(REL);
    // Who answers late makes nothing of it.
    expect(relations.knownFork(REL, 0)).toBeUndefined();
    expect([...relations.forks()].map(({ rnode }) => rnode)).toEqual([other]);
  });
});

describe('XidReservation', () => {
  it('gives out ids only behind a durable record that names a later one, a page of pg_xact at a time', () => {
    const logged: [first: number, last: number][] = [];
    const ids = new XidReservation(32768 - 1500, (first, last) => {
      logged.push([first, last]);
      return 100 * logged.length;
    });
    expect(ids.limit(0)).toBe(31268);
    ids.prepare(31268, 0);
    expect(logged).toEqual([[31268, 32291]]);
    expect([ids.limit(99), ids.flushWanted]).toEqual([31268, 100]);
    // One record at a time.
    ids.prepare(31268, 99);
    expect(logged).toHaveLength(1);
    expect(ids.limit(100)).toBe(32292);
    ids.prepare(31268 + 511, 100);
    expect(logged).toHaveLength(1);
    ids.prepare(31268 + 512, 100);
    expect(logged.slice(1)).toEqual([[32292, 32767]]);
    // What was durable stays so.
    expect(ids.limit(100)).toBe(32292);
    expect(ids.limit(200)).toBe(32768);
    ids.prepare(32768, 200);
    expect(logged.slice(2)).toEqual([[32768, 33791]]);
  });
});

describe('free space map', () => {
  it('finds a block exactly when there is one', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(900), fc.nat(8191)), { maxLength: 80 }),
        fc.integer({ min: 1, max: 8160 }),
        (records, need) => {
          const fsm = new FreeSpaceMap();
          const truth = new Map<number, number>();
          for (const [blk, avail] of records) {
            fsm.record(REL, blk, avail);
            truth.set(blk, Math.floor(avail / 32) * 32);
            const found = fsm.find(REL, need);
            const fits = [...truth].filter(([, free]) => free >= Math.min(255, Math.ceil(need / 32)) * 32);
            if (found === 0xffffffff) expect(fits).toEqual([]);
            else expect(fits.map(([b]) => b)).toContain(found);
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  it('round-trips through its fork, over several pages', async () => {
    const disk = new MemoryDisk();
    for (const folder of ['base', 'base/5']) await disk.mkdir(folder);
    const smgr = new StorageManager(disk);
    const space = new RelationFreeSpace(REL);
    const blocks = 9000;
    for (let blk = 0; blk < blocks; blk += 7) space.set(blk, 1 + (blk % 255));
    await writeFsmFork(smgr, space);
    expect(await smgr.nblocks(REL, 1)).toBe(2 + 3);
    const again = new RelationFreeSpace(REL);
    await readFsmFork(smgr, again, blocks);
    expect(again.cats.subarray(0, blocks)).toEqual(space.cats.subarray(0, blocks));
  });
});

describe('StorageManager', () => {
  it('crosses segments of 1 GB', async () => {
    const disk = new MemoryDisk();
    for (const folder of ['base', 'base/5']) await disk.mkdir(folder);
    const smgr = new StorageManager(disk);
    await smgr.create(REL, 0);
    const file = await disk.open('base/5/20000', 'write');
    await file.truncate(131071 * 8192);
    await smgr.extend(REL, 0, 131071, 131074);
    expect(await smgr.nblocks(REL, 0)).toBe(131074);
    expect((await disk.stat('base/5/20000.1'))?.sizeBytes).toBe(2 * 8192);
    const image = new Uint8Array(8192).fill(9);
    await smgr.write(REL, 0, 131073, image);
    const got = new Uint8Array(8192);
    await smgr.read(REL, 0, 131073, got);
    expect(got).toEqual(image);
    await smgr.truncate(REL, 0, 131072);
    expect(await smgr.nblocks(REL, 0)).toBe(131072);
    await smgr.unlink(REL, 0, true);
    expect(await disk.stat('base/5/20000.1')).toBeUndefined();
    expect((await disk.stat('base/5/20000'))?.sizeBytes).toBe(0);
  });
});
