/**
 * Builds what is out of date: message types out of proto/, then every package and service. What the
 * last successful build saw (names, sizes, times of all sources) is remembered, so that an
 * up-to-date tree costs a few milliseconds. `--force` builds anyway.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { checkNode, install } from './install.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const cache = join(root, 'node_modules/.cache/pgtroupe');

function* filesBelow(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    if (['dist', 'node_modules', 'generated'].includes(entry.name)) continue;
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* filesBelow(path);
    else yield path;
  }
}

function fingerprint(folders, files) {
  const hash = createHash('sha256');
  for (const folder of folders) {
    for (const path of [...filesBelow(join(root, folder))].sort()) {
      const { size, mtimeMs } = statSync(path);
      hash.update(`${path} ${size} ${mtimeMs}\n`);
    }
  }
  for (const file of files) hash.update(readFileSync(join(root, file)));
  return hash.digest('hex');
}

function remembered(name) {
  try {
    return readFileSync(join(cache, name), 'utf8');
  } catch {
    return undefined;
  }
}

function run(command, args) {
  const bin = join(root, 'node_modules/.bin', command);
  const { status, error } = spawnSync(bin, args, { cwd: root, stdio: 'inherit' });
  if (error) throw error;
  if (status !== 0) process.exit(status ?? 1);
}

/** What was built of a source that is gone must go too, or an import of it would still be found. */
function prune() {
  for (const kind of ['packages', 'services']) {
    for (const name of readdirSync(join(root, kind))) {
      const dist = join(root, kind, name, 'dist');
      if (!existsSync(dist)) continue;
      for (const entry of readdirSync(dist, { recursive: true })) {
        const stem = /^(.*?)\.(?:js|d\.ts)$/.exec(String(entry))?.[1];
        if (stem === undefined || existsSync(join(root, kind, name, 'src', `${stem}.ts`))) continue;
        for (const suffix of ['.js', '.js.map', '.d.ts']) rmSync(join(dist, stem + suffix), { force: true });
      }
    }
  }
}

export function build({ force = false } = {}) {
  mkdirSync(cache, { recursive: true });
  const proto = fingerprint(['proto'], ['buf.yaml', 'buf.gen.yaml', 'package-lock.json']);
  const generated = join(root, 'packages/rpc/src/generated');
  const has = existing => {
    try {
      return readdirSync(existing).length > 0;
    } catch {
      return false;
    }
  };
  if (force || remembered('proto') !== proto || !has(generated)) {
    rmSync(generated, { recursive: true, force: true });
    run('buf', ['generate']);
    writeFileSync(join(cache, 'proto'), proto);
  }
  const sources =
    fingerprint(['packages', 'services'], ['tsconfig.json', 'tsconfig.base.json', 'package-lock.json']) + proto;
  if (force || remembered('sources') !== sources || !has(join(root, 'packages/tools/dist'))) {
    console.error('pgtroupe: building');
    prune();
    run('tsc', ['-b', ...(force ? ['--force'] : [])]);
    writeFileSync(join(cache, 'sources'), sources);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  checkNode();
  install();
  build({ force: process.argv.includes('--force') });
}
