import { describe, expect, it } from 'vitest';
import { checkDeadlock } from './deadlock.ts';
import { type LockOwner, LockTable, type LockTag, xactTag } from './lock-table.ts';

const ACCESS_SHARE = 1;
const ROW_EXCLUSIVE = 3;
const SHARE = 5;
const EXCLUSIVE = 7;
const ACCESS_EXCLUSIVE = 8;
const LOCKTAG_ADVISORY = 10;
const T: LockTag = { locktype: 0, f1: 5, f2: 16384, f3: 0, f4: 0 };
const U: LockTag = { ...T, f2: 16385 };

function setUp(maxLocks = 100) {
  const log: string[] = [];
  const running = new Map<number, number>();
  const table: LockTable<string> = new LockTable<string>(
    {
      granted: waiter => log.push(`granted ${waiter.owner.pid}`),
      notAvailable: waiter => log.push(`not available ${waiter.owner.pid}`),
      tokenGranted: (instance, lock) => log.push(`token ${instance} ${lock.tag.f2}`),
      recallToken: (instance, lock) => log.push(`recall ${instance} ${lock.tag.f2}`),
    },
    {
      runs: fxid => running.has(fxid),
      owner: (fxid): LockOwner<string> | undefined =>
        running.has(fxid) ? table.owner(running.get(fxid)!, 'a') : undefined,
    },
    maxLocks,
  );
  let reqId = 0;
  const lock = (pid: number, mode: number, tag = T, more: { nowait?: boolean; session?: boolean } = {}): string =>
    table.acquire(table.owner(pid, 'a'), tag, mode, {
      reqId: ++reqId,
      nowait: more.nowait ?? false,
      session: more.session ?? false,
    });
  const end = (pid: number): void => table.releaseAll(table.owner(pid, 'a'), false);
  return { table, log, running, lock, end };
}

