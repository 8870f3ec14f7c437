/**
 * Transactions as one instance knows them: its reserve of transaction ids, the remembered snapshot,
 * outcomes (pg_xact) and who waits for whom locally. One per backend process, shared by its sessions.
 *
 * RULES
 * 1. Reserved ids count as running everywhere until they end; unused ones are returned when idle,
 *    because they hold back the pruning horizon (invariant 16).
 * 2. The remembered snapshot may serve new statements while it is *held*: granted, not recalled, and
 *    the heartbeat lease is valid (invariant 17).
 * 3. An outcome, once known, never changes while the buffer-manager lives, and is cached as long. "In progress" may be stale; it is
 *    only used where being late is harmless (invariant 19); who acts on it asks first (`confirmRunning`).
 * 4. The oldest live snapshot is reported with every batch when it moved (invariant 18).
 */
import type { Env } from '@pgtroupe/actor/env';
import { assert } from '@pgtroupe/common/assert';
import type { Sqlstate } from '@pgtroupe/common/errcodes';
import { PgError } from '@pgtroupe/common/ereport';
import {
  type CommandId,
  FIRST_NORMAL_TRANSACTION_ID,
  type FullTransactionId,
  fullFromXid,
  type Oid,
  type TransactionId,
  xidFromFull,
} from '@pgtroupe/common/ids';
import type { Attachment } from './attachment.ts';
import type { DownOp } from '@pgtroupe/rpc/attach/ops';
import { MISS, type PageAccess } from '@pgtroupe/storage/buffer/pages';
import {
  type Snapshot,
  XACT_ABORTED,
  XACT_COMMITTED,
  XACT_IN_PROGRESS,
  type XactStatus,
} from '@pgtroupe/transam/xactview';

const RESERVE_TARGET = 16;
/** Ids in reserve hold the horizon: nobody has them for long who does not use them. */
const RETURN_IDLE_MS = 20;
/** Who writes as often as this has several in reserve. */
const BUSY_MS = 5;
const OUTCOME_POLL_MS = 20;
const XACTS_PER_CLOG_PAGE = 32768;
/** Reported when no snapshot is in use: pins nothing. */
const NO_HORIZON = Number.MAX_SAFE_INTEGER;

/** A page of pg_xact as known here: zero bits are unknown unless fetched behind the xid's end. */
interface ClogPage {
  readonly bits: Uint8Array;
  /** csn of the latest snapshot when the page was last fetched; -1 never. */
  fetchedCsn: number;
  /** Fetched in this turn of the event loop: whoever asked for it has not looked yet. */
  fresh: boolean;
}

interface SnapshotWaiter {
  readonly curcid: CommandId;
  resolve(live: LiveSnapshot): void;
  reject(error: Error): void;
}

/** A snapshot in use, in the order of being taken: the head of the list is the oldest. */
export interface LiveSnapshot {
  readonly snapshot: Snapshot;
  previous: LiveSnapshot | undefined;
  next: LiveSnapshot | undefined;
}

export class InstanceTransactions {
  readonly #env: Env;
  readonly #attachment: Attachment;
  readonly #pages: PageAccess;

  /** Counts attachments. */
  #attached = 0;

  // Reserve: ranges [next, end) of ids, oldest first. Those from `wrapAt` on may not be given out while database
  // `db` is not vacuumed; 0 when that is far.
  #ranges: { next: number; end: number; readonly wrapAt: number; readonly db: string }[] = [];
  #reserved = 0;
  /** How many to have in reserve: one for who writes now and then, more for who has just asked. */
  #target = 1;
  #reserveAsked = false;
  #lastAssignMs = 0;
  #returnTimer = false;
  #xidWaiters: { resolve(): void; reject(error: Error): void }[] = [];

  // Snapshot.
  #latest: { csn: number; xmin: number; xmax: number; xip: readonly number[] } = { csn: -1, xmin: 0, xmax: 0, xip: [] };
  /** How many came in this life of the buffer-manager. */
  #received = 0;
  #held = false;
  #asked = false;
  #snapshotWaiters: SnapshotWaiter[] = [];
  /** Came after the request in flight was sent; need another one unless the answer is held. */
  #lateWaiters: SnapshotWaiter[] = [];
  /** The last snapshot came in this turn of the event loop: whoever asked for it has not looked yet. */
  #snapshotFresh = false;
  oldestXmin = 0 as FullTransactionId;
  #oldestLive: LiveSnapshot | undefined;
  #newestLive: LiveSnapshot | undefined;
  #reportedXmin = -1;

