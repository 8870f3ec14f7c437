/**
 * Material: keeps its input's rows, so that they can be read again and again; those beyond work_mem on disk.
 */
import type { Material } from '@pgtroupe/optimizer/plannodes';
import type { TupleLane } from './batch.ts';
import { type ChangedParams, type EState, PlanState, ROWS_STAY_UNTIL_NEXT, type RowsStay } from './estate.ts';
import { readColumn } from './execExpr.ts';
import { addStoredColumns, RowWriter } from './rowstore.ts';
import { makeScope, type SubPlanFactory } from './scope.ts';
import { END, ROW } from './status.ts';
import { TupleStore, TupleStoreReader } from './tuplestore.ts';

export class MaterialState extends PlanState {
  readonly #store: TupleStore;
  readonly #reader: TupleStoreReader;
  readonly #writer: RowWriter;
  readonly #lane: TupleLane;
  #complete = false;
  /** Next row of the child's batch to store. */
  #row = 0;

  constructor(est: EState, plan: Material, factory: SubPlanFactory, child: PlanState) {
    super(est, plan);
    this.children.push(child);
    const scope = makeScope(this, factory, { outer: child.out.columns });
    this.#store = new TupleStore(est.env);
    this.#reader = new TupleStoreReader(this.#store);
    this.#writer = new RowWriter(est, child.out.columns, column => readColumn(scope, column));
    this.#lane = addStoredColumns(this.out, this.#writer);
  }

  next(max: number): number {
    const { ptrs } = this.#lane;
    for (;;) {
      const n = this.#reader.read(ptrs, max);
      if (n > 0) {
        this.out.n = n;
        return ROW;
      }
      if (n < 0) return n;
      if (this.#complete) return END;
      if (this.#store.full) return this.#store.wait();
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
      for (; this.#row < child.out.n; this.#row++) this.#store.write(this.#writer, this.#row);
    }
  }

  /** Rows that are on disk stay until the next call; as long as there are none, all stay while they are kept. */
  get spilled(): boolean {
    return this.#store.spilled;
  }

  override get rowsStay(): RowsStay {
    return ROWS_STAY_UNTIL_NEXT;
  }

  protected override reset(changed: ChangedParams): void {
    this.#reader.rewind();
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
    this.#reader.rewind();
    this.#store.free();
    this.#complete = false;
    super.release();
  }
}
