/**
 * Supervision as a pure step: what is known about the cast, and what to do next.
 *
 *   PM_STARTUP → PM_RUN ⇄ PM_STARTUP (the buffer-manager died and recovers)
 *   → PM_WAIT_BACKENDS → PM_SHUTDOWN → PM_SHUTDOWN_2 → PM_WAIT_DEAD_END → PM_NO_CHILDREN
 *
 * Rules:
 * 1. A role is launched only when its predecessor was seen dead (`exited`), so that no file ever has
 *    two writers. Whoever is hung is killed first.
 * 2. A death concerns its own: nobody else is touched. The others find out by the end of their
 *    streams and attach to the successor.
 * 3. A role that died is launched again at once, however often: who was ready can be ready again. Who dies before he
 *    is ready, again and again, after a growing pause.
 * 4. A role says itself when starting again cannot help (EXIT_HOPELESS): then everything stops. So it
 *    does when a role fails STARTUP_FAILURES_MAX times before the cluster ever ran.
 * 5. Shutdown goes outside in: sessions, autovacuum and background workers, instances, bgwriter and checkpointer (shutdown
 *    checkpoint), stats-collector, buffer-manager, archiver (which archives what is ready), walwriter, logger, broker.
 */
import type { WorkerRegistration } from '@pgtroupe/actor/background-worker';
import { EXIT_HOPELESS, type RoleName, roleName, type RoleState, type ShutdownMode } from '@pgtroupe/actor/lifecycle';
import { buryAutovacWorker, isSwitchedOff, launcherWanted, wantAutovacWorker } from './autovacuum-workers.ts';
import { buryWorker, mayStart, workerOverdue } from './background-workers.ts';
import { addMember } from './members.ts';

/** Order of launching. */
const CAST: readonly RoleName[] = [
  'walwriter',
  'buffer-manager',
  'backend',
  'broker',
  'logger',
  'checkpointer',
  'bgwriter',
  'stats-collector',
  'archiver',
  'autovacuum',
];
/** What a client's first query needs. At the start these have the machine to themselves, until they are
 *  ready or OTHERS_AFTER_MS are over (a long recovery wants its log lines seen). */
const FIRST: ReadonlySet<RoleName> = new Set(['walwriter', 'buffer-manager', 'backend']);
const OTHERS_AFTER_MS = 2_000;

const BACKOFF_FIRST_MS = 100;
const BACKOFF_MAX_MS = 5_000;
/** A role that ends because of the world around it is not launched again sooner than this after its last launch. */
const RESTART_INTERVAL_MS: Readonly<Partial<Record<RoleName, number>>> = {
  // PGARCH_RESTART_INTERVAL
  archiver: 10_000,
};
/** A life this long forgives earlier failures. */
const HEALTHY_MS = 10_000;
const STARTUP_FAILURES_MAX = 5;
/** A launched process must report within this time, or be seen at work on it. */
const ATTEND_MS = 15_000;
/** Work on what comes before the first report ends some time: beyond, it turns in circles. */
const LOADING_MAX_MS = 120_000;
/** After this, whoever did not obey `immediate` is killed. */
const IMMEDIATE_MS = 1_000;
/** Between two ticks; where everybody is up. */
const TICK_MS = 100;
const CALM_TICK_MS = 1_000;
/** A tick that comes this late means that we stood still, not they. */
const STALLED_MS = 1_000;

export type PmState =
  | { readonly pmState: 'PM_STARTUP'; readonly crashed: boolean }
  | { readonly pmState: 'PM_RUN' }
  | { readonly pmState: 'PM_WAIT_BACKENDS'; readonly mode: ShutdownMode }
  | { readonly pmState: 'PM_SHUTDOWN'; readonly mode: ShutdownMode }
  | { readonly pmState: 'PM_SHUTDOWN_2'; readonly mode: ShutdownMode }
  | { readonly pmState: 'PM_WAIT_DEAD_END'; readonly mode: ShutdownMode }
  | { readonly pmState: 'PM_NO_CHILDREN' };

