/**
 * The simulated postmaster: the real supervision (services/postmaster/src/supervision.ts) over simulated
 * processes, and a door for simulated clients. It launches the programs that services/<role>/src/role.ts
 * give to `runRole`, and does for them what runRole does.
 *
 * What is left out: configuration files, sockets, the postmaster's own death.
 */
import type { Commands, Disk } from '@pgtroupe/actor/env';
import type { Failpoint } from '@pgtroupe/actor/failpoint';
import {
  EXIT_FATAL,
  EXIT_PANIC,
  EXIT_STOPPED,
  type RoleName,
  roleName,
  type RoleState,
  type ShutdownMode,
} from '@pgtroupe/actor/lifecycle';
import type { Arrival, SessionIntake } from '@pgtroupe/actor/net';
import { archiverRole } from '@pgtroupe/archiver/role';
import { backendRole } from '@pgtroupe/backend/role';
import { bgwriterRole } from '@pgtroupe/bgwriter/role';
import { bufferManagerRole } from '@pgtroupe/buffer-manager/role';
import { checkpointerRole } from '@pgtroupe/checkpointer/role';
import { PgError } from '@pgtroupe/common/ereport';
import { Settings } from '@pgtroupe/common/settings';
import { type Effect, type Event, newSupervision, step, type Supervision } from '@pgtroupe/postmaster/supervision';
import type { RoleProgram, RunningRole } from '@pgtroupe/role/context';
import { statsCollectorRole } from '@pgtroupe/stats-collector/role';
import { walwriterRole } from '@pgtroupe/walwriter/role';
import type { CancelKey } from './client.ts';
import { SimConnection } from './connection.ts';
import { folderOf } from './folder-disk.ts';
import { MemoryDisk } from './memory-disk.ts';
import type { Network } from './network.ts';
import { SimProcess } from './process.ts';
import type { World } from './world.ts';

/** The roles that keep data, by what `runRole` is given in their main.ts. */
export const PROGRAMS: ReadonlyMap<RoleName, RoleProgram> = new Map([
  ['walwriter', walwriterRole],
  ['buffer-manager', bufferManagerRole],
  ['checkpointer', checkpointerRole],
  ['bgwriter', bgwriterRole],
  ['backend', backendRole],
  ['stats-collector', statsCollectorRole],
  ['archiver', archiverRole],
]);

const TICK_MS = 100;
const HEARTBEAT_MS = 500;
/** From fork to the first line of main.ts. */
const LAUNCH_MS = [1, 40] as const;

class SimIntake implements SessionIntake {
  onArrival: (arrival: Arrival) => void = ({ connection }) => connection.destroy();
  onCancel: (pid: number, secret: number) => void = () => {};
  open = 0;
  leased(): void {}
  authenticated(): void {}
  ended(): void {
    this.open--;
  }
}

interface Running {
  readonly role: RoleName;
  readonly epoch: number;
  readonly process: SimProcess;
  readonly intake: SimIntake;
  running: RunningRole | undefined;
  ready: boolean;
}

export interface SimPostmasterOptions {
  readonly world: World;
  readonly network: Network;
  /** The data directory as a process finds it; asked at every launch, so that a power failure may replace it. */
  readonly disk: (process: () => SimProcess) => Disk;
  /** Deaths that are no bug. */
  readonly excuses: (process: SimProcess) => boolean;
  readonly instances: number;
  readonly settings: Readonly<Record<string, string>>;
  readonly failpoint: (process: SimProcess) => Failpoint;
  /** For a role that runs some. */
  readonly commands?: ((process: () => SimProcess) => Commands) | undefined;
  /** What a role is given for a disk. */
  readonly roleDisk: (role: RoleName, disk: Disk) => Disk;
}

export class SimPostmaster {
  readonly #o: SimPostmasterOptions;
  readonly #supervision: Supervision;
  readonly #running = new Map<string, Running>();
  /** Deaths that nobody ordered: each is a bug. */
  readonly violations: string[] = [];
  /** The buffer-manager died. */
  onSharedMemoryLost: () => void = () => {};
  #launches = 0;
  #ticking = true;
  #exitCode: number | undefined;

