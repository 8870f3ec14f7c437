/** Locks as pg_locks shows them, on their way from who grants them: the lock table, and instances that grant by themselves. */
import type { LockTag } from './locktag.ts';

export interface LockStatus {
  /** Who holds it or waits for it. */
  readonly pid: number;
  readonly tag: LockTag;
  readonly mode: number;
  readonly granted: boolean;
  readonly fastpath: boolean;
  /** Since when it waits, in microseconds since 1970; absent where it does not. */
  readonly waitStart?: number | undefined;
}

/** LockTagTypeNames, by locktype. */
export const LOCK_TYPE_NAMES = [
  'relation',
  'extend',
  'frozenid',
  'page',
  'tuple',
  'transactionid',
  'virtualxid',
  'spectoken',
  'object',
  'userlock',
  'advisory',
] as const;
