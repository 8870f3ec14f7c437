/**
 * A client session: an actor inside a backend instance, PostgreSQL's backend for one connection.
 *
 * Purpose: speaks the frontend/backend protocol with one client and runs its statements.
 * Promise: replies come in the order of requests, one write per turn; a client that stops reading
 *   stops its query, not the memory's bound; an error never takes more than its transaction (ERROR) or
 *   its session (FATAL) with it.
 * Started by: the instance, when the postmaster hands it a client.
 * Stops: the client says Terminate or goes away; a protocol violation; pg_terminate_backend; shutdown.
 *   Whatever transaction was open is rolled back.
 * Its death means nothing to other sessions.
 *
 * A session ends where its statement ends. What is under way when the client goes away is told to stop and
 * unwinds as after any error, only then is the transaction undone: nobody rolls back behind the back of
 * code that still works on it, and a COMMIT that is on its way is answered first.
 *
 * The loop takes one message at a time. Messages behind it wait, so pipelining holds until Sync by
 * itself. After an error in the extended protocol everything up to Sync is skipped.
 */
import type { Arrival, Connection } from '@pgtroupe/actor/net';
import { clipName } from '@pgtroupe/adt/name';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import type { Oid } from '@pgtroupe/common/ids';
import { ereport, type ErrorFields, PgError, type Severity } from '@pgtroupe/common/ereport';
import { exhausted, putReport, type Report, reportOf } from '@pgtroupe/libpq/error-response';
import { FrameReader } from '@pgtroupe/libpq/frame-reader';
import { BodyReader, invalidMessageFormat, OutBuffer } from '@pgtroupe/libpq/pqformat';
import { BACKEND, FRONTEND } from '@pgtroupe/libpq/protocol';
import { parseStartupPacket } from '@pgtroupe/libpq/startup';
import type { LockOwner } from '@pgtroupe/instance/instance-locks';
import type { WaitEvent } from '@pgtroupe/instance/wait-event';
import { authenticate } from './auth.ts';
import type { BackendInstance } from './instance.ts';
import { SessionLog } from './session-log.ts';
import { adminShutdown, canceled, connectionLost, noUserName, reservedSlots } from './session-ends.ts';
import { putAuthenticationOk, putBackendKeyData, putNegotiation } from './startup-answers.ts';
import { ReportedParameters } from './reported-parameters.ts';
import { SessionActivity } from './activity.ts';
import { sessionOwner } from './session-owner.ts';
import { sleepInterruptibly } from './sleep.ts';
import { SessionUser } from './session-user.ts';
import { type Remark, SessionSettings } from './settings.ts';
import { StatementRunner } from './statement-runner.ts';
import { SessionTimeouts } from './timeouts.ts';
import { TransactionBlock } from './transaction-block.ts';
import type { BackendSession } from '@pgtroupe/commands/command-runner';

/** Output gathered beyond this is written in the middle of a result. */
const WRITE_BYTES = 64 * 1024;

type State =
  | { readonly kind: 'starting' }
  /** Waiting for a message. */
  | { readonly kind: 'idle' }
  /** A message is being worked on. */
  | { readonly kind: 'busy' }
  /** The client is gone; what was being worked on unwinds. */
  | { readonly kind: 'closing' }
  | { readonly kind: 'closed' };

export class Session implements BackendSession {
  readonly instance: BackendInstance;
  readonly pid: number;
  /** What a CancelRequest must know. */
  readonly secret: number;
  readonly owner: LockOwner;
  readonly out = new OutBuffer();
  readonly settings: SessionSettings;
  readonly timeouts: SessionTimeouts;
  readonly log: SessionLog;
  readonly activity: SessionActivity;
  user = '';
  /** The postmaster was told that this client is who it says. */
  authenticated = false;
  /** Who logged in; 0 before. */
  roleOid: Oid = 0 as Oid;
  database = { oid: 0, name: '' };
  block!: TransactionBlock;
  runner!: StatementRunner;
  readonly #connection: Connection;
  readonly #initial: Uint8Array;
  readonly #reserved: boolean;
  /** backend_type, of a background worker's session. */
  readonly worker: string | undefined;
  /** What it does ends when somebody waits for its lock longer than deadlock_timeout. */
  yields = false;
  progress: BackendSession['progress'];
  readonly #reader = new FrameReader();
  readonly #reported: ReportedParameters;
  #state: State = { kind: 'starting' };
  /** An extended-protocol error: messages are skipped until Sync. */
  #skipUntilSync = false;
  #drained: (() => void) | undefined;
  #mustDrain = false;
  /** There is a notice among what is gathered. */
  #noticed = false;
  /** COPY FROM STDIN takes the messages over. */
  #copyIn: ((message: FrameReader) => void) | undefined;

