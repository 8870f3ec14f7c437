/**
 * For tests: the catalogs of a database of a real PostgreSQL as a CatalogSource, and a way to ask that
 * server. Tests skip themselves without it.
 */
import { BOOTSTRAP_SUPERUSERID } from '@pgtroupe/common/oids';
import { execFileSync } from 'node:child_process';
import type { Catalog, CatalogIndex } from '@pgtroupe/catalog/catalog';
import type { CatalogSource, ScannedRow } from '@pgtroupe/catalog/catalogsource';
import { factDatum } from '@pgtroupe/catalog/facts';
import { SystemCatalog } from '@pgtroupe/catalog/systemcatalog';
import type { Datum } from '@pgtroupe/common/datum';
import type { Oid } from '@pgtroupe/common/ids';
import '@pgtroupe/commands/fmgrtab';
import { SysFunctionCatalog } from '@pgtroupe/adt/cache/functioncatalog';
import { DEFAULT_SETTINGS, type FunctionCall } from '@pgtroupe/adt/fmgr';
import { CatalogLookup } from '@pgtroupe/parser/catalog-lookup';
import { CatalogMiss } from '@pgtroupe/catalog/catalogmiss';
import { ORACLE_HOST, ORACLE_PORT } from '../oracle-address.ts';

/** Says the message only that a built-in is not written yet? Then a comparison has nothing to say. */
export function isMissingFunction(message: string): boolean {
  return /function \w+ is not supported by pgtroupe yet/.test(message);
}

/** Runs SQL in a database with psql; null if there is no server. */
export function psql(database: string, sql: string, extra: readonly string[] = []): string | null {
  try {
    return execFileSync(
      'psql',
      ['-h', ORACLE_HOST, '-p', String(ORACLE_PORT), '-U', 'postgres', '-d', database, '-XAtq', ...extra],
      {
        input: sql,
        maxBuffer: 1 << 28,
        stdio: ['pipe', 'pipe', 'ignore'],
      },
    ).toString();
  } catch {
    return null;
  }
}

const ESCAPES: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };

function copyField(text: string): string | null {
  if (text === '\\N') return null;
  return text.includes('\\') ? text.replace(/\\(.)/g, (_, c: string) => ESCAPES[c] ?? c) : text;
}

class OracleSource implements CatalogSource {
  readonly #database: string;
  readonly #tables = new Map<string, readonly ScannedRow[]>();

  constructor(database: string) {
    this.#database = database;
  }

  scan(catalog: Catalog, index: CatalogIndex | undefined, keys: readonly Datum[]): Promise<readonly ScannedRow[]> {
    let rows = this.#tables.get(catalog.name);
    if (!rows) {
      rows = this.#load(catalog);
      this.#tables.set(catalog.name, rows);
    }
    const same = (a: Datum, b: Datum) =>
      a instanceof Uint8Array && b instanceof Uint8Array ? Buffer.compare(a, b) === 0 : a === b;
    return Promise.resolve(rows.filter(row => keys.every((key, n) => same(row.values[index!.keys[n]! - 1]!, key))));
  }

  #load(catalog: Catalog): ScannedRow[] {
    // Columns the analyzer never reads, of types the fact reader does not know, are left null.
    const skip = new Set(['anyarray', '_aclitem', 'timestamptz', 'pg_lsn', '_pg_statistic']);
    const list = catalog.columns
      .map(c => (skip.has(c.type) ? 'null' : c.type === 'regproc' ? `${c.name}::oid` : c.name))
      .join(', ');
    const text = psql(this.#database, `copy (select ${list} from pg_catalog.${catalog.name}) to stdout`) ?? '';
    return text
      .split('\n')
      .filter(line => line !== '')
      .map((line, n) => ({
        values: line.split('\t').map((field, i) => factDatum(catalog.columns[i]!.type, copyField(field))),
        ctid: { blk: n, off: 1 },
      }));
  }
}

export interface TestCatalog {
  readonly catalog: CatalogLookup;
  readonly fc: FunctionCall;
  /** Runs a synchronous analysis, loading what it misses. */
  run<T>(attempt: () => T): Promise<T>;
}

/** Catalog access for analysis over any SystemCatalog. */
export function testCatalog(system: SystemCatalog, searchPath: readonly Oid[], databaseName: string): TestCatalog {
  const lookup = new SysFunctionCatalog(
    () => system,
    () => searchPath as Oid[],
  );
  return {
    catalog: new CatalogLookup(system, searchPath, { databaseName, userId: BOOTSTRAP_SUPERUSERID }),
    fc: { settings: DEFAULT_SETTINGS, collation: 0 as Oid, argTypes: [], resultType: 0 as Oid, catalog: lookup },
    async run(attempt) {
      for (;;) {
        try {
          return attempt();
        } catch (error) {
          if (!(error instanceof CatalogMiss)) throw error;
          await error.load();
        }
      }
    },
  };
}

/** The catalogs of a database of the real server as they are now. */
export async function oracleCatalog(database: string, searchPath: readonly string[]): Promise<TestCatalog> {
  const system = new SystemCatalog(new OracleSource(database), {
    databaseOid: 1 as Oid,
    defaultTablespace: 1663 as Oid,
    smgropen: rnode => ({ rnode, targetBlock: -1 }),
    mappedFilenode: oid => oid,
  });
  await system.preload();
  const oids = (
    psql(
      database,
      `select oid from unnest(array[${searchPath.map(s => `'${s}'`)}]) with ordinality u(n,o) join pg_namespace on nspname = n order by o`,
    ) ?? ''
  )
    .split('\n')
    .filter(line => line !== '')
    .map(oid => Number(oid) as Oid);
  return testCatalog(system, oids, database);
}
