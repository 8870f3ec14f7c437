/**
 * WindowAgg: gathers a partition (beyond work_mem on disk), computes its window functions row by row, puts the rows out. The
 * input comes sorted by partition and order.
 */
import { BOOLOID } from '@pgtroupe/common/oids';
import { INVALID_OID, type Oid } from '@pgtroupe/common/ids';
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import * as N from '@pgtroupe/nodes/nodes';
import { exprType } from '@pgtroupe/nodes/nodefuncs';
import type { Aggref, WindowFunc } from '@pgtroupe/nodes/primnodes';
import { AGGFNOID } from '@pgtroupe/catalog/syscache';
import type { WindowAgg } from '@pgtroupe/optimizer/plannodes';
import { AggTrans } from './aggtrans.ts';
import { Batch, detach, type RowReader, type TupleLane, ValueLane } from './batch.ts';
import { type ChangedParams, type EState, PlanState, ROWS_STAY_UNTIL_NEXT, type RowsStay } from './estate.ts';
import { compileExpr, type ExprScope, makeCall, procFunction, procRow, readColumn } from './execExpr.ts';
import { type Equal, equalityOf, notDistinct } from './keys.ts';
import { addStoredColumns, RowWriter } from './rowstore.ts';
import { makeScope, Projection, type SubPlanFactory } from './scope.ts';
import { END, MISS, ROW, SUSPEND, YIELD } from './status.ts';
import { type Partition, type RangeTest, WindowFrame } from './windowframe.ts';
import { WindowRows } from './windowrows.ts';

/** Rows of frames added up between two looks at the clock. */
const ADDED_AT_ONCE = 256;

interface WindowCall {
  readonly values: Datum[];
  /** Value for a row of the partition. */
  compute(row: number): Datum;
  /** A new partition begins. */
  begin(): void;
}

export class WindowAggState extends PlanState implements Partition {
  readonly #child: PlanState;
  readonly #partition: WindowRows;
  readonly #writer: RowWriter;
  readonly #rows = new Batch();
  readonly #outLane: TupleLane;
  /** Lane through which expressions read any row of the partition: put its tuple at 0. */
  readonly #workLane: TupleLane;
  readonly #workScope: ExprScope;
  readonly #partKeys: readonly RowReader[];
  readonly #partEqual: readonly Equal[];
  /** Of the row that is gathered. */
  readonly #ordKeys: readonly RowReader[];
  /** The first of them, of the row in the work lane. */
  readonly #orderValue: RowReader | undefined;
  readonly #ordEqual: readonly Equal[];
  readonly #calls: WindowCall[] = [];
  readonly #frame: WindowFrame;
  readonly #startOffset: RowReader | null;
  readonly #endOffset: RowReader | null;
  readonly #projection: Projection;
  readonly #resultScope: ExprScope;
  #current: Datum[] | null = null;
  /** Of the peer group that is gathered. */
  #peers: readonly Datum[] = [];
  #inputRow = 0;
  #inputEnded = false;
  #emitting = false;
  /** Number of the batch's first row, and how many rows it has. */
  #next = 0;
  #k = 0;
  #offsetsKnown = false;
  #projecting = false;
  /** A partition is complete and its frame offsets are being computed. */
  #gathered = false;
  /** Row of the batch and call that are computed next: what is done is not done again after a suspension. */
  #computed = 0;
  #call = 0;

