/**
 * Env: the world as a role sees it. Everything that is not computation comes in through here, so
 * that the same actor runs as a process, in a container and inside the deterministic simulator.
 * `Date.now`, `setTimeout`, `Math.random`, `node:fs` and sockets appear only in implementations
 * of these interfaces (`node/`, and the simulator in testkit); a tidy test enforces it.
 */
import type { LogFields, LogLevel } from './log-record.ts';
import type { Rpc } from './rpc.ts';
import type { Traffic } from './traffic.ts';

export interface Env {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly disk: Disk;
  readonly log: Log;
  readonly bus: Bus;
  readonly rpc: Rpc;
  /** What went over `bus` and `rpc`, counted. */
  readonly traffic: Traffic;
  /** Absent where all computation happens in one thread: in the simulator. */
  readonly threads?: Threads | undefined;
  /** Only for the role that runs commands of the configuration. */
  readonly commands?: Commands | undefined;
  /** Absent where many share one process: in the simulator. */
  readonly memory?: Memory | undefined;
  /** Absent there too. */
  readonly processor?: Processor | undefined;
  /** Ends this process. A simulated role stops receiving events instead. */
  exit(code: number): never;
}

export interface Clock {
  /** Monotonic milliseconds, fractional. The only clock for deadlines and leases. */
  nowMs(): number;
  /** What nowMs() said when this process began. */
  readonly startedMs: number;
  /** Wall clock, microseconds since 1970-01-01 UTC. Only for what users see. */
  wallMicros(): number;
}

export interface Timer {
  cancel(): void;
}

export interface Timers {
  /** Calls `fn` once after `ms`. Never blocks process exit when `background` is set. */
  after(ms: number, fn: () => void, options?: { readonly background?: boolean }): Timer;
  /** Runs `fn` in a later turn of the event loop, after pending I/O had its chance. */
  soon(fn: () => void): void;
}

export interface Memory {
  /** Live objects and garbage that was not collected yet; where V8 gives up; values outside of its heap. */
  use(): { readonly heapBytes: number; readonly heapLimit: number; readonly externalBytes: number };
}

export interface Processor {
  /** Of this process, since it began. */
  use(): { readonly userMicros: number; readonly systemMicros: number };
}

/** Shell commands of the configuration. */
export interface Commands {
  /** Runs in the folder that is the root of `disk`. Resolves when the shell is gone; it goes with this process, unless
   *  that is killed. */
  run(command: string): Promise<CommandEnd>;
}

/** `signal` with its number and its text, as strsignal has it. */
export type CommandEnd =
  | { readonly kind: 'exited'; readonly code: number }
  | { readonly kind: 'signaled'; readonly signal: number; readonly text: string };

/** Computation beside the main loop, in memory of its own. */
export interface Threads {
  start(program: URL): Thread;
}

export interface Thread {
  /** What is posted is copied, but for the buffers that `moved` gives away. */
  post(message: unknown, moved?: readonly ArrayBuffer[]): void;
  onMessage: (message: unknown) => void;
  /** Once, however it ended. */
  onEnd: (why: string) => void;
  /** At once, in the middle of whatever it does. */
  end(): void;
}

export interface Random {
  /** Cryptographically strong outside the simulator. */
  bytes(n: number): Uint8Array;
  /** Uniform in [0, 1). Not for secrets. */
  uniform(): number;
}

/** `durable`: as `write`, and every write is durable when it resolves. */
export type OpenMode = 'read' | 'write' | 'create' | 'durable';

/**
 * A disk below one root folder. Paths are relative, '/'-separated. Errors are `DiskError`.
 * Durability as POSIX has it: `write` survives only after `datasync`; a created, renamed or
 * unlinked name survives only after `syncDir` of its folder.
 */
export interface Disk {
  open(path: string, mode: OpenMode): Promise<DiskFile>;
  readFile(path: string): Promise<Uint8Array>;
  /** Creates or replaces the whole content; not atomic, not synced. */
  writeFile(path: string, data: Uint8Array, options?: { readonly mode?: number }): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  unlink(path: string): Promise<void>;
  mkdir(path: string): Promise<void>;
  /** Removes an empty folder. */
  rmdir(path: string): Promise<void>;
  readdir(path: string): Promise<string[]>;
  /** undefined when nothing is there. */
  stat(path: string): Promise<{ readonly sizeBytes: number; readonly directory: boolean } | undefined>;
  syncDir(path: string): Promise<void>;
}

/** A disk to be made another of by spreading: a class's methods do not come along then. */
export function methodsOf(disk: Disk): Disk {
  return {
    open: (path, mode) => disk.open(path, mode),
    readFile: path => disk.readFile(path),
    writeFile: (path, data, options) => disk.writeFile(path, data, options),
    rename: (from, to) => disk.rename(from, to),
    unlink: path => disk.unlink(path),
    mkdir: path => disk.mkdir(path),
    rmdir: path => disk.rmdir(path),
    readdir: path => disk.readdir(path),
    stat: path => disk.stat(path),
    syncDir: path => disk.syncDir(path),
  };
}

export interface DiskFile {
  /** Returns bytes read: short only at end of file. */
  read(into: Uint8Array, positionBytes: number): Promise<number>;
  write(data: Uint8Array, positionBytes: number): Promise<void>;
  /** A failure here is final: the caller must end its process and never retry. */
  datasync(): Promise<void>;
  truncate(sizeBytes: number): Promise<void>;
  sizeBytes(): Promise<number>;
  close(): Promise<void>;
}

export class DiskError extends Error {
  override readonly name = 'DiskError';
  /** POSIX name: ENOENT, ENOSPC, EIO, EACCES… */
  readonly code: string;
  readonly path: string;
  constructor(code: string, path: string, message: string) {
    super(message);
    this.code = code;
    this.path = path;
  }
}

/** Nothing of this name is there. */
export function isMissing(error: unknown): boolean {
  return error instanceof DiskError && error.code === 'ENOENT';
}

/** The process or the machine has no handle left: nothing was tried. */
export function isOutOfHandles(error: unknown): boolean {
  return error instanceof DiskError && (error.code === 'EMFILE' || error.code === 'ENFILE');
}

/** Structured server log. Never blocks and never throws; lost lines are counted. */
export interface Log {
  write(level: LogLevel, message: string, fields?: LogFields): void;
}

/**
 * Messages among actors (core NATS): at most once, never the only copy of a fact.
 * Subjects are given without the `pgtroupe.<cluster>.` prefix, which the implementation adds.
 */
export interface Bus {
  publish(subject: string, payload: Uint8Array): void;
  /** `subject` may end in `>` or contain `*`. Returns the function that unsubscribes. */
  subscribe(
    subject: string,
    handler: (payload: Uint8Array, subject: string, reply: string | undefined) => void,
  ): () => void;
  /** undefined when nobody answered in time or the bus is down. */
  request(subject: string, payload: Uint8Array, timeoutMs: number): Promise<Uint8Array | undefined>;
  /** Answers a request; `reply` is what the subscriber's handler was given. */
  respond(reply: string, payload: Uint8Array): void;
}
