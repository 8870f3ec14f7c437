/**
 * The files of a fresh database, built in memory from the facts: heaps, TOAST heaps and btrees of
 * every catalog. All databases of a new cluster are the same, so one set serves for all.
 *
 * pg_class describes the sizes of all relations, itself included. No index covers those columns, so
 * pg_class is built with unknown sizes first, to have its own and its indexes' sizes, and once more.
 */
import { BOOTSTRAP_SUPERUSERID } from '@pgtroupe/common/oids';
import { assert } from '@pgtroupe/common/assert';
import type { Datum } from '@pgtroupe/common/datum';
import type { Oid } from '@pgtroupe/common/ids';
import { ALL_CATALOGS } from '@pgtroupe/catalog/catalogs/all';
import { AttributeRelationId, pgAttribute } from '@pgtroupe/catalog/catalogs/pg_attribute';
import type { Form_pg_attribute } from '@pgtroupe/catalog/catalogs/pg_attribute';
import { AuthIdRelationId, pgAuthid } from '@pgtroupe/catalog/catalogs/pg_authid';
import { pgClass, RELKIND_RELATION, RelationRelationId } from '@pgtroupe/catalog/catalogs/pg_class';
import type { Form_pg_class } from '@pgtroupe/catalog/catalogs/pg_class';
import { pgIndex } from '@pgtroupe/catalog/catalogs/pg_index';
import type { Form_pg_index } from '@pgtroupe/catalog/catalogs/pg_index';
import { pgType } from '@pgtroupe/catalog/catalogs/pg_type';
import type { Form_pg_type } from '@pgtroupe/catalog/catalogs/pg_type';
import { factDatum, factDatums, factRows, readFacts } from '@pgtroupe/catalog/facts';
import { tupleDescOf } from '@pgtroupe/catalog/relcache';
import { decodeRow, encodeField } from '@pgtroupe/catalog/rowcodec';
import type { TupleDesc } from '@pgtroupe/access/common/tupdesc';
import { HeapFile } from './heapfile.ts';
import type { Toast } from './heapfile.ts';
import { buildIndexFile, IndexFacts } from './indexfile.ts';
import type { IndexEntry } from './indexfile.ts';

/** First oid behind those that the facts use; TOAST values get them, as in PostgreSQL's own initdb. */
const FIRST_FREE_OID = 14000;

export interface TemplateFiles {
  /** Content by file number (= relation oid in a fresh cluster). */
  readonly local: ReadonlyMap<Oid, Uint8Array>;
  readonly shared: ReadonlyMap<Oid, Uint8Array>;
  readonly localMap: ReadonlyMap<Oid, Oid>;
  readonly sharedMap: ReadonlyMap<Oid, Oid>;
}

export interface TemplateOptions {
  /** Name of the bootstrap superuser. */
  readonly username: string;
  /** rolpassword: a SCRAM verifier, or null. */
  readonly password: string | null;
}

export function buildTemplate(options: TemplateOptions): TemplateFiles {
  return new TemplateBuilder(options).build();
}

function groupBy<T>(rows: readonly T[], key: (row: T) => Oid): Map<Oid, T[]> {
  const groups = new Map<Oid, T[]>();
  for (const row of rows) {
    const group = groups.get(key(row));
    if (group === undefined) groups.set(key(row), [row]);
    else group.push(row);
  }
  return groups;
}

interface Size {
  readonly pages: number;
  readonly tuples: number;
}

class TemplateBuilder {
  readonly #options: TemplateOptions;
  readonly #classDatums = factDatums(pgClass);
  readonly #classes: ReadonlyMap<Oid, Form_pg_class>;
  readonly #attributes: ReadonlyMap<Oid, readonly Form_pg_attribute[]>;
  readonly #attributeDatums = factDatums(pgAttribute);
  readonly #indexes: ReadonlyMap<Oid, readonly Form_pg_index[]>;
  readonly #types: ReadonlyMap<Oid, Form_pg_type>;
  readonly #indexFacts = new IndexFacts();
  readonly #files = new Map<Oid, Uint8Array>();
  readonly #sizes = new Map<Oid, Size>();
  #nextOid = FIRST_FREE_OID;

