/**
 * Changing catalogs inside a transaction: rows in, rows out, and the invalidations that follow.
 *
 * A change becomes visible to the transaction's own lookups after `commandCounterIncrement`, and to
 * everybody else when the transaction commits, by the messages in `invals`. A row may be changed only
 * once per command. Utility commands are asynchronous code over this; each row change is one
 * synchronous, logged step of the store.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import type { Sqlstate } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { assert } from '@pgtroupe/common/assert';
import type { Datum } from '@pgtroupe/common/datum';
import type { Oid, RelFileNode, TransactionId } from '@pgtroupe/common/ids';
import type { Catalog, CatalogRow, ItemPointer } from './catalog.ts';
import { withCatalog } from './catalogmiss.ts';
import { ALL_CATALOGS } from './catalogs/all.ts';
import { RelationRelationId } from './catalogs/pg_class.ts';
import type { CatalogSource } from './catalogsource.ts';
import { encodeInvals, rowMessages } from './inval.ts';
import type { InvalMessage, KeyPart } from './inval.ts';
import type { ObjectAddress } from './objectaddress.ts';
import type { IndexDesc, RelationDesc } from './relcache.ts';
import { decodeRow, encodeField, encodeRow } from './rowcodec.ts';
import type { SysCache } from './syscache.ts';
import type { SystemCatalog } from './systemcatalog.ts';

/** What locks are taken on: an object as a whole. */
export type LockableObject = Pick<ObjectAddress, 'classId' | 'objectId'>;

export interface IndexBuildResult {
  /** Live rows of the table. */
  readonly tuples: number;
  readonly tablePages: number;
  readonly indexPages: number;
  /** Versions that an older snapshot may see have no entry of their own: it must not use the index. */
  readonly brokenHotChain: boolean;
}

/** Each is undone if the (sub)transaction does not commit. */
export interface RelationLives {
  created(oid: Oid): void;
  dropped(oid: Oid): void;
  truncate(rel: RelationDesc): void;
}

/** What catalog changes need of the session; everything happens in its current transaction. */
export interface CatalogStore extends CatalogSource {
  /** Who counts what is done to relations hears of those that come and go; absent where nobody does. */
  readonly counts?: RelationLives | undefined;
  /** heap_insert with all index entries; a duplicate key is 23505. */
  insertRow(catalog: Catalog, values: readonly Datum[]): Promise<ItemPointer>;
  /** heap_update with index entries. A row that another transaction changed is XX000. */
  updateRow(catalog: Catalog, ctid: ItemPointer, values: readonly Datum[]): Promise<ItemPointer>;
  deleteRow(catalog: Catalog, ctid: ItemPointer): Promise<void>;
  /** What the command did becomes visible to the transaction's next snapshot. */
  commandCounterIncrement(): void;

  newOid(): Promise<Oid>;
  /** Creates the main fork; it is unlinked if the (sub)transaction does not commit. */
  createStorage(rnode: RelFileNode): Promise<void>;
  /** Unlinks all forks when the transaction commits. */
  dropStorage(rnode: RelFileNode): void;
  /** Below this every transaction is over: relfrozenxid of a new table. */
  frozenXid(): TransactionId;

  /** Waits for the heavyweight lock on a relation, or another object, of this database (or a shared one). Afterwards
   *  catalogs are as new as the lock. False: the transaction held it already. */
  lockObject(object: LockableObject, mode: number): Promise<boolean>;
  /** Gives back a lock that was just taken, of what a name no longer means. */
  unlockObject(object: LockableObject, mode: number): void;
  /** Initialises an index's file and fills it from its table. */
  buildIndex(table: RelationDesc, index: IndexDesc): Promise<IndexBuildResult>;
  /** Has the table no live row? */
  isEmpty(table: RelationDesc): Promise<boolean>;
  /** Fails with 23502 if a row has a null in one of the columns. */
  checkNotNull(table: RelationDesc, attnums: readonly number[]): Promise<void>;
  notice(message: string, fields?: NoticeFields): void;
}

export interface NoticeFields {
  /** NOTICE unless said otherwise. */
  readonly severity?: 'WARNING';
  readonly sqlstate?: Sqlstate;
  readonly detail?: string;
  readonly hint?: string;
}

export class CatalogWriter {
  /** A fork: sees what this transaction did. */
  readonly catalog: SystemCatalog;
  readonly store: CatalogStore;
  /** Of the command under way. */
  #pending: InvalMessage[] = [];
  /** Of earlier commands. */
  readonly #done: InvalMessage[] = [];

  /** An object in words, for messages: `table t`. */
  readonly describe: (object: ObjectAddress) => Promise<string>;

