/**
 * Relations as the rest of the server handles them: a RelationDesc gathers the rows of pg_class,
 * pg_attribute, pg_index, ... that describe one relation.
 *
 * A descriptor is immutable but for `valid`, which turns false when something it was made from
 * changed; whoever keeps one (a plan, a prepared statement) checks `valid` before using it again and
 * asks anew. What is rarely needed (defaults, constraints, rules, triggers) is looked up on access
 * and, like every lookup, may throw CatalogMiss.
 */
import { BTREE_AM_OID, GLOBALTABLESPACE_OID } from '@pgtroupe/common/oids';
import { assert } from '@pgtroupe/common/assert';
import type { Oid, RelFileNode } from '@pgtroupe/common/ids';
import type { Attribute, TupleDesc } from '@pgtroupe/access/common/tupdesc';
import type { SmgrRelation } from '@pgtroupe/storage/buffer/pages';
import { CatalogMiss } from './catalogmiss.ts';
import type { CatCache } from './catcache.ts';
import type { Form_pg_attrdef } from './catalogs/pg_attrdef.ts';
import type { Form_pg_attribute } from './catalogs/pg_attribute.ts';
import { AttributeRelidNameIndexId, AttributeRelidNumIndexId } from './catalogs/pg_attribute.ts';
import { AttrDefaultIndexId } from './catalogs/pg_attrdef.ts';
import { ClassOidIndexId } from './catalogs/pg_class.ts';
import type { Form_pg_class } from './catalogs/pg_class.ts';
import { ConstraintRelidTypidNameIndexId } from './catalogs/pg_constraint.ts';
import type { Form_pg_constraint } from './catalogs/pg_constraint.ts';
import { IndexIndrelidIndexId, IndexRelidIndexId } from './catalogs/pg_index.ts';
import type { Form_pg_index } from './catalogs/pg_index.ts';
import { RewriteRelRulenameIndexId } from './catalogs/pg_rewrite.ts';
import type { Form_pg_rewrite } from './catalogs/pg_rewrite.ts';
import { TriggerRelidNameIndexId } from './catalogs/pg_trigger.ts';
import type { Form_pg_trigger } from './catalogs/pg_trigger.ts';
import { TYPTYPE_DOMAIN } from './catalogs/pg_type.ts';
import { decodeMissing } from './missingval.ts';
import { FIRST_UNPINNED_OBJECT_ID } from './pinned.ts';
import { KEY_SEPARATOR } from './inval.ts';
import type { InvalMessage } from './inval.ts';
import {
  AMPROCNUM,
  ATTNUM,
  ATTRDEFNUM,
  CLAOID,
  CONRELID,
  INDEXINDRELID,
  INDEXRELID,
  RELOID,
  RULERELNAME,
  TRIGGERRELID,
  TYPEOID,
} from './syscache.ts';

const BTORDER_PROC = 1;

/** What the relation cache needs of the instance. */
export interface RelationStorage {
  /** `relation`: whose files they are. */
  smgropen(rnode: RelFileNode, relation: Oid): SmgrRelation;
  readonly databaseOid: Oid;
  /** dattablespace, where relations with reltablespace 0 live. */
  readonly defaultTablespace: Oid;
  /** File of a mapped relation (relfilenode 0). */
  mappedFilenode(oid: Oid, shared: boolean): Oid;
}

/** One key column of an index. */
export interface IndexKey {
  /** Attribute of the table; 0 is an expression. */
  readonly attnum: number;
  readonly opclass: Oid;
  readonly opfamily: Oid;
  readonly opcintype: Oid;
  readonly collation: Oid;
  /** INDOPTION_DESC, INDOPTION_NULLS_FIRST. */
  readonly option: number;
  /** btree: pg_proc oid of the comparison function, else 0. */
  readonly orderProc: Oid;
}

/** An index and how it orders its keys. */
export interface IndexDesc {
  readonly index: Form_pg_index;
  readonly rel: RelationDesc;
  /** Key columns (indnkeyatts); INCLUDE columns are only in rel.att. */
  readonly keys: readonly IndexKey[];
}

export class RelationDesc {
  readonly oid: Oid;
  readonly rel: Form_pg_class;
  readonly att: TupleDesc;
  /** By attnum - 1, dropped ones included. */
  readonly attributes: readonly Form_pg_attribute[];
  readonly rnode: RelFileNode;
  valid = true;
  readonly #cache: RelCache;
  #smgr: SmgrRelation | undefined;

