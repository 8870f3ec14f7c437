/**
 * The lock manager as an instance sees it. Weak relation locks are granted here while the
 * instance holds the relation's token (PostgreSQL's fast path); everything else is the
 * buffer-manager's lock table, which also detects deadlocks.
 *
 * A recall of a token hands the local holders over; from then on their locks are the
 * buffer-manager's, so a strong locker waits for exactly those who were there before it.
 *
 * Tokens are kept for so many relations: nobody tells of relations that are gone for other reasons than a lock that
 * recalled the token. One that is given back unasked may cross its recall, which it then answers.
 */
import { ERRCODE, type Sqlstate } from '@pgtroupe/common/errcodes';
import { PgError } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import type { Timers } from '@pgtroupe/actor/env';
import type { Attachment } from './attachment.ts';
import { type HeldTupleLock, InstanceTupleLocks } from './instance-tuple-locks.ts';
import { type DownOp, LOCK_WAIT_STATES } from '@pgtroupe/rpc/attach/ops';
import { isStrongMode, MAX_LOCK_MODE } from '@pgtroupe/storage/lmgr/lock-modes';
import type { LockStatus } from '@pgtroupe/storage/lmgr/lock-status';
import { LOCK_WAITS, type WaitEvent } from './wait-event.ts';
import {
  isWeakMode,
  lockedDatabase,
  LOCKTAG_RELATION,
  type LockTag,
  relationTag,
} from '@pgtroupe/storage/lmgr/locktag';

/** deadlock_timeout of who has no session. */
const DEADLOCK_MS = 1000;
/** Tokens held; beyond this the oldest quarter of those that nobody uses goes back. */
export const MAX_TOKENS = 8192;

/** A wait for a lock that is longer than deadlock_timeout. */
export interface LongWait {
  readonly state: (typeof LOCK_WAIT_STATES)[number] | 'acquired';
  /** `ShareLock on transaction 739` */
  readonly lock: string;
  readonly holders: readonly number[];
  readonly queue: readonly number[];
}

/** One relation's fast path in this instance. */
interface RelationEntry {
  readonly db: Oid;
  readonly rel: Oid;
  token: 'none' | 'asked' | 'held';
  /** Owner to bit mask of 1 << mode, granted here. */
  readonly holders: Map<LockOwner, number>;
}

/** What a session holds; kept by the session, filled by InstanceLocks. */
export class LockOwner {
  /** Session PID: the name the buffer-manager knows this owner by. */
  readonly pid: number;
  /** Entries with a mask of this owner. */
  readonly local = new Set<RelationEntry>();
  /** Locks of this transaction that the buffer-manager holds for it, by tag and mode. */
  readonly remote = new Set<string>();
  /** Locks that last as long as the session, by tag and mode: which, and how often they were taken. */
  readonly session = new Map<string, { readonly tag: LockTag; readonly mode: number; count: number }>();
  /** Locks taken inside savepoints, in order: who rolls back to one gives back what came behind. */
  readonly taken: { readonly tag: LockTag; readonly mode: number }[] = [];
  insideSavepoint = false;
  /** While it waits for a row, or looks at one again that it has waited for. */
  tuple: HeldTupleLock | undefined;
  /** The wait under way, so that a cancel can end it. */
  waiting: { cancel(error: PgError): void } | undefined;
  /** What it waits for, for pg_stat_activity. */
  waitEvent: WaitEvent | undefined;
  /** Told when a wait for a lock, of a relation or of a transaction's end, begins and ends. */
  onLockWait: ((begins: boolean) => void) | undefined;
  /** Told when somebody has looked at the wait under way, and when it has ended well thereafter. */
  onLongWait: ((wait: LongWait) => void) | undefined;
  /** Told when an id that its transaction takes is among the last: of what database and how many are left. */
  onXidWarning: ((warning: { readonly db: string; readonly left: number }) => void) | undefined;
  /** After so long a wait somebody looks whether it can end (deadlock_timeout). */
  deadlockMs: () => number = () => DEADLOCK_MS;
  /** Why its statement shall stop. Whoever is about to wait looks at it first: a cancel comes once. */
  interrupt: PgError | undefined;
  /** A recall of a token gave locks of it to the buffer-manager, behind the end of the transaction if that was sent. */
  handedOver = false;
  /** Until the buffer-manager knows of locks and transactions that were given up without asking. Before a client hears
   *  of the end: what it does next through another instance must not be refused for their sake. */
  releasing: Promise<void> | undefined;

  constructor(pid: number) {
    this.pid = pid;
  }
}

