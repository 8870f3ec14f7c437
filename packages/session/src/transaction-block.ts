/**
 * Transaction blocks of one session: PostgreSQL's TBlockState, as far as a client can tell them apart.
 *
 *   idle -> implicit      a command begins without a block
 *   implicit -> idle      its end commits; its error rolls back
 *   implicit -> block     BEGIN
 *   block -> idle         COMMIT or ROLLBACK; a COMMIT that fails, too: it has rolled back
 *   block -> block        AND CHAIN: another transaction of the same characteristics
 *   block -> failed       an error: what the innermost level did is undone at once
 *   failed -> block       ROLLBACK TO a savepoint
 *   failed -> idle        COMMIT (which then answers ROLLBACK) or ROLLBACK
 *
 * Snapshots: READ COMMITTED takes one per statement, REPEATABLE READ one per transaction.
 */
import { assert } from '@pgtroupe/common/assert';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { FullTransactionId, Oid } from '@pgtroupe/common/ids';
import type { TransactionIndicator } from '@pgtroupe/libpq/protocol';
import type { LockOwner } from '@pgtroupe/instance/instance-locks';
import { type InstanceKernel, sharedMemoryLost } from '@pgtroupe/instance/instance-kernel';
import type { LiveSnapshot } from '@pgtroupe/instance/instance-transactions';
import type { InstanceStat, SessionStat } from '@pgtroupe/instance/pgstat';
import { WalProducer } from '@pgtroupe/instance/wal-credit';
import { Transaction } from '@pgtroupe/instance/xact';
import type { Snapshot } from '@pgtroupe/transam/xactview';

export type IsolationLevel = 'read uncommitted' | 'read committed' | 'repeatable read' | 'serializable';

/** What AND CHAIN hands on. */
interface Characteristics {
  readonly isolation: IsolationLevel;
  readonly readOnly: boolean;
}

interface Running {
  readonly tx: Transaction;
  isolation: IsolationLevel;
  readOnly: boolean;
  /** What `readOnly` was when each of its subtransactions began: it is again when that one ends, either way. */
  readonly readOnlyAround: boolean[];
  /** A statement has taken a snapshot: the isolation level is settled. */
  queried: boolean;
  /** The one snapshot of REPEATABLE READ, from the first statement that needs one. */
  snapshot: LiveSnapshot | undefined;
  /** now(): when the message came that started it. */
  readonly startMicros: number;
  /** Other statements that belong to it without a block: of the same query string, or before in the pipeline. */
  company: 'none' | 'query string' | 'pipeline';
}

type State =
  | { readonly kind: 'idle' }
  | ({ readonly kind: 'implicit' | 'block' } & { readonly run: Running })
  /** `run` is still there when savepoints may be rolled back to. */
  | ({ readonly kind: 'failed'; readonly run: Running | undefined } & Characteristics);

export interface TransactionDefaults {
  /** track_counts */
  countsTracked(): boolean;
  isolation(): IsolationLevel;
  readOnly(): boolean;
  /** When the client's message came: now() of the transaction that it starts. */
  messageMicros(): number;
  /** synchronous_commit, as it is when COMMIT comes. Without a standby all values but `off` wait for the same flush. */
  synchronousCommit(): boolean;
}

/** A transaction, failed or not. */
export interface TransactionStatus {
  /** undefined when it has failed as a whole. */
  readonly startMicros: number | undefined;
  /** Counts the session's transactions. */
  readonly lxid: number;
  /** Its ids, its own first; none where none was needed. */
  readonly xids: readonly FullTransactionId[];
  /** The oldest transaction that one of its snapshots takes for running; 0: it has none. */
  readonly xmin: number;
}

export class TransactionBlock {
  readonly #kernel: InstanceKernel;
  readonly #owner: LockOwner;
  readonly #database: Oid;
  readonly #defaults: TransactionDefaults;
  #state: State = { kind: 'idle' };
  /** Transactions there were: the number of the one there is. */
  #lxid = 0;
  /** Snapshots that statements have. */
  readonly #statementSnapshots: LiveSnapshot[] = [];
  /** Of the statement that runs. */
  activeSnapshot: Snapshot | undefined;
  /** Called after a transaction ended, with its outcome. */
  onEnd: (committed: boolean, invals: Uint8Array) => void = () => {};
  /** Called before the commit record is made: deferred work, invalidations. */
  beforeCommit: (tx: Transaction) => void = () => {};

  /** What the session logs adds up here until a commit; a rollback makes nothing durable. */
  readonly producer: WalProducer;

  /** What the session counts. */
  readonly stat: SessionStat;

