/**
 * Access method objects of relations, made once per relcache entry.
 */
import type { BTIndex } from '@pgtroupe/access/nbtree/btindex';
import {
  LOCK_TUPLE_EXCLUSIVE,
  LOCK_TUPLE_NO_KEY_EXCLUSIVE,
  type LockTupleMode,
} from '@pgtroupe/access/heap/heapam-context';
import type { UpdateAttributes } from '@pgtroupe/access/heap/heapam-update';
import { tupleLayout } from '@pgtroupe/access/common/heaptuple';
import { btIndexOf } from '@pgtroupe/catalog/relaccess';
import type { IndexDesc, RelationDesc } from '@pgtroupe/catalog/relcache';
import type { EState } from './estate.ts';
import { binaryFunction } from './execExpr.ts';

export { heapOf } from '@pgtroupe/catalog/relaccess';

const attributes = new WeakMap<RelationDesc, UpdateAttributes>();

export function btreeOf(est: EState, table: RelationDesc, index: IndexDesc): BTIndex {
  return btIndexOf(est.env.rows, index, table, key => {
    const call = binaryFunction(est, key.orderProc, [key.opcintype, key.opcintype], 23, key.collation);
    return (a, b) => call(a, b) as number;
  });
}

/** Which columns decide whether an update is HOT, and whether it changes a key. */
export function updateAttributesOf(
  relation: RelationDesc,
  columnsOf: (index: IndexDesc) => readonly number[],
): UpdateAttributes {
  let atts = attributes.get(relation);
  if (atts === undefined) {
    const indexed = new Set<number>();
    const key = new Set<number>();
    for (const index of relation.indexes) {
      for (const attnum of columnsOf(index)) if (attnum > 0) indexed.add(attnum - 1);
      const plain =
        index.index.indisunique &&
        index.index.indpred === null &&
        index.index.indexprs === null &&
        index.index.indimmediate;
      if (plain) for (const k of index.keys) key.add(k.attnum - 1);
    }
    atts = { layout: tupleLayout(relation.att), indexed: Uint16Array.from(indexed), key: Uint16Array.from(key) };
    attributes.set(relation, atts);
  }
  return atts;
}

/** The mode in which an UPDATE that sets these columns (0-based) needs the row (ExecUpdateLockMode). */
export function execUpdateLockMode({ key }: UpdateAttributes, columns: readonly number[]): LockTupleMode {
  const keys = Array.from(key);
  return columns.some(column => keys.includes(column)) ? LOCK_TUPLE_EXCLUSIVE : LOCK_TUPLE_NO_KEY_EXCLUSIVE;
}
