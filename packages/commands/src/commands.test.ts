/**
 * Definition commands against PostgreSQL: the same statements run here, over a store in memory, and
 * there, in a database of their own; then the catalogs must say the same. OIDs of new objects are
 * replaced by what they name. Messages are compared too.
 */
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CatalogMiss } from '@pgtroupe/catalog/catalogmiss';
import type { AclItem, Catalog } from '@pgtroupe/catalog/catalog';
import { pgAttrdef } from '@pgtroupe/catalog/catalogs/pg_attrdef';
import { pgAttribute } from '@pgtroupe/catalog/catalogs/pg_attribute';
import { pgAuthid } from '@pgtroupe/catalog/catalogs/pg_authid';
import { pgClass } from '@pgtroupe/catalog/catalogs/pg_class';
import { pgConstraint } from '@pgtroupe/catalog/catalogs/pg_constraint';
import { pgDepend } from '@pgtroupe/catalog/catalogs/pg_depend';
import { pgDescription } from '@pgtroupe/catalog/catalogs/pg_description';
import { pgEnum } from '@pgtroupe/catalog/catalogs/pg_enum';
import { pgIndex } from '@pgtroupe/catalog/catalogs/pg_index';
import { pgNamespace } from '@pgtroupe/catalog/catalogs/pg_namespace';
import { pgRewrite } from '@pgtroupe/catalog/catalogs/pg_rewrite';
import { pgSequence } from '@pgtroupe/catalog/catalogs/pg_sequence';
import { pgType } from '@pgtroupe/catalog/catalogs/pg_type';
import type { SequenceRow } from '@pgtroupe/access/sequence/sequence';
import { computeSearchPath } from '@pgtroupe/catalog/namespace';
import { SystemCatalog } from '@pgtroupe/catalog/systemcatalog';
import { MemoryStore } from '@pgtroupe/testkit/catalog/memory-store';
import type { Datum } from '@pgtroupe/common/datum';
import type { Oid } from '@pgtroupe/common/ids';
import type { RawNode } from '@pgtroupe/nodes/rawnodes';
import './fmgrtab.ts';
import type { FunctionCall } from '@pgtroupe/adt/fmgr';
import { loadParser, rawParse } from '@pgtroupe/parser/parser';
import { CommandContext } from './command-context.ts';
import type { SequenceIo } from './sequence-io.ts';
import { definitionCommandTag, runDefinitionCommand } from './utility.ts';
import { ORACLE_HOST, ORACLE_PORT } from '@pgtroupe/testkit/oracle-address';

const DATABASE = `pgtroupe_commands_${process.pid}`;
const COMPARED: readonly Catalog[] = [
  pgNamespace,
  pgClass,
  pgAttribute,
  pgType,
  pgIndex,
  pgConstraint,
  pgAttrdef,
  pgDepend,
  pgSequence,
  pgRewrite,
  pgEnum,
  pgDescription,
] as unknown as Catalog[];
/** Values that follow from when and where, not from what was commanded. */
const IGNORED = new Set(['relfrozenxid', 'relfilenode', 'ctid']);
/** A stamp that 15.20 puts on every new column. */
const STAMP = /^\{pg_attver=\d+\}$/;

/** Rows of sequences by file. */
function memorySequences(): SequenceIo {
  const rows = new Map<number, SequenceRow>();
  return {
    init: async (rel, row) => void rows.set(rel.rnode.relNode, row),
    set: async (rel, row) => void rows.set(rel.rnode.relNode, row),
    read: async rel => rows.get(rel.rnode.relNode)!,
    draw: () => Promise.reject(new Error('no command draws values')),
  };
}

