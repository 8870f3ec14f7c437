/**
 * No statement stops its neighbours: what computes for long does so beside the main loop of its instance or in slices, can be
 * cancelled in the middle, and dies by itself when it needs more than there is. `npm run stalls` does this with all cases.
 */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isBuilt, TestCluster } from '@pgtroupe/testkit/test-cluster';
import { ours } from '../clients/clients.ts';
import { CASES, SMALL_SETUP } from './cases.mjs';
import { Watch } from './watch.mjs';

/** What the main thread may compute between two looks at its sessions: it does not count what else the machine does. */
const BUSY_MS = 500;
/** Generous: other tests run beside this one. */
const LATE_MS = 3000;
const CHEAP = CASES.filter(({ cheap }) => cheap === true).map(({ name }) => name);
const answers = JSON.parse(readFileSync(new URL('answers.json', import.meta.url), 'utf8')) as Record<string, string>;

describe.skipIf(!isBuilt)('long computations', () => {
  const cluster = new TestCluster();
  let watch: Watch;

  beforeAll(async () => {
    await cluster.create();
    await cluster.start();
    const { osPid } = await cluster.role('backend-1');
    watch = await new Watch({ ...ours(cluster), osPid }).start();
    for (const sql of SMALL_SETUP) await watch.ask(sql);
  }, 60_000);
  afterAll(async () => {
    await watch?.stop();
    await cluster.destroy();
  });

  for (const name of CHEAP) {
    it(`${name}: neighbours are served`, async () => {
      const { answer, busyMs } = await watch.run(name);
      expect(answer).toBe(answers[name]);
      expect(busyMs).toBeLessThan(BUSY_MS);
    }, 60_000);
  }

  it('a call under way is cancelled, or runs into statement_timeout', async () => {
    for (const run of [
      await watch.cancelled('regexp_replace of 100 MB', 1000),
      await watch.timedOut('regexp_replace of 100 MB', 1000),
    ]) {
      expect(run.answer).toBe('57014');
      expect(run.lateMs).toBeLessThan(LATE_MS);
    }
  }, 60_000);

  it('what is nested too deeply says so', async () => {
    expect(await watch.ask(`select ${'1+'.repeat(50_000)}1`)).toBe('54001');
    expect(await watch.ask(`select ${'1+'.repeat(3000)}1 as n`)).toBe('3001');
  }, 60_000);
});
