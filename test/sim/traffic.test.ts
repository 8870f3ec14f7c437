/**
 * What a transaction costs in messages between an instance and the buffer-manager, counted in the simulator,
 * where nothing but the transaction and the heartbeats goes on.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { ATTACH } from '@pgtroupe/rpc/attach/method';
import { SimCluster } from '@pgtroupe/testkit/sim/cluster';

const HEARTBEAT_MS = 500;
const TRANSACTIONS = 50;

describe('messages of a transaction', () => {
  let cluster: SimCluster;
  let query: (sql: string) => Promise<unknown>;

  /** Messages up of this work, without heartbeats; how many of them a session waited for; operations. */
  async function up(
    work: (n: number) => string,
  ): Promise<{ readonly messages: number; readonly awaited: number; readonly operations: number }> {
    const { traffic } = cluster.process('backend-1');
    const attach = traffic.ofMethod(ATTACH.path);
    const begun = { messages: attach.sent, unawaited: traffic.unawaitedMessages, operations: traffic.operations.sent };
    const begunMs = cluster.world.nowMs;
    for (let n = 0; n < TRANSACTIONS; n++) await query(work(n));
    const beats = Math.ceil((cluster.world.nowMs - begunMs) / HEARTBEAT_MS);
    const sent = attach.sent - begun.messages;
    return {
      messages: sent - beats,
      awaited: sent - (traffic.unawaitedMessages - begun.unawaited),
      operations: traffic.operations.sent - begun.operations,
    };
  }

  beforeAll(async () => {
    cluster = await SimCluster.create(5);
    await cluster.untilReady();
    const { client } = cluster.client();
    query = sql => cluster.wait(client.query(sql), sql);
    await query('CREATE TABLE t (a int PRIMARY KEY, b int)');
    await query(`INSERT INTO t VALUES ${Array.from({ length: 100 }, (_, n) => `(${n}, 0)`).join(', ')}`);
    await query('SELECT b FROM t WHERE a = 1');
  }, 60_000);

  it('a point select of cached pages sends nothing', async () => {
    const { messages, awaited } = await up(n => `SELECT b FROM t WHERE a = ${n}`);
    expect(awaited).toBe(0);
    // One more heartbeat than was reckoned with would be none.
    expect(messages).toBeLessThanOrEqual(0);
  });

  it('a transaction that writes waits for one message: its records and its commit', async () => {
    // Whatever the first ones ask for (pages, ids) is asked for.
    for (let n = 0; n < 5; n++) await query(`UPDATE t SET b = b + 1 WHERE a = ${n}`);
    const { awaited, operations } = await up(
      n => `BEGIN; UPDATE t SET b = b + 1 WHERE a = ${n}; UPDATE t SET b = b - 1 WHERE a = ${99 - n}; COMMIT`,
    );
    expect(awaited).toBe(TRANSACTIONS);
    expect(operations).toBeGreaterThanOrEqual(3 * TRANSACTIONS);
  });
});
