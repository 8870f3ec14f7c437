/**
 * Which instance gets the next client, and how many instances there should be. Pure.
 *
 * Sessions are packed: the first instance with room gets them, so that later ones can empty and
 * retire. One instance is always kept warm: as soon as the last slot of the ready ones is taken another is
 * wanted. What an instance has open is its own report plus what was sent and not yet received.
 */
export interface InstanceLoad {
  readonly name: string;
  readonly instance: number;
  ready: boolean;
  /** Launched by us: takes sockets. The other kind is spliced to. */
  direct: boolean;
  /** Clients handed over by this postmaster. */
  sent: number;
  /** Of its own counter `received`, what it said when we first met. */
  receivedBefore: number;
  received: number;
  open: number;
  authenticated: number;
  idleSinceMs: number;
}

export interface PidRange {
  readonly first: number;
  readonly count: number;
  readonly name: string;
}

export interface Limits {
  readonly sessionsPerInstance: number;
  readonly maxConnections: number;
  /** superuser_reserved_connections */
  readonly reserved: number;
}

/** With less room than this the door is not lent: the last slots are counted by the postmaster. */
const LEND_ROOM = 8;

/** Idle instances beyond the first are retired after this. */
const RETIRE_MS = 60_000;

export function sessionsOf(load: InstanceLoad): number {
  return load.open + Math.max(0, load.sent - (load.received - load.receivedBefore));
}

export function totalSessions(loads: Iterable<InstanceLoad>): number {
  let total = 0;
  for (const load of loads) total += sessionsOf(load);
  return total;
}

/** The first with room; among equals one that takes sockets. */
export function chooseInstance(loads: Iterable<InstanceLoad>, sessionsPerInstance: number): InstanceLoad | undefined {
  let best: InstanceLoad | undefined;
  for (const load of loads) {
    if (!load.ready || sessionsOf(load) >= sessionsPerInstance) continue;
    if (
      best === undefined ||
      (load.direct && !best.direct) ||
      (load.direct === best.direct && load.instance < best.instance)
    ) {
      best = load;
    }
  }
  return best;
}

/**
 * Which instance may accept clients itself, and how many sessions it may then have: the first with a good
 * deal of room. Who has the door keeps it to the last slot of its quota, unless an earlier one has room.
 */
export function chooseDoorkeeper(
  loads: Iterable<InstanceLoad>,
  limits: Limits,
  keeper?: { readonly name: string; readonly quota: number },
): { readonly name: string; readonly quota: number } | undefined {
  const all = [...loads];
  const unreserved = limits.maxConnections - limits.reserved - totalSessions(all);
  for (const load of all.sort((a, b) => a.instance - b.instance)) {
    if (!load.ready || !load.direct) continue;
    const sessions = sessionsOf(load);
    if (load.name === keeper?.name) {
      if (sessions < keeper.quota) return keeper;
      continue;
    }
    const quota = Math.min(limits.sessionsPerInstance, sessions + unreserved);
    if (quota - sessions >= LEND_ROOM) return { name: load.name, quota };
  }
  return undefined;
}

/** `waiting`: clients for whom there is no instance now. */
export function wantedInstances(
  loads: readonly InstanceLoad[],
  waiting: number,
  limits: Pick<Limits, 'sessionsPerInstance' | 'maxConnections'>,
): number {
  const sessions = totalSessions(loads) + waiting;
  const needed = Math.ceil((sessions + 1) / limits.sessionsPerInstance);
  const most = Math.max(1, Math.ceil(limits.maxConnections / limits.sessionsPerInstance));
  // Never fewer than the highest one in use: they are numbered.
  const highest = loads.reduce((max, l) => (sessionsOf(l) > 0 ? Math.max(max, l.instance) : max), 1);
  return Math.max(highest, Math.min(needed, most));
}

/** An instance beyond `wanted` that has been empty long enough. */
export function retirable(loads: Iterable<InstanceLoad>, wanted: number, nowMs: number): string | undefined {
  for (const load of loads) {
    if (load.instance > wanted && load.ready && sessionsOf(load) === 0 && nowMs - load.idleSinceMs > RETIRE_MS) {
      return load.name;
    }
  }
  return undefined;
}
