/**
 * Statistics of a column from a sample of its values: how many are null, how wide and how many different ones there are, the
 * most common ones, a histogram of the others, and how far their order is that of the rows (std_typanalyze and the
 * functions that it names, commands/analyze.c). The numbers are PostgreSQL's to the last bit.
 */
import type { Datum } from '@pgtroupe/common/datum';
import { INVALID_OID, type Oid } from '@pgtroupe/common/ids';
import {
  STATISTIC_KIND_CORRELATION,
  STATISTIC_KIND_HISTOGRAM,
  STATISTIC_KIND_MCV,
} from '@pgtroupe/catalog/catalogs/pg_statistic';
import type { Comparator, Equality } from '@pgtroupe/adt/cache/typcache';
import { type AnalyzedElement, arraySlots } from './array-typanalyze.ts';
import { type SampleColumn, VARHDRSZ, WIDTH_THRESHOLD } from './sample.ts';

/** Rows to look at for each value of a list or histogram: the constant of Chaudhuri, Motwani and Narasayya (SIGMOD 1998). */
export const ROWS_PER_TARGET = 300;
/** Comparisons between looks at the clock. */
const SLICE = 2048;

/** What is known of a column before its values are looked at. */
export interface AnalyzedType {
  readonly typlen: number;
  readonly typbyval: boolean;
  /** Default operators of the type, 0 where there is none. */
  readonly ltopr: Oid;
  readonly eqopr: Oid;
  readonly collation: Oid;
  /** Undefined where the operator is. */
  readonly compare: Comparator | undefined;
  readonly equal: Equality | undefined;
  /** Values in the list of most common ones, and steps of the histogram. */
  readonly target: number;
  /** Of arrays whose elements can be told apart. */
  readonly element: AnalyzedElement | undefined;
}

/** What is stored of one kind. */
export interface StatsSlot {
  readonly kind: number;
  readonly op: Oid;
  readonly collation: Oid;
  readonly numbers?: readonly number[];
  readonly values?: readonly Datum[];
  /** Type of the values where it is not the column's. */
  readonly elementType?: Oid;
}

export interface ColumnStats {
  readonly nullFraction: number;
  readonly width: number;
  /** Positive: a number; negative: minus their share of all rows; 0: not known. */
  readonly distinct: number;
  readonly slots: readonly StatsSlot[];
}

/** A sample of one column. */
export interface ColumnSample {
  readonly type: AnalyzedType;
  readonly column: SampleColumn;
  readonly rows: number;
  readonly totalRows: number;
}

/** Nulls, widths, and the values that can be looked at. */
interface Tally {
  readonly nulls: number;
  readonly nonNulls: number;
  readonly tooWide: number;
  readonly width: number;
  /** In the rows' order. */
  readonly values: readonly Datum[];
}

/** Undefined: there were no rows. `breathe` is awaited now and then. */
export async function computeStats(
  sample: ColumnSample,
  breathe: () => Promise<void>,
): Promise<ColumnStats | undefined> {
  const stats = await standardStats(sample, breathe);
  const { element } = sample.type;
  if (stats === undefined || element === undefined) return stats;
  return { ...stats, slots: [...stats.slots, ...(await arraySlots(sample, element, breathe))] };
}

async function standardStats(sample: ColumnSample, breathe: () => Promise<void>): Promise<ColumnStats | undefined> {
  const tally = countValues(sample);
  const { nulls, nonNulls, values, width } = tally;
  const { type, rows } = sample;
  if (nonNulls === 0) {
    if (nulls === 0) return undefined;
    return { nullFraction: 1, width: isVarWidth(type) ? 0 : type.typlen, distinct: 0, slots: [] };
  }
  const nullFraction = Math.fround(nulls / rows);
  if (type.equal === undefined) return { nullFraction, width, distinct: 0, slots: [] };
  if (type.compare === undefined) return distinctStats(sample, tally, nullFraction, type.equal, breathe);
  if (values.length === 0) return { nullFraction, width, distinct: -1 * (1 - nullFraction), slots: [] };
  return scalarStats(sample, tally, nullFraction, type.compare, breathe);
}

