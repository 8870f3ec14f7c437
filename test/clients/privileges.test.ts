/**
 * Who may do what: roles × objects × statements, and every has_*_privilege function over the same grants, against
 * PostgreSQL 15's answers. What a function says and what a statement is allowed are judged by one piece of code;
 * here both are held against the same table of grants.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isBuilt, TestCluster } from '@pgtroupe/testkit/test-cluster';
import { dropOracleDatabase, oracleDatabase, ours, type Server } from './clients.ts';
import { type Answers, expected } from './expected.ts';
import { Q, Wire } from './wire.ts';

/** None of PostgreSQL's own roles owns anything here; `pa` owns the objects. */
const ROLES = [
  'pa',
  'pgrantee',
  'pcolumns',
  'pnobody',
  'pmember',
  'pnoinherit',
  'preader',
  'pwriter',
  'pcreator',
  'psuper',
];

const SETUP = `
create role pa; create role pgrantee; create role pcolumns; create role pnobody; create role pmember;
create role pnoinherit noinherit; create role preader; create role pwriter; create role pcreator createrole createdb;
create role psuper superuser; create role pgroup;
grant pa to pmember; grant pa to pnoinherit; grant pg_read_all_data to preader; grant pg_write_all_data to pwriter;
grant pgroup to pmember with admin option;
create schema open; create schema closed;
grant usage, create on schema open to public;
grant create on schema closed to pa;
grant usage on schema closed to pa;
set role pa;
create table open.t(a int primary key, b int, c text);
create table open.granted(a int, b int);
create table open.columns(a int, b int, c int);
create table closed.t(a int);
create sequence open.s;
create sequence open.sgranted;
create view open.v as select a, b from open.t;
create view open.vgranted as select a, b from open.t;
create type open.e as enum ('x');
create domain open.d as int;
grant select, insert, update, delete, truncate, references, trigger on open.granted to pgrantee with grant option;
grant select on closed.t to pgrantee;
grant select (a), insert (b), update (c) on open.columns to pcolumns;
grant usage on sequence open.sgranted to pgrantee;
grant select on open.vgranted to pgrantee;
revoke usage on type open.e from public;
grant usage on type open.e to pgrantee;
insert into open.t values (1, 1, 'x'); insert into open.granted values (1, 1); insert into open.columns values (1, 1, 1);
reset role`;

const CLEAN = `
drop schema if exists open cascade; drop schema if exists closed cascade;
${[...ROLES, 'pgroup', 'pnew'].map(role => `drop role if exists ${role}`).join(';')}`;

const STATEMENTS = [
  'select a from open.t',
  'select count(*) from open.t',
  'select a from open.granted',
  'select a from open.columns',
  'select b from open.columns',
  'select * from open.columns',
  'select count(*) from open.columns',
  'select columns from open.columns',
  'select 1 from open.columns where b = 1',
  'select a from closed.t',
  'insert into open.t values (2)',
  'insert into open.granted values (2)',
  'insert into open.columns(b) values (2)',
  'insert into open.columns(a) values (2)',
  'insert into open.columns(b) values (2) returning a',
  'insert into open.columns(b) values (2) returning b',
  'insert into open.t values (1) on conflict do nothing',
  'insert into open.granted select a from open.t',
  'update open.t set b = 2',
  'update open.granted set b = 2',
  'update open.granted set b = 2 where a = 1',
  'update open.columns set c = 2',
  'update open.columns set c = 2 where a = 1',
  'update open.columns set c = 2 where b = 1',
  'update open.columns set b = 2',
  'delete from open.t',
  'delete from open.granted',
  'delete from open.columns',
  'delete from open.granted where a in (select a from open.t)',
  'select a from open.granted for update',
  'select a from open.columns for update',
  'truncate open.t',
  'truncate open.granted',
  'select a from open.v',
  'select a from open.vgranted',
  'insert into open.vgranted values (5, 5)',
  "select nextval('open.s')",
  "select nextval('open.sgranted')",
  "select setval('open.sgranted', 3)",
  'select last_value from open.s',
  'lock table open.t in access share mode',
  'lock table open.granted in access exclusive mode',
  'copy open.t to stdout',
  'copy open.granted to stdout',
  'copy open.columns (a) to stdout',
  'copy open.columns to stdout',
  "copy open.t from '/nowhere'",
  "copy open.t to '/nowhere'",
  "copy open.t from program 'true'",
  'alter table open.t add column z int',
  'alter table open.granted add column z int',
  'alter table open.t rename to tt',
  'alter table open.t rename column b to bb',
  'create index on open.t(b)',
  'create index on open.granted(b)',
  'create table open.new(a int)',
  'create table closed.new(a int)',
  'create table open.newe(a open.e)',
  'create table open.newr(a int references open.t)',
  'create view open.newv as select a from open.t',
  'create sequence open.news',
  'create schema newschema',
  'create schema authorization pa',
  'drop table open.granted',
  'drop view open.v',
  'drop sequence open.s',
  'drop type open.d',
  'drop schema open',
  'drop schema closed cascade',
  'alter sequence open.s restart',
  "comment on table open.t is 'x'",
  "comment on column open.t.a is 'x'",
  "comment on schema open is 'x'",
  "comment on type open.d is 'x'",
  "alter type open.e add value 'y'",
  'analyze open.t',
  'grant select on open.t to pnobody',
  'grant select on open.granted to pnobody',
  'grant select, insert on open.columns to pnobody',
  'grant all on open.granted to pnobody',
  'revoke select on open.granted from pgrantee',
  'grant usage on schema open to pnobody',
  'grant create on schema closed to pnobody',
  'grant usage on sequence open.sgranted to pnobody',
  'grant pgroup to pnobody',
  'grant pa to pnobody',
  'create role pnew',
  'create role pnew superuser',
  'alter role pnobody createdb',
  'alter role pnobody superuser',
  'alter role psuper nologin',
  'drop role pnobody',
  'drop role psuper',
  "alter role current_user password 'x'",
  'set session_replication_role = replica',
  'set deadlock_timeout = 2000',
  'set work_mem = 100',
  'set role pa',
  'set role pgroup',
  'set role psuper',
  'set role none',
  'set session authorization pa',
  'checkpoint',
  'select rolpassword from pg_authid limit 0',
  'select rolname from pg_roles limit 0',
  'update pg_class set relname = relname where false',
  'delete from pg_class where false',
  'select current_user, session_user',
  "select current_setting('is_superuser')",
];

