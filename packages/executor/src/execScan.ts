/**
 * Base of nodes that read a relation (or something like one): the subclass fills the scan batch, this class
 * applies conditions and computes the target list.
 *
 * `max` is obeyed exactly: no condition and no expression is evaluated for a row that nobody asked for.
 */
import { RECORDOID } from '@pgtroupe/common/oids';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import type { Plan } from '@pgtroupe/optimizer/plannodes';
import { Batch, type Column, type RowReader } from './batch.ts';
import { type ChangedParams, type EState, PlanState } from './estate.ts';
import { compileExpr, compileQual, type ExprScope, readColumn } from './execExpr.ts';
import { assignRecordTypmod } from '@pgtroupe/adt/cache/recordtypes';
import { attributeFor } from './rowstore.ts';
import { makeScope, Projection, type SubPlanFactory } from './scope.ts';
import { ROW, YIELD } from './status.ts';
import { formRecord } from './records.ts';

export abstract class ScanState extends PlanState {
  /** What was read; rows [pos, input.n) are still to be looked at. */
  protected readonly input = new Batch();
  protected pos = 0;
  protected readonly scope: ExprScope;
  #qual: ((row: number) => boolean) | null = null;
  #projection!: Projection;
  /** Rows accepted so far for the batch being made. */
  #kept = 0;

  constructor(est: EState, plan: Plan, factory: SubPlanFactory) {
    super(est, plan);
    this.scope = makeScope(this, factory, { scan: attnum => this.scanColumn(attnum) });
  }

  /** Column of the scanned relation; may register a lane in `input`. */
  protected abstract scanColumn(attnum: number): Column;

  /** Called by the subclass when its lanes exist. */
  protected compile(): void {
    this.#qual = compileQual([...this.recheckQual(), ...this.plan.qual], this.scope);
    this.#projection = new Projection(this.plan.targetlist, this.scope, this.out);
    // Lanes the qualification needs move along with the others.
    for (const lane of this.input.tuples) this.out.addTupleLane(lane);
    for (const lane of this.input.values) this.out.addValueLane(lane);
  }

  /** Conditions that the way of reading fulfils, but not a row that is put in its place (EvalPlanQual). */
  protected recheckQual(): readonly Expr[] {
    return [];
  }

  /** The row as one composite value, made when it is read. */
  protected wholeRow(columns: readonly { readonly column: Column; readonly name: string }[]): Column {
    const desc = { attrs: columns.map(c => attributeFor(this.est, c.column.type, c.name)) };
    const readers = columns.map(c => readColumn(this.scope, c.column));
    const typmod = assignRecordTypmod(desc);
    const type = { typid: RECORDOID, typmod: -1, collation: 0 };
    return {
      kind: 'computed',
      type,
      read: row =>
        formRecord(
          desc,
          readers.map(read => read(row)),
          RECORDOID,
          typmod,
        ),
    };
  }

  protected expr(e: Parameters<typeof compileExpr>[0]): RowReader {
    return compileExpr(e, this.scope);
  }

  /** Reads more into `input` (n rows, from row 0): ROW, END, MISS or YIELD. */
  protected abstract fill(max: number): number;

  next(max: number): number {
    for (;;) {
      const { input, out } = this;
      if (this.pos >= input.n && this.#kept === 0) {
        const status = this.fill(max);
        if (status !== ROW) return status;
        this.pos = 0;
        this.scope.ec.serial++;
      }
      const qual = this.#qual;
      let kept = this.#kept;
      const n = input.n;
      if (qual === null) {
        const take = Math.min(max, n - this.pos);
        if (this.pos > 0 && kept < take) for (let i = 0; i < take; i++) input.move(this.pos + i, i);
        if (kept === 0) {
          kept = take;
          this.pos += take;
        }
      } else {
        while (this.pos < n && kept < max) {
          this.#kept = kept;
          if (qual(this.pos)) input.move(this.pos, kept++);
          this.pos++;
        }
      }
      this.#kept = kept;
      if (kept > 0) {
        this.#projection.project(0, kept);
        out.n = kept;
        this.#kept = 0;
        this.scope.ec.serial++;
        return ROW;
      }
      if (this.est.env.shouldYield()) return YIELD;
    }
  }

  protected override reset(_changed: ChangedParams): void {
    this.pos = 0;
    this.input.n = 0;
    this.#kept = 0;
  }

  override suspend(): void {
    const { input } = this;
    if (this.#kept > 0) input.hold(0, this.est.env.arena);
    else input.hold(this.pos, this.est.env.arena);
    super.suspend();
  }

  override release(): void {
    this.input.release();
    super.release();
  }
}
