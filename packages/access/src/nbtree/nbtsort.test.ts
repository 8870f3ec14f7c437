import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Datum } from '@pgtroupe/common/datum';
import { BLCKSZ } from '@pgtroupe/common/ids';
import { Postgres15 } from '../../test/postgres15.ts';
import type { BTIndex } from './btindex.ts';
import { BTBuild } from './nbtsort.ts';

let pg15: Postgres15 | undefined;
beforeAll(async () => {
  pg15 = await Postgres15.create('pgtroupe_nbtsort');
}, 60_000);
afterAll(() => pg15?.drop());

export function buildFile(index: BTIndex, rows: readonly { values: Datum[]; block: number; offset: number }[]): Uint8Array {
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
  { what: 'unique int4, three levels', ddl: `CREATE TABLE t AS SELECT g AS a FROM generate_series(1, 250000) g; CREATE UNIQUE INDEX i ON t(a)`, columns: ['a'], orderBy: 'a', read: [number] },
  { what: 'int4 with duplicates: posting lists', ddl: `CREATE TABLE t AS SELECT (g * 7919) % 500 AS a FROM generate_series(1, 60000) g; CREATE INDEX i ON t(a)`, columns: ['a'], orderBy: 'a', read: [number] },
  { what: 'duplicates without deduplication', ddl: `CREATE TABLE t AS SELECT g % 50 AS a FROM generate_series(1, 30000) g; CREATE INDEX i ON t(a) WITH (deduplicate_items = off)`, columns: ['a'], orderBy: 'a', read: [number] },
  { what: 'nulls and text', ddl: `CREATE TABLE t AS SELECT CASE WHEN g % 5 > 0 THEN repeat(chr(97 + g % 26), g % 200) || g END AS a, CASE WHEN g % 3 > 0 THEN g END AS b FROM generate_series(1, 20000) g; CREATE UNIQUE INDEX i ON t(a, b)`, columns: ['a', 'b'], orderBy: 'a COLLATE "C", b', read: [text, number] },
  { what: 'descending, nulls first, int8 and int2', ddl: `CREATE TABLE t AS SELECT CASE WHEN g % 7 > 0 THEN (g * 31337) % 9000::int8 END AS a, (g % 11)::int2 AS b FROM generate_series(1, 30000) g; CREATE INDEX i ON t(a DESC, b)`, columns: ['a', 'b'], orderBy: 'a DESC, b', read: [number, number] },
  { what: 'INCLUDE columns', ddl: `CREATE TABLE t AS SELECT g % 3000 AS a, 'v' || g AS b FROM generate_series(1, 20000) g; CREATE INDEX i ON t(a) INCLUDE (b)`, columns: ['a', 'b'], orderBy: 'a', read: [number, text] },
  { what: 'name, oid, bool', ddl: `CREATE TABLE t AS SELECT proname AS a, oid AS b, proisstrict AS c FROM pg_proc; CREATE UNIQUE INDEX i ON t(a, c, b)`, columns: ['a', 'c', 'b'], orderBy: 'a, c, b', read: [text, t => t === 't', number] },
  { what: 'bpchar', ddl: `CREATE TABLE t AS SELECT (g % 997)::text::char(12) AS a FROM generate_series(1, 5000) g; CREATE INDEX i ON t(a)`, columns: `rpad(a::text, 12)`.split('|'), orderBy: 'a COLLATE "C"', read: [text] },
  { what: 'uuid', ddl: `CREATE TABLE t AS SELECT md5(g::text)::uuid AS a FROM generate_series(1, 5000) g; CREATE INDEX i ON t(a)`, columns: [`replace(a::text, '-', '')`], orderBy: 'a', read: [hex] },
  { what: 'empty', ddl: `CREATE TABLE t (a int); CREATE INDEX i ON t(a)`, columns: ['a'], orderBy: 'a', read: [number] },
];

describe('the pages are those of PostgreSQL’s CREATE INDEX', () => {
  test.for(CASES)('$what', async ({ ddl, columns, orderBy, read }, { skip }) => {
    if (pg15 === undefined) return skip('no PostgreSQL 15');
    await pg15.db.query(`SET max_parallel_maintenance_workers = 0; DROP TABLE IF EXISTS t; ${ddl}`);
    const rows = await pg15.rows<{ tid: string; v: (string | null)[] }>(
      `SELECT ctid::text AS tid, array[${columns.map(c => (c.startsWith('rpad') ? c : `(${c})::text`)).join(',')}] AS v FROM t ORDER BY ${orderBy}, ctid`);
    const index = await pg15.index('i');
    const [options] = await pg15.rows<{ o: string[] | null }>(`SELECT reloptions AS o FROM pg_class WHERE relname = 'i'`);
    const described = options!.o === null ? index : Object.assign(Object.create(index) as BTIndex, { deduplicate: false });
    const ours = buildFile(described, rows.map(({ tid, v }) => {
      const [block, offset] = tid.slice(1, -1).split(',').map(Number) as [number, number];
      return { values: v.map((x, i) => read[i]!(x === 'true' ? 't' : x === 'false' ? 'f' : x)), block, offset };
    }));
    const theirs = await pg15.file('i');
    expect(ours.length).toBe(theirs.length);
    expect(Buffer.compare(unstamped(ours), unstamped(theirs))).toBe(0);
  }, 60_000);
});
