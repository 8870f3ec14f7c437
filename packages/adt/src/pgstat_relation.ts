/** pg_stat_get_* of tables and indexes (pgstatfuncs.c): what the stats-collector has added up. */
import type { Datum } from '@pgtroupe/common/datum';
import { POSTGRES_EPOCH_MICROS } from '@pgtroupe/common/epoch';
import { notSupported } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import type { DatabaseStats, RelationStats, ResetOrder, SharedAnswer } from '@pgtroupe/rpc/generated/stats-collector';
import type { FunctionCall, FunctionTable } from './fmgr.ts';

/** What one session counts of a relation until it reports it. */
export type OwnCount =
  | 'numscans'
  | 'tuplesReturned'
  | 'tuplesFetched'
  | 'tuplesInserted'
  | 'tuplesUpdated'
  | 'tuplesDeleted'
  | 'tuplesHotUpdated'
  | 'blocksFetched'
  | 'blocksHit';

/** The cumulative statistics as the transaction sees them (stats_fetch_consistency). What is not here yet throws CatalogMiss. */
export interface CumulativeStatistics {
  /** Of this database, or shared. */
  relation(oid: Oid): RelationStats | undefined;
  database(oid: Oid): DatabaseStats | undefined;
  shared(): SharedAnswer;
  /** What the session itself has not reported yet, with what the transaction under way does. */
  own(oid: Oid): Readonly<Record<OwnCount, number>> | undefined;
  /** The next look is a new one. */
  clearSnapshot(): void;
  /** When everything was looked at together (stats_fetch_consistency = snapshot). Microseconds since 1970. */
  readonly snapshotMicros: number | undefined;
  forceNextFlush(): void;
  /** Resolves when it is done. */
  reset(order: ResetOrder): Promise<void>;
}

export function statisticsOf(fc: FunctionCall): CumulativeStatistics {
  const { statistics } = fc.settings;
  if (statistics === undefined) throw notSupported('asking for statistics here');
  return statistics;
}

type Of = (fc: FunctionCall, oid: Oid) => Datum;

function counter(field: Exclude<keyof RelationStats, 'relation'>): Of {
  return (fc, oid) => statisticsOf(fc).relation(oid)?.[field] ?? 0;
}

/** 0: never. */
function time(field: 'vacuumTime' | 'autovacuumTime' | 'analyzeTime' | 'autoanalyzeTime'): Of {
  return (fc, oid) => {
    const micros = statisticsOf(fc).relation(oid)?.[field] ?? 0;
    return micros === 0 ? null : micros - POSTGRES_EPOCH_MICROS;
  };
}

/** Of the session alone. */
function own(field: OwnCount): Of {
  return (fc, oid) => statisticsOf(fc).own(oid)?.[field] ?? 0;
}

export const pgstatRelationFunctions: FunctionTable = {
  pg_stat_get_numscans: counter('numscans'),
  pg_stat_get_tuples_returned: counter('tuplesReturned'),
  pg_stat_get_tuples_fetched: counter('tuplesFetched'),
  pg_stat_get_tuples_inserted: counter('tuplesInserted'),
  pg_stat_get_tuples_updated: counter('tuplesUpdated'),
  pg_stat_get_tuples_deleted: counter('tuplesDeleted'),
  pg_stat_get_tuples_hot_updated: counter('tuplesHotUpdated'),
  pg_stat_get_live_tuples: counter('liveTuples'),
  pg_stat_get_dead_tuples: counter('deadTuples'),
  pg_stat_get_mod_since_analyze: counter('changesSinceAnalyze'),
  pg_stat_get_ins_since_vacuum: counter('insertsSinceVacuum'),
  pg_stat_get_blocks_fetched: counter('blocksFetched'),
  pg_stat_get_blocks_hit: counter('blocksHit'),
  pg_stat_get_last_vacuum_time: time('vacuumTime'),
  pg_stat_get_last_autovacuum_time: time('autovacuumTime'),
  pg_stat_get_last_analyze_time: time('analyzeTime'),
  pg_stat_get_last_autoanalyze_time: time('autoanalyzeTime'),
  pg_stat_get_vacuum_count: counter('vacuumCount'),
  pg_stat_get_autovacuum_count: counter('autovacuumCount'),
  pg_stat_get_analyze_count: counter('analyzeCount'),
  pg_stat_get_autoanalyze_count: counter('autoanalyzeCount'),
  pg_stat_get_xact_numscans: own('numscans'),
  pg_stat_get_xact_tuples_returned: own('tuplesReturned'),
  pg_stat_get_xact_tuples_fetched: own('tuplesFetched'),
  pg_stat_get_xact_tuples_inserted: own('tuplesInserted'),
  pg_stat_get_xact_tuples_updated: own('tuplesUpdated'),
  pg_stat_get_xact_tuples_deleted: own('tuplesDeleted'),
  pg_stat_get_xact_tuples_hot_updated: own('tuplesHotUpdated'),
  pg_stat_get_xact_blocks_fetched: own('blocksFetched'),
  pg_stat_get_xact_blocks_hit: own('blocksHit'),
  pg_stat_force_next_flush: (fc: FunctionCall) => {
    statisticsOf(fc).forceNextFlush();
    return null;
  },
};
