/**
 * Catalog rows in memory, found by the keys of the catalogs' indexes.
 *
 * Lookups are synchronous; what is not here throws CatalogMiss. Absence is remembered too. A catalog
 * that was loaded whole (`preload`) answers everything, until one of its rows changes: from then on
 * what is not here is asked for key by key. Its rows are decoded and filed by an index as they are asked for.
 *
 * One cache per database holds the committed state for all sessions of an instance. A transaction
 * that changed catalogs works on a `fork`: rows it touched come from its own source, the rest from
 * the shared cache; nothing it loads ever enters the shared cache. The fork is thrown away when the
 * transaction ends.
 *
 * Invariant: a row is stored only if no invalidation of its catalog arrived while it was being read.
 */
import type { Datum } from '@pgtroupe/common/datum';
import type { Oid } from '@pgtroupe/common/ids';
import { CatalogMiss } from './catalogmiss.ts';
import type { Catalog, CatalogRow } from './catalog.ts';
import type { CatalogSource } from './catalogsource.ts';
import { KEY_SEPARATOR, keyText, rowKeyText } from './inval.ts';
import type { InvalMessage, KeyPart } from './inval.ts';
import { encodeField, decodeRow } from './rowcodec.ts';
import { StoredRow } from './storedrow.ts';
import { sysCacheOfIndex, sysCachesOf } from './syscache.ts';
import type { SysCache } from './syscache.ts';

type ExactKey = string | number;

/** What is known by one index. */
interface IndexEntries {
  /** By the whole key; null: there is no such row. */
  readonly exact: Map<ExactKey, CatalogRow | StoredRow | null>;
  /** Every row of the complete catalog is in `exact`. */
  filed: boolean;
  /** By a prefix of the key. */
  readonly lists: Map<string, readonly (CatalogRow | StoredRow)[]>;
  /** How many answers in `exact` and `lists` say that there is nothing, at most. */
  absent: number;
  /** Prefix lengths for which `lists` holds every group (only while the catalog is complete). */
  readonly grouped: Set<number>;
}

interface CatalogEntries {
  /** Every row of the catalog, while all of them are known. */
  all: readonly StoredRow[] | undefined;
  /** Counts invalidations. */
  changes: number;
  readonly byIndex: Map<Oid, IndexEntries>;
}

/** Rows in memory are no more than the catalogs have; what they have not can be asked for without end. Of that this much is remembered. */
const MAX_ABSENT = 4096;

function countAbsent(entries: IndexEntries): void {
  if (++entries.absent <= MAX_ABSENT) return;
  for (const [key, row] of entries.exact) if (row === null) entries.exact.delete(key);
  // Groups of a complete catalog are all there.
  if (entries.grouped.size === 0)
    for (const [prefix, rows] of entries.lists) if (rows.length === 0) entries.lists.delete(prefix);
  entries.absent = 1;
}

export class CatCache {
  readonly #source: CatalogSource;
  readonly #parent: CatCache | undefined;
  readonly #catalogs = new Map<Oid, CatalogEntries>();
  readonly #loading = new Map<string, Promise<void>>();
  /** In a fork: index and key (or prefix) of what its transaction changed. */
  readonly #touched = new Set<string>();
  readonly #touchedCatalogs = new Set<Oid>();

  constructor(source: CatalogSource, parent?: CatCache) {
    this.#source = source;
    this.#parent = parent;
  }

  /** The row with this key, or null. */
  search<Row extends CatalogRow>(cache: SysCache<Row>, ...key: KeyPart[]): Row | null {
    const found = this.#peek(cache as SysCache, key);
    if (found === undefined) throw new CatalogMiss(() => this.loadRow(cache, key));
    return found as Row | null;
  }

  /** All rows whose key begins like this, in no particular order. */
  searchList<Row extends CatalogRow>(cache: SysCache<Row>, ...prefix: KeyPart[]): readonly Row[] {
    const found = this.#peekList(cache as SysCache, prefix);
    if (found === undefined) throw new CatalogMiss(() => this.loadList(cache, prefix));
    return found as readonly Row[];
  }

  /** Is the answer here already? For loading several things at once. */
  has(cache: SysCache, key: readonly KeyPart[]): boolean {
    return this.#peek(cache, key) !== undefined;
  }

  hasList(cache: SysCache, prefix: readonly KeyPart[]): boolean {
    return this.#peekList(cache, prefix) !== undefined;
  }

  /** For tests: what is known not to be there. */
  absentCount(cache: SysCache): number {
    const { exact, lists } = this.#entries(cache);
    const nothing = [...exact.values()].filter(row => row === null);
    return nothing.length + [...lists.values()].filter(rows => rows.length === 0).length;
  }

