/** pgbench in all its modes: everything runs, and the books balance. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isBuilt, TestCluster } from '@pgtroupe/testkit/test-cluster';
import { connect, hasProgram, ours, runClient, type Server } from './clients.ts';

const why = !isBuilt ? 'until `npm run build`' : hasProgram('pgbench') ? undefined : 'no pgbench';

const SCRIPT = `\\set aid random(1, 100000)
select abalance, aid from pgbench_accounts where aid = :aid \\gset
select :abalance + 1 as x, 'a' || :aid as y \\gset p_
\\if :p_x > -1000000000
select 1;
\\endif
begin;
update pgbench_accounts set abalance = abalance + 7 where aid = :aid returning abalance as nb \\gset
insert into pgbench_history (tid, bid, aid, delta, mtime) values (1, 1, :aid, 7, current_timestamp);
update pgbench_tellers set tbalance = tbalance + 7 where tid = 1;
update pgbench_branches set bbalance = bbalance + 7 where bid = 1;
end;
`;

describe.skipIf(why !== undefined)(`pgbench (skipped: ${why})`, () => {
  const cluster = new TestCluster();
  let server: Server;
  const run = (...args: string[]): Promise<string> => runClient('pgbench', ['-n', ...args], server);
  const sums = async (): Promise<readonly number[]> => {
    const client = await connect(server);
    const { rows } =
      await client.query(`select (select sum(abalance) from pgbench_accounts)::int a, (select sum(tbalance) from pgbench_tellers)::int t,
      (select sum(bbalance) from pgbench_branches)::int b, (select coalesce(sum(delta), 0) from pgbench_history)::int d, (select count(*) from pgbench_history)::int n`);
    await client.end();
    const { a, t, b, d, n } = rows[0] as Record<string, number>;
    return [a!, t!, b!, d!, n!];
  };

  beforeAll(async () => {
    await cluster.create();
    // More than one instance: pages travel.
    await cluster.start('-c', 'sessions_per_instance=3');
    server = ours(cluster);
  });
  afterAll(() => cluster.destroy());

  it.each([['dtgvp'], ['dtGvp']])('initializes with -I %s', async steps => {
    expect(await runClient('pgbench', ['-i', '-q', '-s', '1', '-I', steps], server)).toContain('done in');
    expect(await sums()).toEqual([0, 0, 0, 0, 0]);
  });

  it('the books balance after simple, extended and prepared runs and connection per transaction', async () => {
    for (const args of [['-M', 'simple'], ['-M', 'extended'], ['-M', 'prepared'], ['-C']]) {
      expect(await run(...args, '-c', '4', '-t', '20')).toMatch(/processed: 80\/80\nnumber of failed transactions: 0/);
    }
    const [a, t, b, d, n] = await sums();
    expect([t, b, d, n]).toEqual([a, a, a, 320]);
  });

  it.each(['simple', 'extended', 'prepared'])(
    'select only, simple update and a script with \\gset in mode %s',
    async mode => {
      expect(await run('-S', '-M', mode, '-c', '4', '-t', '50')).toContain('processed: 200/200');
      expect(await run('-N', '-M', mode, '-c', '2', '-t', '10')).toContain('processed: 20/20');
      const script = join(cluster.folder, 'script.sql');
      writeFileSync(script, SCRIPT);
      const before = await sums();
      expect(await run('-f', script, '-M', mode, '-c', '3', '-t', '10')).toMatch(
        /processed: 30\/30\nnumber of failed transactions: 0/,
      );
      expect((await sums()).map((sum, n) => sum - before[n]!)).toEqual([210, 210, 210, 210, 30]);
    },
  );
});
