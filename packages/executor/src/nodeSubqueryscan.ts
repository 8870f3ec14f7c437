/**
 * Scans of what another plan yields: a subquery in FROM, a CTE, the working table of a recursive query.
 */
import type { SubqueryScan } from '@pgtroupe/optimizer/plannodes';
import type { Column } from './batch.ts';
import type { ChangedParams, EState, PlanState } from './estate.ts';
import { ScanState } from './execScan.ts';
import type { SubPlanFactory } from './scope.ts';
import { ROW } from './status.ts';

export class SubqueryScanState extends ScanState {
  readonly #child: PlanState;
  readonly #names: readonly string[];

  constructor(est: EState, plan: SubqueryScan, factory: SubPlanFactory, child: PlanState, names: readonly string[]) {
    super(est, plan, factory);
    this.#names = names;
    this.#child = child;
    this.children.push(child);
    // The subquery's rows are this scan's input: its lanes are shared, not copied.
    for (const lane of child.out.tuples) this.input.addTupleLane(lane);
    for (const lane of child.out.values) this.input.addValueLane(lane);
    this.compile();
  }

  protected override scanColumn(attnum: number): Column {
    if (attnum > 0) return this.#child.out.columns[attnum - 1]!;
    const visible = (this.plan as SubqueryScan).subplan.targetlist.filter(tle => !tle.resjunk);
    return this.wholeRow(
      visible.map((tle, i) => ({
        column: this.#child.out.columns[tle.resno - 1]!,
        name: this.#names[i] ?? tle.resname ?? '',
      })),
    );
  }

  protected override fill(max: number): number {
    const status = this.#child.next(max);
    if (status === ROW) this.input.n = this.#child.out.n;
    return status;
  }

  protected override reset(changed: ChangedParams): void {
    super.reset(changed);
    this.#child.rescan(changed);
  }
}
