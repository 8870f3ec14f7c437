/**
 * XLogInserter of an instance: assembles a record in one reused buffer and queues it for the
 * buffer-manager, which gives it its place (invariants 2 and 9; layout in xlogrecord.ts).
 *
 * Full-page images. A page needs one when it has none behind the redo point of the current
 * checkpoint. While a force-FPI window is open (a checkpoint is choosing its redo point) every
 * record carries images, and since they may land before that redo point they do not count for it.
 */
import { assert } from '@pgtroupe/common/assert';
import { crc32cUpdate, CRC32C_INIT } from '@pgtroupe/common/crc32c';
import { BLCKSZ } from '@pgtroupe/common/ids';
import type { WalProducer } from './wal-credit.ts';
import type { Attachment } from './attachment.ts';
import type { PageCache } from './bufmgr.ts';
import type { RelationFork } from './relation-files.ts';
import {
  REGBUF_FORCE_IMAGE,
  REGBUF_KEEP_DATA,
  REGBUF_NO_IMAGE,
  REGBUF_STANDARD,
  type XLogInserter,
} from '@pgtroupe/transam/xloginsert';

const HEADER_BYTES = 24;
const MAX_BLOCK_ID = 32;
const MAIN_DATA = -1;
const WILL_INIT_BIT = 0x04;

const BKPBLOCK_HAS_IMAGE = 0x10;
const BKPBLOCK_HAS_DATA = 0x20;
const BKPBLOCK_WILL_INIT = 0x40;
const BKPBLOCK_SAME_REL = 0x80;
const BKPIMAGE_HAS_HOLE = 0x01;
const BKPIMAGE_APPLY = 0x02;
const XLR_BLOCK_ID_DATA_SHORT = 255;
const XLR_BLOCK_ID_DATA_LONG = 254;

const SIZE_OF_PAGE_HEADER = 24;

export class XLogRecordBuilder implements XLogInserter {
  readonly #cache: PageCache;
  readonly #attachment: Attachment;
  /** Set by the session whose turn it is: the 32-bit xid that records carry. */
  xid = 0;
  /** Set by the session whose turn it is: who logs. */
  producer: Pick<WalProducer, 'bytes' | 'records' | 'images' | 'loggedBytes'> = {
    bytes: 0,
    records: 0,
    images: 0,
    loggedBytes: 0,
  };
  /** Number of the last record queued. */
  seq = 0;

  // Registered blocks, by position of registration.
  #blocks = 0;
  readonly #blockId = new Uint8Array(MAX_BLOCK_ID + 1);
  readonly #blockPage = new Float64Array(MAX_BLOCK_ID + 1);
  readonly #blockFlags = new Uint8Array(MAX_BLOCK_ID + 1);
  // Pieces of data in order of arrival, in #scratch.
  #scratch = Buffer.allocUnsafeSlow(64 * 1024);
  #scratchLength = 0;
  #pieces = 0;
  #pieceOwner = new Int16Array(64);
  #pieceStart = new Int32Array(65);
  // The record under assembly.
  #record = Buffer.allocUnsafeSlow(128 * 1024);

  constructor(cache: PageCache, attachment: Attachment) {
    this.#cache = cache;
    this.#attachment = attachment;
  }

  begin(): void {
    this.#blocks = 0;
    this.#pieces = 0;
    this.#scratchLength = 0;
  }

  registerBuffer(blockId: number, page: number, flags: number): void {
    const n = this.#blocks++;
    assert(n <= MAX_BLOCK_ID, 'too many blocks in one WAL record');
    this.#blockId[n] = blockId;
    this.#blockPage[n] = page;
    this.#blockFlags[n] = flags;
  }

  bufData(blockId: number, source: Uint8Array, from: number, length: number): void {
    this.#piece(blockId, source, from, length);
  }

  data(source: Uint8Array, from: number, length: number): void {
    this.#piece(MAIN_DATA, source, from, length);
  }

