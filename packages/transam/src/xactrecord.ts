/**
 * Bodies of commit and abort records (access/xact.h). Chunks in this order, each only if its bit in
 * xinfo is set; xinfo itself only if XLOG_XACT_HAS_INFO is set in xl_info:
 *
 *   i64 xact_time (microseconds since 2000-01-01)
 *   u32 xinfo
 *   dbinfo        u32 dbId, u32 tsId
 *   subxacts      i32 n, u32 xid[n]
 *   relfilenodes  i32 n, RelFileNode[n]                  files to unlink
 *   stats items   i32 n, (i32 kind, u32 dboid, u32 objoid)[n]
 *   invals        i32 n, 16-byte SharedInvalidationMessage[n]      commit only
 *   twophase      u32 xid, then gid\0 with its own bit
 *   origin        u64 lsn, i64 timestamp, unaligned
 */
import { POSTGRES_EPOCH_MICROS } from '@pgtroupe/common/epoch';
import type { Oid, RelFileNode, TransactionId } from '@pgtroupe/common/ids';
import type { XLogInserter } from './xloginsert.ts';
import { type XLogRecord, XLR_SPECIAL_REL_UPDATE } from './xlogrecord.ts';

export const XLOG_XACT_COMMIT = 0x00;
export const XLOG_XACT_PREPARE = 0x10;
export const XLOG_XACT_ABORT = 0x20;
export const XLOG_XACT_COMMIT_PREPARED = 0x30;
export const XLOG_XACT_ABORT_PREPARED = 0x40;
export const XLOG_XACT_ASSIGNMENT = 0x50;
export const XLOG_XACT_INVALIDATIONS = 0x60;
export const XLOG_XACT_OPMASK = 0x70;
export const XLOG_XACT_HAS_INFO = 0x80;

const XACT_XINFO_HAS_DBINFO = 1 << 0;
const XACT_XINFO_HAS_SUBXACTS = 1 << 1;
const XACT_XINFO_HAS_RELFILENODES = 1 << 2;
const XACT_XINFO_HAS_TWOPHASE = 1 << 4;
const XACT_XINFO_HAS_DROPPED_STATS = 1 << 8;
const XACT_XINFO_HAS_INVALS = 1 << 3;

export interface XactEndFields {
  /** Microseconds since 1970. */
  readonly wallMicros: number;
  readonly children: readonly TransactionId[];
  readonly drops?: readonly RelFileNode[];
}

/** Puts the body of a commit record into the inserter. Returns xl_info. */
export function encodeXactCommit(wal: XLogInserter, fields: XactEndFields & { readonly database: Oid }): number {
  return encodeXactEnd(wal, XLOG_XACT_COMMIT, fields);
}

/** Puts the body of an abort record into the inserter. Returns xl_info. */
export function encodeXactAbort(wal: XLogInserter, fields: XactEndFields): number {
  return encodeXactEnd(wal, XLOG_XACT_ABORT, fields);
}

function encodeXactEnd(wal: XLogInserter, operation: number, fields: XactEndFields): number {
  const body = xactEndBody(fields);
  wal.begin();
  wal.data(body, 0, body.length);
  return operation | xactEndInfo(fields);
}

/** The part of xl_info that says what the body holds. */
export function xactEndInfo({ children, drops = [] }: XactEndFields): number {
  return (
    (children.length > 0 || drops.length > 0 ? XLOG_XACT_HAS_INFO : 0) | (drops.length > 0 ? XLR_SPECIAL_REL_UPDATE : 0)
  );
}

export function xactEndBody({ wallMicros, children, drops = [] }: XactEndFields): Uint8Array {
  const xinfo =
    (children.length > 0 ? XACT_XINFO_HAS_SUBXACTS : 0) | (drops.length > 0 ? XACT_XINFO_HAS_RELFILENODES : 0);
  const length =
    8 +
    (xinfo === 0 ? 0 : 4) +
    (children.length === 0 ? 0 : 4 + 4 * children.length) +
    (drops.length === 0 ? 0 : 4 + 12 * drops.length);
  const body = new Uint8Array(length);
  const view = new DataView(body.buffer);
  const time = wallMicros - POSTGRES_EPOCH_MICROS;
  view.setUint32(0, time >>> 0, true);
  view.setInt32(4, Math.floor(time / 0x100000000), true);
  let at = 8;
  const put = (value: number): void => {
    view.setUint32(at, value, true);
    at += 4;
  };
  if (xinfo !== 0) put(xinfo);
  if (children.length > 0) {
    put(children.length);
    for (const xid of children) put(xid);
  }
  if (drops.length > 0) {
    put(drops.length);
    for (const rel of drops) {
      put(rel.spcNode);
      put(rel.dbNode);
      put(rel.relNode);
    }
  }
  return body;
}

export interface XactEnd {
  readonly xid: TransactionId;
  readonly children: readonly TransactionId[];
  readonly drops: readonly RelFileNode[];
}

/** What redo needs of a commit or abort record, prepared transactions' included. */
export function decodeXactEnd(record: XLogRecord): XactEnd {
  const { view } = record;
  let at = record.mainAt + 8;
  const get = (): number => {
    at += 4;
    return view.getUint32(at - 4, true);
  };
  const xinfo = (record.info & XLOG_XACT_HAS_INFO) !== 0 ? get() : 0;
  let xid = record.xid;
  const children: TransactionId[] = [];
  const drops: RelFileNode[] = [];
  if ((xinfo & XACT_XINFO_HAS_DBINFO) !== 0) at += 8;
  if ((xinfo & XACT_XINFO_HAS_SUBXACTS) !== 0) {
    for (let n = get(); n > 0; n--) children.push(get() as TransactionId);
  }
  if ((xinfo & XACT_XINFO_HAS_RELFILENODES) !== 0) {
    for (let n = get(); n > 0; n--) {
      drops.push({ spcNode: get() as Oid, dbNode: get() as Oid, relNode: get() as Oid });
    }
  }
  if ((xinfo & XACT_XINFO_HAS_DROPPED_STATS) !== 0) at += 12 * get();
  if ((xinfo & XACT_XINFO_HAS_INVALS) !== 0) at += 16 * get();
  if ((xinfo & XACT_XINFO_HAS_TWOPHASE) !== 0) xid = get() as TransactionId;
  return { xid, children, drops };
}
