/**
 * Rows of pg_statistic as the planner reads them: slots by their kind, values as Datums. A row is taken apart once, for as
 * long as the catalog cache keeps it.
 */
import {
  type Form_pg_statistic,
  STATISTIC_KIND_CORRELATION,
  STATISTIC_KIND_DECHIST,
  STATISTIC_KIND_HISTOGRAM,
  STATISTIC_KIND_MCELEM,
  STATISTIC_KIND_MCV,
  STATISTIC_NUM_SLOTS,
} from '@pgtroupe/catalog/catalogs/pg_statistic';
import { STATRELATTINH } from '@pgtroupe/catalog/syscache';
import type { Datum } from '@pgtroupe/common/datum';
import type { PlannerEnv } from '../pathnodes.ts';

export interface StatisticsSlot {
  readonly op: number;
  readonly collation: number;
  readonly numbers: readonly number[];
  readonly values: readonly Datum[];
}

export interface ColumnStatistics {
  readonly nullFraction: number;
  /** Bytes of a value on average. */
  readonly width: number;
  /** Positive: a number; negative: minus their share of all rows; 0: not known. */
  readonly distinct: number;
  readonly mcv: StatisticsSlot | undefined;
  readonly histogram: StatisticsSlot | undefined;
  readonly correlation: StatisticsSlot | undefined;
  /** Elements of arrays: their frequencies, then the least, the greatest and that of null. */
  readonly elements: StatisticsSlot | undefined;
  /** How many different elements arrays have, and the average. */
  readonly elementCounts: StatisticsSlot | undefined;
}

const decoded = new WeakMap<Form_pg_statistic, ColumnStatistics>();

/** Undefined: nobody analyzed the column. */
export function columnStatistics(env: PlannerEnv, relid: number, attnum: number): ColumnStatistics | undefined {
  // Those of all columns come together: planning begins anew after each miss.
  const row = env.rows
    .searchList(STATRELATTINH, relid)
    .find(({ staattnum, stainherit }) => staattnum === attnum && !stainherit);
  if (row === undefined) return undefined;
  let statistics = decoded.get(row);
  if (statistics === undefined) decoded.set(row, (statistics = decode(env, row)));
  return statistics;
}

function decode(env: PlannerEnv, row: Form_pg_statistic): ColumnStatistics {
  const fields = row as unknown as Readonly<Record<string, unknown>>;
  const slots = new Map<number, StatisticsSlot>();
  for (let n = 1; n <= STATISTIC_NUM_SLOTS; n++) {
    const kind = fields[`stakind${n}`] as number;
    if (kind === 0) continue;
    const array = fields[`stavalues${n}`] as Uint8Array | null;
    slots.set(kind, {
      op: fields[`staop${n}`] as number,
      collation: fields[`stacoll${n}`] as number,
      numbers: (fields[`stanumbers${n}`] as readonly number[] | null) ?? [],
      values: array === null ? [] : env.statisticValues.elements(array),
    });
  }
  return {
    nullFraction: row.stanullfrac,
    width: row.stawidth,
    distinct: row.stadistinct,
    mcv: slots.get(STATISTIC_KIND_MCV),
    histogram: slots.get(STATISTIC_KIND_HISTOGRAM),
    correlation: slots.get(STATISTIC_KIND_CORRELATION),
    elements: slots.get(STATISTIC_KIND_MCELEM),
    elementCounts: slots.get(STATISTIC_KIND_DECHIST),
  };
}
