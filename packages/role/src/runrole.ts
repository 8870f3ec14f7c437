/**
 * The frame around every role's process: `main.ts` is
 *
 *     await runRole('walwriter', walwriterRole);
 *
 * and the program, in `role.ts`, is all there is to it, so that the simulator runs the same:
 *
 *     export const walwriterRole: RoleProgram = {
 *       disk: 'pg_wal',
 *       start: async role => {
 *         const walwriter = new WalWriter(role.env, role.settings);
 *         await role.serve(walwriter.handlers());
 *         return { stop: mode => walwriter.stop(mode) };
 *       },
 *     };
 *
 * Order of events: the launch is claimed (a void launch ends here), the world is built, the role
 * attends to the postmaster, `start` runs, and when it resolves the role is ready. A PgError out of
 * `start` is FATAL (exit 1; PANIC 2; hopeless 78), anything uncaught later is PANIC: the process
 * ends, because its state can no longer be trusted, and the postmaster launches another.
 *
 * Without a postmaster, and none comes back: sessions end first, then who serves them (`needed`), within half a minute
 * all are gone; meanwhile who writes into the data directory keeps others out of it.
 *
 * Signals: SIGTERM stops this role as a fast shutdown would (and the postmaster launches it again
 * unless the cluster is stopping); SIGINT and SIGHUP of a terminal are not for us.
 */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Env } from '@pgtroupe/actor/env';
import type { LogLevel } from '@pgtroupe/actor/log-record';
import { FAILPOINTS_VARIABLE, parseFailpoints } from '@pgtroupe/actor/failpoint';
import {
  EXIT_FATAL,
  EXIT_HOPELESS,
  EXIT_PANIC,
  EXIT_STOPPED,
  ROLE_START_VARIABLE,
  type RoleName,
  type RoleStart,
  roleName,
  type ShutdownMode,
} from '@pgtroupe/actor/lifecycle';
import { NatsBus } from '@pgtroupe/actor/nats/bus';
import { nodeClock, nodeRandom, nodeTimers } from '@pgtroupe/actor/node/clock';
import { DirectoryGuard } from '@pgtroupe/actor/node/directory-guard';
import { nodeCommands } from '@pgtroupe/actor/node/commands';
import { nodeDisk } from '@pgtroupe/actor/node/disk';
import { type NodeLog, nodeLog } from '@pgtroupe/actor/node/log';
import { ownProcess } from '@pgtroupe/actor/node/process';
import { nodeMemory } from '@pgtroupe/actor/node/memory';
import { nodeProcessor } from '@pgtroupe/actor/node/processor';
import { nodeThreads } from '@pgtroupe/actor/node/threads';
import { claimLaunch } from '@pgtroupe/actor/node/rundir';
import { Traffic } from '@pgtroupe/actor/traffic';
import { PgError } from '@pgtroupe/common/ereport';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { Settings } from '@pgtroupe/common/settings';
import { grpcRpc } from '@pgtroupe/rpc/grpc/index';
import { Attendance } from './attendance.ts';
import type { AutovacPort, RoleOptions, RoleProgram, RunningRole } from './context.ts';
import { ProcessIntake } from './intake.ts';
import { LOOK_MS, startPulse } from './pulse.ts';

const EXIT_USAGE = 64;
/** Without a postmaster for so long a role stops; who is needed by others of the cast, when they have, or by then; who
 *  has not stopped by then just ends, and who leaves last after that. */
const ORPHAN_MS = 15_000;
const ORPHAN_NEEDED_MS = 22_000;
const ORPHAN_GONE_MS = 27_000;
const ORPHAN_LAST_MS = 28_000;

