/**
 * What a session says to the server's log (elog.c): its errors and warnings as log_min_messages wants them, with the
 * statement that log_min_error_statement asks for; connections and disconnections.
 */
import {
  LogCounter,
  type LogCount,
  type LogFields,
  type LogLevel,
  logLevelWanted,
  type LogSession,
} from '@pgtroupe/actor/log-record';
import type { LockOwner, LongWait } from '@pgtroupe/instance/instance-locks';
import { activityTag } from '@pgtroupe/commands/activitytag';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { PgError } from '@pgtroupe/common/ereport';
import { xidFromFull } from '@pgtroupe/common/ids';
import { type Report, reportOf } from '@pgtroupe/libpq/error-response';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import type { Session } from './session.ts';
import { printable } from './settings-hooks.ts';

const MS_PER_SECOND = 1000;
const MICROS_PER_MS = 1000;

/** `begun`: it takes statements. */
type Stage = 'starting' | 'authentication' | 'startup' | 'begun';

/** Where the client is. */
interface Peer {
  readonly address: string;
  readonly port: number;
}

export class SessionLog {
  readonly #session: Session;
  readonly peer: Peer | undefined;
  /** Wall clock, microseconds since 1970. */
  readonly startedAt: number;
  readonly #counter = new LogCounter();
  #stage: Stage = 'starting';
  /** Waits for locks under way, one within the other, and since when. */
  #lockWaits = 0;
  #lockWaitFromMs = 0;
  /** Of the transaction that failed, until its block ends. */
  #failedXid = 0;
  /** What the client's message asks for, as it came. */
  text: string | Uint8Array | undefined;
  /** Of this text the statement that runs, or what is done with it: PARSE. */
  running: RawNode | string | undefined;

  constructor(session: Session, peer: Peer | undefined) {
    this.#session = session;
    this.peer = peer;
    this.startedAt = session.instance.env.clock.wallMicros();
    this.#hearOfWaits(session.owner);
  }

  /** The client's message is done with. */
  idle(): void {
    this.text = undefined;
    this.running = undefined;
  }

