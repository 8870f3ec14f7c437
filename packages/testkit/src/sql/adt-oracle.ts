/**
 * Differential testing of built-in functions: the same call is made here and on a real PostgreSQL
 * 15, and the results are compared in their text form, errors as SQLSTATE and message.
 * Tests skip without one; `comparison` gives a test file its server and what compares.
 */
import pg from 'pg';
import type { Datum } from '@pgtroupe/common/datum';
import { PgError } from '@pgtroupe/common/ereport';
import type { Oid } from '@pgtroupe/common/ids';
import '@pgtroupe/commands/fmgrtab';
import type { FunctionCatalog, TypeFacts } from '@pgtroupe/adt/cache/functioncatalog';
import { RecordTypes } from '@pgtroupe/adt/cache/recordtypes';
import { inputFunction, outputFunction } from '@pgtroupe/adt/cache/typcache';
import {
  DEFAULT_SETTINGS,
  type FunctionCall,
  lookupBuiltin,
  lookupSetFunction,
  type SessionSettings,
} from '@pgtroupe/adt/fmgr';
import { stringToText, textToString } from '@pgtroupe/adt/mb/mbutils';
import { ORACLE_HOST, ORACLE_PORT } from '../oracle-address.ts';
import type { CatalogRow } from '@pgtroupe/catalog/catalog';
import type { SysCacheReader } from '@pgtroupe/catalog/syscache';

interface ProcRow {
  oid: number;
  proname: string;
  prosrc: string;
  proargtypes: number[];
  prorettype: number;
  proisstrict: boolean;
  proretset: boolean;
  pronamespace: number;
  prokind: string;
}

/** What functions read of the catalogs. */
const COLUMNS: Readonly<Record<string, readonly string[]>> = {
  pg_class: ['oid', 'relname', 'relnamespace', 'relowner', 'relkind', 'relpersistence', 'relispartition'],
  pg_namespace: ['oid', 'nspname', 'nspowner'],
  pg_operator: ['oid', 'oprname', 'oprnamespace', 'oprleft', 'oprright'],
  pg_authid: ['oid', 'rolname', 'rolsuper', 'rolinherit'],
  pg_auth_members: ['roleid', 'member'],
  pg_database: ['oid', 'datname', 'datdba', 'encoding'],
  pg_attribute: [
    ...['attrelid', 'attname', 'attnum', 'atttypid', 'atttypmod'],
    ...['attisdropped', 'attlen', 'attbyval', 'attalign'],
  ],
  pg_collation: ['oid', 'collname', 'collnamespace'],
  pg_enum: ['oid', 'enumtypid', 'enumlabel', 'enumsortorder'],
};
/** Columns of these names hold OIDs, which pg would give as they come. */
const OIDS = /^oid$|namespace$|owner$|typid$|relid$|left$|right$|datdba$|^roleid$|^member$/;

/** One call: function name, argument types as SQL spells them, argument texts. */
export interface Case {
  readonly fn: string;
  readonly types: readonly string[];
  readonly args: readonly (string | null)[];
}

/** All combinations of one value list per argument. */
export function combine(
  fn: string,
  types: readonly string[],
  ...values: readonly (readonly (string | null)[])[]
): Case[] {
  let rows: (string | null)[][] = [[]];
  for (const list of values) rows = rows.flatMap(row => list.map(value => [...row, value]));
  return rows.map(args => ({ fn, types, args }));
}

/** A function of two arguments of one type over all pairs. */
export function pairs(fns: readonly string[], type: string, values: readonly (string | null)[]): Case[] {
  return fns.flatMap(fn => combine(fn, [type, type], values, values));
}

export function each(fns: readonly string[], type: string, values: readonly (string | null)[]): Case[] {
  return fns.flatMap(fn => combine(fn, [type], values));
}

const literal = (s: string): string =>
  s.includes('\\') ? `E'${s.replaceAll('\\', '\\\\').replaceAll("'", "''")}'` : `'${s.replaceAll("'", "''")}'`;

export class Oracle {
  readonly client: pg.Client;
  catalog!: FunctionCatalog;
  private procs: ProcRow[] = [];
  private typeNames = new Map<string, number>();
  private types = new Map<number, TypeFacts>();
  settings: SessionSettings = DEFAULT_SETTINGS;
  calls = 0;

  private constructor(client: pg.Client) {
    this.client = client;
  }

  /** undefined, with the reason on stderr once, when there is no server to compare with. */
  static async connect(): Promise<Oracle | undefined> {
    const client = new pg.Client({
      host: ORACLE_HOST,
      port: ORACLE_PORT,
      user: 'postgres',
      database: 'postgres',
      connectionTimeoutMillis: 2000,
    });
    try {
      await client.connect();
    } catch (e) {
      process.stderr.write(`no PostgreSQL to compare with at ${ORACLE_HOST}:${ORACLE_PORT}: ${String(e)}\n`);
      return undefined;
    }
    const oracle = new Oracle(client);
    await oracle.load();
    return oracle;
  }

