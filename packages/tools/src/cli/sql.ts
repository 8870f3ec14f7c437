/** `pgtroupe sql "…"`: runs statements on the cluster of a data directory and prints like psql. */
import { runningPostmaster } from '@pgtroupe/actor/node/pidfile';
import { ereport } from '@pgtroupe/common/ereport';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import type { CommandLine } from './args.ts';
import { say } from './console.ts';
import { type Result, ServerError, simpleQuery } from './libpq_client.ts';

export async function sqlCommand(line: CommandLine, dataDirectory: string): Promise<number> {
  const sql = line.words.join(' ');
  if (sql.trim() === '') throw ereport(ERRCODE.SYNTAX_ERROR, 'no SQL given', { hint: 'pgtroupe sql "SELECT 1"' });
  const server = runningPostmaster(dataDirectory);
  if (server === undefined) {
    throw ereport(ERRCODE.CONNECTION_FAILURE, `no server is running in "${dataDirectory}"`, {
      hint: `Start one with "pgtroupe start -D ${dataDirectory}".`,
    });
  }
  const user = line.values.get('username') ?? 'postgres';
  const where =
    server.socketDirectory === ''
      ? { host: server.listenAddress === '*' ? '127.0.0.1' : server.listenAddress, port: server.port }
      : { path: `${server.socketDirectory}/.s.PGSQL.${server.port}` };
  try {
    const session = { user, database: line.values.get('dbname') ?? 'postgres', notice: printNotice };
    for (const result of await simpleQuery(where, session, sql)) printResult(result, line.flags.has('tuples-only'));
    return 0;
  } catch (error) {
    if (!(error instanceof ServerError)) throw error;
    process.stderr.write(`${formatServerMessage(error.fields, sql)}\n`);
    return 1;
  }
}

function printNotice(fields: Readonly<Record<string, string>>): void {
  process.stderr.write(`${formatServerMessage(fields, '')}\n`);
}

function formatServerMessage(fields: Readonly<Record<string, string>>, sql: string): string {
  const lines = [`${fields['S']}:  ${fields['M']}`];
  if (fields['P'] !== undefined && sql !== '') {
    const before = [...sql].slice(0, Number(fields['P']) - 1).join('');
    const lineStart = before.lastIndexOf('\n') + 1;
    const number = before.split('\n').length;
    const text = sql.slice(lineStart).split('\n')[0];
    const prefix = `LINE ${number}: `;
    lines.push(prefix + text, `${' '.repeat(prefix.length + before.length - lineStart)}^`);
  }
  if (fields['D'] !== undefined) lines.push(`DETAIL:  ${fields['D']}`);
  if (fields['H'] !== undefined) lines.push(`HINT:  ${fields['H']}`);
  return lines.join('\n');
}

const RIGHT_ALIGNED: ReadonlySet<number> = new Set([20, 21, 23, 26, 28, 700, 701, 790, 1700]);

function printResult({ columns, rows, tag }: Result, tuplesOnly: boolean): void {
  if (columns === undefined) return say(tag);
  if (tuplesOnly) return void rows.forEach(row => say(row.map(v => v ?? '').join('|')));
  const widths = columns.map((column, i) => Math.max(column.name.length, ...rows.map(row => (row[i] ?? '').length)));
  say(columns.map((c, i) => ` ${center(c.name, widths[i]!)} `).join('|'));
  say(widths.map(width => '-'.repeat(width + 2)).join('+'));
  for (const row of rows) {
    const cells = row.map((value, i) => {
      const text = value ?? '';
      return ` ${RIGHT_ALIGNED.has(columns[i]!.type) ? text.padStart(widths[i]!) : text.padEnd(widths[i]!)} `;
    });
    say(cells.join('|').trimEnd());
  }
  say(`(${rows.length} row${rows.length === 1 ? '' : 's'})\n`);
}

function center(text: string, width: number): string {
  const left = Math.floor((width - text.length) / 2);
  return `${' '.repeat(left)}${text}`.padEnd(width);
}
