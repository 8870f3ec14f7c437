#!/usr/bin/env node
/**
 * Extracts the rows of PostgreSQL 15's system catalogs as packages/catalog/facts/*.tsv. Run by hand,
 * when PostgreSQL's catalog version changes:
 *
 *   initdb -D /tmp/facts -U postgres -A trust -k --locale=C.UTF-8 -E UTF8
 *   pg_ctl -D /tmp/facts -o '-p 5601 -k /tmp' start
 *   node scripts/extract-facts.mjs 5601 [psql]
 *
 * The cluster must be fresh: whatever a user did to template1 would become a fact. The format is
 * described in packages/catalog/facts/README.md.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';

const [port, psql = 'psql'] = process.argv.slice(2);
if (!port) throw new Error('usage: extract-facts.mjs <port of a fresh PostgreSQL 15> [psql]');
const folder = new URL('../packages/catalog/facts/', import.meta.url);

function query(sql) {
  return execFileSync(
    psql,
    ['-X', '-At', '-F', '\t', '-h', '127.0.0.1', '-p', port, '-U', 'postgres', '-d', 'template1', '-c', sql],
    {
      encoding: 'utf8',
      maxBuffer: 64 << 20,
    },
  );
}

function lines(sql) {
  return query(sql)
    .split('\n')
    .filter(line => line !== '')
    .map(line => line.split('\t'));
}

/** Collations imported from the operating system or ICU are not facts of PostgreSQL. */
const KEPT_COLLATIONS = `('default', 'C', 'POSIX', 'ucs_basic', 'C.utf8')`;

/** Rows that depend on the machine or on what happens after initdb. */
const WHERE = {
  pg_collation: `collname in ${KEPT_COLLATIONS}`,
  pg_description: `classoid <> 3456 or objoid in (select oid from pg_collation where collname in ${KEPT_COLLATIONS})`,
  pg_database: 'oid in (1, 4, 5)',
  pg_statistic: 'false',
};

/** Values that initdb computes, normalised so that a new extraction shows no difference. */
const COLUMN = {
  relpages: '0',
  reltuples: '-1',
  relallvisible: '0',
  relfrozenxid: "case when relfrozenxid::text = '0' then 0 else 3 end",
  relminmxid: "case when relminmxid::text = '0' then 0 else 1 end",
  datfrozenxid: '3',
  datminmxid: '1',
  // 15.20 stamps every new column with pg_attver=<number>, different each time; older 15s know none.
  attoptions: "case when attoptions::text like '{pg_attver=%' then null else attoptions end",
};

/** Large and unreadable: stored compressed. */
const COMPRESSED = new Set(['pg_rewrite']);

mkdirSync(folder, { recursive: true });
for (const file of readdirSync(folder)) if (/\.tsv(\.gz)?$/.test(file)) rmSync(new URL(file, folder));

const tables = lines(
  `select oid, relname, relnamespace::regnamespace from pg_class where relkind = 'r' order by relname`,
);
for (const [oid, table, schema] of tables) {
  const columns = lines(
    `select attname, atttypid::regtype from pg_attribute where attrelid = ${oid} and attnum > 0 order by attnum`,
  );
  const selected = columns.map(
    ([name, type]) => COLUMN[name] ?? (type.startsWith('reg') ? `"${name}"::oid` : `"${name}"`),
  );
  const key = lines(
    `select attname from pg_index, unnest(indkey) with ordinality k(attnum, n), pg_attribute a
      where indrelid = ${oid} and indisprimary and attrelid = indrelid and a.attnum = k.attnum order by n`,
  ).flat();
  const order = key.length > 0 ? key.join(', ') : 'ctid';
  const rows = query(
    `copy (select ${selected.join(', ')} from ${schema}.${table} where ${WHERE[table] ?? 'true'} order by ${order}) to stdout`,
  );
  const text = `${columns.map(([name]) => name).join('\t')}\n${rows}`;
  if (COMPRESSED.has(table)) writeFileSync(new URL(`${table}.tsv.gz`, folder), gzipSync(text, { level: 9 }));
  else writeFileSync(new URL(`${table}.tsv`, folder), text);
}
console.log(`${tables.length} catalogs written to ${folder.pathname}`);