  #piece(owner: number, source: Uint8Array, from: number, length: number): void {
    if (length === 0) return;
    if (this.#scratchLength + length > this.#scratch.length) this.#growScratch(length);
    if (this.#pieces === this.#pieceOwner.length) this.#growPieces();
    const start = this.#scratchLength;
    const scratch = this.#scratch;
    if (length < 64) for (let i = 0; i < length; i++) scratch[start + i] = source[from + i]!;
    else scratch.set(source.subarray(from, from + length), start);
    this.#pieceOwner[this.#pieces] = owner;
    this.#pieceStart[this.#pieces] = start;
    this.#pieces++;
    this.#scratchLength = start + length;
    this.#pieceStart[this.#pieces] = this.#scratchLength;
  }

  insert(rmid: number, info: number): number {
    const length = this.#assemble(rmid, info);
    for (let n = 0; n < this.#blocks; n++) this.#cache.markChanged(this.#blockPage[n]!);
    const seq = ++this.seq;
    this.#attachment.putLazily({ op: 'xlogInsert', seq, record: this.#record.subarray(0, length) });
    return seq;
  }

  /** A record without blocks that travels inside another operation (commit, abort). The result is
   *  valid until the next record. */
  form(rmid: number, info: number): { readonly seq: number; readonly record: Uint8Array } {
    assert(this.#blocks === 0, 'a formed record has no blocks');
    const length = this.#assemble(rmid, info);
    return { seq: ++this.seq, record: this.#record.subarray(0, length) };
  }

  /** A new life of the buffer-manager counts from 1 again. */
  reset(): void {
    this.seq = 0;
  }

  #assemble(rmid: number, info: number): number {
    const mem = this.#cache.mem;
    // Headers, images, data and main data are each bounded by what was registered.
    this.#reserveRecord(HEADER_BYTES + this.#blocks * (BLCKSZ + 32) + this.#scratchLength + 8);
    const out = this.#record;
    let at = HEADER_BYTES;
    let previous: RelationFork | undefined;
    let images = 0;
    for (let n = 0; n < this.#blocks; n++) {
      const id = this.#blockId[n]!;
      const page = this.#blockPage[n]!;
      const flags = this.#blockFlags[n]!;
      const fork = this.#cache.forkAt(page);
      const image = this.#needsImage(page, flags);
      const dataLength = !image || (flags & REGBUF_KEEP_DATA) !== 0 ? this.#dataLength(id) : 0;
      const sameRel = previous !== undefined && previous.files === fork.files;
      previous = fork;
      out[at++] = id;
      out[at++] =
        fork.fork |
        (image ? BKPBLOCK_HAS_IMAGE : 0) |
        (dataLength > 0 ? BKPBLOCK_HAS_DATA : 0) |
        ((flags & WILL_INIT_BIT) !== 0 ? BKPBLOCK_WILL_INIT : 0) |
        (sameRel ? BKPBLOCK_SAME_REL : 0);
      out[at++] = dataLength;
      out[at++] = dataLength >>> 8;
      if (image) {
        images |= 1 << n;
        const holeStart = (flags & REGBUF_STANDARD) !== 0 ? holeOffset(mem.u16, page) : 0;
        const holeLength = holeStart > 0 ? mem.u16[(page >> 1) + 7]! - holeStart : 0;
        const imageLength = BLCKSZ - holeLength;
        out[at++] = imageLength;
        out[at++] = imageLength >>> 8;
        out[at++] = holeStart;
        out[at++] = holeStart >>> 8;
        out[at++] = BKPIMAGE_APPLY | (holeLength > 0 ? BKPIMAGE_HAS_HOLE : 0);
      }
      if (!sameRel) {
        const rnode = fork.files.rnode;
        at = putU32(out, at, rnode.spcNode);
        at = putU32(out, at, rnode.dbNode);
        at = putU32(out, at, rnode.relNode);
      }
      at = putU32(out, at, this.#cache.blockAt(page));
    }
    const mainLength = this.#dataLength(MAIN_DATA);
    if (mainLength > 255) {
      out[at++] = XLR_BLOCK_ID_DATA_LONG;
      at = putU32(out, at, mainLength);
    } else if (mainLength > 0) {
      out[at++] = XLR_BLOCK_ID_DATA_SHORT;
      out[at++] = mainLength;
    }
    for (let n = 0; n < this.#blocks; n++) {
      const page = this.#blockPage[n]!;
      const flags = this.#blockFlags[n]!;
      const image = (images & (1 << n)) !== 0;
      if (image) at = this.#copyImage(out, at, page, flags);
      if (!image || (flags & REGBUF_KEEP_DATA) !== 0) at = this.#copyData(out, at, this.#blockId[n]!);
      if ((image || (flags & WILL_INIT_BIT) !== 0) && !this.#cache.forceFpi) {
        this.#cache.fpiNumber[page / BLCKSZ] = this.#cache.checkpointNumber;
      }
    }
    at = this.#copyData(out, at, MAIN_DATA);

    this.#countRecord(at, images);
    putU32(out, 0, at);
    putU32(out, 4, this.xid);
    putU32(out, 8, 0);
    putU32(out, 12, 0);
    out[16] = info;
    out[17] = rmid;
    out[18] = 0;
    out[19] = 0;
    putU32(out, 20, crc32cUpdate(CRC32C_INIT, out, HEADER_BYTES, at));
    return at;
  }

  #needsImage(page: number, flags: number): boolean {
    if ((flags & REGBUF_FORCE_IMAGE) !== 0) return true;
    if ((flags & REGBUF_NO_IMAGE) !== 0) return false;
    return this.#cache.forceFpi || this.#cache.fpiNumber[page / BLCKSZ] !== this.#cache.checkpointNumber;
  }

  #copyImage(out: Buffer, at: number, page: number, flags: number): number {
    const { u8, u16 } = this.#cache.mem;
    const hole = (flags & REGBUF_STANDARD) !== 0 ? holeOffset(u16, page) : 0;
    if (hole === 0) {
      out.set(u8.subarray(page, page + BLCKSZ), at);
      return at + BLCKSZ;
    }
    const upper = u16[(page >> 1) + 7]!;
    out.set(u8.subarray(page, page + hole), at);
    out.set(u8.subarray(page + upper, page + BLCKSZ), at + hole);
    return at + hole + BLCKSZ - upper;
  }

  #dataLength(owner: number): number {
    let length = 0;
    for (let i = 0; i < this.#pieces; i++) {
      if (this.#pieceOwner[i] === owner) length += this.#pieceStart[i + 1]! - this.#pieceStart[i]!;
    }
    return length;
  }

  #copyData(out: Buffer, at: number, owner: number): number {
    for (let i = 0; i < this.#pieces; i++) {
      if (this.#pieceOwner[i] !== owner) continue;
      const start = this.#pieceStart[i]!;
      const end = this.#pieceStart[i + 1]!;
      this.#scratch.copy(out, at, start, end);
      at += end - start;
    }
    return at;
  }

  #countRecord(lengthBytes: number, images: number): void {
    const { producer } = this;
    producer.bytes += lengthBytes;
    producer.loggedBytes += lengthBytes;
    producer.records++;
    for (let bits = images; bits !== 0; bits &= bits - 1) producer.images++;
  }

  #reserveRecord(bytes: number): void {
    if (bytes > this.#record.length) this.#record = Buffer.allocUnsafeSlow(2 * bytes);
  }

  #growScratch(more: number): void {
    const grown = Buffer.allocUnsafeSlow(2 * (this.#scratchLength + more));
    this.#scratch.copy(grown, 0, 0, this.#scratchLength);
    this.#scratch = grown;
  }

  #growPieces(): void {
    const owner = new Int16Array(2 * this.#pieceOwner.length);
    const start = new Int32Array(owner.length + 1);
    owner.set(this.#pieceOwner);
    start.set(this.#pieceStart);
    this.#pieceOwner = owner;
    this.#pieceStart = start;
  }
}

/** pd_lower when the page has a standard hole, else 0. */
function holeOffset(u16: Uint16Array, page: number): number {
  const lower = u16[(page >> 1) + 6]!;
  const upper = u16[(page >> 1) + 7]!;
  return lower >= SIZE_OF_PAGE_HEADER && upper > lower && upper <= BLCKSZ ? lower : 0;
}

function putU32(out: Buffer, at: number, value: number): number {
  out[at] = value;
  out[at + 1] = value >>> 8;
  out[at + 2] = value >>> 16;
  out[at + 3] = value >>> 24;
  return at + 4;
}
