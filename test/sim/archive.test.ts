/** Archiving in the simulator: deaths of archiver, walwriter and all others, power failures, commands that fail. */
import { describe, expect, it } from 'vitest';
import { rowsBook } from '@pgtroupe/testkit/sim/ledger';
import { run } from '@pgtroupe/testkit/sim/run';

const OPTIONS = { clients: 2, rounds: 16, instances: 1, archiving: true } as const;

describe('the archive', () => {
  it.each([1, 2])(
    'has everything, once, whatever dies: seed %i',
    async seed => {
      const { cluster } = await run(seed, rowsBook, {
        ...OPTIONS,
        faults: ['kill', 'kill-at-failpoint', 'kill-all', 'lose-power', 'checkpoint'],
      });
      expect(cluster.archive!.size).toBeGreaterThan(1);
    },
    120_000,
  );
});
