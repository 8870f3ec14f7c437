/**
 * How old the ids in tables may be (vacuum_set_xid_limits, vac_update_datfrozenxid and vac_truncate_clog in vacuum.c):
 * which ids a vacuum freezes, whether it has to visit every page, and what follows from it for the database and for
 * pg_xact.
 */
import type { HeapContext } from '@pgtroupe/access/heap/heapam-context';
import type { Catalog } from '@pgtroupe/catalog/catalog';
import { type Form_pg_database, pgDatabase } from '@pgtroupe/catalog/catalogs/pg_database';
import { DATABASEOID, RELOID } from '@pgtroupe/catalog/syscache';
import {
  FIRST_NORMAL_TRANSACTION_ID,
  type FullTransactionId,
  type Oid,
  type TransactionId,
  transactionIdPrecedes,
  xidFromFull,
} from '@pgtroupe/common/ids';
import { EXCLUSIVE_LOCK, LOCKTAG_DATABASE_FROZEN_IDS } from '@pgtroupe/storage/lmgr/locktag';
import { INVALID_MULTI_XACT_ID, type MultiXactId, multiXactIdPrecedes } from '@pgtroupe/transam/multixact';
import { withCatalog } from '@pgtroupe/catalog/catalogmiss';
import type { CommandRunner } from './command-runner.ts';
import { overwriteCatalogRow } from './vacuuminplace.ts';

export interface XidLimits {
  readonly oldestXmin: TransactionId;
  readonly freezeLimit: TransactionId;
  readonly aggressive: boolean;
  /** Somebody holds the horizon back: nothing young enough can be frozen. */
  readonly tooOld: boolean;
}

export function vacuumXidLimits(
  settings: { number(name: string): number },
  ids: { readonly oldestXmin: number; readonly nextXid: number; readonly relfrozenxid: TransactionId },
  freeze: boolean,
): XidLimits {
  const maxAge = settings.number('autovacuum_freeze_max_age');
  const minAge = freeze ? 0 : Math.min(settings.number('vacuum_freeze_min_age'), Math.floor(maxAge / 2));
  const tableAge = freeze ? 0 : Math.min(settings.number('vacuum_freeze_table_age'), Math.floor(maxAge * 0.95));
  const ago = (fxid: number, age: number): number => Math.max(FIRST_NORMAL_TRANSACTION_ID, fxid - age);
  const tooOld = ago(ids.oldestXmin, minAge) < ago(ids.nextXid, maxAge);
  const fullScanLimit = narrow(ago(ids.nextXid, tableAge));
  return {
    oldestXmin: narrow(ids.oldestXmin),
    freezeLimit: narrow(tooOld ? ids.oldestXmin : ago(ids.oldestXmin, minAge)),
    aggressive:
      freeze ||
      (ids.nextXid - tableAge > FIRST_NORMAL_TRANSACTION_ID && !transactionIdPrecedes(fullScanLimit, ids.relfrozenxid)),
    tooOld,
  };
}

/** Are the table's multixacts so old that every page must be visited? */
export function multisAreOld(
  settings: { number(name: string): number },
  nextMulti: MultiXactId,
  relminmxid: MultiXactId,
): boolean {
  const maxAge = settings.number('autovacuum_multixact_freeze_max_age');
  const age = Math.min(settings.number('vacuum_multixact_freeze_table_age'), Math.floor(maxAge * 0.95));
  return nextMulti > age && relminmxid !== INVALID_MULTI_XACT_ID && !multiXactIdPrecedes(nextMulti - age, relminmxid);
}

/** vacuum_xid_failsafe_check */
export function isFarBehind(
  settings: { number(name: string): number },
  nextXid: number,
  relfrozenxid: TransactionId,
  nextMulti: MultiXactId,
  relminmxid: MultiXactId,
): boolean {
  const limit = (name: string, maxAge: string): number =>
    Math.max(settings.number(name), Math.floor(settings.number(maxAge) * 1.05));
  const xidAge = limit('vacuum_failsafe_age', 'autovacuum_freeze_max_age');
  const xidLimit = narrow(Math.max(FIRST_NORMAL_TRANSACTION_ID, nextXid - xidAge));
  if (relfrozenxid >= FIRST_NORMAL_TRANSACTION_ID && transactionIdPrecedes(relfrozenxid, xidLimit)) return true;
  const multiAge = limit('vacuum_multixact_failsafe_age', 'autovacuum_multixact_freeze_max_age');
  return relminmxid !== INVALID_MULTI_XACT_ID && multiXactIdPrecedes(relminmxid, Math.max(1, nextMulti - multiAge));
}

function narrow(fxid: number): TransactionId {
  return xidFromFull(fxid as FullTransactionId);
}

/** After a VACUUM: the database is as old as the oldest of its tables, and pg_xact and pg_multixact as the oldest
 *  database. */
export async function updateDatFrozenXid(runner: CommandRunner, context: HeapContext): Promise<void> {
  const { session, analysis } = runner;
  const { kernel } = session.instance;
  // Who comes later must not make it older again.
  const tag = { locktype: LOCKTAG_DATABASE_FROZEN_IDS, f1: session.database.oid, f2: 0, f3: 0, f4: 0 };
  await kernel.locks.acquire(session.owner, tag, EXCLUSIVE_LOCK);
  await analysis.refresh();
  // Tables that are not visible yet are no older than this moment.
  let oldest = narrow(kernel.shared.oldestXmin);
  let { oldest: oldestMulti } = await kernel.multixacts.horizon();
  for (const { relkind, relfrozenxid, relminmxid } of await withCatalog(() => analysis.catalog.searchList(RELOID))) {
    if (!'rmt'.includes(relkind)) continue;
    if (relfrozenxid >= FIRST_NORMAL_TRANSACTION_ID && transactionIdPrecedes(relfrozenxid, oldest))
      oldest = relfrozenxid;
    if (relminmxid !== INVALID_MULTI_XACT_ID && multiXactIdPrecedes(relminmxid, oldestMulti)) oldestMulti = relminmxid;
  }
  const find = (): Promise<Form_pg_database | null> =>
    withCatalog(() => analysis.catalog.search(DATABASEOID, session.database.oid as Oid));
  const after = await overwriteCatalogRow(runner, context, pgDatabase as Catalog, find, own => {
    const { datfrozenxid, datminmxid } = own;
    const olderXid = transactionIdPrecedes(datfrozenxid, oldest);
    const olderMulti = multiXactIdPrecedes(datminmxid, oldestMulti);
    if (!olderXid && !olderMulti) return undefined;
    return {
      ...own,
      datfrozenxid: olderXid ? oldest : datfrozenxid,
      datminmxid: olderMulti ? (oldestMulti as TransactionId) : datminmxid,
    };
  });
  if (after === null) return;
  // Also if nothing changed: who changed it may have died before it came here.
  await truncate(runner, after);
}

/** vac_truncate_clog: the outcomes and members that no database asks for any more go. */
async function truncate({ session, analysis }: CommandRunner, own: Form_pg_database): Promise<void> {
  let byXid = own;
  let byMulti = own;
  for (const row of await withCatalog(() => analysis.catalog.searchList(DATABASEOID))) {
    if (row.oid === own.oid) continue;
    if (transactionIdPrecedes(row.datfrozenxid, byXid.datfrozenxid)) byXid = row;
    if (multiXactIdPrecedes(row.datminmxid, byMulti.datminmxid)) byMulti = row;
  }
  const { kernel } = session.instance;
  await kernel.oldestXid(byXid.datfrozenxid, byXid.oid);
  await kernel.multixacts.truncate(byMulti.datminmxid, byMulti.oid);
}
