/**
 * A real PostgreSQL 15 as judge of B-tree files: reads the bytes of its relations and puts bytes of
 * ours into a database of its.
 *
 * Files are exchanged through SQL only: pg_read_binary_file one way; the other way lo_export over the
 * file of a template database, whose files are then copied by CREATE DATABASE ... STRATEGY FILE_COPY,
 * so that no page of it is in the server's memory yet. PGTROUPE_ORACLE names the server.
 */
import pg from 'pg';
import type { Oid } from '@pgtroupe/common/ids';
import { pageMemory, pageSetChecksum } from '@pgtroupe/storage/page/bufpage';
import type { Attribute, TupleDesc } from '../src/common/tupdesc.ts';
import { BTIndex, type BTKeyColumn } from '../src/nbtree/btindex.ts';

const ORACLE = process.env['PGTROUPE_ORACLE'] ?? 'postgres://postgres@127.0.0.1:5555/postgres';

function urlOf(database: string): string {
  const url = new URL(ORACLE);
  url.pathname = `/${database}`;
  return url.toString();
}

async function connect(database: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: urlOf(database), connectionTimeoutMillis: 2000 });
  await client.connect();
  return client;
}

export class Postgres15 {
  readonly admin: pg.Client;
  readonly db: pg.Client;
  readonly name: string;
  #copy: pg.Client | undefined;

  private constructor(admin: pg.Client, db: pg.Client, name: string) {
    this.admin = admin;
    this.db = db;
    this.name = name;
  }

  /** A fresh database of that name, or undefined and the reason on stderr when there is no server. */
  static async create(name: string): Promise<Postgres15 | undefined> {
    let admin: pg.Client;
    try {
      admin = await connect('postgres');
    } catch (error) {
      process.stderr.write(`no PostgreSQL to compare with at ${ORACLE}: ${String(error)}\n`);
      return undefined;
    }
    await admin.query(`DROP DATABASE IF EXISTS ${name}_copy`);
    await admin.query(`DROP DATABASE IF EXISTS ${name}`);
    await admin.query(`CREATE DATABASE ${name}`);
    const db = await connect(name);
    await db.query('CREATE EXTENSION amcheck; CREATE EXTENSION pageinspect');
    return new Postgres15(admin, db, name);
  }

  async drop(): Promise<void> {
    await this.#copy?.end();
    await this.db.end();
    await this.admin.query(`DROP DATABASE IF EXISTS ${this.name}_copy`);
    await this.admin.query(`DROP DATABASE IF EXISTS ${this.name}`);
    await this.admin.end();
  }

  async rows<T>(sql: string, values: unknown[] = []): Promise<T[]> {
    return (await this.db.query(sql, values)).rows as T[];
  }

  /** A relation's file as it is on disk after a checkpoint. */
  async file(relation: string): Promise<Uint8Array> {
    await this.db.query('CHECKPOINT');
    const [row] = await this.rows<{ bytes: Buffer }>('SELECT pg_read_binary_file(pg_relation_filepath($1)) AS bytes', [relation]);
    return Uint8Array.from(row!.bytes);
  }

  /** Overwrites files on disk, then answers a connection to a copy of the database that has them.
   *  The main connection is closed meanwhile. */
  async withFiles(files: ReadonlyMap<string, Uint8Array>): Promise<pg.Client> {
    await this.db.query('CHECKPOINT');
    for (const [relation, bytes] of files) {
      const mem = pageMemory(bytes);
      for (let blk = 0; blk * 8192 < bytes.length; blk++) pageSetChecksum(mem, blk * 8192, blk);
      const [row] = await this.rows<{ path: string; oid: number }>(
        `SELECT current_setting('data_directory') || '/' || pg_relation_filepath($1) AS path, lo_from_bytea(0, $2)::int8::float8 AS oid`,
        [relation, Buffer.from(bytes)]);
      await this.db.query('SELECT lo_export($1::oid, $2), lo_unlink($1::oid)', [row!.oid, row!.path]);
    }
    await this.#copy?.end();
    await this.db.query('CHECKPOINT');
    await this.admin.query(`DROP DATABASE IF EXISTS ${this.name}_copy`);
    await this.admin.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()`, [this.name]).catch(() => undefined);
    for (let tries = 0; ; tries++) {
      try {
        await this.admin.query(`CREATE DATABASE ${this.name}_copy TEMPLATE ${this.name} STRATEGY FILE_COPY`);
        break;
      } catch (error) {
        if (tries === 20) throw error;
        await new Promise(resolve => setTimeout(resolve, 100));
      }
    }
    this.#copy = await connect(`${this.name}_copy`);
    return this.#copy;
  }

  /** Our description of one of its indexes. */
  async index(name: string, relNode = 16384): Promise<BTIndex> {
    const columns = await this.rows<Record<string, never> & { keyatts: number }>(
      `SELECT a.attname AS name, a.atttypid::int8::float8 AS typid, a.atttypmod AS typmod, a.attlen AS len, a.attbyval AS byval,
         a.attalign AS align, a.attstorage AS storage, a.attcollation::int8::float8 AS collation, i.indnkeyatts AS keyatts,
         i.indisunique AS "isUnique", i.indnullsnotdistinct AS "nullsNotDistinct", i.indrelid::regclass::text AS "tableName",
         p.prosrc AS "orderProc", i.indoption[a.attnum - 1] AS option
       FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indexrelid
         LEFT JOIN pg_opclass c ON c.oid = i.indclass[a.attnum - 1]
         LEFT JOIN pg_amproc m ON m.amprocfamily = c.opcfamily AND m.amproclefttype = c.opcintype AND m.amprocrighttype = c.opcintype AND m.amprocnum = 1
         LEFT JOIN pg_proc p ON p.oid = m.amproc
       WHERE i.indexrelid = $1::regclass ORDER BY a.attnum`, [name]);
    const att: TupleDesc = { attrs: columns.map(c => ({ ...(c as object as Attribute), notNull: false, dropped: false, hasDefault: false })) };
    const first = columns[0] as unknown as { isUnique: boolean; nullsNotDistinct: boolean; tableName: string };
    return new BTIndex({
      rel: { rnode: { spcNode: 1663 as Oid, dbNode: 5 as Oid, relNode: relNode as Oid } },
      name, att, tableName: first.tableName, unique: first.isUnique, nullsNotDistinct: first.nullsNotDistinct,
      keys: columns.slice(0, columns[0]!.keyatts).map(c => c as object as BTKeyColumn),
    });
  }
}
