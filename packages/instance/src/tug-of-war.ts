/**
 * Two instances that want the same two pages could take them from each other for ever. A page that is
 * recalled again and again while other pages are awaited is kept for a moment, by chance, so that the
 * two do not go on in step, until one of them has both.
 */
import type { Env } from '@pgtroupe/actor/env';

/** Recalls in a row after which a page is held back. */
const RECALLS_MIN = 3;
const HOLD_BACK_FIRST_MS = 0.5;
const HOLD_BACK_MAX_MS = 8;
/** Recalls further apart are not in a row. */
const FORGET_MS = 100;
const MAX_PAGES = 1000;

export class TugOfWar {
  readonly #env: Env;
  readonly #recalls = new Map<string, { readonly times: number; readonly lastMs: number }>();

  constructor(env: Env) {
    this.#env = env;
  }

  /** The page is recalled while others are awaited: how long it is kept in spite of that. */
  holdBackMs(page: string): number {
    const now = this.#env.clock.nowMs();
    const before = this.#recalls.get(page);
    const times = before === undefined || now - before.lastMs > FORGET_MS ? 1 : before.times + 1;
    if (this.#recalls.size >= MAX_PAGES) this.#recalls.clear();
    this.#recalls.set(page, { times, lastMs: now });
    if (times < RECALLS_MIN) return 0;
    return this.#env.random.uniform() * Math.min(HOLD_BACK_MAX_MS, HOLD_BACK_FIRST_MS * 2 ** (times - RECALLS_MIN));
  }
}
