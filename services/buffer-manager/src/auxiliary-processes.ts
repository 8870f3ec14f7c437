/**
 * Auxiliary processes as pg_stat_activity shows them: those that speak to the buffer-manager. They have pids out of the
 * sessions' numbers, the first of each life: a process' own could be a session's, too.
 */
import { POSTGRES_EPOCH_MICROS } from '@pgtroupe/common/epoch';
import type { Clock } from '@pgtroupe/actor/env';

const NAMES = ['checkpointer', 'background writer', 'walwriter', 'autovacuum launcher'] as const;
type Name = (typeof NAMES)[number];

/** Pids of each life that are theirs. */
export const AUXILIARY_PIDS = 8;

interface Auxiliary {
  readonly start: number;
  /** `type/event`, null while it works. */
  readonly waits: () => string | null;
}

export class AuxiliaryProcesses {
  readonly #clock: Clock;
  readonly #known = new Map<Name, Auxiliary>();
  firstPid = 1;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  came(name: Name, waits: () => string | null): void {
    this.#known.set(name, { start: this.#clock.wallMicros() - POSTGRES_EPOCH_MICROS, waits });
  }

  left(name: Name): void {
    this.#known.delete(name);
  }

  /** As instances tell of their sessions (packages/adt/src/pgstatfuncs.ts). */
  status(): readonly object[] {
    return NAMES.flatMap((type, n) => {
      const found = this.#known.get(type);
      if (found === undefined) return [];
      return [
        {
          pid: this.firstPid + n,
          type,
          database: 0,
          role: 0,
          applicationName: '',
          state: null,
          query: '',
          waits: found.waits(),
          xactStart: null,
          queryStart: null,
          start: found.start,
          stateChange: null,
          client: null,
          xid: 0,
          xmin: 0,
        },
      ];
    });
  }
}