function isTooWide(value: Datum): boolean {
  return value instanceof Uint8Array && value.length + VARHDRSZ > WIDTH_THRESHOLD;
}

function isVarWidth({ typbyval, typlen }: AnalyzedType): boolean {
  return !typbyval && typlen < 0;
}

function countValues({ type, column, rows }: ColumnSample): Tally {
  let nulls = 0;
  let tooWide = 0;
  let bytes = 0;
  const varWidth = isVarWidth(type);
  const values: Datum[] = [];
  for (let row = 0; row < rows; row++) {
    const value = column.values[row];
    if (value === null) {
      nulls++;
      continue;
    }
    if (varWidth) bytes += column.widths[row]!;
    if (value === undefined || (varWidth && isTooWide(value))) tooWide++;
    else values.push(value);
  }
  const nonNulls = rows - nulls;
  const width = varWidth ? Math.trunc(bytes / nonNulls) : type.typlen;
  return { nulls, nonNulls, tooWide, width, values };
}

// ---- types with an order (compute_scalar_stats) ------------------------------------------------------

/** A run of equal values. */
interface Common {
  count: number;
  first: number;
}

async function scalarStats(
  sample: ColumnSample,
  tally: Tally,
  nullFraction: number,
  compare: Comparator,
  breathe: () => Promise<void>,
): Promise<ColumnStats> {
  const { type, rows, totalRows } = sample;
  const { target, ltopr, eqopr, collation } = type;
  const { values, tooWide, nulls } = tally;
  const order = await sortedRows(values, compare, breathe);
  const count = order.length;
  const track: Common[] = [];
  let products = 0;
  let distinct = 0;
  let multiple = 0;
  let duplicates = 0;
  for (let i = 0; i < count; i++) {
    if (i % SLICE === SLICE - 1) await breathe();
    products += i * order[i]!;
    duplicates++;
    if (i + 1 < count && compare(values[order[i]!]!, values[order[i + 1]!]!) === 0) continue;
    distinct++;
    if (duplicates > 1) {
      multiple++;
      trackCommon(track, target, duplicates, i + 1 - duplicates);
    }
    duplicates = 0;
  }
  const allSeen = tooWide === 0 && multiple === distinct;
  const singles = distinct - multiple + tooWide;
  const stadistinct = estimateDistinct(
    { nullFraction, sampled: rows - nulls, totalRows },
    multiple,
    singles,
    allSeen ? distinct : undefined,
  );
  const complete = track.length === distinct && tooWide === 0 && stadistinct > 0 && track.length <= target;
  const mcvs = complete
    ? track.length
    : commonEnough(
        track.map(item => item.count),
        stadistinct,
        nullFraction,
        rows,
        totalRows,
      );
  const slots: StatsSlot[] = [];
  const common = track.slice(0, mcvs);
  if (mcvs > 0) {
    slots.push({
      kind: STATISTIC_KIND_MCV,
      op: eqopr,
      collation,
      numbers: common.map(item => item.count / rows),
      values: common.map(item => values[order[item.first]!]!),
    });
  }
  const bounds = Math.min(distinct - mcvs, target + 1);
  if (bounds >= 2) {
    const others = withoutCommon(order, common);
    slots.push({
      kind: STATISTIC_KIND_HISTOGRAM,
      op: ltopr,
      collation,
      values: histogramPlaces(others.length, bounds).map(place => values[others[place]!]!),
    });
  }
  if (count > 1) {
    slots.push({
      kind: STATISTIC_KIND_CORRELATION,
      op: ltopr,
      collation,
      numbers: [correlation(count, products)],
    });
  }
  return { nullFraction, width: tally.width, distinct: stadistinct, slots };
}

