/**
 * Hash join: the inner side in a hash table, each outer row looked up in it. RIGHT and FULL joins go over
 * the table once more at the end, for the rows that found no partner.
 */
import type { Datum } from '@pgtroupe/common/datum';
import * as N from '@pgtroupe/nodes/nodes';
import { exprType } from '@pgtroupe/nodes/nodefuncs';
import type { HashJoin } from '@pgtroupe/optimizer/plannodes';
import { Batch, type Column, type RowReader, type TupleLane } from './batch.ts';
import {
  type ChangedParams,
  changes,
  type EState,
  PlanState,
  ROWS_STAY_UNTIL_RESCAN,
  type RowsStay,
} from './estate.ts';
import { compileExpr, compileQual, type ExprScope, readColumn } from './execExpr.ts';
import { LaneCopy } from './joinlanes.ts';
import { type Equal, equalityOf, type Hash, hashesOf } from './keys.ts';
import { RowHash } from './rowhash.ts';
import { RowStore, RowWriter, StorePosition } from './rowstore.ts';
import { makeScope, Projection, type SubPlanFactory } from './scope.ts';
import { END, ROW, YIELD } from './status.ts';

const BUILDING = 0;
const PROBING = 1;
const UNMATCHED = 2;
const FINISHED = 3;
/** Word before a stored row: it found a partner. */
const MARK = -8;

export class HashJoinState extends PlanState {
  readonly #outer: PlanState;
  readonly #inner: PlanState;
  readonly #store: RowStore;
  readonly #hash: RowHash;
  readonly #writer: RowWriter;
  readonly #combined = new Batch();
  readonly #fromOuter: LaneCopy;
  readonly #innerLane: TupleLane;
  readonly #scope: ExprScope;
  readonly #outerScope: ExprScope;
  readonly #innerScope: ExprScope;
  readonly #outerKeys: readonly RowReader[];
  readonly #outerHash: readonly Hash[];
  readonly #innerKeys: readonly RowReader[];
  readonly #innerHash: readonly Hash[];
  /** Key expressions over stored rows, read through the combined batch's inner lane. */
  readonly #storedKeys: readonly RowReader[];
  readonly #equal: readonly Equal[];
  readonly #joinqual: ((row: number) => boolean) | null;
  readonly #otherqual: ((row: number) => boolean) | null;
  readonly #projection: Projection;
  readonly #jointype: N.JoinType;
  readonly #keepOuter: boolean;
  readonly #keepInner: boolean;
  readonly #tableParam: ReadonlySet<number>;
  readonly #singleMatch: boolean;
  readonly #probe: Datum[];
  #state = BUILDING;
  #outerRow = 0;
  /** Next row of the inner batch to put into the table. */
  #innerRow = 0;
  /** Next candidate in the chain of the current outer row; -1 the row has not been looked up. */
  #candidate = -1;
  #probeHash = 0;
  #matched = false;
  #where = new StorePosition();
  /** The stored row without partner being looked at, 0 none. */
  #unmatched = 0;
  #k = 0;
  #projecting = false;
  /** How many of the collected rows have gone out already. */
  #delivered = 0;

