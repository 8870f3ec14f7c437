/**
 * ModifyTable: INSERT (with ON CONFLICT), UPDATE, DELETE, and RETURNING.
 *
 * Row by row, each in phases; a MISS leaves the phase standing and the next call goes on with it:
 *
 *   form     the new row from the child's columns, constraints checked
 *   toast    large values are moved to the TOAST table
 *   change   the heap operation: all or nothing
 *   recheck  READ COMMITTED: the row changed meanwhile; lock its newest version, ask the plan again
 *   index    entries of the new version, one index after the other
 *   untoast  values of the old version leave the TOAST table
 *
 * Tuples in the child's batch may be read until the driver gets control; the new row is formed in a scratch
 * tuple of the arena, which outlives that.
 */
import {
  heapComputeTupleSize,
  heapDeformTuple,
  heapFormTuple,
  type TupleLayout,
  tupleLayout,
} from '@pgtroupe/access/common/heaptuple';
import { MAX_HEAP_TUPLE_SIZE } from '@pgtroupe/access/common/htup';
import {
  type HeapRelation,
  LOCK_TUPLE_EXCLUSIVE,
  type LockTupleMode,
  TM_BEING_MODIFIED,
  TM_DELETED,
  TM_INVISIBLE,
  TM_OK,
  TM_SELF_MODIFIED,
  TM_UPDATED,
} from '@pgtroupe/access/heap/heapam-context';
import { heapDelete } from '@pgtroupe/access/heap/heapam-delete';
import { heapInsert } from '@pgtroupe/access/heap/heapam-insert';
import { heapLockLatest, heapLockTuple } from '@pgtroupe/access/heap/heapam-lock';
import { heapTupleAt, NOT_FOUND } from '@pgtroupe/access/heap/heapam-scan';
import { heapUpdate, type UpdateAttributes } from '@pgtroupe/access/heap/heapam-update';
import { BT_DUPLICATE } from '@pgtroupe/access/nbtree/nbtinsert';
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import { Arena } from '@pgtroupe/storage/arena';
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import type { CommandId, Oid, TransactionId } from '@pgtroupe/common/ids';
import * as N from '@pgtroupe/nodes/nodes';
import type { ModifyTable } from '@pgtroupe/optimizer/plannodes';
import { detach, type RowReader, TID_BLOCK, TupleLane } from './batch.ts';
import { TableToaster } from './toast.ts';
import { CheckOptions, TableConstraints } from './constraints.ts';
import { EpqState } from './epq.ts';
import { type ChangedParams, type EState, PlanState } from './estate.ts';
import { compileExpr, type ExprScope } from './execExpr.ts';
import { indexColumns, TableIndexes } from './execIndexing.ts';
import type { ExecRange } from './range.ts';
import { execUpdateLockMode, heapOf, updateAttributesOf } from './relations.ts';
import { affectsRowAgain, checkConflictVisible, OnConflictUpdate } from './execOnConflict.ts';
import {
  checkRelation,
  columnOf,
  generatedColumns,
  modifiedByTrigger,
  serializationFailure,
  type Sources,
  sourcesOf,
} from './resultrel.ts';
import { atOnce, makeScope, Projection, type SubPlanFactory } from './scope.ts';
import { END, MISS, ROW, YIELD } from './status.ts';

const PHASE_FORM = 0;
const PHASE_CHANGE = 1;
const PHASE_RECHECK = 2;
const PHASE_INDEX = 3;
const PHASE_CONFLICT_UPDATE = 4;
const PHASE_TOAST = 5;
const PHASE_UNTOAST = 6;
const PHASE_RESULT = 7;
/** What a phase answers beside MISS: */
const NEXT_PHASE = 1;
const ROW_DONE = 2;
const ROW_SKIPPED = 3;

const SCRATCH = 8192;

export interface ModifyTableTools {
  readonly range: ExecRange;
  build(est: EState, plan: ModifyTable['lefttree'] & object): PlanState;
}

