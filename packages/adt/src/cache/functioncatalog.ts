/**
 * What functions see of the catalogs: facts about types, kept as PostgreSQL's typcache keeps them, the search path, and the
 * system caches themselves for all else. May throw CatalogMiss when something is not loaded yet.
 */
import type { Oid } from '@pgtroupe/common/ids';
import {
  AMOPSTRATEGY,
  AMPROCNUM,
  CASTSOURCETARGET,
  CLAAMNAMENSP,
  OPEROID,
  PROCOID,
  TYPEOID,
  type SysCacheReader,
} from '@pgtroupe/catalog/syscache';
import {
  ANYARRAYOID,
  ANYENUMOID,
  ANYMULTIRANGEOID,
  ANYRANGEOID,
  BTREE_AM_OID,
  HASH_AM_OID,
  RECORDOID,
} from '@pgtroupe/common/oids';
import { SystemCatalog } from '@pgtroupe/catalog/systemcatalog';
import { RecordTypes } from './recordtypes.ts';
/** pg_type, with I/O functions by prosrc. */
export interface TypeFacts {
  readonly oid: Oid;
  readonly typname: string;
  readonly typnamespace: Oid;
  readonly typlen: number;
  readonly typbyval: boolean;
  readonly typalign: 'c' | 's' | 'i' | 'd';
  readonly typtype: string;
  readonly typcategory: string;
  readonly typdelim: string;
  readonly typrelid: Oid;
  readonly typelem: Oid;
  readonly typarray: Oid;
  readonly typinput: string;
  readonly typoutput: string;
  readonly typreceive: string;
  readonly typsend: string;
  readonly typmodout: string;
  readonly typbasetype: Oid;
  readonly typtypmod: number;
  readonly typcollation: Oid;
  /** True for arrays proper: typsubscript is array_subscript_handler. */
  readonly isArray: boolean;
  /** prosrc of the default btree comparison and equality, hash function; '' when it has none. */
  readonly cmp: string;
  readonly eq: string;
  readonly hash: string;
}

/** A column of a row type. */
export interface AttributeFacts {
  readonly attname: string;
  readonly attnum: number;
  readonly atttypid: Oid;
  readonly atttypmod: number;
  readonly attisdropped: boolean;
  /** How a value is stored; of a dropped column it is all that is still known. */
  readonly attlen: number;
  readonly attbyval: boolean;
  readonly attalign: TypeFacts['typalign'];
}

export interface FunctionCatalog {
  /** Schemas searched for unqualified names, in order, implicit ones (pg_temp, pg_catalog) included. */
  searchPath(): readonly Oid[];
  type(oid: Oid): TypeFacts | undefined;
  /** The session's row types of anonymous records. */
  readonly recordTypes: RecordTypes;
  /** The catalogs of the transaction whose turn it is. */
  caches(): SysCacheReader;
}

const BT_EQUAL = 3;
/** What the default operator classes of all types of a kind (typtype) are declared for. */
const CLASS_OF_KIND: Readonly<Record<string, Oid>> = {
  e: ANYENUMOID,
  r: ANYRANGEOID,
  m: ANYMULTIRANGEOID,
  c: RECORDOID,
};
const ARRAY_SUBSCRIPT_HANDLER = 6179;

const MAX_TYPES = 2000;

export class SysFunctionCatalog implements FunctionCatalog {
  readonly recordTypes = new RecordTypes();
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
      isArray: row.typelem !== 0 && row.typsubscript === ARRAY_SUBSCRIPT_HANDLER,
      ...this.#ordering(row.oid),
    };
    // Of types that are gone as well.
    if (this.#types.size >= MAX_TYPES) this.#types.clear();
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
}
