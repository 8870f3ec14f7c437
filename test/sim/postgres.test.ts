/**
 * PostgreSQL 15 judges what the simulated cluster leaves on its disk: after a clean stop, and after a
 * power failure, which it recovers from by itself. It must find what our own recovery finds.
 */
import { rmSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { SimCluster } from '@pgtroupe/testkit/sim/cluster';
import { dumpPlatter } from '@pgtroupe/testkit/sim/dump';
import { rowsBook } from '@pgtroupe/testkit/sim/ledger';
import { run } from '@pgtroupe/testkit/sim/run';
import { hasPostgres, judgeFiles, postgresAnswers } from '@pgtroupe/testkit/postgres-judge';

/** What all of our own programs must agree on. */
const QUESTIONS = [
  'SELECT client, seq, note FROM ledger ORDER BY client, seq',
  'SELECT client, seq, debit, credit, amount FROM move ORDER BY client, seq',
  'SELECT id, balance FROM account ORDER BY id',
];

async function ours(cluster: SimCluster): Promise<string[]> {
  const { client } = cluster.client();
  const texts = [];
  for (const question of QUESTIONS) {
    const [answer] = await cluster.wait(client.query(question), question);
    texts.push(answer!.rows.map(row => `${row.join('\t')}\n`).join(''));
  }
  return texts;
}

describe.skipIf(!hasPostgres)('PostgreSQL 15', () => {
  const seeds = Array.from(
    { length: Number(process.env['SIM_SEEDS'] ?? 1) },
    (_, n) => Number(process.env['SIM_SEED'] ?? 1) + n,
  );
  it.each(seeds)(
    'agrees with us: seed %i',
    async seed => {
      const { cluster, accounts } = await run(seed, rowsBook, { clients: 3, rounds: 4, instances: 1 + (seed % 2) });
      const folders: string[] = [];
      try {
        // Power fails while clients are at work; both recover from the same bytes.
        for (const account of accounts) {
          account.stopped = false;
          void account.run(cluster, rowsBook, accounts);
        }
        await cluster.world.pass(cluster.world.between(20, 300));
        await cluster.powerFailure('lose');
        for (const account of accounts) account.process.kill('the end');
        const crashed = await dumpPlatter(cluster.platter);
        folders.push(crashed);
        await cluster.untilReady();
        const recovered = await ours(cluster);
        const judged = postgresAnswers(crashed, QUESTIONS);
        expect(judged.log).toMatch(/redo starts at/);
        expect(judged.answers).toEqual(recovered);

        await cluster.stop();
        const stopped = await dumpPlatter(cluster.platter);
        folders.push(stopped);
        judgeFiles(stopped);
        const opened = postgresAnswers(stopped, QUESTIONS);
        expect(opened.log).not.toMatch(/redo starts at/);
        expect(opened.answers).toEqual(recovered);
      } finally {
        for (const folder of folders) rmSync(folder, { recursive: true });
      }
    },
    120_000,
  );
});
