/**
 * COMMIT between being sequenced and being visible. Pure.
 *
 * A commit becomes visible when (1) its record is durable, unless it is asynchronous, (2) no other
 * instance may still use a snapshot that lacks it, (3) every commit sequenced before it is visible:
 * visibility order is commit-LSN order (invariant 14).
 */
import { assert } from '@pgtroupe/common/assert';

/**
 * May an instance take new snapshots from the last one it was sent? Both directions are FIFO, so it
 * may if a snapshot was the last thing sent, or if some recall is not answered yet: a snapshot sent
 * behind a recall must not be taken back by the answer to that recall.
 */
export class SnapshotToken {
  #granted = false;
  #recalls = 0;

  get held(): boolean {
    return this.#granted || this.#recalls > 0;
  }

  /** Held, and no recall is on its way behind the last snapshot. */
  get granted(): boolean {
    return this.#granted;
  }

  sent(): void {
    this.#granted = true;
  }

  recalled(): void {
    assert(this.#granted, 'a recall follows a snapshot');
    this.#granted = false;
    this.#recalls++;
  }

  /** False: nobody asked. */
  acked(): boolean {
    if (this.#recalls === 0) return false;
    this.#recalls--;
    return true;
  }
}

export interface SnapshotHolder {
  readonly snapshot: SnapshotToken;
}

export interface PendingCommit<I extends SnapshotHolder> {
  /** Who is to be answered; undefined when it died. */
  instance: I | undefined;
  readonly reqId: number;
  readonly owner: number;
  readonly fxid: number;
  readonly children: readonly number[];
  /** End of the commit record. */
  readonly lsn: number;
  readonly sync: boolean;
}

export class CommitQueue<I extends SnapshotHolder, C extends PendingCommit<I>> {
  readonly #pending: C[] = [];
  #lastLsn = 0;

  get length(): number {
    return this.#pending.length;
  }

  /** Sequenced just now. */
  add(commit: C): void {
    assert(commit.lsn > this.#lastLsn, 'commits are queued in LSN order');
    this.#lastLsn = commit.lsn;
    this.#pending.push(commit);
  }

  /** LSN up to which somebody waits for durability; 0 when nobody does. */
  get flushWanted(): number {
    for (let n = this.#pending.length - 1; n >= 0; n--) if (this.#pending[n]!.sync) return this.#pending[n]!.lsn;
    return 0;
  }

  /** Does any commit before `lsn` still wait? */
  pendingBefore(lsn: number): boolean {
    const first = this.#pending[0];
    return first !== undefined && first.lsn <= lsn;
  }

  /** Instances whose snapshots stand in the way of some pending commit. */
  mustRecall(holder: I): boolean {
    return holder.snapshot.granted && this.#pending.some(commit => commit.instance !== holder);
  }

  some(test: (commit: C) => boolean): boolean {
    return this.#pending.some(test);
  }

  /** Nobody of this instance will hear the answer; its commits stand all the same. */
  orphan(instance: I, each: (commit: C) => void): void {
    for (const commit of this.#pending) {
      if (commit.instance !== instance) continue;
      commit.instance = undefined;
      each(commit);
    }
  }

  /** Takes the next commit that may become visible now. */
  next(flushed: number, holders: Iterable<I>): C | undefined {
    const first = this.#pending[0];
    if (first === undefined || (first.sync && first.lsn > flushed)) return undefined;
    for (const holder of holders) if (holder.snapshot.held && holder !== first.instance) return undefined;
    return this.#pending.shift();
  }
}
