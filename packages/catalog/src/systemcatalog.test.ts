import { beforeEach, expect, test } from 'vitest';
import type { Datum } from '@pgtroupe/common/datum';
import type { Oid } from '@pgtroupe/common/ids';
import { CatalogMiss } from './catalogmiss.ts';
import type { Catalog, CatalogIndex } from './catalog.ts';
import type { CatalogSource, ScannedRow } from './catalogsource.ts';
import { pgClass } from './catalogs/pg_class.ts';
import type { Form_pg_class } from './catalogs/pg_class.ts';
import { pgProc } from './catalogs/pg_proc.ts';
import { FactsSource } from './facts-source.ts';
import { decodeInvals, encodeInvals, rowMessages } from './inval.ts';
import type { RelationStorage } from './relcache.ts';
import {
  AMPROCNUM,
  ATTNUM,
  CASTSOURCETARGET,
  OPERNAMENSP,
  PROCNAMEARGSNSP,
  PROCOID,
  RELNAMENSP,
  RELOID,
  TYPENAMENSP,
  TYPEOID,
} from './syscache.ts';
import type { SysCache } from './syscache.ts';
import { SystemCatalog } from './systemcatalog.ts';

const STORAGE: RelationStorage = {
  databaseOid: 5 as Oid,
  defaultTablespace: 1663 as Oid,
  smgropen: rnode => ({ rnode, targetBlock: -1 }),
  mappedFilenode: oid => oid,
};

/** Facts with a changeable pg_class row on top. */
class EditableSource implements CatalogSource {
  readonly facts = new FactsSource();
  relname: string | undefined;
  beforeAnswer: (() => void) | undefined;

  async scan(
    catalog: Catalog,
    index: CatalogIndex | undefined,
    keys: readonly Datum[],
  ): Promise<readonly ScannedRow[]> {
    if (catalog.oid !== pgClass.oid || this.relname === undefined) return this.facts.scan(catalog, index, keys);
    const edited = (await this.facts.scan(catalog, undefined, [])).map(row =>
      row.values[0] === 2615 ? { ...row, values: row.values.with(1, Buffer.from(this.relname!)) } : row,
    );
    const found = edited.filter(row =>
      keys.every((key, n) => Buffer.from(String(key)).equals(Buffer.from(String(row.values[index!.keys[n]! - 1])))),
    );
    this.beforeAnswer?.();
    return found;
  }
}

/** What the session driver does: run, load what was missing, run again. */
async function run<T>(fn: () => T): Promise<T> {
  for (;;) {
    try {
      return fn();
    } catch (error) {
      if (!(error instanceof CatalogMiss)) throw error;
      await error.load();
    }
  }
}

let source: EditableSource;
let catalog: SystemCatalog;
beforeEach(() => {
  source = new EditableSource();
  catalog = new SystemCatalog(source, STORAGE);
});

test('a miss is loaded, then answered from memory; absence too', async () => {
  expect(() => catalog.search(RELOID, 1259)).toThrow(CatalogMiss);
  expect((await run(() => catalog.search(RELOID, 1259)))!.relname).toBe('pg_class');
  expect(await run(() => catalog.search(RELNAMENSP, 'no_such', 11))).toBeNull();
  const { scans } = source.facts;
  expect(catalog.search(RELOID, 1259)!.relkind).toBe('r');
  expect(catalog.search(RELNAMENSP, 'pg_class', 11)!.oid).toBe(1259);
  expect(catalog.search(RELNAMENSP, 'no_such', 11)).toBeNull();
  expect(source.facts.scans).toBe(scans);
});

test('preloaded catalogs answer everything at once', async () => {
  await catalog.preload();
  expect(catalog.search(TYPENAMENSP, 'int4', 11)!.oid).toBe(23);
  expect(catalog.search(TYPEOID, 23)).toBe(catalog.search(TYPENAMENSP, 'int4', 11));
  expect(catalog.search(TYPEOID, 99999)).toBeNull();
  expect(
    catalog
      .searchList(PROCNAMEARGSNSP, 'abs')
      .map(p => p.prosrc)
      .sort(),
  ).toEqual(['float4abs', 'float8abs', 'int2abs', 'int4abs', 'int8abs', 'numeric_abs'].sort());
  expect(catalog.searchList(PROCNAMEARGSNSP, 'no_such_function')).toEqual([]);
  expect(catalog.search(PROCNAMEARGSNSP, 'int4pl', [23, 23], 11)!.oid).toBe(177);
  expect(catalog.searchList(OPERNAMENSP, '+', 23).every(o => o.oprleft === 23)).toBe(true);
  expect(catalog.search(CASTSOURCETARGET, 23, 20)!.castcontext).toBe('i');
  expect(catalog.search(AMPROCNUM, 1976, 23, 23, 1)!.amproc).toBe(351);
});

