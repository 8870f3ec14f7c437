/**
 * Relation locks that a query needs before it is planned: what its range tables say, at every level.
 */
import { walkChildren } from '@pgtroupe/nodes/nodefuncs';
import { RTE_RELATION } from '@pgtroupe/nodes/nodes';
import type { Node, Query } from '@pgtroupe/nodes/parsenodes';
import type { Oid } from '@pgtroupe/common/ids';

export interface NeededLock {
  readonly relid: Oid;
  readonly mode: number;
}

export interface RelationLocker {
  /** Afterwards the catalogs tell what whoever had the lock before has changed. False: the transaction had it already. */
  lock(relid: Oid, mode: number): Promise<boolean>;
  unlock(relid: Oid, mode: number): void;
}

/** Locks what a query reads and writes. While it waits the query's names may come to mean other relations: `analyze` is
 *  asked again for the locks that it needs, until it has them; others that were taken are given back. */
export async function lockWhatQueryMeans(
  locker: RelationLocker,
  analyze: () => Promise<readonly NeededLock[]>,
): Promise<void> {
  let taken: NeededLock[] = [];
  for (;;) {
    const needed = await analyze();
    const isNeeded = ({ relid, mode }: NeededLock): boolean =>
      needed.some(each => each.relid === relid && each.mode === mode);
    for (const each of taken) if (!isNeeded(each)) locker.unlock(each.relid, each.mode);
    taken = taken.filter(isNeeded);
    const before = taken.length;
    for (const each of needed) if (await locker.lock(each.relid, each.mode)) taken.push(each);
    if (taken.length === before) return;
  }
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
