/**
 * Heavyweight lock modes and tags, with PostgreSQL's numbers (storage/lockdefs.h, lock.h).
 */
import { FIRST_NORMAL_OBJECT_ID, type FullTransactionId, type Oid } from '@pgtroupe/common/ids';

export const ACCESS_SHARE_LOCK = 1;
export const ROW_SHARE_LOCK = 2;
export const ROW_EXCLUSIVE_LOCK = 3;
export const SHARE_UPDATE_EXCLUSIVE_LOCK = 4;
export const SHARE_LOCK = 5;
export const SHARE_ROW_EXCLUSIVE_LOCK = 6;
export const EXCLUSIVE_LOCK = 7;
export const ACCESS_EXCLUSIVE_LOCK = 8;

/** LockTagType. */
export const LOCKTAG_RELATION = 0;
export const LOCKTAG_RELATION_EXTEND = 1;
export const LOCKTAG_DATABASE_FROZEN_IDS = 2;
export const LOCKTAG_PAGE = 3;
export const LOCKTAG_TUPLE = 4;
export const LOCKTAG_TRANSACTION = 5;
export const LOCKTAG_VIRTUALTRANSACTION = 6;
export const LOCKTAG_SPECULATIVE_TOKEN = 7;
export const LOCKTAG_OBJECT = 8;
export const LOCKTAG_USERLOCK = 9;
export const LOCKTAG_ADVISORY = 10;

export interface LockTag {
  readonly locktype: number;
  readonly f1: number;
  readonly f2: number;
  readonly f3: number;
  readonly f4: number;
}

/** Relations of no database, with their indexes and TOAST tables (IsSharedRelation). */
const SHARED_RELATIONS: ReadonlySet<number> = new Set([
  ...[1213, 1214, 1232, 1233, 1260, 1261, 1262, 2396, 2397, 2671, 2672, 2676, 2677, 2694, 2695, 2697, 2698, 2846, 2847],
  ...[2964, 2965, 2966, 2967, 3592, 3593, 4060, 4061, 4175, 4176, 4177, 4178, 4181, 4182, 4183, 4184, 4185, 4186],
  ...[6000, 6001, 6002, 6100, 6114, 6115, 6243, 6244, 6245, 6246, 6247],
]);

/** Who locks a shared relation must meet those who do in other databases: 0. */
export function lockedDatabase(db: Oid, rel: Oid): Oid {
  return rel < FIRST_NORMAL_OBJECT_ID && SHARED_RELATIONS.has(rel) ? (0 as Oid) : db;
}

export function relationTag(db: Oid, rel: Oid): LockTag {
  return { locktype: LOCKTAG_RELATION, f1: lockedDatabase(db, rel), f2: rel, f3: 0, f4: 0 };
}

/** A row, while somebody waits for it. `db` 0: of a catalog of all databases. */
export function tupleTag(db: Oid, rel: Oid, blk: number, off: number): LockTag {
  return { locktype: LOCKTAG_TUPLE, f1: db, f2: rel, f3: blk, f4: off };
}

/** Anything but a relation, by its class; `db` 0: of all databases. */
export function objectTag(db: Oid, classId: Oid, objectId: Oid): LockTag {
  return { locktype: LOCKTAG_OBJECT, f1: db, f2: classId, f3: objectId, f4: 0 };
}

/** The lock every running transaction holds on itself; f2 carries the epoch. */
export function transactionTag(fxid: FullTransactionId): LockTag {
  return { locktype: LOCKTAG_TRANSACTION, f1: fxid >>> 0, f2: Math.floor(fxid / 0x100000000), f3: 0, f4: 0 };
}

/** Modes that conflict with none of each other: what an instance may grant by itself. */
export function isWeakMode(mode: number): boolean {
  return mode <= ROW_EXCLUSIVE_LOCK;
}
