/**
 * ProjectSet: set-returning functions in the target list. Each input row becomes as many rows as the
 * longest set has; shorter ones are null at the end.
 */
import { notSupported } from '@pgtroupe/common/ereport';
import type { Datum } from '@pgtroupe/common/datum';
import type { Node } from '@pgtroupe/nodes/parsenodes';
import type { Expr, Param } from '@pgtroupe/nodes/primnodes';
import { exprCollation, expressionReturnsSet, exprType, exprTypmod, mutateChildren } from '@pgtroupe/nodes/nodefuncs';
import type { ProjectSet } from '@pgtroupe/optimizer/plannodes';
import { detach, LARGE_VALUE, type RowReader, ValueLane } from './batch.ts';
import { type ChangedParams, type EState, PlanState } from './estate.ts';
import { compileExpr, type ExprScope, typeOf } from './execExpr.ts';
import { makeScope, MANY_BYTES, type SubPlanFactory } from './scope.ts';
import { isSetCall, rowToDatum, SetFunctionCall, type SetCall } from './srf.ts';
import { ROW, YIELD } from './status.ts';

interface SetSource {
  readonly call: SetFunctionCall;
  readonly cell: { value: Datum };
  readonly toDatum: (value: Datum | Datum[]) => Datum;
}

export class ProjectSetState extends PlanState {
  readonly #child: PlanState;
  readonly #sets: SetSource[] = [];
  readonly #columns: { readonly read: RowReader; readonly values: Datum[] }[] = [];
  readonly #scope: ExprScope;
  #row = 0;
  #open = false;
  #k = 0;
  /** Of large values in the batch being made. */
  #bytes = 0;

  constructor(est: EState, plan: ProjectSet, factory: SubPlanFactory, child: PlanState) {
    super(est, plan);
    this.#child = child;
    this.children.push(child);
    this.#scope = makeScope(this, factory, { outer: child.out.columns });
    for (const { expr } of plan.targetlist) {
      const lane = new ValueLane();
      const read = this.#compile(expr);
      this.#columns.push({ read, values: lane.values });
      this.out.addColumn({ kind: 'value', type: typeOf(expr), lane });
    }
  }

  /** Sets inside an expression are replaced by parameters that hold their current value. */
  #compile(expr: Expr): RowReader {
    const cells: { readonly param: number; readonly cell: { value: Datum } }[] = [];
    const replace = (n: Node): Node => {
      if (!isSetCall(n as Expr)) return mutateChildren(n, replace);
      const call = n as SetCall;
      if (call.args.some(arg => expressionReturnsSet(arg)))
        throw notSupported('a set-returning function as argument of another');
      const cell: { value: Datum } = { value: null };
      this.#sets.push({
        call: new SetFunctionCall(call, this.#scope),
        cell,
        toDatum: rowToDatum(this.est, call),
      });
      const param: Param = {
        type: 'Param',
        paramkind: 1,
        paramid: this.est.execParams.length,
        paramtype: exprType(call),
        paramtypmod: exprTypmod(call),
        paramcollid: exprCollation(call),
        location: -1,
      };
      this.est.execParams.push(null);
      this.est.execPlans.push(null);
      cells.push({ param: param.paramid, cell });
      return param;
    };
    const rewritten = replace(expr) as Expr;
    const read = compileExpr(rewritten, this.#scope);
    if (cells.length === 0) return read;
    return row => {
      for (const { param, cell } of cells) this.est.execParams[param] = cell.value;
      return read(row);
    };
  }

  next(max: number): number {
    const child = this.#child;
    for (;;) {
      if (this.#row >= child.out.n) {
        if (this.#k > 0) return this.#deliver();
        const status = child.next(max);
        if (status !== ROW) {
          child.out.n = 0;
          this.#row = 0;
          return status;
        }
        this.#row = 0;
      }
      while (this.#row < child.out.n) {
        if (!this.#open) {
          for (const set of this.#sets) set.call.start(this.#row);
          this.#open = true;
        }
        while (this.#step()) {
          if (this.#k >= max || this.#bytes >= MANY_BYTES) return this.#deliver();
        }
        this.#row++;
        this.#scope.ec.serial++;
        this.#open = false;
      }
      if (this.est.env.shouldYield() && this.#k === 0) return YIELD;
    }
  }

  /** One output row of the current input row, if any set has one more. */
  #step(): boolean {
    let any = false;
    for (const set of this.#sets) {
      if (set.call.next()) {
        any = true;
        set.cell.value = detach(set.toDatum(set.call.value));
      } else set.cell.value = null;
    }
    if (!any) return false;
    for (const { read, values } of this.#columns) {
      const value = read(this.#row);
      values[this.#k] = value;
      if (value instanceof Uint8Array && value.length >= LARGE_VALUE) this.#bytes += value.length;
    }
    this.#k++;
    this.#scope.ec.serial++;
    return true;
  }

  #deliver(): number {
    this.out.n = this.#k;
    this.#k = 0;
    if (this.#bytes > 0) this.out.large = true;
    this.#bytes = 0;
    return ROW;
  }

  protected override reset(changed: ChangedParams): void {
    this.#child.out.n = 0;
    this.#row = 0;
    this.#open = false;
    this.#k = 0;
    this.#bytes = 0;
    super.reset(changed);
  }

  override suspend(): void {
    const { arena } = this.est.env;
    this.out.holdFirst(this.#k, arena);
    this.#child.out.hold(Math.min(this.#row, this.#child.out.n), arena);
    super.suspend();
  }
}
