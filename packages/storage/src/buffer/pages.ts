/**
 * What access methods program against: pages of relations that this instance holds tokens on.
 *
 * RULES
 * 1. Access-method code is synchronous. A function either does all of its work or returns MISS,
 *    having changed nothing and having left in `want` what it lacks. The caller (only the session
 *    driver awaits) obtains it and calls again from the start. So between two awaits nothing is
 *    half done, and a page token can be recalled at any event-loop turn without harm.
 * 2. Obtain every page you will change (`exclusive`), and everything else you need (xid, new pages,
 *    outcome of transactions), before the first change. Then change and log in one stretch.
 *    A changed page must be registered with the WAL record that describes the change.
 * 3. Never keep a page offset across a return to the driver: the slot may have been reused.
 * 4. Hint bits may be set on a page held in any mode; they are not logged and never make a
 *    page dirty: they travel only with pages that real records changed.
 *
 * Offsets are byte offsets into `mem.u8`; a page is BLCKSZ bytes at an 8192-aligned offset, so
 * aligned 16- and 32-bit views may be used on every MAXALIGNed item in it.
 */
import type { BlockNumber, ForkNumber, Oid, RelFileNode } from '@pgtroupe/common/ids';

/** Not here yet; see `PageAccess.want`. */
export const MISS = -1;
/** Answer of `freePage`: the free space map knows none. */
export const NO_BLOCK = -2;

/** The instance's memory: one buffer, so that a page or a copied tuple is just an integer. */
export interface Memory {
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly i32: Int32Array;
  readonly u32: Uint32Array;
  readonly view: DataView;
  readonly buffer: Buffer;
}

/** A relation's files as this instance knows them; one object per RelFileNode (see `smgropen`). */
export interface SmgrRelation {
  readonly rnode: RelFileNode;
  /** Heap block that got the last row here, -1 unknown (smgr_targblock). A hint; void when the relation is truncated. */
  targetBlock: number;
}

/** A row that somebody waits for, and the lock mode (LockTupleMode's heavyweight one) that he wants it in. */
export interface TupleWait {
  readonly db: Oid;
  readonly rel: Oid;
  readonly blk: number;
  readonly off: number;
  readonly mode: number;
}

/** What a synchronous function lacked. Satisfied by `await kernel.satisfy(want)`. */
export type Want =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'page';
      readonly rel: SmgrRelation;
      readonly fork: ForkNumber;
      readonly blk: BlockNumber;
      readonly exclusive: boolean;
    }
  | { readonly kind: 'nblocks'; readonly rel: SmgrRelation; readonly fork: ForkNumber }
  | { readonly kind: 'extend'; readonly rel: SmgrRelation; readonly fork: ForkNumber }
  | { readonly kind: 'freePage'; readonly rel: SmgrRelation; readonly need: number }
  /** The reserve of transaction ids is used up. */
  | { readonly kind: 'xids' }
  /** The outcome of a transaction is not known here. */
  | { readonly kind: 'clog'; readonly page: number }
  /** Wait until this transaction ends (row lock held by another), in turn with others who want the row. */
  | { readonly kind: 'xactWait'; readonly fxid: number; readonly tuple: TupleWait | undefined }
  /** Anything else that must be awaited before trying again, for example loading a catalog entry. */
  | { readonly kind: 'await'; readonly run: () => Promise<void>; readonly waitEvent?: `IO/${string}` };

export interface PageAccess {
  readonly mem: Memory;
  /** What the last MISS lacked. */
  want: Want;
  /** The page for reading, or MISS. */
  share(rel: SmgrRelation, fork: ForkNumber, blk: BlockNumber): number;
  /** The page for changing, or MISS. */
  exclusive(rel: SmgrRelation, fork: ForkNumber, blk: BlockNumber): number;
  /** Current length in blocks (covers every block that a visible commit added), or MISS. */
  nblocks(rel: SmgrRelation, fork: ForkNumber): number;
  /** Block number of a fresh, all-zero page at the end, held exclusively; or MISS. Taking it twice
   *  without `useNewBlock` yields the same block, so a retried function does not leak pages. Whoever
   *  needs several asks for `nth` 0, 1, ... and then uses them in this order. */
  newBlock(rel: SmgrRelation, fork: ForkNumber, nth?: number): number;
  /** The block returned by `newBlock` is now initialised and logged. Part of the change stretch. */
  useNewBlock(rel: SmgrRelation, fork: ForkNumber, blk: BlockNumber): void;
  /** A block that probably has `need` free bytes; MISS, or NO_BLOCK. */
  freePage(rel: SmgrRelation, need: number): number;
  recordFreeSpace(rel: SmgrRelation, blk: BlockNumber, availBytes: number): void;
}