export class ModifyTableState extends PlanState {
  readonly #child: PlanState;
  readonly #operation: N.CmdType;
  readonly #setsTag: boolean;
  readonly #relation: RelationDesc;
  readonly #heap: HeapRelation;
  readonly #layout: TupleLayout;
  readonly #indexes: TableIndexes;
  readonly #constraints: TableConstraints;
  readonly #atts: UpdateAttributes;
  /** The new row while it is checked: row 0 of this lane. */
  readonly #newLane: TupleLane;
  readonly #newScope: ExprScope;
  /** Rows of the table as RETURNING sees them, by row of the child's batch. */
  readonly #resultLane: TupleLane;
  readonly #returning: Projection | null;
  readonly #columns: Sources;
  readonly #generated: readonly { readonly att: number; readonly read: RowReader }[];
  readonly #updateColnos: readonly number[];
  readonly #updateLockMode: LockTupleMode;
  readonly #values: Datum[];
  readonly #epq: EpqState;
  readonly #plan: ModifyTable;
  readonly #onConflict: OnConflictUpdate | null;
  readonly #checkOptions: CheckOptions;
  readonly #toaster: TableToaster;
  #scratch = 0;
  #scratchSize = 0;
  /** The old version had values in the TOAST table. */
  #untoast = false;
  #newLength = 0;

  #row = 0;
  #phase = PHASE_FORM;
  #k = 0;
  #tid = 0;
  /** Where the values of the row being changed are read: the child, or the recheck's plan. */
  #source: Sources;
  #sourceRow = 0;
  #priorXmax = 0;
  #ctid = 0;
  #newBlk = 0;
  #newOffnum = 0;
  #hot = false;
  #done = false;
  #epqSources: Sources | null = null;

