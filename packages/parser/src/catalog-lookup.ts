/**
 * The catalog questions analysis asks, over the system caches: PostgreSQL's lsyscache, namespace and
 * the parts of typcache the parser needs. Every method is synchronous and may throw CatalogMiss;
 * analysis is pure and is simply run again. One object per statement: it holds the effective search
 * path and nothing else.
 */
import { RelationRelationId } from '@pgtroupe/catalog/catalogs/pg_class';
import {
  ANYARRAYOID,
  ANYCOMPATIBLEARRAYOID,
  ANYCOMPATIBLEMULTIRANGEOID,
  ANYCOMPATIBLENONARRAYOID,
  ANYCOMPATIBLEOID,
  ANYCOMPATIBLERANGEOID,
  ANYELEMENTOID,
  ANYENUMOID,
  ANYMULTIRANGEOID,
  ANYNONARRAYOID,
  ANYRANGEOID,
  BTREE_AM_OID,
  F_ARRAY_SUBSCRIPT_HANDLER,
  F_JSONB_SUBSCRIPT_HANDLER,
  F_RAW_ARRAY_SUBSCRIPT_HANDLER,
  HASH_AM_OID,
  PG_CATALOG_NAMESPACE,
  RECORDOID,
} from '@pgtroupe/common/oids';
import type { Form_pg_aggregate } from '@pgtroupe/catalog/catalogs/pg_aggregate';
import type { Form_pg_amop } from '@pgtroupe/catalog/catalogs/pg_amop';
import type { Form_pg_amproc } from '@pgtroupe/catalog/catalogs/pg_amproc';
import type { Form_pg_attribute } from '@pgtroupe/catalog/catalogs/pg_attribute';
import type { Form_pg_cast } from '@pgtroupe/catalog/catalogs/pg_cast';
import type { Form_pg_class } from '@pgtroupe/catalog/catalogs/pg_class';
import type { Form_pg_collation } from '@pgtroupe/catalog/catalogs/pg_collation';
import type { Form_pg_constraint } from '@pgtroupe/catalog/catalogs/pg_constraint';
import type { Form_pg_index } from '@pgtroupe/catalog/catalogs/pg_index';
import type { Form_pg_opclass } from '@pgtroupe/catalog/catalogs/pg_opclass';
import type { Form_pg_operator } from '@pgtroupe/catalog/catalogs/pg_operator';
import type { Form_pg_proc } from '@pgtroupe/catalog/catalogs/pg_proc';
import type { Form_pg_range } from '@pgtroupe/catalog/catalogs/pg_range';
import type { Form_pg_rewrite } from '@pgtroupe/catalog/catalogs/pg_rewrite';
import type { Form_pg_type } from '@pgtroupe/catalog/catalogs/pg_type';
import { schemaDenied } from '@pgtroupe/catalog/namespace';
import {
  AGGFNOID,
  AMOPOPID,
  AMOPSTRATEGY,
  AMPROCNUM,
  ATTNUM,
  ATTRDEFNUM,
  AUTHOID,
  CASTSOURCETARGET,
  CLAAMNAMENSP,
  CLAOID,
  COLLNAMEENCNSP,
  COLLOID,
  CONRELID,
  DEPENDREFERENCE,
  INDEXINDRELID,
  INDEXRELID,
  INHRELID,
  NAMESPACENAME,
  NAMESPACEOID,
  OPERNAMENSP,
  OPEROID,
  PROCNAMEARGSNSP,
  PROCOID,
  RANGETYPE,
  RANGEMULTIRANGE,
  RELNAMENSP,
  RELOID,
  RULERELNAME,
  TYPENAMENSP,
  TYPEOID,
  type SysCacheReader,
} from '@pgtroupe/catalog/syscache';
import { ereport, notSupported } from '@pgtroupe/common/ereport';
import { type Oid, INVALID_OID } from '@pgtroupe/common/ids';
import { ERRCODE } from '@pgtroupe/common/errcodes';

