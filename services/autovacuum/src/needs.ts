/**
 * Does a table need vacuuming or analyzing (relation_needs_vacanalyze), and how is it to be done (table_recheck_autovac)? Pure.
 *
 *   vacuum   when more rows are dead, or have been inserted since, than threshold + scale factor * reltuples; always when
 *            it is older than autovacuum_freeze_max_age, also if it or the server has autovacuum off
 *   analyze  when more rows were changed since than such a sum
 *
 * Where the table has a storage parameter, it counts in the parameter's place; a TOAST table without any has its owner's.
 */
import type { Form_pg_class } from '@pgtroupe/catalog/catalogs/pg_class';
import { StatisticRelationId } from '@pgtroupe/catalog/catalogs/pg_statistic';
import { type GucName, parseBool } from '@pgtroupe/common/guc';
import { FIRST_NORMAL_TRANSACTION_ID, type TransactionId, transactionIdPrecedes } from '@pgtroupe/common/ids';
import { FIRST_MULTI_XACT_ID, INVALID_MULTI_XACT_ID, multiXactIdPrecedes } from '@pgtroupe/transam/multixact';

/** What the statistics say of a table. */
export interface TableCounters {
  readonly deadTuples: number;
  readonly insertsSinceVacuum: number;
  readonly changesSinceAnalyze: number;
}

export interface Parameters {
  number(name: GucName): number;
}

/** The next ids there will be, 32 bits. */
export interface NextIds {
  readonly xid: TransactionId;
  readonly multi: number;
}

export interface Needs {
  readonly vacuum: boolean;
  readonly analyze: boolean;
  readonly wraparound: boolean;
}

/** Storage parameters by name, as they were written. */
export type StorageParameters = ReadonlyMap<string, string>;

export function storageParameters(reloptions: readonly string[] | null): StorageParameters {
  return new Map((reloptions ?? []).map(text => [text.slice(0, text.indexOf('=')), text.slice(text.indexOf('=') + 1)]));
}

const ago = (next: number, age: number, first: number): number => {
  const limit = (next - age) >>> 0;
  return limit < first ? (limit - first) >>> 0 : limit;
};

export function needsOf(
  rel: Pick<Form_pg_class, 'oid' | 'relkind' | 'reltuples' | 'relfrozenxid' | 'relminmxid'>,
  options: StorageParameters,
  counters: TableCounters | undefined,
  settings: Parameters & { bool(name: GucName): boolean },
  next: NextIds,
): Needs {
  const parameter = (option: string, guc: GucName): number => {
    const text = options.get(option);
    return text === undefined ? settings.number(guc) : Number(text);
  };
  const maxAge = (option: string, guc: GucName): number => Math.min(parameter(option, guc), settings.number(guc));
  const xidLimit = ago(
    next.xid,
    maxAge('autovacuum_freeze_max_age', 'autovacuum_freeze_max_age'),
    FIRST_NORMAL_TRANSACTION_ID,
  ) as TransactionId;
  const multiLimit = ago(
    next.multi,
    maxAge('autovacuum_multixact_freeze_max_age', 'autovacuum_multixact_freeze_max_age'),
    FIRST_MULTI_XACT_ID,
  );
  const wraparound =
    (rel.relfrozenxid >= FIRST_NORMAL_TRANSACTION_ID && transactionIdPrecedes(rel.relfrozenxid, xidLimit)) ||
    (rel.relminmxid !== INVALID_MULTI_XACT_ID && multiXactIdPrecedes(rel.relminmxid, multiLimit));
  const enabled = parseBool(options.get('autovacuum_enabled') ?? 'on') !== false;
  const active = settings.bool('autovacuum') && settings.bool('track_counts');
  if (!enabled || !active || counters === undefined) return { vacuum: wraparound, analyze: false, wraparound };
  const reltuples = Math.max(0, rel.reltuples);
  /** float4, as PostgreSQL reckons. */
  const threshold = (base: number, scale: number): number =>
    Math.fround(Math.fround(base) + Math.fround(scale) * reltuples);
  const insertBase = parameter('autovacuum_vacuum_insert_threshold', 'autovacuum_vacuum_insert_threshold');
  const vacuumAbove = threshold(
    parameter('autovacuum_vacuum_threshold', 'autovacuum_vacuum_threshold'),
    parameter('autovacuum_vacuum_scale_factor', 'autovacuum_vacuum_scale_factor'),
  );
  const insertsAbove = threshold(
    insertBase,
    parameter('autovacuum_vacuum_insert_scale_factor', 'autovacuum_vacuum_insert_scale_factor'),
  );
  const analyzeAbove = threshold(
    parameter('autovacuum_analyze_threshold', 'autovacuum_analyze_threshold'),
    parameter('autovacuum_analyze_scale_factor', 'autovacuum_analyze_scale_factor'),
  );
  return {
    vacuum:
      wraparound ||
      counters.deadTuples > vacuumAbove ||
      (insertBase >= 0 && counters.insertsSinceVacuum > insertsAbove),
    // ANALYZE has no business with its own results.
    analyze: rel.relkind !== 't' && rel.oid !== StatisticRelationId && counters.changesSinceAnalyze > analyzeAbove,
    wraparound,
  };
}

/** What a table's vacuum may cost (table_recheck_autovac): its own limits are shared with no other worker. */
export function costLimits(
  options: StorageParameters,
  settings: Parameters,
  workers: () => number,
): { readonly delayMs: number; readonly limit: number; readonly sharers: () => number } {
  const ownDelay = Number(options.get('autovacuum_vacuum_cost_delay') ?? -1);
  const ownLimit = Number(options.get('autovacuum_vacuum_cost_limit') ?? 0);
  const first = (...candidates: readonly number[]): number => candidates.find(value => value >= 0) ?? 0;
  const orNone = (limit: number): number => (limit > 0 ? limit : -1);
  return {
    delayMs: first(ownDelay, settings.number('autovacuum_vacuum_cost_delay'), settings.number('vacuum_cost_delay')),
    limit: first(
      orNone(ownLimit),
      orNone(settings.number('autovacuum_vacuum_cost_limit')),
      settings.number('vacuum_cost_limit'),
    ),
    sharers: ownLimit > 0 || ownDelay > 0 ? () => 1 : workers,
  };
}

/** Parameters of the session under which the table is vacuumed. `freezeAll`: in databases that nobody connects to. */
export function vacuumParameters(
  options: StorageParameters,
  settings: Parameters,
  freezeAll: boolean,
): ReadonlyMap<GucName, string> {
  const age = (option: string, guc: GucName): [GucName, string] => [
    guc,
    options.get(option) ?? (freezeAll ? '0' : String(settings.number(guc))),
  ];
  return new Map([
    age('autovacuum_freeze_min_age', 'vacuum_freeze_min_age'),
    age('autovacuum_freeze_table_age', 'vacuum_freeze_table_age'),
    age('autovacuum_multixact_freeze_min_age', 'vacuum_multixact_freeze_min_age'),
    age('autovacuum_multixact_freeze_table_age', 'vacuum_multixact_freeze_table_age'),
  ]);
}
