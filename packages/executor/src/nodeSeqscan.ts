/**
 * Sequential scan: page by page, what the snapshot sees of each.
 */
import { HeapPageBatch, heapGetPage } from '@pgtroupe/access/heap/heapam-scan';
import { MAIN_FORKNUM } from '@pgtroupe/common/ids';
import type { SeqScan } from '@pgtroupe/optimizer/plannodes';
import { TID_BLOCK } from './batch.ts';
import type { ChangedParams, EState } from './estate.ts';
import type { ExecRange } from './range.ts';
import type { SubPlanFactory } from './scope.ts';
import { END, MISS, ROW, YIELD } from './status.ts';
import { TableScanState } from './tablescan.ts';

export class SeqScanState extends TableScanState {
  readonly #batch: HeapPageBatch;
  #blk = 0;
  #nblocks = -1;

  constructor(est: EState, plan: SeqScan, factory: SubPlanFactory, range: ExecRange) {
    const batch = new HeapPageBatch();
    super(est, plan, factory, range, batch.tuples);
    this.#batch = batch;
    this.compile();
  }

  protected override read(): number {
    const { env, snapshot } = this.est;
    if (this.#nblocks < 0) {
      const nblocks = env.pages.nblocks(this.relation.smgr, MAIN_FORKNUM);
      if (nblocks === MISS) return MISS;
      this.#nblocks = nblocks;
      env.heap.xact.counts?.scan(this.relation);
    }
    while (this.#blk < this.#nblocks) {
      const n = heapGetPage(env.heap, this.heap, this.#blk, snapshot, this.#batch);
      if (n === MISS) return MISS;
      const blk = this.#blk++;
      if (n === 0) {
        if (env.shouldYield()) return YIELD;
        continue;
      }
      if (this.lane.wantTids) {
        const { offnums } = this.#batch;
        const { tids } = this.lane;
        for (let i = 0; i < n; i++) tids[i] = blk * TID_BLOCK + offnums[i]!;
      }
      env.heap.xact.counts?.returned(this.relation, n);
      this.input.n = n;
      return ROW;
    }
    return END;
  }

  protected override reset(changed: ChangedParams): void {
    super.reset(changed);
    this.#blk = 0;
    this.#nblocks = -1;
  }
}