  constructor(instance: BackendInstance, arrival: Arrival, pid: number, secret: number) {
    this.instance = instance;
    this.pid = pid;
    this.secret = secret;
    this.owner = sessionOwner(this, pid);
    this.settings = new SessionSettings(instance.settings);
    this.#reported = new ReportedParameters(this.out, this.settings);
    this.timeouts = new SessionTimeouts(instance.env.timers, this.settings, {
      interrupt: error => {
        if (this.#state.kind === 'busy') this.#interrupt(error);
      },
      fatal: error => this.fatal(error),
    });
    this.#connection = arrival.connection;
    this.log = new SessionLog(this, arrival.connection.peer);
    this.activity = new SessionActivity(this);
    this.#initial = arrival.initial;
    this.#reserved = arrival.reserved;
    this.worker = arrival.worker;
  }

  /** Takes the client from its start-up packet to ReadyForQuery. */
  async start(): Promise<void> {
    this.#connection.onData = chunk => this.#received(chunk);
    this.#connection.onEnd = () => this.#clientIsGone();
    this.#connection.onDrain = () => {
      this.#mustDrain = false;
      const drained = this.#drained;
      this.#drained = undefined;
      drained?.();
    };
    if (this.worker === undefined) this.log.connectionReceived();
    try {
      await this.#startUp();
    } catch (error) {
      this.fatal(error);
      return;
    }
    if (this.#closed) return;
    this.#readyForQuery();
    this.#state = { kind: 'idle' };
    this.#pump();
  }

  /** Nothing is sent to the client or taken from it any more. */
  get #closed(): boolean {
    return this.#state.kind === 'closed' || this.#state.kind === 'closing';
  }

  /** Set by a cancel or terminate; looked at wherever a statement can stop. */
  get interrupt(): PgError | undefined {
    return this.owner.interrupt;
  }

  set interrupt(error: PgError | undefined) {
    this.owner.interrupt = error;
  }

  /** CHECK_FOR_INTERRUPTS */
  checkForInterrupts(): void {
    if (this.owner.interrupt !== undefined) throw this.owner.interrupt;
  }

  // ---- start-up ------------------------------------------------------------------------------------

