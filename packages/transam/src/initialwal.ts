/**
 * What initdb writes: the first WAL segment, holding one shutdown checkpoint at 0/1000028, and the
 * control file that points at it. Pure: returns the bytes of both files.
 */
import {
  FIRST_NORMAL_TRANSACTION_ID,
  type FullTransactionId,
  INVALID_TRANSACTION_ID,
  type Oid,
  type TimeLineID,
  type TransactionId,
  type XLogRecPtr,
} from '@pgtroupe/common/ids';
import { type CheckPoint, encodeCheckPoint } from './checkpoint.ts';
import { type ControlFile, encodeControlFile, FIRST_NORMAL_UNLOGGED_LSN, WAL_LEVEL_REPLICA } from './pg_control.ts';
import { RM_XLOG_ID } from './rmgr.ts';
import { XLogBuffers } from './xlogbuffers.ts';
import { formRecord } from './xlogform.ts';
import { SIZE_OF_XLOG_LONG_PHD, XLOG_SEG_SIZE, xlogFileName } from './xlogpage.ts';
import { XLOG_CHECKPOINT_SHUTDOWN } from './xlogrmgr.ts';

const FIRST_TLI = 1 as TimeLineID;

export interface InitialWal {
  readonly systemIdentifier: bigint;
  /** Seconds since 1970. */
  readonly time: number;
  readonly nextXid: FullTransactionId;
  readonly nextOid: Oid;
  /** template1, which holds the oldest xids. */
  readonly oldestXidDB: Oid;
  /** 32 random bytes. */
  readonly nonce: Uint8Array;
}

export interface InitialFiles {
  /** Name below pg_wal, and its 16 MB. */
  readonly segmentName: string;
  readonly segment: Uint8Array;
  readonly controlFile: Uint8Array;
}

/** System identifier as PostgreSQL makes it: seconds, microseconds and 12 bits of the process id. */
export function makeSystemIdentifier(wallMicros: number, pid: number): bigint {
  const seconds = BigInt(Math.floor(wallMicros / 1_000_000));
  return (seconds << 32n) | (BigInt(wallMicros % 1_000_000) << 12n) | BigInt(pid & 0xfff);
}

export function initialFiles(initial: InitialWal): InitialFiles {
  const stream = { systemIdentifier: initial.systemIdentifier, tli: FIRST_TLI };
  const checkPoint = (XLOG_SEG_SIZE + SIZE_OF_XLOG_LONG_PHD) as XLogRecPtr;
  const body: CheckPoint = {
    redo: checkPoint,
    thisTimeLineID: FIRST_TLI,
    prevTimeLineID: FIRST_TLI,
    fullPageWrites: true,
    nextXid: initial.nextXid,
    nextOid: initial.nextOid,
    nextMulti: 1,
    nextMultiOffset: 0,
    oldestXid: FIRST_NORMAL_TRANSACTION_ID,
    oldestXidDB: initial.oldestXidDB,
    oldestMulti: 1,
    oldestMultiDB: initial.oldestXidDB,
    time: initial.time,
    oldestCommitTsXid: INVALID_TRANSACTION_ID,
    newestCommitTsXid: INVALID_TRANSACTION_ID,
    oldestActiveXid: INVALID_TRANSACTION_ID,
  };
  const buffers = new XLogBuffers(stream, XLOG_SEG_SIZE as XLogRecPtr, 0 as XLogRecPtr);
  const record = formRecord(RM_XLOG_ID, XLOG_CHECKPOINT_SHUTDOWN, 0 as TransactionId, encodeCheckPoint(body));
  buffers.insert(record, 0, record.length);
  const segment = new Uint8Array(XLOG_SEG_SIZE);
  for (const piece of buffers.pieces(XLOG_SEG_SIZE, buffers.end)) segment.set(piece.bytes, piece.pos - XLOG_SEG_SIZE);
  const control: ControlFile = {
    systemIdentifier: initial.systemIdentifier,
    state: 'shut down',
    time: initial.time,
    checkPoint,
    checkPointCopy: body,
    unloggedLSN: FIRST_NORMAL_UNLOGGED_LSN,
    minRecoveryPoint: 0 as XLogRecPtr,
    minRecoveryPointTLI: 0 as TimeLineID,
    walLevel: WAL_LEVEL_REPLICA,
    walLogHints: false,
    maxConnections: 100,
    maxWorkerProcesses: 8,
    maxWalSenders: 10,
    maxPreparedXacts: 0,
    maxLocksPerXact: 64,
    trackCommitTimestamp: false,
    dataChecksumVersion: 1,
    mockAuthenticationNonce: initial.nonce,
  };
  return { segmentName: xlogFileName(FIRST_TLI, 1), segment, controlFile: encodeControlFile(control) };
}
