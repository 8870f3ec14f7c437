/** Files of tables that are not where they should be. */
import { expect, it } from 'vitest';
import { ServerError } from '@pgtroupe/testkit/sim/client';
import { SimCluster } from '@pgtroupe/testkit/sim/cluster';
import { REL, SimCluster as SharedMemoryCluster, SimInstance } from '@pgtroupe/testkit/sim/shared-memory-cluster';
import type { PgError } from '@pgtroupe/common/ereport';
import type { BlockNumber } from '@pgtroupe/common/ids';

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

it('who keeps the files of a relation that was dropped is told so, and does not wait', async () => {
  const cluster = await SharedMemoryCluster.create(3);
  await cluster.start();
  const instance = new SimInstance(cluster, 'backend-1');
  await cluster.runUntil(() => instance.kernel.attachment.attached, { ms: 5000, what: 'the instance' });
  await cluster.wait(instance.setUp(), 'set-up');
  const { pages } = instance.kernel;
  const kept = pages.relations.smgropen(REL);
  cluster.bufferManager!.shared.files.drop([REL]);
  await cluster.runUntil(() => pages.relations.find(REL) === undefined, { ms: 5000, what: 'the drop' });
  const read = pages.readBuffer(kept.forks[0]!, 0 as BlockNumber, false).catch((error: unknown) => error);
  expect(((await cluster.wait(read, 'the read', 5000)) as PgError).sqlstate).toBe('58P01');
});
