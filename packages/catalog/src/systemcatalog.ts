/**
 * The system catalogs of one database as sessions use them: rows by key, lists of rows, relations.
 *
 * One SystemCatalog per database holds the committed state for all sessions of an instance; a
 * transaction that changes catalogs works on a fork of it until it ends. `version` grows with every
 * invalidation, so "nothing changed since" is one comparison.
 */
import type { Oid } from '@pgtroupe/common/ids';
import { ALL_CATALOGS } from './catalogs/all.ts';
import type { CatalogRow } from './catalog.ts';
import { CatCache } from './catcache.ts';
import type { CatalogSource } from './catalogsource.ts';
import { decodeInvals } from './inval.ts';
import type { InvalMessage, KeyPart } from './inval.ts';
import { RelCache } from './relcache.ts';
import type { IndexDesc, RelationDesc, RelationStorage } from './relcache.ts';
import type { SysCache } from './syscache.ts';

/** Catalogs that every statement needs and that hardly ever change: loaded whole. */
const PRELOADED: ReadonlySet<string> = new Set([
  'pg_aggregate',
  'pg_am',
  'pg_amop',
  'pg_amproc',
  'pg_authid',
  'pg_cast',
  'pg_collation',
  'pg_language',
  'pg_namespace',
  'pg_opclass',
  'pg_operator',
  'pg_opfamily',
  'pg_proc',
  'pg_range',
  'pg_type',
]);

export class SystemCatalog {
  readonly rows: CatCache;
  readonly relations: RelCache;
  readonly storage: RelationStorage;
  readonly #forks = new Set<SystemCatalog>();
  readonly #parent: SystemCatalog | undefined;
  #version = 0;

  constructor(source: CatalogSource, storage: RelationStorage, parent?: SystemCatalog) {
    this.storage = storage;
    this.rows = new CatCache(source, parent?.rows);
    this.relations = new RelCache(this.rows, storage);
    this.#parent = parent;
  }

  get version(): number {
    return this.#version + (this.#parent?.version ?? 0);
  }

  /** Loads the catalogs that every statement needs. */
  preload(): Promise<void> {
    return this.rows.preload(ALL_CATALOGS.filter(catalog => PRELOADED.has(catalog.name)));
  }

  search<Row extends CatalogRow>(cache: SysCache<Row>, ...key: KeyPart[]): Row | null {
    return this.rows.search(cache, ...key);
  }

  searchList<Row extends CatalogRow>(cache: SysCache<Row>, ...prefix: KeyPart[]): readonly Row[] {
    return this.rows.searchList(cache, ...prefix);
  }

  /** null: no relation has this oid. */
  relation(oid: Oid): RelationDesc | null {
    return this.relations.find(oid);
  }

  /** null: no index has this oid. */
  index(oid: Oid): IndexDesc | null {
    return this.relations.findIndex(oid);
  }

  /** A private view for a transaction about to change catalogs; `source` sees its own changes. */
  fork(source: CatalogSource): SystemCatalog {
    const fork = new SystemCatalog(source, this.storage, this);
    this.#forks.add(fork);
    return fork;
  }

  /** The transaction of a fork ended. Its descriptors become invalid. */
  endFork(): void {
    this.relations.reset();
    this.#parent?.forget(this);
  }

  private forget(fork: SystemCatalog): void {
    this.#forks.delete(fork);
  }

  /** Applies what came with a snapshot, before the snapshot is used. */
  applyBytes(invals: Uint8Array): void {
    if (invals.length > 0) this.apply(decodeInvals(invals));
  }

  apply(messages: readonly InvalMessage[]): void {
    for (const message of messages) {
      if (message.db !== 0 && message.db !== this.storage.databaseOid) continue;
      this.#version++;
      this.rows.invalidate(message);
      this.relations.invalidate(message);
    }
    for (const fork of this.#forks) fork.apply(messages);
  }

  /** Nothing remembered can be trusted (the stream of invalidations broke). */
  reset(): void {
    this.#version++;
    this.rows.reset();
    this.relations.reset();
    for (const fork of this.#forks) fork.reset();
  }
}
