/**
 * Index scan: TIDs from the index in batches, the visible version of each from the table.
 *
 * A TID whose page is missing stays first in line: it is looked up again after the suspension. With an
 * array of values the index is scanned once per element, in the index's order, equal ones once.
 */
import { INT4OID } from '@pgtroupe/common/oids';
import { BTScan, type BTScanKey } from '@pgtroupe/access/nbtree/nbtscan';
import { heapHotSearch, NOT_FOUND } from '@pgtroupe/access/heap/heapam-scan';
import { assert } from '@pgtroupe/common/assert';
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import type { Datum } from '@pgtroupe/common/datum';
import { AMPROCNUM } from '@pgtroupe/catalog/syscache';
import type { Expr } from '@pgtroupe/nodes/primnodes';
import type { IndexScan } from '@pgtroupe/optimizer/plannodes';
import { detach, type RowReader, TID_BLOCK } from './batch.ts';
import { arrayElements } from './arrays.ts';
import type { ChangedParams, EState } from './estate.ts';
import { binaryFunction } from './execExpr.ts';
import type { ExecRange } from './range.ts';
import { btreeOf } from './relations.ts';
import type { SubPlanFactory } from './scope.ts';
import { END, MISS, ROW, YIELD } from './status.ts';
import { TableScanState } from './tablescan.ts';

const NOT_STARTED = 0;
const SCANNING = 1;
const FINISHED = 2;

export class IndexScanState extends TableScanState {
  readonly #scan: BTScan;
  readonly #index: RelationDesc;
  readonly #forward: boolean;
  /** Per scan key; undefined for null tests. */
  readonly #readers: readonly (RowReader | undefined)[];
  readonly #values: Datum[];
  /** The scan key whose value is an array, -1 none. */
  readonly #arrayKey: number;
  readonly #compare: ((a: Datum, b: Datum) => number) | undefined;
  readonly #elementType: number;
  #elements: Datum[] = [];
  #nextElement = 0;
  #state = NOT_STARTED;
  #tid = 0;
  #tidCount = 0;
  /** Entries read that are not counted yet. */
  #seen = 0;

