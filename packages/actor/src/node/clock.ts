/** Clock, timers and randomness of a real process. */
import { randomBytes } from 'node:crypto';
import type { Clock, Random, Timer, Timers } from '../env.ts';

export const nodeClock: Clock = {
  nowMs: () => performance.now(),
  startedMs: 0,
  // timeOrigin + now() would drift from the wall clock; Date.now() has only milliseconds, which is
  // what users of now() see rounded. The fraction comes from the monotonic clock.
  wallMicros: () => Date.now() * 1000 + Math.floor((performance.now() % 1) * 1000),
};

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
