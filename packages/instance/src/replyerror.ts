/** What the buffer-manager answered instead of doing what it was asked. */
import { ERRCODE, type Sqlstate } from '@pgtroupe/common/errcodes';
import { PgError } from '@pgtroupe/common/ereport';

export function replyError({ sqlstate, message }: { readonly sqlstate: string; readonly message: string }): PgError {
  const hint = sqlstate === ERRCODE.DISK_FULL ? 'Check free disk space.' : undefined;
  return new PgError(sqlstate as Sqlstate, message, { hint });
}
