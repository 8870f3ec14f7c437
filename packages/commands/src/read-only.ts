/**
 * What a READ ONLY transaction refuses: utility commands and functions here (PreventCommandIfReadOnly), plans in
 * ExecCheckXactReadOnly's place, the session's query execution.
 */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport } from '@pgtroupe/common/ereport';

/** `command` as the message names it: `CREATE TABLE`, `nextval()`. 25006 */
export function preventIfReadOnly(block: { readonly readOnly: boolean }, command: string): void {
  if (!block.readOnly) return;
  throw ereport(ERRCODE.READ_ONLY_SQL_TRANSACTION, `cannot execute ${command} in a read-only transaction`);
}
