/** csvlog and jsonlog lines, with PostgreSQL 15's columns and keys in its order (csvlog.c, jsonlog.c). */
import {
  backendType,
  countOf,
  formatLogSeconds,
  formatLogTime,
  processId,
  sessionId,
  shownLevel,
  sqlstateOf,
  startedAt,
} from '@pgtroupe/actor/log-line';
import type { LogRecord } from '@pgtroupe/actor/log-record';

/** What is not there is empty; an empty text is `""`. */
function quoted(text: string | undefined): string {
  return text === undefined ? '' : `"${text.replaceAll('"', '""')}"`;
}

export function formatCsv(record: LogRecord): string {
  const { fields } = record;
  const session = fields?.session;
  const client = session?.host === undefined ? undefined : session.host + (session.port ? `:${session.port}` : '');
  const columns = [
    formatLogTime(record.at),
    quoted(session?.user),
    quoted(session?.database),
    String(processId(record)),
    quoted(client),
    sessionId(record),
    String(countOf(record).record),
    quoted(session === undefined ? undefined : (session.activity ?? '')),
    formatLogSeconds(startedAt(record)),
    session?.virtualXid ?? '',
    String(session?.xid ?? 0),
    shownLevel(record.level),
    sqlstateOf(record),
    quoted(record.message),
    quoted(fields?.detail),
    quoted(fields?.hint),
    '',
    '',
    quoted(fields?.where),
    quoted(fields?.statement),
    fields?.statement === undefined || fields.position === undefined ? '' : String(fields.position),
    '',
    quoted(session?.application ?? ''),
    quoted(backendType(record)),
    '',
    session?.queryId ?? '0',
  ];
  return `${columns.join(',')}\n`;
}

export function formatJson(record: LogRecord): string {
  const { fields } = record;
  const session = fields?.session;
  const state = sqlstateOf(record);
  // JSON.stringify leaves out what is undefined.
  const entry = {
    timestamp: formatLogTime(record.at),
    user: session?.user,
    dbname: session?.database,
    pid: processId(record),
    remote_host: session?.host,
    remote_port: session?.port,
    session_id: sessionId(record),
    line_num: countOf(record).record,
    ps: session === undefined ? undefined : (session.activity ?? ''),
    session_start: formatLogSeconds(startedAt(record)),
    vxid: session?.virtualXid,
    txid: session?.xid ?? 0,
    error_severity: shownLevel(record.level),
    state_code: state === '00000' ? undefined : state,
    message: record.message,
    detail: fields?.detail,
    hint: fields?.hint,
    context: fields?.where,
    statement: fields?.statement,
    cursor_position: fields?.statement === undefined ? undefined : fields.position,
    application_name: session?.application || undefined,
    backend_type: backendType(record),
    query_id: 0,
  };
  // 64 bits are more than a number of JavaScript's holds.
  const line = JSON.stringify(entry).replace(/0\}$/, `${session?.queryId ?? 0}}`);
  return `${line}\n`;
}
