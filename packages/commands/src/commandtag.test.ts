/** What is not there yet is refused by the name that its user knows. */
import { readdirSync, readFileSync } from 'node:fs';
import { rawParse } from '@pgtroupe/parser/parser';
import { describe, expect, it } from 'vitest';
import { alterTableAction, commandTag, constraintWords } from './commandtag.ts';

const parsed = (sql: string) => rawParse(sql)[0]!.stmt;

describe('names in 0A000', () => {
  it.each([
    ['create statistics s on a, b from t', 'CREATE STATISTICS'],
    ['create policy p on t', 'CREATE POLICY'],
    ['create publication p', 'CREATE PUBLICATION'],
    ["create tablespace s location '/x'", 'CREATE TABLESPACE'],
    ['create aggregate a (int) (sfunc = f, stype = int)', 'CREATE AGGREGATE'],
    ['create operator + (function = f, leftarg = int)', 'CREATE OPERATOR'],
    ['create text search dictionary d (template = simple)', 'CREATE TEXT SEARCH DICTIONARY'],
    ['create type t as range (subtype = int)', 'CREATE TYPE AS RANGE'],
    ['create cast (int as text) without function', 'CREATE CAST'],
    ["create procedure p() language sql as ''", 'CREATE PROCEDURE'],
    ["create function f() returns int language sql as 'select 1'", 'CREATE FUNCTION'],
    ['create materialized view v as select 1', 'CREATE MATERIALIZED VIEW'],
    ['create table t as select 1', 'CREATE TABLE AS'],
    ['create foreign table t (a int) server s', 'CREATE FOREIGN TABLE'],
    ['create event trigger e on ddl_command_start execute function f()', 'CREATE EVENT TRIGGER'],
    ['alter function f() stable', 'ALTER FUNCTION'],
    ['alter table t set schema s', 'ALTER TABLE SET SCHEMA'],
    ['alter schema s owner to o', 'ALTER SCHEMA OWNER'],
    ['alter domain d drop not null', 'ALTER DOMAIN'],
    ['alter database d connection limit 3', 'ALTER DATABASE'],
    ['alter default privileges grant select on tables to public', 'ALTER DEFAULT PRIVILEGES'],
    ['move next from c', 'MOVE'],
    ['fetch next from c', 'FETCH'],
  ])('%s', (sql, name) => expect(commandTag(parsed(sql))).toBe(name));

  it.each([
    ['alter column a type int', 'ALTER COLUMN ... TYPE'],
    ['enable row level security', 'ENABLE ROW SECURITY'],
    ['attach partition p default', 'ATTACH PARTITION'],
    ['set unlogged', 'SET UNLOGGED'],
    ['inherit p', 'INHERIT'],
    ['alter column a drop identity', 'ALTER COLUMN ... DROP IDENTITY'],
    ['validate constraint c', 'VALIDATE CONSTRAINT'],
    ['disable trigger all', 'DISABLE TRIGGER ALL'],
    ['replica identity full', 'REPLICA IDENTITY'],
  ])('alter table t %s', (action, name) => {
    const { cmds } = parsed(`alter table t ${action}`) as unknown as { readonly cmds: readonly { subtype: string }[] };
    expect(alterTableAction(cmds[0]!.subtype)).toBe(name);
  });

  it('a constraint', () => {
    expect(constraintWords({ type: 'Constraint', contype: 'CONSTR_EXCLUSION' })).toBe('EXCLUDE');
  });

  it('no node of the grammar is named as such', () => {
    const folder = new URL('.', import.meta.url);
    const raw = readdirSync(folder)
      .filter(name => name.endsWith('.ts') && !name.endsWith('.test.ts'))
      .flatMap(
        name =>
          readFileSync(new URL(name, folder), 'utf8').match(
            /notSupported\((?:`[^`]*\$\{)?(?:String\()?[\w.]+\.(?:type|contype|subtype)\b.*/g,
          ) ?? [],
      );
    expect(raw).toEqual([]);
  });
});