  constructor(est: EState, plan: WindowAgg, factory: SubPlanFactory, child: PlanState) {
    super(est, plan);
    this.#child = child;
    this.children.push(child);
    const input = makeScope(this, factory, { outer: child.out.columns });
    this.#partition = new WindowRows(est.env);
    this.#writer = new RowWriter(est, child.out.columns, column => readColumn(input, column));
    this.#outLane = addStoredColumns(this.#rows, this.#writer);
    this.#workLane = this.#writer.newLane();
    const work = this.#writer.columns(this.#workLane);
    this.#workScope = makeScope(this, factory, { outer: work });
    this.#partKeys = plan.partColIdx.map(c => readColumn(input, child.out.columns[c - 1]!));
    this.#partEqual = plan.partOperators.map((op, i) => notDistinct(equalityOf(est, op, plan.partCollations[i]!)));
    this.#ordKeys = plan.ordColIdx.map(c => readColumn(input, child.out.columns[c - 1]!));
    const [order] = plan.ordColIdx;
    this.#orderValue = order === undefined ? undefined : readColumn(this.#workScope, work[order - 1]!);
    this.#ordEqual = plan.ordOperators.map((op, i) => notDistinct(equalityOf(est, op, plan.ordCollations[i]!)));
    const orderType = order === undefined ? 0 : work[order - 1]!.type.typid;
    this.#frame = new WindowFrame(
      plan.frameOptions,
      rangeTest(est, plan, orderType),
      plan.inRangeAsc,
      plan.inRangeNullsFirst,
    );
    this.#startOffset = plan.startOffset === null ? null : compileExpr(plan.startOffset, this.#workScope);
    this.#endOffset = plan.endOffset === null ? null : compileExpr(plan.endOffset, this.#workScope);
    this.#resultScope = makeScope(this, factory, { outer: this.#rows.columns });
    this.#resultScope.windowFunc = node => {
      const lane = this.#rows.addValueLane(new ValueLane());
      this.#calls.push(this.#compileCall(node, lane.values));
      return row => lane.values[row]!;
    };
    this.#projection = new Projection(plan.targetlist, this.#resultScope, this.out);
  }

  // ---- Partition ---------------------------------------------------------------------------------------

  get count(): number {
    return this.#partition.count;
  }

  peerStart(row: number): number {
    return this.#partition.peerStart(row);
  }

  peerEnd(row: number): number {
    return this.#partition.peerEnd(row);
  }

  orderValue(row: number): Datum {
    this.#seek(row);
    return this.#orderValue!(0);
  }

  /** Puts a row into the work lane; throws SUSPEND when it has to be read first. */
  #seek(row: number): void {
    const inBatch = row - this.#next;
    const ptr = inBatch >= 0 && inBatch < this.#k ? this.#outLane.ptrs[inBatch]! : this.#partition.at(row);
    if (ptr === MISS) this.#suspended(MISS);
    this.#workLane.ptrs[0] = ptr;
  }

  #suspended(status: number): never {
    this.est.suspended = status;
    throw SUSPEND;
  }

  // ----

  next(max: number): number {
    for (;;) {
      if (this.#projecting) {
        this.#projection.project(0, this.#k);
        this.#projecting = false;
        this.out.n = this.#k;
        this.#next += this.#k;
        this.#k = 0;
        this.#resultScope.ec.serial++;
        return ROW;
      }
      if (!this.#emitting) {
        if (!this.#gathered) {
          const status = this.#gather();
          if (status !== ROW) return status;
          this.#gathered = true;
        }
        this.#beginPartition();
        this.#gathered = false;
      }
      if (this.#k === 0) {
        if (this.#next === this.count) {
          this.#emitting = false;
          continue;
        }
        const n = this.#partition.read(this.#outLane.ptrs, Math.min(max, this.count - this.#next));
        if (n < 0) return n;
        this.#k = n;
      }
      for (; this.#computed < this.#k; this.#computed++) {
        const row = this.#next + this.#computed;
        for (; this.#call < this.#calls.length; this.#call++) {
          const call = this.#calls[this.#call]!;
          call.values[this.#computed] = call.compute(row);
          this.#workScope.ec.serial++;
        }
        this.#call = 0;
      }
      this.#computed = 0;
      this.#projecting = true;
    }
  }

  /** Reads one partition: ROW when there is one. */
  #gather(): number {
    const child = this.#child;
    if (this.#current === null) this.#partition.clear();
    for (;;) {
      while (this.#inputRow < child.out.n) {
        const row = this.#inputRow;
        if (this.#current === null) this.#current = this.#partKeys.map(read => detach(read(row)));
        else if (!this.#samePartition(row)) return this.#gatheredAll();
        this.#append(row);
        this.#inputRow++;
      }
      if (this.#inputEnded) return END;
      if (this.#partition.full) return this.#partition.wait();
      const status = child.pull();
      this.#inputRow = 0;
      if (status !== ROW) {
        child.out.n = 0;
        if (status !== END) return status;
        this.#inputEnded = true;
        return this.#current === null ? END : this.#gatheredAll();
      }
      if (this.est.env.shouldYield()) return YIELD;
    }
  }

  #gatheredAll(): typeof ROW {
    this.#current = null;
    this.#partition.complete();
    return ROW;
  }

  #samePartition(row: number): boolean {
    for (let i = 0; i < this.#partKeys.length; i++)
      if (!this.#partEqual[i]!(this.#partKeys[i]!(row), this.#current![i]!)) return false;
    return true;
  }

  #append(row: number): void {
    if (this.count > 0 && this.#samePeers(row)) {
      this.#partition.add(this.#writer, row, false);
      return;
    }
    const keys = this.#ordKeys.map(read => detach(read(row)));
    this.#partition.add(this.#writer, row, true);
    this.#peers = keys;
  }

  #samePeers(row: number): boolean {
    for (let i = 0; i < this.#ordKeys.length; i++)
      if (!this.#ordEqual[i]!(this.#peers[i]!, this.#ordKeys[i]!(row))) return false;
    return true;
  }

  #beginPartition(): void {
    if (!this.#offsetsKnown) {
      this.#frame.startOffset = this.#startOffset === null ? null : detach(this.#startOffset(0));
      this.#frame.endOffset = this.#endOffset === null ? null : detach(this.#endOffset(0));
      this.#frame.checkOffsets();
      this.#offsetsKnown = true;
      this.#workScope.ec.serial++;
    }
    this.#frame.begin();
    for (const call of this.#calls) call.begin();
    this.#next = 0;
    this.#emitting = true;
  }

  // ---- functions -----------------------------------------------------------------------------------------

  #compileCall(node: WindowFunc, values: Datum[]): WindowCall {
    if (node.winagg) return this.#compileAggregate(node, values);
    const args = node.args.map(arg => compileExpr(arg, this.#workScope));
    const filterless = (compute: (row: number) => Datum, begin: () => void = () => {}): WindowCall => ({
      values,
      compute,
      begin,
    });
    const at = (row: number, arg: number): Datum => {
      this.#seek(row);
      return args[arg]!(0);
    };
    const { prosrc, proname } = procRow(this.est, node.winfnoid);
    switch (prosrc) {
      case 'window_row_number':
        return filterless(row => row + 1);
      case 'window_rank':
        return filterless(row => this.peerStart(row) + 1);
      case 'window_dense_rank': {
        let rank = 0;
        return filterless(
          row => (this.peerStart(row) === row ? ++rank : rank),
          () => (rank = 0),
        );
      }
      case 'window_percent_rank':
        return filterless(row => (this.count > 1 ? this.peerStart(row) / (this.count - 1) : 0));
      case 'window_cume_dist':
        return filterless(row => this.peerEnd(row) / this.count);
      case 'window_ntile':
        return filterless(row => ntile(row, this.count, at(row, 0)));
      case 'window_lag':
      case 'window_lag_with_offset':
      case 'window_lag_with_offset_and_default':
        return filterless(row => this.#shifted(row, -1, args, at));
      case 'window_lead':
      case 'window_lead_with_offset':
      case 'window_lead_with_offset_and_default':
        return filterless(row => this.#shifted(row, 1, args, at));
      case 'window_first_value':
        return filterless(row => this.#inFrame(row, 1, false, r => at(r, 0)));
      case 'window_last_value':
        return filterless(row => this.#inFrame(row, 1, true, r => at(r, 0)));
      case 'window_nth_value':
        return filterless(row => {
          const n = at(row, 1);
          if (n === null) return null;
          if ((n as number) <= 0)
            throw ereport(ERRCODE.INVALID_ARGUMENT_FOR_NTH_VALUE, 'argument of nth_value must be greater than zero');
          return this.#inFrame(row, n as number, false, r => at(r, 0));
        });
      default:
        throw notSupported(`window function ${proname}`);
    }
  }

  #shifted(row: number, direction: number, args: readonly RowReader[], at: (row: number, arg: number) => Datum): Datum {
    const offset = args.length > 1 ? at(row, 1) : 1;
    if (offset === null) return null;
    const target = row + direction * (offset as number);
    if (target >= 0 && target < this.count) return detach(at(target, 0));
    return args.length > 2 ? detach(at(row, 2)) : null;
  }

  /** The n-th row of the frame from its beginning or end. */
  #inFrame(row: number, n: number, fromEnd: boolean, read: (row: number) => Datum): Datum {
    const frame = this.#frame;
    frame.locate(this, row);
    let left = n;
    for (let i = 0; i < frame.end - frame.start; i++) {
      const r = fromEnd ? frame.end - 1 - i : frame.start + i;
      if (frame.excludes && frame.excluded(this, r, row)) continue;
      if (--left === 0) return detach(read(r));
    }
    return null;
  }

  #compileAggregate(node: WindowFunc, values: Datum[]): WindowCall {
    const facts = this.est.env.rows.search(AGGFNOID, node.winfnoid);
    if (facts === null) throw ereport(ERRCODE.INTERNAL_ERROR, `cache lookup failed for aggregate ${node.winfnoid}`);
    const aggref = aggrefOf(node, facts.aggtranstype, this.est);
    const agg = new AggTrans(this.est, aggref, this.#workScope, this.#workScope);
    const frame = this.#frame;
    let from = 0;
    let to = 0;
    let result: Datum = null;
    let known = false;
    /** The row whose frame is being added up anew, -1 none. */
    let adding = -1;
    let added = 0;
    const add = (row: number): void => {
      if (++added % ADDED_AT_ONCE === 0 && this.est.env.shouldYield()) this.#suspended(YIELD);
      this.#seek(row);
      agg.evaluate(0);
      agg.advance(0);
      this.#workScope.ec.serial++;
    };
    const restart = (): void => {
      agg.restart(0);
      known = false;
    };
    return {
      values,
      begin: () => {
        restart();
        from = 0;
        to = 0;
        adding = -1;
      },
      compute: row => {
        frame.locate(this, row);
        if (known && !frame.excludes && frame.start === from && frame.end === to) return result;
        if (frame.startsAtBeginning && frame.end >= to && from === 0) {
          // The frame only grows: go on from the last state.
          for (; to < frame.end; to++) add(to);
        } else {
          if (adding !== row) {
            restart();
            adding = row;
            from = frame.start;
            to = frame.start;
          }
          for (; to < frame.end; to++) if (!frame.excludes || !frame.excluded(this, to, row)) add(to);
        }
        // May have to be called again for this row: its frame has been added up then.
        result = detach(agg.finish(0, 0));
        adding = -1;
        known = true;
        return result;
      },
    };
  }

  // ----

  override get rowsStay(): RowsStay {
    return ROWS_STAY_UNTIL_NEXT;
  }

  protected override reset(changed: ChangedParams): void {
    this.#child.out.n = 0;
    this.#inputRow = 0;
    this.#inputEnded = false;
    this.#emitting = false;
    this.#gathered = false;
    this.#computed = 0;
    this.#call = 0;
    this.#current = null;
    this.#offsetsKnown = false;
    this.#projecting = false;
    this.#partition.clear();
    this.#next = 0;
    this.#k = 0;
    super.reset(changed);
  }

  override suspend(): void {
    this.#child.out.hold(Math.min(this.#inputRow, this.#child.out.n), this.est.env.arena);
    super.suspend();
  }

  override release(): void {
    this.#partition.free();
    super.release();
  }
}

function ntile(row: number, count: number, buckets: Datum): Datum {
  if (buckets === null) return null;
  const n = buckets as number;
  if (n <= 0) throw ereport(ERRCODE.INVALID_ARGUMENT_FOR_NTILE, 'argument of ntile must be greater than zero');
  const small = Math.floor(count / n);
  const larger = count % n;
  // The first `larger` buckets have one row more.
  const inLarger = larger * (small + 1);
  if (row < inLarger) return Math.floor(row / (small + 1)) + 1;
  return larger + Math.floor((row - inLarger) / Math.max(1, small)) + 1;
}

/** The aggregate as an Agg node would call it. */
function aggrefOf(node: WindowFunc, transtype: Oid, est: EState): Aggref {
  const types = node.args.map(exprType);
  return {
    type: 'Aggref',
    aggfnoid: node.winfnoid,
    aggtype: node.wintype,
    aggcollid: node.wincollid,
    inputcollid: node.inputcollid,
    aggtranstype: resolveTranstype(est, transtype, types),
    aggargtypes: types,
    aggdirectargs: [],
    args: node.args.map((expr, i) => ({
      type: 'TargetEntry',
      expr,
      resno: i + 1,
      resname: null,
      ressortgroupref: 0,
      resorigtbl: INVALID_OID,
      resorigcol: 0,
      resjunk: false,
    })),
    aggorder: [],
    aggdistinct: [],
    aggfilter: node.aggfilter,
    aggstar: node.winstar,
    aggvariadic: false,
    aggkind: 'n',
    agglevelsup: 0,
    aggsplit: 0,
    aggno: -1,
    aggtransno: -1,
    location: -1,
  };
}

/** A polymorphic state type takes the type of the arguments. */
function resolveTranstype(est: EState, transtype: Oid, types: readonly Oid[]): Oid {
  if (transtype === ANYARRAY)
    return est.env.lookup.type(types[0] as never)?.isArray
      ? types[0]!
      : (est.env.lookup.type(types[0] as never)?.typarray ?? transtype);
  return POLYMORPHIC.has(transtype) ? types[0]! : transtype;
}

const ANYARRAY = 2277;
const POLYMORPHIC: ReadonlySet<number> = new Set([2283, 2776, 3500, 3831, 4537, 5077, 5079]);

function rangeTest(est: EState, plan: WindowAgg, orderType: number): RangeTest | null {
  if ((plan.frameOptions & N.FRAMEOPTION_RANGE) === 0) return null;
  const make = (proc: number, offset: WindowAgg['startOffset']): RangeTest['start'] => {
    if (proc === 0 || offset === null) return () => false;
    const fn = procFunction(procRow(est, proc), plan.inRangeColl);
    const fc = makeCall(est, [orderType, orderType, exprType(offset), BOOLOID, BOOLOID], BOOLOID, plan.inRangeColl);
    return (value, base, off, sub, less) => fn(fc, value, base, off, sub, less) === true;
  };
  return { start: make(plan.startInRangeFunc, plan.startOffset), end: make(plan.endInRangeFunc, plan.endOffset) };
}
