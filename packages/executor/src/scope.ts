/**
 * What names in a node's expressions mean: OUTER_VAR and INNER_VAR are columns of its inputs, a range
 * table index is the relation a scan reads.
 */
import { assert } from '@pgtroupe/common/assert';
import type { Datum } from '@pgtroupe/common/datum';
import type { SubPlan, TargetEntry, Var } from '@pgtroupe/nodes/primnodes';
import { MULTIEXPR_SUBLINK } from '@pgtroupe/nodes/nodes';
import { INNER_VAR, OUTER_VAR } from '@pgtroupe/optimizer/plannodes';
import { Batch, type Column, detach, LARGE_VALUE, type RowReader, ValueLane } from './batch.ts';
import { type EState, ExprContext, PlanState } from './estate.ts';
import type { HeavyCalls } from './execOffLoop.ts';
import { compileExpr, type ExprScope, readColumn, typeOf } from './execExpr.ts';
import { execInitExpr } from './execInitExpr.ts';

export interface Inputs {
  readonly outer?: readonly Column[];
  readonly inner?: readonly Column[];
  /** Columns of the scanned relation by attribute number. */
  readonly scan?: (attnum: number, v: Var) => Column;
}

/** How SubPlans inside expressions are set up; given by execProcnode, which knows all nodes. */
export interface SubPlanFactory {
  subplan(node: SubPlan, scope: ExprScope): RowReader;
  readonly heavyCalls?: HeavyCalls | undefined;
}

/** For what is evaluated between changes (index expressions, generated columns, checks): nothing may suspend there. */
export function atOnce(factory: SubPlanFactory): SubPlanFactory {
  return { subplan: (node, scope) => factory.subplan(node, scope) };
}

/** Of a node: its expressions forget what they remember when it begins anew. Without one, they run once. */
export function makeScope(owner: PlanState | EState, factory: SubPlanFactory, inputs: Inputs): ExprScope {
  const est = owner instanceof PlanState ? owner.est : owner;
  const scope: ExprScope = {
    est,
    compile: execInitExpr,
    heavyCalls: factory.heavyCalls,
    ec: new ExprContext(),
    column: v => {
      if (v.varno === OUTER_VAR) return columnAt(inputs.outer, v);
      if (v.varno === INNER_VAR) return columnAt(inputs.inner, v);
      assert(inputs.scan !== undefined, `Var ${v.varno}.${v.varattno} has no relation`);
      return inputs.scan(v.varattno, v);
    },
    subplan: node => factory.subplan(node, scope),
  };
  if (owner instanceof PlanState) owner.contexts.push(scope.ec);
  return scope;
}

function columnAt(columns: readonly Column[] | undefined, v: Var): Column {
  const column = columns?.[v.varattno - 1];
  assert(column !== undefined, `no input column ${v.varattno}`);
  return column;
}

interface Computed {
  readonly values: ValueLane['values'];
  readonly read: RowReader;
}

/** A batch with large values is over when they are this much together. */
export const MANY_BYTES = 8 << 20;

/**
 * A target list over input batches. Plain columns are passed on as they are; only expressions are
 * computed, into value lanes of `out`.
 */
export class Projection {
  readonly out: Batch;
  readonly #computed: Computed[] = [];
  readonly #rowByRow: boolean;
  /** Where to go on in the batch with this serial. */
  #row = 0;
  #column = 0;
  #serial = -1;
  /** Bytes of large values in the batch, and the row where they, or the time slice, end it. */
  #bytes = 0;
  #end = 0;
  readonly #scope: ExprScope;

  constructor(targetlist: readonly TargetEntry[], scope: ExprScope, out: Batch) {
    this.out = out;
    this.#scope = scope;
    let volatile = false;
    for (const { expr } of targetlist) {
      if (expr.type === 'Var') {
        out.addColumn(scope.column(expr));
        continue;
      }
      const type = typeOf(expr);
      if (expr.type === 'Const') {
        const { constvalue } = expr;
        out.addColumn({ kind: 'const', type, value: () => constvalue });
        continue;
      }
      const inner = Object.assign(Object.create(scope) as ExprScope, { volatile: false });
      const read = compileExpr(expr, inner);
      if (inner.volatile) volatile = true;
      const lane = new ValueLane(out.capacity);
      // A subquery that sets parameters for other columns goes first.
      if (expr.type === 'SubPlan' && expr.subLinkType === MULTIEXPR_SUBLINK)
        this.#computed.unshift({ values: lane.values, read });
      else this.#computed.push({ values: lane.values, read });
      out.addColumn({ kind: 'value', type, lane });
    }
    this.#rowByRow = volatile;
  }

  get trivial(): boolean {
    return this.#computed.length === 0;
  }

  /**
   * Computes rows [from, to), or the first of them if their values are large: where to go on. When a value must be waited for
   * this throws; called again with the same rows it goes on where it stood.
   */
  projectSome(from: number, to: number): number {
    return this.#project(from, to, true);
  }

  /** All of rows [from, to): for those who cannot deliver only some of them. */
  project(from: number, to: number): void {
    this.#project(from, to, false);
  }

  #project(from: number, to: number, some: boolean): number {
    const computed = this.#computed;
    if (computed.length === 0) return to;
    const { serial } = this.#scope.ec;
    if (this.#serial !== serial) {
      this.#serial = serial;
      this.#row = from;
      this.#column = 0;
      this.#bytes = some ? 0 : -Infinity;
      this.#end = to;
    }
    try {
      if (this.#rowByRow) this.#projectRows();
      else this.#projectColumns(from);
    } catch (interrupted) {
      this.#keep(from, to);
      throw interrupted;
    }
    this.#serial = -1;
    return this.#end;
  }

  #projectColumns(from: number): void {
    const computed = this.#computed;
    for (; this.#column < computed.length; this.#column++) {
      const { values, read } = computed[this.#column]!;
      // The row is noted when something throws, not at every step.
      let row = this.#row;
      try {
        for (; row < this.#end; row++) {
          const value = read(row);
          values[row] = value;
          if (value instanceof Uint8Array && value.length >= LARGE_VALUE) this.#large(row, value);
        }
      } finally {
        this.#row = row;
      }
      this.#row = from;
    }
  }

  /** Side effects happen in the order a reader expects: row after row. */
  #projectRows(): void {
    const computed = this.#computed;
    for (; this.#row < this.#end; this.#row++) {
      for (let c = 0; c < computed.length; c++) {
        const value = computed[c]!.read(this.#row);
        computed[c]!.values[this.#row] = value;
        if (value instanceof Uint8Array && value.length >= LARGE_VALUE) this.#large(this.#row, value);
      }
    }
  }

  /** A large value was made: its row may be the batch's last. */
  #large(row: number, value: Datum & Uint8Array): void {
    this.out.large = true;
    this.#bytes += value.length;
    if (this.#bytes >= MANY_BYTES || (this.#bytes > 0 && this.#scope.est.env.shouldYield())) this.#end = row + 1;
  }

  /** What was computed must not depend on pages while others run. */
  #keep(from: number, to: number): void {
    for (const { values } of this.#computed) for (let row = from; row < to; row++) values[row] = detach(values[row]!);
  }

  /** A new batch begins: earlier evaluations are not to be remembered. */
  begin(): void {
    this.#scope.ec.serial++;
  }
}

/** Readers of columns, for stores and keys. */
export function columnReaders(scope: ExprScope, columns: readonly Column[]): RowReader[] {
  return columns.map(column => readColumn(scope, column));
}
