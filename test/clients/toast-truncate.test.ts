/**
 * TRUNCATE gives a table's TOAST table other files: who read large values before reads those that came after, in the transaction that
 * truncated, after its rollback, and in other sessions.
 */
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isBuilt, TestCluster } from '@pgtroupe/testkit/test-cluster';
import { connect, ours } from './clients.ts';

const value = (salt: number): string =>
  `(select string_agg(md5((g + ${salt})::text), '') from generate_series(1, 3000) g)`;

describe.skipIf(!isBuilt)('large values and TRUNCATE', () => {
  const cluster = new TestCluster();
  let a: pg.Client;
  let b: pg.Client;

  beforeAll(async () => {
    await cluster.create();
    await cluster.start();
    [a, b] = await Promise.all([connect(ours(cluster)), connect(ours(cluster))]);
    for (const client of [a, b]) await client.query('set statement_timeout = 15000');
  }, 60_000);
  afterAll(async () => {
    await Promise.all([a?.end(), b?.end()]);
    await cluster.destroy();
  });

  const isStored = async (client: pg.Client, salt: number): Promise<boolean> => {
    const { rows } = await client.query(`select v = ${value(salt)} as same from large`);
    expect(rows.length).toBe(1);
    return (rows[0] as { same: boolean }).same;
  };

  it('reads what is there now', async () => {
    await a.query('create table large (v text)');
    await a.query(`insert into large select ${value(1)}`);
    expect(await isStored(a, 1)).toBe(true);
    expect(await isStored(b, 1)).toBe(true);
    await a.query('truncate large');
    await a.query(`insert into large select ${value(2)}`);
    expect(await isStored(b, 2)).toBe(true);
    expect(await isStored(a, 2)).toBe(true);
    await a.query('begin');
    await a.query('truncate large');
    await a.query(`insert into large select ${value(3)}`);
    expect(await isStored(a, 3)).toBe(true);
    await a.query('rollback');
    expect(await isStored(a, 2)).toBe(true);
    expect(await isStored(b, 2)).toBe(true);
  }, 60_000);
});
