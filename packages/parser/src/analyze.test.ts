/**
 * Analyzed trees compared with those of a real PostgreSQL: each statement of test/corpus/analyze.sql becomes
 * the body of an SQL function there, whose stored tree must be ours.
 */
import { type Oid } from '@pgtroupe/common/ids';
import { readFileSync } from 'node:fs';
import pg from 'pg';
import { PgError } from '@pgtroupe/common/ereport';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { nodeToString } from '@pgtroupe/nodes/outfuncs';
import type { Node } from '@pgtroupe/nodes/parsenodes';
import type { RawStmt } from '@pgtroupe/nodes/rawnodes';
import { stringToNode } from '@pgtroupe/nodes/readfuncs';
import { rewriteQuery } from './rewrite/rewriteHandler.ts';
import { analyze } from './analyze.ts';
import { loadParser, rawParse } from './parser.ts';
import { isMissingFunction, oracleCatalog, psql, type TestCatalog } from '@pgtroupe/testkit/sql/analysis-oracle';
import { ORACLE_HOST, ORACLE_PORT } from '@pgtroupe/testkit/oracle-address';

const CORPUS = new URL('../../../test/corpus/', import.meta.url);
const corpus = (name: string) => readFileSync(new URL(name, CORPUS), 'utf8');
const DATABASE = `pgtroupe_analyze_${process.pid}`;

function statements(text: string): string[] {
  return text
    .split('\n')
    .filter(line => line !== '' && !line.startsWith('--'))
    .map(line => line.replace(/;$/, ''));
}

/** Statements as a client sent them, which may span lines. */
function sentStatements(name: string): string[] {
  return corpus(name)
    .replace(/^--.*\n/, '')
    .split('\n;\n')
    .filter(sql => sql.trim() !== '');
}

const hasOracle = psql('postgres', `create database ${DATABASE}`) !== null;

/** Locations shift with the text around; the rest must be the same. */
function normalize(tree: string): string {
  return nodeToString(stringToNode(tree) as Node)
    .replace(/:stmt_len \d+/g, ':stmt_len 0')
    .replace(/:stmt_location \d+/g, ':stmt_location 0');
}

function firstDifference(actual: string, expected: string): string {
  let i = 0;
  while (i < actual.length && actual[i] === expected[i]) i++;
  return `\n   ours   ...${actual.slice(Math.max(0, i - 100), i + 100)}\n   theirs ...${expected.slice(Math.max(0, i - 100), i + 100)}`;
}

/** All that can be the body of an SQL function. */
function comparedStatements(): string[] {
  const sent = [...sentStatements('psql.sql'), ...sentStatements('pgbench.sql')];
  return [
    ...statements(corpus('analyze.sql')),
    ...sent.filter(sql => /^\s*(select|insert|update|with)/i.test(sql) && !sql.includes('$1')),
  ];
}

