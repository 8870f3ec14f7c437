/**
 * The visibility map (fork 2): two bits for every heap block, in pages with a plain header.
 *
 *      bit 0  ALL_VISIBLE   every tuple on the block is visible to everyone; index-only scans trust it
 *      bit 1  ALL_FROZEN    and frozen; vacuums against wraparound skip it. Implies bit 0.
 *
 * A set bit needs PD_ALL_VISIBLE on the heap page. Clearing happens in the same stretch as the heap
 * change and is logged by that record's flag (see VM_BLOCK_ID in heapam-xlog.ts); setting has a record
 * of its own. The map may end early: blocks behind its end have no bits.
 */
import { BLCKSZ, type BlockNumber, VISIBILITYMAP_FORKNUM } from '@pgtroupe/common/ids';
import { MISS, type PageAccess, type SmgrRelation } from '@pgtroupe/storage/buffer/pages';
import { SIZE_OF_PAGE_HEADER } from '@pgtroupe/storage/page/bufpage';
import type { TupleMemory } from '../common/htup.ts';

export const VISIBILITYMAP_ALL_VISIBLE = 0x01;
export const VISIBILITYMAP_ALL_FROZEN = 0x02;
export const VISIBILITYMAP_VALID_BITS = 0x03;

const HEAPBLOCKS_PER_BYTE = 4;
export const HEAPBLOCKS_PER_PAGE = (BLCKSZ - SIZE_OF_PAGE_HEADER) * HEAPBLOCKS_PER_BYTE;
/** The map has no page for the block. */
export const NO_MAP_PAGE = -2;

/** Map page that has the block's bits. */
export function vmBlock(heapBlk: number): BlockNumber {
  return Math.floor(heapBlk / HEAPBLOCKS_PER_PAGE) as BlockNumber;
}

function vmByte(heapBlk: number): number {
  return SIZE_OF_PAGE_HEADER + Math.floor((heapBlk % HEAPBLOCKS_PER_PAGE) / HEAPBLOCKS_PER_BYTE);
}

function vmShift(heapBlk: number): number {
  return (heapBlk % HEAPBLOCKS_PER_BYTE) * 2;
}

/** The block's bits, or MISS. Index-only scans must have read their index page before. */
export function visibilitymapGetStatus(pages: PageAccess, rel: SmgrRelation, heapBlk: number): number {
  const page = vmPage(pages, rel, heapBlk, false);
  if (page === MISS) return MISS;
  return page === NO_MAP_PAGE ? 0 : vmGetBits(pages.mem, page, heapBlk);
}

/** The map page of a heap block, held exclusively when `exclusive`; MISS or NO_MAP_PAGE. */
export function vmPage(pages: PageAccess, rel: SmgrRelation, heapBlk: number, exclusive: boolean): number {
  const blocks = pages.nblocks(rel, VISIBILITYMAP_FORKNUM);
  if (blocks === MISS) return MISS;
  const blk = vmBlock(heapBlk);
  if (blk >= blocks) return NO_MAP_PAGE;
  return exclusive ? pages.exclusive(rel, VISIBILITYMAP_FORKNUM, blk) : pages.share(rel, VISIBILITYMAP_FORKNUM, blk);
}

export function vmGetBits(mem: TupleMemory, page: number, heapBlk: number): number {
  return (mem.u8[page + vmByte(heapBlk)]! >>> vmShift(heapBlk)) & VISIBILITYMAP_VALID_BITS;
}

/** Clears `bits` of the block; true when one was set. */
export function vmClearBits(mem: TupleMemory, page: number, heapBlk: number, bits: number): boolean {
  const at = page + vmByte(heapBlk);
  const mask = bits << vmShift(heapBlk);
  if ((mem.u8[at]! & mask) === 0) return false;
  mem.u8[at]! &= ~mask;
  return true;
}

export function vmSetBits(mem: TupleMemory, page: number, heapBlk: number, bits: number): void {
  mem.u8[page + vmByte(heapBlk)]! |= bits << vmShift(heapBlk);
}

/** Clears the bits of all blocks from `heapBlk` on that the page has. */
export function vmClearFrom(mem: TupleMemory, page: number, heapBlk: number): void {
  const at = page + vmByte(heapBlk);
  mem.u8[at]! &= (1 << vmShift(heapBlk)) - 1;
  mem.u8.fill(0, at + 1, page + BLCKSZ);
}
