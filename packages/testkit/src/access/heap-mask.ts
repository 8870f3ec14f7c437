/**
 * Blanks what replay does not reproduce in a heap page (heap_mask of PostgreSQL's WAL consistency
 * check): hint bits, command ids, hints in the header, the hole.
 */
import {
  pageGetItem,
  pageGetItemId,
  pageGetLower,
  pageGetMaxOffsetNumber,
  pageGetUpper,
  pageSetFlags,
  pageSetPruneXid,
  PD_ALL_VISIBLE,
  pageGetFlags,
} from '@pgtroupe/storage/page/bufpage';
import { itemIdIsNormal } from '@pgtroupe/storage/page/itemid';
import {
  getInfomask,
  HEAP_COMBOCID,
  HEAP_XMAX_COMMITTED,
  HEAP_XMAX_INVALID,
  HEAP_XMIN_FROZEN,
  setInfomask,
  type TupleMemory,
} from '@pgtroupe/access/common/htup';

/** The page's bytes, masked, as text that a failed comparison can show. */
export function maskedHeapPage(mem: TupleMemory, page: number): string {
  const bytes = mem.u8.slice(page, page + 8192);
  const copy: TupleMemory = {
    u8: bytes,
    u16: new Uint16Array(bytes.buffer),
    i32: new Int32Array(bytes.buffer),
    u32: new Uint32Array(bytes.buffer),
    view: new DataView(bytes.buffer),
  };
  if (pageGetUpper(copy, 0) === 0) return 'new';
  copy.u16[4] = 0;
  pageSetFlags(copy, 0, pageGetFlags(copy, 0) & PD_ALL_VISIBLE);
  pageSetPruneXid(copy, 0, 0 as never);
  bytes.fill(0, pageGetLower(copy, 0), pageGetUpper(copy, 0));
  for (let off = 1; off <= pageGetMaxOffsetNumber(copy, 0); off++) {
    if (!itemIdIsNormal(pageGetItemId(copy, 0, off))) continue;
    const tup = pageGetItem(copy, 0, off);
    const mask = getInfomask(copy, tup);
    const frozen = (mask & HEAP_XMIN_FROZEN) === HEAP_XMIN_FROZEN;
    setInfomask(
      copy,
      tup,
      mask & ~(HEAP_COMBOCID | HEAP_XMAX_COMMITTED | HEAP_XMAX_INVALID | (frozen ? 0 : HEAP_XMIN_FROZEN)),
    );
    copy.u32[(tup + 8) >>> 2] = 0;
  }
  return Buffer.from(bytes)
    .toString('hex')
    .replace(/(0{64})+/g, run => `<${run.length / 2} zeros>`);
}
