/**
 * Agg: plain (one group), sorted (groups arrive one after the other) or hashed (all groups at once, several
 * grouping sets too). The input columns a result row shows are those of the group's first row.
 *
 * Hashed groups take work_mem times hash_mem_multiplier: rows of groups that come later go to tapes (hashaggspill.ts), each
 * the input of another pass.
 */
import type { Datum } from '@pgtroupe/common/datum';
import { equalNodes } from '@pgtroupe/nodes/nodefuncs';
import type { Aggref, GroupingFunc } from '@pgtroupe/nodes/primnodes';
import type { Agg } from '@pgtroupe/optimizer/plannodes';
import { AggTrans } from './aggtrans.ts';
import { Batch, detach, type RowReader, type TupleLane, ValueLane } from './batch.ts';
import { type ChangedParams, type EState, PlanState, ROWS_STAY_UNTIL_NEXT, type RowsStay } from './estate.ts';
import { compileQual, type ExprScope, readColumn } from './execExpr.ts';
import { AggSpill, argsWriter } from './hashaggspill.ts';
import { type Equal, equalityOf, type Hash, hashOf, notDistinct } from './keys.ts';
import { RowHash } from './rowhash.ts';
import { RowStore, RowWriter, StorePosition } from './rowstore.ts';
import { columnReaders, makeScope, Projection, type SubPlanFactory } from './scope.ts';
import { BATCH_ROWS, END, MISS, ROW, YIELD } from './status.ts';
import { kilobytes } from './tempfile.ts';

const LOADING = 0;
const EMITTING = 1;
const FINISHED = 2;
/** Rows of a tape between two looks at the clock. */
const ROWS_AT_ONCE = 64;
/** Of a group's row in the table: its bucket. */
const BUCKET_BYTES = 8;
/** Word before a stored group row: the group's number. */
const GROUP = -8;

export class AggState extends PlanState {
  readonly #child: PlanState;
  readonly #strategy: Agg['aggstrategy'];
  readonly #aggs: AggTrans[] = [];
  readonly #aggLanes: ValueLane[] = [];
  readonly #groupLane = new ValueLane();
  readonly #store: RowStore;
  readonly #writer: RowWriter;
  readonly #rows = new Batch();
  readonly #lane: TupleLane;
  readonly #keys: readonly RowReader[];
  readonly #hash: readonly Hash[];
  readonly #equal: readonly Equal[];
  readonly #storedKeys: readonly RowReader[];
  readonly #inputReaders: readonly RowReader[];
  readonly #inputScope: ExprScope;
  readonly #keyColumns: readonly number[];
  /** One table per grouping set; without sets, one. */
  readonly #tables: { readonly hash: RowHash; readonly keep: readonly number[] }[] = [];
  readonly #sets: boolean;
  readonly #qual: ((row: number) => boolean) | null;
  readonly #projection: Projection;
  readonly #resultScope: ExprScope;
  #groups = 0;
  #setOfGroup: number[] = [];
  #state = LOADING;
  #inputRow = 0;
  #where = new StorePosition();
  /** The group being put out, 0 none. */
  #emitting = 0;
  /** Sorted: keys of the group being gathered; null before the first. */
  #current: Datum[] | null = null;
  #currentPtr = 0;
  #k = 0;
  #projecting = false;
  /** Of a hashed Agg: forms arguments that have to wait. */
  readonly #args: RowWriter | undefined;
  #memoryBytes = 0;
  /** What each group takes beside its row. */
  #groupBytes = 0;
  #spill: AggSpill | undefined;
  /** Grouping set of the rows that a tape gives; -1: the input does. */
  #pass = -1;
  #told = '';

