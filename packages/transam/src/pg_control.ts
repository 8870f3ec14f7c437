/**
 * global/pg_control (catalog/pg_control.h): where recovery starts and what the cluster was made
 * with. 8192 bytes, of which the first 292 count, so that a write is one sector.
 *
 *      0  system_identifier        u64     172  wal_level              i32
 *      8  pg_control_version       u32     176  wal_log_hints          u8 +3
 *     12  catalog_version_no       u32     180  MaxConnections         i32
 *     16  state                    u32     184  max_worker_processes   i32
 *     24  time                     i64     188  max_wal_senders        i32
 *     32  checkPoint               u64     192  max_prepared_xacts     i32
 *     40  checkPointCopy      88 bytes     196  max_locks_per_xact     i32
 *    128  unloggedLSN              u64     200  track_commit_timestamp u8 +3
 *    136  minRecoveryPoint         u64     204  maxAlign               u32 = 8
 *    144  minRecoveryPointTLI      u32     208  floatFormat            f64 = 1234567
 *    152  backupStartPoint         u64     216  blcksz                 u32
 *    160  backupEndPoint           u64     220  relseg_size            u32
 *    168  backupEndRequired        u8 +3   224  xlog_blcksz            u32
 *                                          228  xlog_seg_size          u32
 *                                          232  nameDataLen            u32 = 64
 *                                          236  indexMaxKeys           u32 = 32
 *                                          240  toast_max_chunk_size   u32 = 1996
 *                                          244  loblksize              u32 = 2048
 *                                          248  float8ByVal            u8 +3
 *                                          252  data_checksum_version  u32
 *                                          256  mock_authentication_nonce [32]
 *                                          288  crc                    u32, over [0, 288)
 */
import { crc32c } from '@pgtroupe/common/crc32c';
import { BLCKSZ, RELSEG_SIZE, type TimeLineID, type XLogRecPtr } from '@pgtroupe/common/ids';
import { type CheckPoint, decodeCheckPoint, encodeCheckPoint } from './checkpoint.ts';
import { XLOG_BLCKSZ, XLOG_SEG_SIZE } from './xlogpage.ts';

export const PG_CONTROL_FILE = 'global/pg_control';
export const PG_CONTROL_FILE_SIZE = 8192;
export const PG_CONTROL_VERSION = 1300;
export const CATALOG_VERSION_NO = 202209061;
/** First unloggedLSN of a new cluster. */
export const FIRST_NORMAL_UNLOGGED_LSN = 1000 as XLogRecPtr;
const CRC_AT = 288;
const MAX_ALIGN = 8;
const FLOAT_FORMAT = 1234567.0;

/** DBState, in numerical order. */
const STATES = [
  'starting up',
  'shut down',
  'shut down in recovery',
  'shutting down',
  'in crash recovery',
  'in archive recovery',
  'in production',
] as const;
export type DBState = (typeof STATES)[number];

export const WAL_LEVEL_MINIMAL = 0;
export const WAL_LEVEL_REPLICA = 1;
export const WAL_LEVEL_LOGICAL = 2;

export interface ControlFile {
  readonly systemIdentifier: bigint;
  readonly state: DBState;
  /** Seconds since 1970 of the last update. */
  readonly time: number;
  /** Start of the last checkpoint record. */
  readonly checkPoint: XLogRecPtr;
  readonly checkPointCopy: CheckPoint;
  readonly unloggedLSN: XLogRecPtr;
  readonly minRecoveryPoint: XLogRecPtr;
  readonly minRecoveryPointTLI: TimeLineID;
  readonly walLevel: number;
  readonly walLogHints: boolean;
  readonly maxConnections: number;
  readonly maxWorkerProcesses: number;
  readonly maxWalSenders: number;
  readonly maxPreparedXacts: number;
  readonly maxLocksPerXact: number;
  readonly trackCommitTimestamp: boolean;
  readonly dataChecksumVersion: number;
  /** 32 bytes. */
  readonly mockAuthenticationNonce: Uint8Array;
}

export class ControlFileError extends Error {
  override readonly name = 'ControlFileError';
}

