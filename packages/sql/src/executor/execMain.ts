/**
 * Running a plan: what the session driver works with.
 *
 *   const query = new QueryDesc(env, plannedStmt);         // once per plan and session; may throw CatalogMiss
 *   query.start(params, snapshot, dest);                   // each execution
 *   for (;;) {
 *     const r = query.run(maxRows);                        // 0: all rows
 *     if (r === 'done' || r === 'suspended') break;        // suspended: maxRows delivered, portal stays open
 *     if (r === 'wait') await kernel.satisfy(env.pages.want);
 *     if (r === 'yield') await nextTurn();                 // time slice over
 *     if (r === 'blocked') await dest.drained();           // the client does not read
 *   }
 *   query.end();                                           // gives back memory, keeps the tree for the next start
 *
 * Between run() calls nothing points into pages. Errors leave the query unusable until the next start().
 * `processed` is the number of rows for the command tag.
 */
import { heapPruneQueued } from '@pgtroupe/access/heap/pruneheap';
import { CatalogMiss } from '@pgtroupe/catalog/catalogmiss';
import type { Datum } from '@pgtroupe/common/datum';
import type { Oid } from '@pgtroupe/common/ids';
import type { Snapshot } from '@pgtroupe/transam/xactview';
import * as N from '../nodes/nodes.ts';
import type { TargetEntry } from '../nodes/primnodes.ts';
import type { PlannedStmt } from '../optimizer/plannodes.ts';
import type { Batch, Column } from './batch.ts';
import { EState, type ExecEnv, type PlanState } from './estate.ts';
import { PlanBuilder } from './execProcnode.ts';
import type { CteStore } from './nodeCtescan.ts';
import { BATCH_ROWS, END, MISS, ROW, SUSPEND, YIELD } from './status.ts';

/** Takes result rows. Everything of the batch is invalid after `receive` returns. */
export interface DestReceiver {
  /** Columns of the result, compiled once per plan: `batch.columns` are the same objects in every call. */
  startup(columns: readonly ResultColumn[]): void;
  /** Rows [0, batch.n). Answers true when it wants no more for now. */
  receive(batch: Batch, columns: readonly ResultColumn[]): boolean;
}

export interface ResultColumn {
  readonly column: Column;
  readonly tle: TargetEntry;
}

export type RunStatus = 'done' | 'suspended' | 'wait' | 'yield' | 'blocked';

export class QueryDesc {
  readonly plan: PlannedStmt;
  readonly est: EState;
  readonly #root: PlanState;
  readonly #columns: readonly ResultColumn[];
  readonly #modifyingCtes: readonly CteStore[];
  readonly #countsRows: boolean;
  #dest: DestReceiver | null = null;
  #finished = false;
  #delivered = 0;
  #started = false;

  constructor(env: ExecEnv, plan: PlannedStmt) {
    this.plan = plan;
    this.est = new EState(env, plan.paramExecCount);
    const builder = new PlanBuilder(this.est, plan);
    this.#root = builder.build(plan.planTree);
    this.#modifyingCtes = builder.modifyingCtes();
    const tlist = plan.planTree.type === 'ModifyTable' ? plan.planTree.returningList : plan.planTree.targetlist;
    this.#columns = this.#root.out.columns.length === 0 ? [] : tlist.flatMap((tle, i) => (tle.resjunk ? [] : [{ column: this.#root.out.columns[i]!, tle }]));
    this.#countsRows = plan.commandType === N.CMD_SELECT;
  }

  get root(): PlanState {
    return this.#root;
  }

  get columns(): readonly ResultColumn[] {
    return this.#columns;
  }

  /** Rows selected, or changed, so far. */
  get processed(): number {
    return this.#countsRows ? this.#delivered : this.est.processed;
  }

  /** May the plan still be used: none of its relations has changed? */
  get valid(): boolean {
    return this.plan.relationOids.every(oid => this.est.env.relation(oid as Oid).valid);
  }

  start(params: readonly Datum[], snapshot: Snapshot, dest: DestReceiver): void {
    const { est } = this;
    est.params = params;
    est.snapshot = snapshot;
    est.processed = 0;
    est.generation++;
    this.#dest = dest;
    this.#finished = false;
    this.#delivered = 0;
    // A fresh tree has nothing to forget.
    if (this.#started) this.#forget();
    this.#started = true;
    dest.startup(this.#columns);
  }

  #forget(): void {
    for (const state of this.est.subplans) state.rescan(null);
    this.#root.rescan(null);
  }

  /** Runs until something stops it. `maxRows` 0: no limit. */
  run(maxRows: number): RunStatus {
    let left = maxRows === 0 ? Infinity : maxRows;
    try {
      for (;;) {
        if (this.#finished) return this.#finish();
        const status = this.#root.next(Math.min(BATCH_ROWS, left));
        if (status === ROW) {
          const { out } = this.#root;
          const { n } = out;
          this.#delivered += n;
          left -= n;
          const full = this.#columns.length > 0 || this.#countsRows ? this.#dest!.receive(out, this.#columns) : false;
          if (left <= 0) return this.#pause('suspended');
          if (full) return this.#pause('blocked');
          continue;
        }
        if (status === END) {
          this.#finished = true;
          continue;
        }
        return this.#stopped(status);
      }
    } catch (thrown) {
      return this.#interrupted(thrown);
    }
  }

  /** The main plan is through: CTEs that change data are run to their ends. */
  #finish(): RunStatus {
    for (const cte of this.#modifyingCtes) {
      for (;;) {
        const status = cte.pull(BATCH_ROWS);
        if (status === END) break;
        if (status !== ROW) return this.#stopped(status);
      }
    }
    heapPruneQueued(this.est.env.heap);
    return 'done';
  }

  #stopped(status: number): RunStatus {
    return this.#pause(status === YIELD ? 'yield' : 'wait');
  }

  #interrupted(thrown: unknown): RunStatus {
    if (thrown === SUSPEND) return this.#stopped(this.est.suspended);
    if (thrown instanceof CatalogMiss) {
      const { load } = thrown;
      this.est.env.pages.want = { kind: 'await', run: () => load() };
      return this.#stopped(MISS);
    }
    throw thrown;
  }

  /** Control goes back to the driver: let go of pages. */
  #pause(why: RunStatus): RunStatus {
    this.#root.suspend();
    for (const state of this.est.subplans) state.suspend();
    heapPruneQueued(this.est.env.heap);
    return why;
  }

  /** Gives back what the execution took. */
  end(): void {
    this.#root.release();
    for (const state of this.est.subplans) state.release();
    for (const store of this.est.stores) store.free();
    this.#dest = null;
  }
}
