/**
 * Unique: of rows that come sorted, the first of each group of equals.
 */
import type { Datum } from '@pgtroupe/common/datum';
import type { Unique } from '@pgtroupe/optimizer/plannodes';
import { detach, type RowReader } from './batch.ts';
import { type ChangedParams, type EState, PlanState } from './estate.ts';
import { readColumn } from './execExpr.ts';
import { type Equal, equalityOf, notDistinct } from './keys.ts';
import { makeScope, type SubPlanFactory } from './scope.ts';
import { ROW, YIELD } from './status.ts';

export class UniqueState extends PlanState {
  readonly #readers: readonly RowReader[];
  readonly #equal: readonly Equal[];
  #last: Datum[] | null = null;
  #row = 0;
  #kept = 0;

  constructor(est: EState, plan: Unique, factory: SubPlanFactory, child: PlanState) {
    super(est, plan);
    this.children.push(child);
    const scope = makeScope(this, factory, { outer: child.out.columns });
    this.#readers = plan.uniqColIdx.map(c => readColumn(scope, child.out.columns[c - 1]!));
    this.#equal = plan.uniqOperators.map((op, i) => notDistinct(equalityOf(est, op, plan.uniqCollations[i]!)));
    for (const column of child.out.columns) this.out.addColumn(column);
  }

  next(max: number): number {
    const child = this.children[0]!;
    for (;;) {
      if (this.#row >= child.out.n) {
        const status = child.next(max);
        this.#row = 0;
        this.#kept = 0;
        if (status !== ROW) {
          child.out.n = 0;
          return status;
        }
      }
      for (; this.#row < child.out.n; this.#row++) {
        const row = this.#row;
        if (this.#last !== null && this.#sameAsLast(row)) continue;
        this.#last = this.#readers.map(read => detach(read(row)));
        this.out.move(row, this.#kept++);
      }
      if (this.#kept > 0) {
        this.out.n = this.#kept;
        return ROW;
      }
      if (this.est.env.shouldYield()) return YIELD;
    }
  }

  #sameAsLast(row: number): boolean {
    for (let i = 0; i < this.#readers.length; i++)
      if (!this.#equal[i]!(this.#readers[i]!(row), this.#last![i]!)) return false;
    return true;
  }

  protected override reset(changed: ChangedParams): void {
    this.#last = null;
    this.#row = 0;
    this.children[0]!.out.n = 0;
    super.reset(changed);
  }

  override suspend(): void {
    const { out } = this.children[0]!;
    if (this.#row < out.n) out.hold(0, this.est.env.arena);
    super.suspend();
  }
}
