/**
 * A join's combined rows: lanes of its own that get an outer row's and an inner row's values side by side.
 * Only lanes that the join's expressions or its parent can see are carried.
 */
import { type Batch, type Column, type RowReader, TupleLane, ValueLane } from './batch.ts';

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

  /** This side is null in combined row `to`. */
  nullify(to: number): void {
    for (const t of this.#tuples) t.to.ptrs[to] = 0;
    for (const v of this.#values) v.to.values[to] = null;
    for (const c of this.#computed) c.to.values[to] = null;
  }
}