export type Life =
  | { readonly life: 'absent'; readonly notBeforeMs: number }
  /** A process is there. `attending`: its stream is open. */
  | {
      readonly life: 'launched';
      readonly epoch: number;
      readonly sinceMs: number;
      readonly adopted: boolean;
      attending: boolean;
      state: RoleState;
      message: string;
      lastSeenMs: number;
      stopSent: ShutdownMode | undefined;
      /** Background workers: when that was noticed. */
      stopSeenMs?: number;
    }
  /** SIGKILL is sent, its end not yet seen. */
  | { readonly life: 'killed'; readonly epoch: number };

export interface Member {
  readonly role: RoleName;
  readonly instance: number;
  readonly name: string;
  /** false: a foreign program (nats-server), of which only the process is known. */
  readonly attends: boolean;
  /** Of a background worker. */
  readonly worker?: WorkerRegistration | undefined;
  /** Of an autovacuum worker: its database. */
  readonly database?: number | undefined;
  life: Life;
  failures: number;
  launches: number;
}

export interface Supervision {
  pm: PmState;
  readonly members: Map<string, Member>;
  /** Instances wanted while running. */
  wantedInstances: number;
  sessions: number;
  nextEpoch: number;
  everRan: boolean;
  readonly startedMs: number;
  lastTickMs: number;
  /** The next tick is expected so long after the last. */
  tickMs: number;
  roleTimeoutMs: number;
  exitCode: number;
  readonly autovacuum: {
    /** There shall be a launcher: the configuration says so; the buffer-manager does. */
    on: boolean;
    wraparoundNear: boolean;
    readonly maxWorkers: number;
    /** Databases whose last worker left work undone. */
    readonly unfinished: Set<number>;
  };
}

export type Event =
  | { readonly kind: 'tick' }
  | { readonly kind: 'attended'; readonly name: string; readonly state: RoleState }
  | { readonly kind: 'reported'; readonly name: string; readonly state: RoleState; readonly message: string }
  | { readonly kind: 'heartbeat'; readonly name: string }
  /** Its main loop is held up, another thread of it says. */
  | { readonly kind: 'busy'; readonly name: string }
  /** Its process uses the processor. That says something of one that has not reported yet: it loads its program. */
  | { readonly kind: 'working'; readonly name: string }
  | { readonly kind: 'left'; readonly name: string }
  /** The process is gone for good. `launched` tells it from a launch that failed. */
  | {
      readonly kind: 'exited';
      readonly name: string;
      readonly epoch: number;
      readonly how: string;
      readonly code: number | undefined;
    }
  | { readonly kind: 'shutdown'; readonly mode: ShutdownMode }
  | { readonly kind: 'instances'; readonly wanted: number; readonly sessions: number }
  /** The configuration was read again. */
  | { readonly kind: 'configured'; readonly roleTimeoutMs: number; readonly autovacuum: boolean }
  /** The buffer-manager says whether autovacuum must run. */
  | { readonly kind: 'wraparound'; readonly near: boolean }
  /** The autovacuum launcher wants a worker. */
  | { readonly kind: 'autovacuum worker'; readonly database: number }
  /** An instance that nobody needs may go. */
  | { readonly kind: 'retire'; readonly name: string };

export type Effect =
  | { readonly effect: 'launch'; readonly member: Member; readonly epoch: number }
  | { readonly effect: 'stop'; readonly name: string; readonly mode: ShutdownMode }
  | { readonly effect: 'kill'; readonly name: string; readonly epoch: number }
  | { readonly effect: 'log'; readonly level: 'LOG' | 'WARNING' | 'FATAL'; readonly message: string }
  | { readonly effect: 'state'; readonly pm: PmState }
  | { readonly effect: 'finished'; readonly code: number };

