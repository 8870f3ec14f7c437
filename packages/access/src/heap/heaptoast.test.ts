import { randomFillSync } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Datum } from '@pgtroupe/common/datum';
import { MISS } from '@pgtroupe/storage/buffer/pages';
import { DETOAST_MISS, registerToastFetcher } from '../common/detoast.ts';
import { heapDeformTuple, heapFormTuple, tupleLayout } from '../common/heaptuple.ts';
import { tupleMemory } from '../common/htup.ts';
import { pglzCompress, pglzDecompress } from '../common/pg-lzcompress.ts';
import { toastCompressDatum } from '../common/toast-compression.ts';
import { fetchVarlena, VarlenaImage } from '../common/tupmacs.ts';
import { BTIndex } from '../nbtree/btindex.ts';
import { btInitMetaPage, emptyMeta } from '../nbtree/nbtree.ts';
import { attributeOf, describeRow } from '@pgtroupe/testkit/access/attributes';
import { oracleMissing, psql } from '@pgtroupe/testkit/oracle';
import { retry, SoloPages } from '@pgtroupe/testkit/access/solo-pages';
import { ToastReader } from '@pgtroupe/testkit/access/solo-toast';
import { SoloTransactions } from '@pgtroupe/testkit/access/solo-xact';
import { HeapContext, heapRelation } from './heapam-context.ts';
import { heapDelete } from './heapam-delete.ts';
import { heapInsert } from './heapam-insert.ts';
import { heapGetPage, HeapPageBatch } from './heapam-scan.ts';
import { HeapToaster, heapTupleHasExternal, TOAST_DONE, type ToastTable } from './heaptoast.ts';

const desc = describeRow('int4', 'text', 'text');
const layout = tupleLayout(desc);

function random(length: number): Uint8Array {
  return randomFillSync(new Uint8Array(length));
}

class World {
  readonly solo: SoloPages;
  readonly xacts: SoloTransactions;
  readonly ctx: HeapContext;
  readonly rel;
  readonly toast: ToastTable;
  readonly toaster: HeapToaster;
  #nextOid = 20000;

  constructor(misses: boolean) {
    this.solo = new SoloPages({ pages: 200, misses });
    this.xacts = new SoloTransactions(this.solo);
    this.ctx = new HeapContext(this.solo, this.solo.wal, this.xacts.begin());
    this.rel = heapRelation(this.solo.relation(16384), 16384 as never);
    const indexFiles = this.solo.relation(16386);
    const index = new BTIndex({
      rel: indexFiles,
      name: 'pg_toast_16384_index',
      tableName: 'pg_toast_16384',
      att: describeRow('oid', 'int4'),
      unique: true,
      keys: [
        { orderProc: 'btoidcmp', option: 0 },
        { orderProc: 'btint4cmp', option: 0 },
      ],
    });
    btInitMetaPage(this.solo.mem, this.solo.addPage(indexFiles, 0), emptyMeta(index.allequalimage));
    this.toast = { oid: 16385 as never, heap: heapRelation(this.solo.relation(16385), 16385 as never), index };
    this.toaster = new HeapToaster(this.ctx, desc, this.toast, () => this.#nextOid++, this.solo.arenaStart);
    const reader = new ToastReader(this.ctx, () => this.toast);
    registerToastFetcher(this.solo.mem, reader);
  }

  run(): void {
    while (retry(this.solo, () => this.toaster.step()) !== TOAST_DONE);
  }

  insert(values: Datum[]): void {
    this.toaster.store(values, 0 as never);
    this.run();
    const len = heapFormTuple(layout, this.toaster.values, this.solo.mem, this.solo.arenaStart);
    expect(len).toBeLessThanOrEqual(8160);
    retry(this.solo, () => heapInsert(this.ctx, this.rel, this.solo.arenaStart, len, 0 as never));
  }

  /** Reads the only row, satisfying what detoasting lacks. */
  read(): Datum[] {
    const batch = new HeapPageBatch();
    const values: Datum[] = [];
    retry(this.solo, () => {
      if (heapGetPage(this.ctx, this.rel, 0, this.xacts.snapshot(9), batch) === MISS) return MISS;
      try {
        heapDeformTuple(layout, this.solo.mem, batch.tuples[0]!, 3, values);
      } catch (error) {
        if (error !== DETOAST_MISS) throw error;
        return MISS;
      }
      return 0;
    });
    return values;
  }
}

describe.each([[false], [true]])('large values, tokens lacking at first: %s', misses => {
  test.each([
    ['compressible: stays in the row', new Uint8Array(Buffer.from('abcdefgh'.repeat(2000))), new Uint8Array(10), false],
    ['random: moved in chunks', random(50_000), new Uint8Array(10), true],
    ['exactly one chunk', random(1996), random(1500), true],
    ['both large', random(7000), new Uint8Array(Buffer.from('xyz'.repeat(100_000))), true],
  ] as const)('%s', (_, a, b, external) => {
    const w = new World(misses);
    w.ctx.xact = w.xacts.begin();
    w.insert([1, a, b]);
    (w.ctx.xact as ReturnType<SoloTransactions['begin']>).commit();
    w.ctx.xact = w.xacts.begin();
    w.solo.recallAll();
    const [id, c, d] = w.read();
    expect(id).toBe(1);
    expect(Buffer.from(a).equals(c as Uint8Array)).toBe(true);
    expect(Buffer.from(b).equals(d as Uint8Array)).toBe(true);
    expect(w.solo.relation(16385).forks[0]!.blocks > 0).toBe(external);
  });

  test('what a deleted row pointed to is deleted too', () => {
    const w = new World(misses);
    const x = w.xacts.begin();
    w.ctx.xact = x;
    w.insert([1, random(30_000), null]);
    x.commit();
    const y = w.xacts.begin();
    w.ctx.xact = y;
    const batch = new HeapPageBatch();
    const count = (blocks: number, rel = w.toast.heap): number => {
      let n = 0;
      for (let blk = 0; blk < blocks; blk++)
        n += retry(w.solo, () => heapGetPage(w.ctx, rel, blk, w.xacts.snapshot(9), batch));
      return n;
    };
    expect(count(w.solo.relation(16385).forks[0]!.blocks)).toBe(16);
    expect(retry(w.solo, () => heapDelete(w.ctx, w.rel, 0, 1, 0 as never))).toBe(0);
    expect(heapTupleHasExternal(w.solo.mem, w.ctx.tuple)).toBe(true);
    w.toaster.remove(w.ctx.tuple, 0 as never);
    w.run();
    y.commit();
    w.ctx.xact = w.xacts.begin();
    expect(count(w.solo.relation(16385).forks[0]!.blocks)).toBe(0);
  });
});

test('a main column is moved only when the row would not fit on a page; a plain one never', () => {
  const w = new World(false);
  const storages = (storage: 'm' | 'p') => ({ attrs: [attributeOf('int4'), { ...attributeOf('text'), storage }] });
  w.ctx.xact = w.xacts.begin();
  const main = new HeapToaster(w.ctx, storages('m'), w.toast, () => 1, w.solo.arenaStart);
  main.store([1, random(5000)], 0 as never);
  main.step();
  expect(main.values[1]).toBeInstanceOf(Uint8Array);
  main.store([1, random(9000)], 0 as never);
  main.step();
  expect((main.values[1] as VarlenaImage).bytes.length).toBe(18);
  const plain = new HeapToaster(w.ctx, storages('p'), w.toast, () => 1, w.solo.arenaStart);
  plain.store([1, random(9000)], 0 as never);
  plain.step();
  expect(plain.values[1]).toBeInstanceOf(Uint8Array);
});

test('pglz: what is compressed comes back', () => {
  const pieces = fc.array(
    fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc
        .tuple(fc.uint8Array({ minLength: 1, maxLength: 6 }), fc.nat(300))
        .map(([unit, n]) => Buffer.concat(Array.from({ length: n }, () => unit))),
    ),
    { maxLength: 30 },
  );
  let compressed = 0;
  fc.assert(
    fc.property(pieces, list => {
      const source = new Uint8Array(Buffer.concat(list));
      const packed = pglzCompress(source);
      if (packed === undefined) return;
      compressed++;
      expect(packed.length).toBeLessThan(source.length * 0.75);
      const out = new Uint8Array(source.length);
      expect(pglzDecompress(packed, 0, packed.length, out)).toBe(source.length);
      expect(Buffer.from(out).equals(source)).toBe(true);
    }),
    { numRuns: 300 },
  );
  expect(compressed).toBeGreaterThan(50);
});

