/**
 * Access method objects of relations, made once per relcache entry.
 */
import { type BTIndexInfo, BTIndex } from '@pgtroupe/access/nbtree/btindex';
import { btSupportProc } from '@pgtroupe/access/nbtree/nbtcompare';
import { type HeapRelation, heapRelation } from '@pgtroupe/access/heap/heapam-context';
import type { UpdateAttributes } from '@pgtroupe/access/heap/heapam-update';
import { tupleLayout } from '@pgtroupe/access/common/heaptuple';
import type { IndexDesc, RelationDesc } from '@pgtroupe/catalog/relcache';
import { getProc } from '../optimizer/lsyscache.ts';
import type { EState } from './estate.ts';
import { binaryFunction } from './execExpr.ts';

const heaps = new WeakMap<RelationDesc, HeapRelation>();
const indexes = new WeakMap<RelationDesc, BTIndex>();
const attributes = new WeakMap<RelationDesc, UpdateAttributes>();

function reloption(relation: RelationDesc, name: string): string | undefined {
  return relation.rel.reloptions?.find(o => o.startsWith(`${name}=`))?.slice(name.length + 1);
}

export function heapOf(relation: RelationDesc): HeapRelation {
  let heap = heaps.get(relation);
  if (heap === undefined) heaps.set(relation, (heap = heapRelation(relation.smgr, Number(reloption(relation, 'fillfactor') ?? 100))));
  return heap;
}

export function btreeOf(est: EState, table: RelationDesc, index: IndexDesc): BTIndex {
  let bt = indexes.get(index.rel);
  if (bt === undefined) indexes.set(index.rel, (bt = new BTIndex(btreeInfo(est, table, index))));
  return bt;
}

function btreeInfo(est: EState, table: RelationDesc, index: IndexDesc): BTIndexInfo {
  const { rel } = index;
  const fillfactor = reloption(rel, 'fillfactor');
  return {
    rel: rel.smgr, name: rel.name, tableName: table.name, att: rel.att, unique: index.index.indisunique,
    nullsNotDistinct: index.index.indnullsnotdistinct,
    deduplicate: reloption(rel, 'deduplicate_items') !== 'off',
    ...(fillfactor === undefined ? {} : { fillfactor: Number(fillfactor) }),
    keys: index.keys.map(key => {
      const orderProc = getProc(est.env.rows, key.orderProc).prosrc;
      if (btSupportProc(orderProc) !== undefined) return { orderProc, option: key.option };
      const call = binaryFunction(est, key.orderProc, [key.opcintype, key.opcintype], 23, key.collation);
      return { orderProc, option: key.option, compare: (a, b) => call(a, b) as number };
    }),
  };
}

/** Which columns decide whether an update is HOT, and whether it changes a key. */
export function updateAttributesOf(relation: RelationDesc, columnsOf: (index: IndexDesc) => readonly number[]): UpdateAttributes {
  let atts = attributes.get(relation);
  if (atts === undefined) {
    const indexed = new Set<number>();
    const key = new Set<number>();
    for (const index of relation.indexes) {
      for (const attnum of columnsOf(index)) if (attnum > 0) indexed.add(attnum - 1);
      const plain = index.index.indisunique && index.index.indpred === null && index.index.indexprs === null && index.index.indimmediate;
      if (plain) for (const k of index.keys) key.add(k.attnum - 1);
    }
    atts = { layout: tupleLayout(relation.att), indexed: Uint16Array.from(indexed), key: Uint16Array.from(key) };
    attributes.set(relation, atts);
  }
  return atts;
}
