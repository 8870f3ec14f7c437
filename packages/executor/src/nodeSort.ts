/**
 * Sort: stores its input's rows, sorts them, delivers them. Below a LIMIT it keeps only as many as are wanted; what takes
 * more than work_mem is sorted in runs on disk.
 */
import type { Sort } from '@pgtroupe/optimizer/plannodes';
import type { TupleLane } from './batch.ts';
import { type ChangedParams, type EState, PlanState, ROWS_STAY_UNTIL_NEXT, type RowsStay } from './estate.ts';
import { readColumn } from './execExpr.ts';
import { ExternalSort, type Waits } from './externalsort.ts';
import { sortKey } from './keys.ts';
import { addStoredColumns, RowStore, RowWriter } from './rowstore.ts';
import { makeScope, type SubPlanFactory } from './scope.ts';
import { BATCH_ROWS, END, ROW, YIELD } from './status.ts';
import { kilobytes } from './tempfile.ts';
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
  #external: ExternalSort | undefined;
  /** A run that is being written, runs that are being merged. */
  #work: Waits | undefined;
  #memoryBytes = Infinity;
  #method = '';

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
      if (this.#external !== undefined) this.#work = this.#finishRuns(this.#external);
    }
    if (this.#state === SORTING) {
      const status = this.#work !== undefined ? this.#goOn() : this.#sort.step(this.#shouldYield) ? END : YIELD;
      if (status !== END) return status;
      this.#state = READY;
      this.#method = this.#methodUsed();
    }
    if (this.#external !== undefined) return this.#nextMerged(this.#external, max);
    const n = Math.min(max, this.#sort.count - this.#next);
    if (n <= 0) return END;
    const { ptrs } = this.#lane;
    for (let i = 0; i < n; i++) ptrs[i] = this.#sort.at(this.#next + i);
    this.#next += n;
    this.out.n = n;
    return ROW;
  }

  /** Rows stand where the runs were read into, until the next call. */
  #nextMerged(external: ExternalSort, max: number): number {
    const { ptrs } = this.#lane;
    external.forget();
    let n = 0;
    let ptr = 0;
    while (n < max) {
      ptr = external.next();
      if (ptr <= 0) break;
      ptrs[n++] = ptr;
    }
    this.out.n = n;
    return n > 0 ? ROW : ptr;
  }

  #load(): number {
    const child = this.children[0]!;
    if (this.#limit === 0) {
      const wanted = this.bound === null ? Infinity : this.bound();
      this.#limit = wanted > 10_000 ? Infinity : Math.max(1, wanted);
      this.#memoryBytes = this.est.env.temp === undefined ? Infinity : this.est.env.workMemBytes;
    }
    for (;;) {
      if (this.#work !== undefined) {
        const status = this.#goOn();
        if (status !== END) return status;
      }
      if (this.#row >= child.out.n) {
        const status = child.pull();
        this.#row = 0;
        if (status !== ROW) {
          child.out.n = 0;
          return status;
        }
      }
      const { n } = child.out;
      if (this.#limit !== Infinity) this.#loadBounded(n);
      else if (this.#loadSome(n)) {
        this.#work = this.#addRun();
        continue;
      }
      if (this.#shouldYield()) return YIELD;
    }
  }

  /** True: memory is full. */
  #loadSome(n: number): boolean {
    const store = this.#store;
    const sort = this.#sort;
    while (this.#row < n) {
      sort.add(this.#writer.write(store, this.#row++));
      if (store.bytes + sort.bytes > this.#memoryBytes || (store.cramped && this.#memoryBytes !== Infinity))
        return true;
    }
    return false;
  }

  *#addRun(): Waits {
    this.#external ??= new ExternalSort(this.est.env, this.#sort, this.#memoryBytes);
    yield* this.#external.addRun();
    this.#store.clear();
  }

  *#finishRuns(external: ExternalSort): Waits {
    if (this.#sort.count > 0) yield* external.addRun();
    this.#store.free();
    yield* external.finish();
  }

  /** END when the work is done. */
  #goOn(): number {
    const step = this.#work!.next();
    if (step.done !== true) return step.value;
    this.#work = undefined;
    return END;
  }

  #methodUsed(): string {
    if (this.#external !== undefined)
      return `external ${this.#external.runs === 1 ? 'sort' : 'merge'}  Disk: ${kilobytes(this.#external.bytes)}kB`;
    const memory = kilobytes(this.#store.bytes + this.#sort.bytes);
    return `${this.#limit === Infinity ? 'quicksort' : 'top-N heapsort'}  Memory: ${memory}kB`;
  }

  override explain(): readonly string[] {
    return this.#method === '' ? [] : [`Sort Method: ${this.#method}`];
  }

  #loadBounded(n: number): void {
    for (; this.#row < n; this.#row++) {
      // Written first to be compared; what is not wanted is garbage until the store is rewritten.
      const ptr = this.#writer.write(this.#store, this.#row);
      if (this.#sort.count < this.#limit || this.#sort.wanted(ptr)) this.#sort.addBounded(ptr, this.#limit);
    }
    const { count, bytes } = this.#store;
    const garbage = count - this.#sort.count;
    if (count > GARBAGE_FACTOR * (this.#limit + BATCH_ROWS) || (bytes > this.#memoryBytes && 2 * garbage > count)) {
      const fresh = new RowStore(this.est.env.arena);
      this.#sort.relocate(ptr => fresh.copy(ptr));
      this.#store.free();
      this.#store = fresh;
    }
  }

  override get rowsStay(): RowsStay {
    return ROWS_STAY_UNTIL_NEXT;
  }

  protected override reset(changed: ChangedParams): void {
    this.#next = 0;
    const inMemory = this.#limit === Infinity && this.#external === undefined;
    if (changed !== null && this.#state === READY && inMemory && !this.children[0]!.dependsOn(changed)) return;
    this.#state = LOADING;
    this.#limit = 0;
    this.#store.clear();
    this.#closeRuns();
    this.children[0]!.out.n = 0;
    super.reset(changed);
  }

  override suspend(): void {
    this.holdInput(this.#row);
    super.suspend();
  }

  override release(): void {
    this.#store.free();
    this.#closeRuns();
    this.#state = LOADING;
    this.#limit = 0;
    super.release();
  }

  #closeRuns(): void {
    this.#sort.clear();
    this.#work = undefined;
    this.#external?.close();
    this.#external = undefined;
  }
}