const missing = oracleMissing();
test.skipIf(missing !== undefined)(
  `PostgreSQL decompresses what we compress${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    const text = Array.from({ length: 300 }, (_, i) => `line ${i % 17} of ${i};`).join('');
    const w = new World(false);
    w.toaster.store([1, Buffer.from(text), random(5)], 0 as never);
    w.toaster.step();
    const image = (w.toaster.values[1] as VarlenaImage).bytes;
    const mem = tupleMemory(new Uint8Array(8192));
    mem.u8.set(image, 8);
    expect(Buffer.from(fetchVarlena(mem, 8)).toString()).toBe(text);
    // pageinspect hands our bytes to PostgreSQL's own tuple code, which detoasts them.
    const page = w.solo.addPage(w.solo.relation(20000), 0);
    const len = heapFormTuple(layout, [1, w.toaster.values[1]!, null], w.solo.mem, w.solo.arenaStart);
    const database = `pgtroupe_toast_${process.pid}`;
    psql(`create database ${database}`);
    try {
      w.ctx.xact = w.xacts.begin();
      retry(w.solo, () =>
        heapInsert(w.ctx, heapRelation(w.solo.relation(20000), 20000 as never), w.solo.arenaStart, len, 0 as never),
      );
      const hex = Buffer.from(w.solo.mem.u8.subarray(page, page + 8192)).toString('hex');
      const theirs = psql(
        `create extension pageinspect; create table t (a int4, b text, c text);
       select convert_from((tuple_data_split('t'::regclass, t_data, t_infomask, t_infomask2, t_bits, true))[2], 'UTF8')
       from heap_page_items(decode('${hex}', 'hex'))`,
        database,
      );
      expect(theirs).toBe(text);
    } finally {
      psql(`drop database ${database} with (force)`);
    }
  },
);

test('a value whose compression is under way elsewhere is asked for again; then the row goes on with it', () => {
  const w = new World(false);
  w.ctx.xact = w.xacts.begin();
  const large = new Uint8Array(Buffer.from('abcdefgh'.repeat(2000)));
  const asked: number[] = [];
  const toaster = new HeapToaster(
    w.ctx,
    desc,
    w.toast,
    () => 1,
    w.solo.arenaStart,
    plain => {
      asked.push(plain.length);
      return asked.length < 3 ? MISS : toastCompressDatum(plain);
    },
  );
  toaster.store([1, large, null], 0 as never);
  expect(toaster.step()).toBe(MISS);
  expect(toaster.values[1]).toBe(large);
  expect(toaster.step()).toBe(MISS);
  expect(toaster.step()).toBe(TOAST_DONE);
  expect((toaster.values[1] as VarlenaImage).bytes).toEqual(toastCompressDatum(large)!.bytes);
  expect(asked).toEqual([16000, 16000, 16000]);
});
