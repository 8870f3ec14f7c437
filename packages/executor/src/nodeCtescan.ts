/**
 * CTEs: the WITH query runs once, as far as its readers ask; its rows are kept for all of them, those beyond work_mem on disk.
 */
import { assert } from '@pgtroupe/common/assert';
import type { CteScan, WorkTableScan } from '@pgtroupe/optimizer/plannodes';
import type { Column, TupleLane } from './batch.ts';
import { type ChangedParams, type EState, type PlanState, ROWS_STAY_UNTIL_NEXT, type RowsStay } from './estate.ts';
import { readColumn } from './execExpr.ts';
import { ScanState } from './execScan.ts';
import { RowWriter } from './rowstore.ts';
import { makeScope, type SubPlanFactory } from './scope.ts';
import { BATCH_ROWS, END, ROW } from './status.ts';
import { TupleStore, TupleStoreReader } from './tuplestore.ts';

/** The rows of one CTE, shared by its scans. */
export class CteStore {
  readonly store: TupleStore;
  readonly writer: RowWriter;
  readonly child: PlanState;
  complete = false;
  /** Changes when the rows are forgotten: scans that stood in them begin anew. */
  generation = 0;
  #pending = 0;
  #row = 0;

  constructor(est: EState, child: PlanState, factory: SubPlanFactory) {
    this.child = child;
    this.store = new TupleStore(est.env);
    const scope = makeScope(est, factory, { outer: child.out.columns });
    this.writer = new RowWriter(est, child.out.columns, column => readColumn(scope, column));
  }

  /** Fetches more rows into the store. Who asks may be another one than before something was waited for. */
  pull(limit = BATCH_ROWS): number {
    if (this.complete) return END;
    if (this.store.full) return this.store.wait();
    if (this.#row >= this.#pending) {
      const status = this.child.pull(limit);
      if (status !== ROW) {
        if (status === END) this.complete = true;
        return status;
      }
      this.#pending = this.child.out.n;
      this.#row = 0;
    }
    for (; this.#row < this.#pending; this.#row++) this.store.write(this.writer, this.#row);
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
  protected readonly lane: TupleLane;
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
    this.lane = this.input.addTupleLane(writer.newLane());
    this.#columns = writer.columns(this.lane);
    this.compile();
  }

  protected override scanColumn(attnum: number): Column {
    if (attnum > 0) return this.#columns[attnum - 1]!;
    return this.wholeRow(this.#columns.map((column, i) => ({ column, name: this.#names[i] ?? '' })));
  }
}

export class CteScanState extends StoreScanState {
  readonly #cte: CteStore;
  readonly #reader: TupleStoreReader;
  #generation = -1;

  constructor(est: EState, plan: CteScan, factory: SubPlanFactory, cte: CteStore, names: readonly string[]) {
    super(est, plan, factory, cte.writer, names);
    this.#cte = cte;
    this.#reader = new TupleStoreReader(cte.store);
  }

  protected override fill(max: number): number {
    if (this.#generation !== this.#cte.generation) {
      this.#generation = this.#cte.generation;
      this.#reader.rewind();
    }
    for (;;) {
      const n = this.#reader.read(this.lane.ptrs, Math.min(max, BATCH_ROWS));
      this.input.n = Math.max(n, 0);
      if (n !== 0) return n > 0 ? ROW : n;
      const status = this.#cte.pull(max);
      if (status !== ROW) return status;
    }
  }

  protected override reset(changed: ChangedParams): void {
    super.reset(changed);
    this.#reader.rewind();
  }

  override get rowsStay(): RowsStay {
    return ROWS_STAY_UNTIL_NEXT;
  }

  override release(): void {
    this.#reader.rewind();
    super.release();
  }
}

/** What a recursive union hands its recursive term: the rows of the last round. */
export interface WorkTable {
  store: TupleStore | null;
  readonly writer: RowWriter;
}

export class WorkTableScanState extends StoreScanState {
  readonly #table: WorkTable;
  #reader: TupleStoreReader | undefined;

  constructor(est: EState, plan: WorkTableScan, factory: SubPlanFactory, table: WorkTable, names: readonly string[]) {
    super(est, plan, factory, table.writer, names);
    this.#table = table;
  }

  protected override fill(max: number): number {
    assert(this.#table.store !== null, 'working table scanned outside of its union');
    this.#reader ??= new TupleStoreReader(this.#table.store);
    const n = this.#reader.read(this.lane.ptrs, Math.min(max, BATCH_ROWS));
    this.input.n = Math.max(n, 0);
    return n > 0 ? ROW : n;
  }

  override get rowsStay(): RowsStay {
    return ROWS_STAY_UNTIL_NEXT;
  }

  protected override reset(changed: ChangedParams): void {
    super.reset(changed);
    this.#forget();
  }

  override release(): void {
    this.#forget();
    super.release();
  }

  /** The next round reads another store. */
  #forget(): void {
    this.#reader?.rewind();
    this.#reader = undefined;
  }
}
