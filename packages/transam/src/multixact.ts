/**
 * pg_multixact: sets of transactions that hold a tuple together. Page arithmetic and WAL records, as
 * multixact.c has them. Two SLRUs of 8 kB pages, 32 to a segment file:
 *
 *   pg_multixact/offsets   u32 per multixact id: where its members begin; 2048 to a page. A multixact
 *                          ends where the next one begins, so that one's entry is written with it.
 *   pg_multixact/members   groups of four: u8 status ×4, u32 xid ×4; 409 groups to a page, 12 bytes unused
 *
 * Offset 0 is never the beginning of a multixact; id 0 is none.
 */
import type { Oid, TransactionId } from '@pgtroupe/common/ids';

export type MultiXactId = number;
export const INVALID_MULTI_XACT_ID = 0;
export const FIRST_MULTI_XACT_ID = 1;

/** MultiXactStatus: what a member does with the tuple. */
export const MULTI_XACT_STATUS_FOR_KEY_SHARE = 0;
export const MULTI_XACT_STATUS_FOR_SHARE = 1;
export const MULTI_XACT_STATUS_FOR_NO_KEY_UPDATE = 2;
export const MULTI_XACT_STATUS_FOR_UPDATE = 3;
/** An update that leaves the key alone. */
export const MULTI_XACT_STATUS_NO_KEY_UPDATE = 4;
/** Any other update, and DELETE. */
export const MULTI_XACT_STATUS_UPDATE = 5;
export type MultiXactStatus = 0 | 1 | 2 | 3 | 4 | 5;

export interface MultiXactMember {
  readonly xid: TransactionId;
  readonly status: MultiXactStatus;
}

export function isUpdateStatus(status: MultiXactStatus): boolean {
  return status >= MULTI_XACT_STATUS_NO_KEY_UPDATE;
}

/** Is `a` older than `b`, modulo 2^32? */
export function multiXactIdPrecedes(a: MultiXactId, b: MultiXactId): boolean {
  return ((a - b) | 0) < 0;
}

export function nextMultiXactId(multi: MultiXactId): MultiXactId {
  return multi >= 0xffffffff ? FIRST_MULTI_XACT_ID : multi + 1;
}

// ---- offsets ---------------------------------------------------------------------------------------

export const MULTIXACT_OFFSETS_FOLDER = 'pg_multixact/offsets';
export const MULTIXACT_OFFSETS_PER_PAGE = 2048;

export function multiXactIdToOffsetPage(multi: MultiXactId): number {
  return Math.floor(multi / MULTIXACT_OFFSETS_PER_PAGE);
}

export function multiXactIdToOffsetEntry(multi: MultiXactId): number {
  return multi % MULTIXACT_OFFSETS_PER_PAGE;
}

// ---- members ---------------------------------------------------------------------------------------

export const MULTIXACT_MEMBERS_FOLDER = 'pg_multixact/members';
const MEMBERS_PER_GROUP = 4;
const GROUP_BYTES = 20;
const GROUPS_PER_PAGE = 409;
export const MULTIXACT_MEMBERS_PER_PAGE = MEMBERS_PER_GROUP * GROUPS_PER_PAGE;

export function mxOffsetToMemberPage(offset: number): number {
  return Math.floor(offset / MULTIXACT_MEMBERS_PER_PAGE);
}

/** Byte of the member's status in its page. */
export function mxOffsetToStatus(offset: number): number {
  return (Math.floor(offset / MEMBERS_PER_GROUP) % GROUPS_PER_PAGE) * GROUP_BYTES + (offset % MEMBERS_PER_GROUP);
}

/** Byte of the member's xid in its page. */
export function mxOffsetToXid(offset: number): number {
  const group = (Math.floor(offset / MEMBERS_PER_GROUP) % GROUPS_PER_PAGE) * GROUP_BYTES;
  return group + MEMBERS_PER_GROUP + (offset % MEMBERS_PER_GROUP) * 4;
}

/** The offset `count` members on; 0 is stepped over, as GetNewMultiXactId does. */
export function advanceMxOffset(offset: number, count: number): number {
  return (offset + count) % 0x100000000 || 1;
}

// ---- WAL -------------------------------------------------------------------------------------------

export const XLOG_MULTIXACT_ZERO_OFF_PAGE = 0x00;
export const XLOG_MULTIXACT_ZERO_MEM_PAGE = 0x10;
export const XLOG_MULTIXACT_CREATE_ID = 0x20;
export const XLOG_MULTIXACT_TRUNCATE_ID = 0x30;

export interface MultiXactCreate {
  readonly mid: MultiXactId;
  readonly moff: number;
  readonly members: readonly MultiXactMember[];
}

/** `i32 pageno` */
export function encodeMultiXactZeroPage(pageno: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, pageno, true);
  return bytes;
}

/** `u32 mid, u32 moff, i32 nmembers, (u32 xid, i32 status)[]` */
export function encodeMultiXactCreate({ mid, moff, members }: MultiXactCreate): Uint8Array {
  const bytes = new Uint8Array(12 + 8 * members.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, mid, true);
  view.setUint32(4, moff, true);
  view.setUint32(8, members.length, true);
  members.forEach(({ xid, status }, i) => {
    view.setUint32(12 + 8 * i, xid, true);
    view.setUint32(16 + 8 * i, status, true);
  });
  return bytes;
}

export function decodeMultiXactCreate(view: DataView, at: number): MultiXactCreate {
  const count = view.getUint32(at + 8, true);
  return {
    mid: view.getUint32(at, true),
    moff: view.getUint32(at + 4, true),
    members: Array.from({ length: count }, (_, i) => ({
      xid: view.getUint32(at + 12 + 8 * i, true) as TransactionId,
      status: view.getUint32(at + 16 + 8 * i, true) as MultiXactStatus,
    })),
  };
}

/** What is cut off: multixacts [startTruncOff, endTruncOff), members [startTruncMemb, endTruncMemb). */
export interface MultiXactTruncate {
  readonly oldestMultiDB: Oid;
  readonly startTruncOff: MultiXactId;
  readonly endTruncOff: MultiXactId;
  readonly startTruncMemb: number;
  readonly endTruncMemb: number;
}

/** `Oid oldestMultiDB, u32 startTruncOff, endTruncOff, startTruncMemb, endTruncMemb` */
export function encodeMultiXactTruncate(t: MultiXactTruncate): Uint8Array {
  const bytes = new Uint8Array(20);
  const view = new DataView(bytes.buffer);
  [t.oldestMultiDB, t.startTruncOff, t.endTruncOff, t.startTruncMemb, t.endTruncMemb].forEach((value, i) =>
    view.setUint32(4 * i, value, true),
  );
  return bytes;
}

export function decodeMultiXactTruncate(view: DataView, at: number): MultiXactTruncate {
  const u32 = (i: number): number => view.getUint32(at + 4 * i, true);
  return {
    oldestMultiDB: u32(0) as Oid,
    startTruncOff: u32(1),
    endTruncOff: u32(2),
    startTruncMemb: u32(3),
    endTruncMemb: u32(4),
  };
}
