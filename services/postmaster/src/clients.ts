/**
 * Clients on their way in: how many each instance has, who gets the next one, who has the door.
 *
 * The door is lent to the instance that would get the next client, so that it need not be passed one by
 * one; with too little room left it stays here, where the last slots are counted one by one. See
 * instances.ts for the arithmetic and door.ts for how the door changes hands.
 */
import type { Clock } from '@pgtroupe/actor/env';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import type { Settings } from '@pgtroupe/common/settings';
import type { SessionsReport } from '@pgtroupe/rpc/generated/postmaster';
import { type ListeningHandle, type ToPostmaster, visitorOf } from '@pgtroupe/role/door-messages';
import type { Socket } from 'node:net';
import { Admission, type Verdict } from './admission.ts';
import {
  chooseDoorkeeper,
  chooseInstance,
  type InstanceLoad,
  type Limits,
  type PidRange,
  retirable,
  totalSessions,
  wantedInstances,
} from './instances.ts';
import type { Launcher } from './launcher.ts';
import { isReady, type Supervision } from './supervision.ts';

export interface ClientsOptions {
  readonly settings: Settings;
  readonly supervision: Supervision;
  readonly launcher: Launcher;
  readonly runDirectory: string;
  readonly clock: Clock;
  bindPatience(): Promise<boolean>;
  orderCancel(name: string, pid: number, secret: number): void;
  /** How many instances there should be, and how many sessions there are. */
  counted(wanted: number, sessions: number): void;
  log(message: string): void;
}

export class Clients {
  readonly admission: Admission;
  readonly #o: ClientsOptions;
  readonly #loads = new Map<string, InstanceLoad>();
  #leases: PidRange[] = [];
  #waiting = 0;

  constructor(options: ClientsOptions) {
    this.#o = options;
    const { settings, launcher, log } = options;
    this.admission = new Admission({
      gatekeeper: {
        judge: () => this.#judge(),
        cancel: (pid, secret) => this.#cancel(pid, secret),
        waiting: count => {
          this.#waiting = count;
          this.balance();
        },
      },
      limits: {
        authenticationMs: settings.number('authentication_timeout') * 1000,
        strangersMax: 2 * settings.number('max_connections'),
      },
      send: (name, message, handle) => launcher.send(name, message, handle),
      bindPatience: () => options.bindPatience(),
      log,
    });
    launcher.onMessage = (message, handle) => this.#heard(message, handle);
  }

