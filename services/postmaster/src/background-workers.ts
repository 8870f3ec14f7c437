/**
 * Background workers among the cast, by the rules of PostgreSQL's bgworker.c: pure, a part of supervision's step.
 *
 * - Exit code 0: its work is done, it is forgotten. Any other end: it is started again when its restart interval is over,
 *   or forgotten if it has none. What PostgreSQL makes of a crash, dropping every session, is not done.
 * - A worker may compute as long as it likes: silence is no sign of death before it was told to stop. From then on it has
 *   role_timeout to end, whatever signs of life it gives.
 * - At most max_worker_processes are registered at a time.
 */
import { NEVER_RESTART, type WorkerRegistration } from '@pgtroupe/actor/background-worker';
import { roleName } from '@pgtroupe/actor/lifecycle';
import { addMember } from './members.ts';
import type { Effect, Event, Life, Member, PmState, Supervision } from './supervision.ts';

/** Finds it a slot. undefined: there is none. One that was registered under the same id is not registered again. */
export function registerWorker(s: Supervision, worker: WorkerRegistration, most: number): Member | undefined {
  const members = [...s.members.values()].filter(member => member.worker !== undefined);
  const known = members.find(member => worker.id !== '' && member.worker?.id === worker.id);
  if (known !== undefined) return known;
  if (members.length >= most) return undefined;
  let slot = 1;
  while (s.members.has(roleName('bgworker', slot))) slot++;
  return addMember(s, { role: 'bgworker', instance: slot, worker });
}

/** bgworker_should_start_now. Without standbys a consistent state is there when recovery is over. */
export function mayStart({ startTime }: WorkerRegistration, { pmState }: PmState): boolean {
  return startTime === 'postmaster_start' || pmState !== 'PM_STARTUP';
}

/** How an adopted one ended nobody knows; one that was killed has not ended by itself. */
export function endedByItself(life: Life): boolean {
  return life.life === 'launched' && !life.adopted;
}

/** Its process is seen dead (CleanupBackgroundWorker). */
export function buryWorker(
  s: Supervision,
  member: Member,
  worker: WorkerRegistration,
  { how, code }: Event & { kind: 'exited' },
  nowMs: number,
  effects: Effect[],
): void {
  const { life } = member;
  const isDone = code === 0 && endedByItself(life);
  if (!isDone) effects.push({ effect: 'log', level: 'LOG', message: `background worker "${worker.name}" ${how}` });
  if (isDone || worker.restartSeconds === NEVER_RESTART) s.members.delete(member.name);
  else member.life = { life: 'absent', notBeforeMs: nowMs + worker.restartSeconds * 1000 };
}

/** It was told to stop, and has had its time. */
export function workerOverdue(
  life: Extract<Life, { readonly life: 'launched' }>,
  timeoutMs: number,
  nowMs: number,
): boolean {
  if (life.stopSent === undefined || timeoutMs === 0) return false;
  life.stopSeenMs ??= nowMs;
  return nowMs - life.stopSeenMs > timeoutMs;
}
