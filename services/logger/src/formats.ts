/** csvlog and jsonlog lines, with PostgreSQL 15's columns and keys in its order. */
import { formatLogTime, type LogRecord } from '@pgtroupe/actor/node/log';

type Fields = Readonly<Record<string, unknown>>;

function field(record: LogRecord, name: string): string {
  const value = (record.fields as Fields | undefined)?.[name];
  return value === undefined || value === null ? '' : String(value);
}

function quote(text: string): string {
  return text === '' ? '' : `"${text.replaceAll('"', '""')}"`;
}

/** `line`: number of the line within its process. */
export function formatCsv(record: LogRecord, line: number): string {
  const columns = [
    formatLogTime(record.at),
    quote(field(record, 'user')),
    quote(field(record, 'database')),
    String(field(record, 'sessionPid') || record.pid),
    quote(field(record, 'client')),
    field(record, 'sessionId'),
    String(line),
    quote(field(record, 'commandTag')),
    field(record, 'sessionStart'),
    field(record, 'virtualXid'),
    field(record, 'xid') || '0',
    record.level,
    field(record, 'sqlstate') || '00000',
    quote(record.message),
    quote(field(record, 'detail')),
    quote(field(record, 'hint')),
    '',
    '',
    quote(field(record, 'where')),
    quote(field(record, 'statement')),
    field(record, 'position'),
    '',
    quote(field(record, 'application')),
    quote(field(record, 'backendType') || record.from),
    '',
    field(record, 'queryId') || '0',
  ];
  return `${columns.join(',')}\n`;
}

export function formatJson(record: LogRecord, line: number): string {
  const entry: Record<string, unknown> = { timestamp: formatLogTime(record.at) };
  const put = (key: string, value: string): void => {
    if (value !== '') entry[key] = value;
  };
  put('user', field(record, 'user'));
  put('dbname', field(record, 'database'));
  entry['pid'] = Number(field(record, 'sessionPid')) || record.pid;
  put('remote_host', field(record, 'client'));
  put('session_id', field(record, 'sessionId'));
  entry['line_num'] = line;
  put('ps', field(record, 'commandTag'));
  entry['error_severity'] = record.level;
  put('state_code', field(record, 'sqlstate'));
  entry['message'] = record.message;
  put('detail', field(record, 'detail'));
  put('hint', field(record, 'hint'));
  put('context', field(record, 'where'));
  put('statement', field(record, 'statement'));
  put('application_name', field(record, 'application'));
  entry['backend_type'] = field(record, 'backendType') || record.from;
  return `${JSON.stringify(entry)}\n`;
}
