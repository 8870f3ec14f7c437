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
import { inSnapshot, type InstanceTransactions } from './instance-transactions.ts';
import type { Snapshot, XactStatus, XactView } from '@pgtroupe/transam/xactview';

export class ReadonlyXact implements XactView {
  readonly #shared: InstanceTransactions;
  readonly curcid = 0 as CommandId;

  constructor(shared: InstanceTransactions) {
    this.#shared = shared;
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

  inSnapshot(xid: TransactionId, snapshot: Snapshot): boolean {
    if (xid < FIRST_NORMAL_TRANSACTION_ID) return false;
    return inSnapshot(this.#shared.full(xid), snapshot);
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
