/**
 * ErrorResponse and NoticeResponse: fields as one letter and a text each (manual §55.8).
 */
import { PgError, type ErrorFields, type Severity } from '@pgtroupe/common/ereport';
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
  out.byte(0);
  out.end();
}

/** What a client is told of any error: an unexpected one is XX000 and never hides as success. */
export function reportOf(error: unknown): Report {
  if (error instanceof PgError) {
    return { severity: error.severity, sqlstate: error.sqlstate, message: error.message, fields: error.fields };
  }
  const message = error instanceof Error ? error.message : String(error);
  return { severity: 'ERROR', sqlstate: 'XX000', message };
}
