/**
 * SELECT FOR UPDATE and its like: locks each row before it is passed on; a row that changed while we waited is
 * checked again in its newest version.
 */
import {
  LOCK_TUPLE_EXCLUSIVE,
  LOCK_TUPLE_KEY_SHARE,
  LOCK_TUPLE_NO_KEY_EXCLUSIVE,
  LOCK_TUPLE_SHARE,
  type LockTupleMode,
  TM_BEING_MODIFIED,
  TM_DELETED,
  TM_INVISIBLE,
  TM_OK,
  TM_SELF_MODIFIED,
  TM_UPDATED,
} from '@pgtroupe/access/heap/heapam-context';
import { heapLockLatest, heapLockTuple } from '@pgtroupe/access/heap/heapam-lock';
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Datum } from '@pgtroupe/common/datum';
import type { Oid, TransactionId } from '@pgtroupe/common/ids';
import * as N from '@pgtroupe/nodes/nodes';
import type { LockRows, Plan, PlanRowMark } from '@pgtroupe/optimizer/plannodes';
import { detach, type RowReader, TID_BLOCK, ValueLane } from './batch.ts';
import { EpqState } from './epq.ts';
import { type ChangedParams, type EState, PlanState } from './estate.ts';
import type { ExecRange } from './range.ts';
import { heapOf } from './relations.ts';
import { columnReaders, makeScope, type SubPlanFactory } from './scope.ts';
import { END, MISS, ROW, YIELD } from './status.ts';
import { readColumn, tidReader } from './execExpr.ts';

const MODES: readonly LockTupleMode[] = [
  LOCK_TUPLE_KEY_SHARE,
  LOCK_TUPLE_KEY_SHARE,
  LOCK_TUPLE_SHARE,
  LOCK_TUPLE_NO_KEY_EXCLUSIVE,
  LOCK_TUPLE_EXCLUSIVE,
];
const PASS = 1;
const SKIP = 2;

interface Mark {
  readonly mark: PlanRowMark;
  readonly relation: RelationDesc | null;
  readonly tid: ((row: number) => number) | null;
  readonly wholeRow: RowReader | null;
}

export interface LockRowsTools {
  readonly range: ExecRange;
  build(est: EState, plan: Plan): PlanState;
}

export class LockRowsState extends PlanState {
  readonly #child: PlanState;
  readonly #marks: readonly Mark[];
  readonly #readers: readonly RowReader[];
  readonly #lanes: readonly Datum[][];
  readonly #epq: EpqState;
  #epqReaders: readonly RowReader[] = [];
  #row = 0;
  #mark = 0;
  /** Rows whose newest version must be checked: by range table index, where it is. */
  readonly #changed = new Map<number, { ctid: number; prior: number }>();
  #k = 0;

