/**
 * A sequence's one page: special area with a magic number, and one row that is changed in place and
 * belongs to no transaction.
 *
 *      page header | line pointer 1 ...            tuple: header 24 bytes, xmin frozen
 *                                                    24  last_value  i64
 *                                                    32  log_cnt     i64
 *                                                    40  is_called   u8
 *      special area: u32 magic 0x1717
 *
 * Each change logs the whole row (XLOG_SEQ_LOG: RelFileNode, tuple), which replay puts on a fresh page.
 * PostgreSQL logs up to 32 values ahead and changes the page without logging in between; here a page's
 * changes travel only with records, so every change is logged, exactly, and log_cnt stays 0.
 *
 * The functions follow storage/buffer/pages.ts: all or MISS. `xact.currentXid` is asked for, so that
 * the commit of whoever drew a value waits for the record to be durable.
 */
import { assert } from '@pgtroupe/common/assert';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { type BlockNumber, FROZEN_TRANSACTION_ID, MAIN_FORKNUM } from '@pgtroupe/common/ids';
import { type Memory, MISS, type PageAccess, type SmgrRelation } from '@pgtroupe/storage/buffer/pages';
import { pageAddItem, pageGetItem, pageGetItemId, pageGetSpecial, pageInit } from '@pgtroupe/storage/page/bufpage';
import { itemIdGetLength } from '@pgtroupe/storage/page/itemid';
import { RM_SEQ_ID } from '@pgtroupe/transam/rmgr';
import { REGBUF_WILL_INIT, type XLogInserter } from '@pgtroupe/transam/xloginsert';
import type { XactView } from '@pgtroupe/transam/xactview';
import { XLR_RMGR_INFO_MASK, type XLogRecord } from '@pgtroupe/transam/xlogrecord';
import {
  HEAP_XMAX_INVALID,
  HEAP_XMIN_FROZEN,
  setCtid,
  setInfomask,
  setInfomask2,
  setXmin,
  tupleMemory,
} from '../common/htup.ts';
import { BLK_SKIP, type RedoContext, type RmgrRoutine } from '../common/xlogutils.ts';

export const SEQ_MAGIC = 0x1717;
export const XLOG_SEQ_LOG = 0x00;
const SIZEOF_SPECIAL = 8;
const SIZE_OF_XL_SEQ_REC = 12;
const HEADER = 24;
const TUPLE_SIZE = HEADER + 17;
const LAST_VALUE = HEADER;
const LOG_CNT = HEADER + 8;
const IS_CALLED = HEADER + 16;
const FIRST_OFFSET = 1;
const BLOCK = 0 as BlockNumber;

export interface SequenceContext {
  readonly pages: PageAccess;
  readonly wal: XLogInserter;
  readonly xact: XactView;
}

export interface SequenceRow {
  readonly lastValue: bigint;
  readonly isCalled: boolean;
}

/** How a sequence counts: columns of pg_sequence. */
export interface SequenceRules {
  readonly name: string;
  readonly increment: bigint;
  readonly min: bigint;
  readonly max: bigint;
  readonly cycle: boolean;
  /** Values drawn at once. */
  readonly cache: bigint;
}

const scratch = tupleMemory(new Uint8Array(TUPLE_SIZE + 7));
const header = new Uint8Array(SIZE_OF_XL_SEQ_REC);

/** The row as a tuple in `scratch`. */
function formRow(row: SequenceRow): void {
  scratch.u8.fill(0);
  setXmin(scratch, 0, FROZEN_TRANSACTION_ID);
  setCtid(scratch, 0, BLOCK, FIRST_OFFSET);
  setInfomask2(scratch, 0, 3);
  setInfomask(scratch, 0, HEAP_XMIN_FROZEN | HEAP_XMAX_INVALID);
  scratch.u8[22] = HEADER;
  scratch.view.setBigInt64(LAST_VALUE, row.lastValue, true);
  scratch.view.setBigInt64(LOG_CNT, 0n, true);
  scratch.u8[IS_CALLED] = row.isCalled ? 1 : 0;
}

/** Logs the row as it is on the page. */
function logRow({ pages, wal }: SequenceContext, rel: SmgrRelation, page: number): void {
  const view = new DataView(header.buffer);
  view.setUint32(0, rel.rnode.spcNode, true);
  view.setUint32(4, rel.rnode.dbNode, true);
  view.setUint32(8, rel.rnode.relNode, true);
  const itemId = pageGetItemId(pages.mem, page, FIRST_OFFSET);
  wal.begin();
  wal.registerBuffer(0, page, REGBUF_WILL_INIT);
  wal.data(header, 0, SIZE_OF_XL_SEQ_REC);
  wal.data(pages.mem.u8, pageGetItem(pages.mem, page, FIRST_OFFSET), itemIdGetLength(itemId));
  wal.insert(RM_SEQ_ID, XLOG_SEQ_LOG);
}

/** Changes the row where it lies, and logs it. */
function writeRow(context: SequenceContext, rel: SmgrRelation, page: number, row: SequenceRow): void {
  const { mem } = context.pages;
  const tuple = pageGetItem(mem, page, FIRST_OFFSET);
  mem.view.setBigInt64(tuple + LAST_VALUE, row.lastValue, true);
  mem.view.setBigInt64(tuple + LOG_CNT, 0n, true);
  mem.u8[tuple + IS_CALLED] = row.isCalled ? 1 : 0;
  logRow(context, rel, page);
}

