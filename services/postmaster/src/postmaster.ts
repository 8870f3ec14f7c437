/**
 * The postmaster: launches the cast, watches it, lets clients in. It holds no client's bytes and no
 * row: its death costs no session, and a successor adopts the cast it finds.
 *
 * Started by the keeper (`pgtroupe start`). Ends by SIGTERM (smart shutdown), SIGINT (fast), SIGQUIT
 * (immediate), or because the cluster cannot run; SIGHUP re-reads the configuration. Killed with -9
 * it is started again by the keeper.
 *
 * This file connects the pure parts (supervision.ts, instances.ts) with the doing ones (launcher.ts,
 * admission.ts, attendants.ts); see README.md for the rules of supervision.
 */
import { randomUUID } from 'node:crypto';
import type { WorkerRegistration } from '@pgtroupe/actor/background-worker';
import type { Clock, Log, Timer, Timers } from '@pgtroupe/actor/env';
import type { RoleStart, RoleState, ShutdownMode } from '@pgtroupe/actor/lifecycle';
import { type PidFile, writePidFile } from '@pgtroupe/actor/node/pidfile';
import { isAlive } from '@pgtroupe/actor/node/process';
import { claimLaunch, forgetLaunch, type Launch, readLaunches } from '@pgtroupe/actor/node/rundir';
import { findGuc } from '@pgtroupe/common/guc';
import type { Configuration } from '@pgtroupe/common/guc_apply';
import { Settings } from '@pgtroupe/common/settings';
import type { CastStatus, RoleHeartbeat, RoleReport } from '@pgtroupe/rpc/generated/postmaster';
import { Acknowledgements } from './acknowledgements.ts';
import { AutoConfFile } from './alter_system.ts';
import { Attendants } from './attendants.ts';
import { autovacWorkers } from './autovacuum-workers.ts';
import { registerWorker } from './background-workers.ts';
import { type BrokerChoice, natsServerArguments } from './broker_choice.ts';
import { castStatus } from './cast_status.ts';
import { configuredWorkers, noSlotForWorker, tooManyWorkers } from './worker_registration.ts';
import { Clients } from './clients.ts';
import { type LoadedConfiguration, readAuthFile, reloadConfiguration } from './configuration.ts';
import { fileSettings } from './file_settings.ts';
import type { Launcher } from './launcher.ts';
import {
  adopt,
  type Effect,
  type Event,
  isLoading,
  type Member,
  newSupervision,
  step,
  type Supervision,
  tickAfterMs,
} from './supervision.ts';

/** Who asked for a reload waits no longer for roles that hang. */
const RELOAD_PATIENCE_MS = 3_000;
const CHECK_DIRECTORY_MS = 5_000;
const BIND_RETRY_MS = 10;
/** Beyond the time after which a role that hangs is killed. */
const BIND_PATIENCE_MS = 20_000;

export interface PostmasterOptions {
  readonly dataDirectory: string;
  readonly runDirectory: string;
  readonly cluster: string;
  /** `-c name=value` of the command line. */
  readonly commandLine: readonly string[];
  readonly configuration: LoadedConfiguration;
  readonly broker: BrokerChoice;
  readonly epoch: number;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Log;
  readonly launcher: Launcher;
  /** Whether the lock of the data directory is still ours. */
  readonly holdsDirectory: () => boolean;
  /** Serves gRPC at the postmaster's endpoint. */
  readonly serve: (attendants: Attendants) => Promise<void>;
  /** The state changed: for whoever started us. */
  readonly onState: (status: CastStatus) => void;
  readonly onFinished: (code: number) => void;
}

export class Postmaster {
  readonly #o: PostmasterOptions;
  readonly #settings: Settings;
  readonly #supervision: Supervision;
  readonly #attendants: Attendants;
  readonly #clients: Clients;
  readonly #heartbeats = new Map<string, RoleHeartbeat>();
  readonly #acknowledged: Acknowledgements;
  #configVersion = 1;
  #configuration: Configuration;
  #nextCheckMs = 0;
  #nextTick: Timer | undefined;
  /** When it was planned, for how long. */
  #plannedMs = 0;
  #finished = false;
  #adopted = false;
  #supervising = false;
  #autovacTold = '';
  #stopWanted: ShutdownMode | undefined;
  #bindUntilMs: number | undefined;
  #pidFile: PidFile | undefined;
  readonly #startedMicros: number;
  #loadedMicros: number;

