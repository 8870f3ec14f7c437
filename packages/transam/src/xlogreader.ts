/**
 * Reads records out of WAL bytes that arrive in order: strips page headers, joins records that cross
 * pages, checks headers, xl_prev and CRC. Pure; whoever drives it feeds bytes.
 *
 *   reader.feed(bytes)              bytes follow those fed before
 *   reader.next() -> XLogRecord     one complete record
 *                  | undefined      feed more
 *                  | WalEnd         the log ends here, and why (the normal end of recovery)
 *
 * A torn, zeroed or recycled tail is the end of the log, not an error; whether it may end there is
 * the caller's question.
 */
import type { XLogRecPtr } from '@pgtroupe/common/ids';
import { formatLsn, maxAlign } from '@pgtroupe/common/ids';
import { RM_MAX_BUILTIN_ID, RM_XLOG_ID } from './rmgr.ts';
import {
  advance,
  pageHeaderSize,
  recordStart,
  XLOG_BLCKSZ,
  XLOG_PAGE_MAGIC,
  XLOG_SEG_SIZE,
  type XLogStream,
  XLP_ALL_FLAGS,
  XLP_FIRST_IS_CONTRECORD,
  XLP_LONG_HEADER,
} from './xlogpage.ts';
import {
  decodeXLogRecord,
  recordCrc,
  SIZE_OF_XLOG_RECORD,
  WalFormatError,
  XLR_RMGR_INFO_MASK,
  type XLogRecord,
} from './xlogrecord.ts';
import { XLOG_SWITCH } from './xlogrmgr.ts';

export class WalEnd {
  /** End of the last good record. */
  readonly lsn: XLogRecPtr;
  readonly why: string;
  constructor(lsn: XLogRecPtr, why: string) {
    this.lsn = lsn;
    this.why = why;
  }
}

const MAX_RECORD_BYTES = 1024 * 1024 * 1020;

export class XLogReader {
  readonly #stream: XLogStream;
  /** Bytes fed and not yet consumed; #data[0] is at LSN #base. */
  #data: Uint8Array = new Uint8Array(0);
  #base: number;
  /** What is fed before this is the padding behind a switch. */
  #skipUntil = 0;
  /** End of the last record returned. */
  #end: number;
  #prev: number;
  #finished: WalEnd | undefined;
  /** Position inside the current page whose header was checked. */
  #checkedPage = -1;

  /**
   * Starts with the record at `start`, which must be a record's start or end. `prev`: start of the
   * record before it, or -1 if unknown. Bytes fed first must begin at the page of `start`.
   */
  constructor(stream: XLogStream, start: XLogRecPtr, prev = -1) {
    this.#stream = stream;
    this.#end = start;
    this.#prev = prev;
    this.#base = Math.floor(start / XLOG_BLCKSZ) * XLOG_BLCKSZ;
  }

  /** End of the last good record. */
  get end(): XLogRecPtr {
    return this.#end as XLogRecPtr;
  }

  /** Start of the last good record; -1 when none was read and none was given. */
  get prev(): number {
    return this.#prev;
  }

  /** Where the next byte fed must come from. */
  get wants(): number {
    return this.#base + this.#data.length;
  }

