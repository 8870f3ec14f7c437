/**
 * Transactions without a server, for tests of access methods: all in one object that decides who is
 * running, with a XactView per transaction.
 */
import { assert } from '@pgtroupe/common/assert';
import type { CommandId, FullTransactionId, TransactionId } from '@pgtroupe/common/ids';
import type { MultiXactId, MultiXactMember } from '@pgtroupe/transam/multixact';
import {
  type Snapshot,
  XACT_ABORTED,
  XACT_COMMITTED,
  XACT_IN_PROGRESS,
  type XactStatus,
  type XactView,
} from '@pgtroupe/transam/xactview';
import type { SoloPages } from './solo-pages.ts';

export class SoloTransactions {
  next = 700;
  readonly outcome = new Map<number, XactStatus>();
  readonly multixacts: (readonly MultiXactMember[])[] = [];
  readonly #solo: SoloPages;
  /** Snapshots somebody still uses hold the horizon back. */
  readonly pinned = new Set<Snapshot>();

  constructor(solo: SoloPages) {
    this.#solo = solo;
  }

  begin(): SoloXact {
    return new SoloXact(this, this.#solo);
  }

  assign(): number {
    const xid = this.next++;
    this.outcome.set(xid, XACT_IN_PROGRESS);
    return xid;
  }

  get running(): number[] {
    return [...this.outcome].filter(([, state]) => state === XACT_IN_PROGRESS).map(([xid]) => xid);
  }

  get oldestXmin(): FullTransactionId {
    return Math.min(
      this.next,
      ...this.running,
      ...[...this.pinned].map(snapshot => snapshot.xmin),
    ) as FullTransactionId;
  }

  snapshot(curcid: number): Snapshot {
    const xip = this.running.sort((a, b) => a - b);
    return {
      csn: 0,
      xmin: (xip[0] ?? this.next) as FullTransactionId,
      xmax: this.next as FullTransactionId,
      xip,
      curcid: curcid as CommandId,
    };
  }
}

export class SoloXact implements XactView {
  readonly #all: SoloTransactions;
  readonly #solo: SoloPages;
  #xid = 0;
  curcid = 0 as CommandId;
  readonly #combos: { readonly cmin: CommandId; readonly cmax: CommandId }[] = [];

  constructor(all: SoloTransactions, solo: SoloPages) {
    this.#all = all;
    this.#solo = solo;
  }

  get xid(): TransactionId {
    return this.#xid as TransactionId;
  }

  currentXid(): FullTransactionId {
    if (this.#xid === 0) this.#xid = this.#all.assign();
    this.#solo.wal.xid = this.#xid;
    return this.#xid as FullTransactionId;
  }

  isCurrent(xid: TransactionId): boolean {
    return this.#xid !== 0 && xid === this.#xid;
  }

  status(xid: TransactionId): XactStatus {
    if (xid < 3) return xid === 0 ? XACT_ABORTED : XACT_COMMITTED;
    const known = this.#all.outcome.get(xid);
    assert(known !== undefined, `transaction ${xid} never began`);
    return known;
  }

  confirmRunning(): true {
    return true;
  }

  unlockTuple(): void {}

  inSnapshot(xid: TransactionId, snapshot: Snapshot): boolean {
    if (xid < 3 || xid < snapshot.xmin) return false;
    return xid >= snapshot.xmax || snapshot.xip.includes(xid);
  }

  get oldestXmin(): FullTransactionId {
    return this.#all.oldestXmin;
  }

  multiXactMembers(multi: MultiXactId): readonly MultiXactMember[] {
    const members = this.#all.multixacts[multi - 1];
    assert(members !== undefined, `multixact ${multi} was never made`);
    return members;
  }

  multiXactOf(members: readonly MultiXactMember[]): MultiXactId {
    return this.#all.multixacts.push(members);
  }

  comboCid(cmin: CommandId, cmax: CommandId): CommandId {
    const known = this.#combos.findIndex(combo => combo.cmin === cmin && combo.cmax === cmax);
    if (known >= 0) return known as CommandId;
    this.#combos.push({ cmin, cmax });
    return (this.#combos.length - 1) as CommandId;
  }

  cminOf(combo: CommandId): CommandId {
    return this.#combos[combo]!.cmin;
  }

  cmaxOf(combo: CommandId): CommandId {
    return this.#combos[combo]!.cmax;
  }

  // ---- the test's side -----------------------------------------------------------------------------

  snapshot(): Snapshot {
    return this.#all.snapshot(this.curcid);
  }

  nextCommand(): void {
    this.curcid = (this.curcid + 1) as CommandId;
  }

  commit(): void {
    if (this.#xid !== 0) this.#all.outcome.set(this.#xid, XACT_COMMITTED);
  }

  abort(): void {
    if (this.#xid !== 0) this.#all.outcome.set(this.#xid, XACT_ABORTED);
  }
}
