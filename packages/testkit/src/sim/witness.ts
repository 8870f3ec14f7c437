/**
 * Clients that only look, in whatever instances they are connected to. Two promises are theirs to check:
 *
 * - causal reads: whoever was told that a COMMIT was acknowledged sees it, at once and anywhere;
 * - monotonic reads: what one of them saw, acknowledged or not, none of them misses afterwards.
 *
 * Of who commits asynchronously both hold as long as shared memory lives.
 */
import { type Account, excused } from './ledger.ts';
import type { Book } from './ledger.ts';
import type { Losses } from './losses.ts';
import type { SimClient } from './client.ts';
import type { SimCluster } from './cluster.ts';
import type { SimProcess } from './process.ts';

/** With nothing to be told about, they look around as often as this. */
const IDLE_MS = [2, 60] as const;

export class Witness {
  unexpected: Error | undefined;
  stopped = false;
  /** Asks nothing. */
  resting = false;
  atRest = false;
  idle = true;
  readonly #cluster: SimCluster;
  readonly #book: Book;
  readonly #accounts: readonly Account[];
  /** `client/number` that some witness saw, and when last. */
  readonly #seen: Map<string, number>;
  readonly #losses: Losses | undefined;
  /** SQLSTATEs that this seed's faults cause. */
  readonly #excused: RegExp | undefined;
  readonly #client: SimClient;
  readonly #process: SimProcess;
  #told: { readonly account: Account; readonly number: number } | undefined;
  #wake: () => void = () => {};
  #rounds = 0;

  constructor(
    cluster: SimCluster,
    book: Book,
    accounts: readonly Account[],
    shared: {
      readonly seen: Map<string, number>;
      readonly excused: RegExp | undefined;
      readonly losses: Losses | undefined;
    },
  ) {
    this.#excused = shared.excused;
    this.#losses = shared.losses;
    this.#cluster = cluster;
    this.#book = book;
    this.#accounts = accounts;
    this.#seen = shared.seen;
    const { client, process } = cluster.client();
    this.#client = client;
    this.#process = process;
  }

  /** This number was acknowledged just now. */
  tell(account: Account, number: number): void {
    this.#told = { account, number };
    this.#wake();
  }

  async run(): Promise<void> {
    this.idle = false;
    while (!this.stopped) {
      this.atRest = this.resting;
      if (this.resting) {
        await this.#rest();
        continue;
      }
      const { account, number } = this.#told ?? this.#latest();
      this.#told = undefined;
      try {
        await this.#look(account, number);
      } catch (error) {
        if (!excused(error, this.#excused)) this.unexpected ??= error as Error;
      }
      if (this.#told === undefined) await this.#rest();
    }
    this.idle = true;
  }

  /** The number that somebody is at work on, or has just finished with. */
  #latest(): { readonly account: Account; readonly number: number } {
    const account = this.#accounts[this.#rounds++ % this.#accounts.length]!;
    return { account, number: account.fates.length - 1 };
  }

  #rest(): Promise<void> {
    return new Promise(resolve => {
      this.#wake = resolve;
      this.#process.env.timers.after(this.#cluster.world.between(...IDLE_MS), resolve);
    });
  }

  async #look(account: Account, number: number): Promise<void> {
    if (number < 0) return;
    const key = `${account.c}/${number}`;
    const acknowledged = account.fates[number] === 'acknowledged';
    const seenMs = this.#seen.get(key);
    if (await this.#book.has(this.#client, account.c, number)) this.#seen.set(key, this.#cluster.world.nowMs);
    else if (
      (acknowledged && !account.mayBeLost(number)) ||
      (seenMs !== undefined && !this.#forgotten(account, seenMs))
    ) {
      throw new Error(
        `${this.#process.name} does not see ${number} of client ${account.c}, which was ${acknowledged ? 'acknowledged' : 'seen'} before`,
      );
    }
  }

  #forgotten(account: Account, seenMs: number): boolean {
    return account.asynchronous && this.#losses!.since(seenMs);
  }
}