export class InstanceLocks {
  readonly #attachment: Attachment;
  readonly #relations = new Map<Oid, Map<Oid, RelationEntry>>();
  #tokens = 0;
  /** Waits under way. */
  readonly #checked = new Map<number, (op: Extract<DownOp, { op: 'lockWaitChecked' }>) => void>();
  readonly tuples: InstanceTupleLocks;

  constructor(attachment: Attachment, timers: Timers) {
    this.#attachment = attachment;
    this.tuples = new InstanceTupleLocks(timers, attachment, this);
    attachment.on('relLockToken', op => this.#tokenGranted(op.db as Oid, op.rel as Oid));
    attachment.on('recallRelLock', op => this.#recalled(op));
    attachment.on('lockWaitChecked', op => this.#checked.get(op.reqId)?.(op));
  }

  /** All tokens are void, and so is every lock: their transactions have failed. */
  reset(error: () => Error): void {
    this.#relations.clear();
    this.#tokens = 0;
    this.tuples.reset(error);
  }

  /** Locks granted here, by owner and relation. */
  get localCount(): number {
    let count = 0;
    for (const database of this.#relations.values()) for (const { holders } of database.values()) count += holders.size;
    return count;
  }

  /** Locks granted here, for pg_locks. */
  *status(): IterableIterator<LockStatus> {
    for (const database of this.#relations.values()) {
      for (const { db, rel, holders } of database.values()) {
        const tag = relationTag(db, rel);
        for (const [{ pid }, mask] of holders) {
          for (let mode = 1; mode <= MAX_LOCK_MODE; mode++)
            if ((mask & (1 << mode)) !== 0) yield { pid, tag, mode, granted: true, fastpath: true };
        }
      }
    }
  }

  /** Relations that are known here. */
  get relationCount(): number {
    let count = 0;
    for (const database of this.#relations.values()) count += database.size;
    return count;
  }

  /** Locks a relation for the transaction. True: granted here and now. Otherwise await `acquire`. */
  tryRelation(owner: LockOwner, db: Oid, rel: Oid, mode: number): boolean {
    if (!isWeakMode(mode)) return owner.remote.has(lockKey(relationTag(db, rel), mode));
    const entry = this.#relations.get(lockedDatabase(db, rel))?.get(rel);
    const bit = 1 << mode;
    const held = entry?.holders.get(owner) ?? 0;
    if ((held & bit) !== 0) return true;
    if (entry?.token === 'held') {
      if (owner.insideSavepoint) noteTaken(owner, relationTag(db, rel), mode);
      entry.holders.set(owner, held | bit);
      owner.local.add(entry);
      return true;
    }
    return owner.remote.has(lockKey(relationTag(db, rel), mode));
  }

  /** Does the transaction hold this lock? */
  holds(owner: LockOwner, tag: LockTag, mode: number): boolean {
    if (owner.remote.has(lockKey(tag, mode))) return true;
    if (tag.locktype !== LOCKTAG_RELATION) return false;
    const held =
      this.#relations
        .get(tag.f1 as Oid)
        ?.get(tag.f2 as Oid)
        ?.holders.get(owner) ?? 0;
    return (held & (1 << mode)) !== 0;
  }

  /** Awaits a relation lock, and asks for the token so that the next time is free. */
  async relation(owner: LockOwner, db: Oid, rel: Oid, mode: number, nowait = false): Promise<void> {
    if (this.tryRelation(owner, db, rel, mode)) return;
    await this.acquire(owner, relationTag(db, rel), mode, { nowait });
    // A transaction that has made or is changing the relation may leave none behind.
    if (!isWeakMode(mode) || holdsStrongly(owner, relationTag(db, rel))) return;
    const entry = this.#entry(lockedDatabase(db, rel), rel);
    if (entry.token === 'none') {
      entry.token = 'asked';
      this.#attachment.put({ op: 'relLockToken', db: entry.db, rel });
    }
  }

  /** Any lock of the buffer-manager's table. Held until the transaction ends, or `session` long. */
  async acquire(
    owner: LockOwner,
    tag: LockTag,
    mode: number,
    options: { readonly nowait?: boolean; readonly session?: boolean } = {},
  ): Promise<void> {
    const session = options.session ?? false;
    const key = lockKey(tag, mode);
    if (!session && owner.remote.has(key)) return;
    if (owner.interrupt !== undefined) throw owner.interrupt;
    let cancelled: PgError | undefined;
    let longWait: LongWait | undefined;
    let asked = 0;
    const answer = this.#attachment.request(reqId => {
      asked = reqId;
      this.#checked.set(reqId, op => {
        longWait = { ...op, state: LOCK_WAIT_STATES[op.state]! };
        owner.onLongWait?.(longWait);
      });
      owner.waiting = {
        cancel: error => {
          if (cancelled === undefined) this.#attachment.put({ op: 'lockCancel', reqId, owner: owner.pid });
          cancelled = error;
        },
      };
      const nowait = options.nowait ?? false;
      const deadlockMs = owner.deadlockMs();
      return { op: 'lockAcquire', reqId, owner: owner.pid, ...tag, mode, nowait, session, deadlockMs };
    });
    // Cancelled or not, there is one answer, and only it tells whether the lock is there to be given back.
    owner.onLockWait?.(true);
    owner.waitEvent = LOCK_WAITS[tag.locktype];
    const op = await answer.finally(() => {
      this.#checked.delete(asked);
      owner.waiting = undefined;
      owner.waitEvent = undefined;
      owner.onLockWait?.(false);
    });
    if (op.op === 'lockGranted') {
      if (longWait !== undefined) owner.onLongWait?.({ ...longWait, state: 'acquired' });
      if (cancelled !== undefined) {
        this.#put(owner, tag, mode, session);
        throw cancelled;
      }
      if (session) {
        const held = owner.session.get(key);
        if (held === undefined) owner.session.set(key, { tag, mode, count: 1 });
        else held.count++;
        return;
      }
      if (owner.insideSavepoint) noteTaken(owner, tag, mode);
      owner.remote.add(key);
      return;
    }
    if (cancelled !== undefined) throw cancelled;
    if (op.op === 'lockFailed') {
      throw new PgError(op.sqlstate as Sqlstate, op.message, {
        detail: op.detail || undefined,
        hint: op.hint || undefined,
      });
    }
    throw new PgError(ERRCODE.INTERNAL_ERROR, `answer ${op.op} to lockAcquire`);
  }

  /** Does anybody wait for who holds this lock (LockHasWaiters)? */
  async hasWaiters(tag: LockTag, mode: number): Promise<boolean> {
    const op = await this.#attachment.request(reqId => ({ op: 'lockHasWaiters', reqId, ...tag, mode }));
    return op.op === 'lockWaiters' && op.waiting;
  }

  /** Gives back one lock before the end of the transaction; not `soon`: with the next message. */
  release(owner: LockOwner, tag: LockTag, mode: number, soon = true): void {
    owner.remote.delete(lockKey(tag, mode));
    if (soon) this.#put(owner, tag, mode, false);
    else this.#attachment.putLazily({ op: 'lockRelease', owner: owner.pid, ...tag, mode, session: false });
  }

  #put(owner: LockOwner, tag: LockTag, mode: number, session: boolean): void {
    this.#attachment.put({ op: 'lockRelease', owner: owner.pid, ...tag, mode, session });
  }

