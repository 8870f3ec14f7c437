/**
 * ON CONFLICT DO UPDATE: SET and WHERE over the existing row and the proposed one (EXCLUDED).
 */
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import { INNER_VAR, type ModifyTable, OUTER_VAR } from '@pgtroupe/optimizer/plannodes';
import { type RowReader, TupleLane } from './batch.ts';
import type { EState, PlanState } from './estate.ts';
import { compileExpr, compileQual, type ExprScope } from './execExpr.ts';
import { columnOf } from './resultrel.ts';
import { makeScope, type SubPlanFactory } from './scope.ts';

export class OnConflictUpdate {
  readonly where: ((row: number) => boolean) | null;
  readonly values: readonly RowReader[];
  readonly columns: readonly number[];
  readonly #existing: TupleLane;
  readonly #excluded: TupleLane;

  constructor(est: EState, plan: ModifyTable, factory: SubPlanFactory, relation: RelationDesc, child: PlanState) {
    this.#existing = new TupleLane(relation.att, relation.oid);
    this.#excluded = new TupleLane(relation.att, relation.oid);
    const base = makeScope(est, factory, {
      outer: child.out.columns,
      scan: attnum => columnOf(relation, this.#existing, attnum),
    });
    const scope: ExprScope = Object.assign(Object.create(base) as ExprScope, {
      column: (v: { varno: number; varattno: number }) =>
        v.varno === INNER_VAR
          ? columnOf(relation, this.#excluded, v.varattno)
          : v.varno === OUTER_VAR
            ? child.out.columns[v.varattno - 1]!
            : columnOf(relation, this.#existing, v.varattno),
    });
    this.where = plan.onConflictWhere === null ? null : compileQual([plan.onConflictWhere], scope);
    const set = plan.onConflictSet.filter(t => !t.resjunk);
    this.values = set.map(t => compileExpr(t.expr, scope));
    this.columns = plan.onConflictCols;
  }

  setRows(existing: number, tid: number, excluded: number): void {
    this.#existing.ptrs[0] = existing;
    this.#existing.tids[0] = tid;
    this.#excluded.ptrs[0] = excluded;
  }
}