describe('lock table', () => {
  it('grants what does not conflict and queues what does, first come first served', () => {
    const { lock, end, log } = setUp();
    expect(lock(1, ACCESS_SHARE)).toBe('granted');
    expect(lock(2, ROW_EXCLUSIVE)).toBe('granted');
    expect(lock(3, ACCESS_EXCLUSIVE)).toBe('waiting');
    // Would not conflict with the holders, but may not overtake the waiter.
    expect(lock(4, ACCESS_SHARE)).toBe('waiting');
    expect(lock(5, ACCESS_SHARE, T, { nowait: true })).toBe('not-available');
    end(1);
    expect(log).toEqual([]);
    end(2);
    expect(log).toEqual(['granted 3']);
    end(3);
    expect(log).toEqual(['granted 3', 'granted 4']);
  });

  it('who dies with the lock of a transaction that he has waited for leaves nothing', () => {
    const { table, running, log } = setUp();
    const request = { reqId: 1, nowait: false, session: false };
    running.set(700, 1);
    expect(table.acquire(table.owner(2, 'b'), xactTag(700), SHARE, request)).toBe('waiting');
    running.delete(700);
    table.transactionEnded(700);
    expect(log).toEqual(['granted 2']);
    table.instanceDied('b');
    expect(table.held(() => true)).toMatchObject({ locks: 0, 'lock owners': 0 });
    expect([...table.locks()]).toEqual([]);
  });

  it('has room for so many locks and twice as many holders, and again when they are given back', () => {
    const { lock, end, table } = setUp(2);
    const [first, second, third] = [1, 2, 3].map((f2): LockTag => ({ ...T, locktype: LOCKTAG_ADVISORY, f2 })) as [
      LockTag,
      LockTag,
      LockTag,
    ];
    expect(lock(1, SHARE, first)).toBe('granted');
    expect(lock(1, SHARE, second)).toBe('granted');
    expect(lock(1, SHARE, third)).toBe('no-room');
    expect(lock(4, ACCESS_EXCLUSIVE)).toBe('no-room');
    // What is held may be held by others and in other modes.
    expect(lock(1, ACCESS_SHARE, second)).toBe('granted');
    expect(lock(2, SHARE, first)).toBe('granted');
    expect(lock(2, SHARE, second)).toBe('granted');
    expect(lock(3, SHARE, first)).toBe('no-room');
    expect(lock(2, ACCESS_SHARE, first)).toBe('granted');
    // Whoever only reads and changes rows goes on.
    expect(lock(6, ROW_EXCLUSIVE)).toBe('granted');
    table.holdersTransferred('a', U, [5, 1 << ACCESS_SHARE]);
    expect(table.held(() => false)).toMatchObject({ locks: 6, 'lock owners': 4 });
    for (const pid of [1, 2, 5, 6]) end(pid);
    expect(lock(3, SHARE, first)).toBe('granted');
    expect(lock(1, SHARE, third)).toBe('granted');
    expect(lock(1, SHARE, second)).toBe('no-room');
    end(1);
    end(3);
    expect([...table.locks()]).toEqual([]);
  });

  it('lets a holder pass waiters that wait for it', () => {
    const { lock } = setUp();
    lock(1, ACCESS_SHARE);
    expect(lock(2, ACCESS_EXCLUSIVE)).toBe('waiting');
    expect(lock(1, ROW_EXCLUSIVE)).toBe('granted');
    expect(lock(1, ACCESS_EXCLUSIVE)).toBe('granted');
  });

  it('gives up a wait, and wakes who stood behind it', () => {
    const { lock, table, log } = setUp();
    lock(1, ACCESS_SHARE);
    lock(2, ACCESS_EXCLUSIVE);
    lock(3, ACCESS_SHARE);
    table.cancel(table.owner(2, 'a'), 2);
    expect(log).toEqual(['granted 3']);
  });

  it('keeps session locks over the end of the transaction', () => {
    const { lock, table, end, log } = setUp();
    lock(1, EXCLUSIVE, T, { session: true });
    lock(1, EXCLUSIVE, T, { session: true });
    end(1);
    expect(lock(2, EXCLUSIVE)).toBe('waiting');
    table.release(table.owner(1, 'a'), T, EXCLUSIVE, true);
    expect(log).toEqual([]);
    table.release(table.owner(1, 'a'), T, EXCLUSIVE, true);
    expect(log).toEqual(['granted 2']);
  });

  it('waits for transactions until they end, and not at all for those that are over', () => {
    const { lock, table, running, log } = setUp();
    running.set(700, 1);
    expect(lock(2, SHARE, xactTag(700))).toBe('waiting');
    expect(lock(3, SHARE, xactTag(700))).toBe('waiting');
    running.delete(700);
    table.transactionEnded(700);
    expect(log).toEqual(['granted 2', 'granted 3']);
    expect(lock(4, SHARE, xactTag(700))).toBe('granted');
  });

  it('recalls fast-path tokens before a strong lock, and takes the holders over', () => {
    const { lock, table, log, end } = setUp();
    table.tokenRequested('b', T);
    table.tokenRequested('c', T);
    expect(log.splice(0)).toEqual(['token b 16384', 'token c 16384']);
    expect(lock(1, ROW_EXCLUSIVE)).toBe('granted');
    end(1);
    expect(lock(1, ACCESS_EXCLUSIVE)).toBe('waiting');
    expect(log.splice(0)).toEqual(['recall b 16384', 'recall c 16384']);
    table.holdersTransferred('b', T, [20, 1 << ROW_EXCLUSIVE]);
    table.holdersTransferred('c', T, []);
    expect(log.splice(0)).toEqual([]);
    table.tokenRequested('c', T);
    table.releaseAll(table.owner(20, 'b'), false);
    expect(log.splice(0)).toEqual(['granted 1']);
    end(1);
    expect(log.splice(0)).toEqual(['token c 16384']);
    expect(lock(1, SHARE)).toBe('waiting');
    table.instanceDied('c');
    expect(log.splice(0)).toEqual(['recall c 16384', 'granted 1']);
  });

  it('NOWAIT waits for tokens to come back, and for nobody who holds the lock', () => {
    const { lock, table, log, end } = setUp();
    const nowait = { nowait: true };
    table.tokenRequested('b', T);
    table.tokenRequested('c', T);
    expect(lock(1, ACCESS_EXCLUSIVE, T, nowait)).toBe('waiting');
    table.holdersTransferred('b', T, []);
    table.holdersTransferred('c', T, []);
    expect(log.splice(0).slice(4)).toEqual(['granted 1']);
    end(1);
    table.tokenRequested('b', T);
    expect(lock(1, SHARE, T, nowait)).toBe('waiting');
    expect(lock(2, ROW_EXCLUSIVE)).toBe('waiting');
    table.holdersTransferred('b', T, [20, 1 << ROW_EXCLUSIVE]);
    expect(log.splice(0).slice(2)).toEqual(['not available 1', 'granted 2']);
    expect(lock(1, SHARE, T, nowait)).toBe('not-available');
    end(2);
    table.releaseAll(table.owner(20, 'b'), false);
    table.tokenRequested('b', T);
    expect(lock(3, EXCLUSIVE, U)).toBe('granted');
    expect(lock(3, ACCESS_EXCLUSIVE, T)).toBe('waiting');
    expect(lock(1, ACCESS_EXCLUSIVE, T, nowait)).toBe('not-available');
  });

  it('frees what a dead instance held and waited for', () => {
    const { lock, table, log } = setUp();
    table.acquire(table.owner(9, 'z'), T, EXCLUSIVE, { reqId: 99, nowait: false, session: true });
    expect(lock(1, EXCLUSIVE)).toBe('waiting');
    table.instanceDied('z');
    expect(log).toEqual(['granted 1']);
    expect([...table.locks()]).toHaveLength(1);
    table.instanceDied('a');
    expect([...table.locks()]).toHaveLength(0);
  });
});