  /** A lock that was granted here is the buffer-manager's from now on. */
  handOver(owner: LockOwner, tag: LockTag, mode: number): void {
    owner.remote.add(lockKey(tag, mode));
  }

  /** Gives back a lock of the session's once. False: it has none. */
  releaseSession(owner: LockOwner, tag: LockTag, mode: number): boolean {
    const key = lockKey(tag, mode);
    const held = owner.session.get(key);
    if (held === undefined) return false;
    if (--held.count === 0) owner.session.delete(key);
    this.#put(owner, tag, mode, true);
    this.released(owner);
    return true;
  }

  /** Gives back all locks of the session's, those of its transaction not. */
  releaseAllSession(owner: LockOwner): void {
    for (const { tag, mode, count } of owner.session.values())
      for (let n = 0; n < count; n++) this.#put(owner, tag, mode, true);
    if (owner.session.size > 0) this.released(owner);
    owner.session.clear();
  }

  /** Gives back a lock that turned out not to be the one that was wanted: the name means something else by now. Only for
   *  who did not hold it before. */
  giveBack(owner: LockOwner, tag: LockTag, mode: number): void {
    const noted = owner.taken.findLastIndex(each => each.mode === mode && lockKey(each.tag, 0) === lockKey(tag, 0));
    if (noted >= 0) owner.taken.splice(noted, 1);
    if (!this.#releaseBoth(owner, tag, mode)) return;
    this.released(owner);
  }

  /** ROLLBACK TO, or an error inside a savepoint: what was taken since `taken` had this length is given back, behind the
   *  subtransaction's end. */
  releaseSince(owner: LockOwner, length: number): void {
    this.tuples.release(owner);
    if (owner.taken.length === length) return;
    let told = false;
    for (const { tag, mode } of owner.taken.splice(length)) {
      if (this.#releaseBoth(owner, tag, mode)) told = true;
    }
    if (told) this.released(owner);
  }

  /** Gives back a lock wherever it was granted: a weak one may have been handed over and taken here again. True: the
   *  buffer-manager had it. */
  #releaseBoth(owner: LockOwner, tag: LockTag, mode: number): boolean {
    if (tag.locktype === LOCKTAG_RELATION) this.#releaseHere(owner, tag, mode);
    if (!owner.remote.has(lockKey(tag, mode))) return false;
    this.release(owner, tag, mode);
    return true;
  }

  #releaseHere(owner: LockOwner, tag: LockTag, mode: number): void {
    const entry = this.#relations.get(tag.f1 as Oid)?.get(tag.f2 as Oid);
    const held = entry?.holders.get(owner) ?? 0;
    if (entry === undefined || (held & (1 << mode)) === 0) return;
    const left = held & ~(1 << mode);
    if (left !== 0) entry.holders.set(owner, left);
    else {
      entry.holders.delete(owner);
      owner.local.delete(entry);
    }
  }

