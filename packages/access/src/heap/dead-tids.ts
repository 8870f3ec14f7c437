/**
 * The dead rows a vacuum has collected, in order of block and offset, as it meets them. One number
 * each: block * 2^16 + offset.
 */
import { assert } from '@pgtroupe/common/assert';
import type { DeadTids } from '../common/indexvacuum.ts';

const BLOCK = 65536;

export class DeadTidList implements DeadTids {
  #tids = new Float64Array(1024);
  count = 0;

  add(blk: number, offnum: number): void {
    if (this.count === this.#tids.length) {
      const grown = new Float64Array(2 * this.count);
      grown.set(this.#tids);
      this.#tids = grown;
    }
    const tid = blk * BLOCK + offnum;
    assert(this.count === 0 || this.#tids[this.count - 1]! < tid, 'dead rows are met in order');
    this.#tids[this.count++] = tid;
  }

  has(blk: number, offnum: number): boolean {
    const tid = blk * BLOCK + offnum;
    const at = this.#lowerBound(tid);
    return at < this.count && this.#tids[at] === tid;
  }

  #lowerBound(tid: number): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#tids[middle]! < tid) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  blockAt(i: number): number {
    return Math.floor(this.#tids[i]! / BLOCK);
  }

  offnumAt(i: number): number {
    return this.#tids[i]! % BLOCK;
  }

  clear(): void {
    this.count = 0;
  }
}
