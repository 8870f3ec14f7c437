/**
 * A transaction id of nobody's, held for a while: it counts as running in every snapshot. For VACUUM, which has no other
 * business with ids: where there are none to be had, it goes on without.
 */
import { type FullTransactionId } from '@pgtroupe/common/ids';
import { MISS, type PageAccess } from '@pgtroupe/storage/buffer/pages';
import type { InstanceTransactions } from './instance-transactions.ts';

export class InstanceHeldXid {
  readonly #shared: InstanceTransactions;
  readonly #pages: PageAccess;
  #fxid: FullTransactionId | undefined;
  #refused = false;
  #renewed = false;

  constructor(shared: InstanceTransactions, pages: PageAccess) {
    this.#shared = shared;
    this.#pages = pages;
  }

  take(): FullTransactionId | undefined | typeof MISS {
    if (this.#fxid !== undefined || this.#refused) return this.#fxid;
    const taken = this.#shared.takeXid();
    if (taken !== MISS) return (this.#fxid = taken);
    const run = (): Promise<void> =>
      this.#shared.awaitXids().catch(() => {
        this.#refused = true;
      });
    this.#pages.want = { kind: 'await', run };
    return MISS;
  }

  /** It was used for nothing that could commit. */
  giveBack(): void {
    if (this.#fxid !== undefined) this.#shared.burn(this.#fxid);
    this.#fxid = undefined;
  }

  renewHorizon(): 0 | typeof MISS {
    if (this.#renewed) {
      this.#renewed = false;
      return 0;
    }
    const run = async (): Promise<void> => {
      await this.#shared.renewHorizon();
      this.#renewed = true;
    };
    this.#pages.want = { kind: 'await', run };
    return MISS;
  }
}