  constructor(est: EState, plan: HashJoin, factory: SubPlanFactory, outer: PlanState, inner: PlanState) {
    super(est, plan);
    this.#outer = outer;
    this.#inner = inner;
    this.children.push(outer, inner);
    this.#store = new RowStore(est.env.arena);
    this.#hash = new RowHash(this.#store);
    const outerScope = makeScope(this, factory, { outer: outer.out.columns });
    const innerScope = makeScope(this, factory, { inner: inner.out.columns });
    this.#outerScope = outerScope;
    this.#innerScope = innerScope;
    this.#writer = new RowWriter(est, inner.out.columns, column => readColumn(innerScope, column));
    this.#fromOuter = new LaneCopy(outer.out.columns, this.#combined);
    this.#innerLane = this.#combined.addTupleLane(this.#writer.newLane());
    const innerColumns: readonly Column[] = this.#writer.columns(this.#innerLane);
    this.#scope = makeScope(this, factory, { outer: this.#fromOuter.columns, inner: innerColumns });
    this.#outerKeys = plan.hashkeys.map(e => compileExpr(e, outerScope));
    this.#innerKeys = plan.innerhashkeys.map(e => compileExpr(e, innerScope));
    this.#storedKeys = plan.innerhashkeys.map(e => compileExpr(e, this.#scope));
    const hashes = plan.hashoperators.map((op, i) =>
      hashesOf(est, op, [exprType(plan.hashkeys[i]!), exprType(plan.innerhashkeys[i]!)], plan.hashcollations[i]!),
    );
    this.#outerHash = hashes.map(h => h[0]);
    this.#innerHash = hashes.map(h => h[1]);
    this.#equal = plan.hashoperators.map((op, i) => equalityOf(est, op, plan.hashcollations[i]!));
    this.#joinqual = compileQual(plan.joinqual, this.#scope);
    this.#otherqual = compileQual(plan.qual, this.#scope);
    this.#projection = new Projection(plan.targetlist, this.#scope, this.out);
    this.#jointype = plan.jointype;
    this.#tableParam = plan.tableParam;
    this.#keepOuter = plan.jointype === N.JOIN_LEFT || plan.jointype === N.JOIN_ANTI || plan.jointype === N.JOIN_FULL;
    this.#keepInner = plan.jointype === N.JOIN_RIGHT || plan.jointype === N.JOIN_FULL;
    this.#singleMatch =
      plan.jointype === N.JOIN_SEMI || plan.jointype === N.JOIN_ANTI || (plan.inner_unique && !this.#keepInner);
    this.#probe = new Array<Datum>(plan.hashkeys.length).fill(null);
  }

  next(max: number): number {
    if (this.#delivered > 0) {
      this.#combined.shift(this.#delivered, this.#k);
      this.#k -= this.#delivered;
      this.#delivered = 0;
      this.#projecting = true;
    }
    if (!this.#projecting) {
      const status = this.#fill(max);
      if (status !== ROW) return status;
      this.#projecting = true;
    }
    const n = this.#projection.projectSome(0, this.#k);
    this.#projecting = false;
    this.out.n = n;
    if (n < this.#k) this.#delivered = n;
    else {
      this.#k = 0;
      this.#combined.n = 0;
    }
    this.#scope.ec.serial++;
    return ROW;
  }

  #fill(max: number): number {
    if (this.#state === BUILDING) {
      const status = this.#build();
      if (status !== END) return status;
      this.#state = PROBING;
    }
    if (this.#state === PROBING) {
      const status = this.#probeOuter(max);
      if (status !== END) return status;
      this.#state = this.#keepInner ? UNMATCHED : FINISHED;
      if (this.#k > 0) return ROW;
    }
    if (this.#state === UNMATCHED) return this.#unmatchedInner(max);
    return END;
  }

  #build(): number {
    const inner = this.#inner;
    for (;;) {
      if (this.#innerRow >= inner.out.n) {
        const status = inner.pull();
        this.#innerRow = 0;
        if (status !== ROW) {
          inner.out.n = 0;
          return status;
        }
      }
      for (; this.#innerRow < inner.out.n; this.#innerRow++) {
        const row = this.#innerRow;
        let hash = 0;
        let isNull = false;
        for (let i = 0; i < this.#innerKeys.length; i++) {
          const value = this.#innerKeys[i]!(row);
          if (value === null) {
            isNull = true;
            break;
          }
          hash = (Math.imul(hash, 31) + this.#innerHash[i]!(value)) | 0;
        }
        this.#innerScope.ec.serial++;
        // A null key joins nothing; only joins that keep inner rows must know the row.
        if (isNull && !this.#keepInner) continue;
        const ptr = this.#writer.write(this.#store, row);
        if (!isNull) this.#hash.add(ptr, hash);
      }
      if (this.est.env.shouldYield()) return YIELD;
    }
  }

  #probeOuter(max: number): number {
    const outer = this.#outer;
    for (;;) {
      if (this.#outerRow >= outer.out.n) {
        if (this.#k > 0) return ROW;
        // Nothing to join with, and nothing to keep.
        if (this.#store.count === 0 && !this.#keepOuter) return END;
        const status = outer.next(max);
        if (status !== ROW) {
          outer.out.n = 0;
          this.#outerRow = 0;
          return status;
        }
        this.#outerRow = 0;
        this.#candidate = -1;
        if (this.est.env.shouldYield()) return YIELD;
      }
      while (this.#outerRow < outer.out.n) {
        if (!this.#joinRow(max)) return ROW;
        this.#outerRow++;
        this.#outerScope.ec.serial++;
        this.#candidate = -1;
      }
    }
  }

  /** Joins the current outer row; false when the batch is full before it is through. */
  #joinRow(max: number): boolean {
    const hash = this.#hash;
    const probe = this.#probe;
    if (this.#candidate < 0) {
      this.#matched = false;
      let h = 0;
      let isNull = false;
      for (let i = 0; i < probe.length; i++) {
        const value = this.#outerKeys[i]!(this.#outerRow);
        probe[i] = value;
        if (value === null) {
          isNull = true;
          break;
        }
        h = (Math.imul(h, 31) + this.#outerHash[i]!(value)) | 0;
      }
      this.#probeHash = h;
      this.#candidate = isNull ? 0 : hash.first(h);
    } else for (let i = 0; i < probe.length; i++) probe[i] = this.#outerKeys[i]!(this.#outerRow);
    const { ptrs } = this.#innerLane;
    const i32 = this.est.env.mem.i32;
    while (this.#candidate !== 0) {
      if (this.#k >= max) return false;
      const ptr = this.#candidate;
      const k = this.#k;
      if (hash.hashAt(ptr) === this.#probeHash) {
        ptrs[k] = ptr;
        const equal = this.#keysEqual(k);
        // The next candidate may stand in the same place: it is another evaluation.
        if (!equal) this.#scope.ec.serial++;
        else {
          this.#fromOuter.copy(this.#outerRow, k);
          this.#combined.n = k + 1;
          const joins = this.#joinqual === null || this.#joinqual(k);
          const passes = joins && this.#jointype !== N.JOIN_ANTI && (this.#otherqual === null || this.#otherqual(k));
          this.#scope.ec.serial++;
          if (joins) {
            this.#matched = true;
            if (this.#keepInner) i32[(ptr + MARK) >> 2] = 1;
            if (passes) this.#k++;
            if (this.#singleMatch) {
              this.#candidate = 0;
              break;
            }
          }
        }
      }
      this.#candidate = hash.next(ptr);
    }
    if (this.#keepOuter && !this.#matched) {
      if (this.#k >= max) return false;
      const k = this.#k;
      this.#fromOuter.copy(this.#outerRow, k);
      ptrs[k] = 0;
      this.#combined.n = k + 1;
      const passes = this.#otherqual === null || this.#otherqual(k);
      this.#scope.ec.serial++;
      this.#matched = true;
      if (passes) this.#k++;
    }
    return true;
  }

  #keysEqual(k: number): boolean {
    for (let i = 0; i < this.#probe.length; i++) {
      const stored = this.#storedKeys[i]!(k);
      if (stored === null || !this.#equal[i]!(this.#probe[i]!, stored)) return false;
    }
    return true;
  }

  #unmatchedInner(max: number): number {
    const { i32 } = this.est.env.mem;
    const { ptrs } = this.#innerLane;
    for (;;) {
      if (this.#k >= max) return ROW;
      if (this.#unmatched === 0) this.#unmatched = this.#store.next(this.#where);
      const ptr = this.#unmatched;
      if (ptr === 0) {
        this.#state = FINISHED;
        return this.#k > 0 ? ROW : END;
      }
      if (i32[(ptr + MARK) >> 2] !== 0) {
        this.#unmatched = 0;
        continue;
      }
      this.#fromOuter.nullify(this.#k);
      ptrs[this.#k] = ptr;
      this.#combined.n = this.#k + 1;
      const passes = this.#otherqual === null || this.#otherqual(this.#k);
      this.#scope.ec.serial++;
      this.#unmatched = 0;
      if (passes) this.#k++;
    }
  }

  override get rowsStay(): RowsStay {
    return Math.min(ROWS_STAY_UNTIL_RESCAN, this.#outer.rowsStay) as RowsStay;
  }

  protected override reset(changed: ChangedParams): void {
    this.#outer.out.n = 0;
    this.#outerRow = 0;
    this.#candidate = -1;
    this.#k = 0;
    this.#projecting = false;
    this.#delivered = 0;
    this.#where = new StorePosition();
    this.#unmatched = 0;
    this.#outer.rescan(changed);
    if (this.#state !== BUILDING && !this.#keepInner && !changes(this.#tableParam, changed)) {
      this.#state = PROBING;
      return;
    }
    this.#state = BUILDING;
    this.#store.clear();
    this.#hash.clear();
    this.#inner.out.n = 0;
    this.#inner.rescan(changed);
  }

  override suspend(): void {
    const { arena } = this.est.env;
    // Before the inputs: what is collected may stand where they give back their space.
    this.#combined.holdFirst(this.#k, arena);
    this.#outer.out.hold(Math.min(this.#outerRow, this.#outer.out.n), arena);
    this.#inner.out.hold(Math.min(this.#innerRow, this.#inner.out.n), arena);
    super.suspend();
  }

  override release(): void {
    this.#store.free();
    this.#hash.clear();
    this.#state = BUILDING;
    this.#combined.release();
    super.release();
  }
}
