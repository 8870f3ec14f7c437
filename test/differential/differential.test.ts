/**
 * A few blocks of `npm run differential`, each way of planning among them. Skipped when no PostgreSQL 15 answers at
 * the oracle's address: there is nobody to compare with.
 */
import { spawnSync } from 'node:child_process';
import { connect } from 'node:net';
import { fileURLToPath } from 'node:url';
import { ORACLE_HOST, ORACLE_PORT } from '@pgtroupe/testkit/oracle-address';
import { expect, it } from 'vitest';
import { statement, scriptOf } from './statements.mjs';

const DIFFERENTIAL = fileURLToPath(new URL('differential.mjs', import.meta.url));

const there = await new Promise<boolean>(resolve => {
  const socket = connect(ORACLE_PORT, ORACLE_HOST, () => {
    socket.destroy();
    resolve(true);
  });
  socket.on('error', () => resolve(false));
});

it('makes the same statements of the same seed', () => {
  const texts = [0, 1, 2, 3].map(n => scriptOf(statement(1, n)).join(';'));
  expect([0, 1, 2, 3].map(n => scriptOf(statement(1, n)).join(';'))).toEqual(texts);
  expect(new Set([...texts, scriptOf(statement(2, 0)).join(';')]).size).toBe(5);
});

it.skipIf(!there)('answers as PostgreSQL does', { timeout: 300_000 }, () => {
  const { status, stdout } = spawnSync(
    process.execPath,
    [DIFFERENTIAL, '--statements', '300', '--reduce', '1', '--oracle', `${ORACLE_HOST}:${ORACLE_PORT}`],
    {
      encoding: 'utf8',
      timeout: 290_000,
    },
  );
  console.log(stdout);
  expect(stdout).toMatch(/300 statements, .* 0 unexplained/);
  expect(status).toBe(0);
});
