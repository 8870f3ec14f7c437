/**
 * A whole cluster in one process: data directory, cast, clients, all in one simulated world.
 *
 * A seed fixes everything: schedule, latencies, faults, bytes. What runs is what `services/<role>/src/main.ts`
 * runs. The trace tells what happened; two runs of a seed have the same.
 */
import type { Disk } from '@pgtroupe/actor/env';
import { type Failpoint, noFailpoint } from '@pgtroupe/actor/failpoint';
import type { RoleName } from '@pgtroupe/actor/lifecycle';
import { HBA_SETTING } from '@pgtroupe/libpq/hba';
import { loadParser } from '@pgtroupe/parser/parser';
import { initdb } from '@pgtroupe/tools/initdb/initdb';
import { ARCHIVE_SETTINGS, SimArchive } from './archive.ts';
import { ConnectionLost, SimClient } from './client.ts';
import type { DiskTrouble } from './disk-trouble.ts';
import { MemoryDisk } from './memory-disk.ts';
import { Network, type NetworkOptions } from './network.ts';
import { SimPostmaster } from './postmaster.ts';
import { SimMachine, SimProcess } from './process.ts';
import { World } from './world.ts';

export interface SimClusterOptions {
  /** Backend instances. */
  readonly instances?: number;
  readonly network?: Partial<NetworkOptions>;
  /** Over those that make a simulated cluster small and busy. */
  readonly settings?: Readonly<Record<string, string>>;
  readonly failpoint?: (process: SimProcess) => Failpoint;
  /** WAL is archived. */
  readonly archiving?: boolean;
  /** What the machine's disk goes through. */
  readonly trouble?: DiskTrouble;
  readonly roleDisk?: (role: RoleName, disk: Disk) => Disk;
}

/** Small caches, so that pages are evicted; quick checkpoints, so that every crash is near one. */
const SETTINGS: Readonly<Record<string, string>> = {
  [HBA_SETTING]: 'local all all trust\n',
  shared_buffers: '256',
  instance_buffers: '128',
  instance_work_area: '16',
  checkpoint_timeout: '30',
  deadlock_timeout: '100',
};

const LEAK_PATIENCE_MS = 10_000;

let template: Promise<MemoryDisk> | undefined;

/** A fresh data directory; initdb runs once. */
async function dataDirectory(): Promise<MemoryDisk> {
  template ??= (async () => {
    const disk = new MemoryDisk();
    await initdb({
      disk,
      clock: { nowMs: () => 0, startedMs: 0, wallMicros: () => 1_700_000_000_000_000 },
      random: new World(1).random,
    });
    return disk;
  })();
  return (await template).clone();
}

export class SimCluster {
  readonly world: World;
  readonly network: Network;
  /** What survives a power failure. */
  readonly platter: MemoryDisk;
  readonly archive: SimArchive | undefined;
  readonly #options: SimClusterOptions;
  #machine: SimMachine;
  #postmaster: SimPostmaster;
  #clients = 0;
  readonly #violations: string[] = [];

  private constructor(seed: number, platter: MemoryDisk, options: SimClusterOptions) {
    this.world = new World(seed);
    this.network = new Network(this.world, { minLatencyMs: 0.02, maxLatencyMs: 0.4, busLoss: 0, ...options.network });
    this.platter = platter;
    this.#options = options;
    this.archive = options.archiving === true ? new SimArchive(this.world) : undefined;
    this.#machine = new SimMachine(platter);
    this.#postmaster = this.#newPostmaster();
  }

  static async create(seed: number, options: SimClusterOptions = {}): Promise<SimCluster> {
    // Reads its module from a real disk: not while simulated time goes by.
    await loadParser();
    return new SimCluster(seed, await dataDirectory(), options);
  }

