/**
 * Deadlock detection (deadlock.c): a cycle of sessions each waiting for the next. Pure.
 *
 * A waiter is blocked by holders of conflicting locks (hard edges) and by waiters in front of it with
 * conflicting requests (soft edges). PostgreSQL may reorder a queue to break a cycle that has a soft
 * edge; we do the simple case, moving the waiter in front of the one it merely queues behind.
 */
import { conflictMask, lockModeName } from '@pgtroupe/storage/lmgr/lock-modes';
import { holdingMask, type Lock, type LockOwner, type LockTag, type Waiter } from './lock-table.ts';

export interface Edge<I> {
  readonly waiter: Waiter<I>;
  readonly blocker: LockOwner<I>;
  readonly soft: boolean;
}

export interface Deadlock {
  readonly message: string;
  readonly detail: string;
  readonly hint: string;
}

/**
 * Looks for a cycle through `start`. Returns undefined when there is none, or when the queue was
 * rearranged (`rearranged` is called with the lock to wake up).
 */
export function checkDeadlock<I>(start: Waiter<I>, rearranged: (lock: Lock<I>) => void): Deadlock | undefined {
  const cycle = findCycle(start.owner, start.owner, new Set(), []);
  if (cycle === undefined) return undefined;
  // The edge farthest from who looks first, as PostgreSQL tries them.
  for (const edge of cycle.toReversed()) {
    const { queue } = edge.waiter.lock;
    const before = [...queue];
    if (!edge.soft || !moveAhead(edge)) continue;
    if (findCycle(start.owner, start.owner, new Set(), []) === undefined) {
      rearranged(edge.waiter.lock);
      return undefined;
    }
    queue.splice(0, queue.length, ...before);
  }
  return {
    message: 'deadlock detected',
    detail: cycle
      .map(
        ({ waiter, blocker }) =>
          `Process ${waiter.owner.pid} waits for ${describeWanted(waiter)}; blocked by process ${blocker.pid}.`,
      )
      .join('\n'),
    hint: 'See server log for query details.',
  };
}

function findCycle<I>(
  target: LockOwner<I>,
  owner: LockOwner<I>,
  visited: Set<LockOwner<I>>,
  path: Edge<I>[],
): Edge<I>[] | undefined {
  if (visited.has(owner)) return undefined;
  visited.add(owner);
  const waiter = owner.waiting;
  if (waiter === undefined) return undefined;
  for (const edge of blockers(waiter)) {
    path.push(edge);
    if (edge.blocker === target) return path;
    const found = findCycle(target, edge.blocker, visited, path);
    if (found !== undefined) return found;
    path.pop();
  }
  return undefined;
}

/** Whom it waits for: who holds the lock, and who asked before it. */
export function* blockers<I>(waiter: Waiter<I>): IterableIterator<Edge<I>> {
  const conflicting = conflictMask(waiter.mode);
  for (const holder of waiter.lock.holdings.keys()) {
    if (holder !== waiter.owner && (holdingMask(waiter.lock, holder) & conflicting) !== 0) {
      yield { waiter, blocker: holder, soft: false };
    }
  }
  for (const ahead of waiter.lock.queue) {
    if (ahead === waiter) return;
    if ((conflicting & (1 << ahead.mode)) !== 0) yield { waiter, blocker: ahead.owner, soft: true };
  }
}

/** Puts the edge's waiter in front of the one it queues behind. */
function moveAhead<I>({ waiter, blocker }: Edge<I>): boolean {
  const { queue } = waiter.lock;
  const from = queue.indexOf(waiter);
  const to = queue.findIndex(other => other.owner === blocker);
  if (from < 0 || to < 0 || to > from) return false;
  queue.splice(from, 1);
  queue.splice(to, 0, waiter);
  return true;
}

/** `ShareLock on transaction 739` */
export function describeWanted<I>({ mode, lock }: Waiter<I>): string {
  return `${lockModeName(mode)} on ${describeLockTag(lock.tag)}`;
}

/** DescribeLockTag */
function describeLockTag({ locktype, f1, f2, f3, f4 }: LockTag): string {
  switch (locktype) {
    case 0:
      return `relation ${f2} of database ${f1}`;
    case 1:
      return `extension of relation ${f2} of database ${f1}`;
    case 2:
      return `pg_database.datfrozenxid of database ${f1}`;
    case 3:
      return `page ${f3} of relation ${f2} of database ${f1}`;
    case 4:
      return `tuple (${f3},${f4}) of relation ${f2} of database ${f1}`;
    case 5:
      return `transaction ${f1}`;
    case 6:
      return `virtual transaction ${f1}/${f2}`;
    case 7:
      return `speculative token ${f2} of transaction ${f1}`;
    case 8:
      return `object ${f3} of class ${f2} of database ${f1}`;
    case 9:
      return `user lock [${f1},${f2},${f3}]`;
    case 10:
      return `advisory lock [${f1},${f2},${f3},${f4}]`;
    default:
      return `unrecognized locktag type ${locktype}`;
  }
}
