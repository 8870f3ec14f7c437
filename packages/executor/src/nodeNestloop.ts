/**
 * Nested loop: for each outer row, the inner side from its beginning, with values of the outer row as its
 * parameters.
 *
 * Candidates are combined into the output batch at row k and stay there if the join condition holds.
 */
import * as N from '@pgtroupe/nodes/nodes';
import type { NestLoop } from '@pgtroupe/optimizer/plannodes';
import { Batch, detach, type RowReader } from './batch.ts';
import { type ChangedParams, type EState, PlanState, ROWS_STAY, ROWS_STAY_UNTIL_NEXT } from './estate.ts';
import { compileExpr, compileQual, type ExprScope } from './execExpr.ts';
import { LaneCopy } from './joinlanes.ts';
import { MaterialState } from './nodeMaterial.ts';
import { makeScope, Projection, type SubPlanFactory } from './scope.ts';
import { END, ROW, YIELD } from './status.ts';

export class NestLoopState extends PlanState {
  readonly #outer: PlanState;
  readonly #inner: PlanState;
  readonly #combined = new Batch();
  readonly #fromOuter: LaneCopy;
  readonly #fromInner: LaneCopy;
  readonly #scope: ExprScope;
  readonly #joinqual: ((row: number) => boolean) | null;
  readonly #otherqual: ((row: number) => boolean) | null;
  readonly #projection: Projection;
  readonly #params: readonly { readonly id: number; readonly read: RowReader }[];
  readonly #changed: ReadonlySet<number>;
  readonly #left: boolean;
  readonly #semi: boolean;
  readonly #anti: boolean;
  readonly #singleMatch: boolean;
  /** Its rows are at hand over and over, unless they are on disk. */
  readonly #kept: MaterialState | null;
  readonly #deliverBeforeRescan: boolean;
  readonly #deliverBeforeNext: boolean;
  #outerRow = 0;
  #needOuter = true;
  #matched = false;
  /** Inner rows [innerRow, inner.out.n) are still to be joined with the current outer row. */
  #innerRow = 0;
  #innerEnded = false;
  #firstRescan = true;
  #k = 0;
  #projecting = false;
  /** How many of the collected rows have gone out already. */
  #delivered = 0;

