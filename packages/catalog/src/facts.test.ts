import type { Oid } from '@pgtroupe/common/ids';
import { relationTag } from '@pgtroupe/storage/lmgr/locktag';
import { expect, test } from 'vitest';
import { ALL_CATALOGS } from './catalogs/all.ts';
import { pgAttribute } from './catalogs/pg_attribute.ts';
import { pgClass } from './catalogs/pg_class.ts';
import { pgDatabase } from './catalogs/pg_database.ts';
import { pgIndex } from './catalogs/pg_index.ts';
import { pgRewrite } from './catalogs/pg_rewrite.ts';
import { factDatums, factRows, readFacts } from './facts.ts';
import { decodeRow, encodeRow } from './rowcodec.ts';

test('the schema in code is the schema that pg_attribute describes', () => {
  const attributes = factRows(pgAttribute).filter(a => a.attnum > 0);
  for (const catalog of ALL_CATALOGS) {
    const described = attributes.filter(a => a.attrelid === catalog.oid);
    expect(readFacts(catalog.name).columns).toEqual(catalog.columns.map(c => c.name));
    expect(
      described.map(a => [
        a.attname,
        a.atttypid,
        a.attlen,
        a.attbyval,
        a.attalign,
        a.attstorage,
        a.attnotnull,
        a.attcollation,
      ]),
    ).toEqual(catalog.columns.map(c => [c.name, c.typid, c.len, c.byval, c.align, c.storage, c.notNull, c.collation]));
  }
});

test('indexes in code are those of pg_index', () => {
  const indexes = factRows(pgIndex);
  for (const catalog of ALL_CATALOGS) {
    expect(indexes.filter(i => i.indrelid === catalog.oid).map(i => [i.indexrelid, i.indkey, i.indisunique])).toEqual(
      catalog.indexes.map(i => [i.oid, i.keys, i.unique]),
    );
  }
});

test('what all databases share is locked by who locks it in any of them', () => {
  const database = 5 as Oid;
  for (const { oid, relisshared } of factRows(pgClass))
    expect([oid, relationTag(database, oid).f1]).toEqual([oid, relisshared ? 0 : database]);
});

test('every fact survives Datum, row and Datum again', () => {
  let rows = 0;
  for (const catalog of ALL_CATALOGS) {
    for (const values of factDatums(catalog)) {
      const again = encodeRow(catalog, decodeRow(catalog, values));
      expect(again.map(d => (d instanceof Uint8Array ? Buffer.from(d).toString('hex') : d))).toEqual(
        values.map(d => (d instanceof Uint8Array ? Buffer.from(d).toString('hex') : d)),
      );
      rows++;
    }
  }
  expect(rows).toBeGreaterThan(18_000);
});

test('rows read as PostgreSQL shows them', () => {
  expect(factRows(pgClass).find(c => c.oid === 1259)).toMatchObject({
    relname: 'pg_class',
    relkind: 'r',
    relfilenode: 0,
    relnatts: 33,
  });
  expect(factRows(pgDatabase).find(d => d.oid === 1)!.datacl).toEqual([
    { grantee: 0, grantor: 10, privs: 1 << 11 },
    { grantee: 10, grantor: 10, privs: (1 << 9) | (1 << 10) | (1 << 11) },
  ]);
  expect(factRows(pgRewrite).every(r => r.ev_action.startsWith('({QUERY '))).toBe(true);
});