export interface SessionNames {
  readonly databaseName: string;
  /** OID of the role whose privileges apply. */
  readonly userId: Oid;
  /** May it look into this schema? */
  readonly mayUse?: ((namespace: Oid) => boolean) | undefined;
}

const UTF8_ENCODING = 6;
/** pg_proc OID of array_subscript_handler: marks true arrays. */

export function isPolymorphicType(type: Oid): boolean {
  return isPolymorphicTypeFamily1(type) || isPolymorphicTypeFamily2(type);
}

export function isPolymorphicTypeFamily1(type: Oid): boolean {
  return (
    type === ANYELEMENTOID ||
    type === ANYARRAYOID ||
    type === ANYNONARRAYOID ||
    type === ANYENUMOID ||
    type === ANYRANGEOID ||
    type === ANYMULTIRANGEOID
  );
}

function isPolymorphicTypeFamily2(type: Oid): boolean {
  return (
    type === ANYCOMPATIBLEOID ||
    type === ANYCOMPATIBLEARRAYOID ||
    type === ANYCOMPATIBLENONARRAYOID ||
    type === ANYCOMPATIBLERANGEOID ||
    type === ANYCOMPATIBLEMULTIRANGEOID
  );
}

export class CatalogLookup {
  readonly #cache: SysCacheReader;
  /** Namespaces searched for unqualified names, in order, pg_catalog and pg_temp included. */
  readonly searchPath: readonly Oid[];
  /** The session's own pg_temp namespace, 0 if none: functions and operators are never found there. */
  readonly tempNamespace: Oid;
  readonly session: SessionNames;

  /** For look-ups that belong to one command or function only. */
  get caches(): SysCacheReader {
    return this.#cache;
  }

  constructor(cache: SysCacheReader, searchPath: readonly Oid[], session: SessionNames, tempNamespace = INVALID_OID) {
    this.#cache = cache;
    this.searchPath = searchPath;
    this.session = session;
    this.tempNamespace = tempNamespace;
  }

  // ---- types -------------------------------------------------------------------------------------

  typeOrNull(oid: Oid): Form_pg_type | null {
    return this.#cache.search(TYPEOID, oid);
  }

  type(oid: Oid): Form_pg_type {
    const row = this.typeOrNull(oid);
    if (row === null) throw ereport(ERRCODE.INTERNAL_ERROR, `cache lookup failed for type ${oid}`);
    return row;
  }

  /** OID of the named type in one namespace, 0 if there is none. */
  typeInNamespace(name: string, namespace: Oid): Oid {
    return this.#cache.search(TYPENAMENSP, name, namespace)?.oid ?? INVALID_OID;
  }

  /** OID of the first type of that name on the search path, 0 if there is none. */
  typenameGetTypid(name: string): Oid {
    for (const namespace of this.searchPath) {
      const oid = this.typeInNamespace(name, namespace);
      if (oid !== 0) return oid;
    }
    return INVALID_OID;
  }

  typeIsVisible(type: Form_pg_type): boolean {
    return this.typenameGetTypid(type.typname) === type.oid;
  }

  /** What a domain is over, through all levels, with its typmod. */
  baseTypeAndTypmod(oid: Oid, typmod: number): { readonly type: Oid; readonly typmod: number } {
    for (;;) {
      const row = this.typeOrNull(oid);
      if (row === null || row.typtype !== 'd') return { type: oid, typmod };
      oid = row.typbasetype;
      typmod = row.typtypmod;
    }
  }

  baseType(oid: Oid): Oid {
    return this.baseTypeAndTypmod(oid, -1).type;
  }

  isTrueArray(row: Form_pg_type): boolean {
    return row.typelem !== 0 && row.typsubscript === F_ARRAY_SUBSCRIPT_HANDLER;
  }

  /** Element type of a true array type, 0 for anything else (vectors and name included). */
  elementType(oid: Oid): Oid {
    const row = this.typeOrNull(oid);
    return row !== null && this.isTrueArray(row) ? row.typelem : INVALID_OID;
  }

  /** As elementType, but looks through domains. */
  baseElementType(oid: Oid): Oid {
    return this.elementType(this.baseType(oid));
  }