  constructor(cache: RelCache, rel: Form_pg_class, attributes: readonly Form_pg_attribute[], rnode: RelFileNode) {
    this.#cache = cache;
    this.oid = rel.oid;
    this.rel = rel;
    this.attributes = attributes;
    this.att = tupleDescOf(attributes, oid => baseType(cache.rows, oid));
    this.rnode = rnode;
  }

  get name(): string {
    return this.rel.relname;
  }

  /** The relation's files; not for views and the like. */
  get smgr(): SmgrRelation {
    return (this.#smgr ??= this.#cache.storage.smgropen(this.rnode, this.oid));
  }

  /** Live indexes in OID order. */
  get indexes(): readonly IndexDesc[] {
    return this.rel.relhasindex ? this.#cache.indexesOf(this) : [];
  }

  get primaryKey(): IndexDesc | undefined {
    return this.indexes.find(i => i.index.indisprimary);
  }

  /** By column: pg_attrdef rows (defaults and generation expressions). */
  get defaults(): readonly Form_pg_attrdef[] {
    return this.attributes.some(a => a.atthasdef) ? this.#cache.rows.searchList(ATTRDEFNUM, this.oid) : [];
  }

  get constraints(): readonly Form_pg_constraint[] {
    return this.#cache.rows.searchList(CONRELID, this.oid);
  }

  get rules(): readonly Form_pg_rewrite[] {
    return this.rel.relhasrules ? this.#cache.rows.searchList(RULERELNAME, this.oid) : [];
  }

  get triggers(): readonly Form_pg_trigger[] {
    return this.rel.relhastriggers ? this.#cache.rows.searchList(TRIGGERRELID, this.oid) : [];
  }

  get toast(): RelationDesc | undefined {
    return this.rel.reltoastrelid === 0 ? undefined : this.#cache.mustFind(this.rel.reltoastrelid);
  }
}

/** Attribute descriptions for forming and reading tuples, from attributes 1, 2, ... in order. */
export function tupleDescOf(attributes: readonly Form_pg_attribute[], baseTypeOf: (typid: Oid) => Oid): TupleDesc {
  return {
    attrs: attributes.map(
      (a): Attribute => ({
        name: a.attname,
        typid: a.atttypid,
        typmod: a.atttypmod,
        len: a.attlen,
        byval: a.attbyval,
        align: a.attalign as Attribute['align'],
        storage: a.attstorage as Attribute['storage'],
        notNull: a.attnotnull,
        dropped: a.attisdropped,
        collation: a.attcollation,
        hasDefault: a.atthasdef,
        baseTypid: baseTypeOf(a.atttypid),
        missing:
          a.atthasmissing && a.attmissingval !== null
            ? decodeMissing(a, baseTypeOf(a.atttypid), a.attmissingval)
            : null,
      }),
    ),
  };
}

/** The type beneath any domains. Built-in types are none. */
function baseType(rows: CatCache, typid: Oid): Oid {
  let base = typid;
  while (base >= FIRST_UNPINNED_OBJECT_ID) {
    const type = rows.search(TYPEOID, base);
    if (type === null || type.typtype !== TYPTYPE_DOMAIN) return base;
    base = type.typbasetype;
  }
  return base;
}

/** Indexes of catalogs that describe relations, and where in the key the relation's oid is. */
const DESCRIBES_RELATION: ReadonlyMap<Oid, number> = new Map([
  [ClassOidIndexId, 0],
  [AttributeRelidNameIndexId, 0],
  [AttributeRelidNumIndexId, 0],
  [IndexIndrelidIndexId, 0],
  [IndexRelidIndexId, 0],
  [AttrDefaultIndexId, 0],
  [ConstraintRelidTypidNameIndexId, 0],
  [RewriteRelRulenameIndexId, 0],
  [TriggerRelidNameIndexId, 0],
]);

export class RelCache {
  readonly rows: CatCache;
  readonly storage: RelationStorage;
  readonly #relations = new Map<Oid, RelationDesc>();
  readonly #indexes = new Map<Oid, readonly IndexDesc[]>();

  constructor(rows: CatCache, storage: RelationStorage) {
    this.rows = rows;
    this.storage = storage;
  }

