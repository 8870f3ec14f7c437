/**
 * CatalogLookup over a SystemCatalog: what built-in functions may ask, answered from the caches. May throw
 * CatalogMiss like every lookup there.
 */
import { BTREE_AM_OID, HASH_AM_OID } from '@pgtroupe/common/oids';
import { encodeAcl } from '@pgtroupe/catalog/acl';
import { recordTypeColumns } from './recordtypes.ts';
import type { AclItem, CatalogRow } from '@pgtroupe/catalog/catalog';
import type { Form_pg_operator } from '@pgtroupe/catalog/catalogs/pg_operator';
import type { Form_pg_proc } from '@pgtroupe/catalog/catalogs/pg_proc';
import { ANYARRAYOID, ANYENUMOID, ANYMULTIRANGEOID, ANYRANGEOID, RECORDOID } from '@pgtroupe/common/oids';
import {
  AMOPSTRATEGY,
  AMPROCNUM,
  ATTNUM,
  AUTHNAME,
  AUTHOID,
  CASTSOURCETARGET,
  CLAAMNAMENSP,
  CLAOID,
  COLLOID,
  CONVOID,
  DATABASENAME,
  DATABASEOID,
  ENUMTYPOIDNAME,
  NAMESPACENAME,
  NAMESPACEOID,
  OPERNAMENSP,
  OPEROID,
  OPFAMILYOID,
  PROCNAMEARGSNSP,
  PROCOID,
  RELNAMENSP,
  RELOID,
  STATEXTOID,
  TSCONFIGOID,
  TSDICTOID,
  TSPARSEROID,
  TSTEMPLATEOID,
  TYPENAMENSP,
  TYPEOID,
  type SysCache,
} from '@pgtroupe/catalog/syscache';
import type { SystemCatalog } from '@pgtroupe/catalog/systemcatalog';
import { assert } from '@pgtroupe/common/assert';
import type { Oid } from '@pgtroupe/common/ids';
import type {
  AttributeFacts,
  CatalogLookup,
  DatabaseFacts,
  EnumLabel,
  NamedFacts,
  NamespaceFacts,
  OperatorFacts,
  ProcFacts,
  RelationFacts,
  RoleFacts,
  TypeFacts,
} from './lookup.ts';

const BT_EQUAL = 3;
/** What the default operator classes of all types of a kind (typtype) are declared for. */
const CLASS_OF_KIND: Readonly<Record<string, Oid>> = {
  e: ANYENUMOID,
  r: ANYRANGEOID,
  m: ANYMULTIRANGEOID,
  c: RECORDOID,
};
const ARRAY_SUBSCRIPT_HANDLER = 6179;

/** Catalogs of named objects in schemas: their cache and how their name columns begin. */
const NAMED: Readonly<Record<string, { readonly cache: SysCache; readonly prefix: string }>> = {
  pg_collation: { cache: COLLOID, prefix: 'coll' },
  pg_ts_config: { cache: TSCONFIGOID, prefix: 'cfg' },
  pg_ts_dict: { cache: TSDICTOID, prefix: 'dict' },
  pg_ts_parser: { cache: TSPARSEROID, prefix: 'prs' },
  pg_ts_template: { cache: TSTEMPLATEOID, prefix: 'tmpl' },
  pg_opclass: { cache: CLAOID, prefix: 'opc' },
  pg_opfamily: { cache: OPFAMILYOID, prefix: 'opf' },
  pg_conversion: { cache: CONVOID, prefix: 'con' },
  pg_statistic_ext: { cache: STATEXTOID, prefix: 'stx' },
};

export class SysLookup implements CatalogLookup {
  readonly #catalog: () => SystemCatalog;
  readonly #searchPath: () => readonly Oid[];
  readonly #types = new Map<Oid, { readonly version: number; readonly facts: TypeFacts }>();

  /** `catalog`: the view of the transaction whose turn it is. */
  constructor(catalog: () => SystemCatalog, searchPath: () => readonly Oid[]) {
    this.#catalog = catalog;
    this.#searchPath = searchPath;
  }

  caches(): SystemCatalog {
    return this.#catalog();
  }

  searchPath(): readonly Oid[] {
    return this.#searchPath();
  }

