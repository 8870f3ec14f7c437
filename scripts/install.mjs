/** Installs the dependencies when they are missing or older than package-lock.json. */
import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const MINIMUM = [20, 19];

function time(path) {
  try {
    return statSync(join(root, path)).mtimeMs;
  } catch {
    return 0;
  }
}

export function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > MINIMUM[0] || (major === MINIMUM[0] && minor >= MINIMUM[1])) return;
  console.error(`pgtroupe: needs Node.js ${MINIMUM.join('.')} or newer, this is ${process.versions.node}`);
  process.exit(1);
}

export function install() {
  // npm writes its own copy of the lock when it has finished.
  if (time('node_modules/.package-lock.json') >= time('package-lock.json')) return;
  console.error('pgtroupe: installing dependencies');
  // Not `npm ci`: it refuses a lock without the optional binaries of every other platform.
  const { status, error } = spawnSync('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}
