/**
 * The Attach conversation: lets instances in, takes their operations in order, fences the dead.
 *
 * An instance is dead when its stream ends, when it breaks the protocol, or when nothing was heard
 * for FENCE_MS, neither from it nor from the thread that speaks for it while it is busy. Fencing is one synchronous step: after it nothing the instance ever sent or sends has
 * an effect (invariant 22), what it committed stands, the rest is undone.
 *
 * Leases: an instance that is fenced may not know it yet, and serve statements from the snapshot it has, as may
 * all those of a life that crashed. What they lack is shown to nobody before SNAPSHOT_LEASE_MS are over:
 * commits wait after an expulsion, and the welcome waits after a crash (snapshots, outcomes of old commits,
 * everything comes behind it). An instance whose stream ended by itself is dead or knows.
 */
import type { Env } from '@pgtroupe/actor/env';
import { assert } from '@pgtroupe/common/assert';
import type { Oid, TransactionId } from '@pgtroupe/common/ids';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ATTACH_PROTOCOL, SNAPSHOT_LEASE_MS } from '@pgtroupe/instance/attachment';
import { MAX_UNREAD_BYTES } from '@pgtroupe/rpc/attach/credit';
import { downWriter, FrameError, type OpReader, upReader } from '@pgtroupe/rpc/attach/codec';
import { LOCK_WAIT_STATES, TOKEN_EXCLUSIVE, type UpOp } from '@pgtroupe/rpc/attach/ops';
import { LOCKTAG_TUPLE } from '@pgtroupe/storage/lmgr/locktag';
import { WalFormatError } from '@pgtroupe/transam/xlogrecord';
import { AUXILIARY_PIDS } from './auxiliary-processes.ts';
import { blockers, checkDeadlock, describeWanted } from './deadlock.ts';
import { type AttachStream, Instance } from './instance.ts';
import type { LockOwner, LockTag, Waiter } from './lock-table.ts';
import { lockNotAvailable, type SharedMemory } from './shared-memory.ts';
import { ProtocolViolation } from './wal-insert.ts';

type Up<K extends UpOp['op']> = Extract<UpOp, { op: K }>;

const CHECK_MS = 500;
export const FENCE_MS = 3000;
const PID_RANGE = 1024;
/** Ranges of earlier lives are not reused for long: their sessions may still be there. */
const PIDS_PER_LIFE = 64 * PID_RANGE;
const PID_LIVES = 8192;

export class AttachServer {
  readonly #env: Env;
  readonly #shared: SharedMemory;
  readonly #epoch: number;
  readonly #reader: OpReader<UpOp>;
  #lastId = 0;
  #nextPid: number;
  #lastCheckMs: number;
  #closed = false;
  /** Batches that wait for WAL room, in order of arrival. The last resort, when room was used up by what
   *  needs no credit. */
  readonly #held: { readonly instance: Instance; readonly batch: Uint8Array }[] = [];

  /** When the leases of the last life are over, if it crashed. */
  readonly #welcomeFromMs: number;

  constructor(env: Env, shared: SharedMemory, options: { readonly epoch: number; readonly welcomeFromMs: number }) {
    this.#env = env;
    this.#reader = upReader(env.traffic);
    this.#shared = shared;
    this.#epoch = options.epoch;
    this.#welcomeFromMs = options.welcomeFromMs;
    this.#nextPid = 1 + (options.epoch % PID_LIVES) * PIDS_PER_LIFE;
    shared.auxiliaries.firstPid = this.#nextPid;
    this.#nextPid += AUXILIARY_PIDS;
    this.#lastCheckMs = env.clock.nowMs();
    shared.wal.onRoom = () => this.#resume();
    shared.io.onRelieved = () => this.#resume();
    this.#watch();
  }

