/** log_lock_waits: a wait longer than deadlock_timeout is told in the log, with PostgreSQL's lines (ProcSleep). */
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isBuilt, TestCluster, until } from '@pgtroupe/testkit/test-cluster';

const TIMEOUT_MS = 200;

describe.runIf(isBuilt)('log_lock_waits', () => {
  let cluster: TestCluster;
  let clients: Client[];
  const pids: number[] = [];

  beforeAll(async () => {
    cluster = await new TestCluster().create();
    await cluster.start(
      '-c',
      'log_lock_waits=on',
      '-c',
      `deadlock_timeout=${TIMEOUT_MS}`,
      '-c',
      'logging_collector=off',
    );
    clients = [0, 1].map(
      () => new Client({ host: '127.0.0.1', port: cluster.port, user: 'postgres', database: 'postgres' }),
    );
    for (const client of clients) {
      await client.connect();
      const { rows } = await client.query<{ pid: number }>('SELECT pg_backend_pid() AS pid');
      pids.push(rows[0]!.pid);
    }
    await clients[0]!.query(
      'CREATE TABLE waited (id int PRIMARY KEY, n int); INSERT INTO waited VALUES (1, 0), (2, 0)',
    );
  }, 240_000);
  afterAll(async () => {
    for (const client of clients ?? []) await client.end();
    await cluster?.destroy();
  }, 120_000);

  const logged = (pattern: RegExp): Promise<RegExpMatchArray> =>
    until(String(pattern), () => pattern.exec(cluster.log) ?? undefined, 30_000);

  it('says who waits for what and who is in the way, and when it was had', { timeout: 60_000 }, async () => {
    const [holder, waiter] = clients as [Client, Client];
    await holder.query('BEGIN; LOCK TABLE waited');
    const waiting = waiter.query('SELECT count(*) FROM waited');
    await logged(
      new RegExp(
        `LOG: {2}process ${pids[1]} still waiting for AccessShareLock on relation \\d+ of database \\d+ after \\d+\\.\\d{3} ms`,
      ),
    );
    await logged(new RegExp(`DETAIL: {2}Process holding the lock: ${pids[0]}\\. Wait queue: ${pids[1]}\\.`));
    await logged(/STATEMENT: {2}SELECT count\(\*\) FROM waited/);
    await holder.query('COMMIT');
    await waiting;
    await logged(
      new RegExp(
        `LOG: {2}process ${pids[1]} acquired AccessShareLock on relation \\d+ of database \\d+ after \\d+\\.\\d{3} ms`,
      ),
    );
  });

  it('says so of rows, and of deadlocks', { timeout: 60_000 }, async () => {
    const [first, second] = clients as [Client, Client];
    await first.query('BEGIN; UPDATE waited SET n = 1 WHERE id = 1');
    await second.query('BEGIN; UPDATE waited SET n = 2 WHERE id = 2');
    const ends = Promise.allSettled([
      first.query('UPDATE waited SET n = 1 WHERE id = 2'),
      second.query('UPDATE waited SET n = 2 WHERE id = 1'),
    ]);
    const [, pid] = await logged(
      /LOG: {2}process (\d+) detected deadlock while waiting for ShareLock on transaction \d+ after \d+\.\d{3} ms/,
    );
    expect(pids.map(String)).toContain(pid);
    await logged(/ERROR: {2}deadlock detected\n/);
    const outcomes = await ends;
    expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected']);
    await first.query('ROLLBACK');
    await second.query('ROLLBACK');
  });
});
