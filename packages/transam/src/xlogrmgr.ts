/**
 * Bodies of records that concern no page of a relation: resource managers XLOG, SMGR, CLOG, Standby.
 * Info values and layouts are PostgreSQL 15's.
 */
import type { ForkNumber, Oid, RelFileNode, TransactionId } from '@pgtroupe/common/ids';

// ---- XLOG ------------------------------------------------------------------------------------------
export const XLOG_CHECKPOINT_SHUTDOWN = 0x00;
export const XLOG_CHECKPOINT_ONLINE = 0x10;
export const XLOG_NOOP = 0x20;
export const XLOG_NEXTOID = 0x30;
export const XLOG_SWITCH = 0x40;
export const XLOG_BACKUP_END = 0x50;
export const XLOG_PARAMETER_CHANGE = 0x60;
export const XLOG_RESTORE_POINT = 0x70;
export const XLOG_FPW_CHANGE = 0x80;
export const XLOG_END_OF_RECOVERY = 0x90;
export const XLOG_FPI_FOR_HINT = 0xa0;
export const XLOG_FPI = 0xb0;
export const XLOG_OVERWRITE_CONTRECORD = 0xd0;

/** OIDs are logged this many at a time, so that a crash skips but never repeats. */
export const VAR_OID_PREFETCH = 8192;

/** `u32 nextOid` */
export function encodeNextOid(nextOid: Oid): Uint8Array {
  return u32s(nextOid);
}

// ---- SMGR ------------------------------------------------------------------------------------------
export const XLOG_SMGR_CREATE = 0x10;
export const XLOG_SMGR_TRUNCATE = 0x20;
export const SMGR_TRUNCATE_HEAP = 0x0001;
export const SMGR_TRUNCATE_VM = 0x0002;
export const SMGR_TRUNCATE_FSM = 0x0004;
export const SMGR_TRUNCATE_ALL = 0x0007;

/** `RelFileNode, i32 forkNum` */
export function encodeSmgrCreate(rnode: RelFileNode, fork: ForkNumber): Uint8Array {
  return u32s(rnode.spcNode, rnode.dbNode, rnode.relNode, fork);
}

export function decodeSmgrCreate(
  view: DataView,
  at: number,
): { readonly rnode: RelFileNode; readonly fork: ForkNumber } {
  return { rnode: rnodeAt(view, at), fork: view.getUint32(at + 12, true) as ForkNumber };
}

/** `u32 blkno, RelFileNode, i32 flags` */
export function encodeSmgrTruncate(rnode: RelFileNode, blocks: number, flags: number): Uint8Array {
  return u32s(blocks, rnode.spcNode, rnode.dbNode, rnode.relNode, flags);
}

export function decodeSmgrTruncate(
  view: DataView,
  at: number,
): { readonly rnode: RelFileNode; readonly blocks: number; readonly flags: number } {
  return { blocks: view.getUint32(at, true), rnode: rnodeAt(view, at + 4), flags: view.getUint32(at + 16, true) };
}

// ---- CLOG ------------------------------------------------------------------------------------------
export const CLOG_ZEROPAGE = 0x00;
export const CLOG_TRUNCATE = 0x10;

/** `i32 pageno` */
export function encodeClogZeroPage(pageno: number): Uint8Array {
  return u32s(pageno);
}

/** `i32 pageno, u32 oldestXact, u32 oldestXactDb`: no table holds an id before oldestXact. */
export function encodeClogTruncate(pageno: number, oldestXact: TransactionId, oldestXactDb: Oid): Uint8Array {
  return u32s(pageno, oldestXact, oldestXactDb);
}

export function decodeClogTruncate(
  view: DataView,
  at: number,
): { readonly oldestXact: TransactionId; readonly oldestXactDb: Oid } {
  return {
    oldestXact: view.getUint32(at + 4, true) as TransactionId,
    oldestXactDb: view.getUint32(at + 8, true) as Oid,
  };
}

// ---- Standby ---------------------------------------------------------------------------------------
export const XLOG_STANDBY_LOCK = 0x00;
export const XLOG_RUNNING_XACTS = 0x10;
export const XLOG_INVALIDATIONS = 0x20;

/** `i32 xcnt, i32 subxcnt, bool subxid_overflow +3, u32 nextXid, u32 oldestRunningXid,
 *  u32 latestCompletedXid, u32 xids[]` */
export function encodeRunningXacts(running: {
  readonly nextXid: TransactionId;
  readonly oldestRunningXid: TransactionId;
  readonly latestCompletedXid: TransactionId;
  readonly xids: readonly number[];
}): Uint8Array {
  return u32s(
    running.xids.length,
    0,
    0,
    running.nextXid,
    running.oldestRunningXid,
    running.latestCompletedXid,
    ...running.xids,
  );
}

function rnodeAt(view: DataView, at: number): RelFileNode {
  return {
    spcNode: view.getUint32(at, true) as Oid,
    dbNode: view.getUint32(at + 4, true) as Oid,
    relNode: view.getUint32(at + 8, true) as Oid,
  };
}

function u32s(...values: number[]): Uint8Array {
  const bytes = new Uint8Array(4 * values.length);
  const view = new DataView(bytes.buffer);
  values.forEach((value, i) => view.setUint32(4 * i, value, true));
  return bytes;
}
