/**
 * Base of nodes that read a relation (or something like one): the subclass fills the scan batch, this class
 * applies conditions and computes the target list.
 *
 * `max` is obeyed exactly: no condition and no expression is evaluated for a row that nobody asked for.
 */
import { RECORDOID } from '@pgtroupe/common/oids';
import type { Datum } from '@pgtroupe/common/datum';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import type { Plan } from '@pgtroupe/optimizer/plannodes';
import { Batch, type Column, type RowReader } from './batch.ts';
import { type ChangedParams, type EState, PlanState } from './estate.ts';
import { compileExpr, compileQual, type ExprScope, readColumn } from './execExpr.ts';
import { attributeFor } from './rowstore.ts';
import { makeScope, Projection, type SubPlanFactory } from './scope.ts';
import { END, ROW, YIELD } from './status.ts';
import { deformRecord, formRecord, recordDesc } from './records.ts';

interface GivenRow {
  readonly rti: number;
  fields: readonly Datum[];
  done: boolean;
}

export abstract class ScanState extends PlanState {
  /** What was read; rows [pos, input.n) are still to be looked at. */
  protected readonly input = new Batch();
  protected pos = 0;
  protected readonly scope: ExprScope;
  #qual: ((row: number) => boolean) | null = null;
  #projection!: Projection;
  /** Rows accepted so far for the batch being made. */
  #kept = 0;
  /** How many of them have gone out already. */
  #delivered = 0;
  /** Instead of what is scanned, the row that was joined (EvalPlanQual). Scans of tables see to that themselves. */
  readonly #given: GivenRow | null;

  constructor(est: EState, plan: Plan, factory: SubPlanFactory) {
    super(est, plan);
    const rti = (plan as { readonly scanrelid?: number }).scanrelid;
    this.#given = rti !== undefined && est.epq?.rows.has(rti) === true ? { rti, fields: [], done: false } : null;
    this.scope = makeScope(this, factory, {
      scan: attnum => (this.#given === null ? this.scanColumn(attnum) : this.#givenColumn(attnum)),
    });
  }

  #givenColumn(attnum: number): Column {
    const { type } = this.scanColumn(attnum);
    const { rti } = this.#given!;
    if (attnum === 0) return { kind: 'computed', type, read: () => this.est.epq!.rows.get(rti)! };
    return { kind: 'computed', type, read: () => this.#given!.fields[attnum - 1] ?? null };
  }

  #fillGiven(given: GivenRow): number {
    const row = this.est.epq!.rows.get(given.rti);
    if (given.done || !(row instanceof Uint8Array)) return END;
    given.done = true;
    given.fields = deformRecord(recordDesc(this.est, row), row);
    this.input.n = 1;
    return ROW;
  }

  /** Column of the scanned relation; may register a lane in `input`. */
  protected abstract scanColumn(attnum: number): Column;

  /** Called by the subclass when its lanes exist. */
  protected compile(): void {
    this.#qual = compileQual([...this.recheckQual(), ...this.plan.qual], this.scope);
    this.#projection = new Projection(this.plan.targetlist, this.scope, this.out);
    // Lanes the qualification needs move along with the others.
    if (this.#given !== null) {
      this.input.tuples.length = 0;
      this.input.values.length = 0;
    }
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
    const typmod = this.est.env.lookup.recordTypes.assign(desc);
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
      const { input } = this;
      if (this.pos >= input.n && this.#kept === 0) {
        const status = this.#given === null ? this.fill(max) : this.#fillGiven(this.#given);
        if (status !== ROW) return status;
        this.pos = 0;
        this.scope.ec.serial++;
      }
      if (this.#delivered > 0) {
        input.shift(this.#delivered, this.#kept);
        this.#kept -= this.#delivered;
        this.#delivered = 0;
        return this.#deliver();
      }
      const qual = this.#qual;
      let kept = this.#kept;
      const n = input.n;
      if (qual === null) {
        // Rows that a suspended projection still needs stay where they are, however many are asked for now.
        if (kept === 0) {
          kept = Math.min(max, n - this.pos);
          if (this.pos > 0) for (let i = 0; i < kept; i++) input.move(this.pos + i, i);
          this.pos += kept;
        }
      } else {
        // Conditions may be dear: after some rows somebody looks at the clock.
        const stop = Math.min(n, this.pos + this.est.pace.rows);
        while (this.pos < stop && kept < max) {
          this.#kept = kept;
          if (qual(this.pos)) input.move(this.pos, kept++);
          this.pos++;
        }
      }
      this.#kept = kept;
      if (kept > 0) return this.#deliver();
      this.est.pace.take();
      if (this.est.env.shouldYield()) return YIELD;
    }
  }

  #deliver(): number {
    const kept = this.#kept;
    const n = this.#projection.projectSome(0, kept);
    this.out.n = n;
    if (n < kept) this.#delivered = n;
    else this.#kept = 0;
    this.scope.ec.serial++;
    return ROW;
  }

  protected override reset(_changed: ChangedParams): void {
    this.pos = 0;
    this.input.n = 0;
    this.#kept = 0;
    this.#delivered = 0;
    if (this.#given !== null) this.#given.done = false;
  }

  override suspend(): void {
    const { input } = this;
    const kept = this.#kept;
    // Of what was looked at only the rows that passed. Without any, rows delivered before may still be read.
    if (kept > 0) input.forget(kept, this.pos);
    input.hold(kept > 0 ? 0 : this.pos, this.est.env.arena);
    super.suspend();
  }

  override release(): void {
    this.input.release();
    super.release();
  }
}
