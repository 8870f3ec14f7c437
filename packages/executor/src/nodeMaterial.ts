/**
 * Material: keeps its input's rows, so that they can be read again and again.
 */
import type { Material } from '@pgtroupe/optimizer/plannodes';
import type { TupleLane } from './batch.ts';
import { type ChangedParams, type EState, PlanState, ROWS_STAY_UNTIL_RESCAN, type RowsStay } from './estate.ts';
import { readColumn } from './execExpr.ts';
import { addStoredColumns, RowStore, RowWriter, StorePosition } from './rowstore.ts';
import { makeScope, type SubPlanFactory } from './scope.ts';
import { END, ROW } from './status.ts';

export class MaterialState extends PlanState {
  readonly #store: RowStore;
  readonly #writer: RowWriter;
  readonly #lane: TupleLane;
  #where = new StorePosition();
  #complete = false;
  /** Next row of the child's batch to store. */
  #row = 0;

  constructor(est: EState, plan: Material, factory: SubPlanFactory, child: PlanState) {
    super(est, plan);
    this.children.push(child);
    const scope = makeScope(this, factory, { outer: child.out.columns });
    this.#store = new RowStore(est.env.arena);
    this.#writer = new RowWriter(est, child.out.columns, column => readColumn(scope, column));
    this.#lane = addStoredColumns(this.out, this.#writer);
  }

  next(max: number): number {
    let n = 0;
    const { ptrs } = this.#lane;
    for (;;) {
      while (n < max) {
        const ptr = this.#store.next(this.#where);
        if (ptr === 0) break;
        ptrs[n++] = ptr;
      }
      if (n > 0) {
        this.out.n = n;
        return ROW;
      }
      if (this.#complete) return END;
      const child = this.children[0]!;
      if (this.#row >= child.out.n) {
        const status = child.next(max);
        this.#row = 0;
        if (status !== ROW) {
          child.out.n = 0;
          if (status === END) this.#complete = true;
          return status;
        }
      }
      for (; this.#row < child.out.n; this.#row++) this.#writer.write(this.#store, this.#row);
    }
  }

  override get rowsStay(): RowsStay {
    return ROWS_STAY_UNTIL_RESCAN;
  }

  protected override reset(changed: ChangedParams): void {
    this.#where = new StorePosition();
    // The same rows would come again: keep them.
    if (!this.children[0]!.dependsOn(changed)) return;
    this.#store.clear();
    this.#complete = false;
    this.children[0]!.out.n = 0;
    super.reset(changed);
  }

  override suspend(): void {
    this.holdInput(this.#row);
    super.suspend();
  }

  override release(): void {
    this.#store.free();
    this.#complete = false;
    super.release();
  }
}
