/**
 * Frames of window functions: for a row of a partition, which rows its frame is.
 */
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import * as N from '@pgtroupe/nodes/nodes';
import { detach } from './batch.ts';

/** What frames ask of the partition being worked on. */
export interface Partition {
  readonly count: number;
  /** First row of the peer group of a row, and the first row behind it. */
  peerStart(row: number): number;
  peerEnd(row: number): number;
  /** Value of the (only) ordering column, for RANGE with an offset. */
  orderValue(row: number): Datum;
}

export interface RangeTest {
  /** in_range: is `value` within `offset` below (sub) or above `base`; less: on the near side of that bound? */
  start(value: Datum, base: Datum, offset: Datum, sub: boolean, less: boolean): boolean;
  end(value: Datum, base: Datum, offset: Datum, sub: boolean, less: boolean): boolean;
}

export class WindowFrame {
  readonly #options: number;
  readonly #range: RangeTest | null;
  readonly #asc: boolean;
  readonly #nullsFirst: boolean;
  startOffset: Datum = null;
  endOffset: Datum = null;
  /** The frame of the row last asked about: [start, end). */
  start = 0;
  end = 0;
  /** Bounds by RANGE with an offset, of the row asked about last. */
  #lastStart = 0;
  #lastEnd = 0;

  constructor(options: number, range: RangeTest | null, asc: boolean, nullsFirst: boolean) {
    this.#options = options;
    this.#range = range;
    this.#asc = asc;
    this.#nullsFirst = nullsFirst;
  }

  get startsAtBeginning(): boolean {
    return (this.#options & N.FRAMEOPTION_START_UNBOUNDED_PRECEDING) !== 0 && !this.excludes;
  }

  get excludes(): boolean {
    return (
      (this.#options &
        (N.FRAMEOPTION_EXCLUDE_CURRENT_ROW | N.FRAMEOPTION_EXCLUDE_GROUP | N.FRAMEOPTION_EXCLUDE_TIES)) !==
      0
    );
  }

  checkOffsets(): void {
    const check = (offset: Datum, which: string): void => {
      if (offset === null) throw ereport(ERRCODE.NULL_VALUE_NOT_ALLOWED, `frame ${which} offset must not be null`);
      if ((this.#options & N.FRAMEOPTION_RANGE) === 0 && Number(offset) < 0) {
        throw ereport(ERRCODE.INVALID_PRECEDING_OR_FOLLOWING_SIZE, `frame ${which} offset must not be negative`);
      }
    };
    if ((this.#options & START_OFFSET) !== 0) check(this.startOffset, 'starting');
    if ((this.#options & END_OFFSET) !== 0) check(this.endOffset, 'ending');
  }

  /** A new partition. */
  begin(): void {
    this.#lastStart = 0;
    this.#lastEnd = 0;
  }

  /** Computes start and end for a row: rows come in order. */
  locate(p: Partition, row: number): void {
    this.start = Math.max(0, Math.min(p.count, this.#bound(p, row, true)));
    this.end = Math.max(this.start, Math.min(p.count, this.#bound(p, row, false)));
  }

  /** Is a row of the frame left out of it by EXCLUDE? */
  excluded(p: Partition, row: number, current: number): boolean {
    const o = this.#options;
    if ((o & N.FRAMEOPTION_EXCLUDE_CURRENT_ROW) !== 0) return row === current;
    if ((o & (N.FRAMEOPTION_EXCLUDE_GROUP | N.FRAMEOPTION_EXCLUDE_TIES)) === 0) return false;
    if ((o & N.FRAMEOPTION_EXCLUDE_TIES) !== 0 && row === current) return false;
    return row >= p.peerStart(current) && row < p.peerEnd(current);
  }

  #bound(p: Partition, row: number, isStart: boolean): number {
    const o = this.#options;
    if (isStart && (o & N.FRAMEOPTION_START_UNBOUNDED_PRECEDING) !== 0) return 0;
    if (!isStart && (o & N.FRAMEOPTION_END_UNBOUNDED_FOLLOWING) !== 0) return p.count;
    const current = isStart ? N.FRAMEOPTION_START_CURRENT_ROW : N.FRAMEOPTION_END_CURRENT_ROW;
    const preceding = (o & (isStart ? N.FRAMEOPTION_START_OFFSET_PRECEDING : N.FRAMEOPTION_END_OFFSET_PRECEDING)) !== 0;
    const offset = isStart ? this.startOffset : this.endOffset;
    if ((o & N.FRAMEOPTION_ROWS) !== 0) {
      const at = (o & current) !== 0 ? row : preceding ? row - Number(offset) : row + Number(offset);
      return isStart ? at : at + 1;
    }
    if ((o & current) !== 0) return isStart ? p.peerStart(row) : p.peerEnd(row);
    if ((o & N.FRAMEOPTION_GROUPS) !== 0)
      return groupBound(p, row, preceding ? -Number(offset) : Number(offset), isStart);
    return this.#rangeBound(p, row, preceding, offset, isStart);
  }

  #rangeBound(p: Partition, row: number, preceding: boolean, offset: Datum, isStart: boolean): number {
    const base = detach(p.orderValue(row));
    // Nulls are peers of nulls and in no other row's range.
    if (base === null) return isStart ? p.peerStart(row) : p.peerEnd(row);
    const test = isStart ? this.#range!.start.bind(this.#range) : this.#range!.end.bind(this.#range);
    const sub = this.#asc ? preceding : !preceding;
    const before = (other: number): boolean => {
      const value = p.orderValue(other);
      if (value === null) return this.#nullsFirst;
      return isStart ? !test(value, base, offset, sub, !this.#asc) : test(value, base, offset, sub, this.#asc);
    };
    // Rows are in order, so what lies before the bound is a prefix; and no shorter one than that of the row before.
    let low = isStart ? this.#lastStart : this.#lastEnd;
    let high = low;
    for (let step = 1; high < p.count && before(high); step *= 2) {
      low = high + 1;
      high = low + step;
    }
    high = Math.min(high, p.count);
    while (low < high) {
      const mid = (low + high) >> 1;
      if (before(mid)) low = mid + 1;
      else high = mid;
    }
    if (isStart) this.#lastStart = low;
    else this.#lastEnd = low;
    return low;
  }
}

const START_OFFSET = N.FRAMEOPTION_START_OFFSET_PRECEDING | N.FRAMEOPTION_START_OFFSET_FOLLOWING;
const END_OFFSET = N.FRAMEOPTION_END_OFFSET_PRECEDING | N.FRAMEOPTION_END_OFFSET_FOLLOWING;

/** GROUPS: peer groups counted from the current one. */
function groupBound(p: Partition, row: number, groups: number, isStart: boolean): number {
  let start = p.peerStart(row);
  let end = p.peerEnd(row);
  for (let n = groups; n < 0; n++) {
    if (start === 0) return isStart ? 0 : 0;
    end = start;
    start = p.peerStart(start - 1);
  }
  for (let n = groups; n > 0; n--) {
    if (end === p.count) return p.count;
    start = end;
    end = p.peerEnd(end);
  }
  return isStart ? start : end;
}