export interface SupervisionOptions {
  readonly nowMs: number;
  /** 'role': our own broker; 'program': nats-server; 'elsewhere': none is ours. */
  readonly broker: 'role' | 'program' | 'elsewhere';
  readonly roles?: readonly RoleName[];
  /** archive_mode is on. */
  readonly archiving?: boolean;
  /** Absent: no launcher. */
  readonly autovacuum?: { readonly on: boolean; readonly maxWorkers: number };
  readonly firstEpoch: number;
  readonly roleTimeoutMs: number;
}

export function newSupervision(options: SupervisionOptions): Supervision {
  const supervision: Supervision = {
    pm: { pmState: 'PM_STARTUP', crashed: false },
    members: new Map(),
    wantedInstances: 1,
    sessions: 0,
    nextEpoch: options.firstEpoch,
    everRan: false,
    startedMs: options.nowMs,
    lastTickMs: options.nowMs,
    tickMs: TICK_MS,
    roleTimeoutMs: options.roleTimeoutMs,
    exitCode: 0,
    autovacuum: {
      on: options.autovacuum?.on ?? false,
      wraparoundNear: false,
      maxWorkers: options.autovacuum?.maxWorkers ?? 0,
      unfinished: new Set(),
    },
  };
  for (const role of options.roles ?? CAST) {
    if (role === 'broker' && options.broker === 'elsewhere') continue;
    if (role === 'archiver' && options.archiving !== true) continue;
    addMember(supervision, {
      role,
      instance: role === 'backend' ? 1 : 0,
      attends: role !== 'broker' || options.broker === 'role',
    });
  }
  return supervision;
}

type Adopted = Pick<Member, 'role' | 'instance' | 'worker' | 'database'> & { readonly epoch: number };

/** A process launched by an earlier postmaster, alive now. Before the first tick only. */
export function adopt(s: Supervision, { role, instance, epoch, worker, database }: Adopted, nowMs: number): void {
  const known = s.members.get(roleName(role, instance));
  const member = known ?? addMember(s, { role, instance, worker, database });
  member.life = {
    life: 'launched',
    epoch,
    sinceMs: nowMs,
    adopted: true,
    attending: false,
    state: 'starting',
    message: '',
    lastSeenMs: nowMs,
    stopSent: undefined,
  };
  if (role === 'backend') s.wantedInstances = Math.max(s.wantedInstances, instance);
}

export function isReady(s: Supervision, role: RoleName): boolean {
  for (const member of s.members.values()) {
    if (member.role !== role) continue;
    if (member.life.life === 'launched' && (member.life.state === 'ready' || !member.attends)) return true;
  }
  return false;
}

export function step(s: Supervision, event: Event, nowMs: number): Effect[] {
  const effects: Effect[] = [];
  const member = 'name' in event ? s.members.get(event.name) : undefined;
  switch (event.kind) {
    case 'tick':
      watch(s, nowMs, effects);
      break;
    case 'attended':
    case 'reported':
      if (member?.life.life !== 'launched') break;
      member.life.attending = true;
      member.life.state = event.state;
      member.life.message = event.kind === 'reported' ? event.message : '';
      member.life.lastSeenMs = nowMs;
      break;
    case 'busy':
      // Work is no excuse once it shall end at once.
      if (member?.life.life === 'launched' && member.life.stopSent !== 'immediate') member.life.lastSeenMs = nowMs;
      break;
    case 'working':
      if (isLoading(member) && nowMs - member.life.sinceMs <= LOADING_MAX_MS) member.life.lastSeenMs = nowMs;
      break;
    case 'heartbeat':
      if (member?.life.life === 'launched') member.life.lastSeenMs = nowMs;
      break;
    case 'left':
      if (member?.life.life === 'launched') {
        member.life.attending = false;
        member.life.lastSeenMs = nowMs;
      }
      break;
    case 'exited':
      if (member && member.life.life !== 'absent' && member.life.epoch === event.epoch) {
        bury(s, member, event, nowMs, effects);
      }
      break;
    case 'shutdown':
      beginShutdown(s, event.mode, effects);
      break;
    case 'instances':
      s.sessions = event.sessions;
      s.wantedInstances = Math.max(1, event.wanted);
      break;
    case 'configured':
      // Who hears of a shorter time only now was silent for as long as it might be.
      if (event.roleTimeoutMs !== s.roleTimeoutMs) hearEverybody(s, nowMs);
      s.roleTimeoutMs = event.roleTimeoutMs;
      s.autovacuum.on = event.autovacuum;
      if (!launcherWanted(s)) stopLauncher(s, effects);
      break;
    case 'wraparound':
      s.autovacuum.wraparoundNear = event.near;
      if (!launcherWanted(s)) stopLauncher(s, effects);
      break;
    case 'autovacuum worker':
      wantAutovacWorker(s, event.database);
      break;
    case 'retire':
      if (member?.life.life === 'launched') orderStop(member, member.life, 'fast', effects);
      break;
  }
  advance(s, nowMs, effects);
  return effects;
}

