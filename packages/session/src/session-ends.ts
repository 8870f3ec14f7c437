/** Why a session ends that did not say so itself. */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';

export function connectionLost(): PgError {
  return ereport(ERRCODE.CONNECTION_FAILURE, 'connection to client lost', { severity: 'FATAL' });
}

/** backend_type of a session that has no client, and works for itself. */
export const AUTOVACUUM_WORKER = 'autovacuum worker';

/** `worker`: the type of the background worker whose session it is. */
export function adminShutdown(worker: string | undefined): PgError {
  const whose =
    worker === undefined
      ? 'connection'
      : worker === AUTOVACUUM_WORKER
        ? 'autovacuum process'
        : `background worker "${worker}"`;
  return ereport(ERRCODE.ADMIN_SHUTDOWN, `terminating ${whose} due to administrator command`, { severity: 'FATAL' });
}

export function noUserName(): PgError {
  const message = 'no PostgreSQL user name specified in startup packet';
  return ereport(ERRCODE.INVALID_AUTHORIZATION_SPECIFICATION, message, { severity: 'FATAL' });
}

/** The statement under way is to end. */
export function canceled(worker: string | undefined): PgError {
  const what = worker === AUTOVACUUM_WORKER ? 'autovacuum task' : 'statement due to user request';
  return ereport(ERRCODE.QUERY_CANCELED, `canceling ${what}`);
}

export function reservedSlots(): PgError {
  return ereport(
    ERRCODE.TOO_MANY_CONNECTIONS,
    'remaining connection slots are reserved for non-replication superuser connections',
    { severity: 'FATAL' },
  );
}
