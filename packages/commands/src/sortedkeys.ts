/**
 * The keys of a table's rows on their way into a new index: gathered, sorted in index order.
 *
 * A single integer key, the usual primary key, is kept in typed arrays; anything else as Datums.
 * Entries of equal keys are in TID order. Keys that come in order already need no sort.
 */
import { ATT_INT4 } from '@pgtroupe/access/common/tupmacs';
import { type BTIndex, CMP_INT4, INDOPTION_DESC, INDOPTION_NULLS_FIRST } from '@pgtroupe/access/nbtree/btindex';
import type { BTBuild } from '@pgtroupe/access/nbtree/nbtsort';
import type { Datum } from '@pgtroupe/common/datum';
import { type Slices, sortInSlices } from '@pgtroupe/common/slices';

const INITIAL_ROWS = 1024;

export class SortedKeys {
  readonly #index: BTIndex;
  length = 0;
  #blocks = new Uint32Array(INITIAL_ROWS);
  #offsets = new Uint16Array(INITIAL_ROWS);
  /** Single int4 keys while none is null; otherwise `#rows`. */
  #ints: Int32Array | undefined;
  #rows: (readonly Datum[])[] = [];
  /** Rows in index order; undefined: as they came. */
  #order: number[] | undefined;
  #ordered = true;

  constructor(index: BTIndex) {
    this.#index = index;
    const plain =
      index.nkeyatts === 1 &&
      index.natts === 1 &&
      index.mode[0] === CMP_INT4 &&
      index.option[0] === 0 &&
      index.layout.kind[0] === ATT_INT4;
    this.#ints = plain ? new Int32Array(INITIAL_ROWS) : undefined;
  }

  /** Keys are single integers so far: `addOne` takes them. */
  get single(): boolean {
    return this.#ints !== undefined;
  }

  addOne(value: Datum, block: number, offset: number): void {
    if (this.#ints === undefined || value === null) {
      this.add([value], block, offset);
      return;
    }
    const n = this.#place(block, offset);
    const key = value as number;
    this.#ints[n] = key;
    if (this.#ordered && n > 0 && this.#compare(n - 1, n) > 0) this.#ordered = false;
  }

  add(values: readonly Datum[], block: number, offset: number): void {
    const n = this.#place(block, offset);
    if (this.#ints !== undefined) this.#leaveInts(n);
    this.#rows.push(values);
    if (this.#ordered && n > 0 && this.#compare(n - 1, n) > 0) this.#ordered = false;
  }

  #place(block: number, offset: number): number {
    const n = this.length++;
    if (n === this.#blocks.length) this.#grow();
    this.#blocks[n] = block;
    this.#offsets[n] = offset;
    return n;
  }

  #grow(): void {
    const size = 2 * this.#blocks.length;
    const blocks = new Uint32Array(size);
    const offsets = new Uint16Array(size);
    blocks.set(this.#blocks);
    offsets.set(this.#offsets);
    this.#blocks = blocks;
    this.#offsets = offsets;
    if (this.#ints === undefined) return;
    const ints = new Int32Array(size);
    ints.set(this.#ints);
    this.#ints = ints;
  }

  #leaveInts(n: number): void {
    for (let i = 0; i < n; i++) this.#rows.push([this.#ints![i]!]);
    this.#ints = undefined;
  }

  *sort(): Slices<void> {
    if (this.#ordered) return;
    const order = Array.from({ length: this.length }, (_, n) => n);
    yield* sortInSlices(order, (a, b) => this.#compare(a, b));
    this.#order = order;
  }

  /** Of two rows in the order that they came in: by key, then by TID. */
  #compare(a: number, b: number): number {
    const ints = this.#ints;
    const order = ints === undefined ? this.#compareValues(this.#rows[a]!, this.#rows[b]!) : ints[a]! - ints[b]!;
    return order || this.#blocks[a]! - this.#blocks[b]! || this.#offsets[a]! - this.#offsets[b]!;
  }

  #row(n: number): number {
    return this.#order === undefined ? n : this.#order[n]!;
  }

  /** Hands the n-th entry in index order to the build. */
  addTo(build: BTBuild, n: number): void {
    const row = this.#row(n);
    if (this.#ints !== undefined) build.addInt4(this.#ints[row]!, this.#blocks[row]!, this.#offsets[row]!);
    else build.add(this.#rows[row]!, this.#blocks[row]!, this.#offsets[row]!);
  }

  /** Key and included columns of the n-th entry in index order. */
  values(n: number): readonly Datum[] {
    const row = this.#row(n);
    return this.#ints === undefined ? this.#rows[row]! : [this.#ints[row]!];
  }

  /** Index of an entry whose key equals the one before it and has no nulls, or -1. */
  firstDuplicate(): number {
    const ints = this.#ints;
    if (ints !== undefined) {
      for (let n = 1; n < this.length; n++) if (ints[this.#row(n)] === ints[this.#row(n - 1)]) return n;
      return -1;
    }
    for (let n = 1; n < this.length; n++) {
      const values = this.values(n);
      if (this.#compareValues(this.values(n - 1), values) !== 0) continue;
      const keys = values.slice(0, this.#index.nkeyatts);
      if (this.#index.nullsNotDistinct || keys.every(key => key !== null)) return n;
    }
    return -1;
  }

  #compareValues(a: readonly Datum[], b: readonly Datum[]): number {
    const { nkeyatts, compare, option } = this.#index;
    for (let k = 0; k < nkeyatts; k++) {
      const x = a[k]!;
      const y = b[k]!;
      if (x === null || y === null) {
        if (x === y) continue;
        const nullsFirst = (option[k]! & INDOPTION_NULLS_FIRST) !== 0;
        return (x === null) === nullsFirst ? -1 : 1;
      }
      const order = compare[k]!(x, y);
      if (order !== 0) return (option[k]! & INDOPTION_DESC) !== 0 ? -order : order;
    }
    return 0;
  }
}