  get #limits(): Limits {
    const { settings } = this.#o;
    return {
      sessionsPerInstance: settings.number('sessions_per_instance'),
      maxConnections: settings.number('max_connections'),
      reserved: settings.number('superuser_reserved_connections'),
    };
  }

  sessions(name: string): number {
    return this.#loads.get(name)?.open ?? 0;
  }

  /** Launched by a postmaster before us. */
  get hasAdopted(): boolean {
    return [...this.#loads.values()].some(load => !load.direct);
  }

  /** An instance that need not be there any longer. */
  retirable(): string | undefined {
    return retirable(this.#loads.values(), this.#o.supervision.wantedInstances, this.#o.clock.nowMs());
  }

  // ---- what instances are and say --------------------------------------------------------------------

  /** `direct`: launched by us. */
  meet(name: string, instance: number, direct: boolean): void {
    this.#loads.set(name, {
      name,
      instance,
      direct,
      ready: false,
      sent: 0,
      receivedBefore: 0,
      received: 0,
      open: 0,
      authenticated: 0,
      idleSinceMs: this.#o.clock.nowMs(),
    });
  }

  /** A stream to it stands again: it will say anew what it received. */
  attended(name: string): void {
    const load = this.#loads.get(name);
    if (load) load.receivedBefore = -1;
  }

  readiness(name: string, ready: boolean): void {
    const load = this.#loads.get(name);
    if (load) load.ready = ready;
  }

  leased(name: string, range: { readonly first: number; readonly count: number }): void {
    this.#leases = this.#leases.filter(l => l.first !== range.first);
    this.#leases.push({ ...range, name });
  }

  reported(name: string, report: SessionsReport): void {
    const load = this.#loads.get(name);
    if (load === undefined) return;
    // The first report after (re)attending tells what it had received before we sent anything.
    if (load.receivedBefore < 0) load.receivedBefore = load.direct ? 0 : report.received;
    load.received = report.received;
    load.open = report.open;
    load.authenticated = report.authenticated;
    if (load.open > 0) load.idleSinceMs = this.#o.clock.nowMs();
    const { door } = this.admission;
    const { keeper } = door;
    door.obeyed(name, report.grant);
    this.balance();
    if (door.keeper !== keeper) this.changed();
  }

  died(name: string): void {
    this.#loads.delete(name);
    this.#leases = this.#leases.filter(lease => lease.name !== name);
    this.admission.door.died(name);
  }

  #heard(message: ToPostmaster, handle: unknown): void {
    switch (message.kind) {
      case 'doorCopy':
        if (handle !== undefined) this.admission.door.copied(message.grant, message.index, handle as ListeningHandle);
        return;
      case 'visitor':
        if (handle !== undefined) this.admission.sentBack(visitorOf(message, handle as Socket));
        return;
      case 'cancel':
        return this.#cancel(message.pid, message.secret);
    }
  }

  // ---- decisions ---------------------------------------------------------------------------------------

  /** Something changed that may let waiting clients in, or turn them away. */
  changed(): void {
    this.#placeDoor();
    this.admission.reconsider();
  }

  /** Recomputes how many instances there should be. */
  balance(): void {
    const loads = [...this.#loads.values()];
    this.#o.counted(wantedInstances(loads, this.#waiting, this.#limits), totalSessions(loads));
    this.#placeDoor();
  }

  #placeDoor(): void {
    const { door } = this.admission;
    const { keeper } = door;
    const running = this.#o.supervision.pm.pmState === 'PM_RUN';
    switch (keeper.door) {
      case 'returning':
        return;
      case 'lent': {
        const chosen = running ? chooseDoorkeeper(this.#loads.values(), this.#limits, keeper) : undefined;
        if (chosen?.name !== keeper.name) door.takeBack();
        return;
      }
      case 'home': {
        const chosen = running ? chooseDoorkeeper(this.#loads.values(), this.#limits) : undefined;
        if (chosen !== undefined) door.lend(chosen.name, chosen.quota);
      }
    }
  }

  #judge(): Verdict {
    const { supervision, runDirectory } = this.#o;
    const { pm } = supervision;
    const refuse = (message: string, sqlstate: string = ERRCODE.CANNOT_CONNECT_NOW): Verdict => ({
      verdict: 'refuse',
      sqlstate,
      message,
    });
    if (pm.pmState === 'PM_STARTUP') {
      // Only an instance is missing: its successor is a moment away.
      if (pm.crashed && isReady(supervision, 'buffer-manager')) return { verdict: 'wait' };
      // After our own death the adopted cast is as good as ready.
      if (this.#isAdopted('buffer-manager')) return { verdict: 'wait' };
      return refuse(pm.crashed ? 'the database system is in recovery mode' : 'the database system is starting up');
    }
    if (pm.pmState !== 'PM_RUN') return refuse('the database system is shutting down');
    const { keeper } = this.admission.door;
    if (keeper.door === 'returning') return { verdict: 'wait' };
    if (keeper.door === 'lent') return { verdict: 'forward', pass: this.#passTo(this.#loads.get(keeper.name)!) };
    const { maxConnections, reserved, sessionsPerInstance } = this.#limits;
    const sessions = totalSessions(this.#loads.values());
    if (sessions >= maxConnections) return refuse('sorry, too many clients already', ERRCODE.TOO_MANY_CONNECTIONS);
    const load = chooseInstance(this.#loads.values(), sessionsPerInstance);
    if (load === undefined) return { verdict: 'wait' };
    return {
      verdict: 'admit',
      reserved: sessions >= maxConnections - reserved,
      spliceTo: `${runDirectory}/${load.name}.sessions.sock`,
      pass: this.#passTo(load),
    };
  }

  #passTo(load: InstanceLoad): (Verdict & { verdict: 'admit' })['pass'] {
    return (message, socket, lost) => {
      const passed = this.#o.launcher.passSocket(load.name, message, socket, again => {
        load.sent--;
        lost(again);
      });
      if (passed === 'gone') load.ready = false;
      else load.sent++;
      this.balance();
      return passed;
    };
  }

  #isAdopted(name: string): boolean {
    const life = this.#o.supervision.members.get(name)?.life;
    return life?.life === 'launched' && life.adopted && life.state !== 'recovering';
  }

  #cancel(pid: number, secret: number): void {
    const lease = this.#leases.find(l => pid >= l.first && pid < l.first + l.count);
    if (lease) this.#o.orderCancel(lease.name, pid, secret);
  }
}
