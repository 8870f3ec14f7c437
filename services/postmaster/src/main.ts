/** Wiring of the postmaster. `main.js <data directory> [-c name=value]…`, started by the keeper. */
import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { ShutdownMode } from '@pgtroupe/actor/lifecycle';
import { NatsBus } from '@pgtroupe/actor/nats/bus';
import { nodeClock, nodeTimers } from '@pgtroupe/actor/node/clock';
import { inspectDataDirectory } from '@pgtroupe/actor/node/datadir';
import { troubleOf } from '@pgtroupe/actor/node/trouble';
import { nodeLog } from '@pgtroupe/actor/node/log';
import { lockDataDirectory } from '@pgtroupe/actor/node/pidfile';
import { prepareRunDirectory, readLaunches, runDirectoryOf } from '@pgtroupe/actor/node/rundir';
import { grpcRpc } from '@pgtroupe/rpc/grpc/index';
import { chooseBroker } from './broker_choice.ts';
import { loadConfiguration } from './configuration.ts';
import { ProcessLauncher } from './launcher.ts';
import { Postmaster } from './postmaster.ts';

/** The command line's program, whose `keep` watches a postmaster. */
const KEEPER = fileURLToPath(new URL('../../../bin/pgtroupe.js', import.meta.url));

process.title = 'pgtroupe: postmaster';
process.stdout.on('error', () => {});
process.stderr.on('error', () => {});
const tell = (message: object): void => {
  if (process.connected) process.send!(message, () => {});
};
process.channel?.unref();
// The keeper was killed: another takes its place, so that somebody starts us again.
process.on('disconnect', () => {
  spawn(
    process.execPath,
    [KEEPER, 'keep', '-D', dataDirectory, ...commandLine.flatMap(s => ['-c', s]), String(process.pid)],
    {
      detached: true,
      stdio: ['ignore', 'ignore', 'inherit'],
    },
  ).unref();
});

const [folder = 'pgdata', ...commandLine] = process.argv.slice(2);
const dataDirectory = resolve(folder);
// A signal that comes before there is who obeys it.
let stopWanted: ShutdownMode | undefined;
let stopWith = (mode: ShutdownMode): void => {
  stopWanted = mode;
};
process.on('SIGTERM', () => stopWith('smart'));
process.on('SIGINT', () => stopWith('fast'));
process.on('SIGQUIT', () => stopWith('immediate'));
process.on('SIGHUP', () => {});
tell({ kind: 'listening' });

try {
  const cluster = inspectDataDirectory(dataDirectory);
  const configuration = loadConfiguration(dataDirectory, commandLine);
  const lock = await lockDataDirectory(dataDirectory);
  process.on('exit', () => lock.release());
  const runDirectory = runDirectoryOf(dataDirectory);
  prepareRunDirectory(runDirectory);
  const broker = await chooseBroker(runDirectory, process.env);
  const launched = readLaunches(runDirectory).map(launch => launch.epoch);
  const epoch = Math.max(Date.now(), ...launched.map(e => e + 1));
  const identity = { cluster, name: 'postmaster', epoch };
  const bus = new NatsBus({ ...broker, ...identity });
  const rpc = grpcRpc(identity);
  const log = nodeLog({ clock: nodeClock, bus, from: 'postmaster', debug: false });
  const postmaster = new Postmaster({
    dataDirectory,
    runDirectory,
    cluster,
    commandLine,
    configuration,
    broker,
    epoch,
    clock: nodeClock,
    timers: nodeTimers,
    log,
    // Stand-ins for the roles' programs, in tests.
    launcher: new ProcessLauncher(runDirectory, process.env['PGTROUPE_PROGRAMS']),
    holdsDirectory: () => lock.isHeld(),
    serve: async attendants => {
      await rpc.serve(`unix:${runDirectory}/postmaster.sock`, attendants.handlers());
    },
    onState: status => tell({ kind: 'state', status }),
    onFinished: code => {
      // Nobody is left who could use it.
      rmSync(runDirectory, { recursive: true, force: true });
      process.exit(code);
    },
  });
  stopWith = mode => postmaster.shutdown(mode);
  if (stopWanted !== undefined) stopWith(stopWanted);
  process.on('SIGHUP', () => postmaster.reload());
  await postmaster.start();
} catch (error) {
  const trouble = troubleOf(error);
  tell({ kind: 'failed', ...trouble });
  if (!process.connected) process.stderr.write(`FATAL:  ${trouble.message}\n`);
  setTimeout(() => process.exit(1), 50);
}
