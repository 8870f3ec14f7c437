/**
 * Final functions of ordered-set and hypothetical-set aggregates (orderedsetaggs.c): what they say of a group's rows, which
 * come sorted.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { formatG } from '@pgtroupe/common/format_g';
import type { Datum } from '@pgtroupe/common/datum';
import { arrayHeader, constructArray, deconstructArray, emptyArray } from '@pgtroupe/adt/arrayutils';
import type { TypeFacts } from '@pgtroupe/adt/cache/functioncatalog';
import { type FunctionCall, lookupBuiltin } from '@pgtroupe/adt/fmgr';

export interface SortedGroup {
  /** In order; without those whose one column is NULL where the aggregate passes them over. */
  readonly rows: readonly (readonly Datum[])[];
  compare(a: readonly Datum[], b: readonly Datum[]): number;
  readonly fc: FunctionCall;
  /** The type that is sorted, and double precision: what arrays are made of and taken apart by. */
  readonly element: TypeFacts;
  readonly float8: TypeFacts;
}

/** `direct`: the values of the arguments in the parentheses. */
export type OrderedSetFinal = (group: SortedGroup, direct: readonly Datum[]) => Datum;

const value = (group: SortedGroup, row: number): Datum => group.rows[row]![0]!;

function checkPercentile(percentile: number): number {
  if (percentile >= 0 && percentile <= 1) return percentile;
  throw ereport(ERRCODE.NUMERIC_VALUE_OUT_OF_RANGE, `percentile value ${formatG(percentile)} is not between 0 and 1`);
}

/** The first value that at least this part of the rows does not exceed. */
function discrete(group: SortedGroup, percentile: number): Datum {
  return value(group, Math.max(Math.ceil(percentile * group.rows.length), 1) - 1);
}

type Between = (group: SortedGroup, low: Datum, high: Datum, part: number) => Datum;

const betweenFloats: Between = (_group, low, high, part) =>
  (low as number) + part * ((high as number) - (low as number));

const betweenIntervals: Between = ({ fc }, low, high, part) => {
  const [minus, times, plus] = ['interval_mi', 'interval_mul', 'interval_pl'].map(name => lookupBuiltin(name)!);
  return plus!(fc, times!(fc, minus!(fc, high, low), part), low);
};

function continuous(between: Between): (group: SortedGroup, percentile: number) => Datum {
  return (group, percentile) => {
    const place = percentile * (group.rows.length - 1);
    const [first, second] = [Math.floor(place), Math.ceil(place)];
    const low = value(group, first);
    return first === second ? low : between(group, low, value(group, second), place - first);
  };
}

function one(at: (group: SortedGroup, percentile: number) => Datum): OrderedSetFinal {
  return (group, [percentile]) => {
    if (percentile === null) return null;
    checkPercentile(percentile as number);
    return group.rows.length === 0 ? null : at(group, percentile as number);
  };
}

/** An array of percentiles: the array of their values. */
function many(at: (group: SortedGroup, percentile: number) => Datum): OrderedSetFinal {
  return (group, [array]) => {
    if (group.rows.length === 0 || array === null) return null;
    const header = arrayHeader(array as Uint8Array);
    const percentiles = deconstructArray(array as Uint8Array, group.float8, header) as (number | null)[];
    if (percentiles.length === 0) return emptyArray(group.element.oid);
    for (const percentile of percentiles) if (percentile !== null) checkPercentile(percentile);
    const values = percentiles.map(percentile => (percentile === null ? null : at(group, percentile)));
    return constructArray(values, group.element, header.dims, header.lbounds);
  };
}

/** The value that most rows have, the first of several. */
const mode: OrderedSetFinal = group => {
  const { rows } = group;
  let [most, best] = [0, -1];
  for (let from = 0, to = 0; from < rows.length; from = to) {
    while (to < rows.length && group.compare(rows[from]!, rows[to]!) === 0) to++;
    if (to - from > most) [most, best] = [to - from, from];
  }
  return best < 0 ? null : value(group, best);
};

/** How many rows come before one that has the direct arguments' values, its equals among them or not. */
function before({ rows, compare }: SortedGroup, row: readonly Datum[], withEquals: boolean): number {
  let n = 0;
  while (n < rows.length && compare(rows[n]!, row) < (withEquals ? 1 : 0)) n++;
  return n;
}

function denseRank(group: SortedGroup, row: readonly Datum[]): number {
  const end = before(group, row, false);
  let rank = 1;
  for (let i = 0; i < end; i++) if (i === 0 || group.compare(group.rows[i - 1]!, group.rows[i]!) !== 0) rank++;
  return rank;
}

/** By prosrc. */
const FINALS: Readonly<Record<string, OrderedSetFinal>> = {
  percentile_disc_final: one(discrete),
  percentile_cont_float8_final: one(continuous(betweenFloats)),
  percentile_cont_interval_final: one(continuous(betweenIntervals)),
  percentile_disc_multi_final: many(discrete),
  percentile_cont_float8_multi_final: many(continuous(betweenFloats)),
  percentile_cont_interval_multi_final: many(continuous(betweenIntervals)),
  mode_final: mode,
  hypothetical_rank_final: (group, direct) => before(group, direct, false) + 1,
  hypothetical_dense_rank_final: denseRank,
  hypothetical_percent_rank_final: (group, direct) =>
    group.rows.length === 0 ? 0 : before(group, direct, false) / group.rows.length,
  hypothetical_cume_dist_final: (group, direct) => (before(group, direct, true) + 1) / (group.rows.length + 1),
};

export function orderedSetFinal(prosrc: string): OrderedSetFinal | undefined {
  return FINALS[prosrc];
}
