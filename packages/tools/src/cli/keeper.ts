/**
 * The keeper: starts the postmaster and starts it again when it was killed, until it ends by itself. It
 * is the foreground process of `pgtroupe start`, or detached after `start -d`.
 *
 * If the keeper is killed instead, the postmaster starts another (`pgtroupe keep`), which watches it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isAlive, processAt, signalProcess } from '@pgtroupe/actor/node/process';
import type { Trouble } from '@pgtroupe/actor/node/trouble';
import type { CastStatus } from '@pgtroupe/rpc/generated/postmaster';

const RESTART_FIRST_MS = 50;
const RESTART_MAX_MS = 2_000;
const HEALTHY_MS = 10_000;
const WATCH_MS = 200;
/** Exit code of a postmaster that said why it ends. */
const EXIT_FAILED = 1;

export interface KeeperEvents {
  /** Every change of the cluster's state. */
  state(status: CastStatus): void;
  failed(trouble: Trouble): void;
  restarting(how: string): void;
}

const POSTMASTER = fileURLToPath(new URL('../../../../services/postmaster/dist/main.js', import.meta.url));

export class Keeper {
  readonly #dataDirectory: string;
  readonly #settings: readonly string[];
  readonly #events: KeeperEvents;
  #child: ChildProcess | undefined;
  #everRan = false;
  #failures = 0;
  #stopping = false;
  /** What the postmaster shall be told when it can hear: a signal before that would just kill it. */
  #pending: NodeJS.Signals | undefined;
  #hears = false;

  constructor(dataDirectory: string, settings: readonly string[], events: KeeperEvents) {
    this.#dataDirectory = dataDirectory;
    this.#settings = settings;
    this.#events = events;
  }

  /** Runs until the cluster has ended; resolves with the exit code for this process. */
  async run(): Promise<number> {
    for (;;) {
      const startedMs = performance.now();
      const { code, how, trouble } = await this.#once();
      if (code === 0) return 0;
      const fatal = code === EXIT_FAILED && (!this.#everRan || trouble === undefined);
      if (fatal || this.#stopping) {
        this.#events.failed(trouble ?? { message: `the cluster cannot run (postmaster ${how})` });
        return code ?? EXIT_FAILED;
      }
      if (trouble) this.#events.failed(trouble);
      this.#failures = performance.now() - startedMs > HEALTHY_MS ? 0 : this.#failures + 1;
      this.#events.restarting(`postmaster ${how}`);
      const pauseMs = Math.min(RESTART_MAX_MS, RESTART_FIRST_MS * 2 ** Math.max(0, this.#failures - 1));
      await new Promise(resolve => setTimeout(resolve, pauseMs));
    }
  }

  /** Watches a postmaster that somebody else started, then goes on as `run`. */
  async watch(pid: number): Promise<number> {
    this.#everRan = true;
    const found = processAt(pid);
    while (found !== undefined && isAlive(found)) await new Promise(resolve => setTimeout(resolve, WATCH_MS));
    // A postmaster that ended by itself took its lock with it.
    if (!existsSync(join(this.#dataDirectory, `postmaster.lock.${pid}`))) return 0;
    return this.run();
  }

  signal(signal: NodeJS.Signals): void {
    this.#stopping = true;
    if (!this.#hears) {
      this.#pending = signal;
      return;
    }
    const found = this.#child?.pid === undefined ? undefined : processAt(this.#child.pid);
    if (found) signalProcess(found, signal);
  }

  #once(): Promise<{ code: number | undefined; how: string; trouble: Trouble | undefined }> {
    return new Promise(resolve => {
      let trouble: Trouble | undefined;
      // For profiling and debugging, as the launcher does for the roles.
      const options = (process.env['PGTROUPE_NODE_OPTIONS'] ?? '').split(' ').filter(o => o !== '');
      const child = spawn(process.execPath, [...options, POSTMASTER, this.#dataDirectory, ...this.#settings], {
        detached: true,
        stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      });
      this.#child = child;
      this.#hears = false;
      child.on('message', (message: { kind: string; status?: CastStatus } & Trouble) => {
        if (message.kind === 'listening') {
          this.#hears = true;
          if (this.#pending !== undefined) this.signal(this.#pending);
        }
        if (message.kind === 'failed') trouble = message;
        if (message.kind !== 'state') return;
        if (message.status!.pmState === 'PM_RUN') this.#everRan = true;
        this.#events.state(message.status!);
      });
      child.on('error', error =>
        resolve({ code: EXIT_FAILED, how: error.message, trouble: { message: error.message } }),
      );
      child.on('exit', (code, signal) => {
        this.#hears = false;
        const how = signal === null ? `exited with exit code ${code}` : `was terminated by signal ${signal}`;
        resolve({ code: code ?? undefined, how, trouble });
      });
    });
  }
}