  accept(stream: AttachStream): void {
    let instance: Instance | undefined;
    let ended = false;
    const guarded = (work: () => void): void => {
      try {
        work();
      } catch (error) {
        this.#broken(stream, instance, error);
      }
    };
    const greet = (op: Up<'hello'>, bytes: number): void => {
      instance = this.#hello(stream, op, bytes);
      this.#shared.endOfTurn();
    };
    stream.onMessage = batch =>
      guarded(() => {
        if (instance !== undefined) return this.#take(instance, batch);
        const hello = this.#onlyHello(batch);
        const earlyMs = this.#welcomeFromMs - this.#env.clock.nowMs();
        if (earlyMs <= 0) return greet(hello, batch.length);
        this.#env.timers.after(earlyMs, () => {
          if (!ended) guarded(() => greet(hello, batch.length));
        });
      });
    stream.onEnd = () => {
      ended = true;
      if (instance !== undefined) this.fence(instance, 'its stream ended');
    };
  }

  /** What begins a conversation. Nothing follows it before the welcome. */
  #onlyHello(batch: Uint8Array): Up<'hello'> {
    let hello: Up<'hello'> | undefined;
    this.#reader.read(batch, op => {
      if (op.op !== 'hello' || hello !== undefined) throw new ProtocolViolation(`${op.op} before the welcome`);
      hello = op;
    });
    if (hello === undefined) throw new ProtocolViolation('an empty batch instead of hello');
    return hello;
  }

  /** Another thread of the instance says that its main loop is held up by work. */
  busy(name: string): void {
    for (const instance of this.#shared.instances)
      if (instance.name === name) instance.heardMs = this.#env.clock.nowMs();
  }

  /** Refuses and ends everybody: shutdown. Resolves when nobody can show what the next life may not. */
  close(): Promise<void> {
    this.#closed = true;
    let leases = false;
    for (const instance of [...this.#shared.instances]) {
      leases ||= instance.snapshot.held;
      this.fence(instance, 'shutdown');
      instance.stream.end();
    }
    if (!leases) return Promise.resolve();
    return new Promise(resolve => this.#env.timers.after(SNAPSHOT_LEASE_MS, resolve));
  }

  #hello(stream: AttachStream, op: Up<'hello'>, batchBytes: number): Instance {
    const shared = this.#shared;
    if (this.#closed) throw new ProtocolViolation('the buffer-manager is shutting down');
    if (op.protocol !== ATTACH_PROTOCOL)
      throw new ProtocolViolation(`protocol ${op.protocol}, need ${ATTACH_PROTOCOL}`);
    // Its predecessor of the same name must be dead before it counts (a stream that is slow to break).
    for (const other of [...shared.instances])
      if (other.name === op.name) this.#expel(other, `replaced by a new ${op.name}`);
    const procs = shared.transactions.procs;
    const instance = new Instance(
      ++this.#lastId,
      op.name,
      stream,
      procs.pin(),
      this.#env.clock.nowMs(),
      procs.csn,
      downWriter(this.#env.traffic),
    );
    shared.instances.add(instance);
    instance.up.processed(batchBytes, shared.insert.buffers.end);
    instance.put({
      op: 'welcome',
      clusterEpoch: this.#epoch,
      instanceEpoch: instance.id,
      systemIdentifier: String(shared.systemIdentifier),
      ...this.#leasePids(),
      fpiN: shared.fpi.open ? shared.fpi.number - 1 : shared.fpi.number,
      fpiOpen: shared.fpi.open,
      redo: shared.redo,
    });
    this.#companyChanged();
    this.#env.log.write('DEBUG', `${op.name} attached as instance ${instance.id}`);
    return instance;
  }

  /** Somebody came or went. */
  #companyChanged(): void {
    const { directory, instances } = this.#shared;
    directory.alone = instances.size === 1;
    for (const instance of instances) instance.put({ op: 'company', others: !directory.alone });
  }

  #leasePids(): { readonly pidFirst: number; readonly pidCount: number } {
    const pidFirst = this.#nextPid;
    this.#nextPid += PID_RANGE;
    return { pidFirst, pidCount: PID_RANGE };
  }

  // ---- death -------------------------------------------------------------------------------------

  #broken(stream: AttachStream, instance: Instance | undefined, error: unknown): void {
    const known = error instanceof FrameError || error instanceof ProtocolViolation || error instanceof WalFormatError;
    if (!known) throw error;
    if (instance !== undefined) return this.#expel(instance, `it broke the attach protocol: ${error.message}`);
    this.#env.log.write('WARNING', `a stranger broke the attach protocol: ${error.message}`);
    stream.abort(error.message);
  }

  #expel(instance: Instance, why: string): void {
    this.#env.log.write('WARNING', `${instance.name} is expelled: ${why}`);
    const leaseEndsMs = instance.heardMs + SNAPSHOT_LEASE_MS;
    if (instance.snapshot.held) this.#shared.holdCommits(leaseEndsMs - this.#env.clock.nowMs());
    this.fence(instance, why);
    instance.stream.abort(why);
  }

  fence(instance: Instance, why: string): void {
    if (instance.dead) return;
    instance.dead = true;
    this.#shared.instances.delete(instance);
    this.#companyChanged();
    this.#env.log.write('DEBUG', `${instance.name} is fenced: ${why}`);
    for (let n = this.#held.length - 1; n >= 0; n--) if (this.#held[n]!.instance === instance) this.#held.splice(n, 1);
    this.#shared.instanceDied(instance);
    this.#shared.endOfTurn();
  }

  /** A check that came late says that we were asleep, not that they are dead. */
  #watch(): void {
    const now = this.#env.clock.nowMs();
    const late = now - this.#lastCheckMs - CHECK_MS;
    this.#lastCheckMs = now;
    for (const instance of [...this.#shared.instances]) {
      if (late > CHECK_MS) instance.heardMs += late;
      if (now - instance.heardMs > FENCE_MS) this.#expel(instance, `nothing heard for ${FENCE_MS} ms`);
      else this.#expelDeaf(instance);
    }
    this.#shared.transactions.forgetInvalidations();
    if (!this.#closed) this.#env.timers.after(CHECK_MS, () => this.#watch(), { background: true });
  }

  /** Output is bounded by what the instance asks for, so one that reads is never found here. */
  #expelDeaf(instance: Instance): boolean {
    if (instance.down.unread <= MAX_UNREAD_BYTES) return false;
    this.#expel(
      instance,
      `it has not read ${instance.down.unread} bytes, more than ${MAX_UNREAD_BYTES} are not kept for it`,
    );
    return true;
  }

  // ---- operations --------------------------------------------------------------------------------

  #take(instance: Instance, batch: Uint8Array): void {
    if (instance.dead) return;
    instance.heardMs = this.#env.clock.nowMs();
    if (this.#expelDeaf(instance)) return;
    if (this.#held.length > 0 || !this.#shared.hasRoomFor(batch.length)) {
      this.#held.push({ instance, batch });
      return;
    }
    this.#process(instance, batch);
  }

  #process(instance: Instance, batch: Uint8Array): void {
    this.#reader.read(batch, op => {
      if (!instance.dead) this.#operation(instance, op);
    });
    instance.up.processed(batch.length, this.#shared.insert.buffers.end);
    this.#shared.endOfTurn();
  }

  #resume(): void {
    while (this.#held.length > 0 && this.#shared.hasRoomFor(this.#held[0]!.batch.length)) {
      const { instance, batch } = this.#held.shift()!;
      try {
        this.#process(instance, batch);
      } catch (error) {
        this.#broken(instance.stream, instance, error);
      }
    }
    // Credit that was kept back for want of room.
    this.#shared.planTurn();
  }

  #operation(instance: Instance, op: UpOp): void {
    const shared = this.#shared;
    switch (op.op) {
      case 'xlogInsert':
        shared.insert.fromInstance(instance, op.seq, op.record);
        return;
      case 'commit':
        return shared.transactions.commit(instance, op);
      case 'invalidate':
        return shared.transactions.invalidated(instance, op.invals);
      case 'readBuffer': {
        const fork = shared.relations.forkOf(op.rel, op.fork);
        if (op.mode !== 1 && op.mode !== TOKEN_EXCLUSIVE) throw new ProtocolViolation(`mode ${op.mode}`);
        return shared.directory.request(instance, shared.relations.page(fork, op.blk), op.mode);
      }
      case 'releaseBuffer':
        return shared.releaseBuffer(instance, op);
      case 'bufferImage':
        return shared.bufferImage(instance, op);
      case 'horizon':
        return instance.pin.reported(op.snapshots, op.xmin);
      case 'xidAssigned':
        return shared.transactions.assigned(instance, op);
      case 'reserveXids':
        return shared.transactions.reserve(instance, op.count);
      case 'returnXids':
        return shared.transactions.returned(instance, op.first, op.count);
      case 'oldestXid':
        void shared.transactions.advanceOldestXid(op.oldestXid as TransactionId, op.db as Oid).then(() => {
          instance.reply(op.reqId);
          shared.planTurn();
        });
        return;
      case 'getSnapshot':
        return shared.transactions.snapshotAsked(instance);
      case 'snapshotAck':
        return shared.transactions.snapshotAcked(instance);
      case 'abort':
        return shared.transactions.abort(instance, op);
      case 'heartbeat':
        return instance.put({ op: 'heartbeatAck', counter: op.counter });
      case 'nblocks':
        return shared.files.nblocks(instance, op);
      case 'nblocksAck':
        return shared.files.lengthForgotten(instance, shared.relations.knownFork(op.rel, op.fork));
      case 'extend':
        if (shared.wal.diskFull)
          return instance.reply(op.reqId, ERRCODE.DISK_FULL, 'could not extend file: no room for WAL');
        return shared.files.extend(instance, op);
      case 'smgrCreate':
        return shared.files.create(instance, op);
      case 'smgrTruncate':
        return shared.files.truncate(instance, op);
      case 'getFreePage':
        return shared.getFreePage(instance, op);
      case 'recordFreeSpace':
        return shared.fsm.record(op.rel, op.blk, op.avail);
      case 'forceFpiAck':
        return shared.fpi.acked(instance, op.n);
      case 'xlogFlush':
        return shared.flushFor(instance, op.reqId);
      case 'clogPage':
        instance.put({ op: 'clogPage', reqId: op.reqId, page: op.page, image: shared.clog.image(op.page) });
        return;
      case 'allocOids':
        return shared.allocOids(instance, op);
      case 'lockAcquire':
        return this.#lock(instance, op);
      case 'lockCancel':
        return this.#cancelLock(instance, op);
      case 'lockRelease':
        return shared.locks.release(shared.locks.owner(op.owner, instance), op, op.mode, op.session);
      case 'lockReleaseAll':
        return shared.locks.releaseAll(shared.locks.owner(op.owner, instance), op.session);
      case 'lockHasWaiters':
        return instance.put({ op: 'lockWaiters', reqId: op.reqId, waiting: shared.locks.hasWaiters(op, op.mode) });
      case 'relLockToken':
        return shared.locks.tokenRequested(instance, relationTag(op));
      case 'localHolders':
        return shared.locks.holdersTransferred(instance, relationTag(op), op.holders);
      case 'localTupleHolders':
        return shared.locks.holdersTransferred(instance, tupleTag(op), op.holders);
      case 'leasePids': {
        const { pidFirst, pidCount } = this.#leasePids();
        return instance.put({ op: 'pidsLeased', reqId: op.reqId, first: pidFirst, count: pidCount });
      }
      case 'relmap':
        return shared.relmap(instance, op);
      case 'received':
        if (!instance.down.confirmed(op.bytes))
          throw new ProtocolViolation(`${op.bytes} bytes cannot have been received`);
        return;
      case 'checkpoint':
        return shared.requestCheckpoint(instance, op);
      case 'switchWal':
        return shared.walSwitch.forSession(instance, op);
      case 'getWalLocation':
        return shared.walSwitch.tellLocation(instance, op);
      case 'getArchiverCounts':
        void shared.wal.archiver.read(op.reset).then(counts => {
          instance.put({ op: 'archiverCounts', reqId: op.reqId, ...counts });
          shared.planTurn();
        });
        return;
      case 'createMultiXact':
        return shared.multixacts.create(instance, op);
      case 'getMultiXactMembers':
        return shared.multixacts.getMembers(instance, op);
      case 'getMultiXactHorizon':
        return shared.multixacts.getHorizon(instance, op);
      case 'truncateMultiXact':
        return shared.multixacts.truncate(instance, op);
      case 'getFolderSize':
        void shared.smgr.folderBytes(op.spc, op.db).then(
          bytes => {
            instance.put({ op: 'folderSize', reqId: op.reqId, known: bytes !== undefined, bytes: bytes ?? 0 });
            shared.planTurn();
          },
          (error: Error) => {
            instance.reply(op.reqId, ERRCODE.IO_ERROR, error.message);
            shared.planTurn();
          },
        );
        return;
      case 'processed':
        return instance.reply(op.reqId);
      case 'getBlockers':
        return shared.lockQuestions.ask(instance, op);
      case 'waitsShown':
        return shared.lockQuestions.shown(instance, op);
      case 'askSessions':
        return shared.sessionQuestions.ask(instance, op);
      case 'sessionsSaid':
        return shared.sessionQuestions.said(instance, op);
      case 'hello':
        throw new ProtocolViolation('a second hello');
    }
  }

  // ---- locks -------------------------------------------------------------------------------------

  #lock(instance: Instance, op: Extract<UpOp, { op: 'lockAcquire' }>): void {
    const { locks } = this.#shared;
    const owner = locks.owner(op.owner, instance);
    if (op.mode < 1 || op.mode > 8 || owner.waiting !== undefined) throw new ProtocolViolation('bad lock request');
    const tag: LockTag = { locktype: op.locktype, f1: op.f1, f2: op.f2, f3: op.f3, f4: op.f4 };
    const result = locks.acquire(owner, tag, op.mode, op);
    if (result === 'granted') instance.put({ op: 'lockGranted', reqId: op.reqId });
    else if (result === 'waiting') {
      owner.waiting!.sinceMicros = this.#env.clock.wallMicros();
      this.#watchWait(owner.waiting!, op.deadlockMs);
    } else if (result === 'no-room') instance.put({ op: 'lockFailed', reqId: op.reqId, ...NO_ROOM });
    else instance.put(lockNotAvailable(op.reqId));
  }

  /** Whoever asked for a lock hears once what came of it. */
  #cancelLock(instance: Instance, op: Extract<UpOp, { op: 'lockCancel' }>): void {
    const { locks } = this.#shared;
    if (!locks.cancel(locks.owner(op.owner, instance), op.reqId)) return;
    instance.put({ op: 'lockFailed', reqId: op.reqId, ...CANCELED });
  }

  /** deadlock_timeout after a wait began somebody looks whether it can end; at once where it is plain that it cannot. */
  #watchWait(waiter: Waiter<Instance>, deadlockMs: number): void {
    if (waiter.crossed) return this.#checkWait(waiter);
    this.#env.timers.after(
      deadlockMs,
      () => {
        if (waiter.owner.waiting === waiter) this.#checkWait(waiter);
        this.#shared.endOfTurn();
      },
      { background: true },
    );
  }

  #checkWait(waiter: Waiter<Instance>): void {
    const { locks } = this.#shared;
    const deadlock = checkDeadlock(waiter, lock => {
      tellChecked(waiter, 'avoided deadlock');
      locks.wake(lock);
    });
    if (deadlock === undefined) {
      if (waiter.owner.waiting === waiter) tellChecked(waiter, 'still waiting');
      return this.#shared.sessionQuestions.askToYield(blockersOf(waiter));
    }
    assert(!waiter.owner.instance.dead, 'dead instances do not wait');
    tellChecked(waiter, 'detected deadlock');
    waiter.owner.instance.put({
      op: 'lockFailed',
      reqId: waiter.reqId,
      sqlstate: ERRCODE.T_R_DEADLOCK_DETECTED,
      ...deadlock,
    });
    locks.removeWaiter(waiter);
  }
}