  constructor(
    { kernel, stat }: { readonly kernel: InstanceKernel; readonly stat: InstanceStat },
    owner: LockOwner,
    database: Oid,
    defaults: TransactionDefaults,
  ) {
    this.stat = stat.session(database);
    this.#kernel = kernel;
    this.#owner = owner;
    this.#database = database;
    this.producer = new WalProducer(kernel.walCredit, owner);
    this.#defaults = defaults;
  }

  get indicator(): TransactionIndicator {
    switch (this.#state.kind) {
      case 'block':
        return 'T';
      case 'failed':
        return 'E';
      default:
        return 'I';
    }
  }

  /** What a session that waits for its client is said to be: pg_stat_activity.state, and in process titles. */
  get idleState(): string {
    return this.failed ? 'idle in transaction (aborted)' : this.inBlock ? 'idle in transaction' : 'idle';
  }

  get failed(): boolean {
    return this.#state.kind === 'failed';
  }

  get inBlock(): boolean {
    return this.#state.kind === 'block' || this.#state.kind === 'failed';
  }

  /** Is there a transaction that can do something? */
  get running(): boolean {
    return this.#state.kind === 'implicit' || this.#state.kind === 'block';
  }

  /** Is there a transaction, failed or not? */
  get open(): boolean {
    return this.#state.kind !== 'idle';
  }

  /** The running transaction. */
  get tx(): Transaction {
    return this.#running().tx;
  }

  get isolation(): IsolationLevel {
    return this.#running().isolation;
  }

  get readOnly(): boolean {
    return this.#running().readOnly;
  }

  get startMicros(): number {
    return this.#running().startMicros;
  }

  /** For who asks what the session is doing. */
  get status(): TransactionStatus | undefined {
    const state = this.#state;
    if (state.kind === 'idle') return undefined;
    const { run } = state;
    const snapshots = run?.snapshot === undefined ? this.#statementSnapshots : [run.snapshot];
    let xmin = 0;
    for (const { snapshot } of snapshots) if (xmin === 0 || snapshot.xmin < xmin) xmin = snapshot.xmin;
    return {
      startMicros: run?.startMicros,
      lxid: this.#lxid,
      xids: run === undefined ? [] : [...run.tx.runningXids()],
      xmin,
    };
  }

