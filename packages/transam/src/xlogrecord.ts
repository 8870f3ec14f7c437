/**
 * One WAL record (access/xlogrecord.h). Little-endian; starts MAXALIGNed; unaligned inside.
 *
 *      0  xl_tot_len   u32   whole record, without alignment padding behind it
 *      4  xl_xid       u32
 *      8  xl_prev      u64   start of the previous record
 *     16  xl_info      u8    high 4 bits: rmgr's; low 4: XLR_SPECIAL_REL_UPDATE, XLR_CHECK_CONSISTENCY
 *     17  xl_rmid      u8
 *     18  padding      u16
 *     20  xl_crc       u32   CRC-32C over [24, tot_len), then over [0, 20)
 *     24  headers      block headers in order, then the main data header
 *    ...  payload      per block: image, data; then main data
 *
 *   block header                            main data header
 *      u8   id, 0..32                          u8 255, u8 length         or
 *      u8   fork | flags                       u8 254, u32 length
 *      u16  data length                      others: 253 replication origin + u16,
 *      if BKPBLOCK_HAS_IMAGE                         252 top-level xid + u32
 *        u16 length, u16 hole offset, u8 bimg_info
 *        u16 hole length                     only if compressed and with a hole
 *      unless BKPBLOCK_SAME_REL
 *        u32 spcNode, u32 dbNode, u32 relNode
 *      u32  block number
 */
import type { BlockNumber, ForkNumber, Oid, RelFileNode, TransactionId, XLogRecPtr } from '@pgtroupe/common/ids';
import { BLCKSZ } from '@pgtroupe/common/ids';
import { crc32cFinish, CRC32C_INIT, crc32cUpdate } from '@pgtroupe/common/crc32c';

export const SIZE_OF_XLOG_RECORD = 24;
export const XLOG_RECORD_CRC_OFFSET = 20;
/** xl_info: the low four bits are not the rmgr's. */
export const XLR_INFO_MASK = 0x0f;
export const XLR_RMGR_INFO_MASK = 0xf0;
export const XLR_SPECIAL_REL_UPDATE = 0x01;

export const XLR_MAX_BLOCK_ID = 32;
export const XLR_BLOCK_ID_DATA_SHORT = 255;
export const XLR_BLOCK_ID_DATA_LONG = 254;
export const XLR_BLOCK_ID_ORIGIN = 253;
export const XLR_BLOCK_ID_TOPLEVEL_XID = 252;

export const BKPBLOCK_FORK_MASK = 0x0f;
export const BKPBLOCK_HAS_IMAGE = 0x10;
export const BKPBLOCK_HAS_DATA = 0x20;
export const BKPBLOCK_WILL_INIT = 0x40;
export const BKPBLOCK_SAME_REL = 0x80;

export const BKPIMAGE_HAS_HOLE = 0x01;
export const BKPIMAGE_APPLY = 0x02;
export const BKPIMAGE_COMPRESS_PGLZ = 0x04;
export const BKPIMAGE_COMPRESS_LZ4 = 0x08;
export const BKPIMAGE_COMPRESS_ZSTD = 0x10;
export const BKPIMAGE_COMPRESSED = 0x1c;

/** One block reference, with where its image and data lie in `XLogRecord.bytes`. */
export interface DecodedBkpBlock {
  readonly id: number;
  readonly rnode: RelFileNode;
  readonly fork: ForkNumber;
  readonly blkno: BlockNumber;
  /** BKPBLOCK_* */
  readonly flags: number;
  readonly hasImage: boolean;
  /** The image is to be restored on replay (not only there for consistency checks). */
  readonly applyImage: boolean;
  readonly bimgInfo: number;
  readonly holeOffset: number;
  readonly holeLength: number;
  readonly imageAt: number;
  readonly imageLength: number;
  readonly dataAt: number;
  readonly dataLength: number;
}

/** A decoded record. `bytes` starts at the record header. */
export interface XLogRecord {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Start and end; pages changed by the record get `endLsn` as pd_lsn. */
  readonly lsn: XLogRecPtr;
  readonly endLsn: XLogRecPtr;
  readonly prev: XLogRecPtr;
  readonly xid: TransactionId;
  readonly info: number;
  readonly rmid: number;
  /** By block id; gaps are undefined. */
  readonly blocks: readonly (DecodedBkpBlock | undefined)[];
  /** Main data: bytes[mainAt, mainAt + mainLength). */
  readonly mainAt: number;
  readonly mainLength: number;
}

