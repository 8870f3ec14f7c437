/**
 * The oracle as judge of B-tree files: describes its indexes to us, and takes files of ours.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Oid } from '@pgtroupe/common/ids';
import type { RelFileNode } from '@pgtroupe/common/ids';
import { pageMemory, pageSetChecksum } from '@pgtroupe/storage/page/bufpage';
import type { Attribute } from '@pgtroupe/access/common/tupdesc';
import { BTIndex, type BTKeyColumn } from '@pgtroupe/access/nbtree/btindex';
import { dataDirectory, psql } from './oracle.ts';
import { ORACLE_HOST, ORACLE_PORT } from './oracle-address.ts';

/** `name`d index of the oracle's database, as we would describe it. */
export function oracleIndex(
  database: string,
  name: string,
  rnode: RelFileNode = { spcNode: 1663 as Oid, dbNode: 5 as Oid, relNode: 16385 as Oid },
): BTIndex {
  const json = psql(
    `SELECT json_build_object(
       'unique', i.indisunique, 'nullsNotDistinct', i.indnullsnotdistinct, 'tableName', i.indrelid::regclass::text, 'nkeyatts', i.indnkeyatts,
       'deduplicate', NOT coalesce((SELECT reloptions FROM pg_class WHERE oid = i.indexrelid)::text LIKE '%deduplicate_items=off%', false),
       'columns', (SELECT json_agg(json_build_object('name', a.attname, 'typid', a.atttypid::int8, 'typmod', a.atttypmod, 'len', a.attlen,
           'byval', a.attbyval, 'align', a.attalign, 'storage', a.attstorage, 'collation', a.attcollation::int8, 'notNull', false, 'dropped', false,
           'hasDefault', false, 'orderProc', p.prosrc, 'option', i.indoption[a.attnum - 1]) ORDER BY a.attnum)
         FROM pg_attribute a LEFT JOIN pg_opclass c ON c.oid = i.indclass[a.attnum - 1]
           LEFT JOIN pg_amproc m ON m.amprocfamily = c.opcfamily AND m.amproclefttype = c.opcintype AND m.amprocrighttype = c.opcintype AND m.amprocnum = 1
           LEFT JOIN pg_proc p ON p.oid = m.amproc
         WHERE a.attrelid = i.indexrelid))
     FROM pg_index i WHERE i.indexrelid = '${name}'::regclass`,
    database,
  );
  const { unique, nullsNotDistinct, tableName, nkeyatts, deduplicate, columns } = JSON.parse(json) as {
    unique: boolean;
    nullsNotDistinct: boolean;
    tableName: string;
    nkeyatts: number;
    deduplicate: boolean;
    columns: (Attribute & BTKeyColumn)[];
  };
  return new BTIndex({
    rel: { rnode, targetBlock: -1 },
    name,
    tableName,
    att: { attrs: columns },
    keys: columns.slice(0, nkeyatts),
    unique,
    nullsNotDistinct,
    deduplicate,
  });
}

/**
 * A copy of the database in which the relations' files are ours, and its name. The files on disk are
 * overwritten in the original (which has no sessions and no changed pages then), and CREATE DATABASE
 * copies from disk, so that no page of the copy is in the server's memory yet.
 */
export function copyWithFiles(database: string, files: ReadonlyMap<string, Uint8Array>): string {
  for (const [relation, bytes] of files) {
    const mem = pageMemory(bytes);
    for (let blk = 0; blk * 8192 < bytes.length; blk++) pageSetChecksum(mem, blk * 8192, blk);
    const path = join(dataDirectory(), psql(`CHECKPOINT; SELECT pg_relation_filepath('${relation}')`, database));
    const chunks = Buffer.from(bytes)
      .toString('base64')
      .match(/.{1,1000000}/g) ?? [''];
    psql(
      `CREATE TEMP TABLE piece (n int, b bytea);
       ${chunks.map((chunk, n) => `INSERT INTO piece VALUES (${n}, decode('${chunk}', 'base64'));`).join('\n')}
       SELECT lo_from_bytea(0, (SELECT string_agg(b, '' ORDER BY n) FROM piece)) AS lo \\gset
       SELECT lo_export(:lo, '${path}'), lo_unlink(:lo);`,
      database,
    );
  }
  const copy = `${database}_copy`;
  psql(
    `CHECKPOINT; DROP DATABASE IF EXISTS ${copy} WITH (FORCE); CREATE DATABASE ${copy} TEMPLATE ${database} STRATEGY FILE_COPY`.replaceAll(
      '; ',
      ';\n',
    ),
  );
  return copy;
}

/** What PostgreSQL finds wrong with the index: empty when it is sound and has every row of the table. */
export function amcheck(database: string, index: string): string {
  try {
    psql(`SELECT bt_index_parent_check('${index}', true, true)`, database);
    return '';
  } catch (error) {
    return String((error as { stderr?: unknown }).stderr ?? error);
  }
}

/** Keeps the oracle's WAL from now on from being recycled, until the answered function is called (or this
 *  process ends: the slot is a temporary one of a session whose input then closes). */
export function holdWal(slot: string): () => void {
  const session = spawn(
    'psql',
    ['-h', ORACLE_HOST, '-p', String(ORACLE_PORT), '-U', 'postgres', '-X', '-q', '-f', '-'],
    {
      stdio: ['pipe', 'ignore', 'ignore'],
    },
  );
  session.stdin.write(`select pg_create_physical_replication_slot('${slot}', true, true);\n`);
  for (let tries = 0; psql(`select count(*) from pg_replication_slots where slot_name = '${slot}'`) !== '1'; tries++) {
    if (tries === 100) throw new Error(`no replication slot ${slot}`);
  }
  return () => session.stdin.end();
}
