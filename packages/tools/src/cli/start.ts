/** `pgtroupe start`: in the foreground, or detached with -d. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { inspectDataDirectory } from '@pgtroupe/actor/node/datadir';
import { runningPostmaster } from '@pgtroupe/actor/node/pidfile';
import { ereport } from '@pgtroupe/common/ereport';
import { ERRCODE } from '@pgtroupe/common/errcodes';
import type { CastStatus } from '@pgtroupe/rpc/generated/postmaster';
import type { CommandLine } from './args.ts';
import { complain, formatCast, say } from './console.ts';
import { initdbCommand } from './initdb.ts';
import { Keeper } from './keeper.ts';

const BIN = fileURLToPath(new URL('../../../../bin/pgtroupe.js', import.meta.url));

export async function startCommand(line: CommandLine, dataDirectory: string): Promise<number> {
  if (line.flags.has('initdb') && isMissingOrEmpty(dataDirectory)) await initdbCommand(line, dataDirectory);
  inspectDataDirectory(dataDirectory);
  const running = runningPostmaster(dataDirectory);
  if (running) {
    throw ereport(
      ERRCODE.LOCK_FILE_EXISTS,
      `a server is already running in "${dataDirectory}" (PID ${running.pid}, port ${running.port})`,
      {
        hint: `Stop it with "pgtroupe stop -D ${dataDirectory}", or use another directory (-D) and port (-p).`,
      },
    );
  }
  const settings = [...line.settings];
  const port = line.values.get('port');
  if (port !== undefined) settings.push(`port=${port}`);
  const host = line.values.get('host');
  if (host !== undefined) settings.push(`listen_addresses=${host}`);
  return line.flags.has('daemon')
    ? startDetached(line, dataDirectory, settings)
    : keepInForeground(dataDirectory, settings);
}

function isMissingOrEmpty(path: string): boolean {
  return !existsSync(path) || readdirSync(path).length === 0;
}

async function keepInForeground(dataDirectory: string, settings: readonly string[]): Promise<number> {
  process.title = 'pgtroupe: keeper';
  let announced = 0;
  let stopping = false;
  const keeper = new Keeper(dataDirectory, settings, {
    state: status => {
      if (status.pmState === 'PM_RUN' && announced !== status.postmasterPid) {
        announced = status.postmasterPid;
        announce(status);
      }
    },
    failed: complain,
    restarting: how => complain({ message: `${how}; starting it again` }),
  });
  const stopWith = (signal: NodeJS.Signals, mode: string): void => {
    if (!stopping) say(`${mode} shutdown requested`);
    stopping = true;
    keeper.signal(signal);
  };
  process.on('SIGINT', () => stopWith('SIGINT', 'fast'));
  process.on('SIGTERM', () => stopWith('SIGTERM', 'smart'));
  process.on('SIGQUIT', () => stopWith('SIGQUIT', 'immediate'));
  if (process.stdout.isTTY) process.on('SIGHUP', () => stopWith('SIGINT', 'fast'));
  const code = await keeper.run();
  if (code === 0) say('database system is shut down');
  return code;
}

/** Another keeper in place of one that was killed. */
export async function keepCommand(dataDirectory: string, pid: number, settings: readonly string[]): Promise<number> {
  process.title = 'pgtroupe: keeper';
  for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => {});
  const keeper = new Keeper(dataDirectory, settings, { state: () => {}, failed: complain, restarting: () => {} });
  return keeper.watch(pid);
}

function announce(status: CastStatus): void {
  const tcp = status.listening.find(place => !place.startsWith('/'));
  const unix = status.listening.find(place => place.startsWith('/'));
  const [, host = '', port = ''] = /^(.*):(\d+)$/.exec(tcp ?? '') ?? [];
  const target =
    tcp !== undefined
      ? `-h ${['*', '0.0.0.0', '::'].includes(host) ? '127.0.0.1' : host} -p ${port}`
      : `-h ${unix?.replace(/\/[^/]*$/, '')} -p ${unix?.replace(/^.*\./, '')}`;
  say(`data directory ${status.dataDirectory}, system identifier ${status.cluster}`);
  say(`listening on ${status.listening.join(', ')}`);
  for (const row of formatCast(status)) say(row);
  say(`connect:  psql ${target} -U postgres postgres`);
  say(`       or npx pgtroupe sql -D ${status.dataDirectory} "SELECT 1"`);
  say('database system is ready to accept connections');
}

/** The keeper goes on alone; this process waits until the cluster is ready. */
function startDetached(line: CommandLine, dataDirectory: string, settings: readonly string[]): Promise<number> {
  const log = line.values.get('log') ?? join(dataDirectory, 'log', 'console.log');
  mkdirSync(dirname(log), { recursive: true, mode: 0o700 });
  const file = openSync(log, 'a', 0o600);
  const child = spawn(process.execPath, [BIN, 'keep', '-D', dataDirectory, ...settings.flatMap(s => ['-c', s])], {
    detached: true,
    stdio: ['ignore', file, file, 'ipc'],
  });
  return new Promise(resolve => {
    child.on('message', (message: { kind: string; status?: CastStatus; message?: string }) => {
      if (message.kind === 'failed') complain(message as { message: string });
      if (message.status?.pmState !== 'PM_RUN') return;
      announce(message.status);
      say(`log: ${log}`);
      child.disconnect();
      child.unref();
      resolve(0);
    });
    child.on('exit', code => {
      say(`see ${log}`);
      resolve(code ?? 1);
    });
  });
}

/** The detached keeper's own life: what happens is told to who waits, and goes to the log. */
export async function keepDetached(dataDirectory: string, settings: readonly string[]): Promise<number> {
  process.title = 'pgtroupe: keeper';
  const tell = (message: object): void => {
    if (process.connected) process.send!(message, () => {});
  };
  process.on('disconnect', () => {});
  const keeper = new Keeper(dataDirectory, settings, {
    state: status => tell({ kind: 'state', status }),
    failed: trouble => {
      if (process.connected) tell({ kind: 'failed', ...trouble });
      else complain(trouble);
    },
    restarting: how => complain({ message: `${how}; starting it again` }),
  });
  process.on('SIGHUP', () => {});
  process.on('SIGINT', () => keeper.signal('SIGINT'));
  process.on('SIGTERM', () => keeper.signal('SIGTERM'));
  process.on('SIGQUIT', () => keeper.signal('SIGQUIT'));
  return keeper.run();
}
