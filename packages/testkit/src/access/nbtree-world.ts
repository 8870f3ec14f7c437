/**
 * A B-tree for tests of the access method: rows to put in, a model of their order, and a comparison of pages with what
 * replay makes of them.
 */
import { assert } from '@pgtroupe/common/assert';
import type { Datum } from '@pgtroupe/common/datum';
import { BLCKSZ, type FullTransactionId } from '@pgtroupe/common/ids';
import { pageGetItemId, pageGetLower, pageGetMaxOffsetNumber, pageGetUpper } from '@pgtroupe/storage/page/bufpage';
import { itemIdGetLength, itemIdGetOffset, LP_NORMAL, makeItemId } from '@pgtroupe/storage/page/itemid';
import type { XactView } from '@pgtroupe/transam/xactview';
import type { TupleDesc } from '@pgtroupe/access/common/tupdesc';
import { type HeldXid, type IndexVacuumStats, VACUUM_DONE } from '@pgtroupe/access/common/indexvacuum';
import { HeapContext } from '@pgtroupe/access/heap/heapam-context';
import { BTIndex, INDOPTION_NULLS_FIRST, INDOPTION_DESC } from '@pgtroupe/access/nbtree/btindex';
import { BTBuild } from '@pgtroupe/access/nbtree/nbtsort';
import { BT_INSERTED, btInsert } from '@pgtroupe/access/nbtree/nbtinsert';
import { BTScan, type BTScanKey } from '@pgtroupe/access/nbtree/nbtscan';
import {
  btInitMetaPage,
  BTP_HAS_GARBAGE,
  BTP_SPLIT_END,
  btpoFlags,
  btpoSetFlags,
  emptyMeta,
  isLeaf,
} from '@pgtroupe/access/nbtree/nbtree';
import { vacuumableBTree } from '@pgtroupe/access/nbtree/nbtvacuum';
import { describeRow } from './attributes.ts';
import { type RelationFiles, retry, SoloPages, type SoloRedo } from './solo-pages.ts';
import { btVerify } from './verify-nbtree.ts';

export interface Row {
  readonly values: Datum[];
  readonly block: number;
  readonly offset: number;
}

const PROC: Readonly<Record<string, string>> = {
  int4: 'btint4cmp',
  int8: 'btint8cmp',
  int2: 'btint2cmp',
  text: 'bttextcmp',
  oid: 'btoidcmp',
  name: 'btnamecmp',
  float8: 'btfloat8cmp',
  bool: 'btboolcmp',
};

export class World {
  readonly solo: SoloPages;
  readonly rel: RelationFiles;
  readonly index: BTIndex;
  readonly ctx: HeapContext;
  /** Of the last vacuum. */
  stats: IndexVacuumStats | undefined;
  /** Done between a vacuum's steps; `changes`: it changes the index. */
  between: () => void = () => {};
  changes = false;
  /** The next transaction id; the horizon is `ctx.xact.oldestXmin`. */
  nextXid = 1000;
  readonly held: HeldXid = {
    take: () => this.nextXid as FullTransactionId,
    giveBack: () => this.nextXid++,
    renewHorizon: () => 0,
  };

  constructor(
    types: readonly string[],
    options: readonly number[] = [],
    extra: {
      pages?: number;
      images?: boolean;
      misses?: boolean;
      include?: number;
      build?: readonly Row[];
      deduplicate?: boolean;
    } = {},
  ) {
    this.solo = new SoloPages({
      pages: extra.pages ?? 400,
      images: extra.images === true,
      misses: extra.misses === true,
    });
    this.rel = this.solo.relation(16385);
    const att: TupleDesc = describeRow(...types.map(type => (type === 'name' ? 'cstring' : type)));
    this.index = new BTIndex({
      rel: this.rel,
      name: 'i',
      tableName: 't',
      att,
      unique: false,
      deduplicate: extra.deduplicate ?? true,
      keys: types
        .slice(0, types.length - (extra.include ?? 0))
        .map((type, i) => ({ orderProc: PROC[type]!, option: options[i] ?? 0 })),
    });
    const xact = { oldestXmin: 1000 as FullTransactionId } as XactView;
    this.ctx = new HeapContext(this.solo, this.solo.wal, xact);
    const meta = this.solo.addPage(this.rel, 0);
    btInitMetaPage(this.solo.mem, meta, emptyMeta(this.index.allequalimage));
    if (extra.build === undefined) return;
    const build = new BTBuild(this.index, (page, blk) => {
      while (this.rel.forks[0]!.blocks <= blk) this.solo.addPage(this.rel, 0);
      this.solo.mem.u8.set(page, this.rel.forks[0]!.slots[blk]! * BLCKSZ);
    });
    for (const row of sorted(this.index, extra.build)) build.add(row.values, row.block, row.offset);
    build.finish();
  }

  insert(row: Row): void {
    const { index, ctx } = this;
    const done = retry(this.solo, () => btInsert(index, ctx, undefined, row.values, row.block, row.offset, 'no'));
    assert(done === BT_INSERTED, 'inserted');
  }

