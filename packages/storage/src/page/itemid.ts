/**
 * Line pointers: the 4-byte entries between page header and free space that say where an item is.
 *
 *     31            17 16   15 14             0
 *    +----------------+-------+----------------+
 *    | lp_len (15)    | flags | lp_off (15)    |
 *    +----------------+-------+----------------+
 *
 * lp_off counts from the page's first byte; a redirect keeps in it the number of the line pointer
 * it leads to. Only NORMAL ones (and, in indexes, DEAD ones) have storage: lp_len > 0.
 * A line pointer is handled as its 32-bit value, so reading one allocates nothing.
 */
export const LP_UNUSED = 0;
export const LP_NORMAL = 1;
/** Heap only: leads to the root of a HOT chain's surviving part. */
export const LP_REDIRECT = 2;
export const LP_DEAD = 3;

/** sizeof(ItemIdData). */
export const SIZEOF_ITEM_ID = 4;

export function makeItemId(off: number, flags: number, len: number): number {
  return (off | (flags << 15) | (len << 17)) >>> 0;
}

export function itemIdGetOffset(id: number): number {
  return id & 0x7fff;
}

export function itemIdGetFlags(id: number): number {
  return (id >>> 15) & 3;
}

export function itemIdGetLength(id: number): number {
  return id >>> 17;
}

export function itemIdIsUsed(id: number): boolean {
  return (id & 0x18000) !== 0;
}

export function itemIdIsNormal(id: number): boolean {
  return (id & 0x18000) === LP_NORMAL << 15;
}

export function itemIdIsRedirected(id: number): boolean {
  return (id & 0x18000) === LP_REDIRECT << 15;
}

export function itemIdIsDead(id: number): boolean {
  return (id & 0x18000) === LP_DEAD << 15;
}

export function itemIdHasStorage(id: number): boolean {
  return id >>> 17 !== 0;
}

/** The line pointer that a redirect leads to. */
export function itemIdGetRedirect(id: number): number {
  return id & 0x7fff;
}