  constructor(options: TemplateOptions) {
    this.#options = options;
    const classes = this.#classDatums.map(values => decodeRow(pgClass, values));
    const attributes = this.#attributeDatums.map(values => decodeRow(pgAttribute, values));
    this.#classes = new Map(classes.map(c => [c.oid, c]));
    this.#attributes = groupBy(
      attributes.filter(a => a.attnum > 0),
      a => a.attrelid,
    );
    this.#indexes = groupBy(factRows(pgIndex), i => i.indrelid);
    this.#types = new Map(factRows(pgType).map(t => [t.oid, t]));
  }

  build(): TemplateFiles {
    for (const rel of this.#classes.values()) {
      assert(rel.oid < FIRST_FREE_OID, 'facts use only low oids');
      if (rel.relkind === RELKIND_RELATION && rel.oid !== RelationRelationId) this.#buildTable(rel, this.#rows(rel));
    }
    const pgClassRel = this.#classes.get(RelationRelationId)!;
    this.#buildTable(pgClassRel, this.#classDatums);
    this.#buildTable(pgClassRel, this.#classRowsWithSizes());
    return this.#sorted();
  }

  #buildTable(rel: Form_pg_class, rows: readonly (readonly Datum[])[]): void {
    const toast = rel.reltoastrelid === 0 ? undefined : this.#toastOf(rel.reltoastrelid);
    const heap = new HeapFile(this.#desc(rel.oid), toast);
    const stored = rows.map(values => ({ values, tid: heap.insert(values) }));
    this.#add(rel.oid, heap.bytes(), heap.tuples);
    this.#buildIndexes(rel.oid, stored);
    if (toast === undefined) return;
    this.#add(toast.oid, toast.heap.bytes(), toast.heap.tuples);
    this.#buildIndexes(toast.oid, toast.heap.chunks);
  }

  #toastOf(oid: Oid): Toast {
    return { oid, heap: new HeapFile(this.#desc(oid)), nextValueId: () => this.#nextOid++ as Oid };
  }

  #buildIndexes(relid: Oid, rows: readonly IndexEntry[]): void {
    for (const index of this.#indexes.get(relid) ?? []) {
      const entries = rows.map(({ values, tid }) => ({
        values: index.indkey.map(attnum => values[attnum - 1]!),
        tid,
      }));
      this.#add(
        index.indexrelid,
        buildIndexFile(this.#indexFacts, index, this.#desc(index.indexrelid), entries),
        rows.length,
      );
    }
  }

  #add(oid: Oid, bytes: Uint8Array, tuples: number): void {
    this.#files.set(oid, bytes);
    this.#sizes.set(oid, { pages: bytes.length / 8192, tuples });
  }

  #desc(relid: Oid): TupleDesc {
    return tupleDescOf(this.#attributes.get(relid)!, typid => this.#baseType(typid));
  }

  #baseType(typid: Oid): Oid {
    const type = this.#types.get(typid);
    return type === undefined || type.typbasetype === 0 ? typid : this.#baseType(type.typbasetype);
  }

  #rows(rel: Form_pg_class): readonly (readonly Datum[])[] {
    if (rel.oid === AttributeRelationId) return this.#attributeDatums;
    const catalog = ALL_CATALOGS.find(c => c.oid === rel.oid);
    if (catalog === undefined) return this.#informationSchemaRows(rel);
    const rows = factDatums(catalog);
    return rel.oid === AuthIdRelationId ? rows.map(row => this.#withOptions(row)) : rows;
  }

  #informationSchemaRows(rel: Form_pg_class): readonly (readonly Datum[])[] {
    const types = this.#attributes.get(rel.oid)!.map(a => this.#types.get(this.#baseType(a.atttypid))!.typname);
    return readFacts(rel.relname).rows.map(row => row.map((text, n) => factDatum(types[n]!, text)));
  }

  #withOptions(row: readonly Datum[]): readonly Datum[] {
    if (row[0] !== BOOTSTRAP_SUPERUSERID) return row;
    return row
      .with(pgAuthid.anum.rolname - 1, encodeField('name', this.#options.username))
      .with(pgAuthid.anum.rolpassword - 1, encodeField('text', this.#options.password));
  }

  #classRowsWithSizes(): readonly (readonly Datum[])[] {
    return this.#classDatums.map(row => {
      const size = this.#sizes.get(row[0] as Oid);
      if (size === undefined) return row;
      return row.with(pgClass.anum.relpages - 1, size.pages).with(pgClass.anum.reltuples - 1, size.tuples);
    });
  }

  #sorted(): TemplateFiles {
    const files = { local: new Map<Oid, Uint8Array>(), shared: new Map<Oid, Uint8Array>() };
    const maps = { local: new Map<Oid, Oid>(), shared: new Map<Oid, Oid>() };
    for (const [oid, bytes] of this.#files) {
      const rel = this.#classes.get(oid)!;
      const where = rel.relisshared ? 'shared' : 'local';
      files[where].set(oid, bytes);
      if (rel.relfilenode === 0) maps[where].set(oid, oid);
    }
    return { ...files, localMap: maps.local, sharedMap: maps.shared };
  }
}
