/**
 * Limit: skips OFFSET rows, passes on LIMIT, WITH TIES those equal to the last too.
 */
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Limit } from '@pgtroupe/optimizer/plannodes';
import { detach, type RowReader } from './batch.ts';
import { type ChangedParams, type EState, PlanState } from './estate.ts';
import { compileExpr, readColumn } from './execExpr.ts';
import { type Equal, equalityOf, notDistinct } from './keys.ts';
import { makeScope, type SubPlanFactory } from './scope.ts';
import { BATCH_ROWS, END, ROW } from './status.ts';

export class LimitState extends PlanState {
  readonly #offsetExpr: RowReader | null;
  readonly #countExpr: RowReader | null;
  readonly #tieReaders: readonly RowReader[];
  readonly #tieEqual: readonly Equal[];
  readonly #child: PlanState;
  #known = false;
  #skip = 0;
  /** Rows still to deliver. */
  #left = Infinity;
  #last: Datum[] | null = null;
  #done = false;

  constructor(est: EState, plan: Limit, factory: SubPlanFactory, child: PlanState) {
    super(est, plan);
    this.#child = child;
    this.children.push(child);
    const scope = makeScope(this, factory, { outer: child.out.columns });
    this.#offsetExpr = plan.limitOffset === null ? null : compileExpr(plan.limitOffset, scope);
    this.#countExpr = plan.limitCount === null ? null : compileExpr(plan.limitCount, scope);
    this.#tieReaders = plan.uniqColIdx.map(c => readColumn(scope, child.out.columns[c - 1]!));
    this.#tieEqual = plan.uniqOperators.map((op, i) => notDistinct(equalityOf(est, op, plan.uniqCollations[i]!)));
    for (const column of child.out.columns) this.out.addColumn(column);
  }

  next(max: number): number {
    if (!this.#known) this.#compute();
    if (this.#done) return END;
    const child = this.#child;
    while (this.#skip > 0) {
      const status = child.next(Math.min(BATCH_ROWS, this.#skip));
      if (status !== ROW) return this.#ended(status);
      this.#skip -= child.out.n;
    }
    if (this.#left <= 0) return this.#ties(max);
    const status = child.next(Math.min(max, this.#left));
    if (status !== ROW) return this.#ended(status);
    const { n } = child.out;
    this.#left -= n;
    this.out.n = n;
    if (this.#left <= 0 && this.#tieReaders.length > 0) this.#last = this.#tieReaders.map(read => detach(read(n - 1)));
    return ROW;
  }

  #ended(status: number): number {
    if (status === END) this.#done = true;
    return status;
  }

  #ties(_max: number): number {
    if (this.#last === null) {
      this.#done = true;
      return END;
    }
    const status = this.#child.next(1);
    if (status !== ROW) return this.#ended(status);
    const same = this.#tieReaders.every((read, i) => this.#tieEqual[i]!(read(0), this.#last![i]!));
    if (!same) {
      this.#done = true;
      return END;
    }
    this.out.n = 1;
    return ROW;
  }

  #compute(): void {
    const offset = this.#offsetExpr === null ? null : this.#offsetExpr(0);
    const count = this.#countExpr === null ? null : this.#countExpr(0);
    if (offset !== null && (offset as number) < 0)
      throw ereport(ERRCODE.INVALID_ROW_COUNT_IN_RESULT_OFFSET_CLAUSE, 'OFFSET must not be negative');
    if (count !== null && (count as number) < 0)
      throw ereport(ERRCODE.INVALID_ROW_COUNT_IN_LIMIT_CLAUSE, 'LIMIT must not be negative');
    this.#skip = offset === null ? 0 : Number(offset);
    this.#left = count === null ? Infinity : Number(count);
    this.#known = true;
    // Nothing is skipped either where nothing is wanted.
    this.#done = this.#left === 0;
  }

  /** Rows that the child need deliver at most, for a top-N sort; Infinity when unknown. */
  bound(): number {
    if (!this.#known) this.#compute();
    return this.#tieReaders.length > 0 ? Infinity : this.#skip + this.#left;
  }

  protected override reset(changed: ChangedParams): void {
    this.#known = false;
    this.#done = false;
    this.#last = null;
    super.reset(changed);
  }
}
