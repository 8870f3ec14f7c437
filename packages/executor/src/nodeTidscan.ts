/**
 * TID scan: rows by ctid.
 */
import { TIDOID } from '@pgtroupe/common/oids';
import { heapFetch, NOT_FOUND } from '@pgtroupe/access/heap/heapam-scan';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import type { TidScan } from '@pgtroupe/optimizer/plannodes';
import { arrayElements } from './arrays.ts';
import { type RowReader, TID_BLOCK } from './batch.ts';
import type { ChangedParams, EState } from './estate.ts';
import { compileExpr } from './execExpr.ts';
import type { ExecRange } from './range.ts';
import type { SubPlanFactory } from './scope.ts';
import { BATCH_ROWS, END, MISS, ROW } from './status.ts';
import { tidNumber } from './systemcolumns.ts';
import { TableScanState } from './tablescan.ts';

export class TidScanState extends TableScanState {
  readonly #sources: readonly { readonly read: RowReader; readonly isArray: boolean }[];
  #tids: number[] | null = null;
  #next = 0;

  constructor(est: EState, plan: TidScan, factory: SubPlanFactory, range: ExecRange) {
    super(est, plan, factory, range, new Int32Array(BATCH_ROWS));
    this.lane.wantTids = true;
    this.#sources = plan.tidquals.map(qual => {
      const [a, b] = (qual as Extract<Expr, { type: 'OpExpr' | 'ScalarArrayOpExpr' }>).args as [Expr, Expr];
      const value = a.type === 'Var' && a.varattno === -1 ? b : a;
      return { read: compileExpr(value, this.scope), isArray: qual.type === 'ScalarArrayOpExpr' };
    });
    this.compile();
  }

  protected override recheckTid(tid: number): boolean {
    this.#tids ??= this.#collect();
    return this.#tids.includes(tid);
  }

  protected override read(max: number): number {
    this.#tids ??= this.#collect();
    const { env, snapshot } = this.est;
    let n = 0;
    while (this.#next < this.#tids.length && n < max) {
      const tid = this.#tids[this.#next]!;
      const tup = heapFetch(env.heap, this.heap, Math.floor(tid / TID_BLOCK), tid % TID_BLOCK, snapshot);
      if (tup === MISS) {
        if (n === 0) return MISS;
        break;
      }
      this.#next++;
      if (tup === NOT_FOUND) continue;
      this.lane.ptrs[n] = tup;
      this.lane.tids[n++] = tid;
    }
    this.input.n = n;
    return n > 0 ? ROW : END;
  }

  #collect(): number[] {
    const tids = new Set<number>();
    for (const { read, isArray } of this.#sources) {
      const value = read(0) as Uint8Array | null;
      if (value === null) continue;
      for (const tid of isArray ? arrayElements(this.est, value, TIDOID) : [value])
        if (tid !== null) tids.add(tidNumber(tid as Uint8Array));
    }
    return [...tids].sort((a, b) => a - b);
  }

  protected override reset(changed: ChangedParams): void {
    super.reset(changed);
    this.#tids = null;
    this.#next = 0;
  }
}
