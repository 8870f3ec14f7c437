/**
 * WAL buffers: records laid into pages in memory, kept until they are durable. Gives every record
 * its position, fills xl_prev, finishes the CRC, writes page headers. This is the one place where
 * the WAL insert position moves.
 *
 * Pure (no I/O). Memory is chunks of 1 MB; a chunk goes away when everything in it is durable.
 */
import { assert } from '@pgtroupe/common/assert';
import { crc32cFinish, crc32cUpdate } from '@pgtroupe/common/crc32c';
import { maxAlign, type XLogRecPtr } from '@pgtroupe/common/ids';
import {
  pageHeaderSize,
  recordStart,
  writePageHeader,
  XLOG_BLCKSZ,
  XLOG_SEG_SIZE,
  type XLogStream,
} from './xlogpage.ts';
import { SIZE_OF_XLOG_RECORD, XLOG_RECORD_CRC_OFFSET } from './xlogrecord.ts';

const CHUNK_BYTES = 1024 * 1024;

export class XLogBuffers {
  readonly #stream: XLogStream;
  readonly #chunks = new Map<number, Buffer>();
  readonly #spare: Buffer[] = [];
  #end: number;
  #prev: number;
  /** Start of the record inserted last. */
  lastStart = 0 as XLogRecPtr;
  /** Start of the last record that says something happened (GetLastImportantRecPtr): neither a forced switch nor a list
   *  of what runs. */
  #lastImportant: number;

  /** Continues a log whose last record starts at `prev` (0: none) and ends at `end`. */
  constructor(stream: XLogStream, end: XLogRecPtr, prev: XLogRecPtr) {
    this.#stream = stream;
    this.#end = end;
    this.#prev = prev;
    this.#lastImportant = prev;
  }

  /** End of the last record; where the next one goes, but for a page header. */
  get end(): XLogRecPtr {
    return this.#end as XLogRecPtr;
  }

  /** Start of the last record. */
  get prev(): XLogRecPtr {
    return this.#prev as XLogRecPtr;
  }

  get lastImportant(): XLogRecPtr {
    return this.#lastImportant as XLogRecPtr;
  }

  /** Where the next record would start. */
  get nextStart(): XLogRecPtr {
    return recordStart(this.#end);
  }

  /**
   * Inserts record[from, from + length), whose xl_crc holds the CRC register after the body and
   * which is finished in place. Returns the record's end.
   */
  insert(record: Uint8Array, from: number, length: number): XLogRecPtr {
    assert(length >= SIZE_OF_XLOG_RECORD, `WAL record of ${length} bytes`);
    const start = recordStart(this.#end);
    finishRecord(record, from, this.#prev);
    // An empty log begins with a page header even when nothing precedes it on the page.
    let at = this.#end;
    let done = 0;
    const padded = maxAlign(length);
    while (done < padded) {
      if (at % XLOG_BLCKSZ === 0) {
        const header = pageHeaderSize(at);
        writePageHeader(this.#chunk(at), at % CHUNK_BYTES, at, this.#stream, done === 0 ? 0 : length - done);
        at += header;
      }
      const room = Math.min(XLOG_BLCKSZ - (at % XLOG_BLCKSZ), padded - done);
      const chunk = this.#chunk(at);
      const to = at % CHUNK_BYTES;
      const bytes = Math.min(room, length - done);
      if (bytes > 0) copy(record, from + done, chunk, to, bytes);
      for (let pad = Math.max(bytes, 0); pad < room; pad++) chunk[to + pad] = 0;
      done += room;
      at += room;
    }
    this.#prev = start;
    this.#lastImportant = start;
    this.lastStart = start;
    this.#end = at;
    return at as XLogRecPtr;
  }

  /** As `insert`, of a record that is no reason for a checkpoint or a switch. */
  insertUnimportant(record: Uint8Array): XLogRecPtr {
    const important = this.#lastImportant;
    const end = this.insert(record, 0, record.length);
    this.#lastImportant = important;
    return end;
  }

  /**
   * XLOG_SWITCH: the record, and zeros to the end of its segment (without page headers, so that they compress well).
   * Returns the end of the record as PostgreSQL tells it: behind the header of the page that it reaches. At a
   * segment's start nothing is inserted, and that is what is returned (ReserveXLogSwitch).
   */
  switchSegment(record: Uint8Array, important: boolean): XLogRecPtr {
    if (this.#end % XLOG_SEG_SIZE === 0) return this.end;
    if (important) this.insert(record, 0, record.length);
    else this.insertUnimportant(record);
    const until = Math.ceil(this.#end / XLOG_SEG_SIZE) * XLOG_SEG_SIZE;
    while (this.#end < until) {
      const next = Math.min(until, (Math.floor(this.#end / CHUNK_BYTES) + 1) * CHUNK_BYTES);
      this.#chunk(this.#end).fill(0, this.#end % CHUNK_BYTES, ((next - 1) % CHUNK_BYTES) + 1);
      this.#end = next;
    }
    const end = this.lastStart + record.length;
    const page = Math.floor(end / XLOG_BLCKSZ) * XLOG_BLCKSZ;
    return (page > this.lastStart ? end + pageHeaderSize(page) : end) as XLogRecPtr;
  }

  /** Bytes [from, to) as views, at most one per chunk; valid until released. */
  *pieces(from: number, to: number): IterableIterator<{ readonly pos: number; readonly bytes: Uint8Array }> {
    let at = from;
    while (at < to) {
      const chunk = this.#chunks.get(Math.floor(at / CHUNK_BYTES));
      assert(chunk !== undefined, `WAL at ${at} is no longer in the buffers`);
      const offset = at % CHUNK_BYTES;
      const length = Math.min(CHUNK_BYTES - offset, to - at);
      yield { pos: at, bytes: chunk.subarray(offset, offset + length) };
      at += length;
    }
  }

  /** Everything before `lsn` is durable. Its memory may be reused. */
  release(lsn: number): void {
    const keep = Math.floor(Math.min(lsn, this.#end) / CHUNK_BYTES);
    for (const [number, chunk] of this.#chunks) {
      if (number >= keep) break;
      this.#chunks.delete(number);
      if (this.#spare.length < 4) this.#spare.push(chunk);
    }
  }

  get bytesHeld(): number {
    return this.#chunks.size * CHUNK_BYTES;
  }

  #chunk(lsn: number): Buffer {
    const number = Math.floor(lsn / CHUNK_BYTES);
    let chunk = this.#chunks.get(number);
    if (chunk === undefined) {
      chunk = this.#spare.pop() ?? Buffer.allocUnsafeSlow(CHUNK_BYTES);
      this.#chunks.set(number, chunk);
    }
    return chunk;
  }
}

/** Fills xl_prev and turns the CRC register over the body into the record's CRC. */
function finishRecord(record: Uint8Array, from: number, prev: number): void {
  putU32(record, from + 8, prev >>> 0);
  putU32(record, from + 12, Math.floor(prev / 0x100000000));
  const at = from + XLOG_RECORD_CRC_OFFSET;
  const register = (record[at]! | (record[at + 1]! << 8) | (record[at + 2]! << 16) | (record[at + 3]! << 24)) >>> 0;
  putU32(record, at, crc32cFinish(crc32cUpdate(register, record, from, at)));
}

function putU32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
  bytes[at + 3] = value >>> 24;
}

function copy(source: Uint8Array, from: number, target: Uint8Array, to: number, length: number): void {
  if (length < 64) for (let i = 0; i < length; i++) target[to + i] = source[from + i]!;
  else target.set(source.subarray(from, from + length), to);
}
