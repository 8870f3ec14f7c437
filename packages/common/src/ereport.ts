/**
 * The one error that a client or an operator sees. Everything expected (bad input, a conflict, a
 * full disk) is a PgError with PostgreSQL's SQLSTATE and PostgreSQL's wording: primary message in
 * lower case without a full stop; detail and hint are sentences.
 */
import type { Sqlstate } from './errcodes.ts';

export type Severity = 'NOTICE' | 'WARNING' | 'INFO' | 'LOG' | 'DEBUG' | 'ERROR' | 'FATAL' | 'PANIC';

export interface ErrorFields {
  readonly detail?: string | undefined;
  readonly hint?: string | undefined;
  /** 1-based character (not byte) index into the query text. */
  readonly position?: number | undefined;
  readonly where?: string | undefined;
  readonly schema?: string | undefined;
  readonly table?: string | undefined;
  readonly column?: string | undefined;
  readonly dataType?: string | undefined;
  readonly constraint?: string | undefined;
  /** PostgreSQL's function that raises it, where clients look at that. */
  readonly routine?: string | undefined;
  /** ERROR ends the transaction, FATAL the session, PANIC the process. */
  readonly severity?: 'ERROR' | 'FATAL' | 'PANIC' | undefined;
  readonly cause?: unknown;
}

export class PgError extends Error {
  override readonly name = 'PgError';
  readonly sqlstate: Sqlstate;
  readonly fields: ErrorFields;

  constructor(sqlstate: Sqlstate, message: string, fields: ErrorFields = {}) {
    super(message, { cause: fields.cause });
    this.sqlstate = sqlstate;
    this.fields = fields;
  }

  get severity(): 'ERROR' | 'FATAL' | 'PANIC' {
    return this.fields.severity ?? 'ERROR';
  }
}

/** Builds the error to throw: `throw ereport(ERRCODE.UNDEFINED_TABLE, 'relation "t" does not exist')`. */
export function ereport(sqlstate: Sqlstate, message: string, fields?: ErrorFields): PgError {
  return new PgError(sqlstate, message, fields);
}

/** 0A000 naming the feature; what pgtroupe does not have yet always says so this way. */
export function notSupported(feature: string, fields?: ErrorFields): PgError {
  return new PgError('0A000', `${feature}${NOT_YET}`, fields);
}

const NOT_YET = ' is not supported by pgtroupe yet';

/** Is it about what pgtroupe does not have, rather than what PostgreSQL refuses too? */
export function isNotSupported(error: unknown): boolean {
  return error instanceof PgError && error.sqlstate === '0A000' && error.message.endsWith(NOT_YET);
}