test('what is not there is remembered, but not all that anybody ever asked for', async () => {
  catalog = new SystemCatalog({ scan: () => Promise.resolve([]) }, STORAGE);
  for (let n = 0; n < 9000; n++) {
    expect(await run(() => catalog.search(TYPENAMENSP, `no_such_type_${n}`, 11))).toBeNull();
    expect(await run(() => catalog.searchList(PROCNAMEARGSNSP, `no_such_function_${n}`))).toEqual([]);
  }
  expect(catalog.search(TYPENAMENSP, 'no_such_type_8999', 11)).toBeNull();
  expect(catalog.rows.absentCount(TYPENAMENSP as SysCache)).toBeLessThan(5000);
  expect(catalog.rows.absentCount(PROCNAMEARGSNSP as SysCache)).toBeLessThan(5000);
});

test('a relation gathers attributes, indexes and their order', async () => {
  const rel = (await run(() => catalog.relation(1255 as Oid)))!;
  expect(rel.att.attrs).toHaveLength(30);
  expect(rel.rnode).toEqual({ spcNode: 1663, dbNode: 5, relNode: 1255 });
  const indexes = await run(() => rel.indexes);
  expect(indexes.map(i => i.rel.name)).toEqual(['pg_proc_oid_index', 'pg_proc_proname_args_nsp_index']);
  expect(indexes[1]!.keys.map(k => [k.attnum, k.opcintype, k.orderProc])).toEqual([
    [2, 19, 359],
    [20, 30, 404],
    [3, 26, 356],
  ]);
  expect(indexes[1]!.rel.att.attrs[0]).toMatchObject({ len: -2, typid: 2275 });
  expect((await run(() => rel.primaryKey))!.rel.oid).toBe(2690);
  expect((await run(() => rel.toast))!.name).toBe('pg_toast_1255');
  expect((await run(() => rel.constraints)).map(c => c.conname)).toEqual([
    'pg_proc_oid_index',
    'pg_proc_proname_args_nsp_index',
  ]);
});

test('shared relations live in the global tablespace', async () => {
  expect((await run(() => catalog.relation(1262 as Oid)))!.rnode).toEqual({
    spcNode: 1664,
    dbNode: 0,
    relNode: 1262,
  });
});

async function renamed(name: string): Promise<ReturnType<typeof rowMessages>> {
  const before = (await run(() => catalog.search(RELOID, 2615))) as Form_pg_class;
  source.relname = name;
  return rowMessages<Form_pg_class>(5 as Oid, pgClass, before, { ...before, relname: name });
}

test('an invalidation drops exactly the row, under all of its keys, and the relation', async () => {
  const rel = (await run(() => catalog.relation(2615 as Oid)))!;
  await run(() => catalog.search(RELNAMENSP, 'pg_namespace', 11));
  await run(() => catalog.search(RELNAMENSP, 'renamed', 11));
  await run(() => catalog.search(RELOID, 1259));
  const messages = await renamed('renamed');
  const bytes = encodeInvals(messages);
  expect(decodeInvals(bytes)).toEqual(messages);
  const { version } = catalog;
  catalog.applyBytes(bytes);
  expect(catalog.version).toBeGreaterThan(version);
  expect(rel.valid).toBe(false);
  expect(() => catalog.search(RELOID, 2615)).toThrow(CatalogMiss);
  expect(catalog.search(RELOID, 1259)!.relname).toBe('pg_class');
  expect(await run(() => catalog.search(RELNAMENSP, 'pg_namespace', 11))).toBeNull();
  expect((await run(() => catalog.search(RELNAMENSP, 'renamed', 11)))!.oid).toBe(2615);
  expect((await run(() => catalog.relation(2615 as Oid)))!.name).toBe('renamed');
});

