/**
 * A join's combined rows: lanes of its own that get an outer row's and an inner row's values side by side.
 * Only lanes that the join's expressions or its parent can see are carried.
 */
import type { Datum } from '@pgtroupe/common/datum';
import { INT8OID } from '@pgtroupe/common/oids';
import { type Batch, type Column, type ColumnType, type RowReader, TupleLane, ValueLane } from './batch.ts';

/** Of tids, which are whole numbers. */
const TID: ColumnType = { typid: INT8OID, typmod: -1, collation: 0 };

interface TupleCopy {
  readonly from: TupleLane;
  readonly to: TupleLane;
}

interface ValueCopy {
  readonly from: ValueLane;
  readonly to: ValueLane;
}

/** One input's part of the combined rows. */
export class LaneCopy {
  readonly columns: readonly Column[];
  readonly #tuples: TupleCopy[] = [];
  readonly #values: ValueCopy[] = [];
  readonly #computed: { readonly read: RowReader; readonly to: ValueLane }[] = [];
  /** Types of `#values`, then those of `#computed`. */
  readonly #valueTypes: ColumnType[] = [];
  readonly #computedTypes: ColumnType[] = [];

  constructor(input: readonly Column[], target: Batch) {
    const tupleLanes = new Map<TupleLane, TupleLane>();
    const valueLanes = new Map<ValueLane, ValueLane>();
    this.columns = input.map((column): Column => {
      if (column.kind === 'attr') {
        let lane = tupleLanes.get(column.lane);
        if (lane === undefined) {
          lane = target.addTupleLane(new TupleLane(column.lane.desc, column.lane.tableOid));
          tupleLanes.set(column.lane, lane);
          this.#tuples.push({ from: column.lane, to: lane });
        }
        if (column.attnum === -1) {
          column.lane.wantTids = true;
          lane.wantTids = true;
        }
        return { ...column, lane };
      }
      // A constant is null in null-extended rows, so it needs a lane; so does what is made from other lanes.
      const source = column.kind === 'value' ? column.lane : new ValueLane(0);
      let lane = valueLanes.get(source);
      if (lane === undefined) {
        lane = target.addValueLane(new ValueLane());
        valueLanes.set(source, lane);
        (column.kind === 'value' ? this.#valueTypes : this.#computedTypes).push(column.type);
        if (column.kind === 'value') this.#values.push({ from: source, to: lane });
        else this.#computed.push({ read: column.kind === 'const' ? column.value : column.read, to: lane });
      }
      return { kind: 'value', type: column.type, lane };
    });
  }

  /** Input row `from` becomes part of combined row `to`. */
  copy(from: number, to: number): void {
    const tuples = this.#tuples;
    for (let i = 0; i < tuples.length; i++) {
      const t = tuples[i]!;
      t.to.ptrs[to] = t.from.ptrs[from]!;
      if (t.to.wantTids) t.to.tids[to] = t.from.tids[from]!;
    }
    const values = this.#values;
    for (let i = 0; i < values.length; i++) values[i]!.to.values[to] = values[i]!.from.values[from]!;
    const computed = this.#computed;
    for (let i = 0; i < computed.length; i++) computed[i]!.to.values[to] = computed[i]!.read(from);
  }

  // ---- an input row apart from its batch: its tuples, and a list of all else ------------------------------------

  get tupleCount(): number {
    return this.#tuples.length;
  }

  /** Types of what `values` gives. */
  get types(): ColumnType[] {
    const tids = this.#tuples.filter(t => t.to.wantTids).map(() => TID);
    return [...this.#valueTypes, ...this.#computedTypes, ...tids];
  }

  /** Of input row `from`: where tuple `n` is, 0 for none. */
  tuple(n: number, from: number): number {
    return this.#tuples[n]!.from.ptrs[from]!;
  }

  values(from: number, into: Datum[]): void {
    let n = 0;
    for (const v of this.#values) into[n++] = v.from.values[from]!;
    for (const c of this.#computed) into[n++] = c.read(from);
    for (const t of this.#tuples) if (t.to.wantTids) into[n++] = t.from.tids[from]!;
  }

  /** Such a row becomes part of combined row `to`. */
  restore(tuples: Int32Array, values: readonly Datum[], to: number): void {
    let n = 0;
    for (const v of this.#values) v.to.values[to] = values[n++]!;
    for (const c of this.#computed) c.to.values[to] = values[n++]!;
    for (let i = 0; i < this.#tuples.length; i++) {
      const lane = this.#tuples[i]!.to;
      lane.ptrs[to] = tuples[i]!;
      if (lane.wantTids) lane.tids[to] = Number(values[n++]!);
    }
  }

  /** This side is null in combined row `to`. */
  nullify(to: number): void {
    for (const t of this.#tuples) t.to.ptrs[to] = 0;
    for (const v of this.#values) v.to.values[to] = null;
    for (const c of this.#computed) c.to.values[to] = null;
  }
}
