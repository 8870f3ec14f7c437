/**
 * The heavyweight lock manager (storage/lmgr): modes, queues, grants. Pure; deadlocks in deadlock.ts.
 *
 * - Fairness as in PostgreSQL: a request that conflicts with a waiting one queues behind it, except
 *   that who already holds locks in the way of a waiter queues in front of it (JoinWaitQueue).
 * - Locks on transactions are not stored: who runs a transaction holds it exclusively. The holder
 *   appears in the table when somebody waits, and goes when the transaction ends.
 * - Weak relation locks may be granted by instances that hold the relation's token (the fast path).
 *   A strong request recalls all tokens; until the last instance has said who holds what, strong
 *   requests wait, whatever the table says (invariant 21).
 * - There is room for so many locks, and for twice as many holders. Weak relation locks, by the fast path or not, always
 *   find some: as many as relations and sessions there are. Tokens take none.
 */
import { conflictMask, isStrongMode, MAX_LOCK_MODE } from '@pgtroupe/storage/lmgr/lock-modes';
import type { LockStatus } from '@pgtroupe/storage/lmgr/lock-status';

export interface LockTag {
  readonly locktype: number;
  readonly f1: number;
  readonly f2: number;
  readonly f3: number;
  readonly f4: number;
}

const LOCKTAG_RELATION = 0;
const LOCKTAG_TRANSACTION = 5;
const ROW_EXCLUSIVE_LOCK = 3;
const EXCLUSIVE_LOCK = 7;
const NOBODY: ReadonlySet<number> = new Set();

/** A session (or whoever else can hold locks), by its PID. */
export interface LockOwner<I> {
  readonly pid: number;
  readonly instance: I;
  /** Locks it has any part in. */
  readonly holds: Set<Lock<I>>;
  waiting: Waiter<I> | undefined;
}

interface Holding {
  /** Held until the transaction ends. */
  transaction: number;
  /** Held until released or the session ends: how often, by mode. */
  readonly session: number[];
}

export interface Waiter<I> {
  readonly owner: LockOwner<I>;
  readonly lock: Lock<I>;
  readonly mode: number;
  readonly reqId: number;
  readonly session: boolean;
  /** NOWAIT: it waits for instances to say who holds what, and for nobody who does. */
  readonly nowait: boolean;
  /** Somebody in front waits for what the owner holds, and holds what the owner waits for: a deadlock at first sight. */
  readonly crossed: boolean;
  /** Since when, by the wall clock; whoever began the wait says it. */
  sinceMicros?: number;
}

export interface Lock<I> {
  readonly tag: LockTag;
  readonly key: string;
  readonly holdings: Map<LockOwner<I>, Holding>;
  readonly queue: Waiter<I>[];
  /** Relations: instances that may grant weak modes themselves, and those asked to stop. */
  readonly tokens: Set<I>;
  readonly recalled: Set<I>;
  /** Instances that asked for the token while it could not be had. */
  readonly tokenWishes: Set<I>;
}

export interface LockEffects<I> {
  granted(waiter: Waiter<I>): void;
  /** A NOWAIT request that somebody is in the way of. */
  notAvailable(waiter: Waiter<I>): void;
  tokenGranted(instance: I, lock: Lock<I>): void;
  recallToken(instance: I, lock: Lock<I>): void;
}

export type AcquireResult = 'granted' | 'waiting' | 'not-available' | 'no-room';

export function lockKey(tag: LockTag): string {
  return `${tag.locktype}/${tag.f1}/${tag.f2}/${tag.f3}/${tag.f4}`;
}

/** The transaction that a transaction lock's tag means. */
function taggedXid(tag: LockTag): number {
  return tag.f2 * 0x100000000 + tag.f1;
}

export function xactTag(fxid: number): LockTag {
  return { locktype: LOCKTAG_TRANSACTION, f1: fxid >>> 0, f2: Math.floor(fxid / 0x100000000), f3: 0, f4: 0 };
}

