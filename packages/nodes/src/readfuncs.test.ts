import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { nodeToString } from './outfuncs.ts';
import { stringToNode } from './readfuncs.ts';
import { ORACLE_HOST, ORACLE_PORT } from '@pgtroupe/testkit/oracle-address';

const ORACLE = ['-h', ORACLE_HOST, '-p', String(ORACLE_PORT), '-U', 'postgres', '-XAt'];

function oracle(sql: string): string | null {
  try {
    return execFileSync('psql', [...ORACLE, '-c', sql], {
      maxBuffer: 1 << 28,
      stdio: ['ignore', 'pipe', 'ignore'],
    }).toString();
  } catch {
    return null;
  }
}

describe('node trees', () => {
  const trees = oracle(
    `select ev_action::text from pg_rewrite union all select adbin::text from pg_attrdef
     union all select conbin::text from pg_constraint where conbin is not null
     union all select indexprs::text from pg_index where indexprs is not null`,
  );
  it.skipIf(trees === null)('reads and writes every tree of a real cluster byte for byte', () => {
    const lines = (trees as string).split('\n').filter(line => line !== '');
    expect(lines.length).toBeGreaterThan(100);
    for (const line of lines) expect(nodeToString(stringToNode(line, { keepLocations: true }))).toBe(line);
  });

  it('escapes tokens as PostgreSQL does', () => {
    const alias = { type: 'Alias', aliasname: '1 a(b)\\"', colnames: ['', '<x', '-5', '-x'] } as const;
    const text = nodeToString(alias);
    expect(text).toBe('{ALIAS :aliasname \\1\\ a\\(b\\)\\\\" :colnames ("" "\\<x" "\\-5" "-x")}');
    expect(stringToNode(text)).toEqual(alias);
  });
});