/** Row numbers in the order of their values, of equal ones the earlier row first. */
async function sortedRows(
  values: readonly Datum[],
  compare: Comparator,
  breathe: () => Promise<void>,
): Promise<Uint32Array> {
  const count = values.length;
  const byValue = (a: number, b: number): number => compare(values[a]!, values[b]!) || a - b;
  let from = Uint32Array.from({ length: count }, (_, row) => row);
  for (let start = 0; start < count; start += SLICE) {
    from.subarray(start, start + SLICE).sort(byValue);
    await breathe();
  }
  let to = new Uint32Array(count);
  for (let size = SLICE; size < count; size *= 2) {
    for (let start = 0; start < count; start += 2 * size) {
      const middle = Math.min(start + size, count);
      const end = Math.min(start + 2 * size, count);
      let [left, right] = [start, middle];
      for (let at = start; at < end; at++) {
        if (at % SLICE === 0) await breathe();
        const takeLeft = right >= end || (left < middle && byValue(from[left]!, from[right]!) <= 0);
        to[at] = from[takeLeft ? left++ : right++]!;
      }
    }
    [from, to] = [to, from];
  }
  return from;
}

/** Keeps the `target` longest runs, longest first, of equal ones the earlier. */
function trackCommon(track: Common[], target: number, count: number, first: number): void {
  if (track.length >= target && count <= (track.at(-1)?.count ?? 0)) return;
  if (track.length < target) track.push({ count, first });
  let j = track.length - 1;
  for (; j > 0 && count > track[j - 1]!.count; j--) track[j] = track[j - 1]!;
  track[j] = { count, first };
}

/** Rows that are not in a run of common values. */
function withoutCommon(order: Uint32Array, common: readonly Common[]): Uint32Array {
  const others = new Uint32Array(order.length);
  let length = 0;
  let from = 0;
  for (const { first, count } of [...common].sort((a, b) => a.first - b.first)) {
    others.set(order.subarray(from, first), length);
    length += first - from;
    from = first + count;
  }
  others.set(order.subarray(from), length);
  return others.subarray(0, length + order.length - from);
}

/** First, last and evenly spaced places between them. */
function histogramPlaces(count: number, bounds: number): number[] {
  const step = Math.floor((count - 1) / (bounds - 1));
  const rest = (count - 1) % (bounds - 1);
  const places: number[] = [];
  let place = 0;
  let fraction = 0;
  for (let i = 0; i < bounds; i++) {
    places.push(place);
    place += step;
    fraction += rest;
    if (fraction >= bounds - 1) {
      place++;
      fraction -= bounds - 1;
    }
  }
  return places;
}

/** Of 0 … n-1 with themselves in another order; `products`: the sum of what stands at each place times the place. */
function correlation(n: number, products: number): number {
  const sum = ((n - 1) * n) / 2;
  const squares = ((n - 1) * n * (2 * n - 1)) / 6;
  return (n * products - sum * sum) / (n * squares - sum * sum);
}

// ---- types that know only equality (compute_distinct_stats) ------------------------------------------

async function distinctStats(
  sample: ColumnSample,
  tally: Tally,
  nullFraction: number,
  equal: Equality,
  breathe: () => Promise<void>,
): Promise<ColumnStats> {
  const { type, rows, totalRows } = sample;
  const { values, tooWide, nulls, nonNulls } = tally;
  const { target } = type;
  const most = Math.max(10, 2 * target);
  const track: { value: Datum; count: number }[] = [];
  for (let i = 0; i < values.length; i++) {
    if (i % 64 === 63) await breathe();
    trackValue(track, most, values[i]!, equal);
  }
  let multiple = 0;
  let inMultiple = 0;
  for (; multiple < track.length && track[multiple]!.count > 1; multiple++) inMultiple += track[multiple]!.count;
  const inTrack = track.length < most && tooWide === 0;
  const allSeen = inTrack && multiple === track.length;
  const stadistinct = estimateDistinct(
    { nullFraction, sampled: rows - nulls, totalRows },
    multiple,
    nonNulls - inMultiple,
    allSeen ? track.length : undefined,
  );
  const complete = inTrack && stadistinct > 0 && track.length <= target;
  const counts = track.slice(0, target).map(item => item.count);
  const mcvs = complete ? track.length : commonEnough(counts, stadistinct, nullFraction, rows, totalRows);
  const slots: StatsSlot[] = [];
  if (mcvs > 0) {
    const common = track.slice(0, mcvs);
    slots.push({
      kind: STATISTIC_KIND_MCV,
      op: type.eqopr,
      collation: type.collation,
      numbers: common.map(item => item.count / rows),
      values: common.map(item => item.value),
    });
  }
  return { nullFraction, width: tally.width, distinct: stadistinct, slots };
}