  arrayType(oid: Oid): Oid {
    return this.typeOrNull(oid)?.typarray ?? INVALID_OID;
  }

  /** Array type for an element, an array type itself being its own. */
  promotedArrayType(oid: Oid): Oid {
    const array = this.arrayType(oid);
    if (array !== 0) return array;
    return this.elementType(oid) !== 0 ? oid : INVALID_OID;
  }

  typeIsArrayDomain(oid: Oid): boolean {
    return this.baseElementType(oid) !== 0;
  }

  typeIsEnum(oid: Oid): boolean {
    return this.typeOrNull(oid)?.typtype === 'e';
  }

  typeIsRange(oid: Oid): boolean {
    return this.typeOrNull(oid)?.typtype === 'r';
  }

  typeIsMultirange(oid: Oid): boolean {
    return this.typeOrNull(oid)?.typtype === 'm';
  }

  typeCollation(oid: Oid): Oid {
    return this.typeOrNull(oid)?.typcollation ?? INVALID_OID;
  }

  typeIsCollatable(oid: Oid): boolean {
    return this.typeCollation(oid) !== 0;
  }

  /** pg_class OID of a composite type's relation, 0 for others; looks through domains. */
  typeOrDomainRelid(oid: Oid): Oid {
    return this.type(this.baseType(oid)).typrelid;
  }

  /** A composite type, or a domain over one. */
  isComplex(oid: Oid): boolean {
    return this.typeOrDomainRelid(oid) !== 0;
  }

  /** Composite, domain over composite, or record. */
  typeIsRowtype(oid: Oid): boolean {
    if (oid === RECORDOID) return true;
    const row = this.typeOrNull(oid);
    if (row === null) return false;
    if (row.typtype === 'c') return true;
    return row.typtype === 'd' && this.typeOrNull(this.baseType(oid))?.typtype === 'c';
  }

  subscriptKind(row: Form_pg_type): 'array' | 'raw-array' | 'jsonb' | null {
    switch (row.typsubscript as number) {
      case F_ARRAY_SUBSCRIPT_HANDLER:
        return 'array';
      case F_RAW_ARRAY_SUBSCRIPT_HANDLER:
        return 'raw-array';
      case F_JSONB_SUBSCRIPT_HANDLER:
        return 'jsonb';
      case 0:
        return null;
      default:
        throw notSupported(`subscripting of type ${row.typname}`);
    }
  }

  range(oid: Oid): Form_pg_range | null {
    return this.#cache.search(RANGETYPE, oid);
  }

  rangeSubtype(oid: Oid): Oid {
    return this.range(oid)?.rngsubtype ?? INVALID_OID;
  }

  rangeMultirange(oid: Oid): Oid {
    return this.range(oid)?.rngmultitypid ?? INVALID_OID;
  }

  multirangeRange(oid: Oid): Oid {
    return this.#cache.search(RANGEMULTIRANGE, oid)?.rngtypid ?? INVALID_OID;
  }

  // ---- namespaces and relations ------------------------------------------------------------------

  namespaceName(oid: Oid): string | null {
    return this.#cache.search(NAMESPACEOID, oid)?.nspname ?? null;
  }

  /** OID of a schema by name, 0 if it does not exist. `pg_temp` is the session's own. */
  namespaceOidOrZero(name: string): Oid {
    if (name === 'pg_temp') return this.tempNamespace;
    const oid = this.#cache.search(NAMESPACENAME, name)?.oid;
    if (oid !== undefined && this.session.mayUse?.(oid) === false) throw schemaDenied(name);
    return oid ?? INVALID_OID;
  }

  lookupExplicitNamespace(name: string): Oid {
    const oid = this.namespaceOidOrZero(name);
    if (oid === 0) throw ereport(ERRCODE.UNDEFINED_SCHEMA, `schema "${name}" does not exist`);
    return oid;
  }

  relationInNamespace(name: string, namespace: Oid): Oid {
    return this.#cache.search(RELNAMENSP, name, namespace)?.oid ?? INVALID_OID;
  }