describe.skipIf(!hasOracle)('analysis against PostgreSQL', () => {
  let test: TestCatalog;
  beforeAll(async () => {
    await loadParser();
    psql(DATABASE, corpus('schema.sql'));
    for (const sql of sentStatements('pgbench.sql')) if (/^create table/.test(sql)) psql(DATABASE, sql);
    const functions = comparedStatements().map(
      (sql, i) => `create function q.f${i}() returns void language sql begin atomic ${sql}; end;`,
    );
    psql(DATABASE, `create schema q;\n${functions.join('\n')}`);
    test = await oracleCatalog(DATABASE, ['pg_catalog', 'public']);
  }, 60_000);
  afterAll(() => {
    psql('postgres', `drop database ${DATABASE}`);
  });

  it('builds the same trees', async () => {
    const trees = new Map(
      (
        psql(
          DATABASE,
          `select proname || ' ' || prosqlbody::text from pg_proc where pronamespace = 'q'::regnamespace`,
        ) ?? ''
      )
        .split('\n')
        .filter(line => line !== '')
        .map(line => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]),
    );
    const failures: string[] = [];
    let compared = 0;
    for (const [i, sql] of comparedStatements().entries()) {
      const expected = trees.get(`f${i}`);
      if (expected === undefined) {
        failures.push(`PostgreSQL refuses: ${sql}`);
        continue;
      }
      try {
        const [stmt] = rawParse(sql);
        const { query } = await test.run(() => analyze({ ...test, sourceText: sql, stmt: stmt as RawStmt }));
        const actual = normalize(nodeToString([[query]] as unknown as Node[]));
        if (actual !== normalize(expected)) failures.push(`${sql}${firstDifference(actual, normalize(expected))}`);
        compared++;
      } catch (error) {
        if (!isMissingFunction((error as Error).message)) failures.push(`${sql}\n   ${(error as Error).message}`);
      }
    }
    expect(failures).toEqual([]);
    expect(compared).toBeGreaterThan(300);
  }, 60_000);

  it('finds the types of parameters', async () => {
    const types: [string, number[], number[]][] = [
      ['UPDATE pgbench_accounts SET abalance = abalance + $1 WHERE aid = $2', [], [23, 23]],
      [
        'INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES ($1, $2, $3, $4, CURRENT_TIMESTAMP)',
        [],
        [23, 23, 23, 23],
      ],
      ['select $1::text, $2 || $1', [], [25, 25]],
      ['select * from t where name = $1 and amount > $2 limit $3', [], [25, 1700, 20]],
      ['select $1', [], [25]],
      ['select $2', [], [0, 25]],
      ['select $1 + 1, $2', [20, 0], [20, 25]],
      ['select id = any ($1) from t', [], [1007]],
      ['insert into t (id, name) values ($1, $2), (1, $3)', [], [23, 25, 25]],
    ];
    for (const [sql, given, expected] of types) {
      const [stmt] = rawParse(sql);
      const result = await test.run(() =>
        analyze({
          ...test,
          sourceText: sql,
          stmt: stmt as RawStmt,
          params: { kind: 'variable', types: given as Oid[] },
        }),
      );
      expect(result.paramTypes, sql).toEqual(expected);
    }
  });

  it('passes everything clients send', async () => {
    for (const name of ['psql.sql', 'pgbench.sql']) {
      for (const sql of sentStatements(name)) {
        for (const stmt of rawParse(sql)) {
          await test.run(() => {
            const { query } = analyze({ ...test, sourceText: sql, stmt, params: { kind: 'variable', types: [] } });
            return rewriteQuery(test, query);
          });
        }
      }
    }
  }, 60_000);

  it('refuses what PostgreSQL refuses, in the same words at the same place', async () => {
    const client = new pg.Client({ host: ORACLE_HOST, port: ORACLE_PORT, user: 'postgres', database: DATABASE });
    await client.connect();
    const failures: string[] = [];
    try {
      for (const sql of statements(corpus('errors.sql'))) {
        await client.query('begin');
        const expected = await client.query(sql).then(
          () => 'no error',
          (error: pg.DatabaseError) => formatError(error.code, error.message, error.detail, error.hint, error.position),
        );
        await client.query('rollback');
        const actual = await ours(test, sql);
        if (actual !== expected && !isMissingFunction(actual))
          failures.push(`${sql}\n   ours:   ${actual}\n   theirs: ${expected}`);
      }
    } finally {
      await client.end();
    }
    expect(failures).toEqual([]);
  }, 60_000);
});

function formatError(code: unknown, message: string, detail: unknown, hint: unknown, position: unknown): string {
  return [code, message, detail && `DETAIL ${detail}`, hint && `HINT ${hint}`, position && `AT ${position}`]
    .filter(Boolean)
    .join(' | ');
}

async function ours(test: TestCatalog, sql: string): Promise<string> {
  try {
    for (const stmt of rawParse(sql))
      await test.run(() => rewriteQuery(test, analyze({ ...test, sourceText: sql, stmt }).query));
    return 'no error';
  } catch (error) {
    if (!(error instanceof PgError)) return `internal: ${(error as Error).stack}`;
    const { detail, hint, position } = error.fields;
    return formatError(error.sqlstate, error.message, detail, hint, position);
  }
}
