/**
 * VACUUM gives room back, and whoever dies in the middle of it leaves a directory that we and PostgreSQL 15 recover.
 */
import { chmodSync, cpSync } from 'node:fs';
import { join } from 'node:path';
import { Client } from 'pg';
import { afterEach, describe, expect, it } from 'vitest';
import { hasPostgres, postgresAnswers } from '@pgtroupe/testkit/postgres-judge';
import { isBuilt, TestCluster, until } from '@pgtroupe/testkit/test-cluster';

let cluster: TestCluster | undefined;
afterEach(() => cluster?.destroy());

interface Session {
  readonly client: Client;
  readonly notices: string[];
  value(sql: string): Promise<string>;
}

async function connect(): Promise<Session> {
  const client = new Client({ host: '127.0.0.1', port: cluster!.port, user: 'postgres', database: 'postgres' });
  client.on('error', () => {});
  await client.connect();
  const notices: string[] = [];
  client.on('notice', notice => notices.push(notice.message ?? ''));
  return {
    client,
    notices,
    value: async sql => {
      const { rows } = await client.query<Record<string, unknown>>(sql);
      return String(Object.values(rows[0]!)[0]);
    },
  };
}

/** Recovers a copy of the directory as it is now with PostgreSQL, and asks it. */
function judge(questions: readonly string[]): string[] {
  chmodSync(cluster!.folder, 0o711);
  const copy = join(cluster!.folder, `copy-${Math.random()}`);
  cpSync(cluster!.data, copy, { recursive: true });
  return postgresAnswers(copy, questions).answers.map(answer => answer.trim());
}

