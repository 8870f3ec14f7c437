/**
 * Relation locks that a query needs before it runs: what its range tables say, at every level.
 */
import { walkChildren } from '@pgtroupe/nodes/nodefuncs';
import { RTE_RELATION } from '@pgtroupe/nodes/nodes';
import type { Node, Query } from '@pgtroupe/nodes/parsenodes';
import type { Oid } from '@pgtroupe/common/ids';

export interface NeededLock {
  readonly relid: Oid;
  readonly mode: number;
}

/** Each relation once, with its strongest mode; in order of OID, so that sessions lock alike. */
export function neededLocks(query: Query): readonly NeededLock[] {
  const modes = new Map<number, number>();
  const visit = (node: Node): boolean => {
    if (node.type === 'RangeTblEntry' && node.rtekind === RTE_RELATION) {
      modes.set(node.relid, Math.max(modes.get(node.relid) ?? 0, node.rellockmode));
    }
    return walkChildren(node, visit);
  };
  visit(query);
  return [...modes].sort(([a], [b]) => a - b).map(([relid, mode]) => ({ relid: relid as Oid, mode }));
}
