/**
 * An error of the disk at one call, a crash behind it: for the calls of all roles in turn, at work and at start. What was
 * acknowledged is there, everything can be read, and the cluster goes on. Some of the calls as a rule, all of them with
 * SIM_EVERY_CALL=1.
 */
import { methodsOf } from '@pgtroupe/actor/env';
import { describe, expect, it } from 'vitest';
import { combinedBook } from '@pgtroupe/testkit/sim/combined-book';
import { SimCluster, type SimClusterOptions } from '@pgtroupe/testkit/sim/cluster';
import { ddlBook } from '@pgtroupe/testkit/sim/ddl-book';
import { DISK_SQLSTATE, DiskTrouble } from '@pgtroupe/testkit/sim/disk-trouble';
import { Account, audit, excused, rowsBook } from '@pgtroupe/testkit/sim/ledger';

const EVERY = process.env['SIM_EVERY_CALL'] === undefined ? 31 : 1;
const NUMBERS = 12;
const CODES = ['ENOSPC', 'EIO', 'EMFILE', 'ENOENT'];

const book = combinedBook([rowsBook, ddlBook]);

/** Returns whether there was such a call. */
async function failing(
  n: number,
  code: string,
  when: 'at work' | 'at start',
  options: SimClusterOptions = {},
): Promise<boolean> {
  const trouble = new DiskTrouble();
  const cluster = await SimCluster.create(1, { ...options, trouble });
  const met = (): boolean => trouble.met.size > 0;
  const checkpoint = (): Promise<unknown> =>
    cluster
      .client()
      .client.query('CHECKPOINT')
      .catch((error: unknown) => {
        if (!excused(error, DISK_SQLSTATE)) throw error;
      });
  await cluster.untilReady();
  await cluster.wait(book.setUp(cluster.client().client), 'set-up');
  const account = new Account(cluster, 0, { excused: DISK_SQLSTATE });
  if (when === 'at work') trouble.aim(cluster.world, n, code);
  void account.run(cluster, book, [account]);
  await cluster.runUntil(() => account.fates.length > NUMBERS || account.unexpected !== undefined, {
    ms: 60_000,
    what: 'work',
  });
  if (when === 'at start') {
    await cluster.powerFailure('lose');
    trouble.aim(cluster.world, n, code);
    await cluster.untilReady();
  }
  await cluster.wait(checkpoint(), 'CHECKPOINT');
  await cluster.world.pass(50);
  trouble.end();
  await cluster.wait(checkpoint(), 'CHECKPOINT');
  account.stopped = true;
  await cluster.powerFailure('lose');
  await cluster.runUntil(() => account.idle, { ms: 60_000, what: 'the client to finish' });
  await cluster.untilReady();
  expect(account.unexpected).toBeUndefined();
  await cluster.wait(audit(book, cluster.client().client, [account]), 'the audit');
  await cluster.stop();
  return met();
}

describe.each(['at work', 'at start'] as const)('%s', when => {
  it.each(CODES)(
    '%s at any call loses nothing',
    async code => {
      let calls = 0;
      for (let n = CODES.indexOf(code); ; n += EVERY) {
        const met = await failing(n, code, when).catch((error: unknown) => {
          throw new Error(`call ${n}: ${(error as Error).message}`);
        });
        if (!met) break;
        calls++;
      }
      expect(calls).toBeGreaterThan(0);
    },
    600_000,
  );
});

it('finds a role that takes a failed write for done', async () => {
  const roleDisk: SimClusterOptions['roleDisk'] = (_role, disk) => ({
    ...methodsOf(disk),
    open: async (path, mode) => {
      const file = await disk.open(path, mode);
      return { ...file, write: (data, position) => file.write(data, position).catch(() => {}) };
    },
  });
  const search = async (): Promise<void> => {
    for (let n = 0; await failing(n, 'EIO', 'at work', { roleDisk }); n += 7);
  };
  await expect(search()).rejects.toThrow();
}, 600_000);
