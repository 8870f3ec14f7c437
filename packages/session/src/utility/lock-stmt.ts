/**
 * LOCK TABLE.
 */
import { ACL_DELETE, ACL_INSERT, ACL_SELECT, ACL_TRUNCATE, ACL_UPDATE } from '@pgtroupe/catalog/acl';
import { rangeVarText } from '@pgtroupe/catalog/namespace';
import { RELOID } from '@pgtroupe/catalog/syscache';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { rangeVarName } from '@pgtroupe/commands/command-context';
import { checkRelation } from '@pgtroupe/commands/permissions';
import { isLockRefusal, lockRangeVar } from '@pgtroupe/commands/rangevar';
import { ACCESS_SHARE_LOCK, ROW_EXCLUSIVE_LOCK } from '@pgtroupe/storage/lmgr/locktag';
import type { StatementRunner } from '../statement-runner.ts';

export async function lockStmt(runner: StatementRunner, raw: RawNode): Promise<string> {
  const { session } = runner;
  session.block.require('LOCK TABLE');
  const nowait = raw['nowait'] === true;
  const mode: number = raw['mode'];
  for (const rangeVar of raw['relations'] as RawNode[]) {
    try {
      await lockRangeVar(runner, rangeVar, mode, { nowait, mayLock: oid => checkMayLock(runner, oid, mode) });
    } catch (error) {
      throw nowait && isLockRefusal(runner, error) ? notAvailable(rangeVar) : error;
    }
  }
  return 'LOCK TABLE';
}

function notAvailable(rangeVar: RawNode): Error {
  return ereport(
    ERRCODE.LOCK_NOT_AVAILABLE,
    `could not obtain lock on relation "${rangeVarText(rangeVarName(rangeVar))}"`,
  );
}

/** Any right that a statement would take such a lock with. May throw a CatalogMiss. */
function checkMayLock({ analysis, functions }: StatementRunner, oid: Oid, mode: number): void {
  const writes = ACL_UPDATE | ACL_DELETE | ACL_TRUNCATE;
  const right = mode === ACCESS_SHARE_LOCK ? ACL_SELECT : mode === ROW_EXCLUSIVE_LOCK ? ACL_INSERT | writes : writes;
  const rel = analysis.catalog.search(RELOID, oid);
  if (rel !== null) checkRelation(analysis.acl(), rel, functions.currentUserId, right);
}