const ASKED: Readonly<Record<string, readonly (readonly [objects: readonly string[], rights: readonly string[]])[]>> = {
  table: [
    [
      ['open.t', 'open.granted', 'open.columns', 'open.v', 'pg_class', 'pg_authid', 'closed.t'],
      ['select', 'INSERT', 'update, Delete', 'truncate', 'references', 'rule', 'select with grant option', 'bogus'],
    ],
  ],
  any_column: [
    [
      ['open.columns', 'open.t', 'open.granted'],
      ['select', 'insert', 'update', 'references'],
    ],
  ],
  sequence: [
    [
      ['open.s', 'open.sgranted', 'open.t'],
      ['usage', 'select', 'update', 'usage with grant option'],
    ],
  ],
  schema: [
    [
      ['open', 'closed', 'pg_catalog', 'public'],
      ['usage', 'create', 'create, usage with grant option'],
    ],
  ],
  database: [[['template1'], ['connect', 'create', 'temp', 'temporary with grant option']]],
  type: [
    [
      ['open.e', 'open.e[]', 'open.d', 'int4'],
      ['usage', 'usage with grant option'],
    ],
  ],
  function: [
    [
      ['now()', 'pg_read_file(text)', 'pg_reload_conf()', 'nope()'],
      ['execute', 'execute with grant option'],
    ],
  ],
  language: [[['internal', 'sql', 'c', 'nope'], ['usage']]],
  tablespace: [[['pg_default', 'pg_global', 'nope'], ['create']]],
  parameter: [
    [
      ['work_mem', 'log_statement'],
      ['set', 'alter system'],
    ],
  ],
};

function questions(): string[] {
  const found: string[] = [];
  for (const [family, pairs] of Object.entries(ASKED)) {
    for (const [objects, rights] of pairs) {
      for (const object of objects)
        for (const right of rights) found.push(`has_${family}_privilege('${object}', '${right}')`);
    }
  }
  for (const column of ['a', 'b', 'c', 'nope']) {
    for (const right of ['select', 'insert', 'update', 'references', 'select, update']) {
      found.push(`has_column_privilege('open.columns', '${column}', '${right}')`);
    }
  }
  for (const role of ['pa', 'pgroup', 'psuper', 'pg_read_all_data', 'pg_database_owner', 'nope']) {
    for (const right of ['usage', 'member', 'member with admin option', 'usage with grant option', 'bogus']) {
      found.push(`pg_has_role('${role}', '${right}')`);
    }
  }
  return [...found, "has_table_privilege(999999, 'select')", "has_table_privilege('public', 'open.t', 'select')"];
}

function outcome(lines: readonly string[]): string {
  return (
    lines
      // A REVOKE that may not is told of every column, system columns too; the table is enough here.
      .filter(line => /^[CEND]/.test(line) && !line.includes('could be revoked for column'))
      .map(line => line.replace(/ P:\d+/, ''))
      .join(', ')
      .replaceAll('\n', ' ')
  );
}

async function walk(server: Server): Promise<Answers> {
  const answers = new Map<string, string>();
  const wire = await Wire.open(server);
  await wire.send(Q(CLEAN));
  for (const statement of SETUP.split(';')) {
    const said = await wire.send(Q(statement));
    expect(said.filter(line => line.startsWith('E '))).toEqual([]);
  }
  for (const role of ROLES) {
    await wire.send(Q(`set session authorization ${role}`));
    for (const sql of STATEMENTS) {
      await wire.send(Q('begin'));
      answers.set(`${role}: ${sql}`, outcome(await wire.send(Q(sql))));
      await wire.send(Q('rollback'));
    }
    for (const question of questions())
      answers.set(`${role}: ${question}`, outcome(await wire.send(Q(`select ${question}`))));
    await wire.send(Q('reset session authorization'));
  }
  await wire.send(Q(CLEAN));
  wire.close();
  return answers;
}

describe.skipIf(!isBuilt)('privileges', () => {
  const cluster = new TestCluster();
  const recorded = expected(new URL('expected/privileges.out', import.meta.url), async () => {
    const oracle = oracleDatabase('privileges');
    try {
      return await walk(oracle);
    } finally {
      dropOracleDatabase('privileges');
    }
  });

  beforeAll(async () => {
    await cluster.create();
    await cluster.start();
  }, 90_000);

  afterAll(() => cluster.destroy(), 30_000);

  it('are as in PostgreSQL for every role, object and statement', async () => {
    const answers = await walk(ours(cluster));
    const wrong: string[] = [];
    for (const [name, right] of recorded()) {
      const answer = (answers.get(name) ?? 'nothing').replaceAll('database privileges', 'database postgres');
      // What is not built says so, whoever asks, and does nothing.
      if (answer === right.replaceAll('database privileges', 'database postgres')) continue;
      if (answer.startsWith('E ERROR 0A000')) continue;
      wrong.push(`${name}\n  ${right}\n  ${answer}`);
    }
    expect(wrong.join('\n')).toBe('');
    expect(answers.size).toBe(recorded().size);
  }, 200_000);
});
