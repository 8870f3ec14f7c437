/**
 * Running a plan: what the session driver works with.
 *
 *   const state = initPlan(env, plannedStmt);            // once per plan and session; may throw CatalogMiss
 *   finish(state.computeConstants(params, 0, fold));     // each execution: errors of constant expressions
 *   state.start(params, snapshot);                       // each execution
 *   for (;;) switch (state.pull()) {                     // may throw CatalogMiss: load, call again
 *     case ROW: state.readers, state.count ...           // valid until the next call
 *     case END: done; state.processed
 *     case MISS: state.suspend(); await kernel.satisfy(pages.want)
 *     case YIELD: state.suspend(); await the next turn
 *   }
 *   state.release();                                     // gives back memory; `start` may follow again
 *
 * Whenever the driver awaits anything it calls `suspend` first: rows in progress move out of the pages.
 * After an error the state is released and not used again.
 */
import { INVALID_OID, type Oid } from '@pgtroupe/common/ids';
import { heapTupleHasExternal } from '@pgtroupe/access/heap/heaptoast';
import type { Memory } from '@pgtroupe/storage/buffer/pages';
import { DETOAST_MISS } from '@pgtroupe/access/common/detoast';
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { finish, type Slices } from '@pgtroupe/common/slices';
import type { Snapshot, XactView } from '@pgtroupe/transam/xactview';
import { COERCE_IMPLICIT_CAST, PARAM_EXTERN } from '@pgtroupe/nodes/nodes';
import type { Expr, TargetEntry } from '@pgtroupe/nodes/primnodes';
import type { PlannedStmt } from '@pgtroupe/optimizer/plannodes';
import type { AttrColumn, Batch, Column, RowReader, TupleLane } from './batch.ts';
import { detach } from './batch.ts';
import { EState, type ExecEnv, type PlanState } from './estate.ts';
import { type Fold, NO_SNAPSHOT, PlanConstants } from './execConstants.ts';
import { compileExpr } from './execExpr.ts';
import { PlanBuilder } from './execProcnode.ts';
import type { CteStore } from './nodeCtescan.ts';
import { columnReaders, makeScope } from './scope.ts';
import { END, MISS, ROW, SUSPEND } from './status.ts';

/** A plan ready to run, again and again. May throw CatalogMiss: then try again after loading. */
export function initPlan(env: ExecEnv, plan: PlannedStmt): QueryState {
  return finish(initPlanInSlices(env, plan));
}

/** Bit by bit; what `env` says of catalogs must stay the same. */
export function* initPlanInSlices(env: ExecEnv, plan: PlannedStmt): Slices<QueryState> {
  const est = new EState(env, plan.paramExecCount);
  const builder = new PlanBuilder(est, plan);
  const root = yield* builder.buildInSlices(plan.planTree);
  yield;
  return new QueryState(est, plan, builder, root);
}

export class QueryState {
  readonly plan: PlannedStmt;
  readonly est: EState;
  readonly root: PlanState;
  /** The visible result columns, in order. */
  readonly columns: readonly Column[];
  readonly tlist: readonly TargetEntry[];
  /** Readers of those columns, by row of the batch. */
  readonly readers: readonly RowReader[];
  readonly #modifyingCtes: readonly CteStore[];
  /** Result columns whose values may lie in TOAST tables: fetched before the batch is handed out. */
  readonly #toasted: readonly ToastedColumn[];
  readonly #constants: PlanConstants | undefined;
  #fetching = false;
  #used = false;
  #ended = false;

  constructor(est: EState, plan: PlannedStmt, builder: PlanBuilder, root: PlanState) {
    this.plan = plan;
    this.#constants = plan.constants.length === 0 ? undefined : new PlanConstants(est.env, plan.constants);
    this.est = est;
    this.root = root;
    // The last first, as PostgreSQL does: whoever reads another has finished it then.
    this.#modifyingCtes = builder.modifyingCtes().reverse();
    const all = plan.planTree.type === 'ModifyTable' ? plan.planTree.returningList : plan.planTree.targetlist;
    const visible =
      this.root.out.columns.length === 0
        ? []
        : all.map((tle, i) => ({ tle, column: this.root.out.columns[i]! })).filter(c => !c.tle.resjunk);
    this.tlist = visible.map(c => c.tle);
    this.columns = visible.map(c => c.column);
    const readers = columnReaders(makeScope(this.est, builder, {}), this.columns);
    this.#toasted = this.columns
      .map((column, i) => (canBeExternal(column) ? new ToastedColumn(column.lane, readers[i]!) : null))
      .filter(c => c !== null);
    this.readers = readers.map(
      (read, i) => this.#toasted.find(t => t.lane === laneOf(this.columns[i]!) && t.read === read)?.reader ?? read,
    );
  }

  /** The batch that `next` filled. */
  get batch(): Batch {
    return this.root.out;
  }

  /** Rows that the last `next` delivered. */
  get count(): number {
    return this.root.out.n;
  }

  /** Rows changed by INSERT, UPDATE, DELETE. */
  get processed(): number {
    return this.est.processed;
  }