  feed(bytes: Uint8Array): void {
    if (this.#data.length === 0) {
      const skipped = Math.min(bytes.length, Math.max(0, this.#skipUntil - this.#base));
      this.#base += skipped;
      this.#data = bytes.subarray(skipped);
      return;
    }
    const joined = new Uint8Array(this.#data.length + bytes.length);
    joined.set(this.#data);
    joined.set(bytes, this.#data.length);
    this.#data = joined;
  }

  next(): XLogRecord | WalEnd | undefined {
    if (this.#finished !== undefined) return this.#finished;
    try {
      return this.#read();
    } catch (error) {
      if (!(error instanceof WalFormatError)) throw error;
      return (this.#finished = new WalEnd(this.#end as XLogRecPtr, error.message));
    }
  }

  #read(): XLogRecord | undefined {
    const start = recordStart(this.#end);
    // The fixed header never crosses a page by more than its own 24 bytes; records are 8-aligned, so
    // only xl_tot_len (4 bytes) is sure to lie on the first page.
    if (!this.#have(start + 4)) return undefined;
    this.#checkPage(start, false);
    const length = this.#u32(start);
    if (length < SIZE_OF_XLOG_RECORD) {
      throw new WalFormatError(
        `invalid record length at ${lsnText(start)}: wanted ${SIZE_OF_XLOG_RECORD}, got ${length}`,
      );
    }
    if (length > MAX_RECORD_BYTES) throw new WalFormatError(`record length ${length} at ${lsnText(start)} too long`);
    const early = this.#validateHeader(start, length);
    if (!early) return undefined;
    const bytes = this.#gather(start, length);
    if (bytes === undefined) return undefined;
    const crcFound = new DataView(bytes.buffer, bytes.byteOffset).getUint32(20, true);
    if (recordCrc(bytes, 0, length) !== crcFound) {
      throw new WalFormatError(`incorrect resource manager data checksum in record at ${lsnText(start)}`);
    }
    const recordEnd = advance(start, maxAlign(length));
    const isSwitch = bytes[17] === RM_XLOG_ID && (bytes[16]! & XLR_RMGR_INFO_MASK) === XLOG_SWITCH;
    // A switch takes the rest of its segment.
    const end = isSwitch ? Math.ceil(recordEnd / XLOG_SEG_SIZE) * XLOG_SEG_SIZE : recordEnd;
    const record = decodeXLogRecord(bytes, start, end as XLogRecPtr);
    this.#prev = start;
    this.#end = end;
    this.#drop(end);
    return record;
  }

  /** Checks what can be checked before the whole record is there, so that a torn tail ends the log at
   *  once instead of waiting for bytes of a length that was garbage. */
  #validateHeader(start: number, length: number): boolean {
    const room = XLOG_BLCKSZ - (start % XLOG_BLCKSZ);
    if (room < SIZE_OF_XLOG_RECORD) return this.#have(start + room);
    if (!this.#have(start + SIZE_OF_XLOG_RECORD)) return false;
    const at = start - this.#base;
    const prev = this.#u32(start + 12) * 0x100000000 + this.#u32(start + 8);
    this.#checkFixed(start, this.#data[at + 17]!, prev, length);
    return true;
  }

  #checkFixed(start: number, rmid: number, prev: number, length: number): void {
    if (rmid > RM_MAX_BUILTIN_ID) throw new WalFormatError(`invalid resource manager ID ${rmid} at ${lsnText(start)}`);
    if (this.#prev >= 0 ? prev !== this.#prev : prev >= start) {
      throw new WalFormatError(
        `record with incorrect prev-link ${lsnText(prev)} at ${lsnText(start)} (${length} bytes)`,
      );
    }
  }

  /** The record's bytes in one piece (a view when it lies on one page). */
  #gather(start: number, length: number): Uint8Array | undefined {
    const firstRoom = XLOG_BLCKSZ - (start % XLOG_BLCKSZ);
    if (length <= firstRoom) {
      if (!this.#have(start + length)) return undefined;
      const at = start - this.#base;
      // A copy: what was fed is let go of as reading goes on.
      return this.#data.slice(at, at + length);
    }
    const bytes = new Uint8Array(length);
    let done = 0;
    let at = start;
    while (done < length) {
      const room = Math.min(XLOG_BLCKSZ - (at % XLOG_BLCKSZ), length - done);
      if (!this.#have(at + room)) return undefined;
      bytes.set(this.#data.subarray(at - this.#base, at - this.#base + room), done);
      done += room;
      at += room;
      if (done < length) {
        const header = pageHeaderSize(at);
        if (!this.#have(at + header)) return undefined;
        this.#checkPage(at, true);
        const remaining = this.#u32(at + 16);
        if (remaining !== length - done) {
          throw new WalFormatError(
            `invalid contrecord length ${remaining} (expected ${length - done}) at ${lsnText(at)}`,
          );
        }
        at += header;
      }
    }
    if (firstRoom < SIZE_OF_XLOG_RECORD) {
      const view = new DataView(bytes.buffer);
      this.#checkFixed(start, bytes[17]!, view.getUint32(12, true) * 0x100000000 + view.getUint32(8, true), length);
    }
    return bytes;
  }

  #checkPage(lsn: number, continued: boolean): void {
    const pageStart = Math.floor(lsn / XLOG_BLCKSZ) * XLOG_BLCKSZ;
    if (this.#checkedPage === pageStart) return;
    const view = new DataView(this.#data.buffer, this.#data.byteOffset + pageStart - this.#base);
    const where = lsnText(pageStart);
    const magic = view.getUint16(0, true);
    if (magic !== XLOG_PAGE_MAGIC)
      throw new WalFormatError(`invalid magic number ${magic.toString(16)} in WAL page at ${where}`);
    const info = view.getUint16(2, true);
    if ((info & ~XLP_ALL_FLAGS) !== 0)
      throw new WalFormatError(`invalid info bits ${info.toString(16)} in WAL page at ${where}`);
    const address = view.getUint32(12, true) * 0x100000000 + view.getUint32(8, true);
    if (address !== pageStart)
      throw new WalFormatError(`unexpected pageaddr ${lsnText(address)} in WAL page at ${where}`);
    if (view.getUint32(4, true) !== this.#stream.tli)
      throw new WalFormatError(`unexpected timeline in WAL page at ${where}`);
    if (pageStart % XLOG_SEG_SIZE === 0) {
      if ((info & XLP_LONG_HEADER) === 0) throw new WalFormatError(`no long header in WAL page at ${where}`);
      if (view.getBigUint64(24, true) !== this.#stream.systemIdentifier) {
        throw new WalFormatError(`WAL page at ${where} is from a different database system`);
      }
      if (view.getUint32(32, true) !== XLOG_SEG_SIZE)
        throw new WalFormatError(`wrong segment size in WAL page at ${where}`);
    }
    if (
      continued !== ((info & XLP_FIRST_IS_CONTRECORD) !== 0) &&
      (continued || lsn === pageStart + pageHeaderSize(pageStart))
    ) {
      throw new WalFormatError(`${continued ? 'no' : 'unexpected'} continuation flag in WAL page at ${where}`);
    }
    this.#checkedPage = pageStart;
  }

  #have(end: number): boolean {
    return end <= this.#base + this.#data.length;
  }

  #u32(lsn: number): number {
    const d = this.#data;
    const at = lsn - this.#base;
    return (d[at]! | (d[at + 1]! << 8) | (d[at + 2]! << 16) | (d[at + 3]! << 24)) >>> 0;
  }

  /** Forgets whole pages before `lsn`. */
  #drop(lsn: number): void {
    const pageStart = Math.floor(lsn / XLOG_BLCKSZ) * XLOG_BLCKSZ;
    if (pageStart <= this.#base) return;
    // Bytes come in order, whatever they are for.
    this.#skipUntil = pageStart;
    const dropped = Math.min(this.#data.length, pageStart - this.#base);
    this.#data = this.#data.subarray(dropped);
    this.#base += dropped;
  }
}

function lsnText(lsn: number): string {
  return formatLsn(lsn as XLogRecPtr);
}