  loadRow<Row extends CatalogRow>(cache: SysCache<Row>, key: readonly KeyPart[]): Promise<void> {
    return this.#loadOnce(`${cache.index.oid} = ${keyText(key)}`, cache as SysCache, key, rows => {
      if (rows.length > 0) return;
      const entries = this.#entries(cache as SysCache);
      countAbsent(entries);
      entries.exact.set(exactKey(cache as SysCache, key), null);
    });
  }

  loadList<Row extends CatalogRow>(cache: SysCache<Row>, prefix: readonly KeyPart[]): Promise<void> {
    const text = keyText(prefix);
    return this.#loadOnce(`${cache.index.oid} ~ ${text}`, cache as SysCache, prefix, rows => {
      const entries = this.#entries(cache as SysCache);
      if (rows.length === 0) countAbsent(entries);
      entries.lists.set(text, rows);
    });
  }

  /** Reads whole catalogs, so that lookups in them never miss. Only for the shared cache. */
  async preload(catalogs: readonly Catalog[]): Promise<void> {
    await Promise.all(catalogs.map(catalog => this.#preload(catalog)));
  }

  async #preload(catalog: Catalog): Promise<void> {
    const entries = this.#catalog(catalog.oid);
    if (entries.all !== undefined) return;
    for (;;) {
      const { changes } = entries;
      const rows = await this.#source.scan(catalog, undefined, []);
      if (entries.changes !== changes) continue;
      entries.all = rows.map(row => new StoredRow(catalog, row));
      return;
    }
  }

  async #loadOnce(
    name: string,
    cache: SysCache,
    key: readonly KeyPart[],
    store: (rows: readonly CatalogRow[]) => void,
  ): Promise<void> {
    let running = this.#loading.get(name);
    if (running === undefined) {
      running = this.#load(cache, key, store).finally(() => this.#loading.delete(name));
      this.#loading.set(name, running);
    }
    await running;
  }

  async #load(cache: SysCache, key: readonly KeyPart[], store: (rows: readonly CatalogRow[]) => void): Promise<void> {
    const entries = this.#catalog(cache.catalog.oid);
    for (;;) {
      const { changes } = entries;
      const rows = await this.#read(cache, key);
      if (entries.changes !== changes) continue;
      const known = rows.map(row => this.#remember(cache.catalog, row));
      store(known);
      return;
    }
  }

  async #read({ catalog, index }: SysCache, key: readonly KeyPart[]): Promise<CatalogRow[]> {
    const datums: Datum[] = key.map((part, n) => encodeField(catalog.columns[index.keys[n]! - 1]!.type, part));
    const rows = await this.#source.scan(catalog, index, datums);
    return rows.map(row => decodeRow(catalog, row.values, row.ctid, row.xmin));
  }

  /** Files the rows of a complete catalog under the whole key of a unique index. */
  #file(cache: SysCache, entries: IndexEntries, all: readonly StoredRow[]): void {
    entries.filed = true;
    for (const row of all) {
      const text = row.keyText(cache, cache.key.length);
      const key = cache.numeric ? Number(text) : text;
      if (!entries.exact.get(key)) entries.exact.set(key, row);
    }
  }

  /** Stores a row under all unique keys; returns the object that stands for it. */
  #remember(catalog: Catalog, row: CatalogRow): CatalogRow {
    let known = row;
    for (const cache of sysCachesOf(catalog)) {
      if (!cache.index.unique) continue;
      const { exact } = this.#entries(cache);
      const text = rowKeyText(cache.key, row);
      const key = cache.numeric ? Number(text) : text;
      const old = exact.get(key);
      if (old) known = decoded(old);
      else exact.set(key, known);
    }
    return known;
  }

  #catalog(oid: Oid): CatalogEntries {
    let entries = this.#catalogs.get(oid);
    if (entries === undefined) {
      entries = { all: undefined, changes: 0, byIndex: new Map() };
      this.#catalogs.set(oid, entries);
    }
    return entries;
  }

  #entries(cache: SysCache): IndexEntries {
    const { byIndex } = this.#catalog(cache.catalog.oid);
    let entries = byIndex.get(cache.index.oid);
    if (entries === undefined) {
      entries = { exact: new Map(), filed: false, lists: new Map(), grouped: new Set(), absent: 0 };
      byIndex.set(cache.index.oid, entries);
    }
    return entries;
  }

  /** undefined: not known here. */
  #peek(cache: SysCache, key: readonly KeyPart[]): CatalogRow | null | undefined {
    const entries = this.#entries(cache);
    const { all } = this.#catalog(cache.catalog.oid);
    if (all !== undefined && !entries.filed && cache.index.unique) this.#file(cache, entries, all);
    const found = entries.exact.get(exactKey(cache, key));
    if (found !== undefined) return found === null ? null : decoded(found);
    if (all !== undefined) return null;
    if (this.#parent === undefined || this.#isTouched(cache, key)) return undefined;
    return this.#parent.#peek(cache, key);
  }

  #peekList(cache: SysCache, prefix: readonly KeyPart[]): readonly CatalogRow[] | undefined {
    const entries = this.#entries(cache);
    const text = keyText(prefix);
    const { all } = this.#catalog(cache.catalog.oid);
    if (all !== undefined && !entries.grouped.has(prefix.length)) group(entries, all, cache, prefix.length);
    const found = entries.lists.get(text);
    if (found !== undefined) {
      if (!found.some(row => row instanceof StoredRow)) return found as readonly CatalogRow[];
      const rows = found.map(decoded);
      entries.lists.set(text, rows);
      return rows;
    }
    if (all !== undefined) return NONE;
    if (this.#parent === undefined || this.#isTouched(cache, prefix)) return undefined;
    return this.#parent.#peekList(cache, prefix);
  }

  // ---- invalidation ----------------------------------------------------------------------------

  #isTouched(cache: SysCache, key: readonly KeyPart[]): boolean {
    if (this.#touchedCatalogs.has(cache.catalog.oid)) return true;
    return this.#touched.size > 0 && this.#touched.has(`${cache.index.oid} ${keyText(key)}`);
  }

  /** Forgets what a message is about. The caller has checked the database. */
  invalidate(message: InvalMessage): void {
    switch (message.kind) {
      case 'row': {
        const cache = sysCacheOfIndex(message.index);
        if (cache !== undefined) this.#forgetRow(cache, message.key);
        break;
      }
      case 'catalog':
        this.#forgetCatalog(message.catalog);
        if (this.#parent !== undefined) this.#touchedCatalogs.add(message.catalog);
        break;
      case 'all':
        this.reset();
        break;
      case 'relation':
      case 'relmap':
        break;
    }
  }

  #forgetRow(cache: SysCache, key: string): void {
    const catalog = this.#catalog(cache.catalog.oid);
    catalog.changes++;
    this.#noLongerWhole(cache.catalog, catalog);
    const entries = this.#entries(cache);
    entries.grouped.clear();
    entries.exact.delete(cache.numeric ? Number(key) : key);
    for (let end = key.length; end > 0; end = key.lastIndexOf(KEY_SEPARATOR, end - 1)) {
      const prefix = key.slice(0, end);
      entries.lists.delete(prefix);
      if (this.#parent !== undefined) this.#touched.add(`${cache.index.oid} ${prefix}`);
    }
    entries.lists.delete('');
    if (this.#parent !== undefined) this.#touched.add(`${cache.index.oid} `);
  }

  /** What the rows say is still true, but for those that messages name. */
  #noLongerWhole(catalog: Catalog, entries: CatalogEntries): void {
    const { all } = entries;
    if (all === undefined) return;
    for (const cache of sysCachesOf(catalog)) {
      const known = this.#entries(cache);
      if (cache.index.unique && !known.filed) this.#file(cache, known, all);
    }
    entries.all = undefined;
  }

  #forgetCatalog(oid: Oid): void {
    const catalog = this.#catalog(oid);
    catalog.changes++;
    catalog.all = undefined;
    catalog.byIndex.clear();
  }

  /** Forgets everything it holds itself; a fork still knows what its transaction touched. */
  reset(): void {
    for (const oid of this.#catalogs.keys()) this.#forgetCatalog(oid);
  }
}

const NONE: readonly CatalogRow[] = [];

function exactKey(cache: SysCache, key: readonly KeyPart[]): ExactKey {
  return cache.numeric ? (key[0] as number) : keyText(key);
}

function decoded(row: CatalogRow | StoredRow): CatalogRow {
  return row instanceof StoredRow ? row.row : row;
}

/** Files every row of a complete catalog under the first `length` columns of the key. */
function group(entries: IndexEntries, rows: readonly StoredRow[], cache: SysCache, length: number): void {
  const groups = new Map<string, StoredRow[]>();
  for (const row of rows) {
    const text = row.keyText(cache, length);
    const list = groups.get(text);
    if (list === undefined) groups.set(text, [row]);
    else list.push(row);
  }
  for (const [text, list] of groups) entries.lists.set(text, list);
  entries.grouped.add(length);
}
