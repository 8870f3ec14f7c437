/**
 * This project's own isolation specs: `specs/NAME.spec` in the format of PostgreSQL's, `expected/NAME.out` what
 * PostgreSQL 15 gave. Where there is a PostgreSQL 15 to ask, the recording is verified too; PGTROUPE_RECORD=1 makes it
 * anew. PostgreSQL's own specs: postgres-specs.test.ts.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connect, dropOracleDatabase, missingOracle, oracleDatabase, ours, type Server } from '../clients/clients.ts';
import { isBuilt, TestCluster } from '@pgtroupe/testkit/test-cluster';
import { parseSpec } from './spec.ts';
import { runSpec } from './tester.ts';

const FOLDER = fileURLToPath(new URL('./', import.meta.url));
const NAMES = readdirSync(`${FOLDER}specs`)
  .filter(name => name.endsWith('.spec'))
  .map(name => name.slice(0, -5));
async function outputOf(name: string, server: Server): Promise<string> {
  const output: string[] = [];
  const spec = parseSpec(readFileSync(`${FOLDER}specs/${name}.spec`, 'utf8'));
  await runSpec(spec, { ...server, user: 'postgres' }, text => output.push(text));
  return output.join('');
}
const expectedOf = (name: string): string => readFileSync(`${FOLDER}expected/${name}.out`, 'utf8');

describe.skipIf(missingOracle !== undefined)(`the recording is PostgreSQL 15's (${missingOracle ?? 'asked'})`, () => {
  const database = `pgtroupe_isolation_${process.pid}`;
  afterAll(() => dropOracleDatabase(database));

  it.each(NAMES)('%s', async name => {
    const output = await outputOf(name, oracleDatabase(database));
    if (process.env['PGTROUPE_RECORD'] === '1') writeFileSync(`${FOLDER}expected/${name}.out`, output);
    expect(output).toBe(expectedOf(name));
  });
});

describe.skipIf(!isBuilt).each([
  ['one instance', '50'],
  ['an instance for each session', '1'],
])('%s (needs a build)', (_, perInstance) => {
  const cluster = new TestCluster();
  beforeAll(async () => {
    await cluster.create();
    await cluster.start('-c', `sessions_per_instance=${perInstance}`);
  }, 180_000);
  afterAll(() => cluster.destroy());

  it.each(NAMES)(
    '%s',
    async name => {
      expect(await outputOf(name, ours(cluster))).toBe(expectedOf(name));
    },
    180_000,
  );

  it('a foreign key is refused before anybody waits for the lock', async () => {
    const [holder, other] = [await connect(ours(cluster)), await connect(ours(cluster))];
    await holder.query('CREATE TABLE held (a int)');
    await holder.query('BEGIN; LOCK TABLE held IN ACCESS SHARE MODE');
    await other.query("SET lock_timeout = '5s'");
    const adding = other.query('ALTER TABLE held ADD FOREIGN KEY (a) REFERENCES held (a)');
    await expect(adding).rejects.toMatchObject({ code: '0A000' });
    await holder.query('ROLLBACK');
    await holder.query('DROP TABLE held');
    await Promise.all([holder.end(), other.end()]);
  }, 60_000);
});
