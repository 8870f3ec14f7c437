/**
 * INTERSECT and EXCEPT: counts each distinct row on both sides, then puts out as many as the operation says.
 */
import type { SetOp } from '@pgtroupe/optimizer/plannodes';
import type { RowReader, TupleLane } from './batch.ts';
import { type ChangedParams, type EState, PlanState, ROWS_STAY_UNTIL_RESCAN, type RowsStay } from './estate.ts';
import { readColumn } from './execExpr.ts';
import { type Equal, equalityOf, type Hash, hashOf, notDistinct } from './keys.ts';
import { RowHash } from './rowhash.ts';
import { addStoredColumns, RowStore, RowWriter, StorePosition } from './rowstore.ts';
import { columnReaders, makeScope, type SubPlanFactory } from './scope.ts';
import { END, ROW, YIELD } from './status.ts';

/** Word before a stored row: its number among the distinct rows. */
const NUMBER = -8;

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
      const status = this.#load();
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
    return n > 0 ? ROW : END;
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
    for (;;) {
      if (this.#row >= child.out.n) {
        const status = child.pull();
        this.#row = 0;
        if (status !== ROW) {
          child.out.n = 0;
          return status;
        }
      }
      for (; this.#row < child.out.n; this.#row++) {
        const number = this.#lookup(this.#row);
        const side = this.#flag(this.#row) === 0 ? this.#left : this.#right;
        side[number] = side[number]! + 1;
      }
      if (this.est.env.shouldYield()) return YIELD;
    }
  }

  #lookup(row: number): number {
    let h = 0;
    for (let i = 0; i < this.#keys.length; i++) {
      const value = this.#keys[i]!(row);
      h = (Math.imul(h, 31) + (value === null ? 1 : this.#hash[i]!(value))) | 0;
    }
    const { i32 } = this.est.env.mem;
    const { ptrs } = this.#lane;
    for (let ptr = this.#table.first(h); ptr !== 0; ptr = this.#table.next(ptr)) {
      if (this.#table.hashAt(ptr) !== h) continue;
      ptrs[0] = ptr;
      if (this.#keys.every((read, i) => this.#equal[i]!(read(row), this.#stored[i]!(0))))
        return i32[(ptr + NUMBER) >> 2]!;
    }
    const ptr = this.#writer.write(this.#store, row);
    const number = this.#left.length;
    this.#left.push(0);
    this.#right.push(0);
    i32[(ptr + NUMBER) >> 2] = number;
    this.#table.add(ptr, h);
    return number;
  }

  override get rowsStay(): RowsStay {
    return ROWS_STAY_UNTIL_RESCAN;
  }

  protected override reset(changed: ChangedParams): void {
    this.#where = new StorePosition();
    this.#repeat = 0;
    if (this.#loaded && !this.dependsOn(changed)) return;
    this.#loaded = false;
    this.#left = [];
    this.#right = [];
    this.#store.clear();
    this.#table.clear();
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
    this.#loaded = false;
    super.release();
  }
}
