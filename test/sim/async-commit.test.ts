/**
 * synchronous_commit = off: what was answered may be gone with shared memory, but only the last of it, in one piece and
 * within three wal_writer_delay; nobody who waited for the flush loses anything, nor what he had seen.
 */
import { expect, it } from 'vitest';
import { churnBook, rowsBook } from '@pgtroupe/testkit/sim/ledger';
import { run } from '@pgtroupe/testkit/sim/run';

const SEEDS = Number(process.env['SIM_SEEDS'] ?? 3);
const FIRST_SEED = Number(process.env['SIM_SEED'] ?? 1);
const seeds = Array.from({ length: SEEDS }, (_, n) => FIRST_SEED + n);
const WINDOW_MS = 3 * 200;

it('asynchronous commits are lost within the window only, and sometimes are', async () => {
  let lost = 0;
  for (const seed of seeds) {
    const book = seed % 2 === 0 ? rowsBook : churnBook;
    const { cluster, accounts } = await run(seed, book, {
      clients: 3,
      rounds: 8,
      instances: 1 + (seed % 3),
      faults: ['kill-all', 'lose-power', 'tear-power', 'tear-checkpoint', 'checkpoint', 'vacuum'],
      asynchronous: { windowMs: WINDOW_MS },
    });
    const { client } = cluster.client();
    for (const { c, fates } of accounts) {
      const there = await cluster.wait(book.read(client, c), 'what is there');
      lost += fates.filter((fate, number) => fate === 'acknowledged' && !there.has(number)).length;
    }
  }
  expect(lost).toBeGreaterThan(0);
}, 240_000);
