/**
 * Heavyweight locks on rows (LOCKTAG_TUPLE), which order those who wait for one: who waits for a row's holder has its
 * tuple lock, the others queue for that lock, and whoever gets it looks at the row again. It is given back when the
 * row was had, or turned out to be changed or gone; so a session has one at most, and only while it waits for a row or
 * looks at it again.
 *
 * The only instance there is keeps them to itself, for all who may wait are its sessions: no message. Where there are
 * others the locks are the buffer-manager's. They are brought there ("shown"), holders first, when another instance
 * comes, when a wait grows long, and when somebody asks who waits for whom. A row of which any lock was shown is the
 * buffer-manager's until nobody here has a part in it.
 */
import type { Timers } from '@pgtroupe/actor/env';
import type { PgError } from '@pgtroupe/common/ereport';
import { conflictMask } from '@pgtroupe/storage/lmgr/lock-modes';
import { LOCKTAG_TUPLE, type LockTag, tupleTag } from '@pgtroupe/storage/lmgr/locktag';
import type { Attachment } from './attachment.ts';
import type { InstanceLocks, LockOwner } from './instance-locks.ts';
import { LOCK_WAITS } from './wait-event.ts';
import type { TupleWait } from '@pgtroupe/storage/buffer/pages';

interface Waiter {
  readonly owner: LockOwner;
  readonly mode: number;
  granted(): void;
  failed(error: Error): void;
  /** It goes on waiting before the buffer-manager's table. */
  show(): void;
}

/** One row's lock, as far as this instance has to do with it. */
interface TupleEntry {
  readonly key: string;
  readonly tag: LockTag;
  readonly holders: Map<LockOwner, number>;
  queue: Waiter[];
  /** It is the buffer-manager's: nobody waits here. */
  shown: boolean;
  /** Shown: who has asked for it and has not given it back. */
  users: number;
}

/** The tuple lock that a session holds. */
export interface HeldTupleLock {
  readonly entry: TupleEntry;
  readonly mode: number;
}

export class InstanceTupleLocks {
  readonly #timers: Timers;
  readonly #attachment: Attachment;
  readonly #locks: InstanceLocks;
  readonly #entries = new Map<string, TupleEntry>();
  /** No other instance is attached. */
  #alone = false;

  constructor(timers: Timers, attachment: Attachment, locks: InstanceLocks) {
    this.#timers = timers;
    this.#attachment = attachment;
    this.#locks = locks;
    attachment.on('company', ({ others }) => {
      this.#alone = !others;
      if (others) this.showAll();
    });
  }

  /** Shared memory is lost: nothing is held, nobody waits. */
  reset(error: () => Error): void {
    this.#alone = false;
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    for (const { queue } of entries) for (const waiter of queue.splice(0)) waiter.failed(error());
  }

  /** Rows whose lock is held, or waited for, by sessions of this instance. */
  get count(): number {
    return this.#entries.size;
  }