describe('deadlocks', () => {
  it('finds a cycle through transactions and relations, and words it as PostgreSQL does', () => {
    const { lock, table, running } = setUp();
    running.set(700, 1);
    running.set(701, 2);
    lock(1, SHARE, xactTag(701));
    expect(checkDeadlock(table.owner(1, 'a').waiting!, () => {})).toBeUndefined();
    lock(2, SHARE, xactTag(700));
    expect(checkDeadlock(table.owner(2, 'a').waiting!, () => {})).toEqual({
      message: 'deadlock detected',
      detail:
        'Process 2 waits for ShareLock on transaction 700; blocked by process 1.\nProcess 1 waits for ShareLock on transaction 701; blocked by process 2.',
      hint: 'See server log for query details.',
    });
  });

  it('is plain at once where two want to strengthen the lock that both hold', () => {
    const { lock, table } = setUp();
    lock(1, ACCESS_SHARE, T);
    lock(2, ACCESS_SHARE, T);
    lock(1, ACCESS_EXCLUSIVE, T);
    expect(table.waiting(1)!.crossed).toBe(false);
    lock(2, ACCESS_EXCLUSIVE, T);
    expect(table.waiting(2)!.crossed).toBe(true);
    expect(checkDeadlock(table.waiting(2)!, () => {})?.message).toBe('deadlock detected');
    table.removeWaiter(table.waiting(2)!);
    table.releaseAll(table.owner(2, 'a'), false);
    expect(table.waiting(1)).toBeUndefined();
  });

  it('three sessions, two relations', () => {
    const { lock, table } = setUp();
    lock(1, EXCLUSIVE, T);
    lock(2, EXCLUSIVE, U);
    lock(3, EXCLUSIVE, { ...T, f2: 16386 });
    lock(1, EXCLUSIVE, U);
    lock(2, EXCLUSIVE, { ...T, f2: 16386 });
    expect(checkDeadlock(table.owner(1, 'a').waiting!, () => {})).toBeUndefined();
    lock(3, EXCLUSIVE, T);
    expect(checkDeadlock(table.owner(3, 'a').waiting!, () => {})?.detail.split('\n')).toHaveLength(3);
  });

  it('solves a cycle that only exists because of the queue by rearranging it', () => {
    const { lock, table, log } = setUp();
    lock(1, ACCESS_SHARE, T);
    lock(2, ACCESS_SHARE, U);
    lock(3, EXCLUSIVE, U);
    // 4 waits for 1; 2 queues behind 4 although 1 would let it in; 3 holds U and waits for 2's T... : soft.
    lock(4, ACCESS_EXCLUSIVE, T);
    expect(lock(2, ACCESS_SHARE, T)).toBe('waiting');
    expect(lock(1, ACCESS_EXCLUSIVE, U)).toBe('waiting');
    const deadlock = checkDeadlock(table.owner(1, 'a').waiting!, l => table.wake(l));
    expect(deadlock).toBeUndefined();
    expect(log).toContain('granted 2');
  });
});
