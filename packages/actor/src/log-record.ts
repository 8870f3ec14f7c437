/**
 * A line of the server's log on its way from the role that has something to say to the logger, which alone writes.
 */
export type LogLevel = 'DEBUG' | 'INFO' | 'NOTICE' | 'WARNING' | 'ERROR' | 'LOG' | 'FATAL' | 'PANIC';

/** Lines; JSON, because the logger must read what any version sends. */
export const LOG_SUBJECT = 'logger.log';
/** The logger answers requests on this subject while it listens. */
export const LOGGER_WHO_SUBJECT = 'logger.who';
/** The logger says so when it stops by order. */
export const LOGGER_GONE_SUBJECT = 'logger.gone';
/** What the logger has got hold of (LogHeard): senders may forget these lines. */
export const LOGGER_HEARD_SUBJECT = 'logger.heard';
/** Asks which files are written to now; answered with a list of [format, path] (JSON). */
export const LOGGER_FILES_SUBJECT = 'logger.files';
/** Asks for new files, as pg_rotate_logfile(): answered with `true` or `false` (JSON). */
export const LOGGER_ROTATE_SUBJECT = 'logger.rotate';

/**
 * Where a record stands among those of its process or session: as record (csvlog, jsonlog), and its first line as text,
 * where DETAIL, STATEMENT and so on are lines of their own.
 */
export interface LogCount {
  readonly record: number;
  readonly line: number;
}

/** Whose line it is, where a session writes it. */
export interface LogSession {
  /** As clients know it (pg_backend_pid()). */
  readonly pid: number;
  /** Wall clock, microseconds since 1970. */
  readonly startedAt: number;
  readonly count: LogCount;
  readonly user?: string | undefined;
  readonly database?: string | undefined;
  readonly application?: string | undefined;
  /** `[local]` through the Unix socket. */
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  /** backend_type of what is no client's. */
  readonly type?: string | undefined;
  /** It is not known yet what the client wants. */
  readonly starting?: boolean | undefined;
  /** What it does, as the process title says it: `SELECT`, `idle in transaction`. */
  readonly activity?: string | undefined;
  readonly virtualXid?: string | undefined;
  /** 64 bits with a sign, decimal. */
  readonly queryId?: string | undefined;
  /** Low 32 bits; 0: none. */
  readonly xid?: number | undefined;
}

/** What a line has beside its message. */
export interface LogFields {
  readonly sqlstate?: string | undefined;
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  /** CONTEXT */
  readonly where?: string | undefined;
  /** The statement that failed. */
  readonly statement?: string | undefined;
  /** 1-based character index into the statement. */
  readonly position?: number | undefined;
  /** log_error_verbosity = verbose: the SQLSTATE stands before the message. */
  readonly verbose?: boolean | undefined;
  readonly session?: LogSession | undefined;
}

export interface LogRecord {
  /** Wall clock, microseconds since 1970. */
  readonly at: number;
  readonly pid: number;
  /** `walwriter`, `backend-3`. */
  readonly from: string;
  /** When the process started; with `pid` its identity. Microseconds since 1970. */
  readonly since: number;
  readonly count: LogCount;
  readonly level: LogLevel;
  readonly message: string;
  readonly fields?: LogFields | undefined;
}

export interface LogHeard {
  /** Which logger: another one has not heard what this one has. */
  readonly logger: string;
  /** Of each process, by `logSender`, the number of the last line that is written or given up. */
  readonly heard: Readonly<Record<string, number>>;
}

/** What a process is known by. */
export function logSender({ since, pid }: Pick<LogRecord, 'since' | 'pid'>): string {
  return `${since}-${pid}`;
}

/** What log_min_messages compares by, in rising order (log.c: LOG lies between ERROR and FATAL). */
const LEVELS: readonly LogLevel[] = ['DEBUG', 'INFO', 'NOTICE', 'WARNING', 'ERROR', 'LOG', 'FATAL', 'PANIC'];

/** Does `least`, a value of log_min_messages or log_min_error_statement, let lines of this level through? */
export function logLevelWanted(level: LogLevel, least: string): boolean {
  const upper = least.toUpperCase();
  const floor = upper.startsWith('DEBUG') ? 'DEBUG' : upper;
  return LEVELS.indexOf(level) >= LEVELS.indexOf(floor as LogLevel);
}

/** What is written below a message, each on a line of its own. */
export const LOG_CONTINUATIONS = [
  ['DETAIL', 'detail'],
  ['HINT', 'hint'],
  ['CONTEXT', 'where'],
  ['STATEMENT', 'statement'],
] as const;

/** Gives every record of one process or session its place. */
export class LogCounter {
  #records = 0;
  #lines = 0;

  next(fields: LogFields | undefined): LogCount {
    const count = { record: this.#records + 1, line: this.#lines + 1 };
    this.#records++;
    this.#lines++;
    for (const [, field] of LOG_CONTINUATIONS) if (fields?.[field] !== undefined) this.#lines++;
    return count;
  }
}