  /** True: the session has the lock now, and had not to wait for it. False: await `acquire`. */
  tryAcquire(owner: LockOwner, wanted: TupleWait): boolean {
    const key = keyOf(wanted);
    const held = owner.tuple;
    if (held !== undefined) {
      if (held.entry.key === key && held.mode === wanted.mode) return true;
      this.release(owner);
    }
    if (!this.#alone) return false;
    const entry = this.#entries.get(key) ?? newEntry(key, wanted);
    if (entry.shown || this.#conflicts(entry, wanted.mode, waitMask(entry.queue))) return false;
    this.#entries.set(key, entry);
    this.#hold(entry, owner, wanted.mode);
    return true;
  }

  /** Resolves when the session has the lock; the row may be another's, or nobody's, by then. */
  async acquire(owner: LockOwner, wanted: TupleWait): Promise<void> {
    if (owner.interrupt !== undefined) throw owner.interrupt;
    const key = keyOf(wanted);
    let entry = this.#entries.get(key);
    if (entry === undefined) this.#entries.set(key, (entry = newEntry(key, wanted)));
    if (!this.#alone) this.#show(entry);
    await (entry.shown ? this.#acquireShown(entry, owner, wanted.mode) : this.#queue(entry, owner, wanted.mode));
  }

  /** Gives back what the session has, if anything. `soon`: somebody may wait for that alone; else they wait for the
   *  transaction, too, and hear in time with its next message. */
  release(owner: LockOwner, soon = true): void {
    const held = owner.tuple;
    if (held === undefined) return;
    owner.tuple = undefined;
    const { entry, mode } = held;
    if (this.#entries.get(entry.key) !== entry) return;
    if (entry.shown) {
      this.#locks.release(owner, entry.tag, mode, soon);
      this.#left(entry);
    } else {
      entry.holders.delete(owner);
      this.#wake(entry);
    }
  }

  /** Brings all there is before the buffer-manager's table. */
  showAll(): void {
    for (const entry of [...this.#entries.values()]) this.#show(entry);
  }

  async #acquireShown(entry: TupleEntry, owner: LockOwner, mode: number): Promise<void> {
    entry.users++;
    try {
      await this.#locks.acquire(owner, entry.tag, mode);
    } catch (error) {
      this.#left(entry);
      throw error;
    }
    owner.tuple = { entry, mode };
  }

  #queue(entry: TupleEntry, owner: LockOwner, mode: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        timer.cancel();
        owner.waitEvent = undefined;
        if (owner.waiting === waiting) owner.waiting = undefined;
      };
      const waiter: Waiter = {
        owner,
        mode,
        granted: () => {
          stop();
          this.#hold(entry, owner, mode);
          resolve();
        },
        failed: error => {
          stop();
          reject(error);
        },
        show: () => {
          stop();
          this.#acquireShown(entry, owner, mode).then(resolve, reject);
        },
      };
      const waiting = {
        cancel: (error: PgError) => {
          entry.queue = entry.queue.filter(each => each !== waiter);
          waiter.failed(error);
          this.#wake(entry);
        },
      };
      const timer = this.#timers.after(owner.deadlockMs(), () => this.#show(entry));
      owner.waiting = waiting;
      owner.waitEvent = LOCK_WAITS[LOCKTAG_TUPLE];
      entry.queue.push(waiter);
    });
  }

  #show(entry: TupleEntry): void {
    if (entry.shown) return;
    entry.shown = true;
    const { f1: db, f2: rel, f3: blk, f4: off } = entry.tag;
    const holders: number[] = [];
    for (const [owner, mode] of entry.holders) {
      holders.push(owner.pid, 1 << mode);
      this.#locks.handOver(owner, entry.tag, mode);
      entry.users++;
    }
    entry.holders.clear();
    if (holders.length > 0) this.#attachment.putUnawaited({ op: 'localTupleHolders', db, rel, blk, off, holders });
    for (const waiter of entry.queue.splice(0)) waiter.show();
  }

  #hold(entry: TupleEntry, owner: LockOwner, mode: number): void {
    entry.holders.set(owner, mode);
    owner.tuple = { entry, mode };
  }

  /** Grants to waiters, in order, what can be granted. */
  #wake(entry: TupleEntry): void {
    let ahead = 0;
    for (const waiter of [...entry.queue]) {
      if (this.#conflicts(entry, waiter.mode, ahead)) ahead |= 1 << waiter.mode;
      else {
        entry.queue = entry.queue.filter(each => each !== waiter);
        waiter.granted();
      }
    }
    if (entry.holders.size === 0 && entry.queue.length === 0) this.#forget(entry);
  }

  #conflicts(entry: TupleEntry, mode: number, ahead: number): boolean {
    let others = ahead;
    for (const each of entry.holders.values()) others |= 1 << each;
    return (conflictMask(mode) & others) !== 0;
  }

  #left(entry: TupleEntry): void {
    if (--entry.users === 0) this.#forget(entry);
  }

  #forget(entry: TupleEntry): void {
    if (this.#entries.get(entry.key) === entry) this.#entries.delete(entry.key);
  }
}

function keyOf({ db, rel, blk, off }: TupleWait): string {
  return `${db}/${rel}/${blk}/${off}`;
}

function newEntry(key: string, { db, rel, blk, off }: TupleWait): TupleEntry {
  return { key, tag: tupleTag(db, rel, blk, off), holders: new Map(), queue: [], shown: false, users: 0 };
}

function waitMask(queue: readonly Waiter[]): number {
  let mask = 0;
  for (const { mode } of queue) mask |= 1 << mode;
  return mask;
}
