/** VACUUM FREEZE makes tables, databases and at last the whole cluster younger, as pg_controldata sees it too. */
import { execFileSync } from 'node:child_process';
import { Client } from 'pg';
import { afterEach, describe, expect, it } from 'vitest';
import { PG_BIN } from '@pgtroupe/testkit/oracle-address';
import { hasPostgres, resetNextXid } from '@pgtroupe/testkit/postgres-judge';
import { isBuilt, sleep, TestCluster } from '@pgtroupe/testkit/test-cluster';

/** Of a new cluster. */
const OLDEST_XID = 3;

let cluster: TestCluster | undefined;
afterEach(() => cluster?.destroy());

async function connect(database: string): Promise<Client> {
  const client = new Client({ host: '127.0.0.1', port: cluster!.port, user: 'postgres', database });
  await client.connect();
  return client;
}

describe.runIf(isBuilt)('the age of ids', () => {
  it('goes down with VACUUM FREEZE, and who writes now and then uses one id', { timeout: 240_000 }, async () => {
    cluster = await new TestCluster().create();
    await cluster.start();
    const client = await connect('postgres');
    const xid = async (sql: string): Promise<number> => {
      const { rows } = await client.query<Record<string, string>>(sql);
      return Number(Object.values(rows[0]!)[0]);
    };
    await client.query('CREATE TABLE t (id int PRIMARY KEY)');
    const xids: number[] = [];
    for (let n = 0; n < 6; n++) {
      await client.query('INSERT INTO t VALUES ($1)', [n]);
      xids.push(await xid(`SELECT xmin FROM t WHERE id = ${n}`));
      await sleep(120);
    }
    expect(xids.at(-1)! - xids[0]!).toBe(xids.length - 1);
    expect(await xid("SELECT relfrozenxid FROM pg_class WHERE relname = 't'")).toBeLessThanOrEqual(xids[0]!);

    // Two hold one row: a multixact.
    const sharer = await connect('postgres');
    await sharer.query('BEGIN; SELECT FROM t WHERE id = 0 FOR SHARE');
    await client.query('BEGIN; SELECT FROM t WHERE id = 0 FOR SHARE; COMMIT');
    await sharer.query('COMMIT');
    await sharer.end();

    await client.query("UPDATE pg_database SET datallowconn = true WHERE datname = 'template0'");
    for (const database of ['template0', 'template1', 'postgres']) {
      const other = await connect(database);
      await other.query('VACUUM FREEZE');
      await other.end();
    }
    expect(await xid("SELECT relfrozenxid FROM pg_class WHERE relname = 't'")).toBeGreaterThan(xids.at(-1)!);
    const oldest = await xid('SELECT datfrozenxid FROM pg_database ORDER BY datfrozenxid::text::bigint LIMIT 1');
    expect(oldest).toBeGreaterThan(xids.at(-1)!);
    const oldestMulti = await xid('SELECT min(datminmxid::text::bigint) FROM pg_database');
    expect(oldestMulti).toBeGreaterThan(1);
    // Who shares a row now makes the next one, which the tables and databases allow for.
    await client.query('CREATE TABLE later (id int)');
    expect(await xid("SELECT relminmxid FROM pg_class WHERE relname = 'later'")).toBe(
      await xid("SELECT datminmxid FROM pg_database WHERE datname = 'postgres'"),
    );
    expect(await xid("SELECT mxid_age(datminmxid) FROM pg_database WHERE datname = 'postgres'")).toBe(0);
    expect(await xid("SELECT age(datfrozenxid) FROM pg_database WHERE datname = 'postgres'")).toBeLessThan(50);
    expect(await xid("SELECT age(xmin) FROM pg_class WHERE relname = 'later'")).toBeGreaterThan(0);
    expect(await xid("SELECT age('2'::xid)")).toBe(2 ** 31 - 1);
    expect(await xid("SELECT mxid_age('0'::xid)")).toBe(2 ** 31 - 1);
    await client.query('CHECKPOINT');
    await client.end();
    if (!hasPostgres) return;
    const control = execFileSync(`${PG_BIN}/pg_controldata`, [cluster.data], { encoding: 'utf8' });
    expect(control).toMatch(new RegExp(`oldestXID: +${oldest}\n`));
    expect(control).toMatch(new RegExp(`oldestMultiXid: +${oldestMulti}\n`));
  });

  it.runIf(hasPostgres)(
    'is told to who writes before it is too much, and then nobody writes',
    { timeout: 240_000 },
    async () => {
      cluster = await new TestCluster().create();
      const notices: string[] = [];
      const startAt = async (xid: number): Promise<Client> => {
        resetNextXid(cluster!.data, xid);
        await cluster!.start();
        const client = await connect('postgres');
        client.on('notice', ({ severity, message, hint }) => notices.push(`${severity} ${message}; ${hint}`));
        return client;
      };
      const wrapAt = OLDEST_XID + 2 ** 31 - 1;
      const hint =
        'You might also need to commit or roll back old prepared transactions, or drop stale replication slots.';
      let client = await startAt(wrapAt - 40_000_000 - 1);
      await client.query('CREATE TABLE t (id int)');
      expect(notices).toEqual([]);
      for (let n = 0; n < 2; n++) await client.query('INSERT INTO t VALUES (1)');
      const left = 40_000_000;
      const warning = (n: number): string =>
        `WARNING database "template1" must be vacuumed within ${n} transactions; To avoid a database shutdown, execute a database-wide VACUUM in that database.\n${hint}`;
      expect(notices).toEqual([warning(left), warning(left - 1)]);
      await client.end();
      await cluster.run('stop', '-D', cluster.data, '-m', 'fast');

      client = await startAt(wrapAt - 3_000_000);
      await expect(client.query('INSERT INTO t VALUES (2)')).rejects.toMatchObject({
        code: '54000',
        message: 'database is not accepting commands to avoid wraparound data loss in database "template1"',
        hint: `Stop the postmaster and vacuum that database in single-user mode.\n${hint}`,
      });
      expect((await client.query('SELECT count(*) FROM t')).rows).toEqual([{ count: '2' }]);
      await client.end();
    },
  );
});