export class LockTable<I> {
  readonly #effects: LockEffects<I>;
  /** Locks that somebody may hold at a time. */
  readonly #maxLocks: number;
  #heldLocks = 0;
  #holdings = 0;
  readonly #locks = new Map<string, Lock<I>>();
  readonly #owners = new Map<number, LockOwner<I>>();
  /** Who runs a transaction: undefined when it is over. */
  readonly #xidRuns: (fxid: number) => boolean;
  readonly #xidOwner: (fxid: number) => LockOwner<I> | undefined;

  constructor(
    effects: LockEffects<I>,
    xids: { readonly runs: (fxid: number) => boolean; readonly owner: (fxid: number) => LockOwner<I> | undefined },
    maxLocks: number,
  ) {
    this.#effects = effects;
    this.#maxLocks = maxLocks;
    this.#xidRuns = xids.runs;
    this.#xidOwner = xids.owner;
  }

  owner(pid: number, instance: I): LockOwner<I> {
    let owner = this.#owners.get(pid);
    if (owner === undefined) {
      owner = { pid, instance, holds: new Set(), waiting: undefined };
      this.#owners.set(pid, owner);
    }
    return owner;
  }

  /** What the session waits for. */
  waiting(pid: number): Waiter<I> | undefined {
    return this.#owners.get(pid)?.waiting;
  }

  /** LockHasWaiters */
  hasWaiters(tag: LockTag, mode: number): boolean {
    const lock = this.#locks.get(lockKey(tag));
    return lock !== undefined && (waitMask(lock) & conflictMask(mode)) !== 0;
  }

  locks(): Iterable<Lock<I>> {
    return this.#locks.values();
  }

  /** All that are held here or waited for, for pg_locks. A transaction's lock on its own id is not among them: who runs it
   *  tells of it. What PostgreSQL grants by its fast path is told to be so, though it was granted here. */
  *status(): IterableIterator<LockStatus> {
    for (const { tag, holdings, queue } of this.#locks.values()) {
      const strong =
        queue.some(({ mode }) => isStrongMode(mode)) || [...holdings.values()].some(h => maskOf(h) >= 1 << 5);
      for (const [{ pid }, holding] of holdings) {
        const mask = maskOf(holding);
        for (let mode = 1; mode <= MAX_LOCK_MODE; mode++) {
          if ((mask & (1 << mode)) === 0 || isOwnXact(tag, mode)) continue;
          const fastpath = !strong && tag.f1 !== 0 && mode <= ROW_EXCLUSIVE_LOCK && tag.locktype === LOCKTAG_RELATION;
          yield { pid, tag, mode, granted: true, fastpath };
        }
      }
      for (const { owner, mode, sinceMicros } of queue) {
        yield { pid: owner.pid, tag, mode, granted: false, fastpath: false, waitStart: sinceMicros };
      }
    }
  }