  async #startUp(): Promise<void> {
    const initial = Buffer.from(this.#initial.buffer, this.#initial.byteOffset, this.#initial.byteLength);
    const parsed = parseStartupPacket(initial);
    if (parsed === undefined || parsed.packet.kind !== 'startup') {
      throw ereport(ERRCODE.PROTOCOL_VIOLATION, 'incomplete startup packet', { severity: 'FATAL' });
    }
    const { parameters, unknownOptions, minor } = parsed.packet;
    if (initial.length > parsed.lengthBytes) this.#reader.push(Buffer.from(initial.subarray(parsed.lengthBytes)));
    const user = clipped(parameters.get('user') ?? '');
    // A background worker that names no role is the bootstrap superuser.
    if (user === '' && this.worker === undefined) {
      throw noUserName();
    }
    const databaseName = clipped(parameters.get('database') || user);
    if (parameters.get('replication') !== undefined && parameters.get('replication') !== 'false') {
      throw ereport(ERRCODE.FEATURE_NOT_SUPPORTED, 'replication connections are not supported by pgtroupe yet', {
        severity: 'FATAL',
      });
    }
    this.user = user;
    this.database = { oid: 0, name: databaseName };
    if (this.worker === undefined) {
      authenticate(this.instance.hba, { address: this.#connection.peer?.address, database: databaseName, user });
      this.log.connectionAuthorized(parameters.get('application_name'));
    }
    await this.instance.whenAttached();
    const login = await this.instance.logIn(user, databaseName, this.worker);
    if (this.#closed) return;
    this.user = login.user;
    if (this.#reserved && !login.superuser) {
      throw reservedSlots();
    }
    this.roleOid = login.userOid;
    this.database = { oid: login.database, name: databaseName };
    const { userOid: oid, superuser } = login;
    this.settings.authenticated(new SessionUser({ oid, name: login.user, superuser }), login.locale);
    this.settings.fromStartup(parameters);
    this.instance.admitted(this);
    this.block = new TransactionBlock(this.instance, this.owner, login.database, {
      countsTracked: () => this.settings.bool('track_counts'),
      isolation: () => this.settings.isolation('default_transaction_isolation'),
      readOnly: () => this.settings.bool('default_transaction_read_only'),
      messageMicros: () => this.runner.functions.messageMicros,
      synchronousCommit: () => this.settings.string('synchronous_commit') !== 'off',
    });
    this.runner = new StatementRunner(this, login);
    await this.runner.analysis.lateStartup();

    if (minor > 0 || unknownOptions.length > 0) putNegotiation(this.out, unknownOptions);
    putAuthenticationOk(this.out);
    await this.runner.analysis.storedSettings();
    this.log.begun();
    this.activity.connected();
    this.#reported.begin();
    this.settings.onSeed = seed => this.runner.functions.setseed(seed);
    putBackendKeyData(this.out, this.pid, this.secret);
  }

  /**
   * Something that no client asked for (autovacuum); it is shown as `text`, and ends like a statement when it is cancelled
   * or its session terminated. Answers whether it went well; an error has been logged. idle -> busy -> idle, closed
   */
  async work(text: string, job: () => Promise<void>): Promise<boolean> {
    if (this.#state.kind !== 'idle') return false;
    this.#state = { kind: 'busy' };
    this.settings.followConfiguration();
    this.activity.begun();
    let done = false;
    const attempt = async (): Promise<void> => {
      try {
        this.runner.functions.beginStatement(text);
        this.block.startCommand();
        await job();
        await this.block.finishCommand();
        done = true;
      } catch (error) {
        this.#failed(error);
      }
      this.#readyForQuery();
    };
    await attempt().then(
      () => this.#settled(undefined),
      (error: unknown) => this.#settled(error),
    );
    return done;
  }

  // ---- messages in -----------------------------------------------------------------------------------

  #received(chunk: Uint8Array): void {
    if (this.#closed) return;
    this.#reader.push(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength));
    if (this.#copyIn !== undefined) this.#pumpCopy();
    else if (this.#state.kind === 'idle') this.#pump();
    else if (this.#reader.pendingBytes > WRITE_BYTES) this.#connection.pause();
  }

  /** Works through what has arrived. A message that must be awaited makes the session busy; the
   *  rest waits for it. */
  #pump(): void {
    try {
      while (this.#state.kind === 'idle' && this.#reader.next()) {
        this.instance.messages++;
        this.settings.followConfiguration();
        this.timeouts.busy();
        const work = this.#handle(this.#reader.type, this.#reader.body) ?? this.catchUp();
        if (work === undefined) continue;
        this.#state = { kind: 'busy' };
        work.then(
          () => this.#settled(undefined),
          (error: unknown) => this.#settled(error),
        );
        return;
      }
    } catch (error) {
      this.fatal(error);
    }
  }

  /** The message under way is done with; `fatal` is what ends the session. busy -> idle, closing -> closed */
  #settled(fatal: unknown): void {
    if (this.#state.kind === 'closing') return this.#end();
    const behind = fatal === undefined ? this.catchUp() : undefined;
    if (behind !== undefined) {
      behind.then(
        () => this.#settled(undefined),
        (error: unknown) => this.#settled(error),
      );
      return;
    }
    this.#state = { kind: 'idle' };
    const error = fatal ?? (this.interrupt?.severity === 'FATAL' ? this.interrupt : undefined);
    if (error !== undefined) return this.fatal(error);
    this.#connection.resume();
    this.#pump();
  }

  /** One message. Errors of statements are answered here; what is thrown ends the session. */
  #handle(type: number, body: Buffer): Promise<void> | undefined {
    if (this.#skipUntilSync && type !== FRONTEND.Sync && type !== FRONTEND.Terminate) return undefined;
    switch (type) {
      case FRONTEND.Query:
        return this.#guardQuery(body);
      case FRONTEND.Parse:
      case FRONTEND.Bind:
      case FRONTEND.Describe:
      case FRONTEND.Execute:
      case FRONTEND.Close:
      case FRONTEND.Flush:
        return this.#guardExtended(type, body);
      case FRONTEND.Sync:
        this.#skipUntilSync = false;
        return this.#sync(body);
      case FRONTEND.Terminate:
        this.close(true);
        return undefined;
      case FRONTEND.CopyData:
      case FRONTEND.CopyDone:
      case FRONTEND.CopyFail:
        // Left over from a COPY that failed: PostgreSQL ignores them too.
        return undefined;
      case FRONTEND.FunctionCall:
        this.#report(
          ereport(ERRCODE.FEATURE_NOT_SUPPORTED, 'the function call protocol is not supported by pgtroupe yet'),
        );
        this.#readyForQuery();
        return undefined;
      default:
        throw ereport(ERRCODE.PROTOCOL_VIOLATION, `invalid frontend message type ${type}`, { severity: 'FATAL' });
    }
  }

  async #guardQuery(body: Buffer): Promise<void> {
    this.activity.begun();
    try {
      const reader = new BodyReader(body);
      const text = reader.cstringBytes();
      reader.done();
      await this.runner.simpleQuery(text);
    } catch (error) {
      this.#failed(error);
    }
    this.log.running = undefined;
    await this.#untilDrained();
    if (this.owner.releasing !== undefined) await this.owner.releasing;
    this.#readyForQuery();
  }

  #guardExtended(type: number, body: Buffer): Promise<void> | undefined {
    try {
      const work = this.#extended(type, body);
      if (work === undefined) return undefined;
      return work.catch((error: unknown) => this.#extendedFailed(error));
    } catch (error) {
      this.#extendedFailed(error);
      return undefined;
    }
  }

  #extended(type: number, body: Buffer): Promise<void> | undefined {
    const reader = new BodyReader(body);
    this.activity.begun();
    this.timeouts.statementStarted();
    switch (type) {
      case FRONTEND.Parse:
        return this.runner.parse(reader);
      case FRONTEND.Bind:
        return this.runner.bind(reader);
      case FRONTEND.Describe:
        return this.runner.describe(reader);
      case FRONTEND.Execute:
        return this.runner.execute(reader);
      case FRONTEND.Flush:
        reader.done();
        if (this.owner.releasing !== undefined) return this.owner.releasing.then(() => this.write());
        this.write();
        return undefined;
      default:
        return this.runner.close(reader);
    }
  }

  #extendedFailed(error: unknown): void {
    this.#failed(error);
    this.#skipUntilSync = true;
    // At once: a client may wait for it before it sends Sync.
    this.write();
  }

  #sync(body: Buffer): Promise<void> | undefined {
    const work = body.length > 0 ? Promise.reject(invalidMessageFormat()) : this.runner.sync();
    if (work === undefined && this.owner.releasing === undefined) {
      this.#readyForQuery();
      return undefined;
    }
    return this.#finishSync(work);
  }

  async #finishSync(work: Promise<void> | undefined): Promise<void> {
    try {
      await work;
    } catch (error) {
      this.#failed(error);
    }
    if (this.owner.releasing !== undefined) await this.owner.releasing;
    this.#readyForQuery();
  }

