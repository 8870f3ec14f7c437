/**
 * The body of a checkpoint record, which pg_control also carries (catalog/pg_control.h):
 *
 *      0  redo              u64       40  multiOffset        u32
 *      8  ThisTimeLineID    u32       44  oldestXid          u32
 *     12  PrevTimeLineID    u32       48  oldestXidDB        u32
 *     16  fullPageWrites    u8 +3     52  oldestMulti        u32
 *     20  padding           u32       56  oldestMultiDB      u32
 *     24  nextXid           u64       60  padding            u32
 *     32  nextOid           u32       64  time (Unix)        i64
 *     36  nextMulti         u32       72  oldestCommitTsXid  u32
 *                                     76  newestCommitTsXid  u32
 *                                     80  oldestActiveXid    u32 +4
 */
import type { FullTransactionId, Oid, TimeLineID, TransactionId, XLogRecPtr } from '@pgtroupe/common/ids';

export const SIZE_OF_CHECKPOINT = 88;

export interface CheckPoint {
  readonly redo: XLogRecPtr;
  readonly thisTimeLineID: TimeLineID;
  readonly prevTimeLineID: TimeLineID;
  readonly fullPageWrites: boolean;
  readonly nextXid: FullTransactionId;
  readonly nextOid: Oid;
  readonly nextMulti: number;
  readonly nextMultiOffset: number;
  readonly oldestXid: TransactionId;
  readonly oldestXidDB: Oid;
  readonly oldestMulti: number;
  readonly oldestMultiDB: Oid;
  /** Seconds since 1970. */
  readonly time: number;
  readonly oldestCommitTsXid: TransactionId;
  readonly newestCommitTsXid: TransactionId;
  /** 0 unless online with wal_level replica. */
  readonly oldestActiveXid: TransactionId;
}

export function encodeCheckPoint(c: CheckPoint): Uint8Array {
  const bytes = new Uint8Array(SIZE_OF_CHECKPOINT);
  const view = new DataView(bytes.buffer);
  putU64(view, 0, c.redo);
  view.setUint32(8, c.thisTimeLineID, true);
  view.setUint32(12, c.prevTimeLineID, true);
  bytes[16] = c.fullPageWrites ? 1 : 0;
  putU64(view, 24, c.nextXid);
  view.setUint32(32, c.nextOid, true);
  view.setUint32(36, c.nextMulti, true);
  view.setUint32(40, c.nextMultiOffset, true);
  view.setUint32(44, c.oldestXid, true);
  view.setUint32(48, c.oldestXidDB, true);
  view.setUint32(52, c.oldestMulti, true);
  view.setUint32(56, c.oldestMultiDB, true);
  putU64(view, 64, c.time);
  view.setUint32(72, c.oldestCommitTsXid, true);
  view.setUint32(76, c.newestCommitTsXid, true);
  view.setUint32(80, c.oldestActiveXid, true);
  return bytes;
}

export function decodeCheckPoint(bytes: Uint8Array, at = 0): CheckPoint {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, SIZE_OF_CHECKPOINT);
  return {
    redo: getU64(view, 0) as XLogRecPtr,
    thisTimeLineID: view.getUint32(8, true) as TimeLineID,
    prevTimeLineID: view.getUint32(12, true) as TimeLineID,
    fullPageWrites: view.getUint8(16) !== 0,
    nextXid: getU64(view, 24) as FullTransactionId,
    nextOid: view.getUint32(32, true) as Oid,
    nextMulti: view.getUint32(36, true),
    nextMultiOffset: view.getUint32(40, true),
    oldestXid: view.getUint32(44, true) as TransactionId,
    oldestXidDB: view.getUint32(48, true) as Oid,
    oldestMulti: view.getUint32(52, true),
    oldestMultiDB: view.getUint32(56, true) as Oid,
    time: getU64(view, 64),
    oldestCommitTsXid: view.getUint32(72, true) as TransactionId,
    newestCommitTsXid: view.getUint32(76, true) as TransactionId,
    oldestActiveXid: view.getUint32(80, true) as TransactionId,
  };
}

function putU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true);
  view.setUint32(at + 4, Math.floor(value / 0x100000000), true);
}

function getU64(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * 0x100000000 + view.getUint32(at, true);
}
