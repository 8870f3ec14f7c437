/**
 * A btree's file built in memory from all of its entries.
 *
 * Block 0 is the metapage; leaves follow in key order, then each level above; the last page is the
 * root. Pivot tuples keep all key columns (suffix truncation is an optimisation), and carry the heap
 * TID of the left neighbour when the keys alone do not separate two pages.
 */
import { heapComputeDataSize, heapFillTuple, tupleLayout } from '@pgtroupe/access/common/heaptuple';
import type { TupleLayout } from '@pgtroupe/access/common/heaptuple';
import { tupleMemory } from '@pgtroupe/access/common/htup';
import type { TupleDesc } from '@pgtroupe/access/common/tupdesc';
import type { ItemPointer } from '@pgtroupe/catalog/catalog';
import { pgAmproc } from '@pgtroupe/catalog/catalogs/pg_amproc';
import type { Form_pg_index } from '@pgtroupe/catalog/catalogs/pg_index';
import { pgOpclass } from '@pgtroupe/catalog/catalogs/pg_opclass';
import { factRows } from '@pgtroupe/catalog/facts';
import { assert } from '@pgtroupe/common/assert';
import type { Datum } from '@pgtroupe/common/datum';
import { BLCKSZ, maxAlign } from '@pgtroupe/common/ids';
import type { Oid } from '@pgtroupe/common/ids';
import {
  pageAddItem,
  pageGetFreeSpace,
  pageInit,
  pageMemory,
  pageSetLower,
} from '@pgtroupe/storage/page/bufpage';
import type { PageMemory } from '@pgtroupe/storage/page/bufpage';
import { pagesToFile } from './heapfile.ts';

export interface IndexEntry {
  readonly values: readonly Datum[];
  readonly tid: ItemPointer;
}

const BTREE_MAGIC = 0x053162;
const BTREE_VERSION = 4;
const SIZEOF_BT_PAGE_OPAQUE = 16;
const BTP_LEAF = 1;
const BTP_ROOT = 2;
const BTP_META = 8;
/** Free bytes left on a page, by fillfactor 90 and 70. */
const LEAF_RESERVE = (BLCKSZ * 10) / 100;
const NONLEAF_RESERVE = (BLCKSZ * 30) / 100;
const INDEX_VAR_MASK = 0x4000;
const INDEX_NULL_MASK = 0x8000;
/** t_info: the tuple is a pivot (its t_tid's offset holds the number of key columns). */
const INDEX_ALT_TID_MASK = 0x2000;
const BT_PIVOT_HEAP_TID_ATTR = 0x1000;
/** amproc of btree operator families that says whether equal values are also bitwise equal. */
const BTEQUALIMAGE_PROC = 4;

/** What the facts say about operator classes. */
export class IndexFacts {
  readonly #opclasses = new Map(factRows(pgOpclass).map(o => [o.oid, o]));
  readonly #equalImage = new Set(
    factRows(pgAmproc)
      .filter(p => p.amprocnum === BTEQUALIMAGE_PROC)
      .map(p => `${p.amprocfamily} ${p.amproclefttype}`),
  );

  inputType(opclass: Oid): Oid {
    return this.#opclasses.get(opclass)!.opcintype;
  }

  /** May the index deduplicate, as far as this column goes? */
  isEqualImage(opclass: Oid): boolean {
    const { opcfamily, opcintype } = this.#opclasses.get(opclass)!;
    return this.#equalImage.has(`${opcfamily} ${opcintype}`);
  }
}

type Compare = (a: Datum, b: Datum) => number;

const compareNumbers: Compare = (a, b) => (a as number) - (b as number);
const compareBytes: Compare = (a, b) => Buffer.compare(a as Uint8Array, b as Uint8Array);
const compareChars: Compare = (a, b) => ((a as number) & 255) - ((b as number) & 255);
const compareBools: Compare = (a, b) => Number(a) - Number(b);

/** Shorter vectors first, then element by element. The bytes are those of an array of oid. */
const compareOidVectors: Compare = (a, b) => {
  const [x, y] = [a, b].map(
    v =>
      new DataView(
        (v as Uint8Array).buffer,
        (v as Uint8Array).byteOffset,
        (v as Uint8Array).length,
      ),
  ) as [DataView, DataView];
  if (x.byteLength !== y.byteLength) return x.byteLength - y.byteLength;
  for (let at = 20; at < x.byteLength; at += 4) {
    const difference = x.getUint32(at, true) - y.getUint32(at, true);
    if (difference !== 0) return difference;
  }
  return 0;
};

