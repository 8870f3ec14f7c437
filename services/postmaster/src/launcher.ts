/**
 * Launching roles as processes of this machine. They are detached: neither a terminal's signals nor
 * the postmaster's death reach them.
 *
 * `onExit` is called once per launch or adoption, when the process is seen dead; of an adopted one
 * nobody tells us, so it is looked at every ADOPTED_POLL_MS.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { ROLE_START_VARIABLE, type RoleName, type RoleStart } from '@pgtroupe/actor/lifecycle';
import { signalText } from '@pgtroupe/actor/node/commands';
import { isAlive, type ProcessId, processAt, processorTicks, signalProcess } from '@pgtroupe/actor/node/process';
import { claimLaunch, forgetLaunch, type Launch, writeLaunch } from '@pgtroupe/actor/node/rundir';
import type { ListeningHandle, ToInstance, ToPostmaster } from '@pgtroupe/role/door-messages';

const ADOPTED_POLL_MS = 50;
/** When so many are remembered, those that have arrived are forgotten. */
const PASSING_MAX = 64;

export interface Launcher {
  onExit: (name: string, epoch: number, how: string, code: number | undefined) => void;
  /** An instance said something over its channel. */
  onMessage: (message: ToPostmaster, handle: unknown) => void;
  launch(start: RoleStart): void;
  /** A program that is no role of ours: nothing but its life is known. */
  launchProgram(start: RoleStart, command: string, args: readonly string[]): void;
  adopt(launch: Launch, process: ProcessId): void;
  kill(name: string, epoch: number): void;
  pid(name: string): number;
  /** It has used the processor since it was last asked about. */
  isWorking(name: string): boolean;
  /**
   * Gives an accepted socket to the process. 'adopted': it cannot take any; 'gone': it is dead. If it
   * dies before it took the socket, `lost` gets the socket back (undefined when it was closed with it).
   */
  passSocket(name: string, message: ToInstance, socket: Socket, lost: (socket: Socket | undefined) => void): Passed;
  /** To an instance launched by us; `handle` stays ours. False when it cannot hear. */
  send(name: string, message: ToInstance, handle?: ListeningHandle): boolean;
}

export type Passed = 'passed' | 'adopted' | 'gone';

/** What is below a socket; Node keeps it open until the receiver has it. */
interface SocketHandle {
  /** Negative when closed. */
  readonly fd: number;
  close(): void;
}

interface Passing {
  readonly socket: Socket;
  readonly handle: SocketHandle | null;
  readonly lost: (socket: Socket | undefined) => void;
}

interface Running {
  readonly launch: Launch;
  readonly child: ChildProcess | undefined;
  readonly process: ProcessId | undefined;
  /** Sockets on their way to the process, and some that have arrived. */
  passing: Passing[];
  over: boolean;
  /** Processor time when `isWorking` was asked last. */
  ticks: number;
}

/** Room for what lives only as long as a message: with less, messages under way are promoted and collected
 *  dearly. Grown into only where it is needed. */
const YOUNG_GENERATION = '--max-semi-space-size=32';
/** kB of stack for instances, which descend into expressions as deep as their authors nest them: what V8 takes by
 *  itself is less than half of what PostgreSQL's max_stack_depth allows. */
const DEEP_STACK_KB = 6400;
/** What is left for code that does not look how much there is. */
const OTHER_STACK_KB = 1536;

/** An autovacuum worker is another program of its launcher's service. */
function programOf(role: RoleName): string {
  return role === 'autovacuum-worker' ? 'autovacuum/dist/worker-main' : `${role}/dist/main`;
}

/** Where the system grants as much: V8 does not look. */
function stackOptions(): string[] {
  const limits = existsSync('/proc/self/limits') ? readFileSync('/proc/self/limits', 'latin1') : '';
  const granted = /^Max stack size\s+(\d+|unlimited)/m.exec(limits)?.[1];
  const enough = granted === 'unlimited' || Number(granted) >= (DEEP_STACK_KB + OTHER_STACK_KB) * 1024;
  return enough ? [`--stack-size=${DEEP_STACK_KB}`] : [];
}

export class ProcessLauncher implements Launcher {
  onExit: (name: string, epoch: number, how: string, code: number | undefined) => void = () => {};
  onMessage: (message: ToPostmaster, handle: unknown) => void = () => {};
  readonly #runDirectory: string;
  readonly #programOf: (role: RoleName) => string;
  readonly #running = new Map<string, Running>();
  #poll: NodeJS.Timeout | undefined;

  /** `programs`: a folder with <role>.js in place of the services' own programs. */
  constructor(runDirectory: string, programs?: string) {
    this.#runDirectory = runDirectory;
    const services = fileURLToPath(new URL('../../', import.meta.url));
    this.#programOf = role => (programs === undefined ? `${services}${programOf(role)}.js` : `${programs}/${role}.js`);
  }

  launch(start: RoleStart): void {
    const main = this.#programOf(start.role);
    if (!existsSync(main)) {
      const how = `could not be launched: ${main} is missing`;
      setImmediate(() => this.onExit(start.name, start.epoch, how, 1));
      return;
    }
    const options = (process.env['PGTROUPE_NODE_OPTIONS'] ?? '').split(' ').filter(o => o !== '');
    const isInstance = start.role === 'backend';
    const stack = isInstance ? stackOptions() : [];
    this.#spawn(start, process.execPath, [YOUNG_GENERATION, ...stack, ...options, main], isInstance);
  }