function initPage(
  mem: Pick<Memory, 'u8' | 'u16' | 'u32'>,
  page: number,
  tuple: Uint8Array,
  from: number,
  size: number,
): void {
  pageInit(mem, page, SIZEOF_SPECIAL);
  mem.u32[(page + pageGetSpecial(mem, page)) >>> 2] = SEQ_MAGIC;
  const off = pageAddItem(mem, page, tuple, from, size, 0);
  assert(off === FIRST_OFFSET, 'a sequence has one row');
}

/** First row of a new sequence, in a file without pages. 0, or MISS. */
export function seqInit(context: SequenceContext, rel: SmgrRelation, row: SequenceRow): number {
  const { pages, xact } = context;
  if (xact.currentXid() === MISS) return MISS;
  const blk = pages.newBlock(rel, MAIN_FORKNUM);
  if (blk === MISS) return MISS;
  assert(blk === BLOCK, 'a new sequence has no page');
  const page = pages.exclusive(rel, MAIN_FORKNUM, BLOCK);
  if (page === MISS) return MISS;
  formRow(row);
  initPage(pages.mem, page, scratch.u8, 0, TUPLE_SIZE);
  logRow(context, rel, page);
  pages.useNewBlock(rel, MAIN_FORKNUM, BLOCK);
  return 0;
}

/** setval, and what RESTART does. 0, or MISS. */
export function seqSet(context: SequenceContext, rel: SmgrRelation, row: SequenceRow): number {
  const { pages, xact } = context;
  if (xact.currentXid() === MISS) return MISS;
  const page = pages.exclusive(rel, MAIN_FORKNUM, BLOCK);
  if (page === MISS) return MISS;
  checkPage(pages.mem, page, rel);
  writeRow(context, rel, page, row);
  return 0;
}

function checkPage(mem: Memory, page: number, rel: SmgrRelation): void {
  const magic = mem.u32[(page + pageGetSpecial(mem, page)) >>> 2]!;
  if (magic === SEQ_MAGIC) return;
  throw ereport(
    ERRCODE.DATA_CORRUPTED,
    `bad magic number in sequence ${rel.rnode.relNode}: ${magic.toString(16).toUpperCase().padStart(8, '0')}`,
  );
}

/** The row as it stands, or MISS. */
export function seqRead(pages: PageAccess, rel: SmgrRelation): SequenceRow | -1 {
  const page = pages.share(rel, MAIN_FORKNUM, BLOCK);
  if (page === MISS) return MISS;
  checkPage(pages.mem, page, rel);
  return rowAt(pages.mem, page);
}

function rowAt(mem: Memory, page: number): SequenceRow {
  const tuple = pageGetItem(mem, page, FIRST_OFFSET);
  return {
    lastValue: mem.view.getBigInt64(tuple + LAST_VALUE, true),
    isCalled: mem.u8[tuple + IS_CALLED] === 1,
  };
}

/** Values drawn by one seqNextval: the first, the last, `increment` apart. */
export interface Drawn {
  readonly first: bigint;
  readonly last: bigint;
}

/** Draws up to `cache` values, or MISS. */
export function seqNextval(context: SequenceContext, rel: SmgrRelation, rules: SequenceRules): Drawn | -1 {
  const { pages, xact } = context;
  if (xact.currentXid() === MISS) return MISS;
  const page = pages.exclusive(rel, MAIN_FORKNUM, BLOCK);
  if (page === MISS) return MISS;
  checkPage(pages.mem, page, rel);
  const drawn = draw(rowAt(pages.mem, page), rules);
  writeRow(context, rel, page, { lastValue: drawn.last, isCalled: true });
  return drawn;
}

function draw(row: SequenceRow, rules: SequenceRules): Drawn {
  const { increment, min, max, cycle, cache } = rules;
  let first = row.lastValue;
  let last = row.lastValue;
  let count = 0n;
  if (!row.isCalled) count = 1n;
  while (count < cache) {
    const next = last + increment;
    if (next > max || next < min) {
      // What was drawn so far is enough; the end is reported to whoever needs the next one.
      if (count > 0n) break;
      if (!cycle) {
        const [what, limit] = increment > 0n ? ['maximum', max] : ['minimum', min];
        throw ereport(
          ERRCODE.SEQUENCE_GENERATOR_LIMIT_EXCEEDED,
          `nextval: reached ${what} value of sequence "${rules.name}" (${limit})`,
        );
      }
      last = increment > 0n ? min : max;
    } else last = next;
    if (++count === 1n) first = last;
  }
  return { first, last };
}

function redo(record: XLogRecord, ctx: RedoContext): void {
  const page = ctx.initBufferForRedo(record, 0);
  if (page === BLK_SKIP) return;
  initPage(ctx.mem, page, record.bytes, record.mainAt + SIZE_OF_XL_SEQ_REC, record.mainLength - SIZE_OF_XL_SEQ_REC);
}

function desc(record: XLogRecord): string {
  const word = (n: number): number => record.view.getUint32(record.mainAt + 4 * n, true);
  return `rel ${word(0)}/${word(1)}/${word(2)}`;
}

export const seqRmgr: RmgrRoutine = {
  redo,
  desc,
  identify: info => ((info & XLR_RMGR_INFO_MASK) === XLOG_SEQ_LOG ? 'LOG' : undefined),
};
