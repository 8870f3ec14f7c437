/** pg_stat_get_db_* (pgstatfuncs.c). */
import type { Datum } from '@pgtroupe/common/datum';
import { POSTGRES_EPOCH_MICROS } from '@pgtroupe/common/epoch';
import type { Oid } from '@pgtroupe/common/ids';
import type { DatabaseStats } from '@pgtroupe/rpc/generated/stats-collector';
import type { FunctionCall, FunctionTable } from './fmgr.ts';
import { statisticsOf } from './pgstat_relation.ts';

const MICROS_PER_MS = 1000;

type Of = (fc: FunctionCall, oid: Oid) => Datum;

function counter(field: Exclude<keyof DatabaseStats, 'database'>): Of {
  return (fc, oid) => statisticsOf(fc).database(oid)?.[field] ?? 0;
}

/** In milliseconds. */
function time(field: Exclude<keyof DatabaseStats, 'database'>): Of {
  return (fc, oid) => (statisticsOf(fc).database(oid)?.[field] ?? 0) / MICROS_PER_MS;
}

/** There is no recovery that queries would be in the way of. */
const none = (): Datum => 0;

export const pgstatDatabaseFunctions: FunctionTable = {
  pg_stat_get_db_xact_commit: counter('xactCommit'),
  pg_stat_get_db_xact_rollback: counter('xactRollback'),
  pg_stat_get_db_blocks_fetched: counter('blocksFetched'),
  pg_stat_get_db_blocks_hit: counter('blocksHit'),
  pg_stat_get_db_tuples_returned: counter('tuplesReturned'),
  pg_stat_get_db_tuples_fetched: counter('tuplesFetched'),
  pg_stat_get_db_tuples_inserted: counter('tuplesInserted'),
  pg_stat_get_db_tuples_updated: counter('tuplesUpdated'),
  pg_stat_get_db_tuples_deleted: counter('tuplesDeleted'),
  pg_stat_get_db_deadlocks: counter('deadlocks'),
  pg_stat_get_db_temp_files: counter('tempFiles'),
  pg_stat_get_db_temp_bytes: counter('tempBytes'),
  pg_stat_get_db_sessions: counter('sessions'),
  pg_stat_get_db_sessions_abandoned: counter('sessionsAbandoned'),
  pg_stat_get_db_sessions_fatal: counter('sessionsFatal'),
  pg_stat_get_db_sessions_killed: counter('sessionsKilled'),
  pg_stat_get_db_session_time: time('sessionTime'),
  pg_stat_get_db_active_time: time('activeTime'),
  pg_stat_get_db_idle_in_transaction_time: time('idleInTransactionTime'),
  // track_io_timing is off.
  pg_stat_get_db_blk_read_time: time('blockReadTime'),
  pg_stat_get_db_blk_write_time: none,
  pg_stat_get_db_conflict_tablespace: none,
  pg_stat_get_db_conflict_lock: none,
  pg_stat_get_db_conflict_snapshot: none,
  pg_stat_get_db_conflict_bufferpin: none,
  pg_stat_get_db_conflict_startup_deadlock: none,
  pg_stat_get_db_conflict_all: none,
  // A page that fails its checksum is not read at all: nobody counts those.
  pg_stat_get_db_checksum_failures: none,
  pg_stat_get_db_checksum_last_failure: () => null,
  pg_stat_get_db_stat_reset_time: (fc: FunctionCall, oid: Oid) => {
    const micros = statisticsOf(fc).database(oid)?.statsReset ?? 0;
    return micros === 0 ? null : micros - POSTGRES_EPOCH_MICROS;
  },
};
