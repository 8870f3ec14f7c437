/**
 * Statements of `npm run differential`, each way of planning among them, judged by PostgreSQL 15's answers as golden.txt
 * has them: none has to be there. Where one is, the first of golden.txt are judged too. Made with
 *   node test/differential/differential.mjs --statements 5000 --lanes 4 --slow 300 --record test/differential/golden.txt
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

const recorded = readFileSync(GOLDEN, 'utf8').trim().split('\n');
const RECORDED = recorded.length - 1;
/** Of them, those that a PostgreSQL at hand is asked again. */
const ASKED = 300;

async function differential(statements: number, ...options: string[]): Promise<string> {
  const args = [DIFFERENTIAL, '--statements', String(statements), ...options];
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

it(`answers as PostgreSQL did: ${RECORDED} recorded answers are replayed`, { timeout: 600_000 }, async () => {
  const said = await differential(RECORDED, '--golden', GOLDEN, '--lanes', '3', '--patience', '120000');
  console.log(
    said
      .split('\n')
      .filter(line => /^(?:no PostgreSQL|seed|\s+(?:explained|UNEXPLAINED))/.test(line))
      .join('\n'),
  );
  expect(said).toMatch(new RegExp(`${RECORDED} statements, .* 0 unexplained`));
  expect(Number(/(\d+) equal/.exec(said)?.[1]), said).toBeGreaterThan(RECORDED * 0.93);
});

it('finds planted bugs: a lost qual, a wrong order, a wrong SQLSTATE, a wrong type, a stale value', {
  timeout: 600_000,
}, async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [PLANTED]);
  const lines = stdout.trim().split('\n');
  expect(lines.length).toBe(5);
  for (const line of lines) expect(line).toMatch(/: found by statement \d+: (?:not as recorded|42804 )/);
});

it.skipIf(!there)('PostgreSQL answers as recorded', { timeout: 600_000 }, async () => {
  const folder = mkdtempSync(join(tmpdir(), 'pgtroupe-differential-'));
  try {
    const now = join(folder, 'golden.txt');
    await differential(ASKED, '--slow', '3000', '--oracle', `${ORACLE_HOST}:${ORACLE_PORT}`, '--record', now);
    // The first line counts them.
    const fresh = readFileSync(now, 'utf8').trim().split('\n').slice(1);
    expect(fresh.length).toBe(ASKED);
    // What is slow depends on the machine, and so does under which other plans it answers in time.
    const own = (line: string): string => line.split(' ')[0]!;
    const differs = (line: string, i: number): boolean => {
      const was = recorded[i + 1]!;
      return own(line) !== own(was) && line !== 'slow' && was !== 'slow';
    };
    expect(fresh.filter(differs)).toEqual([]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
