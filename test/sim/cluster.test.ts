/**
 * The whole cast in one simulated world. SIM_SEEDS says how many seeds, SIM_SEED the first;
 * `npm run sim` runs many.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SimCluster } from '@pgtroupe/testkit/sim/cluster';
import { PROGRAMS } from '@pgtroupe/testkit/sim/postmaster';
import { churnBook, rowsBook, tablesBook } from '@pgtroupe/testkit/sim/ledger';
import { newLocksBook } from '@pgtroupe/testkit/sim/locks-book';
import { run } from '@pgtroupe/testkit/sim/run';

const SEEDS = Number(process.env['SIM_SEEDS'] ?? 3);
const FIRST_SEED = Number(process.env['SIM_SEED'] ?? 1);
const seeds = Array.from({ length: SEEDS }, (_, n) => FIRST_SEED + n);

describe('the simulated cast', () => {
  it('runs what the processes run', async () => {
    for (const [role, program] of PROGRAMS) {
      const main = readFileSync(new URL(`../../services/${role}/src/main.ts`, import.meta.url), 'utf8');
      const [, given] = new RegExp(`await runRole\\('${role}', (\\w+)\\);`).exec(main) ?? [];
      expect(main).toContain(`import { ${given} } from './role.ts';`);
      const module = (await import(`../../services/${role}/src/role.ts`)) as Record<string, unknown>;
      expect(module[given!]).toBe(program);
    }
  });

  it('boots, serves a client, stops and starts again', async () => {
    const cluster = await SimCluster.create(1);
    await cluster.untilReady();
    const { client } = cluster.client();
    const [answer] = await cluster.wait(client.query('SHOW server_version_num'), 'SHOW');
    expect(answer?.rows[0]?.[0]).toMatch(/^15/);
    await cluster.wait(client.query('CREATE TABLE t (a int PRIMARY KEY, b text)'), 'CREATE TABLE');
    await cluster.stop();
    cluster.start();
    await cluster.untilReady();
    await expect(cluster.wait(client.query('CREATE TABLE t ()'), 'another CREATE TABLE')).rejects.toThrow(
      'relation "t" already exists',
    );
  });

  it('repeats itself for a seed', async () => {
    const traces = [];
    for (const seed of [77, 77, 78]) {
      const { cluster } = await run(seed, rowsBook, { clients: 2, rounds: 3, instances: 2 });
      traces.push(cluster.world.trace);
    }
    expect(traces[1]).toEqual(traces[0]);
    expect(traces[2]).not.toEqual(traces[0]);
  }, 120_000);

  it.each(seeds)(
    'keeps what it acknowledged: seed %i',
    async seed => {
      const { accounts } = await run(seed, seed % 2 === 0 ? rowsBook : churnBook, {
        clients: 3,
        rounds: 8,
        instances: 1 + (seed % 3),
      });
      expect(accounts.every(a => a.acknowledged > 0)).toBe(true);
    },
    120_000,
  );

  it('keeps row locks that it granted', async () => {
    await run(FIRST_SEED, newLocksBook(), { clients: 3, rounds: 8, instances: 2 });
  }, 120_000);

  it('keeps tables that it acknowledged', async () => {
    await run(FIRST_SEED, tablesBook, { clients: 2, rounds: 4, instances: 2 });
  }, 120_000);
});
