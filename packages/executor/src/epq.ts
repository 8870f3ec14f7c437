/**
 * EvalPlanQual: at READ COMMITTED, a row that somebody else changed while we waited is checked again in its
 * newest version. The plan below runs once more in a state of its own, where scans answer exactly the rows given:
 * the newest version of the row in question, and of everything it was joined with the row that was joined.
 */
import { heapTupleAt, NOT_FOUND } from '@pgtroupe/access/heap/heapam-scan';
import type { Oid } from '@pgtroupe/common/ids';
import type { Datum } from '@pgtroupe/common/datum';
import type { Plan, PlanRowMark } from '@pgtroupe/optimizer/plannodes';
import { TID_BLOCK } from './batch.ts';
import { EState, type PlanState } from './estate.ts';
import { heapOf } from './relations.ts';
import type { ExecRange } from './range.ts';
import { MISS } from './status.ts';

export type BuildPlan = (est: EState, plan: Plan) => PlanState;

export class EpqState {
  readonly #outer: EState;
  readonly #plan: Plan;
  readonly #build: BuildPlan;
  readonly #range: ExecRange;
  readonly #tuples = new Map<number, { ptr: number; tid: number }>();
  readonly #rows = new Map<number, Datum>();
  #est: EState | null = null;
  #state: PlanState | null = null;
  #running = false;

  constructor(outer: EState, plan: Plan, marks: readonly PlanRowMark[], range: ExecRange, build: BuildPlan) {
    this.#outer = outer;
    this.#plan = plan;
    for (const { rti, wholeName } of marks) if (wholeName !== null) this.#rows.set(rti, null);
    this.#build = build;
    this.#range = range;
  }

  get state(): PlanState {
    if (this.#state === null) {
      const est = new EState(this.#outer.env, this.#outer.execParams.length);
      this.#est = est;
      est.epq = { tuples: this.#tuples, rows: this.#rows };
      this.#state = this.#build(est, this.#plan);
    }
    return this.#state;
  }

  get running(): boolean {
    return this.#running;
  }

  /** Forgets the rows of the last check. */
  begin(): void {
    this.#tuples.clear();
    this.#running = false;
  }

  setTuple(rti: number, ptr: number, tid: number): void {
    this.#tuples.set(rti, { ptr, tid });
  }

  /** Of what is no table, as one value; null when it has none (an outer join's). */
  setRow(rti: number, row: Datum): void {
    this.#rows.set(rti, row);
  }

  /** Finds a row of another relation again, in the version that was read. MISS: call again. */
  fetch(rti: number, tid: number): number {
    const relation = this.#outer.env.relation(this.#range.rtable[rti - 1]!.relid as Oid);
    const ptr = heapTupleAt(this.#outer.env.heap, heapOf(relation), Math.floor(tid / TID_BLOCK), tid % TID_BLOCK);
    if (ptr === MISS) return MISS;
    this.setTuple(rti, ptr === NOT_FOUND ? 0 : ptr, tid);
    return 0;
  }

  /** Runs the plan over the given rows: ROW when they still qualify, END, or a suspension. */
  run(): number {
    const { state } = this;
    const est = this.#est!;
    if (!this.#running) {
      est.params = this.#outer.params;
      est.snapshot = this.#outer.snapshot;
      est.generation++;
      for (let id = 0; id < this.#outer.execParams.length; id++) {
        if (est.execPlans[id] === null) est.execParams[id] = this.#outer.execParams[id]!;
      }
      state.rescan(null);
      this.#running = true;
    }
    const status = state.next(1);
    if (status >= 0) this.#running = false;
    return status;
  }

  suspend(): void {
    this.#state?.suspend();
  }

  release(): void {
    this.#state?.release();
  }
}
