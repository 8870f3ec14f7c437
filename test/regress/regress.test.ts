/**
 * The recorded answers of PostgreSQL 15, replayed on a cluster. Where there is a PostgreSQL 15 to ask, the recording itself
 * is verified too; PGTROUPE_RECORD=1 makes it anew.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasProgram, missingOracle } from '../clients/clients.ts';
import { isBuilt, TestCluster } from '@pgtroupe/testkit/test-cluster';
import { answers, expectedOf, record, regressFiles } from './replay.ts';
import { ORACLE_HOST, ORACLE_PORT } from '@pgtroupe/testkit/oracle-address';

const oracle = { host: ORACLE_HOST, port: ORACLE_PORT };

describe.skipIf(missingOracle !== undefined)(
  `the recording is what PostgreSQL 15 says (${missingOracle ?? 'asked'})`,
  () => {
    it.each(regressFiles())('%s', async name => {
      const said = await answers(name, oracle);
      if (process.env['PGTROUPE_RECORD'] === '1') record(name, said);
      expect(said).toBe(expectedOf(name));
    });
  },
);

describe.skipIf(!isBuilt || !hasProgram('psql'))('we say what PostgreSQL 15 said (needs a build and psql)', () => {
  let cluster: TestCluster;

  beforeAll(async () => {
    cluster = new TestCluster();
    await cluster.create();
    await cluster.start();
  });

  afterAll(() => cluster?.destroy());

  it.each(regressFiles())('%s', async name => {
    expect(await answers(name, { host: '127.0.0.1', port: cluster.port })).toBe(expectedOf(name));
  });
});
