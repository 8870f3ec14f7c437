/**
 * Every system view of PostgreSQL, analyzed from its SQL, must give the tree that PostgreSQL stored. The
 * SQL comes from a source tree if one is at hand, the trees from the facts.
 */
import { PG_CATALOG_NAMESPACE } from '@pgtroupe/common/oids';
import { existsSync, readFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { factsCatalog } from '@pgtroupe/catalog/facts-source';
import type { SystemCatalog } from '@pgtroupe/catalog/systemcatalog';
import { nodeToString } from '@pgtroupe/nodes/outfuncs';
import type { Node, Query } from '@pgtroupe/nodes/parsenodes';
import type { RawNode, RawStmt } from '@pgtroupe/nodes/rawnodes';
import { stringToNode } from '@pgtroupe/nodes/readfuncs';
import { makeViewRule } from './rewrite/viewrule.ts';
import { analyze } from './analyze.ts';
import { loadParser, rawParse } from './parser.ts';
import { PG_SHARE } from '@pgtroupe/testkit/oracle-address';
import { testCatalog, type TestCatalog } from '@pgtroupe/testkit/sql/analysis-oracle';

function views(file: string): { readonly name: string; readonly sql: string; readonly raw: RawStmt }[] {
  const sql = readFileSync(`${PG_SHARE}/${file}`, 'utf8');
  return rawParse(sql)
    .filter(s => s.stmt.type === 'ViewStmt')
    .map(s => ({ name: s.stmt.view.relname as string, sql, raw: s }));
}

/** Without what depends on the text around: locations and lengths. */
function normalize(tree: Node | readonly Node[]): string {
  const fresh = stringToNode(nodeToString(tree)) as Node | readonly Node[];
  return nodeToString(fresh).replace(/:stmt_len \d+/g, ':stmt_len 0');
}

describe.skipIf(!existsSync(`${PG_SHARE}/system_views.sql`))('system views (skipped without PostgreSQL 15)', () => {
  let system: SystemCatalog;
  beforeAll(async () => {
    await loadParser();
    system = await factsCatalog();
  });

  async function check(file: string, schema: string): Promise<string[]> {
    const namespace = system.rows;
    void namespace;
    const base = testCatalog(system, [PG_CATALOG_NAMESPACE], 'template1');
    const nspoid = await base.run(() => base.catalog.lookupExplicitNamespace(schema));
    const test: TestCatalog =
      schema === 'pg_catalog' ? base : testCatalog(system, [PG_CATALOG_NAMESPACE, nspoid], 'template1');
    const failures: string[] = [];
    for (const view of views(file)) {
      const { catalog, fc } = test;
      const relid = await test.run(() => catalog.relationInNamespace(view.name, nspoid));
      if (relid === 0) continue;
      const rule = (await test.run(() => catalog.rules(relid)))[0]!;
      const expected = normalize(stringToNode(rule.ev_action) as readonly Node[]);
      let actual: string;
      try {
        const stmt: RawStmt = { ...view.raw, stmt: view.raw.stmt.query as RawNode };
        const { query } = await test.run(() => analyze({ catalog, fc, sourceText: view.sql, stmt }));
        applyColumnNames(query, view.raw.stmt.aliases);
        const tree = await test.run(() => makeViewRule(query, catalog.relation(relid), catalog.attributes(relid)));
        actual = normalize([{ ...tree, stmt_location: 0 }]);
      } catch (error) {
        failures.push(`${view.name}: ${(error as Error).message}`);
        continue;
      }
      if (actual !== expected) failures.push(`${view.name}: ${firstDifference(actual, expected)}`);
    }
    return failures;
  }

  it('pg_catalog', async () => {
    expect(await check('system_views.sql', 'pg_catalog')).toEqual([]);
  }, 60_000);

  it('information_schema', async () => {
    expect(await check('information_schema.sql', 'information_schema')).toEqual([]);
  }, 60_000);
});

function applyColumnNames(query: Query, aliases: readonly RawNode[] | undefined): void {
  (aliases ?? []).forEach((alias, i) => {
    query.targetList.filter(tle => !tle.resjunk)[i]!.resname = alias.sval as string;
  });
}

function firstDifference(actual: string, expected: string): string {
  let i = 0;
  while (actual[i] === expected[i]) i++;
  return `...${actual.slice(Math.max(0, i - 80), i + 120)}\n   instead of   ...${expected.slice(Math.max(0, i - 80), i + 120)}`;
}
