/**
 * The two servers that are compared, each on a fresh directory of its own and a free port.
 */
import { execFile, execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { PG_BIN } from '../../packages/testkit/dist/oracle-address.js';
import { ask } from './measure.mjs';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const SHARED_BUFFERS = '256MB';

export function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** PostgreSQL refuses to run as root; then its owner does. */
export function asOwner(command, args) {
  if (process.getuid() !== 0) return [command, args];
  return ['su', ['postgres', '-s', '/bin/sh', '-c', [command, ...args].map(a => `'${a}'`).join(' ')]];
}

export function postgresAvailable() {
  return existsSync(join(PG_BIN, 'postgres')) && existsSync(join(PG_BIN, 'pgbench'));
}

export async function startPostgres() {
  const folder = mkdtempSync(join(tmpdir(), 'pgtroupe-bench-pg-'));
  if (process.getuid() === 0) {
    chmodSync(folder, 0o755);
    execFileSync('chown', ['postgres', folder]);
  }
  const data = join(folder, 'data');
  const port = await freePort();
  const pg = (command, ...args) => run(...asOwner(join(PG_BIN, command), args));
  await pg('initdb', '-D', data, '-U', 'postgres', '-A', 'trust', '--locale=C.UTF-8', '-E', 'UTF8', '-k');
  const options = `-p ${port} -k ${folder} -c listen_addresses=127.0.0.1 -c shared_buffers=${SHARED_BUFFERS}`;
  await pg('pg_ctl', '-D', data, '-w', '-l', join(folder, 'log'), '-o', options, 'start');
  return {
    name: 'PostgreSQL',
    host: '127.0.0.1',
    port,
    user: 'postgres',
    database: 'postgres',
    data,
    async stop() {
      await pg('pg_ctl', '-D', data, '-m', 'fast', '-w', 'stop');
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** A data directory in a folder of its own. */
export async function createDirectory(folder = mkdtempSync(join(tmpdir(), 'pgtroupe-bench-'))) {
  await run(process.execPath, [join(ROOT, 'bin/pgtroupe.js'), 'initdb', '-D', join(folder, 'data')]);
  return folder;
}

/** @param settings more `name=value` settings */
export async function startPgtroupe(settings = [], made) {
  const folder = made ?? (await createDirectory());
  const data = join(folder, 'data');
  const port = await freePort();
  const cli = join(ROOT, 'bin/pgtroupe.js');
  const wanted = [`shared_buffers=${SHARED_BUFFERS}`, `instance_buffers=${SHARED_BUFFERS}`, ...settings];
  const begun = performance.now();
  const child = spawn(
    process.execPath,
    [cli, 'start', '-D', data, '-p', String(port), ...wanted.flatMap(s => ['-c', s])],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let output = '';
  child.stderr.on('data', chunk => {
    output += chunk;
    if (process.env.SHOW_LOG) process.stderr.write(chunk);
  });
  await new Promise((resolve, reject) => {
    child.stdout.on('data', chunk => {
      output += chunk;
      if (output.includes('database system is ready to accept connections')) resolve();
    });
    child.on('exit', code => reject(new Error(`pgtroupe exited with ${code}:\n${output}`)));
  });
  const readySeconds = (performance.now() - begun) / 1000;
  const server = {
    name: 'pgtroupe',
    host: '127.0.0.1',
    port,
    user: 'postgres',
    database: 'postgres',
    data,
    folder,
    readySeconds,
    child,
    cli,
    async status() {
      const { stdout } = await run(process.execPath, [cli, 'status', '-D', data, '--json']);
      return JSON.parse(stdout);
    },
    async stop({ keep = false } = {}) {
      if (child.exitCode === null && child.signalCode === null) {
        const gone = new Promise(resolve => child.on('exit', resolve));
        child.kill('SIGINT');
        await gone;
      }
      if (!keep) rmSync(folder, { recursive: true, force: true });
    },
  };
  await ask(server, 'select 1');
  return server;
}