  /** Counts of what ends with transactions and sessions, and of tokens that nobody can give back. */
  held(isDead: (instance: I) => boolean): Record<string, number> {
    const counts = { locks: 0, 'lock waits': 0, 'relation tokens of the dead': 0, 'lock owners': this.#owners.size };
    for (const { holdings, queue, tokens } of this.#locks.values()) {
      counts.locks += holdings.size;
      counts['lock waits'] += queue.length;
      for (const instance of tokens) if (isDead(instance)) counts['relation tokens of the dead']++;
    }
    return counts;
  }

  acquire(
    owner: LockOwner<I>,
    tag: LockTag,
    mode: number,
    request: { readonly reqId: number; readonly nowait: boolean; readonly session: boolean },
  ): AcquireResult {
    if (tag.locktype === LOCKTAG_TRANSACTION && !this.#xidRuns(taggedXid(tag))) return 'granted';
    if (!isFastPath(tag, mode) && this.#full(owner, tag)) {
      this.#tidyOwner(owner);
      return 'no-room';
    }
    const lock = this.#lock(tag);
    if (tag.locktype === LOCKTAG_TRANSACTION) this.#showRunner(lock);
    if (isStrongMode(mode)) this.#recallTokens(lock);
    const own = lock.holdings.get(owner);
    if (own !== undefined && (maskOf(own) & (1 << mode)) !== 0 && !this.#blockedByTokens(lock, mode)) {
      this.#hold(lock, owner, mode, request.session);
      return 'granted';
    }
    if ((conflictMask(mode) & waitMask(lock)) === 0 && !this.#conflicts(lock, owner, mode)) {
      this.#hold(lock, owner, mode, request.session);
      return 'granted';
    }
    return this.#join(owner, lock, mode, request);
  }

  /** No room for one more lock, or for one more holder (the hash tables of LOCKs and PROCLOCKs). */
  #full(owner: LockOwner<I>, tag: LockTag): boolean {
    if (this.#heldLocks < this.#maxLocks && this.#holdings < 2 * this.#maxLocks) return false;
    const lock = this.#locks.get(lockKey(tag));
    if (lock?.holdings.has(owner)) return false;
    return this.#holdings >= 2 * this.#maxLocks || lock === undefined || lock.holdings.size === 0;
  }

  /** The waiter gives up. False: it had its answer before. */
  cancel(owner: LockOwner<I>, reqId: number): boolean {
    const waiter = owner.waiting;
    const waits = waiter !== undefined && waiter.reqId === reqId;
    if (waits) this.#leaveQueue(waiter);
    this.#tidyOwner(owner);
    return waits;
  }

  /** The waiter must not get it (deadlock): as cancel. */
  removeWaiter(waiter: Waiter<I>): void {
    this.#leaveQueue(waiter);
  }

  release(owner: LockOwner<I>, tag: LockTag, mode: number, session: boolean): void {
    const lock = this.#locks.get(lockKey(tag));
    const holding = lock?.holdings.get(owner);
    if (lock === undefined || holding === undefined) return this.#tidyOwner(owner);
    if (!session) holding.transaction &= ~(1 << mode);
    else if (holding.session[mode]! > 0) holding.session[mode]!--;
    this.#settle(lock, owner, holding);
    this.#tidyOwner(owner);
  }

  /** Ends the owner's transaction locks, or all of them. */
  releaseAll(owner: LockOwner<I>, session: boolean): void {
    for (const lock of [...owner.holds]) {
      const holding = lock.holdings.get(owner)!;
      // That it runs a transaction ends with the transaction; that it has waited for one ends here.
      holding.transaction &= lock.tag.locktype === LOCKTAG_TRANSACTION ? 1 << EXCLUSIVE_LOCK : 0;
      if (session) holding.session.fill(0);
      this.#settle(lock, owner, holding);
    }
    this.#tidyOwner(owner);
  }

  #tidyOwner(owner: LockOwner<I>): void {
    if (owner.holds.size === 0 && owner.waiting === undefined && this.#owners.get(owner.pid) === owner)
      this.#owners.delete(owner.pid);
  }

  /** Everything of an instance that died goes, but for the locks of owners to be spared. While there are any, its
   *  tokens stay too. Called again with nobody to spare. */
  instanceDied(instance: I, spared: ReadonlySet<number> = NOBODY): void {
    for (const owner of [...this.#owners.values()]) {
      if (owner.instance !== instance || spared.has(owner.pid)) continue;
      if (owner.waiting !== undefined) this.#leaveQueue(owner.waiting);
      this.releaseAll(owner, true);
    }
    for (const lock of [...this.#locks.values()]) {
      lock.tokenWishes.delete(instance);
      if (spared.size === 0 && lock.tokens.delete(instance)) {
        lock.recalled.delete(instance);
        this.wake(lock);
      }
    }
  }

  /** A transaction is over: whoever waited for it goes on. */
  transactionEnded(fxid: number): void {
    const lock = this.#locks.get(lockKey(xactTag(fxid)));
    if (lock === undefined) return;
    for (const [owner, holding] of lock.holdings) {
      holding.transaction &= ~(1 << EXCLUSIVE_LOCK);
      if (maskOf(holding) === 0) {
        this.#dropHolding(lock, owner);
        this.#tidyOwner(owner);
      }
    }
    this.wake(lock);
  }

  // ---- weak relation locks held by instances -----------------------------------------------------

  tokenRequested(instance: I, tag: LockTag): void {
    const lock = this.#lock(tag);
    lock.tokenWishes.add(instance);
    this.#grantTokens(lock);
  }

  /** The instance's answer to a recall: its sessions' locks are ours now. */
  holdersTransferred(instance: I, tag: LockTag, holders: readonly number[]): void {
    const lock = this.#lock(tag);
    lock.tokens.delete(instance);
    lock.recalled.delete(instance);
    for (let n = 0; n + 1 < holders.length; n += 2) {
      const owner = this.owner(holders[n]!, instance);
      for (let mode = 1; mode <= MAX_LOCK_MODE; mode++) {
        if ((holders[n + 1]! & (1 << mode)) !== 0) this.#hold(lock, owner, mode, false);
      }
    }
    this.wake(lock);
  }

  #recallTokens(lock: Lock<I>): void {
    for (const instance of lock.tokens) {
      if (lock.recalled.has(instance)) continue;
      lock.recalled.add(instance);
      this.#effects.recallToken(instance, lock);
    }
  }

  #blockedByTokens(lock: Lock<I>, mode: number): boolean {
    return isStrongMode(mode) && lock.tokens.size > 0;
  }

  #grantTokens(lock: Lock<I>): void {
    if (lock.tokenWishes.size === 0 || lock.recalled.size > 0) return;
    for (const holding of lock.holdings.values()) if (maskOf(holding) >= 1 << 5) return;
    if (waitMask(lock) >= 1 << 5) return;
    for (const instance of lock.tokenWishes) {
      lock.tokens.add(instance);
      this.#effects.tokenGranted(instance, lock);
    }
    lock.tokenWishes.clear();
  }

  // ---- queue -------------------------------------------------------------------------------------

  /** JoinWaitQueue */
  #join(
    owner: LockOwner<I>,
    lock: Lock<I>,
    mode: number,
    request: { readonly reqId: number; readonly nowait: boolean; readonly session: boolean },
  ): AcquireResult {
    let at = lock.queue.length;
    let crossed = false;
    const held = lock.holdings.get(owner);
    if (held !== undefined && maskOf(held) !== 0) {
      let ahead = 0;
      for (let n = 0; n < lock.queue.length; n++) {
        const waiter = lock.queue[n]!;
        if ((conflictMask(waiter.mode) & maskOf(held)) !== 0) {
          // It waits for us; behind it we would wait for each other. And before it, if it has what we want.
          crossed = (conflictMask(mode) & holdingMask(lock, waiter.owner)) !== 0;
          if (!crossed && (conflictMask(mode) & ahead) === 0 && !this.#conflicts(lock, owner, mode)) {
            this.#hold(lock, owner, mode, request.session);
            return 'granted';
          }
          at = n;
          break;
        }
        ahead |= 1 << waiter.mode;
      }
    }
    const { reqId, session, nowait } = request;
    if (nowait && !this.#onlyTokensBlock(owner, lock, mode, at)) {
      this.#tidyOwner(owner);
      return 'not-available';
    }
    const waiter: Waiter<I> = { owner, lock, mode, reqId, session, nowait, crossed };
    lock.queue.splice(at, 0, waiter);
    owner.waiting = waiter;
    return 'waiting';
  }