  /** The commit or abort message, which releases what the buffer-manager holds for the owner, was put. */
  endSent(owner: LockOwner): void {
    owner.handedOver = false;
  }

  /** End of transaction. `remoteDone`: the commit or abort message released the others, except those
   *  that were handed over behind it. */
  releaseAll(owner: LockOwner, remoteDone: boolean): void {
    this.tuples.release(owner);
    for (const entry of owner.local) entry.holders.delete(owner);
    owner.local.clear();
    owner.taken.length = 0;
    owner.insideSavepoint = false;
    if (owner.remote.size > 0) {
      owner.remote.clear();
      if (!remoteDone || owner.handedOver) {
        this.#attachment.putUnawaited({ op: 'lockReleaseAll', owner: owner.pid, session: false });
        this.released(owner);
      }
    }
    owner.handedOver = false;
  }

  /** Locks or a transaction of the owner were given up by what was just put. */
  released(owner: LockOwner): void {
    const known = (): void => {
      if (owner.releasing === releasing) owner.releasing = undefined;
    };
    // Lost with shared memory, they are free as well.
    const releasing = this.#attachment.request(reqId => ({ op: 'processed', reqId })).then(known, known);
    owner.releasing = releasing;
  }

  #tokenGranted(db: Oid, rel: Oid): void {
    this.#entry(db, rel).token = 'held';
    if (++this.#tokens > MAX_TOKENS) this.#giveTokensBack();
  }

  #giveTokensBack(): void {
    for (const entries of this.#relations.values()) {
      for (const { db, rel, token, holders } of entries.values()) {
        if (this.#tokens <= MAX_TOKENS * 0.75) return;
        if (token !== 'held' || holders.size > 0) continue;
        entries.delete(rel);
        this.#tokens--;
        this.#attachment.putUnawaited({ op: 'localHolders', db, rel, holders: [] });
      }
    }
  }

  /** The relation may be about to go: nothing of it stays. */
  #recalled(op: Extract<DownOp, { op: 'recallRelLock' }>): void {
    const entry = this.#relations.get(op.db as Oid)?.get(op.rel as Oid);
    // It was given back, which is the answer; the next grant is behind the recall.
    if (entry?.token !== 'held') return;
    this.#relations.get(entry.db)!.delete(entry.rel);
    this.#tokens--;
    const holders: number[] = [];
    for (const [owner, mask] of entry.holders) {
      holders.push(owner.pid, mask);
      owner.local.delete(entry);
      owner.handedOver = true;
      for (let mode = 1; mode <= 8; mode++) {
        if ((mask & (1 << mode)) !== 0) owner.remote.add(lockKey(relationTag(entry.db, entry.rel), mode));
      }
    }
    entry.holders.clear();
    this.#attachment.putUnawaited({ op: 'localHolders', db: op.db, rel: op.rel, holders });
  }

  #entry(db: Oid, rel: Oid): RelationEntry {
    let database = this.#relations.get(db);
    if (database === undefined) this.#relations.set(db, (database = new Map()));
    let entry = database.get(rel);
    if (entry === undefined) database.set(rel, (entry = { db, rel, token: 'none', holders: new Map() }));
    return entry;
  }
}

/** In a mode that no token can be had beside? */
function holdsStrongly(owner: LockOwner, tag: LockTag): boolean {
  for (let mode = 1; mode <= MAX_LOCK_MODE; mode++)
    if (isStrongMode(mode) && owner.remote.has(lockKey(tag, mode))) return true;
  return false;
}

/** Unless it is held already, by the transaction outside. */
function noteTaken(owner: LockOwner, tag: LockTag, mode: number): void {
  if (!owner.remote.has(lockKey(tag, mode))) owner.taken.push({ tag, mode });
}

function lockKey(tag: LockTag, mode: number): string {
  return `${tag.locktype}/${tag.f1}/${tag.f2}/${tag.f3}/${tag.f4}/${mode}`;
}
