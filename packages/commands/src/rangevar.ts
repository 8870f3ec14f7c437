/**
 * A relation that a statement names, looked up and locked outside of data definition: LOCK TABLE, COPY, VACUUM.
 */
import { rangeVarGetRelid, rangeVarText } from '@pgtroupe/catalog/namespace';
import { withCatalog } from '@pgtroupe/catalog/catalogmiss';
import type { RelationDesc } from '@pgtroupe/catalog/relcache';
import { NAMESPACENAME } from '@pgtroupe/catalog/syscache';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, PgError } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { relationTag } from '@pgtroupe/storage/lmgr/locktag';
import { rangeVarName } from './command-context.ts';
import type { CommandRunner } from './command-runner.ts';
import { lockWhatIsMeant } from './lockedlookup.ts';

interface RelationLockOptions {
  readonly nowait?: boolean;
  /** Throws when the user must not even wait for the lock. May throw a CatalogMiss. */
  readonly mayLock?: (oid: Oid) => void;
}

/** Did the lock fail since somebody has it, and not since the statement shall stop? A lock_timeout has the same SQLSTATE. */
export function isLockRefusal({ session }: CommandRunner, error: unknown): boolean {
  return error instanceof PgError && error.sqlstate === ERRCODE.LOCK_NOT_AVAILABLE && error !== session.owner.interrupt;
}

/** OID of the relation, locked. Fails with 42P01 if there is none. */
export async function lockRangeVar(
  runner: CommandRunner,
  rangeVar: RawNode,
  mode: number,
  { nowait = false, mayLock }: RelationLockOptions = {},
): Promise<Oid> {
  const { analysis, session } = runner;
  const { locks } = session.instance.kernel;
  const database = session.database.oid as Oid;
  const name = rangeVarName(rangeVar);
  const oid = await lockWhatIsMeant({
    find: async () => {
      await analysis.refresh();
      return withCatalog(() =>
        rangeVarGetRelid(analysis.catalog, analysis.searchPathInfo(), name, session.database.name),
      );
    },
    mayLock: mayLock === undefined ? undefined : found => withCatalog(() => mayLock(found)),
    lock: async found => {
      const held = locks.holds(session.owner, relationTag(database, found), mode);
      if (!held) await locks.relation(session.owner, database, found, mode, nowait);
      return !held;
    },
    unlock: found => locks.giveBack(session.owner, relationTag(database, found), mode),
  });
  if (oid !== 0) return oid;
  const { schemaname } = name;
  if (schemaname !== '' && (await withCatalog(() => analysis.catalog.search(NAMESPACENAME, schemaname))) === null)
    throw ereport(ERRCODE.UNDEFINED_SCHEMA, `schema "${schemaname}" does not exist`);
  throw ereport(ERRCODE.UNDEFINED_TABLE, `relation "${rangeVarText(name)}" does not exist`);
}

/** The relation, locked. */
export async function openRangeVar(runner: CommandRunner, rangeVar: RawNode, mode: number): Promise<RelationDesc> {
  const oid = await lockRangeVar(runner, rangeVar, mode);
  const { catalog } = runner.analysis;
  const rel = await withCatalog(() => catalog.relation(oid));
  if (rel === null) throw ereport(ERRCODE.INTERNAL_ERROR, `could not open relation with OID ${oid}`);
  return rel;
}
