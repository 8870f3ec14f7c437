/**
 * ALTER SYSTEM: judged here, where the catalogs are, and written by the postmaster. It is no part of any transaction.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';
import { withCatalog } from '@pgtroupe/catalog/catalogmiss';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import { configure } from '../configure.ts';
import type { Session } from '../session.ts';
import { setVariableText } from './variable-stmt.ts';

export async function alterSystemStmt(session: Session, raw: RawNode): Promise<string> {
  const { settings, block } = session;
  block.prevent('ALTER SYSTEM');
  const set = raw['setstmt'] as RawNode;
  if (set['kind'] === 'VAR_RESET_ALL') {
    if (!settings.user.current.superuser) {
      throw ereport(ERRCODE.INSUFFICIENT_PRIVILEGE, 'permission denied to perform ALTER SYSTEM RESET ALL');
    }
    await configure(session, { $case: 'alterSystem', value: { name: '', value: undefined } });
    return 'ALTER SYSTEM';
  }
  const name = set['name'] as string;
  const value = setVariableText(session, set);
  session.remark(await withCatalog(() => settings.checkSystem(name, value)));
  await configure(session, { $case: 'alterSystem', value: { name, value } });
  return 'ALTER SYSTEM';
}
