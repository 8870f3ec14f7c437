/**
 * A background worker: runs one module that a user wrote.
 *
 * Purpose    work beside clients, in a process of its own, with a session of its own if it names a database.
 * Promise    none: what its module does is the module's affair. Its session is like any other's.
 * Started by the postmaster: as `pgtroupe.background_workers` says, or by pgtroupe_launch_worker().
 * Stops      when main returns (0, it is forgotten); when main throws, or its session is ended (1); on `stop`, smart and
 *            fast, at once unless it has a handler, which then has role_timeout; immediate: at once.
 * Its death  concerns nobody: its transaction is rolled back; it is started again by its restart interval.
 */
import type { WorkerRegistration } from '@pgtroupe/actor/background-worker';
import type { Env, Timer } from '@pgtroupe/actor/env';
import { EXIT_FATAL, EXIT_STOPPED } from '@pgtroupe/actor/lifecycle';
import { LogCounter, type LogFields, type LogLevel } from '@pgtroupe/actor/log-record';
import type { Connection } from '@pgtroupe/actor/net';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, PgError } from '@pgtroupe/common/ereport';
import { startupPacket } from '@pgtroupe/libpq/startup';
import { loadMain } from './module.ts';
import type { BackgroundWorker } from './worker.ts';
import { SessionError, WorkerSession } from './worker-session.ts';

export interface WorkerProcessOptions {
  connect(startup: Uint8Array): Promise<Connection>;
  /** Ends the process when its log lines are on their way. */
  leave(code: number): void;
  readonly osPid: number;
}

export class WorkerProcess {
  readonly #env: Env;
  readonly #registration: WorkerRegistration;
  readonly #options: WorkerProcessOptions;
  readonly #startedAt: number;
  readonly #counter = new LogCounter();
  #session: WorkerSession | undefined;
  #latch = false;
  #sleeping: { readonly timer: Timer; wake(isSet: boolean): void } | undefined;
  #terminating = false;
  #onTerminate: (() => void) | undefined;
  #onReload: () => void = () => {};
  #leaving = false;

  constructor(env: Env, registration: WorkerRegistration, options: WorkerProcessOptions) {
    this.#env = env;
    this.#registration = registration;
    this.#options = options;
    this.#startedAt = env.clock.wallMicros();
  }

  async run(): Promise<void> {
    const { module, database, role } = this.#registration;
    try {
      const main = await loadMain(module);
      if (database !== undefined) {
        const who = role === undefined ? { database } : { user: role, database };
        this.#session = new WorkerSession(await this.#options.connect(startupPacket(who)));
        this.#session.onEnd = error => this.#failed(error);
        await this.#session.begun();
      }
      await main(this.#handed());
      this.#leave(EXIT_STOPPED);
    } catch (error) {
      this.#failed(error);
    }
  }

  /** SIGTERM. Never resolves: the process ends by itself. */
  stop(): Promise<void> {
    if (this.#onTerminate === undefined) {
      const { type } = this.#registration;
      const message = `terminating background worker "${type}" due to administrator command`;
      this.#log('FATAL', message, { sqlstate: ERRCODE.ADMIN_SHUTDOWN });
      this.#leave(EXIT_FATAL);
    } else if (!this.#terminating) {
      this.#terminating = true;
      this.#onTerminate();
      this.#sleeping?.wake(true);
    }
    return new Promise(() => {});
  }

  reloaded(): void {
    this.#onReload();
  }

  #failed(error: unknown): void {
    if (this.#leaving) return;
    // What the server said is in its log.
    if (!(error instanceof SessionError) || error.sqlstate === ERRCODE.CONNECTION_FAILURE) {
      const { message } = error as Error;
      const known = error instanceof PgError ? error : undefined;
      this.#log('ERROR', message === undefined ? String(error) : message, {
        sqlstate: known?.sqlstate ?? ERRCODE.INTERNAL_ERROR,
        detail: known?.fields.detail,
        hint: known?.fields.hint,
        where: known === undefined && error instanceof Error ? error.stack : undefined,
      });
    }
    this.#leave(EXIT_FATAL);
  }

  #leave(code: number): void {
    if (this.#leaving) return;
    this.#leaving = true;
    this.#session?.close();
    this.#options.leave(code);
  }

  #log(level: LogLevel, message: string, fields: LogFields): void {
    const { type } = this.#registration;
    const session = { pid: this.#options.osPid, startedAt: this.#startedAt, count: this.#counter.next(fields), type };
    this.#env.log.write(level, message, { ...fields, session });
  }

  #sleep(ms: number): Promise<boolean> {
    return new Promise(resolve => {
      const wake = (isSet: boolean): void => {
        timer.cancel();
        this.#sleeping = undefined;
        this.#latch = false;
        resolve(isSet);
      };
      const timer = this.#env.timers.after(ms, () => wake(false));
      this.#sleeping = { timer, wake };
      if (this.#latch || this.#terminating) wake(true);
    });
  }

  #handed(): BackgroundWorker {
    const { name, type, argument, database } = this.#registration;
    const isTerminating = (): boolean => this.#terminating;
    return {
      name,
      type,
      argument,
      database,
      get terminating() {
        return isTerminating();
      },
      query: (text, values) => {
        if (this.#session === undefined) {
          const message = 'database connection requirement not indicated during registration';
          return Promise.reject(ereport(ERRCODE.PROGRAM_LIMIT_EXCEEDED, message));
        }
        return this.#session.query(text, values);
      },
      sleep: ms => this.#sleep(ms),
      setLatch: () => {
        this.#latch = true;
        this.#sleeping?.wake(true);
      },
      onTerminate: handler => {
        this.#onTerminate = handler;
      },
      onReload: handler => {
        this.#onReload = handler;
      },
      log: (level, message, more = {}) => this.#log(level, message, more),
      exit: code => {
        this.#leave(code);
        throw new Ended();
      },
    };
  }
}

/** Unwinds a module that called `exit`. */
class Ended extends Error {
  override readonly name = 'Ended';
}
