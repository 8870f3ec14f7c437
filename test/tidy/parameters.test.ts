/**
 * No parameter is swallowed: each is read by code, refused, told to have no effect, or kept by what is not there; and no
 * list speaks of one that code reads.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { allGucs } from '@pgtroupe/common/guc';
import { EFFECTLESS, LOCALES, MOOT } from '@pgtroupe/common/guc_effectless';
import { expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
/** These tell of parameters without reading them. */
const TABLES = /\/(guc_(tables|effectless|unsupported)|functiondef|settings-(hooks|names))\.ts$/;
/** Their only value is the one there is, or they are judged where they are set (settings-hooks.ts). */
const FIXED = [
  ...['archive_library', 'backslash_quote', 'default_table_access_method', 'default_tablespace', 'exit_on_error'],
  'timezone_abbreviations',
];

const source = ['packages', 'services']
  .flatMap(folder => readdirSync(`${ROOT}${folder}`, { recursive: true, encoding: 'utf8' }).map(p => `${folder}/${p}`))
  .filter(path => /^[\w/-]*\/src\/[\w/.-]*\.ts$/.test(path) && !/\.test\.ts$|generated|testkit/.test(path))
  .filter(path => !path.includes('node_modules') && !TABLES.test(path))
  .map(path => readFileSync(`${ROOT}${path}`, 'utf8'))
  .join('\n');
const names = new Set(source.match(/(?<=')[A-Za-z_][\w.]*(?=')/g));
/** `enable_${method}` and `${list}_collapse_limit` are put together where they are read. */
const methods = /type PlannerMethod =([^;]*);/.exec(source)![1]!.match(/(?<=')\w+(?=')/g)!;
for (const method of methods) names.add(`enable_${method}`);
for (const list of ['from', 'join']) names.add(`${list}_collapse_limit`);

it('every parameter does something, or says that it does not', () => {
  const silent = [...allGucs()]
    .filter(({ name, context }) => context !== 'internal' && !names.has(name))
    .filter(({ name }) => !EFFECTLESS.has(name) && !MOOT.has(name) && !LOCALES.has(name) && !FIXED.includes(name));
  expect(silent.map(({ name }) => name)).toEqual([]);
});

it('what is listed as unread is a parameter, and unread', () => {
  const known = new Set([...allGucs()].map(({ name }) => name));
  const wrong = [...EFFECTLESS, ...MOOT].filter(name => !known.has(name) || names.has(name));
  expect(wrong).toEqual([]);
  expect([...EFFECTLESS].filter(name => MOOT.has(name))).toEqual([]);
});
