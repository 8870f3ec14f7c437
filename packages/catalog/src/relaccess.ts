/**
 * Relations as the access methods see them: one HeapRelation and one BTIndex per descriptor, so that
 * what an access method remembers (target blocks, the root) is shared by everybody in the instance.
 */
import { BTREE_AM_OID } from '@pgtroupe/common/oids';
import { type HeapRelation, heapRelation } from '@pgtroupe/access/heap/heapam-context';
import { BTIndex } from '@pgtroupe/access/nbtree/btindex';
import { btSupportProc, type Compare } from '@pgtroupe/access/nbtree/nbtcompare';
import { notSupported } from '@pgtroupe/common/ereport';
import type { CatCache } from './catcache.ts';
import type { IndexDesc, IndexKey, RelationDesc } from './relcache.ts';
import { PROCOID } from './syscache.ts';

const heaps = new WeakMap<RelationDesc, HeapRelation>();
const indexes = new WeakMap<IndexDesc, BTIndex>();

export function heapOf(desc: RelationDesc): HeapRelation {
  let heap = heaps.get(desc);
  if (heap === undefined)
    heaps.set(desc, (heap = heapRelation(desc.smgr, desc.oid, reloption(desc, 'fillfactor', 100))));
  return heap;
}

/**
 * Synchronous; may throw CatalogMiss for the comparison functions. `compare` calls one that the access
 * method does not know itself.
 */
export function btIndexOf(
  catalog: Pick<CatCache, 'search'>,
  desc: IndexDesc,
  table: RelationDesc,
  compare?: (key: IndexKey) => Compare,
): BTIndex {
  let index = indexes.get(desc);
  if (index === undefined) {
    if (desc.rel.rel.relam !== BTREE_AM_OID) throw notSupported(`index access method of "${desc.rel.name}"`);
    index = new BTIndex({
      rel: desc.rel.smgr,
      name: desc.rel.name,
      tableName: table.name,
      att: desc.rel.att,
      keys: desc.keys.map(key => {
        const orderProc = catalog.search(PROCOID, key.orderProc)?.prosrc ?? '';
        const known = btSupportProc(orderProc) !== undefined || compare === undefined;
        return { orderProc, option: key.option, compare: known ? undefined : compare(key) };
      }),
      unique: desc.index.indisunique,
      nullsNotDistinct: desc.index.indnullsnotdistinct,
      fillfactor: reloption(desc.rel, 'fillfactor', 90),
      deduplicate: storageParameter(desc.rel, 'deduplicate_items') !== 'off',
    });
    indexes.set(desc, index);
  }
  return index;
}

function reloption(desc: RelationDesc, name: string, fallback: number): number {
  const text = storageParameter(desc, name);
  return text === undefined ? fallback : Number(text);
}

/** A storage parameter, as it was written. */
export function storageParameter(desc: RelationDesc, name: string): string | undefined {
  return desc.rel.reloptions?.find(option => option.startsWith(`${name}=`))?.slice(name.length + 1);
}