  // Outcomes.
  /** Life of the buffer-manager. */
  epoch = 0;
  readonly #clog = new Map<number, ClogPage>();
  readonly #running = new Set<number>();
  readonly #endWaiters = new Map<number, (() => void)[]>();

  /** Name of a database; undefined when there is none. */
  databaseName: (db: Oid) => Promise<string | undefined> = () => Promise.resolve(undefined);
  /** Of databases that are too old. */
  readonly #databases = new Map<number, string>();
  /** Whoever takes an id is to be told so: its database as messages name it, and how many ids are left. */
  xidWarning: { readonly db: string; readonly left: number } | undefined;

  /** Called with invalidations before the snapshot they came with is used. */
  onInvalidations: (invals: Uint8Array) => void = () => {};

  constructor(env: Env, attachment: Attachment, pages: PageAccess) {
    this.#env = env;
    this.#attachment = attachment;
    this.#pages = pages;
    attachment.on('xidsReserved', op => this.#xidsReserved(op));
    attachment.on('reserveFailed', op => this.#reserveFailed(op));
    attachment.on('snapshot', op => this.#snapshotArrived(op));
    attachment.on('recallSnapshot', () => {
      this.#held = false;
      attachment.putUnawaited({ op: 'snapshotAck' });
    });
    attachment.beforeFlush = () => this.#reportHorizon();
  }

  /** A new life of the buffer-manager: nothing reserved, nothing remembered. Not even outcomes: an
   *  asynchronous commit may not have survived. */
  reset(error: () => Error): void {
    this.#attached++;
    this.#ranges = [];
    this.#reserved = 0;
    this.#reserveAsked = false;
    this.#received = 0;
    this.#held = false;
    this.#asked = false;
    this.#reportedXmin = -1;
    this.#oldestLive = undefined;
    this.#newestLive = undefined;
    this.#clog.clear();
    const ended = [...this.#endWaiters.values()].flat();
    this.#endWaiters.clear();
    this.#running.clear();
    for (const wake of ended) wake();
    const waiters = [...this.#xidWaiters, ...this.#snapshotWaiters, ...this.#lateWaiters];
    this.#xidWaiters = [];
    this.#snapshotWaiters = [];
    this.#lateWaiters = [];
    for (const waiter of waiters) waiter.reject(error());
    this.#latest = { csn: -1, xmin: 0, xmax: 0, xip: [] };
  }

  /** Welcome: what was asked for while there was nobody to ask is asked now. */
  attach(welcome: { readonly clusterEpoch: number }): void {
    this.epoch = welcome.clusterEpoch;
    this.#reserveAsked = false;
    this.#asked = false;
    if (this.#xidWaiters.length > 0) this.#askXids();
    if (this.#snapshotWaiters.length + this.#lateWaiters.length > 0) this.#askSnapshot();
  }

  // ---- transaction ids -----------------------------------------------------------------------

  /** The next reserved id, or MISS (want: xids). */
  takeXid(): FullTransactionId | -1 {
    const range = this.#ranges[0];
    if (range === undefined) {
      this.#pages.want = { kind: 'xids' };
      this.#replenish();
      return MISS;
    }
    // In halves: one message brings several ids, and no transaction waits for it.
    if (2 * this.#reserved <= this.#target) this.#replenish();
    const fxid = range.next++;
    this.xidWarning = range.wrapAt === 0 ? undefined : { db: range.db, left: range.wrapAt - fxid };
    this.#reserved--;
    if (range.next === range.end) this.#ranges.shift();
    this.#lastAssignMs = this.#env.clock.nowMs();
    this.#running.add(fxid);
    this.#planReturn();
    return fxid as FullTransactionId;
  }

  /** Gives back an id that was taken: nobody else gets it. */
  burn(fxid: FullTransactionId): void {
    // Lost with shared memory, it is not this one's any more.
    if (!this.#running.has(fxid)) return;
    this.#attachment.put({ op: 'returnXids', first: fxid, count: 1 });
    this.ended([fxid], XACT_ABORTED);
  }

  /** Asks for ids: each time for more while they are used. */
  #replenish(): void {
    if (this.#reserveAsked) return;
    const busy = this.#env.clock.nowMs() - this.#lastAssignMs < BUSY_MS;
    this.#target = busy ? Math.min(2 * this.#target, RESERVE_TARGET) : 1;
    this.#askXids();
  }

  /** Resolves when the reserve has an id. */
  awaitXids(): Promise<void> {
    if (this.#reserved > 0) return Promise.resolve();
    this.#askXids();
    return new Promise((resolve, reject) => this.#xidWaiters.push({ resolve, reject }));
  }

  #askXids(): void {
    const count = this.#target - this.#reserved;
    if (this.#reserveAsked || count <= 0) return;
    this.#reserveAsked = true;
    const op = { op: 'reserveXids', count } as const;
    if (this.#reserved > 0) this.#attachment.putUnawaited(op);
    else this.#attachment.put(op);
  }

  #xidsReserved(op: Extract<DownOp, { op: 'xidsReserved' }>): void {
    this.#named(op.db, db => this.#reserve(op, db));
  }

  #reserve({ first, count, left }: Extract<DownOp, { op: 'xidsReserved' }>, db: string): void {
    this.#reserveAsked = false;
    this.#ranges.push({ next: first, end: first + count, wrapAt: left === 0 ? 0 : first + left, db });
    this.#reserved += count;
    this.#lastAssignMs = this.#env.clock.nowMs();
    this.#planReturn();
    const waiters = this.#xidWaiters;
    this.#xidWaiters = [];
    for (const waiter of waiters) waiter.resolve();
  }

  /** No ids can be had now; whoever asks next asks again. */
  #reserveFailed(op: Extract<DownOp, { op: 'reserveFailed' }>): void {
    this.#named(op.db, db => {
      this.#reserveAsked = false;
      const waiters = this.#xidWaiters;
      this.#xidWaiters = [];
      const message = op.db === 0 ? op.message : `${op.message} ${db}`;
      for (const waiter of waiters)
        waiter.reject(new PgError(op.sqlstate as Sqlstate, message, { hint: op.hint || undefined }));
    });
  }

  /** Calls `then` with the database as messages name it, at once or when it was looked up; not in another life. */
  #named(db: number, then: (name: string) => void): void {
    if (db === 0) return then('');
    const known = this.#databases.get(db);
    if (known !== undefined) return then(known);
    const attached = this.#attached;
    const anonymous = `with OID ${db}`;
    void this.databaseName(db as Oid)
      .then(
        name => (name === undefined ? anonymous : `"${name}"`),
        () => anonymous,
      )
      .then(name => {
        if (this.#attached !== attached) return;
        if (name !== anonymous) this.#databases.set(db, name);
        then(name);
      });
  }

  #planReturn(): void {
    if (this.#returnTimer) return;
    this.#returnTimer = true;
    this.#env.timers.after(
      RETURN_IDLE_MS,
      () => {
        this.#returnTimer = false;
        if (this.#reserved === 0) return;
        if (this.#env.clock.nowMs() - this.#lastAssignMs < RETURN_IDLE_MS) return this.#planReturn();
        for (const range of this.#ranges) {
          this.#attachment.put({ op: 'returnXids', first: range.next, count: range.end - range.next });
        }
        this.#ranges = [];
        this.#reserved = 0;
      },
      { background: true },
    );
  }

  // ---- snapshots -------------------------------------------------------------------------------

  /** A snapshot for a new statement, or undefined when one must be awaited first. */
  tryTakeSnapshot(curcid: CommandId): LiveSnapshot | undefined {
    if (!this.#held || !this.#attachment.leaseValid) return undefined;
    return this.#live(curcid);
  }

  takeSnapshot(curcid: CommandId): Promise<LiveSnapshot> {
    const ready = this.tryTakeSnapshot(curcid);
    if (ready !== undefined) return Promise.resolve(ready);
    return new Promise((resolve, reject) => {
      if (this.#asked) this.#lateWaiters.push({ curcid, resolve, reject });
      else {
        this.#snapshotWaiters.push({ curcid, resolve, reject });
        this.#askSnapshot();
      }
    });
  }

  /** The next id to be given out, as of the latest snapshot. */
  get nextXid(): FullTransactionId {
    return this.#latest.xmax as FullTransactionId;
  }

  /** Learns the pruning horizon of now: what this instance remembers must not hold it back. */
  async renewHorizon(): Promise<void> {
    this.#held = false;
    this.releaseSnapshot(await this.takeSnapshot(0 as CommandId));
  }

  releaseSnapshot(live: LiveSnapshot): void {
    if (live.previous !== undefined) live.previous.next = live.next;
    else if (this.#oldestLive === live) this.#oldestLive = live.next;
    if (live.next !== undefined) live.next.previous = live.previous;
    else if (this.#newestLive === live) this.#newestLive = live.previous;
    live.previous = undefined;
    live.next = undefined;
  }

  #live(curcid: CommandId): LiveSnapshot {
    const { csn, xmin, xmax, xip } = this.#latest;
    const snapshot: Snapshot = { csn, xmin: xmin as FullTransactionId, xmax: xmax as FullTransactionId, xip, curcid };
    const live: LiveSnapshot = { snapshot, previous: this.#newestLive, next: undefined };
    if (this.#newestLive !== undefined) this.#newestLive.next = live;
    else this.#oldestLive = live;
    this.#newestLive = live;
    return live;
  }

  #askSnapshot(): void {
    this.#asked = true;
    this.#attachment.put({ op: 'getSnapshot' });
  }

  #snapshotArrived(op: Extract<DownOp, { op: 'snapshot' }>): void {
    if (op.invals.length > 0) this.onInvalidations(op.invals);
    this.#received++;
    this.#latest = { csn: op.csn, xmin: op.xmin, xmax: op.xmax, xip: op.xip };
    this.oldestXmin = op.oldestXmin as FullTransactionId;
    this.#held = true;
    this.#snapshotFresh = true;
    this.#env.timers.soon(() => {
      this.#snapshotFresh = false;
    });
    if (!this.#asked) return;
    // The answer to our request, or a later snapshot that came with a commit: both serve everyone
    // who waits, since it is held from here until it is recalled.
    this.#asked = false;
    const waiters = [...this.#snapshotWaiters, ...this.#lateWaiters];
    this.#snapshotWaiters = [];
    this.#lateWaiters = [];
    // In use from this moment: what is reported before the waiters get to run must cover them.
    for (const waiter of waiters) waiter.resolve(this.#live(waiter.curcid));
  }

  #reportHorizon(): void {
    const oldest = this.#oldestLive?.snapshot.xmin ?? (this.#held ? this.#latest.xmin : NO_HORIZON);
    if (oldest === this.#reportedXmin || this.#received === 0) return;
    this.#reportedXmin = oldest;
    this.#attachment.putUnawaited({ op: 'horizon', snapshots: this.#received, xmin: oldest });
  }

  // ---- outcomes ----------------------------------------------------------------------------------

  /** A tuple's 32-bit id, widened. */
  full(xid: TransactionId): FullTransactionId {
    return fullFromXid(xid, this.#latest.xmax as FullTransactionId);
  }

  status(xid: TransactionId): XactStatus | -1 {
    if (xid < FIRST_NORMAL_TRANSACTION_ID) return xid === 0 ? XACT_ABORTED : XACT_COMMITTED;
    const fxid = this.full(xid);
    const pageNumber = Math.floor(xid / XACTS_PER_CLOG_PAGE);
    const page = this.#clog.get(pageNumber);
    if (page !== undefined) {
      const bits = (page.bits[(xid % XACTS_PER_CLOG_PAGE) >> 2]! >> ((xid & 3) * 2)) & 3;
      if (bits === XACT_COMMITTED || bits === XACT_ABORTED) return bits;
    }
    if (this.#running.has(fxid)) return XACT_IN_PROGRESS;
    const { csn, xmax, xip } = this.#latest;
    if (fxid >= xmax || includes(xip, fxid)) return XACT_IN_PROGRESS;
    if (page !== undefined && page.fetchedCsn >= csn) {
      // Over before that snapshot, and still no outcome: its server crashed.
      this.#setBits(xid, XACT_ABORTED);
      return XACT_ABORTED;
    }
    if (page?.fresh === true) return XACT_IN_PROGRESS;
    this.#pages.want = { kind: 'clog', page: pageNumber };
    return MISS;
  }

  async fetchClogPage(pageNumber: number): Promise<void> {
    const csn = this.#latest.csn;
    const op = await this.#attachment.request(reqId => ({ op: 'clogPage', reqId, page: pageNumber }));
    assert(op.op === 'clogPage', `answer ${op.op} to clogPage`);
    const page = this.#clogPage(pageNumber);
    // Both sides only ever know final outcomes; their union loses nothing.
    for (let i = 0; i < op.image.length; i++) page.bits[i] = page.bits[i]! | op.image[i]!;
    page.fetchedCsn = csn;
    page.fresh = true;
    this.#env.timers.soon(() => {
      page.fresh = false;
    });
  }

  /** What became of a transaction that was committing in an earlier attachment, under this epoch: pg_xact
   *  knows, however many lives later, because no life gives out the ids of another. */
  async lookUpOutcome(fxid: FullTransactionId, epoch: number): Promise<boolean> {
    // The same life: what was sequenced before the stream broke may still be on its way.
    while (this.epoch === epoch) {
      const live = await this.takeSnapshot(0 as CommandId);
      const running = inSnapshot(fxid, live.snapshot);
      this.releaseSnapshot(live);
      if (!running) break;
      this.#held = false;
      await new Promise<void>(resolve => this.#env.timers.after(OUTCOME_POLL_MS, resolve));
    }
    const xid = xidFromFull(fxid);
    await this.fetchClogPage(Math.floor(xid / XACTS_PER_CLOG_PAGE));
    const byte = this.#clogPage(Math.floor(xid / XACTS_PER_CLOG_PAGE)).bits[(xid % XACTS_PER_CLOG_PAGE) >> 2]!;
    return ((byte >> ((xid & 3) * 2)) & 3) === XACT_COMMITTED;
  }

  #clogPage(pageNumber: number): ClogPage {
    let page = this.#clog.get(pageNumber);
    if (page === undefined) {
      page = { bits: new Uint8Array(8192), fetchedCsn: -1, fresh: false };
      this.#clog.set(pageNumber, page);
    }
    return page;
  }

  #setBits(xid: TransactionId, bits: number): void {
    const page = this.#clogPage(Math.floor(xid / XACTS_PER_CLOG_PAGE));
    page.bits[(xid % XACTS_PER_CLOG_PAGE) >> 2]! |= bits << ((xid & 3) * 2);
  }

  /** Transactions of this instance are over; whoever waited for them looks again. */
  ended(fxids: readonly FullTransactionId[], outcome: typeof XACT_COMMITTED | typeof XACT_ABORTED): void {
    for (const fxid of fxids) {
      this.#running.delete(fxid);
      this.#setBits(xidFromFull(fxid), outcome);
      const waiters = this.#endWaiters.get(fxid);
      if (waiters === undefined) continue;
      this.#endWaiters.delete(fxid);
      // Waking takes a waiter off its list; the copy keeps the others from being skipped.
      for (const wake of [...waiters]) wake();
    }
  }

  /** For those who will not wait for a transaction that `status` says is in progress: what is remembered may be
   *  older than its end. True: it runs at this moment. MISS: ask, then look again. */
  confirmRunning(fxid: FullTransactionId): true | -1 {
    if (this.#running.has(fxid)) return true;
    if (this.#snapshotFresh) {
      const { xmax, xip } = this.#latest;
      if (fxid >= xmax || includes(xip, fxid)) return true;
      this.#pages.want = { kind: 'clog', page: Math.floor(xidFromFull(fxid) / XACTS_PER_CLOG_PAGE) };
    } else this.#pages.want = { kind: 'await', run: () => this.renewHorizon() };
    return MISS;
  }

  runsHere(fxid: FullTransactionId): boolean {
    return this.#running.has(fxid);
  }

  /** Counts of what ends with transactions. */
  held(): Record<string, number> {
    let snapshots = 0;
    for (let live = this.#oldestLive; live !== undefined; live = live.next) snapshots++;
    return { snapshots, 'transaction ids': this.#running.size, 'waits for transactions': this.#endWaiters.size };
  }

  /** Calls `wake` when a transaction of this instance ends. Returns the way to stop waiting. */
  onEnd(fxid: FullTransactionId, wake: () => void): () => void {
    let waiters = this.#endWaiters.get(fxid);
    if (waiters === undefined) this.#endWaiters.set(fxid, (waiters = []));
    waiters.push(wake);
    return () => {
      const at = waiters.indexOf(wake);
      if (at >= 0) waiters.splice(at, 1);
      if (waiters.length === 0 && this.#endWaiters.get(fxid) === waiters) this.#endWaiters.delete(fxid);
    };
  }
}

/** Membership in a sorted list. */
function includes(sorted: readonly number[], value: number): boolean {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! < value) low = middle + 1;
    else high = middle;
  }
  return sorted[low] === value;
}

/** XidInMVCCSnapshot over widened ids. */
export function inSnapshot(fxid: FullTransactionId, snapshot: Snapshot): boolean {
  if (fxid < snapshot.xmin) return false;
  if (fxid >= snapshot.xmax) return true;
  return includes(snapshot.xip, fxid);
}
