/** How many of PostgreSQL's built-in functions there are; the README must say the same. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { lookupBuiltin, lookupSetFunction } from '../fmgr.ts';

const INTERNAL_LANGUAGE = '12';

/** Distinct prosrc of language internal, aggregates (whose prosrc is a dummy) left out. */
function internalFunctions(): string[] {
  const [header, ...lines] = readFileSync(new URL('../../../../catalog/facts/pg_proc.tsv', import.meta.url), 'utf8').trimEnd().split('\n');
  const columns = header.split('\t');
  const [lang, kind, src] = ['prolang', 'prokind', 'prosrc'].map((c) => columns.indexOf(c));
  const rows = lines.map((l) => l.split('\t')).filter((r) => r[lang] === INTERNAL_LANGUAGE && r[kind] !== 'a');
  return [...new Set(rows.map((r) => r[src]))].sort();
}

it('registers what the README says, and nothing PostgreSQL does not know', () => {
  const all = internalFunctions();
  const missing = all.filter((src) => !lookupBuiltin(src) && !lookupSetFunction(src));
  if (process.env['SHOW_MISSING']) process.stdout.write(`${missing.join(' ')}\n`);
  const readme = readFileSync(new URL('./README.md', import.meta.url), 'utf8');
  expect(readme).toContain(`${all.length - missing.length} of ${all.length}`);
});