  async close(): Promise<void> {
    await this.client.end();
  }

  async set(name: string, value: string): Promise<void> {
    await this.client.query(`SELECT set_config($1, $2, false)`, [name, value]);
  }

  private async load(): Promise<void> {
    const q = async <T>(sql: string): Promise<T[]> => (await this.client.query(sql)).rows as T[];
    await q(
      `SET timezone = 'UTC'; SET datestyle = 'ISO, MDY'; SET intervalstyle = 'postgres'; SET extra_float_digits = 1; SET search_path = public; SET statement_timeout = '15s'`,
    );
    await q(`CREATE FUNCTION pg_temp.try(q text, OUT res text, OUT typ oid) LANGUAGE plpgsql AS $$
      BEGIN EXECUTE q INTO res, typ; EXCEPTION WHEN OTHERS THEN res := 'E' || sqlstate || ':' || sqlerrm; END $$`);
    this.procs =
      await q<ProcRow>(`SELECT oid::int8::float8 AS oid, proname, prosrc, array(SELECT x::int8::float8 FROM unnest(proargtypes) x) AS proargtypes,
      prorettype::int8::float8 AS prorettype, proisstrict, proretset, pronamespace::int8::float8 AS pronamespace, prokind FROM pg_proc`);
    const types = await q<
      Record<string, unknown>
    >(`SELECT t.oid::int8::float8 AS oid, typname, typnamespace::int8::float8 AS typnamespace, typlen, typbyval, typalign, typtype, typcategory,
      typdelim, typrelid::int8::float8 AS typrelid, typelem::int8::float8 AS typelem, typarray::int8::float8 AS typarray, i.prosrc AS typinput, o.prosrc AS typoutput,
      coalesce(r.prosrc, '') AS typreceive, coalesce(s.prosrc, '') AS typsend, coalesce(m.prosrc, '') AS typmodout, typbasetype::int8::float8 AS typbasetype, typtypmod,
      typcollation::int8::float8 AS typcollation, typsubscript = 'array_subscript_handler'::regproc AS "isArray",
      '' AS cmp, '' AS eq, '' AS hash
      FROM pg_type t JOIN pg_proc i ON i.oid = typinput JOIN pg_proc o ON o.oid = typoutput LEFT JOIN pg_proc r ON r.oid = typreceive
      LEFT JOIN pg_proc s ON s.oid = typsend LEFT JOIN pg_proc m ON m.oid = typmodout`);
    for (const row of types as unknown as TypeFacts[]) {
      const enumOps = row.typtype === 'e' ? { cmp: 'enum_cmp', eq: 'enum_eq', hash: 'hashenum' } : {};
      this.types.set(row.oid, { ...row, ...enumOps });
      this.typeNames.set(row.typname, row.oid);
    }
    this.catalog = await this.loadCatalog(q);
  }

  private async loadCatalog(q: <T>(sql: string) => Promise<T[]>): Promise<FunctionCatalog> {
    const tables = new Map<string, readonly CatalogRow[]>();
    for (const [catalog, columns] of Object.entries(COLUMNS)) {
      const list = columns.map(column => (OIDS.test(column) ? `${column}::int8::float8 AS ${column}` : column));
      tables.set(catalog, await q<CatalogRow>(`SELECT ${list.join(', ')} FROM ${catalog}`));
    }
    tables.set('pg_proc', this.procs as unknown as CatalogRow[]);
    tables.set('pg_type', [...this.types.values()] as unknown as CatalogRow[]);
    const caches: SysCacheReader = {
      search: (cache, ...key) => caches.searchList(cache, ...key)[0] ?? null,
      searchList: ({ catalog, key: names }, ...key) =>
        ((tables.get(catalog.name) ?? []) as never[]).filter(row => key.every((k, n) => row[names[n]!] === k)),
    };
    return {
      searchPath: () => [11, 2200] as Oid[],
      type: oid => this.types.get(oid),
      recordTypes: new RecordTypes(),
      caches: () => caches,
    };
  }

  typeOid(name: string): Oid {
    const array = name.endsWith('[]');
    const bare = (array ? name.slice(0, -2) : name).replaceAll('"', '');
    const oid = this.typeNames.get(array ? `_${bare}` : bare);
    if (oid === undefined) throw new Error(`no type ${name}`);
    return oid as Oid;
  }

  /** Every distinct prosrc of language internal. */
  async internalFunctions(): Promise<string[]> {
    const result = await this.client.query(
      `SELECT DISTINCT prosrc FROM pg_proc WHERE prolang = 12 AND prokind <> 'a' ORDER BY 1`,
    );
    return (result.rows as { prosrc: string }[]).map(r => r.prosrc);
  }

  call(argTypes: readonly Oid[], resultType: Oid): FunctionCall {
    return {
      settings: this.settings,
      collation: 100 as Oid,
      argTypes,
      resultType,
      catalog: this.catalog,
      extra: undefined,
    };
  }