  constructor(options: PostmasterOptions) {
    this.#o = options;
    this.#startedMicros = options.clock.wallMicros();
    this.#loadedMicros = this.#startedMicros;
    this.#configuration = options.configuration;
    this.#settings = new Settings(options.configuration.settings);
    this.#supervision = newSupervision({
      nowMs: options.clock.nowMs(),
      broker: options.broker.kind,
      archiving: this.#settings.string('archive_mode') !== 'off',
      autovacuum: {
        on: this.#autovacuumActive,
        maxWorkers: this.#settings.number('autovacuum_max_workers'),
      },
      firstEpoch: options.epoch + 1,
      roleTimeoutMs: this.#settings.number('role_timeout'),
    });
    this.#attendants = new Attendants({
      epochOf: name => {
        const life = this.#supervision.members.get(name)?.life;
        return life?.life === 'launched' ? life.epoch : undefined;
      },
      attended: (name, state) => this.#attended(name, state),
      report: (name, report) => this.#reported(name, report),
      busy: name => this.#event({ kind: 'busy', name }),
      left: name => {
        this.#acknowledged.look();
        this.#event({ kind: 'left', name });
      },
      configure: {
        autoConf: new AutoConfFile(options.dataDirectory),
        fileSettings: () => fileSettings(options.dataDirectory, this.#configuration),
        authFile: parameter => readAuthFile(this.#configuration, parameter === 'ident_file' ? parameter : 'hba_file'),
        reload: async () => {
          this.reload();
          await this.#acknowledged.reached(this.#configVersion, RELOAD_PATIENCE_MS);
        },
        launchWorker: worker => this.#launchWorker(worker),
        cast: () => ({ status: this.status(), startedMicros: this.#startedMicros, loadedMicros: this.#loadedMicros }),
      },
      status: () => this.status(),
    });
    this.#acknowledged = new Acknowledgements(options.timers, () => this.#attendants.names());
    this.#clients = new Clients({
      settings: this.#settings,
      supervision: this.#supervision,
      launcher: options.launcher,
      runDirectory: options.runDirectory,
      clock: options.clock,
      bindPatience: () => this.#bindPatience(),
      orderCancel: (name, pid, secret) =>
        void this.#attendants.order(name, { $case: 'cancel', value: { pid, secret } }),
      counted: (wanted, sessions) => this.#counted(wanted, sessions),
      log: message => options.log.write('LOG', message),
    });
    options.launcher.onExit = (name, epoch, how, code) => this.#exited(name, epoch, how, code);
  }

  /** Opens the door, adopts who is there, launches the rest. Throws what the user has to mend. */
  async start(): Promise<void> {
    const { log, dataDirectory, configuration } = this.#o;
    const port = this.#settings.number('port');
    const hosts = list(this.#settings.string('listen_addresses'));
    const folders = list(this.#settings.string('unix_socket_directories'));
    try {
      for (const host of hosts) await this.#clients.admission.listenTcp(host, port);
      const permissions = this.#settings.number('unix_socket_permissions');
      for (const folder of folders)
        await this.#clients.admission.listenUnix(folder, port, { dataDirectory, permissions });
    } catch (error) {
      this.#clients.admission.close();
      throw error;
    }
    // Nothing is logged before: a start that fails says so in one line.
    for (const { level, message } of configuration.log) log.write(level, message);
    log.write('LOG', `starting pgtroupe, PostgreSQL ${this.#settings.string('server_version')} compatible`);
    for (const place of this.#clients.admission.listening) log.write('LOG', `listening on ${place}`);
    this.#pidFile = {
      pid: process.pid,
      dataDirectory,
      startSeconds: Math.floor(this.#o.clock.wallMicros() / 1_000_000),
      port,
      socketDirectory: folders[0] ?? '',
      listenAddress: hosts[0] ?? '',
      status: 'starting',
      runDirectory: this.#o.runDirectory,
    };
    writePidFile(this.#pidFile);
    await this.#adoptCast();
    await this.#supervise();
    if (this.#stopWanted !== undefined) this.shutdown(this.#stopWanted);
    // It may be ready already.
    this.#stateChanged();
  }

  async #supervise(): Promise<void> {
    if (this.#supervising) return;
    this.#supervising = true;
    await this.#o.serve(this.#attendants);
    this.#tick();
  }

  /**
   * An address is in use: perhaps by an instance that the postmaster before us lent the door to, and that
   * has yet to notice its death. One that hangs is killed as every role is, after role_timeout.
   */
  async #bindPatience(): Promise<boolean> {
    const { clock, timers } = this.#o;
    await this.#adoptCast();
    if (this.#bindUntilMs === undefined) {
      if (!this.#clients.hasAdopted) return false;
      await this.#supervise();
      this.#bindUntilMs = clock.nowMs() + this.#settings.number('role_timeout') + BIND_PATIENCE_MS;
    }
    if (clock.nowMs() > this.#bindUntilMs) return false;
    await new Promise<void>(resolve => timers.after(BIND_RETRY_MS, resolve));
    return true;
  }

  shutdown(mode: ShutdownMode): void {
    // Who has not met the cast yet would take it for gone, and leave it behind.
    if (this.#adopted) this.#event({ kind: 'shutdown', mode });
    else this.#stopWanted = mode;
  }

  /** Re-reads the configuration and tells everybody. */
  reload(): void {
    const { log } = this.#o;
    log.write('LOG', 'received SIGHUP, reloading configuration files');
    const next = reloadConfiguration(this.#o.dataDirectory, this.#configuration);
    for (const { level, message, hint } of next.log) log.write(level, message, { hint });
    if (next.isRefused) return;
    this.#loadedMicros = this.#o.clock.wallMicros();
    this.#configuration = next;
    this.#settings.replace(next.settings);
    this.#event({
      kind: 'configured',
      roleTimeoutMs: this.#settings.number('role_timeout'),
      autovacuum: this.#autovacuumActive,
    });
    this.#configVersion++;
    for (const name of this.#attendants.names()) this.#sendConfiguration(name);
    this.#attendants.changed();
  }

  status(): CastStatus {
    return castStatus(this.#supervision, {
      dataDirectory: this.#o.dataDirectory,
      runDirectory: this.#o.runDirectory,
      cluster: this.#o.cluster,
      configVersion: this.#configVersion,
      listening: this.#clients.admission.listening,
      broker: this.#o.broker.url,
      pid: name => this.#o.launcher.pid(name),
      heartbeat: name => this.#heartbeats.get(name),
      acknowledged: name => this.#acknowledged.of(name),
      sessions: name => this.#clients.sessions(name),
      wallMicros: ms => Math.round(this.#o.clock.wallMicros() + (ms - this.#o.clock.nowMs()) * 1000),
    });
  }

  /** Finds the roles an earlier postmaster launched: alive and ours are kept, others are killed. */
  async #adoptCast(): Promise<void> {
    if (this.#adopted) return;
    this.#adopted = true;
    const now = this.#o.clock.nowMs();
    const unwanted: { readonly launch: Launch; readonly process: { pid: number; started: string } }[] = [];
    for (const launch of readLaunches(this.#o.runDirectory)) {
      this.#supervision.nextEpoch = Math.max(this.#supervision.nextEpoch, launch.epoch + 1);
      const claim = claimLaunch(this.#o.runDirectory, launch, { kind: 'void' });
      if (claim.kind === 'void' || !isAlive(claim)) {
        forgetLaunch(this.#o.runDirectory, launch);
        continue;
      }
      const [, role = launch.name, instance] = /^(backend|bgworker|autovacuum-worker)-(\d+)$/.exec(launch.name) ?? [];
      const { worker, database, epoch } = launch;
      const isWorker = worker !== undefined || database !== undefined;
      const known = role === 'backend' || isWorker || this.#supervision.members.has(launch.name);
      if (!known || launch.cluster !== this.#o.cluster || this.#differsForGood(launch)) {
        unwanted.push({ launch, process: claim });
        continue;
      }
      this.#o.launcher.adopt(launch, claim);
      const found = { role: role as RoleStart['role'], instance: Number(instance ?? 0), epoch, worker, database };
      adopt(this.#supervision, found, now);
      if (role === 'backend') this.#clients.meet(launch.name, Number(instance), false);
      this.#o.log.write('LOG', `adopted ${launch.name} (PID ${claim.pid})`);
    }
    for (const { launch, process: found } of unwanted) {
      this.#o.log.write('LOG', `killing ${launch.name} (PID ${found.pid}) of an earlier start`);
      try {
        process.kill(found.pid, 'SIGKILL');
      } catch {
        // It ended by itself.
      }
      while (isAlive(found)) await new Promise<void>(resolve => this.#o.timers.after(10, resolve));
      forgetLaunch(this.#o.runDirectory, launch);
    }
    this.#registerConfigured();
  }

  /** The workers of the configuration, but for those that were adopted. */
  #registerConfigured(): void {
    const adopted = [...this.#supervision.members.values()].map(({ worker }) => JSON.stringify(worker));
    for (const worker of configuredWorkers(this.#settings)) {
      const at = adopted.indexOf(JSON.stringify(worker));
      if (at >= 0) adopted.splice(at, 1);
      else if (registerWorker(this.#supervision, worker, this.#mostWorkers) === undefined) {
        this.#o.log.write('LOG', 'too many background workers', tooManyWorkers(this.#mostWorkers));
      }
    }
  }

  /** AutoVacuumingActive */
  get #autovacuumActive(): boolean {
    return this.#settings.bool('autovacuum') && this.#settings.bool('track_counts');
  }

  get #mostWorkers(): number {
    return this.#settings.number('max_worker_processes');
  }

  /** Answers the name of its role. */
  #launchWorker(worker: WorkerRegistration): string {
    const member = registerWorker(this.#supervision, worker, this.#mostWorkers);
    if (member === undefined) throw noSlotForWorker();
    this.#event({ kind: 'tick' });
    return member.name;
  }

  /** It was launched with another value of a parameter that only a restart changes. */
  #differsForGood({ settings }: Launch): boolean {
    const wanted = this.#o.configuration.settings;
    return [...new Set([...Object.keys(settings), ...Object.keys(wanted)])].some(
      name => findGuc(name)?.context === 'postmaster' && settings[name] !== wanted[name],
    );
  }

  #tick(): void {
    if (this.#finished) return;
    for (const member of this.#supervision.members.values()) {
      if (isLoading(member) && this.#o.launcher.isWorking(member.name)) {
        this.#event({ kind: 'working', name: member.name });
      }
    }
    this.#event({ kind: 'tick' });
    this.#checkDirectory();
    const retired = this.#clients.retirable();
    if (retired !== undefined) this.#event({ kind: 'retire', name: retired });
    this.#planTick();
  }

  #planTick(): void {
    this.#plannedMs = this.#supervision.tickMs;
    this.#nextTick?.cancel();
    this.#nextTick = this.#o.timers.after(this.#plannedMs, () => this.#tick());
  }

  /** The data directory was removed, or somebody took it: nothing of ours may go on. */
  #checkDirectory(): void {
    const nowMs = this.#o.clock.nowMs();
    if (nowMs < this.#nextCheckMs || this.#finished) return;
    this.#nextCheckMs = nowMs + CHECK_DIRECTORY_MS;
    if (this.#o.holdsDirectory()) return;
    this.#o.log.write('LOG', 'performing immediate shutdown because data directory lock file is invalid');
    this.shutdown('immediate');
  }

  #event(event: Event): void {
    if (this.#finished) return;
    for (const effect of step(this.#supervision, event, this.#o.clock.nowMs())) this.#carryOut(effect);
    if (event.kind !== 'tick' && event.kind !== 'heartbeat') this.#tellAutovacuum();
    if (this.#nextTick === undefined || tickAfterMs(this.#supervision) >= this.#plannedMs) return;
    // It is calm no more.
    this.#supervision.tickMs = tickAfterMs(this.#supervision);
    this.#planTick();
  }

  #carryOut(effect: Effect): void {
    switch (effect.effect) {
      case 'launch':
        return this.#launch(effect.member, effect.epoch);
      case 'stop':
        // Who is not attending hears it when it does (see #attended); who has no ears is killed.
        if (this.#attendants.order(effect.name, { $case: 'stop', value: { mode: effect.mode } })) return;
        if (this.#supervision.members.get(effect.name)?.attends === false || effect.mode === 'immediate') {
          this.#o.launcher.kill(effect.name, this.#epochOf(effect.name));
        }
        return;
      case 'kill':
        return this.#o.launcher.kill(effect.name, effect.epoch);
      case 'log':
        return this.#o.log.write(effect.level, effect.message);
      case 'state':
        return this.#stateChanged();
      case 'finished':
        this.#finished = true;
        this.#clients.admission.close();
        return this.#o.onFinished(effect.code);
    }
  }

  /** Which autovacuum workers there are; to `name`, or to all whom it concerns when that changed. */
  #tellAutovacuum(name?: string): void {
    const value = autovacWorkers(this.#supervision);
    const told = JSON.stringify(value);
    if (name === undefined && told === this.#autovacTold) return;
    this.#autovacTold = told;
    const names = name === undefined ? this.#attendants.names() : [name];
    for (const each of names)
      if (each.startsWith('autovacuum')) this.#attendants.order(each, { $case: 'autovacWorkers', value });
  }

  #epochOf(name: string): number {
    const life = this.#supervision.members.get(name)?.life;
    return life === undefined || life.life === 'absent' ? 0 : life.epoch;
  }

  #launch({ role, instance, name, worker, database }: Member, epoch: number): void {
    const { broker } = this.#o;
    const start: RoleStart = {
      role,
      instance,
      name,
      epoch,
      incarnation: randomUUID(),
      cluster: this.#o.cluster,
      dataDirectory: this.#o.dataDirectory,
      runDirectory: this.#o.runDirectory,
      endpoints: {},
      nats: { url: broker.url, tokenFile: broker.tokenFile },
      settings: this.#settings.overrides(),
      worker,
      database,
    };
    if (worker !== undefined) this.#o.log.write('DEBUG', `starting background worker process "${worker.name}"`);
    this.#acknowledged.set(name, this.#configVersion);
    if (role === 'backend') this.#clients.meet(name, instance, true);
    if (role === 'broker' && broker.kind === 'program') {
      this.#o.launcher.launchProgram(start, broker.program!, natsServerArguments(broker, this.#o.runDirectory));
    } else {
      this.#o.launcher.launch(start);
    }
    this.#attendants.changed();
  }

  #exited(name: string, epoch: number, how: string, code: number | undefined): void {
    // Before its successor is launched: that has the same name.
    if (this.#epochOf(name) === epoch) {
      this.#clients.died(name);
      this.#heartbeats.delete(name);
    }
    this.#event({ kind: 'exited', name, epoch, how, code });
    this.#clients.balance();
    this.#changed();
  }

  #attended(name: string, state: RoleState): void {
    const life = this.#supervision.members.get(name)?.life;
    // Also if it has it already: that we answer is how it knows that it has a postmaster.
    this.#sendConfiguration(name);
    if (life?.life === 'launched' && life.stopSent !== undefined) {
      this.#attendants.order(name, { $case: 'stop', value: { mode: life.stopSent } });
    }
    this.#clients.attended(name);
    this.#tellAutovacuum(name);
    this.#event({ kind: 'attended', name, state });
    this.#readiness(name, state);
  }

  #reported(name: string, report: NonNullable<RoleReport['report']>): void {
    switch (report.$case) {
      case 'state':
        this.#event({ kind: 'reported', name, state: report.value.state as RoleState, message: report.value.message });
        return this.#readiness(name, report.value.state as RoleState);
      case 'heartbeat':
        this.#heartbeats.set(name, report.value);
        if (name === 'buffer-manager' && report.value.wraparoundNear !== this.#supervision.autovacuum.wraparoundNear)
          this.#event({ kind: 'wraparound', near: report.value.wraparoundNear });
        return this.#event({ kind: 'heartbeat', name });
      case 'configAck':
        this.#acknowledged.set(name, report.value.version);
        return this.#attendants.changed();
      case 'sessions':
        return this.#clients.reported(name, report.value);
      case 'startAutovacWorker':
        this.#event({ kind: 'autovacuum worker', database: report.value.database });
        // Also if there was no slot.
        return this.#tellAutovacuum(name);
      case 'leased':
        return this.#clients.leased(name, report.value);
      case 'hello':
        return;
    }
  }

  #readiness(name: string, state: RoleState): void {
    this.#clients.readiness(name, state === 'ready');
    this.#changed();
  }

  #counted(wanted: number, sessions: number): void {
    // The common case, once per connection: nothing follows from it while running.
    if (this.#supervision.pm.pmState === 'PM_RUN' && wanted === this.#supervision.wantedInstances) {
      this.#supervision.sessions = sessions;
    } else {
      this.#event({ kind: 'instances', wanted, sessions });
    }
  }

  #changed(): void {
    this.#clients.changed();
    this.#attendants.changed();
  }

  #sendConfiguration(name: string): void {
    const { origins, pendingRestart } = this.#configuration;
    const value = {
      version: this.#configVersion,
      settings: this.#settings.overrides(),
      origins: Object.entries(origins).map(([setting, { source, file = '', line = 0 }]) => {
        return { name: setting, source, file, line };
      }),
      pendingRestart: [...pendingRestart],
    };
    this.#attendants.order(name, { $case: 'reload', value });
  }

  #stateChanged(): void {
    const { pmState } = this.#supervision.pm;
    const status = pmState === 'PM_STARTUP' ? 'starting' : pmState === 'PM_RUN' ? 'ready' : 'stopping';
    if (this.#pidFile && this.#pidFile.status !== status && this.#o.holdsDirectory()) {
      this.#pidFile = { ...this.#pidFile, status };
      writePidFile(this.#pidFile);
    }
    this.#o.onState(this.status());
    // Not within the step that is being carried out.
    this.#o.timers.soon(() => this.#changed());
  }
}

/** A list setting's elements. */
function list(text: string): string[] {
  return text
    .split(',')
    .map(part => part.trim().replace(/^"(.*)"$/, '$1'))
    .filter(part => part !== '');
}
