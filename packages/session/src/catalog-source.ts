/**
 * Reads catalog rows from heap and B-trees, for the catalog caches (CatalogSource).
 *
 * A reader is either the instance, which sees what is committed, or a transaction, which also sees its
 * own earlier commands. Rows are copied out of the pages in the same synchronous attempt that found
 * them.
 */
import { orDetoastMiss, type ToastPointer } from '@pgtroupe/access/common/detoast';
import { heapDeformTuple, tupleLayout, type TupleLayout } from '@pgtroupe/access/common/heaptuple';
import { getXmin, type TupleMemory, tupleMemory } from '@pgtroupe/access/common/htup';
import type { TupleDesc } from '@pgtroupe/access/common/tupdesc';
import { HeapContext, type HeapRelation } from '@pgtroupe/access/heap/heapam-context';
import { type HeapSnapshot, SNAPSHOT_ANY } from '@pgtroupe/access/heap/heapam-visibility';
import { heapTupleHasExternal } from '@pgtroupe/access/heap/heaptoast';
import { heapGetPage, heapHotSearch, HeapPageBatch } from '@pgtroupe/access/heap/heapam-scan';
import type { BTIndex } from '@pgtroupe/access/nbtree/btindex';
import { BT_EQUAL, BTScan } from '@pgtroupe/access/nbtree/nbtscan';
import type { Catalog, CatalogIndex, ItemPointer } from '@pgtroupe/catalog/catalog';
import { ALL_CATALOGS } from '@pgtroupe/catalog/catalogs/all';
import { pgClass } from '@pgtroupe/catalog/catalogs/pg_class';
import type { CatalogSource, ScannedRow } from '@pgtroupe/catalog/catalogsource';
import { assert } from '@pgtroupe/common/assert';
import type { Datum } from '@pgtroupe/common/datum';
import { BLCKSZ, type CommandId, MAIN_FORKNUM, type Oid, type TransactionId } from '@pgtroupe/common/ids';
import { LockOwner } from '@pgtroupe/instance/instance-locks';
import { MISS } from '@pgtroupe/storage/buffer/pages';
import type { InstanceKernel } from '@pgtroupe/instance/instance-kernel';
import type { LiveSnapshot } from '@pgtroupe/instance/instance-transactions';
import { ReadonlyXact } from '@pgtroupe/instance/readonly-xact';
import type { XactView } from '@pgtroupe/transam/xactview';
import { CatalogRelations, type CatalogFiles } from './catalog-relations.ts';
import type { RelationStorage } from '@pgtroupe/catalog/relcache';
import type { InstanceToast, ToastReader } from './toast-fetcher.ts';

/** Columns of every TOAST table. */
const TOAST_SHAPE: TupleDesc = {
  attrs: (
    [
      ['chunk_id', 26, 4, true],
      ['chunk_seq', 23, 4, true],
      ['chunk_data', 17, -1, false],
    ] as const
  ).map(([name, typid, len, byval]) => ({
    name,
    typid: typid as Oid,
    typmod: -1,
    len,
    byval,
    align: 'i',
    storage: 'p',
    notNull: false,
    dropped: false,
    collation: 0 as Oid,
    hasDefault: false,
  })),
};

/** A tuple of a page that was copied; it is taken apart when its values are asked for. */
class CopiedRow implements ScannedRow {
  readonly #layout: TupleLayout;
  readonly #mem: TupleMemory;
  /** Where it begins in the copy. */
  readonly #tuple: number;
  readonly ctid: ItemPointer;

  constructor(layout: TupleLayout, mem: TupleMemory, tuple: number, ctid: ItemPointer) {
    this.#layout = layout;
    this.#mem = mem;
    this.#tuple = tuple;
    this.ctid = ctid;
  }