/** Counts the value among those tracked, most frequent first; a new one pushes out the oldest that was seen once. */
function trackValue(track: { value: Datum; count: number }[], most: number, value: Datum, equal: Equality): void {
  let firstSingle = track.length;
  for (let j = 0; j < track.length; j++) {
    const item = track[j]!;
    if (equal(value, item.value)) {
      item.count++;
      for (; j > 0 && item.count > track[j - 1]!.count; j--) track[j] = track[j - 1]!;
      track[j] = item;
      return;
    }
    if (item.count === 1 && firstSingle === track.length) firstSingle = j;
  }
  if (track.length >= most) {
    if (firstSingle >= most) return;
    track.pop();
  }
  track.splice(firstSingle, 0, { value, count: 1 });
}

// ---- estimates ------------------------------------------------------------------------------------------

interface Population {
  readonly nullFraction: number;
  /** Rows of the sample whose value is not null. */
  readonly sampled: number;
  readonly totalRows: number;
}

/**
 * How many different values the table has: Haas and Stokes's Duj1 (IBM Research Report RJ 10025). `all`: the sample has every
 * one of them, as each came more than once.
 */
function estimateDistinct(
  { nullFraction, sampled, totalRows }: Population,
  multiple: number,
  singles: number,
  all: number | undefined,
): number {
  let estimate: number;
  if (multiple === 0) estimate = -1 * (1 - nullFraction);
  else if (all !== undefined) estimate = all;
  else {
    const d = singles + multiple;
    const total = totalRows * (1 - nullFraction);
    let guess = total > 0 ? (sampled * d) / (sampled - singles + (singles * sampled) / total) : 0;
    if (guess < d) guess = d;
    if (guess > total) guess = total;
    estimate = Math.floor(guess + 0.5);
  }
  // Many different values will be more when there are more rows.
  const stored = Math.fround(estimate);
  return stored > 0.1 * totalRows ? Math.fround(-(stored / totalRows)) : stored;
}

/**
 * How many of the most common values are worth storing (analyze_mcv_list): those that come significantly more often than a
 * value that is not in the list will be taken to.
 */
function commonEnough(
  counts: readonly number[],
  distinct: number,
  nullFraction: number,
  rows: number,
  totalRows: number,
): number {
  let kept = counts.length;
  if (kept === 0 || rows === totalRows || totalRows <= 1) return kept;
  const inTable = distinct < 0 ? -distinct * totalRows : distinct;
  let moreCommon = 0;
  for (let i = 0; i < kept - 1; i++) moreCommon += counts[i]!;
  while (kept > 0) {
    const count = counts[kept - 1]!;
    let selectivity = Math.min(1, Math.max(0, 1 - moreCommon / rows - nullFraction));
    const others = inTable - (kept - 1);
    if (others > 1) selectivity /= others;
    // The sample is hypergeometric; two standard deviations and a continuity correction above the others will do.
    const inAll = (totalRows * count) / rows;
    const variance =
      (rows * inAll * (totalRows - inAll) * (totalRows - rows)) / (totalRows * totalRows * (totalRows - 1));
    if (count > selectivity * rows + 2 * Math.sqrt(variance) + 0.5) break;
    kept--;
    if (kept > 0) moreCommon -= counts[kept - 1]!;
  }
  return kept;
}

/** Stored instead of a slot that is not used. */
export const EMPTY_SLOT: StatsSlot = { kind: 0, op: INVALID_OID, collation: INVALID_OID };