  type(oid: Oid): TypeFacts | undefined {
    const catalog = this.#catalog();
    const known = this.#types.get(oid);
    if (known !== undefined && known.version === catalog.version) return known.facts;
    const row = catalog.search(TYPEOID, oid);
    if (row === null) return undefined;
    const facts: TypeFacts = {
      oid: row.oid,
      typname: row.typname,
      typnamespace: row.typnamespace,
      typlen: row.typlen,
      typbyval: row.typbyval,
      typalign: row.typalign as TypeFacts['typalign'],
      typtype: row.typtype,
      typcategory: row.typcategory,
      typdelim: row.typdelim,
      typrelid: row.typrelid,
      typelem: row.typelem,
      typarray: row.typarray,
      typinput: this.#prosrc(row.typinput),
      typoutput: this.#prosrc(row.typoutput),
      typreceive: this.#prosrc(row.typreceive),
      typsend: this.#prosrc(row.typsend),
      typmodout: this.#prosrc(row.typmodout),
      typbasetype: row.typbasetype,
      typtypmod: row.typtypmod,
      typcollation: row.typcollation,
      typowner: row.typowner,
      typacl: acl(row.typacl),
      isArray: row.typelem !== 0 && row.typsubscript === ARRAY_SUBSCRIPT_HANDLER,
      ...this.#ordering(row.oid),
    };
    this.#types.set(oid, { version: catalog.version, facts });
    return facts;
  }