export async function runRole(role: RoleName, program: RoleProgram): Promise<void> {
  const text = process.env[ROLE_START_VARIABLE];
  if (text === undefined) {
    process.stderr.write(`${role} is started by pgtroupe's postmaster; run "pgtroupe start" instead\n`);
    process.exit(EXIT_USAGE);
  }
  const given = JSON.parse(text) as RoleStart;
  process.title = `pgtroupe: ${given.instance === 0 ? given.role : `${given.role} ${given.instance}`}`;
  const claim = claimLaunch(given.runDirectory, given, { kind: 'process', ...ownProcess() });
  if (claim.kind !== 'process' || claim.pid !== process.pid) process.exit(EXIT_STOPPED);

  const settings = new Settings(given.settings);
  const env = buildEnv(given, program, settings);
  const intake = new ProcessIntake();
  const endpoint = (name: string): string => given.endpoints[name] ?? `unix:${given.runDirectory}/${name}.sock`;
  const crash = (what: unknown): never | void => {
    if (program.runsForeignCode === true) {
      env.log.write('ERROR', what instanceof Error ? what.message : String(what), {
        where: what instanceof Error ? what.stack : undefined,
      });
      return void leave(env, EXIT_FATAL);
    }
    env.log.write(
      'PANIC',
      `${given.name} failed: ${what instanceof Error ? (what.stack ?? what.message) : String(what)}`,
    );
    return env.exit(EXIT_PANIC);
  };
  // A console that went away is no reason to end.
  process.stdout.on('error', () => {});
  process.stderr.on('error', () => {});
  process.on('uncaughtException', crash);
  process.on('unhandledRejection', crash);

  const { dataDirectory, runDirectory } = given;
  const guard = program.disk === undefined ? undefined : new DirectoryGuard({ dataDirectory, runDirectory, role });
  let guarding = false;
  const alone = (aloneMs: number): void => {
    if (guarding && guard?.holds() === false) {
      env.log.write('FATAL', 'data directory lock file is invalid: another server has the directory');
      env.exit(EXIT_FATAL);
    }
    if (aloneMs > (program.leavesLast === true ? ORPHAN_LAST_MS : ORPHAN_GONE_MS)) env.exit(EXIT_STOPPED);
    if (aloneMs < ORPHAN_MS || (program.leavesLast === true && guard?.isShared() === true)) return;
    if (aloneMs < ORPHAN_NEEDED_MS && running?.needed?.() === true) return;
    if (stopping === undefined) env.log.write('LOG', `${given.name} ends: there is no postmaster any more`);
    stop('fast');
  };

  let running: RunningRole | undefined;
  let stopping: ShutdownMode | undefined;
  const stop = (mode: ShutdownMode): void => {
    if (mode === 'immediate') env.exit(EXIT_STOPPED);
    if (mode === stopping || (stopping === 'fast' && mode === 'smart')) return;
    stopping = mode;
    attendance.report('stopping');
    if (running === undefined) return env.exit(EXIT_STOPPED);
    running.stop(mode as 'smart' | 'fast').then(() => leave(env, EXIT_STOPPED), crash);
  };
  const pulse = program.mayBeBusy
    ? startPulse({
        cluster: given.cluster,
        name: given.name,
        epoch: given.epoch,
        endpoints: [endpoint('postmaster'), endpoint('buffer-manager')],
      })
    : undefined;
  const turn = (): void => {
    pulse?.turn();
    env.timers.after(LOOK_MS, turn, { background: true });
  };
  if (pulse !== undefined) turn();
  const attendance = new Attendance({
    rpc: env.rpc,
    traffic: env.traffic,
    clock: env.clock,
    timers: env.timers,
    start: given,
    endpoint: endpoint('postmaster'),
    handlers: {
      stop,
      reload: (values, details) => settings.replace(values, details),
      cancel: (pid, secret) => intake.onCancel(pid, secret),
      autovacWorkers: workers => autovac.onWorkers(workers),
      refused: why => {
        env.log.write('LOG', `${given.name} ends: ${why}`);
        env.exit(EXIT_STOPPED);
      },
      alone: aloneMs => alone(aloneMs),
      held: () => running?.held?.() ?? {},
      wraparoundNear: () => running?.wraparoundNear?.() ?? false,
      timeoutMs: () => settings.number('role_timeout'),
    },
  });
  const autovac: AutovacPort = {
    startWorker: database => attendance.startAutovacWorker(database),
    onWorkers: () => {},
  };
  intake.attend(attendance, message => env.log.write('LOG', message));
  process.on('SIGTERM', () => stop('fast'));
  process.on('SIGINT', () => {});
  process.on('SIGHUP', () => {});

  try {
    if (role === 'backend') await intake.listen(join(given.runDirectory, `${given.name}.sessions.sock`));
    if (guard !== undefined) {
      await guard.enter();
      process.on('exit', () => guard.leave());
      guarding = true;
    }
    running = await program.start({
      ...given,
      env,
      settings,
      osPid: process.pid,
      failpoint: parseFailpoints(process.env[FAILPOINTS_VARIABLE], env, killSelf),
      sessions: intake,
      autovac,
      endpoint: (name, instance = 0) => endpoint(roleName(name, instance)),
      serve: async handlers => {
        await env.rpc.serve(endpoint(given.name), handlers);
      },
      recovering: message => attendance.report('recovering', message),
    });
  } catch (error) {
    if (!(error instanceof PgError)) crash(error);
    const level: LogLevel = (error as PgError).severity === 'PANIC' ? 'PANIC' : 'FATAL';
    const { detail, hint } = (error as PgError).fields;
    env.log.write(level, (error as PgError).message, { sqlstate: (error as PgError).sqlstate, detail, hint });
    env.exit(isHopeless(error as PgError) ? EXIT_HOPELESS : level === 'PANIC' ? EXIT_PANIC : EXIT_FATAL);
  }
  if (stopping === undefined) attendance.report('ready');
}

/** Errors that another start would only repeat: what is on disk or configured is wrong. */
function isHopeless(error: PgError): boolean {
  const hopeless: readonly string[] = [
    ERRCODE.CONFIG_FILE_ERROR,
    ERRCODE.INVALID_PARAMETER_VALUE,
    ERRCODE.DATA_CORRUPTED,
    ERRCODE.INDEX_CORRUPTED,
  ];
  return hopeless.includes(error.sqlstate);
}

/** Ends the process when its log lines are on their way. */
export async function leave(env: Env, code: number): Promise<void> {
  await (env.log as NodeLog).end();
  await (env.bus as NatsBus).close();
  env.exit(code);
}

function buildEnv(given: RoleStart, options: RoleOptions, settings: Settings): Env {
  const { cluster, name, epoch } = given;
  const scratch = join(given.runDirectory, 'scratch', name);
  if (options.disk === undefined) mkdirSync(scratch, { recursive: true, mode: 0o700 });
  const traffic = new Traffic();
  const bus = new NatsBus({ ...given.nats, cluster, name, epoch }, traffic.bus);
  return {
    clock: nodeClock,
    timers: nodeTimers,
    random: nodeRandom,
    disk: nodeDisk(options.disk === undefined ? scratch : join(given.dataDirectory, options.disk)),
    bus,
    rpc: grpcRpc({ cluster, name, epoch }, traffic),
    traffic,
    threads: nodeThreads,
    memory: nodeMemory,
    processor: nodeProcessor,
    commands: options.runsCommands === true ? nodeCommands(scratch) : undefined,
    log: nodeLog({
      clock: nodeClock,
      bus,
      from: name,
      debug: settings.string('log_min_messages').startsWith('debug'),
    }),
    exit: code => process.exit(code),
  };
}

/** What a failpoint's `kill` does. */
function killSelf(): never {
  process.kill(process.pid, 'SIGKILL');
  throw new Error('killed');
}
