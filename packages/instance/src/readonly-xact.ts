/**
 * An XactView that belongs to no transaction: what the instance itself reads catalogs with. It sees what
 * is committed and changes nothing.
 */
import { assert } from '@pgtroupe/common/assert';
import {
  type CommandId,
  FIRST_NORMAL_TRANSACTION_ID,
  type FullTransactionId,
  type TransactionId,
} from '@pgtroupe/common/ids';
import type { InstanceMultiXacts } from './instance-multixacts.ts';
import { inSnapshot, type InstanceTransactions } from './instance-transactions.ts';
import type { MultiXactId, MultiXactMember } from '@pgtroupe/transam/multixact';
import type { Snapshot, XactStatus, XactView } from '@pgtroupe/transam/xactview';

export class ReadonlyXact implements XactView {
  readonly #shared: InstanceTransactions;
  readonly #multixacts: InstanceMultiXacts;
  readonly curcid = 0 as CommandId;

  constructor(kernel: { readonly shared: InstanceTransactions; readonly multixacts: InstanceMultiXacts }) {
    this.#shared = kernel.shared;
    this.#multixacts = kernel.multixacts;
  }

  get oldestXmin(): FullTransactionId {
    return this.#shared.oldestXmin;
  }

  currentXid(): FullTransactionId | -1 {
    assert(false, 'a reader of catalogs has no transaction id');
  }

  isCurrent(): boolean {
    return false;
  }

  status(xid: TransactionId): XactStatus | -1 {
    return this.#shared.status(xid);
  }

  confirmRunning(): true {
    assert(false, 'a reader of catalogs locks no rows');
  }

  unlockTuple(): void {
    assert(false, 'a reader of catalogs waits for no rows');
  }

  inSnapshot(xid: TransactionId, snapshot: Snapshot): boolean {
    if (xid < FIRST_NORMAL_TRANSACTION_ID) return false;
    return inSnapshot(this.#shared.full(xid), snapshot);
  }

  multiXactMembers(multi: MultiXactId): readonly MultiXactMember[] | -1 {
    return this.#multixacts.membersOf(multi);
  }

  multiXactOf(): number {
    assert(false, 'a reader of catalogs locks no rows');
  }

  comboCid(): CommandId {
    assert(false, 'a reader of catalogs has no commands');
  }

  cminOf(): CommandId {
    assert(false, 'a reader of catalogs has no commands');
  }

  cmaxOf(): CommandId {
    assert(false, 'a reader of catalogs has no commands');
  }
}