  get values(): readonly Datum[] {
    const values = new Array<Datum>(this.#layout.natts);
    heapDeformTuple(this.#layout, this.#mem, this.#tuple, this.#layout.natts, values);
    return values;
  }

  get xmin(): TransactionId {
    return getXmin(this.#mem, this.#tuple);
  }
}

/** In whose eyes catalogs are read. */
export interface CatalogReader {
  readonly xact: XactView;
  readonly owner: LockOwner;
  takeSnapshot(): Promise<LiveSnapshot>;
  /** Makes this reader's transaction the current one, before each attempt. */
  enter(): void;
}

export interface ToastFiles {
  readonly heap: HeapRelation;
  readonly index: BTIndex;
}

export function catalogOfToast(toastRelId: number): Catalog | undefined {
  return ALL_CATALOGS.find(c => c.toastOid === toastRelId);
}

export class KernelCatalogSource implements CatalogSource, ToastReader {
  readonly kernel: InstanceKernel;
  readonly relations: CatalogRelations;
  readonly toast: InstanceToast;
  readonly #reader: CatalogReader;
  readonly #heap: HeapContext;

  constructor(kernel: InstanceKernel, toast: InstanceToast, relations: CatalogRelations, reader: CatalogReader) {
    this.kernel = kernel;
    this.toast = toast;
    this.relations = relations;
    this.#reader = reader;
    this.#heap = new HeapContext(kernel.pages, kernel.wal, reader.xact);
  }

  /** The committed state of a database, for all of its sessions. */
  static shared(
    kernel: InstanceKernel,
    toast: InstanceToast,
    storage: RelationStorage,
    mapped: CatalogFiles['mapped'],
  ): KernelCatalogSource {
    const xact = new ReadonlyXact(kernel);
    const owner = new LockOwner(0);
    const reader: CatalogReader = {
      xact,
      owner,
      takeSnapshot: () => kernel.shared.takeSnapshot(0 as CommandId),
      enter: () => {
        kernel.wal.xid = 0;
      },
    };
    const relations: CatalogRelations = new CatalogRelations(storage, {
      mapped,
      relfilenode: oid => source.#relfilenode(oid),
    });
    const source = new KernelCatalogSource(kernel, toast, relations, reader);
    return source;
  }

  async #relfilenode(oid: Oid): Promise<Oid> {
    const index = pgClass.indexes.find(i => i.keys.length === 1 && i.keys[0] === pgClass.anum.oid);
    assert(index !== undefined, 'pg_class has an index on oid');
    const [row] = await this.scan(pgClass as Catalog, index, [oid]);
    assert(row !== undefined, `relation ${oid} is in pg_class`);
    return row.values[pgClass.anum.relfilenode - 1] as Oid;
  }

  async scan(
    catalog: Catalog,
    index: CatalogIndex | undefined,
    keys: readonly Datum[],
  ): Promise<readonly ScannedRow[]> {
    const heap = await this.relations.heap(catalog);
    const tree = index === undefined ? undefined : await this.relations.index(catalog, index);
    const live = await this.#reader.takeSnapshot();
    try {
      const rows: ScannedRow[] = [];
      const layout = tupleLayout(catalog.tupdesc);
      if (tree === undefined) await this.#seqScan(heap, live, layout, rows);
      else await this.#indexScan(heap, tree, keys, live.snapshot, layout, rows);
      return rows;
    } finally {
      this.kernel.shared.releaseSnapshot(live);
    }
  }

  get databaseOid(): Oid {
    return this.relations.storage.databaseOid;
  }

  /** Of a row of a catalog. */
  async toastValue(pointer: ToastPointer): Promise<Uint8Array> {
    const catalog = catalogOfToast(pointer.toastRelId);
    assert(catalog !== undefined, `TOAST table ${pointer.toastRelId} is a catalog's`);
    const table = await this.relations.toast(catalog.toastOid, catalog.toastIndexOid, catalog.shared);
    return this.toastChunks(table, pointer.valueId);
  }

  /** The stored bytes of an external value. */
  async toastChunks({ heap, index }: ToastFiles, valueId: number): Promise<Uint8Array> {
    const rows: ScannedRow[] = [];
    await this.#indexScan(heap, index, [valueId], SNAPSHOT_ANY, tupleLayout(TOAST_SHAPE), rows);
    return Buffer.concat(rows.map(row => row.values[2] as Uint8Array));
  }

  async #seqScan(heap: HeapRelation, live: LiveSnapshot, layout: TupleLayout, rows: ScannedRow[]): Promise<void> {
    const { kernel } = this;
    const batch = new HeapPageBatch();
    const blocks = await this.attempt(() => kernel.pages.nblocks(heap.smgr, MAIN_FORKNUM));
    for (let blk = 0; blk < blocks; blk++) {
      await this.attempt(() => {
        const count = heapGetPage(this.#heap, heap, blk, live.snapshot, batch);
        if (count === MISS) return MISS;
        return this.#collect(rows, found => {
          for (const row of this.#rowsOf(batch, layout, blk)) found.push(row);
        });
      });
    }
  }

  async #indexScan(
    heap: HeapRelation,
    tree: BTIndex,
    keys: readonly Datum[],
    snapshot: HeapSnapshot,
    layout: TupleLayout,
    rows: ScannedRow[],
  ): Promise<void> {
    const scan = new BTScan(
      tree,
      this.kernel.pages,
      keys.map((_, n) => ({ attno: n + 1, test: 'compare', strategy: BT_EQUAL })),
    );
    scan.rescan(keys, true);
    for (;;) {
      const count = await this.attempt(() => scan.nextBatch());
      if (count === 0) return;
      for (let i = 0; i < count; i++) {
        const blk = scan.tids[2 * i]!;
        const offnum = scan.tids[2 * i + 1]!;
        await this.attempt(() => {
          const found = heapHotSearch(this.#heap, heap, blk, offnum, snapshot);
          if (found === MISS) return MISS;
          if (found === 0) return 0;
          return this.#collect(rows, list =>
            list.push(this.#row(layout, this.#heap.tuple, this.#heap.blk, this.#heap.offnum)),
          );
        });
      }
    }
  }

  /** Appends what `read` finds, or nothing and MISS when a TOASTed value is not here. */
  #collect(rows: ScannedRow[], read: (found: ScannedRow[]) => void): number {
    const found: ScannedRow[] = [];
    const status = orDetoastMiss(() => {
      read(found);
      return found.length;
    });
    if (status !== MISS) rows.push(...found);
    return status;
  }

