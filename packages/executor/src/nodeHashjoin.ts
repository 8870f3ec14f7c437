/**
 * Hash join: the inner side in a hash table, each outer row looked up in it. RIGHT and FULL joins go over
 * the table once more at the end, for the rows that found no partner.
 *
 * A table that takes more than work_mem times hash_mem_multiplier goes to tapes, as the outer rows then do; parts of both are
 * joined one after the other (hashjoinspill.ts).
 */
import * as N from '@pgtroupe/nodes/nodes';
import type { HashJoin } from '@pgtroupe/optimizer/plannodes';
import { Batch, type Column, type TupleLane } from './batch.ts';
import { type ChangedParams, changes, type EState, PlanState, ROWS_STAY_UNTIL_NEXT, type RowsStay } from './estate.ts';
import { compileQual, type ExprScope, readColumn } from './execExpr.ts';
import { HashJoinKeys } from './hashjoinkeys.ts';
import { JoinSpill } from './hashjoinspill.ts';
import { LaneCopy } from './joinlanes.ts';
import { RowHash } from './rowhash.ts';
import { RowStore, RowWriter, StorePosition } from './rowstore.ts';
import { makeScope, Projection, type SubPlanFactory } from './scope.ts';
import { END, MISS, ROW, YIELD } from './status.ts';
import { kilobytes } from './tempfile.ts';

