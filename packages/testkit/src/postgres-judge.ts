/**
 * PostgreSQL 15 as judge of a data directory: its server, pg_controldata, pg_checksums, pg_waldump.
 */
import { equal, match, doesNotMatch } from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { PG_BIN } from './oracle-address.ts';

const CLOG_SEGMENT_BYTES = 32 * 8192;
const XIDS_PER_CLOG_SEGMENT = 4 * CLOG_SEGMENT_BYTES;

const root = process.getuid?.() === 0;
const as = root ? ['runuser', '-u', 'postgres', '--'] : [];
const [first, ...rest] = [...as, `${PG_BIN}/postgres`, '--version'];

export const hasPostgres = spawnSync(first!, rest).status === 0;

/** PostgreSQL opens the folder, and recovers it if need be; it answers each question in COPY's text, and
 *  finds its heaps and indexes sound. */
export function postgresAnswers(
  folder: string,
  questions: readonly string[],
): { readonly answers: string[]; readonly log: string } {
  if (root) execFileSync('chown', ['-R', 'postgres', folder]);
  const script = [
    ...questions.map((question, n) => `COPY (${question}) TO '${folder}/answer.${n}'`),
    'CREATE EXTENSION amcheck',
    "SELECT count(*) AS heap_errors FROM pg_class c, verify_heapam(c.oid) WHERE c.relkind IN ('r', 't', 'm')",
    "SELECT count(bt_index_parent_check(i.indexrelid, true, true)) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relam = 403 AND c.relpersistence = 'p'",
  ];
  const [program, ...args] = [...as, `${PG_BIN}/postgres`, '--single', '-D', folder, 'postgres'];
  const { status, stdout, stderr } = spawnSync(program!, args, {
    input: `${script.join('\n')}\n`,
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  const log = stdout + stderr;
  equal(status, 0, log);
  doesNotMatch(log, /ERROR|PANIC/);
  match(log, /heap_errors = "0"/);
  return { answers: questions.map((_, n) => readFileSync(join(folder, `answer.${n}`), 'utf8')), log };
}

/** A folder after a clean stop, to PostgreSQL's programs. */
export function judgeFiles(folder: string): void {
  match(execFileSync(`${PG_BIN}/pg_controldata`, [folder], { encoding: 'utf8' }), /state: +shut down\n/);
  match(execFileSync(`${PG_BIN}/pg_checksums`, ['--check', '-D', folder], { encoding: 'utf8' }), /Bad checksums: +0/);
  const wal = join(folder, 'pg_wal');
  const segments = readdirSync(wal)
    .filter(name => /^[0-9A-F]{24}$/.test(name))
    .sort();
  // Segments made ahead hold nothing; the log ends where there is no next record.
  const dump = spawnSync(`${PG_BIN}/pg_waldump`, ['-p', wal, segments[0]!, segments.at(-1)!], {
    encoding: 'utf8',
    maxBuffer: 2 ** 28,
  });
  match(dump.stdout.trimEnd().split('\n').at(-1) ?? '', /CHECKPOINT_SHUTDOWN/);
  doesNotMatch(dump.stdout, /UNKNOWN/);
}

/** After a clean stop: the next transaction is to get this id (pg_resetwal -x). Nobody ran any between. */
export function resetNextXid(folder: string, xid: number): void {
  const [program, ...args] = [...as, `${PG_BIN}/pg_resetwal`, '-x', String(xid), '-D', folder];
  if (root) {
    chmodSync(dirname(folder), 0o711);
    execFileSync('chown', ['-R', 'postgres', folder]);
  }
  execFileSync(program!, args);
  if (root) execFileSync('chown', ['-R', 'root', folder]);
  const segment = Math.floor(xid / XIDS_PER_CLOG_SEGMENT);
  writeFileSync(
    join(folder, 'pg_xact', segment.toString(16).toUpperCase().padStart(4, '0')),
    new Uint8Array(CLOG_SEGMENT_BYTES),
  );
}
