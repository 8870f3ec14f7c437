/** The transaction's own id (xid8funcs.c), as txid_current and pg_current_xact_id tell it. */
import type { Datum } from '@pgtroupe/common/datum';
import { notSupported } from '@pgtroupe/common/ereport';
import { int8Datum } from './numutils.ts';
import type { FunctionCall, FunctionTable } from './fmgr.ts';

/** The session's transaction (SessionSettings.transactionIds). */
export interface TransactionIds {
  /** Of the top transaction, 64 bits wide; undefined when none was assigned. */
  readonly current: number | undefined;
  /** The running statement's; undefined where there is none. */
  readonly snapshot: { readonly xmin: number; readonly xmax: number; readonly xip: readonly number[] } | undefined;
  /** Assigns one if there is none. May throw CatalogMiss, and is called again then. */
  assign(): number;
}

function ids(fc: FunctionCall): TransactionIds {
  const found = fc.settings.transactionIds;
  if (found === undefined) throw notSupported('a transaction id here');
  return found;
}

export const xid8Functions: FunctionTable = {
  pg_current_xact_id: (fc: FunctionCall): Datum => int8Datum(BigInt(ids(fc).assign())),
  pg_current_xact_id_if_assigned: (fc: FunctionCall): Datum => {
    const { current } = ids(fc);
    return current === undefined ? null : int8Datum(BigInt(current));
  },
};
