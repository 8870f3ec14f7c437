/**
 * What a session waits for, as pg_stat_activity names it: type and event of PostgreSQL (wait_event.h), of what comes next to
 * where it waits here.
 */
import { unreachable } from '@pgtroupe/common/assert';
import type { Want } from '@pgtroupe/storage/buffer/pages';
import { LOCK_TYPE_NAMES } from '@pgtroupe/storage/lmgr/lock-status';

export type WaitEvent =
  `${'Activity' | 'Client' | 'Extension' | 'IO' | 'IPC' | 'Lock' | 'LWLock' | 'Timeout'}/${string}`;

/** By locktype. */
export const LOCK_WAITS: readonly WaitEvent[] = LOCK_TYPE_NAMES.map(name => `Lock/${name}` as const);

/** What a synchronous attempt lacked. */
export function waitEventOf(want: Want): WaitEvent | undefined {
  switch (want.kind) {
    case 'page':
    case 'nblocks':
    case 'freePage':
      return 'IO/DataFileRead';
    case 'extend':
      return 'IO/DataFileExtend';
    case 'xids':
      return 'LWLock/XidGen';
    case 'clog':
      return 'IO/SLRURead';
    case 'xactWait':
      return want.tuple === undefined ? 'Lock/transactionid' : 'Lock/tuple';
    case 'await':
      return want.waitEvent;
    case 'none':
      return undefined;
    default:
      return unreachable(want);
  }
}
