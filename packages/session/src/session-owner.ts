/** The session as owner of locks: what its waits and its transaction ids tell it. */
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { LockOwner } from '@pgtroupe/instance/instance-locks';
import { XID_WARN_HINT } from '@pgtroupe/transam/varsup';
import type { Session } from './session.ts';

export function sessionOwner(session: Session, pid: number): LockOwner {
  const owner = new LockOwner(pid);
  owner.deadlockMs = () => session.settings.number('deadlock_timeout');
  owner.onLockWait = begins => session.timeouts.lockWait(begins);
  owner.onXidWarning = ({ db, left }) => {
    const message = `database ${db} must be vacuumed within ${left} transactions`;
    session.notice('WARNING', ERRCODE.WARNING, message, { hint: XID_WARN_HINT });
  };
  return owner;
}
