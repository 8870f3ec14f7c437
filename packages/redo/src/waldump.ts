/**
 * A WAL record in words, one line, as pg_waldump prints it; for logs, the console and tests.
 */
import { formatLsn, type XLogRecPtr } from '@pgtroupe/common/ids';
import { rmgrName } from '@pgtroupe/transam/rmgr';
import {
  BKPIMAGE_COMPRESSED,
  type DecodedBkpBlock,
  XLR_RMGR_INFO_MASK,
  type XLogRecord,
} from '@pgtroupe/transam/xlogrecord';
import { rmgrTable } from './rmgrtable.ts';

const FORK_NAMES = ['', ' fork fsm', ' fork vm', ' fork init'];

function lsn(value: XLogRecPtr): string {
  const [high, low] = formatLsn(value).split('/');
  return `${high}/${low!.padStart(8, '0')}`;
}

/** pg_waldump's line; the description is left out for resource managers that rmgrTable does not have. */
export function describeRecord(record: XLogRecord): string {
  const routine = rmgrTable[record.rmid];
  const total = record.view.getUint32(0, true);
  const images = record.blocks.reduce((sum, block) => sum + (block?.hasImage === true ? block.imageLength : 0), 0);
  const name = rmgrName(record.rmid);
  const operation = routine?.identify(record.info) ?? `UNKNOWN (${(record.info & XLR_RMGR_INFO_MASK).toString(16)})`;
  const desc = routine?.desc(record) ?? '';
  const head =
    `rmgr: ${name.padEnd(11)} len (rec/tot): ${String(total - images).padStart(6)}/${String(total).padStart(6)}, ` +
    `tx: ${String(record.xid).padStart(10)}, lsn: ${lsn(record.lsn)}, prev ${lsn(record.prev)}, desc: ${operation} ${desc}`;
  return head + record.blocks.map(block => (block === undefined ? '' : blockReference(block))).join('');
}

function blockReference(block: DecodedBkpBlock): string {
  const { rnode, fork, blkno } = block;
  const where = `, blkref #${block.id}: rel ${rnode.spcNode}/${rnode.dbNode}/${rnode.relNode}${FORK_NAMES[fork]!} blk ${blkno}`;
  if (!block.hasImage) return where;
  const use = block.applyImage ? ' FPW' : ' FPW for WAL verification';
  return (block.bimgInfo & BKPIMAGE_COMPRESSED) === 0 ? where + use : `${where}${use}, compression saved: ?`;
}
