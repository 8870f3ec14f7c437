/**
 * Deparsing against a real PostgreSQL: everything pg_get_viewdef and its kin print there must come out
 * the same here.
 */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadParser } from '@pgtroupe/parser/parser';
import { isMissingFunction, oracleCatalog, psql, type TestCatalog } from '@pgtroupe/testkit/sql/analysis-oracle';
import { lookupBuiltin } from '@pgtroupe/adt/fmgr';
import { stringToText, textToString } from '@pgtroupe/adt/mb/mbutils';

const DATABASE = 'pgtroupe_ruleutils';
const corpus = (file: string): string => readFileSync(new URL(`../../../test/corpus/${file}`, import.meta.url), 'utf8');

/** A view of each query of the corpus, a function of each other statement; what cannot be one is refused. */
function viewsOfCorpus(): string {
  return corpus('analyze.sql')
    .split(/;\n/)
    .map(sql => sql.replace(/^--.*\n/gm, '').trim())
    .filter(sql => sql !== '')
    .map((sql, i) =>
      /^(select|values|with|\()/.test(sql)
        ? `create view corpus_${i} as ${sql};`
        : `create function corpus_${i}() returns void language sql begin atomic ${sql}; end;`,
    )
    .join('\n');
}

const oracle = psql('postgres', 'select 1') !== null;

describe.skipIf(!oracle)('ruleutils', () => {
  let test: TestCatalog;

  beforeAll(async () => {
    await loadParser();
    psql('postgres', `drop database if exists ${DATABASE}; create database ${DATABASE}`);
    psql(DATABASE, corpus('schema.sql'));
    psql(DATABASE, corpus('ruleutils.sql'));
    psql(DATABASE, viewsOfCorpus());
    test = await oracleCatalog(DATABASE, ['pg_catalog', 'public']);
  }, 120_000);
  afterAll(() => {
    psql('postgres', `drop database ${DATABASE}`);
  });

  /** Calls the function for every row of `source` (the arguments, then what PostgreSQL answers). */
  async function compare(fn: string, source: string): Promise<string[]> {
    const rows = JSON.parse(
      psql(
        DATABASE,
        `select coalesce(json_agg(json_build_array(args, result)), '[]') from (${source}) s(args, result)`,
      ) ?? '[]',
    ) as [unknown[], string | null][];
    expect(rows.length).toBeGreaterThan(0);
    const failures: string[] = [];
    for (const [args, expected] of rows) {
      let actual: string | null;
      try {
        const datums = args.map(arg => (typeof arg === 'string' ? stringToText(arg) : (arg as number | boolean)));
        const value = await test.run(() => lookupBuiltin(fn)!(test.fc, ...datums));
        actual = value === null ? null : textToString(value as Uint8Array);
      } catch (error) {
        if (isMissingFunction((error as Error).message)) continue;
        actual = `error: ${(error as Error).message}`;
      }
      if (actual !== expected)
        failures.push(`${fn}(${JSON.stringify(args).slice(0, 200)})\n--- ours\n${actual}\n--- PostgreSQL\n${expected}`);
    }
    return failures;
  }

  const cases: Readonly<Record<string, readonly [fn: string, source: string]>> = {
    views: [
      'pg_get_viewdef',
      "select json_build_array(oid::int), pg_get_viewdef(oid) from pg_class where relkind in ('v', 'm')",
    ],
    'views, pretty': [
      'pg_get_viewdef_ext',
      "select json_build_array(oid::int, true), pg_get_viewdef(oid, true) from pg_class where relkind in ('v', 'm')",
    ],
    'views, wrapped': [
      'pg_get_viewdef_wrap',
      "select json_build_array(oid::int, 60), pg_get_viewdef(oid, 60) from pg_class where relkind in ('v', 'm')",
    ],
    rules: ['pg_get_ruledef', 'select json_build_array(oid::int), pg_get_ruledef(oid) from pg_rewrite'],
    'rules, pretty': [
      'pg_get_ruledef_ext',
      'select json_build_array(oid::int, true), pg_get_ruledef(oid, true) from pg_rewrite',
    ],
    indexes: ['pg_get_indexdef', 'select json_build_array(indexrelid::int), pg_get_indexdef(indexrelid) from pg_index'],
    'indexes, pretty': [
      'pg_get_indexdef_ext',
      'select json_build_array(indexrelid::int, 0, true), pg_get_indexdef(indexrelid, 0, true) from pg_index',
    ],
    'index columns': [
      'pg_get_indexdef_ext',
      'select json_build_array(indexrelid::int, n, true), pg_get_indexdef(indexrelid, n, true) from pg_index, generate_series(1, 4) n',
    ],
    constraints: [
      'pg_get_constraintdef',
      'select json_build_array(oid::int), pg_get_constraintdef(oid) from pg_constraint',
    ],
    'constraints, pretty': [
      'pg_get_constraintdef_ext',
      'select json_build_array(oid::int, true), pg_get_constraintdef(oid, true) from pg_constraint',
    ],
    defaults: [
      'pg_get_expr',
      'select json_build_array(adbin::text, adrelid::int), pg_get_expr(adbin, adrelid) from pg_attrdef',
    ],
    'defaults, pretty': [
      'pg_get_expr_ext',
      'select json_build_array(adbin::text, adrelid::int, true), pg_get_expr(adbin, adrelid, true) from pg_attrdef',
    ],
    predicates: [
      'pg_get_expr_ext',
      'select json_build_array(indpred::text, indrelid::int, true), pg_get_expr(indpred, indrelid, true) from pg_index where indpred is not null',
    ],
    'index expressions': [
      'pg_get_expr',
      'select json_build_array(indexprs::text, indrelid::int), pg_get_expr(indexprs, indrelid) from pg_index where indexprs is not null',
    ],
    'function arguments': [
      'pg_get_function_arguments',
      'select json_build_array(oid::int), pg_get_function_arguments(oid) from pg_proc',
    ],
    'function identity arguments': [
      'pg_get_function_identity_arguments',
      'select json_build_array(oid::int), pg_get_function_identity_arguments(oid) from pg_proc',
    ],
    'function results': [
      'pg_get_function_result',
      'select json_build_array(oid::int), pg_get_function_result(oid) from pg_proc',
    ],
    functions: [
      'pg_get_functiondef',
      "select json_build_array(oid::int), pg_get_functiondef(oid) from pg_proc where prokind <> 'a'",
    ],
    'function bodies': [
      'pg_get_function_sqlbody',
      'select json_build_array(oid::int), pg_get_function_sqlbody(oid) from pg_proc where prosqlbody is not null',
    ],
    'argument defaults': [
      'pg_get_function_arg_default',
      'select json_build_array(oid::int, n), pg_get_function_arg_default(oid, n) from pg_proc, generate_series(1, 5) n where pronargdefaults > 0',
    ],
    statistics: [
      'pg_get_statisticsobjdef',
      'select json_build_array(oid::int), pg_get_statisticsobjdef(oid) from pg_statistic_ext',
    ],
    'statistics columns': [
      'pg_get_statisticsobjdef_columns',
      'select json_build_array(oid::int), pg_get_statisticsobjdef_columns(oid) from pg_statistic_ext',
    ],
    'partition keys': [
      'pg_get_partkeydef',
      'select json_build_array(partrelid::int), pg_get_partkeydef(partrelid) from pg_partitioned_table',
    ],
    triggers: ['pg_get_triggerdef', 'select json_build_array(oid::int), pg_get_triggerdef(oid) from pg_trigger'],
    'triggers, pretty': [
      'pg_get_triggerdef_ext',
      'select json_build_array(oid::int, true), pg_get_triggerdef(oid, true) from pg_trigger',
    ],
    'owned sequences': [
      'pg_get_serial_sequence',
      "select json_build_array(attrelid::regclass::text, attname), pg_get_serial_sequence(attrelid::regclass::text, attname) from pg_attribute join pg_class c on c.oid = attrelid where attnum > 0 and relkind = 'r' and not attisdropped",
    ],
  };

  for (const [name, [fn, source]] of Object.entries(cases)) {
    it(name, async () => {
      expect((await compare(fn, source)).join('\n\n')).toBe('');
    }, 120_000);
  }
});
