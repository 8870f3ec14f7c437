/**
 * What a role's program (`services/<role>/src/role.ts`) is given, and what it gives back. `runRole`
 * runs it in a process of its own, the simulator in a simulated one.
 */
import type { Env } from '@pgtroupe/actor/env';
import type { Failpoint } from '@pgtroupe/actor/failpoint';
import type { RoleName, RoleStart, ShutdownMode } from '@pgtroupe/actor/lifecycle';
import type { SessionIntake } from '@pgtroupe/actor/net';
import type { Handler } from '@pgtroupe/actor/rpc';
import type { Settings } from '@pgtroupe/common/settings';
import type { AutovacWorkers } from '@pgtroupe/rpc/generated/postmaster';

/** What autovacuum's launcher and workers have to do with the postmaster. */
export interface AutovacPort {
  /** Launcher only: launches a worker, if a slot is free. */
  startWorker(database: number): void;
  /** Told when it attends, after each wish, and when something changed. */
  onWorkers: (workers: AutovacWorkers) => void;
}

export interface RoleContext extends Omit<RoleStart, 'settings'> {
  readonly env: Env;
  /** The configuration; follows reloads (Settings.onChange). */
  readonly settings: Settings;
  readonly osPid: number;
  /** Where a test may kill, fail or delay this role. */
  readonly failpoint: Failpoint;
  /** Admission of clients: instances only (role `backend`). */
  readonly sessions: SessionIntake;
  readonly autovac: AutovacPort;
  /** Where a role, or the postmaster, serves gRPC: `endpoint('buffer-manager')`. */
  endpoint(role: RoleName | 'postmaster', instance?: number): string;
  /** Serves at this role's own endpoint until the process ends. */
  serve(handlers: readonly Handler[]): Promise<void>;
  /** Says what the role is at while it is not ready: "redo in progress, at 0/3000148". */
  recovering(message: string): void;
}

/** What transactions and sessions hold in a role, by name. Where nobody is in a transaction, every count
 *  comes down to 0: what does not has leaked. */
export type Held = Readonly<Record<string, number>>;

export interface RunningRole {
  held?(): Held;
  /**
   * Smart and fast: finish what the role owes, then resolve; the process exits with 0. May be called
   * again with a sterner mode. Immediate never gets here: the process just ends.
   */
  stop(mode: Exclude<ShutdownMode, 'immediate'>): Promise<void>;
  /** Autovacuum must run, switched off or not: the buffer-manager's to say. */
  wraparoundNear?(): boolean;
  /** Others depend on it: without a postmaster, who would order them, it leaves after them. */
  needed?(): boolean;
}

export interface RoleOptions {
  /** Root of `env.disk`, relative to the data directory: '.' for the buffer-manager, 'pg_wal' for the
   *  walwriter. Without it the disk is an empty scratch folder in the run directory. */
  readonly disk?: string;
  /** Its main loop may be held up by one statement for a while: a second thread says so in its place. */
  readonly mayBeBusy?: boolean;
  /** It runs shell commands of the configuration, in its scratch folder. */
  readonly runsCommands?: boolean;
  /** What it runs others have written: an exception that nobody catches is an error of theirs. */
  readonly runsForeignCode?: boolean;
  /** Without a postmaster it leaves after the others that write into the data directory. */
  readonly leavesLast?: boolean;
}

/** One role's wiring: which disk it needs and how its parts are put together. */
export interface RoleProgram extends RoleOptions {
  start(role: RoleContext): Promise<RunningRole>;
}
