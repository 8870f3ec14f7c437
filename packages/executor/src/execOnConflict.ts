/**
 * ON CONFLICT DO UPDATE: SET and WHERE over the existing row and the proposed one (EXCLUDED).
 */
import type { SubPlan } from '@pgtroupe/nodes/primnodes';
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import type { Datum } from '@pgtroupe/common/datum';
import { getXmin } from '@pgtroupe/access/common/htup';
import type { HeapRelation } from '@pgtroupe/access/heap/heapam-context';
import { heapFetch, heapTupleAt, NOT_FOUND } from '@pgtroupe/access/heap/heapam-scan';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import { INNER_VAR, type ModifyTable, OUTER_VAR } from '@pgtroupe/optimizer/plannodes';
import { detach, type RowReader, TupleLane } from './batch.ts';
import type { EState, PlanState } from './estate.ts';
import { compileExpr, compileQual, type ExprScope } from './execExpr.ts';
import { columnOf } from './resultrel.ts';
import { makeScope, type SubPlanFactory } from './scope.ts';
import { MISS } from './status.ts';

export class OnConflictUpdate {
  readonly where: ((row: number) => boolean) | null;
  /** Subqueries that set parameters for several columns: they go first. */
  readonly #multiple: readonly RowReader[];
  readonly #values: readonly RowReader[];
  readonly #base: ExprScope;
  readonly columns: readonly number[];
  readonly #existing: TupleLane;
  readonly #excluded: TupleLane;
  /** The existing row is locked for the update that is under way. */
  locked = false;

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
      subplan: (node: SubPlan) => factory.subplan(node, scope),
    });
    this.#base = base;
    this.where = plan.onConflictWhere === null ? null : compileQual([plan.onConflictWhere], scope);
    const readers = (junk: boolean): RowReader[] =>
      plan.onConflictSet.filter(t => t.resjunk === junk).map(t => compileExpr(t.expr, scope));
    this.#multiple = readers(true);
    this.#values = readers(false);
    this.columns = plan.onConflictCols;
  }

  setRows(existing: number, tid: number, excluded: number): void {
    this.#existing.ptrs[0] = existing;
    this.#existing.tids[0] = tid;
    this.#excluded.ptrs[0] = excluded;
  }

  /** What SET assigns; may throw SUSPEND and is asked again then. */
  assign(): Datum[] {
    for (const read of this.#multiple) read(0);
    return this.#values.map(read => detach(read(0)));
  }

  /** Another pair of rows: what was remembered for the last one is void. */
  begin(): void {
    this.#base.ec.serial++;
  }
}

export function affectsRowAgain(): PgError {
  return ereport(ERRCODE.CARDINALITY_VIOLATION, 'ON CONFLICT DO UPDATE command cannot affect row a second time', {
    hint: 'Ensure that no rows proposed for insertion within the same command have duplicate constrained values.',
  });
}

/**
 * From REPEATABLE READ on, the row in conflict must be one that the snapshot sees, or that this transaction made
 * itself (ExecCheckTIDVisible). Returns 0, or MISS.
 */
export function checkConflictVisible(est: EState, rel: HeapRelation, blk: number, offnum: number): number {
  const { heap, mem, usesTransactionSnapshot } = est.env;
  if (!usesTransactionSnapshot) return 0;
  const seen = heapFetch(heap, rel, blk, offnum, est.snapshot);
  if (seen === MISS) return MISS;
  if (seen !== NOT_FOUND) return 0;
  const row = heapTupleAt(heap, rel, blk, offnum);
  if (row === MISS) return MISS;
  if (row !== NOT_FOUND && heap.xact.isCurrent(getXmin(mem, row))) return 0;
  throw ereport(ERRCODE.T_R_SERIALIZATION_FAILURE, 'could not serialize access due to concurrent update');
}
