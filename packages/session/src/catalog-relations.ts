/**
 * Storage of the system catalogs of one database: their heaps and B-trees as access methods see them,
 * made from the catalogs' fixed shapes, so that the catalog caches can be filled before there is
 * anything to look up.
 *
 * A mapped catalog's file is in the relation map; another's in its row of pg_class, which is mapped.
 */
import { CSTRINGOID, GLOBALTABLESPACE_OID } from '@pgtroupe/common/oids';
import { BTIndex } from '@pgtroupe/access/nbtree/btindex';
import { type HeapRelation, heapRelation } from '@pgtroupe/access/heap/heapam-context';
import type { Attribute } from '@pgtroupe/access/common/tupdesc';
import type { Catalog, CatalogColumn, CatalogIndex } from '@pgtroupe/catalog/catalog';
import type { RelationStorage } from '@pgtroupe/catalog/relcache';
import { assert } from '@pgtroupe/common/assert';
import type { Oid, RelFileNode } from '@pgtroupe/common/ids';
import type { SmgrRelation } from '@pgtroupe/storage/buffer/pages';

/** Comparison function of the default B-tree operator class of each type that catalogs index. */
const ORDER_PROC: Readonly<Record<string, string>> = {
  bool: 'btboolcmp',
  char: 'btcharcmp',
  float4: 'btfloat4cmp',
  int2: 'btint2cmp',
  int4: 'btint4cmp',
  int8: 'btint8cmp',
  name: 'btnamecmp',
  oid: 'btoidcmp',
  oidvector: 'btoidvectorcmp',
  regproc: 'btoidcmp',
  text: 'bttextcmp',
};

export interface CatalogFiles {
  /** File number of a mapped relation, undefined for any other. */
  mapped(oid: Oid, shared: boolean): Oid | undefined;
  /** pg_class.relfilenode; asked once per relation. */
  relfilenode(oid: Oid): Promise<Oid>;
}

export class CatalogRelations {
  readonly storage: RelationStorage;
  readonly #files: CatalogFiles;
  readonly #heaps = new Map<Oid, HeapRelation>();
  readonly #indexes = new Map<Oid, BTIndex>();

  constructor(storage: RelationStorage, files: CatalogFiles) {
    this.storage = storage;
    this.#files = files;
  }

  /** Files may have been replaced. */
  reset(): void {
    this.#heaps.clear();
    this.#indexes.clear();
  }

  async heap(catalog: Catalog): Promise<HeapRelation> {
    let heap = this.#heaps.get(catalog.oid);
    if (heap === undefined) {
      heap = heapRelation(await this.#smgr(catalog.oid, catalog.shared), catalog.oid);
      this.#heaps.set(catalog.oid, heap);
    }
    return heap;
  }

  async index(catalog: Catalog, index: CatalogIndex): Promise<BTIndex> {
    let tree = this.#indexes.get(index.oid);
    if (tree === undefined) {
      const columns = index.keys.map(attnum => catalog.columns[attnum - 1]!);
      tree = new BTIndex({
        rel: await this.#smgr(index.oid, catalog.shared),
        name: index.name,
        tableName: catalog.name,
        att: { attrs: columns.map(indexAttribute) },
        keys: columns.map(column => ({ orderProc: orderProc(column), option: 0 })),
        unique: index.unique,
      });
      this.#indexes.set(index.oid, tree);
    }
    return tree;
  }

  /** The TOAST table and its index, which order chunks by value and number. */
  async toast(
    toastOid: Oid,
    toastIndexOid: Oid,
    shared: boolean,
  ): Promise<{ readonly heap: HeapRelation; readonly index: BTIndex }> {
    let heap = this.#heaps.get(toastOid);
    let index = this.#indexes.get(toastIndexOid);
    if (heap === undefined) {
      heap = heapRelation(await this.#smgr(toastOid, shared), toastOid);
      this.#heaps.set(toastOid, heap);
    }
    if (index === undefined) {
      index = toastIndex(await this.#smgr(toastIndexOid, shared), toastOid);
      this.#indexes.set(toastIndexOid, index);
    }
    return { heap, index };
  }

  async #smgr(oid: Oid, shared: boolean): Promise<SmgrRelation> {
    const { storage } = this;
    const relNode = this.#files.mapped(oid, shared) ?? (await this.#files.relfilenode(oid));
    const rnode: RelFileNode = shared
      ? { spcNode: GLOBALTABLESPACE_OID, dbNode: 0 as Oid, relNode }
      : { spcNode: storage.defaultTablespace, dbNode: storage.databaseOid, relNode };
    return storage.smgropen(rnode, oid);
  }
}

/** (chunk_id oid, chunk_seq int4) */
function toastIndex(rel: SmgrRelation, toastOid: Oid): BTIndex {
  const attribute = (name: string, typid: number): Attribute => ({
    name,
    typid: typid as Oid,
    typmod: -1,
    len: 4,
    byval: true,
    align: 'i',
    storage: 'p',
    notNull: false,
    dropped: false,
    collation: 0 as Oid,
    hasDefault: false,
  });
  return new BTIndex({
    rel,
    name: `pg_toast_${toastOid}_index`,
    tableName: `pg_toast_${toastOid}`,
    att: { attrs: [attribute('chunk_id', 26), attribute('chunk_seq', 23)] },
    keys: [
      { orderProc: 'btoidcmp', option: 0 },
      { orderProc: 'btint4cmp', option: 0 },
    ],
    unique: true,
  });
}

/** name is stored in indexes as cstring. */
function indexAttribute(column: CatalogColumn): Attribute {
  return column.type === 'name' ? { ...column, typid: CSTRINGOID, len: -2, align: 'c' } : column;
}

function orderProc(column: CatalogColumn): string {
  const proc = ORDER_PROC[column.type];
  assert(proc !== undefined, `no catalog index is on type ${column.type}`);
  return proc;
}
