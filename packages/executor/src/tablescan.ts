/**
 * Base of scans of tables: the lane over the table's tuples, and the row put in its place while an
 * updated row is checked again (EvalPlanQual).
 */
import type { HeapRelation } from '@pgtroupe/access/heap/heapam-context';
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import type { Oid } from '@pgtroupe/common/ids';
import type { IndexScan, SeqScan, TidScan } from '@pgtroupe/optimizer/plannodes';
import { type Column, TupleLane } from './batch.ts';
import { type ChangedParams, type EState } from './estate.ts';
import { ScanState } from './execScan.ts';
import { heapOf } from './relations.ts';
import type { SubPlanFactory } from './scope.ts';
import { END, ROW } from './status.ts';
import type { ExecRange } from './range.ts';

export abstract class TableScanState extends ScanState {
  protected readonly relation: RelationDesc;
  protected readonly heap: HeapRelation;
  readonly lane: TupleLane;
  readonly #scanrelid: number;
  #substituted = false;

  constructor(
    est: EState,
    plan: SeqScan | IndexScan | TidScan,
    factory: SubPlanFactory,
    range: ExecRange,
    ptrs: Int32Array<ArrayBuffer>,
  ) {
    super(est, plan, factory);
    this.#scanrelid = plan.scanrelid;
    this.relation = est.env.relation(range.rtable[plan.scanrelid - 1]!.relid as Oid);
    this.heap = heapOf(this.relation);
    this.lane = this.input.addTupleLane(new TupleLane(this.relation.att, this.relation.oid, ptrs));
  }

  protected override scanColumn(attnum: number): Column {
    if (attnum === -1) this.lane.wantTids = true;
    const att = attnum > 0 ? this.relation.att.attrs[attnum - 1]! : undefined;
    const type =
      att !== undefined
        ? { typid: att.typid, typmod: att.typmod, collation: att.collation }
        : { typid: attnum === 0 ? this.relation.rel.reltype : SYSTEM_TYPES[-attnum]!, typmod: -1, collation: 0 };
    return { kind: 'attr', type, lane: this.lane, attnum };
  }

  protected override fill(max: number): number {
    const { epq } = this.est;
    if (epq === null) return this.read(max);
    const tuple = epq.tuples.get(this.#scanrelid);
    if (tuple === undefined) return this.read(max);
    if (this.#substituted || tuple.ptr === 0 || !this.recheckTid(tuple.tid)) return END;
    this.#substituted = true;
    this.lane.ptrs[0] = tuple.ptr;
    this.lane.tids[0] = tuple.tid;
    this.input.n = 1;
    return ROW;
  }

  /** May the row stand where it does? */
  protected recheckTid(_tid: number): boolean {
    return true;
  }

  /** Reads the next tuples into the lane. */
  protected abstract read(max: number): number;

  protected override reset(changed: ChangedParams): void {
    super.reset(changed);
    this.#substituted = false;
  }
}

/** Types of ctid, xmin, cmin, xmax, cmax, tableoid. */
const SYSTEM_TYPES = [0, 27, 28, 29, 28, 29, 26];