/** When to tick next. Deaths are told by events: where everybody is up and nobody is to stop there is only silence to
 *  watch for. */
export function tickAfterMs(s: Supervision): number {
  if (s.pm.pmState !== 'PM_RUN') return TICK_MS;
  for (const member of s.members.values()) {
    if (isSwitchedOff(s, member)) continue;
    const { life, attends } = member;
    // A worker's next start may be far.
    if (life.life === 'absent' && life.notBeforeMs > s.lastTickMs + 2 * CALM_TICK_MS) continue;
    if (life.life !== 'launched' || life.stopSent !== undefined) return TICK_MS;
    if (attends && !(life.attending && life.state === 'ready')) return TICK_MS;
  }
  return s.roleTimeoutMs === 0 ? CALM_TICK_MS : Math.max(TICK_MS, Math.min(CALM_TICK_MS, s.roleTimeoutMs / 4));
}

/** Launched by us, and nothing heard of it yet. */
export function isLoading(
  member: Member | undefined,
): member is Member & { readonly life: Extract<Life, { readonly life: 'launched' }> } {
  const life = member?.life;
  return (
    member?.attends === true &&
    life?.life === 'launched' &&
    !life.adopted &&
    !life.attending &&
    life.stopSent !== 'immediate'
  );
}

/** Kills whoever gives no sign of life. */
function watch(s: Supervision, nowMs: number, effects: Effect[]): void {
  const stalledMs = nowMs - s.lastTickMs > s.tickMs + STALLED_MS ? nowMs - s.lastTickMs : 0;
  s.lastTickMs = nowMs;
  s.tickMs = tickAfterMs(s);
  for (const member of s.members.values()) {
    const { life } = member;
    if (life.life !== 'launched' || !member.attends) continue;
    if (stalledMs > 0) life.lastSeenMs = Math.min(nowMs, life.lastSeenMs + stalledMs);
    const silentMs = nowMs - life.lastSeenMs;
    // An adopted one was up: it is given no time to get there.
    const limitMs = life.attending || (life.adopted && s.roleTimeoutMs > 0) ? s.roleTimeoutMs : ATTEND_MS;
    const overdue = member.worker !== undefined && workerOverdue(life, s.roleTimeoutMs, nowMs);
    const disobeys = overdue || (life.stopSent === 'immediate' && silentMs > IMMEDIATE_MS);
    const isWorking = member.worker !== undefined && (life.attending || life.adopted);
    if (disobeys || (!isWorking && limitMs > 0 && silentMs > limitMs)) {
      const why = disobeys ? 'does not stop' : `gave no sign of life for ${Math.round(silentMs)} ms`;
      effects.push({ effect: 'log', level: 'WARNING', message: `${member.name} ${why}, killing it` });
      kill(member, life.epoch, effects);
    }
  }
}

function kill(member: Member, epoch: number, effects: Effect[]): void {
  member.life = { life: 'killed', epoch };
  effects.push({ effect: 'kill', name: member.name, epoch });
}

