/**
 * The heap's records in words, as pg_waldump prints them (rmgrdesc/heapdesc.c), and the two resource
 * managers for packages/redo.
 */
import type { XLogRecord } from '@pgtroupe/transam/xlogrecord';
import type { RmgrRoutine } from '../common/xlogutils.ts';
import { heap2Redo, heapExtraBlocks, heapRedo } from './heapam-redo.ts';
import {
  XLHL_KEYS_UPDATED,
  XLHL_XMAX_EXCL_LOCK,
  XLHL_XMAX_IS_MULTI,
  XLHL_XMAX_KEYSHR_LOCK,
  XLHL_XMAX_LOCK_ONLY,
  XLOG_HEAP2_FREEZE_PAGE,
  XLOG_HEAP2_LOCK_UPDATED,
  XLOG_HEAP2_MULTI_INSERT,
  XLOG_HEAP2_NEW_CID,
  XLOG_HEAP2_PRUNE,
  XLOG_HEAP2_REWRITE,
  XLOG_HEAP2_VACUUM,
  XLOG_HEAP2_VISIBLE,
  XLOG_HEAP_CONFIRM,
  XLOG_HEAP_DELETE,
  XLOG_HEAP_HOT_UPDATE,
  XLOG_HEAP_INIT_PAGE,
  XLOG_HEAP_INPLACE,
  XLOG_HEAP_INSERT,
  XLOG_HEAP_LOCK,
  XLOG_HEAP_OPMASK,
  XLOG_HEAP_TRUNCATE,
  XLOG_HEAP_UPDATE,
} from './heapam-xlog.ts';

const HEAP_NAMES: ReadonlyMap<number, string> = new Map([
  [XLOG_HEAP_INSERT, 'INSERT'],
  [XLOG_HEAP_DELETE, 'DELETE'],
  [XLOG_HEAP_UPDATE, 'UPDATE'],
  [XLOG_HEAP_TRUNCATE, 'TRUNCATE'],
  [XLOG_HEAP_HOT_UPDATE, 'HOT_UPDATE'],
  [XLOG_HEAP_CONFIRM, 'HEAP_CONFIRM'],
  [XLOG_HEAP_LOCK, 'LOCK'],
  [XLOG_HEAP_INPLACE, 'INPLACE'],
]);
const HEAP2_NAMES: ReadonlyMap<number, string> = new Map([
  [XLOG_HEAP2_REWRITE, 'REWRITE'],
  [XLOG_HEAP2_PRUNE, 'PRUNE'],
  [XLOG_HEAP2_VACUUM, 'VACUUM'],
  [XLOG_HEAP2_FREEZE_PAGE, 'FREEZE_PAGE'],
  [XLOG_HEAP2_VISIBLE, 'VISIBLE'],
  [XLOG_HEAP2_MULTI_INSERT, 'MULTI_INSERT'],
  [XLOG_HEAP2_LOCK_UPDATED, 'LOCK_UPDATED'],
  [XLOG_HEAP2_NEW_CID, 'NEW_CID'],
]);

function identify(names: ReadonlyMap<number, string>, info: number): string | undefined {
  const name = names.get(info & XLOG_HEAP_OPMASK);
  return name !== undefined && (info & XLOG_HEAP_INIT_PAGE) !== 0 ? `${name}+INIT` : name;
}

function infobitsText(infobits: number): string {
  return (
    ((infobits & XLHL_XMAX_IS_MULTI) !== 0 ? 'IS_MULTI ' : '') +
    ((infobits & XLHL_XMAX_LOCK_ONLY) !== 0 ? 'LOCK_ONLY ' : '') +
    ((infobits & XLHL_XMAX_EXCL_LOCK) !== 0 ? 'EXCL_LOCK ' : '') +
    ((infobits & XLHL_XMAX_KEYSHR_LOCK) !== 0 ? 'KEYSHR_LOCK ' : '') +
    ((infobits & XLHL_KEYS_UPDATED) !== 0 ? 'KEYS_UPDATED ' : '')
  );
}

