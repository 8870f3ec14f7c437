/**
 * Forms small records that refer to no page: header, main data, CRC register as XLogBuffers.insert
 * wants it. For the records of the buffer-manager itself and of initdb; instances use
 * XLogRecordBuilder.
 */
import { CRC32C_INIT, crc32cUpdate } from '@pgtroupe/common/crc32c';
import type { TransactionId } from '@pgtroupe/common/ids';
import {
  SIZE_OF_XLOG_RECORD,
  XLOG_RECORD_CRC_OFFSET,
  XLR_BLOCK_ID_DATA_LONG,
  XLR_BLOCK_ID_DATA_SHORT,
} from './xlogrecord.ts';

export function formRecord(rmid: number, info: number, xid: TransactionId, mainData: Uint8Array): Uint8Array {
  const length = mainData.length;
  const header = length === 0 ? 0 : length <= 255 ? 2 : 5;
  const record = new Uint8Array(SIZE_OF_XLOG_RECORD + header + length);
  const view = new DataView(record.buffer);
  view.setUint32(0, record.length, true);
  view.setUint32(4, xid, true);
  record[16] = info;
  record[17] = rmid;
  let at = SIZE_OF_XLOG_RECORD;
  if (header === 2) {
    record[at] = XLR_BLOCK_ID_DATA_SHORT;
    record[at + 1] = length;
  } else if (header === 5) {
    record[at] = XLR_BLOCK_ID_DATA_LONG;
    view.setUint32(at + 1, length, true);
  }
  at += header;
  record.set(mainData, at);
  view.setUint32(XLOG_RECORD_CRC_OFFSET, crc32cUpdate(CRC32C_INIT, record, SIZE_OF_XLOG_RECORD, record.length), true);
  return record;
}
