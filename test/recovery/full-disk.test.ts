/**
 * Data files on a disk that is full: who needs room hears 53100, what needs none works, and when there is room again all of
 * it does. Needs root, for the small disk.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isBuilt, TestCluster } from '@pgtroupe/testkit/test-cluster';
import { connect, ours } from '../clients/clients.ts';
// @ts-expect-error a script of its own, without types
import { canMount, SmallDisk } from './full-disk.mjs';

const FULL = {
  code: '53100',
  message: expect.stringMatching(/^could not extend file "base\/\d+\/\d+(_vm|_fsm)?": No space left on device$/),
  hint: 'Check free disk space.',
};
const ROWS = "select g, repeat('x', 200) from generate_series(1, 5000) g";

describe.skipIf(!isBuilt || !canMount())('a full disk', () => {
  const cluster = new TestCluster();
  const disk = new SmallDisk(100);
  let client: pg.Client;

  beforeAll(async () => {
    await cluster.create();
    disk.take(cluster.data, 'base');
    await cluster.start();
    client = await connect(ours(cluster));
    await client.query(`create table big (a int, b text); insert into big ${ROWS};
      create table kept (a int primary key); insert into kept select generate_series(1, 10); checkpoint`);
  }, 90_000);

  afterAll(async () => {
    await client.end();
    await cluster.destroy();
    disk.remove();
  }, 30_000);

  it.each([
    ['CREATE TABLE', 'create table made (a int primary key, b text)'],
    ['INSERT', `insert into big ${ROWS}`],
    ['UPDATE', 'update big set a = a + 1'],
    ['CREATE INDEX', 'create index big_a on big (a)'],
    ['TRUNCATE', 'truncate big'],
  ])('%s', async (_, statement) => {
    disk.fill();
    await expect(client.query(statement)).rejects.toMatchObject(FULL);
    await client.query('insert into kept select max(a) + 1 from kept');
    disk.empty();
    await client.query(statement);
  });

  it('lost nothing, and left no file behind', async () => {
    const { rows } = await client.query('select count(*)::int n, max(a) m from kept');
    expect(rows).toEqual([{ n: 15, m: 15 }]);
    await client.query('checkpoint');
    const known = await client.query('select relfilenode::text f from pg_class where relfilenode >= 16384');
    const database = await client.query('select oid::text d from pg_database where datname = current_database()');
    const files = readdirSync(join(cluster.data, 'base', (database.rows[0] as { d: string }).d));
    expect(files.filter(name => /^\d+$/.test(name) && Number(name) >= 16384).sort()).toEqual(
      (known.rows as { f: string }[]).map(({ f }) => f).sort(),
    );
  });
});
