/**
 * Where producers of bulk WAL wait for the walwriter (rpc/attach/credit.ts).
 *
 * A session heeds the instance's credit once it has logged FREE_BYTES since its last commit: short
 * transactions never wait here, they wait for their COMMIT. It looks between the steps of a statement, where a
 * statement may be suspended anyway, never in a synchronous stretch: while it waits its pages can be
 * recalled, its snapshot token is the instance's, and whatever the instance owes anyone is sent.
 *
 * So what an instance has sent that is not settled stays below its window, plus for each session
 * FREE_BYTES and one step, plus what is never held back.
 */
import type { PgError } from '@pgtroupe/common/ereport';
import type { Attachment } from '@pgtroupe/rpc/attach/attachment';
import type { LockOwner } from '@pgtroupe/storage/lmgr/instance-locks';

const FREE_BYTES = 64 * 1024;

/** What a session has logged since it last committed or was let through. */
export interface WalAccount {
  bytes: number;
}

interface Waiter {
  resolve(): void;
  reject(error: Error): void;
}

export class WalCredit {
  readonly #attachment: Attachment;
  readonly #waiters = new Set<Waiter>();

  constructor(attachment: Attachment) {
    this.#attachment = attachment;
    attachment.onCredit = () => {
      if (attachment.creditBytes > 0) for (const waiter of [...this.#waiters]) waiter.resolve();
    };
  }

  get waiting(): number {
    return this.#waiters.size;
  }

  /** Must this session wait before it logs more? */
  exhausted(account: WalAccount): boolean {
    if (account.bytes <= FREE_BYTES || !this.#attachment.attached) return false;
    if (this.#attachment.creditBytes <= 0) return true;
    account.bytes = 0;
    return false;
  }

  /** Resolves at the next credit. A cancel ends the wait, and so does the end of the stream. */
  wait(owner: LockOwner): Promise<void> {
    return new Promise<void>((resolve, reject) => {
      const over = (finish: () => void): void => {
        this.#waiters.delete(waiter);
        if (owner.waiting === waiting) owner.waiting = undefined;
        finish();
      };
      const waiter: Waiter = { resolve: () => over(resolve), reject: error => over(() => reject(error)) };
      const waiting = { reqId: 0, cancel: (error: PgError) => waiter.reject(error) };
      owner.waiting = waiting;
      this.#waiters.add(waiter);
    });
  }

  reset(error: () => Error): void {
    for (const waiter of [...this.#waiters]) waiter.reject(error());
  }
}
