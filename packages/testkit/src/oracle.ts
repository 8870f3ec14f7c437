/**
 * A real PostgreSQL 15 to compare with, (oracle-address.ts), whose data
 * directory this process may read. Tests skip themselves where there is none.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { join } from 'node:path';
import type { TimeLineID, XLogRecPtr } from '@pgtroupe/common/ids';
import { XLOG_SEG_SIZE } from '@pgtroupe/transam/xlogpage';
import { WalEnd, XLogReader } from '@pgtroupe/transam/xlogreader';
import type { XLogRecord } from '@pgtroupe/transam/xlogrecord';
import { ORACLE_HOST, ORACLE_PORT } from './oracle-address.ts';

const CLIENT = ['-h', ORACLE_HOST, '-p', String(ORACLE_PORT), '-U', 'postgres'];

/** Runs a psql script (each statement its own transaction); returns the unaligned output. */
export function psql(script: string, database = 'postgres'): string {
  return execFileSync('psql', [...CLIENT, '-d', database, '-X', '-q', '-At', '-v', 'ON_ERROR_STOP=1', '-f', '-'], {
    input: script,
    encoding: 'utf8',
    env: { ...process.env, PGCONNECT_TIMEOUT: '2' },
    stdio: ['pipe', 'pipe', 'pipe'],
    maxBuffer: 1 << 28,
  }).trim();
}

/** Why there is nothing to compare with, or undefined. */
export function oracleMissing(): string | undefined {
  try {
    const [directory, checksums] = psql(
      "show data_directory; show data_checksums; select 1/(current_setting('server_version_num')::int/10000 = 15)::int",
    ).split('\n');
    if (checksums !== 'on') return 'that PostgreSQL has no data checksums';
    closeSync(openSync(join(directory!, 'global/pg_control'), 'r'));
    return undefined;
  } catch (error) {
    return `no readable PostgreSQL 15 at ${ORACLE_HOST}:${ORACLE_PORT} (${(error as Error).message.split('\n')[0]})`;
  }
}

export function dataDirectory(): string {
  return psql('show data_directory');
}

export function parseLsn(text: string): XLogRecPtr {
  const [high, low] = text.split('/');
  return (parseInt(high!, 16) * 0x100000000 + parseInt(low!, 16)) as XLogRecPtr;
}

/** The records of the oracle's WAL from `from` up to `to`, which has been flushed. */
export function readWal(from: XLogRecPtr, to: XLogRecPtr): XLogRecord[] {
  const [directory, identifier, timeline] = psql(
    'show data_directory; select system_identifier from pg_control_system(); select timeline_id from pg_control_checkpoint()',
  ).split('\n');
  const reader = new XLogReader({ systemIdentifier: BigInt(identifier!), tli: Number(timeline) as TimeLineID }, from);
  const records: XLogRecord[] = [];
  for (;;) {
    const record = reader.next();
    if (record instanceof WalEnd) throw new Error(`the oracle's WAL ends at ${record.lsn}: ${record.why}`);
    if (record === undefined) {
      if (reader.wants >= to) return records;
      const segment = Math.floor(reader.wants / XLOG_SEG_SIZE);
      const name = [Number(timeline), Math.floor(segment / 256), segment % 256]
        .map(n => n.toString(16).toUpperCase().padStart(8, '0'))
        .join('');
      const file = openSync(join(directory!, 'pg_wal', name), 'r');
      const bytes = new Uint8Array(8192);
      readSync(file, bytes, 0, 8192, reader.wants % XLOG_SEG_SIZE);
      closeSync(file);
      reader.feed(bytes);
      continue;
    }
    if (record.lsn >= to) return records;
    records.push(record);
  }
}

/** A relation's fork as it lies on disk (after CHECKPOINT). */
export function readRelation(path: string): Uint8Array {
  return new Uint8Array(readFileSync(join(dataDirectory(), path)));
}

/** pg_waldump of the range, one line per record. */
export function pgWaldump(from: string, to: string, rmgrs: readonly string[]): string[] {
  const directory = dataDirectory();
  const program = join(psql("select setting from pg_config where name = 'BINDIR'"), 'pg_waldump');
  const output = execFileSync(
    program,
    ['-p', join(directory, 'pg_wal'), '-s', from, '-e', to, ...rmgrs.flatMap(name => ['-r', name])],
    {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      maxBuffer: 1 << 28,
    },
  );
  return output.split('\n').filter(line => line.startsWith('rmgr:'));
}
