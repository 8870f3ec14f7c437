/**
 * Changes catalog rows in a transaction (CatalogStore): each row change is a series of attempts, of the
 * heap first and then of each index, until all are through.
 */
import { heapComputeTupleSize, heapFormTuple, type TupleLayout, tupleLayout } from '@pgtroupe/access/common/heaptuple';
import {
  HeapContext,
  type HeapRelation,
  heapRelation,
  TM_BEING_MODIFIED,
  TM_OK,
} from '@pgtroupe/access/heap/heapam-context';
import { HeapToaster, heapTupleHasExternal, TOAST_DONE, TOAST_TUPLE_THRESHOLD } from '@pgtroupe/access/heap/heaptoast';
import { heapDelete } from '@pgtroupe/access/heap/heapam-delete';
import { heapInsert } from '@pgtroupe/access/heap/heapam-insert';
import { heapGetPage, HeapPageBatch } from '@pgtroupe/access/heap/heapam-scan';
import { heapUpdate, type UpdateAttributes } from '@pgtroupe/access/heap/heapam-update';
import { heapAttIsNull } from '@pgtroupe/access/common/heaptuple';
import { BT_DUPLICATE, btInsert, uniqueViolation } from '@pgtroupe/access/nbtree/nbtinsert';
import type { Catalog, ItemPointer } from '@pgtroupe/catalog/catalog';
import type {
  CatalogStore,
  IndexBuildResult,
  LockableObject,
  NoticeFields,
  RelationLives,
} from '@pgtroupe/catalog/catalogwriter';
import { decodeField } from '@pgtroupe/catalog/rowcodec';
import type { IndexDesc, RelationDesc } from '@pgtroupe/catalog/relcache';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Datum } from '@pgtroupe/common/datum';
import {
  type BlockNumber,
  MAIN_FORKNUM,
  type Oid,
  type RelFileNode,
  type TransactionId,
  xidFromFull,
} from '@pgtroupe/common/ids';
import { MISS } from '@pgtroupe/storage/buffer/pages';
import { pageGetItem } from '@pgtroupe/storage/page/bufpage';
import { LOCKTAG_RELATION, type LockTag, objectTag, relationTag } from '@pgtroupe/storage/lmgr/locktag';
import { ALL_CATALOGS } from '@pgtroupe/catalog/catalogs/all';
import { RelationRelationId } from '@pgtroupe/catalog/catalogs/pg_class';
import type { Transaction } from '@pgtroupe/instance/xact';
import { type CatalogReader, KernelCatalogSource } from './catalog-source.ts';
import type { DatabaseContext } from './database-context.ts';
import { buildIndex } from '@pgtroupe/commands/indexbuild';
import type { Session } from './session.ts';

/** The largest tuple a page takes. */
const MAX_TUPLE_BYTES = 8160;
const WORKSPACE_BYTES = 8192;

export class TransactionCatalogStore extends KernelCatalogSource implements CatalogStore {
  readonly #session: Session;
  readonly #tx: Transaction;
  readonly #context: HeapContext;
  /** Where tuples are formed, in the instance's arena. */
  readonly #workspace: number;

  constructor(session: Session, database: DatabaseContext) {
    const { kernel } = session.instance;
    const { tx } = session.block;
    const reader: CatalogReader = {
      xact: tx,
      owner: session.owner,
      takeSnapshot: () => kernel.shared.takeSnapshot(tx.curcid),
      enter: () => {
        session.checkForInterrupts();
        tx.enter();
      },
    };
    super(kernel, session.instance.toast, database.source.relations, reader);
    this.#session = session;
    this.#tx = tx;
    this.#context = new HeapContext(kernel.pages, kernel.wal, tx);
    this.#workspace = session.instance.arena.alloc(WORKSPACE_BYTES);
  }

  get counts(): RelationLives | undefined {
    return this.#tx.stat?.tables;
  }

  /** The transaction is over. */
  end(): void {
    this.#session.instance.arena.free(this.#workspace, WORKSPACE_BYTES);
  }

