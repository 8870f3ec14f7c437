/**
 * Functions about WAL (xlogfuncs.c): pg_switch_wal, where WAL is, which file a location lies in.
 */
import { CatalogMiss } from '@pgtroupe/catalog/catalogmiss';
import { notSupported } from '@pgtroupe/common/ereport';
import { XLOG_SEG_SIZE, xlogFileName } from '@pgtroupe/transam/xlogpage';
import { ask } from './asking.ts';
import type { ArchiverCounts } from './pgstat_archiver.ts';
import type { FunctionCall, FunctionTable, SetFunctionTable } from './fmgr.ts';
import { stringToText } from './mb/mbutils.ts';

export interface WalLocation {
  /** Where the next record goes. */
  readonly insert: number;
  /** What is durable. */
  readonly flush: number;
}

/** WAL as a session sees it (SessionSettings.wal). */
export interface WalFacts {
  /** Resolves with the end of the switch's record. */
  switchSegment(): Promise<number>;
  location(): Promise<WalLocation>;
  /** Known once `location` was asked for; it never changes. */
  readonly timeline: number | undefined;
  /** pg_stat_archiver as this transaction sees it; undefined: it has not been read. */
  readonly archiver: ArchiverCounts | undefined;
  readArchiver(): Promise<void>;
  resetArchiver(): Promise<void>;
}

export function walOf(fc: FunctionCall): WalFacts {
  const { wal } = fc.settings;
  if (wal === undefined) throw notSupported('asking for WAL here');
  return wal;
}

/** Asks about WAL; see `ask`. */
export function askWal<T>(fc: FunctionCall, question: (wal: WalFacts) => Promise<T>): T {
  const wal = walOf(fc);
  return ask(fc, () => question(wal));
}

const location = (fc: FunctionCall): WalLocation => askWal(fc, wal => wal.location());

/** A location at a segment's start is the end of the one before. Immutable, PostgreSQL says: it may be called while
 *  planning, where a call site remembers nothing. */
function fileName(fc: FunctionCall, lsn: number | bigint): Uint8Array {
  const wal = walOf(fc);
  const { timeline } = wal;
  if (timeline === undefined) throw new CatalogMiss(async () => void (await wal.location()));
  const before = BigInt.asUintN(64, BigInt(lsn) - 1n);
  return stringToText(xlogFileName(timeline, Number(before / BigInt(XLOG_SEG_SIZE))));
}

export const xlogFunctions: FunctionTable = {
  pg_switch_wal: (fc: FunctionCall) => askWal(fc, wal => wal.switchSegment()),
  // What the walwriter has written and what is durable are one: it tells of the latter only.
  pg_current_wal_lsn: (fc: FunctionCall) => location(fc).flush,
  pg_current_wal_flush_lsn: (fc: FunctionCall) => location(fc).flush,
  pg_current_wal_insert_lsn: (fc: FunctionCall) => location(fc).insert,
  pg_walfile_name: fileName,
};

export const xlogSetFunctions: SetFunctionTable = {
  // At a segment's start: the file before, and no offset, as PostgreSQL 15 has it.
  pg_walfile_name_offset: (fc: FunctionCall, lsn: number | bigint) => [
    [fileName(fc, lsn), Number(BigInt.asUintN(64, BigInt(lsn)) % BigInt(XLOG_SEG_SIZE))],
  ],
};
