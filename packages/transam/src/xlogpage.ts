/**
 * WAL as a byte stream cut into 8 kB pages and segment files. Each page starts with a header that is
 * not part of any record:
 *
 *      0  xlp_magic      u16   0xD110 (PostgreSQL 15)
 *      2  xlp_info       u16   1 = continues a record, 2 = long header, 4 = removable backup block
 *      4  xlp_tli        u32
 *      8  xlp_pageaddr   u64   LSN of the page's first byte: tells a recycled page from a fresh one
 *     16  xlp_rem_len    u32   bytes of a continued record still to come
 *     20  padding        u32
 *   long header, on the first page of every segment:
 *     24  xlp_sysid      u64
 *     32  xlp_seg_size   u32
 *     36  xlp_xlog_blcksz u32
 *
 * An LSN that stands for the *end* of a record may be a page boundary; the next record then starts
 * behind that page's header.
 */
import type { TimeLineID, XLogRecPtr } from '@pgtroupe/common/ids';

export const XLOG_PAGE_MAGIC = 0xd110;
export const XLOG_BLCKSZ = 8192;
/** wal_segment_size; fixed, as the default of initdb. */
export const XLOG_SEG_SIZE = 16 * 1024 * 1024;
export const XLP_FIRST_IS_CONTRECORD = 0x0001;
export const XLP_LONG_HEADER = 0x0002;
export const XLP_BKP_REMOVABLE = 0x0004;
/** A record was abandoned before this page (crash); the page starts afresh. */
export const XLP_FIRST_IS_OVERWRITE_CONTRECORD = 0x0008;
export const XLP_ALL_FLAGS = 0x000f;
export const SIZE_OF_XLOG_SHORT_PHD = 24;
export const SIZE_OF_XLOG_LONG_PHD = 40;

export interface XLogStream {
  readonly systemIdentifier: bigint;
  readonly tli: TimeLineID;
}

/** Size of the header of the page that starts at `pageStart`. */
export function pageHeaderSize(pageStart: number): number {
  return pageStart % XLOG_SEG_SIZE === 0 ? SIZE_OF_XLOG_LONG_PHD : SIZE_OF_XLOG_SHORT_PHD;
}

/** Where a record inserted at `end` (end of the previous one) starts. */
export function recordStart(end: number): XLogRecPtr {
  return (end % XLOG_BLCKSZ === 0 ? end + pageHeaderSize(end) : end) as XLogRecPtr;
}

/** End of `length` record bytes that start at `start`; a page boundary stays a boundary. */
export function advance(start: number, length: number): number {
  let at = start;
  let left = length;
  for (;;) {
    const room = XLOG_BLCKSZ - (at % XLOG_BLCKSZ);
    if (left <= room) return at + left;
    left -= room;
    at += room;
    at += pageHeaderSize(at);
  }
}

export function writePageHeader(
  bytes: Uint8Array,
  at: number,
  pageStart: number,
  stream: XLogStream,
  remainingLength: number,
): void {
  const long = pageStart % XLOG_SEG_SIZE === 0;
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, SIZE_OF_XLOG_LONG_PHD);
  view.setUint16(0, XLOG_PAGE_MAGIC, true);
  view.setUint16(2, (remainingLength > 0 ? XLP_FIRST_IS_CONTRECORD : 0) | (long ? XLP_LONG_HEADER : 0), true);
  view.setUint32(4, stream.tli, true);
  view.setUint32(8, pageStart >>> 0, true);
  view.setUint32(12, Math.floor(pageStart / 0x100000000), true);
  view.setUint32(16, remainingLength, true);
  view.setUint32(20, 0, true);
  if (!long) return;
  view.setBigUint64(24, stream.systemIdentifier, true);
  view.setUint32(32, XLOG_SEG_SIZE, true);
  view.setUint32(36, XLOG_BLCKSZ, true);
}

// ---- segments ----------------------------------------------------------------------------------

const SEGMENTS_PER_XLOG_ID = 0x100000000 / XLOG_SEG_SIZE;

export function segmentNumber(lsn: number): number {
  return Math.floor(lsn / XLOG_SEG_SIZE);
}

/** `000000010000000000000001` */
export function xlogFileName(tli: number, segno: number): string {
  return (
    hex8(tli) +
    hex8(Math.floor(segno / SEGMENTS_PER_XLOG_ID)) +
    hex8(segno % SEGMENTS_PER_XLOG_ID)
  ).toUpperCase();
}

/** undefined when the name is not a segment's. */
export function parseXLogFileName(name: string): { readonly tli: TimeLineID; readonly segno: number } | undefined {
  if (!/^[0-9A-F]{24}$/.test(name)) return undefined;
  const part = (n: number): number => Number.parseInt(name.slice(8 * n, 8 * n + 8), 16);
  return { tli: part(0) as TimeLineID, segno: part(1) * SEGMENTS_PER_XLOG_ID + part(2) };
}

function hex8(n: number): string {
  return n.toString(16).padStart(8, '0');
}