  async insertRow(catalog: Catalog, values: readonly Datum[]): Promise<ItemPointer> {
    const heap = await this.relations.heap(catalog);
    const layout = tupleLayout(catalog.tupdesc);
    const stored = await this.#toasted(catalog, layout, values);
    await this.attempt(() => {
      const length = this.#form(layout, stored);
      return heapInsert(this.#context, heap, this.#workspace, length, this.#tx.curcid);
    });
    const tid = { blk: this.#context.blk, off: this.#context.offnum };
    await this.#insertIndexEntries(catalog, heap, values, tid);
    return tid;
  }

  async updateRow(catalog: Catalog, ctid: ItemPointer, values: readonly Datum[]): Promise<ItemPointer> {
    const heap = await this.relations.heap(catalog);
    const layout = tupleLayout(catalog.tupdesc);
    const attributes = catalogUpdateAttributes(catalog, layout);
    const stored = await this.#toasted(catalog, layout, values);
    const result = await this.attempt(() => {
      const length = this.#form(layout, stored);
      return this.#orWait(
        heapUpdate(this.#context, heap, ctid.blk, ctid.off, this.#workspace, length, this.#tx.curcid, attributes),
      );
    });
    if (result !== TM_OK) throw changedConcurrently('updated');
    const tid = { blk: this.#context.blk, off: this.#context.offnum };
    const { hot } = this.#context;
    await this.#removeToasted(catalog, heap, ctid);
    if (!hot) await this.#insertIndexEntries(catalog, heap, values, tid);
    return tid;
  }

  /** Whoever had the row may have been rolled back, which a snapshot that is still good does not know. */
  #orWait(result: number): number {
    return result === TM_BEING_MODIFIED ? this.#context.wantXactWait() : result;
  }

  async deleteRow(catalog: Catalog, ctid: ItemPointer): Promise<void> {
    const heap = await this.relations.heap(catalog);
    const result = await this.attempt(() =>
      this.#orWait(heapDelete(this.#context, heap, ctid.blk, ctid.off, this.#tx.curcid)),
    );
    if (result !== TM_OK) throw changedConcurrently('deleted');
    await this.#removeToasted(catalog, heap, ctid);
  }

  /** The values as they are stored: long ones compressed, or moved to the catalog's TOAST table. */
  async #toasted(catalog: Catalog, layout: TupleLayout, values: readonly Datum[]): Promise<readonly Datum[]> {
    if (heapComputeTupleSize(layout, values) <= TOAST_TUPLE_THRESHOLD) return values;
    const toaster = await this.#toaster(catalog);
    toaster.store(values, this.#tx.curcid);
    while ((await this.attempt(() => toaster.step())) !== TOAST_DONE);
    return toaster.values;
  }

  /** Chunks of a row version that was just updated or deleted. */
  async #removeToasted(catalog: Catalog, heap: HeapRelation, ctid: ItemPointer): Promise<void> {
    if (catalog.toastOid === 0) return;
    const { mem } = this.kernel.pages;
    const toaster = await this.#toaster(catalog);
    await this.attempt(() => {
      const page = this.kernel.pages.share(heap.smgr, MAIN_FORKNUM, ctid.blk as BlockNumber);
      if (page === MISS) return MISS;
      const tuple = pageGetItem(mem, page, ctid.off);
      if (heapTupleHasExternal(mem, tuple)) toaster.remove(tuple, this.#tx.curcid);
      return 0;
    });
    while ((await this.attempt(() => toaster.step())) !== TOAST_DONE);
  }

  async #toaster(catalog: Catalog): Promise<HeapToaster> {
    const oid = catalog.toastOid;
    const table =
      oid === 0 ? undefined : { oid, ...(await this.relations.toast(oid, catalog.toastIndexOid, catalog.shared)) };
    const { pages } = this.kernel;
    const ids: number[] = [];
    const nextId = (): number => {
      const id = ids.pop();
      if (id !== undefined) return id;
      pages.want = { kind: 'await', run: async () => void ids.push(await this.kernel.newOid()) };
      return MISS;
    };
    return new HeapToaster(this.#context, catalog.tupdesc, table, nextId, this.#workspace);
  }

  /** Forms the tuple in the workspace; returns its length. */
  #form(layout: TupleLayout, values: readonly Datum[]): number {
    const length = heapComputeTupleSize(layout, values);
    if (length > MAX_TUPLE_BYTES)
      throw ereport(ERRCODE.PROGRAM_LIMIT_EXCEEDED, `row is too big: size ${length}, maximum size ${MAX_TUPLE_BYTES}`);
    heapFormTuple(layout, values, this.kernel.pages.mem, this.#workspace);
    return length;
  }

  async #insertIndexEntries(
    catalog: Catalog,
    heap: HeapRelation,
    values: readonly Datum[],
    tid: ItemPointer,
  ): Promise<void> {
    for (const index of catalog.indexes) {
      const tree = await this.relations.index(catalog, index);
      const keys = index.keys.map(attnum => values[attnum - 1]!);
      const result = await this.attempt(() =>
        btInsert(tree, this.#context, heap, keys, tid.blk, tid.off, index.unique ? 'yes' : 'no'),
      );
      if (result === BT_DUPLICATE) {
        const texts = keys.map((key, n) =>
          key === null ? null : String(decodeField(catalog.columns[index.keys[n]! - 1]!.type, key)),
        );
        throw uniqueViolation(tree, 'pg_catalog', texts);
      }
    }
  }

  commandCounterIncrement(): void {
    this.#tx.commandCounterIncrement();
  }

  newOid(): Promise<Oid> {
    return this.kernel.newOid();
  }

  async createStorage(rnode: RelFileNode): Promise<void> {
    await this.attempt(() => this.#tx.currentXid());
    await this.kernel.smgrCreate(this.#tx.innermostXid, rnode, MAIN_FORKNUM, true);
    this.#tx.created.push(rnode);
  }

  dropStorage(rnode: RelFileNode): void {
    this.#tx.drops.push(rnode);
  }

  frozenXid(): TransactionId {
    return xidFromFull(this.#tx.oldestXmin);
  }

  async lockObject(object: LockableObject, mode: number): Promise<boolean> {
    const { locks } = this.kernel;
    const { owner } = this.#session;
    const tag = this.#lockTag(object);
    if (locks.holds(owner, tag, mode)) return false;
    if (tag.locktype === LOCKTAG_RELATION) await locks.relation(owner, tag.f1 as Oid, object.objectId, mode);
    else await locks.acquire(owner, tag, mode);
    // Whoever held the lock before may have changed catalogs: what it told the others comes with a snapshot.
    const live = await this.kernel.shared.takeSnapshot(this.#tx.curcid);
    this.kernel.shared.releaseSnapshot(live);
    return true;
  }

  unlockObject(object: LockableObject, mode: number): void {
    this.kernel.locks.giveBack(this.#session.owner, this.#lockTag(object), mode);
  }

  #lockTag({ classId, objectId }: LockableObject): LockTag {
    const { databaseOid } = this.relations.storage;
    if (classId === RelationRelationId) return relationTag(databaseOid, objectId);
    const shared = ALL_CATALOGS.some(catalog => catalog.oid === classId && catalog.shared);
    return objectTag(shared ? (0 as Oid) : databaseOid, classId, objectId);
  }

  buildIndex(table: RelationDesc, index: IndexDesc): Promise<IndexBuildResult> {
    return buildIndex(this, this.#session.runner, this.#context, table, index);
  }

  async checkNotNull(table: RelationDesc, attnums: readonly number[]): Promise<void> {
    const { kernel } = this;
    const { mem } = kernel.pages;
    const layout = tupleLayout(table.att);
    const heap = heapRelation(table.smgr, table.oid);
    const batch = new HeapPageBatch();
    const live = await kernel.shared.takeSnapshot(this.#tx.curcid);
    try {
      const blocks = await this.attempt(() => kernel.pages.nblocks(table.smgr, MAIN_FORKNUM));
      for (let blk = 0; blk < blocks; blk++) {
        await this.attempt(() => {
          const count = heapGetPage(this.#context, heap, blk, live.snapshot, batch);
          if (count === MISS) return MISS;
          for (let i = 0; i < count; i++) {
            for (const attnum of attnums) {
              if (!heapAttIsNull(layout, mem, batch.tuples[i]!, attnum - 1)) continue;
              const column = table.att.attrs[attnum - 1]!.name;
              throw ereport(
                ERRCODE.NOT_NULL_VIOLATION,
                `column "${column}" of relation "${table.name}" contains null values`,
                {
                  table: table.name,
                  column,
                },
              );
            }
          }
          return 0;
        });
      }
    } finally {
      kernel.shared.releaseSnapshot(live);
    }
  }

  async isEmpty(table: RelationDesc): Promise<boolean> {
    const { kernel } = this;
    const heap = heapRelation(table.smgr, table.oid);
    const batch = new HeapPageBatch();
    const live = await kernel.shared.takeSnapshot(this.#tx.curcid);
    try {
      const blocks = await this.attempt(() => kernel.pages.nblocks(table.smgr, MAIN_FORKNUM));
      for (let blk = 0; blk < blocks; blk++) {
        const rows = await this.attempt(() => heapGetPage(this.#context, heap, blk, live.snapshot, batch));
        if (rows > 0) return false;
      }
      return true;
    } finally {
      kernel.shared.releaseSnapshot(live);
    }
  }

  notice(message: string, fields: NoticeFields = {}): void {
    const { severity = 'NOTICE', sqlstate = ERRCODE.SUCCESSFUL_COMPLETION, detail, hint } = fields;
    this.#session.notice(severity, sqlstate, message, { detail, hint });
  }
}

const updateAttributes = new WeakMap<Catalog, UpdateAttributes>();

function catalogUpdateAttributes(catalog: Catalog, layout: TupleLayout): UpdateAttributes {
  let attributes = updateAttributes.get(catalog);
  if (attributes === undefined) {
    const columns = (unique: boolean): number[] => [
      ...new Set(catalog.indexes.filter(i => !unique || i.unique).flatMap(i => i.keys.map(attnum => attnum - 1))),
    ];
    attributes = { layout, indexed: columns(false), key: columns(true) };
    updateAttributes.set(catalog, attributes);
  }
  return attributes;
}

function changedConcurrently(how: string): Error {
  return ereport(ERRCODE.INTERNAL_ERROR, `tuple concurrently ${how}`);
}
