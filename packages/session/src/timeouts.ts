/**
 * A session's timeouts (timeout.c): statement_timeout, lock_timeout, and those of a client that says nothing,
 * idle_in_transaction_session_timeout and idle_session_timeout.
 *
 * A timer exists only while its parameter is set and what it limits is under way.
 */
import type { Timer, Timers } from '@pgtroupe/actor/env';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import type { SessionSettings } from './settings.ts';

export interface TimeoutActions {
  /** Ends the statement under way. */
  interrupt(error: PgError): void;
  /** Ends the session. */
  fatal(error: PgError): void;
}

type Limit = 'statement_timeout' | 'lock_timeout' | 'idle_in_transaction_session_timeout' | 'idle_session_timeout';

export class SessionTimeouts {
  readonly #timers: Timers;
  readonly #settings: SessionSettings;
  readonly #actions: TimeoutActions;
  #statement: Timer | undefined;
  #lock: Timer | undefined;
  #idle: Timer | undefined;
  /** Waits within waits count as one. */
  #lockWaits = 0;

  constructor(timers: Timers, settings: SessionSettings, actions: TimeoutActions) {
    this.#timers = timers;
    this.#settings = settings;
    this.#actions = actions;
  }

  #after(limit: Limit, act: () => void): Timer | undefined {
    const ms = this.#settings.number(limit);
    return ms > 0 ? this.#timers.after(ms, act, { background: true }) : undefined;
  }

  /** A statement begins, or goes on with its next message. */
  statementStarted(): void {
    this.#statement ??= this.#after('statement_timeout', () => {
      this.#statement = undefined;
      this.#actions.interrupt(ereport(ERRCODE.QUERY_CANCELED, 'canceling statement due to statement timeout'));
    });
  }

  statementEnded(): void {
    this.#statement?.cancel();
    this.#statement = undefined;
  }

  lockWait(begins: boolean): void {
    this.#lockWaits += begins ? 1 : -1;
    if (begins && this.#lockWaits === 1) {
      this.#lock = this.#after('lock_timeout', () => {
        this.#lock = undefined;
        this.#actions.interrupt(ereport(ERRCODE.LOCK_NOT_AVAILABLE, 'canceling statement due to lock timeout'));
      });
    } else if (this.#lockWaits === 0) {
      this.#lock?.cancel();
      this.#lock = undefined;
    }
  }

  /** ReadyForQuery was said: it is the client's turn. */
  idle(inTransaction: boolean): void {
    this.#idle = inTransaction
      ? this.#after('idle_in_transaction_session_timeout', () =>
          this.#actions.fatal(
            ereport(
              ERRCODE.IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
              'terminating connection due to idle-in-transaction timeout',
              { severity: 'FATAL' },
            ),
          ),
        )
      : this.#after('idle_session_timeout', () =>
          this.#actions.fatal(
            ereport(ERRCODE.IDLE_SESSION_TIMEOUT, 'terminating connection due to idle-session timeout', {
              severity: 'FATAL',
            }),
          ),
        );
  }

  /** The client sent something. */
  busy(): void {
    this.#idle?.cancel();
    this.#idle = undefined;
  }

  /** The session ends. */
  clear(): void {
    this.statementEnded();
    this.busy();
    this.#lock?.cancel();
    this.#lock = undefined;
  }
}