  relnameGetRelid(name: string): Oid {
    for (const namespace of this.searchPath) {
      const oid = this.relationInNamespace(name, namespace);
      if (oid !== 0) return oid;
    }
    return INVALID_OID;
  }

  relationOrNull(oid: Oid): Form_pg_class | null {
    return this.#cache.search(RELOID, oid);
  }

  relation(oid: Oid): Form_pg_class {
    const row = this.relationOrNull(oid);
    if (row === null) throw ereport(ERRCODE.INTERNAL_ERROR, `could not open relation with OID ${oid}`);
    return row;
  }

  relationIsVisible(rel: Form_pg_class): boolean {
    return this.relnameGetRelid(rel.relname) === rel.oid;
  }

  /** User attributes in attnum order, dropped ones included. */
  attributes(relid: Oid): readonly Form_pg_attribute[] {
    return this.#cache
      .searchList(ATTNUM, relid)
      .filter(a => a.attnum > 0)
      .sort((a, b) => a.attnum - b.attnum);
  }

  attribute(relid: Oid, attnum: number): Form_pg_attribute | null {
    return this.#cache.search(ATTNUM, relid, attnum);
  }

  /** pg_attrdef.adbin of a column, null if it has no default. */
  attributeDefault(relid: Oid, attnum: number): string | null {
    return this.#cache.search(ATTRDEFNUM, relid, attnum)?.adbin ?? null;
  }

  /** The sequence behind an identity column, 0 if it has none. */
  identitySequence(relid: Oid, attnum: number): Oid {
    const rows = this.#cache.searchList(DEPENDREFERENCE, RelationRelationId, relid, attnum);
    const owned = rows.filter(row => row.classid === RelationRelationId && row.deptype === 'i');
    return owned.find(row => this.relationOrNull(row.objid)?.relkind === 'S')?.objid ?? INVALID_OID;
  }

  constraints(relid: Oid): readonly Form_pg_constraint[] {
    return this.#cache.searchList(CONRELID, relid);
  }

  indexes(relid: Oid): readonly Form_pg_index[] {
    return this.#cache.searchList(INDEXINDRELID, relid);
  }

  index(indexrelid: Oid): Form_pg_index | null {
    return this.#cache.search(INDEXRELID, indexrelid);
  }

  rules(relid: Oid): readonly Form_pg_rewrite[] {
    return this.#cache.searchList(RULERELNAME, relid);
  }

  /** Direct parents of a relation. */
  inheritsFrom(relid: Oid): readonly Oid[] {
    return this.#cache.searchList(INHRELID, relid).map(row => row.inhparent);
  }

  roleName(oid: Oid): string | null {
    return this.#cache.search(AUTHOID, oid)?.rolname ?? null;
  }

  // ---- functions and operators -------------------------------------------------------------------

  procOrNull(oid: Oid): Form_pg_proc | null {
    return this.#cache.search(PROCOID, oid);
  }

  proc(oid: Oid): Form_pg_proc {
    const row = this.procOrNull(oid);
    if (row === null) throw ereport(ERRCODE.INTERNAL_ERROR, `cache lookup failed for function ${oid}`);
    return row;
  }

  /** All functions of a name, in every namespace. */
  procsByName(name: string): readonly Form_pg_proc[] {
    return this.#cache.searchList(PROCNAMEARGSNSP, name);
  }

  aggregate(fnoid: Oid): Form_pg_aggregate | null {
    return this.#cache.search(AGGFNOID, fnoid);
  }

  operOrNull(oid: Oid): Form_pg_operator | null {
    return this.#cache.search(OPEROID, oid);
  }

  oper(oid: Oid): Form_pg_operator {
    const row = this.operOrNull(oid);
    if (row === null) throw ereport(ERRCODE.INTERNAL_ERROR, `cache lookup failed for operator ${oid}`);
    return row;
  }

  /** All operators of a name, in every namespace. */
  opersByName(name: string): readonly Form_pg_operator[] {
    return this.#cache.searchList(OPERNAMENSP, name);
  }

