/**
 * The kernel of an instance: its attachment to shared state and what hangs on it. Executors and
 * commands are synchronous and leave a `Want`; `satisfy` is the one place that awaits it.
 */
import type { Env, Timer } from '@pgtroupe/actor/env';
import { assert, unreachable } from '@pgtroupe/common/assert';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { replyError } from './replyerror.ts';
import { ereport, PgError } from '@pgtroupe/common/ereport';
import {
  type TransactionId,
  type ForkNumber,
  type FullTransactionId,
  type Oid,
  type RelFileNode,
  xidFromFull,
} from '@pgtroupe/common/ids';
import { Attachment, type Welcome } from './attachment.ts';
import { type DownOp, SESSION_QUESTIONS, type SessionQuestion, type UpOp } from '@pgtroupe/rpc/attach/ops';
import { PageCache } from './bufmgr.ts';
import { type Memory, MISS, type TupleWait, type Want } from '@pgtroupe/storage/buffer/pages';
import { type RelationFiles, type RelationFork } from './relation-files.ts';
import { InstanceLocks, type LockOwner } from './instance-locks.ts';
import { LOCKTAG_TRANSACTION, SHARE_LOCK, transactionTag } from '@pgtroupe/storage/lmgr/locktag';
import { InstanceMultiXacts } from './instance-multixacts.ts';
import { InstanceTransactions } from './instance-transactions.ts';
import { LOCK_WAITS, waitEventOf } from './wait-event.ts';
import { WalCredit } from './wal-credit.ts';
import type { XactContext } from './xact.ts';
import { XLogRecordBuilder } from './xlogrecord-builder.ts';

const XACTS_PER_CLOG_PAGE = 32768;
const CLOSE_PATIENCE_MS = 5000;

export interface KernelOptions {
  readonly endpoint: string;
  /** `backend-3`. */
  readonly name: string;
  readonly osPid: number;
  readonly mem: Memory;
  /** Pages of the cache, at the front of `mem`. */
  readonly cachePages: number;
}

export interface SessionsTold {
  readonly said: readonly unknown[];
  /** Names of instances that did not answer in time, or ''. */
  readonly silent: string;
}

/** What every session is told when shared memory is gone under it. */
export function sharedMemoryLost(): PgError {
  return ereport(
    ERRCODE.T_R_SERIALIZATION_FAILURE,
    'could not complete the transaction because the buffer manager restarted',
    {
      hint: 'The transaction was rolled back. Retry it.',
    },
  );
}

export class InstanceKernel implements XactContext {
  readonly env: Env;
  readonly attachment: Attachment;
  readonly pages: PageCache;
  readonly shared: InstanceTransactions;
  readonly multixacts: InstanceMultiXacts;
  readonly locks: InstanceLocks;
  readonly wal: XLogRecordBuilder;
  readonly walCredit: WalCredit;
  /** Waits for transactions of this instance that the buffer-manager does not know of: what brings them to it. */
  readonly #localWaits = new Set<() => void>();
  /** Grows with every life of the buffer-manager: a transaction of an earlier one has failed. */
  life = 0;
  onAttach: (welcome: Welcome) => void = () => {};
  onDetach: (why: string) => void = () => {};
  /** Somebody asks about the sessions here, or about one of them: answers JSON, '' where it is none of them. */
  onSessionsAsked: (question: SessionQuestion, pid: number, about: string) => string = () => '';

  constructor(env: Env, options: KernelOptions) {
    this.env = env;
    this.attachment = new Attachment(env, options, sharedMemoryLost);
    this.pages = new PageCache(env, this.attachment, options.mem, options.cachePages);
    this.shared = new InstanceTransactions(env, this.attachment, this.pages);
    this.multixacts = new InstanceMultiXacts(this.attachment, this.pages);
    this.locks = new InstanceLocks(this.attachment, env.timers);
    this.wal = new XLogRecordBuilder(this.pages, this.attachment);
    this.walCredit = new WalCredit(this.attachment);
    this.attachment.on('showWaits', ({ question }) => {
      this.#showWaits();
      this.attachment.putUnawaited({ op: 'waitsShown', question });
    });
    this.attachment.on('sessionsAsked', ({ question, what, pid, about }) => {
      const asked = SESSION_QUESTIONS[what];
      if (asked === 'locks') this.#showWaits();
      const said = asked === undefined ? '' : this.onSessionsAsked(asked, pid, about);
      this.attachment.putUnawaited({ op: 'sessionsSaid', question, said });
    });
    this.attachment.onAttach = welcome => {
      this.pages.attach(welcome);
      this.shared.attach(welcome);
      this.onAttach(welcome);
    };
    this.attachment.onDetach = why => {
      this.life++;
      this.pages.reset(sharedMemoryLost);
      this.locks.reset(sharedMemoryLost);
      this.wal.reset();
      this.walCredit.reset(sharedMemoryLost);
      this.shared.reset(sharedMemoryLost);
      this.multixacts.reset();
      // That they were given out may not have become durable: the next life gives them out again.
      this.#oids = NO_OIDS;
      this.onDetach(why);
    };
  }

