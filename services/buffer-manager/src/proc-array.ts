/**
 * Which transactions run, what a snapshot is, and how far back anybody looks. Pure.
 *
 * - Ids are reserved to instances in small batches; a reserved id counts as running until it ends or is
 *   returned (invariant 16). Returned ids are burned: aborted, never issued again.
 * - csn counts visible commits. A snapshot is (csn, xmin, xmax, running ids).
 * - Horizon (invariant 18): what an instance may still look at is bounded by what it reported and by every
 *   snapshot sent to it since that report.
 */
import { assert } from '@pgtroupe/common/assert';

export interface SnapshotData {
  readonly csn: number;
  readonly xmin: number;
  readonly xmax: number;
  readonly xip: readonly number[];
}

/** Grants not yet covered by a horizon report; beyond this many each second one is held by the one before it. */
const MAX_GRANTS = 64;

/**
 * One instance's view of the past. Its grants are counted, by it as well: those of one csn differ in xmin when a
 * transaction was rolled back in between, and a report crosses the one that is on its way.
 */
export class HorizonPin {
  #reportedXmin = Number.MAX_SAFE_INTEGER;
  #granted = 0;
  /** `count`: the last of those that `xmin` holds. */
  #grants: { count: number; readonly xmin: number }[] = [];

  granted({ xmin }: SnapshotData): void {
    const count = ++this.#granted;
    const last = this.#grants[this.#grants.length - 1];
    // xmin only rises, so of equal ones the later says it all.
    if (last !== undefined && last.xmin === xmin) last.count = count;
    else this.#grants.push({ count, xmin });
    if (this.#grants.length > MAX_GRANTS) {
      const grants = this.#grants;
      this.#grants = grants.flatMap((grant, n) =>
        n % 2 === 0 ? [{ count: (grants[n + 1] ?? grant).count, xmin: grant.xmin }] : [],
      );
    }
  }

  /** `xmin` is the oldest that the instance uses, with the first `count` of its grants seen. */
  reported(count: number, xmin: number): void {
    this.#reportedXmin = xmin;
    const grants = this.#grants;
    let seen = 0;
    while (seen < grants.length && grants[seen]!.count <= count) seen++;
    if (seen > 0) grants.splice(0, seen);
  }

  get xmin(): number {
    const first = this.#grants[0];
    return first === undefined ? this.#reportedXmin : Math.min(first.xmin, this.#reportedXmin);
  }
}

export class ProcArray {
  nextXid: number;
  csn = 0;
  /** Running ids, ascending. */
  readonly #running: number[] = [];
  readonly #pins = new Set<HorizonPin>();
  #snapshot: SnapshotData | undefined;

  constructor(nextXid: number) {
    this.nextXid = nextXid;
  }

  /** Takes the next id; the caller has seen to its page of pg_xact. */
  allocate(): number {
    const xid = this.nextXid;
    // The 32-bit ids 0, 1 and 2 are special in every epoch.
    this.nextXid = xid + 1;
    if (this.nextXid % 0x100000000 < 3) this.nextXid += 3 - (this.nextXid % 0x100000000);
    this.#running.push(xid);
    this.#snapshot = undefined;
    return xid;
  }

  isRunning(xid: number): boolean {
    return this.#find(xid) >= 0;
  }

  get runningCount(): number {
    return this.#running.length;
  }

  get running(): readonly number[] {
    return this.#running;
  }

  get oldestRunning(): number {
    return this.#running[0] ?? this.nextXid;
  }

  /** The transaction is over; `visible`: it committed, and later snapshots see it. */
  end(xid: number): void {
    const at = this.#find(xid);
    assert(at >= 0, `transaction ${xid} ends but does not run`);
    this.#running.splice(at, 1);
    this.#snapshot = undefined;
  }

  committed(): void {
    this.csn++;
    this.#snapshot = undefined;
  }

  snapshot(): SnapshotData {
    this.#snapshot ??= {
      csn: this.csn,
      xmin: this.oldestRunning,
      xmax: this.nextXid,
      xip: this.#running.slice(),
    };
    return this.#snapshot;
  }

  pin(): HorizonPin {
    const pin = new HorizonPin();
    this.#pins.add(pin);
    return pin;
  }

  get pinCount(): number {
    return this.#pins.size;
  }

  unpin(pin: HorizonPin): void {
    this.#pins.delete(pin);
  }

  /** Below this every transaction is over for everybody. */
  get oldestXmin(): number {
    let oldest = this.oldestRunning;
    for (const pin of this.#pins) oldest = Math.min(oldest, pin.xmin);
    return oldest;
  }

  #find(xid: number): number {
    const list = this.#running;
    let low = 0;
    let high = list.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const value = list[middle]!;
      if (value === xid) return middle;
      if (value < xid) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }
}