  cast(source: Oid, target: Oid): Form_pg_cast | null {
    return this.#cache.search(CASTSOURCETARGET, source, target);
  }

  // ---- collations --------------------------------------------------------------------------------

  collation(oid: Oid): Form_pg_collation | null {
    return this.#cache.search(COLLOID, oid);
  }

  /** The collation of a name usable with the database's encoding (UTF8). */
  collationInNamespace(name: string, namespace: Oid): Oid {
    return (
      this.#cache.search(COLLNAMEENCNSP, name, UTF8_ENCODING, namespace)?.oid ??
      this.#cache.search(COLLNAMEENCNSP, name, -1, namespace)?.oid ??
      INVALID_OID
    );
  }

  collationOnPath(name: string): Oid {
    for (const namespace of this.searchPath) {
      if (namespace === this.tempNamespace) continue;
      const oid = this.collationInNamespace(name, namespace);
      if (oid !== 0) return oid;
    }
    return INVALID_OID;
  }

  // ---- operator classes --------------------------------------------------------------------------

  opclass(oid: Oid): Form_pg_opclass | null {
    return this.#cache.search(CLAOID, oid);
  }

  opclassInNamespace(am: Oid, name: string, namespace: Oid): Oid {
    return this.#cache.search(CLAAMNAMENSP, am, name, namespace)?.oid ?? INVALID_OID;
  }

  opclassOnPath(am: Oid, name: string): Oid {
    for (const namespace of this.searchPath) {
      if (namespace === this.tempNamespace) continue;
      const oid = this.opclassInNamespace(am, name, namespace);
      if (oid !== 0) return oid;
    }
    return INVALID_OID;
  }

  /** The default operator class of an access method for a type, by PostgreSQL's preference rules. */
  defaultOpclass(type: Oid, am: Oid): Form_pg_opclass | null {
    const base = this.baseType(type);
    const category = this.typeOrNull(base)?.typcategory ?? '';
    let exact: Form_pg_opclass | null = null;
    let preferred: Form_pg_opclass | null = null;
    let compatible: Form_pg_opclass | null = null;
    let npreferred = 0;
    let ncompatible = 0;
    for (const opc of this.#cache.searchList(CLAAMNAMENSP, am)) {
      if (!opc.opcdefault) continue;
      if (opc.opcintype === base) exact = opc;
      else if (this.isBinaryCoercible(base, opc.opcintype)) {
        const target = this.typeOrNull(opc.opcintype);
        if (target !== null && target.typcategory === category && target.typispreferred) {
          npreferred++;
          preferred = opc;
        } else {
          ncompatible++;
          compatible = opc;
        }
      }
    }
    if (exact !== null) return exact;
    if (npreferred === 1) return preferred;
    return npreferred === 0 && ncompatible === 1 ? compatible : null;
  }

  opfamilyMember(family: Oid, lefttype: Oid, righttype: Oid, strategy: number): Oid {
    return this.#cache.search(AMOPSTRATEGY, family, lefttype, righttype, strategy)?.amopopr ?? INVALID_OID;
  }

  opfamilyProc(family: Oid, lefttype: Oid, righttype: Oid, procnum: number): Oid {
    return this.#cache.search(AMPROCNUM, family, lefttype, righttype, procnum)?.amproc ?? INVALID_OID;
  }

  /** Support functions of a family for one left type. */
  opfamilyProcs(family: Oid, lefttype: Oid): readonly Form_pg_amproc[] {
    return this.#cache.searchList(AMPROCNUM, family, lefttype);
  }

  /** pg_amop rows of an operator. */
  amopsOfOperator(opno: Oid): readonly Form_pg_amop[] {
    return this.#cache.searchList(AMOPOPID, opno);
  }