const BUILDING = 0;
const PROBING = 1;
const UNMATCHED = 2;
const FINISHED = 3;
/** With tapes: the outer rows go to theirs; a part's table is filled; its rows are divided; its outer rows are joined. */
const SPILLING = 4;
const LOADING_PART = 5;
const DIVIDING = 6;
const REPLAYING = 7;
/** Of a stored row, in the table. */
const BUCKET_BYTES = 8;
const ROWS_AT_ONCE = 64;
/** Answer of a part that has not enough room. */
const DIVIDE = 2;
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
  readonly #keys: HashJoinKeys;
  readonly #joinqual: ((row: number) => boolean) | null;
  readonly #otherqual: ((row: number) => boolean) | null;
  readonly #projection: Projection;
  readonly #jointype: N.JoinType;
  readonly #keepOuter: boolean;
  readonly #keepInner: boolean;
  readonly #tableParam: ReadonlySet<number>;
  readonly #singleMatch: boolean;
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
  readonly #factory: SubPlanFactory;
  #memoryBytes = 0;
  #spill: JoinSpill | undefined;
  /** The tape's row is being joined. */
  #replaying = false;
  /** All rows of the part have the hash of the first. */
  #oneHash = true;
  #firstHash = 0;
  #peakBytes = 0;
  #told = '';

  constructor(est: EState, plan: HashJoin, factory: SubPlanFactory, outer: PlanState, inner: PlanState) {
    super(est, plan);
    this.#factory = factory;
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
    this.#keys = new HashJoinKeys(est, plan, outerScope, innerScope, this.#scope);
    this.#joinqual = compileQual(plan.joinqual, this.#scope);
    this.#otherqual = compileQual(plan.qual, this.#scope);
    this.#projection = new Projection(plan.targetlist, this.#scope, this.out);
    this.#jointype = plan.jointype;
    this.#tableParam = plan.tableParam;
    this.#keepOuter = plan.jointype === N.JOIN_LEFT || plan.jointype === N.JOIN_ANTI || plan.jointype === N.JOIN_FULL;
    this.#keepInner = plan.jointype === N.JOIN_RIGHT || plan.jointype === N.JOIN_FULL;
    this.#singleMatch =
      plan.jointype === N.JOIN_SEMI || plan.jointype === N.JOIN_ANTI || (plan.inner_unique && !this.#keepInner);
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
      this.#state = this.#spill === undefined ? PROBING : SPILLING;
      this.#tell();
    }
    if (this.#spill !== undefined) return this.#fillSpilled(this.#spill, max);
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
    if (this.#memoryBytes === 0)
      this.#memoryBytes = this.est.env.temp === undefined ? Infinity : this.est.env.hashMemBytes;
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
        if (this.#spill === undefined && this.#isFull()) this.#startSpill();
        const row = this.#innerRow;
        const isNull = !this.#keys.hashInner(row);
        const hash = isNull ? 0 : this.#keys.hash;
        this.#innerScope.ec.serial++;
        // A null key joins nothing; only joins that keep inner rows must know the row.
        if (isNull && !this.#keepInner) continue;
        if (this.#spill !== undefined) {
          this.#spill.file.write(this.#spill.innerTape(hash), this.#writer, row, hash);
          continue;
        }
        const ptr = this.#writer.write(this.#store, row);
        if (!isNull) this.#hash.add(ptr, hash);
      }
      if (this.#spill === undefined) {
        if (this.est.env.shouldYield()) return YIELD;
        continue;
      }
      const status = this.#spill.pause();
      if (status !== END) return status;
    }
  }

  // ---- with tapes -------------------------------------------------------------------------------------------

  #bytes(): number {
    return this.#store.bytes + this.#store.count * BUCKET_BYTES;
  }

  #isFull(): boolean {
    return this.#bytes() > this.#memoryBytes || (this.#store.cramped && this.#memoryBytes !== Infinity);
  }

  /** The table goes to tapes. */
  #startSpill(): void {
    this.#keys.prepareRestored();
    const spill = new JoinSpill(this.est, this.#factory, this.#fromOuter, this.#memoryBytes);
    this.#tell();
    this.#emptyInto(spill);
    this.#spill = spill;
  }

  #emptyInto(spill: JoinSpill): void {
    const where = new StorePosition();
    for (let ptr = this.#store.next(where); ptr !== 0; ptr = this.#store.next(where)) {
      const hash = this.#hash.hashAt(ptr);
      spill.file.copy(spill.innerTape(hash), ptr, hash);
    }
    this.#forgetTable();
  }

  #forgetTable(): void {
    this.#store.clear();
    this.#hash.clear();
    this.#where = new StorePosition();
    this.#oneHash = true;
  }

  #fillSpilled(spill: JoinSpill, max: number): number {
    for (;;) {
      let status: number;
      switch (this.#state) {
        case SPILLING:
          status = this.#spillOuter(spill);
          if (status !== END) return status;
          spill.written();
          if (!this.#nextPart(spill)) return END;
          break;
        case LOADING_PART:
          status = this.#loadPart(spill);
          if (status === DIVIDE) {
            this.#state = DIVIDING;
            break;
          }
          if (status !== END) return status;
          this.#tell();
          spill.beginOuter(!spill.innerIsLeft);
          this.#state = REPLAYING;
          break;
        case DIVIDING:
          status = this.#dividePart(spill);
          if (status !== END) return status;
          if (!this.#nextPart(spill)) return END;
          break;
        case REPLAYING:
          status = this.#replay(spill, max);
          if (status !== END) return status;
          this.#state = this.#keepInner ? UNMATCHED : LOADING_PART;
          if (!this.#keepInner && !this.#nextRound(spill)) return END;
          break;
        case UNMATCHED:
          status = this.#unmatchedInner(max);
          if (status !== END) return status;
          if (!this.#nextRound(spill)) return END;
          break;
        default:
          return END;
      }
    }
  }

  /** The table is done with. */
  #nextRound(spill: JoinSpill): boolean {
    if (!spill.innerIsLeft) return this.#nextPart(spill);
    this.#forgetTable();
    this.#state = LOADING_PART;
    return true;
  }

  #nextPart(spill: JoinSpill): boolean {
    this.#forgetTable();
    const more = spill.begin();
    this.#state = more ? LOADING_PART : FINISHED;
    return more;
  }

  #spillOuter(spill: JoinSpill): number {
    const outer = this.#outer;
    for (;;) {
      if (this.#outerRow >= outer.out.n) {
        const status = outer.pull();
        this.#outerRow = 0;
        if (status !== ROW) {
          outer.out.n = 0;
          return status;
        }
      }
      for (; this.#outerRow < outer.out.n; this.#outerRow++) {
        const isNull = !this.#keys.hashOuter(this.#outerRow);
        const h = isNull ? 0 : this.#keys.hash;
        if (this.#keepOuter || (!isNull && spill.meets(h))) spill.writeOuter(this.#outerRow, h);
        this.#outerScope.ec.serial++;
      }
      const status = spill.pause();
      if (status !== END) return status;
    }
  }

  /** Fills the table with a part's rows, as far as there is room; DIVIDE: they are to be divided. */
  #loadPart(spill: JoinSpill): number {
    const { ptrs } = this.#innerLane;
    for (let n = 1; ; n++) {
      const ptr = spill.nextInner();
      if (ptr === MISS) return MISS;
      if (ptr === 0) return END;
      const hash = spill.hashOf(ptr);
      if (this.#store.count === 0) this.#firstHash = hash;
      else if (hash !== this.#firstHash) this.#oneHash = false;
      if (this.#store.count > 0 && this.#isFull()) {
        spill.giveBack(ptr);
        if (this.#oneHash || !spill.divisible) return END;
        spill.divide();
        this.#emptyInto(spill);
        return DIVIDE;
      }
      const stored = this.#store.copy(ptr);
      ptrs[0] = stored;
      this.#scope.ec.serial++;
      // What has no key is stored for joins that keep inner rows only.
      if (!this.#keepInner || !this.#keys.storedHasNull(0)) this.#hash.add(stored, hash);
      const status = n % ROWS_AT_ONCE === 0 ? spill.pause() : END;
      if (status !== END) return status;
    }
  }

  /** END when the part's rows are all on tapes of the next level, and the next part is to be begun. */
  #dividePart(spill: JoinSpill): number {
    for (let n = 1; ; n++) {
      const ptr = spill.nextInner();
      if (ptr === MISS) return MISS;
      if (ptr === 0) break;
      const hash = spill.hashOf(ptr);
      spill.file.copy(spill.innerTape(hash), ptr, hash);
      const status = n % ROWS_AT_ONCE === 0 ? spill.pause() : END;
      if (status !== END) return status;
    }
    return spill.divideOuter();
  }

  /** Joins the outer rows of a part with what of it is in the table. */
  #replay(spill: JoinSpill, max: number): number {
    for (let n = 1; ; n++) {
      if (!this.#replaying) {
        if (this.#k === 0) spill.forgetOuter();
        const status = spill.nextOuter();
        if (status <= 0) return this.#k > 0 ? ROW : status;
        this.#replaying = true;
        this.#candidate = -1;
      }
      if (!this.#joinRow(max)) return ROW;
      this.#replaying = false;
      if (n % ROWS_AT_ONCE === 0 && this.est.env.shouldYield()) return this.#k > 0 ? ROW : YIELD;
    }
  }

  /** What EXPLAIN ANALYZE tells of the table (show_hash_info). */
  #tell(): void {
    this.#peakBytes = Math.max(this.#peakBytes, this.#bytes());
    const memory = `Memory Usage: ${kilobytes(this.#peakBytes)}kB`;
    const { buckets } = this.#hash;
    if (this.#spill === undefined) this.#told = `Buckets: ${buckets}  Batches: 1  ${memory}`;
    else
      this.#told = `Buckets: ${buckets} (originally ${buckets})  Batches: ${this.#spill.parts} (originally 1)  ${memory}`;
  }

  override explain(): readonly string[] {
    return this.#told === '' ? [] : [this.#told];
  }

  // ---- ---------------------------------------------------------------------------------------------------

  /** Puts the tape's outer row into combined row `k`; false: its key is null. */
  #restoreOuter(spill: JoinSpill, k: number): boolean {
    this.#scope.ec.serial++;
    this.#fromOuter.restore(spill.tuples, spill.values, k);
    this.#probeHash = spill.hash;
    return this.#keys.readRestored(k);
  }

  #putOuter(k: number): void {
    if (this.#replaying) this.#fromOuter.restore(this.#spill!.tuples, this.#spill!.values, k);
    else this.#fromOuter.copy(this.#outerRow, k);
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
    const spill = this.#replaying ? this.#spill : undefined;
    if (spill !== undefined) {
      if (this.#k >= max) return false;
      const hasKey = this.#restoreOuter(spill, this.#k);
      if (this.#candidate < 0) {
        this.#matched = spill.matched;
        const none = !hasKey || (this.#matched && this.#singleMatch);
        this.#candidate = none ? 0 : hash.first(this.#probeHash);
      }
    } else if (this.#candidate < 0) {
      this.#matched = false;
      const hasKey = this.#keys.hashOuter(this.#outerRow);
      this.#probeHash = this.#keys.hash;
      this.#candidate = hasKey ? hash.first(this.#probeHash) : 0;
    } else this.#keys.readOuter(this.#outerRow);
    const { ptrs } = this.#innerLane;
    const i32 = this.est.env.mem.i32;
    while (this.#candidate !== 0) {
      if (this.#k >= max) return false;
      const ptr = this.#candidate;
      const k = this.#k;
      if (hash.hashAt(ptr) === this.#probeHash) {
        ptrs[k] = ptr;
        const equal = this.#keys.match(k);
        // The next candidate may stand in the same place: it is another evaluation.
        if (!equal) this.#scope.ec.serial++;
        else {
          this.#putOuter(k);
          this.#combined.n = k + 1;
          const joins = this.#joinqual === null || this.#joinqual(k);
          const passes = joins && this.#jointype !== N.JOIN_ANTI && (this.#otherqual === null || this.#otherqual(k));
          this.#scope.ec.serial++;
          if (joins) {
            this.#matched = true;
            spill?.noteMatch();
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
    if (this.#keepOuter && !this.#matched && spill?.innerIsLeft !== true) {
      if (this.#k >= max) return false;
      const k = this.#k;
      this.#putOuter(k);
      ptrs[k] = 0;
      this.#combined.n = k + 1;
      const passes = this.#otherqual === null || this.#otherqual(k);
      this.#scope.ec.serial++;
      this.#matched = true;
      if (passes) this.#k++;
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
        if (this.#k > 0) return ROW;
        if (this.#spill === undefined) this.#state = FINISHED;
        return END;
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
    return ROWS_STAY_UNTIL_NEXT;
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
    this.#replaying = false;
    if (
      this.#state !== BUILDING &&
      this.#spill === undefined &&
      !this.#keepInner &&
      !changes(this.#tableParam, changed)
    ) {
      this.#state = PROBING;
      return;
    }
    this.#state = BUILDING;
    this.#closeSpill();
    this.#forgetTable();
    this.#memoryBytes = 0;
    this.#peakBytes = 0;
    this.#innerRow = 0;
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

  #closeSpill(): void {
    this.#spill?.close();
    this.#spill = undefined;
  }

  override release(): void {
    this.#closeSpill();
    this.#store.free();
    this.#hash.clear();
    this.#state = BUILDING;
    this.#combined.release();
    super.release();
  }
}
