/**
 * What an aggregate with ORDER BY or DISTINCT gathers for a group: rows of its arguments, to be had in order; beyond work_mem in
 * runs on disk.
 */
import type { Datum } from '@pgtroupe/common/datum';
import type { ColumnType } from './batch.ts';
import type { EState, ExecEnv } from './estate.ts';
import { readColumn } from './execExpr.ts';
import { ExternalSort, type Waits } from './externalsort.ts';
import { attrReader, type AttrReader } from './heapattr.ts';
import type { SortKey } from './keys.ts';
import { RowStore, RowWriter } from './rowstore.ts';
import { makeScope, type SubPlanFactory } from './scope.ts';
import { END, YIELD } from './status.ts';
import { TupleSort } from './tuplesort.ts';

/** Rows that are read before what came earlier on a tape is given back. */
const ROWS_AT_ONCE = 64;

export interface ArgsOrder {
  readonly column: number;
  readonly key: SortKey;
}

export class ArgsSort {
  readonly #env: ExecEnv;
  readonly #store: RowStore;
  readonly #writer: RowWriter;
  readonly #sort: TupleSort;
  /** Read a column of a row. */
  readonly readers: readonly AttrReader[];
  #memoryBytes = 0;
  #external: ExternalSort | undefined;
  /** A run that is being written. */
  #work: Waits | undefined;
  #sorted = false;
  #next = 0;

  constructor(est: EState, factory: SubPlanFactory, types: readonly ColumnType[], order: readonly ArgsOrder[]) {
    const { env } = est;
    this.#env = env;
    this.#store = new RowStore(env.arena);
    const scope = makeScope(est, factory, {});
    this.#writer = new RowWriter(
      est,
      types.map(type => ({ kind: 'const', type, value: () => null })),
      column => readColumn(scope, column),
    );
    const { desc, attnums } = this.#writer;
    this.readers = attnums.map(attnum => attrReader(env.mem, desc, attnum));
    this.#sort = new TupleSort(
      env.mem,
      desc,
      order.map(({ column }) => attnums[column]!),
      order.map(({ key }) => key),
    );
  }

  add(values: readonly Datum[]): void {
    this.#sort.add(this.#writer.writeValues(this.#store, values));
  }

  get #full(): boolean {
    if (this.#memoryBytes === 0) this.#memoryBytes = this.#env.temp === undefined ? Infinity : this.#env.workMemBytes;
    if (this.#memoryBytes === Infinity) return false;
    return this.#store.bytes + this.#sort.bytes > this.#memoryBytes || this.#store.cramped;
  }

  /** Writes a run when memory is full: END when more can be added, else what for it waits. */
  makeRoom(): number {
    if (this.#sorted) return END;
    if (this.#work === undefined) {
      if (!this.#full) return END;
      this.#work = this.#addRun();
    }
    const step = this.#work.next();
    if (step.done !== true) return step.value;
    this.#work = undefined;
    return END;
  }

  *#addRun(): Waits {
    this.#external ??= new ExternalSort(this.#env, this.#sort, this.#memoryBytes);
    yield* this.#external.addRun();
    this.#store.clear();
  }

  /** All rows are there. */
  *finish(): Waits {
    if (this.#sorted) return;
    const shouldYield = (): boolean => this.#env.shouldYield();
    if (this.#external === undefined) while (!this.#sort.step(shouldYield)) yield YIELD;
    else {
      if (this.#sort.count > 0) yield* this.#addRun();
      yield* this.#external.finish();
    }
    this.#sorted = true;
  }

  /** The next row in order, good until the next is asked for; 0 at the end; MISS. */
  next(): number {
    if (this.#external === undefined) return this.#next < this.#sort.count ? this.#sort.at(this.#next++) : 0;
    if (this.#next++ % ROWS_AT_ONCE === 0) this.#external.forget();
    return this.#external.next();
  }

  clear(): void {
    this.#close();
    this.#store.clear();
  }

  free(): void {
    this.#close();
    this.#store.free();
  }

  #close(): void {
    this.#sort.clear();
    this.#work = undefined;
    this.#external?.close();
    this.#external = undefined;
    this.#sorted = false;
    this.#next = 0;
  }
}