/** A process is seen dead. */
function bury(
  s: Supervision,
  member: Member,
  event: Event & { kind: 'exited' },
  nowMs: number,
  effects: Effect[],
): void {
  const { life, worker } = member;
  if (worker !== undefined) return buryWorker(s, member, worker, event, nowMs, effects);
  if (member.role === 'autovacuum-worker') return buryAutovacWorker(s, member, event, effects);
  const stopping = isStopping(s.pm) || (life.life === 'launched' && life.stopSent !== undefined);
  const lifeMs = life.life === 'launched' ? nowMs - life.sinceMs : HEALTHY_MS;
  const wasReady = life.life === 'launched' && life.state === 'ready';
  member.failures = wasReady || lifeMs >= HEALTHY_MS ? 0 : member.failures + 1;
  const pauseMs = member.failures === 0 ? 0 : Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** (member.failures - 1));
  const againMs = life.life === 'launched' ? life.sinceMs + (RESTART_INTERVAL_MS[member.role] ?? 0) : 0;
  member.life = { life: 'absent', notBeforeMs: Math.max(nowMs + pauseMs, againMs) };
  if (stopping) {
    if (event.code !== 0) {
      effects.push({ effect: 'log', level: 'LOG', message: `${member.name} ${event.how} while stopping` });
    }
  } else {
    effects.push({ effect: 'log', level: 'LOG', message: `${member.name} ${event.how}` });
    if (event.code === EXIT_HOPELESS || (!s.everRan && member.failures >= STARTUP_FAILURES_MAX)) {
      s.exitCode = 1;
      effects.push({
        effect: 'log',
        level: 'FATAL',
        message: `aborting: ${member.name} cannot run, its own message says why`,
      });
      beginShutdown(s, 'immediate', effects);
    }
  }
  if (member.role === 'backend' && member.instance > s.wantedInstances) s.members.delete(member.name);
}

function isStopping(pm: PmState): boolean {
  return pm.pmState !== 'PM_STARTUP' && pm.pmState !== 'PM_RUN';
}

const STERNNESS: Readonly<Record<ShutdownMode, number>> = { smart: 0, fast: 1, immediate: 2 };

function beginShutdown(s: Supervision, mode: ShutdownMode, effects: Effect[]): void {
  if (s.pm.pmState === 'PM_NO_CHILDREN') return;
  if (isStopping(s.pm)) {
    const now = (s.pm as { mode: ShutdownMode }).mode;
    if (STERNNESS[mode] <= STERNNESS[now]) return;
  }
  effects.push({ effect: 'log', level: 'LOG', message: `received ${mode} shutdown request` });
  const at = isStopping(s.pm) ? s.pm.pmState : 'PM_WAIT_BACKENDS';
  move(s, { pmState: at, mode } as PmState, effects);
}

function move(s: Supervision, pm: PmState, effects: Effect[]): void {
  s.pm = pm;
  effects.push({ effect: 'state', pm });
}

function orderStop(member: Member, life: Life & { life: 'launched' }, mode: ShutdownMode, effects: Effect[]): void {
  if (life.stopSent !== undefined && STERNNESS[mode] <= STERNNESS[life.stopSent]) return;
  life.stopSent = mode;
  effects.push({ effect: 'stop', name: member.name, mode });
}

