/**
 * What statistics are good for: the planner's estimates of rows, against PostgreSQL 15's for the same rows, and
 * PostgreSQL itself reading the pg_statistic that we wrote. The numbers in pg_stats are compared in test/regress.
 */
import { chmodSync, cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hasPostgres, postgresAnswers } from '@pgtroupe/testkit/postgres-judge';
import { isBuilt, TestCluster } from '@pgtroupe/testkit/test-cluster';
import { connect, dropOracleDatabase, oracleDatabase, ours, type Server } from './clients.ts';
import { type Answers, expected } from './expected.ts';

const statementsOf = (name: string): string[] =>
  readFileSync(new URL(name, import.meta.url), 'utf8')
    .split('\n')
    .filter(line => line !== '' && !line.startsWith('--'));
const SETUP = statementsOf('./statistics.sql');
const QUERIES = statementsOf('./statistics-queries.sql');
const STATS = `select tablename, attname, null_frac, avg_width, n_distinct, most_common_vals, most_common_freqs, histogram_bounds,
  correlation, most_common_elems, most_common_elem_freqs, elem_count_histogram from pg_stats where schemaname = 'public' order by 1, 2`;

/** How many rows the topmost node of each query's plan is expected to give. */
async function estimates(server: Server): Promise<Answers> {
  const client = await connect(server);
  try {
    for (const statement of SETUP) await client.query(statement);
    const answers = new Map<string, string>();
    for (const query of QUERIES) {
      const { rows } = await client.query(`explain ${query}`);
      const rowsOf = (line: unknown): string | undefined => / rows=(\d+)/.exec(String(line))?.[1];
      answers.set(query, rowsOf(Object.values(rows[0] as object)[0]) ?? '?');
    }
    return answers;
  } finally {
    await client.end();
  }
}

describe('estimates of rows', () => {
  const recorded = expected(new URL('./expected/statistics.out', import.meta.url), async () => {
    const server = oracleDatabase('pgtroupe_statistics');
    try {
      return await estimates(server);
    } finally {
      dropOracleDatabase('pgtroupe_statistics');
    }
  });

  describe.skipIf(!isBuilt)('here', () => {
    let cluster: TestCluster;

    beforeAll(async () => {
      cluster = new TestCluster();
      await cluster.create();
      await cluster.start();
    }, 60_000);

    afterAll(() => cluster?.destroy());

    it('are PostgreSQL’s', { timeout: 120_000 }, async () => {
      expect(Object.fromEntries(await estimates(ours(cluster)))).toEqual(Object.fromEntries(recorded()));
    });

    it('other values than those that a plan was made for get another plan', async () => {
      const client = await connect(ours(cluster));
      const ways = async (): Promise<readonly string[]> => {
        const seen: string[] = [];
        for (const id of [10, 19_000, 20, 19_500]) {
          const { rows } = await client.query({
            text: 'explain select count(*) from big where id < $1 and z > $2',
            values: [id, ''],
          });
          seen.push(/Index Scan|Seq Scan/.exec(JSON.stringify(rows))![0]);
        }
        return seen;
      };
      expect(await ways()).toEqual(['Index Scan', 'Seq Scan', 'Index Scan', 'Seq Scan']);
      await client.end();
    });

    it.skipIf(!hasPostgres)('PostgreSQL reads from our files what we read from them', { timeout: 60_000 }, async () => {
      const client = await connect(ours(cluster));
      const question = `select md5(string_agg(s::text, '|')) from (${STATS.replace(/\s+/g, ' ')}) s`;
      const { rows } = await client.query<{ md5: string }>(question);
      await client.end();
      await cluster.run('stop', '-D', cluster.data);
      await cluster.ended();
      // A copy where the user that PostgreSQL runs as may go.
      const folder = mkdtempSync(join(tmpdir(), 'pgt-judged-'));
      try {
        chmodSync(folder, 0o755);
        const copy = join(folder, 'data');
        cpSync(cluster.data, copy, { recursive: true });
        expect(postgresAnswers(copy, [question]).answers).toEqual([`${rows[0]!.md5}\n`]);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });
  });
});
