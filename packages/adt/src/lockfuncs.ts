/**
 * Advisory locks (lockfuncs.c). Keys are one bigint or two integers, of the session's database.
 *
 * A lock is asked for and awaited as everywhere in expressions: CatalogMiss with the work inside, and the call is
 * evaluated again. What came of it waits meanwhile in the call site, marked with what it was for: a statement that is
 * cancelled in between must not leave its lock's answer to the next one.
 */
import { CatalogMiss } from '@pgtroupe/catalog/catalogmiss';
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { notSupported } from '@pgtroupe/common/ereport';
import { EXCLUSIVE_LOCK, LOCKTAG_ADVISORY, type LockTag, SHARE_LOCK } from '@pgtroupe/storage/lmgr/locktag';
import type { FunctionCall, FunctionTable } from './fmgr.ts';

/** A session's advisory locks (SessionSettings.advisoryLocks). */
export interface AdvisoryLocks {
  /** Resolves when it is held: until the transaction's end, or `session` long (each call counts). False: somebody
   *  is in the way and `nowait` is set. */
  acquire(tag: LockTag, mode: number, how: { readonly session: boolean; readonly nowait: boolean }): Promise<boolean>;
  /** Gives back one of the session's. False: it has none. */
  release(tag: LockTag, mode: number): boolean;
  releaseAll(): void;
}

type Integer = number | bigint;

function locks(fc: FunctionCall): AdvisoryLocks {
  const found = fc.settings.advisoryLocks;
  if (found === undefined) throw notSupported('an advisory lock here');
  return found;
}

/** SET_LOCKTAG_INT64 and SET_LOCKTAG_INT32: the last field tells them apart. */
function tagOf(fc: FunctionCall, keys: readonly Integer[]): LockTag {
  const tag = { locktype: LOCKTAG_ADVISORY, f1: fc.settings.databaseId as number };
  if (keys.length === 2) return { ...tag, f2: Number(keys[0]) >>> 0, f3: Number(keys[1]) >>> 0, f4: 2 };
  const key = BigInt.asUintN(64, BigInt(keys[0]!));
  return { ...tag, f2: Number(key >> 32n), f3: Number(key & 0xffffffffn), f4: 1 };
}

interface Answer {
  readonly statement: number;
  readonly tag: LockTag;
  readonly got: boolean;
}

function sameTag(a: LockTag, b: LockTag): boolean {
  return a.f1 === b.f1 && a.f2 === b.f2 && a.f3 === b.f3 && a.f4 === b.f4;
}

function acquire(mode: number, session: boolean, nowait: boolean) {
  return (fc: FunctionCall, ...keys: Integer[]): Datum => {
    const tag = tagOf(fc, keys);
    const { statementTimestamp: statement } = fc.settings;
    const answer = fc.extra as Answer | undefined;
    fc.extra = undefined;
    if (answer?.statement === statement && sameTag(answer.tag, tag)) return nowait ? answer.got : null;
    const held = locks(fc);
    throw new CatalogMiss(async () => {
      const got = await held.acquire(tag, mode, { session, nowait });
      fc.extra = { statement, tag, got } satisfies Answer;
    });
  };
}

function release(mode: number, modeName: string) {
  return (fc: FunctionCall, ...keys: Integer[]): Datum => {
    const released = locks(fc).release(tagOf(fc, keys), mode);
    if (!released) fc.settings.warn?.(ERRCODE.WARNING, `you don't own a lock of type ${modeName}`);
    return released;
  };
}

const unlock = release(EXCLUSIVE_LOCK, 'ExclusiveLock');
const unlockShared = release(SHARE_LOCK, 'ShareLock');

const variants = {
  pg_advisory_lock: acquire(EXCLUSIVE_LOCK, true, false),
  pg_advisory_lock_shared: acquire(SHARE_LOCK, true, false),
  pg_advisory_xact_lock: acquire(EXCLUSIVE_LOCK, false, false),
  pg_advisory_xact_lock_shared: acquire(SHARE_LOCK, false, false),
  pg_try_advisory_lock: acquire(EXCLUSIVE_LOCK, true, true),
  pg_try_advisory_lock_shared: acquire(SHARE_LOCK, true, true),
  pg_try_advisory_xact_lock: acquire(EXCLUSIVE_LOCK, false, true),
  pg_try_advisory_xact_lock_shared: acquire(SHARE_LOCK, false, true),
  pg_advisory_unlock: unlock,
  pg_advisory_unlock_shared: unlockShared,
};

export const lockFunctions: FunctionTable = {
  ...Object.fromEntries(Object.entries(variants).map(([name, fn]) => [`${name}_int8`, fn])),
  ...Object.fromEntries(Object.entries(variants).map(([name, fn]) => [`${name}_int4`, fn])),
  pg_advisory_unlock_all: (fc: FunctionCall) => {
    locks(fc).releaseAll();
    return null;
  },
};
