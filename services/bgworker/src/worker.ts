/**
 * What a module is given. It exports `main` (or a default export):
 *
 *     import type { BackgroundWorker } from '@pgtroupe/bgworker/worker';
 *
 *     export async function main(worker: BackgroundWorker): Promise<void> {
 *       while (!worker.terminating) {
 *         await worker.query('SELECT refresh_prices()');
 *         await worker.sleep(60_000);
 *       }
 *     }
 *
 * When it returns, the worker is done and not started again (exit code 0). What it throws is logged as an ERROR and ends it
 * with exit code 1, after which it is started again by its restart interval.
 */
import type { LogLevel } from '@pgtroupe/actor/log-record';

/** Values as text, as PostgreSQL writes them. */
export type Row = Readonly<Record<string, string | null>>;

export interface QueryResult {
  /** `INSERT 0 1`; of several statements, the last one's. */
  readonly command: string;
  readonly rows: readonly Row[];
}

export interface BackgroundWorker {
  readonly name: string;
  readonly type: string;
  /** What it was registered with. */
  readonly argument: string;
  /** undefined: it has no session. */
  readonly database: string | undefined;
  /** It was told to end, and has a handler for that. */
  readonly terminating: boolean;
  /**
   * One statement, with values for $1…; without any, also several, in one transaction unless they say otherwise. One after
   * the other, however they are called. An error of the server's is thrown as a PgError, with its `sqlstate`.
   */
  query(text: string, values?: readonly (string | number | boolean | bigint | null)[]): Promise<QueryResult>;
  /** WaitLatch: until the time is over, the latch is set or the worker is to end; true unless the time is over. The latch is
   *  reset then. */
  sleep(ms: number): Promise<boolean>;
  setLatch(): void;
  /**
   * Called when the worker is to end (SIGTERM): at shutdown, and when its process is sent the signal. Without a handler it
   * ends at once, as PostgreSQL's bgworker_die does. With one it has role_timeout for what it still has to do.
   */
  onTerminate(handler: () => void): void;
  /** Called when the configuration was reloaded (SIGHUP). */
  onReload(handler: () => void): void;
  /** A line of the server's log. */
  log(level: LogLevel, message: string, more?: { readonly detail?: string; readonly hint?: string }): void;
  /** Ends the process: 0 means done for good, anything else that it is started again by its restart interval. */
  exit(code: number): never;
}
