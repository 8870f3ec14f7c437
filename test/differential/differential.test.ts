/**
 * 300 statements of `npm run differential`, each way of planning among them, judged by PostgreSQL 15's answers as golden.txt
 * has them: none has to be there. Where one is, golden.txt is judged too. Made with
 *   node test/differential/differential.mjs --statements 300 --slow 3000 --record test/differential/golden.txt
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { ORACLE_HOST, ORACLE_PORT } from '@pgtroupe/testkit/oracle-address';
import { expect, it } from 'vitest';
import { statement, scriptOf } from './statements.mjs';

const DIFFERENTIAL = fileURLToPath(new URL('differential.mjs', import.meta.url));
const GOLDEN = fileURLToPath(new URL('golden.txt', import.meta.url));

const PLANTED = fileURLToPath(new URL('planted.mjs', import.meta.url));

const there = await new Promise<boolean>(resolve => {
  const socket = connect(ORACLE_PORT, ORACLE_HOST, () => {
    socket.destroy();
    resolve(true);
  });
  socket.on('error', () => resolve(false));
});

async function differential(...options: string[]): Promise<string> {
  const args = [DIFFERENTIAL, '--statements', '300', ...options];
  try {
    return (await promisify(execFile)(process.execPath, args)).stdout;
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    return `${stdout}\n${stderr}`;
  }
}

it('makes the same statements of the same seed', () => {
  const texts = [0, 1, 2, 3].map(n => scriptOf(statement(1, n)).join(';'));
  expect([0, 1, 2, 3].map(n => scriptOf(statement(1, n)).join(';'))).toEqual(texts);
  expect(new Set([...texts, scriptOf(statement(2, 0)).join(';')]).size).toBe(5);
});

it('answers as PostgreSQL did', { timeout: 600_000 }, async () => {
  const said = await differential('--golden', GOLDEN);
  expect(said).toMatch(/300 statements, .* 0 unexplained/);
  expect(Number(/(\d+) equal/.exec(said)?.[1]), said).toBeGreaterThan(280);
});

it('finds planted bugs: a lost qual, a wrong order, a wrong SQLSTATE, a wrong type', {
  timeout: 600_000,
}, async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [PLANTED]);
  const lines = stdout.trim().split('\n');
  expect(lines.length).toBe(4);
  for (const line of lines) expect(line).toMatch(/: found by statement \d+: (?:not as recorded|42804 )/);
});

it.skipIf(!there)('PostgreSQL answers as recorded', { timeout: 600_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'pgtroupe-differential-'));
  try {
    const now = join(folder, 'golden.txt');
    await differential('--slow', '3000', '--oracle', `${ORACLE_HOST}:${ORACLE_PORT}`, '--record', now);
    const [recorded, fresh] = [GOLDEN, now].map(file => readFileSync(file, 'utf8').trim().split('\n'));
    expect(fresh?.length).toBe(301);
    // What is slow depends on the machine.
    expect(fresh?.filter((line, i) => line !== recorded?.[i] && line !== 'slow' && recorded?.[i] !== 'slow')).toEqual(
      [],
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
