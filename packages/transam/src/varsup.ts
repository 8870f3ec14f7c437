/**
 * How far transaction ids may run ahead of the oldest one in a table, and what is said before they may not
 * (varsup.c: SetTransactionIdLimit, GetNewTransactionId).
 */

/** No id may be as far as 2^31 from the oldest one in a table. */
export const XID_WRAP_DISTANCE = 2 ** 31 - 1;
/** From here on none is given out. */
export const XID_STOP_DISTANCE = XID_WRAP_DISTANCE - 3_000_000;
/** From here on whoever takes one is warned. */
export const XID_WARN_DISTANCE = XID_WRAP_DISTANCE - 40_000_000;

const OR_WHAT_HOLDS_IT_BACK =
  'You might also need to commit or roll back old prepared transactions, or drop stale replication slots.';

export const XID_STOP_HINT = `Stop the postmaster and vacuum that database in single-user mode.\n${OR_WHAT_HOLDS_IT_BACK}`;
export const XID_WARN_HINT = `To avoid a database shutdown, execute a database-wide VACUUM in that database.\n${OR_WHAT_HOLDS_IT_BACK}`;