  #running(): Running {
    const state = this.#state;
    assert(state.kind === 'implicit' || state.kind === 'block', `no transaction is running (${state.kind})`);
    return state.run;
  }

  /** Before every command. idle -> implicit. A block whose shared memory was lost takes only what ends it: COMMIT
   *  fails then, but as a COMMIT does. */
  startCommand(endsBlock = false): void {
    const state = this.#state;
    if (state.kind === 'idle') {
      this.#state = { kind: 'implicit', run: this.#start(this.#defaults.isolation(), this.#defaults.readOnly()) };
    } else if (!endsBlock && state.kind !== 'failed' && state.run.tx.lost) throw sharedMemoryLost();
  }

  #start(isolation: IsolationLevel, readOnly: boolean): Running {
    this.#lxid++;
    return {
      tx: new Transaction(this.#kernel, this.#owner, this.#database, this.stat, this.#defaults.countsTracked()),
      isolation,
      readOnly,
      readOnlyAround: [],
      snapshot: undefined,
      queried: false,
      startMicros: this.#defaults.messageMicros(),
      company: 'none',
    };
  }

  /** The statements of one query string, or an Execute with others behind it, share the implicit transaction. */
  accompany(company: 'query string' | 'pipeline'): void {
    if (this.#state.kind === 'implicit') this.#state.run.company = company;
  }

  /** PreventInTransactionBlock: for commands that cannot be rolled back, or commit by themselves. */
  prevent(command: string): void {
    const state = this.#state;
    const company = state.kind === 'implicit' ? state.run.company : 'none';
    if (this.inBlock || company === 'query string') {
      throw ereport(ERRCODE.ACTIVE_SQL_TRANSACTION, `${command} cannot run inside a transaction block`);
    }
    if (company === 'pipeline') {
      throw ereport(ERRCODE.ACTIVE_SQL_TRANSACTION, `${command} cannot be executed within a pipeline`);
    }
  }

  /** RequireTransactionBlock: for commands whose effect ends with their transaction. */
  require(command: string): void {
    if (!this.lasts) throw onlyInBlock(command);
  }

  /** Will the transaction go on after this statement? PostgreSQL 15 does not count pipelines here. */
  get lasts(): boolean {
    const state = this.#state;
    return this.inBlock || (state.kind === 'implicit' && state.run.company === 'query string');
  }

  /** Before ROLLBACK, which succeeds even if shared memory was lost meanwhile. block -> failed */
  forgetLost(): void {
    const state = this.#state;
    if (state.kind !== 'block' || !state.run.tx.lost) return;
    this.#abort(state.run);
    this.#state = failed(state.run, undefined);
  }

  /** A snapshot for one statement; give it back with `releaseSnapshot`. */
  tryStatementSnapshot(): LiveSnapshot | undefined {
    const run = this.#running();
    if (run.snapshot !== undefined) return this.#sameSnapshot(run);
    run.queried = true;
    const live = this.#kernel.shared.tryTakeSnapshot(run.tx.curcid);
    if (live !== undefined) this.#had(run, live);
    return live;
  }

  async statementSnapshot(): Promise<LiveSnapshot> {
    const run = this.#running();
    if (run.snapshot !== undefined) return this.#sameSnapshot(run);
    run.queried = true;
    const live = await this.#kernel.shared.takeSnapshot(run.tx.curcid);
    this.#had(run, live);
    return live;
  }

  #had(run: Running, live: LiveSnapshot): void {
    if (keepsSnapshot(run.isolation)) run.snapshot = live;
    else this.#statementSnapshots.push(live);
  }

  /** Before a statement is analyzed, and so before it waits for locks: the one snapshot of REPEATABLE READ is from then. */
  settleSnapshot(): Promise<unknown> | undefined {
    const run = this.#running();
    if (!keepsSnapshot(run.isolation) || this.tryStatementSnapshot() !== undefined) return undefined;
    return this.statementSnapshot();
  }

  /** REPEATABLE READ: same point in time, own commands up to now. */
  #sameSnapshot(run: Running): LiveSnapshot {
    const { snapshot } = run.snapshot!;
    return { snapshot: { ...snapshot, curcid: run.tx.curcid }, previous: undefined, next: undefined };
  }

  releaseSnapshot(live: LiveSnapshot): void {
    // A failed transaction may be one again.
    const run = this.#state.kind === 'idle' ? undefined : this.#state.run;
    if (run !== undefined && keepsSnapshot(run.isolation)) return;
    const at = this.#statementSnapshots.lastIndexOf(live);
    if (at >= 0) this.#statementSnapshots.splice(at, 1);
    this.#kernel.shared.releaseSnapshot(live);
  }

  /** After a statement that stands alone, at the end of a simple query, at Sync. implicit -> idle; in a
   *  block the next statement sees what this one did. */
  async finishCommand(): Promise<void> {
    if (this.#state.kind === 'implicit') await this.#commit(this.#state.run);
    else if (this.#state.kind === 'block') this.#state.run.tx.commandCounterIncrement();
  }

  /** BEGIN, when its modes were accepted: a BEGIN that fails opens no block. implicit -> block. */
  begin(): void {
    this.#state = { kind: 'block', run: this.#running() };
  }

  /** SET TRANSACTION. */
  setIsolation(isolation: IsolationLevel): void {
    const run = this.#running();
    if (run.queried && run.isolation !== isolation) {
      throw ereport(ERRCODE.ACTIVE_SQL_TRANSACTION, 'SET TRANSACTION ISOLATION LEVEL must be called before any query');
    }
    if (run.readOnlyAround.length > 0 && run.isolation !== isolation) {
      throw ereport(
        ERRCODE.ACTIVE_SQL_TRANSACTION,
        'SET TRANSACTION ISOLATION LEVEL must not be called in a subtransaction',
      );
    }
    run.isolation = isolation;
  }

  /** Only a transaction that has done nothing yet becomes READ WRITE again. */
  setReadOnly(readOnly: boolean): void {
    const run = this.#running();
    if (run.readOnly && !readOnly) {
      if (run.readOnlyAround.length > 0) {
        throw ereport(
          ERRCODE.ACTIVE_SQL_TRANSACTION,
          'cannot set transaction read-write mode inside a read-only transaction',
        );
      }
      if (run.queried) {
        throw ereport(ERRCODE.ACTIVE_SQL_TRANSACTION, 'transaction read-write mode must be set before any query');
      }
    }
    run.readOnly = readOnly;
  }

  /** DEFERRABLE or not: it means something only together with SERIALIZABLE. */
  setDeferrable(): void {
    const run = this.#running();
    const when =
      run.readOnlyAround.length > 0
        ? 'cannot be called within a subtransaction'
        : run.queried
          ? 'must be called before any query'
          : undefined;
    if (when !== undefined) {
      throw ereport(ERRCODE.ACTIVE_SQL_TRANSACTION, `SET TRANSACTION [NOT] DEFERRABLE ${when}`);
    }
  }

  /** COMMIT. block -> idle, failed -> idle. */
  async commit(chain = false): Promise<'COMMIT' | 'ROLLBACK' | 'no block'> {
    const state = this.#state;
    switch (state.kind) {
      case 'failed':
        this.rollback(chain);
        return 'ROLLBACK';
      case 'block':
        await this.#commit(state.run);
        if (chain) this.#chain(state.run);
        return 'COMMIT';
      default:
        if (chain) throw onlyInBlock('COMMIT AND CHAIN');
        return 'no block';
    }
  }

  /** ROLLBACK. Returns false when there was no block (a warning): what ran since the last one is undone all the same. */
  rollback(chain = false): boolean {
    const state = this.#state;
    switch (state.kind) {
      case 'block':
        this.#abort(state.run);
        if (chain) this.#chain(state.run);
        return true;
      case 'failed':
        if (state.run !== undefined) this.#abort(state.run);
        this.#state = { kind: 'idle' };
        if (chain) this.#chain(state);
        return true;
      default:
        if (chain) throw onlyInBlock('ROLLBACK AND CHAIN');
        if (state.kind === 'implicit') this.#abort(state.run);
        return false;
    }
  }

  #chain({ isolation, readOnly }: Characteristics): void {
    this.#state = { kind: 'block', run: this.#start(isolation, readOnly) };
  }

  /** Whatever goes wrong, the transaction is over. */
  async #commit(run: Running): Promise<void> {
    try {
      if (run.tx.lost) throw sharedMemoryLost();
      this.beforeCommit(run.tx);
      this.#dropSnapshot(run);
      await run.tx.commit(this.#defaults.synchronousCommit());
    } catch (error) {
      this.#abort(run);
      throw error;
    }
    this.producer.bytes = 0;
    this.#state = { kind: 'idle' };
    this.onEnd(true, run.tx.invals);
  }

  #abort(run: Running): void {
    this.#dropSnapshot(run);
    run.tx.abort();
    this.#state = { kind: 'idle' };
    this.onEnd(false, run.tx.invals);
  }

  #dropSnapshot(run: Running): void {
    if (run.snapshot === undefined) return;
    if (!run.tx.lost) this.#kernel.shared.releaseSnapshot(run.snapshot);
    run.snapshot = undefined;
  }

  /** An error ended the command. */
  fail(): void {
    const state = this.#state;
    switch (state.kind) {
      case 'implicit':
        this.#abort(state.run);
        return;
      case 'block':
        if (!state.run.tx.lost && state.run.tx.abortInnermost()) this.#state = failed(state.run, state.run);
        else {
          this.#abort(state.run);
          this.#state = failed(state.run, undefined);
        }
        return;
      default:
        return;
    }
  }

  /** The session ends; nothing of it is under way. */
  abandon(): void {
    const state = this.#state;
    if (state.kind !== 'idle' && state.run !== undefined) this.#abort(state.run);
    this.#state = { kind: 'idle' };
  }

  // ---- savepoints ----------------------------------------------------------------------------------

  defineSavepoint(name: string): void {
    const run = this.#requireBlock('SAVEPOINT');
    run.tx.defineSavepoint(name);
    run.readOnlyAround.push(run.readOnly);
  }

  releaseSavepoint(name: string): void {
    const run = this.#requireBlock('RELEASE SAVEPOINT');
    if (!run.tx.hasSavepoint(name)) throw noSuchSavepoint(name);
    run.tx.releaseSavepoint(name);
    subtransactionsEnded(run, run.tx.depth - 1);
  }

  /** failed | block -> block */
  rollbackToSavepoint(name: string): void {
    const state = this.#state;
    const run = state.kind === 'failed' ? state.run : this.#requireBlock('ROLLBACK TO SAVEPOINT');
    if (run === undefined || !run.tx.hasSavepoint(name)) throw noSuchSavepoint(name);
    if (run.tx.lost) throw sharedMemoryLost();
    run.tx.rollbackToSavepoint(name);
    // The savepoint's own subtransaction began anew.
    subtransactionsEnded(run, run.tx.depth - 2);
    run.readOnlyAround.push(run.readOnly);
    this.#state = { kind: 'block', run };
  }

  #requireBlock(command: string): Running {
    if (this.#state.kind !== 'block') throw onlyInBlock(command);
    return this.#state.run;
  }
}

function failed({ isolation, readOnly }: Characteristics, run: Running | undefined): State {
  return { kind: 'failed', run, isolation, readOnly };
}

/** Of its subtransactions, nested, the outermost `left` are still there. */
function subtransactionsEnded(run: Running, left: number): void {
  run.readOnly = run.readOnlyAround[left]!;
  run.readOnlyAround.length = left;
}

function onlyInBlock(command: string): Error {
  return ereport(ERRCODE.NO_ACTIVE_SQL_TRANSACTION, `${command} can only be used in transaction blocks`);
}

function keepsSnapshot(isolation: IsolationLevel): boolean {
  return isolation === 'repeatable read' || isolation === 'serializable';
}

function noSuchSavepoint(name: string): Error {
  return ereport(ERRCODE.S_E_INVALID_SPECIFICATION, `savepoint "${name}" does not exist`);
}