/** Who waits may have it logged. Of those with a part in the lock who waits for it counts as waiting only. */
function tellChecked(waiter: Waiter<Instance>, state: (typeof LOCK_WAIT_STATES)[number]): void {
  const { lock, reqId, owner } = waiter;
  const queue = lock.queue.map(each => each.owner.pid);
  const holders = [...lock.holdings.keys()].map(({ pid }) => pid).filter(pid => !queue.includes(pid));
  const op = { op: 'lockWaitChecked', state: LOCK_WAIT_STATES.indexOf(state), lock: describeWanted(waiter) } as const;
  owner.instance.put({ ...op, reqId, holders, queue });
}

/** Who holds what it waits for. */
function* blockersOf(waiter: Waiter<Instance>): IterableIterator<LockOwner<Instance>> {
  if (waiter.owner.waiting !== waiter) return;
  for (const { blocker, soft } of blockers(waiter)) if (!soft) yield blocker;
}

const CANCELED = {
  sqlstate: ERRCODE.QUERY_CANCELED,
  message: 'canceling statement due to user request',
  detail: '',
  hint: '',
};

const NO_ROOM = {
  sqlstate: ERRCODE.OUT_OF_MEMORY,
  message: 'out of shared memory',
  detail: '',
  hint: 'You might need to increase max_locks_per_transaction.',
};

function tupleTag({ db, rel, blk, off }: Up<'localTupleHolders'>): LockTag {
  return { locktype: LOCKTAG_TUPLE, f1: db, f2: rel, f3: blk, f4: off };
}

function relationTag(op: { readonly db: number; readonly rel: number }): LockTag {
  return { locktype: 0, f1: op.db, f2: op.rel, f3: 0, f4: 0 };
}
