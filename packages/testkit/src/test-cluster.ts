/**
 * A cluster for tests: real processes started by the real command line in a folder of its own.
 * With `stubs`, the roles that serve data are stand-ins (test/supervision/stubs): then what is tested is
 * supervision, admission and the command line.
 */
import { execFile, execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const BIN = join(ROOT, 'bin/pgtroupe.js');
/** These tests run what `npm run build` made. */
export const isBuilt = existsSync(join(ROOT, 'packages/tools/dist/cli/main.js'));

export interface Role {
  readonly name: string;
  readonly osPid: number;
  readonly state: string;
  readonly adopted: boolean;
  readonly configVersion: number;
  readonly sessions: number;
  readonly traffic?: Traffic;
  readonly held: readonly { readonly what: string; readonly count: number }[];
}
export interface Tally {
  readonly sent: number;
  readonly received: number;
}
export interface Traffic {
  readonly rpc: readonly (Tally & { readonly method: string })[];
  readonly unawaitedMessages: number;
  readonly bus: Tally;
  readonly operations: Tally;
  readonly pageImages: Tally;
}
export interface Status {
  readonly running: boolean;
  readonly pmState: string;
  readonly postmasterPid: number;
  readonly configVersion: number;
  readonly runDirectory: string;
  readonly roles: readonly Role[];
}
export interface Run {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export const sleep = (ms: number): Promise<void> => new Promise(resolve => setTimeout(resolve, ms));

export async function until<T>(
  what: string,
  probe: () => Promise<T | undefined | false> | T | undefined | false,
  limitMs = 15_000,
): Promise<T> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const found = await probe();
    if (found !== undefined && found !== false) return found as T;
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await sleep(30);
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

export function isProcessAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // A zombie that nobody reaps here is dead.
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

export class TestCluster {
  readonly folder = mkdtempSync(join(tmpdir(), 'pgt-test-'));
  readonly data = join(this.folder, 'data');
  readonly bin = BIN;
  port = 0;
  keeper: ChildProcess | undefined;
  /** What the foreground process printed, and the log. */
  console = '';
  log = '';
  readonly environment: Record<string, string | undefined>;

  readonly #as: { readonly uid?: number; readonly gid?: number };

  /** `uid`: whose processes they are, where the test runs as root. */
  constructor(options: { readonly stubs?: boolean; readonly uid?: number } = {}) {
    this.#as = options.uid === undefined ? {} : { uid: options.uid, gid: options.uid };
    if (options.uid !== undefined) chownSync(this.folder, options.uid, options.uid);
    const services = options.stubs === true ? { PGTROUPE_PROGRAMS: join(ROOT, 'test/supervision/stubs') } : {};
    this.environment = { ...process.env, PGTROUPE_BROKER: 'bundled', ...services };
  }

  async create(): Promise<this> {
    this.port = await freePort();
    execFileSync(process.execPath, [BIN, 'initdb', '-D', this.data, '--no-sync'], this.#as);
    return this;
  }

  /** In the foreground, as a user's terminal would. */
  async start(...options: string[]): Promise<void> {
    this.spawnForeground(...options);
    await until(
      'ready',
      () => this.console.endsWith('database system is ready to accept connections\n') || this.exited(),
      60_000,
    );
    if (this.keeper!.exitCode !== null) throw new Error(`did not start: ${this.console}${this.log}`);
  }

  spawnForeground(...options: string[]): ChildProcess {
    this.console = '';
    this.log = '';
    // Tests look at pages, ids and statistics: a vacuum that comes by itself is asked for by name.
    const always = ['-c', `unix_socket_directories=${this.folder}`, '-c', 'autovacuum=off'];
    const args = [
      this.bin,
      'start',
      '-D',
      this.data,
      '-p',
      String(this.port),
      '-h',
      '127.0.0.1',
      ...always,
      ...options,
    ];
    const keeper = spawn(process.execPath, args, {
      env: this.environment,
      stdio: ['ignore', 'pipe', 'pipe'],
      ...this.#as,
    });
    keeper.stdout.on('data', chunk => (this.console += chunk));
    keeper.stderr.on('data', chunk => (this.log += chunk));
    this.keeper = keeper;
    return keeper;
  }

  async run(...args: string[]): Promise<Run> {
    try {
      const { stdout, stderr } = await promisify(execFile)(process.execPath, [BIN, ...args], {
        env: this.environment,
        ...this.#as,
      });
      return { code: 0, out: stdout, err: stderr };
    } catch (error) {
      const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string };
      return { code, out: stdout, err: stderr };
    }
  }

  async status(): Promise<Status> {
    return JSON.parse((await this.run('status', '-D', this.data, '--json')).out) as Status;
  }

  async role(name: string): Promise<Role> {
    return (await this.status()).roles.find(role => role.name === name)!;
  }

  exited(): boolean {
    return this.keeper === undefined || this.keeper.exitCode !== null || this.keeper.signalCode !== null;
  }

  /** Resolves with the keeper's exit code. */
  async ended(): Promise<number> {
    if (!this.exited()) await once(this.keeper!, 'exit');
    return this.keeper!.exitCode ?? -1;
  }

  /** What is left of transactions where none is open; undefined when that cannot be asked: the cast is not up, or
   *  somebody is in a transaction. */
  async leaks(): Promise<string[] | undefined> {
    const status = await this.status().catch(() => undefined);
    if (status?.pmState !== 'PM_RUN' || status.roles.some(role => role.state !== 'ready')) return undefined;
    const held = status.roles.flatMap(({ name, held }) => held.map(each => ({ name, ...each })));
    if (held.some(({ what, count }) => what === 'transactions' && count > 0)) return undefined;
    return held.filter(({ count }) => count > 0).map(({ name, what, count }) => `${name}: ${count} ${what}`);
  }

  /** Every lock, pin, snapshot and id was given back. Counts come with heartbeats, ids after a moment of rest. */
  async expectNoLeaks(): Promise<void> {
    let leaks: string[] | undefined;
    for (let tries = 0; tries < 20; tries++) {
      leaks = await this.leaks();
      if (leaks === undefined || leaks.length === 0) return;
      await sleep(250);
    }
    throw new Error(`left behind where nobody is in a transaction: ${leaks!.join(', ')}`);
  }

  /** Ends the cluster, which must have leaked nothing. */
  async destroy(): Promise<void> {
    try {
      if (!this.exited()) await this.expectNoLeaks();
    } finally {
      await this.#remove();
    }
  }

  async #remove(): Promise<void> {
    await this.run('stop', '-D', this.data, '-m', 'immediate');
    if (!this.exited()) this.keeper!.kill('SIGKILL');
    rmSync(this.folder, { recursive: true, force: true });
  }
}
