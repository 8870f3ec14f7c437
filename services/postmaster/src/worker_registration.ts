/** What the configuration registers of background workers, and what is said where there is no slot for one. */
import { DEFAULT_RESTART_S, parseWorkers, type WorkerRegistration } from '@pgtroupe/actor/background-worker';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { ereport, type PgError } from '@pgtroupe/common/ereport';
import type { Settings } from '@pgtroupe/common/settings';

/** Throws what is wrong with the list. */
export function configuredWorkers(settings: Settings): WorkerRegistration[] {
  const defaults = { database: undefined, role: undefined, restartSeconds: DEFAULT_RESTART_S };
  return parseWorkers(settings.string('background_workers'), defaults);
}

export function tooManyWorkers(most: number): { readonly detail: string; readonly hint: string } {
  return {
    detail:
      most === 1
        ? 'Up to 1 background worker can be registered with the current settings.'
        : `Up to ${most} background workers can be registered with the current settings.`,
    hint: 'Consider increasing the configuration parameter "max_worker_processes".',
  };
}

export function noSlotForWorker(): PgError {
  return ereport(ERRCODE.INSUFFICIENT_RESOURCES, 'could not register background process', {
    hint: 'You may need to increase max_worker_processes.',
  });
}
