/** Clock, timers and randomness of a real process. */
import { randomBytes } from 'node:crypto';
import type { Clock, Random, Timer, Timers } from '../env.ts';

export const nodeClock: Clock = {
  nowMs: () => performance.now(),
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

export const nodeRandom: Random = {
  bytes: n => randomBytes(n),
  uniform: () => Math.random(),
};
