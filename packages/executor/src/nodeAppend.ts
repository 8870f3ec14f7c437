/**
 * Append: its inputs one after another, as rows of one shape. An input's columns may lie anywhere, so rows
 * are put into the node's own lanes.
 */
import type { Datum } from '@pgtroupe/common/datum';
import type { Append } from '@pgtroupe/optimizer/plannodes';
import { type RowReader, ValueLane } from './batch.ts';
import { type ChangedParams, type EState, PlanState } from './estate.ts';
import { columnReaders, makeScope, type SubPlanFactory } from './scope.ts';
import { END, ROW } from './status.ts';
import { typeOf } from './execExpr.ts';

export class AppendState extends PlanState {
  readonly #readers: readonly (readonly RowReader[])[];
  readonly #lanes: readonly Datum[][];
  #current = 0;
  /** The current input's batch is not yet put into the lanes. */
  #pending = false;

  constructor(est: EState, plan: Append, factory: SubPlanFactory, children: readonly PlanState[]) {
    super(est, plan);
    this.children.push(...children);
    const scope = makeScope(this, factory, {});
    const width = plan.targetlist.length;
    this.#readers = children.map(child => columnReaders(scope, child.out.columns.slice(0, width)));
    this.#lanes = plan.targetlist.map(tle => {
      const lane = new ValueLane();
      this.out.addColumn({ kind: 'value', type: typeOf(tle.expr), lane });
      return lane.values;
    });
  }

  next(max: number): number {
    while (this.#current < this.children.length) {
      const child = this.children[this.#current]!;
      if (!this.#pending) {
        const status = child.next(max);
        if (status === END) {
          this.#current++;
          continue;
        }
        if (status !== ROW) return status;
        this.#pending = true;
      }
      const { n } = child.out;
      const readers = this.#readers[this.#current]!;
      for (let c = 0; c < readers.length; c++) {
        const values = this.#lanes[c]!;
        const read = readers[c]!;
        for (let row = 0; row < n; row++) values[row] = read(row);
      }
      this.#pending = false;
      this.out.n = n;
      return ROW;
    }
    return END;
  }

  protected override reset(changed: ChangedParams): void {
    this.#current = 0;
    this.#pending = false;
    super.reset(changed);
  }

  override suspend(): void {
    if (this.#pending) this.children[this.#current]!.out.hold(0, this.est.env.arena);
    super.suspend();
  }
}