  #newPostmaster(): SimPostmaster {
    return new SimPostmaster({
      world: this.world,
      network: this.network,
      disk: process => this.#options.trouble?.disk(this.#machine.disk, process) ?? this.#machine.disk,
      excuses: process => this.#options.trouble?.excuses(process) ?? false,
      instances: this.#options.instances ?? 1,
      settings: {
        ...SETTINGS,
        ...(this.#options.archiving === true ? ARCHIVE_SETTINGS : {}),
        ...this.#options.settings,
      },
      commands: this.archive === undefined ? undefined : process => this.archive!.commands(process),
      failpoint: this.#options.failpoint ?? (() => noFailpoint),
      roleDisk: this.#options.roleDisk ?? ((_role, disk) => disk),
    });
  }

  get postmaster(): SimPostmaster {
    return this.#postmaster;
  }

  /** Deaths that nobody ordered: failed assertions, uncaught exceptions, PANIC. */
  get violations(): readonly string[] {
    return [
      ...this.#violations,
      ...this.#postmaster.violations,
      ...(this.#options.trouble?.violations ?? []),
      ...(this.archive?.violations ?? []),
    ];
  }

  process(name: string): SimProcess {
    const process = this.#postmaster.process(name);
    if (process === undefined) throw new Error(`${name} is not there`);
    return process;
  }

  client(parameters?: Readonly<Record<string, string>>): { readonly process: SimProcess; readonly client: SimClient } {
    const process = new SimProcess(this.world, this.network, `client-${++this.#clients}`, new MemoryDisk());
    const client = new SimClient(
      startup => {
        const connection = this.#postmaster.connect(process, startup);
        if (connection === undefined) throw new ConnectionLost('nobody is there');
        return connection;
      },
      parameters,
      sql => {
        if (this.world.verbose) this.world.note(`${process.name}: ${sql.slice(0, 200)}`);
      },
    );
    return { process, client };
  }

  /** Resolves when clients are let in. */
  async untilReady(): Promise<void> {
    await this.runUntil(() => this.#postmaster.ready, { ms: 60_000, what: 'the cluster to be ready' });
  }

  /** Where nobody is in a transaction, everything that transactions held comes to be given back. */
  async expectNoLeaks(): Promise<void> {
    const { postmaster } = this;
    try {
      await this.runUntil(() => postmaster.held.length === 0, { ms: LEAK_PATIENCE_MS, what: 'locks to be given back' });
    } catch (error) {
      throw new Error(`left behind: ${postmaster.held.join(', ')}\n${(error as Error).message}`);
    }
  }

  /** A clean stop. */
  async stop(): Promise<void> {
    await this.expectNoLeaks();
    this.#postmaster.shutdown('fast');
    await this.runUntil(() => this.#postmaster.exitCode !== undefined, { ms: 60_000, what: 'a fast shutdown' });
  }

  /** Starts a stopped cluster again. */
  start(): void {
    this.#violations.push(...this.#postmaster.violations);
    this.#postmaster = this.#newPostmaster();
  }

  /** Power failure: everybody is gone, and so is what was not synced, all of it or sector by sector. */
  async powerFailure(how: 'lose' | 'tear'): Promise<void> {
    this.#postmaster.killAll('power failure');
    if (how === 'tear') await this.#machine.disk.tear(this.world.random);
    else this.#machine.disk.loseAll();
    this.world.note(`power failure: ${how}`);
  }

  /** Runs the world; what happened last is part of the error. */
  async runUntil(done: () => boolean, limits: { readonly ms: number; readonly what: string }): Promise<void> {
    try {
      await this.world.runUntil(() => this.violations.length > 0 || done(), limits);
    } catch (error) {
      throw new Error(`${(error as Error).message}\n${this.world.trace.slice(-40).join('\n')}`);
    }
    if (this.violations.length > 0)
      throw new Error(`${this.violations.join('\n')}\n${this.world.trace.slice(-40).join('\n')}`);
  }

  /** Runs the world until the promise settles. */
  async wait<T>(promise: Promise<T>, what: string, ms = 60_000): Promise<T> {
    let done = false;
    const finish = (): void => {
      done = true;
    };
    promise.then(finish, finish);
    await this.runUntil(() => done, { ms, what });
    return promise;
  }
}
