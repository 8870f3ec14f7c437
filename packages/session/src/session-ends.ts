/** Why a session ends that did not say so itself. */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';

export function connectionLost(): PgError {
  return ereport(ERRCODE.CONNECTION_FAILURE, 'connection to client lost', { severity: 'FATAL' });
}

export function adminShutdown(): PgError {
  return ereport(ERRCODE.ADMIN_SHUTDOWN, 'terminating connection due to administrator command', { severity: 'FATAL' });
}

export function reservedSlots(): PgError {
  return ereport(
    ERRCODE.TOO_MANY_CONNECTIONS,
    'remaining connection slots are reserved for non-replication superuser connections',
    { severity: 'FATAL' },
  );
}