  /**
   * Before an execution: throws what PostgreSQL throws while it plans. The first `unknown` parameters do not count: it
   * plans for any values of them. May throw CatalogMiss.
   */
  *computeConstants(params: readonly Datum[], unknown: number, fold: Fold): Slices<void> {
    if (this.#constants !== undefined) yield* this.#constants.compute(params, unknown, fold);
  }

  /** Begins an execution. `xact` is the transaction it runs in (env.heap's if left out). */
  start(params: readonly Datum[], snapshot: Snapshot, xact?: XactView): void {
    const { est } = this;
    if (xact !== undefined) est.env.heap.xact = xact;
    est.params = params;
    est.snapshot = snapshot;
    est.processed = 0;
    est.generation++;
    this.#ended = false;
    this.#fetching = false;
    for (const column of this.#toasted) column.done();
    // A fresh tree has nothing to forget.
    if (this.#used) {
      for (const state of est.subplans) state.rescan(null);
      this.root.rescan(null);
    }
    this.#used = true;
  }

  /** The next rows, at most `limit`: ROW, END, MISS or YIELD. May throw CatalogMiss. */
  pull(limit?: number): number {
    try {
      if (this.#fetching) return this.#fetchToasted();
      if (!this.#ended) {
        const status = this.root.pull(limit);
        if (status === ROW && this.#toasted.length > 0) return this.#fetchToasted();
        if (status !== END) return status;
        this.#ended = true;
      }
      return this.#finishCtes();
    } catch (thrown) {
      if (thrown === SUSPEND) return this.est.suspended;
      // A value is on its way from the TOAST table; `want` says which.
      if (thrown === DETOAST_MISS) return MISS;
      throw thrown;
    }
  }

  /** Whoever takes the rows cannot wait in the middle of one. */
  #fetchToasted(): number {
    this.#fetching = true;
    for (const column of this.#toasted) column.fetch(this.est.env.mem, this.root.out.n);
    for (const column of this.#toasted) column.done();
    this.#fetching = false;
    return ROW;
  }

  /** The main plan is through: CTEs that change data are run to their ends, read or not. */
  #finishCtes(): number {
    for (const cte of this.#modifyingCtes) {
      for (;;) {
        const status = cte.pull();
        if (status === END) break;
        if (status !== ROW) return status;
      }
    }
    return END;
  }

  /** The driver is about to await something: nothing may point into pages any more. */
  suspend(): void {
    if (this.#fetching) this.root.out.hold(0, this.est.env.arena);
    this.root.suspend();
    for (const state of this.est.subplans) state.suspend();
  }

  /** Gives back the memory that the execution took. */
  release(): void {
    this.root.release();
    for (const state of this.est.subplans) state.release();
    for (const store of this.est.stores) store.free();
    for (const release of this.est.releases) release();
  }
}

function laneOf(column: Column): TupleLane | null {
  return column.kind === 'attr' ? column.lane : null;
}

function canBeExternal(column: Column): column is AttrColumn {
  return (
    column.kind === 'attr' &&
    column.attnum > 0 &&
    column.lane.desc.attrs[column.attnum - 1]!.len === -1 &&
    column.lane.desc.attrs[column.attnum - 1]!.storage !== 'p'
  );
}

/** A result column: its values are read ahead when rows of the batch point to a TOAST table. */
class ToastedColumn {
  readonly lane: TupleLane;
  readonly read: RowReader;
  readonly reader: RowReader;
  readonly #values: Datum[] = [];
  #fetched = false;
  #row = 0;

  constructor(lane: TupleLane, read: RowReader) {
    this.lane = lane;
    this.read = read;
    this.reader = row => (this.#fetched ? this.#values[row]! : read(row));
  }

  /** Reads rows [0, n); throws DETOAST_MISS, then goes on from there. */
  fetch(mem: Memory, n: number): void {
    const { ptrs } = this.lane;
    if (this.#row === 0) {
      this.#fetched = false;
      let any = false;
      for (let row = 0; row < n && !any; row++) any = ptrs[row] !== 0 && heapTupleHasExternal(mem, ptrs[row]!);
      if (!any) return;
    }
    for (; this.#row < n; this.#row++) this.#values[this.#row] = detach(this.read(this.#row));
    this.#fetched = true;
  }

  done(): void {
    this.#row = 0;
  }
}

/** A value as one of a domain's: its constraints look at it. */
export function coerceToDomain(env: ExecEnv, domain: Oid, value: Datum): Datum {
  const est = new EState(env, 0);
  est.snapshot = NO_SNAPSHOT;
  est.params = [value];
  const subplan = (): never => {
    throw ereport(ERRCODE.INTERNAL_ERROR, 'subquery in a domain constraint');
  };
  return compileExpr(domainCast(domain), makeScope(est, { subplan }, {}))(0);
}

function domainCast(domain: Oid): Expr {
  const location = -1;
  const value = { paramtype: domain, paramtypmod: -1, paramcollid: INVALID_OID, location };
  return {
    type: 'CoerceToDomain',
    arg: { type: 'Param', paramkind: PARAM_EXTERN, paramid: 1, ...value },
    resulttype: domain,
    resulttypmod: -1,
    resultcollid: INVALID_OID,
    coercionformat: COERCE_IMPLICIT_CAST,
    location,
  };
}