  /** A statement failed: the client is told, the transaction is undone or waits for ROLLBACK. */
  #failed(thrown: unknown): void {
    const error = exhausted(thrown) ?? thrown;
    this.out.discardUnfinished();
    const { functions } = this.runner;
    // A text may have failed before it was known what it says.
    functions.queryString = this.log.statementText() ?? functions.queryString;
    const ends = error instanceof PgError && error.severity !== 'ERROR';
    if (!ends) this.log.thrown(error);
    this.activity.failed(error);
    this.block.fail();
    if (ends) throw error;
    putReport(this.out, reportOf(error));
  }

  #report(error: unknown): void {
    this.log.thrown(error);
    putReport(this.out, reportOf(error));
  }

  // ---- messages out ------------------------------------------------------------------------------------

  /** What came of setting a parameter. */
  /** What was got ahead of need is nobody's, or another's by now. */
  sharedMemoryLost(): void {
    // Not there while the session starts.
    const runner = this.runner as StatementRunner | undefined;
    runner?.execution.env.forgetOids();
    runner?.functions.sequences.forgetAhead();
  }

  remark(about: Remark | undefined): void {
    if (about === undefined) return;
    const { severity, message } = about;
    const sqlstate = about.sqlstate ?? (severity === 'WARNING' ? ERRCODE.WARNING : ERRCODE.SUCCESSFUL_COMPLETION);
    this.notice(severity, sqlstate, message);
  }

  notice(severity: Severity, sqlstate: string, message: string, fields?: ErrorFields): void {
    this.log.report({ severity, sqlstate, message, fields });
    this.tell(severity, sqlstate, message, fields);
  }

  /** For the client alone. */
  tell(severity: Severity, sqlstate: string, message: string, fields?: ErrorFields): void {
    if (!this.settings.noticeWanted(severity)) return;
    this.out.between(() => putReport(this.out, { severity, sqlstate, message, fields }));
    this.#noticed = true;
  }

  #readyForQuery(): void {
    if (this.#closed) return;
    this.interrupt = this.interrupt?.severity === 'FATAL' ? this.interrupt : undefined;
    this.#reported.tellChanged();
    this.out.begin(BACKEND.ReadyForQuery);
    this.out.byte(this.block.indicator.charCodeAt(0));
    this.out.end();
    this.write();
    this.log.idle();
    this.activity.ready();
    this.timeouts.statementEnded();
    this.timeouts.idle(this.block.inBlock);
  }

  /** Hands everything gathered to the connection. */
  write(): void {
    this.#noticed = false;
    if (this.out.pendingBytes === 0 || this.#closed) return;
    for (const bytes of this.out.take()) if (!this.#connection.write(bytes)) this.#mustDrain = true;
  }

  /** In the middle of a result: writes when there is much. Returns false when the client must catch
   *  up first (`untilDrained`). */
  writeSome(): boolean {
    if (this.out.pendingBytes >= WRITE_BYTES) this.write();
    return !this.#mustDrain;
  }

  untilDrained(): Promise<void> {
    return this.#untilDrained();
  }

  /** Between messages and statements: who sends and does not read is not answered without end. */
  catchUp(): Promise<void> | undefined {
    return this.#closed || this.writeSome() ? undefined : this.#untilDrained();
  }

  async #untilDrained(): Promise<void> {
    if (!this.#mustDrain || this.#closed) return;
    if (this.interrupt?.severity !== 'FATAL') {
      await new Promise<void>(resolve => {
        this.#drained = resolve;
      });
    }
    if (this.interrupt?.severity === 'FATAL') throw this.interrupt;
  }

  // ---- COPY FROM STDIN -------------------------------------------------------------------------------------

  /** Until the returned function is called, CopyData and its kin go to `receive`; `resumeInput` begins with those
   *  that are here already. */
  takeCopyMessages(receive: (message: FrameReader) => void): () => void {
    this.#copyIn = receive;
    return () => {
      this.#copyIn = undefined;
    };
  }

  pauseInput(): void {
    this.#connection.pause();
  }

  resumeInput(): void {
    this.#connection.resume();
    if (this.#copyIn !== undefined) this.#pumpCopy();
  }

  /** The receiver stops the stream by clearing `copyIn` from within. */
  #pumpCopy(): void {
    try {
      while (this.#copyIn !== undefined && this.#reader.next()) this.#copyIn(this.#reader);
    } catch (error) {
      this.fatal(error);
    }
  }

  // ---- ends ------------------------------------------------------------------------------------------------

  /** CancelRequest, pg_cancel_backend: the statement under way ends with 57014. */
  cancel(): void {
    // Who is to be terminated is not merely cancelled.
    if (this.#state.kind !== 'busy' || this.interrupt?.severity === 'FATAL') return;
    this.#interrupt(canceled(this.worker));
  }

  /** The process has no more room for what the statement gathers: it ends. */
  outOfMemory(error: PgError): void {
    if (this.#state.kind === 'busy' && this.interrupt === undefined) this.#interrupt(error);
  }

  /** pg_terminate_backend, shutdown. */
  terminate(error = adminShutdown(this.worker)): void {
    if (this.#state.kind === 'busy') this.#interrupt(error);
    else this.fatal(error);
  }

  #interrupt(error: PgError): void {
    this.interrupt = error;
    this.owner.waiting?.cancel(error);
    this.runner.interrupted();
    // A client that does not read must not keep its session from ending.
    if (error.severity === 'FATAL') this.#drained?.();
  }

  /** Makes this session's transaction the current one, before each synchronous stretch. */
  enter(): void {
    this.checkForInterrupts();
    this.instance.toast.reader = this.runner.toast;
    this.instance.kernel.wal.producer = this.block.producer;
    this.block.tx.enter();
  }

  /** Between steps of a long command: lets others run, the walwriter too, and stops when it was cancelled. */
  async breathe(): Promise<void> {
    await this.turn();
    while (this.block.producer.mustWait) await this.block.producer.wait();
    // Notices are sent at once, also those of a statement that answers no rows.
    if (this.#noticed) this.write();
    await this.#untilDrained();
  }

  /** Lets others have their turn, and stops when it was cancelled. */
  async turn(): Promise<void> {
    await new Promise<void>(resolve => this.instance.env.timers.soon(resolve));
    this.checkForInterrupts();
  }

  sleep(ms: number, waitEvent: WaitEvent): Promise<void> {
    return sleepInterruptibly(this.instance.env, this.owner, ms, waitEvent);
  }

  /** It takes statements, or did: it is a session that others may know of. */
  get begun(): boolean {
    return (this.runner as StatementRunner | undefined) !== undefined && this.#state.kind !== 'starting';
  }

  /** What it waits for. */
  get waitEvent(): WaitEvent | undefined {
    if (this.#state.kind === 'idle') return this.worker === undefined ? 'Client/ClientRead' : 'Extension/Extension';
    if (this.#drained !== undefined) return 'Client/ClientWrite';
    return this.owner.waitEvent ?? (this.#copyIn === undefined ? undefined : 'Client/ClientRead');
  }

  /** Nothing is going on and no transaction is open: a smart shutdown may take it. */
  get idleOutsideTransaction(): boolean {
    return this.#state.kind === 'idle' && !this.block.inBlock;
  }

  /** Tells the client why and closes. */
  fatal(error: unknown): void {
    if (this.#closed) return;
    this.activity.ends(error);
    const report = reportOf(error);
    const ending: Report = { ...report, severity: report.severity === 'PANIC' ? 'PANIC' : 'FATAL' };
    this.log.report(ending);
    putReport(this.out, ending);
    this.write();
    this.close();
  }

  /** It did not say that it goes. */
  #clientIsGone(): void {
    this.activity.abandoned();
    if (this.#state.kind === 'busy') this.log.report(reportOf(connectionLost()));
    else if (this.#state.kind === 'idle' && this.block.inBlock) {
      this.log.report({
        severity: 'LOG',
        sqlstate: ERRCODE.CONNECTION_FAILURE,
        message: 'unexpected EOF on client connection with an open transaction',
      });
    }
    this.close();
  }

  /** idle, starting -> closed, busy -> closing */
  close(saidGoodbye = false): void {
    if (this.#closed) return;
    const { kind } = this.#state;
    this.timeouts.clear();
    if (saidGoodbye) this.#connection.leave();
    else this.#connection.end();
    if (kind === 'busy') {
      this.#state = { kind: 'closing' };
      this.#interrupt(connectionLost());
    } else if (kind === 'starting') {
      // It holds nothing yet, and waits for nothing that is its own.
      this.#state = { kind: 'closed' };
      this.instance.ended(this);
    } else this.#end();
  }

  /** Nothing is under way. idle, closing -> closed */
  #end(): void {
    this.#state = { kind: 'closed' };
    this.log.disconnected();
    this.runner.end();
    this.activity.ended();
    this.instance.kernel.locks.releaseAllSession(this.owner);
    this.instance.ended(this);
  }
}

/** No name of a role or database is longer. */
const clipped = (name: string): string => Buffer.from(clipName(Buffer.from(name))).toString();