  constructor(est: EState, plan: NestLoop, factory: SubPlanFactory, outer: PlanState, inner: PlanState) {
    super(est, plan);
    this.#outer = outer;
    this.#inner = inner;
    this.children.push(outer, inner);
    this.#fromOuter = new LaneCopy(outer.out.columns, this.#combined);
    this.#fromInner = new LaneCopy(inner.out.columns, this.#combined);
    this.#scope = makeScope(this, factory, { outer: this.#fromOuter.columns, inner: this.#fromInner.columns });
    this.#joinqual = compileQual(plan.joinqual, this.#scope);
    this.#otherqual = compileQual(plan.qual, this.#scope);
    this.#projection = new Projection(plan.targetlist, this.#scope, this.out);
    const outerScope = makeScope(this, factory, { outer: outer.out.columns });
    this.#params = plan.nestParams.map(p => ({ id: p.paramno, read: compileExpr(p.paramval, outerScope) }));
    this.#changed = new Set(plan.nestParams.map(p => p.paramno));
    const stay = inner.rowsStay;
    this.#kept = inner instanceof MaterialState && !inner.dependsOn(this.#changed) ? inner : null;
    this.#deliverBeforeRescan = stay !== ROWS_STAY && this.#kept === null;
    this.#deliverBeforeNext = stay === ROWS_STAY_UNTIL_NEXT && this.#kept === null;
    this.#left = plan.jointype === N.JOIN_LEFT || plan.jointype === N.JOIN_ANTI;
    this.#semi = plan.jointype === N.JOIN_SEMI;
    this.#anti = plan.jointype === N.JOIN_ANTI;
    this.#singleMatch = plan.inner_unique || this.#semi || this.#anti;
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

  /** Collects combined rows; ROW when there are some to deliver. */
  #fill(max: number): number {
    const outer = this.#outer;
    const inner = this.#inner;
    for (;;) {
      if (this.#needOuter) {
        if (this.#outerRow >= outer.out.n) {
          if (this.#k > 0) return ROW;
          const status = outer.next(max);
          if (status !== ROW) {
            outer.out.n = 0;
            this.#outerRow = 0;
            return status;
          }
          this.#outerRow = 0;
        }
        // The inner side's rows may go when it begins anew: what was made of them goes out first.
        if (this.#k > 0 && (this.#deliverBeforeRescan || this.#kept?.spilled === true)) return ROW;
        this.#startInner();
      }
      const status = this.#joinRow(max);
      if (status === ROW) return ROW;
      if (status !== END) {
        // What is ready goes out before anybody waits.
        return this.#k > 0 ? ROW : status;
      }
      this.#outerRow++;
      this.#needOuter = true;
      inner.out.n = 0;
      if (this.#k >= max) return ROW;
      if (this.est.env.shouldYield()) return this.#k > 0 ? ROW : YIELD;
    }
  }

  #startInner(): void {
    const { execParams } = this.est;
    for (const p of this.#params) execParams[p.id] = detach(p.read(this.#outerRow));
    if (this.#firstRescan) this.#firstRescan = false;
    else this.#inner.rescan(this.#changed);
    this.#needOuter = false;
    this.#matched = false;
    this.#innerEnded = false;
    this.#innerRow = 0;
    this.#inner.out.n = 0;
  }

  /** Joins the current outer row with (the rest of) the inner side: END when through, ROW when the batch is full. */
  #joinRow(max: number): number {
    const inner = this.#inner;
    while (!this.#innerEnded) {
      while (this.#innerRow < inner.out.n) {
        if (this.#k >= max) return ROW;
        const k = this.#k;
        this.#fromOuter.copy(this.#outerRow, k);
        this.#fromInner.copy(this.#innerRow, k);
        this.#combined.n = k + 1;
        const joins = this.#joinqual === null || this.#joinqual(k);
        const passes = joins && (this.#anti || this.#otherqual === null || this.#otherqual(k));
        // The next candidate may stand in the same place: it is another evaluation.
        this.#scope.ec.serial++;
        if (joins) {
          this.#matched = true;
          if (!this.#anti && passes) this.#k++;
          if (this.#singleMatch) {
            this.#innerRow = inner.out.n;
            this.#innerEnded = true;
            break;
          }
        }
        this.#innerRow++;
      }
      if (this.#innerEnded) break;
      if (this.#k > 0 && (this.#deliverBeforeNext || this.#kept?.spilled === true)) return ROW;
      const status = this.#singleMatch && this.#joinqual === null ? inner.next(1) : inner.pull();
      if (status === END) {
        this.#innerEnded = true;
        break;
      }
      if (status !== ROW) {
        inner.out.n = 0;
        this.#innerRow = 0;
        return status;
      }
      this.#innerRow = 0;
    }
    if (this.#left && !this.#matched) {
      if (this.#k >= max) return ROW;
      this.#fromOuter.copy(this.#outerRow, this.#k);
      this.#fromInner.nullify(this.#k);
      this.#combined.n = this.#k + 1;
      const passes = this.#otherqual === null || this.#otherqual(this.#k);
      this.#scope.ec.serial++;
      this.#matched = true;
      if (passes) this.#k++;
    }
    return END;
  }

  protected override reset(changed: ChangedParams): void {
    this.#outer.out.n = 0;
    this.#inner.out.n = 0;
    this.#outerRow = 0;
    this.#innerRow = 0;
    this.#needOuter = true;
    this.#k = 0;
    this.#projecting = false;
    this.#delivered = 0;
    this.#outer.rescan(changed);
    // The inner side is begun anew for each outer row; its parameters are not set yet.
    if (changed === null || this.#inner.dependsOn(changed)) {
      this.#inner.rescan(changed);
      this.#firstRescan = true;
    }
  }

  override suspend(): void {
    const { arena } = this.est.env;
    // Before the inputs: what is collected may stand where they give back their space.
    this.#combined.holdFirst(this.#k, arena);
    if (!this.#needOuter) this.#outer.out.hold(this.#outerRow, arena);
    else this.#outer.out.hold(Math.min(this.#outerRow, this.#outer.out.n), arena);
    this.#inner.out.hold(Math.min(this.#innerRow, this.#inner.out.n), arena);
    super.suspend();
  }

  override release(): void {
    this.#combined.release();
    super.release();
  }
}