const COMPARE: Readonly<Record<number, Compare>> = {
  16: compareBools,
  18: compareChars,
  19: compareBytes,
  20: compareNumbers,
  21: compareNumbers,
  23: compareNumbers,
  25: compareBytes,
  26: compareNumbers,
  30: compareOidVectors,
  700: compareNumbers,
};

/** One page of a level, and the key that separates it from its left neighbour. */
interface Node {
  readonly block: number;
  readonly low: Separator | undefined;
}
interface Separator {
  readonly values: readonly Datum[];
  readonly tid: ItemPointer | undefined;
}

export function buildIndexFile(
  facts: IndexFacts,
  index: Form_pg_index,
  desc: TupleDesc,
  entries: readonly IndexEntry[],
): Uint8Array {
  const compare = index.indclass.map(opclass => {
    const found = COMPARE[facts.inputType(opclass)];
    assert(found !== undefined, `no comparison for operator class ${opclass}`);
    return found;
  });
  return new BtreeBuilder(
    desc,
    compare,
    index.indclass.every(opclass => facts.isEqualImage(opclass)),
  ).build(entries);
}

class BtreeBuilder {
  readonly #layout: TupleLayout;
  readonly #compare: readonly Compare[];
  readonly #allEqualImage: boolean;
  readonly #pages: PageMemory[] = [];
  readonly #scratch = tupleMemory(new Uint8Array(BLCKSZ));

  constructor(desc: TupleDesc, compare: readonly Compare[], allEqualImage: boolean) {
    this.#layout = tupleLayout(desc);
    this.#compare = compare;
    this.#allEqualImage = allEqualImage;
  }

  build(entries: readonly IndexEntry[]): Uint8Array {
    this.#pages.push(this.#metaPage(0, 0));
    if (entries.length > 0) {
      let level = 0;
      let nodes = this.#leaves(
        entries
          .slice()
          .sort((a, b) => this.#compareKeys(a.values, b.values) || compareTids(a.tid, b.tid)),
      );
      while (nodes.length > 1) nodes = this.#parents(nodes, ++level);
      const root = nodes[0]!.block;
      this.#pages[0] = this.#metaPage(root, level);
      this.#setFlags(this.#pages[root]!, BTP_ROOT);
    }
    return pagesToFile(this.#pages);
  }

  #compareKeys(a: readonly Datum[], b: readonly Datum[]): number {
    for (let i = 0; i < this.#compare.length; i++) {
      const x = a[i]!;
      const y = b[i]!;
      const order =
        x === null || y === null
          ? Number(x === null) - Number(y === null)
          : this.#compare[i]!(x, y);
      if (order !== 0) return order;
    }
    return 0;
  }

