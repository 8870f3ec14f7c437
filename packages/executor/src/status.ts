/**
 * What a plan node's `next` answers, and how an expression says that it cannot go on.
 *
 *   ROW    the node's batch holds at least one row
 *   END    no more rows; every further call answers END until a rescan
 *   MISS   something is lacking, named in PageAccess.want; the session driver obtains it
 *   YIELD  the time slice is used up; the session driver lets others run
 *
 * MISS and YIELD are negative: `if (r < 0) return r` passes a suspension up. A node that is asked
 * again continues where it stood.
 */
export const END = 0;
export const ROW = 1;
export { MISS } from '@pgtroupe/storage/buffer/pages';
export const YIELD = -2;

/** Rows that a batch holds at most. */
export const BATCH_ROWS = 256;

/**
 * Thrown through expressions when a value needs something that is not here; the reason is in
 * PageAccess.want. One object, made once: throwing it costs little. The operator repeats the row.
 */
export const SUSPEND: { readonly suspend: true } = Object.freeze({ suspend: true });