  /** A page's rows, in a copy of the page. */
  #rowsOf({ count, tuples, offnums }: HeapPageBatch, layout: TupleLayout, blk: number): ScannedRow[] {
    if (count === 0) return [];
    const { mem } = this.kernel.pages;
    const page = tuples[0]! - (tuples[0]! % BLCKSZ);
    const copy = tupleMemory(mem.u8.slice(page, page + BLCKSZ));
    return Array.from({ length: count }, (_, n) => {
      const tuple = tuples[n]!;
      // Chunks may have to be read, now.
      if (heapTupleHasExternal(mem, tuple)) return this.#row(layout, tuple, blk, offnums[n]!);
      return new CopiedRow(layout, copy, tuple - page, { blk, off: offnums[n]! });
    });
  }

  #row(layout: TupleLayout, tuple: number, blk: number, off: number): ScannedRow {
    const values = new Array<Datum>(layout.natts);
    heapDeformTuple(layout, this.kernel.pages.mem, tuple, layout.natts, values);
    for (let i = 0; i < values.length; i++) {
      const value = values[i];
      if (value instanceof Uint8Array) values[i] = value.slice();
    }
    return { values, ctid: { blk, off }, xmin: getXmin(this.kernel.pages.mem, tuple) };
  }

  /** Repeats a synchronous attempt, in this reader's eyes, until it lacks nothing. */
  attempt(work: () => number): Promise<number> {
    return this.kernel.attempt(work, this.#reader.owner, () => {
      this.toast.reader = this;
      this.#reader.enter();
    });
  }
}
