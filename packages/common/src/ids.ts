/**
 * Branded identifiers. A block number is not an offset and an LSN is not a transaction id;
 * the brands make the compiler say so. All are plain JavaScript numbers at run time.
 *
 * 64-bit quantities (LSN, full transaction id) are numbers too: 2^53 bytes of WAL are nine
 * petabytes, which no cluster of ours reaches, and a BigInt would allocate on every use.
 */
declare const brand: unique symbol;
type Brand<T, B extends string> = T & { readonly [brand]: B };

/** Object identifier, unsigned 32 bits. */
export type Oid = Brand<number, 'Oid'>;
/** 32-bit transaction id as stored in tuples. 0 invalid, 1 bootstrap, 2 frozen, 3 first normal. */
export type TransactionId = Brand<number, 'TransactionId'>;
/** Epoch * 2^32 + xid: never wraps. What the wire and the caches use. */
export type FullTransactionId = Brand<number, 'FullTransactionId'>;
/** Command counter within one transaction. */
export type CommandId = Brand<number, 'CommandId'>;
/** Byte position in the WAL stream. 0 is invalid. */
export type XLogRecPtr = Brand<number, 'XLogRecPtr'>;
export type TimeLineID = Brand<number, 'TimeLineID'>;
/** 0-based page number within one fork. */
export type BlockNumber = Brand<number, 'BlockNumber'>;
/** 1-based line pointer number within one page. */
export type OffsetNumber = Brand<number, 'OffsetNumber'>;

export const BLCKSZ = 8192;
/** Blocks in one 1 GB segment file of a fork. */
export const RELSEG_SIZE = 131072;
export const INVALID_OID = 0 as Oid;
/** Objects that users make have OIDs from here on. */
export const FIRST_NORMAL_OBJECT_ID = 16384 as Oid;
export const INVALID_BLOCK_NUMBER = 0xffffffff as BlockNumber;
export const INVALID_XLOG_REC_PTR = 0 as XLogRecPtr;
export const INVALID_TRANSACTION_ID = 0 as TransactionId;
export const BOOTSTRAP_TRANSACTION_ID = 1 as TransactionId;
export const FROZEN_TRANSACTION_ID = 2 as TransactionId;
export const FIRST_NORMAL_TRANSACTION_ID = 3 as TransactionId;

/** Fork of a relation; the number is part of the WAL format. */
export type ForkNumber = 0 | 1 | 2 | 3;
export const MAIN_FORKNUM = 0;
export const FSM_FORKNUM = 1;
export const VISIBILITYMAP_FORKNUM = 2;
export const INIT_FORKNUM = 3;

/** Which file set a relation's storage is: PostgreSQL's RelFileNode. */
export interface RelFileNode {
  readonly spcNode: Oid;
  /** 0 for shared relations. */
  readonly dbNode: Oid;
  readonly relNode: Oid;
}

/** `1663/5/16384`, the form PostgreSQL's messages use. */
export function formatRelFileNode(r: RelFileNode): string {
  return `${r.spcNode}/${r.dbNode}/${r.relNode}`;
}

/** `16/B374D848`. */
export function formatLsn(lsn: XLogRecPtr): string {
  return `${Math.floor(lsn / 0x100000000)
    .toString(16)
    .toUpperCase()}/${(lsn >>> 0).toString(16).toUpperCase()}`;
}

/** PostgreSQL's modulo-2^32 comparison: true when `a` is older than `b`. Special xids are oldest. */
export function transactionIdPrecedes(a: TransactionId, b: TransactionId): boolean {
  if (a < FIRST_NORMAL_TRANSACTION_ID || b < FIRST_NORMAL_TRANSACTION_ID) return a < b;
  return ((a - b) | 0) < 0;
}

/** The 32 bits of a full transaction id that tuples store. */
export function xidFromFull(fxid: FullTransactionId): TransactionId {
  return (fxid % 0x100000000) as TransactionId;
}

/** Widens a tuple's xid, which must lie within 2^31 of `near`. */
export function fullFromXid(xid: TransactionId, near: FullTransactionId): FullTransactionId {
  if (xid < FIRST_NORMAL_TRANSACTION_ID) return xid as number as FullTransactionId;
  return (near + ((xid - xidFromFull(near)) | 0)) as FullTransactionId;
}

/** Rounds up to PostgreSQL's MAXALIGN of 8 bytes. */
export function maxAlign(n: number): number {
  return (n + 7) & ~7;
}