  /** The relation, or null when there is none with this oid. */
  find(oid: Oid): RelationDesc | null {
    const known = this.#relations.get(oid);
    if (known !== undefined) return known;
    if (
      !this.rows.has(RELOID, [oid]) ||
      !this.rows.hasList(ATTNUM, [oid]) ||
      !this.rows.hasList(INDEXINDRELID, [oid])
    ) {
      throw new CatalogMiss(() => this.#load(oid));
    }
    const rel = this.rows.search(RELOID, oid);
    if (rel === null) return null;
    const attributes = this.rows.searchList(ATTNUM, oid).filter(a => a.attnum > 0);
    const desc = new RelationDesc(
      this,
      rel,
      attributes.sort((a, b) => a.attnum - b.attnum),
      this.#rnodeOf(rel),
    );
    this.#relations.set(oid, desc);
    return desc;
  }

  mustFind(oid: Oid): RelationDesc {
    const desc = this.find(oid);
    assert(desc !== null, `could not open relation with OID ${oid}`);
    return desc;
  }

  /** Reads in one go what `find` of a table and of its indexes needs. */
  async #load(oid: Oid): Promise<void> {
    const { rows } = this;
    await Promise.all([rows.loadRow(RELOID, [oid]), rows.loadList(ATTNUM, [oid]), rows.loadList(INDEXINDRELID, [oid])]);
    if (!rows.hasList(INDEXINDRELID, [oid])) return;
    const indexes = rows.searchList(INDEXINDRELID, oid).map(index => index.indexrelid);
    await Promise.all(
      indexes.flatMap(index => [
        rows.loadRow(RELOID, [index]),
        rows.loadList(ATTNUM, [index]),
        rows.loadList(INDEXINDRELID, [index]),
      ]),
    );
  }

  #rnodeOf(rel: Form_pg_class): RelFileNode {
    const { storage } = this;
    if (rel.relisshared) {
      return {
        spcNode: GLOBALTABLESPACE_OID,
        dbNode: 0 as Oid,
        relNode: rel.relfilenode || storage.mappedFilenode(rel.oid, true),
      };
    }
    const hasStorage = 'rtiSm'.includes(rel.relkind);
    return {
      spcNode: rel.reltablespace || storage.defaultTablespace,
      dbNode: storage.databaseOid,
      relNode: rel.relfilenode || (hasStorage ? storage.mappedFilenode(rel.oid, false) : (0 as Oid)),
    };
  }

  indexesOf(table: RelationDesc): readonly IndexDesc[] {
    const known = this.#indexes.get(table.oid);
    if (known !== undefined) return known;
    const live = this.rows.searchList(INDEXINDRELID, table.oid).filter(index => index.indislive);
    const indexes = live.map(index => this.#indexDesc(index)).sort((a, b) => a.index.indexrelid - b.index.indexrelid);
    this.#indexes.set(table.oid, indexes);
    return indexes;
  }

  /** The index with this oid; null when it is not an index. */
  findIndex(oid: Oid): IndexDesc | null {
    const index = this.rows.search(INDEXRELID, oid);
    if (index === null) return null;
    return (
      this.indexesOf(this.mustFind(index.indrelid)).find(i => i.index.indexrelid === oid) ?? this.#indexDesc(index)
    );
  }

  #indexDesc(index: Form_pg_index): IndexDesc {
    const rel = this.mustFind(index.indexrelid);
    const keys = index.indclass.slice(0, index.indnkeyatts).map((opclass, n): IndexKey => {
      const oc = this.rows.search(CLAOID, opclass);
      assert(oc !== null, `index ${rel.name} has an operator class`);
      const order =
        rel.rel.relam === BTREE_AM_OID
          ? this.rows.search(AMPROCNUM, oc.opcfamily, oc.opcintype, oc.opcintype, BTORDER_PROC)
          : null;
      return {
        attnum: index.indkey[n]!,
        opclass,
        opfamily: oc.opcfamily,
        opcintype: oc.opcintype,
        collation: index.indcollation[n]!,
        option: index.indoption[n]!,
        orderProc: order?.amproc ?? (0 as Oid),
      };
    });
    return { index, rel, keys };
  }

  invalidate(message: InvalMessage): void {
    switch (message.kind) {
      case 'row': {
        const part = DESCRIBES_RELATION.get(message.index);
        if (part !== undefined) this.#forget(Number(message.key.split(KEY_SEPARATOR)[part]) as Oid);
        break;
      }
      case 'relation':
        this.#forget(message.relid);
        break;
      case 'catalog':
      case 'all':
      case 'relmap':
        this.reset();
        break;
    }
  }

  #forget(oid: Oid): void {
    const known = this.#relations.get(oid);
    if (known !== undefined) {
      known.valid = false;
      this.#relations.delete(oid);
    }
    const indexes = this.#indexes.get(oid);
    if (indexes !== undefined) this.#indexes.delete(oid);
    // An index's change is a change of its table's list of indexes.
    for (const [table, list] of this.#indexes)
      if (list.some(i => i.index.indexrelid === oid)) this.#indexes.delete(table);
  }

  reset(): void {
    for (const desc of this.#relations.values()) desc.valid = false;
    this.#relations.clear();
    this.#indexes.clear();
  }
}