/** The bytes of a regclass constant. */
const REGCLASS_CONST = /(?<=consttype 2205 [^[]*\[ )(-?\d+) (-?\d+) (-?\d+) (-?\d+)/g;

class Here {
  readonly sequences = memorySequences();
  readonly store = new MemoryStore();
  catalog = new SystemCatalog(this.store, {
    databaseOid: 5 as Oid,
    defaultTablespace: 1663 as Oid,
    smgropen: rnode => ({ rnode, targetBlock: -1 }),
    mappedFilenode: oid => oid,
  }).fork(this.store);

  async run(sql: string): Promise<string> {
    const notices = this.store.notices.length;
    const rollback = this.store.savepoint();
    const lines: string[] = [];
    try {
      const searchPath = await (async () => {
        for (;;) {
          try {
            return computeSearchPath(this.catalog, {
              setting: 'public',
              userName: 'postgres',
              tempNamespace: 0 as Oid,
            });
          } catch (error) {
            if (!(error instanceof CatalogMiss)) throw error;
            await error.load();
          }
        }
      })();
      const [raw] = rawParse(sql);
      const fc = {
        settings: {},
        collation: 0,
        argTypes: [],
        resultType: 0,
      } as unknown as FunctionCall;
      const session = {
        databaseName: DATABASE,
        userId: 10 as Oid,
        userName: 'postgres',
        superuser: true,
        searchPath: () => searchPath,
        tempNamespace: 0 as Oid,
        fc,
        sequences: this.sequences,
        // Enough of an executor for constants.
        select: (raw: RawNode) => Promise.resolve([[raw.targetList[0].val.expr.constvalue as Datum]]),
      };
      await runDefinitionCommand(new CommandContext(session, this.catalog, this.store, sql), raw!.stmt);
      lines.push(definitionCommandTag(raw!.stmt));
    } catch (error) {
      const { sqlstate, message, fields } = error as {
        sqlstate?: string;
        message: string;
        fields?: { detail?: string; hint?: string; position?: number };
      };
      if (sqlstate === undefined) throw error;
      rollback();
      this.catalog.reset();
      lines.push(`${sqlstate} ${message}`, fields?.detail ?? '', fields?.hint ?? '', String(fields?.position ?? ''));
    }
    return [...this.store.notices.slice(notices), ...lines].join('\n');
  }
}

class There {
  readonly client = new Client({
    host: ORACLE_HOST,
    port: ORACLE_PORT,
    user: 'postgres',
    database: DATABASE,
  });
  notices: string[] = [];

  async run(sql: string): Promise<string> {
    this.notices = [];
    const lines: string[] = [];
    try {
      const result = await this.client.query(sql);
      // The client library keeps only the tag's first word.
      const tag = definitionCommandTag(rawParse(sql)[0]!.stmt);
      lines.push(tag.split(' ')[0] === result.command ? tag : result.command);
    } catch (error) {
      const { code, message, detail, hint, position } = error as {
        code?: string;
        message: string;
        detail?: string;
        hint?: string;
        position?: string;
      };
      lines.push(`${code} ${message}`, detail ?? '', hint ?? '', position ?? '');
    }
    return [...this.notices, ...lines].join('\n');
  }

  async rows(catalog: Catalog): Promise<Record<string, unknown>[]> {
    const columns = catalog.columns.map(c =>
      c.type === 'regproc' ? `${c.name}::oid` : c.type === 'pg_node_tree' ? `${c.name}::text` : c.name,
    );
    const { rows } = await this.client.query<Record<string, unknown>>({
      text: `select ${columns.join(', ')} from ${catalog.name}`,
      types: { getTypeParser: () => (value: string) => value } as never,
    });
    return rows;
  }
}

/** All rows as text, without those of the facts, new oids replaced by names. */
function normalize(tables: Map<string, Record<string, unknown>[]>): Map<string, string[]> {
  const names = new Map<string, string>();
  const all = (name: string): Record<string, string | null>[] => tables.get(name)! as never;
  for (const row of all('pg_namespace')) names.set(row['oid']!, `schema ${row['nspname']}`);
  for (const row of all('pg_class')) names.set(row['oid']!, `class ${row['relname']}`);
  // TOAST tables are named by the oid of their table.
  for (const row of all('pg_class')) {
    if (row['reltoastrelid'] !== '0') {
      names.set(row['reltoastrelid']!, `toast of ${row['relname']}`);
      for (const index of all('pg_index'))
        if (index['indrelid'] === row['reltoastrelid'])
          names.set(index['indexrelid']!, `toast index of ${row['relname']}`);
    }
  }
  for (const row of all('pg_type')) names.set(row['oid']!, `type ${row['typname']}`);
  for (const row of all('pg_constraint'))
    names.set(row['oid']!, `constraint ${row['conname']} ${names.get(row['conrelid']!)}`);
  for (const row of all('pg_enum')) names.set(row['oid']!, `label ${row['enumlabel']} ${Number(row['oid']) % 2 === 0}`);
  for (const row of all('pg_rewrite')) names.set(row['oid']!, `rule ${row['rulename']} ${names.get(row['ev_class']!)}`);
  for (const row of all('pg_attrdef')) names.set(row['oid']!, `default ${names.get(row['adrelid']!)} ${row['adnum']}`);
  const oid = (value: string): string => (Number(value) >= 16384 ? (names.get(value) ?? `?${value}`) : value);
  const result = new Map<string, string[]>();
  for (const [name, rows] of tables) {
    const catalog = COMPARED.find(c => c.name === name)!;
    const texts = rows.map(row =>
      catalog.columns
        .filter(c => !IGNORED.has(c.name))
        .map(({ name: column, type }) => {
          const value = row[column] as string | null;
          if (value === null || (column === 'attoptions' && STAMP.test(value))) return `${column}=null`;
          // The server's multixact counter at the time: only whether there is one is comparable.
          if (column === 'relminmxid') return `${column}=${value === '0' ? 'none' : 'some'}`;
          if (type === 'oid') return `${column}=${oid(value)}`;
          if (type === 'pg_node_tree')
            return `${column}=${value
              .replace(REGCLASS_CONST, (_, ...bytes) =>
                oid(String(Buffer.from(bytes.slice(0, 4).map(Number)).readUInt32LE(0))),
              )
              .replace(/:relid (\d+)/g, (_, n) => `:relid ${oid(n)}`)
              .replace(/:(location|stmt_len|stmt_location) -?\d+/g, ':$1 ?')}`;
          return `${column}=${value.replace(/pg_toast_\d+/, 'pg_toast_N').replace(/\b(1[6-9]|[2-9]\d)\d{3,}\b/g, n => oid(n))}`;
        })
        .join(' '),
    );
    result.set(name, texts.sort());
  }
  return result;
}

/** attmissingval of an int4 or text column, as PostgreSQL prints it. */
function missingText(array: Uint8Array): string {
  const bytes = Buffer.from(array);
  return bytes.readUInt32LE(8) === 25
    ? `{${bytes.toString('utf8', 24, 20 + (bytes.readUInt32LE(20) >>> 2))}}`
    : `{${bytes.readInt32LE(20)}}`;
}

/** As aclitemout prints it. */
function aclText({ grantee, grantor, privs }: AclItem, roleName: (oid: number) => string): string {
  const letters = [...'arwdDxtXUCTcsA'].map((letter, bit) =>
    privs & (1 << bit) ? letter + (privs & (0x10000 << bit) ? '*' : '') : '',
  );
  return `${grantee === 0 ? '' : roleName(grantee)}=${letters.join('')}/${roleName(grantor)}`;
}

function pgText(type: string, value: unknown, roleName: (oid: number) => string): string | null {
  if (value === null || value === undefined) return null;
  if (typeof value === 'boolean') return value ? 't' : 'f';
  if (type === 'anyarray') return missingText(value as Uint8Array);
  if (type === '_aclitem') return `{${(value as AclItem[]).map(item => aclText(item, roleName)).join(',')}}`;
  if (Array.isArray(value)) {
    if (type.endsWith('vector')) return value.join(' ');
    return `{${value.map(v => (typeof v === 'string' && /[\s,{}"\\]/.test(v) ? JSON.stringify(v) : String(v))).join(',')}}`;
  }
  return String(value);
}

async function reachable(): Promise<boolean> {
  const client = new Client({
    host: ORACLE_HOST,
    port: ORACLE_PORT,
    user: 'postgres',
    database: 'postgres',
    connectionTimeoutMillis: 2000,
  });
  try {
    await client.connect();
    const { rows } = await client.query<{ n: string }>("select current_setting('server_version_num') n");
    await client.end();
    return rows[0]!.n.startsWith('15');
  } catch {
    return false;
  }
}

const up = await reachable();

describe.skipIf(!up)(`definition commands as PostgreSQL 15 (skipped: none at ${ORACLE_HOST}:${ORACLE_PORT})`, () => {
  const admin = new Client({
    host: ORACLE_HOST,
    port: ORACLE_PORT,
    user: 'postgres',
    database: 'postgres',
  });
  const there = new There();
  const here = new Here();

  beforeAll(async () => {
    await loadParser();
    await admin.connect();
    await admin.query(`create database ${DATABASE} template template0`);
    await there.client.connect();
    there.client.on('notice', notice =>
      there.notices.push(notice.detail ? `${notice.message}\n${notice.detail}` : (notice.message ?? '')),
    );
    await there.client.query("set search_path = 'public'");
  }, 60_000);

  afterAll(async () => {
    await there.client.end();
    await admin.query(`drop database ${DATABASE}`);
    await admin.end();
  });

  async function compareCatalogs(): Promise<void> {
    const roles = new Map(here.store.rows(pgAuthid).map(r => [r.oid as number, r.rolname]));
    const roleName = (oid: number): string => roles.get(oid) ?? String(oid);
    const theirs = new Map<string, Record<string, unknown>[]>();
    const ours = new Map<string, Record<string, unknown>[]>();
    const known = new Set(
      here.store
        .rows(pgClass)
        .filter(c => c.oid < 16384)
        .map(c => String(c.oid)),
    );
    const isNew = (name: string, row: Record<string, unknown>): boolean => {
      const key =
        {
          pg_attribute: 'attrelid',
          pg_index: 'indexrelid',
          pg_depend: 'objid',
          pg_sequence: 'seqrelid',
          pg_description: 'objoid',
        }[name] ?? 'oid';
      return Number(row[key]) >= 16384 && !known.has(String(row[key]));
    };
    for (const catalog of COMPARED) {
      theirs.set(
        catalog.name,
        (await there.rows(catalog)).filter(row => isNew(catalog.name, row)),
      );
      const rows = here.store
        .rows(catalog)
        .map(row =>
          Object.fromEntries(
            catalog.columns.map(c => [c.name, pgText(c.type, (row as Record<string, unknown>)[c.name], roleName)]),
          ),
        );
      ours.set(
        catalog.name,
        rows.filter(row => isNew(catalog.name, row)),
      );
    }
    const [a, b] = [normalize(ours), normalize(theirs)];
    for (const [name, rows] of b) {
      const mine = a.get(name)!;
      expect(
        mine.filter(row => !rows.includes(row)),
        `${name}: only here`,
      ).toEqual([]);
      expect(
        rows.filter(row => !mine.includes(row)),
        `${name}: only in PostgreSQL`,
      ).toEqual([]);
      expect(mine.length, name).toBe(rows.length);
    }
  }

  async function both(...statements: string[]): Promise<void> {
    for (const sql of statements) expect(await here.run(sql), sql).toBe(await there.run(sql));
    await compareCatalogs();
  }

  test('tables with columns of many types', () =>
    both(
      'create table plain (a int, b bigint not null, c text, d varchar(20), e numeric(10,2), f timestamptz, g int[], h char(3), i name collate "C", j bool null)',
      'create table narrow (a int, b bigint, c varchar(10), d numeric(5))',
      'create table "Odd Name" ("Column" text collate "C" storage external) with (fillfactor=70, autovacuum_enabled=off, toast.autovacuum_vacuum_threshold=7)',
      'create table empty ()',
    ));

  test('keys, indexes and their names', () =>
    both(
      'create table k1 (id int primary key, email text unique, a int, b int, unique (a, b), constraint named unique (b) with (fillfactor=80))',
      'create table k2 (a int, b text, primary key (b, a), unique (a))',
      'create table k3 (a int primary key, unique (a))',
      'create index on k1 (a, b)',
      'create index on k1 (a, b)',
      'create unique index k1_desc on k1 using btree (a desc, b nulls first) include (email) with (fillfactor=50)',
      'create index if not exists k1_desc on k1 (b)',
      'create index on k1 (email collate "C" text_pattern_ops)',
      'create unique index on k2 (a) nulls not distinct',
      'create table a_very_long_table_name_that_nearly_fills_all_of_namedatalen (another_long_column_name_for_good_measure int unique)',
      'alter table narrow add primary key (a)',
      'alter table narrow add constraint narrow_u unique (b, c)',
    ));

  test('mistakes in CREATE', () =>
    both(
      'create table plain (a int)',
      'create table if not exists plain (a int)',
      'create table no_schema.t (a int)',
      'create table twice (a int, a text)',
      'create table system (xmin int)',
      'create table nope (a no_such_type)',
      'create table nope (a int collate "C")',
      'create table nope (a record)',
      'create table nope (a int primary key, b int primary key)',
      'create table nope (a int, primary key (b))',
      'create table nope (a int, unique (a, a))',
      'create table nope (a int null not null)',
      'create table nope (a int) with (fillfactor=5)',
      'create table nope (a int) with (nonsense=5)',
      'create table nope (a point primary key)',
      'create table pg_catalog.nope (a int)',
      'create index on plain (no_column)',
      'create index on no_table (a)',
      'create index on plain (a text_ops)',
      'create index on plain using nonsense (a)',
      'alter table k1 add primary key (a)',
      'create table k1_pkey (a int)',
      'create table _k1 (a int)',
    ));

  test('defaults, checks, expressions', () =>
    both(
      "create table d1 (a int default 3, b text default 'x' || 'y', c numeric default 1.50, d timestamptz default now(), e varchar(3) default 'abc')",
      'create table c1 (a int check (a > 0), b int, check (a < b), constraint named check (b <> 5 and a is not null), c int generated always as (a * 2) stored)',
      'create index on c1 (lower(b::text))',
      'create index c1_part on c1 (a) where b > 3 and a < 10',
      'create table bad (a int default b)',
      "create table bad (a int default 'x')",
      'create table bad (a int check (a))',
      'create table bad (a int default true)',
      'create index on c1 ((random()))',
      'alter table d1 alter column a set default 7, alter column b drop default',
      'alter table c1 drop constraint named',
      'alter table c1 drop constraint nonsense',
    ));

  test('sequences, serial and identity columns', () =>
    both(
      'create sequence q1',
      'create sequence q1',
      'create sequence if not exists q1',
      'create sequence q2 as smallint increment by -3 minvalue -100 no maxvalue start with -7 cache 5 cycle',
      'create sequence bad increment 0',
      'create sequence bad minvalue 5 maxvalue 5',
      'create sequence bad as int maxvalue 3000000000',
      'create sequence bad start 7 maxvalue 6',
      'create sequence bad cache 0',
      'create sequence bad as text',
      'create sequence bad start 1 start 2',
      'create table s1t (a serial primary key, b bigserial, c smallserial, d int generated always as identity, e bigint generated by default as identity (start 5 increment 2))',
      'create table bad (a text generated always as identity)',
      'create table bad (a serial[])',
      'create table bad (a serial default 3)',
      'create table bad (a int generated always as identity default 3)',
      'alter sequence q1 increment 7 maxvalue 100 restart with 50',
      'alter sequence q1 restart with 500',
      'alter sequence q1 as smallint',
      'alter sequence q1 owned by s1t.a',
      'alter sequence q1 owned by s1t.nonsense',
      'alter sequence q1 owned by nonsense',
      'alter sequence s1t_d_seq owned by none',
      'alter sequence if exists no_sequence restart',
      'alter sequence s1t restart',
      'drop sequence s1t_a_seq',
      'drop sequence s1t_d_seq',
      'truncate s1t restart identity',
      'alter table s1t drop column b',
      'drop table s1t',
      'drop sequence q1',
      'drop sequence q2',
    ));

  test('views', () =>
    both(
      'create table vt (a int primary key, b text, c numeric(8,2), d int)',
      'create table vu (a int, x text collate "C", y int)',
      'create view v1 as select * from vt',
      'create view v2 (one, two) with (security_barrier) as select a + 1, upper(b), c from vt where d > 3 order by b',
      'create view v3 as select vt.b, count(*) as n, sum(y) from vt join vu using (a) group by vt.b having count(*) > 1',
      'create view v4 as select x from vu union select b collate "C" from vt',
      'create view v5 as with q as (select a from vt) select q.a, (select max(y) from vu where vu.a = q.a) m from q left join vu on vu.a = q.a',
      'create view v6 as select * from v1, lateral (select v1.a * 2 as double) l',
      "create view v7 as select 'x' as unknown, null as nothing, case when a > 0 then 'p' end as sign from vt",
      'create view v1 as select 1',
      'create or replace view v1 as select a, b, c, d, a * 2 as e from vt where a > 1',
      'create or replace view v1 as select a from vt',
      'create or replace view v1 as select a as z, b, c, d, e from v1',
      'create or replace view v1 as select a, b, c::text, d, a * 2 as e from vt',
      'create or replace view vt as select 1',
      'create view bad as select no_column from vt',
      'create view nothing as select',
      'drop view nothing',
      'create view bad (a, b) as select 1 as a',
      'create view bad as select 1 as a, 2 as a',
      'create view bad as select * from no_table',
      'create view v8 as select a, b from vt with cascaded check option',
      'drop table vt',
      'alter table vt drop column d',
      'drop view v2, v3, v4, v5',
      'drop view v1',
      'alter view v7 rename column sign to signed',
      'alter view v7 rename to v7b',
      'drop table vt cascade',
      'drop table vu',
    ));

  test('types and domains', () =>
    both(
      "create type mood as enum ('sad', 'ok', 'happy')",
      "create type mood as enum ('x')",
      'create type nothing as enum ()',
      "alter type mood add value 'angry' before 'sad'",
      "alter type mood add value 'fine' after 'ok'",
      "alter type mood add value 'ecstatic'",
      "alter type mood add value 'ok'",
      "alter type mood add value if not exists 'ok'",
      "alter type mood add value 'x' before 'y'",
      "alter type mood rename value 'sad' to 'gloomy'",
      "alter type int4 add value 'x'",
      'create type pair as (a int, b text collate "C")',
      'create type pair as (a int)',
      'create domain positive as int not null check (value > 0)',
      'create domain code as varchar(5) collate "C" constraint upper check (value = upper(value)) check (length(value) > 1)',
      'create domain small as positive check (value < 10)',
      'create domain bad as int unique',
      'create domain bad as int collate "C"',
      'create domain bad as record',
      'create domain bad as int null not null',
      'create domain mood as int',
      'create table typed (m mood, p pair, d positive, c code[], primary key (d))',
      'create type typed as (a int)',
      'drop type typed',
      'drop type mood',
      'drop domain small, code cascade',
      'drop domain mood',
      'drop type no_type',
      'drop type if exists no_type, no_schema.no_type',
      'drop type int4',
      'drop type mood cascade',
      'drop table typed',
      'drop type pair, nothing',
      'drop domain positive',
    ));

  test('comments', () =>
    both(
      'create table ct (a int primary key, b text)',
      "comment on table ct is 'a table'",
      "comment on column ct.b is 'a column'",
      "comment on column public.ct.b is 'another column'",
      "comment on constraint ct_pkey on ct is 'a key'",
      "comment on index ct_pkey is 'an index'",
      "comment on schema public is 'a schema'",
      "comment on view ct is 'x'",
      "comment on column ct.nothing is 'x'",
      "comment on column ct is 'x'",
      "comment on constraint nothing on ct is 'x'",
      "comment on table nothing is 'x'",
      "comment on schema nothing is 'x'",
      "comment on column ct_pkey.a is 'x'",
      "comment on type int4 is 'x'",
      'comment on type int4 is null',
      'comment on column ct.b is null',
      "comment on table ct is ''",
      'drop table ct',
    ));

  test('roles and rights', async () => {
    const [a, b, c] = ['a', 'b', 'c'].map(letter => `pgtroupe_${letter}_${process.pid}`);
    try {
      await both(
        `create role ${a} createdb connection limit 5 valid until '2030-01-01 00:00:00+00'`,
        `create user ${b} in role ${a}`,
        `create role ${c} admin ${a}`,
        `create role ${a}`,
        'create role pg_mine',
        `create role ${a}x connection limit -5`,
        `alter role ${a} nocreatedb login`,
        'alter role no_role login',
        `grant ${a} to ${b}`,
        `grant ${b} to ${a}`,
        `revoke ${a} from ${c}`,
        'create table gt (a int, b text, c int)',
        `grant select, insert on gt to ${a}, public`,
        `grant select on gt to ${b} with grant option`,
        `grant update (a, b), select (c) on gt to ${b}`,
        `grant all on gt to ${c}`,
        'grant select on gt to public with grant option',
        `grant usage on gt to ${a}`,
        `grant select on no_table to ${a}`,
        'grant select on gt to no_role',
        `grant select (nothing) on gt to ${a}`,
        `revoke insert on gt from public`,
        `revoke grant option for select on gt from ${b}`,
        `revoke update on gt from ${b}`,
        `revoke all on gt from ${c}`,
        'create schema gs',
        `grant usage, create on schema gs to ${a}`,
        `grant create on schema gs to ${b} with grant option`,
        'create sequence gq',
        `grant usage on sequence gq to ${a}`,
        `grant select on gq to ${b}`,
        "create type ge as enum ('x')",
        `grant usage on type ge to ${a}`,
        `revoke usage on type ge from public`,
        `drop role ${a}`,
        `drop role no_role`,
        `drop role if exists no_role`,
        'drop table gt',
        'drop schema gs',
        'drop sequence gq',
        'drop type ge',
        `drop role ${a}, ${b}, ${c}`,
      );
    } finally {
      await admin.query(`drop role if exists ${a}, ${b}, ${c}`).catch(() => undefined);
    }
  });

  test('ALTER TABLE', () =>
    both(
      'alter table plain add column extra text',
      'alter table plain add column if not exists extra text',
      'alter table plain add extra text',
      "alter table plain add m1 int default 7, add m2 text default 'abc' not null, add m3 numeric default null",
      'alter table plain add constraint late check (a > 5)',
      'alter table plain alter column a set not null, alter b drop not null',
      'alter table k1 alter id drop not null',
      'alter table plain alter c set storage main, alter c set statistics 500',
      'alter table plain set (fillfactor=55)',
      'alter table plain reset (fillfactor)',
      'alter table plain drop column d',
      'alter table plain drop column d',
      'alter table plain drop column if exists d',
      'alter table plain drop column ctid',
      'alter table k1 drop column a',
      'alter table no_table add a int',
      'alter table if exists no_table add a int',
      'alter table narrow rename a to renamed',
      'alter table narrow rename nonsense to b',
      'alter table narrow rename b to renamed',
      'alter table narrow rename constraint narrow_u to narrow_v',
      'alter table narrow rename to narrower',
      'alter index narrow_pkey rename to narrower_pkey',
      'alter table plain rename to k1',
    ));

  test('schemas', () =>
    both(
      'create schema s1',
      'create schema s1',
      'create schema if not exists s1',
      'create schema pg_mine',
      'create table s1.t (a int primary key, b text)',
      'create table s1.u (a int)',
      'drop schema s1',
      'drop schema no_schema',
      'drop schema if exists no_schema',
      'drop schema s1 cascade',
      'drop schema pg_catalog',
    ));

  test('DROP', () =>
    both(
      'drop table no_table',
      'drop table if exists no_table, no_schema.t',
      'drop table no_schema.t',
      'drop index k1_pkey',
      'drop index plain',
      'drop table k1_desc',
      'drop index k1_desc',
      'drop table pg_class',
      'drop view plain',
      'drop table k1, k2',
      'drop table "Odd Name" cascade',
      'drop table plain, narrower, empty, k3, d1, c1',
    ));

  test('TRUNCATE leaves the rows of the catalogs as they were', async () => {
    await both('create table tr (a int primary key, b text)');
    const { created, dropped } = here.store;
    const [before, gone] = [created.length, dropped.length];
    await both('truncate tr', 'truncate no_table', 'truncate pg_class');
    expect(created.length - before).toBe(4);
    expect(dropped.length - gone).toBe(4);
  });
});
