/** Files of tables that are not where they should be. */
import { expect, it } from 'vitest';
import { ServerError } from '@pgtroupe/testkit/sim/client';
import { SimCluster } from '@pgtroupe/testkit/sim/cluster';

it('a table whose file is gone is an error, not an empty table; others are what they were', async () => {
  const cluster = await SimCluster.create(1);
  await cluster.untilReady();
  const { client } = cluster.client();
  const ask = async (sql: string): Promise<(string | null)[][]> =>
    (await cluster.wait(client.query(sql), sql)).flatMap(answer => answer.rows.map(row => [...row]));
  for (const name of ['lost', 'kept']) {
    await ask(`CREATE TABLE ${name} (id int)`);
    await ask(`INSERT INTO ${name} SELECT generate_series(1, 100)`);
  }
  const [[node]] = (await ask("SELECT relfilenode FROM pg_class WHERE relname = 'lost'")) as [[string]];
  const path = `base/5/${node}`;
  await cluster.stop();
  // Below what a machine remembers of its files.
  await cluster.powerFailure('lose');
  await cluster.platter.unlink(path);
  cluster.start();
  await cluster.untilReady();
  for (const sql of ['SELECT count(*) FROM lost', 'INSERT INTO lost VALUES (1)']) {
    const error = await ask(sql).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ServerError);
    expect((error as ServerError).sqlstate).toBe('58P01');
    expect((error as ServerError).message).toBe(`could not open file "${path}": No such file or directory`);
  }
  expect(await ask('SELECT count(*) FROM kept')).toEqual([['100']]);
  await cluster.stop();
}, 60_000);
