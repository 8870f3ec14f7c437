/**
 * The facts as a CatalogSource: a database as initdb leaves it, without a server. For unit tests and
 * for tools; every row has an invented ctid.
 */
import type { Datum } from '@pgtroupe/common/datum';
import type { Oid } from '@pgtroupe/common/ids';
import type { SmgrRelation } from '@pgtroupe/storage/buffer/pages';
import type { Catalog, CatalogIndex } from './catalog.ts';
import type { CatalogSource, ScannedRow } from './catalogsource.ts';
import { factDatums } from './facts.ts';
import type { RelationStorage } from './relcache.ts';
import { SystemCatalog } from './systemcatalog.ts';

function same(a: Datum, b: Datum): boolean {
  return a instanceof Uint8Array && b instanceof Uint8Array ? Buffer.compare(a, b) === 0 : a === b;
}

export class FactsSource implements CatalogSource {
  readonly #tables = new Map<Oid, readonly ScannedRow[]>();
  /** How many scans were asked for. */
  scans = 0;

  scan(catalog: Catalog, index: CatalogIndex | undefined, keys: readonly Datum[]): Promise<readonly ScannedRow[]> {
    this.scans++;
    let table = this.#tables.get(catalog.oid);
    if (table === undefined) {
      table = factDatums(catalog).map((values, n) => ({
        values,
        ctid: { blk: n >>> 6, off: (n & 63) + 1 },
      }));
      this.#tables.set(catalog.oid, table);
    }
    return Promise.resolve(table.filter(row => keys.every((key, n) => same(row.values[index!.keys[n]! - 1]!, key))));
  }
}

const STORAGE: RelationStorage = {
  databaseOid: 1 as Oid,
  defaultTablespace: 1663 as Oid,
  smgropen: (rnode): SmgrRelation => ({ rnode, targetBlock: -1 }),
  mappedFilenode: oid => oid,
};

/** The catalogs of template1, everything in memory. */
export async function factsCatalog(): Promise<SystemCatalog> {
  const catalog = new SystemCatalog(new FactsSource(), STORAGE);
  await catalog.preload();
  return catalog;
}
