/**
 * Result: one row computed from nothing, or a child's rows with a condition that is asked once, a
 * filter and a new target list.
 */
import type { Result } from '@pgtroupe/optimizer/plannodes';
import { type ChangedParams, type EState, PlanState } from './estate.ts';
import { compileQual, type ExprScope } from './execExpr.ts';
import { makeScope, Projection, type SubPlanFactory } from './scope.ts';
import { END, ROW, YIELD } from './status.ts';

export class ResultState extends PlanState {
  readonly #scope: ExprScope;
  readonly #gate: ((row: number) => boolean) | null;
  readonly #qual: ((row: number) => boolean) | null;
  readonly #projection: Projection;
  #gateChecked = false;
  #done = false;
  /** Child's rows [pos, n) not looked at; [0, kept) accepted. */
  #pos = 0;
  #kept = 0;
  /** Of those, what has gone out already. */
  #delivered = 0;

  constructor(est: EState, plan: Result, factory: SubPlanFactory, child: PlanState | null) {
    super(est, plan);
    if (child !== null) this.children.push(child);
    this.#scope = makeScope(this, factory, { outer: child?.out.columns ?? [] });
    this.#gate = compileQual(plan.resconstantqual, this.#scope);
    this.#qual = compileQual(plan.qual, this.#scope);
    this.#projection = new Projection(plan.targetlist, this.#scope, this.out);
    if (child !== null && this.#qual !== null) {
      for (const lane of child.out.tuples) this.out.addTupleLane(lane);
      for (const lane of child.out.values) this.out.addValueLane(lane);
    }
  }

  next(max: number): number {
    if (this.#done) return END;
    if (!this.#gateChecked) {
      if (this.#gate !== null && !this.#gate(0)) {
        this.#done = true;
        return END;
      }
      this.#gateChecked = true;
    }
    const child = this.children[0];
    if (child === undefined) {
      if (this.#qual === null || this.#qual(0)) {
        this.#projection.project(0, 1);
        this.out.n = 1;
      } else this.out.n = 0;
      this.#done = true;
      this.#scope.ec.serial++;
      return this.out.n === 0 ? END : ROW;
    }
    if (this.#delivered > 0) {
      child.out.shift(this.#delivered, this.#kept);
      this.#kept -= this.#delivered;
      this.#delivered = 0;
      child.out.n = this.#kept;
      this.#pos = this.#kept;
      return this.#deliver(child);
    }
    for (;;) {
      if (this.#pos >= child.out.n && this.#kept === 0) {
        const status = child.next(max);
        if (status !== ROW) {
          child.out.n = 0;
          return status;
        }
        this.#pos = 0;
        this.#scope.ec.serial++;
      }
      if (this.#qual === null) {
        this.#kept = child.out.n;
        this.#pos = child.out.n;
      }
      while (this.#pos < child.out.n) {
        if (this.#qual!(this.#pos)) child.out.move(this.#pos, this.#kept++);
        this.#pos++;
      }
      if (this.#kept > 0) return this.#deliver(child);
      child.out.n = 0;
      this.#pos = 0;
      if (this.est.env.shouldYield()) return YIELD;
    }
  }

  #deliver(child: PlanState): number {
    const n = this.#projection.projectSome(0, this.#kept);
    this.out.n = n;
    child.out.n = this.#kept;
    this.#pos = this.#kept;
    if (n < this.#kept) this.#delivered = n;
    else {
      this.#kept = 0;
      child.out.n = 0;
      this.#pos = 0;
    }
    this.#scope.ec.serial++;
    return ROW;
  }

  protected override reset(changed: ChangedParams): void {
    this.#gateChecked = false;
    this.#done = false;
    this.#pos = 0;
    this.#kept = 0;
    this.#delivered = 0;
    const child = this.children[0];
    if (child !== undefined) child.out.n = 0;
    super.reset(changed);
  }

  override suspend(): void {
    const child = this.children[0];
    if (child !== undefined && (this.#kept > 0 || this.#pos < child.out.n)) child.out.hold(0, this.est.env.arena);
    super.suspend();
  }
}
