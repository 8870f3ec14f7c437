/**
 * pg_cancel_backend and pg_terminate_backend (signalfuncs.c): who may end what another session does.
 *
 * The session may be any instance's, so it is asked for, its role is judged here, and only then it is told. Each of that
 * is awaited as everywhere in expressions: CatalogMiss with the work inside, and the call is evaluated again; how far it
 * has come waits in the call site, marked with what it was for.
 */
import { CatalogMiss } from '@pgtroupe/catalog/catalogmiss';
import type { Datum } from '@pgtroupe/common/datum';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import { ROLE_PG_SIGNAL_BACKEND } from '@pgtroupe/common/oids';
import { judge } from './acl.ts';
import type { FunctionCall, FunctionTable } from './fmgr.ts';
import type { Locks } from './lockstatus.ts';
import type { BackendStatus } from './pgstatfuncs.ts';

export type Signal = 'cancel' | 'terminate';

/** A client session, as far as everybody may know it. */
export interface Found {
  /** Who logged in; 0 while that is not known. */
  readonly role: Oid;
}

/** All sessions of the cluster, whatever their instance (SessionSettings.backends). */
export interface Backends {
  /** `silent`: it may be a session of these instances, which did not answer. */
  find(pid: number): Promise<Found | { readonly silent: string } | undefined>;
  /** False: it is gone. */
  signal(pid: number, signal: Signal): Promise<boolean>;
  /** What all sessions and auxiliary processes are doing, as of the first time that this transaction asked, or asked again
   *  after `forget`. May throw CatalogMiss. */
  activity(): readonly BackendStatus[];
  forget(): void;
  /** All heavyweight locks of now, and of sessions in a transaction its number there. */
  locks(): Promise<Locks>;
  /** Resolves when the session is gone; false: it was still there after so long. */
  gone(pid: number, timeoutMs: number): Promise<boolean>;
}

/** How far a call has come. */
type Progress = { readonly statement: number; readonly pid: number } & (
  | { readonly kind: 'found'; readonly found: Found | { readonly silent: string } | undefined }
  | { readonly kind: 'signalled'; readonly delivered: boolean; readonly gone: boolean }
);

const DENIED = {
  cancel: [
    'must be a superuser to cancel superuser query',
    'must be a member of the role whose query is being canceled or member of pg_signal_backend',
  ],
  terminate: [
    'must be a superuser to terminate superuser process',
    'must be a member of the role whose process is being terminated or member of pg_signal_backend',
  ],
} as const;

/** Throws unless the caller may. May throw CatalogMiss. */
function check(fc: FunctionCall, { role }: Found, signal: Signal): void {
  const acl = judge(fc);
  const me = fc.settings.currentUserId;
  if (acl.isSuperuser(me)) return;
  const [superuser, member] = DENIED[signal];
  if (role === 0 || acl.isSuperuser(role)) throw ereport(ERRCODE.INSUFFICIENT_PRIVILEGE, superuser);
  if (!acl.hasPrivsOfRole(me, role) && !acl.hasPrivsOfRole(me, ROLE_PG_SIGNAL_BACKEND))
    throw ereport(ERRCODE.INSUFFICIENT_PRIVILEGE, member);
}

function warn(fc: FunctionCall, message: string): void {
  fc.settings.warn?.(ERRCODE.WARNING, message);
}

function signalBackend(fc: FunctionCall, pid: number, signal: Signal, timeoutMs: number): Datum {
  const { backends } = fc.settings;
  if (backends === undefined) throw notSupported('asking for sessions here');
  const { statementTimestamp: statement } = fc.settings;
  const progress = fc.extra as Progress | undefined;
  if (progress === undefined || progress.statement !== statement || progress.pid !== pid) {
    throw new CatalogMiss(async () => {
      fc.extra = { statement, pid, kind: 'found', found: await backends.find(pid) } satisfies Progress;
    });
  }
  if (progress.kind === 'signalled') {
    fc.extra = undefined;
    if (!progress.delivered) warn(fc, `could not send signal to process ${pid}: No such process`);
    else if (!progress.gone) warn(fc, notGone(pid, timeoutMs));
    return progress.delivered && progress.gone;
  }
  const { found } = progress;
  if (found === undefined || 'silent' in found) {
    fc.extra = undefined;
    warn(
      fc,
      found === undefined
        ? `PID ${pid} is not a PostgreSQL backend process`
        : `could not send signal to process ${pid}: no answer from ${found.silent}`,
    );
    return false;
  }
  check(fc, found, signal);
  throw new CatalogMiss(async () => {
    const delivered = await backends.signal(pid, signal);
    const gone = !delivered || timeoutMs === 0 || (await backends.gone(pid, timeoutMs));
    fc.extra = { statement, pid, kind: 'signalled', delivered, gone } satisfies Progress;
  });
}

const notGone = (pid: number, ms: number): string =>
  `backend with PID ${pid} did not terminate within ${ms} millisecond${ms === 1 ? '' : 's'}`;

export const signalFunctions: FunctionTable = {
  pg_cancel_backend: (fc: FunctionCall, pid: number) => signalBackend(fc, pid, 'cancel', 0),
  pg_terminate_backend: (fc: FunctionCall, pid: number, timeout: number | bigint) => {
    // PostgreSQL keeps the timeout in an int.
    const timeoutMs = Number(BigInt.asIntN(32, BigInt(timeout)));
    if (timeoutMs < 0) throw ereport(ERRCODE.NUMERIC_VALUE_OUT_OF_RANGE, '"timeout" must not be negative');
    return signalBackend(fc, pid, 'terminate', timeoutMs);
  },
};