  constructor(est: EState, plan: LockRows, factory: SubPlanFactory, child: PlanState, tools: LockRowsTools) {
    super(est, plan);
    this.#child = child;
    this.children.push(child);
    const scope = makeScope(this, factory, { outer: child.out.columns });
    const tlist = plan.lefttree!.targetlist;
    this.#marks = plan.rowMarks.map(mark => {
      const tle = mark.ctidName === null ? undefined : tlist.find(t => t.resname === mark.ctidName);
      const relation = mark.ctidName === null ? null : est.env.relation(tools.range.rtable[mark.rti - 1]!.relid as Oid);
      const whole = mark.wholeName === null ? undefined : tlist.find(t => t.resname === mark.wholeName);
      return {
        mark,
        relation,
        tid: tle === undefined ? null : tidReader(scope, child.out.columns[tle.resno - 1]!),
        wholeRow: whole === undefined ? null : readColumn(scope, child.out.columns[whole.resno - 1]!),
      };
    });
    this.#readers = columnReaders(scope, child.out.columns);
    this.#lanes = child.out.columns.map(column => {
      const lane = new ValueLane();
      this.out.addColumn({ kind: 'value', type: column.type, lane });
      return lane.values;
    });
    this.#epq = new EpqState(est, plan.lefttree!, plan.rowMarks, tools.range, (epqEst, node) => {
      const state = tools.build(epqEst, node);
      this.#epqReaders = columnReaders(makeScope(epqEst, factory, { outer: state.out.columns }), state.out.columns);
      return state;
    });
  }

  next(max: number): number {
    const child = this.#child;
    for (;;) {
      if (this.#row >= child.out.n) {
        if (this.#k > 0) return this.#deliver();
        // One row at a time: a row that nobody asks for must not be locked.
        const status = child.next(max);
        if (status !== ROW) {
          child.out.n = 0;
          this.#row = 0;
          return status;
        }
        this.#row = 0;
        this.#mark = 0;
        this.#changed.clear();
      }
      while (this.#row < child.out.n) {
        const answer = this.#lockRow();
        if (answer < 0) return this.#k > 0 ? this.#deliver() : answer;
        if (answer === PASS) this.#k++;
        this.#row++;
        this.#mark = 0;
        this.#changed.clear();
      }
      if (this.est.env.shouldYield()) return this.#k > 0 ? this.#deliver() : YIELD;
    }
  }

  #deliver(): number {
    this.out.n = this.#k;
    this.#k = 0;
    return ROW;
  }

  /** Locks the current row in all relations asked for, and puts it into the output. */
  #lockRow(): number {
    for (; this.#mark < this.#marks.length; this.#mark++) {
      const mark = this.#marks[this.#mark]!;
      if (!mark.mark.locks || mark.tid === null) continue;
      const tid = mark.tid(this.#row);
      // The nullable side of an outer join had no row.
      if (tid < 0) continue;
      const answer = this.#lock(mark, tid);
      if (answer !== PASS) return answer;
    }
    if (this.#changed.size > 0) return this.#recheck();
    for (let c = 0; c < this.#readers.length; c++) this.#lanes[c]![this.#k] = detach(this.#readers[c]!(this.#row));
    return PASS;
  }

  #lock({ mark, relation }: Pick<Mark, 'mark' | 'relation'>, tid: number): number {
    const { env } = this.est;
    const { heap } = env;
    const rel = heapOf(relation!);
    const mode = MODES[mark.strength]!;
    const known = this.#changed.get(mark.rti);
    const result =
      known === undefined
        ? heapLockTuple(heap, rel, Math.floor(tid / TID_BLOCK), tid % TID_BLOCK, heap.xact.curcid, mode, true)
        : heapLockLatest(
            heap,
            rel,
            Math.floor(known.ctid / TID_BLOCK),
            known.ctid % TID_BLOCK,
            known.prior as TransactionId,
            heap.xact.curcid,
            mode,
          );
    switch (result) {
      case MISS:
        return MISS;
      case TM_OK:
        return PASS;
      case TM_BEING_MODIFIED:
        return this.#beingModified({ mark, relation });
      case TM_UPDATED:
        if (env.usesTransactionSnapshot)
          throw ereport(ERRCODE.T_R_SERIALIZATION_FAILURE, 'could not serialize access due to concurrent update');
        this.#changed.set(mark.rti, { ctid: heap.ctidBlk * TID_BLOCK + heap.ctidOffnum, prior: heap.xmax });
        return this.#lock({ mark, relation }, tid);
      case TM_DELETED:
        if (env.usesTransactionSnapshot)
          throw ereport(ERRCODE.T_R_SERIALIZATION_FAILURE, 'could not serialize access due to concurrent update');
        return SKIP;
      case TM_SELF_MODIFIED:
      case TM_INVISIBLE:
        // Changed by this command itself: as if it were gone.
        return SKIP;
      default:
        throw ereport(ERRCODE.INTERNAL_ERROR, `unrecognized row lock result ${result}`);
    }
  }

  /** Somebody else has the row: wait, skip it, or fail. */
  #beingModified({ mark, relation }: Pick<Mark, 'mark' | 'relation'>): number {
    const { heap } = this.est.env;
    if (mark.waitPolicy === N.LOCK_WAIT_BLOCK) return heap.wantXactWait();
    if (heap.xact.confirmRunning(heap.waitFxid) === MISS) return MISS;
    if (mark.waitPolicy === N.LOCK_WAIT_SKIP) return SKIP;
    throw ereport(ERRCODE.LOCK_NOT_AVAILABLE, `could not obtain lock on row in relation "${relation!.name}"`);
  }

  /** Asks the plan about the newest versions. */
  #recheck(): number {
    const { heap } = this.est.env;
    const epq = this.#epq;
    const { state } = epq;
    if (!epq.running) epq.begin();
    for (const { mark, relation, tid, wholeRow } of this.#marks) {
      if (wholeRow !== null) epq.setRow(mark.rti, wholeRow(this.#row));
      if (tid === null) continue;
      const changed = this.#changed.get(mark.rti);
      if (changed === undefined) {
        const at = tid(this.#row);
        if (at < 0) epq.setTuple(mark.rti, 0, 0);
        else if (epq.fetch(mark.rti, at) === MISS) return MISS;
        continue;
      }
      const result = heapLockLatest(
        heap,
        heapOf(relation!),
        Math.floor(changed.ctid / TID_BLOCK),
        changed.ctid % TID_BLOCK,
        changed.prior as TransactionId,
        heap.xact.curcid,
        MODES[mark.strength]!,
      );
      if (result === MISS) return MISS;
      if (result === TM_BEING_MODIFIED) return this.#beingModified({ mark, relation });
      if (result !== TM_OK) return SKIP;
      epq.setTuple(mark.rti, heap.tuple, heap.blk * TID_BLOCK + heap.offnum);
    }
    const status = epq.run();
    if (status < 0) return status;
    if (status === END) return SKIP;
    void state;
    for (let c = 0; c < this.#epqReaders.length; c++) this.#lanes[c]![this.#k] = detach(this.#epqReaders[c]!(0));
    return PASS;
  }

  protected override reset(changed: ChangedParams): void {
    this.#child.out.n = 0;
    this.#row = 0;
    this.#mark = 0;
    this.#k = 0;
    this.#changed.clear();
    super.reset(changed);
  }

  override suspend(): void {
    this.#child.out.hold(Math.min(this.#row, this.#child.out.n), this.est.env.arena);
    this.#epq.suspend();
    super.suspend();
  }

  override release(): void {
    this.#epq.release();
    super.release();
  }
}