  constructor(est: EState, plan: Agg, factory: SubPlanFactory, child: PlanState) {
    super(est, plan);
    this.#child = child;
    this.children.push(child);
    this.#strategy = plan.aggstrategy;
    const input = makeScope(this, factory, { outer: child.out.columns });
    this.#inputScope = input;
    this.#store = new RowStore(est.env.arena);
    this.#sets = plan.groupingSets !== null;
    this.#inputReaders = columnReaders(input, child.out.columns);
    this.#writer = new RowWriter(
      est,
      this.#sets ? child.out.columns.map(c => ({ kind: 'const', type: c.type, value: () => null })) : child.out.columns,
      column => readColumn(input, column),
    );
    this.#lane = this.#rows.addTupleLane(this.#writer.newLane());
    const stored = this.#writer.columns(this.#lane);
    const result = makeScope(this, factory, { outer: stored });
    result.aggref = node => this.#aggregate(node, input, result);
    result.grouping = node => this.#groupingFunc(node, plan);
    this.#resultScope = result;
    this.#keyColumns = plan.grpColIdx.map(c => c - 1);
    this.#keys = this.#keyColumns.map(c => this.#inputReaders[c]!);
    this.#storedKeys = this.#keyColumns.map(c => readColumn(result, stored[c]!));
    this.#equal = plan.grpOperators.map((op, i) => notDistinct(equalityOf(est, op, plan.grpCollations[i]!)));
    this.#hash =
      plan.aggstrategy === 'hashed'
        ? this.#keyColumns.map((c, i) =>
            hashOf(est, plan.grpOperators[i]!, child.out.columns[c]!.type.typid, plan.grpCollations[i]!),
          )
        : [];
    this.#qual = compileQual(plan.qual, result);
    this.#projection = new Projection(plan.targetlist, result, this.out);
    this.#args = plan.aggstrategy === 'hashed' ? argsWriter(est, factory, this.#aggs) : undefined;
    for (const lane of this.#aggLanes) this.#rows.addValueLane(lane);
    this.#rows.addValueLane(this.#groupLane);
    const all = this.#keyColumns.map((_, i) => i);
    for (const keep of plan.groupingSets ?? [all]) this.#tables.push({ hash: new RowHash(this.#store), keep });
    if (plan.aggstrategy === 'hashed') return;
    for (const agg of this.#aggs) agg.oneGroup(factory);
    this.#startGroup();
  }

  /** The lane of an aggregate's results; equal calls share one, unless their inputs are new each time. */
  #aggregate(node: Aggref, input: ExprScope, result: ExprScope): RowReader {
    let index = this.#aggs.findIndex(a => !a.volatile && equalNodes(a.aggref, node));
    if (index < 0) {
      index = this.#aggs.length;
      this.#aggs.push(new AggTrans(this.est, node, input, result));
      this.#aggLanes.push(new ValueLane());
    }
    const { values } = this.#aggLanes[index]!;
    return row => values[row]!;
  }

  #groupingFunc(node: GroupingFunc, plan: Agg): RowReader {
    const positions = node.refs.map(ref => plan.grpRefs.indexOf(ref));
    const { values } = this.#groupLane;
    return row => {
      const set = this.#tables[this.#setOfGroup[values[row] as number] ?? 0]!;
      let bits = 0;
      for (const p of positions) bits = (bits << 1) | (set.keep.includes(p) ? 0 : 1);
      return bits;
    };
  }

  next(max: number): number {
    if (this.#state === FINISHED) return END;
    if (!this.#projecting) {
      const status = this.#strategy === 'sorted' ? this.#nextSorted(max) : this.#nextGathered(max);
      if (status !== ROW) return status;
      this.#projecting = true;
    }
    this.#projection.project(0, this.#k);
    this.#projecting = false;
    this.out.n = this.#k;
    this.#k = 0;
    this.#resultScope.ec.serial++;
    return ROW;
  }

  #startGroup(): number {
    const group = this.#groups++;
    for (const agg of this.#aggs) agg.start(group);
    return group;
  }

  // ---- plain and hashed -----------------------------------------------------------------------------------

  #nextGathered(max: number): number {
    if (this.#state === LOADING) {
      const status = this.#pass < 0 ? this.#load() : this.#loadSpilled(this.#spill!);
      if (status !== END) return status;
      this.#state = EMITTING;
      this.#tell();
    }
    if (this.#strategy === 'plain') return this.#emitPlain();
    const status = this.#emitHashed(max);
    if (status !== END || this.#spill === undefined) return status;
    this.#pass = this.#spill.begin();
    if (this.#pass < 0) return END;
    this.#forgetGroups();
    this.#state = LOADING;
    return this.#nextGathered(max);
  }

  #peakBytes = 0;

  /** What EXPLAIN ANALYZE tells (show_hashagg_info). */
  #tell(): void {
    if (this.#strategy !== 'hashed') return;
    this.#peakBytes = Math.max(this.#peakBytes, this.#bytes());
    const disk = this.#spill === undefined ? '' : `  Disk Usage: ${kilobytes(this.#spill.bytes)}kB`;
    this.#told = `Batches: ${this.#spill?.passes ?? 1}  Memory Usage: ${kilobytes(this.#peakBytes)}kB${disk}`;
  }

  override explain(): readonly string[] {
    return this.#told === '' ? [] : [this.#told];
  }

  #bytes(): number {
    let bytes = this.#store.bytes + this.#groups * this.#groupBytes;
    for (const agg of this.#aggs) bytes += agg.bytes;
    return bytes;
  }

  /** No more groups in this pass; one there is always. */
  #full(): boolean {
    if (this.#groups === 0 || this.est.env.temp === undefined) return false;
    return this.#store.cramped || this.#spill?.passFull === true || this.#bytes() > this.#memoryBytes;
  }

  #spilling(): AggSpill {
    this.#spill ??= new AggSpill(this.est.env, this.#aggs, this.#args!, this.#memoryBytes);
    this.#spill.passFull = true;
    return this.#spill;
  }

  #load(): number {
    const child = this.#child;
    if (this.#memoryBytes === 0) {
      this.#memoryBytes = this.est.env.hashMemBytes;
      this.#groupBytes = BUCKET_BYTES;
      for (const agg of this.#aggs) this.#groupBytes += agg.groupBytes;
    }
    for (;;) {
      if (this.#inputRow >= child.out.n) {
        const status = this.#pull();
        if (status !== ROW) {
          child.out.n = 0;
          this.#inputRow = 0;
          return status;
        }
        this.#inputRow = 0;
      }
      if (this.#strategy === 'plain') this.#loadPlain();
      else this.#loadHashed();
      child.out.n = 0;
      this.#inputRow = 0;
      if (this.#spill?.full === true) return this.#spill.wait();
      if (this.est.env.shouldYield()) return YIELD;
    }
  }

  /** The next batch of the input, when the aggregates can take it. */
  #pull(): number {
    for (const agg of this.#aggs) {
      const status = agg.makeRoom();
      if (status !== END) return status;
    }
    return this.#child.pull();
  }

  /** The input of a later pass: a tape. */
  #loadSpilled(spill: AggSpill): number {
    for (let n = 1; ; n++) {
      const ptr = spill.next();
      if (ptr === 0) return END;
      if (ptr === MISS) return MISS;
      const group = this.#lookupSpilled(spill, ptr);
      if (group >= 0) for (let a = 0; a < this.#aggs.length; a++) this.#aggs[a]!.advance(group);
      if (n % ROWS_AT_ONCE !== 0) continue;
      if (spill.full) return spill.wait();
      if (this.est.env.shouldYield()) return YIELD;
    }
  }

  #lookupSpilled(spill: AggSpill, row: number): number {
    const { hash, keep } = this.#tables[this.#pass]!;
    const h = spill.hash(row);
    const { i32 } = this.est.env.mem;
    const { ptrs } = this.#lane;
    ptrs[1] = row;
    for (let ptr = hash.first(h); ptr !== 0; ptr = hash.next(ptr)) {
      if (hash.hashAt(ptr) !== h) continue;
      ptrs[0] = ptr;
      let same = true;
      for (let i = 0; i < keep.length && same; i++) {
        const stored = this.#storedKeys[keep[i]!]!;
        same = this.#equal[keep[i]!]!(stored(1), stored(0));
      }
      if (same) return i32[(ptr + GROUP) >> 2]!;
    }
    if (this.#full()) {
      this.#spilling().writeAgain(row, h);
      return -1;
    }
    return this.#newGroup(this.#pass, this.#store.copy(row), h);
  }

  #loadPlain(): void {
    const { n } = this.#child.out;
    const aggs = this.#aggs;
    if (this.#currentPtr === 0 && this.#inputReaders.length > 0) this.#currentPtr = this.#writer.write(this.#store, 0);
    for (; this.#inputRow < n; this.#inputRow++) {
      for (let a = 0; a < aggs.length; a++) aggs[a]!.evaluate(this.#inputRow);
      for (let a = 0; a < aggs.length; a++) aggs[a]!.advance(0);
      this.#inputScope.ec.serial++;
    }
  }

  #loadHashed(): void {
    const { n } = this.#child.out;
    const aggs = this.#aggs;
    for (; this.#inputRow < n; this.#inputRow++) {
      const row = this.#inputRow;
      for (let a = 0; a < aggs.length; a++) aggs[a]!.evaluate(row);
      for (let t = 0; t < this.#tables.length; t++) {
        const group = this.#lookup(t, row);
        if (group >= 0) for (let a = 0; a < aggs.length; a++) aggs[a]!.advance(group);
      }
      this.#inputScope.ec.serial++;
    }
  }

  /** The group of a row in one grouping set, made if it is new; -1: there is no room for it in this pass. */
  #lookup(t: number, row: number): number {
    const { hash, keep } = this.#tables[t]!;
    const keys = this.#keys;
    let h = 0;
    for (let i = 0; i < keep.length; i++) {
      const value = keys[keep[i]!]!(row);
      h = (Math.imul(h, 31) + (value === null ? 1 : this.#hash[keep[i]!]!(value))) | 0;
    }
    const { i32 } = this.est.env.mem;
    const { ptrs } = this.#lane;
    for (let ptr = hash.first(h); ptr !== 0; ptr = hash.next(ptr)) {
      if (hash.hashAt(ptr) !== h) continue;
      ptrs[0] = ptr;
      let same = true;
      for (let i = 0; i < keep.length && same; i++)
        same = this.#equal[keep[i]!]!(keys[keep[i]!]!(row), this.#storedKeys[keep[i]!]!(0));
      if (same) return i32[(ptr + GROUP) >> 2]!;
    }
    if (this.#full()) {
      if (this.#sets) this.#spilling().writeValues(t, this.#writer, this.#maskedRow(keep, row), h);
      else this.#spilling().write(t, this.#writer, row, h);
      return -1;
    }
    const ptr = this.#sets
      ? this.#writer.writeValues(this.#store, this.#maskedRow(keep, row))
      : this.#writer.write(this.#store, row);
    return this.#newGroup(t, ptr, h);
  }

  #newGroup(t: number, ptr: number, h: number): number {
    const group = this.#startGroup();
    if (this.#sets) this.#setOfGroup[group] = t;
    this.est.env.mem.i32[(ptr + GROUP) >> 2] = group;
    this.#tables[t]!.hash.add(ptr, h);
    return group;
  }

  /** The row with the grouping columns outside the set null. */
  #maskedRow(keep: readonly number[], row: number): Datum[] {
    return this.#inputReaders.map((read, column) => {
      const position = this.#keyColumns.indexOf(column);
      return position >= 0 && !keep.includes(position) ? null : read(row);
    });
  }

  #emitPlain(): number {
    if (this.#done) return END;
    this.#lane.ptrs[0] = this.#currentPtr;
    this.#finish(0, 0);
    const passes = this.#qual === null || this.#qual(0);
    this.#finished = 0;
    this.#done = true;
    if (!passes) return END;
    this.#k = 1;
    return ROW;
  }

  /** The last group has been put out. */
  #done = false;

  /** Aggregates of the group being put out that are done: its condition may have to wait. */
  #finished = 0;

  /** May throw SUSPEND; then it goes on where it stood. */
  #finish(group: number, row: number): void {
    this.#groupLane.values[row] = group;
    for (; this.#finished < this.#aggs.length; this.#finished++) {
      const a = this.#finished;
      this.#aggLanes[a]!.values[row] = this.#aggs[a]!.finish(group, row);
    }
  }

  #emitHashed(max: number): number {
    if (this.#sets && this.#groups === 0) this.#emptySets();
    const { i32 } = this.est.env.mem;
    const { ptrs } = this.#lane;
    for (;;) {
      if (this.#k >= max) return ROW;
      if (this.#emitting === 0) this.#emitting = this.#store.next(this.#where);
      const ptr = this.#emitting;
      if (ptr === 0) {
        if (this.#k > 0) return ROW;
        this.#state = FINISHED;
        return END;
      }
      ptrs[this.#k] = ptr;
      this.#finish(i32[(ptr + GROUP) >> 2]!, this.#k);
      this.#keepIfQualified();
      this.#emitting = 0;
    }
  }

  /** Over no rows, the set of no columns still has one group. */
  #emptySets(): void {
    this.#tables.forEach(({ keep }, t) => {
      if (keep.length > 0) return;
      const ptr = this.#writer.writeValues(
        this.#store,
        this.#inputReaders.map(() => null),
      );
      const group = this.#startGroup();
      this.#setOfGroup[group] = t;
      this.est.env.mem.i32[(ptr + GROUP) >> 2] = group;
    });
  }

  // ---- sorted ---------------------------------------------------------------------------------------------

  #nextSorted(max: number): number {
    const child = this.#child;
    const aggs = this.#aggs;
    if (this.#done) {
      this.#state = FINISHED;
      return END;
    }
    // Groups of the batch that was handed out are not needed any more; the open one moves to fresh space.
    for (;;) {
      if (this.#inputRow >= child.out.n) {
        const status = this.#pull();
        if (status === END) {
          child.out.n = 0;
          if (this.#current !== null) this.#closeGroup();
          this.#done = true;
          if (this.#k > 0) return ROW;
          this.#state = FINISHED;
          return END;
        }
        if (status !== ROW) {
          child.out.n = 0;
          this.#inputRow = 0;
          return status;
        }
        this.#inputRow = 0;
      }
      const { n } = child.out;
      while (this.#inputRow < n) {
        const row = this.#inputRow;
        if (this.#current === null || !this.#sameGroup(row)) {
          if (this.#current !== null) {
            this.#closeGroup();
            this.#current = null;
          }
          if (this.#k >= max) return ROW;
          this.#openGroup(row);
        }
        for (let a = 0; a < aggs.length; a++) aggs[a]!.evaluate(row);
        for (let a = 0; a < aggs.length; a++) aggs[a]!.advance(0);
        this.#inputScope.ec.serial++;
        this.#inputRow++;
      }
      if (this.est.env.shouldYield()) return this.#k > 0 ? ROW : YIELD;
    }
  }

  #openGroup(row: number): void {
    // Rows handed out before are consumed by now.
    if (this.#k === 0 && this.#store.count > 4 * BATCH_ROWS) this.#store.clear();
    this.#current = this.#keys.map(read => detach(read(row)));
    this.#currentPtr = this.#writer.write(this.#store, row);
    for (const agg of this.#aggs) agg.restart(0);
  }

  #sameGroup(row: number): boolean {
    const current = this.#current!;
    for (let i = 0; i < current.length; i++) if (!this.#equal[i]!(this.#keys[i]!(row), current[i]!)) return false;
    return true;
  }

  #closeGroup(): void {
    this.#lane.ptrs[this.#k] = this.#currentPtr;
    this.#finish(0, this.#k);
    this.#keepIfQualified();
  }

  #keepIfQualified(): void {
    const passes = this.#qual === null || this.#qual(this.#k);
    this.#finished = 0;
    // The next group may stand in the same place: it is another evaluation.
    this.#resultScope.ec.serial++;
    if (passes) this.#k++;
  }

  // ---- -----------------------------------------------------------------------------------------------------

  override get rowsStay(): RowsStay {
    return ROWS_STAY_UNTIL_NEXT;
  }

  protected override reset(changed: ChangedParams): void {
    this.#k = 0;
    this.#finished = 0;
    this.#projecting = false;
    this.#emitting = 0;
    this.#where = new StorePosition();
    const inMemory = this.#strategy === 'hashed' && this.#spill === undefined;
    if (changed !== null && inMemory && this.#state !== LOADING && !this.dependsOn(changed)) {
      this.#state = EMITTING;
      return;
    }
    this.#state = LOADING;
    this.#done = false;
    this.#inputRow = 0;
    this.#child.out.n = 0;
    this.#current = null;
    this.#currentPtr = 0;
    this.#forgetGroups();
    this.#closeSpill();
    this.#peakBytes = 0;
    this.#memoryBytes = 0;
    if (this.#strategy !== 'hashed') {
      this.#startGroup();
      for (const agg of this.#aggs) agg.restart(0);
    }
    super.reset(changed);
  }

  #forgetGroups(): void {
    this.#groups = 0;
    this.#setOfGroup = [];
    this.#where = new StorePosition();
    this.#store.clear();
    for (const table of this.#tables) table.hash.clear();
    for (const agg of this.#aggs) agg.clear();
  }

  #closeSpill(): void {
    this.#spill?.close();
    this.#spill = undefined;
    this.#pass = -1;
  }

  override suspend(): void {
    this.#child.out.hold(Math.min(this.#inputRow, this.#child.out.n), this.est.env.arena);
    super.suspend();
  }

  override release(): void {
    this.#closeSpill();
    this.#store.free();
    for (const table of this.#tables) table.hash.clear();
    for (const agg of this.#aggs) agg.clear();
    this.#state = LOADING;
    super.release();
  }
}
