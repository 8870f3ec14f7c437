/**
 * Building WAL records, as xloginsert.c does. Synchronous, into one reused buffer: part of the
 * change stretch (see storage/buffer/pages.ts, rule 2).
 *
 *   wal.begin();
 *   wal.registerBuffer(0, page, REGBUF_STANDARD);   // page = offset from `exclusive`
 *   wal.bufData(0, bytes, from, length);
 *   wal.data(bytes, from, length);
 *   wal.insert(RM_HEAP_ID, XLOG_HEAP_INSERT);
 *
 * The inserter decides on full-page images (checkpoint number per page, force-FPI window) and
 * marks the registered pages as changed. The position in WAL is the buffer-manager's to give.
 */
export const REGBUF_FORCE_IMAGE = 0x01;
export const REGBUF_NO_IMAGE = 0x02;
/** Page is re-initialised on replay: no image needed, BKPBLOCK_WILL_INIT. */
export const REGBUF_WILL_INIT = 0x04 | 0x02;
/** Standard page layout: the hole between pd_lower and pd_upper is left out of the image. */
export const REGBUF_STANDARD = 0x08;
/** Block data is kept even when an image is taken. */
export const REGBUF_KEEP_DATA = 0x10;

export interface XLogInserter {
  begin(): void;
  registerBuffer(blockId: number, page: number, flags: number): void;
  /** Appends data belonging to a block; dropped when an image replaces it. */
  bufData(blockId: number, source: Uint8Array, from: number, length: number): void;
  /** Appends main data. */
  data(source: Uint8Array, from: number, length: number): void;
  /** Forms the record under the current transaction's id and queues it. Returns its number. */
  insert(rmid: number, info: number): number;
}
