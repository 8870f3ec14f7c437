/**
 * When which database gets a worker: the launcher's decisions, pure (do_start_worker, launcher_determine_sleep).
 *
 * - Who is older than autovacuum_freeze_max_age comes first, the oldest of all: one at a time, since only the oldest is known.
 * - Else the database that was visited longest ago, of those that the statistics know and that no worker was sent to
 *   within autovacuum_naptime.
 * - A worker is a process and costs its start; so, other than PostgreSQL, a database where nothing was counted since the last
 *   worker came is left alone, unless that one left work undone, a million transactions have passed, or the parameters
 *   have changed.
 */
import type { Ages } from '@pgtroupe/rpc/generated/buffer-manager';
import type { AutovacWorkers } from '@pgtroupe/rpc/generated/postmaster';

/** MIN_AUTOVAC_SLEEPTIME */
const MIN_SLEEP_MS = 100;
/** After so many transactions tables are looked at for their age alone. */
const XIDS_WORTH_A_LOOK = 1_000_000;

export interface DatabaseActivity {
  readonly database: number;
  /** Grows with whatever autovacuum might have to do with. */
  readonly changes: number;
}

export interface Limits {
  /** Off: only who is in danger gets a worker. */
  readonly active: boolean;
  readonly naptimeMs: number;
  readonly maxWorkers: number;
  readonly freezeMaxAge: number;
  readonly multixactFreezeMaxAge: number;
}

interface Visit {
  readonly startMs: number;
  readonly seen: string;
}

export class Schedule {
  readonly #visits = new Map<number, Visit>();

  /** The database that gets a worker now, which counts as visited; undefined: none. */
  choose(
    nowMs: number,
    limits: Limits,
    ages: Ages,
    activity: readonly DatabaseActivity[],
    { running, unfinished }: AutovacWorkers,
  ): number | undefined {
    if (running.length >= limits.maxWorkers) return undefined;
    const era = Math.floor(ages.nextXid / XIDS_WORTH_A_LOOK);
    const endangered = databaseInDanger(limits, ages);
    if (endangered !== undefined) {
      if (this.#isRecent(endangered, nowMs, limits) || running.some(({ database }) => database === endangered))
        return undefined;
      return this.#visit(endangered, nowMs, `in danger`);
    }
    if (!limits.active) return undefined;
    // What all databases share is looked after from each.
    const shared = activity.find(({ database }) => database === 0)?.changes ?? 0;
    let chosen: { readonly database: number; readonly seen: string; readonly visitedMs: number } | undefined;
    for (const { database, changes } of activity) {
      if (database === 0 || this.#isRecent(database, nowMs, limits)) continue;
      const seen = `${changes} ${shared} ${era}`;
      const visit = this.#visits.get(database);
      if (visit?.seen === seen && !unfinished.includes(database)) continue;
      const visitedMs = visit?.startMs ?? -Infinity;
      if (chosen === undefined || visitedMs < chosen.visitedMs) chosen = { database, seen, visitedMs };
    }
    return chosen === undefined ? undefined : this.#visit(chosen.database, nowMs, chosen.seen);
  }

  /** How long the launcher may sleep: databases have their turns spread over the naptime. */
  sleepMs(limits: Limits, activity: readonly DatabaseActivity[]): number {
    const databases = Math.max(1, activity.filter(({ database }) => database !== 0).length);
    return Math.max(MIN_SLEEP_MS, limits.naptimeMs / databases);
  }

  /** Other parameters may mean other work. */
  forget(): void {
    for (const [database, { startMs }] of this.#visits) this.#visits.set(database, { startMs, seen: '' });
  }

  #isRecent(database: number, nowMs: number, { naptimeMs }: Limits): boolean {
    const visit = this.#visits.get(database);
    return visit !== undefined && nowMs - visit.startMs < naptimeMs;
  }

  #visit(database: number, startMs: number, seen: string): number {
    this.#visits.set(database, { startMs, seen });
    return database;
  }
}

function databaseInDanger(limits: Limits, ages: Ages): number | undefined {
  if (ages.nextXid - ages.oldestXid > limits.freezeMaxAge) return ages.oldestXidDb;
  const multiAge = (ages.nextMulti - ages.oldestMulti) | 0;
  return multiAge > limits.multixactFreezeMaxAge ? ages.oldestMultiDb : undefined;
}
