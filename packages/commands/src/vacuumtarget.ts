/**
 * A table that VACUUM or ANALYZE is to look at: locked, there, of the right kind, and the user may (vacuum_open_relation,
 * vacuum_is_permitted_for_relation).
 */
import type { Form_pg_class } from '@pgtroupe/catalog/catalogs/pg_class';
import { withCatalog } from '@pgtroupe/catalog/catalogmiss';
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import { DATABASEOID } from '@pgtroupe/catalog/syscache';
import { ERRCODE, type Sqlstate } from '@pgtroupe/common/errcodes';
import type { Oid } from '@pgtroupe/common/ids';
import { PG_CATALOG_NAMESPACE } from '@pgtroupe/common/oids';
import { ACCESS_EXCLUSIVE_LOCK, SHARE_UPDATE_EXCLUSIVE_LOCK } from '@pgtroupe/storage/lmgr/locktag';
import type { CommandRunner } from './command-runner.ts';
import { isLockRefusal } from './rangevar.ts';
import type { VacuumOptions } from './vacuumoptions.ts';

export interface Target {
  readonly oid: Oid;
  /** As the statement named it; undefined: it did not. */
  readonly name: string | undefined;
  /** What ANALYZE shall look at; empty: all. */
  readonly columns: readonly string[];
}

/** Takes the lock, or tells under SKIP_LOCKED that it is not to be had, and answers undefined. */
export async function lockToVacuum<T>(
  runner: CommandRunner,
  name: string | undefined,
  options: VacuumOptions,
  lock: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await lock();
  } catch (error) {
    if (!options.skipLocked || !isLockRefusal(runner, error)) throw error;
    skipping(runner, name, options, ERRCODE.LOCK_NOT_AVAILABLE, 'lock not available');
    return undefined;
  }
}

function skipping(
  { session }: CommandRunner,
  name: string | undefined,
  options: VacuumOptions,
  sqlstate: Sqlstate,
  why: string,
): void {
  if (name === undefined) return;
  const level = options.automatic === undefined ? 'WARNING' : 'LOG';
  session.notice(level, sqlstate, `skipping ${options.vacuum ? 'vacuum' : 'analyze'} of "${name}" --- ${why}`);
}

export async function mayVacuumOrNotice(runner: CommandRunner, rel: RelationDesc, vacuum: boolean): Promise<boolean> {
  if (await withCatalog(() => mayVacuum(runner, rel.rel))) return true;
  runner.session.notice('WARNING', ERRCODE.WARNING, skippedForRights(rel, vacuum ? 'vacuum' : 'analyze'));
  return false;
}

/** The table, locked, if it is still there and the user may do it; else undefined, and the client has been told. */
export async function openTarget(
  runner: CommandRunner,
  { oid, name }: Target,
  options: VacuumOptions,
  kinds: string,
): Promise<RelationDesc | undefined> {
  const { session, analysis } = runner;
  const { kernel } = session.instance;
  const database = session.database.oid as Oid;
  const locked = await lockToVacuum(runner, name, options, async () => {
    const mode = options.vacuum && options.full ? ACCESS_EXCLUSIVE_LOCK : SHARE_UPDATE_EXCLUSIVE_LOCK;
    await kernel.locks.relation(session.owner, database, oid, mode, options.skipLocked);
    return true;
  });
  if (locked === undefined) return undefined;
  await kernel.shared.renewHorizon();
  const rel = await withCatalog(() => analysis.catalog.relation(oid));
  if (rel === null) {
    skipping(runner, name, options, ERRCODE.UNDEFINED_TABLE, 'relation no longer exists');
    return undefined;
  }
  if (!(await mayVacuumOrNotice(runner, rel, options.vacuum))) return undefined;
  if (!kinds.includes(rel.rel.relkind)) {
    const what = options.vacuum ? 'vacuum' : 'analyze';
    const message = `skipping "${rel.name}" --- cannot ${what} non-tables or special system tables`;
    session.notice('WARNING', ERRCODE.WARNING, message);
    return undefined;
  }
  return rel;
}

/** Its owner, or the database's if the table is no shared one. */
function mayVacuum({ analysis, functions }: CommandRunner, rel: Form_pg_class): boolean {
  const acl = analysis.acl();
  const me = functions.currentUserId;
  const database = rel.relisshared ? null : analysis.catalog.search(DATABASEOID, functions.databaseId);
  return acl.hasPrivsOfRole(me, rel.relowner) || (database !== null && acl.hasPrivsOfRole(me, database.datdba));
}

function skippedForRights({ name, rel }: RelationDesc, what: string): string {
  const who = rel.relisshared
    ? 'superuser'
    : rel.relnamespace === PG_CATALOG_NAMESPACE
      ? 'superuser or database owner'
      : 'table or database owner';
  return `skipping "${name}" --- only ${who} can ${what} it`;
}