export class WalFormatError extends Error {
  override readonly name = 'WalFormatError';
}

/** What xl_crc must be. */
export function recordCrc(bytes: Uint8Array, at: number, length: number): number {
  const body = crc32cUpdate(CRC32C_INIT, bytes, at + SIZE_OF_XLOG_RECORD, at + length);
  return crc32cFinish(crc32cUpdate(body, bytes, at, at + XLOG_RECORD_CRC_OFFSET));
}

/** Takes a complete record apart. `bytes` is kept, not copied. Throws WalFormatError. */
export function decodeXLogRecord(bytes: Uint8Array, lsn: XLogRecPtr, endLsn: XLogRecPtr): XLogRecord {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const total = view.getUint32(0, true);
  const blocks: (DecodedBkpBlock | undefined)[] = [];
  let at = SIZE_OF_XLOG_RECORD;
  let payload = 0;
  let mainLength = 0;
  let rnode: RelFileNode | undefined;
  const need = (n: number): void => {
    if (at + n > total) throw new WalFormatError(`record headers end early at ${at} of ${total}`);
  };
  // Headers run until what they announced fills the rest of the record.
  while (total - at > payload) {
    need(1);
    const id = bytes[at++]!;
    if (id === XLR_BLOCK_ID_DATA_SHORT) {
      need(1);
      mainLength = bytes[at++]!;
      payload += mainLength;
      break;
    }
    if (id === XLR_BLOCK_ID_DATA_LONG) {
      need(4);
      mainLength = view.getUint32(at, true);
      at += 4;
      payload += mainLength;
      break;
    }
    if (id === XLR_BLOCK_ID_ORIGIN) {
      at += 2;
      continue;
    }
    if (id === XLR_BLOCK_ID_TOPLEVEL_XID) {
      at += 4;
      continue;
    }
    if (id > XLR_MAX_BLOCK_ID) throw new WalFormatError(`invalid block id ${id}`);
    need(3);
    const flags = bytes[at]!;
    const dataLength = view.getUint16(at + 1, true);
    at += 3;
    const hasImage = (flags & BKPBLOCK_HAS_IMAGE) !== 0;
    let imageLength = 0;
    let holeOffset = 0;
    let holeLength = 0;
    let bimgInfo = 0;
    if (hasImage) {
      need(5);
      imageLength = view.getUint16(at, true);
      holeOffset = view.getUint16(at + 2, true);
      bimgInfo = bytes[at + 4]!;
      at += 5;
      if ((bimgInfo & BKPIMAGE_HAS_HOLE) !== 0) {
        if ((bimgInfo & BKPIMAGE_COMPRESSED) !== 0) {
          need(2);
          holeLength = view.getUint16(at, true);
          at += 2;
        } else holeLength = BLCKSZ - imageLength;
      }
    }
    if ((flags & BKPBLOCK_SAME_REL) === 0) {
      need(12);
      rnode = {
        spcNode: view.getUint32(at, true) as Oid,
        dbNode: view.getUint32(at + 4, true) as Oid,
        relNode: view.getUint32(at + 8, true) as Oid,
      };
      at += 12;
    }
    if (rnode === undefined) throw new WalFormatError('BKPBLOCK_SAME_REL set but no previous rel');
    need(4);
    const blkno = view.getUint32(at, true) as BlockNumber;
    at += 4;
    payload += imageLength + dataLength;
    blocks[id] = {
      id,
      rnode,
      fork: (flags & BKPBLOCK_FORK_MASK) as ForkNumber,
      blkno,
      flags,
      hasImage,
      applyImage: (bimgInfo & BKPIMAGE_APPLY) !== 0,
      bimgInfo,
      holeOffset,
      holeLength,
      imageAt: 0,
      imageLength,
      dataAt: 0,
      dataLength,
    };
  }
  if (at + payload !== total) throw new WalFormatError(`record of ${total} bytes announces ${at + payload}`);
  for (let id = 0; id < blocks.length; id++) {
    const block = blocks[id];
    if (block === undefined) continue;
    blocks[id] = { ...block, imageAt: at, dataAt: at + block.imageLength };
    at += block.imageLength + block.dataLength;
  }
  return {
    bytes,
    view,
    lsn,
    endLsn,
    blocks,
    mainLength,
    mainAt: at,
    xid: view.getUint32(4, true) as TransactionId,
    prev: (view.getUint32(12, true) * 0x100000000 + view.getUint32(8, true)) as XLogRecPtr,
    info: bytes[16]!,
    rmid: bytes[17]!,
  };
}

