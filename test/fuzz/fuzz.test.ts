/**
 * Odd statements of `npm run fuzz` with a fixed seed, judged by PostgreSQL 15's answers as golden.txt has them: nobody dies, no internal
 * error is ours, nothing is answered that PostgreSQL refuses. Made with
 *   node test/fuzz/fuzz.mjs --rounds 0.5 --record test/fuzz/golden.txt
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { isBuilt } from '@pgtroupe/testkit/test-cluster';
import { describe, expect, it } from 'vitest';

const path = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

async function fuzz(options: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const args = [path('fuzz.mjs'), '--rounds', '0.5', '--golden', path('golden.txt'), ...options];
  try {
    return (await promisify(execFile)(process.execPath, args, { env, maxBuffer: 1 << 26 })).stdout;
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    return `${stdout}\n${stderr}`;
  }
}

describe.skipIf(!isBuilt)('odd statements (needs a build)', () => {
  it('are answered as PostgreSQL did', { timeout: 600_000 }, async () => {
    const said = await fuzz([]);
    expect(said).toMatch(/statements, \d+ equal, .* 0 unexplained/);
  });

  it('find an internal error, a wrong value and a death that were planted', { timeout: 600_000 }, async () => {
    const env = { ...process.env, PGTROUPE_NODE_OPTIONS: `--import=${path('plants.mjs')}` };
    const said = await fuzz(['--match', '"(text_larger|float8larger|textgename)"'], env);
    expect(said).toMatch(/#### functions: XX000 .*\n.*text_larger/);
    expect(said).toMatch(/#### functions: not as recorded\n.*float8larger/);
    expect(said).toMatch(/#### functions: (?:LOST|57P0).*\n.*textgename/);
  });
});
