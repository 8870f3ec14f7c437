/**
 * COMMIT between being sequenced and being visible. Pure.
 *
 * A commit becomes visible when (1) its record is durable, unless it is asynchronous, (2) no instance may
 * still use a snapshot that lacks it, (3) every commit sequenced before it is visible: visibility order is
 * commit-LSN order (invariant 14).
 *
 * (2) holds for the instance that commits as well: the answer takes its time to get there, while another
 * instance shows the commit to somebody who then asks this one. Only an instance that nobody else ever was
 * beside (no other one had a snapshot) keeps its own: nobody can tell. It gives it back when the next one joins.
 */
import { assert } from '@pgtroupe/common/assert';

/**
 * May an instance take new snapshots from the last one it was sent? Both directions are FIFO, so it
 * may if a snapshot was the last thing sent, or if some recall is not answered yet: a snapshot sent
 * behind a recall must not be taken back by the answer to that recall.
 */
export class SnapshotToken {
  #granted = false;
  #joined = false;
  /** Recalls sent, and answered. */
  #recalls = 0;
  #acks = 0;

  get held(): boolean {
    return this.#granted || this.#acks < this.#recalls;
  }

  /** From its first request on, the instance shows what is committed. */
  get joined(): boolean {
    return this.#joined;
  }

  join(): void {
    this.#joined = true;
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
    if (this.#acks === this.#recalls) return false;
    this.#acks++;
    return true;
  }

  /** Calls made so far; `answered` tells when all of them are. */
  get recalls(): number {
    return this.#recalls;
  }

  answered(recalls: number): boolean {
    return this.#acks >= recalls;
  }
}

export interface SnapshotHolder {
  readonly snapshot: SnapshotToken;
}

/** Is another instance there that shows what is committed? */
function watched<I extends SnapshotHolder>(instance: I, holders: Iterable<I>): boolean {
  for (const other of holders) if (other !== instance && other.snapshot.joined) return true;
  return false;
}

/**
 * Instances that asked for their first snapshot and wait until every other one has given back what it may
 * use: it may have been alone so far, with commits of its own on the way to it.
 */
export class JoiningInstances<I extends SnapshotHolder> {
  #waiting: { readonly instance: I; readonly for: Map<I, number> }[] = [];

  /** An instance asks. True: it may have its snapshot at once. */
  asked(instance: I, holders: Iterable<I>, recall: (holder: I) => void): boolean {
    if (instance.snapshot.joined) return !this.#waiting.some(waiting => waiting.instance === instance);
    instance.snapshot.join();
    const others = new Map<I, number>();
    for (const other of holders) {
      if (other === instance) continue;
      if (other.snapshot.granted) recall(other);
      if (other.snapshot.held) others.set(other, other.snapshot.recalls);
    }
    if (others.size === 0) return true;
    this.#waiting.push({ instance, for: others });
    return false;
  }

  /** Those who may have it now. `holders` are alive. */
  ready(holders: ReadonlySet<I>): readonly I[] {
    if (this.#waiting.length === 0) return [];
    const ready: I[] = [];
    this.#waiting = this.#waiting.filter(({ instance, for: others }) => {
      if (!holders.has(instance)) return false;
      for (const [other, recalls] of others) if (holders.has(other) && !other.snapshot.answered(recalls)) return true;
      ready.push(instance);
      return false;
    });
    return ready;
  }
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

  /** Does the instance's snapshot stand in the way of some pending commit? */
  mustRecall(holder: I, holders: Iterable<I>): boolean {
    if (!holder.snapshot.granted || this.#pending.length === 0) return false;
    return watched(holder, holders) || this.#pending.some(commit => commit.instance !== holder);
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
    for (const holder of holders)
      if (holder.snapshot.held && (holder !== first.instance || watched(holder, holders))) return undefined;
    return this.#pending.shift();
  }
}