  /** <, =, > of a type's default btree class (equality from hash if it has none), and whether it hashes. */
  typeOperators(type: Oid): {
    readonly lt: Oid;
    readonly eq: Oid;
    readonly gt: Oid;
    readonly hashable: boolean;
  } {
    const btree = this.defaultOpclass(type, BTREE_AM_OID);
    const hash = this.defaultOpclass(type, HASH_AM_OID);
    let lt = INVALID_OID;
    let eq = INVALID_OID;
    let gt = INVALID_OID;
    if (btree !== null) {
      lt = this.opfamilyMember(btree.opcfamily, btree.opcintype, btree.opcintype, 1);
      eq = this.opfamilyMember(btree.opcfamily, btree.opcintype, btree.opcintype, 3);
      gt = this.opfamilyMember(btree.opcfamily, btree.opcintype, btree.opcintype, 5);
    }
    if (eq === 0 && hash !== null) eq = this.opfamilyMember(hash.opcfamily, hash.opcintype, hash.opcintype, 1);
    if (!this.#elementsHave(type, 'btree')) {
      lt = INVALID_OID;
      gt = INVALID_OID;
      if (!this.#elementsHave(type, 'hash')) eq = INVALID_OID;
    }
    let hashable = false;
    if (hash !== null && eq !== 0) {
      const proc = this.opfamilyProc(hash.opcfamily, hash.opcintype, hash.opcintype, 1);
      const sameEquality = eq === this.opfamilyMember(hash.opcfamily, hash.opcintype, hash.opcintype, 1);
      hashable = proc !== 0 && sameEquality && this.#elementsHave(type, 'hash');
    }
    return { lt, eq, gt, hashable };
  }

  /** array_eq and record_eq exist for every array and row, but work only if the parts can be compared. */
  #elementsHave(type: Oid, what: 'btree' | 'hash'): boolean {
    const base = this.baseType(type);
    const row = this.typeOrNull(base);
    if (row === null) return false;
    if (this.isTrueArray(row)) return this.#comparable(row.typelem, what);
    if (row.typtype === 'c') {
      return this.attributes(row.typrelid).every(a => a.attisdropped || this.#comparable(a.atttypid, what));
    }
    if (row.typtype === 'r') return this.#comparable(this.rangeSubtype(base), what);
    // The contents of an anonymous record are not known: hashing it is not promised.
    if (base === RECORDOID) return what === 'btree';
    return true;
  }

  #comparable(type: Oid, what: 'btree' | 'hash'): boolean {
    const ops = this.typeOperators(type);
    return what === 'btree' ? ops.eq !== 0 && ops.lt !== 0 : ops.hashable;
  }

  /** Can a value of the source type be taken for one of the target without any work? */
  isBinaryCoercible(source: Oid, target: Oid): boolean {
    if (source === target) return true;
    if (target === 2276 || target === ANYELEMENTOID || target === ANYCOMPATIBLEOID) return true;
    if (source !== 0) source = this.baseType(source);
    if (source === target) return true;
    if (target === ANYARRAYOID || target === ANYCOMPATIBLEARRAYOID) if (this.elementType(source) !== 0) return true;
    if (target === ANYNONARRAYOID || target === ANYCOMPATIBLENONARRAYOID)
      if (this.elementType(source) === 0) return true;
    if (target === ANYENUMOID && this.typeIsEnum(source)) return true;
    if ((target === ANYRANGEOID || target === ANYCOMPATIBLERANGEOID) && this.typeIsRange(source)) return true;
    if ((target === ANYMULTIRANGEOID || target === ANYCOMPATIBLEMULTIRANGEOID) && this.typeIsMultirange(source))
      return true;
    if (target === RECORDOID && this.isComplex(source)) return true;
    if (target === 2287 && this.isComplexArray(source)) return true;
    const cast = this.cast(source, target);
    return cast !== null && cast.castmethod === 'b' && cast.castcontext === 'i';
  }

  isComplexArray(type: Oid): boolean {
    const elem = this.elementType(type);
    return elem !== 0 && this.isComplex(elem);
  }

  /** Search-path visibility of functions and operators skips pg_temp. */
  get functionPath(): readonly Oid[] {
    return this.tempNamespace === 0 ? this.searchPath : this.searchPath.filter(n => n !== this.tempNamespace);
  }

  isInPgCatalog(namespace: Oid): boolean {
    return namespace === PG_CATALOG_NAMESPACE;
  }
}
