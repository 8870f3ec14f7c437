/**
 * Statements and PostgreSQL's recorded answers. `sql/NAME.sql` holds statements, each ending with a semicolon at the
 * end of a line (COPY FROM STDIN with its data and `\.`); `expected/NAME.out` holds them with what psql printed when
 * PostgreSQL 15 ran them, and the SQLSTATE of what failed. Every file runs in a schema of its own.
 */
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const FOLDER = fileURLToPath(new URL('./', import.meta.url));

export interface Place {
  readonly host: string;
  readonly port: number;
}

export function regressFiles(): string[] {
  return readdirSync(`${FOLDER}sql`)
    .filter(name => name.endsWith('.sql'))
    .map(name => name.slice(0, -4))
    .sort();
}

function statementsOf(text: string): string[] {
  const out: string[] = [];
  let lines: string[] = [];
  let data = false;
  for (const line of text.split('\n')) {
    if (lines.length === 0 && (line.trim() === '' || line.startsWith('--'))) continue;
    lines.push(line);
    if (data ? line !== '\\.' : !/;\s*$/.test(line)) continue;
    const copies = /^\s*copy\b[^;]*\bfrom\s+stdin/i.test(lines.join('\n'));
    if (copies && !data) {
      data = true;
      continue;
    }
    data = false;
    out.push(lines.join('\n'));
    lines = [];
  }
  if (lines.length > 0) throw new Error(`statement without an end: ${lines.join('\n')}`);
  return out;
}

/** What psql prints, statement by statement, as the expected files have it. */
export async function answers(name: string, place: Place): Promise<string> {
  const statements = statementsOf(readFileSync(`${FOLDER}sql/${name}.sql`, 'utf8'));
  const schema = `regress_${name}`;
  const script = [
    '\\set QUIET on',
    "\\pset null '(null)'",
    '\\set SHOW_CONTEXT never',
    'set client_min_messages = error;',
    `drop schema if exists ${schema} cascade;`,
    `create schema ${schema};`,
    `set search_path = ${schema}, public;`,
    "set timezone = 'UTC';",
    'reset client_min_messages;',
    '\\unset QUIET',
  ];
  statements.forEach((statement, i) => {
    script.push(`\\echo @@${i}`, statement, '\\if :ERROR', '\\echo SQLSTATE :SQLSTATE', '\\endif');
  });
  script.push('\\echo @@end', 'rollback;', 'set client_min_messages = error;', `drop schema ${schema} cascade;`, '');
  const printed = await psqlOutput(script.join('\n'), place);
  const parts = printed.split(/^@@(?:\d+|end)\n/m);
  if (parts.length !== statements.length + 2)
    throw new Error(`${name}: the connection was lost:\n${printed.slice(-2000)}`);
  return statements.map((statement, i) => `${statement}\n${parts[i + 1]!}\n`).join('');
}

function psqlOutput(script: string, place: Place): Promise<string> {
  return new Promise((resolve, reject) => {
    const args = ['-XAt', '-h', place.host, '-p', String(place.port), '-U', 'postgres', '-d', 'postgres'];
    const options = { maxBuffer: 1 << 26, env: { ...process.env, PGCLIENTENCODING: 'UTF8' } };
    // Both streams into one, in order: a message belongs to the statement it is printed after.
    const child = execFile('sh', ['-c', 'exec psql "$@" 2>&1', 'psql', ...args], options, (error, stdout) => {
      if (error && stdout === '') reject(error);
      else resolve(stdout.replace(/^psql:<stdin>:\d+: /gm, ''));
    });
    child.stdin!.end(script);
  });
}

export const expectedOf = (name: string): string => readFileSync(`${FOLDER}expected/${name}.out`, 'utf8');

export function record(name: string, text: string): void {
  writeFileSync(`${FOLDER}expected/${name}.out`, text);
}
