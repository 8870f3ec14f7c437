/**
 * WITH RECURSIVE: the first term's rows, then the second term's over the rows of the round before, until a
 * round yields nothing. A round's rows are kept for the next one, beyond work_mem on disk. UNION drops rows that were there
 * already: those stay in memory, as PostgreSQL's do.
 */
import type { RecursiveUnion } from '@pgtroupe/optimizer/plannodes';
import type { TupleLane } from './batch.ts';
import { type ChangedParams, type EState, PlanState, ROWS_STAY_UNTIL_NEXT, type RowsStay } from './estate.ts';
import { readColumn } from './execExpr.ts';
import { type Equal, equalityOf, type Hash, hashOf, notDistinct } from './keys.ts';
import type { WorkTable } from './nodeCtescan.ts';
import { RowHash } from './rowhash.ts';
import { addStoredColumns, RowStore, RowWriter } from './rowstore.ts';
import { columnReaders, makeScope, type SubPlanFactory } from './scope.ts';
import { BATCH_ROWS, END, ROW, YIELD } from './status.ts';
import { TupleStore } from './tuplestore.ts';
import type { RowReader } from './batch.ts';

export class RecursiveUnionState extends PlanState {
  readonly table: WorkTable;
  #recursive!: PlanState;
  readonly #initial: PlanState;
  readonly #lane: TupleLane;
  readonly #wtParam: ReadonlySet<number>;
  /** The rows that are handed out. */
  readonly #handed: RowStore;
  /** Rows of this round, to be the working table of the next. */
  #intermediate: TupleStore;
  /** UNION: every row so far. */
  readonly #seenStore: RowStore;
  readonly #seen: RowHash;
  readonly #distinct: boolean;
  readonly #hash: readonly Hash[];
  readonly #equal: readonly Equal[];
  readonly #storedReaders: readonly RowReader[];
  readonly #columns: readonly number[];
  #sources: { readonly state: PlanState; readonly writer: RowWriter; readonly readers: readonly RowReader[] }[] = [];
  readonly #factory: SubPlanFactory;
  #recursing = false;
  #row = 0;
  #roundEmpty = true;

  constructor(est: EState, plan: RecursiveUnion, factory: SubPlanFactory, initial: PlanState) {
    super(est, plan);
    this.#initial = initial;
    this.#factory = factory;
    this.children.push(initial);
    this.#wtParam = new Set([plan.wtParam]);
    // All rows are formed alike, whichever term they come from.
    const types = initial.out.columns
      .slice(0, plan.targetlist.length)
      .map(c => ({ kind: 'const' as const, type: c.type, value: () => null }));
    const scope = makeScope(this, factory, {});
    const shape = new RowWriter(est, types, column => readColumn(scope, column));
    this.table = { store: null, writer: shape };
    this.#lane = addStoredColumns(this.out, shape);
    this.#handed = new RowStore(est.env.arena);
    this.#intermediate = new TupleStore(est.env);
    this.#seenStore = new RowStore(est.env.arena);
    this.#seen = new RowHash(this.#seenStore);
    this.#distinct = plan.dupColIdx.length > 0;
    this.#columns = plan.dupColIdx.map(c => c - 1);
    this.#hash = plan.dupColIdx.map((c, i) =>
      hashOf(est, plan.dupOperators[i]!, types[c - 1]!.type.typid, plan.dupCollations[i]!),
    );
    this.#equal = plan.dupOperators.map((op, i) => notDistinct(equalityOf(est, op, plan.dupCollations[i]!)));
    this.#storedReaders = columnReaders(scope, this.out.columns);
    this.#addSource(initial);
  }

  /** The recursive term is built after the union, whose working table it scans. */
  setRecursive(state: PlanState): void {
    this.#recursive = state;
    this.children.push(state);
    this.#addSource(state);
  }

  #addSource(state: PlanState): void {
    const scope = makeScope(this, this.#factory, { outer: state.out.columns });
    this.#sources.push({
      state,
      writer: this.table.writer,
      readers: columnReaders(scope, state.out.columns.slice(0, this.out.columns.length)),
    });
  }

  next(max: number): number {
    for (;;) {
      const source = this.#sources[this.#recursing ? 1 : 0]!;
      const { state } = source;
      if (this.#intermediate.full) return this.#intermediate.wait();
      if (this.#row >= state.out.n) {
        const status = state.pull();
        if (status !== ROW) {
          state.out.n = 0;
          this.#row = 0;
          if (status !== END) return status;
          if (!this.#nextRound()) return END;
          continue;
        }
        this.#row = 0;
      }
      const { ptrs } = this.#lane;
      let n = 0;
      this.#handed.clear();
      while (this.#row < state.out.n && n < max) {
        const values = source.readers.map(read => read(this.#row));
        this.#row++;
        const ptr = source.writer.writeValues(this.#handed, values);
        if (this.#distinct && !this.#isNew(ptr)) continue;
        this.#intermediate.copy(ptr);
        ptrs[n++] = ptr;
        this.#roundEmpty = false;
      }
      if (n > 0) {
        this.out.n = n;
        return ROW;
      }
      if (this.est.env.shouldYield()) return YIELD;
    }
  }

  #isNew(ptr: number): boolean {
    const { ptrs } = this.#lane;
    const probe = BATCH_ROWS;
    const other = BATCH_ROWS + 1;
    ptrs[probe] = ptr;
    let h = 0;
    for (let i = 0; i < this.#columns.length; i++) {
      const value = this.#storedReaders[this.#columns[i]!]!(probe);
      h = (Math.imul(h, 31) + (value === null ? 1 : this.#hash[i]!(value))) | 0;
    }
    for (let at = this.#seen.first(h); at !== 0; at = this.#seen.next(at)) {
      if (this.#seen.hashAt(at) !== h) continue;
      ptrs[other] = at;
      if (
        this.#columns.every((c, i) => this.#equal[i]!(this.#storedReaders[c]!(probe), this.#storedReaders[c]!(other)))
      )
        return false;
    }
    this.#seen.add(this.#seenStore.copy(ptr), h);
    return true;
  }

  #nextRound(): boolean {
    if (this.#roundEmpty) return false;
    const old = this.table.store;
    this.table.store = this.#intermediate;
    this.#intermediate = old ?? new TupleStore(this.est.env);
    // Who read the old one gives it up.
    this.#recursive.rescan(this.#wtParam);
    old?.clear();
    this.#recursing = true;
    this.#roundEmpty = true;
    return true;
  }

  override get rowsStay(): RowsStay {
    return ROWS_STAY_UNTIL_NEXT;
  }

  protected override reset(changed: ChangedParams): void {
    this.#recursing = false;
    this.#row = 0;
    this.#roundEmpty = true;
    this.#handed.clear();
    this.#seenStore.clear();
    this.#seen.clear();
    for (const { state } of this.#sources) state.out.n = 0;
    this.#initial.rescan(changed);
    this.#recursive.rescan(changed);
    this.#intermediate.clear();
    this.table.store?.free();
    this.table.store = null;
  }

  override suspend(): void {
    for (const { state } of this.#sources) state.out.hold(Math.min(this.#row, state.out.n), this.est.env.arena);
    super.suspend();
  }

  override release(): void {
    super.release();
    this.#handed.free();
    this.#intermediate.free();
    this.#seenStore.free();
    this.#seen.clear();
    this.table.store?.free();
    this.table.store = null;
  }
}
