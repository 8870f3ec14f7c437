/**
 * No statement stops its neighbours: what computes for long does so beside the main loop of its instance, can be cancelled
 * in the middle, and dies by itself when it needs more than there is.
 */
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isBuilt, sleep, TestCluster } from '../testcluster.ts';
import { cancelRequest, connect, ours, type Server } from './clients.ts';

/** Generous: the machine that runs the tests does other things too. The stretches were 5 to 60 s. */
const GAP_MS = 3000;

const LONG: Readonly<Record<string, [sql: () => string, answer: unknown]>> = {
  'a literal of 20 MB': [() => `select length('${'x'.repeat(20e6)}')`, 20_000_000],
  'upper of 6 MB': [() => "select length(upper(repeat('aé', 2000000)))", 4_000_000],
  'regexp_replace of 4 MB': [() => "select length(regexp_replace(repeat('ab', 2000000), 'a', 'c', 'g'))", 4_000_000],
  'factorial of 20000': [() => 'select length(factorial(20000)::text)', 77_338],
  'a power of 95442 digits': [() => 'select length((9.0::numeric ^ 100000)::text)', 95_442],
  'two of them in a row': [
    () => "select length(upper(repeat('é', 1000000))) + length(lower(repeat('É', 1000000))) as n",
    2_000_000,
  ],
  '400 WITH queries, each of the one before': [
    () =>
      `with a0 as (select 1 as x)${Array.from({ length: 400 }, (_, i) => `, a${i + 1} as (select x from a${i})`).join('')} select x from a400`,
    1,
  ],
};

describe.skipIf(!isBuilt)('long computations', () => {
  const cluster = new TestCluster();
  let server: Server;
  let session: pg.Client;
  let neighbour: pg.Client;
  let gapMs = 0;
  let stopped = false;
  let watching: Promise<void>;

  beforeAll(async () => {
    await cluster.create();
    await cluster.start();
    server = ours(cluster);
    session = await connect(server);
    neighbour = await connect(server);
    watching = (async () => {
      while (!stopped) {
        const from = performance.now();
        await neighbour.query('select 1');
        gapMs = Math.max(gapMs, performance.now() - from);
        await sleep(5);
      }
    })();
  }, 60_000);
  afterAll(async () => {
    stopped = true;
    await watching;
    await session.end();
    await neighbour.end();
    await cluster.destroy();
  });

  for (const [name, [sql, answer]] of Object.entries(LONG)) {
    it(`${name}: neighbours are served`, async () => {
      gapMs = 0;
      const { rows } = await session.query({ text: sql(), rowMode: 'array' });
      expect(rows).toEqual([[answer]]);
      expect(gapMs).toBeLessThan(GAP_MS);
    }, 60_000);
  }

  it('a call under way is cancelled', async () => {
    const { processID, secretKey } = session as unknown as { processID: number; secretKey: number };
    const outcome = session.query('select length(factorial(32000)::text) from generate_series(1, 1000)').then(
      () => 'it ended',
      (error: { code: string }) => error.code,
    );
    await sleep(1000);
    const from = performance.now();
    cancelRequest(server, processID, secretKey);
    expect(await outcome).toBe('57014');
    expect(performance.now() - from).toBeLessThan(GAP_MS);
  }, 60_000);

  it('what is nested too deeply says so', async () => {
    const code = await session.query(`select ${'1+'.repeat(50_000)}1`).then(
      () => 'it ended',
      (error: { code: string; hint: string }) => `${error.code} ${error.hint.slice(0, 55)}`,
    );
    expect(code).toBe('54001 Increase the configuration parameter "max_stack_depth" ');
    expect((await session.query(`select ${'1+'.repeat(3000)}1 as n`)).rows).toEqual([{ n: 3001 }]);
  }, 60_000);
});
