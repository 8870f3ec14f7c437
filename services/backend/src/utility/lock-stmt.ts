/**
 * LOCK TABLE.
 */
import { ACL_DELETE, ACL_INSERT, ACL_SELECT, ACL_TRUNCATE, ACL_UPDATE } from '@pgtroupe/catalog/acl';
import { RELOID } from '@pgtroupe/catalog/syscache';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, PgError } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import { rangeVarGetRelid } from '@pgtroupe/catalog/namespace';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { checkRelation } from '@pgtroupe/commands/permissions';
import { ACCESS_SHARE_LOCK, ROW_EXCLUSIVE_LOCK } from '@pgtroupe/storage/lmgr/locktag';
import { withCatalog } from '@pgtroupe/catalog/catalogmiss';
import type { StatementRunner } from '../statement-runner.ts';

export async function lockStmt(runner: StatementRunner, raw: RawNode): Promise<string> {
  const { session, analysis } = runner;
  session.block.require('LOCK TABLE');
  for (const rangeVar of raw['relations'] as RawNode[]) {
    // What the name means now, and still means when the lock is there: whoever had it may have dropped the relation.
    let locked = 0 as Oid;
    for (;;) {
      await analysis.refresh();
      const oid = await withCatalog(() =>
        rangeVarGetRelid(analysis.catalog, analysis.searchPathInfo(), rangeVar as never, session.database.name),
      );
      if (oid === 0) throw ereport(ERRCODE.UNDEFINED_TABLE, `relation "${rangeVar['relname']}" does not exist`);
      if (oid === locked) break;
      await checkMayLock(runner, oid, raw['mode']);
      await lockRelation(runner, oid, rangeVar, raw);
      locked = oid;
    }
  }
  return 'LOCK TABLE';
}

async function lockRelation({ session }: StatementRunner, oid: Oid, rangeVar: RawNode, raw: RawNode): Promise<void> {
  const nowait = raw['nowait'] === true;
  try {
    const { locks } = session.instance.kernel;
    await locks.relation(session.owner, session.database.oid as Oid, oid, raw['mode'], nowait);
  } catch (error) {
    // A lock_timeout has the same SQLSTATE.
    const refused = nowait && error !== session.interrupt && error instanceof PgError;
    throw refused && error.sqlstate === ERRCODE.LOCK_NOT_AVAILABLE ? notAvailable(rangeVar) : error;
  }
}

function notAvailable({ schemaname, relname }: RawNode): Error {
  const name = schemaname === undefined ? relname : `${schemaname}.${relname}`;
  return ereport(ERRCODE.LOCK_NOT_AVAILABLE, `could not obtain lock on relation "${name}"`);
}

/** Any right that a statement would take such a lock with. */
async function checkMayLock({ analysis, functions }: StatementRunner, oid: Oid, mode: number): Promise<void> {
  const writes = ACL_UPDATE | ACL_DELETE | ACL_TRUNCATE;
  const right = mode === ACCESS_SHARE_LOCK ? ACL_SELECT : mode === ROW_EXCLUSIVE_LOCK ? ACL_INSERT | writes : writes;
  await withCatalog(() => {
    const rel = analysis.catalog.search(RELOID, oid);
    if (rel !== null) checkRelation(analysis.acl(), rel, functions.currentUserId, right);
  });
}