  scan(keys: readonly BTScanKey[], values: readonly Datum[], forward: boolean): string[] {
    const scan = new BTScan(this.index, this.solo, keys, true);
    scan.rescan(values, forward);
    const tids: string[] = [];
    for (;;) {
      const count = retry(this.solo, () => scan.nextBatch());
      if (count === 0) return tids;
      for (let i = 0; i < count; i++) tids.push(`${scan.tids[2 * i]},${scan.tids[2 * i + 1]}`);
      if (Math.random() < 0.2) this.solo.recallAll();
    }
  }

  /** Removes the entries of these TIDs; answers how many there were. */
  vacuum(dead: ReadonlySet<string>): number {
    const vacuum = vacuumableBTree(this.index, this.ctx, this.held);
    const scan = vacuum.bulkDelete({
      count: dead.size,
      has: (block, offset) => dead.has(`${block},${offset}`),
    });
    for (let steps = 0; retry(this.solo, () => scan.step()) !== VACUUM_DONE; steps++) {
      if (steps % 5 === 0) this.solo.recallAll();
      this.between();
    }
    const cleanup = vacuum.cleanup();
    while (retry(this.solo, () => cleanup.step()) !== VACUUM_DONE);
    this.stats = vacuum.stats!;
    const left = this.verify();
    assert(this.stats.numIndexTuples === left || this.changes, `${this.stats.numIndexTuples} counted, ${left} left`);
    return this.stats.tuplesRemoved;
  }

  verify(): number {
    return retry(this.solo, () => btVerify(this.index, this.solo));
  }
}

export const tid = (row: Row): string => `${row.block},${row.offset}`;

export function compareDatum(a: Datum, b: Datum, option: number): number {
  if (a === null || b === null) {
    if (a === b) return 0;
    return (a === null) === ((option & INDOPTION_NULLS_FIRST) !== 0) ? -1 : 1;
  }
  const result =
    a instanceof Uint8Array
      ? Buffer.compare(a, b as Uint8Array)
      : (a as number) < (b as number)
        ? -1
        : (a as number) > (b as number)
          ? 1
          : 0;
  return (option & INDOPTION_DESC) !== 0 ? -result : result;
}

export function sorted(index: BTIndex, rows: readonly Row[]): Row[] {
  return [...rows].sort((x, y) => {
    for (let i = 0; i < index.nkeyatts; i++) {
      const result = compareDatum(x.values[i]!, y.values[i]!, index.option[i]!);
      if (result !== 0) return result;
    }
    return x.block - y.block || x.offset - y.offset;
  });
}

/** Repeatable pseudo-random numbers. */
export function random(seed: number): (limit: number) => number {
  let state = seed | 1;
  return limit => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % limit;
  };
}

function makeValue(type: string, next: (limit: number) => number, spread: number): Datum {
  const n = next(spread);
  switch (type) {
    case 'text':
      return Buffer.from(`${'x'.repeat(n % 7 === 0 ? 150 : n % 5)}${n}`);
    case 'name':
      return Buffer.from(`rel_${n}`);
    case 'int8':
      return n % 9 === 0 ? BigInt(n) + 2n ** 60n : (n - spread / 2) * 2 ** 33;
    case 'float8':
      return n / 8 - 3;
    case 'bool':
      return n % 2 === 0;
    default:
      return n;
  }
}

export function makeRows(types: readonly string[], count: number, spread: number, seed: number): Row[] {
  const next = random(seed);
  const used = new Set<string>();
  const rows: Row[] = [];
  while (rows.length < count) {
    const row = {
      values: types.map((type): Datum => (next(12) === 0 ? null : makeValue(type, next, spread))),
      block: next(Math.max(4, count >> 3)),
      offset: 1 + next(200),
    };
    if (used.has(tid(row))) continue;
    used.add(tid(row));
    rows.push(row);
  }
  return rows;
}

/** Every page of both sides equal, but for what is not in the WAL. */
export function expectSamePages(world: World, redo: SoloRedo): void {
  const { mem } = world.solo;
  const fork = world.rel.forks[0]!;
  for (let blk = 0; blk < fork.blocks; blk++) {
    if (fork.fresh.includes(blk as never)) continue;
    const live = fork.slots[blk]! * BLCKSZ;
    const replayed = redo.page(world.rel.rnode, 0, blk);
    const copy = (m: typeof mem, page: number): Buffer => {
      const flags = btpoFlags(m, page);
      btpoSetFlags(m, page, flags & ~(BTP_HAS_GARBAGE | BTP_SPLIT_END));
      const bytes = Buffer.from(m.u8.slice(page, page + BLCKSZ));
      btpoSetFlags(m, page, flags);
      bytes.fill(0, pageGetLower(m, page), pageGetUpper(m, page));
      if (blk > 0 && isLeaf(m, page)) {
        for (let off = 1; off <= pageGetMaxOffsetNumber(m, page); off++) {
          const id = pageGetItemId(m, page, off);
          bytes.writeUInt32LE(makeItemId(itemIdGetOffset(id), LP_NORMAL, itemIdGetLength(id)), 20 + 4 * off);
        }
      }
      return bytes;
    };
    assert(Buffer.compare(copy(mem, live), copy(redo.mem, replayed)) === 0, `block ${blk} is replayed`);
  }
}