test('messages of another database are not ours; those of shared catalogs are', async () => {
  await run(() => catalog.search(RELOID, 1259));
  catalog.apply([{ kind: 'row', db: 4 as Oid, index: RELOID.index.oid, key: '1259' }]);
  expect(catalog.search(RELOID, 1259)!.relname).toBe('pg_class');
  catalog.apply([{ kind: 'row', db: 0 as Oid, index: RELOID.index.oid, key: '1259' }]);
  expect(() => catalog.search(RELOID, 1259)).toThrow(CatalogMiss);
});

test('a row that changed while it was read is read again', async () => {
  const messages = await renamed('first');
  catalog.apply(messages);
  source.beforeAnswer = () => {
    source.beforeAnswer = undefined;
    source.relname = 'second';
    catalog.apply(messages);
  };
  expect((await run(() => catalog.search(RELOID, 2615)))!.relname).toBe('second');
});

test('a catalog that was complete asks again only for what changed', async () => {
  await catalog.preload();
  const proc = catalog.search(PROCOID, 177)!;
  catalog.apply(rowMessages(5 as Oid, pgProc, proc, { ...proc, proname: 'other' }));
  expect(() => catalog.search(PROCOID, 177)).toThrow(CatalogMiss);
  expect(() => catalog.searchList(PROCNAMEARGSNSP, 'other')).toThrow(CatalogMiss);
  expect(() => catalog.searchList(PROCNAMEARGSNSP, 'int4pl')).toThrow(CatalogMiss);
  expect(catalog.search(PROCOID, 181)!.proname).toBe('int4mi');
  // By an index that nobody had asked before.
  expect(catalog.search(PROCNAMEARGSNSP, 'int4mi', [23, 23], 11)).toBe(catalog.search(PROCOID, 181));
});

test('of a catalog that was read whole only what is asked for is decoded', async () => {
  let taken = 0;
  const facts = new FactsSource();
  const counting: CatalogSource = {
    scan: async (...what) =>
      (await facts.scan(...what)).map(({ values, ctid }) => ({
        ctid,
        get values() {
          taken++;
          return values;
        },
      })),
  };
  catalog = new SystemCatalog(counting, STORAGE);
  await catalog.preload();
  expect(taken).toBe(0);
  catalog.search(PROCOID, 177);
  const filing = taken;
  const proc = catalog.search(PROCOID, 181)!;
  expect(taken).toBe(filing + 1);
  expect(catalog.search(PROCOID, 181)).toBe(proc);
  expect(catalog.searchList(PROCNAMEARGSNSP, 'int4mi')).toEqual([proc]);
});

test('a fork sees its own changes, others do not, and it ends without trace', async () => {
  await run(() => catalog.relation(2615 as Oid));
  await run(() => catalog.relation(1259 as Oid));
  const own = new EditableSource();
  const fork = catalog.fork(own);
  const before = fork.search(RELOID, 2615)!;
  expect(own.facts.scans).toBe(0);
  own.relname = 'mine';
  fork.apply(rowMessages<Form_pg_class>(5 as Oid, pgClass, before, { ...before, relname: 'mine' }));
  expect((await run(() => fork.search(RELOID, 2615)))!.relname).toBe('mine');
  expect(await run(() => fork.search(RELNAMENSP, 'pg_namespace', 11))).toBeNull();
  expect(catalog.search(RELOID, 2615)!.relname).toBe('pg_namespace');
  expect(catalog.relation(2615 as Oid)!.valid).toBe(true);
  const theirs = await run(() => fork.relation(2615 as Oid));
  expect(theirs!.name).toBe('mine');
  // What others commit reaches the fork as well.
  catalog.apply([{ kind: 'row', db: 5 as Oid, index: RELOID.index.oid, key: '1259' }]);
  expect(() => fork.search(RELOID, 1259)).toThrow(CatalogMiss);
  fork.endFork();
  expect(theirs!.valid).toBe(false);
});

test('concurrent misses of one key read once', async () => {
  const { scans } = source.facts;
  await Promise.all([1, 2, 3].map(() => run(() => catalog.searchList(ATTNUM, 1259))));
  expect(source.facts.scans - scans).toBe(1);
});
