/** Pages made elsewhere, put at the end of a relation's file, each with its image in WAL (log_newpage). */
import type { InstanceKernel } from '@pgtroupe/instance/instance-kernel';
import { assert } from '@pgtroupe/common/assert';
import { type BlockNumber, MAIN_FORKNUM } from '@pgtroupe/common/ids';
import { MISS, type SmgrRelation } from '@pgtroupe/storage/buffer/pages';
import { RM_XLOG_ID } from '@pgtroupe/transam/rmgr';
import { REGBUF_FORCE_IMAGE, REGBUF_STANDARD } from '@pgtroupe/transam/xloginsert';
import { XLOG_FPI } from '@pgtroupe/transam/xlogrmgr';

/** The page becomes block `blk` of a file that nobody else extends. 0, or MISS. */
export function logNewPage(
  kernel: InstanceKernel,
  smgr: SmgrRelation,
  blk: number,
  image: Uint8Array,
): 0 | typeof MISS {
  const fresh = kernel.pages.newBlock(smgr, MAIN_FORKNUM);
  if (fresh === MISS) return MISS;
  assert(fresh === blk, `block ${fresh} of a new relation is not ${blk}`);
  const page = kernel.pages.exclusive(smgr, MAIN_FORKNUM, blk as BlockNumber);
  if (page === MISS) return MISS;
  kernel.pages.mem.u8.set(image, page);
  logPage(kernel, page);
  kernel.pages.useNewBlock(smgr, MAIN_FORKNUM, blk as BlockNumber);
  return 0;
}

/** The whole of a page that was just changed. */
export function logPage({ wal }: InstanceKernel, page: number): void {
  wal.begin();
  wal.registerBuffer(0, page, REGBUF_FORCE_IMAGE | REGBUF_STANDARD);
  wal.insert(RM_XLOG_ID, XLOG_FPI);
}
