/**
 * Rows held by several transactions at once: what a parent locked outlives its subtransactions, who shares with
 * whom, and what pg_multixact is worth after a crash, to us and to PostgreSQL 15.
 */
import { chmodSync, cpSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, ours } from '../clients/clients.ts';
import { hasPostgres, judgeFiles, postgresAnswers } from '@pgtroupe/testkit/postgres-judge';
import { isBuilt, TestCluster, until } from '@pgtroupe/testkit/test-cluster';

const MANY = 20;
const QUESTIONS = ['SELECT id, v FROM held ORDER BY id'];

describe.skipIf(!isBuilt)('multixacts, one session per instance (skipped until `npm run build`)', () => {
  const cluster = new TestCluster();
  const clients: pg.Client[] = [];
  const session = async (): Promise<pg.Client> => {
    const client = await connect(ours(cluster));
    clients.push(client);
    return client;
  };
  const run = (client: pg.Client, ...statements: string[]): Promise<unknown> =>
    statements.reduce<Promise<unknown>>((before, text) => before.then(() => client.query(text)), Promise.resolve());
  /** Rows, or the SQLSTATE. */
  const answer = (client: pg.Client, text: string): Promise<unknown> =>
    client.query(text).then(
      result => result.rows,
      (error: { code: string }) => error.code,
    );
  let a: pg.Client;
  let b: pg.Client;

  beforeAll(async () => {
    await cluster.create();
    await cluster.start('-c', 'sessions_per_instance=1');
    a = await session();
    b = await session();
    await run(
      a,
      'CREATE TABLE held (id int PRIMARY KEY, v int)',
      'INSERT INTO held SELECT i, 0 FROM generate_series(1, 20) i',
    );
  });
  afterAll(async () => {
    await Promise.all(clients.map(client => client.end().catch(() => {})));
    await cluster.destroy();
  });

  it.each([
    ['FOR UPDATE', 'UPDATE held SET v = 1 WHERE id = 1', 'FOR UPDATE'],
    ['FOR UPDATE', 'DELETE FROM held WHERE id = 1', 'FOR KEY SHARE'],
    ['FOR NO KEY UPDATE', 'UPDATE held SET id = 100 WHERE id = 1', 'FOR SHARE'],
    ['FOR SHARE', 'SELECT FROM held WHERE id = 1 FOR UPDATE', 'FOR NO KEY UPDATE'],
    ['FOR KEY SHARE', 'SELECT FROM held WHERE id = 1 FOR NO KEY UPDATE', 'FOR UPDATE'],
  ])('a row locked %s stays so when the subtransaction of %s is rolled back', async (lock, statement, other) => {
    const probe = `SELECT id FROM held WHERE id = 1 ${other}`;
    await run(a, 'BEGIN', `SELECT FROM held WHERE id = 1 ${lock}`, 'SAVEPOINT s', statement, 'ROLLBACK TO s');
    expect(await answer(b, `${probe} NOWAIT`)).toBe('55P03');
    await run(a, 'SAVEPOINT s2', statement, 'RELEASE s2', 'ROLLBACK');
    expect(await answer(b, probe)).toEqual([{ id: 1 }]);
  });

  it('what a subtransaction released may be had in a mode that its parent does not mind', async () => {
    await run(a, 'BEGIN', 'SELECT FROM held WHERE id = 2 FOR KEY SHARE', 'SAVEPOINT s');
    await run(a, 'UPDATE held SET v = 5 WHERE id = 2');
    expect(await answer(b, 'SELECT id FROM held WHERE id = 2 FOR NO KEY UPDATE NOWAIT')).toBe('55P03');
    await run(a, 'ROLLBACK TO s');
    expect(await answer(b, 'UPDATE held SET v = 2 WHERE id = 2 RETURNING v')).toEqual([{ v: 2 }]);
    expect(await answer(b, 'SELECT id FROM held WHERE id = 2 FOR UPDATE NOWAIT')).toBe('55P03');
    await run(a, 'COMMIT');
    expect(await answer(b, 'SELECT v FROM held WHERE id = 2')).toEqual([{ v: 2 }]);
  });

  it('a key that others refer to may not change or go, the rest may', async () => {
    await run(a, 'BEGIN', 'SELECT FROM held WHERE id = 3 FOR KEY SHARE');
    await run(b, 'BEGIN', 'SELECT FROM held WHERE id = 3 FOR KEY SHARE');
    const c = await session();
    expect(await answer(c, 'UPDATE held SET v = 7 WHERE id = 3 RETURNING v')).toEqual([{ v: 7 }]);
    expect(await answer(c, 'SELECT id FROM held WHERE id = 3 FOR UPDATE NOWAIT')).toBe('55P03');
    // The key is held in every version that came since.
    await run(c, 'BEGIN', 'UPDATE held SET v = 8 WHERE id = 3');
    await run(a, 'COMMIT');
    expect(await answer(c, 'SELECT id FROM held WHERE id = 3 FOR UPDATE NOWAIT')).toBe('55P03');
    await run(c, 'ROLLBACK');
    await run(b, 'COMMIT');
    expect(await answer(c, 'SELECT id, v FROM held WHERE id = 3 FOR UPDATE NOWAIT')).toEqual([{ id: 3, v: 7 }]);
  });

  it('a deadlock between two that shared a row is found', async () => {
    await run(a, 'BEGIN', 'SELECT FROM held WHERE id = 4 FOR SHARE');
    await run(b, 'BEGIN', 'SELECT FROM held WHERE id = 4 FOR SHARE');
    const both = [a, b].map(client => answer(client, 'UPDATE held SET v = v + 1 WHERE id = 4 RETURNING v'));
    const loser = await Promise.race(both.map((outcome, n) => outcome.then(() => n)));
    expect(await both[loser]).toBe('40P01');
    await run([a, b][loser]!, 'ROLLBACK');
    expect(await both[1 - loser]).toEqual([{ v: 1 }]);
    await run([a, b][1 - loser]!, 'COMMIT');
  });

  it('members and updates survive a crash of the buffer-manager', async () => {
    await run(b, 'BEGIN', 'SELECT FROM held WHERE id = 5 FOR KEY SHARE');
    for (let i = 0; i < MANY; i++) await run(a, 'BEGIN; SELECT FROM held WHERE id = 5 FOR KEY SHARE; COMMIT');
    // An update beside a locker: xmax names both, and only pg_multixact tells who updated.
    await run(a, 'UPDATE held SET v = 50 WHERE id = 5', 'BEGIN');
    await run(a, 'UPDATE held SET v = 51 WHERE id = 5');
    const { osPid } = await cluster.role('buffer-manager');
    process.kill(osPid, 'SIGKILL');
    await until('another buffer-manager', async () => {
      const next = await cluster.role('buffer-manager');
      return next.osPid !== osPid && next.state === 'ready';
    });
    const c = await session();
    await until('an answer', () => c.query('SELECT 1').catch(() => undefined));
    expect(await answer(c, 'SELECT v FROM held WHERE id = 5')).toEqual([{ v: 50 }]);
    expect(await answer(c, 'UPDATE held SET v = 52 WHERE id = 5 RETURNING v')).toEqual([{ v: 52 }]);
    await run(a, 'ROLLBACK').catch(() => {});
    await run(b, 'ROLLBACK').catch(() => {});
  }, 120_000);

  it('VACUUM FREEZE replaces what is over and keeps who is not', async () => {
    const [x, y, c] = [await session(), await session(), await session()];
    await run(x, 'BEGIN', 'SELECT FROM held WHERE id = 6 FOR KEY SHARE');
    await run(y, 'BEGIN', 'SELECT FROM held WHERE id = 6 FOR KEY SHARE', 'COMMIT');
    await run(c, 'UPDATE held SET v = 6 WHERE id = 6', 'VACUUM (FREEZE) held');
    expect(await answer(y, 'SELECT v FROM held WHERE id = 6 FOR UPDATE NOWAIT')).toBe('55P03');
    await run(x, 'COMMIT');
    expect(await answer(y, 'SELECT v FROM held WHERE id = 6 FOR UPDATE NOWAIT')).toEqual([{ v: 6 }]);
    const minMxid = async (): Promise<number> =>
      Number((await c.query("SELECT relminmxid FROM pg_class WHERE relname = 'held'")).rows[0].relminmxid);
    const before = await minMxid();
    await run(c, 'VACUUM (FREEZE) held');
    expect(await minMxid()).toBeGreaterThan(MANY);
    expect(await minMxid()).toBeGreaterThanOrEqual(before);
  });

  it.skipIf(!hasPostgres)(
    'PostgreSQL 15 reads WAL and rows, and recovers a copy (skipped without it)',
    async () => {
      const [x, y] = [await session(), await session()];
      await run(x, 'BEGIN', 'SELECT FROM held WHERE id = 7 FOR KEY SHARE');
      await run(y, 'UPDATE held SET v = 70 WHERE id = 7');
      const expected = await Promise.all(
        QUESTIONS.map(async text => {
          const { rows } = await y.query({ text, rowMode: 'array' });
          return (rows as number[][]).map(row => `${row.join('\t')}\n`).join('');
        }),
      );
      const crashed = join(cluster.folder, 'crashed');
      await run(y, 'CHECKPOINT', 'UPDATE held SET v = v WHERE id = 7');
      cpSync(cluster.data, crashed, { recursive: true });
      chmodSync(cluster.folder, 0o755);
      expect(postgresAnswers(crashed, QUESTIONS).answers).toEqual(expected);
      await run(x, 'COMMIT');
      expect((await cluster.run('stop', '-D', cluster.data)).code).toBe(0);
      await cluster.ended();
      judgeFiles(cluster.data);
      const copy = join(cluster.folder, 'copy');
      cpSync(cluster.data, copy, { recursive: true });
      expect(postgresAnswers(copy, QUESTIONS).answers).toEqual(expected);
    },
    120_000,
  );
});
