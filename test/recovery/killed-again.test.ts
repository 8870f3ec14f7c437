/** The walwriter or the buffer-manager is killed, comes back, is killed again…: the next commit is never far. */
import { cpus, loadavg } from 'node:os';
import { Client } from 'pg';
import { afterEach, describe, expect, it } from 'vitest';
import { isBuilt, sleep, TestCluster, until } from '@pgtroupe/testkit/test-cluster';

const TIMES = 5;
/** What a commit may take after a kill. */
const COMMIT_MS = 2_000;

/** More where others keep more than twice the machine's processors busy: a new process shares them. */
function patienceMs(): number {
  return COMMIT_MS * Math.max(1, loadavg()[0]! / (2 * cpus().length));
}

let cluster: TestCluster | undefined;
afterEach(() => cluster?.destroy());

describe.runIf(isBuilt)('killed again and again', () => {
  it.each(['walwriter', 'buffer-manager'])(
    '%s: the next commit comes soon each time',
    { timeout: 120_000 },
    async name => {
      cluster = await new TestCluster().create();
      await cluster.start();
      const client = new Client({ host: '127.0.0.1', port: cluster.port, user: 'postgres', database: 'postgres' });
      client.on('error', () => {});
      await client.connect();
      await client.query('CREATE TABLE kept (id int)');
      const commit = async (id: number): Promise<boolean> => {
        try {
          await client.query('INSERT INTO kept VALUES ($1)', [id]);
          return true;
        } catch (error) {
          // The transaction in flight is lost with a buffer-manager, the session is not.
          expect((error as { code?: string }).code).toMatch(/^(40001|57P)/);
          await sleep(5);
          return false;
        }
      };
      const took: number[] = [];
      for (let n = 0; n < TIMES; n++) {
        const { osPid } = await until(`${name} to be ready`, async () => {
          const role = await cluster!.role(name);
          return role?.state === 'ready' && role;
        });
        const killedMs = performance.now();
        process.kill(osPid, 'SIGKILL');
        // One that was under way may still be answered by who is gone.
        await commit(2 * n);
        while (!(await commit(2 * n + 1)));
        took.push(Math.round(performance.now() - killedMs));
      }
      console.log(`${name}: next commit after ${took.join(', ')} ms`);
      await client.end();
      expect(Math.max(...took)).toBeLessThan(patienceMs());
    },
  );
});