  constructor(est: EState, plan: IndexScan, factory: SubPlanFactory, range: ExecRange) {
    super(est, plan, factory, range, new Int32Array(292));
    const index = this.relation.indexes.find(i => (i.index.indexrelid as number) === plan.indexid);
    assert(index !== undefined, `index ${plan.indexid} is gone`);
    const bt = btreeOf(est, this.relation, index);
    const keys = plan.indexqual.map((q): BTScanKey => {
      const attno = q.indexcol + 1;
      if (q.value === null) return { attno, test: q.strategy === 3 ? 'isNull' : 'isNotNull' };
      const key = index.keys[q.indexcol]!;
      const { valueType } = q;
      const support =
        valueType === (key.opcintype as number)
          ? null
          : est.env.rows.search(AMPROCNUM, key.opfamily, key.opcintype, valueType, 1);
      if (support === null) return { attno, test: 'compare', strategy: q.strategy };
      const compare = binaryFunction(est, support.amproc, [key.opcintype, valueType], INT4OID, key.collation);
      return { attno, test: 'compare', strategy: q.strategy, compare: (a, b) => compare(a, b) as number };
    });
    this.#index = index.rel;
    this.#scan = new BTScan(bt, est.env.pages, keys);
    this.#forward = plan.indexorderdir > 0;
    this.#readers = plan.indexqual.map(q => (q.value === null ? undefined : this.expr(q.value)));
    this.#values = new Array<Datum>(keys.length).fill(null);
    this.#arrayKey = plan.indexqual.findIndex(q => q.isArray);
    const arrayQual = plan.indexqual[this.#arrayKey];
    this.#elementType = arrayQual?.valueType ?? 0;
    if (arrayQual !== undefined) {
      const key = index.keys[arrayQual.indexcol]!;
      const support = est.env.rows.search(AMPROCNUM, key.opfamily, this.#elementType, this.#elementType, 1);
      assert(support !== null, 'array elements have an order');
      const compare = binaryFunction(
        est,
        support.amproc,
        [this.#elementType, this.#elementType],
        INT4OID,
        key.collation,
      );
      const sign = ((key.option & 1) !== 0) !== !this.#forward ? -1 : 1;
      this.#compare = (a, b) => sign * (compare(a, b) as number);
    }
    this.compile();
  }

  protected override recheckQual(): readonly Expr[] {
    return this.est.epq === null ? [] : (this.plan as IndexScan).indexqualorig;
  }

  protected override read(max: number): number {
    if (this.#state === FINISHED) return END;
    if (this.#state === NOT_STARTED) {
      this.#evaluate();
      this.#state = SCANNING;
      if (!this.#startScan()) return this.#finish();
    }
    const { env, snapshot } = this.est;
    const { lane } = this;
    let n = 0;
    for (;;) {
      // Each batch may have made room anew.
      const { tids } = this.#scan;
      while (this.#tid < this.#tidCount) {
        const blk = tids[2 * this.#tid]! >>> 0;
        const tup = heapHotSearch(env.heap, this.heap, blk, tids[2 * this.#tid + 1]!, snapshot);
        if (tup === MISS) {
          // What is found already goes out first.
          if (n === 0) return MISS;
          return this.#found(n);
        }
        this.#tid++;
        this.#seen++;
        if (tup === NOT_FOUND) continue;
        lane.ptrs[n] = tup;
        lane.tids[n] = blk * TID_BLOCK + env.heap.offnum;
        if (++n === max) return this.#found(n);
      }
      const count = this.#scan.nextBatch();
      if (count === MISS) {
        if (n === 0) return MISS;
        return this.#found(n);
      }
      this.#tid = 0;
      this.#tidCount = count;
      if (count === 0 && !(this.#arrayKey >= 0 && this.#startScan())) {
        this.#state = FINISHED;
        const status = this.#found(n);
        return n > 0 ? status : END;
      }
      if (n === 0 && env.shouldYield()) return YIELD;
    }
  }

  /** So many rows, of the entries seen since the last time. */
  #found(n: number): number {
    const { counts } = this.est.env.heap.xact;
    if (counts !== undefined) {
      counts.returned(this.#index, this.#seen);
      counts.fetched(this.#index, n);
    }
    this.#seen = 0;
    this.input.n = n;
    return ROW;
  }

  #finish(): number {
    this.#state = FINISHED;
    return END;
  }

  #evaluate(): void {
    for (let i = 0; i < this.#readers.length; i++) {
      const read = this.#readers[i];
      if (read !== undefined) this.#values[i] = detach(read(0));
    }
    if (this.#arrayKey < 0) return;
    const array = this.#values[this.#arrayKey]!;
    const compare = this.#compare!;
    const elements =
      array === null ? [] : arrayElements(this.est, array as Uint8Array, this.#elementType).filter(e => e !== null);
    elements.sort(compare);
    this.#elements = elements.filter((e, i) => i === 0 || compare(elements[i - 1]!, e) !== 0);
    this.#nextElement = 0;
  }

  /** Begins the next pass over the index, if there is one. */
  #startScan(): boolean {
    if (this.#arrayKey >= 0) {
      if (this.#nextElement >= this.#elements.length) return false;
      this.#values[this.#arrayKey] = this.#elements[this.#nextElement++]!;
    }
    this.est.env.heap.xact.counts?.scan(this.#index);
    this.#scan.rescan(this.#values, this.#forward);
    this.#tid = 0;
    this.#tidCount = 0;
    return true;
  }

  protected override reset(changed: ChangedParams): void {
    super.reset(changed);
    this.#state = NOT_STARTED;
    this.#tid = 0;
    this.#tidCount = 0;
  }
}