/** Lays a block's full-page image over `target[at, at + BLCKSZ)`. */
export function restoreBlockImage(record: XLogRecord, block: DecodedBkpBlock, target: Uint8Array, at: number): void {
  if ((block.bimgInfo & BKPIMAGE_COMPRESSED) !== 0) {
    throw new WalFormatError('compressed full-page images are not supported by pgtroupe yet');
  }
  const { bytes } = record;
  const { imageAt, holeOffset, holeLength } = block;
  if (holeLength === 0) {
    target.set(bytes.subarray(imageAt, imageAt + BLCKSZ), at);
    return;
  }
  target.set(bytes.subarray(imageAt, imageAt + holeOffset), at);
  target.fill(0, at + holeOffset, at + holeOffset + holeLength);
  target.set(bytes.subarray(imageAt + holeOffset, imageAt + BLCKSZ - holeLength), at + holeOffset + holeLength);
}

/**
 * The block references of one record without building objects: what the sequencer needs for its
 * dirty-page table. Fields are valid until the next `read`.
 */
export class BlockRefs {
  count = 0;
  readonly spcNode = new Uint32Array(XLR_MAX_BLOCK_ID + 1);
  readonly dbNode = new Uint32Array(XLR_MAX_BLOCK_ID + 1);
  readonly relNode = new Uint32Array(XLR_MAX_BLOCK_ID + 1);
  readonly fork = new Uint8Array(XLR_MAX_BLOCK_ID + 1);
  readonly blkno = new Uint32Array(XLR_MAX_BLOCK_ID + 1);
  /** BKPBLOCK_* */
  readonly flags = new Uint8Array(XLR_MAX_BLOCK_ID + 1);
  /** BKPIMAGE_*, 0 without an image. */
  readonly bimgInfo = new Uint8Array(XLR_MAX_BLOCK_ID + 1);

  read(bytes: Uint8Array, start: number, total: number): void {
    const end = start + total;
    let at = start + SIZE_OF_XLOG_RECORD;
    let payload = 0;
    let n = 0;
    this.count = 0;
    while (end - at > payload) {
      const id = bytes[at++]!;
      if (id === XLR_BLOCK_ID_ORIGIN) at += 2;
      else if (id === XLR_BLOCK_ID_TOPLEVEL_XID) at += 4;
      else if (id > XLR_MAX_BLOCK_ID) break;
      else {
        const flags = bytes[at]!;
        payload += bytes[at + 1]! | (bytes[at + 2]! << 8);
        at += 3;
        let info = 0;
        if ((flags & BKPBLOCK_HAS_IMAGE) !== 0) {
          payload += bytes[at]! | (bytes[at + 1]! << 8);
          info = bytes[at + 4]!;
          at += (info & BKPIMAGE_COMPRESSED) !== 0 && (info & BKPIMAGE_HAS_HOLE) !== 0 ? 7 : 5;
        }
        if ((flags & BKPBLOCK_SAME_REL) === 0) {
          this.spcNode[n] = u32(bytes, at);
          this.dbNode[n] = u32(bytes, at + 4);
          this.relNode[n] = u32(bytes, at + 8);
          at += 12;
        } else {
          if (n === 0) throw new WalFormatError('BKPBLOCK_SAME_REL set but no previous rel');
          this.spcNode[n] = this.spcNode[n - 1]!;
          this.dbNode[n] = this.dbNode[n - 1]!;
          this.relNode[n] = this.relNode[n - 1]!;
        }
        this.fork[n] = flags & BKPBLOCK_FORK_MASK;
        this.flags[n] = flags;
        this.bimgInfo[n] = info;
        this.blkno[n] = u32(bytes, at);
        at += 4;
        n++;
      }
      if (at > end) throw new WalFormatError('record headers end early');
    }
    this.count = n;
  }
}

function u32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}
