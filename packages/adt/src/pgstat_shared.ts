/** Statistics of what belongs to no database (pgstatfuncs.c), those that are reset, and those that there is nothing of. */
import type { Datum } from '@pgtroupe/common/datum';
import { POSTGRES_EPOCH_MICROS } from '@pgtroupe/common/epoch';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import type { BgWriterStats, ResetOrder } from '@pgtroupe/rpc/generated/stats-collector';
import { ask } from './asking.ts';
import type { FunctionCall, FunctionTable, SetFunctionTable } from './fmgr.ts';
import { stringToText, textToString } from './mb/mbutils.ts';
import { int8ToNumeric } from './numeric.ts';
import { statisticsOf } from './pgstat_relation.ts';
import { askWal } from './xlogfuncs.ts';

type Counter = (fc: FunctionCall) => Datum;

const time = (micros: number): Datum => (micros === 0 ? null : micros - POSTGRES_EPOCH_MICROS);

function bgwriter(field: Exclude<keyof BgWriterStats, 'statsReset'>): Counter {
  return fc => statisticsOf(fc).shared().bgwriter?.[field] ?? 0;
}

function reset(fc: FunctionCall, what: NonNullable<ResetOrder['what']>): null {
  const statistics = statisticsOf(fc);
  ask(fc, () => statistics.reset({ what }));
  return null;
}

/** Counters of functions: only functions of users are tracked, and there are none. */
const untracked = (): Datum => null;

const nulls = (columns: number): Datum[] => new Array<Datum>(columns).fill(null);

/** Of the stats-collector's. */
const RESET_TARGET = /^(bgwriter|recovery_prefetch|wal)$/;

export const pgstatSharedFunctions: FunctionTable = {
  pg_stat_get_bgwriter_timed_checkpoints: bgwriter('timedCheckpoints'),
  pg_stat_get_bgwriter_requested_checkpoints: bgwriter('requestedCheckpoints'),
  pg_stat_get_bgwriter_buf_written_checkpoints: bgwriter('bufWrittenCheckpoints'),
  pg_stat_get_bgwriter_buf_written_clean: bgwriter('bufWrittenClean'),
  pg_stat_get_bgwriter_maxwritten_clean: bgwriter('maxwrittenClean'),
  pg_stat_get_checkpoint_write_time: bgwriter('checkpointWriteTime'),
  pg_stat_get_checkpoint_sync_time: bgwriter('checkpointSyncTime'),
  pg_stat_get_buf_written_backend: bgwriter('bufWrittenBackend'),
  // Who makes room never syncs.
  pg_stat_get_buf_fsync_backend: () => 0,
  pg_stat_get_buf_alloc: bgwriter('bufAlloc'),
  pg_stat_get_bgwriter_stat_reset_time: (fc: FunctionCall) => time(statisticsOf(fc).shared().bgwriter?.statsReset ?? 0),
  pg_stat_get_function_calls: untracked,
  pg_stat_get_function_total_time: untracked,
  pg_stat_get_function_self_time: untracked,
  pg_stat_get_xact_function_calls: untracked,
  pg_stat_get_xact_function_total_time: untracked,
  pg_stat_get_xact_function_self_time: untracked,
  pg_stat_get_snapshot_timestamp: (fc: FunctionCall) => time(statisticsOf(fc).snapshotMicros ?? 0),
  pg_stat_reset: (fc: FunctionCall) => reset(fc, { $case: 'database', value: fc.settings.databaseId }),
  pg_stat_reset_single_table_counters: (fc: FunctionCall, relation: Oid) =>
    reset(fc, { $case: 'relation', value: { database: fc.settings.databaseId, relation } }),
  pg_stat_reset_single_function_counters: () => null,
  pg_stat_reset_slru: (fc: FunctionCall, name: Uint8Array | null) =>
    reset(fc, { $case: 'slru', value: name === null ? '' : textToString(name) }),
  pg_stat_reset_shared: (fc: FunctionCall, text: Uint8Array) => {
    const target = textToString(text);
    if (target === 'archiver') {
      askWal(fc, wal => wal.resetArchiver());
      return null;
    }
    if (RESET_TARGET.test(target)) return reset(fc, { $case: 'shared', value: target });
    throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `unrecognized reset target: "${target}"`, {
      hint: 'Target must be "archiver", "bgwriter", "recovery_prefetch", or "wal".',
    });
  },
  pg_stat_reset_replication_slot: (_fc: FunctionCall, name: Uint8Array | null) => {
    if (name === null) return null;
    throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `replication slot "${textToString(name)}" does not exist`);
  },
};

export const pgstatSharedSetFunctions: SetFunctionTable = {
  pg_stat_get_wal: (fc: FunctionCall) => {
    const { wal } = statisticsOf(fc).shared();
    return [
      [
        wal?.walRecords ?? 0,
        wal?.walFpi ?? 0,
        int8ToNumeric(wal?.walBytes ?? 0),
        wal?.walBuffersFull ?? 0,
        wal?.walWrite ?? 0,
        wal?.walSync ?? 0,
        wal?.walWriteTime ?? 0,
        wal?.walSyncTime ?? 0,
        time(wal?.statsReset ?? 0),
      ],
    ];
  },
  pg_stat_get_slru: (fc: FunctionCall) =>
    statisticsOf(fc)
      .shared()
      .slrus.map(s => [
        stringToText(s.name),
        s.blksZeroed,
        s.blksHit,
        s.blksRead,
        s.blksWritten,
        s.blksExists,
        s.flushes,
        s.truncates,
        time(s.statsReset),
      ]),
  pg_stat_get_recovery_prefetch: (fc: FunctionCall) => [
    [time(statisticsOf(fc).shared().recoveryPrefetchReset), 0, 0, 0, 0, 0, 0, 0, 0, 0],
  ],
  // There is no replication.
  pg_stat_get_wal_senders: () => [],
  pg_stat_get_wal_receiver: () => [nulls(15)],
  pg_get_replication_slots: () => [],
  pg_stat_get_replication_slot: (_fc: FunctionCall, name: Uint8Array) => [[name, 0, 0, 0, 0, 0, 0, 0, 0, null]],
  pg_stat_get_subscription: () => [],
  pg_stat_get_subscription_stats: (_fc: FunctionCall, subscription: Oid) => [[subscription, 0, 0, null]],
};
