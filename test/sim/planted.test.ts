/** Bugs that are planted must be found: otherwise "nothing found" means nothing. */
import { expect, it } from 'vitest';
import { rowsBook } from '@pgtroupe/testkit/sim/ledger';
import { PLANTED_BUGS } from '@pgtroupe/testkit/sim/planted';
import { PLANTED_DISK } from '@pgtroupe/testkit/sim/planted-disk';
import { PLANTED_ENDS } from '@pgtroupe/testkit/sim/planted-ends';
import { PLANTED_LOCKS } from '@pgtroupe/testkit/sim/planted-locks';
import { run } from '@pgtroupe/testkit/sim/run';

const TRIES = 40;

it.each([...PLANTED_BUGS, ...PLANTED_DISK, ...PLANTED_LOCKS, ...PLANTED_ENDS].map(bug => [bug.name, bug] as const))(
  'finds: %s',
  async (_name, bug) => {
    const { firstSeed = 1 } = bug;
    for (let seed = firstSeed; seed < firstSeed + TRIES; seed++) {
      try {
        await run(seed, bug.book?.() ?? rowsBook, { clients: 3, rounds: 8, instances: 1 + (seed % 3), bug });
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
        return;
      }
    }
    expect.fail(`not found in ${TRIES} seeds`);
  },
  300_000,
);