function hex2(value: number): string {
  return `0x${value.toString(16).toUpperCase().padStart(2, '0')}`;
}

function heapDesc({ view, mainAt, info }: XLogRecord): string {
  const u8 = (at: number): number => view.getUint8(mainAt + at);
  const u16 = (at: number): number => view.getUint16(mainAt + at, true);
  const u32 = (at: number): number => view.getUint32(mainAt + at, true);
  switch (info & XLOG_HEAP_OPMASK) {
    case XLOG_HEAP_INSERT:
      return `off ${u16(0)} flags ${hex2(u8(2))}`;
    case XLOG_HEAP_DELETE:
      return `off ${u16(4)} flags ${hex2(u8(7))} ${infobitsText(u8(6))}`;
    case XLOG_HEAP_UPDATE:
    case XLOG_HEAP_HOT_UPDATE:
      return `off ${u16(4)} xmax ${u32(0)} flags ${hex2(u8(7))} ${infobitsText(u8(6))}; new off ${u16(12)} xmax ${u32(8)}`;
    case XLOG_HEAP_TRUNCATE: {
      const relids = Array.from({ length: u32(4) }, (_, i) => ` ${u32(12 + 4 * i)}`).join('');
      return `${(u8(8) & 1) !== 0 ? 'cascade ' : ''}${(u8(8) & 2) !== 0 ? 'restart_seqs ' : ''}nrelids ${u32(4)} relids${relids}`;
    }
    case XLOG_HEAP_LOCK:
      return `off ${u16(4)}: xid ${u32(0)}: flags ${hex2(u8(7))} ${infobitsText(u8(6))}`;
    default:
      return `off ${u16(0)}`;
  }
}

function heap2Desc({ view, mainAt, info }: XLogRecord): string {
  const u8 = (at: number): number => view.getUint8(mainAt + at);
  const u16 = (at: number): number => view.getUint16(mainAt + at, true);
  const u32 = (at: number): number => view.getUint32(mainAt + at, true);
  switch (info & XLOG_HEAP_OPMASK) {
    case XLOG_HEAP2_PRUNE:
      return `latestRemovedXid ${u32(0)} nredirected ${u16(4)} ndead ${u16(6)}`;
    case XLOG_HEAP2_VACUUM:
      return `nunused ${u16(0)}`;
    case XLOG_HEAP2_FREEZE_PAGE:
      return `cutoff xid ${u32(0)} ntuples ${u16(4)}`;
    case XLOG_HEAP2_VISIBLE:
      return `cutoff xid ${u32(0)} flags ${hex2(u8(4))}`;
    case XLOG_HEAP2_MULTI_INSERT:
      return `${u16(2)} tuples flags ${hex2(u8(0))}`;
    case XLOG_HEAP2_LOCK_UPDATED:
      return `off ${u16(4)}: xmax ${u32(0)}: flags ${hex2(u8(7))} ${infobitsText(u8(6))}`;
    case XLOG_HEAP2_NEW_CID:
      return (
        `rel ${u32(16)}/${u32(20)}/${u32(24)}; tid ${((u16(28) << 16) | u16(30)) >>> 0}/${u16(32)}` +
        `; cmin: ${u32(4)}, cmax: ${u32(8)}, combo: ${u32(12)}`
      );
    default:
      return '';
  }
}

export const heapRmgr: RmgrRoutine = {
  redo: heapRedo,
  desc: heapDesc,
  identify: info => identify(HEAP_NAMES, info),
  extraBlocks: heapExtraBlocks,
};
export const heap2Rmgr: RmgrRoutine = {
  redo: heap2Redo,
  desc: heap2Desc,
  identify: info => identify(HEAP2_NAMES, info),
  extraBlocks: heapExtraBlocks,
};
