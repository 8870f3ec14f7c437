/**
 * INTERSECT and EXCEPT: counts each distinct row on both sides, then puts out as many as the operation says. Beyond work_mem
 * times hash_mem_multiplier rows go to tapes (setopspill.ts), each the input of another pass.
 */
import type { SetOp } from '@pgtroupe/optimizer/plannodes';
import type { RowReader, TupleLane } from './batch.ts';
import { type ChangedParams, type EState, PlanState, ROWS_STAY_UNTIL_NEXT, type RowsStay } from './estate.ts';
import { readColumn } from './execExpr.ts';
import { type Equal, equalityOf, type Hash, hashOf, notDistinct } from './keys.ts';
import { RowHash } from './rowhash.ts';
import { addStoredColumns, RowStore, RowWriter, StorePosition } from './rowstore.ts';
import { columnReaders, makeScope, type SubPlanFactory } from './scope.ts';
import { SetOpSpill } from './setopspill.ts';
import { END, MISS, ROW, YIELD } from './status.ts';

/** Word before a stored row: its number among the distinct rows. */
const NUMBER = -8;
/** Of a distinct row beside its tuple: its bucket and two counts. */
const COUNTS_BYTES = 24;
/** Rows of a tape between two looks at the clock. */
const ROWS_AT_ONCE = 64;

export class SetOpState extends PlanState {
  readonly #cmd: SetOp['cmd'];
  readonly #store: RowStore;
  readonly #table: RowHash;
  readonly #writer: RowWriter;
  readonly #lane: TupleLane;
  readonly #keys: readonly RowReader[];
  readonly #flag: RowReader;
  readonly #stored: readonly RowReader[];
  readonly #hash: readonly Hash[];
  readonly #equal: readonly Equal[];
  #left: number[] = [];
  #right: number[] = [];
  #memoryBytes = 0;
  #spill: SetOpSpill | undefined;
  /** The flag of the rows that come first: a value looks as its first row has it. */
  #firstFlag = -1;
  /** The input is a tape. */
  #later = false;
  #loaded = false;
  #row = 0;
  #where = new StorePosition();
  #ptr = 0;
  #repeat = 0;

  constructor(est: EState, plan: SetOp, factory: SubPlanFactory, child: PlanState) {
    super(est, plan);
    this.children.push(child);
    const scope = makeScope(this, factory, { outer: child.out.columns });
    const columns = child.out.columns.slice(0, plan.dupColIdx.length);
    this.#cmd = plan.cmd;
    this.#store = new RowStore(est.env.arena);
    this.#table = new RowHash(this.#store);
    this.#writer = new RowWriter(est, columns, column => readColumn(scope, column));
    this.#lane = addStoredColumns(this.out, this.#writer);
    this.#keys = columnReaders(scope, columns);
    this.#flag = readColumn(scope, child.out.columns[plan.flagColIdx - 1]!);
    this.#stored = columnReaders(scope, this.out.columns);
    this.#hash = columns.map((c, i) => hashOf(est, plan.dupOperators[i]!, c.type.typid, plan.dupCollations[i]!));
    this.#equal = plan.dupOperators.map((op, i) => notDistinct(equalityOf(est, op, plan.dupCollations[i]!)));
  }

  next(max: number): number {
    if (!this.#loaded) {
      const status = this.#later ? this.#loadSpilled(this.#spill!) : this.#load();
      if (status !== END) return status;
      this.#loaded = true;
    }
    const { ptrs } = this.#lane;
    let n = 0;
    while (n < max) {
      if (this.#repeat === 0) {
        this.#ptr = this.#store.next(this.#where);
        if (this.#ptr === 0) break;
        this.#repeat = this.#times(this.est.env.mem.i32[(this.#ptr + NUMBER) >> 2]!);
        continue;
      }
      ptrs[n++] = this.#ptr;
      this.#repeat--;
    }
    this.out.n = n;
    if (n > 0) return ROW;
    if (this.#spill === undefined || !this.#spill.begin()) return END;
    this.#forget();
    this.#later = true;
    return this.next(max);
  }

  /** Of this pass. */
  #forget(): void {
    this.#loaded = false;
    this.#left = [];
    this.#right = [];
    this.#where = new StorePosition();
    this.#store.clear();
    this.#table.clear();
  }

  /** No more distinct rows in this pass; one there is always. */
  #full(): boolean {
    const distinct = this.#left.length;
    if (distinct === 0 || this.est.env.temp === undefined) return false;
    if (this.#spill?.passFull === true || this.#store.cramped) return true;
    return this.#store.bytes + distinct * COUNTS_BYTES > this.#memoryBytes;
  }

  #spilling(): SetOpSpill {
    return (this.#spill ??= new SetOpSpill(this.est.env, this.#memoryBytes));
  }

  #times(number: number): number {
    const left = this.#left[number]!;
    const right = this.#right[number]!;
    switch (this.#cmd) {
      case 'intersect':
        return left > 0 && right > 0 ? 1 : 0;
      case 'intersectAll':
        return Math.min(left, right);
      case 'except':
        return left > 0 && right === 0 ? 1 : 0;
      default:
        return Math.max(0, left - right);
    }
  }