  private resolve(c: Case): ProcRow {
    const want = c.types.map(t => this.typeOid(t));
    const polymorphic = (oid: number): boolean => this.types.get(oid)?.typtype === 'p';
    const candidates = this.procs.filter(
      p =>
        p.proname === c.fn &&
        p.pronamespace === 11 &&
        p.proargtypes.length === want.length &&
        p.proargtypes.every((t, i) => t === want[i] || polymorphic(t)),
    );
    // VARIADIC "any": format(), concat().
    const variadic = this.procs.filter(
      p => p.proname === c.fn && p.proargtypes.at(-1) === 2276 && p.proargtypes.length <= want.length,
    );
    candidates.push(...variadic);
    const exact = candidates.find(p => p.proargtypes.every((t, i) => t === want[i])) ?? candidates[0];
    if (!exact) throw new Error(`no function ${c.fn}(${c.types.join(', ')})`);
    return exact;
  }

  ours(c: Case, resultType: Oid): string {
    const proc = this.resolve(c);
    const argTypes = c.types.map(t => this.typeOid(t));
    const base = this.call([], 0 as Oid);
    try {
      const args: Datum[] = c.args.map((text, i) =>
        text === null ? null : inputFunction(base, argTypes[i])(stringToText(text), -1),
      );
      if (proc.proisstrict && args.includes(null)) return proc.proretset ? '' : 'NULL';
      const out = (value: Datum): string =>
        value === null ? 'NULL' : `V${textToString(outputFunction(base, resultType)(value))}`;
      if (proc.proretset) {
        const set = lookupSetFunction(proc.prosrc);
        if (!set) return `missing ${proc.prosrc}`;
        return [...set(this.call(argTypes, resultType), ...args)].map(v => out(v as Datum)).join('|');
      }
      const fn = lookupBuiltin(proc.prosrc);
      if (!fn) return `missing ${proc.prosrc}`;
      return out(fn(this.call(argTypes, resultType), ...args));
    } catch (e) {
      if (e instanceof PgError) return `E${e.sqlstate}:${e.message}`;
      throw new Error(`${c.fn}(${c.args.join(', ')}): ${String(e)}\n${(e as Error).stack}`);
    }
  }

  private sql(c: Case): string {
    const args = c.args.map((a, i) => `${a === null ? 'NULL' : literal(a)}::${c.types[i]}`).join(', ');
    const proc = this.resolve(c);
    const call = `pg_catalog.${JSON.stringify(c.fn)}(${args})`;
    const shown = `CASE WHEN r IS NULL THEN 'NULL' ELSE 'V' || format('%s', r) END`;
    if (proc.proretset)
      return `SELECT coalesce(string_agg(${shown}, '|'), ''), min(pg_typeof(r)::oid) FROM (SELECT ${call} AS r) s`;
    return `SELECT ${shown}, pg_typeof(r) FROM (SELECT ${call} AS r) s`;
  }

  /** Runs all cases on both sides; answers where they differ, a line each. */
  async compare(cases: readonly Case[]): Promise<string[]> {
    const out: string[] = [];
    for (let at = 0; at < cases.length; at += 2000) {
      const batch = cases.slice(at, at + 2000);
      const texts = batch.map(c => this.sql(c));
      const result = await this.client.query(
        `SELECT (pg_temp.try(q)).* FROM unnest($1::text[]) WITH ORDINALITY AS u(q, n) ORDER BY n`,
        [texts],
      );
      const rows = result.rows as { res: string | null; typ: number | null }[];
      batch.forEach((c, i) => {
        this.calls++;
        const postgres = rows[i].res ?? 'NULL';
        const resultType = (rows[i].typ ?? this.resolve(c).prorettype) as Oid;
        const ours = this.ours(c, resultType);
        if (ours !== postgres)
          out.push(
            `${texts[i].replace(/^.*FROM \(SELECT pg_catalog\./s, '').replace(/ AS r\) s$/, '')}: ours ${ours} PostgreSQL ${postgres}`,
          );
      });
    }
    return out;
  }
}

/** What a test file has of its runner. */
interface Runner {
  beforeAll(work: () => Promise<void>): unknown;
  afterAll(work: () => Promise<void>): unknown;
  it(name: string, work: (context: { skip(reason: string): void }) => Promise<void>): unknown;
  expect(found: unknown): { toEqual(wanted: unknown): void };
}

/** A server for all tests of the file, undefined where there is none, and a test that calls of it answer as here. */
export function comparison({ beforeAll, afterAll, it, expect }: Runner): {
  readonly server: () => Oracle | undefined;
  readonly check: (name: string, cases: () => Case[], setup?: () => Promise<void>) => void;
} {
  let oracle: Oracle | undefined;
  beforeAll(async () => {
    oracle = await Oracle.connect();
  });
  afterAll(async () => oracle?.close());
  const check = (name: string, cases: () => Case[], setup?: () => Promise<void>): void => {
    it(name, async context => {
      if (!oracle) return context.skip('no PostgreSQL to compare with');
      await setup?.();
      expect(await oracle.compare(cases())).toEqual([]);
    });
  };
  return { server: () => oracle, check };
}
