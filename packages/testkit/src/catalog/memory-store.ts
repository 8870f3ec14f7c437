/**
 * A CatalogStore in memory, for tests of commands: the facts, and what the commands did to them. Changes
 * are visible at once, as if every change were a command of its own.
 */
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Oid, RelFileNode, TransactionId } from '@pgtroupe/common/ids';
import type { Catalog, CatalogIndex, CatalogRow, ItemPointer } from '@pgtroupe/catalog/catalog';
import type { ScannedRow } from '@pgtroupe/catalog/catalogsource';
import type { CatalogStore, IndexBuildResult, LockableObject } from '@pgtroupe/catalog/catalogwriter';
import { factDatums } from '@pgtroupe/catalog/facts';
import { decodeRow } from '@pgtroupe/catalog/rowcodec';

function text(datum: Datum): string {
  return datum instanceof Uint8Array ? Buffer.from(datum).toString('hex') : String(datum);
}

export class MemoryStore implements CatalogStore {
  readonly #tables = new Map<Oid, Map<number, ScannedRow>>();
  #nextOid = 16384;
  #nextRow = 1 << 20;
  readonly created: RelFileNode[] = [];
  readonly dropped: RelFileNode[] = [];
  readonly notices: string[] = [];
  readonly locks: (readonly [Oid, number])[] = [];

  #table(catalog: Catalog): Map<number, ScannedRow> {
    let table = this.#tables.get(catalog.oid);
    if (table === undefined) {
      table = new Map(factDatums(catalog).map((values, n) => [n, { values, ctid: { blk: n, off: 1 } }]));
      this.#tables.set(catalog.oid, table);
    }
    return table;
  }

  /** A function that undoes everything done since, as a rollback would. */
  savepoint(): () => void {
    const saved = [...this.#tables].map(([oid, table]) => [oid, new Map(table)] as const);
    return () => {
      this.#tables.clear();
      for (const [oid, table] of saved) this.#tables.set(oid, table);
    };
  }

  rows<Row extends CatalogRow>(catalog: Catalog<Row>): Row[] {
    return [...this.#table(catalog as Catalog).values()].map(row => decodeRow(catalog, row.values, row.ctid));
  }

  scan(catalog: Catalog, index: CatalogIndex | undefined, keys: readonly Datum[]): Promise<readonly ScannedRow[]> {
    const rows = [...this.#table(catalog).values()];
    return Promise.resolve(
      rows.filter(row => keys.every((key, n) => text(row.values[index!.keys[n]! - 1]!) === text(key))),
    );
  }

  insertRow(catalog: Catalog, values: readonly Datum[]): Promise<ItemPointer> {
    for (const index of catalog.indexes) {
      if (!index.unique) continue;
      const same = (row: ScannedRow): boolean =>
        index.keys.every(key => text(row.values[key - 1]!) === text(values[key - 1]!));
      if ([...this.#table(catalog).values()].some(same)) {
        throw ereport(ERRCODE.UNIQUE_VIOLATION, `duplicate key value violates unique constraint "${index.name}"`);
      }
    }
    const blk = this.#nextRow++;
    this.#table(catalog).set(blk, { values: values.slice(), ctid: { blk, off: 1 } });
    return Promise.resolve({ blk, off: 1 });
  }

  async updateRow(catalog: Catalog, ctid: ItemPointer, values: readonly Datum[]): Promise<ItemPointer> {
    await this.deleteRow(catalog, ctid);
    return this.insertRow(catalog, values);
  }

  deleteRow(catalog: Catalog, ctid: ItemPointer): Promise<void> {
    if (!this.#table(catalog).delete(ctid.blk)) throw new Error(`${catalog.name} has no row (${ctid.blk},${ctid.off})`);
    return Promise.resolve();
  }

  commandCounterIncrement(): void {}

  newOid(): Promise<Oid> {
    return Promise.resolve(this.#nextOid++ as Oid);
  }

  createStorage(rnode: RelFileNode): Promise<void> {
    this.created.push(rnode);
    return Promise.resolve();
  }

  dropStorage(rnode: RelFileNode): void {
    this.dropped.push(rnode);
  }

  frozenXid(): TransactionId {
    return 3 as TransactionId;
  }

  lockObject({ objectId }: LockableObject, mode: number): Promise<boolean> {
    const held = this.locks.some(([oid, other]) => oid === objectId && other === mode);
    if (!held) this.locks.push([objectId, mode]);
    return Promise.resolve(!held);
  }

  unlockObject({ objectId }: LockableObject, mode: number): void {
    this.locks.splice(
      this.locks.findLastIndex(([oid, held]) => oid === objectId && held === mode),
      1,
    );
  }

  buildIndex(): Promise<IndexBuildResult> {
    return Promise.resolve({ tuples: 0, tablePages: 0, indexPages: 1, brokenHotChain: false });
  }

  isEmpty(): Promise<boolean> {
    return Promise.resolve(true);
  }

  checkNotNull(): Promise<void> {
    return Promise.resolve();
  }

  notice(message: string, fields?: { readonly detail?: string }): void {
    this.notices.push(fields?.detail === undefined ? message : `${message}\n${fields.detail}`);
  }
}
