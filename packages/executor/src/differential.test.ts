/**
 * The same statements here, over memory, and in a real PostgreSQL 15: rows must be equal. Queries without
 * ORDER BY are compared as sets. Skipped when no server answers there.
 */
import { readFileSync } from 'node:fs';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { HeadlessDatabase } from '@pgtroupe/testkit/sql/headless';
import { ORACLE_HOST, ORACLE_PORT } from '@pgtroupe/testkit/oracle-address';

const SCHEMA = `pgtroupe_exec_${process.pid}`;

/** Statements separated by blank lines; those before `-- queries` set up. */
function readCases(): { setup: string[]; queries: string[] } {
  const text = readFileSync(new URL('./differential.sql', import.meta.url), 'utf8');
  const [setup, queries] = text.split('-- queries\n') as [string, string];
  const split = (part: string): string[] =>
    part
      .split(/;\n/)
      .map(s => s.replace(/^(--.*\n|\s)+/, '').trim())
      .filter(s => s !== '');
  return { setup: split(setup), queries: split(queries) };
}

async function connect(): Promise<Client | undefined> {
  const client = new Client({
    host: ORACLE_HOST,
    port: ORACLE_PORT,
    user: 'postgres',
    database: 'postgres',
    types: { getTypeParser: () => (v: string) => v },
  });
  try {
    await client.connect();
    return client;
  } catch {
    return undefined;
  }
}

const there = await connect();

type Answer = readonly string[] | { readonly error: string };

function lines(rows: readonly (readonly (string | null)[])[], ordered: boolean): string[] {
  const all = rows.map(row => row.map(v => v ?? 'NULL').join('|'));
  return ordered ? all : all.sort();
}

describe.skipIf(there === undefined)('as PostgreSQL answers', () => {
  const { setup, queries } = readCases();
  const databases: HeadlessDatabase[] = [];

  beforeAll(async () => {
    await there!.query(`create schema ${SCHEMA}`);
    await there!.query(`set search_path = ${SCHEMA}; set timezone = 'UTC'`);
    for (const sql of setup) await there!.query(sql);
    for (const misses of [false, true]) {
      const db = await HeadlessDatabase.create({ misses });
      for (const sql of setup) await db.run(sql);
      databases.push(db);
    }
  }, 60_000);

  afterAll(async () => {
    await there?.query(`drop schema ${SCHEMA} cascade`);
    await there?.end();
  });

  const ask = async (sql: string): Promise<Answer> => {
    try {
      const result = await there!.query({ text: sql, rowMode: 'array' });
      return lines(result.rows as (string | null)[][], /order by/i.test(sql));
    } catch (error) {
      const { code, message } = error as { code: string; message: string };
      return { error: `${code} ${message}` };
    }
  };
  const answer = async (db: HeadlessDatabase, sql: string): Promise<Answer> => {
    try {
      const result = await db.run(sql);
      return lines(result.rows, /order by/i.test(sql));
    } catch (error) {
      const { sqlstate, message } = error as { sqlstate?: string; message: string };
      if (sqlstate === undefined) throw error;
      return { error: `${sqlstate} ${message}` };
    }
  };

  test.each(queries)('%s', async sql => {
    const expected = await ask(sql);
    for (const db of databases) expect(await answer(db, sql)).toEqual(expected);
  });
});
