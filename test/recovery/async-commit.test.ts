/** What becomes of asynchronous commits when shared memory is lost. PostgreSQL 15 finds the same rows in a copy. */
import { chmodSync, cpSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterEach, describe, expect, it } from 'vitest';
import { hasPostgres, postgresAnswers } from '@pgtroupe/testkit/postgres-judge';
import { isBuilt, TestCluster, until } from '@pgtroupe/testkit/test-cluster';

/** Nothing is flushed meanwhile that nobody waits for. */
const LONG_DELAY_MS = 10_000;

let cluster: TestCluster | undefined;
afterEach(() => cluster?.destroy());

describe.runIf(isBuilt)('asynchronous commits', () => {
  it('may be lost until they are flushed, and keep their order', { timeout: 240_000 }, async () => {
    cluster = await new TestCluster().create();
    await cluster.start('-c', `wal_writer_delay=${LONG_DELAY_MS}`);
    const client = new Client({ host: '127.0.0.1', port: cluster.port, user: 'postgres', database: 'postgres' });
    client.on('error', () => {});
    await client.connect();
    const ask = async (sql: string): Promise<string> => {
      const { rows } = await client.query<{ answer: string }>(`SELECT (${sql})::text AS answer`);
      return rows[0]!.answer;
    };
    const NUMBERS = "SELECT coalesce(string_agg(id::text, ' ' ORDER BY id), '') FROM kept";
    let { osPid } = await cluster.role('buffer-manager');
    /** The numbers that the next life finds. */
    const loseMemory = async (): Promise<string> => {
      const lost = osPid;
      process.kill(lost, 'SIGKILL');
      // Before, an instance may answer from what it has.
      osPid = await until(
        'the next buffer-manager',
        async () => {
          const role = await cluster!.role('buffer-manager');
          return role?.state === 'ready' && role.osPid !== lost && role.osPid;
        },
        60_000,
      );
      const [found] = await until(
        'its answer',
        () =>
          ask(NUMBERS).then(
            n => [n] as const,
            () => false as const,
          ),
        60_000,
      );
      return found;
    };
    const insert = async (id: number, commit: string): Promise<void> => {
      await client.query(`BEGIN; SET LOCAL synchronous_commit = ${commit}; INSERT INTO kept VALUES (${id}); COMMIT`);
    };
    await client.query('CREATE TABLE kept (id int); CREATE TABLE dropped (id int)');

    // Answered, and not flushed, unless a delay that had begun before happens to be over.
    for (let tries = 0; ; tries++) {
      await insert(1, 'off');
      expect(await ask(NUMBERS)).toBe('1');
      if ((await loseMemory()) === '') break;
      expect(tries).toBeLessThan(5);
      await client.query('DELETE FROM kept');
    }

    // Whoever is synchronous takes along what came before.
    await insert(2, 'off');
    await insert(3, 'remote_apply');
    await insert(4, 'off');
    expect(await loseMemory()).toMatch(/^2 3( 4)?$/);

    // A file goes with this one: it must be durable.
    await insert(5, 'off');
    await client.query('BEGIN; SET LOCAL synchronous_commit = off; DROP TABLE dropped; COMMIT');
    const found = await loseMemory();
    expect(found).toMatch(/^2 3 (4 )?5$/);
    expect(await ask("SELECT count(*) FROM pg_class WHERE relname = 'dropped'")).toBe('0');
    await client.end();
    await cluster.run('stop', '-D', cluster.data, '-m', 'immediate');
    if (!hasPostgres) return;
    const copy = join(cluster.folder, 'copy');
    cpSync(cluster.data, copy, { recursive: true });
    // It runs as another user.
    chmodSync(cluster.folder, 0o711);
    expect(postgresAnswers(copy, [NUMBERS]).answers).toEqual([`${found}\n`]);
  });
});
