/** Clock, timers and randomness of a real process. */
import { randomBytes } from 'node:crypto';
import type { Clock, Random, Timer, Timers } from '../env.ts';

export const nodeClock: Clock = {
  nowMs: () => performance.now(),
  startedMs: 0,
  wallMicros,
};

/** Wall clock at the monotonic clock's zero. */
let zeroMs = Date.now() - performance.now();
/** Date.now() has whole milliseconds only. */
const APART_MAX_MS = 2;

/** The monotonic clock tells the microseconds, so that time goes back only when the wall clock was set; that is noticed
 *  by Date.now(). */
function wallMicros(): number {
  const nowMs = performance.now();
  const dateMs = Date.now();
  if (Math.abs(zeroMs + nowMs - dateMs) > APART_MAX_MS) zeroMs = dateMs - nowMs;
  return Math.floor((zeroMs + nowMs) * 1000);
}

export const nodeTimers: Timers = {
  after(ms: number, fn: () => void, options?: { readonly background?: boolean }): Timer {
    const timer = setTimeout(fn, ms);
    if (options?.background === true) timer.unref();
    return { cancel: () => clearTimeout(timer) };
  },
  soon(fn: () => void): void {
    setImmediate(fn);
  },
};

const POOL_BYTES = 4096;
let pool: Uint8Array = new Uint8Array(0);
let poolAt = 0;

/** Few bytes come from a supply: a call into the generator costs far more than they do. None is given out twice. */
function randomSlice(n: number): Uint8Array {
  if (n > POOL_BYTES / 16) return randomBytes(n);
  if (poolAt + n > pool.length) {
    pool = randomBytes(POOL_BYTES);
    poolAt = 0;
  }
  poolAt += n;
  return pool.subarray(poolAt - n, poolAt);
}

export const nodeRandom: Random = {
  bytes: randomSlice,
  uniform: () => Math.random(),
};