  constructor(
    catalog: SystemCatalog,
    store: CatalogStore,
    describe: (w: CatalogWriter, object: ObjectAddress) => Promise<string>,
  ) {
    this.catalog = catalog;
    this.store = store;
    this.describe = object => describe(this, object);
  }

  get databaseOid(): Oid {
    return this.catalog.storage.databaseOid;
  }

  // ---- reading ---------------------------------------------------------------------------------

  /** Runs pure work over the catalogs. */
  read<T>(work: (catalog: SystemCatalog) => T): Promise<T> {
    return withCatalog(() => work(this.catalog));
  }

  search<Row extends CatalogRow>(cache: SysCache<Row>, ...key: KeyPart[]): Promise<Row | null> {
    return this.read(catalog => catalog.search(cache, ...key));
  }

  searchList<Row extends CatalogRow>(cache: SysCache<Row>, ...prefix: KeyPart[]): Promise<readonly Row[]> {
    return this.read(catalog => catalog.searchList(cache, ...prefix));
  }

  async lockRelation(oid: Oid, mode: number): Promise<void> {
    await this.store.lockObject({ classId: RelationRelationId, objectId: oid }, mode);
  }

  async relation(oid: Oid): Promise<RelationDesc> {
    const found = await this.read(catalog => catalog.relation(oid));
    if (found === null) throw ereport(ERRCODE.INTERNAL_ERROR, `could not open relation with OID ${oid}`);
    return found;
  }

  /** Rows straight from the catalog's index; for catalogs without a cache, such as pg_depend. */
  async scan<Row extends CatalogRow>(catalog: Catalog<Row>, indexOid: Oid, ...key: KeyPart[]): Promise<Row[]> {
    const index = catalog.indexes.find(i => i.oid === indexOid);
    assert(index !== undefined, `${catalog.name} has no index ${indexOid}`);
    const datums = key.map((part, n) => encodeField(catalog.columns[index.keys[n]! - 1]!.type, part));
    const rows = await this.store.scan(catalog as Catalog, index, datums);
    return rows.map(row => decodeRow(catalog, row.values, row.ctid, row.xmin));
  }

  // ---- writing ---------------------------------------------------------------------------------

  async insert<Row extends CatalogRow>(catalog: Catalog<Row>, row: Row): Promise<Row> {
    const ctid = await this.store.insertRow(catalog as Catalog, encodeRow(catalog, row));
    this.#note(catalog, undefined, row);
    return { ...row, ctid };
  }

  async update<Row extends CatalogRow>(catalog: Catalog<Row>, before: Row, changes: Partial<Row>): Promise<Row> {
    assert(before.ctid !== undefined, `row of ${catalog.name} to update was read from it`);
    const after = { ...before, ...changes };
    const ctid = await this.store.updateRow(catalog as Catalog, before.ctid, encodeRow(catalog, after));
    this.#note(catalog, before, after);
    return { ...after, ctid };
  }

  async delete<Row extends CatalogRow>(catalog: Catalog<Row>, row: Row): Promise<void> {
    assert(row.ctid !== undefined, `row of ${catalog.name} to delete was read from it`);
    await this.store.deleteRow(catalog as Catalog, row.ctid);
    this.#note(catalog, row, undefined);
  }

  #note<Row extends CatalogRow>(catalog: Catalog<Row>, before: Row | undefined, after: Row | undefined): void {
    this.#pending.push(...rowMessages(this.databaseOid, catalog, before, after));
  }

  /** The relation's descriptor is to be made anew everywhere, though no row of it changed. */
  invalidateRelation(oid: Oid): void {
    this.#pending.push({ kind: 'relation', db: this.databaseOid, relid: oid });
  }

  /** Rows of a system catalog were changed by other means. */
  invalidateCatalog(oid: Oid): void {
    const shared = ALL_CATALOGS.find(catalog => catalog.oid === oid)?.shared === true;
    this.#pending.push({ kind: 'catalog', db: shared ? (0 as Oid) : this.databaseOid, catalog: oid });
  }

  /** What was changed since the last call becomes visible to this transaction. */
  commandCounterIncrement(): void {
    this.store.commandCounterIncrement();
    this.catalog.apply(this.#pending);
    this.#done.push(...this.#pending);
    this.#pending = [];
  }

  /** A savepoint was rolled back: rows read since may never have been. */
  forgetOwnReads(): void {
    this.catalog.apply(this.#pending);
    this.#done.push(...this.#pending);
    this.#pending = [];
    this.catalog.reset();
  }

  /** Everything others must forget if this transaction commits. */
  get invals(): Uint8Array {
    return encodeInvals([...this.#done, ...this.#pending]);
  }

  /** An oid that no row of the cache's catalog has. */
  async newOid(cache: SysCache): Promise<Oid> {
    for (;;) {
      const oid = await this.store.newOid();
      if ((await this.search(cache, oid)) === null) return oid;
    }
  }
}
