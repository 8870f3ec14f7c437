/**
 * Autovacuum's launcher and workers among the cast: pure, a part of supervision's step.
 *
 * - The launcher is there while `autovacuum` and `track_counts` are on, or the buffer-manager says that wraparound is near, and
 *   is launched again like any other role.
 * - A worker is launched once, for one database, when the launcher asks for it: at most autovacuum_max_workers at a time.
 *   Whoever it was that ended it, it is not launched again: the launcher is told that the database has work left.
 */
import { EXIT_STOPPED, roleName } from '@pgtroupe/actor/lifecycle';
import type { AutovacWorkers } from '@pgtroupe/rpc/generated/postmaster';
import { endedByItself } from './background-workers.ts';
import { addMember } from './members.ts';
import type { Effect, Event, Member, Supervision } from './supervision.ts';

/** The launcher while autovacuum is off: nobody waits for it. */
export function isSwitchedOff(s: Supervision, { role, life }: Member): boolean {
  return role === 'autovacuum' && !launcherWanted(s) && life.life === 'absent';
}

export function launcherWanted({ autovacuum }: Supervision): boolean {
  return autovacuum.on || autovacuum.wraparoundNear;
}

/** The launcher wants one. It is launched in the same step, if there is a slot. */
export function wantAutovacWorker(s: Supervision, database: number): void {
  if (s.pm.pmState !== 'PM_RUN') return;
  for (let slot = 1; slot <= s.autovacuum.maxWorkers; slot++) {
    if (s.members.has(roleName('autovacuum-worker', slot))) continue;
    s.autovacuum.unfinished.delete(database);
    addMember(s, { role: 'autovacuum-worker', instance: slot, database });
    return;
  }
}

/** Its process is seen dead. */
export function buryAutovacWorker(
  s: Supervision,
  { name, life, database = 0 }: Member,
  { how, code }: Event & { kind: 'exited' },
  effects: Effect[],
): void {
  s.members.delete(name);
  if (code === EXIT_STOPPED && endedByItself(life)) return;
  s.autovacuum.unfinished.add(database);
  // One that says itself what is left ends with a code.
  if (code === undefined) effects.push({ effect: 'log', level: 'LOG', message: `autovacuum worker ${how}` });
}

/** What the launcher and the workers are told. */
export function autovacWorkers(s: Supervision): AutovacWorkers {
  const running: AutovacWorkers['running'] = [];
  for (const { role, instance: slot, database = 0 } of s.members.values()) {
    if (role === 'autovacuum-worker') running.push({ slot, database });
  }
  return { running, unfinished: [...s.autovacuum.unfinished] };
}