export function encodeControlFile(c: ControlFile): Uint8Array {
  const bytes = new Uint8Array(PG_CONTROL_FILE_SIZE);
  const view = new DataView(bytes.buffer);
  const u32 = (at: number, value: number): void => view.setUint32(at, value, true);
  const u64 = (at: number, value: number): void => view.setBigUint64(at, BigInt(value), true);
  view.setBigUint64(0, c.systemIdentifier, true);
  u32(8, PG_CONTROL_VERSION);
  u32(12, CATALOG_VERSION_NO);
  u32(16, STATES.indexOf(c.state));
  u64(24, c.time);
  u64(32, c.checkPoint);
  bytes.set(encodeCheckPoint(c.checkPointCopy), 40);
  u64(128, c.unloggedLSN);
  u64(136, c.minRecoveryPoint);
  u32(144, c.minRecoveryPointTLI);
  u32(172, c.walLevel);
  bytes[176] = c.walLogHints ? 1 : 0;
  u32(180, c.maxConnections);
  u32(184, c.maxWorkerProcesses);
  u32(188, c.maxWalSenders);
  u32(192, c.maxPreparedXacts);
  u32(196, c.maxLocksPerXact);
  bytes[200] = c.trackCommitTimestamp ? 1 : 0;
  u32(204, MAX_ALIGN);
  view.setFloat64(208, FLOAT_FORMAT, true);
  u32(216, BLCKSZ);
  u32(220, RELSEG_SIZE);
  u32(224, XLOG_BLCKSZ);
  u32(228, XLOG_SEG_SIZE);
  u32(232, 64);
  u32(236, 32);
  u32(240, 1996);
  u32(244, 2048);
  bytes[248] = 1;
  u32(252, c.dataChecksumVersion);
  bytes.set(c.mockAuthenticationNonce.subarray(0, 32), 256);
  u32(CRC_AT, crc32c(bytes, 0, CRC_AT));
  return bytes;
}

/** Throws ControlFileError when it is damaged or of a cluster built differently. */
export function decodeControlFile(bytes: Uint8Array): ControlFile {
  if (bytes.length < CRC_AT + 4)
    throw new ControlFileError(
      `could not read file "${PG_CONTROL_FILE}": read ${bytes.length} of ${PG_CONTROL_FILE_SIZE}`,
    );
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const u32 = (at: number): number => view.getUint32(at, true);
  const u64 = (at: number): number => Number(view.getBigUint64(at, true));
  if (u32(8) !== PG_CONTROL_VERSION) {
    throw new ControlFileError(
      `database files are incompatible with server: the cluster has PG_CONTROL_VERSION ${u32(8)}, the server needs ${PG_CONTROL_VERSION}`,
    );
  }
  if (u32(CRC_AT) !== crc32c(bytes, 0, CRC_AT)) throw new ControlFileError('incorrect checksum in control file');
  const required: readonly [number, number, string][] = [
    [12, CATALOG_VERSION_NO, 'CATALOG_VERSION_NO'],
    [204, MAX_ALIGN, 'MAXALIGN'],
    [216, BLCKSZ, 'BLCKSZ'],
    [220, RELSEG_SIZE, 'RELSEG_SIZE'],
    [224, XLOG_BLCKSZ, 'XLOG_BLCKSZ'],
    [228, XLOG_SEG_SIZE, 'wal_segment_size'],
    [232, 64, 'NAMEDATALEN'],
    [236, 32, 'INDEX_MAX_KEYS'],
    [240, 1996, 'TOAST_MAX_CHUNK_SIZE'],
    [244, 2048, 'LOBLKSIZE'],
  ];
  for (const [at, want, name] of required) {
    if (u32(at) !== want) {
      throw new ControlFileError(
        `database files are incompatible with server: the cluster has ${name} ${u32(at)}, the server needs ${want}`,
      );
    }
  }
  if (view.getFloat64(208, true) !== FLOAT_FORMAT || bytes[248] !== 1) {
    throw new ControlFileError('database files are incompatible with server: wrong floating-point format');
  }
  const state = STATES[u32(16)];
  if (state === undefined) throw new ControlFileError('control file contains invalid database cluster state');
  if (u64(32) % XLOG_SEG_SIZE < 24) throw new ControlFileError('control file contains invalid checkpoint location');
  return {
    systemIdentifier: view.getBigUint64(0, true),
    state,
    time: u64(24),
    checkPoint: u64(32) as XLogRecPtr,
    checkPointCopy: decodeCheckPoint(bytes, 40),
    unloggedLSN: u64(128) as XLogRecPtr,
    minRecoveryPoint: u64(136) as XLogRecPtr,
    minRecoveryPointTLI: u32(144) as TimeLineID,
    walLevel: u32(172),
    walLogHints: bytes[176] !== 0,
    maxConnections: u32(180),
    maxWorkerProcesses: u32(184),
    maxWalSenders: u32(188),
    maxPreparedXacts: u32(192),
    maxLocksPerXact: u32(196),
    trackCommitTimestamp: bytes[200] !== 0,
    dataChecksumVersion: u32(252),
    mockAuthenticationNonce: bytes.slice(256, 288),
  };
}
