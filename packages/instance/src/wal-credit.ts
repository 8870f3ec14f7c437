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
import type { Attachment } from './attachment.ts';
import type { LockOwner } from './instance-locks.ts';

const FREE_BYTES = 64 * 1024;

/** A session as somebody who logs. */
export class WalProducer {
  readonly #credit: WalCredit;
  readonly #owner: LockOwner;
  /** Logged since it last committed or was let through. */
  bytes = 0;
  /** Of all that it logged, as pg_stat_statements counts it. */
  records = 0;
  images = 0;
  loggedBytes = 0;

  constructor(credit: WalCredit, owner: LockOwner) {
    this.#credit = credit;
    this.#owner = owner;
  }

  /** Looked at between steps of a statement: it must `wait` before it logs more. */
  get mustWait(): boolean {
    return this.bytes > FREE_BYTES && this.#credit.exhausted(this);
  }

  /** Resolves at the next credit. A cancel ends the wait, and so does the end of the stream. */
  wait(): Promise<void> {
    return this.#credit.wait(this.#owner);
  }
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

  /** Lets the producer through when there is credit. */
  exhausted(producer: WalProducer): boolean {
    if (!this.#attachment.attached) return false;
    if (this.#attachment.creditBytes <= 0) return true;
    producer.bytes = 0;
    return false;
  }

  wait(owner: LockOwner): Promise<void> {
    if (owner.interrupt !== undefined) return Promise.reject(owner.interrupt);
    return new Promise<void>((resolve, reject) => {
      const over = (finish: () => void): void => {
        this.#waiters.delete(waiter);
        if (owner.waiting === waiting) owner.waiting = undefined;
        owner.waitEvent = undefined;
        finish();
      };
      const waiter: Waiter = { resolve: () => over(resolve), reject: error => over(() => reject(error)) };
      const waiting = { cancel: (error: PgError) => waiter.reject(error) };
      owner.waiting = waiting;
      owner.waitEvent = 'LWLock/WALWrite';
      this.#waiters.add(waiter);
    });
  }

  reset(error: () => Error): void {
    for (const waiter of [...this.#waiters]) waiter.reject(error());
  }
}
