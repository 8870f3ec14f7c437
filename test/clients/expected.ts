/**
 * Answers of PostgreSQL 15, kept in a file beside the tests, so that they can be compared with where no PostgreSQL
 * is at hand. Where there is one the file itself is checked against it; `UPDATE_EXPECTED=1` writes it anew.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { missingOracle } from './clients.ts';

export type Answers = ReadonlyMap<string, string>;

const ARROW = ' => ';

function read(file: URL): Answers {
  if (!existsSync(file)) return new Map();
  const lines = readFileSync(file, 'utf8').split('\n').filter(Boolean);
  return new Map(lines.map(line => line.split(ARROW) as [string, string]));
}

/** Adds a test that asks PostgreSQL, if there is one; answers what it is known to say. */
export function expected(file: URL, ask: () => Promise<Answers>): () => Answers {
  it.skipIf(missingOracle !== undefined)('what is recorded is what PostgreSQL 15 says', async () => {
    const said = await ask();
    if (process.env['UPDATE_EXPECTED'] === '1') {
      writeFileSync(file, [...said].map(([name, answer]) => `${name}${ARROW}${answer}\n`).join(''));
    }
    expect(Object.fromEntries(read(file))).toEqual(Object.fromEntries(said));
  });
  return () => read(file);
}