  constructor(options: SimPostmasterOptions) {
    this.#o = options;
    const settings = new Settings(options.settings);
    this.#supervision = newSupervision({
      nowMs: options.world.nowMs,
      broker: 'elsewhere',
      roles: [...PROGRAMS.keys()],
      firstEpoch: 1,
      archiving: settings.string('archive_mode') !== 'off',
      roleTimeoutMs: settings.number('role_timeout'),
    });
    this.#supervision.wantedInstances = options.instances;
    this.#tick();
  }

  get ready(): boolean {
    const up = (role: RoleName): boolean => [...this.#running.values()].some(r => r.role === role && r.ready);
    return this.#supervision.pm.pmState === 'PM_RUN' && up('walwriter') && up('buffer-manager') && up('backend');
  }

  /** Set when the cast has stopped. */
  get exitCode(): number | undefined {
    return this.#exitCode;
  }

  get names(): string[] {
    return [...this.#running.keys()].sort();
  }

  process(name: string): SimProcess | undefined {
    return this.#running.get(name)?.process;
  }

  shutdown(mode: ShutdownMode): void {
    this.#event({ kind: 'shutdown', mode });
  }

  /** The machine loses its power: everybody is gone, and comes back when power does. */
  killAll(why: string): void {
    for (const { process } of [...this.#running.values()]) process.kill(why);
  }

  /** A client comes with its start-up packet. undefined: nobody can take it now. */
  connect(client: SimProcess, initial: Uint8Array): SimConnection | undefined {
    if (this.#supervision.pm.pmState !== 'PM_RUN') return undefined;
    const ready = [...this.#running.values()].filter(r => r.role === 'backend' && r.ready);
    const instance = ready.sort((a, b) => a.intake.open - b.intake.open)[0];
    if (instance === undefined) return undefined;
    instance.intake.open++;
    const [end, connection] = SimConnection.pair(this.#o.network, client, instance.process);
    instance.process.deliver(0, () => instance.intake.onArrival({ connection, initial, reserved: false }));
    return end;
  }

  /** A CancelRequest. */
  cancel({ pid, secret }: CancelKey): void {
    for (const { role, process, intake } of this.#running.values()) {
      if (role === 'backend') process.deliver(this.#o.world.between(0, 0.5), () => intake.onCancel(pid, secret));
    }
  }

  /** What transactions and sessions hold, in every role that is up: `backend-1: 2 snapshots`. */
  get held(): string[] {
    return [...this.#running].flatMap(([name, { running }]) =>
      Object.entries(running?.held?.() ?? {})
        .filter(([, count]) => count > 0)
        .map(([what, count]) => `${name}: ${count} ${what}`),
    );
  }

  #tick(): void {
    if (!this.#ticking) return;
    this.#event({ kind: 'tick' });
    this.#o.world.schedule(TICK_MS, () => this.#tick());
  }

  #event(event: Event): void {
    for (const effect of step(this.#supervision, event, this.#o.world.nowMs)) this.#carryOut(effect);
  }

  #carryOut(effect: Effect): void {
    switch (effect.effect) {
      case 'launch':
        return this.#launch(effect.member.role, effect.member.instance, effect.epoch);
      case 'stop':
        return this.#stop(effect.name, effect.mode);
      case 'kill':
        return this.#running.get(effect.name)?.process.kill('killed by the postmaster');
      case 'log':
        return this.#o.world.note(`postmaster ${effect.level} ${effect.message}`);
      case 'state':
        return this.#o.world.note(`postmaster ${effect.pm.pmState}`);
      case 'finished':
        this.#ticking = false;
        this.#exitCode = effect.code;
    }
  }

  #launch(role: RoleName, instance: number, epoch: number): void {
    const { world, network } = this.#o;
    const name = roleName(role, instance);
    const program = PROGRAMS.get(role)!;
    const disk =
      program.disk === undefined
        ? new MemoryDisk()
        : folderOf(
            this.#o.disk(() => process),
            program.disk,
          );
    const process: SimProcess = new SimProcess(
      world,
      network,
      name,
      this.#o.roleDisk(role, disk),
      program.runsCommands === true ? this.#o.commands?.(() => process) : undefined,
    );
    const running: Running = { role, epoch, process, intake: new SimIntake(), running: undefined, ready: false };
    this.#running.set(name, running);
    world.note(`${name} is launched, epoch ${epoch}`);
    process.onDeath = why => this.#died(name, running, why);
    const osPid = 1000 + this.#launches++;
    process.deliver(world.between(...LAUNCH_MS), () => {
      this.#report(name, running, 'starting');
      this.#beat(name, running);
      const settings = new Settings(this.#o.settings);
      program
        .start({
          role,
          instance,
          name,
          epoch,
          osPid,
          settings,
          incarnation: String(osPid),
          cluster: 'simulated',
          dataDirectory: '/pgdata',
          runDirectory: '/run',
          endpoints: {},
          nats: { url: '', tokenFile: '' },
          env: process.env,
          failpoint: this.#o.failpoint(process),
          sessions: running.intake,
          autovac: { startWorker: () => {}, onWorkers: () => {} },
          endpoint: (other, n = 0) => `unix:/run/${roleName(other, n)}.sock`,
          serve: async handlers => {
            await process.env.rpc.serve(`unix:/run/${name}.sock`, handlers);
          },
          recovering: message => this.#report(name, running, 'recovering', message),
        })
        .then(
          started => {
            running.running = started;
            running.ready = true;
            this.#report(name, running, 'ready');
          },
          (error: unknown) => {
            if (!(error instanceof PgError)) return process.crash(error);
            process.env.log.write('FATAL', error.message);
            process.env.exit(error.severity === 'PANIC' ? EXIT_PANIC : EXIT_FATAL);
          },
        );
    });
  }

  #report(name: string, running: Running, state: RoleState, message = ''): void {
    if (!running.process.alive) return;
    this.#event({ kind: 'reported', name, state, message });
  }

  #beat(name: string, running: Running): void {
    this.#event({ kind: 'heartbeat', name });
    running.process.deliver(HEARTBEAT_MS, () => this.#beat(name, running));
  }

  #stop(name: string, mode: ShutdownMode): void {
    const found = this.#running.get(name);
    if (found === undefined) return;
    const { process } = found;
    process.deliver(this.#o.world.between(0.1, 1), () => {
      if (mode === 'immediate' || found.running === undefined) return process.env.exit(EXIT_STOPPED);
      found.ready = false;
      this.#report(name, found, 'stopping');
      found.running.stop(mode).then(
        () => process.env.exit(EXIT_STOPPED),
        error => process.crash(error),
      );
    });
  }

  #died(name: string, running: Running, why: string): void {
    const { exitCode } = running.process;
    if (exitCode !== undefined && exitCode !== EXIT_STOPPED && !this.#o.excuses(running.process))
      this.violations.push(`${name}: ${why}`);
    if (running.role === 'buffer-manager') this.onSharedMemoryLost();
    if (this.#running.get(name) === running) this.#running.delete(name);
    this.#o.world.schedule(this.#o.world.between(0, 5), () =>
      this.#event({ kind: 'exited', name, epoch: running.epoch, how: why, code: exitCode }),
    );
  }
}
