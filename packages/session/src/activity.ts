/**
 * What a session is doing, for pg_stat_activity: nothing is kept for it but when the session was last ready for a query; all
 * else is looked at when somebody asks.
 */
import { POSTGRES_EPOCH_MICROS } from '@pgtroupe/common/epoch';
import type { BackendStatus } from '@pgtroupe/adt/pgstatfuncs';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { PgError } from '@pgtroupe/common/ereport';
import { type Oid, xidFromFull } from '@pgtroupe/common/ids';
import type { LockStatus } from '@pgtroupe/storage/lmgr/lock-status';
import { EXCLUSIVE_LOCK, LOCKTAG_VIRTUALTRANSACTION, transactionTag } from '@pgtroupe/storage/lmgr/locktag';
import { clipUtf8 } from './parameters.ts';
import { AUTOVACUUM_WORKER } from './session-ends.ts';
import type { Session } from './session.ts';

export class SessionActivity {
  readonly #session: Session;
  /** Since when it is ready for a query; 0 while it is not. */
  #readyMicros = 0;
  /** Since when it was busy last. */
  #activeMicros = 0;
  #end: 'abandoned' | 'fatal' | 'killed' | undefined;

  constructor(session: Session) {
    this.#session = session;
  }

  /** A client's session takes its first query. */
  connected(): void {
    const { block, log, worker } = this.#session;
    if (worker === undefined) block.stat.connected(log.startedAt);
  }

  /** The client asks for something. */
  begun(): void {
    if (this.#readyMicros === 0) return;
    const { block, instance } = this.#session;
    this.#activeMicros = instance.env.clock.wallMicros();
    if (block.inBlock) block.stat.counts.idleInTransactionTime += this.#activeMicros - this.#readyMicros;
    this.#readyMicros = 0;
  }

  /** It is the client's turn. */
  ready(): void {
    const { block, instance, settings } = this.#session;
    this.#readyMicros = instance.env.clock.wallMicros();
    if (this.#activeMicros !== 0 && settings.bool('track_activities'))
      block.stat.counts.activeTime += this.#readyMicros - this.#activeMicros;
  }

  /** Why it is about to end. */
  ends(error: unknown): void {
    this.#end ??= error instanceof PgError && error.sqlstate === ERRCODE.ADMIN_SHUTDOWN ? 'killed' : 'fatal';
  }

  /** A statement failed. */
  failed(error: unknown): void {
    if (error instanceof PgError && error.sqlstate === ERRCODE.T_R_DEADLOCK_DETECTED)
      this.#session.block.stat.counts.deadlocks++;
  }

  abandoned(): void {
    this.#end ??= 'abandoned';
  }

  ended(): void {
    this.#session.block.stat.disconnected(this.#end ?? 'normal');
  }

  /** Of a session that has begun. */
  status(): BackendStatus {
    const { pid, database, roleOid: role, settings, runner, block, waitEvent, log, worker } = this.#session;
    const transaction = block.status;
    const tracked = settings.bool('track_activities');
    const active = this.#readyMicros === 0;
    const { messageMicros } = runner.functions;
    const query = (active ? log.statementText() : undefined) ?? runner.functions.queryString;
    const time = (micros: number | undefined): number | null =>
      micros === undefined || !tracked ? null : micros - POSTGRES_EPOCH_MICROS;
    return {
      pid,
      type: worker ?? 'client backend',
      database: database.oid as Oid,
      role: worker === AUTOVACUUM_WORKER ? (0 as Oid) : role,
      applicationName: settings.string('application_name'),
      state: !tracked ? 'disabled' : active ? 'active' : block.idleState,
      query: tracked ? clipped(query ?? '', settings.number('track_activity_query_size')) : '',
      waits: waitEvent ?? null,
      xactStart: time(transaction?.startMicros),
      queryStart: time(query === undefined ? undefined : messageMicros),
      start: log.startedAt - POSTGRES_EPOCH_MICROS,
      stateChange: time(active ? messageMicros : this.#readyMicros),
      client: worker === undefined ? (log.peer ?? 'unix') : null,
      xid: shortXid(transaction?.xids[0] ?? 0),
      xmin: shortXid(transaction?.xmin ?? 0),
      progress: tracked ? this.#session.progress?.() : undefined,
      queryId: tracked ? String(runner.functions.statements.queryId(runner.functions.statements.current)) : '0',
    };
  }

  /** Locks that it has on its transaction's ids: nobody grants them, they come with them. */
  *ownLocks(): IterableIterator<LockStatus> {
    const { pid, block } = this.#session;
    const { status } = block;
    if (status === undefined) return;
    const tag = { locktype: LOCKTAG_VIRTUALTRANSACTION, f1: pid, f2: status.lxid, f3: 0, f4: 0 };
    yield { pid, tag, mode: EXCLUSIVE_LOCK, granted: true, fastpath: true };
    for (const fxid of status.xids) {
      yield { pid, tag: transactionTag(fxid), mode: EXCLUSIVE_LOCK, granted: true, fastpath: false };
    }
  }
}

const shortXid = (fxid: number): number => (fxid === 0 ? 0 : xidFromFull(fxid as never));

/** So many bytes, a null byte included, and no part of a character (pgstat_clip_activity). */
function clipped(text: string, sizeBytes: number): string {
  if (text.length < sizeBytes / 4) return text;
  const bytes = Buffer.from(text);
  if (bytes.length < sizeBytes) return text;
  return clipUtf8(bytes, sizeBytes - 1).toString();
}
