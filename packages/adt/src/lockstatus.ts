/**
 * pg_locks (lockfuncs.c). Locks are granted by the lock table and, weak ones of relations, by instances themselves (the
 * fast path); a lock that goes from one to the other while somebody asks is listed once.
 */
import { POSTGRES_EPOCH_MICROS } from '@pgtroupe/common/epoch';
import type { Datum } from '@pgtroupe/common/datum';
import { notSupported } from '@pgtroupe/common/ereport';
import { INT4OID } from '@pgtroupe/common/oids';
import { lockModeName } from '@pgtroupe/storage/lmgr/lock-modes';
import { LOCK_TYPE_NAMES, type LockStatus } from '@pgtroupe/storage/lmgr/lock-status';
import {
  LOCKTAG_DATABASE_FROZEN_IDS,
  LOCKTAG_PAGE,
  LOCKTAG_RELATION,
  LOCKTAG_RELATION_EXTEND,
  LOCKTAG_SPECULATIVE_TOKEN,
  LOCKTAG_TRANSACTION,
  LOCKTAG_TUPLE,
  LOCKTAG_VIRTUALTRANSACTION,
  type LockTag,
} from '@pgtroupe/storage/lmgr/locktag';
import { buildTextArray } from './arrayutils.ts';
import { ask } from './asking.ts';
import type { FunctionCall, FunctionTable, SetFunctionTable } from './fmgr.ts';
import { stringToText } from './mb/mbutils.ts';

export interface Locks {
  readonly locks: readonly LockStatus[];
  /** Of sessions in a transaction, by pid: how many they had with it. */
  readonly transactions: ReadonlyMap<number, number>;
}

/** Asked anew by each call. */
function locksOf(fc: FunctionCall): Locks {
  const { backends } = fc.settings;
  if (backends === undefined) throw notSupported('asking for locks here');
  return ask(fc, () => backends.locks());
}

/** database, relation, page, tuple, virtualxid, transactionid, classid, objid, objsubid */
function tagColumns({ locktype, f1, f2, f3, f4 }: LockTag): Datum[] {
  switch (locktype) {
    case LOCKTAG_RELATION:
    case LOCKTAG_RELATION_EXTEND:
      return [f1, f2, null, null, null, null, null, null, null];
    case LOCKTAG_DATABASE_FROZEN_IDS:
      return [f1, null, null, null, null, null, null, null, null];
    case LOCKTAG_PAGE:
      return [f1, f2, f3, null, null, null, null, null, null];
    case LOCKTAG_TUPLE:
      return [f1, f2, f3, f4, null, null, null, null, null];
    case LOCKTAG_TRANSACTION:
      return [null, null, null, null, null, f1, null, null, null];
    case LOCKTAG_VIRTUALTRANSACTION:
      return [null, null, null, null, stringToText(`${f1}/${f2}`), null, null, null, null];
    case LOCKTAG_SPECULATIVE_TOKEN:
      return [null, null, null, null, null, f1, null, f2, null];
    default:
      return [f1, null, null, null, null, null, f2, f3, f4];
  }
}

function row({ pid, tag, mode, granted, fastpath, waitStart }: LockStatus, lxid: number): Datum[] {
  return [
    stringToText(LOCK_TYPE_NAMES[tag.locktype] ?? 'unknown'),
    ...tagColumns(tag),
    stringToText(`${pid}/${lxid}`),
    pid,
    stringToText(lockModeName(mode)),
    granted,
    fastpath,
    waitStart === undefined ? null : waitStart - POSTGRES_EPOCH_MICROS,
  ];
}

function* lockRows({ locks, transactions }: Locks): Iterable<Datum[]> {
  const seen = new Set<string>();
  for (const lock of locks) {
    const { locktype, f1, f2, f3, f4 } = lock.tag;
    const key = `${lock.pid}/${lock.mode}/${lock.granted}/${locktype}/${f1}/${f2}/${f3}/${f4}`;
    if (seen.has(key)) continue;
    seen.add(key);
    yield row(lock, transactions.get(lock.pid) ?? 0);
  }
}

export const lockStatusFunctions: FunctionTable = {
  // Nobody waits for a safe snapshot: there is no SERIALIZABLE.
  pg_safe_snapshot_blocking_pids: () => buildTextArray([], INT4OID),
};

export const lockStatusSetFunctions: SetFunctionTable = {
  pg_lock_status: (fc: FunctionCall) => lockRows(locksOf(fc)),
};