  #leaveQueue(waiter: Waiter<I>): void {
    const at = waiter.lock.queue.indexOf(waiter);
    if (at >= 0) waiter.lock.queue.splice(at, 1);
    if (waiter.owner.waiting === waiter) waiter.owner.waiting = undefined;
    this.wake(waiter.lock);
  }

  /** Grants to waiters, in order, what can be granted (ProcLockWakeup). */
  wake(lock: Lock<I>): void {
    let ahead = 0;
    for (let n = 0; n < lock.queue.length; ) {
      const waiter = lock.queue[n]!;
      if ((conflictMask(waiter.mode) & ahead) !== 0 || this.#conflicts(lock, waiter.owner, waiter.mode)) {
        if (!waiter.nowait || this.#blockedByTokens(lock, waiter.mode)) {
          ahead |= 1 << waiter.mode;
          n++;
          continue;
        }
        lock.queue.splice(n, 1);
        waiter.owner.waiting = undefined;
        this.#effects.notAvailable(waiter);
        this.#tidyOwner(waiter.owner);
        continue;
      }
      lock.queue.splice(n, 1);
      waiter.owner.waiting = undefined;
      this.#hold(lock, waiter.owner, waiter.mode, waiter.session);
      this.#effects.granted(waiter);
    }
    this.#grantTokens(lock);
    this.#tidy(lock);
  }

  #conflicts(lock: Lock<I>, owner: LockOwner<I>, mode: number): boolean {
    return this.#blockedByTokens(lock, mode) || this.#heldByOthers(lock, owner, mode);
  }

  /** Nobody who is known, at place `at` of the queue, is in the way of who asks. */
  #onlyTokensBlock(owner: LockOwner<I>, lock: Lock<I>, mode: number, at: number): boolean {
    if (!this.#blockedByTokens(lock, mode) || this.#heldByOthers(lock, owner, mode)) return false;
    return lock.queue.every((waiter, n) => n >= at || (conflictMask(mode) & (1 << waiter.mode)) === 0);
  }

  #heldByOthers(lock: Lock<I>, owner: LockOwner<I>, mode: number): boolean {
    const conflicting = conflictMask(mode);
    for (const [holder, holding] of lock.holdings) {
      if (holder !== owner && (maskOf(holding) & conflicting) !== 0) return true;
    }
    return false;
  }

  // ---- holdings ----------------------------------------------------------------------------------

  #hold(lock: Lock<I>, owner: LockOwner<I>, mode: number, session: boolean): void {
    let holding = lock.holdings.get(owner);
    if (holding === undefined) {
      holding = { transaction: 0, session: new Array<number>(MAX_LOCK_MODE + 1).fill(0) };
      if (lock.holdings.size === 0) this.#heldLocks++;
      this.#holdings++;
      lock.holdings.set(owner, holding);
      owner.holds.add(lock);
    }
    if (session) holding.session[mode]!++;
    else holding.transaction |= 1 << mode;
  }

  #settle(lock: Lock<I>, owner: LockOwner<I>, holding: Holding): void {
    if (maskOf(holding) === 0) this.#dropHolding(lock, owner);
    this.wake(lock);
  }

  #dropHolding(lock: Lock<I>, owner: LockOwner<I>): void {
    lock.holdings.delete(owner);
    owner.holds.delete(lock);
    this.#holdings--;
    if (lock.holdings.size === 0) this.#heldLocks--;
  }

  /** Makes the session that runs the transaction visible as the holder of its lock. */
  #showRunner(lock: Lock<I>): void {
    const runner = this.#xidOwner(taggedXid(lock.tag));
    const owner = runner ?? this.owner(0, undefined as I);
    const held = lock.holdings.get(owner);
    if (held === undefined || (held.transaction & (1 << EXCLUSIVE_LOCK)) === 0)
      this.#hold(lock, owner, EXCLUSIVE_LOCK, false);
  }

  #lock(tag: LockTag): Lock<I> {
    const key = lockKey(tag);
    let lock = this.#locks.get(key);
    if (lock === undefined) {
      lock = {
        tag,
        key,
        holdings: new Map(),
        queue: [],
        tokens: new Set(),
        recalled: new Set(),
        tokenWishes: new Set(),
      };
      this.#locks.set(key, lock);
    }
    return lock;
  }

  #tidy(lock: Lock<I>): void {
    if (lock.holdings.size === 0 && lock.queue.length === 0 && lock.tokens.size === 0 && lock.tokenWishes.size === 0) {
      this.#locks.delete(lock.key);
    }
  }
}

function isOwnXact(tag: LockTag, mode: number): boolean {
  return tag.locktype === LOCKTAG_TRANSACTION && mode === EXCLUSIVE_LOCK;
}

function isFastPath(tag: LockTag, mode: number): boolean {
  return tag.locktype === LOCKTAG_RELATION && !isStrongMode(mode);
}

export function holdingMask<I>(lock: Lock<I>, owner: LockOwner<I>): number {
  const holding = lock.holdings.get(owner);
  return holding === undefined ? 0 : maskOf(holding);
}

function maskOf(holding: Holding): number {
  let mask = holding.transaction;
  for (let mode = 1; mode <= MAX_LOCK_MODE; mode++) if (holding.session[mode]! > 0) mask |= 1 << mode;
  return mask;
}

function waitMask<I>(lock: Lock<I>): number {
  let mask = 0;
  for (const waiter of lock.queue) mask |= 1 << waiter.mode;
  return mask;
}
