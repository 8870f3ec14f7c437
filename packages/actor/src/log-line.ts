/**
 * A log line as text (elog.c, send_message_to_server_log): log_line_prefix, severity, message, and a line more for each
 * of DETAIL, HINT, CONTEXT and STATEMENT. Times are UTC.
 */
import { LOG_CONTINUATIONS, type LogCount, type LogFields, type LogLevel, type LogRecord } from './log-record.ts';

const MICROS_PER_SECOND = 1_000_000;
/** PostgreSQL's default of log_line_prefix. */
export const DEFAULT_PREFIX = '%m [%p] ';

/** Lines end with a newline; those that continue one begin with a tab. */
export function formatLogLine(record: LogRecord, prefixFormat: string = DEFAULT_PREFIX): string {
  const { level, message, fields } = record;
  let { line } = countOf(record);
  const code = fields?.verbose === true ? `${sqlstateOf(record)}: ` : '';
  const at = fields?.position === undefined ? '' : ` at character ${fields.position}`;
  let text = `${logLinePrefix(prefixFormat, record, line)}${shownLevel(level)}:  ${code}${continued(message)}${at}\n`;
  for (const [label, field] of LOG_CONTINUATIONS) {
    const value = fields?.[field];
    if (value === undefined) continue;
    line++;
    text += `${logLinePrefix(prefixFormat, record, line)}${label}:  ${continued(value)}\n`;
  }
  return text;
}

/** PostgreSQL numbers its levels of debugging. */
export function shownLevel(level: LogLevel): string {
  return level === 'DEBUG' ? 'DEBUG1' : level;
}

const continued = (text: string): string => text.replaceAll('\n', '\n\t');

/** `%m [%p] ` and its kin (config.sgml, log_line_prefix). Escapes that say nothing of this process give nothing. */
function logLinePrefix(format: string, record: LogRecord, line: number): string {
  let text = '';
  const pattern = /%(-?\d*)(.)|[^%]+|%$/gs;
  for (let match = pattern.exec(format); match !== null; match = pattern.exec(format)) {
    const letter = match[2];
    if (letter === undefined) {
      text += match[0] === '%' ? '' : match[0];
      continue;
    }
    if (letter === 'q') {
      if (record.fields?.session === undefined) return text;
      continue;
    }
    text += padded(letter === 'l' ? String(line) : escape(letter, record), match[1]!);
  }
  return text;
}

/** `%-10u`: to the left in ten columns; `%10u`: to the right. */
function padded(value: string, width: string): string {
  const columns = Number(width === '-' ? 0 : width);
  return columns < 0 ? value.padEnd(-columns) : value.padStart(columns);
}

function escape(letter: string, record: LogRecord): string {
  const session = record.fields?.session;
  switch (letter) {
    case 'a':
      return session === undefined ? '' : session.application || '[unknown]';
    case 'b':
      return backendType(record);
    case 'c':
      return sessionId(record);
    case 'd':
      return session === undefined ? '' : (session.database ?? '[unknown]');
    case 'e':
      return sqlstateOf(record);
    case 'h':
      return session?.host ?? '';
    case 'i':
      return session?.activity ?? '';
    case 'm':
      return formatLogTime(record.at);
    case 'n':
      return (record.at / MICROS_PER_SECOND).toFixed(3);
    case 'p':
      return String(processId(record));
    case 'r':
      return session?.host === undefined ? '' : session.host + (session.port === undefined ? '' : `(${session.port})`);
    case 's':
      return formatLogSeconds(startedAt(record));
    case 't':
      return formatLogSeconds(record.at);
    case 'u':
      return session === undefined ? '' : (session.user ?? '[unknown]');
    case 'v':
      return session?.virtualXid ?? '';
    case 'x':
      return String(session?.xid ?? 0);
    case 'Q':
      return session?.queryId ?? '0';
    case '%':
      return '%';
    default:
      // %P, the leader of a parallel group: there is none. What is no escape is left out, as by PostgreSQL.
      return '';
  }
}

/** A session's own, or the process's. */
export function processId({ fields, pid }: LogRecord): number {
  return fields?.session?.pid ?? pid;
}

export function countOf({ fields, count }: LogRecord): LogCount {
  return fields?.session?.count ?? count;
}

/** When the session or process began; microseconds since 1970. */
export function startedAt({ fields, since }: LogRecord): number {
  return fields?.session?.startedAt ?? since;
}

/** Start in seconds and process id, both in hexadecimal. */
export function sessionId(record: LogRecord): string {
  return `${Math.floor(startedAt(record) / MICROS_PER_SECOND).toString(16)}.${processId(record).toString(16)}`;
}

/** What errors without one have: success, a warning, or an internal error. */
export function sqlstateOf({ fields, level }: Pick<LogRecord, 'fields' | 'level'>): string {
  if (fields?.sqlstate !== undefined) return fields.sqlstate;
  return level === 'WARNING' ? '01000' : ERRORS.has(level) ? 'XX000' : '00000';
}

const ERRORS: ReadonlySet<string> = new Set(['ERROR', 'FATAL', 'PANIC']);

/** pg_stat_activity.backend_type, or the role's name where PostgreSQL has no such process. */
export function backendType({
  fields,
  from,
}: {
  readonly fields?: LogFields | undefined;
  readonly from: string;
}): string {
  if (fields?.session !== undefined) {
    return fields.session.starting === true ? 'not initialized' : (fields.session.type ?? 'client backend');
  }
  return from === 'bgwriter' ? 'background writer' : from;
}

export function formatLogTime(micros: number): string {
  return `${new Date(micros / 1000).toISOString().replace('T', ' ').slice(0, 23)} UTC`;
}

export function formatLogSeconds(micros: number): string {
  return `${new Date(micros / 1000).toISOString().replace('T', ' ').slice(0, 19)} UTC`;
}
