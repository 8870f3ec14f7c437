/**
 * ErrorResponse and NoticeResponse: fields as one letter and a text each (manual §55.8).
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, PgError, type ErrorFields, type Severity } from '@pgtroupe/common/ereport';
import { BACKEND } from './protocol.ts';
import type { OutBuffer } from './pqformat.ts';

export interface Report {
  readonly severity: Severity;
  readonly sqlstate: string;
  readonly message: string;
  readonly fields?: ErrorFields | undefined;
}

/** Writes ErrorResponse for ERROR and above, NoticeResponse for the rest. */
export function putReport(out: OutBuffer, report: Report): void {
  const isError = report.severity === 'ERROR' || report.severity === 'FATAL' || report.severity === 'PANIC';
  out.begin(isError ? BACKEND.ErrorResponse : BACKEND.NoticeResponse);
  const field = (letter: string, value: string | number | undefined): void => {
    if (value === undefined || value === '') return;
    out.byte(letter.charCodeAt(0));
    out.cstring(String(value));
  };
  const { fields } = report;
  field('S', report.severity);
  field('V', report.severity);
  field('C', report.sqlstate);
  field('M', report.message);
  field('D', fields?.detail);
  field('H', fields?.hint);
  field('P', fields?.position);
  field('W', fields?.where);
  field('s', fields?.schema);
  field('t', fields?.table);
  field('c', fields?.column);
  field('d', fields?.dataType);
  field('n', fields?.constraint);
  field('R', fields?.routine);
  out.byte(0);
  out.end();
}

/** What a client is told of any error: an unexpected one is XX000 and never hides as success. */
export function reportOf(thrown: unknown): Report {
  const error = exhausted(thrown) ?? thrown;
  if (error instanceof PgError) {
    return { severity: error.severity, sqlstate: error.sqlstate, message: error.message, fields: error.fields };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { severity: 'ERROR', sqlstate: 'XX000', message };
}

/**
 * What the engine says when a statement needs more than there is: PostgreSQL's error for it. Anything else that
 * is not a PgError is a bug.
 */
export function exhausted(error: unknown): PgError | undefined {
  if (!(error instanceof RangeError)) return undefined;
  if (/call stack/.test(error.message)) {
    return ereport(ERRCODE.STATEMENT_TOO_COMPLEX, 'stack depth limit exceeded', {
      hint:
        'Increase the configuration parameter "max_stack_depth" (currently 2048kB), ' +
        "after ensuring the platform's stack depth limit is adequate.",
      cause: error,
    });
  }
  // A string, array, buffer, Map or BigInt that the engine cannot make.
  if (/^Invalid (string|array|typed array) length|[Aa]llocation|maximum size exceeded|BigInt/.test(error.message)) {
    return ereport(ERRCODE.OUT_OF_MEMORY, 'out of memory', { cause: error });
  }
  return undefined;
}