  #load(): number {
    const child = this.children[0]!;
    if (this.#memoryBytes === 0) this.#memoryBytes = this.est.env.hashMemBytes;
    for (;;) {
      if (this.#spill?.full === true) return this.#spill.wait();
      if (this.#row >= child.out.n) {
        const status = child.pull();
        this.#row = 0;
        if (status !== ROW) {
          child.out.n = 0;
          return status;
        }
      }
      for (; this.#row < child.out.n; this.#row++) {
        const flag = this.#flag(this.#row) as number;
        if (this.#firstFlag < 0) this.#firstFlag = flag;
        this.#count(this.#lookup(this.#row, flag), flag);
      }
      if (this.est.env.shouldYield()) return YIELD;
    }
  }

  /** The input of a later pass. */
  #loadSpilled(spill: SetOpSpill): number {
    for (let n = 1; ; n++) {
      const ptr = spill.next();
      if (ptr === 0) return END;
      if (ptr === MISS) return MISS;
      this.#count(this.#lookupSpilled(spill, ptr), spill.side === 0 ? this.#firstFlag : 1 - this.#firstFlag);
      if (n % ROWS_AT_ONCE !== 0) continue;
      if (spill.full) return spill.wait();
      if (this.est.env.shouldYield()) return YIELD;
    }
  }

  #count(number: number, flag: number): void {
    if (number < 0) return;
    const side = flag === 0 ? this.#left : this.#right;
    side[number]!++;
  }

  /** Number of the distinct row; -1: there is no room for it in this pass. */
  #lookup(row: number, flag: number): number {
    let h = 0;
    for (let i = 0; i < this.#keys.length; i++) {
      const value = this.#keys[i]!(row);
      h = (Math.imul(h, 31) + (value === null ? 1 : this.#hash[i]!(value))) | 0;
    }
    const number = this.#find(h, this.#keys, row);
    if (number >= 0) return number;
    if (!this.#full()) return this.#add(this.#writer.write(this.#store, row), h);
    this.#spilling().write(flag === this.#firstFlag ? 0 : 1, this.#writer, row, h);
    return -1;
  }

  #lookupSpilled(spill: SetOpSpill, ptr: number): number {
    const h = spill.hash(ptr);
    this.#lane.ptrs[1] = ptr;
    const number = this.#find(h, this.#stored, 1);
    if (number >= 0) return number;
    if (!this.#full()) return this.#add(this.#store.copy(ptr), h);
    spill.writeAgain(ptr, h);
    return -1;
  }

  #find(h: number, keys: readonly RowReader[], row: number): number {
    const { ptrs } = this.#lane;
    for (let ptr = this.#table.first(h); ptr !== 0; ptr = this.#table.next(ptr)) {
      if (this.#table.hashAt(ptr) !== h) continue;
      ptrs[0] = ptr;
      if (keys.every((read, i) => this.#equal[i]!(read(row), this.#stored[i]!(0))))
        return this.est.env.mem.i32[(ptr + NUMBER) >> 2]!;
    }
    return -1;
  }

  #add(ptr: number, h: number): number {
    const number = this.#left.length;
    this.#left.push(0);
    this.#right.push(0);
    this.est.env.mem.i32[(ptr + NUMBER) >> 2] = number;
    this.#table.add(ptr, h);
    return number;
  }

  override get rowsStay(): RowsStay {
    return ROWS_STAY_UNTIL_NEXT;
  }

  protected override reset(changed: ChangedParams): void {
    this.#where = new StorePosition();
    this.#repeat = 0;
    if (this.#loaded && this.#spill === undefined && !this.dependsOn(changed)) return;
    this.#forget();
    this.#closeSpill();
    this.#row = 0;
    this.children[0]!.out.n = 0;
    super.reset(changed);
  }

  override suspend(): void {
    this.holdInput(this.#row);
    super.suspend();
  }

  override release(): void {
    this.#store.free();
    this.#table.clear();
    this.#closeSpill();
    this.#loaded = false;
    super.release();
  }

  #closeSpill(): void {
    this.#spill?.close();
    this.#spill = undefined;
    this.#later = false;
    this.#firstFlag = -1;
    this.#memoryBytes = 0;
  }
}