  /** Comparison, equality and hash of a type's default operator classes (lookup_type_cache). */
  #ordering(oid: Oid): { readonly cmp: string; readonly eq: string; readonly hash: string } {
    const btree = this.#defaultOpclass(BTREE_AM_OID, oid);
    const hash = this.#defaultOpclass(HASH_AM_OID, oid);
    const catalog = this.#catalog();
    let eq = '';
    if (btree !== undefined) {
      const amop = catalog.search(AMOPSTRATEGY, btree.family, btree.type, btree.type, BT_EQUAL);
      const operator = amop === null ? null : catalog.search(OPEROID, amop.amopopr);
      if (operator !== null) eq = this.#prosrc(operator.oprcode);
    }
    return {
      cmp: btree === undefined || oid === 0 ? '' : this.#support(btree, 1),
      eq,
      hash: hash === undefined ? '' : this.#support(hash, 1),
    };
  }

  /** The class for the type itself, else for what it is a kind of, or is stored like (GetDefaultOpClass). */
  #defaultOpclass(method: number, type: Oid): { readonly family: Oid; readonly type: Oid } | undefined {
    const catalog = this.#catalog();
    let row = catalog.search(TYPEOID, type);
    while (row !== null && row.typtype === 'd') row = catalog.search(TYPEOID, row.typbasetype);
    if (row === null) return undefined;
    const base = row.oid;
    const isArray = row.typelem !== 0 && row.typsubscript === ARRAY_SUBSCRIPT_HANDLER;
    const kind = isArray ? ANYARRAYOID : (CLASS_OF_KIND[row.typtype] ?? 0);
    const classes = catalog.searchList(CLAAMNAMENSP, method).filter(c => c.opcdefault);
    const stored = (c: { readonly opcintype: Oid }): boolean => {
      const cast = catalog.search(CASTSOURCETARGET, base, c.opcintype);
      return cast !== null && cast.castmethod === 'b' && cast.castcontext === 'i';
    };
    const found =
      classes.find(c => c.opcintype === base) ??
      classes.find(c => c.opcintype === kind) ??
      classes.find(c => stored(c) && catalog.search(TYPEOID, c.opcintype)?.typispreferred === true);
    return found === undefined ? undefined : { family: found.opcfamily, type: found.opcintype };
  }

  #support(opclass: { readonly family: Oid; readonly type: Oid }, number: number): string {
    const proc = this.#catalog().search(AMPROCNUM, opclass.family, opclass.type, opclass.type, number);
    return proc === null ? '' : this.#prosrc(proc.amproc);
  }

  #prosrc(proc: Oid): string {
    return proc === 0 ? '' : (this.#catalog().search(PROCOID, proc)?.prosrc ?? '');
  }

  typeByName(name: string, namespace: Oid): Oid | undefined {
    return this.#catalog().search(TYPENAMENSP, name, namespace)?.oid;
  }

  relation(oid: Oid): RelationFacts | undefined {
    const row = this.#catalog().search(RELOID, oid);
    return row === null ? undefined : { ...row, relacl: acl(row.relacl) };
  }

  relationByName(name: string, namespace: Oid): Oid | undefined {
    return this.#catalog().search(RELNAMENSP, name, namespace)?.oid;
  }

  recordColumns(typmod: number): readonly AttributeFacts[] | undefined {
    return recordTypeColumns(typmod);
  }

  attributes(relation: Oid): readonly AttributeFacts[] | undefined {
    const rows = this.#catalog().searchList(ATTNUM, relation);
    if (rows.length === 0) return undefined;
    return rows
      .map(row => ({ ...row, attalign: row.attalign as AttributeFacts['attalign'], attacl: acl(row.attacl) }))
      .sort((a, b) => a.attnum - b.attnum);
  }

  namespace(oid: Oid): NamespaceFacts | undefined {
    const row = this.#catalog().search(NAMESPACEOID, oid);
    return row === null ? undefined : { ...row, nspacl: acl(row.nspacl) };
  }

  namespaceByName(name: string): Oid | undefined {
    return this.#catalog().search(NAMESPACENAME, name)?.oid;
  }

  proc(oid: Oid): ProcFacts | undefined {
    const row = this.#catalog().search(PROCOID, oid);
    return row === null ? undefined : procFacts(row);
  }

  procsByName(name: string): readonly ProcFacts[] {
    return this.#catalog().searchList(PROCNAMEARGSNSP, name).map(procFacts);
  }

  operator(oid: Oid): OperatorFacts | undefined {
    return this.#catalog().search(OPEROID, oid) ?? undefined;
  }

  operatorsByName(name: string): readonly OperatorFacts[] {
    return this.#catalog().searchList(OPERNAMENSP, name) as readonly Form_pg_operator[];
  }

  role(oid: Oid): RoleFacts | undefined {
    return this.#catalog().search(AUTHOID, oid) ?? undefined;
  }

  roleByName(name: string): Oid | undefined {
    return this.#catalog().search(AUTHNAME, name)?.oid;
  }

  database(oid: Oid): DatabaseFacts | undefined {
    const row = this.#catalog().search(DATABASEOID, oid);
    return row === null ? undefined : { ...row, datacl: acl(row.datacl) };
  }

  databaseByName(name: string): Oid | undefined {
    return this.#catalog().search(DATABASENAME, name)?.oid;
  }

  named(catalog: string, oid: Oid): NamedFacts | undefined {
    const { cache, prefix } = namedCatalog(catalog);
    const row = this.#catalog().search(cache, oid);
    return row === null ? undefined : namedFacts(row, prefix);
  }

  namedByName(catalog: string, name: string, namespace: Oid): Oid | undefined {
    const { cache, prefix } = namedCatalog(catalog);
    return this.#catalog()
      .searchList(cache)
      .map(row => namedFacts(row, prefix))
      .find(facts => facts.name === name && facts.namespace === namespace)?.oid;
  }

  enumLabels(type: Oid): readonly EnumLabel[] {
    return this.#catalog()
      .searchList(ENUMTYPOIDNAME, type)
      .map(row => ({ oid: row.oid, label: row.enumlabel, sortOrder: row.enumsortorder }))
      .sort((a, b) => a.sortOrder - b.sortOrder);
  }
}

function acl(items: readonly AclItem[] | null): Uint8Array | null {
  return items === null ? null : encodeAcl(items);
}

function procFacts(row: Form_pg_proc): ProcFacts {
  return { ...row, proacl: acl(row.proacl) };
}

function namedCatalog(catalog: string): { readonly cache: SysCache; readonly prefix: string } {
  const named = NAMED[catalog];
  assert(named !== undefined, `${catalog} has named objects`);
  return named;
}

function namedFacts(row: CatalogRow, prefix: string): NamedFacts {
  const fields = row as unknown as Readonly<Record<string, unknown>>;
  return {
    oid: fields['oid'] as Oid,
    name: fields[`${prefix}name`] as string,
    namespace: fields[`${prefix}namespace`] as Oid,
  };
}
