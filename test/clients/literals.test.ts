/**
 * The statement cache lets texts that differ only in literals share one analysis. An error is never shared: what
 * one text is told about its literals, or about places in it, is not told to the next.
 */
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isBuilt, TestCluster } from '@pgtroupe/testkit/test-cluster';
import { connect, dropOracleDatabase, missingOracle, oracleDatabase, ours, type Server } from './clients.ts';

const DATABASE = 'pgtroupe_clients_literals';

/** What it answers: a value, or SQLSTATE and position. */
type Expected = string | null | { readonly code: string; readonly position: string | undefined };
const fails = (code: string, position?: string): Expected => ({ code, position });

/** Run one after the other in one session. */
const STATEMENTS: readonly (readonly [sql: string, expected: Expected])[] = [
  ["select '{1,2'::int[]", fails('22P02', '8')],
  ["select '{1,2}'::int[]", '{1,2}'],
  ["select '{3,4'::int[]", fails('22P02', '8')],
  ["select '{5,6}'::int[]", '{5,6}'],
  ["select int4 'x'", fails('22P02', '13')],
  ["select int4 '3'", '3'],
  ["select '{1,x}'::int[] = '{1,2}'", fails('22P02', '8')],
  ["select '{1,3}'::int[] = '{1,y}'", fails('22P02', '25')],
  ["select '{1,2}'::int[] = '{1,2}'", 'true'],
  ["select '2020-13-01'::date", fails('22008', '8')],
  ["select '2020-12-01'::date::text", '2020-12-01'],
  ['select 1/0', fails('22012')],
  ['select 6/3', '2'],
  // The place of an error is one of this text.
  ["select 'a long literal', nosuch", fails('42703', '26')],
  ["select 'a', nosuch", fails('42703', '13')],
  ["select 1; select 'x'::int", fails('22P02', '18')],
  ["select 100; select 'x'::int", fails('22P02', '20')],
  // What was right when the shape was first seen may be wrong now.
  ["create type mood as enum ('sad', 'ok')", null],
  ["select 'sad'::mood", 'sad'],
  ["alter type mood rename value 'sad' to 'blue'", null],
  ["select 'ok'::mood", 'ok'],
  ["select 'sad'::mood", fails('22P02', '8')],
  ["select 'blue'::mood", 'blue'],
  ['create domain posint as int check (value > 0)', null],
  ["select '-1'::posint", fails('23514')],
  ["select '1'::posint", '1'],
  ['create table lt (a int, b posint)', null],
  ["insert into lt values ('x', 1)", fails('22P02', '24')],
  ["insert into lt values ('1', -1)", fails('23514')],
  ["insert into lt values ('1', 1)", null],
  ["select b from lt where a = 'y'", fails('22P02', '28')],
  ["select b from lt where a = '1'", '1'],
  ["select b from lt where a in (1, 2, 'z')", fails('22P02', '36')],
  ["select b from lt where a in (3, 4, '1')", '1'],
  // What a constant fails with is not in the way of another, and does not wait for a row that needs it.
  ['select 1 / 0 from lt where false', fails('22012')],
  ['select 1 / 1 from lt where false', null],
  ['select 2 / 0 from lt where false', fails('22012')],
  ['select case when 1 = 2 then 1 / 0 else b end from lt', '1'],
  ['select case when 2 = 2 then 1 / 0 else b end from lt', fails('22012')],
  ["update lt set b = ('1' || '0x')::int where false", fails('22P02')],
  // In a transaction that changes catalogs the view of them is its own.
  ["begin; create type mine as enum ('p'); select 'q'::mine", fails('22P02', '47')],
  ['rollback', null],
  ["begin; create type mine as enum ('p'); select 'p'::mine; rollback", 'p'],
];

async function outcome(client: pg.Client, sql: string): Promise<Expected> {
  try {
    const result = (await client.query({ text: sql, rowMode: 'array' })) as unknown as
      | pg.QueryArrayResult
      | pg.QueryArrayResult[];
    const row = [result].flat().find(each => each.rows.length > 0)?.rows[0];
    return row === undefined ? null : String(Array.isArray(row[0]) ? `{${row[0].join()}}` : row[0]);
  } catch (error) {
    const { code, position } = error as pg.DatabaseError;
    return { code: code ?? '', position };
  }
}

async function outcomes(server: Server): Promise<readonly (readonly [string, Expected])[]> {
  const client = await connect(server);
  const found: (readonly [string, Expected])[] = [];
  for (const [sql] of STATEMENTS) found.push([sql, await outcome(client, sql)]);
  await client.end();
  return found;
}

describe.skipIf(!isBuilt)('texts of one shape (skipped until `npm run build`)', () => {
  const cluster = new TestCluster();

  beforeAll(async () => {
    await cluster.create();
    await cluster.start();
  });
  afterAll(() => cluster.destroy());

  it('answer for themselves', async () => {
    expect(await outcomes(ours(cluster))).toEqual(STATEMENTS);
  });

  it('answer for themselves as parameters of prepared statements', async () => {
    const client = await connect(ours(cluster));
    const ask = (text: string): Promise<unknown> =>
      client.query({ text, values: [1] }).then(
        result => result.rows,
        (error: pg.DatabaseError) => [error.code, error.position],
      );
    expect(await ask("select '{1'::int[] as a, $1::int as b")).toEqual(['22P02', '8']);
    expect(await ask("select '{1}'::int[] as a, $1::int as b")).toEqual([{ a: [1], b: 1 }]);
    await client.end();
  });

  it('answer for themselves when another session failed with the same shape', async () => {
    const [one, other] = [await connect(ours(cluster)), await connect(ours(cluster))];
    expect(await outcome(one, "select 'wrong'::int as x, 'z'")).toEqual({ code: '22P02', position: '8' });
    expect(await outcome(other, "select '7'::int as x, 'z'")).toBe('7');
    await Promise.all([one.end(), other.end()]);
  });

  it.skipIf(missingOracle !== undefined)(
    `are answered by PostgreSQL as is expected here (skipped: ${missingOracle})`,
    async () => {
      try {
        expect(await outcomes(oracleDatabase(DATABASE))).toEqual(STATEMENTS);
      } finally {
        dropOracleDatabase(DATABASE);
      }
    },
  );
});
