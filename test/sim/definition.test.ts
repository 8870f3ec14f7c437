/** Death while files come and go: the catalogs and the files agree afterwards, and the name can be used again. */
import { describe, expect, it } from 'vitest';
import { SimCluster } from '@pgtroupe/testkit/sim/cluster';

const POINTS = ['create-before-file', 'create-before-record', 'drop-before-unlink'];
const HOW = ['kill', 'power'] as const;

/** Tries until somebody answers: an answer of the server's, or the error it gave. */
async function ask(cluster: SimCluster, sql: string): Promise<string> {
  await cluster.untilReady();
  const { client, process } = cluster.client();
  try {
    const answers = await cluster.wait(client.query(sql), sql);
    return JSON.stringify(answers.at(-1)!.rows);
  } catch (error) {
    return (error as Error).message;
  } finally {
    process.kill('done');
  }
}

describe('a relation’s files', () => {
  it.each(POINTS.flatMap(point => HOW.map(how => [point, how] as const)))(
    '%s: %s',
    async (point, how) => {
      let armed = false;
      let sprung = false;
      const cluster = await SimCluster.create(5, {
        settings: { checkpoint_timeout: '300' },
        failpoint: process => name => {
          if (!armed || name !== point) return undefined;
          armed = false;
          sprung = true;
          process.kill(`killed at ${name}`);
          return new Promise(() => {});
        },
      });
      expect(await ask(cluster, 'CREATE TABLE kept (a int PRIMARY KEY)')).toBe('[]');
      expect(await ask(cluster, 'INSERT INTO kept SELECT generate_series(1, 500)')).toBe('[]');
      armed = true;
      // Creates files, and drops those of before.
      const told = await ask(cluster, 'TRUNCATE kept');
      await cluster.runUntil(() => sprung, { ms: 5000, what: point });
      if (how === 'power') await cluster.powerFailure('lose');
      await cluster.world.pass(2000);
      const count = await ask(cluster, 'SELECT count(*) FROM kept');
      // Nobody was told that it failed when it did not, nor the other way round.
      expect(count).toBe(told === '[]' ? '[["0"]]' : '[["500"]]');
      expect(told === '[]').toBe(point === 'drop-before-unlink');
      expect(await ask(cluster, 'TRUNCATE kept')).toBe('[]');
      expect(await ask(cluster, 'INSERT INTO kept SELECT generate_series(1, 3)')).toBe('[]');
      expect(await ask(cluster, 'CHECKPOINT')).toBe('[]');
      await cluster.powerFailure('lose');
      expect(await ask(cluster, 'SELECT count(*), sum(a) FROM kept WHERE a > 0')).toBe('[["3","6"]]');
      await cluster.stop();
      expect(cluster.violations).toEqual([]);
    },
    120_000,
  );
});
