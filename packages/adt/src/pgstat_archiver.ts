/** pg_stat_archiver: what archive_command did. The counters are the walwriter's (services/walwriter). */
import { POSTGRES_EPOCH_MICROS } from '@pgtroupe/common/epoch';
import { CatalogMiss } from '@pgtroupe/catalog/catalogmiss';
import type { Datum } from '@pgtroupe/common/datum';
import type { FunctionCall, SetFunctionTable } from './fmgr.ts';
import { stringToText } from './mb/mbutils.ts';
import { walOf } from './xlogfuncs.ts';

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

const name = (wal: string): Datum => (wal === '' ? null : stringToText(wal));
const time = (micros: number): Datum => (micros === 0 ? null : micros - POSTGRES_EPOCH_MICROS);

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