/** Whatever follows from the state: launches, transitions, orders. */
function advance(s: Supervision, nowMs: number, effects: Effect[]): void {
  for (;;) {
    const { pm } = s;
    switch (pm.pmState) {
      case 'PM_STARTUP':
        launchAbsent(s, nowMs, effects);
        if (!isReady(s, 'buffer-manager') || !isReady(s, 'walwriter') || !isReady(s, 'backend')) return;
        s.everRan = true;
        launchAbsent(s, nowMs, effects);
        move(s, { pmState: 'PM_RUN' }, effects);
        effects.push({ effect: 'log', level: 'LOG', message: 'database system is ready to accept connections' });
        continue;
      case 'PM_RUN':
        launchAbsent(s, nowMs, effects);
        if (isReady(s, 'buffer-manager') && isReady(s, 'backend')) return;
        move(s, { pmState: 'PM_STARTUP', crashed: true }, effects);
        return;
      case 'PM_WAIT_BACKENDS':
        if (pm.mode === 'smart' && s.sessions > 0) return launchAbsent(s, nowMs, effects);
        if (!stopAll(s, pm.mode, ['autovacuum', 'autovacuum-worker', 'bgworker', 'backend'], effects)) return;
        move(s, { pmState: 'PM_SHUTDOWN', mode: pm.mode }, effects);
        continue;
      case 'PM_SHUTDOWN':
        if (!stopAll(s, pm.mode, ['bgwriter', 'checkpointer'], effects)) return;
        move(s, { pmState: 'PM_SHUTDOWN_2', mode: pm.mode }, effects);
        continue;
      case 'PM_SHUTDOWN_2':
        if (!stopAll(s, pm.mode, ['stats-collector'], effects)) return;
        if (!stopAll(s, pm.mode, ['buffer-manager'], effects)) return;
        if (!stopAll(s, pm.mode, ['archiver'], effects)) return;
        if (!stopAll(s, pm.mode, ['walwriter'], effects)) return;
        effects.push({ effect: 'log', level: 'LOG', message: 'database system is shut down' });
        move(s, { pmState: 'PM_WAIT_DEAD_END', mode: pm.mode }, effects);
        continue;
      case 'PM_WAIT_DEAD_END':
        if (!stopAll(s, pm.mode, ['logger'], effects)) return;
        if (!stopAll(s, pm.mode, ['broker'], effects)) return;
        move(s, { pmState: 'PM_NO_CHILDREN' }, effects);
        effects.push({ effect: 'finished', code: s.exitCode });
        return;
      case 'PM_NO_CHILDREN':
        return;
    }
  }
}

function launchAbsent(s: Supervision, nowMs: number, effects: Effect[]): void {
  for (let instance = 1; instance <= s.wantedInstances; instance++) {
    if (s.members.has(roleName('walwriter', 0)) && !s.members.has(roleName('backend', instance))) {
      addMember(s, { role: 'backend', instance });
    }
  }
  const all = s.everRan || nowMs - s.startedMs >= OTHERS_AFTER_MS;
  for (const member of s.members.values()) {
    if (member.life.life !== 'absent' || member.life.notBeforeMs > nowMs) continue;
    if (!all && !FIRST.has(member.role)) continue;
    if (member.role === 'backend' && member.instance > s.wantedInstances) continue;
    if (member.worker !== undefined && !mayStart(member.worker, s.pm)) continue;
    if (isSwitchedOff(s, member)) continue;
    const epoch = s.nextEpoch++;
    member.launches++;
    member.life = {
      life: 'launched',
      epoch,
      sinceMs: nowMs,
      adopted: false,
      attending: false,
      state: 'starting',
      message: '',
      lastSeenMs: nowMs,
      stopSent: undefined,
    };
    effects.push({ effect: 'launch', member, epoch });
  }
}

function hearEverybody(s: Supervision, nowMs: number): void {
  for (const { life } of s.members.values()) if (life.life === 'launched') life.lastSeenMs = nowMs;
}

function stopLauncher(s: Supervision, effects: Effect[]): void {
  const member = s.members.get('autovacuum');
  if (member?.life.life === 'launched') orderStop(member, member.life, 'fast', effects);
}

/** Orders these roles to stop; true when all of them are dead. `immediate` stops everybody at once. */
function stopAll(s: Supervision, mode: ShutdownMode, roles: readonly RoleName[], effects: Effect[]): boolean {
  let dead = true;
  for (const member of s.members.values()) {
    const concerned = roles.includes(member.role);
    if (!concerned && mode !== 'immediate') continue;
    if (member.life.life === 'absent') continue;
    if (concerned) dead = false;
    // Logger and broker stay to the end whatever the mode, so that the others' last words are kept.
    if (!concerned && (member.role === 'logger' || member.role === 'broker')) continue;
    if (member.life.life === 'launched') orderStop(member, member.life, mode === 'smart' ? 'fast' : mode, effects);
  }
  return dead;
}
