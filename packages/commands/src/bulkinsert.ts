/**
 * Rows that a command puts into a table many at a time: formed one after the other in memory of its own, then stored page
 * by page (table_multi_insert). COPY FROM and CREATE TABLE AS.
 */
import { heapComputeTupleSize, heapFormTuple, type TupleLayout, tupleLayout } from '@pgtroupe/access/common/heaptuple';
import type { TupleMemory } from '@pgtroupe/access/common/htup';
import { HeapContext, type HeapRelation } from '@pgtroupe/access/heap/heapam-context';
import { heapMultiInsert } from '@pgtroupe/access/heap/heapam-insert';
import { withCatalog } from '@pgtroupe/catalog/catalogmiss';
import { heapOf } from '@pgtroupe/catalog/relaccess';
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { maxAlign } from '@pgtroupe/common/ids';
import { EState } from '@pgtroupe/executor/estate';
import { TableToaster } from '@pgtroupe/executor/toast';
import { MISS } from '@pgtroupe/storage/buffer/pages';
import type { BackendSession, CommandRunner } from './command-runner.ts';

const MAX_TUPLE_BYTES = 8160;
/** Rows and bytes that are gathered before they are stored. */
const BATCH_ROWS = 1000;
const BATCH_BYTES = 256 * 1024;
const WORKSPACE_BYTES = BATCH_BYTES + 2 * MAX_TUPLE_BYTES;

export interface BulkInsertOptions {
  /** Rows are visible to everybody at once (HEAP_INSERT_FROZEN). */
  readonly freeze: boolean;
}

export class BulkInsert {
  readonly heap: HeapRelation;
  readonly context: HeapContext;
  readonly layout: TupleLayout;
  /** The batch: formed tuples, and where they are when they were stored. */
  readonly tuples = new Int32Array(BATCH_ROWS);
  readonly offnums = new Uint16Array(BATCH_ROWS);
  readonly blocks = new Uint32Array(BATCH_ROWS);
  readonly #lengths = new Int32Array(BATCH_ROWS);
  readonly #session: BackendSession;
  readonly #freeze: boolean;
  readonly #toaster: TableToaster;
  readonly #workspace: number;
  #used = 0;
  #count = 0;

  /** May throw a CatalogMiss. */
  constructor(runner: CommandRunner, table: RelationDesc, { freeze }: BulkInsertOptions) {
    const { session } = runner;
    const { kernel, arena } = session.instance;
    this.#session = session;
    this.#freeze = freeze;
    this.heap = heapOf(table);
    this.context = new HeapContext(kernel.pages, kernel.wal, session.block.tx);
    this.layout = tupleLayout(table.att);
    this.#toaster = new TableToaster(new EState(runner.execEnv(), 0), table);
    this.#workspace = arena.alloc(WORKSPACE_BYTES);
  }

  close(): void {
    this.#toaster.release();
    this.#session.instance.arena.free(this.#workspace, WORKSPACE_BYTES);
  }

  /** Rows of the batch. */
  get count(): number {
    return this.#count;
  }

  /** Is it time to store the batch? */
  get full(): boolean {
    return this.#count === BATCH_ROWS || this.#used >= BATCH_BYTES;
  }

  get mem(): TupleMemory {
    return this.#session.instance.kernel.pages.mem;
  }

  /** Where the next tuple is to be formed. */
  get place(): number {
    return this.#workspace + this.#used;
  }

  /** What was formed at `place` is the batch's next row. */
  added(length: number): void {
    this.tuples[this.#count] = this.place;
    this.#lengths[this.#count++] = length;
    this.#used += maxAlign(length);
  }

  /** False, and nothing done: its large values must be moved out of it first (`addLarge`). */
  add(values: readonly Datum[]): boolean {
    const length = heapComputeTupleSize(this.layout, values);
    if (this.#toaster.wanted(length)) return false;
    heapFormTuple(this.layout, values, this.mem, this.place);
    this.added(length);
    return true;
  }

  /** A row that is compressed, and whose large values go to the TOAST table before it is stored. */
  async addLarge(values: readonly Datum[]): Promise<void> {
    const session = this.#session;
    const { kernel } = session.instance;
    const { producer, tx } = session.block;
    const toaster = this.#toaster;
    await withCatalog(() => toaster.store(values, tx.curcid));
    await kernel.attempt(
      () => {
        session.checkForInterrupts();
        if (producer.mustWait) {
          kernel.pages.want = { kind: 'await', run: () => producer.wait() };
          return MISS;
        }
        return toaster.run();
      },
      session.owner,
      () => session.enter(),
    );
    const length = heapComputeTupleSize(this.layout, toaster.values);
    if (length > MAX_TUPLE_BYTES) {
      throw ereport(ERRCODE.PROGRAM_LIMIT_EXCEEDED, `row is too big: size ${length}, maximum size ${MAX_TUPLE_BYTES}`);
    }
    heapFormTuple(this.layout, toaster.values, this.mem, this.place);
    this.added(length);
  }

  /** Puts the batch onto pages; `clear` begins the next one. */
  async store(): Promise<void> {
    const session = this.#session;
    const { kernel } = session.instance;
    const { tx, producer } = session.block;
    session.checkForInterrupts();
    for (let from = 0; from < this.#count; ) {
      const at = from;
      from += await kernel.attempt(
        () => {
          const n = heapMultiInsert(
            this.context,
            this.heap,
            this.tuples,
            this.#lengths,
            at,
            this.#count,
            tx.curcid,
            this.offnums,
            this.#freeze,
          );
          if (n > 0) this.blocks.fill(this.context.blk, at, at + n);
          return n;
        },
        session.owner,
        () => session.enter(),
      );
    }
    if (producer.mustWait) await producer.wait();
  }

  clear(): void {
    this.#count = 0;
    this.#used = 0;
  }
}
