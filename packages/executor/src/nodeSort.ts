/**
 * Sort: stores its input's rows, sorts them, delivers them. Below a LIMIT it keeps only as many as are wanted.
 */
import type { Sort } from '@pgtroupe/optimizer/plannodes';
import type { TupleLane } from './batch.ts';
import { type ChangedParams, type EState, PlanState, ROWS_STAY_UNTIL_RESCAN, type RowsStay } from './estate.ts';
import { readColumn } from './execExpr.ts';
import { sortKey } from './keys.ts';
import { addStoredColumns, RowStore, RowWriter } from './rowstore.ts';
import { makeScope, type SubPlanFactory } from './scope.ts';
import { BATCH_ROWS, END, ROW, YIELD } from './status.ts';
import { TupleSort } from './tuplesort.ts';

const LOADING = 0;
const SORTING = 1;
const READY = 2;
/** A bounded sort's store is rewritten when it holds this many times what is kept. */
const GARBAGE_FACTOR = 8;

export class SortState extends PlanState {
  #store: RowStore;
  readonly #writer: RowWriter;
  readonly #lane: TupleLane;
  readonly #sort: TupleSort;
  readonly #shouldYield: () => boolean;
  /** Tells how many rows will be asked for. */
  bound: (() => number) | null = null;
  #limit = 0;
  #state = LOADING;
  #next = 0;
  /** Next row of the child's batch to store. */
  #row = 0;

  constructor(est: EState, plan: Sort, factory: SubPlanFactory, child: PlanState) {
    super(est, plan);
    this.children.push(child);
    const scope = makeScope(this, factory, { outer: child.out.columns });
    this.#store = new RowStore(est.env.arena);
    this.#writer = new RowWriter(est, child.out.columns, column => readColumn(scope, column));
    this.#lane = addStoredColumns(this.out, this.#writer);
    const keys = plan.sortColIdx.map((_, i) =>
      sortKey(est, plan.sortOperators[i]!, plan.collations[i]!, plan.nullsFirst[i]!),
    );
    this.#sort = new TupleSort(
      est.env.mem,
      this.#writer.desc,
      plan.sortColIdx.map(c => this.#writer.attnums[c - 1]!),
      keys,
    );
    this.#shouldYield = () => est.env.shouldYield();
  }

  next(max: number): number {
    if (this.#state === LOADING) {
      const status = this.#load();
      if (status !== END) return status;
      this.#state = SORTING;
    }
    if (this.#state === SORTING) {
      if (!this.#sort.step(this.#shouldYield)) return YIELD;
      this.#state = READY;
    }
    const n = Math.min(max, this.#sort.count - this.#next);
    if (n <= 0) return END;
    const { ptrs } = this.#lane;
    for (let i = 0; i < n; i++) ptrs[i] = this.#sort.at(this.#next + i);
    this.#next += n;
    this.out.n = n;
    return ROW;
  }

  #load(): number {
    const child = this.children[0]!;
    if (this.#limit === 0) {
      const wanted = this.bound === null ? Infinity : this.bound();
      this.#limit = wanted > 10_000 ? Infinity : Math.max(1, wanted);
    }
    for (;;) {
      if (this.#row >= child.out.n) {
        const status = child.pull();
        this.#row = 0;
        if (status !== ROW) {
          child.out.n = 0;
          return status;
        }
      }
      const { n } = child.out;
      if (this.#limit === Infinity)
        for (; this.#row < n; this.#row++) this.#sort.add(this.#writer.write(this.#store, this.#row));
      else this.#loadBounded(n);
      if (this.#shouldYield()) return YIELD;
    }
  }

  #loadBounded(n: number): void {
    for (; this.#row < n; this.#row++) {
      // Written first to be compared; what is not wanted is garbage until the store is rewritten.
      const ptr = this.#writer.write(this.#store, this.#row);
      if (this.#sort.count < this.#limit || this.#sort.wanted(ptr)) this.#sort.addBounded(ptr, this.#limit);
    }
    if (this.#store.count > GARBAGE_FACTOR * (this.#limit + BATCH_ROWS)) {
      const fresh = new RowStore(this.est.env.arena);
      this.#sort.relocate(ptr => fresh.copy(ptr));
      this.#store.free();
      this.#store = fresh;
    }
  }

  override get rowsStay(): RowsStay {
    return ROWS_STAY_UNTIL_RESCAN;
  }

  protected override reset(changed: ChangedParams): void {
    this.#next = 0;
    if (changed !== null && this.#state === READY && this.#limit === Infinity && !this.children[0]!.dependsOn(changed))
      return;
    this.#state = LOADING;
    this.#limit = 0;
    this.#store.clear();
    this.#sort.clear();
    this.children[0]!.out.n = 0;
    super.reset(changed);
  }

  override suspend(): void {
    this.holdInput(this.#row);
    super.suspend();
  }

  override release(): void {
    this.#store.free();
    this.#sort.clear();
    this.#state = LOADING;
    super.release();
  }
}