  constructor(est: EState, plan: ModifyTable, factory: SubPlanFactory, child: PlanState, tools: ModifyTableTools) {
    super(est, plan);
    this.#plan = plan;
    this.#child = child;
    this.children.push(child);
    this.#operation = plan.operation;
    this.#setsTag = plan.canSetTag;
    this.#relation = est.env.relation(tools.range.rtable[plan.resultRelation - 1]!.relid as Oid);
    checkRelation(this.#relation, plan.operation);
    this.#heap = heapOf(this.#relation);
    this.#layout = tupleLayout(this.#relation.att);
    this.#newLane = new TupleLane(this.#relation.att, this.#relation.oid);
    this.#resultLane = new TupleLane(this.#relation.att, this.#relation.oid);
    this.#newScope = makeScope(this, atOnce(factory), { scan: n => columnOf(this.#relation, this.#newLane, n) });
    this.#indexes = new TableIndexes(est, this.#relation, this.#heap, this.#newScope);
    this.#constraints = new TableConstraints(est, this.#relation, this.#newScope);
    this.#atts = updateAttributesOf(this.#relation, indexColumns);
    this.#toaster = new TableToaster(est, this.#relation);
    this.#values = new Array<Datum>(this.#relation.att.attrs.length).fill(null);
    this.#updateColnos = plan.updateColnos;
    this.#columns = sourcesOf(est, plan, child, factory);
    this.#source = this.#columns;
    this.#generated = generatedColumns(est.env, this.#relation).map(({ att, expr }) => ({
      att,
      read: compileExpr(expr, this.#newScope),
    }));
    const resultScope = makeScope(this, factory, {
      outer: child.out.columns,
      scan: attnum => columnOf(this.#relation, this.#resultLane, attnum),
    });
    this.#returning =
      plan.returningList.length === 0 ? null : new Projection(plan.returningList, resultScope, this.out);
    this.#checkOptions = new CheckOptions(est, this.#relation, plan.withCheckOptions, this.#newScope);
    this.#epq = new EpqState(est, plan.lefttree!, plan.rowMarks, tools.range, (epqEst, node) => {
      const state = tools.build(epqEst, node);
      this.#epqSources = sourcesOf(epqEst, plan, state, factory);
      return state;
    });
    this.#onConflict =
      plan.onConflictAction === N.ONCONFLICT_UPDATE
        ? new OnConflictUpdate(est, plan, factory, this.#relation, child)
        : null;
    const set = this.#onConflict?.columns ?? this.#updateColnos;
    this.#updateLockMode = execUpdateLockMode(this.#atts, [...set.map(c => c - 1), ...this.#generated.map(g => g.att)]);
  }

  next(max: number): number {
    if (this.#done) return END;
    const child = this.#child;
    for (;;) {
      if (this.#row >= child.out.n) {
        if (this.#k > 0) return this.#deliver();
        const status = this.#returning === null ? child.pull() : child.next(max);
        if (status !== ROW) {
          child.out.n = 0;
          this.#row = 0;
          if (status === END) this.#done = true;
          return status;
        }
        this.#row = 0;
      }
      while (this.#row < child.out.n) {
        const answer = this.#step();
        if (answer < 0) return this.#k > 0 ? this.#deliver() : answer;
        if (answer === ROW_DONE) {
          this.#keepResult();
          if (this.#setsTag) this.est.processed++;
        }
        this.#phase = PHASE_FORM;
        this.#source = this.#columns;
        this.#newScope.ec.serial++;
        this.#onConflict?.begin();
        this.#row++;
      }
      if (this.est.env.shouldYield()) return this.#k > 0 ? this.#deliver() : YIELD;
    }
  }

  #deliver(): number {
    this.out.n = this.#k;
    this.#k = 0;
    return ROW;
  }

  /** RETURNING's values for the row just changed. */
  #keepResult(): void {
    if (this.#returning === null) return;
    this.#returning.project(this.#row, this.#row + 1);
    this.#returning.begin();
    this.out.move(this.#row, this.#k++);
  }

  /** Works on the current row until it is through: ROW_DONE, ROW_SKIPPED, or a suspension. */
  #step(): number {
    for (;;) {
      let answer: number;
      switch (this.#phase) {
        case PHASE_FORM:
          answer = this.#form();
          break;
        case PHASE_CHANGE:
          answer =
            this.#operation === N.CMD_INSERT
              ? this.#insert()
              : this.#operation === N.CMD_UPDATE
                ? this.#update()
                : this.#delete();
          break;
        case PHASE_RECHECK:
          answer = this.#recheck();
          break;
        case PHASE_CONFLICT_UPDATE:
          answer = this.#conflictUpdate();
          break;
        case PHASE_TOAST:
          answer = this.#toast();
          break;
        case PHASE_RESULT:
          answer = this.#finishRow();
          break;
        case PHASE_UNTOAST:
          answer = this.#toaster.run() === MISS ? MISS : this.#finishRow();
          break;
        default:
          answer = this.#insertIndexEntries();
      }
      if (answer !== NEXT_PHASE) return answer;
    }
  }

  // ---- form ---------------------------------------------------------------------------------------------

  #form(): number {
    this.#sourceRow = this.#source === this.#columns ? this.#row : 0;
    const source = this.#source;
    if (this.#operation !== N.CMD_INSERT) {
      if (this.#source === this.#columns) {
        const tid = source.tid!(this.#sourceRow);
        if (tid < 0) return ROW_SKIPPED;
        this.#tid = tid;
      }
      const old = heapTupleAt(this.est.env.heap, this.#heap, this.#blk(), this.#offnum());
      if (old === MISS) return MISS;
      // Whatever opening the TOAST table lacks is obtained before the first change.
      if (old !== NOT_FOUND && this.#toaster.hasExternal(old)) this.#toaster.open();
      if (this.#operation === N.CMD_DELETE) {
        this.#phase = PHASE_CHANGE;
        return NEXT_PHASE;
      }
      // Gone altogether: let the update find out why.
      if (old !== NOT_FOUND) heapDeformTuple(this.#layout, this.est.env.mem, old, this.#values.length, this.#values);
      for (let i = 0; i < this.#updateColnos.length; i++)
        this.#values[this.#updateColnos[i]! - 1] = source.values[i]!(this.#sourceRow);
    } else for (let i = 0; i < this.#values.length; i++) this.#values[i] = source.values[i]!(this.#sourceRow);
    this.#formNewTuple();
    const toast = this.#toaster.wanted(this.#newLength);
    if (toast) this.#toaster.store(this.#values, this.#cid);
    this.#phase = toast ? PHASE_TOAST : PHASE_CHANGE;
    return NEXT_PHASE;
  }

  /** Moves large values out of the row, then forms it anew. */
  #toast(): number {
    if (this.#toaster.run() === MISS) return MISS;
    this.#writeScratch(this.#toaster.values);
    if (this.#newLength > MAX_HEAP_TUPLE_SIZE) {
      throw ereport(
        ERRCODE.PROGRAM_LIMIT_EXCEEDED,
        `row is too big: size ${this.#newLength}, maximum size ${MAX_HEAP_TUPLE_SIZE}`,
      );
    }
    this.#phase = PHASE_CHANGE;
    return NEXT_PHASE;
  }

  #blk(): number {
    return Math.floor(this.#tid / TID_BLOCK);
  }

  #offnum(): number {
    return this.#tid % TID_BLOCK;
  }

  /** Forms the scratch tuple from `#values` and checks it. */
  #formNewTuple(): void {
    const values = this.#values;
    const { attrs } = this.#relation.att;
    for (let i = 0; i < attrs.length; i++) if (attrs[i]!.dropped) values[i] = null;
    if (this.#generated.length > 0) {
      for (const { att } of this.#generated) values[att] = null;
      this.#writeScratch(values);
      for (const { att, read } of this.#generated) values[att] = detach(read(0));
    }
    this.#constraints.notNull(values);
    this.#writeScratch(values);
    if (this.#constraints.hasChecks) this.#constraints.check(values);
    this.#checkOptions.check(values);
  }

  #writeScratch(values: readonly Datum[]): void {
    const size = heapComputeTupleSize(this.#layout, values);
    const { arena, mem } = this.est.env;
    if (size > this.#scratchSize) {
      if (this.#scratch !== 0) arena.free(this.#scratch, this.#scratchSize);
      this.#scratchSize = Arena.chunkSize(Math.max(size, SCRATCH));
      this.#scratch = arena.alloc(this.#scratchSize);
    }
    this.#newLength = heapFormTuple(this.#layout, values, mem, this.#scratch);
    this.#newLane.ptrs[0] = this.#scratch;
  }

  // ---- change -------------------------------------------------------------------------------------------

  get #cid(): CommandId {
    return this.est.env.heap.xact.curcid;
  }

  #insert(): number {
    const { heap } = this.est.env;
    const action = this.#plan.onConflictAction;
    if (action !== N.ONCONFLICT_NONE) {
      const conflict = this.#indexes.findConflict(this.#values, this.#plan.arbiterIndexes);
      if (conflict === MISS) return MISS;
      if (conflict === BT_DUPLICATE) {
        this.#tid = heap.blk * TID_BLOCK + heap.offnum;
        if (action === N.ONCONFLICT_NOTHING) return this.#conflictNothing();
        this.#onConflict!.locked = false;
        this.#newScope.ec.serial++;
        this.#phase = PHASE_CONFLICT_UPDATE;
        return NEXT_PHASE;
      }
      // Everything the entries need is obtained first: nobody can get in between row and entries.
      const prepared = this.#indexes.prepare(this.#values);
      if (prepared === MISS) return MISS;
    }
    if (heapInsert(heap, this.#heap, this.#scratch, this.#newLength, this.#cid) === MISS) return MISS;
    this.#stored();
    this.#phase = PHASE_INDEX;
    return NEXT_PHASE;
  }

  /** The new version is on its page. */
  #stored(): void {
    const { heap } = this.est.env;
    this.#newBlk = heap.blk;
    this.#newOffnum = heap.offnum;
    this.#indexes.start();
  }

  #update(): number {
    const { heap } = this.est.env;
    const result = heapUpdate(
      heap,
      this.#heap,
      this.#blk(),
      this.#offnum(),
      this.#scratch,
      this.#newLength,
      this.#cid,
      this.#atts,
    );
    if (result === MISS) return MISS;
    if (result !== TM_OK) return this.#conflicting(result, 'update');
    return this.#updated();
  }

  /** The new version is stored: what remains to be done. */
  #updated(): number {
    this.#hot = this.est.env.heap.hot;
    this.#stored();
    this.#phase = PHASE_INDEX;
    this.#noteOldVersion();
    if (this.#hot || this.#indexes.count === 0) return this.#afterIndexes();
    return NEXT_PHASE;
  }

  /** Values in the TOAST table that belong to the version just replaced. */
  #noteOldVersion(): void {
    const old = heapTupleAt(this.est.env.heap, this.#heap, this.#blk(), this.#offnum());
    this.#untoast = old > 0 && this.#toaster.hasExternal(old);
    if (this.#untoast) this.#toaster.remove(old, this.#cid);
  }

  #afterIndexes(): number {
    if (!this.#untoast) return this.#finishRow();
    this.#untoast = false;
    this.#phase = PHASE_UNTOAST;
    return NEXT_PHASE;
  }

  /** RETURNING reads the row where it is now: there may have been pauses since it was stored. */
  #finishRow(): number {
    if (this.#returning === null) return ROW_DONE;
    // What RETURNING computes may have to wait: nothing before this is done again then.
    this.#phase = PHASE_RESULT;
    const deleted = this.#operation === N.CMD_DELETE;
    const blk = deleted ? this.#blk() : this.#newBlk;
    const offnum = deleted ? this.#offnum() : this.#newOffnum;
    const stored = heapTupleAt(this.est.env.heap, this.#heap, blk, offnum);
    if (stored === MISS) return MISS;
    this.#resultLane.ptrs[this.#row] = stored;
    this.#resultLane.tids[this.#row] = blk * TID_BLOCK + offnum;
    return ROW_DONE;
  }

  #delete(): number {
    const { heap } = this.est.env;
    const result = heapDelete(heap, this.#heap, this.#blk(), this.#offnum(), this.#cid);
    if (result === MISS) return MISS;
    if (result !== TM_OK) return this.#conflicting(result, 'delete');
    this.#noteOldVersion();
    this.#phase = PHASE_INDEX;
    return this.#afterIndexes();
  }

  #insertIndexEntries(): number {
    if (this.#operation === N.CMD_DELETE) return this.#finishRow();
    const done =
      this.#indexes.count === 0 || this.#indexes.insert(this.#values, this.#newBlk, this.#newOffnum) !== MISS;
    return done ? this.#afterIndexes() : MISS;
  }

  // ---- concurrent changes -----------------------------------------------------------------------------------

  #conflicting(result: number, verb: 'update' | 'delete'): number {
    const { env } = this.est;
    const { heap } = env;
    switch (result) {
      case TM_SELF_MODIFIED:
        // By this very command: a join met the row twice. By a later one: a trigger or function did.
        if (heap.cmax !== this.#cid) throw modifiedByTrigger(verb === 'update' ? 'updated' : 'deleted');
        return ROW_SKIPPED;
      case TM_BEING_MODIFIED:
        return heap.wantXactWait();
      case TM_UPDATED:
        if (env.usesTransactionSnapshot) throw serializationFailure('update');
        this.#ctid = heap.ctidBlk * TID_BLOCK + heap.ctidOffnum;
        this.#priorXmax = heap.xmax;
        this.#epq.begin();
        this.#phase = PHASE_RECHECK;
        return NEXT_PHASE;
      case TM_DELETED:
        if (env.usesTransactionSnapshot) throw serializationFailure('delete');
        return ROW_SKIPPED;
      case TM_INVISIBLE:
      default:
        throw ereport(ERRCODE.OBJECT_NOT_IN_PREREQUISITE_STATE, `attempted to ${verb} invisible tuple`);
    }
  }

  /** Locks the newest version and asks the plan about it. */
  #recheck(): number {
    const { heap } = this.est.env;
    const mode = this.#operation === N.CMD_DELETE ? LOCK_TUPLE_EXCLUSIVE : this.#updateLockMode;
    const result = heapLockLatest(
      heap,
      this.#heap,
      Math.floor(this.#ctid / TID_BLOCK),
      this.#ctid % TID_BLOCK,
      this.#priorXmax as TransactionId,
      this.#cid,
      mode,
    );
    switch (result) {
      case MISS:
        return MISS;
      case TM_OK:
        break;
      case TM_BEING_MODIFIED:
        return heap.wantXactWait();
      case TM_DELETED:
        return ROW_SKIPPED;
      case TM_SELF_MODIFIED:
        if (heap.cmax !== this.#cid) throw modifiedByTrigger(this.#operation === N.CMD_DELETE ? 'deleted' : 'updated');
        return ROW_SKIPPED;
      default:
        throw ereport(ERRCODE.INTERNAL_ERROR, `unexpected result ${result} of a row lock`);
    }
    const tid = heap.blk * TID_BLOCK + heap.offnum;
    const epq = this.#epq;
    epq.setTuple(this.#plan.resultRelation, heap.tuple, tid);
    for (const [rti, read] of this.#columns.marks) {
      const other = read(this.#row);
      if (other < 0) epq.setTuple(rti, 0, 0);
      else if (epq.fetch(rti, other) === MISS) return MISS;
    }
    for (const [rti, read] of this.#columns.wholeRows) epq.setRow(rti, read(this.#row));
    const status = epq.run();
    if (status < 0) return status;
    if (status === END) return ROW_SKIPPED;
    this.#tid = tid;
    this.#source = this.#epqSources!;
    this.#phase = PHASE_FORM;
    return NEXT_PHASE;
  }

  // ---- ON CONFLICT --------------------------------------------------------------------------------------------

  #conflictNothing(): number {
    return this.#conflictVisible() === MISS ? MISS : ROW_SKIPPED;
  }

  #conflictVisible(): number {
    return checkConflictVisible(this.est, this.#heap, this.#blk(), this.#offnum());
  }

  #conflictUpdate(): number {
    const { env } = this.est;
    const { heap } = env;
    const result = heapLockTuple(heap, this.#heap, this.#blk(), this.#offnum(), this.#cid, this.#updateLockMode);
    switch (result) {
      case MISS:
        return MISS;
      case TM_OK:
        break;
      case TM_INVISIBLE:
      case TM_SELF_MODIFIED:
        // What SET reads changed it since this row's turn began.
        if (this.#onConflict!.locked) return ROW_SKIPPED;
        throw affectsRowAgain();
      case TM_BEING_MODIFIED:
        return heap.wantXactWait();
      default:
        if (env.usesTransactionSnapshot) throw serializationFailure('update');
        // Changed again: look for the conflict anew.
        this.#onConflict!.begin();
        this.#phase = PHASE_CHANGE;
        return NEXT_PHASE;
    }
    this.#onConflict!.locked = true;
    if (this.#conflictVisible() === MISS) return MISS;
    const existing = heapTupleAt(heap, this.#heap, this.#blk(), this.#offnum());
    if (existing === MISS) return MISS;
    const update = this.#onConflict!;
    update.setRows(existing, this.#tid, this.#scratch);
    if (update.where !== null && !update.where(0)) return ROW_SKIPPED;
    const assigned = update.assign();
    const proposed = [...this.#values];
    heapDeformTuple(this.#layout, env.mem, existing, this.#values.length, this.#values);
    for (let i = 0; i < this.#values.length; i++) this.#values[i] = detach(this.#values[i]!);
    update.columns.forEach((column, i) => (this.#values[column - 1] = assigned[i]!));
    let again = true;
    const keep = this.#scratch;
    const keepSize = this.#scratchSize;
    // The proposed row stays readable until the update is done; the new version is formed elsewhere.
    this.#scratch = 0;
    this.#scratchSize = 0;
    try {
      this.#formNewTuple();
      if (this.#newLength > MAX_HEAP_TUPLE_SIZE) throw notSupported('ON CONFLICT DO UPDATE of a row that needs TOAST');
      const changed = heapUpdate(
        heap,
        this.#heap,
        this.#blk(),
        this.#offnum(),
        this.#scratch,
        this.#newLength,
        this.#cid,
        this.#atts,
      );
      if (changed === MISS) return MISS;
      // It is locked: only what SET reads can have changed it.
      if (changed !== TM_OK) return this.#conflicting(changed, 'update');
      again = false;
    } finally {
      if (again) for (let i = 0; i < proposed.length; i++) this.#values[i] = proposed[i]!;
      if (this.#scratch !== 0) env.arena.free(this.#scratch, this.#scratchSize);
      this.#scratch = keep;
      this.#scratchSize = keepSize;
      this.#newLane.ptrs[0] = heap.tuple;
    }
    return this.#updated();
  }

  // ---- -------------------------------------------------------------------------------------------------------

  protected override reset(changed: ChangedParams): void {
    this.#child.out.n = 0;
    this.#row = 0;
    this.#k = 0;
    this.#phase = PHASE_FORM;
    this.#source = this.#columns;
    this.#done = false;
    super.reset(changed);
  }

  override suspend(): void {
    // RETURNING's rows that wait for more of them.
    this.out.holdFirst(this.#k, this.est.env.arena);
    // Before the input: the values may stand where it gives back its space.
    for (let i = 0; i < this.#values.length; i++) this.#values[i] = detach(this.#values[i]!);
    this.#toaster.suspend();
    this.#child.out.hold(Math.min(this.#row, this.#child.out.n), this.est.env.arena);
    this.#epq.suspend();
    super.suspend();
  }

  override release(): void {
    if (this.#scratch !== 0) this.est.env.arena.free(this.#scratch, this.#scratchSize);
    this.#scratch = 0;
    this.#scratchSize = 0;
    this.#toaster.release();
    this.#epq.release();
    super.release();
  }
}
