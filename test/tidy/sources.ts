/** The tree as the tidy tests see it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export function* sourcesBelow(folder: string, leaveOut = ['generated']): Generator<string> {
  for (const entry of readdirSync(join(ROOT, folder), { withFileTypes: true })) {
    if (['dist', 'node_modules', ...leaveOut].includes(entry.name)) continue;
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) yield* sourcesBelow(path, leaveOut);
    else if (path.endsWith('.ts') && !path.endsWith('.d.ts')) yield path;
  }
}

function filesBelow(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap(entry => {
    if (['dist', 'node_modules'].includes(entry.name)) return [];
    return entry.isDirectory() ? filesBelow(`${folder}/${entry.name}`) : [`${folder}/${entry.name}`];
  });
}

/** All files of ours, for whoever names one. */
export const FILES = ['packages', 'services', 'test', 'scripts', 'docs', 'proto', '.ci'].flatMap(filesBelow);

/** Documents that speak of the code as it is; decisions and the change log speak of their day. */
export const DOCUMENTS = [
  ...['README.md', 'ARCHITECTURE.md', 'STYLE.md', 'CONTRIBUTING.md', 'docs/roadmap.md', 'docs/invariants.md'],
  ...FILES.filter(file => file.endsWith('/README.md')),
];

/** TypeScript of packages and services, tests too. */
export const all = ['packages', 'services'].flatMap(folder => [...sourcesBelow(folder)]).sort();
/** Without tests and their helpers, which live in folders named `testing`. */
export const code = all.filter(
  file => !file.endsWith('.test.ts') && file.includes('/src/') && !file.includes('/testing/'),
);
export const text = new Map(all.map(file => [file, readFileSync(join(ROOT, file), 'utf8')]));
