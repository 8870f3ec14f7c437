/**
 * A role's side of `/pgtroupe.Postmaster/Attend`: reports, heartbeats, orders; opened again for ever
 * while the postmaster is away. See proto/postmaster.proto for the rules.
 */
import type { Clock, Timer, Timers } from '@pgtroupe/actor/env';
import type { RoleStart, RoleState, ShutdownMode } from '@pgtroupe/actor/lifecycle';
import { type Rpc, type RpcStream } from '@pgtroupe/actor/rpc';
import type { Traffic } from '@pgtroupe/actor/traffic';
import type { SettingOrigin } from '@pgtroupe/common/guc_apply';
import type { SettingsDetails } from '@pgtroupe/common/settings';
import {
  type AutovacWorkers,
  type PostmasterOrder,
  PostmasterDefinition,
  type Reload,
  type RoleReport,
} from '@pgtroupe/rpc/generated/postmaster';
import { streamMethod } from '@pgtroupe/rpc/method';
import type { Held } from './context.ts';

export const ATTEND = streamMethod(PostmasterDefinition, 'attend');

const REOPEN_MS = 100;
const HEARTBEAT_MS = 500;
/** Who has done nothing since the last one takes more time, and no more than this share of what makes it a suspect. */
const QUIET_HEARTBEAT_MS = 2_000;
const QUIET_SHARE = 1 / 5;
/** Of the processor, between two: what a process does that does nothing. */
const QUIET_MICROS = 20_000;
/** How often who has no postmaster is told so. */
const ALONE_MS = 100;
/** Changes within this time are told together. */
const SESSIONS_REPORT_MS = 3;

export interface AttendanceHandlers {
  stop(mode: ShutdownMode): void;
  reload(settings: Readonly<Record<string, string>>, details: SettingsDetails): void;
  cancel(pid: number, secret: number): void;
  /** Autovacuum only: which workers there are. */
  autovacWorkers(workers: AutovacWorkers): void;
  /** The postmaster does not want this process. */
  refused(why: string): void;
  /** For every heartbeat. */
  held(): Held;
  wraparoundNear(): boolean;
  /** role_timeout; 0: none. */
  timeoutMs(): number;
  /** There is no postmaster, for so long already; told again and again. */
  alone(aloneMs: number): void;
}

export class Attendance {
  readonly #rpc: Rpc;
  readonly #traffic: Traffic;
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #start: RoleStart;
  readonly #endpoint: string;
  readonly #handlers: AttendanceHandlers;
  #stream: RpcStream<RoleReport, PostmasterOrder> | undefined;
  /** The postmaster has answered on this stream. One that is merely opened proves nothing. */
  #attended = false;
  #aloneCheck = false;
  #state: RoleState = 'starting';
  #message = '';
  #configVersion = 0;
  #turns = 0;
  #usedMicros = 0;
  #nextBeat: Timer | undefined;
  #lastSeenMs: number;
  readonly #leases: { first: number; count: number }[] = [];
  #received = 0;
  #open = 0;
  #authenticated = 0;
  #grant = 0;
  #sessionsDirty = false;

  constructor(options: {
    readonly rpc: Rpc;
    readonly traffic: Traffic;
    readonly clock: Clock;
    readonly timers: Timers;
    readonly start: RoleStart;
    readonly endpoint: string;
    readonly handlers: AttendanceHandlers;
  }) {
    this.#rpc = options.rpc;
    this.#traffic = options.traffic;
    this.#clock = options.clock;
    this.#timers = options.timers;
    this.#start = options.start;
    this.#endpoint = options.endpoint;
    this.#handlers = options.handlers;
    this.#lastSeenMs = options.clock.nowMs();
    this.#connect();
    this.#beat();
    this.#alone();
  }

  report(state: RoleState, message = ''): void {
    this.#state = state;
    this.#message = message;
    this.#send({ $case: 'state', value: { state, message } });
  }

  leased(first: number, count: number): void {
    this.#leases.push({ first, count });
    this.#send({ $case: 'leased', value: { first, count } });
  }

  /** The postmaster sent a client. */
  received(): void {
    this.#received++;
    this.#sessionsChanged();
  }

  /** A session begins. */
  arrived(): void {
    this.#open++;
    this.#sessionsChanged();
  }

  authenticated(): void {
    this.#authenticated++;
    this.#sessionsChanged();
  }

  /** `wasAuthenticated`: the session had got past authentication. */
  ended(wasAuthenticated: boolean): void {
    this.#open--;
    if (wasAuthenticated) this.#authenticated--;
    this.#sessionsChanged();
  }

  /** The autovacuum launcher wants a worker. */
  startAutovacWorker(database: number): void {
    this.#send({ $case: 'startAutovacWorker', value: { database } });
  }

  get open(): number {
    return this.#open;
  }

