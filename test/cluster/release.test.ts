/**
 * Whoever was told that a transaction, or what a savepoint began, is over may rely on it in another session of another
 * instance: nothing of it is in the way of who does not wait.
 */
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, ours } from '../clients/clients.ts';
import { isBuilt, TestCluster } from '@pgtroupe/testkit/test-cluster';

const ROUNDS = 40;
const ROW = 'SELECT id FROM held WHERE id = 1 FOR UPDATE';
const UPDATE = 'UPDATE held SET v = v + 1 WHERE id = 1';
const LOCK = 'LOCK TABLE held IN ACCESS EXCLUSIVE MODE';

describe.skipIf(!isBuilt)('what has ended is free, one session per instance (skipped until `npm run build`)', () => {
  const cluster = new TestCluster();
  let a: pg.Client;
  let b: pg.Client;

  beforeAll(async () => {
    await cluster.create();
    await cluster.start('-c', 'sessions_per_instance=1');
    a = await connect(ours(cluster));
    b = await connect(ours(cluster));
    await a.query('CREATE TABLE held (id int PRIMARY KEY, v int)');
    await a.query('INSERT INTO held VALUES (1, 0)');
  });
  afterAll(async () => {
    for (const client of [a, b]) await client?.end().catch(() => {});
    await cluster.destroy();
  });

  /** Its statements in order, errors included. */
  async function does(client: pg.Client, statements: readonly string[]): Promise<void> {
    for (const text of statements) {
      const failing = /\/ (0|\(v - v\))/.test(text);
      // With parameters it goes through Parse, Bind, Execute and Sync.
      const outcome = client.query(text, text.includes('$1') ? [1] : undefined).then(
        () => 'success',
        (error: { code: string }) => error.code,
      );
      expect(await outcome).toBe(failing ? '22012' : 'success');
    }
  }

  it.each([
    ['ROLLBACK', ['BEGIN', UPDATE, 'ROLLBACK']],
    ['ROLLBACK of a lock on a row', ['BEGIN', ROW, 'ROLLBACK']],
    ['ROLLBACK by Execute', ['BEGIN', 'UPDATE held SET v = v + 1 WHERE id = $1', 'ROLLBACK']],
    ['ROLLBACK TO', ['BEGIN', 'SAVEPOINT s', UPDATE, 'ROLLBACK TO s']],
    ['an error in a block', ['BEGIN', UPDATE, 'SELECT 1 / 0']],
    ['an error behind a savepoint', ['BEGIN', 'SAVEPOINT s', UPDATE, 'SELECT 1 / 0']],
    ['an error of a query string', [`${UPDATE}; SELECT 1 / 0`]],
    ['an error of an Execute', ['WITH u AS (UPDATE held SET v = v + $1 RETURNING v) SELECT v / (v - v) FROM u']],
    ['COMMIT', ['BEGIN', UPDATE, 'COMMIT']],
  ])('a row, after %s', async (_, statements) => {
    for (let round = 0; round < ROUNDS; round++) {
      await does(a, statements);
      expect((await b.query(`${ROW} ${round % 2 === 0 ? 'NOWAIT' : 'SKIP LOCKED'}`)).rows).toEqual([{ id: 1 }]);
      await does(a, ['ROLLBACK']);
    }
  });

  it.each([
    ['ROLLBACK of LOCK TABLE', ['BEGIN', LOCK, 'ROLLBACK']],
    ['COMMIT of LOCK TABLE, without an id', ['BEGIN', LOCK, 'COMMIT']],
    ['ROLLBACK of an UPDATE', ['BEGIN', UPDATE, 'ROLLBACK']],
    ['COMMIT of a SELECT', ['BEGIN', 'SELECT FROM held', 'COMMIT']],
    ['a SELECT', ['SELECT FROM held']],
    ['an error', ['BEGIN', LOCK, 'SELECT 1 / 0']],
  ])('a table, after %s', async (_, statements) => {
    for (let round = 0; round < ROUNDS; round++) {
      await does(a, statements);
      await does(b, ['BEGIN', `${LOCK} NOWAIT`, 'COMMIT']);
      await does(a, ['ROLLBACK']);
    }
  });

  it('what has not ended is not', async () => {
    const refused = (text: string): Promise<unknown> => b.query(text).catch((error: Error) => error.message);
    for (const begun of [LOCK, UPDATE, 'SELECT FROM held']) {
      await does(a, ['BEGIN', begun]);
      await b.query('BEGIN');
      expect(await refused(`${LOCK} NOWAIT`)).toBe('could not obtain lock on relation "held"');
      await does(b, ['ROLLBACK', 'BEGIN']);
      expect(await refused(`${LOCK.replace('held', 'public.held')} NOWAIT`)).toBe(
        'could not obtain lock on relation "public.held"',
      );
      await does(b, ['ROLLBACK']);
      await does(a, ['ROLLBACK']);
    }
  });
});
