/**
 * A simulated process: an Env whose every effect is an event of the world. Killing it ends its
 * events; promises it was waiting for never settle, as in a dead process.
 */
import { FaultDisk, isZero } from '@pgtroupe/actor/fault-disk';
import type { Commands, Disk, DiskFile, Env, Timer } from '@pgtroupe/actor/env';
import type { LogFields, LogLevel } from '@pgtroupe/actor/log-record';
import { EXIT_PANIC } from '@pgtroupe/actor/lifecycle';
import { Traffic } from '@pgtroupe/actor/traffic';
import type { Host, Network } from './network.ts';
import type { World } from './world.ts';

class ProcessExit extends Error {
  override readonly name = 'ProcessExit';
}

export class SimProcess implements Host {
  readonly name: string;
  readonly env: Env;
  readonly traffic = new Traffic();
  readonly #world: World;
  readonly #network: Network;
  #alive = true;
  /** Events that came while it was paused. */
  #held: (() => void)[] | undefined;
  exitCode: number | undefined;
  /** What it logged last that was worse than an error. */
  lastWords = '';
  onDeath: (why: string) => void = () => {};

  constructor(world: World, network: Network, name: string, disk: Disk, commands?: Commands) {
    this.name = name;
    this.#world = world;
    this.#network = network;
    this.env = {
      clock: {
        nowMs: () => world.nowMs,
        startedMs: world.nowMs,
        wallMicros: () => 1_700_000_000_000_000 + Math.round(world.nowMs * 1000),
      },
      timers: {
        after: (ms, fn): Timer => ({ cancel: this.#later(ms, fn) }),
        soon: fn => void this.#later(0, fn),
      },
      random: world.random,
      disk: this.#slow(disk),
      log: { write: (level, message, fields) => this.#log(level, message, fields) },
      bus: network.bus(this),
      rpc: network.rpc(this),
      traffic: this.traffic,
      commands,
      exit: code => {
        if (this.#alive) this.exitCode = code;
        this.kill(`exit ${code}`);
        throw new ProcessExit(`${name} exited with ${code}`);
      },
    };
  }

  get alive(): boolean {
    return this.#alive;
  }

  deliver(delayMs: number, run: () => void): void {
    this.#later(delayMs, run);
  }

  #later(delayMs: number, run: () => void): () => void {
    let live = true;
    this.#world.schedule(delayMs, () => this.#event(() => live && run()));
    return () => {
      live = false;
    };
  }

  #event(run: () => void): void {
    if (!this.#alive) return;
    if (this.#held !== undefined) {
      this.#held.push(run);
      return;
    }
    this.#world.running = this;
    try {
      run();
    } catch (error) {
      this.crash(error);
    }
  }

  /** SIGSTOP: whatever happens to it waits. */
  pause(): void {
    this.#held ??= [];
    this.#world.note(`${this.name} is paused`);
  }

  /** SIGCONT. */
  resume(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    this.#world.note(`${this.name} is resumed`);
    for (const run of held) this.#world.schedule(0, () => this.#event(run));
  }

  get paused(): boolean {
    return this.#held !== undefined;
  }

  /** An exception that nobody caught ends the process. */
  crash(error: unknown): void {
    if (error instanceof ProcessExit || !this.#alive) return;
    this.#log('PANIC', error instanceof Error ? (error.stack ?? error.message) : String(error));
    this.exitCode = EXIT_PANIC;
    this.kill('uncaught exception');
  }

  kill(why: string): void {
    if (!this.#alive) return;
    this.#alive = false;
    this.#world.note(`${this.name} is gone: ${why}`);
    this.#network.died(this);
    this.onDeath(why);
  }

  #log(level: LogLevel, message: string, fields?: LogFields): void {
    if (level === 'PANIC' || (level === 'FATAL' && fields?.session === undefined)) this.lastWords = message;
    this.#world.note(`${this.name} ${level} ${message}${fields === undefined ? '' : ` ${JSON.stringify(fields)}`}`);
  }

  /** Gives every disk call a latency and keeps its outcome from a process that died meanwhile. */
  #slow(disk: Disk): Disk {
    const wait = <T>(minMs: number, maxMs: number, run: () => Promise<T>): Promise<T> =>
      new Promise((resolve, reject) => {
        this.#later(this.#world.between(minMs, maxMs), () => {
          run().then(
            value => this.#alive && resolve(value),
            (error: unknown) => this.#alive && reject(error as Error),
          );
        });
      });
    const file = (below: DiskFile, durable: boolean): DiskFile => ({
      read: (into, position) => wait(0.02, 0.2, () => below.read(into, position)),
      write: (data, position) => {
        // The caller may reuse its buffer as soon as the call is made on no real disk; copy at once.
        const copy = isZero(data) ? zeros(data.length) : new Uint8Array(data);
        return wait(durable ? 0.1 : 0.02, durable ? 2 : 0.2, () => below.write(copy, position));
      },
      datasync: () => wait(0.1, 2, () => below.datasync()),
      truncate: sizeBytes => wait(0.02, 0.1, () => below.truncate(sizeBytes)),
      sizeBytes: () => wait(0, 0.05, () => below.sizeBytes()),
      close: () => wait(0, 0.02, () => below.close()),
    });
    return {
      open: async (path, mode) => file(await wait(0.02, 0.1, () => disk.open(path, mode)), mode === 'durable'),
      readFile: path => wait(0.05, 0.3, () => disk.readFile(path)),
      writeFile: (path, data, options) => wait(0.05, 0.3, () => disk.writeFile(path, new Uint8Array(data), options)),
      rename: (from, to) => wait(0.02, 0.2, () => disk.rename(from, to)),
      unlink: path => wait(0.02, 0.2, () => disk.unlink(path)),
      mkdir: path => wait(0.02, 0.2, () => disk.mkdir(path)),
      rmdir: path => wait(0.02, 0.2, () => disk.rmdir(path)),
      readdir: path => wait(0.02, 0.2, () => disk.readdir(path)),
      stat: path => wait(0.01, 0.1, () => disk.stat(path)),
      syncDir: path => wait(0.1, 2, () => disk.syncDir(path)),
    };
  }
}

let someZeros = new Uint8Array(0);

/** Nobody writes to them. */
function zeros(length: number): Uint8Array {
  if (someZeros.length < length) someZeros = new Uint8Array(length);
  return someZeros.subarray(0, length);
}

/** The machine that processes share: its disk survives them, and loses what was not synced when its
 *  power goes. */
export class SimMachine {
  readonly platter: Disk;
  readonly disk: FaultDisk;

  constructor(platter: Disk) {
    this.platter = platter;
    this.disk = new FaultDisk(platter);
  }
}