  hasLeased(pid: number): boolean {
    return this.#leases.some(({ first, count }) => pid >= first && pid < first + count);
  }

  /** What the postmaster granted under this number is in force. */
  obeyed(grant: number): void {
    this.#grant = grant;
    this.#sessionsChanged();
  }

  #send(report: NonNullable<RoleReport['report']>): void {
    this.#stream?.send({ report });
  }

  #sessionsChanged(): void {
    if (this.#sessionsDirty) return;
    this.#sessionsDirty = true;
    this.#timers.after(SESSIONS_REPORT_MS, () => {
      this.#sessionsDirty = false;
      this.#send(this.#sessionsReport());
    });
  }

  #sessionsReport(): NonNullable<RoleReport['report']> {
    const value = {
      received: this.#received,
      open: this.#open,
      authenticated: this.#authenticated,
      grant: this.#grant,
    };
    return { $case: 'sessions', value };
  }

  #connect(): void {
    const { name, epoch, incarnation } = this.#start;
    const stream = this.#rpc.open(this.#endpoint, ATTEND);
    this.#stream = stream;
    stream.onMessage = message => {
      this.#attended = true;
      this.#obey(message);
    };
    stream.onEnd = () => {
      this.#stream = undefined;
      if (this.#attended) this.#lastSeenMs = this.#clock.nowMs();
      this.#attended = false;
      this.#alone();
      this.#timers.after(REOPEN_MS, () => this.#connect(), { background: true });
    };
    const hello = {
      name,
      epoch,
      incarnation,
      osPid: process.pid,
      state: this.#state,
      configVersion: this.#configVersion,
    };
    this.#send({ $case: 'hello', value: hello });
    if (this.#message !== '') {
      this.#send({ $case: 'state', value: { state: this.#state, message: this.#message } });
    }
    for (const lease of this.#leases) this.#send({ $case: 'leased', value: lease });
    if (this.#start.role === 'backend') this.#send(this.#sessionsReport());
  }

  #beat(): void {
    this.#turns++;
    const { unawaitedMessages, bus, operations, pageImages } = this.#traffic;
    const rpc = [...this.#traffic.rpc].map(([method, tally]) => ({ method, ...tally }));
    const traffic = { rpc, unawaitedMessages, bus, operations, pageImages };
    const held = Object.entries(this.#handlers.held()).map(([what, count]) => ({ what, count }));
    const rssBytes = process.memoryUsage.rss();
    const wraparoundNear = this.#handlers.wraparoundNear();
    this.#send({ $case: 'heartbeat', value: { counter: this.#turns, rssBytes, traffic, held, wraparoundNear } });
    this.#nextBeat?.cancel();
    this.#nextBeat = this.#timers.after(this.#nextBeatMs(), () => this.#beat());
  }

  #nextBeatMs(): number {
    const { user, system } = process.cpuUsage();
    const isQuiet = user + system - this.#usedMicros < QUIET_MICROS;
    this.#usedMicros = user + system;
    const timeoutMs = this.#handlers.timeoutMs();
    if (!isQuiet || this.#state !== 'ready') return HEARTBEAT_MS;
    return Math.max(HEARTBEAT_MS, Math.min(QUIET_HEARTBEAT_MS, timeoutMs === 0 ? Infinity : timeoutMs * QUIET_SHARE));
  }

  #alone(): void {
    if (this.#attended || this.#aloneCheck) return;
    this.#aloneCheck = true;
    this.#handlers.alone(this.#clock.nowMs() - this.#lastSeenMs);
    this.#timers.after(ALONE_MS, () => {
      this.#aloneCheck = false;
      this.#alone();
    });
  }

  #obey({ order }: PostmasterOrder): void {
    switch (order?.$case) {
      case 'stop':
        return this.#handlers.stop(order.value.mode as ShutdownMode);
      case 'reload':
        this.#configVersion = order.value.version;
        this.#handlers.reload(order.value.settings, detailsOf(order.value));
        this.#send({ $case: 'configAck', value: { version: order.value.version } });
        // role_timeout may be shorter than the next beat is away.
        return this.#beat();
      case 'cancel':
        return this.#handlers.cancel(order.value.pid, order.value.secret);
      case 'autovacWorkers':
        return this.#handlers.autovacWorkers(order.value);
      case 'refused':
        return this.#handlers.refused(order.value.why);
      case undefined:
        return;
    }
  }
}

function detailsOf({ origins, pendingRestart }: Reload): SettingsDetails {
  const entries = origins.map(({ name, source, file, line }): [string, SettingOrigin] => {
    const isFile = source === 'configuration file';
    return [name, { source: source as SettingOrigin['source'], ...(isFile ? { file, line } : {}) }];
  });
  return { origins: Object.fromEntries(entries), pendingRestart };
}
