/**
 * CTEs: the WITH query runs once, as far as its readers ask; its rows are kept for all of them.
 */
import { assert } from '@pgtroupe/common/assert';
import type { CteScan, WorkTableScan } from '@pgtroupe/optimizer/plannodes';
import type { Column, TupleLane } from './batch.ts';
import { type ChangedParams, type EState, type PlanState, ROWS_STAY_UNTIL_RESCAN, type RowsStay } from './estate.ts';
import { readColumn } from './execExpr.ts';
import { ScanState } from './execScan.ts';
import { RowStore, RowWriter, StorePosition } from './rowstore.ts';
import { makeScope, type SubPlanFactory } from './scope.ts';
import { BATCH_ROWS, END, ROW } from './status.ts';

/** The rows of one CTE, shared by its scans. */
export class CteStore {
  readonly store: RowStore;
  readonly writer: RowWriter;
  readonly child: PlanState;
  complete = false;
  /** Changes when the rows are forgotten: scans that stood in them begin anew. */
  generation = 0;
  #pending = 0;
  #row = 0;

  constructor(est: EState, child: PlanState, factory: SubPlanFactory) {
    this.child = child;
    this.store = new RowStore(est.env.arena);
    const scope = makeScope(est, factory, { outer: child.out.columns });
    this.writer = new RowWriter(est, child.out.columns, column => readColumn(scope, column));
  }

  /** Fetches more rows into the store. Who asks may be another one than before something was waited for. */
  pull(limit = BATCH_ROWS): number {
    if (this.complete) return END;
    if (this.#row >= this.#pending) {
      const status = this.child.pull(limit);
      if (status !== ROW) {
        if (status === END) this.complete = true;
        return status;
      }
      this.#pending = this.child.out.n;
      this.#row = 0;
    }
    for (; this.#row < this.#pending; this.#row++) this.writer.write(this.store, this.#row);
    this.#pending = 0;
    this.#row = 0;
    return ROW;
  }

  reset(): void {
    this.store.clear();
    this.complete = false;
    this.#pending = 0;
    this.#row = 0;
    this.generation++;
  }

  free(): void {
    this.store.free();
    this.complete = false;
    this.generation++;
  }
}

abstract class StoreScanState extends ScanState {
  protected readonly writer: RowWriter;
  readonly #lane: TupleLane;
  readonly #columns: readonly Column[];
  readonly #names: readonly string[];

  constructor(
    est: EState,
    plan: CteScan | WorkTableScan,
    factory: SubPlanFactory,
    writer: RowWriter,
    names: readonly string[],
  ) {
    super(est, plan, factory);
    this.writer = writer;
    this.#names = names;
    this.#lane = this.input.addTupleLane(writer.newLane());
    this.#columns = writer.columns(this.#lane);
    this.compile();
  }

  protected override scanColumn(attnum: number): Column {
    if (attnum > 0) return this.#columns[attnum - 1]!;
    return this.wholeRow(this.#columns.map((column, i) => ({ column, name: this.#names[i] ?? '' })));
  }

  override get rowsStay(): RowsStay {
    return ROWS_STAY_UNTIL_RESCAN;
  }

  protected readStore(store: RowStore, where: StorePosition, max: number): number {
    const { ptrs } = this.#lane;
    let n = 0;
    while (n < max) {
      const ptr = store.next(where);
      if (ptr === 0) break;
      ptrs[n++] = ptr;
    }
    this.input.n = n;
    return n;
  }
}

export class CteScanState extends StoreScanState {
  readonly #cte: CteStore;
  #where = new StorePosition();
  #generation = -1;

  constructor(est: EState, plan: CteScan, factory: SubPlanFactory, cte: CteStore, names: readonly string[]) {
    super(est, plan, factory, cte.writer, names);
    this.#cte = cte;
  }

  protected override fill(max: number): number {
    if (this.#generation !== this.#cte.generation) {
      this.#generation = this.#cte.generation;
      this.#where = new StorePosition();
    }
    for (;;) {
      if (this.readStore(this.#cte.store, this.#where, Math.min(max, BATCH_ROWS)) > 0) return ROW;
      const status = this.#cte.pull(max);
      if (status !== ROW) return status;
    }
  }

  protected override reset(changed: ChangedParams): void {
    super.reset(changed);
    this.#where = new StorePosition();
  }
}

/** What a recursive union hands its recursive term: the rows of the last round. */
export interface WorkTable {
  store: RowStore | null;
  readonly writer: RowWriter;
}

export class WorkTableScanState extends StoreScanState {
  readonly #table: WorkTable;
  #where = new StorePosition();

  constructor(est: EState, plan: WorkTableScan, factory: SubPlanFactory, table: WorkTable, names: readonly string[]) {
    super(est, plan, factory, table.writer, names);
    this.#table = table;
  }

  protected override fill(max: number): number {
    assert(this.#table.store !== null, 'working table scanned outside of its union');
    return this.readStore(this.#table.store, this.#where, Math.min(max, BATCH_ROWS)) > 0 ? ROW : END;
  }

  protected override reset(changed: ChangedParams): void {
    super.reset(changed);
    this.#where = new StorePosition();
  }
}