describe.runIf(isBuilt)('VACUUM', () => {
  it('cuts off the empty end of a table, whoever looks on and whoever dies', { timeout: 400_000 }, async () => {
    cluster = await new TestCluster().create();
    cluster.environment['PGTROUPE_FAILPOINTS'] = 'truncate-before-file=kill:3';
    // Each session has an instance of its own.
    await cluster.start('-c', 'sessions_per_instance=1');
    const one = await connect();
    const two = await connect();
    await one.client.query(`CREATE TABLE t (id int PRIMARY KEY, v text);
      INSERT INTO t SELECT g, repeat('x', 100) || g FROM generate_series(1, 20000) g`);
    const size = "SELECT pg_relation_size('t') / 8192";
    const full = Number(await one.value(size));
    // The other instance remembers pages, the length, and where the last row went.
    await two.client.query('INSERT INTO t VALUES (20001)');
    expect(await two.value('SELECT count(*) FROM t')).toBe('20001');
    await one.client.query('DELETE FROM t WHERE id > 5000 AND id < 20001');

    // Somebody is in the way: everything but the end is done.
    await two.client.query('BEGIN; SELECT FROM t LIMIT 1');
    await one.client.query('VACUUM (TRUNCATE false) t');
    expect(Number(await one.value(size))).toBeGreaterThanOrEqual(full);
    await two.client.query('COMMIT; DELETE FROM t WHERE id = 20001');
    await one.client.query('ALTER TABLE t SET (vacuum_truncate = off)');
    await one.client.query('VACUUM t');
    expect(Number(await one.value(size))).toBeGreaterThanOrEqual(full);
    await one.client.query('ALTER TABLE t RESET (vacuum_truncate)');
    await one.client.query('VACUUM (VERBOSE) t');
    const pages = Number(await one.value(size));
    expect(pages).toBeLessThan(full / 3);
    expect(
      one.notices.some(text => text.startsWith('table "t": truncated ') && text.endsWith(` to ${pages} pages`)),
    ).toBe(true);
    expect(await one.value("SELECT relpages FROM pg_class WHERE relname = 't'")).toBe(String(pages));

    // Both go on where the table ends now.
    expect(await two.value('SELECT count(*) FROM t')).toBe('5000');
    await two.client.query("INSERT INTO t SELECT g, 'again' FROM generate_series(5001, 9000) g");
    await one.client.query("INSERT INTO t SELECT g, 'again' FROM generate_series(9001, 10000) g");
    expect(await two.value('SELECT count(*), sum(id) FROM t')).toBe('10000');
    expect(await one.value('SELECT sum(id) FROM t WHERE id > 0')).toBe(String((10000 * 10001) / 2));

    // Values stored aside as well.
    await one.client.query(`CREATE TABLE big (id int PRIMARY KEY, v text);
      ALTER TABLE big ALTER v SET STORAGE EXTERNAL;
      INSERT INTO big SELECT g, repeat('y', 9000) FROM generate_series(1, 100) g`);
    const toastSize = "SELECT pg_relation_size(reltoastrelid) / 8192 FROM pg_class WHERE relname = 'big'";
    const toast = Number(await one.value(toastSize));
    await one.client.query('DELETE FROM big WHERE id > 20');
    await one.client.query('VACUUM big');
    expect(Number(await one.value(toastSize))).toBeLessThan(toast / 2);
    expect(await two.value('SELECT sum(length(v)) FROM big')).toBe('180000');

    // The record is durable, the file is still long: the buffer-manager dies, and PostgreSQL gets a copy.
    await one.client.query('DELETE FROM t WHERE id > 100');
    await expect(one.client.query('VACUUM t')).rejects.toThrow();
    const back = await until('the buffer-manager', () => connect().catch(() => undefined), 60_000);
    const questions = ['SELECT count(*), sum(id) FROM t', size, toastSize, 'SELECT sum(length(v)) FROM big'];
    const told = [];
    for (const question of questions) told.push(Object.values((await back.client.query(question)).rows[0]!).join('\t'));
    expect(told[0]).toBe('100\t5050');
    expect(Number(told[1])).toBeLessThan(10);
    if (hasPostgres) expect(judge(questions)).toEqual(told);
    await back.client.query('INSERT INTO t SELECT g FROM generate_series(101, 2000) g');
    expect(await back.value('SELECT count(*) FROM t')).toBe('2000');
    for (const session of [one, two, back]) await session.client.end();
  });

  it('deletes B-tree pages while others write and read, and is killed in the middle', {
    timeout: 400_000,
  }, async () => {
    cluster = await new TestCluster().create();
    await cluster.start('-c', 'sessions_per_instance=1');
    const setUp = await connect();
    await setUp.client.query(`CREATE TABLE t (id int PRIMARY KEY, k text);
      CREATE INDEX t_k ON t (k);
      INSERT INTO t SELECT g, md5(g::text) || repeat(md5((g + 1)::text), 6) FROM generate_series(1, 4000) g`);
    const sizes = "SELECT pg_relation_size('t_k') + pg_relation_size('t_pkey')";
    // The window of ids [low, high) moves on; what was acknowledged is known.
    let low = 1;
    let high = 4001;
    let over = false;
    const failures: unknown[] = [];
    const ends = (error: unknown): void => {
      if (!over) failures.push(error);
    };
    const writer = await connect();
    const reader = await connect();
    const vacuumer = await connect();
    const write = async (): Promise<void> => {
      for (; !over; low += 200, high += 200) {
        await writer.client.query('DELETE FROM t WHERE id < $1', [low + 200]);
        await writer.client.query(
          `INSERT INTO t SELECT g, md5(g::text) || repeat(md5((g + 1)::text), 6) FROM generate_series($1::int, $2::int) g`,
          [high, high + 199],
        );
      }
    };
    const read = async (): Promise<void> => {
      await reader.client.query('SET enable_seqscan = off');
      for (let n = 0; !over; n++) {
        const order = n % 2 === 0 ? 'ASC' : 'DESC';
        const { rows } = await reader.client.query<{ n: number; ordered: boolean }>(
          `SELECT count(*)::int AS n, bool_and(k >= before) AS ordered
           FROM (SELECT k, lag(k) OVER (ORDER BY k ${order}) AS before FROM t) s`,
        );
        if (rows[0]!.n < 3800 || rows[0]!.n > 4000) throw new Error(`${rows[0]!.n} rows`);
        if (order === 'ASC' && !rows[0]!.ordered) throw new Error('out of order');
      }
    };
    let vacuums = 0;
    const vacuum = async (): Promise<void> => {
      for (; !over; vacuums++) await vacuumer.client.query('VACUUM t');
    };
    const work = [write, read, vacuum].map(each => each().catch(ends));
    await until('some vacuums', () => vacuums >= 3 || failures.length > 0, 180_000);
    over = true;
    const status = await cluster.status();
    cluster.keeper!.kill('SIGKILL');
    for (const osPid of [status.postmasterPid, ...status.roles.map(role => role.osPid)]) process.kill(osPid, 'SIGKILL');
    await Promise.all(work);
    expect(failures).toEqual([]);
    // What was under way when everything died may be there or not.
    const expected = ([count, least, most]: readonly number[]): boolean =>
      count === most! - least! + 1 &&
      (least === low || least === low + 200) &&
      (most === high - 1 || most === high + 199);
    const question = 'SELECT count(*), min(id), max(id) FROM t';
    if (hasPostgres) expect(expected(judge([question])[0]!.split('\t').map(Number))).toBe(true);

    await until('everything to be gone', () => cluster!.exited());
    await cluster.start();
    const back = await connect();
    expect(expected(Object.values((await back.client.query(question)).rows[0]!).map(Number))).toBe(true);
    // It goes on for ever in the room it had: without it, each round would take a third more.
    const room = Number(await back.value(sizes));
    for (let n = 0; n < 4; n++) {
      await back.client.query('DELETE FROM t WHERE id < (SELECT min(id) + 1500 FROM t)');
      await back.client.query('VACUUM t');
      await back.client.query(`INSERT INTO t SELECT g, md5(g::text) || repeat(md5((g + 1)::text), 6)
        FROM (SELECT max(id) AS m FROM t) s, generate_series(m + 1, m + 1500) g`);
    }
    expect(Number(await back.value(sizes))).toBeLessThan(1.3 * room);
    await back.client.end();
  });

  it('FULL writes a table anew; old snapshots see what they saw', { timeout: 400_000 }, async () => {
    cluster = await new TestCluster().create();
    await cluster.start('-c', 'sessions_per_instance=1');
    const one = await connect();
    const old = await connect();
    await one.client.query(`CREATE TABLE t (id int PRIMARY KEY, k text, v text) WITH (fillfactor = 70);
      ALTER TABLE t ALTER v SET STORAGE EXTERNAL;
      CREATE INDEX t_k ON t (k);
      CREATE TABLE other (id int);
      INSERT INTO t SELECT g, 'k' || g, repeat('v', CASE WHEN g <= 20 THEN 5000 ELSE 50 END) FROM generate_series(1, 2000) g`);
    const question =
      "SELECT count(*), sum(id) AS ids, sum(length(v)) AS v, count(*) FILTER (WHERE k LIKE '%u') AS u FROM t";
    const ask = async ({ client }: Session): Promise<string> =>
      Object.values((await client.query(question)).rows[0]!).join('\t');
    await old.client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    await old.client.query('SELECT FROM other');
    const before = await ask(one);
    await one.client.query("UPDATE t SET k = k || 'u' WHERE id % 3 = 0");
    await one.client.query('DELETE FROM t WHERE id % 2 = 0');
    const after = await ask(one);
    const sizes = `SELECT array_agg(pg_relation_size(oid) ORDER BY relname) FROM pg_class
      WHERE relname IN ('t', 't_k', 't_pkey') OR oid = (SELECT reltoastrelid FROM pg_class WHERE relname = 't')`;
    await one.client.query('VACUUM (FULL, VERBOSE) t');
    expect(one.notices.at(-1)).toMatch(/^"public\.t": found 0 removable, \d+ nonremovable row versions in \d+ pages$/);
    // The files are others, the rows are the same, each in its own snapshot.
    expect(await ask(old)).toBe(before);
    await expect(old.client.query("UPDATE t SET k = 'mine' WHERE id = 3")).rejects.toThrow(/concurrent update/);
    await old.client.query('ROLLBACK');
    expect(await ask(one)).toBe(after);
    expect(await ask(old)).toBe(after);
    const crowded = await one.value(sizes);
    await one.client.query('VACUUM FULL t');
    const small = await one.value(sizes);
    expect(small).not.toBe(crowded);
    expect(await one.value("SELECT relpages * 8192 = pg_relation_size('t') FROM pg_class WHERE relname = 't'")).toBe(
      'true',
    );
    // Cancelled, it has not happened.
    await one.client.query('DELETE FROM t WHERE id > 1000');
    const left = await ask(one);
    const pid = await one.value('SELECT pg_backend_pid()');
    const cancelled = one.client.query('VACUUM FULL t').catch((error: Error) => error.message);
    await old.client.query(`SELECT pg_cancel_backend(${pid})`);
    const outcome = await cancelled;
    if (typeof outcome === 'string') expect(outcome).toMatch(/canceling statement/);
    expect(await ask(one)).toBe(left);
    await old.client.query("INSERT INTO t VALUES (5000, 'new', 'row')");
    const last = await ask(old);

    // In the middle of the next one everything dies.
    const dying = one.client.query('VACUUM FULL t').catch(() => {});
    const status = await cluster.status();
    cluster.keeper!.kill('SIGKILL');
    for (const osPid of [status.postmasterPid, ...status.roles.map(role => role.osPid)]) process.kill(osPid, 'SIGKILL');
    await dying;
    if (hasPostgres) expect(judge([question])).toEqual([last]);
    await until('everything to be gone', () => cluster!.exited());
    await cluster.start();
    const back = await connect();
    expect(await ask(back)).toBe(last);
    await back.client.query('SET enable_seqscan = off');
    expect(await back.value("SELECT id FROM t WHERE k = 'new'")).toBe('5000');
    await back.client.end();
  });
});