  /** Brings waits for rows before the lock table. */
  #showWaits(): void {
    this.locks.tuples.showAll();
    for (const show of [...this.#localWaits]) show();
  }

  /** Repeats a synchronous attempt until it lacks nothing. `enter` runs before each try: it makes the
   *  session whose turn it is the current one. */
  async attempt(work: () => number, owner: LockOwner, enter: () => void = () => {}): Promise<number> {
    for (;;) {
      enter();
      const result = work();
      if (result !== MISS) return result;
      await this.satisfy(this.pages.want, owner);
    }
  }

  /** Obtains what a synchronous attempt lacked; then it is tried again. */
  satisfy(want: Want, owner: LockOwner): Promise<void> {
    // Locks say it themselves.
    if (want.kind === 'xactWait') return this.#obtain(want, owner);
    owner.waitEvent = waitEventOf(want);
    return this.#obtain(want, owner).finally(() => {
      owner.waitEvent = undefined;
    });
  }

  #obtain(want: Want, owner: LockOwner): Promise<void> {
    switch (want.kind) {
      case 'page':
        return this.pages.readBuffer(forkOf(want.rel as RelationFiles, want.fork), want.blk, want.exclusive);
      case 'nblocks':
        return this.pages.fetchNblocks(forkOf(want.rel as RelationFiles, want.fork));
      case 'extend':
        return this.pages.extendRelation(forkOf(want.rel as RelationFiles, want.fork));
      case 'freePage':
        return this.pages.fetchFreePage(want.rel as RelationFiles, want.need);
      case 'xids':
        return this.shared.awaitXids();
      case 'clog':
        return this.shared.fetchClogPage(want.page);
      case 'xactWait':
        return this.waitForXact(want.fxid as FullTransactionId, owner, want.tuple);
      case 'await':
        return want.run();
      case 'none':
        throw new PgError(ERRCODE.INTERNAL_ERROR, 'a miss that wants nothing');
      default:
        return unreachable(want);
    }
  }

  /** Resolves when the transaction is over, or when it was this session's turn to look at the row again. Throws 40P01
   *  when waiting can never end. */
  async waitForXact(fxid: FullTransactionId, owner: LockOwner, tuple: TupleWait | undefined): Promise<void> {
    owner.onLockWait?.(true);
    try {
      if (tuple !== undefined && !this.locks.tuples.tryAcquire(owner, tuple))
        return await this.locks.tuples.acquire(owner, tuple);
      if (this.shared.runsHere(fxid)) return await this.#waitLocally(fxid, owner);
      await this.#waitRemotely(fxid, owner);
    } finally {
      owner.onLockWait?.(false);
    }
    await this.shared.fetchClogPage(Math.floor(xidFromFull(fxid) / XACTS_PER_CLOG_PAGE));
  }

  /** The holder is a session of this instance: no message, unless the wait grows suspiciously long;
   *  then the buffer-manager's deadlock detector must know of it. So must who asks who waits for whom. */
  async #waitLocally(fxid: FullTransactionId, owner: LockOwner): Promise<void> {
    if (owner.interrupt !== undefined) throw owner.interrupt;
    owner.waitEvent = LOCK_WAITS[LOCKTAG_TRANSACTION];
    await new Promise<void>((resolve, reject) => {
      let settled = false;
      const settle = (finish: () => void): void => {
        if (settled) return;
        settled = true;
        forget();
        if (owner.waiting === waiting) owner.waiting = undefined;
        owner.waitEvent = undefined;
        finish();
      };
      const stop = this.shared.onEnd(fxid, () => settle(resolve));
      const waiting = { cancel: (error: PgError) => settle(() => reject(error)) };
      owner.waiting = waiting;
      const show = (): void => {
        forget();
        owner.waiting = undefined;
        settled = true;
        this.#waitRemotely(fxid, owner).then(resolve, reject);
      };
      const timer = this.env.timers.after(owner.deadlockMs(), show);
      const forget = (): void => {
        timer.cancel();
        stop();
        this.#localWaits.delete(show);
      };
      this.#localWaits.add(show);
    });
  }

  async #waitRemotely(fxid: FullTransactionId, owner: LockOwner): Promise<void> {
    const tag = transactionTag(fxid);
    await this.locks.acquire(owner, tag, SHARE_LOCK);
    this.locks.release(owner, tag, SHARE_LOCK);
  }

  /** Whom a session of the cluster waits for: as it is now, whatever its instance. */
  async blockingPids(pid: number): Promise<readonly number[]> {
    const op = await this.call(reqId => ({ op: 'getBlockers', reqId, pid }));
    assert(op.op === 'blockers', `answer ${op.op} to getBlockers`);
    return op.pids;
  }

  /** Of WAL, once it was asked where that is. */
  timeline: number | undefined;

  /** pg_switch_wal. */
  async switchWal(): Promise<number> {
    const op = await this.call(reqId => ({ op: 'switchWal', reqId }));
    assert(op.op === 'walSwitched', `answer ${op.op} to switchWal`);
    return op.lsn;
  }

  async walLocation(): Promise<{ readonly insert: number; readonly flush: number }> {
    const op = await this.call(reqId => ({ op: 'getWalLocation', reqId }));
    assert(op.op === 'walLocation', `answer ${op.op} to getWalLocation`);
    this.timeline = op.timeline;
    return op;
  }

  /** Bytes of a tablespace's files, or of those of one database in it; undefined: it has no folder. */
  async folderSize(spc: Oid, db: Oid): Promise<number | undefined> {
    const op = await this.call(reqId => ({ op: 'getFolderSize', reqId, spc, db }));
    assert(op.op === 'folderSize', `answer ${op.op} to getFolderSize`);
    return op.known ? op.bytes : undefined;
  }

  /** Asks every instance about its sessions, or about one: what was said, and which instances were silent. */
  async askSessions(question: SessionQuestion, pid = 0, about = ''): Promise<SessionsTold> {
    const what = SESSION_QUESTIONS.indexOf(question);
    const op = await this.call(reqId => ({ op: 'askSessions', reqId, what, pid, about }));
    assert(op.op === 'sessionsTold', `answer ${op.op} to askSessions`);
    return { said: JSON.parse(op.said) as unknown[], silent: op.silent };
  }

  /** pg_stat_archiver. */
  async archiverCounts(): Promise<Extract<DownOp, { op: 'archiverCounts' }>> {
    const op = await this.call(reqId => ({ op: 'getArchiverCounts', reqId, reset: false }));
    assert(op.op === 'archiverCounts', `answer ${op.op} to getArchiverCounts`);
    return op;
  }

  async resetArchiver(): Promise<void> {
    await this.call(reqId => ({ op: 'getArchiverCounts', reqId, reset: true }));
  }

  /** What transactions of this instance hold here. */
  held(): Record<string, number> {
    return {
      'local locks': this.locks.localCount,
      'tuple locks': this.locks.tuples.count,
      ...this.shared.held(),
    };
  }

  // ---- plain calls -------------------------------------------------------------------------------

  async call(make: (reqId: number) => UpOp): Promise<DownOp> {
    const op = await this.attachment.request(make);
    if (op.op === 'reply' && op.sqlstate !== '') throw replyError(op);
    return op;
  }

  /** Creates a fork's file; it goes away again unless `fxid` commits. */
  async smgrCreate(fxid: FullTransactionId, rel: RelFileNode, fork: ForkNumber, logged: boolean): Promise<void> {
    await this.call(reqId => ({ op: 'smgrCreate', reqId, fxid, rel, fork, logged }));
  }

  async smgrTruncate(rel: RelFileNode, fork: ForkNumber, blocks: number): Promise<void> {
    await this.call(reqId => ({ op: 'smgrTruncate', reqId, rel, fork, blocks }));
  }

  /** No table of any database holds an id before this one. */
  async oldestXid(oldestXid: TransactionId, db: Oid): Promise<void> {
    await this.call(reqId => ({ op: 'oldestXid', reqId, oldestXid, db }));
  }

  /** An orderly end, when no session is left: what only this instance has goes to the buffer-manager, and
   *  its answer says that it has come. A buffer-manager that is gone rebuilds it from WAL. */
  async close(): Promise<void> {
    const { env, attachment } = this;
    let timer: Timer | undefined;
    const patience = new Promise<void>(resolve => {
      timer = env.timers.after(CLOSE_PATIENCE_MS, resolve);
    });
    const home = this.pages.giveBack().then(() => this.xlogFlush());
    await Promise.race([home.catch(() => {}), patience]);
    timer?.cancel();
    attachment.close();
  }

  /** Everything logged so far is durable when this resolves. */
  async xlogFlush(): Promise<void> {
    await this.call(reqId => ({ op: 'xlogFlush', reqId }));
  }

  #oids: { next: number; readonly end: number } = NO_OIDS;

  async newOid(): Promise<Oid> {
    while (this.#oids.next === this.#oids.end) {
      const op = await this.call(reqId => ({ op: 'allocOids', reqId, count: 32 }));
      assert(op.op === 'oids', `answer ${op.op} to allocOids`);
      this.#oids = { next: op.first, end: op.first + op.count };
    }
    return this.#oids.next++ as Oid;
  }
}

const NO_OIDS = { next: 0, end: 0 };

function forkOf(files: RelationFiles, fork: ForkNumber): RelationFork {
  return files.forks[fork]!;
}