  /** An error, or a notice that was or was not wanted by the client. */
  report(report: Report): void {
    const { settings } = this.#session;
    const { severity: level, sqlstate, message, fields } = report;
    if (!logLevelWanted(level, settings.string('log_min_messages'))) return;
    const verbosity = settings.string('log_error_verbosity');
    const withStatement = logLevelWanted(level, settings.string('log_min_error_statement'));
    const more = verbosity === 'terse' ? undefined : fields;
    this.#write(level, message, {
      sqlstate,
      detail: more?.detail,
      hint: more?.hint,
      where: more?.where,
      verbose: verbosity === 'verbose' ? true : undefined,
      statement: withStatement ? this.statementText() : undefined,
      position: fields?.position,
    });
  }

  /** Something that was thrown; of a bug the stack is told, here only. */
  thrown(error: unknown): void {
    this.#failedXid = this.#xid();
    const report = reportOf(error);
    if (error instanceof Error && (!(error instanceof PgError) || error.sqlstate === ERRCODE.INTERNAL_ERROR)) {
      this.report({ ...report, fields: { ...report.fields, where: error.stack } });
    } else this.report(report);
  }

  /** A line that the parameters ask for (LOG); its text holds the statement, if it is about one, or `withStatement` asks
   *  for it. */
  say(
    message: string,
    options: {
      readonly detail?: string | undefined;
      /** The detail is for the log only (errdetail_log). */
      readonly detailForLog?: boolean;
      readonly withStatement?: boolean;
    } = {},
  ): void {
    const { settings } = this.#session;
    const { detail, withStatement } = options;
    const shown = settings.string('log_error_verbosity') === 'terse' ? undefined : detail;
    if (logLevelWanted('LOG', settings.string('log_min_messages'))) {
      const asked = withStatement === true && logLevelWanted('LOG', settings.string('log_min_error_statement'));
      const statement = asked ? this.statementText() : undefined;
      this.#write('LOG', message, { sqlstate: '00000', detail: shown, statement });
    }
    this.#session.tell('LOG', ERRCODE.SUCCESSFUL_COMPLETION, message, {
      detail: options.detailForLog === true ? undefined : detail,
    });
  }

  // ---- waits for locks -------------------------------------------------------------------------------

  #hearOfWaits(owner: LockOwner): void {
    const { onLockWait } = owner;
    owner.onLockWait = begins => {
      onLockWait?.(begins);
      if (begins && this.#lockWaits++ === 0) this.#lockWaitFromMs = this.#session.instance.env.clock.nowMs();
      if (!begins) this.#lockWaits--;
    };
    owner.onLongWait = wait => this.#longWait(wait);
  }

  /** log_lock_waits: what ProcSleep says of a wait that was longer than deadlock_timeout. */
  #longWait({ state, lock, holders, queue }: LongWait): void {
    const { settings, pid, instance } = this.#session;
    if (!settings.bool('log_lock_waits')) return;
    const after = `after ${(instance.env.clock.nowMs() - this.#lockWaitFromMs).toFixed(3)} ms`;
    const holding = `Process${holders.length === 1 ? '' : 'es'} holding the lock: ${holders.join(', ')}.`;
    const detail = state === 'acquired' ? undefined : `${holding} Wait queue: ${queue.join(', ')}.`;
    this.say(`process ${pid} ${longWaitText(state, lock)} ${after}`, {
      detail,
      detailForLog: true,
      withStatement: true,
    });
  }

  // ---- connections -----------------------------------------------------------------------------------

  connectionReceived(): void {
    if (!this.#session.settings.bool('log_connections')) return;
    this.#write('LOG', `connection received: ${this.#from()}`, {});
  }

  /** The client is who it says; `application` is what the start-up packet calls it. */
  connectionAuthorized(application: string | undefined): void {
    const { settings, user, database } = this.#session;
    this.#stage = 'authentication';
    if (settings.bool('log_connections')) {
      const named = application === undefined ? '' : ` application_name=${printable(application)}`;
      this.#write('LOG', `connection authorized: user=${user} database=${database.name}${named}`, {});
    }
    this.#stage = 'startup';
  }

  /** The session is there. */
  begun(): void {
    this.#stage = 'begun';
  }

  /** The session ends. */
  disconnected(): void {
    const { settings, user, database, instance } = this.#session;
    if (this.#stage !== 'begun' || this.#session.worker !== undefined || !settings.bool('log_disconnections')) return;
    const time = sessionTime((instance.env.clock.wallMicros() - this.startedAt) / MICROS_PER_MS);
    const whose = `user=${user} database=${database.name} ${this.#from()}`;
    this.idle();
    this.#write('LOG', `disconnection: session time: ${time} ${whose}`, {});
  }

  #from(): string {
    return this.peer === undefined ? 'host=[local]' : `host=${this.peer.address} port=${this.peer.port}`;
  }

  // ---- lines -------------------------------------------------------------------------------------------

  /** The text that the client's message is about, while it is worked on. */
  statementText(): string | undefined {
    const { text } = this;
    return typeof text === 'string' || text === undefined ? text : Buffer.from(text).toString();
  }

  #write(level: LogLevel, message: string, fields: LogFields): void {
    const session = this.#identity(this.#counter.next(fields));
    this.#session.instance.env.log.write(level, message, { ...fields, session });
  }

  #identity(count: LogCount): LogSession {
    const { pid, user, database, settings, worker } = this.#session;
    return {
      pid,
      startedAt: this.startedAt,
      count,
      starting: this.#stage === 'starting' ? true : undefined,
      type: worker,
      user: user === '' ? undefined : user,
      database: database.name === '' ? undefined : database.name,
      application: settings.string('application_name'),
      host: worker === undefined ? (this.peer?.address ?? '[local]') : undefined,
      port: this.peer?.port,
      activity: this.#activity(),
      xid: this.#xid(),
      queryId: this.#queryId(),
    };
  }

  #xid(): number {
    // Not there while the session starts.
    const block = this.#session.block as Session['block'] | undefined;
    if (block?.failed === true) return this.#failedXid;
    return block?.running === true && block.tx.topXid !== 0 ? xidFromFull(block.tx.topXid) : 0;
  }

  #queryId(): string | undefined {
    // Not there while the session starts.
    const runner = this.#session.runner as Session['runner'] | undefined;
    const statements = runner?.functions.statements;
    const id = this.text === undefined ? 0n : (statements?.queryId(statements.current) ?? 0n);
    return id === 0n ? undefined : String(id);
  }

  /** What the title of PostgreSQL's process would say. */
  #activity(): string {
    const { running } = this;
    if (running !== undefined) return typeof running === 'string' ? running : activityTag(running);
    if (this.#stage !== 'begun') return this.#stage === 'starting' ? '' : this.#stage;
    return this.#session.block.idleState;
  }
}

function longWaitText(state: LongWait['state'], lock: string): string {
  switch (state) {
    case 'acquired':
      return `acquired ${lock}`;
    case 'still waiting':
      return `still waiting for ${lock}`;
    case 'avoided deadlock':
      return `avoided deadlock for ${lock} by rearranging queue order`;
    case 'detected deadlock':
      return `detected deadlock while waiting for ${lock}`;
  }
}

/** `0:00:01.234` */
function sessionTime(ms: number): string {
  const seconds = Math.floor(ms / MS_PER_SECOND);
  const two = (n: number): string => String(n).padStart(2, '0');
  const rest = String(Math.floor(ms % MS_PER_SECOND)).padStart(3, '0');
  return `${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}.${rest}`;
}
