/**
 * What arrays consist of (utils/adt/array_typanalyze.c), besides the statistics that every type has: which elements are in
 * the most arrays, found by Lossy Counting (Manku and Motwani, VLDB 2002), and how many different ones an array has.
 */
import { deconstructArray } from '@pgtroupe/adt/arrayutils';
import type { Comparator } from '@pgtroupe/adt/cache/typcache';
import type { TypeFacts } from '@pgtroupe/adt/cache/functioncatalog';
import { STATISTIC_KIND_DECHIST, STATISTIC_KIND_MCELEM } from '@pgtroupe/catalog/catalogs/pg_statistic';
import type { Datum } from '@pgtroupe/common/datum';
import type { Oid } from '@pgtroupe/common/ids';
import type { ColumnSample, StatsSlot } from './attstats.ts';

/** Wider arrays are not looked into. */
export const ARRAY_WIDTH_THRESHOLD = 0x10000;
const ELEMENTS_PER_TARGET = 10;
const SLICE = 32;

/** Elements that can be compared and hashed. */
export interface AnalyzedElement {
  readonly type: TypeFacts;
  readonly eqopr: Oid;
  readonly compare: Comparator;
  hash(value: Datum): number;
}

interface Tracked {
  readonly value: Datum;
  frequency: number;
  readonly delta: number;
  lastArray: number;
}

/** The elements that may be frequent. */
class LossyCounter {
  readonly #element: AnalyzedElement;
  readonly #bucketWidth: number;
  #buckets = new Map<number, Tracked[]>();
  #bucket = 1;
  /** Elements counted, each once for its array. */
  counted = 0;

  constructor(element: AnalyzedElement, bucketWidth: number) {
    this.#element = element;
    this.#bucketWidth = bucketWidth;
  }

  add(value: Datum, array: number): void {
    const hash = this.#element.hash(value);
    const chain = this.#buckets.get(hash);
    const known = chain?.find(item => this.#element.compare(item.value, value) === 0);
    if (known !== undefined) {
      if (known.lastArray === array) return;
      known.frequency++;
      known.lastArray = array;
    } else {
      const own = value instanceof Uint8Array ? value.slice() : value;
      const item = { value: own, frequency: 1, delta: this.#bucket - 1, lastArray: array };
      if (chain === undefined) this.#buckets.set(hash, [item]);
      else chain.push(item);
    }
    this.counted++;
    if (this.counted % this.#bucketWidth === 0) this.#prune();
  }

  #prune(): void {
    for (const [hash, chain] of this.#buckets) {
      const left = chain.filter(item => item.frequency + item.delta > this.#bucket);
      if (left.length === 0) this.#buckets.delete(hash);
      else this.#buckets.set(hash, left);
    }
    this.#bucket++;
  }

  frequent(): Tracked[] {
    const cutoff = Math.floor((9 * this.counted) / this.#bucketWidth);
    return [...this.#buckets.values()].flat().filter(item => item.frequency > cutoff);
  }
}

export async function arraySlots(
  { type, column, rows }: ColumnSample,
  element: AnalyzedElement,
  breathe: () => Promise<void>,
): Promise<readonly StatsSlot[]> {
  const wanted = type.target * ELEMENTS_PER_TARGET;
  const counter = new LossyCounter(element, Math.floor((wanted * 1000) / 7));
  /** Arrays by the number of different elements. */
  const sizes = new Map<number, number>();
  let arrays = 0;
  let withNulls = 0;
  for (let row = 0; row < rows; row++) {
    if (row % SLICE === SLICE - 1) await breathe();
    const array = column.values[row];
    if (array === null || array === undefined) continue;
    arrays++;
    const before = counter.counted;
    let hasNull = false;
    for (const value of deconstructArray(array as Uint8Array, element.type)) {
      if (value === null) hasNull = true;
      else counter.add(value, row);
    }
    if (hasNull) withNulls++;
    const size = counter.counted - before;
    sizes.set(size, (sizes.get(size) ?? 0) + 1);
  }
  if (arrays === 0) return [];
  const { collation } = type;
  const op = element.eqopr;
  const slots: StatsSlot[] = [];
  const frequent = frequentElements(counter, wanted);
  if (frequent.length > 0) {
    const { least, most } = extremes(frequent);
    frequent.sort((a, b) => element.compare(a.value, b.value));
    slots.push({
      kind: STATISTIC_KIND_MCELEM,
      op,
      collation,
      numbers: [...frequent.map(item => item.frequency), least, most, withNulls].map(n => n / arrays),
      values: frequent.map(item => item.value),
      elementType: element.type.oid,
    });
  }
  const numbers = [...sizeHistogram(sizes, arrays, Math.max(type.target, 2)), counter.counted / arrays];
  slots.push({ kind: STATISTIC_KIND_DECHIST, op, collation, numbers });
  return slots;
}

function frequentElements(counter: LossyCounter, wanted: number): Tracked[] {
  const found = counter.frequent();
  if (found.length <= wanted) return found;
  return found.sort((a, b) => b.frequency - a.frequency).slice(0, wanted);
}

function extremes(items: readonly Tracked[]): { readonly least: number; readonly most: number } {
  let least = Infinity;
  let most = 0;
  for (const { frequency } of items) {
    least = Math.min(least, frequency);
    most = Math.max(most, frequency);
  }
  return { least, most };
}

/** `bounds` evenly spaced sizes out of those of all arrays in order. */
function sizeHistogram(sizes: ReadonlyMap<number, number>, arrays: number, bounds: number): number[] {
  const sorted = [...sizes].sort(([a], [b]) => a - b);
  const histogram: number[] = [];
  let j = 0;
  // Where the next size begins, and where the next bound is taken, times (bounds - 1): their difference.
  let ahead = sorted[0]![1] * (bounds - 1);
  for (let i = 0; i < bounds; i++) {
    while (ahead <= 0) ahead += sorted[++j]![1] * (bounds - 1);
    histogram.push(sorted[j]![0]);
    ahead -= arrays - 1;
  }
  return histogram;
}
