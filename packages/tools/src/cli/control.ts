/** `pgtroupe stop`, `status`, `reload`: talking to a running postmaster. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspectDataDirectory } from '@pgtroupe/actor/node/datadir';
import { runningPostmaster } from '@pgtroupe/actor/node/pidfile';
import { isAlive, signalProcess } from '@pgtroupe/actor/node/process';
import { ereport } from '@pgtroupe/common/ereport';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import { type CastStatus, PostmasterDefinition } from '@pgtroupe/rpc/generated/postmaster';
import { grpcRpc } from '@pgtroupe/rpc/grpc/index';
import { streamMethod } from '@pgtroupe/rpc/method';
import type { CommandLine } from './args.ts';
import { formatCast, say } from './console.ts';

const OBSERVE = streamMethod(PostmasterDefinition, 'observe');
const SIGNALS = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const;
/** pg_ctl's exit codes. */
const EXIT_NOT_RUNNING = 3;
const EXIT_NO_DIRECTORY = 4;
const POLL_MS = 50;
const STOP_PATIENCE_MS = 60_000;

type Running = NonNullable<ReturnType<typeof runningPostmaster>>;

function running(dataDirectory: string): Running {
  inspectDataDirectory(dataDirectory);
  const found = runningPostmaster(dataDirectory);
  if (found === undefined) {
    throw ereport(ERRCODE.OBJECT_NOT_IN_PREREQUISITE_STATE, `no server is running in "${dataDirectory}"`, {
      hint: `Start one with "pgtroupe start -D ${dataDirectory}".`,
    });
  }
  return found;
}

export async function stopCommand(line: CommandLine, dataDirectory: string): Promise<number> {
  const mode = line.values.get('mode') ?? 'fast';
  const signal = SIGNALS[mode as keyof typeof SIGNALS];
  if (signal === undefined) {
    throw ereport(ERRCODE.INVALID_PARAMETER_VALUE, `unrecognized shutdown mode "${mode}"`, {
      hint: 'Modes are smart, fast and immediate.',
    });
  }
  const server = running(dataDirectory);
  signalProcess(server.process, signal);
  const deadline = performance.now() + STOP_PATIENCE_MS;
  while (isAlive(server.process)) {
    if (performance.now() > deadline) {
      throw ereport(ERRCODE.OBJECT_NOT_IN_PREREQUISITE_STATE, 'server does not shut down', {
        hint: `"-m fast" disconnects sessions, "-m immediate" does not wait for a checkpoint.`,
      });
    }
    await new Promise(resolve => setTimeout(resolve, POLL_MS));
  }
  say('server stopped');
  return 0;
}

export async function reloadCommand(dataDirectory: string): Promise<number> {
  signalProcess(running(dataDirectory).process, 'SIGHUP');
  say('server signaled');
  return 0;
}

export async function statusCommand(line: CommandLine, dataDirectory: string): Promise<number> {
  const json = line.flags.has('json');
  if (!existsSync(dataDirectory)) {
    if (json) say(JSON.stringify({ running: false }));
    else say(`directory "${dataDirectory}" does not exist`);
    return EXIT_NO_DIRECTORY;
  }
  const server = runningPostmaster(dataDirectory);
  if (server === undefined) {
    say(json ? JSON.stringify({ running: false }) : 'no server running');
    return EXIT_NOT_RUNNING;
  }
  const status = await castStatus(server);
  if (json) {
    say(JSON.stringify({ running: true, ...status }, null, 2));
    return 0;
  }
  say(`server is running (PID ${status.postmasterPid}), data directory ${status.dataDirectory}`);
  say(`listening on ${status.listening.join(', ')}`);
  for (const row of formatCast(status)) say(row);
  return 0;
}

/** Asks the postmaster. */
async function castStatus(server: Running): Promise<CastStatus> {
  const control = await readFile(join(server.dataDirectory, 'global/pg_control'));
  const cluster = String(control.readBigUInt64LE(0));
  const rpc = grpcRpc({ cluster, name: `pgtroupe-${process.pid}`, epoch: 0 });
  const stream = rpc.open(`unix:${server.runDirectory}/postmaster.sock`, OBSERVE);
  return new Promise((resolve, reject) => {
    stream.onMessage = status => {
      resolve(status);
      stream.end();
    };
    stream.onEnd = reason => {
      reject(
        ereport(ERRCODE.CONNECTION_FAILURE, `the postmaster (PID ${server.pid}) does not answer`, {
          detail: reason.kind === 'broken' ? reason.why : undefined,
        }),
      );
    };
  });
}
