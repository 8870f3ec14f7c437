/** How many of PostgreSQL's built-in functions there are: no fewer than the README says. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import './fmgrtab.ts';
import { lookupBuiltin, lookupSetFunction } from '@pgtroupe/adt/fmgr';

const INTERNAL_LANGUAGE = '12';

/** Distinct prosrc of language internal, aggregates (whose prosrc is a dummy) left out. */
function internalFunctions(): string[] {
  const [header, ...lines] = readFileSync(new URL('../../catalog/facts/pg_proc.tsv', import.meta.url), 'utf8')
    .trimEnd()
    .split('\n');
  const columns = header.split('\t');
  const [lang, kind, src] = ['prolang', 'prokind', 'prosrc'].map(c => columns.indexOf(c));
  const rows = lines.map(l => l.split('\t')).filter(r => r[lang] === INTERNAL_LANGUAGE && r[kind] !== 'a');
  return [...new Set(rows.map(r => r[src]))].sort();
}

it('registers what the README says', () => {
  const all = internalFunctions();
  const missing = all.filter(src => !lookupBuiltin(src) && !lookupSetFunction(src));
  if (process.env['SHOW_MISSING']) process.stdout.write(`${missing.join(' ')}\n`);
  const readme = readFileSync(new URL('../../adt/src/README.md', import.meta.url), 'utf8');
  const claimed = /(\d+) of (\d+) are registered/.exec(readme);
  expect(Number(claimed?.[2])).toBe(all.length);
  expect(all.length - missing.length).toBeGreaterThanOrEqual(Number(claimed?.[1]));
});
