/**
 * pg_xact: two bits per transaction. Page arithmetic, as clog.c has it.
 *
 *   byte xid/4 of the log, bits 2*(xid%4); 0 in progress, 1 committed, 2 aborted, 3 subcommitted
 *   32768 transactions per 8 kB page, 32 pages per segment file `pg_xact/NNNN`
 */
import type { TransactionId } from '@pgtroupe/common/ids';

export const TRANSACTION_STATUS_IN_PROGRESS = 0;
export const TRANSACTION_STATUS_COMMITTED = 1;
export const TRANSACTION_STATUS_ABORTED = 2;
export const TRANSACTION_STATUS_SUB_COMMITTED = 3;
export const CLOG_XACTS_PER_PAGE = 32768;
export const SLRU_PAGES_PER_SEGMENT = 32;

export function transactionIdToPage(xid: TransactionId): number {
  return Math.floor(xid / CLOG_XACTS_PER_PAGE);
}

export function getStatusBits(page: Uint8Array, xid: TransactionId): number {
  const index = xid % CLOG_XACTS_PER_PAGE;
  return (page[index >> 2]! >> ((index & 3) * 2)) & 3;
}

export function setStatusBits(page: Uint8Array, xid: TransactionId, status: number): void {
  const index = xid % CLOG_XACTS_PER_PAGE;
  const shift = (index & 3) * 2;
  page[index >> 2] = (page[index >> 2]! & ~(3 << shift)) | (status << shift);
}

/** `pg_xact/0000` and the byte offset of the page in it. */
export function slruFile(folder: string, page: number): { readonly path: string; readonly positionBytes: number } {
  const segment = Math.floor(page / SLRU_PAGES_PER_SEGMENT);
  return {
    path: `${folder}/${segment.toString(16).toUpperCase().padStart(4, '0')}`,
    positionBytes: (page % SLRU_PAGES_PER_SEGMENT) * 8192,
  };
}
