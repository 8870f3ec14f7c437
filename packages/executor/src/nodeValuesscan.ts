/**
 * VALUES lists in FROM.
 */
import type { RangeTblEntry } from '@pgtroupe/nodes/parsenodes';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import type { ValuesScan } from '@pgtroupe/optimizer/plannodes';
import { type Column, type ColumnType, type RowReader, ValueLane } from './batch.ts';
import type { ChangedParams, EState } from './estate.ts';
import { compileExpr, typeOf } from './execExpr.ts';
import { ScanState } from './execScan.ts';
import type { SubPlanFactory } from './scope.ts';
import { BATCH_ROWS, END, ROW } from './status.ts';

export class ValuesScanState extends ScanState {
  readonly #lists: readonly (readonly Expr[])[];
  /** Of the rows that were asked for so far. */
  readonly #rows: RowReader[][] = [];
  readonly #columns: { readonly type: ColumnType; readonly lane: ValueLane }[];
  readonly #names: readonly string[];
  #next = 0;

  constructor(est: EState, plan: ValuesScan, factory: SubPlanFactory, rte: RangeTblEntry) {
    super(est, plan, factory);
    this.#names = rte.eref.colnames;
    const first = plan.values_lists[0] ?? [];
    this.#columns = first.map((e, i) => ({
      type:
        rte.coltypes.length > 0
          ? { typid: rte.coltypes[i]!, typmod: rte.coltypmods[i]!, collation: rte.colcollations[i]! }
          : typeOf(e),
      lane: this.input.addValueLane(new ValueLane()),
    }));
    this.#lists = plan.values_lists;
    this.compile();
  }

  protected override scanColumn(attnum: number): Column {
    return attnum > 0
      ? { kind: 'value', ...this.#columns[attnum - 1]! }
      : this.wholeRow(this.#columns.map((c, i) => ({ column: { kind: 'value', ...c }, name: this.#names[i] ?? '' })));
  }

  protected override fill(max: number): number {
    const limit = Math.min(max, BATCH_ROWS, this.#lists.length - this.#next);
    if (limit <= 0) return END;
    while (this.#rows.length < this.#next + limit)
      this.#rows.push(this.#lists[this.#rows.length]!.map(e => compileExpr(e, this.scope)));
    for (let n = 0; n < limit; n++) {
      const row = this.#rows[this.#next + n]!;
      for (let c = 0; c < row.length; c++) this.#columns[c]!.lane.values[n] = row[c]!(n);
    }
    this.#next += limit;
    this.input.n = limit;
    return ROW;
  }

  protected override reset(changed: ChangedParams): void {
    super.reset(changed);
    this.#next = 0;
  }
}
