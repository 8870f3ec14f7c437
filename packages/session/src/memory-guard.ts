/**
 * The process' memory, watched between slices: before it is gone, and all sessions with it, the statement whose slices made it
 * grow most ends with 53200. What aggregates gather on the heap has no other bound.
 *
 * Growth is what was there after a slice and not before it; garbage counts until it is collected, and is taken off again then.
 */
import type { Clock, Memory } from '@pgtroupe/actor/env';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';

const LOOK_MS = 20;
/** Of V8's limit, which is where the process ends. */
const HEAP_SHARE = 0.75;
/** Of values, outside of the heap. */
const EXTERNAL_BYTES = 4 * 2 ** 30;
/** A statement that added less is not the one. */
const GUILTY_SHARE = 1 / 4;

/** What one session's statement added. */
export interface MemoryAccount {
  grownBytes: number;
}

export class MemoryGuard {
  readonly #memory: Memory;
  readonly #clock: Clock;
  #lookedMs = 0;
  #total = 0;
  /** What the process takes with nothing to do: the page cache, code. */
  readonly #baseExternal: number;

  constructor(memory: Memory, clock: Clock) {
    this.#memory = memory;
    this.#clock = clock;
    this.#baseExternal = memory.use().externalBytes;
  }

  /** At the end of a slice of `account`'s: the one that must end, if one must. */
  look<Account extends MemoryAccount>(account: Account, all: () => Iterable<Account>): Account | undefined {
    const now = this.#clock.nowMs();
    if (now - this.#lookedMs < LOOK_MS) return undefined;
    this.#lookedMs = now;
    const { heapBytes, heapLimit, externalBytes } = this.#memory.use();
    const external = externalBytes - this.#baseExternal;
    account.grownBytes = Math.max(0, account.grownBytes + heapBytes + external - this.#total);
    this.#total = heapBytes + external;
    const limit =
      heapBytes > heapLimit * HEAP_SHARE
        ? heapLimit * HEAP_SHARE
        : external > EXTERNAL_BYTES
          ? EXTERNAL_BYTES
          : Infinity;
    if (limit === Infinity) return undefined;
    let most: Account = account;
    for (const other of all()) if (other.grownBytes > most.grownBytes) most = other;
    return most.grownBytes > limit * GUILTY_SHARE ? most : undefined;
  }
}

export function memoryExhausted({ grownBytes }: MemoryAccount): PgError {
  return ereport(ERRCODE.OUT_OF_MEMORY, 'out of memory', {
    detail: `This backend instance has no more room for what the statement gathers (${Math.round(grownBytes / 2 ** 20)} MB).`,
  });
}