  #leaves(sorted: readonly IndexEntry[]): Node[] {
    const groups = this.#split(sorted, LEAF_RESERVE, entry => this.#size(entry.values));
    return this.#level(
      groups,
      0,
      (entries, n) => {
        const last = groups[n - 1]?.at(-1);
        return last && this.#separator(last, entries[0]!);
      },
      (page, entry) => this.#add(page, this.#form(entry.values, entry.tid.blk, entry.tid.off, 0)),
    );
  }

  #separator(left: IndexEntry, right: IndexEntry): Separator {
    return {
      values: right.values,
      tid: this.#compareKeys(left.values, right.values) === 0 ? left.tid : undefined,
    };
  }

  #parents(children: readonly Node[], level: number): Node[] {
    const groups = this.#split(children, NONLEAF_RESERVE, child =>
      child.low === undefined ? 8 : this.#pivotSize(child.low),
    );
    return this.#level(
      groups,
      level,
      nodes => nodes[0]!.low,
      (page, child, first) =>
        // The first downlink of a page stands for "everything smaller" and needs no key.
        this.#add(
          page,
          first ? this.#minusInfinity(child.block) : this.#pivot(child.low!, child.block),
        ),
    );
  }

  /** Cuts items into pages' worth, leaving room for a high key. */
  #split<T>(items: readonly T[], reserve: number, size: (item: T) => number): T[][] {
    const capacity = BLCKSZ - 24 - SIZEOF_BT_PAGE_OPAQUE - reserve;
    const groups: T[][] = [[]];
    let used = 0;
    for (const item of items) {
      const need = size(item) + 4;
      if (used > 0 && used + need > capacity) {
        groups.push([]);
        used = 0;
      }
      groups.at(-1)!.push(item);
      used += need;
    }
    return groups;
  }

  #level<T>(
    groups: readonly T[][],
    level: number,
    low: (items: T[], n: number) => Separator | undefined,
    add: (page: PageMemory, item: T, first: boolean) => void,
  ): Node[] {
    const base = this.#pages.length;
    const nodes = groups.map((items, n): Node => ({ block: base + n, low: low(items, n) }));
    groups.forEach((items, n) => {
      const page = pageMemory(new Uint8Array(BLCKSZ));
      pageInit(page, 0, SIZEOF_BT_PAGE_OPAQUE);
      const opaque = new DataView(page.u8.buffer, BLCKSZ - SIZEOF_BT_PAGE_OPAQUE);
      opaque.setUint32(0, n === 0 ? 0 : base + n - 1, true);
      opaque.setUint32(4, n === groups.length - 1 ? 0 : base + n + 1, true);
      opaque.setUint32(8, level, true);
      opaque.setUint16(12, level === 0 ? BTP_LEAF : 0, true);
      const high = nodes[n + 1]?.low;
      if (high !== undefined) this.#add(page, this.#pivot(high, 0));
      items.forEach((item, i) => add(page, item, i === 0));
      this.#pages.push(page);
    });
    return nodes;
  }

  #setFlags(page: PageMemory, flags: number): void {
    page.u16[(BLCKSZ - 4) >>> 1]! |= flags;
  }

  #size(values: readonly Datum[]): number {
    return maxAlign(
      8 + (values.includes(null) ? 8 : 0) + heapComputeDataSize(this.#layout, values),
    );
  }

  #pivotSize(separator: Separator): number {
    return this.#size(separator.values) + (separator.tid === undefined ? 0 : 8);
  }

  /** Forms an index tuple in the scratch memory and returns its size. */
  #form(values: readonly Datum[], block: number, offset: number, info: number): number {
    const { u8, view } = this.#scratch;
    const size = this.#size(values);
    const hasNull = values.includes(null);
    u8.fill(0, 0, size);
    heapFillTuple(this.#layout, values, this.#scratch, hasNull ? 16 : 8, hasNull ? 8 : -1);
    view.setUint16(0, block >>> 16, true);
    view.setUint16(2, block & 0xffff, true);
    view.setUint16(4, offset, true);
    const hasVariable = values.some((value, i) => value !== null && this.#layout.len[i]! < 0);
    view.setUint16(
      6,
      size | info | (hasVariable ? INDEX_VAR_MASK : 0) | (hasNull ? INDEX_NULL_MASK : 0),
      true,
    );
    return size;
  }

  #pivot({ values, tid }: Separator, block: number): number {
    const natts = this.#layout.natts;
    const size = this.#form(
      values,
      block,
      natts | (tid === undefined ? 0 : BT_PIVOT_HEAP_TID_ATTR),
      INDEX_ALT_TID_MASK,
    );
    if (tid === undefined) return size;
    const { u8, view } = this.#scratch;
    u8.fill(0, size, size + 8);
    view.setUint16(size + 2, tid.blk >>> 16, true);
    view.setUint16(size + 4, tid.blk & 0xffff, true);
    view.setUint16(size + 6, tid.off, true);
    view.setUint16(6, view.getUint16(6, true) + 8, true);
    return size + 8;
  }

  #minusInfinity(block: number): number {
    const { view } = this.#scratch;
    view.setUint16(0, block >>> 16, true);
    view.setUint16(2, block & 0xffff, true);
    view.setUint16(4, 0, true);
    view.setUint16(6, 8 | INDEX_ALT_TID_MASK, true);
    return 8;
  }

  #add(page: PageMemory, size: number): void {
    assert(pageGetFreeSpace(page, 0) >= size, 'index page overflows');
    pageAddItem(page, 0, this.#scratch.u8, 0, size, 0);
  }

  #metaPage(root: number, level: number): PageMemory {
    const page = pageMemory(new Uint8Array(BLCKSZ));
    pageInit(page, 0, SIZEOF_BT_PAGE_OPAQUE);
    const meta = new DataView(page.u8.buffer, 24);
    [BTREE_MAGIC, BTREE_VERSION, root, level, root, level, 0].forEach((value, n) =>
      meta.setUint32(4 * n, value, true),
    );
    meta.setFloat64(32, -1, true);
    meta.setUint8(40, this.#allEqualImage ? 1 : 0);
    pageSetLower(page, 0, 24 + 48);
    this.#setFlags(page, BTP_META);
    return page;
  }
}

function compareTids(a: ItemPointer, b: ItemPointer): number {
  return a.blk - b.blk || a.off - b.off;
}
