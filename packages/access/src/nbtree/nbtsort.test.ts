import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Datum } from '@pgtroupe/common/datum';
import { BLCKSZ } from '@pgtroupe/common/ids';
import { oracleIndex } from '@pgtroupe/testkit/nbtree-oracle';
import { oracleMissing, psql, readRelation } from '@pgtroupe/testkit/oracle';
import type { BTIndex } from './btindex.ts';
import { BTBuild } from './nbtsort.ts';

function buildFile(index: BTIndex, rows: readonly { values: Datum[]; block: number; offset: number }[]): Uint8Array {
  const pages: Uint8Array[] = [];
  const build = new BTBuild(index, (page, blkno) => {
    pages[blkno] = page.slice();
  });
  for (const row of rows) build.add(row.values, row.block, row.offset);
  expect(build.finish()).toBe(pages.length);
  const file = new Uint8Array(pages.length * BLCKSZ);
  pages.forEach((page, blk) => file.set(page, blk * BLCKSZ));
  return file;
}

/** Without what only writing to disk decides: pd_lsn and pd_checksum. */
function unstamped(file: Uint8Array): Uint8Array {
  const copy = file.slice();
  for (let at = 0; at < copy.length; at += BLCKSZ) copy.fill(0, at, at + 10);
  return copy;
}

const number = (text: string | null): Datum => (text === null ? null : Number(text));
const text = (value: string | null): Datum => (value === null ? null : Buffer.from(value));
const hex = (value: string | null): Datum => (value === null ? null : Uint8Array.from(Buffer.from(value, 'hex')));

interface Case {
  readonly what: string;
  readonly ddl: string;
  readonly columns: readonly string[];
  readonly orderBy: string;
  readonly read: readonly ((text: string | null) => Datum)[];
}

const CASES: readonly Case[] = [
  {
    what: 'unique int4, three levels',
    ddl: `CREATE TABLE t AS SELECT g AS a FROM generate_series(1, 250000) g; CREATE UNIQUE INDEX i ON t(a)`,
    columns: ['a'],
    orderBy: 'a',
    read: [number],
  },
  {
    what: 'int4 with duplicates: posting lists',
    ddl: `CREATE TABLE t AS SELECT (g * 7919) % 500 AS a FROM generate_series(1, 60000) g; CREATE INDEX i ON t(a)`,
    columns: ['a'],
    orderBy: 'a',
    read: [number],
  },
  {
    what: 'duplicates without deduplication',
    ddl: `CREATE TABLE t AS SELECT g % 50 AS a FROM generate_series(1, 30000) g; CREATE INDEX i ON t(a) WITH (deduplicate_items = off)`,
    columns: ['a'],
    orderBy: 'a',
    read: [number],
  },
  {
    what: 'nulls and text',
    ddl: `CREATE TABLE t AS SELECT CASE WHEN g % 5 > 0 THEN repeat(chr(97 + g % 26), g % 200) || g END AS a, CASE WHEN g % 3 > 0 THEN g END AS b FROM generate_series(1, 20000) g; CREATE UNIQUE INDEX i ON t(a, b)`,
    columns: ['a', 'b'],
    orderBy: 'a COLLATE "C", b',
    read: [text, number],
  },
  {
    what: 'descending, nulls first, int8 and int2',
    ddl: `CREATE TABLE t AS SELECT CASE WHEN g % 7 > 0 THEN (g * 31337) % 9000::int8 END AS a, (g % 11)::int2 AS b FROM generate_series(1, 30000) g; CREATE INDEX i ON t(a DESC, b)`,
    columns: ['a', 'b'],
    orderBy: 'a DESC, b',
    read: [number, number],
  },
  {
    what: 'INCLUDE columns',
    ddl: `CREATE TABLE t AS SELECT g % 3000 AS a, 'v' || g AS b FROM generate_series(1, 20000) g; CREATE INDEX i ON t(a) INCLUDE (b)`,
    columns: ['a', 'b'],
    orderBy: 'a',
    read: [number, text],
  },
  {
    what: 'name, oid, bool',
    ddl: `CREATE TABLE t AS SELECT proname AS a, oid AS b, proisstrict AS c FROM pg_proc; CREATE UNIQUE INDEX i ON t(a, c, b)`,
    columns: ['a', 'c', 'b'],
    orderBy: 'a, c, b',
    read: [text, t => t === 'true', number],
  },
  {
    what: 'bpchar',
    ddl: `CREATE TABLE t AS SELECT (g % 997)::text::char(12) AS a FROM generate_series(1, 5000) g; CREATE INDEX i ON t(a)`,
    columns: [`rpad(a::text, 12)`],
    orderBy: 'a COLLATE "C"',
    read: [text],
  },
  {
    what: 'uuid',
    ddl: `CREATE TABLE t AS SELECT md5(g::text)::uuid AS a FROM generate_series(1, 5000) g; CREATE INDEX i ON t(a)`,
    columns: [`replace(a::text, '-', '')`],
    orderBy: 'a',
    read: [hex],
  },
  {
    what: 'empty',
    ddl: `CREATE TABLE t (a int); CREATE INDEX i ON t(a)`,
    columns: ['a'],
    orderBy: 'a',
    read: [number],
  },
];

const missing = oracleMissing();

describe.skipIf(missing !== undefined)(
  `the pages are those of PostgreSQL’s CREATE INDEX${missing === undefined ? '' : ` (skipped: ${missing})`}`,
  () => {
    const database = `pgtroupe_nbtsort_${process.pid}`;
    beforeAll(() => {
      psql(`create database ${database}`);
    });
    afterAll(() => {
      psql(`drop database if exists ${database} with (force)`);
    });

    test.for(CASES)('$what', { timeout: 60_000 }, ({ ddl, columns, orderBy, read }) => {
      const [path, ...lines] = psql(
        `set max_parallel_maintenance_workers = 0;\ndrop table if exists t;\n${ddl.replaceAll('; ', ';\n')};\ncheckpoint;
       select pg_relation_filepath('i');
       select json_build_array(ctid::text, ${columns.map(column => `(${column})::text`).join(', ')}) from t order by ${orderBy}, ctid`,
        database,
      ).split('\n') as [string, ...string[]];
      const ours = buildFile(
        oracleIndex(database, 'i'),
        lines.map(line => {
          const [tid, ...v] = JSON.parse(line) as (string | null)[];
          const [block, offset] = tid!.slice(1, -1).split(',').map(Number) as [number, number];
          return { values: v.map((x, i) => read[i]!(x)), block, offset };
        }),
      );
      const theirs = readRelation(path);
      expect(ours.length).toBe(theirs.length);
      expect(Buffer.compare(unstamped(ours), unstamped(theirs))).toBe(0);
    });
  },
);
