/** pg_stat_archiver: what archive_command did. The counters are the walwriter's (services/walwriter). */
import { POSTGRES_EPOCH_MICROS } from '@pgtroupe/common/epoch';
import { CatalogMiss } from '@pgtroupe/catalog/catalogmiss';
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import type { FunctionCall, FunctionTable, SetFunctionTable } from './fmgr.ts';
import { stringToText, textToString } from './mb/mbutils.ts';
import { askWal, walOf } from './xlogfuncs.ts';

/** Times are microseconds since 1970-01-01; 0 and '': never. */
export interface ArchiverCounts {
  readonly archivedCount: number;
  readonly lastArchivedWal: string;
  readonly lastArchivedTime: number;
  readonly failedCount: number;
  readonly lastFailedWal: string;
  readonly lastFailedTime: number;
  readonly statsReset: number;
}

const RESET_TARGET = /^(archiver|bgwriter|recovery_prefetch|wal)$/;

const name = (wal: string): Datum => (wal === '' ? null : stringToText(wal));
const time = (micros: number): Datum => (micros === 0 ? null : micros - POSTGRES_EPOCH_MICROS);

export const pgstatArchiverFunctions: FunctionTable = {
  pg_stat_reset_shared: (fc: FunctionCall, text: Uint8Array) => {
    const target = textToString(text);
    if (!RESET_TARGET.test(target)) {
      throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `unrecognized reset target: "${target}"`, {
        hint: 'Target must be "archiver", "bgwriter", "recovery_prefetch", or "wal".',
      });
    }
    if (target !== 'archiver') throw notSupported(`pg_stat_reset_shared('${target}')`);
    askWal(fc, wal => wal.resetArchiver());
    return null;
  },
};

export const pgstatArchiverSetFunctions: SetFunctionTable = {
  /** One row. */
  pg_stat_get_archiver: (fc: FunctionCall) => {
    const wal = walOf(fc);
    const { archiver } = wal;
    if (archiver === undefined) throw new CatalogMiss(() => wal.readArchiver());
    return [
      [
        archiver.archivedCount,
        name(archiver.lastArchivedWal),
        time(archiver.lastArchivedTime),
        archiver.failedCount,
        name(archiver.lastFailedWal),
        time(archiver.lastFailedTime),
        time(archiver.statsReset),
      ],
    ];
  },
};