  launchProgram(start: RoleStart, command: string, args: readonly string[]): void {
    const child = this.#spawn(start, command, args, false);
    // It makes no claim of its own.
    const found = child.pid === undefined ? undefined : processAt(child.pid);
    if (found) claimLaunch(this.#runDirectory, start, { kind: 'process', ...found });
  }

  adopt(launch: Launch, process: ProcessId): void {
    this.#running.set(launch.name, { launch, child: undefined, process, passing: [], over: false, ticks: 0 });
    this.#poll ??= setInterval(() => this.#lookAtAdopted(), ADOPTED_POLL_MS);
  }

  kill(name: string, epoch: number): void {
    const running = this.#running.get(name);
    if (running === undefined || running.launch.epoch !== epoch) return;
    if (running.child) running.child.kill('SIGKILL');
    else if (running.process) signalProcess(running.process, 'SIGKILL');
  }

  pid(name: string): number {
    const running = this.#running.get(name);
    return running?.child?.pid ?? running?.process?.pid ?? 0;
  }

  isWorking(name: string): boolean {
    const running = this.#running.get(name);
    const ticks = running === undefined ? undefined : processorTicks(this.pid(name));
    if (running === undefined || ticks === undefined || ticks <= running.ticks) return false;
    running.ticks = ticks;
    return true;
  }

  passSocket(name: string, message: ToInstance, socket: Socket, lost: (socket: Socket | undefined) => void): Passed {
    const running = this.#running.get(name);
    if (running === undefined) return 'gone';
    const { child } = running;
    if (child === undefined) return 'adopted';
    if (!child.connected) return 'gone';
    const passing = { socket, handle: handleOf(socket), lost };
    if (running.passing.length >= PASSING_MAX) {
      running.passing = running.passing.filter(p => p.handle !== null && p.handle.fd >= 0);
    }
    running.passing.push(passing);
    child.send(message, socket, { keepOpen: false }, error => {
      // Once: its process may have ended first.
      const at = running.passing.indexOf(passing);
      if (error === null || at < 0) return;
      running.passing.splice(at, 1);
      giveBack(passing);
    });
    return 'passed';
  }

  send(name: string, message: ToInstance, handle?: ListeningHandle): boolean {
    const child = this.#running.get(name)?.child;
    if (!child?.connected) return false;
    // Node's types know of Socket and Server only; it takes what lies below them as well. What fails here
    // fails because it died, which we hear of.
    child.send(message, handle as Socket | undefined, {}, () => {});
    return true;
  }

  #spawn(start: RoleStart, command: string, args: readonly string[], ipc: boolean): ChildProcess {
    const launch: Launch = {
      name: start.name,
      epoch: start.epoch,
      incarnation: start.incarnation,
      cluster: start.cluster,
      settings: start.settings,
      worker: start.worker,
      database: start.database,
    };
    writeLaunch(this.#runDirectory, launch);
    const child = spawn(command, args, {
      detached: true,
      cwd: start.dataDirectory,
      env: { ...process.env, [ROLE_START_VARIABLE]: JSON.stringify(start) },
      stdio: ['ignore', 'ignore', 'inherit', ...(ipc ? (['ipc'] as const) : [])],
    });
    const running: Running = { launch, child, process: undefined, passing: [], over: false, ticks: 0 };
    this.#running.set(start.name, running);
    if (ipc) child.on('message', (message, handle) => this.onMessage(message as unknown as ToPostmaster, handle));
    child.on('error', error => this.#over(running, `could not be launched: ${error.message}`, 1));
    child.on('exit', (code, signal) => {
      const how = signal === null ? `exited with exit code ${code}` : `was terminated by ${signalText(signal)}`;
      this.#over(running, `(PID ${child.pid}) ${how}`, code ?? undefined);
    });
    return child;
  }

  #lookAtAdopted(): void {
    for (const running of this.#running.values()) {
      if (running.process !== undefined && !isAlive(running.process)) {
        // How it ended is not known to who is not its parent; it is not called a crash.
        this.#over(running, `(PID ${running.process.pid}) is gone`, 0);
      }
    }
  }

  #over(running: Running, how: string, code: number | undefined): void {
    if (running.over) return;
    running.over = true;
    for (const passing of running.passing.splice(0)) giveBack(passing);
    const { name, epoch } = running.launch;
    if (this.#running.get(name) === running) this.#running.delete(name);
    forgetLaunch(this.#runDirectory, running.launch);
    if (![...this.#running.values()].some(r => r.process !== undefined)) {
      clearInterval(this.#poll);
      this.#poll = undefined;
    }
    this.onExit(name, epoch, how, code);
  }
}

/**
 * The process died: what becomes of the sockets on their way to it. Node sends one at a time, takes the
 * handle off a socket when it sends it, and closes it when the receiver has it. So one that still has
 * its handle was never sent and may go to somebody else; of one that was sent and not yet received
 * nobody knows whether it was used: it is closed.
 */
function giveBack(passing: Passing): void {
  const { socket, handle, lost } = passing;
  if (handle === null || handle.fd < 0) return;
  if (handleOf(socket) === handle) return lost(socket);
  handle.close();
  lost(undefined);
}

function handleOf(socket: Socket): SocketHandle | null {
  return (socket as unknown as { readonly _handle: SocketHandle | null })._handle;
}
