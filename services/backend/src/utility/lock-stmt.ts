/**
 * LOCK TABLE.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import { rangeVarGetRelid } from '@pgtroupe/catalog/namespace';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { retryCatalog } from '../catalog-retry.ts';
import type { StatementRunner } from '../statement-runner.ts';

export async function lockStmt(runner: StatementRunner, raw: RawNode): Promise<string> {
  const { session, analysis } = runner;
  session.block.require('LOCK TABLE');
  for (const rangeVar of raw['relations'] as RawNode[]) {
    const oid = await retryCatalog(() =>
      rangeVarGetRelid(analysis.catalog, analysis.searchPathInfo(), rangeVar as never, session.database.name),
    );
    if (oid === 0) throw ereport(ERRCODE.UNDEFINED_TABLE, `relation "${rangeVar['relname']}" does not exist`);
    await session.instance.kernel.locks.relation(
      session.owner,
      session.database.oid as Oid,
      oid,
      raw['mode'],
      raw['nowait'] === true,
    );
  }
  return 'LOCK TABLE';
}
